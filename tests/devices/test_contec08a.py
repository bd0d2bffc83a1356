"""The Contec 08A driver: the published records, every value, a memory read, reports lost and damaged."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Source
from appliance.devices.decode import decode
from appliance.devices.driver import SECOND, Hid
from appliance.devices.drivers.contec08a import ROW, Contec08a, data_bytes, download, report
from appliance.devices.events import Noise, Notice, Said, Sample, Send, Word
from appliance.devices.sim.contec08a import Contec08a as Device
from appliance.devices.sim.contec08a import coded, follows, record
from tests.devices.lines_of import Wire, heard, no_value_in_noise, values
from tests.lines import GARBAGE, every_way, feed, one_frame

NAME = "contec08a"
WHEN = (26, 3, 5, 9, 42)
ONE = report(bytes.fromhex("828098DEC6F19A83 80858 9AA8091".replace(" ", "")))
ONE_IS = {Metric.SYSTOLIC: 152, Metric.DIASTOLIC: 94, Metric.MEAN: 113, Metric.PULSE_RATE: 70}
WHO = report(bytes.fromhex("484102130102"))
OPENED = report(bytes.fromhex("4A43010000"))
FOLLOWS = report(bytes.fromhex("46418080C6828080808080808081"))


@pytest.mark.parametrize(
    ("data", "numbers", "time"),
    [
        ("828098DEC6F19A83 80858 9AA8091", (152, 94, 113, 70), "2026-03-05T09:42"),
        ("828094D5C8E99785 80818D898091", (148, 85, 105, 72), "2023-05-01T13:09"),
        ("828092D6BAF19785 80828A858091", (146, 86, 113, 58), "2023-05-02T10:05"),
        ("828087D5C8E59785 80828DAB8091", (135, 85, 101, 72), "2023-05-02T13:43"),
        ("82808AD4C2EB9785 80838B848091", (138, 84, 107, 66), "2023-05-03T11:04"),
        ("828094DBC0F19981 809C8C888091", (148, 91, 113, 64), "2025-01-28T12:08"),
        ("82809DD9C3FB9983 80948C908091", (157, 89, 123, 67), "2025-03-20T12:16"),
        ("828080D0BDE29987 808F8A818091", (128, 80, 98, 61), "2025-07-15T10:01"),
    ],
)
def test_published_records(data: str, numbers: tuple[int, ...], time: str) -> None:
    """The reader's records beside the vendor program's own export: systolic, diastolic, mean, pulse, when."""
    sample = one_frame(ROW, report(bytes.fromhex(data.replace(" ", ""))), tail=b"\x82\x80\x98")
    assert tuple(values(sample).values()) == numbers
    assert (sample.device_time, sample.source, sample.ordinal, sample.result) == (time, Source.MEMORY, None, True)
    assert all(each.status == Status(0) for each in sample.numerics)


def test_a_whole_download() -> None:
    """Who it is, that it is on, whose records follow, and the records with their places; every byte is of a frame."""
    data = report(b"\x40\x8f") * 2 + WHO + OPENED + FOLLOWS + ONE + record(((23, 5, 1, 13, 9), 148, 85, 72, 105))
    data += OPENED + follows(2, 1) + ONE
    lines = list(decode(ROW, data))
    assert {each["kind"] for each in lines[:-1]} == {"blood_pressure"}
    assert [each["source"] for each in lines[:-1]] == ["memory"] * 3
    assert lines[-1]["totals"] == {
        "samples": 3, "valid": 3, "invalid": {}, "noise_bytes": 0, "pending_bytes": 0, "bytes": len(data), "frame_bytes": len(data),
    }  # fmt: skip
    notices = [each for each in feed(ROW.listen(), [data], bound=ROW.bound) if isinstance(each, Notice)]
    assert [each.text for each in notices] == [
        "greeted", "greeted", "Contec device type 65, protocol version 19", "on", "user 1: 70 records", "on", "user 2: 1 records",
    ]  # fmt: skip
    assert [(dict(each.signals)["user"], dict(each.signals)["place"]) for each in every_way(ROW, data)] == [(1, 0), (1, 1), (2, 0)]


def test_a_device_that_is_off() -> None:
    """Said, and nothing follows."""
    (said,) = feed(ROW.listen(), [report(bytes.fromhex("4A43000000"))], bound=ROW.bound)
    assert isinstance(said, Notice)
    assert said.text == "switched off"


def test_every_value() -> None:
    """0 to 255 in each place, by the mask; a pressure of 0 is no measurement, a pulse or mean of 0 a missing one."""
    names = (Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.PULSE_RATE, Metric.MEAN)
    for place, metric in enumerate(names):
        for number in range(256):
            numbers = [152, 94, 70, 113]
            numbers[place] = number
            (sample,) = heard(NAME, record((WHEN, *numbers)))  # type: ignore[arg-type]
            assert values(sample)[metric] == (number or None)
            assert sample.invalid == ("no-value" if not number and place < 2 else None)
            if not number:
                assert {each.metric: each for each in sample.numerics}[metric].status & Status.NOT_AVAILABLE


def test_the_unexplained_byte_changes_nothing() -> None:
    """Whatever the first byte is, the numbers are what they are."""
    for first in range(256):
        (sample,) = heard(NAME, record((WHEN, 152, 94, 70, 113), first))
        assert values(sample) == ONE_IS
        assert dict(sample.signals) == {"unexplained": first, "place": 0}


@pytest.mark.parametrize(
    ("when", "time", "odd"),
    [
        (WHEN, "2026-03-05T09:42", False),
        ((4, 2, 29, 0, 0), "2004-02-29T00:00", True),
        ((44, 6, 1, 13, 19), "2044-06-01T13:19", True),
        ((255, 6, 1, 13, 19), "2255-06-01T13:19", True),
        ((26, 0, 1, 0, 0), None, True),
        ((26, 2, 30, 0, 0), None, True),
        ((26, 2, 3, 24, 0), None, True),
        ((26, 2, 3, 0, 60), None, True),
    ],
)
def test_the_devices_time_is_never_corrected(when: Any, time: str | None, odd: bool) -> None:
    """Said as it is, to the minute; flagged when no clock in use says so; absent when there is no such moment."""
    (sample,) = heard(NAME, record((when, 152, 94, 70, 113)))
    assert sample.device_time == time
    assert (("implausible_time", 1) in sample.signals) == odd
    assert sample.ordinal == (0 if time is None else None)
    assert values(sample) == ONE_IS


def test_masks() -> None:
    """Every bit 7 is where the mask says, and the simulator speaks the same."""
    chance = random.Random(1)
    for _ in range(200):
        data = chance.randbytes(7)
        assert data_bytes(coded(data)) == data
        assert all(byte >= 0x80 for byte in coded(data))
    assert record((WHEN, 152, 94, 70, 113)) == ONE
    assert follows(1, 70) == FOLLOWS


def test_noise_around_and_between() -> None:
    """Whole reports are found again behind anything; a report that is not zero behind what it says is none."""
    broken = ONE[:40] + b"\x55" + ONE[41:]
    data = GARBAGE + ONE + b"\xff" + ONE + ONE[:11] + ONE + broken + ONE[1:] + GARBAGE + FOLLOWS[:-1] + ONE
    assert [values(each) for each in every_way(ROW, data)] == [ONE_IS] * 4


def test_cut_reports_make_no_number() -> None:
    """Any byte lost from a record: that one is gone, the next one stands; the zeros are the only check there is."""
    for at in range(len(ONE)):
        found = [values(each) for each in heard(NAME, WHO + ONE[:at] + ONE[at + 1 :] + WHO + ONE)]
        assert found == [ONE_IS]


@pytest.mark.parametrize("seed", [1, 2])
def test_line_noise_gives_no_value(seed: int) -> None:
    """An eighth of a megabyte (a whole one in test_decode), no byte lost."""
    assert no_value_in_noise(NAME, seed) == 0


PIECES = st.sampled_from([ONE, ONE[:14], ONE[14:], WHO, OPENED, FOLLOWS, bytes(64), b"\x80" * 20])


@given(st.lists(st.one_of(st.binary(max_size=20), PIECES), max_size=15))
def test_no_byte_disappears(chunks: list[bytes]) -> None:
    """Whatever comes."""
    feed(ROW.listen(), chunks, bound=ROW.bound)


@given(st.lists(st.one_of(st.binary(max_size=20), PIECES), max_size=8), st.integers(1, 70))
def test_chunks_change_nothing(parts: list[bytes], size: int) -> None:
    """Whole or in pieces: the same reports, and the same noise joined."""
    data = b"".join(parts)
    whole = feed(ROW.listen(), [data], bound=ROW.bound)
    pieces = feed(ROW.listen(), [data[at : at + size] for at in range(0, len(data), size)], bound=ROW.bound)
    assert [each for each in whole if not isinstance(each, Noise)] == [each for each in pieces if not isinstance(each, Noise)]


# --- both sides -----------------------------------------------------------------------------------------------------


def memory(*faults: str, seconds: float = 12, **options: str) -> Wire:
    """A driver that has asked a device who it is, and read its memory."""
    return Wire(NAME, *faults, **options).run(seconds)


def held(wire: Wire) -> list[tuple[int, ...]]:
    """What the simulated device holds, as the driver says it."""
    device = wire.script.device
    assert isinstance(device, Device)
    assert device.violations == 0
    return [(systolic, diastolic, mean, pulse) for user in device.users.values() for _, systolic, diastolic, pulse, mean in user]


@pytest.mark.parametrize("stored", ["0", "1", "5", "100"])
def test_a_whole_memory_comes_back(stored: str) -> None:
    """Every record of every user, in order, once, with its user and its place."""
    wire = memory(stored=stored)
    assert [tuple(values(each).values()) for each in wire.made] == held(wire)
    assert [dict(each.signals)["place"] for each in wire.samples] == [*range(int(stored))] * 3
    assert [dict(each.signals)["user"] for each in wire.samples] == sorted([1, 2, 3] * int(stored))
    assert wire.notices[-1] == "memory-read"
    assert "Contec device type 65, protocol version 19" in wire.notices
    assert not wire.noise


def test_a_device_that_is_switched_off_is_read_of_nothing() -> None:
    """It is plugged in and says so; it is asked anew every ten seconds."""
    wire = memory(power="off", seconds=25)
    assert wire.notices.count("switched off") == 3
    assert not wire.made


@pytest.mark.parametrize("fault", ["wrong-checksum", "drop", "noise@0:4", "silent@0.05:3", "slow@0.05:5"])
def test_faults_make_no_numbers(fault: str) -> None:
    """What comes out of a bad line is in the memory; when the line is good again, all of it comes."""
    wire = memory(fault, stored="5", seconds=40)
    assert all(tuple(values(each).values()) in held(wire) for each in wire.made)
    wire.script.order("resume", wire.now)
    wire.run(30)
    wire.made.clear()
    assert isinstance(wire.driver, Contec08a)
    wire.take(wire.driver.recall(wire.now))
    wire.run(10)
    assert [tuple(values(each).values()) for each in wire.made] == held(wire)


def test_a_device_that_says_nothing_is_given_up() -> None:
    """Three times a second apart, then it is said; ten seconds later it is asked anew, or sooner by whoever wants its memory."""
    driver = Contec08a()
    asked = list(driver.begin(0))
    for second in range(1, 6):
        asked += driver.tick(second * SECOND)
    assert asked == [Send(report(bytes.fromhex("408FFFFEFDFC")))] * 3 + [Notice(Word.FAILED, "no-reply")]
    assert driver.tick(12 * SECOND) == []
    assert driver.recall(12 * SECOND) == [Send(download(1))]
    assert driver.recall(9 * SECOND) == [Notice(Word.REFUSED, "busy")]


def test_half_a_report_does_not_wait_for_another() -> None:
    """After a silence it is noise."""
    driver = Contec08a()
    driver.begin(0)
    driver.feed(ONE[:30], 0)
    assert [each.data for each in driver.tick(2 * SECOND) if isinstance(each, Noise)] == [ONE[:30]]


def test_requests_are_those_of_the_source() -> None:
    """64 bytes each; users are 04, 05, 06."""
    assert [download(user)[:6].hex() for user in (1, 2, 3)] == ["434101040200", "434101050200", "434101060200"]
    assert {len(download(user)) for user in (1, 2, 3)} == {64}


def test_nothing_is_ever_emptied() -> None:
    """No request begins with 41: a whole conversation is greetings, the question who it is, and downloads."""
    wire = memory(stored="2")
    wire.take(wire.driver.end(wire.now))
    sent = [each.data for each in wire.said if isinstance(each, Send)]
    assert {each[0] for each in sent} == {0x40, 0x42, 0x43}
    assert {len(each) for each in sent} == {64}
    held(wire)


def test_it_is_off_in_service_and_starts_nothing() -> None:
    """A listener never sends; nobody is measured by command."""
    assert not ROW.service
    assert ROW.line == Hid(0x0483, 0x5750, report=64)
    driver: Any = ROW.listen()
    said: list[Said] = [*driver.begin(0), *driver.recall(0), *driver.tick(10**12), *driver.end(0)]
    assert not any(isinstance(each, Send | Sample) for each in said)
    assert driver.start("adult", 0, 1) == [Notice(Word.REFUSED, "not-commanded")]
    assert driver.abort(0, "x") == []
    assert not driver.busy
