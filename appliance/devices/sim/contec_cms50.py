"""The device's side of Contec V7.0: a finger oximeter on a table, with invented fingers.

It answers the model question, streams 60 live packages a second once asked, stops when asked or when no keep-alive has
come for 10 s, and has a finger in it now and then. Its numbers are made up: everything that comes from it is test data.
"""

import random

SECOND = 1_000_000_000
PACKAGE_NS = SECOND // 60
KEEP_ALIVE_NS = 10 * SECOND
"""Two missed keep-alives end the stream (judgement; the document asks for one every 5 s)."""
BACKLOG = 60
"""At most one second of packages is made at once after a pause: what a device's own buffer would hold."""
OUT_S, SEARCH_S, IN_S = 4, 2, 15
"""The finger's round when it comes and goes by itself: out, searching, in (longer than a full measurement)."""
_WAVE = (20, 34, 58, 80, 90, 86, 72, 58, 50, 46, 44, 42, 38, 34, 30, 26, 24, 22, 21, 20)


def package(kind: int, data: bytes) -> bytes:
    """A package: type, mask of the high bits, data with bit 7 set.

    >>> package(1, bytes.fromhex("0734169658ffff")).hex()
    '01e887b49696d8ffff'
    """
    mask = 0x80
    for place, byte in enumerate(data):
        mask |= (byte >> 7) << place
    return bytes([kind, mask]) + bytes(byte | 0x80 for byte in data)


class ContecCms50:
    """One simulated oximeter. `finger` is ``cycle`` (comes and goes), ``in``, or ``out`` (until told otherwise)."""

    def __init__(self, chance: random.Random, *, finger: str = "cycle", pi: str = "yes") -> None:
        if finger not in ("cycle", "in", "out"):
            raise ValueError(f"finger is cycle, in or out, not {finger!r}")
        self._chance = chance
        self._finger = finger
        self._pi = pi != "no"
        self._since_ns: int | None = None  # when the finger's round began
        self._live = False
        self._heard_ns = 0
        self._next_ns = 0
        self._count = 0
        self._buffer = b""
        self._replies: list[bytes] = []
        self._person()

    def feed(self, data: bytes, now_ns: int) -> None:
        """Bytes from the host: nine to a command, garbage between them is ignored."""
        self._buffer = (self._buffer + data)[-64:]
        while (head := self._buffer.find(0x7D)) >= 0 and len(self._buffer) >= head + 9:
            frame, self._buffer = self._buffer[head : head + 9], self._buffer[head + 9 :]
            self._command(frame[2] & 0x7F | (frame[1] & 1) << 7, now_ns)

    def output(self, now_ns: int) -> list[bytes]:
        """The packages due by now."""
        made, self._replies = self._replies, []
        if self._live and now_ns - self._heard_ns > KEEP_ALIVE_NS:
            self._live = False
        if not self._live:
            return made
        self._next_ns = max(self._next_ns, now_ns - BACKLOG * PACKAGE_NS)
        while self._next_ns <= now_ns:
            made.append(self._sample(self._next_ns))
            self._next_ns += PACKAGE_NS
        return made

    def order(self, words: list[str], now_ns: int) -> bool:
        """``finger in``, ``finger out``, ``finger cycle``; True when understood."""
        if len(words) == 2 and words[0] == "finger" and words[1] in ("in", "out", "cycle"):
            if words[1] != "out":
                self._person()
            self._finger, self._since_ns = words[1], now_ns
            return True
        return False

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The frame as a bad line delivers it. There is no checksum, so a lost high bit is what the host can see."""
        return frame[:-1] + bytes([frame[-1] & 0x7F])

    def _command(self, code: int, now_ns: int) -> None:
        self._heard_ns = now_ns
        if code == 0xA1:
            self._live, self._next_ns = True, now_ns
        elif code == 0xA2:
            self._live = False
            self._replies.append(b"\x0c\x80")
        elif code == 0xA8:
            model = [package(2, b"\x00CMS50E"), package(2, b"\xffSIM\x00\x00\x00")]
            self._replies += model * 2
        elif code == 0xA9:
            self._replies.append(package(3, b"Contec\x00"))
        elif code != 0xAF:
            self._replies.append(package(0x0B, bytes([code, 5])))

    def _person(self) -> None:
        """Somebody else's finger."""
        self._spo2 = self._chance.randint(94, 99)
        self._pulse = self._chance.randint(58, 96)
        self._rest = (self._spo2, self._pulse)
        self._perfusion = self._chance.randint(120, 900)
        self._beat_ns = 0

    def _sample(self, at_ns: int) -> bytes:
        if self._since_ns is None:
            self._since_ns = at_ns
        place = self._place(at_ns)
        self._count += 1
        if place == "out":
            return package(1, bytes([0x94, 0x40, 0x10, 0xFF, 0x7F, 0xFF, 0xFF]))
        if place == "search":
            return package(1, bytes([0x05, 0x80 | 0x40, 0x10, 0xFF, 0x7F, 0xFF, 0xFF]))
        if self._count % 60 == 0:
            self._drift()
        period = 60 * SECOND // self._pulse
        if at_ns - self._beat_ns >= period:
            self._beat_ns = at_ns
        phase = (at_ns - self._beat_ns) * len(_WAVE) // period
        pleth = _WAVE[min(phase, len(_WAVE) - 1)]
        beep = 0x40 if at_ns - self._beat_ns < 2 * PACKAGE_NS else 0
        perfusion = self._perfusion if self._pi else 0xFFFF
        bar = pleth // 7 | (0 if self._pi else 0x10)
        return package(1, bytes([0x07 | beep, pleth, bar, self._pulse, self._spo2, perfusion & 0xFF, perfusion >> 8]))

    def _place(self, at_ns: int) -> str:
        """Where the finger is: out, search, in."""
        assert self._since_ns is not None
        seconds = (at_ns - self._since_ns) / SECOND
        if self._finger == "out":
            return "out"
        if self._finger == "in":
            return "search" if seconds < SEARCH_S else "in"
        if seconds >= OUT_S + SEARCH_S + IN_S:
            self._since_ns, seconds = at_ns, 0
            self._person()
        if seconds < OUT_S:
            return "out"
        return "search" if seconds < OUT_S + SEARCH_S else "in"

    def _drift(self) -> None:
        """A finger at rest: around its own values, never far from them."""
        self._spo2 = min(99, self._rest[0] + self._chance.choice((-1, 0, 0, 0, 1)))
        self._pulse = self._rest[1] + self._chance.randint(-3, 3)
