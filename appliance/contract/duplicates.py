"""When two readings are copies of one measurement, and what a device's own clock is worth. Pure.

A device with a memory gives the same measurement twice: live, when it was made, and again at every download. The
repeats of a download have one reading key; the live copy has another, because it knows nothing of the memory's ordinal. The two are
*linked* and shown as one; both rows are kept (decision 3).

A device's clock is never put right by us: what it said stays as it was said, beside the box's own time and the distance
that was measured between the two when its clock was read.
"""

from datetime import UTC, datetime, timedelta, timezone

from appliance.contract.metrics import TABLE, Metric
from appliance.contract.readings import ClockQuality, Reading, ReadingKind, Source

ZONE = timezone(timedelta(hours=7))
"""Devices in a station are set to Vietnam's time, which has no summer time; none of them says a zone."""
NEAR = 900
"""Tenths of a second: copies of one measurement lie at most 90 s apart (decision 3: clocks of devices show whole minutes)."""
OLDEST_YEAR, NEWEST_YEAR = 2020, 2040
"""Years in which a clock that somebody has set can be. Seen on real devices with dead batteries: 2004, 2007, 2010, 2044 (fact sheet)."""
AHEAD = 24 * 3600 * 10
"""Tenths: a measurement that the device dates more than a day after the download was not made then."""

NO_DATE, DEAD_CLOCK, FUTURE = "no-date", "dead-clock", "future"
"""What can be wrong with a device's time (`doubt`)."""

_PRINCIPAL = {
    ReadingKind.SPO2: (Metric.SPO2, Metric.PULSE_RATE),
    ReadingKind.BLOOD_PRESSURE: (Metric.SYSTOLIC, Metric.DIASTOLIC),
    ReadingKind.TEMPERATURE: (Metric.TEMPERATURE,),
    ReadingKind.GLUCOSE: (Metric.GLUCOSE,),
    ReadingKind.WEIGHT: (Metric.WEIGHT,),
}
"""The numbers without which two readings of a kind cannot be called the same."""


def device_wall(said: str | None) -> int | None:
    """What a device calls local time, as tenths of a second since 1970; None for what is no date and time.

    >>> device_wall("2026-11-22T08:00:00"), device_wall("08:00")
    (17953092000, None)
    """
    try:
        return None if said is None else int(datetime.fromisoformat(said).replace(tzinfo=ZONE).astimezone(UTC).timestamp() * 10)
    except (ValueError, OverflowError):
        return None


def offset_of(said: str, wall: int) -> int | None:
    """By how many seconds the device's clock is ahead of the box's (negative: behind), when it said `said` at `wall` (tenths).

    >>> offset_of("2026-11-22T08:03:00", 17953092000)
    180
    """
    device = device_wall(said)
    return None if device is None else round((device - wall) / 10)


def measured_at(reading: Reading, wall: int, offset: int | None = None) -> int:
    """When a reading was made, in tenths since 1970: for a memory record the device's own time less its measured `offset`; else `wall`."""
    device = device_wall(reading.device_time) if reading.source is Source.MEMORY else None
    return wall if device is None else device - 10 * (offset or 0)


def twins(one: Reading, other: Reading, apart: int) -> bool:
    """True when a live and a memory copy are of one measurement: one device and kind, the same values, made `apart` tenths from each other.

    What only one of them says (the mean pressure, the limits of a window) does not part them.
    """
    if {one.source, other.source} != {Source.LIVE, Source.MEMORY} or (one.device, one.kind) != (other.device, other.kind):
        return False
    mine, its = _values(one), _values(other)
    needed = _PRINCIPAL.get(one.kind, ())
    return bool(needed) and all(mine.get(each) is not None for each in needed) and abs(apart) <= NEAR and _alike(mine, its, needed)


def _alike(mine: dict[Metric, object], its: dict[Metric, object], needed: tuple[Metric, ...]) -> bool:
    shared = {*needed, *(mine.keys() & its.keys())}
    return all(mine.get(metric) == its.get(metric) for metric in shared)


def _values(reading: Reading) -> dict[Metric, object]:
    return {each.metric: each.number for each in reading.numerics if TABLE[each.metric].of is None}


def doubt(reading: Reading, offset: int | None = None) -> str:
    """Why the time that a memory record gives itself is not to be believed; ``""`` when nothing speaks against it. Nothing is corrected.

    The box's own clock is asked only where something keeps it.
    """
    if reading.source is not Source.MEMORY:
        return ""
    said = device_wall(reading.device_time)
    if said is None:
        return NO_DATE
    year = datetime.fromtimestamp(said / 10, ZONE).year
    if not OLDEST_YEAR <= year <= NEWEST_YEAR:
        return DEAD_CLOCK
    trusted = reading.stamp.quality is not ClockQuality.UNKNOWN
    return FUTURE if trusted and said - 10 * (offset or 0) > reading.stamp.wall + AHEAD else ""
