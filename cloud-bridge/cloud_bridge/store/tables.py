"""The clinical tables of the bridge. Times are tenths of a second since 1970-01-01T00:00:00Z, as on the wire.

Three rules shape them. *No foreign keys between lanes*: an observation may arrive before its patient, a correction
before what it corrects. *Sets, not sequences*: whatever order the lanes bring, the same events leave the same rows;
corrections, merges and readings of an answer are rows of their own, keyed by their place in the relay
(station, epoch, lane, seq), and what is true now is worked out when somebody looks. *Nothing is changed in place* that
a person has said: the original stays beside its correction.

A number that came over the wire is a BigInteger and a text has no length of its own: what fits the contract fits here.
"""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, SmallInteger, String, Table, Text, text

from cloud_bridge.store.metadata import METADATA

VIA_CONSULT, VIA_RECORD = 1, 2
"""How an observation came: as a copy inside a consult (or a reply), as the station's own record, or both (3)."""


def _station() -> Column[str]:
    return Column("station", String(16), primary_key=True)


def _place() -> tuple[Column[str], Column[bytes], Column[int], Column[int]]:
    """The event that brought the row: its place in the relay is its identity."""
    return (
        _station(),
        Column("epoch", LargeBinary, primary_key=True),
        Column("lane", SmallInteger, primary_key=True),
        Column("seq", BigInteger, primary_key=True),
    )


def _said() -> tuple[Column[int], Column[str], Column[int]]:
    """When by the box's clock, by whom, and when the bridge committed it."""
    return (
        Column("wall", BigInteger, nullable=False),
        Column("actor", Text, nullable=False),
        Column("received", BigInteger, nullable=False),
    )


meta = Table(
    "bridge_meta", METADATA,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)  # fmt: skip
"""What `tram-bridge init` made once: the store id and where it came from."""

