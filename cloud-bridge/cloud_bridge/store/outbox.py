"""What stations are to be told: the way down, as rows. `append` queues in the transaction of the row the event speaks about.

The rest is what the relay asks of a store (`appliance.relay.storage`).
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, func, select, tuple_, update

from appliance.contract.codec import write_event
from appliance.contract.events import Event, Unknown
from appliance.contract.lanes import Lane
from appliance.contract.receipts import digest
from appliance.relay.marks import Marks, Range, read_marks, write_holes
from appliance.relay.storage import Bad, Parcel, Queued, Stream, Waiting
from cloud_bridge.store import relay_tables as t
from cloud_bridge.store.tables import meta
from cloud_bridge.store.writing import upsert

WAITING, RECEIVED, SET_ASIDE = 0, 2, 3
NO_HOLES = b"\x80"
STORE_ID = "store_id"
"""The key in `bridge_meta` of the store's incarnation, 16 hex digits: made by `tram-bridge init`, anew by a restore."""


def store_id(tx: Connection) -> bytes:
    """The incarnation of this store: 8 bytes. LookupError before `tram-bridge init` has made it."""
    value = tx.scalar(select(meta.c.value).where(meta.c.key == STORE_ID))
    if value is None:
        raise LookupError("this database has no store id: run tram-bridge init")
    return bytes.fromhex(value)


def set_store_id(tx: Connection, incarnation: bytes) -> None:
    """Become another incarnation: what no station has vouched for is told again, and stations re-offer what we may have lost."""
    row = upsert(tx, meta).values(key=STORE_ID, value=incarnation.hex())
    tx.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": row.excluded.value}))


def append(tx: Connection, station: str, event: Event, lane: Lane | None = None) -> tuple[int, int]:
    """Queue `event` for a station in the caller's transaction; its (lane, seq) in the station's latest epoch.

    A station that has never spoken has no epoch yet: its events get new numbers when it says hello.
    """
    if lane is None:
        if isinstance(event.body, Unknown):
            raise ValueError(f"a kind of a later version ({event.kind}) has no lane of its own")
        lane = event.body.LANE
    origin = store_id(tx)
    epoch = tx.scalar(select(t.peer.c.epoch).where(t.peer.c.station == station)) or b""
    seq = number(tx, station, origin, bytes(epoch), int(lane))
    body = write_event(event)
    tx.execute(
        t.outbox.insert().values(
            station=station, origin=origin, epoch=epoch, lane=int(lane), seq=seq, kind=event.kind, body=body,
            at=event.stamp.wall, state=WAITING, crc=zlib.crc32(body),
        )
    )  # fmt: skip
    return int(lane), seq


def number(tx: Connection, station: str, origin: bytes, epoch: bytes, lane: int) -> int:
    """The next number of one lane; whoever takes one holds the lane until the transaction ends, so numbers appear in order."""
    row = upsert(tx, t.lane).values(
        station=station, origin=origin, epoch=epoch, lane=lane, next=2, frozen=0, settled=0, top=0, holes=NO_HOLES
    )
    taken = row.on_conflict_do_update(index_elements=["station", "origin", "epoch", "lane"], set_={"next": t.lane.c.next + 1})
    return int(tx.execute(taken.returning(t.lane.c.next)).scalar_one()) - 1


OTHER_CARD = 36_000
"""What a station was told longer than this before anything came from a card (an hour, in tenths of a second) was told to another one."""
OPEN, SETTLED, WITHDRAWN = 0, 1, 2
"""`relay_parcel.state`."""


