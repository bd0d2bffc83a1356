from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from argon2 import PasswordHasher
from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from cloud_bridge.store import accounts, corrections, enrolment_tables, keys, migrations, relay_tables, rota_tables, stations, tables
from cloud_bridge.store.accounts import Account, Denied, Role
from cloud_bridge.store.engine import DatabaseError, Pulse, open_engine, reading, while_waiting, writing
from cloud_bridge.store.keys import KeyFileError
from cloud_bridge.store.writing import insert_many
from tests.bridge.conftest import HASHER

NOW = 17_800_000_000


def test_migrations_make_exactly_the_tables_of_the_code(database_url):
    """Step by step from an empty database: no table, column, type or index differs from the metadata; a second run does nothing."""
    engine = open_engine(database_url)
    assert migrations.current(engine) is None
    for _ in range(2):
        migrations.migrate(engine)
        assert migrations.current(engine) == migrations.head()
    with reading(engine) as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": True, "target_metadata": tables.METADATA})
        assert compare_metadata(context, tables.METADATA) == []
    assert {
        relay_tables.event.name,
        enrolment_tables.token.name,
        rota_tables.shift.name,
        corrections.correction_look.name,
    } <= tables.METADATA.tables.keys()
    engine.dispose()


def test_a_transaction_is_all_or_nothing(engine):
    """An exception leaves nothing behind."""

    def work() -> None:
        with writing(engine) as tx:
            stations.add(tx, stations.Station("tram-0009", 0, "x", "", 0, 0, bytes(32), NOW, None))
            raise KeyError

    with pytest.raises(KeyError):
        work()
    with reading(engine) as tx:
        assert stations.get(tx, "tram-0009") is None


def test_a_reader_keeps_no_writer_waiting_and_sees_one_moment(engine):
    """While a page is being made the carrier commits; the page stays as it began."""
    with reading(engine) as tx:
        count = lambda: tx.execute(select(func.count()).select_from(tables.station)).scalar_one()  # noqa: E731 - a question asked twice
        before = count()
        with writing(engine) as other:
            stations.add(other, stations.Station("tram-0009", 0, "x", "", 0, 0, bytes(32), NOW, None))
        assert count() == before if engine.dialect.name == "sqlite" else count() >= before
    with reading(engine) as tx:
        assert stations.get(tx, "tram-0009") is not None


def test_a_pulse_beats_with_every_commit_of_anybody(engine):
    """It changes with a commit of this process and of another engine, and not without one on SQLite."""
    pulse, other = (
        Pulse(engine),
        open_engine(engine.url.render_as_string(hide_password=False)) if engine.dialect.name != "sqlite" else engine,
    )
    beats = [pulse.beat()]
    for number, by in enumerate((engine, other, engine)):
        with writing(by) as tx:
            stations.add(tx, stations.Station(f"tram-{number}", 0, "x", "", 0, 0, bytes(32), NOW, None))
        beats.append(pulse.beat())
    assert len(set(beats)) == 4
    if engine.dialect.name == "sqlite":
        assert pulse.beat() == beats[-1]
    if other is not engine:
        other.dispose()


def test_a_postgresql_that_is_away_is_an_oserror(tmp_path):
    """A loop waits and tries again; the sentence says who is away."""
    engine = open_engine(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}")
    for look in (lambda: reading(engine).__enter__(), lambda: Pulse(engine).beat()):
        with pytest.raises(DatabaseError, match="PostgreSQL is away"):
            look()
    assert issubclass(DatabaseError, OSError)


def test_work_is_done_while_a_statement_takes_its_time_and_not_instead_of_it(database_url):
    """PostgreSQL's slow answers leave room for work, and come out right, errors too; SQLite works in this thread and leaves none."""
    engine, done = open_engine(database_url), []
    while_waiting(engine, lambda: done.append(1))
    with engine.connect() as tx:
        slow = "SELECT 7 FROM pg_sleep(0.05)" if engine.dialect.name == "postgresql" else "SELECT 7"
        assert tx.execute(text(slow)).scalar_one() == 7
        assert bool(done) == (engine.dialect.name == "postgresql")
        with pytest.raises(DBAPIError):
            tx.execute(text("SELECT 1 FROM nowhere"))
        tx.rollback()
        assert tx.execute(text("SELECT 8")).scalar_one() == 8
    engine.dispose()


