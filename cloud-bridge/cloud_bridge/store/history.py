"""A year of a patient's readings for a chart: the numbers alone, out of their own columns, without unpacking thousands of readings."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, case, select

from appliance.contract.metrics import Metric
from appliance.contract.readings import Source
from cloud_bridge.store.observations import read_reading, worked_out
from cloud_bridge.store.tables import correction, observation

YEAR = 366 * 24 * 36_000
"""Twelve months (decision 25), in tenths of a second."""
METRICS = (Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.SPO2, Metric.PULSE_RATE, Metric.TEMPERATURE)


class Vital(NamedTuple):
    """One reading that stands. `wall` is the box's time of the reading, `device_time` what a device's memory says itself (else None);
    the values are in the order of `METRICS`, None where there is none.
    """

    wall: int
    device_time: str | None
    device: int
    source: int
    status: int
    systolic: float | None
    diastolic: float | None
    spo2: float | None
    pulse: float | None
    temperature: float | None


def year(tx: Connection, station: str, patient: int, since: int) -> list[Vital]:
    """What stands of a patient from `since` on, in no order: readings in dispute, taken back or moved away are not in it."""
    c, k = observation.c, correction.c
    said = select(k.key).where(k.station == c.station, k.key == c.key).exists()
    memory = case((c.source == int(Source.MEMORY), c.reading))
    columns = (c.wall, memory, c.device, c.source, c.status, c.systolic, c.diastolic, c.spo2, c.pulse, c.temperature)
    plain = select(*columns).where(c.station == station, c.patient == patient, c.wall >= since, ~c.disputed, ~said)
    found = [Vital(row[0], _device_time(row[1]), *tuple(row)[2:]) for row in tx.execute(plain)]
    moved = select(k.key).where(k.station == station, (k.patient == patient) | (k.to_patient == patient))
    rows = list(tx.execute(select(observation).where(c.station == station, c.key.in_(moved), c.wall >= since)))
    by_key = {bytes(row.key): row for row in rows}
    standing = [one for one in worked_out(tx, station, rows) if one.patient == patient and one.stands_for(patient)]
    return found + [_vital(by_key[one.key]) for one in standing]


def _vital(row: Any) -> Vital:
    memory = row.reading if row.source == int(Source.MEMORY) else None
    values = (row.systolic, row.diastolic, row.spo2, row.pulse, row.temperature)
    return Vital(row.wall, _device_time(memory), row.device, row.source, row.status, *values)


def _device_time(content: bytes | None) -> str | None:
    return None if content is None else read_reading(bytes(content)).device_time
