"""Whose turn it is, with real stores behind it: strict order between chunks, a floor for the rest."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.contract.lanes import CHUNK_BYTES, Lane
from appliance.contract.parcels import PARCEL
from appliance.relay.line import Acked
from appliance.relay.rules import FLOOR, WINDOW, Budget, Turns
from appliance.relay.sending import Piece
from tests.world import Net, World

DICE = Random(7)


def part() -> str:
    """As much as a part of a picture, and as hard to compress."""
    return DICE.randbytes(1000).hex()


@contextmanager
def small_world() -> Iterator[World]:
    """A world in memory whose two ends know each other."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tram-world-", dir=memory if memory.is_dir() else None))
    world = World(folder, 3)
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

    def sent(self, _link: object, topic: str, payload: bytes, token: int, *, sure: bool) -> None:  # noqa: ARG002 - the net's form
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


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sets(st.sampled_from(list(Lane)), min_size=1), st.integers(40, CHUNK_BYTES)), min_size=1, max_size=120))
def test_whatever_waits_the_most_urgent_leaves_unless_others_have_saved_a_chunk(turns: list[tuple[set[Lane], int]]) -> None:
    """Nothing passes a more urgent lane but on its floor, and the floor lets through its share and a few chunks."""
    rule = Turns()
    passed = sent = 0
    for lanes, size in turns:
        lane = rule.choose(lanes)
        assert lane in lanes
        if min(lanes) < Lane.READINGS and max(lanes) >= Lane.READINGS:  # somebody stands on each side of the border
            sent += size
            passed += size if lane >= Lane.READINGS else 0
        if lane < Lane.READINGS:
            assert lane == min(lanes)
        rule.sent(lane, size, lanes)
    assert passed <= FLOOR * sent + 3 * CHUNK_BYTES


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 5]), st.booleans()), max_size=5), min_size=2, max_size=8))
def test_what_leaves_of_a_real_store_is_all_there_in_order_and_in_turn(rounds: list[list[tuple[int, bool]]]) -> None:
    """However rows come while chunks leave: each lane in its own order, nothing twice, lanes 0 and 1 before the rest."""
    with small_world() as world:
        written: dict[int, int] = {}
        pieces: list[Piece] = []
        sender = world.station.talks["tram-0001"].sender
        for rows in rounds:
            for lane, long in rows:
                world.record(lane, text=part() if long else "")
                written[lane] = written.get(lane, 0) + 1
            with world.station.storage.transaction() as tx:
                sender.notice(world.station.storage.waiting(tx), world.now)
                waiting = {lane for _, lane in sender.waiting} | set(sender.todo)
                some = sender.next_pieces(tx, 2, world.now, world.at, metered=False, again=True, credit=10_000)
            if some and min(waiting) <= Lane.CONSULT and sender.turns.owed.get(Lane.READINGS, 0.0) < CHUNK_BYTES / 2:
                assert some[0].lane == min(waiting)
            pieces += some
        for later in (5, 10):  # what streams gathers for a second
            with world.station.storage.transaction() as tx:
                pieces += sender.next_pieces(tx, 10_000, world.now + later, world.at, metered=False, again=True, credit=10_000)
        for lane, many in written.items():
            ranges = [(one.flight.parcel.first, one.flight.parcel.last) for one in pieces if one.lane == lane and one.last]
            assert ranges == sorted(set(ranges))
            assert sum(last - first + 1 for first, last in ranges) >= many


def test_a_request_passes_a_used_up_budget() -> None:
    """Readings rest; the request and its own readings leave at once, and after the rest the others do."""
    with small_world() as world:
        world.station.budget = Budget(bytes=3_000, rest=900.0)
        for _ in range(20):
            world.record(Lane.READINGS, text=part())
        for _ in range(30):
            world.turn("station")
        left = _carried(world)
        assert 0 < left[Lane.READINGS] < 20
        world.record(Lane.URGENT)
        world.record(Lane.CONSULT)
        for _ in range(5):
            world.turn("station")
        assert _carried(world) == {**left, Lane.URGENT: left.get(Lane.URGENT, 0) + 1, Lane.CONSULT: left.get(Lane.CONSULT, 0) + 1}
        world.pass_time(901)
        world.turn("station")
        assert _carried(world)[Lane.READINGS] > left[Lane.READINGS]


def _carried(world: World) -> dict[int, int]:
    """Messages that the station's line has carried, by lane; hellos and receipts not counted."""
    return Counter(int(topic[-1]) for topic, payload in world.net.carried if "/up/" in topic and payload[0] == PARCEL)
