"""What is plugged in, read from a tree with the layout of a real /sys: places, ids, adapters, and the way from a place to its node."""

import os
from pathlib import Path

import pytest

from appliance.devices import binding
from appliance.devices.binding import Found, PlaceError, canonical, known_hid, open_bound, ports, resolve
from appliance.devices.driver import Hid, Line
from appliance.devices.errors import PortAbsentError
from appliance.devices.port import Port
from appliance.devices.registry import ROWS


class Tree:
    """A /sys as Linux 6.1 lays it out on a Raspberry Pi 4: devices below the host controller, classes full of links."""

    def __init__(self, root: Path) -> None:
        self.sys, self.dev = root / "sys", root / "dev"
        for each in ("class/tty", "class/hidraw", "bus/usb-serial/drivers", "bus/usb/drivers", "bus/hid/drivers"):
            (self.sys / each).mkdir(parents=True)
        self.dev.mkdir()
        self.usb = self.sys / "devices/platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0/usb1/1-1"
        self.usb.mkdir(parents=True)
        for number in range(64):  # consoles: no device behind them
            self._entry("tty", f"tty{number}", self.sys / f"devices/virtual/tty/tty{number}", None)

    def _entry(self, kind: str, name: str, folder: Path, device: Path | None) -> Path:
        folder.mkdir(parents=True)
        if device is not None:
            (folder / "device").symlink_to(os.path.relpath(device, folder))
        (self.sys / "class" / kind / name).symlink_to(os.path.relpath(folder, self.sys / "class" / kind))
        return folder

    def _driver(self, at: Path, bus: str, name: str) -> None:
        driver = self.sys / "bus" / bus / "drivers" / name
        driver.mkdir(exist_ok=True)
        (at / "driver").symlink_to(os.path.relpath(driver, at))

    def _device(self, path: str, ids: str, serial: str, product: str) -> Path:
        folder = self.usb / path
        folder.mkdir(exist_ok=True)
        vid, pid = ids.split(":")
        for name, text in (("idVendor", vid), ("idProduct", pid), ("serial", serial), ("product", product)):
            if text:
                (folder / name).write_text(f"{text}\n")
        return folder

    def serial(self, path: str, node: str, ids: str, driver: str, *, interface: str = "1.0", serial: str = "", product: str = "") -> Path:
        """An adapter with a usb-serial driver."""
        device = self._device(path, ids, serial, product)
        port = device / f"{path}:{interface}" / node
        port.mkdir(parents=True)
        self._driver(port, "usb-serial", driver)
        self._entry("tty", node, port / "tty" / node, port)
        return device

    def acm(self, path: str, node: str, ids: str) -> None:
        """A device of the class CDC-ACM: its tty hangs on the interface itself."""
        interface = self._device(path, ids, "", "Modem") / f"{path}:1.0"
        interface.mkdir()
        self._driver(interface, "usb", "cdc_acm")
        self._entry("tty", node, interface / "tty" / node, interface)

    def hid(self, path: str, node: str, ids: str) -> None:
        """A HID device: its node hangs below a device of the bus hid."""
        vid, pid = ids.upper().split(":")
        hid = self._device(path, ids, "", "Blood Pressure Monitor") / f"{path}:1.0" / f"0003:{vid}:{pid}.0001"
        hid.mkdir(parents=True)
        (hid / "uevent").write_text(f"DRIVER=hid-generic\nHID_ID=0003:0000{vid}:0000{pid}\n")
        self._driver(hid, "hid", "hid-generic")
        self._entry("hidraw", node, hid / "hidraw" / node, hid)

    def uart(self, node: str, kind: str) -> None:
        """A UART of the board; kind 0 is one that the kernel lists and that does not exist."""
        board = self.sys / f"devices/platform/soc/{node}.serial"
        board.mkdir(parents=True)
        folder = self._entry("tty", node, board / "tty" / node, board)
        (folder / "type").write_text(f"{kind}\n")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """An empty machine."""
    return Tree(tmp_path)


def test_every_port_is_found_with_its_place_and_ids(tree: Tree) -> None:
    """Two cables with serial 0001, an FTDI, an ACM modem, a cuff over HID, the board's UART; no console and no UART that is not there."""
    tree.serial("1-1.2", "ttyUSB1", "10c4:ea60", "cp210x", serial="0001", product="CP2102 USB to UART Bridge Controller")
    tree.serial("1-1.3", "ttyUSB0", "10c4:ea60", "cp210x", serial="0001", product="CP2102 USB to UART Bridge Controller")
    tree.serial("1-1.4", "ttyUSB2", "0403:6001", "ftdi_sio", serial="A10K1234", product="FT232R USB UART")
    tree.acm("1-1.1", "ttyACM0", "19d2:0016")
    tree.hid("1-1.5", "hidraw0", "0590:0028")
    tree.uart("ttyAMA0", "32")
    tree.uart("ttyS1", "0")
    found = {one.place: one for one in ports(tree.sys, tree.dev)}
    assert set(found) == {"usb:1-1.2:1.0", "usb:1-1.3:1.0", "usb:1-1.4:1.0", "usb:1-1.1:1.0", "usb:1-1.5:1.0", str(tree.dev / "ttyAMA0")}
    one = found["usb:1-1.2:1.0"]
    assert (one.node, one.ids, one.serial, one.kernel_driver, one.adapter) == (
        str(tree.dev / "ttyUSB1"), "10c4:ea60", "0001", "cp210x", "CP210x",
    )  # fmt: skip
    assert found["usb:1-1.4:1.0"].adapter == "FTDI"
    assert (found["usb:1-1.1:1.0"].kernel_driver, found["usb:1-1.1:1.0"].adapter) == ("cdc_acm", "")
    assert (found["usb:1-1.5:1.0"].hid, found["usb:1-1.5:1.0"].ids) == (True, "0590:0028")
    assert resolve("usb:1-1.3:1.0", tree.sys, tree.dev) == str(tree.dev / "ttyUSB0")


