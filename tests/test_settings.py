"""Settings: every key has a check and a line of documentation, and whoever writes a wrong one is told how to put it right."""

from pathlib import Path

import pytest

from appliance import settings
from appliance.settings import SettingsError, keys, layers, load, nearest, show

GOOD = """
environment = "test"
[station]
id = "tram-0001"
name = "Trạm Y tế xã Thử Nghiệm"
[paths]
data = "box/data"
[broker]
port = 8883
tls = true
[devices.cuff]
driver = "suntech-nibp"
port = "sim://suntech-nibp"
patient_types = ["adult", "neonate"]
[bridge]
shards = [0, 3]
database = "postgresql+psycopg://tram:geheim@db/tram"
"""


def file(folder: Path, content: str, name: str = "tram.toml") -> Path:
    """A settings file."""
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_a_usb_device_has_no_path(tmp_path: Path) -> None:
    """It is found by its ids."""
    found = load([file(tmp_path, '[devices.cuff]\ndriver = "omron-hem790"\nport = "hid"')])
    assert found.devices["cuff"].port == "hid"


def test_what_a_file_says_is_in_force(tmp_path: Path) -> None:
    """By attribute, with its type; paths are taken from the file's own folder; what nobody said is the default."""
    found = load([file(tmp_path, GOOD)])
    assert (found.environment, found.station.id, found.broker.port, found.broker.tls) == ("test", "tram-0001", 8883, True)
    assert found.paths.data == tmp_path / "box" / "data"
    assert (found.devices["cuff"].name, found.devices["cuff"].patient_types) == ("cuff", ("adult", "neonate"))
    assert (found.bridge.shards, found.link.metered, found.emergency.unreceived_s, found.emergency.unopened_s) == ((0, 3), True, 120, 600)
    assert (found.broker.ca, found.wire.sealing) == (None, "on")


def test_a_later_file_wins_key_by_key(tmp_path: Path) -> None:
    """The second file changes what it names and nothing else, and `said` knows which file said what."""
    first, second = file(tmp_path, GOOD), file(tmp_path, '[broker]\nport = 1884\n[devices.cuff]\nname = "Máy"\n', "more.toml")
    second.write_text(second.read_text() + 'driver = "suntech-nibp"\nport = "/dev/tram/cuff"\n')
    found = load([first, second])
    assert (found.broker.port, found.broker.tls, found.devices["cuff"].port, found.devices["cuff"].name) == (
        1884,
        True,
        "/dev/tram/cuff",
        "Máy",
    )
    assert found.devices["cuff"].patient_types == ("adult", "neonate")
    assert (found.said["broker.port"], found.said["broker.tls"]) == (str(second), str(first))
    assert "link.metered" not in found.said


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    """Frozen, devices included."""
    found = load([file(tmp_path, GOOD)])
    with pytest.raises(AttributeError):
        found.broker.port = 1  # type: ignore[misc]  # that is the point
    with pytest.raises(TypeError):
        found.devices["x"] = found.devices["cuff"]  # type: ignore[index]  # that is the point


WRONG = [
    ("[broker]\nport = 99999", "broker.port", "1 to 65535"),
    ('[broker]\nport = "1883"', "broker.port", "1 to 65535"),
    ("[broker]\nport = true", "broker.port", "1 to 65535"),
    ("[broker]\ntls = 1", "broker.tls", "true or false"),
    ('[broker]\nhost = "a b"', "broker.host", "host name"),
    ('[broker]\nmqtt = "4"', "broker.mqtt", "3.1.1"),
    ("[broker]\nprot = 1", "broker.prot", "broker.port"),
    ("prot = 1", "prot", "port"),
    ("[brokr]\nport = 1", "brokr", "[broker]"),
    ("broker = 1", "broker", "section"),
    ('[station]\nid = "Trạm"', "station.id", "lower-case"),
    ("[station]\nshard = 64", "station.shard", "0 to 63"),
    ('environment = "prod"', "environment", "production"),
    ('[kiosk]\nhost = "0.0.0.0"', "kiosk.host", "127.0.0.1"),
    ("[link]\nconnect_timeout_s = 0", "link.connect_timeout_s", "seconds"),
    ("[store]\npage_size = 1000", "store.page_size", "1024"),
    ("[wire]\nsealing = true", "wire.sealing", '"on"'),
    ('environment = "production"\n[wire]\nsealing = "off"', "wire.sealing", "on where environment is production"),
    ("[bridge]\nshards = []", "bridge.shards", "list"),
    ("[bridge]\nshards = [1, 1]", "bridge.shards", "each once"),
    ("[bridge]\nshards = [[1]]", "bridge.shards", "each once"),
    ('[bridge]\ndatabase = "mysql://x"', "bridge.database", "postgresql+psycopg"),
    ('[duty]\nphone = "gọi tôi"', "duty.phone", "telephone"),
    ('[paths]\ndata = ""', "paths.data", "path"),
    ('[devices.cuff]\ndriver = "suntech-nibp"', "devices.cuff.port", "serial port"),
    ('[devices.cuff]\nport = "/dev/x"', "devices.cuff.driver", "driver"),
    ('[devices.cuff]\ndriver = "x1"\nport = "ttyUSB0"', "devices.cuff.port", "serial port"),
    ('[devices.cuff]\ndriver = "x1"\nport = "/dev/x"\npatient_types = ["dog"]', "devices.cuff.patient_types", "neonate"),
    ('[devices.Cuff]\ndriver = "x1"\nport = "/dev/x"', "devices.Cuff", "lower-case"),
    ('[[devices]]\ndriver = "x1"', "devices", "section"),
    ('[broker]\ncert = "a.pem"', "broker.key", "go together"),
    ('environment = "production"\n[devices.cuff]\ndriver = "x1"\nport = "sim://x"', "devices.cuff.port", "refused"),
    ('environment = "production"\n[panel]\npins = "mock"', "panel.pins", "lgpio where environment is production"),
    ("[panel]\nlamp = 17\nbutton = 17", "panel.lamp", "a line of its own"),
    ("[panel]\nmains = 28", "panel.mains", "a whole number from -1 to 27"),
    ('environment = "production"\n[kiosk]\nblank_s = 121', "kiosk.blank_s", "60 to 120 seconds"),
    ('environment = "production"\n[broker]\nhost = "mqtt.example.org"', "broker.tls", "true where environment is production"),
    ("[broker", "file", "TOML"),
    ("a = 1\na = 2", "file", "TOML"),
]


