"""The invented patient's finger while people use the demo in a browser: in the oximeter when somebody is measured with it, else out.

Without this the simulated oximeter would measure nobody every few seconds and fill the tray of readings without a name. Pure:
what the collector shows goes in, a word to the simulator comes out.
"""

from collections.abc import Mapping
from typing import Any

IN_S = 1.0
"""The nurse has opened the session; the finger comes a moment later, so that the whole measurement belongs to it."""
OUT_S = 3.0
"""The finger goes out so long after the number has settled."""
AGAIN_S = 20.0
"""And comes back after so long while the session stands: perhaps the nurse wants to measure again."""


class Finger:
    """Follows the oximeter's live values. Times are seconds of a clock that never steps."""

    def __init__(self) -> None:
        self._session: Any = None
        self._measurement: Any = None
        self._inside = False
        self._due: float | None = None

    def look(self, live: Mapping[str, Any] | None, now: float) -> str | None:
        """``in``, ``out`` or nothing to do, after a look at the live values (None: there are none)."""
        session = live.get("session") if live is not None else None
        measurement = live.get("measurement") if live is not None else None
        if session != self._session:
            self._session, self._measurement = session, measurement
            self._due = now + IN_S if session is not None else None
            return self._go(inside=False)
        if self._inside and measurement is not None and measurement != self._measurement:
            self._measurement, self._due = measurement, now + OUT_S
        if self._due is None or now < self._due:
            return None
        self._due = now + AGAIN_S if self._inside else None
        return self._go(inside=not self._inside)

    def _go(self, *, inside: bool) -> str | None:
        if inside == self._inside:
            return None
        self._inside = inside
        return "in" if inside else "out"
