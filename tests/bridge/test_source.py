"""The carrier's source over MQTT: two sessions that look like one link; and one carrier for each shard."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from appliance.contract.lanes import Lane
from appliance.contract.topics import UP, topic
from appliance.relay.line import Down, Message, Up
from appliance.relay.link import Broker, MqttLink
from appliance.settings import SettingsError, load
from cloud_bridge.amqp import AmqpLink
from cloud_bridge.source import GROUP_BYTES, GROUP_SECONDS, LEAST_GROUP, Express, client_id, filters, source_of
from cloud_bridge.store.shards import ShardTakenError, held
from tests import servers
from tests.polling import until

SHARD = 7
URGENT, LATER = topic(SHARD, "tram-0001", UP, Lane.URGENT), topic(SHARD, "tram-0001", UP, Lane.READINGS)

Make = Callable[[], tuple[Express, list[Message]]]


class Hand:
    """A clock on which every group takes as long as it may (`step`), and longer where a test says so."""

    def __init__(self) -> None:
        self.now, self.step = 100.0, GROUP_SECONDS

    def __call__(self) -> float:
        """Seconds."""
        self.now += self.step
        return self.now


@pytest.fixture
def clock() -> Hand:
    """The carrier's clock."""
    return Hand()


@pytest.fixture
def carrier(broker: servers.Broker, clock: Hand) -> Iterator[Make]:
    """A function that makes a carrier's link to a running broker, connected, with the messages that came at once."""
    made: list[Express] = []

    def make() -> tuple[Express, list[Message]]:
        where = Broker("127.0.0.1", broker.port)
        lines = [MqttLink(where, client_id([SHARD], urgent=one), filters(SHARD, urgent=one), keep=True) for one in (True, False)]
        made.append(Express(*lines, clock))
        return made[-1], [one for one in connect(made[-1]) if isinstance(one, Message)]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def station(broker: servers.Broker) -> Iterator[MqttLink]:
    """A station's link, connected."""
    link = MqttLink(Broker("127.0.0.1", broker.port), "tram-0001", ["v1/07/tram-0001/down/+"])
    connect(link)
    yield link
    link.close()


