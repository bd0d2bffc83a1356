"""Consent: what a patient has agreed to, for which purpose, after hearing which text; and that they take it back.

Law 91/2025/QH15 (in force since 1 January 2026) asks for a consent that is voluntary, informed and explicit, for a named
purpose, never ticked beforehand, and as easy to take back. Each word of a patient is a row that stays; the latest word of
a purpose counts, also across records that were merged: it is the person who agrees. What may be done without it is
decided where it is done (`basis`): help that cannot wait never waits for a form (docs/decisions/0008).
"""

from dataclasses import dataclass

from appliance import __version__
from appliance.contract.events import Basis, ConsentGiven, ConsentWithdrawn, Event, Urgency
from appliance.contract.readings import Stamp
from appliance.database import Connection, transaction
from appliance.store.errors import Refused
from appliance.store.outbox import append
from appliance.store.patients import group, present

TREAT, HPAYMT, PUBHLTH, ERESRCH = "TREAT", "HPAYMT", "PUBHLTH", "ERESRCH"
PURPOSES = (TREAT, HPAYMT, PUBHLTH, ERESRCH)
"""The words of the VN Core guide (HL7 v3 PurposeOfUse): treatment, payment, public health, research."""

TEXT_VERSION = "2026-1"
"""Which `TEXTS` were read out. A changed text gets a new version: what somebody agreed to is never rewritten."""

_TREAT_VI = (
    "Trạm ghi họ tên, ngày sinh, số giấy tờ, kết quả đo, hình ảnh và lý do khám của ông/bà, gửi cho bác sĩ tuyến trên để tư vấn "
    "khám, chữa bệnh. Trạm y tế và đơn vị quản lý hệ thống giữ dữ liệu này. Ông/bà được xem, xin sửa và rút lại đồng ý bất cứ lúc "
    "nào; khi cấp cứu vẫn được giúp."
)
_TREAT_EN = (
    "The station records your name, birth date, card numbers, readings, pictures and complaint and sends them to doctors of the "
    "next tier for advice on your treatment. The station and the operator of the system keep these data. You may see them, have "
    "them corrected and take your agreement back at any time; in an emergency you are helped all the same."
)
TEXTS: dict[str, tuple[str, str]] = {
    TREAT: (_TREAT_VI, _TREAT_EN),
    HPAYMT: (
        "Dữ liệu lần khám được gửi cho cơ quan bảo hiểm xã hội để thanh toán BHYT.",
        "Data of the visit go to the social insurance for payment.",
    ),
    PUBHLTH: (
        "Dữ liệu được dùng để theo dõi sức khỏe cộng đồng và phòng dịch tại địa phương.",
        "Data are used to watch over public health and to prevent epidemics here.",
    ),
    ERESRCH: ("Dữ liệu không mang tên được dùng cho nghiên cứu y học.", "Data without names are used for medical research."),
}
"""What is read to the patient before they answer: (Vietnamese, English)."""


@dataclass(frozen=True, slots=True)
class Word:
    """The latest word of a patient about one purpose. `wall` is tenths of a second since 1970."""

    purpose: str
    given: bool
    text_version: str
    staff: str
    wall: int


def say(conn: Connection, *, patient: int, purpose: str, given: bool, staff: str, now: Stamp) -> bool:
    """The patient agrees, or takes it back; True when that is new, with its event. Own transaction.

    Taking back what was never given is kept too: a no is an answer. Refused for an unknown purpose, a patient who is not
    here, and without a staff code.
    """
    with transaction(conn):
        return say_within(conn, patient=patient, purpose=purpose, given=given, staff=staff, now=now)


def say_within(conn: Connection, *, patient: int, purpose: str, given: bool, staff: str, now: Stamp) -> bool:
    """As `say`, in the caller's transaction."""
    if purpose not in PURPOSES:
        raise Refused("Chọn một mục đích trong danh sách.", f"the purpose is one of {', '.join(PURPOSES)}")
    if not staff:
        raise Refused("Chọn tên nhân viên trước khi ghi.", "choose who you are before recording a consent")
    present(conn, patient)
    version = TEXT_VERSION if given else ""
    last = words(conn, patient).get(purpose)
    if last is not None and (last.given, last.text_version) == (given, version):
        return False
    conn.execute(
        "INSERT INTO consent (patient, purpose, given, text_version, staff, wall) VALUES (?, ?, ?, ?, ?, ?)",
        (patient, purpose, int(given), version, staff, now.wall),
    )
    body = ConsentGiven(patient, purpose, version) if given else ConsentWithdrawn(patient, purpose)
    append(conn, Event(now, staff, __version__, body))
    return True


def words(conn: Connection, patient: int) -> dict[str, Word]:
    """The latest word of each purpose that anything was said about, of this person in all their records."""
    marks = ", ".join("?" * len(same := group(conn, patient)))
    rows = conn.execute(
        f"SELECT purpose, given, text_version, staff, wall FROM consent WHERE patient IN ({marks}) ORDER BY id",  # noqa: S608 - question marks
        same,
    ).fetchall()
    return {row[0]: Word(row[0], bool(row[1]), row[2], row[3], row[4]) for row in rows}


def given(conn: Connection, patient: int, purpose: str = TREAT) -> bool:
    """True while the patient's latest word about the purpose is a yes."""
    last = words(conn, patient).get(purpose)
    return last is not None and last.given


def basis(conn: Connection, patient: int, urgency: Urgency, said: Basis = Basis.UNSAID) -> Basis:
    """On what ground a request may be sent: the consent that stands, else what a person said about it.

    An emergency is never held up: where nobody has said anything it goes as one. `UNSAID` means: ask first.
    """
    if given(conn, patient):
        return Basis.CONSENT
    if said is Basis.EMERGENCY or urgency is Urgency.EMERGENCY:
        return Basis.EMERGENCY
    return Basis.UNSAID
