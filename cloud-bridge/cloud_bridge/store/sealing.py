"""The content keys of stations, kept as they came: wrapped. A copy of the database opens nothing without the key folder.

A sealed parcel whose key has not come (or whose wrapping key is missing from the folder) is set aside, byte-exact, and read
when the key is there. Nothing vouches for it meanwhile, so the station keeps it and sends it again (decision 0010).
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Connection, delete, func, select

from appliance.contract.errors import WireError
from appliance.contract.events import KeyPublished
from appliance.contract.parcels import Header, peek
from appliance.contract.receipts import digest
from appliance.contract.sealing import PURPOSE, RANDOM_BYTES, Offer, Seal, direction_key, read_offer, unwrap
from appliance.relay.seals import NoKeyError, Waiting
from appliance.relay.storage import Stream
from appliance.settings import Settings
from cloud_bridge.store import keys
from cloud_bridge.store import relay_tables as t
from cloud_bridge.store.writing import upsert

ASIDE = 256
"""Messages of one station that are set aside at most: more come again, because nothing vouched for them."""
MOST = 1 << 63

StationKey = Callable[[Connection, str], tuple[int, bytes] | None]


class BridgeSeals:
    """The bridge's side of sealing. Satisfies `appliance.relay.seals.Seals`.

    `privates`: our keys by id, old ones too. `station_key`: (key id, public) of a registered station. `on` is
    ``wire.sealing``; what comes sealed is opened either way. A station that has never sent a key is spoken to in clear, unless
    `strict`.
    """

    def __init__(
        self,
        privates: Mapping[int, X25519PrivateKey],
        station_key: StationKey,
        *,
        random: Callable[[int], bytes],
        on: bool = True,
        strict: bool = False,
    ) -> None:
        self.strict = strict
        self._privates = privates
        self._station_key = station_key
        self._random = random
        self._on = on
        self._opened: dict[tuple[str, bytes, int], list[bytes]] = {}
        self._waiting: set[str] | None = None

    def prepare(self, _tx: Connection) -> None:
        """Nothing: our incarnation is part of every key on the way down."""

    def seal(self, tx: Connection, stream: Stream) -> Seal | None:
        """The latest key of the epoch that is spoken to."""
        if not self._on:
            return None
        c = t.content_key.c
        query = select(c.key_id).where(c.station == stream.station, c.epoch == stream.epoch).order_by(c.key_id.desc())
        for key_id in tx.scalars(query):
            contents = self._contents(tx, stream.station, stream.epoch, key_id)
            if contents:
                key = direction_key(contents[-1], stream.station, stream.epoch, stream.origin)
                return Seal(int(key_id), key, self._random(RANDOM_BYTES))
        if self.strict or tx.scalar(select(c.station).where(c.station == stream.station).limit(1)) is not None:
            raise NoKeyError(f"{stream.station} has sent no key of epoch {stream.epoch.hex()}")
        return None

    def keys(self, tx: Connection, header: Header) -> Sequence[bytes]:
        """Those of a station's epoch with this id: one, or one of each copy of a box that was copied."""
        contents = self._contents(tx, header.station, header.origin, header.key_id)
        return [direction_key(one, header.station, header.origin) for one in contents]

    def learn(self, tx: Connection, station: str, body: KeyPublished, at: int) -> None:
        """Keep a station's content key, wrapped as it is. WireError when the station's registered key has not signed it."""
        if body.purpose != PURPOSE:
            return
        known = self._station_key(tx, station)
        if known is None:
            raise WireError("signature", f"{station} is not registered here")
        one = read_offer(body, station, Ed25519PublicKey.from_public_bytes(known[1]))
        if not (0 <= one.key_id < MOST and 0 <= one.bridge_key < MOST):
            raise WireError("range", f"content key {one.key_id}")
        row = upsert(tx, t.content_key).values(
            station=station, epoch=one.epoch, key_id=one.key_id, digest=digest(one.wrapped), bridge_key=one.bridge_key,
            wrapped=one.wrapped, at=at,
        )  # fmt: skip
        tx.execute(row.on_conflict_do_nothing())
        self._opened.pop((station, one.epoch, one.key_id), None)

    def set_aside(self, tx: Connection, header: Header, message: Waiting, at: int) -> None:
        """Keep a message until its key comes, if its station has not too many here."""
        c = t.sealed.c
        if tx.scalar(select(func.count()).where(c.station == header.station)) >= ASIDE:  # type: ignore[operator]  # a count is a number
            return
        row = upsert(tx, t.sealed).values(
            station=header.station, digest=digest(message.payload), topic=message.topic, payload=message.payload, at=at
        )
        tx.execute(row.on_conflict_do_nothing())
        self._aside(tx).add(header.station)

    def again(self, tx: Connection, stations: Collection[str], learned: Collection[str]) -> list[Waiting]:
        """What can be opened now of what was set aside; it is forgotten here."""
        c = t.sealed.c
        found: list[Waiting] = []
        for station in sorted((self._aside(tx) & set(stations)) | set(learned)):
            rows = tx.execute(select(c.digest, c.topic, c.payload).where(c.station == station).order_by(c.at)).all()
            ready = [row for row in rows if self.keys(tx, peek(row.payload))]
            if ready:
                tx.execute(delete(t.sealed).where(c.station == station, c.digest.in_([row.digest for row in ready])))
                found += [Waiting(row.topic, bytes(row.payload)) for row in ready]
            if len(ready) == len(rows):
                self._aside(tx).discard(station)
        return found

    def everything(self, tx: Connection, station: str) -> list[tuple[bytes, bytes]]:
        """(epoch, content key) of a station, the latest first."""
        c = t.content_key.c
        rows = tx.execute(select(c.epoch, c.key_id).where(c.station == station).order_by(c.at.desc(), c.key_id.desc())).all()
        return [(bytes(row.epoch), one) for row in rows for one in self._contents(tx, station, bytes(row.epoch), row.key_id)]

    def _aside(self, tx: Connection) -> set[str]:
        """The stations with messages that were set aside."""
        if self._waiting is None:
            self._waiting = set(tx.scalars(select(t.sealed.c.station).distinct()))
        return self._waiting

    def _contents(self, tx: Connection, station: str, epoch: bytes, key_id: int) -> list[bytes]:
        """The content keys under an id, oldest first; empty when none has come, or none is wrapped for a key that is here."""
        place = (station, epoch, key_id)
        if place not in self._opened:
            c = t.content_key.c
            query = select(c.bridge_key, c.wrapped).where(c.station == station, c.epoch == epoch, c.key_id == key_id).order_by(c.at)
            found = [self._unwrap(Offer(epoch, key_id, row[0], bytes(row[1])), station) for row in tx.execute(query)]
            contents = [one for one in found if one is not None]
            if not contents:
                return []
            self._opened[place] = contents
        return self._opened[place]

    def _unwrap(self, one: Offer, station: str) -> bytes | None:
        private = self._privates.get(one.bridge_key)
        try:
            return None if private is None else unwrap(one, station, private)
        except WireError:
            return None  # wrapped for a key that had this id before: the station is given the new one by a person


def known(tx: Connection) -> list[tuple[str, bytes, int, int, int]]:
    """(station, epoch, key id, our key it is wrapped for, when it came) of every content key, for people."""
    c = t.content_key.c
    rows = tx.execute(select(c.station, c.epoch, c.key_id, c.bridge_key, c.at).order_by(c.station, c.at))
    return [(row[0], bytes(row[1]), row[2], row[3], row[4]) for row in rows]


def seals_of(settings: Settings, station_key: StationKey, random: Callable[[int], bytes]) -> BridgeSeals:
    """The bridge's seals as the settings want them. KeyFileError where they are on and there is no key."""
    folder, on = settings.bridge.key_dir, settings.wire.sealing == "on"
    privates = keys.openers(folder)
    if on and not privates:
        raise keys.KeyFileError(folder / f"{keys.SEAL}-0.key", "a key; tram-bridge init makes it")
    return BridgeSeals(privates, station_key, random=random, on=on, strict=settings.environment == "production")
