"""What the bridge has said to the station: kept once, receipted, or set aside. The other half of what the relay asks of a store.

Tables inbox, inbox_event, fragment, quarantine, peer. A stream of the way down is named by the bridge's store id and the
epoch of ours that it is addressed to, sixteen bytes together: what was said to an older epoch never counts for this one.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from appliance.contract.events import Unknown
from appliance.contract.ids import STORE_BYTES
from appliance.contract.parcels import Fragment
from appliance.database import Connection, transaction
from appliance.relay.marks import Marks, Range, read_marks, write_holes
from appliance.relay.storage import Arrived, Bad, Peer, Stream
from appliance.store.bagbook import BagBook
from appliance.store.outbox import Outbox
from appliance.store.returning import return_answers

SIDE = "down"
"""`quarantine.side` of messages from the broker."""
WAITING, REDEEMED = 0, 2
"""`quarantine.state`: nobody has looked at it; good bytes for the same numbers came later."""
LATER_KIND = "kind"
"""`inbox_event.why` of a kind of a later version: kept, and read again after an update."""
_COUNTER = "receipt_counter"


class StationStore(Outbox, BagBook):
    """The relay's whole view of the station's store on one connection. Satisfies `appliance.relay.storage.Storage`."""

    def __init__(self, conn: Connection, station: str, shard: int) -> None:
        super().__init__(station)
        self._conn = conn
        self._shard = shard

    def forget_streams(self) -> None:
        """Another process may have begun an epoch: which there are is asked anew."""
        self._streams = []

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All or nothing, on the card when left."""
        with transaction(self._conn) as tx:
            yield tx

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A look without a lock."""
        yield self._conn

    @contextmanager
    def savepoint(self, tx: Connection) -> Iterator[None]:
        """Part of a transaction that can fail alone."""
        tx.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            tx.execute("ROLLBACK TO part")
            tx.execute("RELEASE part")
            raise
        tx.execute("RELEASE part")

    # --- what came ----------------------------------------------------------------------------------------------------

    def marks(self, tx: Connection, places: Sequence[tuple[Stream, int]]) -> dict[tuple[Stream, int], Marks]:
        """What of some lanes is in."""
        found = {}
        for stream, lane in places:
            row = tx.execute("SELECT highest, holes FROM inbox WHERE origin = ? AND lane = ?", (_name(stream), lane)).fetchone()
            if row is not None:
                found[stream, lane] = read_marks(row[0], row[1])
        return found

    def all_marks(self, tx: Connection, streams: Sequence[Stream]) -> dict[Stream, dict[int, Marks]]:
        """What of every lane of these streams is in."""
        return {stream: self._marks_of(tx, stream) for stream in streams}

    def _marks_of(self, tx: Connection, stream: Stream) -> dict[int, Marks]:
        rows = tx.execute("SELECT lane, highest, holes FROM inbox WHERE origin = ?", (_name(stream),)).fetchall()
        return {row[0]: read_marks(row[1], row[2]) for row in rows}

    def heard_streams(self, tx: Connection, station: str) -> list[Stream]:
        """Every stream that has been heard."""
        names = [bytes(row[0]) for row in tx.execute("SELECT DISTINCT origin FROM inbox").fetchall()]
        return [Stream(station, name[:STORE_BYTES], name[STORE_BYTES:]) for name in names]

    def keep_marks(self, tx: Connection, marks: Mapping[tuple[Stream, int], Marks]) -> None:
        """Replace them."""
        tx.executemany(
            "INSERT INTO inbox (origin, lane, contiguous, highest, holes) VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin, lane)"
            " DO UPDATE SET contiguous = excluded.contiguous, highest = excluded.highest, holes = excluded.holes",
            [(_name(stream), lane, one.contiguous, one.highest, write_holes(one)) for (stream, lane), one in marks.items()],
        )

    def insert(self, tx: Connection, arrived: Sequence[Arrived], at: int) -> None:
        """Keep new events, each for ever under its number."""
        tx.executemany(
            "INSERT INTO inbox_event (origin, lane, seq, kind, body, at, why) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    _name(one.stream),
                    one.lane,
                    one.seq,
                    one.event.kind,
                    one.body,
                    at,
                    LATER_KIND if isinstance(one.event.body, Unknown) else None,
                )
                for one in arrived
            ],
        )

    def bodies(self, tx: Connection, stream: Stream, lane: int, first: int, last: int) -> dict[int, bytes]:
        """The kept bytes of a range of events."""
        rows = tx.execute(
            "SELECT seq, body FROM inbox_event WHERE origin = ? AND lane = ? AND seq BETWEEN ? AND ?", (_name(stream), lane, first, last)
        ).fetchall()
        return {row[0]: bytes(row[1]) for row in rows}

    def refuse(self, tx: Connection, arrived: Arrived, reason: str) -> None:
        """Flag a kept event whose meaning was refused."""
        tx.execute(
            "UPDATE inbox_event SET why = ? WHERE origin = ? AND lane = ? AND seq = ?",
            (reason, _name(arrived.stream), arrived.lane, arrived.seq),
        )

    def quarantine(self, tx: Connection, bad: Bad, at: int) -> None:
        """Keep a message byte-exact, once."""
        if tx.execute("SELECT 1 FROM quarantine WHERE side = ? AND payload = ?", (SIDE, bad.payload)).fetchone():
            return
        origin = None if bad.stream is None else _name(bad.stream)
        count = None if bad.first is None or bad.last is None else bad.last - bad.first + 1
        tx.execute(
            "INSERT INTO quarantine (side, topic, payload, reason, detail, origin, lane, first_seq, count, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (SIDE, bad.topic, bad.payload, bad.reason, bad.detail, origin, bad.lane, bad.first, count, at),
        )

    def set_aside(self, tx: Connection, streams: Sequence[Stream], limit: int) -> dict[Stream, dict[int, list[Range]]]:
        """Per stream and lane the latest ranges that are in quarantine, lowest first."""
        return {stream: self._aside_of(tx, stream, limit) for stream in streams}

    def _aside_of(self, tx: Connection, stream: Stream, limit: int) -> dict[int, list[Range]]:
        rows = tx.execute(
            "SELECT lane, first_seq, count FROM (SELECT lane, first_seq, count, row_number() OVER (PARTITION BY lane ORDER BY id DESC) AS n"
            " FROM quarantine WHERE side = ? AND origin = ? AND state <> ?) WHERE n <= ?",
            (SIDE, _name(stream), REDEEMED, limit),
        ).fetchall()
        found: dict[int, list[Range]] = {}
        for row in rows:
            found.setdefault(row[0], []).append((row[1], row[1] + row[2] - 1))
        return {lane: sorted(ranges) for lane, ranges in found.items()}

    def redeem(self, tx: Connection, stream: Stream, lane: int, first: int, last: int) -> None:
        """Good bytes came for a range that a quarantined message had spoken for."""
        tx.execute(
            "UPDATE quarantine SET state = ? WHERE side = ? AND origin = ? AND lane = ? AND first_seq <= ? AND first_seq + count > ?",
            (REDEEMED, SIDE, _name(stream), lane, last, first),
        )

    def add_fragment(self, tx: Connection, station: str, part: Fragment, at: int) -> int:
        """Keep one part; how many of this payload are here now."""
        del station
        tx.execute(
            "INSERT OR IGNORE INTO fragment (digest, part, parts, data, at) VALUES (?, ?, ?, ?, ?)",
            (part.digest, part.part, part.parts, part.data, at),
        )
        return int(tx.execute("SELECT count(*) FROM fragment WHERE digest = ?", (part.digest,)).fetchone()[0])

    def fragments(self, tx: Connection, station: str, digest: bytes) -> list[Fragment]:
        """The parts of a payload that are here."""
        del station
        rows = tx.execute("SELECT part, parts, data FROM fragment WHERE digest = ? ORDER BY part", (digest,)).fetchall()
        return [Fragment(digest, row[0], row[1], bytes(row[2])) for row in rows]

    def drop_fragments(self, tx: Connection, station: str, digest: bytes) -> None:
        """The payload is whole and taken, or can never be."""
        del station
        tx.execute("DELETE FROM fragment WHERE digest = ?", (digest,))

    # --- the bridge itself --------------------------------------------------------------------------------------------

    def peer(self, tx: Connection, station: str) -> Peer | None:
        """The store whose receipts count."""
        row = tx.execute("SELECT store, counter FROM peer WHERE current = 1").fetchone()
        return None if row is None or station != self.station else Peer(bytes(row[0]), row[1])

    def keep_peer(self, tx: Connection, station: str, peer: Peer, shard: int, at: int) -> None:
        """The receipts of this store count from now on."""
        del station, shard
        if tx.execute("UPDATE peer SET current = 0 WHERE current = 1 AND store <> ?", (peer.incarnation,)).rowcount:
            tx.execute("UPDATE lane SET safe = 0, safe_holes = x'80' WHERE safe > 0")  # another store has other backups
            tx.execute("UPDATE content SET held = x'' WHERE held <> x''")  # … and other parts of pictures
            return_answers(tx, at)
        tx.execute(
            "INSERT INTO peer (store, counter, heard, current) VALUES (?, ?, ?, 1) ON CONFLICT (store) DO UPDATE SET"
            " counter = max(counter, excluded.counter), heard = excluded.heard, current = 1",
            (peer.incarnation, peer.counter, at),
        )

    def reserve(self, tx: Connection, station: str, count: int) -> int:
        """Counters for `count` receipts of ours; one row for all stores keeps them growing for each."""
        del station
        (row,) = tx.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = value + excluded.value RETURNING value",
            (_COUNTER, count),
        ).fetchall()
        return int(row[0]) - count + 1

    def shard(self, tx: Connection, station: str) -> int | None:
        """Ours, by the settings."""
        del tx
        return self._shard if station == self.station else None

    def everyone(self, tx: Connection) -> list[tuple[str, int]]:
        """Only us."""
        del tx
        return [(self.station, self._shard)]


def _name(stream: Stream) -> bytes:
    return stream.origin + stream.epoch
