"""What stands on paper: the slip of a visit, the summary of a request. Composed from the same rows and words as the screens."""

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.contract.events import Identity
from appliance.contract.ids import spell
from appliance.contract.metrics import Status
from appliance.kiosk import here, paper, present, rows
from appliance.kiosk.paper import Document, Line
from appliance.kiosk.screens import guided
from appliance.kiosk.screens.correct import struck
from appliance.kiosk.screens.status import simulated
from appliance.kiosk.speech import DEPARTMENTS, URGENCIES, Pair, Say
from appliance.store import consults, corrections, patients
from appliance.store.consults import AnswerRow, ConsultRow
from appliance.store.corrections import Listed

screen = Blueprint("paper", __name__)

_MOST = 40
"""Readings on one slip."""
_TEST = Status.TEST_DATA | Status.DEMO_DATA


# --- which paper --------------------------------------------------------------------------------------------------------------------


@screen.get("/patients/<int:patient>/print")
def choose_slip(patient: int) -> Response:
    """A5 or roll?"""
    identity = here.patient_or_404(patient)
    return _choose(
        identity, f"/patients/{patient}/slip.pdf", f"/patients/{patient}", here.speech()("In phiếu khám", "Print the visit slip")
    )


@screen.get("/consults/<int:consult>/print")
def choose_summary(consult: int) -> Response:
    """A5 or roll?"""
    row = _consult_or_404(consult)
    title = here.speech()("In tóm tắt hỏi bác sĩ", "Print the consult summary")
    return _choose(row.requested.identity, f"/consults/{consult}/summary.pdf", f"/consults/{consult}", title)


def _choose(identity: Identity, target: str, back: str, title: str) -> Response:
    queued = bool(here.kiosk().settings.kiosk.printer)
    return here.page("paper.html", banner=here.banner_of(identity), target=target, back=back, title=title, queued=queued)


@screen.get("/patients/<int:patient>/slip.pdf")
def slip(patient: int) -> Response:
    """The visit slip. Query: size (a5, roll)."""
    return _pdf(_slip(here.patient_or_404(patient), _size()), f"phieu-{spell(patient)}.pdf")


@screen.get("/consults/<int:consult>/summary.pdf")
def summary(consult: int) -> Response:
    """The consult summary. Query: size (a5, roll)."""
    return _pdf(_summary(_consult_or_404(consult), _size()), f"hoi-bac-si-{spell(consult)}.pdf")


def _size() -> str:
    wanted = request.args.get("size", paper.A5)
    if wanted not in paper.SIZES:
        raise here.Unready(("Chọn khổ giấy A5 hoặc cuộn 80 mm.", "Choose A5 or the 80 mm roll."))
    return wanted


class _NoPaper(here.Said):
    """The PDF was not made this time."""

    status, code = 503, "K-IN"


_REFUSED: Pair = (
    "Máy in không nhận. Xem máy in đã bật, còn giấy, đã cắm dây, rồi in lại; dữ liệu vẫn còn.",
    "The printer took nothing. See that it is on, has paper and its cable is in, then print again.",
)
_FAILED: Pair = ("Chưa tạo được bản in. Chờ một phút rồi in lại; dữ liệu vẫn còn.", "It could not be prepared. Wait a minute, print again.")


def _pdf(document: Document, name: str) -> Response:
    try:
        content = paper.printed(document)
    except paper.PrintError as error:
        here.kiosk().log.error("paper: %s", error)
        raise _NoPaper(_FAILED) from None
    if queue := here.kiosk().settings.kiosk.printer:
        return _on_paper(content, queue, name)
    return Response(content, mimetype="application/pdf", headers={"Content-Disposition": f'inline; filename="{name}"'})


def _on_paper(content: bytes, queue: str, name: str) -> Response:
    """The screen of a station has no place for a PDF, and nobody there has a print dialog: the queue takes it."""
    try:
        paper.hand_over(content, queue, name)
    except paper.PrintError as error:
        here.kiosk().log.error("printer: %s", error)
        raise _NoPaper(_REFUSED) from None
    return here.page("printed.html", back=request.path.rpartition("/")[0])


def _consult_or_404(consult: int) -> ConsultRow:
    row = consults.get(here.db(), consult)
    if row is None:
        raise here.Gone(("Không có yêu cầu này ở trạm.", "There is no such request at this station."), "/consults")
    return row


# --- the slip -----------------------------------------------------------------------------------------------------------------------


