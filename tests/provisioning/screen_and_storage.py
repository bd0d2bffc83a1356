"""What is looked at on the station in the container for its screen and its storage; the one test that calls them: test_station."""

import io
from collections import Counter

from PIL import Image

from tests.polling import until
from tests.provisioning.nspawn import Machine

SHORTCUTS = (
    "-M ctrl -k t",
    "-M ctrl -k n",
    "-M ctrl -k w",
    "-M ctrl -k o",
    "-M ctrl -k p",
    "-M alt -k F4",
    "-k F12",
    "-k F11",
    "-M ctrl -M alt -k F2",
)
"""Keys that would leave a browser that is not locked, as wtype spells them."""
DARK, SIGNAL, PAPER = (0x1D, 0x2B, 0x25), (0xB3, 0x26, 0x1E), (0xF3, 0xF6, 0xF4)
"""Colours of every page of the kiosk (kiosk.css): the strip on top, the emergency button, the paper."""
BOX_UNITS = ("tram-kiosk", "tram-carry", "tram-collect@oximeter")
MOST_MEGABYTES = 256
"""What the programs of a box may take in all, without the browser."""
KEPT = {"/var/lib/tram": True, "/etc/tram": True, "/etc/ssh/keys": True, "/opt/tram": False}
"""Folders on the data partition, and whether nothing may be executed there."""


def the_screen_shows_the_kiosk(box: Machine) -> None:
    """cage and Chromium, in the unit and behind the walls of a station, draw the kiosk's page; keys for leaving it change nothing."""
    until(lambda: is_the_kiosk(picture(box)), 60, every=0.5, what="the kiosk's page on the screen")
    for keys in SHORTCUTS:
        on_the_screen(box, "wtype", *keys.split())
    assert is_the_kiosk(picture(box))
    assert box.said("systemctl", "show", "--value", "--property=NRestarts", "tram-screen") == "0"


def the_screen_is_walled_in(box: Machine) -> None:
    """The browser's user sees no store and no key; each page of its has a sandbox of its own; no shortcut is on its keyboard."""
    for path in ("/var/lib/tram", "/etc/tram", "/run/tram"):
        assert on_the_screen(box, "ls", path, check=False) == "", path
    pids = box.said("systemctl", "show", "--value", "--property=ControlGroup", "tram-screen")
    command = f"for p in $(cat /sys/fs/cgroup{pids}/cgroup.procs); do tr '\\0' ' ' </proc/$p/cmdline; grep Seccomp: /proc/$p/status; done"
    words = box.said("sh", "-c", command)
    assert "--type=renderer" in words and "--no-sandbox" not in words
    symbols = box.said("xkbcli", "compile-keymap", "--rules", "tram", "--layout", "tram").partition("xkb_symbols")[2]
    assert "Return" in symbols and not any(word in symbols for word in ("Control_", "Alt_", "Super_", "XF86", "F1,", "F1 "))


def a_screen_that_dies_gives_way_to_words(box: Machine) -> None:
    """Five deaths of the screen in a row are followed by words on the bare screen; the next try is the box's own."""

    def kill() -> bool:
        box.run("systemctl", "kill", "--signal=KILL", "tram-screen.service", check=False)
        return box.run("systemctl", "is-active", "tram-screen-text.service", check=False).stdout.strip() == "active"

    until(kill, 60, every=0.3, what="the words in place of the screen")
    assert "goi 115" in box.said("journalctl", "--boot", "--output=cat", "--unit=tram-screen-text")
    box.run("systemctl", "reset-failed", "tram-screen.service")
    box.run("systemctl", "start", "tram-screen.service")
    assert box.said("systemctl", "is-active", "tram-screen.service") == "active"


def what_is_kept_is_kept(box: Machine) -> None:
    """Store, settings, host key and program lie under /data; files there cannot be run, the journal is in memory, nothing swaps."""
    for path, bare in KEPT.items():
        source, options = box.said("findmnt", "--noheadings", "--output", "SOURCE,OPTIONS", "--mountpoint", path).splitlines()[-1].split()
        assert source.endswith(f"[/data{path}]"), source
        assert {"nosuid", "nodev"} <= set(options.split(",")) and ("noexec" in options.split(",")) is bare, (path, options)
    key = box.said("ssh-keygen", "-lf", "/data/etc/ssh/keys/ssh_host_ed25519_key.pub").split()[1]
    offered = box.said("sh", "-c", "ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | ssh-keygen -lf -").split()
    assert key in offered
    assert not list((box.files / "var/log/journal").glob("*/*.journal"))
    assert "storage" not in box.said("swapon", "--noheadings", "--show")
    assert box.said("systemctl", "is-enabled", "tram-kept.target", "tram-memory.target", "fstrim.timer").split() == ["enabled"] * 3


def the_programs_are_small(box: Machine) -> None:
    """The box's own programs share 256 MiB of memory; counted as they divide it (PSS)."""
    assert sum(megabytes(box, unit) for unit in BOX_UNITS) <= MOST_MEGABYTES


def megabytes(box: Machine, unit: str) -> float:
    """The proportional memory of a unit's processes, in MiB."""
    group = box.said("systemctl", "show", "--value", "--property=ControlGroup", unit)
    command = f"for p in $(cat '/sys/fs/cgroup{group}/cgroup.procs'); do grep ^Pss: /proc/$p/smaps_rollup; done"
    return sum(int(line.split()[1]) for line in box.said("sh", "-c", command).splitlines()) / 1024


def on_the_screen(box: Machine, *command: str, check: bool = True) -> str:
    """A program of the screen's user, in what that user sees."""
    pid = box.said("systemctl", "show", "--value", "--property=MainPID", "tram-screen")
    before = ["nsenter", "-t", pid, "-m", "setpriv", "--reuid=tram-screen", "--regid=tram-screen", "--clear-groups"]
    return box.run(*before, "env", "XDG_RUNTIME_DIR=/run/tram-screen", "WAYLAND_DISPLAY=wayland-0", *command, check=check).stdout


def picture(box: Machine) -> bytes:
    """What the screen shows now, as a PNG; empty while there is no screen."""
    file = box.files / "run/tram-screen/shot.png"
    if box.run("test", "-S", "/run/tram-screen/wayland-0", check=False).returncode:
        return b""
    on_the_screen(box, "grim", "/run/tram-screen/shot.png", check=False)
    return file.read_bytes() if file.exists() else b""


def colours(part: Image.Image) -> Counter[tuple[int, ...]]:
    """How many points of each colour a picture has."""
    found = part.getcolors(part.width * part.height) or []
    return Counter({tuple(colour): count for count, colour in found})  # type: ignore[arg-type]


def is_the_kiosk(png: bytes) -> bool:
    """Whether a picture has the kiosk's strip on top, its emergency button in it, and paper with words below."""
    if not png:
        return False
    whole = Image.open(io.BytesIO(png)).convert("RGB")
    width, height = whole.size
    strip = colours(whole.crop((0, 0, width, 64)))
    below = colours(whole.crop((0, 100, width, height - 100)))
    return strip[DARK] > 10 * width and strip[SIGNAL] > 1000 and below[PAPER] > below.total() // 3 and len(below) > 50
