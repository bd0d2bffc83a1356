"""Builds our image, starts it in a virtual machine and looks; part of script/rig, too long for script/test (a quarter of an hour).

    .venv/bin/python -m tests.images.rig_boot                       builds and shows everything
    .venv/bin/python -m tests.images.rig_boot --folder F --only update    with an image that is there (tram.img and its keys)
    .venv/bin/python -m tests.images.rig_boot --target vm-arm64     the same for ARM; built under qemu-user, an hour and more

What was measured goes into docs/reference/rig-results.md, which nobody writes by hand. The machine has no firmware of a board: what
a Raspberry Pi does before Linux is not shown here.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from images.layering import HERE
from tests.images.bridge import HOST, Bridge
from tests.images.machine import KINDS, Guest, MissingError, refuse_where_it_cannot_be, started
from tests.polling import until
from tests.provisioning.nspawn import mirror

ROOT = HERE.parent
RESULTS = ROOT / "docs/reference/rig-results.md"
STATION = "tram-0001"
FIRST, NEXT, OLD = "0.2.0", "0.3.0", "0.1.0"
"""The image's version, that of a newer bundle, that of one that is too old."""
TRAM = "/opt/tram/current/bin/tram"
BUILT = "built-in"
"""Beside the image: how long its making took, for the runs that find it there."""
LEVEL = "3"
"""How hard a bundle is packed here: quick rather than small."""
PATIENCE = 1200
"""Seconds that one start may take where the machine is emulated and others want the processor too."""
PYTHON = "/opt/tram/current/bin/python"
ROWS = """
import hashlib
from pathlib import Path
from appliance.database import connect
conn = connect("/var/lib/tram/tram.db", key=Path("/etc/tram/store.key").read_bytes(), create=False)
for epoch, lane, seq, body in conn.execute("SELECT epoch, lane, seq, body FROM outbox"):
    print(epoch, lane, seq, hashlib.sha256(body).hexdigest())
for (name,) in conn.execute("SELECT name FROM patient"):
    print("patient", hashlib.sha256(str(name).encode()).hexdigest())
"""
"""Asked inside: every row that waits for the bridge or has been there, and who is cared for, as digests."""
PAGE = "import urllib.request as u; r = u.urlopen('http://127.0.0.1:8080/', timeout=60); print(r.status, r.read().decode())"


