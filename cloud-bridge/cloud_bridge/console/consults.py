"""A request: read it, hold it, ask back, draft, sign, correct."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, abort, flash, jsonify, redirect, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from appliance import journal
from appliance.contract.answers import Answer, read_answer
from appliance.contract.ids import short_number, spell, unspell
from appliance.contract.readings import Source
from cloud_bridge import answers as doctor
from cloud_bridge.answers import Advice, Refused
from cloud_bridge.console import fresh, guard, present, queue, sessions, vitals
from cloud_bridge.console.desk import desk
from cloud_bridge.console.words import ANSWER_FIELDS, BASES, DEPARTMENTS, FIELDS, REFUSALS, URGENCIES
from cloud_bridge.store import (
    accounts,
    answers,
    completeness,
    consents,
    consults,
    corrections,
    devices,
    observations,
    patients,
    pictures,
    series,
)
from cloud_bridge.store.accounts import Denied
from cloud_bridge.store.consults import Consult
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.observations import Observation

pages = Blueprint("consults", __name__, url_prefix="/consults")

RECENT = 24 * 36_000
"""Beside the readings a request cites, the confirming page shows those of the last 24 hours; together they are what was *seen*."""
MOST_SEEN = 40
"""16 bytes each on a thin line."""


# --- reading --------------------------------------------------------------------------------------------------------------------------


@pages.get("/<station:station>/<short:number>")
def page(station: str, number: int) -> str:
    """The request. That a doctor has it in front of them is told to the station, the first time."""
    with writing(desk().engine) as tx:
        first = _open(tx, station, number)
        doctor.see_replies(tx, guard.me(), station, number, software=desk().software, now=desk().stamp())
        found = _load(tx, station, number)
        new = vitals.show(tx, station, found["shown_readings"])
        form = _form(tx, found)
    text = render_template("consult.html", **found, **form)
    if first:
        journal.step(desk().log, "shown", station=station, consult=number)
    vitals.say_shown(station, new, number)
    return text


def _open(tx: Connection, station: str, number: int) -> bool:
    try:
        return doctor.open_request(tx, guard.me(), station, number, software=desk().software, now=desk().stamp(), hold=_hold())
    except Refused:
        abort(404)


@pages.get("/<station:station>/<short:number>/live")
def live(station: str, number: int) -> AnyResponse:
    """The part of the page that changes; 304 while it has not."""

    def load() -> dict[str, Any]:
        with reading(desk().engine) as tx:
            return _load(tx, station, number)

    response, found = fresh.part("_consult.html", load)
    if found is not None:
        vitals.note_shown(station, found["shown_readings"], number)
        if any(row.origin and row.shown is None for row in found["messages"]):
            with writing(desk().engine) as tx:
                doctor.see_replies(tx, guard.me(), station, number, software=desk().software, now=desk().stamp())
    return response


@pages.get("/<station:station>/<short:number>.json")
def data(station: str, number: int) -> Response:
    """The request, its readings, messages and signed answers for programs."""
    with reading(desk().engine) as tx:
        found = _load(tx, station, number)
    one: Consult = found["one"]
    named = found["device_names"]
    return jsonify(
        {
            **queue.plain(one), "now": found["now"],
            "readings": [vitals.plain(each, one.patient, named) for each in found["cited_readings"]],
            "other_readings": [vitals.plain(each, one.patient, named) for each in found["other_readings"]],
            "messages": [
                {"question": row.question, "who": row.who, "text": row.text, "at": row.wall, "reply": bool(row.origin)}
                for row in found["messages"]
            ],
            "answers": [
                {"answer": row["answer"], "replaces": row["replaces"], "who": row["said"].practitioner_name, "signed": row["signed"],
                 "shown": row["shown_at"], "read": row["read_at"], "sha256": row["sha256"]}
                for row in found["answers"]
            ],
        }
    )  # fmt: skip


@pages.get("/<station:station>/<short:number>/pictures/<digest>")
def picture(station: str, number: int, digest: str) -> Response:
    """A picture or preview of this request, as a JPEG and nothing else."""
    try:
        name = bytes.fromhex(digest)
    except ValueError:
        abort(404)
    with reading(desk().engine) as tx:
        data = pictures.read(tx, station, number, name) if consults.get(tx, station, number) else None
    if data is None:
        abort(404)
    return Response(data, content_type="image/jpeg")


def _load(tx: Connection, station: str, number: int) -> dict[str, Any]:
    """Everything the page shows; 404 when there is no such request, or its patient was erased."""
    one = consults.get(tx, station, number)
    if one is None:
        abort(404)
    cited = observations.of_consult(tx, station, number)
    keys = {each.key for each in cited}
    others = [each for each in observations.of_patient(tx, station, one.patient) if each.key not in keys]
    named, names = devices.names(tx, station), accounts.names(tx)
    said = consults.messages(tx, station, number)
    given = _answers(tx, station, number)
    who = patients.get(tx, station, one.patient) or one.asked
    joined = [each for number in patients.records(tx, station, one.patient)[1:] if (each := patients.get(tx, station, number)) is not None]
    who, ground = patients.warned(who, joined), consents.basis(tx, station, number)
    whole = completeness.of_station(tx, station)
    waves = series.of_consult(tx, station, number)
    clocks = series.ahead(tx, station, {each.reading.device for each in [*cited, *others] if each.reading.source is Source.MEMORY})
    found = _values(one, who, cited, others, named, names, said, given, waves, clocks)
    found["cited"], found["others"] = vitals.noted(tx, station, one.patient, found["cited"], found["others"])
    told = corrections.corrections_for(tx, station, number, guard.me())
    found["corrections"] = [(each, present.values(each.reading, guard.say()) if each.reading else ()) for each in told]
    found["complete"] = present.completeness(whole, found["now"], guard.say())
    found["pictures"] = pictures.of_consult(tx, station, number)
    found["joined"], found["ground"] = joined, guard.say()(*BASES[ground]) if ground in BASES else ""
    notes = [row.notes for row in (*found["cited"], *found["others"])]
    found["version"] = present.fingerprint(found["version"], told, whole.mark, found["pictures"], joined, ground, notes)
    return found


def _values(
    one: Consult, who: Any, cited: list[Observation], others: list[Observation], named: dict[int, str], names: dict[str, str],
    said: list[Any], given: list[dict[str, Any]], waves: dict[bytes, series.Wave], clocks: vitals.Clocks,
) -> dict[str, Any]:  # fmt: skip
    t, now, me = guard.say(), desk().now(), guard.me()
    last: Answer | None = given[-1]["said"] if given else None
    signed, seen = (last.at, frozenset(last.seen)) if last else (None, frozenset())
    holder = one.held_by(now)
    cited_rows = vitals.rows(cited, one.patient, named, cited=True, signed=signed, seen=seen, waves=waves, clocks=clocks)
    other_rows = vitals.rows(others[: vitals.LISTED], one.patient, named, signed=signed, seen=seen, clocks=clocks)
    every = sorted([*cited, *others], key=lambda each: each.when)
    until = one.claimed_until if holder else 0
    shown_until = until // 600 if holder != me.login else 0  # another's hold is shown to the minute
    version = present.fingerprint(one, who, every, named, names, said, given, waves, clocks, holder, shown_until, t.language, me.login)
    return {
        "one": one, "who": present.banner(who, present.local(now).date(), t), "renamed": who.name != one.asked.name, "now": now,
        "urgency": t(*URGENCIES[one.urgency]), "department": t(*DEPARTMENTS[one.department]), "field": t(*FIELDS[one.kind]),
        "stages": present.stages(one, names, now, t), "holder": names.get(holder, holder), "mine": holder == me.login, "until": until,
        "free": holder in ("", me.login), "cited": cited_rows, "others": other_rows, "cited_readings": cited, "other_readings": others,
        "shown_readings": [*cited, *others[: vitals.LISTED]], "device_names": named, "messages": said, "answers": given,
        "lacking": present.not_measured([each.reading for each in cited], t),
        "test_data": one.test_data or any(row.test_data for row in other_rows),
        "changed_since": [row for row in cited_rows if row.warnings and signed is not None and bytes.fromhex(row.key) in seen],
        "later": [row for row in [*cited_rows, *other_rows] if row.late], "trend": present.trend(every, one.patient, t),
        "version": version, "waiting": one.answered is None and one.withdrawn is None,
        "pressing": present.pressing(one.urgency, now - one.received, desk().unopened_s),
    }  # fmt: skip


def _answers(tx: Connection, station: str, number: int) -> list[dict[str, Any]]:
    """Signed answers with what the station said of them."""
    reads = answers.reads(tx, station, number)
    rows = answers.of_consult(tx, station, number)
    replaced = {row.replaces for row in rows}
    shown: list[dict[str, Any]] = []
    for row in rows:
        read, seen = reads.get((row.answer, True)), reads.get((row.answer, False))
        shown.append({
            "answer": row.answer, "replaces": row.replaces, "replaced": row.answer in replaced, "said": read_answer(bytes(row.content)),
            "signed": row.signed, "sha256": bytes(row.sha256).hex(), "shown_at": seen.received if seen else read.received if read else None,
            "read_at": read.received if read else None, "read_by": read.who if read else "",
        })  # fmt: skip
    return shown


# --- the answer -----------------------------------------------------------------------------------------------------------------------


def _form(tx: Connection, found: dict[str, Any]) -> dict[str, Any]:
    """What stands in the form: the doctor's draft, or the answer that is to be corrected."""
    one: Consult = found["one"]
    kept = answers.get_draft(tx, one.station, one.consult, guard.me().login)
    wanted = request.args.get("correct", "")
    last = found["answers"][-1] if found["answers"] else None
    correcting = bool(last and wanted)
    if kept:
        fields, saved = kept
    elif correcting and last:
        fields, saved = {name: getattr(last["said"], name) for name, _, _ in ANSWER_FIELDS}, None
    else:
        fields, saved = {}, None
    return {
        "fields": ANSWER_FIELDS, "draft": fields, "saved": saved, "correcting": last if correcting else None,
        "can_answer": guard.me().signs and one.withdrawn is None and (last is None or correcting), "unsent": kept[0] if kept else {},
    }  # fmt: skip


