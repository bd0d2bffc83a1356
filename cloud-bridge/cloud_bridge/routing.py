"""Whom a request goes to, and when to somebody else. Pure: rows in, order and names out.

Departments of duty are those of `contract.events.Department`; times are tenths of a second since 1970.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone

from appliance.contract.events import Department, Urgency
from cloud_bridge.store.consults import Consult
from cloud_bridge.store.rota import Gap, Shift, Tier

LOCAL = timezone(timedelta(hours=7))
"""Vietnam: no daylight saving, so every day has 24 hours."""


def queue(waiting: Iterable[Consult], department: Department | None = None) -> list[Consult]:
    """The most urgent first; of equal urgency the one that has waited longest.

    Waiting counts from the moment the bridge received the request: a box whose clock is wrong cannot jump the queue or
    fall out of it. A department's list also shows what was asked of nobody in particular (`GENERAL`).
    """
    mine = [one for one in waiting if department in (None, one.department) or one.department is Department.GENERAL]
    return sorted(mine, key=lambda one: (-one.urgency, one.received, one.station, one.consult))


# --- duty -----------------------------------------------------------------------------------------------------------------------------


def on_duty(shifts: Iterable[Shift], department: Department, at: int) -> list[Shift]:
    """Who answers for a department at a moment, by name. A shift counts from its first moment up to, not including, its last."""
    found = [one for one in shifts if one.department is department and one.start <= at < one.end]
    return sorted(found, key=lambda one: (one.name, one.start))


def gaps(shifts: Iterable[Shift], start: int, end: int) -> list[Gap]:
    """The times within ``[start, end)`` at which nobody answers for a department, by department and time.

    All six departments are looked at: one that nobody was entered for is open the whole time.
    """
    by: dict[Department, list[Shift]] = {one: [] for one in Department}
    for one in shifts:
        by[one.department].append(one)
    return [gap for department, mine in by.items() for gap in _gaps(department, mine, start, end)]


def _gaps(department: Department, shifts: Iterable[Shift], start: int, end: int) -> list[Gap]:
    found, covered = [], start
    for one in sorted(shifts, key=lambda one: one.start):
        if one.start >= end:
            break
        if one.end <= max(one.start, covered):
            continue
        if one.start > covered:
            found.append(Gap(department, covered, one.start))
        covered = one.end
    if covered < end:
        found.append(Gap(department, covered, end))
    return found


def hours(start: int, end: int) -> str:
    """A period as a person says it, in Vietnam's time.

    >>> at = lambda day, hour: int(datetime(2026, 11, day, hour, tzinfo=LOCAL).timestamp()) * 10
    >>> hours(at(23, 3), at(23, 4)), hours(at(22, 22), at(23, 6))
    ('03:00–04:00 ngày 23-11', '22:00 ngày 22-11 đến 06:00 ngày 23-11')
    """
    first, last = (datetime.fromtimestamp(at / 10, UTC).astimezone(LOCAL) for at in (start, end))
    if (last - timedelta(minutes=1)).date() == first.date():
        until = "24:00" if last.date() != first.date() else f"{last:%H:%M}"
        return f"{first:%H:%M}–{until} ngày {first:%d-%m}"
    return f"{first:%H:%M} ngày {first:%d-%m} đến {last:%H:%M} ngày {last:%d-%m}"


def asked(waiting: Iterable[Consult], mine: Iterable[Department]) -> list[Consult]:
    """The order in which somebody on duty for the departments `mine` sees a queue: theirs and everybody's first, then the others'.

    What presses is never hidden behind a department: within each part `queue` rules.
    """
    wanted = {*mine, Department.GENERAL}
    ordered = queue(waiting)
    return [one for one in ordered if one.department in wanted] + [one for one in ordered if one.department not in wanted]


def unattended(one: Consult, shifts: Iterable[Shift], at: int) -> bool:
    """True when nobody is on duty for the department of a request: it is then everybody's, and a coordinator is told."""
    return not on_duty(shifts, one.department, at)


# --- escalation -----------------------------------------------------------------------------------------------------------------------


def overdue(urgency: Urgency, since: int, now: int, *, urgent_s: int, routine_s: int) -> bool:
    """Whether a request that nobody has opened goes on to the next tier. `since`: when this tier got it, by the bridge's clock.

    0 seconds means never.
    """
    limit = routine_s if urgency is Urgency.ROUTINE else urgent_s
    return limit > 0 and now - since >= limit * 10


def next_tier(tiers: dict[str, Tier], been: Sequence[str]) -> Tier | None:
    """The tier after the last of `been` (organisations, in the order a request went through them); None at the end or in a circle."""
    last = tiers.get(been[-1])
    above = tiers.get(last.above) if last is not None and last.above else None
    return above if above is not None and above.organisation not in been else None
