"""Both ends with their real stores, a clock turned by hand, and between them a network that does what networks do.

The station is a real encrypted SQLite file, the bridge a real database, both ends run the product's own `End` and `Pump`.
Only broker and wire are replaced: by `Net`, in memory, seeded, which loses, repeats, reorders, delays and forgets as told.
`cut_power` throws away everything an end had in memory, in the middle of any step if asked to; what it knows afterwards
is what its files say. `Ledger` knows what was really said, and `World.judge` compares.
"""

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Engine, select

from appliance.contract.events import ConsultOpened, ConsultWithdrawn, Event, KeyPublished
from appliance.contract.lanes import Lane
from appliance.contract.readings import ClockQuality, Stamp
from appliance.database import Connection, connect, transaction
from appliance.relay.line import Acked, Down, Happening, LinkError, Message, Up
from appliance.relay.pump import Pump
from appliance.store import boots, keys
from appliance.store.inbox import StationStore
from appliance.store.migrations import migrate
from appliance.store.outbox import append
from appliance.store.sealing import StationSeals
from appliance.store.speaking import station_end
from cloud_bridge.carrier import bridge_end
from cloud_bridge.store import migrations, relay_tables, tables
from cloud_bridge.store import outbox as bridge_outbox
from cloud_bridge.store.engine import open_engine
from cloud_bridge.store.inbox import BridgeStore
from cloud_bridge.store.sealing import BridgeSeals

STATION, SHARD = "tram-0001", 7
STATION_KEY = bytes(range(32))
RECEIPT_KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
SEAL_KEY = X25519PrivateKey.from_private_bytes(b"\x09" * 32)
EPOCH, STORE = b"epoch--1", b"store--1"
STORE_KEY = b"\x5a" * 32


class PowerCutError(BaseException):
    """The plug is pulled. No `except` clause of the product may hear of it."""


@dataclass
class Fuse:
    """Blows after `left` more steps; None never blows. Every call of a store and of a link is a step."""

    left: int | None = None

    def burn(self) -> None:
        """One step."""
        if self.left is not None:
            if self.left <= 0:
                raise PowerCutError
            self.left -= 1


class Fused:
    """A real store (or link) whose every call first burns the fuse; so does the moment before and after each commit."""

    def __init__(self, real: Any, fuse: Fuse) -> None:
        self.real = real
        self.fuse = fuse

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.real, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self.fuse.burn()
            return value(*args, **kwargs)

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("real", "fuse", "early"):
            super().__setattr__(name, value)
        else:
            setattr(self.real, name, value)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A transaction that can be cut at its beginning, before its commit, and just after it."""
        self.fuse.burn()
        with self.real.transaction() as tx:
            yield tx
            self.fuse.burn()
        self.fuse.burn()

    @contextmanager
    def savepoint(self, tx: Any) -> Iterator[None]:
        """As it is."""
        with self.real.savepoint(tx):
            yield

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """As it is."""
        with self.real.reading() as tx:
            yield tx


@dataclass
class Weather:
    """How bad the network is, as chances per message. `forget`: the broker acknowledges and then loses."""

    lose: float = 0.0
    forget: float = 0.0
    repeat: float = 0.0
    shuffle: float = 0.0
    lose_ack: float = 0.0

    @classmethod
    def fine(cls) -> "Weather":
        """Everything arrives once and in order."""
        return cls()


class Net:
    """A broker and two lines to it. Messages wait until `carry` moves them on; `dice` decides their fate."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.weather = Weather.fine()
        self.reachable = True
        self.slow = False
        self.ends: dict[str, NetLink] = {}
        self.queues: dict[str, list[tuple[str, bytes]]] = {"up": [], "down": []}
        self.carried: list[tuple[str, bytes]] = []
        self.unsure = 0

    def link(self, listens: str, *, keep: bool) -> "NetLink":
        """A new line for the end that listens to topics of `listens` (``up``: the bridge)."""
        self.ends[listens] = NetLink(self, listens, keep)
        return self.ends[listens]

    def sent(self, link: "NetLink", topic: str, payload: bytes, token: int, *, sure: bool) -> None:
        """A PUBLISH is on its way to the broker; one of QoS 0 is for whoever is there."""
        roll, weather = self.dice.random, self.weather
        self.unsure += not sure
        if roll() < weather.lose:
            return
        self.carried.append((topic, payload))
        reader = self.ends.get(self.queue_of(topic))
        if not sure and (reader is None or not reader.up):
            return
        if roll() >= weather.forget:
            self.queues[self.queue_of(topic)] += [(topic, payload)] * (2 if roll() < weather.repeat else 1)
        if sure and roll() >= weather.lose_ack:
            self.acknowledge(link, token)

    def queue_of(self, topic: str) -> str:
        """Whose queue a message of this topic waits in: that of the bridge, or that of the one station."""
        return topic.split("/")[3]

    def acknowledge(self, link: "NetLink", token: int) -> None:
        """The broker's PUBACK reaches who published: here at once."""
        link.hear(Acked(token))

    def carry(self, way: str, most: int = 10_000) -> int:
        """Hand up to `most` queued messages of one way to whoever listens; how many went."""
        queue, link = self.queues[way], self.ends.get(way)
        if link is None or not link.up:
            if link is None or not link.keep:
                queue.clear()  # nobody listens and nobody asked for a session
            return 0
        if self.dice.random() < self.weather.shuffle:
            self.dice.shuffle(queue)
        going, self.queues[way] = queue[:most], queue[most:]
        for topic, payload in going:
            link.deliver(topic, payload)
        return len(going)

    def cut(self, way: str) -> None:
        """The line of one end breaks."""
        link = self.ends.get(way)
        if link is not None and link.up:
            link.fall("lost")

    def wipe(self) -> None:
        """The broker is killed and starts with nothing."""
        for way, link in self.ends.items():
            self.queues[way] = []
            link.unacked.clear()
            link.known = False
            self.cut(way)


