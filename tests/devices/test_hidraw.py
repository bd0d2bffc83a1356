"""The door to /dev/hidraw*: found by ids, whole reports in and out; a pseudo-terminal stands in for a node, uhid where there is one."""

import fcntl
import os
import struct
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.devices import hidraw
from appliance.devices.driver import Hid
from appliance.devices.drivers.omron_hem import HEM790, OmronHem
from appliance.devices.errors import DeviceError, PortAbsentError, PortUsedError
from appliance.devices.events import Notice, Said, Send, Word
from appliance.devices.hidraw import HidPort, found, ids_of, set_feature
from appliance.devices.port import open_port
from appliance.devices.registry import ROWS
from appliance.devices.sim.script import simulate
from tests.polling import until

CUFF = Hid(0x0590, 0x0028, report=8, feature=2)
KEYBOARD, OMRON, CONTEC = "0003:0000046D:0000C31C", "0003:00000590:00000028", "0003:00000483:00005750"


class Bench:
    """A folder of nodes as the kernel lists them, and of what stands for their devices."""

    def __init__(self, folder: Path) -> None:
        self.nodes, self.devices = folder / "class", folder / "dev"
        self.devices.mkdir()

    def node(self, name: str, ids: str) -> Path:
        """A node; its device is made by whoever wants one."""
        (self.nodes / name / "device").mkdir(parents=True)
        (self.nodes / name / "device" / "uevent").write_text(f"DRIVER=hid-generic\nHID_ID={ids}\nHID_NAME=Cuff\n")
        return self.devices / name

    def open(self, path: str = "hid", hid: Hid = CUFF) -> HidPort:
        """As the door opens it, on this bench."""
        return HidPort(path, hid, nodes=self.nodes, devices=self.devices)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A keyboard, and nothing to measure with."""
    bench = Bench(tmp_path)
    os.mkfifo(bench.node("hidraw0", KEYBOARD))
    return bench


@pytest.fixture
def device(bench: Bench) -> Iterator[int]:
    """The far end of a cuff that is hidraw3: a pseudo-terminal, which keeps bytes in order as a node does."""
    master, slave = os.openpty()
    tty.setraw(slave)
    bench.node("hidraw3", OMRON).symlink_to(os.ttyname(slave))
    os.set_blocking(master, False)
    yield master
    os.close(slave)
    try:
        os.close(master)
    except OSError:
        return


def test_ids_come_from_the_kernel() -> None:
    """Not from a name: what cannot be read names nothing."""
    assert ids_of(f"HID_ID={OMRON}\n") == (0x0590, 0x0028)
    assert [ids_of(text) for text in ("", "HID_ID=", "HID_ID=0003:0590", "HID_ID=0003:xyz:0028", "HID_NAME=0003:1:2")] == [None] * 5


def test_devices_are_found_by_their_ids(bench: Bench) -> None:
    """In the order of their numbers; a node that vanishes while it is looked at is no error."""
    for name, ids in (("hidraw10", OMRON), ("hidraw2", OMRON), ("hidraw3", CONTEC)):
        bench.node(name, ids)
    (bench.nodes / "hidraw4").mkdir()
    assert found(CUFF, bench.nodes) == ["hidraw2", "hidraw10"]
    assert found(Hid(0x0483, 0x5750, report=64), bench.nodes) == ["hidraw3"]
    assert found(CUFF, bench.nodes / "nowhere") == []


def test_what_is_not_plugged_in_is_absent(bench: Bench) -> None:
    """No node of its ids, or a node without a device."""
    with pytest.raises(PortAbsentError, match="0590:0028"):
        bench.open()
    bench.node("hidraw1", OMRON)
    with pytest.raises(PortAbsentError, match="no such device"):
        bench.open()


def test_two_of_a_kind_must_be_named(bench: Bench) -> None:
    """Which of them is whose, nobody can tell from their ids."""
    for name in ("hidraw1", "hidraw2"):
        os.mkfifo(bench.node(name, OMRON))
    with pytest.raises(DeviceError, match="hidraw1, hidraw2"):
        bench.open()
    link = bench.devices / "cuff-of-room-2"
    link.symlink_to(bench.devices / "hidraw2")
    port = bench.open(str(link))
    assert port.name == str(link)
    port.close()


def test_no_byte_reaches_a_keyboard(bench: Bench) -> None:
    """A path that leads to other ids is not opened, whoever wrote it into the settings."""
    with pytest.raises(PortAbsentError, match="not a HID device 0590:0028"):
        bench.open(str(bench.devices / "hidraw0"))


def test_whole_reports_in_and_out(bench: Bench, device: int) -> None:
    """Reports are read as they are and written behind the zero that the kernel wants."""
    port = bench.open()
    assert (port.fileno() is not None, port.read(0)) == (True, b"")
    os.write(device, bytes.fromhex("024E4F0000000000 074F4B0008041510"))
    assert until(lambda: port.read(0), what="two reports") == bytes.fromhex("024E4F0000000000 074F4B0008041510")
    port.write(bytes.fromhex("0747444300010000 0101000000000000"), 0)
    assert os.read(device, 100) == bytes.fromhex("00 0747444300010000 00 0101000000000000")
    port.close()
    port.close()


def test_a_mode_is_a_feature_report(bench: Bench, device: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bytes go by HIDIOCSFEATURE(3), behind the zero; what stands in for the node here refuses it, and that is said."""
    port = bench.open()
    with pytest.raises(DeviceError, match="cannot write"):
        port.write(b"\x01\x01", 0)
    asked: list[tuple[int, bytes]] = []
    monkeypatch.setattr(hidraw.fcntl, "ioctl", lambda _fd, request, data: asked.append((request, data)))
    port.write(b"\x74\xbc", 0)
    assert asked == [(0xC0034806, b"\x00\x74\xbc")]
    monkeypatch.undo()
    with pytest.raises(BlockingIOError):
        os.read(device, 1)
    port.close()


