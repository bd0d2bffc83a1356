"""What an event means to the clinic: called once per event, inside the transaction that keeps the event itself.

Order does not matter: lanes overtake each other, and the same events in any order leave the same rows. What has no
meaning for the bridge is passed over: the relay has kept it, and it can be read again after an update. Refused (with a
ValueError) is only what no database can hold.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection

from appliance.contract.events import (
    AnswerKept,
    AnswerRead,
    AttachmentChunk,
    AttachmentOffered,
    AuditHead,
    CardRoom,
    ClockAnchor,
    ConsentGiven,
    ConsentWithdrawn,
    ConsultReply,
    ConsultRequested,
    ConsultStrip,
    ConsultWithdrawn,
    DeviceClockRead,
    DeviceHealth,
    DeviceRegistered,
    EmergencyPressed,
    Event,
    MeasurementDiscarded,
    MeasurementUnassigned,
    ObservationEnteredInError,
    ObservationReassigned,
    ObservationRecorded,
    PatientChanged,
    PatientMerged,
    PatientRegistered,
    PatientUnmerged,
    PressureAveraged,
    PressureTaken,
    QuestionShown,
    StaffChanged,
    StationAccepted,
    Tombstone,
)
from appliance.contract.readings import ClockQuality, Reading, Stamp
from cloud_bridge.store import (
    acceptances,
    answers,
    audit,
    consents,
    consults,
    devices,
    emergencies,
    observations,
    patients,
    pictures,
    pressures,
    series,
    staff,
    tables,
    times,
)
from cloud_bridge.store.observations import Claim
from cloud_bridge.store.tables import VIA_CONSULT, VIA_RECORD
from cloud_bridge.store.tombstones import Grave
from cloud_bridge.store.writing import once

Key = tuple[bytes, int, int]
"""An event's place in its station's relay: epoch, lane, seq."""
Row = tuple[str, Event, int, Key]
"""(station, event, at, key): an event of a station."""
Asked = tuple[str, Event, ConsultRequested, int, Key]
Shown = tuple[str, Event, AnswerRead, int]

REPLIES = 1000
"""Readings of replies stand behind those of the request itself."""


def apply(tx: Connection, station: str, event: Event, at: int, key: Key) -> None:
    """Take one event of a station. `at` is the bridge's time in tenths of a second since 1970, `key` the event's place.

    ValueError for an event with a number or a text that no database can hold; nothing is written then.
    """
    times.see(tx, [(station, event, at, key)] if _stamped(event) else [])
    _take(tx, station, event, at, key)


def _take(tx: Connection, station: str, event: Event, at: int, key: Key) -> None:
    taker = _TAKERS.get(type(event.body))
    if taker is not None:
        _fits(event)
        taker(tx, station, event, event.body, at, key)


def _stamped(event: Event) -> bool:
    """True when the stamp's numbers are ones that a station can have and a database can hold."""
    stamp = event.stamp
    return 0 <= stamp.boot < MOST and 0 <= stamp.boot_seq < MOST and 0 <= stamp.ticks < LONGEST_BOOT


def apply_many(tx: Connection, rows: Sequence[tuple[str, Event, int, Key]]) -> None:
    """As `apply` for each row (station, event, at, key), with plain readings, requests and confirmations, which are many, taken
    together.

    That these go first changes nothing, since order does not matter; it is what makes ingest fast.
    """
    for _, event, _, _ in rows:
        if type(event.body) in _TAKERS:
            _fits(event)
    times.see(tx, [row for row in rows if _stamped(row[1])])
    gone = patients.erased_of(tx, {station for station, event, _, _ in rows if type(event.body) in _TOGETHER})
    claims, copies = [], []
    asked: list[Asked] = []
    shown: list[Shown] = []
    rest: list[Row] = []
    for row in rows:
        station, event, at, _ = row
        body = event.body
        if type(body) is ObservationRecorded:
            if (station, body.patient) not in gone:
                claims.append(_claim(station, event, body, at))
        elif type(body) is ConsultRequested:
            if (station, body.identity.patient) not in gone:
                copies += _copies(station, event, body, at)
            asked.append((station, event, body, at, row[3]))
        elif type(body) is AnswerRead:
            shown.append((station, event, body, at))
        else:
            rest.append(row)
    observations.claim(tx, claims + copies)
    _requests(tx, asked, gone)
    _reads(tx, shown, gone)
    for station, event, at, key in sorted(rest, key=_parts_last):
        _take(tx, station, event, at, key)


