"""Where a carrier's messages come from: an MQTT broker's kept session, or RabbitMQ's quorum queues over AMQP.

A source hands over batches of messages and is told, after the commit, which of them are kept. That is the relay's `Link`:
`happenings()` gives the batch (topic, payload and token of each message, among what else has happened to the line) and
`done(token)` ends a message. A source is a link and not half of one because receipts and answers go back on the same
connection, and because what the relay does when a connection goes up or down is the same behind every broker (0012).

Urgent lanes have a queue of their own at the broker: after an outage the rest is a national day long, and a request for
help sent now must not stand at its end.
"""

import time
import zlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Protocol

from appliance.contract.lanes import AT_ONCE, Lane
from appliance.contract.topics import UP
from appliance.relay.line import Acked, Down, Happening, Link, Message, Up
from appliance.relay.link import Broker, MqttLink, tls_context
from appliance.settings import Settings

GROUP_BYTES = 12 * 1024
"""Payload of the first group of a backlog: 500 to 1,000 events. How long it took says how large the next one is."""
GROUP_SECONDS = 0.5
"""What a group is to take, commit included: an urgent message that arrives meanwhile waits so long, and is receipted in the turn that takes
it. The larger the group, the smaller the part of its statements and its commit (a group of half the size costs a tenth more CPU)."""
LEAST_GROUP, MOST_GROUP = 8 * 1024, 64 * 1024
"""A commit has a price of its own: on a busy machine groups that shrink further make everything slower and nothing sooner."""
FLOOR = 20
"""One part in so many of a group is the rest's while urgent messages never stop."""
OPENING = 0.05
"""Seconds between two looks at the second line while it is being connected."""
KEEPALIVE = 60
"""Seconds of silence after which a carrier's line shows that it is alive; a data centre pays for no bytes."""


class Source(Link, Protocol):
    """A link with the hand on its crank, as the carrier's loop turns it."""

    @property
    def stirred(self) -> bool:
        """True when something has happened that is worth a turn."""
        ...

    def wait(self, seconds: float) -> Any:
        """Wait for something to happen, at most so long."""
        ...

    def coming(self) -> Iterable[Message]:
        """Messages that are here and that `happenings` will hand over next, in that order; some or none of them."""
        ...

    def close(self, reason: str = "closed") -> None:
        """End the connection."""
        ...


def client_id(shards: Iterable[int], *, urgent: bool = False) -> str:
    """The fixed name of the carrier of these shards, of its line for the urgent lanes apart: at most 23 letters, as MQTT 3.1.1 asks.

    >>> client_id([7])
    'tram-bridge-07'
    """
    names = [f"{shard:02d}" for shard in sorted(set(shards))]
    more = f"-{zlib.crc32(','.join(names).encode()):08x}" if len(names) > 1 else ""
    return f"tram-{'urgent' if urgent else 'bridge'}-{names[0]}{more}"


def filters(shard: int, *, urgent: bool) -> list[str]:
    """What a carrier of a shard subscribes to on its line for the urgent lanes, or for the rest.

    >>> filters(7, urgent=True)
    ['v1/07/+/up/0', 'v1/07/+/up/1']
    """
    return [f"v1/{shard:02d}/+/{UP}/{lane:d}" for lane in Lane if (lane in AT_ONCE) is urgent]


def next_group(size: int, given: int, seconds: float) -> int:
    """The bytes of the next group, after `given` of at most `size` took so many seconds.

    >>> next_group(12_288, 12_288, 3.0), next_group(12_288, 12_288, 0.4), next_group(12_288, 1_024, 0.01)
    (8192, 15360, 24576)
    """
    fits = int(given * GROUP_SECONDS / max(seconds, 0.001))
    return max(LEAST_GROUP, min(fits, 2 * size, MOST_GROUP))


