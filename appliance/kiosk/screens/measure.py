"""Measuring: a device is given to a confirmed patient, its numbers move on the screen, a person saves or discards.

The page holds a session and a measurement. A save is refused (409) unless the measurement belongs to that session, the
session to that patient, and the patient is still confirmed at this window: whatever happened meanwhile at another window,
at the device or in the store (the wrong-patient race).
"""

import threading
from contextlib import closing
from dataclasses import replace

from flask import Blueprint, jsonify, request
from werkzeug.wrappers import Response

from appliance import journal
from appliance.contract.events import Identity
from appliance.contract.metrics import TABLE, Metric
from appliance.database import StoreError
from appliance.devices.registry import ROWS
from appliance.kiosk import here, live, present
from appliance.kiosk.desk import Desk
from appliance.kiosk.here import Kiosk
from appliance.kiosk.series import place
from appliance.kiosk.speech import DISCARDS, PATIENT_TYPES, REFUSED, WHY, Pair, pair
from appliance.store import boots, guided, manual, measuring
from appliance.store.measuring import MeasurementRow, Session, State

screen = Blueprint("measure", __name__)

LIVED_ON = frozenset({measuring.EXPIRED, measuring.RECONNECTED, ""})
"""Ends of a session after which its page may still save what had settled before: its time ran out, its device came back."""

STATES: dict[State, Pair] = {
    State.SETTLED: ("chưa lưu", "not saved"),
    State.RECORDED: ("đã lưu", "saved"),
    State.DISCARDED: ("đo lại", "measured again"),
    State.UNASSIGNED: ("chưa có tên", "without a name"),
    State.SENT_UNASSIGNED: ("đã gửi không tên", "sent without a name"),
    State.DAMAGED: ("hỏng", "damaged"),
}


GUIDED = "guided:"
"""What stands before a device's name where a guided blood pressure with it is asked for."""


def metrics_of(device: str) -> tuple[Metric, ...]:
    """What the device's driver declares."""
    known = here.kiosk().settings.devices.get(device)
    row = ROWS.get(known.driver) if known is not None else None
    return () if row is None else row.metrics


def _commanded(device: str) -> bool:
    known = here.kiosk().settings.devices.get(device)
    row = ROWS.get(known.driver) if known is not None else None
    return row is not None and row.commanded


def reconnected(device: str, since: float) -> bool:
    """True when the device's line was opened after this moment (seconds of CLOCK_BOOTTIME): who is at it may have changed."""
    data = live.read(here.kiosk().settings.paths.run, device) or {}
    opened = data.get("opened_ns")
    return isinstance(opened, int) and opened > since * 1e9


def opened(identity: Identity, device: str) -> Session:
    """A new measuring session at this window; a cuff that was on somebody is let go first."""
    parts, window = here.kiosk(), here.desk()
    if not manual.is_manual(device):
        parts.cuffs.stop(device)
    it = measuring.open_session(here.db(), patient=identity.patient, staff=window.staff, device=device, now=here.stamp())
    window.sessions.add(it.id)
    if not manual.is_manual(device):
        parts.cuffs.opened(it.id, device)
    return it


# --- the measuring page -------------------------------------------------------------------------------------------------------------


@screen.get("/sessions/<int:session>")
def show(session: int) -> Response:
    """The page of one session: the moving number, the result to decide about, or why it is over."""
    it = _session_or_404(session)
    identity = here.patient_or_404(it.patient)
    if not here.desk().is_confirmed(it.patient) or session not in here.desk().sessions:
        return here.go(f"/patients/{it.patient}/confirm?device={_asked_as(it)}")
    return _onward(it) or _page(it, identity)


def _asked_as(it: Session) -> str:
    """What leads back to where the session was, once the patient is confirmed again: its device, or the series it was opened for."""
    series = guided.of_session(here.db(), it.id)
    device = manual.DEVICE if manual.is_manual(it.device) else it.device
    return device if series is None or not series.open_at(here.stamp()) else GUIDED + device


def _onward(it: Session) -> Response | None:
    """Where the way goes on when nothing waits for a decision here: the steps of a guided series, the list of what can be typed."""
    rows = measuring.latest(here.db(), it.id)
    if _pending(it, rows) is not None:
        return None
    series = guided.of_session(here.db(), it.id)
    if series is not None and (_over(it) or any(one.state is State.RECORDED for one in rows)):
        return here.go(f"/guided/{series.id}")
    if manual.is_manual(it.device) and not _over(it):
        return here.go(f"/sessions/{it.id}/type" + ("/pressure" if series is not None else ""))
    return None


