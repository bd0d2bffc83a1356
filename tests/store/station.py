"""A station on a real encrypted file, with a clock that is turned by hand."""

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.agent.clock import Clock
from appliance.contract.answers import DOMAIN, Answer, answer_bytes
from appliance.contract.codec import read_event
from appliance.contract.events import AnswerSigned, Event
from appliance.contract.ids import short_of
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import ClockQuality, Numeric, Reading, ReadingKind, Stamp
from appliance.database import Connection, transaction
from appliance.settings import Settings, load
from appliance.store import downlink, keys, measuring, patients
from appliance.store.boots import seq_of
from appliance.store.init import Initialised, initialise
from appliance.store.opening import open_store
from appliance.store.patients import PatientDraft

STATION = "tram-0001"
CUFF = 4711
"""The device number that readings of these tests carry."""


@dataclass
class Hand:
    """A clock turned by hand; `seconds` since the boot, `boot` a boot id, `wall` the time of the boot, tenths since 1970."""

    seconds: float = 1000.0
    boot: str = "boot-1"
    wall: int = 17_900_000_000
    quality: ClockQuality = ClockQuality.SYNCED

    def clock(self, boot_seq: int) -> Clock:
        """The clock a process of this boot has."""
        return Clock(
            boot_seq,
            boot=short_of(self.boot),
            boottime=lambda: int(self.seconds * 1e9),
            wall=lambda: self.wall * 100_000_000 + int(self.seconds * 1e9),
            quality=lambda: self.quality,
        )


@dataclass
class Station:
    """A station's store, opened. `now` is the moment of the hand-turned clock."""

    settings: Settings
    conn: Connection
    hand: Hand
    clock: Clock
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def now(self) -> Stamp:
        """The moment of the call."""
        return self.clock.stamp()

    def later(self, seconds: float) -> Stamp:
        """Let time pass."""
        self.hand.seconds += seconds
        return self.now

    def power_cut(self, *, off: float = 0.0) -> None:
        """The box restarts: a new boot, ticks from zero, the store opened anew. `off` moves the wall clock as a box without RTC does."""
        self.conn.close()
        self.hand.boot += "'"
        self.hand.wall += int((self.hand.seconds + off) * 10)
        self.hand.seconds = 5.0
        init(self.settings, self.hand)
        self.conn = open_store(self.settings, {})
        self.clock = self.hand.clock(seq_of(self.conn, self.hand.boot, 0))

    def second(self) -> Connection:
        """Another process's connection."""
        return open_store(self.settings, {})

    def patient(self, name: str = "Thử Nghiệm Một", **facts: object) -> int:
        """Register somebody invented."""
        number = next(self.numbers)
        draft = PatientDraft(name, **facts)  # type: ignore[arg-type]  # whatever the test says
        return patients.register(self.conn, draft, patient=number, staff="an", now=self.now).patient

    def session(self, patient: int, device: str = "cuff") -> int:
        """Open a measuring session."""
        return measuring.open_session(self.conn, patient=patient, staff="an", device=device, now=self.now).id

    def reading(self, systolic: int = 115, *, status: Status = Status(0), device_time: str | None = None) -> Reading:
        """A blood pressure of this moment."""
        numerics = (
            Numeric(Metric.SYSTOLIC, systolic, status),
            Numeric(Metric.DIASTOLIC, 74, status),
            Numeric(Metric.MEAN, 88, status),
            Numeric(Metric.PULSE_RATE, 85, status),
        )
        return Reading(ReadingKind.BLOOD_PRESSURE, CUFF, numerics, self.now, device_time=device_time)

    def observe(
        self, began: int | None, reading: Reading | None = None, device: str = "cuff", reason: str | None = None
    ) -> measuring.Observed:
        """Settle a measurement now."""
        reading = reading or self.reading()
        return measuring.observe(self.conn, reading, device=device, began=began, now=self.now, raw=b"\x01\x02", reason=reason)

    def saved(self, patient: int, systolic: int = 115) -> int:
        """A measurement of a patient that somebody has saved; its id."""
        self.later(1)
        seen = self.observe(self.session(patient), self.reading(systolic))
        measuring.record(self.conn, seen.measurement, staff="an", now=self.later(2))
        return seen.measurement

    def events(self, kind: int | None = None) -> list[Event]:
        """What was queued for the bridge, in order."""
        rows = self.conn.execute("SELECT kind, body FROM outbox ORDER BY id").fetchall()
        return [read_event(bytes(row[1])) for row in rows if kind is None or row[0] == kind]

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def receipt(self, lane: int, seq: int, state: int = 2) -> None:
        """The bridge's receipt for one event, as the relay writes it down."""
        with transaction(self.conn):
            self.conn.execute("UPDATE outbox SET state = ?, received = ? WHERE lane = ? AND seq = ?", (state, self.now.wall, lane, seq))

    def arrive(self, *bodies: object) -> None:
        """Events from the bridge, as the inbox hands them on."""
        for body in bodies:
            with transaction(self.conn):
                downlink.apply(self.conn, Event(self.now, "bs", "bridge", body))  # type: ignore[arg-type]  # a body of the contract


@dataclass
class Doctor:
    """Whoever signs at the bridge."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    key_id: int = 0

    def pinned_at(self, station: Station) -> "Doctor":
        """The station trusts this key."""
        with transaction(station.conn):
            keys.pin(station.conn, "answer", self.key_id, self.key.public_key().public_bytes_raw())
        return self

    def answer(
        self, consult: int, answer: int = 1, *, station: str = STATION, advice: str = "Nghỉ ngơi", at: int = 17_900_020_000
    ) -> AnswerSigned:
        """A signed answer."""
        content = answer_bytes(Answer(station, consult, answer, "bs", "BS Thử Nghiệm", at, advice))
        return AnswerSigned(consult, answer, content, self.key_id, self.key.sign(DOMAIN + content))


def settings_at(folder: Path, extra: str = "") -> Settings:
    """The settings of a station whose files are all in `folder`. No key of a bridge is pinned there: parcels are clear."""
    file = folder / "tram.toml"
    extra += "" if "[wire]" in extra else '\n[wire]\nsealing = "off"\n'
    file.write_text(
        f'[station]\nid = "{STATION}"\n[paths]\ndata = "data"\nrun = "run"\n[store]\nkey_file = "store.key"\nballast_mb = 0\n{extra}',
        encoding="utf-8",
    )
    return load([file])


def init(settings: Settings, hand: Hand, **more: object) -> Initialised:
    """`tram init` on a hand-turned clock."""
    said = {"machine": "board-1", "environ": {}} | more
    return initialise(settings, boot_id=hand.boot, stamp=lambda seq: hand.clock(seq).stamp(), random=os.urandom, **said)  # type: ignore[arg-type]  # as given


def station_at(folder: Path, extra: str = "") -> Station:
    """A new station in `folder`."""
    settings, hand = settings_at(folder, extra), Hand()
    init(settings, hand)
    conn = open_store(settings, {})
    return Station(settings, conn, hand, hand.clock(seq_of(conn, hand.boot, 0)))
