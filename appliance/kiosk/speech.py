"""The two languages of the screens, side by side: every text is a pair ``t("Lưu", "Save")``. Vietnamese is the first and the default.

The tables below turn the short words that drivers, settler and store give as reasons into sentences for people.
A word that is in no table is shown as it is, small, behind a sentence that is always true: nothing is hidden.
"""

from collections.abc import Callable
from functools import cache

from appliance.contract.events import Allergies, Department, Sex, Urgency
from appliance.contract.metrics import Status
from appliance.contract.readings import Source

VI, EN = "vi", "en"
LANGUAGES = (VI, EN)

Say = Callable[[str, str], str]
"""Chooses one of a pair (Vietnamese, English)."""

Pair = tuple[str, str]


@cache
def say(language: str) -> Say:
    """The chooser of a language; anything but ``en`` speaks Vietnamese.

    >>> say("vi")("Lưu", "Save")
    'Lưu'
    """
    place = LANGUAGES.index(EN if language == EN else VI)
    return lambda vi, en: (vi, en)[place]


SEX: dict[Sex, Pair] = {
    Sex.MALE: ("Nam", "Male"),
    Sex.FEMALE: ("Nữ", "Female"),
    Sex.OTHER: ("Khác", "Other"),
    Sex.UNKNOWN: ("Không rõ", "Unknown"),
}

ROLES: dict[str, Pair] = {
    "nurse": ("Điều dưỡng", "Nurse"),
    "doctor": ("Bác sĩ", "Doctor"),
    "technician": ("Kỹ thuật viên", "Technician"),
    "lead": ("Trưởng trạm", "Lead"),
}
"""What staff are, by the role kept with them; another word is shown as it was written."""

ALLERGIES: dict[Allergies, Pair] = {
    Allergies.UNKNOWN: ("Chưa hỏi / không rõ", "Not asked / unknown"),
    Allergies.NONE_KNOWN: ("Đã hỏi: không có", "Asked: none known"),
    Allergies.KNOWN: ("Có dị ứng", "Has allergies"),
}

DEPARTMENTS: dict[Department, Pair] = {
    Department.GENERAL: ("Khám bệnh", "Examination"),
    Department.INTERNAL: ("Nội", "Internal medicine"),
    Department.SURGERY: ("Ngoại", "Surgery"),
    Department.OBSTETRICS: ("Sản", "Obstetrics"),
    Department.PAEDIATRICS: ("Nhi", "Paediatrics"),
    Department.INFECTIOUS: ("Truyền nhiễm", "Infectious diseases"),
}

URGENCIES: dict[Urgency, Pair] = {
    Urgency.ROUTINE: ("Thường", "Routine"),
    Urgency.URGENT: ("Khẩn", "Urgent"),
    Urgency.EMERGENCY: ("Cấp cứu", "Emergency"),
}

SOURCES: dict[Source, Pair] = {
    Source.LIVE: ("máy", "device"),
    Source.MEMORY: ("bộ nhớ máy", "device memory"),
    Source.MANUAL: ("nhập tay", "entered by hand"),
}

STATUSES: dict[Status, Pair] = {
    Status.INVALID: ("máy báo số không hợp lệ", "device says invalid"),
    Status.QUESTIONABLE: ("chưa ổn định", "not steady"),
    Status.NOT_AVAILABLE: ("không có số", "no value"),
    Status.CALIBRATION_ONGOING: ("máy đang hiệu chuẩn", "calibrating"),
    Status.TEST_DATA: ("dữ liệu thử", "test data"),
    Status.DEMO_DATA: ("dữ liệu trình diễn", "demo data"),
    Status.VALIDATED_DATA: ("đã được xác nhận", "validated"),
    Status.EARLY_INDICATION: ("đo ngắn", "short measurement"),
    Status.MSMT_ONGOING: ("đang đo", "measuring"),
    Status.IN_ALARM: ("máy đang báo động", "device alarm"),
    Status.ALARM_INHIBITED: ("máy tắt báo động", "device alarm off"),
}

PATIENT_TYPES: dict[str, Pair] = {
    "adult": ("Người lớn", "Adult"),
    "paediatric": ("Trẻ em", "Child"),
    "neonate": ("Sơ sinh", "Newborn"),
}
"""The three cuff programmes. Adult settings on a newborn are the worst error: nothing is chosen beforehand."""