class NetLink:
    """One end's line: satisfies `appliance.relay.line.Link`."""

    largest = 1 << 20
    eager = False
    beat = 0.0
    spent = 0

    def __init__(self, net: Net, listens: str, keep: bool) -> None:
        self.net = net
        self.listens = listens
        self.keep = keep
        self.known = False
        self.up = False
        self.heard: list[Happening] = []
        self.unacked: dict[int, tuple[str, bytes]] = {}
        self.tokens = 0
        self.coming: list[Happening] = []
        self.waited = False
        self.blocked = False
        self.prodded = 0

    @property
    def room(self) -> int:
        """As a broker with a receive maximum of 100 that PUBACKs at once."""
        return 100 if self.up else 0

    def hear(self, one: Happening) -> None:
        """Something has happened, if we are there to notice."""
        if self.up or isinstance(one, Down):
            self.heard.append(one)

    def open(self) -> None:
        """Connect: at once, or not at all; over a slow net the answer is heard a turn later."""
        if not self.net.reachable or self.blocked:
            self.heard.append(Down("refused"))
            return
        if self.net.slow and not self.coming:
            self.coming.append(Up())
            return
        self._come()

    def _come(self) -> None:
        self.coming.clear()
        self.up, self.spent = True, 0
        self.heard.append(Up(resumed=self.keep and self.known))
        if not self.keep:
            self.net.queues[self.listens].clear()
        self.net.queues[self.listens][:0] = self.unacked.values()  # a kept session gives again what was not acknowledged
        self.unacked.clear()
        self.known = True

    def happenings(self) -> list[Happening]:
        """What has happened since the last call."""
        if self.coming and self.waited:
            self._come()
        self.waited = bool(self.coming) and not self.waited
        heard, self.heard = self.heard, []
        return heard

    def publish(self, topic: str, payload: bytes, *, sure: bool = True) -> int:
        """Give it to the net."""
        if not self.up:
            raise LinkError("down")
        self.tokens += 1
        self.spent += len(payload)
        self.net.sent(self, topic, payload, self.tokens, sure=sure)
        return self.tokens

    def deliver(self, topic: str, payload: bytes) -> None:
        """The broker hands us a message."""
        self.tokens += 1
        self.unacked[self.tokens] = (topic, payload)
        self.heard.append(Message(topic, payload, self.tokens))

    def done(self, token: int) -> None:
        """The broker may forget it."""
        self.unacked.pop(token, None)

    def prod(self, within: float) -> None:
        """Whoever is up here answers, and whoever is not has been told."""
        del within
        self.prodded += 1

    def close(self, reason: str) -> None:
        """We have had enough of it."""
        self.fall(reason)

    def fall(self, reason: str) -> None:
        """The connection is gone."""
        self.up = False
        self.heard = [one for one in self.heard if not isinstance(one, Message)]
        self.heard.append(Down(reason))
        if not self.keep:
            self.unacked.clear()


