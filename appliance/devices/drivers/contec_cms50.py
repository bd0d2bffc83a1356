"""Contec CMS50 and CMS60 finger oximeters, protocol V7.0: live stream and memory.

Source of every byte: the vendor's "Communication protocol of pulse oximeter V7.0" (2010-07-08), live package 01 and the
command table; for the memory (packages 07, 08, 09, 0F, 12) also the examples of a public reader. No public recording of a
download is known: three records to a package, one a second, is unverified on a device. A CMS50D+ with firmware 4.6 or later
speaks this; the same label with older firmware speaks V5.1 (contec_cms50_v5.py): no data then.

Traps this driver is built around: every data byte travels with bit 7 set and its true bit 7 in the mask byte; the beep
flag stays on for two packages; PR 0, SpO2 0 and the sentinels FF, 7F, FFFF are *no value*; probe error and searching
mean that the numbers beside them are not values either. There is no checksum: after noise, a package counts only
together with an equal-looking neighbour, so that line noise never shows as a number.

The memory is read only when asked for (`recall`), and the command that empties it does not exist in this file.
"""

from collections.abc import Generator
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from appliance.contract.metrics import Metric
from appliance.contract.readings import Numeric, ReadingKind, Source
from appliance.devices.driver import SECOND, Line, Row, Uncommanded
from appliance.devices.events import Noise, Notice, Said, Sample, Send, Word, numeric
from appliance.devices.framing import LowByteFramer

LENGTHS = {
    0x01: 9, 0x02: 9, 0x03: 9, 0x04: 9, 0x05: 9, 0x06: 4, 0x07: 8, 0x08: 8, 0x09: 6, 0x0A: 4, 0x0B: 4, 0x0C: 2, 0x0D: 3,
    0x0E: 3, 0x0F: 8, 0x10: 3, 0x11: 9, 0x12: 8, 0x15: 9,
}  # fmt: skip
"""Whole length of every package the device sends, by its type (V7.0 table; 06 was seen on the wire, undocumented)."""

LIVE, MODEL, VENDOR, FEEDBACK, BYE = 0x01, 0x02, 0x03, 0x0B, 0x0D
"""Package types: live sample, model (in two parts), vendor, feedback to a command, the device ends the link."""

SEGMENTS, DATE, LENGTH, RECORD_PI, STOPPED, RECORDS, TIME = 0x0A, 0x07, 0x08, 0x09, 0x0C, 0x0F, 0x12
"""Package types of the memory: how many recordings, when one began, its length, a record with perfusion index, *stopped*, three
records, the time of day."""

START_LIVE, STOP_LIVE, ASK_MODEL, KEEP_ALIVE = 0xA1, 0xA2, 0xA8, 0xAF
ASK_SEGMENTS, ASK_LENGTH, ASK_BEGIN, ASK_RECORDS, STOP_RECORDS = 0xA3, 0xA4, 0xA5, 0xA6, 0xA7
"""Every command this driver knows. None of them writes to the device's memory."""

USER = 0
"""The user whose recordings are read: devices without users have this one."""
RECORD_NS = SECOND
"""One record a second (unverified: one reader takes three seconds for a package of three)."""

NO_PULSE, NO_SPO2, NO_PERFUSION = 0xFF, 0x7F, 0xFFFF
"""Sentinels of the live package."""
HIGHEST_PULSE, HIGHEST_SPO2 = 254, 100
"""The largest values the document allows; anything above is no value."""

KEEP_ALIVE_NS = 5 * SECOND
"""The document asks for a keep-alive every 5 s."""
REPLY_NS = SECOND
"""A reply must come within 1 s (V7.0)."""
ASK_AGAIN_NS = 5 * SECOND
"""While no live package comes, live is asked for this often: the oximeter switches itself off without a finger."""
SILENT_NS = 2 * SECOND
"""Without a live package for this long the stream counts as stopped (it sends 60 a second)."""

NEAR_SPO2, NEAR_PULSE = 4, 20
"""After noise: how far two neighbouring packages, 1/60 s apart, may differ (judgement; the device averages over beats)."""

PACKAGES_PER_SECOND = 60
"""Measured 60.0, documented 60 ± 2."""

_MASK_FOR_COMMAND = 0x81


def command(code: int, *arguments: int) -> bytes:
    """A command package: 7D, the mask that carries bit 7 of the code, the code, six bytes of which the first may be arguments below 80.

    >>> command(START_LIVE).hex(), command(ASK_LENGTH, 0, 3).hex()
    ('7d81a1808080808080', '7d81a4808380808080')
    """
    return (bytes([0x7D, _MASK_FOR_COMMAND, code, *(0x80 | each for each in arguments)]) + b"\x80" * 6)[:9]


