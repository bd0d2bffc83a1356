import pytest

from appliance.contract.metrics import Status
from appliance.store import measuring
from appliance.store.measuring import State
from tests.kiosk.station import FIRST, NURSE, SECOND, Station, Window


def state(station: Station, measurement: int) -> State:
    """What became of a measurement."""
    row = measuring.measurement(station.conn, measurement)
    assert row is not None
    return row.state


def look(station: Station, window: Window, session: int, seconds: int) -> None:
    """Time passes on an open measuring page: it asks, and somebody touches it now and then."""
    for _ in range(seconds // 5):
        station.hand.turn(5)
        window.data(f"/live/oxi.json?session={session}")


def test_nothing_is_measured_before_two_identifiers(station: Station) -> None:
    """Choosing a device leads to the identifiers; one tick, none, or a made-up one opens no session."""
    window = station.window()
    window.post(f"/patients/{station.first}/measure", device="oxi")
    assert window.path == f"/patients/{station.first}/confirm"
    for fact in (FIRST, "30-Thg4-1961", "001 061 012 345", "Bản Thử", "Bắt đầu đo"):
        assert fact in window.text
    for ticks in ({}, {"id_name": "1"}, {"id_name": "1", "id_phone": "1"}, {"id_x": "1", "id_y": "1"}):
        window.post(f"/patients/{station.first}/confirm", device="oxi", **ticks)
        assert window.status == 422
        assert "ít nhất hai điều" in window.text
    assert station.count("SELECT count(*) FROM session") == 0
    window.open(station.first)
    assert station.count("SELECT count(*) FROM session") == 1


def test_two_identifiers_and_the_device_are_one_page(station: Station) -> None:
    """Both said and the device tapped: measuring begins; one alone says what is missing and opens no session."""
    window = station.window()
    assert "30-Thg4-1961" in window.get(f"/patients/{station.first}/measure").text
    window.post(f"/patients/{station.first}/measure", device="oxi", id_name="1")
    assert (window.status, "ít nhất hai điều" in window.text) == (422, True)
    assert station.count("SELECT count(*) FROM session") == 0
    window.post(f"/patients/{station.first}/measure", device="oxi", id_name="1", id_birth="1")
    assert window.path.startswith("/sessions/")


def test_the_next_device_is_one_tap_away_and_ends_what_is_done(station: Station) -> None:
    """After a saved reading the page offers the other device; the session that is done with is over."""
    window = station.window()
    session = window.open(station.first)
    assert "Đo tiếp" not in window.text
    window.post(f"/sessions/{session}/save", measurement=station.measure("oxi", session), patient=station.first)
    assert "Đo tiếp: Máy đo huyết áp" in window.text
    window.post(f"/patients/{station.first}/measure", device="cuff", done=session)
    assert window.path.startswith("/sessions/") and window.path != f"/sessions/{session}"
    it = measuring.session(station.conn, session)
    assert it is not None and it.why == "finished"


def test_a_confirmed_patient_goes_from_device_to_device(station: Station) -> None:
    """Within two minutes the second device needs no second confirmation; after two idle minutes it does."""
    window = station.window()
    window.open(station.first)
    station.hand.turn(100)
    assert window.post(f"/patients/{station.first}/measure", device="cuff").path.startswith("/sessions/")
    station.hand.turn(121)
    assert window.post(f"/patients/{station.first}/measure", device="oxi").path.endswith("/confirm")


def test_the_devices_are_those_of_the_settings_with_what_they_do_now(station: Station) -> None:
    """Name, the driver's metrics, and the state in words; without a live file the connection is lost."""
    station.live("oxi", state="ready")
    text = station.window().get(f"/patients/{station.first}/measure").text
    for words in ("Máy đo SpO₂", "SpO₂ · Mạch · Tưới máu", "Máy sẵn sàng", "Máy đo huyết áp", "Tâm thu · Tâm trương", "Chưa cắm máy"):
        assert words in text


def test_the_page_is_drawn_from_the_drivers_metrics(station: Station) -> None:
    """A huge place for each main metric with its unit, and the patient's banner."""
    window = station.window()
    window.open(station.first)
    for words in ('data-metric="SPO2"', 'data-metric="PULSE_RATE"', "lần/phút", FIRST, "30-Thg4-1961"):
        assert words in window.text
    assert 'data-metric="PERFUSION"' not in window.text


def test_the_moving_number_is_what_the_collector_says_now(station: Station) -> None:
    """Live values of this session; older than 2 s they are gone and the connection is lost."""
    window = station.window()
    session = window.open(station.first)
    numerics = [
        {"metric": "SPO2", "value": 98, "unit": "%", "status": []},
        {"metric": "PULSE_RATE", "value": 60, "unit": "/min", "status": []},
    ]
    station.live("oxi", state="measuring", session=session, numerics=numerics, signals={"pleth": 64})
    heard = window.data(f"/live/oxi.json?session={session}")
    assert heard["numbers"] == {"SPO2": "98", "PULSE_RATE": "60", "PERFUSION": ""}
    assert (heard["signal"], heard["measuring"], heard["lost"]) == (64, True, False)
    station.hand.turn(2.1)
    heard = window.data(f"/live/oxi.json?session={session}")
    assert (heard["numbers"]["SPO2"], heard["lost"], heard["text"]) == ("", True, "Mất kết nối máy")


def test_a_settled_reading_changes_the_page(station: Station) -> None:
    """The page's mark changes; drawn anew it shows values, unit, time, device, source and status, with Lưu and Đo lại."""
    window = station.window()
    session = window.open(station.first)
    before = window.data(f"/live/oxi.json?session={session}")["page"]
    measurement = station.measure("oxi", session, Status.TEST_DATA | Status.EARLY_INDICATION)
    heard = window.data(f"/live/oxi.json?session={session}")
    assert heard["page"] != before
    assert heard["measurement"] == measurement
    text = window.get(f"/sessions/{session}").text
    for words in (">98<", ">60<", "17:00:00", "Máy đo SpO₂", "<b>máy</b>", "dữ liệu thử", "đo ngắn", "Lưu</button>", "Đo lại", FIRST):
        assert words in text
    assert f'data-page="{heard["page"]}"' in text


def test_a_missing_value_is_named_on_the_result(station: Station) -> None:
    """*không có số* and the name of what is missing; never a 0."""
    window = station.window()
    session = window.open(station.first)
    station.measure("oxi", session, SPO2=98, PULSE_RATE=None)
    text = window.get(f"/sessions/{session}").text
    assert "không có số" in text
    assert "Thiếu: Mạch" in text
    assert ">0<" not in text


def test_saving_makes_one_observation_and_one_journal_line(station: Station) -> None:
    """*Lưu*: row and event at once, the nurse as actor; the journal says record with the reading key and its place on the wire."""
    window = station.window()
    session = window.open(station.first)
    measurement = station.measure("oxi", session)
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    assert window.path == f"/sessions/{session}"
    assert "đã lưu" in window.text
    (row,) = measuring.observations(station.conn, station.first)
    assert (row.measurement, row.staff, row.marks) == (measurement, NURSE, 0)
    (line,) = station.steps("record")
    assert (line["reading_key"], line["measurement"]) == (row.key.hex(), measurement)
    assert {"epoch", "lane", "seq"} <= set(line)
    assert station.count("SELECT count(*) FROM outbox WHERE kind = 10") == 1


def test_no_question_is_asked_about_a_steady_reading_however_ill(station: Station) -> None:
    """SpO2 62 % and pulse 190 is simply saved (decision 21)."""
    window = station.window()
    session = window.open(station.first)
    station.measure("oxi", session, SPO2=62, PULSE_RATE=190)
    text = window.get(f"/sessions/{session}").text
    assert "Nên đo lại" not in text
    assert 'name="keep"' not in text


def test_an_unsteady_reading_is_asked_about_and_may_be_kept(station: Station) -> None:
    """*Đo lại / giữ*: kept means marked as kept, and only where the page had asked."""
    window = station.window()
    session = window.open(station.first)
    shaky = station.measure("oxi", session, Status.QUESTIONABLE)
    text = window.get(f"/sessions/{session}").text
    assert "Nên đo lại" in text
    assert "Giữ và lưu" in text
    window.post(f"/sessions/{session}/save", measurement=shaky, patient=station.first, keep="1")
    steady = station.measure("oxi", session, SPO2=97, PULSE_RATE=61)
    window.post(f"/sessions/{session}/save", measurement=steady, patient=station.first, keep="1")
    marks = {row.measurement: int(row.marks) for row in measuring.observations(station.conn, station.first)}
    assert marks == {shaky: 2, steady: 0}


def test_measuring_again_keeps_the_attempt_with_its_reason(station: Station) -> None:
    """*Đo lại* asks why; the attempt stays on the page and in the store, and is in no record."""
    window = station.window()
    session = window.open(station.first)
    measurement = station.measure("oxi", session)
    window.get(f"/sessions/{session}/again/{measurement}")
    assert "Vì sao đo lại?" in window.text
    assert window.post(f"/sessions/{session}/discard", measurement=measurement, reason="").status == 400
    window.post(f"/sessions/{session}/discard", measurement=measurement, reason="moved")
    assert window.path == f"/sessions/{session}"
    assert "đo lại (Người bệnh cử động, nói chuyện)" in window.text
    assert state(station, measurement) is State.DISCARDED
    assert window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first).status == 409


