"""Draining a backlog: what stations sent during an outage stands in the broker's sessions; carriers take it while people ask for help.

Real mosquitto, real PostgreSQL, `tram-bridge carry` as processes, whole days of stations on four shards. Meanwhile one
station presses its emergency button four times a second, and the time until the bridge's receipt is measured. Once with
one carrier, once with two. ``TRAM_DRAIN_EVENTS`` is the size: 5400000 is the national day (14,000 stations); ``TRAM_DRAIN_ONLY=two``
leaves out the run with one carrier.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Engine, insert, text

from appliance.bench.counters import cpu_seconds, percentile
from appliance.bench.ingest import Packed, copy_rate, packed
from appliance.bench.postgres import postgres
from appliance.contract.errors import WireError
from appliance.contract.events import EmergencyPressed, Event
from appliance.contract.lanes import AT_ONCE, Lane
from appliance.contract.parcels import Header, write_parcel
from appliance.contract.readings import Stamp
from appliance.contract.receipts import open_receipt
from appliance.contract.topics import DOWN, UP, station_filter, topic
from appliance.demo import broker as brokers
from appliance.relay.line import Down, Message
from appliance.relay.link import Broker, MqttLink
from appliance.settings import Settings, load
from appliance.simulate import day
from cloud_bridge.source import Source, source_of
from cloud_bridge.store import keys
from cloud_bridge.store.engine import open_engine
from cloud_bridge.store.tables import station as station_table

EVENTS = 100_000
"""Some 260 stations' days, with either number of carriers: 90 seconds of a quiet machine with two cores."""
SHARDS = (0, 1, 2, 3)
DAYS = 12
"""Different days; the stations share them out among themselves."""
PRESS_S = 0.25
PROBE, PROBE_SHARD = "tram-probe", 0
LOOK_S = 0.15
"""How often the database is asked how far it is: the question costs a few milliseconds of the machine that is being measured."""
WITHIN_S = 4 * 3600.0


def run() -> dict[str, Any]:
    """Events a second and an emergency's receipt meanwhile, with one carrier and with two; CPU; COPY of the same rows."""
    wanted = int(os.environ.get("TRAM_DRAIN_EVENTS", EVENTS))
    days = [packed(day(seed)) for seed in range(1, DAYS + 1)]
    found: dict[str, Any] = {"bench": "drain", "load_before": round(os.getloadavg()[0], 1)}
    only = os.environ.get("TRAM_DRAIN_ONLY", "")
    for name, parts in (("one", [SHARDS]), ("two", [SHARDS[:2], SHARDS[2:]])):
        if only in {"", name}:
            found[name] = _drained(days, wanted, parts)
    if not only and "events_per_s" in found["two"]:
        found["two_to_one"] = round(found["two"]["events_per_s"] / found["one"]["events_per_s"], 2)
        found["two_to_one_at_most"] = round(_at_most(found["one"], os.cpu_count() or 1), 2)
    return found | {"cores": os.cpu_count(), "load_after": round(os.getloadavg()[0], 1)}


def _at_most(one: Mapping[str, Any], cores: int) -> float:
    """How much more two carriers could take by CPU alone: with one, a core is the limit; with two, all cores and PostgreSQL's share."""
    carrier, server = float(one["carrier_cpu_s_per_1000"]), float(one["postgresql_cpu_s_per_1000"])
    return min(2.0, cores * carrier / max(carrier + server, 1e-9))


@dataclass
class Place:
    """One run's bridge: its settings, its database, its broker's port, its receipt keys."""

    settings: Settings
    file: Path
    engine: Engine
    port: int
    server: int
    """PostgreSQL's first process."""
    keys: dict[int, Ed25519PublicKey] = field(default_factory=dict)


@contextmanager
def _bridge() -> Iterator[Place | None]:
    """A broker, a PostgreSQL and a bridge in it that nobody carries for yet; None where one of them is not installed."""
    with ExitStack() as stack:
        url = stack.enter_context(postgres())
        try:
            kind = brokers.find("mosquitto")
        except brokers.BrokerError:
            url = None
        if url is None:
            yield None
            return
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tram-drain-")))
        folder.chmod(0o755)
        port = brokers.free_ports(1)[0]
        program = brokers.program(kind, port, folder)
        running = _started(program.command, program.rights)
        stack.callback(_ended, running)
        _until(lambda: brokers.answers(port), "the broker")
        file = folder / "tram.toml"
        file.write_text(f'[broker]\nport = {port}\n[bridge]\ndatabase = "{url}"\nkey_dir = "{folder}/keys"\nshards = {list(SHARDS)}\n')
        subprocess.run(_command(file, "init"), check=True, stdout=subprocess.DEVNULL, timeout=120)
        settings, engine = load([file]), open_engine(url)
        stack.callback(engine.dispose)
        public = keys.publics(settings.bridge.key_dir, "receipt")
        with engine.connect() as tx:
            server = int(
                Path(f"/proc/{tx.execute(text('SELECT pg_backend_pid()')).scalar_one()}/stat").read_text().rsplit(")", 1)[1].split()[1]
            )
        yield Place(
            settings, file, engine, port, server, {number: Ed25519PublicKey.from_public_bytes(key) for number, key in public.items()}
        )


