"""Walls between organisations: every address of the console, asked by everybody who could ask."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine, true
from werkzeug.test import TestResponse

from appliance.contract import events as ev
from cloud_bridge.console.access import ROLES, TABLE, Rule, may
from cloud_bridge.console.guard import IDLE
from cloud_bridge.store import accounts, consults, rota_tables, stations, walls
from cloud_bridge.store.accounts import Role
from cloud_bridge.store.engine import reading, writing
from tests.bridge.conftest import HASHER, ORGANISATION, PASSWORD, Office, Visitor, make_office
from tests.bridge.story import PATIENT, STATION, asked, event, oxygen, pressure, who

SISTER, FOREIGN, NOWHERE = "tram-0002", "tram-0003", "tram-0099"
ELSEWHERE = "Bệnh viện Khác"
SECRETS = ("Thử Nghiệm", "Đau ngực từ sáng", "001161000001", "DN4010000000001", "115/74")
"""What only those may see who may see the patient."""
ABOUT = {"number": 900, "patient": PATIENT, "kind": "consult", "filename": "console.css"}
STATES = ("anonymous", "half", "idle", "locked", "lost", *Role)
"""Who asks: nobody; with the password alone; after 15 idle minutes; an account locked since; one without organisation; each role."""
PLACES = {"own": STATION, "sister": SISTER, "other": FOREIGN, "none": NOWHERE}


def fill(engine: Engine) -> Office:
    """Three stations with the same patient and request each, two of one organisation; an account for every state."""
    office = make_office(engine)
    with writing(engine) as tx:
        stations.add(tx, stations.Station(SISTER, 0, "Trạm Chị Em", ORGANISATION, 0, 0, bytes(32), office.time.wall, None))
        stations.add(tx, stations.Station(FOREIGN, 0, "Trạm Nơi Khác", ELSEWHERE, 0, 0, bytes(32), office.time.wall, None))
        for state in STATES:
            role = state if isinstance(state, Role) else Role.DOCTOR
            home = "" if state == "lost" else ORGANISATION
            accounts.add(tx, HASHER, f"m.{state}", PASSWORD, office.time.wall, name="BS. Ma Trận", role=role, organisation=home,
                         second_needed=state == "half")  # fmt: skip
    for name in (STATION, SISTER, FOREIGN):
        readings = (pressure(), oxygen(5))
        office.hear(
            asked(900, readings, urgency=ev.Urgency.EMERGENCY), event(ev.PatientRegistered(who())),
            event(ev.EmergencyPressed(900, "Thử Nghiệm gọi")), event(ev.MeasurementUnassigned(pressure(7), "Thử Nghiệm")), station=name,
        )  # fmt: skip
    return office


@dataclass
class Case:
    """One cell: who asks what, about which station."""

    endpoint: str
    method: str
    url: str
    state: str
    place: str


def cells(office: Office) -> Iterator[Case]:
    """Every endpoint and method × who × whose station."""
    adapter = office.app.url_map.bind("localhost")
    for rule in office.app.url_map.iter_rules():
        for method in sorted(rule.methods - {"OPTIONS", "HEAD"}):
            for state in STATES:
                for place, station in PLACES.items() if "station" in rule.arguments else (("-", ""),):
                    given = ABOUT | {"station": station}
                    url = adapter.build(rule.endpoint, {name: given.get(name, 1) for name in rule.arguments})
                    yield Case(rule.endpoint, method, url, str(state), place)


def visitors(office: Office) -> dict[str, Visitor]:
    """Everybody's browser in the state they are in."""
    found = {str(state): office.visitor() for state in STATES}
    for state in ("idle", "locked"):
        found[state].log_in(f"m.{state}", PASSWORD)
    with writing(office.engine) as tx:
        accounts.set_locked(tx, "m.locked", True)
    office.time.turn(IDLE / 10 + 1)
    for state in ("half", "lost", *map(str, Role)):
        assert found[state].log_in(f"m.{state}", PASSWORD).status_code == 302
    return found


def expected(case: Case) -> set[int]:
    """The statuses that are right; a page about what may not be seen is 404."""
    row = TABLE[case.endpoint]
    if row.rule is Rule.PUBLIC:
        return {200, 302, 304, 400, 403}
    if row.rule is Rule.HALF:
        return {200, 302, 400, 403} if case.state == "half" else {302}
    if case.state in ("anonymous", "half", "idle", "locked"):
        return {401} if row.by_itself or case.method == "POST" else {302}
    role = Role.DOCTOR if case.state == "lost" else Role(case.state)
    if not may(row.rule, role):
        return {302} if case.endpoint == "queue.waiting" else {403}
    if case.place == "-":
        return {200, 302, 304, 400, 404}
    visible = case.place in ("own", "sister") and case.state != "lost"
    if case.endpoint == "places.page" and role is Role.ADMIN:
        visible = case.place != "none"
    return {200, 302, 304, 400, 404, 409} if visible else {404}


def ask(office: Office, visitor: Visitor, case: Case) -> TestResponse:
    """The request of a cell, with a token where there must be one."""
    data = {"csrf": visitor.token(), "password": PASSWORD} if case.method == "POST" else None
    return visitor.client.open(case.url, method=case.method, data=data)


