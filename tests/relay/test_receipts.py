"""Receipts decide what is sent again: signed, fresh, and believed only as far as they may be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from appliance.contract.receipts import LaneReceipt, Receipt, open_receipt, seal_receipt
from appliance.contract.topics import DOWN, UP, topic
from appliance.database import connect, transaction
from appliance.relay.rules import RESEND
from cloud_bridge.store import outbox as bridge_outbox
from cloud_bridge.store import relay_tables
from tests.world import EPOCH, RECEIPT_KEY, SHARD, STATION, STORE, STORE_KEY, World

DOWN_0 = topic(SHARD, STATION, DOWN, 0)
KEYS = {0: RECEIPT_KEY.public_key()}


def states(world: World) -> list[int]:
    """The state of every event of the station, in order."""
    return [row[0] for row in world.conn.execute("SELECT state FROM outbox ORDER BY id").fetchall()]


def waits(world: World, count: int = 3) -> None:
    """Readings are under way, and the bridge has not heard them."""
    world.settle()
    for _ in range(count):
        world.record(2)
    world.turn("station")
    world.net.queues["up"].clear()


def tell(world: World, receipt: Receipt, key: Ed25519PrivateKey = RECEIPT_KEY) -> None:
    """Somebody hands the station a receipt."""
    world.net.ends["down"].deliver(DOWN_0, seal_receipt(receipt, key))
    world.turn("station")


def receipt(world: World, *lanes: LaneReceipt, counter: int = 10_000, nonce: bytes | None = None, store: bytes = STORE) -> Receipt:
    """A receipt as the bridge might give it now."""
    nonce = world.station.talks[STATION].nonce if nonce is None else nonce
    return Receipt(STATION, EPOCH, store, counter, nonce, lanes)


def said(world: World) -> list[Receipt]:
    """Every receipt the bridge has sent, in order."""
    found = [payload for where, payload in world.net.carried if where == DOWN_0 and payload[:1] == b"\x12"]
    return [open_receipt(payload, KEYS) for payload in found]


# --- what makes the station forget nothing -----------------------------------------------------------------------------------------


def test_a_receipt_settles_what_it_vouches_for(world: World) -> None:
    """Contiguous, and above it what lies in no hole; the hole stays to be sent."""
    waits(world, 5)
    tell(world, receipt(world, LaneReceipt(2, 2, 5, ((3, 4),))))
    assert states(world) == [2, 2, 0, 0, 2]
    world.net.cut("down")  # the counter of this receipt was out of all proportion; another connection, another nonce
    world.settle()
    assert world.told_bridge().keys() >= set(world.ledger.up[2])


@pytest.mark.parametrize("forgery", ["other key", "edited", "other station", "no signature", "contradiction"])
def test_a_receipt_that_is_not_the_bridges_settles_nothing(world: World, forgery: str) -> None:
    """A stolen or mad broker cannot make the box forget; what it sent is kept for a person."""
    waits(world)
    true = receipt(world, LaneReceipt(2, 3, 3))
    sealed = seal_receipt(true, RECEIPT_KEY)
    sealed = {
        "other key": seal_receipt(true, Ed25519PrivateKey.generate()),
        "edited": sealed[:-70] + b"\x03" + sealed[-69:],
        "other station": seal_receipt(Receipt("tram-0002", EPOCH, STORE, 10_000, true.nonce, true.lanes), RECEIPT_KEY),
        "no signature": sealed[:-64],
        "contradiction": seal_receipt(receipt(world, LaneReceipt(2, 3, 1)), RECEIPT_KEY),
    }[forgery]
    world.net.ends["down"].deliver(DOWN_0, sealed)
    world.turn("station")
    assert states(world) == [0, 0, 0]
    assert bytes(world.conn.execute("SELECT payload FROM quarantine").fetchone()[0]) == sealed


def test_a_receipt_of_another_epoch_is_not_for_this_stream(world: World) -> None:
    """It names numbers of its own."""
    waits(world)
    tell(world, Receipt(STATION, b"epoch--9", STORE, 10_000, world.station.talks[STATION].nonce, (LaneReceipt(2, 3, 3),)))
    assert states(world) == [0, 0, 0]


def test_a_receipt_without_the_current_nonce_can_add_but_not_take_away(world: World) -> None:
    """An old promise stays a promise, an old ignorance is none."""
    waits(world, 4)
    tell(world, receipt(world, LaneReceipt(2, 2, 2), nonce=b"of-old"))
    assert states(world) == [2, 2, 0, 0]
    tell(world, receipt(world, LaneReceipt(2, 1, 1), nonce=b"of-old", counter=10_001))
    assert states(world) == [2, 2, 0, 0]
    tell(world, receipt(world, LaneReceipt(2, 1, 1), counter=10_002))
    assert states(world) == [2, 0, 0, 0]


def test_one_that_says_less_makes_the_station_ask(world: World) -> None:
    """A receipt of an old nonce that misses something is answered with a fresh hello: perhaps the bridge was restored."""
    world.record(2)
    world.settle()
    nonce = world.station.talks[STATION].nonce
    tell(world, receipt(world, LaneReceipt(2, 0, 0), nonce=b"of-old"))
    assert states(world) == [2]
    world.pass_time(2)
    world.turn("station")
    assert world.station.talks[STATION].nonce != nonce
    world.settle()
    assert (states(world), world.judge()) == ([2], [])


def test_replayed_receipts_change_nothing(worlds: Callable[..., World]) -> None:
    """A hostile broker plays every receipt it ever saw, in any order, after the bridge was put back to its beginning: the station
    believes only what the restored bridge has.
    """
    for seed in range(8):
        world = worlds(seed)
        world.settle()
        backup = world.backup()
        for _ in range(6):
            world.record(2)
            world.settle()
        heard = [payload for where, payload in world.net.carried if where == DOWN_0]
        world.restore_backup(backup)
        world.turn("bridge")
        world.net.queues["up"].clear()
        Random(seed).shuffle(heard)
        world.turn("station")
        for payload in heard:
            world.net.ends["down"].deliver(DOWN_0, payload)
            world.turn("station")
        world.net.carry("down")
        world.settle()
        assert world.judge() == []


def test_an_older_receipt_of_the_same_connection_is_passed_over(world: World) -> None:
    """The counter only grows."""
    waits(world, 4)
    tell(world, receipt(world, LaneReceipt(2, 3, 3), counter=500))
    tell(world, receipt(world, LaneReceipt(2, 1, 1), counter=499))
    assert states(world) == [2, 2, 2, 0]


# --- restores on either side -------------------------------------------------------------------------------------------------------


def test_a_bridge_put_back_to_yesterday_gets_everything_again_by_itself(world: World) -> None:
    """A raw copy of the file from before: the station offers again what is missing there, without a hand."""
    for _ in range(5):
        world.record(2)
    world.settle()
    backup = world.backup()
    for lane in (0, 2, 2, 3):
        world.record(lane)
    world.settle()
    world.restore_backup(backup)
    assert len(world.told_bridge()) == 5
    world.settle()
    assert world.judge() == []
    assert len(world.told_bridge()) == 9


def test_the_late_answer_of_a_bridge_that_was_put_back_is_found_out(world: World) -> None:
    """It bears the nonce of a question still open when the copy asked its own; that one's has a lower number and vouches for less."""
    world.settle()
    backup = world.backup()
    world.record(2)
    world.settle()
    world.cut_power("bridge")  # its receipts get numbers that the copy will use again
    world.settle()
    world.net.cut("down")
    while not world.net.queues["up"]:
        world.turn("station")
        world.pass_time(1.0)
    world.net.carry("up")
    world.turn("bridge")
    late, world.net.queues["down"] = world.net.queues["down"], []
    world.restore_backup(backup)
    world.turn("bridge")
    world.net.carry("down")
    world.turn("station")
    for where, payload in late:
        world.net.ends["down"].deliver(where, payload)
    world.turn("station")
    assert world.station.talks[STATION].answered
    assert world.vouched_wrongly()
    world.settle()
    assert world.judge() == []


