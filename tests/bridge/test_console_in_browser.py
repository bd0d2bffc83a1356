"""The doctor's morning in a real browser: the alarm, six clicks to a signed answer, a correction on the open page, the telephone."""

import re
from pathlib import Path

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from appliance.contract import events as ev
from appliance.contract.ids import spell
from cloud_bridge.store import accounts, factors
from cloud_bridge.store import answers as kept
from cloud_bridge.store.accounts import Role
from cloud_bridge.store.engine import reading, writing
from tests.bridge.conftest import HASHER, KEY, ORGANISATION, PASSWORD, Office
from tests.bridge.story import OTHER, PATIENT, STATION, asked, event, pressure, who
from tests.bridge.test_desk_in_browser import SOON_MS, address, chromium
from tests.polling import until

__all__ = ["address", "chromium"]
SIZE = {"width": 1280, "height": 800}
WITHIN_MS = 10_000
"""A new case is noticed within ten seconds of its commit."""
COUNT = """addEventListener("click", (event) => {
  if (event.isTrusted) sessionStorage.clicks = Number(sessionStorage.clicks || 0) + 1;
}, true);"""


@pytest.fixture
def page(chromium: Browser, address: str) -> Page:
    """A doctor's browser at 1280 × 800, logged in; what the browser complains about fails the test."""
    context = chromium.new_context(viewport=SIZE, locale="vi-VN", base_url=address)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.add_init_script(COUNT)
    page.goto("/")
    page.get_by_label("Tên đăng nhập").fill("bs.thu")
    page.get_by_label("Mật khẩu").fill(PASSWORD)
    page.get_by_role("button", name="Đăng nhập").click()
    expect(page.get_by_role("heading", name="Hàng đợi")).to_be_visible()
    yield page
    context.close()
    assert [one for one in complaints if not re.search("401|409|403|AudioContext", one)] == []


def rung(page: Page) -> int:
    """How often the page has sounded."""
    return int(page.evaluate("Number(document.body.dataset.rung || 0)"))


def test_from_open_to_signed_in_six_clicks_on_one_page(office: Office, page: Page, artefacts: Path):
    """The record stays where it is while the answer is written, reviewed and signed; what arrives meanwhile appears beside it."""
    page.evaluate("sessionStorage.clicks = 0")
    page.get_by_role("link", name="Nguyễn Thử Nghiệm Một").first.click()
    page.wait_for_url("**/consults/**")
    page.evaluate("window.stayed = true")
    page.get_by_label("Lời khuyên cho trạm").click()
    page.keyboard.type("Dữ liệu thử: nằm nghỉ, gọi 115.")
    page.get_by_role("button", name="Xem lại để ký").click()
    expect(page.get_by_role("heading", name="Xem lại lần cuối rồi ký")).to_be_visible()
    expect(page.get_by_label("Mật khẩu của bạn, một lần nữa")).to_be_focused()
    assert page.evaluate("window.stayed") is True
    office.hear(event(ev.ConsultReply(900, 1, "Đang thở oxy"), 90))
    expect(page.locator(".messages")).to_contain_text("Đang thở oxy")
    expect(page.get_by_role("heading", name="Xem lại lần cuối rồi ký")).to_be_visible()
    page.screenshot(path=artefacts / "console-sign-1280.png")
    page.keyboard.type(PASSWORD)
    page.get_by_role("button", name="Ký và gửi về trạm").click()
    expect(page.get_by_role("heading", name="Trả lời đã ký")).to_be_visible()
    assert page.evaluate("Number(sessionStorage.clicks)") <= 6
    with reading(office.engine) as tx:
        assert len(kept.of_consult(tx, STATION, 900)) == 1


