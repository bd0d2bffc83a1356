"""One measuring device, one thread: open its line, read, feed the driver, settle, observe. ``tram collect DEVICE``.

The loop reads top to bottom: `Collector.turn` does everything that is to be done now, `Collector.wait` sleeps until
something may have to be done. What goes wrong with the line is waited out (OSError); nothing that a device says can end
the process. A measurement carries the measuring session of its *first* sample (decision 14) and is committed at once; which
patient it belongs to is decided by the store and by people, never here.
"""

import fcntl
import logging
import os
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from appliance.agent.clock import Clock
from appliance.agent.commands import Abort, Command, Ear, Recall, Start, may_command
from appliance.agent.live import LiveFile
from appliance.agent.observing import InHand, Observing, Source, marked
from appliance.agent.resting import CYCLES_PER_HOUR, REST_S, Arms, Squeeze
from appliance.agent.waving import Waving
from appliance.contract.readings import Numeric, ReadingKind
from appliance.contract.readings import Source as Origin
from appliance.database import Connection, StoreError, data_version
from appliance.devices.driver import SECOND, Driver, Hid, Line, Row
from appliance.devices.drivers.suntech_nibp import EMPTY_MMHG
from appliance.devices.errors import DeviceError, PortAbsentError, PortUsedError
from appliance.devices.events import Measurement, Noise, Notice, Said, Sample, Send, Word, shown
from appliance.devices.port import Port, check_address, is_simulated, open_port
from appliance.devices.recall import READ
from appliance.devices.registry import ROWS, row
from appliance.devices.settle import OUT, Settler
from appliance.devices.states import Course, Health, State, Telling, Why
from appliance.settings import Settings
from appliance.store import measuring, register
from appliance.store.errors import Refused

GATHER_NS = SECOND // 20
"""Where bytes stream the line is left alone for 50 ms after a read: 60 packages a second then cost 20 turns, not 60 to 540."""
STREAM_NS = 3 * GATHER_NS // 2
"""Two reads no further apart than this are a stream."""
BUSY_S, IDLE_S = 0.05, 0.25
"""Longest sleep without a byte or a command: while a cuff is at work (its pressure is asked every 200 ms), and otherwise."""
LOOK_NS = SECOND // 2
"""How often the store is asked whether anybody has changed it (sessions open and close there)."""
EXPIRY_NS = 5 * SECOND
"""How often the session is asked for although nobody changed anything: it ends by itself too."""
CUT_NS = 2 * SECOND
"""A short measurement that a lost line cut off counts as ended after this time; a line that is back sooner makes it void."""
CUFF_NS = 10 * SECOND
"""No automatic cuff fills, lets go and has a result sooner (judgement: they take 20 to 60 s): a result of a cuff with a button of its
own that comes sooner after the patient was named began on somebody else."""
AGE = "age_s"
"""The signal of a driver that says how many seconds ago a measurement was made, by the device's own clock."""
AT_ONCE = frozenset({"suntech-nibp-unasked"})
"""Drivers for benches whose device sends results as fast as it is told to."""
FRESH_NS = SECOND
"""A moving number older than this is not shown."""
STALL_NS = SECOND
"""A line that was not looked at for longer may hold bytes of a time when another patient sat there (a busy box, a slow card)."""
AIR_FOUND = "air-found"
"""The word of the live file while a cuff that was found inflated at the opening of its line is being emptied."""
LEAVE_NS = 20 * SECOND
"""How long a collector that is told to stop waits for its cuff to be empty."""


class NotInServiceError(Refused):
    """What must not be used here: a simulator or a driver for benches in production (decision 29), or what does not exist."""


