"""The screens of the station's own network: what they open, what only the box does, and that nobody there is the box's screen."""

import io
import logging
import os
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from appliance import settings
from appliance.kiosk.access import TABLE, Rule
from appliance.kiosk.app import COOKIE as AT_THE_BOX
from appliance.kiosk.app import make_app
from appliance.kiosk.lan import COOKIE, DOORSTEP, ELSEWHERE, PAGES
from appliance.store import audit, consults, pins
from appliance.store.opening import open_store
from tests.kiosk.station import DOCTOR, FIRST, LEAD, NURSE, PINS, TECHNICIAN, Station, Window
from tests.kiosk.test_access import path, routes

ADDRESS, FROM = "10.77.0.1", "10.77.0.23"


class Browser(FlaskClient):
    """A browser in the station's network: over https, and the front says from where."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """One request."""
        kwargs.setdefault("base_url", f"https://{ADDRESS}")
        self.environ_base["REMOTE_ADDR"] = FROM
        return super().open(*args, **kwargs)


@pytest.fixture
def lan(station: Station) -> Station:
    """The station as its network sees it: another application on the same store."""
    file = station.settings.paths.data.parent / "lan.toml"
    file.write_text((station.settings.paths.data.parent / "tram.toml").read_text() + f'[lan]\naddress = "{ADDRESS}"\n')
    found = settings.load([file])
    log = logging.getLogger("tram.lan-test")
    app = make_app(found, lambda: open_store(found, {}), station.clock, os.urandom, log, lan=True)
    app.test_client_class = Browser
    return Station(found, station.hand, station.clock, station.conn, app, io.StringIO(), station.answer_key, station.first, station.second)


def test_a_nurse_works_there_with_her_pin_and_what_she_does_has_its_origin(lan: Station) -> None:
    """She finds a patient, asks a doctor after two identifiers, and the log says from where she signed in and sent."""
    window = lan.window(NURSE)
    assert FIRST in window.get(f"/patients/{lan.first}").text
    window.get(f"/patients/{lan.first}/ask")
    window.post(f"/patients/{lan.first}/ask", complaint="Đau đầu", department="INTERNAL", urgency="ROUTINE", emergency="1")
    window.post(f"/patients/{lan.first}/ask/send", emergency="1", consult=str(_draft(lan)))
    assert window.path.endswith("/confirm"), window.text[:500]
    window.confirm(lan.first, send="1")
    window.post(f"/patients/{lan.first}/ask/send", emergency="1", consult=str(_draft(lan)))
    assert len(consults.listing(lan.conn)) == 1
    said = {(one.action, one.actor, one.subject) for one in audit.entries(lan.conn)}
    assert ("staff.login", NURSE, f"lan:{FROM}") in said
    assert ("consult.send", NURSE, f"lan:{FROM}") in said
    assert {one.subject.rpartition(" ")[2] for one in audit.entries(lan.conn) if one.patient} == {f"lan:{FROM}"}


def _draft(lan: Station) -> int:
    """The number of the request that the one window is writing."""
    (draft,) = [one.ask for one in lan.kiosk.desks._desks.values() if one.ask is not None]
    return draft.consult


def test_whoever_was_renamed_at_the_box_is_confirmed_anew(lan: Station, station: Station) -> None:
    """The two programs share no memory: what the window has confirmed counts while it is the same person's record."""
    window = lan.window(NURSE)
    window.confirm(lan.first)
    window.get(f"/patients/{lan.first}/ask")
    window.post(f"/patients/{lan.first}/ask", complaint="Đau đầu", department="INTERNAL", urgency="ROUTINE", emergency="1")
    station.window(LEAD).post(f"/patients/{lan.first}/allergies", allergies="known", allergy_text="penicillin", version="1")
    window.post(f"/patients/{lan.first}/ask/send", emergency="1", consult=str(_draft(lan)))
    assert window.path.endswith("/confirm")
    assert consults.listing(lan.conn) == []


