r"""Numbers people are known by in Viet Nam, and the QR codes on their cards. Pure: text in, facts or a sentence out.

* **CCCD**: 12 digits (3 province + 1 century and sex + 2 year + 6 random, Circular 59/2021). The province digits are codes
  of the provinces before 2025 and are never checked. QR of the chip card: ``number | old number | name | birth ddMMyyyy |
  Nam/Nữ | address | issue date ddMMyyyy``; the old number may be empty or its field absent.
* **BHYT**: the CCCD (Decree 188/2025), the social-insurance number of 10 digits, or the legacy card's 15 signs: 2 letters,
  benefit digit 1-5, 2 digits of a province, 10 digits. QR of the card: ``code | name as hex of UTF-8 | birth | sex | address
  as hex | first facility | valid from | valid to | …``, 15 or 16 fields of which the first eight are known.
* **Station number**: what a station prints for a patient who has no card; see `station_number`.

A scanned text arrives as a keyboard would type it: it may be torn, come with a BOM or CR, decomposed, or with another
layout's signs. Whatever is not certain is left empty and said in `Card.doubts`; a text without a certain number is
`Unreadable`. The raw text is never kept (docs/decisions/0007): it holds more than the station needs.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date

from appliance.contract.events import Sex

Sentence = tuple[str, str]
"""What is wrong and how to put it right: (Vietnamese, English)."""

CCCD = re.compile(r"[0-9]{12}")
BHYT_LEGACY = re.compile(r"[A-Z]{2}[1-5][0-9]{12}")
BHYT = re.compile(r"[0-9]{12}|[0-9]{10}|[A-Z]{2}[1-5][0-9]{12}")

SEX_OF_CCCD = {"nam": Sex.MALE, "nữ": Sex.FEMALE}
"""The words on the chip card, lower case."""
SEX_OF_BHYT = {"1": Sex.MALE, "2": Sex.FEMALE}
"""The BHYT card's digits. Other formats count otherwise (e-prescriptions: 2 is male, 3 female): every format has its own table."""

CCCD_FIELDS = (6, 7)
"""Without and with the field of the old number."""
BHYT_FIELDS = 8
"""So many fields of the BHYT card are known; fewer are half a code."""
LONGEST_NAME, LONGEST_PLACE = 80, 80
MOST_SIGNS = 1500
"""A card's code has some 300 signs; a longer text is none."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a card, or a number alone, says for certain. Empty text = not said; `birth` is ISO text.

    `doubts` are sentences about what was on it and could not be read.
    """

    cccd: str = ""
    bhyt: str = ""
    name: str = ""
    birth: str = ""
    sex: Sex | None = None
    village: str = ""
    doubts: tuple[Sentence, ...] = ()

    @property
    def number(self) -> str:
        """The number to search by."""
        return self.cccd or self.bhyt


class Unreadable(ValueError):  # noqa: N818 - the word for what a person hears
    """A text that wants to be a number or a card and is none. `vi` says what to do about it, `en` the same in English."""

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(en)
        self.vi = vi
        self.en = en

    @property
    def sentence(self) -> Sentence:
        """Both languages."""
        return self.vi, self.en


def clean(text: str) -> str:
    r"""Text as it is kept: NFC, single spaces, no BOM, no control or formatting signs.

    >>> clean("\ufeff  Nguyễn\u00a0 An\r\n")
    'Nguyễn An'
    """
    composed = unicodedata.normalize("NFC", text.replace("\ufeff", ""))
    return " ".join("".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in composed).split())


def bare(text: str) -> str:
    """A number without the spaces, dots and hyphens people put into it, in capitals; digits of other widths become plain ones."""
    return re.sub(r"[\s.\-]", "", unicodedata.normalize("NFKC", text)).upper()


# --- numbers --------------------------------------------------------------------------------------------------------------------------


