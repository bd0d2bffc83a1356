"""The whole way in real browsers: staff at the touch screen, a doctor at the desk, real processes and real lines between them.

Every step leaves a picture in the artefacts folder (``browser/``), for people to look at.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from appliance.demo import places
from tests.journey.stage import Stage, stage
from tests.journey.windows import PATIENCE_MS, Window, browser
from tests.polling import until
from tests.servers import Broker

SCREEN = {"width": 800, "height": 480}
DESK = {"width": 1280, "height": 800}
NAME, BIRTH, BORN = "Thử Nghiệm Một", "30/04/1961", "30-Thg4-1961"
COMPLAINT = "Đau đầu, chóng mặt từ sáng"
ADVICE = "Nghỉ ngơi, đo lại huyết áp sau 30 phút. Gọi lại nếu đau tăng."
RIBBON = "DỮ LIỆU THỬ"
UNRECEIVED_S = 10
RECEIPT = ("đã lưu", "đã lên máy chủ", "bác sĩ đã mở", "đã trả lời", "đã đọc")
MEASURED_MS = 60_000
"""A full oximeter measurement takes 12 s, a simulated cuff 8 s; a busy machine more."""
BLANK = """canvas => {
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data, colours = new Set();
  for (let at = 0; at < data.length; at += 4) if (data[at + 3]) colours.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
  return colours.size;
}"""


@pytest.fixture
def running(tmp_path: Path, mosquitto: Callable[..., Broker]) -> Iterator[Stage]:
    """Both ends on a real mosquitto; an emergency counts as unseen after ten seconds."""
    with stage(tmp_path / "demo", mosquitto().port, f"[emergency]\nunreceived_s = {UNRECEIVED_S}") as started:
        yield started


@pytest.fixture
def windows(artefacts: Path) -> Iterator[tuple[Window, Window]]:
    """The station's touch screen and the doctor's screen."""
    pictures = artefacts / "browser"
    pictures.mkdir(exist_ok=True)
    for old in pictures.glob("*.png"):
        old.unlink()
    with browser() as chromium:
        station = Window(chromium, "tram", SCREEN, pictures, touch=True)
        desk = Window(chromium, "bacsi", DESK, pictures)
        yield station, desk
        station.close()
        desk.close()


@pytest.mark.slow
def test_a_reading_travels_to_the_doctor_and_the_answer_back(running: Stage, windows: tuple[Window, Window]) -> None:
    """Staff register, measure and ask; the doctor sees it, answers and signs; the answer is read; an emergency without a link shouts."""
    station, desk = windows
    doctor_logs_in(running, desk)
    staff_register(running, station)
    staff_measure_oxygen(running, station)
    staff_measure_pressure(station)
    staff_ask(station)
    doctor_answers(running, desk, station)
    staff_read(station, desk)
    emergency_without_a_link(running, station, desk)
    assert station.complaints + desk.complaints == []


# --- the steps ----------------------------------------------------------------------------------------------------------------------


def doctor_logs_in(running: Stage, desk: Window) -> None:
    """An empty queue, kept open."""
    page = desk.page
    page.goto(running.console)
    expect(page.get_by_role("heading", name="Đăng nhập")).to_be_visible()
    desk.picture("dang-nhap")
    page.get_by_label("Tên đăng nhập").fill(places.DOCTOR)
    page.get_by_label("Mật khẩu").fill(running.password)
    page.get_by_role("button", name="Đăng nhập").click()
    expect(page.get_by_text("Không có yêu cầu nào đang chờ.")).to_be_visible()
    page.evaluate("window.first = 'still here'")
    desk.picture("hang-doi-trong")


def staff_register(running: Stage, station: Window) -> None:
    """A tap on the own name, the PIN, an invented patient typed on the screen's own keys."""
    page = station.page
    page.goto(running.kiosk)
    expect(page.get_by_text("Chạm vào tên của mình")).to_be_visible()
    expect(page.locator(".ribbon")).to_contain_text(RIBBON)
    station.picture("chon-ten")
    page.get_by_role("button", name=places.STAFF_NAME).tap()
    expect(page.get_by_role("heading", name=places.STAFF_NAME)).to_be_visible()
    for digit in running.pin[:3]:
        page.get_by_role("button", name=digit, exact=True).tap()
    station.picture("ma-pin")
    for digit in running.pin[3:]:
        page.get_by_role("button", name=digit, exact=True).tap()
    expect(page.get_by_role("heading", name="Tìm người bệnh")).to_be_visible()
    expect(page.locator("#bar")).to_contain_text("Đã gửi hết")
    station.picture("trang-dau")
    page.get_by_role("link", name="Đăng ký mới").tap()
    expect(page.get_by_text("bước 1/3")).to_be_visible()
    page.get_by_label("Họ và tên").tap()
    station.picture("ban-phim")
    station.type(page.get_by_label("Họ và tên"), NAME)
    station.type(page.get_by_label("Ngày sinh"), BIRTH)
    page.get_by_role("radio", name="Nữ", exact=True).tap()
    station.picture("dang-ky-1")
    page.get_by_role("button", name="Tiếp").tap()
    expect(page.get_by_text("bước 2/3")).to_be_visible()
    station.picture("dang-ky-2")
    page.get_by_role("button", name="Tiếp").tap()
    page.get_by_role("radio", name="Đã hỏi: không có").tap()
    station.picture("dang-ky-3")
    page.get_by_role("button", name="Đăng ký").tap()
    expect(page.get_by_text("Đã đăng ký.")).to_be_visible()
    expect(page.locator(".banner")).to_contain_text(NAME)
    expect(page.locator(".banner")).to_contain_text(f"Sinh {BORN}")
    station.picture("nguoi-benh")


