"""Who may do what at the kiosk: one table, every endpoint in it. The guard, the access matrix and the audit read it.

A new page gets its row here, or no page opens (a test looks). `audit` is the word that the audit log gets when the page
was answered; pages that programs ask by themselves have none, nor has what writes its own entry (staff, PINs, emergencies).

The entry is written after the page was made and before it is sent, in a transaction of its own: where it cannot be written,
the page is not sent. What a person did carries its actor in the event itself; a power cut between that commit and this one
leaves the event with its actor and no entry here.
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


WHOM: dict[Rule, tuple[str, str]] = {
    Rule.STAFF: ("Đăng nhập để mở trang này.", "Sign in to open this page."),
    Rule.CLINICAL: (
        "Trang này có thông tin người bệnh: chỉ y tá, bác sĩ, trưởng trạm mở được. Nhờ một người trong đó đăng nhập.",
        "This page is about patients: only nurse, doctor and lead may open it. Ask one of them to sign in.",
    ),
    Rule.LEAD: (
        "Trang này chỉ trưởng trạm mở được. Nhờ trưởng trạm đăng nhập.",
        "Only the lead may open this page. Ask the lead to sign in.",
    ),
    Rule.TECHNICAL: (
        "Trang này chỉ kỹ thuật viên, trưởng trạm mở được. Nhờ một người trong đó đăng nhập.",
        "Only technician and lead may open this page. Ask one of them to sign in.",
    ),
}
"""What the page says to those who may not, and whom to ask."""


def may(role: str, rule: Rule) -> bool:
    """True when somebody of this role may; nobody's role is ``""``."""
    return rule is Rule.OPEN or role in ROLES[rule]


@dataclass(frozen=True, slots=True)
class Access:
    """One row of the table."""

    rule: Rule
    audit: str = ""


TABLE: dict[str, Access] = {
    "static": Access(Rule.OPEN),
    "home.start": Access(Rule.OPEN),
    "staff.pin": Access(Rule.OPEN),
    "staff.enter": Access(Rule.OPEN),
    "staff.own": Access(Rule.STAFF),
    "staff.change": Access(Rule.STAFF),
    "staff.team": Access(Rule.LEAD),
    "staff.form": Access(Rule.LEAD),
    "staff.add": Access(Rule.LEAD),
    "staff.person": Access(Rule.LEAD),
    "staff.give": Access(Rule.LEAD),
    "staff.unlock": Access(Rule.LEAD),
    "staff.retire": Access(Rule.LEAD),
    "staff.log": Access(Rule.LEAD, "audit.view"),
    "emergency.show": Access(Rule.OPEN, "emergency.open"),
    "emergency.press": Access(Rule.OPEN),
    "emergency.follow": Access(Rule.OPEN),
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
    "people.edit": Access(Rule.CLINICAL, "patient.view"),
    "people.change": Access(Rule.CLINICAL, "patient.change"),
    "people.allergies": Access(Rule.CLINICAL, "patient.view"),
    "people.say_allergies": Access(Rule.CLINICAL, "patient.allergies"),
    "consents.listing": Access(Rule.CLINICAL, "patient.view"),
    "consents.ask": Access(Rule.CLINICAL, "patient.view"),
    "consents.say": Access(Rule.CLINICAL, "patient.consent"),
    "merge.search": Access(Rule.CLINICAL, "patient.view"),
    "merge.find": Access(Rule.CLINICAL),
    "merge.found": Access(Rule.CLINICAL, "patient.search"),
    "merge.ask": Access(Rule.CLINICAL, "patient.view"),
    "merge.join": Access(Rule.CLINICAL, "patient.merge"),
    "merge.why": Access(Rule.CLINICAL, "patient.view"),
    "merge.part": Access(Rule.CLINICAL, "patient.unmerge"),
    "confirm.ask": Access(Rule.CLINICAL, "patient.view"),
    "confirm.confirm": Access(Rule.CLINICAL, "patient.confirm"),
    "choose.devices": Access(Rule.CLINICAL),
    "choose.choose": Access(Rule.CLINICAL, "session.open"),
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
    "manual.choose": Access(Rule.CLINICAL, "session.view"),
    "manual.ask": Access(Rule.CLINICAL),
    "manual.take": Access(Rule.CLINICAL, "measurement.typed"),
    "guided.show": Access(Rule.CLINICAL, "guided.view"),
    "guided.prepare": Access(Rule.CLINICAL),
    "guided.why": Access(Rule.CLINICAL),
    "guided.rested": Access(Rule.CLINICAL),
    "guided.start": Access(Rule.CLINICAL, "session.open"),
    "guided.finish": Access(Rule.CLINICAL, "guided.finish"),
    "guided.leave": Access(Rule.CLINICAL, "guided.leave"),
    "memory.devices": Access(Rule.CLINICAL),
    "memory.recall": Access(Rule.CLINICAL, "memory.read"),
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
    "pictures.listing": Access(Rule.CLINICAL, "picture.list"),
    "pictures.follow": Access(Rule.CLINICAL),
    "pictures.image": Access(Rule.CLINICAL),
    "pictures.add": Access(Rule.CLINICAL, "picture.add"),
    "pictures.take": Access(Rule.CLINICAL, "picture.add"),
    "pictures.camera": Access(Rule.CLINICAL),
    "pictures.remove": Access(Rule.CLINICAL, "picture.remove"),
    "pictures.ticket": Access(Rule.CLINICAL, "picture.ticket"),
    "pictures.phone": Access(Rule.CLINICAL),
    "history.show": Access(Rule.CLINICAL, "history.view"),
    "paper.choose_slip": Access(Rule.CLINICAL, "patient.view"),
    "paper.choose_summary": Access(Rule.CLINICAL, "consult.view"),
    "paper.slip": Access(Rule.CLINICAL, "patient.print"),
    "paper.summary": Access(Rule.CLINICAL, "consult.print"),
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
    "status.on_duty": Access(Rule.OPEN),
    "technician.show": Access(Rule.TECHNICAL),
    "technician.look": Access(Rule.TECHNICAL),
    "technician.act": Access(Rule.TECHNICAL),
    "technician.follow": Access(Rule.TECHNICAL),
    "technician.first": Access(Rule.OPEN),
    "technician.enter": Access(Rule.OPEN),
    "status.called": Access(Rule.OPEN, "alarm.called"),
    "status.aside": Access(Rule.STAFF),
    "bag.show": Access(Rule.STAFF),
    "bag.follow": Access(Rule.STAFF),
    "bag.swap": Access(Rule.STAFF, "bag.swap"),
}
"""Every endpoint of the kiosk."""

