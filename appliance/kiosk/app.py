"""The kiosk as a Flask application, and waitress on loopback. Everything it needs comes as arguments; `cli` builds them.

A page never shows a foreign resource (content security policy), every write carries the window's token, and a page is
never kept in a cache: what is not on the screen is not anywhere else either.
"""

import hmac
import logging
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from socket import socket
from typing import Any

from flask import Flask, abort, g, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from appliance import __version__
from appliance.contract.ids import spell
from appliance.database import Connection, StoreError
from appliance.kiosk import bag, heap, here, present, rows
from appliance.kiosk.access import ROLES, TABLE, WHOM, Rule, may
from appliance.kiosk.cuff import Cuffs
from appliance.kiosk.desk import Desk, Desks
from appliance.kiosk.here import Clock, Kiosk, Said
from appliance.kiosk.imaging import SENTENCES
from appliance.kiosk.screens import (
    choose,
    confirm,
    consents,
    consult,
    correct,
    emergency,
    guided,
    history,
    home,
    manual,
    measure,
    memory,
    merge,
    paper,
    people,
    pictures,
    staff,
    status,
    technician,
    tray,
)
from appliance.kiosk.speech import Pair, Say
from appliance.settings import Settings
from appliance.store import audit
from appliance.store.errors import Damaged, Refused, WrongSchema

COOKIE = "tram"
LARGEST = 64 * 1024
"""The largest form: a few short texts."""
_LARGEST_NUMBER = 2**63 - 1
"""No row of the store has a larger number."""
TIDY = 256
"""After so many answers what they left over goes back to the system; it takes some milliseconds."""
THREADS = 4
"""A station has one or two windows, and polls are short."""
TOKEN = "csrf"  # noqa: S105 - the name of a form field

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=()",
}


def make_app(
    settings: Settings,
    connect: Callable[[], Connection],
    clock: Clock,
    urandom: Callable[[int], bytes],
    log: logging.Logger | None = None,
    *,
    lan: bool = False,
) -> Flask:
    """The application. `connect` opens the store, `urandom` gives random bytes, `log` is `journal.open("kiosk")`.

    `lan`: the screens of the station's network, behind their front (`kiosk.lan`), instead of the box's own.
    """
    app = Flask(__name__, static_folder="static", template_folder="templates")
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST,
        MAX_FORM_MEMORY_SIZE=LARGEST,
        TRUSTED_HOSTS=[settings.lan.address] if lan else [settings.kiosk.host, "localhost", "127.0.0.1", "::1", "[::1]"],
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.auto_reload = False
    parts = Kiosk(
        settings,
        connect,
        clock,
        urandom,
        log or logging.getLogger("tram.kiosk"),
        Desks(urandom),
        Cuffs(settings.paths.run, clock.monotonic, clock.boottime_ns, urandom),
        lan,
        _assets(Path(app.root_path) / "static"),
    )
    parts.cuffs.left = lambda session: measure.leave(parts, session)
    app.extensions["kiosk"] = parts
    for one in (
        home, people, consents, merge, confirm, choose, measure, tray, memory, consult, status, correct, history, paper, emergency, staff,
        pictures, bag,
        manual, guided, technician,
    ):  # fmt: skip
        app.register_blueprint(one.screen)
    app.before_request(_enter)
    app.after_request(_leave)
    app.after_request(_account)  # the last registered comes first: what it puts in the page's place gets its headers too
    app.teardown_request(_close)
    app.context_processor(_at_hand)
    _answers(app)
    return app


def serve(app: Flask, host: str, port: int, handed: Sequence[socket] = ()) -> None:
    """Answer on loopback until the process ends; what a cuff holds is let go with it. `handed`: sockets systemd opened for us."""
    from waitress import serve as wait

    heap.settle()
    parts: Kiosk = app.extensions["kiosk"]
    try:
        measure.end_left_over(parts)
    except StoreError as error:
        parts.log.error("store: %s", error.reason)  # the pages will say it
    try:
        # A form beyond `LARGEST` gets our own sentence, one far beyond it gets waitress's.
        most = 2 * pictures.LARGEST_FORM
        where: dict[str, Any] = {"sockets": list(handed)} if handed else {"host": host, "port": port}
        wait(app, **where, threads=THREADS, ident=None, max_request_body_size=most, clear_untrusted_proxy_headers=True)
    finally:
        parts.cuffs.close()


