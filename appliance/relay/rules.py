"""When and what to send: the numbers and the small decisions, with no I/O, no clock and no chance of their own.

Times are seconds of any clock that never steps back; a caller brings them, and brings the dice too.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from appliance.contract.lanes import AT_ONCE, BATCH_ROWS, BATCH_SECONDS, CHUNK_BYTES, Lane

INFINITE = float("inf")
WINDOW = 3
"""Messages un-PUBACKed on a thin link: 1,200 B x 3 fill 92.6 % of 20 kbit/s at 600 ms and let a consult pass in 1 s (decision 8)."""
WINDOW_MOST = 64
PIPES = 2.25
"""Bytes in flight on a faster link, in bandwidth-delay products (2-2.5, decision 8)."""
FLOOR = 0.05
"""The share that lanes from READINGS on keep while more urgent lanes have work (delivery contract, lanes)."""

RESEND = 60.0
"""Unreceipted for so long: sent again, the same bytes."""
RESEND_MOST = 960.0
"""With nothing heard from the other end the wait doubles up to this: a bridge that is away is not worth the card's megabytes."""
PATIENCE = 45.0
"""A broker that owes a PUBACK for so long is not working for us: the connection is made anew."""
ROUTE_SECONDS = 3.0
"""After a change of the routes a connection has to answer within this: with the rest of a thin link's window before the answer
(1.5 s) and the way there and back (0.6-1.2 s), and the first byte on a new one still leaves within 5 s (decision 9)."""
ANSWER_SECONDS = 20.0
"""A ping, or a broker that was called upon, may go unanswered for so long (as long as TCP may wait for its own acknowledgements)."""
QUIET = 5.0
"""On a metered link a few messages after so much silence of ours go at QoS 0: the receipt, which is what counts, follows in a moment, and
a PUBACK beside it costs 80 B and often an acknowledgement of TCP. A stream of messages has its window, and so its PUBACKs."""
UNHEARD = 15.0
"""With no PUBACK to wait for, the line is asked whether it lives when nothing has come so long after such a message. With 20 s for the
answer it is given up sooner than one that owes a PUBACK (`PATIENCE`). Without a receipt for so long one of
lanes 0-1 goes again, at QoS 1."""
CREDIT = 256
"""Parcels sent and not yet receipted, at most, while the other end answers."""
CREDIT_UNANSWERED = 16
"""The same while it has not answered yet: enough for every urgent request, too little to flood a broker."""
GRACE = 5.0
"""After a reconnect the answer to the hello is awaited so long before anything is sent a second time: it says what is in already."""

RECEIPT_SECONDS = 2.0
RECEIPT_EVENTS = 30
"""Receipts of lanes from CONSULT on: at most one in so many seconds, or one for so many events; lane 0 at once (decision 8)."""
FULL_ALREADY = AT_ONCE | {Lane.ATTACHMENTS}
"""Lanes that do not gather: the urgent ones, and that of pictures, each part of which fills a message by itself."""
CALM = 900.0
"""On a metered link words of lane 0 that nobody acts upon (that an answer was read) wait so long for somebody to go with, and no longer."""
GATHER = 1.0
BUSY = 3.0
"""On an unmetered link a reading goes at once; while more than `BUSY` rows a second leave lanes from READINGS on, they gather
this long: what costs is the parcel, not the reading."""

