"""Both ends over real brokers: mosquitto (MQTT 5) and iotcore (3.1.1). Nothing depends on what a broker remembers."""

import time
from collections.abc import Callable, Iterator
from random import Random

import pytest

from appliance.contract.receipts import read_hello
from appliance.contract.topics import UP, shard_filter, station_filter, topic
from appliance.relay.line import Acked, Up
from appliance.relay.link import Broker, MqttLink
from appliance.relay.rules import HELLO_URGENT, hello_again
from tests import servers
from tests.polling import until
from tests.relay.brokers import heard
from tests.relay.test_poison import UP_2, damaged, parcel, quarantine
from tests.world import SHARD, STATION, World


class Wired:
    """A world whose net is a real broker; its clock is the real one."""

    def __init__(self, world: World, broker: servers.Broker) -> None:
        self.world = world
        self.broker = broker
        self.lines = {"station": self.station(), "bridge": self.bridge()}
        self.plug()

    def station(self) -> MqttLink:
        """The station's line; its hello leaves with CONNECT, as `tram carry` says it."""
        return MqttLink(
            Broker("127.0.0.1", self.broker.port),
            f"tram-{STATION}",
            [station_filter(SHARD, STATION, "down")],
            connect_timeout=5,
            greet=lambda: self.world.station.greeting(),  # noqa: PLW0108 - the station is another one after each power cut
        )

    def bridge(self) -> MqttLink:
        """The bridge's line."""
        return MqttLink(Broker("127.0.0.1", self.broker.port), "tram-bridge-07", [shard_filter(SHARD)], keep=True, connect_timeout=5)

    def plug(self) -> None:
        """Put the lines where the world has its own net."""
        self.world.station.link, self.world.bridge.link = self.lines["station"], self.lines["bridge"]

    def cut_power(self, side: str) -> None:
        """One end is killed: its socket closes without a word."""
        line = self.lines[side]
        if line._sock is not None:
            line._sock.close()
        line._sock, line._client, line._phase, line.up = None, None, "idle", False
        self.lines[side] = self.station() if side == "station" else self.bridge()
        self.world.cut_power(side)
        self.plug()

    def turn(self, *sides: str) -> None:
        """Everybody (or `sides`) one turn; nobody waits long to try again."""
        world = self.world
        for side in sides or ("station", "bridge"):
            pump = world.station if side == "station" else world.bridge
            self.lines[side].wait(0.002)
            pump.retry = min(pump.retry, time.monotonic() + 0.05)
            pump.turn(time.monotonic(), world.at)

    def settle(self, within: float = 90.0) -> None:
        """Until nothing is owed."""

        def done() -> bool:
            self.turn()
            return not self.world.owed() and not any(link._flying for link in self.lines.values())

        until(done, within, every=0.0, what="everything to arrive")


@pytest.fixture
def wired(broker: servers.Broker, worlds: Callable[..., World]) -> Iterator[Wired]:
    """A world on each real broker."""
    made = Wired(worlds(), broker)
    yield made
    for line in made.lines.values():
        line.close()


def stranger(wired: Wired) -> MqttLink:
    """Somebody else on the same broker."""
    line = MqttLink(
        Broker("127.0.0.1", wired.broker.port, version=wired.lines["station"].version),
        "stranger",
        ["v1/00/nobody/down/0"],
        connect_timeout=5,
    )
    until(lambda: _open(line), 10.0, every=0.05)
    return line


def _open(line: MqttLink) -> bool:
    if line._phase == "idle":
        line.open()
    line.wait(0.05)
    return line.up


def test_readings_go_up_and_answers_come_down(wired: Wired) -> None:
    """Everything, once, in order, both ways; long texts in fragments."""
    for lane in (2, 2, 0, 1, 2, 3):
        wired.world.record(lane)
    wired.world.record(0, text=Random(1).randbytes(2500).hex())
    wired.settle()
    wired.world.answer()
    wired.world.answer(text=Random(2).randbytes(2500).hex())
    wired.settle()
    assert wired.world.judge() == []


