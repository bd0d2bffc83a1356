"""What cannot be read is kept byte-exact, said in the receipt, and delays nothing."""

from random import Random

import pytest
from sqlalchemy import select

from appliance.contract.codec import write_event
from appliance.contract.events import ConsultWithdrawn, Event, Unknown
from appliance.contract.lanes import Lane
from appliance.contract.parcels import Header, split, write_parcel
from appliance.contract.receipts import digest
from appliance.contract.topics import DOWN, UP, topic
from appliance.database import transaction
from appliance.relay.storage import ASIDE_RANGES
from appliance.store.outbox import append
from cloud_bridge.store import relay_tables
from tests.world import EPOCH, SHARD, STATION, STORE, World

UP_2 = topic(SHARD, STATION, UP, Lane.READINGS)


def parcel(
    world: World, *numbers: int, first: int = 1, station: str = STATION, lane: int = 2, origin: bytes = EPOCH, epoch: bytes = b""
) -> bytes:
    """A parcel that was not made by the product's sender."""
    events = [Event(world.stamp(), "an", "test", ConsultWithdrawn(number, "")) for number in numbers]
    return write_parcel(Header(station, origin, lane, first, len(events), epoch), events)


def bring(world: World, where: str, payload: bytes) -> None:
    """The broker has this message for the bridge (or, on a topic of the way down, for the station)."""
    world.net.queues[where.split("/")[3]].append((where, payload))


def quarantine(world: World) -> list[tuple[str, str, bytes, int | None]]:
    """(station, reason, payload, first number) of what the bridge set aside."""
    c = relay_tables.quarantine.c
    with world.engine.connect() as tx:
        return [
            (row[0], row[1], bytes(row[2]), row[3])
            for row in tx.execute(select(c.station, c.reason, c.payload, c.first_seq).order_by(c.id))
        ]


def damaged(payload: bytes, cut: int = 6) -> bytes:
    """The same header, the end of the body missing."""
    return payload[:-cut]


@pytest.mark.parametrize("kind", ["malformed", "truncated", "oversized", "version", "station", "lane", "type", "empty", "hello", "receipt"])
def test_a_poisoned_message_goes_to_quarantine_and_the_next_one_passes(either: World, kind: str) -> None:
    """Byte-exact, with its reason, on both databases; what stands behind it arrives."""
    world, good = either, parcel(either, 900)
    payload, where = {
        "malformed": (good[:30] + b"\xff" * 40, UP_2),
        "truncated": (damaged(good), UP_2),
        "oversized": (good + bytes(1 << 20), UP_2),
        "version": (b"\x21" + good[1:], UP_2),
        "station": (parcel(world, 900, station="tram-9999"), UP_2),
        "lane": (good, topic(SHARD, STATION, UP, Lane.URGENT)),
        "type": (b"\x1f\x00\x01", UP_2),
        "empty": (b"", UP_2),
        "hello": (b"\x13\xa0", UP_2),
        "receipt": (b"\x12" + bytes(80), UP_2),
    }[kind]
    world.settle()
    bring(world, where, payload)
    uid = world.record(2)
    world.settle()
    assert world.judge() == []
    assert world.told_bridge()[uid][0] == 1
    ((station, reason, kept, _),) = quarantine(world)
    assert (station, kept) == (STATION, payload)
    assert reason in ("shape", "truncated", "oversized", "version", "station", "lane", "range", "signature", "checksum", "dictionary")


def test_the_receipt_names_what_was_refused(world: World) -> None:
    """A parcel with a readable header counts as set aside in its lane; the station, whose own bytes these were, stops sending it."""
    uid = world.record(2)
    world.settle()
    assert uid in world.told_bridge()
    later = world.record(2)
    spoiled(world)
    world.settle()
    states = [row[0] for row in world.conn.execute("SELECT state FROM outbox ORDER BY seq").fetchall()]
    assert states == [2, 3]
    assert later not in world.told_bridge()
    assert [one[3] for one in quarantine(world)] == [2]
    after = world.record(2)
    world.settle()
    assert after in world.told_bridge()