@pytest.mark.parametrize("who", ["", NURSE, DOCTOR, LEAD])
def test_what_is_done_at_the_box_opens_for_nobody(lan: Station, who: str) -> None:
    """Every address that is not of the network's list: 403 with the reason, read or written; nothing is queued."""
    window, asked = lan.window(who), 0
    before, token = lan.count("SELECT count(*) FROM outbox"), window.token()
    for method in ("GET", "POST"):
        for route in routes(lan, method):
            if route.endpoint in PAGES:
                continue
            asked += 1
            answer = window.client.open(path(lan, route), method=method, data={"csrf": token} if method == "POST" else None)
            assert answer.status_code == 403, route
            assert ELSEWHERE[0] in answer.text or ELSEWHERE[0] in str(answer.get_json()), route
    assert asked > 60
    assert lan.count("SELECT count(*) FROM outbox") == before
    assert {
        one for one in PAGES if one.startswith(("measure.", "choose.", "guided.", "memory.", "manual.", "tray.", "technician."))
    } == set()


def test_a_confirmation_does_not_lead_on_to_a_device(lan: Station) -> None:
    """Two right identifiers with a device in the form begin no measuring session."""
    window = lan.window(NURSE)
    window.confirm(lan.first, device="oxi")
    assert window.status == 403
    assert lan.count("SELECT count(*) FROM session") == 0


def test_without_a_pin_there_are_names_and_telephone_numbers_alone(lan: Station) -> None:
    """Every page of the list but the doorstep leads to the choice of a name; no emergency is called by nobody."""
    assert set(TABLE) >= PAGES
    window = lan.window("")
    for route in routes(lan, "GET"):
        if route.endpoint in PAGES - DOORSTEP:
            answer = window.client.get(path(lan, route))
            assert (answer.status_code, answer.headers.get("Location")) == (303, "/") or answer.status_code == 403, route
    for name in DOORSTEP:
        assert TABLE[name].rule is Rule.OPEN
    window.get("/emergency")
    assert "115" in window.text
    assert "Báo bác sĩ trực" not in window.text
    window.post("/emergency")
    assert lan.count("SELECT count(*) FROM emergency") == 0
    lan.window(NURSE).post("/emergency")
    assert lan.count("SELECT count(*) FROM emergency") == 1


def test_a_technician_works_at_the_box(lan: Station) -> None:
    """Their name is not offered, and their PIN opens nothing."""
    window = lan.window("")
    assert "Kỹ Thuật Thử" not in window.get("/").text
    window.post("/staff", staff=TECHNICIAN)
    window.post("/pin", staff=TECHNICIAN, pin=PINS[TECHNICIAN])
    assert window.get("/home").path == "/"


def test_a_cookie_of_the_network_is_none_of_the_boxs_and_the_other_way_round(lan: Station, station: Station) -> None:
    """Secure, HttpOnly, SameSite=Strict, for this host alone; the same number at the other program is nobody."""
    answer = lan.app.test_client().get("/")
    said = answer.headers["Set-Cookie"]
    assert said.startswith(f"{COOKIE}=")
    for word in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert word in said
    assert "Domain" not in said
    here = lan.window(NURSE)
    cookie = here.client.get_cookie(COOKIE, domain=ADDRESS)
    assert cookie is not None
    box = Window(station.app.test_client())
    for name in (AT_THE_BOX, COOKIE):
        box.client.set_cookie(name, cookie.value)
    assert box.get("/home").path == "/"
    signed = station.window(NURSE).client.get_cookie(AT_THE_BOX)
    assert signed is not None
    there = lan.window("")
    for name in (AT_THE_BOX, COOKIE):
        there.client.set_cookie(name, signed.value, domain=ADDRESS, secure=True)
    assert there.get("/home").path == "/"


