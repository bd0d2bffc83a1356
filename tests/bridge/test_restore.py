"""The way back from a backup: only from one that was verified, as another incarnation, and nobody who was erased comes back."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from appliance.contract.events import Tombstone
from cloud_bridge import backup, intake
from cloud_bridge.backup import BackupError, Restored
from cloud_bridge.cli import main
from cloud_bridge.store import copies, outbox, relay_tables, safe, tables, tombstones
from cloud_bridge.store.engine import open_engine, reading, writing
from tests.bridge import story
from tests.bridge.conftest import counted
from tests.bridge.test_backup import AT, STREAM, hear, make


@pytest.fixture
def places(tmp_path: Path, engine: Engine, request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """URLs of empty databases of the engine's kind."""
    made: list[str] = []

    def fresh() -> str:
        made.append(f"sqlite:///{tmp_path / f'new-{len(made)}' / 'bridge.sqlite'}")
        return made[-1] if engine.dialect.name == "sqlite" else str(request.getfixturevalue("other_postgres_url"))

    return fresh


@pytest.fixture
def other_postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A second empty database on the server of the tests."""
    import psycopg
    from sqlalchemy import make_url

    where = make_url(request.getfixturevalue("postgres_url"))
    name = f"{where.database}_back"
    admin = where.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}"')
    yield where.set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(f'DROP DATABASE "{name}"')


def restore(url: str, place: Path, **more: object) -> Restored:
    """Put a backup back."""
    return backup.restore(url, place, at=AT + 900, random=counted(), bury=intake.bury, **more)  # type: ignore[arg-type]  # as named


def rows(engine: Engine, table: object) -> list[tuple[object, ...]]:
    """Everything in a table."""
    with reading(engine) as tx:
        return sorted(tuple(row) for row in tx.execute(select(table)))  # type: ignore[call-overload]  # a table


def test_a_restored_store_has_every_row_and_is_another_incarnation(engine: Engine, tmp_path: Path, places: Callable[[], str]) -> None:
    """On both databases; numbers go on after the highest, and nothing is called safe until the next backup."""
    hear(engine, 4)
    with writing(engine) as tx:
        outbox.append(tx, story.STATION, story.asked(5))
    make(engine, tmp_path)
    done = make(engine, tmp_path, AT + 600)
    url = places()
    said = restore(url, tmp_path)
    assert said.backup.folder == done.folder
    again = open_engine(url, create=False)
    for table in (relay_tables.event, relay_tables.inbox, relay_tables.outbox, tables.tombstone, relay_tables.backup):
        there = rows(engine, table)
        assert rows(again, table) == (there[:1] if table is relay_tables.backup else there)
    with writing(again) as tx:
        assert outbox.store_id(tx) == said.store != done.store
        assert safe.marks(tx, STREAM) == {}
        outbox.append(tx, story.STATION, story.asked(6))
        noted = json.loads(tx.scalar(select(tables.meta.c.value).where(tables.meta.c.key == backup.RESTORED)) or "")
    assert noted == {"at": AT + 900, "backup": done.folder.name, "taken": AT + 600}
    backup.make(again, tmp_path / "next", at=AT + 1200, random=counted())
    with reading(again) as tx:
        assert safe.marks(tx, STREAM)[2].highest == 4
    again.dispose()


def test_who_was_erased_since_stays_erased(engine: Engine, tmp_path: Path, places: Callable[[], str]) -> None:
    """The tombstone is in the separate copy and not in the backup: it is taken before anybody can offer the patient again."""
    with writing(engine) as tx:
        intake.apply(tx, story.STATION, story.asked(), AT, (story.EPOCH, 0, 1))
    make(engine, tmp_path / "to")
    with writing(engine) as tx:
        intake.apply(tx, story.STATION, story.event(Tombstone(story.PATIENT, "yêu cầu"), 9), AT + 10, (story.EPOCH, 0, 2))
    keys = tmp_path / "keys"
    keys.mkdir()
    with reading(engine) as tx:
        tombstones.Keeper(keys / tombstones.FILE).turn(tx)
    url = places()
    assert restore(url, tmp_path / "to", extra=[keys / tombstones.FILE]).graves == 1
    again = open_engine(url, create=False)
    with writing(again) as tx:
        assert [one.patient for one in tombstones.of_store(tx)] == [story.PATIENT]
        intake.apply(tx, story.STATION, story.asked(), AT + 20, (story.EPOCH, 0, 1))  # the box offers again what it had sent
        kept = tx.execute(select(tables.consult.c.identity, tables.consult.c.complaint)).one()
        assert kept.identity is None
        assert "Thử" not in (kept.complaint or "")
        assert not tx.execute(select(tables.patient)).all()
    again.dispose()


@pytest.mark.parametrize("damage", ["no list", "not verified", "a row", "half a file"])
def test_what_is_no_verified_backup_is_refused(lite: Engine, tmp_path: Path, damage: str) -> None:
    """And nothing is there afterwards."""
    hear(lite, 40)
    folder = make(lite, tmp_path / "to").folder
    file = folder / copies.FILE
    match damage:
        case "no list":
            (folder / backup.LIST).unlink()
        case "not verified":
            (folder / backup.LIST).write_text((folder / backup.LIST).read_text().replace("true", "false"))
        case "a row":
            engine = open_engine(f"sqlite:///{file}")
            with writing(engine) as tx:
                tx.execute(tables.tombstone.delete().where(tables.tombstone.c.patient == 7))
            engine.dispose()
        case "half a file":
            with file.open("r+b") as opened:
                opened.truncate(file.stat().st_size // 2)
    with pytest.raises(BackupError):
        restore(f"sqlite:///{tmp_path / 'new' / 'bridge.sqlite'}", folder)
    assert not (tmp_path / "new" / "bridge.sqlite").exists()


def test_a_database_that_is_there_is_moved_aside_and_never_removed(lite: Engine, tmp_path: Path) -> None:
    """Not without being asked to, and not while somebody works on it."""
    hear(lite, 2)
    make(lite, tmp_path / "to")
    hear(lite, 2, first=3)
    url = f"sqlite:///{tmp_path / 'bridge.sqlite'}"
    with pytest.raises(BackupError, match="--replace"):
        restore(url, tmp_path / "to")
    with pytest.raises(BackupError, match="in use"):
        restore(url, tmp_path / "to", replace=True)
    lite.dispose()
    said = restore(url, tmp_path / "to", replace=True)
    assert said.aside is not None
    old, new = open_engine(f"sqlite:///{said.aside}", create=False), open_engine(url, create=False)
    assert (len(rows(old, relay_tables.event)), len(rows(new, relay_tables.event))) == (4, 2)
    old.dispose()
    new.dispose()


def test_a_postgresql_database_with_tables_is_refused(engine: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """It may be the one that is meant to be kept."""
    if engine.dialect.name == "sqlite":
        return
    make(engine, tmp_path)
    with pytest.raises(BackupError, match="has tables already"):
        restore(request.getfixturevalue("postgres_url"), tmp_path)


def test_a_backup_of_the_other_kind_is_refused(engine: Engine, tmp_path: Path) -> None:
    """With words that say which is which."""
    make(engine, tmp_path)
    other = "postgresql+psycopg://nobody@127.0.0.1:1/x" if engine.dialect.name == "sqlite" else f"sqlite:///{tmp_path / 'x'}"
    with pytest.raises(BackupError, match="is a backup of"):
        restore(other, tmp_path)


def test_the_two_commands_as_an_operator_types_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Backup, the disk dies, restore: the same stations, another store; the words say what happens next."""
    settings = tmp_path / "bridge.toml"
    settings.write_text(f'[bridge]\ndatabase = "sqlite:///{tmp_path}/db/bridge.sqlite"\nkey_dir = "{tmp_path}/keys"\n'
                        f'console_secret_file = "{tmp_path}/console.secret"\n')  # fmt: skip
    run = lambda *words: main([*words, "--config", str(settings)])  # noqa: E731 - one command
    assert run("init") == 0
    assert run("users", "list") == 0
    assert run("backup", "--to", str(tmp_path / "to"), "--keep", "0") == 1
    assert "--keep" in capsys.readouterr().err
    assert run("backup", "--to", str(tmp_path / "to")) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["verified"], Path(said["backup"]).parent) == (True, tmp_path / "to")
    assert run("restore", str(tmp_path / "to")) == 1
    assert "--replace" in capsys.readouterr().err
    for file in (tmp_path / "db").iterdir():
        file.unlink()
    assert run("restore", str(tmp_path / "nowhere")) == 1
    assert "no backup here" in capsys.readouterr().err
    assert run("restore", str(tmp_path / "to")) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["store"] != said["store"]
    assert "by itself" in shown.err
    assert run("stations", "list") == 0
