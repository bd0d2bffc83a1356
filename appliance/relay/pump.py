"""One turn of the crank: what came in is kept and receipted, what is due goes out. Both ends turn the same crank.

``happenings → take (one transaction) → hellos and receipts → acknowledge to the broker → freeze (one transaction) →
publish``. Nothing is acknowledged before the commit, nothing is published before it is frozen. A store that is away
leaves the messages unacknowledged in `Pump.basket` and comes out of `turn` as its OSError: wait and turn again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.contract.errors import WireError
from appliance.contract.events import KeyPublished
from appliance.contract.lanes import AT_ONCE, BATCH_SECONDS, CHUNK_BYTES, Lane
from appliance.contract.parcels import split
from appliance.contract.receipts import (
    NOBODY,
    SAFE_NONCE,
    TAG_BYTES,
    Hello,
    LaneReceipt,
    Level,
    Past,
    Receipt,
    open_receipt,
    seal_receipt,
    write_hello,
)
from appliance.contract.topics import DOWN, UP, topic
from appliance.relay.line import Acked, Down, Link, LinkError, Message, Up
from appliance.relay.marks import Marks, Range, lane_receipt, marks_of
from appliance.relay.rules import (
    ANSWER_SECONDS,
    CREDIT,
    CREDIT_UNANSWERED,
    GRACE,
    HELLO_URGENT,
    LASTING,
    PATIENCE,
    QUIET,
    ROUTE_SECONDS,
    UNHEARD,
    WINDOW,
    Budget,
    Pace,
    ask_later,
    backoff,
    hello_again,
    soonest,
)
from appliance.relay.seals import SEALED_MORE, Clear, Seals
from appliance.relay.sending import Piece, Sender, told
from appliance.relay.storage import ASIDE_RANGES, Arrived, Bad, Peer, Storage, Stream, Tx, Waiting
from appliance.relay.taking import Apply, Heard, Run, Sealed, Taken, read, take, turn_away
from appliance.relay.talk import Talk

COUNTERS = 64
"""Receipt counters are reserved in the store by so many: after a power cut the next one is higher than any that was sent."""
REFUSED = 16
"""Refused messages one receipt names."""
SILENT = 15.0
"""With a parcel unreceipted so long, the other end is not called online any more."""
ASKED = 3
"""How often the bridge asks a station that does not answer and for which nothing waits."""
SAFE_STREAMS = 8
"""Streams of one talk that are told at once what is safe: a card that was put back more often hears of the rest next time."""
SAFE_LOOK = 10.0
"""How often the store is asked whether there is another backup."""
HEAVY = 4096
"""So many bytes are a group of a backlog, and a good part of a second's work."""
TOGETHER = 32
"""So many stations' receipts are made out of one look at what is in: behind an outage hundreds are due in a turn, and each look is a
question to the database."""
NONCE_BYTES = 8
SMALLEST = 256
"""A broker that takes no payload of so many bytes cannot carry this."""

Held = tuple[Mapping[Stream, Mapping[int, Marks]], Mapping[Stream, Mapping[int, Sequence[Range]]]]
"""By stream and lane: what is in, and what is set aside."""
Place = tuple[Stream, int]
"""One lane of a stream."""
Say = Callable[..., None]
"""Called with a step's name and its ids (`journal.STEPS`, `journal.IDS`)."""


@dataclass(frozen=True)
class End:
    """Which end this is, and what is different about it.

    `way`: our topics (UP at the station). `me`: our incarnation (the station's epoch; the bridge's store id). `streams`: those we
    speak in for a station, the current one last. `mine`: whether a stream of the other end is for us. `keys`: the
    other end's receipt keys by id, None for a station that is not ours to serve. `apply`: gives new events to the clinic.
    `renew`: our store is older than what the other end has from us: become another incarnation. `random`: that many random
    bytes; `dice`: a number in [0, 1). `linger`: seconds for which a receipt waits for what came with the same contact. `seals`: our keys.
    `keys_of`: as `keys` for many stations in one question, where there are many.
    """

    way: str
    me: Callable[[Tx], bytes]
    streams: Callable[[Tx, str], list[Stream]]
    mine: Callable[[Tx, Stream], bool]
    keys: Callable[[Tx, str], Mapping[int, Ed25519PublicKey] | None]
    sign: tuple[int, Ed25519PrivateKey]
    apply: Apply
    renew: Callable[[Tx, str], None]
    random: Callable[[int], bytes]
    dice: Callable[[], float]
    say: Say
    metered: bool = False
    gather: float = BATCH_SECONDS
    software: str = ""
    linger: float = 0.0
    dictionary: int = 0
    seals: Seals = field(default_factory=Clear)
    keys_of: Callable[[Tx, Collection[str]], Mapping[str, Mapping[int, Ed25519PublicKey] | None]] | None = None

    @property
    def other(self) -> str:
        """The topics we listen to."""
        return DOWN if self.way == UP else UP


@dataclass
class Counts:
    """What this process has done, for status lines and tests."""

    published: int = 0
    taken: int = 0
    repeated: int = 0
    quarantined: int = 0
    turned_away: int = 0
    receipts_in: int = 0
    receipts_out: int = 0
    ignored: int = 0


