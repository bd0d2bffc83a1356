"""Post bags in a world of two real stores: no line, a line beside them, late, lost, twice, and after a store was put back."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.contract.bag import Record
from appliance.contract.lanes import Lane
from appliance.contract.receipts import Hello, read_hello
from appliance.database import connect
from tests.bags import courier, pack, ride, take
from tests.world import STATION, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A station and a bridge that have never met."""
    made = World(tmp_path)
    made.net.reachable = False
    yield made
    made.close()


def parcels(world: World) -> int:
    """Parcels the station has frozen."""
    return int(world.conn.execute("SELECT count(*) FROM parcel").fetchone()[0])


def test_a_round_trip_without_any_line_delivers_and_vouches(world: World) -> None:
    """Out, back, out: both ends have everything and know that the other one has it."""
    for lane in (0, 1, 2, 2, 3):
        world.record(lane)
    ride(world)
    world.answer()
    world.answer(Lane.CONSULT)
    assert world.owed() == {"down": 2}
    take(world, "station", pack(world, "bridge"))
    assert world.owed() == {"down": 2}  # the bridge cannot know yet
    take(world, "bridge", pack(world, "station"))
    assert not world.owed()
    assert not world.judge()


def test_packing_changes_nothing_but_the_book(world: World) -> None:
    """A bag that is lost on the road costs nothing: what was in it is in the next one, and the line may take it as well."""
    for _ in range(3):
        world.record()
    first = pack(world, "station")
    rows = world.conn.execute("SELECT state, received FROM outbox").fetchall()
    assert {tuple(row) for row in rows} == {(0, None)}
    second = pack(world, "station")
    assert [one.payload for one in first.records[1:]] == [one.payload for one in second.records[1:]]
    assert second.header.number == first.header.number + 1
    assert parcels(world) == 1
    world.settle()
    assert not world.judge()


def test_the_line_repeats_nothing_that_a_bag_has_brought(world: World) -> None:
    """After a round by bag the line comes up: no parcel travels, nothing is told twice."""
    for lane in (0, 2, 2):
        world.record(lane)
    ride(world)
    world.net.reachable = True
    world.settle()
    sent = [payload for topic, payload in world.net.carried if "/up/" in topic and payload[0] == 0x11]
    assert not sent
    assert not world.judge()


def test_a_bag_beside_a_working_line_makes_nothing_double(world: World) -> None:
    """Both carriers run, with their own memory, while bags are packed and taken."""
    world.net.reachable = True
    for turn in range(12):
        world.record(turn % 3)
        world.answer()
        for side in ("station", "bridge"):
            world.turn(side)
            if turn % 3 == 1:
                ride(world)
            world.net.carry("up", 2)
            world.net.carry("down", 2)
        world.pass_time(0.3)
    world.settle()
    assert not world.judge()


def test_the_same_bag_again_changes_nothing(world: World) -> None:
    """Handed over twice: the second time nothing is even read."""
    world.record(0)
    bag = pack(world, "station")
    assert take(world, "bridge", bag).new == 1
    again = take(world, "bridge", bag)
    assert again.again
    assert again.new == again.repeated == 0
    assert not world.judge()


def test_a_late_bag_adds_and_undoes_nothing(world: World) -> None:
    """The bridge's bag of yesterday arrives after the line has gone on: its receipts say less, and lower nothing."""
    world.record(0)
    take(world, "bridge", pack(world, "station"))
    late = pack(world, "bridge")
    world.net.reachable = True
    for _ in range(3):
        world.record(0)
        world.answer()
    world.settle()
    take(world, "station", late)
    assert not world.owed()
    assert not world.judge()


def test_a_late_bag_of_an_older_bridge_is_no_receipt(world: World) -> None:
    """Another incarnation speaks since: what the older one vouched for counts no more, and its bag does not bring it back."""
    world.net.reachable = True
    backup = world.backup()
    world.record(0)
    take(world, "bridge", pack(world, "station"))
    late = pack(world, "bridge")
    world.restore_backup(backup)
    with world.bridge.storage.transaction() as tx:
        world.bridge.end.renew(tx, STATION)
    world.settle()
    before = world.conn.execute("SELECT store FROM peer WHERE current = 1").fetchone()[0]
    take(world, "station", late)
    assert world.conn.execute("SELECT store FROM peer WHERE current = 1").fetchone()[0] == before
    assert not world.owed()
    assert not world.judge()


def test_a_bag_alone_makes_a_restored_bridge_whole_again(world: World) -> None:
    """Yesterday's backup and no line at all: its answer to our bag lowers the marks, and the next bag brings everything again."""
    world.record(0)
    ride(world)
    backup = world.backup()
    world.record(2)
    world.record(0)
    ride(world)
    assert not world.owed()
    world.restore_backup(backup)
    with world.bridge.storage.transaction() as tx:
        world.bridge.end.renew(tx, STATION)
    ride(world)
    assert world.owed() == {"up": 2}
    ride(world)
    assert not world.owed()
    assert not world.judge()


