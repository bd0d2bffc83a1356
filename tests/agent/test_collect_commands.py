"""The hand on the cuff: who may start it, for whom, when, and everything that lets the air out again."""

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.agent.collect import CYCLES_PER_HOUR
from appliance.agent.commands import LARGEST, Ear, may_command
from appliance.contract.metrics import Metric
from appliance.devices.drivers.suntech_nibp import ABORT, START
from appliance.devices.sim.suntech_nibp import SuntechNibp as Module
from appliance.store import measuring
from appliance.store.measuring import State
from tests.agent.collecting import TURN_S, Kiosk, Room, numbers
from tests.store.station import Station


@pytest.fixture
def cuff(station: Station) -> Iterator[Callable[..., Room]]:
    """A function that makes a room with a cuff of 4 s cycles and a collector that is ready."""
    made: list[Room] = []

    def make(**options: str) -> Room:
        made.append(Room(station, "suntech-nibp", **({"cycle": "4"} | options)))
        return made[-1].begin().until_ready()

    yield make
    for each in made:
        each.close()


def module(room: Room) -> Module:
    """The simulated module behind the cable."""
    device = room.cable.script.device
    assert isinstance(device, Module)
    return device


def pressure(room: Room) -> int:
    """What is really in the cuff."""
    return module(room).pressure(room.station.clock.boottime_ns())


def test_a_press_measures_in_its_session(cuff: Callable[..., Room], station: Station) -> None:
    """Accepted, inflated before everybody's eyes, settled in the session of the press; the line is closed when it is over."""
    room = cuff()
    session = station.session(station.patient())
    with room.line() as kiosk:
        assert kiosk.start(session, nonce="12345678") == {"accepted": True, "nonce": "12345678"}
        room.run(1.5)
        live = room.live()
        assert live["state"] == "measuring"
        assert live["signals"]["cuff_pressure"] > 50
        assert live["numerics"] == []
        room.run(5)
        assert kiosk.closed()
    (row,) = room.rows()
    assert (row.state, row.session) == (State.SETTLED, session)
    assert 60 <= (numbers(row)[Metric.DIASTOLIC] or 0) < (numbers(row)[Metric.MEAN] or 0) < (numbers(row)[Metric.SYSTOLIC] or 0)
    live = room.live()
    assert (live["state"], live["measurement"], live["signals"]["cuff_pressure"]) == ("ready", row.id, 0)
    assert {each["metric"]: each["value"] for each in live["numerics"]}["SYSTOLIC"] == numbers(row)[Metric.SYSTOLIC]
    assert module(room).violations == 0


def test_the_cuffs_numbers_go_with_their_session(cuff: Callable[..., Room], station: Station) -> None:
    """The next patient's screen never shows the last one's blood pressure."""
    room = cuff()
    with room.line() as kiosk:
        kiosk.start(station.session(station.patient("Thử Nghiệm Một")))
        room.run(6)
    assert room.live()["numerics"]
    station.session(station.patient("Thử Nghiệm Hai"))
    room.run(1)
    assert (room.live()["numerics"], room.live()["measurement"]) == ([], None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"session": 4711}, "session"),
        ({"patient_type": "paediatric"}, "patient-type"),
        ({"patient_type": ""}, "patient-type"),
        ({"within": 0.0}, "too-late"),
        ({"within": -1.0}, "too-late"),
        ({"within": 11.0}, "deadline"),
    ],
)
def test_a_press_that_must_not_start_is_refused(cuff: Callable[..., Room], station: Station, changes: dict, reason: str) -> None:
    """With its word; and not a byte goes to the cuff."""
    room = cuff()
    session = station.session(station.patient())
    with room.line() as kiosk:
        answer = kiosk.start(**({"session": session} | changes))
    assert answer is not None
    assert (answer["accepted"], answer["reason"]) == (False, reason)
    assert module(room).starts == 0
    assert not any(each in room.cable.sent for each in START.values())