def test_a_sqlite_file_that_cannot_be_made_is_an_oserror(tmp_path):
    """Neither a missing folder nor a missing file that may not be made is a bug."""
    for engine in (open_engine(f"sqlite:///{tmp_path}/no/where.db"), open_engine(f"sqlite:///{tmp_path}/new.db", create=False)):
        with pytest.raises(OSError, match="cannot be opened"), reading(engine):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "nonsense", "postgresql+asyncpg://x/y"])
def test_another_database_is_refused_with_an_example(url):
    """The sentence names what is possible."""
    with pytest.raises(ValueError, match="sqlite"):
        open_engine(url)


def test_a_broken_rule_of_the_database_stays_a_broken_rule(engine):
    """A duplicate key is not mistaken for a database that is away."""
    twice = [{"key": "x", "value": "y"}] * 2
    with pytest.raises(IntegrityError), writing(engine) as tx:
        tx.execute(tables.meta.insert(), twice)


def test_a_login_lives_through_its_ways(engine):
    """Added, checked, locked, unlocked, reset: each ends the sessions that were open."""
    with writing(engine) as tx:
        accounts.add(tx, HASHER, "bs.thu", "mat-khau-thu-nghiem", NOW, name="BS. Thử", role=Role.DOCTOR)
        first = accounts.check(tx, HASHER, "bs.thu", "mat-khau-thu-nghiem", NOW)
        assert isinstance(first, Account)
        with pytest.raises(ValueError, match="already"):
            accounts.add(tx, HASHER, "bs.thu", "x", NOW, name="x", role=Role.DOCTOR)
        accounts.set_locked(tx, "bs.thu", True)
        assert accounts.check(tx, HASHER, "bs.thu", "mat-khau-thu-nghiem", NOW) == Denied("locked")
        accounts.set_locked(tx, "bs.thu", False)
        accounts.set_password(tx, HASHER, "bs.thu", "mot-mat-khau-khac")
        last = accounts.check(tx, HASHER, "bs.thu", "mot-mat-khau-khac", NOW)
        assert isinstance(last, Account)
        assert last.generation == first.generation + 3
        for change in (accounts.set_locked, lambda tx, login, _: accounts.set_password(tx, HASHER, login, "x")):
            with pytest.raises(ValueError, match="no user"):
                change(tx, "nobody", True)


def test_passwords_are_argon2id_and_are_hashed_anew_when_the_rule_gets_stricter(engine):
    """What is kept says argon2id; a login with an old hash leaves a new one."""
    stricter = PasswordHasher(time_cost=2, memory_cost=128, parallelism=1)
    kept = lambda tx: tx.execute(select(tables.account.c.password)).scalar_one()  # noqa: E731 - a question asked twice
    with writing(engine) as tx:
        accounts.add(tx, HASHER, "bs.thu", "mat-khau-thu-nghiem", NOW, name="BS. Thử", role=Role.DOCTOR)
        before = kept(tx)
        accounts.check(tx, stricter, "bs.thu", "mat-khau-thu-nghiem", NOW)
        assert before.startswith("$argon2id$v=19$m=64,t=1")
        assert kept(tx).startswith("$argon2id$v=19$m=128,t=2")


def test_pauses_double_up_to_fifteen_minutes_and_end_with_the_right_password(engine):
    """1, 2, 4, 8, 15, 15 minutes after the fifth wrong password; nothing is counted during a pause."""
    now, pauses = NOW, []
    with writing(engine) as tx:
        accounts.add(tx, HASHER, "bs.thu", "mat-khau-thu-nghiem", NOW, name="BS. Thử", role=Role.DOCTOR)
        for _ in range(4):
            assert accounts.check(tx, HASHER, "bs.thu", "x", now) == Denied("wrong")
        for _ in range(6):
            denied = accounts.check(tx, HASHER, "bs.thu", "x", now)
            assert isinstance(denied, Denied)
            assert accounts.check(tx, HASHER, "bs.thu", "x", denied.until - 1) == denied
            pauses.append((denied.until - now) / 600)
            now = denied.until
        assert isinstance(accounts.check(tx, HASHER, "bs.thu", "mat-khau-thu-nghiem", now), Account)
        assert accounts.check(tx, HASHER, "bs.thu", "x", now) == Denied("wrong")
    assert pauses == [1, 2, 4, 8, 15, 15]


