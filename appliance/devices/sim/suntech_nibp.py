"""The device's side of a SunTech-type module: a cuff on nobody's arm.

It answers each command as the module does, inflates and empties by its own clock, says K when a cycle is complete and then
gives a result with invented numbers. `violations` counts bytes no host should ever send (calibration, pneumatics).
"""

import random

SECOND = 1_000_000_000
PATIENTS = {0x20: ("adult", 180), 0x87: ("paediatric", 140), 0x28: ("neonate", 100)}
"""Start command to patient type and the pressure it inflates to, mmHg."""
FORBIDDEN = frozenset({0x04, 0x0C})
EMPTY_NS = SECOND
"""The valve empties the cuff within this time."""
INFLATE_NS = 2 * SECOND
"""The pump fills the cuff within this time at most."""
REPLY_NS = SECOND // 50
"""Thinking time of the module before it answers."""
_LENGTHS = {0x20: 3, 0x87: 3, 0x28: 3, 0x79: 5, 0x17: 5, 0x0C: 6, 0x04: 6}


def frame(payload: bytes) -> bytes:
    """A module frame: head, length of the whole, payload, checksum.

    >>> frame(b"K").hex()
    '3e044b73'
    """
    body = bytes([0x3E, len(payload) + 3]) + payload
    return body + bytes([-sum(body) & 0xFF])


def result(systolic: int, diastolic: int, mean: int, pulse: int, *, beats: int = 30, error: int = 0) -> bytes:
    """A result frame."""
    payload = b"".join(
        (
            systolic.to_bytes(2, "little"), diastolic.to_bytes(2, "little"), bytes([beats, 1]), bytes(8), bytes([pulse, 0]),
            mean.to_bytes(2, "little"), bytes([error, 0, 0]),
        )
    )  # fmt: skip
    return frame(payload)


