"""A nurse's morning at the touch screen, with real programs and simulated devices; a doctor far away answers.

What people count is counted here, in the browser: the taps from a known patient to an urgent request, and those that put a
reading right that was given to the wrong person. Every step leaves a picture of both screen sizes in ``nurse/``.
"""

import io
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pypdfium2
import pytest
from playwright.sync_api import Browser, Page, expect

from appliance.demo import places
from tests.journey.stage import Stage, stage
from tests.journey.windows import Window, browser
from tests.kiosk.test_pictures import photo
from tests.servers import Broker

SMALL, LARGE = {"width": 800, "height": 480}, {"width": 1280, "height": 800}
ONE, OTHER = "Đặng Thử Nghiệm Một", "Vừ Thử Nghiệm Hai"
BORN = {ONE: "30/04/1961", OTHER: "12/12/1985"}
SHOWN = {ONE: "30-Thg4-1961", OTHER: "12-Thg12-1985"}
COMPLAINT = "Đau đầu, chóng mặt từ sáng"
ADVICE = "Nằm nghỉ, đo lại huyết áp sau 30 phút."
TAPS, TAPS_OF_A_CORRECTION, SECONDS = 14, 5, 60
"""What the issue allows: known patient to urgent request with two measurements; the wrong patient; beyond the measuring time."""
MEASURED_MS = 60_000
COUNT = """addEventListener("click", (event) => {
  if (!event.isTrusted) return;
  const key = event.target.closest(".keys button"), sends = key && key.dataset.key === "✓" && document.querySelector("form.search");
  const writing = (key && !sends) || event.target.closest("input[type=search], input[type=text], textarea");
  const name = writing ? "writing" : "taps";
  sessionStorage[name] = Number(sessionStorage[name] || 0) + 1;
}, true);"""
"""Taps of a finger. Writing is counted apart: into a field, on a letter, *Xong* after the last one; where that sends it is a tap."""


@pytest.fixture
def running(tmp_path: Path, mosquitto: Callable[..., Broker]) -> Iterator[Stage]:
    """Both ends on a real mosquitto."""
    with stage(tmp_path / "demo", mosquitto().port) as started:
        yield started


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """One browser for both people."""
    with browser() as started:
        yield started


class Nurse:
    """The nurse's window: counts taps, takes each picture at both sizes."""

    def __init__(self, chromium: Browser, running: Stage, pictures: Path) -> None:
        self.running = running
        self.window = Window(chromium, "tram", SMALL, pictures, touch=True)  # type: ignore[arg-type]
        self.page: Page = self.window.page
        self.page.add_init_script(COUNT)
        self.measuring = 0.0

    def look(self, name: str) -> None:
        """A picture of both sizes."""
        self.window.picture(f"{name}-800")
        self.page.set_viewport_size(LARGE)  # type: ignore[arg-type]
        self.window.picture(f"{name}-1280")
        self.page.set_viewport_size(SMALL)  # type: ignore[arg-type]

    def taps(self) -> int:
        """Taps since the last `count`."""
        return int(self.page.evaluate("Number(sessionStorage.taps || 0)"))

    def count(self) -> None:
        """From now on."""
        self.page.evaluate("sessionStorage.taps = 0; sessionStorage.writing = 0")

    def press(self, name: str, *, exact: bool = True) -> None:
        """Tap a button or a link."""
        self.page.get_by_role("button", name=name, exact=exact).or_(self.page.get_by_role("link", name=name, exact=exact)).first.tap()

    def identify(self, name: str) -> None:
        """Tap the name and the birth date that the patient has said."""
        self.page.get_by_role("checkbox", name=name).tap()
        self.page.get_by_role("checkbox", name=SHOWN[name]).tap()

    def sign_in(self) -> None:
        """The own name, six digits."""
        self.page.get_by_role("button", name=places.STAFF_NAME).tap()
        expect(self.page.get_by_role("heading", name=places.STAFF_NAME)).to_be_visible()
        for digit in self.running.pin:
            self.page.get_by_role("button", name=digit, exact=True).tap()
        expect(self.page.get_by_role("heading", name="Tìm người bệnh")).to_be_visible()

    def result(self) -> None:
        """Wait for what the device finds; this time is not the person's."""
        began = time.monotonic()
        expect(self.page.get_by_role("button", name=re.compile("^Lưu|^Giữ và lưu"))).to_be_visible(timeout=MEASURED_MS)
        self.measuring += time.monotonic() - began

    def register(self, name: str) -> None:
        """Somebody who was here before: registered, has agreed to be asked about."""
        page = self.page
        page.goto(f"{self.running.kiosk}/patients/new")
        page.get_by_label("Họ và tên").fill(name)
        page.get_by_label("Ngày sinh").fill(BORN[name])
        page.get_by_role("radio", name="Nữ", exact=True).tap()
        self.press("Tiếp")
        self.press("Tiếp")
        page.get_by_role("radio", name="Đã hỏi: không có").tap()
        self.press("Đăng ký")
        if page.get_by_text("Có thể người này đã có ở trạm").count():
            self.press("Vẫn đăng ký mới", exact=False)
        expect(page.get_by_text("Đã đăng ký.")).to_be_visible()
        page.goto(f"{page.url}/consent/TREAT")
        self.press("Đồng ý")
        page.wait_for_url(lambda url: not url.endswith("/TREAT"))


