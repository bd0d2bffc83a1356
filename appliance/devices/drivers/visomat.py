"""Visomat double comfort and relatives by Japan Precision Instruments (USB 1247:00f8): their two memories.

Source: the README of a public tool, with three records. An answer is ``STX R00``, then for each memory ``M1`` or ``M2``, two digits
count and the records, then ``ETX``. A record is ``yymmddhhmm``, one flag (1 = irregular pulse, unverified), and three digits each of
systolic, diastolic and pulse; the tool prints blanks around the flag, which are read too. There is no checksum: a count that does
not fit makes the whole answer noise.

The device calls itself a serial port and is not one that Linux accepts: it needs USB bulk transfers, which the box does not have.
So the family decodes recordings and is off in service. Real records are dated 2044 and 2010: its clock is often dead.
"""

import re

from appliance.contract.metrics import Metric
from appliance.contract.readings import ReadingKind, Source
from appliance.devices.driver import Line, Row
from appliance.devices.events import Notice, Said, Sample, Word, numeric
from appliance.devices.framing import CUT, GARBAGE, LENGTH
from appliance.devices.listening import Listening, device_clock

STX, ETX = b"\x02", b"\x03"
LONGEST = 2 + 3 + 2 * (4 + 99 * 22)
"""Two memories of 99 records with blanks."""
_HEAD = b"R00"
_TEXT = re.compile(rb"[R0-9M ]*")
_MEMORY = re.compile(rb"M([12])(\d\d)((?:\d{10} ?\d ?\d{9})*)")
_RECORD = re.compile(rb"(\d{10}) ?(\d) ?(\d{3})(\d{3})(\d{3})")


def _look(data: bytes, at: int, after: bool) -> tuple[int, str | None]:  # noqa: ARG001 - as every look
    begins = data.find(STX, at)
    if begins != at:
        return (len(data) if begins < 0 else begins) - at, GARBAGE
    text = _TEXT.match(data, at + 1, at + LONGEST)
    end = text.end() if text else at + 1
    if not _HEAD.startswith(data[at + 1 : min(end, at + 4)]):
        return 1, GARBAGE
    if end == len(data) and end < at + LONGEST:
        return 0, None
    if data[end : end + 1] != ETX:
        return 1, CUT
    return (end + 1 - at, None) if _memories(data[at : end + 1]) is not None else (1, LENGTH)


def _memories(frame: bytes) -> list[re.Match[bytes]] | None:
    """The memories of a whole answer; None when it does not consist of them or a count does not fit."""
    found: list[re.Match[bytes]] = []
    at = 1 + len(_HEAD)
    while at < len(frame) - 1:
        memory = _MEMORY.match(frame, at)
        if memory is None or len(_RECORD.findall(memory[3])) != int(memory[2]):
            return None
        found.append(memory)
        at = memory.end()
    return found


def _read(frame: bytes) -> list[Said]:
    """Heads and end as notices, a sample for each record: joined they are the frame."""
    said: list[Said] = []
    at = 0
    for memory in _memories(frame) or []:
        begins = memory.start(3)
        said.append(Notice(Word.STATE, f"memory-{int(memory[1])}", int(memory[2]), frame[at:begins]))
        for ordinal, record in enumerate(_RECORD.finditer(frame, begins, memory.end())):
            said.append(_sample(record, ordinal, int(memory[1])))
        at = memory.end()
    return [*said, Notice(Word.STATE, "end-of-memory", frame=frame[at:])]


def _sample(record: re.Match[bytes], ordinal: int, memory: int) -> Sample:
    year, *rest = (int(record[1][place : place + 2]) for place in range(0, 10, 2))
    time, flag = device_clock(2000 + year, *rest)
    systolic, diastolic, pulse = (int(record[place]) for place in (3, 4, 5))
    why = None if systolic and diastolic else "no-value"
    numerics = (
        numeric(Metric.SYSTOLIC, None if why else systolic),
        numeric(Metric.DIASTOLIC, None if why else diastolic),
        numeric(Metric.PULSE_RATE, None if why else pulse or None),
    )
    return Sample(
        ReadingKind.BLOOD_PRESSURE,
        numerics,
        record[0],
        invalid=why,
        result=True,
        source=Source.MEMORY,
        device_time=time,
        ordinal=ordinal,
        signals=(("memory", memory), ("irregular_pulse", int(record[2] == b"1")), *flag),
    )


def Visomat() -> Listening:  # noqa: N802 - a driver's name
    """Driver of one cuff."""
    return Listening(_look, _read)


ROW = Row(
    name="visomat",
    title="Visomat, Japan Precision Instruments: the memories (decodes only: needs USB bulk)",
    kind=ReadingKind.BLOOD_PRESSURE,
    metrics=(Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.PULSE_RATE),
    line=Line(baud=9600),
    pace=960,
    bound=LONGEST + 1,
    make=lambda rest_s: Visomat(),  # noqa: ARG005 - it only listens
    listen=Visomat,
    writes=False,
    silence_s=3600.0,
    service=False,
)
"""This family in the registry."""
