"""What the station has to say, in the order it was said: the way up, as rows. Nothing is deleted here.

`append` is how every other module of the store speaks: in the same transaction as the row that it speaks about.
"""

import zlib

from appliance.contract.codec import write_event
from appliance.contract.events import Event, Unknown
from appliance.contract.lanes import Lane
from appliance.database import Connection

WAITING, RECEIVED, SET_ASIDE = 0, 2, 3
"""`outbox.state`: the bridge has not said that it has the event; it has it; it could not read it and keeps its bytes in quarantine."""


def append(conn: Connection, event: Event, lane: Lane | None = None) -> tuple[int, int]:
    """Queue `event` for the bridge in the caller's transaction; its (lane, seq) in the station's latest epoch.

    The lane is that of the event's kind unless `lane` says otherwise (readings of an open consult), and never changes.
    """
    if not conn.in_transaction:
        raise RuntimeError("an event is queued in the transaction of the row it speaks about")
    if lane is None:
        if isinstance(event.body, Unknown):
            raise ValueError(f"a kind of a later version ({event.kind}) has no lane of its own")
        lane = event.body.LANE
    (row,) = conn.execute(_NUMBER, (int(lane),)).fetchall()
    epoch, seq = int(row[0]), int(row[1])
    body = write_event(event)
    conn.execute(
        "INSERT INTO outbox (epoch, lane, seq, kind, body, at, crc) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (epoch, int(lane), seq, event.kind, body, event.stamp.wall, zlib.crc32(body)),
    )
    return int(lane), seq


_NUMBER = """INSERT INTO lane (epoch, lane, next) VALUES ((SELECT max(id) FROM epoch), ?, 2)
ON CONFLICT (epoch, lane) DO UPDATE SET next = next + 1 RETURNING epoch, next - 1"""
