"""Corrections at the bridge: worked out whatever comes first, told to each doctor concerned until they have seen it."""

import itertools
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, select

from appliance.contract import events as ev
from cloud_bridge import intake
from cloud_bridge.store import accounts, consults, corrections, observations, review, tables
from cloud_bridge.store.accounts import Account
from cloud_bridge.store.engine import reading as looking
from cloud_bridge.store.engine import writing
from tests.bridge import story
from tests.bridge.story import OTHER, PATIENT, STATION, asked, event, oxygen, pressure, recorded, who

THIRD = 14
BP = pressure()
AT = story.T0 + 5000


def keyed(events: Sequence[ev.Event]) -> list[tuple[ev.Event, tuple[bytes, int, int]]]:
    """Each event with the place its station gave it."""
    return [(each, story.place(number, each)) for number, each in enumerate(events)]


def hear(engine: Engine, *rows: tuple[ev.Event, tuple[bytes, int, int]], at: int = AT) -> None:
    """Events arrive, in the order given."""
    with writing(engine) as tx:
        for each, key in rows:
            intake.apply(tx, STATION, each, at, key)


def doctor(engine: Engine, login: str = "bs.thu") -> Account:
    """An account of this name (made once)."""
    from tests.bridge.conftest import HASHER, PASSWORD

    with writing(engine) as tx:
        if login not in accounts.names(tx):
            accounts.add(tx, HASHER, login, PASSWORD, AT, name=login, role=accounts.Role.DOCTOR)
        found = accounts.get(tx, login)
    assert found is not None
    return found


def owners(engine: Engine) -> dict[int, list[bytes]]:
    """What stands for each of three people."""
    with looking(engine) as tx:
        return {
            one: [each.key for each in observations.of_patient(tx, STATION, one) if each.stands_for(one)] for one in (PATIENT, OTHER, THIRD)
        }


def test_a_correction_that_overtakes_its_reading_is_true_when_it_arrives(engine: Engine) -> None:
    """Lane 1 before lane 2: moved to somebody else before anybody knew of it, and struck out before it was there."""
    moved, wrong = pressure(), oxygen(30)
    hear(
        engine,
        *keyed(
            [
                event(ev.ObservationReassigned(PATIENT, moved.key, OTHER, "Đo nhầm người"), 90),
                event(ev.ObservationEnteredInError(PATIENT, wrong.key, "Đo thử"), 91),
                recorded(moved), recorded(wrong),
            ]
        ),
    )  # fmt: skip
    assert owners(engine) == {PATIENT: [], OTHER: [moved.key], THIRD: []}


def test_a_reading_corrected_twice_goes_where_the_last_word_says(engine: Engine) -> None:
    """A to B to C to A, heard in every order, with a clock that was turned back in between: it is A's, and each page says why."""
    words = [
        event(ev.ObservationReassigned(PATIENT, BP.key, OTHER, "một"), 900),
        event(ev.ObservationReassigned(OTHER, BP.key, THIRD, "hai"), 100),
        event(ev.ObservationReassigned(THIRD, BP.key, PATIENT, "ba"), 500),
    ]
    rows = keyed([recorded(BP), *words])
    for order in itertools.permutations(rows):
        hear(engine, *order)
        assert owners(engine) == {PATIENT: [BP.key], OTHER: [], THIRD: []}
        with writing(engine) as tx:
            for table in (tables.observation, tables.correction, tables.conflict):
                tx.execute(table.delete())


def test_a_moved_reading_that_its_new_owner_cites_is_no_dispute(engine: Engine) -> None:
    """B's request names the reading that was A's: a person has decided, nobody is asked again."""
    rows = keyed(
        [recorded(BP), event(ev.ObservationReassigned(PATIENT, BP.key, OTHER, "nhầm"), 90), asked(901, (BP,), 120, who(OTHER, name="Hai"))]
    )
    for order in itertools.permutations(rows):
        hear(engine, *order)
        assert owners(engine)[OTHER] == [BP.key]
        with writing(engine) as tx:
            assert review.disputed(tx, [STATION]) == []
            for table in (tables.observation, tables.correction, tables.conflict, tables.consult, tables.consult_reading):
                tx.execute(table.delete())


def test_what_was_given_to_somebody_who_is_erased_is_gone(engine: Engine) -> None:
    """Whatever comes first: neither the erased person's page nor the page it came from shows the value."""
    stone = event(ev.Tombstone(OTHER, "yêu cầu"), 200)
    rows = keyed([recorded(BP), event(ev.ObservationReassigned(PATIENT, BP.key, OTHER, "nhầm"), 90), stone])
    for order in itertools.permutations(rows):
        hear(engine, *order)
        with writing(engine) as tx:
            assert observations.of_patient(tx, STATION, PATIENT) == []
            for table in (tables.observation, tables.correction, tables.tombstone):
                tx.execute(table.delete())


def shown(engine: Engine, at: int) -> None:
    """A doctor's page carries the readings of request 900."""
    with writing(engine) as tx:
        observations.mark_shown(tx, STATION, [one.key for one in observations.of_consult(tx, STATION, 900)], at)


