"""The agent's side of IEEE 11073-20601: an oximeter, a cuff or a scale that associates, describes itself and reports. Made-up numbers."""

import random

SECOND = 1_000_000_000
CONFIGURATIONS = {"oximeter": 0x0190, "cuff": 0x02BC, "scale": 0x05DC}
SYSTEM_ID = bytes.fromhex("0200005452414D99")
RETRY_NS = 5 * SECOND
"""An association that nobody answers is asked for again."""
DATE = "20260305"
"""The day of the simulated device's clock; its time of day runs from 09:00:00."""


def u16(value: int) -> bytes:
    """Two bytes, the high one first."""
    return value.to_bytes(2, "big")


def listed(items: list[bytes]) -> bytes:
    """A list: count, length, items."""
    body = b"".join(items)
    return u16(len(items)) + u16(len(body)) + body


def sfloat(value: int, exponent: int = 0) -> bytes:
    """A number of two bytes.

    >>> sfloat(975, -1).hex(), sfloat(72).hex()
    ('f3cf', '0048')
    """
    return u16((exponent & 0xF) << 12 | value & 0xFFF)


def float32(value: int, exponent: int = 0) -> bytes:
    """A number of four bytes.

    >>> float32(796, -1).hex()
    'ff00031c'
    """
    return ((exponent & 0xFF) << 24 | value & 0xFFFFFF).to_bytes(4, "big")


def prst(invoke: int, choice: int, body: bytes) -> bytes:
    """A data APDU."""
    inner = u16(invoke) + u16(choice) + u16(len(body)) + body
    return b"\xe7\0" + u16(len(inner) + 2) + u16(len(inner)) + inner


def event(invoke: int, kind: int, info: bytes, handle: int = 0) -> bytes:
    """A confirmed event."""
    return prst(invoke, 0x0101, u16(handle) + b"\xff\xff\xff\xff" + u16(kind) + u16(len(info)) + info)


def fixed(invoke: int, values: list[tuple[int, bytes]], person: int | None = None) -> bytes:
    """A fixed scan report of the device itself: handle and value of each observation; with `person` one of several users."""
    seen = listed([u16(handle) + u16(len(raw)) + raw for handle, raw in values])
    if person is None:
        return event(invoke, 0x0D1D, b"\xf0\0\0\0" + seen)
    return event(invoke, 0x0D1F, b"\xf0\0\0\0" + listed([u16(person) + seen]))


def association(configuration: int, system: bytes = SYSTEM_ID) -> bytes:
    """An association request."""
    info = bytes.fromhex("80000000A000800000000000000000800000") + u16(8) + system + u16(configuration) + bytes.fromhex("000101000000 0000")
    body = b"\x80\0\0\0" + listed([u16(0x5079) + u16(len(info)) + info])
    return b"\xe2\0" + u16(len(body)) + body


def _object(handle: int, code: int, unit: int, layout: list[tuple[int, int]], *codes: int) -> bytes:
    """One numeric object of a configuration."""
    mapped = listed([u16(attribute) + u16(size) for attribute, size in layout])
    attributes = [
        u16(0x092F) + u16(4) + u16(2) + u16(code),
        u16(0x0996) + u16(2) + u16(unit),
        u16(0x0A55) + u16(len(mapped)) + mapped,
    ]
    if codes:
        names = listed([u16(each) for each in codes])
        attributes.append(u16(0x0A76) + u16(len(names)) + names)
    return u16(6) + u16(handle) + listed(attributes)


def extended(kind: str, number: int = 0x4001, weight_unit: int = 0x06C3) -> bytes:
    """A configuration report whose handles are not those of the standard: 11 and up, with a status in every value."""
    stamped = [(0x0947, 2), (0x0990, 8)]
    objects = {
        "oximeter": [_object(11, 0x4BB8, 0x0220, [(0x0A4C, 2), *stamped]), _object(12, 0x481A, 0x0AA0, [(0x0A4C, 2), *stamped])],
        "cuff": [
            _object(11, 0x4A04, 0x0F20, [(0x0A75, 10), *stamped], 0x4A05, 0x4A06, 0x4A07),
            _object(12, 0x482A, 0x0AA0, [(0x0A4C, 2), *stamped]),
        ],
        "scale": [_object(11, 0xE140, weight_unit, [(0x0A56, 4), *stamped]), _object(12, 0xE150, 0x07A0, [(0x0A4C, 2), *stamped])],
    }[kind]
    return event(7, 0x0D1C, u16(number) + listed(objects))


def pressures(systolic: int, diastolic: int, mean: int) -> bytes:
    """The compound value of a cuff."""
    return listed([sfloat(systolic), sfloat(diastolic), sfloat(mean)])


