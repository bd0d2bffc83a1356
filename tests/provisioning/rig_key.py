"""The store's key bound to a TPM on Debian 13, by the units as the roles write them, behind their walls: `tram-key`, then `tram-init`.

    python -m tests.provisioning.rig_key        (as root; five minutes on a quiet machine; script/rig key)

A container with real systemd; its chip is swtpm, which systemd speaks to as to a real one. A kernel's TPM, a Raspberry Pi's rows and a boot
from power-on are shown by nothing here. What was seen goes into docs/reference/rig-results.md.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from cloud_bridge.cli import main as bridge
from tests.images.rig_boot import Results, report
from tests.polling import until
from tests.provisioning import walls
from tests.provisioning.nspawn import PROVISIONING, ROOT, Machine, MissingError, machine

SOFTWARE = ("swtpm", "libtss2-tcti-swtpm0t64", "libtss2-esys-3.0.2-0t64", "libtss2-rc0t64")
SETTINGS = 'environment = "test"\n[station]\nid = "tram-0001"\n[wire]\nsealing = "off"\n[store]\nballast_mb = 0\n'
TRAM = "/opt/tram/current/bin/tram"
HOST = "/var/lib/chips"


def the_program_and_its_units(box: Machine) -> None:
    """The program in a virtual environment, its users and folders, a plain key, a pinned recovery key, and the two units."""
    wheels = box.place / "wheels.tar"
    subprocess.run([PROVISIONING / "wheelhouse", wheels, "3.13", os.uname().machine], check=True, capture_output=True, cwd=ROOT)
    into = box.files / "opt/tram/wheels"
    into.mkdir(parents=True)
    subprocess.run(["tar", "-C", str(into), "-xf", str(wheels)], check=True)
    box.run("python3", "-m", "venv", "/opt/tram/current")
    pip = ("/opt/tram/current/bin/pip", "install", "-q", "--no-index", "--no-deps", "--require-hashes")
    box.run("sh", "-c", "cd /opt/tram/wheels && " + " ".join([*pip, "-r", "requirements.txt"]))
    draw = Environment(loader=FileSystemLoader(PROVISIONING / "roles/station/templates"), autoescape=False, trim_blocks=True)
    for kind in ("sysusers", "tmpfiles"):
        folder = box.files / f"etc/{kind}.d"
        folder.mkdir(exist_ok=True)
        (folder / "tram.conf").write_text(draw.get_template(f"{kind}.conf.j2").render())
    box.run("systemd-sysusers")
    box.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/tram.conf")
    (box.files / "etc/tram/tram.toml").write_text(SETTINGS)
    key = box.files / "etc/tram/store.key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    units = walls.drawn()
    for unit in ("tram-key.service", "tram-init.service"):
        (box.files / "etc/systemd/system" / unit).write_text(units[unit])
    pins = box.place / "pins.json"
    recovery_key(box.place, pins)
    more = box.files / "etc/systemd/system/tram-init.service.d"
    more.mkdir()
    (more / "pins.conf").write_text(f"[Service]\nExecStart=\nExecStart={TRAM} init --pin /etc/tram/pins.json\n")
    (box.files / "etc/tram/pins.json").write_text(pins.read_text())


def recovery_key(folder: Path, pins: Path) -> None:
    """A bridge's public keys, its recovery key's among them."""
    file = folder / "bridge.toml"
    file.write_text(f'[bridge]\ndatabase = "sqlite:///{folder}/bridge.db"\nkey_dir = "{folder}/keys"\n')
    there = ["--config", str(file)]
    assert bridge(["recovery-key", "make", "--to", str(folder / "safe")]) == 0
    (public,) = (folder / "safe").glob("*.pub")
    assert bridge(["init", *there]) == 0
    assert bridge(["recovery-key", "add", str(public), *there]) == 0
    assert bridge(["init", "--export", str(pins), *there]) == 0


def chip(box: Machine, name: str) -> None:
    """The machine's chip is this one from now on, just started; empty: it does not answer."""
    box.run("systemctl", "stop", "chip.service", check=False)
    box.run("systemctl", "reset-failed", "chip.service", check=False)
    box.run("rm", "-rf", "/run/chip")
    if name:
        box.run("mkdir", "-p", f"{HOST}/{name}", "/run/chip")
        ways = [f"type=unixio,path=/run/chip/s{end}" for end in ("", ".ctrl")]
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={HOST}/{name}", "--server", ways[0], "--ctrl", ways[1]]
        box.run("systemd-run", "--unit=chip", *command, "--flags", "not-need-init,startup-clear")
        until((box.files / "run/chip/s.ctrl").exists, 60, every=0.2, what="the chip")


def names(box: Machine) -> list[str]:
    """Every form of the key on the card."""
    return sorted(one.name for one in (box.files / "etc/tram").iterdir() if "store" in one.name)


def state(box: Machine, unit: str) -> str:
    """systemd's word for a unit."""
    return box.run("systemctl", "is-active", unit, check=False).stdout.strip()


def the_key_is_bound_at_the_first_start_after_the_recovery_copy(box: Machine) -> bytes:
    """The first start makes store and copy, the second binds: one form on the card, the key in memory for root alone, a whole store."""
    key = (box.files / "etc/tram/store.key").read_bytes()
    chip(box, "one")
    box.run("systemctl", "start", "tram-init.service")
    assert names(box) == ["store.key"] and (box.files / "var/lib/tram/store.key.wrapped").exists()
    chip(box, "one")
    box.run("systemctl", "restart", "tram-init.service")
    assert names(box) == ["store.key.tpm2"], box.said("journalctl", "--no-pager", "-u", "tram-key")
    handed = box.files / "run/tram-key/store.key"
    assert handed.read_bytes() == key
    assert box.said("stat", "-c", "%a %U", "/run/tram-key", "/run/tram-key/store.key").split() == ["700", "root", "600", "root"]
    stranger = ("setpriv", "--reuid=tram-kiosk", "--regid=tram", "--clear-groups", "cat", "/run/tram-key/store.key")
    assert box.run(*stranger, check=False).returncode != 0
    return key


