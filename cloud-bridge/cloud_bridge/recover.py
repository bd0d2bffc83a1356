"""A dead box's card: what it never sent is taken from its store, by the way every message takes, once only.

The files are copied and only the copy is opened. Frozen parcels are read byte for byte as they would have travelled, what was
in none yet is read row by row. A box that comes back to life, or a post bag that arrives after all, repeats harmlessly.
"""

import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from appliance.contract import escrow
from appliance.contract.bitmaps import read_bits
from appliance.contract.codec import read_event
from appliance.contract.errors import WireError
from appliance.contract.events import AttachmentChunk, Event
from appliance.contract.lanes import Lane
from appliance.contract.parcels import Header, peek, read_parcel, write_parcel
from appliance.contract.sealing import direction_key
from appliance.contract.topics import UP, topic
from appliance.database import Connection, StoreError, connect, files
from appliance.relay.line import Message
from appliance.relay.pump import End
from appliance.relay.storage import Storage
from appliance.relay.taking import Heard, Run, Taken, take

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

PLACES = (".", "tram", "data", "var/lib/tram", "lib/tram")
"""Where the store may lie below the folder that somebody names: the data partition's root, or the whole card's."""
DATABASE = "tram.db"
PAGE_SIZES = (1024, 2048, 4096, 8192)
AT_ONCE = 20
"""Events of one transaction: with parts of pictures 23 kB."""
_PARTS = 1024
"""Rows of one content in ``content_part`` (the station's `store.content.MOST_PARTS`, fixed in every store that was ever made)."""


class RecoveryError(ValueError):
    """The card cannot be used; the sentence says why."""


@dataclass(frozen=True)
class Recovered:
    """What came of a card. `new` events, `repeated` ones that were here, `refused` parcels (they are in quarantine), `damaged` rows
    whose bytes are not those that were written, `aside` events that the station itself could not send.
    """

    station: str
    new: int = 0
    repeated: int = 0
    refused: int = 0
    damaged: int = 0
    aside: int = 0


def find(card: Path) -> Path:
    """The store's file on a card: the file itself, or the folder where the card is mounted. RecoveryError."""
    if card.is_file():
        return card
    for place in PLACES:
        if (card / place / DATABASE).is_file():
            return card / place / DATABASE
    raise RecoveryError(f"no {DATABASE} at {card}, nor in {', '.join(PLACES[1:])} below it")


def key_of(database: Path, private: "X25519PrivateKey") -> tuple[escrow.Wrapped, bytes]:
    """The wrapped key beside a store, and the key in it. RecoveryError."""
    file = database.with_name(escrow.FILE)
    try:
        one = escrow.read(file.read_bytes()[: escrow.MOST_BYTES])
        return one, escrow.unwrap(one, private)
    except OSError as error:
        raise RecoveryError(
            f"{file}: {error.strerror}: the box never pinned a recovery key, so only its own key opens the store"
        ) from error
    except WireError as error:
        raise RecoveryError(f"{file}: {error.detail or error.reason}") from error


@contextmanager
def opened(database: Path, key: bytes, scratch: Path | None = None) -> Iterator[Connection]:
    """A copy of the store, opened; the card is only read. RecoveryError where no copy opens."""
    with TemporaryDirectory(prefix="tram-recover-", dir=scratch) as folder:
        copy = Path(folder) / DATABASE
        for source, target in zip(files(database)[:2], files(copy)[:2], strict=True):
            if source.exists():
                shutil.copyfile(source, target)
        conn = _connected(copy, key)
        try:
            yield conn
        finally:
            conn.close()


def _connected(copy: Path, key: bytes) -> Connection:
    found: StoreError | None = None
    for size in PAGE_SIZES:
        try:
            return connect(copy, key=key, page_size=size, create=False)
        except StoreError as error:
            found = error
    raise RecoveryError(f"the store does not open ({found}): on a machine with this key, tram store salvage a copy first")


def station_of(conn: Connection) -> str:
    """Whose store it is."""
    row = conn.execute("SELECT value FROM meta WHERE key = 'station'").fetchone()
    if row is None:
        raise RecoveryError("this store belongs to no station")
    return str(row[0])


def run(conn: Connection, storage: Storage, end: End, shard: int, at: int) -> Recovered:
    """Take what the store of a registered station has not delivered; `at` is now, tenths of a second since 1970."""
    found = _Card(conn, station_of(conn), shard)
    new = repeated = refused = 0
    for heard in found.messages():
        with storage.transaction() as tx:
            if end.keys(tx, found.station) is None:
                raise RecoveryError(f"{found.station} is not registered here, or was revoked: tram-bridge stations add")
            taken: Taken = take(storage, tx, heard, end.apply, end.mine, at, end.seals)
        new += len(taken.arrived)
        repeated += sum(taken.events.values()) - len(taken.arrived)
        refused += len(taken.bad)
    aside = conn.execute("SELECT count(*) FROM quarantine WHERE side = 'own'").fetchone()[0]
    return Recovered(found.station, new, repeated, refused, found.damaged, int(aside))


