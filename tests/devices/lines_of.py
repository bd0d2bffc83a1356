"""What the tests of every driver need: a driver and its simulator at the two ends of a line, and line noise."""

import random
from collections import Counter

from appliance.contract.metrics import Metric
from appliance.devices.driver import SECOND, Driver
from appliance.devices.events import Measurement, Noise, Notice, Said, Sample, Send
from appliance.devices.registry import ROWS
from appliance.devices.settle import Settler
from appliance.devices.sim.script import simulate
from tests.lines import feed, samples

STEP = SECOND // 50


def values(made: Sample | Measurement) -> dict[Metric, int | None]:
    """The numbers by metric."""
    return {each.metric: each.value for each in made.numerics}


def heard(name: str, data: bytes) -> list[Sample]:
    """The samples of a recording, fed whole."""
    return samples(feed(ROWS[name].listen(), [data], bound=ROWS[name].bound))


class Wire:
    """A driver at one end, a simulated device at the other, a hand-turned clock, and a settler that listens."""

    def __init__(self, name: str, *faults: str, seed: int = 5, **options: str) -> None:
        self.script = simulate(name, seed=seed, options=options, faults=faults)
        self.driver: Driver = ROWS[name].make(1.0)
        self.settler = Settler()
        self.now = SECOND
        self.said: list[Said] = []
        self.made: list[Measurement] = []
        self.recorded = b""
        self.take(self.driver.begin(self.now))

    def run(self, seconds: float) -> "Wire":
        """Turn the clock."""
        for _ in range(round(seconds * 50)):
            self.now += STEP
            data = self.script.output(self.now)
            self.recorded += data
            self.take(self.driver.feed(data, self.now))
            self.take(self.driver.tick(self.now))
            ended = self.settler.tick(self.now)
            self.made += [ended] if ended else []
        return self

    def take(self, said: list[Said]) -> None:
        """Do what the collector does with it."""
        self.said += said
        for each in said:
            if isinstance(each, Send):
                self.script.feed(each.data, self.now)
            elif isinstance(each, Sample):
                made = self.settler.offer(each, self.now)
                self.made += [made] if made else []

    @property
    def samples(self) -> list[Sample]:
        """Every sample so far."""
        return samples(self.said)

    @property
    def notices(self) -> list[str]:
        """Every notice's text so far."""
        return [each.text for each in self.said if isinstance(each, Notice)]

    @property
    def noise(self) -> Counter[str]:
        """Noise bytes by reason."""
        count: Counter[str] = Counter()
        for each in self.said:
            if isinstance(each, Noise):
                count[each.reason] += len(each.data)
        return count


def no_value_in_noise(name: str, seed: int, kilobytes: int = 128) -> int:
    """Feed line noise: no byte lost, nothing grows, no value (AssertionError otherwise); how many samples without a value there were."""
    chance = random.Random(seed)
    driver, row = ROWS[name].listen(), ROWS[name]
    fed = accounted = count = 0
    for _ in range(kilobytes // 64):
        data = chance.randbytes(65536)
        fed += len(data)
        for each in driver.feed(data, 0):
            if isinstance(each, Sample):
                assert not each.valid, f"noise became {values(each)}"
                count += 1
            accounted += len(each.data if isinstance(each, Noise) else each.frame if isinstance(each, Sample | Notice) else b"")
        assert driver.pending <= row.bound
        assert accounted + driver.pending == fed
    return count
