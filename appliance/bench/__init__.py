"""Measurements of speed, bytes and memory, as ratios against a baseline in the same run (`tram bench NAME`)."""

import importlib
from collections.abc import Iterator
from typing import Any

NAMES = ("wire", "day", "outbox", "latency", "memory", "pages", "ingest", "drain", "wear", "drivers")
"""The benches; each is a module here with ``run() -> dict``."""
LONG = ("thin", "month")
"""Benches of real minutes on a thin link, as root: only when they are named (12 and up to 40 minutes)."""


def run(name: str) -> dict[str, Any]:
    """Run one bench; what it found, ready for JSON."""
    found: dict[str, Any] = importlib.import_module(f"appliance.bench.{name}").run()
    return found


def table(found: dict[str, Any]) -> str:
    """What a bench found, for people: one figure a line, nested names with dots."""
    rows = list(_flat("", found))
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), inner)
    else:
        yield prefix, value
