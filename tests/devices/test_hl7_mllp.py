"""HL7 over MLLP: codes, units, statuses, times, other messages, streams; and that no collector serves it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.agent.collect import Job, NotInServiceError, check
from appliance.contract.metrics import TABLE, Metric
from appliance.contract.readings import ReadingKind
from appliance.devices.decode import decode
from appliance.devices.drivers.hl7_mllp import CODES, ROW, UNITS, Hl7Mllp
from appliance.devices.events import Notice
from appliance.devices.sim.hl7_mllp import message, observation
from tests.devices.lines_of import Wire, heard, values
from tests.devices.proofs import a_cut_frame_ends_with_silence, decodes_alike, never_sends, noise_is_no_value
from tests.lines import GARBAGE, every_way, feed

NAME = "hl7-mllp"
CUFF = [
    observation(1, "150021^MDC_PRESS_BLD_NONINV_SYS^MDC", "121", "266016^MDC_DIM_MMHG^MDC"),
    observation(2, "^Diastolic^L^8462-4^^LN", "75", "mm[Hg]"),
    observation(3, "MDC_PRESS_CUFF_MEAN", "92", "mmHg"),
]


def test_a_message() -> None:
    """Codes in any of the places, units in any of the spellings; a finished measurement with the device's time."""
    (sample,) = every_way(ROW, message(CUFF))
    assert (sample.kind, sample.result, sample.device_time) == (ReadingKind.BLOOD_PRESSURE, True, "2026-03-05T09:42:00")
    assert values(sample) == {Metric.SYSTOLIC: 121, Metric.DIASTOLIC: 75, Metric.MEAN: 92}
    (line, _) = decode(ROW, message([observation(1, "8310-5^Temp^LN", "36.85", "Cel")]))
    assert (line["kind"], line["numerics"][0]["value"]) == ("temperature", 36.9)


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_and_unit(code: str) -> None:
    """Each of them with each spelling of its unit, and without; another unit is no value."""
    metric = CODES[code]
    for unit in ("", *UNITS[TABLE[metric].unit]):
        (sample,) = heard(NAME, message([observation(1, code, "98", unit)]))
        assert sample.numerics[0].number == 98
    for unit in ("kPa", "[degF]", "mmol/L", "[lb_av]"):
        (sample,) = heard(NAME, message([observation(1, code, "98", unit)]))
        assert (sample.invalid, values(sample)) == ("no-value", {metric: None})


@pytest.mark.parametrize("status", list("FRPCUDXWINOS"))
def test_statuses(status: str) -> None:
    """Deleted, wrong, missing and unknown results are no value."""
    (sample,) = heard(NAME, message([observation(1, "59408-5", "98", "%", status)]))
    assert (values(sample)[Metric.SPO2] == 98) == (status in "FRPCU")


@pytest.mark.parametrize("text", ["", "---", "98%", "-5", "1e2", "9 8", "98,5", "٩٨", "0", "101", "99999"])
def test_what_is_no_number(text: str) -> None:
    """Words, signs, other digits, other commas, a zero, an impossible saturation."""
    (sample,) = heard(NAME, message([observation(1, "59408-5", text, "%")]))
    assert sample.invalid == "no-value"


def test_every_number() -> None:
    """0 to 300, and the first value of a metric counts."""
    for number in range(1, 301):
        (sample,) = heard(NAME, message([observation(1, "8867-4", str(number), "/min"), observation(2, "149530", "1", "/min")]))
        assert values(sample) == {Metric.PULSE_RATE: number}


def test_times_and_kinds() -> None:
    """The observation's time before the order's before the message's; zones are not applied; a mixture is vital signs."""
    oxygen = observation(1, "59408-5", "98", "%", when="20260305094201.5+0700")
    assert heard(NAME, message([oxygen], drawn="20260305090000"))[0].device_time == "2026-03-05T09:42:01"
    assert heard(NAME, message(CUFF, drawn="202603050900"))[0].device_time == "2026-03-05T09:00:00"
    assert heard(NAME, message(CUFF, when="yesterday"))[0].device_time is None
    (old,) = heard(NAME, message(CUFF, when="20040107112452"))
    assert (old.device_time, old.signals) == ("2004-01-07T11:24:52", (("clock_implausible", 1),))
    assert heard(NAME, message([oxygen]))[0].kind is ReadingKind.SPO2
    assert heard(NAME, message([oxygen, *CUFF]))[0].kind is ReadingKind.VITAL_SIGNS
    assert heard(NAME, message([]))[0].invalid == "no-value"


def test_other_messages_are_no_samples() -> None:
    """They are told."""
    said = feed(Hl7Mllp(), [message(CUFF, kind="ADT^A01")], bound=ROW.bound)
    assert [each.text for each in said if isinstance(each, Notice)] == ["message-ADT-A01"]


def test_hostile_streams() -> None:
    """Garbage between; a message cut by the next; a message without its end; noise."""
    good = message(CUFF)
    assert len(every_way(ROW, GARBAGE + good + GARBAGE + good)) == 2
    assert len(heard(NAME, good[:90] + good)) == 1
    assert heard(NAME, good[:-1]) == []
    assert feed(Hl7Mllp(), [b"\x0bMSH|" + b"x" * 200_000, good], bound=ROW.bound)
    a_cut_frame_ends_with_silence(NAME, good)
    noise_is_no_value(NAME, b"0123456789|^\rOBXMSHRU\x0b\x1c", heads=[b"\x0bMSH|^~\\&|", b"\x0bMSH"])


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([message(CUFF), b"\x0bMSH", b"OBX|1|", b"\r", b"\x1c\r"])), max_size=20))
def test_it_never_raises(chunks: list[bytes]) -> None:
    """Any bytes, any cuts: the books balance (checked by feed)."""
    feed(Hl7Mllp(), chunks, bound=ROW.bound)


def test_round_trip_faults_and_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message is a measurement; on a bad line only what was sent."""
    wire = Wire(NAME, cycle="2").run(21)
    assert [tuple(values(each).values()) for each in wire.made] == wire.script.device.sent  # type: ignore[attr-defined]
    bad = Wire(NAME, "wrong-checksum@0", cycle="2").run(21)
    assert bad.noise
    assert {tuple(values(each).values()) for each in bad.made} <= set(bad.script.device.sent)  # type: ignore[attr-defined]
    decodes_alike(NAME, monkeypatch, cycle="2")


@pytest.mark.parametrize("environment", ["production", "demo"])
def test_no_collector_serves_it(environment: str) -> None:
    """It is refused with a sentence that names its own unit, in production and elsewhere."""
    with pytest.raises(NotInServiceError, match="tram-listen@"):
        check(Job(device="monitor", driver=NAME, port="/dev/ttyUSB0"), environment)
    never_sends(NAME)
