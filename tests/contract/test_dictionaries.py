"""Dictionaries of parcels: what they were trained on, and that they never change."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import pytest

from appliance.contract.errors import WireError
from appliance.contract.events import ConsultRequested
from appliance.contract.pile import PILE_BYTES, dictionary_bytes, press, unpress
from appliance.simulate import day, texts, train, write_day

SHIPPED = {"1.zdict": "242ea38862d1876d66d72b1cad56bd7030e526f9695a6ae481072aa2a8f6a4fd"}
"""SHA-256 of every dictionary that ever shipped. Lines are added, never changed."""


def test_dictionaries_never_change_and_never_go() -> None:
    """Parcels of every number must stay readable for ever."""
    found = {
        one.name: hashlib.sha256(one.read_bytes()).hexdigest()
        for one in (files("appliance.contract") / "dictionaries").iterdir()
        if one.name.endswith(".zdict")
    }
    assert found == SHIPPED


def test_training_and_measuring_share_no_sentence() -> None:
    """The dictionary has never seen a sentence it is measured with, and no name either."""
    assert not set(texts.MEASURED) & {*texts.TRAINING, *texts.TRAINING_ADVICE}
    assert not set(texts.MEASURED_NAMES) & set(texts.TRAINING_NAMES)
    measured = _sentences(range(1, 6))
    trained = _sentences(range(texts.FIRST_TRAINING_SEED, texts.FIRST_TRAINING_SEED + train.DAYS))
    assert measured
    assert trained
    assert not measured & trained


def _sentences(seeds: range) -> set[str]:
    complaints = [event.body.complaint for seed in seeds for event in day(seed) if isinstance(event.body, ConsultRequested)]
    return {sentence.strip(" .?") for complaint in complaints for sentence in complaint.replace("?", ".").split(". ")}


def test_an_unknown_dictionary_is_a_wire_error() -> None:
    """A parcel of a later version says so and is set aside; it does not end the reader."""
    with pytest.raises(WireError, match="dictionary"):
        dictionary_bytes(99)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("pile", [b"x", bytes(5000), "Đau đầu từ ba ngày nay".encode() * 50, bytes(range(256)) * 4096])
def test_a_pile_comes_back(number: int, pile: bytes) -> None:
    """Short and long, up to a mebibyte."""
    assert unpress(press(pile, number), number) == pile


def test_a_pile_above_the_bound_is_refused() -> None:
    """A few bytes that stand for more than a mebibyte are oversized, whatever they stand for."""
    with pytest.raises(WireError, match="oversized"):
        unpress(press(bytes(PILE_BYTES + 1), 0), 0)


def test_training_refuses_to_overwrite(tmp_path: Path) -> None:
    """A number is given once."""
    (tmp_path / "1.zdict").write_bytes(b"shipped")
    with pytest.raises(FileExistsError):
        train.write_dictionary(1, tmp_path)
    assert (tmp_path / "1.zdict").read_bytes() == b"shipped"


def test_a_day_is_written_as_lines_people_can_read(tmp_path: Path) -> None:
    """One JSON object a line, Vietnamese as it is, one line per event."""
    assert write_day(5, tmp_path / "day.jsonl") == 388
    text = (tmp_path / "day.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 388
    assert {line["kind"] for line in lines} == {"ObservationRecorded", "ConsultRequested", "AnswerRead"}
    assert "Thử" in text
    assert all("test-data" in one["status"] for line in lines if "reading" in line for one in line["reading"]["numerics"])