def take_back(tx: Connection, rows: Sequence[tuple[str, Event, int, Key]], answer_keys: Mapping[int, Ed25519PublicKey]) -> None:
    """As `apply_many`, for a bridge that knows its answer keys: answers that stations give back to a restored store are taken, too."""
    apply_many(tx, rows)
    for station, event, _at, _key in rows:
        body = event.body
        if isinstance(body, AnswerKept) and not patients.erased(tx, station, consults.patient_of(tx, station, body.consult)):
            answers.take_back(tx, station, body, answer_keys)


def _parts_last(row: tuple[str, Event, int, Key]) -> tuple[bool, int]:
    """Parts of pictures behind everything else and in their own order: the last one finds the others there."""
    part = type(row[1].body) is AttachmentChunk
    return part, row[3][2] if part else 0


MOST = 1 << 63
"""Numbers of the wire go up to 2**64, those of both databases to here."""
LONGEST_BOOT = 1 << 33
"""Tenths: no machine runs 27 years without a start, and a hostile tick must not decide when a boot began."""
MOST_DECIMALS = 9
"""A scale beyond this is no measurement; 10**scale of a hostile one would never end."""


def _fits(event: Event) -> None:
    """ValueError when a database cannot hold the event. Readings, which are many, are looked at by name."""
    body = event.body
    if type(body) is ObservationRecorded:
        _fits_reading(body.reading)
        if "\0" in event.actor or not (-MOST <= body.patient < MOST and -MOST <= body.saved_after < MOST and -MOST <= body.marks < MOST):
            _fits_value((event.actor, body.patient, body.saved_after, int(body.marks)))  # says which
    else:
        _fits_value((event.stamp.wall, event.actor, body))


def _fits_reading(reading: Reading) -> None:
    stamp = reading.stamp
    if not (-MOST <= reading.device < MOST and -MOST <= stamp.wall < MOST and -MOST <= stamp.ticks < MOST and -MOST <= stamp.boot < MOST):
        _fits_value((reading.device, stamp.wall, stamp.ticks, stamp.boot))
    if reading.device_time is not None and "\0" in reading.device_time:
        raise ValueError("a text with a NUL")
    for numeric in reading.numerics:
        if not 0 <= numeric.scale <= MOST_DECIMALS:
            raise ValueError(f"{numeric.scale} decimals")


