"""The A&D UA-767PC driver: the one public vector, every value, noise without a checksum."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric, Status
from appliance.devices.decode import decode
from appliance.devices.driver import SECOND
from appliance.devices.drivers.and_ua767 import ROW, AndUa767
from appliance.devices.events import Noise, Notice, Sample, Word
from appliance.devices.sim.and_ua767 import result
from tests.devices.lines_of import Wire, heard, no_value_in_noise, values
from tests.lines import GARBAGE, every_way, feed, one_frame, samples

NAME = "and-ua767"
EXAMPLE = {Metric.SYSTOLIC: 152, Metric.DIASTOLIC: 76, Metric.PULSE_RATE: 73}


def test_the_public_vector(captures: Path) -> None:
    """152/76, pulse 73, however it arrives; the line's end is no noise; the unexplained byte is no mean pressure."""
    data = (captures / "and_ua767pc" / "sample.txt").read_bytes()
    sample = one_frame(ROW, data, tail=b"80")
    assert values(sample) == EXAMPLE
    assert dict(sample.signals) == {"unexplained": 96}
    (made, totals) = decode(ROW, data)
    assert (made["kind"], made["device_time"]) == ("blood_pressure", None)
    assert (totals["totals"]["noise_bytes"], totals["totals"]["pending_bytes"]) == (0, 0)


def test_the_bytes_themselves() -> None:
    """A recording of the five bytes instead of their digits is read too, alone or several in a row."""
    five = bytes.fromhex("804C4C4960")
    assert values(one_frame(ROW, five)) == EXAMPLE
    assert [values(each) for each in heard(NAME, five * 3 + b"\r\n")] == [EXAMPLE] * 3
    assert not any(each.valid for each in heard(NAME, b"\x00" + five))
    assert not any(each.valid for each in heard(NAME, five + b"\x00"))
    assert not any(each.valid for each in heard(NAME, five + b"\r\x00"))
    assert not any(each.valid for each in heard(NAME, five * 2 + b"\x00"))


def test_five_bytes_alone_count_after_a_silence() -> None:
    """On a live line nothing tells the end but silence."""
    driver = AndUa767()
    driver.begin(0)
    assert driver.feed(bytes.fromhex("804C4C4960"), SECOND) == []
    assert driver.tick(SECOND + SECOND // 4) == []
    (sample,) = driver.tick(2 * SECOND)
    assert isinstance(sample, Sample)
    assert values(sample) == EXAMPLE


def test_a_cut_result_is_noise_after_a_silence() -> None:
    """Half a result does not wait for the half of another one."""
    driver = AndUa767()
    driver.begin(0)
    driver.feed(b"804C4", 0)
    assert [each.data for each in driver.tick(SECOND) if isinstance(each, Noise)] == [b"804C4"]
    assert [values(each) for each in samples(driver.feed(b"804C4C4960", SECOND))] == [EXAMPLE]


def test_every_value() -> None:
    """Diastolic and pulse pressure 1 to 255, pulse 1 to 255; a pressure of 0 is no measurement, a pulse of 0 a missing pulse."""
    for number in range(256):
        (sample,) = heard(NAME, result(number + 60, 60, number))
        assert values(sample) == (
            {Metric.SYSTOLIC: number + 60, Metric.DIASTOLIC: 60, Metric.PULSE_RATE: number} if number else dict.fromkeys(EXAMPLE)
        )
        (sample,) = heard(NAME, result(number + 40, number, 0))
        assert values(sample)[Metric.SYSTOLIC] == (number + 40 if number else None)
        assert values(sample)[Metric.PULSE_RATE] is None
        assert sample.numerics[2].status & Status.NOT_AVAILABLE


def test_every_code() -> None:
    """Only 80 is good; any other is a failure whose number is kept, and no number of it is a value."""
    for code in range(256):
        (sample,) = heard(NAME, result(152, 76, 73, code=code))
        assert sample.invalid == (None if code == 0x80 else f"device-error-{code}")
        assert values(sample) == (EXAMPLE if code == 0x80 else dict.fromkeys(EXAMPLE))


def test_a_conversation_however_it_is_cut() -> None:
    """Acknowledgement, garbage, results with and without line ends, a stray digit before one."""
    data = b"\x0170PC\x06" + result(152, 76, 73) + b"\r\n" + GARBAGE + b"5" + result(120, 80, 60).lower() + result(121, 81, 61) + b"8"
    assert [values(each)[Metric.SYSTOLIC] for each in every_way(ROW, data)] == [152, 120, 121]
    said = feed(AndUa767(), [data], bound=ROW.bound)
    assert [each.text for each in said if isinstance(each, Notice) and each.word is Word.IDENTITY] == ["UA-767PC"]


@pytest.mark.parametrize("seed", [1, 2])
def test_line_noise_gives_no_value(seed: int) -> None:
    """An eighth of a megabyte (a whole one in test_decode), no byte lost."""
    no_value_in_noise(NAME, seed)


@given(st.lists(st.one_of(st.binary(max_size=20), st.text("0123456789ABCDEF\r\n", max_size=15).map(str.encode)), max_size=20))
def test_no_byte_disappears(chunks: list[bytes]) -> None:
    """Whatever the line brings."""
    feed(AndUa767(), chunks, bound=ROW.bound)


def test_round_trip_with_the_simulator() -> None:
    """Every result comes back; a bad one is no value; nothing is ever sent."""
    wire = Wire(NAME, cycle="2").run(21)
    sent = wire.script.device.sent  # type: ignore[attr-defined]
    assert [tuple(values(each).values()) for each in wire.made] == sent
    assert len(sent) == 10
    assert not wire.noise
    failed = Wire(NAME, cycle="2", error="69").run(5)
    assert [each.invalid for each in failed.samples] == ["device-error-69"] * 2
    assert failed.made == []
    assert AndUa767().begin(0) == AndUa767().tick(10**12) == AndUa767().end(0) == []


@pytest.mark.parametrize("fault", ["noise@1:9", "wrong-checksum@1:9"])
def test_faults_make_no_numbers(fault: str) -> None:
    """What is measured on a bad line is what was sent."""
    wire = Wire(NAME, fault, cycle="1").run(20)
    assert wire.noise
    assert wire.made
    assert {tuple(values(each).values()) for each in wire.made} <= set(wire.script.device.sent)  # type: ignore[attr-defined]


def test_it_is_off_in_service() -> None:
    """One vector that its author calls made up is no ground to measure people on; and a start is refused."""
    assert not ROW.service
    assert AndUa767().start("adult", 0, 1) == [Notice(Word.REFUSED, "not-commanded")]
