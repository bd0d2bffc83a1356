"""The wrong-patient race: another patient is opened, the screen is closed, the device reconnects, in the middle of a measurement.

Real store, real collector, real simulated device, two kiosk windows; only the clock is turned by hand. What must never
happen in any of them: a measurement that began on one person's finger in the record of another.
"""

import pytest

from appliance.kiosk.screens.measure import end_left_over
from appliance.store import measuring
from appliance.store.measuring import State
from tests.kiosk.room import Room
from tests.kiosk.station import FIRST, SECOND, Station, Window
from tests.polling import until


def rows(station: Station) -> list[measuring.MeasurementRow]:
    """Every measurement, the oldest first."""
    ids = [row[0] for row in station.conn.execute("SELECT id FROM measurement ORDER BY id").fetchall()]
    return [one for each in ids if (one := measuring.measurement(station.conn, each)) is not None]


def records(station: Station) -> list[tuple[int, int]]:
    """(patient, measurement) of everything that was saved."""
    return [tuple(row) for row in station.conn.execute("SELECT patient, measurement FROM observation ORDER BY id").fetchall()]


def save(window: Window, session: int, measurement: int, patient: int) -> int:
    """Press *Lưu* as the page that was open would; the status of the answer."""
    return window.post(f"/sessions/{session}/save", measurement=measurement, patient=patient).status


def test_wrong_patient_race_the_straight_way(station: Station, oximeter: Room) -> None:
    """Nobody interferes: the finger goes in after the confirmation, settles after 10 s, and *Lưu* saves it for that patient."""
    window = station.window()
    session = window.open(station.first)
    oximeter.pages.append((window, session))
    oximeter.run(1)
    oximeter.finger("in")
    settled = oximeter.run(20, lambda: oximeter.ask(window, session)["measurement"])
    assert FIRST in window.get(f"/sessions/{session}").text
    assert "Lưu</button>" in window.text
    assert save(window, session, settled, station.first) == 200
    assert records(station) == [(station.first, settled)]


def test_wrong_patient_race_another_patient_is_opened_on_the_device(station: Station, oximeter: Room) -> None:
    """The first patient's finger is in; a second window opens the second patient: the measurement is nobody's, and neither can save it."""
    one, two = station.window(), station.window("bs2")
    first = one.open(station.first)
    oximeter.pages.append((one, first))
    oximeter.run(1)
    oximeter.finger("in")
    oximeter.run(5)
    second = two.open(station.second)
    oximeter.pages.append((two, second))
    oximeter.run(20, lambda: rows(station))
    (row,) = rows(station)
    assert (row.state, row.patient, row.why) == (State.UNASSIGNED, None, "session-changed")
    assert "không lưu được từ màn hình này" in one.get(f"/sessions/{first}").text.lower()
    assert "được mở cho người khác" in one.text
    for window, session, patient in ((one, first, station.first), (two, second, station.second), (two, second, station.first)):
        assert save(window, session, row.id, patient) == 409
        assert "không lưu" in window.text
    assert oximeter.ask(two, second)["measurement"] is None
    assert records(station) == []


def test_wrong_patient_race_the_second_window_sees_nothing_of_the_first_finger(station: Station, oximeter: Room) -> None:
    """While the first finger is still in, the page of the second patient shows no number, says so, and a new finger counts."""
    one, two = station.window(), station.window()
    oximeter.pages.append((one, one.open(station.first)))
    oximeter.finger("in")
    oximeter.run(4)
    second = two.open(station.second)
    oximeter.run(1)
    heard = oximeter.ask(two, second)
    assert set(heard["numbers"].values()) == {""}
    assert "bắt đầu trước khi xác nhận" in heard["note"]
    oximeter.finger("out")
    oximeter.run(3)
    oximeter.finger("in")
    oximeter.pages[:] = [(two, second)]
    settled = oximeter.run(20, lambda: oximeter.ask(two, second)["measurement"])
    assert save(two, second, settled, station.second) == 200
    assert records(station) == [(station.second, settled)]


def test_wrong_patient_race_a_settled_reading_after_the_device_was_taken(station: Station, oximeter: Room) -> None:
    """Settled for the first patient, not saved, then the device is opened for the second: *Lưu* on the old page is refused (409).

    The reading is still the first patient's: it waits on their page, for two identifiers.
    """
    one, two = station.window(), station.window()
    first = one.open(station.first)
    oximeter.pages.append((one, first))
    oximeter.finger("in")
    settled = oximeter.run(20, lambda: oximeter.ask(one, first)["measurement"])
    two.open(station.second)
    assert save(one, first, settled, station.first) == 409
    assert "Máy đo đã được mở cho người khác" in one.text
    assert records(station) == []
    assert f"/patients/{station.second}/undecided/" not in two.get(f"/patients/{station.second}").text
    assert two.post(f"/patients/{station.second}/undecided/{settled}", id_name="1", id_birth="1").status == 409
    one.get(f"/patients/{station.first}/undecided/{settled}")
    assert one.post(f"/patients/{station.first}/undecided/{settled}", id_name="1").status == 422
    assert records(station) == []
    assert one.post(f"/patients/{station.first}/undecided/{settled}", id_name="1", id_birth="1").status == 200
    assert records(station) == [(station.first, settled)]