def test_a_hello_that_left_with_connect_is_not_said_again(wired: Wired) -> None:
    """The answer to it opens the line for what is new: nothing else was asked, and nothing was said twice."""
    first = wired.world.station.greeting
    said: list[tuple[str, bytes]] = []

    def greeting() -> list[tuple[str, bytes]]:
        said[:] = first()
        return said

    wired.turn("bridge")
    until(lambda: wired.turn("bridge") or wired.lines["bridge"].up, 10.0)
    wired.world.station.greeting = greeting  # type: ignore[method-assign]  # listens to what it gives
    wired.world.record(0)
    wired.settle()
    talk = wired.world.station.talks[STATION]
    assert talk.answered
    assert [read_hello(payload).nonce for _, payload in said] == [talk.nonce]
    assert wired.world.judge() == []


def test_with_something_urgent_an_answer_to_the_first_hello_is_awaited_for_a_second(worlds: Callable[..., World]) -> None:
    """It is a round trip old when the line is up; without anything urgent the usual pause is kept."""
    for lane, pause in ((0, HELLO_URGENT), (2, hello_again(1, metered=False))):
        station = (world := worlds()).station
        world.record(lane)
        station.turn(0.0, world.at)
        (hello,) = station.greeting()
        station._up(Up(greeted=True), 50.0)
        talk = station.talks[STATION]
        assert (talk.hello, talk.nonce) == (50.0 + pause, read_hello(hello[1]).nonce)


def test_the_broker_may_be_killed_and_forget_everything(wired: Wired) -> None:
    """SIGKILL and an empty start, again and again, while things are under way: 0 lost, 0 doubled."""
    dice = Random(3)
    for round_ in range(4):
        for _ in range(15):
            wired.world.record(dice.choice([0, 2, 2]))
        wired.world.answer()
        for _ in range(dice.randrange(3, 25)):
            wired.turn()
        wired.broker.restart()
        if round_ == 2:
            wired.cut_power("bridge")
    wired.settle()
    assert wired.world.judge() == []


def test_either_end_may_die_at_any_moment(wired: Wired) -> None:
    """The sockets close without a word, the memory is gone; the files know enough."""
    dice = Random(4)
    for _ in range(6):
        for _ in range(10):
            wired.world.record(dice.choice([0, 2]))
        wired.world.answer()
        for _ in range(dice.randrange(1, 20)):
            wired.turn()
        wired.cut_power(dice.choice(["station", "bridge"]))
    wired.settle()
    assert wired.world.judge() == []


def test_the_bridge_may_be_away_while_the_broker_answers(wired: Wired) -> None:
    """PUBACKs are no receipts: nothing is called received, and all of it arrives when the bridge is back."""
    wired.world.record(0)
    wired.settle()
    line = wired.lines["bridge"]
    line.close()
    uids = [wired.world.record(lane) for lane in (0, 2, 2)]
    for _ in range(200):
        wired.turn("station")
    states = [row[0] for row in wired.world.conn.execute("SELECT state FROM outbox ORDER BY id").fetchall()]
    assert states == [2, 0, 0, 0]
    wired.settle()
    assert wired.world.judge() == []
    assert set(uids) <= set(wired.world.told_bridge())


def test_poison_from_a_stranger_stops_nobody(wired: Wired) -> None:
    """Malformed, unknown version, another station's header, an unregistered station: kept; the readings between them arrive."""
    wired.world.record(2)
    wired.settle()
    line = stranger(wired)
    world = wired.world
    other = parcel(world, 5, station="tram-9999")
    messages = [
        (UP_2, b"\x21nonsense"),
        (UP_2, damaged(parcel(world, 9, first=50))),
        (UP_2, other),
        (topic(SHARD, "tram-9999", UP, 2), other),
        (UP_2, b"\x11" + Random(1).randbytes(15_000)),  # iotcore takes 20 kB at most
    ]
    for where, payload in messages:
        line.publish(where, payload)
        heard(line, Acked)
        world.record(2)
    until(lambda: wired.turn() or len(quarantine(world)) >= len(messages), 20.0, every=0.0)
    wired.settle()
    assert world.judge() == []
    assert sorted(one[2] for one in quarantine(world)) == sorted(payload for _, payload in messages)
    line.close()