class DeviceTakenError(OSError):
    """Another collector works for this device."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one collector is to do.

    `device` is the name of the device's section in the settings (live file, socket and sessions go by it), `title` its
    name for people. `simulated` marks every number as test data; a ``sim://`` port does so by itself. With `session` each
    settled measurement of that session is recorded at once, without a person's *Lưu*. With `once` the collector ends
    after the first measurement that was committed. `experimental` is the technician's leave to use a driver that is off
    otherwise; `inventory`, `calibrated` and `next_calibration` (dates as ``2026-05-01``) go into the register. `rest_s` and
    `cycles_per_hour` spare the arm of a cuff; `cuffs` names the cuffs that may sit on the same arm as this probe.
    """

    device: str
    driver: str
    port: str
    title: str = ""
    patient_types: tuple[str, ...] = ("adult",)
    simulated: bool = False
    session: int | None = None
    once: bool = False
    experimental: bool = False
    inventory: str = ""
    calibrated: str = ""
    next_calibration: str = ""
    rest_s: float = REST_S
    cycles_per_hour: int = CYCLES_PER_HOUR
    cuffs: tuple[str, ...] = ()

    @property
    def test_data(self) -> bool:
        """True when its numbers come from no patient."""
        return self.simulated or is_simulated(self.port)


def check(job: Job, environment: str, unit: str = "") -> Row:
    """The registry's row for a job; NotInServiceError, with a sentence for people, when it must not or cannot run.

    `unit` is the systemd unit that asks, where it serves one kind of device only (`Row.unit`).
    """
    try:
        which = row(job.driver)
        check_address(job.port)
    except ValueError as error:
        raise NotInServiceError(f"Cài đặt của máy {job.device} sai: {error}", f"{job.device}: {error}") from None
    if unit and not which.unit:
        raise NotInServiceError(
            f"Máy {job.device} nối qua cổng nối tiếp: dùng tram collect {job.device}.",
            f"{job.device}: {which.name} has a line of its own: tram collect {job.device}",
        )
    if which.unit != unit:
        raise NotInServiceError(
            f"Máy {job.device} gửi qua mạng của trạm, không qua cổng nối tiếp: {which.name} có dịch vụ riêng, {which.unit}.",
            f"{job.device}: {which.name} comes over the station's network and has its own unit, {which.unit}; collect does not serve it",
        )
    if environment == "production" and (job.test_data or not (which.service or job.experimental)):
        what = "simulated devices" if job.test_data else f"the driver {which.name}"
        raise NotInServiceError(
            f"Máy {job.device} là máy giả hoặc chỉ để thử, không được dùng thật.", f"{job.device}: {what} are refused in production"
        )
    return which


def cuffs_beside(settings: Settings, device: str) -> tuple[str, ...]:
    """The commanded cuffs of this station that may sit on the same arm as `device`: on the same one, or where either is not said."""
    mine = settings.devices[device].arm if device in settings.devices else ""
    return tuple(
        name
        for name, one in settings.devices.items()
        if name != device and one.driver in ROWS and ROWS[one.driver].commanded and (not mine or not one.arm or one.arm == mine)
    )