class Ieee11073:
    """One simulated agent. `kind` is oximeter, cuff or scale; `extended` is yes or no; a measurement is sent every `cycle` seconds.

    With `late` each measurement is so many seconds old when it is sent: it was taken while nobody listened.
    """

    def __init__(self, chance: random.Random, *, kind: str = "cuff", extended: str = "no", cycle: float = 8.0, late: int = 0) -> None:
        if kind not in CONFIGURATIONS:
            raise ValueError(f"kind is {', '.join(CONFIGURATIONS)}, not {kind!r}")
        self._chance = chance
        self._kind, self._extended = kind, extended == "yes"
        self._cycle_ns = int(cycle * SECOND)
        self._late_ns = late * SECOND
        self._now_ns = 0
        self._buffer = b""
        self._replies: list[bytes] = []
        self._associated = self._described = False
        self._ask_ns = 0
        self._due_ns = 0
        self._waiting: bytes | None = None  # a report that has not been acknowledged
        self._sent_ns = 0
        self._again = False  # associated anew: what was not acknowledged is sent again
        self._invoke = 100
        self.sent: list[tuple[int, ...]] = []
        """The numbers of every measurement that was acknowledged."""
        self._numbers: tuple[int, ...] = ()

    def feed(self, data: bytes, now_ns: int) -> None:
        """APDUs of the manager."""
        self._now_ns = now_ns
        self._buffer = (self._buffer + data)[-4096:]
        while len(self._buffer) >= 4:
            length = 4 + int.from_bytes(self._buffer[2:4], "big")
            if len(self._buffer) < length:
                return
            apdu, self._buffer = self._buffer[:length], self._buffer[length:]
            self._hear(apdu, now_ns)

    def output(self, now_ns: int) -> list[bytes]:
        """What is due by now: an association, answers, a report, or the report again when nobody acknowledged it."""
        made, self._replies = self._replies, []
        if not self._associated:
            if now_ns >= self._ask_ns:
                self._ask_ns = now_ns + RETRY_NS
                made.append(association(0x4001 if self._extended else CONFIGURATIONS[self._kind]))
            return made
        if self._described and self._waiting is None and now_ns >= self._due_ns:
            self._due_ns = now_ns + self._cycle_ns
            self._waiting, self._sent_ns = self._measured(now_ns), now_ns
            made.append(self._waiting)
        elif self._described and self._waiting is not None and self._again:
            self._again, self._sent_ns = False, now_ns
            made.append(self._waiting)
        elif self._waiting is not None and now_ns - self._sent_ns >= RETRY_NS:
            self._associated, self._ask_ns = False, now_ns  # the standard: no answer, so abort and associate again
            made.append(bytes.fromhex("E60000020002"))
        return made

    def order(self, words: list[str], now_ns: int) -> bool:
        """``release``: the device wants to go; True when understood."""
        if words == ["release"]:
            self._replies.append(bytes.fromhex("E40000020000"))
            self._associated, self._ask_ns = False, now_ns + 10 * RETRY_NS
            return True
        return False

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The APDU as a bad line delivers it: a byte is missing, so that no length fits."""
        return frame[:6] + frame[7:]

    def _hear(self, apdu: bytes, now_ns: int) -> None:
        if apdu[0] == 0xE3:
            self._associated, self._due_ns, self._again = True, now_ns + self._cycle_ns, True
            self._described = apdu[4:6] == b"\0\0"
            if not self._described:
                self._replies.append(extended(self._kind))
        elif apdu[0] in (0xE4, 0xE6):
            self._associated, self._ask_ns = False, now_ns + SECOND
            self._replies += [bytes.fromhex("E50000020000")] if apdu[0] == 0xE4 else []
        elif apdu[0] == 0xE7:
            self._data(int.from_bytes(apdu[6:8], "big"), int.from_bytes(apdu[8:10], "big"), apdu[12:])

    def _data(self, invoke: int, choice: int, body: bytes) -> None:
        if choice == 0x0103:
            model = u16(4) + b"Tram" + u16(4) + b"Sim\0"
            serial = listed([u16(1) + u16(0) + u16(6) + b"T00042"])
            given = [
                u16(0x0928) + u16(len(model)) + model,
                u16(0x092D) + u16(len(serial)) + serial,
                u16(0x0987) + u16(8) + self._stamp(self._now_ns),
            ]
            self._replies.append(prst(invoke, 0x0203, u16(0) + listed(given)))
        elif choice == 0x0201 and body[6:8] == u16(0x0D1C):
            self._described = True
        elif choice == 0x0201 and self._waiting is not None and invoke == self._invoke:
            self._waiting = None
            self.sent.append(self._numbers)

    def _measured(self, now_ns: int) -> bytes:
        self._invoke += 1
        first, second = (11, 12) if self._extended else (1, 10 if self._kind == "oximeter" else 2)
        tail = (b"\0\0" if self._extended else b"") + self._stamp(now_ns - self._late_ns)
        if self._kind == "oximeter":
            self._numbers = (self._chance.randint(94, 99), self._chance.randint(58, 96))
            values = [(first, sfloat(self._numbers[0]) + tail), (second, sfloat(self._numbers[1]) + tail)]
        elif self._kind == "cuff":
            diastolic = self._chance.randint(60, 90)
            self._numbers = (diastolic + 45, diastolic, diastolic + 15, self._chance.randint(58, 96))
            values = [(first, pressures(*self._numbers[:3]) + tail), (second, sfloat(self._numbers[3] * 10, -1) + tail)]
        else:
            self._numbers = (self._chance.randint(400, 900),)
            values = [(first, float32(self._numbers[0], -1) + tail)]
        return fixed(self._invoke, values)

    @staticmethod
    def _stamp(now_ns: int) -> bytes:
        seconds = now_ns // SECOND + 3600
        return bytes.fromhex(f"{DATE}{8 + seconds // 3600 % 12:02}{seconds // 60 % 60:02}{seconds % 60:02}00")
