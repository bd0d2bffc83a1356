"""Devices and staff: what stands behind a number and behind a code."""

import pytest

from appliance.contract.events import DeviceRegistered
from appliance.contract.ids import short_of
from appliance.store import devices, staff
from appliance.store.errors import Refused
from tests.store.station import Station


def test_a_device_is_announced_when_it_is_new_or_different(station: Station) -> None:
    """The first time and after each change of what it says about itself; never for nothing."""

    def register(model: str) -> int:
        return devices.register(
            station.conn,
            name="Máy thử",
            driver="suntech-nibp",
            identity="suntech-nibp@x",
            model=model,
            serial="",
            test_data=True,
            now=station.now,
        )

    number = register("")
    assert number == short_of("suntech-nibp@x") == register("") == register("A") == register("A")
    said = [event.body for event in station.events(DeviceRegistered.KIND)]
    assert [(one.model, one.test_data) for one in said if isinstance(one, DeviceRegistered)] == [("", True), ("A", True)]
    known = devices.get(station.conn, number)
    assert known is not None
    assert (known.name, known.model, known.test_data) == ("Máy thử", "A", True)


def test_staff_come_and_go_and_keep_their_code(station: Station) -> None:
    """Listed while active; a code is short and plain; who comes back is the same person."""
    staff.add(station.conn, code="an", name="Thử  Nghiệm An", now=station.now)
    staff.add(station.conn, code="binh", name="Thử Nghiệm Bình", role="doctor", now=station.now)
    staff.retire(station.conn, "an", now=station.now)
    assert [one.code for one in staff.listing(station.conn)] == ["binh"]
    gone = staff.get(station.conn, "an")
    assert gone == staff.Staff("an", "Thử Nghiệm An", "nurse", False)
    staff.add(station.conn, code="an", name="Thử Nghiệm An", now=station.now)
    assert [one.code for one in staff.listing(station.conn)] == ["an", "binh"]
    for code, name in (("đ", "A"), ("", "A"), ("a" * 17, "A"), ("an", " ")):
        with pytest.raises(Refused):
            staff.add(station.conn, code=code, name=name, now=station.now)
