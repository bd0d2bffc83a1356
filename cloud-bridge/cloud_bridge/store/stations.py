"""The stations somebody has registered. Nothing is taken from, or said to, anybody else."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from cloud_bridge.store.tables import station
from cloud_bridge.store.writing import upsert


@dataclass(frozen=True, slots=True)
class Station:
    """A registered station; `public` is the Ed25519 key (32 bytes) that signs its receipts."""

    id: str
    shard: int
    name: str
    organisation: str
    tier: int
    key_id: int
    public: bytes
    registered: int
    revoked: int | None


def add(tx: Connection, one: Station) -> None:
    """Register a station, or replace what was registered of it: a re-made box has a new key."""
    row = {
        "id": one.id, "shard": one.shard, "name": one.name, "organisation": one.organisation, "tier": one.tier, "key_id": one.key_id,
        "public": one.public, "registered": one.registered, "revoked": one.revoked,
    }  # fmt: skip
    fresh = upsert(tx, station).values(**row)
    tx.execute(fresh.on_conflict_do_update(index_elements=["id"], set_={name: fresh.excluded[name] for name in row if name != "id"}))


def get(tx: Connection, name: str) -> Station | None:
    """One station."""
    row = tx.execute(select(station).where(station.c.id == name)).one_or_none()
    return None if row is None else _station(row)


def keys_of(tx: Connection, names: Iterable[str]) -> dict[str, tuple[int, bytes]]:
    """(key id, 32 public bytes) of those of these stations that are registered and not revoked."""
    c = station.c
    rows = tx.execute(select(c.id, c.key_id, c.public).where(c.id.in_(sorted(names)), c.revoked.is_(None)))
    return {row[0]: (row[1], bytes(row[2])) for row in rows}


def everyone(tx: Connection) -> list[Station]:
    """All stations by id."""
    return [_station(row) for row in tx.execute(select(station).order_by(station.c.id))]


def revoke(tx: Connection, name: str, at: int) -> None:
    """Take nothing more from a station. ValueError for an unknown one."""
    if tx.execute(update(station).where(station.c.id == name).values(revoked=at)).rowcount != 1:
        raise ValueError(f"there is no station {name!r}")


def _station(row: object) -> Station:
    values = dict(row._mapping)  # type: ignore[attr-defined]  # noqa: SLF001 - SQLAlchemy's public name for it
    return Station(**(values | {"public": bytes(values["public"])}))
