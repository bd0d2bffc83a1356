"""`tram carry` as a loop and as a process: alone on its store, silent when idle, honest to the kiosk, gone at the first word."""

import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import journal
from appliance.agent import carry
from appliance.agent.carry import CarrierBusyError, alone, carrier, station_link
from appliance.agent.routes import Routes
from appliance.contract.events import Department, Urgency
from appliance.contract.receipts import HELLO
from appliance.database import StoreError, transaction
from appliance.relay.link import NO_LIMIT
from appliance.settings import load
from appliance.store import audit, consults
from appliance.store.consults import ConsultDraft
from tests import servers
from tests.conftest import ROOT
from tests.polling import until
from tests.relay.brokers import PINGREQ, HandBroker
from tests.store.station import Station, settings_at, station_at

FORBIDDEN = ("flask", "waitress", "sqlite_utils", "serial", "jinja2", "werkzeug", "sqlite3", "asyncio", "gpiozero", "urllib.request")
"""What a carrier must never load."""
MOST_KIB = 20 * 1024


def told(station: Station) -> tuple[Any, ...] | None:
    """What the kiosk is told: (state, reason)."""
    row = station.conn.execute("SELECT state, reason FROM carrier").fetchone()
    return None if row is None else tuple(row)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., tuple[Station, carry.Carrier]]]:
    """A function that makes a station whose settings name a broker's port, and its carrier's loop."""
    stations: list[tuple[Station, carry.Carrier]] = []

    def make(port: int, extra: str = "") -> tuple[Station, carry.Carrier]:
        station = station_at(tmp_path)
        settings_at(tmp_path, f"[broker]\nport = {port}\n{extra}")
        settings = load([tmp_path / "tram.toml"])
        loop = carrier(station.conn, settings, station.clock, journal.open("carry", io.StringIO()), station_link(settings))
        stations.append((station, loop))
        return stations[-1]

    yield make
    for station, loop in stations:
        loop.pump.link.close("closed")
        station.conn.close()


def work(station: Station, loop: carry.Carrier, seconds: float = 1.0) -> None:
    """Some rounds of the loop; the clock is turned by hand, the wire is real."""
    for _ in range(20):
        loop.pump.link.wait(0.005)  # type: ignore[attr-defined]  # the real line
        station.later(seconds / 20)
        loop.turn(stirred=loop.pump.link.stirred)  # type: ignore[attr-defined]


def test_without_a_broker_the_kiosk_hears_that_the_line_is_down(made: Callable[..., Any], free_port: Callable[[], int]) -> None:
    """And the loop goes on trying, ever less often, writing nothing meanwhile."""
    station, loop = made(free_port())
    work(station, loop)
    assert told(station) == ("offline", "refused")
    before = loop.conn.total_changes
    tries = loop.pump.attempt
    for _ in range(10):
        work(station, loop, 60)
    assert loop.pump.attempt > tries + 4
    assert loop.conn.total_changes == before


def test_a_broker_without_a_bridge_is_not_online(made: Callable[..., Any]) -> None:
    """*Online* means that the bridge has answered."""
    broker = HandBroker(acks=True)
    station, loop = made(broker.port)
    try:
        for _ in range(30):
            broker.step()
            work(station, loop, 0.1)
        assert told(station) == ("waiting", "")
        hellos = [body for body in broker.published() if bytes([HELLO]) in body]
        assert hellos
    finally:
        broker.close()


def test_a_refused_password_is_a_fault_for_a_technician(made: Callable[..., Any]) -> None:
    """No waiting mends it, and the kiosk says so."""
    broker = HandBroker(connack=0x86)
    station, loop = made(broker.port)
    try:
        until(lambda: broker.step() or work(station, loop, 0.1) or (told(station) or ("",))[0] == "error", 10.0, every=0.0)
        assert told(station) == ("error", "bad-user-name-or-password")
    finally:
        broker.close()


