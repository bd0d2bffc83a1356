"""The first screens: who works here, find a patient, going blank, the language."""

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.kiosk import here, rows
from appliance.kiosk.forms import clean
from appliance.kiosk.screens.consult import strays, summaries
from appliance.kiosk.screens.measure import end_open
from appliance.kiosk.speech import LANGUAGES, ROLES
from appliance.store import measuring, staff

screen = Blueprint("home", __name__)

_RECENT = 30


@screen.get("/")
def start() -> Response:
    """Who is working? One tap. (PINs come later; the actor is recorded from now on.)"""
    if here.desk().staff:
        return here.go("/home")
    t = here.speech()
    return here.page("start.html", roles={role: t(*words) for role, words in ROLES.items()})


@screen.post("/staff")
def choose() -> Response:
    """Somebody has tapped their name. Field: staff (code)."""
    window, code = here.desk(), request.form.get("staff", "")
    person = staff.get(here.db(), code)
    if person is None or not person.active:
        raise here.Unready(
            ("Không có nhân viên này ở trạm. Chọn một tên trong danh sách.", "No such person works here. Choose a name of the list."), "/"
        )
    _leave_patient()
    window.clear()
    window.staff = person.code
    return here.go("/home")


@screen.post("/staff/leave")
def change() -> Response:
    """Somebody else takes over."""
    _leave_patient()
    here.desk().clear()
    return here.go("/")


@screen.get("/blank")
def blank() -> Response:
    """Nobody has touched the screen: the patient disappears; one tap on a name returns."""
    _leave_patient()
    here.desk().clear()
    return here.go("/")


@screen.post("/language")
def language() -> Response:
    """Fields: language (vi, en), back (a path of ours)."""
    wanted, back = request.form.get("language", ""), request.form.get("back", "/")
    if wanted in LANGUAGES:
        here.desk().language = wanted
    return here.go(back if back.startswith("/") and not back.startswith("//") and "\\" not in back else "/")


@screen.get("/home")
def home() -> Response:
    """Find a patient, and what else waits."""
    found = summaries(limit=50)
    return here.page(
        "home.html",
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
    """Who it may be."""
    t, text = here.speech(), here.desk().found
    people = rows.search(here.db(), text) if text else []
    return here.page(
        "found.html",
        title=t("Chọn người bệnh", "Choose the patient") if people else t("Không thấy", "Not found"),
        people_found=[here.banner_of(one) for one in people],
        target="/patients/", target_end="", back="/home", may_register=True,
    )  # fmt: skip


@screen.get("/patients")
def recent() -> Response:
    """Who was measured last: most come back within the hour."""
    t = here.speech()
    people = rows.recent(here.db(), _RECENT)
    return here.page(
        "found.html",
        title=t("Người bệnh vừa đo", "Measured last"),
        people_found=[here.banner_of(one) for one in people],
        target="/patients/", target_end="", back="/home", may_register=True,
    )  # fmt: skip


def _leave_patient() -> None:
    """The measuring sessions of this window end: the next person at it is somebody else."""
    end_open(here.desk(), "blanked")
