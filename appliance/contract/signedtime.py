"""The time, said by the bridge and signed: what a box with a wrong clock asks for before it can judge a certificate.

`POST /v1/time` of ``tram-bridge door``: the body is a nonce of 16 to 32 random bytes; the answer is canonical CBOR and a
64-byte Ed25519 signature over `DOMAIN` and all of it. The nonce makes an old answer useless, so whoever stands between
can delay the answer (which the asker sees as a long round trip and takes into its error) but not turn the clock. The
idea is Roughtime's (draft-ietf-ntp-roughtime): coarse signed time first, strict TLS with it afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.contract import cbor
from appliance.contract.errors import WireError
from appliance.contract.wiring import give, take, wire

DOMAIN = b"tram-time-v1"
PATH = "/v1/time"
NONCE_LEAST, NONCE_MOST = 16, 32
"""Bytes of a nonce: 16 cannot be guessed or met again; more than 32 would only carry somebody's data."""
SIGNATURE_BYTES = 64
RADIUS = 10
"""Tenths of a second: how far the bridge's own clock, kept by its system, may be off. One second is generous for NTP."""
ANSWER_MOST = 512
"""No answer is longer than this."""


@dataclass(frozen=True, slots=True)
class TimeSaid:
    """It was `wall` (tenths of a second since 1970-01-01T00:00:00Z) give or take `radius` tenths when `nonce` was asked about."""

    nonce: bytes = wire(1)
    wall: int = wire(2)
    radius: int = wire(3)
    key_id: int = wire(4, default=0)


def seal_time(said: TimeSaid, key: Ed25519PrivateKey) -> bytes:
    """The answer's bytes."""
    body = cbor.dump(give(said))
    return body + key.sign(DOMAIN + body)


def open_time(payload: bytes, keys: Mapping[int, Ed25519PublicKey], nonce: bytes) -> TimeSaid:
    """The time in an answer to `nonce`, its signature checked against the pinned `keys` by id.

    WireError: ``truncated``, ``shape`` … for bytes that are no answer, ``signature`` for one that is not vouched for,
    ``nonce`` for one to another question, ``range`` for a time no clock shows.
    """
    if not SIGNATURE_BYTES < len(payload) <= ANSWER_MOST:
        raise WireError("truncated", f"{len(payload)} bytes of time")
    body, signature = payload[:-SIGNATURE_BYTES], payload[-SIGNATURE_BYTES:]
    said: TimeSaid = take(TimeSaid, cbor.load(body))[0]
    key = keys.get(said.key_id)
    if key is None:
        raise WireError("signature", f"key {said.key_id} is not pinned for the time")
    try:
        key.verify(signature, DOMAIN + body)
    except InvalidSignature:
        raise WireError("signature", f"key {said.key_id}") from None
    if said.nonce != nonce:
        raise WireError("nonce", "an answer to another question")
    if not 0 < said.wall < 1 << 40 or not 0 <= said.radius < 1 << 20:
        raise WireError("range", f"{said.wall} ± {said.radius}")
    return said
