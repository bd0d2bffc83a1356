"""What waits for a person's eyes: corrections after an answer, measurements of nobody, readings claimed for two people."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select, tuple_, update

from appliance.contract.readings import Reading
from cloud_bridge.store.observations import read_reading
from cloud_bridge.store.patients import living
from cloud_bridge.store.tables import answer, conflict, consult, consult_reading, correction, observation, unassigned


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


class Corrected(NamedTuple):
    """An answered request of which the station has since corrected a reading, and why."""

    station: str
    consult: int
    who: str
    reasons: tuple[str, ...]


def _corrections(within: ColumnElement[bool]) -> Any:
    """Corrections of cited readings that came after the latest answer and that no doctor has looked at; `within` is about requests."""
    c, r = correction.c, consult_reading.c
    signed = select(func.max(answer.c.signed)).where(answer.c.station == r.station, answer.c.consult == r.consult).scalar_subquery()
    joined = select(r.station, r.consult, c.reason).join(correction, (c.station == r.station) & (c.key == r.key))
    here = (consult.c.station == r.station) & (consult.c.consult == r.consult)
    return joined.join(consult, here).where(c.looked.is_(None), signed.is_not(None), c.received > signed, within)


def corrected(tx: Connection, within: ColumnElement[bool]) -> list[Corrected]:
    """The requests a doctor should look at again, in order of station and number (decision 24)."""
    reasons: dict[tuple[str, int], list[str]] = {}
    for row in tx.execute(_corrections(within).order_by(consult_reading.c.station, consult_reading.c.consult, correction.c.received)):
        reasons.setdefault((row.station, row.consult), []).append(row.reason)
    found = []
    for (station, number), why in reasons.items():
        names = select(answer.c.name).where(answer.c.station == station, answer.c.consult == number).order_by(answer.c.signed.desc())
        found.append(Corrected(station, number, tx.execute(names).scalars().first() or "", tuple(why)))
    return found


def count_corrected(tx: Connection, within: ColumnElement[bool]) -> int:
    """How many requests that are."""
    return len({(row.station, row.consult) for row in tx.execute(_corrections(within))})


def looked(tx: Connection, station: str, number: int, login: str, at: int) -> int:
    """A doctor has looked at the corrections of a request; how many there were."""
    cited = select(consult_reading.c.key).where(consult_reading.c.station == station, consult_reading.c.consult == number)
    c = correction.c
    open_ones = update(correction).where(c.station == station, c.key.in_(cited), c.looked.is_(None))
    return int(tx.execute(open_ones.values(looked=at, looked_by=login)).rowcount)


def nobodys(tx: Connection, stations: Collection[str], limit: int = 100) -> list[Nobodys]:
    """The newest unassigned measurements of some stations."""
    mine = select(unassigned).where(unassigned.c.station.in_(sorted(stations)))
    rows = tx.execute(mine.order_by(unassigned.c.received.desc(), unassigned.c.key).limit(limit))
    return [Nobodys(row.station, read_reading(row.reading), row.reason, row.received) for row in rows]


def disputed(tx: Connection, stations: Collection[str], limit: int = 100) -> list[Disputed]:
    """Readings of some stations in dispute, the newest first.

    One that the station has settled by reassigning is none: its pages say what was decided.
    """
    c = correction.c
    settled = select(c.key).where(c.station == observation.c.station, c.key == observation.c.key, c.to_patient.is_not(None)).exists()
    claimed = select(conflict.c.station, conflict.c.key).where(conflict.c.station.in_(sorted(stations)))
    mine = select(observation).where(tuple_(observation.c.station, observation.c.key).in_(claimed), observation.c.disputed, ~settled)
    query = mine.order_by(observation.c.received.desc(), observation.c.key).limit(limit)
    found = []
    for row in list(tx.execute(query)):
        claims = select(conflict.c.patient).where(
            conflict.c.station == row.station, conflict.c.key == row.key, living(conflict.c.station, conflict.c.patient)
        )
        numbers: list[Any] = [number for (number,) in tx.execute(claims.order_by(conflict.c.patient))]
        found.append(Disputed(row.station, read_reading(row.reading), tuple(numbers)))
    return found
