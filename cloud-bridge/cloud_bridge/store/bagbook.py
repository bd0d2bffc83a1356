"""The bridge's book of post bags: which ones went to which station, which ones came. On the table relay_bag."""

from typing import Any

from sqlalchemy import Connection, func, select, update

from appliance.relay.storage import BagRow
from cloud_bridge.store import relay_tables as t

_LOCK = 0x7472616D
"""Our number among PostgreSQL's advisory locks: *tram*."""


class BagBook:
    """Part of the bridge's store. `tx` is an open SQLAlchemy transaction."""

    def share(self, tx: Connection) -> None:
        """Until the end of `tx` no post bag speaks. On SQLite whoever writes is alone anyway."""
        if tx.dialect.name == "postgresql":
            tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")

    def hold(self, tx: Connection) -> None:
        """Until the end of `tx` no carrier speaks."""
        if tx.dialect.name == "postgresql":
            tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")

    def bag_turns(self, tx: Connection, since: int) -> tuple[int, set[str]]:
        """How often post bags have spoken or listened, and for whom after turn `since`."""
        rows = tx.execute(select(t.bag.c.turn, t.bag.c.station).where(t.bag.c.turn > since)).all()
        return max((row[0] for row in rows), default=max(since, 0)), {row[1] for row in rows}

    def note_bag(self, tx: Connection, station: str, row: BagRow) -> int:
        """Keep or change a row, which is one more turn; its id."""
        turn = int(tx.execute(select(func.coalesce(func.max(t.bag.c.turn), 0))).scalar_one()) + 1
        values = {"station": station, "turn": turn, **row._asdict()}
        del values["id"]
        if row.id:
            tx.execute(update(t.bag).where(t.bag.c.id == row.id).values(**values))
            return row.id
        made = tx.execute(t.bag.insert().values(**values)).inserted_primary_key
        assert made is not None
        return int(made[0])

    def bag_in(self, tx: Connection, station: str, digest: bytes) -> BagRow | None:
        """The bag with this very content, if it has come before."""
        return _first(tx, station, t.bag.c.inward, t.bag.c.digest == digest)

    def bag_out(self, tx: Connection, station: str, nonce: bytes) -> BagRow | None:
        """The bag that went with this nonce."""
        return _first(tx, station, ~t.bag.c.inward, t.bag.c.nonce == nonce)

    def last_bag(self, tx: Connection, station: str, *, inward: bool) -> BagRow | None:
        """The last one that came whole and had no later one before it, or the last one that was packed."""
        c = t.bag.c
        return _first(tx, station, *((c.inward, c.done, func.length(c.nonce) > 0) if inward else (~c.inward,)))


def _first(tx: Connection, station: str, *which: Any) -> BagRow | None:
    columns = [t.bag.c[name] for name in BagRow._fields]
    found = tx.execute(select(*columns).where(t.bag.c.station == station, *which).order_by(t.bag.c.id.desc()).limit(1)).first()
    values: list[Any] = [] if found is None else [bytes(one) if isinstance(one, memoryview) else one for one in found]
    return BagRow(*values) if values else None
