"""What the station has learnt about the time, as rows and as events for the bridge: anchors (`events.ClockAnchor`).

An anchor says: at this tick of this boot it was so late, give or take so much. The bridge works the true time of
everything out of them; nothing that was stamped is ever changed.
"""

from typing import NamedTuple

from appliance import __version__
from appliance.contract.events import ClockAnchor, Event
from appliance.contract.readings import Stamp
from appliance.database import Connection, transaction
from appliance.store import audit
from appliance.store.outbox import append

KEPT = 64
"""Rows that stay for people to look at; the bridge has all of them."""
TECHNICIAN = "technician"
"""The source of a time that a person has typed."""


class Anchor(NamedTuple):
    """At tick `ticks` of boot `boot` (short number; `boot_seq` its number here) it was `wall` ± `error`; tenths of a second."""

    boot: int
    boot_seq: int
    ticks: int
    wall: int
    error: int
    source: str


def keep(conn: Connection, now: Stamp, anchor: Anchor, *, actor: str = "") -> None:
    """Keep an anchor and queue it for the bridge, in one transaction of its own. `now` is the stamp of the event; a person's is audited."""
    with transaction(conn):
        conn.execute("INSERT INTO anchor (boot, boot_seq, ticks, wall, error, source) VALUES (?, ?, ?, ?, ?, ?)", anchor)
        conn.execute("DELETE FROM anchor WHERE id <= (SELECT max(id) FROM anchor) - ?", (KEPT,))
        body = ClockAnchor(anchor.boot, anchor.ticks, anchor.wall, anchor.error, anchor.source)
        append(conn, Event(now, actor, __version__, body))
        if actor:
            audit.note(conn, actor=actor, action="time.set", now=now, subject=f"wall:{anchor.wall} error:{anchor.error}")


def listing(conn: Connection, limit: int = KEPT) -> list[Anchor]:
    """The anchors that are still here, the newest first."""
    rows = conn.execute("SELECT boot, boot_seq, ticks, wall, error, source FROM anchor ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return [Anchor(*tuple(row)) for row in rows]


def latest(conn: Connection, boot: int) -> Anchor | None:
    """The newest anchor of a boot."""
    row = conn.execute(
        "SELECT boot, boot_seq, ticks, wall, error, source FROM anchor WHERE boot = ? ORDER BY id DESC LIMIT 1", (boot,)
    ).fetchone()
    return None if row is None else Anchor(*tuple(row))
