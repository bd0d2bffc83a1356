"""From a settled measurement to a row in the store: stamped, committed, kept in hand while the store cannot be written.

A measurement is committed at once, with whatever else is in hand; nothing ever waits for more to come: a
window of 50 ms lost 4 of 10,000 to a kill (measured). Nothing is said to be saved before its commit.
"""

import logging
from collections import deque
from dataclasses import dataclass
from functools import cache

from appliance import journal
from appliance.agent.clock import Clock
from appliance.contract.metrics import Status
from appliance.contract.readings import Numeric, Reading, Stamp
from appliance.contract.readings import Source as Origin
from appliance.database import Connection, StoreError, transaction
from appliance.devices.events import Measurement
from appliance.store import boots, devices, measuring, memory
from appliance.store.measuring import Observed, Recorded

SECOND = 1_000_000_000
LATE_NS = SECOND
"""Pause before a store that could not be written is tried again."""
MOST = 64
"""Measurements in hand at most. A full hand starts no cuff; a stream that goes on then loses its newest, and says so."""


@dataclass(frozen=True, slots=True)
class Source:
    """What stands behind the device's number: registered in the store before its first reading."""

    device: str
    title: str
    driver: str
    port: str
    test_data: bool
    inventory: str = ""
    calibrated: str = ""
    next_calibration: str = ""

    @property
    def identity(self) -> str:
        """Family and inventory number, so that a device in another port stays what it was; without a number, family and station port.

        The serial numbers of these families are worth nothing (all adapters say 0001).
        """
        return f"{self.driver}#{self.inventory}" if self.inventory else f"{self.driver}@{self.port}"


@dataclass(frozen=True, slots=True)
class InHand:
    """A measurement on its way into the store. The times are CLOCK_BOOTTIME of reading, feeding and settling."""

    measurement: Measurement
    began: int | None
    reason: str | None
    read_ns: int
    fed_ns: int
    settled_ns: int


