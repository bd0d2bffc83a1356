"""The emergency button: it works for anybody, with or without a PIN, and is always written down."""

from collections.abc import Callable
from dataclasses import dataclass

from appliance import __version__
from appliance.contract.events import EmergencyPressed, Event
from appliance.contract.ids import short_number
from appliance.contract.readings import Stamp
from appliance.database import Connection, transaction
from appliance.store import audit
from appliance.store.outbox import RECEIVED, append
from appliance.store.records import outbox_row

AGAIN = 600
"""Tenths of a second: whoever presses again within a minute has pressed the same call (a nervous finger, two people)."""

TEST = "DỮ LIỆU THỬ"
"""The note of a call from a station that is not in service."""


@dataclass(frozen=True, slots=True)
class Call:
    """One press. `received` is when the bridge's receipt for it arrived, None until then; times are tenths of a second since 1970."""

    call: int
    actor: str
    pressed: int
    received: int | None


def press(conn: Connection, *, actor: str, now: Stamp, random: Callable[[int], bytes], test: bool = False) -> Call:
    """Tell the bridge that help is needed here; the call. `actor` is ``""`` when nobody has signed in. Own transaction.

    A press within a minute of the last one is that call again: it is written into the audit log and sends nothing new. `test`: the
    station is no real one, and whoever is alarmed must see that.
    """
    with transaction(conn):
        row = conn.execute("SELECT call, boot, ticks FROM emergency ORDER BY id DESC LIMIT 1").fetchone()
        if row is not None and row["boot"] == now.boot and 0 <= now.ticks - row["ticks"] < AGAIN:
            call = int(row["call"])
            audit.note(conn, actor=actor, action="emergency.again", now=now, subject=f"call:{call}")
        else:
            call = _new(conn, actor, now, random, TEST if test else "")
            audit.note(conn, actor=actor, action="emergency.call", now=now, subject=f"call:{call}")
    found = latest(conn)
    assert found is not None
    return found


def _new(conn: Connection, actor: str, now: Stamp, random: Callable[[int], bytes], note: str) -> int:
    call = short_number(random(5))
    lane, seq = append(conn, Event(now, actor, __version__, EmergencyPressed(call, note)))
    _epoch, outbox = outbox_row(conn, lane, seq)
    conn.execute(
        "INSERT INTO emergency (call, actor, wall, boot, ticks, outbox) VALUES (?, ?, ?, ?, ?, ?)",
        (call, actor, now.wall, now.boot, now.ticks, outbox),
    )
    return call


def latest(conn: Connection) -> Call | None:
    """The last call, or None when there never was one."""
    row = conn.execute(
        "SELECT e.call, e.actor, e.wall, o.received, o.state FROM emergency AS e LEFT JOIN outbox AS o ON o.id = e.outbox"
        " ORDER BY e.id DESC LIMIT 1"
    ).fetchone()
    return None if row is None else Call(row["call"], row["actor"], row["wall"], row["received"] if row["state"] == RECEIVED else None)
