"""The device's side of a Visomat cuff whose memories a PC program draws now and then. All numbers are made up."""

import random

SECOND = 1_000_000_000


def record(systolic: int, diastolic: int, pulse: int, flag: int = 0, when: str = "2603050942") -> bytes:
    """One record; `when` is yymmddhhmm.

    >>> record(121, 80, 72, when="1303121145")
    b'13031211450121080072'
    """
    return f"{when}{flag}{systolic:03}{diastolic:03}{pulse:03}".encode()


def answer(first: list[bytes], second: list[bytes]) -> bytes:
    """Both memories."""
    memories = b"".join(f"M{number}{len(kept):02}".encode() + b"".join(kept) for number, kept in ((1, first), (2, second)))
    return b"\x02R00" + memories + b"\x03"


class Visomat:
    """One simulated cuff: every `cycle` seconds it has one reading more in its first memory, and both are drawn."""

    def __init__(self, chance: random.Random, *, cycle: float = 8.0) -> None:
        self._chance = chance
        self._cycle_ns = int(cycle * SECOND)
        self._due_ns: int | None = None
        self.sent: list[tuple[int, int, int]] = []
        """Systolic, diastolic and pulse of what it keeps, newest last."""

    def feed(self, data: bytes, now_ns: int) -> None:
        """It does not listen."""

    def output(self, now_ns: int) -> list[bytes]:
        """The answer, when somebody asks."""
        if self._due_ns is None:
            self._due_ns = now_ns + self._cycle_ns
        if now_ns < self._due_ns:
            return []
        self._due_ns = now_ns + self._cycle_ns
        self.sent.append((self._chance.randint(105, 165), self._chance.randint(60, 95), self._chance.randint(55, 100)))
        return [answer([record(*each) for each in self.sent], [])]

    def order(self, words: list[str], now_ns: int) -> bool:
        """``button``: a measurement begins now; True when understood."""
        if words == ["button"]:
            self._due_ns = now_ns + self._cycle_ns
            return True
        return False

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The answer as a bad line delivers it: a digit is none."""
        return frame[:-3] + b"?" + frame[-2:]
