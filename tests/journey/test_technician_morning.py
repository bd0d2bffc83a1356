"""A technician's morning: the commands that set a box up and look after it, then the screen, which shows no patient to a technician.

The commands are those of ``docs/vi/ky-thuat-vien.md``, run as a person runs them; the kiosk is the real program.
"""

import json
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

from appliance.demo import places
from appliance.demo.broker import free_ports
from appliance.demo.children import Program
from appliance.devices.sim.suntech_nibp import result
from tests import servers
from tests.journey.stage import OURSELVES, READY_S
from tests.journey.windows import Window, browser
from tests.polling import until

SMALL, LARGE = {"width": 800, "height": 480}, {"width": 1280, "height": 800}
PINS = {"lan": "620958", "kt1": "357140", "y1": "480713"}
PEOPLE = {"lan": ("Trưởng Trạm Thử", "lead"), "kt1": ("Kỹ Thuật Thử", "technician"), "y1": ("Y Tá Thử", "nurse")}
PATIENT = "Đặng Thử Nghiệm Một"
SETTINGS = """
environment = "test"
[station]
id = "tram-0001"
name = "Trạm Y tế xã Thử Nghiệm"
[paths]
data = "data"
run = "run"
[store]
key_file = "store.key"
ballast_mb = 1
group = ""
[kiosk]
port = {port}
secret_file = "kiosk.secret"
[duty]
name = "Trực thử nghiệm"
phone = "0000 000 000"
[devices.cuff]
driver = "suntech-nibp"
port = "/dev/null/cuff"
name = "Máy đo huyết áp"
"""


def tram(file: Path, *words: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """One command with these settings."""
    command = servers.as_person(OURSELVES, places.tram("--config", file, *words))
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=READY_S)


def ok(done: subprocess.CompletedProcess[str]) -> str:
    """What a command printed that has succeeded."""
    assert done.returncode == 0, done.stderr
    return done.stdout


def set_up(folder: Path, port: int) -> Path:
    """A settings file, checked; a store; the lead, a nurse and a technician with their PINs, which no command line holds."""
    file, wrong = folder / "tram.toml", folder / "wrong.toml"
    file.write_text(SETTINGS.format(port=port), encoding="utf-8")
    wrong.write_text(file.read_text(encoding="utf-8").replace("suntech-nibp", "suntec"), encoding="utf-8")
    assert ok(tram(file, "config", "--check", file)).strip() == "ok"
    refused = tram(file, "config", "--check", wrong)
    assert refused.returncode == 1
    assert "devices.cuff.driver" in refused.stderr
    box = folder / "box.json"
    ok(tram(file, "init", "--export", box))
    assert json.loads(box.read_text(encoding="utf-8"))["station"] == "tram-0001"
    ok(tram(file, "init"))  # a second run changes nothing
    for code, (name, role) in PEOPLE.items():
        ok(tram(file, "staff", "add", code, "--name", name, "--role", role, "--pin", given=f"{PINS[code]}\n"))
    listed = [json.loads(line) for line in ok(tram(file, "staff", "list")).splitlines()]
    assert {one["code"]: one["role"] for one in listed} == {code: role for code, (_name, role) in PEOPLE.items()}
    assert all(one["pin"] == "set" for one in listed)
    assert not any(pin in path.read_text(errors="ignore") for pin in PINS.values() for path in folder.rglob("*") if path.is_file())
    return file


def recordings(folder: Path, file: Path) -> None:
    """What a device has said is read without a station; a wrong driver's name is told."""
    said = folder / "ghi.hex"
    said.write_text(" ".join(f"{byte:02X}" for byte in result(118, 76, 88, 71)), encoding="ascii")
    lines = [json.loads(line) for line in ok(tram(file, "device", "decode", "suntech-nibp", "--hex", said)).splitlines()]
    assert "118" in json.dumps(lines)
    assert tram(file, "device", "decode", "suntec", "--hex", said).returncode == 2


@pytest.mark.slow
def test_a_technicians_morning(tmp_path: Path, artefacts: Path) -> None:
    """Settings, init, staff, a recording, the health address; at the screen a technician sees the box and not a byte of a patient."""
    pictures = artefacts / "technician"
    pictures.mkdir(exist_ok=True)
    (port,) = free_ports(1)
    file = set_up(tmp_path, port)
    recordings(tmp_path, file)
    (tmp_path / "run").mkdir(exist_ok=True)
    program = Program("kiosk", places.tram("--config", file, "kiosk"))
    process = servers.start(servers.as_person(OURSELVES, program.command), tmp_path / "kiosk.log")
    try:
        until(lambda: servers.listens(port), within=READY_S, every=0.1, what="the kiosk")
        at_the_screen(f"http://127.0.0.1:{port}", pictures)
    finally:
        servers.stop(process)
    log = (tmp_path / "kiosk.log").read_text(encoding="utf-8", errors="replace")
    assert PATIENT not in log
    assert not any(pin in log for pin in PINS.values())


def at_the_screen(origin: str, pictures: Path) -> None:
    """The nurse registers somebody and hands over; the technician's pages; a page about patients is refused in words."""
    with browser() as chromium:
        window = Window(chromium, "kt", SMALL, pictures, touch=True)  # type: ignore[arg-type]
        page = window.page

        def look(name: str) -> None:
            window.picture(f"{name}-800")
            page.set_viewport_size(LARGE)  # type: ignore[arg-type]
            window.picture(f"{name}-1280")
            page.set_viewport_size(SMALL)  # type: ignore[arg-type]

        def sign_in(code: str) -> None:
            page.get_by_role("button", name=PEOPLE[code][0]).tap()
            expect(page.get_by_role("heading", name=PEOPLE[code][0])).to_be_visible()
            for digit in PINS[code]:
                page.get_by_role("button", name=digit, exact=True).tap()
            page.wait_for_url("**/home")

        health = page.request.get(f"{origin}/health").json()
        assert (health["ok"], health["station"]) == (True, "tram-0001")
        assert PATIENT not in json.dumps(health, ensure_ascii=False)
        page.goto(origin)
        look("chon-ten")
        sign_in("y1")
        page.goto(f"{origin}/patients/new")
        page.get_by_label("Họ và tên").fill(PATIENT)
        page.get_by_label("Ngày sinh").fill("1961")
        page.get_by_role("radio", name="Nữ", exact=True).tap()
        page.get_by_role("button", name="Tiếp").tap()
        page.get_by_role("button", name="Tiếp").tap()
        page.get_by_role("radio", name="Đã hỏi: không có").tap()
        page.get_by_role("button", name="Đăng ký").tap()
        expect(page.get_by_text("Đã đăng ký.")).to_be_visible()
        patient = page.url
        page.get_by_role("button", name=PEOPLE["y1"][0]).tap()
        sign_in("kt1")
        expect(page.get_by_text("Kỹ thuật viên không xem thông tin người bệnh.")).to_be_visible()
        look("viec-ky-thuat")
        page.get_by_role("link", name="Mục cần kiểm tra").tap()
        expect(page.get_by_role("heading", name="Mục cần kiểm tra")).to_be_visible()
        look("muc-can-kiem-tra")
        assert window.complaints == []
        for path in (patient, f"{origin}/patients", f"{origin}/log"):
            page.goto(path)
            expect(page.get_by_text("Nhờ").first).to_be_visible()
            assert PATIENT not in page.content()
        look("khong-duoc-mo")
        assert all("403" in one for one in window.complaints)
        window.close()