@dataclass
class Results:
    """What was shown and measured, in order: a line each."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def note(self, what: str, found: object) -> None:
        """One more line, on the screen at once."""
        print(f"rig: {what}: {found}", flush=True)
        self.lines.append((what, str(found)))


@dataclass(frozen=True)
class Made:
    """An image and what belongs to it: `folder` has the keys, `image` is the card, `root` the folder it was made of."""

    folder: Path
    image: Path
    target: str = "vm"

    @property
    def root(self) -> Path:
        """The folder the image was made of."""
        return self.image.with_suffix(".root")


# --- making it ---------------------------------------------------------------------------------------------------------------------------


def run(*words: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
    """A program of ours to its end."""
    found = subprocess.run([str(one) for one in words], text=True, capture_output=True, check=False, cwd=ROOT)
    assert found.returncode == 0, f"{words}: {found.returncode}\n{found.stdout[-3000:]}\n{found.stderr[-3000:]}"
    return found


def keys(folder: Path) -> None:
    """A technician's key, a publisher's two; made for this run."""
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "technician")
    run(sys.executable, HERE / "release", "--new-key", folder / "release")
    run(sys.executable, HERE / "bundle", "--new-key", folder / "bundle")


def build(folder: Path, keep: Path, target: str = "vm") -> Made:
    """The image with everything in it."""
    keys(folder)
    run(ROOT / "provisioning/wheelhouse", folder / "wheels.tar", "3.13", "aarch64" if target in ("pi4", "pi5") else KINDS[target].processor)
    values = {
        "mirror": mirror(), "ssh_key": f"{folder}/technician.pub", "release_key": f"{folder}/release.pem",
        "bundle_cert": f"{folder}/bundle.crt", "wheelhouse": f"{folder}/wheels.tar", "hostname": STATION, "station_name": "Trạm Y tế Thử",
        "shard": 7, "environment": "test", "bridge": HOST, "version": FIRST,
    }  # fmt: skip
    (folder / "values.toml").write_text("".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()))
    keep.mkdir(parents=True, exist_ok=True)
    kept = len(list(keep.glob("*.tar")))
    began = time.monotonic()
    run(sys.executable, HERE / "build", target, "--values", folder / "values.toml", "--out", folder / "tram.img", "--keep", keep)
    begun = " (Debian's packages set up by a build before)" if len(list(keep.glob("*.tar"))) == kept else ""
    (folder / BUILT).write_text(f"{time.monotonic() - began:.0f} s{begun}")
    return Made(folder, folder / "tram.img", target)


def looked_at(made: Made, results: Results) -> None:
    """Sizes, the list of parts, the signature over the checksums; nothing in it that two boxes would share."""
    if (made.folder / BUILT).exists():
        results.note("the image is built in", (made.folder / BUILT).read_text())
    used = sum(file.lstat().st_blocks for file in made.root.rglob("*")) * 512 >> 20
    results.note("root file system, with the screen", f"{used} MB")
    results.note("image", f"{made.image.stat().st_blocks * 512 >> 20} MB on the disk, {made.image.stat().st_size >> 20} MB on the card")
    parts = json.loads(Path(f"{made.image}.cdx.json").read_text("utf-8"))["components"]
    python = [one for one in parts if one["purl"].startswith("pkg:pypi/")]
    assert any(one["name"] == "tram" for one in python) and len(parts) > len(python) > 20
    results.note("list of parts (CycloneDX)", f"{len(parts) - len(python)} Debian packages, {len(python)} Python packages")
    run(sys.executable, HERE / "release", "--sign", f"{made.image}.sha256", "--key", made.folder / "release.key")
    run(sys.executable, HERE / "release", "--check", f"{made.image}.sha256", "--pem", made.folder / "release.pem")
    results.note("signature over the image's checksums", "fits")
    shared = [one for one in ("etc/tram/store.key", "etc/tram/station.key", "root/.ssh/authorized_keys") if (made.root / one).exists()]
    shared += [str(one) for one in (made.root / "etc/ssh").glob("ssh_host_*")]
    assert shared == [] and (made.root / "etc/machine-id").read_text() == "", shared


# --- looking at it -----------------------------------------------------------------------------------------------------------------------


def first_start(guest: Guest, results: Results) -> dict[str, str]:
    """All the card is used, keys of its own are there, every unit stands, the kiosk answers and says what comes next."""
    results.note("first start: ssh answers after", f"{guest.wait(PATIENCE):.0f} s")
    shown = until(lambda: page(guest), PATIENCE, every=3, what="the kiosk's page")
    results.note("first start: the kiosk's page after", f"{time.monotonic() - guest.began:.0f} s")
    assert "ghi danh" in shown.lower(), "the page does not say that the station is not enrolled"
    data = int(guest.ssh("df --output=size -B1M /data | tail -n 1"))
    assert data > 3000, f"the data partition has {data} MB"
    results.note("first start: the data partition has", f"{data} MB of a card of 8 GB")
    assert guest.ssh("stat -c %a:%s /etc/tram/store.key") == "600:32"
    failed = [line.split()[0] for line in guest.ssh("systemctl --failed --no-legend --plain").splitlines()]
    assert [one for one in failed if not one.startswith("tram-screen")] == [], failed
    circles = guest.ssh("journalctl -b --no-pager | grep -c 'ordering cycle' || true")
    assert circles == "0", "systemd left a unit out, to break a circle"
    until(lambda: good(guest), PATIENCE, every=3, what="the slot called good")
    results.note("first start: the slot is called good", "yes")
    return identity(guest)


def identity(guest: Guest) -> dict[str, str]:
    """What is the box's own, and has to stay."""
    key = "cat /etc/ssh/keys/ssh_host_ed25519_key.pub"
    keys = "find /etc/tram/ /var/lib/tram/ -type f -name '*.key' -exec sha256sum {} + | sort"
    found = {name: guest.ssh(command) for name, command in {"machine": "cat /etc/machine-id", "host key": key, "keys": keys}.items()}
    assert all(found.values()) and len(found["machine"]) == 32 and "/etc/tram/store.key" in found["keys"], found
    return found


