import re
from dataclasses import replace

import pytest

from appliance.contract.codec import read_event
from appliance.contract.events import ObservationRecorded
from appliance.contract.metrics import TABLE, Metric
from appliance.contract.readings import Source
from appliance.devices import registry
from appliance.kiosk.screens.manual import FORMS, read, read_number
from appliance.store import measuring
from appliance.store.measuring import State
from tests.kiosk.station import DOCTOR, FIRST, SECOND, Station, Window


def at(window: Window) -> int:
    """The session of the page that is open."""
    found = re.match(r"/sessions/(\d+)", window.path)
    assert found, f"{window.path}: {window.text[:300]}"
    return int(found[1])


def typing(station: Station, patient: int = 0, who: str = "") -> tuple[Window, int]:
    """A window where somebody may type for a confirmed patient."""
    window = station.window(who) if who else station.window()
    window.post(f"/patients/{patient or station.first}/measure", device="manual", id_name="1", id_birth="1")
    return window, at(window)


def saved(station: Station, patient: int) -> list[measuring.ObservationRow]:
    """What was saved of a patient, the newest first."""
    return measuring.observations(station.conn, patient)


ENTRIES: tuple[tuple[str, dict[str, str], str], ...] = (
    ("pressure", {"systolic": "128", "diastolic": "79", "pulse_rate": "76"}, "128/79 mmHg · Mạch 76 lần/phút"),
    ("pressure", {"systolic": "128", "diastolic": "79"}, "128/79 mmHg"),
    ("spo2", {"spo2": "93", "oxygen": "flow", "oxygen_flow": "2,5"}, "SpO₂ 93% · Oxy 2,5 lít/phút"),
    ("spo2", {"spo2": "98", "pulse_rate": "80", "oxygen": "air", "oxygen_flow": "9"}, "SpO₂ 98% · Mạch 80 lần/phút · Oxy: khí trời"),
    ("pulse", {"pulse_rate": "44"}, "Mạch 44 lần/phút"),
    ("breaths", {"seconds": "60", "count": "18"}, "Nhịp thở 18 lần/phút"),
    ("breaths", {"seconds": "30", "count": "11"}, "Nhịp thở 22 lần/phút"),
    ("temperature", {"temperature": "38,4"}, "Nhiệt độ 38,4 °C"),
    ("temperature", {"temperature": "37"}, "Nhiệt độ 37,0 °C"),
    ("body", {"weight": "54.5", "height": "158"}, "Cân nặng 54,5 kg · Chiều cao 158,0 cm"),
    ("body", {"height": "158,5"}, "Chiều cao 158,5 cm"),
    ("mind", {"consciousness": "3"}, "Tri giác: V – Đáp ứng khi gọi"),
)


def test_what_is_typed_is_reviewed_and_saved_as_a_reading_typed_by_hand(station: Station) -> None:
    """Each form: a review page with source *nhập tay*, nothing saved before *Lưu*, then one observation and one event."""
    window, session = typing(station)
    for count, (form, fields, headline) in enumerate(ENTRIES):
        station.hand.turn(20)
        window.post(f"/sessions/{session}/type/{form}", **fields)
        assert window.path == f"/sessions/{session}", form
        assert "<b>nhập tay</b>" in window.text and "data-live=" not in window.text and FIRST in window.text
        assert len(saved(station, station.first)) == count
        assert "Gõ lại" in window.text and "Đo lại" not in window.text
        measurement = re.search(r'name="measurement" value="(\d+)"', window.text)
        assert measurement
        window.post(f"/sessions/{session}/save", measurement=measurement[1], patient=station.first)
        assert window.path == f"/sessions/{session}/type" and headline in window.text
        top = window.text.split("<h1>")[1].split("</h1>")[0]
        assert headline in top and "đã lưu" in top, "on a small screen the list below is out of sight"
        row = saved(station, station.first)[0]
        assert (row.reading.source, row.device_name) == (Source.MANUAL, "Nhập tay")
        body = read_event(station.conn.execute("SELECT body FROM outbox WHERE kind = 10 ORDER BY id DESC").fetchone()[0]).body
        assert isinstance(body, ObservationRecorded) and body.reading == row.reading
    text = window.get(f"/patients/{station.first}").text
    assert "nguồn: nhập tay" in text and ENTRIES[-1][2] in text


