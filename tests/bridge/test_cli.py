import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from cloud_bridge.cli import main
from cloud_bridge.commands.processes import shards_of

PASSWORD = "mot-mat-khau-thu"
STATION = {"station": "tram-0001", "shard": 3, "key_id": 0, "public": base64.b64encode(bytes(32)).decode()}


class Bridge:
    """A folder with settings, and the command in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, database: str = "") -> None:
        self.folder, self._capsys, self._patch = folder, capsys, monkeypatch
        self.config = folder / "bridge.toml"
        database = database or f"sqlite:///{folder}/data/bridge.db"
        self.config.write_text(f'[bridge]\ndatabase = "{database}"\nkey_dir = "keys"\nconsole_secret_file = "console.secret"\n')

    def run(self, *words: str | Path, stdin: str = "") -> tuple[int, list[dict], str]:
        """Exit code, the JSON lines of stdout, stderr."""
        self._patch.setattr("sys.stdin", io.StringIO(stdin))
        code = main(["--config", str(self.config), *map(str, words)])
        out, err = self._capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err

    def file(self, name: str, content: object) -> Path:
        """A file with JSON in it."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path


@pytest.fixture
def bridge(tmp_path, capsys, monkeypatch) -> Bridge:
    """A folder where nothing has been made yet."""
    return Bridge(tmp_path, capsys, monkeypatch)


@pytest.fixture
def ready(bridge: Bridge) -> Bridge:
    """An initialised bridge."""
    assert bridge.run("init")[0] == 0
    return bridge


def test_init_makes_everything_once_and_exports_what_stations_pin(database_url, tmp_path, capsys, monkeypatch):
    """Database, store id, the keys, secret; again: nothing; the export holds usable public keys and the store id."""
    bridge = Bridge(tmp_path, capsys, monkeypatch, database_url)
    code, (first,), _ = bridge.run("init", "--export", tmp_path / "pins.json")
    assert (code, first["made"]) == (0, ["store id", "receipt key", "answer key", "time key", "seal key", "factor key", "console secret"])
    pins = json.loads((tmp_path / "pins.json").read_text())
    assert bridge.run("init", "--export", tmp_path / "again.json")[1][0]["made"] == []
    assert json.loads((tmp_path / "again.json").read_text()) == pins
    assert len(bytes.fromhex(pins["store"])) == 8
    for purpose in ("receipt", "answer", "time", "seal"):
        ((number, public),) = [(key["key_id"], base64.b64decode(key["public"])) for key in pins[purpose]]
        assert number == 0
        (X25519PublicKey if purpose == "seal" else Ed25519PublicKey).from_public_bytes(public)
    for secret in (tmp_path / "console.secret", *(tmp_path / "keys").iterdir()):
        assert secret.stat().st_mode & 0o077 == 0