def read_cccd(text: str) -> str:
    """The twelve digits, or "" for an empty text; Unreadable otherwise.

    >>> read_cccd("001 061 012 345")
    '001061012345'
    """
    sign = bare(text)
    if not sign or CCCD.fullmatch(sign):
        return sign
    if not re.fullmatch(r"[0-9]+", sign):
        raise Unreadable(
            "Số CCCD chỉ có chữ số. Xem lại thẻ, hoặc để trống.", "A CCCD number has digits only. Look at the card, or leave it empty."
        )
    raise Unreadable(
        f"Số CCCD có 12 chữ số, ở đây có {len(sign)}. Xem lại thẻ, hoặc để trống.",
        f"A CCCD number has 12 digits, this has {len(sign)}. Look at the card again, or leave it empty.",
    )


def read_bhyt(text: str) -> str:
    """A BHYT number of 10, 12 or 15 signs, or "" for an empty text; Unreadable otherwise.

    >>> read_bhyt("dn 4 01 012 345 6789")
    'DN4010123456789'
    """
    sign = bare(text)
    if not sign or BHYT.fullmatch(sign):
        return sign
    if re.fullmatch(r"[A-Z]{2}[06-9][0-9]{12}", sign):
        raise Unreadable(
            f"Ký tự thứ ba của số thẻ BHYT là mức hưởng, từ 1 đến 5; ở đây là {sign[2]}. Xem lại thẻ, hoặc để trống.",
            f"The third sign of a BHYT number is the benefit level, 1 to 5; here it is {sign[2]}. Look at the card, or leave it empty.",
        )
    raise Unreadable(
        f"Số BHYT có 10 số, 12 số (số CCCD), hoặc 15 ký tự như DN4010123456789; ở đây có {len(sign)}. Xem lại thẻ, hoặc để trống.",
        f"A BHYT number has 10 digits, 12 digits (the CCCD), or 15 signs such as DN4010123456789; this has {len(sign)}. "
        "Look at the card, or leave it empty.",
    )


# --- cards ----------------------------------------------------------------------------------------------------------------------------

_AGAIN: Sentence = (
    "Mã QR chưa đọc hết. Giữ thẻ phẳng, quét lại; hoặc xem thẻ và ghi tay phần còn thiếu.",
    "The QR code was not read to its end. Hold the card flat and scan again, or write what is missing from the card.",
)
_LAYOUT: Sentence = (
    "Máy quét gõ sai dấu. Tắt bộ gõ tiếng Việt, đặt máy quét về bàn phím US (English), quét lại; hoặc gõ số trên thẻ.",
    "The scanner types wrong signs. Switch off Vietnamese typing, set the scanner to the US keyboard, scan again; or type the number.",
)
_NAME: Sentence = (
    "Tên trên mã QR không đọc được. Ghi họ và tên theo thẻ.",
    "The name in the QR code cannot be read. Write the name as on the card.",
)
_SEX: Sentence = (
    "Giới tính trên mã QR không đọc được. Chọn theo thẻ.",
    "The sex in the QR code cannot be read. Choose it as on the card.",
)
_NO_NUMBER: Sentence = (
    "Mã QR này không phải của thẻ CCCD hay thẻ BHYT. Quét thẻ khác, hoặc gõ tên hay số.",
    "This QR code is not that of a CCCD or BHYT card. Scan another card, or type a name or number.",
)


def is_scanned(text: str) -> bool:
    """True for a text that wants to be a card's QR code: bars, or signs that a wrong keyboard layout makes of them."""
    return "|" in text or _mangled(text)


