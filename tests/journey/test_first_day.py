"""From a flashed card to the acceptance slip: what a technician does at the screen is counted, and no command is typed by anybody.

The box's programs start by themselves, as systemd starts them (``provisioning/roles/station``); the test plays systemd. Bridge, door,
broker with walls, carrier, kiosk, collector and field door are the real programs; the oximeter is the simulator.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from cloud_bridge.store import enrolment_tables
from cloud_bridge.store.engine import open_engine, reading
from tests import servers
from tests.journey.test_enrolment import Place, broker, paper, place
from tests.journey.windows import Window, browser
from tests.polling import until

__all__ = ["broker", "place"]
MOST_ACTIONS = 15
SMALL, LARGE = {"width": 800, "height": 480}, {"width": 1280, "height": 800}
PIN = "357140"
BEFORE = ("card into its slot", "network cable", "oximeter's cable", "power on")
"""What is done before the first page is there."""


class Technician:
    """Somebody at the screen; every act is written down."""

    def __init__(self, page: Page) -> None:
        self.page, self.acts = page, list(BEFORE)

    def tap(self, name: str) -> None:
        """Touch a button or a link."""
        self.acts.append(f"tap {name}")
        self.page.locator("main, footer").get_by_role("link", name=name).or_(
            self.page.locator("main, footer").get_by_role("button", name=name)
        ).first.tap()

    def type(self, label: str, text: str) -> None:
        """Fill one field."""
        self.acts.append(f"type {label}")
        self.page.get_by_label(label, exact=False).first.fill(text)

    def scan(self, text: str) -> None:
        """A scanner is a keyboard: it types into the field that waits, and ends with Enter."""
        self.acts.append("scan the paper")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def do(self, what: str) -> None:
        """Something away from the screen."""
        self.acts.append(what)


def box(place: Place) -> int:
    """The box's settings as the image has them, its store, and the programs that stand from the start; the kiosk's port."""
    port = servers.free_port()
    file = place.folder / "box.toml"
    text = file.read_text()
    more = f"""
[kiosk]
port = {port}
[devices.oxi]
driver = "contec-cms50"
port = "{place.folder}/oxi"
name = "Máy đo SpO₂"
simulated = true
"""
    file.write_text(text + more)
    place.run("tram", "init")
    place.start("tram", "field", "--rules-file", str(place.folder / "rules"), "--units-dir", str(place.folder / "units"))
    place.start("tram", "collect", "oxi")
    place.start("tram", "kiosk")
    until(lambda: servers.listens(port), within=60, every=0.2, what="the kiosk")
    return port


def looked(window: Window, name: str) -> None:
    """A picture in both sizes."""
    for size, word in ((LARGE, 1280), (SMALL, 800)):
        window.page.set_viewport_size(size)  # type: ignore[arg-type]
        window.picture(f"{name}-{word}")


@pytest.mark.slow
def test_from_the_card_to_the_slip(place: Place, broker: servers.Broker, artefacts: Path) -> None:
    """At most 15 acts and no command; the bridge knows who accepted the station, and the file closes the first key for ssh."""
    pictures = artefacts / "first-day"
    pictures.mkdir(exist_ok=True)
    token = paper(place)
    place.start("tram-bridge", "door")
    place.start("tram-bridge", "carry")
    port = box(place)
    with browser() as chromium:
        window = Window(chromium, "ngay-dau", SMALL, pictures, touch=True)  # type: ignore[arg-type]
        page, who = window.page, Technician(window.page)
        page.goto(f"http://127.0.0.1:{port}/")
        looked(window, "trang-dau")
        who.tap("Lắp trạm mới")
        looked(window, "ten")
        assert page.get_by_label("Họ và tên").get_attribute("data-keys") == "letters"
        who.type("Họ và tên", "Kỹ Thuật Thử")
        who.type("Mã PIN", PIN)
        who.type("Nhập lại", PIN)
        who.tap("Xong")
        expect(page.get_by_role("heading", name="Ghi danh trạm")).to_be_visible()
        looked(window, "ghi-danh")
        who.scan(token)
        expect(page.get_by_text("Đọc sáu từ này")).to_be_visible(timeout=60_000)
        looked(window, "sau-tu")
        place.start("tram", "carry")  # tram-carry.path does this when the certificate is there
        who.do("compare the six words by telephone")
        who.tap("Giống nhau: nghiệm thu")
        expect(page.get_by_role("heading", name="Nghiệm thu: còn")).to_be_visible()
        looked(window, "cac-buoc")
        who.do("finger into the oximeter")
        place.start("tram", "simulate", "device", "contec-cms50", "--link", str(place.folder / "oxi"))
        sign = page.get_by_role("button", name="Ký nghiệm thu")
        expect(sign).to_be_visible(timeout=90_000)
        looked(window, "xong-het")
        who.tap("Ký nghiệm thu")
        expect(page.get_by_role("heading", name="Trạm đã nghiệm thu")).to_be_visible()
        looked(window, "da-ky")
        slip = page.request.get(f"http://127.0.0.1:{port}/technician/slip.pdf?size=roll")
        who.do("print the slip")
        assert slip.body().startswith(b"%PDF-")
        assert window.complaints == []
        window.close()
    print(f"{len(who.acts)} acts: {', '.join(who.acts)}")
    assert len(who.acts) <= MOST_ACTIONS
    assert (place.folder / "box" / "accepted").exists()
    until(lambda: accepted(place) == "Kỹ Thuật Thử", within=30, every=0.5, what="the bridge to hear of the acceptance")
    assert any("accepted" in line and "Kỹ Thuật Thử" in line for line in place.run("tram-bridge", "fleet"))


def accepted(place: Place) -> str:
    """Who accepted the station, as the bridge knows it."""
    engine = open_engine(f"sqlite:///{place.folder}/bridge.db")
    try:
        with reading(engine) as tx:
            row = tx.execute(select(enrolment_tables.acceptance.c.technician)).first()
    finally:
        engine.dispose()
    return "" if row is None else str(row[0])
