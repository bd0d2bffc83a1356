"""What a box or a bridge is told: typed settings, a check and a line of documentation beside every key, layered TOML files.

Layers: the defaults below, then ``/etc/tram/tram.toml`` where it exists, then every ``--config FILE`` in the order given;
a later file wins key by key. `Settings.said` remembers which file said what (``tram config --show``). A relative path
is taken from the folder of the file that says it. Keys that hold secrets do not exist: files do.
"""

# ruff: noqa: RUF009 - a default made by `setting` or `path` is never changed by anybody

import os
import re
import tomllib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from appliance.contract.ids import STATION
from appliance.contract.topics import SHARDS

SYSTEM_FILE = Path("/etc/tram/tram.toml")
DEFAULT = "default"
"""What `Settings.said` gives for a key no file spoke of."""


class SettingsError(ValueError):
    """A file that cannot be followed. Fields: the `key`, the `value` it has, what was `expected`, an `example`, the `file`."""

    def __init__(self, key: str, value: object, expected: str, example: str, file: str) -> None:
        super().__init__(f"{file}: {key} = {shown(value)}: expected {expected}, for example {example}")
        self.key = key
        self.value = value
        self.expected = expected
        self.example = example
        self.file = file


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Check:
    """What a setting may hold: `good` says whether, `turn` makes it the value to use; `expected` and `example` are for people."""

    expected: str
    example: str
    good: Callable[[Any], bool]
    turn: Callable[[Any], Any] = _same

    def take(self, value: object) -> Any:
        """The value to use; ValueError when it is not one."""
        if not self.good(value):
            raise ValueError(self.expected)
        return self.turn(value)


@dataclass(frozen=True, slots=True)
class Key:
    """One documented setting: its name with dots, its check, its default, its line of documentation."""

    name: str
    check: Check
    default: Any
    doc: str


def setting(default: Any, check: Check, doc: str) -> Any:
    """A dataclass field with its check and its line of documentation."""
    return field(default=default, metadata={"check": check, "doc": doc})


# --- checks -------------------------------------------------------------------------------------------------------------------------


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # TOML's true is no number


