"""IEEE 11073-20601 agents on a byte stream: pulse oximeters (-10404), blood-pressure monitors (-10407) and scales (-10415).

Source: the standard's structures as the project's protocol sheet lists them, checked against 63 public test APDUs, among them a
report recorded from a cuff. In the standard's words the device is the *agent* and this driver the *manager*.

A frame is an APDU: two bytes of choice, two of length, the body. There is no checksum (the standard leaves that to the transport),
so every nested length and count must fit, or the frame is noise by its first byte and scanning goes on behind it.

* Association: a standard configuration is accepted as known, an extended one (4000 and above) is asked for and kept for the
  life of this driver. Then the device's attributes are asked for: model, serial number, clock.
* A report is acknowledged only when it could be read: the device may forget what was acknowledged. Reports before an
  association are answered with an abort, so that the device associates anew. Nothing else is ever set but a scanner's
  *enabled*.
* In a recording without an association the standard configurations are recognised by their shape; then only the object with
  handle 1 (and a pulse) is believed, because extended configurations number the others as they like.
* Devices report what they measured while nobody listened as soon as somebody does. A report older than two minutes by the device's
  own clock comes from its memory and never belongs to whoever sits there now; nor does one whose age cannot be told.
* Cuffs and scales report finished measurements. An oximeter may stream one report a second: a lone report is a finished
  measurement, reports up to 3 s apart are a stream.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from appliance.contract.metrics import TABLE, Metric, Status
from appliance.contract.readings import Numeric, ReadingKind, Source
from appliance.devices.driver import SECOND, Line, Row, Uncommanded
from appliance.devices.events import Noise, Notice, Said, Sample, Send, Word, numeric
from appliance.devices.framing import CUT, GARBAGE, LENGTH, Piece

AARQ, AARE, RLRQ, RLRE, ABRT, PRST = 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7
"""First bytes of the six APDUs; the second byte is 00."""
MOST = 9216 + 4
"""The longest APDU an oximeter may send (-10404); cuffs and scales send at most 896 bytes."""
EVENT, CONFIRMED_EVENT, GET, CONFIRMED_SET, GET_ANSWER = 0x0100, 0x0101, 0x0103, 0x0105, 0x0203
"""Choices of a data APDU that are understood or sent."""
PROTOCOL = 0x5079
"""IEEE 11073-20601 among the protocols of an association request."""
CONFIGURATION = 0x0D1C
"""Event: the agent describes its objects."""
FIXED, VARIABLE, GROUPED = "fixed", "variable", "grouped"
REPORTS = {
    0x0D1D: (FIXED, False), 0x0D1E: (VARIABLE, False), 0x0D1F: (FIXED, True), 0x0D20: (VARIABLE, True),
    0x0D22: (VARIABLE, False), 0x0D23: (FIXED, False), 0x0D24: (GROUPED, False), 0x0D25: (VARIABLE, True), 0x0D26: (FIXED, True),
    0x0D27: (GROUPED, True), 0x0D28: (VARIABLE, False), 0x0D29: (FIXED, False), 0x0D2A: (GROUPED, False), 0x0D2B: (VARIABLE, True),
    0x0D2C: (FIXED, True), 0x0D2D: (GROUPED, True),
}  # fmt: skip
"""Scan reports: their form, and whether they name persons. From 0D22 on they come from a scanner and are a stream."""
SCANNER_REPORTS = 0x0D22

TYPE, UNIT, VALUE_MAP, METRIC_IDS, SUPPLEMENT, HANDLE_MAP = 0x092F, 0x0996, 0x0A55, 0x0A76, 0x0A61, 0x0A53
"""Attributes of a configuration."""
BASIC, SIMPLE, COMPOUND, COMPOUND_SIMPLE, OBSERVED, STATUS, STAMP, CLOCK = 0x0A4C, 0x0A56, 0x0A75, 0x0A57, 0x0950, 0x0947, 0x0990, 0x0987
"""Attributes of an observation: SFLOAT, FLOAT, several SFLOATs, several FLOATs, the long form, status, time, the device's clock."""
MODEL, PRODUCTION = 0x0928, 0x092D
SERIAL_NUMBER = 1
SPOT = 0x4C3C
"""Modality in the supplemental types: spot check."""
SCANNERS = frozenset({0x0011, 0x0012, 0x0013})
OPERATIONAL, ENABLED = 0x0953, 0x0001

METRICS = {
    0x4BB8: Metric.SPO2, 0x481A: Metric.PULSE_RATE, 0x482A: Metric.PULSE_RATE, 0x4A05: Metric.SYSTOLIC, 0x4A06: Metric.DIASTOLIC,
    0x4A07: Metric.MEAN, 0xE140: Metric.WEIGHT, 0xE144: Metric.HEIGHT,
}  # fmt: skip
"""Codes of partition 2 (MDC_PART_SCADA); anything else an agent has is left out."""
NO_FLAGS = Status(0)
PRESSURES = (0x4A05, 0x4A06, 0x4A07)
UNITS: dict[int, tuple[frozenset[Metric], Decimal]] = {
    0x0220: (frozenset({Metric.SPO2}), Decimal(1)),
    0x0AA0: (frozenset({Metric.PULSE_RATE}), Decimal(1)),
    0x0F20: (frozenset({Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN}), Decimal(1)),
    0x0F03: (frozenset({Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN}), Decimal("7.50062")),  # kPa
    0x06C3: (frozenset({Metric.WEIGHT}), Decimal(1)),
    0x06E0: (frozenset({Metric.WEIGHT}), Decimal("0.45359237")),  # lb
    0x0511: (frozenset({Metric.HEIGHT}), Decimal(1)),
    0x0560: (frozenset({Metric.HEIGHT}), Decimal("2.54")),  # inch
}
"""Units by code (partition 4): which metrics they measure, and the factor to the metric's own unit."""

