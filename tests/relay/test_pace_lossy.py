"""A thin link that loses packets keeps less of a picture in flight."""

from collections.abc import Callable
from random import Random

import pytest

from appliance.contract.lanes import CHUNK_BYTES, Lane
from appliance.relay.rules import LOSSY_SECONDS, LOSSY_WINDOW, WINDOW, Pace
from tests.relay.test_turns import part
from tests.world import World


def test_pictures_keep_to_two_messages_while_tcp_repeats_itself() -> None:
    """Three on a clean link, two for a minute after each repeat, three again; what is not a picture keeps the whole window."""
    pace = Pace()
    pace.watch(0, 0.0)
    assert pace.bulk(0.0) == WINDOW
    pace.watch(1, 10.0)
    assert pace.bulk(10.0) == LOSSY_WINDOW
    pace.sent(1, 1200, 10.0)
    assert (pace.bulk(10.0), pace.room) == (LOSSY_WINDOW - 1, WINDOW - 1)
    pace.sent(2, 1200, 10.0)
    assert (pace.bulk(10.0), pace.room) == (0, 1)
    pace.watch(1, 10.0 + LOSSY_SECONDS)
    assert pace.bulk(10.0 + LOSSY_SECONDS) == pace.room


def test_a_new_connection_has_lost_nothing_yet() -> None:
    """Its count begins at nought, and the next repeat is noticed."""
    pace = Pace()
    pace.watch(5, 0.0)
    pace.lost()
    pace.watch(0, 100.0)
    assert pace.bulk(100.0) == WINDOW
    pace.watch(1, 101.0)
    assert pace.bulk(101.0) == LOSSY_WINDOW


def test_the_place_that_a_picture_leaves_free_is_a_requests(worlds: Callable[..., World]) -> None:
    """On a lossy line two chunks leave and no third; a request leaves at once behind them, and nothing is asked for in vain."""
    world = worlds()
    world.settle()
    world.net.ends["down"].repeats = 1
    for _ in range(6):
        world.record(Lane.ATTACHMENTS, text=part())
    held: list[str] = []
    world.net.acknowledge = lambda *_args: None  # type: ignore[method-assign]  # PUBACKs stay away
    for lane in (None, Lane.URGENT):
        if lane is not None:
            world.record(lane)
        before = len(world.net.carried)
        wait = world.turn("station")
        held += [topic[-1] for topic, _ in world.net.carried[before:]]
        assert wait is not None
        assert wait > 0.5, "it would turn for ever"
    assert held == ["4", "4", "0"]


def held_together(pace: Pace, *, rate: float, trip: float, seconds: float, seed: int) -> int:
    """A link on which one packet in twenty of those that come back is lost: TCP holds what is behind it for a round trip and a
    half, and hands it all over at once. Small messages leave among the large ones. The largest window seen.
    """
    chance = Random(seed)
    now, free, heard, token, most = 0.0, 0.0, 0.0, 0, 0
    acks: list[tuple[float, int]] = []
    while now < seconds:
        while pace.room:
            token += 1
            size = chance.choice([100, CHUNK_BYTES])
            pace.sent(token, size, now)
            free = max(free, now) + size / rate
            heard = max(heard, free + trip + (1.5 * trip if chance.random() < 0.05 else 0.0))
            acks.append((heard, token))
        now = acks[0][0]
        while acks and acks[0][0] <= now:
            pace.acked(acks.pop(0)[1], now)
        most = max(most, pace.window)
    return most


@pytest.mark.parametrize("seed", range(8))
def test_pubacks_that_were_held_up_together_are_not_taken_for_a_fast_link(seed: int) -> None:
    """A window that grew by them once put 17 kB in front of a request on 20 kbit/s: seven seconds."""
    assert held_together(Pace(), rate=2500, trip=0.6, seconds=300, seed=seed) <= WINDOW + 1
