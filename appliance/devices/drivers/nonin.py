"""Nonin oximeters that talk by themselves: Xpod, OEM III and relatives, data formats 1, 2 and 7.

Sources: the format notes collected in the project's protocol sheet (two independent readers agree on formats 2 and 7; format 1
from one public note) and a public packet of format 2 with its resynchronisation cases.

* Format 1: three bytes a second, ``status, HR bits 0-6, SpO2``; no checksum.
* Format 2: 75 frames a second, ``01, status, pleth, data, sum``; 25 frames are one packet, the first of them marked *sync*.
* Format 7: the same without the 01 and with a pleth of two bytes.

The format is found out by listening: clean bytes of one can never look like two frames (four of format 1) of another. The byte
01 also occurs as pleth and data, so a frame of format 2 counts only with its sum and its status bit 7.

Of the many averages in a packet the 4-beat ones of frames 0 to 2 are taken. The *display* fields (-D) keep the last value for
10 s after the finger has gone: they are never read. The device is never written to: an Xpod only talks.
"""

import re
from enum import Enum

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Numeric, ReadingKind
from appliance.devices.driver import SECOND, Line, Row, Uncommanded
from appliance.devices.events import Noise, Notice, Said, Sample, Word, numeric
from appliance.devices.framing import CHECKSUM, CUT, GARBAGE, Piece


class Format(Enum):
    """Which data format the line speaks; the value is the length of its frames."""

    DF1 = 3
    DF2 = 5
    DF7 = -5


PACKET = 25
"""Frames of one packet."""
FRAMES_PER_SECOND = 75
MARK = 0x01
"""First byte of every frame of format 2."""

DISCONNECTED, ARTIFACT, OUT_OF_TRACK, ALARM, RED, GREEN, SYNC = 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01
"""Bits of the status byte in formats 2 and 7. Red alone is low perfusion, both lights together are yellow: marginal."""
DF1_DISCONNECTED, DF1_OUT_OF_TRACK, DF1_LOW, DF1_MARGINAL, DF1_BAD_PULSE = 0x40, 0x20, 0x10, 0x08, 0x04
"""Bits of the status byte in format 1; its bits 1 and 0 are HR bits 8 and 7."""
SMART_POINT, LOW_BATTERY = 0x20, 0x01
"""Bits of STAT2, frame 7 of a packet."""

NO_PULSE, NO_SPO2 = 511, 127
"""Sentinels: no pulse rate, no saturation."""
HIGHEST_SPO2 = 100

ALIKE = 4
"""After noise so many frames of format 1 in a row must agree before one is a value: it has no checksum, and three agreeing
frames occur once in some 20 MB of line noise (reckoned from the bits)."""
NEAR_SPO2, NEAR_PULSE = 4, 20
"""How far two neighbours of format 1, a second apart, may differ (judgement)."""
LOST_BYTES = 15
"""So much noise without four good frames in between: the format is looked for again (the host may have changed it)."""
DF1_NS = SECOND
"""Format 1 is one frame a second."""


_BEGINS = re.compile(rb"[\x80-\xff\x01]")
"""Where a frame of any format may begin."""


