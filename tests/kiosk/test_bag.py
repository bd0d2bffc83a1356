"""*Túi thư* at the kiosk: it notices the stick, one touch does both ways, it says when the stick may go."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.contract.bag import BagHeader, Record, bag_name, whole
from appliance.contract.topics import DOWN
from appliance.database import transaction
from appliance.kiosk import bag
from appliance.stick import FOLDER
from appliance.store import keys
from tests.kiosk.station import TECHNICIAN, Station, Window, make
from tests.polling import until

BRIDGE = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """A station whose stick is a folder that is not there yet."""
    with make(tmp_path, '\n[bag]\nfolder = "stick"\nmounted = false\n[wire]\nsealing = "off"\n') as made:
        with transaction(made.conn):
            keys.pin(made.conn, "receipt", 0, BRIDGE.public_key().public_bytes_raw())
        yield made


def put_in(station: Station) -> Path:
    """Somebody puts the stick in."""
    folder = station.settings.bag.folder
    folder.mkdir(exist_ok=True)
    return folder


def press(window: Window) -> str:
    """The one button; what the page says in the end."""
    window.post("/bag")
    until(lambda: "ĐỪNG RÚT" not in window.get("/bag").text, 30.0, what="the work to end")
    return window.text


def test_the_page_notices_the_stick_by_itself(station: Station) -> None:
    """Without one it asks for it; the mark that the page's script asks for changes when one comes and when it goes."""
    window = station.window()
    text = window.get("/bag").text
    assert "Cắm USB vào máy" in text and 'action="/bag"' not in text
    before = window.data("/bag.json")["page"]
    stick = put_in(station)
    there = window.data("/bag.json")["page"]
    assert there != before
    text = window.get("/bag").text
    waiting = station.count("SELECT count(*) FROM outbox WHERE state < 2")
    assert f'<b class="number">{waiting}</b> mục đi' in text and '<b class="number">0</b> mục về' in text
    stick.rmdir()
    assert window.data("/bag.json")["page"] == before


@pytest.mark.parametrize("who", ["y1", TECHNICIAN])
def test_one_touch_packs_the_bag_and_says_when_the_stick_may_go(station: Station, who: str) -> None:
    """A nurse or the technician: the bag is whole on the stick, the page says so, the log knows who it was."""
    window, stick = station.window(who), put_in(station)
    assert "Túi thư" in window.get("/home").text
    text = press(window)
    assert "Rút USB được rồi" in text and "ĐỪNG RÚT" not in text
    assert [one.name for one in (stick / FOLDER).iterdir()] == [bag_name("tram-0001", "up", 1)]
    assert station.count(f"SELECT count(*) FROM audit WHERE action = 'bag.swap' AND actor = '{who}'") == 1
    (stick / FOLDER / bag_name("tram-0001", "up", 1)).unlink()
    assert "Nhận và đóng túi" in window.get("/bag").text, "another stick begins anew"


def test_a_foreign_bag_is_named_and_ours_goes_all_the_same(station: Station) -> None:
    """The reason stands on the page before the button is touched, and after it; the bag of ours is packed."""
    window, stick = station.window(), put_in(station)
    header = BagHeader("tram-0001", DOWN, b"store--1", 1, b"n" * 8, 1, 1, 0)
    (stick / FOLDER).mkdir()
    (stick / FOLDER / bag_name("tram-0001", DOWN, 1)).write_bytes(whole(header, [Record(0, b"\x13")], Ed25519PrivateKey.generate()))
    assert "không phải do máy chủ của trạm" in window.get("/bag").text
    text = press(window)
    assert "không phải do máy chủ của trạm" in text and "Rút USB được rồi" in text


def test_what_a_stick_cannot_do_is_said_and_can_be_repeated(station: Station) -> None:
    """Something else lies under the folder's name: a sentence, no bag; another stick works."""
    window, stick = station.window(), put_in(station)
    (stick / FOLDER).write_text("mine")
    text = press(window)
    assert "Dùng USB khác" in text and "Rút USB được rồi" not in text
    (stick / FOLDER).unlink()
    assert "Rút USB được rồi" in press(window)


def test_a_box_without_the_bridge_s_key_says_whom_to_call(tmp_path: Path) -> None:
    """Nothing can be sealed yet: the page says so instead of failing."""
    with make(tmp_path, '\n[bag]\nfolder = "stick"\nmounted = false\n[wire]\nsealing = "on"\n') as station:
        put_in(station)
        assert "Gọi kỹ thuật viên" in station.window().get("/bag").text


def test_two_touches_are_one_work(station: Station) -> None:
    """While the stick is written a second touch begins nothing: one bag, one number."""
    window, stick = station.window(), put_in(station)
    with station.app.app_context():
        work = bag.work()
    with work.lock:
        work.state = "in"
    window.post("/bag")
    assert "ĐỪNG RÚT USB" in window.text
    assert not [one for one in threading.enumerate() if one.name == "bag"]
    work.state = "idle"
    press(window)
    assert len(list((stick / FOLDER).iterdir())) == 1