def test_a_receipt_for_a_bag_may_not_lower_after_the_line_has_spoken(world: World) -> None:
    """The bridge answers our bag; before the answer is here the line has vouched for more: then it can only add."""
    world.record(0)
    bag = pack(world, "station")
    take(world, "bridge", bag)
    answer = pack(world, "bridge")
    world.net.reachable = True
    world.record(0)
    world.settle()
    world.net.reachable = False
    world.net.cut("down")
    take(world, "station", answer)
    assert not world.owed()
    assert world.conn.execute("SELECT count(*) FROM outbox WHERE state = 2").fetchone()[0] == 2


def test_a_late_hello_does_not_move_the_talk_to_an_older_epoch(world: World) -> None:
    """A bag packed before the station began a new epoch arrives after the line has met the new one: answers stay addressed to it."""
    world.record(0)
    late = pack(world, "station")
    with world.station.storage.transaction() as tx:
        world.station.end.renew(tx, STATION)
    world.net.reachable = True
    world.settle()
    world.answer()
    take(world, "bridge", late)
    world.settle()
    assert not world.owed()
    with world.engine.connect() as tx:
        peer = world.bridge.storage.peer(tx, STATION)
    assert peer is not None
    assert peer.incarnation == world.station.end.me(world.conn)
    assert world.told_station()[world.ledger.down[0][0]] == 1


def test_a_station_put_back_learns_it_from_its_own_bag(world: World, tmp_path: Path) -> None:
    """The card of this morning is put in again: the stick holds a bag that this store never packed, so its numbers are not used again."""
    world.record(0)
    ride(world)
    world.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = tmp_path / "morning"
    shutil.copy(tmp_path / "station.db", copy)
    lost = world.record(0)
    later = pack(world, "station")
    take(world, "bridge", later)
    world.conn.close()
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"station.db{suffix}").unlink(missing_ok=True)
    shutil.copy(copy, tmp_path / "station.db")
    connect(tmp_path / "station.db", key=b"\x5a" * 32).close()
    world.station = world._start_station()
    world.record(0)
    before = world.station.end.me(world.conn)
    fresh = pack(world, "station", (later.header,))
    assert fresh.header.origin != before
    assert fresh.header.number > later.header.number
    assert not courier(world, "station").knows(later.header)
    take(world, "bridge", fresh)
    assert set(world.told_bridge()) == set(world.ledger.up[0])
    assert world.told_bridge()[lost][0] == 1
    with world.engine.connect() as tx:
        assert not tx.exec_driver_sql("SELECT count(*) FROM relay_quarantine").scalar()


def test_a_bag_cut_in_the_middle_of_being_taken_can_be_taken_again(world: World) -> None:
    """The power fails at every step of taking a bag: afterwards it is taken whole, once."""
    for lane in (0, 0, 1, 2):
        world.record(lane)
    bag = pack(world, "station")
    for left in range(3, 60, 4):
        world.fuses["bridge"].left = left
        try:
            take(world, "bridge", bag)
        except BaseException as error:  # noqa: BLE001 - the plug is a BaseException, so that nobody catches it by mistake
            assert type(error).__name__ == "PowerCutError"  # noqa: PT017 - it may also not be raised: the plug is pulled late
            world.cut_power("bridge")
        world.fuses["bridge"].left = None
        assert not world.vouched_wrongly()
    take(world, "bridge", bag)
    take(world, "station", pack(world, "bridge"))
    assert not world.owed()
    assert not world.judge()


def test_what_nobody_can_read_is_set_aside_and_named(world: World) -> None:
    """A damaged message in an honest bag goes to quarantine, the rest is taken; the receipt names it, and it is not sent for ever."""
    world.record(0)
    world.record(2)
    bag = pack(world, "station")
    bad = [turned(one) if one.payload[0] == 0x11 and one.lane == 2 else one for one in bag.records]
    came = take(world, "bridge", type(bag)(bag.header, bad))
    assert (came.new, came.refused) == (1, 1)
    take(world, "station", pack(world, "bridge"))
    assert world.owed() == {"up": 1}  # the good bytes were never refused: they go again
    ride(world)
    assert not world.owed()


def turned(record: Record) -> Record:
    """The same message with a bit turned in its body."""
    payload = bytearray(record.payload)
    payload[-3] ^= 1
    return record._replace(payload=bytes(payload))


def test_the_hello_in_a_bag_bears_the_label_s_nonce(world: World) -> None:
    """What answers a bag is known by its nonce."""
    bag = pack(world, "station")
    hello = read_hello(bag.records[0].payload)
    assert isinstance(hello, Hello)
    assert hello.nonce == bag.header.nonce
    assert hello.current
