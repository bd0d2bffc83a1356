from datetime import date

import pytest

from appliance.contract.events import Allergies, Sex
from appliance.contract.identifiers import Unreadable
from appliance.kiosk.forms import LONGEST, clean, read_birth, read_card, read_patient, short_text

TODAY = date(2026, 3, 1)
GOOD = {"name": "Thử Nghiệm Một", "birth": "30/04/1961", "sex": "female", "allergies": "unknown"}


@pytest.mark.parametrize(
    ("text", "cccd", "bhyt"),
    [
        ("001061012345", "001061012345", ""),
        ("001 061 012 345", "001061012345", ""),
        ("001.061.012-345", "001061012345", ""),
        ("0123456789", "", "0123456789"),
        ("dn4010123456789", "", "DN4010123456789"),
        ("DN 4 01 012 345 6789", "", "DN4010123456789"),
        ("\ufeff001061012345\r\n", "001061012345", ""),
    ],
)
def test_a_typed_number_is_told_by_its_form(text: str, cccd: str, bhyt: str) -> None:
    """12 digits are a CCCD, 10 digits and the 15-sign legacy form are BHYT numbers, however they are spaced."""
    card = read_card(text)
    assert card is not None
    assert (card.cccd, card.bhyt) == (cccd, bhyt)


@pytest.mark.parametrize("text", ["Nguyễn Thị Hường", "12345", "1234567890123", "", "١٢٣٤٥٦٧٨٩٠١٢"])
def test_what_is_no_number_is_no_card(text: str) -> None:
    """A name, a number of another length, or digits of another script is not taken for an identifier."""
    assert read_card(text) is None


@pytest.mark.parametrize("text", ["XX9010123456789", "a|b|c"])
def test_what_no_card_has_says_so(text: str) -> None:
    """A wrong benefit digit and a code of another kind are a sentence, not a search for nothing."""
    with pytest.raises(Unreadable):
        read_card(text)


def test_the_qr_of_a_chip_card_fills_the_form() -> None:
    """Seven fields between bars give number, name in NFC, birth date, sex and the first part of the address."""
    card = read_card("\ufeff001061012345|123456789|Thử Nghiệm Một|30041961|Nữ|Thôn Thử, Xã Mẫu, Tỉnh Mẫu|01012022\r")
    assert card is not None
    assert (card.cccd, card.name, card.birth, card.sex, card.village) == (
        "001061012345", "Thử Nghiệm Một", "1961-04-30", Sex.FEMALE, "Thôn Thử",
    )  # fmt: skip


def test_a_chip_card_without_the_old_number_is_read_too() -> None:
    """Some cards have six fields only, or an empty second field."""
    six = read_card("001061012345|Thử Nghiệm Một|30041961|Nam|Xã Mẫu|01012022")
    empty = read_card("001061012345||Thử Nghiệm Một|30041961|Nam|Xã Mẫu|01012022")
    assert six == empty
    assert six is not None
    assert six.sex is Sex.MALE


def test_the_qr_of_an_insurance_card_fills_the_form() -> None:
    """Name and address are hexadecimal UTF-8, sex 1 is male, and the number is the BHYT number."""
    name, place = "Thử Nghiệm Hai".encode().hex(), "Bản Thử, Xã Mẫu".encode().hex()
    card = read_card(f"DN4010123456789|{name}|30/04/1961|1|{place}|01 - 001|01/01/2025|31/12/2025|01/01/2025|01|-|4|01/01/2030|x|$")
    assert card is not None
    assert (card.bhyt, card.cccd, card.name, card.birth, card.sex, card.village) == (
        "DN4010123456789", "", "Thử Nghiệm Hai", "1961-04-30", Sex.MALE, "Bản Thử",
    )  # fmt: skip
    assert (read_card(f"0123456789|{name}|1961|2|{place}|x") or card).sex is Sex.FEMALE


@pytest.mark.parametrize(
    ("text", "iso"),
    [("30/04/1961", "1961-04-30"), ("3-4-1961", "1961-04-03"), ("30041961", "1961-04-30"), ("04/1961", "1961-04"), ("1961", "1961")],
)
def test_a_birth_date_may_be_whole_or_the_year_alone(text: str, iso: str) -> None:
    """Day, month and year, in the order people write them; month and year; or the year alone."""
    assert read_birth(text, TODAY) == (iso, None)


@pytest.mark.parametrize("text", ["", "hôm qua", "31/02/1961", "1961-04-30-01", "30/04/61", "01/01/2027", "1800", "0000", "30/13/1961"])
def test_a_wrong_birth_date_says_how_to_put_it_right(text: str) -> None:
    """Nothing is guessed: no date, and a sentence in both languages."""
    iso, error = read_birth(text, TODAY)
    assert iso == ""
    assert error is not None
    assert all(len(sentence) > 20 for sentence in error)


def test_a_good_form_has_no_errors() -> None:
    """What is not required may be empty."""
    filled = read_patient(GOOD, TODAY)
    assert not filled.errors
    assert filled.values["birth"] == "1961-04-30"
    assert filled.values["sex"] is Sex.FEMALE
    assert filled.values["allergies"] is Allergies.UNKNOWN


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("name", "", "Ghi họ và tên"),
        ("name", "Thử 2", "chỉ có chữ"),
        ("name", "T" * (LONGEST["name"] + 1), "dài quá"),
        ("birth", "31/02/1961", "30/04/1961"),
        ("sex", "", "Chọn giới tính"),
        ("sex", "zzz", "Chọn giới tính"),
        ("cccd", "00106101234", "12 chữ số, ở đây có 11"),
        ("cccd", "0010610123A5", "chỉ có chữ số"),
        ("bhyt", "12345", "10 số"),
        ("phone", "12", "bắt đầu bằng 0"),
        ("allergies", "", "dị ứng"),
    ],
)
def test_every_wrong_field_has_its_sentence(name: str, value: str, word: str) -> None:
    """The sentence stands at the field and says in Vietnamese what to do."""
    errors = read_patient(GOOD | {name: value}, TODAY).errors
    assert list(errors) == [name]
    assert word in errors[name][0]


def test_a_known_allergy_must_be_named() -> None:
    """*Known* without a word about what is an error; with it, it is kept; text without *known* is not kept."""
    assert "allergy_text" in read_patient(GOOD | {"allergies": "known"}, TODAY).errors
    filled = read_patient(GOOD | {"allergies": "known", "allergy_text": " penicillin "}, TODAY)
    assert filled.values["allergy_text"] == "penicillin"
    assert read_patient(GOOD | {"allergies": "none_known", "allergy_text": "x"}, TODAY).values["allergy_text"] == ""


def test_text_is_kept_composed_and_single_spaced() -> None:
    """Decomposed Vietnamese becomes NFC; control and invisible signs vanish."""
    assert clean("Đặng  Thị\u200b Hường\n") == "Đặng Thị Hường"


def test_a_long_text_says_how_long_it_may_be() -> None:
    """A complaint must fit the thin link."""
    _text, error = short_text("đau " * 300, "complaint")
    assert error is not None
    assert str(LONGEST["complaint"]) in error[0]
