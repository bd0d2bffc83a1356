"""What comes down: only what is signed for this station, this request and this answer is ever shown."""

from dataclasses import replace

import pytest

from appliance.contract.answers import DOMAIN
from appliance.contract.events import AnswerCorrected, AnswerSigned, ConsultOpened, Department, KeyPublished, Tombstone, Unknown, Urgency
from appliance.database import transaction
from appliance.store import consults, downlink, keys, measuring, patients
from appliance.store.consults import ConsultDraft
from appliance.store.errors import Refused, Taken
from tests.store.station import Doctor, Station


@pytest.fixture
def asked(station: Station) -> Station:
    """A station with request 77."""
    draft = ConsultDraft(station.patient(), Urgency.URGENT, Department.INTERNAL, "Đau đầu")
    consults.request(station.conn, draft, consult=77, staff="an", now=station.now)
    return station


def shown(station: Station) -> list[str]:
    """What the kiosk may show."""
    return [row.content.advice for row in consults.answers(station.conn, 77)]


def aside(station: Station) -> list[tuple[str, bytes]]:
    """What lies in quarantine."""
    return [(row[0], bytes(row[1])) for row in station.conn.execute("SELECT reason, payload FROM quarantine ORDER BY id").fetchall()]


def test_a_signed_answer_is_shown_once(asked: Station) -> None:
    """Signed by the pinned key for this station and request; the same again changes nothing."""
    doctor = Doctor().pinned_at(asked)
    answer = doctor.answer(77, advice="Nghỉ ngơi, đo lại sau 1 giờ")
    asked.arrive(answer, answer)
    assert shown(asked) == ["Nghỉ ngơi, đo lại sau 1 giờ"]
    (row,) = consults.unread(asked.conn)
    assert (row.answer, row.stray, row.replaces, row.replaced_by) == (1, "", None, None)
    assert aside(asked) == []


def forged(doctor: Doctor, other: Doctor) -> dict[str, AnswerSigned]:
    """Answers nobody may see."""
    good = doctor.answer(77)
    return {
        "another key": replace(other.answer(77), key_id=0),
        "a key nobody pinned": replace(good, key_id=9),
        "a changed letter": replace(good, content=good.content.replace(b"Ngh", b"Uon")),
        "a changed signature": replace(good, signature=bytes(64)),
        "no signature": replace(good, signature=b""),
        "without the domain": replace(good, signature=doctor.key.sign(good.content)),
        "for another station": doctor.answer(77, station="tram-0002"),
        "for another request": replace(doctor.answer(78), consult=77),
        "under another number": replace(doctor.answer(77, 2), answer=1),
        "signed, but no answer": replace(good, content=b"\x01", signature=doctor.key.sign(DOMAIN + b"\x01")),
    }


@pytest.mark.parametrize("which", list(forged(Doctor(), Doctor())))
def test_what_is_not_vouched_for_is_kept_and_never_shown(asked: Station, which: str) -> None:
    """In quarantine with its reason and every byte; no answer row, no step of the receipt line; a good one passes after it."""
    doctor = Doctor().pinned_at(asked)
    bad = forged(doctor, Doctor())[which]
    asked.arrive(bad, bad)
    assert shown(asked) == []
    line = consults.receipt_line(asked.conn, 77)
    assert (line.answered, line.shown, line.read) == (None, None, None)
    ((reason, payload),) = aside(asked)
    assert reason
    assert bad.content in payload
    assert bad.signature in payload
    assert downlink.unverified(asked.conn) == 1
    with pytest.raises(Refused):
        consults.confirm_read(asked.conn, 77, bad.answer, "an", asked.now)
    asked.arrive(doctor.answer(77, 5, advice="Thật"))
    assert shown(asked) == ["Thật"]


def test_another_content_under_the_same_number_does_not_replace_the_first(asked: Station) -> None:
    """Both signed: the first stays on the screen, the second is set aside for a person."""
    doctor = Doctor().pinned_at(asked)
    asked.arrive(doctor.answer(77, advice="Một"), doctor.answer(77, advice="Hai"))
    assert shown(asked) == ["Một"]
    assert [reason for reason, _ in aside(asked)] == ["repeat"]


