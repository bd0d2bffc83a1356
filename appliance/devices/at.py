"""The telephone side of a modem: AT commands and text messages as PDUs. Pure, like every driver: bytes and time in, words out.

3GPP TS 27.005 (AT+CMGF, +CMGS, +CMTI, +CMGR, +CMGD, +CNMI), TS 27.007 (+CPIN, +CREG, +CSQ, +CMEE), TS 23.040 (SMS-SUBMIT,
SMS-DELIVER), TS 23.038 (8-bit data coding). Messages that come in are kept by the modem until we have committed them and say
so (`forget`): a power cut between the two brings the message again instead of losing it.
"""

import re
from collections import deque
from dataclasses import dataclass

from appliance.devices.driver import SECOND

ANSWER_NS = 10 * SECOND
"""The longest a modem thinks about a command that does not use the air (judgement; TS 27.007 leaves it to the maker)."""
SEND_NS = 60 * SECOND
"""The same for sending: the network may take so long to take a message."""
LOOK_NS = 15 * SECOND
"""Registration, signal and kept messages are asked for this often: an indication can be lost with the line."""
AGAIN_NS = 5 * SECOND
"""After an error the first command is tried again so late."""
LONGEST_LINE = 1024
"""Bytes held of a line without an end: a PDU of the longest message has 350 letters."""

_BEGIN = ("ATE0", "AT+CMEE=1", "AT+CPIN?", "AT+CMGF=0", "AT+CNMI=2,1,0,0,0")
_LOOK = ("AT+CREG?", "AT+CSQ", "AT+CMGL=4")
_REGISTERED = ("1", "5")
"""+CREG: registered at home, or roaming."""
_DIGITS = "0123456789*#abc"


@dataclass(frozen=True, slots=True)
class Out:
    """Bytes for the line."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Came:
    """A message has come in; it stays at `place` in the modem until `forget`. `number` is the sender's and proves nothing; it is
    empty, and `data` the whole PDU, for what is not a single 8-bit message: an operator's text, part of a longer one.
    """

    place: int
    number: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """The network has taken the message; that says nothing about its arrival."""

    token: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The message was not taken: `reason` is what the modem said (``+CMS ERROR: 38``), or ``no-answer``."""

    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """What the modem says of itself: ``ready``, ``searching``, ``sim`` (no card, or one that asks for its PIN), ``silent``;
    `signal` in bars of 31, None when it does not know (99).
    """

    word: str
    signal: int | None = None


Said = Out | Came | Sent | Failed | State


def submit(number: str, data: bytes) -> tuple[str, int]:
    r"""SMS-SUBMIT for 8-bit `data`, valid for an hour: the PDU in hex with the card's own service centre, and its length as
    AT+CMGS wants it.

    >>> submit("+84900000001", b"\x21\x00")
    ('0011000B914809000000F100040B022100', 16)
    """
    international, digits = number.startswith("+"), number.lstrip("+")
    if not digits.isdigit() or not 3 <= len(digits) <= 20:
        raise ValueError(f"{number!r} is no telephone number such as +84900000001")
    if len(data) > 140:
        raise ValueError(f"{len(data)} bytes: a message has at most 140")
    # 11: SUBMIT with a relative validity period; 00: message reference by the modem; 04: 8-bit data; 0B: (11 + 1) x 5 minutes.
    address = bytes([len(digits), 0x91 if international else 0x81]) + _swapped(digits)
    unit = bytes([0x11, 0x00]) + address + bytes([0x00, 0x04, 0x0B, len(data)]) + data
    return (b"\x00" + unit).hex().upper(), len(unit)


def deliver(pdu: str) -> tuple[str, bytes] | None:
    """(sender, data) of an SMS-DELIVER in hex; None for anything that is not a single 8-bit message."""
    try:
        raw = bytes.fromhex(pdu)
        at = 1 + raw[0]
        first, digits, kind = raw[at], raw[at + 1], raw[at + 2]
        end = at + 3 + (digits + 1) // 2
        number = ("+" if kind & 0x70 == 0x10 else "") + _unswapped(raw[at + 3 : end], digits)
        coding, size = raw[end + 1], raw[end + 9]
        data = raw[end + 10 : end + 10 + size]
    except (ValueError, IndexError):
        return None
    # Bits 0-1 of the first octet: DELIVER is 0; bit 6: a user data header, that is part of a longer message.
    eight_bit = coding & 0x0C == 0x04 if coding & 0xC0 == 0 else coding & 0xF4 == 0xF4
    return (number, data) if first & 0x43 == 0 and eight_bit and len(data) == size else None


def _swapped(digits: str) -> bytes:
    padded = digits + "f" * (len(digits) % 2)
    return bytes.fromhex("".join(padded[at + 1] + padded[at] for at in range(0, len(padded), 2)))


def _unswapped(octets: bytes, digits: int) -> str:
    letters = "".join(f"{one & 15:x}{one >> 4:x}" for one in octets)[:digits]
    return "".join(_DIGITS[int(one, 16)] for one in letters if one != "f")


