"""What a page claims about what it shows: test data is marked wherever it stands, and completeness is never more than the marks prove."""

import json
import re

import pytest

from appliance.contract import events as ev
from appliance.contract.codec import write_event
from appliance.contract.lanes import Lane
from appliance.contract.metrics import Status
from appliance.contract.readings import ClockQuality
from appliance.relay.marks import Marks
from appliance.relay.storage import Arrived, Bad, Stream
from cloud_bridge.console import present
from cloud_bridge.console.words import Say
from cloud_bridge.store import completeness, tables
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.inbox import BridgeStore
from cloud_bridge.store.safe import RESTORED
from tests.bridge import story
from tests.bridge.conftest import Office
from tests.bridge.story import EPOCH, OTHER, PATIENT, STATION, asked, event, oxygen, pressure, recorded, who

REAL = Status(0)
VI = Say("vi")


# --- test data ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mixed(office: Office) -> Office:
    """One patient with real and test readings, one with real ones alone, a request of each; attempts and measurements of nobody."""
    for n in range(4):
        office.hear(recorded(oxygen(10 * n, 90 + n, REAL)), recorded(oxygen(10 * n + 5, 60 + n)))
        office.hear(recorded(oxygen(10 * n + 7, 80 + n, REAL), OTHER))
    office.hear(
        asked(900, (pressure(100), pressure(101, 120, 70, REAL))), asked(901, (pressure(102, 121, 71, REAL),), identity=who(OTHER)),
        event(ev.MeasurementDiscarded(pressure(103), "cử động", PATIENT)), event(ev.MeasurementUnassigned(pressure(104), "tuột ống")),
    )  # fmt: skip
    return office


def rows(text: str) -> list[str]:
    """The rows of a page's tables."""
    return re.findall(r"<tr[ >].*?</tr>", text, re.S)


def test_test_data_never_mixes(mixed):
    """On every page each row, line and point with test data says so and no other does; counts of real and of test stand apart."""
    doctor = mixed.doctor()
    for path in (f"/patients/{STATION}/{PATIENT}", f"/consults/{STATION}/900", f"/consults/{STATION}/900/live"):
        text = doctor.get(path).text
        assert text.count('class="ribbon"') == 1, path
        marked = [row for row in rows(text) if "DỮ LIỆU THỬ" in row]
        invented = [row for row in rows(text) if re.search(r"<b>(6[0-3]|115/74)</b>", row)]
        assert marked == invented, path
        assert marked, path
    for path in (f"/patients/{STATION}/{OTHER}", f"/consults/{STATION}/901"):
        assert "DỮ LIỆU THỬ" not in doctor.get(path).text, path
    assert "dữ liệu thử · cử động" in doctor.get(f"/patients/{STATION}/{PATIENT}").text
    assert [("115/74" in row, "DỮ LIỆU THỬ" in row) for row in rows(doctor.get("/review/").text) if "tuột ống" in row] == [(True, True)]
    queue = doctor.get("/").text
    assert [("tram-0001/0000-00W4" in row, "DỮ LIỆU THỬ" in row) for row in rows(queue) if "data-consult" in row] == [
        (True, True), (False, False),
    ]  # fmt: skip
    assert re.search(r'<b>1</b><b class="tested">thử 1</b>', queue)


def test_the_confirmation_and_the_signed_answer_say_that_they_rest_on_test_data(mixed):
    """The review of an answer marks the readings one by one, and the patient."""
    doctor = mixed.doctor()
    moved = doctor.send(f"/consults/{STATION}/900/draft", advice="Nghỉ", then="sign")
    text = doctor.get(moved.headers["Location"]).text
    signing = text[text.index('id="signing"') :]
    lines = re.findall(r"<li.*?</li>", signing[: signing.index("</ul>")], re.S)
    assert {("DỮ LIỆU THỬ" in line) for line in lines if "115/74" in line} == {True}
    assert {("DỮ LIỆU THỬ" in line) for line in lines if "120/70" in line} == {False}
    assert "DỮ LIỆU THỬ" in signing[: signing.index('class="answer"')]


# --- completeness ---------------------------------------------------------------------------------------------------------------------


def arrive(office: Office, marks: Marks, seconds: float, *, lane: Lane = Lane.READINGS, quality: ClockQuality = ClockQuality.SYNCED,
           seqs: tuple[int, ...] = ()) -> None:  # fmt: skip
    """A lane is in as far as `marks` say; its events at `seqs` (else the highest and the contiguous one) lie `seconds` after T0."""
    store, stream = BridgeStore(office.engine, [0]), Stream(STATION, EPOCH)
    with writing(office.engine) as tx:
        for seq in seqs or sorted({marks.highest, marks.contiguous} - {0}):
            at = story.stamp(seconds + seq, quality=quality)
            one = ev.Event(at, "ys01", "test", ev.PatientRegistered(who(seq)))
            store.insert(tx, [Arrived(stream, int(lane), seq, one, write_event(one))], office.time.wall)
        store.keep_marks(tx, {(stream, int(lane)): marks})


def line(office: Office) -> present.Whole:
    """What the doctor reads about the station."""
    with reading(office.engine) as tx:
        return present.completeness(completeness.of_station(tx, STATION), office.time.wall, VI)


