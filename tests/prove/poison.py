"""P8: one message of a hundred is poison; it lies in quarantine byte for byte, and all others arrive in the round they were sent in."""

import shutil
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import select

from appliance.contract.events import ConsultWithdrawn, Event
from appliance.contract.lanes import Lane
from appliance.contract.parcels import Header, write_parcel
from appliance.contract.topics import UP, topic
from appliance.relay import pump
from cloud_bridge.store import relay_tables
from tests.world import EPOCH, SHARD, STATION, World

ROUND = 100
_UP = topic(SHARD, STATION, UP, Lane.READINGS)
KINDS = ("malformed", "oversized", "version", "torn", "station", "noise")


def run(seed: int, count: int) -> dict[str, int]:
    """`count` good messages with one poisoned among each hundred of them."""
    found = days(seed, count)
    found["saboteur_raise_on_decode"] = int(_raise_on_decode_is_caught(seed))
    return found


def days(seed: int, count: int) -> dict[str, int]:
    """As `run` without the planted bug."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tram-poison-", dir=memory if memory.is_dir() else None))
    world = World(folder, seed)
    try:
        return _days(world, Random(seed), count)
    finally:
        world.close()
        shutil.rmtree(folder, ignore_errors=True)


def _days(world: World, dice: Random, count: int) -> dict[str, int]:
    world.settle()
    sent, poison, delayed = 0, [], 0
    while sent < count:
        mine = min(ROUND, count - sent)
        for _ in range(mine):
            world.record(2)
        sent += mine
        world.turn("station")
        for _ in range(max(1, mine // 100)):
            payload = bad(world, dice, sent)
            poison.append(payload)
            world.net.queues["up"].insert(dice.randint(0, len(world.net.queues["up"])), (_UP, payload))
        world.settle()
        delayed += sent - len(world.told_bridge())
        world.pass_time(1.0)
    c = relay_tables.quarantine.c
    with world.engine.connect() as tx:
        kept = [bytes(row[0]) for row in tx.execute(select(c.payload))]
    told = world.told_bridge()
    return {
        "messages": sent, "poisoned": len(poison), "lost": sent - len(told), "doubled": sum(times > 1 for times, *_ in told.values()),
        "delayed": delayed, "missing_in_quarantine": len(set(poison) - set(kept)), "wrong": len(world.judge()),
    }  # fmt: skip


def bad(world: World, dice: Random, number: int) -> bytes:
    """A message that nobody can read, another one each time."""
    events = [Event(world.stamp(), "an", "test", ConsultWithdrawn(1_000_000 + number, ""))]
    good = write_parcel(Header(STATION, EPOCH, 2, 1_000_000 + number, 1), events)
    match dice.choice(KINDS):
        case "malformed":
            return good[:20] + dice.randbytes(40)
        case "oversized":
            return good + dice.randbytes(64) + bytes(1 << 20)
        case "version":
            return b"\x21" + dice.randbytes(8) + good[1:]
        case "torn":
            return good[:-6]
        case "station":
            return write_parcel(Header("tram-9999", EPOCH, 2, 1_000_000 + number, 1), events)
        case _:
            return b"\x11" + dice.randbytes(60)


def _raise_on_decode_is_caught(seed: int) -> bool:
    """Planted bug: what cannot be read ends the program instead of being set aside."""
    honest: Any = pump.read  # type: ignore[attr-defined]  # where the pump has it from

    def read(message: Any, way: str) -> Any:
        heard = honest(message, way)
        if type(heard.content).__name__ == "Bad":
            raise ValueError(heard.content.reason)
        return heard

    pump.read = read  # type: ignore[attr-defined]
    try:
        found = days(seed, 200)
    except ValueError:
        return True
    finally:
        pump.read = honest  # type: ignore[attr-defined]
    return any(found[name] for name in ("lost", "delayed", "missing_in_quarantine"))
