import json

import pytest

from appliance.contract.events import ConsultOpened, Department, Urgency
from appliance.store import consults
from appliance.store.consults import ConsultDraft
from tests.kiosk.station import FIRST, NURSE, Station, make

WORDS = "CHƯA AI XEM. Gọi ngay: 0900\u00a0000\u00a0000, 115. Không chờ phần mềm."


def ask(station: Station, consult: int = 7001, urgency: Urgency = Urgency.EMERGENCY) -> int:
    """A request of this moment."""
    draft = ConsultDraft(station.first, urgency, Department.GENERAL, "khó thở")
    consults.request(station.conn, draft, consult=consult, staff=NURSE, now=station.now)
    return consult


# --- the status bar -----------------------------------------------------------------------------------------------------------------


def test_without_network_everything_waits_safely_in_grey(station: Station) -> None:
    """The guideline's sentence with the number, the age of the oldest item, and no red."""
    station.hand.turn(3 * 3600)
    waiting = station.count("SELECT count(*) FROM outbox WHERE state < 2")
    text = station.window().get("/home").text
    assert f"Chờ mạng — {waiting} mục đã lưu an toàn tại trạm" in text
    assert "lâu nhất 3 giờ" in text
    assert 'class="bar waiting"' in text


def test_a_box_on_its_battery_says_so_while_the_panel_program_says_so(station: Station) -> None:
    """In front of the sentence about the way up; a word older than two seconds counts no more."""
    window, shown = station.window(), station.settings.paths.run / "_panel.live"
    shown.write_text(json.dumps({"mains": False, "boottime_ns": station.hand.ns}))
    assert window.data("/status.json")["text"].startswith("Đang chạy bằng pin · Chờ mạng")
    shown.write_text(json.dumps({"mains": True, "boottime_ns": station.hand.ns}))
    assert "pin" not in window.data("/status.json")["text"]
    shown.write_text(json.dumps({"mains": False, "boottime_ns": station.hand.ns}))
    station.hand.turn(3)
    assert "pin" not in window.data("/status.json")["text"]


def test_sending_counts_against_the_longest_the_queue_has_been(station: Station) -> None:
    """*Đang gửi a/b*: b is what there was to send, a what the bridge has vouched for; then *Đã gửi hết*."""
    station.carrier("online")
    window = station.window()
    total = station.count("SELECT count(*) FROM outbox")
    assert window.data("/status.json")["text"] == f"Đang gửi 0/{total}"
    station.conn.execute("UPDATE outbox SET state = 2, received = 1 WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT 2)")
    assert window.data("/status.json")["text"] == f"Đang gửi 2/{total}"
    station.received()
    assert window.data("/status.json")["text"].startswith("Đã gửi hết")
    station.measure("oxi", window.open(station.first))
    assert window.data("/status.json")["look"] == "sent"


def test_all_sent_says_when_the_last_receipt_came(station: Station) -> None:
    """The carrier's row is written every ten minutes at most; the time beside *Đã gửi hết* is that of the latest receipt all the same."""
    station.carrier("online")
    station.received()
    station.hand.turn(480)
    assert station.window().data("/status.json")["text"] == "Đã gửi hết · 8 phút trước"
    station.conn.execute("INSERT INTO peer (store, counter, heard, current) VALUES (x'01', 1, ?, 1)", (station.now.wall,))
    assert station.window().data("/status.json")["text"] == "Đã gửi hết · vừa xong"


def test_a_published_item_is_not_sent_before_the_receipt(station: Station) -> None:
    """Being in a parcel on its way counts as waiting."""
    station.carrier("online")
    station.conn.execute("UPDATE outbox SET state = 1")
    assert station.window().data("/status.json")["look"] == "sending"


def test_a_carrier_that_died_is_not_called_sending(station: Station) -> None:
    """Its last word was *online*, but nothing has moved for three minutes: the items wait, safely."""
    station.carrier("online")
    window = station.window()
    assert window.data("/status.json")["look"] == "sending"
    station.hand.turn(181)
    assert window.data("/status.json")["look"] == "waiting"
    station.conn.execute("UPDATE outbox SET state = 2, received = 1 WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT 1)")
    assert window.data("/status.json")["look"] == "sending"


def test_a_link_that_fails_says_when_it_tries_again(station: Station) -> None:
    """Yellow, with the time."""
    station.carrier("error", "refused")
    heard = station.window().data("/status.json")
    assert heard["look"] == "error"
    assert "thử lại lúc" in heard["text"]


def test_what_was_set_aside_is_counted_and_listed(station: Station) -> None:
    """The bar leads to the list; each row has a reason and a code to read aloud."""
    station.conn.execute(
        "INSERT INTO quarantine (side, topic, payload, reason, detail, at) VALUES ('down', 't', x'00', 'truncated', 'd', ?)",
        (station.now.wall,),
    )
    window = station.window()
    assert window.data("/status.json")["quarantine"] == "Cần kiểm tra 1 mục"
    assert 'href="/aside"' in window.get("/home").text
    assert "truncated 1" in window.get("/aside").text


