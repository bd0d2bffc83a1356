"""A doctor's morning at the desk, in a browser: second factor, a case that is heard, a picture, a question, a correction, a signature.

The desk is the real application on a real database; what stations say is handed to its intake. Clicks from opening a case
to the signed answer are counted in the browser, as is the time until a new case is noticed. Pictures: ``doctor/``.
"""

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from appliance.contract import events as ev
from appliance.contract.metrics import Status
from cloud_bridge.store import accounts, factors
from cloud_bridge.store import answers as kept
from cloud_bridge.store.accounts import Role
from cloud_bridge.store.engine import reading, writing
from tests.bridge import story
from tests.bridge.conftest import HASHER, KEY, ORGANISATION, PASSWORD, Office, lite, migrated, office
from tests.bridge.story import OTHER, PATIENT, STATION, asked, event, oxygen, pressure, recorded, who
from tests.bridge.test_pictures import digest, offered, parts
from tests.journey.test_accessibility import served
from tests.journey.windows import Window, browser
from tests.polling import until

__all__ = ["lite", "migrated", "office"]
SMALL, LARGE = {"width": 800, "height": 480}, {"width": 1280, "height": 800}
LOGIN, NAME = "bs.sang", "BS. Thử Buổi Sáng"
NOTICED_S, CLICKS = 10, 6
"""What the issue allows: from the commit to a sound and a badge; from opening to the signed answer."""
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
COUNT = """addEventListener("click", (event) => {
  if (event.isTrusted) sessionStorage.clicks = Number(sessionStorage.clicks || 0) + 1;
}, true);"""


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """The doctor's browser."""
    with browser() as started:
        yield started


