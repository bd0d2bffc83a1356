"""Typing and a guided blood pressure in a real browser, at both sizes: everything fits, taps are counted, a page works without script."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from appliance.store import measuring
from tests.journey.windows import Window
from tests.kiosk.station import NURSE, Station
from tests.kiosk.test_screen import LARGE, MEASURE, SMALL, address, chromium, session_of, sign_in

__all__ = ["address", "chromium"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["800x480", "1280x800"])
def test_typing_and_guidance_fit_their_screens(
    station: Station, address: str, chromium: Browser, artefacts: Path, size: dict[str, int]
) -> None:
    """From the choice of a device to the mean of three readings, each page looked at."""
    folder = artefacts / "typing"
    folder.mkdir(exist_ok=True)
    window = Window(chromium, f"{size['width']}x{size['height']}", size, folder)  # type: ignore[arg-type]
    page, hand = window.page, station.hand

    def look(name: str, sees: str) -> None:
        expect(page.get_by_text(sees).first).to_be_visible()
        page.wait_for_load_state()
        window.picture(name)
        assert page.evaluate(MEASURE) == [], name

    def press(words: str) -> None:
        page.get_by_role("button", name=words).first.click()

    def pick(words: str) -> None:
        page.locator("label.choice", has_text=words).first.click()

    page.goto(address + "/")
    sign_in(page)
    page.goto(f"{address}/patients/{station.first}/measure")
    for words in ("Họ và tên", "Ngày sinh"):
        pick(words)
    station.live("cuff")
    press("Nhập tay")
    look("nhap-tay", "Nhập kết quả nào?")
    session = session_of(window)
    for form, sees in (("pressure", "Tâm thu"), ("temperature", "Nhiệt độ"), ("body", "Cân nặng"), ("mind", "Lú lẫn mới xuất hiện")):
        page.goto(f"{address}/sessions/{session}/type/{form}")
        look(form, sees)
    press("Lú lẫn")
    look("tri-giac-xem-lai", "C – Lú lẫn mới xuất hiện")
    press("Lưu")
    page.goto(f"{address}/sessions/{session}/type/spo2")
    page.get_by_label("SpO₂").fill("93")
    pick("Thở oxy")
    press("Xem lại")
    look("oxy-thieu", "Có vấn đề")
    page.get_by_label("Bao nhiêu lít").fill("2,5")
    press("Xem lại")
    look("oxy-xem-lai", "nhập tay")
    press("Lưu")
    page.goto(f"{address}/sessions/{session}/type/breaths")
    for _ in range(4):
        page.locator(".tap").click()
    expect(page.locator(".tap b")).to_have_text("3")
    look("dem-nhip-tho", "Chạm mỗi lần ngực nâng lên")
    page.goto(f"{address}/patients/{station.first}/measure")
    look("chon-may", "Đo huyết áp có hướng dẫn")
    press("Đo huyết áp có hướng dẫn")
    look("chuan-bi", "Cỡ vòng bít")
    below = page.locator("main").evaluate("main => main.scrollHeight - main.clientHeight")
    assert below <= 0, "every size of a cuff is seen without scrolling"
    for words in ("Ngồi", "Tay trái", "Người lớn"):
        pick(words)
    press("Bắt đầu nghỉ")
    look("nghi", "Nghỉ yên")
    series = page.url
    page.get_by_role("link", name="Không chờ được").click()
    look("khong-nghi", "Vì sao không nghỉ đủ?")
    for _ in range(5):
        hand.turn(60)
        page.goto(series)
    look("nghi-du", "Đã nghỉ đủ")
    press("Tiếp")
    for count, (high, low) in enumerate(((150, 90), (141, 86), (139, 84)), 1):
        look(f"san-sang-{count}", f"Lần đo {count}/3")
        press(f"Đo lần {count}")
        page.wait_for_url("**/sessions/*")
        hand.turn(2)
        station.live("cuff")
        station.measure("cuff", session_of(window), SYSTOLIC=high, DIASTOLIC=low, PULSE_RATE=72)
        expect(page.get_by_text(str(high))).to_be_visible()
        press("Lưu")
        page.wait_for_url("**/guided/*")
        look(f"sau-lan-{count}", f"{high}/{low} mmHg")
        hand.turn(60)
        page.goto(series)
    press("Xong, ghi trung bình")
    look("trung-binh", "trung bình của 2 lần")
    page.goto(f"{address}/patients/{station.first}")
    look("ho-so", "140/85 mmHg")
    assert window.complaints == [] or all("422" in one for one in window.complaints)


@pytest.mark.slow
def test_breaths_are_counted_without_a_script_too(station: Station, address: str, chromium: Browser) -> None:
    """The big button stays away, the field and the choice of seconds do the same work."""
    context = chromium.new_context(viewport=SMALL, java_script_enabled=False)  # type: ignore[arg-type]
    session = measuring.open_session(station.conn, patient=station.first, staff=NURSE, device=f"manual:{NURSE}", now=station.now)
    page = context.new_page()
    page.goto(address + "/")
    page.locator(f'button[name=staff][value="{NURSE}"]').click()
    for digit in "480713":
        page.locator(f'button[name=key][value="{digit}"]').click()
    page.goto(f"{address}/patients/{station.first}/confirm?device=manual")
    for name in ("id_name", "id_birth"):
        page.locator(f"input[name={name}]").check()
    page.get_by_role("button", name="Bắt đầu đo").click()
    found = re.search(r"/sessions/(\d+)", page.url)
    assert found and int(found[1]) != session.id
    page.goto(f"{address}/sessions/{found[1]}/type/breaths")
    expect(page.locator(".tap")).to_be_hidden()
    page.locator("input[name=seconds][value='30']").check()
    page.locator("input[name=count]").fill("11")
    page.get_by_role("button", name="Xem lại").click()
    expect(page.get_by_text("đếm 30 giây × 2")).to_be_visible()
    context.close()
