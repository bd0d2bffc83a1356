"""SunTech-type blood-pressure modules (Advantage OEM and relatives): a commanded cuff.

Source of the frames: the examples of the vendor's implementation guide (start of an adult, cuff pressure, result) and, for
the other commands, second-hand confirmation (docs/reference/devices says which). Host ``3A cmd data… chk``, module
``3E len data… chk``; the byte sum of a whole frame is 0 mod 256; numbers are little-endian.

The cuff acts on a person, so the rules here are stricter than the protocol:

* A cycle starts only from `start`, which a person's press causes, and only before that press's deadline. Nothing is queued.
* When the reply to a start is lost, the cuff's pressure is asked first. A start is never sent again by itself, except after
  the module's own *busy*, which says that it did not start, within the same press and deadline.
* A result counts only after this driver's own start, the module's *complete* and its own question: a result frame at any
  other moment may be the patient's before. (With `listen=True`, for recordings, every result frame counts.)
* Every way out other than a result goes through *abort*, which is repeated until the cuff is empty.
* The patient type is explicit; adult settings on a newborn are the worst error there is.

The module's calibration and pneumatic commands do not exist in this file.
"""

from enum import Enum

from appliance.contract.metrics import Metric
from appliance.contract.readings import Numeric, ReadingKind
from appliance.devices.driver import SECOND, Line, Row
from appliance.devices.events import Noise, Notice, Said, Sample, Send, Word, numeric
from appliance.devices.framing import LengthFramer, Piece

HOST, MODULE = 0x3A, 0x3E
"""Head bytes of the two directions."""

SHORT, PRESSURE, RESULT = 4, 5, 0x18
"""Whole lengths of the three frames the module sends."""


def command(code: int, *data: int) -> bytes:
    """A host frame with its checksum.

    >>> command(0x20).hex()
    '3a20a6'
    """
    body = bytes([HOST, code, *data])
    return body + bytes([-sum(body) & 0xFF])


START = {"adult": command(0x20), "paediatric": command(0x87), "neonate": command(0x28)}
"""Start a cycle, by patient type."""
ABORT = command(0x79, 0x01, 0x00)
ASK_PRESSURE = command(0x79, 0x05, 0x00)
ASK_RESULT = command(0x79, 0x03, 0x00)
COMMANDS = frozenset({*START.values(), ABORT, ASK_PRESSURE, ASK_RESULT})
"""Every frame this driver can send."""

REPLIES = {
    0x4F: "received", 0x4B: "complete", 0x41: "aborted", 0x42: "busy", 0x45: "error", 0x4E: "undefined", 0x44: "unrecognised",
    0x53: "sleeping", 0x54: "timeout",
}  # fmt: skip
"""The module's one-letter replies: O K A B E N D S T."""

ERRORS = {
    1: "weak-or-no-signal", 2: "artifact", 3: "out-of-range", 4: "time-limit", 85: "pneumatic-blockage", 86: "ended-by-user",
    87: "leak-or-loose-cuff", 88: "safety-timeout", 89: "overpressure", 90: "power-or-hardware", 91: "autozero",
    97: "transducer-range", 99: "eeprom-calibration",
}  # fmt: skip
"""Error byte of a result, decimal as in the guide, for people. Any other number but 0 is an error too; it travels as
``device-error-<number>``."""

LIMITS = {"adult": (180 * SECOND, 300), "paediatric": (180 * SECOND, 300), "neonate": (90 * SECOND, 150)}
"""Longest cycle and highest pressure (mmHg) by patient type: IEC 80601-2-30 as the fact sheet quotes it (unverified there)."""

