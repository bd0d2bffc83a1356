"""A&D UA-767PC, an automatic upper-arm cuff with a serial socket: the result it sends when a measurement is over.

Source: one public vector, ``804C4C4960``, whose own author calls it made up, and the acknowledgement ``01 "70PC" 06``. Ten hex
digits: code (80 = good), pulse pressure, diastolic, pulse, and a byte that nobody has explained. Systolic is pulse pressure plus
diastolic; the unexplained byte is shown as a signal and never as a mean pressure.

There is no checksum, no clock, no serial number, and the check byte of the opening command is not known: so nothing is ever sent,
and the family is off in service until a device on a bench has confirmed it. Recordings that hold the five bytes themselves instead
of their digits are read too, but only where nothing else has been on the line: five bytes without any redundancy are no evidence
in noise.
"""

import re

from appliance.contract.metrics import Metric
from appliance.contract.readings import ReadingKind
from appliance.devices.driver import SECOND, Line, Row, Uncommanded
from appliance.devices.events import Noise, Notice, Said, Sample, Word, numeric
from appliance.devices.framing import CUT, GARBAGE

GOOD = 0x80
"""First byte of a result that is one; any other is the device's word for a failure (the numbers' meanings are not known)."""
DIGITS, BYTES = 10, 5
"""A result in hex digits, and in the bytes themselves."""
ACKNOWLEDGED = b"\x0170PC\x06"
"""What the device answers to the opening command."""
LINE_ENDS = b"\r\n"
HEX = frozenset(b"0123456789ABCDEFabcdef")
_BEGINS = re.compile(rb"[0-9A-Fa-f\x01\r\n\x80]")
"""Where a frame or a line's end may begin."""
_RUN = re.compile(rb"[0-9A-Fa-f]{1,%d}" % (DIGITS + 1))
STALE_NS = SECOND // 2
"""A result that has begun and not gone on for so long was cut; five bytes that nothing has followed are one (10 ms at 9600)."""


