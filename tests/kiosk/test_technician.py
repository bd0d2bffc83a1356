"""The technician's page: six lights with a next step, and the same status code that `tram status --code` prints."""

import re

from appliance.contract.statuscode import LIGHTS, Light, read
from appliance.store import health
from appliance.store.health import Looked
from tests.kiosk.station import LEAD, NURSE, TECHNICIAN, Station


def test_the_technician_reads_the_lights_and_the_code(station: Station) -> None:
    """From the first page in one touch; every line has its word and its sign, what is not good its next step."""
    window = station.window(TECHNICIAN).get("/home")
    assert 'href="/technician"' in window.text
    page = window.get("/technician").text
    at = Looked(station.conn, station.settings, station.now, station.kiosk.clock.boottime_ns())
    found = health.lines(at)
    for one in found:
        assert health.NAMES[one.name][0] in page
        assert one.next[0].replace("'", "&#39;") in page
    code = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", page)
    assert code is not None
    assert read(code[0]) == health.code_of(at, found)
    assert len(read(code[0]).lights) == len(LIGHTS)
    assert any(one.light is Light.FAIL for one in found)


def test_it_is_for_technician_and_lead(station: Station) -> None:
    """The lead finds it beside what is to be checked; a nurse may not, nobody is sent to the first page."""
    assert 'href="/technician"' in station.window(LEAD).get("/aside").text
    assert station.window(LEAD).get("/technician").status == 200
    nurse = station.window(NURSE)
    assert 'href="/technician"' not in nurse.get("/aside").text
    assert nurse.get("/technician").status == 403
