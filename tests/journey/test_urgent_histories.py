"""A thousand histories of an urgent request: a doctor opened it, or the telephone screen was shown. Always.

The station is real: its encrypted store, its rules, what comes down. In most histories the link and the bridge are a
model that receives, opens, loses and forgets at random; in some both ends are real, with the console's own opening, the
carrier's own escalation and the kiosk's own page. Whether the screen must shout is reckoned by a clock that nothing in
these histories can turn.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import event

from appliance.contract.events import (
    ConsultClaimed,
    ConsultEscalated,
    ConsultQuestion,
    Department,
    Urgency,
)
from appliance.contract.events import ConsultOpened as Opened
from appliance.contract.readings import ClockQuality, Stamp
from appliance.database import Connection, connect
from appliance.kiosk.app import make_app
from appliance.kiosk.desk import Desks
from appliance.store import consults, downlink, patients
from appliance.store.boots import seq_of
from appliance.store.consults import ConsultDraft, Unseen
from appliance.store.opening import open_store
from appliance.store.patients import PatientDraft
from cloud_bridge import answers as bridge_answers
from cloud_bridge import escalation, intake
from cloud_bridge.escalation import Limits
from cloud_bridge.store import consults as bridge_consults
from cloud_bridge.store import rota, tables
from cloud_bridge.store.accounts import Account, Role
from cloud_bridge.store.engine import reading, writing
from tests.store.station import Doctor, Hand, Station, settings_at, station_at
from tests.world import STATION, STORE_KEY, Weather, World

UNRECEIVED, UNOPENED = 120, 600
"""Seconds, as the settings have them (decision 23)."""
CONSULT, PATIENT = 900, 1
LASTS = 1_500.0
"""Seconds a history goes on after the request."""
HISTORIES, PARTS = 1_000, 4

Rule = Callable[[Connection, Stamp, int, int], list[Unseen]]
"""`consults.unseen`, or a planted bug in its place."""


@cache
def template() -> tuple[TemporaryDirectory[str], Path]:
    """A station with one invented patient and a doctor's key, made once; the folder goes with the process."""
    held = TemporaryDirectory(prefix="tram-histories-")
    folder = Path(held.name) / "station"
    folder.mkdir()
    station = station_at(folder)
    station.patient()
    DOCTOR.pinned_at(station)
    station.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    station.conn.close()
    return held, folder


DOCTOR = Doctor()


def fresh(folder: Path) -> Station:
    """A copy of that station in `folder`."""
    shutil.copytree(template()[1], folder, dirs_exist_ok=True)
    settings, hand = settings_at(folder), Hand()
    conn = unhurried(open_store(settings, {}))
    return Station(settings, conn, hand, hand.clock(seq_of(conn, hand.boot, 0)))


def unhurried(conn: Connection) -> Connection:
    """No disk is waited for: these histories end programs, never the test machine."""
    conn.execute("PRAGMA synchronous = OFF")
    return conn


@dataclass
class Watch:
    """What must be on the screen, by true time. `quiet` once the opening was heard, or a person withdrew, read or acknowledged."""

    asked: float = 0.0
    booted: float = -1.0
    received: bool = False
    quiet: bool = False
    shown: bool = False

    def wrong(self, now: float, shouting: bool) -> str:
        """What is wrong with the screen at this moment of true time; empty when nothing is."""
        self.shown = self.shown or shouting
        waited = now - max(self.asked, self.booted)
        if not self.quiet and not shouting and waited >= (UNOPENED if self.received else UNRECEIVED):
            return f"silent after {waited:.0f} s ({'received' if self.received else 'not received'})"
        if shouting and self.quiet:
            return "shouts although it is settled"
        if shouting and self.booted < 0 and now - self.asked < (UNOPENED if self.received else UNRECEIVED) - 1:
            return f"shouts after {now - self.asked:.0f} s"
        return ""