@dataclass
class Pump:
    """The crank of one end. `stations`: (station, shard) of the talks known from the start (at the station: its own one). `reader`:
    reads a message, or has read it already. `pressed`: whether more has come than was handed over; then no receipt of an
    urgent lane lingers, since what is taken next may take long. `later`: when stations that have not answered are asked again, a heap.
    """

    storage: Storage
    link: Link
    end: End
    stations: Iterable[tuple[str, int]] = ()
    talks: dict[str, Talk] = field(default_factory=dict)
    basket: list[Message] = field(default_factory=list)
    live: dict[str, None] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    budget: Budget = field(default_factory=Budget)
    counts: Counts = field(default_factory=Counts)
    attempt: int = 0
    came: float | None = None
    retry: float = float("-inf")
    failed: tuple[float, int, float] = (float("-inf"), 0, 0.0)
    opening: bool = False
    reason: str = ""
    nobody: bool = False
    limit: int = CHUNK_BYTES
    me: bytes = b""
    bags: int = -1
    quiet: float = float("-inf")
    unheard: float | None = None
    safe: tuple[int, float] = (0, float("-inf"))
    ask_round: bool = True
    later: list[tuple[float, str]] = field(default_factory=list)
    due: float = float("-inf")
    doubtful: bool = True
    reader: Callable[[Message, str], Heard] | None = None
    pressed: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        for station, shard in self.stations:
            self._talk(station, shard)

    # --- the turn -----------------------------------------------------------------------------------------------------

    def turn(self, now: float, at: int, *, news: bool = True) -> float:
        """Do everything that is due; seconds until something will be.

        `now`: seconds of a clock that never steps; `at`: tenths of a second since 1970; `news`: the store may hold what
        we have not noticed. OSError when the store cannot do it now.
        """
        happened = self._happen(now)
        if not self.link.up and not self.opening and now >= self.retry:
            self.opening = True
            self.link.open()
            self._happen(now)
        if news or self.doubtful:
            self._notice(now)
            self.doubtful = False
            self._hurry(now)
            if not (happened or self.basket) and now < self.due and self._ripening(now) > 0:
                return min(self._ripening(now), self.due - now)  # the usual case: one more row that may wait for others
        if sum(len(one.payload) for one in self.basket) >= HEAVY and any(self.talks[station].urgent for station in self.live):
            self._speak(now + self.end.linger)  # a receipt that lingers for what comes with a request lingers behind no group of others
        taken = self._take(now, at)
        if self.ask_round and self.link.up:
            self._ask_round(now)
        self._ask_later(now)
        self._speak(now)
        for message in taken:
            self.link.done(message.token)
        self._send(now, at)
        if self.link.up and self.pace.silence(now) > PATIENCE:
            self.link.close("no-puback")
            self._happen(now)
        if self.unheard is not None and now >= self.unheard + UNHEARD:
            self.unheard = None
            self.link.prod(ANSWER_SECONDS)
        wait = self._wait(now)
        self.due = now + wait
        return wait

    def route_changed(self) -> None:
        """The network is another one: try at once, and do not wait long for a line that may have died with the old one."""
        self.attempt, self.retry = 0, float("-inf")
        self.link.prod(ROUTE_SECONDS)

    def probe(self, station: str, now: float) -> None:
        """Ask the other end whether it is still there: the hello of this connection once more, answered by a receipt.

        Not a fresh one: to the other end that would be a station that has come back and lost what was on its way.
        """
        talk = self.talks[station]
        if not self.link.up or talk.hello is not None:
            return
        if not talk.nonce:
            self._greet(talk, now)
        talk.tries, talk.hello = 0, now
        self.live[station] = None

    def state(self, station: str, now: float) -> str:
        """``online``: the other end answers; ``waiting``: the broker is there, the other end is silent; ``offline``."""
        talk = self.talks[station]
        if not self.link.up:
            return "offline"
        oldest = talk.sender.oldest()
        silent = oldest is not None and now - max(oldest, talk.heard) > SILENT
        return "online" if talk.answered and not silent else "waiting"

    def _greet(self, talk: Talk, now: float) -> None:
        """Ask anew what the other end has: with a fresh nonce, so that nothing it said before can be the answer."""
        talk.nonce, talk.answered, talk.tries, talk.hello, talk.asked = self.end.random(NONCE_BYTES), False, 0, now, None
        talk.seen.clear()
        self.live[talk.station] = None

    def greeting(self) -> list[tuple[str, bytes]]:
        """A station's hellos as topics and payloads, to leave with CONNECT: the answer comes a round trip sooner than to a hello on a line
        that is up. Nothing when the store cannot be read now: then they are said when the line is up.
        """
        said: list[tuple[str, bytes]] = []
        with suppress(OSError), self.storage.reading() as tx:
            for talk in self.talks.values():
                self._greet(talk, float("-inf"))
                where = topic(talk.shard, talk.station, self.end.way, Lane.URGENT)
                said += [(where, payload) for payload in self._hellos(tx, talk, float("-inf"))]
        return said

    def _talk(self, station: str, shard: int) -> Talk:
        talk = self.talks.get(station)
        if talk is None:
            talk = self.talks[station] = Talk(
                station,
                shard,
                Sender(self.storage, station, limit=self.limit, dictionary=self.end.dictionary, seals=self.end.seals),
            )
        talk.shard, talk.sender.gather = shard, self.end.gather
        self.live[station] = None
        return talk

    # --- the line -----------------------------------------------------------------------------------------------------

    def _happen(self, now: float) -> bool:
        happened = self.link.happenings()
        for one in happened:
            if isinstance(one, Message):
                self.basket.append(one)
                self.unheard = None
            elif isinstance(one, Acked):
                self.pace.acked(one.token, now)
                self.nobody = one.nobody
                if one.refusal:
                    self.reason = one.refusal
            elif isinstance(one, Up):
                self._up(one, now)
            else:
                self._down(one, now)
        return bool(happened)

    def _up(self, up: Up, now: float) -> None:
        self.opening, self.came, self.reason = False, now, ""
        self.pace.lost()
        self.unheard = None
        self.budget.connected()
        self.limit = min(CHUNK_BYTES, self.link.largest)
        if self.limit < SMALLEST:
            self.reason = "packet-size"
        for talk in self.talks.values():
            talk.sender.limit, talk.sender.more = self.limit, max(0, min(SEALED_MORE, self.link.largest - self.limit))
            if self.end.way == DOWN and talk.hello is not None:
                heappush(self.later, (now, talk.station))  # asked on the line that fell, and not answered
            talk.connected(now)
            if up.greeted:
                talk.hello = now + (HELLO_URGENT if talk.sender.urgent else hello_again(talk.tries, self.end.metered))
        # A station says hello on every connection. The bridge asks round when it has just begun (it may be an older copy of itself
        # that somebody put back) and when the broker has forgotten what was waiting for it.
        self.ask_round = not up.greeted and (self.ask_round or self.end.way == UP or not up.resumed)

    def _ask_round(self, now: float) -> None:
        """Greet everybody who has ever spoken here."""
        with self.storage.reading() as tx:
            for station, shard in self.storage.everyone(tx):
                self._greet(self._talk(station, shard), now)
        self.ask_round = False

    def _ask_later(self, now: float) -> None:
        """The question of a bridge that has just begun, once more to those who have not answered any. Until they do, they may believe what
        a copy of it from before has told them.
        """
        while self.link.up and self.later and self.later[0][0] <= now:
            talk = self.talks[heappop(self.later)[1]]
            if not talk.verified and talk.hello is None:
                self.live[talk.station], talk.hello = None, now

    def _down(self, down: Down, now: float) -> None:
        self.opening, self.reason = False, down.reason
        self.pace.lost()
        self.basket.clear()  # none of it was acknowledged: it comes again
        if self.came is not None and now - self.came >= LASTING:
            self.attempt = 0
        self.came = None
        if not down.again:
            self.failed = (now, self.attempt, self.end.dice())
            self.retry = now + backoff(*self.failed[1:], urgent=self._urgent())
            self.attempt += 1
        for talk in self.talks.values():
            talk.answered = False

    def _hurry(self, now: float) -> None:
        """Something of lane 0 has come to wait for a line that is down: the next try is not far away."""
        soon = self.failed[0] + backoff(*self.failed[1:], urgent=True)
        if not self.link.up and not self.opening and soon < self.retry and self._urgent():
            self.retry, self.due = soon, now

    def _urgent(self) -> bool:
        """True while the other end has not vouched for something of lane 0."""
        return any(self.talks[station].sender.urgent for station in self.live)

    # --- what came in -------------------------------------------------------------------------------------------------

    def _take(self, now: float, at: int) -> list[Message]:
        """Keep everything in the basket; the messages that may be acknowledged to the broker."""
        if not self.basket:
            return []
        messages = list(self.basket)
        heard = [(self.reader or read)(message, self.end.other) for message in messages]
        with self._transaction() as tx:
            _, committed = self.hear(tx, heard, now, at)
        del self.basket[: len(messages)]
        committed()
        return messages

    def hear(self, tx: Tx, heard: Sequence[Heard], now: float, at: int) -> tuple[Taken, Callable[[], None]]:
        """Keep what was heard, in the caller's transaction; what came of it, and what is to be called after the commit."""
        after: list[Callable[[], None]] = []
        names = {one.station for one in heard}
        keys = self.end.keys_of(tx, names) if self.end.keys_of is not None else {name: self.end.keys(tx, name) for name in names}
        known = [one for one in heard if keys[one.station] is not None]
        strangers = [turn_away(self.storage, tx, one, at) for one in heard if keys[one.station] is None]
        taken = take(self.storage, tx, known, self.end.apply, self.end.mine, at, self.end.seals)
        self._tell_decoded(taken.runs)
        for one, said in taken.said:
            talk = self._talk(one.station, one.shard)
            self._fresh(tx, talk)
            if isinstance(said, Hello):
                after.append(self._hello(tx, talk, said, now, at))
            else:
                after.append(self._receipt(tx, talk, one, said, keys[one.station] or {}, now, at))

        def committed() -> None:
            for act in after:
                act()
            self._taken(taken, {one.station: one.shard for one in known}, now)
            self.counts.turned_away += len(strangers)

        return taken, committed

    def _taken(self, taken: Taken, shards: Mapping[str, int], now: float) -> None:
        """What was committed is to be receipted."""
        hurry = AT_ONCE if self.pressed is not None and self.pressed() else frozenset[Lane]()
        for stream, events in taken.events.items():
            talk = self._talk(stream.station, shards[stream.station])
            talk.address = talk.address or stream
            lanes = sorted(taken.lanes[stream])
            talk.owe(stream, events, lanes, now + (0.0 if hurry.intersection(lanes) else self.end.linger))
        for station, digests in taken.refused.items():
            talk = self._talk(station, shards[station])
            talk.refused = (talk.refused + [one for one in digests if one not in talk.refused])[-REFUSED:]
            if talk.address is not None:
                talk.owe(talk.address, 0, (), now)
        for one in taken.arrived:
            if isinstance(one.event.body, KeyPublished):
                self.talks[one.stream.station].sender.held.clear()
        self.counts.taken += len(taken.arrived)
        self.counts.repeated += sum(taken.events.values()) - len(taken.arrived)
        self.counts.quarantined += len(taken.bad)
        self._tell_accepted(taken.arrived)

    def _hello(self, tx: Tx, talk: Talk, hello: Hello, now: float, at: int) -> Callable[[], None]:
        """The other end speaks (again): it wants a receipt for the stream it names, with its nonce."""
        me, again = self.end.me(tx), hello.nonce != talk.theirs
        if self.end.way == UP:
            stream = Stream(talk.station, hello.epoch, me)
        else:
            stream = Stream(talk.station, hello.epoch)
            peer = self.storage.peer(tx, talk.station)
            if hello.current and (peer is None or peer.incarnation != hello.epoch):
                self.storage.keep_peer(tx, talk.station, Peer(hello.epoch), talk.shard, at)
                self.storage.move(tx, Stream(talk.station, me, hello.epoch))
                talk.sender.reset(tx)
                talk.verified = False
        others = (
            [one for one in self.storage.heard_streams(tx, talk.station) if one != stream] if hello.current and self.end.way == DOWN else []
        )
        lost = self.end.way == DOWN and self._lost(tx, talk, hello, me)

        def act() -> None:
            talk.theirs, talk.heard = hello.nonce, now
            if hello.current:
                talk.address = stream
            if again and self.end.way == DOWN:  # a station that comes back has lost what was on its way to it
                talk.answered = False
                talk.sender.lost()
            for one in [*others, stream]:
                talk.owe(one, 0, (), now)
            if again if self.end.way == UP else lost or (talk.sender.busy and not talk.answered):
                if talk.hello is None:
                    self._greet(talk, now)
                elif again:
                    talk.hello, talk.asked = min(talk.hello, now), None  # it is there: our own question need not sit out its pause

        return act

    def _lost(self, tx: Tx, talk: Talk, hello: Hello, me: bytes) -> bool:
        """A station says that it has been told less than it vouched for: its card was put back. True where it can be asked what it has;
        what was said where no receipt can come from any more (to an epoch of its past, or to one that it knows nothing of) is told
        again at once.
        """
        if not hello.current or not hello.store:
            return False
        here = Stream(talk.station, me, hello.epoch)
        lost = _told_less(hello, talk.sender.vouched, me)
        gone = {place: after for place, (after, _) in lost.items() if place[0] != here}
        if gone and self.storage.tell_again(tx, here, gone, [hello.epoch, *(one.epoch for one in hello.past)]):
            talk.sender.reset(tx)
            self.doubtful = True
        return any(fewer for (stream, _), (_, fewer) in lost.items() if stream == here)

    def _receipt(
        self, tx: Tx, talk: Talk, heard: Heard, said: Sealed, keys: Mapping[int, Ed25519PublicKey], now: float, at: int
    ) -> Callable[[], None]:
        """What the other end vouches for. One that does not bear our current nonce can only add; one that says less counts
        only with it. One that knows of more than we ever sent tells us that our own store was put back to an older state.
        """
        try:
            receipt = open_receipt(said.payload, dict(keys))
            marks = {lane.lane: marks_of(lane) for lane in receipt.lanes}
            if receipt.station != talk.station:
                raise WireError("station", receipt.station[:16])
        except WireError as error:
            message = heard.message
            self.storage.quarantine(tx, Bad(heard.station, message.topic, message.payload, error.reason, error.detail[:200]), at)
            return self._ignored
        stream = next((one for one in self.end.streams(tx, talk.station) if _vouches(receipt, one)), None)
        if stream is None:
            return self._ignored
        if receipt.level is Level.SAFE:
            return self._safe(tx, talk, stream, receipt, marks)
        current = bool(talk.nonce) and receipt.nonce == talk.nonce
        peer = self.storage.peer(tx, talk.station)
        if current:
            if receipt.counter <= talk.seen.get((receipt.store, stream), -1):
                return lambda: self._contradicted(talk, stream, receipt, now)
        elif peer is None or receipt.store != peer.incarnation or receipt.counter <= peer.counter:
            return self._ignored
        if self._ahead(tx, stream, receipt, marks):
            last = self.end.streams(tx, talk.station)[-1]
            if stream != last:
                return self._overtaken(tx, talk, stream, last)
            self.end.renew(tx, talk.station)
            return self._renewed
        return self._settle(tx, talk, stream, receipt, peer, now, at, current=current)

    def _contradicted(self, talk: Talk, stream: Stream, receipt: Receipt, now: float) -> None:
        """An answer to our present question that is older than the last one. If it vouches for less, that one may have been the late answer
        of a bridge in whose place an older copy has begun, and this one the copy's: another question tells.
        """
        self._ignored()
        if self._less(talk.sender, stream, receipt) and talk.hello is None:
            self._greet(talk, now + 1.0)

    def _safe(self, tx: Tx, talk: Talk, stream: Stream, receipt: Receipt, marks: Mapping[int, Marks]) -> Callable[[], None]:
        """A verified backup of the bridge holds these. It settles nothing, and counts only from the store whose receipts count, with
        the nonce of our current hello, after every other one of its kind, and for what that store has vouched for.
        """
        peer, place = self.storage.peer(tx, talk.station), (receipt.store, stream)
        fresh = bool(talk.nonce) and receipt.nonce == talk.nonce + SAFE_NONCE and receipt.counter > talk.safe_seen.get(place, -1)
        if self.end.way != UP or not fresh or peer is None or peer.incarnation != receipt.store:
            return self._ignored
        for lane, held in marks.items():
            self.storage.keep_safe(tx, stream, lane, held.both(talk.sender.vouched.get((stream, lane), Marks())))

        def act() -> None:
            self.counts.receipts_in += 1
            talk.safe_seen[place] = receipt.counter

        return act

    def _settle(
        self, tx: Tx, talk: Talk, stream: Stream, receipt: Receipt, peer: Peer | None, now: float, at: int, *, current: bool
    ) -> Callable[[], None]:
        sender = talk.sender
        if current and self.end.way == UP and (peer is None or peer.incarnation != receipt.store):
            sender.forgotten(tx, stream)
            peer = Peer(receipt.store)
            self.storage.keep_peer(tx, talk.station, peer, talk.shard, at)
            self.doubtful = True  # the store may have something to say to another incarnation
        less = not current and self._less(sender, stream, receipt)
        settled = [
            (lane.lane, first, last)
            for lane in self._lanes(sender, stream, receipt)
            for (first, last), _ in sender.settle(tx, stream, lane, receipt.refused, at, absolute=current)
        ]
        settled += [(parcel.lane, parcel.first, parcel.last) for parcel in sender.unreadable(tx, receipt.refused, at)]
        if settled and peer is not None and receipt.counter > peer.counter:
            self.storage.keep_peer(tx, talk.station, peer._replace(counter=receipt.counter), talk.shard, at)
        last_stream = self.end.streams(tx, talk.station)[-1]

        def act() -> None:
            self.counts.receipts_in += 1
            talk.heard = now
            sender.silent = 0
            if current:
                talk.seen[receipt.store, stream] = receipt.counter
                if stream == last_stream:
                    if not talk.answered and talk.asked is not None:
                        sender.missed(stream, talk.asked)
                    talk.answered = talk.verified = True
                    talk.hello, talk.tries = None, 0
            elif less and talk.hello is None:
                self._greet(talk, now + 1.0)
            self._tell_settled(stream, settled)

        return act

    def _less(self, sender: Sender, stream: Stream, receipt: Receipt) -> bool:
        """True when the other end has vouched for something that this receipt does not name."""
        lanes = self._lanes(sender, stream, receipt)
        return any(sender.vouched.get((stream, lane.lane), Marks()).minus(marks_of(lane)) for lane in lanes)

    def _lanes(self, sender: Sender, stream: Stream, receipt: Receipt) -> list[LaneReceipt]:
        """The receipt's lanes, and an empty one for each lane it vouched for earlier and does not name any more."""
        named = {lane.lane for lane in receipt.lanes}
        gone = [lane for (one, lane), marks in sender.vouched.items() if one == stream and lane not in named and marks.highest]
        return [*receipt.lanes, *(LaneReceipt(lane, 0, 0) for lane in gone)]

    def _ahead(self, tx: Tx, stream: Stream, receipt: Receipt, marks: Mapping[int, Marks]) -> bool:
        """True when the other end has numbers from us that we never gave. What it could not read proves nothing: a broken message says any
        number. A list of those that is full may have left some out: then what is there without a gap is all that counts.
        """
        frozen = self.storage.frozen(tx, stream)
        for lane in receipt.lanes:
            have = marks[lane.lane]
            for low, high in lane.quarantined:
                have = have.remove(low, high)
            top = have.contiguous if len(lane.quarantined) >= ASIDE_RANGES else max((last for _, last in have.ranges()), default=0)
            if top > frozen.get(lane.lane, 0):
                return True
        return False

    def _overtaken(self, tx: Tx, talk: Talk, stream: Stream, to: Stream) -> Callable[[], None]:
        """An older stream of ours is ahead of us for ever once a card was put back. What nobody has vouched for there may stand under
        numbers that are taken: it travels in the stream we write now, which stays.
        """
        waits = any(parcel.stream == stream for parcel in self.storage.unsettled(tx, talk.station))
        if not waits and not any(row.stream == stream for row in self.storage.waiting(tx)):
            return self._ignored
        self.storage.move(tx, to)
        return self._doubt

    def _renewed(self) -> None:
        """We are another incarnation now: whatever memory says belongs to the old one."""
        self._doubt()
        for talk in self.talks.values():
            talk.verified = False
            if self.link.up:
                self._greet(talk, float("-inf"))

    def _ignored(self) -> None:
        self.counts.ignored += 1

    # --- memory and store ---------------------------------------------------------------------------------------------

    def _doubt(self) -> None:
        """A transaction failed, or we are another incarnation: what memory knows may not be so, and our own commits are nobody's news."""
        self.doubtful = True
        for talk in self.talks.values():
            talk.stale = True
            self.live[talk.station] = None

    def _fresh(self, tx: Tx, talk: Talk) -> None:
        if not talk.stale:
            return
        streams = self.end.streams(tx, talk.station)
        if streams and self.end.way == DOWN:
            self.storage.move(tx, streams[-1])
        talk.sender.reset(tx)
        peer = self.storage.peer(tx, talk.station)
        if peer is not None and talk.address is None:
            talk.address = Stream(talk.station, peer.incarnation, self.end.me(tx) if self.end.way == UP else b"")
        talk.stale = False

    def refresh(self, tx: Tx, station: str) -> None:
        """Know again what the store knows of a talk: for a post bag, whose steps stand in transactions of their own."""
        self.end.seals.prepare(tx)
        self.talks[station].stale = True
        self._fresh(tx, self.talks[station])

    def say_all(self, tx: Tx, station: str, theirs: bytes, refused: Sequence[bytes], now: float) -> list[bytes]:
        """What a post bag begins with: our hellos, and a receipt for every stream that was ever heard, bearing the nonce `theirs`."""
        talk = self.talks[station]
        talk.theirs, talk.refused = theirs, list(refused)
        self._greet(talk, now)
        for stream in self.storage.heard_streams(tx, station):
            talk.owe(stream, 0, (), now)
        talk.counter = self.storage.reserve(tx, station, max(1, len(talk.due)))
        talk.reserved = talk.counter + len(talk.due)
        self._drop_past(talk, self.end.me(tx))
        held = self._held_of(tx, talk.owed(now))
        return [*self._hellos(tx, talk, now), *self._receipts(talk, self.end.me(tx), now, held).values()]

    def _notice(self, now: float) -> None:
        """What waits in the outbox, by station; whatever waits in a stream of the past moves first."""
        with self.storage.reading() as tx:
            self._see_bags(tx)
            me = self.end.me(tx)
            rows = _by_station(self.storage.waiting(tx))
            for station in [one for one in rows if one not in self.talks]:
                shard = self.storage.shard(tx, station)
                if shard is not None:
                    self._talk(station, shard)
            for station, mine in rows.items():
                if station in self.talks and not self.talks[station].stale:
                    streams = self.end.streams(tx, station)
                    self.talks[station].stale = any(row.stream not in streams for row in mine)
        if me != self.me:
            self._doubt()
            with self._transaction() as tx:
                self.end.seals.prepare(tx)
            self.me = me
        if any(talk.stale for talk in self.talks.values()):
            with self._transaction() as tx:
                for talk in self.talks.values():
                    self._fresh(tx, talk)
                rows = _by_station(self.storage.waiting(tx))
        for station, talk in self.talks.items():
            mine = rows.get(station, [])
            if mine or talk.sender.waiting:
                self.live[station] = None
                talk.sender.notice(mine, now)

    def _ripening(self, now: float) -> float:
        """Seconds until something that waits may leave; 0 when somebody must be greeted first."""
        wait = 3600.0
        for station in self.live:
            talk = self.talks[station]
            if talk.sender.waiting:
                if not talk.answered and talk.hello is None:
                    return 0.0
                ripe = talk.sender.wait(now, metered=self.end.metered, credit=self._credit(talk), most=self._most(now))
                wait = wait if ripe is None else min(wait, ripe)
        return wait

    @contextmanager
    def _transaction(self) -> Iterator[Tx]:
        try:
            with self.storage.transaction() as tx:
                self.storage.share(tx)
                self._see_bags(tx)
                yield tx
        except BaseException:
            self._doubt()
            raise

    def _see_bags(self, tx: Tx) -> None:
        """A post bag has spoken or listened in our place: what memory knows of its station may not be so."""
        bags, stations = self.storage.bag_turns(tx, self.bags)
        if self.bags >= 0:
            for talk in [talk for talk in self.talks.values() if talk.station in stations]:
                talk.stale, talk.reserved = True, talk.counter  # later receipts get later counters than those in the bag
                for stream in self.storage.heard_streams(tx, talk.station):
                    talk.owe(stream, 0, (), float("-inf"))
                self.live[talk.station] = None
        self.bags = bags

    # --- what goes out ------------------------------------------------------------------------------------------------

    def _speak(self, now: float) -> None:
        """Hellos and receipts that are due, out of one look at the store."""
        due = [talk for talk in (self.talks[station] for station in self.live) if talk.is_due(now)]
        if not due:
            return
        # Hellos to a district take the broker's room for many turns, and a turn may be a group of a backlog: a request waits behind none.
        due.sort(key=lambda talk: not talk.urgent)
        if self.link.room <= min(len(talk.due) for talk in due) + 1:
            self.link.eager = True
            return  # a PUBACK makes room
        self._reserve([talk for talk in due if talk.due and talk.counter + len(talk.due) + SAFE_STREAMS > talk.reserved])
        with self.storage.reading() as tx:
            me = self.end.me(tx)
            for talk in due:
                self._drop_past(talk, me)
            for first in range(0, len(due), TOGETHER):
                group = due[first : first + TOGETHER]
                held = self._held_of(tx, [stream for talk in group for stream in talk.owed(now)])
                for talk in group:
                    if self.link.room <= len(talk.due) + 1:
                        self.link.eager = True
                        return
                    if not self._say_due(tx, talk, me, now, held):
                        return

    def _drop_past(self, talk: Talk, me: bytes) -> None:
        """A station's receipt says which epoch speaks, and is read as one for what was said to that epoch. What is owed for an earlier one
        is owed for this one now: its numbers there would vouch for what has never come.
        """
        for kept in (talk.due, talk.recent) if self.end.way == UP else ():
            for stream in [one for one in kept if one.epoch != me]:
                old: Any = kept.pop(stream)
                kept.setdefault(stream._replace(epoch=me), old)

    def _held_of(self, tx: Tx, streams: Sequence[Stream]) -> Held:
        """What is in and what is set aside of some streams; a bridge with a backlog is asked for many at a time."""
        return (self.storage.all_marks(tx, streams), self.storage.set_aside(tx, streams, ASIDE_RANGES)) if streams else ({}, {})

    def _reserve(self, talks: Sequence[Talk]) -> None:
        """Counters for the next receipts of these talks."""
        if not talks:
            return
        with self._transaction() as tx:
            first = [self.storage.reserve(tx, talk.station, COUNTERS) for talk in talks]
        for talk, counter in zip(talks, first, strict=True):
            talk.counter, talk.reserved = counter, counter + COUNTERS

    def _say_due(self, tx: Tx, talk: Talk, me: bytes, now: float, held: Held) -> bool:
        """Tell one talk what is due; False when the line has gone."""
        hellos, receipts = self._hellos(tx, talk, now), self._receipts(talk, me, now, held)
        safe = self._safe_receipts(tx, talk, me, now) if receipts else []
        try:
            for payload in [*hellos, *receipts.values(), *safe]:
                for part in split(payload, self.limit):  # a hello's PUBACK says whether anybody is subscribed; a receipt needs none
                    self.link.publish(topic(talk.shard, talk.station, self.end.way, Lane.URGENT), part, sure=payload in hellos)
        except LinkError as error:
            self.reason = error.reason
            for stream in receipts:
                talk.owe(stream, 0, (), now)
            if hellos:
                talk.hello = now
            return False
        return True

    def _hellos(self, tx: Tx, talk: Talk, now: float) -> list[bytes]:
        if talk.hello is None or talk.hello > now:
            return []
        talk.tries += 1
        if talk.asked is None:
            talk.asked = now
        talk.answered = talk.answered and talk.tries == 1  # asked a second time in vain: it is not there
        talk.hello = now + hello_again(talk.tries, self.end.metered or self.end.way == DOWN)
        if self.end.way == DOWN and talk.tries >= ASKED and not talk.sender.busy:
            talk.hello = None  # it is away, and will say hello itself when it comes
            if not talk.verified:
                heappush(self.later, (now + ask_later(talk.tries - ASKED + 1), talk.station))
        origins = [stream.origin for stream in self.end.streams(tx, talk.station)] or [self.end.me(tx)]
        said = []
        for origin in origins:
            hello = Hello(talk.station, origin, talk.nonce, self.end.software, current=origin == origins[-1])
            if self.end.way == UP and hello.current:
                known = self._remembered(tx, talk.station, origins)
                hello = replace(hello, store=known[-1].store, have=known[-1].have, past=tuple(known[:-1]))
            said.append(write_hello(hello))
        return said

    def _remembered(self, tx: Tx, station: str, epochs: Sequence[bytes]) -> list[Past]:
        """What this store has been told in each of its epochs, by the store of the other end that it knows last."""
        peer = self.storage.peer(tx, station)
        if peer is None:
            return [Past(epoch, NOBODY) for epoch in epochs]
        streams = [Stream(station, peer.incarnation, epoch) for epoch in epochs]
        held, tag = self.storage.all_marks(tx, streams), peer.incarnation[:TAG_BYTES]
        return [
            Past(one.epoch, tag, tuple((lane, marks.contiguous, marks.highest) for lane, marks in sorted(held[one].items())))
            for one in streams
        ]

    def _receipts(self, talk: Talk, me: bytes, now: float, held: Held) -> dict[Stream, bytes]:
        receipts: dict[Stream, bytes] = {}
        for stream in talk.owed(now)[: max(0, talk.reserved - talk.counter)]:
            del talk.due[stream]
            marks, aside = held[0][stream], held[1][stream]
            lanes = tuple(lane_receipt(lane, marks[lane], aside.get(lane, ())) for lane in sorted(marks))
            receipt = Receipt(
                talk.station, stream.origin, me, talk.counter, talk.theirs, lanes,
                key_id=self.end.sign[0], refused=tuple(talk.refused),
            )  # fmt: skip
            talk.counter += 1
            talk.receipted = talk.recent[stream] = now
            self.counts.receipts_out += 1
            receipts[stream] = seal_receipt(receipt, self.end.sign[1])
        if receipts:
            talk.refused.clear()
        return receipts

    def _safe_receipts(self, tx: Tx, talk: Talk, me: bytes, now: float) -> list[bytes]:
        """What a verified backup holds, told beside a receipt: the other end has just spoken, so it is there to hear it."""
        if now >= self.safe[1] + SAFE_LOOK:
            self.safe = (self.storage.safe_turn(tx), now)
        if not talk.theirs or not talk.tell_safe(self.safe[0], now):
            return []
        told = []
        for stream in self.storage.heard_streams(tx, talk.station)[-SAFE_STREAMS:]:
            marks = {lane: one for lane, one in self.storage.safe_marks(tx, stream).items() if one.highest}
            if marks and talk.counter < talk.reserved:
                lanes = tuple(lane_receipt(lane, marks[lane]) for lane in sorted(marks))
                receipt = Receipt(
                    talk.station, stream.origin, me, talk.counter, talk.theirs + SAFE_NONCE, lanes, Level.SAFE,
                    key_id=self.end.sign[0],
                )  # fmt: skip
                talk.counter += 1
                told.append(seal_receipt(receipt, self.end.sign[1]))
        talk.safe_told = (self.safe[0], talk.theirs, now)
        self.counts.receipts_out += len(told)
        return told

    def _send(self, now: float, at: int) -> None:
        """Parcels, as far as the window, the broker and the other end's credit allow."""
        self.link.eager = False
        for station in list(self.live):
            talk = self.talks[station]
            sender = talk.sender
            sender.overdue(now)
            sender.unanswered(now)
            if self.link.up and sender.busy and not talk.answered and talk.hello is None:
                self._greet(talk, now)  # said in the next turn, which `_wait` asks for at once
            room = min(self.pace.room, self.link.room if self.link.up else 0)
            again, credit, metered, most = self._again(talk, now), self._credit(talk), self.end.metered, self._most(now)
            if room <= 0:
                self.link.eager = True
                return
            if talk.verified and sender.sendable(now, metered=metered, again=again, credit=credit, most=most):
                with self._transaction() as tx:
                    self._fresh(tx, talk)
                    pieces = sender.next_pieces(tx, room, now, at, metered=metered, again=again, credit=credit, most=most)
                if not self._publish(talk, pieces, now):
                    return
                self.link.eager = self.link.eager or len(pieces) >= room

    def _publish(self, talk: Talk, pieces: Sequence[Piece], now: float) -> bool:
        receipted = self._receipted(talk, pieces, now)
        for piece in pieces:
            try:
                token = self._say(talk, piece, sure=not receipted)
            except LinkError as error:
                self.reason = error.reason
                talk.sender.lost()
                return False
            if receipted:
                self.unheard = now if self.unheard is None else self.unheard
                piece.flight.unsure = piece.lane in AT_ONCE
            else:
                self.pace.sent(token, len(piece.payload), now)
            self.quiet = now
            self.budget.sent(piece.lane, now)
            self.counts.published += 1
            if piece.last:
                for ids in piece.flight.told:
                    self.end.say("publish" if self.end.way == UP else "published", **ids)
                piece.flight.told = []
        return True

    def _say(self, talk: Talk, piece: Piece, *, sure: bool) -> int:
        return self.link.publish(topic(talk.shard, talk.station, self.end.way, Lane(piece.lane)), piece.payload, sure=sure)

    def _receipted(self, talk: Talk, pieces: Sequence[Piece], now: float) -> bool:
        """True where the receipt alone may answer these messages: few, after a silence, for the first time, to who is there."""
        few = len(pieces) < WINDOW and not self.pace.flying and now >= self.quiet + QUIET
        return self.end.metered and talk.answered and few and all(one.first and one.last and one.lane != Lane.ATTACHMENTS for one in pieces)

    def _again(self, talk: Talk, now: float) -> bool:
        return talk.answered or now >= talk.up + GRACE

    def _most(self, now: float) -> Lane:
        """The least urgent lane that may leave: all may, unless the budget of ordinary ones is used up."""
        return Lane.CONSULT if self._held(now) > 0 else Lane.CONTENT

    def _held(self, now: float) -> float:
        """Seconds until ordinary lanes may leave."""
        return self.budget.wait(now, self.link.spent) if self.budget else 0.0

    def _credit(self, talk: Talk) -> int:
        return CREDIT if talk.answered else CREDIT_UNANSWERED

    def _wait(self, now: float) -> float:
        """Seconds until something is due that no event of the line will announce."""
        if not self.link.up:
            return soonest(None if self.opening else self.retry - now)
        waits: list[float | None] = [PATIENCE - self.pace.silence(now) + 1.0 if self.pace.flying else None]
        waits.append(None if self.unheard is None else self.unheard + UNHEARD - now)
        held = self._held(now)
        waits.append(held if held > 0 else None)
        waits.append(self.later[0][0] - now if self.later else None)
        for station in list(self.live):
            talk = self.talks[station]
            due = talk.next_due()
            if due is None and not talk.sender.busy and not talk.stale:
                self.live.pop(station, None)
                continue
            waits.append(None if due is None else due - now)
            if talk.verified:
                waits += [talk.sender.overdue(now), talk.sender.unanswered(now)]
                if self.pace.room > 0 and self.link.room > 0:
                    waits.append(talk.sender.wait(now, metered=self.end.metered, credit=self._credit(talk), most=self._most(now)))
                    waits.append(None if talk.answered or not talk.sender.todo else talk.up + GRACE - now)
        return soonest(*waits)

    # --- the journal --------------------------------------------------------------------------------------------------

    def _tell_decoded(self, runs: Sequence[Run]) -> None:
        if self.end.way == UP:
            return  # on the way down the journal has no such step
        for run in runs:
            header = run.header
            stream = Stream(header.station, header.origin, header.epoch)
            for ids in told(stream, header.lane, header.first_seq, run.events):
                self.end.say("decode", **ids)

    def _tell_accepted(self, arrived: Sequence[Arrived]) -> None:
        step = "accepted" if self.end.way == UP else "accept"
        start = 0
        for place, one in enumerate(arrived, 1):
            after = arrived[place] if place < len(arrived) else None
            if after is None or (after.stream, after.lane, after.seq) != (one.stream, one.lane, one.seq + 1):
                events = [other.event for other in arrived[start:place]]
                for ids in told(one.stream, one.lane, arrived[start].seq, events):
                    self.end.say(step, **ids)
                start = place

    def _tell_settled(self, stream: Stream, settled: Sequence[tuple[int, int, int]]) -> None:
        for lane, first, last in settled:
            more = {"count": last - first + 1} if last > first else {}
            self.end.say("receipt", epoch=stream.origin, lane=lane, seq=first, **more)


