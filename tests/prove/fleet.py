"""P17: a fleet comes back at once, through one Mosquitto, to one bridge on PostgreSQL.

Every station here is the product's own relay end on a store and a socket of its own, thousands of them in one process; broker,
bridge and database are real servers. First they all come back with what they had saved; then the bridge stands still
while everybody goes on saving, more than the broker keeps for it; then it goes on. Nothing may be lost, receipts must come
soon, and nobody may shout: what is published is counted against what had to be said.
"""

import json
import multiprocessing
import resource
import select
import shutil
import signal
import tempfile
import time
from base64 import b64decode
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import text

from appliance.contract.events import ConsultWithdrawn, Event
from appliance.contract.lanes import Lane
from appliance.contract.readings import ClockQuality, Stamp
from appliance.contract.topics import DOWN, station_filter
from appliance.database import connect, transaction
from appliance.relay import link
from appliance.relay.line import Message
from appliance.relay.link import Broker, MqttLink
from appliance.relay.pump import Pump
from appliance.store import keys
from appliance.store.inbox import StationStore
from appliance.store.outbox import append
from appliance.store.speaking import station_end
from cloud_bridge.store import tables
from tests import servers
from tests.prove.result import Found, Size, SkippedError, pick
from tests.relay.site import SHARD, Site
from tests.saboteurs.bugs import BUGS
from tests.world import STORE_KEY, new_station

STATIONS = {"pinch": 12, "commit": 500, "night": 14_000}
PER_SECOND = 14_000 / 600
"""How fast they come: 14,000 within ten minutes."""
KEEPS = {"pinch": 10, "commit": 100, "night": 1_000}
"""What the broker keeps for a bridge that stands still: its own default for 14,000 stations, a share of that for fewer."""
STILL_S = 16.0
P99_S, STORM = 5.0, 1.2
WITHIN = 1_800.0
MOST_STATIONS = 3_500
"""In one process."""
FORK = multiprocessing.get_context("fork")
"""What is wrong with this process on purpose is wrong with the stations too."""


class _Poll:
    """What the line calls `select`, for more descriptors than ``select`` has numbers for: a station has one line, this process hundreds."""

    @staticmethod
    def select(reads: list[int], writes: list[int], _errors: list[int], seconds: float) -> tuple[list[int], list[int], list[int]]:
        """As ``select.select``, by ``poll``."""
        poll = select.poll()
        for number in {*reads, *writes}:
            poll.register(number, (select.POLLIN if number in reads else 0) | (select.POLLOUT if number in writes else 0))
        said = dict(poll.poll(seconds * 1000))
        broken = select.POLLHUP | select.POLLERR
        return (
            [number for number in reads if said.get(number, 0) & (select.POLLIN | broken)],
            [number for number in writes if said.get(number, 0) & (select.POLLOUT | broken)],
            [],
        )


