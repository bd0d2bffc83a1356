"""Consults: asking the doctor, how far the request has come, and the signed answer.

A request is self-contained: identity, complaint, and a copy of every reading it cites travel in one event (decision 2). The
receipt line says what is proved and never more: *received* only by the bridge's receipt for this very event, *answered*
only by a signature that was verified before the row was written.
"""

from dataclasses import dataclass

from appliance import __version__
from appliance.contract.answers import Answer, read_answer
from appliance.contract.events import (
    AnswerRead,
    Basis,
    ConsultField,
    ConsultReply,
    ConsultRequested,
    ConsultWithdrawn,
    Department,
    Event,
    QuestionShown,
    Urgency,
)
from appliance.contract.ids import spell
from appliance.contract.readings import Reading, Stamp
from appliance.database import Connection, Row, transaction
from appliance.store import consent, devices, pictures, strips
from appliance.store import staff as people
from appliance.store.errors import Refused, Taken
from appliance.store.outbox import RECEIVED, SET_ASIDE, append, is_safe
from appliance.store.patients import clean, standing
from appliance.store.records import outbox_row, pack, unpack

MOST_LETTERS = 600
MOST_READINGS = 12
"""More than this no longer fits a thin link's first seconds; the rest is at the doctor's hand as readings of lane 1."""


@dataclass(frozen=True, slots=True)
class ConsultDraft:
    """What a person asks. `measurements` are the ids of saved measurements of this patient whose readings go with it."""

    patient: int
    urgency: Urgency
    department: Department
    complaint: str
    measurements: tuple[int, ...] = ()
    field: ConsultField = ConsultField.TU_VAN
    attachments: int = 0
    basis: Basis = Basis.UNSAID
    """What a person said about the consent where the patient has given none (`consent.basis`)."""
    waves: tuple[strips.Kept, ...] = ()
    """The pulse waves that a person sends along."""


@dataclass(frozen=True, slots=True)
class ConsultRow:
    """One request. `requested` is what was sent, with the identity as it was then; times are tenths of a second since 1970."""

    consult: int
    patient: int
    urgency: Urgency
    department: Department
    complaint: str
    staff: str
    saved: int
    opened: int | None
    opened_by: str
    claimed_by: str
    claimed_until: int | None
    withdrawn: int | None
    withdrawn_why: str
    alarm_seen: int | None
    alarm_by: str
    requested: ConsultRequested


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One verified answer. `stray` is ``unknown-consult`` or ``withdrawn-consult`` when nobody here waits for it, else ``""``.

    `replaced_by` is the answer that corrects this one, which stays readable.
    """

    consult: int
    answer: int
    content: Answer
    replaces: int | None
    replaced_by: int | None
    arrived: int
    shown: int | None
    read: int | None
    read_by: str
    stray: str


@dataclass(frozen=True, slots=True)
class Message:
    """A doctor's question (`reply` 0) or the station's reply to it.

    `shown` is when the question was first on the kiosk's screen; `received` when the bridge vouched for the reply, `seen` when a
    doctor (`seen_by`) had it on the page. None while it is not proved.
    """

    question: int
    reply: int
    who: str
    text: str
    at: int
    shown: int | None = None
    received: int | None = None
    seen: int | None = None
    seen_by: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A doctor's question that waits for a reply; `shown` once somebody has had it on the screen."""

    consult: int
    question: int
    who: str
    at: int
    shown: bool


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """How far a request has come: the time of each step in tenths of a second since 1970, None while it is not proved.

    `set_aside` is True when the bridge has the bytes but could not read them: nobody will see the request. `safe` when a
    verified backup of the bridge holds it.
    """

    saved: int
    received: int | None
    opened: int | None
    answered: int | None
    shown: int | None
    read: int | None
    opened_by: str = ""
    read_by: str = ""
    withdrawn: int | None = None
    set_aside: bool = False
    safe: bool = False