@pytest.mark.parametrize(("content", "key", "word"), WRONG, ids=[content.replace("\n", " ") for content, _, _ in WRONG])
def test_a_wrong_file_says_key_value_expectation_and_example(tmp_path: Path, content: str, key: str, word: str) -> None:
    """Each error names the key and the file, what was expected, and an example."""
    path = file(tmp_path, content)
    with pytest.raises(SettingsError) as caught:
        load([path])
    error = caught.value
    assert error.key == key
    assert word in error.expected or word in error.example
    assert error.example
    assert error.file in (str(path), "default")
    assert key in str(error)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    """Missing, or bytes that are no UTF-8."""
    with pytest.raises(SettingsError, match=r"none\.toml"):
        load([tmp_path / "none.toml"])
    (tmp_path / "bad.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(SettingsError, match=r"bad\.toml"):
        load([tmp_path / "bad.toml"])


def test_every_key_is_documented_and_its_own_example_is_good() -> None:
    """The line beside each key ends like a sentence; the default and the example both pass the key's own check."""
    import tomllib

    for name, one in keys().items():
        assert one.doc.endswith("."), name
        example = tomllib.loads(f"x = {one.check.example}")["x"]
        one.check.take(example)
        default = one.default
        if default not in (None, "") and not isinstance(default, Path):
            one.check.take(list(default) if isinstance(default, tuple) else default)


@pytest.mark.parametrize("name", ["broker.prot", "brokre.port", "kiosk.blank", "devices.cuff.patient_type", "zzz"])
def test_the_nearest_key_exists(name: str) -> None:
    """Whatever was typed, the key that is proposed is one."""
    assert nearest(name) in keys()


def test_the_nearest_key_is_the_one_meant() -> None:
    """A slip of the finger leads to its key."""
    assert nearest("broker.prot") == "broker.port"
    assert nearest("link.keepalive") == "link.keepalive_s"
    assert nearest("devices.cuff.patient_type") == "devices.*.patient_types"


def test_showing_names_the_source_and_hides_passwords(tmp_path: Path) -> None:
    """One line for each key with the file that said it; the password in a database URL is not among them."""
    path = file(tmp_path, GOOD)
    lines = list(show(load([path])))
    (port,) = [line for line in lines if line.startswith("broker.port = ")]
    assert port.startswith("broker.port = 8883")
    assert port.endswith(f"# {path}")
    assert any(line.startswith('devices.cuff.port = "sim://suntech-nibp"') for line in lines)
    assert any(line.startswith("link.metered = true") and line.endswith("# default") for line in lines)
    assert "geheim" not in "\n".join(lines)
    shown = {line.partition(" = ")[0] for line in lines}
    assert {name for name in keys() if "*" not in name} <= shown


def test_what_a_program_cannot_do_without_is_asked_for(tmp_path: Path) -> None:
    """`need` gives the value, or says which key is empty."""
    assert load([file(tmp_path, GOOD)]).need("station.id") == "tram-0001"
    with pytest.raises(SettingsError, match=r"station\.id"):
        load([]).need("station.id")


def test_the_systems_file_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it exists it is the lowest layer; where it does not, it is not asked for."""
    monkeypatch.setattr(settings, "SYSTEM_FILE", tmp_path / "system.toml")
    assert layers([tmp_path / "a"]) == [tmp_path / "a"]
    (tmp_path / "system.toml").write_text("")
    assert layers([tmp_path / "a"]) == [tmp_path / "system.toml", tmp_path / "a"]