def staff_measure_oxygen(running: Stage, station: Window) -> None:
    """Two identifiers, then a finger: the number moves; Lưu."""
    page = station.page
    running.finger("out")
    page.get_by_role("link", name="Đo", exact=True).tap()
    device = page.get_by_role("button", name="SpO₂")
    expect(page.get_by_text("chạm vào hai điều đúng")).to_be_visible()
    expect(device).to_be_disabled()
    page.get_by_role("checkbox", name=NAME).tap()
    expect(device).to_be_disabled()
    page.get_by_role("checkbox", name=BORN).tap()
    expect(device).to_be_enabled()
    station.picture("xac-nhan")
    device.tap()
    saturation, wave = page.locator('[data-metric="SPO2"]'), page.locator("#wave")
    expect(saturation).to_have_text("–")
    expect(page.locator("#live-note")).to_contain_text("Chưa thấy ngón tay")
    station.picture("cho-ngon-tay")
    running.finger("in")
    expect(saturation).to_have_text(re.compile(r"^9\d$"))
    moves(lambda: wave.get_attribute("width"))
    station.picture("dang-do-spo2")
    expect(page.get_by_role("button", name="Lưu")).to_be_visible(timeout=MEASURED_MS)
    expect(page.locator(".result")).to_contain_text("Máy đo SpO₂ (mô phỏng)")
    expect(page.locator(".result .said", has_text="dữ liệu thử")).to_be_visible()
    station.picture("ket-qua-spo2")
    page.get_by_role("button", name="Lưu").tap()
    expect(page.locator(".attempts .saved")).to_contain_text("đã lưu")
    station.picture("da-luu-spo2")
    page.get_by_role("button", name="Xong").tap()
    expect(page.get_by_role("heading", name="Kết quả đã lưu")).to_be_visible()
    running.finger("out")


def staff_measure_pressure(station: Window) -> None:
    """The cuff goes only for a hand that has said whose arm it is."""
    page = station.page
    page.get_by_role("link", name="Đo", exact=True).tap()
    page.locator('button[value="cuff"]').tap()
    expect(page.get_by_text("Vòng bít cho ai?")).to_be_visible()
    expect(page.get_by_role("radio", checked=True)).to_have_count(0)
    page.get_by_role("radio", name="Người lớn", exact=True).tap()
    station.picture("vong-bit")
    page.get_by_role("button", name="Bắt đầu bơm").tap()
    expect(page.get_by_role("button", name="DỪNG, xả hơi")).to_be_visible()
    pressure = page.locator('[data-metric="CUFF"]')
    expect(pressure).to_have_text(re.compile(r"^[1-9]\d\d?$"))
    moves(lambda: pressure.inner_text(timeout=1000))
    station.picture("dang-bom")
    expect(page.get_by_role("button", name="Lưu")).to_be_visible(timeout=MEASURED_MS)
    expect(page.locator(".result .numbers .huge")).to_have_count(3)
    for word in ("Tâm thu", "Tâm trương", "Mạch", "Máy đo huyết áp (mô phỏng)", "dữ liệu thử"):
        expect(page.locator(".result")).to_contain_text(word)
    station.picture("ket-qua-huyet-ap")
    page.get_by_role("button", name="Lưu").tap()
    expect(page.locator(".attempts .saved")).to_contain_text("đã lưu")
    expect(page.get_by_role("button", name="Bắt đầu bơm")).to_be_visible()
    station.picture("da-luu-huyet-ap")
    page.get_by_role("button", name="Xong").tap()
    expect(page.get_by_role("link", name=re.compile("mmHg.*Sai"))).to_be_visible()
    station.picture("ho-so")


