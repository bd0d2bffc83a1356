"""The command `tram`, as a person types it: settings, init, people, measuring without a browser."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance import cli
from appliance.agent.clock import Clock, boot_id
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Numeric, Reading, ReadingKind
from appliance.settings import load
from appliance.store import measuring
from appliance.store.boots import seq_of
from appliance.store.opening import open_store

ROOT = Path(__file__).resolve().parent.parent

BOX = """
[station]
id = "tram-0001"
[paths]
data = "data"
run = "run"
[store]
key_file = "store.key"
ballast_mb = 0
[devices.cuff]
driver = "suntech-nibp"
port = "sim://suntech-nibp"
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """The settings of a box that does not exist yet."""
    path = tmp_path / "tram.toml"
    path.write_text(BOX)
    return path


def tram(capfd: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """Run a command in this process: (exit code, stdout, stderr)."""
    code = cli.main([str(word) for word in words])
    out, err = capfd.readouterr()
    return code, out, err


def one(out: str) -> dict[str, Any]:
    """The one JSON object a command printed."""
    (line,) = out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


# --- settings ---------------------------------------------------------------------------------------------------------


def test_a_good_file_is_ok(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit 0 and ``ok``."""
    assert tram(capfd, "config", "--check", box) == (0, "ok\n", "")


def test_a_wrong_file_is_explained(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit 1 with file, key, value, what was expected, and a line that could be typed instead."""
    bad = tmp_path / "bad.toml"
    bad.write_text("[broker]\nport = 99999\n")
    code, out, err = tram(capfd, "config", "--check", bad)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"{bad}: broker.port",
        "  value:    99999",
        "  expected: a whole number from 1 to 65535",
        "  example:  broker.port = 1883",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[broker]\nprot = 1\n", ("broker.prot", "nearest is broker.port")),
        ('[devices.cuff]\ndriver = "suntek"\nport = "/dev/x"\n', ("devices.cuff.driver", '"suntek"', "contec-cms50", "suntech-nibp")),
        ("[broker\n", ("TOML", "line 1")),
    ],
)
def test_other_mistakes_are_explained_too(tmp_path: Path, capfd: pytest.CaptureFixture[str], content: str, words: tuple[str, ...]) -> None:
    """An unknown key names its nearest, an unknown driver the drivers there are, broken TOML its place."""
    bad = tmp_path / "bad.toml"
    bad.write_text(content)
    code, _, err = tram(capfd, "config", "--check", bad)
    assert code == 1
    assert all(word in err for word in words), err


