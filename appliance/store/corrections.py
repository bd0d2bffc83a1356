"""Corrections: a saved reading was somebody else's, or was never true. The original stays; what is said stands beside it (decision 24).

The row of the observation keeps the patient it was saved for. `observation.owner` is whose it is now (null: as saved),
`observation.state` is 1 once it was entered in error, and every word that was said is a row of `correction`, for ever.
Each correction and its event are one transaction; the same correction again is the same correction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appliance import __version__
from appliance.contract.events import Event, ObservationEnteredInError, ObservationReassigned
from appliance.contract.readings import Stamp
from appliance.database import Connection, Row, transaction
from appliance.store import consults, history, measuring
from appliance.store.errors import Refused
from appliance.store.measuring import STANDS, TAKEN_BACK, ObservationRow
from appliance.store.outbox import append
from appliance.store.patients import clean, present, standing

MOST_LETTERS = 200


@dataclass(frozen=True, slots=True)
class Correction:
    """One thing said about a saved reading. `to_patient` is None when it was entered in error; `at` tenths of a second since 1970."""

    id: int
    observation: int
    key: bytes
    patient: int
    to_patient: int | None
    reason: str
    staff: str
    at: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A saved reading as one patient's record shows it.

    `struck` is what was said when it stopped standing here (entered in error, or moved away), None while it stands;
    `came` is the reassignment that brought it here, None for one that was saved here.
    """

    row: ObservationRow
    struck: Correction | None
    came: Correction | None


# --- saying it ------------------------------------------------------------------------------------------------------------------------


def enter_in_error(conn: Connection, observation: int, reason: str, staff: str, now: Stamp, *, patient: int | None = None) -> Correction:
    """The reading was never true of its patient. Own transaction; said twice it is said once.

    Refused for one that is not here, without a reason or a person, and when it is not `patient`'s any more (if given).
    """
    why = _why(reason, staff)
    with transaction(conn):
        row = _must(conn, observation, patient)
        said = of_observation(conn, observation)
        if row["state"] == TAKEN_BACK:
            return said[-1]
        owner = _owner(row)
        present(conn, owner)
        key = bytes(row["key"])
        lane, seq = append(conn, Event(now, staff, __version__, ObservationEnteredInError(owner, key, why)))
        conn.execute("UPDATE observation SET state = ? WHERE id = ?", (TAKEN_BACK, observation))
        history.drop(conn, observation, owner)
        return _keep(conn, (observation, key, owner, None, why, staff, now.wall, lane, seq))


def reassign(
    conn: Connection, observation: int, to_patient: int, reason: str, staff: str, now: Stamp, *, patient: int | None = None
) -> Correction:
    """The reading belongs to `to_patient`. Own transaction; said twice it is said once; it can be given back.

    Refused for one that is not here or was entered in error, for a patient who is not here (erased, merged into another), without a
    reason or a person, and when it is not `patient`'s any more (if given).
    """
    why = _why(reason, staff)
    with transaction(conn):
        row = _must(conn, observation, None)
        if row["state"] == TAKEN_BACK:
            raise Refused(
                "Kết quả này đã bị gạch bỏ nên không chuyển được. Hãy đo lại cho đúng người.",
                f"observation {observation} was entered in error and cannot be moved: measure again",
            )
        owner, said = _owner(row), of_observation(conn, observation)
        if owner == to_patient and said:
            return said[-1]
        _must(conn, observation, patient)
        if owner == to_patient:
            raise Refused("Kết quả này đã là của người này. Chọn người khác.", "it is this patient's already: choose somebody else")
        present(conn, owner)
        standing(conn, to_patient)
        key = bytes(row["key"])
        lane, seq = append(conn, Event(now, staff, __version__, ObservationReassigned(owner, key, to_patient, why)))
        conn.execute("UPDATE observation SET owner = ? WHERE id = ?", (to_patient, observation))
        history.move(conn, observation, owner, to_patient)
        return _keep(conn, (observation, key, owner, to_patient, why, staff, now.wall, lane, seq))


def _why(reason: str, staff: str) -> str:
    why = clean(reason)
    if not staff:
        raise Refused("Chọn tên nhân viên trước khi sửa.", "choose who you are before correcting")
    if not why:
        raise Refused("Chọn hoặc ghi lý do sửa.", "choose or write a reason")
    if len(why) > MOST_LETTERS:
        raise Refused(f"Dài quá {MOST_LETTERS} chữ. Hãy viết ngắn lại.", f"longer than {MOST_LETTERS} letters: make it shorter")
    return why