def test_every_attempt_of_the_session_stays_on_the_page(station: Station) -> None:
    """Three attempts, three lines."""
    window = station.window()
    session = window.open(station.first)
    for spo2 in (96, 97, 98):
        station.hand.turn(1)
        measurement = station.measure("oxi", session, SPO2=spo2, PULSE_RATE=60)
        window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    for spo2 in (96, 97, 98):
        assert f"SpO₂ {spo2}%" in window.text


def test_a_finished_session_ends_and_leads_back_to_the_patient(station: Station) -> None:
    """*Xong* gives the device back."""
    window = station.window()
    session = window.open(station.first)
    assert window.post(f"/sessions/{session}/end").path == f"/patients/{station.first}"
    found = measuring.session(station.conn, session)
    assert found is not None
    assert found.why == "finished"


def test_a_finger_left_in_holds_nobody_at_the_page(station: Station) -> None:
    """After one was saved the next result can be left: it is neither saved nor lost, but waits at the patient."""
    window = station.window()
    session = window.open(station.first)
    first = station.measure("oxi", session)
    assert "Xong, chưa lưu" not in window.get(f"/sessions/{session}").text
    look(station, window, session, 20)
    second = station.measure("oxi", session, SPO2=97, PULSE_RATE=61)
    window.post(f"/sessions/{session}/save", measurement=first, patient=station.first)
    assert "Xong, để lần này lại" in window.text
    assert window.post(f"/sessions/{session}/end").path == f"/patients/{station.first}"
    assert "Chưa lưu" in window.text
    assert (state(station, first), state(station, second)) == (State.RECORDED, State.SETTLED)