@pytest.mark.slow
def test_a_nurses_morning(running: Stage, chromium: Browser, artefacts: Path, tmp_path: Path) -> None:
    """PIN, search without tones, two identifiers, two readings, an urgent request with a picture, the answer, paper, the wrong person."""
    pictures = artefacts / "nurse"
    pictures.mkdir(exist_ok=True)
    for old in pictures.glob("*.png"):
        old.unlink()
    nurse = Nurse(chromium, running, pictures)
    before_the_pin(nurse)
    nurse.sign_in()
    nurse.look("trang-dau")
    nurse.register(OTHER)
    the_one_before(nurse)
    nurse.register(ONE)
    nurse.page.goto(f"{running.kiosk}/home")
    known_patient_to_urgent_request(nurse)
    a_picture_goes_along(nurse, tmp_path)
    the_answer_is_read(nurse, chromium, pictures)
    paper(nurse, pictures)
    the_wrong_person(nurse)
    somebody_else_and_nobody(nurse)
    assert nurse.window.complaints == []
    nurse.window.close()


# --- the steps ----------------------------------------------------------------------------------------------------------------------


def before_the_pin(nurse: Nurse) -> None:
    """Names of staff and the emergency page, nothing else; calling for help needs no PIN and says only what is proved."""
    page = nurse.page
    page.goto(nurse.running.kiosk)
    expect(page.get_by_text("Chạm vào tên của mình")).to_be_visible()
    nurse.look("chon-ten")
    nurse.press("Cấp cứu")
    for words in ("Gọi điện thoại ngay", "115", "0000 000 000"):
        expect(page.get_by_text(words).first).to_be_visible()
    nurse.look("cap-cuu")
    nurse.press("Báo bác sĩ trực")
    expect(page.locator(".notice")).to_contain_text("máy chủ đã nhận")
    nurse.look("cap-cuu-da-bao")
    nurse.press("Quay lại")


def the_one_before(nurse: Nurse) -> None:
    """Somebody sat at the oximeter a moment ago."""
    page = nurse.page
    page.goto(re.sub(r"(/patients/\d+).*", r"\1/measure", page.url))
    nurse.identify(OTHER)
    page.get_by_role("button", name="SpO₂").tap()
    nurse.press("Xong")
    expect(page.get_by_role("heading", name="Kết quả đã lưu")).to_be_visible()


