"""Sealed parcels: what the broker sees, what opens them, and that no two contents share key and nonce."""

from dataclasses import replace
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contract import parcels, sealing
from appliance.contract.errors import WireError
from appliance.contract.events import AttachmentChunk, ConsultWithdrawn, Event, KeyPublished
from appliance.contract.ids import EPOCH_BYTES
from appliance.contract.lanes import CHUNK_BYTES
from appliance.contract.parcels import EVENTS, Header, join, pack, peek, read_fragment, read_parcel, split, write_parcel
from appliance.contract.readings import ClockQuality, Stamp
from appliance.contract.sealing import Seal, direction_key, offer, read_offer, unwrap
from appliance.relay.seals import SEALED_MORE
from appliance.simulate import day

EPOCH, STORE = bytes(range(1, 9)), bytes(range(9, 17))
HEADER = Header("tram-0001", EPOCH, 2, 1200, 1, dictionary=1)
DOWN = Header("tram-0001", STORE, 0, 7, 1, epoch=EPOCH, dictionary=1)
CONTENT = b"\x21" * 32
UP_KEY = direction_key(CONTENT, "tram-0001", EPOCH)
DOWN_KEY = direction_key(CONTENT, "tram-0001", EPOCH, STORE)
STATION = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BRIDGE = X25519PrivateKey.from_private_bytes(b"\x09" * 32)
WRAPPED = bytes.fromhex(
    "e0d99a1ecc7d5d2e8c0b5957ba0d3f05541280ff45b8f622de53deb5a2247d58ad7437131b9db72c"
    "433851d85a0b6197dff7487b86d9d754723de598e3d8af066f79cdb8448330a6ff7bd03ed3b34090"
)
"""A content key as version 0.2 wrapped it for `BRIDGE`."""
STAMP = Stamp(0x12345678AB, 3, 123_456, 17_700_000_000, ClockQuality.SYNCED)


def seal(key: bytes = UP_KEY, random: bytes = bytes(16), key_id: int = 1) -> Seal:
    """A seal with random bytes that are none."""
    return Seal(key_id, key, random)


def event(text: str) -> Event:
    """Something somebody said."""
    return Event(STAMP, "ys-hoa", "0.2.0", ConsultWithdrawn(5, text))


def test_a_sealed_parcel_comes_back_and_says_nothing_on_the_way() -> None:
    """Both directions; the clear part is the routing fields, and not even which dictionary was used."""
    for header, key in ((HEADER, UP_KEY), (DOWN, DOWN_KEY)):
        events = day(1)[:30]
        payload, taken = pack(header, events, 4000, seal(key))
        opened, found = read_parcel(payload, [key])
        assert found == events[:taken]
        seen = peek(payload)
        assert seen == replace(header, count=taken, suite=sealing.SEALED, key_id=1, dictionary=0)
        assert opened == replace(seen, dictionary=opened.dictionary)


def test_sealing_adds_at_most_forty_bytes() -> None:
    """Salt, tag and what stands inside; with suite and key id, which are routing fields, still below 40."""
    for count in (1, 30, 300):
        for header, key in ((HEADER, UP_KEY), (DOWN, DOWN_KEY)):
            events = day(1)[:count]
            clear, _ = pack(header, events, 1 << 20)
            sealed, _ = pack(header, events, 1 << 20, seal(key, key_id=200))
            assert len(sealed) - len(clear) <= 32
    assert sealing.ADDED_BYTES == 28


@settings(max_examples=40)
@given(st.binary(min_size=16, max_size=16), st.integers(1, (1 << 63) - 1), st.text(max_size=40))
def test_whatever_is_said_comes_back(random: bytes, first_seq: int, text: str) -> None:
    """Any words, any number, any chance."""
    payload, _ = pack(replace(HEADER, first_seq=first_seq), [event(text)], seal=seal(random=random))
    clear, _ = pack(replace(HEADER, first_seq=first_seq), [event(text)])
    assert read_parcel(payload, [UP_KEY])[1] == read_parcel(clear)[1]


def test_every_changed_bit_is_noticed() -> None:
    """In the header, which is associated data, as in what is sealed; the reason is never another error."""
    payload, _ = pack(HEADER, [event("x")], seal=seal())
    for place in range(len(payload) * 8):
        damaged = bytearray(payload)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(WireError):
            read_parcel(bytes(damaged), [UP_KEY])
    for end in range(len(payload)):
        with pytest.raises(WireError):
            read_parcel(payload[:end], [UP_KEY])


def test_another_key_direction_epoch_station_or_store_does_not_open_it() -> None:
    """Each of them has a key of its own; the right one may stand anywhere among those that are tried."""
    payload, _ = pack(DOWN, [event("x")], seal=seal(DOWN_KEY))
    others = [
        UP_KEY,
        direction_key(b"\x22" * 32, "tram-0001", EPOCH, STORE),
        direction_key(CONTENT, "tram-0001", STORE, STORE),
        direction_key(CONTENT, "tram-0002", EPOCH, STORE),
        direction_key(CONTENT, "tram-0001", EPOCH, bytes(EPOCH_BYTES)),
    ]
    for key in others:
        with pytest.raises(WireError, match="sealed"):
            read_parcel(payload, [key])
    assert read_parcel(payload, [*others, DOWN_KEY])[1] == [event("x")]
    with pytest.raises(WireError, match="suite"):
        read_parcel(payload)


def test_two_contents_have_two_salts_even_without_chance() -> None:
    """A machine that was copied draws the same random bytes: the same number with other words gets another key all the same."""
    words = [pack(HEADER, [event(f"câu {number}")], seal=seal())[0] for number in range(200)]
    salts = {_sealed(one)[: sealing.SALT_BYTES] for one in words}
    assert len(salts) == 200
    assert pack(HEADER, [event("câu 0")], seal=seal())[0] == words[0]


