"""The head of the audit log on its way up: when something was added, not more often than every ten minutes, and never in one long go."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance import journal
from appliance.agent import carry
from appliance.agent.carry import AUDIT_SECONDS, TRAY_SECONDS, carrier, station_link
from appliance.contract.events import AuditHead
from appliance.database import transaction
from appliance.settings import load
from appliance.store import audit
from tests.store.station import Station, settings_at, station_at


@pytest.fixture
def made(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[tuple[Station, carry.Carrier]]:
    """A station and its carrier's loop; no broker is there."""
    station = station_at(tmp_path)
    settings_at(tmp_path, f"[broker]\nport = {free_port()}\n")
    settings = load([tmp_path / "tram.toml"])
    loop = carrier(station.conn, settings, station.clock, journal.open("carry", io.StringIO()), station_link(settings))
    yield station, loop
    loop.pump.link.close("closed")
    station.conn.close()


def counts(station: Station) -> list[int]:
    """The entries whose heads were queued."""
    return [one.body.count for one in station.events(AuditHead.KIND) if isinstance(one.body, AuditHead)]


def test_the_head_goes_up_when_something_was_added_and_not_too_often(made: tuple[Station, carry.Carrier]) -> None:
    """At once, then every ten minutes while there is something new; a day without anybody costs nothing."""
    station, loop = made
    loop.turn(stirred=True)
    assert counts(station) == []
    audit.note(station.conn, actor="an", action="patient.view", now=station.later(TRAY_SECONDS + 1), patient=1)
    loop.turn(stirred=True)
    assert counts(station) == [1]
    for _ in range(10):
        audit.note(station.conn, actor="an", action="patient.view", now=station.later(AUDIT_SECONDS / 11), patient=1)
        loop.turn(stirred=True)
    assert counts(station) == [1]
    station.later(AUDIT_SECONDS / 5)
    loop.turn(stirred=True)
    assert counts(station) == [1, 11]
    station.later(86_400)
    loop.turn(stirred=True)
    assert counts(station) == [1, 11]


def test_a_long_log_does_not_hold_up_the_carrier(made: tuple[Station, carry.Carrier]) -> None:
    """A slice each turn; the head comes when the whole log has been reckoned."""
    station, loop = made
    with transaction(station.conn):
        for number in range(2 * audit.SLICE + 10):
            audit.note(station.conn, actor="an", action="patient.view", now=station.now, patient=number)
    turns = 0
    while not counts(station):
        loop.turn(stirred=True)
        turns += 1
        assert turns < 20
    assert turns == 3
    assert counts(station) == [2 * audit.SLICE + 10]
