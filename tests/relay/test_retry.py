"""When the line is tried again: rarely when nobody is waiting, soon when somebody is."""

from itertools import pairwise
from pathlib import Path

import pytest

from appliance.contract.lanes import Lane
from appliance.relay.pump import ASKED
from appliance.relay.rules import ASK_LATER, ASK_LATER_MOST, BACKOFF_FIRST, BACKOFF_MOST, BACKOFF_URGENT, LASTING, ROUTE_SECONDS
from tests.world import STATION, World


def tries(world: World, seconds: float) -> list[float]:
    """The station turns its crank as often as it asks for, while nobody answers: when it tried."""
    end, found = world.now + seconds, []
    while world.now < end:
        before = world.station.attempt
        wait = world.turn("station")
        if world.station.attempt > before:
            found.append(world.now)
        world.pass_time(max(0.05, min(wait or 0.05, 1.0)))
    return found


def longest(times: list[float]) -> float:
    """The longest pause between two tries."""
    return max(after - before for before, after in pairwise(times))


@pytest.fixture
def lonely(tmp_path: Path) -> World:
    """A station whose line has been gone for an hour, with a reading that waits."""
    world = World(tmp_path, seed=4)
    world.settle()
    world.net.reachable = False
    world.net.cut("down")
    world.record(Lane.READINGS)
    assert longest(tries(world, 3600.0)) > BACKOFF_MOST / 2
    return world


@pytest.mark.parametrize(("lane", "soon"), [(Lane.URGENT, True), (Lane.READINGS, False)])
def test_an_emergency_does_not_sit_out_the_pause_that_a_dead_line_has_earned(lonely: World, lane: Lane, soon: bool) -> None:
    """What waits in lane 0 is tried every few seconds from the moment it is said; a reading bears the pause."""
    lonely.station.retry = lonely.now + BACKOFF_MOST
    lonely.station.failed = (lonely.now, 9, 0.999)
    lonely.record(lane)
    began = lonely.now
    times = tries(lonely, 600.0)
    assert (times[0] - began <= BACKOFF_URGENT + 1.1) is soon
    assert (longest(times) <= BACKOFF_URGENT + 1.1) is soon
    lonely.close()


def test_the_line_that_returns_carries_the_emergency_within_seconds(lonely: World) -> None:
    """Nobody tells the station that the link is back: it finds out in time (decision 9)."""
    uid = lonely.record(Lane.URGENT)
    tries(lonely, 120.0)
    lonely.net.reachable = True
    tries(lonely, BACKOFF_URGENT + 1.0)
    assert lonely.station.link.up
    lonely.settle()
    assert lonely.told_bridge()[uid][0] == 1
    lonely.close()


@pytest.mark.parametrize("slow", [False, True])
def test_a_bridge_that_comes_back_asks_at_once_however_long_its_connection_takes(tmp_path: Path, slow: bool) -> None:
    """It died after the broker's PUBACK and before its receipts: the station learns within seconds what is in, not after a minute."""
    world = World(tmp_path, seed=2)
    world.settle()
    uid = world.record(Lane.READINGS)
    world.turn("station")
    world.net.carry("up")
    world.turn("bridge")
    world.net.queues["down"].clear()
    world.turn("station")
    world.cut_power("bridge")
    assert world.owed()["up"] == 1
    world.net.slow = slow
    for _ in range(12):
        world.turn("bridge")
        world.net.carry("down")
        world.turn("station")
        world.net.carry("up")
        world.pass_time(0.25)
    assert "up" not in world.owed()
    assert world.told_bridge()[uid][0] == 1
    world.close()


