"""The thin link of the benches: what goes in at one end comes out at the other, at its rate, or is lost."""

import subprocess
import sys
import time

import pytest

from appliance.bench.shaper import BRIDGE_ADDRESS, LinkUnavailableError, Shaper, Weather, thin_link

_ECHO = f"""
import socket
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind(("{BRIDGE_ADDRESS}", 9))
print("ready", flush=True)
while True:
    data, sender = door.recvfrom(2048)
    door.sendto(data, sender)
"""
_ASK = f"""
import socket, sys
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.settimeout(float(sys.argv[1]))
back = 0
for number in range(int(sys.argv[2])):
    line.sendto(bytes([number]) * 472, ("{BRIDGE_ADDRESS}", 9))
try:
    while True:
        back += len(line.recvfrom(2048)[0]) == 472
except TimeoutError:
    print(back)
"""


def _echoed(link: Shaper, count: int, wait: float) -> int:
    done = subprocess.run(
        link.inside("station", [sys.executable, "-c", _ASK, str(wait), str(count)]), capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


def test_packets_pass_at_the_links_rate_and_not_while_it_is_cut() -> None:
    """Ten packets of 500 bytes at 40 kbit/s take a second of the link each way; a cut link passes none."""
    weather = Weather(rate=40_000, delay=0.02)
    try:
        link_there = thin_link(weather)
        link = link_there.__enter__()
    except LinkUnavailableError as error:
        pytest.skip(str(error))
    try:
        server = subprocess.Popen(link.inside("bridge", [sys.executable, "-c", _ECHO]), stdout=subprocess.PIPE)
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"ready\n"
            began = time.monotonic()
            assert _echoed(link, 10, 4.0) == 10
            assert link.up_bytes == link.down_bytes == 5000
            assert time.monotonic() - began >= 2.0
            weather.up = False
            assert _echoed(link, 3, 0.5) == 0
            assert link.lost == 3
        finally:
            server.stdout.close()
            server.kill()
            server.wait()
    finally:
        link_there.__exit__(None, None, None)
