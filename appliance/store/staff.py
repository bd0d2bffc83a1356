"""Staff: who works at the station. Their code is the actor of every event they cause."""

import re
from dataclasses import dataclass

from appliance.database import Connection, transaction
from appliance.store.errors import Refused
from appliance.store.patients import clean

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}")


@dataclass(frozen=True, slots=True)
class Staff:
    """One person. `role` is a word such as ``nurse`` or ``doctor``."""

    code: str
    name: str
    role: str
    active: bool


def add(conn: Connection, *, code: str, name: str, role: str = "nurse") -> Staff:
    """Keep a person, or change the name and role of one (who is active again). Own transaction."""
    if not CODE.fullmatch(code):
        raise Refused("Mã nhân viên có 1–16 chữ không dấu, số.", "a staff code has 1-16 letters, digits, dots, hyphens")
    tidy = clean(name)
    if not tidy:
        raise Refused("Ghi họ và tên nhân viên.", "write the person's name")
    with transaction(conn):
        conn.execute(
            "INSERT INTO staff (code, name, role) VALUES (?, ?, ?)"
            " ON CONFLICT (code) DO UPDATE SET name = excluded.name, role = excluded.role, active = 1",
            (code, tidy, clean(role)),
        )
    return Staff(code, tidy, clean(role), True)


def retire(conn: Connection, code: str) -> None:
    """The person works here no more; what they did keeps their code. Own transaction."""
    with transaction(conn):
        conn.execute("UPDATE staff SET active = 0 WHERE code = ?", (code,))


def get(conn: Connection, code: str) -> Staff | None:
    """The person behind a code, active or not."""
    row = conn.execute("SELECT code, name, role, active FROM staff WHERE code = ?", (code,)).fetchone()
    return None if row is None else Staff(row[0], row[1], row[2], bool(row[3]))


def listing(conn: Connection) -> list[Staff]:
    """Everybody who is active, by name."""
    rows = conn.execute("SELECT code, name, role, active FROM staff WHERE active = 1 ORDER BY name, code").fetchall()
    return [Staff(row[0], row[1], row[2], bool(row[3])) for row in rows]
