"""The parts of pages that change: sent whole when they have changed, in a few bytes when they have not.

A doctor's page asks twice a second. As long as nobody has committed anything the answer is known without reading a row;
after a commit the rows are read and compared by their fingerprint. So one page costs the server next to nothing, and a
new reading is on the page half a second after it is in the database.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import current_app, make_response, render_template, request
from werkzeug.wrappers import Response

from cloud_bridge.console import guard, present
from cloud_bridge.console.desk import desk
from cloud_bridge.store.engine import Pulse

EXTENSION = "tram-fresh"
TRUSTED = 50
"""Tenths of a second: what changes with time alone (a hold that ends, a wait that presses) is on the page after 5 s."""
MOST = 2000
"""Pages remembered: far more than a district has doctors."""


@dataclass
class Memory:
    """The version each page had, at which pulse of the database and when. Threads may overwrite each other's entry: both are true."""

    pulse: Pulse
    pages: dict[tuple[str, ...], tuple[str, int, str]] = field(default_factory=dict)

    def keep(self, page: tuple[str, ...], beat: str, at: int, version: str) -> None:
        """Remember a version."""
        if len(self.pages) >= MOST:
            self.pages.clear()
        self.pages[page] = (beat, at, version)

    def known(self, page: tuple[str, ...], beat: str, at: int) -> str:
        """The version that a page still has; empty when that is not certain."""
        kept_beat, kept_at, version = self.pages.get(page, ("", 0, ""))
        return version if kept_beat == beat and 0 <= at - kept_at <= TRUSTED else ""


def part(template: str, load: Callable[[], Mapping[str, Any]]) -> tuple[Response, Mapping[str, Any] | None]:
    """The fragment of a page with its version as ETag, or 304; with the values it was made from, None when they were not read.

    `load` gives the template's values, ``version`` among them.
    """
    memory: Memory = current_app.extensions[EXTENSION]
    page = (request.full_path, guard.me().login, guard.say().language)
    beat, now = memory.pulse.beat(), desk().now()
    version = memory.known(page, beat, now)
    if version and version in request.if_none_match:
        return _answer("", version), None
    found = load()
    version = found["version"]
    memory.keep(page, beat, now, version)
    if version in request.if_none_match:
        return _answer("", version), None
    return _answer(render_template(template, **found), version), found


def data(load: Callable[[], dict[str, Any]]) -> Response:
    """As `part`, for values that a page's script asks for."""
    memory: Memory = current_app.extensions[EXTENSION]
    page = (request.full_path, guard.me().login, "")
    beat, now = memory.pulse.beat(), desk().now()
    version = memory.known(page, beat, now)
    if version and version in request.if_none_match:
        return _answer("", version)
    found = load()
    version = present.fingerprint(found)
    memory.keep(page, beat, now, version)
    response = _answer(current_app.json.dumps(found), version)
    response.mimetype = "application/json"
    return response


def _answer(text: str, version: str) -> Response:
    response = make_response(text)
    response.set_etag(version)
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)
