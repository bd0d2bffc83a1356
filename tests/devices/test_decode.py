"""`tram device decode`: recordings from the field as JSON lines."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.devices.decode import FAILED, OK, UNREADABLE, HexError, decode, read_hex, run
from appliance.devices.registry import ROWS
from appliance.devices.sim.contec_cms50 import package
from appliance.devices.sim.suntech_nibp import result
from tests.devices.lines_of import Wire
from tests.lines import GARBAGE

FINGER = package(1, bytes([0x07, 40, 3, 72, 97, 0x20, 0x01]))
NO_FINGER = bytes.fromhex("01E994C095FFFFFFFF")


def command(driver: str, content: bytes, *, hex_text: bool = False, samples: bool = False) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, lines, complaint."""
    out: list[str] = []
    complaints: list[str] = []
    code = run(driver, lambda: content, hex_text=hex_text, samples=samples, say=out.append, complain=complaints.append)
    return code, [json.loads(line) for line in out], "\n".join(complaints)


def numbers(line: dict[str, Any]) -> dict[str, Any]:
    """The values of a line by the name of their metric."""
    return {each["metric"]: each["value"] for each in line["numerics"]}


def test_the_real_recording(captures: Path) -> None:
    """102 valid samples, a short measurement of 99 % and 60/min, four bytes pending, every byte accounted for."""
    text = (captures / "contec_cms50e_live" / "data").read_bytes()
    code, (measurement, totals), _ = command("contec-cms50", text, hex_text=True)
    assert code == OK
    assert measurement["kind"] == "spo2"
    assert numbers(measurement) == {"SPO2": 99, "PULSE_RATE": 60}
    assert [each["status"] for each in measurement["numerics"]] == [["early-indication"]] * 2
    assert [each["unit"] for each in measurement["numerics"]] == ["%", "/min"]
    assert measurement["device_time"] is None
    assert totals == {
        "totals": {
            "samples": 102, "valid": 102, "invalid": {}, "noise_bytes": 0, "pending_bytes": 4, "bytes": 922, "frame_bytes": 918,
        }
    }  # fmt: skip


def test_the_vendors_frames(captures: Path) -> None:
    """115/74, mean 88, pulse 85; the two bad frames are noise, the short replies are frame bytes and no samples."""
    lines = (captures / "suntech_nibp_vectors" / "vectors.txt").read_text().splitlines()
    text = "\n".join(f"{line.split()[1]}  # {line}" for line in lines if line.startswith("<"))
    code, (measurement, totals), _ = command("suntech-nibp", text.encode(), hex_text=True)
    assert code == OK
    assert measurement["kind"] == "blood_pressure"
    assert numbers(measurement) == {"SYSTOLIC": 115, "DIASTOLIC": 74, "MEAN": 88, "PULSE_RATE": 85}
    assert totals["totals"]["samples"] == totals["totals"]["valid"] == 1
    assert totals["totals"]["noise_bytes"] == 10
    assert totals["totals"]["frame_bytes"] == 24 + 5 + 4


def test_samples_are_shown_when_asked_for() -> None:
    """One line per frame, a missing value null with its reason among the status words."""
    _, lines, _ = command("contec-cms50", FINGER * 2 + NO_FINGER, samples=True)
    first, _, without, totals = lines
    assert numbers(first["sample"]) == {"SPO2": 97, "PULSE_RATE": 72, "PERFUSION": 2.88}
    assert first["sample"]["invalid"] is None
    assert without["sample"]["numerics"][0] == {"metric": "SPO2", "value": None, "unit": "%", "status": ["not-available", "probe-error"]}
    assert totals["totals"]["invalid"] == {"probe-error": 1}


def test_time_runs_at_the_devices_pace() -> None:
    """600 packages are ten seconds and settle; 599 with noise of their length between are not lost either."""
    _, (full, _), _ = command("contec-cms50", FINGER * 600)
    assert full["numerics"][0] == {"metric": "SPO2", "value": 97, "unit": "%", "status": []}
    assert {each["metric"]: each["value"] for each in full["statistics"]}["WINDOW"] == 10.0
    _, (short, _), _ = command("contec-cms50", FINGER * 500)
    assert short["numerics"][0]["status"] == ["early-indication"]


def test_less_than_a_second_is_no_measurement() -> None:
    """59 packages are counted and measure nothing."""
    _, (totals,), _ = command("contec-cms50", FINGER * 59)
    assert totals["totals"]["valid"] == 59


