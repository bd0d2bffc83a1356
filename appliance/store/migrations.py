"""The station's schema, one function per step, applied by `tram init` alone (decision 13). Never edit a released step.

Integer keys everywhere: a random text key costs 7-13 times the bytes written to the card per row (measured, docs/explanation).
`body` and `reading` columns hold canonical CBOR of the contract's shapes; `crc` columns hold zlib.crc32 of them. Columns `wall`, `at`, `saved`, `read` … are tenths of a second of the box's wall clock;
`ticks`, `opened`, `expires`, `ended` of a session are tenths of a second of CLOCK_BOOTTIME in `boot`. What the integers in
`state` mean stands in the module that writes them.
"""

from typing import Any

from sqlite_utils import Database, Migrations

from appliance.contract.readings import Reading
from appliance.database import Connection, transaction
from appliance.store.errors import Damaged
from appliance.store.history import keep
from appliance.store.patients import KEEP_WORD, entries
from appliance.store.records import unpack
from appliance.store.version import MIN_READER, SCHEMA

STATION = Migrations("station")


@STATION()
def s001_first(db: Any) -> None:
    """What a station needs for one reading and one consult to travel."""
    _run(db, _FIRST)


def _run(db: Any, statements: str) -> None:
    """Each statement of a text; they end with a semicolon and a line's end (a trigger's own semicolons stand inside a line)."""
    for statement in statements.split(";\n"):
        if statement.strip():
            db.execute(statement)


@STATION()
def s002_staff_and_audit(db: Any) -> None:
    """PINs with their lock, and the audit chain, to which rows can only be added."""
    _run(db, _STAFF_AND_AUDIT)


@STATION()
def s003_patients(db: Any) -> None:
    """What finding, confirming and merging patients needs."""
    _run(db, _PATIENTS)
    for row in db.execute("SELECT id, name, birth FROM patient WHERE erased = 0").fetchall():
        db.conn.executemany(KEEP_WORD, entries(*row))


@STATION()
def s004_corrections(db: Any) -> None:
    """What a person says about a reading that was wrong; the reading stays. Beside it the values that a trend draws."""
    _run(db, _CORRECTIONS)
    for row in db.execute("SELECT id, patient, reading, crc FROM observation WHERE state = 0").fetchall():
        _draw(db, *row)


def _draw(db: Any, observation: int, patient: int, content: bytes, crc: int) -> None:
    """The row of a trend for a reading that was saved before there were trends; a damaged one has none."""
    try:
        keep(db, patient, observation, unpack(Reading, content, crc, "observation", observation))
    except Damaged:
        return


@STATION()
def s005_pictures(db: Any) -> None:
    """Pictures of a consult and their content."""
    _run(db, _PICTURES)


@STATION()
def s006_duty(db: Any) -> None:
    """Who is on duty, and where a request has gone on to."""
    _run(db, _DUTY)


@STATION()
def s007_attachments(db: Any) -> None:
    """What resuming a picture at its missing part needs, and the level safe of a receipt."""
    _run(db, _ATTACHMENTS)


@STATION()
def s008_sealing(db: Any) -> None:
    """The content keys, one for each epoch and pinned key of the bridge."""
    _run(db, _SEALING)


@STATION()
def s009_bag(db: Any) -> None:
    """What has gone into a post bag and come out of one."""
    _run(db, _BAG)


@STATION()
def s010_time(db: Any) -> None:
    """What has been learnt about the time, and on which card and machine."""
    _run(db, _TIME)


@STATION()
def s011_disk(db: Any) -> None:
    """How full the card is, what was shed, and what a check of the file has found."""
    _run(db, _DISK)


@STATION()
def s012_sms(db: Any) -> None:
    """Emergency messages by telephone network and what came of them."""
    _run(db, _SMS)


@STATION()
def s013_devices(db: Any) -> None:
    """Which port belongs to which driver; the register of devices with calibration; device clocks."""
    _run(db, _DEVICES)


@STATION()
def s014_readings(db: Any) -> None:
    """Linked copies of one measurement, manual entry, guided blood pressure, series of a measurement."""
    _run(db, _READINGS)


@STATION()
def s015_enrolment(db: Any) -> None:
    """How the station came to its certificate, what its technician has accepted, and tries of PINs from the station's network."""
    _run(db, _ENROLMENT)


class StepsLostError(Exception):
    """The file's own list of schema steps is damaged: it wants one taken whose tables are there already. The store is to be salvaged."""


