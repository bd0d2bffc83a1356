"""The device's side of the Contec 08A: a memory of made-up measurements for three users, read over USB HID."""

import random

REPORT = 64
Record = tuple[tuple[int, int, int, int, int], int, int, int, int]
"""When (year after 2000, month, day, hour, minute), systolic, diastolic, pulse, mean."""


def coded(data: bytes) -> bytes:
    """A mask and data: each byte with bit 7 set, its true bit 7 in the mask.

    >>> coded(bytes([0, 152])).hex()
    '828098'
    """
    return bytes([0x80 | sum((byte >> 7) << at for at, byte in enumerate(data))]) + bytes(byte | 0x80 for byte in data)


def padded(data: bytes) -> bytes:
    """A report: zeros behind what it says."""
    return data + bytes(REPORT - len(data))


def record(one: Record, first: int = 0) -> bytes:
    """The report of one measurement.

    >>> record(((26, 3, 5, 9, 42), 152, 94, 70, 113))[:14].hex()
    '828098dec6f19a83808589aa8091'
    """
    (year, month, day, hour, minute), systolic, diastolic, pulse, mean = one
    return padded(coded(bytes([first, systolic, diastolic, pulse, mean, year, month])) + coded(bytes([day, hour, minute, 0, 0x11])))


def follows(user: int, count: int) -> bytes:
    """The report before a user's records.

    >>> follows(1, 70)[:14].hex()
    '46418080c6828080808080808081'
    """
    return padded(bytes([0x46, 0x41, 0x80, 0x80, 0x80 | count, 0x82]) + bytes([0x80] * 7) + bytes([0x80 | user]))


class Contec08a:
    """One simulated cuff with `stored` measurements for each user; `off` when it is plugged in and not switched on."""

    def __init__(self, chance: random.Random, *, stored: int = 3, power: str = "on") -> None:
        self._on = power == "on"
        self.users = {user: [_made(chance) for _ in range(stored)] for user in (1, 2, 3)}
        self._due: list[bytes] = []
        self.violations = 0
        """Requests that no driver of ours may send."""

    def feed(self, data: bytes, now_ns: int) -> None:  # noqa: ARG002 - as every simulated device
        """Reports from the host."""
        for at in range(0, len(data), REPORT):
            self._do(data[at : at + REPORT])

    def output(self, now_ns: int) -> list[bytes]:  # noqa: ARG002 - as every simulated device
        """The answers."""
        due, self._due = self._due, []
        return due

    def order(self, words: list[str], now_ns: int) -> bool:  # noqa: ARG002 - as every simulated device
        """It takes no words."""
        return False

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The report as a bad line delivers it: there is no checksum, so a byte where zeros belong is what the host can see."""
        return frame[:40] + b"\x55" + frame[41:]

    def _do(self, request: bytes) -> None:
        if request[0] == 0x40:
            self._due.append(padded(b"\x40\x8f"))
        elif request[0] == 0x42:
            self._due.append(padded(bytes.fromhex("484102130102")))
        elif request[:3] == b"\x43\x41\x01":
            self._records(request[3] - 3)
        else:
            self.violations += 1

    def _records(self, user: int) -> None:
        self._due.append(padded(bytes([0x4A, 0x43, int(self._on), 0, 0])))
        if self._on and user in self.users:
            self._due += [follows(user, len(self.users[user])), *(record(each) for each in self.users[user])]


def _made(chance: random.Random) -> Record:
    when = (26, chance.randint(1, 12), chance.randint(1, 28), chance.randint(6, 20), chance.randint(0, 59))
    systolic, diastolic = chance.randint(105, 165), chance.randint(60, 95)
    return when, systolic, diastolic, chance.randint(55, 100), diastolic + (systolic - diastolic) // 3
