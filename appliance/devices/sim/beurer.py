"""The device's side of a Beurer cuff whose memory a PC program draws now and then. All numbers are made up."""

import random

SECOND = 1_000_000_000
NAME = b"Andon Blood Pressure Meter SIM01"


def record(systolic: int, diastolic: int, pulse: int, when: tuple[int, int, int, int, int] = (26, 3, 5, 9, 42), flags: int = 0) -> bytes:
    """One record of eight bytes; `when` is year − 2000, month, day, hour, minute; `flags`: 1 moved, 2 second user, 4 irregular.

    >>> record(121, 75, 66).hex()
    '6032420305092a1a'
    """
    year, month, day, hour, minute = when
    marks = (month | (flags & 1) << 7, day | (flags & 2) << 6, hour, minute, year | (flags & 4) << 5)
    return bytes([systolic - 25, diastolic - 25, pulse, *marks])


def session(records: list[bytes], wire: str = "serial") -> bytes:
    """Everything the device says in one session, over a serial line or in HID reports."""
    if wire == "serial":
        return b"\x55" + NAME + bytes([len(records)]) + b"".join(b"\xac" + each for each in records)
    pad = b"\xf4" * 7
    return b"\x55" + pad + NAME + bytes([len(records)]) + pad + b"".join(records) + b"\xf7" + pad


class Beurer:
    """One simulated cuff: every `cycle` seconds it has one reading more, and its whole memory is drawn. `wire` is serial or hid."""

    def __init__(self, chance: random.Random, *, cycle: float = 8.0, wire: str = "serial") -> None:
        self._chance = chance
        self._cycle_ns = int(cycle * SECOND)
        self._wire = wire
        self._due_ns: int | None = None
        self.sent: list[tuple[int, int, int]] = []
        """Systolic, diastolic and pulse of what it keeps, newest last."""

    def feed(self, data: bytes, now_ns: int) -> None:
        """It does not listen."""

    def output(self, now_ns: int) -> list[bytes]:
        """The session, when somebody draws it."""
        if self._due_ns is None:
            self._due_ns = now_ns + self._cycle_ns
        if now_ns < self._due_ns:
            return []
        self._due_ns = now_ns + self._cycle_ns
        self.sent.append((self._chance.randint(105, 165), self._chance.randint(60, 95), self._chance.randint(55, 100)))
        return [session([record(*each) for each in self.sent], self._wire)]

    def order(self, words: list[str], now_ns: int) -> bool:
        """``button``: a measurement begins now; True when understood."""
        if words == ["button"]:
            self._due_ns = now_ns + self._cycle_ns
            return True
        return False

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The session as a bad line delivers it: a byte of its name is none, so it is no session."""
        return frame[:12] + b"\x80" + frame[13:]
