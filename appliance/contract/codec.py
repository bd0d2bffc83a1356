"""One event as bytes: canonical CBOR ``[kind, stamp, actor, software, body]``, as the outbox keeps it.

A reader keeps what it does not know: a kind of a later version as `Unknown` with the body's very bytes, and so too a
known kind whose body holds a word (an enumeration's number) of a later version; an unknown field in `Event.extra`.
`extra` has the body's leftovers as `wiring.take` names them; those of the stamp stand under `STAMP`, a number no body uses.
"""

from collections.abc import Callable
from typing import Any

from appliance.contract import cbor, spelling
from appliance.contract.errors import WireError
from appliance.contract.events import KINDS, Body, Event, ObservationRecorded, Unknown
from appliance.contract.readings import Stamp
from appliance.contract.wiring import blend, give, take

STAMP = 0
"""Where `Event.extra` keeps a later version's entries of the event's stamp."""

_FIVE = b"\x85"


def write_event(event: Event) -> bytes:
    """The event's bytes. The same event gives the same bytes on every machine."""
    spelt: bytes = getattr(event, "spelt", b"")
    if spelt:
        return spelt
    if type(event.body) is ObservationRecorded and not event.extra:
        return spelling.observed(event, event.body)
    stamp = give(event.stamp)
    if STAMP in event.extra:
        stamp = blend(stamp, event.extra[STAMP])
    head = [event.kind, stamp, event.actor, event.software]
    if isinstance(event.body, Unknown):
        return _FIVE + cbor.dump(head)[1:] + event.body.raw
    return (cbor.dump if event.extra else cbor.dump_given)([*head, _content(event)])


def read_event(data: bytes) -> Event:
    """The event in `data`, all of it; WireError ``truncated``, ``shape`` or ``range`` when it is not one."""
    items = cbor.load(data)
    if not isinstance(items, list) or len(items) != 5:
        raise WireError("shape", "an event is a list of five")
    kind, stamp, actor, software, content = items
    if type(kind) is not int or not isinstance(actor, str) or not isinstance(software, str):
        raise WireError("shape", "kind, actor or software")
    moment, late = take(Stamp, stamp)
    body, extra = read_body(kind, content, lambda: _fifth(data))
    return Event(moment, actor, software, body, extra | {STAMP: late} if late else extra)


def write_body(event: Event) -> bytes:
    """The body alone as CBOR, with the entries of a later version in their places."""
    if isinstance(event.body, Unknown):
        return event.body.raw
    return (cbor.dump if event.extra else cbor.dump_given)(_content(event))


def read_body(kind: int, content: Any, raw: Callable[[], bytes]) -> tuple[Body, dict[Any, Any]]:
    """The body of one kind and its leftovers, from the decoded CBOR; `raw` gives its bytes, asked for only when they are kept."""
    cls = KINDS.get(kind)
    if cls is None:
        return Unknown(kind, raw()), {}
    try:
        body, extra = take(cls, content)
    except WireError as error:
        if error.reason != "range":
            raise
        return Unknown(kind, raw()), {}
    if STAMP in extra:
        raise WireError("shape", f"{cls.__name__} has no entry {STAMP}")
    known: Body = body
    return known, extra


def _content(event: Event) -> dict[int, Any]:
    content: dict[int, Any] = give(event.body)
    if not event.extra:
        return content
    unknown = {number: value for number, value in event.extra.items() if number != STAMP}
    blended: dict[int, Any] = blend(content, unknown)
    return blended


def _fifth(data: bytes) -> bytes:
    """The bytes of the body in those of an event."""
    items = cbor.Items(data[1:])
    for _ in range(4):
        items.next()
    return items.next()[1]
