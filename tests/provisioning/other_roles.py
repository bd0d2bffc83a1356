"""What is looked at in the one station of test_station.py, for the roles network, remote_support, backup, monitoring, usbguard, broker.

Each function is named for what it shows; `said` gives the variables they need.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from cloud_bridge import ca, topicwalls
from tests.polling import until
from tests.provisioning.nspawn import Machine

TRAM = "/opt/tram/current/bin/tram"
BRIDGE = "/opt/tram/current/bin/tram-bridge"
PIN = "480713"
LISTEN = 20001
PASSPHRASE = "mot hai ba bon"
REVOKED = "SSLV3_ALERT_CERTIFICATE_REVOKED"
"""OpenSSL's word when the other side says that the certificate was revoked."""
AUDIT = """
import json
from pathlib import Path
from appliance.settings import load
from appliance.store.opening import open_store
conn = open_store(load([Path("/etc/tram/tram.toml")]), {})
rows = conn.execute("SELECT actor, action, subject FROM audit WHERE action LIKE 'support.%' ORDER BY id").fetchall()
print(json.dumps([list(row) for row in rows]))
"""


KNOWN = """
import sys
from pathlib import Path
from cryptography import x509
from appliance.settings import load
from cloud_bridge import ca
from cloud_bridge.store import enrolment as rows
from cloud_bridge.store.engine import open_engine, writing
leaf = x509.load_pem_x509_certificate(Path("/etc/tram/station.pem").read_bytes())
ends = int(leaf.not_valid_after_utc.timestamp() * 10)
engine = open_engine(load([Path("/etc/tram-bridge/tram.toml")]).bridge.database)
with writing(engine) as tx:
    rows.add_certificate(tx, rows.Certificate(
        f"{leaf.serial_number:x}", "tram-0001", rows.STATION, ca.der(leaf), ends - 1, ends, "", bytes(32), None
    ))
"""
"""The bridge writes down the certificate it gave the station, as enrolment does."""
KNOCK = """
import socket, ssl, sys
port, folder = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
context.load_cert_chain(f"{folder}/tram-0001.pem", f"{folder}/tram-0001.key")
try:
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname="127.0.0.1") as line:
        line.settimeout(3)
        line.recv(1)
    print("hung up")
except TimeoutError:
    print("let in")
except ssl.SSLError as no:
    print(no.reason)
"""
"""TLS with the station's certificate and not a word after it: what the broker does."""
ASK = """
import socket, sys
line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
line.settimeout(120)
line.connect("/run/tram/field.sock")
line.send(sys.argv[1].encode())
print(line.recv(65536).decode())
"""


def a_bridge_with_its_authority(box: Machine, authority: ca.Authority) -> None:
    """The bridge of this machine has its issuing authority already; certificates for everybody else lie in the folder of files."""
    folder, now = box.place / "files", ca.now_utc()
    (folder / "authorities.pem").write_bytes(ca.pem(authority.root, authority.issuing))
    key = ca.new_key()
    ca.issue_files(folder, "broker", authority.server(["localhost", "127.0.0.1"], key.public_key(), now), key, authority)
    for name in (topicwalls.CARRIER, topicwalls.ADMIN, "tram-0001"):
        key = ca.new_key()
        ca.issue_files(folder, name, authority.member(name, key.public_key(), now), key, authority)
    box.run("systemd-sysusers", "--inline", 'u tram-bridge - "Tram bridge" /var/lib/tram-bridge')
    (box.files / "var/lib/tram-bridge").mkdir()
    for each in sorted((folder / "keys").iterdir()):
        where = box.files / "var/lib/tram-bridge/keys" / each.name
        where.parent.mkdir(mode=0o700, exist_ok=True)
        where.touch(each.stat().st_mode & 0o777)
        where.write_bytes(each.read_bytes())
    box.run("chown", "-R", "tram-bridge:tram-bridge", "/var/lib/tram-bridge")


def said(box: Machine) -> dict[str, Any]:
    """More variables for site.yml: two ways out, a second medium, a far end for remote support, the bridge's voice at the broker."""
    folder = box.place / "files"
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


# --- the technician's door ---------------------------------------------------------------------------------------------------------------