STATES: dict[str, Pair] = {
    "absent": ("Chưa cắm máy", "Device not plugged in"),
    "opening": ("Đang mở cổng máy", "Opening the port"),
    "identifying": ("Đang nhận máy", "Identifying the device"),
    "ready": ("Máy sẵn sàng", "Device ready"),
    "measuring": ("Đang đo", "Measuring"),
    "stale": ("Máy im lặng", "Device is silent"),
    "lost": ("Mất kết nối máy", "Device connection lost"),
}
"""The states a collector writes into its live file, and what the screen says."""

INVALID: dict[str, Pair] = {
    "searching": ("Đang tìm mạch. Giữ yên ngón tay.", "Searching for the pulse. Keep the finger still."),
    "searching-too-long": (
        "Chưa tìm thấy mạch. Xoay lại ngón tay, lau sơn móng, làm ấm tay.",
        "No pulse found. Turn the finger, remove nail varnish, warm the hand.",
    ),
    "probe-error": ("Chưa thấy ngón tay. Kẹp ngón tay vào máy cho đúng.", "No finger found. Put the probe on the finger properly."),
    "finger-out": ("Chưa có ngón tay trong kẹp.", "No finger in the probe."),
    "sensor-off": ("Chưa có ngón tay trong kẹp.", "No finger in the probe."),
    "no-value": ("Máy chưa có số.", "The device has no value yet."),
    "low-perfusion": ("Mạch yếu ở ngón tay. Làm ấm tay rồi đo lại.", "Weak pulse at the finger. Warm the hand and measure again."),
    "impossible": ("Máy cho số không thể có. Hãy đo lại.", "The device gave an impossible number. Measure again."),
    "store": (
        "Kho dữ liệu đang đầy hoặc bận: kết quả chưa lưu được. Gọi hỗ trợ.",
        "The store is full or busy: nothing can be saved. Call support.",
    ),
    "cuff-on-arm": (
        "Vòng bít đang siết cùng cánh tay: SpO₂ lúc này không chắc. Đổi tay, hoặc chờ đo huyết áp xong.",
        "The cuff is squeezing the same arm: SpO₂ is not certain now. Use the other arm, or wait for the cuff.",
    ),
    "air-found": (
        "Vòng bít còn hơi từ lần trước: đang xả. Nếu không xẹp, tháo vòng bít ra.",
        "Air from before was found in the cuff: it is being let out. If it stays tight, take the cuff off.",
    ),
    "port-used": (
        "Một phần mềm khác đang giữ cổng máy này. Gọi kỹ thuật.",
        "Another program uses this device’s port. Call the technician.",
    ),
    "overpressure": ("Máy tự dừng vì áp lực quá cao. Nghỉ rồi đo lại.", "Overpressure stop. Rest, then measure again."),
    "cycle-too-long": ("Đo quá lâu, đã xả hơi. Nghỉ rồi đo lại.", "It took too long, the air was let out. Rest, then measure again."),
    "no-result": ("Máy không cho kết quả. Đo lại.", "The device gave no result. Measure again."),
    "no-reply": ("Máy không trả lời. Xem dây nối.", "The device does not answer. Check its cable."),
    "switched-off": ("Máy đo chưa bật. Bật máy lên.", "The device is switched off. Switch it on."),
    "end-not-heard": ("Không nghe máy báo xong. Đo lại.", "The end of the measurement was not heard. Measure again."),
    "start-not-confirmed": ("Máy không nhận lệnh bơm. Thử lại.", "The device did not confirm the start. Try again."),
    "line-closed": ("Đã dừng và xả hơi vì màn hình đo không còn mở.", "Stopped, air let out: the measuring screen was not open."),
    "abort": ("Đã dừng và xả hơi.", "Stopped, the air was let out."),
    "aborted": ("Đã dừng và xả hơi.", "Stopped, the air was let out."),
}
"""Why there is no value (words of the drivers and of the collector)."""

