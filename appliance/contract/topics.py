"""MQTT topics: ``v1/<shard>/<station>/up/<lane>`` and ``…/down/<lane>``. The shard is static: two decimal digits 00-63."""

from dataclasses import dataclass

from appliance.contract.errors import WireError
from appliance.contract.ids import is_station
from appliance.contract.lanes import Lane

SHARDS = 64
UP, DOWN = "up", "down"


@dataclass(frozen=True, slots=True)
class Address:
    """A topic taken apart."""

    shard: int
    station: str
    way: str
    lane: Lane


def topic(shard: int, station: str, way: str, lane: Lane) -> str:
    """The topic of one lane.

    >>> topic(7, "tram-0001", UP, Lane.URGENT)
    'v1/07/tram-0001/up/0'
    """
    if not 0 <= shard < SHARDS or not is_station(station) or way not in (UP, DOWN):
        raise ValueError(f"no topic for shard {shard}, station {station!r}, {way!r}")
    return f"v1/{shard:02d}/{station}/{way}/{lane:d}"


def parse(text: str) -> Address:
    """The address behind a topic; WireError ``topic`` when it is none of ours."""
    parts = text.split("/")
    if len(parts) == 5 and parts[0] == "v1" and len(parts[1]) == 2 and parts[1].isdigit():
        _, shard, station, way, lane = parts
        if int(shard) < SHARDS and is_station(station) and way in (UP, DOWN) and lane in {"0", "1", "2", "3", "4", "5"}:
            return Address(int(shard), station, way, Lane(int(lane)))
    raise WireError("topic", text[:80])


def station_filter(shard: int, station: str, way: str) -> str:
    """What one station subscribes to."""
    return f"v1/{shard:02d}/{station}/{way}/+"


def shard_filter(shard: int) -> str:
    """What the carrier of one shard subscribes to: every station's way up."""
    return f"v1/{shard:02d}/+/{UP}/+"