@dataclass(frozen=True, slots=True)
class Unseen:
    """An urgent request nobody is known to have seen (decision 23).

    `why` is ``unreceived``, ``set-aside`` or ``unopened``; `waited_s` whole seconds, None across a restart;
    `acknowledged` is True once a person has said that they know.
    """

    consult: int
    patient: int
    name: str
    urgency: Urgency
    why: str
    waited_s: int | None
    acknowledged: bool


# --- asking ---------------------------------------------------------------------------------------------------------------------------


def request(conn: Connection, draft: ConsultDraft, *, consult: int, staff: str, now: Stamp) -> tuple[int, int]:
    """Commit a request under the short number `consult` (drawn by the caller): its (lane, seq). Own transaction.

    The same request under the same number again is the same request. Refused with what to do; Taken when the number is
    another request's.
    """
    complaint = clean(draft.complaint)
    if len(complaint) > MOST_LETTERS:
        raise Refused(f"Dài quá {MOST_LETTERS} chữ. Hãy viết ngắn lại.", f"longer than {MOST_LETTERS} letters: make it shorter")
    if not complaint and draft.urgency is not Urgency.EMERGENCY:
        raise Refused("Ghi lý do hỏi ý kiến.", "write what is asked")
    if not staff:
        raise Refused("Chọn tên nhân viên trước khi gửi.", "choose who you are before sending")
    with transaction(conn):
        known = conn.execute("SELECT patient, complaint, lane, seq FROM consult WHERE id = ?", (consult,)).fetchone()
        if known is not None:
            if (known[0], known[1]) == (draft.patient, complaint):
                return known[2], known[3]
            raise Taken("consult", consult)
        readings = _cited(conn, draft)
        body = ConsultRequested(
            consult, standing(conn, draft.patient), draft.urgency, draft.department, complaint, readings,
            devices.labels(conn, readings), draft.field, draft.attachments or pictures.staged(conn, consult),
            basis=consent.basis(conn, draft.patient, draft.urgency, draft.basis), staff_name=_name(conn, staff),
        )  # fmt: skip
        lane, seq = append(conn, Event(now, staff, __version__, body))
        _keep(conn, body, staff, now, lane, seq)
        pictures.offer(conn, consult, staff=staff, now=now)
        strips.attach(conn, consult, draft.waves, staff=staff, now=now)
    return lane, seq


def _name(conn: Connection, code: str) -> str:
    """The name behind a staff code, for the doctor to read; empty where there is none."""
    known = people.get(conn, code)
    return "" if known is None else known.name


def _keep(conn: Connection, body: ConsultRequested, staff: str, now: Stamp, lane: int, seq: int) -> None:
    epoch, outbox = outbox_row(conn, lane, seq)
    content, crc = pack(body)
    conn.execute(
        "INSERT INTO consult (id, patient, urgency, department, complaint, staff, epoch, lane, seq, boot, ticks, saved, outbox, body, crc)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            body.consult, body.identity.patient, int(body.urgency), int(body.department), body.complaint, staff, epoch, lane, seq,
            now.boot, now.ticks, now.wall, outbox, content, crc,
        ),
    )  # fmt: skip


def _cited(conn: Connection, draft: ConsultDraft) -> tuple[Reading, ...]:
    """Copies of the chosen readings, oldest first; Refused for one that is not a saved reading of this patient."""
    chosen = tuple(dict.fromkeys(draft.measurements))
    if len(chosen) > MOST_READINGS:
        raise Refused(f"Chọn nhiều nhất {MOST_READINGS} lần đo.", f"choose at most {MOST_READINGS} readings")
    found = []
    for measurement in chosen:
        row = conn.execute(
            "SELECT coalesce(owner, patient), reading, crc, wall, id, state FROM observation WHERE measurement = ?", (measurement,)
        ).fetchone()
        if row is None or row[0] != draft.patient or row[5] != 0:
            raise Refused(
                "Chỉ gửi được kết quả đã lưu của người bệnh này.", f"measurement {measurement} is not a saved one of this patient"
            )
        found.append((row[3], row[4], unpack(Reading, row[1], row[2], "observation", row[4])))
    return tuple(reading for *_, reading in sorted(found, key=lambda one: one[:2]))


