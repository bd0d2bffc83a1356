"""The roles that are off by default, switched on: the screens for the station's own computers behind TLS, and a printer's queue.

    python -m tests.provisioning.rig_front        (as root; four minutes; script/rig front)

The container station of test_station.py with a cable to its own network, where a computer stands, and with a printer that writes what it
gets into a file. nginx and CUPS are Debian's, started by the roles; the computer signs in with a nurse's PIN. What was seen goes into
docs/reference/rig-results.md.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml  # type: ignore[import-untyped]  # comes with ansible-core, without types

from tests.images.rig_boot import Results, report
from tests.polling import until
from tests.provisioning.nspawn import Machine, MissingError, machine
from tests.provisioning.test_filter import network
from tests.provisioning.test_station import TRAM, changed_lines, inventory_for, play

ADDRESS, COMPUTER = "10.77.0.1", "10.77.0.20"
PRINTER = "ipp://localhost:8631/ipp/print"
PIN, PATIENT = "480713", "Thử Nghiệm Chín"
CONTAINER = "a systemd-nspawn container of Debian 13"
SOFTWARE = ("cups", "cups-client", "cups-filters", "cups-ipp-utils")
"""What the role printing would fetch from the mirror (a container has none, so its card holds it already), and a printer to try it with."""
ASK = """
import http.client, json, ssl, sys
address, trust, method, path, body, cookie = sys.argv[1:]
if trust:
    line = http.client.HTTPSConnection(address, 443, timeout=60, context=ssl.create_default_context(cafile=trust))
else:
    line = http.client.HTTPConnection(address, 8080, timeout=60)
