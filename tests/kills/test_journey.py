"""Both ends under SIGKILL: every program, 110 real executions and 160 forks of the loaded program."""

import json
import subprocess
import sys
from pathlib import Path

EXECUTIONS, FORKS = 110, 160


def test_what_people_were_told_survives_the_death_of_any_program(tmp_path: Path) -> None:
    """Readings, patients, requests and signed answers that were promised are at the other end, once, after 270 kills."""
    command = [sys.executable, "-m", "tests.kills.journey", str(tmp_path), str(EXECUTIONS), str(FORKS), "20261122"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    # the first fork of each program takes the place of an execution, which is killed for it
    executions, forks = (sum(found[f"{what}_killed"].values()) for what in ("executions", "forks"))
    assert executions >= EXECUTIONS
    assert executions + forks == EXECUTIONS + FORKS
    assert min(found[f"{what}_promised"] for what in ("readings", "patients", "consults", "answers")) > 0, "nothing was promised: no proof"
    assert set(found["lost"].values()) == {0}, found
    assert (found["doubled"], found["answers_doubled"], found["invented"], found["quarantined"]) == (0, 0, 0, 0), found