@pytest.mark.parametrize("how", ["all three are dropped", "the bridge's line falls"])
def test_a_bridge_put_back_asks_until_it_is_answered(tmp_path: Path, how: str) -> None:
    """A station that has nothing to say and whose line stays up believes an older copy of the bridge, until it hears the question."""
    world = World(tmp_path, seed=2)
    world.settle()
    backup = world.backup()
    uid = world.record(Lane.READINGS)
    world.settle()
    world.restore_backup(backup)
    assert world.vouched_wrongly()
    for _ in range(ASKED if how.startswith("all") else 1):
        world.turn("bridge")
        assert world.net.queues["down"]
        world.net.queues["down"].clear()
        world.turn("station")
        world.pass_time(60.0)
    if how.startswith("the"):
        world.net.cut("up")
    for _ in range(20):
        world.turn("bridge")
        world.net.carry("down")
        world.turn("station")
        world.net.carry("up")
        world.pass_time(ASK_LATER / 10)
    assert not world.vouched_wrongly()
    assert world.told_bridge()[uid][0] == 1
    assert not world.bridge.later or not world.bridge.live
    world.close()


def test_a_station_that_is_away_is_asked_ever_more_rarely(tmp_path: Path) -> None:
    """It will say hello itself: the bridge's question is for one that is there."""
    world = World(tmp_path, seed=2)
    world.settle()
    world.cut_power("bridge")
    world.net.cut("down")
    asked, day = [], world.now + 86_400.0
    while world.now < day:
        before = len(world.net.carried)
        wait = world.turn("bridge")
        asked += [world.now] * (len(world.net.carried) - before)
        world.pass_time(max(0.05, min(wait or 0.05, 3600.0)))
    assert asked[ASKED] - asked[ASKED - 1] >= ASK_LATER
    assert longest(asked) <= ASK_LATER_MOST + 60.0
    assert len(asked) <= ASKED + 12
    world.close()


def test_after_a_change_of_the_route_the_line_is_asked_at_once(tmp_path: Path) -> None:
    """It may have died with the old route: what does not answer within three seconds is given up, and the next one has two more."""
    world = World(tmp_path, seed=3)
    world.settle()
    line = world.net.ends["down"]
    before, world.station.attempt = line.prodded, 9
    world.station.route_changed()
    assert (line.prodded, world.station.attempt) == (before + 1, 0)
    assert ROUTE_SECONDS <= 3.0
    world.close()


def test_two_boxes_with_one_name_do_not_throw_each_other_out_without_pause(tmp_path: Path) -> None:
    """A broker lets the last one in and ends the other's connection: each handshake costs 4 kB, so the pauses grow as for a dead line."""
    world = World(tmp_path, seed=3)
    world.settle()
    came = 0
    end = world.now + 3600.0
    while world.now < end:
        wait = world.turn("station")
        if world.station.link.up:
            came += 1
            world.pass_time(0.2)
            world.net.cut("down")  # the other one is back
            wait = world.turn("station")
        world.pass_time(max(0.05, min(wait or 0.05, 60.0)))
    assert came <= 3600 / (BACKOFF_MOST / 4)
    world.close()


def test_a_line_that_falls_now_and_then_is_tried_again_at_once(tmp_path: Path) -> None:
    """Every two minutes, as on a bad radio link: the pause is that of a first try."""
    world = World(tmp_path, seed=3)
    world.settle()
    for _ in range(20):
        world.pass_time(LASTING * 2)
        world.turn("station")
        world.net.cut("down")
        world.turn("station")
        assert world.station.retry - world.now <= BACKOFF_FIRST
        world.pass_time(BACKOFF_FIRST)
        world.settle()
    world.close()


def test_what_a_broker_took_for_nobody_goes_again_as_soon_as_the_bridge_answers(tmp_path: Path) -> None:
    """The broker was started anew and the station was back first: it has its PUBACK, and the bridge's receipt says that nothing came."""
    world = World(tmp_path, seed=6)
    world.settle()
    world.net.wipe()
    world.turn("station")
    world.pass_time(1.1)
    world.turn("station")
    uid = world.record(Lane.READINGS)
    world.turn("station")
    assert world.station.talks[STATION].sender.flying, "it left for a broker that knows nobody else"
    world.net.queues["up"].clear()  # nobody had subscribed
    for _ in range(12):
        world.turn("bridge")
        world.net.carry("down")
        world.turn("station")
        world.net.carry("up")
        world.pass_time(0.25)
    assert "up" not in world.owed()
    assert world.told_bridge()[uid][0] == 1
    assert world.judge() == []
    world.close()
