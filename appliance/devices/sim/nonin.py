"""The device's side of Nonin's data formats 1, 2 and 7: a module that talks, with invented fingers.

Formats 2 and 7 send 75 frames a second, 25 to a packet; format 1 three bytes a second. Its numbers are made up.
"""

import random

from appliance.devices.sim.finger import Finger

SECOND = 1_000_000_000
BACKLOG = 75
"""At most one second of frames is made at once after a pause."""
NO_PULSE, NO_SPO2 = 511, 127
FIRMWARE = 48
SYNC, GREEN, TRACK, ALARM = 0x01, 0x02, 0x10, 0x08


def frame2(status: int, pleth: int, data: int) -> bytes:
    """A frame of format 2.

    >>> frame2(0x81, 1, 0).hex()
    '0181010083'
    """
    body = bytes([0x01, status, pleth, data])
    return body + bytes([sum(body) & 0xFF])


def frame7(status: int, pleth: int, data: int) -> bytes:
    """A frame of format 7: `pleth` has 16 bits.

    >>> frame7(0x81, 0x0102, 0x48).hex()
    '81010248cc'
    """
    body = bytes([status, pleth >> 8, pleth & 0xFF, data])
    return body + bytes([sum(body) & 0xFF])


def frame1(pulse: int, spo2: int, flags: int = 0) -> bytes:
    """A frame of format 1.

    >>> frame1(72, 97).hex()
    '804861'
    """
    return bytes([0x80 | flags | pulse >> 7, pulse & 0x7F, spo2])


def data_bytes(pulse: int, spo2: int, *, display: tuple[int, int] | None = None, firmware: int = FIRMWARE, stat2: int = 0) -> list[int]:
    """The 25 data bytes of a packet. `display` is what the -D fields show (pulse, SpO2), where that is something else."""
    shown_pulse, shown_spo2 = display or (pulse, spo2)
    data = [0] * 25
    for at, value in ((0, pulse), (13, pulse), (19, shown_pulse), (21, shown_pulse)):
        data[at], data[at + 1] = value >> 7, value & 0x7F
    for at in (2, 9, 10, 15):
        data[at] = spo2
    data[3], data[7], data[8], data[16] = firmware, stat2, shown_spo2, shown_spo2
    return data


class Nonin:
    """One simulated module. `format` is 1, 2 or 7, `finger` as `Finger` has it."""

    def __init__(self, chance: random.Random, *, format: str = "2", finger: str = "cycle") -> None:  # noqa: A002 - the option's name
        if format not in ("1", "2", "7"):
            raise ValueError(f"format is 1, 2 or 7, not {format!r}")
        self._format = format
        self._finger = Finger(chance, finger)
        self._every_ns = SECOND if format == "1" else SECOND // 75
        self._next_ns: int | None = None
        self._place = 0
        self._data = [0] * 25
        self._status = 0x80

    def feed(self, data: bytes, now_ns: int) -> None:
        """It does not listen."""

    def output(self, now_ns: int) -> list[bytes]:
        """The frames due by now."""
        if self._next_ns is None:
            self._next_ns = now_ns
        self._next_ns = max(self._next_ns, now_ns - BACKLOG * self._every_ns)
        made: list[bytes] = []
        while self._next_ns <= now_ns:
            made.append(self._frame(self._next_ns))
            self._next_ns += self._every_ns
        return made

    def order(self, words: list[str], now_ns: int) -> bool:
        """``finger in``, ``finger out``, ``finger cycle``; True when understood."""
        return self._finger.order(words, now_ns)

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The frame as a bad line delivers it: its sum does not fit; format 1, which has none, loses its last byte."""
        return frame[:-1] + bytes([frame[-1] ^ 0x01]) if len(frame) == 5 else frame[:-1]

    def _frame(self, at_ns: int) -> bytes:
        where = self._finger.place(at_ns)
        usable = where == "in"
        pulse, spo2 = (self._finger.pulse, self._finger.spo2) if usable else (NO_PULSE, NO_SPO2)
        if self._format == "1":
            return frame1(pulse, spo2, 0 if usable else 0x20)
        if self._place == 0:
            # What the finger was at the beginning of a packet is what the whole packet says.
            self._data = data_bytes(pulse, spo2, display=(self._finger.pulse, self._finger.spo2))
            self._status = 0x80 if usable else 0x80 | TRACK | (ALARM if where == "out" else 0)
        pleth, beat = self._finger.wave(at_ns)
        status = self._status | (SYNC if self._place == 0 else 0) | (GREEN if beat and self._status == 0x80 else 0)
        data = self._data[self._place]
        self._place = (self._place + 1) % 25
        return frame2(status, pleth, data) if self._format == "2" else frame7(status, pleth << 8, data)
