"""Real servers for tests: found on the machine, run as an unprivileged user, ended with the test that started them.

Every child gets a death signal (`setpriv --pdeathsig`), so that even a killed test run leaves no server behind.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from tests.polling import until

PLACES = (*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/sbin", "/usr/local/sbin")
REQUIRED = "TRAM_TEST_SERVERS"
"""script/test sets this to ``required``: then a missing server is a failure, not a skipped test."""


@cache
def find(program: str) -> str | None:
    """Where `program` is: PATH, the sbin folders, and Debian's PostgreSQL folders, newest version first."""
    postgres = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    return shutil.which(program, path=":".join([*map(str, postgres), *PLACES]))


def need(program: str, package: str) -> str:
    """The path of `program`; without it the test is skipped with the name of its Debian package, or fails where servers are required."""
    path = find(program)
    if path is None and os.environ.get(REQUIRED) == "required":
        pytest.fail(f"{program} is missing: apt-get install {package}")
    if path is None:
        pytest.skip(f"{program} is not installed (apt-get install {package})")
    return path


@dataclass(frozen=True)
class Person:
    """A user of the system that a server may run as. `uid` None means: whoever runs the tests."""

    name: str
    uid: int | None
    gid: int | None


def unprivileged(*names: str) -> Person:
    """Somebody without rights: the first existing user of `names` (then ``nobody``) when the tests run as root, else ourselves."""
    if os.geteuid() != 0:
        return Person(pwd.getpwuid(os.geteuid()).pw_name, None, None)
    for name in (*names, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Person(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise RuntimeError("this system has no user nobody")


def as_person(person: Person, command: Sequence[str | Path]) -> list[str]:
    """`command`, to be run as `person` and to die with the test process."""
    setpriv = find("setpriv")
    rights = [] if person.uid is None else [f"--reuid={person.uid}", f"--regid={person.gid}", "--clear-groups"]
    if setpriv is None and rights:
        raise RuntimeError("setpriv (util-linux) is missing: servers cannot leave root")
    before = [] if setpriv is None else [setpriv, *rights, "--pdeathsig", "KILL", "--"]
    return [*before, *map(str, command)]


def folder(person: Person, name: str = "t") -> Path:
    """A new short-named folder that `person` owns (AF_UNIX paths end at 107 bytes). Whoever asks removes it."""
    path = Path(tempfile.mkdtemp(prefix=f"tram-{name}-", dir="/tmp"))
    if person.uid is not None:
        os.chown(path, person.uid, -1 if person.gid is None else person.gid)
    return path


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """True when somebody accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def start(command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """A child process in a process group of its own, its output in `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=env
        )


def stop(process: subprocess.Popen[bytes], how: int = signal.SIGTERM, within: float = 30.0) -> int:
    """End a child and everything in its process group; SIGKILL when it does not go in time. Its exit status."""
    for number in (how, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            return process.wait(within)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(f"process {process.pid} does not die")


@dataclass
class Broker:
    """A running MQTT broker on 127.0.0.1. `settings` is the configuration it runs with."""

    kind: str
    port: int
    command: list[str]
    place: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    host: str = "127.0.0.1"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.place / "log"

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        process = self.process = start(self.command, self.log)
        until(lambda: process.poll() is not None or listens(self.port), what=f"{self.kind} on port {self.port}", within=20)
        if process.poll() is not None:
            raise RuntimeError(f"{self.kind} ended at once: {self.log.read_text(errors='replace')}")

    def kill(self) -> None:
        """SIGKILL: a power cut of the broker."""
        self.stop(signal.SIGKILL)

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it; harmless when it has ended."""
        if self.process is not None:
            stop(self.process, how)
            self.process = None

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        self.start()


def mosquitto(extra: str = "", *, port: int | None = None, anonymous: bool = True) -> Broker:
    """A mosquitto that is not started yet. `extra` is appended to its configuration (after the listener lines)."""
    program = need("mosquitto", "mosquitto")
    person = unprivileged("mosquitto")
    place = folder(person, "mq")
    port = port or free_port()
    lines = [f"listener {port} 127.0.0.1", f"allow_anonymous {str(anonymous).lower()}", "persistence false", "set_tcp_nodelay true"]
    (place / "conf").write_text("\n".join([*lines, extra, ""]))
    (place / "conf").chmod(0o644)
    (place / "log").touch(0o666)
    return Broker("mosquitto", port, as_person(person, [program, "-c", place / "conf"]), place)


def iotcore(*, port: int | None = None) -> Broker:
    """An iotcore broker (MQTT 3.1.1 only) that is not started yet."""
    person = Person("", None, None)
    place = folder(person, "io")
    port = port or free_port()
    command = [sys.executable, "-W", "ignore", "-m", "iotcore", "--listen", "127.0.0.1", "--port", str(port)]
    return Broker("iotcore", port, as_person(person, command), place)


@dataclass
class Postgres:
    """A running PostgreSQL, reached through a Unix socket in `place`; `url()` names one of its databases for SQLAlchemy."""

    place: Path
    person: Person
    process: subprocess.Popen[bytes] = field(repr=False)
    made: int = 0

    def dsn(self, database: str = "postgres") -> str:
        """libpq's way to name a database."""
        return f"host={self.place} user=tram dbname={database}"

    def url(self, database: str) -> str:
        """SQLAlchemy's way to name a database."""
        return f"postgresql+psycopg://tram@/{database}?host={self.place}"

    def create(self) -> str:
        """A new empty database; its SQLAlchemy URL."""
        import psycopg

        self.made += 1
        name = f"t{self.made}"
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        return self.url(name)

    def drop(self, url: str) -> None:
        """A database of `create` is gone, whoever is still connected to it."""
        import psycopg

        name = url.partition("@/")[2].partition("?")[0]
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self) -> None:
        """Immediate shutdown; nothing in it is worth keeping."""
        stop(self.process, signal.SIGQUIT)


def postgres() -> Postgres:
    """A fresh PostgreSQL cluster, started. It does not wait for its disk (fsync off): these tests are not about its durability."""
    initdb, server = need("initdb", "postgresql"), need("postgres", "postgresql")
    person = unprivileged("postgres")
    place = folder(person, "pg")
    data = place / "data"
    made = subprocess.run(
        as_person(person, [initdb, "-D", data, "-U", "tram", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]),
        capture_output=True, text=True, cwd=place, check=False,
    )  # fmt: skip  # one line of options
    if made.returncode:
        raise RuntimeError(f"initdb failed: {made.stderr}")
    options = {
        "listen_addresses": "", "unix_socket_directories": str(place), "fsync": "off", "max_connections": "50", "timezone": "UTC",
        "wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "64MB",
    }  # fmt: skip  # one line of options
    settings = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
    process = start(as_person(person, [server, "-D", data, *settings]), place / "log")
    running = Postgres(place, person, process)
    until(lambda: process.poll() is not None or (place / ".s.PGSQL.5432").exists(), within=30, what="PostgreSQL's socket")
    until(lambda: process.poll() is not None or _answers(running), within=30, what="PostgreSQL to answer")
    if process.poll() is not None:
        raise RuntimeError(f"PostgreSQL ended at once: {(place / 'log').read_text(errors='replace')}")
    return running


def _answers(running: Postgres) -> bool:
    import psycopg

    try:
        psycopg.connect(running.dsn(), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
