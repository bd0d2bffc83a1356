"""The budget of ordinary lanes: so much in one go, then a rest, then as much again."""

from appliance.contract.lanes import Lane
from appliance.relay.rules import Budget


def test_without_limits_nothing_rests() -> None:
    """0 and 0."""
    budget = Budget()
    budget.sent(Lane.READINGS, 0.0)
    assert not budget
    assert budget.wait(1e9, 1 << 40) == 0.0


def test_what_is_used_up_rests_and_begins_anew() -> None:
    """10 kB, then 900 s of rest, then 10 kB again; what requests cost counts, and a connection that breaks counts on."""
    budget = Budget(bytes=10_000, rest=900.0)
    assert budget.wait(0.0, 500) == 0.0
    budget.sent(Lane.READINGS, 0.0)
    assert budget.wait(10.0, 6_500) == 0.0
    budget.connected()
    budget.sent(Lane.READINGS, 11.0)
    assert budget.wait(12.0, 3_999) == 0.0
    assert budget.wait(13.0, 4_001) == 900.0
    assert budget.wait(500.0, 9_000) == 413.0
    assert budget.wait(913.0, 9_000) == 0.0
    budget.sent(Lane.READINGS, 913.0)
    assert budget.wait(914.0, 18_999) == 0.0
    assert budget.wait(915.0, 19_000) == 900.0


def test_time_counts_from_the_first_ordinary_message() -> None:
    """Requests begin nothing; 120 s after the first reading the rest begins."""
    budget = Budget(seconds=120.0, rest=60.0)
    budget.sent(Lane.URGENT, 0.0)
    assert budget.wait(1000.0, 0) == 0.0
    budget.sent(Lane.READINGS, 1000.0)
    for now in (1050.0, 1100.0):
        assert budget.wait(now, 0) == 0.0
        budget.sent(Lane.READINGS, now)
    assert budget.wait(1119.0, 0) == 0.0
    assert budget.wait(1120.0, 0) == 60.0
    assert budget.wait(1180.0, 0) == 0.0


def test_a_silence_as_long_as_a_rest_counts_as_one() -> None:
    """Who has not spoken for a minute begins with the whole budget."""
    budget = Budget(seconds=120.0, rest=60.0)
    budget.sent(Lane.READINGS, 0.0)
    assert budget.wait(60.0, 0) == 0.0
    budget.sent(Lane.READINGS, 100.0)
    assert budget.wait(130.0, 0) == 0.0
