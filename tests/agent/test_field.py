"""The field door: a short list of verbs for a technician at the screen; everybody and everything else is refused in words."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from appliance.agent import field as door
from appliance.agent import network
from appliance.agent.field import Door, Work
from appliance.store import audit, register, staff
from tests.store.station import Station, station_at

UUIDS = ("11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000")


@dataclass
class System:
    """Programs of the system that answer as NetworkManager would; what they were asked is written down, as it would be in a log."""

    asked: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    wifi_works: bool = True
    udev_works: bool = True

    def __call__(self, arguments: Sequence[str], given: str = "") -> str:
        """One program with its arguments and its standard input."""
        self.asked.append((tuple(arguments), given))
        words = " ".join(arguments)
        if arguments[0] == "udevadm" and not self.udev_works:
            raise OSError("udevadm: Failed to send reload request")
        if "NAME,UUID,TYPE,DEVICE connection show" in words:
            return f"Dây\\: VSAT:{UUIDS[0]}:802-3-ethernet:eth0\nMobi:{UUIDS[1]}:gsm:\nlo:x:loopback:lo\n"
        if "SSID,SIGNAL,SECURITY" in words:
            return "Trạm:41:WPA2\nTrạm:77:WPA2\nMở:30:\n:90:WPA2\n"
        if "up id tram-wifi" in words and not self.wifi_works:
            raise OSError("nmcli: Error: Connection activation failed: Secrets were required, but not provided.")
        return ""


@dataclass
class Field:
    """A station with its door open, and somebody who asks."""

    station: Station
    system: System
    door: Door
    work: Work

    def ask(self, verb: str, *, staff: str = "kt1", **said: str) -> dict[str, Any]:
        """A wish and its answer."""
        return self.send(json.dumps({"do": verb, "staff": staff, **said}).encode())

    def send(self, packet: bytes) -> dict[str, Any]:
        """Any bytes and what comes back."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
            line.connect(str(self.door.path))
            line.send(packet)
            assert self.door.turn(5.0)
            answer = line.recv(65_536)
        found: dict[str, Any] = json.loads(answer) if answer else {}
        return found


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Field]]:
    """Makes one field; everything is closed with the test."""
    made: list[Field] = []

    def make(allowed: Callable[[int, int], bool] = lambda _uid, _gid: True) -> Field:
        station, system = station_at(tmp_path), System()
        station.settings.paths.run.mkdir(exist_ok=True)
        for code, role in (("kt1", staff.TECHNICIAN), ("y1", staff.NURSE)):
            staff.add(station.conn, code=code, name="Thử", role=role, now=station.now)
        work = Work(station.conn, station.settings, station.clock, tmp_path / "rules", tmp_path / "units", system, tmp_path / "sys")
        one = Field(station, system, Door(station.settings.paths.run / door.NAME, work, allowed=allowed), work)
        made.append(one)
        return one

    yield make
    for one in made:
        one.door.close()
        one.station.conn.close()


def test_only_a_technicians_wish_is_heard(opened: Callable[..., Field]) -> None:
    """A nurse, nobody, an unknown verb, junk and too much of it are refused in words; nothing of the system is asked."""
    one = opened()
    for answer in (
        one.ask("networks", staff="y1"), one.ask("networks", staff=""), one.ask("networks", staff="xx"), one.ask("sh", command="id"),
        one.send(b"\xff"), one.send(b"[]"), one.send(b'{"do": ["use"], "staff": {"a": 1}}'), one.send(b"x" * 5000),
    ):  # fmt: skip
        assert answer["ok"] is False
        assert answer["vi"]
    assert one.system.asked == []
    assert (one.door.path.stat().st_mode & 0o777) == 0o660


def test_another_program_hears_nothing(opened: Callable[..., Field]) -> None:
    """Who is not of the station's group gets no answer at all."""
    one = opened(allowed=lambda _uid, _gid: False)
    with pytest.raises(ConnectionResetError):
        one.ask("networks")
    assert one.system.asked == []


def test_connections_are_shown_and_chosen(opened: Callable[..., Field]) -> None:
    """Those in use first, names with colons whole, each Wi-Fi once by its best signal; what is no connection is refused."""
    one = opened()
    found = one.ask("networks")
    assert [(each["name"], each["device"]) for each in found["known"]] == [("Dây: VSAT", "eth0"), ("Mobi", "")]
    assert [(each["name"], each["strength"], each["locked"]) for each in found["wifi"]] == [("Trạm", 77, True), ("Mở", 30, False)]
    assert one.ask("use", uuid="--help")["ok"] is False
    assert one.ask("use", uuid=UUIDS[1])["ok"] is True
    assert ("nmcli", "--wait", network.WAIT_S, "connection", "up", "uuid", UUIDS[1]) in [words for words, _given in one.system.asked]
    assert next(each.action for each in audit.entries(one.station.conn)) == "field.use"


@pytest.mark.parametrize("apn", ["", "v internet", "v-internet;reboot", "-x", "x\n", "a" * 64])
def test_an_apn_is_a_name_and_nothing_else(opened: Callable[..., Field], apn: str) -> None:
    """A wrong one is refused with an example before any program runs."""
    one = opened()
    answer = one.ask("apn", apn=apn)
    assert (answer["ok"], "v-internet" in answer["en"]) == (False, True)
    assert one.system.asked == []


