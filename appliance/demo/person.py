"""The people of ``tram demo --once``: staff at the kiosk and the doctor at the console, using the same pages as everybody.

They see what a browser sees and nothing else; what they wait for are steps of the journal, so that nobody looks at a page before
there is something to look at.
"""

import time
from collections.abc import Callable
from typing import Any

from appliance.demo.browser import Browser, Page, PageError
from appliance.demo.children import Stopped
from appliance.demo.places import CUFF, OXIMETER, STAFF, STATION
from appliance.demo.steps import Trail, Way
from appliance.demo.watch import LateError, Watch

PATIENT = {"name": "Thử Nghiệm Một", "birth": "30/04/1961", "sex": "female", "allergies": "none_known", "village": "Bản Thử"}
"""Visibly invented; the village makes a third thing to tell the patient by."""
COMPLAINT = "Dữ liệu thử: đau đầu, chóng mặt từ sáng"
ADVICE = "Dữ liệu thử: nghỉ ngơi, đo lại huyết áp sau 30 phút, gọi lại nếu đau tăng."
POLL_S = 0.3
"""How often the kiosk's own page asks for the moving number; a cuff goes on only while somebody asks."""
OXIMETER_S, CUFF_S, FINISH_S = 25.0, 25.0, 10.0
"""A full oximeter measurement takes 2 s of searching and 10 s of numbers, a simulated cuff cycle 8 s, its last air some more."""


class Nurse:
    """The staff at the kiosk."""

    def __init__(self, origin: str, pin: str) -> None:
        self.browser, self._pin = Browser(origin), pin

    def sign_in(self) -> None:
        """Tap the own name, type the PIN."""
        page = self.browser.get("/")
        page = self.browser.send(page, page.form(action="/staff"), f"staff={STAFF}")
        page = self.browser.send(page, page.form(action="/pin", has="pin"), pin=self._pin)
        if any(form.action.endswith("/pin") for form in page.forms):
            raise PageError(f"{page.url} refuses the PIN: {page.words()[:200]}")

    def register(self) -> int:
        """A new patient; the number."""
        page = self.browser.get("/patients/new")
        page = self.browser.send(page, page.form(action="/patients/new", has="name"), **PATIENT)
        if any("different" in form.values for form in page.forms):  # an earlier round's patient is much alike
            page = self.browser.send(page, page.form(action="/patients/new", has="different"))
        patient = number(page, "patients")
        self.consent(patient)
        return patient

    def consent(self, patient: int) -> None:
        """The patient agrees that a doctor is asked."""
        page = self.browser.get(f"/patients/{patient}/consent/TREAT")
        self.browser.send(page, page.form(action="/consent/TREAT"), "answer=yes")

    def begin(self, patient: int, device: str) -> Page:
        """Choose a device, confirm two identifiers where asked; the measuring page."""
        page = self.browser.get(f"/patients/{patient}/measure")
        page = self.browser.send(page, page.form(action="/measure"), f"device={device}")
        if "/confirm" in page.url:
            page = self.browser.send(page, page.form(action="/confirm"), id_name="1", id_birth="1")
        number(page, "sessions")
        return page

    def inflate(self, page: Page) -> Page:
        """Put the cuff on, then press start on its page, for an adult arm.

        No hand does both within the tenth of a second in which a session that took the device over is still told apart from the last.
        """
        time.sleep(POLL_S)
        return self.browser.send(page, page.form(action="/start"), patient_type="adult")

    def watch(self, page: Page, within: float, going_on: Callable[[], bool], button: str = "/save") -> Page:
        """Look at the moving number, as the page's script does, until there is a result to decide about; the page with the result.

        `button` is the end of the address of the form that is waited for.
        """
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if not going_on():
                raise Stopped
            now = self.browser.data(page.data["live"])
            if now["page"] != page.data["page"]:
                page = self.browser.get(page.url)
            if any(form.action.endswith(button) for form in page.forms):
                return page
            if "live" not in page.data:
                raise PageError(f"the session ended: {page.words()[:200]}")
            time.sleep(POLL_S)
        raise PageError(f"no {button} within {within:g} s: {page.words()[:200]}")

    def save(self, page: Page) -> tuple[int, Page]:
        """*Lưu*; the number of the measurement and the next page."""
        form = page.form(action="/save")
        return int(form.values["measurement"]), self.browser.send(page, form)

    def finish(self, page: Page, going_on: Callable[[], bool]) -> None:
        """*Xong*, as soon as the page offers it (a cuff lets its last air out first): the device is free for the next patient."""
        page = self.watch(page, FINISH_S, going_on, "/end")
        self.browser.send(page, page.form(action="/end"))

    def ask(self, patient: int) -> int:
        """Ask for a consult with the saved readings; its number."""
        page = self.browser.get(f"/patients/{patient}/ask")
        page = self.browser.send(page, page.form(action="/ask"), "urgency=urgent", complaint=COMPLAINT)
        page = self.browser.send(page, page.form(action="/ask/send"))
        if "/confirm" in page.url:  # nobody has been asked who they are for a while
            page = self.browser.send(page, page.form(action="/confirm"), id_name="1", id_birth="1")
            if any(form.action.endswith("/ask/send") for form in page.forms):
                page = self.browser.send(page, page.form(action="/ask/send"))
        return number(page, "consults")

    def read(self, consult: int) -> Page:
        """Look at the answer; it must be there with its receipt line."""
        page = self.browser.get(f"/consults/{consult}")
        words = page.words()
        if ADVICE not in words:
            raise PageError(f"{page.url} does not show the answer: {words[:300]}")
        if not all(stage in words for stage in ("đã lưu", "đã lên máy chủ", "bác sĩ đã mở", "đã trả lời")):
            raise PageError(f"{page.url} does not show the receipt line: {words[:300]}")
        return page

    def confirm(self, page: Page) -> None:
        """*Đã đọc và xác nhận*."""
        self.browser.send(page, page.form(action="/read"))


