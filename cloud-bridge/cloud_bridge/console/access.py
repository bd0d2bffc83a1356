"""Who may open what at the doctors' desk: one table, every endpoint in it. The guard, the access log and the tests read it.

A page without a row does not open (a test looks). Which *station* a page may be about is not said here: every address with
a station in it passes through `store.walls`, and what may not be seen there does not exist for the visitor.
"""

from dataclasses import dataclass
from enum import Enum

from cloud_bridge.store.accounts import Role


class Rule(Enum):
    """Who may."""

    PUBLIC = "public"
    """Anybody: no byte of a patient, a station or an account."""
    HALF = "half"
    """Whoever has just given the right password and has still to give the code."""
    ANYBODY = "anybody"
    """Whoever has logged in."""
    CLINICAL = "clinical"
    """Those who see patients."""
    DOCTOR = "doctor"
    """Those whose opening counts and who sign."""
    ROTA = "rota"
    """Those who write the rota."""
    ADMIN = "admin"
    """Those who look after accounts."""


ROLES: dict[Rule, frozenset[Role]] = {
    Rule.ANYBODY: frozenset(Role),
    Rule.CLINICAL: frozenset({Role.DOCTOR, Role.VIEWER}),
    Rule.DOCTOR: frozenset({Role.DOCTOR}),
    Rule.ROTA: frozenset({Role.COORDINATOR, Role.ADMIN}),
    Rule.ADMIN: frozenset({Role.ADMIN}),
}
"""The roles behind each rule; `PUBLIC` and `HALF` need none."""
HOME: dict[Role, str] = {
    Role.DOCTOR: "queue.waiting",
    Role.VIEWER: "queue.waiting",
    Role.COORDINATOR: "places.listing",
    Role.ADMIN: "places.listing",
}
"""Where somebody begins."""


@dataclass(frozen=True, slots=True)
class Access:
    """One row. `by_itself`: open pages ask for it without a person; it keeps no session alive and leads to no login page.

    `audit` is the word in the access log once the page has been answered. What changes something says its word itself, when
    it has happened (`guard.did`); such a row has none.
    """

    rule: Rule
    by_itself: bool = False
    audit: str = ""


TABLE: dict[str, Access] = {
    "static": Access(Rule.PUBLIC),
    "sessions.login": Access(Rule.PUBLIC),
    "sessions.enter": Access(Rule.PUBLIC),
    "sessions.leave": Access(Rule.PUBLIC),
    "sessions.language": Access(Rule.PUBLIC),
    "factors.ask": Access(Rule.HALF),
    "factors.enter": Access(Rule.HALF),
    "factors.enrol": Access(Rule.HALF),
    "factors.confirm": Access(Rule.HALF),
    "queue.waiting": Access(Rule.CLINICAL, audit="queue"),
    "queue.live": Access(Rule.CLINICAL, by_itself=True),
    "queue.listing": Access(Rule.CLINICAL, by_itself=True),
    "queue.emergencies": Access(Rule.CLINICAL, by_itself=True),
    "queue.noticed_one": Access(Rule.DOCTOR),
    "queue.noticed_all": Access(Rule.DOCTOR),
    "consults.page": Access(Rule.CLINICAL, audit="view"),
    "consults.live": Access(Rule.CLINICAL, by_itself=True, audit="stay"),
    "consults.data": Access(Rule.CLINICAL, by_itself=True, audit="data"),
    "consults.picture": Access(Rule.CLINICAL, by_itself=True, audit="picture"),
    "consults.draft": Access(Rule.DOCTOR),
    "consults.confirm": Access(Rule.DOCTOR, audit="view"),
    "consults.sign": Access(Rule.DOCTOR),
    "consults.claim": Access(Rule.DOCTOR),
    "consults.release": Access(Rule.DOCTOR),
    "consults.question": Access(Rule.DOCTOR),
    "consults.corrections_seen": Access(Rule.DOCTOR),
    "patients.page": Access(Rule.CLINICAL, audit="record"),
    "patients.live": Access(Rule.CLINICAL, by_itself=True, audit="stay"),
    "patients.data": Access(Rule.CLINICAL, by_itself=True, audit="data"),
    "patients.looks": Access(Rule.CLINICAL, audit="access"),
    "review.listing": Access(Rule.CLINICAL, audit="review"),
    "review.looked": Access(Rule.DOCTOR),
    "places.listing": Access(Rule.ANYBODY),
    "places.page": Access(Rule.ANYBODY),
    "boxes.listing": Access(Rule.ANYBODY),
    "people.listing": Access(Rule.ADMIN),
    "rota.week": Access(Rule.ROTA),
    "rota.add": Access(Rule.ROTA),
    "rota.remove": Access(Rule.ROTA),
    "rota.copy": Access(Rule.ROTA),
    "rota.publish": Access(Rule.ROTA),
}
"""Every endpoint."""


def may(rule: Rule, role: Role) -> bool:
    """Whether a rule lets a role in."""
    return role in ROLES.get(rule, frozenset())
