"""Receipts: what the other side has committed. Not events: no sequence number, never themselves receipted.

A receipt is a message of its own type in lane 0. It names, per lane, the highest number below which nothing is
missing, the holes above it and what was quarantined; what cannot be read at all is named by its digest. It counts only
with a valid Ed25519 signature over `DOMAIN` and all of its bytes before the signature; one that lowers a watermark
counts only with the nonce of the receiver's current hello (docs/decisions: receipts).
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.contract import cbor
from appliance.contract.errors import WireError
from appliance.contract.wiring import give, take, wire

DOMAIN = b"tram-receipt-v1"
RECEIPT = 0x12
"""First byte of a receipt: wire version 1, message type 2 (see parcels.PARCEL)."""
HELLO = 0x13
"""First byte of a hello."""
SIGNATURE_BYTES = 64
SAFE_NONCE = b"\x01"
"""A receipt of level SAFE bears the nonce of the hello and this after it. Software of v0.1.0 knows no levels: with the bare nonce
it would take the smaller marks of a backup for a loss; so it sees an old nonce, which can only add."""
DIGEST_BYTES = 8
TAG_BYTES = 2
"""Of an incarnation in a hello: it tells two stores apart, not all there ever were."""
NOBODY = b"\x00"
"""In a hello's `store`: no store has told us anything yet. (Nothing at all: said by software that does not tell.)"""


class Level(IntEnum):
    """How far the other side vouches: committed, or held by a verified backup."""

    RECEIVED = 0
    SAFE = 1


@dataclass(frozen=True, slots=True)
class LaneReceipt:
    """One lane: every seq ≤ `contiguous` is in; `holes` are pairs (first, last) missing below `highest`.

    `quarantined` are pairs likewise, set aside.
    """

    lane: int = wire(1)
    contiguous: int = wire(2)
    highest: int = wire(3)
    holes: tuple[tuple[int, int], ...] = wire(4, default=())
    quarantined: tuple[tuple[int, int], ...] = wire(5, default=())

    def settles(self, seq: int) -> bool:
        """True when this receipt says that `seq` is in (or set aside with its bytes kept)."""
        if seq > self.highest:
            return False
        return seq <= self.contiguous or not any(first <= seq <= last for first, last in self.holes)


@dataclass(frozen=True, slots=True)
class Receipt:
    """`station` and `epoch` name the stream that is receipted, `store` the incarnation of the side that vouches.

    `counter` only grows for one (store, station); `nonce` is that of the hello this answers (empty when none was heard).
    `refused` holds the first 8 bytes of the SHA-256 of messages quarantined whole.
    """

    station: str = wire(1)
    epoch: bytes = wire(2)
    store: bytes = wire(3)
    counter: int = wire(4)
    nonce: bytes = wire(5)
    lanes: tuple[LaneReceipt, ...] = wire(6)
    level: Level = wire(7, default=Level.RECEIVED)
    key_id: int = wire(8, default=0)
    refused: tuple[bytes, ...] = wire(9, default=())


@dataclass(frozen=True, slots=True)
class Past:
    """What a station has been told in an epoch of its past: `store` and `have` as in its hello."""

    epoch: bytes = wire(1)
    store: bytes = wire(2)
    have: tuple[tuple[int, int, int], ...] = wire(3, default=())


@dataclass(frozen=True, slots=True)
class Hello:
    """Said first on every connection by the station: who speaks, since which epoch, with a nonce the receipts must repeat.

    On the way down the bridge says the same with its store id as `epoch`. `current` is False for an older epoch of the
    speaker's that still has something to say: it wants receipts, and nothing is addressed to it.

    `store` and `have` (a station's, from 0.2 on) are what this store has been told in this epoch: the first `TAG_BYTES` of the
    incarnation that told it, and per lane (lane, highest number below which nothing is missing, highest number). A card that was put back
    has less than was vouched for. It proves nothing: whoever hears it asks, or tells again. `past` names every other epoch
    that this store knows: of one that is not there it remembers nothing.
    """

    station: str = wire(1)
    epoch: bytes = wire(2)
    nonce: bytes = wire(3)
    software: str = wire(4, default="")
    current: bool = wire(5, default=True)
    store: bytes = wire(6, default=b"")
    have: tuple[tuple[int, int, int], ...] = wire(7, default=())
    past: tuple[Past, ...] = wire(8, default=())


def digest(payload: bytes) -> bytes:
    """How a whole message is named in `Receipt.refused`."""
    return hashlib.sha256(payload).digest()[:DIGEST_BYTES]


def seal_receipt(receipt: Receipt, key: Ed25519PrivateKey) -> bytes:
    """The message: type byte, canonical CBOR, 64 bytes of signature."""
    body = bytes([RECEIPT]) + cbor.dump(give(receipt))
    return body + key.sign(DOMAIN + body)


def open_receipt(payload: bytes, keys: dict[int, Ed25519PublicKey]) -> Receipt:
    """The receipt in a message, its signature checked against `keys` by id.

    WireError: ``shape`` or ``truncated`` for bytes that are no receipt, ``signature`` for one that is not vouched for.
    """
    if len(payload) <= 1 + SIGNATURE_BYTES or payload[0] != RECEIPT:
        raise WireError("truncated", "receipt")
    body, signature = payload[:-SIGNATURE_BYTES], payload[-SIGNATURE_BYTES:]
    receipt: Receipt = take(Receipt, cbor.load(body[1:]))[0]
    key = keys.get(receipt.key_id)
    if key is None:
        raise WireError("signature", f"key {receipt.key_id} is not pinned")
    try:
        key.verify(signature, DOMAIN + body)
    except InvalidSignature:
        raise WireError("signature", f"key {receipt.key_id}") from None
    return receipt


def write_hello(hello: Hello) -> bytes:
    """The message of a hello."""
    return bytes([HELLO]) + cbor.dump(give(hello))


def read_hello(payload: bytes) -> Hello:
    """The hello in a message; WireError when it is none."""
    if payload[:1] != bytes([HELLO]):
        raise WireError("shape", "hello")
    hello: Hello = take(Hello, cbor.load(payload[1:]))[0]
    return hello
