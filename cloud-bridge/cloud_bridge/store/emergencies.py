"""Calls for help from stations: the emergency button, and who here has taken note of it."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from cloud_bridge.store.staff_tables import emergency_call
from cloud_bridge.store.writing import once


@dataclass(frozen=True, slots=True)
class Call:
    """One press. `wall` is the box's time, `received` the bridge's; `actor` is a staff code, ``""`` when nobody had signed in."""

    station: str
    call: int
    wall: int
    actor: str
    note: str
    received: int
    acknowledged: int | None
    acknowledged_by: str | None


def press(tx: Connection, station: str, call: int, *, wall: int, actor: str, note: str, at: int) -> None:
    """Somebody pressed the button. A repeat changes nothing, but a text message does not say who it was: the line tells that later."""
    once(tx, emergency_call, station=station, call=call, wall=wall, actor=actor, note=note, received=at)
    if actor:
        c = emergency_call.c
        unnamed = (c.station == station, c.call == call, func.coalesce(c.actor, "") == "")
        tx.execute(update(emergency_call).where(*unnamed).values(actor=actor))


def open_calls(tx: Connection, limit: int = 50) -> list[Call]:
    """Those that nobody has acknowledged, the oldest first."""
    query = select(emergency_call).where(emergency_call.c.acknowledged.is_(None))
    rows = tx.execute(query.order_by(emergency_call.c.received, emergency_call.c.station, emergency_call.c.call).limit(limit))
    return [_call(row) for row in rows]


def recent(tx: Connection, limit: int = 50) -> list[Call]:
    """All of them, the newest first."""
    rows = tx.execute(select(emergency_call).order_by(emergency_call.c.received.desc(), emergency_call.c.call).limit(limit))
    return [_call(row) for row in rows]


def acknowledge(tx: Connection, station: str, call: int, login: str, at: int) -> bool:
    """A person here knows; False when somebody was first, or there is no such call."""
    c = emergency_call.c
    mine = update(emergency_call).where(c.station == station, c.call == call, c.acknowledged.is_(None))
    return bool(tx.execute(mine.values(acknowledged=at, acknowledged_by=login)).rowcount == 1)


def _call(row: object) -> Call:
    return Call(**row._mapping)  # type: ignore[attr-defined]  # noqa: SLF001 - SQLAlchemy's public name for it
