"""Numbers and cards: read whole, torn, decomposed or mangled; never a guess, never another error than its own."""

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract import identifiers
from appliance.contract.events import Sex
from appliance.contract.identifiers import Card, Unreadable, patient_of, read_bhyt, read_card, read_cccd, station_number, station_text

CHIP = "001061012345|123456789|Đặng Thử Hường|30041961|Nữ|Thôn Thử, Xã Mẫu, Tỉnh Mẫu|01012022"
NAMES = st.lists(
    st.sampled_from(["Đặng", "Thử", "Nghiệm", "Hường", "Thị", "Ánh", "Quốc", "Y", "Ksor", "H'Thử"]), min_size=1, max_size=5
).map(" ".join)
DAYS = st.dates(min_value=date(1900, 1, 1), max_value=date(2026, 1, 1))


def insurance(code: str, name: str = "Thử Nghiệm Hai", birth: str = "30/04/1961", sex: str = "1", place: str = "Bản Thử, Xã Mẫu") -> str:
    """The text of a BHYT card's QR code."""
    fields = [
        code, name.encode().hex(), birth, sex, place.encode().hex(), "01 - 001", "01/01/2025", "31/12/2025", "01/01/2025", code, "-", "4",
        "01/01/2030", "15e4f8a1c2-7102", "$",
    ]  # fmt: skip
    return "|".join(fields)


def test_the_chip_card_fills_everything() -> None:
    """Seven fields: number, name, birth, sex, and the first part of the address; nothing is in doubt."""
    assert read_card(CHIP) == Card("001061012345", "", "Đặng Thử Hường", "1961-04-30", Sex.FEMALE, "Thôn Thử")


@pytest.mark.parametrize(
    "text",
    [
        CHIP.replace("123456789|", "|"),
        CHIP.replace("123456789|", ""),
        "\ufeff" + CHIP + "\r",
        CHIP + "\r\n",
        unicodedata.normalize("NFD", CHIP),
        CHIP.replace("Nữ", "NỮ"),
        CHIP + "||",
        CHIP.replace("123456789", "001061000000"),
    ],
)
def test_every_known_form_of_the_chip_card_says_the_same(text: str) -> None:
    """No old number, no field for it, BOM, CR, decomposed text, capitals, empty fields at the end: one card."""
    assert read_card(text) == read_card(CHIP)


@pytest.mark.parametrize("code", ["DN4010123456789", "0123456789", "001061012345", "TE1010123456789"])
def test_the_insurance_card_fills_everything(code: str) -> None:
    """Name and address in hexadecimal; each of the three forms of the number, and a newborn's."""
    card = read_card(insurance(code))
    assert card == Card(code if len(code) == 12 else "", code, "Thử Nghiệm Hai", "1961-04-30", Sex.MALE, "Bản Thử")


def test_one_is_male_on_the_insurance_card() -> None:
    """The trap of the sex codes: BHYT 1 = male, 2 = female; a 3 (female in e-prescriptions) is nobody's sex here and is said."""
    assert read_card(insurance("0123456789", sex="1")).sex is Sex.MALE
    assert read_card(insurance("0123456789", sex="2")).sex is Sex.FEMALE
    odd = read_card(insurance("0123456789", sex="3"))
    assert odd.sex is None
    assert "Giới tính" in odd.doubts[0][0]


@given(NAMES, DAYS, st.booleans(), st.from_regex(r"[0-9]{12}", fullmatch=True), st.booleans())
def test_what_a_chip_card_says_is_what_is_read(name: str, born: date, male: bool, number: str, old: bool) -> None:
    """Round trip of generated cards, composed or not."""
    fields = [number, *(["123456789"] if old else []), name, f"{born:%d%m%Y}", "Nam" if male else "Nữ", "Bản Thử, Xã Mẫu", "01012022"]
    card = read_card(unicodedata.normalize("NFD", "|".join(fields)))
    assert card == Card(number, "", name, f"{born:%Y-%m-%d}", Sex.MALE if male else Sex.FEMALE, "Bản Thử")


@given(NAMES, DAYS, st.sampled_from("12"), st.from_regex(r"[0-9]{10}|[0-9]{12}|[A-Z]{2}[1-5][0-9]{12}", fullmatch=True))
def test_what_an_insurance_card_says_is_what_is_read(name: str, born: date, sex: str, code: str) -> None:
    """Round trip of generated cards."""
    card = read_card(insurance(code, name, f"{born:%d/%m/%Y}", sex))
    expected = Sex.MALE if sex == "1" else Sex.FEMALE
    assert (card.bhyt, card.name, card.birth, card.sex, card.doubts) == (code, name, f"{born:%Y-%m-%d}", expected, ())


@given(st.text(max_size=200) | st.lists(st.text(max_size=20), max_size=18).map("|".join))
def test_nothing_but_its_own_error_comes_out(text: str) -> None:
    """Whatever a scanner types: a card, or a sentence in both languages."""
    said: list[Unreadable] = []
    for read in (read_card, read_cccd, read_bhyt, patient_of):
        try:
            read(text)
        except Unreadable as error:
            said.append(error)
    assert all(len(sentence) > 20 for error in said for sentence in error.sentence)
    identifiers.is_scanned(text)


