"""What was set aside is read again after a fix or an update: byte-exact, once only, and its row says what came of it."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from appliance.contract.events import ConsultWithdrawn, Event
from appliance.contract.lanes import Lane
from appliance.contract.parcels import Header, write_parcel
from appliance.contract.topics import DOWN, UP, topic
from appliance.database import transaction
from appliance.relay import pump, replay, taking
from appliance.relay.line import Message
from appliance.relay.storage import Bad, Stream
from appliance.store import aside
from appliance.store.outbox import append
from cloud_bridge.store import relay_tables, review
from cloud_bridge.store.inbox import BridgeStore
from tests.world import EPOCH, SHARD, STATION, STORE, World

UP_2 = topic(SHARD, STATION, UP, Lane.READINGS)


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[World]:
    """Both ends, the bridge on either database."""
    made = World(tmp_path, 1, database=database_url)
    made.settle()
    yield made
    made.close()


def parcel(world: World, *numbers: int, first: int = 1, origin: bytes = EPOCH, epoch: bytes = b"", lane: int = 2) -> bytes:
    """A parcel of a sender whose code is another one."""
    events = [Event(world.stamp(), "an", "test", ConsultWithdrawn(number, "")) for number in numbers]
    return write_parcel(Header(STATION, origin, lane, first, len(events), epoch), events)


def later_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our code learns to read what begins with 0x21: the same parcel under another number."""
    honest = taking.read

    def read(message: taking.Message, way: str) -> taking.Heard:
        if message.payload[:1] == b"\x21":
            message = dataclasses.replace(message, payload=b"\x11" + message.payload[1:])
        return honest(message, way)

    monkeypatch.setattr(replay, "read", read)


def again(world: World, numbers: list[int] | None = None) -> list[replay.Outcome]:
    """`tram-bridge quarantine replay --all`."""
    store, end = BridgeStore(world.engine, [SHARD]), world.bridge.end
    with world.engine.connect() as tx:
        numbers = numbers or [one.id for one in review.quarantined(tx, waiting=True)]
    return review.take_again(world.engine, store, end, numbers, world.at)


def test_a_message_of_a_newer_version_is_taken_after_the_update_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set aside when it came, byte-exact; with code that knows it its events arrive, and a second replay changes nothing."""
    newer = b"\x21" + parcel(world, 900, 901)[1:]
    world.net.queues["up"].append((UP_2, newer))
    world.settle()
    with world.engine.connect() as tx:
        (one,) = review.quarantined(tx)
        assert (one.reason, review.quarantined_bytes(tx, one.id)) == ("version", newer)
    assert [(found.taken, found.said) for found in again(world)] == [(False, "version")]
    later_version(monkeypatch)
    assert [(found.taken, found.said, found.events) for found in again(world)] == [(True, "taken", 2)]
    assert set(world.told_bridge()) >= {900, 901}
    assert again(world, [one.id]) == []
    with world.engine.connect() as tx:
        (kept,) = review.quarantined(tx)
        assert (kept.outcome, kept.tried is not None, review.quarantined_bytes(tx, kept.id)) == ("taken", True, newer)
        assert review.quarantined(tx, waiting=True) == []
    assert all(count == 1 for count, *_ in world.told_bridge().values())


def test_what_came_by_the_line_meanwhile_is_not_taken_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same events came again in a parcel that could be read."""
    good = parcel(world, 900)
    world.net.queues["up"].append((UP_2, b"\x21" + good[1:]))
    world.net.queues["up"].append((UP_2, good))
    world.settle()
    later_version(monkeypatch)
    assert [(found.taken, found.events) for found in again(world)] == [(True, 0)]
    assert world.told_bridge()[900][0] == 1


