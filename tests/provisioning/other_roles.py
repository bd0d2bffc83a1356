"""What is looked at in the one station of test_station.py, for the roles network, remote_support, backup, monitoring, usbguard, broker.

Each function is named for what it shows; `said` gives the variables they need.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.certificates import certificate
from tests.polling import until
from tests.provisioning.nspawn import Machine

TRAM = "/opt/tram/current/bin/tram"
BRIDGE = "/opt/tram/current/bin/tram-bridge"
PIN = "480713"
LISTEN = 20001
PASSPHRASE = "mot hai ba bon"
AUDIT = """
import json
from pathlib import Path
from appliance.settings import load
from appliance.store.opening import open_store
conn = open_store(load([Path("/etc/tram/tram.toml")]), {})
rows = conn.execute("SELECT actor, action, subject FROM audit WHERE action LIKE 'support.%' ORDER BY id").fetchall()
print(json.dumps([list(row) for row in rows]))
"""


def said(box: Machine, authority: Any) -> dict[str, Any]:
    """More variables for site.yml: two ways out, a second medium, a far end for remote support, the bridge's voice at the broker."""
    folder = box.place / "files"
    certificate(folder, "tram-admin", authority)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "far", "-f", str(folder / "far")], check=True)
    return {
        "network_connections": [
            {"name": "day", "kind": "ethernet", "interface": "eth0", "address": "192.168.90.2/24", "gateway": "192.168.90.1"},
            {"name": "dia", "kind": "vsat", "interface": "eth1", "address": "192.168.100.2/24", "gateway": "192.168.100.1"},
            {"name": "sim1", "kind": "modem", "apn": "v-internet", "pin": "1234"},
            {"name": "nha", "kind": "wifi", "ssid": "Tram Thu", "passphrase": PASSPHRASE},
        ],
        "backup_device": "none",
        "remote_support_host": "127.0.0.1",
        "remote_support_port": 2222,
        "remote_support_user": "root",
        "remote_support_host_keys": [" ".join((folder / "far.pub").read_text().split()[:2])],
        "remote_support_listen": LISTEN,
        "remote_support_keys": [(box.place / "key.pub").read_text().strip()],
        "usbguard_on": True,
        "usbguard_run": False,
        "bridge_admin_cert": f"{folder}/tram-admin.pem",
        "bridge_admin_key_file": f"{folder}/tram-admin.key",
    }


# --- network ----------------------------------------------------------------------------------------------------------------------------


def the_ways_out_are_known_and_their_secrets_are_roots(box: Machine) -> None:
    """NetworkManager reads every profile as it was meant: metric, meter, kind; nobody else may read the files."""
    found = {}
    for name in ("day", "dia", "sim1", "nha"):
        ask = "connection.type,connection.metered,ipv4.route-metric,connection.autoconnect-retries"
        found[name] = box.said("nmcli", "-g", ask, "connection", "show", f"tram-{name}").split()
    assert found == {
        "day": ["802-3-ethernet", "no", "100", "0"], "dia": ["802-3-ethernet", "yes", "600", "0"],
        "sim1": ["gsm", "yes", "400", "0"], "nha": ["802-11-wireless", "no", "200", "0"],
    }  # fmt: skip
    files = [*(box.files / "etc/NetworkManager/system-connections").iterdir()]
    assert len(files) == 4
    assert {(one.stat().st_mode & 0o7777, one.stat().st_uid) for one in files} == {(0o600, 0)}
    assert PASSPHRASE in (box.files / "etc/NetworkManager/system-connections/tram-nha.nmconnection").read_text()
    assert "--filter-policy=strict" in box.said("systemctl", "show", "--property=ExecStart", "ModemManager")
    assert box.said("cat", "/proc/sys/net/ipv4/tcp_timestamps") == "0"


