"""Who saw and did what: an append-only, hash-chained list. Its head travels with the box's events (`AuditHead`).

Each entry's hash covers the one before, so that an entry that was taken away, changed or moved shows in every later hash.
Entries hold numbers and words of the program, never a patient's name or value.

The bridge keeps every head. A head carries the stored hash of the last entry and, reckoned anew from the first row, the
hash of the entry whose head was sent last: whoever changes the past cannot make that agree with what the bridge has. What
was added after the last head and taken away before the next one leaves no trace: that is at most ten minutes of a link
that is up.
"""

import hashlib
from dataclasses import dataclass

from appliance import __version__
from appliance.contract.cbor import dump
from appliance.contract.events import AuditHead, Event
from appliance.contract.readings import Stamp
from appliance.database import Connection, transaction
from appliance.store.outbox import append

GENESIS = bytes(32)
"""What stands before the first entry."""
SLICE = 500
"""Rows that are reckoned in one go: some milliseconds, so that whoever carries is not held up by a long log."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; `wall` in tenths of a second since 1970. `patient` 0: nobody's."""

    id: int
    wall: int
    actor: str
    action: str
    patient: int
    subject: str


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


def entries(conn: Connection, *, since: int = 0, patient: int = 0, limit: int = 200, before: int = 0) -> list[Entry]:
    """Entries, the newest first: from `since` on (tenths since 1970), of one patient, older than the entry `before`; 0 = any.

    Of a patient the whole log is looked through by index; otherwise the newest `LOOKED` entries: more than a week has.
    """
    rows = conn.execute(
        _OF_PATIENT if patient else _NEWEST, {"patient": patient, "since": since, "before": before, "limit": limit}
    ).fetchall()
    return [Entry(*row) for row in rows]


LOOKED = 20_000
_COLUMNS = "SELECT id, wall, actor, action, patient, subject FROM audit WHERE wall >= :since AND (:before = 0 OR id < :before)"
_OF_PATIENT = f"{_COLUMNS} AND patient = :patient AND patient <> 0 ORDER BY id DESC LIMIT :limit"
_NEWEST = f"{_COLUMNS} AND id > (SELECT max(id) FROM audit) - {LOOKED} ORDER BY id DESC LIMIT :limit"  # noqa: S608 - a number of ours


# --- reckoning anew -----------------------------------------------------------------------------------------------------------------------


class Walk:
    """One walk over the whole log, a slice at a time, that ends with a head in the outbox. Rows may be added meanwhile.

    `wrong` is the number of the first entry whose stored hash is not the one its row gives, 0 while there is none.
    """

    def __init__(self, target: int = 0) -> None:
        self.target, self.before = target, b""
        self.number, self.hash, self.wrong = 0, GENESIS, 0

    def go(self, conn: Connection, most: int = SLICE) -> bool:
        """Reckon the next rows; True when the last one has been reckoned."""
        rows = conn.execute(
            "SELECT id, wall, boot, ticks, actor, action, patient, subject, hash FROM audit WHERE id > ? ORDER BY id LIMIT ?",
            (self.number, most),
        ).fetchall()
        for row in rows:
            self.hash = link(self.hash, tuple(row[:8]))
            self.number = int(row[0])
            if self.hash != bytes(row[8]) and not self.wrong:
                self.wrong = self.number
            if self.number == self.target:
                self.before = self.hash
        return len(rows) < most


def verify(conn: Connection) -> int:
    """0 when every entry's hash is the one its rows give from the first on; otherwise the number of the first that is not."""
    walk = Walk()
    while not walk.go(conn):
        pass
    return walk.wrong


def sent(conn: Connection) -> int:
    """The number of the entry whose head was sent last; 0 before the first."""
    row = conn.execute("SELECT count FROM audit_sent WHERE id = 1").fetchone()
    return 0 if row is None else int(row[0])


def due(conn: Connection) -> bool:
    """True when the log does not end where the last head said."""
    return sent(conn) != _last(conn)[0]


def _last(conn: Connection) -> tuple[int, bytes]:
    row = conn.execute("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    return (0, GENESIS) if row is None else (int(row[0]), bytes(row[1]))


def start(conn: Connection) -> Walk:
    """A walk that ends in a head."""
    return Walk(sent(conn))


def publish_head(conn: Connection, now: Stamp, walk: Walk | None = None) -> bool:
    """Queue the head for the bridge when the log does not end where the last one said. Own transaction unless one is open.

    `walk` has been all over the log; without one it is done here.
    """
    if walk is None:
        walk = start(conn)
        while not walk.go(conn):
            pass
    if conn.in_transaction:
        return _publish(conn, now, walk)
    with transaction(conn):
        return _publish(conn, now, walk)


def _publish(conn: Connection, now: Stamp, walk: Walk) -> bool:
    count, head = _last(conn)
    if count == walk.target or sent(conn) != walk.target:  # nothing new, or another process was first
        return False
    append(conn, Event(now, "", __version__, AuditHead(count, head, walk.target, walk.before)))
    conn.execute(
        "INSERT INTO audit_sent (id, count, wall) VALUES (1, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET count = excluded.count, wall = excluded.wall",
        (count, now.wall),
    )
    return True
