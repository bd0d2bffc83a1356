"""The pulse wave and the seconds of one measurement, in memory only: what a person may send along with a consult. Pure.

Nothing of it is stored: it lies in the run directory until newer ones push it out or the box is switched off. Only what
a person ticks goes to the doctor (decision 26).
"""

from array import array

from appliance.contract.metrics import Metric
from appliance.contract.strips import GAP, MOST, Strip
from appliance.devices.driver import SECOND
from appliance.devices.events import Sample

LONGEST_NS = 30 * SECOND
"""A strip is the first 30 s of the finger's stay: the measurement lies within them."""
_BITS = 8
"""A wave of more bits is kept with its upper eight: a picture shows no more."""


class Waves:
    """The wave, and SpO2 and pulse of each second, since the finger came."""

    def __init__(self) -> None:
        self._wave = array("H")
        self._spo2, self._pulse = array("H"), array("H")
        self._from: int | None = None
        self._last = 0
        self._head = 0  # what came with the very first bytes was measured before the clock began

    def clear(self) -> None:
        """Another finger, or none."""
        for one in (self._wave, self._spo2, self._pulse):
            del one[:]
        self._from, self._last, self._head = None, 0, 0

    def offer(self, sample: Sample, at_ns: int) -> None:
        """One sample of a stream; after 30 s nothing more is taken."""
        self._from = at_ns if self._from is None else self._from
        if at_ns - self._from >= LONGEST_NS:
            return
        self._last = at_ns
        self._wave.extend(value for name, value in sample.signals if name == "pleth" and len(self._wave) < MOST and 0 <= value < 1 << 16)
        if at_ns == self._from:
            self._head = len(self._wave)
        second = (at_ns - self._from) // SECOND
        for kept in (self._spo2, self._pulse):
            while len(kept) <= second:
                kept.append(GAP)
        for each in sample.numerics if sample.valid else ():
            into = {Metric.SPO2: self._spo2, Metric.PULSE_RATE: self._pulse}.get(each.metric)
            if into is not None and each.value is not None and 0 <= each.value < 1 << 16:
                into[second] = each.value

    def cut(self) -> tuple[Strip | None, Strip, Strip] | None:
        """What there is: the wave (None where the device gives none), SpO2 and pulse once a second; None when nothing came."""
        if self._from is None or not self._spo2:
            return None
        length = max(1, self._last - self._from)
        rate = min(255, round((len(self._wave) - self._head) * SECOND / length))
        shift = max(0, max(self._wave, default=0).bit_length() - _BITS)
        wave = Strip(rate, _BITS, tuple(one >> shift for one in self._wave)) if rate else None
        return wave, Strip(1, 9, tuple(self._spo2)), Strip(1, 9, tuple(min(511, one) for one in self._pulse))
