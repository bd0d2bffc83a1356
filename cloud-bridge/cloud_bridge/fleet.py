"""Every station at a glance: when it was heard last, with which version, its devices. What was never told is not guessed."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, select

from appliance.contract.codec import read_event
from appliance.contract.errors import WireError
from appliance.contract.lanes import Lane
from cloud_bridge.store import acceptances, devices, stations
from cloud_bridge.store.acceptances import Accepted
from cloud_bridge.store.relay_tables import event, peer

DAY = 864_000
"""Tenths of a second."""


class Box(NamedTuple):
    """One station. `heard`: when its latest event came (tenths since 1970; None: never); `software` is that event's version.

    `accepted`: when, by whom and with which waivers it was accepted last. `used`: how full its card is, 0 to 1;
    None where it never told.
    """

    station: str
    name: str
    revoked: bool
    heard: int | None
    software: str
    devices: int
    alarms: int
    silent: bool
    accepted: Accepted | None = None
    used: float | None = None


def boxes(tx: Connection, now: int, silent_after: int, only: Collection[str] | None = None) -> list[Box]:
    """All of them, or those of `only`, the silent ones first, then by id; `silent_after` in tenths of a second.

    A revoked station is never silent.
    """
    known = [one for one in stations.everyone(tx) if only is None or one.id in only]
    epochs = {row.station: bytes(row.epoch) for row in tx.execute(select(peer.c.station, peer.c.epoch))}
    cards = acceptances.shares(tx, [one.id for one in known])
    signed = acceptances.latest(tx, [one.id for one in known])
    owned: dict[str, list[bool]] = {}
    for each in devices.fleet(tx, [one.id for one in known]):
        owned.setdefault(each.station, []).append(bool(each.alarm))
    found = []
    for one in known:
        heard, software = _last(tx, one.id, epochs.get(one.id, b""))
        alarms, gone = owned.get(one.id, []), one.revoked is not None
        silent = not gone and (heard is None or now - heard > silent_after)
        found.append(Box(one.id, one.name, gone, heard, software, len(alarms), sum(alarms), silent, signed.get(one.id), cards.get(one.id)))
    return sorted(found, key=lambda one: (not one.silent, one.station))


def _last(tx: Connection, station: str, epoch: bytes) -> tuple[int | None, str]:
    """When the latest event of an epoch came, and the version that made it: one row of each lane, by the table's key."""
    c = event.c
    rows = []
    for lane in Lane:
        query = select(c.at, c.body).where(c.station == station, c.epoch == epoch, c.lane == int(lane)).order_by(c.seq.desc()).limit(1)
        rows += [(int(row.at), bytes(row.body)) for row in tx.execute(query)]
    if not rows:
        return None, ""
    at, body = max(rows)
    try:
        return at, read_event(body).software
    except WireError:
        return at, ""
