"""Fixtures of the bridge's tests: a migrated database of each kind, a doctor's office with a clock turned by hand."""

import io
import itertools
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from appliance import journal
from appliance.contract.events import Event
from appliance.contract.readings import ClockQuality, Stamp
from cloud_bridge import intake
from cloud_bridge.answers import Seal
from cloud_bridge.console.app import create_app
from cloud_bridge.console.desk import Desk
from cloud_bridge.store import accounts, migrations, outbox, stations
from cloud_bridge.store.accounts import Role
from cloud_bridge.store.engine import open_engine, writing
from tests.bridge import story

PASSWORD = "mat-khau-thu-nghiem"
ORGANISATION = "Trung tâm Thử"
KEY = bytes(range(100, 132))
"""Seals second factors in tests."""
HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""As Argon2id as the real one, and quick."""


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that nobody has open: copied, it saves each test the migration."""
    path = tmp_path_factory.mktemp("migrated") / "bridge.sqlite"
    _prepare(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated database with a store id: SQLite, then PostgreSQL."""
    engine = _prepare(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def lite(tmp_path: Path, migrated: Path) -> Iterator[Engine]:
    """A migrated SQLite database with a store id."""
    engine = open_engine(f"sqlite:///{shutil.copy(migrated, tmp_path / 'bridge.sqlite')}")
    yield engine
    engine.dispose()


def _prepare(url: str) -> Engine:
    engine = open_engine(url)
    migrations.migrate(engine)
    with writing(engine) as tx:
        outbox.set_store_id(tx, bytes(8))
    return engine


@dataclass
class Time:
    """A clock turned by hand, in tenths of a second since 1970."""

    wall: int = story.T0 + 1200

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += int(seconds * 10)

    def stamp(self) -> Stamp:
        """The moment it shows."""
        return Stamp(7, 0, self.wall - story.T0, self.wall, ClockQuality.SYNCED)


@dataclass
class Office:
    """A bridge with two doctors, a viewer and a station; what stations say is handed in by `hear`."""

    engine: Engine
    time: Time
    desk: Desk
    app: object
    journal: io.StringIO
    key: Ed25519PrivateKey
    _seq: Iterator[int] = field(default_factory=itertools.count)

    def hear(self, *events: Event, station: str = story.STATION) -> None:
        """A station's events arrive."""
        with writing(self.engine) as tx:
            for each in events:
                intake.apply(tx, station, each, self.time.wall, story.place(next(self._seq), each))

    def visitor(self) -> "Visitor":
        """Somebody with a browser who has not logged in."""
        return Visitor(self.app.test_client())  # type: ignore[attr-defined]

    def doctor(self, login: str = "bs.thu") -> "Visitor":
        """Somebody who has logged in."""
        visitor = self.visitor()
        answer = visitor.log_in(login, PASSWORD)
        assert answer.status_code == 302, answer.text
        return visitor


@dataclass
class Visitor:
    """A browser without a screen: it keeps cookies and sends the forms it has seen."""

    client: FlaskClient

    def get(self, url: str, **more: object) -> TestResponse:
        """A page."""
        return self.client.get(url, **more)  # type: ignore[arg-type]

    def token(self) -> str:
        """The session's token, as every form carries it."""
        found = re.search(r'name="csrf" value="([0-9a-f]{32})"', self.get("/login").text)
        assert found
        return found[1]

    def send(self, url: str, **fields: str | Sequence[str]) -> TestResponse:
        """A form's fields with the session's token."""
        return self.client.post(url, data={"csrf": self.token(), **fields})

    def log_in(self, login: str, password: str) -> TestResponse:
        """Login and password."""
        return self.send("/login", login=login, password=password)


@pytest.fixture
def office(lite: Engine) -> Office:
    """A doctor's office on SQLite."""
    return make_office(lite)


@pytest.fixture
def offices(engine: Engine) -> Office:
    """A doctor's office on SQLite, then on PostgreSQL."""
    return make_office(engine)


def make_office(engine: Engine) -> Office:
    """An office with Bs. Thử and Bs. Hai, a viewer and the station tram-0001."""
    time, said, key = Time(), io.StringIO(), Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    with writing(engine) as tx:
        for login, name, role in (
            ("bs.thu", "BS. Trần Thử", Role.DOCTOR),
            ("bs.hai", "BS. Lê Hai", Role.DOCTOR),
            ("xem", "Người Xem", Role.VIEWER),
        ):
            accounts.add(tx, HASHER, login, PASSWORD, time.wall, name=name, role=role, organisation=ORGANISATION, second_needed=False)
        stations.add(tx, stations.Station(story.STATION, 0, "Trạm Y tế xã Thử", ORGANISATION, 0, 0, bytes(32), time.wall, None))
    desk = Desk(engine, Seal(3, key), time.stamp, counted(), HASHER, journal.open("bridge-console", said), "test", KEY, ORGANISATION)
    return Office(engine, time, desk, create_app(desk, b"s" * 32), said, key)


def counted() -> Callable[[int], bytes]:
    """Bytes that are different every time and the same in every run."""
    numbers = itertools.count(1_000_003, 7_919)
    return lambda size: next(numbers).to_bytes(size, "big")
