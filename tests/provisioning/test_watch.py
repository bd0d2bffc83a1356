"""The looks around of the role `monitoring`: what they say, how heavy it weighs, what they keep; without a machine."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.provisioning.nspawn import PROVISIONING

FILES = PROVISIONING / "roles/monitoring/files"
DAY = 86_400
GIB = 1 << 30


@pytest.fixture
def station() -> dict[str, Any]:
    """What watch_station.py defines."""
    return runpy.run_path(str(FILES / "watch_station.py"))


@pytest.fixture
def bridge() -> dict[str, Any]:
    """What watch_bridge.py defines."""
    return runpy.run_path(str(FILES / "watch_bridge.py"))


def test_a_line_of_the_check_goes_into_the_journal_by_its_weight(station: dict[str, Any]) -> None:
    """What fails is an error, what warns a warning with its next step; what is well is silent."""
    one = {"name": "card", "state": "fail", "en": "The card is worn out.", "next_en": "Replace it."}
    assert station["told"](json.dumps(one)) == "<3>card: The card is worn out. Replace it."
    assert station["told"](json.dumps(one | {"state": "warn", "next_en": ""})) == "<4>card: The card is worn out."
    assert [station["told"](json.dumps(one | {"state": state})) for state in ("ok", "absent")] == ["", ""]


def test_what_is_written_in_a_day_is_told_from_two_samples(station: dict[str, Any]) -> None:
    """An hour says nothing, a day does; a clock that went back, another card or a nonsense sample begin anew."""
    rate = station["rate"]
    day, sample = rate({}, 5 * GIB, 1000.0)
    assert day is None
    assert rate(sample, 6 * GIB, 1000.0 + 3600) == (None, sample)
    day, later = rate(sample, 6 * GIB, 1000.0 + 2 * DAY)
    assert day == GIB // 2
    assert rate(later, 7 * GIB, later["at"] + 60)[0] == GIB // 2, "the last word holds until there is a new one"
    for wrong in ({"at": 5000.0, "total": 1}, {"at": 0.0, "total": 9 * GIB}, {"at": "yesterday", "total": 1}, {"at": 0.0}):
        assert rate(wrong, 6 * GIB, 1000.0) == (None, {"at": 1000.0, "total": 6 * GIB})
    assert rate(sample, None, 2000.0) == (None, {}), "another file system does not count"


def test_the_count_of_a_file_system_is_its_own(station: dict[str, Any], tmp_path: Path) -> None:
    """ext4 counts kibibytes for its whole life; where there is no such count nothing is invented."""
    file = tmp_path / "fs/ext4/mmcblk0p4/lifetime_write_kbytes"
    file.parent.mkdir(parents=True)
    file.write_text("2048\n")
    assert station["written"]("mmcblk0p4", tmp_path) == 2 << 20
    assert [station["written"](disk, tmp_path) for disk in ("sda1", "")] == [None, None]


def test_the_station_is_looked_at_even_where_nothing_can_be_known(tmp_path: Path) -> None:
    """The command as systemd runs it: its findings on standard output, the numbers in files, exit code 0."""
    program = tmp_path / "tram"
    line = json.dumps({"name": "clock", "state": "fail", "en": "The time is not known.", "next_en": "Bring a line."})
    program.write_text(f"#!/bin/sh\necho '{line}'\nexit 1\n")
    program.chmod(0o755)
    environment = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path), "STATE_DIRECTORY": str(tmp_path)}
    command = [sys.executable, "-I", str(FILES / "watch_station.py"), str(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "<3>clock: The time is not known. Bring a line.\n"), done.stderr
    assert set(json.loads((tmp_path / "wear.json").read_text())) == {"written_day", "worn", "failed"}
    assert json.loads((tmp_path / "check.jsonl").read_text())["name"] == "clock"


def test_a_silent_station_is_named_and_a_loud_one_is_not(bridge: dict[str, Any]) -> None:
    """Silent weighs as a warning; badly heard devices too; a station that is well says nothing."""
    lines = [
        json.dumps({"station": "tram-0001", "silent": True, "heard": "2026-01-02T03:04+00:00", "alarms": 0, "devices": 2}),
        json.dumps({"station": "tram-0002", "silent": False, "heard": "x", "alarms": 0, "devices": 2}),
        json.dumps({"station": "tram-0003", "silent": False, "heard": "x", "alarms": 1, "devices": 2}),
    ]
    found = bridge["stations"](lines)
    assert [(weight, text.split()[1].strip(":")) for weight, text in found] == [(4, "tram-0001"), (4, "tram-0003")]


def test_an_old_backup_and_a_full_disk_are_errors(bridge: dict[str, Any], tmp_path: Path) -> None:
    """None at all, one of the day before yesterday, one of this morning; half a backup is none."""
    now = 1_800_000_000.0
    (tmp_path / ".partial-1").mkdir()
    assert bridge["backups"](tmp_path, now, 26)[0][0] == 3
    one = tmp_path / "backup-20260101T000000Z-00000000"
    one.mkdir()
    for hours, weights in ((48, [3]), (3, [])):
        os.utime(one, (now - hours * 3600,) * 2)
        assert [weight for weight, _ in bridge["backups"](tmp_path, now, 26)] == weights
    assert [weight for weight, _ in bridge["disks"]([tmp_path, tmp_path / "nothing"], 0)] == [3]
    assert bridge["disks"]([tmp_path], 101) == []
