"""A device's memory at the kiosk: asked for by a person, shown once with the device's own time, given to nobody."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from threading import Thread

import pytest

from appliance.contract.duplicates import ZONE
from appliance.contract.metrics import Metric
from appliance.contract.readings import Numeric, Reading, ReadingKind, Source
from appliance.database import transaction
from appliance.kiosk import present
from appliance.store import measuring, memory
from tests.kiosk.station import Station

BP = (Numeric(Metric.SYSTOLIC, 129), Numeric(Metric.DIASTOLIC, 78), Numeric(Metric.PULSE_RATE, 77))


def vi(vi: str, _en: str) -> str:
    """A Vietnamese reader."""
    return vi


def stored(station: Station, said: str | None = "2008-04-21T16:10:46", device: int = 5) -> Reading:
    """A record of a cuff's memory, read out now."""
    return Reading(ReadingKind.BLOOD_PRESSURE, device, BP, station.now, Source.MEMORY, said, 3)


def test_a_record_lies_in_the_tray_with_the_devices_own_time(station: Station) -> None:
    """As the device said it, with the doubt about it; nothing was put right."""
    measuring.observe(station.conn, stored(station), device="oxi", began=None, now=station.now, raw=b"")
    text = station.window().get("/tray").text
    assert "giờ trên máy đo: 2008-04-21 16:10:46" in text
    assert "đồng hồ của máy chưa chỉnh" in text
    assert "bộ nhớ máy" in text


def test_how_far_the_devices_clock_is_off_is_said(station: Station) -> None:
    """Measured when the memory was read."""
    said = datetime.fromtimestamp(station.now.wall // 10 + 180, ZONE).replace(tzinfo=None).isoformat()
    with transaction(station.conn):
        memory.keep_clock(station.conn, 5, said, station.now)
    measuring.observe(station.conn, stored(station, said), device="oxi", began=None, now=station.now, raw=b"")
    assert "giờ trên máy đo lệch 3 phút (nhanh)" in station.window().get("/tray").text


def test_a_live_and_a_memory_copy_are_one_line(station: Station) -> None:
    """Both rows are kept; the tray shows the live one and says that the device holds it too."""
    live = replace(stored(station, None), source=Source.LIVE, ordinal=None)
    measuring.observe(station.conn, live, device="oxi", began=None, now=station.now, raw=b"")
    said = datetime.fromtimestamp(station.now.wall // 10 - 40, ZONE).replace(tzinfo=None).isoformat()
    measuring.observe(station.conn, stored(station, said), device="oxi", began=None, now=station.now, raw=b"")
    text = station.window().get("/tray").text
    assert text.count("129/78 mmHg") == 1
    assert "cũng có trong bộ nhớ máy" in text
    assert station.conn.execute("SELECT count(*) FROM measurement").fetchone()[0] == 2
    assert "1 kết quả" in station.window().get("/home").text


@pytest.mark.parametrize(("ahead", "words"), [(180, "3 phút (nhanh)"), (-7200, "2 giờ (chậm)"), (59, ""), (None, "")])
def test_a_clock_that_is_right_is_not_mentioned(station: Station, ahead: int | None, words: str) -> None:
    """Below a minute, or unknown, nothing is said about it."""
    said = present.own_time(stored(station, "2026-09-22T08:00:00"), ahead, vi)
    assert any(words in one for one in said) if words else not any("lệch" in one for one in said)


@contextmanager
def collector(station: Station, device: str, answer: dict) -> Iterator[list[dict]]:
    """Something that answers on the device's socket; what it was told."""
    told: list[dict] = []
    path = station.settings.paths.run / f"{device}.sock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as ear:
        ear.bind(str(path))
        ear.listen(1)

        def hear() -> None:
            line, _ = ear.accept()
            with line:
                told.append(json.loads(line.recv(1024)))
                line.send(json.dumps(answer).encode())

        hearing = Thread(target=hear)
        hearing.start()
        yield told
        hearing.join(5)
    path.unlink()


def test_a_person_asks_for_the_memory(station: Station) -> None:
    """One tap; the collector is told, the page says what happens, the log has who asked."""
    window = station.window()
    assert "Tải kết quả trong máy" in window.get("/tray").text
    assert 'action="/memory/oxi"' in window.get("/memory").text
    with collector(station, "oxi", {"accepted": True}) as told:
        window.post("/memory/oxi")
    assert told == [{"do": "recall"}]
    assert "nằm trong khay" in window.text
    assert station.conn.execute("SELECT count(*) FROM audit WHERE action = 'memory.read'").fetchone()[0] == 1


def test_a_refusal_is_a_sentence(station: Station) -> None:
    """Of the collector's words, and of a collector that is not there."""
    window = station.window()
    with collector(station, "oxi", {"accepted": False, "reason": "busy"}):
        window.post("/memory/oxi")
    assert "Chờ xong rồi bấm lại" in window.text
    window.post("/memory/oxi")
    assert "Gọi kỹ thuật" in window.text


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"records": 0, "new": 0, "read": 0}, "Máy không có số đo nào trong bộ nhớ."),
        ({"records": 0, "new": 0, "read": 4}, "Trong bộ nhớ máy không có số đo nào dùng được."),
        ({"records": 4, "new": 1, "read": 4}, "Đã đọc 4 kết quả, 1 kết quả mới."),
    ],
)
def test_what_came_of_a_download_is_said_also_when_nothing_did(station: Station, counts: dict, words: str) -> None:
    """A page that says nothing leaves a person pressing again."""
    station.live("oxi", state="ready", memory=counts)
    assert words in station.window().get("/memory").text
    station.live("oxi", state="ready", memory={"records": 0, "new": 0, "read": None})
    text = station.window().get("/memory").text
    assert "bộ nhớ." not in text
    assert "dùng được" not in text


def test_a_device_without_a_memory_is_not_offered(station: Station) -> None:
    """A commanded cuff keeps nothing; and a name that is none is refused."""
    window = station.window()
    assert 'action="/memory/cuff"' not in window.get("/memory").text
    assert window.post("/memory/nothing").status in (404, 410)
