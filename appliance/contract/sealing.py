"""Sealed parcels (suite 1): the broker reads the header, nobody but the two ends reads the rest. Decision 0010 says why it is so.

One content key per station and epoch, 32 random bytes made at the station. It reaches the bridge wrapped by HPKE (RFC 9180,
base mode: DHKEM X25519, HKDF-SHA256, AES-256-GCM) in an event *KeyPublished* that the station's Ed25519 key signs. From it
each direction has a key of its own; on the way down the bridge's store id takes part, so that a restored bridge has another.

``sealed part = salt (12) | AES-256-GCM of what was in the parcel | tag (16)``, the parcel's header being associated data.
The key of one parcel comes from the direction's key and the salt, its nonce is (lane, first number). The salt is a MAC of
header, content and fresh random bytes: two different contents have two salts even where the random bytes repeat, as they
may in a copied machine. HPKE draws its own randomness from the operating system; all else is an argument.
"""

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.contract import cbor
from appliance.contract.errors import WireError
from appliance.contract.events import KeyPublished
from appliance.contract.ids import EPOCH_BYTES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CLEAR, SEALED = 0, 1
"""`Header.suite`. 0 is for key events, and for everything only where ``wire.sealing`` is off."""
PURPOSE = "seal"
"""`KeyPublished.purpose` of a content key."""
DOMAIN = b"tram-seal-v1"
KEY_BYTES = 32
RANDOM_BYTES = 16
SALT_BYTES = 12
TAG_BYTES = 16
ADDED_BYTES = SALT_BYTES + TAG_BYTES
_WRAPPED_BYTES = 32 + KEY_BYTES + TAG_BYTES


@dataclass(frozen=True, slots=True)
class Seal:
    """What one parcel is sealed with: the id of the content key, the key of the direction, and 16 fresh random bytes."""

    key_id: int
    key: bytes
    random: bytes

    def close(self, head: bytes, lane: int, first_seq: int, content: bytes) -> bytes:
        """The sealed part of a parcel whose header is `head`."""
        salt = _mac(self.key, b"salt", self.random, head, content)[:SALT_BYTES]
        return salt + cipher(self.key, salt).encrypt(_nonce(lane, first_seq), content, head)


def unseal(key: bytes, head: bytes, lane: int, first_seq: int, sealed: bytes) -> bytes:
    """What was sealed with the direction's `key`; WireError ``sealed`` when it does not open: another key, or changed bytes."""
    if len(sealed) < ADDED_BYTES:
        raise WireError("truncated", "sealed part")
    salt, rest = sealed[:SALT_BYTES], sealed[SALT_BYTES:]
    try:
        return cipher(key, salt).decrypt(_nonce(lane, first_seq), rest, head)
    except InvalidTag:
        raise WireError("sealed", "does not open") from None


def cipher(key: bytes, salt: bytes) -> "AESGCM":
    """The cipher of one parcel. Loaded when it is first needed: 200 KiB that a process without parcels does not pay."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(_mac(key, b"parcel", salt))


def direction_key(content_key: bytes, station: str, epoch: bytes, store: bytes = b"") -> bytes:
    """The key of one direction: the way up, or the way down from the bridge's incarnation `store`."""
    if len(content_key) != KEY_BYTES:
        raise ValueError(f"a content key has {KEY_BYTES} bytes, not {len(content_key)}")
    return _mac(content_key, b"down" if store else b"up", station.encode(), epoch, store)


def _mac(key: bytes, *parts: bytes) -> bytes:
    """HMAC-SHA256 of the parts, each behind its length, so that no two lists of parts are the same bytes."""
    said = b"".join(len(part).to_bytes(4) + part for part in (DOMAIN, *parts))
    return hmac.digest(key, said, "sha256")


def _nonce(lane: int, first_seq: int) -> bytes:
    return lane.to_bytes(4) + first_seq.to_bytes(8)


# --- how the bridge gets the key -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offer:
    """A content key on its way: of which epoch, its id, for which of the bridge's keys it is `wrapped`."""

    epoch: bytes
    key_id: int
    bridge_key: int
    wrapped: bytes


def offer(
    station: str, epoch: bytes, key_id: int, content_key: bytes, bridge: "tuple[int, X25519PublicKey]", sign: Ed25519PrivateKey
) -> KeyPublished:
    """The event that brings a content key to the owner of the `bridge` key (id, public half), signed by the station."""
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    wrapped = suite.encrypt(content_key, bridge[1], info=_info(station, epoch, key_id))
    public = cbor.dump([epoch, bridge[0], wrapped])
    return KeyPublished(key_id, PURPOSE, public, sign.sign(_signed(station, key_id, public)))


def read_offer(body: KeyPublished, station: str, key: Ed25519PublicKey) -> Offer:
    """The content key in an event of `station`, still wrapped. WireError ``signature`` when `key` has not signed it, or ``shape``."""
    try:
        key.verify(body.signature, _signed(station, body.key_id, body.public))
    except InvalidSignature:
        raise WireError("signature", f"content key {body.key_id}") from None
    match cbor.load(body.public):
        case [bytes(epoch), int(bridge_key), bytes(wrapped)] if len(epoch) == EPOCH_BYTES and len(wrapped) == _WRAPPED_BYTES:
            return Offer(epoch, body.key_id, bridge_key, wrapped)
    raise WireError("shape", "content key")


def unwrap(one: Offer, station: str, private: "X25519PrivateKey") -> bytes:
    """The content key (32 bytes); WireError ``sealed`` when it was not wrapped for this key."""
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    try:
        found = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM).decrypt(
            one.wrapped, private, info=_info(station, one.epoch, one.key_id)
        )
    except InvalidTag:
        raise WireError("sealed", f"content key {one.key_id} is not for key {one.bridge_key}") from None
    if len(found) != KEY_BYTES:
        raise WireError("shape", "content key")
    return found


def _info(station: str, epoch: bytes, key_id: int) -> bytes:
    return DOMAIN + cbor.dump(["wrap", station, epoch, key_id])


def _signed(station: str, key_id: int, public: bytes) -> bytes:
    return DOMAIN + cbor.dump(["offer", station, key_id, public])
