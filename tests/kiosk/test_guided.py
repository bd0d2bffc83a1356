import re

from appliance.contract.codec import read_event
from appliance.contract.events import Body, ObservationRecorded, PressureAveraged, PressureTaken
from appliance.contract.guided import Arm, Cuff, Posture, Unrested
from appliance.store import corrections, guided, measuring
from appliance.store.guided import Series, State
from tests.kiosk.station import DOCTOR, NURSE, Station, Window
from tests.kiosk.test_paper import pages

READY = {"posture": "1", "arm": "1", "cuff": "4"}


def begin(station: Station, device: str = "cuff", patient: int = 0, who: str = NURSE) -> tuple[Window, int]:
    """A window at the first step of a series for a confirmed patient, and the series' number."""
    window = station.window(who)
    window.confirm(patient or station.first, f"guided:{device}")
    return window, number(window)


def number(window: Window) -> int:
    """The series whose page is open."""
    found = re.fullmatch(r"/guided/(\d+)", window.path)
    assert found, f"{window.path}: {window.text[:400]}"
    return int(found[1])


def rest(station: Station, window: Window, series: int) -> None:
    """Prepared, and five minutes have gone by with somebody at the screen."""
    window.post(f"/guided/{series}/prepare", **READY)
    wait(station, window, series, 300)
    window.post(f"/guided/{series}/rested")


def wait(station: Station, window: Window, series: int, seconds: int) -> None:
    """Time passes at the open page, which is touched now and then."""
    for _ in range(seconds // 60):
        station.hand.turn(60)
        window.get(f"/guided/{series}")


def take(station: Station, window: Window, series: int, high: int, low: int, pulse: int = 70) -> int:
    """The next reading: its session is opened, the cuff gives a result, it is saved. The session's number."""
    window.post(f"/guided/{series}/measure")
    found = re.fullmatch(r"/sessions/(\d+)", window.path)
    assert found, f"{window.path}: {window.text[-2500:]}"
    session = int(found[1])
    station.hand.turn(1)
    measurement = station.measure("cuff", session, SYSTOLIC=high, DIASTOLIC=low, PULSE_RATE=pulse)
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=of(station, series).patient)
    return session


def of(station: Station, series: int) -> Series:
    """The series as the store has it."""
    found = guided.get(station.conn, series)
    assert found is not None
    return found


def sent(station: Station, *kinds: type) -> list[Body]:
    """The events of these kinds in the order in which they were queued."""
    bodies = [read_event(row[0]).body for row in station.conn.execute("SELECT body FROM outbox ORDER BY id").fetchall()]
    return [one for one in bodies if isinstance(one, kinds)]


def slip(window: Window, patient: int) -> str:
    """The text of the printed visit slip."""
    return " ".join(pages(window.client.get(f"/patients/{patient}/slip.pdf?size=a5").data))


def seen_before(station: Station) -> None:
    """The first patient was measured here on another day."""
    session = measuring.open_session(station.conn, patient=station.first, staff=NURSE, device="cuff", now=station.now)
    measurement = station.measure("cuff", session.id, SYSTOLIC=120, DIASTOLIC=80)
    measuring.record(station.conn, measurement, staff=NURSE, now=station.now)
    station.hand.turn(3600)


def test_a_whole_series_sends_every_reading_how_it_was_taken_and_the_mean(station: Station) -> None:
    """Two readings that agree, a minute apart, after five minutes of rest: three kinds of events, the mean marked with its rule."""
    seen_before(station)
    window, series = begin(station)
    assert (
        "THÁO VÒNG BÍT" not in window.text
        and "Tư thế" in window.text
        and "Người lớn (27–\N{WORD JOINER}34\N{NO-BREAK SPACE}cm)" in window.text
    )
    rest(station, window, series)
    take(station, window, series, 150, 90)
    assert window.path == f"/guided/{series}" and 'data-left="60"' in window.text and "Lần đo</" not in window.text
    window.post(f"/guided/{series}/measure")
    assert window.path == f"/guided/{series}"  # not before a minute is over
    wait(station, window, series, 60)
    take(station, window, series, 145, 87, 73)
    assert "trung bình của 2 lần (quy tắc 1: trung bình hai lần cuối)" in window.text and "147,5/88,5" in window.text
    for one in ("150/90", "145/87"):
        assert one in window.text
    assert sent(station, PressureAveraged) == []
    for _ in range(2):
        window.post(f"/guided/{series}/finish")
    observed = [one for one in sent(station, ObservationRecorded) if isinstance(one, ObservationRecorded)][1:]
    keys = tuple(one.reading.key for one in observed)
    how = [
        PressureTaken(station.first, key, of(station, series).number, Arm.LEFT, Cuff.ADULT, Posture.SITTING, 300, Unrested.NO)
        for key in keys
    ]
    assert sent(station, PressureTaken) == how
    assert sent(station, PressureAveraged) == [PressureAveraged(station.first, of(station, series).number, 1, keys, keys, 1475, 885, 715)]
    assert of(station, series).state is State.DONE
    assert "147,5/88,5 mmHg" in window.get(f"/patients/{station.first}").text and "trung bình của 2 lần" in window.text
    assert "quy tắc 1" in slip(window, station.first)


