"""The technician's commands, as a technician types them, on a real store and with a device on a pseudo-terminal."""

import argparse
import json
import os
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.cli import main
from appliance.commands import processes
from appliance.commands.box import open_box
from appliance.devices.registry import ROWS
from appliance.devices.sim.script import simulate
from appliance.store import audit, register
from tests.devices.test_binding import Tree
from tests.store.station import Station

FRAME = bytes.fromhex("0181010083") + bytes.fromhex("01800148CA") + bytes.fromhex("01800161E3")


class Cable:
    """A pseudo-terminal: what is written to it is counted; with a driver's name a simulated device answers, else `says` is sent."""

    def __init__(self, link: Path, driver: str = "", says: bytes = b"", **options: str) -> None:
        self.ours, self._theirs = os.openpty()
        self.link = link
        link.symlink_to(os.ttyname(self._theirs))
        self.heard = b""
        self._script = simulate(driver, seed=3, options=options) if driver else None
        self._says = says
        self._stop = threading.Event()
        os.set_blocking(self.ours, False)
        tty.setraw(self._theirs)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            try:
                heard = os.read(self.ours, 4096)
            except OSError:
                heard = b""
            self.heard += heard
            if self._script is not None:
                self._script.feed(heard, now)
                data = self._script.output(now)
            else:
                data = self._says
            try:
                os.write(self.ours, data)
            except OSError:
                continue  # nobody reads: the line is full

    def close(self) -> None:
        """Pull it."""
        self._stop.set()
        self._thread.join()
        os.close(self.ours)
        os.close(self._theirs)


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Any]:
    """A function that makes cables; all are pulled with the test."""
    made: list[Cable] = []

    def make(name: str, driver: str = "", says: bytes = b"", **options: str) -> Cable:
        made.append(Cable(tmp_path / name, driver, says, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def tram(station: Station, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command: (exit code, standard output, standard error)."""
    paths, key = station.settings.paths, station.settings.store.key_file
    file = tmp_path / "tram.toml"
    file.write_text(
        f'environment = "{station.settings.environment}"\n[station]\nid = "{station.settings.station.id}"\n'
        f'[paths]\ndata = "{paths.data}"\nrun = "{paths.run}"\n[store]\nkey_file = "{key}"\nballast_mb = 0\n'
    )
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["--config", str(file), "device", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    run.file = file  # type: ignore[attr-defined]
    return run


def test_a_port_is_bound_listed_and_unbound(tram: Any, station: Station, tmp_path: Path) -> None:
    """By its USB path, with its inventory number and calibration, noted in the audit; the next list has it no more."""
    (tmp_path / "machine").mkdir()
    tree = Tree(tmp_path / "machine")
    tree.serial("1-1.2", "ttyUSB0", "10c4:ea60", "cp210x", serial="0001")
    sys = ("--sys", str(tree.sys))
    words = ("--name", "spo2", "--inventory", "TB-1", "--calibrated", "2025-05-01", "--next-calibration", "2026-05-01")
    code, out, _err = tram("bind", "1-1.2", "contec-cms50", *words, *sys)
    assert (code, json.loads(out)["place"]) == (0, "usb:1-1.2:1.0")
    found = register.get(station.conn, "spo2")
    assert found is not None
    assert (found.driver, found.inventory, found.calibrated, found.next_calibration) == ("contec-cms50", "TB-1", "2025-05-01", "2026-05-01")
    assert audit.entries(station.conn)[0].action == "device.bind"
    code, out, _err = tram("list", "--json", *sys)
    (row,) = [json.loads(line) for line in out.splitlines()]
    assert (row["place"], row["ids"], row["serial"], row["adapter"], row["name"], row["driver"], row["state"]) == (
        "1-1.2:1.0", "10c4:ea60", "0001", "CP210x", "spo2", "contec-cms50", "no collector",
    )  # fmt: skip
    assert tram("unbind", "spo2")[0] == 0
    assert json.loads(tram("list", "--json", *sys)[1])["state"] == "unbound"
    assert audit.entries(station.conn)[0].action == "device.unbind"
    assert tram("unbind", "spo2")[0] == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("1-1.2", "nonin", "--name", "a-b"), "no hyphen"),
        (("1-1.2", "nosuch", "--name", "a"), "known: and-ua767"),
        (("/dev/ttyUSB3", "nonin", "--name", "a"), "expected the USB port path"),
        (("hid", "nonin", "--name", "a"), "over a serial line"),
        (("1-1.2", "nonin", "--name", "a", "--calibrated", "1.5.2026"), "such as 2026-05-01"),
        (("1-1.2", "nonin", "--name", "a", "--calibrated", "2026-05-01", "--next-calibration", "2026-05-01"), "a day after"),
        (("1-1.2", "nonin", "--name", "a", "--patient-type", "cat"), "adult, paediatric, neonate"),
        (("1-1.2", "hl7-mllp", "--name", "a"), "tram-listen@"),
        (("tcp://192.168.10.1:2575", "nonin", "--name", "a"), "tram-collect@"),
        (("tcp://0.0.0.0:2575", "hl7-mllp", "--name", "a"), "own address inside the station"),
        (("tcp://192.168.10.1:2575", "hl7-mllp", "--name", "a"), "--experimental"),
        (("1-1.2", "maibobo", "--name", "a"), "--experimental"),
        (("1-1.3", "nonin", "--name", "a"), "is bound to other"),
        (("1-1.2", "contec-cms50", "--name", "a", "--inventory", "TB-1"), "other's already"),
    ],
)
def test_what_cannot_be_bound_is_refused_in_words(tram: Any, station: Station, words: tuple[str, ...], expected: str) -> None:
    """The argument, what was expected, an example; and nothing is kept."""
    new = register.Binding("other", "usb:1-1.3:1.0", "contec-cms50", inventory="TB-1")
    register.bind(station.conn, new, actor="an", now=station.now)
    code, _out, err = tram("bind", *words)
    assert code == 1
    assert expected in err
    assert [one.name for one in register.bindings(station.conn)] == ["other"]


def test_the_technician_switches_an_experimental_driver_on(tram: Any, station: Station) -> None:
    """Only with --experimental; the audit says so in its own word."""
    assert tram("bind", "1-1.2", "maibobo", "--name", "desk", "--experimental")[0] == 0
    found = register.get(station.conn, "desk")
    assert found is not None
    assert found.experimental
    assert audit.entries(station.conn)[0].action == "device.experimental"


def test_a_section_and_a_binding_of_one_device_are_an_error_with_both_named(tram: Any, station: Station) -> None:
    """At binding, and at collecting when the section came later; the file's section is the one in force."""
    file: Path = tram.file
    before = file.read_text()
    file.write_text(before + '[devices.spo2]\ndriver = "nonin"\nport = "/dev/ttyAMA0"\n')
    code, _out, err = tram("bind", "1-1.2", "contec-cms50", "--name", "spo2")
    assert code == 1
    assert "[devices.spo2]" in err and "binding spo2" in err
    file.write_text(before)
    assert tram("bind", "1-1.2", "contec-cms50", "--name", "spo2")[0] == 0
    file.write_text(before + '[devices.spo2]\ndriver = "nonin"\nport = "/dev/ttyAMA0"\n')
    assert register.in_force(station.conn, station.settings).devices["spo2"].driver == "contec-cms50"
    assert main(["--config", str(file), "collect", "spo2", "--once"]) == 1


def test_a_recording_is_read_back_by_decode(tram: Any, cable: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The bytes that came are the bytes that `decode` reads, all of them frames; the file belongs to its owner and is never replaced."""
    line = cable("spo2", "contec-cms50", finger="in")
    assert tram("bind", str(line.link), "contec-cms50", "--name", "spo2", "--simulated")[0] == 0
    file = tmp_path / "spo2.txt"
    code, out, _err = tram("record", "spo2", str(file), "--seconds", "1.5")
    said = json.loads(out)
    assert code == 0
    assert said["bytes"] > 200
    assert file.stat().st_mode & 0o777 == 0o600
    assert main(["device", "decode", "contec-cms50", str(file)]) == 0
    totals = json.loads(capsys.readouterr().out.splitlines()[-1])["totals"]
    assert (totals["bytes"], totals["noise_bytes"]) == (said["bytes"], 0)
    assert totals["samples"] > 20
    assert tram("record", "spo2", str(file), "--seconds", "0.1")[0] == 75


def test_a_bound_device_is_tested_and_watched(tram: Any, cable: Any) -> None:
    """It is asked who it is, because its driver writes; its values and the counts are shown, in plain lines where there is no terminal."""
    line = cable("spo2", "contec-cms50", finger="in")
    assert tram("bind", str(line.link), "contec-cms50", "--name", "spo2", "--simulated")[0] == 0
    code, out, _err = tram("test", "spo2", "--seconds", "2.5")
    assert code == 0
    assert "identity: CMS50E" in out
    assert "values: SPO2" in out
    assert "noise 0 of" in out
    assert line.heard != b""
    code, out, _err = tram("monitor", "spo2", "--seconds", "2.2")
    assert code == 0
    assert "\x1b" not in out
    assert "SPO2" in out.splitlines()[-1]


def test_no_byte_goes_to_a_port_that_is_not_bound(tram: Any, cable: Any, tmp_path: Path) -> None:
    """Listed, tested, watched and recorded with a driver that would write, and a bound one that only listens: not one byte."""
    unbound, listening = cable("unbound", says=FRAME), cable("listening", "nonin", finger="in")
    assert tram("list")[0] == 0
    as_oximeter = ("--driver", "contec-cms50")
    assert tram("test", str(unbound.link), *as_oximeter, "--seconds", "0.5")[0] == 75, "nothing was understood"
    assert tram("monitor", str(unbound.link), *as_oximeter, "--seconds", "0.5")[0] == 0
    assert tram("record", str(unbound.link), str(tmp_path / "a.txt"), *as_oximeter, "--seconds", "0.5")[0] == 0
    assert tram("test", str(unbound.link), "--seconds", "0.5")[0] == 1, "whose language?"
    assert tram("bind", str(listening.link), "nonin", "--name", "xpod", "--simulated")[0] == 0
    assert tram("test", "xpod", "--seconds", "1")[0] == 0
    assert tram("monitor", "xpod", "--seconds", "0.5")[0] == 0
    assert tram("record", "xpod", str(tmp_path / "b.txt"), "--seconds", "0.5")[0] == 0
    assert (unbound.heard, listening.heard) == (b"", b"")


def test_a_device_with_a_collector_is_watched_through_its_live_file(tram: Any, station: Station, cable: Any) -> None:
    """The port is the collector's: nothing is opened; state, values and health come from the live file, also into the list."""
    line = cable("spo2", says=b"")
    assert tram("bind", str(line.link), "contec-cms50", "--name", "spo2", "--simulated")[0] == 0
    live = {
        "state": "measuring", "numerics": [{"metric": "SPO2", "value": 97, "unit": "%", "status": []}], "signals": {"pleth": 3},
        "bad_ratio": 0.12, "silence_s": 4, "reopenings": 2, "alarm": True, "boottime_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    }  # fmt: skip
    (station.settings.paths.run / "spo2.live").write_text(json.dumps(live))
    _code, out, _err = tram("monitor", "spo2", "--seconds", "0.3")
    assert "state: measuring | values: SPO2 97 % | signals: pleth 3 | health: ALARM bad 12.0 % · silent 4 s · reopened 2/h" in out
    assert line.heard == b""
    row = next(json.loads(each) for each in tram("list", "--json")[1].splitlines() if '"spo2"' in each)
    assert (row["state"], row["health"]) == ("measuring", "ALARM bad 12.0 % · silent 4 s · reopened 2/h")


def test_a_device_that_is_not_there_is_told_by_its_name(tram: Any, cable: Any) -> None:
    """Watched, tested or recalled: which devices there are, and what else could be meant. A device without a memory says that."""
    for word in ("test", "monitor", "recall"):
        code, _out, err = tram(word, "spo2")
        assert code == 1
        assert "Không có máy spo2" in err
        assert "chưa gắn máy nào" in err
    assert tram("bind", str(cable("xpod").link), "nonin", "--name", "xpod", "--simulated")[0] == 0
    assert "Đang có: xpod" in tram("monitor", "spo2")[2]
    assert "đường cổng USB" in tram("test", "spo2")[2]
    code, _out, err = tram("recall", "xpod")
    assert (code, "không có bộ nhớ" in err) == (1, True)


def test_a_memory_is_not_asked_for_where_nobody_can(tram: Any, cable: Any) -> None:
    """Without its collector the command opens nothing itself: no byte is written, and it says whom to call."""
    line = cable("oxi", says=b"")
    assert tram("bind", str(line.link), "contec-cms50", "--name", "oxi", "--simulated")[0] == 0
    code, _out, err = tram("recall", "oxi")
    assert code == 75
    assert "Gọi kỹ thuật" in err
    assert line.heard == b""


def test_rules_are_printed_and_installed(tram: Any, tmp_path: Path) -> None:
    """What is bound is in them; installed with the drop-in that ends the collector with its adapter."""
    assert tram("bind", "1-1.2", "contec-cms50", "--name", "spo2")[0] == 0
    code, out, _err = tram("rules")
    assert code == 0
    assert 'SYMLINK+="tram/spo2"' in out
    file, units = tmp_path / "60-tram.rules", tmp_path / "units"
    assert tram("rules", "--install", "--rules-file", str(file), "--units-dir", str(units))[0] == 0
    assert file.read_text() == out
    assert "BindsTo=dev-tram-spo2.device" in (units / "tram-collect@spo2.service.d" / "adapter.conf").read_text()


def test_every_driver_is_in_the_table(tram: Any) -> None:
    """With title, metrics, whether it writes, whether it is in service and what it was proved on."""
    rows = [json.loads(line) for line in tram("drivers", "--json")[1].splitlines()]
    assert [one["name"] for one in rows] == list(ROWS)
    suntech = next(one for one in rows if one["name"] == "suntech-nibp")
    assert (suntech["writes"], suntech["use"]) == ("writes", "in service")
    assert "specification" in suntech["proved on"]
    assert tram("drivers")[1].splitlines()[0].split()[:2] == ["NAME", "TITLE"]


def test_a_known_usb_cuff_binds_itself_and_nothing_else_does(tram: Any, station: Station) -> None:
    """Contec's cuff has ids of its own: its collector keeps the binding, made by nobody. Omron's two share theirs: none."""

    def bound(name: str) -> register.Binding | None:
        args = argparse.Namespace(config=[tram.file], device=name)
        return processes._bound(args, open_box(args))

    made = bound("contec08a")
    assert made is not None
    assert (made.driver, made.port, made.actor) == ("contec08a", "hid", "")
    assert register.get(station.conn, "contec08a") == made
    assert bound("omronhem790") is None
    assert bound("nonin") is None
