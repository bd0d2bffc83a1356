"""A bridge on this machine as a guest sees it: authority, door, broker with walls, carrier, made with the commands people use."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import func, select

from cloud_bridge import ca
from cloud_bridge.store import tables
from cloud_bridge.store.engine import open_engine, reading
from cloud_bridge.topicwalls import CARRIER
from tests import servers
from tests.enrolling import PASSPHRASE, bridge_settings, walled
from tests.polling import until

HOST = "10.0.2.2"
"""This machine's loopback as QEMU's guests see it."""
MQTT, DOOR = 8883, 8443
"""The ports a station's allow-list opens."""


class Bridge:
    """Everything between entering and leaving; its folder goes with it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tb", dir="/var/tmp"))
        self.running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for port in (MQTT, DOOR):
            assert not servers.listens(port), f"port {port} of this machine is taken"
        self._settings()
        self.run("init")
        self.run("ca", "root", "--to", "root", "--passphrase-file", "-", said=PASSPHRASE)
        self.run("ca", "init", "--root", "root", "--passphrase-file", "-", said=PASSPHRASE)
        self.run("ca", "server", HOST, "--to", "door", "--stem", "door")
        self.run("ca", "member", CARRIER, "--to", "carrier")
        self.run("ca", "member", "tram-admin", "--to", "admin")
        self.broker, self.walls = self._broker()
        self.broker.start()
        door, carrier = self._start("door"), self._start("carry")
        until(lambda: "open" in door.read_text(), 120, what="the door")
        until(lambda: "line up" in carrier.read_text(), 120, what="the carrier's line")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for one in self.running:
            servers.stop(one, signal.SIGTERM)
        self.broker.stop()
        shutil.rmtree(self.broker.place)
        shutil.rmtree(self.walls)
        shutil.rmtree(self.folder)

    def _settings(self) -> None:
        (self.folder / "bridge.toml").write_text(bridge_settings(self.folder, (HOST, DOOR), MQTT))

    def _broker(self) -> tuple[servers.Broker, Path]:
        """Mosquitto with certificates both ways, under the name the guest knows it by."""
        return walled(ca.load(self.folder / "keys"), (), name=HOST, port=MQTT)

    def _command(self, *words: str) -> list[str]:
        start = "import sys; sys.argv[0] = 'tram-bridge'; from cloud_bridge.cli import main; sys.exit(main())"
        return [sys.executable, "-c", start, "--config", str(self.folder / "bridge.toml"), *words]

    def _start(self, *words: str) -> Path:
        log = self.folder / f"{words[0]}.log"
        log.touch()
        self.running.append(servers.start(servers.as_person(servers.Person("", None, None), self._command(*words)), log))
        return log

    def run(self, *words: str, said: str = "") -> list[str]:
        """One command of tram-bridge; its lines."""
        done = subprocess.run(self._command(*words), input=said, capture_output=True, text=True, cwd=self.folder, timeout=300, check=False)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.splitlines()

    def paper(self, station: str) -> str:
        """The 24 letters of a new paper."""
        lines = self.run("stations", "token", station, "--technician", "KTV. Thử", "--shard", "7")
        return next(line for line in lines if line.count("-") == 5 and len(line) == 29)

    def log(self, station: str) -> str:
        """What the bridge wrote down about a station's enrolment."""
        return " ".join(json.loads(line)["detail"] for line in self.run("stations", "log", station))

    def heard(self, station: str) -> bool:
        """Whether the station has spoken since its enrolment."""
        return any(one["station"] == station and one["heard"] for one in map(json.loads, self.run("fleet", "--json")))

    def observations(self) -> int:
        """How many readings have arrived."""
        engine = open_engine(f"sqlite:///{self.folder}/bridge.db")
        try:
            with reading(engine) as tx:
                return int(tx.execute(select(func.count()).select_from(tables.observation)).scalar_one())
        finally:
            engine.dispose()