def test_wrong_patient_race_the_screen_is_closed(station: Station, oximeter: Room) -> None:
    """The page stops asking in the middle of a measurement: the session is ended, the measurement is nobody's."""
    window = station.window()
    session = window.open(station.first)
    oximeter.pages.append((window, session))
    oximeter.finger("in")
    oximeter.run(1)
    oximeter.pages.clear()
    oximeter.run(7)
    until(lambda: _why(station, session) == "screen-closed", what="the kiosk's watch to end the session")
    oximeter.run(20, lambda: rows(station))
    (row,) = rows(station)
    assert (row.state, row.patient) == (State.UNASSIGNED, None)
    assert save(window, session, row.id, station.first) == 409
    assert records(station) == []


def _why(station: Station, session: int) -> str:
    found = measuring.session(station.conn, session)
    return "" if found is None else found.why


@pytest.mark.parametrize("away", [0.5, 6.0])
def test_wrong_patient_race_the_device_reconnects_in_mid_measurement(station: Station, oximeter: Room, away: float) -> None:
    """The cable is pulled with the finger in and comes back: nothing of it reaches a record, and the patient is confirmed again."""
    window = station.window()
    session = window.open(station.first)
    oximeter.pages.append((window, session))
    oximeter.finger("in")
    oximeter.run(4)
    oximeter.cable.plugged = False
    oximeter.run(away)
    oximeter.cable.plugged = True
    oximeter.run(20, lambda: _why(station, session) == "reconnected")
    oximeter.run(15)
    assert {row.state for row in rows(station)} <= {State.UNASSIGNED, State.SETTLED}
    for row in rows(station):
        if row.state is State.SETTLED:  # the short measurement that the lost line cut off: the same finger, the same session
            assert row.patient == station.first
    before = len(rows(station))
    assert oximeter.ask(window, session)["page"].startswith("reconnected")
    window.get(f"/sessions/{session}")
    assert window.path == f"/patients/{station.first}/confirm"
    assert "mất kết nối" in window.text
    window.post(f"/patients/{station.first}/measure", device="oxi")
    assert window.path == f"/patients/{station.first}/confirm"
    again = window.open(station.first)
    assert again != session
    assert len(rows(station)) == before


def test_wrong_patient_race_the_device_reconnects_while_the_page_is_elsewhere(station: Station, oximeter: Room) -> None:
    """Confirmed a moment ago, then the cable is pulled and put in with no page watching: two identifiers again; else it stands."""
    window = station.window()
    session = window.open(station.first)
    window.post(f"/sessions/{session}/end")
    oximeter.run(1)
    window.post(f"/patients/{station.first}/measure", device="oxi")
    assert window.path.startswith("/sessions/")
    window.post(f"{window.path}/end")
    oximeter.cable.plugged = False
    oximeter.run(3)
    oximeter.cable.plugged = True
    oximeter.run(20, lambda: oximeter.live()["state"] == "ready")
    window.post(f"/patients/{station.first}/measure", device="oxi")
    assert window.path == f"/patients/{station.first}/confirm"
    assert "Bắt đầu đo" in window.text


def test_wrong_patient_race_two_kiosks_save_at_once(station: Station, oximeter: Room) -> None:
    """Two windows on one session's reading, and a nervous finger: one observation, one event."""
    one, two = station.window(), station.window("bs2")
    first = one.open(station.first)
    oximeter.pages.append((one, first))
    oximeter.finger("in")
    settled = oximeter.run(20, lambda: oximeter.ask(one, first)["measurement"])
    assert save(two, first, settled, station.first) == 409
    assert [save(one, first, settled, station.first) for _ in range(3)] == [200, 200, 200]
    assert records(station) == [(station.first, settled)]
    assert station.count("SELECT count(*) FROM outbox WHERE kind = 10") == 1


def test_wrong_patient_race_the_form_of_another_patient(station: Station) -> None:
    """A page with one patient's session and another's name, or another session's measurement: refused, whatever is sent."""
    one, two = station.window(), station.window()
    first, second = one.open(station.first, "oxi"), two.open(station.second, "cuff")
    mine, theirs = station.measure("oxi", first), station.measure("cuff", second, SYSTOLIC=115, DIASTOLIC=74)
    assert save(one, first, mine, station.second) == 409
    assert save(one, first, theirs, station.first) == 409
    assert save(one, second, theirs, station.second) == 409
    assert save(two, second, mine, station.second) == 409
    assert records(station) == []
    assert save(one, first, mine, station.first) == 200
    assert FIRST in one.get(f"/patients/{station.first}").text
    assert SECOND not in one.text


def test_wrong_patient_race_after_two_idle_minutes(station: Station) -> None:
    """Nobody touched the screen for two minutes: who is on the chair may have changed. Two identifiers before anything is saved."""
    window = station.window()
    session = window.open(station.first)
    measurement = station.measure("oxi", session)
    station.hand.turn(121)
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    assert window.path == f"/patients/{station.first}/undecided/{measurement}"
    assert records(station) == []
    window.post(window.path, id_name="1", id_birth="1")
    assert records(station) == [(station.first, measurement)]


def test_wrong_patient_race_the_kiosk_restarts(station: Station, oximeter: Room) -> None:
    """A kiosk that comes back ends the sessions of the one before it: a finger put in meanwhile is nobody's."""
    window = station.window()
    session = window.open(station.first)
    oximeter.finger("in")
    oximeter.run(2)
    end_left_over(station.kiosk)
    assert _why(station, session) == "screen-closed"
    oximeter.run(15, lambda: rows(station))
    assert rows(station)[0].state is State.UNASSIGNED
