"""The bugs. Each is a function that plants itself into the loaded program and returns a function that takes it out again."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from appliance.contract import receipts, sealing
from appliance.contract.errors import WireError
from appliance.contract.sealing import Seal
from appliance.contract.topics import DOWN, UP
from appliance.database import Connection
from appliance.database import transaction as honest_transaction
from appliance.relay import pump, rules, sending, taking
from appliance.relay.line import Acked
from appliance.relay.marks import Marks
from appliance.relay.pump import Pump
from appliance.relay.storage import TAKEN, Arrived, Stream
from appliance.store import consults, init, measuring, patients
from appliance.store.outbox import Place, reached
from cloud_bridge import backup

Undo = Callable[[], None]

COMMIT_SECONDS = 0.03
"""How slow the commit of the first saboteur is: a busy disk, which real SIGKILLs hit."""
SLOW = [0.0]
"""How long the last saboteur dawdles between its two transactions; real commands are given time to be killed in it."""
AGAIN = 1 << 40
"""Where the second saboteur keeps what it takes a second time."""


def _swap(place: Any, name: str, value: Any) -> Undo:
    before = getattr(place, name)
    setattr(place, name, value)
    return lambda: setattr(place, name, before)


def _together(*undos: Undo) -> Undo:
    def undo() -> None:
        for one in undos:
            one()

    return undo


def ack_before_commit() -> Undo:
    """The bridge receipts what it has inserted, and acknowledges it to the broker, before the commit."""
    honest = pump.take

    def take(storage: Any, tx: Any, heard: Any, *args: Any) -> Any:
        taken = honest(storage, tx, heard, *args)
        mine = getattr(storage, "early", None)
        if mine is not None and taken.events:
            mine(tx, taken)
        return taken

    honest_take = Pump._take

    def early_take(self: Pump, now: float, at: int) -> Any:
        if self.end.way != DOWN:
            return honest_take(self, now, at)

        def early(tx: Any, taken: taking.Taken) -> None:
            for stream in taken.events:
                talk = self._talk(stream.station, stream_shard(self, stream))
                talk.owe(stream, 0, (), now)
                if talk.counter >= talk.reserved:
                    talk.counter = self.storage.reserve(tx, stream.station, pump.COUNTERS)
                    talk.reserved = talk.counter + pump.COUNTERS
                held = self._held_of(tx, talk.owed(now))
                for receipt in self._receipts(talk, self.end.me(tx), now, held).values():
                    self.link.publish(pump.topic(talk.shard, stream.station, DOWN, pump.Lane.URGENT), receipt)
            for message in self.basket:
                self.link.done(message.token)
            _linger(self)

        self.storage.early = early  # type: ignore[attr-defined]
        try:
            return honest_take(self, now, at)
        finally:
            del self.storage.early  # type: ignore[attr-defined]

    return _together(_swap(pump, "take", take), _swap(Pump, "_take", early_take))


def stream_shard(one: Pump, stream: Stream) -> int:
    """The shard a station was heard on, from the messages in hand."""
    return next(taking.parse(message.topic).shard for message in one.basket if f"/{stream.station}/" in message.topic)


def _linger(one: Pump) -> None:
    """On a real line the early words have left before the slow commit comes; a line in memory needs no time."""
    wait = getattr(one.link, "wait", None)
    if wait is not None and not hasattr(one.link, "fuse"):
        wait(0.0)
        time.sleep(COMMIT_SECONDS)


def no_duplicate_check() -> Undo:
    """What comes again is taken again."""

    def run(self: Any, heard: Any, parcel: Any) -> None:
        stream, lane = taking._stream(parcel.header), parcel.header.lane
        if not self.mine(self.tx, stream):
            return
        first, last = parcel.header.first_seq, parcel.header.first_seq + parcel.header.count - 1
        here = self._here(stream, lane, first, last)
        times = 0
        while self._here(stream, lane, first + times * AGAIN, last + times * AGAIN):
            times += 1
        arrived = [
            Arrived(stream, lane, seq + times * AGAIN, event, taking.write_event(event)) for seq, event in enumerate(parcel.events, first)
        ]
        if not here:
            self.marks[stream, lane] = self._marks(stream, lane).add(first, last)
        self.pending.setdefault((stream, lane), {}).update((one.seq, one.body) for one in arrived)
        self.taken.arrived += arrived
        self._told(stream, lane, parcel.header.count)

    return _swap(taking._Batch, "_run", run)


def settle_at_puback() -> Undo:
    """The station takes the broker's PUBACK for a receipt."""
    honest_publish, honest_happen = Pump._publish, Pump._happen

    def publish(self: Pump, talk: Any, pieces: Any, now: float) -> bool:
        tokens: dict[int, Any] = self.__dict__.setdefault("tokens", {})
        link = self.link
        sent: list[int] = []

        class Spy:
            def __getattr__(self, name: str) -> Any:
                return getattr(link, name)

            def publish(self, topic: str, payload: bytes, *, sure: bool = True) -> int:
                sent.append(link.publish(topic, payload, sure=sure))
                return sent[-1]

        self.link = Spy()  # type: ignore[assignment]
        try:
            return honest_publish(self, talk, pieces, now)
        finally:
            self.link = link
            for token, piece in zip(sent, pieces, strict=False):
                if piece.last:
                    tokens[token] = (talk, piece.flight.parcel)

    def happen(self: Pump, now: float) -> bool:
        link, heard = self.link, list(self.link.happenings())

        class Replay:
            def __getattr__(self, name: str) -> Any:
                return getattr(link, name)

            def happenings(self) -> Sequence[Any]:
                return heard

        self.link = Replay()  # type: ignore[assignment]
        try:
            done = honest_happen(self, now)
        finally:
            self.link = link
        if self.end.way == UP:
            for one in heard:
                if isinstance(one, Acked) and one.token in self.__dict__.get("tokens", {}):
                    _believe(self, *self.__dict__["tokens"].pop(one.token))
        return done

    return _together(_swap(Pump, "_publish", publish), _swap(Pump, "_happen", happen))


