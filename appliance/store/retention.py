"""What may leave the card, and in which order: small steps, each its own transaction, each written down in table ``shed``.

Nothing that the bridge has not vouched for is ever touched: not a reading, not a consult, not a part of a picture. What
leaves is a copy: the event's body in the outbox, its sealed parcel, a picture's bytes. The row that says *received* stays,
and so does the clinical row (observation, consult) that the copy was made from.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from appliance.contract.lanes import Lane
from appliance.database import Connection, Row, transaction
from appliance.store import content
from appliance.store.outbox import RECEIVED, SET_ASIDE

DAY = 864_000
"""Tenths of a second."""
COPY_DAYS = 90
"""How long received parcels stay: the fleet is the cloud's second backup (decision 25, delivery.md §5)."""
PICTURE_DAYS = 7
"""How long the pictures of a closed consult stay readable on the box (decision 25)."""
FRAGMENT_DAYS = 30
"""Parts of a message of the way down whose rest has not come in this time are asked for anew anyway."""
ROWS = 200
"""Rows of one step: a step on a slow card stays below half a second, so that the kiosk's own commits hardly wait."""
PARCELS = 50
_CURSOR = "shed_upto"


class Shed(NamedTuple):
    """What one step removed: `what` is a stable word, `items` how many, `bytes` what its rows held."""

    what: str
    items: int
    bytes: int


Step = Callable[[Connection, int], Shed | None]


def logs(conn: Connection, now: int) -> Shed | None:
    """Received log events and what never became a message; None when nothing is left. `now`: tenths since 1970. Own transaction."""
    with transaction(conn):
        found = _blank(conn, "lane = ? AND length(body) > 0", (int(Lane.CONTENT),), "logs")
        if found is None:
            old = now - FRAGMENT_DAYS * DAY
            size, count = _sum(conn, "SELECT coalesce(sum(length(data)), 0), count(*) FROM fragment WHERE at < ?", (old,))
            conn.execute("DELETE FROM fragment WHERE at < ?", (old,))
            found = Shed("logs", count, size) if count else None
        return _note(conn, found, now)


def previews(conn: Connection, now: int) -> Shed | None:
    """A preview whose full picture is still here: it can be made again. One a step. Own transaction."""
    return _content(
        conn, now, "previews",
        "content.id IN (SELECT preview FROM picture WHERE content <> preview"
        " AND EXISTS (SELECT 1 FROM content_part WHERE id = picture.content * ?))", (content.MOST_PARTS,),
    )  # fmt: skip


def attachments(conn: Connection, now: int) -> Shed | None:
    """A picture that the bridge has whole. One a step, the oldest first. Own transaction."""
    return _content(conn, now, "attachments", "1", ())


def old_pictures(conn: Connection, now: int) -> Shed | None:
    """A picture that the bridge has whole, of consults all answered or withdrawn `PICTURE_DAYS` ago. Own transaction."""
    old = now - PICTURE_DAYS * DAY
    return _content(
        conn, now, "closed-pictures",
        "NOT EXISTS (SELECT 1 FROM picture"
        " LEFT JOIN consult ON consult.id = picture.consult WHERE content.id IN (picture.content, picture.preview)"
        " AND coalesce(consult.withdrawn, (SELECT max(arrived) FROM answer WHERE answer.consult = consult.id), ?) >= ?)"
        " AND EXISTS (SELECT 1 FROM picture WHERE content.id IN (picture.content, picture.preview))", (now, old),
    )  # fmt: skip


def copies(conn: Connection, now: int) -> Shed | None:
    """Received events, and their sealed parcels, `COPY_DAYS` after their receipt, in the order they were said. Own transaction.

    It stops at the first event that is not received or has been for a shorter time: behind it nothing is old enough.
    """
    with transaction(conn):
        start = _meta(conn, _CURSOR)
        rows = conn.execute(
            "SELECT id, epoch, lane, seq, state, received, length(body) AS size FROM outbox WHERE id > ? ORDER BY id LIMIT ?", (start, ROWS)
        ).fetchall()
        done: list[Row] = []
        for row in rows:
            old = row["received"] is not None and row["received"] < now - COPY_DAYS * DAY
            if row["state"] < RECEIVED or not old:
                break
            done.append(row)
        if not done:
            return None
        gone = [row for row in done if row["state"] != SET_ASIDE and row["size"]]
        conn.executemany("UPDATE outbox SET body = x'', crc = 0 WHERE id = ?", [(row["id"],) for row in gone])
        upto: dict[tuple[int, int], int] = {}
        for row in done:
            upto[row["epoch"], row["lane"]] = max(row["seq"], upto.get((row["epoch"], row["lane"]), 0))
        size = sum(row["size"] for row in gone) + sum(_parcels(conn, *place, 0, last) for place, last in upto.items())
        conn.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (_CURSOR, done[-1]["id"])
        )
        return _note(conn, Shed("copies", len(gone), size), now)


