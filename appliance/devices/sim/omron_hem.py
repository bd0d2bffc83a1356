"""The device's side of the Omron HEM-790IT and HEM-7301: a memory of made-up measurements, read over USB HID."""

import random
from functools import reduce
from operator import xor

REPORT, FULL = 8, 7
COMMANDS = {
    b"\x00\x00\x00": 23, b"VER": 5, b"PRF": 5, b"SRL": 5, b"GCL": 5, b"CNT": 5, b"END": 5, b"GDC": 8, b"GME": 8, b"MES": 7,
}  # fmt: skip
"""Length of each command by its first three bytes."""
Record = tuple[tuple[int, int, int, int, int, int], int, int, int, int]
"""When (year after 2000 first), systolic, diastolic, pulse, flags."""


def answer(data: bytes, left: bytes = bytes(FULL)) -> bytes:
    """An answer with its XOR, as reports; behind its end stands what is `left` from earlier.

    >>> answer(bytes([0x00, 0x13, 0x00, 0x01])).hex()
    '074f4b00001300010112000000000000'
    """
    return plain(b"OK\x00" + data + bytes([reduce(xor, data)]), left)


def plain(message: bytes, left: bytes = bytes(FULL)) -> bytes:
    """Bytes as reports.

    >>> plain(b"NO").hex()
    '024e4f0000000000'
    """
    pieces = (message[at : at + FULL] for at in range(0, len(message), FULL))
    return b"".join(bytes([len(piece)]) + piece + left[len(piece) :] for piece in pieces)


def record(one: Record) -> bytes:
    """The answer to GME or MES."""
    when, systolic, diastolic, pulse, flags = one
    return answer(bytes([*when, 0, *systolic.to_bytes(2), diastolic, pulse, *flags.to_bytes(2)]))


def week(when: tuple[int, int, int], systolic: int, diastolic: int, pulse: int, index: int = 0) -> bytes:
    """The answer to GMA or GEA; without a measurement that week all three numbers are stored as 0."""
    return answer(bytes([0x80, index, *when, systolic - 25 if diastolic else 0, diastolic, pulse]))


class OmronHem:
    """One simulated cuff with `stored` measurements for each user; it answers every `deny`-th record with *ask again*."""

    def __init__(self, chance: random.Random, *, model: str = "790", stored: int = 3, deny: int = 0) -> None:
        self._later = model == "7301"
        self._deny = deny
        self.banks: list[list[Record]] = [[_made(chance) for _ in range(stored)] for _ in range(1 if self._later else 2)]
        self._awake = False
        self._message = b""
        self._due: list[bytes] = []
        self._asked = 0
        self.violations = 0
        """Commands that no driver of ours may send."""

    def feed(self, data: bytes, now_ns: int) -> None:  # noqa: ARG002 - as every simulated device
        """A mode (two bytes) or reports."""
        if len(data) % REPORT:
            self._awake, self._message = False, b""
            return
        for at in range(0, len(data), REPORT):
            self._message += data[at + 1 : at + 1 + min(data[at], FULL)]
            length = COMMANDS.get(self._message[:3])
            if length is None and len(self._message) >= 3:
                self.violations += 1
                self._message = b""
            elif length is not None and len(self._message) >= length:
                message, self._message = self._message[:length], b""
                self._do(message)

    def output(self, now_ns: int) -> list[bytes]:  # noqa: ARG002 - as every simulated device
        """The answers."""
        due, self._due = self._due, []
        return due

    def order(self, words: list[str], now_ns: int) -> bool:  # noqa: ARG002 - as every simulated device
        """It takes no words."""
        return False

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The answer as a bad line delivers it: one byte of its data is another."""
        return frame[:4] + bytes([frame[4] ^ 0x55]) + frame[5:]

    def _do(self, message: bytes) -> None:
        name = message[:3]
        if name == b"\x00\x00\x00":
            self._due += [bytes(REPORT), plain(b"OK", b"\x98" * FULL)]
            self._awake = True
        elif self._awake:
            self._due += self._answers(name, message)

    def _answers(self, name: bytes, message: bytes) -> list[bytes]:
        if name in (b"GDC", b"CNT"):
            return [self._counts(message)]
        if name in (b"GME", b"MES"):
            return [self._one(message)]
        if name == b"END":
            self._awake = False
            return [plain(b"OK"), plain(b"OFF\r\n")]
        text = {
            b"VER": b"M7301IT 100" if self._later else b"M7080IT 207", b"PRF": b"0010100000", b"SRL": bytes([6, 0, 0, 0, 0, 0, 0]),
            b"GCL": bytes([26, 3, 5, 9, 42, 7]),
        }  # fmt: skip
        return [answer(text[name], b"\x41" * FULL)]

    def _counts(self, message: bytes) -> bytes:
        records = self._bank(message)
        return answer(bytes([0, len(records), 0, 0]) if self._later else bytes([0, 0x40, 0, len(records)]))

    def _one(self, message: bytes) -> bytes:
        self._asked += 1
        if self._deny and self._asked % self._deny == 0:
            return plain(b"NO")
        records, index = self._bank(message), message[5 if self._later else 6]
        return record(records[index]) if index < len(records) else plain(b"NO")

    def _bank(self, message: bytes) -> list[Record]:
        bank = 0 if self._later else message[4]
        return self.banks[bank] if bank < len(self.banks) else []


def _made(chance: random.Random) -> Record:
    when = (26, chance.randint(1, 12), chance.randint(1, 28), chance.randint(6, 20), chance.randint(0, 59), chance.randint(0, 59))
    return when, chance.randint(105, 165), chance.randint(60, 95), chance.randint(55, 100), 0