def test_how_breaths_were_counted_stays_with_the_reading(station: Station) -> None:
    """The rule's number is stored and travels, and the words stand on the review page; other values have no such words."""
    window, session = typing(station)
    window.post(f"/sessions/{session}/type/breaths", seconds="30", count="9")
    assert "đếm 30 giây × 2" in window.text
    (row,) = measuring.latest(station.conn, session)
    assert row.reading.rule == 102 and row.reading.value(Metric.RESPIRATION) == 18


WRONG: tuple[tuple[str, dict[str, str], str], ...] = (
    ("pressure", {"systolic": "79", "diastolic": "128"}, "Tâm thu phải lớn hơn tâm trương"),
    ("pressure", {"systolic": "400", "diastolic": "80"}, "Tâm thu chỉ có thể trong 30–300 mmHg"),
    ("pressure", {"systolic": "128"}, "Tâm trương: gõ một số, ví dụ 79"),
    ("pressure", {"systolic": "128,5", "diastolic": "80"}, "Tâm thu: gõ số nguyên"),
    ("spo2", {"spo2": "97"}, "khí trời hay thở oxy"),
    ("spo2", {"spo2": "97", "oxygen": "flow", "oxygen_flow": ""}, "Oxy: gõ một số"),
    ("spo2", {"spo2": "97", "oxygen": "flow", "oxygen_flow": "0"}, "số lít oxy"),
    ("spo2", {"spo2": "101", "oxygen": "air"}, "SpO₂ chỉ có thể trong 30–100 %"),
    ("temperature", {"temperature": "98,6"}, "đổi sang °C"),
    ("temperature", {"temperature": "36,85"}, "chỉ một số sau dấu phẩy"),
    ("temperature", {"temperature": "1.000,5"}, "gõ một số"),
    ("temperature", {"temperature": "nóng"}, "gõ một số, ví dụ 36,8"),
    ("body", {}, "Gõ ít nhất một số"),
    ("body", {"height": "1,58"}, "1,58 m là 158"),
    ("breaths", {"count": "18"}, "60 hay 30 giây"),
    ("breaths", {"seconds": "30", "count": "70"}, "140/phút: không thể có"),
    ("breaths", {"seconds": "60", "count": ""}, "Gõ số nhịp thở"),
    ("mind", {"consciousness": "6"}, "Chọn một mức"),
    ("mind", {}, "Chọn một mức"),
)


def test_what_cannot_be_is_refused_with_what_to_do(station: Station) -> None:
    """422 with a sentence; nothing is kept of it."""
    window, session = typing(station)
    for form, fields, words in WRONG:
        window.post(f"/sessions/{session}/type/{form}", **fields)
        assert (window.status, words in window.text) == (422, True), (form, fields)
    assert measuring.latest(station.conn, session) == []


def test_nothing_is_refused_for_being_clinically_low_or_high() -> None:
    """Every bound of the table itself is taken, in both notations; one step beyond is not."""
    for form in FORMS.values():
        for metric in (*form.must, *form.may):
            row = TABLE[metric]
            for bound in (row.low, row.high):
                assert read_number(metric, f"{bound:g}".replace(".", ","))[0] == round(bound * 10**row.scale)
            assert read_number(metric, f"{row.high + 1:g}")[0] is None
    assert read("spo2", {"spo2": "40", "oxygen": "air"}).errors == {}


def test_nothing_is_typed_before_two_identifiers(station: Station) -> None:
    """Without them the choice leads to the question; after two idle minutes it is asked again, and nothing was kept."""
    window = station.window()
    assert window.post(f"/patients/{station.first}/measure", device="manual").path.endswith("/confirm")
    session = at(window.confirm(station.first, "manual"))
    station.hand.turn(121)
    window.post(f"/sessions/{session}/type/pulse", pulse_rate="70")
    assert window.path.endswith("/confirm")
    assert station.count("SELECT count(*) FROM measurement") == 0
    assert at(window.confirm(station.first, "manual")) != session


def test_two_who_type_do_not_take_it_from_each_other(station: Station) -> None:
    """A nurse and a doctor at two windows, two patients: each value goes to its own patient, no session ends the other."""
    one, first = typing(station, station.first)
    two, second = typing(station, station.second, DOCTOR)
    one.post(f"/sessions/{first}/type/pulse", pulse_rate="70")
    two.post(f"/sessions/{second}/type/pulse", pulse_rate="90")
    for window, session, patient in ((one, first, station.first), (two, second, station.second)):
        (row,) = measuring.latest(station.conn, session)
        window.post(f"/sessions/{session}/save", measurement=row.id, patient=patient)
    assert [saved(station, one)[0].reading.value(Metric.PULSE_RATE) for one in (station.first, station.second)] == [70, 90]


