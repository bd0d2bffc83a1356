"""A reading: what one device settled on, when, and the key that makes it one reading for ever."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from appliance.contract.ids import READING_KEY_BYTES
from appliance.contract.metrics import TABLE, Metric, Status
from appliance.contract.wiring import wire


class ReadingKind(IntEnum):
    """What kind of measurement a reading is; its lower-case name is the word in files and on the command line."""

    SPO2 = 1
    BLOOD_PRESSURE = 2
    TEMPERATURE = 3
    GLUCOSE = 4
    WEIGHT = 5
    VITAL_SIGNS = 6
    SETTINGS = 7


class Source(IntEnum):
    """Where the device, or the person, had the value from."""

    LIVE = 0
    MEMORY = 1
    MANUAL = 2


class ClockQuality(IntEnum):
    """How far the wall guess of a stamp can be trusted (the bridge turns it into an error bar)."""

    UNKNOWN = 0
    RTC = 1
    SYNCED = 2


KEY_DOMAIN = "tram-reading-v1"
"""How the text that a reading key is the hash of begins."""
TICK_NS = 100_000_000
"""Times on the wire are tenths of a second: finer says nothing to a clinician and costs more bytes than a pulse does."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment as the box knows it: the boot, the time since that boot, and what the wall clock said then.

    `boot` is `ids.short_of(boot_id)`, `boot_seq` counts boots within an epoch; `ticks` are tenths of a second of
    CLOCK_BOOTTIME; `wall` is tenths of a second since 1970-01-01T00:00:00Z by the box's clock at that tick.
    Order within a boot is by `ticks` and sequence, never by `wall`.
    """

    boot: int = wire(1)
    boot_seq: int = wire(2)
    ticks: int = wire(3)
    wall: int = wire(4)
    quality: ClockQuality = wire(5, default=ClockQuality.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Numeric:
    """One number with its status. `value` is an integer of 10**-scale units, or None when there is no value (the status says why)."""

    metric: Metric = wire(1)
    value: int | None = wire(2, default=None)
    status: Status = wire(3, default=Status(0))
    scale: int = wire(4, default=0)

    @property
    def number(self) -> Decimal | None:
        """The value in the metric's unit, exact, or None."""
        return None if self.value is None else Decimal(self.value).scaleb(-self.scale)

    @property
    def told(self) -> str:
        """What the reading key says of it."""
        return f"{int(self.metric)}={'' if self.value is None else self.value}e{self.scale}"


class Kept:
    """A place for what was made of a value on the way: its CBOR in `spelt`, a reading's key in `named`. No part of the value, which never
    changes: it is neither compared nor told, and a copy begins without.
    """

    __slots__ = ("named", "spelt")

    def remember(self, spelt: bytes, named: bytes = b"") -> None:
        """Keep these."""
        object.__setattr__(self, "spelt", spelt)
        if named:
            object.__setattr__(self, "named", named)


@dataclass(frozen=True, slots=True)
class Reading(Kept):
    """One settled measurement of one device.

    `device` is `ids.short_of(device identity)`, the identity being family and serial number where the serial is worth
    something, else family and station port. `device_time` is what the device itself said (ISO local, no zone) and
    `ordinal` its place in the device's memory; both stay None for devices without. `rule` numbers the settling rule.
    """

    kind: ReadingKind = wire(1)
    device: int = wire(2)
    numerics: tuple[Numeric, ...] = wire(3)
    stamp: Stamp = wire(4)
    source: Source = wire(5, default=Source.LIVE)
    device_time: str | None = wire(6, default=None)
    ordinal: int | None = wire(7, default=None)
    rule: int = wire(8, default=0)

    @property
    def key(self) -> bytes:
        """The reading key: 16 bytes that are the same at every hop and after every repeat.

        Built from the device, the record source, the device's own time and memory place where it has them, otherwise
        the boot and the tick of the settling sample, the kind, and the raw values with their scale. The patient is not
        in it: the same key with another patient is a question for a person, not a second reading.
        """
        named: bytes = getattr(self, "named", b"")
        if named:
            return named
        own = self.device_time is not None or self.ordinal is not None
        when = (
            f"d{self.device_time or ''}/{'' if self.ordinal is None else self.ordinal}" if own else f"b{self.stamp.boot}/{self.stamp.ticks}"
        )
        values = ",".join([one.told for one in self.numerics])
        text = f"{KEY_DOMAIN}|{self.device}|{int(self.source)}|{when}|{int(self.kind)}|{values}"
        return hashlib.sha256(text.encode()).digest()[:READING_KEY_BYTES]

    @property
    def status(self) -> Status:
        """The union of the numerics' statuses: what must be said about the reading as a whole."""
        union = Status(0)
        for numeric in self.numerics:
            if numeric.status is not union:  # mostly all numbers of a reading have the same
                union |= numeric.status
        return union

    def value(self, metric: Metric) -> Decimal | None:
        """The number of one metric, or None where the reading has none."""
        for numeric in self.numerics:
            if numeric.metric is metric:
                return numeric.number
        return None


def impossible(reading: Reading) -> str | None:
    """The reason why a reading cannot be true, or None. Never a reason because a value is clinically high or low.

    Words: ``<METRIC> <value> outside <low>..<high>`` or ``SYSTOLIC not above DIASTOLIC``
    (bounds: `metrics.TABLE`; source docs/decisions, plausibility).
    """
    for numeric in reading.numerics:
        row = TABLE[numeric.metric]
        number = numeric.value if numeric.scale == 0 else numeric.number
        if number is not None and not row.low <= number <= row.high:
            return f"{numeric.metric.name} {number} outside {row.low:g}..{row.high:g}"
    systolic, diastolic = reading.value(Metric.SYSTOLIC), reading.value(Metric.DIASTOLIC)
    if systolic is not None and diastolic is not None and systolic <= diastolic:
        return "SYSTOLIC not above DIASTOLIC"
    return None