@pytest.mark.parametrize("place", ["known", "unknown"])
def test_the_station_hears_that_what_was_set_aside_is_in_after_all(world: World, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Its row says *set aside* until the bridge has read the parcel again, and *received* with the next receipt: also when the
    bridge could not even tell which numbers it had set aside.
    """
    honest = taking.read

    def too_old(message: Message, way: str) -> taking.Heard:
        heard = honest(message, way)
        if not isinstance(heard.content, taking.Run) or heard.content.header.lane != 2:
            return heard
        bad = Bad(STATION, message.topic, message.payload, "shape", "")
        header = heard.content.header
        if place == "known":
            stream = Stream(header.station, header.origin, header.epoch)
            bad = bad._replace(stream=stream, lane=2, first=header.first_seq, last=header.first_seq + header.count - 1)
        return dataclasses.replace(heard, content=bad)

    monkeypatch.setattr(pump, "read", too_old)
    numbers = [world.record(Lane.READINGS) for _ in range(3)]
    world.settle()
    aside = "SELECT count(*) FROM outbox WHERE state = 3"
    assert world.conn.execute(aside).fetchone()[0] == len(numbers)
    monkeypatch.setattr(pump, "read", honest)
    assert {found.said for found in again(world)} == {"taken"}
    world.record(Lane.URGENT)
    world.settle()
    assert world.conn.execute(aside).fetchone()[0] == 0
    assert world.conn.execute("SELECT count(*) FROM outbox WHERE state <> 2").fetchone()[0] == 0


def test_a_damaged_copy_stays_with_its_reason(world: World) -> None:
    """No update makes a torn message whole."""
    world.net.queues["up"].append((UP_2, parcel(world, 900, first=7)[:-6]))
    world.settle()
    (found,) = again(world)
    assert (found.taken, found.said) == (False, "checksum")
    with world.engine.connect() as tx:
        (one,) = review.quarantined(tx, waiting=True)
    assert (one.outcome, one.first_seq, one.events) == ("checksum", 7, 1)


def test_events_of_unknown_kinds_are_read_again_after_the_update(world: World) -> None:
    """Kept raw and receipted when they came; given to the clinic once by the version that knows them."""
    uid = world.record(2)
    world.settle()
    c = relay_tables.event.c
    with world.engine.begin() as tx:  # as a bridge that did not know the kind left it
        tx.execute(update(relay_tables.event).values(why="kind"))
    before = world.told_bridge()[uid][0]
    store, end = BridgeStore(world.engine, [SHARD]), world.bridge.end
    assert review.after_update(world.engine, store, end, world.at) == (0, 1)
    assert world.told_bridge()[uid][0] == before + 1
    with world.engine.connect() as tx:
        assert tx.execute(select(c.why)).scalars().all() == [None]
    assert review.after_update(world.engine, store, end, world.at) == (0, 0)


def test_the_station_reads_again_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message of the way down that a newer bridge sent; and an event of ours that an earlier version could not write."""
    where = topic(SHARD, STATION, DOWN, Lane.URGENT)
    newer = b"\x21" + parcel(world, 77, lane=0, origin=STORE, epoch=EPOCH, first=40)[1:]
    world.net.queues["down"].append((where, newer))
    with transaction(world.conn):
        append(world.conn, Event(world.stamp(), "an", "test", ConsultWithdrawn(55, "")), Lane.READINGS)
        body = world.conn.execute("SELECT body FROM outbox ORDER BY id DESC LIMIT 1").fetchone()[0]
        world.conn.execute(
            "INSERT INTO quarantine (side, topic, payload, reason, detail, origin, lane, first_seq, count, at)"
            " VALUES ('own', '', ?, 'shape', '', ?, 2, 9, 1, 1), ('own', '', x'00', 'checksum', '', ?, 2, 10, 1, 1)",
            (body, EPOCH, EPOCH),
        )
    world.settle()
    later_version(monkeypatch)
    listed = aside.listing(world.conn, waiting=True)
    assert [(one.side, one.reason) for one in listed] == [("own", "shape"), ("own", "checksum"), ("down", "version")]
    assert aside.payload(world.conn, listed[2].id) == newer
    store, end = world.station.storage.real, world.station.end
    done = aside.again(store, world.conn, end, [one.id for one in listed], world.at)
    assert [(one.taken, one.said) for one in done] == [
        (True, "queued again"), (False, "its bytes are not those that were written"), (True, "taken"),
    ]  # fmt: skip
    assert [one.reason for one in aside.listing(world.conn, waiting=True)] == ["checksum"]
    assert len(aside.listing(world.conn)) == 3, "nothing is removed"
    json.dumps([one._asdict() for one in aside.listing(world.conn)])
