"""The one door to AMQP: a RabbitMQ that speaks MQTT to the stations and hands their messages to us from quorum queues.

A `Link` (appliance.relay.line) as `MqttLink` is one, so the relay's rules are the same behind both (docs/decisions: 0012).
RabbitMQ's MQTT plugin publishes what a station says on the exchange ``amq.topic``, with dots where the topic has slashes.
Two durable quorum queues per shard, one of them for the urgent lanes, are bound to its way up; a message is acknowledged
after our commit, so what a dead carrier had in its hands comes again. pika is driven by hand: its loop turns in `wait` and
nowhere else.
"""

import logging
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import pika
from pika.adapters.select_connection import IOLoop
from pika.exceptions import AMQPError

from appliance.contract.lanes import AT_ONCE, Lane
from appliance.contract.topics import UP
from appliance.relay.line import Acked, Down, Happening, LinkError, Message, Up

EXCHANGE = "amq.topic"
"""Where the MQTT plugin publishes (its setting ``mqtt.exchange``)."""
PREFETCH = 100
"""Messages of one queue that the broker may have unacknowledged with us; all of them are taken in one transaction."""
WINDOW = 200
"""Messages of ours that the broker may still have to confirm."""
LARGEST = 1 << 20
"""The most payload bytes of one message; RabbitMQ takes more, the contract does not (parcels.PAYLOAD_BYTES)."""
BURST = 512
PERSISTENT = 2
"""AMQP's delivery mode that a station's subscription receives as QoS 1."""
NOT_FOUND = 404
UNLIMITED_SINCE = 4
"""From this RabbitMQ version on a quorum queue drops a message after 20 deliveries unless told otherwise; ours may wait for a database."""


@dataclass(frozen=True)
class Server:
    """Where RabbitMQ is and how it knows us. Without a `username` our certificate says who we are."""

    host: str
    port: int
    context: ssl.SSLContext | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    vhost: str = "/"


class Queue(NamedTuple):
    """A queue and the routing keys that lead into it."""

    name: str
    keys: tuple[str, ...]


def queues_of(shard: int) -> list[Queue]:
    """The queues of one shard: urgent lanes do not stand behind a backlog of the others.

    >>> [one.name for one in queues_of(7)]
    ['tram.v1.07.urgent', 'tram.v1.07.rest']
    """
    keys = {lane: f"v1.{shard:02d}.*.{UP}.{lane:d}" for lane in Lane}
    return [
        Queue(f"tram.v1.{shard:02d}.urgent", tuple(key for lane, key in keys.items() if lane in AT_ONCE)),
        Queue(f"tram.v1.{shard:02d}.rest", tuple(key for lane, key in keys.items() if lane not in AT_ONCE)),
    ]


