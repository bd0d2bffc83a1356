"""The packet filter of a station as the roles draw it, loaded into a network of its own and tried port by port.

Two network namespaces joined by two cables: the box, and what is outside it. Every port of TCP and UDP is knocked at, and a chain behind
the filter writes down which knocks came through, so that nobody waits for an answer that never comes.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # comes with ansible-core, without types
from jinja2 import Environment, FileSystemLoader

from tests.polling import until
from tests.provisioning.nspawn import PROVISIONING

WAN, INTERNET = "203.0.113.2", "203.0.113.1"
LAN, NEIGHBOUR = "10.77.0.1", "10.77.0.9"
WAN6, INTERNET6 = "2001:db8::2", "2001:db8::1"
MODEM, OPERATOR = "10.64.0.2", "10.64.0.1"
"""An operator of mobile networks gives addresses of the private ranges to thousands of customers."""
SSH = 22
NEEDED = {"nft": "nftables", "ip": "iproute2", "unshare": "util-linux"}
NAMES = {53, 67, 123, 547}
"""What goes out by UDP: names, a lease of either kind, the time."""
WRITTEN_DOWN = """
table inet seen {
  set tcp_in { type inet_service; size 65536; }
  set udp_in { type inet_service; size 65536; }
  set tcp_out { type inet_service; size 65536; }
  set udp_out { type inet_service; size 65536; }
  chain in {
    type filter hook input priority 10;
    iif lo accept
    tcp flags & (syn | ack) == syn add @tcp_in { tcp dport }
    meta l4proto udp add @udp_in { udp dport }
  }
  chain through {
    type filter hook forward priority 10;
    tcp flags & (syn | ack) == syn add @tcp_in { tcp dport }
    meta l4proto udp add @udp_in { udp dport }
  }
  chain out {
    type filter hook output priority 10;
    oif lo accept
    tcp flags & (syn | ack) == syn add @tcp_out { tcp dport }
    meta l4proto udp add @udp_out { udp dport }
  }
}
"""
KNOCK = """
import socket, struct, sys
kind, source, target, last = sys.argv[1:5]
family = socket.AF_INET6 if ":" in target else socket.AF_INET
ends = socket.inet_pton(family, source) + socket.inet_pton(family, target)
blocked = 0
def folded(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
def opening(port):
    begin = struct.pack("!HHIIBBH", 40000, port, 1, 0, 5 << 4, 2, 1024)
    return begin + struct.pack("!HH", folded(ends + struct.pack("!II", 20, socket.IPPROTO_TCP) + begin + bytes(4)), 0)
if kind == "tcp":
    line = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
else:
    line = socket.socket(family, socket.SOCK_DGRAM)
line.bind((source, 0))
for port in range(1, int(last) + 1):
    try:
        line.sendto(opening(port) if kind == "tcp" else b"?", (target, 0 if kind == "tcp" else port))
    except PermissionError:  # the filter's own word to a program of its machine
        blocked += 1
    except ConnectionRefusedError:  # an answer to an earlier one
        pass
print(blocked)
"""
"""Every port of one kind, one packet each: TCP's first one with its checksum, or a byte by UDP."""
EVERY, USUAL = 65_535, 9_999
"""How many ports are knocked at: all from the provider's side; elsewhere, to be quick, those among which all our programs are."""


@dataclass(frozen=True)
class Place:
    """The first processes of the two networks."""

    box: int
    outside: int

    def run(self, where: int, *command: str, **more: Any) -> str:
        """A command in one of the two networks; what it printed."""
        found = subprocess.run(["nsenter", "-t", str(where), "-n", *command], text=True, capture_output=True, check=False, **more)
        assert found.returncode == 0, f"{command}: {found.stderr}"
        printed: str = found.stdout
        return printed

    def load(self, rules: str) -> None:
        """These rules and the chain that writes down, nothing beside."""
        self.run(self.box, "nft", "-f", "-", input="flush ruleset\n" + rules + WRITTEN_DOWN)

    def knock(self, where: int, kind: str, source: str, target: str, last: int) -> None:
        """The ports of `kind` up to `last`, from one end."""
        self.run(where, sys.executable, "-c", KNOCK, kind, source, target, str(last))

    def seen(self, name: str) -> set[int]:
        """The ports whose knock came through; forgotten then."""
        said = json.loads(self.run(self.box, "nft", "-j", "list", "set", "inet", "seen", name))["nftables"]
        self.run(self.box, "nft", "flush", "set", "inet", "seen", name)
        found: set[int] = set()
        for each in next(one["set"] for one in said if "set" in one).get("elem", []):
            found |= set(range(each["range"][0], each["range"][1] + 1)) if isinstance(each, dict) else {each}
        return found


@contextmanager
def network() -> Iterator[int]:
    """An empty network; it ends with its first process, which ends with us."""
    with subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as first:
        try:
            until(lambda: os.stat(f"/proc/{first.pid}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino, 10, what="a network")
            yield first.pid
        finally:
            first.kill()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The box with a cable to the provider and one to the station's own network, and who is at the other ends."""
    if os.geteuid() != 0:
        pytest.skip("a network of its own needs root")
    if lacking := [f"{program} ({package})" for program, package in NEEDED.items() if shutil.which(program) is None]:
        pytest.skip(f"missing: {', '.join(lacking)}")
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no new networks")
    with network() as box, network() as outside:
        both = Place(box, outside)
        for card, far, here, there in (
            ("wan", "internet", f"{WAN}/24", f"{INTERNET}/24"),
            ("lan", "near", f"{LAN}/24", f"{NEIGHBOUR}/24"),
            ("wwan0", "operator", f"{MODEM}/24", f"{OPERATOR}/24"),
        ):
            both.run(box, "ip", "link", "add", card, "type", "veth", "peer", "name", far, "netns", str(outside))
            both.run(box, "ip", "address", "add", here, "dev", card)
            both.run(outside, "ip", "address", "add", there, "dev", far)
        both.run(box, "ip", "address", "add", f"{WAN6}/64", "dev", "wan", "nodad")
        both.run(outside, "ip", "address", "add", f"{INTERNET6}/64", "dev", "internet", "nodad")
        for where, cards in ((box, ("lo", "wan", "lan", "wwan0")), (outside, ("lo", "internet", "near", "operator"))):
            for card in cards:
                both.run(where, "ip", "link", "set", card, "up")
        both.run(box, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        yield both


def drawn(*, accepted: bool = False, front: bool = False, **more: Any) -> str:
    """The rules as Ansible would write them: the role hardening's, with what the roles network and front add where they are switched on."""
    said: dict[str, Any] = {"ansible_managed": "", "hardening_accepted": {"stat": {"exists": accepted}}}
    for role in ("hardening", "network", "front"):
        said |= yaml.safe_load((PROVISIONING / "roles" / role / "defaults/main.yml").read_text())
    said |= more
    text = rules("hardening", "nftables.conf.j2", said)
    assert 'include "/etc/nftables.d/*.nft"' in text
    added = rules("network", "access_point.nft.j2", said) + (rules("front", "front.nft.j2", said) if front else "")
    return text.replace('include "/etc/nftables.d/*.nft"', added)


def rules(role: str, template: str, said: dict[str, Any]) -> str:
    """One template with these variables."""
    folder = PROVISIONING / "roles" / role / "templates"
    text: str = Environment(loader=FileSystemLoader(folder), trim_blocks=True, autoescape=False).get_template(template).render(said)
    return text


def let_in(place: Place, source: str, target: str, last: int = USUAL) -> tuple[set[int], set[int]]:
    """What comes through of the ports up to `last`, by TCP and by UDP."""
    for kind in ("tcp", "udp"):
        place.knock(place.outside, kind, source, target, last)
    return place.seen("tcp_in"), place.seen("udp_in")


def test_the_try_sees_what_is_open(place: Place) -> None:
    """Without the filter nearly everything comes through (a queue may drop a few): what stays out below, the filter keeps out."""
    place.load("")
    for source, target in ((INTERNET, WAN), (INTERNET6, WAN6), (OPERATOR, MODEM)):
        assert [len(ports) > USUAL * 0.9 for ports in let_in(place, source, target)] == [True, True]


@pytest.mark.parametrize(
    ("source", "target"),
    [(INTERNET, WAN), (INTERNET6, WAN6), (INTERNET, LAN), (OPERATOR, MODEM)],
    ids=["IPv4", "IPv6", "inner address", "modem"],
)
def test_nothing_comes_in_by_the_providers_side(place: Place, source: str, target: str) -> None:
    """Of 65,535 ports by TCP and by UDP not one: not for the inner address, and not from an operator's network that looks like a station's.

    Before the acceptance, with other computers let in: later, or without them, there are fewer lines in the list.
    """
    if target == LAN:
        place.run(place.outside, "ip", "route", "replace", f"{LAN}/32", "via", WAN, "dev", "internet", "src", INTERNET)
    try:
        place.load(drawn(front=True))
        assert let_in(place, source, target, EVERY) == (set(), set())
    finally:
        if target == LAN:
            place.run(place.outside, "ip", "route", "del", f"{LAN}/32", "via", WAN)


def test_the_stations_own_network_reaches_ssh_until_the_acceptance_and_the_screens_where_they_are_on(place: Place) -> None:
    """One port for the first key, none after the acceptance; the screens' one port when somebody switched them on."""
    place.load(drawn())
    assert let_in(place, NEIGHBOUR, LAN) == ({SSH}, set())
    place.load(drawn(accepted=True))
    assert let_in(place, NEIGHBOUR, LAN) == (set(), set())
    place.load(drawn(accepted=True, front=True))
    assert let_in(place, NEIGHBOUR, LAN) == ({443}, set())


def test_nothing_goes_through_the_box(place: Place) -> None:
    """Nobody in the station's network reaches the provider's side by way of the box, although its kernel would forward."""
    place.run(place.outside, "ip", "route", "replace", "198.51.100.7/32", "via", LAN, "dev", "near", "src", NEIGHBOUR)
    place.run(place.box, "ip", "route", "replace", "198.51.100.0/24", "via", INTERNET, "dev", "wan")
    try:
        place.load("")
        assert [len(ports) > USUAL * 0.9 for ports in let_in(place, NEIGHBOUR, "198.51.100.7")] == [True, True]
        place.load(drawn(front=True))
        assert let_in(place, NEIGHBOUR, "198.51.100.7") == (set(), set())
    finally:
        place.run(place.outside, "ip", "route", "del", "198.51.100.7/32")


def test_only_what_was_named_goes_out(place: Place) -> None:
    """Broker and door, names, a lease, the time; Debian's mirror where it is wanted. Nothing else leaves, by either kind."""
    for more, wanted in (({"hardening_mirror_out": False}, {53, 8443, 8883}), ({}, {53, 80, 443, 8443, 8883})):
        place.load(drawn(**more))
        for source, target in ((WAN, INTERNET), (WAN6, INTERNET6)):
            for kind in ("tcp", "udp"):
                place.knock(place.box, kind, source, target, USUAL)
            assert (place.seen("tcp_out"), place.seen("udp_out")) == (wanted, NAMES)
