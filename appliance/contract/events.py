"""Everything that can happen, one numbered kind each. Kinds and field numbers are never reused or changed.

An `Event` is the common part (when, who, with which software) around one body. Bodies name things by short numbers
(`ids`); there are no foreign keys between lanes: a reader shows *details on the way* for what it does not have yet.
"""

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Any, ClassVar

from appliance.contract.guided import Arm, Cuff, Posture, Unrested
from appliance.contract.lanes import Lane
from appliance.contract.readings import Kept, Reading, Stamp
from appliance.contract.wiring import wire


class Sex(IntEnum):
    """Administrative sex. One internal enumeration; every outside format has its own adapter (sex codes differ)."""

    UNKNOWN = 0
    MALE = 1
    FEMALE = 2
    OTHER = 3


class Allergies(IntEnum):
    """Whether allergies were asked for. *Unknown* and *none known* are different things."""

    UNKNOWN = 0
    NONE_KNOWN = 1
    KNOWN = 2


class Urgency(IntEnum):
    """FHIR request priority."""

    ROUTINE = 0
    URGENT = 1
    EMERGENCY = 2


class Department(IntEnum):
    """The six departments on duty (routing key)."""

    GENERAL = 0
    INTERNAL = 1
    SURGERY = 2
    OBSTETRICS = 3
    PAEDIATRICS = 4
    INFECTIOUS = 5


class ConsultField(IntEnum):
    """The six telemedicine fields of Circular 49/2017/TT-BYT."""

    TU_VAN = 0
    HOI_CHAN = 1
    CDHA = 2
    GPB = 3
    PHAU_THUAT = 4
    DAO_TAO = 5


class Basis(IntEnum):
    """Why a patient's data may be sent to a doctor (Law 91/2025: consent, or help that cannot wait for it)."""

    UNSAID = 0
    CONSENT = 1
    """The patient, or who answers for them, has agreed to *TREAT*; the consent itself is an event of its own."""
    EMERGENCY = 2
    """Nobody could be asked: life or health could not wait."""


class Marks(IntFlag):
    """What must be said about how an observation came to its patient."""

    LATE = 1
    """*gán sau*: assigned by a person from the unassigned tray."""
    KEPT = 2
    """Kept by a person although the box asked to measure again."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the patient is, as far as the station knows. Dates are ISO text (``1961``, ``1961-04``, ``1961-04-30``), names NFC.

    `version` counts the station's changes of this patient; order is by it, never by arrival.
    """

    patient: int = wire(1)
    version: int = wire(2)
    name: str = wire(3)
    birth: str = wire(4, default="")
    sex: Sex = wire(5, default=Sex.UNKNOWN)
    cccd: str = wire(6, default="")
    bhyt: str = wire(7, default="")
    allergies: Allergies = wire(8, default=Allergies.UNKNOWN)
    allergy_text: str = wire(9, default="")
    phone: str = wire(10, default="")
    village: str = wire(11, default="")
    station_number: str = wire(12, default="")


@dataclass(frozen=True, slots=True)
class PatientRegistered:
    """A patient the station did not have before."""

    KIND: ClassVar[int] = 1
    LANE: ClassVar[Lane] = Lane.READINGS
    identity: Identity = wire(1)


@dataclass(frozen=True, slots=True)
class PatientChanged:
    """What the station now knows of a patient; `identity.version` says which knowledge is newer."""

    KIND: ClassVar[int] = 2
    LANE: ClassVar[Lane] = Lane.READINGS
    identity: Identity = wire(1)
    reason: str = wire(2, default="")


@dataclass(frozen=True, slots=True)
class PatientMerged:
    """`duplicate` is the same person as `patient`; both rows stay."""

    KIND: ClassVar[int] = 3
    LANE: ClassVar[Lane] = Lane.READINGS
    patient: int = wire(1)
    duplicate: int = wire(2)
    reason: str = wire(3, default="")