class Outbox:
    """The relay's view of the way down, for the stations of some shards. `tx` is an open SQLAlchemy transaction."""

    def __init__(self, shards: Iterable[int]) -> None:
        self.shards = frozenset(shards)

    def streams(self, tx: Connection, station: str) -> list[Stream]:
        """The stream a station is spoken to in now; none before it has spoken."""
        query = select(t.peer.c.epoch, meta.c.value).join_from(t.peer, meta, meta.c.key == STORE_ID)
        row = tx.execute(query.where(t.peer.c.station == station)).first()
        return [Stream(station, bytes.fromhex(row[1]), bytes(row[0]))] if row is not None and row[0] else []

    def waiting(self, tx: Connection) -> list[Waiting]:
        """Every lane with events that are in no parcel yet, of stations that have spoken on one of our shards."""
        c = t.lane.c
        query = (
            select(c.station, c.origin, c.epoch, c.lane, c.frozen, c.next)
            .join(t.peer, t.peer.c.station == c.station)
            .where(c.frozen < c.next - 1, t.peer.c.shard.in_(self.shards), func.length(t.peer.c.epoch) > 0)
            .order_by(c.station, c.lane)
        )
        return [Waiting(Stream(row[0], bytes(row[1]), bytes(row[2])), row[3], row[4], row[5]) for row in tx.execute(query)]

    def queued(self, tx: Connection, stream: Stream, lane: int, after: int, limit: int) -> list[Queued]:
        """The next events of a lane in order."""
        c = t.outbox.c
        query = (
            select(c.seq, c.body, c.crc).where(*_in(t.outbox, stream, lane), c.seq > after, c.state == WAITING).order_by(c.seq).limit(limit)
        )
        return [Queued(row[0], bytes(row[1]), zlib.crc32(row[1]) == row[2]) for row in tx.execute(query)]

    def freeze(self, tx: Connection, stream: Stream, lane: int, first: int, count: int, payload: bytes, at: int) -> int:
        """Keep a parcel and its number; its events are now frozen."""
        values = {**_place(stream, lane), "first_seq": first, "count": count, "payload": payload, "digest": digest(payload)}
        number = tx.execute(t.parcel.insert().values(**values, state=OPEN, at=at)).inserted_primary_key
        tx.execute(update(t.lane).where(*_in(t.lane, stream, lane)).values(frozen=first + count - 1))
        assert number is not None
        return int(number[0])

    def spoilt(self, tx: Connection, stream: Stream, lane: int, row: Queued, reason: str, at: int) -> None:
        """An event that cannot be sent: in quarantine for a person, and never tried again."""
        bad = Bad(stream.station, "", row.body, reason, "own outbox", stream, lane, row.seq, row.seq)
        set_apart(tx, bad, at)
        self.settle(tx, stream, lane, [(row.seq, row.seq)], SET_ASIDE, at)
        tx.execute(update(t.lane).where(*_in(t.lane, stream, lane)).values(frozen=row.seq))

    def unsettled(self, tx: Connection, station: str) -> list[Parcel]:
        """The parcels the station has not vouched for, oldest first within each lane."""
        c = t.parcel.c
        return [_parcel(row) for row in tx.execute(_parcels().where(c.station == station, c.state == OPEN).order_by(c.lane, c.number))]

    def payload(self, tx: Connection, number: int) -> bytes:
        """The bytes of a parcel."""
        return bytes(tx.execute(select(t.parcel.c.payload).where(t.parcel.c.number == number)).scalar_one())

    def vouched(self, tx: Connection, station: str) -> dict[tuple[Stream, int], Marks]:
        """What the station has vouched for, per lane of each stream."""
        c = t.lane.c
        rows = tx.execute(select(c.origin, c.epoch, c.lane, c.top, c.holes).where(c.station == station, c.top > 0))
        return {(Stream(station, bytes(row[0]), bytes(row[1])), row[2]): read_marks(row[3], row[4]) for row in rows}

    def frozen(self, tx: Connection, stream: Stream) -> dict[int, int]:
        """Per lane the last number that is in a parcel."""
        c = t.lane.c
        rows = tx.execute(select(c.lane, c.frozen).where(c.station == stream.station, c.origin == stream.origin, c.epoch == stream.epoch))
        return {row[0]: row[1] for row in rows}

    def vouch(self, tx: Connection, stream: Stream, lane: int, marks: Marks) -> None:
        """The station now vouches for `marks`, no more and no less."""
        values = {"settled": marks.contiguous, "top": marks.highest, "holes": write_holes(marks)}
        tx.execute(update(t.lane).where(*_in(t.lane, stream, lane)).values(**values))

    def settle(self, tx: Connection, stream: Stream, lane: int, ranges: Sequence[Range], state: int, at: int) -> None:
        """Events that the station has, or has set aside, from now on."""
        c = t.outbox.c
        for first, last in ranges:
            where = (*_in(t.outbox, stream, lane), c.seq.between(first, last), c.state == WAITING)
            tx.execute(update(t.outbox).where(*where).values(state=state, received=at))

    def heal(self, tx: Connection, stream: Stream, lane: int, ranges: Sequence[Range], at: int) -> list[int]:
        """Of these events those that were set aside are received after all; their numbers."""
        c = t.outbox.c
        healed: list[int] = []
        for first, last in ranges:
            where = (*_in(t.outbox, stream, lane), c.seq.between(first, last), c.state == SET_ASIDE)
            healed += tx.scalars(update(t.outbox).where(*where).values(state=RECEIVED, received=at).returning(c.seq)).all()
        return healed

    def close(self, tx: Connection, stream: Stream, lane: int, ranges: Sequence[Range]) -> None:
        """Every parcel that lies wholly in one of `ranges` is settled."""
        c = t.parcel.c
        for first, last in ranges:
            where = (*_in(t.parcel, stream, lane), c.state == OPEN, c.first_seq >= first, c.first_seq + c.count - 1 <= last)
            tx.execute(update(t.parcel).where(*where).values(state=SETTLED))

    def unsettle(self, tx: Connection, stream: Stream, lane: int, ranges: Sequence[Range]) -> None:
        """The station has lost `ranges`: these events and their parcels are unsettled again."""
        for first, last in ranges:
            c, p = t.outbox.c, t.parcel.c
            rows = and_(*_in(t.outbox, stream, lane), c.seq.between(first, last), c.state.in_([RECEIVED, SET_ASIDE]))
            tx.execute(update(t.outbox).where(rows).values(state=WAITING, received=None))
            parcels = and_(*_in(t.parcel, stream, lane), p.state == SETTLED, p.first_seq <= last, p.first_seq + p.count - 1 >= first)
            tx.execute(update(t.parcel).where(parcels).values(state=OPEN))

    def named(self, tx: Connection, station: str, name: bytes) -> Parcel | None:
        """The unsettled parcel whose bytes have this digest."""
        c = t.parcel.c
        row = tx.execute(_parcels().where(c.station == station, c.state == OPEN, c.digest == name)).first()
        return None if row is None else _parcel(row)

    def move(self, tx: Connection, to: Stream) -> None:
        """What was said to the station in other streams and not vouched for travels in `to`: new numbers, old order, the same rows."""
        c, p, n = t.outbox.c, t.parcel.c, t.lane.c
        query = select(c.id, c.lane).where(c.station == to.station, c.state == WAITING, _elsewhere(t.outbox, to)).order_by(c.id)
        for row in tx.execute(query).all():
            seq = number(tx, to.station, to.origin, to.epoch, row.lane)
            tx.execute(update(t.outbox).where(c.id == row.id).values(origin=to.origin, epoch=to.epoch, seq=seq))
        tx.execute(update(t.parcel).where(p.station == to.station, p.state == OPEN, _elsewhere(t.parcel, to)).values(state=WITHDRAWN))
        left = (n.station == to.station, n.frozen < n.next - 1, _elsewhere(t.lane, to))
        tx.execute(update(t.lane).where(*left).values(frozen=n.next - 1))

    def tell_again(self, tx: Connection, to: Stream, lost: Mapping[tuple[Stream, int], int], known: Sequence[bytes]) -> bool:
        """What a card has lost is said to it once more, under new numbers in `to`. The rows that say that others have it stay, so two cards
        with one past that take turns hear everything once each.
        """
        c, began = t.outbox.c, self._heard_first(tx, to.station, known)
        if began is None:
            return False
        rows = tx.execute(
            select(c.id, c.origin, c.epoch, c.lane, c.seq, c.kind, c.crc, c.state, c.received).where(c.station == to.station).order_by(c.id)
        ).all()
        here: dict[tuple[int, int, int], list[int]] = {}
        gone = []
        for row in rows:
            after = lost.get((Stream(to.station, bytes(row.origin), bytes(row.epoch)), row.lane))
            if after is None or row.seq <= after or row.state == WAITING:
                here.setdefault((row.lane, row.kind, row.crc), []).append(row.id)
            elif row.received >= began - OTHER_CARD:
                gone.append(row)
        told = False
        for row in gone:
            same = here.setdefault((row.lane, row.kind, row.crc), [])
            body = _body(tx, row.id)
            if not any(_body(tx, one) == body for one in same):
                same.append(self._say_again(tx, row.id, to))
                told = True
        return told

    def _say_again(self, tx: Connection, row: int, to: Stream) -> int:
        """The same event once more in `to`; the id of its new row."""
        old = tx.execute(select(t.outbox).where(t.outbox.c.id == row)).one()
        values = {**_place(to, old.lane), "kind": old.kind, "body": old.body, "at": old.at, "state": WAITING, "crc": old.crc}
        made = tx.execute(t.outbox.insert().values(**values, seq=number(tx, *to, old.lane))).inserted_primary_key
        assert made is not None
        return int(made[0])

    def _heard_first(self, tx: Connection, station: str, epochs: Sequence[bytes]) -> int | None:
        """When the first event of any of these epochs came; None before one has."""
        c = t.event.c
        first = select(func.min(c.at)).where(c.station == station, c.epoch.in_(epochs), c.lane.in_(list(Lane)), c.seq == 1)
        found = tx.scalar(first)
        return None if found is None else int(found)


