"""The Omron HEM-790IT and HEM-7301 drivers: the notes' tables, two recorded sessions, reports lost and damaged, a memory read."""

import random
import re
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Source
from appliance.devices.decode import decode
from appliance.devices.driver import SECOND, Hid
from appliance.devices.drivers import omron_hem
from appliance.devices.drivers.omron_hem import HEM790, OmronHem, command, joined, reports
from appliance.devices.events import Noise, Notice, Said, Sample, Send, Word
from appliance.devices.registry import ROWS
from appliance.devices.sim.omron_hem import OmronHem as Device
from appliance.devices.sim.omron_hem import answer, plain, record, week
from tests.devices.lines_of import Wire, heard, no_value_in_noise, values
from tests.lines import GARBAGE, every_way, feed, one_frame

NAME, LATER = "omron-hem790", "omron-hem7301"
ROW = ROWS[NAME]
WHEN = (8, 4, 21, 16, 10, 46)
ONE = bytes.fromhex("074F4B0008041510 070A2E0000814E4D 030000AF00814E4D")
"""2008-04-21 16:10:46 129/78, 77: as a recorded session has it, with left-over bytes behind its end."""
ONE_IS = {Metric.SYSTOLIC: 129, Metric.DIASTOLIC: 78, Metric.PULSE_RATE: 77}


def recorded(captures: Path, name: str) -> bytes:
    """What the device said in a session: the input reports of the analyser's export, of one of its three device objects."""
    text = (captures / "omron_hem790it_usbhid" / name).read_text(encoding="latin1")
    rows = [[re.sub("<.*?>", "", cell).strip() for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)] for row in text.split("<tr>")]
    mine = [row for row in rows if len(row) > 8 and row[4].startswith("Input Report")]
    return bytes.fromhex("".join(row[5] for row in mine if row[8] == mine[0][8]))


def test_a_recorded_session(captures: Path) -> None:
    """One reading of 2008 from a memory, 17 empty weeks, and every byte understood."""
    data = recorded(captures, "790IT_OneReading.html")
    measured, totals = decode(ROW, data)
    assert {each["metric"]: each["value"] for each in measured["numerics"]} == {"SYSTOLIC": 129, "DIASTOLIC": 78, "PULSE_RATE": 77}
    assert [each["status"] for each in measured["numerics"]] == [[]] * 3
    assert (measured["device_time"], measured["source"], measured["ordinal"]) == ("2008-04-21T16:10:46", "memory", 16)
    assert totals["totals"] == {
        "samples": 18, "valid": 1, "invalid": {"no-value": 17}, "noise_bytes": 0, "pending_bytes": 0, "bytes": 584, "frame_bytes": 584,
    }  # fmt: skip
    assert [values(each) for each in every_way(ROW, data) if each.result] == [ONE_IS]


def test_a_recorded_session_of_an_empty_memory(captures: Path) -> None:
    """No measurement; the device says that it has measured fifteen times in its life and holds nothing."""
    data = recorded(captures, "790IT_Cleared.html")
    (totals,) = decode(ROW, data)
    assert totals["totals"]["noise_bytes"] == totals["totals"]["pending_bytes"] == totals["totals"]["valid"] == 0
    texts = [each.text for each in feed(ROW.listen(), [data], bound=ROW.bound) if isinstance(each, Notice)]
    assert {"M7080IT 207", "0010100000", "serial 06000000000000", "records: 0, ever: 15", "off", "idle"} <= set(texts)


@pytest.mark.parametrize(
    ("data", "numbers", "time"),
    [
        ("070101000626 0000 7B4E57 0000", (123, 78, 87), "2007-01-01T00:06:38"),
        ("08041510 0A2E 0000 814E4D 0000", (129, 78, 77), "2008-04-21T16:10:46"),
        ("070103000633 0000 704B47 0000", (112, 75, 71), "2007-01-03T00:06:51"),
    ],
)
def test_records_of_the_notes(data: str, numbers: tuple[int, ...], time: str) -> None:
    """Plain numbers, not BCD; the device's own time as it says it."""
    sample = one_frame(ROW, answer(bytes.fromhex(data)), tail=b"\x07\x4f\x4b")
    assert tuple(values(sample).values()) == numbers
    assert (sample.device_time, sample.source, sample.ordinal, sample.result) == (time, Source.MEMORY, None, True)


