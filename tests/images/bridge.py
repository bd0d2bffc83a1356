"""A bridge on this machine as a guest sees it: authority, door, broker with walls, carrier, made with the commands people use."""

import json
import os
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
from cloud_bridge.topicwalls import CARRIER, dynamic_security
from tests import servers
from tests.enrolling import PASSPHRASE, plugin
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
        until(lambda: "open" in door.read_text(), 30, what="the door")
        until(lambda: "line up" in carrier.read_text(), 30, what="the carrier's line")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for one in self.running:
            servers.stop(one, signal.SIGTERM)
        self.broker.stop()
        shutil.rmtree(self.broker.place)
        shutil.rmtree(self.walls)
        shutil.rmtree(self.folder)

    def _settings(self) -> None:
        (self.folder / "bridge.toml").write_text(f"""environment = "test"
[bridge]
database = "sqlite:///{self.folder}/bridge.db"
key_dir = "keys"
shards = [7]
console_secret_file = "console"
door_port = {DOOR}
door_cert = "door/door.pem"
door_key = "door/door.key"
deny_file = "revoked.pem"
admin_cert = "admin/tram-admin.pem"
admin_key = "admin/tram-admin.key"
[door]
host = "{HOST}"
port = {DOOR}
[broker]
host = "127.0.0.1"
port = {MQTT}
tls = true
ca = "carrier/ca.pem"
cert = "carrier/{CARRIER}.pem"
key = "carrier/{CARRIER}.key"
""")

    def _broker(self) -> tuple[servers.Broker, Path]:
        """Mosquitto with certificates both ways, under the name the guest knows it by."""
        authority, key = ca.load(self.folder / "keys"), ca.new_key()
        made = authority.server([HOST, "127.0.0.1"], key.public_key(), ca.now_utc())
        person = servers.unprivileged("mosquitto")
        place = servers.folder(person, "dx")
        ca.issue_files(place, "broker", made, key, authority)
        (place / "authorities.pem").write_bytes(ca.pem(authority.root, authority.issuing))
        (place / "rights.json").write_text(dynamic_security([]))
        (place / "revoked.pem").write_bytes(authority.revoked((), ca.now_utc()))
        for one in place.iterdir():
            if person.uid is not None:
                os.chown(one, person.uid, -1 if person.gid is None else person.gid)
        said = (
            f"cafile {place}/authorities.pem", f"certfile {place}/broker.pem", f"keyfile {place}/broker.key", "require_certificate true",
            "use_identity_as_username true", f"plugin {plugin()}", f"plugin_opt_config_file {place}/rights.json",
        )  # fmt: skip
        return servers.mosquitto("\n".join(said), port=MQTT, anonymous=False), place

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
        done = subprocess.run(self._command(*words), input=said, capture_output=True, text=True, cwd=self.folder, timeout=60, check=False)
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
