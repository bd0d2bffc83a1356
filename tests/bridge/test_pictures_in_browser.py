"""The doctor looks at a picture: the preview at once, larger by buttons and keys, the full one in its place by itself."""

from pathlib import Path

from playwright.sync_api import Page, expect

from appliance.kiosk import imaging
from tests.bridge.conftest import Office
from tests.bridge.story import STATION
from tests.bridge.test_desk_in_browser import SOON_MS, address, chromium, page  # noqa: F401 - the fixtures
from tests.bridge.test_pictures import digest, offered, parts
from tests.kiosk.test_pictures import photo


def test_the_full_picture_replaces_the_preview_in_the_open_viewer(
    office: Office,
    page: Page,  # noqa: F811 - the fixture
    artefacts: Path,
) -> None:
    """Opened on the preview while the full one is pulled; zoomed by button and by key; then sharp without a reload."""
    images = imaging.convert(photo(width=2000, height=1500))
    full, small = images.full, images.preview
    office.hear(offered(small, digest(full)), offered(full), *parts(small), *parts(full)[:20])
    page.goto(f"/consults/{STATION}/900")
    expect(page.get_by_text("ảnh đầy đủ đang về")).to_be_visible()
    page.screenshot(path=artefacts / "desk-picture-1-preview.png")
    page.get_by_role("button", name="Phóng to").first.click()
    image = page.locator("#viewer img")
    expect(image).to_have_attribute("src", f"/consults/{STATION}/0000-00W4/pictures/{digest(small).hex()}")
    before = image.bounding_box()
    page.get_by_role("button", name="Phóng to (+)").click()
    page.keyboard.press("+")
    expect(page.locator("#viewer-said")).to_have_text("200 %")
    after = image.bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] > 1.8 * before["width"]
    page.keyboard.press("ArrowRight")
    assert page.locator("#viewer .stage").evaluate("(one) => one.scrollLeft") > 0
    office.hear(*parts(full)[20:])
    expect(image).to_have_attribute("src", f"/consults/{STATION}/0000-00W4/pictures/{digest(full).hex()}", timeout=SOON_MS)
    expect(page.locator("#viewer-said")).to_have_text("200 %")
    expect(page.locator("#viewer .invented")).to_be_visible()
    page.wait_for_function("document.querySelector('#viewer img').naturalWidth > 1000")
    page.screenshot(path=artefacts / "desk-picture-2-viewer.png")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