@pytest.mark.parametrize("whole", [CHIP, insurance("DN4010123456789"), insurance("001061012345")])
def test_half_a_code_gives_its_number_and_says_so(whole: str) -> None:
    """Cut anywhere behind the number: the number stands, whatever else is there is right, and the sentence asks for another scan."""
    full = read_card(whole)
    for at in range(len(full.number) + 1, len(whole)):
        card = read_card(whole[:at])
        assert card.number == full.number
        assert card.birth in ("", full.birth)
        assert card.sex in (None, full.sex)
        assert full.village.startswith(card.village)
        known = whole[:at].count("|")
        if known < (5 if whole is CHIP else 7):
            assert any("quét lại" in vi for vi, _en in card.doubts), whole[:at]
        assert card.name in ("", full.name)


def test_half_a_number_is_no_card() -> None:
    """Cut within the number there is nothing certain."""
    with pytest.raises(Unreadable, match="CCCD or BHYT"):
        read_card("0010610")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("00106101234|1|Thử|30041961|Nữ|x|01012022", "12 chữ số, ở đây có 11"),
        ("DN6010123456789|546875|30/04/1961|1|x|x|x|x", "từ 1 đến 5"),
        (CHIP.replace("|", "~"), "bàn phím US"),
        (CHIP.replace("|", "°"), "bàn phím US"),
        ("https://example.invalid/|x", "không phải của thẻ"),
        ("x" * 2000, "không phải của thẻ"),
    ],
)
def test_a_code_that_cannot_be_read_says_what_to_do(text: str, sentence: str) -> None:
    """Eleven digits, a benefit digit of 6, another keyboard layout, another QR code."""
    with pytest.raises(Unreadable) as caught:
        read_card(text)
    assert sentence in caught.value.vi


@pytest.mark.parametrize(
    ("old", "new", "sentence", "field"),
    [
        ("30041961", "31021961", "31021961", "birth"),
        ("30041961", "3004196", "Ngày sinh", "birth"),
        ("Nữ", "N?", "Giới tính", "sex"),
        ("Đặng Thử Hường", "Ä\x90áº·ng Thá»\xad", "bàn phím US", "name"),
        ("Đặng Thử Hường", "??ng Th? H??ng", "bàn phím US", "name"),
        ("Đặng Thử Hường", "12345", "Tên trên mã QR", "name"),
    ],
)
def test_a_field_that_cannot_be_right_is_left_empty_and_said(old: str, new: str, sentence: str, field: str) -> None:
    """A day that is none, a name of the wrong character set: the rest of the card still counts."""
    card = read_card(CHIP.replace(old, new))
    assert not getattr(card, field)
    assert card.cccd == "001061012345"
    assert any(sentence in vi for vi, _en in card.doubts)


@pytest.mark.parametrize(("text", "kept"), [("", ""), ("001 061 012 345", "001061012345"), ("001.061.012-345", "001061012345")])
def test_a_cccd_may_be_spaced(text: str, kept: str) -> None:
    """Spaces, dots and hyphens are not part of it; none at all is no error."""
    assert read_cccd(text) == kept


@pytest.mark.parametrize("text", ["0123456789", "001061012345", "DN4010123456789", "dn 4 01 012 345 6789"])
def test_the_three_forms_of_an_insurance_number(text: str) -> None:
    """10, 12 and 15 signs."""
    assert read_bhyt(text) == text.replace(" ", "").upper()


@pytest.mark.parametrize(("text", "sentence"), [("DN6010123456789", "ở đây là 6"), ("12345678901", "ở đây có 11"), ("ZZZ", "10 số")])
def test_a_wrong_insurance_number_says_what_is_wrong(text: str, sentence: str) -> None:
    """The benefit digit by name, otherwise how many signs there are."""
    with pytest.raises(Unreadable) as caught:
        read_bhyt(text)
    assert sentence in caught.value.vi


@given(st.integers(min_value=1, max_value=(1 << 40) - 1))
def test_a_station_number_comes_back(patient: int) -> None:
    """With and without spaces; it has 14 digits, a length that no CCCD, BHYT or telephone number has."""
    assert patient_of(station_number(patient)) == patient == patient_of(station_text(patient))
    assert len(station_number(patient)) == 14


@given(st.integers(min_value=1, max_value=(1 << 40) - 1), st.integers(0, 13), st.integers(1, 9))
def test_every_wrong_digit_is_found(patient: int, place: int, more: int) -> None:
    """One digit read wrongly gives a sentence, never another patient."""
    digits = station_number(patient)
    wrong = digits[:place] + str((int(digits[place]) + more) % 10) + digits[place + 1 :]
    with pytest.raises(Unreadable, match="exchanged"):
        patient_of(wrong)


@given(st.integers(min_value=1, max_value=(1 << 40) - 1), st.integers(0, 12))
def test_every_exchange_of_neighbours_is_found(patient: int, place: int) -> None:
    """Two digits the other way round give a sentence; equal ones are the same number."""
    digits = station_number(patient)
    turned = digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]
    if turned == digits:
        assert patient_of(turned) == patient
    else:
        with pytest.raises(Unreadable, match="exchanged"):
            patient_of(turned)


def test_two_patients_never_share_a_station_number() -> None:
    """It is the patient's own number written otherwise: equal only where the whole record is the same one."""
    numbers = [1, 2, 9, 10, 11, 1 << 39, (1 << 40) - 1]
    assert len({station_number(one) for one in numbers}) == len(numbers)
