"""Consults: what travels, what the receipt line may say, when nobody has seen an urgent request."""

import pytest

from appliance.contract.codec import read_event, write_event
from appliance.contract.events import (
    AnswerRead,
    ConsultClaimed,
    ConsultOpened,
    ConsultQuestion,
    ConsultReply,
    ConsultRequested,
    ConsultWithdrawn,
    Department,
    ObservationRecorded,
    Urgency,
)
from appliance.contract.lanes import Lane
from appliance.contract.metrics import Metric
from appliance.contract.parcels import Header, read_parcel, write_parcel
from appliance.contract.readings import Numeric, Reading, ReadingKind
from appliance.store import consults, devices, measuring, staff
from appliance.store.consults import ConsultDraft
from appliance.store.errors import Refused, Taken
from tests.store.station import Doctor, Station

COMPLAINT = (
    "Đau đầu, chóng mặt từ sáng, buồn nôn hai lần, không sốt, đang uống thuốc huyết áp đều. Đã nằm nghỉ 30 phút, đo lại vẫn như trên. "
    "Xin ý kiến bác sĩ ạ."
)


def ask(
    station: Station, patient: int, *, consult: int = 77, urgency: Urgency = Urgency.ROUTINE, measurements: tuple[int, ...] = ()
) -> tuple[int, int]:
    """Ask about a patient."""
    draft = ConsultDraft(patient, urgency, Department.INTERNAL, "Đau đầu", measurements)
    return consults.request(station.conn, draft, consult=consult, staff="an", now=station.now)


# --- asking -----------------------------------------------------------------------------------------------------------


def test_a_request_can_be_read_alone(station: Station) -> None:
    """Identity, complaint, the chosen readings whole, the device's name: all in one event of lane 0."""
    number = devices.register(
        station.conn,
        name="Máy thử",
        driver="suntech-nibp",
        identity="suntech-nibp@x",
        model="",
        serial="",
        test_data=False,
        now=station.now,
    )
    patient = station.patient("Thử Nghiệm Một", birth="1961", cccd="001061000001")
    session = station.session(patient)
    reading = Reading(ReadingKind.BLOOD_PRESSURE, number, station.reading().numerics, station.now)
    seen = station.observe(session, reading)
    measuring.record(station.conn, seen.measurement, staff="an", now=station.now)
    station.saved(patient, 140)
    lane, seq = ask(station, patient, measurements=(seen.measurement,))
    (event,) = station.events(ConsultRequested.KIND)
    assert isinstance(event.body, ConsultRequested)
    assert (lane, event.actor) == (Lane.URGENT, "an")
    assert event.body.readings == (reading,)
    assert [(one.device, one.name) for one in event.body.devices] == [(number, "Máy thử")]
    assert (event.body.identity.name, event.body.identity.cccd, event.body.complaint) == ("Thử Nghiệm Một", "001061000001", "Đau đầu")
    row = consults.get(station.conn, 77)
    assert row is not None
    assert row.requested == event.body
    assert (lane, seq) == tuple(station.conn.execute("SELECT lane, seq FROM outbox WHERE kind = 20").fetchone())


@pytest.mark.parametrize(("dictionary", "most"), [(0, 400)])
def test_the_usual_request_fits_a_thin_link(station: Station, dictionary: int, most: int) -> None:
    """A blood pressure, an oximeter reading and 150 letters of complaint: at most 400 bytes before sealing, and back again."""
    number = devices.register(
        station.conn,
        name="Máy đo huyết áp",
        driver="suntech-nibp",
        identity="suntech-nibp@x",
        model="",
        serial="",
        test_data=False,
        now=station.now,
    )
    patient = station.patient("Nguyễn Thị Thử Nghiệm", birth="1961-04-30", cccd="001061000001")
    session = station.session(patient)
    numerics = (Numeric(Metric.SPO2, 97), Numeric(Metric.PULSE_RATE, 84))
    readings = (
        Reading(ReadingKind.BLOOD_PRESSURE, number, station.reading(152).numerics, station.now),
        Reading(ReadingKind.SPO2, number, numerics, station.later(30)),
    )
    chosen = []
    for reading in readings:
        seen = station.observe(session, reading)
        measuring.record(station.conn, seen.measurement, staff="an", now=station.later(3))
        chosen.append(seen.measurement)
    assert 140 <= len(COMPLAINT) <= 160
    draft = ConsultDraft(patient, Urgency.URGENT, Department.INTERNAL, COMPLAINT, tuple(chosen))
    consults.request(station.conn, draft, consult=(1 << 40) - 1, staff="an", now=station.now)
    (event,) = station.events(ConsultRequested.KIND)
    assert read_event(write_event(event)) == event
    parcel = write_parcel(Header("tram-0001", bytes(8), 0, 1, 1, dictionary=dictionary), [event])
    assert read_parcel(parcel)[1] == [event]
    assert len(parcel) <= most, f"{len(parcel)} bytes"