def known_patient_to_urgent_request(nurse: Nurse) -> None:
    """What the issue counts: from the home page to the page of a request that is sent."""
    page, running = nurse.page, nurse.running
    running.finger("out")
    expect(page.get_by_role("heading", name="Tìm người bệnh")).to_be_visible()
    nurse.count()
    began = time.monotonic()
    page.get_by_role("searchbox").tap()
    for key in "dang mot✓":
        page.locator(f'.keys button[data-key="{key}"]').tap()
    page.get_by_role("link", name=ONE).tap()
    nurse.press("Đo")
    expect(page.locator('button[value="cuff"]')).to_be_disabled()
    nurse.identify(ONE)
    nurse.look("xac-nhan")
    page.locator('button[value="cuff"]').tap()
    page.get_by_role("radio", name="Người lớn", exact=True).tap()
    nurse.look("vong-bit")
    nurse.press("Bắt đầu bơm")
    expect(page.get_by_role("button", name="DỪNG, xả hơi")).to_be_visible()
    nurse.look("dang-bom")
    nurse.result()
    nurse.look("ket-qua-huyet-ap")
    nurse.press("Lưu")
    running.finger("in")
    next_one = page.get_by_role("button", name="Đo tiếp")
    expect(next_one).to_be_visible(timeout=MEASURED_MS)
    nurse.look("da-luu-huyet-ap")
    next_one.tap()
    nurse.result()
    nurse.look("ket-qua-spo2")
    nurse.press("Lưu")
    expect(page.locator(".attempts .saved")).to_be_visible()
    nurse.press("Hỏi bác sĩ")
    expect(page.locator("#in-complaint")).to_be_visible()
    nurse.look("hoi")
    nurse.window.type(page.locator("#in-complaint"), COMPLAINT)
    nurse.press("Khẩn")
    for words in (COMPLAINT, "mmHg", "SpO₂", "Khẩn", "người bệnh đã đồng ý"):
        expect(page.locator("dl.review")).to_contain_text(words)
    nurse.look("xem-lai")
    nurse.press("Gửi bác sĩ")
    expect(page.locator(".receipt .done .mark").first).to_have_text("đã lưu")
    spent = time.monotonic() - began - nurse.measuring
    writing = page.evaluate("Number(sessionStorage.writing || 0)")
    print(f"known patient to urgent request: {nurse.taps()} taps, {writing} of writing, {spent:.0f} s beyond measuring, pictures included")
    assert nurse.taps() <= TAPS
    assert spent <= SECONDS


def a_picture_goes_along(nurse: Nurse, folder: Path) -> None:
    """One file, its caption; the request's page says how far it has come."""
    page, file = nurse.page, folder / "anh.jpg"
    file.write_bytes(photo())
    page.get_by_role("link", name="Thêm ảnh").tap()
    expect(page.get_by_role("heading", name="Ảnh gửi bác sĩ")).to_be_visible()
    nurse.look("anh-chua-co")
    page.get_by_label("Ảnh chụp gì?").fill("Bàn tay trái")
    page.locator("#in-picture").set_input_files(file)
    expect(page.get_by_text("Bàn tay trái")).to_be_visible()
    nurse.look("anh")
    nurse.press("Xong")
    expect(page.locator(".album img")).to_be_visible()
    expect(page.locator(".receipt .done .mark")).to_have_text(["đã lưu", "đã lên máy chủ"])
    nurse.look("cho-bac-si")


