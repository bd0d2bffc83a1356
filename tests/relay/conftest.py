"""Worlds for the relay's tests."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.world import World


@pytest.fixture
def worlds() -> Iterator[Callable[..., World]]:
    """A function that makes worlds in memory (nothing here is about disks); all are closed with the test."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tram-world-", dir=memory if memory.is_dir() else None))
    made: list[World] = []

    def make(seed: int = 0, **options: object) -> World:
        place = folder / str(len(made))
        place.mkdir()
        made.append(World(place, seed, **options))  # type: ignore[arg-type]  # as the test says
        return made[-1]

    yield make
    for world in made:
        world.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def world(worlds: Callable[..., World]) -> World:
    """One world."""
    return worlds()


@pytest.fixture
def metered(worlds: Callable[..., World]) -> World:
    """One world on a line whose bytes are paid for."""
    return worlds(metered=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, worlds: Callable[..., World]) -> World:
    """A world whose bridge keeps its store on SQLite, then one on PostgreSQL."""
    return worlds() if request.param == "sqlite" else worlds(database=request.getfixturevalue("postgres_url"))
