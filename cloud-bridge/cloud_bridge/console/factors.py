"""The second step of a login: a code from the telephone; the first time, the telephone is introduced."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cloud_bridge.console import guard
from cloud_bridge.console.desk import desk
from cloud_bridge.console.sessions import denied, inside, spare
from cloud_bridge.store import accounts, factors
from cloud_bridge.store.accounts import Denied
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.factors import Factor

pages = Blueprint("factors", __name__, url_prefix="/login")

FEW = 3
"""Recovery codes left at which their owner is told."""


@pages.get("/code")
def ask() -> Response | str:
    """The form for the code."""
    with reading(desk().engine) as tx:
        there = factors.confirmed(tx, guard.me().login)
    return _ask("") if there else redirect(url_for(".enrol", next=inside(request.args.get("next", "")) or None))


def _ask(said: str) -> str:
    return render_template("code.html", next=inside(request.values.get("next", "")), said=said)


@pages.post("/code")
def enter() -> Response | tuple[str, int]:
    """A code: a session, or the form again with one sentence."""
    refused = _try(confirmed=True)
    if refused is not None:
        return _ask(denied(refused, "code")), 403
    return redirect(inside(request.form.get("next", "")) or guard.home(guard.me()))


@pages.get("/enrol")
def enrol() -> Response | str:
    """The telephone is introduced: a QR picture, the same as text, the field for its first code. Once confirmed it is never shown again."""
    with writing(desk().engine) as tx:
        found = factors.prepare(tx, desk().factor_key, guard.me().login, desk().random, desk().now())
    return redirect(url_for(".ask")) if found.confirmed else _enrol(found, "")


def _enrol(found: Factor, said: str) -> str:
    import segno

    address = factors.address(guard.me().login, found.secret)
    picture = segno.make(address, error="m").svg_inline(scale=5, border=4, dark="#000000", light="#ffffff")
    spelled = " ".join(found.secret[at : at + 4] for at in range(0, len(found.secret), 4))
    return render_template(
        "enrol.html", picture=picture, address=address, secret=spelled, said=said, next=inside(request.values.get("next", ""))
    )


@pages.post("/enrol")
def confirm() -> Response | tuple[str, int] | str:
    """The first code: the factor counts from now on, and the recovery codes are shown, once."""
    refused = _try(confirmed=False)
    if refused is None:
        with writing(desk().engine) as tx:
            codes = factors.new_codes(tx, desk().factor_key, guard.me().login, desk().random)
        return render_template("codes.html", codes=codes, next=inside(request.form.get("next", "")) or guard.home(guard.me()))
    with reading(desk().engine) as tx:
        found = factors.get(tx, desk().factor_key, guard.me().login)
    if found is None or found.confirmed:
        return redirect(url_for(".ask"))
    return _enrol(found, denied(refused, "code")), 403


def _try(*, confirmed: bool) -> Denied | None:
    """Use the code that was sent, for a factor that is confirmed or not yet; None when it opened the session."""
    spare()
    login, now = guard.me().login, desk().now()
    with writing(desk().engine) as tx:
        shut = accounts.may_try(tx, login, now)
        if shut is not None:
            return shut
        if factors.confirmed(tx, login) is not confirmed:
            abort(400)
        if not factors.use(tx, desk().factor_key, login, request.form.get("code", "")[:40], now):
            return accounts.failed(tx, login, now)
        accounts.succeeded(tx, login)
        guard.begin(tx, guard.me())
        left = factors.codes_left(tx, login)
    if confirmed and left <= FEW:
        flash(
            guard.say()(f"Còn {left} mã dự phòng. Hãy nhờ người quản trị làm mới.", f"{left} recovery codes left. Ask for new ones."),
            "note",
        )
    return None