def test_a_store_that_cannot_do_it_now_is_tried_again_later(made: Callable[..., Any], free_port: Callable[[], int]) -> None:
    """An OSError ends nothing: the loop waits, longer each time, and comes back."""
    station, loop = made(free_port())
    real, calls = loop.pump.storage, []

    class Full:
        def __getattr__(self, name: str) -> Any:
            calls.append(name)
            raise StoreError("full", "tram.db", "the disk is full", "")

    loop.pump.storage = Full()
    waits = []
    for _ in range(3):
        waits.append(loop.turn(stirred=True))
        tried = len(calls)
        loop.turn(stirred=True)
        assert len(calls) == tried  # not again before its time
        station.later(waits[-1])
    assert waits == sorted(set(waits))
    loop.pump.storage = real
    loop.turn(stirred=True)
    assert loop.away == carry.AWAY


def passed(station: Station, loop: carry.Carrier, broker: HandBroker, seconds: int) -> tuple[int, int]:
    """Time passes on a real line: the pings and the hellos."""
    link: Any = loop.pump.link
    broker.packets.clear()
    step = max(4, seconds // 100)
    for _ in range(seconds // step):
        station.later(step)
        loop.turn(stirred=True)
        for _ in range(3):
            broker.step()
            link.wait(0.001)
        until(lambda: broker.step() or link.wait(0.001) or link.room == NO_LIMIT, every=0.0)  # every PUBACK is there
        until(lambda: broker.step() or link.wait(0.001) or link._asked is None, every=0.0)  # and every answer to a ping
    return (
        sum(first == PINGREQ for first, _ in broker.packets),
        sum(body[5 + int.from_bytes(body[:2], "big")] == HELLO for body in broker.published()),  # behind topic, number, properties
    )


def test_where_nobody_is_about_the_pulse_grows_and_whoever_comes_has_the_line_tried(made: Callable[..., Any]) -> None:
    """On a metered line: pings after 900, 1,200, 1,600 s; the first thing that somebody does after that is followed by one within a minute,
    and while somebody works the pulse is that of 15 minutes.
    """
    broker = HandBroker(acks=True)
    station, loop = made(broker.port, "[link]\nmetered = true\n")
    link: Any = loop.pump.link
    link.clock, link.taps = loop.clock.monotonic, False  # the real line, on the station's clock; TCP's own probes go by the kernel's
    try:
        until(lambda: broker.step() or work(station, loop, 0.01) or link.up, 10.0, every=0.0)
        talk = loop.pump.talks["tram-0001"]
        talk.hello, talk.answered, talk.verified, talk.heard = None, True, True, loop.clock.monotonic()
        loop.audit_due = loop.tray_due = float("inf")
        loop.keeper = None
        passed(station, loop, broker, 40)
        talk.sender.flying.clear()
        pings = [passed(station, loop, broker, seconds)[0] for seconds in (860, 100, 1_000, 200, 1_400, 200)]
        assert pings == [0, 1, 0, 1, 0, 1]
        assert passed(station, loop, broker, 1_000)[0] == 0
        with transaction(station.conn) as conn:
            audit.note(conn, actor="an", action="patient.seen", now=station.now, patient=1)
        assert passed(station, loop, broker, 100)[0] == 1
        assert link.silence == carry.PULSE_METERED
        assert broker.connections == 1
    finally:
        broker.close()


def test_a_request_without_an_answer_keeps_the_line_awake(made: Callable[..., Any]) -> None:
    """On a metered line: nothing for 15 minutes; while a consult waits a ping in 5 minutes, in an hour the bridge itself is asked."""
    broker = HandBroker(acks=True)
    station, loop = made(broker.port, "[link]\nmetered = true\n")
    link: Any = loop.pump.link
    link.clock, link.taps = loop.clock.monotonic, False  # the real line, on the station's clock; TCP's own probes go by the kernel's

    def heard(seconds: int) -> tuple[int, int]:
        return passed(station, loop, broker, seconds)

    try:
        until(lambda: broker.step() or work(station, loop, 0.01) or loop.pump.link.up, 10.0, every=0.0)
        heard(8)  # its hello
        talk = loop.pump.talks["tram-0001"]
        talk.hello, talk.answered, talk.verified, talk.heard = None, True, True, loop.clock.monotonic()
        heard(40)  # what the box tells of itself goes at QoS 0, and nobody says a word: a ping
        talk.sender.flying.clear()
        assert heard(600) == (0, 0)
        draft = ConsultDraft(station.patient(), Urgency.URGENT, Department.GENERAL, "Đau ngực")
        consults.request(station.conn, draft, consult=7, staff="an", now=station.now)
        loop.version = -1  # another process would have written it
        heard(8)  # the request itself, which is received
        talk.sender.flying.clear()
        talk.heard = loop.clock.monotonic()
        assert heard(420) == (1, 0)
        assert heard(3300)[1] >= 1
        assert broker.connections == 1
    finally:
        broker.close()


class Gate:
    """A TCP connection to the broker that can be cut without a word: what is under way is swallowed, new ones pass when it is open."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.pairs: dict[socket.socket, socket.socket] = {}
        self.dead: list[socket.socket] = []
        self.up = b""
        self.ours: set[socket.socket] = set()

    def cut(self) -> None:
        """Nothing that is connected now will ever hear or be heard again."""
        self.dead += self.pairs
        self.pairs.clear()

    def step(self) -> None:
        """Pass on what there is."""
        for one in select.select([self.listener, *self.pairs], [], [], 0)[0]:
            if one is self.listener:
                near, far = self.listener.accept()[0], socket.create_connection(("127.0.0.1", self.port))
                self.ours.add(near)
                self.pairs |= {near: far, far: near}
            elif one in self.pairs:
                data = one.recv(65536)
                self.up += data if one in self.ours else b""
                if data:
                    self.pairs[one].sendall(data)
                else:
                    self.dead += [one, self.pairs.pop(self.pairs.pop(one))]

    def close(self) -> None:
        """All of it."""
        for one in {self.listener, *self.pairs, *self.dead, *self.ours}:
            one.close()


def test_a_request_leaves_within_five_seconds_of_the_links_return(
    made: Callable[..., Any], mosquitto: Callable[..., servers.Broker]
) -> None:
    """The old connection has died without a word; the kernel tells of another route, and the clock counts (decision 9)."""
    gate = Gate(mosquitto().port)
    station, loop = made(gate.listener.getsockname()[1], "[link]\nmetered = true\n")
    loop.pump.link.clock = loop.clock.monotonic  # type: ignore[attr-defined]  # the real line, on the station's clock

    def pass_on(seconds: float) -> None:
        for _ in range(5):
            loop.turn(stirred=loop.pump.link.stirred)  # type: ignore[attr-defined]  # as above
            loop.pump.link.wait(0.002)  # type: ignore[attr-defined]  # as above
            gate.step()
        station.later(seconds)

    try:
        until(lambda: pass_on(0.001) or loop.pump.link.up, 10.0, every=0.0)
        gate.cut()
        draft = ConsultDraft(station.patient(), Urgency.URGENT, Department.GENERAL, "Đau ngực")
        consults.request(station.conn, draft, consult=7, staff="an", now=station.now)
        loop.version, loop.pump.talks["tram-0001"].verified, gate.up = -1, True, b""
        pass_on(4.0)
        assert gate.up == b""
        loop.pump.route_changed()
        loop.due, returned = float("-inf"), loop.clock.monotonic()
        until(lambda: pass_on(0.05) or b"up/0" in gate.up, 20.0, every=0.0)
        assert loop.clock.monotonic() - returned <= 5.0  # by the station's own clock, which is turned by hand
    finally:
        gate.close()


def test_one_carrier_a_store(tmp_path: Path) -> None:
    """A second one says so and leaves; the lock goes with its holder."""
    with alone(tmp_path), pytest.raises(CarrierBusyError, match="another tram carry"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_a_change_of_the_routes_is_heard() -> None:
    """The kernel tells; without netlink nothing is told and nothing breaks."""
    routes = Routes()
    try:
        assert routes.changed() in (False, True)
        assert not routes.changed()
        assert len(routes.descriptors) in (0, 1)
    finally:
        routes.close()
    assert routes.descriptors == ()
    assert not routes.changed()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a network namespace")
def test_a_link_that_comes_up_wakes_the_carrier() -> None:
    """In a namespace of its own: the loopback goes up, and the socket is readable at once."""
    program = (
        "import select, subprocess\nfrom appliance.agent.routes import Routes\nroutes = Routes()\nroutes.changed()\n"
        "subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)\n"
        "ready = select.select(routes.descriptors, [], [], 5)[0]\nprint(bool(ready) and routes.changed())\n"
    )
    unshare, ip = servers.find("unshare"), servers.find("ip")
    if unshare is None or ip is None:
        pytest.skip("unshare and ip are not installed")
    ran = subprocess.run([unshare, "-n", sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
    if "Operation not permitted" in ran.stderr:
        pytest.skip("this machine makes no network namespaces")
    assert ran.stdout.strip() == "True", ran.stderr


def start(folder: Path, *, log: Path) -> "subprocess.Popen[str]":
    """The real command."""
    command = [sys.executable, "-m", "appliance.cli", "--config", str(folder / "tram.toml"), "carry"]
    with log.open("a") as err:
        return subprocess.Popen(command, cwd=ROOT, stderr=err, stdout=subprocess.DEVNULL, text=True)


def test_the_process_starts_without_a_broker_and_leaves_at_the_first_word(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """SIGTERM ends it with 0 within a moment; a second one on the same store leaves with a word; what it loads is what it needs."""
    station = station_at(tmp_path)
    settings_at(tmp_path, f"[broker]\nport = {free_port()}\n")
    log = tmp_path / "journal"
    process = start(tmp_path, log=log)
    try:
        until(lambda: told(station) is not None, 20.0)
        second = start(tmp_path, log=tmp_path / "second")
        assert second.wait(60) == 75
        assert "another tram carry" in (tmp_path / "second").read_text()
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        assert "sqlcipher3" in maps
        dirty = sum(
            int(line.split()[1]) for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines() if "Private_Dirty" in line
        )
        assert dirty <= MOST_KIB
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["process"] for line in lines} == {"carry"}
    station.conn.close()


def test_what_the_carrier_loads_is_what_it_needs() -> None:
    """No Flask, no migrations, no second SQLite, no asyncio; urllib.request only for who asks for it."""
    program = (
        "import sys\nimport appliance.cli\nfrom appliance.agent.carry import run\n"
        f"print([name for name in {FORBIDDEN!r} if name in sys.modules])\n"
        "import urllib.request\nprint(urllib.request.getproxies.__name__)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)
    assert ran.stdout.splitlines()[0] == "[]"
    assert ran.stdout.splitlines()[1].startswith("getproxies")


def test_the_word_of_the_networks_hook_turns_the_meter_and_the_line_is_tried_at_once(
    made: Callable[..., Any], free_port: Callable[[], int], tmp_path: Path
) -> None:
    """A station behind a metered line comes to a free one, and back; each word of the hook also means: try now."""
    word = tmp_path / "metered"
    station, loop = made(free_port(), f'[link]\nmetered = true\nmetered_file = "{word}"\n')
    for _ in range(30):  # nobody answers: the tries are minutes apart by now
        work(station, loop, 20)
    assert loop.pump.end.metered and loop.pump.link.keepalive == carry.KEEPALIVE_METERED
    tries = loop.pump.attempt
    assert tries > 3
    for said, metered in (("no", False), ("yes", True), ("what", True)):
        written(word, said)
        station.later(1)
        loop.turn(stirred=False)
        assert loop.pump.end.metered is metered
        assert loop.pump.attempt < tries, "the pause between two tries did not end"
        work(station, loop, 600)
    assert loop.pump.link.keepalive == carry.KEEPALIVE_METERED
    word.unlink()
    station.later(1)
    loop.turn(stirred=False)
    assert loop.pump.end.metered, "without a word the settings rule"


def written(file: Path, word: str) -> None:
    """As the hook writes: beside, then renamed; never in the same tick of the file system's clock as before."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    new = file.with_suffix(".new")
    new.write_text(f"{word}\n")
    os.utime(new, ns=(before + 10**9, before + 10**9))
    new.rename(file)
