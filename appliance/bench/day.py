"""What a station's day costs on the wire: every byte of it, between real ends, over a real broker, on a clock that is turned by hand.

The measured day (docs/decisions, `appliance.simulate`): 60 patients, 388 events, seed 1. The station is `tram carry`'s own loop
on an encrypted store, metered; the bridge is `tram-bridge carry`'s; between them mosquitto with mutual TLS 1.3 and P-256. A
doctor opens each request and signs an answer before the day says that it was read. Both loops wait on a virtual clock, so that the
24 hours take a minute; pings are really sent when that clock says so.

Bytes are IPv4 packets as the kernel counts them for the station's connection (`relay.link.Traffic`): payload, TLS, MQTT, headers of
40 bytes a segment, and 12 more where the machine uses TCP's timestamps (a box does not: the role network), acknowledgements that travel
alone. ``bytes_without_timestamps`` takes them off where this machine had them. After each exchange the wire rests for `ACK_SECONDS`, so
that a delayed acknowledgement is never spared by the hurry of the clock. On loopback one segment holds what a real link sends in two
or three; `SPLIT` counts those.

Beside it, the same events as JSON and as FHIR, one QoS 1 message each: their overhead is measured on the same broker with every
`SAMPLE`-th event, and multiplied.
"""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from appliance import journal
from appliance.agent.carry import KEEPALIVE_METERED, PULSE_METERED, PULSE_MOST, Carrier, carrier, unanswered
from appliance.agent.clock import Clock
from appliance.bench import wire
from appliance.bench.secure import secure_broker
from appliance.contract.events import AnswerRead, ConsultRequested, Event, ObservationRecorded
from appliance.contract.lanes import Lane
from appliance.contract.parcels import PARCEL
from appliance.contract.readings import ClockQuality, Stamp
from appliance.contract.receipts import HELLO, RECEIPT
from appliance.contract.topics import DOWN, UP, shard_filter, station_filter, topic
from appliance.database import Connection, connect, transaction
from appliance.relay.line import Happening, Message
from appliance.relay.link import HEADER_BYTES, TIMESTAMP_BYTES, Broker, MqttLink, Traffic
from appliance.relay.pump import Pump
from appliance.relay.rules import Silence
from appliance.settings import load
from appliance.simulate import STATION, day, texts
from appliance.store import boots, keys
from appliance.store.migrations import migrate
from appliance.store.outbox import queue
from cloud_bridge import answers, intake
from cloud_bridge.answers import Advice, Seal
from cloud_bridge.carrier import LINGER, Loop, bridge_end
from cloud_bridge.store import migrations, stations
from cloud_bridge.store.accounts import Account, Role
from cloud_bridge.store.engine import open_engine, writing
from cloud_bridge.store.inbox import BridgeStore
from cloud_bridge.store.outbox import set_store_id
from cloud_bridge.store.stations import Station

SEED, SHARD, DICTIONARY = 1, 7, 1
LIMIT_BYTES = 36_000
"""The most a metered station's day may cost (delivery contract, T2)."""
IDLE_BYTES = 300
"""The most a contact may cost when there is nothing new (delivery contract, T1)."""
ACK_SECONDS = 0.045
"""Linux delays an acknowledgement for at most 40 ms."""
IDLE_SECONDS = 1.1
"""So long the wire rests before a probe of TCP."""
SEGMENT = 1348
"""What one segment of a link with an MTU of 1400 carries."""
SPLIT = 3
"""Segments that such a link needs more than loopback for a handshake: the two ends' flights of certificates."""
DAY_TENTHS = 864_000
MORNING_TENTHS = 7 * 36_000
"""Viet Nam's midnight is 7 h before that of UTC."""
STEP_TENTHS = 600
"""The longest step of the virtual clock: the loops look at their stores so often anyway."""
ANSWERED_TENTHS = 1_200
"""How long before an answer is read it is signed."""
SAMPLE = 16
PATIENCE_S = 20.0
DOCTOR = Account("bs.thu", "BS. Thử Nghiệm", Role.DOCTOR, "", None, locked=False, generation=1)
_KEY = bytes(range(32))


