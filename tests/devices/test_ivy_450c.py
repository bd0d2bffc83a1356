"""Ivy 450C: the documented text, padding, empty fields, every number, cut frames, the cuff that changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric
from appliance.contract.readings import ReadingKind
from appliance.devices.decode import decode
from appliance.devices.driver import Line
from appliance.devices.drivers.ivy_450c import ROW, Ivy450c
from appliance.devices.sim.ivy_450c import frame
from tests.devices.lines_of import Wire, heard, values
from tests.devices.proofs import a_cut_frame_ends_with_silence, decodes_alike, never_sends, noise_is_no_value
from tests.lines import GARBAGE, every_way, feed

NAME = "ivy-450c"
ALL = {
    Metric.SPO2: 100, Metric.PULSE_RATE: 80, Metric.RESPIRATION: 35, Metric.SYSTOLIC: 121, Metric.DIASTOLIC: 75, Metric.MEAN: 92,
    Metric.TEMPERATURE: None,
}  # fmt: skip


@pytest.mark.parametrize("pad", [0, 7])
def test_the_documented_frame(pad: int) -> None:
    """All its numbers, with and without padding; a cuff heard for the first time is shown and is no measurement."""
    (sample,) = every_way(ROW, frame(pad=pad))
    assert (sample.kind, values(sample), sample.result) == (ReadingKind.VITAL_SIGNS, ALL, False)
    assert dict(sample.signals) == {"heart_rate": 80, "cuff_pulse": 80}
    lines = list(decode(ROW, frame(pad=pad), samples=True))
    assert [sorted(each) for each in lines] == [["sample"], ["totals"]]
    assert lines[-1]["totals"]["noise_bytes"] == 0


def test_empty_fields_are_no_value() -> None:
    """Each alone; all of them make an invalid sample; the ECG's rate stands in for the oximeter's."""
    (nothing,) = heard(NAME, frame(None, None, heart=None, breath=None, cuff=None))
    assert (nothing.invalid, set(values(nothing).values())) == ("no-value", {None})
    (ecg,) = heard(NAME, frame(None, None, heart=72))
    assert (values(ecg)[Metric.SPO2], values(ecg)[Metric.PULSE_RATE]) == (None, 72)


def test_every_number() -> None:
    """SpO2 1 to 100, pulse and cuff 1 to 299, temperatures of a person in °C."""
    for number in range(300):
        (sample,) = heard(NAME, frame(number, number, heart=None, breath=number, cuff=(number, number, number, number)))
        found = values(sample)
        assert found[Metric.SPO2] == (number if 0 < number <= 100 else None)
        assert {found[metric] for metric in ALL if metric not in (Metric.SPO2, Metric.TEMPERATURE)} == {number or None}
    said = [values(heard(NAME, frame(warm=warm))[0])[Metric.TEMPERATURE] for warm in ("36.8", "37", "98.6", "0.0", "")]
    assert said == [368, 370, None, None, None]


def test_a_changed_cuff_is_a_measurement() -> None:
    """Once, when it changes, of its own kind; when it is cleared that is none."""
    data = frame() * 2 + frame(cuff=(130, 80, 97, 70)) * 2 + frame(cuff=None) * 2
    made = [each for each in decode(ROW, data) if "kind" in each and each["rule"].startswith("the device")]
    assert [{one["metric"]: one["value"] for one in each["numerics"]} for each in made] == [
        {"SYSTOLIC": 130, "DIASTOLIC": 80, "MEAN": 97, "PULSE_RATE": 70}
    ]


def test_hostile_lines() -> None:
    """Garbage; waves that lost a byte; text with a byte that is none; a frame broken off by the next; noise."""
    good = frame()
    assert len(every_way(ROW, GARBAGE + b"\xff" + good + GARBAGE)) == 1
    for bad in (frame(waves=398), good[:-4] + b"\x80" + good[-3:], good[:300], good[:500]):
        assert [values(each) for each in heard(NAME, bad + good)] == [ALL]
    a_cut_frame_ends_with_silence(NAME, good)
    noise_is_no_value(NAME, b"0123456789;=\rSPO2NIBHR\xfe\xffANSAR-B ", heads=[b"\xffANSAR-B "])


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([frame(), frame()[:420], b"SPO2=1;98;\r\xfe"])), max_size=9))
def test_it_never_raises(chunks: list[bytes]) -> None:
    """Any bytes, any cuts: the books balance (checked by feed)."""
    feed(Ivy450c(), chunks, bound=ROW.bound)


def test_round_trip_faults_and_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """One measurement of the finger, one for each cuff result, on a bad line nothing else."""
    wire = Wire(NAME, cycle="15").run(40)
    sent = wire.script.device.sent  # type: ignore[attr-defined]
    cuffs = [each for each in wire.made if each.rule == 0]
    assert [tuple(values(each)[metric] for metric in (Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN)) for each in cuffs] == sent
    (finger,) = [each for each in wire.made if each.rule]
    assert (values(finger)[Metric.SPO2] or 0) >= 90
    assert not wire.noise
    bad = Wire(NAME, "wrong-checksum@0", "noise@3:3", cycle="4").run(20)
    assert bad.noise
    assert all((values(each).get(Metric.SPO2) or 95) >= 90 for each in bad.samples)
    decodes_alike(NAME, monkeypatch, cycle="5")


def test_the_row() -> None:
    """9600 8N1; never sends."""
    assert ROW.line == Line(baud=9600)
    never_sends(NAME)
