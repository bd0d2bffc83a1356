"""Contec CMS50D+ and CMS50C finger oximeters with older firmware, protocol V5.1: live stream and memory.

Source of every byte: the vendor's V5.1 document; two independent readers agree with it. 19200 baud with *odd parity*.

* Live, 60 a second, unasked: five bytes, only the first with bit 7.
* Memory, asked for with ``F5 F5``: three start packages ``F2, 80|hour, minute`` (hour and minute only, no date), three bytes of
  length (its bytes less one), then ``F0|PR bit 7, 80|PR, SpO2``, one for each second; ``F6 F6 F6`` ends it.

There is no checksum anywhere. A lost byte never shifts the packages behind it, but line noise looks like a package now and then:
after noise a package counts only together with two neighbours that look like it (the 9-byte protocol of the same maker asks for
one; these packages are shorter). Pulse 0 and SpO2 0 are never values, nor is anything beside *searching*, *searching too long*
(which others call *finger out*) or *probe error*. V5.1 names no other sentinel: where newer devices say FF and 7F, the 7F alone,
127 %, is no value here.

The device can neither be told what to store nor to forget it: the two requests are all that this file can send.
"""

import re

from appliance.contract.metrics import Metric
from appliance.contract.readings import Numeric, ReadingKind, Source
from appliance.devices.driver import SECOND, Line, Row, Uncommanded
from appliance.devices.events import Noise, Notice, Said, Sample, Send, Word, numeric
from appliance.devices.framing import CUT, GARBAGE

LIVE, TRIPLE = 5, 3
"""Whole lengths of a live package and of every package of the memory."""
RECORDS, START, END = (0xF0, 0xF1), 0xF2, 0xF6
"""First bytes of the memory's packages: a record (with the pulse's bit 7), the start time, the end."""
ASK_MEMORY, STOP_MEMORY = b"\xf5\xf5", b"\xf6\xf6\xf6"
"""Everything that is ever sent."""

TOO_LONG, BEEP = 0x10, 0x40
"""Bits of the first live byte."""
PROBE_ERROR, SEARCHING, PULSE_BIT_7 = 0x10, 0x20, 0x40
"""Bits of the third live byte."""
HIGHEST_SPO2 = 100

ALIKE = 3
"""After noise so many packages in a row must look alike (reckoned: once in some 100 GB of noise; two would be 4 in 10 MB)."""
NEAR_SPO2, NEAR_PULSE = 4, 20
"""How far two neighbours may differ (judgement; the device averages over beats)."""
STARTS = 3
"""The start time is sent so many times."""
RECORD_NS = SECOND
"""One record a second."""
SILENT_NS = 2 * SECOND
"""Without a package for this long the stream counts as stopped, and a memory as read to its end."""
PACKAGES_PER_SECOND = 60


_BEGINS = re.compile(rb"[\x80-\xff]")
_MAY = re.compile(rb"[\x80-\xff](?:[\x00-\x7f]|\Z)|[%b]" % bytes((*RECORDS, START, END)))
"""Where a package may begin: any, and one without a start package before it."""


class _Framer:
    """Cuts the line into packages; holds at most one less one byte."""

    def __init__(self) -> None:
        self._held = b""
        self._starts = 0  # start packages in a row

    @property
    def pending(self) -> int:
        """Bytes of a package that has begun."""
        return len(self._held)

    def feed(self, data: bytes) -> list[tuple[bytes, str | None, bool]]:
        """The pieces that `data` completes; True for the package that holds a memory's length."""
        data = self._held + data
        pieces: list[tuple[bytes, str | None, bool]] = []
        at = begun = 0
        while at < len(data):
            used, why = self._look(data, at)
            if not used:
                break
            if why is None:
                _noise(data[begun:at], pieces)
                pieces.append((data[at : at + used], None, self._is_length(data, at)))
                begun = at + used
                self._starts = self._starts + 1 if used == TRIPLE and data[at] == START and not pieces[-1][2] else 0
            else:
                self._starts = 0
            at += used
        _noise(data[begun:at], pieces)
        self._held = data[at:]
        return pieces

    def _look(self, data: bytes, at: int) -> tuple[int, str | None]:
        """How many bytes are decided here, and what they are; 0 = not decided yet."""
        first = data[at]
        if first < 0x80:
            begins = _BEGINS.search(data, at)
            return (begins.start() if begins else len(data)) - at, GARBAGE
        if at + 1 >= len(data):
            return 0, None
        length = LIVE if data[at + 1] < 0x80 else TRIPLE
        if length == TRIPLE and not self._may_begin(first):
            begins = _MAY.search(data, at + 1)  # no start package came before, and none of what is left out here could be one
            return (begins.start() if begins else len(data)) - at, CUT
        rest = data[at + 2 : at + length]
        if not rest.isascii() and not (first == END == data[at + 1] == rest[0]):
            return 1, CUT
        return (length, None) if len(rest) == length - 2 else (0, None)

    def _may_begin(self, first: int) -> bool:
        return first in RECORDS or first in (START, END) or self._starts > 0

    def _is_length(self, data: bytes, at: int) -> bool:
        """The package behind the start packages: whatever its first byte when all three came, else one that is no other's."""
        triple = data[at + 1] >= 0x80
        return triple and self._starts > 0 and (self._starts >= STARTS or not (data[at] in RECORDS or data[at] in (START, END)))


