"""What every page shows and asks again every few seconds: the status bar, the unseen emergency; what was set aside; health."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, jsonify, request
from werkzeug.wrappers import Response

from appliance import __version__
from appliance.contract.ids import spell
from appliance.kiosk import here, live, present, roster, rows
from appliance.kiosk.screens.measure import cuffs_on
from appliance.kiosk.speech import Say
from appliance.store import consults, duty, retention, room, staff

screen = Blueprint("status", __name__)

_STUCK_S = 180.0
"""A link that is up takes rows within a minute (decision 8); when none has moved for so long, it is not called sending."""
_ASIDE_S = 30.0
"""How often what was set aside is counted anew: it has no hurry, and counting it reads much."""


def now() -> present.Bar:
    """The status bar of this moment."""
    parts, seconds = here.kiosk(), here.kiosk().clock.monotonic()
    if seconds - parts.counted[0] > _ASIDE_S:
        parts.counted = (seconds, rows.aside(here.db()))
    queue = rows.queue(here.db(), parts.counted[1])
    if queue.waiting != parts.moved[0]:
        parts.moved = (queue.waiting, seconds)
    if queue.online and queue.waiting and seconds - parts.moved[1] > _STUCK_S:
        queue = replace(queue, online=False)  # the carrier's last word is old: nothing moves, whatever it said
    parts.most = max(parts.most, queue.waiting) if queue.waiting else 0
    shown = present.bar(queue, parts.most, here.now(), here.speech())
    return replace(shown, text=f"{here.speech()('Đang chạy bằng pin', 'On battery')} · {shown.text}") if on_battery() else shown


_PANEL, _FRESH_NS = "_panel", 2_000_000_000
"""What `tram panel` says this moment; older than two seconds it says nothing."""


def on_battery() -> bool:
    """True while the UPS's line says that there is no power from the wall."""
    said = live.read(here.kiosk().settings.paths.run, _PANEL) or {}
    told = said.get("boottime_ns")
    return said.get("mains") is False and isinstance(told, int) and here.kiosk().clock.boottime_ns() - told < _FRESH_NS


def alarms() -> list[present.Alarm]:
    """Urgent requests that nobody is known to have seen, the oldest first."""
    limits = here.kiosk().settings.emergency
    return [_alarm(one) for one in consults.unseen(here.db(), here.stamp(), limits.unreceived_s, limits.unopened_s)]


def _alarm(one: consults.Unseen) -> present.Alarm:
    """With the number of whoever is on duty for the department that was asked."""
    asked, t = consults.get(here.db(), one.consult), here.speech()
    who = here.duty_now(None if asked is None else asked.department)
    shown = present.alarm(one.consult, one.why, one.waited_s, one.urgency, (who.name, who.phone), t, acknowledged=one.acknowledged)
    gone = roster.upwards(duty.went_on(here.db(), one.consult), here.now(), t)
    return replace(shown, since=f"{shown.since} · {gone}") if gone else shown


def mark(shown: list[present.Alarm], cuffs: list[str]) -> str:
    """What shouts, in one word: when it changes, pages are drawn anew."""
    return ".".join([*(f"{spell(one.consult)}{'a' if one.acknowledged else 'n'}" for one in shown), *cuffs])


def questions() -> list[dict[str, str]]:
    """What doctors have asked back and nobody has replied to: the request's number, who asks, and no word of a patient."""
    t = here.speech()
    return [
        {
            "href": f"/consults/{one.consult}", "mark": f"{spell(one.consult)}{'' if one.shown else '!'}",
            "words": t(f"Bác sĩ hỏi lại — yêu cầu {spell(one.consult)}", f"The doctor asks back — request {spell(one.consult)}"),
        }
        for one in consults.asked_back(here.db())
    ]  # fmt: skip