def test_the_status_needs_nobody_at_the_window_and_names_no_patient(station: Station) -> None:
    """It is polled from the blank page too."""
    ask(station)
    station.hand.turn(121)
    window = station.window("")
    assert window.data("/status.json")["alarm"]
    assert FIRST not in window.text
    assert FIRST not in window.get("/").text


# --- the unseen emergency -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("urgency", [Urgency.URGENT, Urgency.EMERGENCY])
def test_an_urgent_request_not_received_in_two_minutes_shows_full_screen(station: Station, urgency: Urgency) -> None:
    """On every page, with the numbers in the text, without a link; one second earlier it does not."""
    ask(station, urgency=urgency)
    window = station.window()
    station.hand.turn(119)
    assert window.data("/status.json")["alarm"] == ""
    station.hand.turn(1)
    assert window.data("/status.json")["words"] == WORDS
    for path in ("/home", f"/patients/{station.first}", "/consults", "/nowhere", "/blank"):
        text = window.get(path).text
        assert WORDS in text, path
        assert 'class="alarm"' in text
    assert "chưa tới máy chủ" in window.text


def test_a_received_request_that_nobody_opens_in_ten_minutes_shows_full_screen(station: Station) -> None:
    """Received stops the first clock, opened the second."""
    consult = ask(station)
    station.received()
    window = station.window()
    station.hand.turn(599)
    assert window.data("/status.json")["alarm"] == ""
    station.hand.turn(1)
    assert window.data("/status.json")["words"] == WORDS
    assert "chưa bác sĩ nào mở" in window.get("/").text
    station.down(ConsultOpened(consult, "BS Thử Một"))
    assert window.data("/status.json")["alarm"] == ""
    assert WORDS not in window.get("/").text


@pytest.mark.parametrize("ending", ["withdrawn", "answered"])
def test_what_is_settled_does_not_alarm(station: Station, ending: str) -> None:
    """Withdrawn or answered: no alarm."""
    consult = ask(station)
    if ending == "withdrawn":
        consults.withdraw(station.conn, consult, reason="mistake", staff=NURSE, now=station.now)
    else:
        station.answer(consult)
    station.hand.turn(3600)
    assert station.window().data("/status.json")["alarm"] == ""


def test_a_routine_request_never_alarms(station: Station) -> None:
    """Only urgent and emergency ones do."""
    ask(station, urgency=Urgency.ROUTINE)
    station.hand.turn(7200)
    assert station.window().data("/status.json")["alarm"] == ""


def test_a_set_aside_emergency_alarms_at_once(station: Station) -> None:
    """The server has bytes it cannot read: nobody will see it."""
    ask(station)
    station.conn.execute("UPDATE outbox SET state = 3 WHERE kind = 20")
    assert station.window().data("/status.json")["words"] == WORDS


def test_whoever_has_called_stops_the_sound_but_not_the_words(station: Station) -> None:
    """Acknowledged by name, also from the page without anybody; the words stay as a strip until a doctor has opened it."""
    consult = ask(station)
    station.hand.turn(130)
    window = station.window("")
    text = window.get("/").text
    assert "Ai đã gọi?" in text
    assert 'value="bs2"' in text
    before = window.data("/status.json")["alarm"]
    window.post(f"/alarms/{consult}/called", staff="bs2", back="/")
    assert 'class="alarm" role' not in window.text.replace('<section id="cover" class="alarm" role', "")
    assert 'class="alarmstrip"' in window.text
    assert WORDS in window.text
    assert window.data("/status.json")["alarm"] != before
    row = consults.get(station.conn, consult)
    assert row is not None
    assert row.alarm_by == "bs2"


def test_an_unknown_person_cannot_silence_it(station: Station) -> None:
    """The name is one of the station's staff."""
    consult = ask(station)
    station.hand.turn(130)
    assert station.window("").post(f"/alarms/{consult}/called", staff="nobody").status == 400
    row = consults.get(station.conn, consult)
    assert row is not None
    assert row.alarm_seen is None


def test_the_limits_are_those_of_the_settings(tmp_path, station: Station) -> None:  # type: ignore[no-untyped-def]
    """Another station may choose other times."""
    other = tmp_path / "other"
    other.mkdir()
    with make(other, "[emergency]\nunreceived_s = 30\nunopened_s = 60\n") as quick:
        ask(quick)
        quick.hand.turn(31)
        assert quick.window().data("/status.json")["words"]


def test_health_says_yes(station: Station) -> None:
    """For the watchdog and the demo."""
    heard = station.window("").data("/health")
    assert heard["ok"] is True
    assert heard["station"] == "tram-0001"