_KINDS = {PARCEL: "parcels", RECEIPT: "receipts", HELLO: "hellos"}


class CountedLink(MqttLink):
    """A link that knows how many messages it has said and heard."""

    said = heard = pings = tapped = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kinds: dict[str, list[int]] = {}
        """What was said and heard, by kind: messages and bytes of payload."""

    def _note(self, way: str, name: str, payload: bytes) -> None:
        lane = f"_lane_{name[-1]}" if payload[0] == PARCEL else ""
        kind = self.kinds.setdefault(f"{_KINDS.get(payload[0], 'other')}{lane}_{way}", [0, 0])
        kind[0], kind[1] = kind[0] + 1, kind[1] + len(payload)

    def _hand(self, client: Any, topic: str, payload: bytes, *, sure: bool) -> int:
        token = super()._hand(client, topic, payload, sure=sure)
        self.said += 1
        self._note("out", topic, payload)
        return token

    def happenings(self) -> Sequence[Happening]:
        """What has happened, the messages counted."""
        happened = super().happenings()
        messages = [one for one in happened if isinstance(one, Message)]
        self.heard += len(messages)
        for one in messages:
            self._note("in", one.topic, one.payload)
        return happened

    def _ask(self, within: float) -> None:
        self.pings += 1
        super()._ask(within)

    def _tap(self, now: float) -> None:
        """The day is short here: the kernel sends a probe only when the line was idle for a second of its own clock."""
        before, deadline = self.traffic.segments_in, time.monotonic() + 2 * IDLE_SECONDS
        time.sleep(IDLE_SECONDS)
        self.tapped += 1
        super()._tap(now)
        while self.traffic.segments_in == before and time.monotonic() < deadline:
            time.sleep(0.01)

    def tap(self) -> None:
        """What one costs."""
        self._tap(self.clock())

    @property
    def next_ping(self) -> float:
        """When the next ping is due, by the link's clock."""
        return self._next_check() if self.up else float("inf")

    def forget_session(self) -> None:
        """The next connection begins without a TLS ticket."""
        self._session = None

    @property
    def owed(self) -> bool:
        """True while the broker owes us an answer."""
        return not self.up or bool(self._flying) or self._asked is not None


@dataclass
class Tally:
    """Where the bytes went: a connection with its hello, pings, and all the rest. Each is (up, down) in bytes of IPv4."""

    parts: dict[str, list[int]] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)
    stamped: dict[str, int] = field(default_factory=dict)
    """Bytes of TCP's timestamps among them."""

    def add(self, name: str, before: Traffic, after: Traffic) -> None:
        """What was spent between two looks at the counters belongs to `name`."""
        part = self.parts.setdefault(name, [0, 0])
        part[0] += after.up - before.up
        part[1] += after.down - before.down
        self.count[name] = self.count.get(name, 0) + 1
        segments = after.segments_out + after.segments_in - before.segments_out - before.segments_in
        self.stamped[name] = self.stamped.get(name, 0) + max(0, after.header - HEADER_BYTES) * segments

    @property
    def bytes(self) -> int:
        """All of it, both ways."""
        return sum(sum(part) for part in self.parts.values())


