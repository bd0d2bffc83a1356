"""Beurer and Sanitas upper-arm cuffs, BM65 (serial) and BM55/BM58 (USB HID reports): their memory, as a PC program draws it.

Source: public tools for both, medium-high confidence; no recording is known. The device answers 55 to a greeting, then a name of 32
bytes, a count, and records. On the serial line a record has one byte before it; over HID the same answers come in reports of eight
bytes, padded with F4, and F7 ends. A record: systolic − 25, diastolic − 25, pulse, month (bit 7: the arm moved, BM55), day (bit 7:
second user), hour, minute, year − 2000 (bit 7: irregular pulse).

There is no checksum: records count only behind a whole greeting, as many as it announced, without a byte of noise between. The
requests are not built before one of these cuffs has been on a bench, so nothing is ever sent and the family is off in service.
"""

from typing import Literal

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import ReadingKind, Source
from appliance.devices.driver import Line, Row
from appliance.devices.events import Notice, Said, Sample, Word, numeric
from appliance.devices.framing import CUT, GARBAGE
from appliance.devices.listening import Listening, device_clock

HELLO, PAD, END = b"\x55", b"\xf4", b"\xf7"
REPORT, NAME = 8, 32
ENDING = END + PAD * (REPORT - 1)
SERIAL_RECORD = 9
MOST = 120
"""The most records that are believed (judgement: the BM58 keeps 60 for each of two users)."""
BIAS = 25
HIGH = 0x80
NAME_BYTES = frozenset(range(0x20, 0x7F)) | {0x00, 0xF4, 0xFF}
"""What a name consists of, with its padding."""
LONGEST = REPORT + NAME + REPORT + MOST * SERIAL_RECORD


def _look(data: bytes, at: int, after: bool) -> tuple[int, str | None]:  # noqa: ARG001 - as every look
    """A frame is a whole session: greeting, name, count, and as many records as it says."""
    if data[at : at + 1] == END:
        ending = data[at : at + REPORT]
        return (len(ending) if len(ending) == REPORT else 0, None) if ENDING.startswith(ending) else (1, GARBAGE)
    begins = [place for place in (data.find(HELLO, at), data.find(END, at)) if place >= 0]
    if at not in begins:
        return min(begins, default=len(data)) - at, GARBAGE
    session = _greeting(data, at)
    if session is None or session is False:
        return (0, None) if session is None else (1, GARBAGE)
    head, count, length = session
    for record in range(at + head, at + head + count * length, length):
        numbers = data[record + length - REPORT : record + length]
        if len(numbers) < REPORT:
            return 0, None
        if not _possible(numbers):
            return 1, CUT
    return head + count * length, None


def _greeting(data: bytes, at: int) -> tuple[int, int, int] | Literal[False] | None:
    """Length of the greeting with its count, the count, the length of a record; None = not decided yet, False = none."""
    if data[at + 1 : at + 2] == PAD:
        return _reports(data, at)
    name = data[at + 1 : at + 1 + NAME]
    if not set(name) <= NAME_BYTES:
        return False
    if len(data) - at < NAME + 2:
        return None
    count = data[at + 1 + NAME]
    return (NAME + 2, count, SERIAL_RECORD) if count <= MOST else False


def _reports(data: bytes, at: int) -> tuple[int, int, int] | Literal[False] | None:
    """The same in reports: 55, up to four of the name, the count."""
    for report in range(6):
        said = data[at + report * REPORT : at + (report + 1) * REPORT]
        padded = said[1:] == PAD * (REPORT - 1)
        if len(said) < REPORT:
            return None
        if (report == 0 and not padded) or not (padded or set(said) <= NAME_BYTES):
            return False
        if report and padded:
            return ((report + 1) * REPORT, said[0], REPORT) if said[0] <= MOST else False
    return False


def _possible(numbers: bytes) -> bool:
    """Could these eight bytes be a record? Month, day, hour and minute say so."""
    month, day, hour, minute = numbers[3] & ~HIGH, numbers[4] & ~HIGH, numbers[5], numbers[6]
    return 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60


def _read(frame: bytes) -> list[Said]:
    """The greeting as a notice, a sample for each record: joined they are the frame."""
    if frame == ENDING:
        return [Notice(Word.STATE, "end-of-memory", frame=frame)]
    session = _greeting(frame, 0)
    if not session:
        return [Notice(Word.STATE, "greeting", frame=frame)]
    head, _, length = session
    name = bytes(byte for byte in frame[1 : head - 1] if 0x20 <= byte < 0x7F).decode("ascii").strip()
    places = range(head, len(frame), length)
    return [
        Notice(Word.IDENTITY, name, frame=frame[:head]),
        *(_sample(frame[place : place + length], ordinal) for ordinal, place in enumerate(places)),
    ]


def _sample(record: bytes, ordinal: int) -> Sample:
    systolic, diastolic, pulse, month, day, hour, minute, year = record[-REPORT:]
    time, flag = device_clock(2000 + (year & ~HIGH), month & ~HIGH, day & ~HIGH, hour, minute)
    why = None if systolic and diastolic else "no-value"
    status = Status.QUESTIONABLE if month & HIGH else Status(0)
    numerics = (
        numeric(Metric.SYSTOLIC, None if why else systolic + BIAS, status),
        numeric(Metric.DIASTOLIC, None if why else diastolic + BIAS, status),
        numeric(Metric.PULSE_RATE, None if why else pulse or None, status),
    )
    signals = (("user", 2 if day & HIGH else 1), ("movement", month >> 7), ("irregular_pulse", year >> 7), *flag)
    return Sample(
        ReadingKind.BLOOD_PRESSURE, numerics, record, invalid=why, result=True, source=Source.MEMORY, device_time=time, ordinal=ordinal,
        signals=signals,
    )  # fmt: skip


def Beurer() -> Listening:  # noqa: N802 - a driver's name
    """Driver of one cuff."""
    return Listening(_look, _read)


ROW = Row(
    name="beurer",
    title="Beurer, Sanitas BM65, BM55, BM58: the memory (experimental: no recording is known)",
    kind=ReadingKind.BLOOD_PRESSURE,
    metrics=(Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.PULSE_RATE),
    line=Line(baud=4800),
    pace=480,
    bound=LONGEST,
    make=lambda rest_s: Beurer(),  # noqa: ARG005 - it only listens
    listen=Beurer,
    writes=False,
    silence_s=3600.0,
    service=False,
)
"""This family in the registry."""
