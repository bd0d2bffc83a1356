"""The device register: which port is bound to which driver, under which inventory number, calibrated when; and how it is heard.

A binding is made by a technician (``tram device bind``) and is the same thing as a ``[devices.NAME]`` section of the settings file,
which comes first where both name a device: `in_force` joins the two, `refuse_clash` says so where they speak of one name or port.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType

from appliance import __version__
from appliance.contract.events import DeviceHealth, Event
from appliance.contract.readings import Stamp
from appliance.database import Connection, transaction
from appliance.settings import DeviceSettings, Settings
from appliance.store import audit
from appliance.store.errors import Refused
from appliance.store.outbox import append

NAME = re.compile(r"[a-z][a-z0-9]{0,31}")
"""No hyphens: the name stands in the names of a systemd unit and of a device unit, where a hyphen means a slash."""
LONGEST = 40
"""Signs of a title or an inventory number."""
PATIENT_TYPES = ("adult", "paediatric", "neonate")


@dataclass(frozen=True, slots=True)
class Binding:
    """One port with the driver that may talk to what is behind it. Dates are ``2026-05-01`` or empty; `at` is tenths since 1970."""

    name: str
    port: str
    driver: str
    title: str = ""
    patient_types: tuple[str, ...] = ("adult",)
    inventory: str = ""
    calibrated: str = ""
    next_calibration: str = ""
    simulated: bool = False
    experimental: bool = False
    actor: str = ""
    at: int = 0

    @property
    def settings(self) -> DeviceSettings:
        """As the settings file would have it."""
        return DeviceSettings(
            driver=self.driver, port=self.port, name=self.title or self.name, patient_types=self.patient_types, simulated=self.simulated
        )


@dataclass(frozen=True, slots=True)
class Heard:
    """How well a device was heard when its alarm last began or ended."""

    name: str
    device: int
    alarm: bool
    bad: int
    silence: int
    reopenings: int
    at: int


def bind(conn: Connection, new: Binding, *, actor: str, now: Stamp) -> Binding:
    """Keep a binding and note who made it; one of the same name is replaced. Refused for what cannot be kept."""
    made = replace(new, actor=actor, at=now.wall)
    _check(made)
    with transaction(conn):
        for one in bindings(conn):
            _check_beside(made, one)
        conn.execute(
            "INSERT OR REPLACE INTO binding (name, port, driver, title, patient_types, inventory, calibrated, next_calibration, simulated,"
            " experimental, actor, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                made.name, made.port, made.driver, made.title, " ".join(made.patient_types), made.inventory, made.calibrated,
                made.next_calibration, int(made.simulated), int(made.experimental), actor, now.wall,
            ),
        )  # fmt: skip
        action = "device.experimental" if made.experimental else "device.bind"
        audit.note(conn, actor=actor, action=action, subject=f"{made.name} {made.driver} {made.port}", now=now)
    return made


def unbind(conn: Connection, name: str, *, actor: str, now: Stamp) -> Binding:
    """Forget a binding; Refused when there is none of that name. What was measured with it stays."""
    found = get(conn, name)
    if found is None:
        raise Refused(f"Không có máy {name} đã gắn.", f"no device {name} is bound: tram device list")
    with transaction(conn):
        conn.execute("DELETE FROM binding WHERE name = ?", (name,))
        audit.note(conn, actor=actor, action="device.unbind", subject=f"{name} {found.driver} {found.port}", now=now)
    return found


def bindings(conn: Connection) -> list[Binding]:
    """Every binding, by name."""
    rows = conn.execute(
        "SELECT name, port, driver, title, patient_types, inventory, calibrated, next_calibration, simulated, experimental, actor, at"
        " FROM binding ORDER BY name"
    ).fetchall()
    return [
        Binding(row[0], row[1], row[2], row[3], tuple(row[4].split()), row[5], row[6], row[7], bool(row[8]), bool(row[9]), row[10], row[11])
        for row in rows
    ]


def get(conn: Connection, name: str) -> Binding | None:
    """The binding of that name."""
    return next((one for one in bindings(conn) if one.name == name), None)


def in_force(conn: Connection, settings: Settings) -> Settings:
    """The settings with the bindings beside the sections of the file; of two with one name the file's is used (see `refuse_clash`)."""
    bound = {one.name: one.settings for one in bindings(conn)}
    return replace(settings, devices=MappingProxyType({**bound, **settings.devices})) if bound else settings


