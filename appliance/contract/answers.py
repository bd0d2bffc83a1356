"""What a doctor signs: the exact bytes, made once, signed by the bridge, verified by the station before it shows them.

It is not a legal digital signature, and no page says so.
"""

from dataclasses import dataclass

from appliance.contract import cbor
from appliance.contract.wiring import give, take, wire

DOMAIN = b"tram-answer-v1"
"""Prefix of the signed bytes, so that no other signature of the same key can be taken for an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The doctor's advice. `at` is tenths of a second since 1970 by the bridge's clock.

    `seen` are the keys of the readings that were on the page at signing.
    """

    station: str = wire(1)
    consult: int = wire(2)
    answer: int = wire(3)
    practitioner: str = wire(4)
    practitioner_name: str = wire(5)
    at: int = wire(6)
    advice: str = wire(7)
    diagnosis: str = wire(8, default="")
    medicine: str = wire(9, default="")
    refer: str = wire(10, default="")
    follow_up: str = wire(11, default="")
    seen: tuple[bytes, ...] = wire(12, default=())
    test_data: bool = wire(13, default=False)


def answer_bytes(answer: Answer) -> bytes:
    """The bytes to sign and to send: canonical CBOR."""
    return cbor.dump(give(answer))


def read_answer(content: bytes) -> Answer:
    """The answer in signed bytes; WireError when they are not one."""
    answer: Answer = take(Answer, cbor.load(content))[0]
    return answer
