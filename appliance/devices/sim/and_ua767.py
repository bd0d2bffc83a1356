"""The device's side of the A&D UA-767PC: somebody presses its button now and then, and it sends a result. All numbers are made up."""

import random

SECOND = 1_000_000_000


def result(systolic: int, diastolic: int, pulse: int, *, code: int = 0x80, other: int = 0x60) -> bytes:
    """A result in hex digits.

    >>> result(152, 76, 73)
    b'804C4C4960'
    """
    return bytes([code, systolic - diastolic, diastolic, pulse, other]).hex().upper().encode()


class AndUa767:
    """One simulated cuff: a measurement takes `cycle` seconds, the next follows; `error` is the code of every result, if not 80."""

    def __init__(self, chance: random.Random, *, cycle: float = 8.0, error: int = 0x80) -> None:
        self._chance = chance
        self._cycle_ns = int(cycle * SECOND)
        self._code = error
        self._due_ns: int | None = None
        self.sent: list[tuple[int, int, int]] = []
        """Systolic, diastolic and pulse of every result."""

    def feed(self, data: bytes, now_ns: int) -> None:
        """It does not listen."""

    def output(self, now_ns: int) -> list[bytes]:
        """The result, when the cuff is empty."""
        if self._due_ns is None:
            self._due_ns = now_ns + self._cycle_ns
        if now_ns < self._due_ns:
            return []
        self._due_ns = now_ns + self._cycle_ns
        systolic, diastolic, pulse = self._chance.randint(105, 165), self._chance.randint(60, 95), self._chance.randint(55, 100)
        self.sent.append((systolic, diastolic, pulse))
        return [result(systolic, diastolic, pulse, code=self._code) + b"\r\n"]

    def order(self, words: list[str], now_ns: int) -> bool:
        """``button``: a measurement begins now; True when understood."""
        if words == ["button"]:
            self._due_ns = now_ns + self._cycle_ns
            return True
        return False

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The result as a bad line delivers it: there is no checksum, so a letter that is no digit is what the host can see."""
        return frame[:-3] + b"?" + frame[-2:]
