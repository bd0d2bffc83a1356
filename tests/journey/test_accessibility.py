"""axe-core on every page of the kiosk and of the doctors' desk that can be opened: no violation of WCAG 2.2, levels A and AA.

Both maps of addresses are walked whole, with the ids of a station and an office that have been lived in: a page is looked
at from the day it gets its row in the table. What has no page of its own is named, with what it is instead.
"""

import itertools
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyotp
import pytest
import waitress.server
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page
from sqlalchemy import Engine

from appliance.contract import events as ev
from appliance.contract.ids import spell
from appliance.contract.metrics import Status
from appliance.kiosk.access import TABLE as KIOSK
from appliance.kiosk.phone import make_phone
from appliance.kiosk.screens.manual import FORMS
from appliance.store import consults, guided, measuring, tickets
from appliance.store.consults import ConsultDraft
from appliance.store.opening import open_store
from cloud_bridge.console.access import TABLE as CONSOLE
from cloud_bridge.store import accounts, factors
from cloud_bridge.store.accounts import Role
from cloud_bridge.store.engine import reading, writing
from tests.bridge import story
from tests.bridge.conftest import (
    HASHER,
    KEY,
    ORGANISATION,
    PASSWORD,
    Office,
    lite,
    make_office,
    migrated,
)  # the first and last are fixtures
from tests.bridge.test_pictures import FULL, SMALL, digest, offered, parts
from tests.journey.windows import browser
from tests.kiosk.station import LEAD, NURSE, TECHNICIAN, Station, Window, add_patient, make
from tests.kiosk.test_pictures import add, photo

