"""udev rules made from the registry and the bindings: ``tram device rules``. Pure text.

A bound port gets its symlink ``/dev/tram/NAME`` and starts its collector; ModemManager leaves it alone; an FTDI gives its bytes
at once. Known HID devices are recognised by their own ids; those that are experimental are readable but start nothing until a
technician binds them. No rule speaks of an adapter's ids alone: the next 3G modem may have the same chip.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from appliance.devices.binding import HID, USB, known_hid, sharing
from appliance.devices.driver import Hid, Row
from appliance.devices.registry import ROWS

FILE = "/etc/udev/rules.d/60-tram.rules"
"""After 50-udev-default, which says who may open a tty, and before 99-systemd, which reads the tag."""
UNITS = "/etc/systemd/system"
BUILT_IN = re.compile(r"/dev/tty[A-Za-z]+\d+")
"""A UART of the board: it is always there and keeps its name."""
GROUP = "tram"
LATENCY_MS = 1
"""FTDI's own 16 ms make request and reply slow (devices facts 23.7)."""


class Bound(Protocol):
    """What a rule needs of a binding."""

    @property
    def name(self) -> str:
        """Its short name."""

    @property
    def port(self) -> str:
        """Its place."""

    @property
    def driver(self) -> str:
        """Its driver's name."""


def rules(bound: Sequence[Bound], rows: Iterable[Row] = tuple(ROWS.values())) -> str:
    """The whole file, in the order udev is to read it."""
    lines = [
        "# Made by `tram device rules` from the drivers and the bindings of this station. Do not edit: bind, then make it anew.",
        'ACTION=="remove", GOTO="tram_end"',
        "",
    ]
    for one in bound:
        lines += _of_binding(one)
    known = tuple(rows)
    taken = {ROWS[one.driver].line for one in bound if one.port == HID}
    for name, row in sorted(known_hid(known).items()):
        if row.line not in taken:
            lines += _of_hid(name, row, wanted=row.service)
    shared = {row.line.ids: row.line for row in known if isinstance(row.line, Hid) and len(sharing(row.line, known)) > 1}
    for ids, line in sorted(shared.items()):
        if line not in taken:
            lines += _of_many(ids, [one.name for one in sharing(line, known)])
    return "\n".join([*lines, 'LABEL="tram_end"', ""])


def _of_binding(one: Bound) -> list[str]:
    row = ROWS[one.driver]
    if one.port == HID:
        return _of_hid(one.name, row, wanted=True)
    head = f"# {one.name}: {row.title} ({row.name}) at {one.port}"
    if BUILT_IN.fullmatch(one.port) is None and not one.port.startswith(USB):
        return []  # a simulator's line, or a name that some other rule makes
    if not one.port.startswith(USB):
        return [head, f'SUBSYSTEM=="tty", KERNEL=="{one.port.rpartition("/")[2]}", {_ours(one.name, wanted=True)}', ""]
    interface = one.port.removeprefix(USB)
    if isinstance(row.line, Hid):
        return [head, f'SUBSYSTEM=="hidraw", KERNELS=="{interface}", ENV{{TRAM_BOUND}}="1", {_ours(one.name, wanted=True)}', ""]
    return [
        head,
        f'SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", KERNEL=="{interface.partition(":")[0]}", ENV{{ID_MM_DEVICE_IGNORE}}="1"',
        f'SUBSYSTEM=="usb-serial", KERNELS=="{interface}", DRIVER=="ftdi_sio", ATTR{{latency_timer}}="{LATENCY_MS}"',
        f'SUBSYSTEM=="tty", KERNELS=="{interface}", ENV{{ID_MM_DEVICE_IGNORE}}="1", {_ours(one.name, wanted=True)}',
        "",
    ]


def _of_hid(name: str, row: Row, *, wanted: bool) -> list[str]:
    assert isinstance(row.line, Hid)
    vid, pid = row.line.ids.split(":")
    which = f'ATTRS{{idVendor}}=="{vid}", ATTRS{{idProduct}}=="{pid}"'
    return [
        f"# {name}: {row.title} ({row.name}) by its ids" + ("" if wanted else "; experimental: bind it to start its collector"),
        f'SUBSYSTEM=="hidraw", ENV{{TRAM_BOUND}}!="1", {which}, {_ours(name, wanted=wanted)}',
        "",
    ]


def _of_many(ids: str, names: list[str]) -> list[str]:
    vid, pid = ids.split(":")
    which = f'SUBSYSTEM=="hidraw", ENV{{TRAM_BOUND}}!="1", ATTRS{{idVendor}}=="{vid}", ATTRS{{idProduct}}=="{pid}"'
    return [f"# {' or '.join(names)}: the ids do not say which; bind it", f'{which}, GROUP="{GROUP}", MODE="0660"', ""]


def _ours(name: str, *, wanted: bool) -> str:
    unit = f', TAG+="systemd", ENV{{SYSTEMD_WANTS}}+="tram-collect@{name}.service"' if wanted else ""
    return f'GROUP="{GROUP}", MODE="0660", SYMLINK+="tram/{name}"{unit}'


def drop_ins(bound: Sequence[Bound]) -> dict[str, str]:
    """For each binding the drop-in, by its path under `UNITS`, that ends a collector with its adapter.

    Only for what is bound: a simulated device has no adapter to wait for. Names have no hyphens, so nothing needs escaping.
    """
    return {
        f"tram-collect@{one.name}.service.d/adapter.conf": f"[Unit]\nBindsTo=dev-tram-{one.name}.device\nAfter=dev-tram-{one.name}.device\n"
        for one in bound
        if one.port == HID or one.port.startswith(USB) or BUILT_IN.fullmatch(one.port)
    }
