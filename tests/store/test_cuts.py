"""What belongs together is there together, or not at all, wherever the process dies."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.store.cuts import STEPS

ROOT = Path(__file__).resolve().parent.parent.parent


def cuts(folder: Path, step: str, every: str, stride: int) -> dict[str, Any]:
    """What `tests.store.cuts` found."""
    command = [sys.executable, "-m", "tests.store.cuts", str(folder), step, every, str(stride)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("step", sorted(STEPS))
def test_a_process_killed_between_two_statements_leaves_all_or_nothing(tmp_path: Path, step: str) -> None:
    """Killed before each statement in turn: row and event both there or neither, and the uncut step does both."""
    found = cuts(tmp_path, step, "statement", 1)
    assert found["torn"] == []
    assert found["done"] is True
    assert found["cuts"] >= 5
    assert found["none"] >= 4, "some cut must come before the commit, or nothing was tried"


def test_record_killed_within_a_statement_leaves_all_or_nothing(tmp_path: Path) -> None:
    """Killed at every 12th instruction of SQLite's machine, the commit's own included."""
    found = cuts(tmp_path, "record", "instruction", 12)
    assert found["torn"] == []
    assert found["done"] is True
    assert found["cuts"] >= 20