def test_each_doctor_hears_of_a_correction_until_they_have_seen_it(engine: Engine) -> None:
    """A request that waits: both doctors are told; one sees it, the other is told on; a second correction is told anew."""
    first, second = doctor(engine), doctor(engine, "bs.hai")
    words = keyed(
        [
            asked(900, (BP, oxygen(5))),
            event(ev.ObservationReassigned(PATIENT, BP.key, OTHER, "nhầm người"), 90),
            event(ev.ObservationEnteredInError(OTHER, BP.key, "kẹp lệch"), 95),
        ]
    )
    hear(engine, words[0])
    shown(engine, AT + 1)
    with looking(engine) as tx:
        assert corrections.corrections_for(tx, STATION, 900, first) == []
    hear(engine, words[1], at=AT + 10)
    with writing(engine) as tx:
        (one,) = corrections.corrections_for(tx, STATION, 900, first)
        assert (one.key, one.patient, one.to_patient, one.reason, one.reading, one.signed) == (
            BP.key,
            PATIENT,
            OTHER,
            "nhầm người",
            BP,
            False,
        )
        assert corrections.corrections_seen(tx, STATION, 900, first, AT + 20) == 1
        assert corrections.corrections_seen(tx, STATION, 900, first, AT + 21) == 0
        assert corrections.corrections_for(tx, STATION, 900, first) == []
        assert len(corrections.corrections_for(tx, STATION, 900, second)) == 1
    hear(engine, words[2], at=AT + 30)
    with looking(engine) as tx:
        (again,) = corrections.corrections_for(tx, STATION, 900, first)
        assert (again.to_patient, again.reason) == (None, "kẹp lệch")
        assert len(corrections.corrections_for(tx, STATION, 900, second)) == 2


@pytest.mark.parametrize("seen", [False, True])
def test_a_correction_of_what_nobody_had_seen_alarms_nobody(engine: Engine, seen: bool) -> None:
    """It arrived before any page carried the reading: the page shows it struck out, there is nothing to take back in mind."""
    me = doctor(engine)
    rows = keyed([asked(900, (BP,)), event(ev.ObservationEnteredInError(PATIENT, BP.key, "kẹp lệch"), 90)])
    hear(engine, rows[0])
    if seen:
        shown(engine, AT + 1)
    hear(engine, rows[1], at=AT + 5)
    shown(engine, AT + 9)
    with looking(engine) as tx:
        assert len(corrections.corrections_for(tx, STATION, 900, me)) == int(seen)


def test_a_correction_that_a_restored_card_says_again_is_told_once(engine: Engine) -> None:
    """Under its new epoch's number it is the same correction: once in the list, and not again for whoever has seen it."""
    first, second = doctor(engine), doctor(engine, "bs.hai")
    rows = keyed([asked(900, (BP,)), event(ev.ObservationReassigned(PATIENT, BP.key, OTHER, "nhầm người"), 90)])
    hear(engine, rows[0])
    shown(engine, AT + 1)
    hear(engine, rows[1], at=AT + 5)
    with writing(engine) as tx:
        assert corrections.corrections_seen(tx, STATION, 900, first, AT + 6) == 1
    hear(engine, (rows[1][0], (b"restored", 1, 77)), at=AT + 9)
    with looking(engine) as tx:
        assert corrections.corrections_for(tx, STATION, 900, first) == []
        assert len(corrections.corrections_for(tx, STATION, 900, second)) == 1


def test_a_signed_answer_is_told_also_of_readings_the_request_did_not_cite(offices) -> None:
    """What stood on the page when signing counts: an uncited reading of the last day, corrected after the signature."""
    from tests.bridge.test_console import sign

    other = oxygen(5)
    offices.hear(asked(900, (BP,)), recorded(other))
    sign(offices.doctor())
    offices.time.turn(10)
    offices.hear(event(ev.ObservationEnteredInError(PATIENT, other.key, "máy hỏng"), 400))
    me = doctor(offices.engine)
    with looking(offices.engine) as tx:
        (one,) = corrections.corrections_for(tx, STATION, 900, me)
    assert (one.key, one.signed, one.reason) == (other.key, True, "máy hỏng")


def test_a_correction_for_a_withdrawn_request_is_still_true_and_still_told(engine: Engine) -> None:
    """The station took the request back first: who had it open hears of the reading all the same."""
    me = doctor(engine)
    rows = keyed(
        [
            asked(900, (BP,)),
            event(ev.ConsultWithdrawn(900, "mistake"), 80),
            event(ev.ObservationEnteredInError(PATIENT, BP.key, "nhầm"), 90),
        ]
    )
    hear(engine, rows[0])
    shown(engine, AT + 1)
    hear(engine, *rows[1:], at=AT + 5)
    with looking(engine) as tx:
        assert len(corrections.corrections_for(tx, STATION, 900, me)) == 1
        (cited,) = observations.of_consult(tx, STATION, 900)
        assert cited.in_error == "nhầm"
        one = consults.get(tx, STATION, 900)
        assert one is not None and one.withdrawn is not None


def test_words_of_two_epochs_are_ordered_by_time(engine: Engine) -> None:
    """After a restore of the box its count begins anew: the later epoch has the last word."""
    first, second = (
        event(ev.ObservationReassigned(PATIENT, BP.key, OTHER, "một"), 100),
        event(ev.ObservationReassigned(OTHER, BP.key, THIRD, "hai"), 200),
    )
    place = story.place(0, second, epoch=b"epoch--0")
    hear(engine, (recorded(BP), story.place(0, recorded(BP))), (second, place), (first, story.place(50, first)))
    assert owners(engine) == {PATIENT: [], OTHER: [], THIRD: [BP.key]}
    with looking(engine) as tx:
        assert len(list(tx.execute(select(tables.correction)))) == 2
