"""Waves that stations sent along with a request, and what their devices' clocks said."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from appliance.contract.errors import WireError
from appliance.contract.events import ConsultStrip, DeviceClockRead
from appliance.contract.strips import Strip, read
from cloud_bridge.store.tables import consult_strip, device_clock
from cloud_bridge.store.writing import once

GOOD_FOR = 36_000
"""Tenths: the clock of a device counts as read for the records that were read out within an hour of it (as at the station)."""


class Wave(NamedTuple):
    """What came with one reading: the wave, SpO2 and pulse of each second, each None where it was not sent or cannot be drawn."""

    wave: Strip | None
    spo2: Strip | None
    pulse: Strip | None


def take(tx: Connection, station: str, body: ConsultStrip, at: int) -> None:
    """A strip, kept as it came."""
    sent = {"wave": body.wave, "spo2": body.spo2, "pulse": body.pulse}
    once(tx, consult_strip, station=station, consult=body.consult, key=body.key, **sent, received=at)


def of_consult(tx: Connection, station: str, number: int) -> dict[bytes, Wave]:
    """The strips of a request by reading key."""
    c = consult_strip.c
    rows = tx.execute(select(c.key, c.wave, c.spo2, c.pulse).where(c.station == station, c.consult == number))
    return {bytes(row.key): Wave(_strip(row.wave), _strip(row.spo2), _strip(row.pulse)) for row in rows}


def _strip(content: bytes) -> Strip | None:
    try:
        return read(bytes(content))
    except WireError:
        return None


def forget(tx: Connection, station: str, numbers: Collection[int]) -> None:
    """Nothing of an erased patient's requests is drawn."""
    tx.execute(delete(consult_strip).where(consult_strip.c.station == station, consult_strip.c.consult.in_(sorted(numbers))))


def hear(tx: Connection, station: str, body: DeviceClockRead, wall: int, at: int) -> None:
    """What a device's clock said at `wall` of its station."""
    once(tx, device_clock, station=station, device=body.device, wall=wall, said=body.said, ahead=body.ahead, received=at)


def ahead(tx: Connection, station: str, devices: Collection[int]) -> dict[int, list[tuple[int, int]]]:
    """For each of these devices when its clock was read and by how many seconds it was ahead, the oldest first."""
    c = device_clock.c
    mine = select(c.device, c.wall, c.ahead).where(c.station == station, c.device.in_(sorted(devices)), c.ahead.is_not(None))
    found: dict[int, list[tuple[int, int]]] = {}
    for row in tx.execute(mine.order_by(c.wall)):
        found.setdefault(row.device, []).append((row.wall, row.ahead))
    return found


def at(clocks: dict[int, list[tuple[int, int]]], device: int, wall: int) -> int | None:
    """How far the device's clock was off for a record that was read out at `wall`; None where nobody asked it."""
    near = [off for said, off in clocks.get(device, ()) if -10 <= wall - said <= GOOD_FOR]
    return near[-1] if near else None
