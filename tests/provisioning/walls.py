"""How high the walls of each unit are: what systemd-analyze security may say at most, and why where that is more than the rest.

A unit of ours that a role brings is looked at on the station in the container where it is installed there; the others are drawn from
their templates and judged by the same systemd without being run.
"""

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import yaml  # type: ignore[import-untyped]  # comes with ansible-core, without types
from jinja2 import Environment, FileSystemLoader

from tests.provisioning.nspawn import PROVISIONING, Machine

MOST = 1.0
HIGHER: Mapping[str, tuple[float, str]] = {
    "tram-carry.service": (1.1, "it speaks to a broker anywhere, and hears of routes from the kernel"),
    "tram-bridge-carry@.service": (1.1, "it speaks to a broker anywhere; where that is on the same machine, to loopback alone (0.9)"),
    "tram-accepted.service": (1.1, "it changes the machine's own packet filter: one capability, in the machine's own network"),
    "tram-support.service": (1.1, "it speaks to a far end that is a name; where it is an address, to that alone"),
    "tram-bridge-door.service": (1.1, "it answers whoever comes, and tells the broker"),
    "tram-key.service": (1.1, "root's: it asks the board's chip, whose node belongs to another user; no network"),
    "mosquitto.service": (1.1, "it answers whoever comes; Debian's unit, behind walls of the role broker (9.4 without)"),
    "tram-front.service": (1.3, "it answers the station's own network and hands on to the screens: TLS, one port, that network alone"),
    "tram-keep.service": (1.4, "it copies folders of every owner as they are: root, with four of its capabilities, no network, no device"),
    "tram-screen.service": (1.9, "a browser makes rooms for its pages (user, process, network), speaks to loopback, draws, sounds"),
    "tram-field.service": (2.3, "root's: it gives the certificate to the line, writes udev's rules, speaks to broker and door"),
}
"""Units that cannot be below `MOST`, each with what is measured and what it cannot do without; provisioning/README.md says it too."""
LENT = ("mosquitto.service",)
"""Units of Debian's that a role puts behind walls."""
GIVEN: Mapping[str, Any] = {
    "ansible_managed": "", "station_environment": "production", "bridge_broker_host": "broker.example.org", "station_settings": {},
    "bridge_settings": {}, "screen_line": [], "screen_camera": True, "remote_support_host": "far.example.org",
}  # fmt: skip
"""Variables of the templates that have no default, or where another value opens more."""


def allowed(unit: str) -> float:
    """The most that may be said of a unit."""
    return HIGHER.get(unit, (MOST, ""))[0]


def drawn() -> dict[str, str]:
    """Every service of the roles by its name, as Ansible would write it for a station or a bridge in service."""
    said: dict[str, Any] = {}
    for file in sorted(PROVISIONING.glob("roles/*/defaults/main.yml")):
        said |= yaml.safe_load(file.read_text()) or {}
    found = {}
    for file in sorted(PROVISIONING.glob("roles/*/templates/*.service.j2")):
        draw = Environment(loader=FileSystemLoader([str(file.parent), str(PROVISIONING / "templates")]), trim_blocks=True, autoescape=False)
        draw.filters |= {"dirname": lambda path: str(PurePath(path).parent), "quote": lambda word: f"'{word}'"}
        found[file.name.removesuffix(".j2")] = draw.get_template(file.name).render({**said, **GIVEN})
    return found


def score(line: str) -> float:
    """The number at the end of what systemd-analyze says."""
    return float(line.rpartition(": ")[2].split()[0])


def scores(box: Machine) -> dict[str, float]:
    """Every service of ours: as it stands on the machine, else as its template is drawn."""
    here = {line.split()[0] for line in box.said("systemctl", "list-unit-files", "--no-legend", "tram*.service").splitlines()}
    folder = box.files / "run/drawn"
    folder.mkdir()
    found = {unit: score(box.said("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]) for unit in LENT}
    for unit, text in drawn().items():
        if unit in here:
            found[unit] = score(box.said("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1])
            continue
        Path(folder / unit).write_text(text)
        said = box.said("systemd-analyze", "security", "--no-pager", "--offline=true", f"/run/drawn/{unit}")
        found[unit] = score(said.splitlines()[-1])
    return found
