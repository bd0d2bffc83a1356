"""``tram-bridge carry``: what the stations of some shards send, into the database; what the doctors say, to the stations.

N processes, each with its own static shards under a fixed client id and a session that the broker keeps: nothing is
shared and nothing is assigned (docs/decisions: static shards). A message is acknowledged to the broker after the commit,
and whatever has queued up meanwhile is taken in one transaction. With the database away everything waits unacknowledged.
"""

import gc
import logging
import os
import random
import signal
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, Engine

from appliance import __version__, journal
from appliance.contract.events import Event
from appliance.contract.ids import EPOCH_BYTES, STORE_BYTES
from appliance.contract.topics import DOWN, UP
from appliance.relay.line import Message
from appliance.relay.pump import End, Pump
from appliance.relay.seals import Clear, Seals
from appliance.relay.storage import Arrived, Stream
from appliance.relay.taking import Heard, read
from appliance.settings import Settings
from cloud_bridge.source import source_of
from cloud_bridge.store.engine import while_waiting
from cloud_bridge.store.inbox import BridgeStore
from cloud_bridge.store.outbox import set_store_id, store_id
from cloud_bridge.store.sealing import seals_of
from cloud_bridge.store.shards import held

POLL = 0.2
"""How often the outbox is asked for what doctors have said."""
LINGER = 0.02
"""A receipt waits so many seconds for what a station said in the same breath: a request takes along what waits, and one receipt
answers both (a receipt costs 294 B of the wire)."""
GC_THRESHOLD = (50_000, 20, 100)
"""A group of messages is some 50,000 objects that live until its commit; looking through them again and again finds nothing to free
(a tenth of the decoder's time, measured)."""
AWAY, AWAY_MOST = 0.5, 15.0
"""The wait while the database is away, doubling."""

AHEAD = 64
"""Messages read before their turn at most: some 3,000 events, as many as the largest group, and 5 MB."""

Row = tuple[str, Event, int, tuple[bytes, int, int]]
"""(station, event, time in tenths of a second since 1970, (epoch, lane, seq)): what `intake.apply_many` takes."""
Apply = Callable[[Connection, Sequence[Row]], None]
Chores = Callable[[int], object]
"""What a carrier does beside carrying, every `CHORES_EVERY` seconds: it gets the time in tenths of a second since 1970."""
CHORES_EVERY = 5.0
StationKey = Callable[[Connection, str], tuple[int, bytes] | None]
"""(key id, 32 public bytes) of a registered station; None for one that is unknown or revoked."""

StationKeys = Callable[[Connection, Collection[str]], Mapping[str, tuple[int, bytes]]]
"""The same for many stations in one question; those without are left out."""


def bridge_end(
    store: BridgeStore,
    sign: tuple[int, Ed25519PrivateKey],
    *,
    apply: Apply,
    station_key: StationKey,
    station_keys: StationKeys | None = None,
    now: Callable[[], int],
    say: Callable[..., None],
    randomly: Callable[[int], bytes] = os.urandom,
    dice: Callable[[], float] = random.random,
    seals: Seals | None = None,
    linger: float = 0.0,
) -> End:
    """The bridge's end of the relay. `sign` is its receipt key, `now` gives tenths of a second since 1970; `seals`: what opens
    and seals parcels, without which everything is clear.
    """

    def take(tx: Connection, arrived: Sequence[Arrived]) -> None:
        at = now()
        apply(tx, [(one.stream.station, one.event, at, (one.stream.origin, one.lane, one.seq)) for one in arrived])

    def keys(tx: Connection, station: str) -> Mapping[int, Ed25519PublicKey] | None:
        return _keys(station_key(tx, station) if station else None)

    def keys_of(tx: Connection, stations: Collection[str]) -> Mapping[str, Mapping[int, Ed25519PublicKey] | None]:
        if station_keys is None:
            return {station: keys(tx, station) for station in stations}
        known = station_keys(tx, [one for one in stations if one])
        return {station: _keys(known.get(station)) for station in stations}

    return End(
        way=DOWN,
        me=store_id,
        streams=store.streams,
        mine=_for_us,
        keys=keys,
        sign=sign,
        apply=take,
        renew=lambda tx, _station: set_store_id(tx, randomly(STORE_BYTES)),
        random=randomly,
        dice=dice,
        say=say,
        software=__version__,
        linger=linger,
        seals=seals or Clear(),
        keys_of=keys_of,
    )