def _fits_value(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a text with a NUL")
    elif isinstance(value, int):
        if not -MOST <= value < MOST:
            raise ValueError(f"{value} is too large")
    elif isinstance(value, tuple):
        for one in value:
            _fits_value(one)
    elif isinstance(value, Reading):
        _fits_reading(value)
    elif is_dataclass(value):
        for one in fields(value):
            _fits_value(getattr(value, one.name))


def _claim(station: str, event: Event, body: ObservationRecorded, at: int) -> Claim:
    return Claim(station, body.reading.key, body.patient, body.reading, VIA_RECORD, event.actor, at, int(body.marks), body.saved_after)


def _place(station: str, key: Key) -> dict[str, Any]:
    return {"station": station, "epoch": key[0], "lane": int(key[1]), "seq": key[2]}


def _said(event: Event, at: int) -> dict[str, Any]:
    return {"wall": event.stamp.wall, "actor": event.actor, "received": at}


def _patient(tx: Connection, station: str, _event: Event, body: PatientRegistered | PatientChanged, at: int, _key: Key) -> None:
    if not patients.erased(tx, station, body.identity.patient):
        patients.learn(tx, station, body.identity, at)


def _link(tx: Connection, station: str, event: Event, body: PatientMerged | PatientUnmerged, at: int, key: Key) -> None:
    merged = isinstance(body, PatientMerged)
    row = {"patient": body.patient, "duplicate": body.duplicate, "merged": merged, "reason": body.reason}
    once(tx, tables.patient_link, **_place(station, key), **row, **_said(event, at))


def _consent(tx: Connection, station: str, event: Event, body: ConsentGiven | ConsentWithdrawn, at: int, key: Key) -> None:
    if patients.erased(tx, station, body.patient):
        return
    version = body.text_version if isinstance(body, ConsentGiven) else ""
    row = {"patient": body.patient, "purpose": body.purpose, "given": isinstance(body, ConsentGiven), "text_version": version}
    once(tx, tables.consent, **_place(station, key), **row, **_said(event, at))


def _observation(tx: Connection, station: str, event: Event, body: ObservationRecorded, at: int, _key: Key) -> None:
    if not patients.erased(tx, station, body.patient):
        observations.claim(tx, [_claim(station, event, body, at)])


def _in_error(tx: Connection, station: str, event: Event, body: ObservationEnteredInError, at: int, key: Key) -> None:
    row = {"key": body.key, "patient": body.patient, "to_patient": None, "reason": body.reason}
    once(tx, tables.correction, **_place(station, key), **row, **_said(event, at))


def _reassigned(tx: Connection, station: str, event: Event, body: ObservationReassigned, at: int, key: Key) -> None:
    row = {"key": body.key, "patient": body.patient, "to_patient": body.to_patient, "reason": body.reason}
    once(tx, tables.correction, **_place(station, key), **row, **_said(event, at))


def _unassigned(tx: Connection, station: str, event: Event, body: MeasurementUnassigned, at: int, _key: Key) -> None:
    reading = body.reading
    once(
        tx, tables.unassigned, station=station, key=reading.key, kind=int(reading.kind), reading=observations.reading_bytes(reading),
        device=reading.device, status=int(reading.status), reason=body.reason, wall=event.stamp.wall, received=at, twin=body.twin or None,
    )  # fmt: skip


def _discarded(tx: Connection, station: str, event: Event, body: MeasurementDiscarded, at: int, _key: Key) -> None:
    """Kept beside the record, with its reason; of an erased patient nothing is kept."""
    if body.patient and patients.erased(tx, station, body.patient):
        return
    reading = body.reading
    once(
        tx, tables.discarded, station=station, key=reading.key, patient=body.patient, reading=observations.reading_bytes(reading),
        reason=body.reason, actor=event.actor, wall=event.stamp.wall, received=at,
    )  # fmt: skip


def _copies(station: str, event: Event, body: ConsultRequested, at: int) -> list[Claim]:
    """The readings that a request carries."""
    who = body.identity.patient
    return [Claim(station, reading.key, who, reading, VIA_CONSULT, event.actor, at) for reading in body.readings]


def _requested(tx: Connection, station: str, event: Event, body: ConsultRequested, at: int, key: Key) -> None:
    """A request can be read alone: patient, device names and readings come with it and need nothing that travels in another lane."""
    if not patients.erased(tx, station, body.identity.patient):
        observations.claim(tx, _copies(station, event, body, at))
    _request(tx, station, event, body, at, key)


def _request(tx: Connection, station: str, event: Event, body: ConsultRequested, at: int, key: Key) -> None:
    """A request whose readings have been claimed."""
    gone = {(station, body.identity.patient)} if patients.erased(tx, station, body.identity.patient) else set()
    _requests(tx, [(station, event, body, at, key)], gone)


def _requests(tx: Connection, rows: Sequence[Asked], gone: AbstractSet[tuple[str, int]]) -> None:
    """Requests whose readings have been claimed; `gone` are the erased patients of their stations. Of a number that came twice each
    is taken by itself.
    """
    if not rows:
        return
    staff.label_many(tx, [(station, event, body.staff_name, at, key) for station, event, body, at, key in rows])
    devices.label_many(tx, [(station, body.devices, event.stamp.wall) for station, event, body, _, _ in rows])
    group: dict[tuple[str, int], Asked] = {}
    for row in rows:
        station, body = row[0], row[2]
        if (station, body.identity.patient) in gone:
            observations.forget_cited(tx, station, body.consult)
            pictures.forget(tx, station, [body.consult])
            consults.erase_request(tx, station, body.consult, body.identity.patient)
        elif group.setdefault((station, body.consult), row) is not row:
            _asked(tx, list(group.values()))
            group = {(station, body.consult): row}
    _asked(tx, list(group.values()))


def _asked(tx: Connection, rows: Sequence[Asked]) -> None:
    """Requests of different numbers, of patients who are not erased."""
    consults.request_many(tx, [(station, body, event, at) for station, event, body, at, _ in rows])
    asked = [(station, body, at) for station, _, body, at, _ in rows]
    answers.settle_many(tx, [(station, body.consult) for station, body, _ in asked])
    consents.note_bases(tx, [(station, body) for station, body, _ in asked])
    patients.learn_many(tx, [(station, body.identity, at) for station, body, at in asked])
    observations.claim_cited(tx, {(station, body.consult): (body.identity.patient, at) for station, body, at in asked})
    observations.cite_many(
        tx, [(station, body.consult, one.key, place) for station, body, _ in asked for place, one in enumerate(body.readings)]
    )


def _withdrawn(tx: Connection, station: str, _event: Event, body: ConsultWithdrawn, at: int, _key: Key) -> None:
    who = consults.patient_of(tx, station, body.consult)
    if not patients.erased(tx, station, who):
        consults.withdraw(tx, station, body.consult, body.reason, at)


def _reply(tx: Connection, station: str, event: Event, body: ConsultReply, at: int, key: Key) -> None:
    """A reply may overtake its request: its readings then wait without a patient until the request says who it is."""
    who = consults.patient_of(tx, station, body.consult)
    if patients.erased(tx, station, who):
        return
    origin = f"{key[0].hex()}/{int(key[1])}/{key[2]}"
    consults.say(tx, station, body.consult, body.question, origin=origin, who=event.actor, text=body.text, wall=event.stamp.wall, at=at)
    observations.claim(tx, [Claim(station, reading.key, who, reading, VIA_CONSULT, event.actor, at) for reading in body.readings])
    observations.cite(tx, station, body.consult, [reading.key for reading in body.readings], start=REPLIES)


def _question_shown(tx: Connection, station: str, event: Event, body: QuestionShown, at: int, _key: Key) -> None:
    consults.question_shown(tx, station, body.consult, body.question, event.actor, at)


def _read(tx: Connection, station: str, event: Event, body: AnswerRead, at: int, _key: Key) -> None:
    _reads(tx, [(station, event, body, at)], patients.erased_of(tx, [station]))


def _reads(tx: Connection, rows: Sequence[Shown], gone: AbstractSet[tuple[str, int]]) -> None:
    """Confirmations; `gone` are the erased patients of their stations, and most stations have none."""
    marked = {station for station, _ in gone}
    whose = consults.patients_of(tx, [(station, body.consult) for station, _, body, _ in rows if station in marked])
    kept = [row for row in rows if (row[0], whose.get((row[0], row[2].consult))) not in gone]
    answers.were_read(
        tx,
        [(station, body.consult, body.answer, bool(body.confirmed), body.who, event.stamp.wall, at) for station, event, body, at in kept],
    )


def _attachment(tx: Connection, station: str, event: Event, body: AttachmentOffered, at: int, key: Key) -> None:
    erased = patients.erased(tx, station, consults.patient_of(tx, station, body.consult))
    pictures.offer(tx, station, event, body, at, erased=erased, epoch=key[0])


def _chunk(tx: Connection, station: str, _event: Event, body: AttachmentChunk, at: int, key: Key) -> None:
    pictures.take(tx, station, body, key, at)


def _device(tx: Connection, station: str, event: Event, body: DeviceRegistered, _at: int, _key: Key) -> None:
    devices.register(tx, station, body, event.stamp.wall)


def _health(tx: Connection, station: str, event: Event, body: DeviceHealth, at: int, _key: Key) -> None:
    devices.heard(tx, station, body, event.stamp.wall, at)


def _strip(tx: Connection, station: str, _event: Event, body: ConsultStrip, at: int, _key: Key) -> None:
    if not patients.erased(tx, station, consults.patient_of(tx, station, body.consult)):
        series.take(tx, station, body, at)


def _clock(tx: Connection, station: str, event: Event, body: DeviceClockRead, at: int, _key: Key) -> None:
    series.hear(tx, station, body, event.stamp.wall, at)


def _anchor(tx: Connection, station: str, _event: Event, body: ClockAnchor, at: int, key: Key) -> None:
    row = {"boot": body.boot, "ticks": body.ticks, "true_wall": body.wall, "error": body.error, "source": body.source}
    once(tx, tables.anchor, **_place(station, key), **row, received=at)
    times.learn(tx, station, body.boot)


def _emergency(tx: Connection, station: str, event: Event, body: EmergencyPressed, at: int, _key: Key) -> None:
    emergencies.press(tx, station, body.call, wall=event.stamp.wall, actor=event.actor, note=body.note, at=at)


def _staff(tx: Connection, station: str, event: Event, body: StaffChanged, at: int, key: Key) -> None:
    staff.learn(tx, station, event, body, at, key)


def _accepted(tx: Connection, station: str, event: Event, body: StationAccepted, at: int, key: Key) -> None:
    acceptances.take(tx, station, event, body, at, key)


def _card(tx: Connection, station: str, event: Event, body: CardRoom, _at: int, _key: Key) -> None:
    acceptances.fill(tx, station, event, body)


def _audit_head(tx: Connection, station: str, event: Event, body: AuditHead, at: int, key: Key) -> None:
    audit.take(tx, station, event, body, at, key)


def _pressure(tx: Connection, station: str, _event: Event, body: PressureTaken, at: int, _key: Key) -> None:
    if not patients.erased(tx, station, body.patient):
        pressures.take(tx, station, body, at)


def _mean(tx: Connection, station: str, event: Event, body: PressureAveraged, at: int, _key: Key) -> None:
    if not patients.erased(tx, station, body.patient):
        pressures.average(tx, station, event, body, at)


def _tombstone(tx: Connection, station: str, event: Event, body: Tombstone, at: int, _key: Key) -> None:
    once(tx, tables.tombstone, station=station, patient=body.patient, reason=body.reason, **_said(event, at))
    patients.forget(tx, station, body.patient)
    observations.forget(tx, station, body.patient)
    pressures.forget(tx, station, body.patient)
    numbers = consults.numbers_of(tx, station, body.patient)
    consents.forget(tx, station, body.patient, numbers)
    pictures.forget(tx, station, numbers)
    series.forget(tx, station, numbers)
    consults.forget(tx, station, numbers)


def bury(tx: Connection, grave: Grave) -> None:
    """Take a tombstone out of its separate copy: the store was put back to a time before the patient was erased."""
    stamp = Stamp(0, 0, 0, grave.wall, ClockQuality.UNKNOWN)
    body = Tombstone(grave.patient, grave.reason)
    _tombstone(tx, grave.station, Event(stamp, grave.actor, "", body), body, grave.received, (b"", 0, 0))


_TAKERS: dict[type, Callable[..., None]] = {
    PatientRegistered: _patient,
    PatientChanged: _patient,
    PatientMerged: _link,
    PatientUnmerged: _link,
    ConsentGiven: _consent,
    ConsentWithdrawn: _consent,
    ObservationRecorded: _observation,
    ObservationEnteredInError: _in_error,
    ObservationReassigned: _reassigned,
    MeasurementUnassigned: _unassigned,
    MeasurementDiscarded: _discarded,
    ConsultRequested: _requested,
    ConsultWithdrawn: _withdrawn,
    ConsultReply: _reply,
    QuestionShown: _question_shown,
    AnswerRead: _read,
    AttachmentOffered: _attachment,
    AttachmentChunk: _chunk,
    DeviceRegistered: _device,
    DeviceHealth: _health,
    DeviceClockRead: _clock,
    ConsultStrip: _strip,
    ClockAnchor: _anchor,
    EmergencyPressed: _emergency,
    StaffChanged: _staff,
    StationAccepted: _accepted,
    CardRoom: _card,
    AuditHead: _audit_head,
    PressureTaken: _pressure,
    PressureAveraged: _mean,
    Tombstone: _tombstone,
}
"""What stations say. Keys and whatever only a bridge may say have no place here."""
_TOGETHER = frozenset({ObservationRecorded, ConsultRequested, AnswerRead})
"""What comes by the million, and is taken together."""
