"""The telephone side of a modem, against a simulated one."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.devices.at import ANSWER_NS, LONGEST_LINE, SEND_NS, Came, Failed, Modem, Out, Said, Sent, State, deliver, submit
from appliance.devices.sim.modem import Air, SimModem, delivery

BRIDGE, BOX = "+84900000001", "+84900000002"


class Pair:
    """A modem and its simulator on a line without errors; `said` is everything but bytes."""

    def __init__(self, air: Air, number: str = BOX) -> None:
        self.modem, self.device = Modem(), SimModem(random.Random(1), air, number=number)
        self.now = 0
        self.said: list[Said] = []
        self.cut = 4096

    def do(self, said: Sequence[Said]) -> None:
        """Carry bytes to and fro until nothing is left to say."""
        waiting = list(said)
        while waiting:
            for one in waiting:
                if isinstance(one, Out):
                    self.device.feed(one.data, self.now)
                else:
                    self.said.append(one)
            answer = b"".join(self.device.output(self.now))
            waiting = []
            for at in range(0, len(answer), self.cut):
                waiting += self.modem.feed(answer[at : at + self.cut], self.now)

    def later(self, ns: int) -> None:
        """Time passes."""
        self.now += ns
        self.do(self.modem.tick(self.now))

    def begin(self) -> None:
        """Open."""
        self.do(self.modem.begin(self.now))


@pytest.fixture
def air() -> Air:
    """The air between telephones."""
    return Air()


@pytest.mark.parametrize("cut", [1, 2, 7, 4096])
def test_a_message_goes_and_one_comes_cut_anywhere(air: Air, cut: int) -> None:
    """140 bytes each way, byte by byte or whole; what came is deleted only when it is forgotten."""
    box, bridge = Pair(air), Pair(air, BRIDGE)
    box.cut = bridge.cut = cut
    box.begin()
    bridge.begin()
    assert box.modem.ready
    box.do(box.modem.send(5, BRIDGE, bytes(range(140)), box.now))
    assert Sent(5) in box.said
    bridge.later(0)
    bridge.do([])
    bridge.later(20 * 10**9)
    came = [one for one in bridge.said if isinstance(one, Came)]
    assert came == [Came(1, BOX, bytes(range(140)))]
    assert bridge.device.kept
    bridge.do(bridge.modem.forget(1, bridge.now))
    assert not bridge.device.kept


def test_a_message_kept_by_the_card_is_found_at_the_next_start(air: Air) -> None:
    """A power cut between arrival and commit brings it again."""
    box = Pair(air)
    box.device.keep(delivery(BRIDGE, b"\x22abc"))
    box.device.output(0)
    box.begin()
    assert [one for one in box.said if isinstance(one, Came)] == [Came(1, BRIDGE, b"\x22abc")]


def test_the_networks_refusal_is_said(air: Air) -> None:
    """No network, no credit: the reason in the modem's own words."""
    box = Pair(air)
    box.begin()
    box.device.refuse = 38
    box.do(box.modem.send(9, BRIDGE, b"x", box.now))
    assert Failed(9, "+CMS ERROR: 38") in box.said


def test_no_card_and_no_network_are_states(air: Air) -> None:
    """What the screen can show."""
    box = Pair(air)
    box.device.card = False
    box.device.registered = False
    box.begin()
    words = [one.word for one in box.said if isinstance(one, State)]
    assert words[0] == "sim"
    box.device.card = box.device.registered = True
    box.later(20 * 10**9)
    assert box.modem.ready


def test_a_modem_that_does_not_answer_is_set_up_again() -> None:
    """Silence during a command: said, the message fails, and everything begins anew with an ESC before it."""
    modem = Modem()
    assert modem.begin(0) == [Out(b"ATE0\r")]
    said = modem.tick(ANSWER_NS)
    assert Out(b"\x1b\r") in said
    assert Out(b"ATE0\r") in said
    for _ in range(8):
        modem.feed(b"\r\nOK\r\n", ANSWER_NS)
    assert modem.send(4, BRIDGE, b"x", ANSWER_NS)[0] == Out(b"AT+CMGS=15\r")
    assert Failed(4, "no-answer") in modem.tick(ANSWER_NS + SEND_NS)


@given(st.binary(max_size=3000))
def test_noise_never_raises_and_never_grows(data: bytes) -> None:
    """Whatever a line brings."""
    modem = Modem()
    modem.begin(0)
    for at in range(0, len(data), 97):
        modem.feed(data[at : at + 97], at)
        modem.tick(at * 10**8)
        assert modem.pending <= LONGEST_LINE + 97


@pytest.mark.parametrize("number", ["+84900000001", "0900000001", "115"])
@pytest.mark.parametrize("size", [0, 1, 139, 140])
def test_pdus_are_what_the_standard_says(number: str, size: int) -> None:
    """A delivered PDU gives sender and bytes back; a submitted one has the length that AT+CMGS is told."""
    data = bytes(range(size))
    assert deliver(delivery(number, data)) == (number, data)
    pdu, length = submit(number, data)
    assert len(pdu) // 2 == length + 1


@pytest.mark.parametrize(
    "pdu",
    ["", "00", "07", delivery(BRIDGE, b"abc", coding=0), delivery(BRIDGE, b"abc")[:-2], "07914809000000F044" + delivery(BRIDGE, b"x")[18:]],
)
def test_what_is_no_single_eight_bit_message_is_none(pdu: str) -> None:
    """Texts, parts of longer messages, cut ones."""
    assert deliver(pdu) is None


@pytest.mark.parametrize(("number", "data"), [("", b"x"), ("+84 900", b"x"), ("abc", b"x"), ("+84900000001", bytes(141))])
def test_numbers_and_lengths_that_cannot_be_are_refused(number: str, data: bytes) -> None:
    """With the value and an example."""
    with pytest.raises(ValueError, match=r"telephone number|140"):
        submit(number, data)
