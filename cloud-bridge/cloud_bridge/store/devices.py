"""What stands behind device numbers, and what stations said about their clocks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, select, tuple_

from appliance.contract.events import DeviceHealth, DeviceLabel, DeviceRegistered
from cloud_bridge.store.tables import device, device_health
from cloud_bridge.store.writing import put, upsert

_REGISTERED = 1 << 40
"""Added to the time of a registration, so that it outranks every label (a label's rank is its time in tenths, below 2**36 until 2187)."""


def register(tx: Connection, station: str, body: DeviceRegistered, wall: int) -> None:
    """A device as its station registered it; of two registrations the later by the box's clock stays."""
    row = {
        "station": station, "device": body.device, "rank": _REGISTERED + wall, "identity": body.identity, "name": body.name,
        "driver": body.driver, "model": body.model, "serial": body.serial, "test_data": body.test_data, "inventory": body.inventory,
        "calibrated": body.calibrated, "next_calibration": body.next_calibration,
    }  # fmt: skip
    put(tx, device, _ROW, [tuple([row[name] for name in _ROW])], _later)


def label_many(tx: Connection, said: Iterable[tuple[str, Sequence[DeviceLabel], int]]) -> None:
    """Names that consults carried for their devices, as (station, labels, the box's time): good until the registration arrives."""
    latest: dict[tuple[str, int], tuple[int, set[str]]] = {}
    for station, labels, wall in said:
        for one in labels:
            before, names = latest.setdefault((station, one.device), (wall, {one.name}))
            if wall > before:
                latest[station, one.device] = (wall, {one.name})
            elif wall == before:
                names.add(one.name)  # the database says which of two names is the greater
    blank = dict.fromkeys(_ROW, "") | {"test_data": False}
    rows = [
        blank | {"station": station, "device": number, "rank": wall, "name": name}
        for (station, number), (wall, names) in sorted(latest.items())
        for name in sorted(names)
    ]
    put(tx, device, _ROW, [tuple([row[name] for name in _ROW]) for row in rows], _later)


_ROW = tuple(device.columns.keys())


def _later(fresh: Any) -> Any:
    changes = {name: fresh.excluded[name] for name in _ROW if name not in ("station", "device")}
    newer = tuple_(fresh.excluded.rank, fresh.excluded.name) > tuple_(device.c.rank, device.c.name)
    return fresh.on_conflict_do_update(index_elements=["station", "device"], set_=changes, where=newer)


def heard(tx: Connection, station: str, body: DeviceHealth, wall: int, at: int) -> None:
    """How well a device is heard; of two reports the later by the box's clock stays."""
    row = {"wall": wall, "alarm": body.alarm, "bad": body.bad, "silence": body.silence, "reopenings": body.reopenings, "received": at}
    fresh = upsert(tx, device_health).values(station=station, device=body.device, **row)
    newer = tuple_(fresh.excluded.wall, fresh.excluded.bad) > tuple_(device_health.c.wall, device_health.c.bad)
    tx.execute(fresh.on_conflict_do_update(index_elements=["station", "device"], set_=dict(fresh.excluded.items()), where=newer))


@dataclass(frozen=True, slots=True)
class Fleet:
    """One device of a fleet: who it is, when it is to be calibrated, and how well it was last heard (None: no alarm was ever told)."""

    station: str
    device: int
    name: str
    driver: str
    inventory: str
    calibrated: str
    next_calibration: str
    test_data: bool
    alarm: bool | None
    bad: int | None
    silence: int | None
    reopenings: int | None
    wall: int | None


def fleet(tx: Connection, stations: Iterable[str]) -> list[Fleet]:
    """The registered devices of some stations, those with an alarm first."""
    health = device_health.c
    rows = tx.execute(
        select(
            device.c.station, device.c.device, device.c.name, device.c.driver, device.c.inventory, device.c.calibrated,
            device.c.next_calibration, device.c.test_data, health.alarm, health.bad, health.silence, health.reopenings, health.wall,
        )
        .join_from(device, device_health, and_(health.station == device.c.station, health.device == device.c.device), isouter=True)
        .where(device.c.station.in_(sorted(stations)), device.c.rank >= _REGISTERED)
    )  # fmt: skip
    found = [Fleet(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it
    return sorted(found, key=lambda one: (not one.alarm, one.station, one.name, one.device))


class Names(dict[int, str]):
    """What people call the devices of a station, by number; `due` has the dates until which those that have one are calibrated."""

    def __init__(self, names: Mapping[int, str], due: Mapping[int, str]) -> None:
        super().__init__(names)
        self.due = dict(due)

    def __repr__(self) -> str:
        """Both, because a page's fingerprint is made of it."""
        return f"{super().__repr__()}, {self.due!r}"


def names(tx: Connection, station: str) -> Names:
    """Device numbers of a station and what people call them."""
    columns = device.c.device, device.c.name, device.c.model, device.c.next_calibration
    rows = tx.execute(select(*columns).where(device.c.station == station)).all()
    return Names(
        {row.device: f"{row.name} ({row.model})" if row.model and row.model not in row.name else row.name for row in rows},
        {row.device: row.next_calibration for row in rows if row.next_calibration},
    )
