"""Pictures of a consult in the station's store: kept once, offered once, read as they were written, gone when erased."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from appliance.contract.codec import read_event, write_event
from appliance.contract.events import (
    AttachmentChunk,
    AttachmentOffered,
    ConsultRequested,
    Department,
    Event,
    Tombstone,
    Urgency,
)
from appliance.contract.lanes import CHUNK_BYTES, Lane
from appliance.contract.parcels import Header, peek, read_parcel, write_parcel
from appliance.contract.readings import ClockQuality, Stamp
from appliance.database import transaction
from appliance.store import consults, content, keys, pictures
from appliance.store.consults import ConsultDraft
from appliance.store.errors import Refused
from appliance.store.inbox import StationStore
from appliance.store.sealing import StationSeals, make_content_key, opening_keys
from tests.store.station import STATION, Station, station_at

FULL, SMALL = b"\xff\xd8full" + os.urandom(9_000), b"\xff\xd8small" + os.urandom(2_000)


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """A new station."""
    return station_at(tmp_path)


def attach(station: Station, patient: int, consult: int = 77, full: bytes = FULL, small: bytes = SMALL, **more: str) -> bytes:
    """A picture is taken."""
    said = {"source": "file", "staff": "an"} | more
    return pictures.attach(station.conn, consult, patient=patient, full=full, preview=small, now=station.now, **said)


def send(station: Station, patient: int, consult: int = 77) -> None:
    """The request is sent."""
    draft = ConsultDraft(patient, Urgency.URGENT, Department.SURGERY, "Vết thương ở tay")
    consults.request(station.conn, draft, consult=consult, staff="an", now=station.now)


def test_a_picture_waits_for_its_request_and_leaves_with_it(station: Station) -> None:
    """Nothing of a picture is queued before the request; then request, offers, preview, full, in lanes 0, 1, 1, 4."""
    patient = station.patient()
    attach(station, patient, caption="Tay trái")
    assert not station.events(AttachmentOffered.KIND)
    send(station, patient)
    lanes = [row[0] for row in station.conn.execute("SELECT lane FROM outbox WHERE kind IN (20, 40, 41) ORDER BY id").fetchall()]
    assert lanes == [0, 1, 1, *[1] * content.parts_of(len(SMALL)), *[4] * content.parts_of(len(FULL))]
    (request,) = [event.body for event in station.events(ConsultRequested.KIND)]
    assert isinstance(request, ConsultRequested)
    assert request.attachments == 1
    small, full = [event.body for event in station.events(AttachmentOffered.KIND)]
    assert isinstance(small, AttachmentOffered)
    assert isinstance(full, AttachmentOffered)
    assert (small.preview_of, full.preview_of) == (full.digest, None)
    assert (full.caption, full.size) == ("Tay trái", len(FULL))


def test_a_picture_for_a_sent_request_is_offered_at_once(station: Station) -> None:
    """Also after sending: in the transaction that keeps it."""
    patient = station.patient()
    send(station, patient)
    attach(station, patient)
    assert len(station.events(AttachmentOffered.KIND)) == 2
    assert pictures.listing(station.conn, 77)[0].offered is not None


def test_the_same_picture_twice_is_one(station: Station) -> None:
    """Twice in one consult it is one picture; in another consult it is offered there, and its content is sent once."""
    patient = station.patient()
    assert attach(station, patient) == attach(station, patient)
    send(station, patient)
    attach(station, patient)
    parts = len(station.events(AttachmentChunk.KIND))
    assert len(pictures.listing(station.conn, 77)) == 1
    attach(station, patient, consult=78)
    send(station, patient, consult=78)
    assert len(station.events(AttachmentOffered.KIND)) == 4
    assert len(station.events(AttachmentChunk.KIND)) == parts
    assert station.count("content") == 2


def test_what_is_sent_is_what_was_kept(station: Station) -> None:
    """The parts that the relay reads, joined, are the picture; the outbox itself has none of its bytes."""
    patient = station.patient()
    digest = attach(station, patient)
    send(station, patient)
    store = StationStore(station.conn, STATION, 0)
    with store.transaction() as tx:
        stream, parts, after = store.streams(tx)[-1], [], 0
        while rows := store.queued(tx, stream, Lane.ATTACHMENTS, after, 256):
            assert len(rows) <= 2, "a parcel takes one: more need not be read"
            parts += [read_event(row.body).body for row in rows]
            after = rows[-1].seq
    assert all(isinstance(part, AttachmentChunk) for part in parts)
    assert b"".join(part.data for part in parts if isinstance(part, AttachmentChunk)) == FULL
    assert [part.part for part in parts if isinstance(part, AttachmentChunk)] == list(range(content.parts_of(len(FULL))))
    assert pictures.read(station.conn, 77, digest) == FULL
    longest = station.conn.execute("SELECT max(length(body)) FROM outbox WHERE kind = 41").fetchone()[0]
    assert longest < 80


def test_a_part_fits_into_one_message_with_six_percent_of_wrapping() -> None:
    """Also late in a station's life, with high numbers everywhere."""
    stamp = Stamp(2**40 - 1, 9_999, 2**32, 20_000_000_000, ClockQuality.SYNCED)
    chunk = AttachmentChunk(os.urandom(8), 1000, 1023, os.urandom(content.PART_BYTES))
    event = Event(stamp, "", "", chunk)
    late = write_parcel(Header("tram-9999", os.urandom(8), 4, 2**31, 1, dictionary=1), [event])
    assert len(late) <= CHUNK_BYTES
    usual = write_parcel(Header("tram-0001", os.urandom(8), 4, 50_000, 1, dictionary=1), [event])
    assert (len(usual) - content.PART_BYTES) / content.PART_BYTES < 0.07
    assert read_event(write_event(event)) == event