def page(guest: Guest) -> str:
    """What a browser on the box would get; empty while nobody answers."""
    said = guest.ssh(f'python3 -c "{PAGE}" 2>/dev/null', check=False)
    return said if said.startswith("200 ") else ""


def second_start(guest: Guest, before: dict[str, str], results: Results) -> None:
    """Quicker, and the same box."""
    results.note("second start: ssh answers after", f"{guest.again(PATIENCE):.0f} s")
    until(lambda: page(guest), PATIENCE, every=3, what="the kiosk's page")
    results.note("second start: the kiosk's page after", f"{time.monotonic() - guest.began:.0f} s")
    assert identity(guest) == before
    results.note("second start: machine id, host key and store's key", "the same")
    results.note("where the time goes", guest.ssh("systemd-analyze time | head -n 1"))


def enrolled(guest: Guest, bridge: Bridge, results: Results) -> None:
    """With the paper's letters the station becomes known, and its line starts by itself."""
    began = time.monotonic()
    told = json.loads(guest.ssh(f"{TRAM} enrol --token-file -", said=bridge.paper(STATION) + "\n").splitlines()[0])
    assert told["words"] in bridge.log(STATION)
    guest.ssh("systemd-tmpfiles --create /etc/tmpfiles.d/tram.conf; systemctl start tram-carry", check=False)
    until(lambda: bridge.heard(STATION), 240, every=3, what="the station at the bridge")
    results.note("enrolled over the door, six words compared, line up after", f"{time.monotonic() - began:.0f} s")


PLUGGED = (("cuff", "and-ua767", "cuff", 1), ("oximeter", "contec-cms50", "spo2", 3))
"""What is plugged in: what it is, its driver, the station's name for it, and the port (the stick of the updates has port 2)."""


def plugged(guest: Guest, bridge: Bridge, results: Results) -> None:
    """USB adapters appear: udev starts the collector of each, and what it measures reaches the bridge."""
    guest.ssh(f"{TRAM} staff add an --name 'Điều dưỡng Thử' --role nurse")
    patient = json.loads(guest.ssh(f"{TRAM} patient add --name 'Thử Nghiệm Một' --staff an"))["patient"]
    for what, driver, name, port in PLUGGED:
        link = guest.place / what
        words = [sys.executable, "-m", "appliance.cli", "simulate", "device", driver, "--link", str(link)]
        with (guest.place / f"sim-{what}.log").open("wb") as log:
            simulated = subprocess.Popen(words, stdout=log, stderr=log, cwd=ROOT)
        try:
            until(link.exists, 30, what=f"the simulated {what}")
            guest.monitor(f"chardev-add tty,id={what},path={link.resolve()}")
            one_plugged(guest, bridge, results, what, f"usb-serial,chardev={what},id={name},bus=usb.0,port={port}", driver, name, patient)
        finally:
            simulated.terminate()
            simulated.wait()