class Express:
    """Two MQTT sessions as one link: urgent lanes, and the way down, have one to themselves. Satisfies `Source`.

    It is up while both are. A token is that of its session doubled, odd for the second one. What is urgent is handed over alone:
    the relay commits it before it sees another group of the rest. `clock` gives seconds and never steps.
    """

    def __init__(self, urgent: MqttLink, rest: MqttLink, clock: Callable[[], float] = time.monotonic) -> None:
        self.links = (urgent, rest)
        self.up = False
        self._resumed: dict[int, bool] = {}
        self._soon: deque[Message] = deque()
        self._later: deque[Message] = deque()
        self._clock = clock
        self._sizes: defaultdict[str, int] = defaultdict(lambda: GROUP_BYTES)
        self._given: tuple[float, float, set[str]] | None = None
        self._passed = False
        self.beat = 0.0

    @property
    def eager(self) -> bool:
        """As the relay set it: only the urgent line publishes."""
        return self.links[0].eager

    @eager.setter
    def eager(self, value: bool) -> None:
        self.links[0].eager = value

    @property
    def room(self) -> int:
        """How many more messages the broker lets us have un-PUBACKed."""
        return self.links[0].room if self.up else 0

    @property
    def largest(self) -> int:
        """The most payload bytes the broker takes in one of our messages."""
        return self.links[0].largest

    @property
    def spent(self) -> int:
        """Bytes that both connections have cost."""
        return sum(one.spent for one in self.links)

    @property
    def stirred(self) -> bool:
        """True when something has happened that is worth a turn."""
        return bool(self._soon or self._later) or any(one.stirred for one in self.links)

    def open(self) -> None:
        """Begin to connect both."""
        self._forget()
        for one in self.links:
            one.open()

    def happenings(self) -> Sequence[Happening]:
        """What has happened since the last call, and a group of what is urgent or, where nothing is, of the rest."""
        told: list[Happening] = []
        for place, (link, queue) in enumerate(zip(self.links, (self._soon, self._later), strict=True)):
            for one in link.happenings():
                if isinstance(one, Message):
                    queue.append(Message(one.topic, one.payload, one.token << 1 | place))
                else:
                    told += self._told(place, one)
        fallen = [one for one in told if isinstance(one, Down)]
        return fallen[:1] if fallen else [*told, *self._group()]

    def coming(self) -> Iterable[Message]:
        """What is urgent, then the rest."""
        return chain(self._soon, self._later)

    def _group(self) -> list[Message]:
        now = self._clock()
        if self._given is not None:
            since, full, lanes = self._given
            for lane in lanes:
                self._sizes[lane] = next_group(self._sizes[lane], int(self._sizes[lane] * full), now - since)
        group, full = self._front(self._soon, 1.0)
        share = 0.0 if group and not self._passed else 1 / FLOOR if group else 1.0
        self._passed = bool(group) and not share
        rest, more = self._front(self._later, share)
        lanes = {_lane(one) for one in group or rest}  # beside a group of urgent ones the little of the rest teaches nothing
        group += rest
        full += more
        waits = self._soon or self._later  # without, the time until the next call may be spent waiting
        self._given = (now, full, lanes) if full >= 1.0 and waits else None
        return group

    def _front(self, queue: deque[Message], share: float) -> tuple[list[Message], float]:
        """Messages off the front until they are so large a part of a group, and what part they are. A byte of readings is ten times the
        work of a byte of a request or a picture, so each lane has learnt its own size of a group.
        """
        group: list[Message] = []
        full = 0.0
        while queue and full < share:
            group.append(queue.popleft())
            full += max(1, len(group[-1].payload)) / self._sizes[_lane(group[-1])]
        return group, full

    def publish(self, topic: str, payload: bytes, *, sure: bool = True) -> int:
        """Hand one message to the broker; its token."""
        return self.links[0].publish(topic, payload, sure=sure) << 1

    def done(self, token: int) -> None:
        """PUBACK a message, when it came by one of these connections."""
        self.links[token & 1].done(token >> 1)

    def prod(self, within: float) -> None:
        """The network may be another one."""
        for one in self.links:
            one.prod(within)

    def wait(self, seconds: float) -> None:
        """Wait until something happens on one of the two."""
        urgent, rest = self.links
        rest.flush()  # its PUBACKs do not sit out the other one's wait
        if self.stirred:
            seconds = 0.0
        elif rest.descriptor >= 0 and not rest.up:
            seconds = min(seconds, OPENING)
        urgent.wait(min(seconds, KEEPALIVE / 8), *([rest.descriptor] if rest.descriptor >= 0 else []))
        rest.wait(0.0)

    def close(self, reason: str = "closed") -> None:
        """End both."""
        for one in self.links:
            one.close(reason)

    def _told(self, place: int, one: Acked | Up | Down) -> list[Happening]:
        match one:
            case Acked():
                return [Acked(one.token << 1 | place, one.refusal, one.nobody)]
            case Up():
                self._resumed[place] = one.resumed
                self.up = len(self._resumed) == len(self.links)
                return [Up(all(self._resumed.values()))] if self.up else []
            case Down():
                return self._fallen(place, one)

    def _fallen(self, place: int, down: Down) -> list[Happening]:
        """One line is gone: the other one goes too, and both are made anew together."""
        one, other = self.links[place], self.links[1 - place]
        other.close(down.reason)
        other.happenings()
        other.version = one.version
        self._forget()
        return [down]

    def _forget(self) -> None:
        self.up, self._given = False, None
        self._resumed.clear()
        self._soon.clear()
        self._later.clear()


def _lane(message: Message) -> str:
    """The last level of the topic."""
    return message.topic.rpartition("/")[2]


def source_of(settings: Settings, shards: Iterable[int]) -> Source:
    """The source that ``broker.kind`` names, for some shards; nothing is opened yet. OSError when a file of the settings cannot be read."""
    said, shards = settings.broker, sorted(set(shards))
    context = tls_context(*(None if one is None else str(one) for one in (said.ca, said.cert, said.key))) if said.tls else None
    password = said.password_file.read_text().strip() if said.password_file is not None else ""
    if said.kind == "amqp":
        from cloud_bridge.amqp import AmqpLink, Server

        server = Server(said.host, said.port, context, said.username, password, said.vhost)
        return AmqpLink(server, client_id(shards), shards, heartbeat=KEEPALIVE, connect_timeout=settings.link.connect_timeout_s)
    broker = Broker(said.host, said.port, context, said.username, password, said.mqtt)

    def line(urgent: bool) -> MqttLink:
        topics = [one for shard in shards for one in filters(shard, urgent=urgent)]
        return MqttLink(
            broker,
            client_id(shards, urgent=urgent),
            topics,
            keep=True,
            keepalive=KEEPALIVE,
            connect_timeout=settings.link.connect_timeout_s,
            together=True,
        )

    return Express(line(True), line(False))
