"""What verified backups hold: the high-water marks that receipts of level *safe* speak of (decision 4).

`record` is called by the backup alone, after the copy has been read back from its disk. Nothing else makes anything safe.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, func, select

from appliance.relay.marks import Marks, read_marks, write_holes
from appliance.relay.storage import Stream
from cloud_bridge.store import relay_tables as t

RESTORED = "restored"
"""The key in `bridge_meta` of when (tenths of a second since 1970) and from which backup this store was put back."""
Place = tuple[str, bytes, int]
"""Station, epoch, lane."""


def record(tx: Connection, name: str, digest: bytes, at: int, held: Mapping[Place, Marks]) -> int:
    """A backup has been verified: its number. `held` is what the copy itself says of every lane."""
    number = tx.execute(t.backup.insert().values(name=name, digest=digest, at=at)).inserted_primary_key
    rows = [
        {"station": station, "epoch": epoch, "lane": lane, "highest": one.highest, "holes": write_holes(one)}
        for (station, epoch, lane), one in held.items()
    ]
    tx.execute(delete(t.safe))
    if rows:
        tx.execute(t.safe.insert(), rows)
    assert number is not None
    return int(number[0])


def latest(tx: Connection) -> int:
    """The number of the latest verified backup; 0 when there is none."""
    return int(tx.scalar(select(func.max(t.backup.c.id))) or 0)


def last(tx: Connection) -> tuple[str, int] | None:
    """(name, when in tenths of a second since 1970) of the latest verified backup."""
    row = tx.execute(select(t.backup.c.name, t.backup.c.at).order_by(t.backup.c.id.desc()).limit(1)).first()
    return None if row is None else (row.name, row.at)


def marks(tx: Connection, stream: Stream) -> dict[int, Marks]:
    """Per lane of a station's epoch what the latest verified backup holds."""
    c = t.safe.c
    rows = tx.execute(select(c.lane, c.highest, c.holes).where(c.station == stream.station, c.epoch == stream.origin))
    return {row.lane: read_marks(row.highest, row.holes) for row in rows}


def forget(tx: Connection) -> None:
    """Nothing is safe (any more): the store was restored, and only its next backup says what is."""
    tx.execute(delete(t.safe))


def inbox_marks(tx: Connection) -> dict[Place, Marks]:
    """What of every lane of every station is in."""
    c = t.inbox.c
    rows = tx.execute(select(c.station, c.epoch, c.lane, c.highest, c.holes))
    return {(row.station, bytes(row.epoch), row.lane): read_marks(row.highest, row.holes) for row in rows}
