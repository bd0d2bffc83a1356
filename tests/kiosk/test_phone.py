"""The telephone's page: one picture for a live code, and nothing else for anybody."""

import io
import os
from types import SimpleNamespace

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from appliance.kiosk.phone import make_phone
from appliance.store import pictures, tickets
from appliance.store.opening import open_store
from tests.kiosk.station import FIRST, NURSE, Station
from tests.kiosk.test_consult import send
from tests.kiosk.test_pictures import photo


@pytest.fixture
def telephone(station: Station) -> FlaskClient:
    """A telephone in the station's network."""
    app = make_phone(station.settings, lambda: open_store(station.settings, {}), station.clock)
    return app.test_client()


def code(station: Station, consult: int) -> str:
    """A new code."""
    return tickets.issue(station.conn, consult, patient=station.first, staff=NURSE, now=station.now, random=os.urandom)


def bring(telephone: FlaskClient, token: str, data: bytes) -> TestResponse:
    """Choose a picture and send it."""
    boundary, body = encode_multipart({"picture": FileStorage(io.BytesIO(data), "IMG_1.jpg")})
    return telephone.post(f"/t/{token}", data=body, content_type=f"multipart/form-data; boundary={boundary}")


def test_a_telephone_brings_one_picture_with_one_code(station: Station, telephone: FlaskClient) -> None:
    """It is there in the name of whoever made the code; the code is used up; the kiosk's page hears of it."""
    window = station.window()
    consult = send(station, window)
    before = window.data(f"/consults/{consult}/pictures.json")["page"]
    token = code(station, consult)
    assert "Gửi ảnh" in telephone.get(f"/t/{token}").text
    answer = bring(telephone, token, photo())
    assert answer.status_code == 200
    assert "Ảnh đã tới máy trạm" in answer.text
    (one,) = pictures.listing(station.conn, consult)
    assert (one.source, one.staff) == ("phone", NURSE)
    assert window.data(f"/consults/{consult}/pictures.json")["page"] != before
    assert bring(telephone, token, photo("green")).status_code == 410
    assert len(pictures.listing(station.conn, consult)) == 1


def test_no_byte_of_a_patient_is_on_the_page(station: Station, telephone: FlaskClient) -> None:
    """Neither name nor complaint nor the request's number; no script, nothing for a cache."""
    consult = send(station, station.window())
    token = code(station, consult)
    for answer in (telephone.get(f"/t/{token}"), bring(telephone, token, b"no picture"), bring(telephone, token, photo())):
        assert FIRST not in answer.text
        assert "Đau đầu" not in answer.text
        assert str(consult) not in answer.text
        assert "<script" not in answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/", "/home", "/t/", "/t/aaaaaaaaaaaaaaaaaaaaaaaaaa", "/consults/1/pictures", "/t/%00", "/status.json"])
def test_without_a_live_code_there_is_nothing(station: Station, telephone: FlaskClient, path: str) -> None:
    """Every address says the same short sentence."""
    answer = telephone.get(path)
    assert answer.status_code in (404, 410)
    assert "hết hạn" in answer.text


def test_a_bad_picture_leaves_the_code_good(station: Station, telephone: FlaskClient) -> None:
    """A sentence, and the same code takes the next try."""
    consult = send(station, station.window())
    token = code(station, consult)
    answer = bring(telephone, token, b"text" * 100)
    assert answer.status_code == 422
    assert "không phải ảnh" in answer.text
    assert "Gửi ảnh</button>" in answer.text
    assert bring(telephone, token, photo()).status_code == 200


def test_a_code_of_yesterday_is_dead(station: Station, telephone: FlaskClient) -> None:
    """After ten minutes it takes nothing."""
    consult = send(station, station.window())
    token = code(station, consult)
    station.hand.turn(601)
    assert bring(telephone, token, photo()).status_code == 410
    assert not pictures.listing(station.conn, consult)


def test_more_than_twelve_megabytes_are_a_sentence(station: Station, telephone: FlaskClient) -> None:
    """In Vietnamese, with what to do."""
    token = code(station, send(station, station.window()))
    answer = bring(telephone, token, b"\xff\xd8\xff" + bytes(13 * 1024 * 1024))
    assert answer.status_code == 413
    assert "12 MB" in answer.text


def nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk has hardly a block left."""
    monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_blocks=1 << 20, f_bavail=1 << 14, f_frsize=4096))


def test_a_full_card_is_said_at_the_telephone(station: Station, telephone: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the code stays good."""
    token = code(station, send(station, station.window()))
    nearly_full(monkeypatch)
    answer = bring(telephone, token, photo())
    assert "gần đầy" in answer.text
    assert tickets.find(station.conn, token, station.now) is not None
