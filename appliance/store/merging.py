"""Two records of one person: merged by a person, and taken apart again. Nothing is moved, so nothing can be moved wrongly.

A merge is one link: `patient.merged_into` of the *duplicate* names the record that stands from now on. Every reading,
request, picture and consent stays with the record it was made for; what is shown of a person is the union over
`patients.group`. Taking apart removes the link, and each record is what it was.

What begins after a merge begins on the record that stands (`patients.standing`). What was under way on the duplicate
ends with it: an open measuring session does not change its patient in anybody's back.
"""

from dataclasses import dataclass, replace

from appliance import __version__
from appliance.contract.events import Allergies, Event, Identity, PatientChanged, PatientMerged, PatientUnmerged
from appliance.contract.readings import Stamp
from appliance.database import Connection, transaction
from appliance.store.errors import Refused
from appliance.store.outbox import append
from appliance.store.patients import clean, get, keep, present, root

MERGED = "merged"
"""Why a measuring session ended: its record was merged into another, or one was taken out of it."""
MOST_LETTERS = 200


@dataclass(frozen=True, slots=True)
class Merge:
    """One record that stands under another. `wall` is when it was merged."""

    patient: int
    duplicate: Identity
    reason: str
    staff: str
    wall: int


def merge(conn: Connection, *, patient: int, duplicate: int, reason: str, staff: str, now: Stamp) -> None:
    """`duplicate` is the same person as `patient`, whose record stands from now on. Own transaction. A repeat does nothing.

    An allergy that only the duplicate knows becomes known to the record that stands, as a change with its own version:
    no banner forgets it. Refused for one and the same record, for one that was merged into a third already, and for
    patients who are not here.
    """
    why = _reason(reason)
    _somebody(staff)
    with transaction(conn):
        if _parent(conn, duplicate) == patient:
            return
        one, other = present(conn, patient), present(conn, duplicate)
        if patient == duplicate:
            raise Refused("Đây là cùng một hồ sơ. Chọn hồ sơ thứ hai.", "this is one and the same record: choose a second one")
        if root(conn, patient) != patient or root(conn, duplicate) != duplicate:
            raise Refused(
                "Một trong hai hồ sơ đã gộp rồi. Mở hồ sơ được giữ lại rồi làm lại.",
                "one of the two was merged already: open the record that stands",
            )
        conn.execute("UPDATE patient SET merged_into = ? WHERE id = ?", (patient, duplicate))
        append(conn, Event(now, staff, __version__, PatientMerged(patient, duplicate, why)))
        warned = _warn(conn, one, other, staff, now)
        _note(conn, one if warned is not None else None, patient, duplicate, True, why, staff, now, warned)
        _end_sessions(conn, duplicate, now)


def unmerge(conn: Connection, *, duplicate: int, reason: str, staff: str, now: Stamp) -> int:
    """`duplicate` was another person after all; the record it had been merged into. Own transaction.

    Both records are what they were: allergies that the merge had added go again unless somebody has changed the record
    since. Sessions of the record that stood end: whose finger it is must be asked anew. Refused for one that is not merged.
    """
    why = _reason(reason)
    _somebody(staff)
    with transaction(conn):
        present(conn, duplicate)
        patient = _parent(conn, duplicate)
        if patient is None:
            raise Refused("Hồ sơ này không gộp vào hồ sơ nào.", f"patient {duplicate} is merged into none")
        conn.execute("UPDATE patient SET merged_into = NULL WHERE id = ?", (duplicate,))
        append(conn, Event(now, staff, __version__, PatientUnmerged(patient, duplicate, why)))
        _unwarn(conn, patient, duplicate, staff, now)
        _note(conn, None, patient, duplicate, False, why, staff, now, None)
        _end_sessions(conn, root(conn, patient), now)
    return patient


def merged(conn: Connection, patient: int) -> list[Merge]:
    """The records that stand directly under this one, the latest merge first."""
    rows = conn.execute("SELECT id FROM patient WHERE merged_into = ? AND erased = 0 ORDER BY id", (patient,)).fetchall()
    found = []
    for row in rows:
        last = _last(conn, int(row[0]))
        who = get(conn, int(row[0]))
        if last is not None and who is not None:
            found.append(Merge(patient, who, last[0], last[1], last[2]))
    return sorted(found, key=lambda one: -one.wall)


