"""What the relay asks about sealing: with what a new parcel is sealed, and which keys may open one that came.

`Clear` is an end that neither seals nor opens. The real ones stand beside the stores (`appliance/store/sealing.py`,
`cloud_bridge/store/sealing.py`).
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from appliance.contract.events import Event, KeyPublished
from appliance.contract.sealing import CLEAR, Seal
from appliance.relay.storage import Stream, Tx

if TYPE_CHECKING:
    from appliance.contract.parcels import Header

HOLD = 10.0
"""Seconds until a lane whose key is missing is looked at again; the key's coming wakes it at once."""
SEALED_MORE = 32
"""What a sealed message may have beyond `lanes.CHUNK_BYTES`: a parcel holds as much sealed as clear (sealing adds 26 to 30 bytes)."""


class NoKeyError(LookupError):
    """A stream is to be sealed and there is no key for it yet: nothing of it is frozen."""


class Waiting(NamedTuple):
    """A sealed message that was set aside until its key comes: its topic and its bytes."""

    topic: str
    payload: bytes


class Seals(Protocol):
    """One end's keys. `strict`: in service; a clear parcel is refused unless it brings nothing but keys."""

    strict: bool

    def prepare(self, tx: Tx, /) -> None:
        """We may have become another incarnation: whatever key we must make for it is made now."""
        ...

    def seal(self, tx: Tx, stream: Stream, /) -> Seal | None:
        """What the next parcel of one of our streams is sealed with; None for clear. NoKeyError: not yet."""
        ...

    def keys(self, tx: Tx, header: "Header", /) -> Sequence[bytes] | None:
        """The keys that may open a sealed parcel of the other end; empty when its key has not come, None when we open nothing."""
        ...

    def learn(self, tx: Tx, station: str, body: KeyPublished, at: int, /) -> None:
        """A station has sent a key. ValueError when it is not vouched for."""
        ...

    def set_aside(self, tx: Tx, header: "Header", message: Waiting, at: int, /) -> None:
        """Keep a message whose key has not come, if there is room; nobody is told that it is here."""
        ...

    def again(self, tx: Tx, stations: Collection[str], learned: Collection[str], /) -> list[Waiting]:
        """The messages of some stations that were set aside and can be opened now; they are forgotten here. `learned`: those
        that have just sent a key.
        """
        ...


class Clear:
    """No sealing, and nothing sealed can be read: for tests and benches that look at what travels."""

    strict = False

    def prepare(self, _tx: Tx) -> None:
        """Nothing to make."""

    def seal(self, _tx: Tx, _stream: Stream) -> Seal | None:
        """Clear."""
        return None

    def keys(self, _tx: Tx, _header: "Header") -> Sequence[bytes] | None:
        """Nothing is opened: a sealed parcel goes to quarantine."""
        return None

    def learn(self, _tx: Tx, _station: str, _body: KeyPublished, _at: int) -> None:
        """Of no use here."""

    def set_aside(self, _tx: Tx, _header: "Header", _message: Waiting, _at: int) -> None:
        """Never asked for: nothing is waited for."""

    def again(self, _tx: Tx, _stations: Collection[str], _learned: Collection[str]) -> list[Waiting]:
        """None."""
        return []


def leading(events: Sequence[Event]) -> tuple[bool, int]:
    """(whether they are keys, how many) of the run at the front: keys travel clear and apart from everything else."""
    keys = isinstance(events[0].body, KeyPublished)
    for place, event in enumerate(events):
        if isinstance(event.body, KeyPublished) != keys:
            return keys, place
    return keys, len(events)


def refused_clear(seals: Seals, header: "Header", events: Sequence[Event]) -> bool:
    """True for a clear parcel that must not be: in service only keys travel so."""
    return seals.strict and header.suite == CLEAR and not all(isinstance(event.body, KeyPublished) for event in events)
