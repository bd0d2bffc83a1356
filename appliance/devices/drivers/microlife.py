"""Microlife WatchBP, BP A200, BPA-100: the memory of a cuff behind a USB adapter that the kernel shows as a serial line.

Source: one reverse-engineered tool and the description of its format, medium-high confidence; no recording is known. A request is
``12 16 18 command``; the only one in this file is the download (22). The commands next to it set identity and clock. The answer is
06, text of hex digits, and two digits more: the sum of the text's bytes mod 256. Text: four digits count, the device's id at
characters 8 to 31, then records of 32 characters: ``yymmddHHMM`` in decimal digits, and at 16 to 23 a word of 32 bits with systolic,
diastolic and pulse in ten bits each, systolic lowest.
"""

import re

from appliance.contract.metrics import Metric
from appliance.contract.readings import ReadingKind, Source
from appliance.devices.driver import Line, Row
from appliance.devices.events import Notice, Said, Sample, Send, Word, numeric
from appliance.devices.framing import CHECKSUM, CUT, GARBAGE, LENGTH
from appliance.devices.listening import Listening, device_clock

ACK = b"\x06"
HEAD, RECORD, CHECK = 32, 32, 2
"""Characters before the records, of one record, of the check."""
MOST = 250
"""The most records that are believed (judgement: WatchBP Home keeps 250)."""
LONGEST = 1 + HEAD + MOST * RECORD + CHECK
DOWNLOAD = bytes.fromhex("12161822")
"""The only request this driver can send."""
_HEX = re.compile(rb"[0-9A-Fa-f]*")


def _look(data: bytes, at: int, after: bool) -> tuple[int, str | None]:  # noqa: ARG001 - as every look
    begins = data.find(ACK, at)
    if begins != at:
        return (len(data) if begins < 0 else begins) - at, GARBAGE
    digits = _HEX.match(data, at + 1, at + LONGEST)
    end = digits.end() if digits else at + 1
    if end < at + 5:
        return (1, GARBAGE) if end < len(data) else (0, None)
    count = int(data[at + 1 : at + 5], 16)
    if count > MOST:
        return 1, LENGTH
    whole = 1 + HEAD + count * RECORD + CHECK
    if end < at + whole:
        return (1, CUT) if end < len(data) else (0, None)
    text, check = data[at + 1 : at + whole - CHECK], data[at + whole - CHECK : at + whole]
    return (whole, None) if sum(text) & 0xFF == int(check, 16) else (1, CHECKSUM)


def _read(frame: bytes) -> list[Said]:
    """The head as a notice, a sample for each record, the check as a notice: joined they are the frame."""
    head, check = frame[: 1 + HEAD], frame[-CHECK:]
    said: list[Said] = [Notice(Word.IDENTITY, head[9:33].decode("ascii"), frame=head)]
    for ordinal, at in enumerate(range(1 + HEAD, len(frame) - CHECK, RECORD)):
        said.append(_sample(frame[at : at + RECORD], ordinal))
    return [*said, Notice(Word.STATE, "end-of-memory", len(said) - 1, check)]


def _sample(record: bytes, ordinal: int) -> Sample:
    word = int(record[16:24], 16)
    systolic, diastolic, pulse = word & 0x3FF, word >> 10 & 0x3FF, word >> 20 & 0x3FF
    time, flag = _time(record[:10])
    why = "bad-date" if time is None else None if systolic and diastolic else "no-value"
    numerics = (
        numeric(Metric.SYSTOLIC, None if why else systolic),
        numeric(Metric.DIASTOLIC, None if why else diastolic),
        numeric(Metric.PULSE_RATE, None if why else pulse or None),
    )
    return Sample(
        ReadingKind.BLOOD_PRESSURE, numerics, record, invalid=why, result=True, source=Source.MEMORY, device_time=time, ordinal=ordinal,
        signals=flag,
    )  # fmt: skip


def _time(digits: bytes) -> tuple[str | None, tuple[tuple[str, int], ...]]:
    if not digits.isdigit():
        return None, (("clock_implausible", 1),)
    year, *rest = (int(digits[place : place + 2]) for place in range(0, 10, 2))
    return device_clock(2000 + year, *rest)


class Microlife(Listening):
    """Driver of one cuff: it listens, and asks for the memory when it is told to."""

    def __init__(self) -> None:
        super().__init__(_look, _read)

    def recall(self, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """Ask for the memory; nothing in it is changed by that."""
        return [Send(DOWNLOAD)]


ROW = Row(
    name="microlife",
    title="Microlife WatchBP, BP A200, BPA-100: the memory",
    kind=ReadingKind.BLOOD_PRESSURE,
    metrics=(Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.PULSE_RATE),
    line=Line(baud=19200),
    pace=1920,
    bound=LONGEST,
    make=lambda rest_s: Microlife(),  # noqa: ARG005 - the cuff keeps its own rest
    listen=Microlife,
    silence_s=3600.0,
    service=False,  # of 32 downloads that came through damaged 13 had another number (make fuzz); no recording is known
)
"""This family in the registry."""
