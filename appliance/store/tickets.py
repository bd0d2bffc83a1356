"""Tickets: a staff member's telephone may bring one picture to one consult, for ten minutes, once.

A ticket is 128 random bits in a QR code. The store has its digest alone: whoever reads the card cannot use it.
"""

import hashlib
from base64 import b32encode
from collections.abc import Callable
from dataclasses import dataclass

from appliance.contract.readings import Stamp
from appliance.database import Connection, transaction

BYTES = 16
LIFE = 6_000
"""Tenths of a second of CLOCK_BOOTTIME: ten minutes. A ticket ends with the boot it was made in."""
LETTERS = 26
"""Of a ticket as it is written: 16 bytes in base 32."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A live ticket: for which consult, and who asked for it. `expires` is in ticks of this boot."""

    id: int
    consult: int
    patient: int
    staff: str
    expires: int


def issue(conn: Connection, consult: int, *, patient: int, staff: str, now: Stamp, random: Callable[[int], bytes]) -> str:
    """A new ticket, to be shown once. What this consult had before is no longer good. Own transaction."""
    token = b32encode(random(BYTES)).decode().rstrip("=").lower()
    with transaction(conn):
        conn.execute("DELETE FROM ticket WHERE consult = ? OR boot <> ? OR expires < ?", (consult, now.boot, now.ticks))
        conn.execute(
            "INSERT INTO ticket (digest, consult, patient, staff, boot, expires) VALUES (?, ?, ?, ?, ?, ?)",
            (_digest(token), consult, patient, staff, now.boot, now.ticks + LIFE),
        )
    return token


def find(conn: Connection, token: str, now: Stamp) -> Ticket | None:
    """The ticket that is good now."""
    row = conn.execute(
        "SELECT id, consult, patient, staff, expires FROM ticket WHERE digest = ? AND boot = ? AND expires > ? AND used IS NULL",
        (_digest(token), now.boot, now.ticks),
    ).fetchone()
    return None if row is None else Ticket(*tuple(row))


def use(conn: Connection, ticket: int, now: Stamp) -> bool:
    """Mark it used, in the caller's transaction; False when somebody else was first or it has ended."""
    done = conn.execute(
        "UPDATE ticket SET used = ? WHERE id = ? AND used IS NULL AND boot = ? AND expires > ?", (now.wall, ticket, now.boot, now.ticks)
    )
    return int(done.rowcount) == 1


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.strip().lower().encode()).digest()
