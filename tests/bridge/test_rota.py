"""The rota: written, checked, published, told to the stations in few bytes; the coordinator's page and the command."""

import re

import pytest
from sqlalchemy import select

from appliance.bench.wire import parcel
from appliance.contract.codec import read_event
from appliance.contract.events import Department, Event, RotaPublished, Urgency
from appliance.contract.readings import ClockQuality, Stamp
from cloud_bridge import escalation, routing
from cloud_bridge.escalation import Limits
from cloud_bridge.store import accounts, relay_tables, rota, stations
from cloud_bridge.store.accounts import Role
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.rota import DAY, HOUR, Gap, Shift
from tests.bridge import story
from tests.bridge.conftest import HASHER, ORGANISATION, PASSWORD
from tests.bridge.story import asked

NOW = story.T0
TODAY = rota.midnight(NOW)
WEEK = 7 * DAY


def fill(tx, start, days=7, *, but=(), hours=24, organisation=ORGANISATION, login=""):
    """Somebody for every department, in shifts of `hours`, two people taking turns."""
    for department in Department:
        for number in range(days * 24 // hours):
            begin = start + number * hours * HOUR
            name = f"BS. Thử {department.name.title()} {'AB'[number % 2]}"
            if (department, number) not in but:
                rota.add(
                    tx,
                    Shift(organisation, department, begin, begin + hours * HOUR, name, f"0911 000 {int(department)}0{number % 2}", login),
                )


def told(engine, name=story.STATION):
    """The lists that wait for a station."""
    with reading(engine) as tx:
        c = relay_tables.outbox.c
        rows = tx.execute(select(c.body).where(c.station == name).order_by(c.id)).all()
    return [one.body for one in (read_event(bytes(row.body)) for row in rows) if isinstance(one.body, RotaPublished)]


@pytest.fixture
def bridge(engine):
    """Two stations of the organisation and one of another."""
    with writing(engine) as tx:
        for name, organisation in ((story.STATION, ORGANISATION), ("tram-0002", ORGANISATION), ("tram-0009", "Nơi khác")):
            stations.add(tx, stations.Station(name, 0, name, organisation, 0, 0, bytes(32), NOW, None))
    return engine


def test_nobody_is_on_duty_before_it_is_published(bridge):
    """What is being written is a draft; publishing makes it true, and telling is in the same transaction."""
    with writing(bridge) as tx:
        fill(tx, TODAY)
        assert rota.at_work(tx, ORGANISATION, NOW) == []
        rota.publish(tx, ORGANISATION, TODAY, TODAY + WEEK, gaps=[], actor="dp", at=NOW)
        assert len(rota.at_work(tx, ORGANISATION, NOW)) == 6
        fill(tx, TODAY, organisation="Nơi khác")
    assert [len(told(bridge, name)) for name in (story.STATION, "tram-0002", "tram-0009")] == [1, 1, 0]
    body = told(bridge)[0]
    assert (body.start, body.end) == (TODAY, TODAY + WEEK)
    assert len(body.shifts) == 42


def test_a_later_publication_replaces_the_same_hours_and_leaves_the_others(bridge):
    """Only the middle day is published anew: who was on duty before and after it stays."""
    with writing(bridge) as tx:
        rota.add(tx, Shift(ORGANISATION, Department.INTERNAL, TODAY, TODAY + 3 * DAY, "Cũ"))
        rota.publish(tx, ORGANISATION, TODAY, TODAY + WEEK, gaps=[], actor="dp", at=NOW)
        for number, _ in rota.written(tx, ORGANISATION, TODAY, TODAY + WEEK):
            rota.remove(tx, ORGANISATION, number)
        rota.add(tx, Shift(ORGANISATION, Department.INTERNAL, TODAY + DAY, TODAY + 2 * DAY, "Mới"))
        rota.publish(tx, ORGANISATION, TODAY + DAY, TODAY + 2 * DAY, gaps=[], actor="dp", at=NOW)
        found = [[one.name for one in rota.at_work(tx, ORGANISATION, TODAY + day * DAY + HOUR)] for day in range(4)]
    assert found == [["Cũ"], ["Mới"], ["Cũ"], []]


def test_stations_are_told_what_changed_and_once_a_day(bridge):
    """Nothing new, nothing sent; a new day or a new list is sent once to each; a station that comes later is told at once."""
    with writing(bridge) as tx:
        fill(tx, TODAY)
        rota.publish(tx, ORGANISATION, TODAY, TODAY + WEEK, gaps=[], actor="dp", at=NOW)
    for minutes in range(3):
        escalation.turn(bridge, NOW + minutes * 600, Limits())
    assert len(told(bridge)) == 1
    with writing(bridge) as tx:
        stations.add(tx, stations.Station("tram-0003", 0, "x", ORGANISATION, 0, 0, bytes(32), NOW, None))
    for at in (NOW + 3600, NOW + 3700, TODAY + DAY + 5, TODAY + DAY + 99):
        escalation.turn(bridge, at, Limits())
    assert [len(told(bridge, name)) for name in (story.STATION, "tram-0003")] == [2, 2]
    versions = [one.version for one in told(bridge)]
    assert versions == sorted(set(versions))


def test_a_week_of_six_departments_is_small_on_the_wire(bridge):
    """24-hour shifts of two people a department: under 600 bytes as it travels; twelve-hour shifts under 900."""
    sizes = {}
    for hours in (24, 12):
        with writing(bridge) as tx:
            fill(tx, TODAY, hours=hours, organisation=f"Nơi {hours}")
            rota.publish(tx, f"Nơi {hours}", TODAY, TODAY + WEEK, gaps=[], actor="dp", at=NOW)
            body = rota.notice(tx, f"Nơi {hours}", NOW)
        sizes[hours] = wire_size(body)
    assert sizes[24] <= 600, sizes
    assert sizes[12] <= 900, sizes


def wire_size(body):
    """Bytes of the parcel that holds this one event."""
    stamp = Stamp(0, 0, 0, NOW, ClockQuality.SYNCED)
    return len(parcel([Event(stamp, "", "0.1.0", body)]))


def test_one_person_over_several_days_is_one_shift(bridge):
    """Shifts that touch are told as one: fewer bytes, the same hours."""
    with writing(bridge) as tx:
        for number in range(7):
            rota.add(tx, Shift(ORGANISATION, Department.INTERNAL, TODAY + number * DAY, TODAY + (number + 1) * DAY, "BS. Thử", "1"))
        rota.publish(tx, ORGANISATION, TODAY, TODAY + WEEK, gaps=[], actor="dp", at=NOW)
    assert [(one.start, one.end) for one in told(bridge)[0].shifts] == [(TODAY, TODAY + WEEK)]


def test_a_shift_without_a_name_or_with_no_end_is_refused(engine):
    """Neither gets into the table."""
    with writing(engine) as tx:
        for start, end, name in ((0, 0, "x"), (5, 4, "x"), (0, 8 * DAY, "x"), (0, DAY, "  ")):
            with pytest.raises(ValueError, match="shift"):
                rota.add(tx, Shift(ORGANISATION, Department.GENERAL, start, end, name))
        assert rota.written(tx, ORGANISATION, -DAY, 9 * DAY) == []


# --- the page -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def coordinator(office):
    """Somebody who writes the rota."""
    with writing(office.engine) as tx:
        accounts.add(
            tx, HASHER, "dp.thu", PASSWORD, NOW, name="Điều phối Thử", role=Role.COORDINATOR, organisation=ORGANISATION, second_needed=False
        )
    return office.doctor("dp.thu")


MONDAY = "2026-05-25"
"""The week of the story's day."""


def shift(visitor, **more):
    """Send the form of a shift."""
    usual = {
        "week": MONDAY,
        "department": "1",
        "day": MONDAY,
        "from": "07:00",
        "to": "07:00",
        "days": "7",
        "name": "BS. Thử Nội",
        "phone": "0911",
    }
    return visitor.send("/rota/shifts", **(usual | more))


def test_duty_gap_at_03_00_is_named_before_publishing(office, coordinator):
    """Every department covered but one hour of one: the page names it, and publishing without having seen it is refused."""
    with writing(office.engine) as tx:
        start = rota.midnight(NOW) - 4 * DAY
        fill(tx, start)
        for number, one in rota.written(tx, ORGANISATION, start, start + WEEK):
            if one.department is Department.PAEDIATRICS and one.start == start:
                rota.remove(tx, ORGANISATION, number)
        rota.add(tx, Shift(ORGANISATION, Department.PAEDIATRICS, start, start + 3 * HOUR, "BS. Thử Đêm"))
        rota.add(tx, Shift(ORGANISATION, Department.PAEDIATRICS, start + 4 * HOUR, start + DAY, "BS. Thử Ngày"))
    text = coordinator.get(f"/rota/?week={MONDAY}").text
    assert "Khoa Nhi trống 03:00–04:00 ngày 25-05" in text
    assert text.count("<li>Khoa") == 1
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', text)[1]
    assert "Còn giờ không có người trực" in coordinator.client.get(coordinator.send("/rota/publish", week=MONDAY, seen=seen).location).text
    coordinator.send("/rota/publish", week=MONDAY, seen="0" * 16, confirmed="1")
    with reading(office.engine) as tx:
        assert rota.latest(tx, ORGANISATION, start, start + WEEK) is None
    coordinator.send("/rota/publish", week=MONDAY, seen=seen, confirmed="1")
    with reading(office.engine) as tx:
        last = rota.latest(tx, ORGANISATION, start, start + WEEK)
        assert (last.actor, last.gaps) == ("dp.thu", 1)
    assert len(told(office.engine)) == 1


def test_a_week_is_written_published_and_copied_by_form(office, coordinator):
    """Seven days in one form; the head of every page says who is on duty; the next week is a copy."""
    shift(coordinator)
    text = coordinator.get(f"/rota/?week={MONDAY}").text
    assert text.count("</b> BS. Thử Nội") == 7
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', text)[1]
    coordinator.send("/rota/publish", week=MONDAY, seen=seen, confirmed="1")
    assert "Nội: BS. Thử Nội" in office.doctor().get("/").text
    coordinator.send("/rota/copy", week=MONDAY)
    assert coordinator.get("/rota/?week=2026-06-01").text.count("</b> BS. Thử Nội") == 8  # Sunday's ends on this Monday morning
    number = re.search(r"/rota/shifts/(\d+)/remove", coordinator.get(f"/rota/?week={MONDAY}").text)[1]
    coordinator.send(f"/rota/shifts/{number}/remove", week=MONDAY)
    assert coordinator.get(f"/rota/?week={MONDAY}").text.count("</b> BS. Thử Nội") == 6
    assert "khác bản đã phát hành" in coordinator.get(f"/rota/?week={MONDAY}").text


@pytest.mark.parametrize(
    "bad",
    [{"department": "6"}, {"department": "x"}, {"day": "2026-02-30"}, {"from": "25:00"}, {"to": ""}, {"name": "  "}, {"days": "0"},
     {"days": "400"}, {"name": "x" * 200}, {"day": "9999-12-31"}, {"from": "07:00+07:00"}],
)  # fmt: skip
def test_a_form_that_says_no_shift_keeps_nothing(office, coordinator, bad):
    """A sentence, not an error, and no row."""
    answer = shift(coordinator, **bad)
    assert answer.status_code == 302
    assert "Chưa ghi" in coordinator.get(answer.location).text
    with reading(office.engine) as tx:
        assert rota.written(tx, ORGANISATION, 0, 1 << 40) == []


def test_only_those_who_write_the_rota_open_it_and_only_their_own(office, coordinator):
    """Not a doctor; and a shift of another organisation does not exist."""
    assert office.doctor().get("/rota/").status_code == 403
    assert office.doctor().send("/rota/publish", week=MONDAY).status_code == 403
    with writing(office.engine) as tx:
        rota.add(tx, Shift("Nơi khác", Department.GENERAL, NOW, NOW + DAY, "BS. Ngoài"))
        number = rota.written(tx, "Nơi khác", NOW, NOW + DAY)[0][0]
    assert "BS. Ngoài" not in coordinator.get(f"/rota/?week={MONDAY}").text
    coordinator.send(f"/rota/shifts/{number}/remove", week=MONDAY)
    with reading(office.engine) as tx:
        assert len(rota.written(tx, "Nơi khác", NOW, NOW + DAY)) == 1


def test_the_coordinator_is_told_of_what_nobody_looks_after_without_a_word_of_the_patient(office, coordinator):
    """Nobody on duty for the department; later, through every tier."""
    shift(coordinator)
    office.hear(asked(900, department=Department.PAEDIATRICS, urgency=Urgency.EMERGENCY))
    text = coordinator.get("/rota/").text
    assert "không có người trực khoa này" in text
    assert story.who().name not in text
    assert "Đau ngực" not in text
    office.time.turn(601)
    escalation.turn(office.engine, office.time.wall, Limits())
    assert "đã qua mọi tuyến" in coordinator.get("/rota/").text


def test_the_queue_says_when_nobody_is_on_duty_and_shows_my_department_first(office, coordinator):
    """A request for my department before an older one for somebody else's; one for a department without anybody is everybody's."""
    shift(coordinator, login="bs.thu")
    shift(coordinator, department="2", name="BS. Lê Hai", login="bs.hai")
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', coordinator.get(f"/rota/?week={MONDAY}").text)[1]
    coordinator.send("/rota/publish", week=MONDAY, seen=seen, confirmed="1")
    for number, department in ((900, Department.SURGERY), (901, Department.INTERNAL), (902, Department.PAEDIATRICS)):
        office.hear(asked(number, department=department))
        office.time.turn(1)
    mine = [one["consult"] for one in office.doctor().get("/consults.json").get_json()["consults"]]
    theirs = [one["consult"] for one in office.doctor("bs.hai").get("/consults.json").get_json()["consults"]]
    assert (mine, theirs) == ([901, 902, 900], [900, 902, 901])
    assert office.doctor().get("/").text.count("không có người trực khoa này") == 1


def test_a_request_that_went_on_is_seen_by_the_next_tier_and_by_nobody_else(office, coordinator):
    """Before, the province sees nothing; after, this request and no other, opened by their doctor as by ours."""
    with writing(office.engine) as tx:
        rota.set_tier(tx, rota.Tier(ORGANISATION, 1, ORGANISATION, "Bệnh viện tỉnh Thử"))
        rota.set_tier(tx, rota.Tier("Bệnh viện tỉnh Thử", 2, "Bệnh viện tỉnh Thử"))
        for login, organisation in (("bs.tinh", "Bệnh viện tỉnh Thử"), ("bs.ngoai", "Nơi khác")):
            accounts.add(tx, HASHER, login, PASSWORD, NOW, name=login, role=Role.DOCTOR, organisation=organisation, second_needed=False)
    office.hear(asked(900, urgency=Urgency.EMERGENCY), asked(901, urgency=Urgency.ROUTINE))
    above, outside = office.doctor("bs.tinh"), office.doctor("bs.ngoai")
    listed = lambda who: [one["consult"] for one in who.get("/consults.json").get_json()["consults"]]  # noqa: E731 - asked four times
    assert listed(above) == []
    office.time.turn(601)
    escalation.turn(office.engine, office.time.wall, Limits())
    assert listed(above) == [900]
    assert listed(outside) == []
    assert "đã chuyển lên Bệnh viện tỉnh Thử" in office.doctor().get("/").text
    url = above.get("/consults.json").get_json()["consults"][0]["url"]
    assert outside.get(url).status_code == 404
    assert above.get(url).status_code == 200
    office.time.turn(9999)
    assert escalation.turn(office.engine, office.time.wall, Limits()) == []


def test_the_gaps_that_are_named_are_those_of_the_rule(office):
    """Hours as a person says them."""
    assert routing.hours(TODAY, TODAY + DAY).startswith("00:00–24:00 ngày ")
    assert Gap(Department.GENERAL, 0, 1) in routing.gaps([], 0, 1)