NO_NUMBER = {2: frozenset({0x07FE, 0x07FF, 0x0800, 0x0801, 0x0802}), 4: frozenset({0x7FFFFE, 0x7FFFFF, 0x800000, 0x800001, 0x800002})}
"""SFLOATs and FLOATs that are no numbers: +INF, NaN, NRes, reserved, -INF."""
STREAM_NS = 3 * SECOND
"""Oximeter reports closer than this are a stream (judgement; streams send one a second)."""
FRESH_S = 120
"""A report older than this comes from the device's memory (judgement: a cuff's cycle and a slow hand)."""
AGE = "age_s"
"""The signal that says how many seconds ago a finished measurement was made, by the device's own clock."""
STALE_NS = SECOND
"""An APDU that has begun and not gone on for so long was cut."""
ABORT_NS = 5 * SECOND
"""A device that reports without an association is told so this often."""
KEPT = 8
"""Extended configurations kept, the oldest goes first."""

SYSTEM_ID = bytes.fromhex("0200005452414D01")
"""The manager's EUI-64, locally administered."""
RELEASE, RELEASED, ABORT = bytes.fromhex("E40000020000"), bytes.fromhex("E50000020000"), bytes.fromhex("E60000020000")


class MalformedError(ValueError):
    """Lengths or counts that do not fit; never leaves this file."""


class _Bytes:
    """Reads big-endian values from the front of some bytes. `loose`: lists go by their counts, and their lengths are not looked at."""

    __slots__ = ("at", "data", "loose")

    def __init__(self, data: bytes, loose: bool = False) -> None:
        self.data = data
        self.at = 0
        self.loose = loose

    def take(self, count: int) -> bytes:
        """So many bytes; MalformedError when there are fewer."""
        begin, end = self.at, self.at + count
        if end > len(self.data):
            raise MalformedError
        self.at = end
        return self.data[begin:end]

    def u16(self) -> int:
        """Two bytes."""
        at, data = self.at, self.data
        if at + 2 > len(data):
            raise MalformedError
        self.at = at + 2
        return data[at] << 8 | data[at + 1]

    def octets(self) -> bytes:
        """A length of two bytes and as many bytes."""
        data, begin = self.data, self.at + 2
        if begin > len(data):
            raise MalformedError
        end = begin + (data[begin - 2] << 8 | data[begin - 1])
        if end > len(data):
            raise MalformedError
        self.at = end
        return data[begin:end]

    def items(self) -> "Iterator[_Bytes]":
        """A list: count, length, items; each must take what is its own, and all of them the length."""
        count = self.u16()
        if self.loose:
            self.u16()
        body = self if self.loose else _Bytes(self.octets())
        for _ in range(count):
            yield body
        if body is not self:
            body.done()

    def done(self) -> None:
        """MalformedError when something is left."""
        if self.at != len(self.data):
            raise MalformedError


@lru_cache(64)
def _size(layout: tuple[tuple[int, int], ...]) -> int:
    return sum(size for _, size in layout)


@dataclass(frozen=True, slots=True)
class Thing:
    """One object of a configuration: the codes of its values, its unit, the layout of its fixed reports, spot check or not."""

    codes: tuple[int, ...]
    unit: int | None
    layout: tuple[tuple[int, int], ...]
    spot: bool = False

    @property
    def size(self) -> int:
        """Bytes of its fixed reports."""
        return _size(self.layout)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the handles of an agent mean. `groups` is the layout of each scanner's grouped reports: (handle, attribute, length)."""

    things: dict[int, Thing]
    groups: dict[int, tuple[tuple[int, int, int], ...]]
    scanners: tuple[int, ...] = ()


def _thing(code: int, unit: int, value: int, size: int, *more: int) -> Thing:
    return Thing((code, *more), unit, ((value, size), (STAMP, 8)))


STANDARD = {
    0x0190: Configuration({1: _thing(0x4BB8, 0x0220, BASIC, 2), 10: _thing(0x481A, 0x0AA0, BASIC, 2)}, {}),
    0x02BC: Configuration({1: _thing(0x4A05, 0x0F20, COMPOUND, 10, 0x4A06, 0x4A07), 2: _thing(0x482A, 0x0AA0, BASIC, 2)}, {}),
    0x05DC: Configuration(
        {1: _thing(0xE140, 0x06C3, SIMPLE, 4), 2: _thing(0xE144, 0x0511, SIMPLE, 4), 3: _thing(0xE150, 0x07A0, BASIC, 2)}, {}
    ),
}
"""The standard configurations: oximeter, blood pressure, scale."""
CERTAIN = {0x0190: (1, 10), 0x02BC: (1, 2), 0x05DC: (1,)}
"""Without an association: which handles of a recognised configuration are believed."""


@dataclass(slots=True)
class Observation:
    """What one object reported: attributes by code."""

    handle: int
    person: int | None
    attributes: dict[int, bytes]
    shape: int = 0