def one_plugged(guest: Guest, bridge: Bridge, results: Results, what: str, adapter: str, driver: str, name: str, patient: int) -> None:
    """Bound where it is, taken out, put in again: from there on nobody touches the station but to measure."""
    guest.monitor(f"device_add {adapter}")
    place = until(lambda: port_of(guest), 60, every=2, what="the adapter")
    guest.ssh(f"{TRAM} device bind {place} {driver} --name {name} --simulated --experimental && {TRAM} device rules --install")
    guest.ssh("systemctl daemon-reload; udevadm control --reload; systemctl restart tram-kiosk")
    guest.monitor(f"device_del {name}")
    until(lambda: not port_of(guest), 60, every=2, what="the adapter gone")
    guest.monitor(f"device_add {adapter}")
    began, before = time.monotonic(), bridge.observations()
    until(lambda: collects(guest, name), 120, every=2, what="the collector")
    results.note(f"a USB {what} is plugged in: udev started its collector after", f"{time.monotonic() - began:.0f} s")
    session = json.loads(guest.ssh(f"{TRAM} session open --patient {patient} --device {name} --staff an"))["session"]
    observed = json.loads(guest.ssh(f"{TRAM} observe --session {session} --wait 120 --staff an").splitlines()[-1])
    assert observed["test_data"] is True and observed["numerics"], observed
    until(lambda: bridge.observations() > before, 240, every=2, what="the reading at the bridge")
    results.note("its reading, marked as test data, reached the bridge after", f"{time.monotonic() - began:.0f} s")
    guest.monitor(f"device_del {name}")
    until(lambda: not collects(guest, name), 120, every=2, what="the end of the collector")
    results.note("unplugged", "its collector ended with it")


def collects(guest: Guest, name: str) -> bool:
    """Whether the collector of a device runs."""
    return guest.ssh(f"systemctl is-active tram-collect@{name}", check=False) == "active"


def port_of(guest: Guest) -> str:
    """The place of the adapter as `tram device list` names it; empty: none is there."""
    one = "basename $(dirname $(readlink -f $f)) | cut -d: -f1"
    return guest.ssh(f"for f in /sys/bus/usb-serial/devices/ttyUSB*; do [ -e $f ] && {one}; done; true")


# --- updates of the whole ----------------------------------------------------------------------------------------------------------------


def bundled(made: Made, root: Path, version: str) -> Path:
    """A signed bundle of a root under a version."""
    out = made.folder / f"tram-{version}.raucb"
    run(sys.executable, HERE / "bundle", made.target, "--root", root, "--version", version, "--key", made.folder / "bundle.key",
        "--cert", made.folder / "bundle.crt", "--level", LEVEL, "--out", out)  # fmt: skip
    return out


