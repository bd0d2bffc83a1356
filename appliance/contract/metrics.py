"""What can be measured: one row per Metric with its codes, its unit and the bounds of the possible.

Codes: MDC numbers are IEEE 11073-10101 reference ids (partition << 16 | code) as HL7's uv/phd guide lists them;
LOINC and UCUM are those of the FHIR R4 vital-sign value set. Statistics of a measuring window (lowest, highest, length)
have no code of their own in those tables: they travel beside the metric they describe and say so by `of`.

Bounds are the *impossible*, not the abnormal (docs/decisions: plausibility): a value outside is refused with its
reason; a value inside is shown as measured, however ill the patient is.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag


class Metric(IntEnum):
    """The number of a metric on the wire. Numbers are never reused."""

    SPO2 = 1
    PULSE_RATE = 2
    SYSTOLIC = 3
    DIASTOLIC = 4
    MEAN = 5
    PERFUSION = 6
    TEMPERATURE = 7
    RESPIRATION = 8
    GLUCOSE = 9
    WEIGHT = 10
    HEIGHT = 11
    SPO2_LOW = 20
    SPO2_HIGH = 21
    PULSE_LOW = 22
    PULSE_HIGH = 23
    WINDOW = 24
    USABLE = 25
    CONSCIOUSNESS = 30
    OXYGEN_FLOW = 31


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One row of the table: `low` and `high` are the bounds of the possible in `unit`; `scale` is the usual number of decimals."""

    mdc: int | None
    loinc: str | None
    unit: str
    ucum: str
    scale: int
    low: float
    high: float
    vi: str
    en: str
    of: Metric | None = None

    @property
    def unit_vi(self) -> str:
        """The unit as a Vietnamese page says it."""
        return _UNITS_VI.get(self.unit, self.unit)


_UNITS_VI = {"/min": "lần/phút", "l/min": "lít/phút", "s": "giây"}
"""Units that are words; all others are signs that everybody reads alike."""

TABLE: dict[Metric, MetricRow] = {
    Metric.SPO2: MetricRow(150456, "59408-5", "%", "%", 0, 30, 100, "SpO₂", "SpO₂"),
    Metric.PULSE_RATE: MetricRow(149530, "8867-4", "/min", "/min", 0, 15, 300, "Mạch", "Pulse"),
    Metric.SYSTOLIC: MetricRow(150021, "8480-6", "mmHg", "mm[Hg]", 0, 30, 300, "Tâm thu", "Systolic"),
    Metric.DIASTOLIC: MetricRow(150022, "8462-4", "mmHg", "mm[Hg]", 0, 10, 200, "Tâm trương", "Diastolic"),
    Metric.MEAN: MetricRow(150023, "8478-0", "mmHg", "mm[Hg]", 0, 10, 300, "Trung bình", "Mean"),
    Metric.PERFUSION: MetricRow(150488, "61006-3", "%", "%", 2, 0, 100, "Tưới máu", "Perfusion"),
    Metric.TEMPERATURE: MetricRow(150364, "8310-5", "°C", "Cel", 1, 25, 45, "Nhiệt độ", "Temperature"),
    Metric.RESPIRATION: MetricRow(151562, "9279-1", "/min", "/min", 0, 1, 120, "Nhịp thở", "Respiration"),
    Metric.GLUCOSE: MetricRow(160184, "2339-0", "mg/dL", "mg/dL", 0, 1, 2000, "Đường huyết", "Glucose"),
    Metric.WEIGHT: MetricRow(188736, "29463-7", "kg", "kg", 1, 0.2, 400, "Cân nặng", "Weight"),
    Metric.HEIGHT: MetricRow(188740, "8302-2", "cm", "cm", 1, 20, 260, "Chiều cao", "Height"),
    Metric.SPO2_LOW: MetricRow(None, None, "%", "%", 0, 0, 100, "SpO₂ thấp nhất", "Lowest SpO₂", Metric.SPO2),
    Metric.SPO2_HIGH: MetricRow(None, None, "%", "%", 0, 0, 100, "SpO₂ cao nhất", "Highest SpO₂", Metric.SPO2),
    Metric.PULSE_LOW: MetricRow(None, None, "/min", "/min", 0, 0, 511, "Mạch thấp nhất", "Lowest pulse", Metric.PULSE_RATE),
    Metric.PULSE_HIGH: MetricRow(None, None, "/min", "/min", 0, 0, 511, "Mạch cao nhất", "Highest pulse", Metric.PULSE_RATE),
    Metric.WINDOW: MetricRow(None, None, "s", "s", 1, 0, 3600, "Thời gian đo", "Window", Metric.SPO2),
    Metric.USABLE: MetricRow(None, None, "%", "%", 0, 0, 100, "Mẫu dùng được", "Usable samples", Metric.SPO2),
    Metric.CONSCIOUSNESS: MetricRow(None, "80288-4", "", "{score}", 0, 1, 5, "Tri giác", "Consciousness"),
    Metric.OXYGEN_FLOW: MetricRow(None, "3151-8", "l/min", "L/min", 1, 0, 100, "Oxy", "Oxygen"),
}


