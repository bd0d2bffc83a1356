from pathlib import Path

import pytest

from appliance.contract.events import Department, Urgency
from appliance.database import Connection, StoreError
from appliance.store import consults
from appliance.store.consults import ConsultDraft
from appliance.store.opening import open_store
from tests.kiosk.station import FIRST, Station, make


class Doors:
    """The door to the store, which can be shut; with a damaged or read-only disk in mind."""

    def __init__(self) -> None:
        self.station: Station | None = None
        self.shut = ""
        self.bug = False

    def __call__(self) -> Connection:
        """Open the store, or fail as told."""
        if self.shut:
            raise StoreError(self.shut, "data/tram.db", "the store is away", "Không đọc được kho dữ liệu")
        if self.bug:
            raise KeyError(FIRST)
        assert self.station is not None
        return open_store(self.station.settings, {})


@pytest.mark.parametrize("reason", ["missing", "key", "damaged", "full"])
def test_a_broken_store_is_a_plain_sentence_on_every_page(tmp_path: Path, reason: str) -> None:
    """503, what to do on paper, a small code; no trace, no English, and it comes back by itself."""
    doors = Doors()
    with make(tmp_path, connect=doors) as station:
        doors.station = station
        window = station.window()
        doors.shut = reason
        for path in ("/home", f"/patients/{station.first}", "/", "/consults"):
            window.get(path)
            assert window.status == 503, path
            assert "Ghi kết quả ra giấy" in window.text
            assert f"KHO-{reason}" in window.text
            assert "115" in window.text or "0900 000 000" in window.text
            assert "Traceback" not in window.text
        assert window.data("/status.json")["code"] == f"KHO-{reason}"
        assert window.data("/health")["ok"] is False
        doors.shut = ""
        assert window.get("/home").status == 200


def test_a_file_that_is_no_store_is_a_sentence(station: Station) -> None:
    """The real file overwritten: the real driver's complaint becomes words."""
    window = station.window()
    file = station.settings.paths.data / "tram.db"
    file.write_bytes(b"rubbish" * 4096)
    file.with_name("tram.db-wal").unlink(missing_ok=True)
    window.get("/home")
    assert window.status == 503
    assert "Ghi kết quả ra giấy" in window.text


def test_nothing_is_promised_when_saving_fails(tmp_path: Path) -> None:
    """The store goes away between the page and *Lưu*: the page says that nothing was saved, and nothing was."""
    doors = Doors()
    with make(tmp_path, connect=doors) as station:
        doors.station = station
        window = station.window()
        session = window.open(station.first)
        measurement = station.measure("oxi", session)
        token = window.token()
        doors.shut = "full"
        window.post(f"/sessions/{session}/save", csrf=token, measurement=measurement, patient=station.first)
        assert window.status == 503
        assert "chưa lưu gì" in window.text
        assert station.count("SELECT count(*) FROM observation") == 0
        assert station.steps("record") == []


def test_a_bug_is_a_sentence_with_a_code_that_is_in_the_journal(tmp_path: Path) -> None:
    """500: what was saved is safe, a code to read aloud; the journal has the place, and no word that was typed."""
    doors = Doors()
    with make(tmp_path, connect=doors) as station:
        doors.station = station
        window = station.window()
        token = window.token()
        doors.bug = True
        window.post("/staff", csrf=token, staff="bí mật")
        assert window.status == 500
        assert "Những gì đã lưu vẫn còn" in window.text
        code = window.text.split("K500 ")[1][:9]
        journal = station.journal.getvalue()
        assert code in journal
        assert "KeyError" in journal
        for secret in (FIRST, "bí mật"):
            assert secret not in journal


def test_a_damaged_row_is_said_and_not_shown(station: Station) -> None:
    """A consult whose bytes are not those that were written: a sentence with a code, the rest of the kiosk works."""
    draft = ConsultDraft(station.first, Urgency.ROUTINE, Department.GENERAL, "x")
    consults.request(station.conn, draft, consult=5, staff="y1", now=station.now)
    station.conn.execute("UPDATE consult SET crc = crc + 1")
    window = station.window()
    window.get("/consults/5")
    assert "hỏng nên không hiện" in window.text
    assert window.get(f"/patients/{station.first}/measure").status == 200


@pytest.mark.parametrize(("path", "code"), [("/nowhere", "K404"), ("/consults/424242", "K404"), ("/sessions/424242", "K404")])
def test_what_is_not_there_has_a_way_on(station: Station, path: str, code: str) -> None:
    """A sentence, a small code, a way back."""
    window = station.window().get(path)
    assert window.status == 404
    assert code in window.text
    assert "Trang đầu" in window.text
