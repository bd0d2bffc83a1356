"""The outgoing copies of what was said of an erased patient: theirs become the tombstone, everybody else's stay to the byte."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from appliance.contract.codec import read_event
from appliance.contract.events import (
    ConsultRequested,
    Department,
    Event,
    ObservationReassigned,
    ObservationRecorded,
    PatientRegistered,
    Tombstone,
    Urgency,
)
from appliance.contract.parcels import Header, peek, read_parcel, write_parcel
from appliance.contract.receipts import digest
from appliance.database import transaction
from appliance.relay.marks import Marks
from appliance.store import consults, corrections, keys
from appliance.store.consults import ConsultDraft
from appliance.store.inbox import StationStore
from appliance.store.sealing import StationSeals, make_content_key, opening_keys
from tests.store.station import STATION, Station, station_at

WORDS = "Đau ngực từ đêm qua"


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """A station with a key to seal with."""
    new = station_at(tmp_path)
    with transaction(new.conn):
        keys.pin(new.conn, keys.SEAL, 0, X25519PrivateKey.generate().public_key().public_bytes_raw())
        assert make_content_key(new.conn, STATION, new.now, os.urandom)
    return new


def sent(station: Station, lane: int) -> tuple[StationStore, int]:
    """Everything waiting in a lane goes out in one sealed parcel and is received; the store and the parcel's number."""
    store, seals = StationStore(station.conn, STATION, 0), StationSeals(STATION, now=lambda: station.now, random=os.urandom)
    with store.transaction() as tx:
        stream = store.streams(tx)[-1]
        frozen = store.frozen(tx, stream).get(lane, 0)
        rows = store.queued(tx, stream, lane, frozen, 256)
        header = Header(STATION, stream.origin, lane, rows[0].seq, len(rows))
        payload = write_parcel(header, [read_event(row.body) for row in rows], seals.seal(tx, stream))
        number = store.freeze(tx, stream, lane, rows[0].seq, len(rows), payload, 0)
        span = [(rows[0].seq, rows[-1].seq)]
        store.settle(tx, stream, lane, span, 2, station.now.wall)
        store.close(tx, stream, lane, span)
        store.vouch(tx, stream, lane, Marks(rows[-1].seq))
    return store, number


def opened(station: Station, store: StationStore, number: int) -> list[Event]:
    """What a parcel says to whoever has the box's keys."""
    payload = store.payload(station.conn, number)
    return read_parcel(payload, opening_keys(station.conn, peek(payload)))[1]


def told(events: list[Event], patient: int) -> list[Event]:
    """Those that are not of this patient and not a tombstone."""
    return [one for one in events if not isinstance(one.body, Tombstone) and getattr(one.body, "patient", None) != patient]


def test_what_was_received_of_an_erased_patient_is_in_no_copy(station: Station) -> None:
    """Identity, readings and request become the tombstone in the outbox and in the sealed parcels, at their numbers."""
    gone, other = station.patient(), station.patient("Thử Nghiệm Hai")
    station.saved(gone, 131)
    station.saved(other, 122)
    consults.request(
        station.conn, ConsultDraft(gone, Urgency.URGENT, Department.INTERNAL, WORDS), consult=77, staff="an", now=station.now
    )  # fmt: skip
    made = [sent(station, int(lane)) for lane in station_lanes(station)]
    before = [(number, opened(station, store, number)) for store, number in made]
    assert any(isinstance(one.body, ConsultRequested) for _, events in before for one in events)
    station.arrive(Tombstone(gone, "yêu cầu"))
    after = [(number, opened(station, store, number)) for store, number in made]
    said = [*station.events(), *(one for _, events in after for one in events)]
    assert "Thử Nghiệm Một" not in str(said)
    assert WORDS not in str(said)
    assert [one for one in said if isinstance(one.body, ObservationRecorded) and one.body.patient == gone] == []
    assert [told(events, gone) for _, events in before if told(events, gone)] != []
    for (number, old), (_, new) in zip(before, after, strict=True):
        kept = [place for place, one in enumerate(new) if not isinstance(one.body, Tombstone)]
        assert [new[place] for place in kept] == [old[place] for place in kept], number
        assert all(one.body == Tombstone(gone, "") for one in new if isinstance(one.body, Tombstone))
    assert "Thử Nghiệm Hai" in str(said)
    assert [one.body.patient for one in said if isinstance(one.body, ObservationRecorded)] == [other, other]


def test_a_rewritten_parcel_keeps_its_header_and_another_patients_keeps_its_bytes(station: Station) -> None:
    """The number, the key and the range stand; the digest is that of the new bytes; a parcel without the patient is not touched."""
    gone = station.patient()
    lane = int(PatientRegistered.LANE)
    store, number = sent(station, lane)
    station.patient("Thử Nghiệm Hai")
    _, others = sent(station, lane)
    before, untouched = store.payload(station.conn, number), store.payload(station.conn, others)
    station.arrive(Tombstone(gone, "yêu cầu"))
    after = store.payload(station.conn, number)
    assert after != before
    assert peek(after) == peek(before)
    assert bytes(station.conn.execute("SELECT digest FROM parcel WHERE number = ?", (number,)).fetchone()[0]) == digest(after)
    assert store.payload(station.conn, others) == untouched


def test_what_the_bridge_has_not_received_yet_is_not_touched(station: Station) -> None:
    """An event on its way stays, byte for byte: only a received one has a copy to lose."""
    gone = station.patient()
    station.saved(gone, 131)
    before = [bytes(row[0]) for row in station.conn.execute("SELECT body FROM outbox ORDER BY id")]
    station.arrive(Tombstone(gone, "yêu cầu"))
    assert [bytes(row[0]) for row in station.conn.execute("SELECT body FROM outbox ORDER BY id")] == before


def test_a_reading_that_was_given_to_somebody_else_stays_in_the_copies(station: Station) -> None:
    """It is that person's: a bridge that has lost it gets the reading and the correction again."""
    gone, other = station.patient(), station.patient("Thử Nghiệm Hai")
    measurement = station.saved(gone, 131)
    observation = station.conn.execute("SELECT id FROM observation WHERE measurement = ?", (measurement,)).fetchone()[0]
    corrections.reassign(station.conn, observation, other, "sai người", staff="an", now=station.now)
    for lane in station_lanes(station):
        sent(station, int(lane))
    station.arrive(Tombstone(gone, "yêu cầu"))
    assert len(station.events(ObservationRecorded.KIND)) == 1
    assert len(station.events(ObservationReassigned.KIND)) == 1


def station_lanes(station: Station) -> list[int]:
    """The lanes in which something waits."""
    return [int(row[0]) for row in station.conn.execute("SELECT DISTINCT lane FROM outbox WHERE state < 2 ORDER BY lane")]
