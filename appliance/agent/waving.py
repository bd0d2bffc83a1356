"""The strip of the measurement under way: collected while the finger stays, laid down in the run directory, stored nowhere."""

from collections.abc import Callable
from pathlib import Path

from appliance.contract.readings import Source
from appliance.devices.events import Measurement, Sample
from appliance.devices.settle import RESULT, STEP
from appliance.devices.waves import Waves
from appliance.store import strips
from appliance.store.measuring import Observed


class Waving:
    """Follows one probe: `offer` each sample of a placement, then `settled` and `committed` for its measurement, `moved` at its end."""

    def __init__(self, run: Path, warn: Callable[[str], object]) -> None:
        self._run, self._warn = run, warn
        self._waves = Waves()
        self._due = False  # a measurement of this placement is about to be committed
        self._key = b""  # of the one that was: its strip grows while the finger stays

    def offer(self, sample: Sample, at_ns: int) -> None:
        """A sample of the placement under way; only a live stream has a wave."""
        if sample.source is Source.LIVE and not sample.result:
            self._waves.offer(sample, at_ns)

    def settled(self, measurement: Measurement) -> None:
        """What was collected belongs to this measurement, when a stream made it."""
        self._due = measurement.rule % STEP != RESULT and measurement.source is Source.LIVE

    def committed(self, observed: Observed) -> None:
        """The measurement is in the store: its strip gets its key."""
        if self._due and observed.state in ("settled", "unassigned"):
            self._key = observed.key
            self._keep()
        self._due = False

    def moved(self) -> None:
        """Another placement, or none: what the finger gave until now is whole."""
        self._keep()
        self._waves.clear()
        self._key = b""

    def _keep(self) -> None:
        cut = self._waves.cut() if self._key else None
        if cut is None:
            return
        try:
            strips.keep(self._run, self._key, *cut)
        except OSError as error:
            self._warn(str(error))
