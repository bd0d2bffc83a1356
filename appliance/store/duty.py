"""Who is on duty according to the bridge, and where a request has gone on to: read without a link.

A rota covers hours ``[start, end)`` (tenths of a second since 1970); of two that cover the same moment the higher version
holds, in whatever order they arrive.
"""

from dataclasses import dataclass

from appliance.contract.events import ConsultEscalated, Department, RotaPublished
from appliance.database import Connection


@dataclass(frozen=True, slots=True)
class OnDuty:
    """Somebody who answers now, until `until`."""

    department: Department
    tier: int
    name: str
    phone: str
    until: int


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is on duty at a moment, by department. `sent` is when the bridge sent the list that says so, `expires` where it ends.

    Both are None while none has ever come. `valid` is False when the moment lies outside every list: `people` is then empty
    and nothing is known; a valid list with nobody in it says that nobody is on duty.
    """

    people: tuple[OnDuty, ...] = ()
    sent: int | None = None
    expires: int | None = None
    valid: bool = False

    def of(self, department: Department | None) -> tuple[OnDuty, ...]:
        """Those of a department; of the general one where it has nobody, then anybody at all: somebody has to be called."""
        for wanted in (department, Department.GENERAL):
            found = tuple(one for one in self.people if one.department is wanted)
            if found:
                return found
        return self.people


@dataclass(frozen=True, slots=True)
class WentOn:
    """A request went on to tier `tier`, named `to`, at `at` by the bridge's clock."""

    tier: int
    to: str
    at: int


def keep(conn: Connection, body: RotaPublished, sent: int) -> bool:
    """Take a list in the caller's transaction; False when a later one that reaches as far is here already."""
    later = conn.execute('SELECT 1 FROM rota WHERE version >= ? AND "end" >= ?', (body.version, body.end)).fetchone()
    if later is not None or body.end <= body.start:
        return False
    old = [
        row[0] for row in conn.execute('SELECT version FROM rota WHERE version <= ? AND "end" <= ?', (body.version, body.end)).fetchall()
    ]
    for version in old:
        conn.execute("DELETE FROM duty WHERE version = ?", (version,))
        conn.execute("DELETE FROM rota WHERE version = ?", (version,))
    conn.execute('INSERT INTO rota (version, start, "end", sent) VALUES (?, ?, ?, ?)', (body.version, body.start, body.end, sent))
    conn.executemany(
        'INSERT INTO duty (version, department, tier, start, "end", name, phone) VALUES (?, ?, ?, ?, ?, ?, ?)',
        [(body.version, int(one.department), one.tier, one.start, one.end, one.name, one.phone) for one in body.shifts],
    )
    return True


def roster(conn: Connection, at: int) -> Roster:
    """Who is on duty at `at` as far as the station was told."""
    row = conn.execute(
        'SELECT version, sent, "end" FROM rota WHERE start <= ? AND "end" > ? ORDER BY version DESC LIMIT 1', (at, at)
    ).fetchone()
    if row is None:
        last = conn.execute('SELECT sent, "end" FROM rota ORDER BY version DESC LIMIT 1').fetchone()
        return Roster() if last is None else Roster(sent=last[0], expires=last[1])
    people = conn.execute(
        'SELECT department, tier, name, phone, "end" FROM duty WHERE version = ? AND start <= ? AND "end" > ? ORDER BY department, name',
        (row[0], at, at),
    ).fetchall()
    return Roster(tuple(OnDuty(Department(one[0]), *tuple(one)[1:]) for one in people), row[1], row[2], valid=True)


def note(conn: Connection, body: ConsultEscalated, at: int) -> None:
    """A request has gone on, in the caller's transaction; told twice it went once."""
    conn.execute("INSERT OR IGNORE INTO escalation (consult, tier, name, at) VALUES (?, ?, ?, ?)", (body.consult, body.tier, body.to, at))


def went_on(conn: Connection, consult: int) -> list[WentOn]:
    """The tiers a request has gone on to, in order."""
    rows = conn.execute("SELECT tier, name, at FROM escalation WHERE consult = ? ORDER BY at, tier", (consult,)).fetchall()
    return [WentOn(*tuple(row)) for row in rows]
