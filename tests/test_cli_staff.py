"""`tram staff …`: who works here, and their PINs, which never stand in a command line."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance.cli import main
from appliance.settings import load
from appliance.store import pins
from appliance.store.opening import open_store, secret_file
from tests.store.station import Hand

PIN = "480713"


@pytest.fixture
def box(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    """A settings file with an initialised store."""
    file = tmp_path / "tram.toml"
    file.write_text(
        '[station]\nid = "tram-0001"\n[paths]\ndata = "data"\nrun = "run"\n[store]\nkey_file = "store.key"\nballast_mb = 0\ngroup = ""\n',
        encoding="utf-8",
    )
    assert main(["init", "--config", str(file)]) == 0
    capfd.readouterr()
    return file


def tram(box: Path, capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, what was said as JSON lines, what was complained."""
    code = main(["staff", *words, "--config", str(box)])
    out, err = capfd.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What comes on standard input."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_the_first_lead_is_made_by_the_technician(box: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, role and PIN in one command; the PIN from standard input opens, and stands in nothing that was printed."""
    typed(monkeypatch, PIN + "\n")
    code, said, err = tram(box, capfd, "add", "tt", "--name", "Thử Nghiệm Trưởng", "--role", "lead", "--pin")
    assert (code, said, err) == (0, [{"code": "tt", "name": "Thử Nghiệm Trưởng", "role": "lead", "active": True}], "")
    assert tram(box, capfd, "list")[1] == [{"code": "tt", "name": "Thử Nghiệm Trưởng", "role": "lead", "pin": "set"}]
    settings = load([box])
    conn = open_store(settings, {})
    pins.attempt(conn, pins.read_secret(secret_file(settings)), "tt", PIN, now=Hand().clock(1).stamp())
    conn.close()


@pytest.mark.parametrize(
    ("pin", "words"), [("12345", "đúng 6 chữ số"), ("abcdef", "đúng 6 chữ số"), ("", "đúng 6 chữ số"), ("111111", "dễ đoán")]
)
def test_a_bad_pin_adds_nobody(box: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, pin: str, words: str) -> None:
    """Exit 1 with both languages; nothing is half done."""
    typed(monkeypatch, pin + "\n")
    code, said, err = tram(box, capfd, "add", "an", "--name", "Thử Nghiệm An", "--pin")
    assert (code, said) == (1, [])
    assert words in err
    assert tram(box, capfd, "list")[1] == []


def test_pins_are_set_unlocked_and_people_retired(box: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One command each; what cannot be is a sentence."""
    assert tram(box, capfd, "add", "an", "--name", "Thử Nghiệm An")[0] == 0
    assert tram(box, capfd, "list")[1][0]["pin"] == "none"
    code, _, err = tram(box, capfd, "unlock", "an")
    assert code == 1
    assert "chưa có mã PIN" in err
    typed(monkeypatch, PIN + "\n")
    assert tram(box, capfd, "pin", "an")[0] == 0
    assert tram(box, capfd, "unlock", "an", "--staff", "an")[0] == 0
    typed(monkeypatch, PIN + "\n")
    assert tram(box, capfd, "pin", "nobody")[0] == 1
    assert tram(box, capfd, "retire", "an")[0] == 0
    assert tram(box, capfd, "list")[1] == []
    assert tram(box, capfd, "retire", "an")[0] == 1
    code, _, err = tram(box, capfd, "add", "an", "--name", "Thử Nghiệm An", "--role", "chief")
    assert code == 1
    assert "trưởng trạm" in err