def test_an_answer_without_advice_is_told_beside_the_form(page: Page):
    """Nothing typed: one sentence at the button, the cursor in the field that lacks it, the page stays."""
    page.goto(f"/consults/{STATION}/{spell(900)}")
    page.get_by_role("button", name="Xem lại để ký").click()
    expect(page.locator("#unsaid")).to_contain_text("Chưa có lời khuyên")
    expect(page.get_by_label("Lời khuyên cho trạm")).to_be_focused()
    page.get_by_label("Lời khuyên cho trạm").fill("Nghỉ")
    page.get_by_role("button", name="Xem lại để ký").click()
    page.get_by_role("link", name="Quay lại sửa").click()
    expect(page.get_by_label("Lời khuyên cho trạm")).to_have_value("Nghỉ")


def test_a_new_emergency_is_heard_and_seen_within_ten_seconds_until_somebody_has_seen_it(office: Office, page: Page, artefacts: Path):
    """Badge in the title and on the page, a sound again and again; one doctor's press ends it; without sound the page says so."""
    page.get_by_role("link", name="Trạm", exact=True).click()
    page.locator("main").click()
    expect(page.locator("#sound")).to_be_hidden()
    before = rung(page)
    office.hear(
        event(ev.EmergencyPressed(77, "")), asked(930, (), 100, identity=who(31, name="Vừ Thử Nghiệm Ba"), urgency=ev.Urgency.EMERGENCY)
    )
    expect(page.locator("#alarm-count")).to_have_text("3", timeout=WITHIN_MS)
    expect(page).to_have_title(re.compile(r"^\(3\) "))
    until(lambda: rung(page) >= before + 2, 15, what="the sound, twice")
    page.goto("/")
    expect(page.locator(".called").first).to_contain_text("TRẠM BẤM NÚT CẤP CỨU")
    page.screenshot(path=artefacts / "console-alarm-1280.png")
    page.locator("#alarm-seen button").click()
    expect(page.locator(".called").first).to_contain_text("đã thấy: BS. Trần Thử")
    expect(page.locator("#alarm-seen")).to_be_hidden()
    expect(page.locator("#alarm")).to_be_visible()
    assert office.doctor("bs.hai").get("/emergencies.json").json["sounding"] == []


def test_a_page_that_may_not_sound_says_so(chromium: Browser, address: str):
    """Before a person has touched the page the browser lets nothing sound: the button says it, and is gone after a press."""
    context = chromium.new_context(viewport=SIZE, locale="vi-VN", base_url=address)
    page = context.new_page()
    page.add_init_script(
        "window.AudioContext = class { state = 'suspended'; currentTime = 0; resume() { this.state = 'running'; return Promise.resolve(); }"
        " createOscillator() { return { frequency: {}, connect: (one) => one, start() {}, stop() {} }; }"
        " createGain() { return { gain: { setValueAtTime() {}, exponentialRampToValueAtTime() {} }, connect: (one) => one }; } };"
    )
    page.goto("/")
    page.get_by_label("Tên đăng nhập").fill("bs.thu")
    page.get_by_label("Mật khẩu").fill(PASSWORD)
    page.get_by_role("button", name="Đăng nhập").click()
    expect(page.locator("#sound")).to_be_visible()
    expect(page.locator("#sound")).to_have_text("Chuông đang tắt · Bật âm thanh")
    expect(page.locator("#alarm")).to_be_visible()
    one_line = page.locator("header.top").bounding_box()
    assert one_line is not None and one_line["height"] < 80
    assert page.evaluate("document.body.dataset.rung") is None
    page.locator("#sound").click()
    expect(page.locator("#sound")).to_be_hidden()
    until(lambda: rung(page) >= 1, 15, what="the sound")
    context.close()