def _page(it: Session, identity: Identity, refused: str = "", errors: dict[str, Pair] | None = None, status: int = 200) -> Response:
    parts, t = here.kiosk(), here.speech()
    rows = measuring.latest(here.db(), it.id)
    pending, over = _pending(it, rows), _over(it)
    metrics, held = metrics_of(it.device), parts.cuffs.holds(it.device, it.id)
    shown = _live(it, metrics)
    page = {
        "session": it.id, "device": _asked_as(it), "mark": _mark(it, rows, held=held),
        "by_hand": manual.is_manual(it.device), "live": "" if manual.is_manual(it.device) else f"/live/{it.device}.json?session={it.id}",
        "phase": "result" if pending is not None else "ended" if over else "live", "commanded": _commanded(it.device), "held": held,
         "shown": shown, "lost": t("Mất kết nối máy", "Device connection lost"), "wave": Metric.SPO2 in metrics,
        "tiles": [_tile(one, shown) for one in metrics if one in present.MAIN],
        "types": [(one, t(*PATIENT_TYPES[one])) for one in _types(it.device)],
        "typed": {"patient_type": parts.cuffs.patient_type(it.id)}, "ended": _ended_words(over),
        "attempts": [attempt(one) for one in rows if one is not pending],
        "others": [(one, here.device_name(one)) for one in parts.settings.devices if one != it.device],
    }  # fmt: skip
    series = guided.of_session(here.db(), it.id)
    if series is not None:
        page["guided"] = place(series)
    if pending is not None:
        page |= {
            "measurement": pending.id,
            "result": present.reading(
                pending.reading, here.device_name(it.device), here.now(), t, due=here.calibration_due(pending.reading.device)
            ),
            "questions": present.questions(pending.reading, t),
        }
    return here.page("measuring.html", status, page=page, banner=here.banner_of(identity), refused=refused, errors=errors or {})


def _tile(metric: Metric, shown: present.LiveShown) -> dict[str, str]:
    row = TABLE[metric]
    t = here.speech()
    return {"metric": metric.name, "label": t(row.vi, row.en), "unit": t(row.unit_vi, row.unit), "text": shown.numbers[metric.name]}


def _types(device: str) -> tuple[str, ...]:
    """The patient types a device is allowed to measure."""
    known = here.kiosk().settings.devices.get(device)
    return () if known is None else tuple(one for one in known.patient_types if one in PATIENT_TYPES)


def attempt(row: MeasurementRow) -> dict[str, object]:
    """A measurement of a session in one line: what, when, and what became of it."""
    t = here.speech()
    word = t(*STATES[row.state])
    if row.state is State.DISCARDED and row.why:
        word += f" ({pair(DISCARDS, row.why, t, ('lý do', 'reason'))})"
    return {
        "headline": present.headline(row.reading, t),
        "at": present.second(row.reading.stamp.wall, here.now()),
        "state": word,
        "saved": row.state is State.RECORDED,
        "correct": _correct_at(row),
    }


def _correct_at(row: MeasurementRow) -> str:
    """Where a saved reading of this patient is corrected; empty for what was not saved."""
    found = measuring.saved_as(here.db(), row.id) if row.state is State.RECORDED else None
    return "" if found is None else f"/patients/{row.patient}/readings/{found}"


def _pending(it: Session, rows: list[MeasurementRow]) -> MeasurementRow | None:
    """The newest measurement of the session that waits for a decision, unless the session was taken or left."""
    if _over(it) and it.why not in LIVED_ON:
        return None
    return next((one for one in rows if one.state is State.SETTLED), None)


def _over(it: Session) -> str:
    """Why nothing more can be measured in this session; empty while it stands."""
    return "" if it.standing(here.stamp()) else it.why or measuring.EXPIRED


def _ended_words(over: str) -> str:
    t = here.speech()
    if not over:
        return ""
    words = pair(WHY, over, t, ("phiên đo đã kết thúc", "the session is over"))
    return words[:1].upper() + words[1:] + "."


