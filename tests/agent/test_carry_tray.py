"""The carrier empties the tray: what nobody claimed in fifteen minutes goes up as nobody's, also without a line."""

import io
from collections.abc import Callable
from pathlib import Path

from appliance import journal
from appliance.agent.carry import TRAY_SECONDS, carrier, station_link
from appliance.contract.events import MeasurementUnassigned
from appliance.settings import load
from tests.store.station import settings_at, station_at


def test_the_carrier_sends_what_lay_in_the_tray_too_long(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """Not before its time, once after it, and the row waits for the line like any other."""
    station = station_at(tmp_path)
    settings_at(tmp_path, f"[broker]\nport = {free_port()}\n")
    settings = load([tmp_path / "tram.toml"])
    link = station_link(settings)
    try:
        loop = carrier(station.conn, settings, station.clock, journal.open("carry", io.StringIO()), link)
        station.observe(None)
        loop.turn(stirred=False)
        station.later(900)
        loop.turn(stirred=False)
        assert station.events(MeasurementUnassigned.KIND) == []
        for _ in range(3):
            station.later(TRAY_SECONDS)
            loop.turn(stirred=False)
        assert len(station.events(MeasurementUnassigned.KIND)) == 1
    finally:
        link.close()
        station.conn.close()
