"""BPM PRO 2, a desktop arm-in cuff: live pressure, result and error, as the device sends them when its own button is pressed.

Source: one public program and its notes, with one example packet whose check was recomputed (medium confidence). Nothing is ever
sent: the start is second-hand, and the calibration commands next to it do not exist in this file. The family is off in service.

``5A length id F2 data crc crc``: the length counts the whole packet; CRC-16/Modbus over all before it, **high byte first**; numbers
are of two bytes, most significant first.
"""

from appliance.contract.metrics import Metric
from appliance.contract.readings import ReadingKind
from appliance.devices.driver import Line, Row
from appliance.devices.events import Notice, Said, Sample, Word, numeric
from appliance.devices.listening import Listening, device_clock, packets

UNIT = 0xF2
"""Fourth byte of every packet about blood pressure."""
RESULT, ERROR, PRESSURE, DEVICE_ID = 0x22, 0x25, 0x28, 0x0F
LENGTHS = range(6, 65)
"""Believed values of the length byte (judgement); 6 is a packet without data."""
RESULT_BYTES = 14
"""Four numbers, a year of two bytes, month, day, hour, minute."""
ERRORS = {1: "loose-cuff", 2: "leak", 3: "valve", 4: "weak-signal", 10: "ended-by-user", 11: "system", 37: "time-limit"}
"""Codes of an error packet, for people; they travel as ``device-error-<number>``. 0 is no error."""


def crc(data: bytes) -> int:
    """CRC-16/Modbus.

    >>> hex(crc(bytes.fromhex("5A0828F20030")))
    '0x6745'
    """
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _OF_BYTE[(value ^ byte) & 0xFF]
    return value


def _of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


_OF_BYTE = tuple(map(_of_byte, range(256)))


def checked(frame: bytes) -> bool:
    """True when the check fits."""
    return crc(frame[:-2]) == int.from_bytes(frame[-2:], "big")


def _read(frame: bytes) -> list[Said]:
    about, unit, data = frame[2], frame[3], frame[4:-2]
    if unit != UNIT:
        return [Notice(Word.STATE, f"unit-{unit:02x}", frame=frame)]
    if about == PRESSURE and len(data) >= 2:
        return [Notice(Word.PRESSURE, "", int.from_bytes(data[:2], "big"), frame)]
    if about == RESULT:
        return [_result(data, frame)]
    if about == ERROR and data and data[0]:
        return [_sample(None, frame, f"device-error-{data[0]}")]
    if about == DEVICE_ID and data:
        return [Notice(Word.IDENTITY, data.decode("ascii", "replace").strip("\0 "), frame=frame)]
    return [Notice(Word.STATE, f"packet-{about:02x}", frame=frame)]


def _result(data: bytes, frame: bytes) -> Sample:
    if len(data) < RESULT_BYTES:
        return _sample(None, frame, "unknown-layout")
    systolic, diastolic, mean, pulse, year = (int.from_bytes(data[at : at + 2], "big") for at in range(0, 10, 2))
    time, flag = device_clock(year, *data[10:14])
    why = None if systolic and diastolic else "no-value"
    return _sample(None if why else (systolic, diastolic, mean, pulse), frame, why, time, flag)


def _sample(
    values: tuple[int, int, int, int] | None,
    frame: bytes,
    why: str | None,
    time: str | None = None,
    flag: tuple[tuple[str, int], ...] = (),
) -> Sample:
    systolic, diastolic, mean, pulse = values or (None, None, None, None)
    numerics = (
        numeric(Metric.SYSTOLIC, systolic),
        numeric(Metric.DIASTOLIC, diastolic),
        numeric(Metric.MEAN, mean or None),
        numeric(Metric.PULSE_RATE, pulse or None),
    )
    return Sample(ReadingKind.BLOOD_PRESSURE, numerics, frame, invalid=why, result=True, device_time=time, signals=flag)


def BpmPro2() -> Listening:  # noqa: N802 - a driver's name
    """Driver of one cuff."""
    return Listening(packets(b"\x5a", 1, 0, LENGTHS, checked), _read)


ROW = Row(
    name="bpm-pro2",
    title="BPM PRO 2 desktop cuff (experimental: one public vector)",
    kind=ReadingKind.BLOOD_PRESSURE,
    metrics=(Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN, Metric.PULSE_RATE),
    line=Line(baud=19200),
    pace=1920,
    bound=LENGTHS[-1],
    make=lambda rest_s: BpmPro2(),  # noqa: ARG005 - it only listens
    listen=BpmPro2,
    writes=False,
    silence_s=3600.0,
    service=False,
)
"""This family in the registry."""
