r"""What people type or scan, turned into facts or into a sentence that says how to put it right. Pure.

Identifiers (Viet Nam): CCCD = 12 digits; BHYT = 12 digits (the CCCD), 10 digits (social-insurance number), or the legacy
form of 15 signs ``^[A-Z]{2}[1-5]\d{2}\d{10}$``. QR of the chip card: fields divided by ``|``: number, old number, name,
birth date ddMMyyyy, Nam/Nữ, address, issue date (the second may be empty or absent). QR of the BHYT card: code, name as
hexadecimal of UTF-8, birth date, sex (1 = male), address as hexadecimal, and more that is not read. The province digits
are codes of the old provinces and are never checked against the new ones.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from appliance.contract.events import Allergies, Sex
from appliance.kiosk.speech import Pair

BHYT_LEGACY = re.compile(r"[A-Z]{2}[1-5]\d{12}")
OLDEST_YEARS = 125
"""Nobody registered is older than this; an older year is a slip of the finger."""
LONGEST = {"name": 80, "village": 80, "allergy_text": 200, "complaint": 600, "reply": 600}
"""How many signs a text may have: a consult request must fit a thin link (about 400 bytes for the usual case)."""


@dataclass(frozen=True, slots=True)
class Card:
    """What an identity or insurance card, or its number alone, says. Empty text = not said. `birth` is ISO text."""

    cccd: str = ""
    bhyt: str = ""
    name: str = ""
    birth: str = ""
    sex: Sex | None = None
    village: str = ""

    @property
    def number(self) -> str:
        """The number to search by."""
        return self.cccd or self.bhyt


@dataclass(frozen=True, slots=True)
class Filled:
    """A registration form read: `values` for the draft, `errors` by field as (Vietnamese, English) sentences."""

    values: dict[str, object]
    errors: dict[str, Pair] = field(default_factory=dict)


def clean(text: str) -> str:
    r"""Text as it is kept: NFC, no control signs, no BOM, single spaces.

    >>> clean("  Nguyễn\u00a0 An\r\n")
    'Nguyễn An'
    """
    text = unicodedata.normalize("NFC", text.replace("\ufeff", ""))
    return " ".join("".join(" " if unicodedata.category(sign) in ("Cc", "Cf", "Zs", "Zl", "Zp") else sign for sign in text).split())


def read_card(text: str) -> Card | None:
    """The card behind a scanned QR text or a typed number; None when the text is neither (then it is a name).

    >>> read_card("012 345 678 901").cccd
    '012345678901'
    """
    text = unicodedata.normalize("NFC", text.replace("\ufeff", "").strip())
    if text.count("|") >= 4:
        parts = [part.strip() for part in text.split("|")]
        return _citizen(parts) or _insurance(parts)
    sign = re.sub(r"[\s.\-]", "", text).upper()
    if re.fullmatch(r"[0-9]{12}", sign):
        return Card(cccd=sign)
    if re.fullmatch(r"[0-9]{10}", sign) or BHYT_LEGACY.fullmatch(sign):
        return Card(bhyt=sign)
    return None


def _citizen(parts: list[str]) -> Card | None:
    if not re.fullmatch(r"[0-9]{12}", parts[0]):
        return None
    for at in (3, 2):  # the old number's field may be missing altogether
        if len(parts) > at + 2 and re.fullmatch(r"[0-9]{8}", parts[at]) and parts[at + 1].lower() in ("nam", "nữ"):
            birth = f"{parts[at][4:]}-{parts[at][2:4]}-{parts[at][:2]}"
            sex = Sex.MALE if parts[at + 1].lower() == "nam" else Sex.FEMALE
            return Card(parts[0], "", clean(parts[at - 1]), birth if _day(birth) else "", sex, _village(parts[at + 2]))
    return None


def _insurance(parts: list[str]) -> Card | None:
    code = parts[0].upper()
    if not (re.fullmatch(r"[0-9]{10}|[0-9]{12}", code) or BHYT_LEGACY.fullmatch(code)):
        return None
    birth, _error = read_birth(parts[2], date.max)
    sex = {"1": Sex.MALE, "2": Sex.FEMALE}.get(parts[3])
    cccd = code if len(code) == 12 else ""
    return Card(cccd, code, clean(_hex(parts[1])), birth, sex, _village(_hex(parts[4])))


def _hex(text: str) -> str:
    try:
        return bytes.fromhex(text).decode()
    except ValueError:
        return ""


def _village(address: str) -> str:
    return clean(address.partition(",")[0])[: LONGEST["village"]]


def _day(iso: str) -> date | None:
    try:
        return date.fromisoformat(iso)
    except ValueError:
        return None


_BIRTH: Pair = (
    "Ngày sinh chưa đúng. Ghi ngày/tháng/năm như 30/04/1961; không nhớ ngày thì chỉ ghi năm như 1961.",
    "The birth date is not right. Write day/month/year such as 30/04/1961, or the year alone such as 1961.",
)


def read_birth(text: str, today: date) -> tuple[str, Pair | None]:
    """ISO text of a birth date written as dd/mm/yyyy, ddmmyyyy, mm/yyyy or yyyy, and what is wrong with it.

    >>> read_birth("30.4.1961", date(2026, 1, 1))[0], read_birth("1961", date(2026, 1, 1))[0]
    ('1961-04-30', '1961')
    """
    text = clean(text)
    if not text:
        return "", ("Ghi ngày sinh, hoặc chỉ năm sinh như 1961.", "Write the birth date, or the year alone such as 1961.")
    if re.fullmatch(r"[0-9]{8}", text):
        text = f"{text[:2]}/{text[2:4]}/{text[4:]}"
    parts = [part for part in re.split(r"[/.\-\s]+", text) if part]
    if not 1 <= len(parts) <= 3 or not all(re.fullmatch(r"[0-9]{1,4}", part) for part in parts) or len(parts[-1]) != 4:
        return "", _BIRTH
    numbers = [int(part) for part in reversed(parts)]
    year, month, day = (*numbers, 1, 1)[:3]
    try:
        first = date(year, month, day)
    except ValueError:
        return "", _BIRTH
    if first > today:
        return "", ("Ngày sinh ở tương lai. Xem lại ngày, tháng, năm.", "The birth date is in the future. Check day, month and year.")
    if today != date.max and today.year - year > OLDEST_YEARS:
        return "", ("Năm sinh quá xa. Xem lại năm sinh.", "The birth year is too long ago. Check the year.")
    return "-".join((f"{year:04d}", f"{month:02d}", f"{day:02d}")[: len(parts)]), None


def read_patient(form: Mapping[str, str], today: date) -> Filled:
    """The registration form: name, birth, sex, cccd, bhyt, allergies, allergy_text, village, phone.

    Every error says what is wrong and how to put it right; values of wrong fields are empty.
    """
    errors: dict[str, Pair] = {}

    def note(name: str, value: object, error: Pair | None) -> object:
        if error:
            errors[name] = error
        return value

    birth, birth_error = read_birth(form.get("birth", ""), today)
    values = {
        "name": note("name", *_name(form.get("name", ""))),
        "birth": note("birth", birth, birth_error),
        "sex": note("sex", *_choice(form.get("sex", ""), Sex, _SEX)),
        "cccd": note("cccd", *_cccd(form.get("cccd", ""))),
        "bhyt": note("bhyt", *_bhyt(form.get("bhyt", ""))),
        "allergies": note("allergies", *_choice(form.get("allergies", ""), Allergies, _ALLERGIES)),
        "allergy_text": "",
        "phone": note("phone", *_phone(form.get("phone", ""))),
        "village": note("village", *short_text(form.get("village", ""), "village")),
    }
    if values["allergies"] is Allergies.KNOWN:
        values["allergy_text"] = note("allergy_text", *short_text(form.get("allergy_text", ""), "allergy_text"))
        if not values["allergy_text"] and "allergy_text" not in errors:
            errors["allergy_text"] = ("Ghi dị ứng với gì, ví dụ: penicillin.", "Write what the allergy is to, such as penicillin.")
    return Filled(values, errors)


_SEX: Pair = ("Chọn giới tính. Không biết thì chọn “Không rõ”.", "Choose the sex. If it is not known, choose “Unknown”.")
_ALLERGIES: Pair = ("Chọn một mục về dị ứng. Chưa hỏi thì chọn “Chưa hỏi”.", "Choose one. If nobody asked, choose “Not asked”.")


def _choice(text: str, kind: type[Sex] | type[Allergies], error: Pair) -> tuple[object, Pair | None]:
    try:
        return kind[text.upper()], None
    except KeyError:
        return None, error


def _name(text: str) -> tuple[str, Pair | None]:
    name = clean(text)
    if not name:
        return "", ("Ghi họ và tên người bệnh.", "Write the patient's full name.")
    if len(name) > LONGEST["name"]:
        return "", (f"Tên dài quá {LONGEST['name']} chữ. Ghi tên trên giấy tờ.", f"The name is longer than {LONGEST['name']} letters.")
    if any(sign.isdigit() for sign in name) or not any(sign.isalpha() for sign in name):
        return "", ("Tên chỉ có chữ. Số CCCD, BHYT ghi ở ô dưới.", "A name has letters only. Numbers go into the fields below.")
    return name, None


def _cccd(text: str) -> tuple[str, Pair | None]:
    digits = re.sub(r"[\s.\-]", "", text)
    if not digits or re.fullmatch(r"[0-9]{12}", digits):
        return digits, None
    if not re.fullmatch(r"[0-9]+", digits):
        return "", ("Số CCCD chỉ có chữ số. Xem lại thẻ.", "A CCCD number has digits only. Look at the card again.")
    return "", (
        f"Số CCCD có 12 chữ số, ở đây có {len(digits)}. Xem lại thẻ, hoặc để trống.",
        f"A CCCD number has 12 digits, this has {len(digits)}. Look at the card again, or leave it empty.",
    )


def _bhyt(text: str) -> tuple[str, Pair | None]:
    sign = re.sub(r"[\s.\-]", "", text).upper()
    if not sign or re.fullmatch(r"[0-9]{10}|[0-9]{12}", sign) or BHYT_LEGACY.fullmatch(sign):
        return sign, None
    return "", (
        "Số BHYT có 10 số, 12 số (số CCCD), hoặc 15 ký tự như DN4010123456789. Xem lại thẻ, hoặc để trống.",
        "A BHYT number has 10 digits, 12 digits (the CCCD), or 15 signs such as DN4010123456789. Look at the card, or leave it empty.",
    )


def _phone(text: str) -> tuple[str, Pair | None]:
    digits = re.sub(r"[\s.\-()]", "", text)
    if digits.startswith("+84"):
        digits = "0" + digits[3:]
    if not digits or re.fullmatch(r"0[0-9]{8,10}", digits):
        return digits, None
    return "", ("Số điện thoại bắt đầu bằng 0 và có 9–11 số. Xem lại, hoặc để trống.", "A phone number starts with 0 and has 9–11 digits.")


def short_text(text: str, name: str) -> tuple[str, Pair | None]:
    """Cleaned free text within its length, or the sentence that says by how much it is too long."""
    text, most = clean(text), LONGEST[name]
    if len(text) <= most:
        return text, None
    return text[:most], (f"Dài quá {most} chữ ({len(text)}). Hãy viết ngắn lại.", f"Longer than {most} letters. Make it shorter.")
