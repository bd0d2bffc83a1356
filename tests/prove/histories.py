"""P4: a small district in one process, and everything that can happen to it, decided by a seed.

Boxes with the product's own stores, one bridge with its own, between them a broker in memory that loses, repeats,
reorders, forgets and comes back with an old file. Clocks are turned by hand and jump; links are cut one after the other and
return in another order; the plug is pulled between any two steps; copies of bridges and cards are put back; cards are
cloned and flashed anew. Nothing here asks the machine for the time or for chance: the same seed is the same history.

The oracle is a ledger of what people were told: everything accepted arrives, once, in the order of its lane, the box never
believes what is not so, the window holds, and when the weather clears up everybody comes to rest.
"""

import hashlib
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from appliance.contract.events import ConsultOpened, ConsultWithdrawn, Event
from appliance.contract.lanes import Lane
from appliance.contract.readings import ClockQuality, Stamp
from appliance.contract.receipts import LaneReceipt, Receipt, seal_receipt
from appliance.contract.topics import DOWN, topic
from appliance.database import Connection, connect, transaction
from appliance.relay import rules
from appliance.relay.line import Acked
from appliance.relay.pump import Pump
from appliance.store import boots
from appliance.store.inbox import StationStore
from appliance.store.outbox import append
from appliance.store.speaking import station_end
from cloud_bridge.carrier import bridge_end
from cloud_bridge.store import outbox as bridge_outbox
from cloud_bridge.store import tables
from cloud_bridge.store.engine import open_engine
from cloud_bridge.store.inbox import BridgeStore
from tests.prove.pool import pool
from tests.prove.result import Found, Size, pick
from tests.saboteurs.bugs import BUGS
from tests.world import (
    RECEIPT_KEY,
    SHARD,
    STATION_KEY,
    STORE_KEY,
    Fuse,
    Fused,
    Net,
    NetLink,
    PowerCutError,
    Weather,
    new_bridge,
    new_station,
)

PUBLIC = Ed25519PrivateKey.from_private_bytes(STATION_KEY).public_key().public_bytes_raw()
THIEF = Ed25519PrivateKey.from_private_bytes(b"\x66" * 32)
STEPS = 24
SETTLE_ROUNDS = 400
NAMES = ("tram-0001", "tram-0002", "tram-0003")
CACHE: dict[Any, Any] = {}
"""Compiled statements, shared by the engines of all histories."""
WEATHERS = (
    Weather.fine(),
    Weather(lose=0.3, lose_ack=0.2),
    Weather(forget=0.5),
    Weather(repeat=0.5, shuffle=0.5),
    Weather(lose=0.1, forget=0.2, repeat=0.3, shuffle=0.3, lose_ack=0.2),
)


