"""The fleet, for whoever looks after the boxes: silent or not, last contact, version, card, devices, acceptance. No word of a patient."""

from flask import Blueprint, render_template

from cloud_bridge import fleet
from cloud_bridge.console import guard
from cloud_bridge.console.desk import desk
from cloud_bridge.store import audit, walls
from cloud_bridge.store.engine import reading

pages = Blueprint("boxes", __name__, url_prefix="/fleet")

SILENT_DAYS = 2
"""A station unheard for longer is silent; as in `tram-bridge fleet`."""


@pages.get("/")
def listing() -> str:
    """The boxes of all stations one may know of, the silent ones first."""
    now = desk().now()
    with reading(desk().engine) as tx:
        mine = walls.listed(tx, guard.me())
        found = fleet.boxes(tx, now, SILENT_DAYS * fleet.DAY, mine)
        alarms = {one.station for one in audit.alarms(tx, 1000) if one.station in mine}
    return render_template("boxes.html", boxes=found, alarms=alarms, silent=sum(one.silent for one in found), days=SILENT_DAYS)
