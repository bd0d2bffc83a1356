"""RabbitMQ between the stations, which speak MQTT, and the bridge, which takes from quorum queues."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.contract.lanes import Lane
from appliance.contract.topics import DOWN, UP, station_filter, topic
from appliance.relay.line import Acked, Down, LinkError, Message, Up
from appliance.relay.link import Broker, MqttLink
from cloud_bridge.amqp import LARGEST, AmqpLink, Server, queues_of
from tests import servers
from tests.bridge.rabbit import Rabbit, rabbitmq
from tests.polling import until
from tests.relay.site import SHARD, STATION, Site

PATIENCE = 60.0
"""Seconds that one step may take: Erlang is slow where a machine has other work."""
SETTLED = 8.0
"""Seconds after which a queue survives the broker's sudden death: RabbitMQ 3.10 writes a new queue's election to its disk every 5 s, and a
queue that dies before it never chooses a leader again (docs/decisions: 0012). A queue is made once in a broker's life."""
HEARD = topic(SHARD, STATION, UP, Lane.READINGS)


@contextmanager
def running() -> Iterator[Rabbit]:
    """A RabbitMQ with a node name, ports and a home of its own."""
    made = rabbitmq()
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def started() -> Iterator[Rabbit]:
    """One for the tests of this file: it takes seconds to start."""
    with running() as made:
        yield made


@pytest.fixture
def rabbit(started: Rabbit) -> Rabbit:
    """It, running: started again where a test before has left it dead."""
    if not started.alive:
        started.start()
    return started


@pytest.fixture
def mortal() -> Iterator[Rabbit]:
    """One that is killed on the way: nobody else's."""
    with running() as made:
        yield made


class End:
    """A link with everything it has told so far."""

    def __init__(self, link: AmqpLink | MqttLink) -> None:
        self.link = link
        self.told: list[object] = []

    def turn(self) -> list[object]:
        """One wait; all that has ever happened."""
        self.link.wait(0.02)
        self.told += self.link.happenings()
        return self.told

    def open(self) -> "End":
        """Connect and be up."""
        self.link.open()
        until(lambda: any(isinstance(one, Up) for one in self.turn()), PATIENCE, every=0.0, what="the line to be up")
        return self

    def messages(self) -> list[Message]:
        """The messages that have come."""
        return [one for one in self.turn() if isinstance(one, Message)]

    def acked(self) -> int:
        """How many of ours the broker has taken."""
        return sum(isinstance(one, Acked) for one in self.turn())


class Ends:
    """The links of one test, all of them closed with it, however it ends."""

    def __init__(self, rabbit: Rabbit) -> None:
        self.rabbit = rabbit
        self.made: list[End] = []

    def bridge(self, name: str = "carrier", shard: int = SHARD, *, port: int = 0, username: str = "", password: str = "") -> End:
        """A carrier's end."""
        server = Server("127.0.0.1", port or self.rabbit.amqp, None, username, password)
        return self._kept(End(AmqpLink(server, name, [shard])))

    def station(self, name: str = "tram-0001") -> End:
        """A station's end."""
        broker = Broker("127.0.0.1", self.rabbit.mqtt, version="3.1.1")
        return self._kept(End(MqttLink(broker, name, [station_filter(SHARD, STATION, DOWN)])))

    def _kept(self, end: End) -> End:
        self.made.append(end)
        return end


@pytest.fixture
def ends(rabbit: Rabbit) -> Iterator[Ends]:
    """What makes this test's links."""
    made = Ends(rabbit)
    try:
        yield made
    finally:
        for one in made.made:
            one.link.close()


def test_what_a_station_says_over_mqtt_comes_out_of_the_queue_and_back(ends: Ends) -> None:
    """Topics keep their slashes, payloads their bytes; what the bridge says arrives at the station with QoS 1."""
    carrier, box = ends.bridge().open(), ends.station().open()
    box.link.publish(HEARD, b"\x00up\xff")
    until(carrier.messages, PATIENCE, every=0.0, what="the message")
    assert [(one.topic, one.payload) for one in carrier.messages()] == [(HEARD, b"\x00up\xff")]
    carrier.link.done(carrier.messages()[0].token)
    carrier.link.publish(topic(SHARD, STATION, DOWN, Lane.URGENT), b"\x00down\xff")
    until(lambda: carrier.acked() and box.messages(), PATIENCE, every=0.0, what="the answer")
    assert [(one.topic, one.payload) for one in box.messages()] == [(topic(SHARD, STATION, DOWN, Lane.URGENT), b"\x00down\xff")]
    until(lambda: box.acked() == 1, PATIENCE, every=0.0, what="the broker to take the station's message")


