"""What the other end says: a message becomes events, new ones are kept once and taken by the clinic, the marks move; one transaction.

What cannot be read is kept byte-exact in quarantine and the next message goes on. A repeat is known by the marks, for
ever. The same number with other content is no repeat: it is quarantined (``reused``), never dropped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from appliance.contract.codec import write_event
from appliance.contract.errors import WireError
from appliance.contract.events import Event, KeyPublished, Unknown
from appliance.contract.parcels import FRAGMENT, PARCEL, PAYLOAD_BYTES, Fragment, Header, join, peek, read_fragment, read_parcel
from appliance.contract.receipts import HELLO, RECEIPT, Hello, digest, read_hello
from appliance.contract.sealing import SEALED
from appliance.contract.topics import Address, parse
from appliance.relay.line import Message
from appliance.relay.marks import MOST_HOLES, Marks
from appliance.relay.seals import Clear, Seals, Waiting, refused_clear
from appliance.relay.storage import Arrived, Bad, Storage, Stream, Tx

FRAGMENTS = 4096
"""Parts one payload may have: 1 MiB in parts of 256 bytes."""

Apply = Callable[[Tx, Sequence[Arrived]], None]
"""Gives new events to the clinic inside the transaction that keeps them. ValueError: this one cannot be taken, go on."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A receipt that nobody has verified yet."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Run:
    """The events of one parcel."""

    header: Header
    events: list[Event]


@dataclass(frozen=True, slots=True)
class Closed:
    """A sealed parcel that nobody has opened yet."""

    header: Header
    payload: bytes


Content = Run | Closed | Sealed | Hello | Fragment | Bad


@dataclass(frozen=True, slots=True)
class Heard:
    """One message, read as far as it can be read without the store. `station` is the topic's, empty when that is no topic of ours."""

    message: Message
    station: str
    shard: int
    content: Content


@dataclass
class Taken:
    """What came of some messages. Per stream: how many events (repeats too) and of which lanes; per station: the digests of
    what was refused; receipts and hellos in the order they came; what is new; what went to quarantine; every parcel that was read.
    """

    events: dict[Stream, int] = field(default_factory=dict)
    lanes: dict[Stream, set[int]] = field(default_factory=dict)
    refused: dict[str, list[bytes]] = field(default_factory=dict)
    said: list[tuple[Heard, Sealed | Hello]] = field(default_factory=list)
    arrived: list[Arrived] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def add(self, other: "Taken") -> None:
        """What came of more messages of the same transaction."""
        for stream, count in other.events.items():
            self.events[stream] = self.events.get(stream, 0) + count
            self.lanes.setdefault(stream, set()).update(other.lanes[stream])
        for station, digests in other.refused.items():
            self.refused.setdefault(station, []).extend(digests)
        self.said += other.said
        self.arrived += other.arrived
        self.bad += other.bad
        self.runs += other.runs


def read(message: Message, way: str) -> Heard:
    """Read one message that came on a topic of `way`. Never raises: what cannot be read is `Bad`."""
    try:
        address = parse(message.topic)
        if address.way != way:
            raise WireError("topic", message.topic[:80])
    except WireError as error:
        return Heard(message, "", 0, Bad("", message.topic, message.payload, error.reason, error.detail))
    try:
        content = _content(address, message.payload)
    except WireError as error:
        content = _bad(address, message, error)
    return Heard(message, address.station, address.shard, content)


def _content(address: Address, payload: bytes) -> Content:
    if len(payload) > PAYLOAD_BYTES:
        raise WireError("oversized", f"{len(payload)} bytes")
    first = payload[0] if payload else -1
    if first == PARCEL:
        header = peek(payload)
        _check(address, header)
        return Closed(header, payload) if header.suite == SEALED else Run(*read_parcel(payload))
    if first == RECEIPT:
        return Sealed(payload)
    if first == HELLO:
        hello = read_hello(payload)
        if hello.station != address.station:
            raise WireError("station", hello.station[:16])
        return hello
    if first == FRAGMENT:
        fragment = read_fragment(payload)
        if fragment.parts > FRAGMENTS:
            raise WireError("range", f"{fragment.parts} fragments")
        return fragment
    raise WireError("truncated" if not payload else "version", payload[:1].hex())


def _check(address: Address, header: Header) -> None:
    if header.station != address.station:
        raise WireError("station", f"{header.station} on the topic of {address.station}")
    if header.lane != address.lane:
        raise WireError("lane", f"lane {header.lane} on the topic of lane {address.lane:d}")
    if header.first_seq < 1:
        raise WireError("range", f"first number {header.first_seq}")


