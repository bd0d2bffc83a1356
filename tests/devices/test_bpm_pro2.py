"""BPM PRO 2: the one public vector, results, errors, the check, noise."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric
from appliance.devices.decode import decode
from appliance.devices.driver import Line
from appliance.devices.drivers.bpm_pro2 import ERRORS, ROW, BpmPro2, crc
from appliance.devices.events import Notice, Word
from appliance.devices.sim.bpm_pro2 import packet, result
from tests.devices.lines_of import Wire, heard, values
from tests.devices.proofs import (
    a_cut_frame_ends_with_silence,
    damage_is_noise,
    decodes_alike,
    frames_survive,
    never_sends,
    noise_is_no_value,
)
from tests.lines import feed, one_frame

NAME = "bpm-pro2"


def test_the_public_vector(captures: Path) -> None:
    """48 mmHg in the cuff: a notice, no sample, no noise."""
    frame = bytes.fromhex((captures / "bpmpro2_5a_modbuscrc" / "frame.txt").read_text().split()[1])
    (said,) = feed(BpmPro2(), [frame], bound=ROW.bound)
    assert said == Notice(Word.PRESSURE, "", 48, frame)
    (totals,) = decode(ROW, frame)
    assert totals["totals"]["frame_bytes"] == 8


def test_the_check() -> None:
    """CRC-16/Modbus by its published check value, high byte first on the wire."""
    assert crc(b"123456789") == 0x4B37
    assert packet(0x28, b"\x00\x30").hex() == "5a0828f200306745"


def test_a_result() -> None:
    """Four numbers of two bytes and the device's time; a dead clock is flagged, a date that is none is none."""
    sample = one_frame(ROW, result(121, 75, 90, 66), tail=b"\x5a\x08")
    assert values(sample) == {Metric.SYSTOLIC: 121, Metric.DIASTOLIC: 75, Metric.MEAN: 90, Metric.PULSE_RATE: 66}
    assert (sample.device_time, sample.result, sample.signals) == ("2026-03-05T09:42:00", True, ())
    (old,) = heard(NAME, result(121, 75, 0, 0, (2000, 1, 1, 0, 0)))
    assert (old.device_time, old.signals) == ("2000-01-01T00:00:00", (("clock_implausible", 1),))
    assert (values(old)[Metric.MEAN], values(old)[Metric.PULSE_RATE]) == (None, None)
    assert heard(NAME, result(121, 75, 90, 66, (2026, 13, 1, 0, 0)))[0].device_time is None
    assert heard(NAME, result(0, 75, 90, 66))[0].invalid == "no-value"
    assert heard(NAME, packet(0x22, bytes(9)))[0].invalid == "unknown-layout"


def test_every_number() -> None:
    """0 to 300 in each of the four places."""
    for number in range(1, 301):
        (sample,) = heard(NAME, result(number, number, number, number))
        assert set(values(sample).values()) == {number}


def test_every_error_is_a_failed_measurement() -> None:
    """0 is no error; any other number is kept."""
    assert sorted(ERRORS) == [1, 2, 3, 4, 10, 11, 37]
    assert heard(NAME, packet(0x25, b"\x00")) == []
    for code in range(1, 256):
        (sample,) = heard(NAME, packet(0x25, bytes([code])))
        assert sample.invalid == f"device-error-{code}"


def test_what_is_no_measurement() -> None:
    """The device's id is said; other ids and other units are told and are no samples."""
    said = feed(BpmPro2(), [packet(0x0F, b"SN0001\0\0\0\0\0\0") + packet(0x26, b"\0") + packet(0x22, bytes(14), 0xF1)], bound=ROW.bound)
    assert [each.text for each in said if isinstance(each, Notice)] == ["SN0001", "packet-26", "unit-f1"]


def test_hostile_lines() -> None:
    """Garbage, bits turned, bytes lost, cut packets, noise."""
    frames_survive(NAME, [result(121, 75, 90, 66), packet(0x25, b"\x02"), result(122, 76, 91, 67)])
    damage_is_noise(NAME, result(121, 75, 90, 66))
    a_cut_frame_ends_with_silence(NAME, result(121, 75, 90, 66))
    noise_is_no_value(NAME, heads=[b"\x5a\x14\x22\xf2", b"\x5a"])


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([result(121, 75, 90, 66), packet(0x28, b"\0\x30")])), max_size=20))
def test_it_never_raises(chunks: list[bytes]) -> None:
    """Any bytes, any cuts: the books balance (checked by feed)."""
    feed(BpmPro2(), chunks, bound=ROW.bound)


def test_round_trip_faults_and_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every result comes back, also on a bad line only those; errors make none."""
    for faults in ((), ("noise@1:9",), ("wrong-checksum@1:9",)):
        wire = Wire(NAME, *faults, cycle="2").run(21)
        sent = wire.script.device.sent  # type: ignore[attr-defined]
        made = [tuple(values(each)[at] for at in (Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.PULSE_RATE)) for each in wire.made]
        assert made == sent if not faults else made and set(made) <= set(sent) and wire.noise
    assert Wire(NAME, cycle="2", error="2").run(9).made == []
    decodes_alike(NAME, monkeypatch, cycle="2")


def test_the_row() -> None:
    """19200 8N1, off in service, never sends: neither a start nor a calibration exists."""
    assert ROW.line == Line(baud=19200)
    assert not ROW.service
    never_sends(NAME)
