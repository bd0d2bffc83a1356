"""Masimo Rad-8 and Radical-7, serial output "ASCII 1": one line of NAME=VALUE fields a second.

Source: lines of real monitors and their meaning as the project's protocol sheet lists them. Order and set of the fields differ by
model (ALARM of four or six digits, EXC of six or seven, PI with or without ``%``, PVI, SPHB …): fields are found by name. What
every model sends is required, in its fixed width, so that a line that lost a character is noise: the time, SPO2, BPM and EXC.

A Rad-8 is delivered in "ASCII 2": hold Enter and Down for 5 s, menu level 3, to change it.

There is no checksum. The driver only listens.
"""

import re

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import ReadingKind
from appliance.devices.driver import SECOND, Line, Row
from appliance.devices.events import Said, Sample, numeric
from appliance.devices.listening import Listening, device_clock, line_end, lines

EVERY_NS = SECOND
"""One line a second."""
LONGEST = 400
"""The longest line that is waited for (judgement: real ones have at most 250 characters)."""

NO_VALUE = ((0x001, "no-sensor"), (0x020, "sensor-off"), (0x008, "searching"), (0x400, "low-signal"))
"""Bits of EXC under which SpO2 and pulse are no values, in the order in which they explain why."""
DOUBT = 0x002 | 0x004 | 0x010 | 0x040 | 0x080
"""Bits that keep the numbers and mark them: defective sensor, low perfusion, interference, ambient light, unrecognised sensor."""
HIGH_SPO2, LOW_SPO2, HIGH_PULSE, LOW_PULSE = 0x01, 0x02, 0x04, 0x08
MUTED = 0x20
"""Bits of ALARM (found by experiment; the vendor does not document them). 10 = triggered says nothing beside them."""

_LINE = re.compile(
    rb"(?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d\d) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    rb"(?P<fields>(?:[ \t]+[A-Z][A-Z0-9]*=\S+)+)[ \t]*[\r\n]$"
)
_THREE = re.compile(r"(\d{3}|---)%?")
_EXC = re.compile(r"[0-9A-F]{6,7}")
_ALARM = re.compile(r"[0-9A-F]{4,6}")
_PERFUSION = re.compile(r"(\d{1,2})\.(\d{1,2})%?")


def _begins(line: bytes) -> int | None:
    match = _LINE.search(line)
    return match.start() if match and _fields(match) is not None else None


def _fields(match: re.Match[bytes]) -> dict[str, str] | None:
    """The fields by name; None when one that every model sends is missing, twice there, or not of its width."""
    pairs = [each.partition("=") for each in match["fields"].decode("ascii", "replace").split()]
    fields = {name: value for name, _, value in pairs}
    whole = (
        len(fields) == len(pairs)
        and _THREE.fullmatch(fields.get("SPO2", ""))
        and _THREE.fullmatch(fields.get("BPM", ""))
        and _EXC.fullmatch(fields.get("EXC", ""))
    )
    return fields if whole else None


def _read(frame: bytes) -> list[Said]:
    ended = line_end(frame)
    match = _LINE.match(frame)
    fields = _fields(match) if match else None
    if ended is not None or match is None or fields is None:
        return ended or []
    exc = int(fields["EXC"], 16)
    alarm = int(fields["ALARM"], 16) if _ALARM.fullmatch(fields.get("ALARM", "")) else 0
    why = next((reason for bit, reason in NO_VALUE if exc & bit), None)
    spo2, pulse = _number(fields["SPO2"], 100), _number(fields["BPM"], 999)
    if why is None and spo2 is None and pulse is None:
        why = "no-value"
    status = (Status.QUESTIONABLE if exc & DOUBT else Status(0)) | (Status.ALARM_INHIBITED if alarm & MUTED else Status(0))
    numerics = [
        numeric(Metric.SPO2, None if why else spo2, status | _alarmed(alarm, HIGH_SPO2 | LOW_SPO2)),
        numeric(Metric.PULSE_RATE, None if why else pulse, status | _alarmed(alarm, HIGH_PULSE | LOW_PULSE)),
    ]
    if "PI" in fields:
        numerics.append(numeric(Metric.PERFUSION, None if why else _perfusion(fields["PI"]), status, 2))
    month, day, year, hour, minute, second = (int(match[name]) for name in ("month", "day", "year", "hour", "minute", "second"))
    time, flag = device_clock(2000 + year, month, day, hour, minute, second)
    signals = (("exc", exc), ("alarm", alarm), *flag)
    return [Sample(ReadingKind.SPO2, tuple(numerics), frame, invalid=why, device_time=time, signals=signals, every_ns=EVERY_NS)]


def _number(text: str, most: int) -> int | None:
    """A number of three digits; dashes, a zero and what is above `most` are none."""
    digits = text.rstrip("%")
    return None if digits == "---" or not 0 < int(digits) <= most else int(digits)


def _perfusion(text: str) -> int | None:
    """Perfusion index × 100; a zero is none."""
    match = _PERFUSION.fullmatch(text)
    return (int(match[1]) * 100 + int(match[2].ljust(2, "0"))) or None if match else None


def _alarmed(alarm: int, bits: int) -> Status:
    return Status.IN_ALARM if alarm & bits else Status(0)


def MasimoAscii1() -> Listening:  # noqa: N802 - a driver's name
    """Driver of one monitor."""
    return Listening(lines(LONGEST, _begins), _read)


ROW = Row(
    name="masimo-ascii1",
    title="Masimo Rad-8, Radical-7: serial output ASCII 1",
    kind=ReadingKind.SPO2,
    metrics=(Metric.SPO2, Metric.PULSE_RATE, Metric.PERFUSION),
    line=Line(baud=9600),
    pace=130,
    bound=LONGEST,
    make=lambda rest_s: MasimoAscii1(),  # noqa: ARG005 - it only listens
    listen=MasimoAscii1,
    writes=False,
    silence_s=5.0,
    averaging=2,
)
"""This family in the registry."""
