"""What waits for a person's eyes: measurements of nobody, readings claimed for two people."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from appliance.contract.readings import Reading
from cloud_bridge.store.observations import read_reading
from cloud_bridge.store.patients import living
from cloud_bridge.store.tables import conflict, observation, unassigned


class Nobodys(NamedTuple):
    """A measurement that belongs to nobody, and why."""

    station: str
    reading: Reading
    reason: str
    received: int


class Disputed(NamedTuple):
    """A reading claimed for more than one patient."""

    station: str
    reading: Reading
    patients: tuple[int, ...]


def nobodys(tx: Connection, limit: int = 100) -> list[Nobodys]:
    """The newest unassigned measurements."""
    rows = tx.execute(select(unassigned).order_by(unassigned.c.received.desc(), unassigned.c.key).limit(limit))
    return [Nobodys(row.station, read_reading(row.reading), row.reason, row.received) for row in rows]


def disputed(tx: Connection, limit: int = 100) -> list[Disputed]:
    """Readings in dispute, the newest first. A dispute that the station has settled by reassigning is not looked for here:
    its pages say what was decided.
    """
    query = select(observation).where(observation.c.disputed).order_by(observation.c.received.desc(), observation.c.key).limit(limit)
    found = []
    for row in list(tx.execute(query)):
        claims = select(conflict.c.patient).where(
            conflict.c.station == row.station, conflict.c.key == row.key, living(conflict.c.station, conflict.c.patient)
        )
        numbers: list[Any] = [number for (number,) in tx.execute(claims.order_by(conflict.c.patient))]
        found.append(Disputed(row.station, read_reading(row.reading), tuple(numbers)))
    return found