def _noise(run: bytes, pieces: list[tuple[bytes, str | None, bool]]) -> None:
    if run:
        pieces.append((run, CUT if run[0] >= 0x80 else GARBAGE, False))


class ContecCms50V5(Uncommanded):
    """Driver of one oximeter. With `listen=True` it decodes only and never sends."""

    def __init__(self, listen: bool = False) -> None:
        self._listen = listen
        self._framer = _Framer()
        self._doubt = False
        self._waiting: list[Sample] = []
        self._beep = False
        self._starts: list[tuple[int, int]] = []
        self._passed = 0  # bytes since the records began
        self._expected: int | None = None  # records, as the length says
        self._count = 0
        self._reading = False  # the memory has been asked for
        self._answered = False  # and something of it has come
        self._fed_ns = 0

    @property
    def pending(self) -> int:
        """Bytes of a package that has begun, and of those that wait for their like."""
        return self._framer.pending + sum(len(each.frame) for each in self._waiting)

    def begin(self, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """Nothing to say: the device streams unasked."""
        return []

    def recall(self, now_ns: int) -> list[Said]:
        """Ask for what is in the memory; live packages come again when it has been read."""
        if self._listen or self._reading:
            return [Notice(Word.REFUSED, "listening" if self._listen else "busy")]
        self._reading, self._fed_ns, self._count, self._expected = True, now_ns, 0, None
        self._answered = False
        return [Send(ASK_MEMORY)]

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """Bytes from the line."""
        said: list[Said] = []
        for piece, noise, is_length in self._framer.feed(data):
            if noise is not None:
                self._release(said)
                self._doubt = True
                self._passed += len(piece)
                said.append(Noise(piece, noise))
            elif len(piece) == LIVE:
                self._judge(self._live(piece), said)
            else:
                self._fed_ns, self._answered = now_ns, True
                self._stored(piece, is_length, said)
        return said

    def tick(self, now_ns: int) -> list[Said]:
        """A memory that has fallen silent has been read."""
        return self._finish() if self._reading and now_ns - self._fed_ns >= SILENT_NS else []

    def end(self, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """Stop a memory that is being read."""
        return self._finish() if self._reading else []

    def flush(self) -> list[Said]:
        """Say the packages that wait for their like; a cut tail stays pending."""
        said: list[Said] = []
        self._release(said)
        return said

    # --- packages -------------------------------------------------------------------------------------------------

    def _live(self, package: bytes) -> Sample:
        beep = bool(package[0] & BEEP)
        edge, self._beep = beep and not self._beep, beep
        signals = (("pleth", package[1]), ("beep", int(edge)), ("signal", package[0] & 0x0F), ("bar", package[2] & 0x0F))
        pulse = (package[2] & PULSE_BIT_7) << 1 | package[3]
        why = _why_invalid(package) or _no_value(pulse, package[4])
        return (
            _without_value(package, why, signals)
            if why
            else Sample(ReadingKind.SPO2, _numerics(pulse, package[4]), package, signals=signals)
        )

    def _stored(self, package: bytes, is_length: bool, said: list[Said]) -> None:
        if package[0] in RECORDS and not is_length:
            self._judge(self._record(package), said)
            self._count += 1
            if self._reading and self._expected == self._count:
                said += self._finish()
            return
        self._release(said)
        if is_length:
            length = ((package[0] & 0x0F) << 14 | (package[1] & 0x7F) << 7 | package[2]) + 1
            self._passed = 0
            self._expected = length // TRIPLE if length % TRIPLE == 0 else None
            said.append(Notice(Word.STATE, f"memory: {length} bytes", length, package))
        elif package[0] == START:
            if self._passed or len(self._starts) == STARTS:
                self._starts = []
            self._passed = 0
            self._starts.append((package[1] & 0x7F, package[2]))
            said.append(Notice(Word.STATE, f"memory begins at {package[1] & 0x7F:02}:{package[2]:02}", frame=package))
        else:
            said.append(Notice(Word.STATE, "memory ends", frame=package))
            if self._reading:
                said += self._finish()

    def _record(self, package: bytes) -> Sample:
        """One second of the memory; its place counts what noise took away as well."""
        ordinal = (self._passed + 1) // TRIPLE
        self._passed += TRIPLE
        pulse, spo2 = (package[0] & 0x01) << 7 | package[1] & 0x7F, package[2]
        why = _no_value(pulse, spo2)
        return Sample(
            ReadingKind.SPO2, _NO_NUMERICS if why else _numerics(pulse, spo2), package, invalid=why, source=Source.MEMORY,
            device_time=self._began(), ordinal=ordinal, every_ns=RECORD_NS,
        )  # fmt: skip

    def _began(self) -> str | None:
        """When the recording began: what two of the start packages say, or the only one. There is no date."""
        for hour, minute in self._starts:
            agreed = len(self._starts) == 1 or self._starts.count((hour, minute)) > 1
            if agreed and hour < 24 and minute < 60:
                return f"{hour:02}:{minute:02}"
        return None

    def _finish(self) -> list[Said]:
        self._reading = False
        ended = Notice(Word.STATE, "memory-read", self._count) if self._answered else Notice(Word.FAILED, "no-reply")
        return [Send(STOP_MEMORY), ended]

    # --- doubt ----------------------------------------------------------------------------------------------------

    def _judge(self, sample: Sample, said: list[Said]) -> None:
        """Said at once in a clean stream; after noise only together with two that look like it."""
        if self._waiting and not _near(self._waiting[-1], sample):
            self._release(said)
        if not self._doubt or not sample.valid:
            said.append(sample)  # packages without a value take no doubt away: in noise they are frequent
            return
        self._waiting.append(sample)
        if len(self._waiting) == ALIKE:
            said += self._waiting
            self._waiting, self._doubt = [], False

    def _release(self, said: list[Said]) -> None:
        """Packages that found too few of their like: samples, but never values."""
        said += [_doubtful(each) for each in self._waiting]
        self._waiting = []


def _why_invalid(package: bytes) -> str | None:
    """Why a live package's numbers are not values, the device's own reasons first."""
    if package[2] & PROBE_ERROR:
        return "probe-error"
    if package[0] & TOO_LONG:
        return "searching-too-long"
    if package[2] & SEARCHING:
        return "searching"
    return None


def _no_value(pulse: int, spo2: int) -> str | None:
    return None if pulse and 1 <= spo2 <= HIGHEST_SPO2 else "no-value"


def _numerics(pulse: int, spo2: int) -> tuple[Numeric, ...]:
    return Numeric(Metric.SPO2, spo2), Numeric(Metric.PULSE_RATE, pulse)


_NO_NUMERICS = (numeric(Metric.SPO2, None), numeric(Metric.PULSE_RATE, None))


def _without_value(package: bytes, why: str, signals: tuple[tuple[str, int], ...]) -> Sample:
    return Sample(ReadingKind.SPO2, _NO_NUMERICS, package, invalid=why, signals=signals)


def _doubtful(sample: Sample) -> Sample:
    """The sample without its numbers."""
    return Sample(
        ReadingKind.SPO2, _NO_NUMERICS, sample.frame, invalid="unconfirmed", source=sample.source, device_time=sample.device_time,
        ordinal=sample.ordinal, every_ns=sample.every_ns,
    )  # fmt: skip


def _near(one: Sample, other: Sample) -> bool:
    """True when two packages can be neighbours: of one stream, both usable, and their values close."""
    if one.source is not other.source or one.invalid or other.invalid:
        return False
    pairs = zip(one.numerics, other.numerics, (NEAR_SPO2, NEAR_PULSE), strict=True)
    return all(abs((mine.value or 0) - (its.value or 0)) <= most for mine, its, most in pairs)


ROW = Row(
    name="contec-cms50-v5",
    title="Contec CMS50D+/CMS50C finger oximeter, older firmware, protocol V5.1",
    kind=ReadingKind.SPO2,
    metrics=(Metric.SPO2, Metric.PULSE_RATE),
    line=Line(baud=19200, parity="O", dtr=True, rts=False),
    pace=PACKAGES_PER_SECOND * LIVE,
    bound=ALIKE * LIVE,
    make=lambda rest_s: ContecCms50V5(),  # noqa: ARG005 - no cycles, no rest between them
    listen=lambda: ContecCms50V5(listen=True),
    silence_s=SILENT_NS / SECOND,
)
"""This family in the registry."""
