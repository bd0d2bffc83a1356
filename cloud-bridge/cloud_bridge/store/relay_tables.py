"""The relay's tables at the bridge: what stations have said, what they are to be told. Times are tenths of a second since 1970.

The key of an event is (station, epoch, lane, seq), for ever: a repeat, however late, meets its own row. Nothing here
is deleted by a receipt. Holes are CBOR lists of pairs (`appliance.relay.marks`).
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, SmallInteger, String, Table, Text, text

from cloud_bridge.store.metadata import METADATA

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up by itself only for INTEGER PRIMARY KEY


def _station() -> Column[str]:
    return Column("station", String(16), nullable=False)


peer = Table(
    "relay_peer", METADATA,
    Column("station", String(16), primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("epoch", LargeBinary, nullable=False),
    Column("counter", BigInteger, nullable=False),
    Column("said", BigInteger, nullable=False),
    Column("heard", BigInteger, nullable=False),
)  # fmt: skip
"""What the carrier remembers of a station: its latest epoch, the highest counter of its receipts, the bound of the
counters of ours."""

lane = Table(
    "relay_lane", METADATA,
    Column("station", String(16), primary_key=True),
    Column("origin", LargeBinary, primary_key=True),
    Column("epoch", LargeBinary, primary_key=True),
    Column("lane", SmallInteger, primary_key=True),
    Column("next", BigInteger, nullable=False),
    Column("frozen", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    Column("top", BigInteger, nullable=False),
    Column("holes", LargeBinary, nullable=False),
    Index("ix_relay_lane_waiting", "station", postgresql_where=text("frozen < next - 1"), sqlite_where=text("frozen < next - 1")),
)  # fmt: skip
"""One lane of the way down: the next number, the last one in a parcel, and what the station has vouched for."""

outbox = Table(
    "relay_outbox", METADATA,
    Column("id", _NUMBER, primary_key=True),
    _station(),
    Column("origin", LargeBinary, nullable=False),
    Column("epoch", LargeBinary, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("received", BigInteger),
    Column("crc", BigInteger, nullable=False),
    Index("uq_relay_outbox_place", "station", "origin", "epoch", "lane", "seq", unique=True),
)  # fmt: skip
"""What stations are to be told. `state`: 0 not vouched for, 2 the station has it, 3 the station could not read it. An undelivered
event moves to another stream, with a new number, when the station's epoch or our store id changes."""

parcel = Table(
    "relay_parcel", METADATA,
    Column("number", _NUMBER, primary_key=True),
    _station(),
    Column("origin", LargeBinary, nullable=False),
    Column("epoch", LargeBinary, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("ix_relay_parcel_open", "station", "number", postgresql_where=text("state = 0"), sqlite_where=text("state = 0")),
)  # fmt: skip
"""Frozen parcels of the way down. `state`: 0 open, 1 settled, 2 withdrawn because the station's epoch or our store id changed."""

inbox = Table(
    "relay_inbox", METADATA,
    Column("station", String(16), primary_key=True),
    Column("epoch", LargeBinary, primary_key=True),
    Column("lane", SmallInteger, primary_key=True),
    Column("contiguous", BigInteger, nullable=False),
    Column("highest", BigInteger, nullable=False),
    Column("holes", LargeBinary, nullable=False),
)  # fmt: skip
"""What of each lane is in: written in the transaction that keeps the events."""

safe = Table(
    "relay_safe", METADATA,
    Column("station", String(16), primary_key=True),
    Column("epoch", LargeBinary, primary_key=True),
    Column("lane", SmallInteger, primary_key=True),
    Column("highest", BigInteger, nullable=False),
    Column("holes", LargeBinary, nullable=False),
)  # fmt: skip
"""What of each lane the latest verified backup holds: read out of the copy, written after the copy was on its disk."""

backup = Table(
    "backup", METADATA,
    Column("id", _NUMBER, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)  # fmt: skip
"""Every backup that was verified: the name of its folder, the SHA-256 of its list of contents, when it was taken."""

event = Table(
    "relay_event", METADATA,
    Column("station", String(16), primary_key=True),
    Column("epoch", LargeBinary, primary_key=True),
    Column("lane", SmallInteger, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("why", Text),
    Index("ix_relay_event_why", "station", postgresql_where=text("why IS NOT NULL"), sqlite_where=text("why IS NOT NULL")),
    sqlite_with_rowid=False,
)  # fmt: skip
"""Every event of every station, as canonical CBOR. `why` is set where the clinic has not taken it: a later version's kind, or a refusal."""

content_key = Table(
    "relay_content_key", METADATA,
    Column("station", String(16), primary_key=True),
    Column("epoch", LargeBinary, primary_key=True),
    Column("key_id", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, primary_key=True),
    Column("bridge_key", BigInteger, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)  # fmt: skip
"""The content keys of stations, wrapped as they came for our key `bridge_key`. Two with one id: a box was copied."""

sealed = Table(
    "relay_sealed", METADATA,
    Column("station", String(16), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)  # fmt: skip
"""Sealed messages whose key has not come. Nothing has vouched for them."""

fragment = Table(
    "relay_fragment", METADATA,
    Column("station", String(16), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("parts", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)  # fmt: skip

quarantine = Table(
    "relay_quarantine", METADATA,
    Column("id", _NUMBER, primary_key=True),
    _station(),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("origin", LargeBinary),
    Column("lane", SmallInteger),
    Column("first_seq", BigInteger),
    Column("count", Integer),
    Column("at", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("tried", BigInteger),
    Column("outcome", Text, nullable=False, server_default=""),
    Index("uq_relay_quarantine_message", "station", "digest", unique=True),
    Index("ix_relay_quarantine_place", "station", "origin", "lane"),
)  # fmt: skip
"""Messages nobody here can read, byte-exact. `station` is the topic's; `state` 0 = nobody has looked at it."""

bag = Table(
    "relay_bag", METADATA,
    Column("id", _NUMBER, primary_key=True),
    _station(),
    Column("turn", BigInteger, nullable=False),
    Column("inward", Boolean, nullable=False),
    Column("origin", LargeBinary, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("vouched", LargeBinary, nullable=False),
    Column("refused", LargeBinary, nullable=False),
    Column("contents", LargeBinary, nullable=False),
    Column("messages", Integer, nullable=False),
    Column("items", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("done", Boolean, nullable=False),
    Index("uq_relay_bag_turn", "turn", unique=True),
    Index("ix_relay_bag_station", "station", "digest"),
)  # fmt: skip
"""Post bags (`appliance.relay.storage.BagRow`). `turn` grows with every change, so that carriers notice that one has spoken."""
