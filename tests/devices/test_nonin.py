"""The Nonin driver: formats 1, 2 and 7, a public packet, every value, every status bit, noise."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric, Status
from appliance.devices.decode import decode
from appliance.devices.drivers.nonin import ROW, Nonin
from appliance.devices.events import Noise, Notice, Said, Sample, Word
from appliance.devices.sim.nonin import data_bytes, frame1, frame2, frame7
from tests.devices.lines_of import Wire, heard, no_value_in_noise, values
from tests.lines import GARBAGE, every_way, feed, one_frame, samples

FRAMES = {"2": frame2, "7": frame7}


def packet(form: str = "2", pulse: int = 72, spo2: int = 97, *, flags: int = 0, at: int = 0, stat2: int = 0, display: int = 0) -> bytes:
    """A packet; `flags` are status bits of frame `at`; `display` (if any) is what the -D fields say for both numbers."""
    data = data_bytes(pulse, spo2, stat2=stat2, display=(display, display) if display else None)
    made = (FRAMES[form](0x80 | (0x01 if place == 0 else 0) | (flags if place == at else 0), 64, data[place]) for place in range(25))
    return b"".join(made)


def identity(said: list[Said]) -> list[str]:
    """What the device called itself."""
    return [each.text for each in said if isinstance(each, Notice) and each.word is Word.IDENTITY]


def test_the_public_packet(captures: Path) -> None:
    """All HR fields 72, all SpO2 fields 97, firmware 48: one sample, however it is cut, and not a byte of noise."""
    text = re.sub(r"#.*", "", (captures / "nonin_df2" / "packet.txt").read_text())
    data = bytes.fromhex(text)
    assert len(data) == 125
    sample = one_frame(ROW, data, tail=data[:7])
    assert values(sample) == {Metric.SPO2: 97, Metric.PULSE_RATE: 72}
    said = feed(Nonin(), [data], bound=ROW.bound)
    assert identity(said) == ["firmware 48"]
    assert not any(isinstance(each, Noise) for each in said)


@pytest.mark.parametrize("form", ["2", "7"])
def test_every_pulse_rate(form: str) -> None:
    """1 to 510 is a value; 0 and 511 never are; bits 8 and 7 come from the MSB."""
    for pulse in range(512):
        (sample,) = heard("nonin", packet(form, pulse))
        assert values(sample)[Metric.PULSE_RATE] == (pulse if 0 < pulse < 511 else None)
        assert sample.valid == (0 < pulse < 511)


@pytest.mark.parametrize("form", ["2", "7"])
def test_every_saturation(form: str) -> None:
    """1 to 100 is a value; 0, 127 and what cannot be never are."""
    for spo2 in range(128):
        (sample,) = heard("nonin", packet(form, 72, spo2))
        assert values(sample)[Metric.SPO2] == (spo2 if 1 <= spo2 <= 100 else None)


def test_every_value_of_format_one() -> None:
    """The same for three bytes a second: HR bits 8 and 7 sit in the status byte."""
    stream = b"".join(frame1(pulse, 97) for pulse in range(512))
    assert [values(each)[Metric.PULSE_RATE] for each in heard("nonin", stream)] == [None, *range(1, 511), None]
    stream = b"".join(frame1(200, spo2) for spo2 in range(128))
    assert [values(each)[Metric.SPO2] for each in heard("nonin", stream)] == [None, *range(1, 101), *[None] * 27]


@pytest.mark.parametrize("form", ["2", "7"])
def test_display_fields_are_never_read(form: str) -> None:
    """With the finger out the -D fields hold the last value for 10 s: the sample has none; and where both are, the other one counts."""
    (sample,) = heard("nonin", packet(form, 511, 127, display=88))
    assert sample.invalid == "no-value"
    (sample,) = heard("nonin", packet(form, 70, 95, display=88))
    assert values(sample) == {Metric.SPO2: 95, Metric.PULSE_RATE: 70}


@pytest.mark.parametrize("form", ["2", "7"])
@pytest.mark.parametrize("at", [0, 12, 24])
@pytest.mark.parametrize(
    ("flags", "why"), [(0x40, "sensor-disconnected"), (0x10, "out-of-track"), (0x08, "sensor-alarm"), (0x58, "sensor-disconnected")]
)
def test_flags_take_the_numbers_away(form: str, at: int, flags: int, why: str) -> None:
    """In whichever frame of the packet the bit is set."""
    (sample,) = heard("nonin", packet(form, flags=flags, at=at))
    assert sample.invalid == why
    assert all(each.value is None and each.status & Status.NOT_AVAILABLE for each in sample.numerics)


@pytest.mark.parametrize("form", ["2", "7"])
@pytest.mark.parametrize(
    ("flags", "status"), [(0x20, Status.QUESTIONABLE), (0x04, Status.QUESTIONABLE), (0x02, Status(0)), (0x06, Status(0)), (0, Status(0))]
)
def test_flags_that_mark(form: str, flags: int, status: Status) -> None:
    """Artifact and a red light (low perfusion) mark the value; green and yellow say nothing against it."""
    (sample,) = heard("nonin", packet(form, flags=flags, at=7))
    assert values(sample) == {Metric.SPO2: 97, Metric.PULSE_RATE: 72}
    assert {each.status for each in sample.numerics} == {status}


@pytest.mark.parametrize(
    ("flags", "why", "status"),
    [
        (0x40, "sensor-disconnected", None),
        (0x20, "out-of-track", None),
        (0x10, None, Status.QUESTIONABLE),
        (0x08, None, Status(0)),
        (0x04, None, Status.QUESTIONABLE),
    ],
)
def test_flags_of_format_one(flags: int, why: str | None, status: Status | None) -> None:
    """Disconnected and out of track take the numbers away; low perfusion and a bad pulse mark them; marginal perfusion is a signal."""
    found = heard("nonin", frame1(200, 97, flags) * 4)
    assert {each.invalid for each in found} == {why}
    if status is not None:
        assert {each.status for sample in found for each in sample.numerics} == {status}
        assert dict(found[0].signals)["marginal_perfusion"] == (flags >> 3 & 1)


def test_signals_of_a_packet() -> None:
    """Every pleth of the packet in its order, one beat per light, SmartPoint, battery."""
    (sample,) = heard("nonin", packet(flags=0x02, at=9, stat2=0x21))
    signals = dict(sample.signals)
    assert [value for name, value in sample.signals if name == "pleth"] == [64] * 25
    assert (signals["beep"], signals["smart_point"], signals["low_battery"]) == (1, 1, 1)
    (sample,) = heard("nonin", packet("7"))
    assert (dict(sample.signals)["pleth"], dict(sample.signals)["smart_point"]) == (64, 0)


@pytest.mark.parametrize("form", ["2", "7"])
def test_a_stream_however_it_is_cut(form: str) -> None:
    """Two packets in every way of arriving, with garbage before."""
    assert [values(each)[Metric.PULSE_RATE] for each in every_way(ROW, GARBAGE + packet(form, 70) + packet(form, 80))] == [70, 80]


def test_format_one_however_it_is_cut() -> None:
    """Every frame is a sample; a cut tail stays pending."""
    found = every_way(ROW, b"".join(frame1(pulse, 97) for pulse in (72, 73, 180, 74, 75)) + b"\x80")
    assert [values(each)[Metric.PULSE_RATE] for each in found] == [72, 73, 180, 74, 75]


def test_resynchronisation() -> None:
    """Two false starts before a frame are four bytes of noise, as in the public case."""
    data = packet()
    said = feed(Nonin(), [bytes.fromhex("01810181") + data], bound=ROW.bound)
    assert sum(len(each.data) for each in said if isinstance(each, Noise)) == 4
    assert [each.valid for each in samples(said)] == [True]


@pytest.mark.parametrize("bad", ["01800148CB", "017F0148CA"])
def test_a_damaged_frame_costs_its_packet(bad: str) -> None:
    """A wrong sum or a cleared status bit 7: five bytes of noise, one sample without a value, and the next packet is whole again."""
    data = packet()
    said = feed(Nonin(), [data[:5] + bytes.fromhex(bad) + data[10:] + data], bound=ROW.bound)
    assert [each.invalid for each in samples(said)] == ["incomplete", None]
    assert sum(len(each.data) for each in said if isinstance(each, Noise)) == 5


@pytest.mark.parametrize("form", ["2", "7"])
def test_a_lost_frame_costs_its_packet(form: str) -> None:
    """A sync before 25 frames: what was collected is no value, because nobody knows which frame was lost."""
    data = packet(form, 70)
    found = heard("nonin", data + data[:60] + data[65:] + packet(form, 90))
    assert [(each.invalid, values(each)[Metric.PULSE_RATE]) for each in found] == [(None, 70), ("incomplete", None), (None, 90)]


def test_a_recording_that_begins_and_ends_in_mid_packet() -> None:
    """Frames before the first sync and of the last packet are frames, no samples; a cut frame stays pending."""
    driver = Nonin()
    said = feed(driver, [packet()[35:] + packet() + packet()[:53]], bound=ROW.bound)
    assert [each.valid for each in samples(said)] == [True]
    assert not any(isinstance(each, Noise) for each in said)
    assert driver.pending == 3


@pytest.mark.parametrize(("before", "after"), [("2", "7"), ("7", "2"), ("1", "2"), ("1", "7"), ("2", "1"), ("7", "1")])
def test_a_format_that_changes_is_found_again(before: str, after: str) -> None:
    """Somebody sets another format while it streams: some bytes are noise, then values again. Leaving a checked format no value is
    wrong; leaving format 1, which has no checksum, one frame may be (a measurement needs a second of them).
    """
    streams = {"1": frame1(72, 97) * 20, "2": packet() * 4, "7": packet("7") * 4}
    found = heard("nonin", streams[before] + streams[after])
    wrong = [each for each in found if each.valid and values(each) != {Metric.SPO2: 97, Metric.PULSE_RATE: 72}]
    assert len(wrong) <= (before == "1")
    assert len(found[-1].frame) == (3 if after == "1" else 125)
    assert found[-1].valid


def test_format_one_after_noise_needs_its_like() -> None:
    """Without a checksum, three agreeing frames between noise are no value; four are."""
    assert [each.invalid for each in every_way(ROW, GARBAGE + frame1(72, 97) * 4)] == [None] * 4
    found = every_way(ROW, frame1(72, 97) * 4 + b"\x00" + frame1(72, 97) * 3 + b"\x00" + frame1(150, 80) + frame1(72, 97) * 4)
    assert [each.invalid for each in found] == [None] * 4 + ["unconfirmed"] * 4 + [None] * 4


def test_packages_without_a_value_take_no_doubt_away() -> None:
    """In noise they are frequent: after any number of them a single value is still not believed."""
    found = every_way(ROW, b"\x00" + frame1(511, 127) * 6 + frame1(72, 97) + b"\x00")
    assert [each.valid for each in found] == [False] * 7
    assert found[-1].invalid == "unconfirmed"


@pytest.mark.parametrize("seed", [1, 2])
def test_line_noise_gives_no_value(seed: int) -> None:
    """An eighth of a megabyte (a whole one in test_decode), nothing grows, no byte disappears."""
    no_value_in_noise("nonin", seed)


PARTS = [packet(), packet("7"), packet()[:70], frame1(72, 97) * 4, b"\x01\x81"]


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from(PARTS)), max_size=20))
def test_no_byte_disappears(chunks: list[bytes]) -> None:
    """Whatever the line brings."""
    feed(Nonin(), chunks, bound=ROW.bound)


@pytest.mark.parametrize("form", ["1", "2", "7"])
def test_round_trip_with_the_simulator(form: str) -> None:
    """A finger for 14 s: one full measurement of the simulator's numbers, no noise; the driver sends nothing."""
    wire = Wire("nonin", format=form, finger="in").run(18)
    (made,) = wire.made
    assert 93 <= (values(made)[Metric.SPO2] or 0) <= 99
    assert 50 <= (values(made)[Metric.PULSE_RATE] or 0) <= 110
    assert not made.numerics[0].status
    assert not wire.noise
    assert not ROW.writes
    assert Nonin().begin(0) == Nonin().tick(10**12) == Nonin().end(0) == []


