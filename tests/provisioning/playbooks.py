"""The other playbooks on the station of test_station.py, by ssh as an operator plays them: a release, a station's end, a new one.

`Play` is site.yml's caller: a playbook's name and more words for ansible-playbook; its exit code and what it printed, in one line.
"""

import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.polling import until
from tests.provisioning.nspawn import Machine

TRAM = "/opt/tram/current/bin/tram"
AS_BRIDGE = ("setpriv", "--reuid=tram-bridge", "--regid=tram-bridge", "--init-groups")
DOOR = "/etc/tram-bridge/door.toml"
NEWER = "9.9.9"
PINS = {"kt": "480713", "tt": "591824"}
WAITS = """
import json
from pathlib import Path
from appliance.settings import load
from appliance.store.opening import open_store
conn = open_store(load([Path("/etc/tram/tram.toml")]), {})
print(json.dumps([row[0] for row in conn.execute("SELECT rowid FROM outbox WHERE state < 2")]))
"""
Play = Callable[..., tuple[int, str]]


def the_station_works(box: Machine) -> None:
    """Store, screens and line run, some of them only after the tries that systemd makes."""
    asked = ("systemctl", "is-active", "tram-init", "tram-kiosk", "tram-carry")  # it fails when one of them is not
    until(lambda: box.run(*asked, check=False).returncode == 0, 120, every=1.0, what="the station to run")


def another_release_is_installed(box: Machine, play: Play) -> None:
    """update.yml: the link leads to the newer release, the one before stays, everything runs, and what waited to be sent still waits."""
    newer(box.place / "wheels.tar", box.place / "newer.tar")
    before, waited = box.said("readlink", "-f", "/opt/tram/current"), waiting(box)
    code, said = play("update.yml", "-e", f"program_wheelhouse={box.place}/newer.tar")
    assert code == 0, said[-3000:]
    assert box.said("readlink", "-f", "/opt/tram/current") != before
    assert box.said("/opt/tram/current/bin/python", "-c", "import importlib.metadata as m; print(m.version('tram'))") == NEWER
    assert (box.files / before.lstrip("/")).is_dir()
    assert waited and waited <= waiting(box)
    broken = box.place / "broken.tar"
    newer(box.place / "wheels.tar", broken, starts=False)
    there = box.said("readlink", "/opt/tram/current")
    code, said = play("update.yml", "-e", f"program_wheelhouse={broken}")
    assert code != 0 and "runs the release it had" in said, said[-3000:]
    assert box.said("readlink", "/opt/tram/current") == there
    the_station_works(box)


def the_station_is_wiped_when_both_say_so(box: Machine, play: Play) -> None:
    """wipe.yml: another name and what the bridge has not received are refused, and the station works on; confirmed, its keys are gone."""
    box.run(TRAM, "staff", "add", "tt", "--name", "Trưởng Thử", "--role", "lead", "--pin", input=f"{PINS['tt']}\n")
    code, said = play("wipe.yml", "-e", "wipe_station=tram-0002")
    assert code != 0 and "name the station to wipe" in said
    code, said = play("wipe.yml", "-e", "wipe_station=tram-0001")
    assert code != 0 and "have not been received by the bridge" in said and "tram bag export" in said, said[-3000:]
    the_station_works(box)
    pins = box.place / "pins.txt"
    pins.write_text("".join(f"{one}\n" for one in PINS.values()))
    sure = ["-e", "wipe_station=tram-0001", "-e", "wipe_technician=kt", "-e", "wipe_lead=tt", "-e", f"wipe_pins_file={pins}"]
    code, said = play("wipe.yml", *sure)
    assert code == 0 and not any(pin in said for pin in PINS.values()), said[-3000:]
    left = {one.name for one in (box.files / "etc/tram").iterdir()} | {one.name for one in (box.files / "var/lib/tram").iterdir()}
    assert not {one for one in left if re.search(r"\.key|\.db|\.pem|wrapped", one)}, left