def test_a_station_registered_again_has_its_new_key(engine):
    """A re-made box replaces its key; revoking stays visible."""
    one = stations.Station("tram-0001", 5, "Trạm", "", 0, 0, bytes(32), NOW, None)
    with writing(engine) as tx:
        stations.add(tx, one)
        stations.add(tx, stations.Station("tram-0001", 5, "Trạm", "", 0, 1, b"k" * 32, NOW, None))
        found = stations.get(tx, "tram-0001")
        assert found is not None
        assert (found.key_id, found.public) == (1, b"k" * 32)
        stations.revoke(tx, "tram-0001", NOW)
        assert [station.revoked for station in stations.everyone(tx)] == [NOW]
        with pytest.raises(ValueError, match="no station"):
            stations.revoke(tx, "tram-0002", NOW)


def test_keys_are_made_once_and_belong_to_their_owner_alone(tmp_path: Path):
    """0600 in a 0700 folder; the same key at every load; one that others can read is refused."""
    folder = tmp_path / "keys"
    assert keys.make(folder, "answer", lambda size: b"a" * size) is True
    assert keys.make(folder, "answer", lambda size: b"b" * size) is False
    number, key = keys.load(folder, "answer")
    assert (number, key.private_bytes_raw()) == (0, b"a" * 32)
    assert keys.publics(folder, "answer") == {0: key.public_key().public_bytes_raw()}
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, folder / "answer-0.key")] == ["0o700", "0o600"]
    assert [path.name for path in folder.iterdir()] == ["answer-0.key"]
    (folder / "answer-0.key").chmod(0o640)
    with pytest.raises(KeyFileError, match="only its owner"):
        keys.load(folder, "answer")
    with pytest.raises(KeyFileError, match="tram-bridge init"):
        keys.load(folder, "receipt")


def test_the_newest_key_signs_and_all_are_exported(tmp_path: Path):
    """Changing a key: the old one stays trusted while stations learn the new one."""
    keys.make(tmp_path, "receipt", lambda size: b"a" * size)
    (tmp_path / "receipt-1.key").write_bytes((tmp_path / "receipt-0.key").read_bytes())
    (tmp_path / "receipt-1.key").chmod(0o600)
    assert keys.load(tmp_path, "receipt")[0] == 1
    assert set(keys.publics(tmp_path, "receipt")) == {0, 1}
    (tmp_path / "receipt-1.key").write_bytes(b"not a key\n")
    with pytest.raises(KeyFileError, match="base64"):
        keys.load(tmp_path, "receipt")


def test_nothing_in_the_schema_ties_lanes_together(engine):
    """No foreign keys: an event finds its place whatever has arrived before it (decision 2)."""
    names = inspect(engine).get_table_names()
    assert "observation" in names
    assert all(inspect(engine).get_foreign_keys(name) == [] for name in names)


def test_rows_come_out_of_copy_as_they_went_in(engine):
    """Texts with everything COPY's format uses for itself, numbers, bytes, nothing at all: a column at a time, and many of a kind."""
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no COPY")
    rows = [
        (1, "tab\there, line\nhere, \\N and \\\\x00", 1.5, b"\x00\\x\xff", True, None),
        (2, "", None, b"", False, "Nguyễn\r"),
        (-3, "\\", 0.1, b"\n", True, "\\."),
    ]
    with engine.begin() as tx:
        tx.exec_driver_sql("CREATE TEMP TABLE mixed (a bigint, b text, c double precision, d bytea, e boolean, f text)")
        insert_many(tx, "mixed", ("a", "b", "c", "d", "e", "f"), rows)
        assert [tuple(row) for row in tx.exec_driver_sql("SELECT * FROM mixed ORDER BY abs(a)")] == rows
