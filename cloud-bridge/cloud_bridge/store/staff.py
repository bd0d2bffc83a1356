"""Who stands behind a station's staff codes. Every change is a row; what is true now is worked out when somebody looks.

The station writes its changes in one lane, so that within an epoch the sequence number says which is later; between two
epochs (a new box, an older copy put back) the box's clock does. Arrival says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from appliance.contract.events import Event, StaffChanged
from cloud_bridge.store.staff_tables import staff
from cloud_bridge.store.writing import once, put


@dataclass(frozen=True, slots=True)
class Person:
    """One member of a station's staff; `role` is a word of the station (nurse, doctor, technician, lead)."""

    code: str
    name: str
    role: str
    active: bool


def learn(tx: Connection, station: str, event: Event, body: StaffChanged, at: int, key: tuple[bytes, int, int]) -> None:
    """Keep what a station says about a code; `key` is the event's place (epoch, lane, seq)."""
    row = {"code": body.code, "name": body.name, "role": body.role, "active": body.active}
    once(
        tx, staff, station=station, epoch=key[0], lane=int(key[1]), seq=key[2], **row,
        wall=event.stamp.wall, actor=event.actor, received=at,
    )  # fmt: skip


def label_many(tx: Connection, said: Sequence[tuple[str, Event, str, int, tuple[bytes, int, int]]]) -> None:
    """The names that came with requests, as (station, event, name, at, key): good until the station's own word about the code
    arrives, which is in a slower lane.
    """
    rows = [
        (station, key[0], int(key[1]), key[2], event.actor, name, "", True, event.stamp.wall, event.actor, at)
        for station, event, name, at, key in said
        if name
    ]
    put(tx, staff, tuple(staff.columns.keys()), rows)


def everyone(tx: Connection, station: str) -> dict[str, Person]:
    """Everybody a station ever named, by code, as its latest word says; within an epoch the slower lane, its own word, counts more."""
    last: dict[tuple[str, bytes], Row[Any]] = {}
    rows = tx.execute(select(staff).where(staff.c.station == station).order_by(staff.c.lane, staff.c.seq))
    for row in rows:
        last[row.code, bytes(row.epoch)] = row
    found: dict[str, Person] = {}
    for (code, _), row in sorted(last.items(), key=lambda one: (one[1].wall, one[0][1])):
        role = row.role or (found[code].role if code in found else "")
        found[code] = Person(code, row.name, role, row.active)
    return found


def names(tx: Connection, station: str) -> dict[str, str]:
    """Codes of a station's staff and their names: for pages that show who asked, measured or called."""
    return {code: one.name for code, one in everyone(tx, station).items()}


def name(tx: Connection, station: str, code: str) -> str:
    """``Y tá Thử (y1)``, or the bare code while nothing is known of it."""
    known = names(tx, station).get(code)
    return f"{known} ({code})" if known else code