@pages.post("/<station:station>/<short:number>/draft")
def draft(station: str, number: int) -> AnyResponse:
    """Keep what is in the form; with ``then=sign`` go on to the confirmation."""
    advice = Advice.of(request.form)
    with writing(desk().engine) as tx:
        _tell(tx, number, lambda: doctor.draft(tx, guard.me(), station, number, advice, desk().stamp(), hold=_hold()))
    if request.headers.get("X-Tram-Page"):
        return jsonify(saved=present.clock(desk().now()))
    correct = request.form.get("replaces", "")
    if request.form.get("then") != "sign":
        return redirect(url_for(".page", station=station, number=number, correct=correct or None))
    return redirect(url_for(".confirm", station=station, number=number, replaces=correct or None))


@pages.get("/<station:station>/<short:number>/sign")
def confirm(station: str, number: int) -> AnyResponse | str | tuple[str, int]:
    """The confirmation, beside the record on the same page: the text as it will leave, allergies, the readings it rests on, the password.

    The page's script asks for that part alone; what speaks against signing then comes as one sentence.
    """
    with reading(desk().engine) as tx:
        found = _load(tx, station, number)
        kept = answers.get_draft(tx, station, number, guard.me().login)
        form = _form(tx, found)
    advice = Advice.of(kept[0] if kept else {})
    replaces = _replaces(request.args.get("replaces", ""))
    alone = bool(request.headers.get("X-Tram-Page"))
    try:
        advice.check()
    except Refused as no:
        if alone:
            return guard.say()(*REFUSALS[no.reason]), 409
        _flash(no)
        return redirect(_back(station, number, replaces))
    signing = _signing(found, advice, replaces)
    if alone:
        return render_template("_signing.html", **found, signing=signing)
    return render_template("consult.html", **found, **form, signing=signing)


