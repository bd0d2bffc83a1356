"""The relay's numbers: waits, windows, turns."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.lanes import CHUNK_BYTES
from appliance.relay.rules import (
    GATHER,
    RESEND,
    RESEND_MOST,
    WINDOW,
    WINDOW_MOST,
    Pace,
    Rate,
    Turns,
    backoff,
    hello_again,
    ready,
    receipt_wait,
    resend_after,
)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_has_full_jitter_and_a_ceiling(attempt: int, draw: float) -> None:
    """Anywhere between nothing and the doubled wait, from a second to two minutes; with an emergency waiting never above five seconds."""
    assert 0 <= backoff(attempt, draw) <= min(120.0, 2.0 ** min(attempt, 10))
    assert backoff(attempt, 0.0) == 0.0
    assert backoff(attempt, draw, urgent=True) <= 5.0


def test_boxes_that_lost_their_link_together_do_not_come_back_together() -> None:
    """1,300 boxes in their sixth try are spread over the whole half minute."""
    waits = sorted(backoff(5, place / 1300) for place in range(1300))
    assert max(after - before for before, after in pairwise(waits)) < 0.1
    assert waits[-1] > 30


def test_urgent_lanes_never_wait() -> None:
    """Lanes 0 and 1 leave at once, metered or not."""
    assert {ready(lane, 1, 0.0, metered, 0.0, 99.0) for lane in (0, 1) for metered in (True, False)} == {0.0}


def test_a_metered_link_waits_for_thirty_rows_or_a_minute() -> None:
    """What comes first."""
    assert ready(2, 29, 10.0, True, 1000.0, 0.0) == 50.0
    assert ready(2, 30, 0.0, True, 0.0, 0.0) == 0.0
    assert ready(2, 1, 60.0, True, 0.0, 0.0) == 0.0


def test_parts_of_pictures_do_not_gather() -> None:
    """Each fills a message: waiting for more would only be waiting."""
    assert {ready(4, 1, 0.0, metered, 0.0, 99.0) for metered in (True, False)} == {0.0}


def left(per_second: float, seconds: float = 30.0) -> tuple[float, float]:
    """A stream of rows, each sent at once: the rate at its end, and the time."""
    rate, now = Rate(), 0.0
    while now < seconds:
        now += 1 / per_second
        rate.left(1, now)
    return rate.now(now), now


def test_an_unmetered_link_sends_a_reading_at_once_and_gathers_a_stream() -> None:
    """Two readings a second go one by one; ten a second gather for a second."""
    assert ready(2, 1, 0.0, False, 0.1, left(2.0)[0]) == 0.0
    assert ready(2, 1, 0.0, False, 0.1, left(10.0)[0]) == GATHER - 0.1
    assert ready(2, 1, 0.0, False, 5.0, left(10.0)[0]) == 0.0


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """And fades when nothing leaves."""
    for per_second in (0.5, 2.0, 10.0):
        assert 0.7 * per_second <= left(per_second)[0] <= 1.5 * per_second
    rate = Rate()
    rate.left(100, 0.0)
    assert rate.now(30.0) < 0.01


def test_receipts_of_lane_0_go_at_once_others_every_two_seconds_or_thirty_events() -> None:
    """Decision 8."""
    assert receipt_wait(0, 1, 0.0) == 0.0
    assert receipt_wait(2, 1, 0.5) == 1.5
    assert receipt_wait(2, 30, 0.0) == 0.0
    assert receipt_wait(2, 1, 100.0) == 0.0


def test_an_unreceipted_parcel_is_sent_again_after_a_minute_and_then_ever_less_often() -> None:
    """60 s, doubling to 16 min while nothing at all is heard."""
    assert [resend_after(silent) for silent in range(6)] == [RESEND, 120, 240, 480, RESEND_MOST, RESEND_MOST]
    assert hello_again(1, False) == 2.0
    assert hello_again(50, False) == 60.0
    assert hello_again(50, True) == 300.0


def send(turns: Turns, waiting: dict[int, int], size: int = 1000) -> dict[int, int]:
    """Send everything; the bytes of each lane while all of them had something."""
    sent = dict.fromkeys(waiting, 0)
    first = min(waiting.values())
    while sum(sent.values()) < first:
        lanes = [lane for lane, left in waiting.items() if left > sent[lane]]
        lane = turns.choose(lanes)
        turns.sent(lane, size, lanes)
        sent[lane] += size
    return sent


def test_the_most_urgent_lane_goes_first() -> None:
    """A request passes everything that waits."""
    assert Turns().choose([5, 3, 0, 2]) == 0


def test_less_urgent_lanes_keep_a_floor_of_five_per_cent() -> None:
    """A flood of requests does not starve readings; readings do not starve pictures, nor those the log."""
    share = send(Turns(), {0: 10_000_000, 2: 10_000_000})
    assert 0.045 <= share[2] / sum(share.values()) <= 0.055
    share = send(Turns(), {2: 10_000_000, 4: 10_000_000})
    assert 0.045 <= share[4] / sum(share.values()) <= 0.055
    share = send(Turns(), {0: 40_000_000, 2: 40_000_000, 4: 40_000_000, 5: 40_000_000})
    assert share[0] > 0.94 * sum(share.values())
    assert share[2] > share[4] > share[5] > 0


@given(st.lists(st.tuples(st.sets(st.integers(0, 5), min_size=1), st.integers(1, CHUNK_BYTES)), max_size=50))
def test_a_turn_is_always_somebodys_who_waits(rounds: list[tuple[set[int], int]]) -> None:
    """Whatever lanes come and go."""
    turns = Turns()
    for lanes, size in rounds:
        lane = turns.choose(lanes)
        assert lane in lanes
        turns.sent(lane, size, lanes)


def link(pace: Pace, *, rate: float, trip: float, seconds: float) -> int:
    """A link of `rate` bytes a second and `trip` seconds there and back, always given as much as the window lets; the last window."""
    now, free, token = 0.0, 0.0, 0
    acks: list[tuple[float, int]] = []
    while now < seconds:
        while pace.room:
            token += 1
            pace.sent(token, CHUNK_BYTES, now)
            free = max(free, now) + CHUNK_BYTES / rate
            acks.append((free + trip, token))
        now, done = acks.pop(0)
        pace.acked(done, now)
    return pace.window


def test_on_a_thin_link_three_messages_are_under_way() -> None:
    """20 kbit/s and 600 ms: more would only queue (measured, dataplane)."""
    assert link(Pace(), rate=2500, trip=0.6, seconds=120) <= WINDOW + 1


def test_on_a_fast_link_the_window_grows_with_the_pipe() -> None:
    """1 Mbit/s and 200 ms hold 25 kB: 2-2.5 times that is under way; a link without an end is not flooded."""
    assert 38 <= link(Pace(), rate=125_000, trip=0.2, seconds=60) <= 56
    assert link(Pace(), rate=1e9, trip=0.05, seconds=5) == WINDOW_MOST


def test_a_new_connection_starts_with_the_smallest_window() -> None:
    """It may be another link."""
    pace = Pace()
    link(pace, rate=125_000, trip=0.2, seconds=20)
    pace.lost()
    assert (pace.window, pace.room) == (WINDOW, WINDOW)


def test_an_ack_of_somebody_elses_message_is_nothing() -> None:
    """Receipts and hellos are not paced."""
    assert not Pace().acked(7, 1.0)
