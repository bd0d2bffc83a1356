"""The board's side of a PM6750: oximeter, cuff, heart and breath, temperature, a packet each per second. All numbers are made up."""

import random

from appliance.devices.sim.finger import Finger

SECOND = 1_000_000_000


def packet(*payload: int) -> bytes:
    """A packet with its check.

    >>> packet(0x02, 0x01).hex()
    '55aa040201f8'
    """
    body = bytes([len(payload) + 2, *payload])
    return b"\x55\xaa" + body + bytes([~sum(body) & 0xFF])


class Pm6750:
    """One simulated board; a cuff result comes every `cycle` seconds and is repeated until the next."""

    def __init__(self, chance: random.Random, *, finger: str = "in", cycle: float = 8.0) -> None:
        self._chance = chance
        self._finger = Finger(chance, finger)
        self._cycle_ns = int(cycle * SECOND)
        self._began_ns = self._next_ns = -1
        self._result = (0, 0, 0)
        self.sent: list[tuple[int, int, int]] = []
        """Systolic, diastolic, mean of every cuff result."""

    def feed(self, data: bytes, now_ns: int) -> None:
        """It does not listen."""

    def output(self, now_ns: int) -> list[bytes]:
        """The packets due by now."""
        if self._next_ns < 0:
            self._began_ns = self._next_ns = now_ns
        if now_ns < self._next_ns:
            return []
        self._next_ns = now_ns + SECOND
        if now_ns - self._began_ns >= self._cycle_ns:
            self._began_ns = now_ns
            systolic, diastolic = self._chance.randint(105, 165), self._chance.randint(60, 95)
            self._result = (systolic, diastolic, (systolic + 2 * diastolic) // 3)
            self.sent.append(self._result)
        systolic, diastolic, mean = self._result
        where = self._finger.place(now_ns)
        out = where != "in"
        return [
            packet(4, int(out), 0 if out else self._finger.spo2, 0 if out else self._finger.pulse),
            packet(3, 0, 0, systolic, mean, diastolic),
            packet(2, self._finger.pulse, 16, 0),
            packet(5, 0, 36, 6),
        ]

    def order(self, words: list[str], now_ns: int) -> bool:
        """``finger in``, ``finger out``, ``finger cycle``; True when understood."""
        return self._finger.order(words, now_ns)

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The packet as a bad line delivers it: its check does not fit."""
        return frame[:-1] + bytes([frame[-1] ^ 0x01])
