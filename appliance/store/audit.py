"""Who saw and did what: an append-only, hash-chained list. Its head travels with the box's events (`AuditHead`).

Each entry's hash covers the one before, so that an entry that was taken away, changed or moved shows in every later hash.
Entries hold numbers and words of the program, never a patient's name or value.
"""

import hashlib

from appliance.contract.cbor import dump
from appliance.contract.readings import Stamp
from appliance.database import Connection, transaction

GENESIS = bytes(32)
"""What stands before the first entry."""


def note(conn: Connection, *, actor: str, action: str, now: Stamp, patient: int = 0, subject: str = "") -> int:
    """Add one entry; its number. In the caller's transaction where one is open, else in its own.

    `actor` is a staff code (``""``: nobody had signed in), `action` a word such as ``patient.view``, `subject` the number
    of what it was done to.
    """
    if conn.in_transaction:
        return _add(conn, actor, action, now, patient, subject)
    with transaction(conn):
        return _add(conn, actor, action, now, patient, subject)


def _add(conn: Connection, actor: str, action: str, now: Stamp, patient: int, subject: str) -> int:
    last = conn.execute("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    number, before = (1, GENESIS) if last is None else (int(last[0]) + 1, bytes(last[1]))
    row = (number, now.wall, now.boot, now.ticks, actor, action, patient, subject)
    conn.execute(
        "INSERT INTO audit (id, wall, boot, ticks, actor, action, patient, subject, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, link(before, row)),
    )
    return number


def link(before: bytes, row: tuple[int, int, int, int, str, str, int, str]) -> bytes:
    """The hash of an entry (id, wall, boot, ticks, actor, action, patient, subject) that follows the one with hash `before`."""
    return hashlib.sha256(before + dump(list(row))).digest()