def number(page: Page, noun: str) -> int:
    """The number in the address of a page about one `noun`: ``…/patients/17/…`` → 17."""
    parts = page.url.split("?")[0].split("/")
    try:
        return int(parts[parts.index(noun) + 1])
    except (ValueError, IndexError):
        raise PageError(f"expected a page about {noun}, got {page.url} ({page.status}): {page.words()[:300]}") from None


class Doctor:
    """The doctor at the console."""

    def __init__(self, origin: str) -> None:
        self.browser = Browser(origin)

    def log_in(self, login: str, password: str) -> None:
        """A session."""
        page = self.browser.get("/")
        page = self.browser.send(page, page.form(action="/login", has="password"), login=login, password=password)
        if any(form.action.endswith("/login") for form in page.forms):
            raise PageError(f"{page.url} refuses the login: {page.words()[:200]}")

    def find(self, consult: int) -> dict[str, Any] | None:
        """The request in the queue, or None while it has not arrived."""
        return next((one for one in self.browser.data("/consults.json")["consults"] if one["consult"] == consult), None)

    def open(self, address: str) -> Page:
        """Open the request's page, and take it when nobody holds it."""
        page = self.browser.get(address)
        if any(form.action.endswith("/claim") for form in page.forms):
            page = self.browser.send(page, page.form(action="/claim"))
        return page

    def facts(self, address: str) -> dict[str, Any]:
        """What the page says, for programs."""
        found: dict[str, Any] = self.browser.data(f"{address}.json")
        return found

    def answer(self, page: Page, password: str) -> None:
        """Write a draft, review it, sign it with the password again."""
        page = self.browser.send(page, page.form(action="/draft"), "then=sign", advice=ADVICE)
        form = page.form(action="/sign", has="password")
        page = self.browser.send(page, form, password=password)
        if any(form.action.endswith("/sign") for form in page.forms):
            raise PageError(f"{page.url}: not signed: {page.words()[:200]}")


