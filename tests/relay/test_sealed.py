"""Sealed talk between two real stores: in any order, through cuts, copies and old files put back."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import select

from appliance.contract import parcels
from appliance.contract.events import ConsultWithdrawn, Event
from appliance.contract.parcels import PARCEL, Header, join, peek, read_fragment, read_parcel
from appliance.contract.readings import ClockQuality, Stamp
from appliance.contract.sealing import SALT_BYTES, SEALED
from appliance.database import connect, transaction
from appliance.relay.sending import Sender
from appliance.relay.storage import Stream
from appliance.store import boots
from appliance.store.inbox import StationStore
from appliance.store.sealing import StationSeals
from cloud_bridge.store import relay_tables, sealing
from tests.world import EPOCH, STATION, STORE, STORE_KEY, Weather, World


@pytest.fixture
def world(worlds: Callable[..., World]) -> World:
    """A world in service: sealed, and what is clear is refused."""
    return worlds(sealed=True, strict=True)


def parcels_of(world: World, way: str = "") -> list[tuple[Header, bytes]]:
    """Every parcel that went through the broker, whole, with its header."""
    return [(peek(payload), payload) for where, payload in world.net.carried if payload[0] == PARCEL and way in where]


def nonces(found: Iterable[tuple[Header, bytes]]) -> dict[tuple[object, ...], set[bytes]]:
    """By what makes key and nonce of a sealed parcel: the different bytes that were sealed with it."""
    seen: dict[tuple[object, ...], set[bytes]] = {}
    for header, payload in found:
        if header.suite == SEALED:
            rest = payload[len(parcels._write_header(header, False)) :]
            place = (header.origin, header.epoch, header.key_id, header.lane, header.first_seq, rest[:SALT_BYTES])
            seen.setdefault(place, set()).add(payload)
    return seen


def aside(world: World) -> int:
    """How many messages wait for a key at the bridge."""
    with world.engine.connect() as tx:
        return len(tx.execute(select(relay_tables.sealed.c.digest)).all())


def quarantined(world: World) -> list[tuple[str, bytes]]:
    """(reason, bytes) of what the bridge could not read."""
    c = relay_tables.quarantine.c
    with world.engine.connect() as tx:
        return [(row[0], bytes(row[1])) for row in tx.execute(select(c.reason, c.payload).order_by(c.id))]


# --- what travels --------------------------------------------------------------------------------------------------------------


def test_everything_but_keys_is_sealed_both_ways(world: World) -> None:
    """Readings, requests and answers arrive; the broker saw no word of them."""
    for lane in (0, 1, 2):
        world.record(lane, text="Đau ngực từ sáng")
    world.settle()
    world.answer(text="BS. Thử Nghiệm Tư")
    world.settle()
    assert world.judge() == []
    seen = b"".join(payload for _, payload in world.net.carried)
    assert "Đau ngực".encode() not in seen
    assert b"Nghi" not in seen
    assert {header.suite for header, _ in parcels_of(world)} == {0, SEALED}
    clear = [event.kind for header, payload in parcels_of(world) if not header.suite for event in read_parcel(payload)[1]]
    assert set(clear) == {52}


@pytest.mark.parametrize("seed", range(3))
def test_a_bad_day_leaves_nothing_lost_doubled_or_repeated(worlds: Callable[..., World], seed: int) -> None:
    """Loss, repeats, another order, power cuts in the middle of any step; every key and nonce sealed one content."""
    dice = Random(seed)
    world = worlds(seed, sealed=True, strict=True)
    for _ in range(40):
        match dice.randrange(5):
            case 0:
                world.record(dice.choice([0, 2, 2]))
            case 1:
                world.answer()
            case 2:
                world.net.weather = dice.choice([Weather.fine(), Weather(forget=0.5), Weather(repeat=0.5, shuffle=0.5)])
            case 3:
                side = dice.choice(["station", "bridge"])
                world.fuses[side].left = dice.randrange(40)
                world.turn(side)
                world.fuses[side].left = None
            case _:
                for side in ("station", "bridge"):
                    world.turn(side)
                    world.net.carry("up")
                    world.net.carry("down")
                world.pass_time(dice.choice([0.3, 61.0]))
        assert world.vouched_wrongly() == []
    world.settle()
    assert world.judge() == []
    assert aside(world) == 0
    assert all(len(bytes_) == 1 for bytes_ in nonces(parcels_of(world)).values())


def test_sealed_events_longer_than_a_message_travel_in_fragments(world: World) -> None:
    """Frozen whole, cut, joined, opened; no message is much longer than a clear one may be."""
    noise = Random(5)
    world.record(0, text="".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(1500)))
    world.settle()
    assert world.judge() == []
    cut = [payload for _, payload in world.net.carried if payload[0] == 0x14]
    assert len(cut) >= 3
    assert max(len(payload) for payload in cut) <= 1232
    assert peek(join(read_fragment(payload) for payload in cut)).suite == SEALED


# --- before the key --------------------------------------------------------------------------------------------------------------


class KeysLater:
    """Stands in the net's way up: whatever brings a key is kept back until `let`."""

    def __init__(self, world: World) -> None:
        self.net = world.net
        self.carry = world.net.carry
        self.held: list[tuple[str, bytes]] = []
        self.net.carry = self  # type: ignore[method-assign]  # it is called as the method was

    def __call__(self, way: str, most: int = 10_000) -> int:
        """As `Net.carry`."""
        if way == "up":
            keys = [one for one in self.net.queues["up"] if one[1][0] == PARCEL and not peek(one[1]).suite]
            self.held += keys
            self.net.queues["up"] = [one for one in self.net.queues["up"] if one not in keys]
        return self.carry(way, most)

    def let(self) -> None:
        """Now they come."""
        self.net.carry = self.carry  # type: ignore[method-assign]  # as it was
        self.net.queues["up"] += self.held


