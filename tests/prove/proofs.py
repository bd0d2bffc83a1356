"""Every promise that is proved here, in order. What another module proves is called by name; until it is built, the page says so."""

import importlib
from collections.abc import Callable

from tests.prove import histories
from tests.prove.result import Found, Proof, Size, SkippedError

PROOFS: list[Proof] = [
    Proof("P4", "exactly once in effect, whatever happens", histories.attempt),
]