def test_asking_twice_is_asking_once(station: Station) -> None:
    """The form sent twice is one request; the same number for another one is taken."""
    patient = station.patient()
    assert ask(station, patient) == ask(station, patient)
    assert len(station.events(ConsultRequested.KIND)) == 1
    with pytest.raises(Taken):
        ask(station, station.patient("Thử Nghiệm Hai"))


def test_only_saved_readings_of_this_patient_go_along(station: Station) -> None:
    """Another's reading, an unsaved one or an unknown one: refused, nothing is queued."""
    patient, other = station.patient("Thử Nghiệm Một"), station.patient("Thử Nghiệm Hai")
    foreign = station.saved(other)
    unsaved = station.observe(station.session(patient), station.reading(130)).measurement
    for measurement in (foreign, unsaved, 999):
        with pytest.raises(Refused):
            ask(station, patient, measurements=(measurement,))
    assert station.events(ConsultRequested.KIND) == []
    assert station.count("consult") == 0


def test_a_request_says_what_is_asked_unless_it_is_an_emergency(station: Station) -> None:
    """No complaint is refused, also one that is too long; an emergency may go without a word."""
    patient = station.patient()
    for complaint, urgency in ((" ", Urgency.ROUTINE), ("", Urgency.URGENT), ("a" * 601, Urgency.EMERGENCY)):
        with pytest.raises(Refused):
            consults.request(
                station.conn, ConsultDraft(patient, urgency, Department.GENERAL, complaint), consult=1, staff="an", now=station.now
            )
    consults.request(station.conn, ConsultDraft(patient, Urgency.EMERGENCY, Department.GENERAL, ""), consult=1, staff="an", now=station.now)
    assert station.count("consult") == 1


def test_readings_of_an_open_request_travel_before_the_others(station: Station) -> None:
    """Lane 1 from the request until a signed answer or the withdrawal, lane 2 before and after, and for everybody else."""
    doctor = Doctor().pinned_at(station)
    patient, other = station.patient("Thử Nghiệm Một"), station.patient("Thử Nghiệm Hai")
    station.saved(patient, 120)
    ask(station, patient, consult=1)
    station.saved(patient, 121)
    station.saved(other, 122)
    station.arrive(doctor.answer(1))
    station.saved(patient, 123)
    ask(station, patient, consult=2)
    station.saved(patient, 124)
    consults.withdraw(station.conn, 2, reason="nhầm", staff="an", now=station.now)
    station.saved(patient, 125)
    lanes = [
        row[0] for row in station.conn.execute("SELECT lane FROM outbox WHERE kind = ? ORDER BY id", (ObservationRecorded.KIND,)).fetchall()
    ]
    assert lanes == [2, 1, 2, 2, 1, 2]


def test_withdrawing_is_said_once_and_answers_still_come_in(station: Station) -> None:
    """One event; an answer that comes later is kept, flagged, and shown as such."""
    doctor = Doctor().pinned_at(station)
    ask(station, station.patient())
    for _ in range(2):
        consults.withdraw(station.conn, 77, reason="nhầm", staff="an", now=station.now)
    assert len(station.events(ConsultWithdrawn.KIND)) == 1
    station.arrive(doctor.answer(77), doctor.answer(4040))
    assert [(row.consult, row.stray) for row in consults.unread(station.conn)] == [(77, "withdrawn-consult"), (4040, "unknown-consult")]
    with pytest.raises(Refused):
        consults.withdraw(station.conn, 4040, reason="", staff="an", now=station.now)


