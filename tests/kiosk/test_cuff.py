"""The hand on the cuff, against a real collector and a simulated module: it squeezes only while somebody looks."""

from collections.abc import Callable

import pytest

from appliance.kiosk import present
from appliance.store import measuring
from tests.kiosk.room import Room
from tests.kiosk.station import Station, Window, add_patient
from tests.polling import until


def test_a_press_starts_the_cuff_and_the_result_can_be_saved(station: Station, cuff: Room) -> None:
    """Patient type chosen, started, pressure on the screen, result, *Lưu*."""
    window = station.window()
    session = window.open(station.first, "cuff")
    assert "checked" not in window.text
    cuff.start(window, session)
    assert "DỪNG, xả hơi" in window.text
    cuff.pages.append((window, session))
    cuff.run(4, lambda: cuff.pressure() > 60)
    heard = cuff.ask(window, session)
    assert int(heard["pressure"]) > 60
    assert (heard["held"], heard["measuring"]) == (True, True)
    measurement = cuff.run(15, lambda: cuff.ask(window, session)["measurement"])
    text = window.get(f"/sessions/{session}").text
    for words in ("Tâm thu", "Tâm trương", "Mạch", "Trung bình", "dữ liệu thử", "Lưu</button>"):
        assert words in text
    cuff.run(3)
    assert not station.kiosk.cuffs.holds("cuff")
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    assert len(measuring.observations(station.conn, station.first)) == 1
    assert 'value="adult" checked' in window.text  # the same patient, the same arm


@pytest.mark.parametrize("chosen", ["", "giant"])
def test_nothing_is_assumed_about_the_arm(station: Station, cuff: Room, chosen: str) -> None:
    """Without adult, child or newborn nothing starts, and the page says what to choose."""
    window = station.window()
    session = window.open(station.first, "cuff")
    window.post(f"/sessions/{session}/start", patient_type=chosen)
    assert window.status == 422
    assert "Chọn người lớn, trẻ em hay sơ sinh" in window.text
    cuff.run(1)
    assert cuff.pressure() == 0


def test_a_newborn_is_never_squeezed_like_an_adult(station: Station, cuff: Room) -> None:
    """The record says that the patient was born today: adult and child are refused with what to do, newborn starts."""
    today = present.local(station.now.wall).date()
    newborn = add_patient(station, 1009, "Lò Thử Nghiệm Sơ Sinh", today.isoformat(), "")
    window = station.window()
    session = window.open(newborn, "cuff")
    for wrong in ("adult", "paediatric"):
        window.post(f"/sessions/{session}/start", patient_type=wrong)
        assert window.status == 422
        assert "chỉ bơm ở mức Sơ sinh" in window.text
    cuff.run(1)
    assert cuff.pressure() == 0
    cuff.start(window, session, "neonate")
    cuff.pages.append((window, session))
    cuff.run(4, lambda: cuff.pressure() > 40)


def test_a_page_that_is_closed_lets_the_air_out(station: Station, cuff: Room) -> None:
    """Nobody asks for 3 s: the kiosk lets go of the line and the collector aborts."""
    window = station.window()
    session = window.open(station.first, "cuff")
    cuff.start(window, session)
    cuff.run(2, lambda: cuff.pressure() > 40)
    cuff.run(3.1)
    until(lambda: not station.kiosk.cuffs.holds("cuff"), what="the kiosk to let go")
    cuff.run(5, lambda: cuff.pressure() == 0 and cuff.live()["state"] == "ready")
    assert station.count("SELECT count(*) FROM measurement") == 0
    assert cuff.live()["invalid"] == "line-closed"


def test_the_stop_button_lets_the_air_out(station: Station, cuff: Room) -> None:
    """At once, and the page says that it was stopped."""
    window = station.window()
    session = window.open(station.first, "cuff")
    cuff.start(window, session)
    cuff.pages.append((window, session))
    cuff.run(3, lambda: cuff.pressure() > 40)
    window.post(f"/sessions/{session}/stop")
    assert not station.kiosk.cuffs.holds("cuff")
    cuff.run(5, lambda: cuff.pressure() == 0 and cuff.live()["state"] == "ready")
    assert "Đã dừng" in window.get(f"/sessions/{session}").text


def test_another_patient_on_the_same_cuff_stops_it_first(station: Station, cuff: Room) -> None:
    """Opening the device for somebody else lets the air out before anything else."""
    one, two = station.window(), station.window()
    session = one.open(station.first, "cuff")
    cuff.start(one, session)
    cuff.pages.append((one, session))
    cuff.run(3, lambda: cuff.pressure() > 40)
    two.open(station.second, "cuff")
    cuff.run(5, lambda: cuff.pressure() == 0)
    assert not station.kiosk.cuffs.holds("cuff")
    assert station.count("SELECT count(*) FROM observation") == 0