def _signing(found: dict[str, Any], advice: Advice, replaces: int | None, said: str = "") -> dict[str, Any]:
    """What the confirmation shows and sends back: with the readings those that did not stand while it was looked at."""
    recent = [each for each in found["other_readings"] if each.when >= found["now"] - RECENT]
    seen = [*found["cited_readings"], *recent][:MOST_SEEN]
    one: Consult = found["one"]
    return {
        "advice": advice, "fields": ANSWER_FIELDS, "digest": _digest(advice), "replaces": replaces, "said": said,
        "seen": vitals.rows(seen, one.patient, found["device_names"], cited=True), "keys": [each.key.hex() for each in seen],
        "struck": [each.key.hex() for each in seen if not each.stands_for(one.patient)],
    }  # fmt: skip


@pages.post("/<station:station>/<short:number>/sign")
def sign(station: str, number: int) -> AnyResponse | tuple[str, int]:
    """Sign what the confirmation showed, after the password has been given again."""
    me, replaces = guard.me(), _replaces(request.form.get("replaces", ""))
    with writing(desk().engine) as tx:
        proved = accounts.check(tx, desk().hasher, me.login, request.form.get("password", "")[:200], desk().now())
    with writing(desk().engine) as tx:
        found = _load(tx, station, number)
        kept = answers.get_draft(tx, station, number, me.login)
        advice = Advice.of(kept[0] if kept else {})
        if isinstance(proved, Denied):
            words = guard.say()(*REFUSALS["wrong"]) if proved.reason == "wrong" else sessions.denied(proved)
            form = _form(tx, found) | {"signing": _signing(found, advice, replaces, words)}
            guard.did("view")
            return render_template("consult.html", **found, **form), 403
        try:
            if request.form.get("digest", "") != _digest(advice):
                raise Refused("changed")
            said = doctor.sign(
                tx, me, station, number, advice, seen=_keys("seen"), struck=_keys("struck"), answer=short_number(desk().random(5)),
                seal=desk().seal, software=desk().software, now=desk().stamp(), replaces=replaces,
            )  # fmt: skip
        except Refused as no:
            _flash(no, consults.get(tx, station, number), accounts.names(tx))
            return redirect(_back(station, number, replaces))
    guard.did("sign")
    journal.step(desk().log, "signed", station=station, consult=number, answer=said.answer)
    flash(guard.say()("Đã ký. Trả lời đang được gửi về trạm.", "Signed. The answer is on its way to the station."), "done")
    return redirect(url_for(".page", station=station, number=number))


