"""Monitors that send HL7 v2: the messages ORU^R01 of a byte stream framed as MLLP (``0B … 1C 0D``).

Source: HL7 v2 itself; which codes a monitor uses is the maker's choice, so observations are read by their code (MDC number or name,
LOINC) and their unit. A value whose code is known and whose unit is another one is no value: nothing is converted here. One message
is one sample and a finished measurement: a monitor sends them by the minute or when it has been told to.

Messages come over the station's network and not over a line of a device: the family has a unit of its own, and `tram collect`
refuses it. This driver decodes; it answers nothing.
"""

import re

from appliance.contract.metrics import TABLE, Metric
from appliance.contract.readings import ReadingKind
from appliance.devices.driver import Line, Row
from appliance.devices.events import Notice, Said, Sample, Word, numeric
from appliance.devices.framing import CUT, GARBAGE
from appliance.devices.listening import Listening, device_clock

START, END = b"\x0b", b"\x1c\r"
HEAD = b"MSH"
LONGEST = 65536
"""The longest message that is waited for (judgement: a monitor's are a few kB)."""
UNIT = "tram-listen@"
"""The systemd unit that serves this family."""

UNITS: dict[str, tuple[str, ...]] = {
    "%": ("%", "262688", "MDC_DIM_PERCENT"),
    "/min": ("/min", "1/min", "bpm", "{beats}/min", "{breaths}/min", "264864", "264928", "MDC_DIM_BEAT_PER_MIN", "MDC_DIM_RESP_PER_MIN"),
    "mmHg": ("mmHg", "mm[Hg]", "266016", "MDC_DIM_MMHG"),
    "°C": ("Cel", "°C", "C", "268192", "MDC_DIM_DEGC"),
    "mg/dL": ("mg/dL", "264274", "MDC_DIM_MILLI_G_PER_DL"),
    "kg": ("kg", "263875", "MDC_DIM_KILO_G"),
    "cm": ("cm", "263441", "MDC_DIM_CENTI_M"),
}
"""Unit of the contract to the ways it is written (UCUM, MDC number, MDC name, habit). No unit at all is taken as the code's own."""
CODES: dict[str, Metric] = {
    str(code): metric
    for metric, row in TABLE.items()
    if row.of is None and row.unit in UNITS
    for code in (row.mdc, row.loinc)
    if code is not None
} | {
    "2708-6": Metric.SPO2, "8889-8": Metric.PULSE_RATE, "147842": Metric.PULSE_RATE, "150301": Metric.SYSTOLIC,
    "150302": Metric.DIASTOLIC, "150303": Metric.MEAN, "150344": Metric.TEMPERATURE, "151578": Metric.RESPIRATION,
    "MDC_PULS_OXIM_SAT_O2": Metric.SPO2, "MDC_PULS_OXIM_PULS_RATE": Metric.PULSE_RATE, "MDC_ECG_HEART_RATE": Metric.PULSE_RATE,
    "MDC_PULS_OXIM_PERF_REL": Metric.PERFUSION, "MDC_PRESS_BLD_NONINV_SYS": Metric.SYSTOLIC,
    "MDC_PRESS_BLD_NONINV_DIA": Metric.DIASTOLIC, "MDC_PRESS_BLD_NONINV_MEAN": Metric.MEAN, "MDC_PRESS_CUFF_SYS": Metric.SYSTOLIC,
    "MDC_PRESS_CUFF_DIA": Metric.DIASTOLIC, "MDC_PRESS_CUFF_MEAN": Metric.MEAN, "MDC_TEMP": Metric.TEMPERATURE,
    "MDC_TEMP_BODY": Metric.TEMPERATURE, "MDC_RESP_RATE": Metric.RESPIRATION, "MDC_TTHOR_RESP_RATE": Metric.RESPIRATION,
    "MDC_MASS_BODY_ACTUAL": Metric.WEIGHT,
}  # fmt: skip
"""Observation codes: MDC numbers and LOINC of the contract, and the relatives that monitors use (IEEE 11073-10101 reference ids)."""
FINAL = frozenset({"", "F", "R", "P", "C", "U"})
"""Result statuses under which a value is one: final, not verified, preliminary, corrected. Deleted, wrong, missing … are none."""

_VALUE = re.compile(r"[+]?(\d{1,4})(?:\.(\d{1,4}))?")
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(?:\.\d+)?(?:[+-]\d{4})?")
_KINDS = (
    (ReadingKind.SPO2, Metric.SPO2, {Metric.SPO2, Metric.PULSE_RATE, Metric.PERFUSION}),
    (ReadingKind.BLOOD_PRESSURE, Metric.SYSTOLIC, {Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN, Metric.PULSE_RATE}),
    (ReadingKind.TEMPERATURE, Metric.TEMPERATURE, {Metric.TEMPERATURE}),
    (ReadingKind.GLUCOSE, Metric.GLUCOSE, {Metric.GLUCOSE}),
    (ReadingKind.WEIGHT, Metric.WEIGHT, {Metric.WEIGHT, Metric.HEIGHT}),
)
"""Kinds with the metric they need and all they may have; any other mixture is vital signs."""