def test_progress_is_what_receipts_say(station: Station) -> None:
    """Parts count when the bridge has vouched for them, and not before."""
    patient = station.patient()
    attach(station, patient)
    send(station, patient)
    (one,) = pictures.listing(station.conn, 77)
    assert (one.received, one.preview_received, one.there) == (0, False, False)
    for seq in range(1, 5):
        station.receipt(4, seq)
    (one,) = pictures.listing(station.conn, 77)
    assert (one.received, one.parts) == (4, 9)
    station.conn.execute("UPDATE outbox SET state = 2")
    (one,) = pictures.listing(station.conn, 77)
    assert one.there
    assert one.preview_received


def test_one_too_many_is_refused(station: Station) -> None:
    """Six pictures of one request are enough, and the sentence says so."""
    patient = station.patient()
    for number in range(pictures.MOST_PICTURES):
        attach(station, patient, full=FULL + bytes([number]))
    with pytest.raises(Refused, match="at most 6"):
        attach(station, patient, full=FULL + b"one more")
    assert len(pictures.listing(station.conn, 77)) == 6


def test_a_picture_of_a_withdrawn_request_is_refused_and_what_was_sent_stays(station: Station) -> None:
    """What has been offered goes on; nothing new may come."""
    patient = station.patient()
    attach(station, patient)
    send(station, patient)
    consults.withdraw(station.conn, 77, reason="wrong", staff="an", now=station.now)
    with pytest.raises(Refused, match="withdrawn"):
        attach(station, patient, full=FULL + b"late")
    assert len(pictures.listing(station.conn, 77)) == 1


def test_a_picture_never_comes_to_another_patients_request(station: Station) -> None:
    """The consult's number says whose it is."""
    first, second = station.patient(), station.patient("Thử Nghiệm Hai")
    send(station, first)
    with pytest.raises(Refused):
        attach(station, second)
    assert not station.events(AttachmentOffered.KIND)


def test_a_picture_can_be_taken_back_before_it_is_sent_only(station: Station) -> None:
    """Afterwards it stays: a doctor may have seen it."""
    patient = station.patient()
    digest = attach(station, patient)
    assert pictures.remove(station.conn, 77, digest)
    assert station.count("content") == station.count("content_part") == 0
    digest = attach(station, patient)
    send(station, patient)
    assert not pictures.remove(station.conn, 77, digest)