def _mark(it: Session, rows: list[MeasurementRow], *, held: bool) -> str:
    """What the page must show, in one word: when it changes the page is drawn anew."""
    pending = _pending(it, rows)
    states = "".join(str(int(one.state)) for one in rows)
    return f"{_over(it) or 'open'}.{0 if pending is None else pending.id}.{int(held)}.{states}"


def _live(it: Session, metrics: tuple[Metric, ...]) -> present.LiveShown:
    parts = here.kiosk()
    data, inflated = live.read(parts.settings.paths.run, it.device), parts.cuffs.inflated(it.id)
    began = None if _commanded(it.device) else it.id  # a cuff's cycle belongs to the press that started it
    shown = present.live(data, parts.clock.boottime_ns(), metrics, here.speech(), session=began, inflated=inflated)
    return replace(shown, cuff_off=_still_on(it.device, danger=shown.cuff_off))


def _still_on(device: str, *, danger: bool) -> bool:
    """Whether a cuff must be taken off by hand: until a person says that it is off, or the device that it is empty."""
    off = here.kiosk().off
    if not danger:
        off.discard(device)
    return danger and device not in off


def cuffs_on() -> list[str]:
    """The devices whose cuff a person has to take off, whoever's page is open: the line died while it held air."""
    parts = here.kiosk()
    if parts.lan:
        return []  # said at the box, where the arm is
    found = []
    for device in filter(_commanded, parts.settings.devices):
        shown = present.live(live.read(parts.settings.paths.run, device), parts.clock.boottime_ns(), (), here.speech())
        if shown.cuff_off and device not in parts.off:
            found.append(device)
    return found


@screen.get("/live/<device>.json", endpoint="live")
def moving(device: str) -> Response:
    """What the page asks every 0.3 s. As long as it asks, the cuff it started may go on and its session is not left.

    Without ``session`` it only tells. This GET may end a session: when the kiosk itself sees that the device went away and
    came back, the patient has to be confirmed again.
    """
    if device not in here.kiosk().settings.devices:
        raise here.Gone(("Trạm không có máy đo này.", "This station has no such device."))
    number = request.args.get("session", "")
    if not (number.isascii() and number.isdigit()) or not here.desk().staff:
        return _told(device)
    it = measuring.session(here.db(), int(number))
    if it is None or it.device != device or it.id not in here.desk().sessions:
        return jsonify({**_numbers(_live_of(device)), "page": "gone", "measuring": False, "measurement": None})
    return _follow(it)


def _follow(it: Session) -> Response:
    parts, metrics = here.kiosk(), metrics_of(it.device)
    shown = _live(it, metrics)
    back = parts.cuffs.asked(it.id, lost=shown.lost, pressure=shown.inflated if shown.pressure else None)
    back = back or reconnected(it.device, (it.opened + 1) / 10)
    if back and it.standing(here.stamp()):
        measuring.end_session(here.db(), it.id, measuring.RECONNECTED, here.stamp())
        here.desk().confirmed.pop(it.patient, None)
        here.desk().notice = _BACK
        it = _session_or_404(it.id)
    rows = measuring.latest(here.db(), it.id)
    held, pending = parts.cuffs.holds(it.device, it.id), _pending(it, rows)
    busy = it.standing(here.stamp()) and (held or shown.state == "measuring")
    return jsonify(
        {
            **_numbers(shown), "page": _mark(it, rows, held=held), "measuring": busy, "held": held,
            "measurement": None if pending is None else pending.id,
        }
    )  # fmt: skip


_BACK: Pair = (
    "Máy đo mất kết nối rồi có lại. Hỏi lại hai điều trước khi đo tiếp; kết quả chưa lưu nằm ở trang người bệnh.",
    "The device connection was lost and came back. Ask for two things again; what was not saved is on the patient's page.",
)


def _live_of(device: str) -> present.LiveShown:
    parts = here.kiosk()
    return present.live(live.read(parts.settings.paths.run, device), parts.clock.boottime_ns(), metrics_of(device), here.speech())


def _numbers(shown: present.LiveShown) -> dict[str, object]:
    return {
        "state": shown.state, "text": shown.text, "lost": shown.lost, "numbers": shown.numbers, "pressure": shown.pressure,
        "signal": shown.signal, "note": shown.note, "cuff_off": shown.cuff_off, "test_data": shown.test_data,
    }  # fmt: skip


