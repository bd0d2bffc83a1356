"""Parcels: a run of one lane's events as the bytes that travel. Frozen when first built: every resend is the same bytes.

``first byte | header | body``. The header is clear (it is the associated data once parcels are sealed) and names the
stream: on the way up `origin` is the station's epoch; on the way down it is the bridge's store id and `epoch` is the
station's epoch it is addressed to. The body is made by `codec`.
"""

from dataclasses import dataclass

PARCEL = 0x11
"""First byte of a parcel: wire version 1, message type 1. 0x12 is a receipt, 0x13 a hello, 0x14 a fragment."""
FRAGMENT = 0x14


@dataclass(frozen=True, slots=True)
class Header:
    """What can be read without a key. `first_seq` … `first_seq + count - 1` are the events' numbers in (station, origin, lane)."""

    station: str
    origin: bytes
    lane: int
    first_seq: int
    count: int
    epoch: bytes = b""
    suite: int = 0
    key_id: int = 0
    signer: int = 0
    dictionary: int = 0