def _body(tx: Connection, row: int) -> bytes:
    return bytes(tx.execute(select(t.outbox.c.body).where(t.outbox.c.id == row)).scalar_one())


def set_apart(tx: Connection, bad: Bad, at: int) -> None:
    """A message, or an event of our own, into quarantine, byte-exact; the same bytes of the same station once."""
    place: dict[str, Any] = {}
    if bad.stream is not None and bad.first is not None and bad.last is not None:
        place = {"origin": bad.stream.origin, "lane": bad.lane, "first_seq": bad.first, "count": bad.last - bad.first + 1}
    row = upsert(tx, t.quarantine).values(
        station=bad.station, topic=bad.topic, payload=bad.payload, digest=digest(bad.payload), reason=bad.reason, detail=bad.detail,
        at=at, state=0, **place,
    )  # fmt: skip
    tx.execute(row.on_conflict_do_nothing())


def _place(stream: Stream, lane: int) -> dict[str, Any]:
    return {"station": stream.station, "origin": stream.origin, "epoch": stream.epoch, "lane": lane}


def _in(table: Any, stream: Stream, lane: int) -> tuple[Any, ...]:
    return tuple(table.c[name] == value for name, value in _place(stream, lane).items())


def _elsewhere(table: Any, stream: Stream) -> Any:
    return tuple_(table.c.origin, table.c.epoch) != tuple_(stream.origin, stream.epoch)


def _parcels() -> Any:
    c = t.parcel.c
    return select(c.number, c.station, c.origin, c.epoch, c.lane, c.first_seq, c.count, func.length(c.payload))


def _parcel(row: Any) -> Parcel:
    stream = Stream(row[1], bytes(row[2]), bytes(row[3]))
    return Parcel(row[0], stream, row[4], row[5], row[5] + row[6] - 1, row[7])
