"""What waits for a person's eyes and belongs to no request."""

from typing import Any

from flask import Blueprint, abort, redirect, render_template, url_for
from werkzeug.wrappers import Response

from appliance.contract.metrics import Status
from appliance.contract.readings import Reading
from cloud_bridge.console import guard, present
from cloud_bridge.console.desk import desk
from cloud_bridge.console.words import CLOCKS
from cloud_bridge.store import devices, review, walls
from cloud_bridge.store.engine import reading, writing

pages = Blueprint("review", __name__, url_prefix="/review")


@pages.get("/")
def listing() -> str:
    """Corrections after an answer, measurements of nobody and readings in dispute, each with its station."""
    t = guard.say()
    with reading(desk().engine) as tx:
        mine = walls.stations(tx, guard.me())
        corrected, nobodys, disputed = review.corrected(tx, walls.requests(guard.me())), review.nobodys(tx, mine), review.disputed(tx, mine)
        stations = {one.station for one in nobodys} | {one.station for one in disputed}
        named = {station: devices.names(tx, station) for station in stations}

    def shown(station: str, found: Reading) -> dict[str, Any]:
        return {
            "values": present.values(found, t), "device": named[station].get(found.device, ""),
            "at": found.stamp.wall, "quality": t(*CLOCKS[found.stamp.quality]), "test_data": bool(found.status & Status.TEST_DATA),
        }  # fmt: skip

    return render_template(
        "review.html",
        corrected=corrected,
        nobodys=[(one, shown(one.station, one.reading)) for one in nobodys],
        disputed=[(one, shown(one.station, one.reading)) for one in disputed],
    )


@pages.post("/<station:station>/<short:number>/looked")
def looked(station: str, number: int) -> Response:
    """A doctor has looked at the corrections of a request, and leaves the answer as it is."""
    if not guard.me().signs:
        abort(403)
    with writing(desk().engine) as tx:
        if review.looked(tx, station, number, guard.me().login, desk().now()) == 0:
            abort(404)
    return redirect(url_for(".listing"))
