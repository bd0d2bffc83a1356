"""An invented finger that comes and goes: what the simulated oximeters have in them. All of it is test data."""

import random

SECOND = 1_000_000_000
OUT_S, SEARCH_S, IN_S = 4, 2, 15
"""The finger's round when it comes and goes by itself: out, searching, in (longer than a full measurement)."""
WAVE = (20, 34, 58, 80, 90, 86, 72, 58, 50, 46, 44, 42, 38, 34, 30, 26, 24, 22, 21, 20)
"""One heart beat as a pleth, 0 to 127."""


class Finger:
    """`habit` is ``cycle`` (comes and goes), ``in``, or ``out`` (until told otherwise)."""

    def __init__(self, chance: random.Random, habit: str = "cycle") -> None:
        if habit not in ("cycle", "in", "out"):
            raise ValueError(f"finger is cycle, in or out, not {habit!r}")
        self._chance = chance
        self._habit = habit
        self._since_ns: int | None = None
        self._drift_ns = 0
        self._beat_ns = 0
        self._person()

    def _person(self) -> None:
        """Somebody else's finger."""
        self._rest = (self._chance.randint(94, 99), self._chance.randint(58, 96))
        self.spo2, self.pulse = self._rest

    def order(self, words: list[str], now_ns: int) -> bool:
        """``finger in``, ``finger out``, ``finger cycle``; True when understood."""
        if len(words) == 2 and words[0] == "finger" and words[1] in ("in", "out", "cycle"):
            if words[1] != "out":
                self._person()
            self._habit, self._since_ns = words[1], now_ns
            return True
        return False

    def place(self, at_ns: int) -> str:
        """Where the finger is at this moment: out, search, in. Time goes forward only."""
        if self._since_ns is None:
            self._since_ns = at_ns
        if at_ns - self._drift_ns >= SECOND:
            self._drift_ns = at_ns
            self.spo2 = min(99, self._rest[0] + self._chance.choice((-1, 0, 0, 0, 1)))
            self.pulse = self._rest[1] + self._chance.randint(-3, 3)
        seconds = (at_ns - self._since_ns) / SECOND
        if self._habit == "out":
            return "out"
        if self._habit == "in":
            return "search" if seconds < SEARCH_S else "in"
        if seconds >= OUT_S + SEARCH_S + IN_S:
            self._since_ns, seconds = at_ns, 0
            self._person()
        if seconds < OUT_S:
            return "out"
        return "search" if seconds < OUT_S + SEARCH_S else "in"

    def wave(self, at_ns: int) -> tuple[int, bool]:
        """The pleth at this moment, 0 to 127, and whether a beat has just begun."""
        period = 60 * SECOND // self.pulse
        if at_ns - self._beat_ns >= period:
            self._beat_ns = at_ns
        return WAVE[min((at_ns - self._beat_ns) * len(WAVE) // period, len(WAVE) - 1)], at_ns - self._beat_ns < SECOND // 30
