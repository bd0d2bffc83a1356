"""What one end says to the other in one station's talk: rows become frozen parcels, parcels leave in turn, receipts settle them.

Memory holds only what is under way. Everything that must survive a power cut was committed before it was sent; after a
cut, `load` reads it again and it is sent again, byte for byte.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from appliance.contract.codec import read_event
from appliance.contract.errors import WireError
from appliance.contract.events import AnswerCorrected, AnswerSigned, Event
from appliance.contract.lanes import BATCH_SECONDS, CHUNK_BYTES, Lane
from appliance.contract.parcels import Header, pack, peek, split
from appliance.contract.receipts import LaneReceipt
from appliance.relay.marks import Marks, Range, marks_of
from appliance.relay.rules import FULL_ALREADY, UNHEARD, Rate, Turns, ready, resend_after
from appliance.relay.seals import HOLD, SEALED_MORE, Clear, NoKeyError, Seals, leading
from appliance.relay.storage import ASIDE_RANGES, SET_ASIDE, TAKEN, Parcel, Queued, Storage, Stream, Tx, Waiting

ROWS_AT_ONCE = 256
"""Rows read for one parcel: more than fit into a chunk."""


@dataclass(eq=False)
class Flight:
    """A parcel under way. `parts` are its messages once read, `next` the first one not sent, `told` the journal ids of its events.

    `unsure`: it is of a lane that does not wait and left at QoS 0, so nobody keeps it for an end that is away for a moment.
    """

    parcel: Parcel
    parts: list[bytes] | None = None
    next: int = 0
    sent: float = 0.0
    fresh: bool = False
    unsure: bool = False
    told: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Piece:
    """One message to publish. `first` says that the parcel leaves for the first time, `last` that this is its last part."""

    lane: int
    payload: bytes
    flight: Flight
    last: bool
    first: bool = False


class Sender:
    """The sending side of one station's talk.

    `limit` is the most bytes of one message, `more` what a sealed one may have beyond it, `dictionary` the id the parcels are
    packed with. `held`: lanes whose key is missing, and until when they are not looked at.
    """

    def __init__(
        self, storage: Storage, station: str, *, limit: int = CHUNK_BYTES, dictionary: int = 0, seals: Seals | None = None
    ) -> None:
        self.storage = storage
        self.station = station
        self.limit = limit
        self.more = SEALED_MORE
        self.dictionary = dictionary
        self.seals: Seals = seals or Clear()
        self.held: dict[tuple[Stream, int], float] = {}
        self.todo: dict[int, deque[Flight]] = {}
        self.flying: dict[int, Flight] = {}
        self.waiting: dict[tuple[Stream, int], tuple[Waiting, float]] = {}
        self.vouched: dict[tuple[Stream, int], Marks] = {}
        self.turns = Turns()
        self.silent = 0
        self.gathered = float("-inf")
        self.contact = float("inf")
        self.gather = BATCH_SECONDS
        self.rate = Rate()

    # --- what there is ------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """True when something is waiting, to be sent, or not yet vouched for."""
        return bool(self.waiting or self.flying or self.todo)

    @property
    def urgent(self) -> bool:
        """True when something of lane 0 is waiting, to be sent, or not yet vouched for."""
        return (
            Lane.URGENT in self.todo
            or any(lane == Lane.URGENT for _, lane in self.waiting)
            or any(flight.parcel.lane == Lane.URGENT for flight in self.flying.values())
        )

    def reset(self, tx: Tx) -> None:
        """Forget what is under way and read the store: memory may have gone ahead of a transaction that failed."""
        self.flying, self.todo, self.waiting = {}, {}, {}
        self.load(tx)

    def load(self, tx: Tx) -> None:
        """Know again what the store knows; what is under way stays so."""
        self.vouched = self.storage.vouched(tx, self.station)
        known = {flight.parcel.number: flight for flight in self._flights()}
        self.todo = {}
        for parcel in self.storage.unsettled(tx, self.station):
            if parcel.number not in self.flying:
                self.todo.setdefault(parcel.lane, deque()).append(known.get(parcel.number) or Flight(parcel))

    def notice(self, rows: Sequence[Waiting], now: float) -> None:
        """What waits in the outbox, all of it; how long it has been waiting counts from when it was first noticed."""
        before = self.waiting
        self.waiting = {(row.stream, row.lane): (row, before.get((row.stream, row.lane), (row, now))[1]) for row in rows}

    def lost(self) -> None:
        """Whatever was under way may not have arrived: all of it is to be sent (again)."""
        flights = [*self.flying.values(), *(flight for lane in self.todo.values() for flight in lane)]
        self.flying, self.todo = {}, {}
        self._again(flights)

    def missed(self, stream: Stream, asked: float) -> None:
        """The other end has answered what was asked at `asked`, and does not have what had left before: it went to a broker where nobody
        was subscribed (one that had been started anew), and goes again now instead of after `RESEND`.
        """
        gone = [flight for flight in self.flying.values() if flight.sent < asked and flight.parcel.stream == stream]
        for flight in gone:
            del self.flying[flight.parcel.number]
        self._again(gone)

    def unanswered(self, now: float) -> float | None:
        """Put what is `unsure` and was answered by nothing for `UNHEARD` among what is to be sent; seconds until the next will be.

        The broker gave it to whoever was there: a bridge that was being started anew was not. At QoS 1 it is kept for it.
        """
        waits = {number: flight.sent + UNHEARD - now for number, flight in self.flying.items() if flight.unsure}
        lost = [self.flying.pop(number) for number, wait in waits.items() if wait <= 0]
        self._again(lost)
        return min((wait for wait in waits.values() if wait > 0), default=None)

    def overdue(self, now: float) -> float | None:
        """Put what was sent too long ago among what is to be sent; seconds until the next will be, None when nothing flies."""
        oldest = self.oldest()
        if oldest is None:
            return None
        wait = resend_after(self.silent)
        if oldest + wait <= now:
            late = [flight for flight in self.flying.values() if flight.sent + wait <= now]
            self.silent += 1
            for flight in late:
                del self.flying[flight.parcel.number]
            self._again(late)
            return self.overdue(now)
        return oldest + wait - now

    def oldest(self) -> float | None:
        """When the longest unreceipted parcel left."""
        for flight in self.flying.values():
            return flight.sent  # kept in the order of sending
        return None

    # --- what leaves --------------------------------------------------------------------------------------------------

    def sendable(self, now: float, *, metered: bool, again: bool, credit: int, most: int = Lane.CONTENT) -> bool:
        """True when something may leave now; `most` is the least urgent lane that may."""
        return len(self.flying) < credit and (bool(self._unsent(again, most)) or bool(self._ripe(now, metered, most)))

    def wait(self, now: float, *, metered: bool, credit: int, most: int = Lane.CONTENT) -> float | None:
        """Seconds until a waiting lane may leave; None when none waits or the credit is used up."""
        if len(self.flying) >= credit:
            return None
        return min((self._ready(row, since, now, metered) for row, since in self.waiting.values() if row.lane <= most), default=None)

    def next_pieces(
        self,
        tx: Tx,
        room: int,
        now: float,
        at: int,
        *,
        metered: bool,
        again: bool,
        credit: int,
        most: int = Lane.CONTENT,
    ) -> list[Piece]:
        """Up to `room` messages in the order they are to be published after the commit of `tx`.

        `again`: what may have been sent before may be sent. `credit`: parcels that may be unreceipted together. `most`: the
        least urgent lane that may leave.
        """
        pieces: list[Piece] = []
        if metered and self._leaving(now, again, most):
            self.contact = float("-inf")  # what waits for a contact leaves with this one
        while len(pieces) < room and len(self.flying) < credit:
            ripe = self._ripe(now, metered, most)
            lanes = self._unsent(again, most) | set(ripe)
            if not lanes:
                break
            lane = self.turns.choose(lanes)
            flight = self._first(lane, again)
            if flight is None:
                flight = self._freeze(tx, ripe[lane], now, at)
                if flight is None:
                    continue
            piece = self._piece(tx, flight, now)
            self.turns.sent(lane, len(piece.payload), lanes)
            pieces.append(piece)
        if pieces:
            self.contact = now
        return pieces

    def _leaving(self, now: float, again: bool, most: int) -> bool:
        """True when something is to leave that others may go with: anything but pictures, which never end."""
        return bool((self._unsent(again, most) | set(self._ripe(now, True, most))) - {Lane.ATTACHMENTS})

    def freeze_waiting(self, tx: Tx, most: int, at: int) -> bool:
        """Make up to `most` parcels of what waits, the most urgent first, for a post bag that leaves once; True when more can be
        made. Lanes without a key wait on.
        """
        for _ in range(most):
            rows = [row for key, (row, _) in self.waiting.items() if key not in self.held]
            if not rows:
                return False
            self._freeze(tx, min(rows, key=lambda row: row.lane), 0.0, at)
        return any(key not in self.held for key in self.waiting)

    def _ready(self, row: Waiting, since: float, now: float, metered: bool) -> float:
        held = self.held.get((row.stream, row.lane), now) - now
        rows, age, rate = row.next - 1 - row.frozen, now - since, self.rate.now(now)
        return max(held, ready(row.lane, rows, age, metered, now - self.gathered, rate, self.gather, now - self.contact, row.calm))

    def _unsent(self, again: bool, most: int) -> set[int]:
        """The lanes in which a parcel may leave."""
        return {lane for lane, flights in self.todo.items() if lane <= most and any(_may_go(one, again) for one in flights)}

    def _ripe(self, now: float, metered: bool, most: int) -> dict[int, Waiting]:
        ripe: dict[int, Waiting] = {}
        for row, since in self.waiting.values():
            if row.lane <= most and row.lane not in ripe and self._ready(row, since, now, metered) <= 0:
                ripe[row.lane] = row
        return ripe

    def _first(self, lane: int, again: bool) -> Flight | None:
        return next((flight for flight in self.todo.get(lane, ()) if _may_go(flight, again)), None)

    def _piece(self, tx: Tx, flight: Flight, now: float) -> Piece:
        lane = flight.parcel.lane
        if flight.parts is None:
            flight.parts = self._split(self.storage.payload(tx, flight.parcel.number))
        payload = flight.parts[flight.next]
        flight.next += 1
        first, flight.fresh = flight.fresh, False
        last = flight.next == len(flight.parts)
        if last:
            self.todo[lane].remove(flight)
            if not self.todo[lane]:
                del self.todo[lane]
            flight.parts, flight.next, flight.sent = None, 0, now
            self.flying[flight.parcel.number] = flight
        return Piece(lane, payload, flight, last, first)

    def _split(self, payload: bytes) -> list[bytes]:
        return split(payload, self.limit + (self.more if peek(payload).suite else 0))

    def _freeze(self, tx: Tx, row: Waiting, now: float, at: int) -> Flight | None:
        """Make the next parcel of a lane and keep it; None when its next event could not be sent and was set apart, or there
        is no key yet to seal it with.
        """
        rows = self.storage.queued(tx, row.stream, row.lane, row.frozen, ROWS_AT_ONCE)
        events = self._readable(tx, row, rows, at)
        if not events:
            self._advance(row, row.frozen + (1 if rows else row.next - 1 - row.frozen))
            return None
        stream, first = row.stream, rows[0].seq
        keys, run = leading(events)
        try:
            seal = None if keys else self.seals.seal(tx, stream)
        except NoKeyError:
            self.held[stream, row.lane] = now + HOLD
            return None
        header = Header(stream.station, stream.origin, row.lane, first, 1, stream.epoch, dictionary=self.dictionary)
        payload, count = pack(header, events[:run], self.limit + (self.more if seal else 0), seal)
        number = self.storage.freeze(tx, stream, row.lane, first, count, payload, at)
        self._advance(row, first + count - 1)
        if row.lane not in FULL_ALREADY:
            self.gathered = now
            self.rate.left(count, now)
        parcel = Parcel(number, stream, row.lane, first, first + count - 1, len(payload))
        flight = Flight(parcel, self._split(payload), fresh=True, told=told(stream, row.lane, first, events[:count]))
        self.todo.setdefault(row.lane, deque()).append(flight)
        return flight

    def _readable(self, tx: Tx, row: Waiting, rows: Sequence[Queued], at: int) -> list[Event]:
        """The run of good events at the front of `rows`; a bad first one is set apart."""
        events: list[Event] = []
        for one in rows:
            try:
                if not one.sound or one.seq != rows[0].seq + len(events):
                    raise WireError("checksum", f"event {one.seq}")
                events.append(read_event(one.body))
            except WireError as error:
                if not events:
                    self.storage.spoilt(tx, row.stream, row.lane, one, error.reason, at)
                break
        return events

    def _advance(self, row: Waiting, frozen: int) -> None:
        key = (row.stream, row.lane)
        if frozen >= row.next - 1:
            del self.waiting[key]
        else:
            self.waiting[key] = (row._replace(frozen=frozen), self.waiting[key][1])

    # --- what a receipt says ------------------------------------------------------------------------------------------

    def settle(
        self, tx: Tx, stream: Stream, lane: LaneReceipt, refused: Sequence[bytes], at: int, *, absolute: bool
    ) -> list[tuple[Range, int]]:
        """Take one lane of a receipt: what is newly settled, as (range, state).

        `absolute`: the receipt answers our current hello, so what it does not vouch for any more is waiting again.
        Quarantined numbers count only for parcels whose own bytes were refused: what was refused may have been a
        damaged copy, and then the good bytes must come.
        """
        old = self.vouched.get((stream, lane.lane), Marks())
        aside = self._set_aside(tx, stream, lane, refused)
        new = marks_of(lane)
        for low, high in lane.quarantined:
            for first, last in _beyond(_beyond([(low, high)], old), aside):
                new = new.remove(first, last)
        back = old.minus(new)
        if back and not absolute:
            new, back = new.union(old), []
        if back:
            self.storage.unsettle(tx, stream, lane.lane, back)
        done = new.minus(old)
        settled = [(one, SET_ASIDE) for low, high in done for one in aside.within(low, high)]
        settled += [(one, TAKEN) for one in _beyond(done, aside)]
        for one, state in settled:
            self.storage.settle(tx, stream, lane.lane, [one], state, at)
        settled += self._healed(tx, stream, lane, new, at)
        if done or back:
            self.storage.close(tx, stream, lane.lane, list(new.ranges()))
            self.storage.vouch(tx, stream, lane.lane, new)
            self.vouched[stream, lane.lane] = new
        if back:
            self.load(tx)
        self._forget(lambda parcel: parcel.stream == stream and parcel.lane == lane.lane and new.has(parcel.first, parcel.last))
        return settled

    def _healed(self, tx: Tx, stream: Stream, lane: LaneReceipt, new: Marks, at: int) -> list[tuple[Range, int]]:
        """What the other end had set aside and has read after all. A list that is full may have left out older ranges: it says nothing."""
        if len(lane.quarantined) >= ASIDE_RANGES:
            return []
        still = Marks()
        for first, last in lane.quarantined:
            still = still.add(first, last)
        return [((seq, seq), TAKEN) for seq in self.storage.heal(tx, stream, lane.lane, new.minus(still), at)]

    def forgotten(self, tx: Tx, kept: Stream) -> None:
        """Another store speaks than the one that vouched: in every stream but `kept` (which its receipt names) all waits again."""
        for (stream, lane), marks in list(self.vouched.items()):
            if stream != kept and marks.highest:
                self.storage.unsettle(tx, stream, lane, list(marks.ranges()))
                self.storage.vouch(tx, stream, lane, Marks())
        self.load(tx)

    def _set_aside(self, tx: Tx, stream: Stream, lane: LaneReceipt, refused: Sequence[bytes]) -> Marks:
        """The numbers of our own parcels of this lane that were refused as they are."""
        aside = Marks()
        for name in refused:
            parcel = self.storage.named(tx, self.station, name)
            if parcel is not None and parcel.stream == stream and parcel.lane == lane.lane:
                aside = aside.add(parcel.first, parcel.last)
        return aside

    def unreadable(self, tx: Tx, refused: Sequence[bytes], at: int) -> list[Parcel]:
        """Parcels refused whole, of which the receipt's lanes did not speak: set aside, and not sent again."""
        found = [parcel for name in refused if (parcel := self.storage.named(tx, self.station, name)) is not None]
        for parcel in found:
            ranges = [(parcel.first, parcel.last)]
            self.storage.settle(tx, parcel.stream, parcel.lane, ranges, SET_ASIDE, at)
            self.storage.close(tx, parcel.stream, parcel.lane, ranges)
        numbers = {parcel.number for parcel in found}
        self._forget(lambda parcel: parcel.number in numbers)
        return found

    def _forget(self, gone: Callable[[Parcel], bool]) -> None:
        self.flying = {number: flight for number, flight in self.flying.items() if not gone(flight.parcel)}
        self.todo = {lane: kept for lane, flights in self.todo.items() if (kept := deque(f for f in flights if not gone(f.parcel)))}

    def _flights(self) -> list[Flight]:
        return [*self.flying.values(), *(flight for lane in self.todo.values() for flight in lane)]

    def _again(self, flights: Sequence[Flight]) -> None:
        for flight in flights:
            again = flight if flight.fresh else replace(flight, parts=None, told=[], unsure=False)
            again.next = 0
            self.todo.setdefault(flight.parcel.lane, deque()).append(again)
        for lane, queue in self.todo.items():
            self.todo[lane] = deque(sorted(queue, key=lambda flight: flight.parcel.number))


def _beyond(ranges: Sequence[Range], marks: Marks) -> list[Range]:
    """The parts of `ranges` that are not in `marks`."""
    return [part for low, high in ranges for part in marks.missing(low, high)]


def _may_go(flight: Flight, again: bool) -> bool:
    """True for a parcel that has never left, one that has left in part, and, `again`, any other."""
    return again or flight.fresh or flight.next > 0


def told(stream: Stream, lane: int, first: int, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Journal ids for a run of events: an answer has a line of its own, the others share one (``seq`` is the first of ``count``)."""
    lines: list[dict[str, Any]] = []
    for seq, event in enumerate(events, first):
        own = answer_ids(event)
        if own or not lines or "answer" in lines[-1]:
            lines.append({"epoch": stream.origin, "lane": lane, "seq": seq, **own})
        else:
            lines[-1]["count"] = seq - lines[-1]["seq"] + 1
    return lines


def answer_ids(event: Event) -> dict[str, Any]:
    """The ids of an answer, so that its way can be followed; nothing for other events."""
    body = event.body
    return {"consult": body.consult, "answer": body.answer} if isinstance(body, (AnswerSigned, AnswerCorrected)) else {}