def the_route_in_force_decides_whether_bytes_cost_money(box: Machine) -> None:
    """The cable is pulled: the dish is the way out, its bytes cost money, and the line knows within seconds; and back."""
    for name, far in (("eth0", "far0"), ("eth1", "far1")):
        box.run("ip", "link", "add", name, "type", "veth", "peer", "name", far)
        box.run("ip", "link", "set", far, "up")

    def way() -> str:
        return (box.said("ip", "-4", "route", "show", "default").split() + [""] * 5)[4]

    def word() -> str:
        file = box.files / "run/tram-network/metered"
        return file.read_text().strip() if file.exists() else ""

    def heard() -> list[str]:
        log = box.said("journalctl", "--no-pager", "--output=cat", "--unit=tram-carry")
        return re.findall(r"the route in force is (not metered|metered)", log)

    until(lambda: (way(), word()) == ("eth0", "no"), 30, every=0.5, what="the cable is the way out and costs nothing")
    until(lambda: heard()[-1:] == ["not metered"], 20, every=0.5, what="the line knows it")
    box.run("ip", "link", "set", "far0", "down")
    until(lambda: (way(), word()) == ("eth1", "yes"), 30, every=0.5, what="the dish is the way out and costs money")
    until(lambda: heard()[-1:] == ["metered"], 20, every=0.5, what="the line knows that, too")
    box.run("ip", "link", "set", "far0", "up")
    until(lambda: (way(), word()) == ("eth0", "no"), 30, every=0.5, what="the cable again")


# --- the first door, remote support -----------------------------------------------------------------------------------------------------


def ssh_closes_when_the_station_is_accepted(box: Machine) -> None:
    """The chain that lets the station's own network in is empty a moment after the acceptance, and after a new start of the rules."""

    def doors() -> int:
        return box.said("nft", "list", "chain", "inet", "tram", "ssh_lan").count("accept")

    assert doors() == 4
    box.run("touch", "/var/lib/tram/accepted")
    until(lambda: doors() == 0, 15, every=0.2, what="no way in from the station's network")
    box.run("systemctl", "restart", "nftables")
    box.run("systemctl", "start", "tram-accepted")
    assert doors() == 0
    box.run("rm", "/var/lib/tram/accepted")
    box.run("nft", "-f", "/etc/nftables.conf")
    assert doors() == 4


def remote_support_is_let_in_by_a_person_alone(box: Machine) -> None:
    """Before, nothing connects; then the far end has one port that leads to ssh, for the keys that were named; a minute was given."""
    (box.files / "root/far").write_bytes((box.place / "files/far").read_bytes())
    (box.files / "root/far").chmod(0o600)
    line = (box.files / "etc/tram-support/far-end").read_text().splitlines()[-1]
    assert line.startswith(f'restrict,port-forwarding,permitlisten="127.0.0.1:{LISTEN}",') and 'command="/usr/sbin/nologin"' in line
    (box.files / "root/far.keys").write_text(line + "\n")
    (box.files / "root/far.conf").write_text(
        "Port 2222\nListenAddress 127.0.0.1\nHostKey /root/far\nAuthorizedKeysFile /root/far.keys\nAllowTcpForwarding remote\n"
        "PasswordAuthentication no\nUsePAM no\nPidFile none\nStrictModes no\n"
    )
    box.run("systemd-run", "--unit=far", "/usr/sbin/sshd", "-D", "-f", "/root/far.conf")
    box.run(TRAM, "staff", "add", "kt", "--name", "KTV Thử", "--role", "technician", "--pin", input=f"{PIN}\n")
    assert box.said("systemctl", "is-enabled", "tram-support.service") == "static"
    assert "Connection" not in box.said("journalctl", "--no-pager", "--output=cat", "--unit=far")
    wrong = box.run(TRAM, "support", "open", "--technician", "kt", "--reason", "line", input="000000\n", check=False)
    assert wrong.returncode == 1 and support_state(box) == "inactive"
    box.run(TRAM, "support", "open", "--technician", "kt", "--minutes", "1", "--reason", "line", input=f"{PIN}\n")
    until(lambda: box.said("ss", "-Hltn", f"sport = :{LISTEN}"), 20, every=0.5, what="the far end's port")
    assert box.said("systemctl", "show", "--value", "--property=RuntimeMaxUSec", "tram-support") == "1min"
    through = ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    through += ["-p", str(LISTEN), "root@127.0.0.1"]
    assert box.run(*through, "-i", str(box.place / "key"), "hostname", network_alone=True).stdout.strip() == "tram-0001"
    assert box.run(*through, "-i", str(box.place / "files/far"), "hostname", network_alone=True, check=False).returncode == 255


def the_box_closes_remote_support_by_itself(box: Machine) -> None:
    """A minute later the port is gone, nothing is left that a new start would open, and the audit log has the beginning and the end."""
    until(lambda: support_state(box) == "inactive", 90, every=1, what="the box closed it")
    assert not box.said("ss", "-Hltn", f"sport = :{LISTEN}")
    box.run("systemctl", "stop", "far")
    found = [tuple(one) for one in json.loads(box.said("/opt/tram/current/bin/python", "-c", AUDIT))]
    assert ("kt", "support.open", "1 line") in found and found[-1] == ("", "support.end", "timeout"), found


