"""A patient of a station: all readings and requests the bridge has."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from appliance.contract.identifiers import station_text
from appliance.contract.metrics import Status
from cloud_bridge.console import fresh, guard, present, vitals, year
from cloud_bridge.console.desk import desk
from cloud_bridge.console.words import LOOKS, PURPOSES, URGENCIES
from cloud_bridge.store import access, completeness, consents, consults, devices, history, observations, patients, stations
from cloud_bridge.store.engine import reading, writing

pages = Blueprint("patients", __name__, url_prefix="/patients")


@pages.get("/<station:station>/<short:patient>")
def page(station: str, patient: int) -> str:
    """The patient's page; without details yet it says that they are on their way."""
    with writing(desk().engine) as tx:
        found = _load(tx, station, patient)
        new = vitals.show(tx, station, _carried(found))
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
        vitals.note_shown(station, _carried(found))
    return response


@pages.get("/<station:station>/<short:patient>/observations.json")
def data(station: str, patient: int) -> Response:
    """The newest readings (`observations.RECENT`) for programs, newest first; an empty list for a patient nobody has spoken of."""
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
        found = _load(tx, station, patient, chart=False)
        seen = access.of_patient(tx, station, patient)
    return render_template("looks.html", **found, looks=[(one, t(*LOOKS.get(one.what, (one.what, one.what)))) for one in seen])


def _load(tx: Connection, station: str, patient: int, *, chart: bool = True) -> dict[str, Any]:
    """Everything the page shows, with or without the year's `chart`; 404 for a patient nobody has spoken of, and for one who was erased."""
    t, now = guard.say(), desk().now()
    who = patients.get(tx, station, patient)
    found = [] if patients.erased(tx, station, patient) else observations.of_patient(tx, station, patient)
    asked = consults.of_patient(tx, station, patient)
    if who is None and not found:
        abort(404)
    named = devices.names(tx, station)
    merged = [_record(tx, station, one, named) for one in patients.records(tx, station, patient)[1:]]
    if who is not None:
        who = patients.warned(who, [one["who"] for one in merged if one["who"] is not None])
    carried = [*found, *(each for one in merged for each in one["readings"])]
    said = consents.latest(tx, station, patients.records(tx, station, patient))
    place = stations.get(tx, station)
    whole = completeness.of_station(tx, station)
    (rows,) = vitals.noted(tx, station, patient, vitals.rows(found[: vitals.LISTED], patient, named))
    attempts = [present.attempt(observations.read_reading(one), why, wall, t) for one, why, wall in patients.attempts(tx, station, patient)]
    return {
        "station": station, "patient": patient, "place": place.name if place else station, "code": station_text(patient), "now": now,
        "who": None if who is None else present.banner(who, present.local(now).date(), t), "others": rows, "readings": found,
        "asked": [(one, t(*URGENCIES[one.urgency])) for one in asked], "merged": merged, "attempts": attempts,
        "consents": [(t(*PURPOSES.get(one.purpose, (one.purpose, one.purpose))), one) for one in said],
        "test_data": any(bool(one.reading.status & Status.TEST_DATA) for one in carried) or any(one.test_data for one in asked),
        "complete": present.completeness(whole, now, t),
        "trend": year.year(history.year(tx, station, patient, now - history.YEAR), t) if found and chart else {"panels": []},
        "version": present.fingerprint(
            who, carried, asked, named, [one["who"] for one in merged], said, attempts, whole.mark, t.language, [row.notes for row in rows]
        ),
    }  # fmt: skip


def _carried(found: Mapping[str, Any]) -> list[observations.Observation]:
    """The readings that the page shows, of all records."""
    return [one for readings in (found["readings"], *(each["readings"] for each in found["merged"])) for one in readings[: vitals.LISTED]]


def _record(tx: Connection, station: str, patient: int, named: dict[int, str]) -> dict[str, Any]:
    """Another record of the same person, as the station says: its readings stay under its own name."""
    t, found = guard.say(), observations.of_patient(tx, station, patient)
    who = patients.get(tx, station, patient)
    return {
        "patient": patient, "who": who, "name": who.name if who is not None else station_text(patient), "readings": found,
        "rows": vitals.rows(found[: vitals.LISTED], patient, named),
        "asked": [(one, t(*URGENCIES[one.urgency])) for one in consults.of_patient(tx, station, patient)],
    }  # fmt: skip