def test_another_incarnation_of_the_bridge_gets_everything_again(world: World) -> None:
    """`tram-bridge restore` makes a new store id: its first receipt says what it has, and nothing the old one said counts."""
    for _ in range(5):
        world.record(2)
    world.settle()
    with world.engine.begin() as tx:
        bridge_outbox.set_store_id(tx, b"store--2")
        for table in (relay_tables.event, relay_tables.inbox):
            tx.execute(table.delete())
        tx.exec_driver_sql("DELETE FROM told")
    world.cut_power("bridge")
    world.settle()
    assert world.judge() == []
    assert states(world) == [2] * 5


def test_answers_after_a_restore_do_not_disappear_behind_old_numbers(world: World) -> None:
    """The restored bridge would give the numbers of lost answers to new ones; the station would take them for repeats. It becomes
    another incarnation instead, before it says anything.
    """
    world.answer()
    world.settle()
    backup = world.backup()
    for _ in range(4):
        world.answer()
    world.settle()
    heard = set(world.told_station())
    world.restore_backup(backup)
    fresh = [world.answer() for _ in range(9)]
    world.settle()
    assert set(world.told_station()) == heard | set(fresh)
    with world.engine.connect() as tx:
        assert bridge_outbox.store_id(tx) != STORE
    assert world.judge() == []


