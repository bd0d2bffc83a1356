"""The servers that other tests rely on really run, alone, and as nobody in particular."""

from collections.abc import Callable
from pathlib import Path

import psycopg

from tests import servers


def test_a_broker_can_be_killed_and_comes_back_on_its_port(broker: servers.Broker) -> None:
    """A killed broker stops listening; restarted it listens on the same port."""
    assert servers.listens(broker.port)
    broker.kill()
    assert not servers.listens(broker.port)
    broker.start()
    assert servers.listens(broker.port)


def test_two_brokers_run_side_by_side(mosquitto: Callable[..., servers.Broker]) -> None:
    """Brokers of one test do not share a port."""
    assert mosquitto().port != mosquitto("max_inflight_messages 5").port


def test_a_server_gives_up_root(mosquitto: Callable[..., servers.Broker], unprivileged: servers.Person) -> None:
    """No test server runs as root."""
    process = mosquitto().process
    assert process is not None
    status = Path(f"/proc/{process.pid}/status").read_text()
    uid = int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1])
    assert uid != 0


def test_each_postgres_database_is_new_and_holds_vietnamese(postgres: servers.Postgres) -> None:
    """Two databases of one server share no tables, and text comes back as it went in."""
    one, other = postgres.create(), postgres.create()
    assert one != other
    with psycopg.connect(postgres.dsn(one.split("@/")[1].split("?")[0])) as connection:
        connection.execute("CREATE TABLE kept (text text)")
        connection.execute("INSERT INTO kept VALUES (%s)", ["Trạm Y tế Thử Nghiệm"])
        assert connection.execute("SELECT text FROM kept").fetchone() == ("Trạm Y tế Thử Nghiệm",)
    with psycopg.connect(postgres.dsn(other.split("@/")[1].split("?")[0])) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'kept'").fetchone() == (0,)
