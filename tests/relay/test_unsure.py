"""On a metered link a few messages after a silence go at QoS 0: their receipt answers them, and nothing else needs to."""

from collections.abc import Callable
from typing import Any

from appliance.contract.events import AnswerRead, Event, Urgency
from appliance.database import transaction
from appliance.relay.line import LinkError, Message
from appliance.relay.link import MqttLink
from appliance.relay.rules import CALM, QUIET, UNHEARD
from appliance.store.outbox import append
from tests.relay.brokers import PINGREQ, PUBLISH, HandBroker
from tests.relay.test_link import UP_TOPIC, hand, link, opened
from tests.world import World

__all__ = ["hand", "link"]


def quiet(world: World) -> World:
    """Both ends know each other, and nothing has been said for a while."""
    world.settle()
    world.pass_time(QUIET + 1.0)
    world.net.unsure = 0
    return world


def spoken(world: World, turns: int = 4) -> int:
    """How many messages of the station left at QoS 0 in so many of its turns; the bridge hears nothing."""
    before = world.net.unsure
    for _ in range(turns):
        world.turn("station")
    return world.net.unsure - before


def test_a_request_after_a_silence_needs_no_puback(metered: World) -> None:
    """It goes at QoS 0 and takes its row along when the receipt comes; what waited goes with it."""
    world = quiet(metered)
    world.record(2)
    world.record(0)
    assert spoken(world) == 2
    world.settle()
    assert world.judge() == []


def test_what_was_lost_at_qos_0_is_sent_again_and_surely(metered: World) -> None:
    """The broker gives it to nobody, since the bridge is away for a moment; 15 s later it goes at QoS 1, and arrives once."""
    world = quiet(metered)
    world.record(0)
    assert spoken(world) == 1
    world.net.queues["up"].clear()
    world.pass_time(UNHEARD - 0.5)
    assert left(world) == [], "its receipt may be on its way"
    world.net.ends["down"].heard.append(Message("x", b"", 1))  # something else is heard: the line lives
    world.turn("station")
    world.pass_time(0.6)
    assert spoken(world) == 0
    assert len(world.net.queues["up"]) == 1
    world.settle()
    assert world.judge() == []


def test_nothing_heard_after_it_asks_the_line_whether_it_lives(metered: World) -> None:
    """No PUBACK says that the broker is there: after 15 s without a word the line is prodded, once, and not where an answer came."""
    world = quiet(metered)
    world.record(0)
    spoken(world)
    line = world.net.ends["down"]
    before = line.prodded
    assert world.station.turn(world.now, world.at) <= UNHEARD
    world.pass_time(UNHEARD + 0.1)
    spoken(world)
    assert line.prodded == before + 1
    world.settle()
    quiet(world).record(0)
    world.settle()
    world.pass_time(UNHEARD + 0.1)
    spoken(world)
    assert line.prodded == before + 1


def test_a_stream_has_its_window(metered: World) -> None:
    """Three messages together, or one right after another, are acknowledged one by one."""
    world = quiet(metered)
    for lane in (0, 1, 2):
        world.record(lane)
    assert spoken(world) == 0
    world.settle()
    quiet(world).record(0)
    assert spoken(world, 1) == 1
    world.pass_time(QUIET - 1.0)
    world.record(0)
    assert spoken(world, 1) == 0


def test_where_bytes_cost_nothing_every_parcel_is_sure(world: World) -> None:
    """An unmetered line keeps its PUBACKs."""
    quiet(world).record(0)
    assert spoken(world) == 0


def test_what_is_said_together_leaves_in_one_go(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """Between two waits nothing is written; the second writes it in one piece, and a new connection begins with nothing of it."""
    broker = hand(acks=True)
    one = opened(link(broker.port, together=True), broker)
    broker.packets.clear()
    before = one.traffic.segments_out
    for payload in (b"a request", b"a reading"):
        one.publish(UP_TOPIC, payload, sure=False)
    one.prod()
    assert one.traffic.segments_out == before
    turned(one, broker)
    assert [first & 0xF0 for first, _ in broker.packets] == [PUBLISH, PUBLISH, PINGREQ]
    assert one.traffic.segments_out == before + 2  # the three, and an acknowledgement of what the broker said
    one.publish(UP_TOPIC, b"never written", sure=False)
    broker.drop()
    broker.packets.clear()
    one.close()
    turned(opened(one, broker), broker)
    assert broker.published() == []


def test_a_line_that_takes_no_more_keeps_order_and_loses_nothing(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """More is said than the kernel takes: the rest follows, whole and in order."""
    broker = hand()
    one = opened(link(broker.port, together=True), broker)
    broker.packets.clear()
    said = [bytes([number % 256]) * 20_000 for number in range(400)]
    for payload in said:
        one.publish(UP_TOPIC, payload, sure=False)
    one.wait(0.0)
    for _ in range(4000):
        turned(one, broker, 1)
        if len(broker.published()) == len(said):
            break
    assert [body[-20_000:] for body in broker.published()] == said


def read_word(world: World, consult: int) -> None:
    """Somebody has read the answer to a request, an emergency where it is number 1."""
    with transaction(world.conn) as conn:
        conn.execute(
            "INSERT INTO consult (id, patient, urgency, department, complaint, staff, epoch, lane, seq, boot, ticks, saved, outbox, body,"
            " crc) VALUES (?, 1, ?, 0, '', 'an', 1, 0, ?, 1, 0, 0, 0, x'', 0)",
            (consult, int(Urgency.EMERGENCY if consult == 1 else Urgency.URGENT), consult),
        )
        append(conn, Event(world.stamp(), "an", "test", AnswerRead(consult, 1, "An")))


def left(world: World) -> list[str]:
    """The lanes of what the station says in this turn."""
    before = len(world.net.carried)
    world.turn("station")
    return [topic[-1] for topic, _ in world.net.carried[before:]]


def test_the_word_that_an_answer_was_read_waits_for_somebody_to_go_with(metered: World) -> None:
    """A quarter of an hour at most; a request takes it along, and it takes along what gathers. It leaves as what it is: lane 0."""
    world = quiet(metered)
    read_word(world, 2)
    assert left(world) == []
    world.pass_time(CALM - 1.0)
    assert left(world) == []
    world.pass_time(1.1)
    assert left(world) == ["0"]
    world.pass_time(10.0)
    read_word(world, 3)
    world.record(2)
    assert left(world) == []
    world.record(1)
    assert left(world) == ["0", "1", "2"]


def test_the_word_from_an_emergency_leaves_at_once(metered: World, world: World) -> None:
    """So does any word on a line whose bytes cost nothing, and one together with a request."""
    quiet(metered)
    read_word(metered, 1)
    assert left(metered)[0] == "0"
    quiet(world)
    read_word(world, 2)
    assert left(world)[0] == "0"
    metered.pass_time(10.0)
    read_word(metered, 2)
    metered.record(0)
    assert left(metered)[0] == "0"


def turned(one: MqttLink, broker: HandBroker, times: int = 20) -> Any:
    """Both sides look at their sockets so many times."""
    for _ in range(times):
        try:
            one.wait(0.001)
        except LinkError:
            return
        broker.step()