def turn(world: World, times: int = 1) -> None:
    """Both cranks, and what is under way arrives."""
    for _ in range(times):
        for side in ("station", "bridge"):
            world.turn(side)
            world.net.carry("up")
            world.net.carry("down")
        world.pass_time(0.3)


def test_parcels_before_their_key_are_set_aside_and_open_when_it_comes(world: World) -> None:
    """Nothing is vouched for meanwhile; the key comes last, and then everything is there at once."""
    keys = KeysLater(world)
    for _ in range(4):
        world.record(2)
        turn(world, 4)
    assert aside(world) == len({payload for header, payload in parcels_of(world, "/up/") if header.suite}) > 0
    assert world.told_bridge() == {}
    assert world.conn.execute("SELECT count(*) FROM outbox WHERE state = 2").fetchone()[0] == 0
    assert quarantined(world) == []
    keys.let()
    turn(world)
    assert len(world.told_bridge()) == 4
    assert aside(world) == 0
    world.settle()
    assert world.judge() == []


def test_what_was_set_aside_outlives_the_carrier(world: World) -> None:
    """The process dies with a parcel set aside; the next one opens it when the key comes."""
    keys = KeysLater(world)
    world.record(2)
    turn(world, 6)
    assert aside(world) == 1
    world.cut_power("bridge")
    keys.let()
    turn(world, 4)
    assert (aside(world), len(world.told_bridge())) == (0, 1)
    world.settle()
    assert world.judge() == []


def test_more_than_may_be_set_aside_comes_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood under keys that nobody has fills nothing, and nobody's parcel is lost by it."""
    monkeypatch.setattr(sealing, "ASIDE", 2)
    keys = KeysLater(world)
    for _ in range(5):
        world.record(2)
        turn(world, 4)
    assert aside(world) == 2
    keys.let()
    world.settle()
    assert world.judge() == []
    assert len(world.told_bridge()) == 5


def test_a_bridge_without_its_private_key_sets_aside_until_it_is_back(world: World) -> None:
    """The key folder was not brought back with the database: nothing is quarantined, nothing vouched for."""
    private = world.openers.pop(0)
    world.record(2)
    turn(world, 6)
    assert aside(world) == 1
    assert quarantined(world) == []
    world.openers[0] = private
    world.cut_power("bridge")
    world.settle()
    assert world.judge() == []
    assert aside(world) == 0


def test_a_doctor_waits_for_the_key_of_a_new_epoch(world: World) -> None:
    """What is said to a station whose key has not come stays at the bridge, sealed or not at all."""
    keys = KeysLater(world)
    turn(world, 3)
    world.answer()
    turn(world, 6)
    assert parcels_of(world, "/down/") == []
    keys.let()
    world.settle()
    assert world.judge() == []
    assert {header.suite for header, _ in parcels_of(world, "/down/")} == {SEALED}


# --- copies and old files --------------------------------------------------------------------------------------------------------


