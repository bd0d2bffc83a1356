"""`tram panel`: a press is one call, the lamp says the most important thing, the UPS's line is audited; on gpiozero's fake pins."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from appliance import journal
from appliance.agent.panel import BUZZER, LAMP, NAME, SHUTDOWN, TRY, WORDS, Seen, State, Watch, state_of, steps
from appliance.contract.events import Department, EmergencyPressed, Urgency
from appliance.database import Connection
from appliance.devices.driver import SECOND
from appliance.devices.panel import Board, Wire, Wiring
from appliance.settings import Emergency
from appliance.store import audit, consults, emergencies
from appliance.store.consults import ConsultDraft
from tests.polling import until
from tests.store.station import Station, station_at

WIRING = Wiring(Wire(17), Wire(27), Wire(22, active_low=True), Wire(6))


@dataclass
class Hand:
    """A finger, an electrician and an eye at a panel whose clock is turned by hand."""

    station: Station
    factory: Any
    watch: Watch
    log: io.StringIO

    def turn(self, seconds: float) -> list[tuple[bool, bool]]:
        """Let time pass, fifty looks a second; lamp and buzzer at each look."""
        seen = []
        for _ in range(round(seconds * 50)):
            self.station.hand.seconds += 0.02
            self.watch.turn(self.station.clock.boottime_ns())
            seen.append((bool(self.factory.pin(17).state), bool(self.factory.pin(27).state)))
        return seen

    def press(self, seconds: float = 0.2) -> None:
        """One press of a finger."""
        self.factory.pin(22).drive_low()
        self.turn(seconds)
        self.factory.pin(22).drive_high()
        self.turn(0.2)

    @property
    def calls(self) -> int:
        """How many calls wait for the bridge."""
        found = self.station.conn.execute("SELECT count(*) FROM outbox WHERE kind = ?", (EmergencyPressed.KIND,)).fetchone()
        return int(found[0])

    def audited(self) -> list[str]:
        """The words of the audit log that are about power and calls, the oldest first."""
        found = [one.action for one in audit.entries(self.station.conn)]
        return [one for one in reversed(found) if one.startswith(("power.", "emergency."))]

    def live(self) -> dict[str, Any]:
        """What the kiosk reads."""
        found: dict[str, Any] = json.loads((self.watch.run / f"{NAME}.live").read_text())
        return found


@pytest.fixture
def hand(tmp_path: Path) -> Iterator[Hand]:
    """A station with a panel: power from the wall, the bridge answers, nothing waits."""
    station = station_at(tmp_path)
    conn = station.conn
    conn.execute("UPDATE outbox SET state = 2, received = 1")
    conn.execute("INSERT INTO carrier (id, state, heard) VALUES (1, 'online', 0)")
    station.settings.paths.run.mkdir(exist_ok=True)
    factory, log = MockFactory(), io.StringIO()
    board = Board(WIRING, factory)
    factory.pin(6).drive_high()
    watch = Watch(conn, board, station.clock, Emergency(), station.settings.paths.run, 60, journal.open("panel-test", log))
    yield Hand(station, factory, watch, log)
    watch.close()
    conn.close()


def offline(conn: Connection) -> None:
    """The bridge does not answer."""
    conn.execute("UPDATE carrier SET state = 'offline'")


def test_all_well_is_a_steady_light_and_silence(hand: Hand) -> None:
    """Nobody has to look twice."""
    assert set(hand.turn(3)) == {(True, False)}
    assert hand.live()["state"] == "ready"


def test_a_press_is_one_call_and_answers_at_once(hand: Hand) -> None:
    """The event for the bridge, the audit entry, a click of the buzzer, a fast lamp until the bridge has it, two flashes then."""
    hand.turn(1)
    hand.factory.pin(22).drive_low()
    seen = hand.turn(0.3)
    assert any(loud for _lamp, loud in seen)
    hand.factory.pin(22).drive_high()
    hand.turn(1.5)
    assert hand.calls == 1
    assert hand.audited() == ["emergency.call"]
    assert hand.watch.state is State.CALLING
    hand.station.conn.execute("UPDATE outbox SET state = 2, received = ?", (hand.station.now.wall,))
    hand.turn(1.2)
    assert hand.watch.state is State.HEARD
    hand.station.hand.seconds += 601
    hand.turn(1.2)
    assert hand.watch.state is State.READY


def test_held_or_pressed_twice_is_still_one_call(hand: Hand) -> None:
    """A nervous finger: one call goes out, every press is written down."""
    hand.turn(1)
    hand.press(8)
    hand.press()
    hand.press()
    assert hand.calls == 1
    assert hand.audited() == ["emergency.call", "emergency.again", "emergency.again"]


def test_a_spike_on_the_wire_calls_nobody(hand: Hand) -> None:
    """One look in fifty sees the level low."""
    hand.turn(1)
    for _ in range(20):
        hand.press(0.02)
    assert hand.calls == 0


def test_a_stuck_button_calls_nobody_at_the_start_and_is_reported(hand: Hand) -> None:
    """Else every restart would call."""
    hand.factory.pin(22).drive_low()
    hand.turn(31)
    assert hand.calls == 0
    assert hand.live()["stuck"] is True
    assert hand.log.getvalue().count("stuck") == 1


def test_a_press_while_the_store_is_away_is_kept_and_called_later(hand: Hand) -> None:
    """The lamp says *fault* meanwhile: a press is owed until it is written."""
    hand.turn(1)
    with _read_only(hand.station.conn):
        hand.press(3)
        assert hand.watch.state is State.FAULT
        assert hand.calls == 0
    hand.turn(2)
    assert hand.calls == 1
    assert hand.watch.state is State.CALLING


@contextmanager
def _read_only(conn: Connection) -> Iterator[None]:
    """The store takes nothing, as on a card that has given up."""
    conn.execute("PRAGMA query_only = ON")
    yield
    conn.execute("PRAGMA query_only = OFF")


def test_the_lamp_says_whether_things_wait_or_travel(hand: Hand) -> None:
    """Sending blinks slowly; without a link a short flash."""
    emergencies.press(hand.station.conn, actor="", now=hand.station.now, random=os.urandom)
    hand.station.conn.execute("DELETE FROM emergency")
    hand.turn(1.2)
    assert hand.watch.state is State.SENDING
    offline(hand.station.conn)
    hand.turn(1.2)
    assert hand.watch.state is State.OFFLINE
    lit = [lamp for lamp, _loud in hand.turn(6)]
    assert 0 < sum(lit) < len(lit) / 10


def test_an_emergency_that_nobody_has_seen_sounds_until_somebody_has_called(hand: Hand) -> None:
    """Decision 23: after two minutes without a receipt; silent once a person says that they have telephoned."""
    draft = ConsultDraft(hand.station.patient(), Urgency.EMERGENCY, Department.GENERAL, "khó thở")
    consults.request(hand.station.conn, draft, consult=7001, staff="an", now=hand.station.now)
    offline(hand.station.conn)
    assert not any(loud for _lamp, loud in hand.turn(5))
    hand.station.hand.seconds += 121
    hand.turn(1.2)
    assert hand.watch.state is State.ALARM
    assert any(loud for _lamp, loud in hand.turn(2))
    consults.acknowledge(hand.station.conn, 7001, staff="an", now=hand.station.now)
    hand.turn(1.2)
    assert not any(loud for _lamp, loud in hand.turn(2))


def test_losing_and_regaining_the_mains_is_audited_once_each(hand: Hand) -> None:
    """The kiosk reads it in the live file; a dip of half a second is nothing."""
    hand.turn(2)
    hand.factory.pin(6).drive_low()
    hand.turn(0.5)
    hand.factory.pin(6).drive_high()
    hand.turn(2)
    assert hand.audited() == []
    hand.factory.pin(6).drive_low()
    hand.turn(5)
    assert hand.watch.state is State.BATTERY
    assert hand.live()["mains"] is False
    hand.factory.pin(6).drive_high()
    hand.turn(3)
    assert hand.live()["mains"] is True
    assert hand.audited() == ["power.lost", "power.restored"]


def test_a_long_time_on_the_battery_asks_for_a_shutdown_once(hand: Hand) -> None:
    """A file in the run folder for whatever ends the box; it goes when the mains come back in time."""
    hand.turn(1)
    hand.factory.pin(6).drive_low()
    hand.turn(50)
    signal_file = hand.watch.run / SHUTDOWN
    assert not signal_file.exists()
    hand.turn(15)
    assert json.loads(signal_file.read_text())["why"] == "battery"
    assert hand.audited() == ["power.lost", "power.shutdown"]
    hand.factory.pin(6).drive_high()
    hand.turn(3)
    assert not signal_file.exists()


@pytest.mark.parametrize(
    ("seen", "mains", "state"),
    [
        (None, True, State.FAULT),
        (Seen(alarm=True, call="calling"), False, State.ALARM),
        (Seen(call="calling", waiting=3), False, State.CALLING),
        (Seen(call="heard", online=True), True, State.HEARD),
        (Seen(online=True), False, State.BATTERY),
        (Seen(waiting=2), None, State.OFFLINE),
        (Seen(waiting=2, online=True), None, State.SENDING),
        (Seen(online=True), None, State.READY),
    ],
)
def test_the_most_important_thing_is_said(seen: Seen | None, mains: bool | None, state: State) -> None:
    """One lamp, one meaning."""
    assert state_of(seen, mains) is state


def test_no_two_states_look_alike_and_none_is_dark() -> None:
    """Every state has its words and its own rhythm; dark means that the box is off."""
    assert set(LAMP) == set(WORDS) == set(State) >= set(BUZZER)
    assert len(set(LAMP.values())) == len(LAMP)
    assert all(pattern and pattern[0] > 0 for pattern in LAMP.values())


def test_trying_it_out_steps_through_all_parts_and_calls_nobody(hand: Hand) -> None:
    """Lamp, buzzer, button, mains; the press of the trial is no call."""
    now = hand.station.clock.boottime_ns
    said, lamp, loud = [], set(), set()
    for step in steps(hand.watch.board, WIRING, now):
        if step is not None:
            said.append(step[1])
        elif said[-1].startswith("Call button"):
            (hand.factory.pin(22).drive_low if now() % SECOND < SECOND // 2 else hand.factory.pin(22).drive_high)()
        lamp.add(bool(hand.factory.pin(17).state))
        loud.add(bool(hand.factory.pin(27).state))
        hand.station.hand.seconds += 0.02
    assert len([one for one in said if one.startswith("Lamp")]) == len(State)
    assert said[-2:] == ["Call button: good", "Mains: present"]
    assert lamp == loud == {True, False}
    assert hand.calls == 0


def test_a_button_without_a_wire_is_found(hand: Hand) -> None:
    """No press within the time: a sentence that says what to look at."""
    words = []
    for step in steps(hand.watch.board, Wiring(button=Wire(22, active_low=True)), hand.station.clock.boottime_ns):
        words += [step[1]] if step else []
        hand.station.hand.seconds += 0.02
    assert words[1] == "Call button: no press was seen. Check the wires."


def test_the_program_runs_shows_and_ends_in_good_order(tmp_path: Path) -> None:
    """The whole command with pins that do not exist: its live file appears; SIGTERM ends it with 0 and leaves nothing to be shown."""
    station = station_at(tmp_path)
    station.conn.close()
    config = _with_panel(tmp_path, 'pins = "mock"\nlamp = 17\nbutton = 22')
    words = [sys.executable, "-m", "appliance.cli", "--config", str(config), "panel"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        shown = station.settings.paths.run / f"{NAME}.live"
        until(shown.exists, what="the live file")
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
    assert not shown.exists()


def test_nothing_wired_is_a_wrong_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Key, value, what was expected, an example; the exit code of settings."""
    from appliance.cli import CONFIG, main

    station_at(tmp_path).conn.close()
    assert main(["--config", str(_with_panel(tmp_path, "")), "panel"]) == CONFIG
    assert "panel.lamp" in capsys.readouterr().err


