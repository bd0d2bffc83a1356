"""Corrections at the kiosk: few taps, two identifiers, the original struck out and kept, doctors named where it concerns them."""

import re
from html.parser import HTMLParser

import pytest

from appliance.contract.codec import read_event
from appliance.contract.events import Body, ObservationEnteredInError, ObservationReassigned, Tombstone
from appliance.store import consults
from tests.kiosk.station import FIRST, NURSE, SECOND, Station, Window


class Tappable(HTMLParser):
    """What a finger can do on a page: follow links, tick boxes, press a form's buttons; each of it is one tap."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.forms: dict[str, dict[str, str]] = {}
        self.boxes: set[str] = set()
        self._form = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect."""
        said = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.add(said.get("href", ""))
        elif tag == "form":
            self._form = said["action"]
            self.forms[self._form] = {}
        elif tag == "input" and said.get("type") == "hidden":
            self.forms[self._form][said["name"]] = said["value"]
        elif tag == "input" and said.get("type") == "checkbox":
            self.boxes.add(said["name"])

    def handle_endtag(self, tag: str) -> None:
        """A form ends."""


class Finger:
    """Somebody who can only touch what the page shows; counts the touches."""

    def __init__(self, window: Window) -> None:
        self.window, self.taps, self.ticked = window, 0, {}

    def tap(self, href: str) -> None:
        """Follow a link that is on the page."""
        assert href in Tappable(self.window.text).links, (href, self.window.text)
        self.taps += 1
        self.window.get(href)

    def tick(self, name: str) -> None:
        """Tick a box."""
        assert name in Tappable(self.window.text).boxes
        self.taps += 1
        self.ticked[name] = "1"

    def press(self, action: str, **button: str) -> None:
        """Press a button of a form that is on the page."""
        hidden = Tappable(self.window.text).forms[action]
        self.taps += 1
        self.window.post(action, **{**hidden, **self.ticked, **button})
        self.ticked = {}


@pytest.fixture
def window(station: Station) -> Window:
    """A nurse at a window; both patients were measured today, so that they are among the last."""
    window = station.window()
    window.open(station.second)
    return window


def save(station: Station, window: Window, patient: int) -> int:
    """A saved reading; the number of its observation. The window stays on the measuring page, which says that it is saved."""
    session = window.open(patient)
    measurement = station.measure("oxi", session)
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=patient)
    return int(station.conn.execute("SELECT id FROM observation WHERE measurement = ?", (measurement,)).fetchone()[0])


def said(station: Station, kind: type) -> list[Body]:
    """What waits for the bridge of one kind."""
    found = [read_event(bytes(row[0])) for row in station.conn.execute("SELECT body FROM outbox ORDER BY id").fetchall()]
    assert all(one.actor == NURSE for one in found if isinstance(one.body, kind))
    return [one.body for one in found if isinstance(one.body, kind)]


def ask(station: Station, window: Window, patient: int) -> int:
    """A request with the last readings, sent; its number."""
    window.confirm(patient)
    window.get(f"/patients/{patient}/ask?part=readings")
    chosen = dict.fromkeys(re.findall(r'name="(reading_\d+)"', window.text), "1")
    window.post(f"/patients/{patient}/ask", complaint="Đau đầu", department="internal", urgency="urgent", readings="1", **chosen)
    window.post(f"/patients/{patient}/ask/send", consult=window.text.split('name="consult" value="')[1].split('"')[0])
    return int(window.path.rsplit("/", 1)[1])


@pytest.mark.parametrize("begin", ["patient page", "just saved"])
def test_a_wrong_patient_is_corrected_in_at_most_five_taps(station: Station, window: Window, begin: str) -> None:
    """From the saved reading to the right record, two identifiers included, whether found in the record or just after saving."""
    observation = save(station, window, station.first)
    if begin == "patient page":
        window.get(f"/patients/{station.first}")
    at, finger = f"/patients/{station.first}/readings/{observation}", Finger(window)
    finger.tap(at)
    finger.tap(f"{at}/to/{station.second}")
    finger.tick("id_name")
    finger.tick("id_birth")
    finger.press(f"{at}/to/{station.second}")
    assert finger.taps <= 5
    (body,) = said(station, ObservationReassigned)
    assert isinstance(body, ObservationReassigned)
    assert (body.patient, body.to_patient, body.reason) == (station.first, station.second, "Đo nhầm người")
    assert "Đã chuyển kết quả sang hồ sơ" in window.text and SECOND in window.text
    old, new = window.get(f"/patients/{station.first}").text, window.get(f"/patients/{station.second}").text
    assert "<s>SpO₂ 98% · Mạch 60 lần/phút</s>" in old and "Đã chuyển sang hồ sơ khác: Đo nhầm người" in old
    assert SECOND not in old.split("Kết quả đã lưu")[1], "one record does not name the other person"
    assert "<s>" not in new and "chuyển từ hồ sơ khác" in new


