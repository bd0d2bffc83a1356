"""*Túi thư* in a real browser, at both sizes: the page notices the stick while somebody looks at it, and fits its screen."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from appliance.database import transaction
from appliance.kiosk import bag
from appliance.store import keys
from tests.journey.windows import Window
from tests.kiosk.station import Station, make
from tests.kiosk.test_bag import BRIDGE
from tests.kiosk.test_screen import LARGE, MEASURE, SMALL, address, chromium, sign_in

__all__ = ["address", "chromium"]


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """A station whose stick is a folder that is not there yet."""
    with make(tmp_path, '\n[bag]\nfolder = "stick"\nmounted = false\n[wire]\nsealing = "off"\n') as made:
        with transaction(made.conn):
            keys.pin(made.conn, "receipt", 0, BRIDGE.public_key().public_bytes_raw())
        yield made


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["800", "1280"])
def test_the_stick_goes_in_and_out(station: Station, address: str, chromium: Browser, artefacts: Path, size: dict[str, int]) -> None:
    """No touch but one: the page turns by itself when the stick comes, says when it must stay and when it may go."""
    folder = artefacts / "bag"
    folder.mkdir(exist_ok=True)
    window = Window(chromium, f"tui-thu-{size['width']}", size, folder)  # type: ignore[arg-type]
    page = window.page

    def look(name: str, sees: str) -> None:
        expect(page.get_by_text(sees).first).to_be_visible()
        page.wait_for_load_state()
        window.picture(name)
        assert page.evaluate(MEASURE) == [], name

    page.goto(address)
    sign_in(page)
    page.get_by_role("link", name="Túi thư").click()
    look("khong-co-usb", "Cắm USB vào máy")
    station.settings.bag.folder.mkdir()
    look("cam-usb", "mục về")
    with station.app.app_context():
        work = bag.work()
    with work.lock:
        work.state, work.count = "in", 60
    look("dang-nhan", "ĐỪNG RÚT USB")
    work.state = "idle"
    page.get_by_role("button", name="Nhận và đóng túi").click()
    look("rut-usb", "Rút USB được rồi")
    assert window.complaints == []
    window.close()
