"""What the bridge knows about a station's devices: register, calibration beside the value, health for the fleet's page."""

import itertools
from dataclasses import replace

import pytest

from appliance.contract import events as ev
from cloud_bridge import intake
from cloud_bridge.console import present
from cloud_bridge.console.words import Say
from cloud_bridge.store import devices
from cloud_bridge.store.engine import reading as looking
from cloud_bridge.store.engine import writing
from tests.bridge import story
from tests.bridge.story import STATION, event, place
from tests.bridge.test_present import seen

CUFF = ev.DeviceRegistered(
    story.CUFF, "suntech-nibp#TB-017", "Máy đo huyết áp", "suntech-nibp", inventory="TB-017", calibrated="2025-05-01",
    next_calibration="2026-05-01",
)  # fmt: skip
BAD = ev.DeviceHealth(story.CUFF, True, bad=140, silence=2, reopenings=5)


def take(engine, *bodies: tuple[object, float]) -> None:
    """Bodies and the second of their making, in one transaction."""
    with writing(engine) as tx:
        for number, (body, seconds) in enumerate(bodies):
            each = event(body, seconds)
            intake.apply(tx, STATION, each, story.T0 + 5000, place(number, each))


@pytest.mark.parametrize("turn", list(itertools.permutations(range(3))))
def test_register_and_health_in_any_order_make_one_line_of_the_fleet(engine, turn):
    """Inventory number, calibration and the latest health, whichever event came first."""
    told = [(CUFF, 0.0), (BAD, 10.0), (ev.DeviceHealth(story.CUFF, False, bad=3), 4000.0)]
    take(engine, *(told[each] for each in turn))
    with looking(engine) as tx:
        (one,) = devices.fleet(tx, [STATION])
        assert devices.fleet(tx, ["tram-0099"]) == []
    assert (one.inventory, one.calibrated, one.next_calibration, one.name) == ("TB-017", "2025-05-01", "2026-05-01", "Máy đo huyết áp")
    assert (one.alarm, one.bad, one.reopenings) == (False, 3, 0)


def test_a_device_with_an_alarm_stands_first(engine):
    """Devices that were only named by a consult are no line; those never in alarm have no health."""
    other = ev.DeviceRegistered(7, "nonin@x", "A", "nonin")
    take(engine, (other, 0.0), (CUFF, 0.0), (BAD, 10.0))
    with looking(engine) as tx:
        found = devices.fleet(tx, [STATION])
    assert [(one.device, one.alarm) for one in found] == [(story.CUFF, True), (7, None)]


def test_an_overdue_calibration_is_said_beside_the_value(engine):
    """On the last day nothing, from the next one on the date; in both languages; a device without a date is never overdue."""
    take(engine, (CUFF, 0.0))
    with looking(engine) as tx:
        named = devices.names(tx, STATION)
    assert named.due == {story.CUFF: "2026-05-01"}
    bp = story.pressure()
    last = int(present.datetime(2026, 5, 1, 23, 59, tzinfo=present.ZONE).timestamp() * 10)

    def notes(at: int, language: str = "vi", names: object = named) -> tuple[str, ...]:
        one = replace(bp, stamp=replace(bp.stamp, wall=at))
        return present.reading_row(seen(one), story.PATIENT, names, Say(language)).notes

    assert notes(last) == ()
    assert notes(last + 600) == ("quá hạn hiệu chuẩn từ 01/05/2026",)
    assert notes(last + 600, "en") == ("calibration overdue since 01/05/2026",)
    assert notes(last + 600, names={}) == ()
    assert present.fingerprint(named) != present.fingerprint(devices.Names(dict(named), {}))
