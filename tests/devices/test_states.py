"""Where a device stands: every arrow of the machine, its pauses, its watchdog, its numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.devices.states import (
    BACKOFF_NS,
    ENOUGH_BYTES,
    HALVE_NS,
    HELD_NS,
    LONGEST_BACKOFF_NS,
    MINUTE_NS,
    QUIET_NS,
    SECOND,
    TELL_NS,
    Course,
    Health,
    State,
    Telling,
    Why,
)


def look(course: Course, now: float, *, busy: bool = False, measuring: bool = False) -> str:
    """The state at a second."""
    return course.look(int(now * SECOND), busy=busy, measuring=measuring).value


def test_a_device_walks_through_its_states() -> None:
    """Absent, opening, identifying, ready, measuring, ready, stale, ready, lost, identifying."""
    course = Course(3.0)
    assert course.state is State.OPENING
    course.refused(Why.ABSENT, 0)
    assert look(course, 0.1) == "absent"
    course.refused(Why.REFUSED, SECOND)
    assert look(course, 1) == "opening"
    course.opened(3 * SECOND)
    assert look(course, 3) == "identifying"
    course.heard(9, 4 * SECOND)
    assert look(course, 4) == "ready"
    assert look(course, 4, measuring=True) == "measuring"
    assert look(course, 4, busy=True) == "identifying", "a cuff that is not at rest and was not started by us"
    assert look(course, 7.1) == "stale"
    course.heard(9, 8 * SECOND)
    assert look(course, 8) == "ready"
    course.lost(9 * SECOND)
    assert look(course, 9) == "lost"
    course.refused(Why.ABSENT, 10 * SECOND)
    assert look(course, 10) == "lost", "what was there a moment ago is lost, not absent"
    course.opened(11 * SECOND)
    assert look(course, 11) == "identifying"


def test_a_port_in_other_hands_is_said_and_forgotten() -> None:
    """Another program has the port: that is a fact of its own, until it is not."""
    course = Course(3.0)
    course.refused(Why.USED, 0)
    assert (course.used, look(course, 0)) == (True, "opening")
    course.refused(Why.REFUSED, SECOND)
    assert not course.used
    course.refused(Why.USED, 2 * SECOND)
    course.opened(9 * SECOND)
    assert not course.used


def test_pauses_double_up_to_thirty_seconds() -> None:
    """One second, two, four … thirty, and thirty again."""
    course, now, pauses = Course(3.0), 0, []
    for _ in range(8):
        course.refused(Why.REFUSED, now)
        start = now
        while not course.due(now):
            now += SECOND // 2
        pauses.append((now - start) // SECOND)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert pauses[0] * SECOND == BACKOFF_NS
    assert pauses[-1] * SECOND == LONGEST_BACKOFF_NS


def test_a_port_that_comes_and_goes_is_opened_rarely() -> None:
    """Twenty appearances in a second, each with a frame that was understood: one opening in that second, five in half a minute."""
    course, openings, now = Course(3.0), [], 0
    while now < 30 * SECOND:
        if course.due(now):
            openings.append(now)
            course.opened(now)
            course.heard(9, now)
            course.lost(now + SECOND // 40)
        now += SECOND // 20
    assert len([each for each in openings if each < SECOND]) == 1
    assert len(openings) == 5
    assert course.health(now).reopenings == 4


def test_a_line_that_held_starts_with_the_short_pause_again() -> None:
    """After a line has held, a pulled cable is looked for after one second, whatever came before."""
    course = Course(3.0)
    for now in range(6):
        course.refused(Why.REFUSED, now)
    course.opened(100 * SECOND)
    course.heard(9, 100 * SECOND + HELD_NS)
    course.lost(110 * SECOND)
    assert not course.due(110 * SECOND + BACKOFF_NS - 1)
    assert course.due(110 * SECOND + BACKOFF_NS)


def test_silence_opens_the_line_again_ever_more_rarely() -> None:
    """A minute beyond what the family allows, then two, then four; it stays stale meanwhile, and one frame makes it ready."""
    course = Course(3.0)
    course.opened(0)
    course.heard(9, 0)
    waits: list[int] = []
    since = now = 0
    while len(waits) < 3:
        now += SECOND
        look(course, now / SECOND)
        if course.silent_too_long(now):
            waits.append((now - since) // SECOND)
            course.closed(now)
            assert course.due(now)
            course.opened(now)
            since = now
            assert look(course, now / SECOND) == "stale"
    assert waits == [64, 124, 244]
    assert waits[0] * SECOND > QUIET_NS
    course.heard(9, now)
    assert look(course, now / SECOND) == "ready"


def test_the_alarm_begins_at_ten_of_a_hundred_and_ends_at_five() -> None:
    """9 % is none, 10 % is one, 6 % still is, 4 % is none."""
    alarms = []
    course = Course(3.0)
    course.opened(0)
    for now, bad in enumerate((9, 10, 6, 4)):
        look(course, now * 100)
        for step in range(1, 12):  # let the counts before fall away
            look(course, now * 100 + step * HALVE_NS / SECOND)
        course.noise(bad)
        course.heard(100 - bad, now * 100 * SECOND)
        found = course.health((now * 100 + 60) * SECOND)
        alarms.append((found.bad_ratio, found.alarm))
    assert alarms == [(0.09, False), (0.1, True), (0.06, True), (0.04, False)]


def test_a_few_bytes_are_no_alarm() -> None:
    """The cut frame with which a line begins is not judged."""
    course = Course(3.0)
    course.opened(0)
    course.noise(ENOUGH_BYTES - 1)
    assert not course.health(0).alarm
    course.noise(1)
    assert course.health(0).alarm


def test_reopenings_are_forgotten_after_an_hour() -> None:
    """The first opening is none; each later one counts for an hour, by the minute."""
    course = Course(3.0)
    for now in (0, 10 * MINUTE_NS, 20 * MINUTE_NS):
        course.opened(now)
        course.lost(now)
    assert course.health(21 * MINUTE_NS).reopenings == 2
    assert course.health(69 * MINUTE_NS).reopenings == 2
    assert course.health(70 * MINUTE_NS).reopenings == 1
    assert course.health(80 * MINUTE_NS).reopenings == 0
    assert course.health(8000 * MINUTE_NS).reopenings == 0


def test_the_store_hears_of_a_change_and_at_most_once_an_hour() -> None:
    """A flickering alarm costs one row an hour; after the hour the store hears how it stands then."""
    good, bad = Health(0.0, 0, 0, False), Health(0.2, 0, 0, True)
    telling = Telling(False, 0)
    assert not telling.due(good, 0)
    assert telling.due(bad, 1)
    telling.told(bad, 1)
    assert not telling.due(good, 2)
    assert not telling.due(bad, 1 + TELL_NS)
    assert telling.due(good, 1 + TELL_NS)
    again = Telling(True, 0)
    assert not again.due(good, TELL_NS - 1), "a collector that starts again and again tells no more often"
    assert again.due(good, TELL_NS)


EVENTS = st.sampled_from(["opened", "absent", "used", "refused", "lost", "closed", "heard", "noise", "look"])


@given(st.lists(st.tuples(EVENTS, st.integers(0, 20 * SECOND)), max_size=60))
def test_whatever_happens_the_machine_stays_a_machine(happened: list[tuple[str, int]]) -> None:
    """Any order of events leaves a known state, a ratio from 0 to 1, and never more openings due than pauses allow."""
    course, now, is_open = Course(3.0), 0, False
    for what, passed in happened:
        now += passed
        if what == "opened" and not is_open and course.due(now):
            course.opened(now)
            is_open = True
        elif what in ("absent", "used", "refused") and not is_open:
            course.refused({"absent": Why.ABSENT, "used": Why.USED, "refused": Why.REFUSED}[what], now)
            assert not course.due(now)
        elif what == "lost" and is_open:
            course.lost(now)
            is_open = False
            assert not course.due(now + BACKOFF_NS - 1)
        elif what == "closed" and is_open:
            course.closed(now)
            is_open = False
        elif what == "heard" and is_open:
            course.heard(9, now)
            assert course.look(now, busy=False, measuring=False) is State.READY
        elif what == "noise" and is_open:
            course.noise(5)
        state = course.look(now, busy=False, measuring=False)
        assert not (is_open and state in (State.ABSENT, State.OPENING, State.LOST))
        health = course.health(now)
        assert 0.0 <= health.bad_ratio <= 1.0
        assert health.reopenings >= 0


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_its_words_at_the_kiosk(state: State) -> None:
    """No state without a sentence for the nurse."""
    from appliance.kiosk.speech import STATES

    assert state.value in STATES
