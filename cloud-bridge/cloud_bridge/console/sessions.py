"""Logging in and out, and the language of the pages."""

from collections import deque
from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from cloud_bridge.answers import typed
from cloud_bridge.console import guard
from cloud_bridge.console.desk import desk
from cloud_bridge.console.present import waited
from cloud_bridge.console.words import LANGUAGES, REFUSALS
from cloud_bridge.store import accounts, factors
from cloud_bridge.store.accounts import Account, Denied
from cloud_bridge.store.engine import writing

pages = Blueprint("sessions", __name__)

EXTENSION = "tram-throttle"
MOST_TRIES = 60
"""Passwords and codes that one address may send in a minute: a hospital behind one address logs in, a guesser does not get far."""
_MOST_ADDRESSES = 10_000


class Throttle:
    """How often an address has tried within a minute. In memory: it spares the processor; the lock-out of an account is in the database."""

    def __init__(self) -> None:
        self._tries: dict[str, deque[int]] = {}

    def take(self, address: str, now: int) -> bool:
        """Count a try at `now` (tenths); False when there were too many."""
        if len(self._tries) >= _MOST_ADDRESSES:
            self._tries.clear()
        tries = self._tries.setdefault(address, deque())
        while tries and tries[0] <= now - 600:
            tries.popleft()
        if len(tries) >= MOST_TRIES:
            return False
        tries.append(now)
        return True


def spare() -> None:
    """429 when this address has tried too often."""
    throttle: Throttle = current_app.extensions[EXTENSION]
    if not throttle.take(request.remote_addr or "", desk().now()):
        abort(429)


@pages.get("/login")
def login() -> str:
    """The form."""
    return render_template("login.html", next=inside(request.args.get("next", "")), said="", login="")


@pages.post("/login")
def enter() -> Response | tuple[str, int]:
    """A login and a password: a session, or what is asked for next, or the form again with one sentence."""
    spare()
    login, password = typed(request.form.get("login", "")), request.form.get("password", "")
    onward = inside(request.form.get("next", ""))
    with writing(desk().engine) as tx:
        found = accounts.check(tx, desk().hasher, login[:64], password[:200], desk().now(), last=False)
        ready = isinstance(found, Account) and not _asks_more(found)
        if ready:
            guard.begin(tx, found)  # type: ignore[arg-type]  # an Account: `ready`
        there = isinstance(found, Account) and factors.confirmed(tx, found.login)
    if isinstance(found, Denied):
        return render_template("login.html", next=onward, said=denied(found), login=login[:64]), 403
    if ready:
        return redirect(onward or guard.home(found))
    guard.begin_half(found)
    return redirect(url_for("factors.ask" if there else "factors.enrol", next=onward or None))


def _asks_more(account: Account) -> bool:
    """A login without a second factor exists in a demonstration alone, whatever the database says."""
    return account.second_needed or desk().environment != "demo"


@pages.post("/logout")
def leave() -> Response:
    """End the session."""
    guard.end()
    return redirect(url_for("sessions.login"))


@pages.post("/language")
def language() -> Response:
    """Change the language and go back to where one was."""
    wanted = request.form.get("language", "")
    if wanted not in LANGUAGES:
        abort(400)
    session["language"] = wanted
    return redirect(inside(request.form.get("next", "")) or url_for("queue.waiting"))


def denied(found: Denied, word: str = "login") -> str:
    """Why a password or a code was not accepted, in the session's language."""
    word = word if found.reason == "wrong" else found.reason
    return guard.say()(*REFUSALS[word]).format(wait=waited(max(0, found.until - desk().now())))


def inside(address: str) -> str:
    """`address` when it is a path of this console, else nothing: a login form leads nowhere else."""
    parts = urlsplit(address)
    plain = address.startswith("/") and not address.startswith("//") and "\\" not in address and not parts.netloc and not parts.scheme
    return address if plain and address.isprintable() else ""