class _Framer:
    """Finds the format and cuts the line into its frames; holds at most four frames of format 1 less one byte."""

    def __init__(self) -> None:
        self.format: Format | None = None
        self._held = b""
        self._good = 0  # frames since the last noise
        self._lost = 0  # noise bytes since four good frames in a row

    @property
    def pending(self) -> int:
        """Bytes that are not decided yet."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that `data` completes."""
        data = self._held + data
        pieces: list[Piece] = []
        at = begun = 0  # noise of one reason runs from `begun` to `at`
        reason: str | None = None
        while at < len(data):
            used, why = self._look(data, at)
            if not used:
                break
            if why != reason:
                if reason is not None:
                    pieces.append((data[begun:at], reason))
                begun, reason = at, why
            if why is None:
                pieces.append((data[at : at + used], None))
            self._count(used, why)
            at += used
        if reason is not None:
            pieces.append((data[begun:at], reason))
        self._held = data[at:]
        return pieces

    def flush(self) -> list[Piece]:
        """The recording ends: whole frames that waited for more of their kind are frames of the kind they look like."""
        pieces: list[Piece] = []
        if self.format is None and len(self._held) >= abs(Format.DF7.value) and _seven(self._held, 0):
            self.format = Format.DF7
        elif self.format is None and len(self._held) >= Format.DF1.value and _triples(self._held, 0) is not False:
            self.format = Format.DF1
        if self._held and self.format is not None:
            pieces = self.feed(b"")
        return pieces

    def _look(self, data: bytes, at: int) -> tuple[int, str | None]:
        """How many bytes are decided here, and what they are; 0 = not decided yet."""
        if self.format is Format.DF1:
            return _one(data, at)
        if self.format is Format.DF2:
            return _two(data, at)
        if self.format is Format.DF7:
            return _checked(data, at) if data[at] & 0x80 else (1, GARBAGE)
        return self._any(data, at)

    def _any(self, data: bytes, at: int) -> tuple[int, str | None]:
        if data[at] == MARK:
            used, why = _two(data, at)
            if used > 1:
                self._found(Format.DF2)
            return used, why
        if not data[at] & 0x80:
            begins = _BEGINS.search(data, at)
            return (begins.start() if begins else len(data)) - at, GARBAGE
        if len(data) - at >= 5 and data[at + 1] & 0x80 and sum(data[at : at + 4]) & 0xFF != data[at + 4]:
            return 1, GARBAGE  # as nearly everything in noise: neither of the two looked at below
        seven = _twice_seven(data, at)
        one = _triples(data, at) if seven is not False or at + 1 >= len(data) or not data[at + 1] & 0x80 else False
        if one:
            return self._found(Format.DF1)
        if seven:
            return self._found(Format.DF7)
        return (0, None) if one is None or seven is None else (1, GARBAGE)

    def _found(self, which: Format) -> tuple[int, str | None]:
        """The format is found; its first frame is here."""
        self.format, self._lost = which, 0
        return abs(which.value), None

    def _count(self, used: int, why: str | None) -> None:
        if why is None:
            self._good += 1
            if self._good >= ALIKE:
                self._lost = 0
            return
        self._good = 0
        self._lost += used
        if self._lost > LOST_BYTES:
            self.format = None


def _one(data: bytes, at: int) -> tuple[int, str | None]:
    """A frame of format 1: only its first byte has bit 7."""
    if not data[at] & 0x80:
        return 1, GARBAGE
    for place in (at + 1, at + 2):
        if place >= len(data):
            return 0, None
        if data[place] & 0x80:
            return 1, CUT
    return Format.DF1.value, None


def _two(data: bytes, at: int) -> tuple[int, str | None]:
    """A frame of format 2."""
    if data[at] != MARK:
        return 1, GARBAGE
    if at + 1 < len(data) and not data[at + 1] & 0x80:
        return 1, GARBAGE
    return _checked(data, at)


def _checked(data: bytes, at: int) -> tuple[int, str | None]:
    """Five bytes, the last of them the sum of the others."""
    if at + 5 > len(data):
        return 0, None
    fits = (data[at] + data[at + 1] + data[at + 2] + data[at + 3]) & 0xFF == data[at + 4]
    return (5, None) if fits else (1, CHECKSUM)


def _seven(data: bytes, at: int) -> bool:
    return bool(data[at] & 0x80) and _checked(data, at) == (5, None)


def _triples(data: bytes, at: int) -> bool | None:
    """Are here four frames of format 1? None = they may be, when more has come."""
    window = data[at : at + ALIKE * 3]
    for place, byte in enumerate(window):
        if (byte >= 0x80) != (place % 3 == 0):
            return False
    return True if len(window) == ALIKE * 3 else None


