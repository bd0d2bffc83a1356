"""A bridge with an authority and a door, and boxes that want to be known to it: real stores, real TLS."""

import io
import os
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from appliance import journal
from appliance.agent.clock import Clock, live_clock
from appliance.contract.enrolment import Pin, Ticket
from appliance.database import Connection
from appliance.settings import Door, Paths, Settings, Station, Store, Wire
from appliance.store.init import initialise
from appliance.store.opening import open_store
from cloud_bridge import ca, enrolment, topicwalls
from cloud_bridge.door.rooms import Lockout, Turnstile, application, rooms
from cloud_bridge.door.server import DoorServer, context_of
from cloud_bridge.store.engine import writing
from cloud_bridge.topicwalls import Resident
from tests import servers
from tests.polling import until

PASSPHRASE = "muoi hai chu thu nghiem"
PINS = {"receipt": 1, "answer": 2, "time": 3, "seal": 4}
TIME_KEY = Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32)


def pins() -> tuple[Pin, ...]:
    """Public keys of a bridge: all kinds there are."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    signs = [
        Pin(one, 0, Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32).public_key().public_bytes_raw())
        for one, n in PINS.items() if one != "seal"
    ]  # fmt: skip
    return (*signs, Pin("seal", 0, X25519PrivateKey.from_private_bytes(bytes([4]) * 32).public_key().public_bytes_raw()))


def authority(folder: Path) -> ca.Authority:
    """A root and an issuing authority made as an operator makes them."""
    now = ca.now_utc()
    ca.make_root(folder / "root", PASSPHRASE, now)
    made = ca.sign_issuing(folder / "root", PASSPHRASE, ca.request_issuing(folder / "keys"), now)
    ca.install_issuing(folder / "keys", (folder / "root" / ca.ROOT).read_bytes(), made)
    return ca.load(folder / "keys")


@dataclass
class Bridge:
    """The bridge's side: `wall` is its clock in tenths since 1970, `seconds` that of the lock-out; both are turned by hand."""

    folder: Path
    engine: Engine
    authority: ca.Authority
    wall: int = 0
    seconds: float = 0.0
    server: DoorServer | None = None
    thread: threading.Thread | None = None
    welcomed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """The clock begins now."""
        self.wall = int(ca.now_utc().timestamp() * 10)

    @property
    def desk(self) -> enrolment.Desk:
        """What takes stations in."""
        return enrolment.Desk(self.engine, self.authority, pins(), lambda: self.wall, self.welcomed.append)

    def open(self) -> None:
        """The door, on a free port."""
        key = ca.new_key()
        made = self.authority.server(["127.0.0.1"], key.public_key(), ca.now_utc(), timedelta(days=1800))
        ca.issue_files(self.folder / "door", "door", made, key, self.authority)
        table = rooms((0, TIME_KEY), lambda: self.wall, self.desk, Lockout(lambda: self.seconds))
        context = context_of(self.folder / "door" / "door.pem", self.folder / "door" / "door.key")
        self.server = DoorServer(
            ("127.0.0.1", 0), application(table, Turnstile(lambda: self.seconds)), context, journal.open("bridge-door", io.StringIO())
        )
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        """Shut it."""
        if self.server is not None and self.thread is not None:
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()

    @property
    def port(self) -> int:
        """Where the door is."""
        assert self.server is not None
        return int(self.server.server_port)

    def paper(self, station: str = "tram-0001", shard: int = 7) -> Ticket:
        """A paper for a station."""
        with writing(self.engine) as tx:
            return enrolment.make_token(
                tx, station, "KTV. Thử", self.wall, os.urandom, host="127.0.0.1", port=8443, root=self.authority.root,
                name="Trạm Thử", organisation="Thử", shard=shard, tier=0,
            )  # fmt: skip


@dataclass
class Box:
    """A station's side: a real store."""

    settings: Settings
    conn: Connection
    clock: Clock