@dataclass(frozen=True, slots=True)
class PatientUnmerged:
    """`duplicate` was another person after all."""

    KIND: ClassVar[int] = 4
    LANE: ClassVar[Lane] = Lane.READINGS
    patient: int = wire(1)
    duplicate: int = wire(2)
    reason: str = wire(3, default="")


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """`purpose` uses the VN Core words TREAT, HPAYMT, PUBHLTH, ERESRCH."""

    KIND: ClassVar[int] = 5
    LANE: ClassVar[Lane] = Lane.READINGS
    patient: int = wire(1)
    purpose: str = wire(2)
    text_version: str = wire(3, default="")


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn:
    """The consent to one purpose no longer holds."""

    KIND: ClassVar[int] = 6
    LANE: ClassVar[Lane] = Lane.READINGS
    patient: int = wire(1)
    purpose: str = wire(2)


@dataclass(frozen=True, slots=True)
class ObservationRecorded:
    """A reading a person gave to a patient. The event's stamp is the reading's; `saved_after` whole seconds later it was saved."""

    KIND: ClassVar[int] = 10
    LANE: ClassVar[Lane] = Lane.READINGS
    patient: int = wire(1)
    reading: Reading = wire(2)
    saved_after: int = wire(3, default=0)
    marks: Marks = wire(4, default=Marks(0))


@dataclass(frozen=True, slots=True)
class ObservationEnteredInError:
    """The reading with this key was never true of the patient; it stays and says so."""

    KIND: ClassVar[int] = 11
    LANE: ClassVar[Lane] = Lane.CONSULT
    patient: int = wire(1)
    key: bytes = wire(2)
    reason: str = wire(3)


@dataclass(frozen=True, slots=True)
class ObservationReassigned:
    """The reading belongs to `to_patient`; the original stays and says so."""

    KIND: ClassVar[int] = 12
    LANE: ClassVar[Lane] = Lane.CONSULT
    patient: int = wire(1)
    key: bytes = wire(2)
    to_patient: int = wire(3)
    reason: str = wire(4)


@dataclass(frozen=True, slots=True)
class MeasurementUnassigned:
    """A measurement that belongs to nobody (decision 14): it is never given to a patient by a machine."""

    KIND: ClassVar[int] = 13
    LANE: ClassVar[Lane] = Lane.READINGS
    reading: Reading = wire(1)
    reason: str = wire(2)
    twin: bytes = wire(3, default=b"")
    """The reading key of the live measurement that this record from a device's memory is a copy of."""


@dataclass(frozen=True, slots=True)
class MeasurementDiscarded:
    """An attempt that a person did not keep (*đo lại*). It goes into no record, but nothing that was measured is hidden.

    `patient` is that of the measuring session, 0 when it was in nobody's.
    """

    KIND: ClassVar[int] = 14
    LANE: ClassVar[Lane] = Lane.READINGS
    reading: Reading = wire(1)
    reason: str = wire(2)
    patient: int = wire(3, default=0)


@dataclass(frozen=True, slots=True)
class DeviceLabel:
    """The device number of a reading beside a name people know."""

    device: int = wire(1)
    name: str = wire(2)


@dataclass(frozen=True, slots=True)
class ConsultRequested:
    """Self-contained: it carries the identity, the complaint and a copy of every reading it cites, so that it can be read alone."""

    KIND: ClassVar[int] = 20
    LANE: ClassVar[Lane] = Lane.URGENT
    consult: int = wire(1)
    identity: Identity = wire(2)
    urgency: Urgency = wire(3)
    department: Department = wire(4)
    complaint: str = wire(5)
    readings: tuple[Reading, ...] = wire(6, default=())
    devices: tuple[DeviceLabel, ...] = wire(7, default=())
    field: ConsultField = wire(8, default=ConsultField.TU_VAN)
    attachments: int = wire(9, default=0)
    staff_name: str = wire(10, default="")
    basis: Basis = wire(11, default=Basis.UNSAID)


@dataclass(frozen=True, slots=True)
class ConsultWithdrawn:
    """The station no longer asks."""

    KIND: ClassVar[int] = 21
    LANE: ClassVar[Lane] = Lane.URGENT
    consult: int = wire(1)
    reason: str = wire(2)


@dataclass(frozen=True, slots=True)
class ConsultOpened:
    """A doctor has opened the request. `actor` of the event is the doctor; `who` is the name to show."""

    KIND: ClassVar[int] = 22
    LANE: ClassVar[Lane] = Lane.URGENT
    consult: int = wire(1)
    who: str = wire(2)