GAP_NS = SECOND // 10
"""Least time between two commands (second-hand, unverified). An abort does not wait for it; it is repeated instead."""
POLL_NS = SECOND // 5
"""The guide polls the cuff pressure every 200 ms."""
IDLE_POLL_NS = 5 * SECOND
"""Between cycles the pressure is asked this often: it tells that the module is there (judgement)."""
REPLY_NS = SECOND
"""A frame takes at most 25 ms at 9600 baud; a reply that is a second late is lost (judgement)."""
START_NS = 3 * SECOND
"""A start that is not confirmed by reply or by rising pressure within this time has failed (judgement)."""
BUSY_NS = 3 * SECOND // 10
"""Pause before a start that met *busy* is tried again within the same press (judgement)."""
SILENT_NS = 3 * SECOND
"""During a cycle: without any reply for this long the link counts as dead (15 polls)."""
ABORT_AGAIN_NS = SECOND
"""An abort is repeated this often while the cuff holds pressure (repeating an abort is harmless)."""
EMPTY_NS = 5 * SECOND
"""After a finished cycle the cuff empties by itself; if it has not by then, abort (judgement)."""
STUCK_NS = 20 * SECOND
"""A cuff that still holds pressure this long after the first abort: a person must take it off (judgement)."""
EMPTY_MMHG = 10
"""At or below this the cuff counts as empty (judgement: above the zero error of a transducer, below any squeeze)."""
EMPTY_TIMES = 2
"""So many readings in a row must say so."""
INFLATED_MMHG = 20
"""Above this a cycle has certainly begun; falling to empty afterwards without *complete* is a lost *complete*."""
LOST_COMPLETE_NS = 5 * SECOND
"""How long after that the *complete* is still waited for."""
RESULT_TRIES = 5
"""Questions for the result (asking is harmless). It counts when two answers are alike: the sum of bytes misses one damaged
frame in 256, and a wrong number is the worst this driver could say."""
REST_S = 30.0
"""Least rest of the arm between two cycles (judgement; the kiosk's protocol waits 60 s)."""
STALE_NS = SECOND // 2
"""A frame that has begun and not ended after this time of silence was cut (24 bytes take 25 ms)."""
NO_PRESSURE = 0xFFFF


class State(Enum):
    """Where a cycle stands. `EMPTYING` is every way out: wait, abort, poll until the cuff is empty."""

    IDLE = "idle"
    STARTING = "starting"
    DOUBTFUL = "doubtful"
    INFLATING = "inflating"
    READING = "reading"
    EMPTYING = "emptying"


def checked(frame: bytes) -> bool:
    """True when the byte sum of the frame is 0 mod 256."""
    return sum(frame) & 0xFF == 0


