"""A thin link: how much of it carries what matters, and how long a consult waits behind a photo.

Real programs at both ends (`tram carry`, mosquitto with mutual TLS 1.3, `tram-bridge carry`) in two network namespaces joined by
`bench.shaper`. Whether something has arrived is asked of the bridge's database: received means committed there.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text

from appliance.agent.clock import Clock, boot_id
from appliance.bench.counters import percentile
from appliance.bench.secure import certificates, openssl_environment
from appliance.bench.shaper import BRIDGE_ADDRESS, PROFILES, Shaper, Weather, thin_link
from appliance.contract.events import Department, Urgency
from appliance.database import Connection
from appliance.demo.broker import PLACES
from appliance.settings import load
from appliance.store import consults, patients, pictures
from appliance.store.boots import seq_of
from appliance.store.consults import ConsultDraft
from appliance.store.opening import open_store
from appliance.store.patients import PatientDraft
from cloud_bridge.store.engine import open_engine

STATION, SHARD = "tram-0001", 7
PHOTO_BYTES = 300_000
CONSULT_EVERY_S = 10.0
TURN_S = 0.02
_PORT = 8883
_CONF = """\
listener {port} 0.0.0.0
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
cafile {folder}/tls/ca.pem
certfile {folder}/tls/server.pem
keyfile {folder}/tls/server.key
require_certificate true
"""
_SETTINGS = """\
environment = "test"
[station]
id = "{station}"
shard = {shard}
[paths]
data = "data"
run = "run"
[store]
key_file = "store.key"
ballast_mb = 0
[broker]
host = "{host}"
port = {port}
tls = true
ca = "{folder}/tls/ca.pem"
cert = "{folder}/tls/client.pem"
key = "{folder}/tls/client.key"
[link]
metered = {metered}
[bridge]
database = "sqlite:///{folder}/bridge.db"
key_dir = "{folder}/keys"
shards = [{shard}]
console_secret_file = "{folder}/console.secret"
"""


@dataclass
class Ends:
    """Both ends on a thin link. `conn` is the station's store, `engine` the bridge's, `link` the shaper."""

    folder: Path
    link: Shaper
    conn: Connection
    engine: Any
    clock: Clock
    processes: dict[str, subprocess.Popen[bytes]]

    def start(self, name: str, side: str, command: list[str]) -> None:
        """Start a program in the namespace of a side."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.link.inside(side, command),
                stdout=log,
                stderr=log,
                cwd=Path.cwd() if name == "carry" else self.folder,
                start_new_session=True,
            )

    def arrived(self, lane: int) -> int:
        """Events of a lane that the bridge has committed."""
        return self.query("SELECT count(*) FROM relay_event WHERE lane = :lane", lane=lane)

    def query(self, statement: str, **values: Any) -> int:
        """A number from the bridge's database."""
        with self.engine.connect() as tx:
            return int(tx.execute(text(statement), values).scalar() or 0)

    def waiting(self) -> int:
        """What the bridge has not vouched for."""
        return int(self.conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0])

    def settled(self) -> int:
        """Bytes of the parcels that the bridge has vouched for."""
        return int(self.conn.execute("SELECT coalesce(sum(length(payload)), 0) FROM parcel WHERE state <> 0").fetchone()[0])

    def until(self, done: Callable[[], bool], within: float, what: str) -> float:
        """Seconds until `done()`; TimeoutError says what was waited for."""
        began = time.monotonic()
        while not done():
            if time.monotonic() - began > within:
                raise TimeoutError(f"not within {within:g} s: {what}")
            time.sleep(TURN_S)
        return time.monotonic() - began

    def patient(self) -> int:
        """An invented patient."""
        draft = PatientDraft("Thử Nghiệm Một", "1961")
        return patients.register(self.conn, draft, patient=5, staff="an", now=self.clock.stamp()).patient

    def ask(self, number: int, urgency: Urgency = Urgency.EMERGENCY) -> None:
        """A request is sent."""
        draft = ConsultDraft(5, urgency, Department.INTERNAL, "Đau ngực từ sáng, vã mồ hôi, huyết áp đo hai lần")
        consults.request(self.conn, draft, consult=number, staff="an", now=self.clock.stamp())

    def photo(self, consult: int, chance: random.Random, size: int = PHOTO_BYTES) -> None:
        """A picture of so many bytes for a request."""
        full, small = (b"\xff\xd8\xff\xe0" + chance.randbytes(count) for count in (size, 12_000))
        pictures.attach(self.conn, consult, patient=5, full=full, preview=small, source="file", staff="an", now=self.clock.stamp())

    def consult_latency(self, number: int, within: float = 120.0) -> float:
        """A request is raised; seconds until the bridge has committed it."""
        before = self.query("SELECT count(*) FROM consult")
        began = time.monotonic()
        self.ask(number)
        self.until(lambda: self.query("SELECT count(*) FROM consult") > before, within, f"request {number}")
        return time.monotonic() - began


