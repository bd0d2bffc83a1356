"""The last twelve months of a patient, as pictures and as a table: behind the staff's PIN, and only what stands in the record."""

from flask import Blueprint
from markupsafe import Markup
from werkzeug.wrappers import Response

from appliance.kiosk import here, trend
from appliance.store import history, patients

screen = Blueprint("history", __name__)


@screen.get("/patients/<int:patient>/history")
def show(patient: int) -> Response:
    """Blood pressure, SpO₂, pulse: one picture each over the same twelve months."""
    t, until = here.speech(), here.now()
    since = until - history.YEAR_TENTHS
    identity = here.patient_or_404(patient)
    same = patients.group(here.db(), patient)
    found = sorted(each for one in same for each in history.vitals(here.db(), one, since, until))
    series = (trend.pressures(found), trend.saturations(found), trend.pulses(found))
    names = ((t("Huyết áp", "Blood pressure"), "mmHg"), ("SpO₂", "%"), (t("Mạch", "Pulse"), t("lần/phút", "/min")))
    charts = [trend.chart(name, unit, points, since, until, t) for (name, unit), points in zip(names, series, strict=True)]
    return here.page(
        "history.html", banner=here.banner_of(identity), back=f"/patients/{patient}", rows=trend.table(series, since, until, t),
        charts=[(one, Markup(one.svg)) for one in charts], gap=trend.GAP_DAYS, test=any(one.test for one in charts),  # noqa: S704 - numbers and our own words
        empty=not found,
    )  # fmt: skip
