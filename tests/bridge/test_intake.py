import random
from collections.abc import Sequence
from dataclasses import replace

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, Table, func, select

from appliance.contract import events as ev
from appliance.contract.metrics import Metric
from appliance.contract.readings import ClockQuality, Numeric, Reading, ReadingKind, Source, Stamp
from appliance.contract.wiring import give
from cloud_bridge import intake
from cloud_bridge.store import consults, devices, observations, patients, tables
from cloud_bridge.store.engine import reading as looking
from cloud_bridge.store.engine import writing
from tests.bridge import story
from tests.bridge.story import GONE, OTHER, PATIENT, STATION, asked, event, oxygen, place, pressure, recorded, warmth, who


def take(engine: Engine, events: Sequence[ev.Event], station: str = STATION, many: bool = False) -> None:
    """All events of a story in one transaction, numbered as they stand."""
    with writing(engine) as tx:
        rows = [(station, each, story.T0 + 5000, place(number, each)) for number, each in enumerate(events)]
        if many:
            intake.apply_many(tx, rows)
        else:
            for row in rows:
                intake.apply(tx, *row[:2], row[2], row[3])


def count(engine: Engine, table: Table) -> int:
    """How many rows a table has."""
    with looking(engine) as tx:
        return tx.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_consult_can_be_read_alone(engine):
    """A request whose patient and readings have not arrived in their own lanes shows who, what and which values."""
    bp, spo2 = pressure(), oxygen(5)
    take(engine, [asked(900, (bp, spo2))])
    with looking(engine) as tx:
        found = consults.get(tx, STATION, 900)
        cited = observations.of_consult(tx, STATION, 900)
        called = devices.names(tx, STATION)
    assert found is not None
    assert (found.asked.name, found.complaint, found.urgency) == ("Nguyễn Thử Nghiệm Một", "Đau ngực từ sáng", ev.Urgency.URGENT)
    assert found.test_data
    assert [one.reading for one in cited] == [bp, spo2]
    assert called == {story.CUFF: "Máy đo huyết áp", story.CLIP: "Máy kẹp ngón tay"}


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_the_later_copy_of_a_cited_reading_collapses(engine, many, turned):
    """The copy in the consult and the station's record are one observation, whichever came first; the record's words stay."""
    bp = pressure()
    events = [asked(900, (bp,)), recorded(bp, marks=ev.Marks.KEPT, saved_after=7)]
    take(engine, events[::-1] if turned else events, many=many)
    with looking(engine) as tx:
        (one,) = observations.of_patient(tx, STATION, PATIENT)
    assert (one.via, one.marks, one.saved_after, one.disputed) == (3, ev.Marks.KEPT, 7, False)
    assert count(engine, tables.observation) == 1


def test_an_observation_without_its_patient_is_kept(engine):
    """A reading that overtakes its patient is stored under the patient's number; the details come later."""
    take(engine, [recorded(pressure())])
    with looking(engine) as tx:
        assert patients.get(tx, STATION, PATIENT) is None
        assert len(observations.of_patient(tx, STATION, PATIENT)) == 1
    take(engine, [event(ev.PatientRegistered(who()))])
    with looking(engine) as tx:
        assert patients.get(tx, STATION, PATIENT) == who()


def test_patient_changes_are_ordered_by_version_not_by_arrival(engine):
    """Version 3 stays when version 2 arrives after it."""
    third = who(version=3, name="Nguyễn Thử Nghiệm Ba")
    take(engine, [event(ev.PatientChanged(third)), event(ev.PatientChanged(who(version=2))), event(ev.PatientRegistered(who()))])
    with looking(engine) as tx:
        assert patients.get(tx, STATION, PATIENT) == third


@pytest.mark.parametrize("turned", [False, True])
def test_a_consult_with_part_of_the_identity_empties_nothing(engine, turned):
    """A request that carries the identity without phone and village leaves those of the same version alone."""
    events = [
        event(ev.PatientRegistered(who())),
        asked(900, identity=who(phone="", village="", allergies=ev.Allergies.UNKNOWN, allergy_text="")),
    ]
    take(engine, events[::-1] if turned else events)
    with looking(engine) as tx:
        assert patients.get(tx, STATION, PATIENT) == who()


