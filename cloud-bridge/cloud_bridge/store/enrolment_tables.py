"""Tokens, certificates, waves, the log of both; acceptances and card room, which come by MQTT. Times are tenths of a second since 1970."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, String, Table, Text

from cloud_bridge.store.metadata import METADATA

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up by itself only for INTEGER PRIMARY KEY

token = Table(
    "enrolment_token", METADATA,
    Column("id", _NUMBER, primary_key=True),
    Column("station", String(16), nullable=False),
    Column("technician", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("tier", SmallInteger, nullable=False),
    Column("long_id", LargeBinary, nullable=False),
    Column("long_lock", LargeBinary, nullable=False),
    Column("short_id", LargeBinary, nullable=False),
    Column("short_lock", LargeBinary, nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used", BigInteger),
    Column("used_for", LargeBinary),
    Column("cancelled", BigInteger),
    Index("uq_enrolment_token_long_id", "long_id", unique=True),
    Index("uq_enrolment_token_short_id", "short_id", unique=True),
    Index("ix_enrolment_token_station", "station"),
)  # fmt: skip
"""Papers with a token: what is kept of the QR code's secret and of the typed one (`contract.enrolment`). `used_for` is the SHA-256 of
the request that it was used for, so that a box whose answer was lost gets the same again."""

certificate = Table(
    "certificate", METADATA,
    Column("serial", String(40), primary_key=True),
    Column("station", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("issued", BigInteger, nullable=False),
    Column("ends", BigInteger, nullable=False),
    Column("instead_of", String(40), nullable=False),
    Column("asked", LargeBinary, nullable=False),
    Column("revoked", BigInteger),
    Index("ix_certificate_station", "station"),
)  # fmt: skip
"""Every certificate that was issued; `serial` is hexadecimal. `kind`: station, server or member. `instead_of`: what it renews. `asked`:
the SHA-256 of the request it answers."""

wave = Table(
    "station_wave", METADATA,
    Column("station", String(16), primary_key=True),
    Column("wave", String(16), nullable=False),
)  # fmt: skip
"""Which wave a station gets updates with: pilot, 1, 2 …"""

log = Table(
    "enrolment_log", METADATA,
    Column("id", _NUMBER, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("station", String(16), nullable=False),
    Column("what", String(32), nullable=False),
    Column("who", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_enrolment_log_station", "station", "at"),
)  # fmt: skip
"""Who made, used, misused or revoked what. Triggers of both databases refuse to change or remove a row."""

acceptance = Table(
    "acceptance", METADATA,
    Column("station", String(16), primary_key=True),
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("wall", BigInteger, nullable=False),
    Column("technician", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("passed", Text, nullable=False),
    Column("absent", Text, nullable=False),
    Column("waived", Text, nullable=False),
    Column("software", Text, nullable=False),
    Column("received", BigInteger, nullable=False),
)  # fmt: skip
"""Who accepted which station and when (by its clock); steps are words apart by spaces, `waived` has one *step: reason* a line."""

card = Table(
    "card_room", METADATA,
    Column("station", String(16), primary_key=True),
    Column("wall", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
)  # fmt: skip
"""How full each station's card was when it last told so; MiB."""
