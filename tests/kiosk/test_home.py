import re
from pathlib import Path

import pytest

from appliance.contract.identifiers import station_number, station_text
from appliance.kiosk.present import squares
from appliance.store import staff
from tests.kiosk.station import FIRST, NURSE, PINS, SECOND, Station, add_patient, make


def test_the_first_page_lists_who_works_here(station: Station) -> None:
    """A name and its PIN; nobody is chosen beforehand and nothing else is reachable."""
    window = station.window("").get("/")
    assert "Y tá Thử" in window.text
    assert "Bác sĩ Trạm Thử" in window.text
    for path in ("/home", "/patients/1001", "/consults", "/tray"):
        assert window.get(path).path == "/"
    assert window.post("/staff", staff=NURSE).path == "/pin"
    assert window.get("/home").path == "/"
    assert window.sign_in(NURSE).path == "/home"


def test_a_station_without_staff_says_how_to_add_them(station: Station) -> None:
    """The words for the technician stand on the screen."""
    for person in staff.listing(station.conn):
        staff.retire(station.conn, person.code, now=station.now)
    window = station.window("").get("/")
    assert "chưa có tên nhân viên" in window.text
    assert "tram staff add" in window.text


def test_a_station_its_bridge_does_not_know_says_so_until_it_is_enrolled(tmp_path: Path) -> None:
    """The first page names the station and the paper that is needed; with a certificate in force it no longer does."""
    with make(tmp_path, '[broker]\nhost = "127.0.0.1"\ntls = true\n') as station:
        window = station.window("").get("/")
        assert "chưa ghi danh" in window.text and "tram-0001" in window.text
        assert (code := re.search(r'class="number">([0-9A-Z]{4}-[0-9A-Z]{4})<', window.text)), "the status code stands on the page"
        assert squares(f"TRAM:TRAM-0001:S:{code[1]}")["path"] in window.text, "and in its QR code"
        certificate = station.settings.paths.data / "tls/current/station.pem"
        certificate.parent.mkdir(parents=True)
        certificate.write_text("a certificate of a test\n")
        assert "chưa ghi danh" not in window.get("/").text
        assert 'class="squares"' not in window.text


def test_nobody_can_be_who_does_not_work_here(station: Station) -> None:
    """An unknown or retired code is refused with a sentence."""
    staff.retire(station.conn, "bs2", now=station.now)
    window = station.window("")
    for code in ("", "x", "bs2"):
        assert window.post("/staff", staff=code).status == 400
        assert "Chọn một tên" in window.text
        assert window.post("/pin", staff=code, pin=PINS["bs2"]).status == 400
    assert window.get("/home").path == "/"


def test_switching_staff_is_one_tap_and_forgets_the_patient(station: Station) -> None:
    """The next person at the window has confirmed nobody."""
    window = station.window()
    session = window.open(station.first)
    assert window.post("/staff/leave").path == "/"
    assert FIRST not in window.text
    window.sign_in("bs2")
    assert "/confirm" in window.get(f"/sessions/{session}").path


@pytest.mark.parametrize("typed", ["mot", "MỘT", "dang", "Đặng", "thu nghiem mot", "001061012345", "001 061 012 345", "một 1961"])
def test_a_patient_is_found_whatever_marks_are_typed(station: Station, typed: str) -> None:
    """Names without marks and đ, numbers with spaces, a year beside a name."""
    window = station.window().post("/find", q=typed)
    assert window.path == "/found"
    assert FIRST in window.text
    assert SECOND not in window.text


def test_the_given_name_comes_first(station: Station) -> None:
    """Who has the typed word as given name stands above who has it elsewhere."""
    add_patient(station, 1003, "Một Thử Nghiệm Ba", "1970")
    text = station.window().post("/find", q="mot").text
    assert text.index(FIRST) < text.index("Một Thử Nghiệm Ba")


