"""Every promise that is proved here, in order. What another module proves is called by name; until it is built, the page says so."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from functools import partial

from tests.prove import broker, fleet, histories, kills, lossy, power, thin
from tests.prove.result import Found, Proof, Size, SkippedError

BAD = (
    "lost",
    "doubled",
    "wrong",
    "broken",
    "escaped",
    "accepted",
    "missing",
    "failed",
    "outside",
    "corrupt",
    "delayed",
    "removed",
    "undetected",
)
"""Words in the name of a figure that must be 0."""


def elsewhere(module: str, sizes: Mapping[Size, tuple[int, ...]] | None, size: Size, seed: int) -> Found:
    """What `tests.prove.<module>.run` finds: figures by name; those with a word of `BAD` in their name must be 0.
    A figure
    ``saboteur …`` says of a planted bug whether it was caught.
    """
    if importlib.util.find_spec(f"tests.prove.{module}") is None:
        raise SkippedError("not built")
    run: Callable[..., dict[str, int]] = importlib.import_module(f"tests.prove.{module}").run
    counts = sizes.get(size, sizes["night"]) if sizes is not None else ()
    said = run(seed, *counts) if sizes is not None else run()
    found = Found({name.replace("_", " "): value for name, value in said.items() if not name.startswith("saboteur")})
    found.saboteurs = {
        name.removeprefix("saboteur").strip("_ ").replace("_", " "): bool(value)
        for name, value in said.items()
        if name.startswith("saboteur")
    }
    found.wrong = [f"{name} {value}" for name, value in said.items() if value and set(name.lower().split("_")) & set(BAD)]
    return found


def _in(module: str, sizes: Mapping[Size, tuple[int, ...]] | None = None) -> Callable[[Size, int], Found]:
    return partial(elsewhere, module, sizes)


PROOFS: list[Proof] = [
    Proof("P1", "what the kiosk ticked survives SIGKILL of any program", kills.attempt, beside=True),
    Proof("P2", "… and power cuts, also during recovery", power.attempt),
    Proof("P3", "the same for whole unmodified commands on a disk that forgets what was not synced", lossy.attempt),
    Proof("P4", "exactly once in effect, on any schedule", histories.attempt),
    Proof("P5", "a real broker may die, be silent and lose its files", broker.attempt, beside=True),
    Proof("P6", "thirty days offline: requests first, then readings, then photos", thin.month, beside=True),
    Proof("P7", "a request raised while a photo travels leaves first", thin.behind_a_photo, beside=True),
    Proof(
        "P8",
        "a poison record delays nothing and is kept byte-exact",
        _in("poison", {"pinch": (500,), "commit": (10_000,), "night": (100_000,)}),
        alone=True,
    ),
    Proof("P9", "the cloud may be restored from yesterday", _in("restored", {"pinch": (4,), "commit": (40,), "night": (200,)}), alone=True),
    Proof(
        "P10",
        "any clock, any jump: placed right or inside its stated error",
        _in("clock", {"pinch": (300,), "commit": (10_000,), "night": (100_000,)}),
        alone=True,
    ),
    Proof(
        "P11",
        "a full, failing or read-only card loses nothing that was not received",
        _in("full", {"pinch": (), "commit": (), "night": ()}),
        alone=True,
    ),
    Proof(
        "P12", "bit rot is found, never shown as a vital", _in("rot", {"pinch": (30,), "commit": (1_000,), "night": (20_000,)}), alone=True
    ),
    Proof("P13", "the card wears by at most 20 MB a day", _in("wear", {"pinch": (), "commit": (), "night": ()}), alone=True),
    Proof(
        "P14",
        "line noise and damaged frames never become a reading",
        _in("noise", {"pinch": (1,), "commit": (20,), "night": (2_100,)}),
        alone=True,
    ),
    Proof("P15", "every message any released box ever made is still read", _in("golden"), alone=True),
    Proof("P17", "a fleet that comes back at once makes no storm", fleet.attempt, quiet=True),
    Proof(
        "S4",
        "nobody but the bridge can make a box forget",
        _in("hostile_receipts", {"pinch": (200,), "commit": (10_000,), "night": (100_000,)}),
        alone=True,
    ),
]
"""P14 is `make fuzz` for all drivers together, P16 belongs to the rig."""