BACKOFF_FIRST, BACKOFF_MOST = 1.0, 120.0
BACKOFF_URGENT = 5.0
"""The longest wait while something of lane 0 has not been vouched for: an emergency's first byte leaves within 5 s of the link's
return (decision 9), also where nothing tells us that it has returned."""
LASTING = 60.0
"""A connection that lived as long ends the counting of tries. One that falls at once is a try like any other: two boxes with one name (a
copied card beside the original) would throw each other out twice a second for ever, with a TLS handshake each time."""
HELLO_FIRST, HELLO_MOST, HELLO_MOST_METERED = 2.0, 60.0, 300.0
"""An unanswered hello is repeated with doubling waits between these."""
ASK_LATER, ASK_LATER_MOST = 300.0, 6 * 3600.0
"""A station that does not answer a bridge which has just begun is away, and says hello when it comes; or it is there, with nothing to
say, and its broker dropped the question: between these, doubling, it is asked again. 14,000 that are away cost a question every 1.5 s."""
HELLO_URGENT = 1.0
"""One that left with CONNECT is a round trip old when the line is up, and its answer due: with something of lane 0 waiting it is repeated
so soon (what is sent also has TCP look for an answer that was lost: it waited up to 2 s more, measured)."""


def backoff(attempt: int, draw: float, *, urgent: bool = False) -> float:
    """Seconds until try number `attempt` (from 0) of a connection: full jitter, `draw` in [0, 1), 1 to 120 s.

    1,300 boxes that lost the district's link in one second must not come back in one second. `urgent`: something of
    lane 0 waits, and 5 s are the most.
    """
    return draw * min(BACKOFF_URGENT if urgent else BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(attempt, 16))


def hello_again(tries: int, metered: bool) -> float:
    """Seconds between unanswered hello number `tries` (from 1) and the next."""
    return min(HELLO_MOST_METERED if metered else HELLO_MOST, HELLO_FIRST * 2.0 ** min(tries - 1, 16))


def ask_later(rounds: int) -> float:
    """Seconds until the bridge asks a station again that has answered none of `rounds` rounds of questions (from 1)."""
    return min(ASK_LATER_MOST, ASK_LATER * 2.0 ** min(rounds - 1, 16))


def resend_after(silent: int) -> float:
    """Seconds until an unreceipted parcel is sent again; `silent` counts the resends since the other end was last heard."""
    return min(RESEND_MOST, RESEND * 2.0 ** min(silent, 16))


def ready(
    lane: int,
    rows: int,
    age: float,
    metered: bool,
    since_last: float,
    rate: float,
    gather: float = BATCH_SECONDS,
    contact: float = 0.0,
    calm: bool = False,
) -> float:
    """Seconds until `rows` waiting events of a lane may leave (0: now). `age` is how long the oldest has been waiting,
    `since_last` how long ago lanes from READINGS on last made a parcel, `rate` how many of their rows leave in a second,
    `gather` the longest wait on a metered link, `contact` how long ago a parcel of any lane left: after so long a pulse would
    be due, and data in its place costs no contact of its own (infinite: one begins now). `calm`: nobody acts upon any of them.
    """
    if calm and metered:
        return 0.0 if contact == INFINITE else max(0.0, CALM - age)
    if lane in FULL_ALREADY or rows >= BATCH_ROWS:
        return 0.0
    if metered:
        return max(0.0, gather - max(age, contact))
    return max(0.0, GATHER - since_last) if rate > BUSY else 0.0


@dataclass
class Silence:
    """How long a path has shown that it stays open while nobody speaks: the pulse where nothing waits and nobody is about.

    It begins with `usual` seconds, grows by a third with each silence that was answered, up to `most`; a line that was found dead after
    one has the usual pulse for good, until the path is another one.
    """

    usual: float = 900.0
    most: float = 900.0
    pulse: float = 0.0
    trusted: bool = True

    def __post_init__(self) -> None:
        self.pulse = self.usual

    def answered(self, quiet: float) -> None:
        """The line answered after `quiet` seconds."""
        if self.trusted and quiet >= self.pulse:
            self.pulse = min(self.most, self.pulse * 4 / 3)

    def died(self, quiet: float) -> None:
        """It did not."""
        if quiet >= self.usual:
            self.pulse, self.trusted = self.usual, False

    def elsewhere(self) -> None:
        """The path is another one."""
        self.pulse, self.trusted = self.usual, True


