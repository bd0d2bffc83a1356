"""Requests that nobody opens go on to the next tier, once a tier, whoever carries."""

import logging
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from sqlalchemy import event, select

from appliance.contract.codec import read_event
from appliance.contract.events import ConsultEscalated, ConsultWithdrawn, Urgency
from cloud_bridge import escalation, intake
from cloud_bridge.carrier import CHORES_EVERY, Loop
from cloud_bridge.escalation import Limits, Step
from cloud_bridge.store import consults, relay_tables, rota, stations
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.rota import Tier
from tests.bridge import story

NOW = story.T0 + 1200
LIMITS = Limits(urgent_s=600, routine_s=0)
CENTRE, PROVINCE, CENTRAL = "Trung tâm Thử", "Bệnh viện tỉnh Thử", "Bệnh viện trung ương Thử"


@pytest.fixture
def bridge(engine):
    """A station whose centre stands below a provincial and a central hospital."""
    with writing(engine) as tx:
        stations.add(tx, stations.Station(story.STATION, 0, "Trạm Thử", CENTRE, 0, 0, bytes(32), NOW, None))
        rota.set_tier(tx, Tier(CENTRE, 1, "Trung tâm Thử", PROVINCE))
        rota.set_tier(tx, Tier(PROVINCE, 2, "Bệnh viện tỉnh Thử", CENTRAL))
        rota.set_tier(tx, Tier(CENTRAL, 3, "Bệnh viện trung ương Thử"))
    return engine


def hear(engine, *events, at=NOW):
    """A station's events are committed at `at`."""
    with writing(engine) as tx:
        for number, each in enumerate(events):
            intake.apply(tx, story.STATION, each, at, story.place(number, each))


def told(engine):
    """What the station is to hear of escalations: (consult, tier, name)."""
    with reading(engine) as tx:
        rows = tx.execute(select(relay_tables.outbox.c.body).order_by(relay_tables.outbox.c.id)).all()
    bodies = [read_event(bytes(row.body)).body for row in rows]
    return [(one.consult, one.tier, one.to) for one in bodies if isinstance(one, ConsultEscalated)]


def after(seconds):
    """A moment so long after the request came."""
    return NOW + int(seconds * 10)


def test_an_emergency_nobody_opens_goes_up_tier_by_tier_and_then_to_the_coordinator(bridge):
    """Ten minutes with each, the station is told of each, once; at the last tier a person has to act."""
    hear(bridge, story.asked(900, urgency=Urgency.EMERGENCY))
    assert escalation.turn(bridge, after(599.9), LIMITS) == []
    assert escalation.turn(bridge, after(600), LIMITS) == [Step(story.STATION, 900, PROVINCE)]
    assert escalation.turn(bridge, after(605), LIMITS) == []
    assert escalation.turn(bridge, after(1200), LIMITS) == [Step(story.STATION, 900, CENTRAL)]
    assert escalation.turn(bridge, after(1800), LIMITS) == [Step(story.STATION, 900, "")]
    assert escalation.turn(bridge, after(99_999), LIMITS) == []
    assert told(bridge) == [(900, 2, PROVINCE), (900, 3, CENTRAL)]
    with reading(bridge) as tx:
        assert escalation.exhausted(tx) == {(story.STATION, 900)}


@pytest.mark.parametrize("ending", ["opened", "withdrawn", "answered"])
def test_what_is_opened_withdrawn_or_answered_stays_where_it_is(bridge, ending):
    """Only what nobody has seen goes on, and an alarm at the last tier ends with it."""
    hear(bridge, story.asked(900, urgency=Urgency.EMERGENCY))
    for seconds in (600, 1200, 1800):
        escalation.turn(bridge, after(seconds), LIMITS)
    hear(bridge, story.asked(901))
    with writing(bridge) as tx:
        for number in (900, 901):
            if ending == "opened":
                consults.set_opened(tx, story.STATION, number, "bs.thu", NOW)
            elif ending == "answered":
                consults.set_answered(tx, story.STATION, number, NOW)
            else:
                intake.apply(tx, story.STATION, story.event(ConsultWithdrawn(number, "thôi")), NOW, (story.EPOCH, 0, 50 + number))
    assert escalation.turn(bridge, after(9999), LIMITS) == []
    with reading(bridge) as tx:
        assert escalation.exhausted(tx) == set()


