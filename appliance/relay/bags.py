"""The post bag at either end: the pump's rules with a file for a line.

What comes in a bag is heard by the same code as what comes from a broker, so that once-only, quarantine and receipts are the
same. What goes is what nobody has vouched for, frozen as for the line and byte for byte the same. Carriers may run
meanwhile: every step holds the talks (`Storage.hold`), and the carriers notice it (`Storage.bag_turns`).

A bag may be days late, lost, or handed over twice. So (docs/decisions, 0011):

* Packing changes nothing but the book: what is in a bag waits as before until a receipt comes, by whichever road.
* A receipt in a bag can say *less* than we knew only when it answers a bag of ours since which nothing has been vouched for.
* A hello in a bag moves the talk to another incarnation only when its packer knew the one we talk to, or had our last bag.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.contract import cbor
from appliance.contract.bag import MOST_BEFORE, BagHeader, Record
from appliance.contract.lanes import CHUNK_BYTES, Lane
from appliance.contract.parcels import PARCEL, peek
from appliance.contract.receipts import DIGEST_BYTES, Hello
from appliance.contract.topics import UP, topic
from appliance.relay.line import LinkError, Message
from appliance.relay.marks import Marks, write_holes
from appliance.relay.pump import REFUSED, End, Pump
from appliance.relay.storage import BagRow, Parcel, Storage, Stream, Tx
from appliance.relay.taking import Heard, Taken, read
from appliance.relay.talk import Talk

AT_ONCE = 32
"""Parcels frozen in one transaction: nobody else may write to the station's store meanwhile."""
_NOW = 0.0


class NoLine:
    """A line that is never up: satisfies `appliance.relay.line.Link`."""

    up = False
    eager = False
    beat = 0.0
    room = 0
    largest = CHUNK_BYTES
    spent = 0

    def open(self) -> None:
        """Nothing to open."""

    def happenings(self) -> Sequence[Message]:
        """Nothing happens."""
        return []

    def publish(self, topic: str, payload: bytes, *, sure: bool = True) -> int:  # noqa: ARG002 - the line's form
        """Nobody listens."""
        raise LinkError("bag", f"{len(payload)} bytes for {topic}")

    def done(self, token: int) -> None:
        """Nobody waits for it."""

    def prod(self, within: float) -> None:
        """Nothing to give up."""

    def close(self, reason: str) -> None:
        """Nothing to close."""


@dataclass(frozen=True)
class Came:
    """What came of a bag: `new` events, `repeated` ones that were here already, `refused` messages that nobody could read
    and that are in quarantine. `again`: this very bag had been taken before.
    """

    new: int = 0
    repeated: int = 0
    refused: int = 0
    again: bool = False


@dataclass(frozen=True)
class Going:
    """A bag that is to be written: its label, its row in the book, and its messages; parcels are read when they are written."""

    header: BagHeader
    row: BagRow
    said: tuple[bytes, ...]
    parcels: tuple[Parcel, ...]


