"""A pulse wave goes to the doctor when a person ticks it, with the reading it belongs to, and never by itself."""

from appliance.contract.codec import read_event
from appliance.contract.events import ConsultStrip
from appliance.contract.strips import Strip, write
from appliance.store import strips
from tests.kiosk.station import Station

WAVE = Strip(60, 8, tuple(abs(40 - at % 80) for at in range(1800)))
SECONDS = Strip(1, 9, (98,) * 30)


def saved(station: Station, wave: bool = True) -> int:
    """A saved oximeter reading of the first patient, with its wave in the run directory; its measurement."""
    window = station.window()
    session = window.open(station.first)
    measurement = station.measure("oxi", session)
    window.post(f"/sessions/{session}/save", measurement=str(measurement), patient=str(station.first))
    if wave:
        (key,) = station.conn.execute("SELECT key FROM measurement WHERE id = ?", (measurement,)).fetchone()
        strips.keep(station.settings.paths.run, bytes(key), WAVE, SECONDS, SECONDS)
    return measurement


def sent(station: Station, measurement: int, **ticked: str) -> list[ConsultStrip]:
    """Ask a doctor, with these boxes ticked; the strips in the outbox."""
    window = station.window()
    window.confirm(station.first)
    window.post(f"/patients/{station.first}/ask", complaint="Khó thở", urgency="routine", department="general")
    window.post(f"/patients/{station.first}/ask", readings="1", **{f"reading_{measurement}": "1"}, **ticked)
    page = window.get(f"/patients/{station.first}/ask/review").text
    assert ("kèm sóng mạch" in page) == bool(ticked)
    number = page.split('name="consult" value="')[1].split('"')[0]
    window.post(f"/patients/{station.first}/ask/send", consult=number, emergency="1")
    rows = station.conn.execute("SELECT body FROM outbox WHERE kind = ?", (ConsultStrip.KIND,)).fetchall()
    return [read_event(bytes(row[0])).body for row in rows]


def test_a_ticked_wave_goes_with_the_request(station: Station) -> None:
    """One event, the reading's key, the bytes as they lay there."""
    measurement = saved(station)
    (strip,) = sent(station, measurement, **{f"wave_{measurement}": "1"})
    assert (strip.wave, strip.spo2) == (write(WAVE), write(SECONDS))
    assert strip.key == bytes(station.conn.execute("SELECT key FROM measurement WHERE id = ?", (measurement,)).fetchone()[0])


def test_nothing_goes_that_nobody_ticked(station: Station) -> None:
    """The wave is offered beside its reading, and left."""
    measurement = saved(station)
    assert f'name="wave_{measurement}"' in station.window().get(f"/patients/{station.first}/ask?part=readings").text
    assert sent(station, measurement) == []


def test_a_wave_that_is_gone_is_not_offered(station: Station) -> None:
    """After the box was switched off there is only the reading."""
    saved(station, wave=False)
    assert "wave_" not in station.window().get(f"/patients/{station.first}/ask?part=readings").text
