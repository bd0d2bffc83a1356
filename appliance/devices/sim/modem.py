"""The modem's side of the AT commands: a telephone that does not exist, and the air between two of them.

`Air` delivers 8-bit messages between numbers; it can be told to lose them. Nothing is ever sent anywhere.
"""

import random
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

NUMBER = "+84900000001"
"""An invented number."""


@dataclass
class Air:
    """Who can be reached: for each number, what takes (sender, data). `lost` counts what nobody took, `deaf` loses everything."""

    numbers: dict[str, Callable[[str, bytes], None]] = field(default_factory=dict)
    deaf: bool = False
    lost: int = 0

    def send(self, sender: str, to: str, data: bytes) -> None:
        """One message on its way; the network says nothing about its arrival."""
        taker = self.numbers.get(to)
        if taker is None or self.deaf:
            self.lost += 1
            return
        taker(sender, data)


def delivery(sender: str, data: bytes, coding: int = 0x04) -> str:
    """SMS-DELIVER in hex as a modem shows it (TS 23.040, 9.2.2.1), from an invented service centre at an invented time.

    >>> delivery("+84900000001", b"A")
    '07914809000000F0040B914809000000F10004621122000000820141'
    """
    digits = sender.lstrip("+")
    padded = digits + "F" * (len(digits) % 2)
    swapped = "".join(padded[at + 1] + padded[at] for at in range(0, len(padded), 2))
    address = f"{len(digits):02X}{'91' if sender.startswith('+') else '81'}{swapped}"
    return f"07914809000000F004{address}00{coding:02X}62112200000082{len(data):02X}{data.hex().upper()}"


class SimModem:
    """A modem with a card. `registered` and `card` can be turned off and on; `refuse` is the error of every sending, 0 none."""

    def __init__(self, chance: random.Random, air: Air, *, number: str = NUMBER, bars: int = 17) -> None:
        self._chance = chance
        self._air = air
        self.number = number
        self.bars = bars
        self.registered = True
        self.card = True
        self.refuse = 0
        self._echo = True
        self._line = b""
        self._text = False
        self._out: deque[bytes] = deque()
        self.kept: dict[int, str] = {}
        """Messages on the card, by place."""
        self.sent: list[tuple[str, bytes]] = []
        air.numbers[number] = self.arrive

    def arrive(self, sender: str, data: bytes) -> None:
        """The network delivers a message: it is kept on the card and said."""
        self.keep(delivery(sender, data))

    def keep(self, pdu: str) -> None:
        """A message as it stands on the card."""
        place = next(at for at in range(1, 256) if at not in self.kept)
        self.kept[place] = pdu
        self._say(f'+CMTI: "SM",{place}')

    def feed(self, data: bytes, now_ns: int) -> None:
        """Bytes from the host."""
        del now_ns
        for one in data:
            self._byte(bytes([one]))

    def output(self, now_ns: int) -> list[bytes]:
        """What the modem says."""
        del now_ns
        said = list(self._out)
        self._out.clear()
        return said

    def order(self, words: list[str], now_ns: int) -> bool:
        """``registered on|off``, ``card on|off``, ``refuse N``; True when understood."""
        del now_ns
        match words:
            case ["registered" | "card" as what, "on" | "off" as how]:
                setattr(self, what, how == "on")
            case ["refuse", number] if number.isdigit():
                self.refuse = int(number)
            case _:
                return False
        return True

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The frame with one bit of its last byte turned: AT commands have no check of their own."""
        return frame[:-1] + bytes([frame[-1] ^ 0x01])

    # --- inside -------------------------------------------------------------------------------------------------------------------

    def _byte(self, one: bytes) -> None:
        if one == b"\x1b":
            self._line, self._text = b"", False
        elif self._text and one == b"\x1a":
            text, self._line, self._text = self._line, b"", False
            self._submitted(text.decode("ascii", "replace"))
        elif one == b"\r" and not self._text:
            line, self._line = self._line.decode("ascii", "replace").strip(), b""
            if self._echo and line:
                self._out.append(line.encode() + b"\r")
            if line:
                self._command(line)
        else:
            self._line += one

    def _say(self, *lines: str) -> None:
        self._out.append("".join(f"\r\n{line}\r\n" for line in lines).encode())

    def _command(self, line: str) -> None:
        if not line.startswith("AT"):
            self._say("ERROR")
            return
        name = line[2:]
        if name == "E0":
            self._echo = False
        answer = self._answer(name)
        if answer is not None:
            self._say(*answer)

    def _answer(self, name: str) -> list[str] | None:
        """The lines of an answer; None where a prompt stands in their place."""
        if name.startswith("+CMGS="):
            if not self.card:
                return ["+CMS ERROR: 310"]  # TS 27.005: SIM not inserted
            self._text = True
            self._out.append(b"\r\n> ")
            return None
        if name.startswith("+CMGR="):
            pdu = self.kept.get(int(name[6:]))
            return ["+CMS ERROR: 321"] if pdu is None else [f"+CMGR: 0,,{len(pdu) // 2 - 8}", pdu, "OK"]
        if name.startswith("+CMGD="):
            return ["OK"] if self.kept.pop(int(name[6:]), None) is not None else ["+CMS ERROR: 321"]
        return self._about(name)

    def _about(self, name: str) -> list[str]:
        if name == "+CPIN?":
            return ["+CPIN: READY", "OK"] if self.card else ["+CME ERROR: 10"]
        if name == "+CREG?":
            return [f"+CREG: 0,{1 if self.registered else 2}", "OK"]
        if name == "+CSQ":
            return [f"+CSQ: {self.bars if self.registered else 99},99", "OK"]
        if name == "+CMGL=4":
            listed = [line for place, pdu in sorted(self.kept.items()) for line in (f"+CMGL: {place},0,,{len(pdu) // 2 - 8}", pdu)]
            return [*listed, "OK"]
        known = re.fullmatch(r"E[01]||\+CMEE=1|\+CMGF=0|\+CNMI=2,1,0,0,0", name)
        return ["OK"] if known else ["ERROR"]

    def _submitted(self, pdu: str) -> None:
        if self.refuse or not self.registered:
            self._say(f"+CMS ERROR: {self.refuse or 331}")  # 331: no network service
            return
        raw = bytes.fromhex(pdu.strip())
        at = 3 + raw[0]
        digits = raw[at]
        octets = raw[at + 2 : at + 2 + (digits + 1) // 2]
        number = "".join(f"{one & 15:x}{one >> 4:x}" for one in octets)[:digits]
        to = ("+" if raw[at + 1] == 0x91 else "") + number
        size = raw[at + 5 + len(octets)]
        data = raw[at + 6 + len(octets) :][:size]
        self.sent.append((to, data))
        self._say(f"+CMGS: {len(self.sent) % 256}", "OK")
        self._air.send(self.number, to, data)