@dataclass
class Ends:
    """Both ends and the clock between them; `tenths` since 1970."""

    broker: Broker
    conn: Connection
    engine: Engine
    station: Carrier
    bridge: Loop
    line: CountedLink
    other: CountedLink
    tenths: int
    tally: Tally = field(default_factory=Tally)

    def pass_to(self, tenths: int) -> None:
        """Turn the clock, with every stop that one of the ends has asked for on the way."""
        while self.tenths < tenths:
            self.tenths = min(tenths, max(self.tenths + 1, self._next()))
            self.settle()

    def settle(self, name: str = "talk", act: Callable[[], None] = lambda: None) -> None:
        """`act` happens and both loops turn until nothing is under way; what that has cost goes to the tally under `name`."""
        before, pings, taps = self.line.traffic, self.line.pings, self.line.tapped
        act()
        deadline = time.monotonic() + PATIENCE_S
        self._turn(0.0)
        while self._under_way():
            if self._lingers():
                self.tenths += 1  # less than a delayed acknowledgement takes
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing moves any more at {self.tenths}")
            self._turn(0.01)
        if self.line.traffic != before:
            time.sleep(ACK_SECONDS)
            alone = self.line.pings > pings and self.line.traffic.bytes_out - before.bytes_out < SMALL_BYTES
            quiet = self.line.tapped > taps and self.line.traffic.bytes_out == before.bytes_out
            other = "ping" if alone else "tap" if quiet else name
            self.tally.add(other if name == "talk" else name, before, self.line.traffic)

    def _turn(self, seconds: float) -> None:
        was = self.line.up
        self.line.wait(seconds)
        if self.line.up and not was:
            self.other.said = self.line.heard  # what was said to a station that was not there is gone
        self.other.wait(seconds)
        self.station.turn(stirred=self.line.stirred)
        self.line.flush()  # in life each end waits for its own line alone, and its wait begins with this
        self.bridge.turn(self.tenths / 10, self.tenths, stirred=self.other.stirred)
        self.other.flush()

    def _lingers(self) -> bool:
        """True when nothing moves but a receipt that waits for what else may come with its contact."""
        return not self._moving() and 0 < self.bridge.pump.due - self.tenths / 10 <= LINGER

    def _under_way(self) -> bool:
        return self._moving() or self._lingers()

    def _moving(self) -> bool:
        return (
            self.line.owed
            or self.other.owed
            or self.line.said != self.other.heard
            or self.other.said > self.line.heard
            or self.line.stirred
            or self.other.stirred
        )

    def _next(self) -> int:
        """When one of the ends wants to be turned again, in whole tenths."""
        soonest = min(self.station.due, self.bridge.pump.due, self.line.next_ping, self.tenths / 10 + STEP_TENTHS / 10)
        return int(soonest * 10) + 1


SMALL_BYTES = 40
"""A ping and its share of TLS; anything that is said has more."""


def run() -> dict[str, Any]:
    """The day in bytes, its parts, and the same day as JSON and FHIR."""
    events = day(SEED)
    with both_ends(events[0].stamp.wall) as ends:
        carried = carry(ends, events)
        contacts = contact_costs(ends)
        plain = {name: messages_of(ends.broker, events, write) for name, write in (("json", wire.json_text), ("fhir", wire.fhir_bundle))}
    readings = sum(isinstance(event.body, ObservationRecorded) for event in events)
    pings = DAY_TENTHS // 10
    ping, connect_bytes = contacts["ping"], contacts["connect"]
    beside = {
        name: {
            "bytes": cost + connect_bytes + pings // 60 * ping,
            "bytes_with_our_keepalive": cost + connect_bytes + pings // PULSE_METERED * ping,
        }
        for name, cost in plain.items()
    }
    return {
        "bench": "day",
        "seed": SEED,
        "events": len(events),
        "bytes": carried["bytes"],
        "bytes_with_answers": carried["bytes_with_answers"],
        "bytes_without_timestamps": carried["bytes_without_timestamps"],
        "bytes_with_answers_without_timestamps": carried["bytes_with_answers_without_timestamps"],
        "limit": LIMIT_BYTES,
        "within": carried["bytes_without_timestamps"] <= LIMIT_BYTES,
        "bytes_per_reading": round(carried["bytes"] / readings, 1),
        "bytes_per_event_without_pings_and_connection": round(carried["talk_bytes"] / len(events), 1),
        "parts": carried["parts"],
        "messages": carried["messages"],
        "bare_acknowledgements": carried["bare_acknowledgements"],
        "contact": contacts | {"idle_limit": IDLE_BYTES},
        "one_message_an_event": beside | {"what": "QoS 1 on a kept connection, keepalive 60 s; the second figure with ours of 900 s"},
        "times_json": round(beside["json"]["bytes"] / carried["bytes"], 1),
    }


