"""Both ends turned by hand through everything a network and a power plug can do to them: 0 lost, 0 doubled, order per lane."""

import shutil
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.world import Weather, World, storm

SIDES = st.sampled_from(["station", "bridge"])
WAYS = st.sampled_from(["up", "down"])
LANES = st.sampled_from([0, 1, 2, 2, 2, 3, 4])
WEATHERS = st.sampled_from(
    [
        Weather.fine(),
        Weather(lose=0.3, lose_ack=0.2),
        Weather(forget=0.5),
        Weather(repeat=0.5, shuffle=0.5),
        Weather(lose=0.1, forget=0.2, repeat=0.3, shuffle=0.3, lose_ack=0.2),
    ]
)


class Line(RuleBasedStateMachine):
    """A station and a bridge in bad weather. Whatever happened: when it clears up, everything said has arrived once."""

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")  # these tests pull plugs on processes, not on disks
        self.folder = Path(tempfile.mkdtemp(prefix="tram-world-", dir=memory if memory.is_dir() else None))
        self.backups: list[dict[str, Any]] = []

    @initialize(seed=st.integers(0, 2**16), metered=st.booleans())
    def begin(self, seed: int, metered: bool) -> None:
        """A new world."""
        self.world = World(self.folder, seed, metered=metered)
        self.text = Random(seed)

    @rule(lane=LANES, long=st.integers(0, 9))
    def record(self, lane: int, long: int) -> None:
        """Something is saved at the station, sometimes too long for one message, sometimes what the clinic will refuse."""
        self.world.record(lane, text=self.text.randbytes(1500).hex() if long == 0 else "")

    @rule(lane=LANES)
    def record_cut(self, lane: int) -> None:
        """The plug is pulled in the middle of saving."""
        self.world.record(lane, cut=True)

    @rule(count=st.integers(2, 40))
    def busy(self, count: int) -> None:
        """Many readings in a row."""
        for _ in range(count):
            self.world.record(2)

    @rule(lane=st.sampled_from([0, 0, 1, 2]))
    def answer(self, lane: int) -> None:
        """A doctor says something."""
        self.world.answer(lane)

    @rule(side=SIDES)
    def turn(self, side: str) -> None:
        """One turn."""
        self.world.turn(side)

    @rule(way=WAYS, most=st.sampled_from([1, 2, 5, 1000]))
    def carry(self, way: str, most: int) -> None:
        """The broker hands on some messages."""
        self.world.net.carry(way, most)

    @rule(seconds=st.sampled_from([0.3, 3.0, 61.0, 1000.0]))
    def work(self, seconds: float) -> None:
        """Everybody works for a while."""
        for _ in range(4):
            self.world.turn("station")
            self.world.net.carry("up")
            self.world.turn("bridge")
            self.world.net.carry("down")
        self.world.pass_time(seconds)

    @rule(side=SIDES, steps=st.integers(0, 60))
    def cut_in_the_middle(self, side: str, steps: int) -> None:
        """The plug is pulled between two statements of a turn."""
        self.world.fuses[side].left = steps
        self.world.turn(side)
        self.world.fuses[side].left = None

    @rule(side=SIDES)
    def cut_power(self, side: str) -> None:
        """The plug is pulled while an end waits."""
        self.world.cut_power(side)

    @rule(way=WAYS)
    def break_line(self, way: str) -> None:
        """A connection breaks."""
        self.world.net.cut(way)

    @rule()
    def kill_broker(self) -> None:
        """The broker dies with everything it had acknowledged."""
        self.world.net.wipe()

    @rule(reachable=st.booleans())
    def outage(self, reachable: bool) -> None:
        """The broker cannot be reached, or can again."""
        self.world.net.reachable = reachable

    @rule(weather=WEATHERS)
    def weather(self, weather: Weather) -> None:
        """The weather changes."""
        self.world.net.weather = weather

    @precondition(lambda self: len(self.backups) < 2)
    @rule()
    def backup(self) -> None:
        """Somebody copies the bridge's file."""
        self.backups.append(self.world.backup())

    @precondition(lambda self: self.backups)
    @rule()
    def restore_backup(self) -> None:
        """Somebody puts an old copy back."""
        self.world.restore_backup(self.backups.pop())

    @invariant()
    def nothing_is_called_received_that_is_not_there(self) -> None:
        """The station's *received* is true at every moment (until somebody puts an old bridge in its place)."""
        world = getattr(self, "world", None)
        if world is not None and not world.restored:
            assert world.vouched_wrongly() == []

    def teardown(self) -> None:
        """The weather clears up."""
        world = getattr(self, "world", None)
        try:
            if world is not None:
                world.settle()
                assert world.judge() == []
        finally:
            if world is not None:
                world.close()
            shutil.rmtree(self.folder, ignore_errors=True)


@pytest.mark.parametrize("seed", range(3))
def test_bad_days_on_postgresql(seed: int, tmp_path: Path, postgres_url: str) -> None:
    """The same weather with the bridge's store on PostgreSQL."""
    assert storm(tmp_path, seed, postgres_url) == []


TestLine = Line.TestCase
TestLine.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