def _assets(folder: Path) -> dict[str, str]:
    """The addresses of our own files, with their digest: a new version is never mixed with an old page."""
    return {file.name: f"/static/{file.name}?v={sha256(file.read_bytes()).hexdigest()[:8]}" for file in folder.iterdir() if file.is_file()}


# --- around every request -----------------------------------------------------------------------------------------------------------


def _enter() -> Response | None:
    """Who asks; whether the window has gone blank; whether a write is really ours."""
    if any(isinstance(value, int) and value > _LARGEST_NUMBER for value in (request.view_args or {}).values()):
        abort(404)
    if request.endpoint == "static":
        return None
    parts = here.kiosk()
    seconds = parts.clock.monotonic()
    if request.endpoint in pictures.LARGE:
        request.max_content_length, request.max_form_memory_size = pictures.LARGEST_FORM, pictures.LARGEST_FIELDS
    window = parts.desks.get(request.cookies.get(_lan().COOKIE if parts.lan else COOKIE, ""))
    if window is None:
        window = parts.desks.make(seconds)
        g.greet = window.id
    g.desk = window
    if parts.lan and _lan().is_refused():
        return _elsewhere(window)
    if here.is_poll():
        _felt(window, seconds)
        away = seconds - window.touched > parts.settings.kiosk.blank_s
        return _guard(window, fresh=True) if not away or _is_open(str(request.endpoint)) else _nobody()
    fresh = window.touch(seconds, parts.settings.kiosk.blank_s)
    if not fresh:
        measure.end_open(window, "blanked")
    if request.method not in ("GET", "HEAD", "OPTIONS") and not _ours(window):
        if "greet" in g or not fresh:
            return _start_again(window)
        raise OldPage()
    return _guard(window, fresh=fresh)


def _guard(window: Desk, *, fresh: bool) -> Response | None:
    """The table says who may. Whoever works here no more is nobody; an endpoint without a row is nobody's."""
    if request.endpoint is None:
        return None
    row = TABLE.get(request.endpoint)
    if _is_open(request.endpoint):
        return None
    who = here.person()
    if who is None:
        if window.staff:
            window.clear()
        if here.is_poll():
            return _nobody()
        return _start_again(window) if request.method == "POST" or not fresh else here.go("/")
    if row is None or not may(who.role, row.rule):
        subject = f"{request.endpoint} {here.origin()}".rstrip()
        audit.note(here.db(), actor=who.code, action="access.denied", now=here.stamp(), subject=subject)
        raise NotYours(Rule.LEAD if row is None else row.rule)
    return None


def _elsewhere(window: Desk) -> Response:
    """Asked for from the network, done at the box alone."""
    if window.staff:
        audit.note(
            here.db(), actor=window.staff, action="access.denied", now=here.stamp(), subject=f"{request.endpoint} {here.origin()}"
        )  # fmt: skip
    return _sorry(403, _lan().ELSEWHERE, NotYours.code)


def _lan() -> Any:
    """What rules in the station's network; the box's own screen never loads it."""
    from appliance.kiosk import lan

    return lan


def _is_open(endpoint: str) -> bool:
    """Whether it answers to who has not signed in: by the table, and in the network to a few pages alone."""
    if here.kiosk().lan:
        return bool(_lan().is_open(endpoint))
    row = TABLE.get(endpoint)
    return row is not None and row.rule is Rule.OPEN


def _nobody() -> Response:
    """What a page of somebody who is away hears: nothing of a patient."""
    return _sorry(403, WHOM[Rule.STAFF], NotYours.code)


def _felt(window: Desk, seconds: float) -> None:
    """A page says with each poll how long ago it was last touched: touches between two requests count too."""
    idle = request.headers.get("X-Idle", "")
    if idle.isascii() and idle.isdigit() and window.staff and len(idle) < 7:
        window.touched = max(window.touched, seconds - int(idle))


def _ours(window: Desk) -> bool:
    token = request.form.get(TOKEN, "") or request.headers.get("X-CSRF", "")
    return hmac.compare_digest(token.encode(), window.csrf.encode())


def _start_again(window: Desk) -> Response:
    window.notice = (
        "Màn hình đã nghỉ hoặc phần mềm vừa khởi động lại. Chưa có gì được lưu ở bước vừa rồi. Chọn lại tên của mình.",
        "The screen was idle or the software has restarted. Nothing was saved in the last step. Choose your name again.",
    )
    return here.go("/")


