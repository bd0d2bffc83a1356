"""How blood pressures were taken, and the means of guided series, as stations tell them: beside their readings, never for them."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, SmallInteger, String, Table, delete, select

from appliance.contract.events import Event, PressureAveraged, PressureTaken
from appliance.contract.ids import READING_KEY_BYTES
from cloud_bridge.store.metadata import METADATA
from cloud_bridge.store.writing import once

pressure_taken = Table(
    "pressure_taken", METADATA,
    Column("station", String(16), primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("patient", BigInteger, nullable=False, index=True),
    Column("series", BigInteger, nullable=False),
    Column("arm", SmallInteger, nullable=False),
    Column("cuff", SmallInteger, nullable=False),
    Column("posture", SmallInteger, nullable=False),
    Column("rested", Integer, nullable=False),
    Column("unrested", SmallInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
)  # fmt: skip
"""How the reading with this key was taken: numbers of `contract.guided`'s enumerations, `rested` in seconds."""

pressure_mean = Table(
    "pressure_mean", METADATA,
    Column("station", String(16), primary_key=True),
    Column("series", BigInteger, primary_key=True, autoincrement=False),
    Column("patient", BigInteger, nullable=False, index=True),
    Column("rule", Integer, nullable=False),
    Column("readings", LargeBinary, nullable=False),
    Column("used", Integer, nullable=False),
    Column("systolic", Integer, nullable=False),
    Column("diastolic", Integer, nullable=False),
    Column("pulse", Integer),
    Column("wall", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
)  # fmt: skip
"""The mean of a series in tenths, by rule `rule`; `readings` are the keys of all its readings in one, `used` how many of them count."""


class Taken(NamedTuple):
    """How one reading was taken."""

    posture: int
    arm: int
    cuff: int
    rested: int
    unrested: int


class Average(NamedTuple):
    """The mean of a series: `keys` in the order of the readings; values in tenths."""

    rule: int
    keys: tuple[bytes, ...]
    used: int
    systolic: int
    diastolic: int
    pulse: int | None


def take(tx: Connection, station: str, body: PressureTaken, at: int) -> None:
    """Keep how a reading was taken; the first word stands."""
    once(
        tx, pressure_taken, station=station, key=body.key, patient=body.patient, series=body.series, arm=int(body.arm), cuff=int(body.cuff),
        posture=int(body.posture), rested=body.rested, unrested=int(body.unrested), received=at,
    )  # fmt: skip


def average(tx: Connection, station: str, event: Event, body: PressureAveraged, at: int) -> None:
    """Keep the mean of a series; the first word stands."""
    once(
        tx, pressure_mean, station=station, series=body.series, patient=body.patient, rule=body.rule, readings=b"".join(body.keys),
        used=len(body.used), systolic=body.systolic, diastolic=body.diastolic, pulse=body.pulse, wall=event.stamp.wall, received=at,
    )  # fmt: skip


def forget(tx: Connection, station: str, patient: int) -> None:
    """Nothing of an erased patient stays."""
    for table in (pressure_taken, pressure_mean):
        tx.execute(delete(table).where(table.c.station == station, table.c.patient == patient))


def taken(tx: Connection, station: str, keys: Iterable[bytes]) -> dict[bytes, Taken]:
    """How those of these readings were taken of which that is known."""
    c = pressure_taken.c
    query = select(c.key, c.posture, c.arm, c.cuff, c.rested, c.unrested).where(c.station == station, c.key.in_(list(keys)))
    return {bytes(row[0]): Taken(*row[1:]) for row in tx.execute(query)}


def averages(tx: Connection, station: str, patient: int, limit: int = 50) -> list[Average]:
    """The means of a patient's series, the latest first."""
    c, size = pressure_mean.c, READING_KEY_BYTES
    query = (
        select(c.rule, c.readings, c.used, c.systolic, c.diastolic, c.pulse)
        .where(c.station == station, c.patient == patient)
        .order_by(c.wall.desc(), c.series)
        .limit(limit)
    )
    found = []
    for row in tx.execute(query):
        whole = bytes(row.readings)
        keys = tuple(whole[place : place + size] for place in range(0, len(whole), size))
        found.append(Average(row.rule, keys, row.used, row.systolic, row.diastolic, row.pulse))
    return found
