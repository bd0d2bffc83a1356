"""What comes down, taken into the station's rows: once per event, inside the inbox's transaction.

An answer is shown only when its Ed25519 signature is good under a pinned key and its content names this station, this
consult and this answer. Anything else that claims to be an answer is kept in quarantine, byte-exact, and never shown; a
key pinned later makes `reconsider` look again.
"""

from cryptography.exceptions import InvalidSignature

from appliance.contract.answers import DOMAIN, read_answer
from appliance.contract.cbor import dump, load
from appliance.contract.errors import WireError
from appliance.contract.events import (
    AnswerCorrected,
    AnswerSigned,
    AttachmentHeld,
    ConsultClaimed,
    ConsultEscalated,
    ConsultOpened,
    ConsultQuestion,
    Event,
    ReplySeen,
    RotaPublished,
    Tombstone,
)
from appliance.contract.wiring import give, take
from appliance.database import Connection, transaction
from appliance.store import duty, history, pictures
from appliance.store.keys import pinned
from appliance.store.opening import station_of

SIDE = "answer"
"""`quarantine.side` of answers that are not shown; their payload is the CBOR of [kind, body]."""
WAITING, DONE = 0, 1
"""`quarantine.state` of such an answer: set aside; taken after all."""


def apply(conn: Connection, event: Event) -> None:
    """Take one event of the way down. Repeats are harmless; kinds that have no business on the way down change nothing."""
    body = event.body
    if isinstance(body, ConsultOpened):
        conn.execute(
            "UPDATE consult SET opened = ?, opened_by = ? WHERE id = ? AND opened IS NULL", (event.stamp.wall, body.who, body.consult)
        )
    elif isinstance(body, ConsultClaimed):
        conn.execute("UPDATE consult SET claimed_by = ?, claimed_until = ? WHERE id = ?", (body.who, body.until, body.consult))
    elif isinstance(body, ConsultQuestion):
        conn.execute(
            "INSERT OR IGNORE INTO message (consult, question, reply, who, text, at) VALUES (?, ?, 0, ?, ?, ?)",
            (body.consult, body.question, body.who, body.text, event.stamp.wall),
        )
    elif isinstance(body, ReplySeen):
        conn.execute(
            "UPDATE message SET seen = ?, seen_by = ? WHERE consult = ? AND question = ? AND reply BETWEEN 1 AND ? AND seen IS NULL",
            (event.stamp.wall, body.who, body.consult, body.question, body.replies),
        )
    elif isinstance(body, (AnswerSigned, AnswerCorrected)):
        why = _take_answer(conn, body, event.stamp.wall)
        if why is not None:
            _set_aside(conn, body, event.stamp.wall, *why)
    elif isinstance(body, AttachmentHeld):
        pictures.hear_held(conn, body, event.stamp)
    elif isinstance(body, ConsultEscalated):
        duty.note(conn, body, event.stamp.wall)
    elif isinstance(body, RotaPublished):
        duty.keep(conn, body, event.stamp.wall)
    elif isinstance(body, Tombstone):
        _erase(conn, body, event.stamp.wall)


def reconsider(conn: Connection) -> int:
    """Look again at the answers that were set aside (after new keys were pinned); how many are shown now. Own transaction."""
    taken = 0
    with transaction(conn):
        rows = conn.execute("SELECT id, payload, at FROM quarantine WHERE side = ? AND state = ?", (SIDE, WAITING)).fetchall()
        for row in rows:
            kind, raw = load(bytes(row["payload"]))
            body = take({cls.KIND: cls for cls in (AnswerSigned, AnswerCorrected)}[kind], raw)[0]
            if _take_answer(conn, body, row["at"]) is None:
                conn.execute("UPDATE quarantine SET state = ? WHERE id = ?", (DONE, row["id"]))
                taken += 1
    return taken


def unverified(conn: Connection) -> int:
    """How many answers lie in quarantine: a person has to be told that something came which cannot be shown."""
    row = conn.execute("SELECT count(*) FROM quarantine WHERE side = ? AND state = ?", (SIDE, WAITING)).fetchone()
    return int(row[0])


