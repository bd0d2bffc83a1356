"""The console's own tables: second factors, sessions, who looked at whom, who has taken note of an emergency.

Times are tenths of a second since 1970. None of this ever travels to a station.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from cloud_bridge.store.metadata import METADATA

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up by itself only for INTEGER PRIMARY KEY

second_factor = Table(
    "second_factor", METADATA,
    Column("login", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("confirmed", BigInteger),
    Column("counter", BigInteger, nullable=False),
)  # fmt: skip
"""The secret behind somebody's codes, sealed with a key that is not in the database (`factors`). `confirmed` is when its owner first
gave a right code; `counter` is the last 30 s step whose code was used."""

recovery_code = Table(
    "recovery_code", METADATA,
    Column("login", String(64), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("used", BigInteger),
)  # fmt: skip
"""Codes for a lost telephone, each good once; only keyed digests are kept."""

session = Table(
    "console_session", METADATA,
    Column("id", LargeBinary, primary_key=True),
    Column("login", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("began", BigInteger, nullable=False),
    Column("ended", BigInteger),
)  # fmt: skip
"""One login of somebody. `id` is the SHA-256 of the cookie's number, so that a dump opens no session."""

access_log = Table(
    "access_log", METADATA,
    Column("id", _NUMBER, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("login", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("station", String(16), nullable=False),
    Column("patient", BigInteger),
    Column("consult", BigInteger),
    Column("what", String(32), nullable=False),
    Index(None, "station", "patient", "at"),
)  # fmt: skip
"""Who saw or did what with whose record. Triggers of both databases refuse to change or remove a row. It names nobody but the reader."""

noticed = Table(
    "noticed", METADATA,
    Column("station", String(16), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("login", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)  # fmt: skip
"""Who was the first to say *I have seen it* of an emergency: `kind` is ``consult`` or ``call``."""
