"""Words of the console in two languages: Vietnamese first, English second. Pairs stand where they are used; what is used in
several places stands here.
"""

from collections.abc import Mapping

from appliance.contract.events import Allergies, Basis, ConsultField, Department, Sex, Urgency
from appliance.contract.metrics import Status
from appliance.contract.readings import ClockQuality, ReadingKind, Source

Pair = tuple[str, str]

LANGUAGES = ("vi", "en")


class Say:
    """`t("Lưu", "Save")` in the language of the session."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, vi: str, en: str) -> str:
        """One of the two."""
        return en if self.language == "en" else vi


KINDS: Mapping[ReadingKind, Pair] = {
    ReadingKind.SPO2: ("Đo SpO₂", "Pulse oximetry"),
    ReadingKind.BLOOD_PRESSURE: ("Huyết áp", "Blood pressure"),
    ReadingKind.TEMPERATURE: ("Nhiệt độ", "Temperature"),
    ReadingKind.GLUCOSE: ("Đường huyết", "Glucose"),
    ReadingKind.WEIGHT: ("Cân nặng", "Weight"),
    ReadingKind.VITAL_SIGNS: ("Dấu hiệu sinh tồn", "Vital signs"),
    ReadingKind.SETTINGS: ("Cài đặt máy", "Device settings"),
}
SOURCES: Mapping[Source, Pair] = {
    Source.LIVE: ("máy đo", "device"),
    Source.MEMORY: ("bộ nhớ máy", "device memory"),
    Source.MANUAL: ("nhập tay", "typed in"),
}
CLOCKS: Mapping[ClockQuality, Pair] = {
    ClockQuality.SYNCED: ("giờ đã đồng bộ", "clock synchronised"),
    ClockQuality.RTC: ("giờ máy, chưa đối chiếu", "box clock, not compared"),
    ClockQuality.UNKNOWN: ("giờ chưa chắc chắn", "time uncertain"),
}
STATUSES: Mapping[Status, Pair] = {
    Status.TEST_DATA: ("DỮ LIỆU THỬ", "TEST DATA"),
    Status.DEMO_DATA: ("dữ liệu trình diễn", "demo data"),
    Status.EARLY_INDICATION: ("đo ngắn", "short measurement"),
    Status.INVALID: ("máy báo không hợp lệ", "device says invalid"),
    Status.QUESTIONABLE: ("máy báo đáng ngờ", "device says questionable"),
    Status.NOT_AVAILABLE: ("không có giá trị", "no value"),
    Status.CALIBRATION_ONGOING: ("máy đang hiệu chuẩn", "calibrating"),
    Status.VALIDATED_DATA: ("đã có người xác nhận", "validated by a person"),
    Status.MSMT_ONGOING: ("đang đo", "still measuring"),
    Status.IN_ALARM: ("máy đang báo động", "device in alarm"),
    Status.ALARM_INHIBITED: ("báo động của máy bị tắt", "device alarm off"),
}
SEXES: Mapping[Sex, Pair] = {
    Sex.UNKNOWN: ("Không rõ", "Unknown"),
    Sex.MALE: ("Nam", "Male"),
    Sex.FEMALE: ("Nữ", "Female"),
    Sex.OTHER: ("Khác", "Other"),
}
ALLERGIES: Mapping[Allergies, Pair] = {
    Allergies.UNKNOWN: ("Chưa rõ: trạm chưa hỏi", "Unknown: the station has not asked"),
    Allergies.NONE_KNOWN: ("Không có dị ứng đã biết", "No known allergies"),
    Allergies.KNOWN: ("Có dị ứng, trạm không ghi chất nào", "Allergic, substance not written"),
}
URGENCIES: Mapping[Urgency, Pair] = {
    Urgency.EMERGENCY: ("Cấp cứu", "Emergency"),
    Urgency.URGENT: ("Khẩn", "Urgent"),
    Urgency.ROUTINE: ("Thường", "Routine"),
}
DEPARTMENTS: Mapping[Department, Pair] = {
    Department.GENERAL: ("Khám bệnh", "General"),
    Department.INTERNAL: ("Nội", "Internal medicine"),
    Department.SURGERY: ("Ngoại", "Surgery"),
    Department.OBSTETRICS: ("Sản", "Obstetrics"),
    Department.PAEDIATRICS: ("Nhi", "Paediatrics"),
    Department.INFECTIOUS: ("Truyền nhiễm", "Infectious diseases"),
}
FIELDS: Mapping[ConsultField, Pair] = {
    ConsultField.TU_VAN: ("Tư vấn", "Advice"),
    ConsultField.HOI_CHAN: ("Hội chẩn", "Case conference"),
    ConsultField.CDHA: ("Chẩn đoán hình ảnh", "Imaging"),
    ConsultField.GPB: ("Giải phẫu bệnh", "Pathology"),
    ConsultField.PHAU_THUAT: ("Hội chẩn phẫu thuật", "Surgery conference"),
    ConsultField.DAO_TAO: ("Đào tạo", "Training"),
}
ANSWER_FIELDS: tuple[tuple[str, Pair, Pair], ...] = (
    ("diagnosis", ("Nhận định", "Assessment"), ("Nghĩ tới điều gì, vì sao", "What you think of, and why")),
    ("advice", ("Lời khuyên cho trạm", "Advice to the station"), ("Trạm nên làm gì ngay, theo dõi gì", "What to do now, what to watch")),
    ("medicine", ("Thuốc", "Medicine"), ("Tên, liều, cách dùng, số ngày", "Name, dose, use, days")),
    ("refer", ("Chuyển tuyến", "Referral"), ("Có cần chuyển, đi đâu, khi nào", "Whether, where to, when")),
    ("follow_up", ("Hẹn lại", "Follow-up"), ("Khi nào khám lại, dấu hiệu phải gọi ngay", "When to see again, when to call at once")),
)
"""The fields of an answer as the form shows them: name on the wire, label, hint."""

REFUSALS: Mapping[str, Pair] = {
    "gone": ("Yêu cầu này không còn trong hệ thống.", "This request is no longer here."),
    "withdrawn": ("Trạm đã rút yêu cầu này; không gửi thêm được.", "The station has withdrawn this request; nothing more can be sent."),
    "held": (
        "Bác sĩ khác đang giữ yêu cầu này: {who}, đến {until}. Chưa có gì được gửi; nháp của bạn vẫn còn.",
        "Another doctor holds this request: {who}, until {until}. Nothing was sent; your draft is kept.",
    ),
    "empty": (
        "Chưa có lời khuyên. Hãy viết ít nhất ô “Lời khuyên cho trạm”.",
        "There is no advice yet. Fill in at least “Advice to the station”.",
    ),
    "long": ("Một ô dài quá 2.000 ký tự. Hãy rút gọn.", "One field is longer than 2,000 characters. Shorten it."),
    "answered": (
        "Yêu cầu này vừa có trả lời đã ký của {who}. Trả lời của bạn chưa được gửi; nháp vẫn còn bên dưới. Cần đổi: “Sửa trả lời”.",
        "{who} has just signed an answer. Yours was not sent; the draft is kept below. To change it: “Correct the answer”.",
    ),
    "replaced": ("Trả lời này đã được sửa rồi. Hãy tải lại trang.", "This answer has been corrected already. Reload the page."),
    "corrected": (
        "Trạm vừa sửa một số đo mà bạn đang dựa vào. Hãy xem lại trước khi ký. Chưa có gì được gửi.",
        "The station has just changed a reading that you rely on. Look again before signing. Nothing was sent.",
    ),
    "unseen": ("Danh sách số đo đã thay đổi. Hãy xem lại trước khi ký.", "The readings have changed. Look again before signing."),
    "changed": (
        "Nội dung nháp đã thay đổi ở nơi khác. Hãy đọc lại trước khi ký.",
        "The draft was changed elsewhere. Read it again before signing.",
    ),
    "role": ("Tài khoản này chỉ được xem.", "This account may only look."),
    "wrong": ("Mật khẩu không đúng. Chưa có gì được gửi đi.", "Wrong password. Nothing was sent."),
    "login": ("Tên đăng nhập hoặc mật khẩu không đúng.", "Wrong login or password."),
    "code": ("Mã không đúng hoặc đã dùng rồi. Đợi mã mới trên điện thoại.", "Wrong code, or used before. Wait for the next one."),
    "locked": ("Tài khoản bị khóa. Hãy gọi người quản trị.", "This account is locked. Call the administrator."),
    "pause": ("Sai nhiều lần. Thử lại sau {wait}.", "Too many wrong tries. Try again in {wait}."),
    "question": ("Hãy viết câu hỏi (tối đa 2.000 ký tự).", "Write the question (at most 2,000 characters)."),
}  # fmt: skip
"""Why something was not done, and what to do about it."""
LOOKS: Mapping[str, Pair] = {
    "view": ("mở yêu cầu", "opened the request"),
    "picture": ("xem ảnh", "saw a picture"),
    "stay": ("ở lại trang, có thông tin mới", "stayed on the page, something new came"),
    "data": ("đọc bằng chương trình", "read by a program"),
    "record": ("mở hồ sơ", "opened the record"),
    "access": ("xem danh sách này", "looked at this list"),
    "draft": ("viết nháp", "wrote a draft"),
    "sign": ("ký trả lời", "signed an answer"),
    "claim": ("nhận yêu cầu", "took the request"),
    "release": ("trả lại yêu cầu", "gave the request back"),
    "question": ("hỏi lại trạm", "asked the station"),
    "looked": ("xác nhận đã xem chỗ trạm sửa", "took note of a correction"),
    "noticed": ("báo đã thấy", "took note of the emergency"),
}
"""What the access log says, by its words."""
PURPOSES: Mapping[str, Pair] = {
    "TREAT": ("Khám, chữa bệnh, hỏi bác sĩ từ xa", "Treatment and remote advice"),
    "HPAYMT": ("Thanh toán bảo hiểm y tế", "Health insurance payment"),
    "PUBHLTH": ("Y tế công cộng, phòng dịch", "Public health"),
    "ERESRCH": ("Nghiên cứu y học", "Medical research"),
}
"""What a patient agrees to (VN Core words)."""
BASES: Mapping[Basis, Pair] = {
    Basis.CONSENT: ("Người bệnh đã đồng ý gửi bác sĩ.", "The patient has agreed to this request."),
    Basis.EMERGENCY: ("Cấp cứu: gửi khi chưa hỏi được người bệnh.", "Emergency: sent although the patient could not be asked."),
}
"""On what ground a request was sent."""
