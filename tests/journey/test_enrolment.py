"""From a paper to a station in service and out again, with the commands people use: root, bridge, door, box, broker, revocation."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from appliance.contract.lanes import Lane
from appliance.contract.topics import UP, topic
from cloud_bridge import ca
from cloud_bridge.store import relay_tables
from cloud_bridge.store.engine import open_engine, reading
from cloud_bridge.topicwalls import CARRIER
from tests import servers
from tests.enrolling import PASSPHRASE, Peer, bridge_settings, come, walled
from tests.polling import until

STATION = "tram-0001"


class Place:
    """A bridge and a box as two folders with settings, and the commands run on them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.door = folder, servers.free_port()
        self.running: list[subprocess.Popen[bytes]] = []
        self.mqtt = 0
        self.deny: Path | None = None

    def write(self) -> None:
        """Both settings files, once the broker's port is known."""
        broker = f'[broker]\nhost = "127.0.0.1"\nport = {self.mqtt or 8883}\ntls = true\n'
        settings = bridge_settings(self.folder, ("127.0.0.1", self.door), self.mqtt or 8883, self.deny)
        (self.folder / "bridge.toml").write_text(settings)
        (self.folder / "box.toml").write_text(f"""environment = "test"
[station]
id = "{STATION}"
shard = 7
[paths]
data = "box"
run = "run"
[store]
key_file = "store.key"
ballast_mb = 0
group = ""
[door]
host = "127.0.0.1"
port = {self.door}
{broker}""")

    def command(self, program: str, *words: str) -> list[str]:
        """What is run."""
        module, file = ("cloud_bridge.cli", "bridge.toml") if program == "tram-bridge" else ("appliance.cli", "box.toml")
        start = f"import sys; sys.argv[0] = {program!r}; from {module} import main; sys.exit(main())"
        return [sys.executable, "-c", start, "--config", str(self.folder / file), *words]

    def run(self, program: str, *words: str, said: str = "", code: int = 0) -> list[str]:
        """Run one command to its end; the lines it wrote."""
        done = subprocess.run(
            self.command(program, *words), input=said, capture_output=True, text=True, cwd=self.folder, timeout=60, check=False
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.splitlines()

    def start(self, program: str, *words: str) -> Path:
        """Start a program that stays; where its output goes."""
        log = self.folder / f"{words[0]}-{len(self.running)}.log"
        log.touch()
        self.running.append(servers.start(servers.as_person(servers.Person("", None, None), self.command(program, *words)), log))
        return log

    def end(self) -> None:
        """Everything that was started ends."""
        for one in self.running:
            servers.stop(one, signal.SIGTERM)
        self.running.clear()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Two folders; whatever was started in them is ended."""
    made = Place(tmp_path)
    yield made
    made.end()


@pytest.fixture
def broker(place: Place) -> Iterator[servers.Broker]:
    """A bridge with everything but a station, and its broker with walls and nobody in it."""
    place.write()
    place.run("tram-bridge", "init")
    place.run("tram-bridge", "ca", "root", "--to", "root", "--passphrase-file", "-", said=PASSPHRASE)
    place.run("tram-bridge", "ca", "init", "--root", "root", "--passphrase-file", "-", said=PASSPHRASE)
    place.run("tram-bridge", "ca", "server", "127.0.0.1", "--to", "door", "--stem", "door")
    place.run("tram-bridge", "ca", "member", CARRIER, "--to", "carrier")
    place.run("tram-bridge", "ca", "member", "tram-admin", "--to", "admin")
    made, files = walled(ca.load(place.folder / "keys"), [])
    made.start()
    place.mqtt, place.deny = made.port, files / "revoked.pem"
    place.write()
    assert json.loads(place.run("tram-bridge", "ca", "revoked")[0])["revoked"] == 0
    yield made
    made.stop()
    shutil.rmtree(made.place)
    shutil.rmtree(files)


def paper(place: Place) -> str:
    """The 24 letters of a new paper."""
    lines = place.run("tram-bridge", "stations", "token", STATION, "--technician", "KTV. Thử", "--shard", "7")
    return next(line for line in lines if line.count("-") == 5 and len(line) == 29)


def station(place: Place, broker: servers.Broker) -> Peer:
    """Somebody with the box's certificate, connected."""
    here = place.folder / "box" / "tls" / "current"
    peer = come(broker.port, [here / "station.pem", here / "station.key"], here / "ca.pem", f"tram-{STATION}")
    peer.wait(lambda: peer.joined, "the broker to answer")
    return peer


def test_a_station_in_service_and_out_again(place: Place, broker: servers.Broker) -> None:
    """Enrolled with a paper it speaks to the bridge with its certificate; revoked it is cut, and what lay at the broker is kept aside."""
    door = place.start("tram-bridge", "door")
    until(lambda: "open" in door.read_text(), what="the door", within=30)
    place.run("tram", "init")
    told = json.loads(place.run("tram", "enrol", "--token-file", "-", said=paper(place))[0])
    log = [json.loads(line) for line in place.run("tram-bridge", "stations", "log", STATION)]
    assert told["words"] in log[0]["detail"]
    carrying = place.start("tram-bridge", "carry")
    until(lambda: "line up" in carrying.read_text(), what="the carrier's line", within=30)
    box = place.start("tram", "carry")
    until(lambda: "line online" in box.read_text(), what="the station in service", within=30)
    place.end()

    peer = station(place, broker)
    payload = b"\x11 words of a station that is revoked meanwhile " + os.urandom(16)
    number = peer.client.publish(topic(7, STATION, UP, Lane.URGENT), payload, qos=1).mid
    peer.wait(lambda: peer.reasons.get(("publish", number)), "the broker to have it")
    said = json.loads(place.run("tram-bridge", "stations", "revoke", STATION)[0])
    assert said["broker"] == "told" and said["deny_file"]
    peer.wait(lambda: peer.left, "the cut")
    assert peer.left == ["Administrative action"]
    again = station(place, broker)  # the broker has not read the list yet: it knows the certificate, which has no right left
    number = again.client.publish(topic(7, STATION, UP, Lane.URGENT), payload, qos=1).mid
    again.wait(lambda: again.reasons.get(("publish", number)), "a refusal")
    assert again.reasons["publish", number] == ["Not authorized"]

    carrying = place.start("tram-bridge", "carry")
    engine = open_engine(f"sqlite:///{place.folder}/bridge.db")
    query = select(relay_tables.quarantine.c.station, relay_tables.quarantine.c.payload)

    def kept() -> list[tuple[str, bytes]]:
        with reading(engine) as tx:
            return [(str(row.station), bytes(row.payload)) for row in tx.execute(query)]

    until(kept, what="the message among what was set aside", within=30)
    assert kept() == [(STATION, payload)]
    engine.dispose()


def refused(place: Place, broker: servers.Broker) -> bool:
    """Whether the broker ends the station's TLS before a word of MQTT is spoken."""
    here = place.folder / "box" / "tls" / "current"
    peer = come(broker.port, [here / "station.pem", here / "station.key"], here / "ca.pem", "tram-refused")
    peer.wait(lambda: peer.joined or peer.left, "the broker to answer or to hang up")
    return not peer.joined


def test_a_revoked_serial_is_outside_for_a_broker_that_forgot_its_rights_too(place: Place, broker: servers.Broker) -> None:
    """The bridge's list is the broker's: read anew on SIGHUP and at each start, whatever its rights file says of the station."""
    door = place.start("tram-bridge", "door")
    until(lambda: "open" in door.read_text(), what="the door", within=30)
    place.run("tram", "init")
    place.run("tram", "enrol", "--token-file", "-", said=paper(place))
    assert place.deny is not None
    rights = place.deny.with_name("rights.json")
    assert not refused(place, broker)
    until(lambda: STATION in rights.read_text(), what="the rights on the broker's disk")
    generous = rights.read_bytes()
    place.run("tram-bridge", "stations", "revoke", STATION)
    assert broker.process is not None and not refused(place, broker)
    broker.process.send_signal(signal.SIGHUP)
    until(lambda: refused(place, broker), what="the list read anew without a restart")
    broker.stop()
    rights.write_bytes(generous)  # a broker restored from before the revocation
    broker.start()
    assert refused(place, broker)
