"""Requests: what a station asks, who looks after it here, what was said back and forth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import cbor2
from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, select, true, tuple_, update

from appliance.contract.events import ConsultField, ConsultRequested, Department, Event, Identity, Urgency
from appliance.contract.metrics import Status
from appliance.contract.readings import ClockQuality
from appliance.contract.wiring import give, take
from cloud_bridge.store.patients import living
from cloud_bridge.store.tables import (
    answer,
    answer_read,
    attachment,
    consult,
    consult_reading,
    draft,
    message,
    observation,
    station,
)
from cloud_bridge.store.writing import once, put, upsert

_EMPTY: dict[str, Any] = {
    "urgency": 0, "department": 0, "field": 0, "complaint": "", "attachments": 0, "actor": "", "quality": 0,
    "withdrawn_why": "", "opened_by": "", "claimed_by": "", "claimed_until": 0, "staff_name": "",
}  # fmt: skip
"""A consult of which only something later (a withdrawal) is known."""
_MOST = 500
"""Requests in one IN list."""


@dataclass(frozen=True, slots=True)
class Consult:
    """A request as the queue and its page need it. Times are tenths since 1970; `requested` is the box's clock, the others the bridge's."""

    station: str
    station_name: str
    consult: int
    patient: int
    asked: Identity
    """The patient as the request itself said."""
    urgency: Urgency
    department: Department
    kind: ConsultField
    complaint: str
    attachments: int
    offered: int
    actor: str
    requested: int
    quality: ClockQuality
    received: int
    withdrawn: int | None
    withdrawn_why: str
    opened: int | None
    opened_by: str
    claimed_by: str
    claimed_until: int = field(repr=False)
    answered: int | None
    shown: int | None
    read: int | None
    read_by: str
    asking: bool
    """True while a question to the station has no reply."""
    test_data: bool
    staff_name: str = ""
    """Who asks, as the station names them; `actor` is their code."""

    @property
    def known(self) -> bool:
        """True when the request says who the patient is."""
        return bool(self.asked.name)

    def held_by(self, now: int) -> str:
        """Who holds the request at this moment; empty when nobody does."""
        return self.claimed_by if self.claimed_by and self.claimed_until > now else ""


def request_many(tx: Connection, asked: Sequence[tuple[str, ConsultRequested, Event, int]]) -> None:
    """Write requests, as (station, body, event, at). A withdrawal that came first stays; a second request of the same number
    changes nothing.
    """
    put(tx, consult, _ROW, [_row(*one) for one in asked], _asked)


def _row(name: str, body: ConsultRequested, event: Event, at: int) -> tuple[Any, ...]:
    values = {
        "station": name, "consult": body.consult,
        "patient": body.identity.patient, "identity": cbor2.dumps(give(body.identity), canonical=True), "urgency": int(body.urgency),
        "department": int(body.department), "field": int(body.field), "complaint": body.complaint, "attachments": body.attachments,
        "actor": event.actor, "requested": event.stamp.wall, "quality": int(event.stamp.quality), "received": at,
        "staff_name": body.staff_name,
    }  # fmt: skip
    values = _EMPTY | values
    return tuple([values[column] for column in _ROW])


_SAID = (
    "patient", "identity", "urgency", "department", "field", "complaint", "attachments", "actor", "requested", "quality", "received",
    "staff_name",
)  # fmt: skip
"""The columns that a request fills in."""
_ROW = tuple(column.name for column in consult.columns if column.name in {"station", "consult", *_EMPTY, *_SAID})


def _asked(fresh: Any) -> Any:
    changes = {column: fresh.excluded[column] for column in _SAID}
    return fresh.on_conflict_do_update(index_elements=["station", "consult"], set_=changes, where=consult.c.received.is_(None))


def withdraw(tx: Connection, name: str, number: int, reason: str, at: int) -> None:
    """The station needs no answer any more."""
    fresh = upsert(tx, consult).values(station=name, consult=number, **(_EMPTY | {"withdrawn": at, "withdrawn_why": reason}))
    changes = {"withdrawn": at, "withdrawn_why": reason}
    tx.execute(fresh.on_conflict_do_update(index_elements=["station", "consult"], set_=changes, where=consult.c.withdrawn.is_(None)))


def patient_of(tx: Connection, name: str, number: int) -> int | None:
    """Whose request it is; None while the request has not arrived."""
    return tx.execute(select(consult.c.patient).where(consult.c.station == name, consult.c.consult == number)).scalar()


def patients_of(tx: Connection, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int | None]:
    """As `patient_of`, for many (station, consult); what has not arrived is missing."""
    wanted, c = sorted(set(places)), consult.c
    found: dict[tuple[str, int], int | None] = {}
    for start in range(0, len(wanted), _MOST):
        some = tuple_(c.station, c.consult).in_(wanted[start : start + _MOST])
        found.update({(row[0], row[1]): row[2] for row in tx.execute(select(c.station, c.consult, c.patient).where(some))})
    return found


def say(tx: Connection, name: str, number: int, question: int, *, origin: str, who: str, text: str, wall: int, at: int) -> None:
    """A question of the doctor (`origin` empty) or a reply of the station, once."""
    once(tx, message, station=name, consult=number, question=question, origin=origin, who=who, text=text, wall=wall, received=at)


def forget(tx: Connection, name: str, numbers: Iterable[int]) -> None:
    """Remove what requests of an erased patient say. The bare number stays, so that what arrives later finds nobody to speak of."""
    for number in numbers:
        for table in (consult_reading, message, attachment, draft, answer, answer_read):
            tx.execute(delete(table).where(table.c.station == name, table.c.consult == number))
        place = (consult.c.station == name, consult.c.consult == number)
        bare = _EMPTY | {"identity": None, "requested": None, "received": None, "withdrawn": None, "opened": None, "answered": None}
        tx.execute(update(consult).where(*place).values(**bare))


def erase_request(tx: Connection, name: str, number: int, patient_number: int) -> None:
    """A request of somebody who is erased already: only its number and whose it was are kept."""
    fresh = upsert(tx, consult).values(station=name, consult=number, patient=patient_number, **_EMPTY)
    tx.execute(fresh.on_conflict_do_update(index_elements=["station", "consult"], set_={"patient": patient_number}))
    forget(tx, name, [number])


def numbers_of(tx: Connection, name: str, patient_number: int) -> list[int]:
    """The requests of one patient."""
    query = select(consult.c.consult).where(consult.c.station == name, consult.c.patient == patient_number)
    return [number for (number,) in tx.execute(query)]


@cache
def _query() -> Any:
    c, r = consult.c, answer_read.c
    cited = select(observation.c.key).join(
        consult_reading, and_(consult_reading.c.station == observation.c.station, consult_reading.c.key == observation.c.key)
    )
    tested = cited.where(
        consult_reading.c.station == c.station, consult_reading.c.consult == c.consult,
        observation.c.status.bitwise_and(int(Status.TEST_DATA)) != 0,
    )  # fmt: skip
    replies = message.alias()
    asking = select(message.c.question).where(
        message.c.station == c.station, message.c.consult == c.consult, message.c.origin == "",
        ~exists().where(
            replies.c.station == message.c.station, replies.c.consult == message.c.consult, replies.c.question == message.c.question,
            replies.c.origin != "",
        ),
    )  # fmt: skip
    of_this = and_(r.station == c.station, r.consult == c.consult)
    of_it = (attachment.c.station == c.station, attachment.c.consult == c.consult, attachment.c.preview_of.is_(None))
    offered = select(func.count()).select_from(attachment).where(*of_it)
    return (
        select(
            consult,
            func.coalesce(station.c.name, c.station).label("station_name"),
            select(func.min(r.received)).where(of_this).scalar_subquery().label("shown"),
            select(func.min(r.received)).where(of_this, r.confirmed).scalar_subquery().label("read"),
            select(func.min(r.who)).where(of_this, r.confirmed).scalar_subquery().label("read_by"),
            exists(asking).label("asking"),
            exists(tested).label("test_data"),
            offered.scalar_subquery().label("offered"),
        )
        .select_from(consult.outerjoin(station, station.c.id == c.station))
        .where(c.received.is_not(None), living(c.station, c.patient))
    )


def _consult(row: Any) -> Consult:
    asked: Identity = take(Identity, cbor2.loads(row.identity))[0]
    return Consult(
        station=row.station, station_name=row.station_name, consult=row.consult, patient=row.patient, asked=asked,
        urgency=Urgency(row.urgency),
        department=Department(row.department), kind=ConsultField(row.field), complaint=row.complaint, attachments=row.attachments,
        offered=row.offered, actor=row.actor, requested=row.requested, quality=ClockQuality(row.quality), received=row.received,
        withdrawn=row.withdrawn, withdrawn_why=row.withdrawn_why, opened=row.opened, opened_by=row.opened_by, claimed_by=row.claimed_by,
        claimed_until=row.claimed_until, answered=row.answered, shown=row.shown, read=row.read, read_by=row.read_by or "",
        asking=bool(row.asking), test_data=bool(row.test_data), staff_name=row.staff_name,
    )  # fmt: skip


def get(tx: Connection, name: str, number: int) -> Consult | None:
    """One request, or None when it has not arrived or its patient was erased."""
    row = tx.execute(_query().where(consult.c.station == name, consult.c.consult == number)).one_or_none()
    return None if row is None else _consult(row)


def unanswered(tx: Connection, within: ColumnElement[bool] | None = None) -> list[Consult]:
    """Everything that waits for an answer, in no order (`routing.queue` makes one).

    `within` says for whose eyes (`walls.requests`); only the bridge's own work goes without.
    """
    waiting = _query().where(consult.c.answered.is_(None), consult.c.withdrawn.is_(None), true() if within is None else within)
    return [_consult(row) for row in tx.execute(waiting)]


def finished(tx: Connection, within: ColumnElement[bool], limit: int = 200) -> list[Consult]:
    """Answered or withdrawn requests, the latest first; `within` says for whose eyes (`walls`)."""
    ended = func.coalesce(consult.c.answered, consult.c.withdrawn)
    return [_consult(row) for row in tx.execute(_query().where(ended.is_not(None), within).order_by(ended.desc()).limit(limit))]


def lock(tx: Connection, name: str, number: int) -> None:
    """Let nobody else decide anything about this request until the transaction ends. SQLite's writers take turns anyway."""
    tx.execute(select(consult.c.consult).where(consult.c.station == name, consult.c.consult == number).with_for_update())