def test_set_feature_is_the_kernels_number() -> None:
    """_IOC(read | write, 'H', 6, length) of linux/hidraw.h."""
    assert [hex(set_feature(size)) for size in (2, 3, 65)] == ["0xc0024806", "0xc0034806", "0xc0414806"]


def test_a_device_in_use_is_not_opened_twice(bench: Bench, device: int) -> None:
    """Another program of ours that holds it is seen."""
    port = bench.open()
    with pytest.raises(PortUsedError):
        bench.open()
    port.close()
    bench.open().close()


def test_a_device_pulled_out(bench: Bench, device: int) -> None:
    """An error that means: wait and try again."""
    port = bench.open()
    os.close(device)
    with pytest.raises(DeviceError, match="gone"):
        port.read(0)
    with pytest.raises(DeviceError):
        port.write(bytes(8), 0)
    port.close()


def test_a_memory_through_the_door(bench: Bench, device: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Driver, door and a simulated cuff behind a node: the whole memory comes through as reports."""
    cuff = simulate("omron-hem790", seed=4, options={"stored": "3"})
    monkeypatch.setattr(fcntl, "ioctl", lambda _fd, _request, data: cuff.feed(data[1:], 0))
    port, driver = bench.open(), OmronHem(HEM790)
    said: list[Said] = driver.recall(0)
    sent = 0

    def read() -> bool:
        nonlocal sent
        for each in said[sent:]:
            if isinstance(each, Send):
                port.write(each.data, 0)
        sent = len(said)
        try:
            written = os.read(device, 4096)
        except BlockingIOError:
            written = b""
        cuff.feed(b"".join(written[at + 1 : at + 9] for at in range(0, len(written), 9)), 0)
        os.write(device, cuff.output(0))
        said.extend(driver.feed(port.read(0), 0))
        return any(isinstance(each, Notice) and each.text == "memory-read" for each in said)

    until(read, what="the end of the memory")
    assert Notice(Word.STATE, "memory-read", 6) in said
    port.close()


def test_the_registry_opens_this_door() -> None:
    """A row with ids instead of a line is looked for among HID devices (there is none of these here), a simulated one is not."""
    if found(CUFF):
        pytest.skip("a real Omron cuff is plugged in")
    with pytest.raises(PortAbsentError, match="0590:0028"):
        open_port("hid", ROWS["omron-hem790"].line)
    port = open_port("sim://omron-hem790", ROWS["omron-hem790"].line)
    assert port.simulated
    port.close()


# --- a kernel's own node --------------------------------------------------------------------------------------------

DESCRIPTOR = bytes.fromhex("0600FF0901A101 150026FF00 7508 9508 0901 8102 0901 9102 9502 0901 B102 C0".replace(" ", ""))
"""Vendor page: eight bytes in, eight bytes out, two bytes of feature, no report numbers."""
CREATE, INPUT = 11, 12


def test_a_node_of_the_kernel() -> None:
    """A cuff made by uhid: found by its ids, and a report comes through as it was sent."""
    if not os.access("/dev/uhid", os.R_OK | os.W_OK):
        pytest.skip("no /dev/uhid here, or not for this user: the kernel's own hidraw node is not tested")
    if found(CUFF):
        pytest.skip("a real Omron cuff is plugged in")
    uhid = os.open("/dev/uhid", os.O_RDWR | os.O_NONBLOCK)
    try:
        head = struct.pack("<I128s64s64sHHIIII", CREATE, b"Cuff", b"", b"", len(DESCRIPTOR), 3, CUFF.vid, CUFF.pid, 0, 0)
        os.write(uhid, head + DESCRIPTOR.ljust(4096, b"\x00"))
        names = until(lambda: found(CUFF), what="the node")
        until(lambda: os.access(f"/dev/{names[0]}", os.R_OK | os.W_OK), what="its device")
        port = open_port("hid", CUFF)
        os.write(uhid, struct.pack("<IH", INPUT, 8) + bytes.fromhex("024F4B0000000000").ljust(4096, b"\x00"))
        assert until(lambda: port.read(0), what="a report") == bytes.fromhex("024F4B0000000000")
        port.close()
    finally:
        os.close(uhid)