def _slip(identity: Identity, size: str) -> Document:
    t, found = here.speech(), _visit(identity.patient)
    values = [line for one in found for line in _reading(one, t)]
    tested = any(one.row.reading.status & _TEST for one in found)
    return Document(
        size, t("Phiếu khám tại trạm", "Visit slip"),
        (
            *_top(t("PHIẾU KHÁM TẠI TRẠM", "VISIT SLIP")), *_who(identity, t), Line(look="rule"), Line(t("Kết quả đo", "Readings"), "head"),
            *(values or [Line(t("Chưa có kết quả nào được lưu.", "No reading has been saved."))]),
            *_means(identity.patient, found, t), Line(look="rule"),
            Line(_NOT_A_DIAGNOSIS[0 if here.desk().language == "vi" else 1], "small"), Line(_printed(t), "small"),
            _code("P", identity.patient, t("Mã tại trạm", "Station code")),
        ),
        _across(t) if tested or simulated() else "", _foot(t), here.desk().language,
    )  # fmt: skip


_NOT_A_DIAGNOSIS: Pair = (
    "Số đo như máy cho, không phải chẩn đoán. Người bệnh hỏi nhân viên y tế về ý nghĩa.",
    "Values as the devices gave them, not a diagnosis. Ask the health staff what they mean.",
)


def _means(patient: int, found: list[Listed], t: Say) -> list[Line]:
    """The means of the visit's guided series, below the readings they were made of, marked as means."""
    if not found:
        return []
    made = guided.means(patients.group(here.db(), patient), min(one.row.wall for one in found))
    lines = [(f"{one['pressure']} mmHg", f"{one['said']} · {one['at']} · {one['taken']}") for one in made]
    return [line for value, about in lines for line in (Line(value, label=t("Trung bình", "Mean")), Line(about, "small"))]


def _visit(patient: int) -> list[Listed]:
    """What was saved on the day of the last saved reading, the first one first; what was corrected stands there struck out."""
    every = [each for one in patients.group(here.db(), patient) for each in corrections.listing(here.db(), one, _MOST)]
    found = sorted(every, key=lambda one: (one.row.wall, one.row.id), reverse=True)[:_MOST]
    last = present.local(found[0].row.reading.stamp.wall).date() if found else None
    return [one for one in reversed(found) if present.local(one.row.reading.stamp.wall).date() == last]


def _reading(one: Listed, t: Say) -> list[Line]:
    shown, off = rows.shown(one.row, here.now(), t), struck(one.struck, t)
    said = [*shown.said, shown.missing, t("chuyển từ hồ sơ khác", "moved here from another record") if one.came else "", off]
    at = present.local(one.row.reading.stamp.wall)
    about = f"{at:%H:%M:%S %d/%m/%Y} · {shown.device} · {t('nguồn', 'source')}: {shown.source}"
    return [
        Line(shown.headline, "struck" if off else "strong"),
        Line(" · ".join([about, *(word for word in said if word)]), "small"),
    ]


# --- the summary --------------------------------------------------------------------------------------------------------------------


def _summary(row: ConsultRow, size: str) -> Document:
    t = here.speech()
    given = [one for one in consults.answers(here.db(), row.consult) if one.replaced_by is None]
    asked = present.local(row.saved)
    tested = any(one.status & _TEST for one in row.requested.readings) or any(one.content.test_data for one in given)
    lines = [
        *_top(t("HỎI BÁC SĨ: TÓM TẮT", "CONSULT SUMMARY")), *_who(row.requested.identity, t), Line(look="rule"),
        Line(f"{spell(row.consult)} · {asked:%H:%M %d/%m/%Y}", "text", t("Yêu cầu", "Request")),
        Line(f"{t(*DEPARTMENTS[row.department])} · {t(*URGENCIES[row.urgency])}", "text", t("Khoa", "Department")),
        Line(rows.staff_name(here.db(), row.staff), "text", t("Người hỏi", "Asked by")),
        Line(row.complaint or t("(không ghi)", "(none)"), "strong", t("Lý do", "Complaint")),
        *([Line(t("Yêu cầu này đã được rút lại.", "This request was withdrawn."), "strong")] if row.withdrawn is not None else []),
        *_cited(row, t), Line(look="rule"),
        *(line for one in given for line in _answer(one, t)),
        *([] if given else [Line(t("Chưa có trả lời của bác sĩ.", "No answer yet."), "strong")]),
        Line(look="rule"), Line(_printed(t), "small"), _code("C", row.consult, t("Mã yêu cầu", "Request code")),
    ]  # fmt: skip
    across = _across(t) if tested or simulated() else ""
    return Document(size, t("Tóm tắt hỏi bác sĩ", "Consult summary"), tuple(lines), across, _foot(t), here.desk().language)