def test_a_key_pinned_later_brings_the_answer_back(asked: Station) -> None:
    """The bridge's new key is pinned after its answer came: it is shown then, and taken off the list."""
    doctor = Doctor(key_id=3)
    asked.arrive(doctor.answer(77))
    assert shown(asked) == []
    assert downlink.reconsider(asked.conn) == 0
    doctor.pinned_at(asked)
    assert downlink.reconsider(asked.conn) == 1
    assert shown(asked) == ["Nghỉ ngơi"]
    assert downlink.unverified(asked.conn) == 0


def test_a_receipt_key_signs_no_answers(asked: Station) -> None:
    """A key pinned for receipts is not one for answers."""
    doctor = Doctor()
    with transaction(asked.conn):
        keys.pin(asked.conn, "receipt", 0, doctor.key.public_key().public_bytes_raw())
    asked.arrive(doctor.answer(77))
    assert shown(asked) == []


def test_a_correction_replaces_and_leaves_readable(asked: Station) -> None:
    """Both are kept; only the latest waits for a reader; the receipt line speaks of the latest."""
    doctor = Doctor().pinned_at(asked)
    second = doctor.answer(77, 2, advice="Sửa lại", at=17_900_030_000)
    correction = AnswerCorrected(77, 2, 1, second.content, second.key_id, second.signature)
    asked.arrive(doctor.answer(77, 1, advice="Ban đầu"))
    consults.confirm_read(asked.conn, 77, 1, "an", asked.now)
    asked.arrive(correction)
    assert shown(asked) == ["Ban đầu", "Sửa lại"]
    assert [(row.answer, row.replaced_by) for row in consults.answers(asked.conn, 77)] == [(1, 2), (2, None)]
    assert [row.answer for row in consults.unread(asked.conn)] == [2]
    line = consults.receipt_line(asked.conn, 77)
    assert (line.answered, line.read) == (17_900_030_000, None)


def test_opening_is_told_once_and_by_the_first(asked: Station) -> None:
    """A second doctor who opens it does not change when it was first seen; nothing is invented for unknown requests."""
    asked.arrive(ConsultOpened(77, "BS Một"))
    first = consults.receipt_line(asked.conn, 77).opened
    asked.later(60)
    asked.arrive(ConsultOpened(77, "BS Hai"), ConsultOpened(404, "BS Hai"))
    line = consults.receipt_line(asked.conn, 77)
    assert (line.opened, line.opened_by) == (first, "BS Một")
    assert asked.count("consult") == 1


def test_what_has_no_business_on_the_way_down_changes_nothing(asked: Station) -> None:
    """A key from the wire is never pinned; an unknown kind waits for an update."""
    before = (
        list(asked.conn.iterdump()) if hasattr(asked.conn, "iterdump") else [asked.count(table) for table in ("pin", "keyring", "answer")]
    )
    asked.arrive(KeyPublished(0, "answer", bytes(32)), Unknown(99, b"\xa0"))
    after = (
        list(asked.conn.iterdump()) if hasattr(asked.conn, "iterdump") else [asked.count(table) for table in ("pin", "keyring", "answer")]
    )
    assert before == after


def test_a_tombstone_erases_and_outranks_what_comes_later(asked: Station) -> None:
    """Nothing readable is left of the patient in the station's rows, the number stays taken, others are untouched."""
    doctor = Doctor().pinned_at(asked)
    other = asked.patient("Thử Nghiệm Hai")
    kept = asked.saved(other, 130)
    gone = asked.saved(1, 131)
    asked.arrive(doctor.answer(77), Tombstone(1, "yêu cầu"))
    assert patients.get(asked.conn, 1) is None
    assert patients.find(asked.conn, "mot") == []
    assert measuring.observations(asked.conn, 1) == []
    assert measuring.measurement(asked.conn, gone) is None
    assert (consults.get(asked.conn, 77), consults.answers(asked.conn, 77)) == (None, [])
    assert [row.measurement for row in measuring.observations(asked.conn, other)] == [kept]
    with pytest.raises(Refused):
        asked.session(1)
    with pytest.raises(Taken):
        patients.register(asked.conn, patients.PatientDraft("Thử Nghiệm Một"), patient=1, staff="an", now=asked.now)
    asked.arrive(Tombstone(1, "yêu cầu"))
