"""The status code: what goes in comes out, and whatever is misread over the telephone is refused with a sentence."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.statuscode import (
    DAYS,
    LETTERS,
    LIGHTS,
    NEVER,
    REASONS,
    WAITING,
    Light,
    Status,
    StatusCodeError,
    explained,
    mark_of,
    read,
    status,
    write,
)  # fmt: skip

STATUSES = st.builds(
    Status, st.integers(0, 255), st.integers(0, 63), st.tuples(*[st.sampled_from(Light)] * len(LIGHTS)), st.integers(0, NEVER),
    st.integers(0, len(WAITING) - 1),
)  # fmt: skip


def reading_of(text: str) -> Status | str:
    """What a text says, or why it is refused."""
    try:
        return read(text)
    except StatusCodeError as error:
        return error.reason


@given(STATUSES)
def test_a_code_says_what_was_put_in(one: Status) -> None:
    """Round trip, with what people add when they type: small letters, spaces, the letters that look like digits."""
    code = write(one)
    assert len(code) == 9
    assert read(code) == one
    assert read(f" {code.lower().replace('-', ' ')} ".replace("0", "o").replace("1", "l")) == one
    assert len(explained(one)) == len(LIGHTS) + 3


@given(st.text(alphabet=LETTERS, min_size=8, max_size=8))
def test_every_code_of_the_space_decodes_or_is_refused(text: str) -> None:
    """Nothing but a status or a named refusal comes of eight letters; a status writes the same code again."""
    found = reading_of(text)
    if isinstance(found, Status):
        assert write(found).replace("-", "") == text
        assert explained(found)
    else:
        assert found in ("check", "version")


@given(st.text())
def test_any_text_decodes_or_is_refused(text: str) -> None:
    """So for whatever else is pasted."""
    found = reading_of(text)
    assert isinstance(found, Status) or found in REASONS


@given(STATUSES, st.integers(0, 7), st.sampled_from(LETTERS))
def test_one_wrong_letter_is_found(one: Status, place: int, letter: str) -> None:
    """Whichever letter it is and wherever."""
    code = write(one).replace("-", "")
    wrong = code[:place] + letter + code[place + 1 :]
    if wrong != code:
        with pytest.raises(StatusCodeError, match="check"):
            read(wrong)


@given(STATUSES)
def test_two_letters_that_changed_places_are_found(one: Status) -> None:
    """Neighbours or not."""
    code = write(one).replace("-", "")
    for first, second in combinations(range(8), 2):
        letters = list(code)
        letters[first], letters[second] = letters[second], letters[first]
        if "".join(letters) != code:
            with pytest.raises(StatusCodeError, match="check"):
                read("".join(letters))


def test_buckets_hold_what_they_name() -> None:
    """Days and what waits are told in ranges, *never* apart; the schema is capped."""
    ok = [Light.OK] * 6
    assert [status("a", 3, ok, each, 0).days for each in (0, 1, 3, 30, 31, 4000, None)] == [0, 1, 2, 5, len(DAYS) - 1, len(DAYS) - 1, NEVER]
    assert [status("a", 3, ok, 0, each).waiting for each in (0, 1, 9, 10, 99, 100, 10_000, 10**9)] == [0, 1, 2, 3, 4, 5, 7, 7]
    assert status("a", 900, ok, 0, 0).schema == 63
    with pytest.raises(ValueError, match="6 lights"):
        status("a", 3, ok[:5], 0, 0)
    said = explained(status("tram-0001", 3, [Light.FAIL, *ok[1:]], 20, 44))
    assert said[0].startswith("Nguồn điện: hỏng. Hỏi trạm")
    assert said[6:] == ["Lần cuối máy chủ báo đã nhận: 15-30 ngày trước.", "Đang chờ gửi: 30-99.", "Phiên bản kho dữ liệu: 3."]
    assert mark_of("tram-0001") != mark_of("tram-0002")
