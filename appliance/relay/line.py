"""What the relay asks of the line to a broker, and what the line tells. `link.py` is the real one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class LinkError(OSError):
    """The line is down, or went down: wait and try again. `reason` is a short stable word or the broker's own reason."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Up:
    """Connected and subscribed. `resumed`: the broker has kept what was sent to us while we were away. `greeted`: the hellos that were
    ready have left with CONNECT.
    """

    resumed: bool = False
    greeted: bool = False


@dataclass(frozen=True, slots=True)
class Down:
    """Not connected any more, or the connection did not come about; what was published and not Acked may be lost."""

    reason: str
    detail: str = ""
    again: bool = False
    """The next try will be another one (another MQTT version): it need not wait."""


@dataclass(frozen=True, slots=True)
class Acked:
    """The broker has taken (PUBACK) what was published under `token`; `refusal` is its reason when it has not.
    It is no receipt: brokers lose what they have acknowledged.
    """

    token: int
    refusal: str = ""
    nobody: bool = False
    """MQTT 5 only: taken, and nobody is subscribed to it."""


@dataclass(frozen=True, slots=True)
class Message:
    """What the other end said; `done(token)` acknowledges it to the broker, after the commit."""

    topic: str
    payload: bytes
    token: int


Happening = Up | Down | Acked | Message


class Link(Protocol):
    """One connection to a broker, made anew whenever `open` is called. Nothing here waits; nothing is queued while it is down."""

    @property
    def up(self) -> bool:
        """True between `Up` and `Down`."""
        ...

    eager: bool
    """Set by whoever has more to send than the window lets: then a PUBACK is worth waking up for."""

    beat: float
    """Seconds of our own silence after which the broker is pinged, when shorter than what was agreed with it; 0: as agreed."""

    @property
    def room(self) -> int:
        """How many more messages the broker lets us have un-PUBACKed."""
        ...

    @property
    def spent(self) -> int:
        """Bytes of the wire that the present connection has cost so far, both ways; 0 where nobody counts."""
        ...

    @property
    def largest(self) -> int:
        """The most payload bytes the broker takes in one of our messages."""
        ...

    def open(self) -> None:
        """Begin to connect; `Up` or `Down` follows."""
        ...

    def happenings(self) -> Sequence[Happening]:
        """What has happened since the last call, in order."""
        ...

    def publish(self, topic: str, payload: bytes, *, sure: bool = True) -> int:
        """Hand one message to the broker; its token. LinkError when the line is down or `room` is 0.

        QoS 1, or, not `sure`, QoS 0 where the broker has it: no `Acked` follows, and a reader who is away never gets it.
        """
        ...

    def done(self, token: int) -> None:
        """Acknowledge a message to the broker; nothing happens when the connection it came by is gone."""
        ...

    def prod(self, within: float) -> None:
        """The network may be another one: what does not answer within so many seconds is given up; `Down` follows then."""
        ...

    def close(self, reason: str) -> None:
        """End the connection, or the attempt; `Down(reason)` follows."""
        ...
