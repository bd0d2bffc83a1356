"""What the station has to say, in the order it was said: the way up, as rows. Nothing is deleted here.

`append` is how every other module of the store speaks: in the same transaction as the row that it speaks about. The rest
is what the relay asks of a store (`appliance.relay.storage`), on the tables epoch, lane, outbox and parcel.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from appliance.contract.codec import read_event, write_event
from appliance.contract.errors import WireError
from appliance.contract.events import AnswerRead, AttachmentChunk, Event, Unknown, Urgency
from appliance.contract.lanes import Lane
from appliance.contract.receipts import digest
from appliance.database import Connection
from appliance.relay.marks import Marks, Range, read_marks, write_holes
from appliance.relay.storage import Parcel, Queued, Stream, Waiting
from appliance.store import content

WAITING, RECEIVED, SET_ASIDE = 0, 2, 3
"""`outbox.state`: the bridge has not said that it has the event; it has it; it could not read it and keeps its bytes in quarantine."""


class Place(NamedTuple):
    """Where an event was queued: its lane and number on the wire, and the ids of its epoch's and its own row."""

    lane: int
    seq: int
    epoch: int
    row: int


def append(conn: Connection, event: Event, lane: Lane | None = None) -> tuple[int, int]:
    """Queue `event` for the bridge in the caller's transaction; its (lane, seq) in the station's latest epoch.

    The lane is that of the event's kind unless `lane` says otherwise (readings of an open consult), and never changes.
    """
    place = queue(conn, event, lane)
    return place.lane, place.seq


def queue(conn: Connection, event: Event, lane: Lane | None = None) -> Place:
    """As `append`, for who keeps the ids of the rows beside what the event speaks of."""
    if not conn.in_transaction:
        raise RuntimeError("an event is queued in the transaction of the row it speaks about")
    if lane is None:
        if isinstance(event.body, Unknown):
            raise ValueError(f"a kind of a later version ({event.kind}) has no lane of its own")
        lane = event.body.LANE
    epoch, seq, new = conn.execute(_NUMBER, {"lane": int(lane)}).fetchone()
    if new:
        conn.execute(_LANE, (epoch, int(lane)))
    body = write_event(event)
    made = conn.execute(
        "INSERT INTO outbox (epoch, lane, seq, kind, body, at, crc) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (epoch, int(lane), seq, event.kind, body, event.stamp.wall, zlib.crc32(body)),
    )
    return Place(int(lane), seq, epoch, int(made.lastrowid))


_WAITS = "SELECT max(seq) FROM outbox WHERE epoch = {epoch} AND lane = {lane} AND state < 2"
_NUMBER = f"""SELECT here.id, max(coalesce(lane.next, 1), 1 + coalesce(({_WAITS.format(epoch="here.id", lane=":lane")}), 0)),
lane.epoch IS NULL
FROM (SELECT max(id) AS id FROM epoch) AS here LEFT JOIN lane ON lane.epoch = here.id AND lane.lane = :lane"""  # noqa: S608 - texts of this file
"""The latest epoch, the next number of a lane in it, and whether the lane is new. No counter is written for an event: the highest number
that waits stands in the index that the new row goes into anyway, and `lane.next` says from where on numbers are free of those that wait
no more. Only what is in a parcel ceases to wait, and what freezes a parcel raises `next`: one page of the card less for each event
(docs/decisions/0006). A trigger (`migrations`) raises it for an earlier release, which counts in `next` alone.
"""
_LANE = "INSERT INTO lane (epoch, lane, next) VALUES (?, ?, 1)"
_REACHED = f"""SELECT epoch, lane, frozen, max(next, 1 + coalesce(({_WAITS.format(epoch="lane.epoch", lane="lane.lane")}), 0)) AS next
FROM lane"""  # noqa: S608 - texts of this file
"""Each lane with the last number that is in a parcel and the next that is free."""

_OPEN, _SETTLED, _WITHDRAWN = 0, 1, 2
"""`parcel.state`. A withdrawn parcel's events travel in another epoch."""