def _take_answer(conn: Connection, body: AnswerSigned | AnswerCorrected, at: int) -> tuple[str, str] | None:
    """Keep an answer that may be shown; otherwise (reason, detail) why it may not."""
    key = pinned(conn, "answer").get(body.key_id)
    if key is None:
        return "signature", f"key {body.key_id} is not pinned"
    try:
        key.verify(body.signature, DOMAIN + body.content)
        said = read_answer(body.content)
    except InvalidSignature:
        return "signature", f"key {body.key_id}"
    except WireError as error:
        return error.reason, error.detail
    if (said.station, said.consult, said.answer) != (station_of(conn), body.consult, body.answer):
        return "station", "the signed content names another station, consult or answer"
    known = conn.execute("SELECT content FROM answer WHERE consult = ? AND answer = ?", (body.consult, body.answer)).fetchone()
    if known is not None:
        return None if bytes(known[0]) == body.content else ("repeat", "another content under the same answer number")
    replaces = body.replaces if isinstance(body, AnswerCorrected) else None
    conn.execute(
        "INSERT INTO answer (consult, answer, replaces, content, key_id, signature, verified, arrived) VALUES (?, ?, ?, ?, ?, ?, 1, ?)",
        (body.consult, body.answer, replaces, body.content, body.key_id, body.signature, at),
    )
    return None


def _set_aside(conn: Connection, body: AnswerSigned | AnswerCorrected, at: int, reason: str, detail: str) -> None:
    payload = dump([body.KIND, give(body)])
    if conn.execute("SELECT 1 FROM quarantine WHERE side = ? AND payload = ?", (SIDE, payload)).fetchone():
        return
    conn.execute(
        "INSERT INTO quarantine (side, topic, payload, reason, detail, at, state) VALUES (?, '', ?, ?, ?, ?, ?)",
        (SIDE, payload, reason, detail, at, WAITING),
    )


def _erase(conn: Connection, body: Tombstone, at: int) -> None:
    """What stood under the patient goes for ever, the number stays taken (decision 24)."""
    from appliance.store import erasing

    patient = body.patient
    conn.execute("INSERT OR IGNORE INTO tombstone (patient, why, at) VALUES (?, ?, ?)", (patient, body.reason, at))
    pictures.erase(conn, patient)
    # What was saved for them and given to somebody else since is that person's, and stays; what was given to them goes.
    conn.execute("UPDATE observation SET patient = owner, owner = NULL WHERE patient = :who AND owner <> :who", {"who": patient})
    erasing.scrub(conn, patient)
    consults = [row[0] for row in conn.execute("SELECT id FROM consult WHERE patient = ?", (patient,)).fetchall()]
    for consult in consults:
        conn.execute("DELETE FROM answer WHERE consult = ?", (consult,))
        conn.execute("DELETE FROM message WHERE consult = ?", (consult,))
    conn.execute("DELETE FROM consult WHERE patient = ?", (patient,))
    mine = "(owner = :who OR (owner IS NULL AND patient = :who))"
    conn.execute(
        f"DELETE FROM measurement WHERE id IN (SELECT measurement FROM observation WHERE {mine})"  # noqa: S608 - a condition of this function
        " OR (session IN (SELECT id FROM session WHERE patient = :who)"
        " AND NOT EXISTS (SELECT 1 FROM observation WHERE observation.measurement = measurement.id))",
        {"who": patient},
    )
    conn.execute(f"DELETE FROM observation WHERE {mine}", {"who": patient})  # noqa: S608 - as above
    conn.execute("DELETE FROM correction WHERE NOT EXISTS (SELECT 1 FROM observation WHERE observation.id = correction.observation)")
    conn.execute("UPDATE correction SET reason = '' WHERE patient = :who OR to_patient = :who", {"who": patient})
    history.forget(conn, patient)
    conn.execute("DELETE FROM session WHERE patient = ?", (patient,))
    conn.execute(
        "UPDATE patient SET name = '', folded = '', given = '', birth = '', sex = 0, cccd = '', bhyt = '', allergies = 0,"
        " allergy_text = '', phone = '', village = '', station_number = '', erased = 1 WHERE id = ?",
        (patient,),
    )