def test_nothing_is_missing_until_the_last_unbroken_reading(offices):
    """Without holes the line names the box's time of the last event in the lane of readings, and stands on request and record."""
    arrive(offices, Marks(40), 0)
    offices.hear(asked(900, (pressure(),)))
    said = line(offices)
    until = present.moment(story.T0 + 400, offices.time.wall)
    assert said.claim == f"Không thiếu gì từ trạm này đến {until}"
    assert said.sure
    doctor = offices.doctor()
    for path in (f"/consults/{STATION}/900", f"/patients/{STATION}/{PATIENT}", f"/stations/{STATION}", "/stations/"):
        assert said.claim in doctor.get(path).text, path


def test_a_hole_takes_the_claim_back_to_before_it(offices):
    """Three events on their way: the line is about what lies before the hole, counts them, and no longer says that nothing is missing."""
    arrive(offices, Marks(400, ((301, 303),)), 0)
    said = line(offices)
    before, behind = (present.moment(story.T0 + tenths, offices.time.wall) for tenths in (3000, 4000))
    assert before != behind
    assert said.claim == f"Số đo từ trạm này: liền mạch đến {before}"
    assert said.rest == ("còn 3 mục đang trên đường",)
    assert not said.sure
    assert "Không thiếu gì" not in said.claim


@pytest.mark.parametrize("lane", [Lane.URGENT, Lane.CONSULT])
def test_a_hole_among_requests_or_corrections_counts_too(offices, lane):
    """The readings are unbroken, a correction is not here: nobody says that nothing is missing."""
    arrive(offices, Marks(40), 0)
    arrive(offices, Marks(5, ((2, 2),)), 0, lane=lane, seqs=(5,))
    assert line(offices).rest == ("còn 1 mục đang trên đường",)
    assert "Không thiếu gì" not in line(offices).claim


def test_what_nobody_can_read_is_said(offices):
    """A message in quarantine is neither missing nor here."""
    arrive(offices, Marks(40), 0)
    store = BridgeStore(offices.engine, [0])
    with writing(offices.engine) as tx:
        store.quarantine(tx, Bad(STATION, f"v1/00/{STATION}/up/2", b"\x11x", "truncated", "header"), offices.time.wall)
    assert line(offices).rest == ("1 gói không đọc được, cần người xem",)
    assert "Không thiếu gì" not in line(offices).claim


def test_a_station_that_is_silent_is_not_called_complete_for_now(offices):
    """After half an hour the line says when it was heard last and that there may be more; the claim about the past stays what it was."""
    arrive(offices, Marks(40), 0)
    assert not line(offices).silent
    offices.time.turn(31 * 60)
    said = line(offices)
    assert said.silent
    assert "có thể đã ghi thêm mà chưa gửi tới" in said.heard
    assert said.claim.startswith("Không thiếu gì từ trạm này đến ")


def test_a_station_that_never_spoke_and_a_clock_that_was_not_sure(offices):
    """No claim without a reading; a doubtful clock is said beside the time it gave."""
    assert line(offices).claim == "Chưa biết trạm còn thiếu gì: sổ số đo của trạm chưa tới"
    assert line(offices).heard == "chưa nghe trạm lần nào"
    arrive(offices, Marks(3), 0, quality=ClockQuality.UNKNOWN)
    assert line(offices).rest == ("giờ của trạm chưa chắc",)


def test_pictures_on_their_way_are_counted_apart(offices):
    """The record is whole, two contents are not: a picture is not a reading, and nobody waits for it in silence."""
    arrive(offices, Marks(40), 0)
    offices.hear(asked(900, attachments=1), event(ev.AttachmentOffered(900, b"a" * 32, "image/jpeg", 9000)))
    offices.hear(event(ev.AttachmentOffered(900, b"b" * 32, "image/jpeg", 2000, b"a" * 32)))
    said = line(offices)
    assert said.rest == ("2 ảnh đang trên đường",)
    assert said.claim.startswith("Không thiếu gì")


def test_a_restored_bridge_claims_nothing_for_a_station_it_has_not_heard_since(offices):
    """What the station had sent after the backup is not here, and no hole shows it; once the station has spoken again the line is whole."""
    arrive(offices, Marks(40), 0)
    with writing(offices.engine) as tx:
        noted = {"at": offices.time.wall + 600, "backup": "backup-1", "taken": 1}
        tx.execute(tables.meta.insert().values(key=RESTORED, value=json.dumps(noted)))
    offices.time.turn(120)
    said = line(offices)
    assert said.claim.startswith("Số đo từ trạm này: liền mạch đến ")
    assert any("máy chủ được khôi phục" in one for one in said.rest)
    assert not said.sure
    arrive(offices, Marks(41), 0, seqs=(41,))
    assert line(offices).claim.startswith("Không thiếu gì")


# --- stations -------------------------------------------------------------------------------------------------------------------------


def test_a_station_s_page_names_its_staff_and_what_its_log_does_not_agree_about(offices):
    """Names behind the codes, who has left, and an alarm where the heads of the audit chain contradict each other."""
    offices.hear(
        event(ev.StaffChanged("ys01", "YS. Thử Một", "nurse")), event(ev.StaffChanged("kt01", "KTV Thử Hai", "technician", False)),
        event(ev.AuditHead(10, b"a" * 32)), event(ev.AuditHead(20, b"c" * 32, 10, b"b" * 32)),
    )  # fmt: skip
    doctor = offices.doctor()
    text = doctor.get(f"/stations/{STATION}").text
    for word in ("YS. Thử Một", "KTV Thử Hai", "đã nghỉ", "không khớp", "một mục đã bị đổi"):
        assert word in text, word
    assert "nhật ký không khớp" in doctor.get("/stations/").text