class Outbox:
    """The relay's view of the way up. `tx` is the connection inside a transaction; `station` is this one."""

    def __init__(self, station: str) -> None:
        self.station = station
        self._epochs: dict[int, Stream] = {}
        self._rows: dict[bytes, int] = {}
        self._streams: list[Stream] = []

    def streams(self, tx: Connection) -> list[Stream]:
        """Those of every epoch, the latest one last: one that has said nothing may have been told something.

        Remembered until an epoch is seen that is not among them: only `tram init` and `renew` begin one.
        """
        if not self._streams:
            rows = tx.execute("SELECT id FROM epoch ORDER BY id").fetchall()
            self._streams = [self._stream(tx, row[0]) for row in rows]
        return self._streams

    def me(self, tx: Connection) -> bytes:
        """The epoch that is written now."""
        return self.streams(tx)[-1].origin

    def waiting(self, tx: Connection) -> list[Waiting]:
        """Every lane with events that are in no parcel yet."""
        rows = [row for row in tx.execute(f"{_REACHED} ORDER BY epoch, lane").fetchall() if row[2] < row[3] - 1]
        return [
            Waiting(self._stream(tx, row[0]), row[1], row[2], row[3], row[1] == Lane.URGENT and _calm(tx, row[0], row[2])) for row in rows
        ]

    def queued(self, tx: Connection, stream: Stream, lane: int, after: int, limit: int) -> list[Queued]:
        """The next events of a lane in order."""
        rows = tx.execute(
            "SELECT seq, body, crc, kind FROM outbox WHERE epoch = ? AND lane = ? AND seq > ? AND state < 2 ORDER BY seq LIMIT ?",
            (self._epoch(tx, stream), lane, after, limit),
        ).fetchall()
        return [_queued(tx, *tuple(row)) for row in _few(rows)]

    def freeze(self, tx: Connection, stream: Stream, lane: int, first: int, count: int, payload: bytes, at: int) -> int:
        """Keep a parcel and its number; its events are now frozen."""
        epoch = self._epoch(tx, stream)
        done = tx.execute(
            "INSERT INTO parcel (epoch, lane, first_seq, count, payload, digest, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (epoch, lane, first, count, payload, digest(payload), at),
        )
        self._frozen(tx, epoch, lane, first + count - 1)
        return int(done.lastrowid)

    def spoilt(self, tx: Connection, stream: Stream, lane: int, row: Queued, reason: str, at: int) -> None:
        """An event that cannot be sent: in quarantine for a person, and never tried again."""
        epoch = self._epoch(tx, stream)
        tx.execute(
            "INSERT INTO quarantine (side, topic, payload, reason, detail, origin, lane, first_seq, count, at)"
            " VALUES ('own', '', ?, ?, '', ?, ?, ?, 1, ?)",
            (row.body, reason, stream.origin, lane, row.seq, at),
        )
        tx.execute("UPDATE outbox SET state = ? WHERE epoch = ? AND lane = ? AND seq = ? AND state < 2", (SET_ASIDE, epoch, lane, row.seq))
        self._frozen(tx, epoch, lane, row.seq)

    @staticmethod
    def _frozen(tx: Connection, epoch: int, lane: int, last: int) -> None:
        tx.execute("UPDATE lane SET frozen = ?, next = max(next, ?) WHERE epoch = ? AND lane = ?", (last, last + 1, epoch, lane))

    def unsettled(self, tx: Connection, station: str) -> list[Parcel]:
        """The parcels nobody has vouched for, oldest first within each lane."""
        rows = tx.execute(
            "SELECT number, epoch, lane, first_seq, count, length(payload) FROM parcel WHERE state = 0 ORDER BY lane, number"
        ).fetchall()
        return [self._parcel(tx, row) for row in rows if station == self.station]

    def payload(self, tx: Connection, number: int) -> bytes:
        """The bytes of a parcel."""
        return bytes(tx.execute("SELECT payload FROM parcel WHERE number = ?", (number,)).fetchone()[0])

    def vouched(self, tx: Connection, station: str) -> dict[tuple[Stream, int], Marks]:
        """What the bridge has vouched for, per lane of each epoch."""
        rows = tx.execute("SELECT epoch, lane, top, holes FROM lane WHERE top > 0").fetchall()
        return {(self._stream(tx, row[0]), row[1]): read_marks(row[2], row[3]) for row in rows if station == self.station}

    def frozen(self, tx: Connection, stream: Stream) -> dict[int, int]:
        """Per lane the last number that is in a parcel."""
        rows = tx.execute("SELECT lane, frozen FROM lane WHERE epoch = ?", (self._epoch(tx, stream),)).fetchall()
        return {row[0]: row[1] for row in rows}

    def vouch(self, tx: Connection, stream: Stream, lane: int, marks: Marks) -> None:
        """The bridge now vouches for `marks`, no more and no less."""
        tx.execute(
            "UPDATE lane SET settled = ?, top = ?, holes = ? WHERE epoch = ? AND lane = ?",
            (marks.contiguous, marks.highest, write_holes(marks), self._epoch(tx, stream), lane),
        )

    def settle(self, tx: Connection, stream: Stream, lane: int, ranges: Sequence[Range], state: int, at: int) -> None:
        """Events that the bridge has, or has set aside, from now on. What is in no parcel it cannot have, whatever a receipt says."""
        for first, last in ranges:
            tx.execute(
                "UPDATE outbox SET state = ?, received = ? WHERE epoch = ? AND lane = ? AND seq BETWEEN ? AND ? AND state < 2"
                " AND seq <= (SELECT frozen FROM lane WHERE lane.epoch = outbox.epoch AND lane.lane = outbox.lane)",
                (state, at, self._epoch(tx, stream), lane, first, last),
            )

    def heal(self, tx: Connection, stream: Stream, lane: int, ranges: Sequence[Range], at: int) -> list[int]:
        """Of these events those that were set aside are received after all; their numbers."""
        healed: list[int] = []
        for first, last in ranges:
            rows = tx.execute(
                "UPDATE outbox SET state = ?, received = ?"
                " WHERE state = 3 AND epoch = ? AND lane = ? AND seq BETWEEN ? AND ? RETURNING seq",
                (RECEIVED, at, self._epoch(tx, stream), lane, first, last),
            ).fetchall()
            healed += [row[0] for row in rows]
        return healed

    def close(self, tx: Connection, stream: Stream, lane: int, ranges: Sequence[Range]) -> None:
        """Every parcel that lies wholly in one of `ranges` is settled."""
        for first, last in ranges:
            tx.execute(
                "UPDATE parcel SET state = ? WHERE state = 0 AND lane = ? AND epoch = ? AND first_seq >= ? AND first_seq + count - 1 <= ?",
                (_SETTLED, lane, self._epoch(tx, stream), first, last),
            )

    def unsettle(self, tx: Connection, stream: Stream, lane: int, ranges: Sequence[Range]) -> None:
        """The bridge has lost `ranges`: these events and their parcels are unsettled again."""
        epoch = self._epoch(tx, stream)
        for first, last in ranges:
            tx.execute(
                "UPDATE outbox SET state = 0, received = NULL WHERE epoch = ? AND lane = ? AND seq BETWEEN ? AND ? AND state >= 2"
                " AND length(body) > 0",  # of a copy that has left the card nothing is left to send (`retention`)
                (epoch, lane, first, last),
            )
            tx.execute(
                "UPDATE parcel SET state = 0 WHERE state = ? AND epoch = ? AND lane = ? AND first_seq <= ? AND first_seq + count - 1 >= ?",
                (_SETTLED, epoch, lane, last, first),
            )
        held = self.safe_marks(tx, stream).get(lane)
        if held is not None:  # what is not there is in no backup of it that counts
            for first, last in ranges:
                held = held.remove(first, last)
            self.keep_safe(tx, stream, lane, held)

    def tell_again(self, tx: Connection, to: Stream, lost: Mapping[tuple[Stream, int], int], known: Sequence[bytes]) -> bool:
        """A bridge that was put back says so in its receipts: here nothing is told twice without them."""
        del tx, to, lost, known
        return False

    def safe_turn(self, tx: Connection) -> int:
        """A station makes no backups."""
        del tx
        return 0

    def safe_marks(self, tx: Connection, stream: Stream) -> dict[int, Marks]:
        """Per lane of one of our epochs what a verified backup of the bridge holds."""
        rows = tx.execute("SELECT lane, safe, safe_holes FROM lane WHERE epoch = ? AND safe > 0", (self._epoch(tx, stream),)).fetchall()
        return {row[0]: read_marks(row[1], row[2]) for row in rows}

    def keep_safe(self, tx: Connection, stream: Stream, lane: int, marks: Marks) -> None:
        """A verified backup of the bridge holds these."""
        tx.execute(
            "UPDATE lane SET safe = ?, safe_holes = ? WHERE epoch = ? AND lane = ?",
            (marks.highest, write_holes(marks), self._epoch(tx, stream), lane),
        )

    def named(self, tx: Connection, station: str, name: bytes) -> Parcel | None:
        """The unsettled parcel whose bytes have this digest."""
        row = tx.execute(
            "SELECT number, epoch, lane, first_seq, count, length(payload) FROM parcel WHERE state = 0 AND digest = ?", (name,)
        ).fetchone()
        return None if row is None or station != self.station else self._parcel(tx, row)

    def move(self, tx: Connection, to: Stream) -> None:
        """What was said in other epochs and not vouched for travels in `to`: new numbers, old order, the same rows."""
        self._streams = []
        epoch = self._epoch(tx, to)
        rows = tx.execute("SELECT id, epoch, lane, seq FROM outbox WHERE state < 2 AND epoch <> ? ORDER BY id", (epoch,)).fetchall()
        free = {row[1]: row[3] for row in tx.execute(f"{_REACHED} WHERE epoch = ?", (epoch,)).fetchall()}
        for row in rows:
            seq = free.get(row[2], 1)
            free[row[2]] = seq + 1
            tx.execute("UPDATE outbox SET epoch = ?, seq = ? WHERE id = ?", (epoch, seq, row[0]))
            for table in ("observation", "consult"):
                tx.execute(f"UPDATE {table} SET epoch = ?, seq = ? WHERE outbox = ?", (epoch, seq, row[0]))  # noqa: S608 - the table's name is one of ours
        tx.executemany(
            "INSERT INTO lane (epoch, lane, next) VALUES (?, ?, ?) ON CONFLICT (epoch, lane) DO UPDATE SET next = max(next, excluded.next)",
            [(epoch, lane, seq) for lane, seq in free.items()],
        )
        tx.execute("UPDATE parcel SET state = ? WHERE state = 0 AND epoch <> ?", (_WITHDRAWN, epoch))
        tx.execute("UPDATE lane SET frozen = next - 1 WHERE epoch <> ?", (epoch,))

    def _stream(self, tx: Connection, row: int) -> Stream:
        known = self._epochs.get(row)
        if known is None:
            value = bytes(tx.execute("SELECT epoch FROM epoch WHERE id = ?", (row,)).fetchone()[0])
            self._streams = []
            known = self._epochs[row] = Stream(self.station, value)
        return known

    def _epoch(self, tx: Connection, stream: Stream) -> int:
        row = self._rows.get(stream.origin)
        if row is None:
            row = self._rows[stream.origin] = int(tx.execute("SELECT id FROM epoch WHERE epoch = ?", (stream.origin,)).fetchone()[0])
        return row

    def _parcel(self, tx: Connection, row: Sequence[int]) -> Parcel:
        return Parcel(row[0], self._stream(tx, row[1]), row[2], row[3], row[3] + row[4] - 1, row[5])


