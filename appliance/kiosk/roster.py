"""Who is on duty in words a nurse reads in a second, honest about where it comes from and how old it is. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.contract.events import Department
from appliance.kiosk import present
from appliance.kiosk.speech import DEPARTMENTS, Say
from appliance.settings import Duty
from appliance.store.duty import OnDuty, Roster, WentOn


@dataclass(frozen=True, slots=True)
class Answering:
    """One department and who answers for it now; `name` is empty where nobody does."""

    department: str
    name: str
    phone: str
    until: str


@dataclass(frozen=True, slots=True)
class RosterShown:
    """`people` has a row per department while a list is in force; `line` is all of it in one line, `note` where it comes from."""

    people: tuple[Answering, ...]
    line: str
    note: str
    old: bool


def shown(roster: Roster, *, certain: bool, now: int, t: Say) -> RosterShown:
    """For a page. `certain` is False while the box does not know the time: it then cannot know who is on duty either."""
    if not certain:
        return RosterShown(
            (), "", t("Giờ của máy chưa chắc chắn: không biết ai đang trực.", "Time uncertain: unknown who is on duty."), True
        )
    if roster.sent is None:
        return RosterShown((), "", t("Chưa nhận được lịch trực.", "No rota has come yet."), True)
    sent, ends = present.moment(roster.sent, now), present.moment(roster.expires, now)
    if not roster.valid:
        return RosterShown((), "", t(f"Lịch trực gửi lúc {sent} đã hết hạn lúc {ends}.", f"The rota of {sent} ended at {ends}."), True)
    rows = tuple(row for department, words in DEPARTMENTS.items() for row in _rows(roster, department, t(*words), now))
    busy = [one for one in rows if one.name]
    line = " · ".join(f"{one.department}: {one.name}" for one in busy) or t("không có người trực", "nobody is on duty")
    return RosterShown(rows, line, t(f"Lịch trực gửi lúc {sent}, hết hạn {ends}.", f"Rota sent at {sent}, ends {ends}."), False)


def _rows(roster: Roster, department: Department, words: str, now: int) -> list[Answering]:
    mine = [one for one in roster.people if one.department is department]
    return [Answering(words, one.name, one.phone, present.moment(one.until, now)) for one in mine] or [Answering(words, "", "", "")]


def numbers(people: Sequence[OnDuty], fixed: Duty) -> Duty:
    """Whom to call: the first on duty who has a number, and the station's fixed number behind it where that is another one."""
    first = next((one for one in people if one.phone), None)
    if first is None:
        return fixed
    if not fixed.phone or _digits(fixed.phone) == _digits(first.phone):
        return Duty(first.name, first.phone)
    return Duty(first.name, f"{first.phone}, {fixed.phone}")


def _digits(phone: str) -> str:
    return "".join(sign for sign in phone if sign.isdigit())


def choice(roster: Roster, department: Department, t: Say) -> str:
    """What stands beside a department that may be asked; empty while nothing is known."""
    if not roster.valid:
        return ""
    names = [one.name for one in roster.people if one.department is department]
    return t("trực: ", "on duty: ") + ", ".join(names) if names else t("không có người trực", "nobody on duty")


def upwards(path: Sequence[WentOn], now: int, t: Say) -> str:
    """Where a request has gone on to; empty while it has not."""
    if not path:
        return ""
    last, at = path[-1], present.moment(path[-1].at, now)
    return t(f"Chưa ai mở: đã chuyển lên {last.to} lúc {at}.", f"Nobody has opened it: it went on to {last.to} at {at}.")
