"""What is plugged in, and by which name it is known for good: the place on the USB tree, never the number of a tty.

A generic adapter says nothing about what is behind it (CP2102 cables all have the serial number 0001, an FTDI may be anything), and
``ttyUSB0`` is whoever came first. So a technician binds a *place* to a driver: ``usb:1-1.2:1.0`` is the interface 1.0 of what is
plugged into port 2 of the hub in port 1 of bus 1. Everything is read from sysfs; nothing here opens a port but `open_bound`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.devices.driver import LAN, Hid, Line, Row
from appliance.devices.errors import DeviceError, PortAbsentError
from appliance.devices.hidraw import ids_of
from appliance.devices.port import Port, open_port

SYS, DEV = Path("/sys"), Path("/dev")
USB = "usb:"
HID = "hid"
"""The port of a HID device that is found by its ids."""
INTERFACE = re.compile(r"\d+-\d+(?:\.\d+)*:\d+\.\d+")
DEVICE = re.compile(r"\d+-\d+(?:\.\d+)*")
GENERIC = {"10c4:ea60": "CP210x", "0403:6001": "FTDI", "0403:6015": "FTDI", "1a86:7523": "CH340", "067b:2303": "PL2303"}
"""Adapters whose ids prove nothing about what is behind them (devices facts 22)."""
PASSING = re.compile(r"/dev/(?:tty(?:USB|ACM)|hidraw)\d+")
"""Names that belong to another device after the next plugging in."""


class PlaceError(ValueError):
    """A place that cannot be bound. `vi` and `en` are for the technician."""

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(en)
        self.vi, self.en = vi, en


@dataclass(frozen=True, slots=True)
class Found:
    """A port that is there now. `place` is its name for good, `node` its name until it is pulled out; empty text = not known."""

    place: str
    node: str
    ids: str
    serial: str
    product: str
    kernel_driver: str
    hid: bool = False

    @property
    def adapter(self) -> str:
        """The family of a generic adapter; empty for anything else."""
        return "" if self.hid else GENERIC.get(self.ids, "")


def ports(sys: Path = SYS, dev: Path = DEV) -> list[Found]:
    """Serial ports and HID nodes that are there, by place. Consoles and terminals without hardware are not among them."""
    found = [_tty(each, dev) for each in (sys / "class" / "tty").glob("tty*") if _is_hardware(each)]
    found += [_hid(each, dev) for each in (sys / "class" / "hidraw").glob("hidraw*")]
    return sorted((one for one in found if one is not None), key=lambda one: (one.hid, one.place, one.node))


def canonical(text: str, there: Sequence[Found]) -> str:
    """The place a technician means: ``1-1.2`` is completed by what is plugged in there; a passing name is refused with the lasting one."""
    if text == HID or text.startswith(("sim://", LAN)):
        return text
    if text.startswith("/"):
        if not PASSING.fullmatch(text):
            return text
        place = next((one.place for one in there if one.node == text), "1-1.2:1.0").removeprefix(USB)
        raise PlaceError(
            f"{text} đổi tên mỗi lần cắm. Dùng đường cổng USB: {place}",
            f"PORT-PATH = {text}: that name changes with every plugging in; expected the USB port path, for example {place}",
        )
    bare = text.removeprefix(USB)
    if INTERFACE.fullmatch(bare):
        return USB + bare
    if not DEVICE.fullmatch(bare):
        raise PlaceError(
            f"{text} không phải đường cổng USB. Ví dụ: 1-1.2",
            f"PORT-PATH = {text}: expected a USB port path such as 1-1.2 or 1-1.2:1.0, hid, or the path of a built-in port",
        )
    places = sorted({one.place for one in there if one.place.startswith(f"{USB}{bare}:")})
    if len(places) > 1:
        names = ", ".join(one.removeprefix(USB) for one in places)
        raise PlaceError(f"{bare} có nhiều cổng: {names}", f"PORT-PATH = {bare}: there are several ports: name one of {names}")
    return places[0] if places else f"{USB}{bare}:1.0"


def resolve(place: str, sys: Path = SYS, dev: Path = DEV) -> str:
    """The node behind a place at this moment. PortAbsentError when nothing is plugged in there; other paths stay as they are."""
    if not place.startswith(USB):
        return place
    nodes = [one.node for one in ports(sys, dev) if one.place == place]
    if not nodes:
        raise PortAbsentError(place, "nothing is plugged in there")
    if len(nodes) > 1:
        raise DeviceError(place, f"several ports are there: {', '.join(nodes)}")
    return nodes[0]


def open_bound(place: str, line: Line | Hid, sys: Path = SYS, dev: Path = DEV) -> Port:
    """The open line at a place. It is looked at again once open: a node that went to another adapter meanwhile is given back unwritten."""
    node = resolve(place, sys, dev)
    port = open_port(node, line)
    if node != place:
        try:
            still = resolve(place, sys, dev)
        except DeviceError:
            port.close()
            raise
        if still != node:
            port.close()
            raise PortAbsentError(place, "the adapter was plugged in anew while it was opened")
    return port


def own_name(row: Row) -> str:
    """The name under which a known HID device binds itself: the driver's, without hyphens."""
    return row.name.replace("-", "")


def known_hid(rows: Iterable[Row]) -> dict[str, Row]:
    """The rows of devices that are recognised by their own ids, by the name under which they bind themselves.

    Ids that two families share (Omron's cuffs do) prove nothing either: those are bound by a person.
    """
    found = list(rows)
    return {own_name(one): one for one in found if isinstance(one.line, Hid) and len(sharing(one.line, found)) == 1}


def sharing(line: Hid, rows: Iterable[Row]) -> list[Row]:
    """The rows whose devices say these ids."""
    return [one for one in rows if isinstance(one.line, Hid) and one.line.ids == line.ids]


def _is_hardware(tty: Path) -> bool:
    """A tty with a device behind it; the kernel lists UARTs that do not exist with type 0."""
    if not (tty / "device").exists():
        return False
    return _text(tty / "type") != "0"


def _tty(tty: Path, dev: Path) -> Found | None:
    return _found(tty, str(dev / tty.name), hid=False)


def _hid(node: Path, dev: Path) -> Found | None:
    return _found(node, str(dev / node.name), hid=True)


def _found(entry: Path, node: str, *, hid: bool) -> Found | None:
    """Walk up from the device: the interface names the place, the USB device above it says who it is."""
    try:
        at = (entry / "device").resolve(strict=True)
    except (OSError, RuntimeError):
        return None  # pulled out while we looked
    driver = _driver(at)
    above = [at, *at.parents]
    place = next((USB + each.name for each in above if INTERFACE.fullmatch(each.name)), node)
    usb = next((each for each in above if (each / "idVendor").is_file()), None)
    ids = f"{_text(usb / 'idVendor')}:{_text(usb / 'idProduct')}" if usb is not None else ""
    if hid and not ids:  # Bluetooth and the kernel's own test devices have no USB device above them
        pair = ids_of(_text(at / "uevent"))
        ids = f"{pair[0]:04x}:{pair[1]:04x}" if pair else ""
    serial, product = (_text(usb / "serial"), _text(usb / "product")) if usb is not None else ("", "")
    return Found(place, node, ids, serial, product, driver, hid)


def _driver(at: Path) -> str:
    try:
        return (at / "driver").resolve(strict=True).name
    except (OSError, RuntimeError):
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