@dataclass
class History:
    """One history over a model of link and bridge. `log` says what happened, for whoever reads a failure."""

    station: Station
    dice: Random
    rule: Rule
    watch: Watch = field(default_factory=Watch)
    now: float = 0.0
    at_bridge: bool = False
    opened: bool = False
    log: list[str] = field(default_factory=list)

    def run(self) -> str:
        """Live through it; what was wrong first, or nothing."""
        urgency = self.dice.choice([Urgency.URGENT, Urgency.EMERGENCY])
        draft = ConsultDraft(PATIENT, urgency, Department.GENERAL, "khó thở")
        self.lane, self.seq = consults.request(self.station.conn, draft, consult=CONSULT, staff="an", now=self.station.now)
        self.draft = draft
        likely = self._mood()
        while self.now < LASTS:
            happening = self.dice.choices(list(likely), weights=list(likely.values()))[0]
            happening(self)
            self.log.append(f"{self.now:.0f} {happening.__name__}")
            alarm = self.rule(self.station.conn, self.station.now, UNRECEIVED, UNOPENED)
            found = self.watch.wrong(self.now, any(one.consult == CONSULT and not one.acknowledged for one in alarm))
            if found:
                return f"{found}; {', '.join(self.log[-12:])}"
        return ""

    def _mood(self) -> "dict[Callable[[History], None], int]":
        """How likely each happening is: some days have no link, some no doctor, some nobody who touches the screen."""
        link, doctor = self.dice.choice([0, 1, 3, 8]), self.dice.choice([0, 0, 1, 4])
        people, power = self.dice.choice([0, 0, 1]), self.dice.choice([0, 0, 1, 2])
        return {
            History.wait: 20, History.carry_up: link, History.receipt: link, History.doctor_opens: doctor, History.carry_down: link,
            History.bridge_forgets: self.dice.choice([0, 0, 1]), History.reboot: power, History.kiosk_restarts: power,
            History.clock_jumps: self.dice.choice([0, 1, 3]), History.withdraw: people, History.acknowledge: 2 * people,
            History.press_again: 1, History.forged_answer: 1, History.other_words: link, History.answer: doctor and link,
        }  # fmt: skip

    def wait(self) -> None:
        """Time passes."""
        seconds = self.dice.choice([1.0, 3.0, 20.0, 60.0, 110.0])
        self.now += seconds
        self.station.later(seconds)

    def carry_up(self) -> None:
        """The request reaches the bridge."""
        self.at_bridge = True

    def receipt(self) -> None:
        """The bridge's receipt reaches the station."""
        if self.at_bridge and not self.watch.received:
            self.station.receipt(self.lane, self.seq)
            self.watch.received = True

    def bridge_forgets(self) -> None:
        """The bridge was restored from a copy without the request, and lowers its receipt."""
        if self.at_bridge and not self.opened:
            self.at_bridge = self.watch.received = False
            self.station.receipt(self.lane, self.seq, state=0)

    def doctor_opens(self) -> None:
        """A doctor has the page in front of them; the station does not know yet."""
        self.opened = self.opened or self.at_bridge

    def carry_down(self) -> None:
        """The word that somebody opened it reaches the station, sometimes twice."""
        if self.opened:
            self.station.arrive(*[Opened(CONSULT, "BS. Thử")] * self.dice.choice([1, 1, 2]))
            self.watch.quiet = True

    def other_words(self) -> None:
        """Words that do not say that it was opened."""
        other = self.dice.choice(
            [Opened(CONSULT + 1, "BS. Thử"), ConsultEscalated(CONSULT, 2, "Tuyến trên Thử"), ConsultClaimed(CONSULT, "BS. Thử", 1),
             ConsultQuestion(CONSULT + 1, 1, "BS. Thử", "?")]
        )  # fmt: skip
        self.station.arrive(other)

    def answer(self) -> None:
        """A signed answer overtakes the word that somebody opened it."""
        if self.opened:
            self.station.arrive(DOCTOR.answer(CONSULT))
            self.watch.quiet = True

    def forged_answer(self) -> None:
        """An answer whose signature is not the doctor's: nobody has seen anything."""
        self.station.arrive(Doctor(key_id=DOCTOR.key_id).answer(CONSULT, 77))

    def reboot(self) -> None:
        """The box restarts, sometimes with a clock that is years off."""
        self.station.power_cut(off=self.dice.choice([0.0, 0.0, 5.0, -86_400.0, -1.7e9, 3e8]))
        unhurried(self.station.conn)
        self.watch.booted = self.now

    def kiosk_restarts(self) -> None:
        """The kiosk's program is started anew: what it had in memory is gone."""
        self.station.conn.close()
        self.station.conn = unhurried(self.station.second())

    def clock_jumps(self) -> None:
        """Somebody, or the network, sets the clock."""
        self.station.hand.wall += self.dice.choice([-6_000, 6_000, -864_000, 864_000, -10_000_000_000])

    def press_again(self) -> None:
        """The same request is sent a second time by a nervous finger: the wait does not begin anew."""
        consults.request(self.station.conn, self.draft, consult=CONSULT, staff="an", now=self.station.now)

    def withdraw(self) -> None:
        """The station takes the request back."""
        consults.withdraw(self.station.conn, CONSULT, reason="mistake", staff="an", now=self.station.now)
        self.watch.quiet = True

    def acknowledge(self) -> None:
        """A person says that they have called, once the screen has told them to."""
        if self.watch.shown and self.dice.random() < 0.3:
            consults.acknowledge(self.station.conn, CONSULT, staff="an", now=self.station.now)
            self.watch.quiet = True