__all__ = ["lite", "migrated"]
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LAID_OUT = ["color-contrast", "target-size", "scrollable-region-focusable"]
"""What can be right at one size and wrong at another."""
SIZES = ({"width": 800, "height": 480}, {"width": 1280, "height": 800})
VARIANTS = 3
"""So many pages of one address, where other ids show something else there."""
NO_PAGE = {
    "bag.follow": "numbers for a script", "technician.follow": "data",
    "technician.first": "of a box without anybody; tests/journey/test_first_day.py",
    "static": "files", "home.blank": "leads to the start page",
    "emergency.follow": "data", "measure.live": "data", "consult.follow": "data", "pictures.follow": "data",
    "status.bar": "data", "status.health": "data", "pictures.image": "a picture", "paper.slip": "a PDF", "paper.summary": "a PDF",
    "queue.live": "a part of the queue's page", "queue.listing": "data", "queue.emergencies": "data",
    "consults.live": "a part of its page", "consults.data": "data", "consults.picture": "a picture",
    "patients.live": "a part of its page", "patients.data": "data",
}  # fmt: skip
"""Addresses that answer without a page of their own."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser, many pages."""
    with browser() as running:
        yield running


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """An application behind waitress on loopback."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server: Any = waitress.server.create_server(app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    server.task_dispatcher.shutdown()
    thread.join(5)


class Look:
    """A browser that opens pages as somebody who has signed in elsewhere, and collects what axe-core says against them."""

    def __init__(self, chromium: Browser, origin: str, cookie: str, folder: Path, sizes: tuple[dict[str, int], ...]) -> None:
        self.origin, self._cookie, self._folder, self._sizes = origin, cookie, folder, sizes
        self.context = chromium.new_context(viewport=sizes[0], locale="vi-VN", base_url=origin)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.found: list[str] = []
        self.pages = 0

    def become(self, client: FlaskClient) -> None:
        """Go on as whoever sits at this client."""
        self.context.clear_cookies()
        cookie = client.get_cookie(self._cookie)
        if cookie is not None:
            self.context.add_cookies([{"name": self._cookie, "value": cookie.value, "url": self.origin}])

    def at(self, path: str) -> None:
        """Open a page and hear what axe-core says at each size."""
        self.page.goto(path, wait_until="load")
        self.judge(path)

    def judge(self, path: str) -> None:
        """What axe-core says of the page that is open."""
        self.pages += 1
        for number, size in enumerate(self._sizes):
            if len(self._sizes) > 1:
                self.page.set_viewport_size(size)  # type: ignore[arg-type]
            if number == 0:
                said = Axe().run(self.page, options={"runOnly": TAGS, "resultTypes": ["violations"]}).response
            else:
                said = self.page.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations']})", LAID_OUT)
            for each in said["violations"]:
                where = "; ".join(f"{node['target']} {node['html'][:160]}" for node in each["nodes"][:3])
                self.found.append(f"{path} at {size['width']}: {each['id']} ({each['help']}) {where}")
                self.page.screenshot(path=self._folder / f"{len(self.found):03d}-{each['id']}.png")


def addresses(app: Flask, client: FlaskClient, table: dict[str, Any], pools: dict[str, list[Any]], reached: set[str]) -> Iterator[str]:
    """Every page this client can open with ids of these pools, at most `VARIANTS` of one address; their endpoints go to `reached`."""
    adapter = app.url_map.bind("localhost")
    for rule in sorted(app.url_map.iter_rules(), key=lambda one: one.endpoint):
        if "GET" not in (rule.methods or ()) or rule.endpoint in NO_PAGE or rule.endpoint not in table:
            continue
        names = sorted(rule.arguments)
        some = 0
        for ids in itertools.product(*(pools[name] for name in names)):
            path = adapter.build(rule.endpoint, dict(zip(names, ids, strict=True)))
            answer = client.get(path)
            if answer.status_code == 200 and answer.mimetype == "text/html" and some < VARIANTS:
                some += 1
                reached.add(rule.endpoint)
                yield path
            answer.close()


def unreached(app: Flask, reached: set[str]) -> set[str]:
    """GET addresses that nobody has opened and that are not excused."""
    return {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())} - reached - set(NO_PAGE)


def test_what_is_wrong_is_heard(chromium: Browser, tmp_path: Path) -> None:
    """A picture without words, pale text, a field without a name: each is told with the page and the size."""
    wrong = Flask(__name__)
    wrong.add_url_rule("/", view_func=lambda: (
        "<!doctype html><html lang=vi><title>Thử</title><main><h1>Thử</h1><img src='data:,'><p style='color:#ccc'>Nhạt</p><input></main>"
    ))  # fmt: skip
    with served(wrong) as origin:
        look = Look(chromium, origin, "none", tmp_path, SIZES)
        look.at("/")
        look.context.close()
    heard = {one.split(": ")[1].split(" ")[0] for one in look.found}
    assert heard == {"image-alt", "color-contrast", "label"}


# --- the kiosk ----------------------------------------------------------------------------------------------------------------------


def lived_in(station: Station, window: Window) -> dict[str, list[Any]]:
    """A morning at the station; the ids of everything that has a page, by the name that addresses give them."""
    for device in ("oxi", "cuff"):
        station.live(device, test_data=True)
    first, second = station.first, station.second
    over = window.open(first, "cuff")
    saved = station.measure("cuff", over, SYSTOLIC=115, DIASTOLIC=74, MEAN=88, PULSE_RATE=85)
    window.post(f"/sessions/{over}/save", measurement=saved, patient=first)
    undecided = station.measure("cuff", over, SYSTOLIC=116, DIASTOLIC=75, MEAN=89, PULSE_RATE=85)
    measuring.end_session(station.conn, over, "screen-closed", station.now)
    window.open(second, "cuff")
    result = window.open(first, "oxi")
    settled = station.measure("oxi", result, Status.QUESTIONABLE | Status.TEST_DATA, SPO2=97, PULSE_RATE=71)
    tray = station.measure("cuff", None, SYSTOLIC=117, DIASTOLIC=76, MEAN=90, PULSE_RATE=85)
    live = window.open(second, "cuff")
    observation = station.count("SELECT max(id) FROM observation")
    for number, urgency in ((5001, ev.Urgency.URGENT), (5002, ev.Urgency.ROUTINE), (5003, ev.Urgency.URGENT)):
        draft = ConsultDraft(first, urgency, ev.Department.INTERNAL, "Dữ liệu thử: đau đầu", (saved,))
        consults.request(station.conn, draft, consult=number, staff=NURSE, now=station.now)
    station.answer(5001, advice="Dữ liệu thử: nghỉ ngơi", diagnosis="Theo dõi")
    station.answer(7777)
    station.down(ev.ConsultQuestion(5002, 3, "BS Thử Một", "Người bệnh có sốt không?"))
    add(window, 5002, photo(), caption="Bàn tay trái")
    consults.withdraw(station.conn, 5003, reason="better", staff=NURSE, now=station.now)
    merged = station_patient(station, window)
    window.confirm(first)
    window.post("/consults/5002/pictures/phone")
    window.post("/find", q="thu nghiem")
    window.post(f"/patients/{first}/ask", complaint="Dữ liệu thử: chóng mặt", urgency="urgent")
    series = guided.begin(station.conn, patient=first, staff=LEAD, device="cuff", now=station.now).id
    window.confirm(first, "manual")
    typing = int(window.path.split("/")[2])
    return {
        "patient": [first], "other": [second], "duplicate": [second, merged], "session": [result, live, over, typing],
        "measurement": [settled, undecided, tray, saved], "consult": [5001, 5002, 5003, 7777], "observation": [observation],
        "purpose": ["TREAT"], "code": [NURSE], "device": ["oxi"], "digest": ["0" * 64],
        "series": [series], "form": list(FORMS), "page": ["accept", "enrol", "work"],
    }  # fmt: skip


def station_patient(station: Station, window: Window) -> int:
    """A second record of the first patient, merged into it; its number."""
    number = add_patient(station, 1003, "Đặng Thử Nghiệm Một", "1961-04-30")
    window.post(
        f"/patients/{station.first}/merge/{number}",
        **{f"{side}_{name}": "1" for side in ("one", "two") for name in ("name", "birth", "village")}, reason="twice",
    )  # fmt: skip
    return number


@pytest.mark.slow
def test_the_kiosk_breaks_no_rule_of_wcag(chromium: Browser, tmp_path: Path, artefacts: Path) -> None:
    """Every page, at 800×480 and 1280×800: as the lead, as a technician, as nobody; then with an unseen emergency over it."""
    folder = artefacts / "axe-kiosk"
    folder.mkdir(exist_ok=True)
    began, reached = time.monotonic(), set[str]()
    with make(tmp_path) as station, served(station.app) as origin:
        lead = station.window(LEAD)
        pools = lived_in(station, lead)
        look = Look(chromium, origin, "tram", folder, SIZES)
        look.become(lead.client)
        for path in addresses(station.app, lead.client, KIOSK, pools, reached):
            look.at(path)
        for path in ("/nowhere", f"/patients/{station.first}/ask?part=department", f"/patients/{station.first}/ask?part=readings"):
            look.at(path)
        technician = station.window(TECHNICIAN)
        look.become(technician.client)
        look.at("/home")
        technician.post("/technician/begin")
        for path in ("/technician/accept", "/technician/waive?step=link", "/technician/try?name=cuff"):
            look.at(path)
        nobody = station.window("")
        nobody.post("/staff", staff=NURSE)
        look.become(nobody.client)
        for path in ("/", "/pin", "/emergency"):
            reached.update({"/": {"home.start"}, "/pin": {"staff.pin"}}.get(path, set()))
            look.at(path)
        draft = ConsultDraft(station.first, ev.Urgency.EMERGENCY, ev.Department.GENERAL, "Dữ liệu thử: khó thở")
        consults.request(station.conn, draft, consult=5099, staff=NURSE, now=station.now)
        station.hand.turn(130)
        look.at("/")
        phone = make_phone(station.settings, lambda: open_store(station.settings, {}), station.clock)
        code = tickets.issue(station.conn, 5002, patient=station.first, staff=NURSE, now=station.now, random=os.urandom)
        with served(phone) as other:
            look.at(f"{other}/t/{code}")
            look.at(f"{other}/t/{'a' * 26}")
        look.context.close()
        print(f"kiosk: {look.pages} pages at two sizes in {time.monotonic() - began:.0f} s")
        assert look.found == []
        assert unreached(station.app, reached) == set()


# --- the doctors' desk --------------------------------------------------------------------------------------------------------------


def morning(office: Office) -> dict[str, list[Any]]:
    """A bridge with requests open, answered, withdrawn and corrected, pictures, a question, a call for help."""
    cuff, clip = story.pressure(1, status=Status(0)), story.oxygen(2)
    office.hear(
        story.event(ev.StaffChanged("ys01", "YS. Thử Một", "nurse")), story.event(ev.PatientRegistered(story.who()), 1),
        story.recorded(cuff), story.recorded(clip), story.asked(900, (cuff, clip), attachments=1),
        offered(SMALL, digest(FULL)), offered(), *parts(SMALL), *parts(),
        story.asked(901, (clip,), 70), story.event(ev.ConsultWithdrawn(901, "đo lại"), 80),
        story.asked(902, (), 75, identity=story.who(story.OTHER, name="Lò Thử Nghiệm Hai"), urgency=ev.Urgency.EMERGENCY),
        story.event(ev.ConsultReply(900, 1, "Đã đo lại"), 95), story.event(ev.MeasurementUnassigned(story.pressure(7), "Thử Nghiệm")),
        story.event(ev.EmergencyPressed(77, "")), story.event(ev.ObservationEnteredInError(story.PATIENT, clip.key, "nhầm máy"), 120),
    )  # fmt: skip
    office.doctor().send(f"/consults/{story.STATION}/{spell(900)}/draft", advice="Dữ liệu thử: nghỉ ngơi")
    return {
        "station": [story.STATION], "number": [900, 901, 902], "patient": [story.PATIENT, story.OTHER], "digest": [digest(FULL).hex()],
        "kind": ["consult"],
    }  # fmt: skip


@pytest.mark.slow
def test_the_doctors_desk_breaks_no_rule_of_wcag(chromium: Browser, lite: Engine, artefacts: Path) -> None:
    """Every page: as a doctor, as who writes the rota, as who looks after accounts, half logged in, as nobody."""
    folder = artefacts / "axe-console"
    folder.mkdir(exist_ok=True)
    began, reached = time.monotonic(), set[str]()
    office = make_office(lite)
    pools = morning(office)
    with writing(office.engine) as tx:
        for role in (Role.COORDINATOR, Role.ADMIN):
            accounts.add(tx, HASHER, f"m.{role}", PASSWORD, office.time.wall, name="Người Thử", role=role, organisation=ORGANISATION,
                         second_needed=False)  # fmt: skip
        accounts.add(tx, HASHER, "m.half", PASSWORD, office.time.wall, name="BS. Nửa Đường", role=Role.DOCTOR, organisation=ORGANISATION)
    app: Flask = office.app  # type: ignore[assignment]
    with served(app) as origin:
        look = Look(chromium, origin, "tram-console", folder, SIZES[1:])
        for login in ("bs.thu", f"m.{Role.COORDINATOR}", f"m.{Role.ADMIN}"):
            visitor = office.doctor(login)
            look.become(visitor.client)
            for path in addresses(app, visitor.client, CONSOLE, pools, already := set[str]()):
                if not already <= reached or login == "bs.thu":
                    look.at(path)
            reached |= already
        half = office.visitor()
        half.log_in("m.half", PASSWORD)
        look.become(half.client)
        look.at("/login/enrol")
        with reading(office.engine) as tx:
            known = factors.get(tx, KEY, "m.half")
        assert known is not None
        look.page.get_by_label("Sáu chữ số").fill(pyotp.TOTP(known.secret).generate_otp(office.time.wall // 300))
        look.page.get_by_role("button", name="Xác nhận").click()
        look.page.locator(".codes li").first.wait_for()
        look.judge("the recovery codes")
        half = office.visitor()
        half.log_in("m.half", PASSWORD)
        look.become(half.client)
        look.at("/login/code")
        reached |= {"factors.enrol", "factors.ask"}
        look.become(office.visitor().client)
        for path in ("/login", "/nowhere"):
            look.at(path)
        look.context.close()
        print(f"console: {look.pages} pages in {time.monotonic() - began:.0f} s")
        assert look.found == []
        assert unreached(app, reached) == set()
