"""Who works here: the PIN, one's own and others' PINs, the team, and the log of who saw and did what."""

from collections.abc import Mapping

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.kiosk import here, present
from appliance.kiosk.access import DEEDS, Rule, may
from appliance.kiosk.forms import clean
from appliance.kiosk.screens.measure import end_open
from appliance.kiosk.speech import ROLES, Pair
from appliance.store import audit, patients, pins, staff
from appliance.store.errors import Refused
from appliance.store.pins import DIGITS, Locked

screen = Blueprint("staff", __name__)

_LOG_ROWS = 60
_DAY = 864_000
"""Tenths of a second."""
_GONE: Pair = ("Không có nhân viên này ở trạm. Chọn một tên trong danh sách.", "No such person works here. Choose a name of the list.")


# --- signing in -----------------------------------------------------------------------------------------------------------------------


@screen.get("/pin")
def pin() -> Response:
    """The keys for the PIN of whoever has tapped their name."""
    person = _active(here.desk().asking)
    return here.go("/") if person is None else _pad(person)


@screen.post("/pin")
def enter() -> Response:
    """Fields: pin (what was typed), key (one digit, or ``back``: a browser without script sends one at a time), staff (whose)."""
    window, form = here.desk(), request.form
    person = _active(form.get("staff", "") or window.asking)
    if person is None:
        raise here.Unready(_GONE, "/")
    key = form.get("key", "")
    window.asking, typed = person.code, (window.digits + form.get("pin", ""))
    typed = typed[:-1] if key == "back" else typed + key
    window.digits = ""
    if key and len(typed) < DIGITS:
        window.digits = typed if typed.isascii() and typed.isdigit() else ""
        return _pad(person)
    try:
        guessed = pins.attempt(here.db(), here.secret(), person.code, typed, now=here.stamp(), origin=here.origin())
    except Refused as error:
        return _pad(person, error)
    leave_patient("blanked")
    window.clear()
    window.staff = person.code
    if guessed >= pins.FREE:
        window.notice = (
            f"Có {guessed} lần nhập sai mã PIN của bạn từ máy khác trong mạng của trạm. Không phải bạn: báo trưởng trạm, đổi mã PIN.",
            f"Your PIN was mistyped {guessed} times from the station's network. Was it not you: tell the lead, change your PIN.",
        )
    return here.go("/home")


def _active(code: str) -> staff.Staff | None:
    person = staff.get(here.db(), code) if code else None
    if here.kiosk().lan and person is not None and not may(person.role, Rule.CLINICAL):
        return None  # a technician's work is at the box
    return person if person is not None and person.active else None


def _pad(person: staff.Staff, error: Refused | None = None) -> Response:
    """The page with the keys; with a sentence when something was wrong, without keys while no try is taken."""
    state = pins.states(here.db(), here.stamp(), afar=here.kiosk().lan).get(person.code)
    if error is None and state is not None and state.wait:
        error = Locked(state.wait)
    if error is None and state is None:
        error = pins.Unset(*pins.NO_PIN)
    shut = isinstance(error, (Locked, pins.Unset, pins.Shut))
    return here.page(
        "pin.html", 200 if error is None else 403, person=person, typed_count=len(here.desk().digits), digits=DIGITS, shut=shut,
        said=None if error is None else here.speech()(error.vi, error.en),
    )  # fmt: skip


def leave_patient(why: str) -> None:
    """The measuring sessions of this window end: the next person at it is somebody else."""
    end_open(here.desk(), why)


# --- one's own PIN --------------------------------------------------------------------------------------------------------------------


@screen.get("/my-pin")
def own() -> Response:
    """Change one's own PIN."""
    return here.page("my_pin.html")


@screen.post("/my-pin")
def change() -> Response:
    """Fields: old, pin, again."""
    form, code = request.form, here.desk().staff
    try:
        new = _new(form)
        pins.attempt(here.db(), here.secret(), code, form.get("old", ""), now=here.stamp(), action="pin.proved")
        pins.give(here.db(), here.secret(), code, new, by=code, now=here.stamp())
    except Refused as error:
        return here.page("my_pin.html", 400, errors={"pin": (error.vi, error.en)})
    here.desk().notice = ("Đã đổi mã PIN.", "The PIN has been changed.")
    return here.go("/home")


def _new(form: Mapping[str, str]) -> str:
    """A new PIN, typed twice alike."""
    if form.get("pin", "") != form.get("again", ""):
        raise Refused("Hai lần nhập mã PIN mới không giống nhau. Nhập lại.", "The two new PINs are not the same. Type them again.")
    pins.refuse_weak(form.get("pin", ""))
    return form["pin"]


# --- the team (lead) ------------------------------------------------------------------------------------------------------------------


@screen.get("/team")
def team() -> Response:
    """Everybody who works here, and whether they can sign in."""
    states, t = pins.states(here.db(), here.stamp()), here.speech()
    rows = [
        {"code": one.code, "name": one.name, "role": t(*ROLES.get(one.role, (one.role, one.role))), "state": _said(states.get(one.code))}
        for one in staff.listing(here.db())
    ]
    return here.page("team.html", rows=rows)


