"""Who may say and hear what at the broker: one table, from which Mosquitto's settings and the tests both come.

A name is the common name of a certificate (``use_identity_as_username true``), nothing else is asked. What no row allows is
refused, the broker's own topics among it. ``tram-bridge broker-acl`` prints the table in either of Mosquitto's two forms;
the dynamic-security form is the one that can shut a station out while it is connected.
"""

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

CARRIER, ADMIN = "tram-bridge", "tram-admin"
"""The names of the bridge's own programs; no station may be called so."""
CONTROL = "$CONTROL/dynamic-security/v1"


class Verb(StrEnum):
    """What somebody does at a broker."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


class Wall(NamedTuple):
    """One door in the wall: `who` (``station``, or the name of a program of the bridge) may do `verb` on `pattern`."""

    who: str
    verb: Verb
    pattern: str


STATION = "station"
WALLS = (
    Wall(STATION, Verb.PUBLISH, "v1/{shard:02d}/{station}/up/+"),
    Wall(STATION, Verb.SUBSCRIBE, "v1/{shard:02d}/{station}/down/+"),
    Wall(CARRIER, Verb.SUBSCRIBE, "v1/+/+/up/+"),
    Wall(CARRIER, Verb.PUBLISH, "v1/+/+/down/+"),
    Wall(ADMIN, Verb.PUBLISH, CONTROL),
    Wall(ADMIN, Verb.SUBSCRIBE, CONTROL + "/response"),
)
"""All that is allowed; add a row to allow more."""


class Resident(NamedTuple):
    """A station as the broker knows it; `disabled`: revoked."""

    station: str
    shard: int
    disabled: bool = False


def patterns(who: str, verb: Verb, shard: int = 0, station: str = "") -> list[str]:
    """The topics on which `who` may do `verb`."""
    return [wall.pattern.format(shard=shard, station=station) for wall in WALLS if wall.who == who and wall.verb is verb]


def covers(pattern: str, topic: str) -> bool:
    """Whether everything that `topic` (itself a filter, where somebody subscribes) means lies within `pattern`.

    >>> covers("v1/07/a/up/+", "v1/07/a/up/0"), covers("v1/07/a/up/+", "v1/07/+/up/0"), covers("v1/07/a/up/+", "v1/07/a/up/#")
    (True, False, False)
    """
    ours, theirs = pattern.split("/"), topic.split("/")
    if len(ours) != len(theirs):
        return False
    return all(one == other or (one == "+" and other != "#") for one, other in zip(ours, theirs, strict=True))


def allowed(who: str, verb: Verb, topic: str, shard: int = 0, station: str = "") -> bool:
    """Whether the table lets `who` do `verb` on `topic`."""
    return any(covers(one, topic) for one in patterns(who, verb, shard, station))


# --- Mosquitto's two forms ------------------------------------------------------------------------------------------------------------


def acl_file(stations: Sequence[Resident]) -> str:
    """For ``acl_file``: no way to shut out whoever is connected, so only where dynamic security cannot be."""
    lines = ["# tram-bridge broker-acl --form acl", ""]
    names: list[tuple[str, int, str]] = [(CARRIER, 0, ""), *((STATION, one.shard, one.station) for one in stations if not one.disabled)]
    for who, shard, station in names:
        lines.append(f"user {station or who}")
        lines += [f"topic write {one}" for one in patterns(who, Verb.PUBLISH, shard, station)]
        lines += [f"topic read {one}" for one in patterns(who, Verb.SUBSCRIBE, shard, station)]
        lines.append("")
    return "\n".join(lines)


def dynamic_security(stations: Iterable[Resident]) -> str:
    """For the dynamic-security plugin's ``config_file``: a role and a client for each station and each program of the bridge."""
    everyone = [Resident(CARRIER, 0), Resident(ADMIN, 0), *stations]
    said = {
        "defaultACLAccess": {"publishClientSend": False, "publishClientReceive": False, "subscribe": False, "unsubscribe": True},
        "clients": [_client(one) for one in everyone],
        "groups": [],
        "roles": [_role(one) for one in everyone],
    }
    return json.dumps(said, indent=1) + "\n"


def _client(one: Resident) -> dict[str, Any]:
    roles = [] if one.disabled else [{"rolename": one.station}]
    return {"username": one.station, "roles": roles} | ({"disabled": True} if one.disabled else {})


def _role(one: Resident) -> dict[str, Any]:
    return {"rolename": one.station, "acls": acls(one)}


def acls(one: Resident) -> list[dict[str, Any]]:
    """The rights of one name, as the plugin spells them."""
    who = one.station if one.station in (CARRIER, ADMIN) else STATION
    send, hear = (patterns(who, verb, one.shard, one.station) for verb in Verb)
    spelt = [("publishClientSend", topic) for topic in send]
    spelt += [(kind, topic) for topic in hear for kind in ("subscribePattern", "publishClientReceive")]
    return [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for kind, topic in spelt]


def commands_to_admit(one: Resident) -> list[dict[str, Any]]:
    """What makes a running broker know a station, new or again: first everything of before goes."""
    return [
        {"command": "deleteClient", "username": one.station},
        {"command": "deleteRole", "rolename": one.station},
        {"command": "createRole", "rolename": one.station, "acls": acls(one)},
        {"command": "createClient", "username": one.station, "roles": [{"rolename": one.station}]},
    ]


def commands_to_shut_out(station: str) -> list[dict[str, Any]]:
    """What cuts a station's connection at once and leaves it without a right, should it come again with its certificate."""
    return [
        {"command": "disableClient", "username": station},
        {"command": "removeClientRole", "username": station, "rolename": station},
    ]
