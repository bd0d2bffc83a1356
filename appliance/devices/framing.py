"""Cutting a byte stream into frames, byte-incrementally and without losing a byte. Pure; each framer's buffer is bounded.

Both framers give pieces in the order of the bytes: ``(frame, None)`` for a well-formed frame, ``(bytes, reason)`` for
noise. What is neither yet is counted by `pending`.
"""

import re
from collections.abc import Callable, Collection, Mapping

Piece = tuple[bytes, str | None]

GARBAGE, CUT, LENGTH, CHECKSUM = "garbage", "cut", "length", "checksum"
"""Why bytes are noise: outside any frame; a frame that was broken off; an impossible length; a wrong checksum."""

_RUN = re.compile(rb"[\x00-\x7f][\x80-\xff]*|[\x80-\xff]+")


class LowByteFramer:
    """Frames that begin with the only byte < 80 in them (Contec V7.0); `lengths` is the whole length by that first byte.

    A byte < 80 inside a frame means that the frame was cut short: it is dropped and scanning resumes at that byte.
    The buffer never holds more than the longest frame less one byte.
    """

    def __init__(self, lengths: Mapping[int, int]) -> None:
        self._lengths = lengths
        self._held = b""

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun and may still become whole."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that `data` completes."""
        data, self._held = self._held + data, b""
        pieces: list[Piece] = []
        for match in _RUN.finditer(data):
            run = match.group()
            length = self._lengths.get(run[0])
            if length is None:
                pieces.append((run, GARBAGE))
            elif len(run) >= length:
                pieces.append((run[:length], None))
                if len(run) > length:
                    pieces.append((run[length:], GARBAGE))
            elif match.end() == len(data):
                self._held = run
            else:
                pieces.append((run, CUT))
        return pieces


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
