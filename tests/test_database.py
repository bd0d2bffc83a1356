"""The door to SQLite: what is promised of every connection, and what it says when it cannot keep it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy

from appliance import database
from appliance.database import StoreError, connect, data_version, files, integrity, transaction
from tests.servers import Person, as_person
from tests.store.disk import small_disk

ROOT = Path(__file__).resolve().parent.parent
KEY = bytes(range(32))
SELECT = 21
"""SQLITE_SELECT among the codes of an authorizer (sqlite3.h)."""


def make(path: Path, key: bytes | None = KEY) -> database.Connection:
    """A file with one table."""
    conn = connect(path, key=key)
    with transaction(conn):
        conn.execute("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, text TEXT UNIQUE)")
    return conn


def texts(conn: database.Connection) -> list[str]:
    """What stands in it."""
    return [row["text"] for row in conn.execute("SELECT text FROM note ORDER BY id")]


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "plain"])
def test_every_connection_is_wal_full_and_small(tmp_path: Path, key: bytes | None) -> None:
    """WAL, FULL, foreign keys, secure delete, no mmap, small pages: on the first connection and on the next."""
    make(tmp_path / "a.db", key).close()
    conn = connect(tmp_path / "a.db", key=key)
    told = {name: conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")}
    assert told == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    assert int(conn.execute("PRAGMA page_size").fetchone()[0]) == 1024
    assert (conn.execute("PRAGMA mmap_size").fetchone() or [0])[0] == 0
    conn.close()


def test_nothing_readable_lies_on_the_disk(tmp_path: Path) -> None:
    """A name written into an encrypted store is found neither in the file nor in its log, before and after the checkpoint."""
    conn = make(tmp_path / "a.db")
    with transaction(conn):
        conn.execute("INSERT INTO note (text) VALUES ('Thử Nghiệm Bí Mật')")
    secret = "Bí Mật".encode()
    assert not any(secret in path.read_bytes() for path in files(tmp_path / "a.db") if path.exists())
    assert database.truncate_log(conn)
    assert not any(secret in path.read_bytes() for path in files(tmp_path / "a.db") if path.exists())
    conn.close()


def test_a_wrong_key_is_said_in_plain_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The wrong key is a StoreError of reason ``key`` with the file's name, and the driver does not chatter on stderr."""
    make(tmp_path / "a.db").close()
    with pytest.raises(StoreError, match=r"wrong key.*a\.db") as caught:
        connect(tmp_path / "a.db", key=bytes(32))
    assert caught.value.reason == "key"
    assert isinstance(caught.value, OSError)
    assert capfd.readouterr().err == ""


def test_a_short_key_is_a_bug(tmp_path: Path) -> None:
    """Fewer than 32 bytes never reach the driver, which would take them for a passphrase."""
    with pytest.raises(ValueError, match="32 bytes"):
        connect(tmp_path / "a.db", key=b"short")
    assert not (tmp_path / "a.db").exists()


@pytest.mark.parametrize("how", ["no folder", "no file", "readonly"])
def test_a_missing_file_is_said_in_plain_words(tmp_path: Path, how: str) -> None:
    """No folder, or no file where none may be made: StoreError ``missing``."""
    path = tmp_path / "none" / "a.db" if how == "no folder" else tmp_path / "a.db"
    with pytest.raises(StoreError) as caught:
        connect(path, key=KEY, create=how == "no folder", readonly=how == "readonly")
    assert caught.value.reason == "missing"
    assert not path.exists()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    """A read-only connection reads, and says ``readonly`` when asked to write."""
    make(tmp_path / "a.db").close()
    conn = connect(tmp_path / "a.db", key=KEY, readonly=True)
    assert texts(conn) == []
    with pytest.raises(StoreError) as caught, transaction(conn):
        conn.execute("INSERT INTO note (text) VALUES ('x')")
    assert caught.value.reason == "readonly"
    conn.close()


def test_who_waits_too_long_is_told_that_the_store_is_busy(tmp_path: Path) -> None:
    """A second writer waits for its time and then hears ``busy``; when the first is done it gets in."""
    first = make(tmp_path / "a.db")
    second = connect(tmp_path / "a.db", key=KEY, busy_seconds=0.05)
    with transaction(first):
        with pytest.raises(StoreError) as caught, transaction(second):
            pass
        assert caught.value.reason == "busy"
    with transaction(second):
        second.execute("INSERT INTO note (text) VALUES ('x')")
    assert texts(first) == ["x"]
    first.close()
    second.close()


def test_a_bug_in_sql_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    """Wrong SQL and a broken constraint are no OSErrors: no loop waits for them to pass."""
    conn = make(tmp_path / "a.db")
    with pytest.raises(database.DRIVER.OperationalError) as wrong:
        conn.execute("SELECT * FROM nothing")
    assert not isinstance(wrong.value, OSError)
    with transaction(conn):
        conn.execute("INSERT INTO note (text) VALUES ('x')")
    with pytest.raises(database.IntegrityError), transaction(conn):
        conn.execute("INSERT INTO note (text) VALUES ('x')")
    conn.close()