def read_card(text: str) -> Card:
    """The card behind a scanned QR text. Unreadable, with what to do, when not even its number is certain; nothing else is raised.

    >>> read_card("001061012345|123456789|Thử Nghiệm|30041961|Nữ|Bản Thử, Xã Mẫu|01012022").birth
    '1961-04-30'
    """
    if len(text) > MOST_SIGNS:
        raise Unreadable(*_NO_NUMBER)
    text = unicodedata.normalize("NFC", text.replace("\ufeff", "").strip())
    if "|" not in text:
        raise Unreadable(*(_LAYOUT if _mangled(text) else _NO_NUMBER))
    parts = [part.strip() for part in text.split("|")]
    code = bare(parts[0])
    if CCCD.fullmatch(code) and not _is_insurance(parts):
        return _citizen(code, parts)
    if BHYT.fullmatch(code):
        return _insurance(code, parts)
    if re.fullmatch(r"[A-Z]{2}[0-9]{13}", code):
        read_bhyt(code)  # says what is wrong with it
    if re.fullmatch(r"[0-9]{11}|[0-9]{13}", code):
        read_cccd(code)
    raise Unreadable(*_NO_NUMBER)


def _mangled(text: str) -> bool:
    """A card's text in which another sign stands for the bar: a number, then the same odd sign four times and more."""
    found = re.match(r"\s*(?:[A-Za-z]{2})?[0-9]{9,13}([^\w\s.\-,/])", text)
    return found is not None and text.count(found[1]) >= 4


def _is_insurance(parts: list[str]) -> bool:
    """A BHYT card under a CCCD number is told by its digit for the sex, half a code by its name in hexadecimal."""
    if len(parts) > 3:
        return re.fullmatch(r"[0-9]", parts[3]) is not None
    return len(parts) > 1 and any(sign.isalpha() for sign in parts[1]) and bool(_hex(parts[1]))


def _citizen(code: str, parts: list[str]) -> Card:
    fields = parts[1:]
    if len(parts) >= CCCD_FIELDS[1] or (fields and re.fullmatch(r"(?:[0-9]{9}|[0-9]{12})?", fields[0])):
        fields = fields[1:]  # the old number, which nobody needs
    doubts: list[Sentence] = []
    if len(fields) < CCCD_FIELDS[0] - 1 or not fields[4]:
        doubts.append(_AGAIN)
    name = _name(fields[0] if fields else "", doubts, torn=len(fields) < 2)
    birth = _birth(fields[1], doubts) if len(fields) > 2 else ""
    sex = SEX_OF_CCCD.get(clean(fields[2]).lower()) if len(fields) > 3 else None
    if len(fields) > 3 and sex is None:
        doubts.append(_SEX)
    village = _village(fields[3]) if len(fields) > 4 else ""
    return Card(code, "", name, birth, sex, village, tuple(doubts))


def _insurance(code: str, parts: list[str]) -> Card:
    doubts: list[Sentence] = [] if len(parts) >= BHYT_FIELDS else [_AGAIN]
    whole = len(parts)
    name = _name(_hex(parts[1]) if whole > 2 else "", doubts, torn=whole <= 2)
    birth = _birth(parts[2], doubts) if whole > 3 else ""
    sex = SEX_OF_BHYT.get(parts[3]) if whole > 4 else None
    if whole > 4 and sex is None:
        doubts.append(_SEX)
    village = _village(_hex(parts[4])) if whole > 5 else ""
    return Card(code if len(code) == 12 else "", code, name, birth, sex, village, tuple(doubts))


def _name(text: str, doubts: list[Sentence], *, torn: bool) -> str:
    """A name of letters; one with the traces of a wrong character set or layout is left out and said."""
    name = clean(text)
    if torn:
        return ""
    if not name or len(name) > LONGEST_NAME or not all(unicodedata.category(sign)[0] in "LMZ" or sign in "'-." for sign in name):
        doubts.append(_LAYOUT if "?" in name or "\ufffd" in name or _is_mojibake(name) else _NAME)
        return ""
    if _is_mojibake(name):
        doubts.append(_LAYOUT)
        return ""
    return name


def _is_mojibake(text: str) -> bool:
    """UTF-8 read as Latin letters: signs that stand in no Vietnamese name, beside Ã, Ä, Æ or á»."""
    return re.search(r"[ÃÄÅÆ][\u0080-\u00bf\u2018-\u2122]|áº|á»|Ã[a-zA-Z ]?$|Ä\S?ng", text) is not None


def _hex(text: str) -> str:
    try:
        return bytes.fromhex(text).decode()
    except ValueError:
        return ""