def test_a_corrected_reading_takes_the_mean_away(station: Station) -> None:
    """A reading of a finished series is marked as wrong: no page shows the mean any more."""
    seen_before(station)
    window, series = begin(station)
    rest(station, window, series)
    take(station, window, series, 150, 90)
    wait(station, window, series, 60)
    take(station, window, series, 148, 88)
    window.post(f"/guided/{series}/finish")
    wrong = guided.taken(station.conn, of(station, series))[0]
    corrections.enter_in_error(station.conn, wrong.id, reason="vòng bít lỏng", staff=NURSE, now=station.now)
    assert "trung bình của" not in window.get(f"/patients/{station.first}").text
    assert "đã bị sửa" in window.get(f"/guided/{series}").text and "trung bình của" not in window.text


def test_readings_that_differ_and_first_visits_want_a_third(station: Station) -> None:
    """More than 10 mmHg apart: one more, and the mean is of the last two; a patient never measured here has three in any case."""
    window, series = begin(station)
    rest(station, window, series)
    take(station, window, series, 130, 80)
    assert "Lần đo 2/3" in " ".join(window.text.split())
    wait(station, window, series, 60)
    take(station, window, series, 130, 80)
    assert "lần đầu ở trạm" in window.text
    window.post(f"/guided/{series}/finish")
    assert of(station, series).state is State.OPEN  # not enough
    wait(station, window, series, 60)
    take(station, window, series, 140, 82)
    window.post(f"/guided/{series}/finish")
    assert "135/81" in window.text and "trung bình của 2 lần" in window.text and "đo cả tay kia" in window.text


def test_a_rest_that_is_cut_short_says_why_and_how_long(station: Station) -> None:
    """Without a reason it goes on; with one the reason and the seconds rested are sent with each reading."""
    window, series = begin(station)
    window.post(f"/guided/{series}/prepare", **READY)
    station.hand.turn(90)
    assert 'data-left="210"' in window.get(f"/guided/{series}").text
    window.post(f"/guided/{series}/rested")
    window.post(f"/guided/{series}/rested", unrested="7")
    window.post(f"/guided/{series}/measure")
    assert of(station, series).rested is None and window.path == f"/guided/{series}"
    assert "Cần biết ngay" in window.get(f"/guided/{series}/unrested").text
    window.post(f"/guided/{series}/rested", unrested="1")
    take(station, window, series, 150, 90)
    (how,) = sent(station, PressureTaken)
    assert isinstance(how, PressureTaken) and (how.rested, how.unrested) == (90, Unrested.URGENT)


def test_nothing_of_the_preparation_is_guessed(station: Station) -> None:
    """Each of the three is asked for by name; a number that is none of the choices is no answer."""
    window, series = begin(station)
    window.post(f"/guided/{series}/prepare", posture="1", arm="3")
    assert window.status == 422 and "Tay" in window.text and "Vòng bít" in window.text
    assert of(station, series).resting is None