Item = tuple[int | None, int, bytes, dict[int, bytes]]
"""One entry of a scan report: person, handle, and its fixed value or its attributes."""
NOTHING: dict[int, bytes] = {}
"""The attributes of an entry that has a fixed value; nobody writes into it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A data APDU: `body` is what follows choice and length; events also have handle, type and information, reports what they list."""

    invoke: int
    choice: int
    body: bytes
    handle: int = 0
    event: int = 0
    info: bytes = b""
    items: tuple[Item, ...] = ()


# --- APDUs ----------------------------------------------------------------------------------------------------------


@lru_cache(4)  # the framer has looked at it just before
def message(apdu: bytes) -> Message:
    """A data APDU taken apart; MalformedError when its lengths do not fit.

    The length behind the choice is not looked at: a public report that is right in everything else has it wrong.
    """
    end = len(apdu)
    if end < 12 or apdu[4] << 8 | apdu[5] != end - 6:
        raise MalformedError
    invoke, choice = apdu[6] << 8 | apdu[7], apdu[8] << 8 | apdu[9]
    if choice not in (EVENT, CONFIRMED_EVENT):
        return Message(invoke, choice, apdu[12:])
    if end < 22 or apdu[20] << 8 | apdu[21] != end - 22:
        raise MalformedError
    # between handle and event stands the agent's relative time
    handle, event, info = apdu[12] << 8 | apdu[13], apdu[18] << 8 | apdu[19], apdu[22:]
    return Message(invoke, choice, apdu[12:], handle, event, info, tuple(_items(event, info)) if event in REPORTS else ())


def attributes(data: _Bytes) -> dict[int, bytes]:
    """An attribute list: code and value of each."""
    return {item.u16(): item.octets() for item in data.items()}


def configuration(info: bytes) -> tuple[int, Configuration]:
    """The number and the content of a configuration report."""
    data = _Bytes(info)
    number = data.u16()
    things: dict[int, Thing] = {}
    groups: dict[int, tuple[tuple[int, int, int], ...]] = {}
    scanners: list[int] = []
    for item in data.items():
        kind, handle, given = item.u16(), item.u16(), attributes(item)
        if kind in SCANNERS:
            scanners.append(handle)
            groups[handle] = tuple(_group(_Bytes(given[HANDLE_MAP]))) if HANDLE_MAP in given else ()
        else:
            things[handle] = _described(given)
    data.done()
    return number, Configuration(things, groups, tuple(scanners))


def _group(data: _Bytes) -> Iterator[tuple[int, int, int]]:
    for item in data.items():
        handle = item.u16()
        for each in item.items():
            yield handle, each.u16(), each.u16()
    data.done()


def _described(given: dict[int, bytes]) -> Thing:
    kind = _Bytes(given.get(TYPE, b"\0\0\0\0"))
    partition, code = kind.u16(), kind.u16()
    codes: tuple[int, ...] = (code,) if partition == 2 else ()
    if METRIC_IDS in given:
        codes = tuple(item.u16() for item in _Bytes(given[METRIC_IDS]).items())
    layout = tuple((item.u16(), item.u16()) for item in _Bytes(given[VALUE_MAP]).items()) if VALUE_MAP in given else ()
    unit = int.from_bytes(given[UNIT], "big") if UNIT in given else None
    supplements = [int.from_bytes(item.take(4)[2:], "big") for item in _Bytes(given[SUPPLEMENT]).items()] if SUPPLEMENT in given else []
    return Thing(codes, unit, layout, SPOT in supplements)


def observations(what: Message, known: Configuration | None) -> list[Observation]:
    """Everything a scan report holds. Fixed and grouped values are cut by the configuration; without one `shape` says their length."""
    form, _ = REPORTS[what.event]
    if form == GROUPED:
        layout = known.groups.get(what.handle, ()) if known else ()
        return [each for person, _, raw, _ in what.items for each in _grouped(raw, layout, person)]
    if form == VARIABLE:
        return [Observation(handle, person, given) for person, handle, _, given in what.items]
    return [_fixed(handle, person, raw, known) for person, handle, raw, _ in what.items]


def _items(event: int, info: bytes) -> list[Item]:
    """What a scan report lists; MalformedError when its lengths do not fit.

    A report of the public collection has wrong lengths in its lists and right counts: such a one is read by its counts, if it then
    ends exactly where it should.
    """
    form, persons = REPORTS[event]
    plain = _plain(info) if form == FIXED and not persons else None
    if plain is not None:
        return plain
    try:
        return _listed(_Bytes(info), form, persons)
    except MalformedError:
        return _listed(_Bytes(info, loose=True), form, persons)


def _plain(info: bytes) -> list[Item] | None:
    """The commonest report (fixed values, no persons) in one go, if every length in it fits; None: it must be looked at closely."""
    end = len(info)
    if end < 8 or info[6] << 8 | info[7] != end - 8:
        return None
    found: list[Item] = []
    at = 8
    for _ in range(info[4] << 8 | info[5]):
        begin = at + 4
        if begin > end:
            return None
        handle, at = info[at] << 8 | info[at + 1], begin + (info[at + 2] << 8 | info[at + 3])
        found.append((None, handle, info[begin:at], NOTHING))
    return found if at == end else None


def _listed(data: _Bytes, form: str, persons: bool) -> list[Item]:
    """The entries one by one."""
    data.take(4)  # request number, report number
    found: list[Item] = []
    for item in data.items():
        person = item.u16() if persons else None
        if form == GROUPED:
            found.append((person, 0, item.octets(), NOTHING))
            continue
        for each in item.items() if persons else (item,):
            handle = each.u16()
            found.append((person, handle, b"", attributes(each)) if form == VARIABLE else (person, handle, each.octets(), NOTHING))
    data.done()
    return found


