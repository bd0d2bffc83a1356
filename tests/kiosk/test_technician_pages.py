"""The technician's pages with the real field door behind them: what works is offered, what does not is not; nothing of a patient."""

import io
import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest
import segno
from PIL import Image, ImageFilter

from appliance.agent import field
from appliance.agent.camera import NAME as CAMERA
from appliance.agent.camera import Shutter
from appliance.agent.panel import TRY
from appliance.contract.enrolment import Ticket, qr_text
from appliance.database import transaction
from appliance.kiosk import codes
from appliance.kiosk.field import Errand
from appliance.kiosk.screens.technician_pages import DEEDS, PAGES
from appliance.store import acceptance, audit, front, register, staff
from appliance.store.health import Looked
from appliance.store.opening import open_store
from tests.kiosk.room import Room
from tests.kiosk.station import FIRST, LEAD, NURSE, TECHNICIAN, Station, Window, make
from tests.polling import until
from tests.servers import free_port

DECODER = codes.is_there()
UUIDS = ("11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000")


def system(arguments: Sequence[str], _given: str = "") -> str:
    """Programs of the system that answer as NetworkManager would."""
    words = " ".join(arguments)
    if "NAME,UUID,TYPE,DEVICE connection show" in words:
        return f"VSAT:{UUIDS[0]}:802-3-ethernet:eth0\nMobi:{UUIDS[1]}:gsm:\n"
    if "SSID,SIGNAL,SECURITY" in words:
        return "Trạm xá:77:WPA2\n"
    return ""


def plugged(sys: Path) -> None:
    """A USB adapter in port 1-1.2, as the kernel shows it."""
    interface = sys / "devices" / "usb1" / "1-1.2" / "1-1.2:1.0"
    tty = interface / "ttyUSB0" / "tty" / "ttyUSB0"
    tty.mkdir(parents=True)
    for name, text in (("idVendor", "10c4"), ("idProduct", "ea60"), ("product", "CP2102"), ("serial", "0001")):
        (interface.parent / name).write_text(text)
    (tty / "type").write_text("4\n")
    (tty / "device").symlink_to(interface / "ttyUSB0")
    (sys / "class" / "tty").mkdir(parents=True)
    (sys / "class" / "tty" / "ttyUSB0").symlink_to(tty)


@dataclass
class Desk:
    """A technician's window at a station whose field door is open."""

    station: Station
    window: Window

    def done(self) -> str:
        """The page of an errand's result, once it has come."""
        one: Errand = self.station.app.extensions["field"]
        until(lambda: one.state != "busy", 20, what="the field door to answer")
        return unescape(self.window.get("/technician/busy").text)


@pytest.fixture
def desk(station: Station, tmp_path: Path) -> Iterator[Desk]:
    """The real door, in a thread, on programs of a system that is not there."""
    plugged(tmp_path / "sys")
    conn = open_store(station.settings, {}, any_thread=True)
    work = field.Work(conn, station.settings, station.clock, tmp_path / "rules", tmp_path / "units", system, tmp_path / "sys")
    door = field.Door(station.settings.paths.run / field.NAME, work, allowed=lambda _uid, _gid: True)
    ended = threading.Event()
    thread = threading.Thread(target=field.run, args=(door,), kwargs={"stopping": ended.is_set})
    thread.start()
    yield Desk(station, station.window(TECHNICIAN))
    ended.set()
    thread.join(10)
    conn.close()


def text(window: Window) -> str:
    """What the page says."""
    return unescape(window.text)


def test_without_the_door_nothing_of_it_is_offered(station: Station) -> None:
    """No dead button: network, enrolment, devices and logs are not on the first page; asked for all the same they say why not."""
    window = station.window(TECHNICIAN).get("/home")
    assert "/technician/accept" in window.text
    for page in ("enrol", "network", "devices", "logs"):
        assert f'"/technician/{page}"' not in window.text
    assert window.get("/technician/network").status == 404
    assert window.post("/technician/enrol", token="0000-0000-0000-0000-0000-00BJ").status == 404


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_page_opens_and_says_nothing_of_a_patient(desk: Desk, page: str) -> None:
    """With an acceptance under way and a patient in the store; a camera that is not there is a sentence."""
    acceptance.begin(desk.station.conn, staff=TECHNICIAN, now=desk.station.now)
    answer = desk.window.client.get(f"/technician/{page}", follow_redirects=True)
    assert answer.status_code in (200, 404), answer.text
    assert FIRST not in answer.text if answer.mimetype == "text/html" else answer.data.startswith(b"%PDF-")