def test_a_session_that_was_given_away_starts_nothing(cuff: Callable[..., Room], station: Station) -> None:
    """Two kiosks: the device was opened for another patient a moment ago, and the first one's press comes late."""
    room = cuff()
    first = station.session(station.patient("Thử Nghiệm Một"))
    station.later(0.5)
    second = station.session(station.patient("Thử Nghiệm Hai"))
    station.later(0.5)
    with room.line() as one, room.line() as two:
        answer = one.start(first)
        assert answer is not None
        assert answer["reason"] == "session"
        answer = two.start(second)
        assert answer is not None
        assert answer["accepted"]
        room.run(6)
    (row,) = room.rows()
    assert row.session == second


def test_the_same_nonce_counts_once(cuff: Callable[..., Room], station: Station) -> None:
    """A press that is sent twice starts one cycle, whatever became of the first."""
    room = cuff()
    session = station.session(station.patient())
    with room.line() as kiosk, room.line() as other:
        kiosk.start(session, nonce="the-same-one")
        room.run(0.5)
        answer = other.start(session, nonce="the-same-one")
        assert answer is not None
        assert answer["reason"] == "nonce"
    room.run(6)
    assert module(room).starts == 1


def test_one_cycle_at_a_time(cuff: Callable[..., Room], station: Station) -> None:
    """A second press while the cuff works is refused and does not disturb it."""
    room = cuff()
    session = station.session(station.patient())
    with room.line() as kiosk, room.line() as other:
        kiosk.start(session)
        room.run(1)
        answer = other.start(session)
        assert answer is not None
        assert answer["reason"] == "busy"
        other.close()
        room.run(5)
    assert len(room.rows()) == 1


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"\xff\xfe", "shape"),
        (b"[]", "shape"),
        (b"[" * 1000, "shape"),
        (b'"start"', "shape"),
        (b"{}", "unknown-command"),
        (b'{"do": "inflate"}', "unknown-command"),
        (b'{"do": "start"}', "shape"),
        (b'{"do": "start", "session": true, "patient_type": "adult", "deadline_boottime_ns": 1, "nonce": "12345678"}', "shape"),
        (b'{"do": "start", "session": 1, "patient_type": "adult", "deadline_boottime_ns": 1.5, "nonce": "12345678"}', "shape"),
        (b'{"do": "start", "session": 1, "patient_type": "adult", "deadline_boottime_ns": 1, "nonce": "x"}', "shape"),
        (b"x" * (LARGEST + 1), "shape"),
    ],
)
def test_what_is_no_command_is_refused(cuff: Callable[..., Room], packet: bytes, reason: str) -> None:
    """Malformed, oversized, unknown: refused with a word, and the collector goes on."""
    room = cuff()
    with room.line() as kiosk:
        answer = kiosk.say(packet)
        assert answer == {"accepted": False, "reason": reason}
    room.run(0.2)
    assert room.live()["state"] == "ready"
    assert module(room).starts == 0


# --- letting the air out ------------------------------------------------------------------------------------------------


def inflate(room: Room) -> Kiosk:
    """A kiosk whose cycle is under way, the cuff well filled."""
    kiosk = Kiosk(room)
    answer = kiosk.start(room.station.session(room.station.patient()))
    assert answer is not None
    assert answer["accepted"]
    room.run(1.5)
    assert pressure(room) > 100
    return kiosk


def test_the_line_that_closes_aborts(cuff: Callable[..., Room]) -> None:
    """The kiosk died, the browser was closed: the cuff empties at once, and nothing is measured."""
    room = cuff(cycle="20")
    inflate(room).close()
    room.run(3)
    assert pressure(room) == 0
    assert room.live()["state"] == "ready"
    assert room.live()["invalid"] == "line-closed"
    assert room.rows() == []


def test_abort_by_command(cuff: Callable[..., Room]) -> None:
    """From the line that started it, and from any other: stopping needs no right."""
    room = cuff(cycle="20")
    for own in (True, False):
        kiosk = inflate(room)
        if own:
            kiosk.abort()
        else:
            with room.line() as other:
                other.abort()
        room.run(3)
        assert pressure(room) == 0
        assert room.live()["invalid"] == "abort"
        kiosk.close()
        room.run(1)


