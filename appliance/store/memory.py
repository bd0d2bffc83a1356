"""What comes out of a device's memory: its clock beside the box's, and copies of what was measured live.

A record from the memory is nobody's until a person says whose (the collector gives it no session). Where it is a copy of
a measurement that is here already, its row says so (`measurement.twin`) and the tray shows one of the two.
"""

from appliance import __version__
from appliance.contract.duplicates import measured_at, offset_of, twins
from appliance.contract.events import DeviceClockRead, Event
from appliance.contract.lanes import Lane
from appliance.contract.readings import Reading, Source, Stamp
from appliance.database import Connection
from appliance.store.errors import Damaged
from appliance.store.outbox import append
from appliance.store.records import unpack

LOOK_BACK = 3000
"""So many of the latest measurements are looked through for a live copy: some weeks of a busy station."""
GOOD_FOR = 3600 * 10
"""Tenths: how long a device's clock counts as read; its drift in an hour is nothing beside the 90 s of a copy."""


def keep_clock(conn: Connection, device: int, said: str, at: Stamp) -> None:
    """What the device's clock `said` when the box's was `at`: kept and sent. In the caller's transaction."""
    offset = offset_of(said, at.wall)
    conn.execute(
        "INSERT INTO device_clock (device, boot, ticks, wall, said, ahead) VALUES (?, ?, ?, ?, ?, ?)",
        (device, at.boot, at.ticks, at.wall, said, offset),
    )
    append(conn, Event(at, "", __version__, DeviceClockRead(device, said, offset)), Lane.READINGS)


def offset(conn: Connection, reading: Reading) -> int | None:
    """By how many seconds the device's clock was ahead when this record was read out; None where nobody asked it."""
    if reading.source is not Source.MEMORY:
        return None
    row = conn.execute(
        "SELECT ahead FROM device_clock WHERE device = ? AND boot = ? AND ticks BETWEEN ? AND ? ORDER BY id DESC LIMIT 1",
        (reading.device, reading.stamp.boot, reading.stamp.ticks - GOOD_FOR, reading.stamp.ticks + 10),
    ).fetchone()
    return None if row is None else row[0]


def twin_of(conn: Connection, reading: Reading, device: str) -> int | None:
    """The live measurement that a memory record is a copy of; None for a live one, and where there is none.

    A device has made each of its measurements before it can say it from memory, so only the second one ever looks back.
    """
    if reading.source is not Source.MEMORY:
        return None
    when = measured_at(reading, reading.stamp.wall, offset(conn, reading))
    rows = conn.execute(
        "SELECT id, reading, crc, wall FROM measurement WHERE device = ? AND wall BETWEEN ? AND ?"
        " AND id > (SELECT coalesce(max(id), 0) FROM measurement) - ? ORDER BY abs(wall - ?)",
        (device, when - 900, when + 900, LOOK_BACK, when),
    ).fetchall()
    for row in rows:
        try:
            other = unpack(Reading, row[1], row[2], "measurement", row[0])
        except Damaged:
            continue
        if twins(other, reading, row[3] - when):
            return int(row[0])
    return None


def copies(conn: Connection, measurement: int) -> int:
    """How many rows of the device's memory are copies of this measurement."""
    return int(conn.execute("SELECT count(*) FROM measurement WHERE twin = ?", (measurement,)).fetchone()[0])