def carry(ends: Ends, events: Sequence[Event], hours: int = 24) -> dict[str, Any]:
    """Live through a day: connect at midnight, the events at their times, and on until the clock has turned `hours` hours."""
    begin = ends.tenths
    ends.settle("connection")
    steps = [(at, "talk", act) for at, act in _saved(ends, events)] + [(at, "answers", act) for at, act in _answered(ends, events)]
    for at, name, act in sorted(steps, key=lambda one: one[0]):
        ends.pass_to(at)
        ends.settle(name, act)
    ends.pass_to(begin + hours * 36_000)
    waiting = ends.conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()
    if waiting is None or waiting[0] or unanswered(ends.conn):
        raise RuntimeError(f"{waiting} events were not received, or not every request was answered: the bench measures nothing")
    tally, header = ends.tally, ends.line.traffic.header
    split = SPLIT * header
    stamped = sum(tally.stamped.values()) + SPLIT * (header - HEADER_BYTES)
    own = tally.bytes + split - sum(tally.parts.get("answers", (0, 0)))
    return {
        "bytes": own,
        "bytes_with_answers": tally.bytes + split,
        "bytes_without_timestamps": own - stamped + tally.stamped.get("answers", 0),
        "bytes_with_answers_without_timestamps": tally.bytes + split - stamped,
        "talk_bytes": sum(tally.parts.get("talk", (0, 0))),
        "parts": {
            name: {"up": up, "down": down, "times": tally.count[name]} for name, (up, down) in sorted(tally.parts.items())
        },
        "messages": {name: {"times": times, "payload": size} for name, (times, size) in sorted(ends.line.kinds.items())},
        "bare_acknowledgements": {
            "up": header * ends.line.traffic.bare_out, "down": header * ends.line.traffic.bare_in,
        },
    }  # fmt: skip


def contact_costs(ends: Ends) -> dict[str, int]:
    """What one contact costs with nothing new: a ping, a hello with its receipt, a new connection, full and resumed."""
    costs: dict[str, int] = {}
    acts: dict[str, Callable[[], None]] = {
        "ping": ends.line.prod,
        "tap": ends.line.tap,
        "hello_and_receipt": lambda: ends.station.pump.probe(STATION, ends.tenths / 10),
    }
    for name, act in acts.items():
        ends.tally, ends.station.due = Tally(), float("-inf")
        ends.settle(name, act)
        costs[name] = ends.tally.bytes
    for name in ("reconnect", "connect"):
        ends.line.close()
        if name == "connect":
            ends.line.forget_session()
        ends.station.turn(stirred=True)
        ends.station.pump.route_changed()
        ends.tally = Tally()
        ends.tenths += 1
        ends.station.due = float("-inf")
        ends.settle(name)
        costs[name] = ends.tally.bytes
    return costs


