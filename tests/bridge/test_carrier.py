"""The carrier's loop: its name, its patience with a database that is away, its end."""

import io
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import journal
from appliance.contract.topics import UP
from appliance.relay.line import Message
from appliance.relay.taking import read
from cloud_bridge.carrier import AHEAD, AWAY, AWAY_MOST, Ahead, Loop
from cloud_bridge.source import client_id
from cloud_bridge.store.engine import DatabaseError
from tests import servers
from tests.polling import until
from tests.relay.site import Site
from tests.world import World


def test_a_carrier_has_a_fixed_name_of_at_most_23_letters() -> None:
    """The broker keeps its session under it; other shards, another name, in whatever order they are given."""
    assert client_id([7]) == "tram-bridge-07"
    assert client_id([3, 1, 2]) == client_id([1, 2, 3, 3])
    names = [client_id(range(start, start + 16)) for start in range(0, 64, 16)]
    assert len(set(names)) == 4
    assert all(len(name) <= 23 for name in names)


def test_a_database_that_is_away_is_tried_ever_less_often_and_nothing_is_acknowledged(tmp_path: Path) -> None:
    """The process stays up; when the database is back, what waited is taken."""
    world = World(tmp_path)
    world.settle()
    uid = world.record(0)
    world.turn("station")
    world.net.carry("up")

    class Away:
        """PostgreSQL is being restarted."""

        tried = 0

        def __getattr__(self, name: str) -> Any:
            Away.tried += 1
            raise DatabaseError("PostgreSQL is away")

    log = io.StringIO()
    loop = Loop(world.bridge, journal.open("bridge-carry", log))
    real, world.bridge.storage = world.bridge.storage, Away()
    now, waits = world.now, []
    for _ in range(8):
        waits.append(loop.turn(now, world.at, stirred=True))
        tried = Away.tried
        loop.turn(now + waits[-1] / 2, world.at, stirred=True)
        assert Away.tried == tried
        now += waits[-1]
    assert waits[0] == AWAY
    assert waits == sorted(waits)
    assert waits[-1] == AWAY_MOST
    assert len(world.net.ends["up"].unacked) == 1
    world.bridge.storage = real
    loop.turn(now + AWAY_MOST, world.at, stirred=True)
    assert (world.told_bridge()[uid][0], world.net.ends["up"].unacked) == (1, {})
    assert "the database cannot do it now" in log.getvalue()
    world.close()


def queue(count: int, generation: int = 0) -> list[Message]:
    """Messages that nobody can read, of one connection."""
    return [Message(f"v1/00/tram-0001/up/{number % 6}", bytes([number % 256]), generation << 16 | number) for number in range(count)]


def test_what_is_read_ahead_is_what_would_have_been_read() -> None:
    """The next messages, one at a time, up to a limit; each is read once, and a message with an old one's token is read anew."""
    waiting = queue(AHEAD + 10)
    ahead = Ahead(lambda: waiting)
    before = [ahead.one() for _ in range(AHEAD + 5)]
    assert before == [True] * AHEAD + [False] * 5
    taken, waiting = waiting[:3], waiting[3:]
    given = [ahead.read(one, UP) for one in taken]
    assert given == [read(one, UP) for one in taken]
    assert [ahead.one() for _ in range(4)] == [True] * 3 + [False]
    other = Message(waiting[0].topic, b"other", waiting[0].token)
    assert ahead.read(other, UP) == read(other, UP)


def test_what_was_read_of_a_line_that_is_gone_is_not_kept() -> None:
    """Its messages come again under other tokens; memory holds one line's messages at most."""
    waiting = queue(AHEAD)
    ahead = Ahead(lambda: waiting)
    for generation in range(1, 4):
        while ahead.one():
            pass
        waiting = queue(AHEAD, generation)
    assert len(ahead._read) <= AHEAD


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path, mosquitto: Callable[..., servers.Broker]) -> Iterator[Site]:
    """Both ends as their commands make them, the bridge on either database."""
    database = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = Site(tmp_path, mosquitto().port, database)
    yield made
    made.close()


def test_the_commands_carry_and_leave_at_the_first_word(site: Site) -> None:
    """`tram carry` and `tram-bridge carry` as processes: everything arrives once; SIGTERM ends both with 0."""
    programs = [site.start("tram-bridge", "carry"), site.start("tram", "carry")]
    site.record((0, 1, 2, 2, 3))
    until(lambda: site.waiting() == 0, 30.0, what="everything to be received")
    assert (site.missing(), site.doubled()) == (set(), 0)
    for program in programs:
        program.send_signal(signal.SIGTERM)
    assert [program.wait(10) for program in programs] == [0, 0]
