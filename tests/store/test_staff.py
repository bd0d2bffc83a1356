"""Who works at the station, as the bridge hears of it; the emergency button."""

import os

import pytest

from appliance.contract.events import ConsultRequested, Department, EmergencyPressed, StaffChanged, Urgency
from appliance.contract.lanes import Lane
from appliance.store import audit, consults, emergencies, staff
from appliance.store.consults import ConsultDraft
from appliance.store.errors import Refused
from tests.store.station import Station


def said(station: Station) -> list[StaffChanged]:
    """What the bridge hears about staff."""
    return [one.body for one in station.events(StaffChanged.KIND) if isinstance(one.body, StaffChanged)]


def test_every_change_of_staff_is_told_once(station: Station) -> None:
    """Added, renamed, retired, back: with name, role and nothing of a PIN; the same again says nothing."""
    for name, role in (("Thử Nghiệm An", "nurse"), ("Thử Nghiệm An", "nurse"), ("Thử Nghiệm  An", "lead")):
        staff.add(station.conn, code="an", name=name, role=role, now=station.now, by="tt")
    staff.retire(station.conn, "an", now=station.now, by="tt")
    staff.add(station.conn, code="an", name="Thử Nghiệm An", role="lead", now=station.now, by="tt")
    assert [(one.role, one.active) for one in said(station)] == [("nurse", True), ("lead", True), ("lead", False), ("lead", True)]
    assert {one.actor for one in station.events(StaffChanged.KIND)} == {"tt"}
    assert [one.action for one in reversed(audit.entries(station.conn))] == ["staff.add", "staff.add", "staff.retire", "staff.add"]


def test_another_role_is_refused_with_a_sentence_and_an_old_one_stays_readable(station: Station) -> None:
    """What a row of an older version says is shown as it is."""
    with pytest.raises(Refused) as error:
        staff.add(station.conn, code="an", name="An", role="chief", now=station.now)
    assert "trưởng trạm" in error.value.vi
    station.conn.execute("INSERT INTO staff (code, name, role) VALUES ('cu', 'Thử Cũ', 'midwife')")
    assert staff.listing(station.conn) == [staff.Staff("cu", "Thử Cũ", "midwife", True)]


def test_who_does_not_work_here_cannot_be_retired(station: Station) -> None:
    """Said, not passed over."""
    with pytest.raises(Refused, match="no active staff"):
        staff.retire(station.conn, "nobody", now=station.now)


def test_a_request_carries_the_name_of_who_asks(station: Station) -> None:
    """The doctor reads a name; an actor without a row has none."""
    staff.add(station.conn, code="an", name="Thử Nghiệm An", now=station.now)
    patient = station.patient()
    draft = ConsultDraft(patient, Urgency.ROUTINE, Department.GENERAL, "đau đầu")
    consults.request(station.conn, draft, consult=5, staff="an", now=station.now)
    consults.request(station.conn, draft, consult=6, staff="cli:root", now=station.now)
    names = [one.body.staff_name for one in station.events(ConsultRequested.KIND) if isinstance(one.body, ConsultRequested)]
    assert names == ["Thử Nghiệm An", ""]


def test_a_press_of_the_emergency_button_travels_first_and_is_written_down(station: Station) -> None:
    """In the urgent lane, with or without somebody signed in."""
    call = emergencies.press(station.conn, actor="", now=station.now, random=os.urandom, test=True)
    (event,) = station.events(EmergencyPressed.KIND)
    assert isinstance(event.body, EmergencyPressed)
    assert event.body.note == "DỮ LIỆU THỬ"
    assert (event.body.call, event.actor, event.body.LANE) == (call.call, "", Lane.URGENT)
    assert [(one.actor, one.action, one.subject) for one in audit.entries(station.conn)] == [("", "emergency.call", f"call:{call.call}")]
    assert call.received is None
    lane, seq = station.conn.execute("SELECT lane, seq FROM outbox WHERE kind = ?", (EmergencyPressed.KIND,)).fetchone()
    station.receipt(lane, seq)
    latest = emergencies.latest(station.conn)
    assert latest is not None
    assert latest.received == station.now.wall


def test_a_nervous_finger_presses_one_call(station: Station) -> None:
    """Within a minute it is the same call, written down each time; after it, and after a restart, a new one."""
    calls = []
    for wait in (0, 59, 0.9, 1):
        station.later(wait)
        calls.append(emergencies.press(station.conn, actor="an", now=station.now, random=os.urandom).call)
    assert calls[0] == calls[1] == calls[2] != calls[3]
    station.power_cut()
    calls.append(emergencies.press(station.conn, actor="an", now=station.now, random=os.urandom).call)
    assert len(set(calls)) == len(station.events(EmergencyPressed.KIND)) == 3
    assert sum(one.action == "emergency.again" for one in audit.entries(station.conn)) == 2


def test_a_store_without_a_press_says_so(station: Station) -> None:
    """Nothing to show."""
    assert emergencies.latest(station.conn) is None
