"""The store's key wrapped for the bridge's recovery key, in a file beside the store (`contract.escrow`).

`tram init` and `tram enrol` call `keep`: a new pin or a new key is followed at once, otherwise nothing is written.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from appliance import durable
from appliance.contract import escrow
from appliance.contract.errors import WireError
from appliance.database import Connection
from appliance.settings import Settings
from appliance.store.keys import RECOVERY

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey


def wrapped_file(settings: Settings) -> Path:
    """Where the wrapped key is."""
    return settings.paths.data / escrow.FILE


def recovery_pin(conn: Connection) -> "tuple[int, X25519PublicKey] | None":
    """The latest recovery key, (id, public half); None where none is pinned."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    row = conn.execute("SELECT key_id, public FROM pin WHERE purpose = ? ORDER BY key_id DESC LIMIT 1", (RECOVERY,)).fetchone()
    return None if row is None else (int(row[0]), X25519PublicKey.from_public_bytes(bytes(row[1])))


def keep(conn: Connection, settings: Settings, key: bytes) -> bool:
    """Wrap the store's `key` for the pinned recovery key unless that is done; True when a file was written."""
    pin = recovery_pin(conn)
    if pin is None:
        return False
    file, station = wrapped_file(settings), settings.need("station.id")
    there = kept(file)
    if there is not None and (there.station, there.key_id, there.name) == (station, pin[0], escrow.name_of(key)):
        return False
    durable.replace(file, escrow.write(escrow.wrap(station, key, *pin)), 0o640)
    return True


def kept(file: Path) -> escrow.Wrapped | None:
    """What is kept; None where nothing is, or it cannot be read."""
    try:
        return escrow.read(file.read_bytes()[: escrow.MOST_BYTES])
    except (OSError, WireError):
        return None