def of_patient(tx: Connection, name: str, number: int, limit: int = 50) -> list[Consult]:
    """A patient's requests, the latest first."""
    query = _query().where(consult.c.station == name, consult.c.patient == number)
    return [_consult(row) for row in tx.execute(query.order_by(consult.c.requested.desc()).limit(limit))]


def messages(tx: Connection, name: str, number: int) -> list[Any]:
    """Questions and replies in the order the bridge learned of them: rows with question, origin, who, text, wall, received.

    A card that was put back says in its new epoch what it had said in the old one: the same words of the same moment are given once.
    """
    query = select(message).where(message.c.station == name, message.c.consult == number)
    found: dict[tuple[Any, ...], Any] = {}
    for row in tx.execute(query.order_by(message.c.received, message.c.origin)):
        found.setdefault((row.question, not row.origin, row.who, row.text, row.wall), row)
    return list(found.values())


def question_shown(tx: Connection, name: str, number: int, question: int, who: str, at: int) -> None:
    """The station has had the question on its screen; the first time counts."""
    m = message.c
    place = (m.station == name, m.consult == number, m.question == question, m.origin == "", m.shown.is_(None))
    tx.execute(update(message).where(*place).values(shown=at, shown_to=who))


def see_replies(tx: Connection, name: str, number: int, who: str, at: int) -> dict[int, int]:
    """A doctor has the page in front of them: per question with a reply nobody had seen, how many replies it has now.

    What a restored card says again is one reply, as it is listed.
    """
    m = message.c
    here = (m.station == name, m.consult == number, m.origin != "")
    fresh = {question for (question,) in tx.execute(select(m.question).where(*here, m.shown.is_(None)))}
    if fresh:
        tx.execute(update(message).where(*here, m.shown.is_(None)).values(shown=at, shown_to=who))
    once = select(m.question, m.who, m.text, m.wall).where(*here, m.question.in_(fresh)).distinct().subquery()
    counted = tx.execute(select(once.c.question, func.count()).group_by(once.c.question))
    return {row[0]: row[1] for row in counted}


def set_opened(tx: Connection, name: str, number: int, login: str, at: int) -> bool:
    """Note that a doctor has opened the request; True for the first one."""
    done = tx.execute(
        update(consult)
        .where(consult.c.station == name, consult.c.consult == number, consult.c.opened.is_(None), consult.c.received.is_not(None))
        .values(opened=at, opened_by=login)
    )
    return done.rowcount == 1


def set_claim(tx: Connection, name: str, number: int, login: str, until: int, now: int) -> bool:
    """Give the request to `login` (empty: to nobody) unless somebody else holds it at `now`; True when it is done."""
    c = consult.c
    free = (c.claimed_by == login) | (c.claimed_by == "") | (c.claimed_until <= now)
    whose = free if login else c.claimed_by != ""
    done = tx.execute(update(consult).where(c.station == name, c.consult == number, whose).values(claimed_by=login, claimed_until=until))
    return done.rowcount == 1


def set_answered(tx: Connection, name: str, number: int, at: int) -> None:
    """Note the first signed answer."""
    tx.execute(
        update(consult).where(consult.c.station == name, consult.c.consult == number, consult.c.answered.is_(None)).values(answered=at)
    )
