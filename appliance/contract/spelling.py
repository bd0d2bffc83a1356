"""The CBOR of readings and of their events, spelt by hand: the very bytes that `wiring.give` and `cbor.dump_given` make, ten times faster.

Nine of ten events are readings, and both ends write each of them out once: the station for its outbox, the bridge for what
it keeps for ever. A test compares the two ways.
"""

from functools import lru_cache
from struct import Struct

from appliance.contract import cbor
from appliance.contract.events import Event, ObservationRecorded
from appliance.contract.readings import Numeric, Reading, Stamp

_SMALL = tuple(bytes([n]) if n < 24 else bytes([24, n]) for n in range(256))
_FOUR, _EIGHT = Struct(">BI").pack, Struct(">BQ").pack
_NUMERICS: dict[tuple[int, int | None, int, int], bytes] = {}
_MOST_NUMERICS = 2048
"""A pulse of 72 without a remark is spelt once for all patients; so many different ones are remembered."""


def whole(n: int) -> bytes:
    """An integer (RFC 8949, major types 0 and 1; beyond 64 bits a bignum)."""
    if 0 <= n < 256:
        return _SMALL[n]
    major, rest = (0x00, n) if n >= 0 else (0x20, -1 - n)
    if rest < 24:
        return bytes([major | rest])
    if rest < 1 << 8:
        return bytes([major | 24, rest])
    if rest < 1 << 16:
        return bytes([major | 25, rest >> 8, rest & 255])
    if rest < 1 << 32:
        return _FOUR(major | 26, rest)
    if rest < 1 << 64:
        return _EIGHT(major | 27, rest)
    return cbor.dump_given(n)


@lru_cache(maxsize=512)
def text(words: str) -> bytes:
    """A text string (major type 3): names and versions, which repeat."""
    return cbor.dump_given(words)


def stamp(moment: Stamp) -> bytes:
    """A stamp as a map."""
    front, back = around_ticks(moment.boot, moment.boot_seq, moment.quality)
    return b"".join((front, whole(moment.ticks), b"\x04", whole(moment.wall), back))


def around_ticks(boot: int, boot_seq: int, quality: int) -> tuple[bytes, bytes]:
    """The bytes of a stamp before its ticks, which the wall clock's word follows, and those behind both."""
    head = b"\xa5\x01" if quality else b"\xa4\x01"
    return b"".join((head, whole(boot), b"\x02", whole(boot_seq), b"\x03")), b"\x05" + whole(quality) if quality else b""


def numeric(one: Numeric) -> bytes:
    """A numeric as a map."""
    key = (one.metric, one.value, one.status, one.scale)
    found = _NUMERICS.get(key)
    if found is None:
        if len(_NUMERICS) >= _MOST_NUMERICS:
            _NUMERICS.clear()
        found = _NUMERICS[key] = _numeric(one)
    return found


def _numeric(one: Numeric) -> bytes:
    entries = [b"\x01" + whole(one.metric)]
    if one.value is not None:
        entries.append(b"\x02" + whole(one.value))
    if one.status:
        entries.append(b"\x03" + whole(one.status))
    if one.scale:
        entries.append(b"\x04" + whole(one.scale))
    return bytes([0xA0 | len(entries)]) + b"".join(entries)


def around(kind: int, device: int, many: int, source: int, rule: int) -> tuple[bytes, bytes]:
    """The bytes of a reading without a device's own time or place: those before its `many` numbers, and those behind its stamp."""
    entries = 4 + bool(source) + bool(rule)
    head = bytes([0x80 | many]) if many < 24 else bytes([0x98, many]) if many < 256 else b"\x99" + many.to_bytes(2)
    front = b"".join((bytes([0xA0 + entries]), b"\x01", whole(kind), b"\x02", whole(device), b"\x03", head))
    return front, (b"\x05" + whole(source) if source else b"") + (b"\x08" + whole(rule) if rule else b"")


def reading(given: Reading, when: bytes = b"") -> bytes:
    """A reading as a map; `when` are the bytes of its stamp where they are at hand. It is spelt once."""
    spelt: bytes = getattr(given, "spelt", b"")
    if not spelt:
        spelt = _reading(given, when or stamp(given.stamp))
        given.remember(spelt)
    return spelt


def _reading(given: Reading, when: bytes) -> bytes:
    numerics = b"".join([numeric(one) for one in given.numerics])
    front, back = around(given.kind, given.device, len(given.numerics), given.source, given.rule)
    own = b""
    if given.device_time is not None:
        own += b"\x06" + cbor.dump_given(given.device_time)
    if given.ordinal is not None:
        own += b"\x07" + whole(given.ordinal)
    if own:
        source = b"\x05" + whole(given.source) if given.source else b""
        back = source + own + back[len(source) :]
        front = bytes([front[0] + (given.device_time is not None) + (given.ordinal is not None)]) + front[1:]
    return front + numerics + b"\x04" + when + back


def observed(event: Event, body: ObservationRecorded) -> bytes:
    """The event of a reading: ``[kind, stamp, actor, software, body]``, without entries of a later version."""
    when = stamp(event.stamp)
    inner = reading(body.reading, when if body.reading.stamp is event.stamp else b"")
    return framed(when, event.actor, event.software, body.patient, inner, body.saved_after, body.marks)


def framed(when: bytes, actor: str, software: str, patient: int, inner: bytes, saved: int, marks: int) -> bytes:
    """The same out of the bytes of the stamp and of the reading, and of what stands beside them."""
    more = (b"\x03" + whole(saved) if saved else b"") + (b"\x04" + whole(marks) if marks else b"")
    head = bytes([0xA2 + bool(saved) + bool(marks)])
    return b"".join((b"\x85\x0a", when, text(actor), text(software), head, b"\x01", whole(patient), b"\x02", inner, more))