def spoiled(world: World) -> None:
    """Freeze what waits, then change the parcel's bytes at the station: the sender itself made something unreadable."""
    world.net.reachable = True
    world.turn("station")
    with transaction(world.conn):
        row = world.conn.execute("SELECT number, payload FROM parcel ORDER BY number DESC LIMIT 1").fetchone()
        payload = damaged(bytes(row[1]))
        world.conn.execute("UPDATE parcel SET payload = ?, digest = ? WHERE number = ?", (payload, digest(payload), row[0]))
    world.net.queues["up"].clear()
    world.cut_power("station")


def test_a_damaged_copy_does_not_stand_in_for_the_good_one(world: World) -> None:
    """A mad broker damages a parcel on its way: the damaged bytes go to quarantine, the good ones are sent again and taken."""
    world.settle()
    uid = world.record(2)
    world.turn("station")
    ((where, good),) = world.net.queues["up"]
    world.net.queues["up"] = [(where, damaged(good))]
    world.net.carry("up")
    world.turn("bridge")
    assert uid not in world.told_bridge()
    world.settle()
    assert world.judge() == []
    assert world.told_bridge()[uid][0] == 1
    assert [one[2] for one in quarantine(world)] == [damaged(good)]
    assert [row[0] for row in world.conn.execute("SELECT state FROM outbox").fetchall()] == [2]


def test_a_number_used_twice_is_no_repeat(world: World) -> None:
    """The same number with other content is quarantined, never dropped, and never replaces what was there."""
    uid = world.record(2)
    world.settle()
    other = parcel(world, 4711)
    bring(world, UP_2, other)
    world.settle()
    assert set(world.told_bridge()) == {uid}
    assert [(one[1], one[2]) for one in quarantine(world)] == [("reused", other)]


def test_a_station_nobody_registered_is_kept_and_not_answered(world: World) -> None:
    """In quarantine with its topic, whatever it is; nothing is said to it."""
    where = topic(SHARD, "stranger", UP, Lane.READINGS)
    payload = parcel(world, 5, station="stranger")
    world.settle()
    bring(world, where, payload)
    before = len(world.net.carried)
    world.settle()
    assert [(one[0], one[1], one[2]) for one in quarantine(world)] == [("stranger", "station", payload)]
    assert [where for where, _ in world.net.carried[before:] if "stranger" in where] == []
    assert world.told_bridge() == {}


def test_the_same_poison_again_is_kept_once(world: World) -> None:
    """A sender that cannot learn fills no disk."""
    world.settle()
    for _ in range(5):
        bring(world, UP_2, b"\x21poison")
        world.settle()
    assert len(quarantine(world)) == 1


def test_broken_messages_that_claim_numbers_far_ahead_make_no_station_begin_anew(world: World) -> None:
    """More of them than a receipt can name: the station does not take itself for a card that was put back, and repeats nothing."""
    world.settle()
    for number in range(ASIDE_RANGES + 8):
        bring(world, UP_2, damaged(parcel(world, 900_000 + number, first=1_000_000 + 50 * number)))
    world.settle()
    said = [world.record(2) for _ in range(40)]
    world.settle()
    assert {world.told_bridge()[one][0] for one in said} == {1}
    assert world.conn.execute("SELECT count(*) FROM epoch").fetchone()[0] == 1
    assert world.judge() == []


def test_the_clinic_may_refuse_one_event_and_takes_the_others(either: World) -> None:
    """A ValueError of the clinic keeps that event raw and flagged; its neighbours in the same parcel are taken; all are receipted."""
    world = either
    good, bad, other = world.record(2), world.record(2, text="refuse"), world.record(2)
    world.settle()
    assert set(world.told_bridge()) == {good, other}
    c = relay_tables.event.c
    with world.engine.connect() as tx:
        rows = {row[0]: (bytes(row[1]), row[2]) for row in tx.execute(select(c.seq, c.body, c.why))}
    assert [rows[seq][1] for seq in (1, 3)] == [None, None]
    assert "refused by the clinic" in (rows[2][1] or "")
    assert rows[2][0] == bytes(world.conn.execute("SELECT body FROM outbox WHERE seq = 2").fetchone()[0])
    assert bad not in world.told_bridge()
    assert world.owed() == {}