class Observing:
    """Commits the measurements of one device. `session`: record each settled one of that session in the same commit (headless)."""

    def __init__(self, source: Source, *, conn: Connection, clock: Clock, log: logging.Logger, session: int | None = None) -> None:
        self._source, self._conn, self._clock, self._log, self._session = source, conn, clock, log, session
        self._hand: deque[InHand] = deque()
        self._number: int | None = None
        self._model = ""
        self._epoch = b""
        self._clock_read: tuple[str, Stamp] | None = None  # what the device's own clock said, and when; not in the store yet
        self.due_ns = 0
        """No commit before this."""
        self.failing = False
        """True while the store cannot be written."""
        self.last: Observed | None = None
        """What became of the latest measurement."""
        self.count = 0
        """Measurements committed."""
        self.records = self.new_records = 0
        """Records of the device's memory since it was last asked for them, and those among them that were not here yet."""
        self.read: int | None = None
        """How many records the device gave, when it has given all; None while none were asked for, or more may come."""

    @property
    def full(self) -> bool:
        """True when no more can be taken in hand."""
        return len(self._hand) >= MOST

    @property
    def waiting(self) -> int:
        """Measurements in hand."""
        return len(self._hand)

    def model(self, text: str) -> None:
        """What the device calls itself; said to the store with the next reading."""
        if text != self._model:
            self._model, self._number = text, None

    def clock_read(self, text: str, at_ns: int) -> None:
        """The device has said its own time; kept and sent with the first new record of its memory, never alone."""
        self._clock_read = text, self._clock.stamp_at(at_ns)

    def take(self, one: InHand) -> None:
        """Take a measurement in hand; `save` commits it."""
        if self.full:
            self._log.error("the store has been away for too long: a measurement is lost")
            return
        self._hand.append(one)

    def save(self, now_ns: int, *, now_or_never: bool = False) -> None:
        """Commit what is in hand, when it is time to. A store that cannot be written is tried again after `LATE_NS`."""
        if not self._hand or (now_ns < self.due_ns and not now_or_never):
            return
        try:
            device = self._device()
            with transaction(self._conn):
                told = self._tell_clock(device)
                done = [self._commit(one, device) for one in self._hand]
        except StoreError as error:
            if not self.failing:
                self._log.warning("%s", error)
            self.failing, self.due_ns = True, now_ns + LATE_NS
            return
        for one, (observed, recorded) in zip(self._hand, done, strict=True):
            self._tell(one, observed, recorded)
            if one.measurement.source is Origin.MEMORY:
                self.records += 1
                self.new_records += observed.state in ("settled", "unassigned")
        self._hand.clear()
        self._clock_read = None if told else self._clock_read
        self.failing, self.due_ns = False, now_ns
        self.last = done[-1][0]
        self.count += len(done)

    def _tell_clock(self, device: int) -> bool:
        """Keep what the device's clock said, when records of its memory go into the store with it. A repeat is no news."""
        new = self._clock_read is not None and any(
            one.measurement.source is Origin.MEMORY and not measuring.known(self._conn, self._reading(one.measurement, device).key)
            for one in self._hand
        )
        if new and self._clock_read is not None:
            memory.keep_clock(self._conn, device, *self._clock_read)
        return new

    def _commit(self, one: InHand, device: int) -> tuple[Observed, Recorded | None]:
        """Observe, and record where that is asked for, in the caller's transaction."""
        now, name, raw, reading = self._clock.stamp(), self._source.device, one.measurement.raw, self._reading(one.measurement, device)
        if self._session is not None and one.began == self._session and one.reason is None:
            done = measuring.save_at_once(self._conn, reading, device=name, session=self._session, now=now, raw=raw)
            if done is not None:
                return done
        observed = measuring.observe_within(self._conn, reading, device=name, began=one.began, now=now, raw=raw, reason=one.reason)
        if self._session is None or one.began != self._session or observed.state != "settled":
            return observed, None
        session = measuring.session(self._conn, self._session)
        if session is None:
            return observed, None
        try:
            return observed, measuring.record_within(self._conn, observed.measurement, staff=session.staff, now=now)
        except ValueError as error:  # as at the kiosk, a refusal leaves the row for people
            self._log.warning("not recorded: %s", type(error).__name__)
            return observed, None

    def _tell(self, one: InHand, observed: Observed, recorded: Recorded | None) -> None:
        """The steps of a reading, when they are true: *observe* and *record* after the commit."""
        done = [("read", one.read_ns), ("feed", one.fed_ns), ("settle", one.settled_ns), ("observe", None)]
        ids = {"reading_key": observed.key, "measurement": observed.measurement, "state": observed.state}
        if recorded is not None:
            self._epoch = self._epoch or boots.epoch(self._conn)[1]
            done.append(("record", None))
            ids |= {"epoch": self._epoch, "lane": int(recorded.lane), "seq": recorded.seq, "session": self._session}
        journal.steps(self._log, done, **ids)

    def _reading(self, measurement: Measurement, device: int) -> Reading:
        return Reading(
            kind=measurement.kind,
            device=device,
            numerics=marked(measurement.numerics, self._source.test_data),
            stamp=self._clock.stamp_at(measurement.settled_ns),
            source=measurement.source,
            device_time=measurement.device_time,
            ordinal=measurement.ordinal,
            rule=measurement.rule,
        )

    def number(self) -> int:
        """The device's number, announced if it was not; StoreError while the store cannot be written."""
        return self._device()

    def _device(self) -> int:
        if self._number is None:
            source = self._source
            self._number = devices.register(
                self._conn, name=source.title or source.device, driver=source.driver, identity=source.identity, model=self._model,
                serial="", test_data=source.test_data, inventory=source.inventory, calibrated=source.calibrated,
                next_calibration=source.next_calibration, now=self._clock.stamp(),
            )  # fmt: skip
        return self._number


def marked(numerics: tuple[Numeric, ...], test_data: bool) -> tuple[Numeric, ...]:
    """The numerics, each carrying test-data when nobody's body made them."""
    return tuple(_marked(each) for each in numerics) if test_data else numerics


def _marked(each: Numeric) -> Numeric:
    return Numeric(each.metric, each.value, _with_test(each.status), each.scale)


@cache
def _with_test(status: Status) -> Status:
    """Few statuses occur, and to join two flags costs more than to look them up."""
    return status | Status.TEST_DATA
