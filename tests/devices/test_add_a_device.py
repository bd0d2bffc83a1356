"""docs/how-to/add-a-device.md is right: its five files, as they stand on the page, make a driver that passes its own test."""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from appliance.devices.reference import WORDS, records
from appliance.devices.registry import ROWS
from appliance.devices.sim.script import DEVICES
from tests.fuzz.count import bad, fuzz
from tests.house.tree import ROOT

PAGE = (ROOT / "docs" / "how-to" / "add-a-device.md").read_text(encoding="utf-8")
NAME = "ear-thermometer"


def blocks() -> dict[str, str]:
    """The code of the page by the path in its first line."""
    found = re.findall(r"^```python\n# (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return dict(found)


def load(path: str, folder: Path, patch: pytest.MonkeyPatch) -> ModuleType:
    """One of its files as a module under the name that its path would give it."""
    name = path.removesuffix(".py").replace("/", ".")
    file = folder / Path(path).name.replace("test_", "of_page_")
    file.write_text(blocks()[path], encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    patch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The page has been followed; the module of its test."""
    (tmp_path / "sim").mkdir()
    (tmp_path / "drivers").mkdir()
    driver = load("appliance/devices/drivers/ear_thermometer.py", tmp_path / "drivers", monkeypatch)
    simulated = load("appliance/devices/sim/ear_thermometer.py", tmp_path / "sim", monkeypatch)
    monkeypatch.setitem(ROWS, NAME, driver.ROW)
    monkeypatch.setitem(DEVICES, NAME, simulated.EarThermometer)
    return load("tests/devices/test_ear_thermometer.py", tmp_path, monkeypatch)


def test_the_pages_own_test_passes(added: ModuleType) -> None:
    """Every test function of it."""
    tests = [each for name, each in vars(added).items() if name.startswith("test_")]
    assert len(tests) == 3
    for each in tests:
        each()


@pytest.mark.usefixtures("added")
def test_the_pages_driver_stands_the_fuzz() -> None:
    """As every driver does."""
    count = fuzz(ROWS[NAME], 4, 300_000)
    assert bad(ROWS[NAME], count) == []
    assert count["true"]


def test_the_pages_quality_record_answers_every_rule() -> None:
    """No rule too few, none too many."""
    (text,) = re.findall(r"^```toml\n(\[ear-thermometer\].*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    record = tomllib.loads(text)[NAME]
    assert set(record) == {*records()["rules"], *WORDS}


def test_the_page_names_the_five_files_and_the_two_lines() -> None:
    """Where they really are."""
    for path in ("appliance/devices/registry.py", "appliance/devices/drivers/quality.toml", "appliance/devices/sim/script.py"):
        assert path in PAGE and (ROOT / path).is_file()
    assert '`"ear-thermometer": "ear_thermometer.ROW",`' in PAGE