def copy_of(world: World) -> Path:
    """A raw copy of the station's file."""
    world.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    world.copies += 1
    return Path(shutil.copy(world.folder / "station.db", world.folder / f"card-{world.copies}"))


def put_back(world: World, copy: Path) -> None:
    """Somebody puts an older state of the card back, and tells nobody."""
    world.net.cut("down")
    world.conn.close()
    for suffix in ("-wal", "-shm"):
        (world.folder / f"station.db{suffix}").unlink(missing_ok=True)
    shutil.copy(copy, world.folder / "station.db")
    world.station = world._start_station()


def frozen_alone(world: World, file: Path, random: Callable[[int], bytes]) -> bytes:
    """What a carrier on `file` would freeze next in lane 2 without asking anybody, drawing from `random`."""
    conn = connect(file, key=STORE_KEY)
    store = StationStore(conn, STATION, 7)
    sender = Sender(store, STATION, seals=StationSeals(STATION, now=world.stamp, random=random))
    with transaction(conn) as tx:
        sender.notice(store.waiting(tx), 0.0)
        pieces = sender.next_pieces(tx, 9, 0.0, 0, metered=False, again=True, credit=9)
    conn.close()
    return next(piece.payload for piece in pieces if piece.lane == 2)


def test_an_older_card_that_is_put_back_begins_another_epoch_with_another_key(world: World) -> None:
    """The bridge knows of more than the card: new epoch, new key, and no key and nonce ever sealed two contents."""
    world.record(2)
    world.settle()
    copy = copy_of(world)
    world.record(2, text="trước")
    world.settle()
    put_back(world, copy)
    world.record(2, text="sau")
    world.settle()
    assert len(world.told_bridge()) == 3
    found = parcels_of(world, "/up/")
    assert len({header.origin for header, _ in found if header.suite}) == 2
    keys = world.conn.execute("SELECT epoch, key FROM content_key").fetchall()
    assert len({bytes(row[0]) for row in keys}) == len({bytes(row[1]) for row in keys}) == 2
    assert all(len(bytes_) == 1 for bytes_ in nonces(found).values())
    world.answer()
    world.settle()
    assert len(world.told_station()) == 1


@pytest.mark.parametrize("random", [os.urandom, bytes], ids=["chance", "the same chance again"])
def test_a_card_put_back_or_copied_never_seals_two_contents_alike(world: World, random: Callable[[int], bytes]) -> None:
    """The same epoch, key, lane and number, nobody was asked, in the worst case even the same random bytes: other salts."""
    world.settle()
    sent = []
    copies = [copy_of(world) for _ in range(2)]
    for number, file in enumerate(copies):
        put_back(world, file)
        world.record(2, text=f"lời {number}")
        sent.append(frozen_alone(world, copy_of(world), random))
    assert peek(sent[0]) == peek(sent[1])
    assert sent[0] != sent[1]
    assert len(nonces((peek(one), one) for one in sent)) == 2


def test_both_copies_of_a_card_can_be_read_and_neither_is_lost(world: World) -> None:
    """Two boxes speak with one number: the first is taken, the second is kept as it came, and it could be opened."""
    world.settle()
    copies = [copy_of(world) for _ in range(2)]
    sent = []
    for number, file in enumerate(copies):
        put_back(world, file)
        world.record(2, text=f"lời {number}")
        sent.append(frozen_alone(world, copy_of(world), world.random))
    for payload in sent:
        world.net.ends["up"].deliver(f"v1/07/{STATION}/up/2", payload)
        world.turn("bridge")
    assert quarantined(world) == [("reused", sent[1])]


def test_an_older_bridge_that_is_put_back_repeats_no_nonce(world: World) -> None:
    """Doctors say other things under the same numbers: another incarnation has another key."""
    world.settle()
    backup = world.backup()
    world.answer(text="một")
    world.settle()
    world.restore_backup(backup)
    world.answer(text="hai")
    world.settle()
    assert world.judge() == []
    found = parcels_of(world, "/down/")
    assert len({header.origin for header, _ in found}) == 2
    assert all(len(bytes_) == 1 for bytes_ in nonces(found).values())


def test_an_epoch_that_somebody_else_begins_has_its_key_before_its_first_parcel(world: World) -> None:
    """`tram init` on another machine, or a clone that was noticed: the carrier sees the epoch and makes its key."""
    world.record(2)
    world.settle()
    with transaction(world.conn):
        boots.open_epoch(world.conn, b"epoch--2", "machine", 0)
    world.record(2)
    world.settle()
    assert len(world.told_bridge()) == 2
    assert {header.origin for header, _ in parcels_of(world, "/up/") if header.suite} == {EPOCH, b"epoch--2"}
    assert world.conn.execute("SELECT count(*) FROM content_key").fetchone()[0] == 2


