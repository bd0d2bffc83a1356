"""Telling a running Mosquitto whom to let in and whom to shut out: its dynamic-security plugin's control topic, spoken as tram-admin.

A certificate is looked at when a connection begins, and a list of revoked serials too: neither ends a connection that stands.
The plugin does, at once (docs/decisions/0013).
"""

import json
import time
from collections.abc import Sequence
from typing import Any

from appliance.relay.line import Acked, Down, Message, Up
from appliance.relay.link import Broker, MqttLink, tls_context
from appliance.settings import Settings
from cloud_bridge import topicwalls
from cloud_bridge.topicwalls import ADMIN, CONTROL, Resident

SECONDS = 15.0
"""How long the broker may take to answer."""


class BrokerDoor:
    """The control topic of the broker that the settings name. OSError from every call when it cannot be told now."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def shut_out(self, station: str) -> None:
        """Cut a station's connection and leave it without a right. One that the broker never knew is shut out already."""
        self._tell(topicwalls.commands_to_shut_out(station))

    def admit(self, station: str, shard: int) -> None:
        """Let a station do what the table says, whatever it could before."""
        self._tell(topicwalls.commands_to_admit(Resident(station, shard)))

    def _tell(self, commands: Sequence[dict[str, Any]]) -> None:
        said, named = self._settings.broker, self._settings.bridge
        files = (None if one is None else str(one) for one in (said.ca, named.admin_cert, named.admin_key))
        broker = Broker(said.host, said.port, tls_context(*files) if said.tls else None, version="5")
        link = MqttLink(broker, client_id=ADMIN, topics=[CONTROL + "/response"], keepalive=60, connect_timeout=SECONDS, keep=False)
        try:
            _exchange(link, json.dumps({"commands": list(commands)}).encode(), commands)
        finally:
            link.close()


def _exchange(link: MqttLink, request: bytes, commands: Sequence[dict[str, Any]]) -> None:
    """Say it, wait for the answer to each command, and refuse to believe a broker that says no to one that matters."""
    until = time.monotonic() + SECONDS
    link.open()
    while time.monotonic() < until:
        link.wait(0.2)
        for one in link.happenings():
            if isinstance(one, Up):
                link.publish(CONTROL, request)
            elif isinstance(one, Down):
                raise OSError(f"the broker is away: {one.reason} {one.detail}")
            elif isinstance(one, Acked) and one.refusal:
                raise OSError(f"the broker does not let {ADMIN} speak: {one.refusal}")
            elif isinstance(one, Message):
                link.done(one.token)
                answers = json.loads(one.payload).get("responses", [])
                if len(answers) == len(commands):
                    _judge(answers)
                    return
    raise OSError("the broker did not answer: is its dynamic-security plugin on?")


_FINE = frozenset({"Client not found", "Role not found", "Internal error"})
"""What a plugin says of somebody whom it does not know, or does not know any more."""


def _judge(answers: Sequence[dict[str, Any]]) -> None:
    bad = [f"{one.get('command')}: {one['error']}" for one in answers if one.get("error") and one["error"] not in _FINE]
    if bad:
        raise OSError("the broker says no: " + ", ".join(bad))
