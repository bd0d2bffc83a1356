"""Patients: register, change, find. Names are NFC, and found whatever marks and capitals are typed.

``đ`` has no Unicode decomposition, so stripping marks alone never finds "dang" for "Đặng": it is folded by hand. The
given name is the *last* word of a Vietnamese name: it is searched and sorted by first.
"""

import re
import unicodedata
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime

from appliance import __version__
from appliance.contract.events import Allergies, Event, Identity, PatientChanged, PatientRegistered, Sex
from appliance.contract.ids import spell, unspell
from appliance.contract.readings import ClockQuality, Stamp
from appliance.database import Connection, Row, transaction
from appliance.store.errors import Refused, Taken
from appliance.store.outbox import append

BHYT = re.compile(r"[0-9]{12}|[0-9]{10}|[A-Z]{2}[1-5][0-9]{12}")
"""The three forms in use: the CCCD number (Decree 188/2025), the social-insurance number, the legacy card."""
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


def clean(text: str) -> str:
    """Text as it is kept: NFC, single spaces, no control or formatting characters."""
    composed = unicodedata.normalize("NFC", text)
    plain = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in composed)
    return " ".join(plain.split())


def fold(text: str) -> str:
    """Text as it is searched: lower case, no marks, ``đ`` as ``d``, single spaces.

    >>> fold("Đặng Thị  HƯỜNG")
    'dang thi huong'
    """
    bare = "".join(sign for sign in unicodedata.normalize("NFD", clean(text)) if unicodedata.category(sign) != "Mn")
    return bare.replace("đ", "d").replace("Đ", "d").casefold()


def _sign(text: str) -> str:
    """A number without the spaces, dots and hyphens people put into it."""
    return re.sub(r"[\s.\-]", "", unicodedata.normalize("NFKC", text)).upper()


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
        cccd=_sign(draft.cccd),
        bhyt=_sign(draft.bhyt),
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
    if tidy.cccd and not re.fullmatch(r"[0-9]{12}", tidy.cccd):
        raise Refused(
            "Số CCCD có 12 chữ số. Xem lại thẻ, hoặc để trống.", "a CCCD number has 12 digits: look at the card, or leave it empty"
        )
    if tidy.bhyt and not BHYT.fullmatch(tidy.bhyt):
        raise Refused(
            "Số BHYT có 10 số, 12 số (số CCCD), hoặc 15 ký tự như DN4010123456789. Xem lại thẻ, hoặc để trống.",
            "a BHYT number has 10 digits, 12 digits (the CCCD), or 15 signs such as DN4010123456789: look at the card, or leave it empty",
        )
    if tidy.phone and not re.fullmatch(r"\+?[0-9]{3,15}", tidy.phone):
        raise Refused(
            "Số điện thoại chỉ có chữ số. Xem lại, hoặc để trống.", "a telephone number has digits only: check it, or leave it empty"
        )
    if tidy.allergies is Allergies.KNOWN and not tidy.allergy_text:
        raise Refused("Ghi dị ứng với gì, ví dụ: penicillin.", "write what the allergy is to, such as penicillin")
    return tidy if tidy.allergies is Allergies.KNOWN else replace(tidy, allergy_text="")


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
        _keep(conn, identity)
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
        _keep(conn, identity)
        append(conn, Event(now, staff, __version__, PatientChanged(identity, clean(reason))))
    return identity


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


def _keep(conn: Connection, who: Identity) -> None:
    folded = fold(who.name)
    conn.execute(
        _KEEP,
        (
            who.patient, who.version, who.name, who.birth, int(who.sex), who.cccd, who.bhyt, int(who.allergies), who.allergy_text,
            who.phone, who.village, who.station_number, folded, folded.rpartition(" ")[2],
        ),
    )  # fmt: skip


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


def find(conn: Connection, text: str, limit: int = 20) -> list[Identity]:
    """Patients by name, CCCD, BHYT, station number, telephone, or spelt short number; sorted by given name, then the whole.

    A name matches when every typed word begins a word of it, whatever marks are typed; who has the last typed word as given
    name comes first. A year beside a name narrows by birth.
    """
    words = fold(text).split()
    if not words:
        return []
    sign = _sign(text)
    if len(words) <= 5 and re.fullmatch(r"[A-Z]{0,2}[0-9]{5,15}", sign):
        numbered = _rows(conn, "cccd LIKE :p OR bhyt LIKE :p OR phone LIKE :p OR station_number LIKE :p", {"p": sign + "%"}, limit)
        return numbered or _spelt(conn, text)
    exact = _spelt(conn, text)
    if exact:
        return exact
    years = [word for word in words if re.fullmatch(r"(?:18|19|20)[0-9]{2}", word)]
    names = [word for word in words if word not in years]
    where = [f"' ' || folded LIKE :w{at} ESCAPE '\\'" for at, _ in enumerate(names)] + [f"birth LIKE :y{at}" for at, _ in enumerate(years)]
    said: dict[str, object] = {f"w{at}": f"% {_escape(word)}%" for at, word in enumerate(names)}
    said |= {f"y{at}": f"{word}%" for at, word in enumerate(years)}
    said["last"] = names[-1] if names else ""
    return _rows(conn, " AND ".join(where), said, limit, "(given = :last) DESC, (given LIKE :last || '%') DESC, given, folded, birth")


def _spelt(conn: Connection, text: str) -> list[Identity]:
    try:
        known = get(conn, unspell(text))
    except ValueError:
        return []
    return [known] if known is not None else []


def _escape(word: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", word)


def _rows(conn: Connection, where: str, said: dict[str, object], limit: int, order: str = "given, folded, birth") -> list[Identity]:
    query = f"{_SELECT} WHERE ({where}) AND erased = 0 AND merged_into IS NULL ORDER BY {order} LIMIT :limit"
    return [_read(row) for row in conn.execute(query, {"last": "", **said, "limit": limit}).fetchall()]


def same(conn: Connection, draft: PatientDraft) -> list[Identity]:
    """Who may be the same person: the same CCCD or BHYT number, or the same name without its marks and a birth that does not disagree.

    To be shown to a person before registering; a duplicate is never refused and never merged by a machine.
    """
    cccd, bhyt, folded = _sign(draft.cccd), _sign(draft.bhyt), fold(draft.name)
    found = _rows(
        conn,
        "(:cccd <> '' AND (cccd = :cccd OR bhyt = :cccd)) OR (:bhyt <> '' AND (bhyt = :bhyt OR cccd = :bhyt)) OR folded = :folded",
        {"cccd": cccd, "bhyt": bhyt, "folded": folded},
        50,
    )
    numbers = {cccd, bhyt} - {""}
    return [who for who in found if numbers & {who.cccd, who.bhyt} or _may_agree(who.birth, clean(draft.birth))]


def _may_agree(one: str, other: str) -> bool:
    """Two birth texts where the shorter begins the longer, or one is not known."""
    return one.startswith(other) or other.startswith(one)