def staff_ask(station: Window) -> None:
    """A complaint, a department, how urgent; looked at once more; sent. The receipt line says how far it came."""
    page = station.page
    page.get_by_role("link", name="Hỏi bác sĩ").tap()
    ask(station, COMPLAINT, "Khẩn", pictures=True)
    expect(done(page)).to_have_text(list(RECEIPT[:2]))
    station.picture("cho-bac-si")


def ask(station: Window, complaint: str, urgency: str, *, pictures: bool = False) -> None:
    """From the first step of the request's form to its page."""
    page = station.page
    picture = station.picture if pictures else lambda _name: None
    station.type(page.locator("#in-complaint"), complaint)
    picture("hoi-ly-do")
    page.get_by_role("button", name=re.compile(f"^{urgency}")).tap()
    expect(page.get_by_role("heading", name="Xem lại trước khi gửi")).to_be_visible()
    for words in (complaint, f"Khoa Khám bệnh · {urgency}", "mmHg", "SpO₂"):
        expect(page.locator("dl.review")).to_contain_text(words)
    picture("hoi-xem-lai")
    if page.get_by_role("link", name="Đọc và hỏi").count():  # a new patient has agreed to nothing yet
        page.get_by_role("link", name="Đọc và hỏi").tap()
        expect(page.get_by_role("button", name="Đồng ý", exact=True)).to_be_visible()
        picture("hoi-dong-y")
        page.get_by_role("button", name="Đồng ý", exact=True).tap()
        expect(page.locator("dl.review")).to_contain_text("người bệnh đã đồng ý")
    page.get_by_role("button", name="Gửi bác sĩ").tap()
    expect(page.locator(".receipt")).to_be_visible()


def doctor_answers(running: Stage, desk: Window, station: Window) -> None:
    """The request comes by itself; banner, values, ribbon, chart; a draft; the password again; signed."""
    page = desk.page
    row = page.locator("tr", has_text=NAME)
    expect(row).to_be_visible()
    assert page.evaluate("window.first") == "still here"
    for words in ("Khẩn", COMPLAINT, places.STATION_NAME, RIBBON):
        expect(row).to_contain_text(words)
    desk.picture("hang-doi")
    page.get_by_role("link", name=NAME).click()
    see_the_request(desk)
    expect(done(station.page)).to_have_text(list(RECEIPT[:3]))
    station.picture("bac-si-da-mo")
    expect(page.get_by_text("Bạn đang giữ yêu cầu này")).to_be_visible()
    page.get_by_label("Nhận định").fill("Huyết áp đo một lần, chưa đủ để kết luận.")
    page.get_by_label(re.compile("Lời khuyên")).fill(ADVICE)
    expect(page.locator("#saved")).to_contain_text(re.compile(r"Nháp đã lưu \d\d:\d\d"))
    desk.picture("nhap")
    page.get_by_role("button", name="Xem lại để ký").click()
    expect(page.get_by_role("heading", name="Xem lại lần cuối rồi ký")).to_be_visible()
    expect(page.locator(".answer")).to_contain_text(ADVICE)
    expect(page.locator(".ribbon")).to_contain_text(RIBBON)
    expect(station.page.locator(".answer")).to_have_count(0)
    desk.picture("ky")
    page.get_by_label("Mật khẩu của bạn, một lần nữa").fill(running.password)
    page.get_by_role("button", name="Ký và gửi về trạm").click()
    expect(page.get_by_role("heading", name="Trả lời đã ký")).to_be_visible()
    page.evaluate("window.first = 'still here'")
    desk.picture("da-ky")


