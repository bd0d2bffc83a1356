"""The status code: eight letters that a technician reads over the telephone, and what they say.

Seven letters (Crockford base 32, 35 bits) and a check letter. From the highest bit: version (3), mark of the station (8),
schema (6), six lights of two bits (12), days since the last receipt (3), what waits (3). No number in it is a patient's.

The check letter is a sum in the field of 32 elements in which every place has another weight: one wrong letter and any two
letters that changed places are always found, anything else 31 times of 32.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

VERSION = 1
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32, as `contract.ids`: no I, L, O, U to misread
_VALUES = {letter: value for value, letter in enumerate(LETTERS)} | {"I": 1, "L": 1, "O": 0}
LENGTH = 8
_REDUCE = 0b100101
"""x^5 + x^2 + 1, which has no factors over two elements and whose root 2 has all 31 powers."""


class Light(IntEnum):
    """How one thing of the box stands. ABSENT: not there, or nobody can say."""

    OK = 0
    WARN = 1
    FAIL = 2
    ABSENT = 3


LIGHTS = ("power", "card", "clock", "modem", "bridge", "devices")
"""The six lights of the health card, in the order of the code."""
DAYS = (0, 1, 2, 4, 8, 15, 31)
"""Where each bucket of days since the last receipt begins; one more stands for *never*."""
NEVER = len(DAYS)
WAITING = (0, 1, 4, 10, 30, 100, 1000, 10_000)
"""Where each bucket of what waits begins."""
SCHEMA_MOST = 63
MARKS = 256


class StatusCodeError(ValueError):
    """A text that is no status code. `reason`: ``length``, ``letter``, ``check`` or ``version``."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text[:40]!r}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Status:
    """What a code says. `lights` are those of `LIGHTS`; `days` and `waiting` are places in `DAYS` (`NEVER` for none) and `WAITING`."""

    mark: int
    schema: int
    lights: tuple[Light, ...]
    days: int
    waiting: int


def mark_of(station: str) -> int:
    """One of 256 marks of a station's id: tells a code that was noted down under another station in 255 cases of 256.

    >>> mark_of("tram-0001") == mark_of("tram-0001") < MARKS
    True
    """
    return hashlib.sha256(b"tram-status-code\0" + station.encode()).digest()[0]


def bucket(starts: Sequence[int], value: int) -> int:
    """The place of the bucket that holds `value` (0 or more).

    >>> [bucket(WAITING, each) for each in (0, 3, 4, 99_999)]
    [0, 1, 2, 7]
    """
    return max(place for place, start in enumerate(starts) if value >= start or place == 0)


def status(station: str, schema: int, lights: Sequence[Light], days: int | None, waiting: int) -> Status:
    """What there is to say; `days` since the last receipt, None where there never was one."""
    if len(lights) != len(LIGHTS):
        raise ValueError(f"there are {len(LIGHTS)} lights, not {len(lights)}")
    place = NEVER if days is None else bucket(DAYS, days)
    return Status(mark_of(station), min(schema, SCHEMA_MOST), tuple(lights), place, bucket(WAITING, waiting))


def write(one: Status) -> str:
    """The code as it is shown: two groups of four.

    >>> write(status("tram-0001", 3, [Light.OK] * 6, 0, 0))
    '540R-0003'
    """
    number = VERSION
    for value, bits in ((one.mark, 8), (one.schema, 6), *((int(light), 2) for light in one.lights), (one.days, 3), (one.waiting, 3)):
        if not 0 <= value < 1 << bits:
            raise ValueError(f"{value} does not fit {bits} bits")
        number = number << bits | value
    values = [number >> shift & 31 for shift in range(30, -1, -5)]
    text = "".join(LETTERS[each] for each in (*values, _check(values)))
    return f"{text[:4]}-{text[4:]}"


