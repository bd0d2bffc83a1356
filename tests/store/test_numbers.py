"""Numbers in the queue: none is given twice and none is left out, although no counter is written for an event."""

import random

import pytest

from appliance.contract.codec import read_event
from appliance.contract.events import EmergencyPressed, Event
from appliance.contract.lanes import Lane
from appliance.contract.parcels import Header, write_parcel
from appliance.database import transaction
from appliance.relay.storage import Stream
from appliance.store.boots import open_epoch
from appliance.store.outbox import Outbox, append, reached
from tests.store.station import STATION, Station

LANES = (Lane.URGENT, Lane.READINGS, Lane.FORMS)


def say(station: Station, lane: Lane) -> tuple[int, int]:
    """One event more in a lane: its epoch's row and its number."""
    with transaction(station.conn):
        _, seq = append(station.conn, Event(station.now, "", "test", EmergencyPressed(1)), lane)
        (epoch,) = station.conn.execute("SELECT max(id) FROM epoch").fetchone()
    return int(epoch), seq


def freeze(station: Station, box: Outbox, lane: int, most: int) -> None:
    """Up to `most` events that wait in a lane go into a parcel."""
    with transaction(station.conn) as tx:
        for one in box.waiting(tx):
            rows = box.queued(tx, one.stream, one.lane, one.frozen, most)
            if one.lane == lane and rows:
                header = Header(STATION, one.stream.origin, lane, rows[0].seq, len(rows))
                payload = write_parcel(header, [read_event(row.body) for row in rows])
                box.freeze(tx, one.stream, lane, rows[0].seq, len(rows), payload, station.now.wall)


def test_an_event_writes_the_queue_and_nothing_of_its_lane(station: Station) -> None:
    """The row of a lane stays as it was while events are said; the numbers go on all the same."""
    say(station, Lane.CONSULT)
    before = [tuple(row) for row in station.conn.execute("SELECT * FROM lane").fetchall()]
    assert [say(station, Lane.CONSULT)[1] for _ in range(4)] == [2, 3, 4, 5]
    assert [tuple(row) for row in station.conn.execute("SELECT * FROM lane").fetchall()] == before


@pytest.mark.parametrize("seed", range(6))
def test_no_number_is_given_twice_and_none_is_left_out(station: Station, seed: int) -> None:
    """Whatever is said, frozen, received, lost again, spoilt or moved into a new epoch, in whatever order: 1, 2, 3 … in each lane."""
    dice, box = random.Random(seed), Outbox(STATION)
    said: dict[tuple[int, int], int] = {(row, lane): number - 1 for row, lane, number in reached(station.conn)}
    for step in range(120):
        lane = dice.choice(LANES)
        what = dice.choice(("say", "say", "say", "freeze", "receive", "lose", "spoil", "renew" if step % 40 == 39 else "say"))
        stream = Stream(STATION, bytes(station.conn.execute("SELECT epoch FROM epoch ORDER BY id DESC").fetchone()[0]))
        last = station.conn.execute(
            "SELECT coalesce(max(frozen), 0) FROM lane WHERE epoch = (SELECT max(id) FROM epoch) AND lane = ?", (int(lane),)
        ).fetchone()[0]
        span = (dice.randint(1, last), last) if last else (1, 0)
        if what == "say":
            epoch, seq = say(station, lane)
            assert seq == said.get((epoch, lane), 0) + 1
            said[epoch, lane] = seq
        elif what == "freeze":
            freeze(station, box, lane, dice.randint(1, 4))
        elif what == "receive":
            with transaction(station.conn) as tx:
                box.settle(tx, stream, lane, [span], 2, station.now.wall)
        elif what == "lose":
            with transaction(station.conn) as tx:
                box.unsettle(tx, stream, lane, [span])
        elif what == "spoil":
            with transaction(station.conn) as tx:
                for one in box.waiting(tx):
                    if one.lane == lane:
                        box.spoilt(tx, one.stream, lane, box.queued(tx, one.stream, lane, one.frozen, 1)[0], "test", station.now.wall)
        else:
            with transaction(station.conn) as tx:
                open_epoch(tx, bytes([step]) * 8, "test", station.now.wall)
                box.move(tx, Stream(STATION, bytes([step]) * 8))
            said |= {(row, one): number - 1 for row, one, number in reached(station.conn)}
        places = [tuple(row) for row in station.conn.execute("SELECT epoch, lane, seq FROM outbox").fetchall()]
        assert len(places) == len(set(places)), "a number was given twice"


def test_what_is_in_no_parcel_is_not_received_whatever_a_receipt_says(station: Station) -> None:
    """A receipt for numbers that never left changes nothing: neither their state nor the next number."""
    epoch, seq = say(station, Lane.URGENT)
    box = Outbox(STATION)
    with transaction(station.conn) as tx:
        box.settle(tx, box.streams(tx)[-1], Lane.URGENT, [(1, seq + 1000)], 2, station.now.wall)
    row = station.conn.execute("SELECT state FROM outbox WHERE epoch = ? AND lane = 0 AND seq = ?", (epoch, seq)).fetchone()
    assert row[0] == 0
    assert say(station, Lane.URGENT) == (epoch, seq + 1)


def test_an_earlier_release_counts_on_from_what_this_one_said(station: Station) -> None:
    """Version 0.1 keeps its count in `lane.next` alone; on a store that has come back to it no number is taken twice."""
    last = [say(station, Lane.READINGS)[1] for _ in range(3)][-1]
    for one in (1, 2):
        row = station.conn.execute(
            "INSERT INTO lane (epoch, lane, next) VALUES ((SELECT max(id) FROM epoch), ?, 2)"
            " ON CONFLICT (epoch, lane) DO UPDATE SET next = next + 1 RETURNING next - 1",
            (int(Lane.READINGS),),
        ).fetchall()
        assert row[0][0] == last + one
