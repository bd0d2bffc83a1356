"""When the line is tried again: rarely when nobody is waiting, soon when somebody is."""

from itertools import pairwise
from pathlib import Path

import pytest

from appliance.contract.lanes import Lane
from appliance.relay.rules import BACKOFF_MOST, BACKOFF_URGENT
from tests.world import World


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
