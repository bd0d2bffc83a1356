"""The rota of one's own organisation: a week of shifts, the hours nobody covers by name, publishing, who is on duty now.

Whoever writes it sees no word of a patient. Publishing names every uncovered hour first; with any it needs a confirmation
of exactly those hours, which is kept.
"""

import hashlib
from datetime import date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from appliance.contract.events import Department
from cloud_bridge import escalation, routing
from cloud_bridge.answers import typed
from cloud_bridge.console import guard
from cloud_bridge.console.desk import desk
from cloud_bridge.console.words import DEPARTMENTS, URGENCIES
from cloud_bridge.store import accounts, consults, rota, walls
from cloud_bridge.store.accounts import Account
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.rota import DAY, Gap, Shift

pages = Blueprint("rota", __name__, url_prefix="/rota")

WEEK = 7 * DAY
MOST_CHARACTERS = 120
MOST_PHONE = 40


@pages.get("/")
def week() -> str:
    """One week: ``?week=2026-11-23`` (any day of it)."""
    start = _start(request.args.get("week", ""))
    mine = guard.me().organisation
    now = desk().now()
    with reading(desk().engine) as tx:
        shifts = rota.written(tx, mine, start, start + WEEK) if mine else []
        last = rota.latest(tx, mine, start, start + WEEK)
        people = [one for one in accounts.everybody(tx) if one.organisation == mine and one.signs] if mine else []
        calls = _calls(tx, guard.me(), now)
    holes = routing.gaps([one for _, one in shifts], start, start + WEEK)
    return render_template(
        "rota.html", days=[start + number * DAY for number in range(7)], start=start, monday=_iso(start), before=_iso(start - WEEK),
        after=_iso(start + WEEK), rows=_rows(shifts, holes, start), gaps=_named(holes), seen=_mark(holes), last=last,
        changed=last is not None and not rota.same(last, [one for _, one in shifts]), people=people, calls=calls, mine=mine,
        departments=[(int(one), guard.say()(*words)) for one, words in DEPARTMENTS.items()], today=_iso(now), date=_date,
    )  # fmt: skip


@pages.post("/shifts")
def add() -> Response:
    """Fields: week, department, day, from, to (equal to from: 24 hours), days (how many in a row), name, phone, login."""
    form, mine, t = request.form, _organisation(), guard.say()
    try:
        found = _shifts(mine)
    except ValueError:
        flash(
            t("Chưa ghi: điền đủ khoa, ngày, giờ (HH:MM) và tên.", "Not kept: give department, day, hours (HH:MM) and a name."), "refused"
        )
        return _back(form.get("week", ""))
    with writing(desk().engine) as tx:
        for one in found:
            rota.add(tx, one)
    guard.did("rota.write")
    return _back(form.get("week", ""))


@pages.post("/shifts/<int:shift>/remove")
def remove(shift: int) -> Response:
    """Strike a shift of one's own organisation; one that is not there (any more) is struck already. Field: week."""
    with writing(desk().engine) as tx:
        if shift < 1 << 31 and rota.remove(tx, _organisation(), shift):
            guard.did("rota.write")
    return _back(request.form.get("week", ""))


@pages.post("/copy")
def copy() -> Response:
    """Write this week's shifts once more for the next one, and show that. Field: week."""
    start = _start(request.form.get("week", ""))
    with writing(desk().engine) as tx:
        rota.copy(tx, _organisation(), start, start + WEEK, WEEK)
    guard.did("rota.write")
    return _back(_iso(start + WEEK))


@pages.post("/publish")
def publish() -> Response:
    """Fields: week, seen (the uncovered hours as they were shown), confirmed. Nothing is published that was not seen."""
    start, mine, t = _start(request.form.get("week", "")), _organisation(), guard.say()
    with writing(desk().engine) as tx:
        holes = routing.gaps([one for _, one in rota.written(tx, mine, start, start + WEEK)], start, start + WEEK)
        if _mark(holes) != request.form.get("seen", ""):
            flash(t("Lịch vừa thay đổi. Hãy xem lại giờ trống rồi phát hành.", "The rota has changed. Look at the gaps again."), "refused")
        elif holes and request.form.get("confirmed") != "1":
            flash(
                t("Còn giờ không có người trực. Điền thêm, hoặc đánh dấu đã biết.", "Hours are uncovered. Fill them, or confirm."),
                "refused",
            )
        else:
            rota.publish(tx, mine, start, start + WEEK, gaps=holes, actor=guard.me().login, at=desk().now())
            guard.did("rota.publish")
            flash(t("Đã phát hành. Các trạm sẽ nhận khi có mạng.", "Published. Stations get it with their next link."), "done")
    return _back(_iso(start))


def line() -> list[tuple[str, str]]:
    """(department, names) of everybody of one's own organisation who is on duty now: for the head of every page."""
    mine = guard.me().organisation
    if not mine:
        return []
    with reading(desk().engine) as tx:
        found = rota.at_work(tx, mine, desk().now())
    by: dict[Department, list[str]] = {}
    for one in found:
        by.setdefault(one.department, []).append(one.name)
    return [(guard.say()(*DEPARTMENTS[department]), ", ".join(names)) for department, names in by.items()]