def _fixed(handle: int, person: int | None, raw: bytes, known: Configuration | None) -> Observation:
    """A fixed value cut by its object's layout; without attributes where that does not suit."""
    which = known or STANDARD.get(_shape(handle, raw))
    thing = which.things.get(handle) if which else None
    if thing is None or thing.size != len(raw):
        return Observation(handle, person, {}, len(raw))
    found, at = {}, 0
    for code, size in thing.layout:
        found[code] = raw[at : at + size]
        at += size
    return Observation(handle, person, found, len(raw))


def _grouped(raw: bytes, layout: tuple[tuple[int, int, int], ...], person: int | None) -> list[Observation]:
    if not layout or sum(size for _, _, size in layout) != len(raw):
        return [Observation(0, person, {}, len(raw))]
    data = _Bytes(raw)
    found: dict[int, Observation] = {}
    for handle, code, size in layout:
        found.setdefault(handle, Observation(handle, person, {}, len(raw))).attributes[code] = data.take(size)
    return list(found.values())


def _shape(handle: int, raw: bytes) -> int:
    """The standard configuration that a fixed value looks like, by handle and length; 0 = none."""
    if handle == 1 and len(raw) == 18 and raw[:4] == b"\0\3\0\6":
        return 0x02BC
    return {(1, 10): 0x0190, (10, 10): 0x0190, (2, 10): 0x02BC, (1, 12): 0x05DC}.get((handle, len(raw)), 0)


# --- values ---------------------------------------------------------------------------------------------------------


def number(raw: bytes) -> Decimal | None:
    """An SFLOAT (two bytes) or FLOAT (four), or None for NaN, NRes, the infinities and what is reserved.

    >>> number(bytes.fromhex("F3CF")), number(bytes.fromhex("FF00031C")), number(bytes.fromhex("07FF"))
    (Decimal('97.5'), Decimal('79.6'), None)
    """
    whole = int.from_bytes(raw, "big")
    bits = 12 if len(raw) == 2 else 24
    mantissa, exponent = whole & (1 << bits) - 1, whole >> bits
    if mantissa in NO_NUMBER[len(raw)]:
        return None
    mantissa -= (mantissa >> bits - 1) << bits
    half = 1 << len(raw) * 8 - bits - 1
    exponent -= (exponent & half) << 1
    return Decimal(mantissa).scaleb(exponent)


@lru_cache(64)
def stamp(raw: bytes) -> str | None:
    """An absolute time, two decimal digits a byte, as ISO; None when it is no time.

    >>> stamp(bytes.fromhex("2007120612100000"))
    '2007-12-06T12:10:00'
    """
    text = raw.hex()
    if len(raw) != 8 or not text.isdecimal():
        return None
    try:
        parts = (int(text[at : at + 2]) for at in (4, 6, 8, 10, 12))
        when = datetime(int(text[:4]), *parts).isoformat()  # type: ignore[arg-type]  # noqa: DTZ001 - the device knows no zone
    except ValueError:
        return None
    return when if text[14:] == "00" else f"{when}.{text[14:]}"


def status(raw: bytes) -> Status:
    """A measurement status: its bits are counted from the highest."""
    whole = int.from_bytes(raw, "big")
    found = Status(0)
    for flag in Status:
        if whole >> 15 - (flag.bit_length() - 1) & 1:
            found |= flag
    return found


def _values(one: Observation, thing: Thing) -> list[tuple[int, bytes]]:
    """Code and raw value of everything in an observation."""
    got = one.attributes
    if OBSERVED in got and len(got[OBSERVED]) == 10:
        return [(int.from_bytes(got[OBSERVED][:2], "big"), got[OBSERVED][6:])]
    for attribute, size in ((BASIC, 2), (SIMPLE, 4)):
        if attribute in got and len(got[attribute]) == size and len(thing.codes) == 1:
            return [(thing.codes[0], got[attribute])]
    for attribute, size in ((COMPOUND, 2), (COMPOUND_SIMPLE, 4)):
        if attribute in got:
            # Whatever its lengths say: a compound that does not hold what it promises has no values.
            data = got[attribute]
            count, length = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
            body = data[4 : 4 + length]
            if count == len(thing.codes) and len(body) == length == count * size:
                return [(code, body[at * size : at * size + size]) for at, code in enumerate(thing.codes)]
    return []


_GONE = Status.INVALID | Status.NOT_AVAILABLE | Status.CALIBRATION_ONGOING


@lru_cache(512)
def _numeric(metric: Metric, raw: bytes, unit: int | None, flags: Status) -> Numeric:
    """One number in its metric's own unit; without a usable number or a known unit it has no value."""
    value = number(raw)
    measures, factor = UNITS.get(unit or 0, (frozenset(), Decimal(1)))
    gone = flags & _GONE
    # Past 10,000 nothing any of these devices measures is possible, and a device could make a number of 128 digits.
    if value is None or metric not in measures or gone or not 0 < value < 10_000 or (metric is Metric.SPO2 and value > 100):
        return numeric(metric, None, flags)
    if factor != 1:
        value = (value * factor).quantize(Decimal(1).scaleb(-TABLE[metric].scale), ROUND_HALF_EVEN)
    value = value.quantize(Decimal("0.001"), ROUND_HALF_EVEN) if int(value.as_tuple().exponent) < -3 else value
    digits = value.normalize()
    scale = max(TABLE[metric].scale, -int(digits.as_tuple().exponent))
    return Numeric(metric, int(digits.scaleb(scale)), flags, scale)