PRESSED: tuple[Step, ...] = (logs, previews, attachments, copies)
"""In the order of delivery.md §9; after the last one nothing may go."""
DAILY: tuple[Step, ...] = (old_pictures, copies)
"""What leaves whether there is room or not (decision 25)."""


def noted(conn: Connection, limit: int = 20) -> list[Row]:
    """The latest things that left the card: what, count, bytes, at (tenths since 1970), one row a kind and day."""
    rows: list[Row] = conn.execute("SELECT at, what, count, bytes FROM shed ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return rows


# --- the parts of a step -----------------------------------------------------------------------------------------------------------------


def _content(conn: Connection, now: int, what: str, where: str, values: Sequence[object]) -> Shed | None:
    """Drop the oldest content, all of whose parts the bridge has, that `where` allows, with its events and its own parcels."""
    with transaction(conn):
        row = conn.execute(
            "SELECT id, first, last, size FROM content"  # noqa: S608 - a condition of this module
            " WHERE first IS NOT NULL AND EXISTS (SELECT 1 FROM content_part WHERE id = content.id * ?)"
            f" AND (SELECT count(*) FROM outbox WHERE id BETWEEN first AND last AND state = {RECEIVED:d}) > last - first AND {where}"
            " ORDER BY id LIMIT 1",
            (content.MOST_PARTS, *values),
        ).fetchone()
        if row is None:
            return None
        conn.execute(
            "DELETE FROM content_part WHERE id BETWEEN ? AND ?",
            (row["id"] * content.MOST_PARTS, (row["id"] + 1) * content.MOST_PARTS - 1),
        )
        size = row["size"]
        for place in conn.execute(
            "SELECT epoch, lane, min(seq), max(seq) FROM outbox WHERE id BETWEEN ? AND ? GROUP BY epoch, lane", (row["first"], row["last"])
        ).fetchall():
            size += _parcels(conn, *place)
        conn.execute("UPDATE outbox SET body = x'', crc = 0 WHERE id BETWEEN ? AND ?", (row["first"], row["last"]))
        return _note(conn, Shed(what, 1, size), now)


def _blank(conn: Connection, where: str, values: Sequence[object], what: str) -> Shed | None:
    """Empty the bodies of some received events that `where` names, and drop the parcels they filled."""
    rows = conn.execute(
        f"SELECT id, epoch, lane, seq, length(body) AS size FROM outbox WHERE state = {RECEIVED:d} AND {where} LIMIT {ROWS:d}",  # noqa: S608 - as above
        tuple(values),
    ).fetchall()
    if not rows:
        return None
    size = sum(row["size"] for row in rows)
    conn.executemany("UPDATE outbox SET body = x'', crc = 0 WHERE id = ?", [(row["id"],) for row in rows])
    for epoch, lane in {(row["epoch"], row["lane"]) for row in rows}:
        mine = [row["seq"] for row in rows if (row["epoch"], row["lane"]) == (epoch, lane)]
        size += _parcels(conn, epoch, lane, min(mine), max(mine))
    return Shed(what, len(rows), size)


def _parcels(conn: Connection, epoch: int, lane: int, first: int, last: int) -> int:
    """Drop closed parcels that lie wholly within a range of a lane; how many bytes they held."""
    rows = conn.execute(
        "SELECT number FROM parcel WHERE epoch = ? AND lane = ? AND first_seq >= ? AND first_seq + count - 1 <= ?",
        (epoch, lane, first, last),
    ).fetchall()
    size = 0
    for (number,) in (tuple(row) for row in rows):
        gone = conn.execute("SELECT length(payload) FROM parcel WHERE number = ? AND state <> 0", (number,)).fetchone()
        if gone is not None:
            size += gone[0]
            conn.execute("DELETE FROM parcel WHERE number = ?", (number,))
    return size


def _note(conn: Connection, found: Shed | None, now: int) -> Shed | None:
    """Written down in the transaction that shed it: one row a kind and day, added up."""
    if found is None or not found.items:
        return found
    row = conn.execute("SELECT id, at FROM shed WHERE what = ? ORDER BY id DESC LIMIT 1", (found.what,)).fetchone()
    if row is not None and row["at"] // DAY == now // DAY:
        conn.execute(
            "UPDATE shed SET count = count + ?, bytes = bytes + ?, at = ? WHERE id = ?", (found.items, found.bytes, now, row["id"])
        )
    else:
        conn.execute("INSERT INTO shed (at, what, count, bytes) VALUES (?, ?, ?, ?)", (now, found.what, found.items, found.bytes))
    return found


def _meta(conn: Connection, name: str) -> int:
    row = conn.execute("SELECT value FROM meta WHERE key = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])


def _sum(conn: Connection, query: str, values: Sequence[object]) -> tuple[int, int]:
    row = conn.execute(query, tuple(values)).fetchone()
    return int(row[0]), int(row[1])
