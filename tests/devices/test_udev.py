"""The udev rules: each binding by its place, known HID devices by their ids, nothing by an adapter's ids alone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.devices import udev
from appliance.devices.binding import GENERIC
from appliance.devices.udev import drop_ins, rules
from appliance.store.register import Binding

BOUND = [
    Binding("spo2", "usb:1-1.2:1.0", "contec-cms50"),
    Binding("uart", "/dev/ttyAMA0", "nonin"),
    Binding("cuff", "usb:1-1.5:1.0", "omron-hem790", experimental=True),
    Binding("desk", "sim://nonin", "nonin", simulated=True),
]
TOKEN = re.compile(r'[A-Z]+(?:\{[A-Za-z_]+\})?(?:==|!=|\+=|=|:=)"[^"\\]*"')


def statements(text: str) -> list[dict[str, str]]:
    """The rules as key with operator and value; every line must be made of tokens alone."""
    found = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        tokens = TOKEN.findall(line)
        assert ", ".join(tokens) == line, line
        found.append(dict(re.split(r'(?<=[=])(?=")', token, maxsplit=1) for token in tokens))
    return found


def test_a_bound_port_is_named_started_and_left_alone() -> None:
    """Symlink, unit wanted, no ModemManager on port and device, FTDI's latency, all by the place on the tree."""
    found = statements(rules(BOUND))
    (tty,) = [one for one in found if one.get("SYMLINK+=") == '"tram/spo2"']
    assert tty == {
        "SUBSYSTEM==": '"tty"', "KERNELS==": '"1-1.2:1.0"', "ENV{ID_MM_DEVICE_IGNORE}=": '"1"', "GROUP=": '"tram"', "MODE=": '"0660"',
        "SYMLINK+=": '"tram/spo2"', "TAG+=": '"systemd"', "ENV{SYSTEMD_WANTS}+=": '"tram-collect@spo2.service"',
    }  # fmt: skip
    assert {
        "SUBSYSTEM==": '"usb"', "ENV{DEVTYPE}==": '"usb_device"', "KERNEL==": '"1-1.2"', "ENV{ID_MM_DEVICE_IGNORE}=": '"1"',
    } in found  # fmt: skip
    assert {
        "SUBSYSTEM==": '"usb-serial"', "KERNELS==": '"1-1.2:1.0"', "DRIVER==": '"ftdi_sio"', "ATTR{latency_timer}=": '"1"',
    } in found  # fmt: skip
    (uart,) = [one for one in found if one.get("SYMLINK+=") == '"tram/uart"']
    assert uart["KERNEL=="] == '"ttyAMA0"'


def test_no_rule_speaks_of_a_generic_adapter_by_its_ids() -> None:
    """The next 3G modem may have the same chip."""
    text = rules(BOUND)
    for ids in GENERIC:
        assert f'"{ids.split(":")[0]}"' not in text


def test_known_hid_devices_are_readable_and_experimental_ones_start_nothing() -> None:
    """Group and mode for all of them; a unit only for what is bound or in service; ids that two families share get no name."""
    hid = [one for one in statements(rules([])) if one.get("SUBSYSTEM==") == '"hidraw"']
    assert {one["ATTRS{idVendor}=="] for one in hid} == {'"0483"', '"0590"'}
    assert all((one["GROUP="], one["MODE="]) == ('"tram"', '"0660"') for one in hid)
    assert not any("ENV{SYSTEMD_WANTS}+=" in one for one in hid)
    assert [one.get("SYMLINK+=", "") for one in hid] == ['"tram/contec08a"', ""]
    bound = [one for one in statements(rules(BOUND)) if one.get("SYMLINK+=") == '"tram/cuff"']
    assert [(one["KERNELS=="], one["ENV{SYSTEMD_WANTS}+="]) for one in bound] == [('"1-1.5:1.0"', '"tram-collect@cuff.service"')]
    by_ids = [one for one in statements(rules([Binding("omron", "hid", "omron-hem790")])) if "ATTRS{idVendor}==" in one]
    assert [one.get("SYMLINK+=", "") for one in by_ids] == ['"tram/omron"', '"tram/contec08a"']


def test_a_collector_ends_with_its_adapter() -> None:
    """A drop-in for each real binding; a simulated one has no adapter to wait for."""
    found = drop_ins(BOUND)
    assert set(found) == {f"tram-collect@{name}.service.d/adapter.conf" for name in ("spo2", "uart", "cuff")}
    assert "BindsTo=dev-tram-spo2.device\n" in found["tram-collect@spo2.service.d/adapter.conf"]


def test_udev_itself_accepts_the_rules(tmp_path: Path) -> None:
    """``udevadm verify`` where this machine's udev has it (from 254 on)."""
    program = shutil.which("udevadm") or "/sbin/udevadm"
    knows = Path(program).exists() and "verify" in subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    if not knows:
        pytest.skip("no udevadm verify on this machine")
    file = tmp_path / Path(udev.FILE).name
    file.write_text(rules(BOUND))
    done = subprocess.run([program, "verify", "--resolve-names=never", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
