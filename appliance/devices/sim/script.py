"""What goes wrong on a line, on purpose: unplug, go silent, noise, wrong checksum, drop, slow.

A `Script` stands between a simulated device and the line. Faults come by schedule (``noise@3:2`` = from second 3 on for 2
seconds; without a length: for good) or by hand while it runs (``noise``, ``unplug``, ``replug``, ``silent``, ``resume`` …).
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from appliance.devices.sim.and_ua767 import AndUa767
from appliance.devices.sim.beurer import Beurer
from appliance.devices.sim.bpm_pro2 import BpmPro2
from appliance.devices.sim.contec08a import Contec08a
from appliance.devices.sim.contec_cms50 import ContecCms50
from appliance.devices.sim.contec_cms50_v5 import ContecCms50V5
from appliance.devices.sim.hl7_mllp import Hl7Mllp
from appliance.devices.sim.ieee11073 import Ieee11073
from appliance.devices.sim.ivy_450c import Ivy450c
from appliance.devices.sim.maibobo import Maibobo
from appliance.devices.sim.masimo_ascii1 import MasimoAscii1
from appliance.devices.sim.microlife import Microlife
from appliance.devices.sim.nellcor_n560 import NellcorN560
from appliance.devices.sim.nonin import Nonin
from appliance.devices.sim.omron_hem import OmronHem
from appliance.devices.sim.pm6750 import Pm6750
from appliance.devices.sim.sd_codefree import SdCodefree
from appliance.devices.sim.suntech_nibp import SuntechNibp
from appliance.devices.sim.visomat import Visomat

SECOND = 1_000_000_000
KINDS = ("unplug", "silent", "noise", "wrong-checksum", "drop", "slow")
DROP_CHANCE = 0.02
"""Share of the bytes lost under ``drop``."""
DAMAGE_CHANCE = 0.5
"""Share of the frames damaged under ``wrong-checksum``."""
NOISE_BYTES_PER_S = 400
SLOW_BYTES_PER_S = 120
"""What still gets through under ``slow``: a quarter of a live oximeter stream."""
BACKLOG = 4096
"""Bytes that wait under ``slow``; the oldest are lost after that, as in a device's own buffer."""


class Simulated(Protocol):
    """A device that does not exist."""

    def feed(self, data: bytes, now_ns: int) -> None:
        """Bytes from the host."""

    def output(self, now_ns: int) -> list[bytes]:
        """The frames due by now."""

    def order(self, words: list[str], now_ns: int) -> bool:
        """A word to the device by hand; True when understood."""

    def damage(self, frame: bytes) -> bytes:
        """The frame as a bad line delivers it."""


DEVICES: dict[str, Callable[..., Simulated]] = {
    "and-ua767": AndUa767,
    "beurer": Beurer,
    "bpm-pro2": BpmPro2,
    "contec-cms50": ContecCms50,
    "contec-cms50-v5": ContecCms50V5,
    "contec08a": Contec08a,
    "hl7-mllp": Hl7Mllp,
    "ieee11073": Ieee11073,
    "ivy-450c": Ivy450c,
    "maibobo": Maibobo,
    "masimo-ascii1": MasimoAscii1,
    "microlife": Microlife,
    "nellcor-n560": NellcorN560,
    "nonin": Nonin,
    "omron-hem7301": lambda chance, **options: OmronHem(chance, **({"model": "7301"} | options)),
    "omron-hem790": OmronHem,
    "pm6750": Pm6750,
    "sd-codefree": SdCodefree,
    "suntech-nibp": SuntechNibp,
    "suntech-nibp-unasked": lambda chance, **options: SuntechNibp(chance, **({"unasked": 10.0} | options)),
    "visomat": Visomat,
}
"""Simulated devices by the name of their driver."""

