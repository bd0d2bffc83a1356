"""The collector as a process on a real pseudo-terminal: the real recording, signals, kills, memory, processor."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.agent.clock import Clock, boot_id
from appliance.contract.events import ObservationRecorded
from appliance.contract.metrics import Metric, Status
from appliance.devices.registry import ROWS
from appliance.devices.sim.script import simulate
from appliance.devices.sim.suntech_nibp import SuntechNibp as Module
from appliance.store import measuring
from appliance.store.boots import seq_of
from appliance.store.measuring import MeasurementRow, State
from tests.agent.collecting import cpu_s, numbers, private_dirty_kib
from tests.conftest import ROOT
from tests.devices.ptys import device_on_pty, recording_on_pty
from tests.polling import until
from tests.store.station import Station, station_at

FORBIDDEN = ("flask", "waitress", "sqlite_utils", "paho", "jinja2", "werkzeug", "sqlite3", "asyncio")
"""What a collector must never load."""
MOST_KIB = 20 * 1024


class Process:
    """A running collector."""

    def __init__(self, station: Station, folder: Path, device: str, session: int | None) -> None:
        self.run_dir = station.settings.paths.run
        self.device = device
        self._err = (folder / "journal").open("a+")
        command = [sys.executable, "-m", "tests.agent.run_collect", str(folder / "tram.toml"), device, *([str(session)] if session else [])]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=self._err, text=True)
        until(lambda: self.live() is not None, what=f"the live file\n{self.journal()}")

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    def live(self) -> dict[str, Any] | None:
        """The live file."""
        try:
            found: dict[str, Any] = json.loads((self.run_dir / f"{self.device}.live").read_text())
        except FileNotFoundError:
            return None
        return found

    def is_in(self, *states: str) -> bool:
        """Whether the live file says one of these states."""
        live = self.live()
        return live is not None and live["state"] in states

    def journal(self) -> str:
        """All it has said."""
        self._err.flush()
        return Path(self._err.name).read_text()

    def stop(self) -> list[str]:
        """SIGTERM; the modules it had loaded."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, self.journal()
        return list(json.loads(out))

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.communicate(timeout=60)

    def close(self) -> None:
        """However the test ended."""
        if self.process.poll() is None:
            self.kill()
        self._err.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where everything lies."""
    return tmp_path


@pytest.fixture
def station(folder: Path) -> Iterator[Station]:
    """A station on the real clock with an oximeter and a cuff on terminals in its folder."""
    extra = "".join(
        f'[devices.{name}]\ndriver = "{driver}"\nport = "{folder / name}.tty"\nsimulated = {simulated}\n'
        for name, driver, simulated in (
            ("oximeter", "contec-cms50", "false"), ("cuff", "suntech-nibp", "true"), ("bench", "suntech-nibp-unasked", "true"),
        )
    )  # fmt: skip
    made = station_at(folder, extra)
    made.clock = Clock(seq_of(made.conn, boot_id(), time.time_ns() // 100_000_000))
    yield made
    made.conn.close()


@pytest.fixture
def collect(station: Station, folder: Path) -> Iterator[Callable[..., Process]]:
    """A function that starts a collector process; all are ended with the test."""
    running: list[Process] = []

    def start(device: str, session: int | None = None) -> Process:
        running.append(Process(station, folder, device, session))
        return running[-1]

    yield start
    for each in running:
        each.close()


def rows(station: Station) -> list[MeasurementRow]:
    """Every measurement in the store, oldest first."""
    ids = [row[0] for row in station.conn.execute("SELECT id FROM measurement ORDER BY id").fetchall()]
    return [row for row in (measuring.measurement(station.conn, each) for each in ids) if row is not None]


@contextmanager
def kiosk(process: Process) -> Iterator[socket.socket]:
    """A line to the command socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.settimeout(5)
        line.connect(str(process.run_dir / f"{process.device}.sock"))
        yield line


def press(line: socket.socket, station: Station, session: int) -> dict[str, Any]:
    """A person's press on *start*; the answer."""
    command = {
        "do": "start", "session": session, "patient_type": "adult", "deadline_boottime_ns": station.clock.boottime_ns() + 3 * 10**9,
        "nonce": os.urandom(8).hex(),
    }  # fmt: skip
    line.send(json.dumps(command).encode())
    answer: dict[str, Any] = json.loads(line.recv(4096))
    return answer


def test_the_real_recording_through_a_terminal(station: Station, folder: Path, collect: Callable[..., Process], captures: Path) -> None:
    """1.7 s of a real oximeter at wire speed: SpO2 99, pulse 60, early indication, recorded for its patient; the cut tail stays pending."""
    data = bytes.fromhex((captures / "contec_cms50e_live" / "data").read_text())
    patient = station.patient()
    session = station.session(patient, "oximeter")
    with recording_on_pty(data, folder / "oximeter.tty", pace=ROWS["contec-cms50"].pace):
        process = collect("oximeter", session)
        (row,) = until(lambda: rows(station), within=15, what="the measurement")
        until(lambda: rows(station)[0].state is State.RECORDED, what="the record")
        live = process.live()
        process.stop()
    assert row.patient == patient
    assert numbers(row) == {
        Metric.SPO2: 99, Metric.PULSE_RATE: 60, Metric.SPO2_LOW: 99, Metric.SPO2_HIGH: 99, Metric.PULSE_LOW: 60, Metric.PULSE_HIGH: 60,
        Metric.WINDOW: numbers(row)[Metric.WINDOW], Metric.USABLE: 100,
    }  # fmt: skip
    assert 15 <= (numbers(row)[Metric.WINDOW] or 0) <= 19
    assert row.reading.status == Status.EARLY_INDICATION
    (event,) = station.events(ObservationRecorded.KIND)
    assert isinstance(event.body, ObservationRecorded)
    assert (event.body.patient, event.body.reading) == (patient, row.reading)
    assert live is not None
    assert live["pending_bytes"] == 4
    assert live["bad_ratio"] == 0