def test_pictures_of_a_request_nobody_sent_are_removed(station: Station) -> None:
    """Half a day later, when the next one is taken."""
    patient = station.patient()
    attach(station, patient)
    station.later(13 * 3600)
    attach(station, patient, consult=78, full=FULL + b"2", small=SMALL + b"2")
    assert not pictures.listing(station.conn, 77)
    assert station.count("content") == 2


def test_pictures_follow_a_request_to_its_new_number(station: Station) -> None:
    """When the number drawn first was taken already."""
    patient = station.patient()
    attach(station, patient)
    pictures.move(station.conn, 77, 79)
    send(station, patient, consult=79)
    assert len(pictures.listing(station.conn, 79)) == 1
    assert len(station.events(AttachmentOffered.KIND)) == 2


def test_an_erased_patients_pictures_are_nowhere(station: Station) -> None:
    """Not in the tables of content, not in the parcels that were sent, and what was still to be sent is sent empty."""
    patient = station.patient()
    attach(station, patient)
    send(station, patient)
    store = StationStore(station.conn, STATION, 0)
    with store.transaction() as tx:
        stream = store.streams(tx)[-1]
        (row, *_) = store.queued(tx, stream, Lane.ATTACHMENTS, 0, 256)
        payload = write_parcel(Header(STATION, stream.origin, 4, 1, 1), [read_event(row.body)])
        store.freeze(tx, stream, Lane.ATTACHMENTS, 1, 1, payload, 0)
    piece = FULL[100:130]
    assert _holds(station, piece)
    station.arrive(Tombstone(patient, "yêu cầu"))
    assert not _holds(station, piece)
    assert station.count("content") == station.count("picture") == 0
    with store.transaction() as tx:
        (row, *_) = store.queued(tx, stream, Lane.ATTACHMENTS, 1, 256)
    empty = read_event(row.body).body
    assert isinstance(empty, AttachmentChunk)
    assert empty.data == b""
    with pytest.raises(Refused):
        attach(station, patient)


def test_erasing_one_patient_leaves_the_same_picture_of_another(station: Station) -> None:
    """A content goes with its last picture."""
    first, second = station.patient(), station.patient("Thử Nghiệm Hai")
    attach(station, first)
    attach(station, second, consult=78)
    station.arrive(Tombstone(first, ""))
    (left,) = pictures.listing(station.conn, 78)
    assert pictures.read(station.conn, 78, left.digest) == FULL


def _holds(station: Station, piece: bytes) -> bool:
    tables = [("content_part", "data"), ("parcel", "payload"), ("outbox", "body")]
    return any(station.conn.execute(f"SELECT 1 FROM {table} WHERE instr({column}, ?) > 0", (piece,)).fetchone() for table, column in tables)


def test_an_erased_patients_picture_is_taken_out_of_a_sealed_parcel(station: Station) -> None:
    """The parcel keeps its number, its key and its seal, and holds nothing of the picture, for whoever opens it."""
    with transaction(station.conn):
        keys.pin(station.conn, keys.SEAL, 0, X25519PrivateKey.generate().public_key().public_bytes_raw())
        assert make_content_key(station.conn, STATION, station.now, os.urandom)
    patient = station.patient()
    attach(station, patient)
    send(station, patient)
    store, seals = StationStore(station.conn, STATION, 0), StationSeals(STATION, now=lambda: station.now, random=os.urandom)
    with store.transaction() as tx:
        stream = store.streams(tx)[-1]
        (row, *_) = store.queued(tx, stream, Lane.ATTACHMENTS, 0, 256)
        sealed = write_parcel(Header(STATION, stream.origin, 4, 1, 1), [read_event(row.body)], seals.seal(tx, stream))
        number = store.freeze(tx, stream, Lane.ATTACHMENTS, 1, 1, sealed, 0)
    station.arrive(Tombstone(patient, "yêu cầu"))
    bare = store.payload(station.conn, number)
    assert peek(bare) == peek(sealed)
    (event,) = read_parcel(bare, opening_keys(station.conn, peek(bare)))[1]
    assert isinstance(event.body, AttachmentChunk)
    assert event.body.data == b""