class NotYours(Said):
    """Whoever has signed in may not; the words say whom to ask."""

    status, code = 403, "K403"

    def __init__(self, rule: Rule) -> None:
        super().__init__(WHOM[rule])


class OldPage(Said):
    """A write without this window's token."""

    status, code = 400, "K419"

    def __init__(self) -> None:
        super().__init__(
            ("Trang này đã cũ. Mở lại trang và làm lại bước vừa rồi.", "This page is out of date. Open it again and repeat the step.")
        )


def _leave(answer: Response) -> Response:
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    if request.endpoint != "static":
        answer.headers["Cache-Control"] = "no-store"
    if "greet" in g and here.kiosk().lan:
        _lan().greet(answer, g.greet)
    elif "greet" in g:
        answer.set_cookie(COOKIE, g.greet, httponly=True, samesite="Strict", path="/")
    return answer


def _account(answer: Response) -> Response:
    """One entry of the audit log for what was shown or done, before it is sent; see `access`."""
    row = TABLE.get(request.endpoint or "")
    if row is None or not row.audit or not _was_answered(answer):
        return answer
    patient, subject = g.get("audited", (0, ""))
    try:
        noun, number = _named(answer)
        patient = patient or (number if noun == "patient" else rows.whose(here.db(), noun, number))
        subject = subject or ("" if noun in ("", "patient") else f"{noun}:{number}")
        subject = f"{subject} {here.origin()}".strip()
        audit.note(here.db(), actor=here.desk().staff, action=row.audit, now=here.stamp(), patient=patient, subject=subject)
    except StoreError as error:
        return _unwritten(error)
    return answer


def _was_answered(answer: Response) -> bool:
    """True for a page that was shown and a form that was taken; not for one that led on to signing in or confirming."""
    if answer.status_code >= 400:
        return False
    if 300 <= answer.status_code < 400:
        return request.method == "POST" and "/confirm" not in answer.headers.get("Location", "")
    return True


_NOUNS = {"patients": "patient", "sessions": "session", "consults": "consult"}


def _named(answer: Response) -> tuple[str, int]:
    """What the address names, or the one it led on to: a noun and its number."""
    for noun, number in (request.view_args or {}).items():
        if isinstance(number, int):
            return noun, number
    parts = answer.headers.get("Location", "").split("/")
    if len(parts) > 2 and parts[1] in _NOUNS and parts[2].isdecimal():
        return _NOUNS[parts[1]], int(parts[2])
    return "", 0


def _close(_error: BaseException | None) -> None:
    conn = g.pop("db", None)
    if conn is not None:
        conn.close()
    if next(here.kiosk().answered) % TIDY == 0:
        heap.give_back()


def _at_hand() -> dict[str, object]:
    """What every template may use. It must not fail: the error page is a template too."""
    parts, window, t = here.kiosk(), g.get("desk"), here.speech()
    notice = None
    if window is not None and window.notice is not None and not here.is_poll():
        notice, window.notice = window.notice, None
    try:
        bar, alarms, people = (_nothing(t), [], []) if "plain" in g else (status.now(), status.alarms(), rows.staff(here.db()))
    except (StoreError, ValueError):
        bar, alarms, people = _nothing(t), [], []
    cuffs = measure.cuffs_on()
    me = next((one for one in people if window is not None and one.code == window.staff), None)
    return {
        "t": t, "desk": window, "asset": lambda file: parts.assets.get(file, ""), "bar": bar, "alarms": alarms, "people": people,
        "questions": _asked_back(),
        "alarm_mark": status.mark(alarms, cuffs),
        "cuffs": [(one, here.device_name(one)) for one in cuffs], "notice": notice, "staff_name": "" if me is None else me.name,
        "may": {rule.value for rule in ROLES if me is not None and may(me.role, rule)},
        "blank_s": parts.settings.kiosk.blank_s, "lan": parts.lan,
        "station": parts.settings.station.name or parts.settings.station.id, "station_id": parts.settings.station.id,
        "duty": here.duty_now(), "version": __version__, "here": request.path, "ribbon": status.simulated(), "errors": {}, "typed": {},
    }  # fmt: skip


def _asked_back() -> list[dict[str, str]]:
    """What doctors ask back; nothing where that cannot be read."""
    try:
        return [] if "plain" in g else status.questions()
    except (StoreError, ValueError):
        return []