def test_a_session_runs_out_after_ten_minutes_and_says_so(station: Station) -> None:
    """What had settled before may still be saved; then the page says that time is up."""
    window = station.window()
    session = window.open(station.first)
    look(station, window, session, 595)
    measurement = station.measure("oxi", session)
    look(station, window, session, 10)
    assert "Lưu</button>" in window.get(f"/sessions/{session}").text
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    assert state(station, measurement) is State.RECORDED
    assert "quá giờ" in window.text
    assert "Xác nhận lại, đo tiếp" in window.text


def test_what_nobody_saved_waits_on_the_patients_page_for_a_quarter_of_an_hour(station: Station) -> None:
    """Listed as not saved; saved with two identifiers; after 15 minutes it is too late and says so."""
    window = station.window()
    session = window.open(station.first)
    early = station.measure("oxi", session)
    window.post(f"/sessions/{session}/end")
    assert "Chưa lưu" in window.text
    assert f"/patients/{station.first}/undecided/{early}" in window.text
    station.hand.turn(15 * 60 + 1)
    window = station.window()
    assert "Chưa lưu" not in window.get(f"/patients/{station.first}").text
    assert window.post(f"/patients/{station.first}/undecided/{early}", id_name="1", id_birth="1").status == 409
    assert "15 phút" in window.text


def test_a_device_that_is_not_there_says_so(station: Station) -> None:
    """Unknown device in an address or a form: a sentence, no session."""
    window = station.window()
    window.confirm(station.first, "nothing")
    assert window.status == 404
    assert "không có máy đo này" in window.text
    assert station.count("SELECT count(*) FROM session") == 0


@pytest.mark.parametrize("device", ["oxi", "cuff"])
def test_the_banner_stands_on_every_measuring_page(station: Station, device: str) -> None:
    """Choosing, confirming, measuring, deciding, repeating: the patient's name and birth are always there."""
    window = station.window()
    session = window.open(station.first, device)
    measurement = station.measure(device, session, **({"SYSTOLIC": 115, "DIASTOLIC": 74} if device == "cuff" else {"SPO2": 98}))
    paths = (
        f"/patients/{station.first}/measure", f"/patients/{station.first}/confirm?device={device}", f"/sessions/{session}",
        f"/sessions/{session}/again/{measurement}", f"/patients/{station.first}/ask",
    )  # fmt: skip
    for path in paths:
        text = window.get(path).text
        assert 'class="banner"' in text, path
        assert FIRST in text
        assert SECOND not in text


def test_simulated_devices_carry_the_ribbon(station: Station) -> None:
    """As soon as a live file says test data, every page does."""
    window = station.window()
    assert "DỮ LIỆU THỬ" not in window.get("/home").text
    station.live("oxi", test_data=True)
    for path in ("/home", f"/patients/{station.first}", "/consults"):
        assert "DỮ LIỆU THỬ" in window.get(path).text
