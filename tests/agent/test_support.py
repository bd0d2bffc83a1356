"""Remote support: a technician opens it with a PIN, for so long, and the audit log has it before anything connects."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance.agent import support
from appliance.database import Connection
from appliance.store import pins, staff
from appliance.store.errors import Refused
from tests.store.station import Station, station_at

SECRET = os.urandom(32)
PIN = "480713"


class System:
    """Stands for systemd: remembers what it was asked, and what the audit log held at that moment."""

    def __init__(self, conn: Connection, load: str = "loaded") -> None:
        self.conn, self.load, self.active = conn, load, "inactive"
        self.asked: list[str] = []
        self.known: dict[str, list[tuple[str, str]]] = {}

    def __call__(self, command: Sequence[str]) -> str:
        """What the command would print."""
        words = " ".join(command)
        self.asked.append(words)
        self.known[command[1]] = entries(self.conn)
        if command[1] == "restart":
            self.active = "active"
        if command[1] == "stop":
            self.active = "inactive"
        return {"--property=LoadState": self.load, "--property=ActiveState": self.active}.get(command[2] if len(command) > 2 else "", "")


def entries(conn: Connection) -> list[tuple[str, str]]:
    """The audit log's entries about support: (action, subject)."""
    rows = conn.execute("SELECT action, subject FROM audit WHERE action LIKE 'support.%' ORDER BY id").fetchall()
    return [(row[0], row[1]) for row in rows]


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """A station with a technician and a nurse who have the same PIN."""
    one = station_at(tmp_path)
    for code, role in (("kt", staff.TECHNICIAN), ("an", staff.NURSE)):
        if staff.get(one.conn, code) is None:
            staff.add(one.conn, code=code, name="Thử Nghiệm", now=one.now, role=role)
        pins.give(one.conn, SECRET, code, PIN, by="test", now=one.now, cost=pins.Cost(1, 8, 1))
    return one


def test_it_opens_for_so_long_and_the_log_has_it_before_anything_connects(station: Station, tmp_path: Path) -> None:
    """The time stands in memory alone, systemd ends it, and the entry was committed before the unit was started."""
    system = System(station.conn)
    support.open_(station.conn, SECRET, ("kt", PIN), 30, "line", station.now, system, tmp_path)
    assert (tmp_path / "tram-support.service.d/time.conf").read_text().splitlines()[1:] == ["[Service]", "RuntimeMaxSec=1800"]
    assert system.asked[-2:] == ["systemctl daemon-reload", "systemctl restart tram-support.service"]
    assert ("support.open", "30 line") in system.known["restart"]
    assert not station.conn.in_transaction
    assert support.close(station.conn, "kt", station.now, system, tmp_path) is True
    assert not (tmp_path / "tram-support.service.d/time.conf").exists()
    assert support.close(station.conn, "kt", station.now, system, tmp_path) is False
    support.ended(station.conn, "timeout", station.now)
    assert [one for one in entries(station.conn) if one[0] != "support.pin"] == [
        ("support.open", "30 line"), ("support.close", ""), ("support.end", "timeout"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("who", "minutes", "reason", "says"),
    [
        (("an", PIN), 30, "line", "an is no technician here"),
        (("kt", "000000"), 30, "line", ""),
        (("ai", PIN), 30, "line", "ai is no technician here"),
        (("kt", PIN), 0, "line", "--minutes = 0: expected 1 to 120, for example 30"),
        (("kt", PIN), 121, "line", "--minutes = 121"),
        (("kt", PIN), 30, "Bà Thử Nghiệm Một", "expected one of device, line"),
    ],
)
def test_nobody_else_opens_it_and_nothing_is_started(
    who: tuple[str, str], minutes: int, reason: str, says: str, station: Station, tmp_path: Path
) -> None:
    """Another role, a wrong PIN, a wrong number or word: refused, and systemd was told nothing."""
    system = System(station.conn)
    with pytest.raises(Refused) as refused:
        support.open_(station.conn, SECRET, who, minutes, reason, station.now, system, tmp_path)
    assert says in refused.value.en and refused.value.vi
    assert not [words for words in system.asked if "restart" in words]
    assert ("support.open", f"{minutes} {reason}") not in entries(station.conn)


def test_a_box_without_remote_support_says_so(station: Station, tmp_path: Path) -> None:
    """The unit is not there: the role was never given a far end."""
    with pytest.raises(Refused, match="no remote support"):
        support.open_(station.conn, SECRET, ("kt", PIN), 30, "line", station.now, System(station.conn, "not-found"), tmp_path)


def test_what_the_system_refuses_is_told(tmp_path: Path) -> None:
    """A command that fails is an OSError with the command's own words."""
    with pytest.raises(OSError, match="no such thing"):
        support.ask_system(["sh", "-c", "echo no such thing >&2; exit 3"])
