"""What stations have said: every event once, for ever, under (station, epoch, lane, seq); what cannot be read, in quarantine.

The other half of what the relay asks of a store; `BridgeStore` is the whole of it on one engine, SQLite or PostgreSQL.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select, tuple_, update

from appliance.contract.events import Unknown
from appliance.contract.parcels import Fragment
from appliance.relay.marks import Marks, Range, read_marks, write_holes
from appliance.relay.storage import Arrived, Bad, Peer, Stream
from cloud_bridge.store import relay_tables as t
from cloud_bridge.store import safe
from cloud_bridge.store.bagbook import BagBook
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.outbox import Outbox, set_apart
from cloud_bridge.store.tables import station
from cloud_bridge.store.writing import insert_many, put, upsert

REDEEMED = 2
"""`relay_quarantine.state`: good bytes for the same numbers came later."""
_EVENT = ("station", "epoch", "lane", "seq", "kind", "body", "at", "why")
_MARKS = tuple(t.inbox.columns.keys())
LATER_KIND = "kind"
"""`relay_event.why` of a kind of a later version: kept, and read again after an update."""


class BridgeStore(Outbox, BagBook):
    """The relay's whole view of the bridge's store, for the stations of `shards`. Satisfies `appliance.relay.storage.Storage`."""

    def __init__(self, engine: Engine, shards: Iterable[int]) -> None:
        super().__init__(shards)
        self._engine = engine

    def transaction(self) -> AbstractContextManager[Connection]:
        """All or nothing; committed when left."""
        return writing(self._engine)

    def reading(self) -> AbstractContextManager[Connection]:
        """One consistent look."""
        return reading(self._engine)

    @contextmanager
    def savepoint(self, tx: Connection) -> Iterator[None]:
        """Part of a transaction that can fail alone."""
        with tx.begin_nested():
            yield

    def safe_turn(self, tx: Connection) -> int:
        """The number of the latest verified backup."""
        return safe.latest(tx)

    def safe_marks(self, tx: Connection, stream: Stream) -> dict[int, Marks]:
        """What of a station's epoch it holds."""
        return safe.marks(tx, stream)

    def keep_safe(self, tx: Connection, stream: Stream, lane: int, marks: Marks) -> None:
        """A station makes no backups, and its receipts of that level count for nothing."""

    def marks(self, tx: Connection, places: Sequence[tuple[Stream, int]]) -> dict[tuple[Stream, int], Marks]:
        """What of some lanes is in; on PostgreSQL these rows are held until the end of the transaction."""
        c = t.inbox.c
        here = tuple_(c.station, c.epoch, c.lane).in_([(stream.station, stream.origin, lane) for stream, lane in places])
        query = select(c.station, c.epoch, c.lane, c.highest, c.holes).where(here).order_by(c.station, c.epoch, c.lane).with_for_update()
        found = {(row[0], bytes(row[1]), row[2]): read_marks(row[3], row[4]) for row in tx.execute(query)}
        known = {(stream, lane): found.get((stream.station, stream.origin, lane)) for stream, lane in places}
        return {place: marks for place, marks in known.items() if marks is not None}

    def all_marks(self, tx: Connection, streams: Sequence[Stream]) -> dict[Stream, dict[int, Marks]]:
        """What of every lane of these streams is in: one question for all of them."""
        c = t.inbox.c
        found: dict[tuple[str, bytes], dict[int, Marks]] = {(stream.station, stream.origin): {} for stream in streams}
        here = tuple_(c.station, c.epoch).in_(list(found))
        for name, epoch, lane, highest, holes in tx.execute(select(c.station, c.epoch, c.lane, c.highest, c.holes).where(here)):
            found[name, bytes(epoch)][lane] = read_marks(highest, holes)
        return {stream: found[stream.station, stream.origin] for stream in streams}

    def heard_streams(self, tx: Connection, station: str) -> list[Stream]:
        """Every epoch that has been heard of a station."""
        rows = tx.execute(select(t.inbox.c.epoch).where(t.inbox.c.station == station).distinct())
        return [Stream(station, bytes(row[0])) for row in rows]

    def keep_marks(self, tx: Connection, marks: Mapping[tuple[Stream, int], Marks]) -> None:
        """Replace them."""
        rows = [
            (stream.station, stream.origin, int(lane), one.contiguous, one.highest, write_holes(one))
            for (stream, lane), one in sorted(marks.items())
        ]
        put(tx, t.inbox, _MARKS, rows, _replaced)

    def insert(self, tx: Connection, arrived: Sequence[Arrived], at: int) -> None:
        """Keep new events, each for ever under its key."""
        rows = [
            (
                one.stream.station, one.stream.origin, int(one.lane), one.seq, one.event.kind, one.body, at,
                LATER_KIND if isinstance(one.event.body, Unknown) else None,
            )
            for one in arrived
        ]  # fmt: skip
        insert_many(tx, "relay_event", _EVENT, rows)

    def bodies(self, tx: Connection, stream: Stream, lane: int, first: int, last: int) -> dict[int, bytes]:
        """The kept bytes of a range of events."""
        c = t.event.c
        where = (c.station == stream.station, c.epoch == stream.origin, c.lane == lane, c.seq.between(first, last))
        return {row[0]: bytes(row[1]) for row in tx.execute(select(c.seq, c.body).where(*where))}

    def refuse(self, tx: Connection, arrived: Arrived, reason: str) -> None:
        """Flag a kept event whose meaning was refused."""
        c, stream = t.event.c, arrived.stream
        where = (c.station == stream.station, c.epoch == stream.origin, c.lane == arrived.lane, c.seq == arrived.seq)
        tx.execute(update(t.event).where(*where).values(why=reason))

    def quarantine(self, tx: Connection, bad: Bad, at: int) -> None:
        """Keep a message byte-exact; the same bytes of the same station once."""
        set_apart(tx, bad, at)

    def set_aside(self, tx: Connection, streams: Sequence[Stream], limit: int) -> dict[Stream, dict[int, list[Range]]]:
        """Per stream and lane the latest ranges that are in quarantine, lowest first: one question for all of them."""
        c = t.quarantine.c
        found: dict[tuple[str, bytes], dict[int, list[Range]]] = {(stream.station, stream.origin): {} for stream in streams}
        named = tuple_(c.station, c.origin).in_(list(found))
        nth = func.row_number().over(partition_by=(c.station, c.origin, c.lane), order_by=c.id.desc()).label("n")
        here = select(c.station, c.origin, c.lane, c.first_seq, c.count, nth).where(named, c.state != REDEEMED, c.topic != "").subquery().c
        rows = tx.execute(select(here.station, here.origin, here.lane, here.first_seq, here["count"]).where(here.n <= limit))
        for name, origin, lane, first, count in rows:
            found[name, bytes(origin)].setdefault(lane, []).append((first, first + count - 1))
        return {stream: {lane: sorted(ranges) for lane, ranges in found[stream.station, stream.origin].items()} for stream in streams}

    def redeem(self, tx: Connection, stream: Stream, lane: int, first: int, last: int) -> None:
        """Good bytes came for a range that a quarantined message had spoken for."""
        c = t.quarantine.c
        place = (c.station == stream.station, c.origin == stream.origin, c.lane == lane)
        tx.execute(update(t.quarantine).where(*place, c.first_seq <= last, c.first_seq + c.count > first).values(state=REDEEMED))

    def add_fragment(self, tx: Connection, station: str, part: Fragment, at: int) -> int:
        """Keep one part; how many of this payload are here now."""
        row = upsert(tx, t.fragment).values(station=station, digest=part.digest, part=part.part, parts=part.parts, data=part.data, at=at)
        tx.execute(row.on_conflict_do_nothing())
        c = t.fragment.c
        return int(tx.execute(select(func.count()).where(c.station == station, c.digest == part.digest)).scalar_one())

    def fragments(self, tx: Connection, station: str, digest: bytes) -> list[Fragment]:
        """The parts of a payload that are here."""
        c = t.fragment.c
        rows = tx.execute(select(c.part, c.parts, c.data).where(c.station == station, c.digest == digest).order_by(c.part))
        return [Fragment(digest, row[0], row[1], bytes(row[2])) for row in rows]

    def drop_fragments(self, tx: Connection, station: str, digest: bytes) -> None:
        """The payload is whole and taken, or can never be."""
        tx.execute(delete(t.fragment).where(t.fragment.c.station == station, t.fragment.c.digest == digest))

    def peer(self, tx: Connection, station: str) -> Peer | None:
        """The station's latest epoch, once it has spoken."""
        row = tx.execute(select(t.peer.c.epoch, t.peer.c.counter).where(t.peer.c.station == station)).first()
        return None if row is None or not row[0] else Peer(bytes(row[0]), row[1])

    def keep_peer(self, tx: Connection, station: str, peer: Peer, shard: int, at: int) -> None:
        """The station speaks in this epoch, on this shard."""
        values = {"shard": shard, "epoch": peer.incarnation, "counter": peer.counter, "heard": at}
        row = upsert(tx, t.peer).values(station=station, said=0, **values)
        tx.execute(row.on_conflict_do_update(index_elements=["station"], set_=values))

    def reserve(self, tx: Connection, station: str, count: int) -> int:
        """Counters for `count` receipts of ours to a station."""
        row = upsert(tx, t.peer).values(station=station, shard=0, epoch=b"", counter=0, said=count, heard=0)
        taken = row.on_conflict_do_update(index_elements=["station"], set_={"said": t.peer.c.said + count})
        return int(tx.execute(taken.returning(t.peer.c.said)).scalar_one()) - count + 1

    def shard(self, tx: Connection, station: str) -> int | None:
        """Where the station was heard last."""
        return tx.scalar(select(t.peer.c.shard).where(t.peer.c.station == station))

    def everyone(self, tx: Connection) -> list[tuple[str, int]]:
        """Every station that has spoken on one of our shards or is registered there: an older copy of this store that somebody
        put back may never have heard of one that has spoken to us since.
        """
        heard = select(t.peer.c.station, t.peer.c.shard).where(t.peer.c.shard.in_(self.shards))
        here = select(station.c.id, station.c.shard).where(station.c.shard.in_(self.shards), station.c.revoked.is_(None))
        return list({row[0]: row[1] for query in (heard, here) for row in tx.execute(query)}.items())


def _replaced(fresh: Any) -> Any:
    changes = {name: fresh.excluded[name] for name in ("contiguous", "highest", "holes")}
    return fresh.on_conflict_do_update(index_elements=["station", "epoch", "lane"], set_=changes)
