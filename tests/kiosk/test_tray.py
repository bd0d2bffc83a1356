from appliance.store import measuring
from appliance.store.measuring import State
from tests.kiosk.station import FIRST, SECOND, Station


def test_the_tray_shows_the_reason_and_the_time_left(station: Station) -> None:
    """What was measured for nobody, why, and how long it can be assigned."""
    station.measure("oxi", None)
    text = station.window().get("/tray").text
    for words in ("SpO₂ 98%", "đo khi chưa mở phiên cho ai", "còn 15 phút", "Gán cho người bệnh"):
        assert words in text
    assert "1 kết quả" in station.window().get("/home").text


def test_assigning_needs_two_identifiers_and_is_marked_late(station: Station) -> None:
    """Search, two ticks, saved as *gán sau* with the nurse as actor; the journal says record."""
    measurement = station.measure("oxi", None)
    window = station.window()
    assert "của ai?" in window.get(f"/tray/{measurement}").text
    window.post(f"/tray/{measurement}/find", q="mot")
    assert f'href="/tray/{measurement}/to/{station.first}"' in window.text
    window.get(f"/tray/{measurement}/to/{station.first}")
    assert FIRST in window.text
    assert 'class="banner"' in window.text
    assert window.post(f"/tray/{measurement}/to/{station.first}", id_name="1").status == 422
    assert measuring.observations(station.conn, station.first) == []
    window.post(f"/tray/{measurement}/to/{station.first}", id_name="1", id_birth="1")
    assert window.path == f"/patients/{station.first}"
    assert "gán sau" in window.text
    (row,) = measuring.observations(station.conn, station.first)
    assert (row.measurement, int(row.marks), row.staff) == (measurement, 1, "y1")
    assert len(station.steps("record")) == 1
    assert "Không có kết quả nào chờ" in window.get("/tray").text


def test_what_was_sent_without_a_name_is_listed_apart(station: Station) -> None:
    """After 15 minutes it travels as nobody's, and stays to be seen."""
    station.measure("oxi", None)
    station.hand.turn(15 * 60 + 1)
    measuring.send_unassigned(station.conn, station.now)
    text = station.window().get("/tray").text
    assert "Đã gửi không có tên" in text
    assert "SpO₂ 98%" in text


def test_a_reading_that_comes_again_for_somebody_else_is_shown_to_a_person(station: Station) -> None:
    """The same reading in another patient's session: both names, nothing moved, until somebody has seen it."""
    window = station.window()
    session = window.open(station.first)
    reading = station.reading("oxi", SPO2=98, PULSE_RATE=60)
    measuring.observe(station.conn, reading, device="oxi", began=session, now=station.now, raw=b"")
    other = window.open(station.second)
    assert measuring.observe(station.conn, reading, device="oxi", began=other, now=station.now, raw=b"").state == "repeat"
    text = window.get("/tray").text
    assert f"của {FIRST}; lúc đang đo cho {SECOND}" in text
    held = measuring.held(station.conn)[0].id
    window.post(f"/held/{held}/seen")
    assert SECOND not in window.text
    assert measuring.held(station.conn) == []


def test_after_a_quarter_of_an_hour_nothing_is_assigned(station: Station) -> None:
    """The tray says that it goes without a name; the form of an old page is refused with what to do."""
    measurement = station.measure("oxi", None)
    station.hand.turn(15 * 60 + 1)
    window = station.window()
    assert "Quá 15 phút" in window.get("/tray").text
    assert f'href="/tray/{measurement}"' not in window.text
    window.post(f"/tray/{measurement}/to/{station.first}", id_name="1", id_birth="1")
    assert window.status == 409
    assert "15 phút" in window.text
    assert measuring.observations(station.conn, station.first) == []


def test_what_is_taken_from_the_tray_is_taken_once(station: Station) -> None:
    """Two windows assign the same reading to two patients: the first one has it, the second is told."""
    measurement = station.measure("oxi", None)
    one, two = station.window(), station.window()
    one.post(f"/tray/{measurement}/to/{station.first}", id_name="1", id_birth="1")
    two.post(f"/tray/{measurement}/to/{station.second}", id_name="1", id_birth="1")
    assert two.status == 409
    row = measuring.measurement(station.conn, measurement)
    assert row is not None
    assert (row.state, row.patient) == (State.RECORDED, station.first)
    assert measuring.observations(station.conn, station.second) == []
    assert SECOND not in one.text
