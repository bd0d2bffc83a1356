"""The queue: who waits, the most urgent first."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, jsonify, redirect, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from appliance.contract.events import Department
from appliance.contract.ids import spell
from cloud_bridge import escalation, routing
from cloud_bridge.console import fresh, guard, present
from cloud_bridge.console.desk import desk
from cloud_bridge.console.words import DEPARTMENTS, FIELDS, URGENCIES
from cloud_bridge.store import accounts, consults, noticed, review, rota, walls
from cloud_bridge.store.consults import Consult
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.noticed import Alarm

pages = Blueprint("queue", __name__)

LISTS = ("waiting", "sent", "closed")


@pages.get("/")
def waiting() -> str:
    """The page of the queue."""
    return render_template("queue.html", **_rows())


@pages.get("/queue/live")
def live() -> Response:
    """The part of the page that changes; 304 while it has not."""
    return fresh.part("_queue.html", _rows)[0]


@pages.get("/consults.json")
def listing() -> Response:
    """The queue for programs: ``?list=waiting|sent|closed`` and ``?department=0..5``."""
    found = _rows()
    return jsonify(now=found["now"], list=found["list"], consults=[plain(one) for one in found["consults"]])


@pages.get("/emergencies.json")
def emergencies() -> Response:
    """What every page asks for: emergencies nobody has opened (badge and sound), answers to be looked at again (badge)."""
    return fresh.data(_emergencies)


def _emergencies() -> dict[str, Any]:
    with reading(desk().engine) as tx:
        found, corrected = _alarms(tx), review.count_corrected(tx, walls.requests(guard.me()))
    return {
        "unopened": [f"{one.station}/{spell(one.number)}" for one in found if one.kind == noticed.CONSULT],
        "sounding": [f"{one.kind}/{one.station}/{spell(one.number)}" for one in found if not one.by],
        "corrected": corrected,
    }


def _alarms(tx: Connection) -> list[Alarm]:
    """Calls for help first, then emergencies nobody has opened."""
    me, now = guard.me(), desk().now()
    called = noticed.calls(tx, walls.within(me, noticed.call_column()), accounts.names(tx), now)
    return [*called, *noticed.requests(tx, walls.requests(me))]


@pages.post("/emergencies/<station:station>/<kind>/<short:number>/noticed")
def noticed_one(station: str, kind: str, number: int) -> Response:
    """*I have seen it*: the sound ends for everybody, with the name of who said so."""
    if kind not in (noticed.CONSULT, noticed.CALL):
        abort(404)
    with writing(desk().engine) as tx:
        if not noticed.is_there(tx, kind, station, number):
            abort(404)
        noticed.take(tx, guard.me(), kind, station, number, desk().now())
    guard.did("noticed")
    return redirect(url_for(".waiting"))


@pages.post("/emergencies/noticed")
def noticed_all() -> Response:
    """The same for everything that sounds now: one press of a hand."""
    me, now = guard.me(), desk().now()
    with writing(desk().engine) as tx:
        for one in _alarms(tx):
            if not one.by:
                noticed.take(tx, me, one.kind, one.station, one.number, now)
    guard.did("noticed")
    return redirect(url_for(".waiting"))


def _rows() -> dict[str, Any]:
    which = request.args.get("list", "waiting")
    which = which if which in LISTS else "waiting"
    department = _department(request.args.get("department", ""))
    with reading(desk().engine) as tx:
        lists = _lists(tx, department)
        names = accounts.names(tx)
        alarms = _alarms(tx)
        now = desk().now()
        routes = _routes(tx, lists[which], now) if which == "waiting" else {}
    rows = [_row(one, names, now, routes.get((one.station, one.consult), "")) for one in lists[which]]
    counts = {name: (sum(not one.test_data for one in found), sum(one.test_data for one in found)) for name, found in lists.items()}
    choice = "" if department is None else str(int(department))
    changing = [(row["pressing"], row["holder"], row["route"]) for row in rows]
    version = present.fingerprint(which, choice, counts, lists[which], names, alarms, changing, guard.say().language)
    return {
        "rows": rows, "alarms": alarms, "consults": lists[which], "counts": counts, "list": which,
        "department": choice, "now": now, "version": version,
        "departments": [(str(int(number)), guard.say()(*words)) for number, words in DEPARTMENTS.items()],
    }  # fmt: skip


def _department(text: str) -> Department | None:
    return next((one for one in Department if str(int(one)) == text), None)


def _lists(tx: Connection, department: Department | None) -> dict[str, list[Consult]]:
    mine = walls.requests(guard.me())
    ended = [one for one in consults.finished(tx, mine) if department in (None, one.department)]
    return {
        "waiting": _waiting(tx, consults.unanswered(tx, mine), department),
        "sent": [one for one in ended if one.withdrawn is None and one.read is None],
        "closed": [one for one in ended if one.withdrawn is not None or one.read is not None],
    }


def _routes(tx: Connection, found: list[Consult], now: int) -> dict[tuple[str, int], str]:
    """What has to be said of the way of a request: it went on to another tier, or nobody is on duty for its department."""
    me, t = guard.me(), guard.say()
    at_work = rota.at_work(tx, me.organisation, now) if me.organisation else []
    ended, names = escalation.exhausted(tx), rota.tiers(tx)
    said: dict[tuple[str, int], str] = {}
    for one in found:
        key = (one.station, one.consult)
        path = escalation.path(tx, *key)
        if key in ended:
            said[key] = t("mọi tuyến chưa ai mở: gọi điện cho trạm", "unopened at every tier: telephone the station")
        elif path:
            to = names[path[-1]].name if path[-1] in names else path[-1]
            said[key] = t(f"đã chuyển lên {to}", f"went on to {to}")
        elif at_work and one.opened is None and routing.unattended(one, at_work, now):
            said[key] = t("không có người trực khoa này", "nobody is on duty for it")
    return said


def _waiting(tx: Connection, found: list[Consult], department: Department | None) -> list[Consult]:
    """Whoever is on duty sees first what is theirs, everybody's, or nobody's because no one is on duty for it."""
    me, now = guard.me(), desk().now()
    at_work = rota.at_work(tx, me.organisation, now) if me.organisation else []
    mine = {one.department for one in at_work if one.login == me.login}
    if department is not None or not mine:
        return routing.queue(found, department)
    return routing.asked(found, mine | (set(Department) - {one.department for one in at_work}))


def _row(one: Consult, names: Mapping[str, str], now: int, why: str = "") -> dict[str, Any]:
    t = guard.say()
    holder = one.held_by(now)
    return {
        "one": one, "url": url_for("consults.page", station=one.station, number=one.consult),
        "banner": present.banner(one.asked, present.local(now).date(), t), "urgency": t(*URGENCIES[one.urgency]),
        "department": t(*DEPARTMENTS[one.department]), "field": t(*FIELDS[one.kind]), "waited": present.waited(now - one.received),
        "pressing": present.pressing(one.urgency, now - one.received, desk().unopened_s) if one.opened is None else "calm",
        "stage": [stage for stage in present.stages(one, names, now, t) if stage.done][-1], "holder": names.get(holder, holder),
        "mine": holder == guard.me().login, "route": why,
    }  # fmt: skip


def plain(one: Consult) -> dict[str, Any]:
    """A request as a program reads it: words of the contract in lower case, times in tenths since 1970."""
    return {
        "station": one.station, "station_name": one.station_name, "consult": one.consult, "id": spell(one.consult), "patient": one.patient,
        "url": url_for("consults.page", station=one.station, number=one.consult), "name": one.asked.name, "known": one.known,
        "urgency": one.urgency.name.lower(), "department": one.department.name.lower(), "complaint": one.complaint,
        "test_data": one.test_data, "requested": one.requested, "received": one.received, "opened": one.opened,
        "opened_by": one.opened_by, "claimed_by": one.held_by(desk().now()), "answered": one.answered, "shown": one.shown,
        "read": one.read, "withdrawn": one.withdrawn, "asking": one.asking,
    }  # fmt: skip
