"""The meter's side of the SD CodeFree: switched on with the cable in, it says hello until it is answered. All values are made up."""

import random
from functools import reduce
from operator import xor

SECOND = 1_000_000_000
HELLO_EVERY_NS = SECOND


def packet(message: bytes) -> bytes:
    """A packet from the meter.

    >>> packet(bytes([0x10, 0x30])).hex()
    '532004103020aa'
    """
    return bytes([0x53, 0x20, len(message) + 2]) + message + bytes([reduce(xor, message), 0xAA])


HELLO = packet(b"\x10\x30")


def count(number: int) -> bytes:
    """The count of stored records, padded as the meter pads it."""
    return packet(b"\x30" + number.to_bytes(2, "big") + b"\xaa" * 19)


def record(value: int, meal: int = 0, when: tuple[int, int, int, int, int] = (24, 2, 29, 7, 45)) -> bytes:
    """One record; `when` is year − 2000, month, day, hour, minute."""
    return packet(bytes([0x20, 0x00, *when]) + value.to_bytes(2, "big") + bytes([meal]) + bytes(7))


class SdCodefree:
    """One simulated meter with `stored` values."""

    def __init__(self, chance: random.Random, *, stored: int = 5) -> None:
        self.values = [chance.randint(70, 260) for _ in range(stored)]
        """The stored values, newest first."""
        self._due_ns: int | None = None
        self._heard = b""
        self._replies: list[bytes] = []
        self._at: int | None = None
        self.forbidden = 0
        """Packets that no host of ours should send."""

    def feed(self, data: bytes, now_ns: int) -> None:
        """Packets from the host."""
        del now_ns
        self._heard += data
        while len(self._heard) >= 7:
            asked, self._heard = self._heard[:7], self._heard[7:]
            self._asked(asked)

    def _asked(self, asked: bytes) -> None:
        if asked == bytes.fromhex("531004104050AA"):
            self._at = 0
            self._replies.append(count(len(self.values)))
        elif asked == bytes.fromhex("531004106070AA"):
            at, self._at = self._at or 0, (self._at or 0) + 1
            done = at >= len(self.values)
            self._replies.append(packet(b"\x10\x70") if done else record(self.values[at], when=(24, 2, 28 - at % 28, 7, at % 60)))
        else:
            self.forbidden += 1

    def output(self, now_ns: int) -> list[bytes]:
        """What it says by now."""
        made, self._replies = self._replies, []
        if self._at is None and (self._due_ns is None or now_ns >= self._due_ns):
            self._due_ns = now_ns + HELLO_EVERY_NS
            made.append(HELLO)
        return made

    def order(self, words: list[str], now_ns: int) -> bool:
        """``on``: switched off and on again; True when understood."""
        if words == ["on"]:
            self._at, self._due_ns = None, now_ns
            return True
        return False

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The packet as a bad line delivers it: its check does not fit."""
        return frame[:-2] + bytes([frame[-2] ^ 0x01, frame[-1]])
