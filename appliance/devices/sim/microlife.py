"""The device's side of a Microlife cuff: asked for its memory it sends it. All numbers are made up."""

import random

DOWNLOAD = bytes.fromhex("12161822")
IDENTITY = b"00000000000000000000A001"


def record(systolic: int, diastolic: int, pulse: int, when: str = "2603050942") -> bytes:
    """One record of 32 characters; `when` is yymmddHHMM."""
    word = systolic | diastolic << 10 | pulse << 20
    return f"{when}000000{word:08X}00000000".encode()


def answer(records: list[bytes]) -> bytes:
    """The answer to a download."""
    text = f"{len(records):04X}0000".encode() + IDENTITY + b"".join(records)
    return b"\x06" + text + f"{sum(text) & 0xFF:02X}".encode()


class Microlife:
    """One simulated cuff with `stored` readings."""

    def __init__(self, chance: random.Random, *, stored: int = 5) -> None:
        self.sent = [(chance.randint(105, 165), chance.randint(60, 95), chance.randint(55, 100)) for _ in range(stored)]
        """Systolic, diastolic and pulse of what it keeps."""
        self._heard = b""
        self._replies: list[bytes] = []

    def feed(self, data: bytes, now_ns: int) -> None:
        """Requests from the host."""
        del now_ns
        self._heard = (self._heard + data)[-16:]
        if self._heard.endswith(DOWNLOAD):
            self._heard = b""
            days = [f"2603{1 + at % 28:02}0942" for at in range(len(self.sent))]
            self._replies.append(answer([record(*each, when) for each, when in zip(self.sent, days, strict=True)]))

    def output(self, now_ns: int) -> list[bytes]:
        """What it says by now."""
        del now_ns
        made, self._replies = self._replies, []
        return made

    def order(self, words: list[str], now_ns: int) -> bool:
        """No word is understood."""
        del words, now_ns
        return False

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The answer as a bad line delivers it: its sum does not fit."""
        return frame[:-1] + (b"0" if frame[-1:] != b"0" else b"1")
