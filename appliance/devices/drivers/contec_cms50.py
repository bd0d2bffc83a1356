"""Contec CMS50 and CMS60 finger oximeters, protocol V7.0, live stream.

Source of every byte: the vendor's "Communication protocol of pulse oximeter V7.0" (2010-07-08), live package 01 and the
command table. A CMS50D+ with firmware 4.6 or later speaks this; the same label with older firmware speaks another
protocol (no data then: see docs/reference/devices).

Traps this driver is built around: every data byte travels with bit 7 set and its true bit 7 in the mask byte; the beep
flag stays on for two packages; PR 0, SpO2 0 and the sentinels FF, 7F, FFFF are *no value*; probe error and searching
mean that the numbers beside them are not values either. There is no checksum: after noise, a package counts only
together with an equal-looking neighbour, so that line noise never shows as a number.

The memory of the device is not read here, and the command that empties it does not exist in this file.
"""

from appliance.contract.metrics import Metric
from appliance.contract.readings import Numeric, ReadingKind
from appliance.devices.driver import SECOND, Line, Row
from appliance.devices.events import Noise, Notice, Said, Sample, Send, Word, numeric
from appliance.devices.framing import LowByteFramer

LENGTHS = {
    0x01: 9, 0x02: 9, 0x03: 9, 0x04: 9, 0x05: 9, 0x06: 4, 0x07: 8, 0x08: 8, 0x09: 6, 0x0A: 4, 0x0B: 4, 0x0C: 2, 0x0D: 3,
    0x0E: 3, 0x0F: 8, 0x10: 3, 0x11: 9, 0x12: 8, 0x15: 9,
}  # fmt: skip
"""Whole length of every package the device sends, by its type (V7.0 table; 06 was seen on the wire, undocumented)."""

LIVE, MODEL, VENDOR, FEEDBACK, BYE = 0x01, 0x02, 0x03, 0x0B, 0x0D
"""Package types: live sample, model (in two parts), vendor, feedback to a command, the device ends the link."""

START_LIVE, STOP_LIVE, ASK_MODEL, KEEP_ALIVE = 0xA1, 0xA2, 0xA8, 0xAF
"""Every command this driver knows. None of them writes to the device's memory."""

NO_PULSE, NO_SPO2, NO_PERFUSION = 0xFF, 0x7F, 0xFFFF
"""Sentinels of the live package."""
HIGHEST_PULSE, HIGHEST_SPO2 = 254, 100
"""The largest values the document allows; anything above is no value."""

KEEP_ALIVE_NS = 5 * SECOND
"""The document asks for a keep-alive every 5 s."""
REPLY_NS = SECOND
"""A reply must come within 1 s (V7.0)."""
ASK_AGAIN_NS = 5 * SECOND
"""While no live package comes, live is asked for this often: the oximeter switches itself off without a finger."""
SILENT_NS = 2 * SECOND
"""Without a live package for this long the stream counts as stopped (it sends 60 a second)."""

NEAR_SPO2, NEAR_PULSE = 4, 20
"""After noise: how far two neighbouring packages, 1/60 s apart, may differ (judgement; the device averages over beats)."""

PACKAGES_PER_SECOND = 60
"""Measured 60.0, documented 60 ± 2."""

_MASK_FOR_COMMAND = 0x81


def command(code: int) -> bytes:
    """A command package without arguments: 7D, the mask that carries bit 7 of the code, the code, six unused bytes.

    >>> command(START_LIVE).hex()
    '7d81a1808080808080'
    """
    return bytes([0x7D, _MASK_FOR_COMMAND, code]) + b"\x80" * 6


def data_bytes(package: bytes) -> bytes:
    """The data of a package with every true bit 7 put back from the mask byte.

    >>> data_bytes(bytes.fromhex("01E887B49696D8FFFF")).hex()
    '0734169658ffff'
    """
    mask = package[1]
    return bytes(byte & 0x7F | (mask >> place & 1) << 7 for place, byte in enumerate(package[2:]))


