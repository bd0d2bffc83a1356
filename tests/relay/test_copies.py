"""Copied and restored cards: what was not delivered travels on, and no number stands for two things."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from appliance.agent.carry import renew_on_another_machine
from appliance.agent.clock import Clock
from appliance.contract.lanes import Lane
from appliance.contract.readings import ClockQuality
from appliance.contract.receipts import HELLO, RECEIPT, open_receipt, read_hello, write_hello
from appliance.contract.topics import UP, topic
from appliance.database import connect
from cloud_bridge.store import relay_tables
from cloud_bridge.store.engine import reading
from cloud_bridge.store.outbox import store_id
from tests.world import SHARD, STATION, STATION_KEY, STORE, STORE_KEY, World, new_station


def card_of(world: World) -> bytes:
    """The station's file as it is now."""
    world.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(world.conn.path).read_bytes()


def put_back(world: World, card: bytes) -> None:
    """The station starts from an older card."""
    world.net.cut("down")
    world.conn.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{world.folder / 'station.db'}{suffix}").unlink(missing_ok=True)
    (world.folder / "station.db").write_bytes(card)
    world.station = world._start_station()
    world.ledger.up = {}


def test_what_a_copied_card_had_not_delivered_travels_on(world: World) -> None:
    """The bridge has it from the original and hears it again from the copy, under a number of its own: nothing is lost or mixed up."""
    early = world.record(2)
    card = card_of(world)
    world.settle()
    put_back(world, card)
    clock = Clock(2, boot=9, boottime=lambda: 0, wall=lambda: 0, quality=lambda: ClockQuality.SYNCED)
    assert renew_on_another_machine(world.conn, clock, logging.getLogger("quiet"), "another board")
    fresh = [world.record(2) for _ in range(3)]
    world.settle()
    told = world.told_bridge()
    assert told[early][0] >= 1
    assert all(told[uid][0] == 1 for uid in fresh)
    with reading(world.engine) as tx:
        assert tx.execute(select(relay_tables.quarantine.c.reason)).all() == []


@pytest.mark.parametrize("more", [1, 40])
def test_a_store_put_back_on_its_own_card_uses_no_number_twice(world: World, more: int) -> None:
    """The bridge vouches for more than the store has ever said: a new epoch, also when the store has since said more than it lost."""
    world.record(2)
    world.settle()
    card = card_of(world)
    lost = [world.record(2) for _ in range(3)]
    world.settle()
    put_back(world, card)
    fresh = [world.record(2) for _ in range(more)]
    world.settle()
    told = world.told_bridge()
    assert all(told[uid][0] == 1 for uid in [*lost, *fresh])
    assert world.conn.execute("SELECT count(*) FROM epoch").fetchone()[0] == 2


@pytest.mark.parametrize(
    ("more", "first", "machine", "sealed"),
    [
        (0, "nothing", "same", False),
        (0, "record", "same", False),
        (0, "nothing", "another", False),
        (3, "nothing", "same", False),
        (3, "answer", "same", True),
        (3, "record", "same", False),
        (3, "answer", "another", True),
    ],
)
def test_answers_that_an_older_card_has_lost_are_told_again(
    worlds: Callable[..., World], more: int, first: str, machine: str, sealed: bool
) -> None:
    """Whether the card had sent something since or not, and whoever speaks first: what it vouched for and lost comes again, and one card
    that was put back does not make the bridge another one (every other station would send everything again).
    """
    world = worlds(5, sealed=sealed)
    world.record(2)
    answers = [world.answer()]
    world.settle()
    card = card_of(world)
    for lane in (2, 2, 0)[:more]:
        world.record(lane)
    answers += [world.answer() for _ in range(3)]
    world.settle()
    assert set(world.told_station()) == set(answers)
    put_back(world, card)
    if machine == "another":
        clock = Clock(2, boot=9, boottime=lambda: 0, wall=lambda: 0, quality=lambda: ClockQuality.SYNCED)
        assert renew_on_another_machine(world.conn, clock, logging.getLogger("quiet"), "another board")
    if first == "answer":
        answers.append(world.answer())
    if first == "record":
        world.record(0)
    world.settle()
    assert set(world.told_station()) == set(answers)
    assert world.owed() == {}
    with reading(world.engine) as tx:
        assert store_id(tx) == STORE


def test_a_card_from_before_the_first_contact_is_told_everything_again(world: World) -> None:
    """It knows of no bridge at all, and says so: that is less than it vouched for."""
    card = card_of(world)
    answers = [world.answer() for _ in range(2)]
    world.settle()
    assert set(world.told_station()) == set(answers)
    put_back(world, card)
    world.settle()
    assert set(world.told_station()) == set(answers)