def test_another_line_that_closes_aborts_nothing(cuff: Callable[..., Room]) -> None:
    """Only the line that holds the cycle is its life."""
    room = cuff()
    kiosk = inflate(room)
    with room.line():
        room.run(0.1)
    room.run(5)
    assert len(room.rows()) == 1
    kiosk.close()


def test_stopping_the_collector_empties_the_cuff(cuff: Callable[..., Room]) -> None:
    """SIGTERM: abort, wait until the pressure is near zero, then go."""
    room = cuff(cycle="60")
    inflate(room)
    turn = room.collector.turn

    def turned() -> None:
        turn()
        room.station.hand.seconds += TURN_S

    room.collector.turn = turned
    room.collector.wait = lambda: None
    room.collector.leave()
    assert pressure(room) <= 10
    assert not room.collector._driver.busy


def test_a_collector_that_breaks_says_abort(cuff: Callable[..., Room]) -> None:
    """A bug ends the process; its last word to the cuff is abort."""
    room = cuff(cycle="60")
    inflate(room)
    room.cable.sent = b""
    room.collector.close()
    assert room.cable.sent == ABORT
    room.begin().until_ready()


def test_a_collector_that_was_killed_finds_an_empty_cuff(cuff: Callable[..., Room]) -> None:
    """SIGKILL in mid-cycle, nobody aborts; the next collector does so before anything else, and takes no result over."""
    room = cuff(cycle="60")
    inflate(room)
    room.collector._port = None  # the process is gone: not a word more to the cuff
    room.collector.close()
    room.begin().run(4)
    assert pressure(room) == 0
    assert room.live()["state"] == "ready"
    assert room.rows() == []


def test_a_cable_pulled_in_mid_cycle_says_take_the_cuff_off(cuff: Callable[..., Room], station: Station) -> None:
    """Software can do no more; when the cable is back, abort comes first, and the message goes when the cuff is empty."""
    room = cuff(cycle="60")
    kiosk = inflate(room)
    room.cable.plugged = False
    room.run(2)
    assert (room.live()["state"], room.live()["message"]) == ("lost", "take-the-cuff-off")
    assert kiosk.closed()
    room.cable.plugged = True
    room.run(5)
    assert pressure(room) == 0
    assert (room.live()["state"], room.live()["message"]) == ("ready", None)
    assert room.rows() == []
    with room.line() as again:
        answer = again.start(station.session(station.patient("Thử Nghiệm Hai")))
        assert answer is not None
        assert answer["accepted"]


def test_the_session_that_ends_in_mid_cycle_gets_no_reading(cuff: Callable[..., Room], station: Station) -> None:
    """The screen was closed without letting go of the cuff: the reading is nobody's."""
    room = cuff()
    kiosk = inflate(room)
    measuring.end_session(station.conn, 1, "screen-closed", station.now)
    room.run(5)
    (row,) = room.rows()
    assert (row.state, row.why) == (State.UNASSIGNED, "session-ended")
    kiosk.close()


def test_a_failed_cycle_says_why_and_measures_nothing(cuff: Callable[..., Room], station: Station) -> None:
    """The device's own reason stands in the live file until the next press."""
    room = cuff(error="87")
    session = station.session(station.patient())
    with room.line() as kiosk:
        kiosk.start(session)
        room.run(6)
    assert (room.live()["invalid"], room.live()["numerics"]) == ("device-error-87", [])
    assert room.rows() == []


def test_one_patient_has_so_many_cycles_an_hour(cuff: Callable[..., Room], station: Station) -> None:
    """Then the arm has had enough; another patient's has not; and an hour later it is all right again."""
    room = cuff(cycle="1")
    tired, fresh = station.patient("Thử Nghiệm Một"), station.patient("Thử Nghiệm Hai")

    def press(patient: int) -> str:
        with room.line() as kiosk:
            session = station.session(patient)
            room.run(0.2)
            answer = kiosk.start(session)
            assert answer is not None
            room.run(3)
            return str(answer.get("reason", ""))

    assert [press(tired) for _ in range(CYCLES_PER_HOUR)] == [""] * CYCLES_PER_HOUR
    assert press(tired) == "too-many"
    assert press(fresh) == ""
    for _ in range(10):
        station.later(360)
        room.run(1)
    assert press(tired) == ""