def test_a_scanned_card_finds_its_owner(station: Station) -> None:
    """The whole QR text in the search field; who is not here may be registered with it."""
    window = station.window()
    card = "{}||{}|30041961|Nữ|Bản Thử, Xã Mẫu|01012022"
    assert FIRST in window.post("/find", q=card.format("001061012345", "Ai Đó")).text
    assert window.path == f"/patients/{station.first}"
    window.post("/find", q=card.format("001061099999", "Người Mới Thử"))
    assert window.path == "/patients/new"
    for value in ("Người Mới Thử", "001061099999", "30/04/1961", "Bản Thử"):
        assert f'value="{value}"' in window.text
    assert 'value="female" checked' in window.text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("00106199999", "có 11 chữ số. CCCD có 12"),
        ("DN6010123456789", "từ 1 đến 5; ở đây là 6"),
        ("00106101234|1|Thử|30041961|Nữ|x|01012022", "12 chữ số, ở đây có 11"),
        ("001061012345~1~Thử~30041961~Nữ~x~01012022", "bàn phím US"),
        ("000 000 0000 0014", "sai một số hoặc đảo hai số"),
        ("https://example.invalid|x", "không phải của thẻ CCCD"),
    ],
)
def test_a_bad_number_or_scan_says_what_to_do_and_keeps_what_was_typed(station: Station, text: str, sentence: str) -> None:
    """The sentence stands on top, the text stands in the field to be put right."""
    window = station.window().post("/find", q=text)
    assert sentence in window.text
    assert f'value="{text}"' in window.text


def test_half_a_code_opens_the_form_with_what_is_certain(station: Station) -> None:
    """The number is filled in, the rest is said; a wrong date leaves its field empty."""
    window = station.window().post("/find", q="001061099999|123456789|Người Mới")
    assert window.path == "/patients/new"
    assert 'value="001061099999"' in window.text
    assert "Mã QR chưa đọc hết" in window.text
    assert 'value="Người Mới"' not in window.text
    window.post("/find", q="001061099999||Người Mới Thử|31021961|Nữ|Bản Thử|01012022")
    assert "Ngày sinh trên mã QR không đúng (31021961)" in window.text
    assert 'value="Người Mới Thử"' in window.text


def test_the_station_number_finds_with_and_without_spaces(station: Station) -> None:
    """What a slip says, as it is read over the telephone."""
    for text in (station_text(station.second), station_number(station.second)):
        assert SECOND in station.window().post("/find", q=text).text


def test_what_is_searched_stays_out_of_addresses(station: Station) -> None:
    """No name and no number is in an address, so none is in a browser's history."""
    window = station.window()
    window.client.post("/find", data={"csrf": window.token(), "q": "001061012345"})
    answer = window.client.post("/find", data={"csrf": window.token(), "q": FIRST})
    assert answer.headers["Location"] == "/found"


def test_an_empty_or_strange_search_finds_nobody_and_does_not_break(station: Station) -> None:
    """Blank, wildcards, control signs, half a QR text."""
    window = station.window()
    assert window.post("/find", q="  ").path == "/home"
    for text in ("%", "_", "'; --", "|||||", "a|b|c|d|e", "\x00\x01", "9" * 500):
        assert window.post("/find", q=text).status == 200
        assert FIRST not in window.text


def test_a_list_shows_what_tells_people_apart(station: Station) -> None:
    """Birth date and age, sex, number, village: banner data in every row."""
    text = station.window().post("/find", q="mot").text
    for fact in ("30-Thg4-1961", "64 tuổi", "Không rõ", "001 061 012 345", "Bản Thử"):
        assert fact in text


def test_the_language_is_vietnamese_until_switched(station: Station) -> None:
    """One tap changes every text of the window; the other window stays as it is."""
    window, other = station.window(), station.window()
    assert "Tìm người bệnh" in window.get("/home").text
    window.post("/language", language="en", back="/home")
    assert window.path == "/home"
    assert "Find a patient" in window.text
    assert "Tìm người bệnh" in other.get("/home").text


def test_an_idle_window_forgets_the_patient(station: Station) -> None:
    """After blank_s without a touch the next touch meets the choice of staff, whatever was open."""
    window = station.window()
    session = window.open(station.first)
    station.hand.turn(301)
    assert window.get(f"/sessions/{session}").path == "/"
    assert FIRST not in window.text
    assert station.count(f"SELECT count(*) FROM session WHERE id = {session} AND ended IS NOT NULL") == 1


def test_the_script_can_blank_the_window(station: Station) -> None:
    """/blank leaves nobody at the window and ends its measuring session."""
    window = station.window()
    session = window.open(station.first)
    assert window.get("/blank").path == "/"
    row = station.conn.execute("SELECT why FROM session WHERE id = ?", (session,)).fetchone()
    assert row[0] == "blanked"
    assert window.get(f"/patients/{station.first}").path == "/"


def test_touches_between_two_requests_count(station: Station) -> None:
    """A page says with its polls how long ago it was touched: a nurse who taps on the page is not away; one who does not, is."""
    window = station.window()
    for _ in range(40):
        station.hand.turn(10)
        window.data("/status.json", idle=2)
    assert window.get("/home").path == "/home"
    for idle in range(10, 401, 10):
        station.hand.turn(10)
        window.data("/status.json", idle=idle)
    assert window.get("/home").path == "/"
