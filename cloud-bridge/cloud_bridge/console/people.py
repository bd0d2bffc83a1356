"""Who has an account, for whoever looks after accounts. Accounts are made and changed on the server (``tram-bridge users``)."""

from flask import Blueprint, render_template

from cloud_bridge.console.desk import desk
from cloud_bridge.store import accounts, factors, sessions
from cloud_bridge.store.engine import reading

pages = Blueprint("people", __name__, url_prefix="/users")


@pages.get("/")
def listing() -> str:
    """All accounts."""
    with reading(desk().engine) as tx:
        found = accounts.everybody(tx)
        sure = {one.login for one in found if factors.confirmed(tx, one.login)}
        here = sessions.people(tx, desk().now())
    return render_template("people.html", people=found, sure=sure, here=here)
