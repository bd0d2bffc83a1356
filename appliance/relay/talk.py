"""One station's talk as one end remembers it between two turns of the crank. All of it may be lost in a power cut."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from appliance.contract.lanes import AT_ONCE, Lane
from appliance.relay.rules import receipt_wait
from appliance.relay.sending import Sender
from appliance.relay.storage import Stream

_NEVER = float("-inf")
RECENT = 120.0
"""Receipts younger than this are given again on a new connection."""


@dataclass
class Due:
    """A receipt that is owed for one stream: from when on it may go, how many events it covers, and whether somebody waits for it."""

    at: float
    events: int = 0
    urgent: bool = False


@dataclass
class Talk:
    """`nonce` is that of our hello on this connection, `theirs` that of the other end's last hello.

    `answered`: the other end has answered this very hello. `verified`: since this process began it has shown, by a receipt
    for our current stream, that it has nothing from us that we do not know of; before that nothing new gets a number
    on the wire (docs/decisions: a restored store must not use a number twice). `stale`: memory may differ from the store.
    `address`: the stream in which the other end speaks now, as far as it is known. `asked`: when that hello was first
    said, or said again to an end that had come anew.
    """

    station: str
    shard: int
    sender: Sender
    nonce: bytes = b""
    theirs: bytes = b""
    address: Stream | None = None
    hello: float | None = None
    tries: int = 0
    asked: float | None = None
    answered: bool = False
    verified: bool = False
    stale: bool = True
    up: float = _NEVER
    heard: float = _NEVER
    seen: dict[tuple[bytes, Stream], int] = field(default_factory=dict)
    due: dict[Stream, Due] = field(default_factory=dict)
    receipted: float = _NEVER
    recent: dict[Stream, float] = field(default_factory=dict)
    refused: list[bytes] = field(default_factory=list)
    counter: int = 0
    reserved: int = 0
    safe_told: tuple[int, bytes, float] = (0, b"", _NEVER)
    """Of which backup the other end was last told what is safe, with which nonce, and when."""
    safe_seen: dict[tuple[bytes, Stream], int] = field(default_factory=dict)

    def connected(self, now: float) -> None:
        """A new connection: everything under way may be lost, and nobody has answered on it yet."""
        self.answered, self.hello, self.up, self.sender.contact = False, None, now, now
        self.sender.lost()
        for stream, at in self.recent.items():
            if at > now - RECENT:  # these receipts may have been lost with the old connection
                self.owe(stream, 0, (), now)

    def owe(self, stream: Stream, events: int, lanes: Sequence[int], now: float) -> None:
        """A receipt is due for `events` more events; at once for lane 0, and when nothing but refusals is to be told."""
        owed = self.due.setdefault(stream, Due(float("inf")))
        owed.events += events
        lane = min(lanes, default=Lane.URGENT) if events else Lane.URGENT
        owed.urgent = owed.urgent or (events > 0 and lane in AT_ONCE)
        owed.at = min(owed.at, now + receipt_wait(lane, owed.events, now - self.receipted))

    def tell_safe(self, turn: int, now: float) -> bool:
        """True when the other end is to be told what backup `turn` holds: there is a new one, or it may have missed the last word.

        Once for each backup and connection, not more often: software of v0.1.0 answers such a receipt with a hello.
        """
        told, nonce, at = self.safe_told
        return turn > told or (turn > 0 and nonce != self.theirs and now - at >= RECENT)

    def next_due(self) -> float | None:
        """When the earliest receipt or hello is due."""
        times = [owed.at for owed in self.due.values()]
        if self.hello is not None:
            times.append(self.hello)
        return min(times, default=None)

    def owed(self, now: float) -> list[Stream]:
        """The streams whose receipts are due."""
        return [stream for stream, owed in self.due.items() if owed.at <= now]

    @property
    def urgent(self) -> bool:
        """True when somebody waits for a receipt that is owed."""
        return any(owed.urgent for owed in self.due.values())

    def is_due(self, now: float) -> bool:
        """True when a receipt or a hello is to go."""
        due = self.next_due()
        return due is not None and due <= now