station = Table(
    "station", METADATA,
    Column("id", String(16), primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("tier", SmallInteger, nullable=False),
    Column("key_id", Integer, nullable=False),
    Column("public", LargeBinary, nullable=False),
    Column("registered", BigInteger, nullable=False),
    Column("revoked", BigInteger),
)  # fmt: skip
"""A station somebody registered. `public` is its Ed25519 key: it signs receipts of the way down."""

account = Table(
    "account", METADATA,
    Column("login", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("password", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("organisation", Text, nullable=False),
    Column("department", SmallInteger),
    Column("locked", Boolean, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("blocked_until", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("second_needed", Boolean, nullable=False),
)  # fmt: skip
"""Who may use the console. `password` is an Argon2id hash; a new `generation` ends every session that is open. `second_needed` is
false only for logins of a demonstration."""

patient = Table(
    "patient", METADATA,
    _station(),
    Column("patient", BigInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("birth", Text, nullable=False),
    Column("sex", SmallInteger, nullable=False),
    Column("cccd", Text, nullable=False),
    Column("bhyt", Text, nullable=False),
    Column("allergies", SmallInteger, nullable=False),
    Column("allergy_text", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("village", Text, nullable=False),
    Column("station_number", Text, nullable=False),
    Column("received", BigInteger, nullable=False),
)  # fmt: skip
"""The newest *version* of who somebody is, as their station says; ordered by the station's version, never by arrival."""

patient_link = Table(
    "patient_link", METADATA, *_place(),
    Column("patient", BigInteger, nullable=False),
    Column("duplicate", BigInteger, nullable=False),
    Column("merged", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    *_said(),
    Index(None, "station", "patient"),
)  # fmt: skip
"""Every time a station said that two patients are, or are not, one person. The latest word of a pair counts."""

consent = Table(
    "consent", METADATA, *_place(),
    Column("patient", BigInteger, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("given", Boolean, nullable=False),
    Column("text_version", Text, nullable=False),
    *_said(),
    Index(None, "station", "patient"),
)  # fmt: skip

observation = Table(
    "observation", METADATA,
    _station(),
    Column("key", LargeBinary, primary_key=True),
    Column("patient", BigInteger),
    Column("kind", SmallInteger, nullable=False),
    Column("reading", LargeBinary, nullable=False),
    Column("device", BigInteger, nullable=False),
    Column("source", SmallInteger, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("wall", BigInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("ticks", BigInteger, nullable=False),
    Column("quality", SmallInteger, nullable=False),
    Column("spo2", Double),
    Column("pulse", Double),
    Column("systolic", Double),
    Column("diastolic", Double),
    Column("mean", Double),
    Column("temperature", Double),
    Column("respiration", Double),
    Column("glucose", Double),
    Column("weight", Double),
    Column("marks", BigInteger, nullable=False),
    Column("via", SmallInteger, nullable=False),
    Column("disputed", Boolean, nullable=False),
    Column("actor", Text, nullable=False),
    Column("saved_after", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("shown", BigInteger),
    Index(None, "station", "patient", "wall"),
    Index("ix_observation_unsure", "station", "boot", sqlite_where=text("quality < 2"), postgresql_where=text("quality < 2")),
)  # fmt: skip
"""One reading of one patient, once. `reading` is the canonical CBOR of `contract.readings.Reading` and rules over the number columns,
which are there for queries. A *disputed* reading was claimed for more than one patient: `patient` is null and `conflict` holds the claims.
`shown` is when a doctor's page first carried it."""

conflict = Table(
    "conflict", METADATA,
    _station(),
    Column("key", LargeBinary, primary_key=True),
    Column("patient", BigInteger, primary_key=True, autoincrement=False),
    Column("noticed", BigInteger, nullable=False),
    Index(None, "station", "patient"),
)  # fmt: skip
"""Each patient that a disputed reading was claimed for: held, and shown to a person."""

correction = Table(
    "correction", METADATA, *_place(),
    Column("key", LargeBinary, nullable=False),
    Column("patient", BigInteger, nullable=False),
    Column("to_patient", BigInteger),
    Column("reason", Text, nullable=False),
    *_said(),
    Column("looked", BigInteger),
    Column("looked_by", String(64)),
    Index(None, "station", "key"),
    Index(None, "station", "to_patient"),
)  # fmt: skip
"""A station's word that a reading was entered in error (`to_patient` null) or belongs to somebody else. `looked` is when a doctor
said that they have seen it."""

unassigned = Table(
    "unassigned", METADATA,
    _station(),
    Column("key", LargeBinary, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("reading", LargeBinary, nullable=False),
    Column("device", BigInteger, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("wall", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("twin", LargeBinary),
)  # fmt: skip
"""A measurement that belongs to nobody (decision 14). No machine gives it to a patient. `twin` is the reading key of the live measurement
that a record of a device's memory is a copy of."""

device_clock = Table(
    "device_clock", METADATA,
    _station(),
    Column("device", BigInteger, primary_key=True, autoincrement=False),
    Column("wall", BigInteger, primary_key=True, autoincrement=False),
    Column("said", Text, nullable=False),
    Column("ahead", BigInteger),
    Column("received", BigInteger, nullable=False),
)  # fmt: skip
"""What a device's own clock said, and by how many seconds it was ahead of its station's."""

consult_strip = Table(
    "consult_strip", METADATA,
    _station(),
    Column("consult", BigInteger, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, primary_key=True),
    Column("wave", LargeBinary, nullable=False),
    Column("spo2", LargeBinary, nullable=False),
    Column("pulse", LargeBinary, nullable=False),
    Column("received", BigInteger, nullable=False),
)  # fmt: skip
"""The pulse wave of a reading and its seconds, which a person sent along with a request (`contract.strips`)."""

discarded = Table(
    "discarded", METADATA,
    _station(),
    Column("key", LargeBinary, primary_key=True),
    Column("patient", BigInteger, nullable=False),
    Column("reading", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("wall", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Index(None, "station", "patient"),
)  # fmt: skip
"""An attempt that a person measured again (decision 21). In no record; `patient` is 0 when it was nobody's."""

device = Table(
    "device", METADATA,
    _station(),
    Column("device", BigInteger, primary_key=True, autoincrement=False),
    Column("rank", BigInteger, nullable=False),
    Column("identity", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("driver", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("serial", Text, nullable=False),
    Column("test_data", Boolean, nullable=False),
    Column("inventory", Text, nullable=False, server_default=""),
    Column("calibrated", Text, nullable=False, server_default=""),
    Column("next_calibration", Text, nullable=False, server_default=""),
)  # fmt: skip
"""What stands behind a device number. A registration outranks a label that a consult carried; of two, the later by the box's clock."""

device_health = Table(
    "device_health", METADATA,
    _station(),
    Column("device", BigInteger, primary_key=True, autoincrement=False),
    Column("wall", BigInteger, nullable=False),
    Column("alarm", Boolean, nullable=False),
    Column("bad", Integer, nullable=False),
    Column("silence", BigInteger, nullable=False),
    Column("reopenings", Integer, nullable=False),
    Column("received", BigInteger, nullable=False),
)  # fmt: skip
"""How well a device is heard, as its station said last: `bad` bytes of a thousand, whole seconds of `silence`, `reopenings` in an hour."""

anchor = Table(
    "anchor", METADATA, *_place(),
    Column("boot", BigInteger, nullable=False),
    Column("ticks", BigInteger, nullable=False),
    Column("true_wall", BigInteger, nullable=False),
    Column("error", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("received", BigInteger, nullable=False),
    Index(None, "station", "boot"),
)  # fmt: skip
"""At tick `ticks` of boot `boot` it was `true_wall`, give or take `error` tenths."""

boot_seen = Table(
    "boot_seen", METADATA,
    _station(),
    Column("epoch", LargeBinary, primary_key=True),
    Column("boot", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("ticks", BigInteger, nullable=False),
    Column("most", BigInteger, nullable=False),
    Column("guess", BigInteger, nullable=False),
)  # fmt: skip
"""A boot that a station's epoch has spoken of: its number there, the highest tick heard, the latest time its tick 0 can have had,
and what the station's own clock made of tick 0 when it said the highest one."""

retimed = Table(
    "retimed", METADATA,
    _station(),
    Column("key", LargeBinary, primary_key=True),
    Column("at", BigInteger, nullable=False),
)  # fmt: skip
"""The corrected time of a reading whose own `wall` is wrong by a minute or more (`store.times`): for lists, which are cut by time."""

tombstone = Table(
    "tombstone", METADATA,
    _station(),
    Column("patient", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    *_said(),
)  # fmt: skip
"""Who was erased. It outranks data for ever: whatever names this patient is neither stored nor shown."""

consult = Table(
    "consult", METADATA,
    _station(),
    Column("consult", BigInteger, primary_key=True, autoincrement=False),
    Column("patient", BigInteger),
    Column("identity", LargeBinary),
    Column("urgency", SmallInteger, nullable=False),
    Column("department", SmallInteger, nullable=False),
    Column("field", SmallInteger, nullable=False),
    Column("complaint", Text, nullable=False),
    Column("attachments", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("requested", BigInteger),
    Column("quality", SmallInteger, nullable=False),
    Column("received", BigInteger),
    Column("withdrawn", BigInteger),
    Column("withdrawn_why", Text, nullable=False),
    Column("opened", BigInteger),
    Column("opened_by", Text, nullable=False),
    Column("claimed_by", Text, nullable=False),
    Column("claimed_until", BigInteger, nullable=False),
    Column("answered", BigInteger),
    Column("staff_name", Text, nullable=False),
    Index(None, "requested"),
)  # fmt: skip
"""A request. `requested` is the box's time, `received` the bridge's; both are null while only a withdrawal has arrived.
`identity` is the patient as the request itself said, so that it can be read alone."""

consult_basis = Table(
    "consult_basis", METADATA,
    _station(),
    Column("consult", BigInteger, primary_key=True, autoincrement=False),
    Column("basis", SmallInteger, nullable=False),
)  # fmt: skip
"""On what ground a request was sent (`events.Basis`): the patient's consent, or an emergency in which nobody could be asked."""

consult_reading = Table(
    "consult_reading", METADATA,
    _station(),
    Column("consult", BigInteger, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, primary_key=True),
    Column("ordinal", Integer, nullable=False),
)  # fmt: skip
"""The readings a request (or a reply to a question) cites."""

message = Table(
    "message", METADATA,
    _station(),
    Column("consult", BigInteger, primary_key=True, autoincrement=False),
    Column("question", BigInteger, primary_key=True, autoincrement=False),
    Column("origin", String(48), primary_key=True),
    Column("who", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("wall", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("shown", BigInteger),
    Column("shown_to", Text),
)  # fmt: skip
"""A doctor's question (`origin` empty) and the station's replies to it (`origin` = the reply's place in the relay). `shown` is when
it was first on the other side's screen: a question at the station's kiosk, a reply on a doctor's page, `shown_to` whom."""

attachment = Table(
    "attachment", METADATA,
    _station(),
    Column("consult", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("preview_of", LargeBinary),
    Column("caption", Text),
    Column("actor", Text),
    Column("wall", BigInteger),
)  # fmt: skip
"""What a station has offered for a consult, by the SHA-256 of its content, which follows in parts. A preview names what it shows."""

content = Table(
    "content", METADATA,
    _station(),
    Column("digest", LargeBinary, primary_key=True),
    Column("name", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("data", LargeBinary),
    Column("completed", BigInteger),
    Column("asked", SmallInteger),
    Column("why", String(16)),
    Index(None, "station", "name"),
    Index("ix_content_coming", "station", postgresql_where=text("state = 0"), sqlite_where=text("state = 0")),
)  # fmt: skip
"""The content of what was offered. `name` is how its parts call it (the digest's first bytes); what `state` means stands in
`store.pictures`; `data` is there when it is whole and its digest is right. `asked` is how often the station was asked for it
anew, `why` what was wrong the last time."""

content_part = Table(
    "content_part", METADATA,
    _station(),
    Column("name", LargeBinary, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("parts", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("epoch", LargeBinary, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
)  # fmt: skip
"""A part of a content, and its place in the relay (which keeps the event too). Its `data` goes when the whole is there."""

draft = Table(
    "draft", METADATA,
    _station(),
    Column("consult", BigInteger, primary_key=True, autoincrement=False),
    Column("login", String(64), primary_key=True),
    Column("fields", Text, nullable=False),
    Column("saved", BigInteger, nullable=False),
)  # fmt: skip
"""What a doctor has typed and not signed (JSON). It stays here: nothing reads this table to send it."""

answer = Table(
    "answer", METADATA,
    _station(),
    Column("consult", BigInteger, primary_key=True, autoincrement=False),
    Column("answer", BigInteger, primary_key=True, autoincrement=False),
    Column("replaces", BigInteger),
    Column("login", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("key_id", Integer, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("signed", BigInteger, nullable=False),
)  # fmt: skip
"""A signed answer: the exact bytes, their SHA-256, who signed, when, and the bridge's signature. Which readings the doctor had seen
is part of the bytes."""

answer_read = Table(
    "answer_read", METADATA,
    _station(),
    Column("consult", BigInteger, primary_key=True, autoincrement=False),
    Column("answer", BigInteger, primary_key=True, autoincrement=False),
    Column("confirmed", Boolean, primary_key=True),
    Column("who", Text, nullable=False),
    Column("wall", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
)  # fmt: skip
"""That an answer was shown at the station (`confirmed` false) and that its practitioner confirmed having read it."""
