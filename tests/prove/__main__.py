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
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.prove.page import commit, line, write
from tests.prove.proofs import PROOFS
from tests.prove.result import SIZES, Found, Proof, Size, SkippedError

SEED = 20261122


def attempt(proof: Proof, size: Size, seed: int) -> Found:
    """Run one proof; a crash of it is a finding, never a silence."""
    began, when, load = time.monotonic(), datetime.now(UTC), os.getloadavg()[0]
    try:
        found = proof.attempt(size, seed)
    except SkippedError as error:
        found = Found(skipped=str(error))
    except Exception as error:  # noqa: BLE001 - whatever it was, it belongs on the page
        traceback.print_exc()
        found = Found(wrong=[f"the proof itself ended: {type(error).__name__}: {error}"[:300]])
    found.notes.append(f"the machine's load was {load:.1f} when this began")
    found.seconds = time.monotonic() - began
    found.repeat = found.repeat or f"python -m tests.prove {size} --only {proof.number} --seed {seed}"
    found.size, found.when, found.commit = size, f"{when:%Y-%m-%d %H:%M}", commit()
    return found


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

    def prove(proof: Proof) -> None:
        print(f"{proof.number}: {proof.promise} …", file=sys.stderr, flush=True)
        found[proof.number] = attempt(proof, said.size, said.seed)
        print("  " + line(proof, found[proof.number]), file=sys.stderr, flush=True)
        if said.kept is not None:
            keep(said.kept, {proof.number: found[proof.number]})

    with ThreadPoolExecutor(1) as beside:
        waiting = beside.map(prove, [proof for proof in wanted if proof.beside])
        for proof in wanted:
            if not proof.beside:
                prove(proof)
        list(waiting)
    page = write(kept(said.kept) | found if said.kept is not None else found, PROOFS)
    print(page)
    if said.page is not None:
        said.page.write_text(page, encoding="utf-8")
    return 0 if all(one.holds or one.skipped for one in found.values()) else 1


def kept(file: Path) -> dict[str, Found]:
    """What a file holds of earlier runs; nothing where there is none."""
    if not file.exists():
        return {}
    return {number: Found(**one) for number, one in json.loads(file.read_text(encoding="utf-8")).items()}


def keep(file: Path, more: dict[str, Found]) -> None:
    """Add what was found just now."""
    file.write_text(json.dumps({number: asdict(one) for number, one in (kept(file) | more).items()}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