@pytest.mark.parametrize(
    ("message", "word", "text", "value"),
    [
        ("4F4B00 00130001 12", Word.STATE, "records: 1, ever: 19", 1),
        ("4F4B00 000A0008 02", Word.STATE, "records: 8, ever: 10", 8),
        ("4F4B00 4D373038304954203230374A", Word.IDENTITY, "M7080IT 207", None),
        ("4F4B00 30303130313030303030 00", Word.STATE, "0010100000", None),
        ("4F4B00 06000000000000 06", Word.IDENTITY, "serial 06000000000000", None),
        ("4F4B", Word.STATE, "ok", None),
        ("4E4F", Word.STATE, "ask-again", None),
        ("4F46460D0A", Word.STATE, "off", None),
        ("4F4B00 0102 03", Word.STATE, "answer of 6 bytes", None),
    ],
)
def test_other_answers_of_the_notes(message: str, word: Word, text: str, value: int | None) -> None:
    """Counters, version, profile, serial number, the words without data: understood, and no samples."""
    data = plain(bytes.fromhex(message), b"\x4f\x4b\x00\x08\x04\x15\x10")
    for chunks in ([data], [data[at : at + 1] for at in range(len(data))]):
        (said,) = feed(ROW.listen(), chunks, bound=ROW.bound)
        assert said == Notice(word, text, value, data)


def test_empty_reports_are_frames() -> None:
    """A report of nothing and *not ready* are part of every session."""
    data = bytes(8) + bytes.fromhex("0860000000000000") + bytes(8) + ONE
    said = feed(ROW.listen(), [data], bound=ROW.bound)
    assert [type(each) for each in said] == [Notice, Notice, Notice, Sample]


@pytest.mark.parametrize("user", [1, 2])
def test_every_value(user: int) -> None:
    """Systolic to 300 (two bytes), diastolic and pulse to 255; a pressure of 0 is no measurement, a pulse of 0 a missing pulse."""
    for number in range(301):
        (sample,) = heard(NAME, record((WHEN, number, 60, user, 0)))
        assert values(sample)[Metric.SYSTOLIC] == (number or None)
        assert sample.invalid == (None if number else "no-value")
    for number in range(256):
        (sample,) = heard(NAME, record((WHEN, 260, number, 70, 0)))
        assert values(sample)[Metric.DIASTOLIC] == (number or None)
        (sample,) = heard(NAME, record((WHEN, 260, 60, number, 0)))
        assert values(sample)[Metric.PULSE_RATE] == (number or None)
        assert sample.valid


def test_every_flag() -> None:
    """Irregular heartbeat and movement make every number questionable; the place in three and unknown bits change nothing."""
    for bit in range(16):
        (sample,) = heard(NAME, record((WHEN, 129, 78, 77, 1 << bit)))
        assert values(sample) == ONE_IS
        assert {each.status for each in sample.numerics} == {Status.QUESTIONABLE if bit < 2 else Status(0)}
        signals = dict(sample.signals)
        assert (signals["irregular"], signals["movement"]) == (int(bit == 0), int(bit == 1))
        assert signals["of_three"] == {4: 1, 5: 2}.get(bit, 0)
    (third,) = heard(NAME, record((WHEN, 129, 78, 77, 0x30)))
    assert dict(third.signals)["of_three"] == 3


@pytest.mark.parametrize(
    ("when", "time", "odd"),
    [
        (WHEN, "2008-04-21T16:10:46", False),
        ((4, 2, 29, 0, 0, 0), "2004-02-29T00:00:00", True),
        ((44, 6, 1, 13, 19, 0), "2044-06-01T13:19:00", True),
        ((26, 13, 1, 0, 0, 0), None, True),
        ((26, 2, 30, 0, 0, 0), None, True),
        ((26, 2, 3, 24, 0, 0), None, True),
        ((0, 0, 0, 0, 0, 0), None, True),
    ],
)
def test_the_devices_time_is_never_corrected(when: Any, time: str | None, odd: bool) -> None:
    """Said as it is, flagged when no clock in use says so, absent when there is no such moment; the numbers stay."""
    (sample,) = heard(NAME, record((when, 129, 78, 77, 0)))
    assert sample.device_time == time
    assert ("implausible_time", 1) in sample.signals or not odd
    assert values(sample) == ONE_IS