def _digest(advice: Advice) -> str:
    return hashlib.sha256(json.dumps(advice.given(), sort_keys=True).encode()).hexdigest()


def _keys(name: str) -> list[bytes]:
    """Reading keys out of the form."""
    try:
        return [bytes.fromhex(text) for text in request.form.getlist(name)]
    except ValueError:
        raise Refused("unseen") from None


def _replaces(text: str) -> int | None:
    if not text:
        return None
    try:
        return unspell(text)
    except ValueError:
        abort(404)


# --- holding and asking ---------------------------------------------------------------------------------------------------------------


def _hold() -> int:
    """Tenths of a second that a request stays with a doctor who does nothing."""
    return desk().claim_s * 10


@pages.post("/<station:station>/<short:number>/claim")
def claim(station: str, number: int) -> AnyResponse:
    """Take the request."""
    with writing(desk().engine) as tx:
        me, now, hold = guard.me(), desk().stamp(), _hold()
        if _tell(tx, number, lambda: doctor.claim(tx, me, station, number, software=desk().software, now=now, hold=hold)):
            guard.did("claim")
    return redirect(url_for(".page", station=station, number=number))


@pages.post("/<station:station>/<short:number>/release")
def release(station: str, number: int) -> AnyResponse:
    """Give the request back and return to the queue (its page would take it again)."""
    with writing(desk().engine) as tx:
        me, now = guard.me(), desk().stamp()
        if _tell(tx, number, lambda: doctor.release(tx, me, station, number, now, software=desk().software)):
            guard.did("release")
    return redirect(url_for("queue.waiting"))


@pages.post("/<station:station>/<short:number>/question")
def question(station: str, number: int) -> AnyResponse:
    """Ask the station something."""
    text = request.form.get("text", "")
    with writing(desk().engine) as tx:
        asked = short_number(desk().random(5))
        how = {"question": asked, "software": desk().software, "now": desk().stamp(), "hold": _hold()}
        done = _tell(tx, number, lambda: doctor.ask(tx, guard.me(), station, number, text, **how))  # type: ignore[arg-type]  # by name
    if done:
        guard.did("question")
        flash(guard.say()("Câu hỏi đang được gửi về trạm.", "The question is on its way to the station."), "done")
    return redirect(url_for(".page", station=station, number=number))


@pages.post("/<station:station>/<short:number>/corrections")
def corrections_seen(station: str, number: int) -> AnyResponse:
    """A doctor has seen what the station has corrected; the others are told on."""
    with writing(desk().engine) as tx:
        _load(tx, station, number)
        if corrections.corrections_seen(tx, station, number, guard.me(), desk().now()):
            guard.did("looked")
    return redirect(url_for(".page", station=station, number=number))


def _tell(tx: Connection, number: int, act: Callable[[], object]) -> bool:
    """Do it, True; a refusal is told on the next page and nothing has happened. 404 for a request that is not there."""
    try:
        act()
    except Refused as no:
        if no.reason == "gone":
            abort(404)
        if no.reason == "role":
            abort(403)
        about = request.view_args or {}
        _flash(no, consults.get(tx, about["station"], number), accounts.names(tx))
        return False
    return True


def _flash(no: Refused, found: Consult | None = None, names: Mapping[str, str] | None = None) -> None:
    """One sentence about a refusal; who holds or has answered stands in it."""
    word = "question" if no.who == "question" else no.reason
    until = present.moment(found.claimed_until, desk().now()) if found is not None else ""
    flash(guard.say()(*REFUSALS[word]).format(who=(names or {}).get(no.who, no.who), until=until), "refused")


def _back(station: str, number: int, replaces: int | None) -> str:
    return url_for(".page", station=station, number=number, correct=None if replaces is None else spell(replaces))