@dataclass
class Ledger:
    """What was really said and committed. `up`: per lane the numbers said at the station, in order; `down`: those of the bridge."""

    up: dict[int, list[int]] = field(default_factory=dict)
    down: dict[int, list[int]] = field(default_factory=dict)
    next: int = 0

    def number(self) -> int:
        """A number nobody has used."""
        self.next += 1
        return self.next


@cache
def _templates() -> Path:
    """A folder for the files every world begins with; it goes when the test run goes."""
    folder = Path(tempfile.mkdtemp(prefix="tram-world-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def new_station() -> Path:
    """A station's file as `tram init` leaves it, as far as the relay is concerned."""
    path = _templates() / "station.db"
    conn = connect(path, key=STORE_KEY)
    migrate(conn)
    with transaction(conn):
        boots.open_epoch(conn, EPOCH, "first", 0)
        keys.make_station_key(conn, STATION_KEY)
        keys.pin(conn, "receipt", 0, RECEIPT_KEY.public_key().public_bytes_raw())
        conn.execute("CREATE TABLE told (uid INTEGER PRIMARY KEY, times INTEGER NOT NULL)")
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    return path


@cache
def new_bridge() -> Path:
    """A bridge's SQLite file as `tram-bridge init` leaves it, as far as the relay is concerned."""
    path = _templates() / "bridge.sqlite"
    make_bridge(f"sqlite:///{path}")
    connection = connect(path, key=None, page_size=4096)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


def make_bridge(url: str) -> None:
    """The tables, a store id, and the clinic's list of what it was told."""
    engine = open_engine(url)
    migrations.migrate(engine)
    with engine.begin() as tx:
        bridge_outbox.set_store_id(tx, STORE)
        public = Ed25519PrivateKey.from_private_bytes(STATION_KEY).public_key().public_bytes_raw()
        known = {
            "id": STATION,
            "shard": SHARD,
            "name": STATION,
            "organisation": "",
            "tier": 0,
            "key_id": 0,
            "public": public,
            "registered": 0,
        }
        tx.execute(tables.station.insert().values(**known))
        tx.exec_driver_sql(
            "CREATE TABLE told (uid BIGINT PRIMARY KEY, times INTEGER NOT NULL, lane INTEGER NOT NULL, place INTEGER NOT NULL)"
        )
    engine.dispose()


Patch = Callable[[Any], Any]
"""A saboteur: gets the freshly made `Pump` of an end and spoils it."""


class World:
    """A station and a bridge. `folder` holds their files; `database` is the bridge's URL, a SQLite file in `folder` by default."""

    def __init__(
        self, folder: Path, seed: int = 0, *, database: str | None = None, metered: bool = False, sealed: bool = False, strict: bool = False
    ) -> None:
        self.folder = folder
        self.dice = Random(seed)
        self.net = Net(Random(seed + 1))
        self.now, self.at = 1000.0, 17_900_000_000
        self.metered = metered
        self.sealed, self.strict = sealed, strict
        self.openers = {0: SEAL_KEY}
        self.fuses = {"station": Fuse(), "bridge": Fuse()}
        self.spoil: dict[str, Patch] = {}
        self.ledger = Ledger()
        self.restored = self.copies = 0
        self.database = database or f"sqlite:///{folder / 'bridge.sqlite'}"
        shutil.copy(new_station(), folder / "station.db")
        if database is None:
            shutil.copy(new_bridge(), folder / "bridge.sqlite")
        else:
            make_bridge(database)
        if sealed:
            self.pin(0, SEAL_KEY)
        self.station = self._start_station()
        self.bridge = self._start_bridge()

    def pin(self, key_id: int, key: X25519PrivateKey) -> None:
        """Somebody pins a sealing key of the bridge at the station."""
        conn = connect(self.folder / "station.db", key=STORE_KEY)
        with transaction(conn):
            keys.pin(conn, keys.SEAL, key_id, key.public_key().public_bytes_raw())
        conn.close()

    def random(self, count: int) -> bytes:
        """Random bytes of this world's seed."""
        return self.dice.randbytes(count)

    def say(self, step: str, **ids: object) -> None:
        """The journal of both ends goes nowhere."""

    def _start_station(self) -> Pump:
        self.conn: Connection = connect(self.folder / "station.db", key=STORE_KEY)
        store = StationStore(self.conn, STATION, SHARD)
        seals = StationSeals(STATION, now=self.stamp, random=self.random, strict=self.strict) if self.sealed else None
        end = station_end(
            self.conn,
            store,
            now=lambda: self.at,
            say=self.say,
            metered=self.metered,
            randomly=self.random,
            dice=self.dice.random,
            seals=seals,
        )
        end = replace(end, apply=self._told_station)
        pump = Pump(
            Fused(store, self.fuses["station"]), Fused(self.net.link("down", keep=False), self.fuses["station"]), end, [(STATION, SHARD)]
        )
        return self._spoilt("station", pump)

    def _start_bridge(self) -> Pump:
        self.engine: Engine = open_engine(self.database)
        store = BridgeStore(self.engine, [SHARD])
        seals = BridgeSeals(self.openers, self._station_key, random=self.random, strict=self.strict) if self.sealed else None
        end = bridge_end(
            store, (0, RECEIPT_KEY), apply=self._told_bridge, station_key=self._station_key, now=lambda: self.at,
            say=self.say, randomly=self.random, dice=self.dice.random, seals=seals,
        )  # fmt: skip
        old = self.net.ends.get("up")
        link = self.net.link("up", keep=True)
        if old is not None:  # the broker keeps the session of the fixed client id
            link.known = old.known
            self.net.queues["up"][:0] = old.unacked.values()
        return self._spoilt("bridge", Pump(Fused(store, self.fuses["bridge"]), Fused(link, self.fuses["bridge"]), end))

    def _spoilt(self, side: str, pump: Pump) -> Pump:
        return self.spoil.get(side, lambda one: one)(pump)

    def _station_key(self, _tx: object, station: str) -> tuple[int, bytes] | None:
        return (0, Ed25519PrivateKey.from_private_bytes(STATION_KEY).public_key().public_bytes_raw()) if station == STATION else None

    def _told_bridge(self, tx: Any, rows: Any) -> None:
        """The clinic at the bridge: counts how often it is told each thing; the word *refuse* is refused, like a bad answer."""
        for row in rows:
            _, event, _, (_, lane, seq) = row
            if isinstance(event.body, KeyPublished):
                continue
            if event.body.reason == "refuse":
                raise ValueError("refused by the clinic")
            tx.exec_driver_sql(
                f"INSERT INTO told (uid, times, lane, place) VALUES ({event.body.consult}, 1, {lane}, {seq})"
                " ON CONFLICT (uid) DO UPDATE SET times = told.times + 1"
            )

    def _told_station(self, tx: Connection, arrived: Any) -> None:
        for one in arrived:
            tx.execute(
                "INSERT INTO told (uid, times) VALUES (?, 1) ON CONFLICT (uid) DO UPDATE SET times = times + 1", (one.event.body.consult,)
            )

    # --- what people do -------------------------------------------------------------------------------------------------

    def stamp(self) -> Stamp:
        """Now, by the station's clock."""
        return Stamp(1, 1, int(self.now * 10), self.at, ClockQuality.SYNCED)

    def record(self, lane: int = Lane.READINGS, *, text: str = "", cut: bool = False) -> int:
        """Something happens at the station and is committed (or cut just before); its number."""
        uid = self.ledger.number()
        try:
            with transaction(self.conn):
                append(self.conn, Event(self.stamp(), "an", "test", ConsultWithdrawn(uid, text)), Lane(lane))
                if cut:
                    raise PowerCutError
        except PowerCutError:
            return uid
        self.ledger.up.setdefault(int(lane), []).append(uid)
        return uid

    def answer(self, lane: int = Lane.URGENT, text: str = "BS") -> int:
        """A doctor says something to the station; its number."""
        uid = self.ledger.number()
        with self.engine.begin() as tx:
            bridge_outbox.append(tx, STATION, Event(self.stamp(), "bs", "test", ConsultOpened(uid, text)), Lane(lane))
        self.ledger.down.setdefault(int(lane), []).append(uid)
        return uid

    # --- what the world does --------------------------------------------------------------------------------------------

    def turn(self, side: str) -> float | None:
        """One turn of one end's crank; None when the plug was pulled in the middle of it."""
        pump = self.station if side == "station" else self.bridge
        try:
            return pump.turn(self.now, self.at)
        except PowerCutError:
            self.cut_power(side)
            return None

    def cut_power(self, side: str) -> None:
        """Everything in memory is gone; the end starts again from its files."""
        self.fuses[side].left = None
        if side == "station":
            self.net.cut("down")
            self.conn.close()
            self.station = self._start_station()
        else:
            self.net.cut("up")
            self.engine.dispose()
            self.bridge = self._start_bridge()

    def pass_time(self, seconds: float) -> None:
        """The clock moves on."""
        self.now += seconds
        self.at += round(seconds * 10)

    def backup(self) -> dict[str, Any]:
        """A raw copy of the bridge's SQLite file, and what the ledger says at this moment of the way down."""
        self.engine.dispose()
        path = self.folder / "bridge.sqlite"
        self.copies += 1
        copy = self.folder / f"backup-{self.copies}"
        connection = connect(path, key=None, page_size=4096)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        shutil.copy(path, copy)
        return {"file": copy, "down": {lane: list(said) for lane, said in self.ledger.down.items()}}

    def restore_backup(self, backup: dict[str, Any]) -> None:
        """Somebody puts yesterday's file back under the running system's name, without telling anybody."""
        self.net.cut("up")
        self.engine.dispose()
        path = self.folder / "bridge.sqlite"
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        shutil.copy(backup["file"], path)
        self.bridge = self._start_bridge()
        self.restored += 1
        for lane, said in self.ledger.down.items():  # what doctors said since then the bridge does not know any more
            self.ledger.down[lane] = [uid for uid in said if uid in backup["down"].get(lane, [])]

    def settle(self, rounds: int = 400) -> int:
        """The weather turns fine and everybody goes on working until nothing is owed; the rounds it took."""
        self.net.weather, self.net.reachable = Weather.fine(), True
        for fuse in self.fuses.values():
            fuse.left = None
        quiet = 0
        for turns in range(rounds):
            moved = 0
            for side in ("station", "bridge"):
                self.turn(side)
                moved += self.net.carry("up") + self.net.carry("down")
            quiet = quiet + 1 if not moved and not self.owed() else 0
            if quiet >= 3 and not self.bridge.later:
                return turns
            if quiet >= 3:  # the bridge means to ask the station again
                self.pass_time(max(0.0, self.bridge.later[0][0] - self.now))
            self.pass_time(0.3 if moved else 20.0)
        raise AssertionError(f"still owed after {rounds} rounds: {self.owed()}")

    def owed(self) -> dict[str, int]:
        """How many events one end has not vouched for yet."""
        up = self.conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0]
        with self.engine.connect() as tx:
            down = len(tx.execute(select(relay_tables.outbox.c.id).where(relay_tables.outbox.c.state == 0)).all())
        return {way: count for way, count in (("up", up), ("down", down)) if count}

    # --- the verdict ----------------------------------------------------------------------------------------------------

    def told_bridge(self) -> dict[int, tuple[int, int, int]]:
        """What the bridge's clinic was told: number → (times, lane, seq)."""
        with self.engine.connect() as tx:
            return {row[0]: (row[1], row[2], row[3]) for row in tx.exec_driver_sql("SELECT uid, times, lane, place FROM told")}

    def told_station(self) -> dict[int, int]:
        """What the station's clinic was told: number → times."""
        return {row[0]: row[1] for row in self.conn.execute("SELECT uid, times FROM told").fetchall()}

    def judge(self) -> list[str]:
        """What is wrong with the world: lost, doubled, out of order, or vouched for without being there."""
        wrong: list[str] = []
        up, down = self.told_bridge(), self.told_station()
        for lane, said in self.ledger.up.items():
            wrong += [f"lost on the way up: {uid} of lane {lane}" for uid in said if uid not in up]
            wrong += [f"told {up[uid][0]} times: {uid}" for uid in said if uid in up and up[uid][0] != 1]
            places = [up[uid][2] for uid in said if uid in up]
            wrong += [f"lane {lane} out of order"] * (places != sorted(places))
        wrong += [f"never said, or cut before its commit: {uid}" for uid in up if not any(uid in said for said in self.ledger.up.values())]
        for lane, said in self.ledger.down.items():
            wrong += [f"lost on the way down: {uid} of lane {lane}" for uid in said if uid not in down]
            if not self.restored:  # another incarnation tells again what nobody had vouched for; consult and answer numbers make it one
                wrong += [f"told the station {down[uid]} times: {uid}" for uid in said if uid in down and down[uid] != 1]
        wrong += self.vouched_wrongly()
        return wrong

    def vouched_wrongly(self) -> list[str]:
        """Events the station believes received although the bridge does not have them."""
        rows = self.conn.execute(
            "SELECT epoch.epoch, outbox.lane, outbox.seq FROM outbox JOIN epoch ON epoch.id = outbox.epoch WHERE state = 2"
        ).fetchall()
        c = relay_tables.event.c
        with self.engine.connect() as tx:
            here = {(bytes(row[0]), row[1], row[2]) for row in tx.execute(select(c.epoch, c.lane, c.seq).where(c.station == STATION))}
        return [
            f"called received, and not there: lane {row[1]} number {row[2]}" for row in rows if (bytes(row[0]), row[1], row[2]) not in here
        ]

    def close(self) -> None:
        """Let go of the files."""
        self.conn.close()
        self.engine.dispose()


def storm(folder: Path, seed: int, database: str | None = None) -> list[str]:
    """One bad day: sixty random things happen to a station and a bridge, then the weather clears up. What is wrong afterwards."""
    dice = Random(seed)
    world = World(folder, seed, database=database)
    try:
        for _ in range(60):
            match dice.randrange(10):
                case 0 | 1:
                    world.record(dice.choice([0, 1, 2, 2, 3]))
                case 2:
                    world.answer()
                case 3:
                    side = dice.choice(["station", "bridge"])
                    for _ in range(dice.randrange(3)):
                        world.record(dice.choice([0, 2]))
                    world.turn("station")
                    world.net.carry("up")
                    world.fuses[side].left = dice.randrange(40)
                    world.turn(side)
                    world.fuses[side].left = None
                    world.net.carry("down")
                    world.turn("station")
                case 4:
                    world.net.weather = dice.choice([Weather.fine(), Weather(forget=0.5), Weather(repeat=0.5, shuffle=0.3)])
                case 5:
                    world.net.wipe() if dice.random() < 0.3 else world.net.cut(dice.choice(["up", "down"]))
                case _:
                    for _ in range(3):
                        world.turn("station")
                        world.net.carry("up")
                        world.turn("bridge")
                        world.net.carry("down")
                    world.pass_time(dice.choice([0.3, 3.0, 61.0]))
            wrong = world.vouched_wrongly()  # at once: a hello of tomorrow would heal what was promised too early today
            if wrong:
                return wrong
        world.settle()
        return world.judge()
    finally:
        world.close()