def _told_less(hello: Hello, vouched: Mapping[Place, Marks], me: bytes) -> dict[Place, tuple[int, bool]]:
    """Of what a station vouched for: each lane of which it does not have all (any more) by what its hello says, with the number up to
    which it has it, and whether it has not even the last of them.

    In an epoch that it knows it says nothing of another store of ours than the one it names; where that one is our present one, or it
    names nobody, it has nothing of it. In an epoch that it does not know it was told nothing by anybody.
    """
    known = {one.epoch: one for one in (*hello.past, Past(hello.epoch, hello.store, hello.have))}
    found = {}
    for (stream, lane), marks in vouched.items():
        past = known.get(stream.epoch)
        named = past is not None and stream.origin[:TAG_BYTES] == past.store
        if past is not None and not (named or past.store == NOBODY or stream.origin == me):
            continue
        have = {one: (contiguous, highest) for one, contiguous, highest in past.have} if past is not None and named else {}
        contiguous, highest = have.get(lane, (0, 0))
        if contiguous < marks.highest:
            found[stream, lane] = (contiguous, highest < marks.highest)
    return found


def _vouches(receipt: Receipt, stream: Stream) -> bool:
    """True when the receipt speaks of this stream of ours: on the way down only that of the epoch it is addressed to."""
    return receipt.epoch == stream.origin and (not stream.epoch or receipt.store == stream.epoch)


def _by_station(rows: Sequence[Waiting]) -> dict[str, list[Waiting]]:
    found: dict[str, list[Waiting]] = {}
    for row in rows:
        found.setdefault(row.stream.station, []).append(row)
    return found
