"""What the kernel counts of a process, read from /proc: memory in KiB, CPU in seconds."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """`private_dirty` is what only this process holds and could not be dropped; `pss` shares common pages out fairly. KiB."""

    private_dirty: int
    pss: int
    rss: int


def memory(pid: int) -> Memory:
    """The memory of a process from its smaps_rollup; OSError when it is gone or not ours."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split(":", 1)
        found[name] = int(value.split()[0])
    return Memory(found["Private_Dirty"], found["Pss"], found["Rss"])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, to 1/100 s (the kernel's clock tick)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    """The smallest value with at least `share` (0..1) of the values at or below it.

    >>> percentile([3.0, 1.0, 2.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -(-int(len(ordered) * share * 1000) // 1000) - 1))]
