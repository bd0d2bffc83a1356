"""Drafts, which stay here, and signed answers, which do not change."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from cloud_bridge.store.tables import answer, answer_read, draft
from cloud_bridge.store.writing import once, upsert


def save_draft(tx: Connection, station: str, consult: int, login: str, fields: Mapping[str, str], at: int) -> None:
    """Keep what a doctor has typed; empty fields alone remove the draft."""
    if not any(fields.values()):
        drop_draft(tx, station, consult, login)
        return
    fresh = upsert(tx, draft).values(
        station=station, consult=consult, login=login, fields=json.dumps(dict(fields), ensure_ascii=False), saved=at
    )
    changes = {"fields": fresh.excluded.fields, "saved": at}
    tx.execute(fresh.on_conflict_do_update(index_elements=["station", "consult", "login"], set_=changes))


def get_draft(tx: Connection, station: str, consult: int, login: str) -> tuple[dict[str, str], int] | None:
    """A doctor's draft and when it was saved."""
    row = tx.execute(select(draft.c.fields, draft.c.saved).where(*_of(station, consult, login))).one_or_none()
    return None if row is None else (json.loads(row.fields), row.saved)


def drop_draft(tx: Connection, station: str, consult: int, login: str) -> None:
    """The draft was signed, or emptied."""
    tx.execute(delete(draft).where(*_of(station, consult, login)))


def _of(station: str, consult: int, login: str) -> tuple[Any, ...]:
    return draft.c.station == station, draft.c.consult == consult, draft.c.login == login


def keep(tx: Connection, **row: Any) -> None:
    """A signed answer: inserted once, never changed."""
    tx.execute(insert(answer).values(**row))


def of_consult(tx: Connection, station: str, consult: int) -> list[Any]:
    """The signed answers of a consult, the first one first."""
    query = select(answer).where(answer.c.station == station, answer.c.consult == consult)
    return list(tx.execute(query.order_by(answer.c.signed, answer.c.answer)))


def reads(tx: Connection, station: str, consult: int) -> dict[tuple[int, bool], Any]:
    """What the station said about answers, by (answer, confirmed): rows with who, wall, received."""
    rows = tx.execute(select(answer_read).where(answer_read.c.station == station, answer_read.c.consult == consult))
    return {(row.answer, bool(row.confirmed)): row for row in rows}


def was_read(tx: Connection, station: str, consult: int, number: int, *, confirmed: bool, who: str, wall: int, at: int) -> None:
    """The station has shown the answer, or its practitioner has confirmed it."""
    once(tx, answer_read, station=station, consult=consult, answer=number, confirmed=confirmed, who=who, wall=wall, received=at)
