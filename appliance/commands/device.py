"""The technician's commands: ``tram device list | bind | unbind | test | monitor | recall | record | drivers | rules``.

They are loaded when one of them is asked for, never by a process of the box. A port that no driver is bound to is only listened to.
"""

import argparse
import json
import os
import re
import select
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.commandline import DONE, LATER, REFUSED, Command, settings_of
from appliance.commands.box import actor, complain, open_box

if TYPE_CHECKING:
    from appliance.devices.binding import Found
    from appliance.devices.driver import Row
    from appliance.devices.events import Said
    from appliance.devices.probe import Probe
    from appliance.settings import Settings
    from appliance.store.errors import Refused
    from appliance.store.register import Binding

FRESH_NS = 2_000_000_000
"""A live file older than this says nothing about now (decision 15)."""
REDRAW_NS = 200_000_000
"""The terminal view is drawn five times a second, the plain one once."""
PLAIN_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """What a name or a place on the command line means. Only what is `bound` may be written to."""

    name: str
    place: str
    row: "Row"
    bound: bool


# --- arguments ------------------------------------------------------------------------------------------------------------------------


def _sys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sys", metavar="DIR", type=Path, default=Path("/sys"), help=argparse.SUPPRESS)


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    _sys(parser)


def _bind_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("port", metavar="PORT-PATH", help="a place of `tram device list`, such as 1-1.2; hid for a USB device by its ids")
    parser.add_argument("driver", metavar="DRIVER", help="one of `tram device drivers`, such as contec-cms50")
    parser.add_argument("--name", required=True, help="its short name: lower-case letters and digits, such as spo2")
    parser.add_argument("--title", default="", help="its name as people read it")
    parser.add_argument("--inventory", default="", metavar="NO", help="its inventory number")
    parser.add_argument("--calibrated", default="", metavar="DATE", help="when it was calibrated, such as 2026-05-01")
    parser.add_argument("--next-calibration", default="", metavar="DATE", help="until when that is good")
    parser.add_argument(
        "--patient-type", action="append", default=[], metavar="TYPE", help="adult, paediatric or neonate; may be repeated (default: adult)"
    )
    parser.add_argument("--simulated", action="store_true", help="a simulator stands behind the port: its values are test data")
    parser.add_argument("--experimental", action="store_true", help="use a driver that no device has proved yet, on your own judgement")
    _staff(parser)
    _sys(parser)


def _staff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--staff", metavar="CODE", default="", help="who does it (default: the user of this machine)")


def _unbind_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its short name")
    _staff(parser)


def _target_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="NAME", help="a bound device, or a port path: that is only listened to")
    parser.add_argument("--driver", default="", help="for a port path: whose language to expect, such as nonin")
    _sys(parser)


def _test_arguments(parser: argparse.ArgumentParser) -> None:
    _target_arguments(parser)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to listen (default: 10)")


def _monitor_arguments(parser: argparse.ArgumentParser) -> None:
    _target_arguments(parser)
    parser.add_argument("--seconds", type=float, default=0.0, help="end after this long (default: until Ctrl-C)")


def _recall_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a bound device with a memory; its collector must run")
    parser.add_argument("--seconds", type=float, default=90.0, help="how long to wait for the end of the download (default: 90)")
    _staff(parser)


def _record_arguments(parser: argparse.ArgumentParser) -> None:
    _target_arguments(parser)
    parser.add_argument("file", type=Path, help="a new file")
    parser.add_argument("--seconds", type=float, default=0.0, help="end after this long (default: until Ctrl-C)")


def _drivers_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _rules_arguments(parser: argparse.ArgumentParser) -> None:
    from appliance.devices import udev

    parser.add_argument("--install", action="store_true", help="write the rules and the units' drop-ins instead of printing the rules")
    parser.add_argument("--rules-file", type=Path, default=Path(udev.FILE), metavar="FILE", help=f"default: {udev.FILE}")
    parser.add_argument("--units-dir", type=Path, default=Path(udev.UNITS), metavar="DIR", help=f"default: {udev.UNITS}")