def _nothing(t: Say) -> present.Bar:
    """The status bar when nothing can be said about the way up."""
    return present.Bar("error", t("Không đọc được tình trạng gửi", "The state of sending cannot be read"), "", "")


# --- when it does not go well -------------------------------------------------------------------------------------------------------

_HTTP: dict[int, Pair] = {
    400: ("Yêu cầu không đúng. Quay lại và làm lại bước này.", "The request is not right. Go back and repeat the step."),
    404: ("Không có trang này. Về trang đầu.", "There is no such page. Go to the first page."),
    405: ("Không làm được cách này. Về trang đầu.", "It cannot be done this way. Go to the first page."),
    413: ("Nội dung dài quá. Hãy viết ngắn lại.", "The text is too long. Make it shorter."),
}
_BUG: Pair = (
    "Phần mềm gặp lỗi ở bước này. Những gì đã lưu vẫn còn. Thử lại; nếu vẫn lỗi, đọc mã dưới đây cho hỗ trợ.",
    "The software failed in this step. What was saved is safe. Try again; if it fails again, read the code below to support.",
)
_STORE: Pair = (
    "Kho dữ liệu của trạm không dùng được lúc này nên chưa lưu gì. Ghi kết quả ra giấy, đừng tắt máy, gọi hỗ trợ.",
    "The station’s store cannot be used now, nothing was saved. Write results on paper, do not switch off, call support.",
)
_SCHEMA: Pair = (
    "Phần mềm và kho dữ liệu của trạm khác phiên bản. Ghi kết quả ra giấy, gọi kỹ thuật viên.",
    "The software and the station’s store are of different versions. Write results on paper, call the technician.",
)
_DAMAGED: Pair = (
    "Một dòng dữ liệu ở trang này bị hỏng nên không hiện. Các dữ liệu khác vẫn còn. Gọi hỗ trợ, đọc mã dưới đây.",
    "A row of this page is damaged and is not shown. Other data are safe. Call support and read the code below.",
)


def _answers(app: Flask) -> None:
    @app.errorhandler(Said)
    def said(error: Said) -> Response:
        return _sorry(error.status, error.words, error.code, error.back)

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        return _sorry(409, (error.vi, error.en), "K409")

    app.errorhandler(StoreError)(_unwritten)

    @app.errorhandler(WrongSchema)
    def schema(error: WrongSchema) -> Response:
        here.kiosk().log.error("schema %s, needed %s", error.found, error.needed)
        return _sorry(503, _SCHEMA, "KHO-schema")

    @app.errorhandler(Damaged)
    def damaged(error: Damaged) -> Response:
        here.kiosk().log.error("damaged: %s row %s", error.table, error.row)
        return _sorry(500, _DAMAGED, f"KHO-{error.table}-{error.row}")

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        code = error.code or 500
        if code < 400:
            return error.get_response()
        if code == 413 and request.endpoint in pictures.LARGE:
            return _sorry(code, SENTENCES["large"], f"K{code}", request.path)
        return _sorry(code, _HTTP.get(code, _HTTP[400]), f"K{code}")

    @app.errorhandler(Exception)
    def bug(error: Exception) -> Response:
        code = spell(int.from_bytes(here.kiosk().urandom(5)))
        g.plain = True  # what failed may be what every page asks for: this page asks for nothing
        # The message of an exception may hold what somebody typed; the places where it happened hold none of it.
        here.kiosk().log.error("bug %s: %s at %s", code, type(error).__name__, _places(error))
        return _sorry(500, _BUG, f"K500 {code}")


def _unwritten(error: StoreError) -> Response:
    here.kiosk().log.error("store: %s", error.reason)
    words = (f"{error.vi}. {_STORE[0]}", f"{error.reason}. {_STORE[1]}")
    return _sorry(503, words, f"KHO-{error.reason}")


def _places(error: BaseException) -> str:
    found, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{Path(code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(found[-6:])


def _sorry(status_code: int, words: Pair, code: str, back: str = "/home") -> Response:
    t = here.speech()
    if request.path.endswith(".json") or request.path == "/health":
        answer = jsonify({"ok": False, "code": code, "vi": words[0], "en": words[1]})
        answer.status_code = status_code
        return answer
    again = request.path if request.method == "GET" else back
    return here.page(
        "error.html", status_code, title=t("Có vấn đề", "There is a problem"), words=t(*words), code=code, back=back, again=again
    )