@dataclass
class AmqpLink:
    """A carrier's line to RabbitMQ for some shards. Satisfies `appliance.relay.line.Link`."""

    server: Server
    client_id: str
    shards: Sequence[int]
    heartbeat: int = 60
    connect_timeout: float = 15.0
    clock: Callable[[], float] = time.monotonic
    up: bool = False
    eager: bool = False
    beat: float = 0.0
    version: str = "amqp"
    _happened: deque[Happening] = field(default_factory=deque)
    _acked: list[Happening] = field(default_factory=list)
    _generation: int = 0
    _deadline: float | None = None
    _loop: Any = None
    _connection: Any = None
    _channel: Any = None
    _published: int = 0
    _flying: set[int] = field(default_factory=set)
    _given: deque[int] = field(default_factory=deque)
    _finished: set[int] = field(default_factory=set)
    _blocked: bool = False
    _resumed: bool = True
    _left: list[Queue] = field(default_factory=list)
    _old: list[tuple[Any, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # what it has to say comes to us as Down

    # --- what the relay asks ------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more messages may wait for the broker's word; none while it has no memory left for them."""
        return max(0, WINDOW - len(self._flying)) if self.up and not self._blocked else 0

    @property
    def largest(self) -> int:
        """The most payload bytes of one message."""
        return LARGEST

    @property
    def stirred(self) -> bool:
        """True when something has happened that is worth a turn."""
        return bool(self._happened) or (self.eager and bool(self._acked))

    def happenings(self) -> Sequence[Happening]:
        """What has happened since the last call."""
        happened = [*self._acked, *self._happened]
        self._acked.clear()
        self._happened.clear()
        return happened

    def coming(self) -> Sequence[Message]:
        """Nothing: what has come is handed over whole."""
        return ()

    @property
    def spent(self) -> int:
        """Bytes that this connection has cost: nobody counts them in a data centre."""
        return 0

    def open(self) -> None:
        """Begin to connect; `Up` or `Down` follows."""
        self._drop()
        self._bury()
        now = self._generation
        self._deadline = self.clock() + self.connect_timeout
        self._loop = IOLoop()
        mine = partial(self._mine, now)
        self._connection = pika.SelectConnection(
            self._parameters(),
            on_open_callback=mine(self._connected),
            on_open_error_callback=mine(self._refused),
            on_close_callback=mine(self._closed),
            custom_ioloop=self._loop,
        )

    def publish(self, topic: str, payload: bytes, *, sure: bool = True) -> int:  # noqa: ARG002 - the line's form
        """Hand one message to the broker; its token."""
        if not self.up:
            raise LinkError("down")
        if self.room <= 0:
            raise LinkError("window")
        if len(payload) > LARGEST:
            raise LinkError("packet-size", f"{len(payload)} bytes, {LARGEST} are the most")
        try:
            self._channel.basic_publish(EXCHANGE, topic.replace("/", "."), payload, pika.BasicProperties(delivery_mode=PERSISTENT))
        except AMQPError as error:
            self._fail("lost", error)
            raise LinkError("lost", str(error)) from error
        self._published += 1
        self._flying.add(self._published)
        return self._token(self._published)

    def done(self, token: int) -> None:
        """The message is kept: the broker may forget it. Said with the next `wait`, many at a time."""
        if token >> 48 == self._generation:
            self._finished.add(token & 0xFFFF_FFFF_FFFF)

    def close(self, reason: str = "closed") -> None:
        """End the connection: politely, where it is one."""
        if self._connection is not None:
            self._acknowledge()
            polite, connection, loop = self.up, self._connection, self._loop
            self._fail(reason, None)
            if polite:
                connection.close()
                _turn(loop, partial(getattr, connection, "is_closed"))
        self._bury()

    def prod(self, within: float) -> None:
        """A carrier stands in a data centre, whose network does not become another one; AMQP's heartbeat finds a dead line."""

    # --- the hand on the crank ----------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let pika work until something has happened, at most so long."""
        self._acknowledge()
        self._bury()
        loop = self._loop
        if loop is None:
            time.sleep(0.0 if self._happened else seconds)
            return
        if self._deadline is not None:
            seconds = min(seconds, self._deadline - self.clock())
        timer = loop.call_later(0.0 if self.stirred else max(0.0, seconds), loop.stop)
        loop.start()
        if loop is not self._loop:
            return
        loop.remove_timeout(timer)
        if self._deadline is not None and self.clock() >= self._deadline:
            self._fail("timeout", None)

    def _acknowledge(self) -> None:
        """Everything up to the first message that somebody still works on, in one word."""
        last = 0
        while self._given and self._given[0] in self._finished:
            last = self._given.popleft()
            self._finished.discard(last)
        if last and self.up:
            try:
                self._channel.basic_ack(last, multiple=True)
            except AMQPError as error:
                self._fail("lost", error)

    # --- what pika tells ----------------------------------------------------------------------------------------------

    def _mine(self, generation: int, callback: Callable[..., None]) -> Callable[..., None]:
        """The callback of one connection: late calls of an old one are nothing."""

        def call(*args: Any) -> None:
            if generation == self._generation:
                callback(*args)

        return call

    def _connected(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(self._mine(self._generation, lambda *_: setattr(self, "_blocked", True)))
        connection.add_on_connection_unblocked_callback(self._mine(self._generation, lambda *_: setattr(self, "_blocked", False)))
        self._resumed, self._left = True, self._queues()
        connection.channel(on_open_callback=self._mine(self._generation, self._looking))

    def _looking(self, channel: Any) -> None:
        """Ask whether our queues are there: a broker that has none has forgotten what was waiting for us."""
        channel.add_on_close_callback(self._mine(self._generation, self._looked))
        self._look(channel)

    def _look(self, channel: Any, *_: Any) -> None:
        if not self._left:
            channel.close()
            return
        channel.queue_declare(self._left.pop().name, passive=True, callback=self._mine(self._generation, partial(self._look, channel)))

    def _looked(self, _channel: Any, reason: Any) -> None:
        code = getattr(reason, "reply_code", 0)
        if code == NOT_FOUND:
            self._resumed = False
        elif code not in (0, 200):
            self._fail(f"amqp-{code}", reason)
            return
        self._connection.channel(on_open_callback=self._mine(self._generation, self._opened))

    def _opened(self, channel: Any) -> None:
        self._channel, self._left = channel, self._queues()
        channel.add_on_close_callback(self._mine(self._generation, self._broken))
        channel.confirm_delivery(ack_nack_callback=self._mine(self._generation, self._confirmed))
        channel.basic_qos(prefetch_count=PREFETCH, callback=self._mine(self._generation, self._declare))

    def _declare(self, *_: Any) -> None:
        """The next queue, its binding, its consumer; after the last one the line is up."""
        if not self._left:
            self.up, self._deadline = True, None
            self._say(Up(self._resumed))
            return
        queue = self._left.pop()
        mine, channel, keys = partial(self._mine, self._generation), self._channel, list(queue.keys)

        def bind(*_: Any) -> None:
            if keys:
                channel.queue_bind(queue.name, EXCHANGE, keys.pop(), callback=mine(bind))
            else:
                tag = f"{self.client_id}/{queue.name}"
                channel.basic_consume(queue.name, mine(self._delivered), consumer_tag=tag, callback=mine(self._declare))

        channel.queue_declare(queue.name, durable=True, arguments=self._arguments(), callback=mine(bind))

    def _queues(self) -> list[Queue]:
        return [queue for shard in self.shards for queue in queues_of(shard)]

    def _arguments(self) -> dict[str, Any]:
        version = str((self._connection.server_properties or {}).get("version", ""))
        major = version.partition(".")[0]
        limit = {"x-delivery-limit": -1} if major.isdigit() and int(major) >= UNLIMITED_SINCE else {}
        return {"x-queue-type": "quorum", **limit}

    def _delivered(self, _channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        self._given.append(method.delivery_tag)
        self._happened.append(Message(method.routing_key.replace(".", "/"), body, self._token(method.delivery_tag)))
        if len(self._happened) == 1:  # what else has come with it is taken along: the loop stops after this round
            self._loop.stop()

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        numbers = [one for one in self._flying if one <= method.delivery_tag] if method.multiple else [method.delivery_tag]
        self._flying.difference_update(numbers)
        refusal = "" if method.NAME == "Basic.Ack" else "refused"
        (self._happened if refusal else self._acked).extend(Acked(self._token(one), refusal) for one in sorted(numbers))
        if self.stirred:
            self._loop.stop()

    def _refused(self, _connection: Any, error: Any) -> None:
        self._fail(*_reason(error))

    def _broken(self, _channel: Any, reason: Any) -> None:
        self._fail(f"amqp-{getattr(reason, 'reply_code', 0)}", reason)

    def _closed(self, _connection: Any, reason: Any) -> None:
        self._fail("lost", reason)

    # --- the end of a connection --------------------------------------------------------------------------------------

    def _say(self, happening: Happening) -> None:
        self._happened.append(happening)
        if self._loop is not None:
            self._loop.stop()

    def _fail(self, reason: str, error: object) -> None:
        """The connection has ended, or has not come about."""
        self._drop()
        self._happened.append(Down(reason, "" if error is None else str(error)))

    def _drop(self) -> None:
        """Let go of everything that belonged to a connection."""
        self._generation += 1
        self.up, self._blocked, self._deadline, self._published = False, False, None, 0
        for kept in (self._flying, self._given, self._finished, self._acked, self._left):
            kept.clear()
        if self._connection is not None:
            self._old.append((self._connection, self._loop))
            self._loop.stop()
        self._connection = self._channel = self._loop = None

    def _bury(self) -> None:
        """Close what old connections held; not from inside pika's loop."""
        while self._old:
            connection, loop = self._old.pop()
            if not connection.is_closed:
                connection._terminate_stream(AMQPError("left"))  # noqa: SLF001 - no public word leaves without a handshake; it wants a reason
                _turn(loop, partial(getattr, connection, "is_closed"))
            loop.close()

    def _parameters(self) -> Any:
        said = self.server
        if said.username:
            credentials: Any = pika.PlainCredentials(said.username, said.password, erase_on_connect=True)
        elif said.context is not None:
            credentials = pika.credentials.ExternalCredentials()
        else:
            credentials = pika.PlainCredentials("guest", "guest")  # RabbitMQ takes it from loopback alone
        tls = None if said.context is None else pika.SSLOptions(said.context, said.host)
        return pika.ConnectionParameters(
            said.host, said.port, said.vhost, credentials,
            heartbeat=self.heartbeat, ssl_options=tls, connection_attempts=1, socket_timeout=self.connect_timeout,
            stack_timeout=self.connect_timeout, blocked_connection_timeout=None,
            client_properties={"connection_name": self.client_id}, tcp_options={"TCP_NODELAY": 1},
        )  # fmt: skip

    def _token(self, number: int) -> int:
        return self._generation << 48 | number


_REASONS = {
    "ConnectionRefusedError": "refused",
    "SSLCertVerificationError": "certificate",
    "SSL": "tls",
    "gaierror": "name",
    "Timeout": "timeout",
    "ACCESS_REFUSED": "not-authorized",
    "Authentication": "not-authorized",
    "Unreachable": "unreachable",
}
"""What pika's words about an attempt that failed have in them, and our word for it. pika nests the cause in other errors' texts."""


def _reason(error: Any) -> tuple[str, str]:
    """A short word and the words of an attempt that has failed."""
    words = repr(error)
    return next((word for sign, word in _REASONS.items() if sign in words), "lost"), words[:200]


def _turn(loop: Any, done: Callable[[], bool], most: float = 1.0) -> None:
    """Let pika work until `done()`, at most so many seconds."""
    end = time.monotonic() + most
    while not done() and time.monotonic() < end:
        loop.call_later(0.01, loop.stop)
        loop.start()