def test_a_routine_request_waits_unless_the_settings_say_otherwise(bridge):
    """0 is for ever; urgent ones go on all the same, unless theirs is 0 too."""
    hear(bridge, story.asked(900, urgency=Urgency.ROUTINE), story.asked(901, urgency=Urgency.URGENT))
    assert escalation.turn(bridge, after(86_400), Limits(0, 0)) == []
    assert escalation.turn(bridge, after(86_400), LIMITS) == [Step(story.STATION, 901, PROVINCE)]
    assert escalation.turn(bridge, after(86_400), Limits(600_000, 3600)) == [Step(story.STATION, 900, PROVINCE)]


def test_a_wrong_clock_at_the_station_changes_nothing(bridge):
    """Waiting counts from the moment the bridge had it."""
    hear(bridge, story.asked(900, seconds=-1_700_000_000), story.asked(901, seconds=2_000_000_000))
    assert escalation.turn(bridge, after(599), LIMITS) == []
    assert len(escalation.turn(bridge, after(600), LIMITS)) == 2


def test_carriers_that_come_at_the_same_moment_take_one_step_between_them(bridge):
    """Four at once: the row lock lets one through, the others see that it is done."""
    hear(bridge, *(story.asked(900 + number) for number in range(5)))
    with ThreadPoolExecutor(4) as pool:
        steps = [one for found in pool.map(lambda _: escalation.turn(bridge, after(700), LIMITS), range(4)) for one in found]
    assert sorted(one.consult for one in steps) == [900, 901, 902, 903, 904]
    assert sorted(number for number, _, _ in told(bridge)) == [900, 901, 902, 903, 904]


def test_tiers_in_a_circle_or_nobody_above_end_with_the_coordinator(bridge):
    """A list that leads back is not walked for ever; an organisation that is in no list has nobody above."""
    with writing(bridge) as tx:
        rota.set_tier(tx, Tier(PROVINCE, 2, "Bệnh viện tỉnh Thử", CENTRE))
        stations.add(tx, stations.Station("tram-0002", 0, "Trạm Thử Hai", "Nơi khác", 0, 0, bytes(32), NOW, None))
        intake.apply(tx, "tram-0002", story.asked(950), NOW, (story.EPOCH, 0, 1))
    hear(bridge, story.asked(900))
    steps = [one for seconds in (600, 1200, 1800, 2400) for one in escalation.turn(bridge, after(seconds), LIMITS)]
    assert set(steps[:2]) == {Step(story.STATION, 900, PROVINCE), Step("tram-0002", 950, "")}
    assert steps[2:] == [Step(story.STATION, 900, "")]


class Idle:
    """A pump with nothing to do."""

    reason = ""

    def __init__(self) -> None:
        self.link = self
        self.up = False

    def turn(self, _now, _at, **_more):
        """Nothing."""
        return 0.1


def test_a_carrier_with_a_dead_line_still_looks_for_what_has_to_go_on():
    """Every five seconds, with the bridge's time, line or no line; a database that is away is tried again."""
    heard, broken = [], [True]

    def chores(at):
        if broken:
            broken.clear()
            raise OSError("away")
        heard.append(at)

    loop = Loop(Idle(), logging.getLogger("test"), chores)
    for tenth in range(200):
        loop.turn(tenth / 10, 5000 + tenth, stirred=False)
    assert 3 <= len(heard) <= 20 / CHORES_EVERY
    assert all(b - a >= CHORES_EVERY * 10 for a, b in pairwise(heard))


def test_a_thousand_waiting_requests_cost_a_turn_two_questions_and_a_turn_takes_a_hundred_steps(bridge, monkeypatch):
    """Behind an outage a carrier must not ask for each request by itself, nor move all of them before it receives the next emergency."""
    monkeypatch.setattr(escalation, "AT_A_TURN", 3)
    hear(bridge, *[story.asked(900 + number, urgency=Urgency.URGENT) for number in range(8)], story.asked(999, urgency=Urgency.EMERGENCY))
    asked = []
    event.listen(bridge, "before_cursor_execute", lambda _c, _k, statement, *_: asked.append(statement))
    assert escalation.turn(bridge, after(1), LIMITS) == []
    assert sum("consult" in statement for statement in asked) == 2
    first = escalation.turn(bridge, after(600), LIMITS)
    assert [one.consult for one in first] == [999, 900, 901]
    second = [one.consult for _ in range(3) for one in escalation.turn(bridge, after(601), LIMITS)]
    assert second == [902, 903, 904, 905, 906, 907]