def test_a_kind_of_a_later_version_is_kept_raw_and_receipted(world: World) -> None:
    """It travels, is kept as it came, and the clinic is not asked."""
    event = Event(world.stamp(), "an", "99.0", Unknown(999, b"\xa1\x01\x18\x2a"))
    with transaction(world.conn):
        append(world.conn, event, Lane.READINGS)
    world.settle()
    c = relay_tables.event.c
    with world.engine.connect() as tx:
        row = tx.execute(select(c.kind, c.body, c.why)).one()
    assert (row[0], bytes(row[1]), row[2]) == (999, write_event(event), "kind")
    assert world.owed() == {}


def test_a_long_text_travels_in_fragments_and_arrives_whole(either: World) -> None:
    """Also when the plug is pulled between two of them: the parts are kept until the payload is whole."""
    world = either
    world.settle()
    text = Random(3).randbytes(3000).hex()
    uid = world.record(0, text=text)
    world.turn("station")
    assert len(world.net.queues["up"]) >= 3
    world.net.carry("up", 2)
    world.turn("bridge")
    world.cut_power("bridge")
    world.settle()
    assert world.judge() == []
    assert world.told_bridge()[uid][0] == 1
    with world.engine.connect() as tx:
        assert tx.execute(select(relay_tables.fragment)).all() == []


def test_fragments_that_make_no_parcel_go_to_quarantine(world: World) -> None:
    """Joined first, so that a person sees the whole."""
    world.settle()
    payload = b"\x21" + Random(1).randbytes(3000)
    for part in split(payload):
        bring(world, UP_2, part)
    world.settle()
    assert [(one[1], one[2]) for one in quarantine(world)] == [("version", payload)]


def test_the_station_sets_aside_what_it_cannot_read(world: World) -> None:
    """The same rules on the way down: kept byte-exact, and the next answer passes."""
    world.settle()
    where = topic(SHARD, STATION, DOWN, Lane.URGENT)
    poison = damaged(parcel(world, 1, lane=0, origin=STORE, epoch=EPOCH))
    bring(world, where, poison)
    uid = world.answer()
    world.settle()
    assert world.told_station()[uid] == 1
    rows = world.conn.execute("SELECT side, payload, state FROM quarantine").fetchall()
    assert [(row[0], bytes(row[1])) for row in rows] == [("down", poison)]
    assert world.judge() == []


def test_an_event_the_card_has_changed_is_not_sent(world: World) -> None:
    """A checksum of every row: a flipped bit goes to the local quarantine, its neighbours travel."""
    world.settle()
    first, _, last = world.record(2), world.record(2), world.record(2)
    with transaction(world.conn):
        world.conn.execute("UPDATE outbox SET body = CAST(body || x'00' AS BLOB) WHERE seq = 2")
    world.ledger.up[2].pop(1)
    world.settle()
    assert set(world.told_bridge()) == {first, last}
    assert [row[0] for row in world.conn.execute("SELECT state FROM outbox ORDER BY seq").fetchall()] == [2, 3, 2]
    assert [tuple(row) for row in world.conn.execute("SELECT side, reason, first_seq FROM quarantine").fetchall()] == [
        ("own", "checksum", 2)
    ]


def test_a_hundredth_of_poison_delays_nobody(world: World) -> None:
    """Every hundredth of many messages is poison: all others arrive, once, in order; the poison is all there."""
    world.settle()
    dice, poison = Random(5), []
    for round_ in range(30):
        for _ in range(20):
            world.record(2)
        world.turn("station")
        payload = b"\x21" + dice.randbytes(20) if round_ % 3 else damaged(parcel(world, 1, first=10_000 + round_))
        poison.append(payload)
        bring(world, UP_2, payload)
        world.net.carry("up")
        world.turn("bridge")
        world.net.carry("down")
        world.pass_time(1.0)
    world.settle()
    assert world.judge() == []
    assert len(world.told_bridge()) == 600
    assert sorted(one[2] for one in quarantine(world)) == sorted(poison)