def the_answer_is_read(nurse: Nurse, chromium: Browser, pictures: Path) -> None:
    """A doctor sees readings and picture and signs; the answer comes by itself and is confirmed by name."""
    page, desk = nurse.page, Window(chromium, "bacsi", LARGE, pictures)  # type: ignore[arg-type]
    far = desk.page
    far.goto(nurse.running.console)
    far.get_by_label("Tên đăng nhập").fill(places.DOCTOR)
    far.get_by_label("Mật khẩu").fill(nurse.running.password)
    far.get_by_role("button", name="Đăng nhập").click()
    far.get_by_role("link", name=ONE).first.click()
    expect(far.locator("table.vitals").first.locator("tbody tr")).to_have_count(2)
    expect(far.get_by_alt_text("Bàn tay trái").first).to_be_visible()
    desk.picture("yeu-cau")
    far.get_by_label(re.compile("Lời khuyên")).fill(ADVICE)
    far.get_by_role("button", name="Xem lại để ký").click()
    far.get_by_label("Mật khẩu của bạn, một lần nữa").fill(nurse.running.password)
    far.get_by_role("button", name="Ký và gửi về trạm").click()
    expect(far.get_by_role("heading", name="Trả lời đã ký")).to_be_visible()
    expect(page.locator(".answer .advice")).to_have_text(ADVICE)
    nurse.look("tra-loi")
    nurse.press("Đã đọc và xác nhận")
    expect(page.locator(".answer")).to_contain_text(f"Đã đọc: {places.STAFF_NAME}")
    nurse.look("da-doc")
    assert desk.complaints == []
    desk.close()


def paper(nurse: Nurse, pictures: Path) -> None:
    """The visit slip is a PDF of one A5 page that opens without anything from outside."""
    page = nurse.page
    nurse.press("Trang đầu")
    nurse.press("Người bệnh vừa đo", exact=False)
    page.get_by_role("link", name=ONE).tap()
    expect(page.get_by_role("heading", name="Kết quả đã lưu")).to_be_visible()
    nurse.look("ho-so")
    nurse.press("In phiếu")
    expect(page.get_by_role("link", name="Giấy A5")).to_be_visible()
    nurse.look("in-phieu")
    answer = page.request.get(nurse.running.kiosk + str(page.get_by_role("link", name="Giấy A5").get_attribute("href")))
    assert answer.headers["content-type"] == "application/pdf"
    slip = pypdfium2.PdfDocument(io.BytesIO(answer.body()))
    try:
        assert len(slip) == 1
        slip[0].render(scale=2).to_pil().save(pictures / "phieu-a5.png")
    finally:
        slip.close()
    nurse.press("Quay lại")


def the_wrong_person(nurse: Nurse) -> None:
    """The newest reading was somebody else's: tapped, given to the right person by two identifiers."""
    page = nurse.page
    expect(page.get_by_role("heading", name="Kết quả đã lưu")).to_be_visible()
    nurse.count()
    page.get_by_role("link", name=re.compile("SpO₂.*Sai\\? Sửa…")).first.tap()
    expect(page.get_by_role("heading", name="Sai người?")).to_be_visible()
    nurse.look("sai-nguoi")
    page.get_by_role("link", name=OTHER).tap()
    nurse.identify(OTHER)
    nurse.look("sai-nguoi-xac-nhan")
    nurse.press("Chuyển cho người này")
    expect(page.get_by_text("Đã chuyển kết quả").first).to_be_visible()
    nurse.look("sai-nguoi-xong")
    print(f"wrong patient: {nurse.taps()} taps")
    assert nurse.taps() <= TAPS_OF_A_CORRECTION


def somebody_else_and_nobody(nurse: Nurse) -> None:
    """One tap on the own name hands over; an untouched screen goes blank; neither leaves a byte of a patient."""
    page = nurse.page
    at = page.url
    nurse.press(places.STAFF_NAME)
    expect(page.get_by_text("Ai đang làm việc?")).to_be_visible()
    assert "Thử Nghiệm Một" not in page.content()
    page.goto(at)
    expect(page.get_by_text("Ai đang làm việc?")).to_be_visible()
    nurse.sign_in()
    page.clock.install()
    page.goto(at)
    expect(page.get_by_text(ONE).first).to_be_visible()
    page.clock.fast_forward(125_000)
    expect(page.get_by_text("Ai đang làm việc?")).to_be_visible()
    assert "Thử Nghiệm Một" not in page.content()
    nurse.look("man-hinh-nghi")
