"""MaiBoBo: the frames of the protocol sheet, errors, results where two sources agree, noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric
from appliance.devices.driver import Line
from appliance.devices.drivers.maibobo import ERRORS, ROW, Maibobo, checked
from appliance.devices.events import Notice, Word
from appliance.devices.sim.maibobo import packet, result
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

NAME = "maibobo"


def test_the_check_of_the_published_commands() -> None:
    """Start and stop, which the host sends, carry the same xor as what the device says."""
    assert checked(bytes.fromhex("CC80030301020003"))
    assert checked(bytes.fromhex("CC80030301030002"))
    assert not checked(bytes.fromhex("CC80030301030003"))


def test_pressure_and_answers_are_no_samples() -> None:
    """The moving pressure goes to the live view, the answers are told."""
    said = feed(Maibobo(), [packet(5, b"\x01\x02") + packet(2, b"\x00") + packet(9, b"")], bound=ROW.bound)
    assert [(each.word, each.text, each.value) for each in said if isinstance(each, Notice)] == [
        (Word.PRESSURE, "", 258), (Word.STATE, "started", None), (Word.STATE, "packet-0109", None),
    ]  # fmt: skip


def test_every_error_is_a_failed_measurement() -> None:
    """The documented codes and any other: its number is kept, nothing is a value."""
    assert sorted(ERRORS) == [1, 2, 5, 6, 9, 15, 16]
    for code in range(256):
        (sample,) = heard(NAME, packet(7, bytes([code])))
        assert sample.invalid == f"device-error-{code}"
        assert set(values(sample).values()) == {None}


def test_results() -> None:
    """Numbers above 255 too; a shorter packet, or numbers no cuff says, are not guessed at."""
    sample = one_frame(ROW, result(121, 75, 66), tail=b"\xaa\x80")
    assert values(sample) == {Metric.SYSTOLIC: 121, Metric.DIASTOLIC: 75, Metric.PULSE_RATE: 66}
    assert sample.result
    (high,) = heard(NAME, result(258, 130, 0))
    assert values(high) == {Metric.SYSTOLIC: 258, Metric.DIASTOLIC: 130, Metric.PULSE_RATE: None}
    whys = [heard(NAME, each)[0].invalid for each in (result(0, 75, 66), result(70, 75, 66), result(500, 75, 66), packet(6, bytes(12)))]
    assert whys == ["no-value", "unknown-layout", "unknown-layout", "unknown-layout"]


def test_every_number() -> None:
    """Systolic and pulse to 300."""
    for number in range(61, 301):
        (sample,) = heard(NAME, result(number, 60, number))
        assert values(sample) == {Metric.SYSTOLIC: number, Metric.DIASTOLIC: 60, Metric.PULSE_RATE: number}


def test_hostile_lines() -> None:
    """Garbage, bits turned, bytes lost, cut packets, noise."""
    frames_survive(NAME, [result(121, 75, 66), packet(7, b"\x0f"), result(122, 76, 67)])
    damage_is_noise(NAME, result(121, 75, 66))
    a_cut_frame_ends_with_silence(NAME, result(121, 75, 66))
    noise_is_no_value(NAME, heads=[b"\xaa\x80\x03", b"\xaa\x80\x03\x03\x01\x06"])


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([result(121, 75, 66), packet(5, b"\x00\x30")])), max_size=20))
def test_it_never_raises(chunks: list[bytes]) -> None:
    """Any bytes, any cuts: the books balance (checked by feed)."""
    feed(Maibobo(), chunks, bound=ROW.bound)


def test_round_trip_faults_and_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every result comes back, also on a bad line only those; errors make none."""
    for faults in ((), ("noise@1:9",), ("wrong-checksum@1:9",)):
        wire = Wire(NAME, *faults, cycle="2").run(21)
        sent = wire.script.device.sent  # type: ignore[attr-defined]
        made = [tuple(values(each).values()) for each in wire.made]
        assert made == sent if not faults else made and set(made) <= set(sent) and wire.noise
    assert Wire(NAME, cycle="2", error="15").run(9).made == []
    decodes_alike(NAME, monkeypatch, cycle="2")


def test_the_row() -> None:
    """9600 8N1, off in service, never sends."""
    assert ROW.line == Line(baud=9600)
    assert not ROW.service
    never_sends(NAME)
