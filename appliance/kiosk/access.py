"""Who may do what at the kiosk: one table, every endpoint in it. The guard, the access matrix and the audit read it.

A new page gets its row here, or no page opens (a test looks). `audit` is the word that the audit log gets when the page
was answered for a patient; pages that programs ask by themselves have none.
"""

from dataclasses import dataclass
from enum import Enum


class Rule(Enum):
    """Who may."""

    OPEN = "open"
    """Anybody, also with nobody signed in: such a page holds no byte of a patient."""
    STAFF = "staff"
    """Whoever has signed in."""
    CLINICAL = "clinical"
    """Those who may see patients: nurse, doctor, lead."""
    LEAD = "lead"
    """The lead alone."""
    TECHNICAL = "technical"
    """Technician or lead."""


ROLES: dict[Rule, frozenset[str]] = {
    Rule.STAFF: frozenset({"nurse", "doctor", "technician", "lead"}),
    Rule.CLINICAL: frozenset({"nurse", "doctor", "lead"}),
    Rule.LEAD: frozenset({"lead"}),
    Rule.TECHNICAL: frozenset({"technician", "lead"}),
}
"""The roles behind each rule; `OPEN` needs none."""


@dataclass(frozen=True, slots=True)
class Access:
    """One row of the table."""

    rule: Rule
    audit: str = ""


TABLE: dict[str, Access] = {
    "static": Access(Rule.OPEN),
    "home.start": Access(Rule.OPEN),
    "home.choose": Access(Rule.OPEN),
    "home.language": Access(Rule.OPEN),
    "home.blank": Access(Rule.OPEN),
    "home.change": Access(Rule.STAFF),
    "home.home": Access(Rule.STAFF),
    "home.find": Access(Rule.CLINICAL),
    "home.found": Access(Rule.CLINICAL, "patient.search"),
    "home.recent": Access(Rule.CLINICAL, "patient.list"),
    "people.form": Access(Rule.CLINICAL),
    "people.register": Access(Rule.CLINICAL, "patient.register"),
    "people.show": Access(Rule.CLINICAL, "patient.view"),
    "confirm.ask": Access(Rule.CLINICAL, "patient.view"),
    "confirm.confirm": Access(Rule.CLINICAL, "patient.confirm"),
    "measure.devices": Access(Rule.CLINICAL),
    "measure.choose": Access(Rule.CLINICAL, "session.open"),
    "measure.show": Access(Rule.CLINICAL, "session.view"),
    "measure.live": Access(Rule.CLINICAL),
    "measure.start": Access(Rule.CLINICAL, "cuff.start"),
    "measure.stop": Access(Rule.CLINICAL, "cuff.stop"),
    "measure.cuff_off": Access(Rule.CLINICAL, "cuff.off"),
    "measure.cuff_off_anywhere": Access(Rule.OPEN, "cuff.off"),
    "measure.save": Access(Rule.CLINICAL, "observation.save"),
    "measure.again": Access(Rule.CLINICAL),
    "measure.discard": Access(Rule.CLINICAL, "measurement.discard"),
    "measure.end": Access(Rule.CLINICAL),
    "tray.tray": Access(Rule.CLINICAL, "tray.view"),
    "tray.seen": Access(Rule.CLINICAL, "held.seen"),
    "tray.search": Access(Rule.CLINICAL),
    "tray.find": Access(Rule.CLINICAL),
    "tray.found": Access(Rule.CLINICAL, "patient.search"),
    "tray.ask": Access(Rule.CLINICAL, "patient.view"),
    "tray.assign": Access(Rule.CLINICAL, "measurement.assign"),
    "tray.undecided": Access(Rule.CLINICAL, "patient.view"),
    "tray.decide": Access(Rule.CLINICAL, "observation.save"),
    "consult.listing": Access(Rule.CLINICAL, "consult.list"),
    "consult.ask": Access(Rule.CLINICAL, "patient.view"),
    "consult.write": Access(Rule.CLINICAL),
    "consult.review": Access(Rule.CLINICAL, "patient.view"),
    "consult.send": Access(Rule.CLINICAL, "consult.send"),
    "consult.show": Access(Rule.CLINICAL, "consult.view"),
    "consult.follow": Access(Rule.CLINICAL),
    "consult.read": Access(Rule.CLINICAL, "answer.read"),
    "consult.reply": Access(Rule.CLINICAL, "consult.reply"),
    "consult.why": Access(Rule.CLINICAL),
    "consult.withdraw": Access(Rule.CLINICAL, "consult.withdraw"),
    "correct.show": Access(Rule.CLINICAL, "observation.view"),
    "correct.why": Access(Rule.CLINICAL, "observation.view"),
    "correct.enter": Access(Rule.CLINICAL, "observation.error"),
    "correct.search": Access(Rule.CLINICAL, "observation.view"),
    "correct.find": Access(Rule.CLINICAL),
    "correct.found": Access(Rule.CLINICAL, "patient.search"),
    "correct.ask": Access(Rule.CLINICAL, "patient.view"),
    "correct.reassign": Access(Rule.CLINICAL, "observation.reassign"),
    "status.bar": Access(Rule.OPEN),
    "status.health": Access(Rule.OPEN),
    "status.called": Access(Rule.OPEN, "alarm.called"),
    "status.aside": Access(Rule.STAFF),
}
"""Every endpoint of the kiosk."""