def test_finger_out_ends_a_measurement() -> None:
    """Twelve seconds, out for one, twelve seconds: two full measurements, in the order they were made."""
    _, lines, _ = command("contec-cms50", FINGER * 720 + NO_FINGER * 60 + FINGER * 720, samples=True)
    made = [at for at, line in enumerate(lines) if "kind" in line]
    assert made == [600, 720 + 1 + 60 + 600]


@pytest.mark.parametrize("driver", sorted(ROWS))
def test_noise_gives_no_reading(driver: str) -> None:
    """A megabyte of noise: no measurement, no valid sample, no byte lost."""
    data = random.Random(7).randbytes(1_000_000)
    _, (totals,), _ = command(driver, data)
    assert totals["totals"]["valid"] == 0


@given(st.lists(st.one_of(st.binary(max_size=15), st.sampled_from([FINGER, NO_FINGER, result(115, 74, 88, 85)])), max_size=15))
@pytest.mark.parametrize("driver", sorted(ROWS))
def test_the_books_balance(driver: str, parts: list[bytes]) -> None:
    """bytes = frame + noise + pending, samples = valid + invalid, for any recording."""
    data = b"".join(parts)
    _, lines, _ = command(driver, data, samples=True)
    totals = lines[-1]["totals"]
    assert totals["bytes"] == len(data) == totals["frame_bytes"] + totals["noise_bytes"] + totals["pending_bytes"]
    assert totals["samples"] == totals["valid"] + sum(totals["invalid"].values()) == sum("sample" in line for line in lines)


def test_the_result_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte by byte or 4 kB at once: the same lines."""
    data = GARBAGE + FINGER * 90 + GARBAGE + FINGER * 700 + NO_FINGER * 40 + FINGER * 100
    whole = list(decode(ROWS["contec-cms50"], data, samples=True))
    monkeypatch.setattr("appliance.devices.decode.CHUNK", 1)
    assert list(decode(ROWS["contec-cms50"], data, samples=True)) == whole


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("and-ua767", {"cycle": "2"}),
        ("contec-cms50", {"finger": "in"}),
        ("contec-cms50-v5", {}),
        ("ieee11073", {"kind": "oximeter", "cycle": "1"}),
        ("nonin", {"format": "1"}),
        ("nonin", {"format": "2"}),
        ("nonin", {"format": "7"}),
    ],
)
def test_a_bad_recording_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, str]) -> None:
    """Forty seconds with noise and lost bytes, of each family: the same lines, and at least one measurement."""
    data = Wire(name, "noise@9:2", "drop@14:2", **options).run(40).recorded
    found = list(decode(ROWS[name], data, samples=True))
    assert any("kind" in line for line in found)
    monkeypatch.setattr("appliance.devices.decode.CHUNK", 1)
    assert list(decode(ROWS[name], data, samples=True)) == found


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("3E 04\n4B 7x", 2, 5), ("> 3A20A6", 1, 1), ("3E0", 1, 4), ("3E 0 4", 1, 5), ("# only\n3E ff\n\n  zz", 4, 3), ("3E04 # ok\n3", 2, 2)],
)
def test_what_is_not_hex_is_pointed_at(text: str, line: int, column: int) -> None:
    """Line and column, counted from one, of the first thing that is not hex."""
    with pytest.raises(HexError) as caught:
        read_hex(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    code, lines, complaint = command("suntech-nibp", text.encode(), hex_text=True)
    assert (code, lines) == (UNREADABLE, [])
    assert f"line {line}, column {column}" in complaint


def test_hex_with_spaces_and_comments() -> None:
    """White space and comments are nothing, in Vietnamese too."""
    assert read_hex("\t3e 04 4B73 # hoàn thành\r\n\n#\n 3E05 0201ba") == bytes.fromhex("3E044B733E050201BA")


def test_an_unknown_driver_is_named() -> None:
    """Exit code 2, and the drivers there are."""
    code, lines, complaint = command("contec-cms99", b"")
    assert (code, lines) == (UNREADABLE, [])
    assert "contec-cms50" in complaint
    assert "suntech-nibp" in complaint


def test_a_file_that_cannot_be_read() -> None:
    """Says so, without a trace."""

    def missing() -> bytes:
        raise FileNotFoundError(2, "No such file", "recording.bin")

    complaints: list[str] = []
    assert run("contec-cms50", missing, hex_text=False, samples=False, say=print, complain=complaints.append) == FAILED
    assert "recording.bin" in complaints[0]


def test_an_empty_file_is_a_recording_of_nothing() -> None:
    """Only totals, all zero."""
    code, (totals,), _ = command("contec-cms50", b"")
    assert code == OK
    assert totals["totals"]["bytes"] == totals["totals"]["samples"] == 0