def _must(conn: Connection, observation: int, patient: int | None) -> Row:
    row = conn.execute("SELECT * FROM observation WHERE id = ?", (observation,)).fetchone()
    if row is None:
        raise Refused("Không có kết quả này tại trạm. Mở lại hồ sơ người bệnh.", f"there is no observation {observation} here")
    if patient is not None and _owner(row) != patient:
        raise Refused(
            "Kết quả này vừa được chuyển sang hồ sơ khác. Mở lại hồ sơ người bệnh rồi xem lại.",
            f"observation {observation} was moved to another record meanwhile: open the record again",
        )
    return row


def _owner(row: Row) -> int:
    return int(row["patient"] if row["owner"] is None else row["owner"])


def _keep(conn: Connection, values: tuple[object, ...]) -> Correction:
    made = conn.execute(
        "INSERT INTO correction (observation, key, patient, to_patient, reason, staff, wall, lane, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    )
    return _correction(conn.execute(f"{_SELECT} WHERE id = ?", (made.lastrowid,)).fetchone())


# --- what was said --------------------------------------------------------------------------------------------------------------------

_SELECT = "SELECT id, observation, key, patient, to_patient, reason, staff, wall FROM correction"


def _correction(row: Row) -> Correction:
    return Correction(row[0], row[1], bytes(row[2]), row[3], row[4], row[5], row[6], row[7])


def of_observation(conn: Connection, observation: int) -> list[Correction]:
    """Everything said about one saved reading, in the order it was said."""
    return [_correction(row) for row in conn.execute(f"{_SELECT} WHERE observation = ? ORDER BY id", (observation,)).fetchall()]


def of_keys(conn: Connection, keys: Iterable[bytes], patient: int) -> dict[bytes, Correction]:
    """Which of these readings, cited for `patient`, do not stand for them any more, and the word that says so."""
    found = {}
    for key in keys:
        said = [_correction(row) for row in conn.execute(f"{_SELECT} WHERE key = ? ORDER BY id", (key,)).fetchall()]
        struck = _struck(said, patient)
        if struck is not None:
            found[key] = struck
    return found


def _struck(said: Sequence[Correction], patient: int) -> Correction | None:
    """The word by which a reading stopped standing for a patient; None while it stands."""
    owner = next((one.to_patient for one in reversed(said) if one.to_patient is not None), None)
    if said and said[-1].to_patient is None and said[-1].patient == patient:
        return said[-1]
    if owner is None or owner == patient:
        return None
    return next((one for one in reversed(said) if one.to_patient is not None and one.patient == patient), None)


def listing(conn: Connection, patient: int, limit: int) -> list[Listed]:
    """A patient's record: what stands, what came from another record, and what was struck out; the newest first."""
    rows = {one.id: one for one in measuring.observations(conn, patient, limit)}
    left = [
        row[0]
        for row in conn.execute("SELECT DISTINCT observation FROM correction WHERE patient = ? ORDER BY id DESC", (patient,)).fetchall()
        if row[0] not in rows
    ]
    rows |= {one.id: one for one in (measuring.observation(conn, number) for number in left) if one is not None}
    found = sorted(rows.values(), key=lambda one: (one.wall, one.id), reverse=True)[:limit]
    shown = [_listed(conn, one, patient) for one in found]
    return [one for one in shown if one.struck is not None or one.row.owner == patient]


def listed(conn: Connection, observation: int, patient: int) -> Listed | None:
    """One saved reading as this patient's record shows it; None when the record has nothing to do with it."""
    row = measuring.observation(conn, observation)
    if row is None:
        return None
    found = _listed(conn, row, patient)
    return found if row.owner == patient or found.struck is not None else None


def _listed(conn: Connection, row: ObservationRow, patient: int) -> Listed:
    said = of_observation(conn, row.id) if row.state != STANDS or row.moved else []
    came = next((one for one in reversed(said) if one.to_patient == patient), None)
    return Listed(row, _struck(said, patient), came if row.owner == patient else None)


def citing(conn: Connection, observation: int) -> list[consults.ConsultRow]:
    """The requests, not withdrawn, that cite a saved reading: of everybody whose it ever was. The newest first."""
    row = measuring.observation(conn, observation)
    if row is None:
        return []
    whose = {row.patient, row.owner} | {one.patient for one in of_observation(conn, observation)}
    found = [
        each
        for patient in whose
        for each in consults.listing(conn, patient=patient, limit=1000)
        if each.withdrawn is None and any(one.key == row.key for one in each.requested.readings)
    ]
    return sorted(found, key=lambda one: (one.saved, one.consult), reverse=True)
