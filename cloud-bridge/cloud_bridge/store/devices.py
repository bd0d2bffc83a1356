"""What stands behind device numbers, and what stations said about their clocks."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select, tuple_

from appliance.contract.events import DeviceLabel, DeviceRegistered
from cloud_bridge.store.tables import device
from cloud_bridge.store.writing import put

_REGISTERED = 1 << 40
"""Added to the time of a registration, so that it outranks every label (a label's rank is its time in tenths, below 2**36 until 2187)."""


def register(tx: Connection, station: str, body: DeviceRegistered, wall: int) -> None:
    """A device as its station registered it; of two registrations the later by the box's clock stays."""
    row = {
        "station": station, "device": body.device, "rank": _REGISTERED + wall, "identity": body.identity, "name": body.name,
        "driver": body.driver, "model": body.model, "serial": body.serial, "test_data": body.test_data,
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


def names(tx: Connection, station: str) -> dict[int, str]:
    """Device numbers of a station and what people call them."""
    rows = tx.execute(select(device.c.device, device.c.name, device.c.model).where(device.c.station == station))
    return {row.device: f"{row.name} ({row.model})" if row.model and row.model not in row.name else row.name for row in rows}
