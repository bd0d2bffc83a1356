"""PM6750: the check of the published command, each packet type, every number, repeated results."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric
from appliance.contract.readings import ReadingKind
from appliance.devices.decode import decode
from appliance.devices.driver import Line
from appliance.devices.drivers.pm6750 import ROW, Pm6750
from appliance.devices.events import Notice
from appliance.devices.sim.pm6750 import packet
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

NAME = "pm6750"
OXYGEN, CUFF, WARM, ECG = packet(4, 0, 97, 72), packet(3, 0, 0, 121, 92, 75), packet(5, 0, 36, 8), packet(2, 72, 16, 255)


def test_the_published_check() -> None:
    """The one command that two projects print; the head of a cuff packet."""
    assert packet(2, 1).hex() == "55aa040201f8"
    assert CUFF.startswith(bytes.fromhex("55AA0803"))


def test_each_packet() -> None:
    """Kind, numbers, signals; unknown packets are no samples."""
    oxygen, cuff, warm, ecg = (one_frame(ROW, each, tail=b"\x55\xaa\x08") for each in (OXYGEN, CUFF, WARM, ECG))
    assert (oxygen.kind, values(oxygen)) == (ReadingKind.SPO2, {Metric.SPO2: 97, Metric.PULSE_RATE: 72})
    assert (cuff.kind, cuff.result) == (ReadingKind.BLOOD_PRESSURE, True)
    assert values(cuff) == {Metric.SYSTOLIC: 121, Metric.DIASTOLIC: 75, Metric.MEAN: 92}
    assert (warm.kind, values(warm)) == (ReadingKind.TEMPERATURE, {Metric.TEMPERATURE: 368})
    assert (ecg.kind, values(ecg)) == (ReadingKind.VITAL_SIGNS, {Metric.PULSE_RATE: 72, Metric.RESPIRATION: 16})
    assert dict(ecg.signals) == {"st": -1}
    (wave,) = feed(Pm6750(), [packet(1, 5, 6, 7)], bound=ROW.bound)
    assert isinstance(wave, Notice)
    (line, _) = decode(ROW, WARM)
    assert line["numerics"] == [{"metric": "TEMPERATURE", "value": 36.8, "unit": "°C", "status": []}]


def test_every_number_and_status() -> None:
    """SpO2 1 to 100, pulse 1 to 254, any status but 0 is no value, a cuff without a pressure has none."""
    for number in range(256):
        (sample,) = heard(NAME, packet(4, 0, number, number))
        assert values(sample) == {
            Metric.SPO2: number if 0 < number <= 100 else None, Metric.PULSE_RATE: number if 0 < number < 255 else None,
        }  # fmt: skip
        (sample,) = heard(NAME, packet(4, number, 97, 72))
        assert sample.invalid == (f"sensor-status-{number}" if number else None)
        (sample,) = heard(NAME, packet(5, number, 36, 8))
        assert sample.invalid == (f"sensor-status-{number}" if number else None)
        (sample,) = heard(NAME, packet(3, 0, number, number, 0, number))
        assert values(sample)[Metric.SYSTOLIC] == (number or None)
        assert dict(sample.signals)["cuff_pressure"] == 2 * number


def test_a_repeated_result_is_one_measurement() -> None:
    """The board shows its latest result for ever; only another one counts, also after a cycle without a value."""
    between = packet(3, 0, 60, 0, 0, 0)
    data = CUFF * 5 + between * 2 + CUFF * 3 + packet(3, 0, 0, 122, 92, 75)
    made = [each for each in decode(ROW, data) if "kind" in each]
    assert [each["numerics"][0]["value"] for each in made] == [121, 121, 122]


def test_hostile_lines() -> None:
    """Garbage, bits turned, bytes lost, cut packets, noise."""
    frames_survive(NAME, [OXYGEN, CUFF, WARM, ECG])
    for frame in (OXYGEN, CUFF, WARM):
        damage_is_noise(NAME, frame)
    a_cut_frame_ends_with_silence(NAME, CUFF)
    noise_is_no_value(NAME, heads=[b"\x55\xaa", b"\x55\xaa\x08\x03"])


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([OXYGEN, CUFF, WARM, CUFF[:5]])), max_size=20))
def test_it_never_raises(chunks: list[bytes]) -> None:
    """Any bytes, any cuts: the books balance (checked by feed)."""
    feed(Pm6750(), chunks, bound=ROW.bound)


def test_round_trip_with_the_simulator() -> None:
    """Each cuff result once, one oximeter measurement, the temperature once."""
    wire = Wire(NAME, cycle="5").run(26)
    sent = wire.script.device.sent  # type: ignore[attr-defined]
    cuffs = [tuple(values(each).values()) for each in wire.made if each.kind is ReadingKind.BLOOD_PRESSURE]
    assert cuffs == sent
    assert len([each for each in wire.made if each.kind is ReadingKind.SPO2]) == 1
    assert [values(each) for each in wire.made if each.kind is ReadingKind.TEMPERATURE] == [{Metric.TEMPERATURE: 366}]
    assert not wire.noise


def test_faults_and_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts was sent; decoding does not depend on chunks."""
    wire = Wire(NAME, "wrong-checksum@1", "noise@1", cycle="2").run(20)
    assert wire.noise
    cuffs = {tuple(values(each).values()) for each in wire.made if each.kind is ReadingKind.BLOOD_PRESSURE}
    assert cuffs <= set(wire.script.device.sent)  # type: ignore[attr-defined]
    decodes_alike(NAME, monkeypatch)


def test_the_row() -> None:
    """115200 8N1, off in service, never sends."""
    assert ROW.line == Line(baud=115200)
    assert not ROW.service
    never_sends(NAME)