@pytest.mark.parametrize("fault", ["noise@3:6", "drop@3:6", "wrong-checksum@3:6"])
@pytest.mark.parametrize("form", ["1", "2", "7"])
def test_faults_cost_samples_and_make_no_numbers(fault: str, form: str) -> None:
    """A bad line for six seconds: whatever is measured is right."""
    wire = Wire("nonin", fault, format=form, finger="in").run(30)
    assert wire.noise
    assert wire.made
    for sample in wire.samples:
        assert not sample.valid or 90 <= (values(sample)[Metric.SPO2] or 0) <= 99
        assert not sample.valid or 50 <= (values(sample)[Metric.PULSE_RATE] or 0) <= 110


def test_a_start_is_refused() -> None:
    """An oximeter is not commanded."""
    assert [each.word for each in Nonin().start("adult", 0, 1) if isinstance(each, Notice)] == [Word.REFUSED]


def test_flagged_windows_are_questionable() -> None:
    """Ten seconds of which more than a tenth is flagged by the device settle as questionable."""
    clean, flagged = packet() * 24, packet(flags=0x20, at=3) * 6
    (made, _) = decode(ROW, clean + flagged)
    assert made["numerics"][0] == {"metric": "SPO2", "value": 97, "unit": "%", "status": ["questionable"]}
    (made, _) = decode(ROW, packet() * 30)
    assert made["numerics"][0]["status"] == []
    (made, _) = decode(ROW, frame1(72, 97) * 10)
    assert made["numerics"][1] == {"metric": "PULSE_RATE", "value": 72, "unit": "/min", "status": []}
    assert isinstance(heard("nonin", clean)[0], Sample)
