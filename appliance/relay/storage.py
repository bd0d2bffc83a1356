"""What the relay asks of a store, at both ends: `appliance/store/{outbox,inbox}.py` on the station's SQLite file,
`cloud_bridge/store/{outbox,inbox}.py` on SQLAlchemy. Small steps; what they mean together is said in `sending` and `taking`.

Every step runs inside a transaction of the caller (`transaction`), whose handle `tx` it is given. A store that cannot do
it now raises OSError: nothing happened, and the same step is tried again later.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from appliance.contract.events import Event
from appliance.relay.marks import Marks, Range

if TYPE_CHECKING:
    from appliance.contract.parcels import Fragment  # a window of the kiosk writes to the outbox and never packs a parcel

Tx = Any
"""An open transaction: a `database.Connection` at the station, a `sqlalchemy.Connection` at the bridge."""

ASIDE_RANGES = 16
"""Quarantined ranges one lane of a receipt names, the latest; older ones were named before."""
TAKEN, SET_ASIDE = 2, 3
"""What a receipt can say of an event: it is in, or it could not be read and its bytes are kept in quarantine."""


class Stream(NamedTuple):
    """One direction of one station's talk. Up: `origin` is the station's epoch and `epoch` is empty. Down: `origin` is the
    bridge's store id and `epoch` the station's epoch it is addressed to. Numbers count per lane of a stream.
    """

    station: str
    origin: bytes
    epoch: bytes = b""


class Waiting(NamedTuple):
    """A lane with events that are in no parcel yet: those after `frozen` and before `next`. `calm`: nobody acts upon any of them."""

    stream: Stream
    lane: int
    frozen: int
    next: int
    calm: bool = False


class Queued(NamedTuple):
    """One event of the outbox as it is kept; `sound` is False when its checksum says that the card has changed it."""

    seq: int
    body: bytes
    sound: bool


class Parcel(NamedTuple):
    """A frozen parcel without its bytes."""

    number: int
    stream: Stream
    lane: int
    first: int
    last: int
    size: int


class Peer(NamedTuple):
    """What is remembered of the other end of a station's talk.

    `incarnation`: the bridge's store id (the one whose receipts count), or the station's latest epoch. `counter`: the
    highest of its receipts that changed something.
    """

    incarnation: bytes
    counter: int = 0


class Arrived(NamedTuple):
    """An event that is new here, with the bytes that are kept of it."""

    stream: Stream
    lane: int
    seq: int
    event: Event
    body: bytes


class Bad(NamedTuple):
    """A message nobody here can read: its bytes, why, and what its header says where that can be believed."""

    station: str
    topic: str
    payload: bytes
    reason: str
    detail: str
    stream: Stream | None = None
    lane: int | None = None
    first: int | None = None
    last: int | None = None


class BagRow(NamedTuple):
    """A post bag as it is remembered. `id` is 0 until it is kept; `inward` for one that came from the other end.

    `origin`, `number`, `nonce` stand on its label (`contract.bag.BagHeader`), `digest` is that of the whole file. Of one that
    went: `vouched` names what the other end had vouched for when it was packed, `contents` the parcels in it (CBOR, pairs of
    first and last number). Of one that came: `refused` are the digests of messages nobody here could read, 8 bytes each, and
    the nonce is empty where a later bag had come before. `items` counts events: all that went, or the new ones that came.
    `done` is False while it is being written or read.
    """

    inward: bool
    origin: bytes
    number: int
    nonce: bytes
    at: int
    digest: bytes = b""
    vouched: bytes = b""
    refused: bytes = b""
    contents: bytes = b""
    messages: int = 0
    items: int = 0
    size: int = 0
    done: bool = False
    id: int = 0


class Storage(Protocol):
    """One end's store, as far as the relay goes."""

    def transaction(self) -> AbstractContextManager[Tx]:
        """All or nothing; on the card when left without an exception."""
        ...

    def reading(self) -> AbstractContextManager[Tx]:
        """A look that keeps no writer waiting; nothing is written through it."""
        ...

    def savepoint(self, tx: Tx) -> AbstractContextManager[None]:
        """Part of a transaction that can fail alone."""
        ...

    # --- what we have to say ---------------------------------------------------------------------------------------

    def waiting(self, tx: Tx) -> list[Waiting]:
        """Every lane with events that are in no parcel yet."""
        ...

    def queued(self, tx: Tx, stream: Stream, lane: int, after: int, limit: int) -> list[Queued]:
        """The next events of a lane in order."""
        ...

    def freeze(self, tx: Tx, stream: Stream, lane: int, first: int, count: int, payload: bytes, at: int) -> int:
        """Keep a parcel and its number; its events are now frozen."""
        ...

    def spoilt(self, tx: Tx, stream: Stream, lane: int, row: Queued, reason: str, at: int) -> None:
        """An event that cannot be sent: kept apart, and never tried again."""
        ...

    def unsettled(self, tx: Tx, station: str) -> list[Parcel]:
        """The parcels nobody has vouched for, oldest first within each lane."""
        ...

    def payload(self, tx: Tx, number: int) -> bytes:
        """The bytes of a parcel."""
        ...

    def vouched(self, tx: Tx, station: str) -> dict[tuple[Stream, int], Marks]:
        """What the other end has vouched for, per lane of each stream."""
        ...

    def frozen(self, tx: Tx, stream: Stream) -> dict[int, int]:
        """Per lane the last number that is in a parcel: nobody can honestly have a higher one from us."""
        ...

    def vouch(self, tx: Tx, stream: Stream, lane: int, marks: Marks) -> None:
        """The other end now vouches for `marks`, no more and no less."""
        ...

    def settle(self, tx: Tx, stream: Stream, lane: int, ranges: Sequence[Range], state: int, at: int) -> None:
        """Events that are TAKEN or SET_ASIDE from now on."""
        ...

    def heal(self, tx: Tx, stream: Stream, lane: int, ranges: Sequence[Range], at: int) -> list[int]:
        """Of these events those that were SET_ASIDE are TAKEN from now on: the other end has read them after all; their numbers."""
        ...

    def close(self, tx: Tx, stream: Stream, lane: int, ranges: Sequence[Range]) -> None:
        """Every parcel that lies wholly in one of `ranges` is settled."""
        ...

    def unsettle(self, tx: Tx, stream: Stream, lane: int, ranges: Sequence[Range]) -> None:
        """The other end has lost `ranges` (its store was restored): these events and their parcels are unsettled again."""
        ...

    def named(self, tx: Tx, station: str, digest: bytes) -> Parcel | None:
        """The unsettled parcel whose bytes have this digest."""
        ...

    def move(self, tx: Tx, to: Stream) -> None:
        """What has been said in other streams of `to.station` and not been vouched for travels in `to`: new numbers, old order."""
        ...

    def tell_again(self, tx: Tx, to: Stream, lost: Mapping[tuple[Stream, int], int], known: Sequence[bytes]) -> bool:
        """What was said in some lanes after a number and vouched for is not on the card that speaks now: it travels in `to` as well, unless
        it stands in another place too. `known`: every epoch of that card; what was said before the first of them was heard of was
        said to another card, not to a copy of this one. True when there was something.
        """
        ...

    def safe_turn(self, tx: Tx) -> int:
        """The number of our latest verified backup; 0 where there is none, and at the station, which makes none."""
        ...

    def safe_marks(self, tx: Tx, stream: Stream) -> dict[int, Marks]:
        """Per lane what of the other end's stream our latest verified backup holds."""
        ...

    def keep_safe(self, tx: Tx, stream: Stream, lane: int, marks: Marks) -> None:
        """A verified backup of the other end holds `marks` of ours: never more than it vouches for."""
        ...

    # --- what the other end says -----------------------------------------------------------------------------------

    def marks(self, tx: Tx, places: Sequence[tuple[Stream, int]]) -> dict[tuple[Stream, int], Marks]:
        """What of some lanes is in; a lane nobody has heard of may be left out. Held against other carriers until the end of `tx`."""
        ...

    def all_marks(self, tx: Tx, streams: Sequence[Stream]) -> dict[Stream, dict[int, Marks]]:
        """What of every lane of these streams is in; each of them has its entry."""
        ...

    def heard_streams(self, tx: Tx, station: str) -> list[Stream]:
        """Every stream that has been heard of a station."""
        ...

    def keep_marks(self, tx: Tx, marks: Mapping[tuple[Stream, int], Marks]) -> None:
        """Replace them."""
        ...

    def insert(self, tx: Tx, arrived: Sequence[Arrived], at: int) -> None:
        """Keep new events. IntegrityError of the store when one is there already: the marks were wrong, which is a bug."""
        ...

    def bodies(self, tx: Tx, stream: Stream, lane: int, first: int, last: int) -> dict[int, bytes]:
        """The kept bytes of a range of events."""
        ...

    def refuse(self, tx: Tx, arrived: Arrived, reason: str) -> None:
        """Flag a kept event whose meaning was refused."""
        ...

    def quarantine(self, tx: Tx, bad: Bad, at: int) -> None:
        """Keep a message byte-exact; the same bytes of the same station are kept once."""
        ...

    def set_aside(self, tx: Tx, streams: Sequence[Stream], limit: int) -> dict[Stream, dict[int, list[Range]]]:
        """Per stream and lane the latest ranges that are in quarantine, lowest first, `limit` a lane; each stream has its entry."""
        ...

    def redeem(self, tx: Tx, stream: Stream, lane: int, first: int, last: int) -> None:
        """Good bytes came for a range that a quarantined message had spoken for: it is no longer set aside (the message stays kept)."""
        ...

    def add_fragment(self, tx: Tx, station: str, part: "Fragment", at: int) -> int:
        """Keep one part; how many of this payload are here now."""
        ...

    def fragments(self, tx: Tx, station: str, digest: bytes) -> list["Fragment"]:
        """The parts of a payload that are here."""
        ...

    def drop_fragments(self, tx: Tx, station: str, digest: bytes) -> None:
        """The payload is whole and taken, or can never be."""
        ...

    # --- the other end itself --------------------------------------------------------------------------------------

    def peer(self, tx: Tx, station: str) -> Peer | None:
        """What is remembered of the other end."""
        ...

    def keep_peer(self, tx: Tx, station: str, peer: Peer, shard: int, at: int) -> None:
        """Remember it; this one is the current one from now on."""
        ...

    def reserve(self, tx: Tx, station: str, count: int) -> int:
        """Counters for `count` receipts to the other end, higher than any before; the first of them."""
        ...

    def shard(self, tx: Tx, station: str) -> int | None:
        """Where the station was heard last."""
        ...

    def everyone(self, tx: Tx) -> list[tuple[str, int]]:
        """(station, shard) of every talk there is: at the station its own one."""
        ...

    # --- post bags: another process speaks and listens in the carrier's place ------------------------------------------

    def share(self, tx: Tx) -> None:
        """Until the end of `tx` nobody holds the talks for a post bag; several carriers may share."""
        ...

    def hold(self, tx: Tx) -> None:
        """Until the end of `tx` no carrier speaks or listens: a post bag does."""
        ...

    def bag_turns(self, tx: Tx, since: int) -> tuple[int, set[str]]:
        """How often post bags have spoken or listened in all, and for which stations after turn `since`."""
        ...

    def note_bag(self, tx: Tx, station: str, row: BagRow) -> int:
        """Keep or change what is remembered of a bag, which is one more turn; its id."""
        ...

    def bag_in(self, tx: Tx, station: str, digest: bytes) -> BagRow | None:
        """The bag with this very content, if it has come before."""
        ...

    def bag_out(self, tx: Tx, station: str, nonce: bytes) -> BagRow | None:
        """The bag that went with this nonce."""
        ...

    def last_bag(self, tx: Tx, station: str, *, inward: bool) -> BagRow | None:
        """The last one that came whole and had no later one before it, or the last one that was packed."""
        ...