class Sky(Net):
    """A broker with a queue for each station, whose PUBACKs take a moment, and which may come back with an old file."""

    def __init__(self, dice: Random) -> None:
        super().__init__(dice)
        self.queues = {"up": []}
        self.late: list[tuple[NetLink, int]] = []
        self.flying: dict[int, int] = {}
        self.answered: set[int] = set()
        self.overrun: list[str] = []

    def queue_of(self, topic: str) -> str:
        """The bridge's, or that of one station."""
        _, _, station, way, _ = topic.split("/")
        return "up" if way == "up" else f"down/{station}"

    def link(self, listens: str, *, keep: bool) -> NetLink:
        """A new line; its queue is there from now on."""
        self.queues.setdefault(listens, [])
        return super().link(listens, keep=keep)

    def sent(self, link: NetLink, topic: str, payload: bytes, token: int, *, sure: bool) -> None:
        """A PUBLISH; too many of them un-PUBACKed break the window. One of QoS 0 has no PUBACK and stands in no window."""
        self.queues.setdefault(self.queue_of(topic), [])
        if sure and link.listens != "up" and payload[:1] not in (b"\x12", b"\x13"):
            self.flying[id(link)] = self.flying.get(id(link), 0) + 1
            most = rules.WINDOW_MOST if id(link) in self.answered else rules.WINDOW
            if self.flying[id(link)] > most:
                self.overrun.append(f"{self.flying[id(link)]} messages un-PUBACKed on {link.listens}, allowed are {most}")
        super().sent(link, topic, payload, token, sure=sure)

    def acknowledge(self, link: NetLink, token: int) -> None:
        """The PUBACK is on its way."""
        self.late.append((link, token))

    def beat(self) -> None:
        """PUBACKs arrive."""
        late, self.late = self.late, []
        for link, token in late:
            if link.up:
                self.flying[id(link)] = max(0, self.flying.get(id(link), 0) - 1)
                self.answered.add(id(link))
            link.hear(Acked(token))

    def carry(self, way: str, most: int = 10_000) -> int:
        """As ever; a line that went down has nothing in flight."""
        self.beat()
        for link in self.ends.values():
            if not link.up:
                self.flying.pop(id(link), None)
                self.answered.discard(id(link))
        return super().carry(way, most)

    def haunt(self, count: int) -> None:
        """The broker comes back with an old file: what was delivered long ago is delivered again."""
        for name, payload in self.dice.sample(self.carried, min(count, len(self.carried))):
            self.queues[self.queue_of(name)].append((name, payload))


@dataclass
class Said:
    """What people at one station were told: numbers in the order of saying, by lane; `maybe` may arrive, nobody was promised it."""

    up: dict[int, list[int]] = field(default_factory=dict)
    down: list[int] = field(default_factory=list)
    maybe: set[int] = field(default_factory=set)
    again: bool = False
    """An older copy of a card or of the bridge was put back: the wire may tell again what the clinic then knows by its number."""


class Box:
    """One station: its file, its pump, its clock's error."""

    def __init__(self, town: "Town", name: str, file: Path) -> None:
        self.town, self.name, self.file = town, name, file
        self.fuse, self.said = Fuse(), Said()
        self.skew, self.news, self.images = 0, True, 0
        self.start()

    def start(self) -> None:
        """Begin from what the card says."""
        self.conn: Connection = connect(self.file, key=STORE_KEY)
        self.conn.execute("PRAGMA synchronous = OFF")  # this history pulls plugs on programs; power.py does it to disks
        store = StationStore(self.conn, self.name, SHARD)
        town = self.town
        end = station_end(self.conn, store, now=self.wall, say=town.say, randomly=town.random, dice=town.dice.random)
        end = replace(end, apply=_told_station)
        link = town.net.link(f"down/{self.name}", keep=False)
        self.pump = Pump(Fused(store, self.fuse), Fused(link, self.fuse), end, [(self.name, SHARD)])
        self.link, self.news, self.due = link, True, float("-inf")

    def wall(self) -> int:
        """Tenths of a second since 1970, as this box believes."""
        return self.town.at + self.skew

    def stop(self) -> None:
        """The plug is pulled."""
        self.town.net.cut(f"down/{self.name}")
        self.fuse.left = None
        self.conn.close()

    def turn(self) -> None:
        """One turn, or the death in the middle of one."""
        if not (self.news or self.link.heard or self.link.coming or self.pump.basket or self.town.now >= self.due):
            return  # as the real carrier: no reason, no turn
        news, self.news = self.news, False
        try:
            self.due = self.town.now + self.pump.turn(self.town.now, self.wall(), news=news)
        except PowerCutError:
            self.stop()
            self.start()

    def record(self, lane: int, text: str = "", *, cut: bool = False) -> None:
        """Somebody saves something; when `cut`, the plug is pulled before the commit and nobody was told."""
        uid = self.town.number()
        stamp = Stamp(1, 1, int(self.town.now * 10), self.wall(), ClockQuality.UNKNOWN)
        try:
            with transaction(self.conn):
                append(self.conn, Event(stamp, "an", "test", ConsultWithdrawn(uid, text)), Lane(lane))
                if cut:
                    raise PowerCutError
        except PowerCutError:
            return
        self.said.up.setdefault(int(lane), []).append(uid)
        self.news = True

    def image(self) -> Path:
        """A copy of the card."""
        self.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.images += 1
        copy = self.file.with_name(f"{self.name}-image-{self.images}")
        shutil.copy(self.file, copy)
        return copy

    def put(self, card: Path, before: "Said | None" = None) -> None:
        """Another card is put in. What stood only on the old one is nobody's promise any more."""
        here = {row[0] for row in self.town.look.execute("SELECT uid FROM told")}
        self.stop()
        for suffix in ("", "-wal", "-shm"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)
        shutil.copy(card, self.file)
        known = {uid for lane in (before.up.values() if before else ()) for uid in lane}
        self.said.maybe |= {uid for lane in self.said.up.values() for uid in lane if uid not in known and uid not in here}
        if before is None:
            self.said.maybe |= set(self.said.down)  # a new card: nobody can ask it what the box had already vouched for
        self.said.again = True
        self.start()


class Town:
    """The district of one seed. `bugs`: names of what is wrong with it on purpose (only what cannot be planted in the code)."""

    def __init__(self, folder: Path, seed: int, boxes: int, bugs: frozenset[str] = frozenset()) -> None:
        self.folder, self.bugs = folder, bugs
        self.dice, self.net = Random(seed), Sky(Random(seed + 1))
        self.now, self.at, self.bridge_skew = 1000.0, 17_900_000_000, 0
        self.count, self.restored, self.bridge_news, self.looks = 0, 0, True, False
        self.forgotten: set[int] = set()
        """What the bridge had been told and has forgotten, because an older copy of it was put back."""
        self.trace = hashlib.sha256()
        self.tallies: dict[str, int] = {}
        self.fuse = Fuse()
        shutil.copy(_bridge(), folder / "bridge.sqlite")
        self._start_bridge()
        self.look = connect(folder / "bridge.sqlite", key=None, page_size=4096)
        self.boxes = [self._new_box(name) for name in NAMES[:boxes]]

    def random(self, count: int) -> bytes:
        """Random bytes of this seed."""
        return self.dice.randbytes(count)

    def number(self) -> int:
        """A number nobody has used."""
        self.count += 1
        return self.count

    def say(self, step: str, **ids: object) -> None:
        """The journal goes into the trace by which two runs of a seed are compared."""
        self.trace.update(f"{step} {ids.get('lane')} {ids.get('seq')} {ids.get('count')};".encode())

    def _new_box(self, name: str) -> Box:
        file = self.folder / f"{name}.db"
        self._flash(file, self.random(8))
        return Box(self, name, file)

    def _flash(self, file: Path, epoch: bytes) -> None:
        """A new card: as `tram init` leaves it."""
        shutil.copy(new_station(), file)
        conn = connect(file, key=STORE_KEY)
        with transaction(conn):
            conn.execute("UPDATE epoch SET epoch = ?", (epoch,))
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        conn.close()

    def _start_bridge(self) -> None:
        self.engine: Engine = open_engine(f"sqlite:///{self.folder / 'bridge.sqlite'}")
        self.engine = self.engine.execution_options(compiled_cache=CACHE)
        store = BridgeStore(self.engine, [SHARD])
        end = bridge_end(
            store, (0, RECEIPT_KEY), apply=_told_bridge, station_key=lambda _tx, name: (0, PUBLIC) if name in NAMES else None,
            now=lambda: self.at + self.bridge_skew, say=self.say, randomly=self.random, dice=self.dice.random,
        )  # fmt: skip
        old = self.net.ends.get("up")
        link = self.net.link("up", keep=True)
        if old is not None:  # the broker keeps the session of the fixed client id
            link.known = old.known
            self.net.queues["up"][:0] = old.unacked.values()
        self.bridge = Pump(Fused(store, self.fuse), Fused(link, self.fuse), end)
        self.bridge_link, self.bridge_news, self.bridge_due = link, True, float("-inf")

    def _stop_bridge(self) -> None:
        self.net.cut("up")
        self.fuse.left = None
        self.engine.dispose()

    def turn_bridge(self) -> None:
        """One turn of the bridge, or its death in the middle of one."""
        stirred = self.bridge_link.heard or self.bridge.basket
        if not (self.bridge_news or stirred or self.now >= self.bridge_due):
            return
        news, self.bridge_news = self.bridge_news or self.looks, bool(stirred)  # the real carrier looks five times a second
        try:
            self.bridge_due = self.now + self.bridge.turn(self.now, self.at + self.bridge_skew, news=news)
        except PowerCutError:
            self._stop_bridge()
            self._start_bridge()

    def answer(self, box: Box, lane: int) -> None:
        """A doctor says something to a station."""
        uid = self.number()
        stamp = Stamp(1, 1, int(self.now * 10), self.at, ClockQuality.SYNCED)
        with self.engine.begin() as tx:
            bridge_outbox.append(tx, box.name, Event(stamp, "bs", "test", ConsultOpened(uid, "BS")), Lane(lane))
        box.said.down.append(uid)
        self.bridge_news = True

    def work(self, rounds: int, most: int = 10_000) -> int:
        """Everybody works; how many messages moved."""
        moved = 0
        for _ in range(rounds):
            for box in self.boxes:
                box.turn()
            moved += self.net.carry("up", most)
            self.turn_bridge()
            for box in self.boxes:
                moved += self.net.carry(f"down/{box.name}", most)
        return moved

    # --- what can happen ------------------------------------------------------------------------------------------------

    def step(self) -> None:  # noqa: C901, PLR0912 - one line for each thing that can happen
        """One thing happens."""
        dice = self.dice
        box = dice.choice(self.boxes)
        match dice.randrange(24):
            case 0 | 1 | 2 | 3:
                for _ in range(dice.randrange(1, 5)):
                    box.record(dice.choice([0, 1, 2, 2, 3, 4]), cut=dice.random() < 0.1)
            case 4 | 5:
                self.answer(box, dice.choice([0, 0, 1, 2]))
            case 6 | 7:
                self._pull_the_plug(box)
            case 8:
                self.net.weather = dice.choice(WEATHERS)
            case 9:
                self.net.wipe() if dice.random() < 0.5 else self.net.haunt(dice.randrange(1, 12))
            case 10 | 11:
                self._swizzle()
            case 12:
                self._jump(box)
            case 13:
                self._lie(box)
            case 14 if dice.random() < 0.3:
                self._burst(box)
            case 15 if dice.random() < 0.4:
                self._older_bridge()
            case 16 if dice.random() < 0.5:
                self._other_card(box)
            case 17 if dice.random() < 0.6:
                self._long_outage(box)
            case _:
                self.work(3, dice.choice([1, 3, 10_000, 10_000]))
                self.pass_time(dice.choice([0.3, 3.0, 61.0]))

    def tally(self, what: str) -> None:
        """It happened once more."""
        self.tallies[what] = self.tallies.get(what, 0) + 1
        self.trace.update(what.encode())

    def _pull_the_plug(self, box: Box) -> None:
        """An end dies between any two steps, with work in its hands."""
        self.tally("plugs pulled")
        for _ in range(self.dice.randrange(3)):
            box.record(self.dice.choice([0, 2]))
        box.turn()
        self.net.carry("up")
        self.bridge_news = True
        if self.dice.random() < 0.5:
            self.fuse.left = self.dice.randrange(40)
            self.turn_bridge()
            self.fuse.left = None
        else:
            box.fuse.left = self.dice.randrange(30)
            box.turn()
            box.fuse.left = None
        self.net.carry(f"down/{box.name}")
        box.turn()

    def _swizzle(self) -> None:
        """Some links are cut one after the other, and come back in another order."""
        self.tally("links swizzled")
        names = [*self.net.ends]
        chosen = self.dice.sample(names, self.dice.randrange(1, len(names) + 1))
        for name in chosen:
            self.net.ends[name].blocked = True
            self.net.cut(name)
            self.work(1)
            self.pass_time(self.dice.choice([0.3, 3.0]))
        for name in self.dice.sample(chosen, len(chosen)):
            self.net.ends[name].blocked = False
            self.work(1)
            self.pass_time(self.dice.choice([0.3, 20.0]))

    def _jump(self, box: Box) -> None:
        """A clock jumps: of the box (56 years back to 6 forward) or of the bridge (a day)."""
        self.tally("clock jumps")
        year = 365 * 24 * 36_000
        if self.dice.random() < 0.8:
            box.skew = self.dice.choice([0, -56 * year, 6 * year, self.dice.randrange(-72_000, 72_000)])
        else:
            self.bridge_skew = self.dice.randrange(-864_000, 864_000)

    def _lie(self, box: Box) -> None:
        """Somebody on the broker says that the bridge has everything, with a key of his own or with none."""
        self.tally("forged receipts")
        epoch = boots.epoch(box.conn)[1]
        for lane in range(5):
            box.record(lane)
        lanes = tuple(LaneReceipt(lane, 1_000_000, 1_000_000) for lane in range(5))
        tops = dict(box.conn.execute("SELECT lane, frozen FROM lane WHERE epoch = (SELECT max(id) FROM epoch)").fetchall())
        lanes = tuple(LaneReceipt(lane, top, top) for lane, top in tops.items()) or lanes
        store = box.conn.execute("SELECT 1").fetchone() and bridge_store(self.look)
        nonce = box.pump.talks[box.name].nonce
        payload = seal_receipt(Receipt(box.name, epoch, store, 1 << 40, nonce, lanes), THIEF)
        self.net.queues[f"down/{box.name}"].append((topic(SHARD, box.name, DOWN, Lane.URGENT), payload))
        self.net.carry(f"down/{box.name}")
        box.turn()

    def _burst(self, box: Box) -> None:
        """Much waits, and the link returns: the window must hold."""
        self.tally("bursts")
        self.net.cut(f"down/{box.name}")
        for _ in range(30):
            box.record(2, self.dice.randbytes(600).hex())
        self.work(3)
        self.pass_time(3.0)

    def _older_bridge(self) -> None:
        """A backup of the bridge is made, work goes on, and the old copy is put back."""
        if self.restored:
            return
        self.tally("older bridges put back")
        self.engine.dispose()
        self.look.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        copy = self.folder / "backup.sqlite"
        shutil.copy(self.folder / "bridge.sqlite", copy)
        knew = {box.name: list(box.said.down) for box in self.boxes}
        for _ in range(self.dice.randrange(1, 4)):
            box = self.dice.choice(self.boxes)
            box.record(self.dice.choice([0, 2]))
            self.answer(box, 0)
            self.work(2)
        self._stop_bridge()
        had = self._told()
        self.look.close()
        for suffix in ("", "-wal", "-shm"):
            (self.folder / f"bridge.sqlite{suffix}").unlink(missing_ok=True)
        shutil.copy(copy, self.folder / "bridge.sqlite")
        self._start_bridge()
        self.look = connect(self.folder / "bridge.sqlite", key=None, page_size=4096)
        self.restored += 1
        self.forgotten = had - self._told()
        for box in self.boxes:
            box.said.again = True
            box.said.maybe |= set(box.said.down) - set(knew[box.name])

    def _told(self) -> set[int]:
        return {row[0] for row in self.look.execute("SELECT uid FROM told").fetchall()}

    def _other_card(self, box: Box) -> None:
        """An older copy of the card comes back, or its clone in another box, or a new card."""
        how = self.dice.choice(["older cards put back", "cards cloned", "cards flashed anew"])
        self.tally(how)
        if how == "older cards put back":
            card, before = box.image(), Said({lane: list(said) for lane, said in box.said.up.items()})
            for _ in range(self.dice.randrange(1, 4)):
                box.record(self.dice.choice([0, 2]))
                self.answer(box, 0)
                self.work(1)
            box.put(card, before)
        elif how == "cards cloned":
            card = box.image()
            box.put(card, box.said)  # `tram init` sees other hardware and begins an epoch before anything is written
            with transaction(box.conn):
                boots.open_epoch(box.conn, self.random(8), "machine", box.wall())
        else:
            card = self.folder / "new.db"
            epoch = boots.epoch(box.conn)[1] if "epoch reuse" in self.bugs else self.random(8)
            self._flash(card, epoch)
            box.put(card)

    def _long_outage(self, box: Box) -> None:
        """A link is away for more than a day; then the broker remembers things of before."""
        self.tally("days without a link")
        box.record(2)
        self.work(2)
        box.link.blocked = True
        self.net.cut(f"down/{box.name}")
        self.pass_time(self.dice.choice([90_000.0, 200_000.0]))
        self.net.haunt(self.dice.randrange(1, 12))
        self.work(2)
        box.link.blocked = False

    def pass_time(self, seconds: float) -> None:
        """The clocks move on."""
        self.now += seconds
        self.at += round(seconds * 10)

    # --- the verdict ----------------------------------------------------------------------------------------------------

    def settle(self) -> list[str]:
        """The weather clears up; what is still owed when nobody has anything to do any more."""
        self.net.weather, self.net.reachable = Weather.fine(), True
        for link in self.net.ends.values():
            link.blocked = False
        for fuse in (self.fuse, *(box.fuse for box in self.boxes)):
            fuse.left = None
        quiet, self.looks = 0, True
        for _ in range(SETTLE_ROUNDS):
            moved = self.work(1)
            quiet = quiet + 1 if not moved and not self.owed() else 0
            here = {box.name for box in self.boxes}
            later = [when for when, name in self.bridge.later if name in here]
            if quiet >= 3 and not later:
                return []
            if quiet >= 3:  # the bridge means to ask somebody again
                self.pass_time(max(0.0, min(later) - self.now))
            self.pass_time(0.3 if moved else 20.0)
        return [f"never comes to rest: {self.owed()}"]

    def owed(self) -> dict[str, int]:
        """How many events one end has not vouched for yet."""
        found = {box.name: int(box.conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0]) for box in self.boxes}
        found["bridge"] = int(self.look.execute("SELECT count(*) FROM relay_outbox WHERE state = 0").fetchone()[0])
        return {name: count for name, count in found.items() if count}

    def believed_wrongly(self) -> list[str]:
        """What a box calls received although the bridge does not have it."""
        wrong = []
        here: set[tuple[str, bytes, int, int]] | None = None
        for box in self.boxes:
            rows = box.conn.execute(
                "SELECT epoch.epoch, outbox.lane, outbox.seq FROM outbox JOIN epoch ON epoch.id = outbox.epoch WHERE state = 2"
            ).fetchall()
            if rows and here is None:
                here = {
                    (row[0], bytes(row[1]), row[2], row[3])
                    for row in self.look.execute("SELECT station, epoch, lane, seq FROM relay_event").fetchall()
                }
            wrong += [
                f"{box.name} calls lane {row[1]} number {row[2]} received, and the bridge does not have it"
                for row in rows
                if (box.name, bytes(row[0]), row[1], row[2]) not in (here or ())
            ]
        return wrong

    def judge(self) -> list[str]:
        """What is wrong when everybody has come to rest."""
        told = {row[0]: tuple(row) for row in self.look.execute("SELECT uid, times, station, epoch, lane, seq FROM told").fetchall()}
        wrong: list[str] = [*self.net.overrun[:3]]
        ever: set[int] = set()
        for box in self.boxes:
            ever |= {uid for lane in box.said.up.values() for uid in lane}
            for lane, said in box.said.up.items():
                for uid in said:
                    if uid not in told:
                        wrong += [] if uid in box.said.maybe else [f"lost on the way up: {uid} of {box.name}, lane {lane}"]
                    elif told[uid][1] != 1 and not box.said.again:
                        wrong.append(f"told {told[uid][1]} times: {uid} of {box.name}")
                wrong += self._disorder(box, lane, [told[uid] for uid in said if uid in told])
            wrong += self._shown(box)
        wrong += [f"never said, or cut before its commit: {uid}" for uid in told if uid not in ever]
        return wrong + self.believed_wrongly()

    def _disorder(self, box: Box, lane: int, rows: list[tuple[Any, ...]]) -> list[str]:
        places: dict[bytes, list[int]] = {}
        for row in rows:
            if row[0] not in self.forgotten:  # in an epoch that began meanwhile it can only stand behind what was said since
                places.setdefault(bytes(row[3]), []).append(row[5])
        return [f"lane {lane} of {box.name} out of order" for seqs in places.values() if seqs != sorted(seqs)]

    def _shown(self, box: Box) -> list[str]:
        shown = {row[0]: row[1] for row in box.conn.execute("SELECT uid, times FROM told").fetchall()}
        wrong = [f"lost on the way down: {uid} of {box.name}" for uid in box.said.down if uid not in shown and uid not in box.said.maybe]
        if not box.said.again:
            wrong += [f"shown {times} times: {uid} of {box.name}" for uid, times in shown.items() if times != 1]
        return wrong

    def close(self) -> None:
        """Let go of the files."""
        self.look.close()
        for box in self.boxes:
            box.conn.close()
        self.engine.dispose()


def bridge_store(look: Connection) -> bytes:
    """The bridge's incarnation, which everybody on the broker can read in its hellos."""
    return bytes.fromhex(look.execute("SELECT value FROM bridge_meta WHERE key = 'store_id'").fetchone()[0])


def _told_bridge(tx: Any, rows: Any) -> None:
    """The clinic at the bridge counts how often it is told each thing."""
    for station, event, _, (epoch, lane, seq) in rows:
        tx.exec_driver_sql(
            "INSERT INTO told (uid, times, station, epoch, lane, seq) VALUES (?, 1, ?, ?, ?, ?) ON CONFLICT (uid) DO UPDATE SET"
            " times = told.times + 1",
            (event.body.consult, station, epoch, lane, seq),
        )


def _told_station(tx: Connection, arrived: Any) -> None:
    for one in arrived:
        tx.execute(
            "INSERT INTO told (uid, times) VALUES (?, 1) ON CONFLICT (uid) DO UPDATE SET times = times + 1", (one.event.body.consult,)
        )


@cache
def _bridge() -> Path:
    """A bridge's file that knows every station of the district."""
    path = new_bridge().with_name("district.sqlite")
    shutil.copy(new_bridge(), path)
    engine = open_engine(f"sqlite:///{path}")
    with engine.begin() as tx:
        for name in NAMES[1:]:
            known = {
                "id": name,
                "shard": SHARD,
                "name": name,
                "organisation": "",
                "tier": 0,
                "key_id": 0,
                "public": PUBLIC,
                "registered": 0,
            }
            tx.execute(tables.station.insert().values(**known))
        tx.exec_driver_sql("DROP TABLE told")
        tx.exec_driver_sql(
            "CREATE TABLE told (uid INTEGER PRIMARY KEY, times INTEGER, station TEXT, epoch BLOB, lane INTEGER, seq INTEGER)"
        )
    engine.dispose()
    conn = connect(path, key=None, page_size=4096)
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    return path