def test_correction_reaches_the_doctor(office: Office, page: Page, artefacts: Path):
    """The page is open, even with the signature half done: the alert comes by itself, stays, and is gone once the doctor has seen it."""
    page.goto(f"/consults/{STATION}/{spell(900)}")
    page.get_by_label("Lời khuyên cho trạm").fill("Theo huyết áp này")
    page.get_by_role("button", name="Xem lại để ký").click()
    expect(page.get_by_role("heading", name="Xem lại lần cuối rồi ký")).to_be_visible()
    office.time.turn(2)
    office.hear(event(ev.ObservationReassigned(PATIENT, pressure(30).key, OTHER, "đo nhầm người"), 300))
    expect(page.locator(".corrections")).to_contain_text("Trạm đã sửa:", timeout=SOON_MS)
    expect(page.locator(".corrections")).to_contain_text("đo nhầm người")
    page.screenshot(path=artefacts / "console-correction-1280.png")
    page.get_by_label("Mật khẩu của bạn, một lần nữa").fill(PASSWORD)
    page.get_by_role("button", name="Ký và gửi về trạm").click()
    expect(page.locator(".flash.refused").first).to_contain_text("Trạm vừa sửa một số đo")
    page.locator(".corrections button").click()
    expect(page.locator(".corrections")).to_have_count(0)
    expect(page.locator("tr.struck")).to_have_count(1)
    with reading(office.engine) as tx:
        assert kept.of_consult(tx, STATION, 900) == []


def test_the_first_login_with_a_telephone(office: Office, chromium: Browser, address: str, artefacts: Path):
    """Picture, key as text, the first code, eight recovery codes, the queue; the next time the code alone."""
    with writing(office.engine) as tx:
        accounts.add(tx, HASHER, "bs.moi", PASSWORD, office.time.wall, name="BS. Mới", role=Role.DOCTOR, organisation=ORGANISATION)
    context = chromium.new_context(viewport=SIZE, locale="vi-VN", base_url=address)
    page = context.new_page()

    def log_in() -> None:
        page.goto("/login")
        page.get_by_label("Tên đăng nhập").fill("bs.moi")
        page.get_by_label("Mật khẩu").fill(PASSWORD)
        page.get_by_role("button", name="Đăng nhập").click()

    def code() -> str:
        with reading(office.engine) as tx:
            found = factors.get(tx, KEY, "bs.moi")
        assert found is not None
        return pyotp.TOTP(found.secret).generate_otp(office.time.wall // 300)

    log_in()
    expect(page.locator(".qr svg")).to_be_visible()
    page.screenshot(path=artefacts / "console-enrol-1280.png")
    page.get_by_label("Sáu chữ số").fill(code())
    page.get_by_role("button", name="Xác nhận").click()
    expect(page.locator(".codes li")).to_have_count(8)
    page.screenshot(path=artefacts / "console-codes-1280.png")
    page.get_by_role("link", name="Tôi đã ghi lại").click()
    expect(page.get_by_role("heading", name="Hàng đợi")).to_be_visible()
    page.get_by_role("button", name="Thoát").click()
    office.time.turn(30)
    log_in()
    page.get_by_label("Mã", exact=True).fill(code())
    page.get_by_role("button", name="Tiếp tục").click()
    expect(page.get_by_role("heading", name="Hàng đợi")).to_be_visible()
    context.close()


@pytest.mark.parametrize(
    "path",
    ["/", f"/consults/{STATION}/{spell(900)}", f"/patients/{STATION}/{spell(PATIENT)}", f"/patients/{STATION}/{spell(PATIENT)}/access",
     "/stations/", f"/stations/{STATION}", "/review/"],
)  # fmt: skip
def test_pages_break_no_rule_of_wcag(office: Office, page: Page, artefacts: Path, path: str):
    """axe-core finds no violation of WCAG 2.2 A and AA; a picture of each for people to look at."""
    office.hear(event(ev.StaffChanged("ys01", "YS. Thử Một", "nurse")))
    page.goto(path)
    expect(page.locator("footer")).to_be_visible()
    name = path.strip("/").replace("/", "-") or "queue"
    page.screenshot(path=artefacts / f"console-{name}-1280.png", full_page=True)
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    assert found.violations_count == 0, found.generate_report()