@pytest.mark.parametrize("many", [False, True])
def test_a_reading_claimed_for_two_patients_is_held_and_shown_to_a_person(engine, many):
    """Same key, another patient: it belongs to neither until a person has looked, and both pages say so."""
    bp = pressure()
    take(engine, [recorded(bp), recorded(bp, OTHER)], many=many)
    with looking(engine) as tx:
        for each in (PATIENT, OTHER):
            (one,) = observations.of_patient(tx, STATION, each)
            assert one.disputed
            assert one.patient is None
            assert one.claimants == (PATIENT, OTHER)
            assert not one.stands_for(each)
    assert count(engine, tables.observation) == 1


def test_a_reassignment_by_a_person_ends_the_dispute(engine):
    """A reading the station moved belongs to the other patient; the first patient's page keeps it and says where it went."""
    bp = pressure()
    take(
        engine,
        [recorded(bp), asked(901, (bp,), identity=who(OTHER)), event(ev.ObservationReassigned(PATIENT, bp.key, OTHER, "nhầm người"), 90)],
    )
    with looking(engine) as tx:
        (mine,) = observations.of_patient(tx, STATION, PATIENT)
        (theirs,) = observations.of_patient(tx, STATION, OTHER)
    assert mine == theirs
    assert (mine.patient, mine.moved_from, mine.moved_why, mine.disputed) == (OTHER, PATIENT, "nhầm người", False)
    assert theirs.stands_for(OTHER)
    assert not mine.stands_for(PATIENT)


def test_entered_in_error_keeps_the_original(engine):
    """A reading taken back stays readable with the reason, also when the word overtakes the reading."""
    bp = pressure()
    take(engine, [event(ev.ObservationEnteredInError(PATIENT, bp.key, "đo nhầm tay"), 30), recorded(bp)])
    with looking(engine) as tx:
        (one,) = observations.of_patient(tx, STATION, PATIENT)
    assert one.reading == bp
    assert one.in_error == "đo nhầm tay"
    assert not one.stands_for(PATIENT)


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_a_tombstone_outranks_data_for_ever(engine, many, late):
    """What names an erased patient is gone and stays away, whether it comes before or after the tombstone."""
    bp = pressure()
    data = [
        event(ev.PatientRegistered(who())), recorded(bp), asked(900, (bp, oxygen(9))),
        event(ev.ConsultReply(900, 1, "Đỡ đau", (warmth(99),)), 99), event(ev.PatientChanged(who(version=9))),
    ]  # fmt: skip
    stone = event(ev.Tombstone(PATIENT, "theo yêu cầu"), 200)
    take(engine, [stone, *data] if late else [*data, stone], many=many)
    with looking(engine) as tx:
        assert patients.get(tx, STATION, PATIENT) is None
        assert observations.of_patient(tx, STATION, PATIENT) == []
        assert consults.unanswered(tx) == []
    for table in (tables.patient, tables.observation, tables.consult_reading, tables.message):
        assert count(engine, table) == 0


def test_readings_of_a_reply_that_overtakes_its_consult_find_their_patient(engine):
    """A reply has no patient of its own: its readings wait for the request and then belong to the request's patient."""
    warm = warmth(70)
    take(engine, [event(ev.ConsultReply(900, 5, "Sốt từ tối qua", (warm,)), 70), asked(900, (pressure(),))])
    with looking(engine) as tx:
        cited = observations.of_consult(tx, STATION, 900)
        said = consults.messages(tx, STATION, 900)
    assert {one.key: one.patient for one in cited}[warm.key] == PATIENT
    assert [row.text for row in said] == ["Sốt từ tối qua"]


