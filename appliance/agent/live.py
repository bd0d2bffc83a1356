"""What a collector says this moment: ``<run>/<device>.live``, JSON, written beside and renamed, at most ten times a second.

It is about now and nothing else: a reader that finds it older than 2 s shows *lost*. So it is written at least twice in
that time, and never to the card (`paths.run` is a tmpfs).
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

SECOND = 1_000_000_000
LEAST_NS = SECOND // 10
"""Never more often than ten times a second (decision 15)."""
MOST_NS = 4 * SECOND // 5
"""At least this often, also when nothing changes."""
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


class LiveFile:
    """The live file of one device."""

    def __init__(self, run: Path, device: str) -> None:
        self._path = str(run / f"{device}.live")
        self._beside = str(run / f".{device}.live.new")
        self._last: dict[str, Any] = {}
        self._written_ns: int | None = None

    def due(self, now_ns: int) -> bool:
        """True when `show` would look at what it is given: so nobody has to make a view that is not written."""
        return self._written_ns is None or now_ns - self._written_ns >= LEAST_NS

    def show(self, view: Mapping[str, Any], now_ns: int) -> None:
        """Write `view` with its time, if it is new or the file is getting old; an OSError is the caller's."""
        if not self.due(now_ns):
            return
        if view == self._last and self._written_ns is not None and now_ns - self._written_ns < MOST_NS:
            return
        handle = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            os.write(handle, _ENCODE({**view, "boottime_ns": now_ns}).encode())
        finally:
            os.close(handle)
        os.replace(self._beside, self._path)
        self._last, self._written_ns = dict(view), now_ns

    def remove(self) -> None:
        """The collector ends: nothing of it stays to be shown."""
        for path in (self._path, self._beside):
            with suppress(FileNotFoundError):
                os.unlink(path)
