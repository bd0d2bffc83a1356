"""What was said of an erased patient leaves the outgoing copies too: each such event becomes the tombstone, at its own number.

The copies are kept as the cloud's second backup (decision 25). Of an erased patient there is nothing to bring back: a restored
bridge takes every tombstone before it hears a station (decision 24). So what a bridge has received is rewritten where it
lies, in the outbox and in the frozen parcels, which keep their numbers: others' events in them are offered again as ever. What is
on its way is left alone, byte for byte; it leaves the card 90 days after its receipt.
"""

import zlib
from bisect import bisect_left
from collections.abc import Iterable

from appliance.contract.codec import read_event, write_event
from appliance.contract.errors import WireError
from appliance.contract.events import (
    AttachmentOffered,
    ConsentGiven,
    ConsentWithdrawn,
    ConsultReply,
    ConsultRequested,
    ConsultStrip,
    ConsultWithdrawn,
    Event,
    MeasurementDiscarded,
    ObservationRecorded,
    PatientChanged,
    PatientRegistered,
    PressureAveraged,
    PressureTaken,
    Tombstone,
)
from appliance.contract.parcels import peek, read_parcel, write_parcel
from appliance.contract.receipts import digest
from appliance.database import Connection
from appliance.store.outbox import RECEIVED
from appliance.store.sealing import opening_keys, seal_again

SETTLED = 1
"""`parcel.state`: the bridge has vouched for all of it."""
_OF_A_PERSON = (
    PatientRegistered, PatientChanged, ConsentGiven, ConsentWithdrawn, MeasurementDiscarded, ConsultRequested, ConsultWithdrawn,
    ConsultReply, AttachmentOffered, ConsultStrip, PressureTaken, PressureAveraged,
)  # fmt: skip
"""Kinds with words or values of one patient. Readings are found by their rows; corrections and links of two records hold numbers
that keep the other patient's readings right, and stay."""

Places = dict[tuple[int, int], list[int]]
"""(epoch row, lane) → numbers, ascending."""


def scrub(conn: Connection, patient: int) -> int:
    """Rewrite what a bridge has received about `patient`, in the caller's transaction; how many events.

    To be called while the patient's consults and observations are still there, after what was given to others is theirs.
    """
    asked = {int(row[0]) for row in conn.execute("SELECT id FROM consult WHERE patient = ?", (patient,))}
    kinds = ", ".join(str(cls.KIND) for cls in _OF_A_PERSON)
    rows = conn.execute(
        "SELECT id, epoch, lane, seq, body FROM outbox WHERE state = ? AND length(body) > 0"  # noqa: S608 - numbers of this module
        f" AND (kind IN ({kinds}) OR id IN (SELECT outbox FROM observation WHERE owner = ? OR (owner IS NULL AND patient = ?)))"
        " ORDER BY epoch, lane, seq",
        (RECEIVED, patient, patient),
    ).fetchall()
    places: Places = {}
    count = 0
    for row in rows:
        try:
            event = read_event(bytes(row["body"]))
        except WireError:
            continue  # a spoilt row says nothing of anybody
        if _about(event, patient, asked):
            body = write_event(_grave(event, patient))
            conn.execute("UPDATE outbox SET kind = ?, body = ?, crc = ? WHERE id = ?", (Tombstone.KIND, body, zlib.crc32(body), row["id"]))
            places.setdefault((row["epoch"], row["lane"]), []).append(row["seq"])
            count += 1
    _rewrite(conn, places, patient)
    return count


def _about(event: Event, patient: int, asked: set[int]) -> bool:
    body = event.body
    if isinstance(body, (PatientRegistered, PatientChanged, ConsultRequested)):
        return body.identity.patient == patient
    if isinstance(body, (ConsultWithdrawn, ConsultReply, AttachmentOffered, ConsultStrip)):
        return body.consult in asked
    if isinstance(body, (ObservationRecorded, ConsentGiven, ConsentWithdrawn, MeasurementDiscarded, PressureTaken, PressureAveraged)):
        return body.patient == patient
    return False


def _grave(event: Event, patient: int) -> Event:
    """What stands in an event's place: who is erased, and nothing of them."""
    return Event(event.stamp, "", event.software, Tombstone(patient, ""))


def _rewrite(conn: Connection, places: Places, patient: int) -> None:
    """The settled parcels that hold these events; one that cannot be opened is left as it is."""
    if not places:
        return
    for row in conn.execute("SELECT number, epoch, lane, first_seq, count FROM parcel WHERE state = ?", (SETTLED,)).fetchall():
        numbers = places.get((row["epoch"], row["lane"]), ())
        first, after = row["first_seq"], row["first_seq"] + row["count"]
        mine = set(numbers[bisect_left(numbers, first) : bisect_left(numbers, after)])
        if mine:
            payload = bytes(conn.execute("SELECT payload FROM parcel WHERE number = ?", (row["number"],)).fetchone()[0])
            bare = _without(conn, payload, {number - first for number in mine}, patient)
            if bare is not None:
                conn.execute("UPDATE parcel SET payload = ?, digest = ? WHERE number = ?", (bare, digest(bare), row["number"]))


def _without(conn: Connection, payload: bytes, at: Iterable[int], patient: int) -> bytes | None:
    """A parcel, clear or sealed, whose events at these places (0 = the first) are the tombstone."""
    try:
        header, events = read_parcel(payload, opening_keys(conn, peek(payload)))
    except WireError:
        return None
    for place in at:
        events[place] = _grave(events[place], patient)
    return write_parcel(header, events, seal_again(conn, header))