def withdraw(conn: Connection, consult: int, *, reason: str, staff: str, now: Stamp) -> None:
    """Take a request back; an answer that still comes is kept and flagged. Own transaction; once."""
    with transaction(conn):
        row = _must(conn, consult)
        if row["withdrawn"] is None:
            append(conn, Event(now, staff, __version__, ConsultWithdrawn(consult, clean(reason))))
            conn.execute("UPDATE consult SET withdrawn = ?, withdrawn_why = ? WHERE id = ?", (now.wall, clean(reason), consult))


def reply(
    conn: Connection, consult: int, *, question: int, text: str, measurements: tuple[int, ...] = (), staff: str, now: Stamp
) -> tuple[int, int]:
    """Answer a doctor's question, with readings where they are asked for: its (lane, seq). Own transaction."""
    said = clean(text)
    if not said and not measurements:
        raise Refused("Ghi câu trả lời.", "write a reply")
    if len(said) > MOST_LETTERS:
        raise Refused(f"Dài quá {MOST_LETTERS} chữ. Hãy viết ngắn lại.", f"longer than {MOST_LETTERS} letters: make it shorter")
    with transaction(conn):
        row = _must(conn, consult)
        draft = ConsultDraft(row["patient"], Urgency(row["urgency"]), Department(row["department"]), "", measurements)
        readings = _cited(conn, draft)
        number = conn.execute(
            "SELECT coalesce(max(reply), 0) + 1 FROM message WHERE consult = ? AND question = ?", (consult, question)
        ).fetchone()[0]
        conn.execute(
            "INSERT INTO message (consult, question, reply, who, text, at) VALUES (?, ?, ?, ?, ?, ?)",
            (consult, question, number, staff, said, now.wall),
        )
        lane, seq = append(conn, Event(now, staff, __version__, ConsultReply(consult, question, said, readings)))
        conn.execute(
            "UPDATE message SET outbox = ? WHERE consult = ? AND question = ? AND reply = ?",
            (outbox_row(conn, lane, seq)[1], consult, question, number),
        )
        return lane, seq


def show_question(conn: Connection, consult: int, question: int, *, staff: str, now: Stamp) -> bool:
    """A question is on the kiosk's screen in front of somebody: said to the bridge once. True the first time. Own transaction."""
    with transaction(conn):
        done = conn.execute(
            "UPDATE message SET shown = ? WHERE consult = ? AND question = ? AND reply = 0 AND shown IS NULL", (now.wall, consult, question)
        )
        if done.rowcount != 1:
            return False
        append(conn, Event(now, staff, __version__, QuestionShown(consult, question)))
        return True


def asked_back(conn: Connection) -> list[Asked]:
    """Questions that nobody has replied to, the oldest first; not those of requests that were withdrawn or answered since."""
    rows = conn.execute(
        "SELECT m.consult, m.question, m.who, m.at, m.shown FROM message AS m JOIN consult ON consult.id = m.consult"
        " WHERE m.reply = 0 AND consult.withdrawn IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM message AS r WHERE r.consult = m.consult AND r.question = m.question AND r.reply > 0)"
        " AND NOT EXISTS (SELECT 1 FROM answer WHERE answer.consult = m.consult AND verified = 1 AND arrived >= m.at) ORDER BY m.at"
    ).fetchall()
    return [Asked(row[0], row[1], row[2], row[3], row[4] is not None) for row in rows]


def _must(conn: Connection, consult: int) -> Row:
    row = conn.execute("SELECT * FROM consult WHERE id = ?", (consult,)).fetchone()
    if row is None:
        raise Refused("Không có yêu cầu này tại trạm.", f"there is no consult {spell(consult)} here")
    return row


# --- reading --------------------------------------------------------------------------------------------------------------------------


def _consult(row: Row) -> ConsultRow:
    return ConsultRow(
        row["id"], row["patient"], Urgency(row["urgency"]), Department(row["department"]), row["complaint"], row["staff"], row["saved"],
        row["opened"], row["opened_by"] or "", row["claimed_by"] or "", row["claimed_until"], row["withdrawn"], row["withdrawn_why"] or "",
        row["alarm_seen"], row["alarm_by"] or "", unpack(ConsultRequested, row["body"], row["crc"], "consult", row["id"]),
    )  # fmt: skip


