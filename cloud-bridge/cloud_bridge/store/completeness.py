"""How complete what the bridge has of a station is: what its marks prove, and nothing more.

Every event has a number in its lane, and the bridge keeps which numbers are in (`relay.marks`). Below a number without
holes nothing can be missing; above the highest one nobody here knows whether the station has something. So the claim is
about each lane up to the time of its last unbroken event, by the box's clock. It is made from the lanes that carry a
record: requests, corrections, readings.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from appliance.contract.codec import read_event
from appliance.contract.errors import WireError
from appliance.contract.lanes import Lane
from appliance.contract.readings import ClockQuality
from appliance.relay.marks import read_marks
from cloud_bridge.store import relay_tables as t
from cloud_bridge.store.inbox import REDEEMED
from cloud_bridge.store.pictures import COMING
from cloud_bridge.store.safe import RESTORED
from cloud_bridge.store.tables import content, meta

LANES = (Lane.URGENT, Lane.CONSULT, Lane.READINGS)
"""The lanes a record is made of."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """What is proved of one station. Times are tenths of a second since 1970; `unbroken` is the box's time, `heard` the bridge's.

    `unbroken` is None while no reading has come. `missing` counts events known to exist and not here; `unread` messages that
    nobody can read; `certain` is false when the box's clock was. `pictures` have been offered and are not whole. `restored` is
    when this store was put back from a backup, while the station has not been heard since: what it had sent after the backup is not
    here, and nobody here can count it.
    """

    station: str
    unbroken: int | None
    certain: bool
    missing: int
    unread: int
    heard: int | None
    pictures: int = 0
    restored: int | None = None

    @property
    def mark(self) -> tuple[Any, ...]:
        """What changes a page: everything but the moment it was heard, which moves all the time."""
        return self.unbroken, self.certain, self.missing, self.unread, self.pictures, self.restored


def of_station(tx: Connection, station: str) -> Completeness:
    """What is proved of a station, over every epoch it ever had."""
    c = t.inbox.c
    missing, last, heard = 0, None, None
    for row in tx.execute(select(c.epoch, c.lane, c.highest, c.holes).where(c.station == station)):
        if row.lane not in LANES:
            continue
        marks = read_marks(row.highest, row.holes)
        missing += sum(high - low + 1 for low, high in marks.holes)
        at = _event(tx, station, row.epoch, row.lane, marks.highest)
        heard = max(heard or 0, at.at) if at is not None else heard
        if row.lane == Lane.READINGS:
            last = _later(last, _moment(_event(tx, station, row.epoch, row.lane, marks.contiguous)))
    q = t.quarantine.c
    unread = tx.execute(select(func.count()).where(q.station == station, q.state != REDEEMED)).scalar_one()
    peer = tx.execute(select(t.peer.c.heard).where(t.peer.c.station == station)).scalar() or None
    heard = max((one for one in (heard, peer) if one is not None), default=None)
    coming = tx.execute(select(func.count()).where(content.c.station == station, content.c.state == COMING)).scalar_one()
    back = _restored(tx)
    restored = back if back is not None and (heard is None or heard < back) else None
    return Completeness(station, last and last[0], last is None or last[1], missing, int(unread), heard, int(coming), restored)


def _restored(tx: Connection) -> int | None:
    """When this store was put back, if it ever was."""
    value = tx.scalar(select(meta.c.value).where(meta.c.key == RESTORED))
    return None if value is None else int(json.loads(value)["at"])


def _event(tx: Connection, station: str, epoch: bytes, lane: int, seq: int) -> Any:
    c = t.event.c
    return tx.execute(
        select(c.body, c.at).where(c.station == station, c.epoch == epoch, c.lane == lane, c.seq == seq)
    ).one_or_none()  # fmt: skip


def _moment(row: Any) -> tuple[int, bool] | None:
    """The box's time of an event and whether its clock was sure."""
    if row is None:
        return None
    try:
        stamp = read_event(bytes(row.body)).stamp
    except WireError:
        return None
    return stamp.wall, stamp.quality is not ClockQuality.UNKNOWN


def _later(one: tuple[int, bool] | None, other: tuple[int, bool] | None) -> tuple[int, bool] | None:
    return max((each for each in (one, other) if each is not None), default=None)
