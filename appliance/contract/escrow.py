"""The store's key wrapped for the bridge's recovery key, so that a dead board loses nothing.

The recovery key is X25519, made and kept where no network is. The station pins its public half as it pins the others and keeps
the wrapped key in a file beside its store: of use to nobody but the owner of the recovery key. HPKE (RFC 9180) as in `sealing`.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag

from appliance.contract import cbor
from appliance.contract.errors import WireError
from appliance.contract.ids import is_station

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

FILE = "store.key.wrapped"
"""Its name, in the folder of the store."""
DOMAIN = b"tram-store-key-v1"
VERSION = 1
KEY_BYTES = 32
MOST_BYTES = 1024
_WRAPPED_BYTES = 32 + KEY_BYTES + 16


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What the file holds: whose store, for which recovery key, the name of the store's key (`name_of`), the wrapped key."""

    station: str
    key_id: int
    name: bytes
    wrapped: bytes


def name_of(key: bytes) -> bytes:
    """Tells one store's key from another without giving it away (8 bytes)."""
    return hashlib.sha256(DOMAIN + b"\0name" + key).digest()[:8]


def wrap(station: str, key: bytes, key_id: int, public: "X25519PublicKey") -> Wrapped:
    """The store's `key` (32 bytes) for the owner of the recovery key `key_id`."""
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    return Wrapped(station, key_id, name_of(key), suite.encrypt(key, public, info=_info(station, key_id)))


def unwrap(one: Wrapped, private: "X25519PrivateKey") -> bytes:
    """The store's key; WireError ``sealed`` when it was wrapped for another key, or changed."""
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    try:
        key = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM).decrypt(one.wrapped, private, info=_info(one.station, one.key_id))
    except InvalidTag:
        raise WireError("sealed", f"the store's key of {one.station} is not for this recovery key") from None
    if len(key) != KEY_BYTES or name_of(key) != one.name:
        raise WireError("shape", "store key")
    return key


def write(one: Wrapped) -> bytes:
    """The bytes of the file."""
    return cbor.dump([VERSION, one.station, one.key_id, one.name, one.wrapped])


def read(data: bytes) -> Wrapped:
    """A file; WireError for what is none."""
    match cbor.load(data):
        case [1, str(station), int(key_id), bytes(name), bytes(wrapped)] if is_station(station) and len(wrapped) == _WRAPPED_BYTES:
            return Wrapped(station, key_id, name, wrapped)
    raise WireError("shape", FILE)


def _info(station: str, key_id: int) -> bytes:
    return DOMAIN + cbor.dump([station, key_id])
