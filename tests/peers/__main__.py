"""``python -m tests.peers [COUNT [RATE [NAME]]]``: lost of COUNT readings in an outage, and with a kill
in it; memory, CPU and bytes online. NAME: only that product.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text

from appliance.bench.stand import DEVICE, Stand, stand
from appliance.demo.loop import Loop
from appliance.demo.proxy import Proxy
from appliance.devices.sim.pty import Terminal
from appliance.store.opening import open_store
from cloud_bridge.store.engine import open_engine
from tests import servers
from tests.peers.products import LINE, NodeRed, Product, Sink, ThingsBoard

ONLINE, ONLINE_RATE = 300, 10.0
SETTLE_S = 190.0
"""Stragglers are awaited so long without any progress: one product resumes after almost a minute."""
_TICKS = os.sysconf("SC_CLK_TCK")


def _cpu(pids: list[int]) -> float:
    """CPU-seconds that these processes have used."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def _memory(pids: list[int]) -> dict[str, float]:
    """RSS and PSS of these processes in MB."""
    said = {"Rss": 0, "Pss": 0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in said:
                said[name] += int(rest.split()[0])
    return {"rss_mb": round(said["Rss"] / 1000, 1), "pss_mb": round(said["Pss"] / 1000, 1)}


class Bench:
    """One product on its link: a source that writes numbered lines, a proxy that can be cut, a count at the other end."""

    def __init__(self, loop: Loop, proxy: Proxy, write: Any, arrived: Any, pids: Any, kill: Any, start: Any) -> None:
        self.loop, self.proxy = loop, proxy
        self.write, self.arrived, self.pids, self.kill, self.start = write, arrived, pids, kill, start
        self.sent = 0

    def feed(self, count: int, rate: float) -> None:
        """So many readings, evenly."""
        began = time.monotonic()
        for number in range(count):
            self.turn(max(0.0, began + number / rate - time.monotonic()))
            self.write(self.sent)
            self.sent += 1

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        end = time.monotonic() + seconds
        while True:
            self.loop.turn(max(0.0, min(0.02, end - time.monotonic())))
            if time.monotonic() >= end:
                return

    def settle(self, expected: int) -> float:
        """Wait for stragglers; seconds until the first new one came."""
        began = last = time.monotonic()
        before = here = self.arrived()
        first = 0.0
        while here < expected and time.monotonic() - last < SETTLE_S:
            self.turn(0.2)
            now = self.arrived()
            if now != here:
                first = first or time.monotonic() - began
                last, here = time.monotonic(), now
        return round(first, 1) if here != before else -1.0

    def measure(self, count: int, rate: float) -> dict[str, Any]:
        """Online, then an outage, then an outage with a kill."""
        base = self.arrived()
        cpu, carried = _cpu(self.pids()), self.proxy.carried[0]
        self.feed(ONLINE, ONLINE_RATE)
        self.settle(base + ONLINE)
        found: dict[str, Any] = {
            "online": {
                "lost": ONLINE - (self.arrived() - base),
                "cpu_s_per_1000": round((_cpu(self.pids()) - cpu) * 1000 / ONLINE, 2),
                "bytes_up_per_reading": round((self.proxy.carried[0] - carried) / ONLINE, 1),
                **_memory(self.pids()),
            }
        }
        for name, killed in (("outage", False), ("outage_and_kill", True)):
            base = self.arrived()
            self.proxy.cut()
            self.feed(count, rate)
            self.turn(max(0.0, 60 - count / rate))
            if killed:
                self.kill()
                self.turn(1.0)
                self.start()
                self.turn(6.0)
            self.proxy.up()
            first = self.settle(base + count)
            found[name] = {"sent": count, "lost": count - (self.arrived() - base), "first_after_s": first}
        return found


def _peer(kind: type[Product], count: int, rate: float) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tram-peer-")))
        broker = servers.mosquitto("max_queued_messages 0\nmax_inflight_messages 100\n")
        broker.start()
        stack.callback(broker.stop)
        loop = Loop()
        stack.callback(loop.close)
        proxy = Proxy(loop, broker.port)
        stack.callback(proxy.close)
        terminal = Terminal(folder / "tty")
        terminal.plug()
        stack.callback(terminal.unplug)
        sink = stack.enter_context(closing(Sink(broker.port)))
        product = kind(folder / "product", folder / "tty", proxy.port)
        product.start()
        stack.callback(product.kill)
        bench = Bench(
            loop, proxy, lambda number: terminal.write(_line(number)), lambda: len(sink.seen), product.tree, product.kill, product.start
        )
        deadline = time.monotonic() + 120
        while not terminal.opened():
            bench.turn(0.1)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{kind.name} did not open the line: {(product.folder / 'log').read_text()[-2000:]}")
        bench.turn(10.0)
        return bench.measure(count, rate) | {"repeated": sink.repeated}


def _line(number: int) -> bytes:
    values = {"systolic": 100 + number % 80, "diastolic": 60 + number % 30, "mean": 80 + number % 20, "pulse": 60 + number % 40}
    return LINE.format(number=number, **values).encode()


def _ours(count: int, rate: float) -> dict[str, Any]:
    with stand(proxied=True) as here:
        patient = here.patient()
        here.headless(patient, minutes=10)
        engine = open_engine(here.bridge_database)

        def arrived() -> int:
            with engine.connect() as tx:
                return int(tx.execute(text("SELECT count(*) FROM observation")).scalar() or 0)

        def accepted() -> int:
            """What the box has committed, and so has shown as saved: the rest of what is lost stood in the serial line."""
            with closing(open_store(here.settings, {})) as conn:
                return int(conn.execute("SELECT count(*) FROM observation").fetchone()[0])

        def pids() -> list[int]:
            return [pid for name, pid in here.pids().items() if name.startswith("collect") or name == "carry"]

        assert here.proxy is not None
        session = Session(here, patient)
        bench = Bench(here.loop, here.proxy, session.send, arrived, pids, session.kill, session.start)
        try:
            found = bench.measure(count, rate)
            return found | {"accepted_and_lost": accepted() - arrived()}
        finally:
            engine.dispose()


class Session:
    """Our collector saves at once in a measuring session, which lasts ten minutes at most: a new one is opened in time."""

    def __init__(self, here: Stand, patient: int) -> None:
        self.here, self.patient = here, patient

    def send(self, _number: int) -> None:
        """One result frame."""
        self.here.send()

    def kill(self) -> None:
        """The collector and the carrier, as they stand."""
        self.here.kill("carry", f"collect-{DEVICE}")

    def start(self) -> None:
        """Both again; the session is still open."""
        self.here.restart("carry", f"collect-{DEVICE}")


def main(arguments: list[str]) -> int:
    """Print one JSON object per product."""
    count = int(arguments[0]) if arguments else 10_000
    rate = float(arguments[1]) if len(arguments) > 1 else 200.0
    only = arguments[2] if len(arguments) > 2 else ""
    products: list[tuple[str, Callable[[], dict[str, Any]]]] = [
        ("Trạm", lambda: _ours(count, rate)),
        (ThingsBoard.name, lambda: _peer(ThingsBoard, count, rate)),
        (NodeRed.name, lambda: _peer(NodeRed, count, rate)),
    ]
    for name, run in products:
        if only in name:
            print(json.dumps({"product": name, "rate": rate, **run()}, ensure_ascii=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
