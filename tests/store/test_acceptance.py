"""The acceptance of a station: what passes by itself, what devices and persons prove, what is waived, what is left when it is signed."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from appliance.contract.events import MeasurementUnassigned, StationAccepted, Waiver
from appliance.contract.metrics import Status
from appliance.database import transaction
from appliance.settings import DeviceSettings
from appliance.store import acceptance, measuring
from appliance.store.errors import Refused
from appliance.store.health import Looked
from tests.store.station import STATION, Station

DEVICES = MappingProxyType({"cuff": DeviceSettings(driver="suntech-nibp", port="/dev/tram/cuff", name="Máy đo huyết áp")})


def looked(station: Station, sys: Path) -> Looked:
    """What is looked at: one cuff, an invented kernel tree."""
    settings = replace(station.settings, devices=DEVICES)
    return Looked(station.conn, settings, station.now, int(station.hand.seconds * 1e9), sys)


def states(station: Station, sys: Path) -> Mapping[str, str]:
    """Each step's state."""
    return {one.name: one.state for one in acceptance.steps(looked(station, sys))}


def online(station: Station) -> None:
    """The line stands and the bridge vouches for everything."""
    with transaction(station.conn):
        station.conn.execute("INSERT OR REPLACE INTO carrier (id, state) VALUES (1, 'online')")
        station.conn.execute("UPDATE outbox SET state = 2")


def test_a_reading_of_nobody_proves_the_device_and_travels_as_test_data(station: Station, tmp_path: Path) -> None:
    """What was measured before the beginning proves nothing; afterwards it leaves the tray marked, and its receipt proves the bridge."""
    station.observe(None, station.reading(131))
    station.later(1)
    acceptance.begin(station.conn, staff="kt1", now=station.now)
    at = looked(station, tmp_path)
    assert acceptance.gather(station.conn, at.settings, now=station.now) == 0
    assert states(station, tmp_path)["device:cuff"] == "open"
    station.later(1)
    station.observe(None, station.reading(117))
    assert acceptance.gather(station.conn, at.settings, now=station.now) == 1
    assert acceptance.gather(station.conn, at.settings, now=station.now) == 0
    (told,) = station.events(MeasurementUnassigned.KIND)
    assert isinstance(told.body, MeasurementUnassigned)
    assert told.body.reason == measuring.ACCEPTANCE
    assert all(one.status & Status.TEST_DATA for one in told.body.reading.numerics)
    assert len(measuring.unassigned(station.conn)) == 1, "what lay there before is still a person's to decide"
    found = {one.name: one for one in acceptance.steps(looked(station, tmp_path))}
    assert "Tâm thu 117 mmHg" in found["device:cuff"].said[0]
    assert (found["device:cuff"].state, found["bridge"].state) == ("passed", "open")
    online(station)
    assert (states(station, tmp_path)["bridge"], states(station, tmp_path)["link"]) == ("passed", "passed")


def test_a_patients_measurement_proves_the_device_and_stays_theirs(station: Station, tmp_path: Path) -> None:
    """A nurse measured a patient meanwhile: the device is proved, nothing is sent as a test."""
    patient = station.patient()
    acceptance.begin(station.conn, staff="kt1", now=station.now)
    saved = station.saved(patient)
    acceptance.gather(station.conn, looked(station, tmp_path).settings, now=station.now)
    assert states(station, tmp_path)["device:cuff"] == "passed"
    assert states(station, tmp_path)["bridge"] == "open"
    row = measuring.measurement(station.conn, saved)
    assert row is not None
    assert row.state is measuring.State.RECORDED