def test_what_was_not_finished_comes_again_in_order_and_what_was_does_not(ends: Ends) -> None:
    """A carrier that dies between two commits loses nothing; one that comes later finds what came while nobody was there."""
    carrier, box = ends.bridge().open(), ends.station().open()
    for number in range(5):
        box.link.publish(HEARD, b"%d" % number)
    until(lambda: len(carrier.messages()) == 5, PATIENCE, every=0.0, what="five messages")
    for one in carrier.messages()[:2]:
        carrier.link.done(one.token)
    carrier.link.close()
    box.link.publish(HEARD, b"5")
    until(lambda: box.acked() == 6, PATIENCE, every=0.0, what="the broker to have all")
    second = ends.bridge().open()
    until(lambda: len(second.messages()) == 4, PATIENCE, every=0.0, what="the rest")
    assert [one.payload for one in second.messages()] == [b"2", b"3", b"4", b"5"]
    assert Up(resumed=True) in second.told
    for one in second.messages():
        second.link.done(one.token)
    second.link.close()
    third = ends.bridge().open()
    assert third.messages() == []


def test_a_queue_is_a_quorum_queue_of_its_shard_alone(rabbit: Rabbit, ends: Ends) -> None:
    """Another shard's carrier hears nothing of this one; a queue that is new says that nothing was kept."""
    mine, other = ends.bridge().open(), ends.bridge("other", 9).open()
    assert Up(resumed=False) in other.told
    box = ends.station().open()
    box.link.publish(HEARD, b"x")
    until(mine.messages, PATIENCE, every=0.0, what="the message")
    assert other.messages() == []
    mine.link.done(mine.messages()[0].token)
    for end in (mine, other, box):
        end.link.close()
    listed, bound = rabbit.control("list_queues", "name", "type", "durable"), rabbit.control("list_bindings", "routing_key")
    for queue in queues_of(SHARD):
        assert f"{queue.name}\tquorum\ttrue" in listed
        assert set(queue.keys) <= set(bound.split())


def test_a_broker_that_is_not_there_or_does_not_know_us_is_said_so(ends: Ends, free_port) -> None:
    """The reason is one short word; nothing is published meanwhile, and nothing too large ever."""
    away = ends.bridge(port=free_port())
    away.link.open()
    until(lambda: any(isinstance(one, Down) for one in away.turn()), PATIENCE, every=0.0, what="the refusal")
    assert [one.reason for one in away.told if isinstance(one, Down)] == ["refused"]
    stranger = ends.bridge(username="nobody", password="wrong")
    stranger.link.open()
    until(lambda: any(isinstance(one, Down) for one in stranger.turn()), PATIENCE, every=0.0, what="the refusal")
    assert [one.reason for one in stranger.told if isinstance(one, Down)] == ["not-authorized"]
    with pytest.raises(LinkError, match="down"):
        away.link.publish(HEARD, b"x")
    known = ends.bridge().open()
    with pytest.raises(LinkError, match="packet-size"):
        known.link.publish(HEARD, bytes(LARGEST + 1))


def sockets() -> int:
    """How many sockets this process has open."""
    return sum(os.readlink(one).startswith("socket:") for one in Path("/proc/self/fd").iterdir() if one.is_symlink())


def test_a_line_that_is_left_without_a_farewell_leaves_nothing_open(ends: Ends) -> None:
    """A carrier that gives up a line in the middle of anything closes its socket and connects anew: it does not end."""
    carrier = ends.bridge().open()
    before = sockets()
    for _ in range(2):
        carrier.link.open()
        carrier.turn()
    carrier.told.clear()
    carrier.open()
    carrier.link.open()
    until(lambda: sum(isinstance(one, Up) for one in carrier.turn()) == 2, PATIENCE, every=0.0, what="the line to be up again")
    assert sockets() == before


def test_the_commands_carry_through_rabbitmq_and_its_sudden_death(mortal: Rabbit, tmp_path: Path) -> None:
    """`tram carry` over MQTT, `tram-bridge carry` over AMQP: all arrives once, also when carrier and broker are killed on the way."""
    site = Site(tmp_path, mortal.mqtt)
    try:
        (tmp_path / "amqp.toml").write_text(f'[broker]\nkind = "amqp"\nport = {mortal.amqp}\n')
        site.start("tram", "carry")
        _carry(site)
        site.record((0, 1, 2, 2, 3))
        until(lambda: site.waiting() == 0, 2 * PATIENCE, what="everything to be received")
        settled = time.monotonic() + SETTLED
        until(lambda: time.monotonic() >= settled, 2 * SETTLED, what="the broker to have its queues on its disk")
        site.kill("tram-bridge")
        site.record((2,) * 20)
        mortal.kill()
        mortal.start()
        _carry(site)
        site.record((0, 2))
        until(lambda: site.waiting() == 0, 3 * PATIENCE, what="everything to be received after the kills")
        assert (site.missing(), site.doubled()) == (set(), 0)
        assert len(site.received()) >= 27
        assert servers.stop(site.running.pop("tram-bridge")) == 0
    finally:
        site.close()


def _carry(site: Site) -> None:
    files = ["--config", str(site.file), "--config", str(site.folder / "amqp.toml")]
    command = [*site.command("tram-bridge")[:-2], *files, "carry"]
    site.running["tram-bridge"] = servers.start(command, site.folder / "carrier.log")