# --- framing --------------------------------------------------------------------------------------------------------


class _Framer:
    """Cuts the line into APDUs whose lengths fit, inside and outside."""

    def __init__(self) -> None:
        self._held = b""

    @property
    def pending(self) -> int:
        """Bytes of an APDU that has begun."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that `data` completes."""
        data = self._held + data
        pieces: list[Piece] = []
        at = begun = 0
        reason: str | None = None
        while at < len(data):
            used, why = _look(data, at)
            if not used:
                break
            if why is None or why != reason:
                if reason is not None:
                    pieces.append((data[begun:at], reason))
                begun, reason = at, why
            if why is None:
                pieces.append((data[at : at + used], None))
            at += used
        if reason is not None:
            pieces.append((data[begun:at], reason))
        self._held = data[at:]
        return pieces

    def expire(self) -> list[Piece]:
        """The APDU that had begun will not become whole: its first byte is noise, the rest is looked at again."""
        if not self._held:
            return []
        first, rest, self._held = self._held[:1], self._held[1:], b""
        return [(first, CUT), *self.feed(rest)]


_BEGINS = re.compile(rb"[\x%02x-\x%02x](?:\x00|\Z)" % (AARQ, PRST))
"""Where an APDU may begin: the high byte of its choice, and the 0 behind it."""


def _look(data: bytes, at: int) -> tuple[int, str | None]:
    """How many bytes are decided here, and what they are; 0 = not decided yet."""
    begins = _BEGINS.search(data, at)
    if begins is None or begins.start() > at:
        return (begins.start() if begins else len(data)) - at, GARBAGE
    window = data[at : at + 16]
    if len(window) < 4:
        return 0, None
    length = int.from_bytes(window[2:4], "big")
    if not _plausible(window, length):
        return 1, LENGTH
    if at + 4 + length > len(data):
        return 0, None
    return (4 + length, None) if _fits(data[at : at + 4 + length]) else (1, LENGTH)


def _plausible(head: bytes, length: int) -> bool:
    """May these be the first bytes of an APDU? Looked at as soon as they come, so that noise does not hold the line up."""
    if head[0] in (RLRQ, RLRE, ABRT):
        return length == 2
    if head[0] == AARQ:
        return 20 <= length <= 512 and b"\x80\0\0\0".startswith(head[4:8])
    if head[0] == AARE:
        return length == 44
    if not 8 <= length <= MOST - 4:
        return False
    return len(head) < 6 or int.from_bytes(head[4:6], "big") == length - 2


def _fits(apdu: bytes) -> bool:
    """Do all lengths inside a data APDU fit that this driver would read?"""
    try:
        if apdu[0] == AARQ:
            _agent(apdu)
        if apdu[0] != PRST:
            return True
        what = message(apdu)
        if what.event == CONFIGURATION:
            configuration(what.info)
        elif what.choice == GET_ANSWER:
            _answered(what.body)
    except MalformedError:
        return False
    return True


def _answered(body: bytes) -> dict[int, bytes]:
    data = _Bytes(body)
    data.u16()
    given = attributes(data)
    data.done()
    return given


# --- the driver -----------------------------------------------------------------------------------------------------


