"""P5: a real Mosquitto dies, is silent, and comes back without its files, while a station's backlog drains through it.

Both ends are the real commands as processes of their own. The broker keeps ten messages for a client (its default is a
thousand, and it drops the rest without a word); at each death its files are wiped or not; between deaths it stands still
(SIGSTOP: a network that swallows everything) for seconds up to a minute.
"""

import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import TypeVar

from appliance.contract.events import ConsultWithdrawn, Event
from appliance.contract.lanes import Lane
from appliance.database import transaction
from appliance.store.outbox import append
from tests import servers
from tests.polling import until
from tests.prove.result import Found, Size, SkippedError, pick
from tests.relay.site import Site

T = TypeVar("T")
DEATHS = {"pinch": 1, "commit": 3, "night": 200, "release": 2_000}
BACKLOG = {"pinch": 300, "commit": 10_000, "night": 10_000}
SILENCE_S = {"pinch": 1.0, "commit": 8.0, "night": 60.0}
"""The longest time the broker stands still."""
WITHIN = 900.0
CONF = "max_queued_messages 10\npersistence true\nautosave_interval 1\nautosave_on_changes false\npersistence_location {place}/\n"


def backlog(site: Site, count: int, dice: Random) -> None:
    """So much was saved while there was no link: mostly readings, some requests."""
    now = site.clock.stamp()
    for start in range(0, count, 500):
        with transaction(site.conn):
            for _ in range(min(500, count - start)):
                site.said += 1
                append(
                    site.conn,
                    Event(now, "an", "test", ConsultWithdrawn(site.said, "x" * dice.randrange(80))),
                    Lane(dice.choice([0, 2, 2, 2, 2, 3])),
                )


def patiently(ask: Callable[[], T]) -> T:
    """Ask the bridge's database again where it is busy taking a backlog in: that is an answer about the machine, not about the promise."""
    for _ in range(5):
        try:
            return ask()
        except OSError:
            continue
    return ask()


class Broker:
    """A Mosquitto that can be killed, wiped and stopped."""

    def __init__(self) -> None:
        if servers.find("mosquitto") is None:
            raise SkippedError("mosquitto is not installed (apt-get install mosquitto)")
        self.running = servers.mosquitto()
        conf = self.running.place / "conf"
        said = conf.read_text().replace("persistence false\n", "") + CONF.format(place=self.running.place)
        conf.write_text(said)
        self.running.start()

    def die(self, wipe: bool) -> None:
        """SIGKILL; its file is gone when `wipe`."""
        self.running.kill()
        if wipe:
            (self.running.place / "mosquitto.db").unlink(missing_ok=True)

    def close(self) -> None:
        """The end."""
        self.running.stop()
        shutil.rmtree(self.running.place, ignore_errors=True)


def drain(size: Size, seed: int, deaths: int, many: int, found: Found) -> None:
    """The honest commands."""
    dice = Random(f"broker {seed}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tram-p5-")))
        broker = Broker()
        stack.callback(broker.close)
        site = Site(folder, broker.running.port)
        stack.callback(site.close)
        backlog(site, many, dice)
        site.start("tram-bridge", "carry")
        site.start("tram", "carry")
        silences = 0.0
        for death in range(deaths):
            aim = site.waiting() - max(1, many // (deaths + 1)) if deaths < 50 else site.waiting() - dice.randrange(1, 200)
            if site.waiting() < 200:
                backlog(site, 500, dice)
                aim = site.waiting() - 200
            until(lambda aim=aim: site.waiting() <= max(0, aim), WITHIN, every=0.05, what="the backlog to drain on")
            quiet = dice.uniform(1.0, pick(size, SILENCE_S))
            assert broker.running.process is not None
            broker.running.process.send_signal(signal.SIGSTOP)
            ends = time.monotonic() + quiet
            until(lambda ends=ends: time.monotonic() >= ends, quiet + 5, every=0.1)
            broker.running.process.send_signal(signal.SIGCONT)
            silences += quiet
            until(lambda ends=ends: time.monotonic() >= ends + 0.5, 5, every=0.1)
            broker.die(wipe=True if deaths <= 3 else dice.random() < 0.5)
            wrong = patiently(site.missing)
            found.wrong += [f"after death {death + 1}: called received and not there: {sorted(wrong)[:5]}"] if wrong else []
            site.record((0, 2))
            broker.running.start()
        until(lambda: site.waiting() == 0, WITHIN, every=0.1, what="everything to be received")
        here = patiently(site.here)
        said = {(row[0], row[1]) for row in site.conn.execute("SELECT lane, seq FROM outbox").fetchall()}
        found.figures = {
            "broker deaths": deaths, "events": len(said), "seconds of silence": round(silences, 1),
            "lost": len(said - {(lane, seq) for lane, seq, _ in here}), "doubled": patiently(site.doubled), "broker's queue": 10,
        }  # fmt: skip
        found.wrong += [f"{name} {found.figures[name]:.0f}" for name in ("lost", "doubled") if found.figures[name]]


def believes(seed: int) -> bool:
    """The station that settles at PUBACK, while the bridge is away and the broker dies: does the look find what it lost?"""
    dice = Random(f"believes {seed}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tram-p5-")))
        broker = Broker()
        stack.callback(broker.close)
        site = Site(folder, broker.running.port)
        stack.callback(site.close)
        site.start("tram-bridge", "carry")
        site.start("tram", "carry", bug="settle-at-puback")
        site.record()
        until(lambda: site.waiting() == 0, 30.0, what="the first event")
        site.kill("tram-bridge")
        backlog(site, 60, dice)
        for _ in range(12):  # a PUBACK alone wakes nobody: something more has to happen
            site.record((0,))
            try:
                until(site.missing, 0.5)
            except AssertionError:
                continue
            break
        broker.die(wipe=True)
        return bool(site.missing())


def attempt(size: Size, seed: int) -> Found:
    """P5: drain through dying brokers, then the bug."""
    found = Found()
    drain(size, seed, pick(size, DEATHS), pick(size, BACKLOG), found)
    if size != "pinch":
        found.saboteurs["deleted on PUBACK"] = believes(seed)
    return found