BACKLOG = [b"%1024d" % number for number in range(4 * GROUP_BYTES // 1024)]


def connect(link: Express | MqttLink) -> list[object]:
    """Up, whatever version the broker speaks; what was told on the way."""
    told: list[object] = []
    link.open()

    def look() -> bool:
        link.wait(0.02)
        for one in link.happenings():
            told.append(one)
            if isinstance(one, Down):
                assert one.again, one
                link.open()
        return link.up

    until(look, 20.0, every=0.0, what="the line")
    return told


def heard(link: Express, number: int) -> list[Message]:
    """The next messages, `number` at least."""
    found: list[Message] = []

    def look() -> bool:
        link.wait(0.02)
        found.extend(one for one in link.happenings() if isinstance(one, Message))
        return len(found) >= number

    until(look, 20.0, every=0.0, what=f"{number} messages")
    return found


def publish(link: MqttLink, where: str, payloads: list[bytes]) -> None:
    """Everything, as fast as the window lets."""
    for payload in payloads:
        until(lambda: link.wait(0.0) is not None and link.happenings() is not None and link.room > 0, every=0.0, what="room")
        link.publish(where, payload)
    link.wait(0.05)


def test_an_urgent_message_does_not_wait_behind_a_backlog(carrier: Make, station: MqttLink, broker: servers.Broker) -> None:
    """What piled up while the carrier was away is handed over in groups; what is urgent comes with the first of them."""
    if broker.kind == "iotcore":
        pytest.skip("iotcore is the demo's broker: it does not always give a session back with what it kept")
    carrier()[0].close()
    publish(station, LATER, BACKLOG)
    publish(station, URGENT, [b"help"])
    link, first = carrier()
    got = [first]
    for one in first:
        link.done(one.token)

    while sum(map(len, got)) <= len(BACKLOG):
        got.append(group(link))
    assert max(sum(len(one.payload) for one in some if one.topic == LATER) for some in got[1:]) <= GROUP_BYTES + 1024
    before = [one.payload for some in got for one in some]
    assert before.index(b"help") <= 2 * GROUP_BYTES // 1024  # it may come with the second group, never at the end
    assert [one for one in before if one != b"help"] == BACKLOG


def group(link: Express) -> list[Message]:
    """The next group, acknowledged as after its commit."""
    got: list[Message] = []

    def look() -> bool:
        link.wait(0.02)
        got.extend(one for one in link.happenings() if isinstance(one, Message))
        return bool(got)

    until(look, 20.0, every=0.0, what="a group")
    for one in got:
        link.done(one.token)
    return got


def test_what_becomes_urgent_in_the_middle_of_a_backlog_is_handed_over_next_and_alone(
    carrier: Make, station: MqttLink, broker: servers.Broker
) -> None:
    """Of the rest the relay commits the group at hand at most before a request that has just arrived; then the rest goes on."""
    if broker.kind == "iotcore":
        pytest.skip("iotcore is the demo's broker: it does not always give a session back with what it kept")
    carrier()[0].close()
    publish(station, LATER, BACKLOG)
    link, first = carrier()
    for one in first:
        link.done(one.token)
    for number in range(2):  # before the first, the broker has sent 20 messages at most
        publish(station, URGENT, [b"help %d" % number])
        until(lambda: not link.links[0].wait(0.0) and link.links[0].stirred, every=0.0, what="the request at the carrier's door")
        assert [one.payload for one in group(link)] == [b"help %d" % number]
        assert {one.topic for one in group(link)} == {LATER}


def test_the_rest_moves_while_urgent_messages_never_stop(carrier: Make, station: MqttLink, broker: servers.Broker) -> None:
    """Every other group of urgent ones has a little of the rest with it."""
    if broker.kind == "iotcore":
        pytest.skip("iotcore is the demo's broker: it does not always give a session back with what it kept")
    carrier()[0].close()
    publish(station, LATER, BACKLOG)
    publish(station, URGENT, BACKLOG)
    link, first = carrier()
    for one in first:
        link.done(one.token)
    groups = [first] if first else []
    while sum(one.topic == URGENT for some in groups for one in some) < len(BACKLOG):
        groups.append(group(link))
    mixed = [some for some in groups[:-1] if some[0].topic == URGENT and some[-1].topic == LATER]
    assert mixed and all(sum(one.topic == LATER for one in some) <= 2 for some in mixed)


def test_a_slow_database_makes_the_groups_smaller(carrier: Make, station: MqttLink, broker: servers.Broker, clock: Hand) -> None:
    """A group that took ten times as long as it may is followed by small ones, and these grow when it is fast again."""
    if broker.kind == "iotcore":
        pytest.skip("iotcore is the demo's broker: it does not always give a session back with what it kept")
    carrier()[0].close()
    publish(station, LATER, BACKLOG)
    link, first = carrier()
    for one in first:
        link.done(one.token)
    sizes = []
    while sum(sizes) + sum(len(one.payload) for one in first) < 1024 * len(BACKLOG):
        sizes.append(sum(len(one.payload) for one in group(link)))
        clock.now += 10 * GROUP_SECONDS
    full = next(place for place, size in enumerate(sizes) if size >= GROUP_BYTES)
    assert 0 < max(sizes[full + 1 :]) <= LEAST_GROUP + 1024


def test_the_size_of_a_group_is_learnt_for_each_lane(carrier: Make, station: MqttLink, broker: servers.Broker, clock: Hand) -> None:
    """Requests are quickly taken, byte for byte: the groups of readings behind them do not begin with the size that fitted those."""
    if broker.kind == "iotcore":
        pytest.skip("iotcore is the demo's broker: it does not always give a session back with what it kept")
    carrier()[0].close()
    clock.step = GROUP_SECONDS / 16
    publish(station, LATER, BACKLOG)
    publish(station, URGENT, [*BACKLOG, *BACKLOG])
    link, first = carrier()
    for one in first:
        link.done(one.token)
    groups = [first] if first else []
    while sum(one.topic == LATER for some in groups for one in some) < 3 * GROUP_BYTES // 1024:
        groups.append(group(link))
    urgent = [sum(len(one.payload) for one in some) for some in groups if {one.topic for one in some} == {URGENT}]
    rest = [sum(len(one.payload) for one in some) for some in groups if {one.topic for one in some} == {LATER}]
    assert max(urgent) > GROUP_BYTES + 1024
    assert rest[0] <= GROUP_BYTES + 1024


def test_what_was_not_done_comes_again_and_what_was_does_not(carrier: Make, station: MqttLink) -> None:
    """On either session: `done` acknowledges the very message."""
    link, _ = carrier()
    publish(station, LATER, [b"a", b"b"])
    publish(station, URGENT, [b"c", b"d"])
    for one in heard(link, 4):
        if one.payload in (b"a", b"c"):
            link.done(one.token)
    until(lambda: link.wait(0.0) is None and not link.links[0].stirred, what="the acknowledgements to leave")
    link.close()
    again, first = carrier()
    assert sorted(one.payload for one in [*first, *heard(again, 2 - len(first))]) == [b"b", b"d"]


def test_one_line_takes_the_other_with_it_and_both_come_back(carrier: Make, broker: servers.Broker) -> None:
    """The relay hears of one `Down` and one `Up`, however the two connections end."""
    link, _ = carrier()
    link.links[1].close("cut")
    assert [type(one) for one in link.happenings()] == [Down]
    assert not link.up and not link.links[0].up
    assert [type(one) for one in connect(link) if not (isinstance(one, Down) and one.again)] == [Up]


def test_the_settings_say_which_source_it_is(tmp_path: Path) -> None:
    """`broker.kind`; a port of the other language is refused with an example."""
    file = tmp_path / "tram.toml"
    file.write_text("[broker]\nport = 1883\n")
    assert isinstance(source_of(load([file]), [1]), Express)
    file.write_text('[broker]\nkind = "amqp"\nport = 5672\nvhost = "/tram"\n')
    link = source_of(load([file]), [1, 2])
    assert isinstance(link, AmqpLink)
    assert (link.server.vhost, link.shards) == ("/tram", [1, 2])
    file.write_text('[broker]\nkind = "amqp"\n')
    with pytest.raises(SettingsError, match=r"broker\.port = 1883: expected RabbitMQ's port"):
        load([file])


def test_a_shard_has_one_carrier(engine: Engine) -> None:
    """Another one is refused, with the shard's number, as long as the first one lives; other shards are free."""
    with held(engine, [1, 2]):
        with held(engine, [3]), pytest.raises(ShardTakenError, match="shard 2 "), held(engine, [4, 2]):
            pass
        with held(engine, [4]):
            pass
    with held(engine, [2, 4]):
        pass
