"""Who may do what: every request passes here before a page sees it.

Closed by default: a page is seen only with a session, unless it is marked `public`. Every write carries the session's
token. A session ends after 15 minutes without a person's action; what a page asks for by itself does not count as one.
"""

import hmac
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, abort, current_app, g, redirect, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from cloud_bridge.console.desk import desk
from cloud_bridge.console.words import LANGUAGES, Say
from cloud_bridge.store import accounts
from cloud_bridge.store.accounts import Account
from cloud_bridge.store.engine import reading

IDLE = 9_000
"""Tenths of a second: 15 minutes."""
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


def public(view: View) -> View:
    """Mark a view that needs no login."""
    view.tram_public = True  # type: ignore[attr-defined]  # a mark on the view for `guard`
    return view


def by_itself(view: View) -> View:
    """Mark a view that pages ask for by themselves: it neither keeps a session alive nor redirects to the login page."""
    view.tram_by_itself = True  # type: ignore[attr-defined]  # a mark on the view for `guard`
    return view


def me() -> Account:
    """Who is logged in."""
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


def begin(account: Account) -> None:
    """A new session for somebody who has given the password: nothing of the old one but the language stays."""
    language = session.get("language", LANGUAGES[0])
    session.clear()
    session.update(language=language, login=account.login, generation=account.generation, active=desk().now())
    token()


def install(app: Flask) -> None:
    """Put the guard before every request and the headers on every response."""
    app.before_request(_check)
    app.after_request(_headers)


def _view() -> Any:
    return current_app.view_functions.get(request.endpoint or "")


def _check() -> AnyResponse | None:
    view = _view()
    if view is None:
        return None  # no such page: Flask says so
    if request.endpoint != "static":
        _check_token()
    if request.endpoint == "static" or getattr(view, "tram_public", False):
        return None
    account = _account()
    if account is None:
        if getattr(view, "tram_by_itself", False) or request.method not in _SAFE:
            abort(401)
        return redirect(url_for("sessions.login", next=request.full_path.rstrip("?")))
    g.account = account
    if not getattr(view, "tram_by_itself", False):
        session["active"] = desk().now()
    return None


def _check_token() -> None:
    if request.method in _SAFE:
        return
    given = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    if not hmac.compare_digest(given.encode(), str(session.get("csrf", "")).encode()) or not given:
        abort(400, "csrf")


def _account() -> Account | None:
    """The account of this session, or None when there is none, it has idled too long, or the account has changed since."""
    login, active = session.get("login"), session.get("active", 0)
    if not login or not 0 <= desk().now() - active <= IDLE:
        return None
    with reading(desk().engine) as tx:
        account = accounts.get(tx, login)
    if account is None or account.locked or account.generation != session.get("generation"):
        return None
    return account


def _headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
