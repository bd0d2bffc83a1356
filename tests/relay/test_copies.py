"""Copied and restored cards: what was not delivered travels on, and no number stands for two things."""

import logging
from pathlib import Path

import pytest
from sqlalchemy import select

from appliance.agent.carry import renew_on_another_machine
from appliance.agent.clock import Clock
from appliance.contract.readings import ClockQuality
from cloud_bridge.store import relay_tables
from cloud_bridge.store.engine import reading
from tests.world import World


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
