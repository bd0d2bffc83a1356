"""The quality record of the drivers says something true about each of them, in known words."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.metrics import TABLE
from appliance.devices import drivers, reference
from appliance.devices.driver import Hid
from appliance.devices.registry import ROWS
from tests.house.tree import ROOT

FILE = Path(drivers.__file__).parent / "quality.toml"
PROOFS = {"specification", "recorded bytes", "pseudo-terminal", "virtual machine", "hardware"}


def records() -> dict[str, Any]:
    """The whole file."""
    return tomllib.loads(FILE.read_text())


def test_every_driver_has_its_record() -> None:
    """And every record its driver."""
    assert set(records()) - {"rules"} == set(ROWS)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_rule_is_answered(name: str) -> None:
    """Done, or exempt with a reason of some words; proved on something known."""
    record = records()[name]
    proofs = record.pop("proved_on")
    assert all(record.pop(word) for word in ("device", "gives", "starts"))
    assert proofs and set(proofs) <= PROOFS
    assert set(record) == set(records()["rules"])
    for rule, answer in record.items():
        assert answer == "done" or (answer.startswith("exempt: ") and len(answer.split()) >= 4), f"{rule}: {answer}"


@pytest.mark.parametrize("name", sorted(ROWS))
def test_records_agree_with_the_code(name: str) -> None:
    """A driver that reads a memory has a way to ask for it; one that never sends cannot claim commands; its metrics exist."""
    row, record = ROWS[name], records()[name]
    assert hasattr(row.make(None), "recall") == (record["memory"] == "done")
    assert set(row.metrics) <= set(TABLE)
    if not row.writes:
        assert not hasattr(row.make(None), "recall")


def test_the_reference_is_what_registry_and_record_say() -> None:
    """Made anew it is the same: ``python -m appliance.devices.reference docs/reference/devices.md`` after a change."""
    assert reference.main(["--check", str(ROOT / "docs" / "reference" / "devices.md")]) == 0


def test_the_reference_names_every_driver() -> None:
    """A line for each row, with its speed or ids, and which are off in service."""
    lines = (ROOT / "docs" / "reference" / "devices.md").read_text().splitlines()
    for row in ROWS.values():
        (line,) = [each for each in lines if each.startswith(f"| `{row.name}` |")]
        assert (row.line.ids if isinstance(row.line, Hid) else str(row.line.baud)) in line
        assert row.service == ("refused in production" not in line)


def test_a_stale_reference_is_found_and_mended(tmp_path: Path) -> None:
    """A driver too few: the check says so, writing puts it back; prose around the tables stays."""
    whole = (ROOT / "docs" / "reference" / "devices.md").read_text()
    file = tmp_path / "devices.md"
    file.write_text("".join(line for line in whole.splitlines(keepends=True) if not line.startswith("| `nonin`")))
    assert reference.main(["--check", str(file)]) == 1
    assert reference.main([str(file)]) == 0
    assert file.read_text() == whole


def test_a_file_without_places_is_refused(tmp_path: Path) -> None:
    """Nothing is written where the tables have no place."""
    file = tmp_path / "other.md"
    file.write_text("# Other\n")
    with pytest.raises(ValueError, match="families"):
        reference.main([str(file)])