@dataclass
class Told:
    """One history: what was wrong with it, what happened in it, and its fingerprint."""

    seed: int
    wrong: list[str]
    tallies: dict[str, int]
    events: int
    print: str


@contextmanager
def memory() -> Iterator[Path]:
    """A folder in memory where there is one."""
    root = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tram-prove-", dir=root if root.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def history(seed: int, bugs: frozenset[str] = frozenset()) -> Told:
    """One history from its seed."""
    dice = Random(f"history {seed}")
    with memory() as folder:
        town = Town(folder, dice.randrange(1 << 30), dice.choice([1, 2, 2, 3]), bugs)
        try:
            wrong: list[str] = []
            for _ in range(STEPS):
                town.step()
                if not town.restored and (wrong := town.believed_wrongly()):
                    break  # at once: a hello of tomorrow would heal what was promised too early today
            wrong = wrong or town.settle() or town.judge()
            rows = town.look.execute("SELECT uid, times, station, lane, seq FROM told ORDER BY uid").fetchall()
            town.trace.update(repr([tuple(row) for row in rows]).encode())
            return Told(seed, wrong, town.tallies, town.count, town.trace.hexdigest()[:16])
        finally:
            town.close()


# --- the proof ------------------------------------------------------------------------------------------------------------

HISTORIES = {"pinch": 6, "commit": 1_000, "night": 50_000, "release": 1_000_000}
REPLAYED = {"pinch": 2, "commit": 10, "night": 100}
PATIENCE_SEEDS = 200
"""Within so many histories every planted bug must show."""
SABOTEURS: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "acknowledged before the commit": (("ack-before-commit",), frozenset()),
    "no duplicate check": (("no-duplicate-check",), frozenset()),
    "duplicates known for 24 hours only": (("dedup-window-24h",), frozenset()),
    "epoch used again after a card was flashed": (("blind-to-higher-numbers",), frozenset({"epoch reuse"})),
    "deleted on PUBACK": (("settle-at-puback",), frozenset()),
    "window ignored": (("no-window",), frozenset()),
    "unsigned receipt accepted": (("unsigned-receipts",), frozenset()),
}


