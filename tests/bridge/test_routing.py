import random

from appliance.contract.events import Department, Urgency
from cloud_bridge import routing
from cloud_bridge.store import consults
from cloud_bridge.store.engine import reading
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