def test_a_station_put_back_to_an_older_copy_begins_a_new_epoch(world: World) -> None:
    """No number is used twice: what is said after the restore arrives under the new epoch, beside what was said before."""
    world.record(2)
    world.settle()
    copy = Path(world.conn.path).with_name("card")
    with transaction(world.conn):
        pass
    world.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy.write_bytes(Path(world.conn.path).read_bytes())
    lost = [world.record(lane) for lane in (2, 2, 0)]
    world.settle()
    world.net.cut("down")
    world.conn.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{world.folder / 'station.db'}{suffix}").unlink(missing_ok=True)
    (world.folder / "station.db").write_bytes(copy.read_bytes())
    world.station = world._start_station()
    world.ledger.up = {}
    fresh = [world.record(lane) for lane in (2, 2, 2, 0, 0)]
    world.settle()
    told = world.told_bridge()
    assert all(told[uid][0] == 1 for uid in [*lost, *fresh])
    assert world.conn.execute("SELECT count(*) FROM epoch").fetchone()[0] == 2
    assert world.owed() == {}
    with world.engine.connect() as tx:
        assert tx.execute(select(relay_tables.quarantine)).all() == []


def test_a_station_with_a_new_epoch_is_told_what_it_has_not_heard(world: World) -> None:
    """Answers addressed to the old epoch of a re-made box travel to the new one."""
    world.settle()
    heard = world.answer()
    world.settle()
    world.net.cut("down")
    waiting = [world.answer(), world.answer()]
    with transaction(world.conn):
        world.conn.execute("INSERT INTO epoch (epoch, why, at) VALUES (?, 'cloned', 0)", (b"epoch--2",))
    world.cut_power("station")
    world.settle()
    assert world.told_station() == {heard: 1, waiting[0]: 1, waiting[1]: 1}
    assert world.owed() == {}


def test_what_an_old_epoch_still_owes_is_sent_in_the_old_epoch(world: World) -> None:
    """A new epoch does not orphan what was not yet receipted."""
    world.settle()
    world.net.reachable = False
    world.net.cut("down")
    old = world.record(2)
    with transaction(world.conn):
        world.conn.execute("INSERT INTO epoch (epoch, why, at) VALUES (?, 'moved', 0)", (b"epoch--2",))
    new = world.record(2)
    world.settle()
    with world.engine.connect() as tx:
        c = relay_tables.event.c
        assert {bytes(row[0]) for row in tx.execute(select(c.epoch))} == {EPOCH, b"epoch--2"}
    assert set(world.told_bridge()) == {old, new}


# --- when things are said ----------------------------------------------------------------------------------------------------------


def parcels(world: World, lane: int = 2) -> list[bytes]:
    """The parcels of one lane that reached the broker."""
    return [payload for where, payload in world.net.carried if where == topic(SHARD, STATION, UP, lane) and payload[:1] == b"\x11"]


def test_unreceipted_parcels_are_sent_again_after_a_minute_byte_for_byte(world: World) -> None:
    """Not before, and the same frozen bytes."""
    waits(world, 1)
    (first,) = parcels(world)
    world.pass_time(RESEND - 1)
    world.turn("station")
    assert parcels(world) == [first]
    world.pass_time(2)
    world.turn("station")
    assert parcels(world) == [first, first]


