"""From a settled measurement to a row in the store: stamped, committed at once, kept in hand while the store cannot be written."""

import logging
from collections import deque
from dataclasses import dataclass, replace

from appliance import journal
from appliance.agent.clock import Clock
from appliance.contract.metrics import Status
from appliance.contract.readings import Numeric, Reading
from appliance.database import Connection, StoreError
from appliance.devices.events import Measurement
from appliance.store import boots, devices, measuring

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

    @property
    def identity(self) -> str:
        """Family and station port: the serial numbers of these families are worth nothing (all adapters say 0001)."""
        return f"{self.driver}@{self.port}"


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
    """Commits the measurements of one device. `session`: record each settled one of that session at once (headless)."""

    def __init__(self, source: Source, *, conn: Connection, clock: Clock, log: logging.Logger, session: int | None = None) -> None:
        self._source, self._conn, self._clock, self._log, self._session = source, conn, clock, log, session
        self._hand: deque[InHand] = deque()
        self._observed: measuring.Observed | None = None  # of the first in hand, when only its recording is left to do
        self._retry_ns = 0
        self._number: int | None = None
        self._model = ""
        self.failing = False
        """True while the store cannot be written."""
        self.last: measuring.Observed | None = None
        """What became of the latest measurement."""
        self.count = 0
        """Measurements committed."""

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

    def take(self, one: InHand) -> None:
        """Take a measurement in hand; `save` commits it."""
        if self.full:
            self._log.error("the store has been away for too long: a measurement is lost")
            return
        self._hand.append(one)

    def save(self, now_ns: int) -> None:
        """Commit what is in hand, oldest first. A store that cannot be written is tried again after `LATE_NS`."""
        if not self._hand or now_ns < self._retry_ns:
            return
        try:
            while self._hand:
                self._commit(self._hand[0])
                self._hand.popleft()
                self._observed = None
            self.failing = False
        except StoreError as error:
            if not self.failing:
                self._log.warning("%s", error)
            self.failing = True
            self._retry_ns = now_ns + LATE_NS

    def _commit(self, one: InHand) -> None:
        """Observe, and record where that is asked for; a StoreError between the two leaves only the second to do."""
        if self._observed is None:
            self._observed = self._observe(one)
        if self._session is not None and one.began == self._session and self._observed.state == "settled":
            self._record(self._observed, self._session)
        self.last = self._observed
        self.count += 1

    def _observe(self, one: InHand) -> measuring.Observed:
        reading = self._reading(one.measurement)
        observed = measuring.observe(
            self._conn, reading, device=self._source.device, began=one.began, now=self._clock.stamp(), raw=one.measurement.raw,
            reason=one.reason,
        )  # fmt: skip
        done = (("read", one.read_ns), ("feed", one.fed_ns), ("settle", one.settled_ns), ("observe", None))
        journal.steps(self._log, done, reading_key=observed.key, measurement=observed.measurement, state=observed.state)
        return observed

    def _record(self, observed: measuring.Observed, number: int) -> None:
        """Headless: the session's own staff record it. A refusal leaves the row for people, as at the kiosk."""
        session = measuring.session(self._conn, number)
        if session is None:
            return
        try:
            done = measuring.record(self._conn, observed.measurement, staff=session.staff, now=self._clock.stamp())
        except ValueError as error:
            self._log.warning("not recorded: %s", type(error).__name__)
            return
        journal.step(
            self._log, "record", reading_key=done.key, measurement=observed.measurement, epoch=boots.epoch(self._conn)[1],
            lane=int(done.lane), seq=done.seq, session=number,
        )  # fmt: skip

    def _reading(self, measurement: Measurement) -> Reading:
        return Reading(
            kind=measurement.kind,
            device=self._device(),
            numerics=marked(measurement.numerics, self._source.test_data),
            stamp=self._clock.stamp_at(measurement.settled_ns),
            source=measurement.source,
            device_time=measurement.device_time,
            ordinal=measurement.ordinal,
            rule=measurement.rule,
        )

    def _device(self) -> int:
        if self._number is None:
            source = self._source
            self._number = devices.register(
                self._conn, name=source.title or source.device, driver=source.driver, identity=source.identity, model=self._model,
                serial="", test_data=source.test_data, now=self._clock.stamp(),
            )  # fmt: skip
        return self._number


def marked(numerics: tuple[Numeric, ...], test_data: bool) -> tuple[Numeric, ...]:
    """The numerics, each carrying test-data when nobody's body made them."""
    return tuple(replace(each, status=each.status | Status.TEST_DATA) for each in numerics) if test_data else numerics