def test_any_exception_undoes_the_whole_transaction(tmp_path: Path) -> None:
    """What was written before the exception is gone, the exception goes on, and the connection can be used again."""
    conn = make(tmp_path / "a.db")

    def cut_short() -> None:
        with transaction(conn):
            conn.execute("INSERT INTO note (text) VALUES ('x')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_short()
    assert texts(conn) == []
    with transaction(conn):
        conn.execute("INSERT INTO note (text) VALUES ('y')")
    assert texts(conn) == ["y"]
    conn.close()


def test_transactions_do_not_nest(tmp_path: Path) -> None:
    """A transaction in a transaction is a bug and undoes the outer one."""
    conn = make(tmp_path / "a.db")

    def nest() -> None:
        with transaction(conn):
            conn.execute("INSERT INTO note (text) VALUES ('x')")
            with transaction(conn):
                pass

    with pytest.raises(RuntimeError, match="open already"):
        nest()
    assert texts(conn) == []
    conn.close()


def test_the_version_moves_when_another_one_commits(tmp_path: Path) -> None:
    """`data_version` is what waiting processes poll: it moves by others' commits and by nothing else."""
    first, second = make(tmp_path / "a.db"), connect(tmp_path / "a.db", key=KEY)
    seen = data_version(first)
    assert data_version(first) == seen
    with transaction(second):
        second.execute("INSERT INTO note (text) VALUES ('x')")
    assert data_version(first) != seen
    first.close()
    second.close()


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "plain"])
def test_a_flipped_bit_is_found(tmp_path: Path, key: bytes | None) -> None:
    """One changed byte in the middle of the file: the check names it; an encrypted page is never read as something else."""
    conn = make(tmp_path / "a.db", key)
    with transaction(conn):
        conn.executemany("INSERT INTO note (text) VALUES (?)", [(f"line {number} " + "x" * 200,) for number in range(200)])
    assert integrity(conn) == []
    conn.close()
    raw = bytearray((tmp_path / "a.db").read_bytes())
    at = len(raw) // 1024 // 2 * 1024
    raw[at : at + 16] = bytes(16) if key is None else bytes(byte ^ 1 for byte in raw[at : at + 16])
    (tmp_path / "a.db").write_bytes(raw)
    conn = connect(tmp_path / "a.db", key=key)
    assert integrity(conn) != []
    assert integrity(conn, quick=True) != []
    if key is not None:
        with pytest.raises(StoreError) as caught:
            _read_all(conn)
        assert caught.value.reason in ("damaged", "key", "io")
    conn.close()


def _read_all(conn: database.Connection) -> None:
    """Every page of the table and of its index."""
    conn.execute("SELECT sum(length(text)) FROM note NOT INDEXED").fetchall()
    conn.execute("SELECT text FROM note ORDER BY text").fetchall()


def test_a_statement_is_prepared_once_however_many_others_came_before(tmp_path: Path) -> None:
    """A program that has seen 300 different statements still prepares each of those it uses now once, not at every use."""
    conn = make(tmp_path / "a.db")
    for number in range(300):
        conn.execute(f"SELECT {number} FROM note").fetchall()
    prepared: list[int] = []

    def asked(code: int, *_: object) -> int:
        prepared.append(code)
        return 0

    conn.set_authorizer(asked)  # asked when a statement is prepared, and only then
    for number in range(10):
        conn.execute("SELECT text FROM note WHERE id = ?", (number,)).fetchone()
        conn.execute("SELECT id FROM note WHERE text = ?", (str(number),)).fetchone()
    conn.set_authorizer(None)
    assert prepared.count(SELECT) == 2
    conn.close()


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o000])
def test_the_file_is_for_its_group_whatever_the_umask_is(tmp_path: Path, umask: int) -> None:
    """0660 for the file, its log and its shared index."""
    before = os.umask(umask)
    try:
        conn = make(tmp_path / "a.db")
        modes = {stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path / "a.db")}
    finally:
        os.umask(before)
    conn.close()
    assert modes == {0o660}


WRITER = """
import os, sys
os.umask(0o077)
from appliance.database import connect, transaction
conn = connect(sys.argv[1], key=bytes(range(32)), create=False)
for number in range(int(sys.argv[3])):
    with transaction(conn):
        conn.execute("INSERT INTO note (text) VALUES (?)", (f"{sys.argv[2]} {number}",))
conn.close()
"""


