"""What a doctor does with a request: open, hold, ask, draft, sign, correct. Every word to the station is queued here,
in the transaction that keeps it; of an answer only the signed bytes are (decision 18).

The signature is the bridge's, over the exact bytes, after the doctor has given the password again. It is not a legal
digital signature, and no page says so.
"""

import hashlib
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from appliance.contract.answers import DOMAIN, Answer, answer_bytes
from appliance.contract.events import AnswerCorrected, AnswerSigned, ConsultClaimed, ConsultOpened, ConsultQuestion, Event, ReplySeen
from appliance.contract.metrics import Status
from appliance.contract.readings import Stamp
from cloud_bridge.store import answers, consults, observations, outbox
from cloud_bridge.store.accounts import Account
from cloud_bridge.store.consults import Consult

HOLD = 9_000
"""Tenths of a second that a request stays with a doctor who does nothing on its page: 15 minutes, unless the settings say otherwise."""
MOST_CHARACTERS = 2_000
"""Of one field of an answer: a page of text, and under 3 kB on the wire."""


class Refused(ValueError):  # noqa: N818 - the house's word (ARCHITECTURE.md, Errors)
    """Something the console may not do now. `reason`: ``gone``, ``withdrawn``, ``held`` (by `who`), ``empty``, ``long``,
    ``answered`` (by `who`), ``replaced``, ``unseen``, ``corrected``, ``role``.
    """

    def __init__(self, reason: str, who: str = "") -> None:
        super().__init__(f"{reason} {who}".strip())
        self.reason = reason
        self.who = who


def typed(text: str) -> str:
    """What a person has typed as it is kept: NFC, one sign for a line's end, no white space at the ends, no NUL."""
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\0", "").strip()


@dataclass(frozen=True, slots=True)
class Advice:
    """What the form holds: the free fields of `contract.answers.Answer`."""

    advice: str = ""
    diagnosis: str = ""
    medicine: str = ""
    refer: str = ""
    follow_up: str = ""

    @classmethod
    def of(cls, form: Mapping[str, str]) -> "Advice":
        """The fields out of a form, each as `typed` makes it."""
        return cls(**{one.name: typed(form.get(one.name, "")) for one in fields(cls)})

    def check(self) -> None:
        """Refused ``empty`` without advice, ``long`` when a field is longer than `MOST_CHARACTERS`."""
        if not self.advice:
            raise Refused("empty")
        for one in fields(self):
            if len(getattr(self, one.name)) > MOST_CHARACTERS:
                raise Refused("long", one.name)

    def given(self) -> dict[str, str]:
        """The fields by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class Seal:
    """The bridge's answer key."""

    key_id: int
    key: Ed25519PrivateKey


def _event(doctor: Account, software: str, now: Stamp, body: object) -> Event:
    return Event(now, doctor.login, software, body)  # type: ignore[arg-type]  # one of the bodies an answer may have


def _get(tx: Connection, station: str, number: int) -> Consult:
    """The request, and nobody else decides anything about it until the transaction ends."""
    consults.lock(tx, station, number)
    found = consults.get(tx, station, number)
    if found is None:
        raise Refused("gone")
    return found


def _held(found: Consult, doctor: Account, now: Stamp) -> None:
    if not doctor.signs:
        raise Refused("role")
    holder = found.held_by(now.wall)
    if holder and holder != doctor.login:
        raise Refused("held", holder)


def open_request(tx: Connection, doctor: Account, station: str, number: int, *, software: str, now: Stamp, hold: int = HOLD) -> bool:
    """A doctor has the page in front of them: the station is told the first time. True for that first time.

    Opening takes the request when nobody holds it, so that two doctors do not answer the same one.
    """
    found = _get(tx, station, number)
    if not doctor.signs:
        return False
    first = consults.set_opened(tx, station, number, doctor.login, now.wall)
    if first:
        outbox.append(tx, station, _event(doctor, software, now, ConsultOpened(number, doctor.name)))
    if found.answered is None and found.withdrawn is None and found.held_by(now.wall) in ("", doctor.login):
        _take(tx, doctor, found, software=software, now=now, hold=hold)
    return first


def claim(tx: Connection, doctor: Account, station: str, number: int, *, software: str, now: Stamp, hold: int = HOLD) -> None:
    """Take a request for `hold` tenths of a second. Refused ``held`` while another doctor holds it."""
    found = _get(tx, station, number)
    _held(found, doctor, now)
    _take(tx, doctor, found, software=software, now=now, hold=hold)


def _take(tx: Connection, doctor: Account, found: Consult, *, software: str, now: Stamp, hold: int) -> None:
    until = now.wall + hold
    taken = consults.set_claim(tx, found.station, found.consult, doctor.login, until, now.wall)
    if taken and found.held_by(now.wall) != doctor.login:  # a longer hold by the same doctor is no news for the station
        body = ConsultClaimed(found.consult, doctor.name, until)
        outbox.append(tx, found.station, _event(doctor, software, now, body))


def release(tx: Connection, doctor: Account, station: str, number: int, now: Stamp, *, software: str = "") -> None:
    """Give a request back to the queue. The station is told (`until` 0) and keeps seeing that it was opened."""
    found = _get(tx, station, number)
    _held(found, doctor, now)
    if consults.set_claim(tx, station, number, "", 0, now.wall):
        outbox.append(tx, station, _event(doctor, software, now, ConsultClaimed(number, doctor.name, 0)))