def _drained(days: Sequence[Packed], wanted: int, parts: Sequence[Sequence[int]]) -> dict[str, Any]:
    with _bridge() as place:
        if place is None:
            return {"missing": "mosquitto or PostgreSQL is not on this machine"}
        for part in parts:
            _seat(source_of(place.settings, part))
        began = time.monotonic()
        total, urgent, messages = _fill(place, days, wanted)
        filled = round(time.monotonic() - began, 1)
        carriers = [_started([*_command(place.file, "carry"), "--shards", ",".join(map(str, part))]) for part in parts]
        try:
            counted = {"carriers": len(parts), "events": total, "of_them_urgent": urgent, "messages": messages, "fill_s": filled}
            return counted | _watched(place, total, urgent, [one.pid for one in carriers])
        finally:
            for one in carriers:
                _ended(one)


def _seat(source: Source) -> None:
    """Leave the sessions of a carrier at the broker, as one that has gone away does."""
    source.open()

    def up() -> bool:
        source.wait(0.05)
        if any(isinstance(one, Down) for one in source.happenings()):
            source.open()
        return source.up

    _until(up, "the carrier's sessions")
    source.close()


def _fill(place: Place, days: Sequence[Packed], wanted: int) -> tuple[int, int, int]:
    """Stations' days into the sessions; how many events, how many of them urgent, and how many messages."""
    link = _linked(MqttLink(Broker("127.0.0.1", place.port), "tram-filler", ["v1/none"]))
    total = urgent = messages = 0
    names = [f"tram-{number:05d}" for number in range(-(-wanted // sum(len(events) for _, _, events in days[0])))]
    _register(place.engine, [(name, SHARDS[number % len(SHARDS)]) for number, name in enumerate(names)] + [(PROBE, PROBE_SHARD)])
    for number, (name, parcels) in enumerate(zip(names, islice(cycle(days), len(names)), strict=True)):
        for lane, first, events in parcels:
            payload = write_parcel(Header(name, number.to_bytes(8), int(lane), first, len(events)), events)
            while link.room <= 0 or messages % 64 == 0:
                link.wait(0.01)
                link.happenings()
                if link.room > 0:
                    break
            link.publish(topic(SHARDS[number % len(SHARDS)], name, UP, lane), payload)
            total, messages = total + len(events), messages + 1
            urgent += len(events) if lane in AT_ONCE else 0
    acked = time.monotonic() + 5.0
    while time.monotonic() < acked and link.wait(0.1) is not None and link.happenings():
        pass
    link.close()
    return total, urgent, messages


def _register(engine: Engine, stations: Sequence[tuple[str, int]]) -> None:
    with engine.begin() as tx:
        rows = [
            {"id": name, "shard": shard, "name": name, "organisation": "", "tier": 0, "key_id": 0, "public": bytes(32), "registered": 0}
            for name, shard in stations
        ]
        tx.execute(insert(station_table), rows)


def _watched(place: Place, total: int, urgent: int, pids: Sequence[int]) -> dict[str, Any]:
    """Wait until everything is in. What was urgent yesterday goes first, oldest first; from then on the button is pressed."""
    button = _Button(place)
    end = time.monotonic() + WITHIN_S
    while not (already := _kept(place.engine)):  # the clock starts with the first commit: programs take seconds to load
        time.sleep(0.01)
        _in_time(end, 0, total)
    started, used, server = time.monotonic(), sum(cpu_seconds(pid) for pid in pids), _family_cpu(place.server)
    done, behind, look = already, 0.0, started
    while done < total:
        button.turn(press=behind > 0.0)
        time.sleep(0.02)
        if time.monotonic() < look:
            continue
        look = time.monotonic() + LOOK_S
        if not behind and _kept(place.engine, AT_ONCE) >= urgent:
            behind = max(time.monotonic() - started, 1e-3)
        done = _kept(place.engine)
        _in_time(end, done, total)
    seconds = time.monotonic() - started
    used, server = sum(cpu_seconds(pid) for pid in pids) - used, _family_cpu(place.server) - server
    timed = max(total - already, 1)
    button.rest()
    waits = button.waits
    return {
        "events_timed": timed,
        "events_per_s": round(timed / max(seconds, 1e-3)),
        "carrier_cpu_s_per_1000": round(used * 1000 / timed, 3),
        "postgresql_cpu_s_per_1000": round(server * 1000 / timed, 3),
        "copy_rows_per_s": (copied := copy_rate(place.engine)),
        "to_copy": round(timed / max(seconds, 1e-3) / copied, 2),
        "urgent_backlog_s": round(behind, 1),
        "emergencies": len(waits),
        "emergency_p50_s": round(percentile(waits, 0.5), 2) if waits else None,
        "emergency_p99_s": round(percentile(waits, 0.99), 2) if waits else None,
        "emergencies_without_receipt": len(button.asked),
    }


def _in_time(end: float, done: int, total: int) -> None:
    if time.monotonic() > end:
        raise TimeoutError(f"{done} of {total} events after {WITHIN_S:g} s")


class _Button:
    """A station that presses its emergency button and waits for the receipt of every press. Its line is kept up from the start: before
    the first press a large backlog may take longer than the broker bears a silent client.
    """

    def __init__(self, place: Place) -> None:
        self.link = _linked(MqttLink(Broker("127.0.0.1", place.port), PROBE, [station_filter(PROBE_SHARD, PROBE, DOWN)]))
        self.keys = place.keys
        self.asked: dict[int, float] = {}
        self.waits: list[float] = []
        self.next = 0.0
        self.seq = 0

    def turn(self, *, press: bool = True) -> None:
        """Press when it is time, where that is asked for; hear what has been received."""
        now = time.monotonic()
        if press and now >= self.next:
            self.seq, self.next = self.seq + 1, now + PRESS_S
            event = Event(Stamp(1, 1, self.seq, self.seq), "", "bench", EmergencyPressed(self.seq))
            self.link.publish(topic(PROBE_SHARD, PROBE, UP, Lane.URGENT), write_parcel(Header(PROBE, b"\xff" * 8, 0, self.seq, 1), [event]))
            self.asked[self.seq] = now
        self.link.wait(0.02)
        for one in self.link.happenings():
            if isinstance(one, Message):
                self.hear(one.payload)
                self.link.done(one.token)

    def hear(self, payload: bytes) -> None:
        """A receipt ends the wait of every press that it covers."""
        try:
            receipt = open_receipt(payload, self.keys)
        except WireError:
            return  # a hello
        reached = max((lane.contiguous for lane in receipt.lanes if lane.lane == Lane.URGENT), default=0)
        for seq in [seq for seq in self.asked if seq <= reached]:
            self.waits.append(time.monotonic() - self.asked.pop(seq))

    def rest(self) -> None:
        """No more presses; the last receipts."""
        end = time.monotonic() + 10.0
        while self.asked and time.monotonic() < end:
            self.turn(press=False)
        self.link.close()


def _kept(engine: Engine, lanes: Collection[int] = tuple(Lane)) -> int:
    """How many events of the filled stations are in, by the lanes' marks."""
    query = "SELECT coalesce(sum(contiguous), 0) FROM relay_inbox WHERE station <> :probe AND lane = ANY(:lanes)"
    with engine.connect() as tx:
        return int(tx.execute(text(query), {"probe": PROBE, "lanes": [int(lane) for lane in lanes]}).scalar_one())


def _family_cpu(parent: int) -> float:
    """CPU seconds of a process and of its living children."""
    found = cpu_seconds(parent)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == parent:
                    found += cpu_seconds(int(entry.name))
            except OSError:
                continue
    return found


def _linked(link: MqttLink) -> MqttLink:
    link.open()

    def up() -> bool:
        link.wait(0.05)
        if any(isinstance(one, Down) for one in link.happenings()):
            link.open()
        return link.up

    _until(up, "a line to the broker")
    return link


def _command(file: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "cloud_bridge.cli", "--config", str(file), *words]


def _started(command: Sequence[str], rights: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """A child that goes when we do, where setpriv (util-linux) is there to see to it."""
    setpriv = shutil.which("setpriv")
    front = [setpriv, *rights, "--pdeathsig", "KILL", "--"] if setpriv else []
    return subprocess.Popen([*front, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(done: Any, what: str, within: float = 60.0) -> None:
    end = time.monotonic() + within
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within:g} s: {what}")
        time.sleep(0.01)
