"""P9: the bridge's store is put back by a day while many boxes go on working. Nobody touches a box, and everything is there again.

A district in one process with the product's own stores on both sides: stations record and ask, doctors sign answers, a
verified backup is made, then comes the day that will be lost: records, requests, pictures' worth of them, answers that
stations have and answers that they have not. Then the disk dies, `restore` puts the backup back, and everybody goes on.

Counted afterwards, against a ledger: records lost or doubled, answers lost or shown twice at a station, answered requests
that a doctor would find open, events called safe that are in no backup. The saboteur keeps the old store id, which the same look must find.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, func, select

from appliance.contract.answers import DOMAIN, Answer, answer_bytes
from appliance.contract.events import AnswerSigned, Department, Event, PatientRegistered, Urgency
from appliance.contract.lanes import Lane
from appliance.contract.readings import ClockQuality, Stamp
from appliance.database import Connection, connect, transaction
from appliance.relay.pump import Pump
from appliance.relay.storage import Stream
from appliance.store import consults, keys, patients
from appliance.store.consults import ConsultDraft
from appliance.store.inbox import StationStore
from appliance.store.outbox import is_safe
from appliance.store.patients import PatientDraft
from appliance.store.speaking import station_end
from cloud_bridge import backup, intake
from cloud_bridge.carrier import bridge_end
from cloud_bridge.store import answers, relay_tables, safe, tables
from cloud_bridge.store import consults as asked_for
from cloud_bridge.store import outbox as down
from cloud_bridge.store.engine import open_engine, reading
from cloud_bridge.store.inbox import BridgeStore
from tests.prove.histories import Sky
from tests.saboteurs.bugs import BUGS
from tests.world import RECEIPT_KEY, SHARD, STATION_KEY, STORE_KEY, Weather, new_bridge, new_station

ANSWER_KEY = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
PUBLIC = Ed25519PrivateKey.from_private_bytes(STATION_KEY).public_key().public_bytes_raw()
ROUNDS = 600


@dataclass
class Box:
    """A station: its store and its end of the relay; `said` are its events by lane and number, `asked` its requests."""

    name: str
    conn: Connection
    pump: Pump
    asked: list[int] = field(default_factory=list)
    answered: dict[int, bytes] = field(default_factory=dict)


class District:
    """Boxes, a broker in memory and a bridge, in a folder."""

    def __init__(self, folder: Path, seed: int, boxes: int) -> None:
        self.folder, self.dice = folder, Random(seed)
        self.net = Sky(Random(seed + 1))
        self.now, self.at, self.count = 1000.0, 17_900_000_000, 0
        self.names = [f"tram-{number:04d}" for number in range(1, boxes + 1)]
        self.url = f"sqlite:///{folder / 'bridge.sqlite'}"
        shutil.copy(new_bridge(), folder / "bridge.sqlite")
        engine = open_engine(self.url)
        with engine.begin() as tx:
            tx.execute(tables.station.delete())
            row = {"shard": SHARD, "organisation": "", "tier": 0, "key_id": 0, "public": PUBLIC, "registered": 0}
            tx.execute(tables.station.insert(), [{"id": name, "name": name, **row} for name in self.names])
        engine.dispose()
        self._start_bridge()
        self.boxes = [self._box(name) for name in self.names]

    def number(self) -> int:
        """A number nobody has used."""
        self.count += 1
        return self.count

    def stamp(self) -> Stamp:
        """Now."""
        return Stamp(1, 1, int(self.now * 10), self.at, ClockQuality.SYNCED)

    def _box(self, name: str) -> Box:
        file = self.folder / f"{name}.db"
        shutil.copy(new_station(), file)
        conn = connect(file, key=STORE_KEY)
        conn.execute("PRAGMA synchronous = OFF")  # nobody pulls plugs here
        with transaction(conn):
            conn.execute("UPDATE epoch SET epoch = ?", (hashlib.sha256(name.encode()).digest()[:8],))
            conn.execute(
                "INSERT INTO meta (key, value) VALUES ('station', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (name,)
            )
            keys.pin(conn, "answer", 0, ANSWER_KEY.public_key().public_bytes_raw())
        store = StationStore(conn, name, SHARD)
        end = station_end(conn, store, now=lambda: self.at, say=_silent, randomly=self.dice.randbytes, dice=self.dice.random)
        return Box(name, conn, Pump(store, self.net.link(f"down/{name}", keep=False), end, [(name, SHARD)]))

    def _start_bridge(self) -> None:
        self.engine: Engine = open_engine(self.url)
        store = BridgeStore(self.engine, [SHARD])
        publics = {0: ANSWER_KEY.public_key()}
        end = bridge_end(
            store, (0, RECEIPT_KEY), apply=lambda tx, rows: intake.take_back(tx, rows, publics), station_key=lambda _tx, _name: (0, PUBLIC),
            now=lambda: self.at, say=_silent, randomly=self.dice.randbytes, dice=self.dice.random,
        )  # fmt: skip
        old, link = self.net.ends.get("up"), self.net.link("up", keep=True)
        if old is not None:
            link.known = old.known
            self.net.queues["up"][:0] = old.unacked.values()
        self.bridge = Pump(store, link, end)

    # --- what people do -------------------------------------------------------------------------------------------------

    def record(self, box: Box) -> None:
        """A patient is registered: an event of lane 2 that the bridge's clinic keeps."""
        draft = PatientDraft(f"Thử Nghiệm {chr(0x41 + self.number() % 26)}", "1961")
        patients.register(box.conn, draft, patient=self.count, staff="an", now=self.stamp())

    def ask(self, box: Box) -> None:
        """A request is sent."""
        self.record(box)
        consult = self.number()
        draft = ConsultDraft(consult - 1, Urgency.ROUTINE, Department.INTERNAL, "Ho")
        consults.request(box.conn, draft, consult=consult, staff="an", now=self.stamp())
        box.asked.append(consult)

    def sign(self, box: Box, consult: int) -> None:
        """A doctor signs an answer."""
        said = Answer(
            station=box.name, consult=consult, answer=self.number(), practitioner="bs.thu", practitioner_name="BS. Trần Thử", at=self.at,
            seen=(), test_data=True, advice=f"Lời khuyên {self.count}",
        )  # fmt: skip
        content = answer_bytes(said)
        signature = ANSWER_KEY.sign(DOMAIN + content)
        with self.engine.begin() as tx:
            answers.keep(
                tx, station=box.name, consult=consult, answer=said.answer, replaces=None, login="bs.thu", name="BS. Trần Thử",
                content=content, sha256=hashlib.sha256(content).digest(), key_id=0, signature=signature, signed=self.at,
            )  # fmt: skip
            asked_for.set_answered(tx, box.name, consult, self.at)
            down.append(tx, box.name, Event(self.stamp(), "bs.thu", "test", AnswerSigned(consult, said.answer, content, 0, signature)))
        box.answered[consult] = content

    # --- what the world does --------------------------------------------------------------------------------------------

    def work(self, rounds: int = 1) -> int:
        """Everybody turns; how many messages moved."""
        moved = 0
        for _ in range(rounds):
            for box in self.boxes:
                box.pump.turn(self.now, self.at)
            moved += self.net.carry("up")
            self.bridge.turn(self.now, self.at)
            for box in self.boxes:
                moved += self.net.carry(f"down/{box.name}")
        return moved

    def pass_time(self, seconds: float) -> None:
        """The clock moves on."""
        self.now += seconds
        self.at += round(seconds * 10)

    def settle(self) -> bool:
        """Fine weather until nothing is owed; False when it never comes to that."""
        self.net.weather, quiet = Weather.fine(), 0
        for _ in range(ROUNDS):
            moved = self.work()
            quiet = quiet + 1 if not moved and not self.owed() else 0
            if quiet >= 3:
                return True
            self.pass_time(0.3 if moved else 20.0)
        return False

    def owed(self) -> int:
        """Events that one end has not vouched for."""
        up = sum(int(box.conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0]) for box in self.boxes)
        with reading(self.engine) as tx:
            waiting = tx.execute(select(func.count()).select_from(relay_tables.outbox).where(relay_tables.outbox.c.state == 0))
            return up + int(waiting.scalar_one())

    def busy(self, hours: int) -> None:
        """A working time in mixed weather: everybody records, some ask, doctors answer."""
        for _ in range(hours):
            for box in self.boxes:
                self.record(box)
                if self.dice.random() < 0.5:
                    self.ask(box)
            self.net.weather = self.dice.choice([Weather.fine(), Weather(lose=0.1, repeat=0.2, shuffle=0.2)])
            for _ in range(4):
                self.work()
                self.pass_time(20)
            self.net.weather = Weather.fine()
            for box in self.boxes:
                with reading(self.engine) as tx:
                    here = [one for one in box.asked if one not in box.answered and asked_for.patient_of(tx, box.name, one) is not None]
                for consult in here:
                    if self.dice.random() < 0.6:
                        self.sign(box, consult)
            self.pass_time(3600)

    def lose_a_day(self, *, raw: Path | None) -> None:
        """The bridge's disk dies and yesterday comes back: by `restore`, or (`raw`) as a file that somebody copied."""
        self.net.cut("up")
        self.engine.dispose()
        if raw is not None:
            for suffix in ("-wal", "-shm"):
                (self.folder / f"bridge.sqlite{suffix}").unlink(missing_ok=True)
            shutil.copy(raw, self.folder / "bridge.sqlite")
        else:
            backup.restore(self.url, self.folder / "to", at=self.at, random=self.dice.randbytes, bury=intake.bury, replace=True)
        self._start_bridge()

    def copy(self) -> Path:
        """A raw copy of the bridge's file."""
        self.engine.dispose()
        conn = connect(self.folder / "bridge.sqlite", key=None, page_size=4096)
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        conn.close()
        return Path(shutil.copy(self.folder / "bridge.sqlite", self.folder / "yesterday.sqlite"))

    def close(self) -> None:
        """Let go of the files."""
        self.engine.dispose()
        for box in self.boxes:
            box.conn.close()


