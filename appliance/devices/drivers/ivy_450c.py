"""Ivy 450C monitor, serial output "ANSAR-B": about one frame a second of waves and text.

Source: an open-source reader of the format (high confidence). A frame is ``FF`` ``"ANSAR-B "``, 200 ECG samples, 50 each of
respiration, pleth and two pressures, then lines of text ended by CR, then ``FE``; FB bytes may pad the waves. A text line is
``NAME=n;value;…;alarm``; an empty field is no value; what the first number means is not established. There is no checksum: a frame
counts when its waves are whole and its text is text to the end.

The numbers of the cuff (NIBP) stay on the monitor's screen until the next cycle. They count as a measurement only when they change
while somebody listens: the first ones heard may be hours old. HR comes from the ECG; the pulse is the oximeter's, and HR where it
has none.
"""

import re

from appliance.contract.metrics import Metric
from appliance.contract.readings import ReadingKind
from appliance.devices.driver import SECOND, Line, Row
from appliance.devices.events import Said, Sample, numeric
from appliance.devices.framing import CUT, GARBAGE, LENGTH
from appliance.devices.listening import Listening

HEAD = b"\xffANSAR-B "
WAVES = 200 + 4 * 50
"""Samples in a frame, a byte each."""
LONGEST = 1600
"""The longest frame that is waited for (judgement: head and waves are 409 bytes, the text some 200)."""
EVERY_NS = SECOND
WARM = (250, 450)
"""Tenths of °C between which a temperature is one (the contract's bounds): a monitor set to °F says others."""

_TEXT = re.compile(rb"(?:[A-Z][A-Z0-9]*=[\x20-\x7e]*\r\n?)+\xfe")
_LINE = re.compile(rb"([A-Z][A-Z0-9]*)=([\x20-\x7e]*)\r")
_NUMBER = re.compile(r"\d{1,3}(?:\.\d)?")
_PULSE = re.compile(r"PR=(\d{1,3})\s*")
_CUFF = (Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN)


def _look(data: bytes, at: int, after: bool) -> tuple[int, str | None]:  # noqa: ARG001 - as every look
    begins = data.find(HEAD[:1], at)
    if begins != at:
        return (len(data) if begins < 0 else begins) - at, GARBAGE
    if not HEAD.startswith(data[at : at + len(HEAD)]):
        return 1, GARBAGE
    text = _TEXT.search(data, at + len(HEAD), at + LONGEST)
    again = data.find(HEAD, at + 1, text.end() if text else at + LONGEST)
    if again >= 0:
        return 1, CUT  # another frame begins before this one has ended
    if text is None:
        return (0, None) if len(data) - at < LONGEST else (1, CUT)
    return (text.end() - at, None) if text.start() - at >= len(HEAD) + WAVES else (1, LENGTH)


class Ivy450c(Listening):
    """Driver of one monitor; it never sends."""

    def __init__(self) -> None:
        super().__init__(_look, self._frame)
        self._cuff: tuple[int | None, ...] | None = None

    def _frame(self, frame: bytes) -> list[Said]:
        values, signals = _values(frame)
        cuff = tuple(values[metric] for metric in _CUFF)
        fresh = self._cuff is not None and cuff != self._cuff and None not in cuff[:2]
        self._cuff = cuff
        why = None if any(value is not None for value in values.values()) else "no-value"
        numerics = tuple(numeric(metric, value, scale=int(metric is Metric.TEMPERATURE)) for metric, value in values.items())
        # A changed cuff is a sample of its own, from its line of text on: the stream of the oximeter goes on beside it.
        cut = frame.index(b"NIBP=", len(HEAD) + WAVES) if fresh else len(frame)
        shown = Sample(ReadingKind.VITAL_SIGNS, numerics, frame[:cut], invalid=why, signals=signals, every_ns=EVERY_NS)
        if not fresh:
            return [shown]
        pressures = tuple(numeric(metric, value) for metric, value in zip(_CUFF, cuff, strict=True))
        pulse = numeric(Metric.PULSE_RATE, dict(signals).get("cuff_pulse"))
        return [shown, Sample(ReadingKind.BLOOD_PRESSURE, (*pressures, pulse), frame[cut:], result=True, every_ns=0)]


def _values(frame: bytes) -> tuple[dict[Metric, int | None], tuple[tuple[str, int], ...]]:
    """The numbers by metric (temperature in tenths), and the heart rate beside them."""
    text = _TEXT.search(frame, len(HEAD) + WAVES)
    found = _LINE.findall(text[0]) if text else []
    fields = {name.decode(): [each.strip() for each in rest.decode("ascii").split(";")] for name, rest in found}
    oxygen = fields.get("SPO2", [])
    pulse = next((int(match[1]) for match in map(_PULSE.fullmatch, oxygen[2:]) if match), None)
    heart = _whole(fields.get("HR", []), 1)
    spo2, warm = _whole(oxygen, 1), _tenths(fields.get("T1", []), 1)
    cuff = fields.get("NIBP", [])
    values = {
        Metric.SPO2: spo2 if spo2 and spo2 <= 100 else None,
        Metric.PULSE_RATE: pulse or heart,
        Metric.RESPIRATION: _whole(fields.get("RR", []), 1),
        Metric.SYSTOLIC: _whole(cuff, 1),
        Metric.DIASTOLIC: _whole(cuff, 2),
        Metric.MEAN: _whole(cuff, 3),
        Metric.TEMPERATURE: warm if warm and WARM[0] <= warm <= WARM[1] else None,
    }
    signals = (() if heart is None else (("heart_rate", heart),)) + tuple(
        (name, value) for name, value in (("cuff_pulse", _whole(cuff, 4)), ("etco2", _whole(fields.get("ETCO2", []), 1))) if value
    )
    return values, signals


def _whole(fields: list[str], place: int) -> int | None:
    """A whole number; an empty field, words and a zero are none."""
    text = fields[place] if place < len(fields) else ""
    return int(text) or None if text.isascii() and text.isdigit() and len(text) <= 3 else None


def _tenths(fields: list[str], place: int) -> int | None:
    text = fields[place] if place < len(fields) else ""
    if not _NUMBER.fullmatch(text):
        return None
    degrees, _, tenth = text.partition(".")
    return int(degrees) * 10 + int(tenth or 0)


ROW = Row(
    name="ivy-450c",
    title="Ivy 450C monitor, serial output ANSAR-B",
    kind=ReadingKind.VITAL_SIGNS,
    metrics=(
        Metric.SPO2,
        Metric.PULSE_RATE,
        Metric.RESPIRATION,
        Metric.SYSTOLIC,
        Metric.DIASTOLIC,
        Metric.MEAN,
        Metric.TEMPERATURE,
    ),
    line=Line(baud=9600),
    pace=600,
    bound=LONGEST,
    make=lambda rest_s: Ivy450c(),  # noqa: ARG005 - it only listens
    listen=Ivy450c,
    writes=False,
    silence_s=5.0,
)
"""This family in the registry."""