class SuntechNibp:
    """One simulated module.

    `cycle` is the length of a cycle in seconds, `error` the error byte of every result, `busy` how many starts are first
    answered B, `mute_starts` how many starts are obeyed without an answer. With `unasked` it sends that many results a
    second, each with other numbers, without being asked (benches).
    """

    def __init__(
        self, chance: random.Random, *, cycle: float = 8.0, error: int = 0, busy: int = 0, mute_starts: int = 0, unasked: float = 0.0
    ) -> None:
        self._chance = chance
        self._cycle_ns = int(cycle * SECOND)
        self._error = error
        self._busy = busy
        self._mute_starts = mute_starts
        self._every_ns = int(SECOND / unasked) if unasked else 0
        self._unasked_ns: int | None = None
        self._count = 0
        self._buffer = b""
        self._replies: list[tuple[int, bytes]] = []
        self._began_ns: int | None = None
        self._top = 180
        self._left = (0, -EMPTY_NS)  # pressure when the valve opened, and when
        self._result = result(0, 0, 0, 0, error=86)
        self.violations = 0
        self.starts = 0
        """Cycles that really began."""

    def feed(self, data: bytes, now_ns: int) -> None:
        """Bytes from the host."""
        self._buffer = (self._buffer + data)[-64:]
        while (head := self._buffer.find(0x3A)) >= 0 and len(self._buffer) >= head + 2:
            length = _LENGTHS.get(self._buffer[head + 1], 3)
            if len(self._buffer) < head + length:
                return
            command = self._buffer[head : head + length]
            if sum(command) & 0xFF:
                self._buffer = self._buffer[head + 1 :]
                continue
            self._buffer = self._buffer[head + length :]
            self._command(command, now_ns)

    def output(self, now_ns: int) -> list[bytes]:
        """The frames due by now."""
        if self._began_ns is not None and now_ns - self._began_ns >= self._cycle_ns:
            self._complete(now_ns)
        due = [reply for at, reply in self._replies if at <= now_ns]
        self._replies = [(at, reply) for at, reply in self._replies if at > now_ns]
        return due + self._talk(now_ns)

    def order(self, words: list[str], now_ns: int) -> bool:
        """``button``: somebody presses *stop* on the module itself; ``error N``: every result from now on fails with N."""
        if words == ["button"]:
            if self._began_ns is not None:
                self._stop(now_ns)
                self._reply(b"A", now_ns)
            return True
        if len(words) == 2 and words[0] == "error" and words[1].isdigit() and int(words[1]) < 256:
            self._error = int(words[1])
            return True
        return False

    @staticmethod
    def damage(sent: bytes) -> bytes:
        """The frame as a bad line delivers it: with a checksum that does not fit."""
        return sent[:-1] + bytes([sent[-1] ^ 0x01])

    def pressure(self, now_ns: int) -> int:
        """What is in the cuff, mmHg."""
        if self._began_ns is None:
            held, since = self._left
            return max(0, held - held * (now_ns - since) // EMPTY_NS)
        passed = now_ns - self._began_ns
        up = min(self._cycle_ns // 4, INFLATE_NS)
        if passed < up:
            return self._top * passed // up
        return max(0, self._top - (self._top - 40) * (passed - up) // (self._cycle_ns - up))

    def _command(self, command: bytes, now_ns: int) -> None:
        code = command[1]
        if code in FORBIDDEN:
            self.violations += 1
            self._reply(b"N", now_ns)
        elif code in PATIENTS:
            self._start(PATIENTS[code][1], now_ns)
        elif code == 0x79 and command[2] == 0x01:
            inside = self._began_ns is not None
            self._stop(now_ns)
            self._reply(b"A" if inside else b"K", now_ns)
        elif code == 0x79 and command[2] == 0x05:
            self._reply(self.pressure(now_ns).to_bytes(2, "little"), now_ns)
        elif code == 0x79 and command[2] == 0x03:
            self._replies.append((now_ns + REPLY_NS, self._result))
        else:
            self._reply(b"N", now_ns)

    def _start(self, top: int, now_ns: int) -> None:
        if self._began_ns is not None or self._busy > 0:
            self._busy = max(0, self._busy - 1)
            self._reply(b"B", now_ns)
            return
        self._began_ns, self._top = now_ns, top
        self.starts += 1
        if self._mute_starts > 0:
            self._mute_starts -= 1
        else:
            self._reply(b"O", now_ns)

    def _stop(self, now_ns: int) -> None:
        self._left = (self.pressure(now_ns), now_ns)
        if self._began_ns is not None:
            self._result = result(0, 0, 0, 0, error=86)
        self._began_ns = None

    def _complete(self, now_ns: int) -> None:
        self._left = (self.pressure(now_ns), now_ns)
        self._began_ns = None
        self._result = self._measured()
        self._reply(b"K", now_ns)

    def _measured(self) -> bytes:
        if self._error:
            return result(0, 0, 0, 0, beats=0, error=self._error)
        systolic = self._chance.randint(self._top * 55 // 100, self._top * 75 // 100)
        diastolic = systolic * 6 // 10 + self._chance.randint(-4, 4)
        return result(systolic, diastolic, diastolic + (systolic - diastolic) // 3, self._chance.randint(56, 98))

    def _talk(self, now_ns: int) -> list[bytes]:
        """Results nobody asked for, each different from the last 28,000."""
        if not self._every_ns:
            return []
        if self._unasked_ns is None:
            self._unasked_ns = now_ns + self._every_ns
        made: list[bytes] = []
        while self._unasked_ns <= now_ns:
            self._unasked_ns += self._every_ns
            made.append(numbered(self._count, self._error))
            self._count += 1
        return made[-16:]

    def _reply(self, payload: bytes, now_ns: int) -> None:
        self._replies.append((now_ns + REPLY_NS, frame(payload)))


def numbered(count: int, error: int = 0) -> bytes:
    """A result that says which one it is: 28,000 different ones (70 systolic × 20 diastolic × 20 pulse), then again from the first."""
    systolic, diastolic, pulse = 100 + count % 70, 60 + count // 70 % 20, 60 + count // 1400 % 20
    return result(systolic, diastolic, diastolic + (systolic - diastolic) // 3, pulse, error=error)
