import random
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.events import Department, Urgency
from cloud_bridge import routing
from cloud_bridge.store import consults
from cloud_bridge.store.engine import reading
from cloud_bridge.store.rota import HOUR, Gap, Shift
from tests.bridge import story
from tests.bridge.story import asked


def waiting(office, department=None):
    """The queue as a doctor sees it, by the numbers of the requests."""
    with reading(office.engine) as tx:
        found = consults.unanswered(tx)
    random.Random(4).shuffle(found)
    return [one.consult for one in routing.queue(found, department)]


def test_the_most_urgent_is_first_and_of_equals_the_one_that_waited_longest(office):
    """Urgency rules; within it the time since the bridge received the request."""
    for number, urgency in enumerate((Urgency.ROUTINE, Urgency.URGENT, Urgency.EMERGENCY, Urgency.URGENT, Urgency.EMERGENCY)):
        office.hear(asked(number + 1, urgency=urgency))
        office.time.turn(30)
    assert waiting(office) == [3, 5, 2, 4, 1]


def test_a_box_with_a_wrong_clock_neither_jumps_the_queue_nor_falls_out_of_it(office):
    """A request stamped 1970 or 2090 waits from the moment it was received."""
    for number, seconds in ((1, 0), (2, -1_700_000_000), (3, 2_000_000_000)):
        office.hear(asked(number, seconds=seconds))
        office.time.turn(1)
    assert waiting(office) == [1, 2, 3]


def test_a_department_sees_its_own_requests_and_those_asked_of_nobody_in_particular(office):
    """Routing by department; general requests are everybody's."""
    for number, department in enumerate((Department.SURGERY, Department.GENERAL, Department.INTERNAL), 1):
        office.hear(asked(number, department=department))
        office.time.turn(1)
    assert waiting(office, Department.SURGERY) == [1, 2]
    assert waiting(office, Department.PAEDIATRICS) == [2]
    assert waiting(office) == [1, 2, 3]


def test_withdrawn_and_unreceived_requests_do_not_wait(office):
    """A withdrawal takes a request out of the queue, also when it overtakes the request."""
    from appliance.contract.events import ConsultWithdrawn

    office.hear(asked(1), asked(2), story.event(ConsultWithdrawn(2, "thôi")), story.event(ConsultWithdrawn(3, "thôi")))
    assert waiting(office) == [1]
    office.hear(asked(3))
    assert waiting(office) == [1]


# --- duty ---------------------------------------------------------------------------------------------------------------------------

HERE = "Trung tâm Thử"


def at(day, hour, minute=0):
    """A moment of November 2026 in Vietnam, in tenths of a second."""
    return int(datetime(2026, 11, day, hour, minute, tzinfo=routing.LOCAL).timestamp()) * 10


def shift(department, start, end, name="BS. Thử Một"):
    """A shift of the centre."""
    return Shift(HERE, department, start, end, name, "0900 000 001")


def covered(start, end, *, but=()):
    """Shifts of twelve hours for every department, without those of `but`."""
    hours = range(start, end, 12 * HOUR)
    return [shift(one, begin, begin + 12 * HOUR) for one in Department if one not in but for begin in hours]


def test_duty_gap_at_03_00():
    """The hour that nobody has is found, of that department alone, and named as a person says it."""
    night = [
        shift(Department.PAEDIATRICS, at(22, 19), at(23, 3)),
        shift(Department.PAEDIATRICS, at(23, 4), at(23, 7), "BS. Thử Hai"),
    ]
    found = routing.gaps(covered(at(22, 19), at(23, 7), but=[Department.PAEDIATRICS]) + night, at(22, 19), at(23, 7))
    assert found == [Gap(Department.PAEDIATRICS, at(23, 3), at(23, 4))]
    assert routing.hours(found[0].start, found[0].end) == "03:00–04:00 ngày 23-11"
    assert routing.on_duty(night, Department.PAEDIATRICS, at(23, 3)) == []
    assert [one.name for one in routing.on_duty(night, Department.PAEDIATRICS, at(23, 4))] == ["BS. Thử Hai"]


def test_shifts_over_midnight_and_shifts_that_touch_leave_no_gap():
    """The end of one is the beginning of the next; at that moment the next one is on duty, and nobody twice."""
    shifts = [shift(Department.INTERNAL, at(22, 7), at(22, 19), "A"), shift(Department.INTERNAL, at(22, 19), at(23, 7), "B")]
    assert [one for one in routing.gaps(shifts, at(22, 7), at(23, 7)) if one.department is Department.INTERNAL] == []
    assert [one.name for one in routing.on_duty(shifts, Department.INTERNAL, at(22, 19))] == ["B"]
    assert [one.name for one in routing.on_duty(shifts, Department.INTERNAL, at(23, 0))] == ["B"]


def test_a_department_nobody_was_entered_for_is_open_the_whole_time():
    """No shift is no cover."""
    assert routing.gaps([], at(22, 7), at(23, 7)) == [Gap(one, at(22, 7), at(23, 7)) for one in Department]


@given(
    st.lists(st.tuples(st.sampled_from([Department.GENERAL, Department.SURGERY]), st.integers(-60, 300), st.integers(0, 200)), max_size=8),
    st.integers(0, 240),
)
def test_gaps_and_duty_agree_with_a_list_of_minutes(spans, length):
    """Minute by minute, whatever overlaps, touches or is empty."""
    base, minute = at(22, 22), HOUR // 60
    shifts = [shift(one, base + begin * minute, base + (begin + long) * minute) for one, begin, long in spans]
    found = routing.gaps(shifts, base, base + length * minute)
    for department in (Department.GENERAL, Department.SURGERY):
        for number in range(length):
            moment = base + number * minute
            busy = any(one is department and begin <= number < begin + long for one, begin, long in spans)
            assert busy == bool(routing.on_duty(shifts, department, moment))
            assert busy != any(gap.department is department and gap.start <= moment < gap.end for gap in found)
    assert all(gap.start < gap.end for gap in found)


def test_whoever_is_on_duty_sees_their_departments_first_and_the_rest_too(office):
    """Mine and everybody's by urgency, then the others': nothing is hidden."""
    for number, (department, urgency) in enumerate(
        [(Department.SURGERY, Urgency.EMERGENCY), (Department.INTERNAL, Urgency.ROUTINE), (Department.GENERAL, Urgency.URGENT)], 1
    ):
        office.hear(asked(number, department=department, urgency=urgency))
    with reading(office.engine) as tx:
        found = consults.unanswered(tx)
    assert [one.consult for one in routing.asked(found, [Department.INTERNAL])] == [3, 2, 1]
    assert [one.consult for one in routing.asked(found, [])] == [3, 1, 2]
    surgery = next(one for one in found if one.department is Department.SURGERY)
    assert routing.unattended(surgery, [shift(Department.INTERNAL, 0, at(30, 0))], at(22, 0))
    assert not routing.unattended(surgery, [shift(Department.SURGERY, 0, at(30, 0))], at(22, 0))