class Round:
    """One whole round. `run` is a thread's work; `result` is there when it has ended; `step` and `doing` say where it is until then.

    The steps reported are those of the blood pressure. The oximeter's reading goes the same way and is sent along.
    """

    def __init__(
        self, watch: Watch, kiosk: str, console: str, pin: str, login: tuple[str, str], finger: Callable[[str], None], deadline: float
    ) -> None:
        self._watch, self._login, self._finger, self._deadline = watch, login, finger, deadline
        self._nurse, self._doctor = Nurse(kiosk, pin), Doctor(console)
        self.step = "read"
        self.doing = ""
        self.result: dict[str, Any] | None = None

    def run(self) -> None:
        """All of it; never raises."""
        try:
            self.result = self._round()
        except Stopped:
            return  # the demo says why
        except LateError as error:
            self.result = {"ok": False, "failed_step": error.step, "reason": str(error)}
        except (OSError, ValueError, KeyError, TypeError) as error:  # a page that is not as expected
            self.result = {"ok": False, "failed_step": self.step, "reason": f"{self.doing}: {error}"}

    def _round(self) -> dict[str, Any]:
        nurse, doctor = self._nurse, self._doctor
        self._now("read", "the nurse signs in and registers a patient")
        nurse.sign_in()
        patient = nurse.register()
        self._measure_finger(patient)
        key, measurement = self._measure_arm(patient)
        self._now("publish", "the nurse asks for a consult")
        consult = nurse.ask(patient)
        self._steps_until("receipt", answer=False, reading_key=key)
        self._now("shown", "the doctor opens the request")
        test_data, page = self._look(consult, key)
        reading = self._steps_until("shown", answer=False, reading_key=key)
        self._now("signed", "the doctor answers")
        doctor.answer(page, self._login[1])
        self._steps_until("receipt", answer=True, consult=consult)
        self._now("shown", "the nurse looks at the answer")
        shown = nurse.read(consult)
        answer = self._steps_until("shown", answer=True, consult=consult)
        nurse.confirm(shown)
        return self._outcome(patient, measurement, test_data, reading, answer)

    def _measure_finger(self, patient: int) -> None:
        """The oximeter: the finger goes in after the session was opened, so that the whole measurement belongs to it."""
        self._now("read", "the nurse measures with the oximeter")
        self._finger("out")
        page = self._nurse.begin(patient, OXIMETER)
        self._finger("in")
        page = self._nurse.watch(page, OXIMETER_S, self._going_on)
        _measurement, page = self._nurse.save(page)
        self._nurse.finish(page, self._going_on)
        self._finger("out")

    def _measure_arm(self, patient: int) -> tuple[str, int]:
        """The cuff: started by a press; reading key and number of the measurement that was saved."""
        self._now("read", "the nurse measures with the cuff")
        page = self._nurse.inflate(self._nurse.begin(patient, CUFF))
        page = self._nurse.watch(page, CUFF_S, self._going_on)
        self._now("record", "the nurse saves the blood pressure")
        measurement, page = self._nurse.save(page)
        self._nurse.finish(page, self._going_on)
        way = self._steps_until("record", answer=False, measurement=measurement)
        return str(way.ids["reading_key"]), measurement

    def _look(self, consult: int, key: str) -> tuple[bool, Page]:
        """The doctor's page with the reading on it; whether that page says that it is test data."""
        self._doctor.log_in(*self._login)
        while (row := self._doctor.find(consult)) is None:
            if not self._going_on():
                raise Stopped
            if time.monotonic() > self._deadline:
                raise LateError("shown", f"the request {consult} is not in the doctor's queue")
            time.sleep(POLL_S)
        page = self._doctor.open(row["url"])
        facts = self._doctor.facts(row["url"])
        mine = next((one for one in [*facts["readings"], *facts["other_readings"]] if one["key"] == key), None)
        if mine is None:
            raise PageError(f"{page.url} does not show the reading {key}")
        return bool(facts["test_data"] and "test-data" in mine["status"]), page

    def _outcome(self, patient: int, measurement: int, test_data: bool, reading: Way, answer: Way) -> dict[str, Any]:
        for way in (reading, answer):
            wrong = way.missing or way.out_of_order()
            if wrong:
                raise LateError(wrong, f"the step {wrong} is missing or happened before the step it follows from")
        assert reading.place is not None
        epoch, lane, seq = reading.place
        if reading.ids.get("measurement") != measurement or not test_data:
            raise PageError(f"the doctor's page does not say that reading {reading.ids['reading_key']} is test data")
        return {
            "ok": True, "station": STATION, "epoch": epoch, "lane": lane, "seq": seq, "patient": patient,
            "reading_key": reading.ids["reading_key"], "consult": answer.ids["consult"], "answer": answer.ids["answer"],
            "test_data": test_data, "steps": reading.proved(), "answer_steps": answer.proved(),
        }  # fmt: skip

    def _steps_until(self, last: str, *, answer: bool, **ids: object) -> Way:
        """Wait until every step up to `last` has been heard of."""

        def ask(trail: Trail) -> Way | None:
            for way in trail.ways:
                if way.answer is answer and all(way.ids.get(key) == value for key, value in ids.items()):
                    self.step = way.missing or last
                    if all(name in way.steps for name in way.names[: way.names.index(last) + 1]):
                        return way
            return None

        self.step = last
        try:
            return self._watch.wait(ask, self._deadline - time.monotonic(), last, f"{self.doing}: waiting for step {last}")
        except LateError as error:
            raise LateError(self.step, str(error)) from None

    def _now(self, step: str, doing: str) -> None:
        self.step, self.doing = step, doing

    def _going_on(self) -> bool:
        return not self._watch.over and time.monotonic() < self._deadline