def _twice_seven(data: bytes, at: int) -> bool | None:
    """Are here two frames of format 7?"""
    if len(data) - at < 5:
        return None
    if not _seven(data, at):
        return False
    if len(data) - at < 10:
        return None if len(data) - at == 5 or data[at + 5] & 0x80 else False
    return _seven(data, at + 5)


class Nonin(Uncommanded):
    """Driver of one oximeter; it never sends, so listening and serving are the same."""

    def __init__(self) -> None:
        self._framer = _Framer()
        self._packet: list[bytes] = []
        self._doubt = False  # format 1, after noise: frames wait for their like
        self._waiting: list[Sample] = []
        self._firmware: int | None = None
        self._light = 0

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun, of a packet that is not whole, of frames that wait for their like."""
        return self._framer.pending + sum(map(len, self._packet)) + sum(len(each.frame) for each in self._waiting)

    def begin(self, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """Nothing to say: the device talks by itself."""
        return []

    def feed(self, data: bytes, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """Bytes from the line."""
        return self._pieces(self._framer.feed(data))

    def tick(self, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """Nothing is ever due."""
        return []

    def flush(self) -> list[Said]:
        """Say whole frames that waited: for their like, or for the rest of their packet (these are no sample)."""
        said = self._pieces(self._framer.flush())
        self._release(said)
        said += [Notice(Word.STATE, "packet-not-finished", frame=frame) for frame in self._packet]
        self._packet = []
        return said

    def _pieces(self, pieces: list[Piece]) -> list[Said]:
        said: list[Said] = []
        for piece, noise in pieces:
            if noise is not None:
                self._break(said)
                self._release(said)
                self._doubt = True
                said.append(Noise(piece, noise))
            elif len(piece) == Format.DF1.value:
                self._break(said)
                self._single(piece, said)
            else:
                self._release(said)
                self._frame(piece, said)
        return said

    # --- format 1 -------------------------------------------------------------------------------------------------

    def _single(self, frame: bytes, said: list[Said]) -> None:
        """One frame of format 1: said at once in a clean stream; after noise only together with three that look like it."""
        sample = _single(frame)
        if self._waiting and not _near(self._waiting[-1], sample):
            self._release(said)
        if not self._doubt or not sample.valid:
            said.append(sample)  # frames without a value take no doubt away: in noise they are frequent
            return
        self._waiting.append(sample)
        if len(self._waiting) == ALIKE:
            said += self._waiting
            self._waiting, self._doubt = [], False

    def _release(self, said: list[Said]) -> None:
        """Frames that found too few of their like: samples, but never values."""
        said += [_without_value(each.frame, "unconfirmed", each.signals, each.every_ns) for each in self._waiting]
        self._waiting = []

    # --- formats 2 and 7 ------------------------------------------------------------------------------------------

    def _frame(self, frame: bytes, said: list[Said]) -> None:
        """One checked frame: a packet is 25 of them in a row without a byte between, the first and no other marked *sync*."""
        if _status(frame) & SYNC:
            self._break(said)
        elif not self._packet:
            said.append(Notice(Word.STATE, "before-sync", frame=frame))
            return
        self._packet.append(frame)
        if len(self._packet) == PACKET:
            self._whole(said)

    def _break(self, said: list[Said]) -> None:
        """Frames of this packet were lost: what came of it is one sample without a value."""
        if self._packet:
            said.append(_without_value(b"".join(self._packet), "incomplete", ()))
            self._packet = []

    def _whole(self, said: list[Said]) -> None:
        frames, self._packet = self._packet, []
        data = [frame[3] for frame in frames]
        said.append(self._sample(frames, data))
        if data[3] != self._firmware:
            self._firmware = data[3]
            said.append(Notice(Word.IDENTITY, f"firmware {data[3]}"))

    def _sample(self, frames: list[bytes], data: list[int]) -> Sample:
        status = 0
        beep = 0
        for frame in frames:
            light = _status(frame) & (RED | GREEN)
            beep |= bool(light and not self._light)
            self._light = light
            status |= _status(frame)
        signals = (
            *(("pleth", _pleth(frame)) for frame in frames),
            ("beep", beep),
            ("smart_point", int(bool(data[7] & SMART_POINT))),
            ("low_battery", data[7] & LOW_BATTERY),
            ("timer", (data[5] & 0x7F) << 7 | data[6] & 0x7F),
        )
        low = any(_status(frame) & (RED | GREEN) == RED for frame in frames)
        return _judged(
            b"".join(frames), _why_invalid(status), (data[0] & 0x03) << 7 | data[1] & 0x7F, data[2], bool(status & ARTIFACT) or low, signals
        )


def _status(frame: bytes) -> int:
    """The status byte of a frame of format 2 or 7."""
    return frame[1] if frame[0] == MARK else frame[0]


def _pleth(frame: bytes) -> int:
    """The pleth of a frame: one byte in format 2, two in format 7."""
    return frame[2] if frame[0] == MARK else frame[1] << 8 | frame[2]


def _why_invalid(status: int) -> str | None:
    """Why the numbers of a packet are not values, from the status bits of all its frames."""
    if status & DISCONNECTED:
        return "sensor-disconnected"
    if status & ALARM:
        return "sensor-alarm"
    if status & OUT_OF_TRACK:
        return "out-of-track"
    return None


def _single(frame: bytes) -> Sample:
    """The sample of one frame of format 1."""
    status = frame[0]
    why = "sensor-disconnected" if status & DF1_DISCONNECTED else "out-of-track" if status & DF1_OUT_OF_TRACK else None
    signals = (("marginal_perfusion", int(bool(status & DF1_MARGINAL))),)
    flagged = bool(status & (DF1_LOW | DF1_BAD_PULSE))
    return _judged(frame, why, (status & 0x03) << 7 | frame[1], frame[2], flagged, signals, DF1_NS)


def _judged(
    frame: bytes, why: str | None, pulse: int, spo2: int, flagged: bool, signals: tuple[tuple[str, int], ...], every_ns: int | None = None
) -> Sample:
    if why is None and not (0 < pulse < NO_PULSE and 0 < spo2 <= HIGHEST_SPO2):
        why = "no-value"
    if why is not None:
        return _without_value(frame, why, signals, every_ns)
    status = Status.QUESTIONABLE if flagged else Status(0)
    numerics = (Numeric(Metric.SPO2, spo2, status), Numeric(Metric.PULSE_RATE, pulse, status))
    return Sample(ReadingKind.SPO2, numerics, frame, signals=signals, every_ns=every_ns)


_NO_NUMERICS = (numeric(Metric.SPO2, None), numeric(Metric.PULSE_RATE, None))


def _without_value(frame: bytes, why: str, signals: tuple[tuple[str, int], ...], every_ns: int | None = None) -> Sample:
    return Sample(ReadingKind.SPO2, _NO_NUMERICS, frame, invalid=why, signals=signals, every_ns=every_ns)


def _near(one: Sample, other: Sample) -> bool:
    """True when two frames of format 1 can be neighbours: both usable, and their values close."""
    if one.invalid or other.invalid:
        return False
    pairs = zip(one.numerics, other.numerics, (NEAR_SPO2, NEAR_PULSE), strict=True)
    return all(abs((mine.value or 0) - (its.value or 0)) <= most for mine, its, most in pairs)


ROW = Row(
    name="nonin",
    title="Nonin Xpod, OEM III and relatives, data formats 1, 2 and 7 (4-beat average)",
    kind=ReadingKind.SPO2,
    metrics=(Metric.SPO2, Metric.PULSE_RATE),
    line=Line(baud=9600),
    pace=FRAMES_PER_SECOND * 5,
    bound=PACKET * 5 + ALIKE * 3,
    make=lambda rest_s: Nonin(),  # noqa: ARG005 - no cycles, no rest between them
    listen=Nonin,
    writes=False,
    averaging=1,
)
"""This family in the registry."""