def test_no_deed_is_a_nurses(station: Station) -> None:
    """Every deed is refused for who is neither technician nor lead."""
    window = station.window(NURSE)
    token = window.token()
    for deed in DEEDS:
        assert window.client.post(f"/technician/{deed}", data={"csrf": token}).status_code == 403


def test_a_slip_of_the_finger_is_told_before_anything_leaves_the_box(desk: Desk) -> None:
    """23 signs, a wrong letter, another QR code: a sentence at the field; the right form goes on its way and fails in words."""
    for token, words in (("ABC", "24 chữ"), ("0000-0000-0000-0000-0000-00BK", "Gõ nhầm"), ("TRAM1/x", "Không phải mã QR")):
        desk.window.post("/technician/enrol", token=token)
        assert words in text(desk.window)
    desk.window.post("/technician/enrol", token="0000-0000-0000-0000-0000-00BJ")
    assert "Có vấn đề" in desk.done()


def test_connections_are_chosen_and_the_line_is_tried(desk: Desk) -> None:
    """What NetworkManager has, a modem's name for the network, a Wi-Fi with its passphrase; each ends with a try of the line."""
    page = text(desk.window.get("/technician/network"))
    assert "VSAT" in page
    assert "đang dùng" in page
    desk.window.post("/technician/use", uuid=UUIDS[1])
    assert "Máy chủ tin nhắn" in desk.done()
    desk.window.post("/technician/apn", apn="v internet")
    assert "v-internet" in desk.done()
    desk.window.post("/technician/apn", apn="v-internet")
    assert "Máy chủ tin nhắn" in desk.done()
    assert "Trạm xá" in text(desk.window.get("/technician/wifi"))
    page = text(desk.window.get("/technician/join?number=0"))
    assert 'value="Trạm xá"' in page
    assert 'data-keys="ascii"' in page, "a passphrase needs every sign of a keyboard"
    desk.window.post("/technician/wifi", name="Trạm xá", passphrase="ngan")
    assert "8 đến 63" in desk.done()


def test_a_port_is_bound_and_its_value_moves_on_the_page(desk: Desk) -> None:
    """Choose port, choose device, see what it says; nurses find it among the devices at once; taken off, it is gone."""
    window, station = desk.window, desk.station
    assert "Cổng 1-1.2" in text(window.get("/technician/devices"))
    assert "contec-cms50" in window.get("/technician/driver?place=usb:1-1.2:1.0").text
    window.post("/technician/bind", place="usb:1-1.2:1.0", driver="contec-cms50")
    desk.done()
    assert [one.name for one in register.bindings(station.conn)] == ["spo1"]
    assert "spo1" in station.kiosk.settings.devices
    station.live("spo1", numerics=[{"metric": "SPO2", "value": 97, "unit": "%", "status": []}])
    assert "SpO₂ 97 %" in text(window.get("/technician/bound?name=spo1"))
    window.post("/technician/unbind", name="spo1")
    desk.done()
    assert "spo1" not in station.kiosk.settings.devices


def test_a_patients_values_are_not_a_technicians(desk: Desk) -> None:
    """While a device measures a patient its page says so and shows no number."""
    session = desk.station.window(NURSE).open(desk.station.first, "oxi")
    desk.station.live("oxi", session=session, numerics=[{"metric": "SPO2", "value": 91, "unit": "%", "status": []}])
    page = text(desk.window.get("/technician/bound?name=oxi"))
    assert "đang đo cho người bệnh" in page
    assert "91" not in re.sub(r"<[^>]*>", "", page.split("<main")[1].split("</main>")[0])


def test_the_acceptance_goes_through_its_pages(station: Station) -> None:
    """Begin, a measurement of nobody, waivers with a chosen and a typed reason, signature, slip; a nurse's page is never in it."""
    window = station.window(TECHNICIAN)
    window.get("/technician/accept")
    assert "Bắt đầu nghiệm thu" in text(window)
    window.post("/technician/begin")
    assert "Ký nghiệm thu" not in text(window)
    station.hand.turn(2)
    station.measure("oxi", None, SPO2=97, PULSE_RATE=71)
    assert window.data("/technician.json")["page"] != ""
    assert "✓ Máy đo SpO₂" in text(window.get("/technician/accept"))
    window.post("/technician/waive", step="link", reason="x")
    assert "Ghi lý do" in text(window)
    for step in ("enrolment", "link", "bridge"):
        window.post("/technician/waive", step=step, chosen="Chưa có SIM hoặc chưa có đường mạng")
    window.post("/technician/waive", step="device:cuff", reason="Máy đo đang đi hiệu chuẩn")
    window.post("/technician/sign")
    assert "Trạm đã nghiệm thu" in text(window)
    assert "Máy đo đang đi hiệu chuẩn" in text(window)
    assert (station.settings.paths.data / acceptance.FILE).exists()
    slip = window.client.get("/technician/slip.pdf?size=roll")
    assert slip.data.startswith(b"%PDF-")