def _last(conn: Connection, duplicate: int) -> tuple[str, str, int] | None:
    row = conn.execute("SELECT reason, staff, wall FROM merge WHERE duplicate = ? AND merged = 1 ORDER BY id DESC LIMIT 1", (duplicate,))
    found = row.fetchone()
    return None if found is None else (found[0], found[1], found[2])


def _parent(conn: Connection, patient: int) -> int | None:
    row = conn.execute("SELECT merged_into FROM patient WHERE id = ?", (patient,)).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def _reason(text: str) -> str:
    why = clean(text)
    if not why:
        raise Refused("Ghi lý do, một câu ngắn cũng được.", "write a reason, a short sentence will do")
    if len(why) > MOST_LETTERS:
        raise Refused(f"Dài quá {MOST_LETTERS} chữ. Hãy viết ngắn lại.", f"longer than {MOST_LETTERS} letters: make it shorter")
    return why


def _somebody(staff: str) -> None:
    if not staff:
        raise Refused("Chọn tên nhân viên trước khi gộp hay tách.", "choose who you are first")


# --- allergies ------------------------------------------------------------------------------------------------------------------------


def _warn(conn: Connection, one: Identity, other: Identity, staff: str, now: Stamp) -> int | None:
    """Carry the duplicate's allergies over; the new version of the record that stands, None when there was nothing to carry."""
    both = combined(one, other)
    if (both.allergies, both.allergy_text) == (one.allergies, one.allergy_text):
        return None
    _change(conn, replace(both, version=one.version + 1), staff, now)
    return one.version + 1


def combined(one: Identity, other: Identity) -> Identity:
    """`one` with what `other` knows of allergies beside its own: a known allergy outweighs *none known*, that outweighs *not asked*."""
    if other.allergies is not Allergies.KNOWN:
        known = max(one.allergies, other.allergies)
        return replace(one, allergies=known)
    parts = [one.allergy_text] if one.allergies is Allergies.KNOWN else []
    if other.allergy_text not in one.allergy_text:
        parts.append(other.allergy_text)
    return replace(one, allergies=Allergies.KNOWN, allergy_text="; ".join(parts))


def _unwarn(conn: Connection, patient: int, duplicate: int, staff: str, now: Stamp) -> None:
    row = conn.execute(
        "SELECT version, allergies, allergy_text FROM merge WHERE patient = ? AND duplicate = ? AND merged = 1 ORDER BY id DESC LIMIT 1",
        (patient, duplicate),
    ).fetchone()
    known = get(conn, patient)
    if row is None or row[0] is None or row[1] is None or known is None or known.version != row[0]:
        return
    _change(conn, replace(known, version=known.version + 1, allergies=Allergies(row[1]), allergy_text=row[2]), staff, now)


def _change(conn: Connection, who: Identity, staff: str, now: Stamp) -> None:
    keep(conn, who)
    append(conn, Event(now, staff, __version__, PatientChanged(who, "gộp hồ sơ")))


def _note(
    conn: Connection, before: Identity | None, patient: int, duplicate: int, on: bool, why: str, staff: str, now: Stamp, version: int | None
) -> None:
    """The row that says who did what; `before` is the record that stands as it was before the merge gave it allergies."""
    allergies, text = (None, None) if before is None else (int(before.allergies), before.allergy_text)
    conn.execute(
        "INSERT INTO merge (patient, duplicate, merged, reason, staff, wall, version, allergies, allergy_text)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (patient, duplicate, int(on), why, staff, now.wall, version, allergies, text),
    )


def _end_sessions(conn: Connection, patient: int, now: Stamp) -> None:
    """Whoever measures on this record now has to confirm anew; a measurement in the middle of it becomes nobody's."""
    conn.execute(
        "UPDATE session SET ended = min(expires, ?), why = ? WHERE patient = ? AND ended IS NULL AND boot = ?",
        (now.ticks, MERGED, patient, now.boot),
    )
