"""SD CodeFree: the published packets, every value, a whole download, and nothing sent but the two known answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric
from appliance.contract.readings import Source
from appliance.devices.decode import decode
from appliance.devices.driver import Line
from appliance.devices.drivers.sd_codefree import ANSWER, COMMANDS, FETCH, ROW, SdCodefree
from appliance.devices.events import Notice, Sample, Send
from appliance.devices.registry import ROWS
from appliance.devices.sim.sd_codefree import HELLO, count, packet, record
from tests.devices.lines_of import Wire, heard, values
from tests.devices.proofs import a_cut_frame_ends_with_silence, damage_is_noise, decodes_alike, frames_survive, noise_is_no_value
from tests.lines import every_way, feed

NAME = "sd-codefree"
COUNT_68 = bytes.fromhex("5320183000 44" + "AA" * 19 + "DEAA")


def test_the_published_packets() -> None:
    """Hello, answer, fetch, and a real count packet of 68 records."""
    assert (HELLO.hex(), ANSWER.hex(), FETCH.hex()) == ("532004103020aa", "531004104050aa", "531004106070aa")
    assert count(68) == COUNT_68
    said = feed(SdCodefree(), [b"\x00" + HELLO + COUNT_68], bound=ROW.bound)
    assert [each.data for each in said if isinstance(each, Send)] == [ANSWER, FETCH]
    assert [each.value for each in said if isinstance(each, Notice)] == [None, 68]


def test_a_record_with_and_without_its_lead() -> None:
    """Date, value and meal of the real form and of the bare one."""
    bare = packet(bytes([24, 2, 29, 7, 45, 0x00, 0xB4, 0x10]))
    for data in (record(180, 0x10), bare):
        (sample,) = every_way(ROW, data)
        assert values(sample) == {Metric.GLUCOSE: 180}
        assert (sample.device_time, sample.source, sample.ordinal) == ("2024-02-29T07:45:00", Source.MEMORY, 0)
        assert dict(sample.signals) == {"meal": 0x10}
        (made, _) = decode(ROW, data)
        assert made["numerics"] == [{"metric": "GLUCOSE", "value": 180, "unit": "mg/dL", "status": []}]
        assert (made["kind"], made["source"]) == ("glucose", "memory")


def test_every_value() -> None:
    """1 to 600 mg/dL; nothing, HI and the impossible are no value; neither is a control solution."""
    for number in [*range(602), 0x7FFF, 0xFFFF]:
        (sample,) = heard(NAME, record(number))
        assert values(sample)[Metric.GLUCOSE] == (number if 1 <= number <= 600 else None)
        assert sample.invalid == (None if 1 <= number <= 600 else "no-value")
    assert [each.invalid for each in heard(NAME, record(100, 0x30))] == ["control-solution"]


def test_clocks() -> None:
    """A date of the calendar is said raw; one of 2010 is flagged; the 30th of February is none."""
    said = [heard(NAME, record(100, when=when))[0] for when in ((26, 11, 22, 6, 13), (10, 1, 1, 0, 0), (25, 2, 30, 1, 1))]
    assert [each.device_time for each in said] == ["2026-11-22T06:13:00", "2010-01-01T00:00:00", None]
    assert [("clock_implausible", 1) in each.signals for each in said] == [False, True, True]


def test_hostile_lines() -> None:
    """Garbage between packets, bits turned, bytes lost, a packet that never ends."""
    frames_survive(NAME, [HELLO, count(2), record(100), record(200)][2:])
    damage_is_noise(NAME, record(180))
    a_cut_frame_ends_with_silence(NAME, record(180))
    noise_is_no_value(NAME, heads=[b"\x53\x20\x04", b"\x53\x20\x13\x20"])


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([HELLO, COUNT_68, record(90), record(90)[:9]])), max_size=20))
def test_it_never_raises(chunks: list[bytes]) -> None:
    """Any bytes, any cuts; whatever it hears it sends its two answers only."""
    said = feed(SdCodefree(), chunks, bound=ROW.bound)
    assert {each.data for each in said if isinstance(each, Send)} <= COMMANDS


@pytest.mark.parametrize("stored", [0, 1, 40])
def test_round_trip_with_the_simulator(stored: int) -> None:
    """Hello, answer, count, every record in its place, and nothing the meter would call an error."""
    wire = Wire(NAME, stored=str(stored)).run(10)
    device = wire.script.device
    assert [values(each)[Metric.GLUCOSE] for each in wire.made] == device.values  # type: ignore[attr-defined]
    assert [each.ordinal for each in wire.made] == list(range(stored))
    assert device.forbidden == 0  # type: ignore[attr-defined]
    assert not wire.noise


def test_a_damaged_record_is_not_invented() -> None:
    """What does not arrive is not there; what is, is right; switched on again, all of it comes."""
    wire = Wire(NAME, "wrong-checksum@0:4", stored="10").run(6)
    wire.script.order("on", wire.now)
    wire.run(6)
    stored = wire.script.device.values  # type: ignore[attr-defined]
    assert {values(each)[Metric.GLUCOSE] for each in wire.made} <= set(stored)
    assert [values(each)[Metric.GLUCOSE] for each in wire.made][-10:] == stored


def test_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding does not answer, and does not depend on chunks."""
    decodes_alike(NAME, monkeypatch, seconds=5)
    assert not any(isinstance(each, Send) for each in feed(ROW.listen(), [HELLO + COUNT_68], bound=ROW.bound))


def test_the_row() -> None:
    """38400 8N1; the meter is not told to do anything to anybody."""
    assert ROWS[NAME].line == Line(baud=38400)
    assert not ROW.commanded
    assert SdCodefree().begin(0) == SdCodefree().end(0) == []


def test_a_flag_no_meter_sends_is_no_record() -> None:
    """The xor is one of eight bits; a meal that does not exist is what tells damage that fits it."""
    made = [said for said in SdCodefree().feed(record(100, meal=0x51), 0) if isinstance(said, Sample)]
    assert made == []
    assert [said for said in SdCodefree().feed(record(100, meal=0x10), 0) if isinstance(said, Sample)]


def test_it_is_off_in_service() -> None:
    """An xor of eight bits does not tell every shifted packet: refused in production until somebody switches it on."""
    assert not ROW.service
