"""The box's own store under SIGKILL: 250 forks of the loaded program."""

import json
import subprocess
import sys
from pathlib import Path

KILLS = 250


def test_what_a_killed_program_promised_is_in_the_store_once(tmp_path: Path) -> None:
    """250 forks are killed while they observe and record: nothing lost, nothing twice, no row without its outbox row, no gap."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kills.recorder", str(tmp_path), str(KILLS), "20261122"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["recorded"] >= KILLS // 2, "the forks were killed before they promised anything: this run proves nothing"
    assert (found["lost"], found["doubled"], found["torn"], found["gaps"], found["damage"]) == (0, 0, [], False, [])