headers = {"Cookie": cookie} if cookie else {}
headers |= {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
line.request(method, path, body.encode() or None, headers)
answer = line.getresponse()
print(json.dumps([answer.status, answer.headers["Set-Cookie"] or "", answer.read().decode(errors="replace")]))
"""
"""One request: over TLS from the other side of the cable, or to the box's own screen."""


def switched_on(inventory: Path) -> None:
    """More variables: the front, a cable with a fixed address, the queue of a printer that speaks on a socket."""
    found = yaml.safe_load(inventory.read_text())
    said: dict[str, Any] = found["all"]["vars"]
    said["network_connections"] = [
        *(one for one in said["network_connections"] if one["name"] != "lan"),
        {"name": "lan", "kind": "ethernet", "interface": "lan0", "address": f"{ADDRESS}/24", "metric": 900},
    ]
    said |= {
        "front_on": True, "front_address": ADDRESS, "front_network": "10.77.0.0/24",
        "printing_on": True, "printing_uri": PRINTER,
    }  # fmt: skip
    inventory.write_text(yaml.safe_dump(found, allow_unicode=True))


@contextmanager
def computer(box: Machine) -> Iterator[int]:
    """A computer at the other end of the station's own cable: the first process of its network."""
    with network() as pid:
        where = ["nsenter", "-t", str(pid), "-n", "ip"]
        box.run("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "pc0", "netns", str(pid), network_alone=True)
        box.run("ip", "address", "replace", f"{ADDRESS}/24", "dev", "lan0")
        box.run("ip", "link", "set", "lan0", "up")
        subprocess.run([*where, "address", "add", f"{COMPUTER}/24", "dev", "pc0"], check=True)
        subprocess.run([*where, "link", "set", "pc0", "up"], check=True)
        yield pid


@dataclass
class Browser:
    """Somebody's window: the network it is in, the address it asks, the certificate it was told to trust (none at the box's own screen)."""

    pid: int
    address: str
    trust: str = ""
    cookie: str = ""
    token: str = ""

    def ask(self, method: str, path: str, **form: str) -> tuple[int, str]:
        """Status and text; the cookie and the form's token are kept."""
        body = urlencode({"csrf": self.token, **form}) if form else ""
        command = [sys.executable, "-c", ASK, self.address, self.trust, method, path, body, self.cookie]
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-n", *command], text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr[-500:]
        status, given, text = json.loads(done.stdout)
        self.cookie = str(given).partition(";")[0] or self.cookie
        self.token = next(iter(re.findall(r'name="csrf" value="([0-9a-f]+)"', text)), self.token)
        return int(status), str(text)

    def opened(self) -> str:
        """The first page, where somebody answers by now."""
        try:
            return self.ask("GET", "/")[1]
        except AssertionError:
            return ""

    def sign_in(self, staff: str, pin: str) -> bool:
        """Choose a name, give a PIN: whether the door opened."""
        chosen = self.ask("POST", "/staff", staff=staff)[0]
        return chosen == 303 and self.ask("POST", "/pin", staff=staff, pin=pin)[0] == 303


def people(box: Machine) -> int:
    """A nurse and a technician with their PINs; the number of a patient."""
    box.run(TRAM, "staff", "add", "y9", "--name", "Y tá Thử", "--role", "nurse", "--pin", input=f"{PIN}\n")
    box.run(TRAM, "staff", "add", "k9", "--name", "Kỹ thuật Thử", "--role", "technician", "--pin", input=f"{PIN}\n")
    patient: int = json.loads(box.said(TRAM, "patient", "add", "--name", PATIENT, "--staff", "y9"))["patient"]
    return patient


def the_front_answers_the_stations_own_network(box: Machine, pid: int, patient: int) -> None:
    """TLS by nginx, the staff's PIN, a patient's page; port 80 and the cuff are not there; the certificate's key is root's alone."""
    window = Browser(pid, ADDRESS, str(box.files / "etc/tram/lan/lan.pem"))
    assert "Ai đang làm việc" in until(window.opened, 60, every=1, what="the front")
    status, text = window.ask("GET", f"/patients/{patient}")
    assert status != 200 and PATIENT not in text
    assert not window.sign_in("y9", "000000")
    assert window.sign_in("y9", PIN)
    assert PATIENT in window.ask("GET", f"/patients/{patient}")[1]
    assert window.ask("GET", f"/patients/{patient}/measure")[0] == 403
    assert box.said("stat", "-c", "%a %U", "/etc/tram/lan/lan.key") == "600 root"
    assert not box.said("ss", "-Hltn", "sport = :80")
    assert box.said("ss", "-Hltn", "sport = :443").split()[3] == f"{ADDRESS}:443"
    said = box.said("journalctl", "--no-pager", "--output=cat", "--unit=tram-front", "--unit=tram-lan")
    assert PATIENT not in said and PIN not in said, said


def a_printer_is_plugged_in(box: Machine) -> None:
    """A printer that speaks IPP, as ipp-usb shows one that hangs on USB; what it prints is a file. A queue is made for one that answers."""
    box.run("mkdir", "/run/paper")
    box.run("systemd-run", "--unit=paper", "ippeveprinter", "-d", "/run/paper", "-k", "-p", "8631", "-r", "off", "-n", "localhost", "Thu")
    until(lambda: box.said("ss", "-Hltn", "sport = :8631"), 30, every=0.5, what="the printer")


def the_printer_prints(box: Machine) -> None:
    """The technician's test print, by the kiosk behind its walls; no port, no stranger at the queue, nothing kept of what was printed."""
    assert not box.said("ss", "-Hltn", "sport = :631") and not box.said("ss", "-Hlun", "sport = :5353")
    assert PRINTER in box.said("lpstat", "-v", "roll")
    window = Browser(box.leader, "127.0.0.1")
    assert until(window.opened, 60, every=1, what="the kiosk")
    assert window.sign_in("k9", PIN)
    status, text = window.ask("GET", "/technician/test.pdf?size=roll")
    assert status in (200, 303), text[:2000]
    paper = box.files / "run/paper"
    until(lambda: [one for one in paper.iterdir() if one.read_bytes()], 90, every=0.5, what="the paper")
    stranger = ["setpriv", "--reuid=tram-kiosk", "--regid=tram", "--clear-groups", "lpadmin", "-x", "roll"]
    assert box.run(*stranger, check=False, stdin=subprocess.DEVNULL).returncode != 0
    until(lambda: not box.said("lpstat", "-W", "all", "-o", "roll"), 30, every=0.5, what="the job is forgotten")
    assert box.said("sh", "-c", "ls -p /var/spool/cups | grep -v / || true") == ""


def main() -> int:
    """Set it up, look, run again; 0 when everything was seen."""
    results, began, busy = Results(), time.monotonic(), os.getloadavg()[0]

    def seen(what: str, found: str) -> None:
        results.note(what, found)
        report("front", results, time.monotonic() - began, busy, CONTAINER)

    try:
        with machine("tram-0001", more=SOFTWARE) as box, computer(box) as pid:
            inventory = inventory_for(box)
            switched_on(inventory)
            a_printer_is_plugged_in(box)
            play(box, inventory)
            seen("the roles with `front_on` and `printing_on`, from bare Debian", "end without an error")
            the_front_answers_the_stations_own_network(box, pid, people(box))
            seen(
                "a computer on the station's cable, the box's certificate trusted",
                "signs in over TLS by PIN, not by a wrong one; sees a patient",
            )
            seen("port 80; the cuff's page", "nobody listens; refused (403)")
            the_printer_prints(box)
            seen("the technician's test print", "on paper; a stranger cannot take the queue away; nothing kept of what was printed")
            again = play(box, inventory)
            assert "changed=0" in again, changed_lines(again)
            seen("a second run", "changes nothing")
    except MissingError as missing:
        print(f"rig: no machine here: {missing}", file=sys.stderr)
        return 1
    print("rig: the station's computers sign in over TLS, its printer prints, and a second run changes nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