class _Card:
    """One dead store. `damaged` counts rows that are not as they were written."""

    def __init__(self, conn: Connection, station: str, shard: int) -> None:
        self.conn = conn
        self.station = station
        self.shard = shard
        self.damaged = 0

    def messages(self) -> Iterator[Sequence[Heard]]:
        """What was never vouched for, a few at a time: the frozen parcels, then the rows behind them."""
        for (number,) in self.conn.execute("SELECT number FROM parcel WHERE state = 0 ORDER BY lane, number").fetchall():
            yield from self._parcel(number)
        lanes = self.conn.execute(
            "SELECT lane.epoch, epoch.epoch, lane.lane, lane.frozen FROM lane JOIN epoch ON epoch.id = lane.epoch"
            " ORDER BY lane.epoch, lane.lane"
        ).fetchall()
        for row, epoch, lane, frozen in lanes:
            yield from self._rows(int(row), bytes(epoch), int(lane), int(frozen))

    def _parcel(self, number: int) -> Iterator[Sequence[Heard]]:
        row = self.conn.execute("SELECT payload, epoch, lane, first_seq, count FROM parcel WHERE number = ?", (number,)).fetchone()
        payload = bytes(row[0])
        try:
            header = peek(payload)
            key = self.conn.execute("SELECT key FROM content_key WHERE id = ? AND epoch = ?", (header.key_id, header.origin)).fetchone()
            keys = [] if key is None else [direction_key(bytes(key[0]), self.station, header.origin)]
            header, events = read_parcel(payload, keys)
        except WireError:  # its bytes are spoilt: what went into it still stands in rows
            epoch = self.conn.execute("SELECT epoch FROM epoch WHERE id = ?", (row[1],)).fetchone()[0]
            yield from self._rows(int(row[1]), bytes(epoch), int(row[2]), int(row[3]) - 1, int(row[3]) + int(row[4]) - 1)
        else:
            yield [self._heard(header, events, payload)]

    def _rows(self, row: int, epoch: bytes, lane: int, after: int, last: int = 1 << 62) -> Iterator[Sequence[Heard]]:
        query = "SELECT seq, body, crc FROM outbox WHERE epoch = ? AND lane = ? AND seq > ? AND seq <= ? AND state < 2 ORDER BY seq LIMIT ?"
        while rows := self.conn.execute(query, (row, lane, after, last, AT_ONCE)).fetchall():
            after = int(rows[-1][0])
            found = [(int(seq), event) for seq, body, crc in rows if (event := self._event(bytes(body), int(crc))) is not None]
            heard = []
            for run in _runs(found):
                header, events = Header(self.station, epoch, lane, run[0][0], len(run)), [one for _, one in run]
                heard.append(self._heard(header, events, write_parcel(header, events)))
            yield heard

    def _event(self, body: bytes, crc: int) -> Event | None:
        try:
            if zlib.crc32(body) == crc:
                return self._filled(read_event(body))
        except WireError:
            pass
        self.damaged += 1
        return None

    def _filled(self, event: Event) -> Event:
        """A part of a picture with its bytes, which lie apart; without them where the bridge has said that it holds the part."""
        chunk = event.body
        if not isinstance(chunk, AttachmentChunk) or chunk.data:
            return event
        row = self.conn.execute(
            "SELECT part.data, content.held FROM content JOIN content_part AS part ON part.id = content.id * ? + ?"
            " WHERE substr(content.digest, 1, ?) = ?",
            (_PARTS, chunk.part, len(chunk.name), chunk.name),
        ).fetchone()
        if row is None or chunk.part in read_bits(bytes(row[1]), chunk.parts):
            return event
        return replace(event, body=replace(chunk, data=bytes(row[0])))

    def _heard(self, header: Header, events: list[Event], payload: bytes) -> Heard:
        """As if it had come by the line."""
        return Heard(
            Message(topic(self.shard, self.station, UP, Lane(header.lane)), payload, 0), self.station, self.shard, Run(header, events)
        )


def _runs(events: Sequence[tuple[int, Event]]) -> list[list[tuple[int, Event]]]:
    """Cut where a number is missing."""
    runs: list[list[tuple[int, Event]]] = []
    for seq, event in events:
        if runs and runs[-1][-1][0] == seq - 1:
            runs[-1].append((seq, event))
        else:
            runs.append([(seq, event)])
    return runs
