import pytest

from appliance.store import patients
from appliance.store.consent import TEXTS
from tests.kiosk.station import FIRST, Station, Window, add_patient

FORM = {
    "name": "Người Mới Thử", "birth": "02/09/1945", "sex": "male", "cccd": "001045000001", "bhyt": "", "phone": "", "village": "Bản Thử",
    "allergies": "known", "allergy_text": "penicillin",
}  # fmt: skip


def number(window: Window) -> str:
    """The number on the registration form."""
    return window.get("/patients/new").text.split('name="patient" value="')[1].split('"')[0]


def test_a_new_patient_is_registered_and_shown(station: Station) -> None:
    """One form; the patient's page follows, and the event waits for the bridge with the nurse as actor."""
    window = station.window()
    patient = number(window)
    window.post("/patients/new", patient=patient, **FORM)
    assert window.path == f"/patients/{patient}"
    for fact in ("Người Mới Thử", "02-Thg9-1945", "Nam", "001 045 000 001", "penicillin"):
        assert fact in window.text
    assert patients.get(station.conn, int(patient)) is not None
    assert station.count("SELECT count(*) FROM outbox WHERE kind = 1") == 3


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "Ghi họ và tên"),
        ("birth", "31/02/1950", "30/04/1961"),
        ("birth", "01/01/2999", "tương lai"),
        ("sex", "", "Chọn giới tính"),
        ("cccd", "12345", "12 chữ số, ở đây có 5"),
        ("bhyt", "12345", "10 số"),
        ("phone", "abc", "bắt đầu bằng 0"),
        ("allergy_text", "", "Ghi dị ứng với gì"),
    ],
)
def test_a_wrong_field_says_how_to_put_it_right(station: Station, field: str, value: str, words: str) -> None:
    """The page comes back with what was typed, the sentence at the field and on top; nothing is kept."""
    window = station.window()
    window.post("/patients/new", patient=number(window), **(FORM | {field: value}))
    assert window.status == 422
    assert window.text.count(words) >= 2
    assert 'class="problem"' in window.text
    kept = FORM["name"] if field != "name" else FORM["village"]
    assert f'value="{kept}"' in window.text
    assert station.count("SELECT count(*) FROM patient") == 2


def test_the_year_alone_is_enough(station: Station) -> None:
    """Many do not know their day of birth."""
    window = station.window()
    window.post("/patients/new", patient=number(window), **(FORM | {"birth": "1945"}))
    assert "khoảng 81 tuổi" in window.text


def test_a_second_tap_registers_nobody_twice(station: Station) -> None:
    """The number of the form makes both presses one patient."""
    window = station.window()
    patient = number(window)
    for _ in range(2):
        window.post("/patients/new", patient=patient, **FORM)
        assert window.path == f"/patients/{patient}"
    assert station.count("SELECT count(*) FROM patient") == 3


def test_a_possible_duplicate_is_shown_before_registering(station: Station) -> None:
    """The same number or the same name and a birth that agrees: a person chooses; both ways work."""
    window = station.window()
    patient = number(window)
    twin = FORM | {"name": FIRST, "birth": "1961", "cccd": ""}
    window.post("/patients/new", patient=patient, **twin)
    assert "Có thể người này đã có ở trạm" in window.text
    assert f'href="/patients/{station.first}"' in window.text
    assert station.count("SELECT count(*) FROM patient") == 2
    window.post("/patients/new", patient=patient, different="1", **twin)
    assert window.path == f"/patients/{patient}"
    assert station.count("SELECT count(*) FROM patient") == 3


def test_somebody_of_the_same_name_is_told_where_the_patient_is_confirmed(station: Station) -> None:
    """Two who differ by a mark and a year: both pages that ask for two identifiers name the other one; without one they say nothing."""
    window = station.window()
    pages = (f"/patients/{station.first}/measure", f"/patients/{station.first}/confirm")
    assert all("cùng tên" not in window.get(page).text for page in pages)
    add_patient(station, 77, FIRST.replace("ử", "ư"), birth="1962-04-30")
    for page in pages:
        text = window.get(page).text
        assert "Trạm còn có người cùng tên" in text, page
        assert "30-Thg4-1962" in text, page


def test_a_number_that_is_taken_is_drawn_again(station: Station) -> None:
    """Two forms with one number never become one patient."""
    window = station.window()
    number(window)
    enrol = next(iter(station.kiosk.desks._desks.values())).enrol
    assert enrol is not None
    enrol.patient = station.first
    window.post("/patients/new", patient=str(station.first), different="1", **FORM)
    assert window.path.startswith("/patients/")
    assert "Người Mới Thử" in window.text
    assert FIRST not in window.text


def test_the_patients_page_shows_saved_readings_with_their_source(station: Station) -> None:
    """Value, time, device and source; test data says so; what is not there is said."""
    window = station.window()
    assert "Chưa có kết quả" in window.get(f"/patients/{station.first}").text
    session = window.open(station.first)
    measurement = station.measure("oxi", session)
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    text = window.get(f"/patients/{station.first}").text
    for words in ("SpO₂ 98%", "Mạch 60 lần/phút", "Máy đo SpO₂", "nguồn: máy", "17:00:00"):
        assert words in text


def test_a_patient_who_is_not_here_is_a_sentence(station: Station) -> None:
    """404 with a way on."""
    window = station.window().get("/patients/424242")
    assert window.status == 404
    assert "Không có người bệnh này" in window.text
    assert "K404" in window.text