def test_a_wrong_value_is_struck_out_in_three_taps(station: Station, window: Window) -> None:
    """Reading, *sai số*, reason: struck out with the reason, and no request offers it any more."""
    observation = save(station, window, station.first)
    window.get(f"/patients/{station.first}")
    at, finger = f"/patients/{station.first}/readings/{observation}", Finger(window)
    finger.tap(at)
    finger.tap(f"{at}/error")
    finger.press(f"{at}/error", word="fit")
    assert finger.taps == 3
    assert said(station, ObservationEnteredInError)[0].reason == "Kẹp hoặc vòng bít đặt sai"  # type: ignore[union-attr]
    assert "<s>" in window.text and "Y tá Thử" in window.text
    assert "Đã gạch bỏ: Kẹp hoặc vòng bít đặt sai" in window.get(f"/patients/{station.first}").text
    assert 'name="reading_' not in window.get(f"/patients/{station.first}/ask?part=readings").text
    window.post("/language", language="en", back="/home")
    assert "Struck out: Probe or cuff badly placed" in window.get(f"/patients/{station.first}").text


def test_another_reason_is_written_in_words(station: Station, window: Window) -> None:
    """What no button says is typed; nothing and too much are answered with what to do, and change nothing."""
    observation = save(station, window, station.first)
    at = f"/patients/{station.first}/readings/{observation}/error"
    for reason in ("", "  ", "x" * 201):
        assert "Chọn một lý do" in window.post(at, reason=reason).text and window.status == 422
    assert said(station, ObservationEnteredInError) == []
    window.post(at, reason="Đo qua áo dày")
    assert "Đã gạch bỏ: Đo qua áo dày" in window.text


def test_one_identifier_moves_nothing(station: Station, window: Window) -> None:
    """Two things are asked for; with one the reading stays where it is."""
    observation = save(station, window, station.first)
    at = f"/patients/{station.first}/readings/{observation}/to/{station.second}"
    window.post(at, id_name="1")
    assert window.status == 422 and "ít nhất hai điều" in window.text
    assert said(station, ObservationReassigned) == []


def test_somebody_who_was_not_measured_lately_is_searched(station: Station) -> None:
    """A search that finds one person goes straight to the identifiers; several are listed; the record's own person is not offered."""
    window = station.window()
    observation = save(station, window, station.first)
    at = f"/patients/{station.first}/readings/{observation}"
    assert SECOND not in window.get(at).text
    assert window.post(f"{at}/find", q="thu nghiem hai").path == f"{at}/to/{station.second}"
    window.post(f"{at}/find", q="thu nghiem")
    assert window.path == f"{at}/to/{station.second}", "the first patient is the one it is taken from"
    assert window.post(f"{at}/find", q="khong co ai").path == f"{at}/found"


def test_the_second_tap_and_a_page_out_of_date_do_no_harm(station: Station, window: Window) -> None:
    """The same button twice is one correction; a window that still shows the old record is told what happened."""
    observation = save(station, window, station.first)
    at = f"/patients/{station.first}/readings/{observation}"
    late = station.window("bs2")
    late.get(f"{at}/error")
    for _ in range(2):
        window.post(f"{at}/to/{station.second}", id_name="1", id_birth="1")
        assert window.status == 200
    late.post(f"{at}/error", word="fit", csrf=late.token())
    assert late.status == 409 and "chuyển sang hồ sơ khác" in late.text
    assert len(said(station, ObservationReassigned)) == 1 and said(station, ObservationEnteredInError) == []


def test_it_can_be_given_back(station: Station, window: Window) -> None:
    """The correction was the mistake: from the other record it goes the same way back."""
    observation = save(station, window, station.first)
    window.post(f"/patients/{station.first}/readings/{observation}/to/{station.second}", id_name="1", id_birth="1")
    window.post(f"/patients/{station.second}/readings/{observation}/to/{station.first}", id_name="1", id_birth="1")
    assert "<s>" not in window.get(f"/patients/{station.first}").text
    assert "<s>" in window.get(f"/patients/{station.second}").text