def _part(seeds: range) -> list[Told]:
    return [history(seed) for seed in seeds]


def _caught(name: str, start: int) -> tuple[str, int | None]:
    """The first history in which a planted bug shows, counted from `start`."""
    planted, bugs = SABOTEURS[name]
    undos = [BUGS[one]() for one in planted]
    try:
        return name, next((seed for seed in range(start, start + PATIENCE_SEEDS) if _shows(seed, bugs)), None)
    finally:
        for undo in reversed(undos):
            undo()


def _shows(seed: int, bugs: frozenset[str]) -> bool:
    return bool(history(seed, bugs).wrong)


def attempt(size: Size, seed: int) -> Found:
    """P4: so many histories on two cores, some of them twice, then the bugs."""
    many, again = pick(size, HISTORIES), pick(size, REPLAYED)
    found = Found()
    steps = [range(start, min(start + 10, seed + many)) for start in range(seed, seed + many, 10)]
    began, tallies = time.monotonic(), Counter[str]()
    with pool() as workers:
        told = [one for part in workers.map(_part, steps) for one in part]
        took = time.monotonic() - began
        twice = [one for part in workers.map(_part, [range(seed + place, seed + place + 1) for place in range(again)]) for one in part]
        if size != "pinch":
            for name, where in workers.map(_caught, SABOTEURS, [seed] * len(SABOTEURS)):
                found.saboteurs[name] = where is not None
                found.notes += [f"{name}: seen in history {where}"] if where is not None else []
    for one in told:
        tallies.update(one.tallies)
        found.wrong += [f"history {one.seed}: {'; '.join(one.wrong[:3])}"] if one.wrong else []
    found.wrong += [f"history {a.seed} was another one the second time" for a, b in zip(told, twice, strict=False) if a.print != b.print]
    found.figures = {"histories": len(told), "events": sum(one.events for one in told), **tallies, "replayed": len(twice)}
    found.figures["histories a second"] = len(told) / took
    return found