def see_the_request(desk: Window) -> None:
    """What a doctor must see of it."""
    page = desk.page
    expect(page.locator(".banner")).to_contain_text(NAME)
    expect(page.locator(".banner")).to_contain_text(BORN)
    expect(page.locator(".banner")).to_contain_text("Nữ")
    expect(page.locator(".allergies")).to_contain_text("Không có dị ứng đã biết")
    expect(page.locator("p.ribbon")).to_contain_text(RIBBON)
    table = page.locator("table.vitals").first
    expect(table.locator("tbody tr")).to_have_count(2)
    for words in ("Huyết áp", "mmHg", "SpO₂", "Máy đo huyết áp (mô phỏng)", "Máy đo SpO₂ (mô phỏng)", RIBBON):
        expect(table).to_contain_text(words)
    expect(table.locator(".when").first).to_contain_text(re.compile(r"\d\d:\d\d"))
    chart = page.locator("#trend canvas")
    expect(chart.first).to_be_visible()
    assert all(one.evaluate(BLANK) > 10 for one in chart.all())
    desk.picture("yeu-cau")
    chart.first.scroll_into_view_if_needed()
    desk.picture("bieu-do")


def staff_read(station: Window, desk: Window) -> None:
    """The answer is on the screen without anybody's doing; who reads it says so; the doctor learns of it."""
    page = station.page
    expect(page.locator(".answer .advice")).to_have_text(ADVICE)
    expect(page.locator(".answer")).to_contain_text(places.DOCTOR_NAME)
    expect(done(page)).to_have_text(list(RECEIPT[:4]))
    station.picture("tra-loi")
    page.get_by_role("button", name="Đã đọc và xác nhận").tap()
    expect(done(page)).to_have_text(list(RECEIPT))
    expect(page.locator(".answer")).to_contain_text(f"Đã đọc: {places.STAFF_NAME}")
    station.picture("da-doc")
    expect(desk.page.locator(".answer")).to_contain_text("đã đọc và xác nhận")
    assert desk.page.evaluate("window.first") == "still here"
    desk.picture("tram-da-doc")


def emergency_without_a_link(running: Stage, station: Window, desk: Window) -> None:
    """No link: everything is kept and says so; an emergency that nobody received covers the screen with whom to call."""
    page = station.page
    running.cable.cut()
    page.get_by_role("link", name="Trang đầu").tap()
    page.get_by_role("link", name="Người bệnh vừa đo").tap()
    page.get_by_role("link", name=NAME).tap()
    page.get_by_role("link", name="Hỏi bác sĩ").tap()
    ask(station, "Đau ngực dữ dội", "Cấp cứu")
    expect(page.locator("#bar")).to_contain_text(re.compile(r"Chờ mạng — \d+ mục đã lưu an toàn tại trạm"))
    expect(done(page)).to_have_text(list(RECEIPT[:1]))
    station.picture("cho-mang")
    alarm = page.locator("section.alarm:not(#cover)")
    expect(alarm).to_be_visible(timeout=(UNRECEIVED_S + 20) * 1000)
    expect(alarm).to_contain_text("CHƯA AI XEM. Gọi ngay: 0000 000 000, 115. Không chờ phần mềm.")
    assert alarm.bounding_box() == {"x": 0, "y": 0, **SCREEN}
    station.picture("chua-ai-xem")
    page.get_by_role("button", name="Tôi đã gọi").tap()
    expect(alarm).to_have_count(0)
    expect(page.locator(".alarmstrip")).to_contain_text("CHƯA AI XEM")
    station.picture("da-goi")
    running.cable.mend()
    running.again("carry")  # the box is switched off and on: it tries at once, what was saved is there
    expect(page.locator("#bar")).to_contain_text("Đã gửi hết")
    expect(desk.page.locator("#alarm")).to_contain_text("Cấp cứu chưa mở")
    desk.page.get_by_role("link", name="Hàng đợi").click()
    expect(desk.page.locator("tr.emergency")).to_contain_text("Đau ngực dữ dội")
    desk.picture("cap-cuu")
    desk.page.locator("tr.emergency a").click()
    expect(page.locator(".alarmstrip")).to_have_count(0)
    expect(done(page)).to_have_text(list(RECEIPT[:3]))
    station.picture("bac-si-da-mo-cap-cuu")


def done(page: Page) -> Locator:
    """The words of the receipt line that have come true."""
    return page.locator(".receipt .done .mark")


def moves(read: Callable[[], str | None]) -> None:
    """What `read` sees on the screen changes, and changes again."""
    seen: set[str | None] = set()

    def look() -> bool:
        seen.add(read())
        return len(seen) > 2

    until(look, within=PATIENCE_MS / 1000, every=0.1, what="the screen to move")
