"""Events as a station would send them, about people who do not exist."""

import hashlib
from dataclasses import replace
from typing import Any

from appliance.contract import events as ev
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import ClockQuality, Numeric, Reading, ReadingKind, Source, Stamp

STATION = "tram-0001"
EPOCH = bytes(range(8))
T0 = 17_800_000_000
"""28 May 2026, in tenths of a second."""
BOOT = 4242
CUFF, CLIP = 101, 102
PATIENT, OTHER, GONE = 11, 12, 13
LABELS = (ev.DeviceLabel(CUFF, "Máy đo huyết áp"), ev.DeviceLabel(CLIP, "Máy kẹp ngón tay"))


def stamp(seconds: float = 0, *, quality: ClockQuality = ClockQuality.SYNCED, boot: int = BOOT) -> Stamp:
    """A moment `seconds` after T0."""
    ticks = int(seconds * 10)
    return Stamp(boot, 1, 1000 + ticks, T0 + ticks, quality)


def event(body: Any, seconds: float = 0, actor: str = "ys01") -> ev.Event:
    """An event `seconds` after T0."""
    return ev.Event(stamp(seconds), actor, "test", body)


def pressure(
    seconds: float = 0, systolic: int | None = 115, diastolic: int | None = 74, status: Status = Status.TEST_DATA, **more: Any
) -> Reading:
    """A blood pressure of the simulated cuff; None is a value the cuff could not give."""
    missing = Status.NOT_AVAILABLE
    numerics = (
        Numeric(Metric.SYSTOLIC, systolic, status if systolic is not None else status | missing),
        Numeric(Metric.DIASTOLIC, diastolic, status if diastolic is not None else status | missing),
        Numeric(Metric.MEAN, 88, status),
        Numeric(Metric.PULSE_RATE, 85, status),
    )
    return Reading(ReadingKind.BLOOD_PRESSURE, CUFF, numerics, more.pop("stamp", stamp(seconds)), **more)


def oxygen(seconds: float = 0, spo2: int = 98, status: Status = Status.TEST_DATA, **more: Any) -> Reading:
    """An oximeter reading of the simulated clip."""
    numerics = (Numeric(Metric.SPO2, spo2, status), Numeric(Metric.PULSE_RATE, 72, status))
    return Reading(ReadingKind.SPO2, CLIP, numerics, more.pop("stamp", stamp(seconds)), **more)


def warmth(seconds: float = 0, tenths: int = 372) -> Reading:
    """A temperature typed in by hand."""
    return Reading(ReadingKind.TEMPERATURE, 0, (Numeric(Metric.TEMPERATURE, tenths, Status(0), 1),), stamp(seconds), Source.MANUAL)


def who(patient: int = PATIENT, version: int = 1, **more: Any) -> ev.Identity:
    """An invented patient."""
    usual = ev.Identity(
        patient, version, "Nguyễn Thử Nghiệm Một", "1961-04-30", ev.Sex.FEMALE, "001161000001", "DN4010000000001",
        ev.Allergies.KNOWN, "Penicillin",
        "0900 000 001", "Thôn Mẫu", "K-001",
    )  # fmt: skip
    return replace(usual, **more)


def recorded(reading: Reading, patient: int = PATIENT, **more: Any) -> ev.Event:
    """A reading that a person has saved."""
    return ev.Event(reading.stamp, "ys01", "test", ev.ObservationRecorded(patient, reading, **more))


def asked(
    consult: int = 900, readings: tuple[Reading, ...] = (), seconds: float = 60, identity: ev.Identity | None = None, **more: Any
) -> ev.Event:
    """A request, self-contained."""
    body = ev.ConsultRequested(
        consult, identity or who(), more.pop("urgency", ev.Urgency.URGENT), more.pop("department", ev.Department.INTERNAL),
        more.pop("complaint", "Đau ngực từ sáng"), readings, LABELS, **more,
    )  # fmt: skip
    return event(body, seconds)


def place(number: int, each: ev.Event, epoch: bytes = EPOCH) -> tuple[bytes, int, int]:
    """A relay key for the n-th event of a story."""
    return epoch, int(getattr(each.body, "LANE", 5)), number + 1


def digest(text: str) -> bytes:
    """32 bytes that look like a digest."""
    return hashlib.sha256(text.encode()).digest()
