"""The device's side of Contec V5.1: it streams unasked, and gives its memory when asked. Its numbers are made up."""

import random

from appliance.devices.sim.finger import Finger

SECOND = 1_000_000_000
PACKAGE_NS = SECOND // 60
BACKLOG = 60
RECORDS_PER_STEP = 20
"""Records sent at once: a 19200-baud line carries some 580 a second."""


def live(pulse: int = 72, spo2: int = 97, *, flags: int = 0, pleth: int = 40, bar: int = 3, errors: int = 0, signal: int = 7) -> bytes:
    """A live package: `flags` are bits 4 to 6 of the first byte, `errors` bits 4 and 5 of the third.

    >>> live(150, 97, pleth=0, bar=0, signal=0).hex()
    '8000401661'
    """
    return bytes([0x80 | flags | signal, pleth, bar | errors | (pulse & 0x80) >> 1, pulse & 0x7F, spo2])


def record(pulse: int, spo2: int) -> bytes:
    """One second of the memory.

    >>> record(150, 97).hex()
    'f19661'
    """
    return bytes([0xF0 | pulse >> 7, 0x80 | pulse & 0x7F, spo2])


def memory(records: list[tuple[int, int]], hour: int = 14, minute: int = 5) -> list[bytes]:
    """A whole memory as it is sent: three start packages, the length, a record for each (pulse, SpO2)."""
    length = 3 * len(records) - 1
    head = bytes([0x80 | length >> 14, 0x80 | length >> 7 & 0x7F, length & 0x7F])
    return [bytes([0xF2, 0x80 | hour, minute])] * 3 + [head] + [record(pulse, spo2) for pulse, spo2 in records]


class ContecCms50V5:
    """One simulated oximeter. `stored` seconds are in its memory; `finger` as `Finger` has it."""

    def __init__(self, chance: random.Random, *, finger: str = "cycle", stored: int = 40) -> None:
        self._finger = Finger(chance, finger)
        pulse, spo2 = chance.randint(58, 140), chance.randint(93, 98)
        self.records = [(pulse + chance.randint(-2, 2), spo2 + chance.randint(0, 1)) for _ in range(stored)]
        self._buffer = b""
        self._sending: list[bytes] = []
        self._next_ns: int | None = None

    def feed(self, data: bytes, now_ns: int) -> None:  # noqa: ARG002 - as every simulated device
        """F5 F5 asks for the memory, F6 F6 F6 ends it."""
        self._buffer = (self._buffer + data)[-6:]
        if self._buffer.endswith(b"\xf5\xf5"):
            self._sending, self._buffer = memory(self.records), b""
        elif self._buffer.endswith(b"\xf6\xf6\xf6"):
            self._sending, self._buffer = [], b""

    def output(self, now_ns: int) -> list[bytes]:
        """The packages due by now: of the memory while it is sent, else live."""
        if self._sending:
            made, self._sending = self._sending[:RECORDS_PER_STEP], self._sending[RECORDS_PER_STEP:]
            self._next_ns = now_ns
            return made
        if self._next_ns is None:
            self._next_ns = now_ns
        self._next_ns = max(self._next_ns, now_ns - BACKLOG * PACKAGE_NS)
        made = []
        while self._next_ns <= now_ns:
            made.append(self._sample(self._next_ns))
            self._next_ns += PACKAGE_NS
        return made

    def order(self, words: list[str], now_ns: int) -> bool:
        """``finger in``, ``finger out``, ``finger cycle``; True when understood."""
        return self._finger.order(words, now_ns)

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The package as a bad line delivers it: there is no checksum, so a lost byte is what the host can see."""
        return frame[:-1]

    def _sample(self, at_ns: int) -> bytes:
        where = self._finger.place(at_ns)
        if where != "in":
            return live(0, 0, flags=0x10 if where == "out" else 0, errors=0x20 if where == "search" else 0, bar=0, signal=0)
        pleth, beat = self._finger.wave(at_ns)
        return live(self._finger.pulse, self._finger.spo2, flags=0x40 if beat else 0, pleth=pleth, bar=pleth // 9)
