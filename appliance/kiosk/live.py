"""Reading what the collectors say this moment: ``<run>/<device>.live``, JSON, replaced whole by its collector."""

import json
from pathlib import Path
from typing import Any

LARGEST = 64 * 1024
"""A live file has a few hundred bytes; anything larger is not one."""


def read(run: Path, device: str) -> dict[str, Any] | None:
    """The live values of a device, or None when there are none to be had."""
    try:
        with (run / f"{device}.live").open("rb") as file:
            data = json.loads(file.read(LARGEST))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