def test_a_reply_that_a_restored_card_says_again_is_shown_once(engine):
    """In its new epoch it has another number; the words, the moment and the person are the same. Another reply is another one."""
    reply = event(ev.ConsultReply(900, 5, "Sốt từ tối qua", ()), 70)
    other = event(ev.ConsultReply(900, 5, "Sốt từ tối qua", ()), 71)
    with writing(engine) as tx:
        for epoch, said in ((b"a" * 8, reply), (b"b" * 8, reply), (b"b" * 8, other)):
            intake.apply(tx, STATION, said, 1, (epoch, 1, said.stamp.ticks))
    with looking(engine) as tx:
        assert [row.wall for row in consults.messages(tx, STATION, 900)] == [reply.stamp.wall, other.stamp.wall]
    with writing(engine) as tx:
        assert consults.see_replies(tx, STATION, 900, "BS. Trần Thử", 99) == {5: 2}


def test_an_unassigned_measurement_belongs_to_nobody(engine):
    """It is listed apart and never becomes an observation."""
    take(engine, [event(ev.MeasurementUnassigned(pressure(), "session-ended"))])
    assert count(engine, tables.unassigned) == 1
    assert count(engine, tables.observation) == 0


def test_what_only_a_bridge_may_say_has_no_effect_from_a_station(engine):
    """A station that sends an answer, an opening or a claim changes nothing here."""
    take(
        engine,
        [
            asked(900), event(ev.AnswerSigned(900, 1, b"x", 0, b"y")), event(ev.ConsultOpened(900, "giả")),
            event(ev.ConsultClaimed(900, "giả", 1)), event(ev.Unknown(222, b"\xa0")), event(ev.KeyPublished(7, "sign", bytes(32))),
        ],
    )  # fmt: skip
    with looking(engine) as tx:
        found = consults.get(tx, STATION, 900)
    assert found is not None
    assert (found.opened, found.claimed_by, found.answered) == (None, "", None)
    assert count(engine, tables.answer) == 0


@pytest.mark.parametrize(
    "reading",
    [
        pressure(systolic=None), warmth(), oxygen(source=Source.MEMORY, device_time="2026-05-28T10:00:00", ordinal=0, rule=3),
        oxygen(stamp=story.stamp(quality=ClockQuality.UNKNOWN)),
    ],
)  # fmt: skip
def test_a_stored_reading_is_what_the_contract_makes_of_it(reading):
    """The fast way to a reading's bytes and the contract's own give the same bytes, and the same reading comes back."""
    assert observations.reading_bytes(reading) == cbor2.dumps(give(reading))
    assert observations.read_reading(observations.reading_bytes(reading)) == reading


def test_two_readings_in_one_minute_are_two(engine):
    """Equal values a few seconds apart are two readings."""
    take(engine, [recorded(pressure(0)), recorded(pressure(30))])
    assert count(engine, tables.observation) == 2


def test_the_number_columns_hold_values_in_the_metric_s_unit(engine):
    """A temperature of 372 tenths is 37.2 in its column; what was not measured is null, never 0."""
    take(engine, [recorded(warmth()), recorded(pressure(9, systolic=None))], many=True)
    with looking(engine) as tx:
        rows = {row.kind: row for row in tx.execute(select(tables.observation))}
    assert rows[3].temperature == 37.2
    assert (rows[2].systolic, rows[2].diastolic, rows[2].spo2) == (None, 74, None)


def _hostile() -> list[ev.Event]:
    """Events that are well-formed on the wire and fit no database."""
    long = (1 << 64) - 1
    endless = Reading(ReadingKind.SPO2, 1, (Numeric(Metric.SPO2, 98, scale=10**9),), story.stamp())
    return [
        recorded(pressure(), long), recorded(replace(pressure(), device=long)), recorded(endless), recorded(pressure(), saved_after=long),
        recorded(pressure(stamp=Stamp(long, 1, 1, 1))), ev.Event(story.stamp(), "a\0b", "t", ev.ObservationRecorded(1, pressure())),
        recorded(oxygen(device_time="2026\0")), asked(long), asked(900, identity=who(name="\0")), asked(900, (endless,)),
        event(ev.MeasurementUnassigned(endless, "x")), event(ev.Tombstone(long, "x")), event(ev.ConsultReply(900, long, "x")),
        event(ev.ClockAnchor(long, 1, 1, 1, "x")), event(ev.DeviceRegistered(1, "a", "b\0", "c")),
    ]  # fmt: skip