def test_weeks_are_no_measurements() -> None:
    """The vendor's examples: systolic is stored less 25, a diastolic of 0 is an empty week; neither settles."""
    data = plain(bytes.fromhex("4F4B00 8003060C1F624E57 ED")) + week((9, 4, 19), 138, 105, 112, 1) + week((8, 4, 20), 0, 0, 0, 2)
    first, second, empty = every_way(ROW, data)
    assert (tuple(values(first).values()), first.device_time) == ((123, 78, 87), "2006-12-31")
    assert tuple(values(second).values()) == (138, 105, 112)
    assert (empty.invalid, set(values(empty).values())) == ("no-value", {None})
    (totals,) = decode(ROW, data)
    assert (totals["totals"]["valid"], totals["totals"]["invalid"]) == (2, {"no-value": 1})


def test_a_records_number_stays_when_others_follow() -> None:
    """Index 0 is the newest, so an index moves; the number in the life of the device does not, and begins again after 255."""
    before = [answer(bytes([0, 9, 0, 2])), ONE, record((WHEN, 161, 92, 58, 0))]
    after = [answer(bytes([0, 10, 0, 3])), record((WHEN, 150, 90, 60, 0)), *before[1:]]
    assert [each.ordinal for each in every_way(ROW, b"".join(before))] == [9, 8]
    assert [each.ordinal for each in every_way(ROW, b"".join(after))] == [10, 9, 8]
    assert [dict(each.signals)["place"] for each in every_way(ROW, b"".join(after + before))] == [0, 1, 2, 0, 1]
    assert [each.ordinal for each in heard(NAME, answer(bytes([0, 0, 0, 2])) + ONE + ONE)] == [0, 255]
    assert [each.ordinal for each in heard(NAME, ONE)] == [None]


def test_one_minute_two_readings() -> None:
    """Two readings in the same minute, even in the same second, are two."""
    assert len(heard(NAME, ONE + ONE)) == 2


def test_noise_around_and_between() -> None:
    """Whole answers are found again behind anything; a broken one gives no number."""
    data = GARBAGE + ONE + b"\x07" + ONE + ONE[:11] + ONE + GARBAGE + ONE[:8] + ONE[16:] + ONE
    assert [values(each) for each in every_way(ROW, data)] == [ONE_IS] * 4


def test_any_damaged_bit_is_heard() -> None:
    """Every single flipped bit of the bytes that count: no reading, or (in an unused byte) the same one."""
    for at in range(len(ONE)):
        for bit in range(8):
            damaged = ONE[:at] + bytes([ONE[at] ^ 1 << bit]) + ONE[at + 1 :]
            found = heard(NAME, damaged + ONE)
            assert [values(each) for each in found] in ([ONE_IS], [ONE_IS] * 2)
            assert len(found) == 1 or at >= 20, f"byte {at}, bit {bit} does not count"


def test_a_lost_report_makes_no_number() -> None:
    """Any one of the reports of two answers lost: what comes out was sent."""
    other = record((WHEN, 161, 92, 58, 0))
    both = ONE + other
    for at in range(0, len(both), 8):
        found = [values(each) for each in heard(NAME, both[:at] + both[at + 8 :] + ONE)]
        assert all(each in (ONE_IS, values(heard(NAME, other)[0])) for each in found)
        assert len(found) == 2


@pytest.mark.parametrize("name", [NAME, LATER])
@pytest.mark.parametrize("seed", [1, 2])
def test_line_noise_gives_no_value(name: str, seed: int) -> None:
    """An eighth of a megabyte (a whole one in test_decode), no byte lost."""
    no_value_in_noise(name, seed)