# --- what the page is made of -----------------------------------------------------------------------------------------------------------


def _calls(tx: Connection, account: Account, now: int) -> list[dict[str, str]]:
    """Requests that nobody looks after: through every tier unopened, or nobody on duty for the department. No word of a patient."""
    t, ended = guard.say(), escalation.exhausted(tx)
    at_work = rota.at_work(tx, account.organisation, now) if account.organisation else []
    found = []
    for one in routing.queue(consults.unanswered(tx, walls.requests(account))):
        if one.opened is not None:
            continue
        nobody = routing.unattended(one, at_work, now)
        if (one.station, one.consult) in ended or nobody:
            why = t("không có người trực khoa này", "nobody is on duty for it") if nobody else ""
            if (one.station, one.consult) in ended:
                why = t("đã qua mọi tuyến, chưa ai mở: gọi điện cho trạm", "through every tier, unopened: telephone the station")
            found.append({
                "station": one.station_name, "urgency": t(*URGENCIES[one.urgency]), "department": t(*DEPARTMENTS[one.department]),
                "why": why, "since": str(one.received),
            })  # fmt: skip
    return found


def _rows(shifts: list[tuple[int, Shift]], holes: list[Gap], start: int) -> list[dict[str, Any]]:
    """A row per department, a cell per day: the shifts that begin on it (the first day also those that began before), its gaps."""
    made = []
    for department, words in DEPARTMENTS.items():
        cells = []
        for number in range(7):
            low = start + number * DAY
            first = -rota.LONGEST + low if number == 0 else low
            mine = [(key, one) for key, one in shifts if one.department is department and first <= one.start < low + DAY]
            gone = [(max(one.start, low), min(one.end, low + DAY)) for one in holes if one.department is department]
            cells.append({
                "shifts": [{"id": key, "hours": routing.hours(one.start, one.end), "short": _short(one), "one": one} for key, one in mine],
                "gaps": [_span(a, b, low) for a, b in gone if a < b],
            })  # fmt: skip
        made.append({"department": guard.say()(*words), "cells": cells})
    return made


def _span(start: int, end: int, low: int) -> str:
    if (start, end) == (low, low + DAY):
        return guard.say()("trống cả ngày", "uncovered all day")
    return guard.say()("trống ", "uncovered ") + f"{_clock(start)}–{'24:00' if end == low + DAY else _clock(end)}"


def _short(one: Shift) -> str:
    return f"{_clock(one.start)}–{_clock(one.end)}"


def _clock(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 10, routing.LOCAL):%H:%M}"


def _date(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 10, routing.LOCAL):%d-%m}"


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 10, routing.LOCAL).date().isoformat()


def _named(holes: list[Gap]) -> list[str]:
    """Each uncovered time as a person says it."""
    t = guard.say()
    return [t(f"Khoa {DEPARTMENTS[one.department][0]} trống", f"{DEPARTMENTS[one.department][1]} uncovered")
            + f" {routing.hours(one.start, one.end)}" for one in holes]  # fmt: skip


def _mark(holes: list[Gap]) -> str:
    return hashlib.sha256(repr([(int(one.department), one.start, one.end) for one in holes]).encode()).hexdigest()[:16]


def _start(text: str) -> int:
    """The Monday of the week of a day in ISO form; of this week for anything else."""
    try:
        day = date.fromisoformat(text)
        if not 2020 <= day.year <= 2100:
            raise ValueError(text)
    except ValueError:
        day = datetime.fromtimestamp(desk().now() / 10, routing.LOCAL).date()
    return _tenths(day - timedelta(days=day.weekday()), time(0))


def _tenths(day: date, at: time) -> int:
    return int(datetime.combine(day, at, routing.LOCAL).timestamp()) * 10


def _shifts(mine: str) -> list[Shift]:
    """What the form says; ValueError for what is no shift."""
    form = request.form
    department = Department(int(form.get("department", "")))
    day, start, end = (
        date.fromisoformat(form.get("day", "")),
        time.fromisoformat(form.get("from", "")),
        time.fromisoformat(form.get("to", "")),
    )
    days, name, phone, login = (
        int(form.get("days", "1")),
        typed(form.get("name", "")),
        typed(form.get("phone", "")),
        typed(form.get("login", "")),
    )
    if not name or len(name) > MOST_CHARACTERS or len(phone) > MOST_PHONE or len(login) > 64 or not 1 <= days <= 31:
        raise ValueError("a shift needs a name, and no novel")
    if not 2020 <= day.year <= 2100 or start.tzinfo or end.tzinfo:
        raise ValueError("a day of another age")
    made = []
    for number in range(days):
        begins = _tenths(day + timedelta(days=number), start)
        ends = _tenths(day + timedelta(days=number + (end <= start)), end)
        made.append(Shift(mine, department, begins, ends, name, phone, login))
    return made


def _organisation() -> str:
    mine = guard.me().organisation
    if not mine:
        abort(403)
    return mine


def _back(text: str) -> Response:
    return redirect(url_for(".week", week=_iso(_start(text))))
