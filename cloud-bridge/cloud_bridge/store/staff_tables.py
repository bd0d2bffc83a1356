"""The tables about a station's own people: who works there, their calls for help, the heads of its audit chain.

The rules are those of `tables`: no order of arrival matters, nothing that a station has said is changed in place.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, SmallInteger, String, Table, Text

from cloud_bridge.store.metadata import METADATA


def _place() -> tuple[Column[str], Column[bytes], Column[int], Column[int]]:
    """The event that brought the row: its place in the relay is its identity."""
    return (
        Column("station", String(16), primary_key=True),
        Column("epoch", LargeBinary, primary_key=True),
        Column("lane", SmallInteger, primary_key=True),
        Column("seq", BigInteger, primary_key=True),
    )


emergency_call = Table(
    "emergency_call", METADATA,
    Column("station", String(16), primary_key=True),
    Column("call", BigInteger, primary_key=True, autoincrement=False),
    Column("wall", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("acknowledged", BigInteger),
    Column("acknowledged_by", String(64)),
)  # fmt: skip
"""Somebody at a station pressed the emergency button; `actor` is empty when nobody had signed in. Open until a person here says
that they know."""

sms_message = Table(
    "sms_message", METADATA,
    Column("station", String(16), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("call", BigInteger, nullable=False),
    Column("consult", BigInteger, nullable=False),
    Column("sender", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("received", BigInteger, nullable=False),
)  # fmt: skip
"""What came; `consult` is 0 where the press was about no request. `sender` is what the network said, and proves nothing."""

staff = Table(
    "staff", METADATA, *_place(),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("wall", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("received", BigInteger, nullable=False),
    Index(None, "station", "code"),
)  # fmt: skip
"""Every time a station said who a staff code stands for. The latest word of a code counts (`store.staff`)."""

audit_head = Table(
    "audit_head", METADATA, *_place(),
    Column("count", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("before_count", BigInteger, nullable=False),
    Column("before", LargeBinary, nullable=False),
    Column("wall", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Index(None, "station", "count"),
    Index(None, "station", "before_count"),
)  # fmt: skip
"""Each head of a station's audit chain that ever came."""

audit_alarm = Table(
    "audit_alarm", METADATA,
    Column("station", String(16), primary_key=True),
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("why", String(16), primary_key=True),
    Column("noticed", BigInteger, nullable=False),
    Column("looked", BigInteger),
    Column("looked_by", String(64)),
)  # fmt: skip
"""Heads of one station that do not agree about entry `entry`: something of its audit log was taken away or changed. `looked` is when
a person here said that they have seen it."""
