"""How often an arm is squeezed, and whether an oximeter's arm is being squeezed at this moment.

A pause between two inflations lets the blood come back; a ceiling in the hour ends a search for a better number. Both
are settings of the cuff (``devices.NAME.rest_s``, ``.cycles_per_hour``). What was measured within the hour is asked of the store
too, so that a collector that was started anew does not begin to count from nothing.
"""

import json
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.contract.readings import Stamp
from appliance.database import Connection
from appliance.store import measuring

SECOND = 1_000_000_000
HOUR_NS = 3600 * SECOND
REST_S = 30
"""Least pause between two inflations of one arm, seconds. Known as the pause that IEC 80601-2-30 asks of cuffs that cycle by
themselves (unverified: the standard was not read); a nurse's guided series waits a minute or two anyway."""
CYCLES_PER_HOUR = 12
"""Cuff cycles of one patient in one hour (judgement: two arms, three readings each, once more; no source names a number)."""
EMPTY_MMHG = 10
"""At or below this a cuff squeezes nothing (as the SunTech driver counts)."""
FRESH_NS = 2 * SECOND
"""A live file older than this says nothing about now (decision 15)."""
LOOK_NS = SECOND // 4
"""How often the neighbours' live files are looked at: a cuff takes seconds to fill."""
LARGEST = 64 * 1024


class Arms:
    """The cycles of each patient's latest hour on one cuff."""

    def __init__(self, conn: Connection, device: str, per_hour: int) -> None:
        self._conn, self._device, self._most = conn, device, per_hour
        self._cycles: dict[int, deque[int]] = {}
        self._ended: dict[int, int] = {}

    def why_not(self, patient: int, now_ns: int, stamp: Stamp, rest_ns: int) -> str | None:
        """``rest`` or ``too-many`` when this patient's arm must not be squeezed now; a StoreError is the caller's."""
        self._cycles = {who: times for who, times in self._cycles.items() if times[-1] > now_ns - HOUR_NS}
        self._ended = {who: at for who, at in self._ended.items() if at > now_ns - HOUR_NS}
        times = [at for at in self._cycles.get(patient, ()) if at > now_ns - HOUR_NS]
        stored, latest = measuring.cycles(self._conn, patient, self._device, stamp, HOUR_NS // 100_000_000)
        if max(len(times), stored) >= self._most:
            return "too-many"
        ended = max(self._ended.get(patient, -HOUR_NS), -HOUR_NS if latest is None else latest * 100_000_000)
        return "rest" if now_ns < ended + rest_ns else None

    def began(self, patient: int, now_ns: int) -> None:
        """A start of this patient was accepted, whatever becomes of it."""
        self._cycles.setdefault(patient, deque(maxlen=self._most)).append(now_ns)

    def ended(self, patient: int, now_ns: int) -> None:
        """The cuff has let go of this patient."""
        self._ended[patient] = now_ns


class Squeeze:
    """Whether a cuff that may sit on this probe's arm holds air, by the live files of those cuffs (`cuffs`: their names)."""

    def __init__(self, run: Path, cuffs: tuple[str, ...]) -> None:
        self._files = tuple(run / f"{name}.live" for name in cuffs)
        self._look_ns = 0
        self._now = False

    def now(self, now_ns: int, elsewhere: Callable[[int], bool]) -> bool:
        """True while one of them holds air. `elsewhere(session)` says that the cuff's session is of another person than ours."""
        if self._files and now_ns >= self._look_ns:
            self._look_ns = now_ns + LOOK_NS
            self._now = any(_holds_air(_read(file), now_ns, elsewhere) for file in self._files)
        return self._now


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as handle:
            said = json.loads(handle.read(LARGEST))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _holds_air(said: dict[str, Any], now_ns: int, elsewhere: Callable[[int], bool]) -> bool:
    at, signals, session = said.get("boottime_ns"), said.get("signals"), said.get("session")
    if not isinstance(at, int) or now_ns - at > FRESH_NS:
        return False
    pressure = signals.get("cuff_pressure") if isinstance(signals, dict) else None
    full = (isinstance(pressure, int) and pressure > EMPTY_MMHG) or said.get("message") == "take-the-cuff-off"
    return full and not (isinstance(session, int) and elsewhere(session))
