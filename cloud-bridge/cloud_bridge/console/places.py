"""The stations: how complete what they have sent is, who works there, whether their audit log agrees. No word of a patient."""

from flask import Blueprint, abort, render_template

from cloud_bridge.console import guard, present
from cloud_bridge.console.desk import desk
from cloud_bridge.store import audit, completeness, staff, stations, walls
from cloud_bridge.store.engine import reading

pages = Blueprint("places", __name__, url_prefix="/stations")


@pages.get("/")
def listing() -> str:
    """All stations one may know of."""
    t, now = guard.say(), desk().now()
    with reading(desk().engine) as tx:
        mine = walls.listed(tx, guard.me())
        found = [one for one in stations.everyone(tx) if one.id in mine]
        whole = {one.id: present.completeness(completeness.of_station(tx, one.id), now, t) for one in found}
        alarms = {one.station for one in audit.alarms(tx, 1000) if one.station in mine}
    return render_template("places.html", places=found, whole=whole, alarms=alarms)


@pages.get("/<station:station>")
def page(station: str) -> str:
    """One station."""
    t, now = guard.say(), desk().now()
    with reading(desk().engine) as tx:
        found = stations.get(tx, station)
        if found is None:
            abort(404)
        whole = present.completeness(completeness.of_station(tx, station), now, t)
        people = sorted(staff.everyone(tx, station).values(), key=lambda one: (not one.active, one.code))
        alarms = [one for one in audit.alarms(tx, 1000) if one.station == station]
    return render_template(
        "place.html", place=found, whole=whole, people=people, alarms=[(one, present.audit_alarm(one.why, t)) for one in alarms]
    )
