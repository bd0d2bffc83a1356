"""A bundle of a box's logs on its way to the bridge: sealed for the bridge's key alone. HPKE (RFC 9180) as in `sealing`.

The label in front says whose it is and for which of the bridge's pinned keys: ``seal`` (the bridge opens it at once) or ``recovery``
(whoever keeps that key). What is inside is a tar file of plain texts; no patient is in it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag

from appliance.contract import cbor
from appliance.contract.errors import WireError
from appliance.contract.ids import is_station

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

MAGIC = b"TRAMLOG1"
DOMAIN = b"tram-logs-v1"
MOST_BYTES = 8 << 20
"""A journal of some days packs to less than 1 MiB."""
PURPOSES = ("seal", "recovery")
NAME = "tram-logs-{station}-{when}.sealed"
"""Its name on a stick; `when` as 20261122-0705."""


@dataclass(frozen=True, slots=True)
class Label:
    """Whose bundle it is, and for which key."""

    station: str
    purpose: str
    key_id: int


def seal(label: Label, content: bytes, public: "X25519PublicKey") -> bytes:
    """The file's bytes."""
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    return MAGIC + cbor.dump([label.station, label.purpose, label.key_id, suite.encrypt(content, public, info=_info(label))])


def read(data: bytes) -> tuple[Label, bytes]:
    """The label and what is sealed; WireError for what is no bundle."""
    if len(data) <= MOST_BYTES and data.startswith(MAGIC):
        match cbor.load(data[len(MAGIC) :]):
            case [str(station), str(purpose), int(key_id), bytes(sealed)] if is_station(station) and purpose in PURPOSES:
                return Label(station, purpose, key_id), sealed
    raise WireError("shape", "no bundle of logs")


def unseal(label: Label, sealed: bytes, private: "X25519PrivateKey") -> bytes:
    """What is inside; WireError ``sealed`` when it is for another key, or was changed."""
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    try:
        return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM).decrypt(sealed, private, info=_info(label))
    except InvalidTag:
        raise WireError("sealed", "this key does not open it, or it was changed") from None


def _info(label: Label) -> bytes:
    return DOMAIN + cbor.dump([label.station, label.purpose, label.key_id])
