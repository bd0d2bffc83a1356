"""Nellcor N-560, N-595 and N-600x: the printout on the serial line, one line every two seconds.

Source: the project's protocol sheet (lines of real printouts; the list of status codes from a specification file). A line is
``dd-MMM-yy HH:mm:ss  SpO2  BPM  PA  status…``; ``*`` directly after a number means that it violates an alarm limit, ``---`` is no
value. Month names are English whatever the station speaks, and blanks may arrive collapsed: lines are read by their words, never by
columns. Every 22 lines three header lines come: version and limits, patient mode, column titles.

There is no checksum. A line counts only when every word of it is known to the grammar; one word cut off makes it noise.

The monitor also takes commands (``03 03``, then a menu that can set its clock): none of them exists here, the driver only listens.
"""

import re

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import ReadingKind
from appliance.devices.driver import SECOND, Line, Row
from appliance.devices.events import Notice, Said, Sample, Word, numeric
from appliance.devices.listening import Listening, device_clock, line_end, lines

EVERY_NS = 2 * SECOND
"""One line every two seconds."""
LONGEST = 160
"""The longest line that is waited for (judgement: real ones have at most 80 characters)."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NO_FINGER = {"SD": "sensor-disconnected", "SO": "sensor-off", "PS": "searching"}
"""Codes under which a printed number is no value, in the order in which they explain why."""
LIMITS = frozenset({"PH", "PL", "SH", "SL", "LB"})
"""Codes that say nothing about the worth of a number: above or below a limit, battery."""
ALARM_QUIET = frozenset({"AO", "AS"})
"""Alarm off, alarm silenced. Any other code (MO interference or motion, LM, LP and unknown ones) makes the numbers questionable."""

_RECORD = re.compile(
    rb"[ \t]*(?P<day>\d\d)-(?P<month>" + "|".join(MONTHS).encode() + rb")-(?P<year>\d\d) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    rb"[ \t]+(?P<spo2>\d{1,3}|---)(?P<spo2_alarm>\*?)[ \t]+(?P<pulse>\d{1,3}|---)(?P<pulse_alarm>\*?)[ \t]+(?P<pa>\d{1,3}|---)\*?"
    rb"(?P<status>(?:[ \t]+[A-Z]{2})*)[ \t]*[\r\n]$"
)
_VERSION = re.compile(
    rb"[ \t]*(?P<model>N-\d{3}\w?)[ \t]+VERSION[ \t]+(?P<version>\S+)[ \t]+CRC:(?P<crc>\S+)[ \t]+"
    rb"SpO2 Limit:[ \t]*(?P<spo2>\d+-\d+)%[ \t]+PR Limit:[ \t]*(?P<pulse>\d+-\d+)BPM[ \t]*[\r\n]$"
)
_MODE = re.compile(rb"[ \t]*(?P<mode>ADULT|NEO[A-Z]*)(?:[ \t]+(?P<seconds>\d+) ?SAT-S)?[ \t]*[\r\n]$")
_TITLES = re.compile(rb"[ \t]*TIME[ \t]+%SpO2[ \t]+BPM[ \t]+PA[ \t]+Status[ \t]*[\r\n]$")
_ALL = (_RECORD, _VERSION, _MODE, _TITLES)


def _begins(line: bytes) -> int | None:
    """Where the record in a line begins; all of them end with the line."""
    found = [match.start() for match in (each.search(line) for each in _ALL) if match]
    return min(found, default=None)


def _read(frame: bytes) -> list[Said]:
    ended = line_end(frame)
    if ended is not None:
        return ended
    record = _RECORD.match(frame)
    if record is not None:
        return [_sample(record, frame)]
    version, mode = _VERSION.match(frame), _MODE.match(frame)
    if version is not None:
        model, number, spo2, pulse = (version[name].decode("ascii", "replace") for name in ("model", "version", "spo2", "pulse"))
        return [Notice(Word.IDENTITY, f"{model} {number}, SpO2 {spo2} %, PR {pulse}/min", frame=frame)]
    return [Notice(Word.STATE, mode["mode"].decode().lower() if mode else "titles", frame=frame)]


def _sample(record: re.Match[bytes], frame: bytes) -> Sample:
    codes = record["status"].decode().split()
    spo2, pulse = _number(record["spo2"], 100), _number(record["pulse"], 999)
    why = next((reason for code, reason in NO_FINGER.items() if code in codes), None)
    if why is None and spo2 is None and pulse is None:
        why = "no-value"
    status = Status(0)
    if set(codes) - LIMITS - ALARM_QUIET:
        status |= Status.QUESTIONABLE
    if set(codes) & ALARM_QUIET:
        status |= Status.ALARM_INHIBITED
    numerics = tuple(
        numeric(metric, None if why else value, status | (Status.IN_ALARM if alarm else Status(0)))
        for metric, value, alarm in (
            (Metric.SPO2, spo2, record["spo2_alarm"]),
            (Metric.PULSE_RATE, pulse, record["pulse_alarm"]),
        )
    )
    year, day, hour, minute, second = (int(record[name]) for name in ("year", "day", "hour", "minute", "second"))
    time, flag = device_clock(2000 + year, MONTHS.index(record["month"].decode()) + 1, day, hour, minute, second)
    amplitude = _number(record["pa"], 999)
    signals = (() if amplitude is None else (("pulse_amplitude", amplitude),)) + flag
    return Sample(ReadingKind.SPO2, numerics, frame, invalid=why, device_time=time, signals=signals, every_ns=EVERY_NS)


def _number(text: bytes, most: int) -> int | None:
    """A printed number; dashes, a zero and what is above `most` are none."""
    return None if text == b"---" or not 0 < int(text) <= most else int(text)


def NellcorN560() -> Listening:  # noqa: N802 - a driver's name
    """Driver of one monitor."""
    return Listening(lines(LONGEST, _begins), _read)


ROW = Row(
    name="nellcor-n560",
    title="Nellcor N-560, N-595, N-600x: the printout",
    kind=ReadingKind.SPO2,
    metrics=(Metric.SPO2, Metric.PULSE_RATE),
    line=Line(baud=9600),
    pace=30,
    bound=LONGEST,
    make=lambda rest_s: NellcorN560(),  # noqa: ARG005 - it only listens
    listen=NellcorN560,
    writes=False,
    silence_s=7.0,
    averaging=2,
)
"""This family in the registry."""