class ContecCms50:
    """Driver of one oximeter. With `listen=True` it decodes only and never sends (recordings, `tram device decode`)."""

    def __init__(self, listen: bool = False) -> None:
        self._listen = listen
        self._framer = LowByteFramer(LENGTHS)
        self._doubt = False  # True from the first noise on, until two neighbours agree
        self._held: Sample | None = None
        self._beep = False
        self._model: dict[int, str] = {}
        self._begun = False
        self._asked_ns = self._kept_ns = self._live_ns = 0
        self._wanted = False

    @property
    def pending(self) -> int:
        """Bytes of a package that has begun, and of one that waits for its neighbour."""
        return self._framer.pending + (len(self._held.frame) if self._held else 0)

    @property
    def busy(self) -> bool:
        """Never: the oximeter does nothing to anybody."""
        return False

    def begin(self, now_ns: int) -> list[Said]:
        """Ask the model; the stream is asked for when it has answered, or after 1 s."""
        if self._listen:
            return []
        self._begun, self._wanted = True, True
        self._asked_ns = self._kept_ns = self._live_ns = now_ns
        return [Send(command(ASK_MODEL))]

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """Bytes from the line."""
        said: list[Said] = []
        for piece, noise in self._framer.feed(data):
            if noise is not None:
                self._release(said)
                self._doubt = True
                said.append(Noise(piece, noise))
            elif piece[0] == LIVE:
                self._live_ns = now_ns
                self._live(piece, said)
            else:
                self._release(said)
                said.append(self._notice(piece, now_ns))
        return said

    def tick(self, now_ns: int) -> list[Said]:
        """Ask for the stream when it does not come; keep it alive when it does."""
        if not self._begun:
            return []
        if self._wanted and now_ns - self._asked_ns >= REPLY_NS:
            return self._ask(now_ns)
        if now_ns - self._live_ns >= SILENT_NS and now_ns - self._asked_ns >= ASK_AGAIN_NS:
            return self._ask(now_ns)
        if now_ns - self._kept_ns >= KEEP_ALIVE_NS:
            self._kept_ns = now_ns
            return [Send(command(KEEP_ALIVE))]
        return []

    def start(self, patient_type: str, now_ns: int, deadline_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """Refused: an oximeter measures by itself as soon as a finger is in."""
        return [Notice(Word.REFUSED, "not-commanded")]

    def abort(self, now_ns: int, why: str) -> list[Said]:  # noqa: ARG002 - as every driver
        """Nothing to abort."""
        return []

    def end(self, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """Stop the live stream."""
        if not self._begun:
            return []
        self._begun = False
        return [Send(command(STOP_LIVE))]

    def flush(self) -> list[Said]:
        """Say the package that waits for a neighbour; a cut tail stays pending."""
        said: list[Said] = []
        self._release(said)
        return said

    def _ask(self, now_ns: int) -> list[Said]:
        self._wanted = False
        self._asked_ns = self._kept_ns = now_ns
        return [Send(command(START_LIVE))]

    def _live(self, package: bytes, said: list[Said]) -> None:
        """One live package: said at once in a clean stream; after noise only with a neighbour that looks like it."""
        sample = self._sample(package)
        if not self._doubt:
            said.append(sample)
        elif self._held is None:
            self._held = sample
        elif _near(self._held, sample):
            said += [self._held, sample]
            self._held, self._doubt = None, False
        else:
            self._release(said)
            self._held = sample

    def _release(self, said: list[Said]) -> None:
        """A held package found no neighbour: it is a sample, but never a value."""
        if self._held is not None:
            said.append(_without_value(self._held.frame, self._held.invalid or "unconfirmed", ()))
            self._held = None

    def _sample(self, package: bytes) -> Sample:
        d = data_bytes(package)
        beep = bool(d[0] & 0x40)
        edge, self._beep = beep and not self._beep, beep
        signals = (("pleth", d[1] & 0x7F), ("beep", int(edge)), ("signal", d[0] & 0x0F), ("bar", d[2] & 0x0F))
        why = _why_invalid(d)
        if why is not None:
            return _without_value(package, why, signals)
        return Sample(ReadingKind.SPO2, _numerics(d), package, signals=signals)

    def _notice(self, package: bytes, now_ns: int) -> Notice:
        d = data_bytes(package)
        if package[0] == MODEL and not self._doubt:
            return self._identity(d, package, now_ns)
        if package[0] == FEEDBACK:
            return Notice(Word.STATE, f"feedback {d[0]:02X} reason {d[1]:02X}", frame=package)
        if package[0] == BYE:
            return Notice(Word.STATE, f"device ends the link, reason {d[0]:02X}", frame=package)
        return Notice(Word.STATE, f"package {package[0]:02X}", frame=package)

    def _identity(self, d: bytes, package: bytes, now_ns: int) -> Notice:
        """The model comes as two packages (first byte 00, then FF), and all of it twice."""
        if self._wanted:
            self._asked_ns = min(self._asked_ns, now_ns - REPLY_NS)  # the device has spoken: ask for the stream at the next tick
        self._model[0 if d[0] == 0 else 1] = "".join(chr(byte) for byte in d[1:] if 0x20 < byte < 0x7F)
        return Notice(Word.IDENTITY, self._model.get(0, "") + self._model.get(1, ""), frame=package)


def _why_invalid(d: bytes) -> str | None:
    """Why a live package's numbers are not values, the device's own reasons first."""
    if d[0] & 0x80:
        return "probe-error"
    if d[0] & 0x10:
        return "searching-too-long"
    if d[1] & 0x80:
        return "searching"
    if not 1 <= d[3] <= HIGHEST_PULSE or not 1 <= d[4] <= HIGHEST_SPO2:
        return "no-value"
    return None


def _numerics(d: bytes) -> tuple[Numeric, ...]:
    perfusion = d[5] | d[6] << 8
    missing = bool(d[2] & 0x10) or perfusion == NO_PERFUSION
    return (
        Numeric(Metric.SPO2, d[4]),
        Numeric(Metric.PULSE_RATE, d[3]),
        numeric(Metric.PERFUSION, None if missing else perfusion, scale=2),
    )


_NO_NUMERICS = (numeric(Metric.SPO2, None), numeric(Metric.PULSE_RATE, None), numeric(Metric.PERFUSION, None, scale=2))


def _without_value(package: bytes, why: str, signals: tuple[tuple[str, int], ...]) -> Sample:
    return Sample(ReadingKind.SPO2, _NO_NUMERICS, package, invalid=why, signals=signals)


def _near(one: Sample, other: Sample) -> bool:
    """True when two neighbours can be 1/60 s apart: equally usable, and their values close."""
    if one.invalid or other.invalid:
        return one.invalid == other.invalid
    spo2, pulse = one.numerics[0], one.numerics[1]
    return (
        abs((spo2.value or 0) - (other.numerics[0].value or 0)) <= NEAR_SPO2
        and abs((pulse.value or 0) - (other.numerics[1].value or 0)) <= NEAR_PULSE
    )


def _make(rest_s: float | None) -> ContecCms50:  # noqa: ARG001 - no cycles, no rest between them
    return ContecCms50()


ROW = Row(
    name="contec-cms50",
    title="Contec CMS50/CMS60 finger oximeter, protocol V7.0, live stream",
    kind=ReadingKind.SPO2,
    metrics=(Metric.SPO2, Metric.PULSE_RATE, Metric.PERFUSION),
    # The vendor's own program sets DTR and clears RTS.
    line=Line(baud=115200, dtr=True, rts=False),
    pace=PACKAGES_PER_SECOND * LENGTHS[LIVE],
    bound=2 * max(LENGTHS.values()),
    make=_make,
    listen=lambda: ContecCms50(listen=True),
    silence_s=SILENT_NS / SECOND,
)
"""This family in the registry."""