# --- what is there --------------------------------------------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    from appliance.devices.binding import ports
    from appliance.store import register

    box = open_box(args)
    said = settings_of(args)
    known = register.bindings(box.conn)
    rows = [_line(one, box, said, known) for one in ports(args.sys)]
    shown = {row["name"] for row in rows}
    for name, device in box.settings.devices.items():
        if name not in shown:
            rows.append(_absent(name, device, box))
    for row in rows:
        print(json.dumps(row, ensure_ascii=False)) if args.json else None
    if not args.json:
        print(_table(["place", "node", "ids", "serial", "adapter", "name", "driver", "state", "health"], rows))
    register.refuse_clash(said, known)
    return DONE


def _line(one: "Found", box: Any, said: "Settings", known: "list[Binding]") -> dict[str, Any]:
    from appliance.devices.binding import HID, USB
    from appliance.devices.registry import ROWS

    bound = next((each for each in known if each.port in (one.place, one.node)), None)
    if bound is None and one.hid:
        bound = next((each for each in known if each.port == HID and getattr(ROWS[each.driver].line, "ids", "") == one.ids), None)
    section = next((name for name, device in said.devices.items() if _same_port(device.port, one)), "")
    name = bound.name if bound else section
    driver = bound.driver if bound else said.devices[section].driver if section else ""
    row = {
        "place": one.place.removeprefix(USB), "node": one.node, "ids": one.ids, "serial": one.serial,
        "adapter": one.adapter or one.product, "kernel_driver": one.kernel_driver, "name": name, "driver": driver,
        "state": _state(box, name) if name else "unbound", "health": _health(box, name),
    }  # fmt: skip
    if not name and one.hid:
        row["driver"] = ", ".join(each.name for each in ROWS.values() if getattr(each.line, "ids", "") == one.ids)
    return row


def _same_port(port: str, one: "Found") -> bool:
    return port == one.node or (port.startswith("/") and os.path.realpath(port) == one.node)


def _absent(name: str, device: Any, box: Any) -> dict[str, Any]:
    from appliance.devices.binding import USB

    return {
        "place": device.port.removeprefix(USB), "node": "", "ids": "", "serial": "", "adapter": "", "kernel_driver": "", "name": name,
        "driver": device.driver, "state": _state(box, name), "health": _health(box, name),
    }  # fmt: skip


def _state(box: Any, name: str) -> str:
    live = _live(box.settings.paths.run, name)
    if live is None:
        return "no collector"
    return "port used by another program" if live.get("message") == "port-used" else str(live.get("state", ""))


def _health(box: Any, name: str) -> str:
    live = _live(box.settings.paths.run, name) if name else None
    if live is None:
        return ""
    alarm = "ALARM " if live.get("alarm") else ""
    return (
        f"{alarm}bad {100 * live.get('bad_ratio', 0):.1f} % · silent {live.get('silence_s', 0)} s · reopened {live.get('reopenings', 0)}/h"
    )