ERRORS: dict[str, Pair] = {
    "1": ("Không bắt được mạch. Quấn lại vòng bít rồi đo lại.", "Weak or no signal. Fit the cuff again and measure again."),
    "2": ("Người bệnh cử động khi đo. Ngồi yên rồi đo lại.", "Movement during the measurement. Sit still and measure again."),
    "3": ("Ngoài khoảng máy đo được. Đo lại.", "Outside the range of the device. Measure again."),
    "4": ("Đo quá lâu, máy đã dừng. Nghỉ rồi đo lại.", "It took too long and stopped. Rest, then measure again."),
    "85": ("Ống hơi bị gập hoặc tắc. Xem lại ống.", "The hose is blocked or kinked. Check it."),
    "86": ("Đã dừng theo lệnh.", "Stopped by a person."),
    "87": ("Rò hơi hoặc vòng bít lỏng. Quấn lại vòng bít.", "Air leak or loose cuff. Fit the cuff again."),
    "88": ("Máy tự dừng vì an toàn (quá giờ). Nghỉ rồi đo lại.", "Safety time limit. Rest, then measure again."),
    "89": ("Máy tự dừng vì áp lực quá cao. Nghỉ rồi đo lại.", "Overpressure stop. Rest, then measure again."),
    "90": ("Máy báo lỗi phần cứng. Đừng dùng máy này, gọi kỹ thuật.", "Hardware error. Do not use it, call the technician."),
    "91": ("Máy chưa về không. Tháo vòng bít, chờ, rồi đo lại.", "Zeroing failed. Take the cuff off, wait, measure again."),
    "97": ("Cảm biến áp lực ngoài khoảng. Gọi kỹ thuật.", "Pressure sensor out of range. Call the technician."),
    "99": ("Máy báo lỗi hiệu chuẩn. Đừng dùng máy này, gọi kỹ thuật.", "Calibration error. Do not use it, call the technician."),
}
"""Blood-pressure modules of the SunTech type, by the number in ``error-<number>-<word>``."""

REFUSED: dict[str, Pair] = {
    "no-collector": (
        "Máy đo chưa chạy. Xem dây nối; nếu vẫn vậy, gọi kỹ thuật.",
        "The device is not running. Check its cable, or call the technician.",
    ),
    "no-answer": (
        "Máy không trả lời trong 3 giây nên không bơm. Bấm lại.",
        "No answer within 3 seconds, nothing was started. Press again.",
    ),
    "page-closed": ("Màn hình đo đã đóng nên không bơm.", "The measuring screen was closed, nothing was started."),
    "too-late": ("Lệnh đến máy quá trễ nên không bơm. Bấm lại.", "The press arrived too late, nothing was started. Press again."),
    "busy": (
        "Máy đang bận hoặc vòng bít chưa xả hết. Chờ một chút rồi bấm lại.",
        "The device is busy or the cuff not empty yet. Wait, press again.",
    ),
    "rest": ("Tay cần nghỉ giữa hai lần đo. Chờ một chút rồi bấm lại.", "The arm needs rest between measurements. Wait, press again."),
    "no-device": ("Chưa nối được với máy. Xem dây nối.", "The device is not connected. Check its cable."),
    "not-commanded": ("Máy này tự đo, không nhận lệnh.", "This device measures by itself and takes no command."),
    "not-open": ("Chưa nối được với máy. Xem dây nối.", "The device is not connected. Check its cable."),
    "patient-type": ("Máy này không đo được cho loại người bệnh đã chọn.", "This device cannot measure the chosen kind of patient."),
    "too-many": ("Đã đo quá nhiều lần trong một giờ. Cho tay nghỉ.", "Too many measurements within one hour. Let the arm rest."),
    "session": ("Phiên đo không còn. Xác nhận lại người bệnh.", "The session is over. Confirm the patient again."),
    "no-session": ("Phiên đo không còn. Xác nhận lại người bệnh.", "The session is over. Confirm the patient again."),
    "store": ("Kho dữ liệu đang đầy hoặc bận nên không bơm. Gọi hỗ trợ.", "The store is full or busy, nothing was started. Call support."),
}
"""Why a start was refused (words of the collector, of its driver, and of `cuff`)."""

WHY: dict[str, Pair] = {
    "no-session": ("đo khi chưa mở phiên cho ai", "measured with no session open"),
    "session-changed": ("phiên đo đã đổi sang người khác khi đang đo", "the session changed during the measurement"),
    "session-ended": ("phiên đo đã kết thúc khi đang đo", "the session ended during the measurement"),
    "session-expired": ("phiên đo đã quá giờ", "the session ran out of time"),
    "reconnected": ("máy mất kết nối khi đang đo", "the device reconnected during the measurement"),
    "restarted": ("trạm khởi động lại khi đang đo", "the box restarted during the measurement"),
    "reopened": ("đã mở lại ở màn hình khác", "opened again on another screen"),
    "other-device": ("đo bằng máy khác với phiên", "another device than the session's"),
    "taken": ("máy đo đã được mở cho người khác", "the device was opened for somebody else"),
    "screen-closed": ("màn hình đo đã đóng", "the measuring screen was closed"),
    "blanked": ("màn hình đã tự tắt vì không ai chạm", "the screen went blank, nobody touched it"),
    "finished": ("đã đo xong", "finished"),
    "expired": ("phiên đo đã quá giờ", "the session ran out of time"),
    "merged": ("hồ sơ đã được gộp hoặc tách", "the record was merged or taken apart"),
}
"""Why a measurement is in the tray, and why a session ended."""