@pytest.mark.parametrize("name", [NAME, LATER])
@pytest.mark.parametrize("seed", [1, 2])
def test_mutated_answers_give_no_other_value(name: str, seed: int) -> None:
    """Answers with one to three changed bytes in a row of reports: conserved, bounded, and the check holds all but few out."""
    chance = random.Random(seed)
    data = bytearray()
    for _ in range(400):
        one = bytearray(ONE)
        for _ in range(chance.randint(1, 3)):
            one[chance.randrange(20)] = chance.randrange(256)
        data += one
    said = feed(ROWS[name].listen(), [bytes(data)], bound=ROWS[name].bound)
    wrong = [each for each in said if isinstance(each, Sample) and each.valid and values(each) != ONE_IS]
    assert len(wrong) <= 6  # a XOR misses one in 256


PIECES = st.sampled_from([ONE, ONE[:8], ONE[8:], bytes(8), plain(b"NO"), plain(b"OK"), answer(b"0010100000"), week((9, 4, 19), 138, 9, 9)])


@given(st.lists(st.one_of(st.binary(max_size=20), PIECES), max_size=20))
@pytest.mark.parametrize("name", [NAME, LATER])
def test_no_byte_disappears(name: str, chunks: list[bytes]) -> None:
    """Whatever comes."""
    feed(ROWS[name].listen(), chunks, bound=ROWS[name].bound)


# --- the HEM-7301 ---------------------------------------------------------------------------------------------------


def test_a_hem7301() -> None:
    """Its clock, its count (in another place), its records in the layout of its relative."""
    data = answer(bytes([26, 3, 5, 9, 42, 7])) + answer(bytes([0, 2, 0, 0])) + ONE + record((WHEN, 161, 92, 0, 1))
    notices = [each for each in feed(ROWS[LATER].listen(), [data], bound=ROW.bound) if isinstance(each, Notice)]
    assert [(each.word, each.text) for each in notices] == [(Word.CLOCK, "2026-03-05T09:42:07"), (Word.STATE, "records: 2")]
    first, second = every_way(ROWS[LATER], data)
    assert (values(first), first.ordinal, first.device_time) == (ONE_IS, None, "2008-04-21T16:10:46")
    assert tuple(values(second).values()) == (161, 92, None)
    assert second.numerics[0].status == Status.QUESTIONABLE
    assert [dict(each.signals)["place"] for each in (first, second)] == [0, 1]
    (timeless,) = heard(LATER, record(((26, 13, 1, 0, 0, 0), 129, 78, 77, 0)))
    assert (timeless.device_time, timeless.ordinal) == (None, 0)


def test_a_clock_that_says_no_moment() -> None:
    """Raw, not corrected."""
    (said,) = feed(ROWS[LATER].listen(), [answer(bytes([0, 0, 0, 25, 0, 0]))], bound=ROW.bound)
    assert isinstance(said, Notice)
    assert said.text == "no time: 000000190000"


# --- both sides -----------------------------------------------------------------------------------------------------


def memory(name: str, *faults: str, seconds: float = 30, **options: str) -> Wire:
    """A driver that has woken a device, asked who it is, and read its memory."""
    return Wire(name, *faults, **options).run(seconds)


def expected(wire: Wire) -> list[tuple[int, ...]]:
    """What the simulated device holds."""
    device = wire.script.device
    assert isinstance(device, Device)
    assert device.violations == 0
    return [(systolic, diastolic, pulse) for bank in device.banks for _, systolic, diastolic, pulse, _ in bank]


@pytest.mark.parametrize("name", [NAME, LATER])
@pytest.mark.parametrize("deny", ["0", "2", "3"])
def test_a_whole_memory_comes_back(name: str, deny: str) -> None:
    """Every record of every user, in order, once, also when the device now and then wants to be asked again."""
    wire = memory(name, stored="5", deny=deny)
    assert [tuple(values(each).values()) for each in wire.made] == expected(wire)
    assert [dict(each.signals)["place"] for each in wire.samples] == [0, 1, 2, 3, 4] * (1 if name == LATER else 2)
    assert [each.ordinal for each in wire.made] == ([None] * 5 if name == LATER else [64, 63, 62, 61, 60] * 2)
    assert wire.notices[-1] == "memory-read"
    assert not wire.noise
    users = [dict(each.signals).get("user") for each in wire.samples]
    assert users == ([None] * 5 if name == LATER else [1] * 5 + [2] * 5)
    assert any(each.startswith("M7") for each in wire.notices)