def box(folder: Path, station: str = "tram-0001", shard: int = 7, port: int = 8443) -> Box:
    """A box as `tram init` leaves it."""
    settings = Settings(
        environment="test",
        station=Station(id=station, shard=shard),
        paths=Paths(data=folder / "data", run=folder / "run"),
        store=Store(key_file=folder / "store.key", ballast_mb=0, group=""),
        door=Door(host="127.0.0.1", port=port),
        wire=Wire(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    stamp = live_clock(1, data=settings.paths.data, run=settings.paths.run).stamp
    initialise(settings, boot_id="b", stamp=lambda _seq: stamp(), random=os.urandom, machine="m")
    return Box(settings, open_store(settings), live_clock(1, data=settings.paths.data, run=settings.paths.run))


# --- a broker with walls ----------------------------------------------------------------------------------------------------------------


def plugin() -> Path:
    """Mosquitto's dynamic-security plugin, which Debian's package brings."""
    found = next(iter(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so")), None)
    if found is None:
        pytest.skip("mosquitto's dynamic-security plugin is not installed (apt-get install mosquitto)")
    return found


def bridge_settings(folder: Path, door: tuple[str, int], mqtt_port: int, deny: Path | None = None) -> str:
    """A bridge's settings in `folder`: its door at that host and port, its broker on loopback with the carrier's certificate; the list
    of revoked serials at `deny`, which is where the broker reads it (`walled`), else in the folder.
    """
    return f"""environment = "test"
[bridge]
database = "sqlite:///{folder}/bridge.db"
key_dir = "keys"
shards = [7]
console_secret_file = "console"
door_port = {door[1]}
door_cert = "door/door.pem"
door_key = "door/door.key"
deny_file = "{deny or folder / "revoked.pem"}"
admin_cert = "admin/tram-admin.pem"
admin_key = "admin/tram-admin.key"
[door]
host = "{door[0]}"
port = {door[1]}
[broker]
host = "127.0.0.1"
port = {mqtt_port}
tls = true
ca = "carrier/ca.pem"
cert = "carrier/{topicwalls.CARRIER}.pem"
key = "carrier/{topicwalls.CARRIER}.key"
"""


def walled(
    authority: ca.Authority, residents: Iterable[Resident], revoked: Iterable[int] = (), *, name: str = "localhost", port: int | None = None
) -> tuple[servers.Broker, Path]:
    """A Mosquitto with certificates both ways, the rights of `residents` and a list of revoked serials (``revoked.pem``); not
    started yet. And the folder of its files, which whoever asks removes. It is known as 127.0.0.1 and as `name`.
    """
    key = ca.new_key()
    made = authority.server(["127.0.0.1", name], key.public_key(), ca.now_utc())
    person = servers.unprivileged("mosquitto")
    place = servers.folder(person, "dx")
    ca.issue_files(place, "broker", made, key, authority)
    (place / "authorities.pem").write_bytes(ca.pem(authority.root, authority.issuing))
    (place / "rights.json").write_text(topicwalls.dynamic_security(residents))
    (place / "revoked.pem").write_bytes(authority.revoked(revoked, ca.now_utc()))
    for one in place.iterdir():
        if person.uid is not None:
            os.chown(one, person.uid, -1 if person.gid is None else person.gid)
    said = (
        f"cafile {place}/authorities.pem", f"certfile {place}/broker.pem", f"keyfile {place}/broker.key",
        f"crlfile {place}/revoked.pem", "require_certificate true", "use_identity_as_username true", f"plugin {plugin()}",
        f"plugin_opt_config_file {place}/rights.json",
    )  # fmt: skip
    return servers.mosquitto("\n".join(said), port=port, anonymous=False), place


def member(authority: ca.Authority, folder: Path, name: str, life: timedelta = timedelta(days=30)) -> list[Path]:
    """Certificate, key and root of whoever comes to the broker under this name."""
    key = ca.new_key()
    now = ca.now_utc() if life > timedelta(0) else ca.now_utc() - timedelta(days=2)
    made = authority.member(name, key.public_key(), now, abs(life))
    return ca.issue_files(folder / name, name, made, key, authority)


@dataclass
class Peer:
    """Somebody at the broker, who remembers what was said: token of a publish or a subscribe to its reasons."""

    client: mqtt.Client
    reasons: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    joined: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def turn(self) -> None:
        """One look at the socket."""
        self.client.loop(0.01)

    def wait(self, ask: Callable[[], object], what: str) -> None:
        """Turn until something is true."""

        def look() -> object:
            self.turn()
            return ask()

        until(look, within=20, every=0, what=what)


def come(port: int, files: list[Path] | None, ca_file: Path, name: str) -> Peer:
    """Come to the broker with these files (None: without a certificate); whether one was let in stands in `joined`."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    context = ssl.create_default_context(cafile=str(ca_file))
    if files is not None:
        context.load_cert_chain(files[0], files[1])
    client.tls_set_context(context)
    peer = Peer(client)
    client.on_connect = lambda _c, _u, _f, reason, _p: peer.joined.append(str(reason))
    client.on_disconnect = lambda _c, _u, _f, reason, _p: peer.left.append(str(reason))
    client.on_subscribe = lambda _c, _u, mid, reasons, _p: peer.reasons.__setitem__(("subscribe", mid), [str(one) for one in reasons])
    client.on_publish = lambda _c, _u, mid, reason, _p: peer.reasons.__setitem__(("publish", mid), [str(reason)])
    client.max_inflight_messages_set(200)
    client.connect("127.0.0.1", port)
    return peer
