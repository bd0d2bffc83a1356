"""How the box stands: each line says what is so, names a next step where one is needed, and never calls the unknown good."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from appliance.contract.readings import ClockQuality
from appliance.contract.statuscode import LIGHTS, NEVER, Light, mark_of, read, write
from appliance.database import transaction
from appliance.settings import DeviceSettings
from appliance.store import health, register, sms
from appliance.store.health import Line, Looked
from appliance.store.register import Heard
from tests.store.station import STATION, Station

CUFFS = MappingProxyType({"cuff": DeviceSettings(driver="suntech-nibp", port="/dev/tram/cuff")})


def looked(station: Station, sys: Path) -> Looked:
    """What is looked at, with an invented kernel tree."""
    return Looked(station.conn, station.settings, station.now, int(station.hand.seconds * 1e9), sys)


def by_name(station: Station, sys: Path) -> Mapping[str, Line]:
    """The lines by name."""
    return {one.name: one for one in health.lines(looked(station, sys))}


def live(station: Station, name: str, **said: object) -> None:
    """A program says something at this moment."""
    view = {"boottime_ns": int(station.hand.seconds * 1e9), **said}
    (station.settings.paths.run / f"{name}.live").write_text(json.dumps(view))


def laid(sys: Path, name: str, text: str) -> None:
    """A file of the kernel's tree."""
    (sys / name).parent.mkdir(parents=True, exist_ok=True)
    (sys / name).write_text(text)


def received(station: Station) -> None:
    """The bridge has vouched for everything, just now."""
    with transaction(station.conn):
        station.conn.execute("UPDATE outbox SET state = 2")
        station.conn.execute("INSERT OR REPLACE INTO peer (store, counter, heard, current) VALUES (x'01', 1, ?, 1)", (station.now.wall,))


def test_a_bare_box_says_what_is_missing_and_what_to_do(station: Station, tmp_path: Path) -> None:
    """Nothing is connected: what cannot be known is absent, what must be there fails with a next step in both languages."""
    found = by_name(station, tmp_path / "sys")
    assert list(found)[:6] == list(LIGHTS)
    lights = {name: one.light for name, one in found.items()}
    assert lights == {
        "power": Light.ABSENT, "card": Light.OK, "clock": Light.OK, "modem": Light.ABSENT, "bridge": Light.FAIL, "devices": Light.FAIL,
        "camera": Light.ABSENT, "printer": Light.ABSENT, "panel": Light.ABSENT, "key": Light.ABSENT,
    }  # fmt: skip
    for one in found.values():
        assert all(one.said)
        assert all(one.next) == (one.light in (Light.WARN, Light.FAIL))


