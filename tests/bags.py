"""Post bags between the two ends of a `World`: what a motorbike carries, without any stick."""

import hashlib
from dataclasses import dataclass

from appliance.contract.bag import BagHeader, Record, write_head, write_record
from appliance.relay.bags import Came, Courier
from tests.world import SHARD, STATION, World


@dataclass(frozen=True)
class Bag:
    """A bag in memory."""

    header: BagHeader
    records: list[Record]

    @property
    def digest(self) -> bytes:
        """As that of the file."""
        return hashlib.sha256(write_head(self.header) + b"".join(write_record(one) for one in self.records)).digest()


def courier(world: World, side: str) -> Courier:
    """A process of its own at one end, as after a restart: it knows what the store says."""
    pump = world.station if side == "station" else world.bridge
    return Courier(pump.storage, pump.end, STATION, SHARD)


def pack(world: World, side: str, own: tuple[BagHeader, ...] = ()) -> Bag:
    """One end packs what nobody has vouched for."""
    one = courier(world, side)
    going = one.pack(world.at, own)
    records = list(one.records(going))
    bag = Bag(going.header, records)
    one.packed(going, bag.digest, sum(len(record.payload) for record in records))
    return bag


def take(world: World, side: str, bag: Bag, at_once: int = 2) -> Came:
    """One end takes a bag in sheaves of `at_once` messages."""
    sheaves = [bag.records[at : at + at_once] for at in range(0, len(bag.records), at_once)]
    return courier(world, side).take(bag.header, bag.digest, sheaves, world.at)


def ride(world: World) -> None:
    """A whole round: out with what the station has, back with what the bridge has."""
    take(world, "bridge", pack(world, "station"))
    take(world, "station", pack(world, "bridge"))