def test_another_patient_leaves_the_series_and_takes_nothing_of_it(station: Station) -> None:
    """The nurse turns to somebody else after one reading: that patient's series begins empty, the first one has no mean."""
    window, series = begin(station)
    rest(station, window, series)
    take(station, window, series, 150, 90)
    other, second = begin(station, patient=station.second)
    assert second != series and of(station, series).state is State.LEFT
    assert guided.taken(station.conn, of(station, second)) == []
    window.confirm(station.first)
    assert "Lượt đo này đã dừng" in window.get(f"/guided/{series}").text
    window.post(f"/guided/{series}/measure")
    window.post(f"/guided/{series}/finish")
    assert sent(station, PressureAveraged) == []
    assert len(measuring.observations(station.conn, station.first)) == 1
    assert "Chuẩn bị" in other.get(f"/guided/{second}").text


def test_somebody_else_does_not_go_on_with_it(station: Station) -> None:
    """A doctor at another window: 409 on the nurse's series, and a new one of their own, which leaves the other."""
    _window, series = begin(station)
    doctor = station.window(DOCTOR)
    doctor.confirm(station.first)
    assert doctor.get(f"/guided/{series}").status == 409
    for step in ("prepare", "rested", "measure", "finish", "leave"):
        assert doctor.post(f"/guided/{series}/{step}", **READY).status == 409
    doctor.confirm(station.first, "guided:cuff")
    assert number(doctor) != series and of(station, series).state is State.LEFT


def test_a_screen_that_went_blank_comes_back_to_the_same_step(station: Station) -> None:
    """The rest goes on behind a blank screen; the same person, with two identifiers again, goes on where it was."""
    window, series = begin(station)
    window.post(f"/guided/{series}/prepare", **READY)
    station.hand.turn(320)
    assert window.get(f"/guided/{series}").path == "/"
    window.sign_in()
    assert "đang đo dở" in window.get(f"/patients/{station.first}/measure").text
    window.confirm(station.first, "guided:cuff")
    assert number(window) == series and "Đã nghỉ đủ" in window.text


def test_a_closed_screen_leaves_no_reading_without_its_series(station: Station) -> None:
    """A result that settled but was not saved, then the session's end: saved later, it still says how it was taken, once."""
    window, series = begin(station)
    rest(station, window, series)
    window.post(f"/guided/{series}/measure")
    session = int(window.path.rsplit("/", 1)[1])
    measurement = station.measure("cuff", session, SYSTOLIC=140, DIASTOLIC=85)
    measuring.end_session(station.conn, session, "screen-closed", station.now)
    assert sent(station, PressureTaken) == []
    for _ in range(2):
        window.post(f"/patients/{station.first}/undecided/{measurement}", id_name="1", id_birth="1")
    assert len(sent(station, PressureTaken)) == 1
    assert [one.measurement for one in guided.taken(station.conn, of(station, series))] == [measurement]


def test_a_measurement_of_an_ordinary_session_is_not_the_series(station: Station) -> None:
    """The same cuff used for the same patient beside the series: saved as ever, not counted, nothing said of how it was taken."""
    window, series = begin(station)
    rest(station, window, series)
    session = window.open(station.first, "cuff")
    window.post(
        f"/sessions/{session}/save", measurement=station.measure("cuff", session, SYSTOLIC=140, DIASTOLIC=85), patient=station.first
    )
    assert guided.taken(station.conn, of(station, series)) == [] and sent(station, PressureTaken) == []


def test_a_series_can_be_typed(station: Station) -> None:
    """With an aneroid cuff: the same steps, the readings typed and marked so."""
    window, series = begin(station, "manual")
    rest(station, window, series)
    window.post(f"/guided/{series}/measure")
    assert window.path.endswith("/type/pressure")
    session = int(window.path.split("/")[2])
    window.post(f"/sessions/{session}/type/pressure", systolic="132", diastolic="84")
    assert "nhập tay" in window.text
    (row,) = measuring.latest(station.conn, session)
    window.post(f"/sessions/{session}/save", measurement=row.id, patient=station.first)
    assert window.path == f"/guided/{series}" and "132/84" in window.text


def test_giving_up_keeps_what_was_saved(station: Station) -> None:
    """No mean is told; the reading stays with how it was taken."""
    window, series = begin(station)
    rest(station, window, series)
    take(station, window, series, 150, 90)
    window.post(f"/guided/{series}/leave")
    assert window.path == f"/patients/{station.first}" and "150/90" in window.text
    assert of(station, series).state is State.LEFT
    assert (len(sent(station, PressureTaken)), sent(station, PressureAveraged)) == (1, [])