@pytest.mark.parametrize("leave", [lambda window: window.get("/blank"), lambda window: window.post("/staff/leave")], ids=["blank", "staff"])
def test_going_blank_or_switching_staff_stops_the_cuff(station: Station, cuff: Room, leave: Callable[[Window], object]) -> None:
    """Whoever leaves the window leaves no squeezed arm behind."""
    window = station.window()
    session = window.open(station.first, "cuff")
    cuff.start(window, session)
    cuff.pages.append((window, session))
    cuff.run(3, lambda: cuff.pressure() > 40)
    leave(window)
    cuff.run(5, lambda: cuff.pressure() == 0)
    assert not station.kiosk.cuffs.holds("cuff")


def test_a_dead_line_with_air_in_the_cuff_says_take_it_off(station: Station, cuff: Room) -> None:
    """The cable is pulled while the cuff holds air: full screen, until a person says that it is off."""
    window = station.window()
    session = window.open(station.first, "cuff")
    cuff.start(window, session)
    cuff.pages.append((window, session))
    cuff.run(3, lambda: cuff.pressure() > 60)
    cuff.cable.plugged = False
    cuff.run(1)
    assert cuff.ask(window, session)["cuff_off"] is True
    text = window.get(f"/sessions/{session}").text
    assert "THÁO VÒNG BÍT RA KHỎI TAY NGAY" in text
    assert '<section id="off" class="off" role="alertdialog">' in text


def test_a_cuff_that_must_come_off_is_said_on_every_page(station: Station) -> None:
    """Whoever's page is open, also the page without anybody; until a person says that it is off."""
    station.live("cuff", state="lost", message="take-the-cuff-off")
    for window in (station.window(), station.window("")):
        assert "THÁO VÒNG BÍT RA KHỎI TAY NGAY — Máy đo huyết áp" in window.get("/").text
    assert window.data("/status.json")["alarm"] == "cuff"
    window.post("/devices/cuff/cuff-off")
    assert "THÁO VÒNG BÍT" not in window.get("/").text
    assert window.data("/status.json")["alarm"] == ""


def test_a_dead_collector_with_air_in_the_cuff_says_take_it_off(station: Station, cuff: Room) -> None:
    """The live file grows old with pressure in it: the same words; *Đã tháo* ends them when the line is back."""
    window = station.window()
    session = window.open(station.first, "cuff")
    cuff.start(window, session)
    cuff.pages.append((window, session))
    cuff.run(3, lambda: cuff.pressure() > 60)
    cuff.ask(window, session)
    station.hand.turn(2.5)
    assert cuff.ask(window, session)["cuff_off"] is True
    (station.settings.paths.run / "cuff.live").unlink()
    assert cuff.ask(window, session)["cuff_off"] is True
    window.post(f"/sessions/{session}/cuff-off")
    assert cuff.ask(window, session)["cuff_off"] is False


def test_a_second_tap_starts_nothing_twice(station: Station, cuff: Room) -> None:
    """The page goes on showing the cycle that runs."""
    window = station.window()
    session = window.open(station.first, "cuff")
    cuff.start(window, session)
    cuff.pages.append((window, session))
    sent = cuff.cable.sent.count(bytes.fromhex("3a20a6"))
    assert window.post(f"/sessions/{session}/start", patient_type="adult").path == f"/sessions/{session}"
    assert "DỪNG, xả hơi" in window.text
    cuff.run(2)
    assert cuff.cable.sent.count(bytes.fromhex("3a20a6")) == max(sent, 1)


def test_a_refused_start_says_why_and_what_to_do(station: Station, cuff: Room) -> None:
    """The device refuses (the arm must rest), or no collector runs: a sentence at the button, nothing starts."""
    window = station.window()
    session = window.open(station.first, "cuff")
    cuff.collector._driver._free_ns = station.hand.ns + 60 * 10**9  # type: ignore[attr-defined]
    cuff.start(window, session)
    assert window.status == 409
    assert "Tay cần nghỉ" in window.text
    cuff.collector._ear.close()
    window.post(f"/sessions/{session}/start", patient_type="adult")
    assert window.status == 409
    assert "Máy đo chưa chạy" in window.text
    cuff.run(1)
    assert cuff.pressure() == 0


def test_a_collector_that_does_not_answer_starts_nothing(station: Station, cuff: Room) -> None:
    """No answer within the press's 3 s: the line is closed, which makes it abort, and the page says to press again."""
    window = station.window()
    session = window.open(station.first, "cuff")
    window.post(f"/sessions/{session}/start", patient_type="adult")
    assert "không trả lời trong 3 giây" in window.text
    assert not station.kiosk.cuffs.holds("cuff")
    station.hand.turn(4)
    cuff.run(3)
    assert cuff.pressure() == 0
    assert cuff.live()["state"] == "ready"


def test_a_start_needs_a_standing_session_of_this_window(station: Station, cuff: Room) -> None:
    """Another window's session, or one that was taken: no start."""
    one, two = station.window(), station.window()
    session = one.open(station.first, "cuff")
    assert two.post(f"/sessions/{session}/start", patient_type="adult").status == 409
    two.open(station.second, "cuff")
    one.post(f"/sessions/{session}/start", patient_type="adult")
    cuff.run(1)
    assert cuff.pressure() == 0
    assert "được mở cho người khác" in one.text
