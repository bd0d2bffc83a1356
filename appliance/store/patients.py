"""Patients: register, change, find. Names are NFC, and found whatever marks and capitals are typed.

``đ`` has no Unicode decomposition, so stripping marks alone never finds "dang" for "Đặng": it is folded by hand. The
given name is the *last* word of a Vietnamese name: it is searched and sorted by first.

How a name is found: `patient_word` holds every word of every name, folded, with all that a list is sorted by, in the order
of the list (`entries`). A search walks a short piece of it and never the patients: 20,000 patients cost 1 to 3 ms of
processor time and not the 20 ms of reading them all. A generated column of SQLite cannot do this: folding needs Unicode's
tables, SQLite would have to call Python for it, and then no other program could open the file. So one function writes
a patient (`keep`), the words with it, and tests look that no other statement does.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime

from appliance import __version__
from appliance.contract.events import Allergies, Event, Identity, PatientChanged, PatientRegistered, Sex
from appliance.contract.identifiers import BHYT, Unreadable, bare, is_station_number, patient_of, read_bhyt, read_cccd
from appliance.contract.identifiers import clean as clean  # noqa: PLC0414 - given on: what the store keeps is cleaned by it
from appliance.contract.ids import spell, unspell
from appliance.contract.readings import ClockQuality, Stamp
from appliance.database import Connection, Row, transaction
from appliance.store.errors import Refused, Taken
from appliance.store.outbox import append

BIRTH = re.compile(r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?")
OLDEST_YEAR = 1895
MOST_LETTERS = {"name": 80, "allergy_text": 200, "phone": 24, "village": 80, "station_number": 20}


@dataclass(frozen=True, slots=True)
class PatientDraft:
    """What a person typed or a card said. `birth` is ISO text: year, year and month, or the day."""

    name: str
    birth: str = ""
    sex: Sex = Sex.UNKNOWN
    cccd: str = ""
    bhyt: str = ""
    allergies: Allergies = Allergies.UNKNOWN
    allergy_text: str = ""
    phone: str = ""
    village: str = ""
    station_number: str = ""


# --- text -----------------------------------------------------------------------------------------------------------------------------


def fold(text: str) -> str:
    """Text as it is searched: lower case, no marks, ``đ`` as ``d``, single spaces.

    >>> fold("Đặng Thị  HƯỜNG")
    'dang thi huong'
    """
    bare = "".join(sign for sign in unicodedata.normalize("NFD", clean(text)) if unicodedata.category(sign) != "Mn")
    return bare.replace("đ", "d").replace("Đ", "d").casefold()


def _phone(text: str) -> str:
    """A telephone number in one piece, the country's prefix as 0."""
    digits = re.sub(r"[\s.\-()]", "", unicodedata.normalize("NFKC", text))
    return "0" + digits.removeprefix("+84") if digits.startswith("+84") else digits


# --- checking -------------------------------------------------------------------------------------------------------------------------


def checked(draft: PatientDraft, now: Stamp) -> PatientDraft:
    """The draft in the form it is kept; Refused, with what to do, when it cannot be."""
    tidy = replace(
        draft,
        name=clean(draft.name),
        birth=clean(draft.birth),
        cccd=_number(read_cccd, draft.cccd),
        bhyt=_number(read_bhyt, draft.bhyt),
        allergy_text=clean(draft.allergy_text),
        phone=_phone(draft.phone),
        village=clean(draft.village),
        station_number=clean(draft.station_number),
    )
    for name, most in MOST_LETTERS.items():
        if len(getattr(tidy, name)) > most:
            raise Refused(f"Dài quá {most} chữ. Hãy viết ngắn lại.", f"{name}: longer than {most} letters, make it shorter")
    _check_name(tidy.name)
    _check_birth(tidy.birth, now)
    if tidy.phone and not re.fullmatch(r"\+?[0-9]{3,15}", tidy.phone):
        raise Refused(
            "Số điện thoại chỉ có chữ số. Xem lại, hoặc để trống.", "a telephone number has digits only: check it, or leave it empty"
        )
    if tidy.allergies is Allergies.KNOWN and not tidy.allergy_text:
        raise Refused("Ghi dị ứng với gì, ví dụ: penicillin.", "write what the allergy is to, such as penicillin")
    return tidy if tidy.allergies is Allergies.KNOWN else replace(tidy, allergy_text="")


