"""The page that `make prove` prints: Markdown, made by the machine from what was found."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.prove.result import Found, Proof, Size

ROOT = Path(__file__).resolve().parent.parent.parent

HEAD = """\
# What `make prove` found

This page is made by the machine; nobody edits it. Each row tries to break one promise of the
[delivery contract](../explanation/delivery.md). *Saboteurs* are bugs planted into the program on purpose: the same look
that finds nothing wrong with the honest program must find each of them, or the proof proves nothing.

"""


@dataclass
class Run:
    """One run: its size, its seed, when it was, and what each proof found, by number."""

    size: Size
    seed: int
    at: datetime
    found: dict[str, Found]
    seconds: float = 0.0


def line(proof: Proof, found: Found) -> str:
    """One proof in one line, for whoever watches."""
    caught, planted = sum(found.saboteurs.values()), len(found.saboteurs)
    return f"{proof.number} {verdict(found)}; {_figures(found)}; saboteurs {caught}/{planted}; {found.seconds:.0f} s"


def verdict(found: Found) -> str:
    """The word for what was found."""
    if found.skipped:
        return "not run"
    if found.wrong:
        return "BROKEN"
    return "holds" if all(found.saboteurs.values()) else "NOT PROVED: a saboteur escaped"


def write(run: Run, proofs: list[Proof]) -> str:
    """The whole page."""
    processor = next((row.partition(": ")[2] for row in _cpuinfo() if row.startswith("model name")), platform.machine())
    rows = [
        f"Size **{run.size}**, seed {run.seed}, {run.at:%Y-%m-%d %H:%M} UTC, commit {_commit()}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores ({processor.strip()}), {run.seconds / 60:.1f} minutes.",
        "",
        "| | Promise | Done | Result | Saboteurs caught | Time |",
        "|---|---|---|---|---|---|",
    ]
    for proof in proofs:
        found = run.found[proof.number]
        caught = f"{sum(found.saboteurs.values())} of {len(found.saboteurs)}" if found.saboteurs else "–"
        done = found.skipped if found.skipped else _figures(found)
        rows.append(f"| {proof.number} | {proof.promise} | {done} | {verdict(found)} | {caught} | {found.seconds:.0f} s |")
    rows += ["", "## Saboteurs", "", "| | Planted bug | Caught |", "|---|---|---|"]
    for proof in proofs:
        for name, caught_it in run.found[proof.number].saboteurs.items():
            rows.append(f"| {proof.number} | {name} | {'yes' if caught_it else '**no**'} |")
    rows += ["", "## To repeat", ""]
    rows += [f"* {proof.number}: `{run.found[proof.number].repeat}`" for proof in proofs]
    told = [(proof.number, note) for proof in proofs for note in [*run.found[proof.number].wrong[:20], *run.found[proof.number].notes]]
    if told:
        rows += ["", "## Notes", "", *(f"* {number}: {note}" for number, note in told)]
    return HEAD + "\n".join(rows) + "\n"


def _figures(found: Found) -> str:
    return ", ".join(f"{name} {value:,.0f}" if value == round(value) else f"{name} {value:,.2f}" for name, value in found.figures.items())


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