@dataclass(frozen=True, slots=True)
class ConsultClaimed:
    """A doctor (`who`) has taken the request until `until`, tenths of a second since 1970."""

    KIND: ClassVar[int] = 23
    LANE: ClassVar[Lane] = Lane.URGENT
    consult: int = wire(1)
    who: str = wire(2)
    until: int = wire(3)


@dataclass(frozen=True, slots=True)
class ConsultQuestion:
    """The doctor asks back; `question` numbers it within the consult."""

    KIND: ClassVar[int] = 24
    LANE: ClassVar[Lane] = Lane.URGENT
    consult: int = wire(1)
    question: int = wire(2)
    who: str = wire(3)
    text: str = wire(4)


@dataclass(frozen=True, slots=True)
class ConsultReply:
    """The station's reply to a question, with copies of new readings."""

    KIND: ClassVar[int] = 25
    LANE: ClassVar[Lane] = Lane.URGENT
    consult: int = wire(1)
    question: int = wire(2)
    text: str = wire(3)
    readings: tuple[Reading, ...] = wire(4, default=())


@dataclass(frozen=True, slots=True)
class EmergencyPressed:
    """Somebody at the station pressed the emergency button, with or without a PIN (`actor` of the event is then empty).

    It says that a person there needs help now and names nobody; `call` is its number.
    """

    KIND: ClassVar[int] = 26
    LANE: ClassVar[Lane] = Lane.URGENT
    call: int = wire(1)
    note: str = wire(2, default="")


@dataclass(frozen=True, slots=True)
class ConsultEscalated:
    """Nobody opened the request in time: it has gone on to tier `tier`, whose name for people is `to`."""

    KIND: ClassVar[int] = 27
    LANE: ClassVar[Lane] = Lane.URGENT
    consult: int = wire(1)
    tier: int = wire(2)
    to: str = wire(3)


@dataclass(frozen=True, slots=True)
class QuestionShown:
    """The doctor's question is on the kiosk's screen, in front of somebody who has signed in (`actor` of the event)."""

    KIND: ClassVar[int] = 28
    LANE: ClassVar[Lane] = Lane.URGENT
    consult: int = wire(1)
    question: int = wire(2)


@dataclass(frozen=True, slots=True)
class ReplySeen:
    """A doctor (`who`) has the station's replies to a question in front of them; `replies` is how many there are."""

    KIND: ClassVar[int] = 29
    LANE: ClassVar[Lane] = Lane.URGENT
    consult: int = wire(1)
    question: int = wire(2)
    who: str = wire(3)
    replies: int = wire(4, default=1)


@dataclass(frozen=True, slots=True)
class AnswerSigned:
    """`content` is the exact CBOR that was signed (an `answers.Answer`); `signature` is the bridge's Ed25519 over it.

    The station verifies before it shows anything. `answer` repeats the consult-scoped id so that a repeat is shown once.
    """

    KIND: ClassVar[int] = 30
    LANE: ClassVar[Lane] = Lane.URGENT
    consult: int = wire(1)
    answer: int = wire(2)
    content: bytes = wire(3)
    key_id: int = wire(4)
    signature: bytes = wire(5)


@dataclass(frozen=True, slots=True)
class AnswerCorrected:
    """As `AnswerSigned`; it replaces `replaces`, which stays readable."""

    KIND: ClassVar[int] = 31
    LANE: ClassVar[Lane] = Lane.URGENT
    consult: int = wire(1)
    answer: int = wire(2)
    replaces: int = wire(3)
    content: bytes = wire(4)
    key_id: int = wire(5)
    signature: bytes = wire(6)


@dataclass(frozen=True, slots=True)
class AnswerRead:
    """The station's practitioner has read and confirmed the answer. `shown` alone means: it is on the kiosk's screen."""

    KIND: ClassVar[int] = 32
    LANE: ClassVar[Lane] = Lane.URGENT
    consult: int = wire(1)
    answer: int = wire(2)
    who: str = wire(3)
    confirmed: bool = wire(4, default=True)


@dataclass(frozen=True, slots=True)
class AttachmentOffered:
    """`digest` is the SHA-256 of the whole content, which follows as chunks in its own lane."""

    KIND: ClassVar[int] = 40
    LANE: ClassVar[Lane] = Lane.CONSULT
    consult: int = wire(1)
    digest: bytes = wire(2)
    media_type: str = wire(3)
    size: int = wire(4)
    preview_of: bytes | None = wire(5, default=None)
    caption: str = wire(6, default="")


