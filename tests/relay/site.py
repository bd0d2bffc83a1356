"""A station and a bridge made by their own commands, and their programs as real processes, honest or sabotaged."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from appliance.agent.clock import Clock, boot_id
from appliance.contract.events import ConsultWithdrawn, Event
from appliance.contract.lanes import Lane
from appliance.contract.readings import Stamp
from appliance.database import Connection, transaction
from appliance.settings import Settings, load
from appliance.store.boots import seq_of
from appliance.store.opening import open_store
from appliance.store.outbox import append
from cloud_bridge.store.engine import open_engine
from tests import servers
from tests.conftest import ROOT

STATION, SHARD = "tram-0001", 7
MODULES = {"tram": "appliance.cli", "tram-bridge": "cloud_bridge.cli"}


class Site:
    """Both ends in one folder. `database` is the bridge's URL."""

    def __init__(self, folder: Path, port: int, database: str | None = None) -> None:
        self.folder = folder
        self.file = folder / "tram.toml"
        self.file.write_text(
            f'[station]\nid = "{STATION}"\nshard = {SHARD}\n[paths]\ndata = "data"\nrun = "run"\n'
            '[store]\nkey_file = "store.key"\nballast_mb = 0\n'
            f"[broker]\nport = {port}\n[link]\nmetered = false\n[bridge]\n"
            f'database = "{database or f"sqlite:///{folder}/bridge.db"}"\nkey_dir = "{folder}/keys"\nshards = [{SHARD}]\n'
            f'organisation = "Trung tâm Thử"\nconsole_secret_file = "{folder}/console.secret"\n',
            encoding="utf-8",
        )
        self.run("tram-bridge", "init", "--export", str(folder / "pins.json"))
        self.run("tram", "init", "--pin", str(folder / "pins.json"), "--export", str(folder / "station.json"))
        self.run("tram-bridge", "stations", "add", STATION, "--key", str(folder / "station.json"), "--name", "Trạm Thử")
        self.settings: Settings = load([self.file])
        self.conn: Connection = open_store(self.settings, {})
        self.engine: Engine = open_engine(self.settings.bridge.database)
        self.clock = Clock(seq_of(self.conn, boot_id(), 0))
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.said = 0

    def command(self, program: str, *words: str, bug: str = "") -> list[str]:
        """The command line of a program, sabotaged when a `bug` is named."""
        front = ["tests.saboteurs", bug, "--", program] if bug else [MODULES[program]]
        return [sys.executable, "-m", *front, "--config", str(self.file), *words]

    def run(self, program: str, *words: str, bug: str = "") -> dict[str, Any]:
        """One command to its end; its last JSON line."""
        done = subprocess.run(self.command(program, *words, bug=bug), capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        return found

    def start(self, program: str, *words: str, bug: str = "") -> subprocess.Popen[bytes]:
        """A program in the background; one of each kind at a time."""
        process = servers.start(self.command(program, *words, bug=bug), self.folder / f"{program}.log")
        self.running[program] = process
        return process

    def kill(self, program: str) -> None:
        """SIGKILL, and wait until it is gone."""
        servers.stop(self.running.pop(program), 9)

    def close(self) -> None:
        """End everything."""
        for program in list(self.running):
            self.kill(program)
        self.conn.close()
        self.engine.dispose()

    def record(self, lanes: Sequence[int] = (2,)) -> None:
        """Something happens in each of `lanes`."""
        for lane in lanes:
            self.said += 1
            now: Stamp = self.clock.stamp()
            with transaction(self.conn):
                append(self.conn, Event(now, "an", "test", ConsultWithdrawn(self.said, "x")), Lane(lane))

    def received(self) -> set[tuple[int, int]]:
        """(lane, seq) of what the station calls received."""
        return {(row[0], row[1]) for row in self.conn.execute("SELECT lane, seq FROM outbox WHERE state = 2").fetchall()}

    def waiting(self) -> int:
        """How much the bridge has not vouched for."""
        return int(self.conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0])

    def here(self) -> list[tuple[int, int, bytes]]:
        """(lane, seq, bytes) of every event in the bridge's database."""
        with self.engine.connect() as tx:
            return [(row[0], row[1], bytes(row[2])) for row in tx.execute(text("SELECT lane, seq, body FROM relay_event"))]

    def missing(self) -> set[tuple[int, int]]:
        """What the station calls received although the bridge does not have it."""
        return self.received() - {(lane, seq) for lane, seq, _ in self.here()}

    def doubled(self) -> int:
        """How many events the bridge has more than once."""
        bodies = [body for _, _, body in self.here()]
        return len(bodies) - len(set(bodies))
