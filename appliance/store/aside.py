"""What the station has set aside, for the technician: messages nobody could read, answers nobody could verify, events that could
not be sent. Byte-exact, never removed, and read again after a fix (`tram quarantine replay`) or an update (`tram init`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from appliance.contract.codec import read_event
from appliance.contract.errors import WireError
from appliance.contract.ids import STORE_BYTES
from appliance.contract.lanes import Lane
from appliance.database import Connection, transaction
from appliance.relay.pump import End
from appliance.relay.replay import Kept, Outcome, Raw, replay, reread
from appliance.relay.storage import Stream, Tx
from appliance.store import downlink
from appliance.store.inbox import LATER_KIND, REDEEMED, SIDE, WAITING, StationStore
from appliance.store.outbox import append

OWN = "own"
"""`quarantine.side` of events of ours that could not be sent."""
DAMAGED = "checksum"


class Aside(NamedTuple):
    """One thing that was set aside; `tried` and `outcome`: when it was last read again and what came of it."""

    id: int
    side: str
    topic: str
    reason: str
    detail: str
    size: int
    lane: int | None
    first: int | None
    events: int | None
    at: int
    state: int
    tried: int | None
    outcome: str


def listing(conn: Connection, *, waiting: bool = False) -> list[Aside]:
    """Everything that was ever set aside, the oldest first; with `waiting` only what still is."""
    rows = conn.execute(
        "SELECT id, side, topic, reason, detail, length(payload), lane, first_seq, count, at, state, tried, outcome FROM quarantine"
        " WHERE state = 0 OR NOT ? ORDER BY id",
        (waiting,),
    ).fetchall()
    return [Aside(*row) for row in rows]


def payload(conn: Connection, number: int) -> bytes | None:
    """The bytes as they came; None when there is no such row."""
    row = conn.execute("SELECT payload FROM quarantine WHERE id = ?", (number,)).fetchone()
    return None if row is None else bytes(row[0])


def again(store: StationStore, conn: Connection, end: End, numbers: Sequence[int], at: int) -> list[Outcome]:
    """Read what was set aside again with today's code; each keeps its row, with its outcome. `at`: tenths since 1970. Raises OSError."""
    rows = {
        row["id"]: row
        for row in conn.execute("SELECT id, side, topic, payload, reason, lane FROM quarantine WHERE state = ?", (WAITING,)).fetchall()
        if row["id"] in set(numbers)
    }

    def note(tx: Tx, outcome: Outcome) -> None:
        _note(tx, outcome, at)

    down = [Kept(row["id"], row["topic"], bytes(row["payload"])) for row in rows.values() if row["side"] == SIDE]
    found = replay(store, end, down, note, at)
    if any(row["side"] == downlink.SIDE for row in rows.values()):
        downlink.reconsider(conn)
    for row in rows.values():
        if row["side"] == SIDE:
            continue
        with transaction(conn):
            if row["side"] == OWN:
                outcome = _send_again(conn, row["id"], bytes(row["payload"]), row["reason"], row["lane"])
            else:
                left = conn.execute("SELECT state FROM quarantine WHERE id = ?", (row["id"],)).fetchone()[0] == WAITING
                outcome = Outcome(row["id"], not left, "signature" if left else "verified after all", 0 if left else 1)
            note(conn, outcome)
        found.append(outcome)
    return sorted(found)


def _send_again(conn: Connection, number: int, body: bytes, reason: str, lane: int) -> Outcome:
    """An event of ours that this code can write is queued anew. One whose bytes the card has changed is not what was said."""
    if reason == DAMAGED:
        return Outcome(number, False, "its bytes are not those that were written")
    try:
        append(conn, read_event(body), Lane(lane))
    except (WireError, ValueError) as error:
        return Outcome(number, False, getattr(error, "reason", type(error).__name__))
    return Outcome(number, True, "queued again", 1)


def _note(tx: Tx, outcome: Outcome, at: int) -> None:
    state = REDEEMED if outcome.taken else WAITING
    tx.execute(
        "UPDATE quarantine SET tried = ?, outcome = ?, state = CASE WHEN state = ? THEN ? ELSE state END WHERE id = ?",
        (at, outcome.said, WAITING, state, outcome.id),
    )


def after_update(store: StationStore, conn: Connection, end: End, at: int) -> tuple[int, int]:
    """With a new version: everything that waits is read again, and so are events whose kind or meaning was not understood.

    How many messages and how many events were taken.
    """
    taken = again(store, conn, end, [one.id for one in listing(conn, waiting=True)], at)
    rows = conn.execute("SELECT origin, lane, seq, body FROM inbox_event WHERE why IS NOT NULL ORDER BY id").fetchall()
    raw = [_raw(store.station, *row) for row in rows]

    def understood(tx: Tx, one: Raw, why: str | None) -> None:
        tx.execute(
            "UPDATE inbox_event SET why = ? WHERE origin = ? AND lane = ? AND seq = ?",
            (why, one.stream.origin + one.stream.epoch, one.lane, one.seq),
        )

    return sum(one.taken for one in taken), reread(store, end, raw, understood)


def _raw(station: str, name: bytes, lane: int, seq: int, body: bytes) -> Raw:
    return Raw(Stream(station, bytes(name)[:STORE_BYTES], bytes(name)[STORE_BYTES:]), lane, seq, bytes(body))


def unknown(conn: Connection) -> int:
    """Events of kinds of a later version that wait for an update."""
    return int(conn.execute("SELECT count(*) FROM inbox_event WHERE why = ?", (LATER_KIND,)).fetchone()[0])