def live(folder: Path, seed: int, rule: Rule) -> tuple[str, bool]:
    """One history of this seed: (what was wrong, whether the screen was ever shown)."""
    where = folder / str(seed)
    station = fresh(where)
    history = History(station, Random(seed), rule)
    try:
        return history.run(), history.watch.shown
    finally:
        history.station.conn.close()
        shutil.rmtree(where)


@pytest.mark.parametrize("part", range(PARTS))
def test_in_a_thousand_histories_a_doctor_opened_it_or_the_telephone_screen_was_shown(tmp_path: Path, part: int) -> None:
    """At every moment past the limit: opened and heard of, or shouting, or settled by a person. And it never shouts too early."""
    shown = 0
    for seed in range(part, HISTORIES, PARTS):
        wrong, seen = live(tmp_path, seed, consults.unseen)
        assert not wrong, f"history {seed}: {wrong}"
        shown += seen
    assert HISTORIES / PARTS * 0.3 < shown < HISTORIES / PARTS  # both ways out are walked


# --- both ends real -------------------------------------------------------------------------------------------------------------------

REAL, REALLY_LASTS = 50, 900.0
"""How many of them, and seconds each goes on: past both limits and a restart."""


_ROUTES: list[Any] = []


def kiosk_routes(settings: Any) -> Any:
    """The kiosk's application, made once."""
    if not _ROUTES:
        _ROUTES.append(_make_routes(settings))
    return _ROUTES[0]


def _make_routes(settings: Any) -> Any:
    return make_app(settings, lambda: connect(Path("nowhere"), key=STORE_KEY), Hand().clock(1), Random(0).randbytes)