def _told(device: str) -> Response:
    return jsonify({**_numbers(_live_of(device)), "page": "", "measuring": False, "measurement": None})


# --- the cuff -----------------------------------------------------------------------------------------------------------------------


@screen.post("/sessions/<int:session>/start")
def start(session: int) -> Response:
    """Field: patient_type (adult, paediatric, neonate), chosen by a person: nothing is assumed about whose arm it is.

    A programme that is too strong for the age in the patient's record is refused.
    """
    it, identity = _mine(session)
    parts, t = here.kiosk(), here.speech()
    wanted = request.form.get("patient_type", "")
    if wanted not in _types(it.device):
        error: Pair = ("Chọn người lớn, trẻ em hay sơ sinh trước khi bơm.", "Choose adult, child or newborn before starting.")
        return _page(it, identity, errors={"patient_type": error}, status=422)
    wrong = present.programme_error(identity.birth, present.local(here.now()).date(), wanted)
    if wrong is not None:
        return _page(it, identity, errors={"patient_type": wrong}, status=422)
    if not it.standing(here.stamp()) or parts.cuffs.holds(it.device, it.id):  # over, or the second tap on the same button
        return here.go(f"/sessions/{session}")
    told = parts.cuffs.start(it.device, it.id, wanted)
    if told.accepted:
        return here.go(f"/sessions/{session}")
    return _page(
        it, identity, refused=pair(REFUSED, told.reason, t, ("Máy không nhận lệnh bơm.", "The device refused to start.")), status=409
    )


@screen.post("/sessions/<int:session>/stop")
def stop(session: int) -> Response:
    """Let the air out, now. It needs no confirmed patient: stopping is always right."""
    it = _session_or_404(session)
    here.kiosk().cuffs.stop(it.device)
    return here.go(f"/sessions/{session}")


@screen.post("/sessions/<int:session>/cuff-off")
def cuff_off(session: int) -> Response:
    """A person has taken the cuff off after the line had died."""
    here.kiosk().cuffs.taken_off(session)
    here.kiosk().off.add(_session_or_404(session).device)
    return here.go(f"/sessions/{session}")


@screen.post("/devices/<device>/cuff-off")
def cuff_off_anywhere(device: str) -> Response:
    """The same from any other page: the strip that says so stands on all of them."""
    here.kiosk().off.add(device)
    return here.go("/")


# --- save, measure again, end -------------------------------------------------------------------------------------------------------


@screen.post("/sessions/<int:session>/save")
def save(session: int) -> Response:
    """*Lưu*. Fields: measurement, patient, keep=1 where the page had asked whether to measure again."""
    it = _session_or_404(session)
    row, patient = measuring.measurement(here.db(), here.number("measurement")), here.number("patient")
    back = f"/patients/{it.patient}"
    if row is None or row.session != it.id or it.patient != patient or session not in here.desk().sessions:
        raise here.Conflict(_NOT_THIS, back)
    if row.state is State.RECORDED:
        return here.go(f"/sessions/{session}")  # the second tap on the same button
    if row.state is State.SETTLED and not here.desk().is_confirmed(patient):
        return here.go(f"/patients/{patient}/undecided/{row.id}")
    if row.state is not State.SETTLED or (_over(it) and it.why not in LIVED_ON):
        raise here.Conflict(_TAKEN if it.why == measuring.TAKEN_OVER else _NOT_WAITING, back)
    keep = bool(present.questions(row.reading, here.speech()))
    commit(row, kept=keep and request.form.get("keep") == "1")
    return here.go(f"/sessions/{session}")


_NOT_THIS: Pair = (
    "Kết quả này không thuộc phiên đo và người bệnh trên màn hình nên không lưu. Xem lại người bệnh.",
    "This reading does not belong to the session and patient on the screen, so it is not saved. Check the patient.",
)
_TAKEN: Pair = (
    "Máy đo đã được mở cho người khác nên không lưu từ màn hình này. Xác nhận lại người bệnh rồi xem kết quả chưa lưu.",
    "The device was opened for somebody else, so nothing is saved from this screen. Confirm the patient and look at unsaved readings.",
)
_NOT_WAITING: Pair = (
    "Kết quả này không còn chờ lưu ở màn hình này. Xác nhận lại người bệnh rồi xem kết quả chưa lưu.",
    "This reading no longer waits on this screen. Confirm the patient and look at unsaved readings.",
)


