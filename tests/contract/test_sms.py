"""One emergency in one text message."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract import cbor, sms
from appliance.contract.errors import WireError
from appliance.contract.events import Department, Sex, Urgency
from appliance.contract.metrics import Metric
from appliance.contract.sms import Alarm, Vital

KEY = sms.key_of(bytes(range(32)), "tram-0001")
EPOCH = bytes.fromhex("1122334455667788")

numbers = st.integers(1, (1 << 40) - 1)
vitals = st.lists(st.builds(Vital, st.sampled_from(Metric), st.integers(0, 100_000), st.integers(0, sms.OLDEST_MINUTES)), max_size=17).map(
    tuple
)
alarms = st.one_of(
    st.builds(Alarm, numbers, numbers),
    st.builds(
        Alarm, numbers, numbers, numbers, st.sampled_from(Urgency), st.none() | st.sampled_from(Department),
        st.none() | st.sampled_from(Sex), st.none() | st.integers(0, 130), vitals, st.booleans(),
    ),
)  # fmt: skip


def _seal(alarm: Alarm, number: int = 1) -> bytes:
    return sms.seal_alarm(alarm, number, KEY, "tram-0001", EPOCH, bytes)


@given(alarm=alarms, number=st.integers(1, (1 << 32) - 1))
def test_an_alarm_comes_back_and_fits_one_message(alarm: Alarm, number: int) -> None:
    """Whatever it says, it has at most 140 bytes; only the last vitals may stay behind."""
    message = _seal(alarm, number)
    assert len(message) <= 140  # TS 23.040: what one 8-bit message carries
    found = sms.open_alarm(message, KEY)
    assert found.vitals == alarm.vitals[: len(found.vitals)]
    assert (found.call, found.wall, found.consult, found.age) == (alarm.call, alarm.wall, alarm.consult, alarm.age)
    assert sms.head(message).number == number
    if len(alarm.vitals) <= 7:
        assert found == alarm


def test_nothing_of_the_patient_is_readable_on_the_way() -> None:
    """The bytes between header and end look like chance: the values stand nowhere in them."""
    message = _seal(Alarm(7, 99, 5, Urgency.EMERGENCY, Department.INTERNAL, Sex.FEMALE, 63, (Vital(Metric.SPO2, 880, 3),)))
    assert (880).to_bytes(2) not in message
    assert message[:1] == b"\x21"
    assert message[1:5] == hashlib.sha256(b"tram-0001").digest()[:4]


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_bit_changed_anywhere_is_refused(place: int, bit: int) -> None:
    """In the header as in what is sealed."""
    message = bytearray(_seal(Alarm(7, 99)))
    message[place % len(message)] ^= 1 << bit
    with pytest.raises(WireError):
        sms.open_alarm(bytes(message), KEY)


@given(data=st.binary(max_size=200))
def test_other_bytes_are_a_wire_error_and_nothing_else(data: bytes) -> None:
    """Noise, operators' texts, nothing at all."""
    for attempt in (data, b"\x21" + data, b"\x22" + data):
        with pytest.raises(WireError):
            sms.open_alarm(attempt, KEY)
        with pytest.raises(WireError):
            sms.open_acknowledgement(attempt, KEY)


def test_an_acknowledgement_names_the_very_bytes() -> None:
    """A number can come again after a restore; the digest does not."""
    message = _seal(Alarm(7, 99), 3)
    answer = sms.seal_acknowledgement(message, 1234, KEY, "tram-0001", EPOCH, lambda count: b"\x01" * count)
    assert len(answer) <= sms.MOST_BYTES
    assert sms.head(answer).number == 3
    assert sms.open_acknowledgement(answer, KEY) == (1234, sms.digest(message))
    for wrong in (lambda: sms.open_acknowledgement(message, KEY), lambda: sms.open_alarm(answer, KEY)):
        with pytest.raises(WireError):
            wrong()
    with pytest.raises(WireError):
        sms.open_acknowledgement(answer, sms.key_of(bytes(range(32)), "tram-0002"))


def test_two_messages_never_share_a_nonce() -> None:
    """Same number in a cloned card: the random bytes differ. Same random bytes: the number differs. Both ways: the kind does."""
    one, two = _seal(Alarm(7, 99), 1), _seal(Alarm(7, 99), 2)
    three = sms.seal_alarm(Alarm(7, 99), 1, KEY, "tram-0001", EPOCH, lambda count: b"\x01" * count)
    answer = sms.seal_acknowledgement(one, 5, KEY, "tram-0001", EPOCH, bytes)
    nonces = {message[:1] + message[7:18] for message in (one, two, three, answer)}
    assert len(nonces) == 4


def test_a_metric_of_a_later_version_does_not_stop_the_alarm() -> None:
    """What this version does not know is passed over."""
    message = sms._seal(
        sms.ALARM,
        1,
        cbor.dump([7, 99, 5, 2, None, None, None, [250, 10, 1, 1, 880, 2], False, "later"]),
        KEY,
        "tram-0001",
        EPOCH,
        bytes(7),
    )
    assert sms.open_alarm(message, KEY).vitals == (Vital(Metric.SPO2, 880, 2),)
