"""A cuff that is started by its own button: what several simulated devices share. All numbers are made up."""

import random
from abc import ABC, abstractmethod

SECOND = 1_000_000_000
PRESSURE_EVERY_NS = SECOND // 2


class ButtonCuff(ABC):
    """A measurement takes `cycle` seconds, the next follows; `error` is the code of every failure, 0 none.

    A family says what its frames are: `pressure`, `failed`, `result`.
    """

    def __init__(self, chance: random.Random, *, cycle: float = 8.0, error: int = 0) -> None:
        self._chance = chance
        self._cycle_ns = int(cycle * SECOND)
        self._error = error
        self._due_ns: int | None = None
        self._pressure_ns = 0
        self.sent: list[tuple[int, int, int]] = []
        """Systolic, diastolic and pulse of every result."""

    def pressure(self, value: int) -> bytes:
        """What is in the cuff; empty when the family does not say."""
        del value
        return b""

    @abstractmethod
    def failed(self, error: int) -> bytes:
        """A measurement that failed."""

    @abstractmethod
    def result(self, systolic: int, diastolic: int, pulse: int) -> bytes:
        """A finished measurement."""

    def feed(self, data: bytes, now_ns: int) -> None:
        """It does not listen."""
        del data, now_ns

    def output(self, now_ns: int) -> list[bytes]:
        """The frames due by now."""
        if self._due_ns is None:
            self._due_ns = now_ns + self._cycle_ns
        if now_ns < self._due_ns:
            return self._filling(now_ns)
        self._due_ns = now_ns + self._cycle_ns
        if self._error:
            return [self.failed(self._error)]
        systolic, diastolic, pulse = self._chance.randint(105, 165), self._chance.randint(60, 95), self._chance.randint(55, 100)
        self.sent.append((systolic, diastolic, pulse))
        return [self.result(systolic, diastolic, pulse)]

    def _filling(self, now_ns: int) -> list[bytes]:
        if now_ns < self._pressure_ns:
            return []
        self._pressure_ns = now_ns + PRESSURE_EVERY_NS
        frame = self.pressure(self._chance.randint(20, 180))
        return [frame] if frame else []

    def order(self, words: list[str], now_ns: int) -> bool:
        """``button``: a measurement begins now; True when understood."""
        if words == ["button"]:
            self._due_ns = now_ns + self._cycle_ns
            return True
        return False

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The frame as a bad line delivers it: its check does not fit."""
        return frame[:-1] + bytes([frame[-1] ^ 0x01])
