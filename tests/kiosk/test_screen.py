"""The screens in a real browser, at both sizes: nothing sticks out, fingers hit, words can be read, nobody complains."""

import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import waitress.server
from playwright.sync_api import Browser, Page, expect

from appliance.contract.events import ConsultQuestion, Department, Urgency
from appliance.contract.metrics import Status
from appliance.store import consults
from appliance.store.consults import ConsultDraft
from tests.journey.windows import TONES, Window, browser
from tests.kiosk.station import LEAD, NURSE, PINS, TECHNICIAN, Station

SMALL, LARGE = {"width": 800, "height": 480}, {"width": 1280, "height": 800}

MEASURE = Path(__file__).with_name("measure.js").read_text(encoding="utf-8")
"""A function that looks at every visible target and text of a page and returns what is wrong with them."""

GRAVE, ACUTE, TILDE, HOOK, DOT = "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"
SPELT = (
    ("nguyên", TILDE, "nguyễn"), ("hương", GRAVE, "hường"), ("quy", ACUTE, "quý"), ("gia", GRAVE, "già"), ("giêng", ACUTE, "giếng"),
    ("thuy", ACUTE, "thuý"), ("hoa", GRAVE, "hoà"), ("toan", ACUTE, "toán"), ("khuya", TILDE, "khuỹa"), ("uông", ACUTE, "uống"),
    ("đăng", DOT, "đặng"), ("yên", ACUTE, "yến"), ("mua", GRAVE, "mùa"), ("thi", HOOK, "thỉ"), ("b", ACUTE, "b"),
)  # fmt: skip
"""Letters in the order of the keys, the tone last, and the word it must become: the tone finds its vowel."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One Chromium for this file."""
    with browser() as running:
        yield running