def test_a_technician_measures_themself_and_never_takes_a_patients_cuff(station: Station, tmp_path: Path) -> None:
    """The trial's measurement belongs to nobody; a cuff that measures a patient is refused."""
    with pytest.raises(Refused):
        acceptance.trial(station.conn, "cuff", staff="kt1", now=station.now)
    acceptance.begin(station.conn, staff="kt1", now=station.now)
    patient = station.patient()
    session = station.session(patient)
    station.later(1)
    with pytest.raises(Refused, match="patient"):
        acceptance.trial(station.conn, "cuff", staff="kt1", now=station.now)
    measuring.end_session(station.conn, session, "finished", station.now)
    station.later(1)
    trial = acceptance.trial(station.conn, "cuff", staff="kt1", now=station.now)
    station.later(1)
    assert station.observe(trial).measurement > 0
    assert acceptance.gather(station.conn, looked(station, tmp_path).settings, now=station.now) == 1
    assert len(station.events(MeasurementUnassigned.KIND)) == 1


def test_what_is_open_stops_the_signature_and_a_waiver_needs_its_reason(station: Station, tmp_path: Path) -> None:
    """Every open step is named; a waiver without a reason, for no step, or for what passed is refused."""
    acceptance.begin(station.conn, staff="kt1", now=station.now)
    at = looked(station, tmp_path)
    with pytest.raises(Refused, match="enrolment, link, device:cuff, bridge"):
        acceptance.finish(at, staff="kt1", name="Kỹ Thuật Thử")
    for step, reason in (("link", " x "), ("nothing", "chưa có SIM"), ("card", "chưa có SIM"), ("link", "x" * 81)):
        with pytest.raises(Refused):
            acceptance.waive(at, step, reason, staff="kt1")
    assert not (station.settings.paths.data / acceptance.FILE).exists()


def test_the_signature_is_kept_told_and_left_as_a_file(station: Station, tmp_path: Path) -> None:
    """Waivers, absences and passes stand in the event and on the slip; the file names who; a second acceptance begins anew."""
    acceptance.begin(station.conn, staff="kt1", now=station.now)
    at = looked(station, tmp_path)
    for step in ("enrolment", "link", "device:cuff", "bridge"):
        acceptance.waive(at, step, "chưa có SIM", staff="kt1")
    slip = acceptance.finish(at, staff="kt1", name="Kỹ Thuật Thử")
    (told,) = station.events(StationAccepted.KIND)
    assert isinstance(told.body, StationAccepted)
    assert (told.body.technician, told.actor) == ("Kỹ Thuật Thử", "kt1")
    assert Waiver("link", "chưa có SIM") in told.body.waived
    assert "card" in told.body.passed
    assert "power" in told.body.absent
    assert acceptance.signed(station.conn) == slip
    assert (slip.station, slip.code) == (STATION, told.body.code)
    assert ("Đường truyền", "waived", "chưa có SIM") in slip.steps
    assert slip.devices == (("Máy đo huyết áp", "suntech-nibp", ""),)
    said = json.loads((station.settings.paths.data / acceptance.FILE).read_text(encoding="utf-8"))
    assert said == {"station": STATION, "at": station.now.wall, "technician": "Kỹ Thuật Thử", "code": slip.code}
    with pytest.raises(Refused):
        acceptance.finish(at, staff="kt1", name="Kỹ Thuật Thử")
    station.later(60)
    again = acceptance.begin(station.conn, staff="kt1", now=station.now)
    assert again.ended is None
    assert states(station, tmp_path)["link"] == "open"
    actions = [row[0] for row in station.conn.execute("SELECT action FROM audit WHERE action LIKE 'acceptance.%' ORDER BY id")]
    assert actions == ["acceptance.begin", *["acceptance.waive"] * 4, "acceptance.sign", "acceptance.begin"]


def test_only_a_person_calls_lamp_and_camera_good(station: Station, tmp_path: Path) -> None:
    """A part that is there stays open until somebody saw it; the card is none of those."""
    (tmp_path / "class" / "usbmisc" / "lp0").mkdir(parents=True)
    acceptance.begin(station.conn, staff="kt1", now=station.now)
    assert (states(station, tmp_path)["printer"], states(station, tmp_path)["camera"]) == ("open", "absent")
    acceptance.saw(station.conn, "printer", now=station.now)
    assert states(station, tmp_path)["printer"] == "passed"
    with pytest.raises(Refused):
        acceptance.saw(station.conn, "card", now=station.now)