def live(world: World, answers: list[int], count: int) -> None:
    """A reading goes up and so many answers come down."""
    world.record(2)
    answers += [world.answer() for _ in range(count)]
    world.settle()
    assert set(world.told_station()) == set(answers)


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("order", ["older and older", "newer again", "the oldest twice"])
def test_answers_said_to_epochs_that_a_card_does_not_know_are_told_again(worlds: Callable[..., World], order: str, *, sealed: bool) -> None:
    """A card that goes back past several epochs names none of those in which its answers were said: all of them come again, and on its
    next connections nothing more.
    """
    world = worlds(8, sealed=sealed)
    answers: list[int] = []
    cards = []
    for _ in range(2):
        live(world, answers, 2)
        cards.append(card_of(world))
    live(world, answers, 2)
    for card in {"older and older": [1, 0], "newer again": [1, 0, 1], "the oldest twice": [0, 0]}[order]:
        put_back(world, cards[card])
        live(world, answers, 3)
        told = world.told_station()
        for _ in range(2):
            world.net.cut("down")
            world.settle()
        assert world.told_station() == told
    assert world.owed() == {}
    with reading(world.engine) as tx:
        assert store_id(tx) == STORE


def test_copies_of_a_copy_that_take_turns_are_each_told_everything_once(either: World) -> None:
    """Three machines with one card's past: whoever speaks hears what was said to the others meanwhile, and nobody anything twice."""
    world = either
    answers: list[int] = []
    live(world, answers, 2)
    cards = {"original": card_of(world)}
    for board, source in (("copy", "original"), ("copy of the copy", "copy")):
        put_back(world, cards[source])
        clock = Clock(2, boot=9, boottime=lambda: 0, wall=lambda: 0, quality=lambda: ClockQuality.SYNCED)
        assert renew_on_another_machine(world.conn, clock, logging.getLogger("quiet"), board)
        world.cut_power("station")
        live(world, answers, 2)
        cards[board] = card_of(world)
    for _ in range(3):
        for board, card in cards.items():
            put_back(world, card)
            live(world, answers, 1)
            assert set(world.told_station().values()) == {1}
            cards[board] = card_of(world)


def test_a_new_card_is_not_told_the_past_of_another(world: World) -> None:
    """A card that was made anew has lost nothing: what the station was told before it was there stays said."""
    answers: list[int] = []
    world.pass_time(4000.0)
    live(world, answers, 2)
    world.pass_time(8000.0)
    empty = shutil.copy(new_station(), world.folder / "empty.db")
    conn = connect(Path(empty), key=STORE_KEY)
    conn.execute("UPDATE epoch SET epoch = ?", (b"epoch-99",))
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    put_back(world, Path(empty).read_bytes())
    new = [world.answer()]
    for _ in range(2):
        world.record(2)
        world.settle()
        world.net.cut("down")
    world.settle()
    assert set(world.told_station()) == set(new)


def hellos(world: World, way: str) -> int:
    """How many hellos went this way so far."""
    return sum(where.split("/")[3] == way and payload[0] == HELLO for where, payload in world.net.carried)


def test_a_station_that_has_lost_nothing_is_not_asked(world: World) -> None:
    """A new connection costs one hello and its receipt: only who says less than it vouched for is asked what it has."""
    for _ in range(3):
        world.answer()
    world.record(0)
    world.settle()
    asked = hellos(world, "down")
    for _ in range(3):
        world.net.cut("down")
        world.settle()
    assert hellos(world, "down") == asked
    said = [read_hello(payload) for where, payload in world.net.carried if where.split("/")[3] == "up" and payload[0] == HELLO]
    assert said[-1].have == ((0, 3, 3),)


def test_a_forged_hello_makes_the_bridge_say_things_again_and_nothing_worse(world: World) -> None:
    """A hello is signed by nobody: one that says that everything was lost costs a question, and nothing is shown twice."""
    answers = [world.answer() for _ in range(3)]
    world.settle()
    true = [payload for where, payload in world.net.carried if where.split("/")[3] == "up" and payload[0] == HELLO][-1]
    where = topic(SHARD, STATION, UP, Lane.URGENT)
    world.net.queues["up"].append((where, write_hello(replace(read_hello(true), nonce=b"forgery!", have=()))))
    world.settle()
    assert world.told_station() == dict.fromkeys(answers, 1)
    assert world.owed() == {}


def test_what_a_card_heard_in_an_earlier_epoch_is_not_receipted_for_the_present_one(worlds: Callable[..., World]) -> None:
    """Numbers of the past under the name of the present would vouch for answers that have never come: no receipt in a post bag says so."""
    world = worlds(6)
    world.settle()
    answers = [world.answer() for _ in range(4)]
    world.settle()
    clock = Clock(2, boot=9, boottime=lambda: 0, wall=lambda: 0, quality=lambda: ClockQuality.SYNCED)
    assert renew_on_another_machine(world.conn, clock, logging.getLogger("quiet"), "another board")
    world.cut_power("station")
    world.settle()
    epoch = world.station.me
    with world.station.storage.transaction() as tx:
        world.station.refresh(tx, STATION)
        said = world.station.say_all(tx, STATION, b"n" * 8, [], world.now)
    receipts = [open_receipt(one, {0: Ed25519PrivateKey.from_private_bytes(STATION_KEY).public_key()}) for one in said if one[0] == RECEIPT]
    assert receipts and all(one.store == epoch and one.lanes == () for one in receipts)
    assert set(world.told_station()) == set(answers)
