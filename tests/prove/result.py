"""What one proof found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Size = Literal["pinch", "commit", "night", "release"]
SIZES: tuple[Size, ...] = ("pinch", "commit", "night", "release")
"""``pinch`` is what the test run takes of each proof; ``commit`` fits 12 minutes of two cores, ``night`` a night."""


@dataclass
class Found:
    """`figures`: what was done, by name. `wrong`: what broke the promise, in words; empty when it holds.

    `saboteurs`: each planted bug and whether the same oracle caught it. `repeat`: the command that does it again.
    `skipped`: why nothing was done, when nothing was. `notes`: what a reader must know.
    """

    figures: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    saboteurs: dict[str, bool] = field(default_factory=dict)
    repeat: str = ""
    skipped: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    size: str = ""
    when: str = ""
    commit: str = ""

    @property
    def holds(self) -> bool:
        """Nothing broke and every planted bug was caught."""
        return not self.wrong and all(self.saboteurs.values()) and not self.skipped


@dataclass(frozen=True)
class Proof:
    """One promise: its number, its sentence, and what tries to break it at a size, from a seed.

    `beside`: it mostly waits, and may run beside the others. `alone`: it keeps one core busy, so that as many of its kind as there
    are cores run at a time. `quiet`: it measures time with both cores, and has the machine for itself.
    """

    number: str
    promise: str
    attempt: Callable[[Size, int], Found]
    beside: bool = False
    alone: bool = False
    quiet: bool = False


class SkippedError(Exception):
    """A proof cannot run here; the words say why."""


def pick(size: Size, sizes: Mapping[str, int]) -> int:
    """How many at this size; ``release`` is ten nights where nothing else is said."""
    return sizes[size] if size in sizes else sizes["night"] * (10 if size == "release" else 1)