@dataclass
class Rate:
    """How many rows leave in a second: those of the last seconds, older ones fading."""

    rows: float = 0.0
    at: float = float("-inf")

    FADE_SECONDS = 2.0

    def now(self, now: float) -> float:
        """Rows a second."""
        return self.rows * 2.0 ** (-(now - self.at) / self.FADE_SECONDS) / (self.FADE_SECONDS * 1.4427) if self.rows else 0.0

    def left(self, rows: int, now: float) -> None:
        """So many rows left."""
        faded = self.rows * 2.0 ** (-(now - self.at) / self.FADE_SECONDS) if self.rows else 0.0
        self.rows, self.at = faded + rows, now


def receipt_wait(lane: int, events: int, since_last: float) -> float:
    """Seconds until a receipt is due for `events` newly taken, the most urgent of them of `lane`."""
    if lane == Lane.URGENT or events >= RECEIPT_EVENTS:
        return 0.0
    return max(0.0, RECEIPT_SECONDS - since_last)


@dataclass
class Turns:
    """Whose turn it is: strictly the most urgent lane, but whoever stands behind a border has a floor of 5 %.

    The borders lie before READINGS, FORMS, ATTACHMENTS and CONTENT: lanes 0-1 leave 5 % to the rest, READINGS leave
    5 % of that to what stands behind them, and so on. `owed` are the bytes that what waits behind a border has saved up.
    """

    owed: dict[int, float] = field(default_factory=dict)

    def choose(self, lanes: Collection[int]) -> int:
        """The lane to send from; `lanes` are those with something to send."""
        low = 0
        for border in _BORDERS:
            if max(lanes) < border:
                break
            if any(low <= lane < border for lane in lanes) and self.owed.get(border, 0.0) < CHUNK_BYTES:
                break
            low = border
        return min(lane for lane in lanes if lane >= low)

    def sent(self, lane: int, size: int, lanes: Collection[int]) -> None:
        """`size` bytes of `lane` went while `lanes` had something to send."""
        for border in _BORDERS:
            before = 0 if border == Lane.READINGS else border - 1
            saved = self.owed.get(border, 0.0)
            if lane >= border:
                self.owed[border] = max(0.0, saved - size)
            elif lane >= before and max(lanes) >= border:
                self.owed[border] = min(saved + size * FLOOR / (1 - FLOOR), 2.0 * CHUNK_BYTES)


_BORDERS = (Lane.READINGS, Lane.FORMS, Lane.ATTACHMENTS, Lane.CONTENT)