def _said(state: pins.PinState | None) -> str:
    t = here.speech()
    if state is None:
        return t("chưa có mã PIN", "no PIN yet")
    if state.wait:
        return t(f"đang khóa {-(-state.wait // 600)} phút", f"locked for {-(-state.wait // 600)} min")
    return t("đã có mã PIN", "PIN set")


@screen.get("/team/new")
def form() -> Response:
    """Somebody new."""
    return _form({"code": "", "name": "", "role": staff.NURSE})


@screen.post("/team/new")
def add() -> Response:
    """Fields: code, name, role, pin, again. A known code changes that person's name and role; then the PIN may stay empty."""
    typed = {name: clean(request.form.get(name, ""))[:80] for name in ("code", "name", "role")}
    code, by = typed["code"], here.desk().staff
    try:
        if code == by and typed["role"] != staff.LEAD:
            raise Refused(
                "Không tự bỏ quyền trưởng trạm của mình được. Nhờ trưởng trạm khác.", "You cannot take the lead's role from yourself."
            )
        new = _new(request.form) if request.form.get("pin") or staff.get(here.db(), code) is None else ""
        staff.add(here.db(), code=code, name=typed["name"], role=typed["role"], by=by, now=here.stamp())
        if new:
            pins.give(here.db(), here.secret(), code, new, by=by, now=here.stamp())
    except Refused as error:
        return _form(typed, (error.vi, error.en))
    here.desk().notice = ("Đã lưu.", "Saved.")
    return here.go("/team")


def _form(typed: Mapping[str, str], error: Pair | None = None) -> Response:
    t = here.speech()
    return here.page(
        "member.html", 200 if error is None else 400, typed=typed, errors={} if error is None else {"code": error},
        roles=[(role, t(*ROLES[role])) for role in staff.ROLES],
    )  # fmt: skip


def _member(code: str) -> staff.Staff:
    person = _active(code)
    if person is None:
        raise here.Gone(_GONE, "/team")
    return person


@screen.get("/team/<code>")
def person(code: str) -> Response:
    """What the lead may do for one person."""
    return _person(_member(code))


def _person(one: staff.Staff, error: Pair | None = None) -> Response:
    t = here.speech()
    state = pins.states(here.db(), here.stamp()).get(one.code)
    return here.page(
        "person.html", 200 if error is None else 400, person=one, role=t(*ROLES.get(one.role, (one.role, one.role))), state=_said(state),
        locked=state is not None and state.failures > 0, errors={} if error is None else {"pin": error}, mine=one.code == here.desk().staff,
    )  # fmt: skip


@screen.post("/team/<code>/pin")
def give(code: str) -> Response:
    """Fields: pin, again."""
    one = _member(code)
    try:
        pins.give(here.db(), here.secret(), one.code, _new(request.form), by=here.desk().staff, now=here.stamp())
    except Refused as error:
        return _person(one, (error.vi, error.en))
    here.desk().notice = (f"Đã đặt mã PIN mới cho {one.name}.", f"{one.name} has a new PIN.")
    return here.go("/team")


@screen.post("/team/<code>/unlock")
def unlock(code: str) -> Response:
    """Somebody mistyped too often: they may try again at once."""
    one = _member(code)
    pins.unlock(here.db(), one.code, by=here.desk().staff, now=here.stamp())
    here.desk().notice = (f"Đã mở khóa cho {one.name}.", f"{one.name} may try again.")
    return here.go("/team")


@screen.post("/team/<code>/retire")
def retire(code: str) -> Response:
    """Somebody works here no more. Nobody retires themselves: a station would be left without a lead."""
    one = _member(code)
    if one.code == here.desk().staff:
        raise here.Unready(("Không tự cho mình nghỉ được. Nhờ trưởng trạm khác.", "You cannot retire yourself."), "/team")
    staff.retire(here.db(), one.code, by=here.desk().staff, now=here.stamp())
    here.desk().notice = (f"{one.name} không còn làm ở trạm.", f"{one.name} works here no more.")
    return here.go("/team")


# --- the log (lead) -------------------------------------------------------------------------------------------------------------------


@screen.get("/log")
def log() -> Response:
    """Who saw and did what: today's, or with ``patient`` all about one patient. ``before`` is the entry to go on from."""
    t, now = here.speech(), here.now()
    patient, before = _whole("patient"), _whole("before")
    since = 0 if patient or before else _midnight(now)
    rows = audit.entries(here.db(), since=since, patient=patient, before=before, limit=_LOG_ROWS + 1)
    who = patients.get(here.db(), patient) if patient else None
    here.about(patient=patient)
    names = {one.code: one.name for one in staff.listing(here.db())}
    shown = [
        {"at": present.moment(one.wall, now), "who": names.get(one.actor, one.actor) or t("chưa ai đăng nhập", "nobody signed in"),
         "what": t(*DEEDS.get(one.action, (one.action, one.action))), "patient": one.patient, "subject": one.subject}
        for one in rows[:_LOG_ROWS]
    ]  # fmt: skip
    older = rows[_LOG_ROWS - 1].id if len(rows) > _LOG_ROWS else 0
    return here.page("log.html", rows=shown, of=None if who is None else who.name, patient=patient, older=older)


def _whole(name: str) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0


def _midnight(now: int) -> int:
    """The beginning of the station's day."""
    moment = present.local(now)
    return now - ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 10
