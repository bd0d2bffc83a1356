"""What a screen has at hand while it answers one request: the kiosk's parts, the window, the store, the language, the time."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol, cast

from flask import current_app, g, redirect, render_template, request
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response

from appliance.contract.events import Department, Identity
from appliance.contract.readings import ClockQuality, Stamp
from appliance.database import Connection
from appliance.kiosk import present, roster
from appliance.kiosk.cuff import Cuffs
from appliance.kiosk.desk import Desk, Desks
from appliance.kiosk.speech import Say, say
from appliance.settings import Duty, Settings
from appliance.store import devices, duty, manual, patients, pins, staff
from appliance.store.duty import Roster
from appliance.store.opening import secret_file
from appliance.store.staff import Staff


class Clock(Protocol):
    """The time as the kiosk needs it (`agent.clock.Clock`, or one turned by hand)."""

    def stamp(self) -> Stamp:
        """The moment of the call."""

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds."""

    def monotonic(self) -> float:
        """CLOCK_BOOTTIME in seconds."""


@dataclass
class Kiosk:
    """The parts of one kiosk. `most` is how long the queue has been since it was last empty (for *Đang gửi a/b*);
    `counted` is when what was set aside was last counted, and how much it was; `moved` how much waits to be sent, and
    since when it has been that much. `off` are the devices whose cuff a person has taken off while the line was dead.
    `answered` counts the answers.
    """

    settings: Settings
    connect: Callable[[], Connection]
    clock: Clock
    urandom: Callable[[int], bytes]
    log: logging.Logger
    desks: Desks
    cuffs: Cuffs
    lan: bool = False
    """Whether these are the screens of the station's network (`kiosk.lan`), not the box's own."""
    assets: dict[str, str] = field(default_factory=dict)
    most: int = 0
    counted: tuple[float, int] = (float("-inf"), 0)
    moved: tuple[int, float] = (0, float("-inf"))
    off: set[str] = field(default_factory=set)
    answered: Iterator[int] = field(default_factory=lambda: count(1))


def kiosk() -> Kiosk:
    """The parts of this application."""
    return cast("Kiosk", current_app.extensions["kiosk"])


def desk() -> Desk:
    """The window that asks."""
    return cast("Desk", g.desk)


def db() -> Connection:
    """The store, opened at the request's first use and closed with it: one connection per request, never shared by threads."""
    if "db" not in g:
        g.db = kiosk().connect()
    return cast("Connection", g.db)


def stamp() -> Stamp:
    """The moment of this request, the same wherever it is asked."""
    if "stamp" not in g:
        g.stamp = kiosk().clock.stamp()
    return cast("Stamp", g.stamp)


def now() -> int:
    """The wall time of this request in tenths of a second since 1970."""
    return stamp().wall


def speech() -> Say:
    """The chooser of the window's language."""
    window = g.get("desk")
    return say(window.language if window is not None else "vi")


def page(template: str, status: int = 200, **values: Any) -> Response:
    """A page of the kiosk."""
    answer = current_app.make_response(render_template(template, **values))
    answer.status_code = status
    return answer


def go(where: str) -> Response:
    """On to another page with GET: a reload never sends a form again."""
    return redirect(where, 303)


def person() -> Staff | None:
    """Who has signed in at this window; None for nobody, or somebody who works here no more."""
    if "person" not in g:
        code = desk().staff
        found = staff.get(db(), code) if code else None
        g.person = found if found is not None and found.active else None
    return cast("Staff | None", g.person)


def secret() -> bytes:
    """The device's secret that PINs are mixed with; StoreError where it cannot be read."""
    return pins.read_secret(secret_file(kiosk().settings))


def rota_now() -> Roster:
    """Who is on duty at this moment as far as the station was told. It never fails: an error page asks too."""
    if "rota" not in g:
        try:
            g.rota = Roster() if "plain" in g or not time_known() else duty.roster(db(), now())
        except (OSError, ValueError):
            g.rota = Roster()
    return cast("Roster", g.rota)


def time_known() -> bool:
    """False while the box does not know what time it is."""
    return stamp().quality is not ClockQuality.UNKNOWN


def duty_now(department: Department | None = None) -> Duty:
    """Whom to call at this moment, by name and number; both may be empty. The settings' number where no rota says more."""
    return roster.numbers(rota_now().of(department), kiosk().settings.duty)


