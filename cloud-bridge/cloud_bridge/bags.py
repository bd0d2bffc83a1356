"""The bridge's post bags on a stick: one stick may have been to many stations.

What came is heard as from the broker (`appliance.relay.bags`), for each station in bags of its own; what goes is what that station
has not vouched for, with receipts for what it sent. Carriers and console may run meanwhile.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from appliance.contract.bag import BagHeader, BagRefused, bag_name
from appliance.contract.topics import DOWN, UP
from appliance.relay.bags import Came, Courier
from appliance.relay.seals import Seals
from appliance.stick import Found, OpenBag, Stick, named
from cloud_bridge.carrier import Apply, StationKey, bridge_end
from cloud_bridge.store import stations
from cloud_bridge.store.engine import reading
from cloud_bridge.store.inbox import BridgeStore


@dataclass(frozen=True, slots=True)
class Taken:
    """One file: whose it was, what came of it, or why it was refused."""

    file: str
    station: str
    came: Came | None
    refused: BagRefused | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """One bag that is whole on the stick."""

    file: str
    station: str
    items: int
    messages: int
    size: int


@dataclass(frozen=True)
class PostOffice:
    """The bridge's side of the post. `sign` is the receipt key, `now` gives tenths of a second since 1970."""

    engine: Engine
    sign: tuple[int, Ed25519PrivateKey]
    apply: Apply
    station_key: StationKey
    now: Callable[[], int]
    say: Callable[..., None]
    seals: Seals | None = None

    def courier(self, station: str) -> Courier:
        """The side of one registered station; BagRefused ``sender`` for another."""
        with reading(self.engine) as tx:
            known = stations.get(tx, station)
        if known is None or known.revoked is not None:
            raise BagRefused("sender", f"{station} is not registered here, or was revoked")
        store = BridgeStore(self.engine, [known.shard])
        end = bridge_end(store, self.sign, apply=self.apply, station_key=self.station_key, now=self.now, say=self.say, seals=self.seals)
        return Courier(store, end, station, known.shard)

    def take_in(self, stick: Stick) -> Iterator[Taken]:
        """Take every station's bag on the stick, one after the other; a refused one does not keep the next from being taken."""
        for one in stick.bags():
            if one.name.way == UP:
                yield self._take(stick, one)

    def _take(self, stick: Stick, one: Found) -> Taken:
        try:
            courier = self.courier(one.name.station)
            with stick.open(one.file, courier.keys(), one.name.station, UP) as bag:
                return Taken(one.file, one.name.station, self.take_bag(courier, bag))
        except BagRefused as error:
            return Taken(one.file, one.name.station, None, error)

    def take_bag(self, courier: Courier, bag: OpenBag) -> Came:
        """Take one checked bag."""
        return courier.take(bag.header, bag.digest, bag.read(), self.now())

    def take_file(self, path: Path) -> Taken:
        """Take a file that somebody named, whatever its name."""
        try:
            with named(path, lambda header: self.courier(header.station).keys(), UP) as bag:
                return Taken(str(path), bag.header.station, self.take_bag(self.courier(bag.header.station), bag))
        except BagRefused as error:
            return Taken(str(path), "", None, error)

    def stations_on(self, stick: Stick) -> list[str]:
        """The stations whose bags lie on the stick."""
        return sorted({one.name.station for one in stick.bags()})

    def put_out(self, stick: Stick, station: str) -> Packed:
        """Pack what a station has not vouched for. BagRefused for one that is not registered; StickError."""
        courier = self.courier(station)
        own = self._own(stick, courier)
        going = courier.pack(self.now(), [header for _, header in own])
        file = bag_name(station, DOWN, going.header.number)
        digest, size = stick.write(file, going.header, courier.records(going), courier.signer)
        courier.packed(going, digest, size)
        for one, header in own:
            if one != file and courier.knows(header):
                stick.remove(one)
        return Packed(file, station, going.header.items, going.header.messages, size)

    def _own(self, stick: Stick, courier: Courier) -> list[tuple[str, BagHeader]]:
        found = []
        for one in stick.bags():
            if one.name.station == courier.station and one.name.way == DOWN:
                try:
                    with stick.open(one.file, courier.own_keys(), courier.station, DOWN) as bag:
                        found.append((one.file, bag.header))
                except BagRefused:
                    continue  # cut off or changed: nobody can take it, and it stays where it is
        return found