@pytest.mark.parametrize("many", [False, True])
def test_what_no_database_can_hold_is_refused_and_the_next_one_passes(engine, many):
    """A ValueError (the relay keeps the bytes and flags the event), nothing half-written, no failure of the database."""
    for number, bad in enumerate(_hostile()):
        with pytest.raises(ValueError, match=r"too large|NUL|decimals"):
            take(engine, [bad], f"s-{number}", many)
        take(engine, [recorded(pressure()), asked(900)], f"s-{number}", many)
        assert [
            len(rows)
            for name, rows in settled(engine, f"s-{number}").items()
            if rows and name not in ("consult", "patient", "device", "boot_seen")
        ] == [1]


STORY: list[ev.Event] = [
    event(ev.PatientRegistered(who())),
    event(ev.PatientChanged(who(version=2, name="Nguyễn Thử Nghiệm Hai"))),
    event(ev.PatientRegistered(who(OTHER, cccd=""))),
    event(ev.PatientRegistered(who(GONE))),
    event(ev.PatientMerged(PATIENT, OTHER, "trùng"), 10),
    event(ev.PatientUnmerged(PATIENT, OTHER, "không trùng"), 20),
    event(ev.ConsentGiven(PATIENT, "TREAT"), 5),
    event(ev.ConsentWithdrawn(PATIENT, "TREAT"), 6),
    event(ev.ConsentGiven(GONE, "TREAT", "2026-1"), 7),
    recorded(pressure(1), marks=ev.Marks.KEPT, saved_after=4),
    recorded(pressure(1), OTHER),
    recorded(pressure(1), saved_after=2),
    recorded(oxygen(2)),
    recorded(oxygen(3)),
    recorded(oxygen(4), GONE),
    recorded(warmth(5), OTHER, saved_after=9),
    recorded(oxygen(6, source=Source.MEMORY, device_time="2026-05-28T10:00:00", ordinal=3)),
    recorded(oxygen(7, source=Source.MEMORY, device_time="2026-05-28T10:00:00", ordinal=3)),
    asked(900, (pressure(1), oxygen(2)), identity=who(version=2, name="Nguyễn Thử Nghiệm Hai", phone="")),
    asked(901, (oxygen(4), oxygen(8)), identity=who(GONE), basis=ev.Basis.CONSENT),
    asked(902, (warmth(5),), identity=who(OTHER, cccd=""), urgency=ev.Urgency.EMERGENCY, basis=ev.Basis.EMERGENCY),
    event(ev.ConsultReply(900, 5, "Có", (oxygen(2), oxygen(11))), 80),
    event(ev.ConsultReply(901, 6, "Không", (oxygen(12),)), 81),
    event(ev.ConsultWithdrawn(901, "thôi"), 82),
    event(ev.ConsultWithdrawn(902, "đã chuyển viện"), 83),
    event(ev.ObservationEnteredInError(PATIENT, oxygen(3).key, "nhầm"), 84),
    event(ev.ObservationReassigned(PATIENT, pressure(1).key, OTHER, "nhầm người"), 85),
    event(ev.MeasurementUnassigned(pressure(40), "cáp rời"), 40),
    event(ev.MeasurementDiscarded(pressure(41), "cử động", PATIENT), 41),
    event(ev.MeasurementDiscarded(pressure(42), "cử động", GONE), 42),
    event(ev.MeasurementDiscarded(pressure(43), "cử động", 0), 43),
    event(ev.DeviceRegistered(story.CUFF, "suntech-nibp:1", "Máy A", "suntech-nibp", "X", "1", True), 1),
    event(ev.DeviceRegistered(story.CUFF, "suntech-nibp:1", "Máy B", "suntech-nibp", "X", "1", True), 2),
    event(ev.ClockAnchor(story.BOOT, 500, story.T0, 3, "ntp"), 3),
    event(ev.AnswerRead(900, 77, "ys01", False), 90),
    event(ev.AnswerRead(900, 77, "ys01", True), 91),
    event(ev.AttachmentOffered(900, story.digest("a"), "image/jpeg", 100), 70),
    event(ev.Tombstone(GONE, "theo yêu cầu"), 95),
]
NUMBERED = list(enumerate(STORY))