def test_an_apn_goes_into_the_modems_connection(opened: Callable[..., Field]) -> None:
    """The one there is, by its number, as one argument."""
    one = opened()
    assert one.ask("apn", apn="v-internet")["ok"] is True
    asked = [words for words, _given in one.system.asked]
    assert ("nmcli", "connection", "modify", "uuid", UUIDS[1], "gsm.apn", "v-internet") in asked


def test_a_passphrase_stands_in_no_list_of_processes_and_a_wrong_one_leaves_nothing(opened: Callable[..., Field]) -> None:
    """It goes by standard input; when the Wi-Fi does not come up its connection is taken away again."""
    one = opened()
    assert one.ask("wifi", name="Trạm", passphrase="mat khau 12")["ok"] is True
    assert not any("mat khau" in " ".join(words) for words, _given in one.system.asked)
    assert any("psk mat khau 12\n" in given for _words, given in one.system.asked)
    for wrong in ("short", "x" * 64, "mật khẩu dài", "abcdefgh\nsave"):
        assert one.ask("wifi", name="Trạm", passphrase=wrong)["ok"] is False
    one.system.wifi_works = False
    answer = one.ask("wifi", name="Trạm", passphrase="mat khau 12")
    assert answer["ok"] is False
    assert one.system.asked[-1][0] == ("nmcli", "connection", "delete", "id", network.WIFI)
    assert "mat khau" not in json.dumps(answer)


def test_a_port_is_bound_by_its_place_and_gone_again(opened: Callable[..., Field]) -> None:
    """The next free name, the rules and udev's news; an experimental driver, a passing name and a taken port are refused."""
    one = opened()
    made = one.ask("bind", place="usb:1-1.2:1.0", driver="contec-cms50")
    assert (made["ok"], made["name"]) == (True, "spo1")
    assert register.bindings(one.station.conn)[0].actor == "kt1"
    assert "1-1.2" in one.work.rules.read_text(encoding="utf-8")
    assert ("udevadm", "control", "--reload") in [words for words, _given in one.system.asked]
    for place, driver in (
        ("usb:1-1.2:1.0", "nonin"),
        ("/dev/ttyUSB0", "nonin"),
        ("usb:1-1.3:1.0", "no-such"),
        ("usb:1-1.3:1.0", "hl7-mllp"),
    ):
        assert one.ask("bind", place=place, driver=driver)["ok"] is False
    assert one.ask("bind", place="usb:1-1.3:1.0", driver="suntech-nibp")["name"] == "cuff1"
    assert [each["name"] for each in one.ask("ports")["bound"]] == ["cuff1", "spo1"]
    assert one.ask("unbind", name="spo1")["ok"] is True
    assert "1-1.2" not in one.work.rules.read_text(encoding="utf-8")
    assert one.ask("unbind", name="spo1")["ok"] is False


def test_a_port_whose_rules_were_not_taken_can_be_bound_again(opened: Callable[..., Field]) -> None:
    """When udev fails the technician presses once more: the same device, its rules read this time, one entry in the list."""
    one = opened()
    one.system.udev_works = False
    assert one.ask("bind", place="usb:1-1.2:1.0", driver="contec-cms50")["ok"] is False
    one.system.udev_works = True
    one.system.asked.clear()
    assert one.ask("bind", place="usb:1-1.2:1.0", driver="contec-cms50")["name"] == "spo1"
    assert ("udevadm", "control", "--reload") in [words for words, _given in one.system.asked]
    assert [each.name for each in register.bindings(one.station.conn)] == ["spo1"]


def test_a_try_of_the_line_says_what_is_wrong(opened: Callable[..., Field]) -> None:
    """A port that is shut and one that answers, in words; an unknown token says so and a wrong letter too."""
    one = opened()
    with socket.create_server(("127.0.0.1", 0)) as there:
        good = there.getsockname()[1]
        assert network.reach("127.0.0.1", good) is None
    shut = network.reach("127.0.0.1", good)
    assert shut is not None
    assert str(good) in shut[0]
    (place,) = one.ask("contact")["places"]
    assert place["what"] == "broker"
    assert one.ask("enrol", token="ABCD")["ok"] is False


def test_it_ends_when_nobody_asks_and_gives_its_socket_back(opened: Callable[..., Field]) -> None:
    """Started by systemd when somebody asks, it goes after a while; its own socket goes with it."""
    one = opened()
    running = threading.Thread(target=door.run, args=(one.door,), kwargs={"stopping": lambda: False, "idle_turns": 1})
    running.start()
    running.join(10)
    assert not running.is_alive()
    assert not one.door.path.exists()


def test_the_certificate_is_where_the_settings_look_and_one_that_was_brought_stays(opened: Callable[..., Field], tmp_path: Path) -> None:
    """Links lead to what enrolment laid down, so that the next renewal is followed; a file that is there is not touched."""
    one = opened()
    laid = one.station.settings.paths.data / "tls" / "current"
    laid.mkdir(parents=True)
    for name in ("station.pem", "station.key", "ca.pem"):
        (laid / name).write_text(f"{name} of the enrolment\n")
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "ca.pem").write_text("brought by somebody\n")
    (etc / "station.key").symlink_to(etc / "nowhere")
    broker = replace(one.station.settings.broker, cert=etc / "station.pem", key=etc / "station.key", ca=etc / "ca.pem")
    for _ in range(2):
        door.hand_over(replace(one.station.settings, broker=broker), owner="no-such-user-here")
    assert (etc / "station.pem").read_text() == "station.pem of the enrolment\n"
    assert (etc / "station.key").read_text() == "station.key of the enrolment\n"
    assert (etc / "ca.pem").read_text() == "brought by somebody\n"
