"""S4: nobody but the bridge of now can make a box forget. A broker hands it thousands of receipts that are not, or no longer, true.

Some things the box has said were received and are lost by a bridge that was put back to yesterday; some were never received.
The box has heard the restored bridge, the line up is dead, and then come forged, edited, replayed, reordered receipts, those of
other stations, epochs, stores, keys and levels, and true ones of before. Whatever it believes, no event may count as received
(or safe) that the bridge does not have. The saboteur believes any receipt the bridge ever signed, and must be found.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.contract.errors import WireError
from appliance.contract.receipts import SAFE_NONCE, LaneReceipt, Level, Receipt, open_receipt, seal_receipt
from appliance.contract.topics import DOWN, topic
from appliance.store.outbox import is_safe
from cloud_bridge import backup
from tests.saboteurs.bugs import BUGS
from tests.world import EPOCH, RECEIPT_KEY, SHARD, STATION, STORE, World

THIEF = Ed25519PrivateKey.from_private_bytes(b"\x66" * 32)
WHERE = topic(SHARD, STATION, DOWN, 0)
KEYS = {0: RECEIPT_KEY.public_key()}
KINDS = (
    "other_key",
    "edited",
    "torn",
    "other_station",
    "other_epoch",
    "other_store",
    "old_nonce",
    "old_counter",
    "replayed",
    "level",
    "noise",
)


def run(seed: int, count: int) -> dict[str, int]:
    """Hand a box `count` hostile receipts; what they were, and how many events it forgot or believed for them (must be 0)."""
    figures = _attack(seed, count)
    undo = BUGS["old-receipt-replayed"]()
    try:
        figures["saboteur old receipt replayed"] = int(bool(_attack(seed, min(count, 200))["wrong_received"]))
    finally:
        undo()
    return figures


@contextmanager
def _world(seed: int) -> Iterator[World]:
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tram-hostile-", dir=memory if memory.is_dir() else None))
    world = World(folder, seed)
    try:
        yield world
    finally:
        world.close()
        shutil.rmtree(folder, ignore_errors=True)


def _attack(seed: int, count: int) -> dict[str, int]:
    figures = dict.fromkeys(("hostile_receipts", *KINDS, "wrong_received", "wrong_safe", "lost"), 0)
    with _world(seed) as world:
        dice = Random(seed)
        _prepare(world)
        true = [payload for where, payload in world.net.carried if where == WHERE and payload[:1] == b"\x12"]
        kept = {row[0]: row[1] for row in world.conn.execute("SELECT id, state FROM outbox").fetchall()}
        for number in range(count):
            kind = KINDS[number % len(KINDS)]
            world.net.ends["down"].deliver(WHERE, _hostile(world, kind, dice, true))
            figures[kind] += 1
            if number % 20 == 19 or number == count - 1:
                world.turn("station")
                world.net.queues["up"].clear()
                figures["hostile_receipts"] = number + 1
                wrong = _wrong(world)
                figures["wrong_received"] += wrong[0]
                figures["wrong_safe"] += wrong[1]
                if any(wrong):
                    return figures  # the first one is enough to know, and the rest would count it again
        figures["lost"] = len(kept) - int(world.conn.execute("SELECT count(*) FROM outbox").fetchone()[0])
        world.net.cut("down")
        world.settle()
        figures["lost"] += len(world.judge())
    return figures


def _prepare(world: World) -> None:
    """Events received, backed up and lost by the bridge; the box knows it; nothing goes up any more."""
    for _ in range(4):
        world.record(2)
    world.settle()
    old = world.backup()
    for lane in (0, 2, 2, 1, 2):
        world.record(lane)
        world.settle()
    backup.make(world.engine, world.folder / "to", at=world.at, random=world.random)
    world.record(2)
    world.pass_time(20)
    world.settle()
    world.restore_backup(old)
    for _ in range(6):  # both say hello, what the box offers is lost on the way
        world.turn("bridge")
        world.net.carry("down")
        world.turn("station")
        world.net.queues["up"] = [one for one in world.net.queues["up"] if one[1][:1] in (b"\x12", b"\x13")]
        world.net.carry("up")
        world.pass_time(1)
    for _ in range(5):
        world.record(2)
    world.turn("station")
    world.net.queues["up"].clear()
    assert world.conn.execute("SELECT count(*) FROM outbox WHERE state = 0").fetchone()[0] >= 10
    assert _wrong(world) == (0, 0)


def _wrong(world: World) -> tuple[int, int]:
    """Events called received that are not there; events called safe that are not received or were lost since."""
    rows = world.conn.execute("SELECT id, state FROM outbox").fetchall()
    return len(world.vouched_wrongly()), sum(is_safe(world.conn, row[0]) and row[1] != 2 for row in rows)


def _hostile(world: World, kind: str, dice: Random, true: list[bytes]) -> bytes:
    """One receipt that must not make the box forget anything."""
    nonce, top = world.station.talks[STATION].nonce, dice.randrange(5, 14)
    lanes = (LaneReceipt(0, 1, 1), LaneReceipt(1, 1, 1), LaneReceipt(2, top, top))  # no more than the box has really said
    honest = Receipt(STATION, EPOCH, STORE, dice.randrange(1, 1 << 40), nonce, lanes)
    sealed = seal_receipt(honest, RECEIPT_KEY)
    match kind:
        case "other_key":
            return seal_receipt(replace(honest, key_id=dice.randrange(3)), THIEF)
        case "edited":
            place = dice.randrange(1, len(sealed))
            return sealed[:place] + bytes([sealed[place] ^ (1 << dice.randrange(8))]) + sealed[place + 1 :]
        case "other_station":
            return seal_receipt(replace(honest, station="tram-0002"), RECEIPT_KEY)
        case "other_epoch":
            return seal_receipt(replace(honest, epoch=dice.randbytes(8)), RECEIPT_KEY)
        case "other_store":  # signed by the bridge once, for another incarnation, under a nonce of then
            return seal_receipt(replace(honest, store=dice.randbytes(8), nonce=dice.randbytes(8)), RECEIPT_KEY)
        case "torn" | "noise":
            return sealed[: dice.randrange(len(sealed))] if kind == "torn" else b"\x12" + dice.randbytes(dice.randrange(200))
        case "level":  # a true word about a backup that holds what this store has lost
            return seal_receipt(replace(honest, level=Level.SAFE, nonce=dice.choice([nonce, dice.randbytes(8) + SAFE_NONCE])), RECEIPT_KEY)
        case _:
            return _old(kind, dice, true, sealed)


def _old(kind: str, dice: Random, true: list[bytes], sealed: bytes) -> bytes:
    """What the bridge really signed before it was put back: as it was, or cut to an older counter or another nonce by who has no key."""
    payload = dice.choice(true)
    if kind == "replayed":
        return payload
    try:
        opened = open_receipt(payload, KEYS)
    except WireError:
        return sealed[:-1]
    changed = replace(opened, counter=max(0, opened.counter - 1)) if kind == "old_counter" else replace(opened, nonce=dice.randbytes(8))
    return seal_receipt(changed, THIEF)