def refuse_clash(settings: Settings, found: Sequence[Binding]) -> None:
    """Refused, with both named, where a section of the settings file and a binding speak of one name or one port.

    `settings` is what the files say, without bindings.
    """
    for one in found:
        for name, device in settings.devices.items():
            if one.name == name or (one.port == device.port and one.port != "hid"):
                where = settings.said.get(f"devices.{name}.port", "settings")
                raise Refused(
                    f"Máy {name} trong {where} và máy {one.name} đã gắn trùng nhau ({one.port}). Bỏ một trong hai.",
                    f"[devices.{name}] of {where} ({device.driver} at {device.port}) and the binding {one.name} ({one.driver}"
                    f" at {one.port}) speak of the same device: tram device unbind {one.name}, or take the section out",
                )


def tell(conn: Connection, heard: Heard, now: Stamp) -> None:
    """Keep how well a device is heard, and tell the bridge. Own transaction."""
    with transaction(conn):
        conn.execute(
            "INSERT OR REPLACE INTO device_health (name, device, alarm, bad, silence, reopenings, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (heard.name, heard.device, int(heard.alarm), heard.bad, heard.silence, heard.reopenings, now.wall),
        )
        body = DeviceHealth(heard.device, heard.alarm, heard.bad, heard.silence, heard.reopenings)
        append(conn, Event(now, "", __version__, body))


def heard(conn: Connection, name: str) -> Heard | None:
    """What was last told of a device; None when it never had an alarm."""
    row = conn.execute("SELECT name, device, alarm, bad, silence, reopenings, at FROM device_health WHERE name = ?", (name,)).fetchone()
    return None if row is None else Heard(row[0], row[1], bool(row[2]), row[3], row[4], row[5], row[6])


def read_date(text: str, what: str) -> str:
    """A date as it is kept; Refused for what is none. Empty stays empty."""
    if not text:
        return ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise Refused(
            f"{what}: {text} không phải ngày. Ví dụ: 2026-05-01", f"{what} = {text}: expected a date such as 2026-05-01"
        ) from None


def _check(new: Binding) -> None:
    if not NAME.fullmatch(new.name):
        raise Refused(
            f"--name {new.name}: cần 1-32 chữ thường và số, không có gạch nối. Ví dụ: cuff1",
            f"--name = {new.name}: expected 1-32 lower-case letters and digits, the first a letter, no hyphen, such as cuff1",
        )
    for what, text in (("--title", new.title), ("--inventory", new.inventory)):
        if len(text) > LONGEST or not text.isprintable():
            raise Refused(f"{what}: tối đa {LONGEST} ký tự.", f"{what} = {text!r}: expected one line of at most {LONGEST} signs")
    if not new.patient_types or not set(new.patient_types) <= set(PATIENT_TYPES):
        given = " ".join(new.patient_types)
        raise Refused(
            f"--patient-type {given}: cần một trong {', '.join(PATIENT_TYPES)}. Ví dụ: --patient-type adult",
            f"--patient-type = {given}: expected some of {', '.join(PATIENT_TYPES)}",
        )
    calibrated = read_date(new.calibrated, "--calibrated")
    due = read_date(new.next_calibration, "--next-calibration")
    if calibrated and due and due <= calibrated:
        raise Refused(
            f"Ngày hiệu chuẩn tới {due} phải sau ngày hiệu chuẩn {calibrated}.",
            f"--next-calibration = {due}: expected a day after --calibrated {calibrated}",
        )


def _check_beside(new: Binding, one: Binding) -> None:
    if one.name == new.name:
        return
    if one.port == new.port and one.port != "hid":
        raise Refused(
            f"Cổng {new.port} đã gắn cho máy {one.name} ({one.driver}).",
            f"{new.port} is bound to {one.name} ({one.driver}): tram device unbind {one.name}",
        )
    if new.inventory and (one.driver, one.inventory) == (new.driver, new.inventory):
        raise Refused(f"Số tài sản {new.inventory} đã dùng cho máy {one.name}.", f"--inventory = {new.inventory} is {one.name}'s already")