def photographed(side: int) -> bytes:
    """Something that can be looked at closely."""
    image = Image.radial_gradient("L").resize((side * 3 // 2, side)).convert("RGB")
    image.paste("brown", (side // 4, side // 4, side // 2, side // 2))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=40)
    return out.getvalue()


def yesterday(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real time, readings of some days, two requests that wait; a doctor whose telephone makes the second factor."""
    now = time.time_ns() // 100_000_000
    monkeypatch.setattr(story, "T0", now - 3000)
    office.time.wall = now
    for n in range(4):
        office.hear(recorded(pressure(-n * 86_400 - 300, 128 + 3 * n, 82 + n, Status(0))))
    office.hear(
        asked(900, (pressure(30), oxygen(60)), 80, complaint="Dữ liệu thử: đau ngực trái từ 6 giờ sáng."),
        asked(901, (oxygen(90),), 100, identity=who(OTHER, name="Lò Thử Nghiệm Hai"), complaint="Dữ liệu thử: ho ba ngày."),
    )
    with writing(office.engine) as tx:
        accounts.add(tx, HASHER, LOGIN, PASSWORD, now, name=NAME, role=Role.DOCTOR, organisation=ORGANISATION)
    visitor = office.visitor()
    visitor.log_in(LOGIN, PASSWORD)
    visitor.get("/login/enrol")
    assert visitor.send("/login/enrol", code=code(office)).status_code == 200
    office.time.turn(30)


def code(office: Office) -> str:
    """What the doctor's telephone shows now."""
    with reading(office.engine) as tx:
        found = factors.get(tx, KEY, LOGIN)
    assert found is not None
    return pyotp.TOTP(found.secret).generate_otp(office.time.wall // 300)


class Doctor:
    """The doctor's window; each picture at both sizes."""

    def __init__(self, chromium: Browser, pictures: Path) -> None:
        self.window = Window(chromium, "bacsi", LARGE, pictures)  # type: ignore[arg-type]
        self.page: Page = self.window.page
        self.page.add_init_script(COUNT)

    def look(self, name: str) -> None:
        """A picture of both sizes."""
        self.window.picture(f"{name}-1280")
        self.page.set_viewport_size(SMALL)  # type: ignore[arg-type]
        until(lambda: self.page.evaluate(FITS), 10, what="the page to fit")  # a chart is drawn anew a moment after the size has changed
        self.window.picture(f"{name}-800")
        self.page.set_viewport_size(LARGE)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_doctors_morning(office: Office, chromium: Browser, artefacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Login with a code, a new emergency heard and acknowledged, picture, question, correction, six clicks to a signed answer, out."""
    pictures = artefacts / "doctor"
    pictures.mkdir(exist_ok=True)
    for old in pictures.glob("*.png"):
        old.unlink()
    yesterday(office, monkeypatch)
    with served(office.app) as origin:  # type: ignore[arg-type]
        doctor = Doctor(chromium, pictures)
        log_in(doctor, office, origin)
        a_new_case_is_noticed(doctor, office)
        the_record(doctor, office)
        open_to_signed(doctor, office)
        doctor.page.get_by_role("button", name="Thoát").click()
        expect(doctor.page.get_by_role("heading", name="Đăng nhập")).to_be_visible()
        doctor.page.go_back()
        expect(doctor.page.get_by_text("Thử Nghiệm")).to_have_count(0)
        assert [one for one in doctor.window.complaints if not re.search("401|AudioContext", one)] == []
        doctor.window.close()


# --- the steps ----------------------------------------------------------------------------------------------------------------------


def log_in(doctor: Doctor, office: Office, origin: str) -> None:
    """Password, then the code of the telephone."""
    page = doctor.page
    page.goto(origin)
    page.get_by_label("Tên đăng nhập").fill(LOGIN)
    page.get_by_label("Mật khẩu").fill(PASSWORD)
    doctor.look("dang-nhap")
    page.get_by_role("button", name="Đăng nhập").click()
    expect(page.get_by_label("Mã", exact=True)).to_be_visible()
    assert "Thử Nghiệm" not in page.content()
    doctor.look("ma")
    page.get_by_label("Mã", exact=True).fill(code(office))
    page.get_by_role("button", name="Tiếp tục").click()
    expect(page.get_by_role("heading", name="Hàng đợi")).to_be_visible()
    doctor.look("hang-doi")


def a_new_case_is_noticed(doctor: Doctor, office: Office) -> None:
    """On a page that nobody touches: the badge and a sound within ten seconds of the commit; acknowledged by a person, it is quiet."""
    page = doctor.page
    page.get_by_role("heading", name="Hàng đợi").click()
    full, preview = photographed(800), photographed(160)
    before = int(page.evaluate("Number(document.body.dataset.rung || 0)"))
    office.hear(
        asked(930, (pressure(200), oxygen(210)), 220, identity=who(31, name="Vừ Thử Nghiệm Ba"), urgency=ev.Urgency.EMERGENCY,
              complaint="Dữ liệu thử: bỏng bàn tay trái", attachments=1),
        offered(preview, digest(full), consult=930), offered(full, consult=930), *parts(preview), *parts(full),
    )  # fmt: skip
    began = time.monotonic()
    expect(page.locator("#alarm-count")).to_have_text("1", timeout=NOTICED_S * 1000)
    until(lambda: int(page.evaluate("Number(document.body.dataset.rung || 0)")) > before, NOTICED_S, what="the sound")
    noticed = time.monotonic() - began
    print(f"a new case is noticed after {noticed:.1f} s")
    assert noticed <= NOTICED_S
    expect(page).to_have_title(re.compile(r"^\(1\) "))
    expect(page.locator("tbody tr").first).to_contain_text("Vừ Thử Nghiệm Ba")
    doctor.look("cap-cuu")
    page.locator("#alarm-seen button").click()
    expect(page.locator("#alarm-seen")).to_be_hidden()


def the_record(doctor: Doctor, office: Office) -> None:
    """Zoom into the picture; ask and be answered; what the station corrects appears on the open page and stays until it was seen."""
    page = doctor.page
    page.get_by_role("link", name="Vừ Thử Nghiệm Ba").first.click()
    expect(page.locator(".complete")).to_be_visible()
    expect(page.locator(".ribbon").first).to_contain_text("DỮ LIỆU THỬ")
    doctor.look("yeu-cau")
    page.get_by_role("button", name=re.compile("Phóng to")).first.click()
    expect(page.locator("#viewer img")).to_be_visible()
    page.get_by_role("button", name="Phóng to (+)").click()
    doctor.look("anh-phong-to")
    page.get_by_role("button", name="Đóng (Esc)").click()
    page.get_by_label("Câu hỏi").fill("Ngón tay có cử động được không?")
    page.get_by_role("button", name="Gửi câu hỏi").click()
    expect(page.locator(".messages")).to_contain_text("đang gửi về trạm")
    office.time.turn(5)
    office.hear(event(ev.ConsultReply(930, 1, "Cử động được, còn cảm giác"), 400))
    expect(page.locator(".messages")).to_contain_text("Cử động được")
    doctor.look("hoi-dap")
    office.time.turn(5)
    office.hear(event(ev.ObservationReassigned(31, oxygen(210).key, PATIENT, "đo nhầm người"), 420))
    expect(page.locator(".corrections")).to_contain_text("đo nhầm người")
    doctor.look("tram-da-sua")
    page.locator(".corrections button").click()
    expect(page.locator(".corrections")).to_have_count(0)
    expect(page.locator("tr.struck")).to_have_count(1)


def open_to_signed(doctor: Doctor, office: Office) -> None:
    """What the issue counts: from the queue to the signed answer, on one page."""
    page = doctor.page
    page.get_by_role("link", name="Hàng đợi").click()
    expect(page.get_by_role("link", name="Nguyễn Thử Nghiệm Một").first).to_be_visible()
    page.evaluate("sessionStorage.clicks = 0")
    page.get_by_role("link", name="Nguyễn Thử Nghiệm Một").first.click()
    page.wait_for_url("**/consults/**")
    page.evaluate("window.stayed = true")
    page.get_by_label("Lời khuyên cho trạm").click()
    page.keyboard.type("Dữ liệu thử: nằm nghỉ, gọi 115.")
    expect(page.locator("#saved")).to_contain_text("Nháp đã lưu")
    page.get_by_role("button", name="Xem lại để ký").click()
    expect(page.get_by_role("heading", name="Xem lại lần cuối rồi ký")).to_be_visible()
    expect(page.locator(".allergies").first).to_contain_text("Penicillin")
    assert page.evaluate("window.stayed") is True
    doctor.look("ky")
    page.keyboard.type(PASSWORD)
    page.get_by_role("button", name="Ký và gửi về trạm").click()
    expect(page.get_by_role("heading", name="Trả lời đã ký")).to_be_visible()
    clicks = int(page.evaluate("Number(sessionStorage.clicks)"))
    print(f"open to signed answer: {clicks} clicks")
    assert clicks <= CLICKS
    with reading(office.engine) as tx:
        (answer,) = kept.of_consult(tx, STATION, 900)
    office.hear(event(ev.AnswerRead(900, answer.answer, "YS Thử", True), 500))
    expect(page.locator(".answer")).to_contain_text("đã đọc và xác nhận")
    doctor.look("da-ky")
    page.get_by_role("link", name="Ai đã xem hồ sơ này").click()
    expect(page.get_by_text(NAME).first).to_be_visible()
    doctor.look("ai-da-xem")
