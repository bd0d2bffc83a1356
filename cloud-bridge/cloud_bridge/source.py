"""Where a carrier's messages come from: an MQTT broker's kept session, or RabbitMQ's quorum queues over AMQP.

A source hands over batches of messages and is told, after the commit, which of them are kept. That is the relay's `Link`:
`happenings()` gives the batch (topic, payload and token of each message, among what else has happened to the line) and
`done(token)` ends a message. A source is a link and not half of one because receipts and answers go back on the same
connection, and because what the relay does when a connection goes up or down is the same behind every broker (0012).
"""

import zlib
from collections.abc import Iterable
from typing import Any, Protocol

from appliance.contract.topics import shard_filter
from appliance.relay.line import Link
from appliance.relay.link import Broker, MqttLink, tls_context
from appliance.settings import Settings

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

    def close(self, reason: str = "closed") -> None:
        """End the connection."""
        ...


def client_id(shards: Iterable[int]) -> str:
    """The fixed name of the carrier of these shards: at most 23 letters, as MQTT 3.1.1 asks.

    >>> client_id([7])
    'tram-bridge-07'
    """
    names = [f"{shard:02d}" for shard in sorted(set(shards))]
    return f"tram-bridge-{names[0]}" + (f"-{zlib.crc32(','.join(names).encode()):08x}" if len(names) > 1 else "")


def source_of(settings: Settings, shards: Iterable[int]) -> Source:
    """The source that ``broker.kind`` names, for some shards; nothing is opened yet. OSError when a file of the settings cannot be read."""
    said, shards = settings.broker, sorted(set(shards))
    context = tls_context(*(None if one is None else str(one) for one in (said.ca, said.cert, said.key))) if said.tls else None
    password = said.password_file.read_text().strip() if said.password_file is not None else ""
    if said.kind == "amqp":
        from cloud_bridge.amqp import AmqpLink, Server

        server = Server(said.host, said.port, context, said.username, password, said.vhost)
        return AmqpLink(server, client_id(shards), shards, heartbeat=KEEPALIVE, connect_timeout=settings.link.connect_timeout_s)
    return MqttLink(
        Broker(said.host, said.port, context, said.username, password, said.mqtt),
        client_id=client_id(shards),
        topics=[shard_filter(shard) for shard in shards],
        keep=True,
        keepalive=KEEPALIVE,
        connect_timeout=settings.link.connect_timeout_s,
    )