def a_restart_needs_the_chip_and_no_file(box: Machine, key: bytes) -> None:
    """What was in memory is gone, as at power-on; root's own commands see how it stands."""
    box.run("systemctl", "stop", "tram-init.service")
    box.run("rm", "-rf", "/run/tram-key")
    chip(box, "one")
    box.run("systemctl", "start", "tram-init.service")
    assert (box.files / "run/tram-key/store.key").read_bytes() == key
    assert json.loads(box.said(TRAM, "key", "status").splitlines()[0])["form"] == "tpm2"
    assert "TPM của máy này" in box.run(TRAM, "check", check=False).stdout


def another_machines_chip_starts_nothing(box: Machine) -> None:
    """The journal says whose card it is; the store is not touched, no new key is made; nobody tries for ever."""
    box.run("systemctl", "stop", "tram-init.service")
    box.run("rm", "-rf", "/run/tram-key")
    before = box.said("sha256sum", "/var/lib/tram/tram.db", "/etc/tram/store.key.tpm2")
    chip(box, "two")
    assert box.run("systemctl", "start", "tram-init.service", check=False).returncode != 0
    assert state(box, "tram-init.service") != "active" and state(box, "tram-key.service") == "failed"
    said = box.said("journalctl", "--no-pager", "--output=cat", "-u", "tram-key")
    assert "thuộc bo mạch khác" in said and "tram-bridge recover" in said
    assert box.said("sha256sum", "/var/lib/tram/tram.db", "/etc/tram/store.key.tpm2") == before and names(box) == ["store.key.tpm2"]


def a_chip_that_is_late_is_waited_for(box: Machine) -> None:
    """The start goes on asking, and what waits for the key starts when it comes."""
    box.run("systemctl", "reset-failed")
    chip(box, "")
    box.run("systemctl", "start", "--no-block", "tram-init.service")
    until(lambda: int(box.said("systemctl", "show", "-P", "NRestarts", "tram-key.service")) >= 1, 120, every=1, what="a second try")
    chip(box, "one")
    until(lambda: state(box, "tram-init.service") == "active", 180, every=1, what="the store")


def a_release_from_before_takes_the_plain_file(box: Machine) -> None:
    """The program is turned back to one that knows no `tram key`, after `tram key unbind`: it starts, as it always did.

    (The chip goes on from the look before: a TPM counts each time it is cut off as a guess, and swtpm locks itself after few.)
    """
    box.run("env", "SYSTEMD_TPM2_DEVICE=swtpm:path=/run/chip/s", TRAM, "key", "unbind")
    assert names(box) == ["store.key"]
    (commands,) = (box.files / "opt/tram/current/lib").glob("python3*/site-packages/appliance/cli.py")
    text = commands.read_text()
    commands.write_text(text.replace('    "key": "key",\n', ""))
    assert box.run(TRAM, "key", "open", check=False).returncode == 2
    box.run("systemctl", "stop", "tram-init.service")
    box.run("rm", "-rf", "/run/tram-key")
    box.run("systemctl", "start", "tram-init.service")
    assert names(box) == ["store.key"]


def main() -> int:
    """Set it up and look; 0 when everything was seen."""
    results, began, busy = Results(), time.monotonic(), os.getloadavg()[0]

    def seen(what: str, found: str) -> None:
        results.note(what, found)
        report("key", results, time.monotonic() - began, busy, "a systemd-nspawn container of Debian 13, swtpm for a chip")

    try:
        with machine("tram-0001", more=SOFTWARE) as box:
            the_program_and_its_units(box)
            more = box.files / "etc/systemd/system/tram-key.service.d"
            more.mkdir()
            (more / "chip.conf").write_text("[Service]\nEnvironment=SYSTEMD_TPM2_DEVICE=swtpm:path=/run/chip/s\n")
            box.run("systemctl", "daemon-reload")
            key = the_key_is_bound_at_the_first_start_after_the_recovery_copy(box)
            seen("first start", "store and recovery copy made, the key plain")
            seen("second start", "the key bound to the chip, the plain file gone; in memory for root alone")
            a_restart_needs_the_chip_and_no_file(box, key)
            seen("memory empty, as after power-on, with the chip", "the same key, the store open")
            another_machines_chip_starts_nothing(box)
            seen("the card with another machine's chip", "no start; store and bound key untouched; the journal names `tram-bridge recover`")
            a_chip_that_is_late_is_waited_for(box)
            seen("a chip that answers late", "is asked again, the store then opens by itself")
            a_release_from_before_takes_the_plain_file(box)
            seen("unbound, and a program from before `tram key`", "starts on the plain file")
            wall = walls.score(box.said("systemd-analyze", "security", "--no-pager", "tram-key.service").splitlines()[-1])
            assert wall <= walls.allowed("tram-key.service")
            seen("`systemd-analyze security` of `tram-key`", str(wall))
    except MissingError as missing:
        print(f"rig: no machine here: {missing}", file=sys.stderr)
        return 1
    print("rig: the key is bound to the chip, opened behind the walls, refused by another chip, waited for when the chip is late")
    return 0


if __name__ == "__main__":
    sys.exit(main())