class Courier:
    """One end's side of the post for one station. `shard` is that of the station's topics."""

    def __init__(self, storage: Storage, end: End, station: str, shard: int) -> None:
        self.storage = storage
        self.end = end
        self.station = station
        self.shard = shard
        self.pump = Pump(storage, NoLine(), end, [(station, shard)])

    @property
    def talk(self) -> Talk:
        """What the pump remembers of the station."""
        return self.pump.talks[self.station]

    def keys(self) -> Mapping[int, Ed25519PublicKey]:
        """The other end's keys; none for a station that is not ours to serve."""
        with self.storage.reading() as tx:
            return self.end.keys(tx, self.station) or {}

    def own_keys(self) -> Mapping[int, Ed25519PublicKey]:
        """Ours, by which a bag of our own is known."""
        number, key = self.end.sign
        return {number: key.public_key()}

    @property
    def signer(self) -> Ed25519PrivateKey:
        """Our key."""
        return self.end.sign[1]

    # --- what came ----------------------------------------------------------------------------------------------------

    def take(
        self, header: BagHeader, digest: bytes, sheaves: Iterable[Sequence[Record]], at: int, tell: Callable[[int], None] = lambda _: None
    ) -> Came:
        """Take a bag whose label and signature were checked; `tell` hears how many messages are in.

        Each sheaf is a transaction of its own. Whatever ends it early leaves a store in which the bag can be taken again.
        """
        row, fresh = self._begin(header, digest, at)
        if row.done:
            return Came(again=True)
        came = Came()
        for sheaf in sheaves:
            with self._talking() as tx:
                taken, committed = self.pump.hear(tx, self._heard(header, sheaf, fresh=fresh), _NOW, at)
                row = self._noted(row, taken, len(sheaf))
                self.storage.note_bag(tx, self.station, row)
            nonce = self.talk.nonce
            committed()
            self.talk.nonce = nonce  # an answer counts for all of the bag
            events = sum(taken.events.values())
            came = Came(came.new + len(taken.arrived), came.repeated + events - len(taken.arrived), came.refused + len(taken.bad))
            tell(row.messages)
        with self._talking() as tx:
            self.storage.note_bag(tx, self.station, row._replace(done=True))
        return came

    def unknown(self, header: BagHeader, records: Iterable[Record]) -> int:
        """How many events of a bag are not in yet, by the clear headers of its parcels."""
        known: dict[Stream, dict[int, Marks]] = {}
        count = 0
        with self.storage.reading() as tx:
            for one in records:
                if one.payload[:1] != bytes([PARCEL]):
                    continue
                head = peek(one.payload)
                stream = Stream(head.station, head.origin, head.epoch)
                if head.station != header.station or not self.end.mine(tx, stream):
                    continue
                if stream not in known:
                    known |= self.storage.all_marks(tx, [stream])
                marks = known[stream].get(head.lane, Marks())
                count += sum(last - first + 1 for first, last in marks.missing(head.first_seq, head.first_seq + head.count - 1))
        return count

    def _begin(self, header: BagHeader, digest: bytes, at: int) -> tuple[BagRow, bool]:
        """The bag's row, and whether its packer's hello may move the talk."""
        with self._talking() as tx:
            there = self.storage.bag_in(tx, self.station, digest)
            if there is not None and there.done:
                return there, False
            self._put_back(tx, header.seen_origin, header.seen)
            last, ours = self.storage.last_bag(tx, self.station, inward=True), self.storage.last_bag(tx, self.station, inward=False)
            answers = bool(header.answers) and ours is not None and ours.nonce == header.answers
            if last is None:
                later = True
            elif last.origin == header.origin:
                later = header.number > last.number
            else:
                later = answers or last.origin in header.before
            peer = self.storage.peer(tx, self.station)
            fresh = peer is None or answers or peer.incarnation in (header.origin, *header.before)
            asked = self.storage.bag_out(tx, self.station, header.answers) if header.answers else None
            trusted = asked is not None and asked.vouched == self._vouched(tx)
            self.talk.nonce = header.answers if trusted else b""
            row = there or BagRow(True, header.origin, header.number, header.nonce if later else b"", at, digest)
            row = row._replace(messages=0)
            return row._replace(id=self.storage.note_bag(tx, self.station, row)), fresh

    def _heard(self, header: BagHeader, sheaf: Sequence[Record], *, fresh: bool) -> list[Heard]:
        found = []
        for one in sheaf:
            heard = read(Message(topic(self.shard, self.station, header.way, Lane(one.lane)), one.payload, 0), self.end.other)
            if isinstance(heard.content, Hello) and not fresh:
                heard = replace(heard, content=replace(heard.content, current=False))
            found.append(heard)
        return found

    def _noted(self, row: BagRow, taken: Taken, messages: int) -> BagRow:
        refused = row.refused + b"".join(taken.refused.get(self.station, ()))
        return row._replace(
            messages=row.messages + messages, items=row.items + len(taken.arrived), refused=refused[-REFUSED * DIGEST_BYTES :]
        )

    # --- what goes ----------------------------------------------------------------------------------------------------

    def pack(self, at: int, own: Sequence[BagHeader] = ()) -> Going:
        """Freeze what waits and say what is to be written. `own` are labels of our own bags that the stick holds: one that
        this store knows nothing of says that the store was put back to an older state.
        """
        with self._talking() as tx:
            for one in own:
                self._put_back(tx, one.origin, one.number)
        least = max((one.number for one in own), default=0)
        while True:
            with self._talking() as tx:
                sender = self.talk.sender
                sender.notice([row for row in self.storage.waiting(tx) if row.stream.station == self.station], _NOW)
                if not sender.freeze_waiting(tx, AT_ONCE, at):
                    return self._going(tx, at, least)

    def _going(self, tx: Tx, at: int, least: int) -> Going:
        ours, theirs = self.storage.last_bag(tx, self.station, inward=False), self.storage.last_bag(tx, self.station, inward=True)
        number = max(least, 0 if ours is None else ours.number) + 1
        refused = b"" if theirs is None else theirs.refused
        said = self.pump.say_all(
            tx, self.station, b"" if theirs is None else theirs.nonce,
            [refused[at : at + DIGEST_BYTES] for at in range(0, len(refused), DIGEST_BYTES)], _NOW,
        )  # fmt: skip
        parcels = tuple(self.storage.unsettled(tx, self.station))
        items = sum(one.last - one.first + 1 for one in parcels)
        me, nonce = self.end.me(tx), self.talk.nonce
        header = BagHeader(
            self.station, self.end.way, me, number, nonce, at, len(said) + len(parcels), items, self.end.sign[0],
            before=self._before(tx, me), software=self.end.software,
        )  # fmt: skip
        if theirs is not None:
            header = replace(header, answers=theirs.nonce, seen=theirs.number, seen_origin=theirs.origin)
        row = BagRow(
            False,
            me,
            number,
            nonce,
            at,
            vouched=self._vouched(tx),
            contents=cbor.dump(_runs(parcels)),
            messages=header.messages,
            items=items,
        )
        return Going(header, row._replace(id=self.storage.note_bag(tx, self.station, row)), tuple(said), parcels)

    def records(self, going: Going) -> Iterator[Record]:
        """The messages of a bag in the order they are to be taken: what is said of both ends, then the parcels by lane."""
        for payload in going.said:
            yield Record(Lane.URGENT, payload)
        for start in range(0, len(going.parcels), AT_ONCE):
            some = going.parcels[start : start + AT_ONCE]
            with self.storage.reading() as tx:
                payloads = [self.storage.payload(tx, one.number) for one in some]
            yield from (Record(one.lane, payload) for one, payload in zip(some, payloads, strict=True))

    def packed(self, going: Going, digest: bytes, size: int) -> None:
        """The bag is whole on the stick."""
        with self._talking() as tx:
            self.storage.note_bag(tx, self.station, going.row._replace(digest=digest, size=size, done=True))

    def knows(self, own: BagHeader) -> bool:
        """True for a bag of ours that is in the book: what is in it is in the store too."""
        with self.storage.reading() as tx:
            return self.storage.bag_out(tx, self.station, own.nonce) is not None

    # --- both ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _talking(self) -> Iterator[Tx]:
        """A transaction in which no carrier speaks or listens; what memory knows is what the store says in it."""
        with self.storage.transaction() as tx:
            self.storage.hold(tx)
            nonce = self.talk.nonce
            self.pump.refresh(tx, self.station)
            self.talk.nonce = nonce
            yield tx

    def _put_back(self, tx: Tx, origin: bytes, number: int) -> None:
        """Somebody knows a later bag of ours than we do: this store was put back, and its next numbers may be used already."""
        last = self.storage.last_bag(tx, self.station, inward=False)
        if origin == self.end.me(tx) and number > (0 if last is None else last.number):
            self.end.renew(tx, self.station)
            self.pump.refresh(tx, self.station)

    def _vouched(self, tx: Tx) -> bytes:
        """A name for all that the other end has vouched for, and for who it was."""
        peer = self.storage.peer(tx, self.station)
        found = hashlib.sha256(b"" if peer is None else peer.incarnation)
        for (stream, lane), marks in sorted(self.storage.vouched(tx, self.station).items()):
            found.update(cbor.dump([stream.origin, stream.epoch, int(lane), marks.highest, write_holes(marks)]))
        return found.digest()[:16]

    def _before(self, tx: Tx, me: bytes) -> tuple[bytes, ...]:
        """Our earlier incarnations that have spoken, the latest last."""
        if self.end.way == UP:
            origins = [stream.origin for stream in self.end.streams(tx, self.station)]
        else:
            origins = [stream.origin for stream, _ in self.storage.vouched(tx, self.station)]
        return tuple(one for one in dict.fromkeys(origins) if one != me)[-MOST_BEFORE:]


def _runs(parcels: Sequence[Parcel]) -> list[list[int]]:
    """The parcels' own numbers as pairs (first, last)."""
    runs: list[list[int]] = []
    for number in sorted(one.number for one in parcels):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs
