"""Pictures at the kiosk: taken before and after sending, never lost to a bad file, shown with how far they have come."""

import io
import os
import re
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from appliance.contract.events import AttachmentOffered, ConsultRequested, Department, Urgency
from appliance.kiosk.screens.pictures import SOCKET
from appliance.store import consults, pictures, tickets
from appliance.store.consults import ConsultDraft
from tests.kiosk.station import FIRST, NURSE, Station, Window
from tests.kiosk.test_consult import ASK, events, send


def photo(colour: str = "brown", width: int = 900, height: int = 600) -> bytes:
    """Something somebody photographed."""
    image = Image.effect_noise((width, height), 30).convert("RGB")
    image.paste(colour, (100, 100, 300, 300))
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


def add(window: Window, consult: int, data: bytes, **more: Any) -> Window:
    """Choose a file."""
    fields = {"csrf": window.token(), "picture": FileStorage(io.BytesIO(data), "anh.jpg"), "source": "file"} | more
    boundary, body = encode_multipart(fields)
    kind = f"multipart/form-data; boundary={boundary}"
    answer = window.client.post(f"/consults/{consult}/pictures", data=body, content_type=kind, follow_redirects=True)
    window.page, window.text = answer, answer.text
    return window


def write(station: Station, window: Window) -> int:
    """Write a request up to its review; its number."""
    window.confirm(station.first)
    window.post(f"/patients/{station.first}/ask", **ASK)
    found = re.search(r'name="consult" value="(\d+)"', window.text)
    assert found
    return int(found[1])


def test_a_picture_goes_along_with_a_written_request(station: Station) -> None:
    """From the review page and back to it; sent, the request says that one picture comes."""
    window = station.window()
    consult = write(station, window)
    assert f"/consults/{consult}/pictures" in window.text
    add(window, consult, photo(), caption="Bàn tay trái")
    assert window.path == f"/consults/{consult}/pictures"
    assert "Bàn tay trái" in window.text
    assert "gửi cùng yêu cầu" in window.text
    assert not events(station, AttachmentOffered)
    window.get(f"/patients/{station.first}/ask/review")
    assert "1 ảnh" in window.text
    assert ASK["complaint"] in window.text
    window.post(f"/patients/{station.first}/ask/send", consult=consult)
    (request,) = events(station, ConsultRequested)
    assert isinstance(request.body, ConsultRequested)
    assert request.body.attachments == 1
    offers = [one.body for one in events(station, AttachmentOffered)]
    assert [one.caption for one in offers if isinstance(one, AttachmentOffered)] == ["Bàn tay trái"] * 2
    assert "1/1 ảnh đang gửi" in window.text


def test_a_picture_goes_to_an_open_request(station: Station) -> None:
    """After sending: offered at once; the page counts what is on its way and stops when the bridge has it."""
    window = station.window()
    consult = send(station, window)
    add(window, consult, photo())
    assert len(events(station, AttachmentOffered)) == 2
    before = window.data(f"/consults/{consult}.json")["page"]
    window.get(f"/consults/{consult}")
    assert "1/1 ảnh đang gửi" in window.text
    station.received()
    window.get(f"/consults/{consult}")
    assert "ảnh đang gửi" not in window.text
    assert window.data(f"/consults/{consult}.json")["page"] != before


def test_the_picture_is_served_as_a_picture(station: Station) -> None:
    """To whoever works here, as a JPEG that no cache keeps; nobody else, and no other consult's."""
    window = station.window()
    consult = send(station, window)
    add(window, consult, photo())
    (one,) = pictures.listing(station.conn, consult)
    for digest in (one.digest, one.preview):
        answer = window.client.get(f"/consults/{consult}/pictures/{digest.hex()}.jpg")
        assert answer.data[:2] == b"\xff\xd8"
        assert answer.content_type == "image/jpeg"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    path = f"/consults/{consult}/pictures/{one.digest.hex()}.jpg"
    assert station.window("").client.get(path).status_code in (302, 303)
    other = send(station, window)
    assert window.client.get(f"/consults/{other}/pictures/{one.digest.hex()}.jpg").status_code == 404
    assert window.client.get(f"/consults/{consult}/pictures/{'0' * 63}x.jpg").status_code == 404


BAD = {
    "a text file named .jpg": (b"Xin ch\xc3\xa0o" * 40, "không phải ảnh"),
    "half a JPEG": (photo()[:9000], "bị hỏng"),
    "nothing": (b"", "Chưa chọn ảnh"),
    "HEIC": (b"\x00\x00\x00\x18ftypheic" + bytes(200), "HEIC"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_a_sentence_and_nothing_is_lost(station: Station, name: str) -> None:
    """The page says what to do, keeps the caption, and the request that is being written is still there."""
    data, sentence = BAD[name]
    window = station.window()
    consult = write(station, window)
    add(window, consult, data, caption="Vết ở lưng")
    assert window.status == 422
    assert sentence in window.text
    assert "Vết ở lưng" in window.text
    assert not pictures.listing(station.conn, consult)
    window.get(f"/patients/{station.first}/ask")
    assert ASK["complaint"] in window.text


def test_a_photo_beyond_twelve_megabytes_is_a_sentence(station: Station) -> None:
    """Said in the same words whether the form or the photo is too large."""
    window = station.window()
    consult = write(station, window)
    for size in (12 * 1024 * 1024 + 1, 13 * 1024 * 1024):
        add(window, consult, b"\xff\xd8\xff" + bytes(size))
        assert window.status in (413, 422)
        assert "lớn quá 12 MB" in window.text
    window.get(f"/patients/{station.first}/ask")
    assert ASK["complaint"] in window.text


def test_other_forms_stay_small(station: Station) -> None:
    """Only the picture's form may be large."""
    window = station.window()
    answer = window.client.post("/staff", data={"csrf": "x", "staff": "y" * 100_000})
    assert answer.status_code == 413


def test_the_same_picture_twice_is_one(station: Station) -> None:
    """A nervous finger sends it once."""
    window = station.window()
    consult = send(station, window)
    data = photo()
    add(window, consult, data)
    add(window, consult, data)
    assert len(pictures.listing(station.conn, consult)) == 1


def test_a_picture_can_be_removed_before_sending(station: Station) -> None:
    """And not afterwards."""
    window = station.window()
    consult = write(station, window)
    add(window, consult, photo())
    (one,) = pictures.listing(station.conn, consult)
    window.post(f"/consults/{consult}/pictures/remove", digest=one.digest.hex())
    assert not pictures.listing(station.conn, consult)
    assert "Bỏ ảnh" not in window.text


def test_a_withdrawn_request_takes_no_picture(station: Station) -> None:
    """A sentence, on the page."""
    window = station.window()
    consult = send(station, window)
    consults.withdraw(station.conn, consult, reason="patient-left", staff=NURSE, now=station.now)
    add(window, consult, photo())
    assert window.status == 409
    assert "đã được rút lại" in window.text


def nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk has hardly a block left."""
    monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_blocks=1 << 20, f_bavail=1 << 14, f_frsize=4096))


def test_a_full_card_refuses_pictures_in_plain_words(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the request goes on without one."""
    window = station.window()
    consult = write(station, window)
    nearly_full(monkeypatch)
    add(window, consult, photo())
    assert window.status == 409
    assert "Bộ nhớ của máy trạm gần đầy" in window.text
    window.post(f"/patients/{station.first}/ask/send", consult=consult)
    assert consults.get(station.conn, consult) is not None


def test_the_hint_about_identity_cards_stands_where_pictures_are_taken(station: Station) -> None:
    """On the list and beside the camera."""
    window = station.window()
    consult = write(station, window)
    for path in ("", "/camera"):
        window.get(f"/consults/{consult}/pictures{path}")
        assert "Không chụp căn cước" in window.text
        assert FIRST in window.text


def test_only_the_page_with_the_camera_may_use_it(station: Station) -> None:
    """Permissions-Policy, page by page."""
    window = station.window()
    consult = write(station, window)
    page = window.client.get(f"/consults/{consult}/pictures/camera")
    assert "camera=(self)" in page.headers["Permissions-Policy"]
    for path in (f"/consults/{consult}/pictures", "/home", f"/patients/{station.first}"):
        assert "camera=()" in window.client.get(path).headers["Permissions-Policy"]


def test_pictures_of_a_request_nobody_knows_have_no_page(station: Station) -> None:
    """Neither another window's draft nor a number nobody drew."""
    consult = write(station, station.window())
    stranger = station.window("bs2")
    for number in (consult, 4711):
        stranger.get(f"/consults/{number}/pictures")
        assert stranger.status == 404


def test_the_boxs_own_camera_gives_a_picture(station: Station) -> None:
    """Through the socket of `tram camera`; without one the way is not offered, and a dead one is a sentence."""
    window = station.window()
    consult = write(station, window)
    window.get(f"/consults/{consult}/pictures")
    assert "camera của máy" not in window.text
    path = station.settings.paths.run / SOCKET
    server = _camera(path, photo())
    window.get(f"/consults/{consult}/pictures")
    assert "camera của máy" in window.text
    window.post(f"/consults/{consult}/pictures/take")
    server.join(5)
    (one,) = pictures.listing(station.conn, consult)
    assert one.source == "camera"
    window.post(f"/consults/{consult}/pictures/take")
    assert window.status == 409
    assert "không trả lời" in window.text


def _camera(path: Path, data: bytes) -> threading.Thread:
    """One answer of a camera."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(str(path))
    door.listen(1)

    def answer() -> None:
        line, _ = door.accept()
        with line, door:
            line.sendall(data)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return thread


def test_a_telephones_code_is_good_for_its_request_alone(station: Station) -> None:
    """The code stands on the screen as QR; it names no patient; a new one replaces it."""
    window = station.window()
    consult = send(station, window)
    window.post(f"/consults/{consult}/pictures/phone")
    assert window.path.endswith("/pictures/phone")
    found = re.search(r"/t/([a-z2-7]{26})", window.text)
    assert found
    ticket = tickets.find(station.conn, found[1], station.now)
    assert ticket is not None
    assert (ticket.consult, ticket.staff, ticket.patient) == (consult, NURSE, station.first)
    window.post(f"/consults/{consult}/pictures/phone")
    assert tickets.find(station.conn, found[1], station.now) is None
    assert not any(found[1].encode() in bytes(row[0]) for row in station.conn.execute("SELECT digest FROM ticket").fetchall())


def test_a_code_ends_after_ten_minutes(station: Station) -> None:
    """By the clock of this boot, which nobody can set."""
    consults.request(
        station.conn, ConsultDraft(station.first, Urgency.ROUTINE, Department.GENERAL, "Hỏi"), consult=5, staff=NURSE, now=station.now
    )
    code = tickets.issue(station.conn, 5, patient=station.first, staff=NURSE, now=station.now, random=os.urandom)
    station.hand.turn(599)
    assert tickets.find(station.conn, code, station.now) is not None
    station.hand.wall_ns -= 3600 * 10**9
    station.hand.turn(2)
    assert tickets.find(station.conn, code, station.now) is None


def test_the_status_bar_counts_pictures_not_their_parts(station: Station) -> None:
    """A picture with its preview is one thing that waits, however many messages it takes."""
    window = station.window()
    consult = send(station, window)
    station.received()
    add(window, consult, photo())
    assert station.count("SELECT count(*) FROM outbox WHERE state < 2") > 50
    bar = window.data("/status.json")
    assert "3 " in bar["text"]
