"""*Safe* means: a verified backup of the bridge holds it. Nothing else says so, and it is taken back when it is no longer so."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.contract.receipts import SAFE_NONCE, LaneReceipt, Level, Receipt, open_receipt, seal_receipt
from appliance.contract.topics import DOWN, topic
from appliance.relay.marks import Marks
from appliance.relay.storage import Stream
from appliance.store.outbox import is_safe
from cloud_bridge import backup, intake
from tests.world import EPOCH, RECEIPT_KEY, SHARD, STATION, STORE, Weather, World

DOWN_0 = topic(SHARD, STATION, DOWN, 0)


def save(world: World) -> backup.Backup:
    """`tram-bridge backup`."""
    return backup.make(world.engine, world.folder / "to", at=world.at, random=world.random)


def put_back(world: World) -> None:
    """`tram-bridge restore` of the latest backup, and the bridge starts again."""
    world.net.cut("up")
    world.engine.dispose()
    backup.restore(world.database, world.folder / "to", at=world.at, random=world.random, bury=intake.bury, replace=True)
    world.bridge = world._start_bridge()
    world.restored += 1


def safe(world: World) -> list[bool]:
    """Of every event of the station, in order: whether it is called safe."""
    return [is_safe(world.conn, row[0]) for row in world.conn.execute("SELECT id FROM outbox ORDER BY id").fetchall()]


def record(world: World, count: int, lane: int = 2) -> None:
    """Readings, received by the bridge."""
    for _ in range(count):
        world.record(lane)
    world.pass_time(20)
    world.settle()


def carried(world: World) -> list[Receipt]:
    """Every receipt of level safe that went to the station."""
    found = [payload for where, payload in world.net.carried if where == DOWN_0 and payload[:1] == b"\x12"]
    said = [open_receipt(payload, {0: RECEIPT_KEY.public_key()}) for payload in found]
    return [one for one in said if one.level is Level.SAFE]


def test_nothing_is_safe_before_a_backup_and_only_what_it_holds_after(world: World) -> None:
    """Received is not safe; the word comes with the next receipt after the backup."""
    record(world, 3)
    assert not any(safe(world))
    assert not carried(world)
    save(world)
    record(world, 2)
    assert safe(world) == [True, True, True, False, False]
    assert len(carried(world)) == 1
    save(world)
    record(world, 1)
    assert safe(world) == [True] * 5 + [False]
    assert world.judge() == []


def test_a_backup_that_failed_makes_nothing_safe(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy could not be read back: the stations never hear of it."""
    record(world, 3)
    honest = backup.copies.take

    def lying(engine: object, folder: Path) -> object:
        said = honest(engine, folder)  # type: ignore[arg-type]  # an engine
        next(folder.iterdir()).write_bytes(b"")
        return said

    monkeypatch.setattr(backup.copies, "take", lying)
    with pytest.raises(backup.BackupError):
        save(world)
    record(world, 2)
    assert not any(safe(world))


def test_every_epoch_of_the_station_hears_it(world: World) -> None:
    """What was sent under an older epoch is safe too."""
    from appliance.database import transaction
    from appliance.store import boots

    record(world, 2)
    with transaction(world.conn):
        boots.open_epoch(world.conn, b"epoch--2", "test", world.at)
    world.cut_power("station")
    record(world, 2)
    save(world)
    record(world, 1)
    assert safe(world) == [True, True, True, True, False]


def test_a_word_that_was_lost_comes_again_with_the_next_connection(world: World) -> None:
    """The station was away when it was said."""
    record(world, 2)
    save(world)
    world.record(2)
    world.pass_time(20)
    world.turn("station")
    world.net.carry("up")
    world.turn("bridge")
    world.pass_time(3)
    world.turn("bridge")
    assert carried(world)
    world.net.queues["down"].clear()
    world.cut_power("station")
    assert not any(safe(world))
    world.pass_time(130)
    world.settle()
    assert safe(world) == [True, True, False]