def test_a_reading_in_error_offers_no_way_to_move_it(station: Station, window: Window) -> None:
    """The page says what was said; a button from an old page is refused with what to do."""
    observation = save(station, window, station.first)
    at = f"/patients/{station.first}/readings/{observation}"
    window.post(f"{at}/error", word="trial")
    assert "/to/" not in window.get(at).text and "/error" not in window.text
    window.post(f"{at}/to/{station.second}", id_name="1", id_birth="1")
    assert window.status == 409 and "đo lại" in window.text


def test_readings_of_others_and_of_nobody_are_not_there(station: Station, window: Window) -> None:
    """A number of another record, or of none, opens no page and corrects nothing."""
    observation = save(station, window, station.first)
    for at in (f"/patients/{station.second}/readings/{observation}", f"/patients/{station.first}/readings/999"):
        assert window.get(at).status == 404 and window.get(f"{at}/error").status == 404
        assert window.post(f"{at}/error", word="fit").status == 404
        assert window.post(f"{at}/to/{station.first}", id_name="1", id_birth="1").status == 404
    assert said(station, ObservationEnteredInError) == [] == said(station, ObservationReassigned)


def test_nobody_erased_gets_a_reading(station: Station, window: Window) -> None:
    """Erased between the page and the button: refused, and the reading stays."""
    observation = save(station, window, station.first)
    station.down(Tombstone(station.second, "yêu cầu"))
    window.post(f"/patients/{station.first}/readings/{observation}/to/{station.second}", id_name="1", id_birth="1")
    assert window.status == 404
    assert "<s>" not in window.get(f"/patients/{station.first}").text


@pytest.mark.parametrize("answered", [False, True])
def test_a_request_that_cited_it_is_named_and_shows_it_struck(station: Station, window: Window, answered: bool) -> None:
    """Before and after the correction the nurse reads that the doctor has it; a waiting request can be withdrawn from there."""
    observation = save(station, window, station.first)
    consult = ask(station, window, station.first)
    if answered:
        station.answer(consult)
    at = f"/patients/{station.first}/readings/{observation}"
    assert "bác sĩ sẽ được báo" in window.get(at).text
    window.post(f"{at}/error", word="device")
    assert "Bác sĩ sẽ thấy lời sửa" in window.text and "0900 000 000" in window.text
    assert f'href="/consults/{consult}"' in window.text
    assert (f"/consults/{consult}/withdraw" in window.text) is not answered
    page = window.get(f"/consults/{consult}").text
    assert "<s>SpO₂ 98% · Mạch 60 lần/phút</s>" in page and "Đã gạch bỏ: Máy đo sai hoặc hỏng" in page


def test_an_answer_to_a_withdrawn_request_is_shown_with_a_sentence(station: Station, window: Window) -> None:
    """Nothing is lost: on the first page, with what it means, to be read and confirmed."""
    save(station, window, station.first)
    consult = ask(station, window, station.first)
    window.post(f"/consults/{consult}/withdraw", reason="mistake")
    station.answer(consult, advice="Cho uống nước, theo dõi.")
    assert f"/consults/{consult}" in window.get("/home").text
    window.get(f"/consults/{consult}")
    assert "Cho uống nước, theo dõi." in window.text and "Trả lời vẫn đến sau khi rút" in window.text
    window.post(f"/consults/{consult}/read", answer=1)
    assert "Đã đọc:" in window.text


def test_an_answer_to_a_request_this_box_never_had_has_a_page(station: Station) -> None:
    """A box that was made anew: the advice is on the first page and whole on its own, without a patient; it is read and confirmed."""
    window = station.window()
    assert window.get("/consults/4711").status == 404
    station.answer(4711, advice="Theo dõi thêm 2 giờ.")
    assert "yêu cầu mà máy này không có" in window.get("/home").text
    assert "/consults/4711" in window.get("/consults").text
    window.get("/consults/4711")
    assert window.status == 200 and "Theo dõi thêm 2 giờ." in window.text and "BS Thử Một" in window.text
    assert 'class="banner"' not in window.text and FIRST not in window.text
    window.post("/consults/4711/read", answer=1)
    assert "Đã đọc:" in window.text
    (one,) = consults.answers(station.conn, 4711)
    assert one.read_by == NURSE and one.shown is not None
    assert "yêu cầu mà máy này không có" not in window.get("/home").text
