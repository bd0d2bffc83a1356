"""The tests bite: each planted bug makes the same oracle fail that the honest program passes."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.contract.events import ObservationRecorded
from appliance.database import connect
from tests.saboteurs.bugs import BUGS
from tests.store.station import Station, station_at
from tests.world import PowerCutError, storm

SEEDS = 25
"""Bad days each program must live through; every bug must be caught within them."""


@pytest.fixture
def places() -> Iterator[Path]:
    """A folder in memory: these tests pull plugs on programs, not on disks."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tram-storm-", dir=memory if memory.is_dir() else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def days(folder: Path) -> Iterator[list[str]]:
    """The verdict of every bad day."""
    for seed in range(SEEDS):
        place = folder / str(seed)
        place.mkdir()
        yield storm(place, seed)
        shutil.rmtree(place)


def test_the_honest_program_lives_through_every_bad_day(places: Path) -> None:
    """0 lost, 0 doubled, in order, nothing called received that is not there."""
    assert [wrong for wrong in days(places) if wrong] == []


@pytest.mark.parametrize(
    ("name", "sign"),
    [("ack-before-commit", "not there"), ("no-duplicate-check", "times"), ("settle-at-puback", "not there")],
)
def test_the_oracle_catches(name: str, sign: str, places: Path) -> None:
    """A planted bug of the relay is seen within the same days, and for what it is."""
    undo = BUGS[name]()
    try:
        for wrong in days(places):
            if wrong:
                assert any(sign in one for one in wrong), wrong
                return
    finally:
        undo()
    pytest.fail(f"{name} was not caught in {SEEDS} days")


def cut_at(station: Station, measurement: int, step: int) -> bool:
    """`record()` with the plug pulled before statement number `step`; True when it came to its end first."""

    class Cut(type(station.conn)):  # type: ignore[misc]  # the product's own connection, with a fuse
        left = step

        def execute(self, *args: object) -> object:
            if Cut.left <= 0:
                raise PowerCutError
            Cut.left -= 1
            return super().execute(*args)

    station.conn.__class__ = Cut
    try:
        from appliance.store import measuring

        measuring.record(station.conn, measurement, staff="an", now=station.now)
    except PowerCutError:
        return False
    finally:
        station.conn.__class__ = Cut.__base__
    return True


def halves(station: Station) -> tuple[int, int]:
    """How many observations there are, and how many of them the bridge will hear of."""
    return station.count("observation"), len(station.events(ObservationRecorded.KIND))


def cut_everywhere(folder: Path) -> list[tuple[int, int, int]]:
    """Cut `record()` before each of its statements; (statement, observations, events) wherever the two differ."""
    station, wrong, step, done = station_at(folder), [], 0, False
    path = Path(station.conn.path)
    key = (folder / "store.key").read_bytes()
    who = station.patient()
    while not done:
        measurement = station.observe(station.session(who), station.reading(100 + step)).measurement
        done = cut_at(station, measurement, step)
        station.conn.close()
        station.conn = connect(path, key=key if len(key) == 32 else bytes.fromhex(key.decode()))
        seen = halves(station)
        if seen[0] != seen[1]:
            wrong.append((step, *seen))
        step += 1
        assert step < 100
        station.later(1)
    station.conn.close()
    return wrong


def test_a_reading_and_its_event_are_committed_together(tmp_path: Path) -> None:
    """Wherever `record()` is cut, either both are there or neither."""
    assert cut_everywhere(tmp_path) == []


def test_row_and_outbox_in_two_transactions_are_caught(tmp_path: Path) -> None:
    """With the event in a transaction of its own, some cut leaves a reading nobody will ever hear of."""
    undo = BUGS["two-transactions"]()
    try:
        assert cut_everywhere(tmp_path)
    finally:
        undo()


@pytest.mark.parametrize("name", sorted(BUGS))
def test_a_saboteur_wraps_the_real_command(name: str) -> None:
    """`python -m tests.saboteurs NAME -- tram …` runs the product's own command line."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.saboteurs", name, "--", "tram", "--version"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stdout.split()[:1]) == (0, ["tram"])


def test_an_unknown_saboteur_is_refused() -> None:
    """And says which ones there are."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.saboteurs", "x", "--", "tram"], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 2
    assert all(name in ran.stderr for name in BUGS)
