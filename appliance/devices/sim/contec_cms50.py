"""The device's side of Contec V7.0: a finger oximeter on a table, with invented fingers.

It answers the model question, streams 60 live packages a second once asked, stops when asked or when no keep-alive has
come for 10 s, and has a finger in it now and then. Its numbers are made up: everything that comes from it is test data.
"""

import random

SECOND = 1_000_000_000
PACKAGE_NS = SECOND // 60
KEEP_ALIVE_NS = 10 * SECOND
"""Two missed keep-alives end the stream (judgement; the document asks for one every 5 s)."""
RECORDS_PER_STEP = 40
"""Packages of the memory sent at once."""
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


def records(seconds: list[tuple[int, int, int]], *, pi: bool) -> list[bytes]:
    """Stored seconds as packages: one with perfusion index each, or three without, the last one padded.

    >>> [each.hex() for each in records([(94, 66, 0)] * 4, pi=False)]
    ['0f80dec2dec2dec2', '0f80dec280808080']
    """
    if pi:
        return [package(0x09, bytes([spo2, pulse]) + perfusion.to_bytes(2, "little")) for spo2, pulse, perfusion in seconds]
    pairs = [bytes([spo2, pulse]) for spo2, pulse, _ in seconds]
    return [package(0x0F, b"".join(pairs[at : at + 3]).ljust(6, b"\0")) for at in range(0, len(pairs), 3)]


class ContecCms50:
    """One simulated oximeter. `finger` is ``cycle`` (comes and goes), ``in``, or ``out`` (until told otherwise).

    `stored` seconds are in its memory, in two recordings; `pi` says whether it has a perfusion index.
    """

    def __init__(self, chance: random.Random, *, finger: str = "cycle", pi: str = "yes", stored: int = 0) -> None:
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
        self._sending: list[bytes] = []
        self._person()
        base = chance.randint(58, 140), chance.randint(93, 98)
        seconds = [(base[1] + chance.randint(0, 1), base[0] + chance.randint(-2, 2), chance.randint(120, 900)) for _ in range(stored)]
        half = (stored + 1) // 2
        self.recordings = [part for part in (seconds[:half], seconds[half:]) if part]
        """SpO2, pulse and perfusion index × 100 of each stored second."""

    def feed(self, data: bytes, now_ns: int) -> None:
        """Bytes from the host: nine to a command, garbage between them is ignored."""
        self._buffer = (self._buffer + data)[-64:]
        while (head := self._buffer.find(0x7D)) >= 0 and len(self._buffer) >= head + 9:
            frame, self._buffer = self._buffer[head : head + 9], self._buffer[head + 9 :]
            self._command(frame[2] & 0x7F | (frame[1] & 1) << 7, frame[4] & 0x7F, now_ns)

    def output(self, now_ns: int) -> list[bytes]:
        """The packages due by now."""
        made, self._replies = self._replies, []
        made += self._sending[:RECORDS_PER_STEP]
        del self._sending[:RECORDS_PER_STEP]
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

    def _command(self, code: int, segment: int, now_ns: int) -> None:
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
        elif code in (0xA3, 0xA4, 0xA5, 0xA6, 0xA7) and self.recordings:
            self._remember(code, segment)
        elif code != 0xAF:
            self._replies.append(package(0x0B, bytes([code, 5])))

    def _remember(self, code: int, segment: int) -> None:
        """Answers about the memory: how many recordings, and of one its length, its beginning, its seconds."""
        seconds = self.recordings[segment] if segment < len(self.recordings) else []
        if code == 0xA3:
            self._replies.append(package(0x0A, bytes([0, len(self.recordings)])))
        elif code == 0xA4:
            length = len(seconds) * (4 if self._pi else 2)
            self._replies.append(package(0x08, bytes([0, segment]) + length.to_bytes(4, "little")))
        elif code == 0xA5:
            self._replies += [package(0x07, bytes([0, segment, 20, 26, 3, 5])), package(0x12, bytes([0, segment, 9, 30 + segment, 0, 0]))]
        elif code == 0xA6:
            self._sending = records(seconds, pi=self._pi)
        else:
            self._sending = []
            self._replies.append(b"\x0c\x80")

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