def test_an_adapter_with_two_ports_has_two_places(tree: Tree) -> None:
    """The interface tells them apart, and a path that does not is refused with both names."""
    tree.serial("1-1.2", "ttyUSB0", "0403:6010", "ftdi_sio", interface="1.0")
    tree.serial("1-1.2", "ttyUSB1", "0403:6010", "ftdi_sio", interface="1.1")
    there = ports(tree.sys, tree.dev)
    assert canonical("1-1.2:1.1", there) == "usb:1-1.2:1.1"
    with pytest.raises(PlaceError, match=r"name one of 1-1\.2:1\.0, 1-1\.2:1\.1"):
        canonical("1-1.2", there)


def test_a_path_is_completed_and_a_passing_name_is_refused(tree: Tree) -> None:
    """1-1.3 is enough where one port is there, or none yet; ttyUSB0 is answered with the path it has now."""
    tree.serial("1-1.3", "ttyUSB0", "1a86:7523", "ch341", interface="1.2")
    there = [
        Found(one.place, one.node.replace(str(tree.dev), "/dev"), one.ids, "", "", one.kernel_driver) for one in ports(tree.sys, tree.dev)
    ]
    assert there[0].adapter == "CH340"
    assert canonical("1-1.3", there) == canonical("usb:1-1.3", there) == "usb:1-1.3:1.2"
    assert canonical("1-1.4", there) == "usb:1-1.4:1.0"
    assert canonical("/dev/ttyAMA0", there) == "/dev/ttyAMA0"
    assert canonical("hid", there) == "hid"
    with pytest.raises(PlaceError, match=r"for example 1-1\.3:1\.2"):
        canonical("/dev/ttyUSB0", there)
    for wrong in ("ttyUSB0", "1", "usb:", "1-1.2:"):
        with pytest.raises(PlaceError, match="expected a USB port path"):
            canonical(wrong, there)


def test_a_place_where_nothing_is_plugged_in_is_absent(tree: Tree) -> None:
    """As a cable that is not there: wait and look again."""
    with pytest.raises(PortAbsentError):
        resolve("usb:1-1.2:1.0", tree.sys, tree.dev)
    with pytest.raises(PortAbsentError):
        open_bound("usb:1-1.2:1.0", Line(9600), tree.sys, tree.dev)


def test_a_node_that_went_to_another_adapter_is_given_back(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapter was pulled while its node was opened, and the number went to the next one: nothing is ever written to that."""
    ours, other = os.openpty()
    tree.serial("1-1.2", "ttyUSB0", "10c4:ea60", "cp210x")
    (tree.dev / "ttyUSB0").symlink_to(os.ttyname(other))
    open_bound("usb:1-1.2:1.0", Line(9600), tree.sys, tree.dev).close()
    real = binding.open_port

    def pulled(path: str, line: Line | Hid) -> Port:
        """Opens as ever; when it is done the adapter is in another port."""
        port = real(path, line)
        os.rename(tree.usb / "1-1.2" / "1-1.2:1.0", tree.usb / "1-1.2" / "1-1.2:1.9")
        link = tree.sys / "class" / "tty" / "ttyUSB0"
        link.unlink()
        link.symlink_to(tree.usb / "1-1.2" / "1-1.2:1.9" / "ttyUSB0" / "tty" / "ttyUSB0")
        return port

    monkeypatch.setattr(binding, "open_port", pulled)
    with pytest.raises(PortAbsentError):
        open_bound("usb:1-1.2:1.0", Line(9600), tree.sys, tree.dev)
    monkeypatch.undo()
    open_bound("usb:1-1.2:1.9", Line(9600), tree.sys, tree.dev).close()  # it was given back
    os.close(ours)
    os.close(other)


def test_a_place_that_has_another_node_by_now_is_given_back(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugged in anew between looking and opening: what was opened may be another device's line by now."""
    ours, other = os.openpty()
    tree.serial("1-1.2", "ttyUSB0", "10c4:ea60", "cp210x")
    (tree.dev / "ttyUSB0").symlink_to(os.ttyname(other))
    real = binding.open_port

    def renumbered(path: str, line: Line | Hid) -> Port:
        """Opens as ever; when it is done the place has the next number."""
        port = real(path, line)
        (tree.sys / "class" / "tty" / "ttyUSB0").unlink()
        tree.serial("1-1.2", "ttyUSB1", "10c4:ea60", "cp210x")
        return port

    monkeypatch.setattr(binding, "open_port", renumbered)
    with pytest.raises(PortAbsentError, match="anew"):
        open_bound("usb:1-1.2:1.0", Line(9600), tree.sys, tree.dev)
    os.close(ours)
    os.close(other)


def test_ids_that_two_families_share_bind_nothing() -> None:
    """Omron's two cuffs say the same ids: a person has to say which; Contec's is alone with its own."""
    known = known_hid(ROWS.values())
    assert "contec08a" in known
    assert not {"omronhem790", "omronhem7301"} & set(known)
