"""Devices: what stands behind a device number."""

from dataclasses import dataclass

from appliance import __version__
from appliance.contract.events import DeviceLabel, DeviceRegistered, Event
from appliance.contract.ids import short_of
from appliance.contract.readings import Reading, Stamp
from appliance.database import Connection, transaction
from appliance.store.outbox import append


@dataclass(frozen=True, slots=True)
class Device:
    """A device as it was last seen. `identity` is the text whose `ids.short_of` is `device`."""

    device: int
    identity: str
    name: str
    driver: str
    model: str
    serial: str
    test_data: bool
    inventory: str = ""
    calibrated: str = ""
    next_calibration: str = ""


def register(
    conn: Connection, *, name: str, driver: str, identity: str, model: str = "", serial: str = "", test_data: bool = False,
    inventory: str = "", calibrated: str = "", next_calibration: str = "", now: Stamp,
) -> int:  # fmt: skip
    """The number of a device, kept and announced when it is new or says something new about itself. Own transaction."""
    number = short_of(identity)
    told = Device(number, identity, name, driver, model, serial, test_data, inventory, calibrated, next_calibration)
    if get(conn, number) == told:
        return number
    with transaction(conn):
        conn.execute(
            "INSERT INTO device (id, identity, name, driver, model, serial, test_data, inventory, calibrated, next_calibration)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name, driver = excluded.driver, model = excluded.model,"
            " serial = excluded.serial, test_data = excluded.test_data, inventory = excluded.inventory,"
            " calibrated = excluded.calibrated, next_calibration = excluded.next_calibration",
            (number, identity, name, driver, model, serial, int(test_data), inventory, calibrated, next_calibration),
        )
        body = DeviceRegistered(number, identity, name, driver, model, serial, test_data, inventory, calibrated, next_calibration)
        append(conn, Event(now, "", __version__, body))
    return number


def get(conn: Connection, device: int) -> Device | None:
    """What stands behind a number."""
    row = conn.execute(f"{_DEVICE} WHERE id = ?", (device,)).fetchone()
    return None if row is None else Device(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6]), row[7], row[8], row[9])


_DEVICE = "SELECT id, identity, name, driver, model, serial, test_data, inventory, calibrated, next_calibration FROM device"


def labels(conn: Connection, readings: tuple[Reading, ...]) -> tuple[DeviceLabel, ...]:
    """The names of the devices in some readings, each once; a device nobody announced has none."""
    known = (get(conn, number) for number in dict.fromkeys(one.device for one in readings))
    return tuple(DeviceLabel(one.device, one.name) for one in known if one is not None)