def test_a_press_through_a_terminal(station: Station, folder: Path, collect: Callable[..., Process]) -> None:
    """Kiosk's socket, collector process, terminal, simulated cuff and back: a reading of test data in its session."""
    with device_on_pty(simulate("suntech-nibp", seed=2, options={"cycle": "2"}), folder / "cuff.tty"):
        process = collect("cuff")
        until(lambda: process.is_in("ready"), what="ready")
        session = station.session(station.patient(), "cuff")
        until(lambda: (process.live() or {})["session"] == session, what="the session in the live file")
        with kiosk(process) as line:
            assert press(line, station, session)["accepted"]
            (row,) = until(lambda: rows(station), what="the reading")
        assert (row.session, row.state) == (session, State.SETTLED)
        assert row.reading.status == Status.TEST_DATA
        process.stop()
    assert sorted(each.name for each in process.run_dir.iterdir() if "cuff" in each.name) == [".cuff.lock"]


@pytest.mark.parametrize("how", ["term", "kill", "kiosk"])
def test_whatever_ends_the_watch_empties_the_cuff(station: Station, folder: Path, collect: Callable[..., Process], how: str) -> None:
    """SIGTERM waits for the empty cuff; after SIGKILL the next collector empties it first; a kiosk that dies ends the cycle."""
    script = simulate("suntech-nibp", seed=2, options={"cycle": "60"})
    module = script.device
    assert isinstance(module, Module)
    with device_on_pty(script, folder / "cuff.tty"):
        process = collect("cuff")
        until(lambda: process.is_in("ready"), what="ready")
        session = station.session(station.patient(), "cuff")
        with kiosk(process) as line:
            assert press(line, station, session)["accepted"]
            until(lambda: module.pressure(station.clock.boottime_ns()) > 100, what="pressure")
            if how == "term":
                process.stop()
            elif how == "kill":
                process.kill()
                assert module.pressure(station.clock.boottime_ns()) > 50
                process = collect("cuff")
        if how != "term":
            until(lambda: process.is_in("ready"), what="ready again")
        assert module.pressure(station.clock.boottime_ns()) <= 10
        assert module.starts == 1
        assert rows(station) == []


def test_unplugged_and_plugged_in_again(station: Station, folder: Path, collect: Callable[..., Process]) -> None:
    """The terminal vanishes in mid-stream and comes back: lost, then the stream again; what was being measured is nobody's."""
    session = station.session(station.patient(), "oximeter")
    with device_on_pty(simulate("contec-cms50", seed=4, options={"finger": "in"}), folder / "oximeter.tty") as device:
        process = collect("oximeter")
        until(lambda: process.is_in("measuring"), what="a finger")
        since = time.monotonic()
        until(lambda: time.monotonic() - since > 1.5, every=0.1)
        device.order("unplug")
        until(lambda: process.is_in("lost"), what="lost")
        device.order("replug")
        until(lambda: process.is_in("measuring"), what="the stream again")
        row = until(lambda: rows(station), what="what was cut off")[0]
        assert (row.state, row.why) in ((State.UNASSIGNED, "reconnected"), (State.SETTLED, ""))
        assert row.reading.status & Status.EARLY_INDICATION
        assert row.session in (None, session)
        process.stop()


def test_what_a_collector_loads_and_weighs(station: Station, folder: Path, collect: Callable[..., Process]) -> None:
    """60 packages a second and a hundred committed readings: no Flask, no migrations, at most 20 MiB of its own, little processor."""
    with (
        device_on_pty(simulate("contec-cms50", seed=4, options={"finger": "in"}), folder / "oximeter.tty"),
        device_on_pty(simulate("suntech-nibp-unasked", seed=4, options={"unasked": "20"}), folder / "bench.tty"),
    ):
        station.session(station.patient(), "bench")
        stream, bench = collect("oximeter"), collect("bench")
        until(lambda: stream.is_in("measuring"), what="a finger")
        before, since = cpu_s(stream.pid), time.monotonic()
        until(lambda: len(rows(station)) >= 100, within=30, every=0.2, what="a hundred readings")
        share = (cpu_s(stream.pid) - before) / (time.monotonic() - since)
        weights = [private_dirty_kib(each.pid) for each in (stream, bench)]
        loaded = set(stream.stop()) | set(bench.stop())
    assert [name for name in loaded if name.partition(".")[0] in FORBIDDEN] == []
    assert max(weights) <= MOST_KIB, weights
    assert share < 0.1, f"{share:.1%} of a processor for one stream"
