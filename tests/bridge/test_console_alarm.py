"""A new emergency: heard and seen on every page until a person says that they have seen it."""

import pytest

from appliance.contract import events as ev
from appliance.contract.ids import spell
from cloud_bridge.store import emergencies
from cloud_bridge.store.engine import reading
from tests.bridge.conftest import Office
from tests.bridge.story import OTHER, STATION, asked, event, who

URGENT = {"urgency": ev.Urgency.EMERGENCY}


@pytest.fixture
def desk(offices: Office) -> Office:
    """An office with a routine request, which sounds for nobody, on both databases."""
    offices.hear(asked(800, (), identity=who(OTHER), urgency=ev.Urgency.ROUTINE), asked(801, (), urgency=ev.Urgency.URGENT))
    return offices


def test_an_emergency_sounds_for_everybody_until_somebody_has_seen_it(desk):
    """In the next question of every open page after the commit; one doctor's *I have seen it* ends it for all, with the name."""
    first, second = desk.doctor(), desk.doctor("bs.hai")
    before = second.get("/emergencies.json")
    assert before.json == {"unopened": [], "sounding": [], "corrected": 0}
    desk.hear(asked(900, (), **URGENT))
    heard = second.get("/emergencies.json", headers={"If-None-Match": before.headers["ETag"]})
    assert heard.json["sounding"] == [f"consult/{STATION}/{spell(900)}"]
    assert first.send(f"/emergencies/{STATION}/consult/{spell(900)}/noticed").status_code == 302
    after = second.get("/emergencies.json").json
    assert (after["sounding"], after["unopened"]) == ([], [f"{STATION}/{spell(900)}"])
    page = second.get("/").text
    assert "Yêu cầu cấp cứu chưa ai mở" in page
    assert "đã thấy: BS. Trần Thử" in " ".join(page.split())
    second.send("/emergencies/noticed")
    assert "đã thấy: BS. Lê Hai" not in " ".join(second.get("/").text.split())


def test_opening_ends_the_alarm_too(desk):
    """Whoever opens the request has seen it."""
    doctor = desk.doctor()
    desk.hear(asked(900, (), **URGENT))
    doctor.get(f"/consults/{STATION}/900")
    assert desk.doctor("bs.hai").get("/emergencies.json").json == {"unopened": [], "sounding": [], "corrected": 0}


def test_the_station_s_emergency_button_sounds_and_is_taken_note_of(desk):
    """A call names nobody; it is listed with its station, sounds, and keeps the name of who has seen it for an hour."""
    doctor = desk.doctor()
    desk.hear(event(ev.EmergencyPressed(77, "ngã trước cổng")))
    assert doctor.get("/emergencies.json").json["sounding"] == [f"call/{STATION}/{spell(77)}"]
    page = doctor.get("/").text
    for word in ("TRẠM BẤM NÚT CẤP CỨU", "Trạm Y tế xã Thử", "ngã trước cổng", "Tôi đã thấy"):
        assert word in page, word
    doctor.send("/emergencies/noticed")
    assert doctor.get("/emergencies.json").json["sounding"] == []
    assert "đã thấy: BS. Trần Thử" in " ".join(desk.doctor("bs.hai").get("/").text.split())
    with reading(desk.engine) as tx:
        (call,) = emergencies.recent(tx)
    assert (call.acknowledged_by, call.acknowledged) == ("bs.thu", desk.time.wall)
    desk.time.turn(3700)
    assert "TRẠM BẤM NÚT CẤP CỨU" not in desk.doctor().get("/").text


def test_who_may_only_look_hears_it_and_cannot_end_it(desk):
    """A viewer's page sounds; *I have seen it* is a doctor's word."""
    viewer = desk.doctor("xem")
    desk.hear(asked(900, (), **URGENT))
    assert viewer.get("/emergencies.json").json["sounding"] != []
    assert "Tôi đã thấy" not in viewer.get("/").text
    for path in ("/emergencies/noticed", f"/emergencies/{STATION}/consult/900/noticed"):
        assert viewer.send(path).status_code == 403


@pytest.mark.parametrize("path", ["consult/999", "call/999", "other/800"])
def test_what_is_not_there_cannot_be_seen(desk, path):
    """No such request, no such call, no such kind: no such page."""
    kind, number = path.split("/")
    assert desk.doctor().send(f"/emergencies/{STATION}/{kind}/{number}/noticed").status_code == 404


def test_asking_again_costs_the_server_no_row(desk):
    """A page asks every three seconds: as long as nobody has committed anything the answer is 304 without a look at the tables."""
    doctor = desk.doctor()
    first = doctor.get("/emergencies.json")
    again = doctor.get("/emergencies.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