def settled(engine: Engine, station: str) -> dict[str, list[tuple[object, ...]]]:
    """Every clinical row of a station."""
    found = {}
    with looking(engine) as tx:
        for table in tables.METADATA.sorted_tables:
            if table.name in TABLES:
                rows = tx.execute(select(table).where(table.c.station == station))
                found[table.name] = sorted((tuple(row[1:]) for row in rows), key=repr)
    return found


TABLES = {table.name for table in vars(tables).values() if isinstance(table, Table) and "station" in table.columns}


@pytest.fixture
def told(engine):
    """A database to tell the story to again and again, each time at another station."""
    numbers = iter(range(1_000_000))
    tellings = lambda: f"t-{next(numbers)}"  # noqa: E731 - a name for the next station
    reference = tellings()
    with writing(engine) as tx:
        for number, each in NUMBERED:
            intake.apply(tx, reference, each, story.T0 + 5000, place(number, each))
    return engine, settled(engine, reference), tellings


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(NUMBERED), cuts=st.lists(st.integers(1, 12), max_size=8), many=st.booleans())
def test_the_same_events_in_any_order_leave_the_same_rows(told, order, cuts, many):
    """Lanes overtake each other; batches fall as they like; taken together or one by one: the clinic is the same."""
    engine, expected, tellings = told
    station = tellings()
    left = list(order)
    for size in [*cuts, len(order)]:
        part, left = left[:size], left[size:]
        with writing(engine) as tx:
            rows = [(station, each, story.T0 + 5000, place(number, each)) for number, each in part]
            if many:
                intake.apply_many(tx, rows)
            else:
                for row in rows:
                    intake.apply(tx, row[0], row[1], row[2], row[3])
    assert settled(engine, station) == expected


def test_the_same_events_twice_leave_the_same_rows(told):
    """A relay that hands an event over twice after all does no harm."""
    engine, expected, tellings = told
    station = tellings()
    for seed in range(3):
        order = random.Random(seed).sample(NUMBERED, len(NUMBERED))
        with writing(engine) as tx:
            intake.apply_many(tx, [(station, each, story.T0 + 5000, place(number, each)) for number, each in order])
    assert settled(engine, station) == expected


def test_many_readings_go_in_together(engine):
    """A batch large enough for COPY leaves the same rows as one by one, tabs, backslashes and nulls included."""
    events = [
        ev.Event(r.stamp, "a\tb\\c\n", "test", ev.ObservationRecorded(PATIENT, r)) for r in (pressure(n, systolic=None) for n in range(60))
    ]
    take(engine, events, "many", many=True)
    take(engine, events, "one-by-one")
    assert settled(engine, "many")["observation"] == settled(engine, "one-by-one")["observation"]
    assert count(engine, tables.observation) == 120


MERGED = {
    "patient", "observation", "conflict", "unassigned", "discarded", "device", "device_clock", "consult", "consult_basis",
    "consult_reading", "consult_strip", "attachment", "content", "content_part", "answer", "answer_read", "tombstone", "retimed",
}  # fmt: skip
"""What has a clinical key. Corrections, consents, links and replies are words with a place of their own: said again they are listed
again, and change nothing of what is true."""


def test_what_a_cloned_card_tells_under_other_numbers_is_one_patient_one_reading_and_one_request(told):
    """Both copies of a card send what had not left it, each in its own epoch: the clinic's own keys make it one."""
    engine, expected, tellings = told
    station = tellings()
    for epoch in (story.EPOCH, bytes(7) + b"\x09"):
        with writing(engine) as tx:
            intake.apply_many(tx, [(station, each, story.T0 + 5000, place(number, each, epoch)) for number, each in NUMBERED])
    found = settled(engine, station)
    merged = MERGED & found.keys()
    assert {"patient", "observation", "consult", "consult_reading"} <= merged
    assert {name: found[name] for name in merged} == {name: expected[name] for name in merged}
