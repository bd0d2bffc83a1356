"""What stands behind device numbers, and what stations said about their clocks."""

from collections.abc import Iterable

from sqlalchemy import Connection, select, tuple_

from appliance.contract.events import DeviceLabel, DeviceRegistered
from cloud_bridge.store.tables import device
from cloud_bridge.store.writing import upsert

_REGISTERED = 1 << 40
"""Added to the time of a registration, so that it outranks every label (a label's rank is its time in tenths, below 2**36 until 2187)."""


def register(tx: Connection, station: str, body: DeviceRegistered, wall: int) -> None:
    """A device as its station registered it; of two registrations the later by the box's clock stays."""
    _take(
        tx, station=station, device=body.device, rank=_REGISTERED + wall, identity=body.identity, name=body.name, driver=body.driver,
        model=body.model, serial=body.serial, test_data=body.test_data,
    )  # fmt: skip


def label(tx: Connection, station: str, labels: Iterable[DeviceLabel], wall: int) -> None:
    """Names that a consult carried for its devices: good until the registration arrives."""
    for one in labels:
        _take(
            tx, station=station, device=one.device, rank=wall, identity="", name=one.name, driver="", model="", serial="", test_data=False
        )


def _take(tx: Connection, **row: object) -> None:
    fresh = upsert(tx, device).values(**row)
    changes = {name: fresh.excluded[name] for name in row if name not in ("station", "device")}
    newer = tuple_(fresh.excluded.rank, fresh.excluded.name) > tuple_(device.c.rank, device.c.name)
    tx.execute(fresh.on_conflict_do_update(index_elements=["station", "device"], set_=changes, where=newer))


def names(tx: Connection, station: str) -> dict[int, str]:
    """Device numbers of a station and what people call them."""
    rows = tx.execute(select(device.c.device, device.c.name, device.c.model).where(device.c.station == station))
    return {row.device: f"{row.name} ({row.model})" if row.model and row.model not in row.name else row.name for row in rows}
