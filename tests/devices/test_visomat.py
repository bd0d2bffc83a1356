"""Visomat: the three public records, both memories, counts that do not fit, dead clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric
from appliance.contract.readings import Source
from appliance.devices.decode import decode
from appliance.devices.drivers.visomat import ROW, Visomat
from appliance.devices.sim.visomat import answer, record
from tests.devices.lines_of import Wire, heard, values
from tests.devices.proofs import a_cut_frame_ends_with_silence, decodes_alike, never_sends, noise_is_no_value
from tests.lines import GARBAGE, every_way, feed

NAME = "visomat"
PUBLIC = ("4406011319 0 114063066", "1001011400 0 114070071", "1303121145 0 121080072")


@pytest.mark.parametrize("blanks", [True, False])
def test_the_public_records(blanks: bool) -> None:
    """Numbers, and clocks of 2044 and 2010 that are flagged and not corrected."""
    kept = [(each if blanks else each.replace(" ", "")).encode() for each in PUBLIC]
    data = answer(kept[:2], kept[2:])
    samples = every_way(ROW, data)
    assert [tuple(values(each).values()) for each in samples] == [(114, 63, 66), (114, 70, 71), (121, 80, 72)]
    assert [each.device_time for each in samples] == ["2044-06-01T13:19:00", "2010-01-01T14:00:00", "2013-03-12T11:45:00"]
    assert all(("clock_implausible", 1) in each.signals for each in samples)
    assert [(dict(each.signals)["memory"], each.ordinal, each.source) for each in samples] == [
        (1, 0, Source.MEMORY), (1, 1, Source.MEMORY), (2, 0, Source.MEMORY),
    ]  # fmt: skip
    *_, totals = decode(ROW, data)
    assert (totals["totals"]["noise_bytes"], totals["totals"]["pending_bytes"]) == (0, 0)


def test_every_number_and_flag() -> None:
    """0 to 999 in each place, both flags."""
    for number in range(1000):
        (sample,) = heard(NAME, answer([record(number, number, number, number % 2)], []))
        assert set(values(sample).values()) == {number or None}
        assert dict(sample.signals)["irregular_pulse"] == number % 2
    (sample,) = heard(NAME, answer([record(121, 80, 0, when="2602300000")], []))
    assert (sample.valid, sample.device_time, values(sample)[Metric.PULSE_RATE]) == (True, None, None)


def test_hostile_lines() -> None:
    """Garbage around; a digit lost or a wrong count is noise as a whole; a cut answer is none; empty memories are none."""
    data = answer([record(121, 80, 72)], [record(122, 81, 73)])
    assert len(every_way(ROW, GARBAGE + b"\x02" + data + GARBAGE)) == 2
    for at in range(len(data)):
        assert heard(NAME, data[:at] + data[at + 1 :]) == []
    assert heard(NAME, data.replace(b"M101", b"M102")) == []
    assert heard(NAME, answer([], [])) == []
    a_cut_frame_ends_with_silence(NAME, data)
    noise_is_no_value(NAME, b"0123456789MR \x02\x03", heads=[b"\x02R00M101", b"\x02R00"])


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([answer([record(121, 80, 72)], []), b"\x02R00M1"])), max_size=20))
def test_it_never_raises(chunks: list[bytes]) -> None:
    """Any bytes, any cuts: the books balance (checked by feed)."""
    feed(Visomat(), chunks, bound=ROW.bound)


def test_round_trip_faults_and_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory comes again and again, the same each time and longer; a damaged answer is none."""
    line = Wire(NAME, cycle="2").run(7)
    sent = line.script.device.sent  # type: ignore[attr-defined]
    assert [tuple(values(each).values()) for each in line.made] == [*sent[:1], *sent[:2], *sent[:3]]
    bad = Wire(NAME, "wrong-checksum@0", cycle="2").run(21)
    assert bad.noise
    assert {tuple(values(each).values()) for each in bad.made} <= set(bad.script.device.sent)  # type: ignore[attr-defined]
    decodes_alike(NAME, monkeypatch, cycle="2")


def test_the_row() -> None:
    """Off in service until the box has USB bulk; never sends."""
    assert not ROW.service
    never_sends(NAME)