def test_the_panels_try_is_asked_for_and_judged(station: Station) -> None:
    """A fresh panel is offered the try; the wish lies in the run folder; after the press a person calls it good."""
    window = station.window(TECHNICIAN)
    window.post("/technician/begin")
    station.live("_panel", state="ready", trying=False, tried_ns=0)
    assert "Trong 20 giây" in text(window.get("/technician/panel"))
    window.post("/technician/panel")
    assert json.loads((station.settings.paths.run / TRY).read_text())["boottime_ns"] == station.hand.ns
    station.live("_panel", state="ready", trying=True, tried_ns=0)
    assert "Bấm nút gọi một lần" in text(window.get("/technician/panel"))
    station.live("_panel", state="ready", trying=False, tried_ns=station.hand.ns)
    assert "Nút gọi: tốt" in text(window.get("/technician/panel"))
    window.post("/technician/saw", step="panel")
    assert "✓ Đèn, còi, nút gọi" in text(window)


def test_who_installs_a_station_makes_themself_known_once(station: Station) -> None:
    """Only where nobody ever worked and no patient is known: retiring everybody opens nothing, nor does an emptied team."""
    window = station.window("")
    assert window.get("/setup").path == "/"
    for person in staff.listing(station.conn):
        staff.retire(station.conn, person.code, now=station.now)
    assert window.get("/setup").path == "/"
    assert window.post("/setup", name="Kẻ Lạ", pin="357140", again="357140").status == 409
    with transaction(station.conn):
        station.conn.execute("DELETE FROM staff")
    assert window.get("/setup").path == "/", "there are patients"
    with transaction(station.conn):
        station.conn.execute("DELETE FROM patient")
    window.post("/setup", name="Kỹ Thuật Mới", pin="123456", again="123456")
    assert "Có vấn đề" in text(window)
    window.post("/setup", name="Kỹ Thuật Mới", pin="357140", again="357140")
    assert window.path == "/home"
    assert "Trưởng trạm đầu tiên" in text(window)
    window.post("/technician/lead", name="Trưởng Mới", pin="620958", again="620958")
    assert [one.role for one in staff.listing(station.conn)].count(staff.LEAD) == 1
    assert window.post("/technician/lead", name="Trưởng Hai", pin="620958", again="620958").status == 409
    assert LEAD == "tt1"


def squeeze(window: Window, cuff: Room) -> int:
    """The technician starts the cuff on their own arm; the trial's session."""
    window.post("/technician/begin")
    token = window.token()
    cuff.while_pressing(lambda: window.post("/technician/trial", csrf=token, device="cuff"))
    cuff.run(0.2)
    assert "DỪNG, xả hơi" in text(window.get("/technician/try?name=cuff"))
    return int(cuff.station.conn.execute("SELECT max(id) FROM session WHERE patient = 0").fetchone()[0])


def test_a_technician_tries_the_cuff_on_their_own_arm(station: Station, cuff: Room) -> None:
    """One press, one cycle, held by the page that asks; the result is nobody's, goes up as test data, and proves the device."""
    window = station.window(TECHNICIAN)
    session = squeeze(window, cuff)

    def passed() -> bool:
        window.data(f"/technician.json?device=cuff&session={session}")
        return any(one.name == "device:cuff" and one.state == "passed" for one in acceptance.steps(looked(station)))

    cuff.run(4, lambda: cuff.pressure() > 60 if not passed() else True)
    cuff.run(20, passed)
    assert "✓" in text(window.get("/technician/try?name=cuff"))
    assert "Tâm thu" in text(window)
    assert station.count("SELECT count(*) FROM observation") == 0
    assert station.conn.execute("SELECT why FROM measurement").fetchone()[0] == "acceptance"


@pytest.mark.parametrize("stopped", [True, False])
def test_the_cuff_lets_go_when_nobody_looks_or_stop_is_touched(station: Station, cuff: Room, stopped: bool) -> None:
    """The page is left: the air goes out within seconds. Stopped: at once."""
    window = station.window(TECHNICIAN)
    squeeze(window, cuff)
    cuff.run(2, lambda: cuff.pressure() > 40)
    if stopped:
        window.post("/technician/stop", device="cuff")
        assert not station.kiosk.cuffs.holds("cuff")
    else:
        cuff.run(3.5)
        until(lambda: not station.kiosk.cuffs.holds("cuff"), what="the kiosk to let go")
    cuff.run(5, lambda: cuff.pressure() == 0)
    assert station.count("SELECT count(*) FROM measurement") == 0


