"""What helps from afar, as one sealed file on a stick (``tram logs --usb``): journal, settings, lights, versions. Nothing of a patient.

The journal of our programs holds no patient data by its making (`appliance.journal`); nothing here is read from a table that does:
of the store only counts, schema steps and what the lights say. The bundle is sealed for the bridge's key that was pinned at
enrolment: who finds the stick reads nothing.
"""

import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from appliance import __version__
from appliance.contract import bundle
from appliance.contract.bundle import Label
from appliance.contract.statuscode import write
from appliance.database import Connection
from appliance.settings import Settings, show
from appliance.stick import Stick
from appliance.store import health
from appliance.store.errors import Refused
from appliance.store.health import Looked
from appliance.store.keys import RECOVERY, SEAL
from appliance.store.opening import schema_of

JOURNAL_LINES = "20000"
"""About a week of a station; 0.5 MiB packed."""
MOST_TEXT = 16 << 20
"""Bytes of one text; of a longer one the end is kept."""
PROGRAM_S = 60.0
PROGRAMS: dict[str, tuple[str, ...]] = {
    "journal.txt": ("journalctl", "--no-pager", "-o", "short-iso", "-n", JOURNAL_LINES, "-u", "tram-*"),
    "kernel.txt": ("journalctl", "--no-pager", "-o", "short-monotonic", "-k", "-b", "-n", "2000"),
    "units.txt": ("systemctl", "--no-pager", "--plain", "list-units", "--all", "tram-*"),
    "network.txt": ("nmcli", "-t", "-f", "DEVICE,TYPE,STATE", "device", "status"),
    "disks.txt": ("df", "-k"),
}
"""Each text and the program that says it. No name of a Wi-Fi and no number of a SIM card is asked for."""
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"  # counts of rows, never a row


@dataclass(frozen=True, slots=True)
class Written:
    """What came of it: the file's name, its size, for which key."""

    file: str
    size: int
    key: str


_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def said_by(arguments: Sequence[str]) -> str:
    """What a program of the system says; why not, where it says nothing."""
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, errors="replace", timeout=PROGRAM_S, check=False, env=_ENVIRONMENT
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{arguments[0]}: {error}\n"
    return done.stdout or done.stderr


def texts(conn: Connection, at: Looked, ask: Callable[[Sequence[str]], str] = said_by) -> dict[str, str]:
    """Every text of the bundle by its name."""
    lines = health.lines(at)
    lights = [
        {"name": one.name, "state": one.light.name.lower(), "vi": one.said[0], "en": one.said[1], "next": one.next[1]} for one in lines
    ]
    steps = [row[0] for row in conn.execute("SELECT name FROM _sqlite_migrations ORDER BY name").fetchall()] if _has_steps(conn) else []
    names = [row[0] for row in conn.execute(_TABLES).fetchall()]
    counts = {name: conn.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608 - the schema's own names
    return {
        "check.json": _json({"code": write(health.code_of(at, lines)), "lights": lights}),
        "versions.json": _json(
            {
                "software": __version__,
                "python": platform.python_version(),
                "kernel": platform.release(),
                "machine": platform.machine(),
                "schema": schema_of(conn)[0],
                "steps": steps,
            }
        ),
        "rows.json": _json(counts),
        "settings.txt": "\n".join(show(at.settings)) + "\n",
        **{name: ask(program) for name, program in PROGRAMS.items()},
    }


def _has_steps(conn: Connection) -> bool:
    return conn.execute("SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'").fetchone() is not None


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def packed(found: dict[str, str], when: int) -> bytes:
    """The texts as a packed tar file; `when` is seconds since 1970."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as box:
        for name, text in found.items():
            data = text.encode("utf-8", "replace")[-MOST_TEXT:]
            about = tarfile.TarInfo(name)
            about.size, about.mtime, about.mode = len(data), when, 0o600
            box.addfile(about, io.BytesIO(data))
    return whole.getvalue()


def to_stick(conn: Connection, settings: Settings, at: Looked, folder: Path, *, mounted: bool = True) -> Written:
    """Gather, seal, write, read back. Refused where no key of the bridge is pinned; StickError where the stick cannot do it."""
    label, sealed = sealed_logs(conn, settings, at)
    when = datetime.fromtimestamp(at.now.wall / 10, UTC).strftime("%Y%m%d-%H%M")
    file = bundle.NAME.format(station=label.station, when=when)
    with Stick(folder, mounted=mounted) as stick:
        stick.put(file, sealed)
    return Written(file, len(sealed), label.purpose)


def sealed_logs(
    conn: Connection, settings: Settings, at: Looked, ask: Callable[[Sequence[str]], str] = said_by
) -> tuple[Label, bytes]:  # fmt: skip
    """The label and the file's bytes. Refused where no key of the bridge is pinned."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    row = conn.execute(
        "SELECT purpose, key_id, public FROM pin WHERE purpose IN (?, ?) ORDER BY purpose = ? DESC, key_id DESC LIMIT 1",
        (SEAL, RECOVERY, SEAL),
    ).fetchone()
    if row is None:
        raise Refused(
            "Chưa có khóa của máy chủ để niêm phong: ghi danh trước.", "no key of the bridge is pinned to seal for: enrol the station first"
        )
    label = Label(settings.need("station.id"), str(row[0]), int(row[1]))
    content = packed(texts(conn, at, ask), at.now.wall // 10)
    return label, bundle.seal(label, content, X25519PublicKey.from_public_bytes(bytes(row[2])))