def test_an_oximeter_takes_no_start(station: Station) -> None:
    """Refused: it is not commanded."""
    room = Room(station, "contec-cms50", device="oximeter").begin().until_ready()
    with room.line() as kiosk:
        answer = kiosk.start(station.session(station.patient(), "oximeter"))
    assert answer is not None
    assert answer["reason"] == "not-commanded"
    room.close()


def test_a_device_that_is_away_takes_no_start(cuff: Callable[..., Room], station: Station) -> None:
    """Refused at once: a press is not kept for when it comes back."""
    room = cuff()
    room.cable.plugged = False
    room.run(1)
    with room.line() as kiosk:
        answer = kiosk.start(station.session(station.patient()))
    assert answer is not None
    assert answer["reason"] == "no-device"
    room.cable.plugged = True
    room.run(5)
    assert module(room).starts == 0


def test_a_store_that_is_away_takes_no_start(cuff: Callable[..., Room], station: Station) -> None:
    """What cannot be kept must not be measured."""
    room = cuff()
    session = station.session(station.patient())
    room.conn.execute("PRAGMA query_only = ON")
    with room.line() as kiosk:
        kiosk.start(session)
        room.run(40)
        answer = kiosk.start(session) or {}
        if not answer:
            with room.line() as again:
                answer = again.start(session) or {}
    assert answer["reason"] == "store"
    room.conn.execute("PRAGMA query_only = OFF")
    room.run(2)
    assert len(room.rows()) == 1


# --- the socket -----------------------------------------------------------------------------------------------------------


def test_who_is_not_allowed_is_hung_up_on(cuff: Callable[..., Room], station: Station) -> None:
    """The kernel says who is at the other end; a stranger's words are not read."""
    room = cuff()
    session = station.session(station.patient())
    room.uids = {os.geteuid() + 1}
    with room.line() as kiosk:
        assert kiosk.start(session) is None
    assert module(room).starts == 0
    room.uids = None


def test_who_may_command() -> None:
    """Root, our own user and our own group; not the rest of the world."""
    assert may_command(0, 12345)
    assert may_command(os.geteuid(), 12345)
    assert may_command(54321, os.getegid())
    assert not may_command(54321, os.getegid() + 54321)


def test_the_socket_is_for_the_group_only(cuff: Callable[..., Room]) -> None:
    """0660, a socket, and of whole packets."""
    room = cuff()
    mode = (room.run_dir / "cuff.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wrong, pytest.raises(OSError, match="rotocol"):
        wrong.connect(str(room.run_dir / "cuff.sock"))


def test_only_so_many_lines(cuff: Callable[..., Room]) -> None:
    """A ninth line is hung up on; the first eight still speak."""
    room = cuff()
    lines = []
    for _ in range(9):
        lines.append(Kiosk(room))
        room.run(TURN_S * 2)
    assert [each.closed() for each in lines] == [False] * 8 + [True]
    for each in lines:
        each.close()
    room.run(0.2)


def test_a_path_that_is_too_long_is_said(tmp_path: Path) -> None:
    """A socket's path has at most 107 bytes; the sentence says what to change."""
    with pytest.raises(ValueError, match=r"paths\.run"):
        Ear(tmp_path / ("x" * 120), may_command)


def test_a_burst_of_nonces_is_bounded(tmp_path: Path) -> None:
    """A peer that sends thousands of presses fills no memory, and those in time are refused rather than forgotten."""
    ear = Ear(tmp_path / "a.sock", may_command)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.connect(str(tmp_path / "a.sock"))
        ear.hear(0)
        answers = []
        for number in range(300):
            command = {"do": "start", "session": 1, "patient_type": "adult", "deadline_boottime_ns": 10**9, "nonce": f"nonce-{number:06d}"}
            peer.send(json.dumps(command).encode())
            heard = ear.hear(1)
            answers.append(bool(heard) or json.loads(peer.recv(4096))["reason"])
        assert answers == [True] * 256 + ["too-many"] * 44
    ear.close()
