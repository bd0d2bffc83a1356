"""``python -m tests.prove [pinch|commit|night|release] [--only P4] [--seed N] [--page FILE]``: try to break the delivery contract.

Prints one page (and writes it to FILE): per promise what was done, what was found, the bugs that were planted and caught, and
the command that repeats it. Ends with 1 when a promise broke or a planted bug was not caught, else 0.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from tests.prove.page import Run, line, write
from tests.prove.proofs import PROOFS
from tests.prove.result import SIZES, Found, Proof, Size, SkippedError

SEED = 20261122


def attempt(proof: Proof, size: Size, seed: int) -> Found:
    """Run one proof; a crash of it is a finding, never a silence."""
    began = time.monotonic()
    try:
        found = proof.attempt(size, seed)
    except SkippedError as error:
        found = Found(skipped=str(error))
    except Exception as error:  # noqa: BLE001 - whatever it was, it belongs on the page
        traceback.print_exc()
        found = Found(wrong=[f"the proof itself ended: {type(error).__name__}: {error}"[:300]])
    found.seconds = time.monotonic() - began
    found.repeat = found.repeat or f"python -m tests.prove {size} --only {proof.number} --seed {seed}"
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Try to break everything; 0 when nothing broke."""
    words = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("size", nargs="?", default="commit", choices=SIZES)
    words.add_argument("--only", action="append", default=[], metavar="P4", help="only this promise (may be repeated)")
    words.add_argument("--seed", type=int, default=SEED)
    words.add_argument("--page", type=Path, help="also write the page into this file")
    said = words.parse_args(argv)
    wanted = [proof for proof in PROOFS if not said.only or proof.number in said.only]
    unknown = sorted(set(said.only) - {proof.number for proof in PROOFS})
    if unknown:
        words.error(f"--only {' '.join(unknown)}: expected one of {' '.join(proof.number for proof in PROOFS)}, for example --only P4")
    run = Run(said.size, said.seed, datetime.now(UTC), {})


    def prove(proof: Proof) -> None:
        print(f"{proof.number}: {proof.promise} …", file=sys.stderr, flush=True)
        run.found[proof.number] = attempt(proof, said.size, said.seed)
        print("  " + line(proof, run.found[proof.number]), file=sys.stderr, flush=True)

    began = time.monotonic()
    with ThreadPoolExecutor(1) as beside:
        waiting = beside.map(prove, [proof for proof in wanted if proof.beside])
        for proof in wanted:
            if not proof.beside:
                prove(proof)
        list(waiting)
    run.seconds = time.monotonic() - began
    page = write(run, wanted)
    print(page)
    if said.page is not None:
        said.page.write_text(page, encoding="utf-8")
    return 0 if all(found.holds or found.skipped for found in run.found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
