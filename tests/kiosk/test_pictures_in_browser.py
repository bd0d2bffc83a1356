"""Pictures in a real browser: what the camera sees is taken with one tap, a file sends itself, a question comes up by itself."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from appliance.contract.events import ConsultQuestion, Department, Urgency
from appliance.store import consults, pictures
from appliance.store.consults import ConsultDraft
from tests import servers
from tests.journey.windows import FLAGS, PATIENCE_MS, Window
from tests.kiosk.station import NURSE, Station
from tests.kiosk.test_pictures import photo
from tests.kiosk.test_screen import LARGE, MEASURE, SMALL, address, sign_in  # noqa: F401 - the fixture

CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""A camera that shows a green picture with a clock, and a browser that does not ask whether it may be used."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A Chromium with a camera."""
    program = servers.need("chromium", "chromium")
    flags = [*FLAGS, *CAMERA, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=program, args=flags)
        yield running
        running.close()


def request(station: Station) -> int:
    """A request that was sent."""
    asked = ConsultDraft(station.first, Urgency.EMERGENCY, Department.SURGERY, "Dữ liệu thử: vết thương ở bàn tay trái")
    consults.request(station.conn, asked, consult=900, staff=NURSE, now=station.now)
    consults.acknowledge(station.conn, 900, staff=NURSE, now=station.now)
    return 900


@pytest.mark.slow
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["800x480", "1280x800"])
def test_pictures_are_taken_with_one_tap(
    station: Station,
    address: str,  # noqa: F811 - the fixture
    chromium: Browser,
    artefacts: Path,
    tmp_path: Path,
    size: dict[str, int],
) -> None:
    """Camera and file, the page of a telephone's code, the request's page; sizes, contrast and room as on every screen."""
    folder = artefacts / "pictures"
    folder.mkdir(exist_ok=True)
    window = Window(chromium, f"{size['width']}x{size['height']}", size, folder)  # type: ignore[arg-type]
    page, consult = window.page, request(station)

    def look(name: str, sees: str) -> None:
        expect(page.get_by_text(sees).first).to_be_visible()
        page.wait_for_load_state()
        window.picture(name)
        assert page.evaluate(MEASURE) == [], name

    page.goto(address + "/home")
    sign_in(page)
    page.goto(f"{address}/consults/{consult}/pictures")
    look("none", "Ảnh gửi bác sĩ")
    page.get_by_label("Ảnh chụp gì?").fill("Bàn tay trái")
    page.get_by_role("link", name="Chụp bằng camera USB").click()
    expect(page.get_by_role("button", name="Chụp")).to_be_enabled()
    look("camera", "Không chụp căn cước")
    page.get_by_role("button", name="Chụp").click()
    expect(page.get_by_text("Bàn tay trái")).to_be_visible()
    look("one", "Bàn tay trái")
    file = tmp_path / "anh.jpg"
    file.write_bytes(photo())
    page.locator("#in-picture").set_input_files(file)
    expect(page.get_by_text("(2/6)")).to_be_visible()
    look("two", "Ảnh gửi bác sĩ")
    bad = tmp_path / "bad.jpg"
    bad.write_text("không phải ảnh")
    page.locator("#in-picture").set_input_files(bad)
    expect(page.get_by_text("Tệp này không phải ảnh")).to_be_visible()
    window.picture("bad")
    assert len(window.complaints) == 1, "the browser says that a page came with 422"
    window.complaints.clear()
    assert [one.source for one in pictures.listing(station.conn, consult)] == ["browser", "file"]
    station.down(ConsultQuestion(consult, 7, "BS Thử Một", "Ngón tay có cử động được không?"))
    page.goto(address + "/home")
    look("asked", "Bác sĩ hỏi lại")
    page.get_by_role("link", name="Bác sĩ hỏi lại").click()
    look("question", "Ngón tay có cử động")
    assert window.complaints == []
    window.close()


@pytest.mark.slow
def test_a_question_comes_up_on_an_open_page_without_taking_what_is_typed(
    station: Station,
    address: str,  # noqa: F811 - the fixture
    chromium: Browser,
    artefacts: Path,
) -> None:
    """Within seconds, while somebody types a search: the strip appears, the typed text stays."""
    window = Window(chromium, "typing", SMALL, artefacts)  # type: ignore[arg-type]
    page, consult = window.page, request(station)
    page.goto(address + "/home")
    sign_in(page)
    page.get_by_role("searchbox").fill("thu nghi")
    station.down(ConsultQuestion(consult, 7, "BS Thử Một", "Có sốt không?"))
    expect(page.get_by_text("Bác sĩ hỏi lại")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("thu nghi")
    assert window.complaints == []
    window.close()
