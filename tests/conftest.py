"""Fixtures every test may ask for: ports, servers, captures, a folder for pictures. See tests/servers.py for what they are."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import servers
from tests.polling import until
from tests.store.station import Station, station_at

ROOT = Path(__file__).resolve().parent.parent
RUN = "TRAM_TEST_RUN"

# A busy machine is not a wrong program: no time limit for an example; a failing one is printed so that it can be kept as a test.
hypothesis.settings.register_profile("house", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("house")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first, after the rest was shuffled: at the end one worker would wait for the other."""
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """A new station; its store is closed with the test."""
    made = station_at(tmp_path)
    yield made
    made.conn.close()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that gives a TCP port of 127.0.0.1 nobody listens on."""
    return servers.free_port


@pytest.fixture
def unprivileged() -> servers.Person:
    """A user without rights to run things as (ourselves, when the tests do not run as root)."""
    return servers.unprivileged()


@pytest.fixture
def mosquitto() -> Iterator[Callable[..., servers.Broker]]:
    """A function that starts a real mosquitto (see `servers.mosquitto` for its arguments); all are ended with the test."""
    yield from _brokers(servers.mosquitto)


@pytest.fixture
def iotcore() -> Iterator[Callable[..., servers.Broker]]:
    """A function that starts a real iotcore broker; all are ended with the test."""
    yield from _brokers(servers.iotcore)


@pytest.fixture(params=["mosquitto", "iotcore"])
def broker(request: pytest.FixtureRequest) -> servers.Broker:
    """A running broker: the test runs once on mosquitto (MQTT 5) and once on iotcore (MQTT 3.1.1 only)."""
    running: servers.Broker = request.getfixturevalue(request.param)()
    return running


def _brokers(make: Callable[..., servers.Broker]) -> Iterator[Callable[..., servers.Broker]]:
    made: list[servers.Broker] = []

    def run(*args: object, **kwargs: object) -> servers.Broker:
        made.append(make(*args, **kwargs))
        made[-1].start()
        return made[-1]

    yield run
    for one in made:
        one.stop()
        shutil.rmtree(one.place, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Postgres]:
    """A real PostgreSQL, one for each worker of the test run."""
    running = servers.postgres()
    yield running
    running.stop()
    shutil.rmtree(running.place, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: servers.Postgres) -> Iterator[str]:
    """The SQLAlchemy URL of a new, empty PostgreSQL database; it goes with the test, so that hundreds fit a small disk."""
    url = postgres.create()
    yield url
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The SQLAlchemy URL of a new, empty database: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bridge.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of recorded device bytes, which the repository does not hold: $TRAM_CAPTURES or ../shared/captures."""
    path = Path(os.environ.get("TRAM_CAPTURES") or ROOT.parent / "shared" / "captures")
    if not path.is_dir():
        pytest.skip(f"no recorded device bytes at {path} (set TRAM_CAPTURES)")
    return path


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where tests leave pictures for people to look at: $TRAM_ARTEFACTS or ./artefacts."""
    path = Path(os.environ.get("TRAM_ARTEFACTS") or ROOT / "artefacts")
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session", autouse=True)
def leave_no_process() -> Iterator[None]:
    """Every process started by this worker of the test run has ended when the run ends."""
    mark = f"{RUN}={uuid.uuid4().hex}"
    before = os.environ.get(RUN)
    os.environ[RUN] = mark.partition("=")[2]
    yield
    try:
        until(lambda: not _left(mark), within=10, what="every process of the tests to end")
    except AssertionError:
        pytest.fail(f"processes left behind: {_left(mark)}")
    finally:
        if before is None:
            del os.environ[RUN]


def _left(mark: str) -> list[str]:
    """Command lines of the processes (not ourselves) that carry `mark` in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(f"{entry.name} " + (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200])
        except OSError:
            continue
    return found