def migrate(conn: Connection) -> list[str]:
    """Bring the file to this code's schema; the names of the steps that were taken. The caller holds the init lock.

    StepsLostError when the list of the steps taken is damaged.
    """
    db = Database(conn)
    waiting = [one.name for one in STATION.pending(db)]
    try:
        STATION.apply(db)
    except Exception as error:  # the driver's OperationalError: its module has one door (appliance.database)
        if any(words in str(error) for words in ("already exists", "duplicate column")):
            raise StepsLostError(f"the list of schema steps is damaged: {error}") from error
        raise
    with transaction(conn):
        for name, number in (("schema", SCHEMA), ("min_reader", MIN_READER)):
            conn.execute(
                "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (name, number)
            )
    return waiting


_FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE epoch (id INTEGER PRIMARY KEY, epoch BLOB NOT NULL UNIQUE, why TEXT NOT NULL, at INTEGER NOT NULL);

CREATE TABLE boot (seq INTEGER PRIMARY KEY, boot_id TEXT NOT NULL UNIQUE, boot INTEGER NOT NULL, at INTEGER NOT NULL);

CREATE TABLE keyring (name TEXT PRIMARY KEY, key_id INTEGER NOT NULL, private BLOB, public BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE pin (purpose TEXT NOT NULL, key_id INTEGER NOT NULL, public BLOB NOT NULL, PRIMARY KEY (purpose, key_id)) WITHOUT ROWID;

CREATE TABLE staff (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, name TEXT NOT NULL, role TEXT NOT NULL, active INTEGER NOT NULL DEFAULT 1);

CREATE TABLE patient (
  id INTEGER PRIMARY KEY, version INTEGER NOT NULL, name TEXT NOT NULL, folded TEXT NOT NULL, given TEXT NOT NULL,
  birth TEXT NOT NULL, sex INTEGER NOT NULL, cccd TEXT NOT NULL, bhyt TEXT NOT NULL,
  allergies INTEGER NOT NULL, allergy_text TEXT NOT NULL, phone TEXT NOT NULL, village TEXT NOT NULL,
  station_number TEXT NOT NULL, merged_into INTEGER, erased INTEGER NOT NULL DEFAULT 0);
CREATE INDEX patient_given ON patient (given);
CREATE INDEX patient_cccd ON patient (cccd) WHERE cccd <> '';
CREATE INDEX patient_bhyt ON patient (bhyt) WHERE bhyt <> '';

CREATE TABLE device (
  id INTEGER PRIMARY KEY, identity TEXT NOT NULL, name TEXT NOT NULL, driver TEXT NOT NULL, model TEXT NOT NULL,
  serial TEXT NOT NULL, test_data INTEGER NOT NULL DEFAULT 0);

CREATE TABLE session (
  id INTEGER PRIMARY KEY, patient INTEGER NOT NULL, staff TEXT NOT NULL, device TEXT NOT NULL, boot INTEGER NOT NULL,
  wall INTEGER NOT NULL, opened INTEGER NOT NULL, expires INTEGER NOT NULL, ended INTEGER, why TEXT, headless INTEGER NOT NULL DEFAULT 0);
CREATE INDEX session_device ON session (device);
CREATE INDEX session_patient ON session (patient);

CREATE TABLE measurement (
  id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, device TEXT NOT NULL, session INTEGER, reading BLOB NOT NULL,
  raw BLOB NOT NULL, boot INTEGER NOT NULL, ticks INTEGER NOT NULL, wall INTEGER NOT NULL,
  state INTEGER NOT NULL, why TEXT NOT NULL DEFAULT '', decided_by TEXT, decided INTEGER, crc INTEGER NOT NULL);
CREATE INDEX measurement_session ON measurement (session) WHERE session IS NOT NULL;
CREATE INDEX measurement_tray ON measurement (state) WHERE state = 3;

CREATE TABLE held (
  id INTEGER PRIMARY KEY, measurement INTEGER NOT NULL, session INTEGER NOT NULL, device TEXT NOT NULL, wall INTEGER NOT NULL,
  closed INTEGER, closed_by TEXT, UNIQUE (measurement, session));

CREATE TABLE observation (
  id INTEGER PRIMARY KEY, key BLOB NOT NULL, patient INTEGER NOT NULL, measurement INTEGER NOT NULL UNIQUE, reading BLOB NOT NULL,
  lane INTEGER NOT NULL, seq INTEGER NOT NULL, epoch INTEGER NOT NULL, marks INTEGER NOT NULL, staff TEXT NOT NULL,
  wall INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0, outbox INTEGER NOT NULL, crc INTEGER NOT NULL);
CREATE INDEX observation_patient ON observation (patient, wall);

CREATE TABLE consult (
  id INTEGER PRIMARY KEY, patient INTEGER NOT NULL, urgency INTEGER NOT NULL, department INTEGER NOT NULL, complaint TEXT NOT NULL,
  staff TEXT NOT NULL, epoch INTEGER NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL, boot INTEGER NOT NULL,
  ticks INTEGER NOT NULL, saved INTEGER NOT NULL, opened INTEGER, opened_by TEXT, claimed_by TEXT, claimed_until INTEGER,
  withdrawn INTEGER, withdrawn_why TEXT, alarm_seen INTEGER, alarm_by TEXT, outbox INTEGER NOT NULL, body BLOB NOT NULL,
  crc INTEGER NOT NULL);
CREATE INDEX consult_patient ON consult (patient);

CREATE TABLE answer (
  consult INTEGER NOT NULL, answer INTEGER NOT NULL, replaces INTEGER, content BLOB NOT NULL, key_id INTEGER NOT NULL,
  signature BLOB NOT NULL, verified INTEGER NOT NULL, arrived INTEGER NOT NULL, shown INTEGER, read INTEGER, read_by TEXT,
  PRIMARY KEY (consult, answer)) WITHOUT ROWID;

CREATE TABLE message (
  consult INTEGER NOT NULL, question INTEGER NOT NULL, reply INTEGER NOT NULL, who TEXT NOT NULL, text TEXT NOT NULL,
  at INTEGER NOT NULL, PRIMARY KEY (consult, question, reply)) WITHOUT ROWID;

CREATE TABLE tombstone (patient INTEGER PRIMARY KEY, why TEXT NOT NULL, at INTEGER NOT NULL);

CREATE TABLE refusal (id INTEGER PRIMARY KEY, device TEXT NOT NULL, why TEXT NOT NULL, reading BLOB NOT NULL, at INTEGER NOT NULL);

CREATE TABLE lane (
  epoch INTEGER NOT NULL, lane INTEGER NOT NULL, next INTEGER NOT NULL, frozen INTEGER NOT NULL DEFAULT 0, settled INTEGER NOT NULL DEFAULT 0,
  top INTEGER NOT NULL DEFAULT 0, holes BLOB NOT NULL DEFAULT x'80', PRIMARY KEY (epoch, lane)) WITHOUT ROWID;

CREATE TABLE outbox (
  id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL,
  body BLOB NOT NULL, at INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0, received INTEGER, crc INTEGER NOT NULL);
CREATE INDEX outbox_waiting ON outbox (epoch, lane, seq) WHERE state < 2;

CREATE TABLE parcel (
  number INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, lane INTEGER NOT NULL, first_seq INTEGER NOT NULL, count INTEGER NOT NULL,
  payload BLOB NOT NULL, digest BLOB NOT NULL, state INTEGER NOT NULL DEFAULT 0, at INTEGER NOT NULL);
CREATE INDEX parcel_open ON parcel (lane, number) WHERE state = 0;

CREATE TABLE peer (store BLOB PRIMARY KEY, counter INTEGER NOT NULL, heard INTEGER NOT NULL, current INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE inbox (
  origin BLOB NOT NULL, lane INTEGER NOT NULL, contiguous INTEGER NOT NULL, highest INTEGER NOT NULL, holes BLOB NOT NULL DEFAULT x'80',
  PRIMARY KEY (origin, lane)) WITHOUT ROWID;

CREATE TABLE inbox_event (
  id INTEGER PRIMARY KEY, origin BLOB NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL,
  why TEXT, UNIQUE (origin, lane, seq));

CREATE TABLE fragment (digest BLOB NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL, data BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (digest, part)) WITHOUT ROWID;

CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY, side TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
  origin BLOB, lane INTEGER, first_seq INTEGER, count INTEGER, at INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0);

CREATE TABLE carrier (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL, heard INTEGER, tried INTEGER, retry INTEGER, reason TEXT NOT NULL DEFAULT '');
"""

_STAFF_AND_AUDIT = """
CREATE TABLE staff_pin (
  code TEXT PRIMARY KEY, hash TEXT NOT NULL, secret BLOB NOT NULL, since INTEGER NOT NULL, failures INTEGER NOT NULL DEFAULT 0,
  boot INTEGER NOT NULL DEFAULT 0, tries TEXT NOT NULL DEFAULT '[]') WITHOUT ROWID;
UPDATE staff SET role = CASE
  WHEN lower(role) IN ('doctor', 'physician-assistant', 'bác sĩ', 'y sĩ') THEN 'doctor' WHEN lower(role) IN ('technician', 'kỹ thuật viên') THEN 'technician'
  WHEN lower(role) IN ('lead', 'trưởng trạm') THEN 'lead' WHEN lower(role) IN ('nurse', 'midwife', 'y tá', 'điều dưỡng') THEN 'nurse' ELSE role END;
CREATE TABLE emergency (
  id INTEGER PRIMARY KEY, call INTEGER NOT NULL UNIQUE, actor TEXT NOT NULL, wall INTEGER NOT NULL, boot INTEGER NOT NULL,
  ticks INTEGER NOT NULL, outbox INTEGER NOT NULL);
CREATE TABLE audit_sent (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL, wall INTEGER NOT NULL);
CREATE TABLE audit (
  id INTEGER PRIMARY KEY, wall INTEGER NOT NULL, boot INTEGER NOT NULL, ticks INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  patient INTEGER NOT NULL DEFAULT 0, subject TEXT NOT NULL DEFAULT '', hash BLOB NOT NULL);
CREATE INDEX audit_patient ON audit (patient) WHERE patient <> 0;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_same BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
"""

_PATIENTS = """
CREATE TABLE patient_word (
  rank INTEGER NOT NULL, word TEXT NOT NULL, line TEXT NOT NULL, birth TEXT NOT NULL, patient INTEGER NOT NULL,
  PRIMARY KEY (rank, word, line, birth, patient)) WITHOUT ROWID;
DROP INDEX patient_given;
CREATE INDEX patient_phone ON patient (phone) WHERE phone <> '';
CREATE INDEX patient_register ON patient (station_number) WHERE station_number <> '';
CREATE INDEX patient_social ON patient (substr(bhyt, -10)) WHERE length(bhyt) IN (10, 15);
CREATE INDEX patient_birth ON patient (birth) WHERE birth <> '';
CREATE INDEX patient_merged ON patient (merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE merge (
  id INTEGER PRIMARY KEY, patient INTEGER NOT NULL, duplicate INTEGER NOT NULL, merged INTEGER NOT NULL, reason TEXT NOT NULL,
  staff TEXT NOT NULL, wall INTEGER NOT NULL, version INTEGER, allergies INTEGER, allergy_text TEXT);
CREATE INDEX merge_duplicate ON merge (duplicate);

CREATE TABLE consent (
  id INTEGER PRIMARY KEY, patient INTEGER NOT NULL, purpose TEXT NOT NULL, given INTEGER NOT NULL, text_version TEXT NOT NULL,
  staff TEXT NOT NULL, wall INTEGER NOT NULL);
CREATE INDEX consent_patient ON consent (patient);
CREATE TRIGGER patient_forgotten AFTER UPDATE OF erased ON patient WHEN NEW.erased = 1 BEGIN DELETE FROM patient_word WHERE patient = NEW.id; DELETE FROM consent WHERE patient = NEW.id; UPDATE merge SET reason = '', allergies = NULL, allergy_text = NULL WHERE patient = NEW.id OR duplicate = NEW.id; END;
"""

_CORRECTIONS = """
CREATE TABLE correction (
  id INTEGER PRIMARY KEY, observation INTEGER NOT NULL, key BLOB NOT NULL, patient INTEGER NOT NULL, to_patient INTEGER, reason TEXT NOT NULL,
  staff TEXT NOT NULL, wall INTEGER NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL);
CREATE INDEX correction_observation ON correction (observation);
CREATE INDEX measurement_sent ON measurement (id) WHERE state = 5;
CREATE INDEX outbox_aside ON outbox (id) WHERE state = 3;
CREATE INDEX correction_key ON correction (key);
CREATE INDEX correction_patient ON correction (patient);

ALTER TABLE observation ADD COLUMN owner INTEGER;
CREATE INDEX observation_owner ON observation (owner) WHERE owner IS NOT NULL;

CREATE TABLE vital (
  patient INTEGER NOT NULL, wall INTEGER NOT NULL, observation INTEGER NOT NULL, device INTEGER NOT NULL, source INTEGER NOT NULL,
  status INTEGER NOT NULL, systolic REAL, diastolic REAL, spo2 REAL, pulse REAL, temperature REAL,
  PRIMARY KEY (patient, wall, observation)) WITHOUT ROWID;
"""

_PICTURES = """
CREATE TABLE content (
  id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, media_type TEXT NOT NULL, size INTEGER NOT NULL, at INTEGER NOT NULL,
  first INTEGER, last INTEGER);

CREATE TABLE content_part (id INTEGER PRIMARY KEY, data BLOB NOT NULL);

CREATE TABLE picture (
  id INTEGER PRIMARY KEY, consult INTEGER NOT NULL, patient INTEGER NOT NULL, content INTEGER NOT NULL, preview INTEGER NOT NULL,
  caption TEXT NOT NULL, source TEXT NOT NULL, staff TEXT NOT NULL, at INTEGER NOT NULL, offered INTEGER, UNIQUE (consult, content));
CREATE INDEX picture_content ON picture (content);
CREATE INDEX picture_preview ON picture (preview);

CREATE TABLE ticket (
  id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, consult INTEGER NOT NULL, patient INTEGER NOT NULL, staff TEXT NOT NULL,
  boot INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER);

ALTER TABLE message ADD COLUMN shown INTEGER;
ALTER TABLE message ADD COLUMN outbox INTEGER;
ALTER TABLE message ADD COLUMN seen INTEGER;
ALTER TABLE message ADD COLUMN seen_by TEXT;
"""

_DUTY = """
CREATE TABLE rota (version INTEGER PRIMARY KEY, start INTEGER NOT NULL, "end" INTEGER NOT NULL, sent INTEGER NOT NULL);

CREATE TABLE duty (
  id INTEGER PRIMARY KEY, version INTEGER NOT NULL, department INTEGER NOT NULL, tier INTEGER NOT NULL, start INTEGER NOT NULL,
  "end" INTEGER NOT NULL, name TEXT NOT NULL, phone TEXT NOT NULL);
CREATE INDEX duty_version ON duty (version);

CREATE TABLE escalation (consult INTEGER NOT NULL, tier INTEGER NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (consult, tier)) WITHOUT ROWID;
"""

_ATTACHMENTS = """
ALTER TABLE lane ADD COLUMN safe INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lane ADD COLUMN safe_holes BLOB NOT NULL DEFAULT x'80';

ALTER TABLE content ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE content ADD COLUMN held BLOB NOT NULL DEFAULT x'';
ALTER TABLE content ADD COLUMN failed TEXT NOT NULL DEFAULT '';

CREATE TABLE content_run (id INTEGER PRIMARY KEY, content INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE INDEX content_run_content ON content_run (content);
INSERT INTO content_run (content, first, last) SELECT id, first, last FROM content WHERE first IS NOT NULL;
"""

_SEALING = """
CREATE TABLE content_key (id INTEGER PRIMARY KEY, epoch BLOB NOT NULL, key BLOB NOT NULL, bridge BLOB NOT NULL, at INTEGER NOT NULL);
CREATE INDEX content_key_epoch ON content_key (epoch);
"""

_BAG = """
CREATE TABLE bag (
  id INTEGER PRIMARY KEY, turn INTEGER NOT NULL UNIQUE, inward INTEGER NOT NULL, origin BLOB NOT NULL, number INTEGER NOT NULL,
  nonce BLOB NOT NULL, at INTEGER NOT NULL, digest BLOB NOT NULL, vouched BLOB NOT NULL, refused BLOB NOT NULL, contents BLOB NOT NULL,
  messages INTEGER NOT NULL, items INTEGER NOT NULL, size INTEGER NOT NULL, done INTEGER NOT NULL);
CREATE INDEX bag_digest ON bag (digest);
"""

_TIME = """
CREATE TABLE anchor (
  id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, boot_seq INTEGER NOT NULL, ticks INTEGER NOT NULL, wall INTEGER NOT NULL,
  error INTEGER NOT NULL, source TEXT NOT NULL);
"""

_DISK = """
CREATE TABLE disk (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER NOT NULL, used INTEGER NOT NULL, total INTEGER NOT NULL);

CREATE TABLE shed (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, what TEXT NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL);

CREATE TABLE inspection (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, found TEXT NOT NULL, aside TEXT NOT NULL DEFAULT '');

CREATE TRIGGER lane_counted BEFORE INSERT ON lane BEGIN UPDATE lane SET next = (SELECT max(seq) + 1 FROM outbox WHERE epoch = NEW.epoch AND lane = NEW.lane AND state < 2) WHERE epoch = NEW.epoch AND lane = NEW.lane AND next <= (SELECT max(seq) FROM outbox WHERE epoch = NEW.epoch AND lane = NEW.lane AND state < 2); END;

ALTER TABLE quarantine ADD COLUMN tried INTEGER;
ALTER TABLE quarantine ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
"""

_SMS = """
CREATE TABLE sms (
  number INTEGER PRIMARY KEY, emergency INTEGER NOT NULL UNIQUE, message BLOB NOT NULL, state INTEGER NOT NULL, made INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0, sent INTEGER, acknowledged INTEGER, reason TEXT NOT NULL DEFAULT '');
CREATE INDEX sms_open ON sms (number) WHERE state < 2;

CREATE TABLE modem (id INTEGER PRIMARY KEY CHECK (id = 1), word TEXT NOT NULL, signal INTEGER, at INTEGER NOT NULL);
"""

_DEVICES = """
ALTER TABLE device ADD COLUMN inventory TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN calibrated TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN next_calibration TEXT NOT NULL DEFAULT '';

CREATE TABLE binding (
  name TEXT PRIMARY KEY, port TEXT NOT NULL UNIQUE, driver TEXT NOT NULL, title TEXT NOT NULL, patient_types TEXT NOT NULL,
  inventory TEXT NOT NULL, calibrated TEXT NOT NULL, next_calibration TEXT NOT NULL, simulated INTEGER NOT NULL,
  experimental INTEGER NOT NULL, actor TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE device_health (
  name TEXT PRIMARY KEY, device INTEGER NOT NULL, alarm INTEGER NOT NULL, bad INTEGER NOT NULL, silence INTEGER NOT NULL,
  reopenings INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
"""

_READINGS = """
ALTER TABLE measurement ADD COLUMN twin INTEGER;
CREATE INDEX measurement_twin ON measurement (twin) WHERE twin IS NOT NULL;

CREATE TABLE device_clock (
  id INTEGER PRIMARY KEY, device INTEGER NOT NULL, boot INTEGER NOT NULL, ticks INTEGER NOT NULL, wall INTEGER NOT NULL,
  said TEXT NOT NULL, ahead INTEGER);
CREATE INDEX device_clock_device ON device_clock (device);

CREATE TABLE guided (
  id INTEGER PRIMARY KEY, number INTEGER NOT NULL, patient INTEGER NOT NULL, staff TEXT NOT NULL, device TEXT NOT NULL, rule INTEGER NOT NULL,
  first_visit INTEGER NOT NULL, boot INTEGER NOT NULL, began INTEGER NOT NULL, wall INTEGER NOT NULL, arm INTEGER NOT NULL DEFAULT 0,
  cuff INTEGER NOT NULL DEFAULT 0, posture INTEGER NOT NULL DEFAULT 0, resting INTEGER, rested INTEGER, unrested INTEGER NOT NULL DEFAULT 0,
  state INTEGER NOT NULL DEFAULT 1, why TEXT, ended INTEGER, readings INTEGER);
CREATE INDEX guided_open ON guided (patient) WHERE state = 1;
CREATE INDEX guided_done ON guided (patient) WHERE state = 2;
CREATE TABLE guided_session (session INTEGER PRIMARY KEY, guided INTEGER NOT NULL);
CREATE INDEX guided_session_guided ON guided_session (guided);
CREATE TRIGGER guided_forgotten AFTER UPDATE OF erased ON patient WHEN NEW.erased = 1 BEGIN DELETE FROM guided_session WHERE guided IN (SELECT id FROM guided WHERE patient = NEW.id); DELETE FROM guided WHERE patient = NEW.id; END;
"""

_ENROLMENT = """
CREATE TABLE enrolment (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, serial TEXT NOT NULL, ends INTEGER NOT NULL,
  technician TEXT NOT NULL, words TEXT NOT NULL, root BLOB NOT NULL);

CREATE TABLE acceptance (
  id INTEGER PRIMARY KEY, staff TEXT NOT NULL, began INTEGER NOT NULL, measured INTEGER NOT NULL, ended INTEGER, sent INTEGER,
  slip TEXT NOT NULL DEFAULT '');
CREATE TABLE acceptance_step (
  acceptance INTEGER NOT NULL, step TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', sent INTEGER, at INTEGER NOT NULL,
  PRIMARY KEY (acceptance, step)) WITHOUT ROWID;
CREATE TABLE staff_pin_afar (
  code TEXT PRIMARY KEY, failures INTEGER NOT NULL, wrong INTEGER NOT NULL, boot INTEGER NOT NULL, tries TEXT NOT NULL) WITHOUT ROWID;
"""