def _believe(one: Pump, talk: Any, parcel: Any) -> None:
    with one.storage.transaction() as tx:
        key = (parcel.stream, parcel.lane)
        marks = talk.sender.vouched.get(key, Marks()).add(parcel.first, parcel.last)
        one.storage.settle(tx, parcel.stream, parcel.lane, [(parcel.first, parcel.last)], TAKEN, 0)
        one.storage.close(tx, parcel.stream, parcel.lane, [(parcel.first, parcel.last)])
        one.storage.vouch(tx, parcel.stream, parcel.lane, marks)
        talk.sender.vouched[key] = marks
    talk.sender.flying.pop(parcel.number, None)


def two_transactions() -> Undo:
    """The row is committed first, the outbox gets its event afterwards, in a transaction of its own."""
    undos = []
    for module in (measuring, consults, patients):
        undos += _split(module)
    return _together(*undos)


def _split(module: Any) -> Iterator[Undo]:
    waiting: list[tuple[Any, ...]] = []
    honest = module.append

    def append(conn: Connection, event: Any, lane: Any = None) -> tuple[int, int]:
        lane = event.body.LANE if lane is None else lane
        (epoch,) = conn.execute("SELECT max(id) FROM epoch").fetchone()
        free = {one: number for row, one, number in reached(conn) if row == epoch}
        seq = free.get(int(lane), 1) + sum(one[1] == lane for one in waiting)
        waiting.append((event, lane))
        return int(lane), seq

    @contextmanager
    def transaction(conn: Connection) -> Iterator[Connection]:
        waiting.clear()
        with honest_transaction(conn) as tx:
            yield tx
        later, waiting[:] = list(waiting), []
        if later:
            time.sleep(SLOW[0])
            with honest_transaction(conn):
                for event, lane in later:
                    honest(conn, event, lane)

    def outbox_row(conn: Connection, lane: int, seq: int) -> tuple[int, int]:
        epoch, row = conn.execute("SELECT (SELECT max(id) FROM epoch), (SELECT coalesce(max(id), 0) + 1 FROM outbox)").fetchone()
        return int(epoch), int(row)

    def queue(conn: Connection, event: Any, lane: Any = None) -> Place:
        given, seq = append(conn, event, lane)
        return Place(given, seq, *outbox_row(conn, given, seq))

    yield _swap(module, "append", append)
    yield _swap(module, "transaction", transaction)
    if hasattr(module, "queue"):
        yield _swap(module, "queue", queue)
    if hasattr(module, "outbox_row"):
        yield _swap(module, "outbox_row", outbox_row)