def test_another_key_of_the_bridge_is_used_once_it_is_pinned(world: World) -> None:
    """The bridge made a second key: what was sealed before stays readable, what comes after needs the new one alone."""
    world.record(2)
    world.settle()
    fresh = X25519PrivateKey.from_private_bytes(b"\x0b" * 32)
    world.openers[1] = fresh
    world.pin(1, fresh)
    world.cut_power("station")
    world.record(2)
    world.settle()
    assert {header.key_id for header, _ in parcels_of(world, "/up/") if header.suite} == {1, 2}
    world.openers.pop(0)
    world.cut_power("bridge")
    world.record(2)
    world.answer()
    world.settle()
    assert len(world.told_bridge()) == 3
    assert world.judge() == []


# --- what is refused -------------------------------------------------------------------------------------------------------------


def test_in_service_a_clear_parcel_is_refused_and_the_true_one_still_comes(world: World) -> None:
    """Somebody on the broker writes under a station's number: kept byte-exact, and the number stays the station's."""
    world.settle()
    forged = clear_parcel(Header(STATION, EPOCH, 2, 1, 1))
    world.net.ends["up"].deliver(f"v1/07/{STATION}/up/2", forged)
    world.turn("bridge")
    assert quarantined(world) == [("clear", forged)]
    world.record(2)
    world.settle()
    assert len(world.told_bridge()) == 1
    down = clear_parcel(Header(STATION, STORE, 0, 1, 1, EPOCH))
    world.net.ends["down"].deliver(f"v1/07/{STATION}/down/0", down)
    world.turn("station")
    assert [tuple(row) for row in world.conn.execute("SELECT reason, payload FROM quarantine")] == [("clear", down)]
    world.answer()
    world.settle()
    assert world.judge() == []


def clear_parcel(header: Header) -> bytes:
    """A parcel as somebody without any key can make it."""
    stamp = Stamp(1, 1, 1, 17_900_000_000, ClockQuality.SYNCED)
    return parcels.write_parcel(header, [Event(stamp, "", "x", ConsultWithdrawn(77, "giả"))])


def test_a_sealed_parcel_that_does_not_open_is_kept_as_it_came(world: World) -> None:
    """One byte was changed on the way: quarantined byte-exact, and the good bytes come again."""
    world.settle()
    world.record(2)
    world.turn("station")
    (where, payload), *_ = [one for one in world.net.queues["up"] if one[1][0] == PARCEL]
    world.net.queues["up"].clear()
    damaged = payload[:-1] + bytes([payload[-1] ^ 1])
    world.net.ends["up"].deliver(where, damaged)
    world.turn("bridge")
    assert quarantined(world) == [("sealed", damaged)]
    world.settle()
    assert world.judge() == []


def test_a_key_that_the_station_has_not_signed_opens_nothing(worlds: Callable[..., World]) -> None:
    """The station that is registered has another key: its words wait for somebody to look, in nobody's name."""
    world = worlds(sealed=True)
    world._station_key = lambda _tx, station: (0, b"\x20" * 32) if station == STATION else None  # type: ignore[method-assign]  # a register of another time
    world.cut_power("bridge")
    world.record(2)
    turn(world, 6)
    with world.engine.connect() as tx:
        assert tx.execute(select(relay_tables.content_key.c.key_id)).all() == []
        assert "signature" in str(tx.scalar(select(relay_tables.event.c.why).where(relay_tables.event.c.kind == 52)))
    assert world.told_bridge() == {}


def test_a_bridge_that_never_had_a_key_of_a_station_speaks_clear_where_that_is_allowed(worlds: Callable[..., World]) -> None:
    """Outside service a box without sealing is served; one that has sent a key once is never spoken to in clear."""
    world = worlds(sealed=True)
    with world.engine.begin() as tx:
        seals = world.bridge.end.seals
        assert seals.seal(tx, Stream(STATION, STORE, EPOCH)) is None
    world.settle()
    with world.engine.begin() as tx:
        assert seals.seal(tx, Stream(STATION, STORE, EPOCH)) is not None
        with pytest.raises(LookupError):
            seals.seal(tx, Stream(STATION, STORE, b"epoch--9"))
