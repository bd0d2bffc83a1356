"""Emergencies that came as one text message (`contract.sms`): opened, kept, shown like a press of the button, acknowledged.

A gateway (a modem with smstools or gammu, or an operator's interface) hands the bytes over and sends back what it gets.
The sender's number is written down and believed by nobody: what a station's key opens, the station wrote.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from appliance.contract import sms
from appliance.contract.errors import WireError
from appliance.contract.events import Sex, Urgency
from appliance.contract.ids import spell
from appliance.contract.metrics import TABLE
from appliance.contract.sms import Alarm
from cloud_bridge.store import emergencies, stations
from cloud_bridge.store import texts as store

Keys = Callable[[str], Sequence[tuple[bytes, bytes]]]
"""(epoch, content key) of a station, every epoch whose key the bridge has."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message: whose it was, what it said, whether it had been here before, and the bytes to send back."""

    station: str
    alarm: Alarm
    repeated: bool
    reply: bytes


def take(tx: Connection, message: bytes, sender: str, keys: Keys, at: int, random: Callable[[int], bytes]) -> Taken:
    """Keep an alarm and make its acknowledgement, in the caller's transaction: the reply is for sending after the commit.

    WireError with the reason where it is no station's of ours: nothing is kept then but the caller's word about it.
    A repeat (the same bytes) is acknowledged again and raises nothing anew.
    """
    found = sms.head(message)
    if found.kind != sms.ALARM:
        raise WireError("type", "not an alarm")
    station, epoch, key = _whose(tx, found, message, keys)
    alarm = sms.open_alarm(message, key)
    fresh = store.keep(tx, station, sms.digest(message), call=alarm.call, consult=alarm.consult, sender=sender, message=message, at=at)
    if fresh:
        emergencies.press(tx, station, alarm.call, wall=alarm.wall, actor="", note=words(alarm), at=at)
    return Taken(station, alarm, not fresh, sms.seal_acknowledgement(message, at, key, station, epoch, random))


def _whose(tx: Connection, found: sms.Head, message: bytes, keys: Keys) -> tuple[str, bytes, bytes]:
    """(station, epoch, key) that opens it. Four bytes of a hash may stand for two stations: the tag decides."""
    reason = WireError("station", f"no station here has the tag {found.station.hex()}")
    for one in stations.everyone(tx):
        if sms.station_tag(one.id) != found.station or one.revoked is not None:
            continue
        reason = WireError("key", f"{one.id}: no content key of this epoch; the station has not spoken on the line yet")
        for epoch, content in keys(one.id):
            if sms.epoch_tag(epoch) == found.epoch:
                key = sms.key_of(content, one.id)
                try:
                    sms.open_alarm(message, key)
                except WireError as error:
                    reason = error
                else:
                    return one.id, epoch, key
    raise reason


_SEX = {Sex.MALE: "nam", Sex.FEMALE: "nữ"}
_URGENCY = {Urgency.ROUTINE: "thường", Urgency.URGENT: "khẩn", Urgency.EMERGENCY: "cấp cứu"}


def words(alarm: Alarm) -> str:
    """What the console shows beside the call, in Vietnamese: everything that is known, and that the rest is on its way.

    >>> words(Alarm(1, 0))
    'Tin nhắn SMS: nút cấp cứu; hồ sơ sẽ đến khi có đường truyền'
    """
    parts = ["dữ liệu thử"] if alarm.test else []
    if alarm.consult:
        who = " ".join(filter(None, (_SEX.get(alarm.sex or Sex.UNKNOWN, ""), "" if alarm.age is None else f"{alarm.age} tuổi")))
        parts += [f"yêu cầu {_URGENCY[alarm.urgency]} {spell(alarm.consult)}", *([who] if who else [])]
        for one in alarm.vitals:
            row = TABLE[one.metric]
            value = f"{one.tenths / sms.TENTH:.{1 if row.scale else 0}f}".replace(".", ",")
            parts.append(f"{row.vi} {value} {row.unit_vi} ({one.minutes} phút trước)")
    else:
        parts.append("nút cấp cứu")
    return "Tin nhắn SMS: " + ", ".join(parts) + "; hồ sơ sẽ đến khi có đường truyền"