def test_power_is_what_the_firmware_and_the_ups_say(station: Station, tmp_path: Path) -> None:
    """The Pi's under-voltage flag outranks the UPS; the battery is a warning; an old word of the panel counts for nothing."""
    sys = tmp_path / "sys"
    laid(sys, "class/hwmon/hwmon1/name", "rpi_volt\n")
    laid(sys, "class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
    assert by_name(station, sys)["power"].light is Light.OK
    station.settings = replace(station.settings, panel=replace(station.settings.panel, mains=6))
    live(station, "_panel", mains=False)
    assert by_name(station, sys)["power"].light is Light.WARN
    laid(sys, "class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    assert by_name(station, sys)["power"].light is Light.FAIL
    station.later(5)
    assert by_name(station, tmp_path / "none")["power"].light is Light.ABSENT


@pytest.mark.parametrize(
    ("life", "light"), [("0x01 0x02", Light.OK), ("0x09 0x01", Light.WARN), ("0x01 0x0b", Light.FAIL), ("odd", Light.OK)]
)
def test_a_worn_card_is_said(station: Station, tmp_path: Path, life: str, light: Light) -> None:
    """The worse of both estimates counts."""
    laid(tmp_path / "sys", "block/mmcblk0/device/life_time", life + "\n")
    assert by_name(station, tmp_path / "sys")["card"].light is light


def test_a_full_or_damaged_card_is_said(station: Station, tmp_path: Path) -> None:
    """Nearly full fails, damage found within a month warns."""
    with transaction(station.conn):
        station.conn.execute("INSERT INTO inspection (at, kind, found) VALUES (?, 'salvage', 'x')", (station.now.wall,))
    assert by_name(station, tmp_path)["card"].light is Light.WARN
    station.settings = replace(station.settings, store=replace(station.settings.store, room_bytes=1000))
    assert by_name(station, tmp_path)["card"].light is Light.FAIL


@pytest.mark.parametrize(
    ("quality", "light"), [(ClockQuality.SYNCED, Light.OK), (ClockQuality.RTC, Light.WARN), (ClockQuality.UNKNOWN, Light.FAIL)]
)
def test_the_clock_is_as_good_as_it_knows(station: Station, tmp_path: Path, quality: ClockQuality, light: Light) -> None:
    """Synchronised, by battery, unknown."""
    station.hand.quality = quality
    station.later(2)
    assert by_name(station, tmp_path)["clock"].light is light


@pytest.mark.parametrize(
    ("word", "signal", "light"),
    [("ready", 20, Light.OK), ("ready", 5, Light.WARN), ("ready", None, Light.WARN), ("sim", None, Light.FAIL), ("silent", 20, Light.FAIL)],
)
def test_the_modem_is_what_it_said_last(station: Station, tmp_path: Path, word: str, signal: int | None, light: Light) -> None:
    """Ready with a signal, weak, or not usable."""
    station.settings = replace(station.settings, sms=replace(station.settings.sms, port="/dev/ttyUSB9", number="+84900000001"))
    sms.tell_modem(station.conn, word, signal, station.now.wall)
    assert by_name(station, tmp_path)["modem"].light is light


def test_a_modem_of_the_system_is_seen(station: Station, tmp_path: Path) -> None:
    """By its network interface."""
    laid(tmp_path, "class/net/wwan0/operstate", "unknown\n")
    assert by_name(station, tmp_path)["modem"].light is Light.OK
    laid(tmp_path, "class/net/wwan0/operstate", "down\n")
    assert by_name(station, tmp_path)["modem"].light is Light.FAIL


def test_the_bridge_is_late_only_where_something_waits(station: Station, tmp_path: Path) -> None:
    """A receipt of now is good; after a day and after a week it warns and fails, if anything waits."""
    received(station)
    assert by_name(station, tmp_path)["bridge"].light is Light.OK
    station.hand.wall += 10 * health.DAY
    assert by_name(station, tmp_path)["bridge"].light is Light.OK
    station.patient()
    found = by_name(station, tmp_path)["bridge"]
    assert found.light is Light.FAIL
    assert "10 ngày trước" in found.said[0]
    station.hand.wall -= 8 * health.DAY
    assert by_name(station, tmp_path)["bridge"].light is Light.WARN


def test_devices_are_good_while_they_speak(station: Station, tmp_path: Path) -> None:
    """Live now; an alarm warns; silence of all fails and names them."""
    station.settings = replace(station.settings, devices=CUFFS)
    live(station, "cuff", state="idle")
    assert by_name(station, tmp_path)["devices"].light is Light.OK
    register.tell(station.conn, Heard("cuff", 4711, True, 9, 0, 0, 0), station.now)
    assert by_name(station, tmp_path)["devices"].light is Light.WARN
    station.later(3)
    found = by_name(station, tmp_path)["devices"]
    assert found.light is Light.FAIL
    assert "cuff" in found.next[0]


def test_the_code_says_what_the_lines_say(station: Station, tmp_path: Path) -> None:
    """Read over the telephone it is the same six lights, days and count."""
    at = looked(station, tmp_path)
    said = read(write(health.code_of(at, health.lines(at))))
    assert (said.mark, said.schema, said.days) == (mark_of(STATION), 3, NEVER)
    assert said.lights == tuple(one.light for one in health.lines(at))[:6]
    waiting = health.unreceived(station.conn)
    assert waiting > 0
    received(station)
    station.hand.wall += 2 * health.DAY
    at = looked(station, tmp_path)
    said = read(write(health.code_of(at, health.lines(at))))
    assert (said.days, said.waiting) == (2, 0)


@pytest.mark.parametrize(
    ("told", "light", "says"),
    [
        ('{"written_day": 19000000, "worn": 0.1, "failed": false}', Light.OK, ""),
        ('{"written_day": 450000000, "worn": null, "failed": null}', Light.WARN, "450 MB"),
        ('{"written_day": null, "worn": 0.92, "failed": false}', Light.WARN, ""),
        ('{"written_day": 1, "worn": 0.1, "failed": true}', Light.FAIL, "worn out"),
        ('{"written_day": "much", "worn": true, "failed": 1}', Light.OK, ""),
        ("no JSON", Light.OK, ""),
        ("[]", Light.OK, ""),
    ],
)
def test_what_the_hourly_look_wrote_of_the_medium_counts(told: str, light: Light, says: str, station: Station, tmp_path: Path) -> None:
    """An SSD's own verdict, its used life, and how much is written in a day; nonsense in the file is no verdict."""
    file = tmp_path / "wear.json"
    file.write_text(told)
    card = next(one for one in health.lines(replace(looked(station, tmp_path / "sys"), wear=file)) if one.name == "card")
    assert card.light is light
    assert says in card.said[1]