def data_bytes(package: bytes) -> bytes:
    """The data of a package with every true bit 7 put back from the mask byte.

    >>> data_bytes(bytes.fromhex("01E887B49696D8FFFF")).hex()
    '0734169658ffff'
    """
    size = len(package) - 2
    # All bytes in one number: at 60 packages a second a loop over them is half of what the driver costs.
    low = int.from_bytes(package[2:].translate(_LOW), "little")
    return (low | _HIGH[package[1] & 0x7F] & (1 << 8 * size) - 1).to_bytes(size, "little")


_LOW = bytes(byte & 0x7F for byte in range(256))
_HIGH = tuple(sum(0x80 << 8 * place for place in range(7) if mask >> place & 1) for mask in range(128))
"""By mask: the bits 7 of up to seven data bytes, the first one lowest."""


class ContecCms50(Uncommanded):
    """Driver of one oximeter. With `listen=True` it decodes only and never sends (recordings, `tram device decode`)."""

    def __init__(self, listen: bool = False) -> None:
        self._listen = listen
        self._framer = LowByteFramer(LENGTHS)
        self._doubt = False  # True from the first noise on, until two neighbours agree
        self._held: list[Sample] = []  # of one package
        self._beep = False
        self._model: dict[int, str] = {}
        self._begun = False
        self._asked_ns = self._kept_ns = self._live_ns = 0
        self._wanted = False
        self._date: bytes | None = None  # of the recording that comes: year (two bytes), month, day
        self._time: bytes | None = None  # hour, minute, second
        self._left: int | None = None  # bytes of it that are still to come, where its length is known
        self._ordinal = 0
        self._count = 0  # records read since `recall`
        self._answered = False  # any question about the memory
        self._job: Generator[tuple[bytes, int], bytes | None, None] | None = None
        self._awaited = 0  # the package type that ends a step of the job
        self._step_ns = 0

    @property
    def pending(self) -> int:
        """Bytes of a package that has begun, and of one that waits for its neighbour."""
        return self._framer.pending + sum(len(each.frame) for each in self._held)

    def begin(self, now_ns: int) -> list[Said]:
        """Ask the model; the stream is asked for when it has answered, or after 1 s."""
        if self._listen:
            return []
        self._begun, self._wanted = True, True
        self._asked_ns = self._kept_ns = self._live_ns = now_ns
        return [Send(command(ASK_MODEL))]

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """Bytes from the line."""
        said: list[Said] = []
        for piece, noise in self._framer.feed(data):
            if noise is not None:
                self._release(said)
                self._doubt = True
                said.append(Noise(piece, noise))
            elif piece[0] == LIVE:
                self._live_ns = now_ns
                self._judge([self._sample(piece)], said)
            elif piece[0] in (RECORDS, RECORD_PI):
                self._records(piece, now_ns, said)
            else:
                self._release(said)
                said.append(self._notice(piece, now_ns))
                if self._job is not None and piece[0] == self._awaited:
                    said += self._step(data_bytes(piece), now_ns)
        return said

    def recall(self, now_ns: int) -> list[Said]:
        """Read the memory: live stops, each recording is asked for, live starts again. Live and memory cannot run together."""
        if not self._begun or self._job is not None:
            return [Notice(Word.REFUSED, "busy" if self._begun else "listening")]
        self._job, self._count, self._answered = self._reading(), 0, False
        return self._step(None, now_ns)

    def tick(self, now_ns: int) -> list[Said]:
        """Ask for the stream when it does not come; keep it alive when it does."""
        if not self._begun:
            return []
        if self._job is not None:
            late = now_ns - self._step_ns >= (SILENT_NS if self._awaited == RECORDS else REPLY_NS)
            return self._step(None, now_ns) if late else []
        if self._wanted and now_ns - self._asked_ns >= REPLY_NS:
            return self._ask(now_ns)
        if now_ns - self._live_ns >= SILENT_NS and now_ns - self._asked_ns >= ASK_AGAIN_NS:
            return self._ask(now_ns)
        if now_ns - self._kept_ns >= KEEP_ALIVE_NS:
            self._kept_ns = now_ns
            return [Send(command(KEEP_ALIVE))]
        return []

    def end(self, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """Stop the live stream."""
        if not self._begun:
            return []
        self._begun = False
        reading, self._job = self._job is not None, None
        said: list[Said] = [Send(command(STOP_LIVE))]
        return [Send(command(STOP_RECORDS)), *said] if reading else said

    def flush(self) -> list[Said]:
        """Say the package that waits for a neighbour; a cut tail stays pending."""
        said: list[Said] = []
        self._release(said)
        return said

    def _ask(self, now_ns: int) -> list[Said]:
        self._wanted = False
        self._asked_ns = self._kept_ns = now_ns
        return [Send(command(START_LIVE))]

    def _reading(self) -> Generator[tuple[bytes, int], bytes | None, None]:
        """The steps of reading the memory: what to send, which package answers it. None comes back when nothing did in time."""
        yield command(STOP_LIVE), STOPPED
        segments = yield command(ASK_SEGMENTS, USER), SEGMENTS
        for segment in range(min(max(1, *segments or (0, 0)), 0x7F)):
            yield command(ASK_BEGIN, USER, segment), TIME
            length = yield command(ASK_LENGTH, USER, segment), LENGTH
            if length is None or any(length[2:6]):
                yield command(ASK_RECORDS, USER, segment), RECORDS
                yield command(STOP_RECORDS), STOPPED

    def _step(self, answer: bytes | None, now_ns: int) -> list[Said]:
        assert self._job is not None
        self._step_ns = now_ns
        self._answered = self._answered or answer is not None
        try:
            sent, self._awaited = next(self._job) if answer is None else self._job.send(answer)
        except StopIteration:
            self._job = None
            ended = Notice(Word.STATE, "memory-read", self._count) if self._answered else Notice(Word.FAILED, "no-reply")
            return [ended, *self._ask(now_ns)]
        return [Send(sent)]

    def _judge(self, samples: list[Sample], said: list[Said]) -> None:
        """The samples of one package: said at once in a clean stream; after noise only with a neighbour that looks like it."""
        if not self._doubt:
            said += samples
        elif not all(each.valid for each in samples):
            self._release(said)  # packages without a value take no doubt away
            said += samples if not any(each.valid for each in samples) else [_unconfirmed(each) for each in samples]
        elif self._held and all(_near(one, other) for one, other in pairwise([self._held[-1], *samples])):
            said += [*self._held, *samples]
            self._held, self._doubt = [], False
        else:
            self._release(said)
            self._held = samples

    def _release(self, said: list[Said]) -> None:
        """A held package found no neighbour: samples, but never values."""
        said += [_unconfirmed(each) for each in self._held]
        self._held = []

    def _records(self, package: bytes, now_ns: int, said: list[Said]) -> None:
        """One record with perfusion index, or three without; what stands behind the recording's length is padding."""
        self._step_ns = now_ns
        d = data_bytes(package)
        records = [d[:4]] if package[0] == RECORD_PI else [d[0:2], d[2:4], d[4:6]]
        size = len(records[0])
        if self._left is not None:
            records = records[: self._left // size]
            self._left -= len(records) * size
        made = [self._record(each, package if at == 0 else b"") for at, each in enumerate(records)]
        self._count += len(made)
        if made:
            self._judge(made, said)
        else:
            self._release(said)
            said.append(Notice(Word.STATE, "beyond the recording's length", frame=package))
        if self._job is not None and self._awaited == RECORDS and self._left is not None and self._left < size:
            said += self._step(b"", now_ns)

    def _record(self, d: bytes, frame: bytes) -> Sample:
        """One second of the memory: SpO2, pulse, and where the device has it the perfusion index."""
        good = 1 <= d[0] <= HIGHEST_SPO2 and 1 <= d[1] <= HIGHEST_PULSE
        numerics = [numeric(Metric.SPO2, d[0] if good else None), numeric(Metric.PULSE_RATE, d[1] if good else None)]
        if len(d) > 2:
            perfusion = d[2] | d[3] << 8
            numerics.append(numeric(Metric.PERFUSION, perfusion if good and perfusion != NO_PERFUSION else None, scale=2))
        ordinal, self._ordinal = self._ordinal, self._ordinal + 1
        return Sample(
            ReadingKind.SPO2, tuple(numerics), frame, invalid=None if good else "no-value", source=Source.MEMORY,
            device_time=self._when(), ordinal=ordinal, every_ns=RECORD_NS,
        )  # fmt: skip

    def _when(self) -> str | None:
        """When the recording began, as the device says it; the year is two decimal bytes (20d, 14d). None when it is no date."""
        if self._date is None or self._time is None:
            return None
        high, low, month, day = self._date
        try:
            return datetime(100 * high + low, month, day, *self._time).isoformat()  # noqa: DTZ001 - the device knows no zone
        except ValueError:
            return None

    def _begins(self, package: bytes) -> None:
        """Date, time and length of the recording that comes. Any of them behind records begins another one."""
        d = data_bytes(package)
        if self._ordinal:
            self._date = self._time = self._left = None
            self._ordinal = 0
        if package[0] == DATE:
            self._date = d[2:6]
        elif package[0] == TIME:
            self._time = d[2:5]
        else:
            self._left = int.from_bytes(d[2:6], "little")

    def _sample(self, package: bytes) -> Sample:
        d = data_bytes(package)
        beep = bool(d[0] & 0x40)
        edge, self._beep = beep and not self._beep, beep
        signals = (("pleth", d[1] & 0x7F), ("beep", int(edge)), ("signal", d[0] & 0x0F), ("bar", d[2] & 0x0F))
        why = _why_invalid(d)
        if why is not None:
            return _without_value(package, why, signals)
        perfusion = d[5] | d[6] << 8
        missing = bool(d[2] & 0x10) or perfusion == NO_PERFUSION
        return Sample(ReadingKind.SPO2, _numerics(d[4], d[3], perfusion, missing), package, signals=signals)

    def _notice(self, package: bytes, now_ns: int) -> Notice:
        d = data_bytes(package)
        if package[0] == MODEL and not self._doubt:
            return self._identity(d, package, now_ns)
        if package[0] in (DATE, TIME, LENGTH):
            self._begins(package)
        if package[0] == FEEDBACK:
            return Notice(Word.STATE, f"feedback {d[0]:02X} reason {d[1]:02X}", frame=package)
        if package[0] == BYE:
            return Notice(Word.STATE, f"device ends the link, reason {d[0]:02X}", frame=package)
        return Notice(Word.STATE, f"package {package[0]:02X}", frame=package)

    def _identity(self, d: bytes, package: bytes, now_ns: int) -> Notice:
        """The model comes as two packages (first byte 00, then FF), and all of it twice."""
        if self._wanted:
            self._asked_ns = min(self._asked_ns, now_ns - REPLY_NS)  # the device has spoken: ask for the stream at the next tick
        self._model[0 if d[0] == 0 else 1] = "".join(chr(byte) for byte in d[1:] if 0x20 < byte < 0x7F)
        return Notice(Word.IDENTITY, self._model.get(0, "") + self._model.get(1, ""), frame=package)


def _why_invalid(d: bytes) -> str | None:
    """Why a live package's numbers are not values, the device's own reasons first."""
    if d[0] & 0x80:
        return "probe-error"
    if d[0] & 0x10:
        return "searching-too-long"
    if d[1] & 0x80:
        return "searching"
    if not 1 <= d[3] <= HIGHEST_PULSE or not 1 <= d[4] <= HIGHEST_SPO2:
        return "no-value"
    return None


@lru_cache(256)  # numbers stay the same for many packages, and making their shapes costs most
def _numerics(spo2: int, pulse: int, perfusion: int, missing: bool) -> tuple[Numeric, ...]:
    return (
        Numeric(Metric.SPO2, spo2),
        Numeric(Metric.PULSE_RATE, pulse),
        numeric(Metric.PERFUSION, None if missing else perfusion, scale=2),
    )


_NO_NUMERICS = (numeric(Metric.SPO2, None), numeric(Metric.PULSE_RATE, None), numeric(Metric.PERFUSION, None, scale=2))


def _without_value(package: bytes, why: str, signals: tuple[tuple[str, int], ...]) -> Sample:
    return Sample(ReadingKind.SPO2, _NO_NUMERICS, package, invalid=why, signals=signals)


def _unconfirmed(sample: Sample) -> Sample:
    """The sample with its own reason, or `unconfirmed`, and never a number."""
    return replace(sample, numerics=_NO_NUMERICS, invalid=sample.invalid or "unconfirmed", signals=())


def _near(one: Sample, other: Sample) -> bool:
    """True when two neighbours can be 1/60 s apart: of one stream, both usable, and their values close."""
    if one.source is not other.source or one.invalid or other.invalid:
        return False
    spo2, pulse = one.numerics[0], one.numerics[1]
    return (
        abs((spo2.value or 0) - (other.numerics[0].value or 0)) <= NEAR_SPO2
        and abs((pulse.value or 0) - (other.numerics[1].value or 0)) <= NEAR_PULSE
    )


def _make(rest_s: float | None) -> ContecCms50:  # noqa: ARG001 - no cycles, no rest between them
    return ContecCms50()


ROW = Row(
    name="contec-cms50",
    title="Contec CMS50/CMS60 finger oximeter, protocol V7.0",
    kind=ReadingKind.SPO2,
    metrics=(Metric.SPO2, Metric.PULSE_RATE, Metric.PERFUSION),
    # The vendor's own program sets DTR and clears RTS.
    line=Line(baud=115200, dtr=True, rts=False),
    pace=PACKAGES_PER_SECOND * LENGTHS[LIVE],
    bound=2 * max(LENGTHS.values()),
    make=_make,
    listen=lambda: ContecCms50(listen=True),
    silence_s=SILENT_NS / SECOND,
)
"""This family in the registry."""
