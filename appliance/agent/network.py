"""NetworkManager as a technician at the screen needs it: which connections there are, choose one, an APN, a Wi-Fi, and a try of the line.

Every call of ``nmcli`` has a fixed list of arguments; what a person typed is checked before and is one argument of its own, a
passphrase goes by standard input, where no list of processes shows it.
"""

import re
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

from appliance.store.errors import Refused

Run = Callable[[Sequence[str], str], str]
"""A program with its arguments and its standard input; what it printed. OSError when it failed."""
Pair = tuple[str, str]
WAIT_S = "45"
"""How long NetworkManager may take to bring a connection up: a modem registers in 5 to 30 s."""
MODEM, WIFI = "tram-4g", "tram-wifi"
"""The names of the connections that are made here; a second try replaces the first."""
APN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
"""3GPP TS 23.003 §9: labels as of a host name, 100 signs at most; no operator uses more than 62."""
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KINDS: dict[str, Pair] = {
    "802-3-ethernet": ("dây mạng hoặc VSAT", "cable or VSAT"),
    "802-11-wireless": ("Wi-Fi", "Wi-Fi"),
    "gsm": ("modem 2G/4G", "2G/4G modem"),
}
"""NetworkManager's words for what a station uses; nothing else is shown."""
CONNECT_S = 15.0


class Known(NamedTuple):
    """A connection that NetworkManager keeps; `device` is empty while it is not in use."""

    name: str
    uuid: str
    kind: str
    device: str


class Heard(NamedTuple):
    """A Wi-Fi in reach: its name, its strength in hundredths, whether it asks for a passphrase."""

    name: str
    strength: int
    locked: bool


def known(run: Run) -> list[Known]:
    """The connections of this box, those in use first."""
    rows = [_fields(line) for line in run(("nmcli", "-t", "-f", "NAME,UUID,TYPE,DEVICE", "connection", "show"), "").splitlines()]
    found = [Known(*row[:4]) for row in rows if len(row) >= 4 and row[2] in KINDS]
    return sorted(found, key=lambda one: (not one.device, one.name))


def in_reach(run: Run) -> list[Heard]:
    """The Wi-Fis in reach, the strongest first, each name once."""
    rows = [_fields(line) for line in run(("nmcli", "-t", "-f", "SSID,SIGNAL,SECURITY", "device", "wifi", "list"), "").splitlines()]
    found: dict[str, Heard] = {}
    for row in rows:
        if len(row) >= 3 and row[0] and row[1].isdecimal():
            one = Heard(row[0], int(row[1]), row[2] not in ("", "--"))
            if row[0] not in found or found[row[0]].strength < one.strength:
                found[row[0]] = one
    return sorted(found.values(), key=lambda one: -one.strength)


def use(run: Run, uuid: str) -> None:
    """Bring one of the known connections up. OSError when it does not come."""
    if not UUID.fullmatch(uuid):
        raise Refused("Không có kết nối này.", "there is no such connection")
    run(("nmcli", "--wait", WAIT_S, "connection", "up", "uuid", uuid), "")


def set_apn(run: Run, apn: str) -> None:
    """A modem's connection with this access point name: the one there is, or a new one; then up."""
    if not APN.fullmatch(apn):
        raise Refused(
            "APN chỉ có chữ không dấu, số, dấu chấm và gạch nối. Ví dụ: v-internet",
            "an APN has letters, digits, dots and hyphens, such as v-internet",
        )
    there = next((one for one in known(run) if one.kind == "gsm"), None)
    if there is not None:
        run(("nmcli", "connection", "modify", "uuid", there.uuid, "gsm.apn", apn), "")
        run(("nmcli", "--wait", WAIT_S, "connection", "up", "uuid", there.uuid), "")
        return
    run(("nmcli", "connection", "add", "type", "gsm", "con-name", MODEM, "ifname", "*", "gsm.apn", apn), "")
    run(("nmcli", "--wait", WAIT_S, "connection", "up", "id", MODEM), "")


def join(run: Run, name: str, passphrase: str) -> None:
    """Join a Wi-Fi; an empty passphrase is for one that asks for none. OSError when it does not come up: then nothing new is kept."""
    if not 1 <= len(name.encode()) <= 32 or not name.isprintable():
        raise Refused("Tên Wi-Fi có 1 đến 32 ký tự.", "the name of a Wi-Fi has 1 to 32 bytes")  # IEEE 802.11: an SSID has up to 32 octets
    if passphrase and not (8 <= len(passphrase) <= 63 and passphrase.isascii() and passphrase.isprintable()):
        raise Refused(
            "Mật khẩu Wi-Fi có 8 đến 63 ký tự không dấu.", "a Wi-Fi passphrase has 8 to 63 ASCII signs"
        )  # IEEE 802.11i, annex on passphrases
    for one in known(run):
        if one.name == WIFI:
            run(("nmcli", "connection", "delete", "uuid", one.uuid), "")
    run(("nmcli", "connection", "add", "type", "wifi", "con-name", WIFI, "ifname", "*", "ssid", name), "")
    try:
        if passphrase:
            script = f"set wifi-sec.key-mgmt wpa-psk\nset wifi-sec.psk {passphrase}\nsave persistent\nquit\n"
            run(("nmcli", "connection", "edit", "id", WIFI), script)
        run(("nmcli", "--wait", WAIT_S, "connection", "up", "id", WIFI), "")
    except OSError:
        run(("nmcli", "connection", "delete", "id", WIFI), "")
        raise


def reach(host: str, port: int) -> Pair | None:
    """None when a place answers a TCP connection; else why not, in words."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_S):
            return None
    except socket.gaierror:
        return (
            f"Không tìm thấy tên {host}: chưa có mạng, hoặc sai tên máy chủ.",
            f"{host} has no address: no line, or a wrong name",
        )
    except TimeoutError:
        return (f"{host}:{port} không trả lời trong {CONNECT_S:.0f} giây.", f"{host}:{port} did not answer within {CONNECT_S:.0f} s")
    except ConnectionRefusedError:
        return (f"{host} có đó nhưng cổng {port} đóng.", f"{host} is there, port {port} is shut")
    except OSError:
        return (f"Không có đường tới {host}.", f"there is no way to {host}")


def _fields(line: str) -> list[str]:
    r"""The fields of a line of ``nmcli -t``, where a colon within a field stands behind a backslash.

    >>> _fields(r"Xã\: A:1f:802-3-ethernet:")
    ['Xã: A', '1f', '802-3-ethernet', '']
    """
    found, now, behind = [], "", False
    for sign in line:
        if behind:
            now, behind = now + sign, False
        elif sign == "\\":
            behind = True
        elif sign == ":":
            found.append(now)
            now = ""
        else:
            now += sign
    return [*found, now]