def _listed(value: object, each: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(each(one) for one in value) and len(set(value)) == len(value)


def whole(low: int, high: int, example: int) -> Check:
    """A whole number within bounds."""
    return Check(f"a whole number from {low} to {high}", str(example), lambda v: _whole(v) and low <= v <= high)


def seconds(low: float, high: float, example: float) -> Check:
    """A number of seconds within bounds, fractions allowed."""

    def good(v: Any) -> bool:
        return (_whole(v) or isinstance(v, float)) and low <= v <= high

    return Check(f"seconds, from {low:g} to {high:g}", f"{example:g}", good, float)


def text(example: str, most: int = 120) -> Check:
    """Text of one line, possibly empty."""

    def good(v: Any) -> bool:
        return isinstance(v, str) and len(v) <= most and v.isprintable()

    return Check(f"one line of text of at most {most} characters", f'"{example}"', good)


def form(expression: str, expected: str, example: str, *, empty: bool = False) -> Check:
    """Text of a fixed form; `empty` allows none at all."""

    def good(v: Any) -> bool:
        return isinstance(v, str) and (bool(re.fullmatch(expression, v)) or (empty and v == ""))

    return Check(expected, f'"{example}"', good)


def one_of(*words: str) -> Check:
    """One of a few words."""
    return Check("one of " + ", ".join(f'"{word}"' for word in words), f'"{words[0]}"', lambda v: isinstance(v, str) and v in words)


def some_of(*words: str) -> Check:
    """A list of some of a few words, each once."""
    expected = "a list of " + ", ".join(f'"{word}"' for word in words)
    return Check(expected, f'["{words[0]}"]', lambda v: bool(v) and _listed(v, lambda one: one in words), tuple)


def numbers(low: int, high: int, example: str) -> Check:
    """A list of at least one whole number within bounds, each once."""
    expected = f"a list of whole numbers from {low} to {high}, each once"
    return Check(expected, example, lambda v: bool(v) and _listed(v, lambda one: _whole(one) and low <= one <= high), tuple)


def path(example: str, *, empty: bool = False) -> Check:
    """A path; a relative one is taken from the folder of the file that says it. `empty` turns "" into None."""

    def good(v: Any) -> bool:
        return isinstance(v, str) and "\0" not in v and (empty or v != "")

    return Check("a path" + (" or nothing" if empty else ""), f'"{example}"', good, lambda v: Path(v) if v else None)


YES_NO = Check("true or false", "true", lambda v: isinstance(v, bool))
TCP_PORT = whole(1, 65535, 1883)
HOST_PATTERN = r"[A-Za-z0-9:](?:[A-Za-z0-9.:-]*[A-Za-z0-9])?"
HOST = form(HOST_PATTERN, "a host name or an address", "bridge.example.org")
LOOPBACK = one_of("127.0.0.1", "::1", "localhost")
STATION_ID = form(STATION.pattern, "1-16 lower-case letters, digits and inner hyphens", "tram-0001", empty=True)
PHONE = form(r"[0-9+ .()-]{3,24}", "a telephone number", "0900 000 000", empty=True)
DEVICE_PORT = form(
    r"(?:/|sim://|tcp://)[!-~]+|hid",
    "the path of a serial port, hid for a USB device found by its ids, sim:// and a name, or tcp:// for a monitor of the station's network",
    "/dev/tram/cuff",
)
DATABASE_URL = form(
    r"(?:sqlite:///|postgresql\+psycopg://)\S+",
    "a URL that starts with sqlite:/// or postgresql+psycopg://",
    "sqlite:////var/lib/tram-bridge/bridge.db",
)
BLANK_S = (60, 120)
"""How long a patient may stay on a screen that nobody touches, in seconds (ux facts: 60-120 s)."""
MQTT_PORTS = (1883, 8883)
PAGE_SIZE = Check("1024, 2048, 4096 or 8192", "1024", lambda v: _whole(v) and v in (1024, 2048, 4096, 8192))


# --- the settings -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Station:
    """Which station this is."""

    id: str = setting("", STATION_ID, "The station's id: one level of its MQTT topics. Needed by every box; never changed later.")
    name: str = setting("", text("Trạm Y tế xã Thử"), "The station's name as people read it.")
    shard: int = setting(0, whole(0, SHARDS - 1, 0), "The static shard of its topics, as the bridge's operator assigned it.")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things are."""

    data: Path = setting(Path("/var/lib/tram"), path("/var/lib/tram"), "The store and its ballast.")
    run: Path = setting(Path("/run/tram"), path("/run/tram"), "Live values and command sockets: memory only, and a short path.")


@dataclass(frozen=True, slots=True)
class Store:
    """The station's encrypted store."""

    key_file: Path = setting(
        Path("/etc/tram/store.key"),
        path("/etc/tram/store.key"),
        "The store's key, where $CREDENTIALS_DIRECTORY/store-key does not exist. Refused when others may read it.",
    )
    ballast_mb: int = setting(64, whole(0, 4096, 64), "Megabytes set aside so that a full disk can be emptied again; 0 for none.")
    room_bytes: int = setting(
        0, whole(0, 1 << 40, 8_000_000_000), "Bytes the store may take before old copies are shed (from 80 % on); 0: all the disk has."
    )
    page_size: int = setting(1024, PAGE_SIZE, "Bytes of a page. Fixed when the store is made: with another value it cannot be opened.")
    group: str = setting(
        "tram",
        form(r"[a-z_][a-z0-9_-]{0,30}", "the name of a group", "tram", empty=True),
        "The group that shares the store, where it exists.",
    )


@dataclass(frozen=True, slots=True)
class Broker:
    """The MQTT broker."""

    host: str = setting("127.0.0.1", HOST, "Name or address of the broker.")
    port: int = setting(1883, TCP_PORT, "Its port: 8883 with TLS, 1883 without.")
    tls: bool = setting(False, YES_NO, "Whether to speak TLS.")
    ca: Path | None = setting(None, path("/etc/tram/ca.pem", empty=True), "The authority that the broker's certificate must come from.")
    cert: Path | None = setting(None, path("/etc/tram/station.pem", empty=True), "Our certificate.")
    key: Path | None = setting(None, path("/etc/tram/station.key", empty=True), "The key of our certificate.")
    username: str = setting("", text("tram-0001"), "The name to log in with; empty for none.")
    password_file: Path | None = setting(None, path("/etc/tram/broker.password", empty=True), "The file with the password.")
    mqtt: str = setting("auto", one_of("auto", "5", "3.1.1"), "The version to speak; auto tries 5 first.")
    kind: str = setting("mqtt", one_of("mqtt", "amqp"), "What the bridge's carriers speak; amqp: RabbitMQ's queues. Stations speak MQTT.")
    vhost: str = setting("/", text("/"), "RabbitMQ's virtual host, with amqp: that of its MQTT plugin.")


@dataclass(frozen=True, slots=True)
class Link:
    """The line to the broker."""

    metered: bool = setting(True, YES_NO, "Whether bytes cost money: then ordinary readings wait for 30 rows or gather_s.")
    metered_file: Path | None = setting(
        None,
        path("/run/tram-network/metered", empty=True),
        "A file with the word yes or no: whether the route in force costs money. The network's hook writes it, and each writing means: try "
        "the line now. While there is none, metered rules.",
    )
    gather_s: int = setting(
        1770,
        whole(1, 7200, 60),
        "How long ordinary readings wait on a metered line for the next contact, at most: 1770 is a little less than half an hour. "
        "Requests and the readings of an open request never wait, and take along what waits; so do thirty readings.",
    )
    keepalive_s: int = setting(300, whole(5, 900, 300), "The longest silence on the line in seconds.")
    connect_timeout_s: float = setting(15.0, seconds(1, 120, 15), "How long a connection may take to come up.")
    session_bytes: int = setting(
        0,
        whole(0, 1 << 32, 200_000),
        "What lanes 2-5 may cost in one go, bytes of the wire both ways; then they rest. Requests never wait. 0: no limit.",
    )
    session_seconds: int = setting(
        0, whole(0, 86400, 120), "How long lanes 2-5 may send in one go, then they rest. Requests never wait. 0: no limit."
    )
    session_rest_s: int = setting(900, whole(1, 86400, 900), "How long lanes 2-5 rest when session_bytes or session_seconds are used up.")


@dataclass(frozen=True, slots=True)
class Door:
    """The bridge's HTTPS door, as a station sees it: the signed time, enrolment, renewal."""

    host: str = setting(
        "", form(HOST_PATTERN, HOST.expected, "bridge.example.org", empty=True), "Its name or address; empty: it is not asked."
    )
    port: int = setting(8443, TCP_PORT, "Its port.")
    ca: Path | None = setting(None, path("/etc/tram/ca.pem", empty=True), "The authority of its certificate; empty: broker.ca.")


@dataclass(frozen=True, slots=True)
class Wire:
    """What travels."""

    sealing: str = setting(
        "on", one_of("on", "off"), "Whether parcels are sealed for the bridge alone; off is for tests, and refused in production."
    )
    dictionary: int = setting(0, whole(0, 255, 0), "The compression dictionary to write with; every shipped one can be read.")


@dataclass(frozen=True, slots=True)
class Kiosk:
    """The screen at the station."""

    host: str = setting("127.0.0.1", LOOPBACK, "The address the screen's program listens on: loopback only.")
    port: int = setting(8080, TCP_PORT, "Its port.")
    secret_file: Path | None = setting(
        None,
        path("/var/lib/tram/kiosk.secret", empty=True),
        "The device's secret that PINs are mixed with; made by tram init. Empty: kiosk.secret beside the store.",
    )
    blank_s: int = setting(
        120, whole(15, 3600, 120), "Seconds without a touch after which the patient's page closes (60 to 120 in service)."
    )
    printer: str = setting(
        "",
        form(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,126}", "the name of a CUPS queue (lpstat -e)", "roll", empty=True),
        "Where paper goes at once. Empty: the browser is given the PDF, which the screen of a station cannot open.",
    )


@dataclass(frozen=True, slots=True)
class Update:
    """Releases of the program (`tram update`)."""

    home: Path = setting(Path("/opt/tram"), path("/opt/tram"), "Where releases lie; the link `current` leads to the one in force.")
    key_file: Path = setting(
        Path("/etc/tram/release.pem"), path("/etc/tram/release.pem"), "The public keys (Ed25519, PEM) a release must be signed with."
    )


@dataclass(frozen=True, slots=True)
class Bag:
    """The post bag: what waits goes on a USB stick, where no line reaches."""

    folder: Path = setting(Path("/media/tram"), path("/media/tram"), "Where a stick is mounted.")
    mounted: bool = setting(True, YES_NO, "Whether the folder is a stick only while something is mounted on it: false for trials.")


@dataclass(frozen=True, slots=True)
class Phone:
    """Where a staff member's telephone may bring a picture (`tram phone`; nothing listens before it is started)."""

    host: str = setting("127.0.0.1", HOST, "The address in the station's own network that telephones reach; loopback: none do.")
    port: int = setting(8081, TCP_PORT, "Its port.")


@dataclass(frozen=True, slots=True)
class Lan:
    """The station's own computers and telephones as further screens (`tram lan`, behind a front that speaks TLS); off by default."""

    address: str = setting(
        "",
        form(HOST_PATTERN, HOST.expected, "10.77.0.1", empty=True),
        "The box's address in the station's own network, as it stands in a browser there; empty: no other screen than the box's.",
    )
    port: int = setting(443, TCP_PORT, "The port of the front.")
    certificate: Path = setting(
        Path("/etc/tram/lan/lan.pem"),
        path("/etc/tram/lan/lan.pem"),
        "The front's certificate, made on the box by `tram lan-certificate`, with its key (.key) beside it.",
    )

    @property
    def web(self) -> str:
        """What is typed into a browser; empty where there is no such network."""
        if not self.address:
            return ""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"https://{host}" if self.port == 443 else f"https://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Duty:
    """Whom to call when the software does not answer."""

    name: str = setting("", text("Trực huyện"), "The name beside the number.")
    phone: str = setting("", PHONE, "The number on duty, shown without a link beside 115.")


@dataclass(frozen=True, slots=True)
class Emergency:
    """When an urgent request counts as unseen (decision 23)."""

    unreceived_s: int = setting(120, whole(10, 3600, 120), "Seconds until an urgent request that is not received shows full screen.")
    unopened_s: int = setting(600, whole(30, 7200, 600), "Seconds until an urgent request that nobody opened shows full screen.")


@dataclass(frozen=True, slots=True)
class Sms:
    """The emergency button's text message (`tram sms`), for when no line passes."""

    port: str = setting("", DEVICE_PORT, "The serial port of the modem for AT commands; empty: no messages are sent.")
    baud: int = setting(115_200, whole(1200, 921_600, 115_200), "Its speed.")
    number: str = setting(
        "", form(r"\+?[0-9]{3,20}", "a telephone number without spaces", "+84900000001", empty=True), "The bridge's number."
    )
    after_s: int = setting(15, whole(0, 600, 15), "Seconds the line has to deliver a press before the message goes.")


@dataclass(frozen=True, slots=True)
class Panel:
    """Lamp, buzzer, call button and the UPS's line (`tram panel`): numbers of GPIO lines, -1 for what is not wired."""

    pins: str = setting(
        "lgpio", one_of("lgpio", "mock"), "What moves the pins: lgpio on the box; mock moves none, and production refuses it."
    )
    lamp: int = setting(-1, whole(-1, 27, 17), "The GPIO line of the status lamp.")
    lamp_active_low: bool = setting(False, YES_NO, "Whether the lamp is lit at low level.")
    buzzer: int = setting(-1, whole(-1, 27, 27), "The GPIO line of the buzzer.")
    buzzer_active_low: bool = setting(False, YES_NO, "Whether the buzzer sounds at low level.")
    button: int = setting(-1, whole(-1, 27, 22), "The GPIO line of the call button.")
    button_active_low: bool = setting(True, YES_NO, "Whether the button connects to ground, as most do.")
    mains: int = setting(-1, whole(-1, 27, 6), "The GPIO line on which the UPS says that there is power from the wall.")
    mains_active_low: bool = setting(False, YES_NO, "Whether that line is low while there is power from the wall.")
    shutdown_after_s: int = setting(
        600, whole(0, 86_400, 600), "Seconds on the battery until the file shutdown appears in paths.run; 0: never."
    )

    @property
    def wired(self) -> tuple[int, ...]:
        """The lines that are in use."""
        return tuple(pin for pin in (self.lamp, self.buzzer, self.button, self.mains) if pin >= 0)


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One device: ``[devices.NAME]``; NAME is 1-32 lower-case letters, digits and hyphens."""

    driver: str = setting("", form(r"[a-z0-9][a-z0-9-]{1,31}", "the name of a driver", "suntech-nibp"), "The device's family.")
    port: str = setting("", DEVICE_PORT, "Where it is plugged in; sim:// is a simulator and its values are marked as test data.")
    name: str = setting("", text("Máy đo huyết áp", 40), "Its name as people read it; empty: the name of the section.")
    patient_types: tuple[str, ...] = setting(("adult",), some_of("adult", "paediatric", "neonate"), "Who may be measured with it.")
    simulated: bool = setting(False, YES_NO, "A simulator stands behind the port: everything from it is marked as test data.")
    arm: str = setting("", one_of("", "left", "right"), "The arm it is usually put on; empty: either, so a cuff may squeeze a probe's arm.")
    rest_s: int = setting(30, whole(30, 600, 60), "Seconds an arm rests at least between two inflations of this cuff.")
    cycles_per_hour: int = setting(12, whole(1, 20, 12), "How often this cuff squeezes one patient within an hour at most.")


@dataclass(frozen=True, slots=True)
class Bridge:
    """The cloud bridge."""

    database: str = setting("sqlite:////var/lib/tram-bridge/bridge.db", DATABASE_URL, "Its database.")
    key_dir: Path = setting(
        Path("/var/lib/tram-bridge/keys"), path("/var/lib/tram-bridge/keys"), "The keys that sign receipts and answers."
    )
    shards: tuple[int, ...] = setting((0,), numbers(0, SHARDS - 1, "[0, 1, 2, 3]"), "The shards that are carried here.")
    console_host: str = setting("127.0.0.1", HOST, "The address of the doctors' console.")
    console_port: int = setting(8090, TCP_PORT, "Its port.")
    console_secret_file: Path = setting(
        Path("/var/lib/tram-bridge/console.secret"),
        path("/var/lib/tram-bridge/console.secret"),
        "Signs the cookies; made where it is missing.",
    )
    door_host: str = setting("127.0.0.1", HOST, "The address of the door (tram-bridge door).")
    door_port: int = setting(8443, TCP_PORT, "Its port.")
    door_cert: Path | None = setting(
        None, path("/etc/tram-bridge/door.pem", empty=True), "Its certificate, with what stands between it and the authority."
    )
    door_key: Path | None = setting(None, path("/etc/tram-bridge/door.key", empty=True), "The key of its certificate.")
    deny_file: Path | None = setting(
        None, path("/etc/mosquitto/tram-revoked.pem", empty=True), "Where the broker reads revoked serials (its crlfile); empty: nowhere."
    )
    admin_cert: Path | None = setting(
        None,
        path("/etc/tram-bridge/admin.pem", empty=True),
        "The certificate of tram-admin, which tells the broker's dynamic security whom to let in; empty: it is not told.",
    )
    admin_key: Path | None = setting(None, path("/etc/tram-bridge/admin.key", empty=True), "The key of that certificate.")
    organisation: str = setting("", text("Trung tâm Y tế khu vực Thử"), "Who answers, as people read it.")
    claim_s: int = setting(900, whole(60, 7200, 900), "Seconds a request stays with a doctor who does nothing on its page.")
    escalate_s: int = setting(600, whole(0, 86400, 600), "Seconds until an urgent request nobody opened goes to the next tier; 0: never.")
    escalate_routine_s: int = setting(0, whole(0, 604800, 86400), "The same for a routine request.")


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. `said` gives for each key (``broker.port``) the file that said it, or ``default``."""

    environment: str = setting(
        "demo", one_of("demo", "test", "production"), "What this installation is for; production refuses simulators."
    )
    station: Station = field(default_factory=Station)
    paths: Paths = field(default_factory=Paths)
    store: Store = field(default_factory=Store)
    broker: Broker = field(default_factory=Broker)
    link: Link = field(default_factory=Link)
    door: Door = field(default_factory=Door)
    wire: Wire = field(default_factory=Wire)
    kiosk: Kiosk = field(default_factory=Kiosk)
    bag: Bag = field(default_factory=Bag)
    update: Update = field(default_factory=Update)
    phone: Phone = field(default_factory=Phone)
    lan: Lan = field(default_factory=Lan)
    duty: Duty = field(default_factory=Duty)
    emergency: Emergency = field(default_factory=Emergency)
    sms: Sms = field(default_factory=Sms)
    panel: Panel = field(default_factory=Panel)
    devices: Mapping[str, DeviceSettings] = field(default_factory=dict)
    bridge: Bridge = field(default_factory=Bridge)
    said: Mapping[str, str] = field(default_factory=dict)

    def need(self, name: str) -> Any:
        """The value of a key this program cannot do without; SettingsError where it is empty."""
        value: Any = self
        for part in name.split("."):
            value = getattr(value, part)
        if value in ("", None, ()):
            one = keys()[name]
            raise SettingsError(name, value, one.check.expected, one.check.example, self.said.get(name, DEFAULT))
        return value


DEVICE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_NOT_SECTIONS = ("devices", "said")


def _sections(cls: type) -> dict[str, type]:
    """The sections of `Settings` by name, devices left out: their names are free."""
    hints = get_type_hints(cls)
    return {one.name: hints[one.name] for one in fields(cls) if "check" not in one.metadata and one.name not in _NOT_SECTIONS}


def _keys_of(cls: type, prefix: str) -> Iterator[Key]:
    for one in fields(cls):
        if "check" in one.metadata:
            yield Key(prefix + one.name, one.metadata["check"], one.default, one.metadata["doc"])


@cache
def keys() -> Mapping[str, Key]:
    """Every key by its name with dots; a device's keys stand under ``devices.*``."""
    found = list(_keys_of(Settings, ""))
    for name, cls in _sections(Settings).items():
        found += _keys_of(cls, f"{name}.")
    found += _keys_of(DeviceSettings, "devices.*.")
    return types.MappingProxyType({one.name: one for one in found})


# --- reading ------------------------------------------------------------------------------------------------------------------------


def layers(config: Sequence[Path] = ()) -> list[Path]:
    """The files a program reads: the system's where it exists, then those of ``--config``."""
    return [SYSTEM_FILE, *config] if SYSTEM_FILE.exists() else list(config)


def load(paths: Sequence[Path]) -> Settings:
    """The settings of these files, one laid over the other; SettingsError for the first thing that cannot be followed."""
    values: dict[str, Any] = {}
    said: dict[str, str] = {}
    for each in paths:
        for name, value in _read(Path(each)):
            values[name] = value
            said[name] = str(each)
    return _consistent(_build(values, said))


def _read(file: Path) -> Iterator[tuple[str, Any]]:
    """The checked keys of one file."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError("file", str(error), "a file in TOML", "[broker]", str(file)) from error
    except OSError as error:
        raise SettingsError("file", error.strerror, "a file that can be read", str(SYSTEM_FILE), str(file)) from error
    for name, value in _flat(data, file):
        one = keys()[_general(name)]
        try:
            taken = one.check.take(value)
        except ValueError:
            raise SettingsError(name, value, one.check.expected, one.check.example, str(file)) from None
        if isinstance(taken, Path) and not taken.is_absolute():
            taken = Path(os.path.abspath(file.parent / taken))
        yield name, taken


def _general(name: str) -> str:
    parts = name.split(".")
    return f"devices.*.{parts[2]}" if parts[0] == "devices" and len(parts) == 3 else name


def _flat(data: Mapping[str, Any], file: Path) -> Iterator[tuple[str, Any]]:
    """The file's keys with dots in their names; SettingsError for a key that does not exist."""
    sections = _sections(Settings)
    for name, value in data.items():
        if name == "devices" and isinstance(value, dict):
            yield from _devices(value, file)
        elif name in sections and isinstance(value, dict):
            for inner, each in value.items():
                yield _known(f"{name}.{inner}", each, file), each
        elif name in sections or name == "devices" or isinstance(value, dict):
            section = max([*sections, "devices"], key=lambda one: _likeness(name, one))
            what = "a section with keys of its own" if section == name else f"a section that exists; the nearest is [{section}]"
            raise SettingsError(name, value, what, f"[{section}]", str(file))
        else:
            yield _known(name, value, file), value


def _devices(data: Mapping[str, Any], file: Path) -> Iterator[tuple[str, Any]]:
    for name, inner in data.items():
        if not DEVICE_NAME.fullmatch(name) or not isinstance(inner, dict):
            expected = "a section whose name has 1-32 lower-case letters, digits and hyphens"
            raise SettingsError(f"devices.{name}", inner, expected, "[devices.cuff]", str(file))
        for needed in ("driver", "port"):
            if needed not in inner:
                check = keys()[f"devices.*.{needed}"].check
                raise SettingsError(f"devices.{name}.{needed}", MISSING, check.expected, check.example, str(file))
        for key_name, value in inner.items():
            yield _known(f"devices.{name}.{key_name}", value, file), value


def _known(name: str, value: Any, file: Path) -> str:
    """`name` if it exists; SettingsError that names the nearest one otherwise."""
    if is_key(name):
        return name
    near = nearest(name)
    raise SettingsError(name, value, f"a key that exists; the nearest is {near}", f"{near} = {keys()[near].check.example}", str(file))


def is_key(name: str) -> bool:
    """True for a key that exists, a device's key by the device's own name included."""
    return _general(name) in keys()


def nearest(name: str) -> str:
    """The existing key most like `name`, its last part weighing as much as the whole."""
    wanted = _general(name)

    def likeness(other: str) -> float:
        return _likeness(wanted, other) + _likeness(wanted.rpartition(".")[2], other.rpartition(".")[2])

    return max(keys(), key=likeness)


def _likeness(one: str, other: str) -> float:
    """How alike two names are, 0 to 1."""
    from difflib import SequenceMatcher  # only who has misspelt something needs it

    return SequenceMatcher(None, one, other).ratio()


def _build(values: Mapping[str, Any], said: Mapping[str, str]) -> Settings:
    """The tree of one flat set of checked values."""
    made: dict[str, Any] = {name: value for name, value in values.items() if "." not in name}
    for name, cls in _sections(Settings).items():
        made[name] = cls(**_under(values, f"{name}."))
    names = sorted({name.split(".")[1] for name in values if name.startswith("devices.")})
    devices = {}
    for each in names:
        inner = _under(values, f"devices.{each}.")
        inner["name"] = inner.get("name") or each
        devices[each] = DeviceSettings(**inner)
    return Settings(**made, devices=types.MappingProxyType(devices), said=types.MappingProxyType(dict(said)))


def _under(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def _consistent(settings: Settings) -> Settings:
    """What no key can say alone; SettingsError where two keys do not go together."""
    for name, device in settings.devices.items():
        if settings.environment == "production" and device.simulated:
            where = f"devices.{name}.simulated"
            raise SettingsError(where, True, "false where environment is production", "false", settings.said.get(where, DEFAULT))
        if settings.environment == "production" and device.port.startswith("sim://"):
            where = f"devices.{name}.port"
            expected = "a real port: simulators are refused where environment is production"
            raise SettingsError(where, device.port, expected, DEVICE_PORT.example, settings.said.get(where, DEFAULT))
    if settings.environment == "production" and not BLANK_S[0] <= settings.kiosk.blank_s <= BLANK_S[1]:
        expected = f"{BLANK_S[0]} to {BLANK_S[1]} seconds where environment is production"
        where = settings.said.get("kiosk.blank_s", DEFAULT)
        raise SettingsError("kiosk.blank_s", settings.kiosk.blank_s, expected, "120", where)
    if settings.environment == "production" and settings.wire.sealing == "off":
        expected = "on where environment is production: the broker must not read what patients say"
        raise SettingsError("wire.sealing", "off", expected, '"on"', settings.said.get("wire.sealing", DEFAULT))
    _panel_consistent(settings)
    broker = settings.broker
    if bool(broker.cert) != bool(broker.key):
        where = "broker.key" if broker.cert else "broker.cert"
        raise SettingsError(
            where, "", "a path: a certificate and its key go together", '"/etc/tram/station.key"', settings.said.get(where, DEFAULT)
        )
    if settings.environment == "production" and not broker.tls and broker.host not in ("127.0.0.1", "::1", "localhost"):
        expected = "true where environment is production and the broker is another machine"
        raise SettingsError("broker.tls", False, expected, "true", settings.said.get("broker.tls", DEFAULT))
    if broker.kind == "amqp" and broker.port in MQTT_PORTS:
        expected = "RabbitMQ's port for AMQP where broker.kind is amqp: 5672, with TLS 5671"
        raise SettingsError("broker.port", broker.port, expected, "5672", settings.said.get("broker.port", DEFAULT))
    return settings


def _panel_consistent(settings: Settings) -> None:
    """Two parts cannot share a line, and pins that do not exist call nobody."""
    panel = settings.panel
    if settings.environment == "production" and panel.pins == "mock":
        where = settings.said.get("panel.pins", DEFAULT)
        raise SettingsError("panel.pins", panel.pins, "lgpio where environment is production", '"lgpio"', where)
    for name in ("lamp", "buzzer", "button", "mains"):
        pin = getattr(panel, name)
        if panel.wired.count(pin) > 1:
            expected = "a line of its own: another part has the same one"
            raise SettingsError(f"panel.{name}", pin, expected, "17", settings.said.get(f"panel.{name}", DEFAULT))


# --- showing ------------------------------------------------------------------------------------------------------------------------


def show(settings: Settings) -> Iterable[str]:
    """What is in force, one line a key, each with the file that said it."""
    rows = [(name, _value(settings, name)) for name in keys() if "*" not in name]
    rows += [
        (f"devices.{name}.{one.name}", getattr(device, one.name)) for name, device in settings.devices.items() for one in fields(device)
    ]
    width = max(len(f"{name} = {shown(value)}") for name, value in rows)
    for name, value in rows:
        line = f"{name} = {shown(value)}"
        yield f"{line:<{width}}  # {settings.said.get(name, DEFAULT)}"


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def shown(value: object) -> str:
    """A value as TOML would have it; a password within a URL is not shown."""
    if value is None:
        return '""'
    if value is MISSING:
        return "(missing)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(shown(one) for one in value) + "]"
    if isinstance(value, (str, Path)):
        plain = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", str(value))
        return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