def the_box_is_enrolled_anew(box: Machine, play: Play) -> None:
    """site.yml makes a new store of a box that was wiped; enrol.yml hands a paper's token to the bridge's door and the line runs."""
    bare = {"station_cert": "", "station_key_file": "", "station_ca": "", "station_door_host": "127.0.0.1"}
    bare["program_wheelhouse"] = f"{box.place}/newer.tar"
    code, said = play("site.yml", "-e", json.dumps(bare))
    assert code == 0, said[-3000:]
    a_door_opens(box)
    command = [*AS_BRIDGE, "/opt/tram/current/bin/tram-bridge", "--config", "/etc/tram-bridge/tram.toml", "--config", DOOR]
    paper = box.said(*command, "stations", "token", "tram-0001", "--technician", "KTV. Thử", "--shard", "7")
    token = re.findall(r"^[A-Z0-9]{4}(?:-[A-Z0-9]{4}){5}$", paper, re.MULTILINE)[-1]
    (box.place / "token.txt").write_text(f"{token}\n")
    code, said = play("enrol.yml", "-e", f"enrol_request_file={box.place}/token.txt")
    assert code == 0 and token not in said, said[-3000:]
    assert (box.files / "etc/tram/station.pem").is_symlink()
    until(lambda: box.run("systemctl", "is-active", "tram-carry", check=False).stdout.strip() == "active", 60, every=0.5, what="the line")
    shown = box.said(TRAM, "enrol", "--show")
    assert "tram-0001" in shown, shown
    code, said = play("enrol.yml", "-e", f"enrol_request_file={box.place}/token.txt")
    assert code == 0 and "changed=0" in said, said[-3000:]
    box.run("systemctl", "stop", "door")


def a_door_opens(box: Machine) -> None:
    """The bridge's door on loopback, which the role leaves closed by default, with a certificate of its authority."""
    box.run(*AS_BRIDGE, "/opt/tram/current/bin/tram-bridge", "--config", "/etc/tram-bridge/tram.toml", "ca", "server", "127.0.0.1",
            "--to", "/var/lib/tram-bridge/door", "--stem", "door")  # fmt: skip
    (box.files / DOOR.lstrip("/")).write_text(
        '[bridge]\ndoor_cert = "/var/lib/tram-bridge/door/door.pem"\ndoor_key = "/var/lib/tram-bridge/door/door.key"\n'
        '[door]\nhost = "127.0.0.1"\n'
    )
    box.run("systemd-run", "--unit=door", "--uid=tram-bridge", "--gid=tram-bridge", "/opt/tram/current/bin/tram-bridge",
            "--config", "/etc/tram-bridge/tram.toml", "--config", DOOR, "door")  # fmt: skip
    until(lambda: box.said("ss", "-Hltn", "sport = :8443"), 60, every=0.5, what="the door")


def waiting(box: Machine) -> set[int]:
    """The messages that wait to be sent, or to be received."""
    return set(json.loads(box.said("/opt/tram/current/bin/python", "-c", WAITS)))


def newer(there: Path, out: Path, starts: bool = True) -> None:
    """The same wheel-house with the program as version `NEWER`; or with one that does not start."""
    with tarfile.open(there) as tar:
        files = {one.name: found.read() for one in tar if (found := tar.extractfile(one)) is not None}
    name = next(one for one in files if re.match(r"\./tram-[0-9]", one))
    old = name.split("-")[1]
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(files.pop(name))) as wheel, zipfile.ZipFile(made, "w") as changed:
        for one in wheel.infolist():
            body = wheel.read(one)
            if one.filename.endswith("dist-info/METADATA"):
                body = body.replace(f"\nVersion: {old}\n".encode(), f"\nVersion: {NEWER}\n".encode())
            if one.filename.endswith("dist-info/RECORD"):
                body = re.sub(rb",sha256=[^,]*,\d*", b",,", body).replace(
                    f"tram-{old}.dist-info".encode(), f"tram-{NEWER}.dist-info".encode()
                )
            if one.filename == "appliance/cli.py" and not starts:
                body = b"raise SystemExit(1)\n"
            changed.writestr(one.filename.replace(f"tram-{old}.dist-info", f"tram-{NEWER}.dist-info"), body)
    named = name.replace(f"-{old}-", f"-{NEWER}-")
    files[named] = made.getvalue()
    sums = [line for line in files["./requirements.txt"].decode().splitlines() if name not in line]
    files["./requirements.txt"] = "\n".join([*sums, f"{named} --hash=sha256:{hashlib.sha256(files[named]).hexdigest()}", ""]).encode()
    with tarfile.open(out, "w") as tar:
        for each, body in sorted(files.items()):
            entry = tarfile.TarInfo(each)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
