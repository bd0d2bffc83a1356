"""Every message a released box or bridge ever made is read for ever, and says what it said then."""

import json
from pathlib import Path

import pytest

import appliance
from tests.contract import make_golden

FILES = sorted(make_golden.FOLDER.glob("*.bin"))


def test_there_are_golden_messages_from_the_first_release_on() -> None:
    """Before 0.1.0 the wire may still change and the folder is empty on purpose; from then on every kind has its messages."""
    if appliance.__version__.startswith("0.1.0.dev"):
        assert FILES == []
        return
    names = {path.stem.rpartition("-")[0] for path in FILES}
    assert names >= {str(kind) for kind in make_golden.KINDS} | {"999", "day", "fragment", "hello", "receipt", "sealed"}


@pytest.mark.parametrize("path", FILES or [None], ids=lambda path: path.stem if path else "before the first release")
def test_a_golden_message_says_what_it_said(path: Path | None) -> None:
    """The bytes of then, read by the code of now."""
    if path is None:
        assert appliance.__version__.startswith("0.1.0.dev")
        return
    assert make_golden.told(path.read_bytes()) == json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def test_golden_messages_are_only_ever_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that makes them writes what is missing, with every kind among it, and a second run changes nothing."""
    monkeypatch.setattr(make_golden, "FOLDER", tmp_path)
    make_golden.main()
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name.rpartition("-")[0] for name in made} >= {str(kind) for kind in make_golden.KINDS}
    for name, payload in made.items():
        if name.endswith(".bin"):
            assert make_golden.told(payload) == json.loads(made[name.replace(".bin", ".json")])
    make_golden.main()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == made