def _silent(_step: str, **_ids: object) -> None:
    """The journal goes nowhere."""


def run(seed: int, boxes: int) -> dict[str, int]:
    """A district of `boxes` loses a day, once by `restore` and once by a raw copy; what was done, and what was wrong (all 0).

    ``saboteur …``: 1 where the planted bug was found by the same look (tried with at most 4 boxes: it needs no district).
    """
    figures = dict.fromkeys(("boxes", "records", "requests", "answers", "answers_of_the_day_that_is_gone", "human_actions_at_boxes"), 0)
    figures["boxes"] = boxes
    for raw in (False, True):
        for name, value in _lost_day(seed + raw, boxes, raw=raw).items():
            figures[name] = figures.get(name, 0) + value
    figures["saboteur store id kept after restore"] = int(_caught("store-id-kept", seed, min(boxes, 2)))
    return figures


def _caught(bug: str, seed: int, boxes: int) -> bool:
    """Whether the look finds something wrong with the planted bug."""
    undo = BUGS[bug]()
    try:
        return _wrong(_lost_day(seed, boxes, raw=False))
    finally:
        undo()


def _wrong(said: dict[str, int]) -> bool:
    return any(value for name, value in said.items() if name.startswith(("lost", "doubled", "missing", "wrong")))


@contextmanager
def _folder() -> Iterator[Path]:
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="tram-restored-", dir=memory if memory.is_dir() else None))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _lost_day(seed: int, boxes: int, *, raw: bool) -> dict[str, int]:
    with _folder() as folder:
        district = District(folder, seed, boxes)
        try:
            district.busy(2)
            district.settle()
            made = backup.make(district.engine, folder / "to", at=district.at, random=district.dice.randbytes)
            copy, before = (district.copy() if raw else None), district.count
            district._start_bridge() if raw else None
            district.busy(3)
            district.work(3)
            lost_day = sum(consult > before for box in district.boxes for consult in box.answered)
            at_stations = {(box.name, one) for box in district.boxes for one in _shown(box)}
            heard = [(topic, payload) for topic, payload in district.net.carried if payload[:1] == b"\x12" and "/down/" in topic]
            district.lose_a_day(raw=copy)
            with reading(district.engine) as tx:
                same = down.store_id(tx) == made.store
            for topic, payload in district.dice.sample(heard, min(len(heard), 40 * boxes)):  # the broker plays old receipts again
                district.net.queues[district.net.queue_of(topic)].append((topic, payload))
            district.busy(1)
            calm = district.settle()
            return _judge(district, at_stations, lost_day, calm=calm) | {"wrong_incarnation": int(same and not raw)}
        finally:
            district.close()