def read(text: str) -> Status:
    """What a code says; case, spaces and hyphens do not matter. StatusCodeError for everything that is none."""
    letters = [letter for letter in text.upper() if letter not in " -"]
    if len(letters) != LENGTH:
        raise StatusCodeError("length", text)
    if any(letter not in _VALUES for letter in letters):
        raise StatusCodeError("letter", text)
    values = [_VALUES[letter] for letter in letters]
    if _check(values[:-1]) != values[-1]:
        raise StatusCodeError("check", text)
    number = 0
    for each in values[:-1]:
        number = number << 5 | each
    if number >> 32 != VERSION:
        raise StatusCodeError("version", text)
    lights = tuple(Light(number >> shift & 3) for shift in range(16, 4, -2))
    return Status(number >> 24 & 255, number >> 18 & 63, lights, number >> 3 & 7, number & 7)


def _check(values: Sequence[int]) -> int:
    total = 0
    for place, value in enumerate(values, 1):
        weighed = value
        for _ in range(place):
            weighed = _double(weighed)
        total ^= weighed
    return total


def _double(value: int) -> int:
    """Times the root 2 in the field of 32 elements."""
    doubled = value << 1
    return doubled ^ _REDUCE if doubled & 32 else doubled


# --- for people ---------------------------------------------------------------------------------------------------------------------------

_NAMES = {
    "power": ("Nguồn điện", "power"), "card": ("Thẻ nhớ", "card"), "clock": ("Đồng hồ", "clock"),
    "modem": ("Modem và sóng", "modem and signal"), "bridge": ("Máy chủ", "bridge"), "devices": ("Máy đo", "devices"),
}  # fmt: skip
_STATES = {
    Light.OK: ("tốt", "ok"), Light.WARN: ("cần xem", "look at it"), Light.FAIL: ("hỏng", "does not work"),
    Light.ABSENT: ("không có", "not there"),
}  # fmt: skip
_NEXT = {
    "power": "Hỏi trạm: đèn UPS, dây nguồn, bộ nguồn chính hãng 5 V.",
    "card": "Cho trạm gửi túi thư, rồi tới thay thẻ (loại công nghiệp).",
    "clock": "Cho trạm nối mạng; nếu không có mạng: tram time set.",
    "modem": "Hỏi trạm: anten, SIM, tiền trong SIM.",
    "bridge": "Xem mạng ở trạm; số liệu vẫn còn trong máy. Lâu ngày: dùng túi thư.",
    "devices": "Hỏi trạm: cắm lại dây máy đo, bật nguồn máy đo.",
}
REASONS = {
    "length": "Mã trạng thái có đúng 8 chữ và số, ví dụ 540R-0003. Đọc lại từ đầu.",
    "letter": "Mã trạng thái chỉ có số 0-9 và chữ A-Z không có U. Đọc lại từng chữ.",
    "check": "Nghe hoặc gõ nhầm ít nhất một chữ. Đọc lại từng chữ.",
    "version": "Mã này của phiên bản phần mềm khác. Cập nhật tram-bridge rồi thử lại.",
}
"""Why a text is refused, for whoever holds the telephone."""


def name_of(light: str) -> tuple[str, str]:
    """A light's name (Vietnamese, English)."""
    return _NAMES[light]


def state_of(light: Light) -> tuple[str, str]:
    """A state in words (Vietnamese, English)."""
    return _STATES[light]


def explained(one: Status) -> list[str]:
    """A code in Vietnamese, line by line, with what to do next."""
    lines = [_spoken(name, light) for name, light in zip(LIGHTS, one.lights, strict=True)]
    lines.append(f"Lần cuối máy chủ báo đã nhận: {_days(one.days)}.")
    lines.append(f"Đang chờ gửi: {_range(WAITING, one.waiting)}.")
    lines.append(f"Phiên bản kho dữ liệu: {one.schema}.")
    return lines


def _spoken(name: str, light: Light) -> str:
    said = f"{_NAMES[name][0]}: {_STATES[light][0]}."
    return f"{said} {_NEXT[name]}" if light in (Light.WARN, Light.FAIL) else said


def _days(place: int) -> str:
    if place == NEVER:
        return "chưa lần nào"
    return "chưa tới một ngày trước" if place == 0 else f"{_range(DAYS, place)} ngày trước"


def _range(starts: Sequence[int], place: int) -> str:
    first = starts[place]
    if place == len(starts) - 1:
        return f"từ {first} trở lên"
    last = starts[place + 1] - 1
    return str(first) if first == last else f"{first}-{last}"