def test_software_without_levels_takes_no_harm(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A box of v0.1.0 does not look at the level: it takes the receipt for an old one, which cannot take anything away, asks once
    more, and comes to rest.
    """
    from appliance.relay.pump import Pump

    record(world, 3)
    save(world)
    record(world, 2)
    honest = Pump._receipt

    def old(self: Pump, tx: object, talk: object, heard: object, said: object, *more: object) -> object:
        if self.end.way == "up":
            opened = open_receipt(said.payload, {0: RECEIPT_KEY.public_key()})  # type: ignore[attr-defined]  # a sealed receipt
            said = replace(said, payload=seal_receipt(replace(opened, level=Level.RECEIVED), RECEIPT_KEY))  # type: ignore[type-var]
        return honest(self, tx, talk, heard, said, *more)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr(Pump, "_receipt", old)
    save(world)
    before = world.bridge.counts.receipts_out
    record(world, 2)
    assert world.judge() == []
    assert [row[0] for row in world.conn.execute("SELECT state FROM outbox").fetchall()] == [2] * 7
    for _ in range(100):
        world.pass_time(30)
        world.settle()
    assert world.bridge.counts.receipts_out - before < 12


# --- what must not make anything safe ------------------------------------------------------------------------------------------------


def tell(world: World, counter: int = 10_000, **changes: object) -> None:
    """Somebody hands the station a receipt of level safe for everything."""
    key = changes.pop("key", RECEIPT_KEY)
    assert isinstance(key, Ed25519PrivateKey)
    nonce = world.station.talks[STATION].nonce + SAFE_NONCE
    true = Receipt(STATION, EPOCH, STORE, counter, nonce, (LaneReceipt(2, 3, 3),), Level.SAFE)
    world.net.ends["down"].deliver(DOWN_0, seal_receipt(replace(true, **changes), key))  # type: ignore[arg-type]  # fields of it
    world.turn("station")


def test_the_honest_word_is_believed(world: World) -> None:
    """So that the refusals below mean something."""
    record(world, 3)
    tell(world)
    assert safe(world) == [True] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"key": Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)}, {"station": "tram-0002"}, {"epoch": b"epoch--9"},
        {"store": b"store--9"}, {"nonce": b"of-old" + SAFE_NONCE}, {"nonce": SAFE_NONCE}, {"nonce": b""},
    ],
)  # fmt: skip
def test_a_word_that_is_not_the_bridges_own_of_now_is_not(world: World, changes: dict[str, object]) -> None:
    """Another key, station, epoch, store; an old nonce, or none."""
    record(world, 3)
    tell(world, **changes)
    assert not any(safe(world))


def test_an_older_word_does_not_replace_a_newer_one(world: World) -> None:
    """The counter only grows."""
    record(world, 3)
    tell(world, 500)
    tell(world, 499, lanes=(LaneReceipt(2, 1, 1),))
    assert safe(world) == [True] * 3


def test_safe_is_never_more_than_received(world: World) -> None:
    """A backup cannot hold what the bridge has not; what comes later is not safe by that."""
    record(world, 2)
    tell(world, lanes=(LaneReceipt(2, 50, 50),))
    record(world, 2)
    assert safe(world) == [True, True, False, False]
    assert world.conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0] == 0


def test_it_settles_nothing(world: World) -> None:
    """Only a receipt of level received takes an event off the list of what is to be sent."""
    world.settle()
    for _ in range(3):
        world.record(2)
    world.turn("station")
    world.net.queues["up"].clear()
    tell(world)
    assert [row[0] for row in world.conn.execute("SELECT state FROM outbox").fetchall()] == [0] * 3


# --- a store that was put back --------------------------------------------------------------------------------------------------------


def test_a_restored_store_has_nothing_safe_until_its_next_backup(world: World) -> None:
    """The disk that held the backups may be gone with the rest: only a new one counts."""
    record(world, 3)
    save(world)
    record(world, 2)
    put_back(world)
    record(world, 1)
    assert not any(safe(world))
    assert world.judge() == []
    save(world)
    record(world, 1)
    assert safe(world) == [True] * 6 + [False]


def test_a_raw_copy_that_was_put_back_takes_back_what_it_lost(world: World) -> None:
    """Received, in a backup, and lost by the store: offered again, and safe again only when a new backup says so; an old word that
    somebody plays again changes nothing.
    """
    record(world, 2)
    raw = world.backup()
    record(world, 3)
    save(world)
    record(world, 1)
    assert safe(world) == [True] * 5 + [False]
    old = [payload for where, payload in world.net.carried if where == DOWN_0 and payload[:1] == b"\x12"]
    world.restore_backup(raw)
    world.settle()
    assert safe(world) == [True, True, False, False, False, False]
    for payload in old:
        world.net.ends["down"].deliver(DOWN_0, payload)
        world.turn("station")
    world.settle()
    assert safe(world) == [True, True, False, False, False, False]
    assert world.judge() == []


def test_storms_never_make_anything_safe_that_no_backup_holds(worlds: Callable[..., World]) -> None:
    """Backups, cuts, bad weather and restores in any order: whatever the box calls safe is in a verified copy."""
    from random import Random

    for seed in range(6):
        dice, world = Random(seed), worlds(seed)
        held: dict[int, Marks] = {}
        for _ in range(30):
            match dice.randrange(7):
                case 0 | 1:
                    world.record(dice.choice([0, 2]))
                case 2:
                    world.pass_time(60)
                    for (_, epoch, lane), marks in backup.copies.read(save(world).folder).marks.items():
                        assert epoch == EPOCH
                        held[lane] = marks
                case 3:
                    world.cut_power(dice.choice(["station", "bridge"]))
                case 4:
                    world.net.weather = dice.choice([Weather.fine(), Weather(repeat=0.5, shuffle=0.4, lose=0.1)])
                case _:
                    for _ in range(3):
                        world.turn("station")
                        world.net.carry("up")
                        world.turn("bridge")
                        world.net.carry("down")
                        world.pass_time(3)
            with world.station.storage.reading() as tx:
                for lane, marks in world.station.storage.safe_marks(tx, Stream(STATION, EPOCH)).items():
                    assert marks.minus(held.get(lane, Marks())) == []
        world.settle()
        assert world.judge() == []