def share_of(stack: ExitStack) -> int:
    """Let this process, and what it starts, have as many files and sockets as the system allows; how many stations one process may have:
    each takes three files and a socket.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    stack.callback(setattr, link, "select", link.select)
    link.select = _Poll  # type: ignore[attr-defined]
    return min(MOST_STATIONS, max(1, (hard - 200) // 4))


class Light:
    """One station: store, pump and socket."""

    def __init__(self, file: Path, name: str, port: int, start: float) -> None:
        self.name, self.start = name, start
        self.conn = connect(file, key=STORE_KEY)
        self.conn.execute("PRAGMA synchronous = OFF")
        self.conn.execute("PRAGMA cache_size = -64")
        store = StationStore(self.conn, name, SHARD)
        self.link = MqttLink(Broker("127.0.0.1", port), f"tram-{name}", [station_filter(SHARD, name, DOWN)])
        end = station_end(self.conn, store, now=_tenths, say=lambda *_, **__: None)
        self.pump = Pump(store, self.link, end, [(name, SHARD)])
        self.due, self.news = start, True
        self.said = 0
        self.spoke: float | None = None
        self.waits: list[float] = []

    def save(self, lanes: tuple[int, ...]) -> None:
        """Somebody saves something in each of these lanes."""
        with transaction(self.conn):
            for lane in lanes:
                self.said += 1
                stamp = Stamp(1, 1, self.said, _tenths(), ClockQuality.SYNCED)
                append(self.conn, Event(stamp, "an", "test", ConsultWithdrawn(int(self.name[5:]) * 100 + self.said, "x")), Lane(lane))
        self.news, self.due = True, 0.0

    def turn(self, now: float) -> None:
        """Look at the socket, turn the pump when there is a reason."""
        self.link.wait(0.0)
        if not (self.link.stirred or self.news or now >= self.due):
            return
        before = self.pump.counts.published
        news, self.news = self.news, False
        self.due = now + self.pump.turn(now, _tenths(), news=news)
        sender = self.pump.talks[self.name].sender
        if self.spoke is None and self.pump.counts.published > before:
            self.spoke = now
        elif self.spoke is not None and not sender.busy:
            self.waits.append(now - self.spoke)
            self.spoke = None

    @property
    def owed(self) -> bool:
        """True while the bridge has not vouched for everything."""
        return self.said > 0 and (self.pump.talks[self.name].sender.busy or self.news or bool(_waiting(self.conn)))

    def close(self) -> None:
        """It goes."""
        self.link.close()
        self.conn.close()


def _waiting(conn: Any) -> int:
    return int(conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0])


def _tenths() -> int:
    return int(time.time() * 10)


@dataclass
class Report:
    """What a share of the fleet has done: seconds until receipts, parcels published, parcels there were, (station, lane, number) said."""

    waits: list[float]
    published: int
    parcels: int
    said: set[tuple[str, int, int]]


class Share:
    """Some of the stations, turned by one process. `starts`: when each comes back, seconds after `begun`."""

    def __init__(self, folder: Path, port: int, begun: float, starts: list[tuple[float, str]]) -> None:
        self.folder, self.port, self.begun, self.starts = folder, port, begun, sorted(starts)
        self.alive: list[Light] = []

    def serve(self, pipe: Connection) -> None:
        """Turn the stations, and do what is asked, until nobody is there to ask."""
        with suppress(EOFError, ConnectionError):
            while True:
                while pipe.poll():
                    pipe.send({"rests": self.rests, "save": self.save, "report": self.report}[pipe.recv()]())
                self.turn()

    def turn(self) -> None:
        """Who comes, everybody whose socket has something, or whose time has come."""
        now = time.monotonic()
        while self.starts and now - self.begun >= self.starts[0][0]:
            self.alive.append(self._station(self.starts.pop(0)[1], now))
        for one in self.alive:
            one.turn(now)
        poll = select.poll()
        for one in self.alive:
            if one.link._sock is not None:
                poll.register(one.link._sock, select.POLLIN)
        poll.poll(20)

    def _station(self, name: str, start: float) -> Light:
        """A station that has been saving while there was no link."""
        file = self.folder / f"{name}.db"
        shutil.copy(self.folder / "card.db", file)
        one = Light(file, name, self.port, start)
        with transaction(one.conn):
            one.conn.execute("UPDATE epoch SET epoch = ?", (Random(name).randbytes(8),))
        one.save((2, 2, 0))
        return one

    def rests(self) -> bool:
        """True when all have come, and the bridge has vouched for everything."""
        return not self.starts and not any(one.owed for one in self.alive)

    def save(self) -> None:
        """Everybody saves something more."""
        for one in self.alive:
            one.save((2, 0))

    def report(self) -> Report:
        """What was done so far."""
        return Report(
            [wait for one in self.alive for wait in one.waits],
            sum(one.pump.counts.published for one in self.alive),
            sum(int(one.conn.execute("SELECT count(*) FROM parcel").fetchone()[0]) for one in self.alive),
            {(one.name, row[0], row[1]) for one in self.alive for row in one.conn.execute("SELECT lane, seq FROM outbox").fetchall()},
        )


class Fleet:
    """The servers, and the processes in which the stations are."""

    def __init__(self, stack: ExitStack, count: int, keeps: int, seed: int) -> None:
        for program, package in (("mosquitto", "mosquitto"), ("initdb", "postgresql")):
            if servers.find(program) is None:
                raise SkippedError(f"{program} is not installed (apt-get install {package})")
        most = share_of(stack)
        root = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="tram-p17-", dir=root if root.is_dir() else None))
        stack.callback(shutil.rmtree, self.folder, True)
        postgres = servers.postgres()
        stack.callback(shutil.rmtree, postgres.place, True)
        stack.callback(postgres.stop)
        self.broker = servers.mosquitto(f"max_queued_messages {keeps}\nsys_interval 1\n")
        stack.callback(shutil.rmtree, self.broker.place, True)
        stack.callback(self.broker.stop)
        self.site = Site(self.folder, self.broker.port, postgres.create())
        stack.callback(self.site.close)
        names = [f"tram-{10_000 + number}" for number in range(count)]
        self._register(names)
        self.broker.start()
        self.bridge = self.site.start("tram-bridge", "carry")
        self.dropped, self.ear = 0, MqttLink(Broker("127.0.0.1", self.broker.port), "ear", ["$SYS/broker/publish/messages/dropped"])
        stack.callback(self.ear.close)
        self.ear.open()
        dice, parts = Random(f"fleet {seed}"), -(-count // most)
        starts = [(dice.random() * count / PER_SECOND, name) for name in names]
        self.pipes = [self._share(stack, starts[part::parts]) for part in range(parts)]

    def _share(self, stack: ExitStack, starts: list[tuple[float, str]]) -> Connection:
        """A process with some of the stations: they begin to come."""
        here, there = FORK.Pipe()
        share = Share(self.folder, self.broker.port, time.monotonic(), starts)
        process = FORK.Process(target=share.serve, args=(there,), daemon=True)
        process.start()
        there.close()
        stack.callback(process.join)
        stack.callback(process.kill)
        return here

    def _register(self, names: list[str]) -> None:
        said = json.loads((self.folder / "pins.json").read_text())
        card = self.folder / "card.db"
        shutil.copy(new_station(), card)
        conn = connect(card, key=STORE_KEY)
        with transaction(conn):
            conn.execute("DELETE FROM pin WHERE purpose = 'receipt'")
            for row in said["receipt"]:
                keys.pin(conn, "receipt", row["key_id"], b64decode(row["public"]))
        public = keys.station_public(conn)[1]
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        conn.close()
        same = {"shard": SHARD, "organisation": "", "tier": 0, "key_id": keys.STATION_KEY_ID, "public": public, "registered": 0}
        with self.site.engine.begin() as tx:
            tx.execute(tables.station.insert(), [{"id": name, "name": name, **same} for name in names])

    def ask(self, word: str) -> list[Any]:
        """What every share answers."""
        for pipe in self.pipes:
            pipe.send(word)
        return [pipe.recv() for pipe in self.pipes]

    def hear(self, seconds: float) -> None:
        """For so long nothing happens but that the broker says what it dropped."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self.ear.wait(min(left, 0.2))
            for happened in self.ear.happenings():
                if isinstance(happened, Message) and happened.payload.isdigit():
                    self.dropped = int(happened.payload)
                    self.ear.done(happened.token)

    def until_rest(self) -> None:
        """Everybody is there, and waited for."""
        begun = time.monotonic()
        while not all(self.ask("rests")):
            self.hear(0.5)
            if time.monotonic() - begun > WITHIN:
                raise TimeoutError(f"stations still wait after {WITHIN:.0f} s")

    def stand_still(self) -> None:
        """The bridge stands still; everybody saves; it goes on."""
        self.bridge.send_signal(signal.SIGSTOP)
        self.ask("save")
        self.hear(STILL_S)
        self.bridge.send_signal(signal.SIGCONT)
        self.until_rest()

    def report(self) -> Report:
        """What all of them did."""
        parts: list[Report] = self.ask("report")
        return Report(
            [wait for one in parts for wait in one.waits],
            sum(one.published for one in parts),
            sum(one.parcels for one in parts),
            {one for part in parts for one in part.said},
        )

    def lost(self, said: set[tuple[str, int, int]]) -> tuple[int, int]:
        """(lost, doubled)."""
        with self.site.engine.connect() as tx:
            rows = tx.execute(text("SELECT station, lane, seq, body FROM relay_event WHERE station LIKE 'tram-_____'")).all()
        here = {(row[0], row[1], row[2]) for row in rows}
        return len(said - here), len(rows) - len({(row[0], bytes(row[3])) for row in rows})


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def storm(count: int, keeps: int, seed: int, found: Found) -> float:
    """One fleet comes back and goes through a bridge that stands still; published per parcel that had to be said."""
    with ExitStack() as stack:
        fleet = Fleet(stack, count, keeps, seed)
        fleet.until_rest()
        first = fleet.report()
        fleet.stand_still()
        fleet.hear(1.5)  # the broker says once a second what it dropped
        last = fleet.report()
        lost, doubled = fleet.lost(last.said)
        came, ratio = first.published / max(1, first.parcels), last.published / (last.parcels + fleet.dropped)
        found.figures = {
            "stations": count, "events": len(last.said), "lost": lost, "doubled": doubled, "receipt p50 s": _percentile(first.waits, 0.5),
            "receipt p99 s": _percentile(first.waits, 0.99), "published per parcel when they come": came,
            "dropped by the broker": fleet.dropped, "published per parcel that had to be said": ratio,
        }  # fmt: skip
        found.wrong += [f"{name} {found.figures[name]:.0f}" for name in ("lost", "doubled") if found.figures[name]]
        found.wrong += [f"missed: receipt p99 {found.figures['receipt p99 s']:.1f} s"] if found.figures["receipt p99 s"] > P99_S else []
        found.wrong += [f"{one:.2f} published per parcel" for one in (came, ratio) if one > STORM]
        return ratio


def attempt(size: Size, seed: int) -> Found:
    """P17: the fleet, then a small one whose stations are stubborn."""
    found, spoilt = Found(), Found()
    storm(pick(size, STATIONS), pick(size, KEEPS), seed, found)
    if size != "pinch":
        undo = BUGS["retry-every-5s"]()
        try:
            storm(60, 12, seed, spoilt)
        finally:
            undo()
        found.saboteurs["fixed retry after 5 s"] = any("published per parcel" in wrong for wrong in spoilt.wrong)
    return found