def _birth(text: str, doubts: list[Sentence]) -> str:
    """ISO text of ``ddMMyyyy``, ``dd/MM/yyyy``, ``MM/yyyy`` or ``yyyy``; a day that is none is left out and said."""
    text = clean(text)
    found = re.fullmatch(r"(?:(?:([0-9]{2})[/.\-]?)?([0-9]{2})[/.\-]?)?([0-9]{4})", text)
    if found is not None:
        day, month, year = found[1], found[2], found[3]
        if day == "00":
            day = None
        if month == "00":
            day = month = None
        try:
            date(int(year), int(month or 1), int(day or 1))
        except ValueError:
            pass
        else:
            return "-".join(part for part in (year, month, day) if part)
    shown = text[:12] or "…"
    doubts.append(
        (
            f"Ngày sinh trên mã QR không đúng ({shown}). Xem thẻ và ghi tay ngày sinh.",
            f"The birth date in the QR code is not right ({shown}). Write it as on the card.",
        )
    )
    return ""


def _village(address: str) -> str:
    return clean(address.partition(",")[0])[:LONGEST_PLACE].strip()


# --- the station's own number -----------------------------------------------------------------------------------------------------

STATION_DIGITS = 13
"""2**40 patients need 13 digits; with the check digit a station number has 14, a length no other number in use here has."""

_DAMM = (
    "0317598642", "7092154863", "4206871359", "1750983426", "6123045978",
    "3674209581", "5869720134", "8945362017", "9438617205", "2581436790",
)  # fmt: skip
"""A totally anti-symmetric quasigroup of order 10 (H. M. Damm, *Total anti-symmetrische Quasigruppen*, 2004): with it one check
digit finds every wrong digit and every exchange of two neighbours."""


def check_digit(digits: str) -> str:
    """Damm's check digit. Appended to `digits` it makes the whole come out as 0.

    >>> check_digit("572")
    '4'
    """
    state = 0
    for digit in digits:
        state = int(_DAMM[state][int(digit)])
    return str(state)


def station_number(patient: int) -> str:
    """A patient's number as a station prints it and reads it over the telephone: 13 digits of the short number, one check digit.

    It is the random number under which the patient's whole record stands, written otherwise: so it needs no network, no
    counter that a restored backup would turn back, and two people share it no more than they share a record
    (docs/decisions/0007).

    >>> station_number(1)
    '00000000000013'
    """
    digits = f"{patient:0{STATION_DIGITS}d}"
    return digits + check_digit(digits)


def station_text(patient: int) -> str:
    """The same in groups, 3-3-4-4.

    >>> station_text(1)
    '000 000 0000 0013'
    """
    digits = station_number(patient)
    return f"{digits[:3]} {digits[3:6]} {digits[6:10]} {digits[10:]}"


def is_station_number(text: str) -> bool:
    """True for a text of 14 digits, however they are spaced: no other number here has so many."""
    return re.fullmatch(r"[0-9]{14}", bare(text)) is not None


def patient_of(text: str) -> int:
    """The patient behind a station number; Unreadable, with what to do, when the check digit says that it was misheard or mistyped.

    >>> patient_of("000 000 0000 0013")
    1
    """
    digits = bare(text)
    if not is_station_number(digits):
        raise Unreadable(
            f"Mã tại trạm có 14 chữ số, ở đây có {len(digits)}. Xem lại phiếu và gõ lại.",
            f"A station number has 14 digits, this has {len(digits)}. Look at the slip and type it again.",
        )
    number = int(digits[:-1])
    if check_digit(digits) != "0" or not 0 < number < 1 << 40:
        raise Unreadable(
            "Mã tại trạm sai một số hoặc đảo hai số cạnh nhau. Đọc lại từng nhóm trên phiếu, gõ lại; hoặc tìm theo tên.",
            "A digit of the station number is wrong, or two were exchanged. Read each group on the slip again, or search by name.",
        )
    return number
