"""Whose turn it is, with real stores behind it: strict order between chunks, a floor for the rest."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from appliance.contract.lanes import Lane
from appliance.relay.line import Acked
from appliance.relay.rules import FLOOR, WINDOW
from tests.world import Net, World

DICE = Random(7)


def part() -> str:
    """As much as a part of a picture, and as hard to compress."""
    return DICE.randbytes(1000).hex()


@contextmanager
def small_world(**options: bool) -> Iterator[World]:
    """A world in memory whose two ends know each other."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tram-world-", dir=memory if memory.is_dir() else None))
    world = World(folder, 3, **options)
    try:
        world.settle()
        yield world
    finally:
        world.close()
        shutil.rmtree(folder, ignore_errors=True)


def helping(world: World, room: int, *, most: int = Lane.CONTENT) -> list[tuple[int, int]]:
    """What the station's sender would publish next: (lane, bytes)."""
    sender = world.station.talks["tram-0001"].sender
    with world.station.storage.transaction() as tx:
        sender.notice(world.station.storage.waiting(tx), world.now)
        pieces = sender.next_pieces(tx, room, world.now, world.at, metered=False, again=True, credit=10_000, most=most)
    return [(piece.lane, len(piece.payload)) for piece in pieces]


def test_a_flood_of_requests_leaves_five_per_cent_to_readings() -> None:
    """Chunk by chunk out of a real store: never less than the floor, and never much more."""
    with small_world() as world:
        for _ in range(130):
            world.record(Lane.URGENT, text=part())
        for _ in range(12):
            world.record(Lane.READINGS, text=part())
        sent: list[tuple[int, int]] = []
        while len(sent) < 120:
            sent += helping(world, 5)
        share = sum(size for lane, size in sent if lane == Lane.READINGS) / sum(size for _, size in sent)
        assert FLOOR - 0.015 <= share <= FLOOR + 0.015


def test_a_request_passes_every_chunk_that_has_not_left() -> None:
    """While a picture goes up: the very next chunk is the request's, and the picture goes on where it was."""
    with small_world() as world:
        for _ in range(40):
            world.record(Lane.ATTACHMENTS, text=part())
        assert {lane for lane, _ in helping(world, 7)} == {Lane.ATTACHMENTS}
        world.record(Lane.URGENT)
        assert [lane for lane, _ in helping(world, 3)] == [Lane.URGENT, Lane.ATTACHMENTS, Lane.ATTACHMENTS]


class Slow(Net):
    """A broker that PUBACKs only when it is told to: a thin link in slow motion."""

    def __init__(self, world: World) -> None:
        self.__dict__.update(world.net.__dict__)
        self.held: list[int] = []

    def sent(self, _link: object, topic: str, payload: bytes, token: int) -> None:
        """On its way; its PUBACK is kept back."""
        self.carried.append((topic, payload))
        self.held.append(token)


def test_a_request_waits_for_no_more_than_the_window_that_is_in_flight() -> None:
    """Three chunks are on the wire when it is said; with the first PUBACK it leaves, before every other chunk."""
    with small_world() as world:
        net = Slow(world)
        line = world.net.ends["down"]
        line.net = net
        for _ in range(40):
            world.record(Lane.ATTACHMENTS, text=part())
        world.turn("station")
        before = [topic for topic, _ in net.carried[-WINDOW:]]
        assert len(net.held) == WINDOW
        assert {topic.rsplit("/", 1)[1] for topic in before} == {"4"}
        world.record(Lane.URGENT)
        world.turn("station")
        assert len(net.held) == WINDOW  # the window is full: nothing leaves
        line.hear(Acked(net.held.pop(0)))
        world.turn("station")
        assert len(net.held) == WINDOW
        assert net.carried[-1][0].endswith("/up/0")