def _bad(address: Address, message: Message, error: WireError) -> Bad:
    """The message as quarantine keeps it; with its place where the header is whole and speaks for this topic."""
    bad = Bad(address.station, message.topic, message.payload, error.reason, error.detail.replace("\0", " ")[:200])
    try:
        header = peek(message.payload)
        _check(address, header)
    except WireError:
        return bad
    last = header.first_seq + header.count - 1
    return bad._replace(stream=_stream(header), lane=header.lane, first=header.first_seq, last=last)


def _stream(header: Header) -> Stream:
    return Stream(header.station, header.origin, header.epoch)


def turn_away(storage: Storage, tx: Tx, heard: Heard, at: int) -> Bad:
    """Keep a message of a station that is not ours (unknown, or revoked)."""
    given, message = heard.content, heard.message
    if not isinstance(given, Bad):
        given = Bad(heard.station, message.topic, message.payload, "station", f"{heard.station} is not registered here")
    bad = given._replace(stream=None, lane=None, first=None, last=None)
    storage.quarantine(tx, bad, at)
    return bad


def take(
    storage: Storage,
    tx: Tx,
    heard: Sequence[Heard],
    apply: Apply,
    mine: Callable[[Tx, Stream], bool],
    at: int,
    seals: Seals | None = None,
) -> Taken:
    """Take messages of stations that are ours inside one transaction. `mine` says whether a stream is one that this end takes.

    A sealed parcel whose key has not come is set aside by `seals` and read when it comes; nothing vouches for it until then.
    """
    seals = seals or Clear()
    batch = _Batch(storage, tx, mine, at, seals)
    batch.expect(heard)
    for one in heard:
        batch.hear(one)
    batch.keep()
    learned = _learn(storage, tx, seals, batch.taken.arrived, at)
    meant = [one for one in batch.taken.arrived if not isinstance(one.event.body, Unknown)]
    if meant:
        _give(storage, tx, meant, apply)
    again = seals.again(tx, {one.station for one in heard}, learned)
    if again:
        opened = [read(Message(one.topic, one.payload, 0), parse(one.topic).way) for one in again]
        batch.taken.add(take(storage, tx, opened, apply, mine, at, seals))
    return batch.taken


def _learn(storage: Storage, tx: Tx, seals: Seals, arrived: Sequence[Arrived], at: int) -> set[str]:
    """Take the keys among what is new; the stations that sent one."""
    learned = set()
    for one in arrived:
        if isinstance(one.event.body, KeyPublished):
            try:
                seals.learn(tx, one.stream.station, one.event.body, at)
                learned.add(one.stream.station)
            except ValueError as error:
                storage.refuse(tx, one, f"{type(error).__name__}: {error}".replace("\0", " ")[:200])
    return learned


def _give(storage: Storage, tx: Tx, meant: Sequence[Arrived], apply: Apply) -> None:
    """All together; when one of them is refused, each alone."""
    try:
        with storage.savepoint(tx):
            apply(tx, meant)
    except ValueError as error:
        if len(meant) == 1:
            storage.refuse(tx, meant[0], f"{type(error).__name__}: {error}".replace("\0", " ")[:200])
            return
        for one in meant:
            _give(storage, tx, [one], apply)