def commit(row: MeasurementRow, *, kept: bool) -> None:
    """Observation and event in one transaction; then the journal's line of the step."""
    done = guided.record(here.db(), row.id, staff=here.desk().staff, now=here.stamp(), kept=kept)
    _epoch_id, epoch = boots.epoch(here.db())
    journal.step(here.kiosk().log, "record", reading_key=done.key, measurement=row.id, epoch=epoch, lane=done.lane, seq=done.seq)


@screen.get("/sessions/<int:session>/again/<int:measurement>")
def again(session: int, measurement: int) -> Response:
    """Why is it measured again?"""
    it, identity = _mine(session)
    row, t = measuring.measurement(here.db(), measurement), here.speech()
    if row is None or row.session != it.id or row.state is not State.SETTLED:
        return here.go(f"/sessions/{session}")
    shown = present.reading(row.reading, here.device_name(it.device), here.now(), t, due=here.calibration_due(row.reading.device))
    reasons = [(value, t(*words)) for value, words in DISCARDS.items()]
    return here.page(
        "again.html",
        banner=here.banner_of(identity),
        session=session,
        measurement=measurement,
        reading=shown,
        reasons=reasons,
        typed=manual.is_manual(it.device),
    )


@screen.post("/sessions/<int:session>/discard")
def discard(session: int) -> Response:
    """*Đo lại*. Fields: measurement, reason (one of `speech.DISCARDS`). The attempt is kept with its reason."""
    it, _identity = _mine(session)
    row, reason = measuring.measurement(here.db(), here.number("measurement")), request.form.get("reason", "")
    if row is None or row.session != it.id:
        raise here.Conflict(_NOT_THIS, f"/patients/{it.patient}")
    if reason not in DISCARDS:
        raise here.Unready(("Chọn một lý do đo lại.", "Choose a reason for measuring again."), f"/sessions/{session}/again/{row.id}")
    measuring.discard(here.db(), row.id, reason=reason, staff=here.desk().staff, now=here.stamp())
    return here.go(f"/sessions/{session}")


@screen.post("/sessions/<int:session>/end")
def end(session: int) -> Response:
    """Done with this patient at this device."""
    it = _session_or_404(session)
    if session in here.desk().sessions:
        close(here.desk(), session, "finished")
    series = guided.of_session(here.db(), session)
    return here.go(f"/patients/{it.patient}" if series is None else f"/guided/{series.id}")


def end_open(window: Desk, reason: str) -> None:
    """End every session this window still holds."""
    for session in list(window.sessions):
        close(window, session, reason)


def close(window: Desk, session: int, reason: str) -> None:
    """End one session of this window."""
    window.sessions.discard(session)
    here.kiosk().cuffs.shut(session)
    measuring.end_session(here.db(), session, reason, here.stamp())


def leave(parts: Kiosk, session: int) -> None:
    """A measuring page is not there any more: end its session, from the watch's thread. A store that cannot do it now lets it expire."""
    try:
        with closing(parts.connect()) as conn:
            measuring.end_session(conn, session, "screen-closed", parts.clock.stamp())
    except StoreError as error:
        parts.log.warning("session not ended by %s: %s", threading.current_thread().name, error.reason)


def end_left_over(parts: Kiosk) -> None:
    """At the start of the kiosk: sessions whose pages went down with the kiosk before it end, those of other programs stand."""
    with closing(parts.connect()) as conn:
        for device in parts.settings.devices:
            now = parts.clock.stamp()
            left = measuring.session_for(conn, device, now)
            if left is not None and left.ended is None and not left.headless:
                measuring.end_session(conn, left.id, "screen-closed", now)


def _session_or_404(session: int) -> Session:
    it = measuring.session(here.db(), session)
    if it is None:
        raise here.Gone(("Không có phiên đo này. Chọn lại người bệnh.", "There is no such session. Choose the patient again."))
    return it


def _mine(session: int) -> tuple[Session, Identity]:
    """A session of this window whose patient is still confirmed; Conflict otherwise."""
    it = _session_or_404(session)
    if session not in here.desk().sessions or not here.desk().is_confirmed(it.patient):
        raise here.Conflict(_NOT_WAITING, f"/patients/{it.patient}/confirm?device={_asked_as(it)}")
    return it, here.patient_or_404(it.patient)
