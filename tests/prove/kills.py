"""P1: SIGKILL of every program of both ends, and of the program that writes the store, at random moments (tests/kills)."""

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.conftest import ROOT
from tests.kills.recorder import BUGS
from tests.prove.result import Found, Size, pick

KILLS = {"pinch": 60, "commit": 1_740, "night": 17_000, "release": 85_000}
EXECUTIONS = {"pinch": 0, "commit": 205, "night": 2_000, "release": 10_000}
FORKS = {"pinch": 0, "commit": 60, "night": 1_000, "release": 5_000}
PART = 300
"""Kills of one store: a look at the end decodes everything that was ever saved in it."""


def _run(module: str, *words: object) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tram-p1-") as folder:
        command = [sys.executable, "-m", module, folder, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=6 * 3600)
        if done.returncode:
            raise RuntimeError(f"{module}: {done.stderr[-500:]}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def _broken(found: dict[str, Any]) -> list[str]:
    return [f"{name}: {found[name]}" for name in ("lost", "doubled", "torn", "gaps", "damage") if found[name]]


def attempt(size: Size, seed: int) -> Found:
    """P1: kill the recorder in parts, then every command of both ends."""
    found, kills = Found(), pick(size, KILLS)
    parts = [min(PART, kills - start) for start in range(0, kills, PART)]
    with ThreadPoolExecutor(2) as threads:
        told = list(threads.map(lambda one: _run("tests.kills.recorder", one[1], seed + one[0]), enumerate(parts)))
        bugs = [] if size == "pinch" else list(threads.map(lambda bug: (bug, _run("tests.kills.recorder", 60, seed, bug)), BUGS[1:]))
    for one in told:
        found.wrong += [f"seed {one['seed']}: {wrong}" for wrong in _broken(one)]
    found.saboteurs = {bug: bool(_broken(one)) for bug, one in bugs}
    found.figures = {"kills": kills, "promises": sum(one["observed"] + one["recorded"] for one in told)}
    executions = pick(size, EXECUTIONS)
    if executions:
        both = _run("tests.kills.journey", executions, pick(size, FORKS), seed)
        commands, forks = (sum(both[f"{what}_killed"].values()) for what in ("executions", "forks"))
        found.figures["kills"] += commands + forks
        found.figures["of them real executions of the commands"] = commands
        promised = ("readings", "patients", "consults", "answers")
        found.figures["promises"] += sum(both[f"{what}_promised"] for what in promised)
        found.wrong += [f"both ends: {name} lost {count}" for name, count in both["lost"].items() if count]
        found.wrong += [
            f"both ends: {name} {both[name]}" for name in ("doubled", "answers_doubled", "invented", "quarantined") if both[name]
        ]
        found.wrong += [f"both ends: no {what} was promised: no proof" for what in promised if not both[f"{what}_promised"]]
    found.figures |= {"lost": 0, "doubled": 0} if not found.wrong else {}
    return found