@dataclass(frozen=True, slots=True)
class AttachmentChunk:
    """Part number `part` (from 0) of the `parts` parts of the content whose SHA-256 begins with the 8 bytes of `name`.

    Each is an event of its own, so that receipts say which parts are missing and only those are sent again. Chunks of a
    preview travel in CONSULT. The offer has the whole digest, the sender and the software: a chunk repeats none of it,
    because every byte here is paid for each time. Empty `data` says that the content was erased.
    """

    KIND: ClassVar[int] = 41
    LANE: ClassVar[Lane] = Lane.ATTACHMENTS
    name: bytes = wire(1)
    part: int = wire(2)
    parts: int = wire(3)
    data: bytes = wire(4)


@dataclass(frozen=True, slots=True)
class AttachmentHeld:
    """What the bridge holds of a content: bit `part` of `held` (`bitmaps`), out of `parts`. What is held need not be sent.

    `again` numbers the bridge's requests, from 1: everything that is not held is to be sent anew, also what was vouched for;
    0 asks for nothing. `reason` says what was wrong (``digest``, ``jpeg``, ``size``, ``parts``); with `again` 0 it is final.
    """

    KIND: ClassVar[int] = 42
    LANE: ClassVar[Lane] = Lane.CONSULT
    digest: bytes = wire(1)
    parts: int = wire(2)
    held: bytes = wire(3)
    again: int = wire(4, default=0)
    reason: str = wire(5, default="")


@dataclass(frozen=True, slots=True)
class AnswerKept:
    """An answer that the station has, given back to a bridge whose store was restored: the exact bytes and the bridge's signature."""

    KIND: ClassVar[int] = 43
    LANE: ClassVar[Lane] = Lane.CONSULT
    consult: int = wire(1)
    answer: int = wire(2)
    content: bytes = wire(3)
    key_id: int = wire(4)
    signature: bytes = wire(5)
    replaces: int | None = wire(6, default=None)


@dataclass(frozen=True, slots=True)
class DeviceRegistered:
    """What stands behind a device number. `identity` is the text whose `ids.short_of` is `device`.

    `inventory` is the owner's inventory number; `calibrated` and `next_calibration` are dates as ``2026-05-01``, empty when unknown.
    """

    KIND: ClassVar[int] = 50
    LANE: ClassVar[Lane] = Lane.READINGS
    device: int = wire(1)
    identity: str = wire(2)
    name: str = wire(3)
    driver: str = wire(4)
    model: str = wire(5, default="")
    serial: str = wire(6, default="")
    test_data: bool = wire(7, default=False)
    inventory: str = wire(8, default="")
    calibrated: str = wire(9, default="")
    next_calibration: str = wire(10, default="")


@dataclass(frozen=True, slots=True)
class ClockAnchor:
    """At tick `ticks` of boot `boot` the true time was `wall` (tenths of a second since 1970) within ± `error` tenths."""

    KIND: ClassVar[int] = 51
    LANE: ClassVar[Lane] = Lane.READINGS
    boot: int = wire(1)
    ticks: int = wire(2)
    wall: int = wire(3)
    error: int = wire(4)
    source: str = wire(5)


@dataclass(frozen=True, slots=True)
class KeyPublished:
    """A key of this station and epoch. `purpose` is ``sign`` (Ed25519 public key) or ``seal`` (HPKE, issue of sealing)."""

    KIND: ClassVar[int] = 52
    LANE: ClassVar[Lane] = Lane.URGENT
    key_id: int = wire(1)
    purpose: str = wire(2)
    public: bytes = wire(3)
    signature: bytes = wire(4, default=b"")


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stood under `patient` is erased for ever; a tombstone outranks data."""

    KIND: ClassVar[int] = 53
    LANE: ClassVar[Lane] = Lane.URGENT
    patient: int = wire(1)
    reason: str = wire(2)


@dataclass(frozen=True, slots=True)
class StaffChanged:
    """Who a staff code stands for. No PIN and nothing of one ever travels."""

    KIND: ClassVar[int] = 54
    LANE: ClassVar[Lane] = Lane.READINGS
    code: str = wire(1)
    name: str = wire(2)
    role: str = wire(3)
    active: bool = wire(4, default=True)


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The head of the station's audit chain: `head` is the hash of entry number `count`.

    `before` is the hash that the station's own rows give for entry `before_count`, the number of the head it sent last,
    reckoned anew from all rows: whoever takes away, changes or moves an entry cannot make both agree with what the bridge has.
    """

    KIND: ClassVar[int] = 55
    LANE: ClassVar[Lane] = Lane.READINGS
    count: int = wire(1)
    head: bytes = wire(2)
    before_count: int = wire(3, default=0)
    before: bytes = wire(4, default=b"")