def test_the_same_words_twice_are_other_bytes() -> None:
    """With chance as it should be, nobody sees that something was said again."""
    one, two = (pack(HEADER, [event("x")], seal=seal(random=random))[0] for random in (bytes(16), b"\x01" * 16))
    assert _sealed(one) != _sealed(two)
    assert read_parcel(one, [UP_KEY]) == read_parcel(two, [UP_KEY])


def _sealed(payload: bytes) -> bytes:
    """The sealed part of a parcel."""
    return payload[len(parcels._write_header(peek(payload), False)) :]


def test_fragments_of_a_sealed_parcel_join_again() -> None:
    """Cut as frozen, joined before it is opened."""
    events = day(1)[:200]
    payload, taken = pack(HEADER, events, 1 << 20, seal())
    parts = split(payload)
    assert len(parts) > 1
    assert read_parcel(join(read_fragment(one) for one in reversed(parts)), [UP_KEY])[1] == events[:taken]


def test_a_sealed_parcel_is_rewritten_with_less_in_it() -> None:
    """What an erased patient leaves: same place, same key, other bytes."""
    payload, _ = pack(HEADER, [event("x"), event("y")], seal=seal())
    header, events = read_parcel(payload, [UP_KEY])
    bare = write_parcel(header, [events[0], event("")], seal())
    assert read_parcel(bare, [UP_KEY])[1] == [event("x"), event("")]
    assert peek(bare) == peek(payload)


def test_a_header_that_speaks_of_a_sealed_content_is_refused() -> None:
    """There is one way to write it, and it tells the broker nothing."""
    head = write_parcel(replace(HEADER, suite=1, key_id=1), [event("x")])
    with pytest.raises(WireError, match="shape"):
        read_parcel(head, [UP_KEY])


def test_the_most_events_fit_into_a_sealed_parcel() -> None:
    """`pack` counts the seal."""
    payload, taken = pack(HEADER, day(1), 1200, seal())
    assert len(payload) <= 1200
    assert 1 <= taken < EVENTS


def test_a_part_of_a_picture_fits_into_one_sealed_message() -> None:
    """The longest header, the last number, bytes that nothing presses: 1,232 bytes, which the relay allows a sealed message."""
    noise = Random(1).randbytes(1120)
    chunk = Event(STAMP, "", "0.2.0", AttachmentChunk(bytes(8), 1023, 1024, noise))
    header = Header("tram-01234567890", EPOCH, 4, (1 << 31) - 1, 1, dictionary=1)
    payload, _ = pack(header, [chunk], seal=seal(key_id=300))
    assert len(payload) <= CHUNK_BYTES + SEALED_MORE


# --- the content key on its way ----------------------------------------------------------------------------------------------------


def test_a_content_key_reaches_the_bridge_and_nobody_else() -> None:
    """Signed by the station, wrapped for the bridge; the event is about 200 bytes."""
    body = offer("tram-0001", EPOCH, 1, CONTENT, (0, BRIDGE.public_key()), STATION)
    found = read_offer(body, "tram-0001", STATION.public_key())
    assert (found.epoch, found.key_id, found.bridge_key) == (EPOCH, 1, 0)
    assert unwrap(found, "tram-0001", BRIDGE) == CONTENT
    assert CONTENT not in body.public
    with pytest.raises(WireError, match="sealed"):
        unwrap(found, "tram-0001", X25519PrivateKey.from_private_bytes(b"\x0a" * 32))
    for other in ({"station": "tram-0002"}, {"epoch": STORE}, {"key_id": 2}):
        station = other.pop("station", "tram-0001")
        with pytest.raises(WireError, match="sealed"):
            unwrap(replace(found, **other), str(station), BRIDGE)
    assert len(pack(replace(HEADER, lane=0), [Event(STAMP, "", "0.2.0", body)])[0]) <= 230


def test_a_content_key_that_the_station_has_not_signed_is_refused() -> None:
    """Another signer, another station, another id, or nothing at all."""
    body = offer("tram-0001", EPOCH, 1, CONTENT, (0, BRIDGE.public_key()), STATION)
    stranger = offer("tram-0001", EPOCH, 1, CONTENT, (0, BRIDGE.public_key()), Ed25519PrivateKey.generate())
    for bad, station in (
        (stranger, "tram-0001"),
        (body, "tram-0002"),
        (replace(body, key_id=2), "tram-0001"),
        (replace(body, signature=b""), "tram-0001"),
    ):
        with pytest.raises(WireError, match="signature"):
            read_offer(bad, station, STATION.public_key())


@settings(max_examples=40)
@given(st.binary(max_size=120))
def test_signed_nonsense_is_no_content_key(public: bytes) -> None:
    """Even the station itself cannot make the bridge stumble."""
    signed = sealing._signed("tram-0001", 1, public)
    with pytest.raises(WireError):
        read_offer(KeyPublished(1, "seal", public, STATION.sign(signed)), "tram-0001", STATION.public_key())


def test_what_an_earlier_version_wrapped_is_unwrapped() -> None:
    """The bytes of then: they may lie on a card for months."""
    assert unwrap(sealing.Offer(EPOCH, 1, 0, WRAPPED), "tram-0001", BRIDGE) == CONTENT


def test_a_content_key_has_32_bytes() -> None:
    """Whoever brings another length has mixed something up."""
    with pytest.raises(ValueError, match="32 bytes"):
        direction_key(b"x" * 16, "tram-0001", EPOCH)
