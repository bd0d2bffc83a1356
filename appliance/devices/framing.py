"""Cutting a byte stream into frames, byte-incrementally and without losing a byte. Pure; each framer's buffer is bounded.

Both framers give pieces in the order of the bytes: ``(frame, None)`` for a well-formed frame, ``(bytes, reason)`` for
noise. What is neither yet is counted by `pending`.
"""

import re
from collections.abc import Callable, Collection, Mapping

Piece = tuple[bytes, str | None]

GARBAGE, CUT, LENGTH, CHECKSUM = "garbage", "cut", "length", "checksum"
"""Why bytes are noise: outside any frame; a frame that was broken off; an impossible length; a wrong checksum."""


class LowByteFramer:
    """Frames that begin with the only byte < 80 in them (Contec V7.0); `lengths` is the whole length by that first byte.

    A byte < 80 inside a frame means that the frame was cut short: it is dropped and scanning resumes at that byte.
    The buffer never holds more than the longest frame less one byte.
    """

    def __init__(self, lengths: Mapping[int, int]) -> None:
        self._lengths = lengths
        self._longest = max(lengths.values())
        # One alternative per length: [first bytes of that length][bytes with bit 7]{the rest}. The first byte decides, so at
        # most one alternative can match at a place.
        groups = (
            b"[" + re.escape(bytes(first for first, whole in lengths.items() if whole == length)) + b"][\x80-\xff]{%d}" % (length - 1)
            for length in sorted(set(lengths.values()))
        )
        self._frame = re.compile(b"|".join(groups))
        self._held = b""

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun and may still become whole."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that `data` completes."""
        data = self._held + data
        pieces: list[Piece] = []
        at = 0
        for match in self._frame.finditer(data):
            self._noise(data[at : match.start()], pieces)
            pieces.append((match.group(), None))
            at = match.end()
        stop = self._begun(data, at)
        self._noise(data[at:stop], pieces)
        self._held = data[stop:]
        return pieces

    def _begun(self, data: bytes, least: int) -> int:
        """Where a frame begins at the end of `data` that may still become whole; the end when there is none."""
        for at in range(len(data) - 1, max(least, len(data) - self._longest) - 1, -1):
            if data[at] < 0x80:
                length = self._lengths.get(data[at], 0)
                return at if length > len(data) - at else len(data)
        return len(data)

    def _noise(self, run: bytes, pieces: list[Piece]) -> None:
        if run:
            pieces.append((run, CUT if run[0] in self._lengths else GARBAGE))


class LengthFramer:
    """Frames of a head byte, a length byte that counts the whole frame, and a check over all of it.

    Only the lengths in `lengths` exist. A frame that fails is noise by its first byte alone; scanning resumes at the next
    byte, so a true frame behind a false head is found. The buffer never holds more than the longest frame less one byte.
    """

    def __init__(self, head: int, lengths: Collection[int], check: Callable[[bytes], bool]) -> None:
        self._head = bytes([head])
        self._lengths = frozenset(lengths)
        self._check = check
        self._held = b""

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun and may still become whole."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that `data` completes."""
        data = self._held + data
        pieces: list[Piece] = []
        at = 0
        while at < len(data):
            head = data.find(self._head, at)
            if head != at:
                head = len(data) if head < 0 else head
                pieces.append((data[at:head], GARBAGE))
                at = head
                continue
            used, why = self._look(data, at)
            if not used:
                break
            pieces.append((data[at : at + used], why))
            at += used
        self._held = data[at:]
        return pieces

    def _look(self, data: bytes, at: int) -> tuple[int, str | None]:
        """How many bytes at a head byte are decided, and what they are; 0 = not decided yet."""
        if at + 1 >= len(data):
            return 0, None
        length = data[at + 1]
        if length not in self._lengths:
            return 1, LENGTH
        if at + length > len(data):
            return 0, None
        return (length, None) if self._check(data[at : at + length]) else (1, CHECKSUM)

    def expire(self) -> list[Piece]:
        """The line has been silent for longer than a frame takes: the frame that had begun will not become whole."""
        if not self._held:
            return []
        first, rest, self._held = self._held[:1], self._held[1:], b""
        return [(first, CUT), *self.feed(rest)]