def _shown(box: Box) -> list[int]:
    return [row[0] for row in box.conn.execute("SELECT answer FROM answer").fetchall()]


def _judge(district: District, at_stations: set[tuple[str, int]], lost_day: int, *, calm: bool) -> dict[str, int]:
    """What the ledger says, what the stores say, and the difference."""
    figures = dict.fromkeys(
        ("lost_records", "doubled_records", "lost_answers", "doubled_answers", "missing_answers_open_again", "wrong_safe"), 0
    )
    figures["wrong_unrest"] = int(not calm)
    figures["answers_of_the_day_that_is_gone"] = lost_day
    with reading(district.engine) as tx:
        for box in district.boxes:
            _judge_box(tx, box, figures)
            have = {row.answer for consult in box.asked for row in answers.of_consult(tx, box.name, consult)}
            figures["lost_answers"] += len({one for name, one in at_stations if name == box.name} - have)
    return figures


def _judge_box(tx: Any, box: Box, figures: dict[str, int]) -> None:
    c = tables.patient.c
    here = {row.patient for row in tx.execute(select(c.patient).where(c.station == box.name))}
    said = {row[0] for row in box.conn.execute("SELECT id FROM patient").fetchall()}
    figures["records"] = figures.get("records", 0) + len(said)
    figures["requests"] = figures.get("requests", 0) + len(box.asked)
    figures["answers"] = figures.get("answers", 0) + len(box.answered)
    figures["lost_records"] += len(said - here) + sum(asked_for.patient_of(tx, box.name, one) is None for one in box.asked)
    e = relay_tables.event.c
    bodies = [bytes(row.body) for row in tx.execute(select(e.body).where(e.station == box.name, e.kind == PatientRegistered.KIND))]
    figures["doubled_records"] += len(bodies) - len(set(bodies))
    shown = box.conn.execute("SELECT consult, content FROM answer").fetchall()
    figures["doubled_answers"] += len(shown) - len({(row[0], bytes(row[1])) for row in shown})
    signed = {(row.consult, bytes(row.content)) for one in box.asked for row in answers.of_consult(tx, box.name, one)}
    figures["lost_answers"] += len(signed - {(row[0], bytes(row[1])) for row in shown})
    for consult in {row[0] for row in shown}:
        found = asked_for.get(tx, box.name, consult)
        figures["missing_answers_open_again"] += int(found is None or found.answered is None)
    rows = [row[0] for row in box.conn.execute("SELECT id FROM outbox WHERE lane = ?", (int(Lane.READINGS),)).fetchall()]
    held = _held(tx, box)
    figures["wrong_safe"] += sum(is_safe(box.conn, row) and row not in held for row in rows)


def _held(tx: Any, box: Box) -> set[int]:
    """The outbox rows of lane 2 that the latest verified backup of this store holds."""
    found = set()
    for row in box.conn.execute(
        "SELECT outbox.id, epoch.epoch, seq FROM outbox JOIN epoch ON epoch.id = outbox.epoch WHERE lane = ?", (int(Lane.READINGS),)
    ).fetchall():
        marks = safe.marks(tx, Stream(box.name, bytes(row[1]))).get(int(Lane.READINGS))
        if marks is not None and marks.has(row[2], row[2]):
            found.add(row[0])
    return found