def test_questions_and_replies(station: Station) -> None:
    """A doctor's question is kept once; the reply carries its number and a saved reading."""
    patient = station.patient()
    ask(station, patient)
    station.arrive(ConsultQuestion(77, 1, "BS Thử", "Có sốt không?"), ConsultQuestion(77, 1, "BS Thử", "Có sốt không?"))
    measurement = station.saved(patient)
    consults.reply(station.conn, 77, question=1, text="Không sốt", measurements=(measurement,), staff="an", now=station.now)
    consults.reply(station.conn, 77, question=1, text="37,1 độ", staff="an", now=station.now)
    said = consults.messages(station.conn, 77)
    assert [(one.reply, one.who, one.text) for one in said] == [
        (0, "BS Thử", "Có sốt không?"),
        (1, "an", "Không sốt"),
        (2, "an", "37,1 độ"),
    ]
    bodies = [event.body for event in station.events(ConsultReply.KIND)]
    assert [(one.question, one.text, len(one.readings)) for one in bodies if isinstance(one, ConsultReply)] == [
        (1, "Không sốt", 1),
        (1, "37,1 độ", 0),
    ]
    with pytest.raises(Refused):
        consults.reply(station.conn, 77, question=1, text="", staff="an", now=station.now)


# --- how far it has come ------------------------------------------------------------------------------------------------


def test_the_receipt_line_says_only_what_is_proved(station: Station) -> None:
    """Each step turns true with its own proof: the receipt, the doctor's opening, the verified answer, the screen, the person."""
    doctor = Doctor().pinned_at(station)
    staff.add(station.conn, code="an", name="Thử Nghiệm An", now=station.now)
    number = ask(station, station.patient())
    saved = station.now.wall

    def line() -> tuple[bool, ...]:
        found = consults.receipt_line(station.conn, 77)
        assert found.saved == saved
        return tuple(one is not None for one in (found.received, found.opened, found.answered, found.shown, found.read))

    assert line() == (False, False, False, False, False)
    station.later(5)
    station.receipt(*number)
    assert line() == (True, False, False, False, False)
    station.arrive(ConsultOpened(77, "BS Thử"), ConsultClaimed(77, "BS Thử", 17_900_100_000))
    assert line() == (True, True, False, False, False)
    station.arrive(doctor.answer(77))
    assert line() == (True, True, True, False, False)
    assert consults.show(station.conn, 77, 1, now=station.later(1))
    assert line() == (True, True, True, True, False)
    assert consults.confirm_read(station.conn, 77, 1, "an", station.later(1))
    assert line() == (True, True, True, True, True)
    found = consults.receipt_line(station.conn, 77)
    assert (found.opened_by, found.read_by, found.answered, found.set_aside) == ("BS Thử", "an", 17_900_020_000, False)


def test_no_receipt_no_success(station: Station) -> None:
    """Not a broker's word, not a later request's receipt, not a quarantine, not a lost row makes *received* true."""
    patient = station.patient()
    first, second = ask(station, patient, consult=1), ask(station, patient, consult=2)
    station.receipt(*second)
    assert consults.receipt_line(station.conn, 1).received is None
    assert consults.receipt_line(station.conn, 2).received is not None
    station.receipt(*first, state=3)
    line = consults.receipt_line(station.conn, 1)
    assert (line.received, line.set_aside) == (None, True)
    station.conn.execute("DELETE FROM outbox")
    assert [consults.receipt_line(station.conn, each).received for each in (1, 2)] == [None, None]


def test_a_bridge_that_lost_the_request_takes_the_tick_back(station: Station) -> None:
    """The outbox waits again (a restored bridge): the line no longer says received."""
    number = ask(station, station.patient())
    station.receipt(*number)
    station.receipt(*number, state=0)
    assert consults.receipt_line(station.conn, 77).received is None


def test_shown_and_read_are_said_once(station: Station) -> None:
    """One event for the screen without a name, one for the person with it; a second press says nothing new."""
    doctor = Doctor().pinned_at(station)
    ask(station, station.patient())
    station.arrive(doctor.answer(77))
    assert [consults.show(station.conn, 77, 1, now=station.now) for _ in range(2)] == [True, False]
    assert [consults.confirm_read(station.conn, 77, 1, "an", station.now) for _ in range(2)] == [True, False]
    bodies = [event.body for event in station.events(AnswerRead.KIND)]
    assert bodies == [AnswerRead(77, 1, "", confirmed=False), AnswerRead(77, 1, "an", confirmed=True)]
    for call in (
        lambda: consults.show(station.conn, 77, 2, now=station.now),
        lambda: consults.confirm_read(station.conn, 78, 1, "an", station.now),
    ):
        with pytest.raises(Refused):
            call()