def see_replies(tx: Connection, doctor: Account, station: str, number: int, *, software: str, now: Stamp) -> int:
    """A doctor has the station's replies in front of them: the station is told once of each; how many questions it was told of."""
    if not doctor.signs:
        return 0
    seen = consults.see_replies(tx, station, number, doctor.name, now.wall)
    for question, replies in seen.items():
        outbox.append(tx, station, _event(doctor, software, now, ReplySeen(number, question, doctor.name, replies)))
    return len(seen)


def ask(
    tx: Connection, doctor: Account, station: str, number: int, text: str, *, question: int, software: str, now: Stamp, hold: int = HOLD
) -> bool:
    """Ask the station something; True. Refused ``empty``, ``long``, ``held``, ``withdrawn``."""
    found = _get(tx, station, number)
    _held(found, doctor, now)
    said = typed(text)
    if not said or len(said) > MOST_CHARACTERS:
        raise Refused("long" if said else "empty", "question")
    if found.withdrawn is not None:
        raise Refused("withdrawn")
    consults.say(tx, station, number, question, origin="", who=doctor.name, text=said, wall=now.wall, at=now.wall)
    outbox.append(tx, station, _event(doctor, software, now, ConsultQuestion(number, question, doctor.name, said)))
    if found.answered is None:
        _take(tx, doctor, found, software=software, now=now, hold=hold)
    return True


def draft(tx: Connection, doctor: Account, station: str, number: int, advice: Advice, now: Stamp, *, hold: int = HOLD) -> None:
    """Keep what is in the form. It stays in the bridge; a hold by this doctor goes on."""
    found = _get(tx, station, number)
    if not doctor.signs:
        raise Refused("role")
    answers.save_draft(tx, station, number, doctor.login, advice.given(), now.wall)
    if found.held_by(now.wall) == doctor.login:
        consults.set_claim(tx, station, number, doctor.login, now.wall + hold, now.wall)


def sign(
    tx: Connection, doctor: Account, station: str, number: int, advice: Advice, *, seen: Collection[bytes], answer: int, seal: Seal,
    software: str, now: Stamp, replaces: int | None = None, struck: Collection[bytes] | None = None,
) -> Answer:  # fmt: skip
    """Sign an answer and queue it for the station, in the caller's transaction. The caller has checked the password.

    `seen` are the readings that the confirming page showed; one that is not on the consult's page is Refused ``unseen``.
    `struck` are those of them that the page showed as taken back: Refused ``corrected`` when the station has changed that since.
    `answer` is a random short number: a bridge that was restored must not give an old number to a new answer.
    `replaces` makes it a correction of an earlier answer, which stays readable; Refused ``answered`` without it where an
    answer exists, ``replaced`` when that answer has been corrected already.
    """
    advice.check()
    found = _get(tx, station, number)
    _held(found, doctor, now)
    if found.withdrawn is not None:
        raise Refused("withdrawn")
    _check_place(tx, station, number, replaces)
    content = Answer(
        station=station, consult=number, answer=answer, practitioner=doctor.login, practitioner_name=doctor.name, at=now.wall,
        seen=tuple(sorted(set(seen))), test_data=_test_data(tx, found, seen, struck), **advice.given(),
    )  # fmt: skip
    _keep(tx, doctor, content, seal, replaces, software, now)
    return content


def _check_place(tx: Connection, station: str, number: int, replaces: int | None) -> None:
    earlier = answers.of_consult(tx, station, number)
    if replaces is None:
        if earlier:
            raise Refused("answered", earlier[-1].name)
    elif replaces not in {row.answer for row in earlier}:
        raise Refused("gone")
    elif replaces in {row.replaces for row in earlier}:
        raise Refused("replaced")


def _test_data(tx: Connection, found: Consult, seen: Collection[bytes], struck: Collection[bytes] | None) -> bool:
    """Whether anything the doctor saw is test data; Refused ``unseen`` for a reading that no page of this consult shows, ``corrected``
    when not the same ones of them stand as on the page.
    """
    shown = observations.of_consult(tx, found.station, found.consult) + observations.of_patient(tx, found.station, found.patient)
    status = {one.key: one.reading.status for one in shown}
    if not set(seen) <= status.keys():
        raise Refused("unseen")
    fallen = {one.key for one in shown if one.key in set(seen) and not one.stands_for(found.patient)}
    if struck is not None and fallen != set(struck):
        raise Refused("corrected")
    return found.test_data or any(status[key] & Status.TEST_DATA for key in seen)


def _keep(tx: Connection, doctor: Account, said: Answer, seal: Seal, replaces: int | None, software: str, now: Stamp) -> None:
    content = answer_bytes(said)
    signature = seal.key.sign(DOMAIN + content)
    answers.keep(
        tx, station=said.station, consult=said.consult, answer=said.answer, replaces=replaces, login=doctor.login, name=doctor.name,
        content=content, sha256=hashlib.sha256(content).digest(), key_id=seal.key_id, signature=signature, signed=now.wall,
    )  # fmt: skip
    body = (
        AnswerSigned(said.consult, said.answer, content, seal.key_id, signature)
        if replaces is None
        else AnswerCorrected(said.consult, said.answer, replaces, content, seal.key_id, signature)
    )
    outbox.append(tx, said.station, _event(doctor, software, now, body))
    consults.set_answered(tx, said.station, said.consult, now.wall)
    consults.set_claim(tx, said.station, said.consult, "", 0, now.wall)
    answers.drop_draft(tx, said.station, said.consult, doctor.login)