class _Batch:
    """Some messages on their way into the store. `pending` are the bodies of events that are new in this very batch."""

    def __init__(self, storage: Storage, tx: Tx, mine: Callable[[Tx, Stream], bool], at: int, seals: Seals) -> None:
        self.storage = storage
        self.tx = tx
        self.mine = mine
        self.at = at
        self.seals = seals
        self.taken = Taken()
        self.known: dict[tuple[Stream, int], Marks] = {}
        self.marks: dict[tuple[Stream, int], Marks] = {}
        self.pending: dict[tuple[Stream, int], dict[int, bytes]] = {}

    def keep(self) -> None:
        """Write the new events and the marks."""
        if self.taken.arrived:
            self.storage.insert(self.tx, self.taken.arrived, self.at)
        if self.marks:
            self.storage.keep_marks(self.tx, self.marks)

    def expect(self, heard: Sequence[Heard]) -> None:
        """Read the marks of all lanes these messages speak of, in one question."""
        places = {(_stream(one.content.header), one.content.header.lane) for one in heard if isinstance(one.content, (Run, Closed))}
        if places:
            self.known = dict.fromkeys(places, Marks()) | self.storage.marks(self.tx, sorted(places))

    def hear(self, heard: Heard) -> None:
        """Take one message."""
        match heard.content:
            case Run():
                self._read(heard, heard.content)
            case Closed():
                self._open(heard, heard.content)
            case Bad():
                self._refuse(heard.content)
            case Fragment():
                self._fragment(heard, heard.content)
            case _:
                self.taken.said.append((heard, heard.content))

    def _open(self, heard: Heard, closed: Closed) -> None:
        keys = self.seals.keys(self.tx, closed.header)
        if keys is not None and not keys:
            self.seals.set_aside(self.tx, closed.header, Waiting(heard.message.topic, closed.payload), self.at)
            return
        try:
            run = Run(*read_parcel(closed.payload, keys or ()))
        except WireError as error:
            self._refuse(_bad(parse(heard.message.topic), heard.message, error))
            return
        self._read(heard, run)

    def _read(self, heard: Heard, run: Run) -> None:
        if refused_clear(self.seals, run.header, run.events):
            self._refuse(_bad(parse(heard.message.topic), heard.message, WireError("clear", "a parcel that is not sealed")))
            return
        self.taken.runs.append(run)
        self._run(heard, run)

    def _run(self, heard: Heard, run: Run) -> None:
        stream, lane = _stream(run.header), run.header.lane
        if not self.mine(self.tx, stream):
            return  # for another epoch than ours; its sender will hear of ours and send it anew
        first, last = run.header.first_seq, run.header.first_seq + run.header.count - 1
        before = self._marks(stream, lane)
        after = before.add(first, last)
        if len(after.holes) > MOST_HOLES:
            return  # it comes again when some holes are filled
        arrived = [Arrived(stream, lane, seq, event, write_event(event)) for seq, event in enumerate(run.events, first)]
        if before.missing(first, last) != [(first, last)]:
            here = self._here(stream, lane, first, last)
            if any(here.get(one.seq, one.body) != one.body for one in arrived):
                detail = f"numbers {first}..{last} hold other events already"
                self._refuse(Bad(heard.station, heard.message.topic, heard.message.payload, "reused", detail))
                return
            arrived = [one for one in arrived if one.seq not in here]
            if any(before.has(one.seq, one.seq) for one in arrived):
                self.storage.redeem(self.tx, stream, lane, first, last)
        self.marks[stream, lane] = after
        self.pending.setdefault((stream, lane), {}).update((one.seq, one.body) for one in arrived)
        self.taken.arrived += arrived
        self._told(stream, lane, run.header.count)

    def _refuse(self, bad: Bad) -> None:
        self.storage.quarantine(self.tx, bad, self.at)
        self.taken.bad.append(bad)
        self.taken.refused.setdefault(bad.station, []).append(digest(bad.payload))
        if bad.stream is None or bad.lane is None or bad.first is None or bad.last is None or not self.mine(self.tx, bad.stream):
            return
        after = self._marks(bad.stream, bad.lane).add(bad.first, bad.last)
        if len(after.holes) <= MOST_HOLES:
            self.marks[bad.stream, bad.lane] = after
            self._told(bad.stream, bad.lane, 0)

    def _fragment(self, heard: Heard, part: Fragment) -> None:
        if self.storage.add_fragment(self.tx, heard.station, part, self.at) < part.parts:
            return
        parts = self.storage.fragments(self.tx, heard.station, part.digest)
        whole: Bad | None
        try:
            payload = join(parts)
        except WireError as error:
            if error.reason == "truncated":
                return  # parts of the same name that count otherwise: the true ones are still to come
            payload = b"".join(one.data for one in sorted(parts, key=lambda one: one.part))
            whole = Bad(heard.station, heard.message.topic, payload, error.reason, error.detail)
        else:
            message = Message(heard.message.topic, payload, heard.message.token)
            again = read(message, parse(message.topic).way)
            whole = again.content if isinstance(again.content, Bad) else None
            if isinstance(again.content, Fragment):
                whole = Bad(heard.station, message.topic, payload, "shape", "a fragment made of fragments")
            if whole is None:
                self.hear(again)
        self.storage.drop_fragments(self.tx, heard.station, part.digest)
        if whole is not None:
            self._refuse(whole)

    def _marks(self, stream: Stream, lane: int) -> Marks:
        place = (stream, lane)
        if place not in self.marks and place not in self.known:
            self.known[place] = self.storage.marks(self.tx, [place]).get(place, Marks())
        return self.marks.get(place) or self.known[place]

    def _here(self, stream: Stream, lane: int, first: int, last: int) -> dict[int, bytes]:
        """The bodies of a range that are kept already, or will be by this batch."""
        here = self.storage.bodies(self.tx, stream, lane, first, last)
        fresh = self.pending.get((stream, lane), {})
        return here | {seq: fresh[seq] for seq in range(first, last + 1) if seq in fresh}

    def _told(self, stream: Stream, lane: int, count: int) -> None:
        self.taken.events[stream] = self.taken.events.get(stream, 0) + count
        self.taken.lanes.setdefault(stream, set()).add(lane)