def _with_panel(folder: Path, lines: str) -> Path:
    """The station's settings with a panel."""
    (found,) = folder.glob("*.toml")
    config = folder / "panel.toml"
    config.write_text(f"{found.read_text()}\n[panel]\n{lines}\n")
    return config


def test_a_technicians_try_is_no_call_and_ends_with_the_press(hand: Hand) -> None:
    """Lamp flashes, buzzer sounds; the press is told to the screen and calls nobody; the next one is a call again."""
    wish = hand.watch.run / TRY
    wish.write_text(json.dumps({"boottime_ns": hand.station.clock.boottime_ns()}))
    seen = hand.turn(3)
    assert {lamp for lamp, _buzzer in seen} == {True, False}
    assert any(buzzer for _lamp, buzzer in seen)
    assert (hand.live()["trying"], wish.exists()) == (True, False)
    hand.press()
    assert (hand.calls, hand.live()["trying"], hand.live()["tried_ns"] > 0) == (0, False, True)
    hand.turn(1)
    hand.press()
    hand.turn(1)
    assert hand.calls == 1


def test_an_old_wish_junk_and_an_emergency_start_no_try(hand: Hand) -> None:
    """Nobody stands there any more; a broken file hurts nobody; a call that is under way keeps its lamp and its button."""
    wish = hand.watch.run / TRY
    for text in (json.dumps({"boottime_ns": hand.station.clock.boottime_ns() - 6 * SECOND}), "[]", "{", '{"boottime_ns": "x"}'):
        wish.write_text(text)
        hand.turn(1.1)
        assert not hand.live()["trying"]
    wish.unlink(missing_ok=True)
    hand.press()
    hand.turn(1.5)
    wish.write_text(json.dumps({"boottime_ns": hand.station.clock.boottime_ns()}))
    hand.turn(1.5)
    assert (hand.calls, hand.live()["trying"], hand.live()["state"]) == (1, False, "calling")
