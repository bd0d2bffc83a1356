"""Ten megabytes of hostile bytes into the drivers, with the counts that must be 0; `make fuzz` does a hundred for each."""

from pathlib import Path

import pytest

from appliance.devices.registry import ROWS
from tests.fuzz import results
from tests.fuzz.count import bad, fuzz, numbers
from tests.fuzz.planted import planted
from tests.fuzz.streams import KINDS, clean, pieces
from tests.prove import noise

SIZE = 10_000_000 // len(ROWS)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_no_reading_comes_out_of_hostile_bytes(name: str) -> None:
    """No exception, no byte lost, nothing grows, no reading out of noise; in service, no number that nobody sent."""
    count = fuzz(ROWS[name], 1, SIZE)
    assert count["bytes"] >= 0.9 * SIZE
    assert bad(ROWS[name], count) == []


@pytest.mark.parametrize("name", sorted(ROWS))
def test_the_damaged_frames_were_true_ones(name: str) -> None:
    """The simulated device was heard: there are frames to damage, with numbers in them, where a listener may believe them."""
    assert clean(name)
    assert numbers(name) or name == "suntech-nibp"


def test_a_seed_is_a_stream() -> None:
    """The same bytes again for the same seed, others for another; every kind of them."""
    first, again, other = (list(pieces("nonin", seed, 700_000)) for seed in (5, 5, 6))
    assert first == again != other
    assert {kind for kind, _data in first} == set(KINDS)


@pytest.mark.parametrize("bug", sorted(planted()))
def test_a_planted_driver_is_caught(bug: str) -> None:
    """Each by the count that it breaks."""
    row, sign = planted()[bug]
    count = fuzz(row, 1, 400_000, loud=False)
    assert count[sign]
    assert bad(row, count)


def test_the_page_of_the_long_run_is_made_of_its_results() -> None:
    """``python -m tests.fuzz --page docs/reference/fuzz-results.md`` makes it anew; no kept result breaks a promise."""
    found = results.kept(results.KEPT)
    assert found
    assert results.PAGE.read_text(encoding="utf-8") == results.page(found)
    assert "**broken**" not in results.page(found)


def test_a_run_that_was_cut_short_goes_on_where_it_was(tmp_path: Path) -> None:
    """What has ended is kept line by line; another seed, more bytes or another driver's text is fed anew."""
    kept = tmp_path / "kept.jsonl"
    results.keep(kept, results.line("hl7-mllp", 5, fuzz(ROWS["hl7-mllp"], 5, 10_000), 1.0))
    (only,) = results.kept(kept)
    assert results.ended(kept, only["seed"], 10_000) == {"hl7-mllp"}
    assert results.ended(kept, only["seed"] + 1, 10_000) == results.ended(kept, only["seed"], 10_000_000) == set()
    results.keep(kept, only | {"sources": "another"})
    assert results.ended(kept, only["seed"], 10_000) == set()


def test_the_proof_of_the_contract_says_all_of_it() -> None:
    """P14's figures: what is bad is 0, what was planted was caught."""
    found = noise.run(3, 0)
    assert all(
        value == 0 for name, value in found.items() if name.startswith(("exceptions", "bytes_lost", "buffers", "readings", "numbers_wrong"))
    )
    assert all(value == 1 for name, value in found.items() if name.startswith("saboteur"))