def test_every_cell_of_the_matrix(lite):
    """Every address × every method × everybody × own, sister, another organisation's and no station: the status, and not one secret."""
    office = fill(lite)
    browsers, asked_for, wrong = visitors(office), 0, []
    for case in sorted(cells(office), key=lambda one: one.endpoint == "sessions.leave"):
        answer = ask(office, browsers[case.state], case)
        asked_for += 1
        right = answer.status_code in expected(case)
        clinical = case.state in (Role.DOCTOR, Role.VIEWER) and case.place in ("own", "sister", "-")
        talks = not clinical and case.endpoint != "static" and any(word in answer.text for word in SECRETS)
        foreign = FOREIGN in answer.text and case.state != Role.ADMIN and case.place != "other"
        if not right or talks or foreign:
            wrong.append((case, answer.status_code, talks, foreign))
        answer.close()
    assert wrong == []
    assert asked_for >= 600


def test_every_endpoint_has_its_row_and_every_row_its_endpoint(office):
    """The table and the application name the same things, and every rule lets somebody in."""
    assert set(TABLE) == {rule.endpoint for rule in office.app.url_map.iter_rules()}
    assert all(ROLES[rule] for rule in Rule if rule not in (Rule.PUBLIC, Rule.HALF))


def test_another_organisation_s_request_does_not_exist(lite):
    """Page by page: the answer about another organisation's station is the one about a station that nobody has, letter for letter."""
    office = fill(lite)
    doctor = office.doctor()
    for path in ("/consults/{}/900", "/consults/{}/900.json", "/consults/{}/900/sign", f"/patients/{{}}/{PATIENT}", "/stations/{}"):
        foreign, nowhere = doctor.get(path.format(FOREIGN)), doctor.get(path.format(NOWHERE))
        assert (foreign.status_code, nowhere.status_code) == (404, 404), path
        assert foreign.text.replace(FOREIGN, NOWHERE) == nowhere.text
    for what in ("draft", "sign", "claim", "release", "question", "corrections"):
        assert doctor.send(f"/consults/{FOREIGN}/900/{what}", advice="x", text="x", password=PASSWORD).status_code == 404
    with reading(lite) as tx:
        found = consults.get(tx, FOREIGN, 900)
    assert found is not None
    assert (found.opened, found.claimed_by) == (None, "")


def test_lists_hold_what_one_may_see_and_nothing_else(lite):
    """Queue, alarms, what to look at, stations, boxes: the sister station is there, the other organisation's is not; for nobody nothing."""
    office = fill(lite)
    doctor, stranger = office.doctor(), office.doctor("m.lost")
    for url in ("/", "/queue/live", "/consults.json", "/emergencies.json", "/review/", "/stations/", "/fleet/"):
        mine, nobodys = doctor.get(url).text, stranger.get(url).text
        assert STATION in mine, url
        assert SISTER in mine, url
        assert FOREIGN not in mine, url
        assert all(name not in nobodys for name in (STATION, SISTER, FOREIGN)), url


def test_a_request_that_went_on_is_seen_by_the_next_tier_with_its_patient_and_nothing_else(lite):
    """From the step on the other organisation sees the request and the patient; not the patient's neighbours, not the station."""
    office = fill(lite)
    office.hear(asked(901, (), 70, identity=who(77, name="Lò Thử Nghiệm Hàng Xóm")))
    with writing(lite) as tx:
        accounts.add(tx, HASHER, "bs.tren", PASSWORD, office.time.wall, name="BS. Tuyến Trên", role=Role.DOCTOR, organisation=ELSEWHERE,
                     second_needed=False)  # fmt: skip
    above = office.doctor("bs.tren")
    request, patient = f"/consults/{STATION}/900", f"/patients/{STATION}/{PATIENT}"
    assert [above.get(url).status_code for url in (request, patient)] == [404, 404]
    with writing(lite) as tx:
        tx.execute(
            rota_tables.consult_tier.insert().values(
                station=STATION, consult=900, step=1, tier=1, organisation=ELSEWHERE, at=office.time.wall
            )
        )
    assert [above.get(url).status_code for url in (request, patient)] == [200, 200]
    assert {one["consult"] for one in above.get("/consults.json").json["consults"] if one["station"] == STATION} == {900}
    for url in (f"/consults/{STATION}/901", f"/patients/{STATION}/77", f"/stations/{STATION}", f"/consults/{SISTER}/900"):
        assert above.get(url).status_code == 404, url


def test_moving_somebody_moves_what_they_see_at_the_next_login(office):
    """An open session ends with the move; afterwards the old organisation's stations do not exist."""
    office.hear(asked(900))
    doctor = office.doctor()
    assert doctor.get(f"/consults/{STATION}/900").status_code == 200
    with writing(office.engine) as tx:
        accounts.change(tx, "bs.thu", organisation=ELSEWHERE)
    assert doctor.get(f"/consults/{STATION}/900").status_code == 302
    assert office.doctor().get(f"/consults/{STATION}/900").status_code == 404


def test_walls_hold_in_both_databases(engine):
    """The clause for lists and the question for one address say the same on SQLite and PostgreSQL."""
    fill(engine)
    with reading(engine) as tx:
        everything = {(one.station, one.consult) for one in consults.unanswered(tx, true())}
        assert len(everything) == 3
        for state in ("lost", *map(str, Role)):
            account = accounts.get(tx, f"m.{state}")
            assert account is not None
            listed = {(one.station, one.consult) for one in consults.unanswered(tx, walls.requests(account))}
            single = {key for key in everything if walls.may_see(tx, account, key[0], number=key[1])}
            assert listed == single
            assert {name for name, _ in listed} == walls.stations(tx, account)