def looked(station: Station) -> Looked:
    """What the steps are made of."""
    return Looked(station.conn, station.settings, station.now, station.hand.ns)


def test_a_printers_queue_takes_the_paper_and_the_page_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a queue is named the PDF goes to `lp`, and the technician is where they can say that it was sharp."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tmp_path / "box").mkdir()
    (tools / "lp").write_text(f"#!/bin/sh\ncat > {tmp_path}/paper.pdf\n")
    (tools / "lp").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    with make(tmp_path / "box") as station:
        kiosk = replace(station.settings.kiosk, printer="giay")
        station.kiosk.settings = replace(station.settings, kiosk=kiosk)
        window = station.window(TECHNICIAN)
        window.post("/technician/begin")
        window.get("/technician/test.pdf")
        assert window.path == "/technician/printer"
        assert "Máy in đã nhận" in text(window)
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF-")


def held_up(code: str, turned: float = 14) -> bytes:
    """What the camera sees of a paper with this code: small in the picture, askew, a little out of focus, in a dim room."""
    drawn, out = io.BytesIO(), io.BytesIO()
    segno.make(code, error="m", micro=False).save(drawn, kind="png", scale=7, border=6)
    paper = Image.open(drawn).convert("RGB").rotate(turned, expand=True, fillcolor=(120, 118, 110))
    room = Image.new("RGB", (1920, 1080), (120, 118, 110))
    room.paste(paper, (700, 260))
    room.point(lambda value: 20 + value // 2).filter(ImageFilter.GaussianBlur(1.3)).save(out, "JPEG", quality=75)
    return out.getvalue()


def before_the_camera(station: Station, photo: bytes) -> Shutter:
    """The real door of the box's camera, with a picture instead of a lens."""
    return Shutter(station.settings.paths.run / CAMERA, take=lambda: photo, allowed=lambda _uid, _gid: True)


def scan(desk: Desk, photo: bytes) -> str:
    """The technician photographs; what the page says then."""
    shutter = before_the_camera(desk.station, photo)
    camera = threading.Thread(target=shutter.turn, args=(20,))
    camera.start()
    desk.window.post("/technician/scan")
    camera.join(20)
    shutter.close()
    return text(desk.window)


@pytest.mark.skipif(not DECODER, reason="libzbar0 is not installed")
def test_the_paper_before_the_camera_enrols_without_a_letter_typed(desk: Desk) -> None:
    """The code is read off the photo and goes on its way as a typed one does: to the door that the paper names."""
    ticket = Ticket(bytes(range(16)), "tram-0001", "127.0.0.1", free_port(), bytes(32))
    code = qr_text(ticket)
    assert "Chụp mã QR" not in text(desk.window.get("/technician/enrol")), "no camera, no button"
    scan(desk, held_up(code))
    assert desk.window.path == "/technician/busy"
    assert "Có vấn đề" in desk.done()  # nobody answers at that door
    assert ("field.enrol", TECHNICIAN) in {(one.action, one.actor) for one in audit.entries(desk.station.conn)}


@pytest.mark.skipif(not DECODER, reason="libzbar0 is not installed")
def test_a_photo_without_the_code_is_a_sentence_and_the_letters_can_be_typed(desk: Desk) -> None:
    """No code, another code, no photo, a camera that gives nothing: each in words on the page where the 24 letters are typed."""
    for photo, words in (
        (held_up("https://example.org/"), "Không phải mã QR ghi danh"),
        (b"no photo", "Không thấy mã QR"),
        (b"", "Camera không trả lời"),
    ):
        said = scan(desk, photo)
        assert words in said
        assert 'name="token"' in said
    assert "field.enrol" not in {one.action for one in audit.entries(desk.station.conn)}


def test_the_page_of_other_computers_shows_address_and_fingerprint(tmp_path: Path) -> None:
    """What is typed there and what its browser must show, as the certificate on the disk says; without one it says so."""
    with make(tmp_path, f'[lan]\naddress = "10.77.0.1"\ncertificate = "{tmp_path}/lan.pem"\n') as station:
        window = station.window(TECHNICIAN)
        assert "/technician/lan" in window.get("/home").text
        assert "chưa mở cho máy khác" in text(window.get("/technician/lan"))
        front.ensure(tmp_path / "lan.pem", "10.77.0.1", datetime(2026, 3, 1, tzinfo=UTC))
        page = text(window.get("/technician/lan"))
        assert "https://10.77.0.1" in page
        octets = front.fingerprint(tmp_path / "lan.pem").split(":")
        assert " ".join(octets[8:16]) in page
