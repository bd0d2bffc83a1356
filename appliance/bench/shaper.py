"""A thin link between two network namespaces: rate, distance, loss and cuts, for real packets of real programs. Needs root.

Each namespace has a TUN device whose packets come to one loop here: a packet is dropped by chance, when the queue is full or
while the link is cut; it is sent at the link's rate and arrives after the distance. The kernel's own means (sch_netem) are
missing on many machines; this needs /dev/net/tun and `ip` alone.
"""

import contextlib
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

STATION_ADDRESS, BRIDGE_ADDRESS = "10.77.0.1", "10.77.0.2"
_TUNSETIFF = 0x400454CA
_TUN_NO_HEADER = 0x0001 | 0x1000
"""linux/if_tun.h: IFF_TUN | IFF_NO_PI."""
MTU = 1400
QUEUE_BYTES = 65_536


class LinkUnavailableError(RuntimeError):
    """The machine gives no namespaces or TUN devices: the bench says so instead of measuring something else."""


@dataclass
class Weather:
    """What the link is like: bits a second, seconds one way, share of packets lost. `up` False: nothing passes."""

    rate: float = 20_000.0
    delay: float = 0.3
    loss: float = 0.0
    up: bool = True


PROFILES = {
    "worst": Weather(20_000, 0.3, 0.05),
    "2g": Weather(30_000, 0.3),
    "vsat": Weather(100_000, 0.6),
    "3g": Weather(1_000_000, 0.04),
}
"""delivery.md §10 (round trips 600, 1200, 80 ms are halved: one way)."""


@dataclass
class _Way:
    """One direction."""

    source: int
    sink: int
    free: float = 0.0
    flying: list[tuple[float, int, bytes]] = field(default_factory=list)
    bytes: int = 0
    lost: int = 0


@dataclass
class Shaper:
    """The link; `weather` may be changed at any time. `up_bytes` and `down_bytes` count IP packets that were sent onto the link.

    `device` is the station's end.
    """

    station: str
    bridge: str
    device: str
    weather: Weather
    _ways: tuple[_Way, _Way]
    _chance: random.Random
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def up_bytes(self) -> int:
        """From the station."""
        return self._ways[0].bytes

    @property
    def down_bytes(self) -> int:
        """To the station."""
        return self._ways[1].bytes

    @property
    def lost(self) -> int:
        """Packets that were lost, both ways."""
        return self._ways[0].lost + self._ways[1].lost

    def inside(self, side: str, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` in the namespace of ``station`` or ``bridge``."""
        return ["ip", "netns", "exec", self.station if side == "station" else self.bridge, *command]

    def come_up(self) -> None:
        """The link is back, and the station's kernel says so as it does when a modem has dialled in: its route appears anew."""
        self.weather.up = True
        for how in ("down", "up"):
            _ip("-n", self.station, "link", "set", self.device, how)

    def _run(self) -> None:
        turn = 0
        while not self._stop.is_set():
            now = time.monotonic()
            soonest = min((way.flying[0][0] for way in self._ways if way.flying), default=now + 0.1)
            ready, _, _ = select.select([way.source for way in self._ways], [], [], max(0.0, min(0.1, soonest - now)))
            now = time.monotonic()
            for way in self._ways:
                if way.source in ready:
                    turn += 1
                    self._take(way, os.read(way.source, 2048), now, turn)
                while way.flying and way.flying[0][0] <= now:
                    packet = heapq.heappop(way.flying)[2]
                    with contextlib.suppress(OSError):
                        os.write(way.sink, packet)

    def _take(self, way: _Way, packet: bytes, now: float, turn: int) -> None:
        said = self.weather
        waiting = max(0.0, way.free - now) * said.rate / 8
        if not said.up or waiting > QUEUE_BYTES:
            way.lost += 1
            return
        way.free = max(now, way.free) + len(packet) * 8 / said.rate
        way.bytes += len(packet)
        if self._chance.random() < said.loss:  # lost in the air: it has used the link all the same
            way.lost += 1
            return
        heapq.heappush(way.flying, (way.free + said.delay, turn, packet))


_LINKS = itertools.count()


@contextmanager
def thin_link(weather: Weather, seed: int = 1) -> Iterator[Shaper]:
    """Two namespaces and the link between them; all of it is gone afterwards. LinkUnavailableError where the machine has no means."""
    number = next(_LINKS)  # one process may have several links at a time
    names = [f"tram-{side}-{os.getpid()}-{number}" for side in ("box", "cloud")]
    devices = [f"t{side}-{os.getpid()}-{number}"[:15] for side in (0, 1)]
    tuns: list[int] = []
    try:
        for name, device, own, other in zip(
            names, devices, (STATION_ADDRESS, BRIDGE_ADDRESS), (BRIDGE_ADDRESS, STATION_ADDRESS), strict=True
        ):
            tuns.append(_side(name, device, own, other))
    except (OSError, subprocess.CalledProcessError) as error:
        _clear(names, tuns)
        raise LinkUnavailableError(f"no thin link here ({error}): it needs root, ip and /dev/net/tun") from error
    ways = (_Way(tuns[0], tuns[1]), _Way(tuns[1], tuns[0]))
    shaper = Shaper(names[0], names[1], devices[0], weather, ways, random.Random(seed))  # noqa: S311 - which packets are lost
    thread = threading.Thread(target=shaper._run, name="shaper")  # noqa: SLF001 - its own loop
    thread.start()
    try:
        yield shaper
    finally:
        shaper._stop.set()  # noqa: SLF001 - as above
        thread.join()
        _clear(names, tuns)


def _side(name: str, device: str, own: str, other: str) -> int:
    """A namespace with a TUN device; the descriptor its packets come by."""
    _ip("netns", "add", name)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _TUN_NO_HEADER))
        _ip("link", "set", device, "netns", name)
        _ip("netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")  # the kernel's own chatter is no traffic of ours
        _ip("netns", "exec", name, "sysctl", "-qw", "net.ipv4.tcp_timestamps=0")  # as the role network sets a box
        for words in (
            ("link", "set", "lo", "up"),
            ("link", "set", device, "mtu", str(MTU), "up"),
            ("addr", "add", f"{own}/32", "peer", other, "dev", device),
        ):
            _ip("-n", name, *words)
    except BaseException:
        os.close(tun)
        raise
    return tun


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _clear(names: Sequence[str], tuns: Sequence[int]) -> None:
    for tun in tuns:
        os.close(tun)
    for name in names:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