def test_two_processes_write_and_nothing_is_lost(tmp_path: Path) -> None:
    """Two processes with 100 commits each at the same time: 200 rows, each process's in its order, a whole file."""
    make(tmp_path / "a.db").close()
    command = [sys.executable, "-c", WRITER, str(tmp_path / "a.db")]
    writers = [subprocess.Popen([*command, who, "100"], cwd=ROOT) for who in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    conn = connect(tmp_path / "a.db", key=KEY)
    found = texts(conn)
    for who in "ab":
        assert [line for line in found if line.startswith(who)] == [f"{who} {number}" for number in range(100)]
    assert integrity(conn) == []
    conn.close()


def test_two_users_share_one_store(tmp_path: Path, unprivileged: Person) -> None:
    """A user of the store's group writes into root's file and the other way round, whoever comes first, with umask 077."""
    if unprivileged.uid is None or unprivileged.gid is None:
        pytest.skip("only root can be two users")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o001 == 0 and folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o011)
    box = tmp_path / "box"
    box.mkdir()
    os.chown(box, 0, unprivileged.gid)
    box.chmod(0o2770)
    make(box / "a.db").close()
    ours = [sys.executable, "-c", WRITER, str(box / "a.db")]
    theirs = as_person(unprivileged, ours)
    for order in ([theirs, ours], [ours, theirs]):
        for command in order:
            done = subprocess.run([*command, f"{len(command)}", "1"], cwd=ROOT, capture_output=True, text=True, check=False)
            if "ModuleNotFoundError" in done.stderr or "Permission denied" in done.stderr.splitlines()[:1]:
                pytest.skip("another user cannot read this installation")
            assert done.returncode == 0, done.stderr
            _forget(box / "a.db")
    both = [subprocess.Popen([*command, f"{number}", "50"], cwd=ROOT) for number, command in enumerate((theirs, ours))]
    assert [writer.wait(60) for writer in both] == [0, 0]
    conn = connect(box / "a.db", key=KEY)
    assert len(texts(conn)) == 100
    conn.close()


def _forget(path: Path) -> None:
    conn = connect(path, key=KEY)
    with transaction(conn):
        conn.execute("DELETE FROM note")
    conn.close()


def _fill(conn: database.Connection, kept: list[str]) -> None:
    """Write line after line; those that were committed are in `kept`."""
    for number in range(5000):
        line = f"{number} " + "x" * 500
        with transaction(conn):
            conn.execute("INSERT INTO note (text) VALUES (?)", (line,))
        kept.append(line)


def test_a_full_disk_is_opened_again_by_the_ballast(tmp_path: Path) -> None:
    """On a full disk the store says ``full``, keeps what it has, and works again once the ballast is given up."""
    from appliance.store.ballast import make_ballast, release_ballast

    with small_disk(tmp_path):
        conn = make(tmp_path / "a.db")
        assert make_ballast(tmp_path / "ballast", 0) is False
        with (tmp_path / "ballast").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 500_000)
        kept: list[str] = []
        with pytest.raises(StoreError) as caught:
            _fill(conn, kept)
        assert caught.value.reason == "full"
        with pytest.raises(StoreError), transaction(conn):
            conn.execute("DELETE FROM note WHERE id > 2")
        assert texts(conn) == kept
        assert release_ballast(tmp_path / "ballast") == 500_000
        with transaction(conn):
            conn.execute("INSERT INTO note (text) VALUES ('again')")
        with transaction(conn):
            conn.execute("DELETE FROM note WHERE id < 100")
        assert database.truncate_log(conn)
        assert texts(conn)[-1] == "again"
        conn.close()


def test_sqlalchemy_comes_through_the_same_door(tmp_path: Path) -> None:
    """The bridge's engine stands on our connections: its transactions are ours, its errors too, and sqlite3 is not loaded for it."""

    def creator() -> database.Connection:
        conn = connect(tmp_path / "bridge.db", key=None, page_size=4096, any_thread=True)
        conn.row_factory = None
        return conn

    engine = sqlalchemy.create_engine("sqlite://", module=database.DRIVER, creator=creator, poolclass=sqlalchemy.pool.QueuePool)
    sqlalchemy.event.listen(engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN IMMEDIATE"))
    metadata = sqlalchemy.MetaData()
    table = sqlalchemy.Table(
        "t",
        metadata,
        sqlalchemy.Column("a", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("b", sqlalchemy.LargeBinary, unique=True),
    )
    metadata.create_all(engine)
    with engine.begin() as tx:
        tx.execute(table.insert(), [{"b": b"1"}, {"b": b"2"}])
    with pytest.raises(sqlalchemy.exc.IntegrityError), engine.begin() as tx:
        tx.execute(table.insert(), [{"b": b"3"}, {"b": b"1"}])
    with engine.connect() as tx:
        assert tx.execute(sqlalchemy.select(table.c.b).order_by(table.c.a)).scalars().all() == [b"1", b"2"]
        assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()