def test_after_a_reconnect_the_answer_to_the_hello_saves_sending_again(world: World) -> None:
    """What the bridge turns out to have is not sent a second time."""
    world.settle()
    for _ in range(5):
        world.record(2)
    world.turn("station")
    world.net.carry("up")
    world.turn("bridge")
    world.net.queues["down"].clear()  # the receipt is lost with the line
    count = len(parcels(world))
    world.net.cut("down")
    world.settle()
    assert (len(parcels(world)), world.judge()) == (count, [])


def test_nothing_new_leaves_before_the_bridge_has_answered_once(world: World) -> None:
    """A process that has just begun cannot know whether its file is an old copy: only hellos leave."""
    world.record(0)
    for _ in range(20):
        world.turn("station")
        world.pass_time(5)
    assert {payload[0] for _, payload in world.net.carried} == {0x13}


def test_an_urgent_event_passes_everything_that_waits(world: World) -> None:
    """A thousand readings are queued; the next message that leaves is the request."""
    world.settle()
    for _ in range(1000):
        world.record(2)
    world.turn("station")
    world.record(0)
    before = len(world.net.carried)
    for _ in range(2):
        world.turn("station")
    assert world.net.carried[before][0] == topic(SHARD, STATION, UP, 0)


def test_a_metered_link_gathers_thirty_rows_or_the_wait_that_is_set(worlds: Callable[..., World]) -> None:
    """Decision 8, on a real outbox; the wait of this one is a minute."""
    world = worlds(metered=True)
    world.settle()
    for _ in range(29):
        world.record(2)
    world.turn("station")
    assert parcels(world) == []
    world.record(2)
    world.turn("station")
    assert len(parcels(world)) == 1
    world.record(2)
    world.turn("station")
    world.pass_time(59)
    world.turn("station")
    assert len(set(parcels(world))) == 1
    world.pass_time(2)
    world.turn("station")
    assert len(set(parcels(world))) == 2


def test_on_a_metered_link_what_waits_leaves_with_the_next_contact(worlds: Callable[..., World]) -> None:
    """With a request, which never waits; and at once where so long a silence has passed that a pulse would be due (docs/decisions/0014)."""
    world = worlds(metered=True)
    world.settle()
    world.record(2)
    world.turn("station")
    assert parcels(world) == []
    world.record(0)
    world.turn("station")
    assert (len(parcels(world)), len(parcels(world, 0))) == (1, 1)
    world.settle()
    world.pass_time(61)
    world.turn("station")
    world.record(3)
    world.turn("station")
    assert len(parcels(world, 3)) == 1
    world.record(3)
    world.turn("station")
    assert len(parcels(world, 3)) == 1


def test_what_a_station_says_in_one_breath_is_answered_by_one_receipt(world: World) -> None:
    """A bridge that lingers for 20 ms; without it there are two."""
    world.settle()
    world.pass_time(5)
    world.bridge.end = replace(world.bridge.end, linger=0.02)
    before = len(said(world))
    for lane in (0, 2):
        world.record(lane)
        world.turn("station")
        world.net.carry("up")
        world.turn("bridge")
    assert len(said(world)) == before
    world.pass_time(0.1)
    world.turn("bridge")
    assert len(said(world)) == before + 1
    world.net.carry("down")
    world.turn("station")
    assert not world.station.talks[STATION].sender.busy


def test_behind_a_request_that_others_press_upon_the_receipt_does_not_linger(world: World) -> None:
    """With a backlog waiting the turn that takes a request says its receipt, for the next turn may take long; a reading's may wait."""
    world.settle()
    world.pass_time(5)
    world.bridge.end = replace(world.bridge.end, linger=0.02)
    world.bridge.pressed = lambda: True
    before = len(said(world))
    for lane, more in ((2, 0), (0, 1)):
        world.record(lane)
        world.turn("station")
        world.net.carry("up")
        world.turn("bridge")
        assert len(said(world)) == before + more