def get(conn: Connection, consult: int) -> ConsultRow | None:
    """One request."""
    row = conn.execute("SELECT * FROM consult WHERE id = ?", (consult,)).fetchone()
    return None if row is None else _consult(row)


def listing(conn: Connection, *, patient: int | None = None, waiting: bool = False, limit: int = 50) -> list[ConsultRow]:
    """Requests, the newest first: of one patient, or of all; with `waiting` those that nobody withdrew and whose answer nobody read."""
    rows = conn.execute(
        "SELECT * FROM consult WHERE (:patient IS NULL OR patient = :patient) AND (NOT :waiting OR (withdrawn IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM answer WHERE answer.consult = consult.id AND verified = 1 AND read IS NOT NULL)))"
        " ORDER BY saved DESC, id DESC LIMIT :limit",
        {"patient": patient, "waiting": int(waiting), "limit": limit},
    ).fetchall()
    return [_consult(row) for row in rows]


_ANSWER = """SELECT answer.*, consult.id AS known, consult.withdrawn AS withdrawn,
(SELECT later.answer FROM answer AS later WHERE later.consult = answer.consult AND later.replaces = answer.answer AND later.verified = 1
 ORDER BY later.arrived DESC LIMIT 1) AS replaced_by
FROM answer LEFT JOIN consult ON consult.id = answer.consult WHERE answer.verified = 1"""


def _answer(row: Row) -> AnswerRow:
    stray = "unknown-consult" if row["known"] is None else "withdrawn-consult" if row["withdrawn"] is not None else ""
    return AnswerRow(
        row["consult"], row["answer"], read_answer(bytes(row["content"])), row["replaces"], row["replaced_by"], row["arrived"],
        row["shown"], row["read"], row["read_by"] or "", stray,
    )  # fmt: skip


def answers(conn: Connection, consult: int) -> list[AnswerRow]:
    """The verified answers to a request, in the order they came."""
    rows = conn.execute(f"{_ANSWER} AND answer.consult = ? ORDER BY answer.arrived, answer.answer", (consult,)).fetchall()
    return [_answer(row) for row in rows]


def unread(conn: Connection) -> list[AnswerRow]:
    """Verified answers nobody has confirmed, the oldest first; also to requests that are not known here or were withdrawn."""
    rows = conn.execute(f"{_ANSWER} AND answer.read IS NULL ORDER BY answer.arrived, answer.answer").fetchall()
    return [one for one in map(_answer, rows) if one.replaced_by is None]


def messages(conn: Connection, consult: int) -> list[Message]:
    """The doctor's questions and the station's replies."""
    rows = conn.execute(
        "SELECT question, reply, who, text, message.at, shown, CASE outbox.state WHEN ? THEN outbox.received END, seen,"
        " coalesce(seen_by, '') FROM message LEFT JOIN outbox ON outbox.id = message.outbox WHERE consult = ?"
        " ORDER BY min(message.at) OVER (PARTITION BY question), question, reply",
        (RECEIVED, consult),
    ).fetchall()
    return [Message(*tuple(row)) for row in rows]


# --- the answer on the screen -----------------------------------------------------------------------------------------------------------


def show(conn: Connection, consult: int, answer: int, *, now: Stamp) -> bool:
    """The answer is on the kiosk's screen: said to the bridge once. True the first time. Own transaction."""
    with transaction(conn):
        row = _must_answer(conn, consult, answer)
        if row["shown"] is not None:
            return False
        conn.execute("UPDATE answer SET shown = ? WHERE consult = ? AND answer = ?", (now.wall, consult, answer))
        append(conn, Event(now, "", __version__, AnswerRead(consult, answer, "", confirmed=False)))
        return True


