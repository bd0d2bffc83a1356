"""Microlife: the download by its tables, every number, bad dates, the check, noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric
from appliance.contract.readings import Source
from appliance.devices.driver import Line
from appliance.devices.drivers.microlife import DOWNLOAD, ROW, Microlife
from appliance.devices.events import Notice, Send, Word
from appliance.devices.sim.microlife import answer, record
from tests.devices.lines_of import Wire, heard, values
from tests.devices.proofs import a_cut_frame_ends_with_silence, noise_is_no_value
from tests.lines import GARBAGE, every_way, feed

NAME = "microlife"
ONE = answer([record(121, 75, 66)])


def test_a_download() -> None:
    """Each record with its time and place; head and check are told, and are no samples."""
    samples = every_way(ROW, answer([record(121, 75, 66), record(258, 130, 40, "2511302359")]))
    assert [tuple(values(each).values()) for each in samples] == [(121, 75, 66), (258, 130, 40)]
    assert [(each.device_time, each.ordinal, each.source) for each in samples] == [
        ("2026-03-05T09:42:00", 0, Source.MEMORY), ("2025-11-30T23:59:00", 1, Source.MEMORY),
    ]  # fmt: skip
    said = feed(Microlife(), [ONE], bound=ROW.bound)
    assert [(each.word, each.text) for each in said if isinstance(each, Notice)] == [
        (Word.IDENTITY, "00000000000000000000A001"), (Word.STATE, "end-of-memory"),
    ]  # fmt: skip
    assert heard(NAME, answer([])) == []


def test_every_number() -> None:
    """Ten bits each; a pressure of 0 is no value, a pulse of 0 a missing one."""
    for number in range(1024):
        (sample,) = heard(NAME, answer([record(number, number, number)]))
        assert set(values(sample).values()) == {number or None}
    (sample,) = heard(NAME, answer([record(121, 75, 0)]))
    assert (sample.valid, values(sample)[Metric.PULSE_RATE]) == (True, None)


def test_dates() -> None:
    """A bad one makes the record unusable, an old one is flagged and stays."""
    for when in ("2602300000", "0000000000", "26030509FF"):
        (sample,) = heard(NAME, answer([record(121, 75, 66, when)]))
        assert (sample.invalid, sample.device_time) == ("bad-date", None)
    (sample,) = heard(NAME, answer([record(121, 75, 66, "0701010006")]))
    assert (sample.device_time, sample.signals) == ("2007-01-01T00:06:00", (("clock_implausible", 1),))


def test_hostile_lines() -> None:
    """Garbage around; any character changed or lost is noise; a false head, an impossible count; a cut answer."""
    assert len(every_way(ROW, GARBAGE + b"\x06" + ONE + GARBAGE)) == 1
    for at in range(len(ONE)):
        assert heard(NAME, ONE[:at] + bytes([ONE[at] ^ 1]) + ONE[at + 1 :]) == []
        assert heard(NAME, ONE[:at] + ONE[at + 1 :]) == []
    assert len(heard(NAME, b"\x06FFFF0000" + ONE)) == 1
    a_cut_frame_ends_with_silence(NAME, ONE)
    noise_is_no_value(NAME, b"0123456789ABCDEF\x06", heads=[b"\x060001"])


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([ONE, ONE[:40], answer([])])), max_size=20))
def test_it_never_raises(chunks: list[bytes]) -> None:
    """Any bytes, any cuts: the books balance (checked by feed)."""
    feed(Microlife(), chunks, bound=ROW.bound)


@pytest.mark.parametrize("stored", [0, 5, 120])
def test_round_trip_with_the_simulator(stored: int) -> None:
    """Nothing is sent until the memory is asked for; then the one request, and all of it comes."""
    wire = Wire(NAME, stored=str(stored)).run(1)
    assert wire.said == []
    driver = wire.driver
    assert isinstance(driver, Microlife)
    wire.take(driver.recall(wire.now))
    wire.run(1)
    assert [each.data for each in wire.said if isinstance(each, Send)] == [DOWNLOAD]
    assert [tuple(values(each).values()) for each in wire.made] == wire.script.device.sent  # type: ignore[attr-defined]
    assert not wire.noise


def test_a_damaged_answer_is_not_invented() -> None:
    """Its sum does not fit: not one record of it."""
    wire = Wire(NAME, "wrong-checksum@0:9", seed=2)
    driver = wire.driver
    assert isinstance(driver, Microlife)
    for _ in range(8):
        wire.take(driver.recall(wire.now))
        wire.run(1)
    assert wire.noise
    assert {tuple(values(each).values()) for each in wire.made} <= set(wire.script.device.sent)  # type: ignore[attr-defined]


def test_the_row() -> None:
    """19200 8N1; the only bytes it can send ask for the memory."""
    assert ROW.line == Line(baud=19200)
    assert DOWNLOAD.hex() == "12161822"
    assert Microlife().begin(0) == Microlife().tick(10**12) == Microlife().end(0) == []
    assert Microlife().start("adult", 0, 1) == [Notice(Word.REFUSED, "not-commanded")]


def test_it_is_off_in_service() -> None:
    """A sum of eight bits does not tell every shifted download: refused in production until somebody switches it on."""
    assert not ROW.service
