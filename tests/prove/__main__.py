"""``python -m tests.prove [pinch|commit|night|release] [--only P4] [--seed N] [--kept FILE] [--page FILE]``: try to break the contract.

Prints one page (and writes it to FILE): per promise what was done, what was found, the bugs that were planted and caught, and
the command that repeats it. With ``--kept`` what was found is kept in a JSON file and the page shows what each proof found
when it was last tried, so that a night can be cut into slices. Ends with 1 when a promise broke or a planted bug was
not caught, else 0.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from threading import Lock

from tests.prove.attempt import attempt, numbered
from tests.prove.page import line, write
from tests.prove.pool import pool
from tests.prove.proofs import PROOFS
from tests.prove.result import SIZES, Found, Proof, Size

SEED = 20261122
BESIDE, NICE = 2, 10
"""So many of the proofs that mostly wait run beside the others, which give way to them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Try to break everything; 0 when nothing broke."""
    words = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("size", nargs="?", default="commit", choices=SIZES)
    words.add_argument("--only", action="append", default=[], metavar="P4", help="only this promise (may be repeated)")
    words.add_argument("--seed", type=int, default=SEED)
    words.add_argument("--kept", type=Path, help="keep what was found in this file, beside what it holds of other proofs")
    words.add_argument("--page", type=Path, help="also write the page into this file")
    said = words.parse_args(argv)
    numbers = {proof.number for proof in PROOFS}
    unknown = sorted(set(said.only) - numbers)
    if unknown:
        words.error(f"--only {' '.join(unknown)}: expected one of {' '.join(sorted(numbers))}, for example --only P4")
    wanted = [proof for proof in PROOFS if not said.only or proof.number in said.only]
    found: dict[str, Found] = {}

    def note(proof: Proof, one: Found) -> None:
        found[proof.number] = one
        print("  " + line(proof, one), file=sys.stderr, flush=True)
        if said.kept is not None:
            keep(said.kept, {proof.number: one})

    def prove(proof: Proof) -> None:
        print(f"{proof.number}: {proof.promise} …", file=sys.stderr, flush=True)
        note(proof, attempt(proof, said.size, said.seed))

    began = time.monotonic()
    for proof in wanted:
        if proof.quiet:
            prove(proof)
    with ThreadPoolExecutor(BESIDE) as beside:
        waiting = [beside.submit(prove, proof) for proof in wanted if proof.beside]
        if waiting:
            os.nice(NICE)  # of this thread and what it starts from here on: those beside measure time, and go first
        for proof in wanted:
            if not proof.quiet and not proof.beside and not proof.alone:
                prove(proof)
        _two_at_a_time([proof for proof in wanted if proof.alone], said.size, said.seed, note)
        for one in waiting:
            one.result()
    print(f"{(time.monotonic() - began) / 60:.1f} minutes", file=sys.stderr, flush=True)
    page = write(kept(said.kept) | found if said.kept is not None else found, PROOFS)
    print(page)
    if said.page is not None:
        said.page.write_text(page, encoding="utf-8")
    return 0 if all(one.holds or one.skipped for one in found.values()) else 1


def _two_at_a_time(proofs: Sequence[Proof], size: Size, seed: int, note: Callable[[Proof, Found], None]) -> None:
    """Proofs that keep one core busy, each in a program of its own, as many as there are cores."""
    if not proofs:
        return
    with pool() as workers:
        begun = {workers.submit(numbered, proof.number, size, seed): proof for proof in proofs}
        for one in as_completed(begun):
            note(begun[one], one.result())


_WRITING = Lock()


def kept(file: Path) -> dict[str, Found]:
    """What a file holds of earlier runs; nothing where there is none."""
    if not file.exists():
        return {}
    return {number: Found(**one) for number, one in json.loads(file.read_text(encoding="utf-8")).items()}


def keep(file: Path, more: dict[str, Found]) -> None:
    """Add what was found just now."""
    with _WRITING:
        file.write_text(json.dumps({number: asdict(one) for number, one in (kept(file) | more).items()}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
