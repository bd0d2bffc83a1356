"""A thin link that loses packets hands over PUBACKs in heaps."""

from random import Random

import pytest

from appliance.contract.lanes import CHUNK_BYTES
from appliance.relay.rules import WINDOW, Pace


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
