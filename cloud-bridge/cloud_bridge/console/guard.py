"""Who may do what: every request passes here before a page sees it, and every answer before it leaves.

Closed by default: what a page needs stands in `access.TABLE`, which station it may be about in `store.walls`. Every write
carries the session's token. A session ends after 15 minutes without a person's action; what a page asks for by itself does
not count as one. Whoever has been shown something about a patient is in the access log before the page is sent.
"""

import hmac
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, abort, current_app, g, redirect, request, session, url_for
from sqlalchemy import Connection
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from cloud_bridge.console.access import HOME, TABLE, Access, Rule, may
from cloud_bridge.console.desk import desk
from cloud_bridge.console.words import LANGUAGES, Say
from cloud_bridge.store import access, accounts, consults, sessions, walls
from cloud_bridge.store.accounts import Account
from cloud_bridge.store.engine import reading, writing

IDLE = 9_000
"""Tenths of a second: 15 minutes."""
HALF = 3_000
"""Tenths of a second between the password and the code: 5 minutes, enough to set up a telephone."""
_SAFE = {"GET", "HEAD", "OPTIONS"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
View = TypeVar("View", bound=Callable[..., Any])


def me() -> Account:
    """Who is logged in; on the pages between password and code, who has given the password."""
    found: Account = g.account
    return found


def say() -> Say:
    """The language of this session."""
    return Say(session.get("language", LANGUAGES[0]))


def token() -> str:
    """The token that every form of this session carries."""
    if "csrf" not in session:
        session["csrf"] = desk().random(16).hex()
    return str(session["csrf"])


def begin(tx: Connection, account: Account) -> None:
    """A new session for somebody who has given all that is asked for: nothing of the old one but the language stays."""
    number = desk().random(32).hex()
    sessions.begin(tx, number, account, desk().now())
    _fresh(number=number, active=desk().now())


def begin_half(account: Account) -> None:
    """The password was right; the code is asked for next."""
    _fresh(half=account.login, generation=account.generation, active=desk().now())


def end() -> None:
    """Log out: the session is over here and in the database."""
    number, language = session.get("number"), session.get("language")
    if number:
        with writing(desk().engine) as tx:
            sessions.end(tx, str(number), desk().now())
    session.clear()
    if language:
        session["language"] = language


def _fresh(**values: Any) -> None:
    language = session.get("language", LANGUAGES[0])
    session.clear()
    session.update(language=language, **values)
    token()


def home(account: Account) -> str:
    """The page somebody begins with."""
    return url_for(HOME[account.role])


def did(what: str) -> None:
    """A word for the access log: this request has done something, and its page is not sent before that is written down."""
    g.did = what


def install(app: Flask) -> None:
    """Put the guard before every request, the access log and the headers on every response."""
    app.before_request(_check)
    app.after_request(_headers)
    app.after_request(_note)  # Flask runs these in reverse: written down first


# --- before -----------------------------------------------------------------------------------------------------------------------------


def _check() -> AnyResponse | None:
    if current_app.view_functions.get(request.endpoint or "") is None:
        return None  # no such page: Flask says so
    row = TABLE.get(request.endpoint or "")
    if row is None:
        abort(403)
    if request.endpoint != "static":
        _check_token()
    if row.rule is Rule.PUBLIC:
        return None
    return _check_half() if row.rule is Rule.HALF else _check_person(row)


def _check_half() -> AnyResponse | None:
    """Between password and code: nothing but these pages opens."""
    with reading(desk().engine) as tx:
        found = accounts.get(tx, str(session.get("half", "")))
    fresh = 0 <= desk().now() - session.get("active", 0) <= HALF
    if found is None or not fresh or found.locked or found.generation != session.get("generation"):
        return redirect(url_for("sessions.login"))
    g.account = found
    return None


def _check_person(row: Access) -> AnyResponse | None:
    with reading(desk().engine) as tx:
        account = _account(tx)
        if account is None:
            return _stranger(row)
        g.account = account
        if not may(row.rule, account.role):
            if request.endpoint == "queue.waiting" and request.method in _SAFE:
                return redirect(home(account))
            abort(403)
        _check_walls(tx, account)
    if not row.by_itself:
        session["active"] = desk().now()
    return None


def _stranger(row: Access) -> AnyResponse:
    if row.by_itself or request.method not in _SAFE:
        abort(401)
    return redirect(url_for("sessions.login", next=request.full_path.rstrip("?")))


def _check_walls(tx: Connection, account: Account) -> None:
    """The station, request and patient of the address are the visitor's to see, or they do not exist."""
    about = request.view_args or {}
    name = about.get("station")
    if name is None:
        return
    number, patient = about.get("number"), about.get("patient")
    open_to_all = number is None and patient is None and name in walls.listed(tx, account)
    if not open_to_all and not walls.may_see(tx, account, name, number=number, patient=patient):
        raise NotFound


def _check_token() -> None:
    if request.method in _SAFE:
        return
    given = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    if not hmac.compare_digest(given.encode(), str(session.get("csrf", "")).encode()) or not given:
        abort(400, "csrf")


def _account(tx: Connection) -> Account | None:
    """The account of this session, or None when there is none, it has ended or idled too long, or the account has changed since."""
    number, active = session.get("number"), session.get("active", 0)
    if not number or not 0 <= desk().now() - active <= IDLE:
        return None
    found = sessions.whose(tx, str(number), desk().now())
    if found is None or (not found.second_needed and desk().environment != "demo"):
        return None
    return found


# --- after ------------------------------------------------------------------------------------------------------------------------------


def _note(response: Response) -> Response:
    """Write the access log; a page that cannot be written down is not sent."""
    row = TABLE.get(request.endpoint or "")
    account, done = g.get("account"), g.get("did", "")
    answered = response.status_code == 200 and row is not None and row.audit
    if account is None or row is None or not (done or answered):
        return response
    try:
        _write(account, done or row.audit, row)
    except OSError:
        return current_app.make_response(current_app.handle_user_exception(OSError("access log")))
    return response


def _write(account: Account, what: str, row: Access) -> None:
    about = request.view_args or {}
    name, number, patient = about.get("station", ""), about.get("number"), about.get("patient")
    now = desk().now()
    if row.by_itself:
        with reading(desk().engine) as tx:
            patient = consults.patient_of(tx, name, number) if number is not None else patient
            if access.noted(tx, account, what, now, station=name, patient=patient):
                return
    with writing(desk().engine) as tx:
        patient = consults.patient_of(tx, name, number) if number is not None else patient
        access.note(tx, account, what, now, station=name, patient=patient, consult=number)


def _headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
