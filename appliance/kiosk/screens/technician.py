"""The technician's pages: six lights and the status code here; the others, which few days need, in `technician_pages`. No patient.

That module is loaded when a technician opens one of them: the kiosk of every other day does not carry it.
"""

from typing import TYPE_CHECKING

from flask import Blueprint
from werkzeug.wrappers import Response

from appliance.kiosk import here

if TYPE_CHECKING:
    from appliance.store.health import Line

screen = Blueprint("technician", __name__)

_MARKS = {"OK": "✓", "WARN": "!", "FAIL": "✕", "ABSENT": "–"}
"""A light is told by its sign and its word, never by colour alone."""


@screen.get("/technician/<page>")
def look(page: str) -> Response:
    """One of the pages of `technician_pages.PAGES`."""
    from appliance.kiosk.screens import technician_pages

    return technician_pages.show(page)


@screen.post("/technician/<page>")
def act(page: str) -> Response:
    """What one of them asks for: `technician_pages.DEEDS`."""
    from appliance.kiosk.screens import technician_pages

    return technician_pages.do(page)


@screen.get("/technician.json")
def follow() -> Response:
    """A word that changes when such a page should be drawn anew."""
    from appliance.kiosk.screens import technician_pages

    return technician_pages.follow()


@screen.get("/setup")
def first() -> Response:
    """A box without anybody: its technician makes themself known."""
    from appliance.kiosk.screens import technician_pages

    return technician_pages.first()


@screen.post("/setup")
def enter() -> Response:
    """Fields: name, pin, again. Once only: refused as soon as there is somebody."""
    from appliance.kiosk.screens import technician_pages

    return technician_pages.enter()


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
