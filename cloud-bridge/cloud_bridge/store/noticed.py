"""Emergencies of which somebody here has said *I have seen it*: then the sound ends for everybody, and everybody sees who it was.

Requests are kept here; calls for help (the button) keep it themselves (`emergencies`). Opening a request says it too.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select

from appliance.contract.events import Urgency
from cloud_bridge.store import emergencies
from cloud_bridge.store.accounts import Account
from cloud_bridge.store.console_tables import noticed
from cloud_bridge.store.staff_tables import emergency_call
from cloud_bridge.store.tables import consult, station
from cloud_bridge.store.writing import once

CONSULT, CALL = "consult", "call"
_RECENT = 36_000
"""Tenths of a second: for an hour after somebody took note of a call it stays in sight, with the name."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that sounds until `by` is somebody. Names nobody: a request's patient is on its page."""

    kind: str
    station: str
    station_name: str
    number: int
    received: int
    by: str = ""
    at: int | None = None
    note: str = ""


def take(tx: Connection, who: Account, kind: str, name: str, number: int, now: int) -> None:
    """Somebody has seen it; the first one is kept."""
    if kind == CALL:
        emergencies.acknowledge(tx, name, number, who.login, now)
    else:
        once(tx, noticed, station=name, kind=kind, number=number, login=who.login, name=who.name, at=now)


def requests(tx: Connection, within: ColumnElement[bool]) -> list[Alarm]:
    """Emergencies that wait for an answer and that nobody has opened, the oldest first; `within` says whose."""
    c, n = consult.c, noticed.c
    query = (
        select(c.station, station.c.name.label("station_name"), c.consult, c.received, n.name, n.at)
        .select_from(
            consult.outerjoin(station, station.c.id == c.station).outerjoin(
                noticed, (n.station == c.station) & (n.number == c.consult) & (n.kind == CONSULT)
            )
        )
        .where(c.received.is_not(None), c.opened.is_(None), c.answered.is_(None), c.withdrawn.is_(None), within)
        .where(c.urgency == int(Urgency.EMERGENCY))
        .order_by(c.received, c.station, c.consult)
    )
    return [
        Alarm(CONSULT, row.station, row.station_name or row.station, row.consult, row.received, row.name or "", row.at)
        for row in tx.execute(query)
    ]


def calls(tx: Connection, within: ColumnElement[bool], names: dict[str, str], now: int) -> list[Alarm]:
    """Calls for help nobody has taken note of, and those of the last hour somebody has; the oldest first."""
    c = emergency_call.c
    open_or_recent = c.acknowledged.is_(None) | (c.acknowledged > now - _RECENT)
    joined = select(emergency_call, station.c.name.label("station_name")).outerjoin_from(emergency_call, station, station.c.id == c.station)
    return [
        Alarm(
            CALL, row.station, row.station_name or row.station, row.call, row.received,
            names.get(row.acknowledged_by or "", row.acknowledged_by or ""), row.acknowledged, row.note,
        )
        for row in tx.execute(joined.where(open_or_recent, within).order_by(c.received, c.station, c.call).limit(200))
    ]  # fmt: skip


def call_column() -> ColumnElement[str]:
    """The station of a call, for `walls.within`."""
    return emergency_call.c.station


def is_there(tx: Connection, kind: str, name: str, number: int) -> bool:
    """Whether there is such a request or call."""
    c, e = consult.c, emergency_call.c
    here = (
        select(e.call).where(e.station == name, e.call == number)
        if kind == CALL
        else select(c.consult).where(c.station == name, c.consult == number, c.received.is_not(None))
    )
    return tx.execute(here).first() is not None
