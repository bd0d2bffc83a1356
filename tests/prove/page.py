"""The page that `make prove` prints: Markdown, made by the machine from what was found."""

import os
import platform
import subprocess
from pathlib import Path

from tests.prove.result import Found, Proof

ROOT = Path(__file__).resolve().parent.parent.parent

HEAD = """\
# What `make prove` found

This page is made by the machine; nobody edits it. Each row tries to break one promise of the
[delivery contract](../explanation/delivery.md). *Saboteurs* are bugs planted into the program on purpose: the same look
that finds nothing wrong with the honest program must find each of them, or the proof proves nothing.

"""


def line(proof: Proof, found: Found) -> str:
    """One proof in one line, for whoever watches."""
    caught, planted = sum(found.saboteurs.values()), len(found.saboteurs)
    return f"{proof.number} {verdict(found)}; {_figures(found)}; saboteurs {caught}/{planted}; {found.seconds:.0f} s"


def verdict(found: Found) -> str:
    """The word for what was found."""
    if found.skipped:
        return "not run"
    if found.wrong and all("no proof" in wrong for wrong in found.wrong):
        return "NOT PROVED: nothing was promised"
    if found.wrong:
        return "missed" if all(wrong.startswith("missed") for wrong in found.wrong) else "BROKEN"
    return "holds" if all(found.saboteurs.values()) else "NOT PROVED: a saboteur escaped"


def write(found: dict[str, Found], proofs: list[Proof]) -> str:
    """The whole page, of what each proof found when it was last tried."""
    processor = next((row.partition(": ")[2] for row in _cpuinfo() if row.startswith("model name")), platform.machine())
    tried = [proof for proof in proofs if proof.number in found]
    minutes = sum(found[proof.number].seconds for proof in tried) / 60
    where = f"Python {platform.python_version()}, {os.cpu_count()} cores ({processor.strip()})"
    rows = [
        f"{where}; {minutes:.0f} minutes, some of them beside each other.",
        "",
        "| | Promise | Size, commit, UTC | Done | Result | Saboteurs caught | Time |",
        "|---|---|---|---|---|---|---|",
    ]
    for proof in tried:
        one = found[proof.number]
        caught = f"{sum(one.saboteurs.values())} of {len(one.saboteurs)}" if one.saboteurs else "–"
        done = one.skipped if one.skipped else _figures(one)
        when = f"{one.size}, {one.commit}, {one.when}"
        rows.append(f"| {proof.number} | {proof.promise} | {when} | {done} | {verdict(one)} | {caught} | {one.seconds:.0f} s |")
    rows += ["", "## Saboteurs", "", "| | Planted bug | Caught |", "|---|---|---|"]
    rows += [
        f"| {proof.number} | {name} | {'yes' if caught_it else '**no**'} |"
        for proof in tried
        for name, caught_it in found[proof.number].saboteurs.items()
    ]
    rows += ["", "## To repeat", "", *(f"* {proof.number}: `{found[proof.number].repeat}`" for proof in tried)]
    told = [(proof.number, note) for proof in tried for note in [*found[proof.number].wrong[:20], *found[proof.number].notes]]
    if told:
        rows += ["", "## Notes", "", *(f"* {number}: {note}" for number, note in told)]
    return HEAD + "\n".join(rows) + "\n"


def _figures(found: Found) -> str:
    return ", ".join(f"{name} {value:,.0f}" if value == round(value) else f"{name} {value:,.2f}" for name, value in found.figures.items())


def commit() -> str:
    """The commit that is being tried, short."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