def test_a_record_is_changed_with_a_reason_and_nothing_else_is_lost(station: Station) -> None:
    """The form holds what is known; the change is the next version with its reason; the search knows the new name."""
    window = station.window().get(f"/patients/{station.first}/edit")
    assert f'value="{FIRST}"' in window.text
    form = {
        "version": "1", "name": "Đặng Thử Nghiệm Mới", "birth": "30/04/1961", "sex": "female", "cccd": "001061012345", "village": "Bản Mới",
        "phone": "0900 000 009",
    }  # fmt: skip
    assert window.post(f"/patients/{station.first}/edit", **form).status == 422
    assert "Chọn lý do sửa" in window.text
    assert 'value="Bản Mới"' in window.text
    window.post(f"/patients/{station.first}/edit", reason="papers", **form)
    known = patients.present(station.conn, station.first)
    assert (known.name, known.village, known.phone, known.version) == ("Đặng Thử Nghiệm Mới", "Bản Mới", "0900000009", 2)
    assert station.count("SELECT count(*) FROM outbox WHERE kind = 2") == 1
    assert "Đặng Thử Nghiệm Mới" in window.post("/find", q="moi").text


def test_two_people_who_change_one_record_lose_nothing_unseen(station: Station) -> None:
    """The second form is of an old version: a sentence, and what the first wrote stands."""
    window = station.window()
    form = {"version": "1", "name": FIRST, "birth": "1961", "sex": "female", "reason": "said"}
    window.post(f"/patients/{station.first}/edit", village="Bản Một", **form)
    assert window.post(f"/patients/{station.first}/edit", village="Bản Hai", **form).status == 409
    assert "Có người vừa sửa hồ sơ này" in window.text
    assert patients.present(station.conn, station.first).village == "Bản Một"


def test_a_wrong_change_keeps_what_was_typed(station: Station) -> None:
    """The sentence at its field; the record stays."""
    window = station.window()
    form = {"version": "1", "name": FIRST, "birth": "1961", "sex": "female", "reason": "said", "cccd": "00106101234"}
    assert window.post(f"/patients/{station.first}/edit", village="Bản Một", **form).status == 422
    assert "12 chữ số, ở đây có 11" in window.text
    assert 'value="Bản Một"' in window.text
    assert patients.present(station.conn, station.first).version == 1


def test_allergies_are_known_none_known_or_not_asked(station: Station) -> None:
    """Each is a version of its own and stands on the banner; known needs words."""
    window = station.window()
    at = f"/patients/{station.first}/allergies"
    assert window.post(at, version="1", allergies="known").status == 422
    assert "Ghi dị ứng với gì" in window.text
    for version, (word, text, said) in enumerate(
        (("known", "penicillin", "penicillin"), ("none_known", "", "Đã hỏi: không có"), ("unknown", "", "Chưa hỏi / không rõ")), 1
    ):
        window.post(at, version=str(version), allergies=word, allergy_text=text)
        assert window.path == f"/patients/{station.first}"
        assert said in window.text
        assert patients.present(station.conn, station.first).version == version + 1
    assert station.count("SELECT count(*) FROM outbox WHERE kind = 2") == 3


def test_a_consent_is_read_out_and_asked(station: Station) -> None:
    """Nothing is ticked beforehand; yes and no are kept with who wrote them; the text stands on the page."""
    patient = add_patient(station, 1003, "Lê Thử Ba", "1970", agrees=False)
    window = station.window().get(f"/patients/{patient}/consent")
    assert window.text.count("chưa hỏi") == 4
    window.get(f"/patients/{patient}/consent/TREAT")
    assert TEXTS["TREAT"][0][:60] in window.text
    assert "checked" not in window.text
    assert window.post(f"/patients/{patient}/consent/TREAT").status == 400
    window.post(f"/patients/{patient}/consent/TREAT", answer="yes")
    assert "đồng ý · 17:00 · Y tá Thử" in window.text
    window.post(f"/patients/{patient}/consent/TREAT", answer="no")
    assert "không đồng ý · 17:00" in window.text
    assert window.get(f"/patients/{patient}/consent/ADS").status == 404
    assert station.count("SELECT count(*) FROM outbox WHERE kind IN (5, 6)") == 4


def test_nothing_of_a_scanned_card_is_kept_but_the_fields_of_the_form(station: Station) -> None:
    """The old number, the whole address and the date of issue are in no table, no event and no journal."""
    window = station.window()
    window.post("/find", q="001061099999|987654321|Người Mới Thử|30041961|Nữ|Bản Mới, Xã Lạ, Tỉnh Xa|31122021")
    patient = window.text.split('name="patient" value="')[1].split('"')[0]
    form = {
        "name": "Người Mới Thử",
        "birth": "30/04/1961",
        "sex": "female",
        "cccd": "001061099999",
        "village": "Bản Mới",
        "allergies": "unknown",
    }
    window.post("/patients/new", patient=patient, **form)
    assert window.path == f"/patients/{patient}"
    tables = [row[0] for row in station.conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
    kept = [value for table in tables for row in station.conn.execute(f"SELECT * FROM {table}").fetchall() for value in tuple(row)]
    told = b" ".join(value.encode() if isinstance(value, str) else bytes(value) for value in kept if isinstance(value, str | bytes))
    assert "Bản Mới".encode() in told
    for secret in ("987654321", "Tỉnh Xa", "31122021"):
        assert secret.encode() not in told
        assert secret not in station.journal.getvalue()


def test_a_telephone_that_somebody_has_is_asked_about_before_registering(station: Station) -> None:
    """The same number under another name: perhaps the family, perhaps the same person; a person decides."""
    window = station.window()
    window.post("/patients/new", patient=number(window), **(FORM | {"phone": "0900 111 222"}))
    twin = FORM | {"name": "Ai Đó Thử", "cccd": "", "phone": "+84900111222"}
    window.post("/patients/new", patient=number(window), **twin)
    assert "Có thể người này đã có ở trạm" in window.text
    assert "Là người này" in window.text
