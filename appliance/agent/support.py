"""Remote support is opened by a technician at the station, for a number of minutes, and closed by the box itself.

The unit `tram-support` (role `remote_support`) speaks outward only, to one pinned machine. Nothing starts it but this: it belongs
to no target, and how long it may run is written in memory (``/run``), so a restart of the box finds it closed. systemd ends it
(``RuntimeMaxSec``), not the far end and not the program that opened it.
"""

import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from appliance.contract.readings import Stamp
from appliance.database import Connection
from appliance.store import audit, pins, staff
from appliance.store.errors import Refused

UNIT = "tram-support.service"
MINUTES = range(1, 121)
"""How long it may stay open: at most two hours, then somebody at the station decides again."""
REASONS = ("device", "line", "screen", "update", "acceptance", "other")
"""Why; words of the program, because an audit entry names no patient and free text might."""
PLACE = Path("/run/systemd/system")
"""Where systemd reads what is true until the next start."""
ASKED_SECONDS = 60.0

Ask = Callable[[Sequence[str]], str]
"""Run a command of the system; what it printed. OSError when it fails."""


def ask_system(command: Sequence[str]) -> str:
    """Run it; OSError with what it complained of."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ASKED_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{' '.join(command)}: no answer in {ASKED_SECONDS:.0f} s") from error
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


def open_(
    conn: Connection, secret: bytes, who: tuple[str, str], minutes: int, reason: str, now: Stamp, ask: Ask, place: Path = PLACE
) -> None:
    """Open it for so many minutes. `who`: a technician's code and PIN, `secret`: what PINs are mixed with.

    The entry of the audit log is on the card before anything connects. Refused for another role, a wrong PIN, a wrong number or word;
    OSError where the box has no such unit, or it did not start.
    """
    code, pin = who
    if minutes not in MINUTES:
        raise Refused(
            f"--minutes {minutes}: từ {MINUTES[0]} đến {MINUTES[-1]}, ví dụ 30.",
            f"--minutes = {minutes}: expected {MINUTES[0]} to {MINUTES[-1]}, for example 30",
        )
    if reason not in REASONS:
        words = ", ".join(REASONS)
        raise Refused(f"--reason {reason}: một trong {words}.", f"--reason = {reason}: expected one of {words}, for example device")
    known = staff.get(conn, code)
    if known is None or not known.active or known.role != staff.TECHNICIAN:
        raise Refused(f"{code} không phải kỹ thuật viên.", f"{code} is no technician here: tram staff list")
    pins.attempt(conn, secret, code, pin, now=now, action="support.pin")
    if ask(["systemctl", "show", "--property=LoadState", "--value", UNIT]) != "loaded":
        raise Refused(
            "Trạm này chưa cài hỗ trợ từ xa.",
            "this box has no remote support: remote_support_host is empty (provisioning, role remote_support)",
        )
    audit.note(conn, actor=code, action="support.open", now=now, subject=f"{minutes} {reason}")
    drop = place / f"{UNIT}.d"
    drop.mkdir(parents=True, exist_ok=True)
    (drop / "time.conf").write_text(
        f"# Written by tram support open; a restart of the box forgets it.\n[Service]\nRuntimeMaxSec={minutes * 60}\n"
    )
    ask(["systemctl", "daemon-reload"])
    ask(["systemctl", "restart", UNIT])


def close(conn: Connection, actor: str, now: Stamp, ask: Ask, place: Path = PLACE) -> bool:
    """Close it now; False where it was closed already."""
    if not running(ask):
        return False
    audit.note(conn, actor=actor, action="support.close", now=now)
    ask(["systemctl", "stop", UNIT])
    with suppress(FileNotFoundError):
        (place / f"{UNIT}.d" / "time.conf").unlink()
    return True


def ended(conn: Connection, result: str, now: Stamp) -> None:
    """Called by the unit itself when it has ended. `result`: systemd's word (``timeout``: its time was over)."""
    audit.note(conn, actor="", action="support.end", now=now, subject=result if result.replace("-", "").isalpha() else "")


def running(ask: Ask) -> bool:
    """Whether it is open."""
    return ask(["systemctl", "show", "--property=ActiveState", "--value", UNIT]) in ("active", "activating")