class _Framer:
    """Cuts the line into results, acknowledgements and line ends; holds at most one of them."""

    def __init__(self) -> None:
        self._held = b""
        self._after = False  # the byte before belonged to a frame
        self._bytes = True  # the five bytes themselves may still be what this line speaks

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun."""
        return len(self._held)

    def feed(self, data: bytes, ended: bool = False) -> list[tuple[bytes, str | None]]:
        """The pieces that `data` completes; with `ended` nothing will follow."""
        data = self._held + data
        pieces: list[tuple[bytes, str | None]] = []
        at = begun = 0
        while at < len(data):
            used = self._look(data, at, ended)
            if used == 0:
                break
            self._after = used > 0
            if used > 0:
                _noise(data[begun:at], pieces)
                pieces.append((data[at : at + used], None))
                begun = at + used
            else:
                self._bytes = False
            at += abs(used)
        _noise(data[begun:at], pieces)
        self._held = data[at:]
        return pieces

    def expire(self) -> list[tuple[bytes, str | None]]:
        """The line has been silent: what is whole is a frame, what has begun will not become one."""
        pieces = self.feed(b"", ended=True)
        if self._held:
            pieces.append((self._held, CUT))
            self._held, self._bytes = b"", False
        return pieces

    def _look(self, data: bytes, at: int, ended: bool) -> int:
        """How many bytes are a frame here; less than 0: so many are noise; 0 = not decided yet."""
        first = data[at]
        if first in HEX:
            return _digits(data, at, ended)
        if first == ACKNOWLEDGED[0]:
            window = data[at : at + len(ACKNOWLEDGED)]
            return -1 if not ACKNOWLEDGED.startswith(window) else len(window) if window == ACKNOWLEDGED else 0
        if first in LINE_ENDS and self._after:
            return 1
        if first == GOOD and self._bytes:
            return _five(data, at, ended)
        begins = _BEGINS.search(data, at + 1)
        return at - (begins.start() if begins else len(data))


def _digits(data: bytes, at: int, ended: bool) -> int:
    """A result in hex digits. One that is not good must stand alone: a stray digit before a good one is noise."""
    found = _RUN.match(data, at)
    run = found.end() if found else at
    count, more = run - at, run < len(data)
    if count >= DIGITS and data[at : at + 2] == b"80":
        return DIGITS
    if count < DIGITS:
        return -count if more else 0  # and no later digit of these begins a longer run
    return DIGITS if count == DIGITS and (more or ended) else -1 if count > DIGITS else 0


def _five(data: bytes, at: int, ended: bool) -> int:
    """A result in bytes: all there is, or followed by another or a line's end, twice over. Once alone was true of a hundred megabytes
    of line noise in one place.
    """
    after = at + BYTES
    for _ in range(2):
        if after >= len(data):
            return BYTES if ended and len(data) - at >= BYTES else 0
        if data[after] != GOOD and data[after] not in LINE_ENDS:
            return -1
        after += BYTES if data[after] == GOOD else 1
    return BYTES


def _noise(run: bytes, pieces: list[tuple[bytes, str | None]]) -> None:
    if run:
        pieces.append((run, CUT if run[0] in HEX else GARBAGE))


class AndUa767(Uncommanded):
    """Driver of one cuff; it never sends, so listening and serving are the same."""

    def __init__(self) -> None:
        self._framer = _Framer()
        self._fed_ns = 0
        self._begun = False

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun."""
        return self._framer.pending

    def begin(self, now_ns: int) -> list[Said]:
        """Nothing to say."""
        self._begun, self._fed_ns = True, now_ns
        return []

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """Bytes from the line."""
        if data:
            self._fed_ns = now_ns
        return _said(self._framer.feed(data))

    def tick(self, now_ns: int) -> list[Said]:
        """A frame that nothing has followed is whole or cut."""
        stale = self._begun and self._framer.pending and now_ns - self._fed_ns >= STALE_NS
        return _said(self._framer.expire()) if stale else []

    def flush(self) -> list[Said]:
        """What is whole is said; a cut tail stays pending."""
        return _said(self._framer.feed(b"", ended=True))


def _said(pieces: list[tuple[bytes, str | None]]) -> list[Said]:
    said: list[Said] = []
    for piece, noise in pieces:
        if noise is not None:
            said.append(Noise(piece, noise))
        elif piece == ACKNOWLEDGED:
            said.append(Notice(Word.IDENTITY, "UA-767PC", frame=piece))
        elif len(piece) == 1:
            said.append(Notice(Word.STATE, "line-end", frame=piece))
        else:
            said.append(_result(piece))
    return said


def _result(frame: bytes) -> Sample:
    """The sample of a result; a pulse of 0 is a missing pulse, a pressure of 0 no measurement."""
    code, over, diastolic, pulse, other = bytes.fromhex(frame.decode("ascii")) if len(frame) == DIGITS else frame
    why = f"device-error-{code}" if code != GOOD else "no-value" if not (over and diastolic) else None
    numerics = (
        numeric(Metric.SYSTOLIC, None if why else over + diastolic),
        numeric(Metric.DIASTOLIC, None if why else diastolic),
        numeric(Metric.PULSE_RATE, None if why or not pulse else pulse),
    )
    return Sample(ReadingKind.BLOOD_PRESSURE, numerics, frame, invalid=why, result=True, signals=(("unexplained", other),))


ROW = Row(
    name="and-ua767",
    title="A&D UA-767PC cuff, its result (experimental: one public vector)",
    kind=ReadingKind.BLOOD_PRESSURE,
    metrics=(Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.PULSE_RATE),
    line=Line(baud=9600),
    pace=960,
    bound=DIGITS + 1,
    make=lambda rest_s: AndUa767(),  # noqa: ARG005 - the cuff keeps its own rest
    listen=AndUa767,
    writes=False,
    silence_s=3600.0,
    service=False,
)
"""This family in the registry."""
