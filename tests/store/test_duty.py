"""Who is on duty as the station was told: by version, without a link, honest about its age."""

import itertools

import pytest

from appliance.contract.events import ConsultEscalated, Department, Duty, RotaPublished
from appliance.store import duty
from appliance.store.duty import WentOn
from tests.store.station import Station

HOUR = 36_000
DAY = 24 * HOUR


def rota(station: Station, version: int, days: int = 8, name: str = "BS. Thử Một", offset: int = 0) -> RotaPublished:
    """Somebody for internal medicine from now on, and a surgeon for the first hour."""
    start = station.now.wall - HOUR + offset
    shifts = (
        Duty(Department.INTERNAL, 1, start, start + days * DAY, name, "0900 000 001"),
        Duty(Department.SURGERY, 1, start, start + 2 * HOUR, "BS. Thử Dao", "0900 000 002"),
    )
    return RotaPublished(version, start, start + days * DAY, shifts)


def names(station: Station) -> list[str]:
    """Who is on duty now."""
    return [one.name for one in duty.roster(station.conn, station.now.wall).people]


def test_the_station_knows_who_is_on_duty_without_a_link(station: Station) -> None:
    """By department, with number and end; a shift that ends goes by itself, also after a restart."""
    station.arrive(rota(station, 5))
    found = duty.roster(station.conn, station.now.wall)
    assert [(one.name, one.phone) for one in found.people] == [("BS. Thử Một", "0900 000 001"), ("BS. Thử Dao", "0900 000 002")]
    assert found.valid
    station.power_cut()
    station.later(2 * 3600)
    assert names(station) == ["BS. Thử Một"]


def test_of_a_department_without_anybody_somebody_else_is_named(station: Station) -> None:
    """The department's, else the general one's, else whoever is there."""
    station.arrive(rota(station, 5))
    found = duty.roster(station.conn, station.now.wall)
    assert [one.name for one in found.of(Department.SURGERY)] == ["BS. Thử Dao"]
    assert [one.name for one in found.of(Department.PAEDIATRICS)] == ["BS. Thử Một", "BS. Thử Dao"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_higher_version_holds_in_whatever_order_they_arrive(station: Station, order: tuple[int, ...]) -> None:
    """Three lists of the same hours, each twice."""
    lists = [rota(station, 10 + number, name=f"BS. Thử {number}") for number in range(3)]
    station.arrive(*(lists[number] for number in order), *(lists[number] for number in order))
    assert names(station) == ["BS. Thử 2", "BS. Thử Dao"]
    assert station.count("rota") == 1


def test_a_shorter_later_list_leaves_what_reaches_further(station: Station) -> None:
    """The new one holds for its hours, the old one for those after."""
    station.arrive(rota(station, 1, days=8), rota(station, 2, days=1, name="BS. Thử Hai"))
    assert "BS. Thử Hai" in names(station)
    station.later(86_400)
    assert names(station) == ["BS. Thử Một"]


def test_a_list_that_has_run_out_names_nobody_and_says_so(station: Station) -> None:
    """The station knows when it was sent and when it ended, and claims nothing."""
    station.arrive(rota(station, 5, days=1))
    sent = station.now.wall
    station.later(86_400)
    found = duty.roster(station.conn, station.now.wall)
    assert (found.people, found.valid, found.sent, found.expires) == ((), False, sent, sent - HOUR + DAY)
    assert duty.roster(station.conn, 0).people == ()


def test_a_station_that_was_never_told_knows_nothing(station: Station) -> None:
    """No list, no claim."""
    assert duty.roster(station.conn, station.now.wall) == duty.Roster()


def test_a_request_that_goes_on_is_noted_once_a_tier(station: Station) -> None:
    """Told twice, noted once; in order."""
    station.arrive(ConsultEscalated(900, 2, "Bệnh viện tỉnh Thử"), ConsultEscalated(900, 2, "Bệnh viện tỉnh Thử"))
    first = station.now.wall
    station.later(600)
    station.arrive(ConsultEscalated(900, 3, "Bệnh viện trung ương Thử"))
    assert duty.went_on(station.conn, 900) == [
        WentOn(2, "Bệnh viện tỉnh Thử", first),
        WentOn(3, "Bệnh viện trung ương Thử", station.now.wall),
    ]
