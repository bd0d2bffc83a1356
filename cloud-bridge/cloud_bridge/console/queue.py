"""The queue: who waits, the most urgent first."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, jsonify, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from appliance.contract.events import Department, Urgency
from appliance.contract.ids import spell
from cloud_bridge import routing
from cloud_bridge.console import fresh, guard, present
from cloud_bridge.console.desk import desk
from cloud_bridge.console.words import DEPARTMENTS, FIELDS, URGENCIES
from cloud_bridge.store import accounts, consults, review
from cloud_bridge.store.consults import Consult
from cloud_bridge.store.engine import reading

pages = Blueprint("queue", __name__)

LISTS = ("waiting", "sent", "closed")


@pages.get("/")
def waiting() -> str:
    """The page of the queue."""
    return render_template("queue.html", **_rows())


@pages.get("/queue/live")
@guard.by_itself
def live() -> Response:
    """The part of the page that changes; 304 while it has not."""
    return fresh.part("_queue.html", _rows)[0]


@pages.get("/consults.json")
@guard.by_itself
def listing() -> Response:
    """The queue for programs: ``?list=waiting|sent|closed`` and ``?department=0..5``."""
    found = _rows()
    return jsonify(now=found["now"], list=found["list"], consults=[plain(one) for one in found["consults"]])


@pages.get("/emergencies.json")
@guard.by_itself
def emergencies() -> Response:
    """What every page asks for: emergencies nobody has opened (badge and sound), answers to be looked at again (badge)."""
    with reading(desk().engine) as tx:
        unopened = [one for one in consults.unanswered(tx) if one.urgency is Urgency.EMERGENCY and one.opened is None]
        corrected = review.count_corrected(tx)
    return jsonify(unopened=[f"{one.station}/{spell(one.consult)}" for one in unopened], corrected=corrected)


def _rows() -> dict[str, Any]:
    which = request.args.get("list", "waiting")
    which = which if which in LISTS else "waiting"
    department = _department(request.args.get("department", ""))
    with reading(desk().engine) as tx:
        lists = _lists(tx, department)
        names = accounts.names(tx)
    now = desk().now()
    rows = [_row(one, names, now) for one in lists[which]]
    counts = {name: len(found) for name, found in lists.items()}
    choice = "" if department is None else str(int(department))
    version = present.fingerprint(
        which, choice, counts, lists[which], names, [(row["pressing"], row["holder"]) for row in rows], guard.say().language
    )
    return {
        "rows": rows, "consults": lists[which], "counts": counts, "list": which, "department": choice, "now": now, "version": version,
        "departments": [(str(int(number)), guard.say()(*words)) for number, words in DEPARTMENTS.items()],
    }  # fmt: skip


def _department(text: str) -> Department | None:
    return next((one for one in Department if str(int(one)) == text), None)


def _lists(tx: Connection, department: Department | None) -> dict[str, list[Consult]]:
    ended = [one for one in consults.finished(tx) if department in (None, one.department)]
    return {
        "waiting": routing.queue(consults.unanswered(tx), department),
        "sent": [one for one in ended if one.withdrawn is None and one.read is None],
        "closed": [one for one in ended if one.withdrawn is not None or one.read is not None],
    }


def _row(one: Consult, names: Mapping[str, str], now: int) -> dict[str, Any]:
    t = guard.say()
    holder = one.held_by(now)
    return {
        "one": one, "url": url_for("consults.page", station=one.station, number=one.consult),
        "banner": present.banner(one.asked, present.local(now).date(), t), "urgency": t(*URGENCIES[one.urgency]),
        "department": t(*DEPARTMENTS[one.department]), "field": t(*FIELDS[one.kind]), "waited": present.waited(now - one.received),
        "pressing": present.pressing(one.urgency, now - one.received, desk().unopened_s) if one.opened is None else "calm",
        "stage": [stage for stage in present.stages(one, names, now, t) if stage.done][-1], "holder": names.get(holder, holder),
        "mine": holder == guard.me().login,
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
