"""Events as people read them: names instead of numbers, times and decimals instead of ticks and scales. One way only."""

from dataclasses import Field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from appliance.contract.events import Event, Marks, Unknown
from appliance.contract.ids import spell
from appliance.contract.metrics import TABLE, Status, words
from appliance.contract.readings import Numeric, Stamp

_NUMBERS = frozenset({"patient", "duplicate", "to_patient", "consult", "device", "boot"})
"""Fields that hold short numbers."""


def readable(event: Event) -> dict[str, Any]:
    """The event as JSON knows it: ``{"kind": "ObservationRecorded", "at": …, "actor": …, "software": …, …fields}``.

    Texts stay as they are; bytes are hex; short numbers are spelled in eight letters; a value is a decimal text.
    """
    body = event.body
    told: dict[str, Any] = {"kind": type(body).__name__, **_shown(event.stamp), "actor": event.actor, "software": event.software}
    if isinstance(body, Unknown):
        told |= {"number": body.kind, "raw": body.raw.hex()}
    else:
        told |= {each.name: _plain(each.name, getattr(body, each.name)) for each in fields(body) if _says(body, each)}
    if event.extra:
        told["extra"] = _plain("extra", event.extra)
    return told


LATER = frozenset(
    {
        "DeviceRegistered.calibrated", "DeviceRegistered.inventory", "DeviceRegistered.next_calibration", "MeasurementUnassigned.twin",
    }
)  # fmt: skip
"""Fields that kinds of 0.1.0 were given later: shown where they say something, so that what was released still reads as it did."""


def _says(body: Any, one: Field[Any]) -> bool:
    return f"{type(body).__name__}.{one.name}" not in LATER or getattr(body, one.name) != one.default


def moment(tenths: int) -> str:
    """Tenths of a second since 1970 as ISO text in UTC; the bare number beyond the calendar.

    >>> moment(17_672_256_001)
    '2026-01-01T00:00:00.1Z'
    """
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=tenths // 10)
    except OverflowError:
        return str(tenths)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{tenths % 10}Z"


def _shown(stamp: Stamp) -> dict[str, Any]:
    return {
        "at": moment(stamp.wall),
        "boot": _plain("boot", stamp.boot),
        "boot_seq": stamp.boot_seq,
        "ticks": stamp.ticks,
        "clock": stamp.quality.name.lower(),
    }


def _numeric(one: Numeric) -> dict[str, Any]:
    number = None if one.number is None else str(one.number)
    return {"metric": one.metric.name, "value": number, "unit": TABLE[one.metric].unit, "status": words(one.status)}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Stamp):
        return _shown(value)
    if isinstance(value, Numeric):
        return _numeric(value)
    if is_dataclass(value):
        return {each.name: _plain(each.name, getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(name, one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(str(key), one) for key, one in value.items()}
    return _leaf(name, value)


def _leaf(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Marks | Status):
        return [flag.name.lower() for flag in type(value) if flag in value and flag.name]
    if isinstance(value, IntEnum):
        return value.name.lower()
    if name in _NUMBERS and type(value) is int and 0 < value < 1 << 40:
        return spell(value)
    return value