# --- nobody has seen it -------------------------------------------------------------------------------------------------


def unseen(station: Station) -> list[tuple[int, str]]:
    """What is listed now, with the limits of decision 23."""
    return [(one.consult, one.why) for one in consults.unseen(station.conn, station.now, 120, 600)]


@pytest.mark.parametrize("urgency", [Urgency.URGENT, Urgency.EMERGENCY])
def test_an_urgent_request_nobody_received_in_two_minutes(station: Station, urgency: Urgency) -> None:
    """Listed from the 120th second, with how long it has waited; a receipt ends it, until ten minutes have passed unopened."""
    number = ask(station, station.patient(), urgency=urgency)
    station.later(119.9)
    assert unseen(station) == []
    station.later(0.1)
    (found,) = consults.unseen(station.conn, station.now, 120, 600)
    assert (found.why, found.waited_s, found.name, found.urgency, found.acknowledged) == (
        "unreceived",
        120,
        "Thử Nghiệm Một",
        urgency,
        False,
    )
    station.receipt(*number)
    assert unseen(station) == []
    station.later(480)
    assert unseen(station) == [(77, "unopened")]
    station.arrive(ConsultOpened(77, "BS Thử"))
    assert unseen(station) == []


def test_a_routine_request_never_alarms(station: Station) -> None:
    """Only urgent ones."""
    ask(station, station.patient())
    station.later(86_400)
    assert unseen(station) == []


def test_the_wall_clock_cannot_hide_an_emergency(station: Station) -> None:
    """The clock is set back a day while the request waits: ticks decide."""
    ask(station, station.patient(), urgency=Urgency.EMERGENCY)
    station.hand.wall -= 864_000
    station.later(121)
    assert unseen(station) == [(77, "unreceived")]


def test_after_a_power_cut_an_unseen_emergency_alarms_at_once(station: Station) -> None:
    """How long the box was off is not known, so it has been too long."""
    number = ask(station, station.patient(), urgency=Urgency.EMERGENCY)
    station.power_cut(off=-86400)
    (found,) = consults.unseen(station.conn, station.now, 120, 600)
    assert (found.why, found.waited_s) == ("unreceived", None)
    station.receipt(*number)
    assert unseen(station) == [(77, "unopened")]


def test_a_request_the_bridge_could_not_read_alarms_at_once(station: Station) -> None:
    """In quarantine nobody will see it: no waiting."""
    number = ask(station, station.patient(), urgency=Urgency.URGENT)
    station.receipt(*number, state=3)
    assert unseen(station) == [(77, "set-aside")]


def test_an_answer_or_a_withdrawal_ends_the_alarm_and_a_person_can_take_it(station: Station) -> None:
    """A verified answer counts as seen; acknowledging does not hide it, it says who knows."""
    doctor = Doctor().pinned_at(station)
    patient = station.patient()
    ask(station, patient, consult=1, urgency=Urgency.EMERGENCY)
    ask(station, patient, consult=2, urgency=Urgency.EMERGENCY)
    station.later(121)
    consults.acknowledge(station.conn, 1, staff="an", now=station.now)
    assert [one.acknowledged for one in consults.unseen(station.conn, station.now, 120, 600)] == [True, False]
    row = consults.get(station.conn, 1)
    assert row is not None
    assert row.alarm_by == "an"
    station.arrive(doctor.answer(1))
    consults.withdraw(station.conn, 2, reason="đã gọi 115", staff="an", now=station.now)
    assert unseen(station) == []


def test_the_list_of_requests(station: Station) -> None:
    """Newest first; of one patient; and those that still wait for a reader."""
    doctor = Doctor().pinned_at(station)
    one, two = station.patient("Thử Nghiệm Một"), station.patient("Thử Nghiệm Hai")
    for consult, patient in ((1, one), (2, two), (3, one)):
        station.later(1)
        ask(station, patient, consult=consult)
    station.arrive(doctor.answer(1), doctor.answer(3))
    consults.confirm_read(station.conn, 1, 1, "an", station.now)
    consults.withdraw(station.conn, 2, reason="", staff="an", now=station.now)
    assert [row.consult for row in consults.listing(station.conn)] == [3, 2, 1]
    assert [row.consult for row in consults.listing(station.conn, patient=one)] == [3, 1]
    assert [row.consult for row in consults.listing(station.conn, waiting=True)] == [3]
