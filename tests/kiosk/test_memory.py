"""The kiosk as a process of its own: what it keeps in memory after a thousand readings, and what it never loads."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.contract.ids import short_of
from appliance.contract.metrics import Metric
from appliance.contract.readings import Numeric, Reading, ReadingKind, Stamp
from appliance.demo.browser import Browser, Page
from appliance.store import measuring
from tests.agent.collecting import private_dirty_kib
from tests.kiosk.station import NURSE, PINS, Station
from tests.polling import until
from tests.servers import free_port

MOST_KIB = 35 * 1024
READINGS = 1000
BATCH = 50
"""Readings saved in one session: a session lasts ten minutes."""


@pytest.fixture
def process(station: Station) -> Iterator[tuple[int, str]]:
    """``tram kiosk`` on the station's store: its process id and its address."""
    port = free_port()
    file = station.settings.paths.data.parent / "tram.toml"
    command = [sys.executable, "-m", "appliance.cli", "--config", str(file), "kiosk", "--port", str(port)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _answers(address), 30, what="the kiosk to answer")
        yield running.pid, address
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(60)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def now() -> Stamp:
    """The moment of the call, by the clock the process uses too."""
    from appliance.agent.clock import Clock

    return Clock(1).stamp()


@pytest.mark.slow
def test_a_thousand_readings_leave_no_more_than_35_mib(station: Station, process: tuple[int, str]) -> None:
    """Each reading is settled, looked at, and saved through the page; then the private memory is within its budget."""
    pid, address = process
    nurse = Browser(address)
    sign_in(nurse)
    for first in range(0, READINGS, BATCH):
        page = nurse.get(f"/patients/{station.first}/confirm?device=oxi")
        page = nurse.send(page, page.form(action="/confirm"), id_name="1", id_birth="1")
        session = int(page.url.rsplit("/", 1)[1])
        for number in range(first, first + BATCH):
            page = settle_and_save(station, nurse, session, number)
        for path in ("/home", f"/patients/{station.first}", f"/patients/{station.first}/ask", "/tray", "/consults", "/patients"):
            nurse.get(path)
        page = nurse.get(f"/sessions/{session}")
        nurse.send(page, page.form(action="/end"))
    assert station.count("SELECT count(*) FROM observation") == READINGS
    used = private_dirty_kib(pid)
    print(f"private memory of the kiosk after {READINGS} readings: {used} KiB")
    assert used <= MOST_KIB


def sign_in(nurse: Browser) -> None:
    """A name and its PIN."""
    page = nurse.get("/")
    page = nurse.send(page, page.form(action="/staff"), f"staff={NURSE}")
    nurse.send(page, page.form(action="/pin"), pin=PINS[NURSE])


def settle_and_save(station: Station, nurse: Browser, session: int, number: int) -> Page:
    """A new reading settles in the session; the page asks, is drawn anew, and *Lưu* is pressed."""
    stamp = now()
    numerics = (Numeric(Metric.SPO2, 90 + number % 10), Numeric(Metric.PULSE_RATE, 40 + number % 150))
    reading = Reading(ReadingKind.SPO2, short_of("oxi"), numerics, stamp, ordinal=number)
    done = measuring.observe(station.conn, reading, device="oxi", began=session, now=stamp, raw=b"")
    assert done.state == "settled", done
    heard = nurse.data(f"/live/oxi.json?session={session}")
    assert heard["measurement"] == done.measurement
    page = nurse.get(f"/sessions/{session}")
    return nurse.send(page, page.form(action="/save"))


def test_the_process_loads_neither_migrations_nor_a_foreign_sqlite(process: tuple[int, str]) -> None:
    """No sqlite_utils, no system SQLite, no serial port, no MQTT: what is not there cannot be opened by mistake."""
    pid, address = process
    Browser(address).get("/")
    maps = Path(f"/proc/{pid}/maps").read_text()
    for library in ("lib-dynload/_sqlite3", "libsqlite3", "termios"):
        assert library not in maps, library
    assert "sqlcipher3" in maps


def test_a_kiosk_that_is_killed_comes_back_to_the_choice_of_staff(station: Station, process: tuple[int, str]) -> None:
    """A window of before is led to the first page; the measuring session of before has ended."""
    pid, address = process
    nurse = Browser(address)
    sign_in(nurse)
    page = nurse.get(f"/patients/{station.first}/confirm?device=oxi")
    page = nurse.send(page, page.form(action="/confirm"), id_name="1", id_birth="1")
    session = int(page.url.rsplit("/", 1)[1])
    os.kill(pid, signal.SIGKILL)
    until(lambda: not _answers(address), what="the kiosk to be gone")
    port = address.rsplit(":", 1)[1]
    file = station.settings.paths.data.parent / "tram.toml"
    again = subprocess.Popen(
        [sys.executable, "-m", "appliance.cli", "--config", str(file), "kiosk", "--port", port],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: _answers(address), 30, what="the kiosk to answer again")
        assert "Ai đang làm việc?" in nurse.get(f"/sessions/{session}").words()
        found = measuring.session(station.conn, session)
        assert found is not None
        assert found.why == "screen-closed"
    finally:
        again.send_signal(signal.SIGTERM)
        again.wait(60)
