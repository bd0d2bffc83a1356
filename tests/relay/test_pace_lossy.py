"""A thin link that loses packets keeps less of a picture in flight."""

from collections.abc import Callable

from appliance.contract.lanes import Lane
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