class Collector:
    """One device. `opens` and `allowed` have other values in tests only."""

    def __init__(
        self,
        job: Job,
        *,
        which: Row,
        conn: Connection,
        clock: Clock,
        run: Path,
        log: logging.Logger,
        opens: Callable[[str, Line | Hid], Port] = open_port,
        allowed: Callable[[int, int], bool] = may_command,
    ) -> None:
        self._job, self._row = job, which
        self._conn, self._clock, self._log, self._opens = conn, clock, log, opens
        run.mkdir(parents=True, exist_ok=True)
        self._lock = _only_one(run / f".{job.device}.lock")
        self._ear = Ear(run / f"{job.device}.sock", allowed)
        self._live = LiveFile(run, job.device)
        source = Source(job.device, job.title, job.driver, job.port, job.test_data, job.inventory, job.calibrated, job.next_calibration)
        self._observing = Observing(source, conn=conn, clock=clock, log=log, session=job.session)

        self._port: Port | None = None
        self._driver: Driver = which.make(None)
        self._settler = Settler(which.averaging)
        # where it stands, what the journal heard of that last, and when the store is to hear how well it is heard
        self._course, self._said_state, self._telling = (
            Course(which.silence_s),
            State.OPENING,
            Telling(self._told_alarm(), clock.boottime_ns()),
        )
        self._gather_ns = 0  # the line is not looked at before this
        self._read_ns = 0  # when bytes were last read
        self._seen_ns = 0  # when the line was last looked at
        self._since_ns: int | None = None  # when the bytes in hand may be as old as that, and the session is younger

        self._waving = Waving(run, log.warning)
        self._placed_ns: int | None = None  # when the placement under way began
        self._began: int | None = None  # the session at its first sample
        self._void: str | None = None  # why what is measured now belongs to nobody
        self._cut: InHand | None = None  # what a lost line cut off
        self._cut_ns = 0
        self._cycle: Start | None = None  # the press that the cuff works for
        self._patient = 0  # whose arm the latest press was about
        self._arms = Arms(conn, job.device, job.cycles_per_hour)
        self._rest_s: float = job.rest_s
        self._squeeze = Squeeze(run, job.cuffs)
        self._squeezed = False  # a cuff on this probe's arm holds air

        self._session: int | None = None
        self._version: int | None = None
        self._look_ns = self._asked_ns = 0

        self._shown: tuple[Numeric, ...] = ()
        self._spelt: tuple[tuple[Numeric, ...], list[dict[str, Any]]] = (), []  # what `_numbers` spelt last
        self._shown_ns: int | None = None  # None: shown until something new comes
        self._signals: dict[str, int] = {}
        self._invalid: str | None = None
        self._message: str | None = None
        self._measurement: int | None = None
        self._closed = False

    @property
    def finished(self) -> bool:
        """True when `once` has been done."""
        return self._job.once and self._observing.count > 0

    @property
    def pending(self) -> int:
        """Bytes the driver holds that are neither frame nor noise yet."""
        return self._driver.pending

    # --- the loop -------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Everything that is to be done now."""
        now = self._clock.boottime_ns()
        self._look(now)
        for command in self._ear.hear(now):
            self._command(command, now)
        if self._port is None and self._course.due(now):
            self._open(now)
        if self._port is not None:
            self._pump(now)
        self._let_pass(now)
        self._save(now)
        if self._live.due(now):
            self._show(now)

    def wait(self) -> None:
        """Sleep until there may be something to do: a byte, a command, or time."""
        poll = select.poll()
        for number in self._ear.filenos():
            poll.register(number, select.POLLIN)
        sleep = BUSY_S if self._port is not None and self._driver.busy else IDLE_S
        if self._port is not None:
            descriptor = self._port.fileno()
            if descriptor is None:
                sleep = min(sleep, self._port.wait_s or sleep)
            else:
                gather = (self._gather_ns - self._clock.boottime_ns()) / SECOND
                if gather > 0 and poll.poll(gather * 1000):
                    return
                poll.register(descriptor, select.POLLIN)
        poll.poll(sleep * 1000)

    def leave(self) -> None:
        """End in good order: stop the stream, or abort the cuff and wait until it is empty, at most `LEAVE_NS`."""
        now = self._clock.boottime_ns()
        deadline = now + LEAVE_NS
        self._take(self._driver.end(now), now)
        while self._port is not None and self._course.known and self._driver.busy and self._clock.boottime_ns() < deadline:
            self.wait()
            self.turn()
        now = self._clock.boottime_ns()
        self._settled(self._settler.end(), now, now)
        self._end_cut()
        self._observing.save(now, now_or_never=True)

    def close(self) -> None:
        """Give everything back, once. A cuff that may be inflated is told once more to let go."""
        if self._closed:
            return
        self._closed = True
        if self._port is not None:
            now = self._clock.boottime_ns()
            if self._driver.busy:
                self._take(self._driver.abort(now, "closed"), now)
            self._close_port()
        self._ear.close()
        self._live.remove()
        os.close(self._lock)

    # --- the line -------------------------------------------------------------------------------------------------

    def _open(self, now: int) -> None:
        try:
            port = self._opens(self._job.port, self._row.line)
        except DeviceError as error:
            self._not_open(error, now)
            return
        self._port = port
        self._rest_s = self._job.rest_s if port.rest_s is None else port.rest_s
        self._driver = self._row.make(self._rest_s)
        self._course.opened(now)
        self._gather_ns = self._seen_ns = now
        self._signals.clear()
        if self._message == "port-used":
            self._message = None
        if self._cut is not None:  # the line is back before the stream could count as ended
            self._cut = replace(self._cut, reason=measuring.RECONNECTED)
            self._end_cut()
        self._say_state()
        self._take(self._driver.begin(now), now)

    def _not_open(self, error: DeviceError, now: int) -> None:
        if isinstance(error, PortAbsentError):
            self._course.refused(Why.ABSENT, now)
        else:
            self._course.refused(Why.USED if isinstance(error, PortUsedError) else Why.REFUSED, now)
            self._log.warning("%s", error)
        if self._course.used:
            self._message = Why.USED.value
        elif self._message == Why.USED.value:
            self._message = None
        self._say_state()

    def _lose(self, error: DeviceError, now: int) -> None:
        """The line has gone. What was being measured will not be finished by whatever comes back."""
        self._log.warning("%s", error)
        if self._cycle is not None or (self._driver.busy and self._course.known):
            self._message = Word.CUFF.value  # nothing we could send would reach it now
            self._end_cycle()
        finger = self._settler.measuring_since is not None
        ended = self._settler.end()
        if ended is not None:
            self._cut, self._cut_ns = InHand(ended, self._began, self._void, now, now, now), now
        self._placed_ns = self._began = None
        self._void = measuring.RECONNECTED if finger else None
        self._close_port()
        self._course.lost(now)
        self._say_state()

    def _close_port(self) -> None:
        if self._port is not None:
            self._port.close()
        self._port = None
        self._shown, self._invalid = (), None

    def _pump(self, now: int) -> None:
        """Read, feed, let time pass."""
        assert self._port is not None
        if now < self._gather_ns:
            self._take(self._driver.tick(now), now)
            return
        try:
            data = self._port.read(now)
        except DeviceError as error:
            self._lose(error, now)
            return
        seen, self._seen_ns = self._seen_ns, now
        if data:
            if now - seen > STALL_NS:
                self._stalled(seen, now)
            self._take(self._driver.feed(data, now), now)
            self._since_ns = None
            if now - self._read_ns <= STREAM_NS:
                self._gather_ns = now + GATHER_NS
            self._read_ns = now
        self._take(self._driver.tick(now), now)

    def _stalled(self, seen: int, now: int) -> None:
        """Nobody has listened since `seen`. Where a patient was named meanwhile, what lies in the line may be the one's before."""
        if self._session_now() is None or self._session_now(seen) is not None:
            return
        self._since_ns = seen
        self._settled(self._settler.end(), now, now)
        self._placement()

    def _take(self, said: list[Said], read_ns: int) -> None:
        """What the driver said, in its order. The line may be lost in the middle of it."""
        fed_ns = self._clock.boottime_ns()
        for each in said:
            if isinstance(each, Sample):
                self._sample(each, read_ns, fed_ns)
            elif isinstance(each, Noise):
                self._course.noise(len(each.data))
                self._settler.noise(1 + len(each.data) // self._row.bound, read_ns)
            elif isinstance(each, Notice):
                self._notice(each, read_ns)
            else:
                self._send(each, read_ns)

    def _send(self, send: Send, now: int) -> None:
        if self._port is None:
            return
        if not self._row.writes:  # no byte goes to a port whose driver says that it only listens
            self._log.error("%s only listens and wanted to write", self._job.driver)
            return
        try:
            self._port.write(send.data, now)
        except DeviceError as error:
            self._lose(error, now)  # what else was said in the same breath is about a line that is no more

    # --- what was said --------------------------------------------------------------------------------------------

    def _sample(self, sample: Sample, read_ns: int, fed_ns: int) -> None:
        self._course.heard(len(sample.frame), read_ns)
        if self._since_ns is not None and not sample.result and sample.source is Origin.LIVE:
            if sample.valid or sample.invalid in OUT:  # a finger that is in from before the patient was named stays nobody's
                self._void = measuring.RECONNECTED if sample.valid else None
            return
        self._signals.update(sample.signals)
        self._invalid = sample.invalid
        if sample.valid:
            self._shown, self._shown_ns = sample.numerics, None if sample.result else read_ns
        else:
            self._shown = ()
        self._squeezed = sample.source is Origin.LIVE and self._squeeze.now(read_ns, self._elsewhere)
        if self._squeezed:
            self._settler.squeezed(read_ns)
        if sample.result:
            self._began = self._cycle.session if self._cycle is not None else self._session_of(sample, read_ns)
        if self._placed_ns is not None:
            self._waving.offer(sample, read_ns)
        self._settled(self._settler.offer(sample, read_ns), read_ns, fed_ns)
        self._placement(sample)

    def _elsewhere(self, session: int) -> bool:
        """True when a cuff's session is of another person than the one on this probe, as far as both are known."""
        mine = self._session if self._placed_ns is None else self._began
        try:
            its, ours = (None if each is None else measuring.session(self._conn, each) for each in (session, mine))
        except StoreError:
            return False
        return its is not None and ours is not None and its.patient != ours.patient

    def _placement(self, sample: Sample | None = None) -> None:
        """Follow the settler: a placement that begins takes the session of this moment; one that ends takes its own away."""
        since = self._settler.measuring_since
        if since == self._placed_ns:
            if since is None and sample is not None and sample.invalid in OUT:
                self._void = None  # no finger in it: whoever is next is not the one before the line was lost
            return
        if self._placed_ns is not None:
            self._void = None
        self._waving.moved()
        self._placed_ns = since
        mine = since is not None and self._void is None and not (sample is not None and remembered(sample))
        self._began = self._session_now() if mine else None

    def _settled(self, measurement: Measurement | None, read_ns: int, fed_ns: int) -> None:
        if measurement is None:
            return
        self._waving.settled(measurement)
        now = self._clock.boottime_ns()
        self._observing.take(InHand(measurement, self._began, self._void, read_ns, fed_ns, now))
        self._save(now)

    def _notice(self, notice: Notice, now: int) -> None:
        if notice.frame:
            self._course.heard(len(notice.frame), now)
        word = notice.word
        if word is Word.IDENTITY:
            self._observing.model(notice.text)
        elif word is Word.CLOCK:
            self._observing.clock_read(notice.text, now)
        elif word is Word.PRESSURE:
            self._pressure(notice.value)
        elif word is Word.STARTED:
            self._invalid, self._shown = None, ()
        elif word is Word.STATE and notice.text in READ:
            self._observing.read = notice.value or 0
        elif word is Word.CUFF:
            self._message = word.value
        elif word in (Word.REFUSED, Word.FAILED, Word.ABORTED):
            self._invalid, self._shown = notice.text, ()

    def _pressure(self, value: int | None) -> None:
        if value is None:
            self._signals.pop("cuff_pressure", None)
            return
        self._signals["cuff_pressure"] = value
        if value <= EMPTY_MMHG and self._message in (Word.CUFF.value, AIR_FOUND):
            self._message = None
        elif value > EMPTY_MMHG and self._course.state is State.IDENTIFYING and self._message is None:
            self._message = AIR_FOUND  # an earlier process, or a lost line, left it so; the driver has said abort already
            self._log.warning("%s: air in the cuff without a cycle of ours (%d mmHg): abort", self._job.device, value)

    # --- time -----------------------------------------------------------------------------------------------------

    def _let_pass(self, now: int) -> None:
        self._settled(self._settler.tick(now), now, now)
        self._placement()
        if self._cycle is not None and not self._driver.busy:
            self._end_cycle()
        if self._cut is not None and now - self._cut_ns >= CUT_NS:
            self._end_cut()
        self._watch(now)

    def _watch(self, now: int) -> None:
        """Where the device stands now. A line that has been silent for far too long is closed, to be opened again."""
        if self._row.commanded:
            measuring = self._cycle is not None
        else:
            measuring = self._settler.measuring_since is not None
        self._course.look(now, busy=self._driver.busy, measuring=measuring)
        self._say_state()
        if self._port is not None and self._cycle is None and not self._driver.busy and self._course.silent_too_long(now):
            self._log.info("%s has been silent for too long: its line is opened again", self._job.device)
            self._close_port()
            self._course.closed(now)

    def _end_cut(self) -> None:
        if self._cut is not None:
            self._observing.take(self._cut)
            self._cut = None

    def _say_state(self) -> None:
        if self._course.state is not self._said_state:
            self._said_state = self._course.state
            self._log.info("%s %s", self._job.device, self._said_state)

    # --- the store ------------------------------------------------------------------------------------------------

    def _save(self, now: int) -> None:
        before = self._observing.count
        self._observing.save(now)
        if self._observing.count != before and self._observing.last is not None:
            self._measurement = self._observing.last.measurement or None
            self._waving.committed(self._observing.last)
            if self._observing.last.state == "refused":
                self._invalid, self._shown = "impossible", ()

    def _look(self, now: int) -> None:
        """Keep up with the sessions that people open and close."""
        if now < self._look_ns:
            return
        self._look_ns = now + LOOK_NS
        try:
            version = data_version(self._conn)
        except StoreError:
            return
        if version != self._version or now - self._asked_ns >= EXPIRY_NS:
            self._version, self._asked_ns = version, now
            session = self._session_now()
            if session != self._session:
                self._session, self._measurement = session, None
                if self._shown_ns is None:
                    self._shown = ()  # the cuff's last numbers were another session's

    def _session_now(self, since_ns: int | None = None) -> int | None:
        """The measuring session of this device at this moment; with `session` that one or none, with `since_ns` only if it stood then.

        What comes over the network may have waited in the monitor, nobody knows how long: it is nobody's until a person says whose.
        """
        if self._row.unit:
            return None
        try:
            found = measuring.session_for(self._conn, self._job.device, self._clock.stamp())
        except StoreError:
            return None
        if found is None or (since_ns is not None and found.opened > self._clock.stamp_at(since_ns).ticks):
            return None
        return found.id if self._job.session in (None, found.id) else None

    def _session_of(self, result: Sample, read_ns: int) -> int | None:
        """The session of a measurement that the device began by itself: it must have stood when the cuff began to fill at the latest."""
        if remembered(result):
            return None
        since = self._since_ns
        back = SECOND * dict(result.signals).get(AGE, 0)
        if result.kind is ReadingKind.BLOOD_PRESSURE and self._row.name not in AT_ONCE:
            back += CUFF_NS
        if back:
            since = (read_ns if since is None else since) - back
        return self._session_now(since)

    # --- commands -------------------------------------------------------------------------------------------------

    def _command(self, command: Command, now: int) -> None:
        if isinstance(command, Abort):
            self._take(self._driver.abort(now, command.why), now)
            return
        if isinstance(command, Recall):
            self._recall(command, now)
            return
        why = self._why_not(command, now)
        said = [] if why else self._driver.start(command.patient_type, now, command.deadline_ns)
        why = why or next((each.text for each in said if isinstance(each, Notice) and each.word is Word.REFUSED), None)
        self._ear.answer(command, why)
        if why is None:
            self._cycle, self._void = command, None
            self._arms.began(self._patient, now)
            self._invalid, self._shown = None, ()
            self._take(said, now)

    def _recall(self, command: Recall, now: int) -> None:
        """Read the device's memory once more, where it has one and nobody is being measured."""
        recall = getattr(self._driver, "recall", None)
        if recall is None:
            why: str | None = "no-memory"
        elif self._port is None or not self._course.known:
            why = "no-device"
        elif self._cycle is not None or self._settler.collecting:
            why = "busy"
        else:
            why = None
        said = [] if why or recall is None else recall(now)
        why = why or next((each.text for each in said if isinstance(each, Notice) and each.word is Word.REFUSED), None)
        self._ear.answer(command, why)
        if why is None:
            self._observing.records = self._observing.new_records = 0
            self._observing.read = None
            self._take(said, now)

    def _why_not(self, start: Start, now: int) -> str | None:
        """Why no cycle may start for this press; what the device itself says comes after this."""
        if not self._row.commanded:
            return "not-commanded"
        if self._port is None or not self._course.known:
            return "no-device"
        if start.patient_type not in self._job.patient_types:
            return "patient-type"
        if self._cycle is not None:
            return "busy"
        if self._observing.failing or self._observing.full:
            return "store"
        return self._why_not_now(start, now)

    def _why_not_now(self, start: Start, now: int) -> str | None:
        """The session must be the device's at this moment, and its patient must not have had too many cycles."""
        stamp = self._clock.stamp()
        try:
            session = measuring.session_for(self._conn, self._job.device, stamp)
            if session is None or session.id != start.session:
                return "session"
            self._patient = session.patient
            return self._arms.why_not(session.patient, now, stamp, int(self._rest_s * SECOND))
        except StoreError:
            return "store"

    def _end_cycle(self) -> None:
        if self._cycle is not None:
            self._arms.ended(self._patient, self._clock.boottime_ns())
        self._cycle = None
        self._ear.let_go()

    # --- the live view --------------------------------------------------------------------------------------------

    def _show(self, now: int) -> None:
        fresh = self._shown_ns is None or now - self._shown_ns < FRESH_NS
        state, health = self._course.state, self._course.health(now)
        self._tell(health, now)
        quiet = state in (State.STALE, State.LOST, State.ABSENT, State.OPENING)
        numerics = self._numbers(self._shown) if fresh and not quiet else []
        view: dict[str, Any] = {
            "device": self._job.device,
            "driver": self._job.driver,
            "state": state.value,
            "opened_ns": self._course.opened_ns,
            "session": self._session if self._placed_ns is None else self._began,
            "numerics": numerics,
            "signals": {} if quiet else dict(self._signals),
            "invalid": self._invalid,
            "message": "store" if self._observing.failing else self._message or ("cuff-on-arm" if self._squeezed else None),
            "test_data": self._job.test_data,
            "bad_ratio": health.bad_ratio,
            "silence_s": health.silence_s,
            "reopenings": health.reopenings,
            "alarm": health.alarm,
            "measurement": self._measurement,
            "pending_bytes": self._driver.pending,
            "memory": {
                "records": self._observing.records,
                "new": self._observing.new_records,
                "read": None if self._observing.waiting else self._observing.read,
            },
        }
        try:
            self._live.show(view, now)
        except OSError as error:
            self._log.warning("%s", error)

    def _told_alarm(self) -> bool:
        try:
            last = register.heard(self._conn, self._job.device)
        except StoreError:
            return True  # not known: nothing is told for an hour
        return last is not None and last.alarm

    def _tell(self, health: Health, now: int) -> None:
        """Tell the store, and with it the bridge, when the alarm began or ended; a store that is away is told later."""
        if not self._telling.due(health, now):
            return
        try:
            heard = register.Heard(
                self._job.device, self._observing.number(), health.alarm, round(1000 * health.bad_ratio), health.silence_s,
                health.reopenings, 0,
            )  # fmt: skip
            register.tell(self._conn, heard, self._clock.stamp())
        except StoreError as error:
            self._log.warning("%s", error)
            return
        self._telling.told(health, now)
        self._log.warning("%s: %.0f %% of the bytes are in no frame", self._job.device, 100 * health.bad_ratio)

    def _numbers(self, shown_now: tuple[Numeric, ...]) -> list[dict[str, Any]]:
        """The numbers as the live file has them, spelt once for as long as they stay the same."""
        if self._spelt[0] is not shown_now:
            self._spelt = shown_now, [shown(each) for each in marked(shown_now, self._job.test_data)]
        return self._spelt[1]


def remembered(sample: Sample) -> bool:
    """True for what comes out of the device's memory: it was not measured on whoever sits there now, so it belongs to no session."""
    return sample.source is Origin.MEMORY


def run(collector: Collector, *, stopping: Callable[[], bool] = lambda: False, alive: Callable[[], object] = lambda: None) -> int:
    """Turn until told to stop or, with `once`, until the first measurement is committed. The collector is closed in any case.

    `alive` is called at every turn (the watchdog). On every way out, also on a bug, a cuff is told to let go.
    """
    try:
        while not stopping() and not collector.finished:
            collector.turn()
            alive()
            collector.wait()
        collector.leave()
    finally:
        collector.close()
    return 0


def stop_on_signals(*numbers: int) -> Callable[[], bool]:
    """Answers True once SIGTERM or SIGINT (or `numbers`) came: the loop leaves in good order at its next turn."""
    heard: list[int] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    for number in numbers or (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)
    return lambda: bool(heard)


def _only_one(path: Path) -> int:
    """Hold the device's lock until the process ends: two collectors would steal each other's bytes."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise DeviceTakenError(f"{path}: another collector works for this device") from None
    return handle
