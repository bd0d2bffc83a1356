"""Keys: the station's own Ed25519 key, and the bridge's public keys that were pinned when the box was set up.

Pins come from a person with a file (``tram init --pin``), never from the wire.
"""

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.database import Connection

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

STATION_KEY_ID = 0
PURPOSES = ("receipt", "answer")
SEAL = "seal"
"""The bridge's X25519 key that content keys are wrapped for; every other pinned key but RECOVERY is an Ed25519 key."""
RECOVERY = "recovery"
"""The X25519 key that the store's own key is wrapped for (`escrow`); its private half is kept where no network is."""
OFFERED = ("time", SEAL, RECOVERY)
"""Purposes that not every bridge has keys for: pinned where the file names them."""
PUBLIC_BYTES = 32


def make_station_key(conn: Connection, private: bytes) -> bool:
    """Keep the station's key (32 random bytes) in the caller's transaction unless it has one; True when it was made."""
    public = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    done = conn.execute(
        "INSERT OR IGNORE INTO keyring (name, key_id, private, public) VALUES ('station', ?, ?, ?)", (STATION_KEY_ID, private, public)
    )
    return bool(done.rowcount == 1)


def station_key(conn: Connection) -> Ed25519PrivateKey:
    """The key the station signs with."""
    row = conn.execute("SELECT private FROM keyring WHERE name = 'station'").fetchone()
    if row is None:
        raise RuntimeError("a store without a station key: tram init has not been here")
    return Ed25519PrivateKey.from_private_bytes(bytes(row[0]))


def station_public(conn: Connection) -> tuple[int, bytes]:
    """(key id, 32 public bytes) of the station's key."""
    row = conn.execute("SELECT key_id, public FROM keyring WHERE name = 'station'").fetchone()
    if row is None:
        raise RuntimeError("a store without a station key: tram init has not been here")
    return int(row[0]), bytes(row[1])


def pin(conn: Connection, purpose: str, key_id: int, public: bytes) -> bool:
    """Trust `public` for a purpose under its id, in the caller's transaction; False when it was pinned already."""
    if purpose not in PURPOSES + OFFERED:
        raise ValueError(f"keys are pinned for {' and '.join(PURPOSES + OFFERED)}, not {purpose!r}")
    if purpose in (SEAL, RECOVERY):
        _sealing_key(public)
    else:
        Ed25519PublicKey.from_public_bytes(public)
    row = conn.execute("SELECT public FROM pin WHERE purpose = ? AND key_id = ?", (purpose, key_id)).fetchone()
    if row is not None and bytes(row[0]) == public:
        return False
    conn.execute(
        "INSERT INTO pin (purpose, key_id, public) VALUES (?, ?, ?) ON CONFLICT (purpose, key_id) DO UPDATE SET public = excluded.public",
        (purpose, key_id, public),
    )
    return True


def pinned(conn: Connection, purpose: str) -> dict[int, Ed25519PublicKey]:
    """The bridge's keys for one purpose, by id."""
    rows = conn.execute("SELECT key_id, public FROM pin WHERE purpose = ?", (purpose,)).fetchall()
    return {int(row[0]): Ed25519PublicKey.from_public_bytes(bytes(row[1])) for row in rows}


def sealing_pin(conn: Connection) -> "tuple[int, X25519PublicKey] | None":
    """The bridge's latest key to wrap for, (id, key); None where none is pinned."""
    row = conn.execute("SELECT key_id, public FROM pin WHERE purpose = ? ORDER BY key_id DESC LIMIT 1", (SEAL,)).fetchone()
    return None if row is None else (int(row[0]), _sealing_key(bytes(row[1])))


def _sealing_key(public: bytes) -> "X25519PublicKey":
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    return X25519PublicKey.from_public_bytes(public)