class Modem:
    """One modem's talk: one command at a time, every answer awaited, unasked lines taken in between."""

    def __init__(self) -> None:
        self._held = b""
        self._waiting: deque[tuple[str, int]] = deque()
        """Commands not yet given, with the token of the message they send (0: none)."""
        self._command = ""
        self._token = 0
        self._payload = ""
        self._due_ns = 0
        self._look_ns = 0
        self._place: int | None = None
        self._messages: dict[int, tuple[str, bytes]] = {}
        self._word = "silent"
        self._signal: int | None = None

    @property
    def pending(self) -> int:
        """Bytes of a line that has no end yet."""
        return len(self._held)

    @property
    def ready(self) -> bool:
        """True while the modem is registered and knows how to send."""
        return self._word == "ready"

    def begin(self, now_ns: int) -> list[Said]:
        """The port has been opened: set the modem up."""
        self._held, self._command, self._payload, self._place = b"", "", "", None
        failed: list[Said] = [Failed(token, "no-answer") for _, token in self._waiting if token]
        self._waiting = deque((command, 0) for command in (*_BEGIN, *_LOOK))
        self._look_ns = now_ns + LOOK_NS
        return [*failed, *self._next(now_ns)]

    def send(self, token: int, number: str, data: bytes, now_ns: int) -> list[Said]:
        """Send a message; `Sent` or `Failed` with `token` follows. ValueError for a number or data that no message can have."""
        pdu, size = submit(number, data)
        self._waiting.append((f"AT+CMGS={size}\r{pdu}\x1a", token))
        return self._next(now_ns)

    def forget(self, place: int, now_ns: int) -> list[Said]:
        """The message at `place` is committed here: the modem may delete it."""
        self._messages.pop(place, None)
        self._waiting.append((f"AT+CMGD={place}", 0))
        return self._next(now_ns)

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """Bytes from the line, cut anywhere."""
        said: list[Said] = []
        self._held += data
        while True:
            if self._payload and self._held.lstrip(b"\r\n").startswith(b">"):
                self._held = self._held.lstrip(b"\r\n")[1:].lstrip(b" ")
                said.append(Out(self._payload.encode()))
                self._payload = ""
                continue
            found = re.search(rb"[\r\n]", self._held)
            if found is None:
                break
            line, self._held = self._held[: found.start()], self._held[found.end() :]
            if line:
                said += self._line(line.decode("latin-1").strip(), now_ns)
        if len(self._held) > LONGEST_LINE:
            self._held = b""
        return said

    def tick(self, now_ns: int) -> list[Said]:
        """Time has passed: a modem that does not answer is set up again; from time to time it is asked how it is."""
        if self._command and now_ns >= self._due_ns:
            said: list[Said] = [Failed(self._token, "no-answer")] if self._token else []
            said += self._say("silent")
            # ESC ends a message that was begun: what is still in the line must not become its text.
            self._command, self._payload, self._token = "", "", 0
            return [*said, Out(b"\x1b\r"), *self.begin(now_ns)]
        if not self._command and now_ns >= self._look_ns:
            self._look_ns = now_ns + (LOOK_NS if self._word != "silent" else AGAIN_NS)
            self._waiting.extend((command, 0) for command in _LOOK)
            return self._next(now_ns)
        return []

    # --- inside -------------------------------------------------------------------------------------------------------------------

    def _next(self, now_ns: int) -> list[Said]:
        if self._command or not self._waiting:
            return []
        text, self._token = self._waiting.popleft()
        command, _, self._payload = text.partition("\r")
        self._command = command
        self._due_ns = now_ns + (SEND_NS if self._token else ANSWER_NS)
        if command.startswith("AT+CMGR="):
            self._place = int(command[8:])
        return [Out(command.encode() + b"\r")]

    def _line(self, line: str, now_ns: int) -> list[Said]:
        if line.startswith("+CMTI:"):
            place = line.rpartition(",")[2].strip()
            if place.isdigit():
                self._waiting.append((f"AT+CMGR={place}", 0))
            return self._next(now_ns)
        if line == "OK" or line.startswith(("ERROR", "+CME ERROR", "+CMS ERROR")):
            return self._ended(line, now_ns)
        return self._told(line)

    def _told(self, line: str) -> list[Said]:
        """A line of an answer that is not its end."""
        name, _, rest = line.partition(":")
        if name == "+CPIN":
            return [] if rest.strip() == "READY" else self._say("sim")
        if name == "+CREG":
            state = rest.split(",")[-1 if "," not in rest else 1].strip()
            return self._say("ready" if state in _REGISTERED else "searching")
        if name == "+CSQ":
            bars = rest.split(",")[0].strip()
            self._signal = int(bars) if bars.isdigit() and int(bars) <= 31 else None
            return self._say(self._word, always=True)
        if name == "+CMGL":
            place = rest.split(",")[0].strip()
            self._place = int(place) if place.isdigit() else None
            return []
        if name == "+CMGR":
            return []
        return self._message(line)

    def _message(self, line: str) -> list[Said]:
        place, self._place = self._place, None
        if place is None or not re.fullmatch(r"[0-9A-Fa-f]+", line):
            return []
        if len(line) % 2:
            return []
        found = deliver(line) or ("", bytes.fromhex(line))
        if self._messages.get(place) == found:
            return []
        self._messages[place] = found
        return [Came(place, *found)]

    def _ended(self, line: str, now_ns: int) -> list[Said]:
        command, token = self._command, self._token
        self._command, self._token, self._payload = "", 0, ""
        if token:
            return [Sent(token) if line == "OK" else Failed(token, line), *self._next(now_ns)]
        said: list[Said] = []
        if line != "OK" and command == "AT+CPIN?":
            said += self._say("sim")
        return [*said, *self._next(now_ns)]

    def _say(self, word: str, *, always: bool = False) -> list[Said]:
        if word == self._word and not always:
            return []
        self._word = word
        return [State(word, self._signal)]
