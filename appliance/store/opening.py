"""How every process but `tram init` comes to the store: the key, the file, the two integers of the schema.

The key has 32 bytes: raw, or 64 hexadecimal digits and a line end. It is never in code, environment or arguments.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from appliance.database import KEY_BYTES, Connection, StoreError, connect
from appliance.settings import Settings
from appliance.store.ballast import release_ballast
from appliance.store.errors import WrongSchema
from appliance.store.version import SCHEMA

CREDENTIAL = "store-key"
"""The name of the key among systemd's credentials."""


def database_file(settings: Settings) -> Path:
    """Where the store is."""
    return settings.paths.data / "tram.db"


def ballast_file(settings: Settings) -> Path:
    """Where the ballast is."""
    return settings.paths.data / "ballast"


def secret_file(settings: Settings) -> Path:
    """Where the device's secret is that PINs are mixed with."""
    return settings.kiosk.secret_file or settings.paths.data / "kiosk.secret"


def handed_file(settings: Settings) -> Path:
    """Where `tram key open` puts the key for this boot: in memory, in a folder of root's beside ``paths.run``."""
    return settings.paths.run.with_name(f"{settings.paths.run.name}-key") / "store.key"


def key_file(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Where the key is: ``$CREDENTIALS_DIRECTORY/store-key`` where that exists, else ``store.key_file``; where the key is bound to the
    board and so not in that file, what `tram key open` handed over at the start.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder and (Path(folder) / CREDENTIAL).exists():
        return Path(folder) / CREDENTIAL
    handed = handed_file(settings)
    # (os.path: a folder that this user may not look into is a key that is not there.)
    return handed if not os.path.exists(settings.store.key_file) and os.path.exists(handed) else settings.store.key_file


def read_key(file: Path) -> bytes:
    """The key in a file; StoreError ``key`` when it is missing, readable by others or no key."""
    try:
        with file.open("rb") as source:
            mode = os.fstat(source.fileno()).st_mode
            content = source.read(2 * KEY_BYTES + 2)
    except OSError as error:
        raise _no_key(file, error.strerror or str(error)) from error
    if stat.S_IMODE(mode) & 0o007:
        raise _no_key(file, "others may read it: chmod o-rwx, and make a new key if anybody could have seen it")
    if len(content) == KEY_BYTES:
        return content
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise _no_key(file, f"it does not hold {KEY_BYTES} bytes")
    return key


def _no_key(file: Path, why: str) -> StoreError:
    return StoreError("key", str(file), f"the store's key cannot be used ({why})", "Không đọc được khóa của kho dữ liệu")


def open_store(
    settings: Settings, environ: Mapping[str, str] = os.environ, *, readonly: bool = False, any_thread: bool = False
) -> Connection:
    """The store as `tram init` left it. StoreError where it cannot be opened, WrongSchema where it must not be.

    A transaction that finds the disk full gives up the ballast and still fails; the next try has room.
    """
    key = read_key(key_file(settings, environ))
    path = database_file(settings)
    conn = connect(path, key=key, page_size=settings.store.page_size, create=False, readonly=readonly, any_thread=any_thread)
    try:
        check_schema(conn)
        conn.relief = lambda: release_ballast(ballast_file(settings))
    except BaseException:
        conn.close()
        raise
    return conn


def check_schema(conn: Connection) -> None:
    """WrongSchema when the file is older than this code needs, or written by code that forbids us to read it."""
    found, least = schema_of(conn)
    if found < SCHEMA:
        raise WrongSchema(found, SCHEMA, f"the store has schema {found}, this program needs {SCHEMA}: run tram init")
    if least > SCHEMA:
        raise WrongSchema(
            found, SCHEMA, f"the store was written by a later version (schema {found}): this program knows {SCHEMA}, update it"
        )


def schema_of(conn: Connection) -> tuple[int, int]:
    """(schema, lowest schema a reader must know) of the file; (0, 0) for one that `tram init` has not been at."""
    if conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone() is None:
        return 0, 0
    meta = dict(conn.execute("SELECT key, value FROM meta WHERE key IN ('schema', 'min_reader')").fetchall())
    return int(meta.get("schema", 0)), int(meta.get("min_reader", 0))


def station_of(conn: Connection) -> str:
    """The station the store belongs to."""
    row = conn.execute("SELECT value FROM meta WHERE key = 'station'").fetchone()
    return "" if row is None else str(row[0])
