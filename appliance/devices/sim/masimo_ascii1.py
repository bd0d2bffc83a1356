"""The device's side of Masimo "ASCII 1": a line a second. All numbers are made up."""

import random

from appliance.devices.sim.finger import Finger

SECOND = 1_000_000_000
NO_SENSOR, SEARCH, RUNNING = 0x001, 0x008, 0x800


def line(
    spo2: int | None, pulse: int | None, perfusion: float | None, exc: int = RUNNING, *, alarm: int = 0, when: str = "02/24/18 04:48:53"
) -> bytes:
    """A line of a Rad-8.

    >>> line(97, 80, 4.96)[:60]
    b'02/24/18 04:48:53 SN=0000099999 SPO2=097% BPM=080 PI=04.96% '
    """
    values = f"SPO2={_three(spo2)}% BPM={_three(pulse)} PI={'--.--' if perfusion is None else f'{perfusion:05.2f}'}%"
    return f"{when} SN=0000099999 {values} SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- ALARM={alarm:04X} EXC={exc:06X}\r\n".encode()


def _three(value: int | None) -> str:
    return "---" if value is None else f"{value:03}"


class MasimoAscii1:
    """One simulated monitor; its clock begins at 2018-02-24 04:00:00."""

    def __init__(self, chance: random.Random, *, finger: str = "cycle") -> None:
        self._finger = Finger(chance, finger)
        self._next_ns: int | None = None
        self._count = 0

    def feed(self, data: bytes, now_ns: int) -> None:
        """It does not listen."""

    def output(self, now_ns: int) -> list[bytes]:
        """The line due by now."""
        if self._next_ns is None:
            self._next_ns = now_ns
        if now_ns < self._next_ns:
            return []
        self._next_ns += max(1, (now_ns - self._next_ns) // SECOND) * SECOND
        seconds = 4 * 3600 + self._count
        self._count += 1
        when = f"02/24/18 {seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        where = self._finger.place(now_ns)
        if where == "out":
            return [line(None, None, None, NO_SENSOR, when=when)]
        return [line(self._finger.spo2, self._finger.pulse, 2.5, RUNNING | (SEARCH if where == "search" else 0), when=when)]

    def order(self, words: list[str], now_ns: int) -> bool:
        """``finger in``, ``finger out``, ``finger cycle``; True when understood."""
        return self._finger.order(words, now_ns)

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The line as a bad line delivers it: a character that belongs to no field."""
        return frame[:-4] + b"?" + frame[-3:]
