"""Drivers that only listen: a way to cut the line into frames, and a way to read one frame, are a whole driver. Pure.

Most devices of a ward talk by themselves (printers' lines, monitors' exports) or are started by their own button. What they
share stands here; what is particular to a family, its grammar and its numbers, stands in the family's file.
"""

from collections.abc import Callable
from datetime import datetime

from appliance.devices.driver import SECOND, Uncommanded
from appliance.devices.events import Noise, Notice, Said, Word
from appliance.devices.framing import CHECKSUM, CUT, GARBAGE, LENGTH, Piece

STALE_NS = SECOND
"""A frame that has begun and not gone on for so long was cut (judgement: the longest silence inside a frame of any family here
is far below, and no device repeats itself faster than it sends)."""

Look = Callable[[bytes, int, bool], tuple[int, str | None]]
"""How many bytes at a place are decided, and what they are (None: a frame, else the reason of the noise); 0 = not decided yet.
The third argument says that the byte before belonged to a frame."""


class Framer:
    """Cuts the line by `look`; its buffer is what `look` leaves undecided, so `look` decides how much is ever held."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._held = b""
        self._after = False

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun and may still become whole."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that `data` completes; noise of one reason is one piece."""
        data = self._held + data
        pieces: list[Piece] = []
        at = begun = 0
        reason: str | None = None
        while at < len(data):
            used, why = self._look(data, at, self._after)
            if not used:
                break
            self._after = why is None
            if why != reason:
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
        """The line has been silent for longer than a frame takes: the frame that had begun will not become whole."""
        pieces: list[Piece] = []
        while self._held:
            first, rest, self._held, self._after = self._held[:1], self._held[1:], b"", False
            pieces += [(first, CUT), *self.feed(rest)]
        return pieces


class Listening(Uncommanded):
    """A driver that never sends: `look` finds the frames, `read` says what is in one (its frames joined are the bytes given)."""

    def __init__(self, look: Look, read: Callable[[bytes], list[Said]]) -> None:
        self._framer = Framer(look)
        self._read = read
        self._fed_ns: int | None = None

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun."""
        return self._framer.pending

    def begin(self, now_ns: int) -> list[Said]:
        """Nothing to say."""
        self._fed_ns = now_ns
        return []

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """Bytes from the line."""
        if data and self._fed_ns is not None:
            self._fed_ns = now_ns
        return self._said(self._framer.feed(data))

    def tick(self, now_ns: int) -> list[Said]:
        """A frame that nothing has followed was cut."""
        if not self._framer.pending or self._fed_ns is None or now_ns - self._fed_ns < STALE_NS:
            return []
        return self._said(self._framer.expire())

    def _said(self, pieces: list[Piece]) -> list[Said]:
        said: list[Said] = []
        for piece, noise in pieces:
            if noise is not None:
                said.append(Noise(piece, noise))
            else:
                said += self._read(piece)
        return said


def packets(head: bytes, counted: int, fixed: int, lengths: range, check: Callable[[bytes], bool]) -> Look:
    """Frames of a fixed `head`, a length byte at `counted` and a check over the whole frame.

    The whole frame has `fixed` bytes more than the length byte says; only the lengths (as that byte says them) in `lengths` exist.
    A frame that fails is noise by its first byte; scanning resumes at the next one.
    """

    def look(data: bytes, at: int, after: bool) -> tuple[int, str | None]:  # noqa: ARG001 - as every look
        begins = data.find(head[:1], at)
        if begins != at:
            return (len(data) if begins < 0 else begins) - at, GARBAGE
        if not head.startswith(data[at : at + len(head)]):
            return 1, GARBAGE
        if at + counted >= len(data):
            return 0, None
        if data[at + counted] not in lengths:
            return 1, LENGTH
        whole = data[at + counted] + fixed
        if at + whole > len(data):
            return 0, None
        return (whole, None) if check(data[at : at + whole]) else (1, CHECKSUM)

    return look


LINE_ENDS = b"\r\n"


def lines(longest: int, record: Callable[[bytes], int | None]) -> Look:
    """Frames that are lines of text, ended by CR or LF. `record` says where in a line (with its end) a record begins, or None.

    A line end behind a frame is a frame of its own (CR LF, blank lines between records); what stands before a record, and a line
    without one, is noise. Of a line longer than `longest` the first `longest` bytes are noise.
    """

    def look(data: bytes, at: int, after: bool) -> tuple[int, str | None]:
        if data[at] in LINE_ENDS:
            return 1, None if after else GARBAGE
        ends = [place for place in (data.find(b"\r", at, at + longest), data.find(b"\n", at, at + longest)) if place >= 0]
        if not ends:
            return (longest, GARBAGE) if len(data) - at >= longest else (0, None)
        end = min(ends) + 1
        begins = record(data[at:end])
        if begins is None:
            return end - at, GARBAGE
        return (begins, GARBAGE) if begins else (end - at, None)

    return look


def line_end(frame: bytes) -> list[Said] | None:
    """The notice of a line end that is a frame of its own; None for any other frame."""
    return [Notice(Word.STATE, "line-end", frame=frame)] if len(frame) == 1 and frame in LINE_ENDS else None


FIRST_YEAR, LAST_YEAR = 2015, 2039
"""A device whose clock says another year has lost it (judgement: dead clocks of real recordings say 2004, 2007, 2010, 2044)."""


def device_clock(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0
) -> tuple[str | None, tuple[tuple[str, int], ...]]:
    """The device's time as ISO local, and ``(("clock_implausible", 1),)`` where it cannot be right. It is never corrected.

    A date that the calendar does not have is no time at all.

    >>> device_clock(2004, 1, 7, 11, 24, 52)
    ('2004-01-07T11:24:52', (('clock_implausible', 1),))
    """
    try:
        said = datetime(year, month, day, hour, minute, second).isoformat()  # noqa: DTZ001 - the device's own, without a zone
    except ValueError:
        return None, (("clock_implausible", 1),)
    return said, () if FIRST_YEAR <= year <= LAST_YEAR else (("clock_implausible", 1),)