class Ieee11073(Uncommanded):
    """The manager's side of one agent. With `listen=True` it decodes only and never sends."""

    def __init__(self, listen: bool = False) -> None:
        self._listen = listen
        self._framer = _Framer()
        self._begun = False
        self._associated = False
        self._agent = (b"", 0)  # system id and configuration number
        self._known: Configuration | None = None
        self._kept: dict[tuple[bytes, int], Configuration] = {}
        self._invoke = 0
        self._clock: tuple[datetime, int] | None = None  # what the device's clock said, and when
        self._fed_ns = self._abort_ns = 0
        self._waiting: Sample | None = None  # an oximeter's lone report: finished, or the first of a stream
        self._waiting_ns = 0
        self._stream: str | None = None  # device time of the latest report of a stream
        self._stream_ns: int | None = None

    @property
    def pending(self) -> int:
        """Bytes of an APDU that has begun, and of a report that waits for the next."""
        return self._framer.pending + (len(self._waiting.frame) if self._waiting else 0)

    def begin(self, now_ns: int) -> list[Said]:
        """The agent speaks first. What it may think of an earlier association ends here."""
        if self._listen:
            return []
        self._begun, self._fed_ns, self._abort_ns = True, now_ns, now_ns + ABORT_NS
        return [Send(ABORT)]

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """Bytes from the line."""
        if data:
            self._fed_ns = now_ns
        return self._pieces(self._framer.feed(data), now_ns)

    def tick(self, now_ns: int) -> list[Said]:
        """An APDU that was cut does not wait for ever, nor does a lone report."""
        said: list[Said] = []
        if self._begun and self._framer.pending and now_ns - self._fed_ns >= STALE_NS:
            self._fed_ns = now_ns
            said += self._pieces(self._framer.expire(), now_ns)
        if self._waiting and now_ns - self._waiting_ns >= STREAM_NS:
            self._release(said)
        return said

    def end(self, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """Release the association."""
        if not (self._begun and self._associated):
            return []
        self._associated = False
        return [Send(RELEASE)]

    def flush(self) -> list[Said]:
        """A lone report is finished; a cut APDU stays pending."""
        said: list[Said] = []
        self._release(said)
        return said

    # --- APDUs ----------------------------------------------------------------------------------------------------

    def _pieces(self, pieces: list[Piece], now_ns: int) -> list[Said]:
        said: list[Said] = []
        for piece, noise in pieces:
            if noise is not None:
                self._release(said)
                said.append(Noise(piece, noise))
            elif piece[0] == PRST:
                self._data(piece, message(piece), now_ns, said)
            else:
                self._release(said)
                self._link(piece, said)
        return said

    def _link(self, apdu: bytes, said: list[Said]) -> None:
        """Association, release and abort."""
        if apdu[0] == AARQ:
            said += self._associate(apdu)
            return
        words = {AARE: "association answered", RLRQ: "released by the device", RLRE: "released", ABRT: "aborted by the device"}
        said.append(Notice(Word.STATE, words[apdu[0]], frame=apdu))
        if apdu[0] == AARE:
            return
        if apdu[0] == RLRQ:
            self._send(RELEASED, said)
        self._associated, self._known, self._stream, self._stream_ns = False, None, None, None

    def _associate(self, apdu: bytes) -> list[Said]:
        """Accept an agent of protocol 20601, whatever it measures; an extended configuration is asked for unless it is kept."""
        self._agent, self._clock = _agent(apdu), None
        number = self._agent[1]
        self._known = STANDARD.get(number) or self._kept.get(self._agent)
        self._associated = self._begun
        said: list[Said] = [Notice(Word.IDENTITY, f"IEEE 11073 {self._agent[0].hex().upper()} configuration {number:04X}", number, apdu)]
        self._send(_accepted(self._known is not None), said)
        if self._known is not None:
            self._configured(said)
        return said

    def _data(self, apdu: bytes, what: Message, now_ns: int, said: list[Said]) -> None:
        if what.event in REPORTS:
            self._report(apdu, what, now_ns, said)
            return
        self._release(said)
        if what.event == CONFIGURATION:
            self._learn(apdu, what, said)
        elif what.choice == GET_ANSWER:
            given = _answered(what.body)
            clock = stamp(given.get(CLOCK, b""))
            self._clock = (datetime.fromisoformat(clock), now_ns) if clock else self._clock
            said += _identity(apdu, given)
        else:
            said.append(Notice(Word.STATE, f"data {what.choice:04X}", frame=apdu))

    def _learn(self, apdu: bytes, what: Message, said: list[Said]) -> None:
        number, known = configuration(what.info)
        self._known = known
        self._kept[(self._agent[0], number)] = known
        if len(self._kept) > KEPT:
            self._kept.pop(next(iter(self._kept)))
        said.append(Notice(Word.STATE, f"configuration {number:04X}", number, apdu))
        if what.choice == CONFIRMED_EVENT and self._associated:
            self._send(_acknowledged(what, what.info[:2] + b"\0\0"), said)
            self._configured(said)

    def _configured(self, said: list[Said]) -> None:
        """Ask who the device is, and let its first scanner talk."""
        self._send(self._request(GET, b"\0\0\0\0\0\0"), said)
        for handle in (self._known.scanners if self._known else ())[:1]:
            value = OPERATIONAL.to_bytes(2, "big") + b"\0\2" + ENABLED.to_bytes(2, "big")
            self._send(self._request(CONFIRMED_SET, handle.to_bytes(2, "big") + b"\0\1\0\x08\0\0" + value), said)

    def _request(self, choice: int, body: bytes) -> bytes:
        self._invoke = self._invoke % 0xFFFF + 1
        return _prst(self._invoke, choice, body)

    def _send(self, data: bytes, said: list[Said]) -> None:
        if self._begun:
            said.append(Send(data))

    # --- reports --------------------------------------------------------------------------------------------------

    def _report(self, apdu: bytes, what: Message, now_ns: int, said: list[Said]) -> None:
        if self._begun and not self._associated:
            self._release(said)
            said.append(Notice(Word.STATE, "report-without-association", frame=apdu))
            if now_ns >= self._abort_ns:
                self._abort_ns = now_ns + ABORT_NS
                said.append(Send(ABORT))
            return
        found = [self._dated(each, now_ns) for each in self._samples(apdu, what)]
        if not found:
            self._release(said)
            said.append(Notice(Word.STATE, "empty-report", frame=apdu))
        elif len(found) == 1 and found[0].kind is ReadingKind.SPO2 and not found[0].result:
            self._oximeter(found[0], what.event >= SCANNER_REPORTS, now_ns, said)
        else:
            self._release(said)
            said += [each if each.result else replace(each, result=True) for each in found]
        if what.choice == CONFIRMED_EVENT and not any(each.invalid == "unknown-configuration" for each in found):
            self._send(_acknowledged(what, b""), said)

    def _dated(self, sample: Sample, now_ns: int) -> Sample:
        """Measured just now (then its age is said), or taken from the device's memory? A recording that holds no clock does not say."""
        if sample.device_time is None or (self._listen and self._clock is None):
            return sample
        if self._clock is None:
            return replace(sample, source=Source.MEMORY)
        said, at_ns = self._clock
        age_s = (said - datetime.fromisoformat(sample.device_time)).total_seconds() + (now_ns - at_ns) / SECOND
        if age_s > FRESH_S:
            return replace(sample, source=Source.MEMORY)
        return sample if self._listen or age_s < 1 else _aged(sample, int(age_s) + 1)

    def _oximeter(self, sample: Sample, scanner: bool, now_ns: int, said: list[Said]) -> None:
        """One report of an oximeter: part of a stream, or perhaps a finished measurement."""
        before, self._stream = self._stream, sample.device_time
        before_ns, self._stream_ns = self._stream_ns, now_ns
        near = scanner or (before_ns is not None and _near(before, sample.device_time, now_ns - before_ns))
        if near:
            if self._waiting:
                said.append(_streamed(self._waiting))
                self._waiting = None
            said.append(_streamed(sample))
            return
        self._release(said)
        self._waiting, self._waiting_ns = sample if self._listen else _aged(sample, STREAM_NS // SECOND + 1), now_ns

    def _release(self, said: list[Said]) -> None:
        """A report that nothing followed is a finished measurement."""
        if self._waiting:
            said.append(replace(self._waiting, result=True))
            self._waiting = None

    def _samples(self, apdu: bytes, what: Message) -> Iterator[Sample]:
        """One sample for each person and time in a report; the first carries the report's bytes."""
        seen = observations(what, self._known)
        frame = apdu
        for group in _gathered(seen, self._known):
            made = _sample(group, self._known, frame, seen)
            if made is not None:
                frame = b""
                yield made


def _aged(sample: Sample, seconds: int) -> Sample:
    """The same, so many seconds older (rounded up): whose it is, is decided by who sat there then."""
    others = tuple(each for each in sample.signals if each[0] != AGE)
    return replace(sample, signals=(*others, (AGE, dict(sample.signals).get(AGE, 0) + seconds)))


def _agent(apdu: bytes) -> tuple[bytes, int]:
    """System id and configuration number of an association request; (b"", 0) when it offers another protocol only."""
    data = _Bytes(apdu[4:])
    data.take(4)
    found = b"", 0
    for item in data.items():
        protocol, info = item.u16(), _Bytes(item.octets())
        if protocol != PROTOCOL:
            continue
        info.take(18)  # versions, encoding rules, functional units, kind of system
        found = info.octets(), info.u16()
        info.take(4)  # how it reports
        for option in info.items():
            option.take(2)
            option.octets()
        info.done()
    data.done()
    return found


def _accepted(known: bool) -> bytes:
    """An association response: accepted, or accepted with an unknown configuration."""
    head = bytes.fromhex("E300002C") + (b"\0\0" if known else b"\0\3")
    return head + bytes.fromhex("5079002680000000800080000000000000008000000000 08") + SYSTEM_ID + bytes(10)


def _prst(invoke: int, choice: int, body: bytes) -> bytes:
    inner = invoke.to_bytes(2, "big") + choice.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body
    return b"\xe7\0" + (len(inner) + 2).to_bytes(2, "big") + len(inner).to_bytes(2, "big") + inner


def _acknowledged(what: Message, info: bytes) -> bytes:
    """The answer to a confirmed event."""
    body = what.handle.to_bytes(2, "big") + bytes(4) + what.event.to_bytes(2, "big") + len(info).to_bytes(2, "big") + info
    return _prst(what.invoke, what.choice + 0x0100, body)


def _identity(apdu: bytes, given: dict[int, bytes]) -> list[Said]:
    """Maker, model and serial number; the device's clock as it says it."""
    words: list[str] = []
    try:
        if MODEL in given:
            data = _Bytes(given[MODEL])
            words += [_text(data.octets()), _text(data.octets())]
        if PRODUCTION in given:
            for item in _Bytes(given[PRODUCTION]).items():
                kind, _, value = item.u16(), item.u16(), item.octets()
                words += [_text(value)] if kind == SERIAL_NUMBER else []
    except MalformedError:
        words.append("(unreadable)")
    said: list[Said] = [Notice(Word.IDENTITY, " ".join(words), frame=apdu)]
    clock = stamp(given.get(CLOCK, b""))
    return said + ([Notice(Word.CLOCK, clock)] if clock else [])


def _text(raw: bytes) -> str:
    return "".join(chr(byte) for byte in raw if 0x20 <= byte < 0x7F).strip()


def _gathered(seen: list[Observation], known: Configuration | None) -> list[list[Observation]]:
    """The observations of one person at one time together; one object twice at one time is two measurements."""
    groups: list[tuple[tuple[int | None, bytes | None], list[Observation]]] = []
    for one in seen:
        key = (one.person, one.attributes.get(STAMP) or one.attributes.get(CLOCK))
        timeless = key[1] is None
        for other, members in reversed(groups):
            same = other == key or (other[0] == key[0] and (timeless or other[1] is None) and known is not None)
            if same and all(member.handle != one.handle for member in members):
                members.append(one)
                break
        else:
            groups.append((key, [one]))
    return [members for _, members in groups]


def _sample(group: list[Observation], known: Configuration | None, frame: bytes, seen: list[Observation]) -> Sample | None:
    """What one person's device measured at one time; None when none of it concerns this station."""
    found: dict[Metric, Numeric] = {}
    unknown, spot, flags = False, False, NO_FLAGS
    for one in group:
        thing = _meaning(one, known, seen)
        if thing is None:
            unknown = unknown or not one.attributes
            continue
        own = status(one.attributes[STATUS]) if len(one.attributes.get(STATUS, b"")) == 2 else NO_FLAGS
        spot = spot or thing.spot
        for code, raw in _values(one, thing):
            if code in METRICS:
                found.setdefault(METRICS[code], _numeric(METRICS[code], raw, thing.unit, own))
                flags = flags | own if own else flags  # a flag's arithmetic costs more than its test
    if not found:
        return Sample(ReadingKind.VITAL_SIGNS, (), frame, invalid="unknown-configuration") if unknown and frame else None
    person = group[0].person
    signals = () if person is None else (("person", person),)
    return _judged(found, flags, frame, spot, _time(group), signals)


def _time(group: list[Observation]) -> str | None:
    """The first time that is one."""
    for one in group:
        said = stamp(one.attributes.get(STAMP) or one.attributes.get(CLOCK) or b"")
        if said:
            return said
    return None


def _meaning(one: Observation, known: Configuration | None, seen: list[Observation]) -> Thing | None:
    """What a handle stands for: by the configuration, else by the shape of the report's values."""
    if known is not None:
        return known.things.get(one.handle)
    number = _recognised(seen)
    return STANDARD[number].things.get(one.handle) if number and one.handle in CERTAIN[number] else None


def _recognised(seen: list[Observation]) -> int:
    """The standard configuration that a whole report looks like, by its object 1 (or an oximeter's pulse); 0 = none."""
    for one in seen:
        size = {code: len(raw) for code, raw in one.attributes.items()}
        if one.handle == 1 and size.get(COMPOUND) == 10:
            return 0x02BC
        if one.handle == 1 and SIMPLE in size:
            return 0x05DC
        if one.handle in (1, 10) and BASIC in size:
            return 0x0190
    return 0


ORDER = {
    ReadingKind.BLOOD_PRESSURE: (Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN, Metric.PULSE_RATE),
    ReadingKind.SPO2: (Metric.SPO2, Metric.PULSE_RATE),
    ReadingKind.WEIGHT: (Metric.WEIGHT, Metric.HEIGHT),
}
"""The numbers of each kind, in the order they are said."""
KIND = (
    (Metric.SYSTOLIC, ReadingKind.BLOOD_PRESSURE), (Metric.SPO2, ReadingKind.SPO2), (Metric.WEIGHT, ReadingKind.WEIGHT),
    (Metric.DIASTOLIC, ReadingKind.BLOOD_PRESSURE), (Metric.MEAN, ReadingKind.BLOOD_PRESSURE), (Metric.PULSE_RATE, ReadingKind.SPO2),
    (Metric.HEIGHT, ReadingKind.WEIGHT),
)  # fmt: skip
"""What a sample with these numbers is; the first that is found decides."""
NEEDED = {
    ReadingKind.BLOOD_PRESSURE: (Metric.SYSTOLIC, Metric.DIASTOLIC),
    ReadingKind.SPO2: (Metric.SPO2, Metric.PULSE_RATE),
    ReadingKind.WEIGHT: (Metric.WEIGHT,),
}
"""Without these a sample has no value."""


def _judged(
    found: dict[Metric, Numeric], flags: Status, frame: bytes, spot: bool, device_time: str | None, signals: tuple[tuple[str, int], ...]
) -> Sample:
    """The sample of what was found, with the reason when it is not usable."""
    kind = next(each for metric, each in KIND if metric in found)
    needed = NEEDED[kind]
    given = [found.get(metric) or numeric(metric, None) for metric in ORDER[kind] if metric in found or metric in needed]
    missing = False
    for metric in needed:
        missing = missing or metric not in found or found[metric].value is None
    why = _why(flags, missing, kind)
    numerics = tuple([numeric(each.metric, None, each.status) for each in given] if why else given)
    result = kind is not ReadingKind.SPO2 or spot
    return Sample(kind, numerics, frame, invalid=why, result=result, device_time=device_time, signals=signals)


def _why(flags: Status, missing: bool, kind: ReadingKind) -> str | None:
    """The device's own reason first."""
    if not flags:
        return "no-value" if missing else None
    for flag, word in (
        (Status.INVALID, "invalid"), (Status.NOT_AVAILABLE, "not-available"), (Status.CALIBRATION_ONGOING, "calibration-ongoing"),
    ):  # fmt: skip
        if flags & flag and missing:
            return word
    if flags & Status.MSMT_ONGOING and kind is not ReadingKind.SPO2:
        return "measurement-ongoing"
    return "no-value" if missing else None


def _near(before: str | None, now: str | None, passed_ns: int) -> bool:
    """Are two reports of one stream? By the device's clock where it has one."""
    if before is None or now is None:
        return passed_ns <= STREAM_NS
    return 0 < (datetime.fromisoformat(now) - datetime.fromisoformat(before)).total_seconds() * SECOND <= STREAM_NS


def _streamed(sample: Sample) -> Sample:
    """A sample of a stream: whole numbers, because the settler takes medians of them."""
    numerics = tuple(
        each if each.number is None else Numeric(each.metric, int(each.number.to_integral_value(ROUND_HALF_EVEN)), each.status)
        for each in sample.numerics
    )
    signals = tuple(each for each in sample.signals if each[0] != AGE)
    return replace(sample, numerics=numerics, every_ns=SECOND, result=False, signals=signals)


ROW = Row(
    name="ieee11073",
    title="IEEE 11073-20601 oximeter, blood-pressure monitor or scale on a byte stream",
    kind=ReadingKind.VITAL_SIGNS,
    metrics=(Metric.SPO2, Metric.PULSE_RATE, Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN, Metric.WEIGHT, Metric.HEIGHT),
    line=Line(baud=115200),
    pace=58,
    bound=2 * MOST,
    make=lambda rest_s: Ieee11073(),  # noqa: ARG005 - the devices keep their own rest
    listen=lambda: Ieee11073(listen=True),
    silence_s=3600.0,
)
"""This family in the registry."""
