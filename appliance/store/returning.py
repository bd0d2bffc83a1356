"""What a station gives back to a bridge whose store was restored: the answers it has (docs/how-to/restore-the-bridge.md).

What the station itself has said is offered again by the relay. An answer was said by the bridge, which has lost it: a
doctor would find the request open and answer it a second time. So the station returns the exact signed bytes.
"""

from appliance import __version__
from appliance.contract.events import AnswerKept, Event
from appliance.contract.readings import ClockQuality, Stamp
from appliance.database import Connection
from appliance.store.outbox import append

DAYS = 7
"""Answers older than this are in a backup, or are no longer readable here either (decision 25)."""
_DAY = 864_000


def return_answers(conn: Connection, at: int) -> int:
    """Queue every answer of the last `DAYS` for a bridge that speaks as another incarnation, in the caller's transaction; how many.

    `at` is now in tenths of a second since 1970.
    """
    rows = conn.execute(
        "SELECT consult, answer, replaces, content, key_id, signature FROM answer WHERE arrived >= ? ORDER BY arrived, consult, answer",
        (at - DAYS * _DAY,),
    ).fetchall()
    for row in rows:
        body = AnswerKept(row["consult"], row["answer"], bytes(row["content"]), row["key_id"], bytes(row["signature"]), row["replaces"])
        append(conn, Event(Stamp(0, 0, 0, at, ClockQuality.UNKNOWN), "", __version__, body))
    return len(rows)