def _keys(known: tuple[int, bytes] | None) -> Mapping[int, Ed25519PublicKey] | None:
    return None if known is None else {known[0]: Ed25519PublicKey.from_public_bytes(known[1])}


def _for_us(_tx: Connection, stream: Stream) -> bool:
    return not stream.epoch and len(stream.origin) == EPOCH_BYTES


def stop_on_signals() -> Callable[[], bool]:
    """A question that turns true with SIGTERM or Ctrl-C: the loop ends after its turn."""
    heard: list[int] = []
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda number, _frame: heard.append(number))
    return lambda: bool(heard)


def run(
    engine: Engine,
    settings: Settings,
    sign: tuple[int, Ed25519PrivateKey],
    shards: Iterable[int],
    *,
    apply: Apply,
    station_key: StationKey,
    station_keys: StationKeys,
    log: logging.Logger,
    stop: Callable[[], bool],
    chores: Chores = lambda _at: None,
) -> None:
    """Carry the stations of `shards` until `stop()`.

    ShardTakenError when another carrier has one of them, OSError when the settings' files cannot be read, KeyFileError for the keys.
    """
    shards = sorted(set(shards))
    link, store = source_of(settings, shards), BridgeStore(engine, shards)
    seals = seals_of(settings, station_key, os.urandom)
    end = bridge_end(
        store, sign, apply=apply, station_key=station_key, station_keys=station_keys, now=_tenths, say=partial(journal.step, log),
        seals=seals, linger=LINGER,
    )  # fmt: skip
    ahead = Ahead(link.coming)
    while_waiting(engine, ahead.one)
    loop = Loop(Pump(store, link, end, reader=ahead.read, pressed=ahead.more), log, chores)
    with held(engine, shards):
        collect_rarely()
        try:
            wait = 0.0
            while not stop():
                link.wait(min(wait, POLL))
                wait = loop.turn(time.monotonic(), _tenths(), stirred=link.stirred)
        finally:
            link.close()


class Ahead:
    """Reads messages that wait their turn while the database has the word: reading is a third of the carrier's work and needs nothing
    of what is being committed. `coming` gives what will be handed over next, in order.
    """

    def __init__(self, coming: Callable[[], Iterable[Message]]) -> None:
        self._coming = coming
        self._read: dict[int, Heard] = {}

    def one(self) -> bool:
        """Read the next message that nobody has read; False where there is none, or enough has been read."""
        for message in islice(self._coming(), AHEAD):
            if message.token not in self._read:
                if len(self._read) >= AHEAD:
                    self._read.clear()  # of a line that is gone: its messages come again under other tokens
                self._read[message.token] = read(message, UP)
                return True
        return False

    def more(self) -> bool:
        """True while a message waits its turn."""
        return any(True for _ in self._coming())

    def read(self, message: Message, way: str) -> Heard:
        """As `relay.taking.read`, which need not be done again for a message that was read ahead."""
        heard = self._read.pop(message.token, None)
        return heard if heard is not None and heard.message is message else read(message, way)


def collect_rarely() -> None:
    """What loading left behind is never looked through for garbage again, and the rest ever less often."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


class Loop:
    """The carrier's rounds. `log` hears when the line or the database goes away and comes back."""

    def __init__(self, pump: Pump, log: logging.Logger, chores: Chores = lambda _at: None) -> None:
        self.pump = pump
        self.log = log
        self.chores = chores
        self.worked = float("-inf")
        self.due = self.looked = float("-inf")
        self.away = AWAY
        self.told = ""

    def turn(self, now: float, at: int, *, stirred: bool) -> float:
        """Turn the pump when there is a reason to; seconds until the next one."""
        if now < self.due and (self.away > AWAY or not stirred):
            return self.due - now
        news = now >= self.looked + POLL
        try:
            wait = self.pump.turn(now, at, news=news)
            if now >= self.worked + CHORES_EVERY:
                self.chores(at)  # also with the line down: a doctor of the next tier needs no station for it
                self.worked = now
        except OSError as error:
            self.log.warning("the database cannot do it now", exc_info=error)
            wait, self.away = self.away, min(self.away * 2, AWAY_MOST)
            self.looked = now
        else:
            self.away = AWAY
            self.looked = now if news else self.looked
            wait = min(wait, max(0.0, self.looked + POLL - now))
        self.due = now + wait
        line = "up" if self.pump.link.up else f"down {self.pump.reason}"
        if line != self.told:
            self.told = line
            self.log.info("line %s", line)
        return wait


def _tenths() -> int:
    return time.time_ns() // 100_000_000