def support_state(box: Machine) -> str:
    """systemd's word: active, inactive; one that its time has ended is forgotten, which counts as inactive."""
    state = box.said("systemctl", "show", "--value", "--property=ActiveState", "tram-support")
    return "inactive" if state == "failed" else state


# --- copies, watch, USB, broker ---------------------------------------------------------------------------------------------------------


def the_store_is_copied_to_a_second_medium(box: Machine) -> None:
    """Without one the copy is refused; with one there is a copy that reads back, and that shows nobody's name."""
    box.run("mkdir", "-p", "/media/tram-copy")
    box.run("systemctl", "start", "tram-copy", check=False)
    log = box.said("journalctl", "--no-pager", "--output=cat", "--unit=tram-copy")
    assert "own medium" in log, log
    box.run("mount", "-t", "tmpfs", "none", "/media/tram-copy")
    box.run("systemctl", "reset-failed", "tram-copy")
    box.run("systemctl", "start", "tram-copy")
    found = json.loads(box.said(TRAM, "store", "copy", "--check", "/media/tram-copy/tram-copy"))
    assert found["station"] == "tram-0001" and found["unreceived"] > 0
    file = next((box.files / "media/tram-copy/tram-copy").glob("*/tram.db"))
    assert "Thử Nghiệm Một".encode() not in file.read_bytes()


def what_is_wrong_stands_in_the_journal_by_its_weight(box: Machine) -> None:
    """The station says what `tram check` says, the bridge that nothing was backed up, as errors; then the alert is gone."""
    for unit in ("tram-watch", "tram-bridge-watch"):
        box.run("systemctl", "start", unit)
    assert "bridge: " in box.said("journalctl", "--no-pager", "--output=cat", "--priority=err", "--unit=tram-watch")
    assert set(json.loads((box.files / "run/tram-watch/wear.json").read_text())) == {"written_day", "worn", "failed"}
    alerts = box.files / "var/lib/tram-bridge-watch/alerts.txt"
    assert "there is no verified backup" in alerts.read_text()
    assert "no verified backup" in box.said("journalctl", "--no-pager", "--output=cat", "--priority=err", "--unit=tram-bridge-watch")
    box.run("systemctl", "start", "tram-bridge-backup")
    box.run("systemctl", "start", "tram-bridge-watch")
    assert "backup" not in alerts.read_text()


def usb_policy_is_one_the_daemon_reads(box: Machine) -> None:
    """Every rule parses, what is not named is blocked, and a stick that is anything beside a stick fits no rule."""
    rules = (box.files / "etc/usbguard/rules.conf").read_text()
    box.run("usbguard-rule-parser", "--file", "/etc/usbguard/rules.conf")
    assert "allow with-interface equals { 08:06:50 }" in rules and "allow id 0403:6001" in rules
    assert not re.search(r"^allow\s*$|with-interface (any-of|one-of) \{ [^}]*(03|08|\*):", rules, re.MULTILINE)
    assert "ImplicitPolicyTarget=block" in (box.files / "etc/usbguard/usbguard-daemon.conf").read_text()


def a_revoked_station_is_cut_off_at_once(box: Machine) -> None:
    """The bridge tells the broker, which ends the connection that stands; the station is not let in again."""
    as_bridge = ["setpriv", "--reuid=tram-bridge", "--regid=tram-bridge", "--init-groups", BRIDGE, "--config", "/etc/tram-bridge/tram.toml"]
    box.run(TRAM, "init", "--export", "/var/lib/tram-bridge/me.json")
    box.run("chown", "tram-bridge", "/var/lib/tram-bridge/me.json")
    box.run(*as_bridge, "stations", "add", "tram-0001", "--key", "/var/lib/tram-bridge/me.json", "--shard", "7")
    done = box.run(*as_bridge, "stations", "revoke", "tram-0001")
    assert "told" in done.stdout, done.stdout + done.stderr
    until(lambda: "administrative action" in broker_log(box).lower(), 15, every=0.2, what="the broker ended the connection")


def broker_log(box: Machine) -> str:
    """What the broker wrote."""
    file: Path = box.files / "var/log/mosquitto/mosquitto.log"
    return file.read_text(errors="replace")
