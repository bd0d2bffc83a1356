"""What stations say about their staff, their calls for help, and the heads of their audit chains."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from appliance.contract.events import AuditHead, EmergencyPressed, StaffChanged
from cloud_bridge import intake
from cloud_bridge.store import audit, emergencies, staff
from cloud_bridge.store.audit import ANEW, BACK, CHANGED, FORK, GONE, Head
from cloud_bridge.store.engine import writing
from tests.bridge import story

OTHER_EPOCH = bytes(range(8, 16))


def hear(engine: Engine, *bodies: object, start: int = 0, epoch: bytes = story.EPOCH, seconds: float = 0) -> None:
    """Events of the station, in the order of their sequence numbers from `start`."""
    with writing(engine) as tx:
        for number, body in enumerate(bodies, start):
            event = story.event(body, seconds + number)
            intake.apply(tx, story.STATION, event, story.T0 + number, story.place(number, event, epoch))


def test_a_call_for_help_is_kept_once_and_acknowledged_by_the_first(engine: Engine) -> None:
    """A repeat is the same call; the second who acknowledges hears that somebody was first."""
    hear(engine, EmergencyPressed(5), EmergencyPressed(5), EmergencyPressed(6, "phòng sơ cứu"))
    with writing(engine) as tx:
        assert [one.call for one in emergencies.open_calls(tx)] == [5, 6]
        assert emergencies.acknowledge(tx, story.STATION, 5, "bs.thu", story.T0 + 90)
        assert not emergencies.acknowledge(tx, story.STATION, 5, "bs.hai", story.T0 + 95)
        assert not emergencies.acknowledge(tx, story.STATION, 99, "bs.hai", story.T0 + 95)
        assert [(one.call, one.note) for one in emergencies.open_calls(tx)] == [(6, "phòng sơ cứu")]
        known = {one.call: one.acknowledged_by for one in emergencies.recent(tx)}
        assert known == {5: "bs.thu", 6: None}


def test_the_latest_word_about_a_code_counts_whatever_arrives_first(engine: Engine) -> None:
    """Ordered by the station's own sequence, not by arrival; a clock that was set back in between changes nothing."""
    early = story.event(StaffChanged("y1", "Y tá Thử", "nurse"), 900)
    late = story.event(StaffChanged("y1", "Y tá Thử Mới", "lead"), 0)
    with writing(engine) as tx:
        intake.apply(tx, story.STATION, late, story.T0, story.place(7, late))
        intake.apply(tx, story.STATION, early, story.T0, story.place(6, early))
        assert staff.names(tx, story.STATION) == {"y1": "Y tá Thử Mới"}
        assert staff.name(tx, story.STATION, "y1") == "Y tá Thử Mới (y1)"
        assert staff.name(tx, story.STATION, "zz") == "zz"
        assert staff.names(tx, "tram-0002") == {}


def test_of_two_epochs_the_later_by_the_clock_counts(engine: Engine) -> None:
    """A new box of the same station says who works there now; the retired stay known by name."""
    hear(engine, StaffChanged("y1", "Y tá Cũ", "nurse"))
    hear(engine, StaffChanged("y1", "Y tá Mới", "nurse"), StaffChanged("y2", "Y tá Hai", "nurse", False), epoch=OTHER_EPOCH, seconds=500)
    with writing(engine) as tx:
        found = staff.everyone(tx, story.STATION)
        assert found["y1"].name == "Y tá Mới"
        assert (found["y2"].name, found["y2"].active) == ("Y tá Hai", False)


# --- heads --------------------------------------------------------------------------------------------------------------------------


def h(text: str) -> bytes:
    """A hash that looks like one."""
    return story.digest(text)


FIRST, SECOND, THIRD = AuditHead(4, h("4")), AuditHead(9, h("9"), 4, h("4")), AuditHead(12, h("12"), 9, h("9"))


def found(engine: Engine) -> list[tuple[int, str]]:
    """The alarms nobody has looked at."""
    with writing(engine) as tx:
        return [(one.entry, one.why) for one in audit.alarms(tx)]


def test_heads_that_follow_each_other_are_quiet_in_any_order_and_repeated(engine: Engine) -> None:
    """Also when one comes again, or comes again in a new epoch because it had not been receipted."""
    for order in itertools.permutations((0, 1, 2)):
        for number in order:
            hear(engine, (FIRST, SECOND, THIRD)[number], start=number)
    hear(engine, SECOND, THIRD, epoch=OTHER_EPOCH)
    assert found(engine) == []


def test_what_does_not_agree_raises_an_alarm_that_a_person_looks_at(engine: Engine) -> None:
    """The kept hash of entry 4 is another; looked at once, it is not shown again."""
    hear(engine, FIRST, AuditHead(9, h("9"), 4, h("other")))
    assert found(engine) == [(4, CHANGED)]
    with writing(engine) as tx:
        assert audit.looked(tx, story.STATION, "bs.thu", story.T0 + 99) == 1
    hear(engine, FIRST, AuditHead(9, h("9"), 4, h("other")))
    assert found(engine) == []


def test_each_way_to_disagree_has_its_word(engine: Engine) -> None:
    """Gone, shorter, two that follow one, a second log."""
    hear(engine, FIRST, SECOND, AuditHead(7, h("7"), 9, b""))
    assert set(found(engine)) == {(9, GONE), (7, BACK)}
    hear(engine, AuditHead(11, h("x"), 4, h("4")), epoch=OTHER_EPOCH)
    hear(engine, AuditHead(1, h("y")), start=5, epoch=OTHER_EPOCH)
    assert {(4, FORK), (0, ANEW), (1, BACK)} <= set(found(engine))


HEADS = st.builds(
    Head,
    st.sampled_from((b"a", b"b")), st.integers(0, 5), st.integers(0, 4), st.sampled_from((b"x", b"y")), st.integers(0, 4),
    st.sampled_from((b"", b"x", b"y")),
)  # fmt: skip


@given(HEADS, HEADS)
@settings(max_examples=1000, deadline=None)
def test_two_heads_say_the_same_about_each_other_either_way_round(one: Head, other: Head) -> None:
    """So that the order of arrival never matters."""
    assert audit.between(one, other) == audit.between(other, one)
    assert audit.between(one, one) == set()


@given(st.lists(HEADS, min_size=1, max_size=5, unique_by=lambda one: (one.epoch, one.seq)), st.randoms(use_true_random=False))
@settings(max_examples=500, deadline=None)
def test_the_same_heads_raise_the_same_alarms_in_any_order(heads: list[Head], dice: object) -> None:
    """Whatever order the lanes bring."""
    shuffled = list(heads)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]

    def alarms(order: list[Head]) -> set[tuple[int, str]]:
        return set().union(*(audit.against(one, order[:number]) for number, one in enumerate(order)))

    assert alarms(heads) == alarms(shuffled)


def test_a_request_brings_the_name_until_the_stations_own_word_arrives(engine: Engine) -> None:
    """A request overtakes the staff list, and never outranks it."""
    hear(engine, story.asked(staff_name="Y tá Thử").body)
    with writing(engine) as tx:
        assert staff.name(tx, story.STATION, "ys01") == "Y tá Thử (ys01)"
    hear(engine, StaffChanged("ys01", "Y tá Thử Nghiệm", "nurse"), start=1)
    hear(engine, story.asked(901, staff_name="Y tá Thử").body, start=2)
    with writing(engine) as tx:
        assert staff.everyone(tx, story.STATION)["ys01"] == staff.Person("ys01", "Y tá Thử Nghiệm", "nurse", True)