@dataclass(frozen=True, slots=True)
class Coded:
    """A value that stands for words: its letter where it has one, its SNOMED CT code, and the words."""

    letter: str
    snomed: str | None
    vi: str
    en: str


WORDS: dict[Metric, dict[int, Coded]] = {
    Metric.CONSCIOUSNESS: {
        1: Coded("A", "248234008", "Tỉnh", "Alert"),
        2: Coded("C", "130987000", "Lú lẫn mới xuất hiện", "New confusion"),
        3: Coded("V", "300202002", "Đáp ứng khi gọi", "Responds to voice"),
        4: Coded("P", "450847001", "Đáp ứng khi đau", "Responds to pain"),
        5: Coded("U", "422768004", "Không đáp ứng", "Unresponsive"),
    },
    Metric.OXYGEN_FLOW: {0: Coded("", None, "khí trời", "room air")},
}
"""Values that people read as words; what is not here is read as a number. They are names, not grades: no order is meant.

Consciousness is ACVPU of the RCP's NEWS2 chart with the SNOMED CT codes of HL7 UK's value set *UKCore-ACVPU* 2.1.0; LOINC
80288-4 is *Level of consciousness AVPU score*, 3151-8 (US Core vital signs) *Inhaled oxygen flow rate*, where 0 is room air.
"""


def coded(metric: Metric, value: int | None) -> Coded | None:
    """The words of a value (of scale 10**0, or any scale of 0); None where it is a number like any other.

    >>> found = coded(Metric.CONSCIOUSNESS, 3)
    >>> found.letter if found else None
    'V'
    """
    return None if value is None else WORDS.get(metric, {}).get(value)


class Status(IntFlag):
    """MeasurementStatus of IEEE 11073-20601; bit n of the standard's BITS-16 (counted from its first bit) is 1 << n here.

    `IntFlag` zero means *valid, nothing to say*.
    """

    INVALID = 1 << 0
    QUESTIONABLE = 1 << 1
    NOT_AVAILABLE = 1 << 2
    CALIBRATION_ONGOING = 1 << 3
    TEST_DATA = 1 << 4
    DEMO_DATA = 1 << 5
    VALIDATED_DATA = 1 << 8
    EARLY_INDICATION = 1 << 9
    MSMT_ONGOING = 1 << 10
    IN_ALARM = 1 << 14
    ALARM_INHIBITED = 1 << 15


STATUS_WORDS: dict[Status, str] = {flag: (flag.name or "").lower().replace("_", "-") for flag in Status}
"""The words a status is shown and exported with: ``test-data``, ``early-indication`` …"""


def words(status: int) -> list[str]:
    """The status as words, in bit order.

    >>> words(Status.TEST_DATA | Status.EARLY_INDICATION)
    ['test-data', 'early-indication']
    """
    return [word for flag, word in STATUS_WORDS.items() if status & flag]
