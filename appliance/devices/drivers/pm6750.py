"""BerryMed PM6750, a patient-monitor board: SpO2, cuff, respiration and heart rate, temperature.

Source: two public projects that disagree on the length of a packet; the sum of a published command decides for the first
(``55 AA n payload check``, n = payload + 2, check = complement of n + payload). What the start of a cuff cycle means is not
verified, so nothing is ever sent: the cuff is started by whoever has the board's own program, and the family is off in service.

The board repeats its latest cuff result and temperature again and again: only one that differs from the one before is a
measurement.
"""

from functools import lru_cache

from appliance.contract.metrics import Metric
from appliance.contract.readings import Numeric, ReadingKind
from appliance.devices.driver import SECOND, Line, Row
from appliance.devices.events import Notice, Said, Sample, Word, numeric
from appliance.devices.listening import Listening, packets

ECG, CUFF, OXYGEN, WARMTH = 2, 3, 4, 5
"""First payload byte: what the packet is about. Others (waves) are passed by."""
LENGTHS = range(3, 65)
"""Believed values of n (judgement)."""
NO_SPO2, NO_PULSE = 127, 255
"""Sentinels of the board's relatives (judgement: neither can be a value anyway)."""


def checked(frame: bytes) -> bool:
    """True when the last byte is the complement of the sum of n and the payload."""
    return ~sum(frame[2:-1]) & 0xFF == frame[-1]


class Pm6750(Listening):
    """Driver of one board; it never sends."""

    def __init__(self) -> None:
        super().__init__(packets(b"\x55\xaa", 2, 2, LENGTHS, checked), self._packet)
        self._latest: dict[ReadingKind, tuple[Numeric, ...]] = {}

    def _packet(self, frame: bytes) -> list[Said]:
        payload = frame[3:-1]
        kind, data = payload[0], payload[1:]
        if kind == OXYGEN and len(data) == 3:
            return [_oxygen(data, frame)]
        if kind == CUFF and len(data) == 5:
            return [self._fresh(_cuff(data, frame))]
        if kind == WARMTH and len(data) == 3:
            return [self._fresh(_warmth(data, frame))]
        if kind == ECG and len(data) == 3:
            return [_ecg(data, frame)]
        return [Notice(Word.STATE, f"packet-{kind:02x}", frame=frame)]

    def _fresh(self, sample: Sample) -> Sample:
        """A result only when it is not the one before again. A packet without a value lets the next one count anew."""
        before = self._latest.get(sample.kind)
        self._latest[sample.kind] = sample.numerics
        if not sample.valid or sample.numerics == before:
            return sample
        return Sample(sample.kind, sample.numerics, sample.frame, result=True, signals=sample.signals)


@lru_cache(256)  # the board says the same numbers again and again
def _numbers(metrics: tuple[Metric, ...], values: tuple[int | None, ...]) -> tuple[Numeric, ...]:
    return tuple([numeric(metric, value) for metric, value in zip(metrics, values, strict=True)])


def _oxygen(data: bytes, frame: bytes) -> Sample:
    status, spo2, pulse = data
    good = 0 < spo2 <= 100
    why = f"sensor-status-{status}" if status else None if good or 0 < pulse < NO_PULSE else "no-value"
    numerics = _numbers(
        (Metric.SPO2, Metric.PULSE_RATE),
        (spo2 if good and not why else None, pulse if 0 < pulse < NO_PULSE and not why else None),
    )
    return Sample(ReadingKind.SPO2, numerics, frame, invalid=why, signals=(("status", status),), every_ns=SECOND)


def _cuff(data: bytes, frame: bytes) -> Sample:
    status, cuff, systolic, mean, diastolic = data
    why = None if systolic and diastolic else "no-value"
    values = (None if why else systolic, None if why else diastolic, None if why or not mean else mean)
    numerics = _numbers((Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN), values)
    return Sample(ReadingKind.BLOOD_PRESSURE, numerics, frame, invalid=why, signals=(("status", status), ("cuff_pressure", 2 * cuff)))


def _warmth(data: bytes, frame: bytes) -> Sample:
    status, degrees, tenths = data
    why = f"sensor-status-{status}" if status else "no-value" if not degrees or tenths > 9 else None
    return Sample(
        ReadingKind.TEMPERATURE,
        (numeric(Metric.TEMPERATURE, None if why else 10 * degrees + tenths, scale=1),),
        frame,
        invalid=why,
        signals=(("status", status),),
    )


def _ecg(data: bytes, frame: bytes) -> Sample:
    heart, breath, level = data
    why = None if heart or breath else "no-value"
    numerics = _numbers((Metric.PULSE_RATE, Metric.RESPIRATION), (heart or None, breath or None))
    return Sample(ReadingKind.VITAL_SIGNS, numerics, frame, invalid=why, signals=(("st", level - 256 if level > 127 else level),))


ROW = Row(
    name="pm6750",
    title="BerryMed PM6750 monitor board (experimental: sources of medium-low confidence)",
    kind=ReadingKind.VITAL_SIGNS,
    metrics=(
        Metric.SPO2, Metric.PULSE_RATE, Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN, Metric.TEMPERATURE, Metric.RESPIRATION,
    ),
    line=Line(baud=115200),
    pace=40,
    bound=LENGTHS[-1] + 2,
    make=lambda rest_s: Pm6750(),  # noqa: ARG005 - it only listens
    listen=Pm6750,
    writes=False,
    service=False,
)  # fmt: skip
"""This family in the registry."""
