"""What was set aside is read again with today's code, by the way every message takes: once only, whatever was repaired meanwhile.

Both ends use it (`appliance.store.aside`, `cloud_bridge.store.review`): after a fix by hand, after an update by themselves.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from appliance.contract.codec import read_event
from appliance.contract.errors import WireError
from appliance.contract.events import Unknown
from appliance.contract.parcels import Fragment
from appliance.contract.receipts import Hello
from appliance.relay.line import Message
from appliance.relay.pump import End
from appliance.relay.storage import Arrived, Storage, Stream, Tx
from appliance.relay.taking import Sealed, read, take


class Kept(NamedTuple):
    """A message in quarantine."""

    id: int
    topic: str
    payload: bytes


class Outcome(NamedTuple):
    """What came of reading a message again: `taken` where it is no longer set aside, `said` why in a word or two, `events` new ones."""

    id: int
    taken: bool
    said: str
    events: int = 0


class Raw(NamedTuple):
    """An event that was kept although nobody here knew what it means."""

    stream: Stream
    lane: int
    seq: int
    body: bytes


def replay(storage: Storage, end: End, kept: Sequence[Kept], note: Callable[[Tx, Outcome], None], at: int) -> list[Outcome]:
    """Read messages again, each in a transaction of its own in which `note` writes down what came of it. Raises OSError."""
    found = []
    for one in kept:
        with storage.transaction() as tx:
            outcome = _again(storage, end, tx, one, at)
            note(tx, outcome)
        found.append(outcome)
    return found


def _again(storage: Storage, end: End, tx: Tx, one: Kept, at: int) -> Outcome:
    heard = read(Message(one.topic, one.payload, 0), end.other)
    if not heard.station or end.keys(tx, heard.station) is None:
        return Outcome(one.id, False, "station")
    if isinstance(heard.content, (Sealed, Hello)):
        return Outcome(one.id, True, "a receipt or a greeting of then: it says nothing now")
    taken = take(storage, tx, [heard], end.apply, end.mine, at, end.seals)
    if taken.bad:
        return Outcome(one.id, False, taken.bad[0].reason)
    if isinstance(heard.content, Fragment):
        return Outcome(one.id, True, "a part of a message")
    if not taken.arrived and not taken.events:
        return Outcome(one.id, False, "not for this store")
    return Outcome(one.id, True, "taken" if taken.arrived else "was here already", len(taken.arrived))


def reread(storage: Storage, end: End, raw: Sequence[Raw], understood: Callable[[Tx, Raw, str | None], None]) -> int:
    """Give events of kinds that are known by now to the clinic; how many were taken. One transaction each.

    `understood` writes down why one was refused after all, None where it was taken. One whose kind is still unknown stays.
    """
    count = 0
    for one in raw:
        try:
            event = read_event(one.body)
        except WireError:
            continue
        if isinstance(event.body, Unknown):
            continue
        with storage.transaction() as tx:
            try:
                with storage.savepoint(tx):
                    end.apply(tx, [Arrived(one.stream, one.lane, one.seq, event, one.body)])
            except ValueError as error:
                understood(tx, one, f"{type(error).__name__}: {error}".replace("\0", " ")[:200])
            else:
                understood(tx, one, None)
                count += 1
    return count
