"""The station's content keys: made here, one per epoch, wrapped for the bridge's pinned key and sent as an event (decision 0010).

Another one within an epoch is made only when another key of the bridge has been pinned since. All of them stay: frozen
parcels are opened with them when a patient is erased, and late words of the bridge are read with them.
"""

import os
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from appliance import __version__
from appliance.contract.events import Event, KeyPublished
from appliance.contract.readings import Stamp
from appliance.contract.sealing import KEY_BYTES, RANDOM_BYTES, Seal, direction_key, offer
from appliance.database import Connection
from appliance.relay.seals import NoKeyError, Waiting
from appliance.relay.storage import Stream
from appliance.settings import DEFAULT, Settings, SettingsError
from appliance.store.boots import epoch as latest
from appliance.store.keys import sealing_pin, station_key
from appliance.store.outbox import append

if TYPE_CHECKING:
    from appliance.contract.parcels import Header


def make_content_key(conn: Connection, station: str, now: Stamp, random: Callable[[int], bytes]) -> bool:
    """Make the key of the current epoch unless there is one for the bridge's pinned key, and queue it; True when it was made.

    In the caller's transaction. Nothing happens where no key of the bridge is pinned.
    """
    pin = sealing_pin(conn)
    if pin is None:
        return False
    _, epoch = latest(conn)
    bridge = pin[1].public_bytes_raw()
    if conn.execute("SELECT 1 FROM content_key WHERE epoch = ? AND bridge = ?", (epoch, bridge)).fetchone():
        return False
    content = random(KEY_BYTES)
    done = conn.execute("INSERT INTO content_key (epoch, key, bridge, at) VALUES (?, ?, ?, ?)", (epoch, content, bridge, now.wall))
    body = offer(station, epoch, int(done.lastrowid), content, pin, station_key(conn))
    append(conn, Event(now, "", __version__, body))
    return True


def opening_keys(conn: Connection, header: "Header") -> list[bytes]:
    """The key that opens a sealed parcel, our own or one from the bridge; none when we never had it."""
    epoch, store = (header.epoch, header.origin) if header.epoch else (header.origin, b"")
    row = conn.execute("SELECT key FROM content_key WHERE id = ? AND epoch = ?", (header.key_id, epoch)).fetchone()
    return [] if row is None else [direction_key(bytes(row[0]), header.station, epoch, store)]


def content_keys(conn: Connection) -> list[tuple[bytes, bytes]]:
    """(epoch, content key) of this station, the latest first; first those of epochs in which the bridge has answered: it has them.

    A card that was copied or put back begins an epoch; until a line has brought the bridge its key, an emergency's text message is
    sealed with one that opens there.
    """
    answered = "EXISTS (SELECT 1 FROM epoch JOIN lane ON lane.epoch = epoch.id WHERE epoch.epoch = content_key.epoch AND lane.top > 0)"
    rows = conn.execute(f"SELECT epoch, key FROM content_key ORDER BY {answered} DESC, id DESC")  # noqa: S608 - a text of this function
    return [(bytes(row[0]), bytes(row[1])) for row in rows]


def seal_again(conn: Connection, header: "Header") -> Seal | None:
    """With what a parcel of ours is sealed whose content has changed since; None for a clear one.

    No chance is needed: the salt depends on the content, and the same content gives the same bytes.
    """
    keys = opening_keys(conn, header) if header.suite else []
    return Seal(header.key_id, keys[0], bytes(RANDOM_BYTES)) if keys else None


class StationSeals:
    """The station's keys, as the relay asks for them. Satisfies `appliance.relay.seals.Seals`.

    `on` is ``wire.sealing``; what comes sealed is opened either way. `strict`: see there.
    """

    def __init__(
        self, station: str, *, now: Callable[[], Stamp], random: Callable[[int], bytes], on: bool = True, strict: bool = False
    ) -> None:
        self.station = station
        self.strict = strict
        self._on = on
        self._now = now
        self._random = random

    def prepare(self, tx: Connection) -> None:
        """The key of the current epoch is there before anything of it is frozen."""
        if self._on:
            make_content_key(tx, self.station, self._now(), self._random)

    def seal(self, tx: Connection, stream: Stream) -> Seal | None:
        """The latest key of the stream's epoch."""
        if not self._on:
            return None
        row = tx.execute("SELECT id, key FROM content_key WHERE epoch = ? ORDER BY id DESC LIMIT 1", (stream.origin,)).fetchone()
        if row is None:
            raise NoKeyError(f"epoch {stream.origin.hex()} has no content key")
        return Seal(int(row[0]), direction_key(bytes(row[1]), self.station, stream.origin), self._random(RANDOM_BYTES))

    def keys(self, tx: Connection, header: "Header") -> Sequence[bytes]:
        """Ours, if the parcel is for an epoch that we know."""
        return opening_keys(tx, header) if header.station == self.station else ()

    def learn(self, _tx: Connection, _station: str, _body: KeyPublished, _at: int) -> None:
        """The bridge has no keys to send: pins come from a person."""

    def set_aside(self, _tx: Connection, _header: "Header", _message: Waiting, _at: int) -> None:
        """A key that we do not have will never come: the parcel was for a store that has been put back. The bridge, which hears
        no receipt, says it again to the epoch that follows.
        """

    def again(self, _tx: Connection, _stations: Collection[str], _learned: Collection[str]) -> list[Waiting]:
        """Nothing is set aside here."""
        return []


def seals_of(conn: Connection, settings: Settings, now: Callable[[], Stamp], random: Callable[[int], bytes] = os.urandom) -> StationSeals:
    """The station's seals as the settings want them. SettingsError where they are on and no key of the bridge is pinned."""
    on = settings.wire.sealing == "on"
    if on and sealing_pin(conn) is None:
        expected = "the bridge's sealing key to be pinned: tram init --pin FILE, with what tram-bridge init --export wrote"
        raise SettingsError(
            "wire.sealing", "on", expected, '"on", after tram init --pin pins.json', settings.said.get("wire.sealing", DEFAULT)
        )
    return StationSeals(settings.need("station.id"), now=now, random=random, on=on, strict=settings.environment == "production")
