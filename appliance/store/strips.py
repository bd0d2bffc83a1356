"""Strips of pulse waves: in the run directory while they are nobody's business, in an event once a person sends one to the doctor.

The run directory is a tmpfs: a live stream never reaches the card (decision 26).
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from appliance import __version__
from appliance.contract import cbor, strips
from appliance.contract.errors import WireError
from appliance.contract.events import ConsultStrip, Event
from appliance.contract.readings import Stamp
from appliance.contract.strips import Strip
from appliance.database import Connection
from appliance.store.outbox import append

FOLDER = "strips"
MOST_KEPT = 16
"""Measurements whose strips are kept: those of some hours. 2 kB each, in memory."""
LARGEST = 16 * 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """The strips of one measurement as bytes: the wave (empty where the device gives none), SpO2 and pulse of each second."""

    key: bytes
    wave: bytes
    spo2: bytes
    pulse: bytes


def keep(run: Path, key: bytes, wave: Strip | None, spo2: Strip, pulse: Strip) -> None:
    """Lay the strips of a measurement down in the run directory; the oldest go. An OSError is the caller's."""
    folder = run / FOLDER
    folder.mkdir(mode=0o2770, exist_ok=True)
    data = cbor.dump([b"" if wave is None else strips.write(wave), strips.write(spo2), strips.write(pulse)])
    beside = folder / f".{key.hex()}"
    beside.write_bytes(data)
    beside.chmod(0o640)
    beside.replace(folder / key.hex())
    files = sorted((one for one in folder.iterdir() if not one.name.startswith(".")), key=lambda one: one.stat().st_mtime_ns)
    for old in files[:-MOST_KEPT]:
        with suppress(FileNotFoundError):
            os.unlink(old)


def kept(run: Path, key: bytes) -> Kept | None:
    """The strips of a measurement, while they are there and whole."""
    try:
        with (run / FOLDER / key.hex()).open("rb") as file:
            found = cbor.load(file.read(LARGEST))
        wave, spo2, pulse = found
        for one in (wave, spo2, pulse):
            if one:
                strips.read(one)
    except (OSError, WireError, ValueError, TypeError):
        return None
    return Kept(key, wave, spo2, pulse)


def attach(conn: Connection, consult: int, chosen: tuple[Kept, ...], *, staff: str, now: Stamp) -> None:
    """Send the strips with a request, in its transaction."""
    for one in chosen:
        append(conn, Event(now, staff, __version__, ConsultStrip(consult, one.key, one.wave, one.spo2, one.pulse)))