_NUMBERS: dict[str, Callable[[str], Any]] = {
    "cycle": float,
    "unasked": float,
    "error": int,
    "busy": int,
    "mute_starts": int,
    "stored": int,
    "late": int,
    "deny": int,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the schedule: from `start_ns` after the beginning, for `length_ns` (None = for good)."""

    kind: str
    start_ns: int = 0
    length_ns: int | None = None

    def acts(self, passed_ns: int) -> bool:
        """True when it acts `passed_ns` after the beginning."""
        return self.start_ns <= passed_ns and (self.length_ns is None or passed_ns < self.start_ns + self.length_ns)


def fault(text: str) -> Fault:
    """A fault as it is written: ``kind``, ``kind@start`` or ``kind@start:length``, in seconds; ValueError says what is wrong.

    >>> fault("noise@3:2")
    Fault(kind='noise', start_ns=3000000000, length_ns=2000000000)
    """
    kind, _, when = text.partition("@")
    start, _, length = when.partition(":")
    if kind not in KINDS:
        raise ValueError(f"no fault {kind!r}; known: {', '.join(KINDS)}")
    try:
        return Fault(kind, int(float(start or 0) * SECOND), int(float(length) * SECOND) if length else None)
    except ValueError:
        raise ValueError(f"a fault is written noise@3:2 (from second 3 for 2 seconds), not {text!r}") from None


class Script:
    """A simulated device with its faults, as the line sees it."""

    def __init__(self, device: Simulated, chance: random.Random, faults: Iterable[Fault] = ()) -> None:
        self.device = device
        self._chance = chance
        self._faults = tuple(faults)
        self._by_hand: set[str] = set()
        self._began_ns: int | None = None
        self._last_ns = 0
        self._waiting = bytearray()
        self._noise_due = 0.0
        self._slow_due = 0.0

    def acting(self, now_ns: int) -> set[str]:
        """The faults that act now."""
        if self._began_ns is None:
            self._began_ns = self._last_ns = now_ns
        passed = now_ns - self._began_ns
        return self._by_hand | {each.kind for each in self._faults if each.acts(passed)}

    def plugged(self, now_ns: int) -> bool:
        """False while the cable is out."""
        return "unplug" not in self.acting(now_ns)

    def order(self, line: str, now_ns: int) -> bool:
        """One word by hand: a fault's name, ``replug``, ``resume`` (no fault any more), or a word to the device."""
        words = line.split()
        if words == ["resume"]:
            self._by_hand.clear()
            self._faults = ()
        elif words == ["replug"]:
            self._by_hand.discard("unplug")
            self._faults = tuple(each for each in self._faults if each.kind != "unplug")
        elif len(words) == 1 and words[0] in KINDS:
            self._by_hand.add(words[0])
        else:
            return self.device.order(words, now_ns)
        return True

    def feed(self, data: bytes, now_ns: int) -> None:
        """Bytes from the host: lost on a device that is unplugged or switched off."""
        if not self.acting(now_ns) & {"unplug", "silent"}:
            self.device.feed(data, now_ns)

    def output(self, now_ns: int) -> bytes:
        """What arrives at the host's end by now."""
        acting = self.acting(now_ns)
        passed, self._last_ns = now_ns - self._last_ns, now_ns
        frames = self.device.output(now_ns)
        if acting & {"unplug", "silent"}:
            self._waiting.clear()
            return b""
        if "wrong-checksum" in acting:
            frames = [self.device.damage(each) if self._chance.random() < DAMAGE_CHANCE else each for each in frames]
        sent = b"".join(frames)
        if "drop" in acting:
            sent = bytes(byte for byte in sent if self._chance.random() >= DROP_CHANCE)
        if "noise" in acting:
            sent = self._noisy(sent, passed)
        if "slow" in acting or self._waiting:
            sent = self._slowed(sent, passed, "slow" in acting)
        return sent

    def _noisy(self, sent: bytes, passed_ns: int) -> bytes:
        """Random bytes, in the middle of whatever is sent and also while nothing is."""
        self._noise_due = min(self._noise_due + NOISE_BYTES_PER_S * passed_ns / SECOND, NOISE_BYTES_PER_S)
        count = int(self._noise_due)
        self._noise_due -= count
        at = self._chance.randint(0, len(sent))
        return sent[:at] + self._chance.randbytes(count) + sent[at:]

    def _slowed(self, sent: bytes, passed_ns: int, acts: bool) -> bytes:
        self._waiting += sent
        del self._waiting[:-BACKLOG]
        if not acts:
            out = bytes(self._waiting)
            self._waiting.clear()
            return out
        self._slow_due = min(self._slow_due + SLOW_BYTES_PER_S * passed_ns / SECOND, SLOW_BYTES_PER_S)
        count = int(self._slow_due)
        self._slow_due -= count
        out = bytes(self._waiting[:count])
        del self._waiting[:count]
        return out


def simulate(driver: str, *, seed: int = 0, options: dict[str, str] | None = None, faults: Iterable[str] = ()) -> Script:
    """A simulated device by its driver's name; ValueError names what is unknown."""
    if driver not in DEVICES:
        raise ValueError(f"no simulated device {driver!r}; known: {', '.join(sorted(DEVICES))}")
    chance = random.Random(seed)  # noqa: S311 - invented vital signs, repeatable by their seed
    try:
        given = {name: _NUMBERS.get(name, str)(value) for name, value in (options or {}).items()}
        device = DEVICES[driver](chance, **given)
    except TypeError as error:
        raise ValueError(f"{driver}: {error}") from None
    return Script(device, random.Random(seed + 1), [fault(each) for each in faults])  # noqa: S311 - faults by seed


def from_url(url: str) -> tuple[Script, dict[str, str]]:
    """``sim://<driver>?seed=1&fault=noise@3:2&…`` as a script, and the options that are not the device's (``rest``)."""
    parts = urlsplit(url)
    if parts.scheme != "sim":
        raise ValueError(f"a simulated port is written sim://<driver>?seed=1, not {url!r}")
    pairs = parse_qsl(parts.query)
    faults = [value for name, value in pairs if name == "fault"]
    plain = {name: value for name, value in pairs if name != "fault"}
    seed = int(plain.pop("seed", "0"))
    outer = {name: plain.pop(name) for name in ("rest",) if name in plain}
    return simulate(parts.netloc, seed=seed, options=plain, faults=faults), outer
