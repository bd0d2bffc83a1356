"""A patient of a station: all readings and requests the bridge has."""

from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from appliance.contract.ids import spell
from appliance.contract.metrics import Status
from cloud_bridge.console import fresh, guard, present, vitals
from cloud_bridge.console.desk import desk
from cloud_bridge.console.words import LOOKS, URGENCIES
from cloud_bridge.store import access, completeness, consults, devices, observations, patients, stations
from cloud_bridge.store.engine import reading, writing

pages = Blueprint("patients", __name__, url_prefix="/patients")


@pages.get("/<station:station>/<short:patient>")
def page(station: str, patient: int) -> str:
    """The patient's page; without details yet it says that they are on their way."""
    with writing(desk().engine) as tx:
        found = _load(tx, station, patient)
        new = vitals.show(tx, station, found["readings"][: vitals.LISTED])
    text = render_template("patient.html", **found)
    vitals.say_shown(station, new)
    return text


@pages.get("/<station:station>/<short:patient>/live")
def live(station: str, patient: int) -> AnyResponse:
    """The part of the page that changes; 304 while it has not."""

    def load() -> dict[str, Any]:
        with reading(desk().engine) as tx:
            return _load(tx, station, patient)

    response, found = fresh.part("_patient.html", load)
    if found is not None:
        vitals.note_shown(station, found["readings"][: vitals.LISTED])
    return response


@pages.get("/<station:station>/<short:patient>/observations.json")
def data(station: str, patient: int) -> Response:
    """The newest 500 readings for programs, newest first; an empty list for a patient nobody has spoken of."""
    with reading(desk().engine) as tx:
        found = [] if patients.erased(tx, station, patient) else observations.of_patient(tx, station, patient)
        named = devices.names(tx, station)
    now = desk().now()
    return jsonify(station=station, patient=patient, now=now, observations=[vitals.plain(one, patient, named) for one in found])


@pages.get("/<station:station>/<short:patient>/access")
def looks(station: str, patient: int) -> str:
    """Who has seen this record, and what they did."""
    t = guard.say()
    with reading(desk().engine) as tx:
        found = _load(tx, station, patient)
        seen = access.of_patient(tx, station, patient)
    return render_template("looks.html", **found, looks=[(one, t(*LOOKS.get(one.what, (one.what, one.what)))) for one in seen])


def _load(tx: Connection, station: str, patient: int) -> dict[str, Any]:
    """Everything the page shows; 404 for a patient nobody has spoken of, and for one who was erased."""
    t, now = guard.say(), desk().now()
    who = patients.get(tx, station, patient)
    found = [] if patients.erased(tx, station, patient) else observations.of_patient(tx, station, patient)
    asked = consults.of_patient(tx, station, patient)
    if who is None and not found:
        abort(404)
    named = devices.names(tx, station)
    place = stations.get(tx, station)
    whole = completeness.of_station(tx, station)
    rows = vitals.rows(found[: vitals.LISTED], patient, named)
    attempts = [present.attempt(observations.read_reading(one), why, wall, t) for one, why, wall in patients.attempts(tx, station, patient)]
    same = sorted(patients.same_person(tx, station, patient) - {patient})
    return {
        "station": station, "patient": patient, "place": place.name if place else station, "code": spell(patient), "now": now,
        "who": None if who is None else present.banner(who, present.local(now).date(), t), "others": rows, "readings": found,
        "asked": [(one, t(*URGENCIES[one.urgency])) for one in asked], "same": same, "attempts": attempts,
        "test_data": any(bool(one.reading.status & Status.TEST_DATA) for one in found) or any(one.test_data for one in asked),
        "complete": present.completeness(whole, now, t),
        "trend": present.trend(found, patient, t),
        "version": present.fingerprint(who, found, asked, named, same, attempts, whole.mark, t.language),
    }  # fmt: skip