def _cited(row: ConsultRow, t: Say) -> list[Line]:
    """What the request cites; what does not stand any more is struck out with the reason."""
    said = corrections.of_keys(here.db(), [one.key for one in row.requested.readings], row.patient)
    lines = [Line(t("Kết quả đã gửi", "Readings sent"), "head")]
    for one in row.requested.readings:
        name = next((label.name for label in row.requested.devices if label.device == one.device), "")
        shown, off = present.reading(one, name, here.now(), t, due=here.calibration_due(one.device)), struck(said.get(one.key), t)
        about = [
            f"{present.local(one.stamp.wall):%H:%M:%S %d/%m/%Y} · {shown.device} · {t('nguồn', 'source')}: {shown.source}",
            *shown.said,
        ]
        lines.append(Line(shown.headline, "struck" if off else "strong"))
        lines.append(Line(" · ".join([*about, *([off] if off else [])]), "small"))
    return lines if row.requested.readings else []


def _answer(one: AnswerRow, t: Say) -> list[Line]:
    """The doctor's words, whose they are and when, and who says that they were read."""
    it = one.content
    facts = (
        (t("Nhận định", "Assessment"), it.diagnosis), (t("Thuốc", "Medicine"), it.medicine), (t("Chuyển tuyến", "Refer"), it.refer),
        (t("Hẹn khám lại", "Follow-up"), it.follow_up),
    )  # fmt: skip
    read = t("Chưa có ai ở trạm xác nhận đã đọc.", "Nobody at the station has confirmed having read it.")
    if one.read is not None:
        who = rows.staff_name(here.db(), one.read_by)
        read = t("Đã đọc và xác nhận: ", "Read and confirmed by: ") + f"{who}, {present.local(one.read):%H:%M %d/%m/%Y}"
    return [
        Line(t("Lời khuyên của bác sĩ", "The doctor’s advice"), "head"), Line(it.advice, "strong"),
        *(Line(words, "text", label) for label, words in facts if words),
        Line(f"{it.practitioner_name or it.practitioner} · {present.local(it.at):%H:%M %d/%m/%Y}", "text", t("Bác sĩ", "Doctor")),
        Line(read), Line(t("Lời khuyên; cán bộ trạm quyết định.", "Advice; the station’s staff decide."), "small"),
    ]  # fmt: skip


# --- on both ------------------------------------------------------------------------------------------------------------------------


def _top(title: str) -> list[Line]:
    station = here.kiosk().settings.station
    return [Line(title, "title"), Line(f"{station.name} · {station.id}" if station.name else station.id), Line(look="rule")]


def _who(identity: Identity, t: Say) -> list[Line]:
    """The banner's facts (NHS CUI): the name first and heavy, and the station's own code, which the QR code repeats."""
    it = here.banner_of(identity)
    lines = [
        Line(it.name, "strong", t("Họ tên", "Name")), Line(f"{it.birth} ({it.age})", "text", t("Sinh", "Born")),
        Line(it.sex, "text", t("Giới", "Sex")), Line(it.id_text, "text", it.id_label),
    ]  # fmt: skip
    if it.village:
        lines.append(Line(it.village, "text", t("Thôn, bản", "Village")))
    return [*lines, Line(it.allergies, "strong" if it.allergic else "text", t("Dị ứng", "Allergies"))]


def _code(kind: str, number: int, label: str) -> Line:
    station = here.kiosk().settings.station.id
    return Line(paper.code(station, kind, spell(number)), "code", f"{label}\n{spell(number)}\n{station}")


def _printed(t: Say) -> str:
    now = present.local(here.now())
    who = rows.staff_name(here.db(), here.desk().staff)
    return t(f"In lúc {now:%H:%M %d/%m/%Y}, {who}.", f"Printed at {now:%H:%M %d/%m/%Y} by {who}.")


def _across(t: Say) -> str:
    return t("DỮ LIỆU THỬ", "TEST DATA")


def _foot(t: Say) -> str:
    return t("Không phải chẩn đoán. Giữ kín: có thông tin sức khỏe.", "Not a diagnosis. Confidential: health information.")