def _number(read: Callable[[str], str], text: str) -> str:
    try:
        return read(clean(text))
    except Unreadable as error:
        raise Refused(error.vi, error.en) from error


def _check_name(name: str) -> None:
    if not any(sign.isalpha() for sign in name):
        raise Refused("Ghi họ và tên người bệnh.", "write the patient's full name")
    if any(sign.isdigit() for sign in name):
        raise Refused("Tên chỉ có chữ. Số CCCD, BHYT ghi ở ô khác.", "a name has letters only: numbers have fields of their own")


def _check_birth(birth: str, now: Stamp) -> None:
    if not birth:
        return
    wrong = Refused(
        "Ngày sinh chưa đúng. Ghi như 1961-04-30; không nhớ ngày thì chỉ ghi năm 1961.",
        "the birth date is not right: write 1961-04-30, or the year alone, 1961",
    )
    if not BIRTH.fullmatch(birth):
        raise wrong
    try:
        first = date.fromisoformat(birth + "0000-01-01"[len(birth) :])
    except ValueError:
        raise wrong from None
    if first.year < OLDEST_YEAR:
        raise Refused("Năm sinh quá xa. Xem lại năm sinh.", "the birth year is too long ago: check the year")
    if now.quality is not ClockQuality.UNKNOWN and first > datetime.fromtimestamp(now.wall / 10, UTC).date():
        raise Refused("Ngày sinh ở tương lai. Xem lại.", "the birth date is in the future: check it")


# --- writing --------------------------------------------------------------------------------------------------------------------------


def register(conn: Connection, draft: PatientDraft, *, patient: int, staff: str, now: Stamp) -> Identity:
    """A new patient under the short number `patient` (drawn by the caller), and its event. Own transaction.

    The same draft under the same number again is the same patient. Refused when the draft is not right; Taken when the
    number stands for somebody else: draw another one.
    """
    identity = _identity(patient, 1, checked(draft, now))
    with transaction(conn):
        if conn.execute("SELECT 1 FROM tombstone WHERE patient = ?", (patient,)).fetchone():
            raise Taken("patient", patient)
        known = get(conn, patient)
        if known is not None:
            if replace(known, version=1) == identity:
                return known
            raise Taken("patient", patient)
        keep(conn, identity)
        append(conn, Event(now, staff, __version__, PatientRegistered(identity)))
    return identity


def change(conn: Connection, draft: PatientDraft, *, patient: int, reason: str, staff: str, now: Stamp) -> Identity:
    """Replace what is known of a patient: the next version, and its event. Own transaction. Nothing happens when nothing changed."""
    tidy = checked(draft, now)
    with transaction(conn):
        known = present(conn, patient)
        identity = _identity(patient, known.version + 1, tidy)
        if replace(identity, version=known.version) == known:
            return known
        keep(conn, identity)
        append(conn, Event(now, staff, __version__, PatientChanged(identity, clean(reason))))
    return identity


def draft_of(who: Identity) -> PatientDraft:
    """What is known of a patient as a draft of a change."""
    return PatientDraft(**{one.name: getattr(who, one.name) for one in fields(PatientDraft)})


def _identity(patient: int, version: int, draft: PatientDraft) -> Identity:
    return Identity(patient, version, **{one.name: getattr(draft, one.name) for one in fields(draft)})


