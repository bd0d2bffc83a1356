"""The bytes of a day: every one of them stands somewhere, and nowhere twice."""

from typing import Any

import pytest

from appliance.bench.day import Ends, both_ends, carry
from appliance.contract.events import AnswerRead, Event
from appliance.relay.link import HEADER_BYTES, TIMESTAMP_BYTES
from appliance.simulate import day
from tests import servers


@pytest.fixture
def morning() -> list[Event]:
    """What a station saves until the first answer is read there."""
    events = sorted(day(1), key=lambda one: one.stamp.wall)
    read = next(place for place, one in enumerate(events) if isinstance(one.body, AnswerRead))
    consult = events[read].body.consult  # type: ignore[union-attr]  # an AnswerRead
    return [one for one in events[: read + 1] if getattr(one.body, "consult", consult) == consult]


def test_what_a_day_costs_is_what_the_kernel_counted(morning: list[Event]) -> None:
    """All parts together are the connection's bytes; the doctor's words are told apart; each message is counted under its kind."""
    if servers.find("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    with both_ends(morning[0].stamp.wall) as ends:
        told = carry(ends, morning, hours=12)
        spent = ends.line.traffic
        assert ends.tally.bytes == spent.up + spent.down
        _agrees(told, ends)
        said = told["messages"]
        assert said["parcels_lane_0_out"]["times"] == 2  # the request, and that its answer was read
        assert said["parcels_lane_2_out"]["times"] < len(morning) / 4  # they ride along
        assert said["receipts_in"]["times"] <= said["parcels_lane_0_out"]["times"] + said["parcels_lane_2_out"]["times"] + 2
        assert said["parcels_lane_0_in"]["times"] == 2  # opened, answered


def _agrees(told: dict[str, Any], ends: Ends) -> None:
    parts = told["parts"]
    assert {"answers", "connection", "ping", "tap", "talk"} == set(parts)
    assert told["bytes_with_answers"] - told["bytes"] == parts["answers"]["up"] + parts["answers"]["down"]
    payload = sum(kind["payload"] for name, kind in told["messages"].items() if name.endswith("_out"))
    bare = told["bare_acknowledgements"]["up"]
    assert 0 < bare < ends.line.traffic.segments_out * (HEADER_BYTES + TIMESTAMP_BYTES)
    assert payload < ends.line.traffic.bytes_out