def _live(run: Path, name: str) -> dict[str, Any] | None:
    """What the collector of a device says now; None when there is none."""
    try:
        found = json.loads((run / f"{name}.live").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or _now() - int(found.get("boottime_ns", 0)) > FRESH_NS:
        return None
    return found


def _drivers(args: argparse.Namespace) -> int:
    import tomllib
    from importlib.resources import files

    from appliance.contract.metrics import TABLE
    from appliance.devices.probe import spell_line
    from appliance.devices.registry import ROWS

    quality = tomllib.loads(files("appliance.devices.drivers").joinpath("quality.toml").read_text(encoding="utf-8"))
    rows = [
        {
            "name": one.name, "title": one.title, "line": spell_line(one.line),
            "metrics": ", ".join(TABLE[metric].en for metric in one.metrics), "writes": "writes" if one.writes else "listens",
            "use": "in service" if one.service else "experimental",
            "proved on": ", ".join(quality.get(one.name, {}).get("proved_on", ["nothing"])),
        }
        for one in ROWS.values()
    ]  # fmt: skip
    for row in rows if args.json else ():
        print(json.dumps(row, ensure_ascii=False))
    if not args.json:
        print(_table(list(rows[0]), rows))
    return DONE


def _table(columns: list[str], rows: list[dict[str, Any]]) -> str:
    cells = [[each.upper() for each in columns], *([str(row[each]) or "-" for each in columns] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells)


# --- binding --------------------------------------------------------------------------------------------------------------------------


def _bind(args: argparse.Namespace) -> int:
    from appliance.devices.binding import HID, PlaceError, canonical, ports
    from appliance.devices.driver import Hid
    from appliance.devices.port import check_address
    from appliance.devices.registry import UnknownDriverError, row
    from appliance.store import register
    from appliance.store.errors import Refused

    box = open_box(args)
    try:
        which = row(args.driver)
        place = canonical(args.port, ports(args.sys))
        check_address(place)
    except PlaceError as error:
        raise Refused(error.vi, error.en) from None
    except UnknownDriverError as error:
        raise Refused(f"Không có trình điều khiển {args.driver}: tram device drivers", f"DRIVER = {error}") from None
    except ValueError as error:
        raise Refused(f"Địa chỉ {args.port} sai.", f"PORT-PATH = {args.port}: {error}") from None
    if place == HID and not isinstance(which.line, Hid):
        raise Refused(
            f"{which.name} nối qua cổng nối tiếp: cần đường cổng USB.",
            f"PORT-PATH = hid: {which.name} speaks over a serial line; expected a USB port path such as 1-1.2",
        )
    _refuse_use(args, which, box.settings.environment, place)
    new = register.Binding(
        args.name, place, which.name, args.title, tuple(args.patient_type) or ("adult",), args.inventory, args.calibrated,
        args.next_calibration, args.simulated or place.startswith("sim://"), args.experimental and not which.service,
    )  # fmt: skip
    register.refuse_clash(settings_of(args), [new])
    made = register.bind(box.conn, new, actor=actor(box, args.staff), now=box.clock.stamp())
    print(json.dumps({"name": made.name, "place": made.port, "driver": made.driver, "writes": which.writes}, ensure_ascii=False))
    print(f"next: tram device rules --install; tram device test {made.name}; systemctl restart tram-kiosk", file=sys.stderr)
    return DONE


def _refuse_use(args: argparse.Namespace, which: "Row", environment: str, place: str) -> None:
    from appliance.devices.driver import LAN
    from appliance.store.errors import Refused

    if bool(which.unit) != place.startswith(LAN) and not place.startswith("sim://"):
        unit = which.unit or "tram-collect@"
        wanted = "tcp://192.168.10.1:2575" if which.unit else "1-1.2"
        raise Refused(
            f"{which.name} do dịch vụ {unit} phục vụ: cần địa chỉ như {wanted}.",
            f"PORT-PATH = {place}: {which.name} is served by its own unit, {unit}; expected an address such as {wanted}",
        )
    if not which.service and not args.experimental:
        raise Refused(
            f"{which.name} chưa được thử với máy thật. Nếu đã tự kiểm tra, thêm --experimental.",
            f"{which.name} is experimental: no device has proved it. After checking it against the device's own screen: --experimental",
        )
    if environment == "production" and (args.simulated or place.startswith("sim://")):
        raise Refused("Máy giả không được dùng thật.", "simulated devices are refused in production")


def _unbind(args: argparse.Namespace) -> int:
    from appliance.store import register

    box = open_box(args)
    gone = register.unbind(box.conn, args.name, actor=actor(box, args.staff), now=box.clock.stamp())
    print(json.dumps({"name": gone.name, "place": gone.port, "driver": gone.driver}, ensure_ascii=False))
    print(f"next: systemctl stop tram-collect@{gone.name}; tram device rules --install", file=sys.stderr)
    return DONE


def _rules(args: argparse.Namespace) -> int:
    from appliance.devices import udev
    from appliance.store import register
    from appliance.store.opening import database_file

    bound: list[Binding] = []
    if database_file(settings_of(args)).exists():  # before tram init there is nothing bound yet
        bound = register.bindings(open_box(args).conn)
    text = udev.rules(bound)
    if not args.install:
        print(text, end="")
        return DONE
    args.rules_file.write_text(text, encoding="utf-8")
    print(args.rules_file)
    for name, content in udev.drop_ins(bound).items():
        path = args.units_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        print(path)
    print("next: udevadm control --reload; systemctl daemon-reload; udevadm trigger --action=add", file=sys.stderr)
    return DONE


# --- looking at one device ------------------------------------------------------------------------------------------------------------


def _target(args: argparse.Namespace, box: Any) -> Target:
    """A name that is bound or has a section, or a place with ``--driver``, which nothing is bound to."""
    from appliance.devices.binding import PlaceError, canonical, ports
    from appliance.devices.registry import UnknownDriverError, row
    from appliance.store.errors import Refused

    device = box.settings.devices.get(args.target)
    try:
        if device is not None:
            return Target(args.target, device.port, row(device.driver), True)
        if _NAME.fullmatch(args.target):
            raise _no_device(args.target, box, " hoặc đường cổng USB như 1-1.2", ", or a port path such as 1-1.2")
        place = canonical(args.target, ports(args.sys))
        if not args.driver:
            raise Refused(
                f"{args.target} chưa gắn. Thêm --driver để chỉ nghe.",
                f"nothing is bound to {args.target}: bind it, or say --driver to listen only (tram device drivers)",
            )
        return Target("", place, row(args.driver), False)
    except PlaceError as error:
        raise Refused(error.vi, error.en) from None
    except UnknownDriverError as error:
        raise Refused(f"Không có trình điều khiển {args.driver}: tram device drivers", f"--driver = {error}") from None


_NAME = re.compile("[a-z_][a-z0-9_-]*", re.IGNORECASE)
"""A word that is meant as the name of a device: a port path begins with a digit or a slash."""


def _no_device(name: str, box: Any, or_vi: str = "", or_en: str = "") -> "Refused":
    from appliance.store.errors import Refused

    there = ", ".join(box.settings.devices)
    return Refused(
        f"Không có máy {name}. {f'Đang có: {there}' if there else 'Trạm chưa gắn máy nào'}. Cần tên máy đã gắn{or_vi}.",
        f"no device {name} ({f'there: {there}' if there else 'none is bound'}); expected the name of a bound device{or_en}",
    )


def _probe(target: Target, args: argparse.Namespace, keep: Callable[[bytes], None] = lambda _data: None) -> "Probe":
    """The open device. DeviceError when it is not there or another program has it."""
    from appliance.devices.binding import open_bound
    from appliance.devices.errors import DeviceError, PortUsedError
    from appliance.devices.probe import Probe

    try:
        port = open_bound(target.place, target.row.line, args.sys)
    except PortUsedError as error:
        hint = f"; its collector, if it is that: systemctl stop tram-collect@{target.name}" if target.name else ""
        raise DeviceError(error.port, f"the port is used by another program{hint}") from None
    return Probe(port, target.row, writes=target.bound, keep=keep)


def _watch(probe: "Probe", seconds: float, each: "Callable[[list[Said], int], None]") -> None:
    """Turn until the time is over (0: until Ctrl-C); `each` receives what was said, and the time."""
    begun = _now()
    poll = select.poll()
    descriptor = probe.fileno()
    if descriptor is not None:
        poll.register(descriptor, select.POLLIN)
    try:
        each(probe.begin(begun), begun)
        while not seconds or _now() - begun < seconds * 1e9:
            poll.poll(probe.wait_s() * 1000)
            now = _now()
            each(probe.turn(now), now)
    except KeyboardInterrupt:
        pass
    finally:
        probe.close(_now())


def _test(args: argparse.Namespace) -> int:
    box = open_box(args)
    target = _target(args, box)
    probe = _probe(target, args)
    last: dict[str, str] = {}

    def tell(said: "list[Said]", _now_ns: int) -> None:
        for kind, text in _spoken(said):
            if last.get(kind) != text and (kind != "values" or "values" not in last):
                print(f"{kind}: {text}", flush=True)
            last[kind] = text

    _watch(probe, args.seconds, tell)
    if "values" in last:
        print(f"last values: {last['values']}")
    print(_counts(probe))
    if probe.frames:
        return DONE
    print(f"tram: nothing of {target.row.name} was understood: another device, another speed, or switched off?", file=sys.stderr)
    return LATER


def _counts(probe: "Probe") -> str:
    return f"frames {probe.frames}, noise {probe.noise_bytes} of {probe.read_bytes} bytes, written {probe.written} bytes"


def _spoken(said: "list[Said]") -> list[tuple[str, str]]:
    from appliance.devices.events import Notice, Sample, shown

    found = []
    for each in said:
        if isinstance(each, Notice):
            value = "" if each.value is None else f" {each.value}"
            found.append((each.word.value, f"{each.text}{value}".strip() or "-"))
        elif isinstance(each, Sample) and each.invalid is not None:
            found.append(("no value", each.invalid))
        elif isinstance(each, Sample):
            found.append(("values", _values([shown(one) for one in each.numerics])))
    return found


def _values(numerics: list[dict[str, Any]]) -> str:
    return " · ".join(
        f"{one['metric']} {'-' if one['value'] is None else format(one['value'], 'g')} {one['unit']}".rstrip() for one in numerics
    )


def _monitor(args: argparse.Namespace) -> int:
    box = open_box(args)
    target = _target(args, box)
    screen = Screen(sys.stdout.isatty(), target)
    if target.name and _live(box.settings.paths.run, target.name) is not None:
        _follow(box.settings.paths.run, target, args.seconds, screen)
        return DONE
    probe = _probe(target, args)
    seen = {"state": "identifying", "values": "", "no value": ""}

    def tell(said: "list[Said]", now: int) -> None:
        for kind, text in _spoken(said):
            seen[kind] = text
            if kind in ("values", "no value"):
                seen["state"] = "speaking"
                seen["values" if kind == "no value" else "no value"] = ""
        screen.show({**seen, "counts": _counts(probe)}, now)

    _watch(probe, args.seconds, tell)
    return DONE


def _follow(run: Path, target: Target, seconds: float, screen: "Screen") -> None:
    """The view of what the collector says."""
    begun = _now()
    try:
        while not seconds or _now() - begun < seconds * 1e9:
            live = _live(run, target.name)
            view = {"state": "no collector"} if live is None else _of_live(live)
            screen.show(view, _now())
            select.poll().poll(100)
    except KeyboardInterrupt:
        return


def _of_live(live: Mapping[str, Any]) -> dict[str, str]:
    signals = " · ".join(f"{name} {value}" for name, value in (live.get("signals") or {}).items())
    return {
        "state": "port used by another program" if live.get("message") == "port-used" else str(live.get("state", "")),
        "values": _values(live.get("numerics") or []), "no value": str(live.get("invalid") or ""), "signals": signals,
        "health": ("ALARM " if live.get("alarm") else "")
        + f"bad {100 * live.get('bad_ratio', 0):.1f} % · silent {live.get('silence_s', 0)} s · reopened {live.get('reopenings', 0)}/h",
        "test data": "yes" if live.get("test_data") else "",
    }  # fmt: skip


class Screen:
    """Where a view is drawn: in place on a terminal, one plain line a second elsewhere."""

    def __init__(self, terminal: bool, target: Target) -> None:
        self._terminal, self._target = terminal, target
        self._next_ns = 0

    def show(self, view: Mapping[str, str], now_ns: int) -> None:
        """Draw, when it is time to."""
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + (REDRAW_NS if self._terminal else PLAIN_NS)
        if not self._terminal:
            print(" | ".join(f"{name}: {text}" for name, text in view.items() if text), flush=True)
            return
        title = f"{self._target.name or 'not bound, listening'}: {self._target.row.title} ({self._target.row.name}) at {self._target.place}"
        lines = [title, "", *(f"{name:<10} {text}" for name, text in view.items()), "", "Ctrl-C ends."]
        sys.stdout.write("\x1b[H\x1b[J" + "\n".join(lines) + "\n")
        sys.stdout.flush()


def _recall(args: argparse.Namespace) -> int:
    """As the kiosk's memory page: the collector is told, and what comes lies in the tray without a name."""
    from appliance.devices import recall
    from appliance.devices.registry import ROWS
    from appliance.store import audit
    from appliance.store.errors import Refused

    box = open_box(args)
    device = box.settings.devices.get(args.name)
    if device is None:
        raise _no_device(args.name, box)
    if not hasattr(ROWS[device.driver].listen(), "recall"):
        raise Refused(*recall.REFUSED["no-memory"])
    audit.note(box.conn, actor=actor(box, args.staff), action="memory.read", now=box.clock.stamp(), subject=args.name)
    run = box.settings.paths.run
    why = recall.ask(run, args.name)
    if why:
        vi, en = recall.REFUSED.get(why, recall.NOT_READ)
        print(f"tram: {vi} {en} ({why})", file=sys.stderr)
        return REFUSED if why == "no-memory" else LATER
    return _download(run, args.name, args.seconds)


def _download(run: Path, name: str, seconds: float) -> int:
    """Wait for the end of the download; a line when more has come, and what it came to."""
    from appliance.devices import recall

    begun, told = _now(), -1
    while _now() - begun < seconds * 1e9:
        select.poll().poll(200)
        live = _live(run, name) or {}
        counts = live.get("memory") or {}
        records, ended = counts.get("records", 0), counts.get("read")
        if records != told or ended is not None:
            print(json.dumps({"device": name, "records": records, "new": counts.get("new", 0), "ended": ended is not None}), flush=True)
            told = records
        if ended is not None:
            nothing = recall.nothing(ended, records)
            print(" ".join(nothing) if nothing else _TRAY, file=sys.stderr)
            return DONE
        if live.get("invalid") in _GIVEN_UP:
            break
    print(f"tram: {' '.join(recall.NOT_READ)} ({live.get('invalid') or 'not ended'})", file=sys.stderr)
    return LATER


_TRAY = "Kết quả nằm trong khay, chưa có tên. What was read lies in the tray, without a name."
_GIVEN_UP = ("no-reply", "switched-off")
"""With these words a driver says that a download will not end."""


def _record(args: argparse.Namespace) -> int:
    from appliance.devices.probe import head, hex_lines

    box = open_box(args)
    target = _target(args, box)
    probe_bytes = bytearray()
    probe = _probe(target, args, probe_bytes.extend)
    # 0600: what a device says is about a person. A file that is there already is never written over.
    handle = os.open(args.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w", encoding="utf-8") as out:
        out.write(head(target.row, target.place, time.time()))

        def keep(_said: "list[Said]", _now_ns: int) -> None:
            out.write(hex_lines(bytes(probe_bytes)))
            out.flush()
            probe_bytes.clear()

        _watch(probe, args.seconds, keep)
        out.write(f"# end: {probe.read_bytes} bytes\n")
    print(json.dumps({"file": str(args.file), "driver": target.row.name, "bytes": probe.read_bytes, "written": probe.written}))
    return DONE


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _decode_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("driver", help="such as contec-cms50")
    parser.add_argument("file", type=Path, help="the recorded bytes, device to host")
    parser.add_argument("--hex", action="store_true", help="the file is hexadecimal text with white space and # comments")
    parser.add_argument("--samples", action="store_true", help="one line for every frame too")


def _decode(args: argparse.Namespace) -> int:
    from appliance.devices.decode import run

    return run(
        args.driver,
        args.file.read_bytes,
        hex_text=args.hex,
        samples=args.samples,
        say=print,
        complain=complain,
    )


COMMANDS = (
    Command("device list", "the ports that are there, and what is bound to them", _list_arguments, _list),
    Command("device bind", "say which device is behind a port: its driver may talk to it from then on", _bind_arguments, _bind),
    Command("device unbind", "take that back", _unbind_arguments, _unbind),
    Command("device test", "open a device, show what it says", _test_arguments, _test),
    Command("device monitor", "watch a device: values, state, frames and noise", _monitor_arguments, _monitor),
    Command("device recall", "read what is in a device's memory; it lies in the tray then", _recall_arguments, _recall),
    Command("device record", "keep the bytes a device sends in a file that `tram device decode` reads", _record_arguments, _record),
    Command("device drivers", "the device families this version knows", _drivers_arguments, _drivers),
    Command("device rules", "udev rules for what is bound and for known USB devices", _rules_arguments, _rules),
    Command("device decode", "what a recording of a device says, as JSON lines", _decode_arguments, _decode),
)
