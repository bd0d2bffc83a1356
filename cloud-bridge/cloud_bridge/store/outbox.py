"""What stations are to be told: the way down, as rows. `append` queues in the transaction of the row the event speaks about."""

import zlib

from sqlalchemy import Connection, select

from appliance.contract.codec import write_event
from appliance.contract.events import Event, Unknown
from appliance.contract.lanes import Lane
from cloud_bridge.store import relay_tables as t
from cloud_bridge.store.tables import meta
from cloud_bridge.store.writing import upsert

WAITING, RECEIVED, SET_ASIDE = 0, 2, 3
NO_HOLES = b"\x80"
STORE_ID = "store_id"
"""The key in `bridge_meta` of the store's incarnation, 16 hex digits: made by `tram-bridge init`, anew by a restore."""


def store_id(tx: Connection) -> bytes:
    """The incarnation of this store: 8 bytes. LookupError before `tram-bridge init` has made it."""
    value = tx.scalar(select(meta.c.value).where(meta.c.key == STORE_ID))
    if value is None:
        raise LookupError("this database has no store id: run tram-bridge init")
    return bytes.fromhex(value)


def set_store_id(tx: Connection, incarnation: bytes) -> None:
    """Become another incarnation: what no station has vouched for is told again, and stations re-offer what we may have lost."""
    row = upsert(tx, meta).values(key=STORE_ID, value=incarnation.hex())
    tx.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": row.excluded.value}))


def append(tx: Connection, station: str, event: Event, lane: Lane | None = None) -> tuple[int, int]:
    """Queue `event` for a station in the caller's transaction; its (lane, seq) in the station's latest epoch.

    A station that has never spoken has no epoch yet: its events get new numbers when it says hello.
    """
    if lane is None:
        if isinstance(event.body, Unknown):
            raise ValueError(f"a kind of a later version ({event.kind}) has no lane of its own")
        lane = event.body.LANE
    origin = store_id(tx)
    epoch = tx.scalar(select(t.peer.c.epoch).where(t.peer.c.station == station)) or b""
    seq = number(tx, station, origin, bytes(epoch), int(lane))
    body = write_event(event)
    tx.execute(
        t.outbox.insert().values(
            station=station, origin=origin, epoch=epoch, lane=int(lane), seq=seq, kind=event.kind, body=body,
            at=event.stamp.wall, state=WAITING, crc=zlib.crc32(body),
        )
    )  # fmt: skip
    return int(lane), seq


def number(tx: Connection, station: str, origin: bytes, epoch: bytes, lane: int) -> int:
    """The next number of one lane; whoever takes one holds the lane until the transaction ends, so numbers appear in order."""
    row = upsert(tx, t.lane).values(
        station=station, origin=origin, epoch=epoch, lane=lane, next=2, frozen=0, settled=0, top=0, holes=NO_HOLES
    )
    taken = row.on_conflict_do_update(index_elements=["station", "origin", "epoch", "lane"], set_={"next": t.lane.c.next + 1})
    return int(tx.execute(taken.returning(t.lane.c.next)).scalar_one()) - 1
