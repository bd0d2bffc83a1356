"""The body of a parcel."""

from collections.abc import Sequence

from appliance.contract import cbor
from appliance.contract.codec import read_event, write_event
from appliance.contract.errors import WireError
from appliance.contract.events import Event


def write(events: Sequence[Event], dictionary: int) -> bytes:
    """The body of these events."""
    del dictionary
    return b"".join(write_event(event) for event in events)


def read(body: bytes, count: int, dictionary: int) -> list[Event]:
    """The `count` events of a body; WireError when it is none."""
    if dictionary:
        raise WireError("dictionary", str(dictionary))
    events = [read_event(raw) for _, raw in cbor.load_run(body)]
    if len(events) != count:
        raise WireError("truncated" if len(events) < count else "shape", f"{len(events)} events, the header says {count}")
    return events
