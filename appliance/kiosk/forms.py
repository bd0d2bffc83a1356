"""What people type or scan, turned into facts or into a sentence that says how to put it right. Pure.

Numbers and cards are read by `contract.identifiers`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from appliance.contract.events import Allergies, Sex
from appliance.contract.identifiers import Card, Unreadable, bare, clean, is_scanned, read_bhyt, read_cccd
from appliance.contract.identifiers import read_card as scanned
from appliance.kiosk.speech import Pair

__all__ = ["LONGEST", "OLDEST_YEARS", "Card", "Filled", "clean", "read_birth", "read_card", "read_patient", "short_text"]

OLDEST_YEARS = 125
"""Nobody registered is older than this; an older year is a slip of the finger."""
LONGEST = {"name": 80, "village": 80, "allergy_text": 200, "complaint": 600, "reply": 600}
"""How many signs a text may have: a consult request must fit a thin link (about 400 bytes for the usual case)."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A registration form read: `values` for the draft, `errors` by field as (Vietnamese, English) sentences."""

    values: dict[str, object]
    errors: dict[str, Pair] = field(default_factory=dict)


def read_card(text: str) -> Card | None:
    """The card behind a scanned QR text or a typed whole number; None when the text is neither (then it is a name, or part of a number).

    Unreadable, with what to do, for a scanned text without a certain number, and for a number that no card has.

    >>> read_card("012 345 678 901").cccd
    '012345678901'
    """
    if is_scanned(text):
        return scanned(text)
    sign = bare(clean(text))
    if re.fullmatch(r"[0-9]{12}", sign):
        return Card(cccd=sign)
    if re.fullmatch(r"[0-9]{10}|[A-Z]{2}[0-9]{13}", sign):
        return Card(bhyt=read_bhyt(sign))
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
        "cccd": note("cccd", *_number(read_cccd, form.get("cccd", ""))),
        "bhyt": note("bhyt", *_number(read_bhyt, form.get("bhyt", ""))),
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


def _number(read: Callable[[str], str], text: str) -> tuple[str, Pair | None]:
    try:
        return read(clean(text)), None
    except Unreadable as error:
        return "", error.sentence


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