def messages_of(broker: Broker, events: Sequence[Event], write: Callable[[Sequence[Event]], bytes]) -> int:
    """Bytes of the wire for each event as a QoS 1 message of its own: payloads as they are, the rest as a sample of them costs."""
    line = CountedLink(broker, "tram-beside", [station_filter(SHARD, "tram-beside", DOWN)], keepalive=KEEPALIVE_METERED)
    where = topic(SHARD, "tram-beside", UP, Lane.READINGS)
    line.open()
    _until(line, lambda: line.up)
    time.sleep(ACK_SECONDS)
    payloads = [write([event]) for event in events]
    before, sample = line.traffic, payloads[::SAMPLE]
    for payload in sample:
        line.publish(where, payload)
        _until(line, lambda: not line.owed)
        time.sleep(ACK_SECONDS)
    spent = line.traffic
    line.close()
    over = (spent.up + spent.down - before.up - before.down - sum(map(len, sample))) / len(sample)
    more = sum((len(payload) - 1) // SEGMENT for payload in payloads) * (HEADER_BYTES + TIMESTAMP_BYTES)
    return round(sum(map(len, payloads)) + over * len(payloads)) + more


def _until(line: CountedLink, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the broker does not answer")
        line.wait(0.01)
        line.happenings()


# --- what happens in the day ----------------------------------------------------------------------------------------------------------


def _saved(ends: Ends, events: Sequence[Event]) -> Iterator[tuple[int, Callable[[], None]]]:
    """Each event at the moment it was saved."""
    for event in events:
        later = 10 * event.body.saved_after if isinstance(event.body, ObservationRecorded) else 0
        yield event.stamp.wall + later, lambda event=event: _record(ends, event)  # type: ignore[misc]  # a lambda with a default has no type


def _record(ends: Ends, event: Event) -> None:
    """Into the outbox; a request also where the carrier looks whether one waits for its answer."""
    with transaction(ends.conn) as conn:
        place = queue(conn, event)
        body, stamp = event.body, event.stamp
        if isinstance(body, ConsultRequested):
            conn.execute(
                "INSERT INTO consult (id, patient, urgency, department, complaint, staff, epoch, lane, seq, boot, ticks, saved, outbox,"
                " body, crc) VALUES (?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, x'', 0)",
                (
                    body.consult, body.identity.patient, int(body.urgency), int(body.department), event.actor, place.epoch, place.lane,
                    place.seq, stamp.boot, stamp.ticks, stamp.wall, place.row,
                ),
            )  # fmt: skip
    ends.station.version = -1  # in life another process has written it


def _answered(ends: Ends, events: Sequence[Event]) -> Iterator[tuple[int, Callable[[], None]]]:
    """A doctor opens each request halfway to the answer and signs two minutes before it is read at the station."""
    asked = {event.body.consult: event.stamp.wall for event in events if isinstance(event.body, ConsultRequested)}
    for place, event in enumerate(one for one in events if isinstance(one.body, AnswerRead)):
        body = event.body
        assert isinstance(body, AnswerRead)
        signed = max(asked[body.consult] + 20, event.stamp.wall - ANSWERED_TENTHS)
        opened = (asked[body.consult] + signed) // 2
        yield opened, lambda number=body.consult: _open(ends, number)  # type: ignore[misc]  # as above
        yield signed, lambda number=body.consult, place=place: _sign(ends, number, place)  # type: ignore[misc]  # as above


def _open(ends: Ends, consult: int) -> None:
    with writing(ends.engine) as tx:
        answers.open_request(tx, DOCTOR, STATION, consult, software="", now=_stamp(ends.tenths))
    ends.bridge.due = ends.bridge.looked = float("-inf")


def _sign(ends: Ends, consult: int, place: int) -> None:
    said = [
        texts.MEASURED[(place + more) % len(texts.MEASURED)].format(a=50, d=3, g=120, k=20, y=9, h=14, w=20, t="37,5") for more in (0, 9)
    ]
    with writing(ends.engine) as tx:
        answers.sign(
            tx, DOCTOR, STATION, consult, Advice(" ".join(said)), seen=(), answer=1, seal=Seal(0, _key()), software="",
            now=_stamp(ends.tenths),
        )  # fmt: skip
    ends.bridge.due = ends.bridge.looked = float("-inf")


def _stamp(tenths: int) -> Stamp:
    return Stamp(1, 1, tenths % DAY_TENTHS, tenths, ClockQuality.SYNCED)


# --- the two ends ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def both_ends(wall: int, gather: int | None = None) -> Iterator[Ends]:
    """Station, broker and bridge; the clock stands at the midnight before `wall` (tenths since 1970)."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tram-day-", ignore_cleanup_errors=True)))
        broker = stack.enter_context(secure_broker())
        conn, engine = _station_store(folder), _bridge_store(folder)
        stack.callback(conn.close)
        stack.callback(engine.dispose)
        midnight = (wall + MORNING_TENTHS) // DAY_TENTHS * DAY_TENTHS - MORNING_TENTHS
        made: list[Ends] = []

        def now_ns() -> int:
            return (made[0].tenths if made else midnight) * 100_000_000

        settings_file = folder / "tram.toml"
        settings_file.write_text(
            f'[station]\nid = "{STATION}"\nshard = {SHARD}\n[paths]\ndata = "."\nrun = "run"\n[store]\nballast_mb = 0\n'
            f"[link]\nmetered = true\n{'' if gather is None else f'gather_s = {gather}'}\n"
            f'[wire]\nsealing = "off"\ndictionary = {DICTIONARY}\n',
            encoding="utf-8",
        )
        clock = Clock(1, boot=1, boottime=now_ns, wall=now_ns, quality=lambda: ClockQuality.SYNCED)
        line = CountedLink(
            broker,
            f"tram-{STATION}",
            [station_filter(SHARD, STATION, DOWN)],
            keepalive=KEEPALIVE_METERED,
            clock=clock.monotonic,
            together=True,
            rest=Silence(PULSE_METERED, PULSE_MOST),
            taps=True,
        )
        other = CountedLink(
            broker, "tram-bridge-07", [shard_filter(SHARD)], keep=True, keepalive=KEEPALIVE_METERED, clock=lambda: 0.0, together=True
        )
        log = journal.open("bench", io.StringIO())
        station = carrier(conn, load([settings_file]), clock, log, line)
        end = bridge_end(
            BridgeStore(engine, [SHARD]), (0, _key()), apply=intake.apply_many,
            station_key=lambda _tx, name: (0, _key().public_key().public_bytes_raw()) if name == STATION else None,
            now=lambda: now_ns() // 100_000_000, say=lambda *_args, **_ids: None, linger=LINGER,
        )  # fmt: skip
        bridge = Loop(Pump(BridgeStore(engine, [SHARD]), other, end), log)
        stack.callback(line.close)
        stack.callback(other.close)
        made.append(Ends(broker, conn, engine, station, bridge, line, other, midnight))
        _ready(made[0])
        yield made[0]


def _ready(ends: Ends) -> None:
    """The bridge is there first, as it is in life."""
    deadline = time.monotonic() + PATIENCE_S
    while not ends.other.up:
        if time.monotonic() > deadline:
            raise TimeoutError("the bridge does not reach its broker")
        ends.other.wait(0.01)
        ends.bridge.turn(ends.tenths / 10, ends.tenths, stirred=ends.other.stirred)


def _key() -> Ed25519PrivateKey:
    """One for everybody: the bench keeps no secrets."""
    return Ed25519PrivateKey.from_private_bytes(_KEY)


def _station_store(folder: Path) -> Connection:
    conn = connect(folder / "tram.db", key=_KEY)
    migrate(conn)
    with transaction(conn):
        conn.execute("INSERT INTO meta (key, value) VALUES ('station', ?)", (STATION,))
        boots.open_epoch(conn, b"epoch--1", "first", 0)
        keys.make_station_key(conn, _KEY)
        for purpose in ("receipt", "answer"):
            keys.pin(conn, purpose, 0, _key().public_key().public_bytes_raw())
    return conn


def _bridge_store(folder: Path) -> Engine:
    engine = open_engine(f"sqlite:///{folder / 'bridge.db'}")
    migrations.migrate(engine)
    with writing(engine) as tx:
        set_store_id(tx, b"store--1")
        stations.add(tx, Station(STATION, SHARD, STATION, "", 0, 0, _key().public_key().public_bytes_raw(), 0, None))
    return engine