def stick(made: Made, results: Results) -> Path:
    """A USB stick with a good bundle, an older one and a damaged one."""
    content, file = made.folder / "stick", made.folder / "stick.img"
    shutil.rmtree(content, ignore_errors=True)
    content.mkdir()
    good = bundled(made, made.root, NEXT)
    results.note(f"a bundle of the whole, packed quickly (zstd {LEVEL}), has", f"{good.stat().st_size >> 20} MB")
    # The older one is refused before it is read, so it need hold nothing but a version.
    empty = made.folder / "empty"
    (empty / "opt/tram/releases/1/venv/lib/python3.13/site-packages" / program(made.root)).mkdir(parents=True, exist_ok=True)
    (empty / "etc").mkdir(exist_ok=True)
    bundled(made, empty, OLD).rename(content / "old.raucb")
    shutil.rmtree(empty)
    good.rename(content / "good.raucb")
    damaged = bytearray((content / "good.raucb").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (content / "damaged.raucb").write_bytes(damaged)
    size = sum(one.stat().st_size for one in content.iterdir()) >> 20
    file.unlink(missing_ok=True)
    run("/usr/sbin/mke2fs", "-q", "-t", "ext4", "-L", "TRAM", "-d", content, file, f"{size * 9 // 8 + 64}M")
    shutil.rmtree(content)
    return file


def program(root: Path) -> str:
    """The name of the folder that holds the program's metadata."""
    return next(root.glob("opt/tram/releases/*/venv/lib/python3*/site-packages/tram-*.dist-info")).name


def rows(guest: Guest) -> frozenset[str]:
    """What the station keeps for the bridge, row by row, and whom it knows: a digest each."""
    found = frozenset(guest.ssh(f"{PYTHON} -", said=ROWS).splitlines())
    assert any(line.startswith("patient") for line in found) and any(not line.startswith("patient") for line in found), found
    return found


@dataclass
class Kept:
    """What no update may touch, as it was before the first of them."""

    own: dict[str, str] = field(default_factory=dict)
    rows: frozenset[str] = frozenset()

    def remember(self, guest: Guest, results: Results) -> None:
        """A patient is registered, whose events wait; then everything is written down."""
        guest.ssh(f"{TRAM} staff add binh --name 'Điều dưỡng Khác' --role nurse && {TRAM} patient add --name 'Thử Nghiệm Hai' --staff binh")
        self.own, self.rows = identity(guest), rows(guest)
        waiting = sum(not line.startswith("patient") for line in self.rows)
        results.note("before the updates", f"{waiting} rows for the bridge, which cannot be reached")

    def still(self, guest: Guest, results: Results, when: str) -> None:
        """Nothing of it is missing or different; new rows may have come."""
        assert identity(guest) == self.own
        missing = self.rows - rows(guest)
        assert not missing, missing
        results.note(f"{when}: machine id, host key, every key, the {len(self.rows)} rows and patients", "the same, byte for byte")


def slot(guest: Guest) -> str:
    """Which of the two roots runs."""
    return guest.ssh("sed 's/.*rauc.slot=\\(.\\).*/\\1/' /proc/cmdline")


def good(guest: Guest) -> bool:
    """Whether the slot that runs has been called good since its start: GRUB's own counter; on a Pi the unit that calls it has ended."""
    if guest.target.startswith("pi"):
        ended = guest.ssh("systemctl show --property=ActiveState,ExecMainCode,ExecMainStatus tram-good").split()
        return {"ActiveState=inactive", "ExecMainCode=1", "ExecMainStatus=0"} == set(ended)
    counters = guest.ssh("grub-editenv /boot/firmware/grub/grubenv list").split("\n")
    return {f"{slot(guest)}_OK=1", f"{slot(guest)}_TRY=0"} <= set(counters)


def stuck_in(guest: Guest) -> None:
    """The USB stick with the bundles."""
    guest.ssh("mountpoint -q /run/stick || { mkdir -p /run/stick && mount -o ro,noexec,nodev LABEL=TRAM /run/stick; }")


def refused_older(guest: Guest, results: Results) -> None:
    """An older bundle: a sentence, and nothing is written."""
    stuck_in(guest)
    said = guest.ssh("rauc install /run/stick/old.raucb", check=False, within=900)
    assert "older than" in said + guest.ssh("journalctl -b -u rauc --no-pager | tail -n 40"), said
    results.note("an older bundle", "refused with a sentence, nothing written")


def installed(guest: Guest, results: Results) -> None:
    """The newer bundle from the stick, into the root that does not run."""
    stuck_in(guest)
    was = slot(guest)
    began = time.monotonic()
    guest.ssh("rauc install /run/stick/good.raucb", within=1800)
    results.note(f"a newer bundle from a USB stick, while slot {was} runs", f"written in {time.monotonic() - began:.0f} s")


def good_one_stays(guest: Guest, kept: Kept, results: Results) -> None:
    """A good bundle: the other root is started, stands, is called good, and is started again the next time; the box is the same."""
    assert slot(guest) == "A"
    installed(guest, results)
    guest.ssh("umount /run/stick")
    results.note("restart: ssh answers after", f"{guest.again(PATIENCE):.0f} s")
    assert slot(guest) == "B" and guest.ssh("cat /etc/tram-image") == NEXT
    results.note("the system that runs", f"slot B, version {NEXT}")
    until(lambda: good(guest), PATIENCE, every=3, what="slot B called good")
    results.note("slot B is called good after", f"{time.monotonic() - guest.began:.0f} s")
    until(lambda: page(guest), PATIENCE, every=3, what="the kiosk's page in slot B")
    kept.still(guest, results, "in slot B")


def good_one_is_started_again(guest: Guest, kept: Kept, results: Results) -> None:
    """What has been called good is not a visit: the next restart begins there too."""
    guest.again(PATIENCE)
    assert slot(guest) == "B"
    until(lambda: good(guest), PATIENCE, every=3, what="slot B called good again")
    results.note("a further restart", f"slot B again, called good after {time.monotonic() - guest.began:.0f} s")
    kept.still(guest, results, "after it")


def broken_one_is_given_up(guest: Guest, kept: Kept, results: Results) -> None:
    """A system whose station does not stand: it is tried once, and the one before starts again by itself."""
    before = slot(guest)
    tried = "A" if before == "B" else "B"
    installed(guest, results)
    broken(guest, tried)
    guest.ssh("umount /run/stick")
    guest.again(PATIENCE)
    assert slot(guest) == tried, "the new system was not tried"
    results.note("restart", f"slot {tried} is tried; in it the kiosk was broken on purpose")
    was, guest.began = guest.boot(), time.monotonic()
    took = guest.returned(was, PATIENCE)
    assert slot(guest) == before
    results.note(f"the station did not stand there: back in slot {before} by itself after", f"{took:.0f} s")
    until(lambda: page(guest), PATIENCE, every=3, what=f"the kiosk's page in slot {before}")
    kept.still(guest, results, f"back in slot {before}")


def refused_damaged(guest: Guest, results: Results) -> None:
    """One changed byte: the installation ends, and what runs goes on."""
    stuck_in(guest)
    began = time.monotonic()
    said = guest.ssh("rauc install /run/stick/damaged.raucb && echo TAKEN", check=False, within=1800)
    assert "TAKEN" not in said, said
    assert page(guest), "the station does not go on"
    results.note("a bundle with one changed byte", f"refused, the station goes on ({time.monotonic() - began:.0f} s)")


def broken(guest: Guest, tried: str) -> None:
    """A fault planted in the system that was just written: its kiosk never starts. Its check waits a minute and not ten."""
    number = {"A": 2, "B": 3}[tried]
    guest.ssh(
        f"mkdir -p /run/b && mount /dev/disk/by-partuuid/7472616d-0{number} /run/b"
        " && ln -sf /dev/null /run/b/etc/systemd/system/tram-kiosk.service && mkdir -p /run/b/etc/systemd/system/tram-good.service.d"
        " && printf '[Service]\\nExecStart=\\nExecStart=/usr/local/lib/tram/good 60\\n'"
        " >/run/b/etc/systemd/system/tram-good.service.d/rig.conf && umount /run/b"
    )


# --- all of it ---------------------------------------------------------------------------------------------------------------------------


HEAD = """# What the longer rig last showed

Written by `make rig` (`script/rig`), never by hand, part by part as it was last run; the numbers depend on the machine.
The image is the `vm` of [images/](../../images/README.md), or `vm-arm64` where a part says so, on a card of 8 GB, started by UEFI and GRUB.
**No image has ever been booted on a board.**
"""
TITLES = {
    "station": "The roles, twice, in a container", "front": "The station's own computers, and a printer",
    "key": "The store's key and its chip", "cut": "The power goes while a station is provisioned",
    "power": "The power goes under the store: replay of the write log",
    "image": "The image", "boot": "Starting it", "enrol": "Enrolment, and a device that is plugged in", "update": "Updates of the whole",
    "vm-arm64 image": "The image for ARM (vm-arm64)", "vm-arm64 boot": "Starting it (vm-arm64)",
    "vm-arm64 enrol": "Enrolment, and a device that is plugged in (vm-arm64)", "vm-arm64 update": "Updates of the whole (vm-arm64)",
    "pi": "The parts of a Raspberry Pi's image", "pi4": "A Raspberry Pi 4's image, built and taken apart",
    "pi4 boot": "A Raspberry Pi 4's image, started as a Raspberry Pi 3", "pi5": "A Raspberry Pi 5's image, built and taken apart",
}  # fmt: skip
"""The parts of the page, in order."""


def part_of(target: str, part: str) -> str:
    """The page's part for a target's."""
    return part if target == "vm" else f"{target} {part}"


def report(part: str, results: Results, seconds: float, busy: float, how: str = "") -> None:
    """One part's table in the place of the last one; the other parts stay as they are. `how` it was run; a machine in QEMU unless said."""
    text = RESULTS.read_text("utf-8") if RESULTS.exists() else ""
    found = {piece.partition("\n")[0]: piece.partition("\n")[2] for piece in text.split("\n## ")[1:]}
    kind = KINDS.get(part.partition(" ")[0], KINDS["vm"])
    how = how or f"QEMU {'with KVM' if 'kvm' in kind.virtual else f'emulating (TCG, {kind.processor})'}"
    machine = f"{os.cpu_count()} processors ({platform.machine()}), {how}"
    rows = "\n".join(f"| {what} | {what_found} |" for what, what_found in results.lines)
    found[TITLES[part]] = f"\n{machine}, load before {busy:.1f}; {seconds:.0f} s.\n\n| what | found |\n|---|---|\n{rows}\n"
    pieces = [f"\n## {title}\n{found[title].rstrip()}\n" for title in TITLES.values() if title in found]
    RESULTS.write_text(HEAD + "".join(pieces), "utf-8")


def main() -> int:
    """Run; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the image is made, or lies already (tram.img and its keys); default: made anew")
    parser.add_argument("--target", choices=sorted(KINDS), default="vm", help="whose image")
    parser.add_argument("--only", choices=("boot", "enrol", "update"), action="append", help="this part of it; may be given twice")
    said = parser.parse_args()
    try:
        refuse_where_it_cannot_be(said.target)
    except MissingError as missing:
        print(f"rig: no machine here: {missing}", file=sys.stderr)
        return 1
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tram-rig"
    folder = said.folder or cache / ("image" if said.target == "vm" else said.target)
    image, began, busy = Results(), time.monotonic(), os.getloadavg()[0]
    if not (said.folder and (folder / "tram.img").exists()):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        build(folder, cache / "packages", said.target)
    made = Made(folder, folder / "tram.img", said.target)
    looked_at(made, image)
    usb = stick(made, image) if said.only is None or "update" in said.only else None
    report(part_of(said.target, "image"), image, time.monotonic() - began, busy)
    with started(made.image, made.folder / "technician", usb, said.target) as guest:
        try:
            shown(guest, said.only)
        except AssertionError:
            print(guest.console[-3000:], file=sys.stderr)
            raise
    return 0


def joined(guest: Guest, results: Results) -> None:
    """With a bridge that is there only for this: the updates after it find no line, and nothing that waits leaves."""
    with Bridge() as bridge:
        enrolled(guest, bridge, results)
        plugged(guest, bridge, results)


def parts(guest: Guest, before: dict[str, str]) -> dict[str, list[Callable[[Results], None]]]:
    """The steps of every part, in order, for a machine that has started once."""
    kept = Kept()
    return {
        "boot": [lambda found: second_start(guest, before, found)],
        "enrol": [lambda found: joined(guest, found)],
        "update": [
            lambda found: kept.remember(guest, found),
            lambda found: refused_older(guest, found),
            lambda found: refused_damaged(guest, found),
            lambda found: good_one_stays(guest, kept, found),
            lambda found: good_one_is_started_again(guest, kept, found),
            lambda found: broken_one_is_given_up(guest, kept, found),
        ],
    }


def shown(guest: Guest, only: list[str] | None) -> None:
    """Every part, or one; each step is written down when it is over."""
    results, began, busy = Results(), time.monotonic(), os.getloadavg()[0]
    before = first_start(guest, results)
    for name, steps in parts(guest, before).items():
        if only is not None and name not in only:
            continue
        found = results if name == "boot" else Results()
        for step in steps:
            step(found)
            # After each: a run that is ended early has said what it saw.
            report(part_of(guest.target, name), found, time.monotonic() - began, busy)
        began, busy = time.monotonic(), os.getloadavg()[0]


if __name__ == "__main__":
    sys.exit(main())
