"""What SECURITY.md says of a copied database file: without the key it shows nothing."""

from pathlib import Path

import pytest

from appliance import database

NAMES = ["Thử Nghiệm Một", "Thử Nghiệm Hai", "001099000001"]
KEY = bytes(range(32))


def written(folder: Path, key: bytes | None) -> bytes:
    """Every byte that lies on the disk (database, write-ahead log, shared memory) while invented people are being written."""
    connection = database.connect(folder / "store.db", key=key)
    try:
        connection.execute("CREATE TABLE person (name TEXT)")
        seen = b""
        for name in NAMES:
            with database.transaction(connection):
                connection.execute("INSERT INTO person VALUES (?)", [name])
            seen += b"".join(path.read_bytes() for path in folder.iterdir())
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return seen + b"".join(path.read_bytes() for path in folder.iterdir())
    finally:
        connection.close()


def found(content: bytes) -> list[str]:
    """The invented people that can be read in these bytes."""
    return [name for name in NAMES if name.encode() in content]


def test_a_copied_file_shows_nobody(tmp_path: Path) -> None:
    """With a key no name or number is in the database, its log or its shared memory; without one all are (so the search works)."""
    (tmp_path / "locked").mkdir()
    (tmp_path / "open").mkdir()
    assert found(written(tmp_path / "open", None)) == NAMES
    assert found(written(tmp_path / "locked", KEY)) == []


@pytest.mark.parametrize("key", [None, bytes(32)])
def test_another_key_opens_nothing(tmp_path: Path, key: bytes | None) -> None:
    """Without the key, or with another one, the file cannot be read."""
    written(tmp_path, KEY)
    with pytest.raises(database.StoreError):
        database.connect(tmp_path / "store.db", key=key).execute("SELECT count(*) FROM person")
