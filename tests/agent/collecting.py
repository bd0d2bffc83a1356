"""A collector on a hand-turned clock, at one end of a cable whose other end is a simulated device."""

import io
import itertools
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance import journal
from appliance.agent.collect import Collector, Job, check
from appliance.contract.metrics import Metric
from appliance.devices.driver import Hid, Line
from appliance.devices.errors import DeviceError, PortAbsentError
from appliance.devices.port import Port
from appliance.devices.sim.script import Script, simulate
from appliance.store import measuring
from appliance.store.measuring import MeasurementRow
from tests.store.station import Station

TURN_S = 0.02
_NONCES = itertools.count()


class Cable:
    """A line to a simulated device that can be unplugged and plugged in again; the device goes on by itself."""

    def __init__(self, script: Script, *, rest_s: float | None = 0.0) -> None:
        self.script = script
        self.name = "/dev/tram/cable"
        self.simulated = False
        self.rest_s = rest_s
        self.wait_s: float | None = TURN_S
        self.plugged = True
        self.opened = 0
        self.sent = b""

    def open(self, path: str, line: Line | Hid) -> Port:
        """As `open_port`."""
        assert path == self.name
        assert isinstance(line, Hid) or line.baud
        if not self.plugged:
            raise PortAbsentError(path, "no such port")
        self.opened += 1
        return self

    def fileno(self) -> int | None:
        """Nothing to wait on."""
        return None

    def read(self, now_ns: int) -> bytes:
        """What the device says, while the cable is in."""
        data = self.script.output(now_ns)
        if not self.plugged:
            raise DeviceError(self.name, "the line is gone (unplugged)")
        return data

    def write(self, data: bytes, now_ns: int) -> None:
        """To the device."""
        if not self.plugged:
            raise DeviceError(self.name, "the line is gone (unplugged)")
        self.sent += data
        self.script.feed(data, now_ns)

    def close(self) -> None:
        """The cable stays where it is."""


class Room:
    """A station, one device on a cable, and its collector."""

    def __init__(self, station: Station, driver: str, *, device: str = "cuff", seed: int = 3, **options: str) -> None:
        self.station = station
        self.cable = Cable(simulate(driver, seed=seed, options=options))
        self.job = Job(device, driver, self.cable.name, title="Máy thử", patient_types=("adult", "neonate"))
        self.journal = io.StringIO()
        self.run_dir = station.settings.paths.run
        self.conn = station.second()
        """The collector's own connection: the test opens sessions on another one, as the kiosk does."""
        self.kiosks: list[Kiosk] = []
        self.uids: set[int] | None = None
        self.collector: Collector = None

    def begin(self, **changes: Any) -> "Room":
        """Start the collector, `changes` to its job."""
        self.job = replace(self.job, **changes)
        self.collector = Collector(
            self.job,
            which=check(self.job, "test"),
            conn=self.conn,
            clock=self.station.clock,
            run=self.run_dir,
            log=journal.open(f"collect-{id(self)}", self.journal),
            opens=self.cable.open,
            allowed=lambda uid, _gid: self.uids is None or uid in self.uids,
        )
        return self

    def run(self, seconds: float) -> "Room":
        """Turn collector and clock."""
        for _ in range(round(seconds / TURN_S)):
            self.collector.turn()
            self.station.hand.seconds += TURN_S
        return self

    def until_ready(self) -> "Room":
        """Turn until the device is known and at rest."""
        for _ in range(200):
            self.run(TURN_S)
            if self.live()["state"] == "ready":
                return self
        raise AssertionError(f"not ready: {self.live()}")

    def finger(self, where: str) -> "Room":
        """``in`` or ``out``."""
        assert self.cable.script.order(f"finger {where}", self.station.clock.boottime_ns())
        return self

    def live(self) -> dict[str, Any]:
        """The live file."""
        found: dict[str, Any] = json.loads((self.run_dir / f"{self.job.device}.live").read_text())
        return found

    def steps(self) -> list[dict[str, Any]]:
        """The steps in the journal."""
        return [line for line in map(json.loads, self.journal.getvalue().splitlines()) if "step" in line]

    def rows(self) -> list[MeasurementRow]:
        """Every measurement in the store, oldest first."""
        ids = [row[0] for row in self.station.conn.execute("SELECT id FROM measurement ORDER BY id").fetchall()]
        return [row for row in (measuring.measurement(self.station.conn, each) for each in ids) if row is not None]

    @contextmanager
    def line(self) -> Iterator["Kiosk"]:
        """A kiosk's end of the command socket."""
        kiosk = Kiosk(self)
        try:
            yield kiosk
        finally:
            kiosk.close()

    def close(self) -> None:
        """End the collector."""
        for each in self.kiosks:
            each.close()
        self.collector.close()
        self.conn.close()


class Kiosk:
    """The other end of the command socket."""

    def __init__(self, room: Room) -> None:
        self._room = room
        room.kiosks.append(self)  # held open until the room is closed: a line that closes aborts
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.connect(str(room.run_dir / f"{room.job.device}.sock"))
        self._socket.setblocking(False)

    def say(self, packet: bytes) -> dict[str, Any] | None:
        """Send a packet, turn, and read the answer; None when the line was closed instead."""
        try:
            self._socket.send(packet)
        except BrokenPipeError:
            return None
        self._room.run(TURN_S * 2)
        try:
            answer = self._socket.recv(4096)
        except ConnectionResetError:
            return None
        return json.loads(answer) if answer else None

    def start(self, session: int, *, patient_type: str = "adult", within: float = 3.0, nonce: str = "") -> dict[str, Any] | None:
        """A person's press."""
        deadline = self._room.station.clock.boottime_ns() + int(within * 1e9)
        command = {
            "do": "start", "session": session, "patient_type": patient_type, "deadline_boottime_ns": deadline,
            "nonce": nonce or f"nonce-{next(_NONCES):06d}",
        }  # fmt: skip
        return self.say(json.dumps(command).encode())

    def abort(self) -> None:
        """Stop at once."""
        self._socket.send(b'{"do": "abort"}')

    def closed(self) -> bool:
        """True when the collector has closed the line."""
        try:
            return self._socket.recv(4096) == b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def numbers(row: MeasurementRow) -> dict[Metric, int | None]:
    """The values of a measurement."""
    return {each.metric: each.value for each in row.reading.numerics}


def private_dirty_kib(pid: int) -> int:
    """Memory that belongs to a process alone and would have to be written out, in KiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def cpu_s(pid: int) -> float:
    """Processor seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