DISCARDS: dict[str, Pair] = {
    "moved": ("Người bệnh cử động, nói chuyện", "Patient moved or talked"),
    "fit": ("Vòng bít hoặc kẹp lệch", "Cuff or probe not well placed"),
    "wrong-person": ("Nhầm người", "Wrong person"),
    "doubt": ("Nghi ngờ kết quả, muốn đo lại", "Result is doubted"),
}
"""The reasons of *Đo lại*: the attempt is kept with one of them."""


WRONG_PERSON: Pair = ("Đo nhầm người", "Measured on another person")
MISTAKES: dict[str, Pair] = {
    "device": ("Máy đo sai hoặc hỏng", "Device wrong or broken"),
    "fit": ("Kẹp hoặc vòng bít đặt sai", "Probe or cuff badly placed"),
    "trial": ("Đo thử, không phải người bệnh", "A trial, not the patient"),
    "typed": ("Gõ nhầm số", "Typed wrongly"),
}
"""Why a saved reading is wrong. The Vietnamese words travel: the doctor reads them as they are."""

CHANGES: dict[str, Pair] = {
    "typed": ("Ghi nhầm lúc đăng ký", "Written wrongly when registered"),
    "papers": ("Theo giấy tờ mới xem", "As the papers seen now say"),
    "moved": ("Đổi chỗ ở hoặc số điện thoại", "Has moved or has another telephone"),
    "said": ("Người bệnh hoặc người nhà nói lại", "The patient or the family says so"),
}
"""Why a patient's record is changed. The Vietnamese words travel."""

SAME: dict[str, Pair] = {
    "card": ("Cùng số CCCD hoặc BHYT", "The same CCCD or BHYT number"),
    "twice": ("Đăng ký hai lần", "Registered twice"),
    "said": ("Người bệnh xác nhận", "The patient confirms it"),
}
"""Why two records are one person's."""

APART: dict[str, Pair] = {
    "two": ("Là hai người khác nhau", "They are two people"),
    "slip": ("Chọn nhầm khi gộp", "The wrong one was chosen"),
}
"""Why two records are taken apart."""

PURPOSES: dict[str, Pair] = {
    "TREAT": ("Khám, chữa bệnh, hỏi bác sĩ từ xa", "Treatment and remote advice"),
    "HPAYMT": ("Thanh toán bảo hiểm y tế", "Health insurance payment"),
    "PUBHLTH": ("Y tế công cộng, phòng dịch", "Public health"),
    "ERESRCH": ("Nghiên cứu y học", "Medical research"),
}
"""The purposes of a consent (VN Core words)."""

WITHDRAWALS: dict[str, Pair] = {
    "better": ("Người bệnh đã đỡ, không cần nữa", "The patient is better, not needed any more"),
    "moved": ("Đã chuyển người bệnh đi", "The patient was taken elsewhere"),
    "mistake": ("Gửi nhầm", "Sent by mistake"),
}
"""Why a request is taken back."""


def invalid(word: str, t: Say) -> str:
    """Why there is no value, as a sentence; an unknown word stands behind a true sentence."""
    parts = word.split("-")
    if parts[0] in ("error", "device") and len(parts) > 1:
        error = next((part for part in parts if part.isdigit()), "")
        if error in ERRORS:
            return t(*ERRORS[error])
    return pair(INVALID, word, t, ("Máy chưa có số dùng được.", "No usable value yet."))


def pair(table: dict, key: object, t: Say, fallback: Pair) -> str:  # type: ignore[type-arg]  # keys are enumerations or words, by table
    """The sentence of a word; for a word in no table the fallback with the word behind it, so that nothing is hidden."""
    if key in table:
        return t(*table[key])
    return f"{t(*fallback)} ({key})" if key else t(*fallback)