def test_two_inits_at_once_take_turns(database_url, tmp_path, capsys, monkeypatch):
    """Two real processes: both end well, and between them everything was made exactly once."""
    bridge = Bridge(tmp_path, capsys, monkeypatch, database_url)
    command = [sys.executable, "-m", "cloud_bridge.cli", "--config", str(bridge.config), "init"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    made = [each for out, _ in said for each in json.loads(out)["made"]]
    assert sorted(made) == ["answer key", "console secret", "factor key", "receipt key", "seal key", "store id", "time key"]


def test_before_init_the_sentence_says_what_to_do(bridge):
    """No file, then an empty one: waiting helps in the first case, init in the second; nothing is made on the way."""
    assert bridge.run("users", "list")[0] == 75
    assert not (bridge.folder / "data").exists()
    (bridge.folder / "data").mkdir()
    (bridge.folder / "data" / "bridge.db").touch()
    code, _, err = bridge.run("users", "list")
    assert code == 78
    assert "run tram-bridge init" in err


def test_users_add_lock_reset_list(ready):
    """A login's life on the command line; adding the same again is harmless."""
    add = ("users", "add", "bs.thu", "--name", "BS. Thử", "--role", "doctor", "--department", "internal", "--password-stdin")
    assert [ready.run(*add, stdin=PASSWORD + "\n")[1][0]["made"] for _ in range(2)] == [True, False]
    assert ready.run("users", "list")[1] == [
        {
            "user": "bs.thu",
            "name": "BS. Thử",
            "role": "doctor",
            "organisation": "",
            "department": "internal",
            "locked": False,
            "second_factor": "at the next login",
        }
    ]
    assert ready.run("users", "lock", "bs.thu")[0] == 0
    assert ready.run("users", "list")[1][0]["locked"] is True
    assert ready.run("users", "unlock", "bs.thu")[0] == 0
    new = ready.folder / "password"
    new.write_text("mot-mat-khau-khac\n")
    assert ready.run("users", "reset", "bs.thu", "--password-file", new)[0] == 0
    assert ready.run(*add, stdin="mot-mat-khau-khac\n")[1][0]["made"] is False


@pytest.mark.parametrize(
    ("words", "stdin", "key", "expected"),
    [
        (("users", "add", "BS THU", "--name", "x", "--password-stdin"), PASSWORD, "LOGIN", "lower-case"),
        (("users", "add", "bs.hai", "--name", " ", "--password-stdin"), PASSWORD, "--name", "the name that stations see"),
        (("users", "add", "bs.hai", "--name", "x", "--password-stdin"), "short", "password", "at least 12 characters"),
        (("users", "add", "bs.hai", "--name", "x"), "", "--password-file", "standard input"),
        (("users", "add", "bs.thu", "--name", "Another", "--password-stdin"), PASSWORD, "LOGIN", "not taken"),
        (("users", "lock", "nobody"), "", "LOGIN", "a login that exists"),
        (("users", "reset", "nobody", "--password-stdin"), PASSWORD, "LOGIN", "a login that exists"),
        (("stations", "revoke", "tram-0009"), "", "ID", "a station that is registered"),
    ],
)
def test_what_cannot_be_used_is_named_with_an_example(ready, words, stdin, key, expected):
    """Exit 1 with key, value, what was expected and an example; nothing was changed."""
    ready.run("users", "add", "bs.thu", "--name", "BS. Thử", "--password-stdin", stdin=PASSWORD)
    before = ready.run("users", "list")[1]
    code, out, err = ready.run(*words, stdin=stdin)
    assert (code, out) == (1, [])
    assert err.startswith(f"tram-bridge: {key}\n  value: ")
    assert "expected: " in err
    assert expected in err
    assert "  example:  " in err
    assert PASSWORD not in err
    assert ready.run("users", "list")[1] == before


def test_stations_add_list_revoke(ready):
    """From the file that the box exported; a new key replaces the old one and says so."""
    key = ready.file("key.json", STATION)
    assert ready.run("stations", "add", "tram-0001", "--key", key, "--name", "Trạm Thử")[1] == [
        {"station": "tram-0001", "shard": 3, "made": True, "key": "new"}
    ]
    assert ready.run("stations", "add", "tram-0001", "--key", key, "--shard", "7")[1][0] == {
        "station": "tram-0001", "shard": 7, "made": False, "key": "kept",
    }  # fmt: skip
    other = ready.file("other.json", STATION | {"public": base64.b64encode(b"k" * 32).decode()})
    assert ready.run("stations", "add", "tram-0001", "--key", other)[1][0]["key"] == "replaced"
    assert ready.run("stations", "revoke", "tram-0001")[0] == 0
    (listed,) = ready.run("stations", "list")[1]
    assert (listed["revoked"], base64.b64decode(listed["public"])) == (True, b"k" * 32)


@pytest.mark.parametrize(
    ("station", "content", "more", "key"),
    [
        ("TRAM", STATION, (), "ID"),
        ("tram-0002", STATION, (), "ID"),
        ("tram-0001", "not json", (), "--key"),
        ("tram-0001", [], (), "--key"),
        ("tram-0001", {"key_id": 0}, (), "--key"),
        ("tram-0001", STATION | {"public": "AAAA"}, (), "--key"),
        ("tram-0001", STATION | {"key_id": True}, (), "--key"),
        ("tram-0001", STATION | {"shard": 64}, (), "--shard"),
        ("tram-0001", STATION, ("--shard", "-1"), "--shard"),
    ],
)
def test_a_station_that_does_not_fit_is_not_registered(ready, station, content, more, key):
    """The sentence names the argument; the list stays empty."""
    code, _, err = ready.run("stations", "add", station, "--key", ready.file("key.json", content), *more)
    assert code == 1
    assert err.startswith(f"tram-bridge: {key}\n")
    assert ready.run("stations", "list")[1] == []


def test_a_missing_key_file_is_named(ready):
    """Not found is said in the same four lines."""
    code, _, err = ready.run("stations", "add", "tram-0001", "--key", ready.folder / "nowhere.json")
    assert code == 1
    assert "nowhere.json" in err


@pytest.mark.parametrize("text", ["", "x", "64", "3-1", "0-64", "1,,2", "-1"])
def test_shards_that_do_not_exist_are_refused(ready, text):
    """Before anything is started."""
    code, _, err = ready.run("carry", f"--shards={text}")
    assert code == 1
    assert err.startswith("tram-bridge: --shards\n")


def test_shards_are_read_as_numbers_and_ranges():
    """Each once, in order."""
    assert shards_of("7,0-2,1") == (0, 1, 2, 7)


def test_wrong_settings_are_named_with_their_file(bridge):
    """Exit 78 with key, value, what was expected and an example."""
    bridge.config.write_text("[bridge]\nconsole_port = 99999\n")
    code, _, err = bridge.run("init")
    assert code == 78
    for word in ("bridge.console_port", "99999", "expected:", "example:", str(bridge.config)):
        assert word in err


def test_a_key_others_can_read_stops_the_console(ready):
    """Exit 78 with the file and what was expected."""
    (ready.folder / "keys" / "answer-0.key").chmod(0o644)
    code, _, err = ready.run("console")
    assert code == 78
    assert "answer-0.key" in err
    assert "only its owner" in err


def test_quarantine_is_listed_without_its_bytes(ready):
    """What could not be read, with reason and place; the payload stays in the database."""
    from appliance.relay.storage import Bad
    from cloud_bridge.store.engine import open_engine, writing
    from cloud_bridge.store.outbox import set_apart

    engine = open_engine(f"sqlite:///{ready.folder}/data/bridge.db")
    with writing(engine) as tx:
        set_apart(tx, Bad("tram-0001", "v1/00/tram-0001/up/2", b"\x11secret", "truncated", "header"), 17_800_000_000)
    engine.dispose()
    code, (one,), _ = ready.run("quarantine", "list")
    assert code == 0
    assert (one["station"], one["reason"], one["bytes"]) == ("tram-0001", "truncated", 7)
    assert "secret" not in json.dumps(one)


def test_the_example_settings_can_be_followed():
    """What stands beside the units is a file this program accepts."""
    from appliance.settings import load

    settings = load([Path(__file__).parents[2] / "cloud-bridge" / "deploy" / "tram.toml.example"])
    assert settings.bridge.database.startswith("postgresql+psycopg://")
    assert settings.environment == "production"


def test_a_new_sealing_key_stands_beside_the_old_one(ready):
    """Listed with which one is in use, exported for stations to pin, the old one kept; signing keys are not changed so."""
    code, (made,), err = ready.run("keys", "rotate", "seal")
    assert (code, made) == (0, {"key": "seal", "key_id": 1, "made": True})
    assert "tram init --pin" in err
    listed = ready.run("keys", "list")[1]
    assert [(one["key"], one["key_id"], one["in_use"]) for one in listed] == [
        ("receipt", 0, True), ("answer", 0, True), ("time", 0, True), ("seal", 0, False), ("seal", 1, True),
    ]  # fmt: skip
    ready.run("init", "--export", ready.folder / "pins.json")
    pins = json.loads((ready.folder / "pins.json").read_text())
    assert [key["key_id"] for key in pins["seal"]] == [0, 1]
    assert [key["public"] for key in pins["seal"]] == [one["public"] for one in listed if one["key"] == "seal"]
    code, _, err = ready.run("keys", "rotate", "receipt")
    assert code == 1
    assert "keys rotate seal" in err
