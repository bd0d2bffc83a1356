"""Tables of duty and of the way upwards. Times are tenths of a second since 1970."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, String, Table, Text, UniqueConstraint

from cloud_bridge.store.metadata import METADATA

tier = Table(
    "tier", METADATA,
    Column("organisation", String(120), primary_key=True),
    Column("number", SmallInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("above", String(120), nullable=False),
)  # fmt: skip
"""Who answers, in order (decision 27: data, no fixed levels): `above` is the organisation a request goes on to, empty at the last."""

shift = Table(
    "shift", METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("organisation", String(120), nullable=False),
    Column("department", SmallInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("login", String(64), nullable=False),
    UniqueConstraint("organisation", "department", "start", "end", "name", name="uq_shift_organisation_department_start_end_name"),
)  # fmt: skip
"""The rota as it is being written. Nobody is on duty by it before it is published."""

rota = Table(
    "rota", METADATA,
    Column("organisation", String(120), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("shifts", LargeBinary, nullable=False),
    Column("gaps", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)  # fmt: skip
"""What was published: `shifts` is the CBOR of all of them. `gaps` are the uncovered hours that `actor` confirmed (JSON); a higher
`version` replaces what was said of the same hours."""

rota_sent = Table(
    "rota_sent", METADATA,
    Column("station", String(16), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)  # fmt: skip
"""What a station was told last: sent again only when it differs."""

consult_tier = Table(
    "consult_tier", METADATA,
    Column("station", String(16), primary_key=True),
    Column("consult", BigInteger, primary_key=True, autoincrement=False),
    Column("step", SmallInteger, primary_key=True, autoincrement=False),
    Column("tier", SmallInteger, nullable=False),
    Column("organisation", String(120), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("ix_consult_tier_organisation", "organisation"),
)  # fmt: skip
"""A step upwards of a request that nobody opened in time: `organisation` may see it from then on. Empty: there was nobody above,
and the coordinator is told."""