def reached(conn: Connection) -> list[tuple[int, int, int]]:
    """(epoch's row, lane, next free number) of every lane that has said something."""
    return [(row[0], row[1], row[3]) for row in conn.execute(f"{_REACHED} ORDER BY epoch, lane").fetchall()]


def is_safe(conn: Connection, row: int) -> bool:
    """Whether the bridge has said that a verified backup holds the event of an outbox row."""
    found = conn.execute(
        "SELECT outbox.seq, lane.safe, lane.safe_holes FROM outbox JOIN lane ON lane.epoch = outbox.epoch AND lane.lane = outbox.lane"
        " WHERE outbox.id = ? AND outbox.state = ? AND outbox.seq <= lane.safe",
        (row, RECEIVED),
    ).fetchone()
    return found is not None and read_marks(found[1], found[2]).has(found[0], found[0])


_CALM_ROWS = 8
"""More words than this that somebody has read an answer are news enough to leave at once."""


def _calm(tx: Connection, epoch: int, after: int) -> bool:
    """True when what waits in lane 0 says only that answers were shown or read, and none of them belongs to an emergency."""
    rows = tx.execute(
        "SELECT kind, body FROM outbox WHERE epoch = ? AND lane = ? AND seq > ? AND state < 2 ORDER BY seq LIMIT ?",
        (epoch, int(Lane.URGENT), after, _CALM_ROWS + 1),
    ).fetchall()
    return len(rows) <= _CALM_ROWS and all(row[0] == AnswerRead.KIND and not _of_emergency(tx, row[1]) for row in rows)


def _of_emergency(tx: Connection, body: bytes) -> bool:
    try:
        said = read_event(body).body
    except WireError:
        return True  # a spoilt row is looked at at once
    row = tx.execute("SELECT urgency FROM consult WHERE id = ?", (said.consult,)).fetchone() if isinstance(said, AnswerRead) else None
    return row is None or row[0] == Urgency.EMERGENCY


_CHUNKS = 2
"""Chunks fill a parcel each: more than this are not read for one."""


def _few(rows: Sequence[Any]) -> Sequence[Any]:
    """The rows as far as one parcel can need them."""
    chunks = [place for place, row in enumerate(rows) if row[3] == AttachmentChunk.KIND]
    return rows[: chunks[_CHUNKS]] if len(chunks) > _CHUNKS else rows


def _queued(tx: Connection, seq: int, body: bytes, crc: int, kind: int) -> Queued:
    """A row as it is to be sent: the outbox has of a chunk only where its bytes are."""
    sound = zlib.crc32(body) == crc
    return Queued(seq, content.fill(tx, body) if sound and kind == AttachmentChunk.KIND else body, sound)
