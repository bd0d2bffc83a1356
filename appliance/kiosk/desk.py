"""What one browser window's cookie stands for, kept in the kiosk's memory: who works there, who has been confirmed, since when.

Nothing of it is stored: after a restart of the kiosk every window is back at the choice of staff, and no cookie holds
more than a random number. Times are seconds of CLOCK_BOOTTIME. Polling by a page is not use: only people touch.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from appliance.contract.events import Basis, Department, Identity, Urgency

CONFIRMED_S = 120.0
"""After so long without a touch the patient has to be confirmed again (NHS CUI practice; ux facts)."""
MOST_DESKS = 64
"""A station has a handful of windows; the least used one beyond this is forgotten (a restart of its browser loses nothing else)."""
ID_BYTES = 24


@dataclass(slots=True)
class Ask:
    """A consult request being written, step by step. `consult` is its number from the first step: sent twice, it is one request."""

    patient: int
    consult: int
    readings: tuple[int, ...] | None = None
    complaint: str = ""
    department: Department | None = None
    urgency: Urgency | None = None
    basis: Basis = Basis.UNSAID
    waves: tuple[int, ...] = ()
    """Measurements whose pulse wave goes along."""


@dataclass(slots=True)
class Enrol:
    """A registration being written: the number it will have, and what was typed so far."""

    patient: int
    typed: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Desk:
    """One window. `confirmed` holds when each patient's identity was last confirmed here; `notice` is said once, on the next page.

    `asking` is the code of whoever has tapped their name and not given a PIN yet, `digits` what came of it from a browser without
    script. `sessions` are the measuring sessions opened here that this window has not left yet.
    """

    id: str
    csrf: str
    language: str = "vi"
    staff: str = ""
    asking: str = ""
    digits: str = ""
    touched: float = 0.0
    confirmed: dict[int, float] = field(default_factory=dict)
    sessions: set[int] = field(default_factory=set)
    found: str = ""
    enrol: Enrol | None = None
    ask: Ask | None = None
    ticket: tuple[int, str, int] | None = None
    notice: tuple[str, str] | None = None
    sure: dict[int, Identity] = field(default_factory=dict)
    """Whom was confirmed, as they were then: only at windows in the network, where another program may change who is who."""

    def touch(self, now: float, blank_s: float) -> bool:
        """A person uses the window. False when it had been idle so long that it must have gone blank: everything is forgotten."""
        idle = now - self.touched
        self.touched = now
        if idle > blank_s:
            self.digits = ""
        if idle > CONFIRMED_S:
            self.confirmed.clear()
        if self.staff and idle > blank_s:
            self.clear()
            return False
        return True

    def clear(self) -> None:
        """Nobody works here any more; the language stays."""
        self.asking = self.digits = ""
        self.staff, self.found, self.enrol, self.ask, self.ticket, self.notice = "", "", None, None, None, None
        self.confirmed.clear()
        self.sure.clear()

    def is_confirmed(self, patient: int) -> bool:
        """True when two identifiers of this patient were confirmed here and nobody has been away since."""
        return patient in self.confirmed


class Desks:
    """The windows, by the random id in their cookie. Safe between the threads of the web server."""

    def __init__(self, urandom: Callable[[int], bytes]) -> None:
        self._urandom = urandom
        self._lock = threading.Lock()
        self._desks: OrderedDict[str, Desk] = OrderedDict()

    def get(self, key: str) -> Desk | None:
        """The window behind a cookie, or None when the kiosk does not know it (any more)."""
        with self._lock:
            desk = self._desks.get(key)
            if desk is not None:
                self._desks.move_to_end(key)
            return desk

    def unconfirm(self, patients: Iterable[int]) -> None:
        """At every window these patients have to be confirmed anew: who is who has changed."""
        with self._lock:
            for desk in self._desks.values():
                for patient in patients:
                    desk.confirmed.pop(patient, None)

    def make(self, now: float) -> Desk:
        """A new window with nobody at it."""
        desk = Desk(self._urandom(ID_BYTES).hex(), self._urandom(ID_BYTES).hex(), touched=now)
        with self._lock:
            self._desks[desk.id] = desk
            while len(self._desks) > MOST_DESKS:
                # Whoever opens many windows pushes nobody out who works at one.
                idle = next((key for key, one in self._desks.items() if not one.staff), None)
                self._desks.popitem(last=False) if idle is None else self._desks.pop(idle)
        return desk