def test_another_window_cannot_type_into_this_session(station: Station) -> None:
    """Nor save what this one typed, nor save it for another patient."""
    window, session = typing(station)
    window.post(f"/sessions/{session}/type/pulse", pulse_rate="70")
    (row,) = measuring.latest(station.conn, session)
    other = station.window(DOCTOR)
    other.confirm(station.first)
    assert other.post(f"/sessions/{session}/type/pulse", pulse_rate="99").path.endswith("/confirm")
    assert other.post(f"/sessions/{session}/save", measurement=row.id, patient=station.first).status == 409
    assert window.post(f"/sessions/{session}/save", measurement=row.id, patient=station.second).status == 409
    assert saved(station, station.first) == saved(station, station.second) == []


def test_a_second_patient_ends_what_was_typed_for_the_first(station: Station) -> None:
    """The same person begins with somebody else: what was typed and not saved is not saved from the old page."""
    window, session = typing(station)
    window.post(f"/sessions/{session}/type/pulse", pulse_rate="70")
    (row,) = measuring.latest(station.conn, session)
    window.post(f"/patients/{station.second}/measure", device="manual", id_name="1", id_birth="1")
    assert SECOND in window.text
    assert window.post(f"/sessions/{session}/save", measurement=row.id, patient=station.first).status == 409
    assert saved(station, station.first) == []
    assert [one.id for one in measuring.undecided(station.conn, station.first)] == [row.id]


def test_a_second_tap_is_the_same_measurement(station: Station) -> None:
    """The same form sent twice is one measurement; something else meanwhile is refused until that is decided."""
    window, session = typing(station)
    for _ in range(2):
        station.hand.turn(0.3)
        window.post(f"/sessions/{session}/type/pulse", pulse_rate="70")
    assert len(measuring.latest(station.conn, session)) == 1
    window.post(f"/sessions/{session}/type/temperature", temperature="37")
    assert window.path == f"/sessions/{session}" and len(measuring.latest(station.conn, session)) == 1
    window.post(f"/sessions/{session}/discard", measurement=measuring.latest(station.conn, session)[0].id, reason="moved")
    assert measuring.latest(station.conn, session)[0].state in (State.DISCARDED, State.SETTLED)


def test_a_new_driver_needs_no_change_of_the_kiosk(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invented driver: its device is offered with its metrics, its page has their places, live values and the result are shown."""
    row = registry.ROWS["contec-cms50"]
    invented = type(row)(
        **{**{name: getattr(row, name) for name in row.__dataclass_fields__}, "metrics": (Metric.GLUCOSE, Metric.TEMPERATURE)}
    )
    monkeypatch.setitem(registry.ROWS, "contec-cms50", invented)
    window = station.window()
    assert "Đường huyết · Nhiệt độ" in window.get(f"/patients/{station.first}/measure").text
    session = window.open(station.first)
    assert 'data-metric="GLUCOSE"' in window.text and 'data-metric="SPO2"' not in window.text and "mg/dL" in window.text
    station.live("oxi", state="measuring", session=session, numerics=[{"metric": "GLUCOSE", "value": 104, "unit": "mg/dL", "status": []}])
    assert window.data(f"/live/oxi.json?session={session}")["numbers"] == {"GLUCOSE": "104", "TEMPERATURE": ""}
    measurement = station.measure("oxi", session, GLUCOSE=104)
    window.get(f"/sessions/{session}")
    assert ">104<" in window.text
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    assert saved(station, station.first)[0].reading.value(Metric.GLUCOSE) == 104


def test_a_station_without_devices_can_still_type(station: Station) -> None:
    """The choice shows typing and a guided pressure by typing, however many devices there are; two taps lead to the first form."""
    window = station.window()
    text = window.get(f"/patients/{station.first}/measure").text
    assert 'value="manual"' in text and 'value="guided:cuff"' in text
    assert 'value="guided:oxi"' not in text and 'value="guided:manual"' not in text
    station.kiosk.settings = replace(station.settings, devices={})
    text = window.get(f"/patients/{station.first}/measure").text
    assert 'value="manual"' in text and 'value="guided:manual"' in text and "chưa gắn máy đo nào" in text