@dataclass(frozen=True, slots=True)
class CardRoom:
    """How full the station's card is: told once a day, and when it has changed by a twentieth. Sizes in MiB."""

    KIND: ClassVar[int] = 56
    LANE: ClassVar[Lane] = Lane.CONTENT
    used: int = wire(1)
    total: int = wire(2)


@dataclass(frozen=True, slots=True)
class Waiver:
    """A step of the acceptance that did not pass, and why the technician accepted the station all the same."""

    step: str = wire(1)
    reason: str = wire(2)


@dataclass(frozen=True, slots=True)
class StationAccepted:
    """A technician has accepted the station. `code` is its status code at that moment; steps are named as in `store.acceptance`.

    `absent` are the parts that this station does not have.
    """

    KIND: ClassVar[int] = 57
    LANE: ClassVar[Lane] = Lane.READINGS
    technician: str = wire(1)
    code: str = wire(2)
    passed: tuple[str, ...] = wire(3)
    absent: tuple[str, ...] = wire(4, default=())
    waived: tuple[Waiver, ...] = wire(5, default=())


@dataclass(frozen=True, slots=True)
class Duty:
    """One shift: who answers for a department of a tier from `start` to `end` (tenths of a second since 1970)."""

    department: Department = wire(1)
    tier: int = wire(2)
    start: int = wire(3)
    end: int = wire(4)
    name: str = wire(5)
    phone: str = wire(6, default="")


@dataclass(frozen=True, slots=True)
class RotaPublished:
    """Who is on duty between `start` and `end` for this station; a higher `version` replaces what was said of the same hours."""

    KIND: ClassVar[int] = 60
    LANE: ClassVar[Lane] = Lane.FORMS
    version: int = wire(1)
    start: int = wire(2)
    end: int = wire(3)
    shifts: tuple[Duty, ...] = wire(4, default=())


@dataclass(frozen=True, slots=True)
class PressureTaken:
    """How a blood pressure was taken, saved with it; `key` is the reading's. `series` is the guided series it belongs to.

    `rested` are whole seconds of rest before the first reading of the series, `unrested` why it was cut short.
    """

    KIND: ClassVar[int] = 70
    LANE: ClassVar[Lane] = Lane.READINGS
    patient: int = wire(1)
    key: bytes = wire(2)
    series: int = wire(3)
    arm: Arm = wire(4, default=Arm.UNSAID)
    cuff: Cuff = wire(5, default=Cuff.UNSAID)
    posture: Posture = wire(6, default=Posture.UNSAID)
    rested: int = wire(7, default=0)
    unrested: Unrested = wire(8, default=Unrested.NO)


@dataclass(frozen=True, slots=True)
class PressureAveraged:
    """The mean of a guided series in tenths, by rule number `rule` of `guided.PROTOCOLS`. It stands beside its readings, never for them.

    `keys` are all readings of the series in their order, `used` those that the mean was made of.
    """

    KIND: ClassVar[int] = 71
    LANE: ClassVar[Lane] = Lane.READINGS
    patient: int = wire(1)
    series: int = wire(2)
    rule: int = wire(3)
    keys: tuple[bytes, ...] = wire(4)
    used: tuple[bytes, ...] = wire(5)
    systolic: int = wire(6)
    diastolic: int = wire(7)
    pulse: int | None = wire(8, default=None)


