"""Logging in and out, and the language of the pages."""

from urllib.parse import urlsplit

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from cloud_bridge.answers import typed
from cloud_bridge.console import guard
from cloud_bridge.console.desk import desk
from cloud_bridge.console.present import waited
from cloud_bridge.console.words import LANGUAGES, REFUSALS
from cloud_bridge.store import accounts
from cloud_bridge.store.accounts import Denied
from cloud_bridge.store.engine import writing

pages = Blueprint("sessions", __name__)


@pages.get("/login")
@guard.public
def login() -> str:
    """The form."""
    return render_template("login.html", next=_inside(request.args.get("next", "")), said="", login="")


@pages.post("/login")
@guard.public
def enter() -> Response | tuple[str, int]:
    """A login and a password: a session, or the form again with one sentence."""
    login, password = typed(request.form.get("login", "")), request.form.get("password", "")
    onward = _inside(request.form.get("next", ""))
    with writing(desk().engine) as tx:
        found = accounts.check(tx, desk().hasher, login[:64], password[:200], desk().now())
    if isinstance(found, Denied):
        return render_template("login.html", next=onward, said=denied(found), login=login[:64]), 403
    guard.begin(found)
    return redirect(onward or url_for("queue.waiting"))


@pages.post("/logout")
@guard.public
def leave() -> Response:
    """End the session."""
    language = session.get("language")
    session.clear()
    if language:
        session["language"] = language
    return redirect(url_for("sessions.login"))


@pages.post("/language")
@guard.public
def language() -> Response:
    """Change the language and go back to where one was."""
    wanted = request.form.get("language", "")
    if wanted not in LANGUAGES:
        abort(400)
    session["language"] = wanted
    return redirect(_inside(request.form.get("next", "")) or url_for("queue.waiting"))


def denied(found: Denied) -> str:
    """Why a password was not accepted, in the session's language."""
    word = "login" if found.reason == "wrong" else found.reason
    return guard.say()(*REFUSALS[word]).format(wait=waited(max(0, found.until - desk().now())))


def _inside(address: str) -> str:
    """`address` when it is a path of this console, else nothing: a login form leads nowhere else."""
    parts = urlsplit(address)
    plain = address.startswith("/") and not address.startswith("//") and "\\" not in address and not parts.netloc and not parts.scheme
    return address if plain and address.isprintable() else ""
