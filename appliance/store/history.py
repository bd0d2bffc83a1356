"""A patient's vital signs over months: the values alone, side by side, so that a year of them is read in one short look.

The table `vital` is a projection of the observations that stand: written with the observation, moved with it, taken
out when it was entered in error. It lies in the order (patient, time), so that a patient's year is a few pages of the
file and not one page per reading. The observation row stays the truth; this one can be made anew from it.
"""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

from appliance.contract.metrics import Metric
from appliance.contract.readings import Reading, Source
from appliance.database import Connection

YEAR_TENTHS = 366 * 24 * 36_000
"""Twelve months (decision 25), whatever months they are."""
METRICS = (Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.SPO2, Metric.PULSE_RATE, Metric.TEMPERATURE)
"""What has a column, in the order of the columns."""
_ZONE = timezone(timedelta(hours=7))
_KEEP = (
    "INSERT OR IGNORE INTO vital (patient, wall, observation, device, source, status, systolic, diastolic, spo2, pulse, temperature)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class Vital(NamedTuple):
    """One reading as a trend draws it: `wall` is when it was measured, tenths of a second since 1970; None is a value it has not.

    `source` and `status` are the numbers of `Source` and `Status`: thousands of these are read at once.
    """

    wall: int
    observation: int
    device: int
    source: int
    status: int
    systolic: float | None
    diastolic: float | None
    spo2: float | None
    pulse: float | None
    temperature: float | None


def keep(conn: Any, patient: int, observation: int, reading: Reading) -> None:
    """Write the row of an observation, in the caller's transaction. A reading without any of `METRICS` has none."""
    found = {one.metric: one.value / 10**one.scale for one in reading.numerics if one.value is not None}
    values = [found.get(metric) for metric in METRICS]
    if any(value is not None for value in values):
        place = (patient, measured(reading), observation, reading.device, int(reading.source), int(reading.status))
        conn.execute(_KEEP, (*place, *values))


def move(conn: Connection, observation: int, patient: int, to_patient: int) -> None:
    """The observation belongs to somebody else, in the caller's transaction."""
    conn.execute("UPDATE vital SET patient = ? WHERE patient = ? AND observation = ?", (to_patient, patient, observation))


def drop(conn: Connection, observation: int, patient: int) -> None:
    """The observation was entered in error: no trend counts it. In the caller's transaction."""
    conn.execute("DELETE FROM vital WHERE patient = ? AND observation = ?", (patient, observation))


def forget(conn: Connection, patient: int) -> None:
    """Nothing of an erased patient is drawn. In the caller's transaction."""
    conn.execute("DELETE FROM vital WHERE patient = ?", (patient,))


def vitals(conn: Connection, patient: int, since: int, until: int) -> list[Vital]:
    """What stands of a patient from `since` to `until` (tenths of a second since 1970), the oldest first."""
    rows = conn.execute(
        "SELECT wall, observation, device, source, status, systolic, diastolic, spo2, pulse, temperature FROM vital"
        " WHERE patient = ? AND wall BETWEEN ? AND ? ORDER BY wall, observation",
        (patient, since, until),
    ).fetchall()
    return [Vital(*row) for row in rows]


def measured(reading: Reading) -> int:
    """When it was measured: by the device's own clock for what comes out of its memory, where that can be read; else the stamp's time."""
    if reading.source is Source.MEMORY and reading.device_time:
        try:
            return int(datetime.fromisoformat(reading.device_time).replace(tzinfo=_ZONE).astimezone(UTC).timestamp() * 10)
        except (ValueError, OverflowError):
            pass
    return reading.stamp.wall
