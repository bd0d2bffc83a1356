"""One proof, tried: in this program, or by its number in a program of its own."""

import os
import time
import traceback
from datetime import UTC, datetime

from tests.prove.page import commit
from tests.prove.proofs import PROOFS
from tests.prove.result import Found, Proof, Size, SkippedError


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


def numbered(number: str, size: Size, seed: int) -> Found:
    """One proof by its number: a proof itself does not travel between programs."""
    return attempt(next(proof for proof in PROOFS if proof.number == number), size, seed)