_COLUMNS = (
    "id", "version", "name", "birth", "sex", "cccd", "bhyt", "allergies", "allergy_text", "phone", "village", "station_number",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM patient"  # noqa: S608 - column names of this module
_ALL = (*_COLUMNS, "folded", "given")
_KEEP = (
    f"INSERT INTO patient ({', '.join(_ALL)}) VALUES ({', '.join('?' * len(_ALL))}) ON CONFLICT (id) DO UPDATE SET "  # noqa: S608 - as above
    + ", ".join(f"{name} = excluded.{name}" for name in _ALL[1:])
)


def keep(conn: Connection, who: Identity) -> None:
    """Write a patient and the words they are found by: the only statement of the program that writes a name."""
    old = conn.execute("SELECT id, name, birth FROM patient WHERE id = ?", (who.patient,)).fetchone()
    if old is not None:
        conn.executemany(
            "DELETE FROM patient_word WHERE rank = ? AND word = ? AND line = ? AND birth = ? AND patient = ?", entries(*tuple(old))
        )
    folded = fold(who.name)
    conn.execute(
        _KEEP,
        (
            who.patient, who.version, who.name, who.birth, int(who.sex), who.cccd, who.bhyt, int(who.allergies), who.allergy_text,
            who.phone, who.village, who.station_number, folded, folded.rpartition(" ")[2],
        ),
    )  # fmt: skip
    conn.executemany(KEEP_WORD, entries(who.patient, who.name, who.birth))


KEEP_WORD = "INSERT OR IGNORE INTO patient_word (rank, word, line, birth, patient) VALUES (?, ?, ?, ?, ?)"
OTHER, GIVEN, TONED = 0, 1, 2
"""`patient_word.rank`: a word of the name, folded; the given name, folded; the given name as it is written, in small letters."""


def entries(patient: int, name: str, birth: str) -> list[tuple[int, str, str, str, int]]:
    """The rows of `patient_word` for a name: (rank, word, line, birth, patient). `line` sorts by given name, then the whole.

    >>> entries(1, "Đặng Thị Hường", "1961")[0]
    (2, 'hường', 'huong, dang thi huong', '1961', 1)
    """
    words = _words(fold(name))
    if not words:
        return []
    line = f"{words[-1]}, {' '.join(words)}"
    toned = _words(clean(name).casefold())[-1:]
    ranked = [*((TONED, word) for word in toned), (GIVEN, words[-1]), *((OTHER, word) for word in words[:-1])]
    return [(rank, word, line, birth, patient) for rank, word in ranked]


def _words(text: str) -> list[str]:
    """The words of a text, without the signs between them (``H'Thử`` is two)."""
    return re.findall(r"\w+", text)


# --- reading --------------------------------------------------------------------------------------------------------------------------


def _read(row: Row) -> Identity:
    return Identity(
        row["id"], row["version"], row["name"], row["birth"], Sex(row["sex"]), row["cccd"], row["bhyt"], Allergies(row["allergies"]),
        row["allergy_text"], row["phone"], row["village"], row["station_number"],
    )  # fmt: skip


def get(conn: Connection, patient: int) -> Identity | None:
    """Who stands under a number; None when nobody does, or nobody any more (erased)."""
    row = conn.execute(f"{_SELECT} WHERE id = ? AND erased = 0", (patient,)).fetchone()
    return None if row is None else _read(row)


def present(conn: Connection, patient: int) -> Identity:
    """As `get`; Refused when there is nobody to measure or to ask for."""
    known = get(conn, patient)
    if known is None:
        raise Refused(
            "Không có người bệnh này tại trạm (hoặc đã được xóa). Tìm lại hoặc đăng ký mới.",
            f"patient {spell(patient)} is not here (or was erased): search again or register",
        )
    return known


def standing(conn: Connection, patient: int) -> Identity:
    """As `present`; Refused also for one whose record was merged into another: nothing new begins on it."""
    known = present(conn, patient)
    if root(conn, patient) != patient:
        raise Refused(
            "Hồ sơ này đã gộp vào hồ sơ khác của cùng người. Mở hồ sơ được giữ lại.",
            f"patient {spell(patient)} was merged into another record of the same person: open that one",
        )
    return known


def root(conn: Connection, patient: int) -> int:
    """The record that stands for this one after all merges: itself, where it was merged into none."""
    seen = {patient}
    while True:
        row = conn.execute(
            "SELECT a.merged_into FROM patient a JOIN patient b ON b.id = a.merged_into WHERE a.id = ? AND b.erased = 0", (patient,)
        ).fetchone()
        if row is None or row[0] in seen:
            return patient
        patient = int(row[0])
        seen.add(patient)


def group(conn: Connection, patient: int) -> list[int]:
    """All records of the same person: the one that stands first, then those merged into it, the erased left out."""
    top = root(conn, patient)
    rows = conn.execute(
        "WITH RECURSIVE same (id) AS (SELECT :top UNION SELECT patient.id FROM patient JOIN same ON patient.merged_into = same.id)"
        " SELECT id FROM same JOIN patient USING (id) WHERE erased = 0 ORDER BY id",
        {"top": top},
    ).fetchall()
    found = [int(row[0]) for row in rows]
    return [one for one in (top, *(one for one in found if one != top)) if one in found]


def find(conn: Connection, text: str, limit: int = 20) -> list[Identity]:
    """Patients by name, CCCD, BHYT (12, 10 or 15 signs), telephone, station number, spelt number or birth year, best first.

    A name matches when every typed word begins a word of it, whatever marks are typed. Whose given name is the last typed
    word leads, with the same marks first; then given names that begin with it; then other words. A year beside a name
    narrows by birth. A record that was merged is found as the one that stands for it.
    """
    words = _words(fold(text))
    if not words:
        return []
    sign = bare(clean(text))
    if is_station_number(sign):
        return _by_station_number(conn, sign)
    if re.fullmatch(r"[A-Z]{0,2}[0-9]{5,15}", sign):
        return _people(conn, _by_number(conn, sign, limit), limit) or _spelt(conn, text)
    exact = _spelt(conn, text)
    if exact:
        return exact
    year = next((word for word in words if re.fullmatch(r"(?:18|19|20)[0-9]{2}", word)), "")
    names = [word for word in words if word != year]
    if not names:
        return _people(conn, _by_year(conn, year, limit), limit)
    toned = next((word for word in reversed(_words(clean(text).casefold())) if word != year), "")
    return _people(conn, _by_name(conn, names, toned, year, limit), limit)


_LAST = "\U0010ffff"
"""Behind every sign: the end of a range of texts with one beginning."""
_PIECES = (
    (TONED, "word = :toned"), (GIVEN, "word = :word"), (GIVEN, "word > :word AND word < :end"),
    (OTHER, "word = :word"), (OTHER, "word > :word AND word < :end"),
)  # fmt: skip
"""The pieces of `patient_word` that a search walks, best first, each in its own order and only until the list is full."""


def _by_name(conn: Connection, names: list[str], toned: str, year: str, limit: int) -> list[int]:
    said: dict[str, object] = {"word": names[-1], "end": names[-1] + _LAST, "toned": toned, "year": year, "after": year + _LAST}
    said |= {f"w{at}": f" {word}" for at, word in enumerate(names[:-1])}
    more = "".join(f" AND instr(line, :w{at}) > 0" for at, _ in enumerate(names[:-1])) + (
        " AND birth >= :year AND birth < :after" if year else ""
    )
    found: dict[int, None] = {}
    for rank, where in _PIECES:
        query = f"SELECT patient FROM patient_word WHERE rank = {rank} AND {where}{more} ORDER BY word, line, birth, patient LIMIT :most"  # noqa: S608 - pieces of this module
        found |= {int(row[0]): None for row in conn.execute(query, {**said, "most": limit + len(found)}).fetchall()}
        if len(found) >= limit:
            break
    return list(found)


_NUMBERED = " UNION ".join(
    f"SELECT id FROM patient WHERE {column} >= :from AND {column} < :end AND {column} <> ''"  # noqa: S608 - columns of this module
    for column in ("cccd", "bhyt", "phone", "station_number")
)


def _by_number(conn: Connection, sign: str, limit: int) -> list[int]:
    """Whose CCCD, BHYT, telephone or register number begins so; the social-insurance number also on its legacy card, and back."""
    said = {"from": sign, "end": sign + _LAST, "last": sign[-10:] if len(sign) in (10, 15) else "", "limit": 4 * limit}
    social = " UNION SELECT id FROM patient WHERE substr(bhyt, -10) = :last AND length(bhyt) IN (10, 15)"
    return [int(row[0]) for row in conn.execute(f"{_NUMBERED}{social} LIMIT :limit", said).fetchall()]


def _by_year(conn: Connection, year: str, limit: int) -> list[int]:
    rows = conn.execute(
        "SELECT id FROM patient WHERE birth >= ? AND birth < ? AND birth <> '' ORDER BY given, folded, birth, id LIMIT ?",
        (year, year + _LAST, 2 * limit),
    ).fetchall()
    return [int(row[0]) for row in rows]


def _by_station_number(conn: Connection, sign: str) -> list[Identity]:
    try:
        return _people(conn, [patient_of(sign)], 1)
    except Unreadable:
        return []


def _spelt(conn: Connection, text: str) -> list[Identity]:
    try:
        return _people(conn, [unspell(text)], 1)
    except ValueError:
        return []


def _people(conn: Connection, numbers: list[int], limit: int) -> list[Identity]:
    """Who stands for these records, in this order, each once."""
    found = (get(conn, one) for one in dict.fromkeys(root(conn, one) for one in numbers))
    return [one for one in found if one is not None][:limit]


def same(conn: Connection, draft: PatientDraft) -> list[Identity]:
    """Who may be the same person: the same CCCD, BHYT or telephone number, or the same name without its marks and a birth
    that does not disagree.

    To be shown to a person before registering; a duplicate is never refused and never merged by a machine.
    """
    numbers = {sign for sign in (bare(clean(draft.cccd)), bare(clean(draft.bhyt))) if BHYT.fullmatch(sign)}
    found = [one for sign in sorted(numbers) for one in _by_number(conn, sign, 10)]
    phone = _phone(draft.phone)
    if phone:
        found += [int(row[0]) for row in conn.execute("SELECT id FROM patient WHERE phone = ? AND phone <> '' LIMIT 10", (phone,))]
    birth = clean(draft.birth)
    for rank, word, line, _birth, _patient in entries(0, draft.name, birth):
        if rank == GIVEN:
            rows = conn.execute(
                "SELECT patient, birth FROM patient_word WHERE rank = ? AND word = ? AND line = ? LIMIT 200", (rank, word, line)
            ).fetchall()
            found += [int(row[0]) for row in rows if _may_agree(row[1], birth)]
    return _people(conn, found, 20)


def namesakes(conn: Connection, who: Identity, limit: int = 3) -> list[Identity]:
    """Other people here whose name is the same but for its marks, whatever their birth: those whom this one is taken for."""
    found: list[int] = []
    for rank, word, line, _birth, _patient in entries(0, who.name, who.birth):
        if rank == GIVEN:
            rows = conn.execute(
                "SELECT patient FROM patient_word WHERE rank = ? AND word = ? AND line = ? ORDER BY birth, patient LIMIT ?",
                (rank, word, line, 4 * limit),
            ).fetchall()
            found += [int(row[0]) for row in rows]
    mine = root(conn, who.patient)
    return [one for one in _people(conn, found, 4 * limit) if one.patient != mine][:limit]


def _may_agree(one: str, other: str) -> bool:
    """Two birth texts where the shorter begins the longer, or one is not known."""
    return one.startswith(other) or other.startswith(one)