class SuntechNibp:
    """Driver of one module. `rest_s` is the least rest between cycles; `listen=True` decodes only and never sends."""

    def __init__(self, rest_s: float = REST_S, listen: bool = False) -> None:
        self._framer = LengthFramer(MODULE, (SHORT, PRESSURE, RESULT), checked)
        self._listen = listen
        self._rest_ns = int(rest_s * SECOND)
        self._begun = False
        self.state = State.IDLE
        self._patient_type = ""
        self._deadline_ns = 0
        self._state_ns = 0  # when this state was entered
        self._sent_ns = self._heard_ns = self._fed_ns = 0
        self._retry_ns: int | None = None
        self._poll_ns = 0
        self._abort_ns: int | None = None  # when the next abort is due while emptying
        self._first_abort_ns: int | None = None
        self._empty = 0
        self._highest = 0  # since the cuff was last empty
        self._cycle = False  # a start of ours was confirmed since then
        self._pressed = False  # a start of ours went out since then, whatever was heard of it
        self._fell_ns: int | None = None
        self._tries = 0
        self._heard_result = b""  # the result as it was heard first; it counts when it is heard twice alike
        self._again = False
        self._free_ns = 0  # no start before this
        self._warned = False
        self._left: Notice | None = None  # said when the cuff is empty
        self._ticks = {
            State.IDLE: self._tick_idle,
            State.STARTING: self._tick_starting,
            State.DOUBTFUL: self._tick_doubtful,
            State.INFLATING: self._tick_inflating,
            State.READING: self._tick_reading,
            State.EMPTYING: self._tick_emptying,
        }

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun."""
        return self._framer.pending

    @property
    def busy(self) -> bool:
        """True while the cuff is inflated or may be."""
        return self.state is not State.IDLE

    def begin(self, now_ns: int) -> list[Said]:
        """The port is open. Nobody knows what the cuff did while we were away: abort, and wait until it is empty."""
        if self._listen:
            return []
        self._begun = True
        self._heard_ns = self._fed_ns = now_ns
        return self._leave(now_ns, None)

    def start(self, patient_type: str, now_ns: int, deadline_ns: int) -> list[Said]:
        """Start one cycle, or say why not: Notice STARTED follows when the module has confirmed, else REFUSED or FAILED."""
        why = self._why_not(patient_type, now_ns, deadline_ns)
        if why:
            return [Notice(Word.REFUSED, why)]
        self._patient_type, self._deadline_ns = patient_type, deadline_ns
        self._enter(State.STARTING, now_ns)
        return self._send_start(now_ns)

    def abort(self, now_ns: int, why: str) -> list[Said]:
        """Abort, always; Notice ABORTED with `why` follows when the cuff is empty."""
        if not self._begun:
            return []
        if self.state is State.EMPTYING and self._abort_ns is not None:
            return []  # an abort is on its way and will be repeated
        return self._leave(now_ns, Notice(Word.ABORTED, why))

    def end(self, now_ns: int) -> list[Said]:
        """The collector wants to go: abort a cycle; it stays until `busy` is False."""
        return self.abort(now_ns, "stopped") if self.busy else []

    def flush(self) -> list[Said]:
        """Nothing is held back."""
        return []

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """Bytes from the line."""
        if data:
            self._fed_ns = now_ns
        return self._pieces(self._framer.feed(data), now_ns)

    def tick(self, now_ns: int) -> list[Said]:
        """Polls, deadlines and repeated aborts."""
        said: list[Said] = []
        if self._framer.pending and now_ns - self._fed_ns >= STALE_NS and self._begun:
            said += self._pieces(self._framer.expire(), now_ns)
        if self._begun:
            said += self._ticks[self.state](now_ns)
        return said

    # --- frames ---------------------------------------------------------------------------------------------------

    def _pieces(self, pieces: list[Piece], now_ns: int) -> list[Said]:
        said: list[Said] = []
        for piece, noise in pieces:
            if noise is not None:
                said.append(Noise(piece, noise))
                continue
            self._heard_ns = now_ns
            if len(piece) == RESULT:
                said += self._result(piece, now_ns)
            elif len(piece) == PRESSURE:
                said += self._pressure(piece, now_ns)
            else:
                said += self._reply(piece, now_ns)
        return said

    def _result(self, frame: bytes, now_ns: int) -> list[Said]:
        sample = result(frame)
        if self._listen:
            return [sample]
        if self.state is not State.READING:
            return [_refused(frame, "unasked")]
        if frame != self._heard_result:
            self._heard_result, self._again = frame, True
            return [Notice(Word.STATE, "result-heard", frame=frame)]
        if sample.valid and self._highest <= INFLATED_MMHG:
            sample = _refused(frame, "pressure-never-rose")  # good numbers without a squeeze are somebody else's
        self._finish(now_ns, Notice(Word.FAILED, sample.invalid) if sample.invalid else None)
        return [sample]

    def _pressure(self, frame: bytes, now_ns: int) -> list[Said]:
        value = int.from_bytes(frame[2:4], "little")
        known = None if value == NO_PRESSURE else value
        said: list[Said] = [Notice(Word.PRESSURE, "", known, frame)]
        if known is None or self._listen or not self._begun:
            return said
        self._empty = self._empty + 1 if known <= EMPTY_MMHG else 0
        self._highest = max(self._highest, known)
        if self.state is State.EMPTYING:
            return said + self._emptied(now_ns)
        if self.state is State.DOUBTFUL and known > EMPTY_MMHG:
            return said + self._started(now_ns)  # the reply was lost, the start was not: the cuff is filling
        if self.state is State.INFLATING:
            return said + self._inflating(known, now_ns)
        if self.state is State.IDLE and known > INFLATED_MMHG:
            return said + self._leave(now_ns, Notice(Word.ABORTED, "pressure-without-cycle"))
        return said

    def _reply(self, frame: bytes, now_ns: int) -> list[Said]:
        word = REPLIES.get(frame[2], f"unknown-{frame[2]:02X}")
        said: list[Said] = [Notice(Word.STATE, word, frame=frame)]
        if self._listen or not self._begun:
            return said
        if self.state is State.STARTING or self.state is State.DOUBTFUL:
            return said + self._reply_to_start(word, now_ns)
        if self.state is State.INFLATING:
            return said + self._reply_in_cycle(word, now_ns)
        return said

    def _reply_to_start(self, word: str, now_ns: int) -> list[Said]:
        if word == "received":
            return self._started(now_ns)
        if word == "busy":
            self._retry_ns = now_ns + BUSY_NS
            if self.state is State.DOUBTFUL or self._retry_ns >= self._deadline_ns:
                return self._leave(now_ns, Notice(Word.REFUSED, "busy"))
            return []
        if word == "complete" or word.startswith("unknown"):
            return []  # the late answer to an earlier command: the start's own answer is still to come
        return self._leave(now_ns, Notice(Word.FAILED, word))

    def _reply_in_cycle(self, word: str, now_ns: int) -> list[Said]:
        if word == "complete":
            self._enter(State.READING, now_ns)
            self._tries, self._heard_result, self._again = 0, b"", False
            return []
        if word in ("received", "busy") or word.startswith("unknown"):
            return []
        return self._leave(now_ns, Notice(Word.ABORTED if word == "aborted" else Word.FAILED, word))

    # --- the cycle ------------------------------------------------------------------------------------------------

    def _why_not(self, patient_type: str, now_ns: int, deadline_ns: int) -> str | None:
        if patient_type not in START:
            return "patient-type"
        if not self._begun or self._listen:
            return "not-open"
        if now_ns >= deadline_ns:
            return "too-late"
        if self.busy:
            return "busy"
        if now_ns < self._free_ns:
            return "rest"
        return None

    def _send_start(self, now_ns: int) -> list[Said]:
        self._retry_ns = None
        self._state_ns = now_ns
        self._pressed = True
        return [self._send(START[self._patient_type], now_ns)]

    def _started(self, now_ns: int) -> list[Said]:
        self._enter(State.INFLATING, now_ns)
        self._cycle, self._fell_ns = True, None
        return [Notice(Word.STARTED, self._patient_type)]

    def _inflating(self, pressure: int, now_ns: int) -> list[Said]:
        if pressure > LIMITS[self._patient_type][1]:
            return self._leave(now_ns, Notice(Word.FAILED, "overpressure"))
        if pressure > EMPTY_MMHG:
            self._fell_ns = None
        elif self._highest > INFLATED_MMHG and self._fell_ns is None:
            self._fell_ns = now_ns
        return []

    def _finish(self, now_ns: int, left: Notice | None) -> None:
        """The module says that it is done: it empties the cuff itself; see that it does."""
        self._enter(State.EMPTYING, now_ns)
        self._left, self._abort_ns, self._first_abort_ns, self._warned = left, None, None, False

    def _leave(self, now_ns: int, left: Notice | None) -> list[Said]:
        """Abort and stay in EMPTYING until the pressure says that the cuff is empty; then `left` is said."""
        self._enter(State.EMPTYING, now_ns)
        self._left, self._warned = left, False
        self._first_abort_ns = now_ns
        self._abort_ns = now_ns + ABORT_AGAIN_NS
        return [self._send(ABORT, now_ns)]

    def _emptied(self, now_ns: int) -> list[Said]:
        if self._empty < EMPTY_TIMES:
            return []
        self._enter(State.IDLE, now_ns)
        if self._highest > EMPTY_MMHG or self._cycle:
            self._free_ns = now_ns + self._rest_ns
        self._cycle, self._pressed, self._highest = False, False, 0
        left, self._left = self._left, None
        return [left] if left else [Notice(Word.STATE, "empty")]

    def _enter(self, state: State, now_ns: int) -> None:
        self.state = state
        self._state_ns = self._heard_ns = now_ns
        self._empty = 0
        self._retry_ns = None

    # --- time -----------------------------------------------------------------------------------------------------

    def _tick_idle(self, now_ns: int) -> list[Said]:
        return self._poll(now_ns, IDLE_POLL_NS)

    def _tick_starting(self, now_ns: int) -> list[Said]:
        if self._retry_ns is not None:
            if now_ns >= self._deadline_ns:
                return self._leave(now_ns, Notice(Word.REFUSED, "busy"))
            return self._send_start(now_ns) if now_ns >= self._retry_ns else []
        if now_ns - self._state_ns < REPLY_NS:
            return []
        self._enter(State.DOUBTFUL, now_ns)
        return self._poll(now_ns, POLL_NS)

    def _tick_doubtful(self, now_ns: int) -> list[Said]:
        if now_ns - self._state_ns >= START_NS - REPLY_NS:
            return self._leave(now_ns, Notice(Word.FAILED, "start-not-confirmed"))
        return self._poll(now_ns, POLL_NS)

    def _tick_inflating(self, now_ns: int) -> list[Said]:
        if now_ns - self._state_ns >= LIMITS[self._patient_type][0]:
            return self._leave(now_ns, Notice(Word.FAILED, "cycle-too-long"))
        if now_ns - self._heard_ns >= SILENT_NS:
            return self._leave(now_ns, Notice(Word.FAILED, "no-reply"))
        if self._fell_ns is not None and now_ns - self._fell_ns >= LOST_COMPLETE_NS:
            return self._leave(now_ns, Notice(Word.FAILED, "end-not-heard"))
        return self._poll(now_ns, POLL_NS)

    def _tick_reading(self, now_ns: int) -> list[Said]:
        due = self._sent_ns + (GAP_NS if self._tries == 0 or self._again else REPLY_NS)
        if now_ns < due:
            return []
        if self._tries >= RESULT_TRIES:
            return self._leave(now_ns, Notice(Word.FAILED, "no-result"))
        self._tries += 1
        self._again = False
        return [self._send(ASK_RESULT, now_ns)]

    def _tick_emptying(self, now_ns: int) -> list[Said]:
        said: list[Said] = []
        since = self._state_ns if self._first_abort_ns is None else self._first_abort_ns
        silent = now_ns - self._heard_ns >= SILENT_NS
        # A module that never answered since the port was opened is switched off; one that squeezed is an emergency, and so is one
        # that fell silent with our start on its way: its word may be what was lost, not the start.
        danger = self._cycle or self._pressed or self._highest > EMPTY_MMHG
        if danger and not self._warned and (silent or now_ns - since >= STUCK_NS):
            self._warned = True
            said.append(Notice(Word.CUFF, "no-reply" if silent else "still-inflated"))
        if self._abort_ns is None and now_ns - self._state_ns >= EMPTY_NS:
            self._first_abort_ns = self._abort_ns = now_ns
        slow = silent and not danger
        if self._abort_ns is not None and now_ns >= self._abort_ns:
            self._abort_ns = now_ns + (IDLE_POLL_NS if slow else ABORT_AGAIN_NS)
            return [*said, self._send(ABORT, now_ns)]
        return said + self._poll(now_ns, IDLE_POLL_NS if slow else POLL_NS)

    def _poll(self, now_ns: int, every_ns: int) -> list[Said]:
        if now_ns - self._sent_ns < GAP_NS or now_ns - self._poll_ns < every_ns:
            return []
        self._poll_ns = now_ns
        return [self._send(ASK_PRESSURE, now_ns)]

    def _send(self, frame: bytes, now_ns: int) -> Send:
        self._sent_ns = now_ns
        return Send(frame)


def result(frame: bytes) -> Sample:
    """The sample in a result frame: its numbers, or the device's error in their place.

    Layout after head and length: systolic u16, diastolic u16, beats, status, eight test codes, pulse u8, spare, mean u16,
    error u8, two spare. An error other than 0 means that systolic and diastolic are to be ignored.
    """
    error = frame[20]
    if error:
        return _refused(frame, f"device-error-{error}")
    systolic, diastolic, mean = (int.from_bytes(frame[at : at + 2], "little") for at in (2, 4, 18))
    if not _is_pressure(systolic) or not _is_pressure(diastolic):
        return _refused(frame, "no-value")
    numerics = (
        Numeric(Metric.SYSTOLIC, systolic),
        Numeric(Metric.DIASTOLIC, diastolic),
        numeric(Metric.MEAN, mean if _is_pressure(mean) else None),
        numeric(Metric.PULSE_RATE, frame[16] if 0 < frame[16] < 0xFF else None),
    )
    return Sample(ReadingKind.BLOOD_PRESSURE, numerics, frame, result=True)


def _is_pressure(value: int) -> bool:
    """Neither of the two patterns that no cuff measures (0 and FFFF)."""
    return 0 < value < 0xFFFF


_NO_NUMERICS = tuple(numeric(metric, None) for metric in (Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN, Metric.PULSE_RATE))


def _refused(frame: bytes, why: str) -> Sample:
    return Sample(ReadingKind.BLOOD_PRESSURE, _NO_NUMERICS, frame, invalid=why, result=True)


def _make(rest_s: float | None) -> SuntechNibp:
    return SuntechNibp(REST_S if rest_s is None else rest_s)


ROW = Row(
    name="suntech-nibp",
    title="SunTech-type blood-pressure module, started by a person's press",
    kind=ReadingKind.BLOOD_PRESSURE,
    metrics=(Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN, Metric.PULSE_RATE),
    line=Line(baud=9600),
    pace=960,
    bound=RESULT,
    make=_make,
    listen=lambda: SuntechNibp(listen=True),
    commanded=True,
    silence_s=12.0,
)
"""This family in the registry."""

UNASKED = Row(
    name="suntech-nibp-unasked",
    title="The same frames from a device that sends its results by itself: for benches, never in service",
    kind=ReadingKind.BLOOD_PRESSURE,
    metrics=ROW.metrics,
    line=ROW.line,
    pace=ROW.pace,
    bound=RESULT,
    make=lambda _rest_s: SuntechNibp(listen=True),
    listen=lambda: SuntechNibp(listen=True),
    writes=False,
    silence_s=12.0,
    service=False,
)
"""A cuff that talks unasked, so that a bench can send one result frame each at 10/s."""