class Ends(World):
    """Both ends with their own rules: the bridge's intake, escalation and opening, the station's store and its kiosk."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.boot, self.booted, self.skew = 1, 900.0, 0
        super().__init__(folder, seed)
        self.settings = settings_at(folder)
        self.kiosk = self.new_kiosk()
        patients.register(self.conn, PatientDraft("Thử Nghiệm Một"), patient=PATIENT, staff="an", now=self.stamp())
        with writing(self.engine) as tx:
            tx.execute(tables.station.update().values(organisation="Trung tâm Thử"))
            rota.set_tier(tx, rota.Tier("Trung tâm Thử", 1, "Trung tâm Thử", "Bệnh viện tỉnh Thử"))
            rota.set_tier(tx, rota.Tier("Bệnh viện tỉnh Thử", 2, "Bệnh viện tỉnh Thử"))

    def _start_station(self) -> Any:
        made = super()._start_station()
        unhurried(self.conn)
        return made

    def _start_bridge(self) -> Any:
        made = super()._start_bridge()
        event.listen(self.engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous = OFF"))
        return made

    def _told_bridge(self, tx: Any, rows: Any) -> None:
        intake.apply_many(tx, rows)

    def _told_station(self, tx: Connection, arrived: Any) -> None:
        for one in arrived:
            downlink.apply(tx, one.event)

    def stamp(self) -> Stamp:
        """Now, by the station's clock, which may be wrong."""
        return Stamp(self.boot, self.boot, self.boottime_ns() // 100_000_000, self.at + self.skew, ClockQuality.SYNCED)

    def boottime_ns(self) -> int:
        """Since the last start."""
        return int((self.now - self.booted) * 1e9)

    def monotonic(self) -> float:
        """The same in seconds."""
        return self.now - self.booted

    def new_kiosk(self) -> Any:
        """The kiosk's program, started anew: nothing that it had in memory is left. (Its routes, which no history changes, are.)"""
        app = kiosk_routes(self.settings)
        app.extensions["kiosk"] = replace(
            app.extensions["kiosk"], settings=self.settings, clock=self, desks=Desks(self.random), most=0,
            counted=(float("-inf"), 0), moved=(0, float("-inf")), off=set(),
            connect=lambda: unhurried(connect(self.folder / "station.db", key=STORE_KEY)),
        )  # fmt: skip
        return app.test_client()

    def reboot(self, skew: int) -> None:
        """The box restarts with a clock that is `skew` tenths off."""
        self.cut_power("station")
        self.boot, self.booted, self.skew = self.boot + 1, self.now, skew
        self.kiosk = self.new_kiosk()

    def shouting(self) -> bool:
        """What the kiosk tells its page."""
        return bool(self.kiosk.get("/status.json").get_json()["words"])

    def truth(self) -> tuple[bool, bool]:
        """(the bridge has the request and the station knows it, a doctor has opened it and the station knows it)."""
        row = self.conn.execute(
            "SELECT outbox.state, consult.opened FROM consult JOIN outbox ON outbox.id = consult.outbox WHERE consult.id = ?", (CONSULT,)
        ).fetchone()
        with reading(self.engine) as tx:
            there = bridge_consults.get(tx, STATION, CONSULT)
        return row[0] == 2 and there is not None, row[1] is not None and there is not None and there.opened is not None

    def open_by_doctor(self) -> None:
        """A doctor opens the request at the console, if it is there."""
        with writing(self.engine) as tx:
            if bridge_consults.get(tx, STATION, CONSULT) is not None:
                now = Stamp(7, 0, 0, self.at, ClockQuality.SYNCED)
                bridge_answers.open_request(tx, BS, STATION, CONSULT, software="test", now=now)


BS = Account("bs.thu", "BS. Thử", Role.DOCTOR, "Trung tâm Thử", None, False, 1)


def live_really(folder: Path, seed: int) -> tuple[str, bool, bool]:
    """One history with both ends real: (what was wrong, whether the screen was shown, whether the word of a doctor came)."""
    folder.mkdir()
    world, dice = Ends(folder, seed), Random(seed)
    watch, log = Watch(asked=world.now), []
    likely = {
        "turn": 10, "wait": 10, "weather": 1, "line": 2, "reboot": dice.choice([0, 1]), "bridge": dice.choice([0, 1]), "kiosk": 1,
        "clock": 1, "doctor": dice.choice([0, 0, 1, 3]), "broker": dice.choice([0, 1]),
    }  # fmt: skip
    world.net.reachable = dice.random() < 0.7
    try:
        draft = ConsultDraft(PATIENT, Urgency.EMERGENCY, Department.GENERAL, "khó thở")
        consults.request(world.conn, draft, consult=CONSULT, staff="an", now=world.stamp())
        while world.now - watch.asked < REALLY_LASTS:
            what = dice.choices(list(likely), weights=list(likely.values()))[0]
            log.append(f"{world.now - watch.asked:.0f} {what}")
            _happen(world, dice, watch, what)
            watch.received, heard = world.truth()
            watch.quiet = watch.quiet or heard
            wrong = watch.wrong(world.now, world.shouting())
            if wrong:
                return f"{wrong}; {', '.join(log[-12:])}", watch.shown, watch.quiet
        return "", watch.shown, watch.quiet
    finally:
        world.close()


def _happen(world: Ends, dice: Random, watch: Watch, what: str) -> None:
    match what:
        case "turn":
            for side, way in (("station", "up"), ("bridge", "down"), ("station", "up"), ("bridge", "down")):
                world.turn(side)
                world.net.carry(way)
            escalation.turn(world.engine, world.at, Limits())
            world.pass_time(3.0)
        case "wait":
            world.pass_time(dice.choice([20.0, 60.0, 110.0]))
        case "weather":
            world.net.weather = dice.choice([Weather.fine(), Weather(lose=0.5), Weather(forget=0.5, lose_ack=0.5), Weather(repeat=0.5)])
        case "line":
            world.net.reachable = dice.random() < 0.6
            world.net.cut("down")
        case "reboot":
            world.reboot(dice.choice([0, 0, -6_000, 864_000, -17_000_000_000]))
            watch.booted = world.now
        case "bridge":
            world.cut_power("bridge")
        case "kiosk":
            world.kiosk = world.new_kiosk()
        case "clock":
            world.skew = dice.choice([0, 6_000, -6_000, -864_000, 10_000_000])
        case "doctor":
            world.open_by_doctor()
        case "broker":
            world.net.wipe()


def test_in_fifty_histories_with_both_ends_real_it_is_the_same(tmp_path: Path) -> None:
    """Relay, intake, escalation, the console's opening and the kiosk's own words, with loss, cuts, restarts and wrong clocks."""
    ended = []
    for seed in range(REAL):
        wrong, *how = live_really(tmp_path / str(seed), seed)
        assert not wrong, f"history {seed}: {wrong}"
        ended.append(tuple(how))
    assert {(True, False), (False, True)} <= set(ended)  # the screen alone, a doctor alone: both ways out are walked


# --- planted bugs: the property bites -------------------------------------------------------------------------------------------------


def by_wall_clock(conn: Connection, now: Stamp, unreceived_s: int, unopened_s: int) -> list[Unseen]:
    """Bug: the wait is the difference of two wall clocks."""
    saved = conn.execute("SELECT saved FROM consult WHERE id = ?", (CONSULT,)).fetchone()[0]
    return [
        one for one in consults.unseen(conn, now, 0, 0)
        if (now.wall - saved) / 10 >= (unopened_s if one.why == "unopened" else unreceived_s)
    ]  # fmt: skip


def silenced_by_receipt(conn: Connection, now: Stamp, unreceived_s: int, unopened_s: int) -> list[Unseen]:
    """Bug: what the bridge has is as good as seen."""
    return [one for one in consults.unseen(conn, now, unreceived_s, unopened_s) if one.why != "unopened"]


def forgotten_by_reboot(conn: Connection, now: Stamp, unreceived_s: int, unopened_s: int) -> list[Unseen]:
    """Bug: only requests of this boot count."""
    return [one for one in consults.unseen(conn, now, unreceived_s, unopened_s) if one.waited_s is not None]


def ticks_across_boots(conn: Connection, now: Stamp, unreceived_s: int, unopened_s: int) -> list[Unseen]:
    """Bug: ticks of one boot are compared with those of another, so a restart begins the wait anew and longer."""
    ticks = conn.execute("SELECT ticks FROM consult WHERE id = ?", (CONSULT,)).fetchone()[0]
    return [
        one for one in consults.unseen(conn, now, 0, 0)
        if (now.ticks - ticks) / 10 >= (unopened_s if one.why == "unopened" else unreceived_s)
    ]  # fmt: skip


def silenced_by_claim(conn: Connection, now: Stamp, unreceived_s: int, unopened_s: int) -> list[Unseen]:
    """Bug: whoever is said to have taken it is taken for somebody who has opened it."""
    claimed = conn.execute("SELECT claimed_by FROM consult WHERE id = ?", (CONSULT,)).fetchone()[0]
    return [] if claimed else consults.unseen(conn, now, unreceived_s, unopened_s)


def silenced_by_any_answer(conn: Connection, now: Stamp, unreceived_s: int, unopened_s: int) -> list[Unseen]:
    """Bug: an answer that could not be verified counts."""
    aside = conn.execute("SELECT count(*) FROM quarantine").fetchone()[0]
    return [] if aside else consults.unseen(conn, now, unreceived_s, unopened_s)


def too_eager(conn: Connection, now: Stamp, _unreceived_s: int, _unopened_s: int) -> list[Unseen]:
    """Bug: it shouts at once, and people learn not to listen."""
    return consults.unseen(conn, now, 0, 0)


@pytest.mark.parametrize(
    "bug",
    [by_wall_clock, silenced_by_receipt, forgotten_by_reboot, ticks_across_boots, silenced_by_claim, silenced_by_any_answer, too_eager],
)
def test_a_planted_bug_is_caught(tmp_path: Path, bug: Rule) -> None:
    """Within the first hundred and fifty histories."""
    assert any(live(tmp_path, seed, bug)[0] for seed in range(150))
