"""Boots and epochs: which stream the station is writing, and which boot of the machine this is."""

from appliance.contract.ids import EPOCH_BYTES, short_of
from appliance.database import Connection, transaction


def seq_of(conn: Connection, boot_id: str, wall: int) -> int:
    """The number of the boot `boot_id`, counted from 1 in this store; the first process of a boot that asks makes it.

    Every process of one boot gets the same number. `wall` (tenths of a second) is kept for people. Own transaction.
    """
    row = conn.execute("SELECT seq FROM boot WHERE boot_id = ?", (boot_id,)).fetchone()
    if row is not None:
        return int(row[0])
    with transaction(conn):
        conn.execute("INSERT OR IGNORE INTO boot (boot_id, boot, at) VALUES (?, ?, ?)", (boot_id, short_of(boot_id), wall))
        return int(conn.execute("SELECT seq FROM boot WHERE boot_id = ?", (boot_id,)).fetchone()[0])


def epoch(conn: Connection) -> tuple[int, bytes]:
    """(row id, 8 bytes) of the epoch that is written now."""
    row = conn.execute("SELECT id, epoch FROM epoch ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        raise RuntimeError("a store without an epoch: tram init has not been here")
    return int(row[0]), bytes(row[1])


def open_epoch(conn: Connection, value: bytes, why: str, wall: int) -> int:
    """Begin an epoch (8 random bytes) in the caller's transaction; its row id. What is unsent in the old one stays to be sent."""
    if len(value) != EPOCH_BYTES:
        raise ValueError(f"an epoch has {EPOCH_BYTES} bytes, not {len(value)}")
    if not conn.in_transaction:
        raise RuntimeError("an epoch begins in the transaction of its first event")
    return int(conn.execute("INSERT INTO epoch (epoch, why, at) VALUES (?, ?, ?)", (value, why, wall)).lastrowid)