@pytest.mark.parametrize("heavy", [False, True])
def test_a_receipt_that_lingers_does_not_wait_for_a_group_of_others(world: World, *, heavy: bool) -> None:
    """It waits for what comes with the request; a backlog that comes meanwhile is work for longer, and the receipt leaves before it."""
    world.settle()
    world.pass_time(5)
    world.bridge.end = replace(world.bridge.end, linger=0.02)
    before = len(said(world))
    world.record(0)
    world.turn("station")
    world.net.carry("up")
    world.turn("bridge")
    assert len(said(world)) == before
    for _ in range(200 if heavy else 1):
        world.record(2, text=world.random(30).hex())
    world.station.talks[STATION].sender.gathered = float("-inf")
    found: list[int] = []
    world.bridge.end = replace(world.bridge.end, apply=lambda _tx, _rows: found.append(len(said(world)) - before))
    for _ in range(3):
        world.turn("station")
        world.net.carry("up")
    world.turn("bridge")
    assert found[0] == int(heavy)


def test_receipts_of_readings_come_once_in_two_seconds_those_of_requests_at_once(world: World) -> None:
    """However many parcels arrive meanwhile."""
    world.settle()
    world.pass_time(10)
    before = len(said(world))
    for _ in range(20):  # 2 s
        world.record(2)
        world.station.talks[STATION].sender.gathered = float("-inf")
        for side in ("station", "bridge"):
            world.turn(side)
            world.net.carry("up")
        world.pass_time(0.1)
    assert 1 <= len(said(world)) - before <= 2
    before = len(said(world))
    world.record(0)
    world.turn("station")
    world.net.carry("up")
    world.turn("bridge")
    assert len(said(world)) == before + 1


def test_receipt_counters_only_grow_also_after_power_cuts(world: World) -> None:
    """For one store, whatever happens to the process."""
    for _ in range(6):
        world.record(0)
        world.settle()
        world.cut_power("bridge")
    counters = [one.counter for one in said(world)]
    assert counters == sorted(set(counters))


def test_the_wire_is_silent_when_nothing_happens(world: World) -> None:
    """No polling: an idle hour costs no message."""
    world.settle()
    before = len(world.net.carried)
    for _ in range(60):
        for side in ("station", "bridge"):
            world.turn(side)
        world.pass_time(60)
    assert len(world.net.carried) == before


def test_an_unanswered_hello_is_repeated_ever_less_often(world: World) -> None:
    """At 2, 4, 8 … seconds, at most once a minute."""
    for _ in range(3600):
        world.turn("station")
        world.pass_time(1)
    assert 60 <= len(world.net.carried) <= 70


def test_a_station_that_is_away_is_asked_seldom(world: World) -> None:
    """The bridge asks round when it begins; who does not answer says hello himself when he comes, or may be there and not have heard."""
    world.settle()
    world.net.cut("down")
    world.cut_power("bridge")
    before = len(world.net.carried)
    for _ in range(1000):
        world.turn("bridge")
        world.pass_time(10)
    assert len(world.net.carried) - before == 3 + 5  # after 5, 10, 20, 40, 80 minutes
    uid = world.answer()
    world.settle()
    assert world.told_station()[uid] == 1


def test_a_database_that_is_away_leaves_the_messages_unacknowledged(world: World) -> None:
    """The bridge stays up, acknowledges nothing, and takes everything when the database is back."""
    world.settle()
    uid = world.record(0)
    world.turn("station")
    world.net.carry("up")

    class Away:
        """A store that cannot be reached."""

        def __getattr__(self, name: str) -> Any:
            raise OSError("the database is away")

    real, world.bridge.storage = world.bridge.storage, Away()  # type: ignore[assignment]
    for _ in range(3):
        with pytest.raises(OSError, match="away"):
            world.bridge.turn(world.now, world.at)
    assert len(world.net.ends["up"].unacked) == 1
    world.bridge.storage = real
    world.settle()
    assert (world.told_bridge()[uid][0], world.net.ends["up"].unacked) == (1, {})


def test_a_station_store_that_is_full_keeps_the_answer_unacknowledged(world: World) -> None:
    """The same at the other end."""
    world.settle()
    uid = world.answer()
    world.turn("bridge")
    world.net.carry("up")
    world.turn("bridge")
    world.turn("station")
    world.settle()
    assert world.told_station()[uid] == 1


def test_two_openings_of_one_file_see_one_truth(world: World) -> None:
    """What carry has settled, another process reads."""
    world.record(2)
    world.settle()
    other = connect(world.folder / "station.db", key=STORE_KEY)
    assert other.execute("SELECT state FROM outbox").fetchone()[0] == 2
    other.close()