@dataclass(frozen=True, slots=True)
class ConsultStrip:
    """The pulse wave of a reading and its SpO2 and pulse of each second (`strips`), which a person sends along with a request.

    `key` is the reading's; `wave` is empty where the device gives none. Decision 26: only what was ticked or asked for goes up.
    """

    KIND: ClassVar[int] = 74
    LANE: ClassVar[Lane] = Lane.CONSULT
    consult: int = wire(1)
    key: bytes = wire(2)
    wave: bytes = wire(3)
    spo2: bytes = wire(4, default=b"")
    pulse: bytes = wire(5, default=b"")


@dataclass(frozen=True, slots=True)
class DeviceClockRead:
    """What a device's own clock `said` (local time as text) at the event's stamp, and by how many seconds it was `ahead` of the box's.

    `ahead` is negative for one that is behind, None when what it said is no time. Sent with the records that were read out then.
    """

    KIND: ClassVar[int] = 76
    LANE: ClassVar[Lane] = Lane.READINGS
    device: int = wire(1)
    said: str = wire(2)
    ahead: int | None = wire(3, default=None)


@dataclass(frozen=True, slots=True)
class DeviceHealth:
    """How well a device is heard: sent when its alarm begins or ends, at most once an hour.

    `bad` are the bytes of a thousand that belonged to no frame, `silence` whole seconds since it was last understood,
    `reopenings` how often its line was opened again in the last hour.
    """

    KIND: ClassVar[int] = 79
    LANE: ClassVar[Lane] = Lane.READINGS
    device: int = wire(1)
    alarm: bool = wire(2)
    bad: int = wire(3, default=0)
    silence: int = wire(4, default=0)
    reopenings: int = wire(5, default=0)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A kind of a later version: kept as its raw CBOR, receipted as received, read again after an update."""

    kind: int
    raw: bytes


Body = (
    PatientRegistered | PatientChanged | PatientMerged | PatientUnmerged | ConsentGiven | ConsentWithdrawn
    | ObservationRecorded | ObservationEnteredInError | ObservationReassigned | MeasurementUnassigned | MeasurementDiscarded
    | ConsultRequested | ConsultWithdrawn | ConsultOpened | ConsultClaimed | ConsultQuestion | ConsultReply
    | EmergencyPressed | ConsultEscalated | QuestionShown | ReplySeen
    | AnswerSigned | AnswerCorrected | AnswerRead | AttachmentOffered | AttachmentChunk | AttachmentHeld | AnswerKept
    | DeviceRegistered | ClockAnchor | KeyPublished | Tombstone | StaffChanged | AuditHead | CardRoom | StationAccepted | RotaPublished
    | PressureTaken | PressureAveraged | ConsultStrip | DeviceClockRead | DeviceHealth | Unknown
)  # fmt: skip

KINDS: dict[int, type] = {
    cls.KIND: cls
    for cls in (
        PatientRegistered, PatientChanged, PatientMerged, PatientUnmerged, ConsentGiven, ConsentWithdrawn,
        ObservationRecorded, ObservationEnteredInError, ObservationReassigned, MeasurementUnassigned, MeasurementDiscarded,
        ConsultRequested, ConsultWithdrawn, ConsultOpened, ConsultClaimed, ConsultQuestion, ConsultReply,
        EmergencyPressed, ConsultEscalated, QuestionShown, ReplySeen,
        AnswerSigned, AnswerCorrected, AnswerRead, AttachmentOffered, AttachmentChunk, AttachmentHeld, AnswerKept,
        DeviceRegistered, ClockAnchor, KeyPublished, Tombstone, StaffChanged, AuditHead, CardRoom, StationAccepted, RotaPublished,
        PressureTaken, PressureAveraged, ConsultStrip, DeviceClockRead, DeviceHealth,
    )
}  # fmt: skip
"""Every kind this version can read, by its number."""


@dataclass(frozen=True, slots=True)
class Event(Kept):
    """One thing that happened. `actor` is the staff or doctor id (``""`` = the machine by itself), `software` the version that made it.

    `extra` holds body entries of a later version by their numbers: they are kept and sent on, never dropped.
    The sequence number is not in here: it belongs to (station, epoch, lane) and is given by the outbox.
    """

    stamp: Stamp
    actor: str
    software: str
    body: Body
    extra: dict[int, Any] = field(default_factory=dict)

    @property
    def kind(self) -> int:
        """The number of the event's kind, also for a kind this version does not know."""
        return self.body.kind if isinstance(self.body, Unknown) else self.body.KIND
