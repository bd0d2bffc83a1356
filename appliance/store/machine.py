"""Which machine and card this store lives on: when they are others, it is a copy, and a new epoch begins before anything is written.

A byte copy would go on counting where the original counts too, and one number would stand for two things. So whoever
starts first (`tram init`, else `tram carry`) compares and begins a new epoch. What the old epoch has not delivered travels
on: under its old number where the bridge has nothing there yet, else under a new one, because nobody can say that the
bytes it has are these; the clinic's own keys (of readings, requests, patients) make both one.
A store put back on its own card cannot be told here; the bridge knows more of it than it says itself, and the first
receipt makes it begin an epoch too (`relay.pump`, `store.speaking.station_end`).
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from appliance import __version__
from appliance.contract.events import Event, KeyPublished
from appliance.contract.ids import EPOCH_BYTES
from appliance.contract.readings import Stamp
from appliance.database import Connection
from appliance.store.boots import open_epoch
from appliance.store.keys import station_public
from appliance.store.outbox import append

HARDWARE = (Path("/sys/firmware/devicetree/base/serial-number"), Path("/sys/block/mmcblk0/device/cid"))
"""The serial number of the SoC and the CID of the card: a byte copy of the store on another card or board differs here.
Both can be read by every process of the box; a PC's product_uuid can be read by root alone and would differ between them."""
MACHINE_ID = Path("/etc/machine-id")
"""Where neither of them exists (a PC, a container)."""


def machine_of(hardware: tuple[Path, ...] = HARDWARE, machine_id: Path = MACHINE_ID) -> str:
    """A digest that names this hardware; it goes nowhere but into the store."""
    parts = [_text(each) for each in hardware]
    if not any(parts):
        parts = [_text(machine_id)]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip("\0 \n")
    except OSError:
        return ""


def renew(conn: Connection, machine: str, now: Stamp, random: Callable[[int], bytes]) -> str:
    """Begin a new epoch where there is none (``first``) or the store was made on another machine (``machine``); else nothing.

    In the caller's transaction. The first event of an epoch is the station's public key.
    """
    row = conn.execute("SELECT value FROM meta WHERE key = 'machine'").fetchone()
    why = "first" if conn.execute("SELECT 1 FROM epoch").fetchone() is None else "" if row and row[0] == machine else "machine"
    if not why and conn.execute("SELECT 1 FROM meta WHERE key = 'salvaged' AND value = 1").fetchone():
        why = "salvaged"  # numbers of the way up may have been lost (`salvage`)
    if why:
        open_epoch(conn, random(EPOCH_BYTES), why, now.wall)
        key_id, public = station_public(conn)
        append(conn, Event(now, "", __version__, KeyPublished(key_id, "sign", public)))
        conn.execute(
            "INSERT INTO meta (key, value) VALUES ('machine', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (machine,)
        )
    return why
