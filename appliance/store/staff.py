"""Staff: who works at the station. Their code is the actor of every event they cause.

Every change is told to the bridge (`StaffChanged`), so that the doctor reads a name and not a code. Nothing of a PIN is in it.
"""

import re
from dataclasses import dataclass

from appliance import __version__
from appliance.contract.events import Event, StaffChanged
from appliance.contract.identifiers import clean
from appliance.contract.readings import Stamp
from appliance.database import Connection, transaction
from appliance.store import audit
from appliance.store.errors import Refused
from appliance.store.outbox import append

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}")
NURSE, DOCTOR, TECHNICIAN, LEAD = "nurse", "doctor", "technician", "lead"
ROLES = (NURSE, DOCTOR, TECHNICIAN, LEAD)
"""What a person may be here. What each may do stands in `kiosk.access`; a row of an older version may hold another word."""


@dataclass(frozen=True, slots=True)
class Staff:
    """One person. `role` is one of `ROLES`."""

    code: str
    name: str
    role: str
    active: bool


def is_new(conn: Connection) -> bool:
    """Whether nobody ever worked at this station and no patient is known here: only then may whoever stands there make themself known."""
    found = conn.execute("SELECT (SELECT count(*) FROM staff) + (SELECT count(*) FROM patient)").fetchone()
    return int(found[0]) == 0


def add(conn: Connection, *, code: str, name: str, now: Stamp, role: str = NURSE, by: str = "") -> Staff:
    """Keep a person, or change the name and role of one (who is active again). Own transaction, with the event and the audit entry.

    Nothing is written when everything is so already. Refused for a code, a name or a role that cannot be.
    """
    if not CODE.fullmatch(code):
        raise Refused("Mã nhân viên có 1–16 chữ không dấu, số.", "a staff code has 1-16 letters, digits, dots, hyphens")
    tidy = clean(name)
    if not tidy:
        raise Refused("Ghi họ và tên nhân viên.", "write the person's name")
    if role not in ROLES:
        raise Refused(
            "Vai trò là một trong: y tá (nurse), bác sĩ (doctor), kỹ thuật viên (technician), trưởng trạm (lead).",
            f"a role is one of {', '.join(ROLES)}, not {role!r}",
        )
    person = Staff(code, tidy, role, True)
    with transaction(conn):
        if get(conn, code) == person:
            return person
        conn.execute(
            "INSERT INTO staff (code, name, role) VALUES (?, ?, ?)"
            " ON CONFLICT (code) DO UPDATE SET name = excluded.name, role = excluded.role, active = 1",
            (code, tidy, role),
        )
        _tell(conn, person, by, now)
        audit.note(conn, actor=by, action="staff.add", now=now, subject=f"staff:{code}")
    return person


def retire(conn: Connection, code: str, *, now: Stamp, by: str = "") -> None:
    """The person works here no more: no PIN of theirs opens anything; what they did keeps their code. Own transaction."""
    with transaction(conn):
        known = get(conn, code)
        if known is None or not known.active:
            raise Refused(f"Không có nhân viên mã {code}.", f"no active staff member has the code {code}")
        conn.execute("UPDATE staff SET active = 0 WHERE code = ?", (code,))
        conn.execute("DELETE FROM staff_pin WHERE code = ?", (code,))
        conn.execute("DELETE FROM staff_pin_afar WHERE code = ?", (code,))
        _tell(conn, Staff(code, known.name, known.role, False), by, now)
        audit.note(conn, actor=by, action="staff.retire", now=now, subject=f"staff:{code}")


def _tell(conn: Connection, person: Staff, by: str, now: Stamp) -> None:
    append(conn, Event(now, by, __version__, StaffChanged(person.code, person.name, person.role, person.active)))


def get(conn: Connection, code: str) -> Staff | None:
    """The person behind a code, active or not."""
    row = conn.execute("SELECT code, name, role, active FROM staff WHERE code = ?", (code,)).fetchone()
    return None if row is None else Staff(row[0], row[1], row[2], bool(row[3]))


def listing(conn: Connection) -> list[Staff]:
    """Everybody who is active, by name."""
    rows = conn.execute("SELECT code, name, role, active FROM staff WHERE active = 1 ORDER BY name, code").fetchall()
    return [Staff(row[0], row[1], row[2], bool(row[3])) for row in rows]
