"""The technician's page: six lights, what to do next, and the status code to read over the telephone. Nothing of a patient."""

from typing import TYPE_CHECKING

from flask import Blueprint
from werkzeug.wrappers import Response

from appliance.kiosk import here

if TYPE_CHECKING:
    from appliance.store.health import Line

screen = Blueprint("technician", __name__)

_MARKS = {"OK": "✓", "WARN": "!", "FAIL": "✕", "ABSENT": "–"}
"""A light is told by its sign and its word, never by colour alone."""


@screen.get("/technician")
def show() -> Response:
    """How the box stands at this moment."""
    from appliance.contract.statuscode import LIGHTS, write
    from appliance.store import health

    parts = here.kiosk()
    at = health.Looked(here.db(), parts.settings, here.stamp(), parts.clock.boottime_ns())
    found = health.lines(at)
    rows = [_shown(one) for one in found]
    return here.page(
        "technician.html", code=write(health.code_of(at, found)), lights=rows[: len(LIGHTS)], rest=rows[len(LIGHTS) :],
        station=parts.settings.station.id,
    )  # fmt: skip


def _shown(one: "Line") -> dict[str, str]:
    from appliance.contract.statuscode import state_of
    from appliance.store.health import NAMES

    t = here.speech()
    return {
        "name": t(*NAMES[one.name]), "mark": _MARKS[one.light.name], "state": t(*state_of(one.light)), "said": t(*one.said),
        "next": t(*one.next),
    }  # fmt: skip