def test_another_host_name_is_refused(lan: Station) -> None:
    """A page of somebody else's that a name server leads here gets nothing; nor does loopback's own name."""
    for host in ("tram.example.org", "localhost", "127.0.0.1"):
        assert lan.app.test_client().get("/", base_url=f"https://{host}").status_code == 400


def test_a_window_that_nobody_touches_is_nobodys(lan: Station) -> None:
    """After the idle time a name and a PIN again; what it asks by itself does not keep it."""
    window = lan.window(NURSE)
    lan.hand.turn(lan.settings.kiosk.blank_s + 1)
    assert window.client.get("/status.json", headers={"X-Idle": "999"}).status_code == 200
    assert FIRST not in window.get(f"/patients/{lan.first}").text
    assert window.path == "/"


def guess(lan: Station, times: int) -> Window:
    """Somebody in the network types a wrong PIN for the nurse, so often."""
    window = lan.window("")
    window.post("/staff", staff=NURSE)
    for _ in range(times):
        window.post("/pin", staff=NURSE, pin="000001")
    return window


def test_guessing_in_the_network_locks_nobody_out_at_the_box(lan: Station, station: Station) -> None:
    """After five tries the network waits; at the box she signs in at once and hears of it, and then may try there again too."""
    window = guess(lan, 7)
    assert "phải chờ" in window.text
    box = station.window(NURSE)
    assert "5 lần nhập sai mã PIN của bạn từ máy khác" in box.text
    assert lan.window(NURSE).get("/home").status == 200
    wrong = [one.subject for one in audit.entries(lan.conn) if one.action in ("pin.wrong", "pin.locked")]
    assert len(wrong) == 5
    assert set(wrong) == {f"staff:{NURSE} lan:{FROM}"}


def test_after_twenty_wrong_tries_only_the_box_takes_the_pin(lan: Station, station: Station) -> None:
    """However long they wait in between: the right PIN is not even compared before she was at the box, or the lead unlocked."""
    for _ in range(pins.MOST_AFAR):
        guess(lan, 1)
        lan.hand.turn(2 * 3600)
    assert "màn hình của trạm" in guess(lan, 1).text
    with pytest.raises(pins.Shut):
        pins.attempt(lan.conn, lan_secret(lan), NURSE, PINS[NURSE], now=lan.now, origin=f"lan:{FROM}")
    pins.unlock(lan.conn, NURSE, by=LEAD, now=lan.now)
    assert pins.attempt(lan.conn, lan_secret(lan), NURSE, PINS[NURSE], now=lan.now, origin=f"lan:{FROM}") == 0
    assert station.window(NURSE).get("/home").status == 200


def lan_secret(lan: Station) -> bytes:
    """What PINs are mixed with."""
    from appliance.store.opening import secret_file

    return pins.read_secret(secret_file(lan.settings))


def test_many_windows_push_nobody_out_who_works(lan: Station) -> None:
    """Whoever opens a hundred windows takes none from the nurse."""
    window = lan.window(NURSE)
    for _ in range(100):
        lan.app.test_client().get("/")
    assert window.get("/home").path == "/home"


def test_no_page_offers_what_is_done_at_the_box(lan: Station) -> None:
    """Every link and form of the pages a nurse and a lead see leads to something that opens there."""
    adapter = lan.app.url_map.bind("localhost")
    session = lan.measure("oxi", None)
    assert session
    for who in (NURSE, LEAD):
        window = lan.window(who)
        for page in ("/home", f"/patients/{lan.first}", "/consults", "/patients", "/emergency", f"/patients/{lan.first}/ask", "/duty"):
            text = window.get(page).text
            assert window.status == 200, page
            for method, where in [("GET", one) for one in re.findall(r'href="(/[^"#]*)"', text)] + [
                ("POST", one) for one in re.findall(r'method="post"[^>]*action="([^"]*)"', text)
            ]:
                endpoint = adapter.match(where.partition("?")[0].replace("&amp;", "&"), method=method)[0]
                assert endpoint in PAGES, (page, where)
