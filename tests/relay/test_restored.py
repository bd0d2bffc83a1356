"""The bridge's store is put back by a day under a district of boxes; and a broker that lies about what was received."""

import pytest

from tests.prove import hostile_receipts, restored

MUST_BE_NOTHING = ("lost", "doubled", "missing", "wrong", "human")


def harm(figures: dict[str, int]) -> dict[str, int]:
    """What must not have happened and has."""
    return {name: value for name, value in figures.items() if name.startswith(MUST_BE_NOTHING) and value}


def caught(figures: dict[str, int]) -> list[int]:
    """For every planted bug whether the same look found it."""
    return [value for name, value in figures.items() if name.startswith("saboteur")]


def test_a_district_gets_a_lost_day_back_without_a_hand() -> None:
    """20 boxes, by the command and by a raw copy: every record, request and answer once, nothing open that was answered."""
    figures = restored.run(7, 20)
    assert harm(figures) == {}
    assert figures["answers_of_the_day_that_is_gone"] > 10
    assert caught(figures) == [1]


@pytest.mark.parametrize("seed", range(3))
def test_no_hostile_receipt_makes_a_box_forget(seed: int) -> None:
    """Forged, edited, torn, replayed, of other stations, epochs, stores, keys: the box keeps all (10,000 in `make prove`)."""
    figures = hostile_receipts.run(seed, 440)
    assert harm(figures) == {}
    assert figures["hostile_receipts"] == 440
    assert caught(figures) == [1]