@contextmanager
def ends(
    weather: Weather,
    *,
    metered: bool,
    before: Callable[[Connection, Clock], None] = lambda _conn, _clock: None,
    carrier: Sequence[str] = (),
) -> Iterator[Ends]:
    """Both ends, the link up when this is entered as `weather` says; `before` fills the station's store before it first speaks.

    `carrier` is another command line for the station's carrier, `--config` and what follows excepted.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tram-thin-")))
        folder.chmod(0o755)
        (folder / "tls").mkdir()
        certificates(folder / "tls", BRIDGE_ADDRESS)
        file = folder / "tram.toml"
        said = {"station": STATION, "shard": SHARD, "host": BRIDGE_ADDRESS, "port": _PORT, "folder": folder, "metered": json.dumps(metered)}
        file.write_text(_SETTINGS.format(**said), encoding="utf-8")
        _set_up(folder)
        settings = load([file])
        conn = stack.enter_context(contextlib.closing(open_store(settings, {})))
        clock = Clock(seq_of(conn, boot_id(), 0))
        before(conn, clock)
        engine = open_engine(settings.bridge.database)
        stack.callback(engine.dispose)
        link = stack.enter_context(thin_link(weather))
        here = Ends(folder, link, conn, engine, clock, {})
        stack.callback(_end, here)
        _start(here, carrier or [sys.executable, "-m", "appliance.cli"])
        yield here


def _program(module: str) -> list[str]:
    return [sys.executable, "-m", module, "--config", "tram.toml"]


def _set_up(folder: Path) -> None:
    box, cloud = _program("appliance.cli"), _program("cloud_bridge.cli")
    for command in (
        [*cloud, "init", "--export", "pins.json"],
        [*box, "init", "--pin", "pins.json", "--export", "station.json"],
        [*cloud, "stations", "add", STATION, "--key", "station.json", "--name", "Trạm Thử"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _start(here: Ends, carrier: Sequence[str]) -> None:
    mosquitto = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:{PLACES}")
    if mosquitto is None:
        raise RuntimeError("this bench needs mosquitto (apt-get install mosquitto)")
    (here.folder / "mosquitto.conf").write_text(_CONF.format(port=_PORT, folder=here.folder) + "user root\n")
    given = [f"{name}={value}" for name, value in openssl_environment(here.folder).items()]
    here.start("broker", "bridge", ["env", *given, mosquitto, "-c", "mosquitto.conf"])
    here.start("bridge", "bridge", [*_program("cloud_bridge.cli"), "carry"])
    here.start("carry", "station", [*carrier, "--config", str(here.folder / "tram.toml"), "carry"])


def _end(here: Ends) -> None:
    for process in here.processes.values():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


# --- the measurements -------------------------------------------------------------------------------------------------------------------


def run(minutes: float = 4.0) -> dict[str, Any]:
    """A photo on its way and consults raised meanwhile, on each profile; `minutes` on the two of 20 kbit/s, half a minute elsewhere."""
    profiles = {"clean": Weather(), **PROFILES}
    long = {"clean", "worst"}
    found = {name: behind_a_photo(one, minutes * 60 if name in long else 30.0) for name, one in profiles.items()}
    return {"bench": "thin", "link": "20 kbit/s, 600 ms round trip; worst: 5 % loss", "profiles": found}


def behind_a_photo(weather: Weather, seconds: float, carrier: Sequence[str] = ()) -> dict[str, Any]:
    """Photos without end on the lowest lane and a request every ten seconds: seconds until the bridge has it, and the goodput.

    `payload_goodput`: bytes of parcels the bridge has vouched for, as a share of what the link could carry; its limit with
    1,200 B messages is 0.926 without TLS (dataplane.md §4); with loss the promise is about `payload_of_wire_bytes`, repeats included.
    """
    chance = random.Random(1)  # noqa: S311 - bytes of invented pictures
    with ends(replace(weather), metered=True, carrier=carrier) as here:
        here.patient()
        here.ask(1)
        here.until(lambda: here.query("SELECT count(*) FROM consult") > 0, 120, "the first request")
        here.photo(1, chance, max(PHOTO_BYTES, int(weather.rate / 8 * (seconds + 60))))
        parts = here.query("SELECT coalesce(sum(length(body)), 0) FROM relay_event")
        here.until(lambda: here.query("SELECT coalesce(sum(length(body)), 0) FROM relay_event") > parts + 20_000, 240, "the photo to flow")
        began, before = time.monotonic(), here.query("SELECT coalesce(sum(length(body)), 0) FROM relay_event")
        settled, sent, waits, number = here.settled(), here.link.up_bytes, [], 2
        while time.monotonic() - began < seconds:
            time.sleep(CONSULT_EVERY_S * (0.5 + chance.random()))
            waits.append(here.consult_latency(number))
            number += 1
        took = time.monotonic() - began
        useful = here.query("SELECT coalesce(sum(length(body)), 0) FROM relay_event") - before
        return {
            "requests": len(waits),
            "consult_s": {
                name: round(percentile(waits, share), 2) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
            },
            "payload_goodput": round((here.settled() - settled) * 8 / took / weather.rate, 3),
            "event_goodput": round(useful * 8 / took / weather.rate, 3),
            "payload_of_wire_bytes": round((here.settled() - settled) / max(1, here.link.up_bytes - sent), 3),
            "seconds": round(took),
        }