@pytest.fixture
def address(station: Station) -> Iterator[str]:
    """The station's kiosk behind waitress on loopback."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server: Any = waitress.server.create_server(station.app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    server.task_dispatcher.shutdown()
    thread.join(5)


def sign_in(page: Page, who: str = NURSE) -> None:
    """A tap on the own name, the PIN on its keys."""
    page.locator(f'button[name=staff][value="{who}"]').click()
    page.wait_for_url("**/pin")
    for digit in PINS[who]:
        page.get_by_role("button", name=digit, exact=True).click()
    page.wait_for_url("**/home")


def numbers(session: int) -> dict[str, Any]:
    """A live view of an oximeter that measures for `session`."""
    rows = [{"metric": name, "value": value, "unit": "", "status": []} for name, value in (("SPO2", 100), ("PULSE_RATE", 188))]
    return {"state": "measuring", "session": session, "numerics": rows, "signals": {"pleth": 80}, "test_data": True}


def session_of(window: Window) -> int:
    """The session of the measuring page that is open."""
    found = re.search(r"/sessions/(\d+)", window.page.url)
    assert found, window.page.url
    return int(found[1])


@pytest.mark.slow
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["800x480", "1280x800"])
def test_every_screen_fits_its_screen(station: Station, address: str, chromium: Browser, artefacts: Path, size: dict[str, int]) -> None:
    """Walk through every screen: targets of 56 and 64 px with 8 px between, primary at the bottom right, lines of 1.4, contrast AA."""
    folder = artefacts / "kiosk"
    folder.mkdir(exist_ok=True)
    window = Window(chromium, f"{size['width']}x{size['height']}", size, folder)  # type: ignore[arg-type]
    page = window.page

    def look(name: str, sees: str) -> None:
        expect(page.get_by_text(sees).first).to_be_visible()
        page.wait_for_load_state()
        window.picture(name)
        wrong = page.evaluate(MEASURE)
        assert wrong == [], name

    def pick(words: str) -> None:
        page.locator("label.choice", has_text=words).click()

    def visit(path: str, name: str, sees: str) -> None:
        page.goto(address + path)
        look(name, sees)

    visit("/", "start", "Ai đang làm việc?")
    page.get_by_role("button", name="Trưởng Trạm Thử").click()
    look("pin", "Nhập mã PIN 6 số của mình")
    for digit in "111222":
        page.get_by_role("button", name=digit, exact=True).click()
    look("pin-wrong", "Mã PIN không đúng")
    assert len(window.complaints) == 1  # the browser says that a page came with 403
    window.complaints.clear()
    page.keyboard.type(PINS[LEAD])
    look("home-lead", "Nhật ký")
    visit("/team", "team", "Nhân viên của trạm")
    visit("/team/new", "team-new", "Vai trò")
    visit(f"/team/{NURSE}", "team-person", "Mã PIN mới")
    visit("/my-pin", "my-pin", "Mã PIN đang dùng")
    visit("/log", "log", "Nhật ký hôm nay")
    visit("/emergency", "emergency", "Gọi điện thoại ngay")
    page.get_by_role("button", name="Báo bác sĩ trực").click()
    look("emergency-called", "Lời báo")
    page.goto(address + "/home")
    page.get_by_role("button", name="Trưởng Trạm Thử").click()
    sign_in(page, TECHNICIAN)
    look("box", "Việc kỹ thuật")
    page.goto(address + "/home")
    page.get_by_role("button", name="Kỹ Thuật Thử").click()
    sign_in(page)
    look("home", "Việc khác")
    page.get_by_role("searchbox").fill("thu nghiem")
    page.get_by_role("button", name="Tìm").click()
    look("found", "Chọn người bệnh")
    visit("/patients/new", "register-1", "Người bệnh là ai?")
    page.get_by_role("button", name="Tiếp").click()
    look("register-2", "Số CCCD")
    page.get_by_role("button", name="Tiếp").click()
    look("register-3", "Hỏi về dị ứng")
    pick("Có dị ứng")
    look("register-3-known", "Dị ứng với gì?")
    page.get_by_role("button", name="Đăng ký").click()
    look("register-errors", "Có vấn đề")
    visit(f"/patients/{station.first}", "patient", "Kết quả đã lưu")
    station.live("oxi", state="ready", test_data=True)
    visit(f"/patients/{station.first}/measure", "devices", "rồi chọn máy")
    expect(page.get_by_role("button", name="Máy đo SpO₂")).to_be_disabled()
    pick("Họ và tên")
    pick("Ngày sinh")
    look("devices-confirmed", "chạm vào hai điều đúng")
    page.get_by_role("button", name="Máy đo SpO₂").click()
    look("measuring", "Mạch")
    session = session_of(window)
    station.live("oxi", **numbers(session))
    expect(page.locator("[data-metric=SPO2]")).to_have_text("100")
    look("measuring-live", "188")
    flags = Status.QUESTIONABLE | Status.TEST_DATA
    station.measure(
        "oxi", session, flags, SPO2=100, PULSE_RATE=188, PERFUSION=30, SPO2_LOW=95, SPO2_HIGH=100, PULSE_LOW=180, PULSE_HIGH=190
    )
    expect(page.get_by_role("button", name="Giữ và lưu")).to_be_visible()
    look("result-asked", "Nên đo lại")
    page.get_by_text("Đo lại", exact=True).click()
    look("again", "Vì sao đo lại?")
    page.get_by_role("button", name="Nhầm người").click()
    look("measuring-attempt", "Nhầm người")
    visit(f"/patients/{station.first}/confirm?device=cuff", "confirm-cuff", "Hỏi người bệnh")
    pick("Họ và tên")
    pick("Ngày sinh")
    page.get_by_role("button", name="Bắt đầu đo").click()
    look("cuff", "Vòng bít cho ai?")
    page.get_by_role("button", name="Bắt đầu bơm").click()
    look("cuff-not-chosen", "Chọn người lớn")
    session = session_of(window)
    station.measure("cuff", session, Status.TEST_DATA, SYSTOLIC=115, DIASTOLIC=74, MEAN=88, PULSE_RATE=85)
    visit(f"/sessions/{session}", "result-cuff", "Tâm thu")
    page.get_by_role("button", name="Lưu").click()
    station.live("cuff", state="lost", message="take-the-cuff-off", test_data=True)
    expect(page.locator("#off")).to_be_visible()
    look("take-the-cuff-off", "THÁO VÒNG BÍT")
    station.live("cuff", state="ready", test_data=True)
    station.window().open(station.second, "cuff")
    expect(page.get_by_text("được mở cho người khác")).to_be_visible()
    look("taken", "được mở cho người khác")
    station.measure("oxi", None)
    visit("/tray", "tray", "Kết quả chưa có tên")
    page.get_by_role("link", name="Gán cho người bệnh").click()
    look("assign", "Kết quả này của ai?")
    page.get_by_role("searchbox").fill("mot")
    page.get_by_role("button", name="Tìm").click()
    page.get_by_text("Đặng Thử").click()
    look("assign-confirm", "Gán cho người này")
    visit(f"/patients/{station.first}/ask", "ask", "Người bệnh bị sao?")
    page.get_by_role("button", name="Khẩn", exact=True).click()
    look("ask-errors", "Có vấn đề")
    page.get_by_label("Người bệnh bị sao?").fill("Đau đầu, chóng mặt từ sáng; đang uống thuốc huyết áp")
    page.get_by_role("button", name="Khẩn", exact=True).click()
    look("review-first", "Gửi đến")
    page.get_by_role("link", name="Sửa").nth(1).click()
    look("ask-department", "Gửi khoa nào?")
    pick("Nội")
    page.get_by_role("button", name="Xem lại trước khi gửi").click()
    page.get_by_role("link", name="Sửa").nth(2).click()
    look("ask-readings", "Gửi kèm kết quả nào?")
    page.get_by_role("button", name="Xem lại trước khi gửi").click()
    look("review", "Gửi đến")
    page.get_by_role("button", name="Gửi bác sĩ").click()
    look("sent", "Đã lưu an toàn tại trạm")
    consult = int(page.url.rsplit("/", 1)[1])
    station.received()
    station.down(ConsultQuestion(consult, 3, "BS Thử Một", "Người bệnh có sốt không?"))
    expect(page.get_by_text("có sốt không")).to_be_visible()
    look("question", "có sốt không")
    page.get_by_label("Trả lời câu hỏi").fill("Không sốt")
    page.get_by_role("button", name="Gửi trả lời").click()
    advice = "Nghỉ ngơi, đo lại huyết áp sau 30 phút, uống đủ nước. Gọi lại nếu đau tăng."
    station.answer(consult, advice=advice, diagnosis="Theo dõi tăng huyết áp", medicine="Giữ thuốc đang dùng", test_data=True)
    expect(page.get_by_text("Nghỉ ngơi")).to_be_visible()
    look("answer", "Nghỉ ngơi")
    page.get_by_role("button", name="Đã đọc và xác nhận").click()
    look("read", "Đã đọc:")
    visit("/consults", "consults", "Yêu cầu hỏi bác sĩ")
    visit(f"/consults/{consult}/withdraw", "withdraw", "Vì sao rút")
    visit("/aside", "aside", "Mục cần kiểm tra")
    visit("/nowhere", "error", "Không có trang này")
    page.get_by_role("button", name="EN").click()
    visit("/home", "home-english", "Other work")
    page.get_by_role("button", name="VI").click()
    draft = ConsultDraft(station.first, Urgency.EMERGENCY, Department.GENERAL, "khó thở")
    consults.request(station.conn, draft, consult=99, staff=NURSE, now=station.now)
    station.hand.turn(130)
    expect(page.locator(".alarm .words").first).to_contain_text("CHƯA AI XEM")
    look("alarm", "CHƯA AI XEM")
    page.get_by_role("button", name="Tôi đã gọi").click()
    look("alarm-called", "CHƯA AI XEM")
    station.live("cuff", state="lost", message="take-the-cuff-off", test_data=True)
    visit(f"/patients/{station.first}", "alarm-and-cuff", "THÁO VÒNG BÍT")
    complaints = [one for one in window.complaints if "422" not in one and "404" not in one]
    window.close()
    assert complaints == []


def test_fingers_write_vietnamese_on_the_screen(station: Station, address: str, chromium: Browser, artefacts: Path) -> None:
    """Tap the field, tap letters and tones: the name finds its patient; with a mouse no keys appear."""
    folder = artefacts / "kiosk"
    folder.mkdir(exist_ok=True)
    window = Window(chromium, "keys", SMALL, folder, touch=True)  # type: ignore[arg-type]
    page = window.page
    page.goto(address)
    sign_in(page)
    search = page.get_by_role("searchbox")
    search.tap()
    expect(page.locator(".keys")).to_be_visible()
    window.picture("letters")
    assert page.evaluate(MEASURE) == []
    for letters, tone, word in SPELT:
        page.evaluate("document.querySelector('input[type=search]').value = ''")
        search.tap()
        for key in (*letters, TONES[tone]):
            page.locator(f'.keys button[data-key="{key}"]').tap()
        assert search.input_value().casefold() == word, letters
    page.evaluate("document.querySelector('input[type=search]').value = ''")
    for key in ("m", "ô", "t", TONES["\u0323"]):
        page.locator(f'.keys button[data-key="{key}"]').tap()
    page.locator('.keys button[data-key="✓"]').tap()
    expect(page.get_by_text("Đặng Thử Nghiệm Một")).to_be_visible()
    assert window.complaints == []
    window.close()
    mouse = Window(chromium, "mouse", SMALL, folder)  # type: ignore[arg-type]
    mouse.page.goto(address)
    sign_in(mouse.page)
    mouse.page.get_by_role("searchbox").click()
    expect(mouse.page.locator(".keys")).to_have_count(0)
    mouse.close()


def test_an_untouched_screen_goes_blank(station: Station, address: str, chromium: Browser, artefacts: Path) -> None:
    """The page itself notices, asks for the blank page, and the patient is gone; going back in the browser shows nobody."""
    window = Window(chromium, "blank", SMALL, artefacts)  # type: ignore[arg-type]
    page = window.page
    page.clock.install()
    page.goto(address)
    sign_in(page)
    page.goto(f"{address}/patients/{station.first}")
    expect(page.get_by_text("Đặng Thử Nghiệm Một")).to_be_visible()
    page.clock.fast_forward(305_000)
    expect(page.get_by_text("Ai đang làm việc?")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("Ai đang làm việc?")).to_be_visible()
    expect(page.get_by_text("Đặng Thử Nghiệm Một")).to_have_count(0)
    window.close()