def test_what_is_in_force_names_its_file(box: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """``--config`` before or after the command, more than once; the last one wins."""
    over = tmp_path / "over.toml"
    over.write_text("[kiosk]\nport = 8081\n")
    for words in (("--config", box, "config", "--show", "--config", over), ("config", "--show", "--config", box, "--config", over)):
        code, out, _ = tram(capfd, *words)
        assert code == 0
        lines = [line.split() for line in out.splitlines()]
        assert ["kiosk.port", "=", "8081", "#", str(over)] in lines
        assert ["station.id", "=", '"tram-0001"', "#", str(box)] in lines


def test_a_command_without_its_station_ends_with_78(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Settings that do not fit are no reason to restart a program for ever."""
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    code, _, err = tram(capfd, "patient", "find", "an", "--config", empty)
    assert code == 78
    assert "station.id" in err


# --- init and measuring without a browser ---------------------------------------------------------------------------------


def test_before_init_the_other_commands_say_what_is_missing(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No key yet: 75, the file is named, nothing is made."""
    code, _, err = tram(capfd, "patient", "find", "an", "--config", box)
    assert code == 75
    assert "store.key" in err
    assert not (box.parent / "data").exists()


def test_init_is_done_once(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The second run reports the same store and nothing done; the export names the station."""
    first = one(tram(capfd, "init", "--config", box, "--export", box.parent / "station.json")[1])
    second = one(tram(capfd, "init", "--config", box)[1])
    assert first["done"] != []
    assert (second["done"], second["epoch"], second["boot_seq"]) == ([], first["epoch"], first["boot_seq"])
    assert json.loads((box.parent / "station.json").read_text())["station"] == "tram-0001"
    assert stat.S_IMODE((box.parent / "data" / "tram.db").stat().st_mode) == 0o660


def settle(box: Path, session: int, systolic: int) -> measuring.Observed:
    """What the collector does when a measurement settles."""
    conn = open_store(load([box]), {})
    clock = Clock(seq_of(conn, boot_id(), 0))
    numerics = tuple(
        Numeric(metric, value, Status.TEST_DATA)
        for metric, value in ((Metric.SYSTOLIC, systolic), (Metric.DIASTOLIC, 74), (Metric.PULSE_RATE, 85))
    )
    reading = Reading(ReadingKind.BLOOD_PRESSURE, 5, numerics, clock.stamp())
    seen = measuring.observe(conn, reading, device="cuff", began=session, now=clock.stamp(), raw=b"")
    conn.close()
    return seen


def test_a_reading_is_saved_without_a_browser(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Staff, patient, session, measurement, save: the numbers come back with their lane, and a second save is the same one."""
    tram(capfd, "init", "--config", box)
    assert one(tram(capfd, "staff", "add", "an", "--name", "Thử Nghiệm An", "--config", box)[1])["code"] == "an"
    words = ("patient", "add", "--name", "Đặng Thử Nghiệm", "--birth", "1961", "--sex", "female", "--allergies", "none", "--config", box)
    patient = one(tram(capfd, *words)[1])
    assert one(tram(capfd, "patient", "find", "dang", "--config", box)[1]) == patient
    opened = one(tram(capfd, "session", "open", "--patient", patient["spelt"], "--device", "cuff", "--staff", "an", "--config", box)[1])
    assert (opened["patient"], opened["staff"], opened["seconds"]) == (patient["patient"], "an", 600)
    assert tram(capfd, "observe", "--session", str(opened["session"]), "--config", box)[0] == 1
    seen = settle(box, opened["session"], 115)
    code, out, err = tram(capfd, "observe", "--session", str(opened["session"]), "--staff", "an", "--config", box)
    saved = one(out)
    assert code == 0
    assert (saved["measurement"], saved["reading_key"], saved["patient"], saved["lane"]) == (
        seen.measurement, seen.key.hex(), patient["patient"], 2,
    )  # fmt: skip
    assert saved["numerics"][0] == {"metric": "SYSTOLIC", "value": 115, "unit": "mmHg", "status": ["test-data"]}
    assert saved["test_data"] is True
    assert json.loads(err)["step"] == "record"
    assert "Đặng" not in err
    again = one(tram(capfd, "observe", "--session", str(opened["session"]), "--config", box)[1])
    assert again == saved


def test_mistakes_at_the_command_line_are_answered_in_both_languages(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit 1, a Vietnamese sentence and an English one; nothing is written."""
    tram(capfd, "init", "--config", box)
    patient = one(tram(capfd, "patient", "add", "--name", "Thử Nghiệm", "--config", box)[1])["patient"]
    for words, vi, en in (
        (("patient", "add", "--name", "A1"), "Tên chỉ có chữ", "letters only"),
        (("session", "open", "--patient", "1", "--device", "cuff"), "Không có người bệnh", "is not here"),
        (("session", "open", "--patient", str(patient), "--device", "lamp"), "Không có máy lamp", "cuff"),
        (("session", "open", "--patient", str(patient), "--device", "cuff", "--staff", "x"), "Không có nhân viên", "tram staff add"),
        (("observe", "--session", "9"), "Không có phiên đo 9", "no session 9"),
    ):
        code, out, err = tram(capfd, *words, "--config", box)
        assert (code, out) == (1, ""), words
        assert vi in err, err
        assert en in err, err


def test_without_a_code_the_user_of_the_machine_is_the_actor(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nobody acts without a name."""
    tram(capfd, "init", "--config", box)
    patient = one(tram(capfd, "patient", "add", "--name", "Thử Nghiệm", "--config", box)[1])["spelt"]
    opened = one(tram(capfd, "session", "open", "--patient", patient, "--device", "cuff", "--config", box)[1])
    assert opened["staff"].startswith("cli:")
    assert tram(capfd, "session", "end", "--session", str(opened["session"]), "--config", box)[0] == 0
    assert settle(box, opened["session"], 115).state == "unassigned"


def test_a_store_of_a_later_version_ends_with_78(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Restarting would not help: the program has to be updated."""
    tram(capfd, "init", "--config", box)
    conn = open_store(load([box]), {})
    conn.execute("UPDATE meta SET value = 99 WHERE key = 'min_reader'")
    conn.close()
    for words in (("patient", "find", "an"), ("init",)):
        code, _, err = tram(capfd, *words, "--config", box)
        assert code == 78
        assert "update it" in err


@pytest.mark.parametrize("words", [(), ("nothing",), ("session",), ("config",), ("session", "open")])
def test_wrong_usage_ends_with_2(words: tuple[str, ...]) -> None:
    """As everywhere."""
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2


def test_every_command_explains_itself(capfd: pytest.CaptureFixture[str]) -> None:
    """Each row of the table has help that begins with its words."""
    for command in cli.commands():
        with pytest.raises(SystemExit) as caught:
            cli.main([*command.words.split(), "--help"])
        assert caught.value.code == 0
        assert f"usage: tram {command.words}" in capfd.readouterr().out


# --- what it costs ----------------------------------------------------------------------------------------------------------

LOADED = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"


@pytest.mark.parametrize(
    "name",
    ["measuring", "outbox", "consults", "downlink", "devices", "patients", "keys", "boots", "opening", "staff", "ballast", "records"],
)
def test_a_part_of_the_store_brings_no_web_server_and_no_migrations(name: str) -> None:
    """What collect and carry import of the store loads neither Flask nor sqlite_utils nor the system's SQLite."""
    command = [sys.executable, "-c", LOADED, "appliance.cli", "appliance.agent.clock", "appliance.journal", f"appliance.store.{name}"]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split())
    assert f"appliance.store.{name}" in loaded
    assert not {"flask", "waitress", "sqlite_utils", "sqlite3", "sqlalchemy", "paho", "serial"} & loaded


def test_the_key_is_in_no_argument_and_no_environment(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It lies in its file and nowhere a process list would show it."""
    tram(capfd, "init", "--config", box)
    key = (box.parent / "store.key").read_text().strip()
    assert len(key) == 64
    assert all(key not in value for value in os.environ.values())
    assert key not in "".join(path.read_text() for path in ROOT.glob("appliance/**/*.py"))
