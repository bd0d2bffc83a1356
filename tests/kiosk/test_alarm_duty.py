"""Who is on duty, on every page that needs it, without a link; the alarm names them; where a request went on to."""

import pytest

from appliance.contract.events import ConsultEscalated, ConsultOpened, Department, Duty, RotaPublished, Urgency
from appliance.contract.readings import ClockQuality
from appliance.store import consults
from appliance.store.consults import ConsultDraft
from tests.kiosk.station import FIRST, NURSE, Station, Window

HOUR = 36_000
FIXED = "0900\u00a0000\u00a0000"


def rota(station: Station, days: int = 8) -> None:
    """Internal medicine and the general department have somebody; a surgeon is on duty for one more hour; nobody else is."""
    start = station.now.wall - HOUR
    shifts = (
        Duty(Department.GENERAL, 1, start, start + 24 * days * HOUR, "BS. Thử Chung", "0911 000 001"),
        Duty(Department.INTERNAL, 1, start, start + 24 * days * HOUR, "BS. Thử Nội", "0911 000 002"),
        Duty(Department.SURGERY, 1, start, start + 2 * HOUR, "BS. Thử Ngoại", "0911 000 003"),
    )
    station.down(RotaPublished(1, start, start + 24 * days * HOUR, shifts))


def ask(station: Station, department: Department = Department.INTERNAL, consult: int = 7001) -> int:
    """An emergency of this moment."""
    draft = ConsultDraft(station.first, Urgency.EMERGENCY, department, "khó thở")
    consults.request(station.conn, draft, consult=consult, staff=NURSE, now=station.now)
    return consult


def know(station: Station, quality: ClockQuality) -> None:
    """From now on the system says this of the box's clock."""
    station.clock._quality = lambda: quality
    station.hand.turn(60)


def alarmed(station: Station) -> str:
    """What the screen shouts."""
    words: str = station.window("").data("/status.json")["words"]
    return words


@pytest.mark.parametrize(
    ("department", "number"),
    [
        (Department.INTERNAL, "0911\u00a0000\u00a0002"),
        (Department.SURGERY, "0911\u00a0000\u00a0003"),
        (Department.PAEDIATRICS, "0911\u00a0000\u00a0001"),
    ],
)
def test_the_alarm_names_whoever_is_on_duty_for_the_department_and_the_fixed_number(
    station: Station, department: Department, number: str
) -> None:
    """A department without anybody has the general one's; 115 always stands there."""
    rota(station)
    ask(station, department)
    station.hand.turn(130)
    assert alarmed(station) == f"CHƯA AI XEM. Gọi ngay: {number}, {FIXED}, 115. Không chờ phần mềm."


def test_the_alarm_falls_back_to_the_settings_where_no_list_holds(station: Station) -> None:
    """Run out, never come, or a box that does not know the time: the fixed number and 115, and no doctor who may be asleep."""
    words = f"CHƯA AI XEM. Gọi ngay: {FIXED}, 115. Không chờ phần mềm."
    ask(station)
    station.hand.turn(130)
    assert alarmed(station) == words
    rota(station, days=1)
    assert alarmed(station) != words
    know(station, ClockQuality.UNKNOWN)
    assert alarmed(station) == words
    know(station, ClockQuality.SYNCED)
    station.hand.turn(86_400)
    assert alarmed(station) == words
    assert "đã hết hạn lúc" in station.window("").get("/duty").text


def test_a_second_request_nobody_opens_shouts_although_the_first_was_acknowledged(station: Station) -> None:
    """Whoever has called for one has called for that one."""
    rota(station)
    ask(station, consult=7001)
    station.hand.turn(130)
    station.window("").post("/alarms/7001/called", staff="bs2", back="/")
    assert alarmed(station) == ""
    ask(station, consult=7002)
    station.hand.turn(130)
    assert "CHƯA AI XEM" in alarmed(station)
    assert station.window("").data("/status.json")["alarm"].count(".") == 1


def test_a_request_that_went_on_says_where_to_and_still_shouts(station: Station) -> None:
    """On its page, which is drawn anew, and on the alarm; when a doctor opens it, both are over."""
    rota(station)
    consult = ask(station)
    station.received()
    window = station.window()
    page = window.data(f"/consults/{consult}.json")["page"]
    station.hand.turn(601)
    station.down(ConsultEscalated(consult, 2, "Bệnh viện tỉnh Thử"))
    assert window.data(f"/consults/{consult}.json")["page"] != page
    assert "đã chuyển lên Bệnh viện tỉnh Thử" in window.get(f"/consults/{consult}").text
    assert "đã chuyển lên Bệnh viện tỉnh Thử" in window.data("/status.json")["since"]
    assert "CHƯA AI XEM" in alarmed(station)
    station.down(ConsultOpened(consult, "BS. Thử Một"))
    assert alarmed(station) == ""
    assert "đã chuyển lên" not in window.get(f"/consults/{consult}").text


def test_who_is_on_duty_stands_on_the_home_page_the_request_and_its_page(station: Station) -> None:
    """Names where a department is chosen, a warning where it has nobody; numbers on the request's page."""
    rota(station)
    window: Window = station.window()
    assert "Nội: BS. Thử Nội" in window.get("/home").text
    window.confirm(station.first, send="1")
    text = window.get(f"/patients/{station.first}/ask?part=department").text
    assert "Nội<small>trực: BS. Thử Nội</small>" in text
    assert "Nhi<small>không có người trực</small>" in text
    assert "0911 000 002" in window.get(f"/consults/{ask(station)}").text


def test_the_duty_page_needs_nobody_signed_in_and_names_no_patient(station: Station) -> None:
    """Numbers by department, without a link and without a PIN; before any list the fixed number."""
    window = station.window("")
    assert "Chưa nhận được lịch trực" in window.get("/duty").text
    assert "0900 000 000" in window.text
    rota(station)
    text = window.get("/duty").text
    for number in ("0911 000 001", "0911 000 002", "0911 000 003", "0900 000 000", "115"):
        assert number in text
    assert text.count("không có người trực") == 3
    assert FIRST not in text


def test_a_name_of_the_list_is_never_markup(station: Station) -> None:
    """What comes down is text."""
    start = station.now.wall - HOUR
    shift = Duty(Department.INTERNAL, 1, start, start + 9 * HOUR, "<script>1</script>", "<b>")
    station.down(RotaPublished(1, start, start + 9 * HOUR, (shift,)))
    window = station.window()
    for path in ("/home", "/duty", f"/patients/{station.first}/ask?part=department"):
        window.confirm(station.first, send="1")
        assert "<script>1" not in window.get(path).text
