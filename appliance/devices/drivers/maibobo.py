"""MaiBoBo RBP arm-in cuffs: what the device says while it measures and when it has.

Source: one public program whose two readers disagree on where the numbers of a result stand; a second program for a relative of
the family (RBP9804) agrees with the first reader, whose places are used. No recording is known: the family is off in service, and
nothing is ever sent (start and stop are known, but a cuff is not started on such grounds).

``AA 80 03 length t1 t2 data xor``: the length counts t1, t2 and the data; the xor goes over everything behind the two head bytes.
"""

from functools import reduce
from operator import xor

from appliance.contract.metrics import Metric
from appliance.contract.readings import ReadingKind
from appliance.devices.driver import Line, Row
from appliance.devices.events import Notice, Said, Sample, Word, numeric
from appliance.devices.listening import Listening, packets

LENGTHS = range(2, 65)
"""Believed values of the length byte (judgement)."""
PRESSURE, RESULT, ERROR = b"\x01\x05", b"\x01\x06", b"\x01\x07"
WORDS = {b"\x01\x01": "connected", b"\x01\x02": "started", b"\x01\x03": "stopped"}
"""Answers to commands of somebody else's program."""
ERRORS = {1: "overpressure", 2: "cuff-leak", 5: "cuff-leak", 6: "sensor", 9: "deflation", 15: "leak", 16: "motor"}
"""Codes of an error packet, for people; they travel as ``device-error-<number>``."""
NUMBERS = 7
"""Where in a result's data systolic, diastolic and pulse begin, two bytes each, most significant first."""


def checked(frame: bytes) -> bool:
    """True when the xor over everything behind the head is 0."""
    return reduce(xor, frame[2:]) == 0


def _read(frame: bytes) -> list[Said]:
    about, data = frame[4:6], frame[6:-1]
    if about == PRESSURE and len(data) >= 2:
        return [Notice(Word.PRESSURE, "", int.from_bytes(data[:2], "big"), frame)]
    if about == RESULT:
        return [_result(data, frame)]
    if about == ERROR:
        return [_sample(None, frame, f"device-error-{data[0] if data else 0}")]
    return [Notice(Word.STATE, WORDS.get(about, f"packet-{about.hex()}"), frame=frame)]


def _result(data: bytes, frame: bytes) -> Sample:
    if len(data) < NUMBERS + 6:
        return _sample(None, frame, "unknown-layout")
    systolic, diastolic, pulse = (int.from_bytes(data[at : at + 2], "big") for at in (NUMBERS, NUMBERS + 2, NUMBERS + 4))
    if not systolic or not diastolic:
        return _sample(None, frame, "no-value")
    if not diastolic < systolic <= 300 or pulse > 300:
        return _sample(None, frame, "unknown-layout")  # no cuff says such numbers: they stand elsewhere
    return _sample((systolic, diastolic, pulse), frame, None)


def _sample(values: tuple[int, int, int] | None, frame: bytes, why: str | None) -> Sample:
    systolic, diastolic, pulse = values or (None, None, None)
    numerics = (numeric(Metric.SYSTOLIC, systolic), numeric(Metric.DIASTOLIC, diastolic), numeric(Metric.PULSE_RATE, pulse or None))
    return Sample(ReadingKind.BLOOD_PRESSURE, numerics, frame, invalid=why, result=True)


def Maibobo() -> Listening:  # noqa: N802 - a driver's name
    """Driver of one cuff."""
    return Listening(packets(b"\xaa\x80\x03", 3, 5, LENGTHS, checked), _read)


ROW = Row(
    name="maibobo",
    title="MaiBoBo RBP arm-in cuff (experimental: no recording is known)",
    kind=ReadingKind.BLOOD_PRESSURE,
    metrics=(Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.PULSE_RATE),
    line=Line(baud=9600),
    pace=960,
    bound=LENGTHS[-1] + 5,
    make=lambda rest_s: Maibobo(),  # noqa: ARG005 - it only listens
    listen=Maibobo,
    writes=False,
    silence_s=3600.0,
    service=False,
)
"""This family in the registry."""