@pytest.mark.parametrize("fault", ["wrong-checksum", "drop", "noise@0:4", "silent@0.1:3", "slow@0.1:5"])
def test_faults_make_no_numbers(fault: str) -> None:
    """What comes out of a bad line is in the memory; it ends by itself, read or given up."""
    wire = memory(NAME, fault, stored="5", seconds=60)
    held = expected(wire)
    assert all(tuple(values(each).values()) in held for each in wire.made)
    wire.script.order("resume", wire.now)
    wire.run(30)
    wire.made.clear()
    assert isinstance(wire.driver, OmronHem)
    wire.take(wire.driver.recall(wire.now))
    wire.run(20)
    assert [tuple(values(each).values()) for each in wire.made] == held


def test_a_device_that_says_nothing_is_given_up() -> None:
    """Five times a second apart, then it is said; ten seconds later it is asked anew, and so is who asks."""
    driver = OmronHem(HEM790)
    asked = list(driver.begin(0))
    for second in range(1, 9):
        asked += driver.tick(second * SECOND)
    assert asked.count(Send(b"\x01\x01")) == 5
    assert asked[-1] == Notice(Word.FAILED, "no-reply")
    assert driver.tick(13 * SECOND) == []
    assert driver.tick(16 * SECOND)[0] == Send(b"\x01\x01")
    assert driver.recall(9 * SECOND) == [Notice(Word.REFUSED, "busy")]


def test_a_late_answer_is_not_taken_for_another() -> None:
    """While the count is awaited, a record answers nothing."""
    driver = OmronHem(HEM790)
    driver.recall(0)
    driver.feed(plain(b"OK"), 1)
    assert [each for each in driver.feed(ONE, 2) if isinstance(each, Send)] == []
    assert [each for each in driver.feed(answer(bytes([0, 1, 0, 1])), 3) if isinstance(each, Send)] == [Send(command(b"GME", bytes(4)))]


def test_half_an_answer_does_not_wait_for_another() -> None:
    """After a silence it is noise."""
    driver = OmronHem(HEM790)
    driver.begin(0)
    driver.feed(ONE[:12], 0)
    assert [each.data for each in driver.tick(2 * SECOND) if isinstance(each, Noise)] == [ONE[:12]]


def test_commands_are_those_of_the_notes() -> None:
    """Three letters, data, the XOR of the data, as reports of eight bytes."""
    assert reports(b"VER00") == bytes.fromhex("0556455230300000")
    assert command(b"GDC", bytes([0, 1, 0, 0])) == bytes.fromhex("0747444300010000 0101000000000000")
    assert command(b"MES", bytes([0, 0, 5])) == bytes.fromhex("074D455300000505")
    assert joined(ONE) == bytes.fromhex("4F4B0008 0415100A2E0000814E4D0000AF")
    assert reduce(xor, joined(ONE)[3:]) == 0


def test_nothing_is_ever_emptied() -> None:
    """The command that empties a memory is in no file of ours; a whole conversation sends questions and *end* only."""
    for folder in ("drivers", "sim"):
        assert b"MCL" not in (Path(omron_hem.__file__).parents[1] / folder / "omron_hem.py").read_bytes()
    for name in (NAME, LATER):
        wire = memory(name, stored="2", seconds=10)
        wire.take(wire.driver.end(wire.now))
        wire.run(1)
        expected(wire)
        sent = {joined(each.data)[:3] for each in wire.said if isinstance(each, Send) and len(each.data) > 2}
        assert sent <= {b"\x00\x00\x00", b"VER", b"SRL", b"GDC", b"GME", b"GCL", b"CNT", b"MES", b"END"}
        assert "off" in wire.notices


def test_it_is_off_in_service_and_starts_nothing() -> None:
    """A listener never sends; nobody is measured by command."""
    for name in (NAME, LATER):
        row = ROWS[name]
        assert not row.service
        assert row.line == Hid(0x0590, 0x0028, report=8, feature=2)
        driver: Any = row.listen()
        said: list[Said] = [*driver.begin(0), *driver.recall(0), *driver.tick(10**12), *driver.end(0)]
        assert not any(isinstance(each, Send) for each in said)
        assert driver.start("adult", 0, 1) == [Notice(Word.REFUSED, "not-commanded")]
        assert driver.abort(0, "x") == []
        assert not driver.busy