DEEDS: dict[str, tuple[str, str]] = {
    "staff.login": ("đăng nhập", "signed in"),
    "staff.add": ("thêm hoặc sửa nhân viên", "added or changed a member of staff"),
    "staff.retire": ("cho nhân viên nghỉ", "retired a member of staff"),
    "pin.wrong": ("nhập sai mã PIN", "a wrong PIN was typed"),
    "pin.locked": ("nhập sai mã PIN nhiều lần, bị khóa", "too many wrong PINs, locked"),
    "pin.unlock": ("mở khóa mã PIN", "unlocked a PIN"),
    "pin.set": ("đặt mã PIN", "set a PIN"),
    "pin.proved": ("nhập mã PIN cũ để đổi", "typed the old PIN to change it"),
    "access.denied": ("mở trang không được phép", "tried a page without the right to it"),
    "audit.view": ("xem nhật ký", "looked at the log"),
    "emergency.open": ("mở trang cấp cứu", "opened the emergency page"),
    "emergency.call": ("báo cấp cứu", "pressed the emergency button"),
    "emergency.again": ("báo cấp cứu lần nữa", "pressed the emergency button again"),
    "power.lost": ("mất điện lưới, chạy bằng pin", "the mains were lost, on battery"),
    "power.restored": ("có điện lưới trở lại", "the mains came back"),
    "power.shutdown": ("pin sắp hết: máy được yêu cầu tắt", "long on battery: the box was asked to end"),
    "bag.swap": ("nhận và đóng túi thư USB", "took in and packed a post bag"),
    "alarm.called": ("đã gọi điện vì cấp cứu chưa ai xem", "telephoned about an unseen emergency"),
    "acceptance.begin": ("bắt đầu nghiệm thu", "began the acceptance"),
    "acceptance.seen": ("thử camera, máy in hoặc đèn: chạy tốt", "saw camera, printer or lamp work"),
    "acceptance.waive": ("miễn một bước nghiệm thu", "waived a step of the acceptance"),
    "acceptance.sign": ("ký nghiệm thu trạm", "accepted the station"),
    "device.trial": ("đo thử máy trên tay mình", "tried a device on themself"),
    "device.bind": ("gắn máy đo vào cổng", "bound a device to a port"),
    "device.unbind": ("gỡ máy đo khỏi cổng", "took a device off a port"),
    "field.use": ("chọn kết nối mạng", "chose a connection"),
    "field.apn": ("đặt APN của modem", "set the modem's APN"),
    "field.wifi": ("nối Wi-Fi", "joined a Wi-Fi"),
    "field.enrol": ("ghi danh trạm", "enrolled the station"),
    "field.logs": ("ghi nhật ký máy ra USB", "wrote the box's logs on a stick"),
    "logs.usb": ("ghi nhật ký máy ra USB", "wrote the box's logs on a stick"),
    "patient.search": ("tìm người bệnh", "searched for patients"),
    "patient.list": ("xem danh sách người bệnh", "looked at the list of patients"),
    "patient.register": ("đăng ký người bệnh", "registered a patient"),
    "patient.view": ("xem người bệnh", "looked at a patient"),
    "patient.change": ("sửa hồ sơ người bệnh", "changed a patient's record"),
    "patient.allergies": ("ghi dị ứng", "recorded allergies"),
    "patient.consent": ("ghi ý kiến đồng ý của người bệnh", "recorded a consent"),
    "patient.merge": ("gộp hồ sơ", "merged two records"),
    "patient.unmerge": ("tách hồ sơ", "took two records apart"),
    "patient.confirm": ("xác nhận người bệnh", "confirmed a patient"),
    "session.open": ("bắt đầu đo", "opened a measuring session"),
    "session.view": ("xem màn hình đo", "looked at a measuring session"),
    "measurement.typed": ("gõ kết quả bằng tay", "typed a reading"),
    "guided.view": ("xem lượt đo huyết áp có hướng dẫn", "looked at a guided blood pressure"),
    "guided.finish": ("ghi trung bình của lượt đo huyết áp", "kept the mean of a guided blood pressure"),
    "guided.leave": ("dừng lượt đo huyết áp", "gave up a guided blood pressure"),
    "memory.read": ("đọc bộ nhớ máy đo", "read a device's memory"),
    "cuff.start": ("bơm vòng bít", "started the cuff"),
    "cuff.stop": ("dừng bơm", "stopped the cuff"),
    "cuff.off": ("báo đã tháo vòng bít", "said that the cuff is off"),
    "observation.save": ("lưu kết quả đo", "saved a reading"),
    "measurement.discard": ("bỏ kết quả, đo lại", "discarded a measurement"),
    "measurement.assign": ("gán kết quả cho người bệnh", "assigned a measurement to a patient"),
    "tray.view": ("xem kết quả chưa có tên", "looked at readings without a name"),
    "held.seen": ("đã xem kết quả bị giữ", "saw a held reading"),
    "consult.list": ("xem danh sách yêu cầu", "looked at the list of requests"),
    "consult.send": ("gửi yêu cầu cho bác sĩ", "sent a request"),
    "consult.view": ("xem yêu cầu", "looked at a request"),
    "consult.reply": ("trả lời câu hỏi của bác sĩ", "replied to a doctor's question"),
    "consult.withdraw": ("rút yêu cầu", "withdrew a request"),
    "answer.read": ("đã đọc trả lời của bác sĩ", "read a doctor's answer"),
    "observation.view": ("xem một kết quả", "looked at a reading"),
    "picture.list": ("xem ảnh của yêu cầu", "looked at pictures of a request"),
    "picture.add": ("thêm ảnh", "added a picture"),
    "picture.remove": ("bỏ ảnh", "removed a picture"),
    "picture.ticket": ("mở chỗ nhận ảnh từ điện thoại", "opened the way for a telephone's picture"),
    "observation.error": ("đánh dấu kết quả sai", "marked a reading as wrong"),
    "history.view": ("xem diễn biến 12 tháng", "looked at the last twelve months"),
    "patient.print": ("in phiếu khám", "printed a visit slip"),
    "consult.print": ("in tóm tắt hỏi bác sĩ", "printed a consult summary"),
    "observation.reassign": ("chuyển kết quả sang người khác", "moved a reading to another patient"),
}
"""What the audit log's words mean to people. A word that is missing here is shown as it is."""
