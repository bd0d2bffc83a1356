"""Drafts, which stay here, and signed answers, which do not change."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, delete, insert, select, tuple_

from appliance.contract.answers import DOMAIN, read_answer
from appliance.contract.events import AnswerKept
from cloud_bridge.store import consults
from cloud_bridge.store.tables import answer, answer_read, draft
from cloud_bridge.store.writing import put, upsert

_MOST = 500
"""Requests in one IN list."""


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


def take_back(tx: Connection, station: str, said: AnswerKept, answer_keys: Mapping[int, Ed25519PublicKey]) -> bool:
    """A station gives back an answer that this store has lost; True when it is new here. It is what a doctor has signed, or nothing:
    ValueError when the signature is not ours or the content names something else.
    """
    key = answer_keys.get(said.key_id)
    if key is None:
        raise ValueError(f"answer key {said.key_id} is not ours")
    try:
        key.verify(said.signature, DOMAIN + said.content)
    except InvalidSignature:
        raise ValueError(f"an answer that we have not signed (key {said.key_id})") from None
    meant = read_answer(said.content)
    if (meant.station, meant.consult, meant.answer) != (station, said.consult, said.answer):
        raise ValueError("the signed content names another station, consult or answer")
    if {row.answer for row in of_consult(tx, station, said.consult)} & {said.answer}:
        return False
    keep(
        tx, station=station, consult=said.consult, answer=said.answer, replaces=said.replaces, login=meant.practitioner,
        name=meant.practitioner_name, content=said.content, sha256=hashlib.sha256(said.content).digest(), key_id=said.key_id,
        signature=said.signature, signed=meant.at,
    )  # fmt: skip
    settle(tx, station, said.consult)
    return True


def settle(tx: Connection, station: str, consult: int) -> None:
    """A request that is answered is not open: after an answer came back, or the request behind it."""
    signed = of_consult(tx, station, consult)
    if signed:
        consults.set_answered(tx, station, consult, signed[0].signed)


def settle_many(tx: Connection, places: Iterable[tuple[str, int]]) -> None:
    """As `settle`, for many (station, consult), of which hardly any is answered when it arrives."""
    wanted, c = sorted(set(places)), answer.c
    for start in range(0, len(wanted), _MOST):
        some = tuple_(c.station, c.consult).in_(wanted[start : start + _MOST])
        for station, number in tx.execute(select(c.station, c.consult).where(some).distinct()).all():
            settle(tx, station, number)


def of_consult(tx: Connection, station: str, consult: int) -> list[Any]:
    """The signed answers of a consult, the first one first."""
    query = select(answer).where(answer.c.station == station, answer.c.consult == consult)
    return list(tx.execute(query.order_by(answer.c.signed, answer.c.answer)))


def reads(tx: Connection, station: str, consult: int) -> dict[tuple[int, bool], Any]:
    """What the station said about answers, by (answer, confirmed): rows with who, wall, received."""
    rows = tx.execute(select(answer_read).where(answer_read.c.station == station, answer_read.c.consult == consult))
    return {(row.answer, bool(row.confirmed)): row for row in rows}


def were_read(tx: Connection, rows: Sequence[tuple[str, int, int, bool, str, int, int]]) -> None:
    """Stations have shown answers, or their practitioners have confirmed them: rows of (station, consult, answer, confirmed, who,
    wall, received).
    """
    put(tx, answer_read, tuple(answer_read.columns.keys()), rows)