@dataclass
class Pace:
    """How much may be on the wire: measured from PUBACKs, the fastest recent rate times the shortest round trip without the
    time a message itself takes.

    On a link that never queues the product follows the window upwards; on a thin one the rate stays and so does the
    window. The shortest trip is kept long: queues of our own must not pass for distance.

    Where a packet was lost on the way back, TCP holds the PUBACKs behind it and hands them over together: by a message that left
    shortly before, they look like the work of a moment. So what came since a message left is divided by the longer of two
    times: since the PUBACK before its leaving, and over which it and those before it left (BBR, draft-ietf-ccwg-bbr, "delivery rate").
    """

    flying: dict[int, tuple[float, int, int, bool, float, float]] = field(default_factory=dict)
    """By token: when it left, its bytes, `delivered`, whether it filled the window, `heard` and `began` at that moment."""
    delivered: int = 0
    heard: float = 0.0
    """When a PUBACK last came, or the first message left after none was awaited."""
    began: float = 0.0
    """When the message left whose PUBACK came last, or that first one."""
    rates: deque[tuple[float, float]] = field(default_factory=deque)
    trip: tuple[float, float, int] | None = None
    """When the shortest trip was seen, how long it was, and the bytes of its message."""
    window: int = WINDOW
    """Messages that may be un-PUBACKed together."""

    RATE_SECONDS = 20.0
    TRIP_SECONDS = 600.0

    @property
    def room(self) -> int:
        """Messages that may be sent now."""
        return max(0, self.window - len(self.flying))

    def sent(self, token: int, size: int, now: float) -> None:
        """A message left. A rate measured while the window was not full says what we had to send, not what the link can."""
        full = len(self.flying) + 1 >= self.window
        if not self.flying:
            self.heard = self.began = now
        self.flying[token] = (now, size, self.delivered, full, self.heard, self.began)

    def silence(self, now: float) -> float:
        """How long the oldest message has been waiting for its PUBACK; 0 when none does."""
        for flight in self.flying.values():
            return now - flight[0]  # kept in the order of sending
        return 0.0

    def acked(self, token: int, now: float) -> bool:
        """Its PUBACK came; False when nobody knows the token."""
        flight = self.flying.pop(token, None)
        if flight is None:
            return False
        at, size, before, full, heard, began = flight
        self.delivered += size
        self.heard, self.began = now, at
        took = max(now - at, 1e-4)
        rate = (self.delivered - before) / max(now - heard, at - began, 1e-4)
        if self.trip is None or took <= self.trip[1] or now - self.trip[0] > self.TRIP_SECONDS:
            self.trip = (now, took, size)
        while self.rates and (len(self.rates) > 24 or self.rates[0][0] < now - self.RATE_SECONDS):
            self.rates.popleft()
        best = max((one for _, one in self.rates), default=0.0)
        if full or rate > best:
            self.rates.append((now, rate))
        best = max(best, rate)
        distance = max(0.0, self.trip[1] - self.trip[2] / best)
        self.window = max(WINDOW, min(WINDOW_MOST, round(PIPES * best * distance / CHUNK_BYTES)))
        return True

    def lost(self) -> None:
        """The connection is gone: nothing is in flight, and the next link may be another one."""
        self.flying.clear()
        self.rates.clear()
        self.trip = None
        self.window = WINDOW


@dataclass
class Budget:
    """What lanes from READINGS on may cost in one go: `bytes` of the wire (headers, TLS, acknowledgements, both ways) or `seconds`,
    whichever is reached first; then they rest for `rest` seconds. 0 bytes and 0 seconds: no limit.

    A go begins with the first of their parcels, and anew after a rest or after as long a silence of theirs. What a broken
    connection has cost counts on: a line that comes and goes does not get the budget each time. Lanes 0-1, hellos and
    receipts never wait for it. It is looked at before each helping, so one window of messages may go beyond it.
    """

    bytes: int = 0
    seconds: float = 0.0
    rest: float = 900.0
    began: float | None = None
    used: float = float("-inf")
    until: float = float("-inf")
    base: int = 0
    seen: int = 0

    def __bool__(self) -> bool:
        """True where there is a limit."""
        return bool(self.bytes or self.seconds)

    def connected(self) -> None:
        """The count of the line begins at 0 again."""
        self.base, self.seen = self.base - self.seen, 0

    def sent(self, lane: int, now: float) -> None:
        """A message of `lane` left."""
        if lane >= Lane.READINGS:
            self.began = now if self.began is None else self.began
            self.used = now

    def wait(self, now: float, spent: int) -> float:
        """Seconds until lanes from READINGS on may leave (0: now); `spent` is what the present connection has cost so far."""
        self.seen = spent
        if not self:
            return 0.0
        if now < self.until:
            return self.until - now
        if self.began is None or self.until > self.began or now - self.used >= self.rest:
            self.began, self.base = None, spent
        elif (self.bytes and spent - self.base >= self.bytes) or (self.seconds and now - self.began >= self.seconds):
            self.until = now + self.rest
            return self.rest
        return 0.0


def soonest(*waits: float | None, most: float = 3600.0) -> float:
    """The smallest of some waits, None for never; never below 0."""
    return max(0.0, min((wait for wait in waits if wait is not None), default=most))