def origin() -> str:
    """From where in the station's network a request comes (``lan:10.77.0.23``); empty at the box's own screen."""
    return f"lan:{request.remote_addr or '?'}" if kiosk().lan else ""


def confirm(identity: Identity) -> None:
    """Two identifiers of this patient were just confirmed at this window."""
    desk().confirmed[identity.patient] = kiosk().clock.monotonic()
    if kiosk().lan:
        desk().sure[identity.patient] = identity


def is_confirmed(identity: Identity) -> bool:
    """Whether they were, nobody has been away since, and (in the network, of which the box's screen knows nothing) they are the same."""
    return desk().is_confirmed(identity.patient) and (not kiosk().lan or desk().sure.get(identity.patient) == identity)


def namesakes(identity: Identity) -> str:
    """Who else at this station has this patient's name; empty when nobody has."""
    return present.namesakes(patients.namesakes(db(), identity), speech())


def about(*, patient: int = 0, subject: str = "") -> None:
    """What the audit entry of this request says, where its address does not."""
    g.audited = (patient, subject)


def back_to(where: str, otherwise: str = "/") -> str:
    """A path of ours that a form named, else `otherwise`."""
    return where if where.startswith("/") and not where.startswith("//") and "\\" not in where else otherwise


def banner_of(identity: Identity) -> present.Banner:
    """The patient banner, for today."""
    return present.banner(identity, present.local(now()).date(), speech())


def patient_or_404(patient: int) -> Identity:
    """The identity of a patient of this station. For a record that was merged the page goes on to the one that stands, and says so.

    What is about the single record (correcting, saving what was measured, merging) stays with it.
    """
    found = patients.get(db(), patient)
    if found is None:
        raise Gone(("Không có người bệnh này ở trạm. Tìm lại theo tên hoặc số.", "No such patient at this station. Search again."))
    top = patient if request.blueprint in _SINGLE or request.endpoint in _SINGLE else patients.root(db(), patient)
    if top == patient:
        return found
    if request.method != "GET":
        raise Conflict(_MERGED, f"/patients/{top}")
    desk().notice = _MERGED
    path = request.full_path.rstrip("?")
    raise Elsewhere(path.replace(f"/patients/{patient}", f"/patients/{top}", 1) if f"/patients/{patient}" in path else f"/patients/{top}")


_SINGLE = frozenset({"correct", "merge", "tray.undecided", "tray.decide"})
_MERGED = (
    "Hồ sơ vừa mở đã gộp vào hồ sơ này của cùng người. Từ nay đo và gửi ở hồ sơ này.",
    "The record you opened was merged into this one of the same person. Measure and send here from now on.",
)


class Elsewhere(RequestRedirect):
    """The page is at another address: the browser goes there with GET."""

    code = 303


def calibration_due(number: int) -> str:
    """Until when the calibration of a device is good, as a date; empty where nobody said so."""
    known = devices.get(db(), number)
    return "" if known is None else known.next_calibration


def device_name(device: str) -> str:
    """The name people know a device by."""
    if manual.is_manual(device):
        return manual.NAME
    known = kiosk().settings.devices.get(device)
    return known.name or device if known is not None else device


class Said(Exception):  # noqa: N818 - not an error of the program: an answer to a person
    """What a page says instead of doing it: an HTTP status, a code for the hotline and a pair of sentences."""

    status = 400
    code = "K400"

    def __init__(self, words: tuple[str, str], back: str = "/home") -> None:
        super().__init__(words[1])
        self.words = words
        self.back = back


class Gone(Said):
    """There is no such thing at this station."""

    status, code = 404, "K404"


class Conflict(Said):
    """It is not so any more: somebody or something else came first."""

    status, code = 409, "K409"


class Unready(Said):
    """The form cannot be taken as it is."""

    status, code = 400, "K400"


def number(name: str) -> int:
    """A whole number of the form; Unready when it is none."""
    text = request.form.get(name, "")
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Unready(
            ("Mẫu gửi lên không đầy đủ. Quay lại và làm lại bước này.", f"The form lacks a number: {name}. Go back and repeat the step.")
        )
    return int(text)


def is_poll() -> bool:
    """True for what pages ask by themselves: it is not a person's touch."""
    return request.endpoint is not None and request.endpoint in POLLS


POLLS = frozenset(
    {
        "bag.follow",
        "status.bar",
        "status.health",
        "measure.live",
        "consult.follow",
        "pictures.follow",
        "emergency.follow",
        "technician.follow",
    }
)
"""Endpoints that pages and programs ask by themselves."""