def _look(data: bytes, at: int, after: bool) -> tuple[int, str | None]:  # noqa: ARG001 - as every look
    begins = data.find(START, at)
    if begins != at:
        return (len(data) if begins < 0 else begins) - at, GARBAGE
    if not HEAD.startswith(data[at + 1 : at + 1 + len(HEAD)]):
        return 1, GARBAGE
    end = data.find(END, at, at + LONGEST)
    again = data.find(START, at + 1, end if end >= 0 else at + LONGEST)
    if again >= 0:
        return again - at, CUT
    if end < 0:
        return (0, None) if len(data) - at < LONGEST else (1, CUT)
    return end + len(END) - at, None


def _read(frame: bytes) -> list[Said]:
    text = frame[1 : -len(END)].decode("utf-8", "replace")
    bar = text[3:4] or "|"
    caret = text[4:5] or "^"
    segments = [line.split(bar) for line in re.split(r"[\r\n]+", text) if line]
    head = segments[0]
    kind = _at(head, 8).split(caret)  # MSH counts its own bar as field 1
    if kind[:2] != ["ORU", "R01"]:
        return [Notice(Word.STATE, "message-" + "-".join(kind[:2]), frame=frame)]
    values, said_at = _observations(segments, caret)
    times = [*said_at, *(_at(each, 7) for each in segments if each[0] == "OBR"), _at(head, 6)]
    time, flag = _time(next((each for each in times if each), ""))
    why = None if any(value is not None for value in values.values()) else "no-value"
    numerics = tuple(numeric(metric, value, scale=TABLE[metric].scale) for metric, value in values.items())
    return [Sample(_kind(set(values)), numerics, frame, invalid=why, result=True, device_time=time, signals=flag)]


def _observations(segments: list[list[str]], caret: str) -> tuple[dict[Metric, int | None], list[str]]:
    """The values by metric in the metric's own scale, and when the observations were made. The first value of a metric counts."""
    values: dict[Metric, int | None] = {}
    times: list[str] = []
    for fields in segments:
        if fields[0] != "OBX":
            continue
        code = _at(fields, 3).split(caret)
        metric = next((CODES[part] for part in (_at(code, 0), _at(code, 1), _at(code, 3), _at(code, 4)) if part in CODES), None)
        if metric is None or values.get(metric) is not None:
            continue
        unit = [part for part in _at(fields, 6).split(caret) if part]
        usable = _at(fields, 11) in FINAL and (not unit or any(part in UNITS[TABLE[metric].unit] for part in unit))
        values[metric] = _number(_at(fields, 5).strip(), metric) if usable else None
        times.append(_at(fields, 14))
    return values, times


def _number(text: str, metric: Metric) -> int | None:
    """The value in the metric's scale, half up; a zero of a person is none (a perfusion or anything else neither)."""
    match = _VALUE.fullmatch(text)
    if match is None or not text.isascii():
        return None
    scale = TABLE[metric].scale
    tenths = int(match[1]) * 10**4 + int((match[2] or "").ljust(4, "0"))
    value = (tenths + 5 * 10 ** (3 - scale)) // 10 ** (4 - scale)
    return None if not value or (metric is Metric.SPO2 and value > 100) else value


def _kind(metrics: set[Metric]) -> ReadingKind:
    return next((kind for kind, needed, all_of in _KINDS if needed in metrics <= all_of), ReadingKind.VITAL_SIGNS)


def _time(text: str) -> tuple[str | None, tuple[tuple[str, int], ...]]:
    """As the device says it, without its zone."""
    match = _TIME.fullmatch(text) if text.isascii() else None
    return device_clock(*(int(part or 0) for part in match.groups())) if match else (None, ())


def _at(fields: list[str], place: int) -> str:
    return fields[place] if place < len(fields) else ""


def Hl7Mllp() -> Listening:  # noqa: N802 - a driver's name
    """Decoder of one stream."""
    return Listening(_look, _read)


ROW = Row(
    name="hl7-mllp",
    title="Monitors that send HL7 v2 ORU^R01 over MLLP (its own unit on the station's network)",
    kind=ReadingKind.VITAL_SIGNS,
    metrics=(
        Metric.SPO2, Metric.PULSE_RATE, Metric.PERFUSION, Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN, Metric.TEMPERATURE,
        Metric.RESPIRATION, Metric.GLUCOSE, Metric.WEIGHT, Metric.HEIGHT,
    ),
    line=Line(baud=9600),
    pace=960,
    bound=LONGEST,
    make=lambda rest_s: Hl7Mllp(),  # noqa: ARG005 - it only listens
    listen=Hl7Mllp,
    writes=False,
    silence_s=3600.0,
    service=False,
    unit=UNIT,
)  # fmt: skip
"""This family in the registry."""
