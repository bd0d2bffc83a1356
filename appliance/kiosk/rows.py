"""What screens read from the store beside the store's own functions: lists in the order a screen shows them. Reading only."""

from appliance.contract.events import Identity
from appliance.contract.identifiers import Unreadable, bare, is_scanned, is_station_number, patient_of
from appliance.database import Connection
from appliance.kiosk import present
from appliance.kiosk.forms import read_card
from appliance.kiosk.present import Queue, ReadingShown
from appliance.kiosk.speech import Pair, Say
from appliance.store import measuring, patients
from appliance.store import staff as store_staff
from appliance.store.measuring import MeasurementRow, ObservationRow, State
from appliance.store.outbox import SET_ASIDE
from appliance.store.staff import Staff
from appliance.store.waiting import things


def staff(conn: Connection) -> list[Staff]:
    """Everybody who works here."""
    return store_staff.listing(conn)


def staff_name(conn: Connection, code: str) -> str:
    """The name behind a code; the code where there is none."""
    known = store_staff.get(conn, code)
    return code if known is None else known.name


def search(conn: Connection, text: str) -> tuple[list[Identity], tuple[Pair, ...]]:
    """Patients by name or number, and what must be said about the text: nothing of a bad scan or number is passed over in silence.

    A scanned card is searched by its number, and by its name where nobody has that number.
    """
    try:
        card = read_card(text)
        if is_station_number(text):
            patient_of(text)
    except Unreadable as error:
        return [], (error.sentence,)
    if card is not None:
        found = patients.find(conn, card.number) or (patients.find(conn, card.name) if card.name else [])
        return found, card.doubts
    found = patients.find(conn, text)
    return found, () if found else _lengths(text)


def scanned(text: str) -> bool:
    """True for a scanned text whose card can be read, as far as its number."""
    try:
        return is_scanned(text) and read_card(text) is not None
    except Unreadable:
        return False


def _lengths(text: str) -> tuple[Pair, ...]:
    """For a number that nobody has and no card could have: how many digits each kind of number has."""
    sign = bare(text)
    if not sign.isascii() or not sign.isdigit() or len(sign) < 5:
        return ()
    return (
        (
            f"Số vừa gõ có {len(sign)} chữ số. CCCD có 12, BHYT 10 hoặc 15, mã tại trạm 14. Xem lại rồi gõ lại, hoặc tìm theo tên.",
            f"The number has {len(sign)} digits. A CCCD has 12, BHYT 10 or 15, a station number 14. Check it, or search by name.",
        ),
    )


_LATEST = 500
"""Measuring sessions looked at for the patients measured last: more than a day has, and not the years before it."""


def recent(conn: Connection, limit: int) -> list[Identity]:
    """The patients measured last, the latest first."""
    latest = conn.execute("SELECT patient FROM session ORDER BY id DESC LIMIT ?", (_LATEST,)).fetchall()
    ids = list(dict.fromkeys(row[0] for row in latest))[:limit]
    standing = dict.fromkeys(patients.root(conn, one) for one in ids)
    return [one for number in standing if (one := patients.get(conn, number)) is not None]


def readings(conn: Connection, patient: int, limit: int) -> list[ObservationRow]:
    """What was saved of a patient and still counts, the newest first."""
    return [one for one in measuring.observations(conn, patient, limit) if one.state == 0]


def shown(row: ObservationRow, now: int, t: Say) -> ReadingShown:
    """A saved reading for the screen, with what must be said about how it came to the patient."""
    return present.reading(row.reading, row.device_name, now, t, row.marks, due=row.calibration_due)


def sent_unassigned(conn: Connection, limit: int) -> list[MeasurementRow]:
    """What nobody claimed in time and was sent without a name, the newest first."""
    # The number stands in the text: the index holds the rows of this state alone.
    ids = conn.execute(_SENT, (limit,)).fetchall()
    return [one for row in ids if (one := measuring.measurement(conn, row[0])) is not None]


_ASIDE = f"SELECT id, at FROM outbox WHERE state = {SET_ASIDE:d} ORDER BY id DESC LIMIT ?"  # noqa: S608 - a number of ours
_SENT = f"SELECT id FROM measurement WHERE state = {State.SENT_UNASSIGNED:d} AND twin IS NULL ORDER BY id DESC LIMIT ?"  # noqa: S608 - a number of ours
_WHOSE = {
    "session": "SELECT patient FROM session WHERE id = ?",
    "consult": "SELECT patient FROM consult WHERE id = ?",
    "measurement": "SELECT patient FROM observation WHERE measurement = ?",
}


def whose(conn: Connection, noun: str, number: int) -> int:
    """The patient that a session, consult or saved measurement belongs to; 0 for nobody's, or another noun."""
    if noun not in _WHOSE:
        return 0
    row = conn.execute(_WHOSE[noun], (number,)).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


# --- the way up ---------------------------------------------------------------------------------------------------------------------


def queue(conn: Connection, set_aside: int) -> Queue:
    """The way up in numbers; `set_aside` is counted by the caller, more rarely. Asked every few seconds: each question has its index."""
    waiting = things(conn)
    carrier = conn.execute("SELECT state, heard, retry, reason FROM carrier WHERE id = 1").fetchone()
    state, heard, retry, reason = ("", None, None, "") if carrier is None else tuple(carrier)
    # The carrier's row is written seldom, to spare the card; every receipt is noted beside the bridge's name.
    heard = max((at for at in (heard, conn.execute("SELECT max(heard) FROM peer").fetchone()[0]) if at is not None), default=None)
    return Queue(
        waiting, _oldest(conn) if waiting else None, set_aside, state == "online", heard, retry, reason if state == "error" else ""
    )


def _oldest(conn: Connection) -> int | None:
    """The time of the oldest row the bridge has not vouched for: the first of each lane."""
    found = [
        conn.execute("SELECT at FROM outbox WHERE epoch = ? AND lane = ? AND state < 2 ORDER BY seq LIMIT 1", tuple(lane)).fetchone()
        for lane in conn.execute("SELECT epoch, lane FROM lane").fetchall()
    ]
    return min((row[0] for row in found if row is not None), default=None)


def aside(conn: Connection) -> int:
    """How many things were set aside for a person, on their way up or down."""
    down = int(conn.execute("SELECT count(*) FROM quarantine WHERE state = 0").fetchone()[0])
    return down + int(conn.execute(f"SELECT count(*) FROM outbox WHERE state = {SET_ASIDE:d}").fetchone()[0])  # noqa: S608 - a number of ours


def quarantined(conn: Connection, limit: int) -> list[tuple[str, str, int, int]]:
    """(side, reason, number, time) of what was set aside, the newest first; ``up`` is what the server could not read."""
    down = conn.execute("SELECT side, reason, id, at FROM quarantine WHERE state = 0 ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    up = conn.execute(_ASIDE, (limit,)).fetchall()
    found = [(str(row[0]), str(row[1]), int(row[2]), int(row[3])) for row in down] + [
        ("up", "unread", int(row[0]), int(row[1])) for row in up
    ]
    return sorted(found, key=lambda one: -one[3])[:limit]
