"""The doctor's desk in a real browser: what only scripts, style and the content policy can break."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import waitress.server
from playwright.sync_api import Browser, Page, expect, sync_playwright

from appliance.contract import events as ev
from appliance.contract.ids import spell
from appliance.contract.metrics import Status
from cloud_bridge.store import answers as kept
from cloud_bridge.store.engine import reading
from tests import servers
from tests.bridge import story
from tests.bridge.conftest import PASSWORD, Office
from tests.bridge.story import OTHER, STATION, asked, event, oxygen, pressure, recorded, warmth, who

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOON_MS = 15_000
"""Far above the half second that a page takes to ask again: these machines are busy."""
DAY = 86_400


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium without a screen."""
    program = servers.need("chromium", "chromium")
    expect.set_options(timeout=SOON_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def address(office: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The office behind waitress on loopback, at the real time, with a morning's worth of readings."""
    now = time.time_ns() // 100_000_000
    monkeypatch.setattr(story, "T0", now - 3000)
    office.time.wall = now
    real = Status(0)
    for n in range(5):
        office.hear(recorded(pressure(-n * DAY - 300 * n, 128 + 3 * n, 82 + n, real)), recorded(oxygen(-n * DAY - 60, 97 - n % 3, real)))
    office.hear(
        asked(900, (pressure(30), oxygen(60, status=Status.TEST_DATA | Status.EARLY_INDICATION), warmth(70)), 80,
              urgency=ev.Urgency.EMERGENCY, complaint="Dữ liệu thử: đau ngực trái từ 6 giờ sáng, vã mồ hôi."),
        asked(901, (), 20, identity=who(OTHER, name="Lò Thử Nghiệm Hai", birth="2024-11", sex=ev.Sex.MALE, allergies=ev.Allergies.UNKNOWN),
              urgency=ev.Urgency.ROUTINE, department=ev.Department.PAEDIATRICS, complaint="Dữ liệu thử: ho ba ngày."),
    )  # fmt: skip
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = waitress.server.create_server(office.app, host="127.0.0.1", port=0, threads=4, clear_untrusted_proxy_headers=True)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    server.task_dispatcher.shutdown()
    thread.join(5)


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """A doctor who has logged in; whatever the browser complains about fails the test."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, locale="vi-VN", base_url=address)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/")
    page.get_by_label("Tên đăng nhập").fill("bs.thu")
    page.get_by_label("Mật khẩu").fill(PASSWORD)
    page.get_by_role("button", name="Đăng nhập").click()
    expect(page.get_by_role("heading", name="Hàng đợi")).to_be_visible()
    yield page
    context.close()
    assert [one for one in complaints if "401" not in one] == []


def test_from_the_queue_to_the_signature(office: Office, page: Page, artefacts: Path):
    """The queue, the request with its chart, a draft that keeps itself, the review, the password; pictures of each."""
    expect(page.locator("tbody tr").first).to_contain_text("Cấp cứu")
    expect(page.locator("#alarm")).to_contain_text("Cấp cứu chưa mở: 1")
    page.screenshot(path=artefacts / "desk-1-queue.png")
    page.get_by_role("link", name="Nguyễn Thử Nghiệm Một").click()
    expect(page.locator(".ribbon")).to_be_visible()
    expect(page.locator("#trend canvas")).to_have_count(4)
    expect(page.locator("#alarm")).to_be_hidden(timeout=SOON_MS)
    page.screenshot(path=artefacts / "desk-2-request.png", full_page=True)
    page.get_by_label("Lời khuyên cho trạm").fill("Dữ liệu thử: cho nằm nghỉ, gọi 115 chuyển viện.")
    expect(page.locator("#saved")).to_contain_text("Nháp đã lưu")
    page.reload()
    expect(page.get_by_label("Lời khuyên cho trạm")).to_have_value("Dữ liệu thử: cho nằm nghỉ, gọi 115 chuyển viện.")
    page.get_by_role("button", name="Xem lại để ký").click()
    expect(page.locator(".allergies")).to_contain_text("Penicillin")
    page.screenshot(path=artefacts / "desk-3-sign.png", full_page=True)
    page.get_by_label("Mật khẩu của bạn, một lần nữa").fill(PASSWORD)
    page.get_by_role("button", name="Ký và gửi về trạm").click()
    expect(page.locator(".flash.done")).to_be_visible()
    with reading(office.engine) as tx:
        (row,) = kept.of_consult(tx, STATION, 900)
    office.hear(event(ev.AnswerRead(900, row.answer, "YS Thử", True), 400))
    expect(page.locator(".answer")).to_contain_text("đã đọc và xác nhận", timeout=SOON_MS)
    page.screenshot(path=artefacts / "desk-4-signed.png", full_page=True)


def test_a_new_reading_appears_without_a_reload(office: Office, page: Page):
    """The row and the chart's point come by themselves; what the doctor has typed and where the cursor stands is left alone."""
    page.goto(f"/consults/{STATION}/{spell(900)}")
    field = page.get_by_label("Thuốc")
    field.fill("Đang viết")
    page.evaluate("window.stayed = true")
    before = page.locator("#trend").get_attribute("data-trend")
    office.hear(recorded(oxygen(200, 91)))
    row = page.locator(f'[data-key="{oxygen(200, 91).key.hex()}"]')
    expect(row).to_contain_text("91", timeout=SOON_MS)
    expect(row).to_contain_text("DỮ LIỆU THỬ")
    assert page.locator("#trend").get_attribute("data-trend") != before
    expect(page.locator("#trend canvas")).to_have_count(4)
    expect(field).to_have_value("Đang viết")
    expect(field).to_be_focused()
    assert page.evaluate("window.stayed") is True


def test_a_new_request_appears_in_the_queue_and_clocks_tick(office: Office, page: Page):
    """Without a reload the newcomer stands in its place; the waiting time goes on by itself."""
    first = page.locator(".clock").first.inner_text()
    office.hear(asked(905, (), 100, identity=who(15, name="Trần Thử Nghiệm Năm"), urgency=ev.Urgency.URGENT))
    expect(page.locator("tbody tr").nth(1)).to_contain_text("Trần Thử Nghiệm Năm", timeout=SOON_MS)
    expect(page.locator(".clock").first).not_to_have_text(first, timeout=SOON_MS)


def test_a_page_left_open_ends_at_the_login(office: Office, page: Page):
    """After fifteen idle minutes the page shows no patient any more, and after the login one is back where one was."""
    page.goto(f"/consults/{STATION}/{spell(900)}")
    office.time.turn(16 * 60)
    expect(page.get_by_role("heading", name="Đăng nhập")).to_be_visible(timeout=SOON_MS)
    assert "Nguyễn" not in page.content()
    page.get_by_label("Tên đăng nhập").fill("bs.thu")
    page.get_by_label("Mật khẩu").fill(PASSWORD)
    page.get_by_role("button", name="Đăng nhập").click()
    expect(page.locator(".banner")).to_contain_text("Nguyễn Thử Nghiệm Một")


def test_the_desk_can_be_used_with_keys_alone_and_touched_with_fingers(page: Page):
    """Skip link first, a visible focus, every control at least 44 px high, every field with a label."""
    page.goto(f"/consults/{STATION}/{spell(900)}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, .button, input:not([type=hidden]), textarea, select, .top a, .tabs a")]
            .filter((one) => one.checkVisibility() && one.id !== "alarm-quiet" && !one.classList.contains("skip"))
            .filter((one) => one.getBoundingClientRect().height < 44).map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert small == []
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("input:not([type=hidden]), textarea, select")]
            .filter((one) => !one.labels.length).map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []


def test_without_script_the_desk_still_works(chromium: Browser, address: str):
    """Queue, request, draft, review and signature are plain pages and forms."""
    context = chromium.new_context(java_script_enabled=False, base_url=address)
    page = context.new_page()
    page.goto("/login")
    page.fill("#login", "bs.thu")
    page.fill("#password", PASSWORD)
    page.click("button.primary")
    page.click("tbody tr a >> nth=0")
    page.fill("#advice", "Dữ liệu thử: nghỉ ngơi")
    page.click("button[value=sign]")
    page.fill("#password", PASSWORD)
    page.click(".signing button.primary")
    assert "Đã ký" in page.inner_text(".flash.done")
    context.close()
