"""The first screens: who works here, find a patient, going blank, the language."""

from typing import Any

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.kiosk import here, present, roster, rows
from appliance.kiosk.access import Rule, may
from appliance.kiosk.forms import clean
from appliance.kiosk.screens.consult import strays, summaries
from appliance.kiosk.screens.staff import leave_patient
from appliance.kiosk.speech import LANGUAGES, ROLES
from appliance.store import measuring, staff

screen = Blueprint("home", __name__)

_RECENT = 30


@screen.get("/")
def start() -> Response:
    """Who is working? One tap on the own name, then the PIN."""
    if here.desk().staff:
        return here.go("/home")
    t = here.speech()
    if here.kiosk().lan:
        people = [one for one in rows.staff(here.db()) if may(one.role, Rule.CLINICAL)]
        return here.page("start.html", roles={role: t(*words) for role, words in ROLES.items()}, unknown="", fresh=False, people=people)
    unknown = _unknown()
    return here.page(
        "start.html", roles={role: t(*words) for role, words in ROLES.items()}, unknown=unknown, fresh=staff.is_new(here.db()),
        standing=_standing(unknown) if unknown else None,
    )  # fmt: skip


def _standing(station: str) -> dict[str, Any]:
    """The status code of a station that is not enrolled, in letters and as a QR code: a photo of the screen says which box stands where,
    and how, to whoever prints its paper.
    """
    from appliance.contract.statuscode import write
    from appliance.kiosk.paper import code
    from appliance.store import health

    at = health.Looked(here.db(), here.kiosk().settings, here.stamp(), here.kiosk().clock.boottime_ns())
    spelt = write(health.code_of(at, health.lines(at)))
    return {"code": spelt, "squares": present.squares(code(station, "S", spelt))}


def _unknown() -> str:
    """The station's id while its bridge does not know it yet; empty on a station that is enrolled, or whose line needs no certificate."""
    from appliance.store.enrolment import with_identity

    settings = with_identity(here.kiosk().settings)
    cert = settings.broker.cert
    return settings.station.id if settings.broker.tls and (cert is None or not cert.exists()) else ""


@screen.post("/staff")
def choose() -> Response:
    """Somebody has tapped their name: whoever worked here does not any more, the PIN comes next. Field: staff (code)."""
    window, code = here.desk(), request.form.get("staff", "")
    person = staff.get(here.db(), code)
    if person is None or not person.active:
        raise here.Unready(
            ("Không có nhân viên này ở trạm. Chọn một tên trong danh sách.", "No such person works here. Choose a name of the list."), "/"
        )
    leave_patient("blanked")
    window.clear()
    window.asking = person.code
    return here.go("/pin")


@screen.post("/staff/leave")
def change() -> Response:
    """Somebody else takes over."""
    leave_patient("blanked")
    here.desk().clear()
    return here.go("/")


@screen.get("/blank")
def blank() -> Response:
    """Nobody has touched the screen: the patient disappears; a name and its PIN return, to nothing of the patient."""
    leave_patient("blanked")
    here.desk().clear()
    return here.go("/")


@screen.post("/language")
def language() -> Response:
    """Fields: language (vi, en), back (a path of ours)."""
    wanted, back = request.form.get("language", ""), request.form.get("back", "/")
    if wanted in LANGUAGES:
        here.desk().language = wanted
    return here.go(here.back_to(back))


@screen.get("/home")
def home() -> Response:
    """Find a patient, and what else waits; for whoever may not see patients, the work on the box."""
    who = here.person()
    if who is None or not may(who.role, Rule.CLINICAL):
        from appliance.kiosk.screens.technician_pages import work

        return work()
    found = summaries(limit=50)
    return here.page(
        "home.html",
        rota=roster.shown(here.rota_now(), certain=here.time_known(), now=here.now(), t=here.speech()),
        strays=strays(),
        answers=[one for one in found if one["to_read"]][:3],
        open_consults=sum(1 for one in found if one["open"]),
        tray_count=len(measuring.unassigned(here.db())),
    )


@screen.post("/find")
def find() -> Response:
    """Field: q: a name, a CCCD or BHYT number, or the whole text of a scanned QR code. It stays out of every address."""
    here.desk().found = clean(request.form.get("q", ""))[:600]
    return here.go("/found" if here.desk().found else "/home")


@screen.get("/found")
def found() -> Response:
    """Who it may be. A scanned card that nobody else fits opens its patient, one of nobody here the registration form filled in."""
    t, text = here.speech(), here.desk().found
    people, said = rows.search(here.db(), text) if text else ([], ())
    if len(people) < 2 and rows.scanned(text):
        here.desk().notice = (" ".join(one[0] for one in said), " ".join(one[1] for one in said)) if said else None
        return here.go(f"/patients/{people[0].patient}" if people else "/patients/new?from=found")
    here.about(subject=",".join(str(one.patient) for one in people[:20]))
    return here.page(
        "found.html",
        title=t("Chọn người bệnh", "Choose the patient") if people else t("Không thấy", "Not found"),
        people_found=[here.banner_of(one) for one in people], said=said, text=text, again="/find",
        target="/patients/", target_end="", back="/home", may_register=True,
    )  # fmt: skip


@screen.get("/patients")
def recent() -> Response:
    """Who was measured last: most come back within the hour."""
    t = here.speech()
    people = rows.recent(here.db(), _RECENT)
    here.about(subject=",".join(str(one.patient) for one in people))
    return here.page(
        "found.html",
        title=t("Người bệnh vừa đo", "Measured last"),
        people_found=[here.banner_of(one) for one in people],
        target="/patients/", target_end="", back="/home", may_register=True,
    )  # fmt: skip