def confirm_read(conn: Connection, consult: int, answer: int, staff: str, now: Stamp) -> bool:
    """The station's practitioner has read the answer and says so by name. True the first time. Own transaction."""
    if not staff:
        raise Refused("Chọn tên người đã đọc.", "choose who has read it")
    with transaction(conn):
        row = _must_answer(conn, consult, answer)
        if row["read"] is not None:
            return False
        conn.execute(
            "UPDATE answer SET shown = coalesce(shown, ?), read = ?, read_by = ? WHERE consult = ? AND answer = ?",
            (now.wall, now.wall, staff, consult, answer),
        )
        who = conn.execute("SELECT name FROM staff WHERE code = ?", (staff,)).fetchone()
        append(conn, Event(now, staff, __version__, AnswerRead(consult, answer, staff if who is None else who[0])))
        return True


def _must_answer(conn: Connection, consult: int, answer: int) -> Row:
    row = conn.execute("SELECT * FROM answer WHERE consult = ? AND answer = ? AND verified = 1", (consult, answer)).fetchone()
    if row is None:
        raise Refused("Không có câu trả lời đã xác minh này.", f"there is no verified answer {answer} to consult {spell(consult)}")
    return row


# --- how far it has come --------------------------------------------------------------------------------------------------------------


def _arrival(conn: Connection, outbox: int) -> tuple[int | None, bool]:
    """(when the bridge vouched for an event, whether it could not read it). No row, no proof."""
    row = conn.execute("SELECT state, received FROM outbox WHERE id = ?", (outbox,)).fetchone()
    if row is None:
        return None, False
    return (row[1] if row[0] == RECEIVED else None), row[0] == SET_ASIDE


def receipt_line(conn: Connection, consult: int) -> ReceiptLine:
    """How far a request has come; Refused when it is not known here. Of several answers the latest counts."""
    row = _must(conn, consult)
    received, set_aside = _arrival(conn, row["outbox"])
    signed = answers(conn, consult)
    last = max(signed, key=lambda one: (one.content.at, one.arrived), default=None)
    return ReceiptLine(
        saved=row["saved"],
        received=received,
        opened=row["opened"],
        answered=last.content.at if last else None,
        shown=last.shown if last else None,
        read=last.read if last else None,
        opened_by=row["opened_by"] or "",
        read_by=last.read_by if last else "",
        withdrawn=row["withdrawn"],
        set_aside=set_aside,
        safe=row["outbox"] is not None and is_safe(conn, row["outbox"]),
    )


def unseen(conn: Connection, now: Stamp, unreceived_s: int, unopened_s: int) -> list[Unseen]:
    """Urgent and emergency requests not received or not opened for too long, the oldest first.

    Time is counted in ticks of this boot. A request of an earlier boot has waited for an unknown time and counts at once.
    """
    rows = conn.execute(
        "SELECT id, patient, urgency, boot, ticks, outbox, alarm_seen,"
        " coalesce((SELECT name FROM patient WHERE patient.id = consult.patient), '') AS name FROM consult"
        " WHERE urgency >= ? AND opened IS NULL AND withdrawn IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM answer WHERE answer.consult = consult.id AND verified = 1) ORDER BY saved, id",
        (int(Urgency.URGENT),),
    ).fetchall()
    found = []
    for row in rows:
        waited = max(0, now.ticks - row["ticks"]) // 10 if row["boot"] == now.boot else None
        received, set_aside = _arrival(conn, row["outbox"])
        why = "set-aside" if set_aside else "unreceived" if received is None else "unopened"
        limit = {"set-aside": 0, "unreceived": unreceived_s, "unopened": unopened_s}[why]
        if waited is None or waited >= limit:
            found.append(
                Unseen(row["id"], row["patient"], row["name"], Urgency(row["urgency"]), why, waited, row["alarm_seen"] is not None)
            )
    return found


def acknowledge(conn: Connection, consult: int, *, staff: str, now: Stamp) -> None:
    """A person has seen the alarm and takes it from there; the first one counts. Own transaction."""
    with transaction(conn):
        conn.execute("UPDATE consult SET alarm_seen = ?, alarm_by = ? WHERE id = ? AND alarm_seen IS NULL", (now.wall, staff, consult))