def field(box: Machine, user: str = "tram-kiosk", **said: str) -> Any:
    """What the root door of the technician's page answers a program of this user."""
    rights = ["setpriv", f"--reuid={user}", f"--regid={'tram' if user.startswith('tram') else 'nogroup'}", "--clear-groups"]
    done = box.run(*rights, "/opt/tram/current/bin/python", "-c", ASK, json.dumps(said), check=False)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def the_technicians_door_works_behind_its_walls(box: Machine) -> None:
    """Started by the first question: it tries the line, knows the networks, writes udev's rules for a port; only for who may ask.

    No udev runs in a container: that its rules are read and a collector starts by them is shown by the machine of rig_boot.
    """
    assert box.said("systemctl", "show", "--value", "--property=ActiveState", "tram-field.service") == "inactive"
    found = field(box, do="contact", staff="kt")
    assert [(each["what"], each["why"]) for each in found["places"]] == [("broker", None)], found
    assert {"tram-day", "tram-dia"} <= {one["name"] for one in field(box, do="networks", staff="kt")["known"]}
    bound = field(box, do="bind", staff="kt", driver="contec-cms50", place="1-1.2", patient_types="adult", inventory="")
    assert bound["ok"] is False and "udevadm" in bound["en"], bound
    rules = (box.files / "etc/udev/rules.d/60-tram.rules").read_text()
    assert "1-1.2:1.0" in rules and "spo1" in rules
    assert (box.files / "etc/systemd/system/tram-collect@spo1.service.d/adapter.conf").exists()
    box.run(TRAM, "device", "unbind", "spo1", "--staff", "kt")
    assert field(box, do="ports", staff="an-ninh")["ok"] is False and field(box, do="rm -rf /", staff="kt")["ok"] is False
    assert "PermissionError" in field(box, "nobody", do="contact", staff="kt")
    said = box.said("journalctl", "--no-pager", "--output=cat", "--unit=tram-field")
    assert not re.search("ermission denied|Read-only|not permitted", said), said


# --- what lies open ---------------------------------------------------------------------------------------------------------------------


def nobody_else_reads_a_secret(box: Machine) -> None:
    """No key and no store is readable by others, no file of the machine is writable by others, no secret and no patient is in a log."""
    secret = ["(", "-name", "*.key", "-o", "-name", "*.secret", "-o", "-name", "tram.db*", "-o", "-name", "tram-rights.json", ")"]
    places = [
        "/etc/tram",
        "/etc/tram-bridge",
        "/etc/tram-support",
        "/etc/mosquitto",
        "/var/lib/tram",
        "/var/lib/tram-bridge",
        "/var/lib/mosquitto",
    ]
    found = box.said("find", *places, "-type", "f", *secret, "-printf", "%m %p\\n").splitlines()
    assert len(found) >= 8
    assert [one for one in found if one.split()[0][-1] != "0"] == []
    assert box.run("find", "/", "-xdev", "-type", "f", "-perm", "-o+w", check=False).stdout == ""
    log = box.said("journalctl", "--no-pager", "--output=cat") + broker_log(box)
    assert [word for word in ("Thử Nghiệm Một", PIN, PASSPHRASE, "BEGIN PRIVATE KEY") if word in log] == []


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
    """The bridge tells the broker, which ends the connection that stands; its list keeps the certificate out, a broker begun anew too."""
    as_bridge = ["setpriv", "--reuid=tram-bridge", "--regid=tram-bridge", "--init-groups", BRIDGE, "--config", "/etc/tram-bridge/tram.toml"]
    box.run(TRAM, "init", "--export", "/var/lib/tram-bridge/me.json")
    box.run("chown", "tram-bridge", "/var/lib/tram-bridge/me.json")
    box.run(*as_bridge, "stations", "add", "tram-0001", "--key", "/var/lib/tram-bridge/me.json", "--shard", "7")
    box.run(*as_bridge[:-3], "/opt/tram/current/bin/python", "-c", KNOWN)
    assert knock(box) == "let in"
    done = box.run(*as_bridge, "stations", "revoke", "tram-0001")
    assert "told" in done.stdout and '"certificates": 1' in done.stdout, done.stdout + done.stderr
    until(lambda: "administrative action" in broker_log(box).lower(), 15, every=0.2, what="the broker ended the connection")
    until(lambda: knock(box) == REVOKED, 15, every=0.2, what="the broker has read the bridge's list, without having been begun anew")
    box.run("systemctl", "restart", "mosquitto")
    until(lambda: box.said("ss", "-Hltn", "sport = :8883"), 15, every=0.2, what="the broker begun anew")
    assert knock(box) == REVOKED
    box.run("systemctl", "start", "tram-bridge-revoked.service")
    assert knock(box) == REVOKED


def knock(box: Machine) -> str:
    """What the broker does with the station's certificate."""
    command = [sys.executable, "-c", KNOCK, "8883", str(box.place / "files")]
    return box.run(*command, network_alone=True).stdout.strip()


def broker_log(box: Machine) -> str:
    """What the broker wrote."""
    file: Path = box.files / "var/log/mosquitto/mosquitto.log"
    return file.read_text(errors="replace")