def forgets_after_a_day() -> Undo:
    """The bridge remembers for 24 hours what it has: an older number is new again."""
    honest, plain = taking._Batch._run, no_duplicate_check
    undo = plain()
    careless = taking._Batch._run
    undo()
    seen: dict[tuple[Any, int, int], int] = {}

    def run(self: Any, heard: Any, parcel: Any) -> None:
        key = (taking._stream(parcel.header), parcel.header.lane, parcel.header.first_seq)
        first = seen.setdefault(key, self.at)
        (careless if self.at - first > 24 * 36_000 else honest)(self, heard, parcel)

    return _swap(taking._Batch, "_run", run)


def blind_to_higher_numbers() -> Undo:
    """The station does not ask why the bridge has more from it than it ever sent: it goes on under numbers that are taken."""
    return _swap(Pump, "_ahead", lambda *_: False)


def no_window() -> Undo:
    """Everything that waits goes to the kernel at once."""
    return _swap(rules.Pace, "room", property(lambda _: 1_000))


def unsigned_receipts() -> Undo:
    """A receipt counts whoever has signed it."""

    def believe(payload: bytes, _keys: Any) -> Any:
        return receipts.take(receipts.Receipt, receipts.cbor.load(payload[1 : -receipts.SIGNATURE_BYTES]))[0]

    return _swap(pump, "open_receipt", believe)


def stubborn() -> Undo:
    """What is not receipted within 5 s is sent again, by everybody, every 5 s; a lost connection is tried again every 5 s."""
    return _together(
        _swap(sending, "resend_after", lambda _silent: 5.0),
        _swap(pump, "backoff", lambda _attempt, _draw, **_: 5.0),
        _swap(pump, "hello_again", lambda _tries, _metered: 5.0),
        _swap(Pump, "_again", lambda *_: True),
    )


def store_id_kept() -> Undo:
    """A restored store goes on as the one that was lost: its numbers and its promises are taken for those of before."""
    return _swap(backup, "set_store_id", lambda _tx, _store: None)


def old_receipt_replayed() -> Undo:
    """The station takes any receipt that the bridge has ever signed for the answer to its hello of now."""
    honest = Pump._receipt

    def fooled(self: Pump, tx: Any, talk: Any, heard: Any, said: Any, *more: Any) -> Any:
        if self.end.way == UP:
            with suppress(WireError):
                talk.nonce, talk.seen = pump.open_receipt(said.payload, more[0]).nonce, {}
        return honest(self, tx, talk, heard, said, *more)

    return _swap(Pump, "_receipt", fooled)


def careless_key() -> Undo:
    """Keys are written in their place, and nobody waits until they are on the card."""

    def write(file: Any, content: bytes, _gid: int | None) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o640)

    return _swap(init, "_write_private", write)


def salt_of_chance() -> Undo:
    """The salt of a sealed parcel is random bytes alone, as most programs would have it: a copied machine draws them again."""

    def close(self: Seal, head: bytes, lane: int, first_seq: int, content: bytes) -> bytes:
        salt = self.random[: sealing.SALT_BYTES]
        return salt + sealing.cipher(self.key, salt).encrypt(sealing._nonce(lane, first_seq), content, head)

    return _swap(Seal, "close", close)


def vouched_unopened() -> Undo:
    """A sealed parcel whose key has not come counts as taken: its station is told that it may forget it."""
    honest = taking._Batch._open

    def open_(self: Any, heard: Any, closed: Any) -> None:
        honest(self, heard, closed)
        stream, lane, first = taking._stream(closed.header), closed.header.lane, closed.header.first_seq
        self.marks[stream, lane] = self._marks(stream, lane).add(first, first + closed.header.count - 1)
        self._told(stream, lane, closed.header.count)

    return _swap(taking._Batch, "_open", open_)


BUGS: dict[str, Callable[[], Undo]] = {
    "salt-of-chance": salt_of_chance,
    "vouched-unopened": vouched_unopened,
    "careless-key": careless_key,
    "dedup-window-24h": forgets_after_a_day,
    "blind-to-higher-numbers": blind_to_higher_numbers,
    "no-window": no_window,
    "unsigned-receipts": unsigned_receipts,
    "retry-every-5s": stubborn,
    "ack-before-commit": ack_before_commit,
    "no-duplicate-check": no_duplicate_check,
    "settle-at-puback": settle_at_puback,
    "two-transactions": two_transactions,
    "store-id-kept": store_id_kept,
    "old-receipt-replayed": old_receipt_replayed,
}
"""Every saboteur by its name."""