def simulated() -> bool:
    """True when a simulated device is configured or speaks: every page then says so."""
    settings = here.kiosk().settings
    if any(one.port.startswith("sim://") for one in settings.devices.values()):
        return True
    return any((live.read(settings.paths.run, name) or {}).get("test_data") is True for name in settings.devices)


@screen.get("/status.json")
def bar() -> Response:
    """The bar and the alarms for the page's script. No patient is in it: it needs nobody at the window."""
    shown, found = now(), alarms()
    loudest = next((one for one in found if not one.acknowledged), None)
    return jsonify(
        {
            "look": shown.look, "text": shown.text, "more": shown.more, "quarantine": shown.quarantine,
            "alarm": mark(found, cuffs_on()), "words": "" if loudest is None else loudest.text,
            "since": "" if loudest is None else loudest.since, "questions": questions(),
        }
    )  # fmt: skip


@screen.post("/alarms/<int:consult>/called")
def called(consult: int) -> Response:
    """Somebody has called. Field: staff (code). The sound stops; the words stay until a doctor has opened it."""
    code, back = request.form.get("staff", ""), request.form.get("back", "/")
    if here.kiosk().lan:
        code = here.desk().staff  # nobody speaks for another one from afar
    if staff.get(here.db(), code) is None:
        raise here.Unready(("Chọn tên người đã gọi.", "Choose who has called."), "/")
    here.about(subject=f"consult:{consult} staff:{code}")
    consults.acknowledge(here.db(), consult, staff=code, now=here.stamp())
    return here.go(back if back.startswith("/") and not back.startswith("//") and "\\" not in back else "/")


@screen.get("/aside")
def aside() -> Response:
    """What was set aside, with the reason and a code for the hotline."""
    t, moment = here.speech(), here.now()
    shown = [
        {"text": t("Dữ liệu từ máy chủ không dùng được", "Data from the server that cannot be used") if side != "up"
         else t("Dữ liệu máy chủ không đọc được", "Data the server could not read"),
         "at": present.moment(at, moment), "code": f"{reason} {number}"}
        for side, reason, number, at in rows.quarantined(here.db(), 50)
    ]  # fmt: skip
    return here.page("aside.html", rows=shown, **_room(t, moment))


_SHED: dict[str, tuple[str, str]] = {
    "logs": ("nhật ký đã gửi", "logs that were sent"),
    "previews": ("ảnh xem trước", "previews"),
    "attachments": ("ảnh đã gửi", "pictures that were sent"),
    "closed-pictures": ("ảnh của yêu cầu đã xong", "pictures of closed requests"),
    "copies": ("bản sao dữ liệu đã gửi quá 90 ngày", "copies of data sent more than 90 days ago"),
}


def _room(t: Say, moment: int) -> dict[str, Any]:
    """How full the card is, and what left it: nothing of this is lost, the server has all of it."""
    found = room.measure(here.kiosk().settings, here.db())
    percent = min(100, round(found.share * 100))
    shed = [
        {"text": t(*_SHED.get(row["what"], (row["what"], row["what"]))), "at": present.moment(row["at"], moment), "count": row["count"]}
        for row in retention.noted(here.db(), 10)
    ]
    return {"room": t(f"Bộ nhớ đã dùng {percent} %.", f"The card is {percent} % full."), "shed": shed}


@screen.get("/duty")
def on_duty() -> Response:
    """Who is on duty now, by department, with numbers: needs no link and nobody at the window."""
    found = roster.shown(here.rota_now(), certain=here.time_known(), now=here.now(), t=here.speech())
    return here.page("duty.html", rota=found, fixed=here.kiosk().settings.duty, back="/home" if here.desk().staff else "/")


@screen.get("/health")
def health() -> Response:
    """200 and ``{"ok": true}`` when the store can be read; 503 otherwise."""
    queue = rows.queue(here.db(), 0)
    return jsonify(
        {"ok": True, "version": __version__, "station": here.kiosk().settings.station.id, "waiting": queue.waiting, "online": queue.online}
    )
