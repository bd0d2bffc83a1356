"""Paper: read back as a reader would, every letter and the QR code, on a sheet and on a roll."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest
import zxingcpp

from appliance.contract.ids import spell
from appliance.contract.metrics import Status
from appliance.kiosk import paper
from appliance.kiosk.paper import A5, ROLL, SIZES, Document, Line
from appliance.store import consults
from tests.kiosk.station import FIRST, SECOND, Station, Window, add_patient
from tests.kiosk.test_correct import ask, save

LETTERS = "aăâeêioôơuưyAĂÂEÊIOÔƠUƯY"
TONES = "\u0300\u0301\u0303\u0309\u0323"
LONG = "Công Tằng Tôn Nữ Thị Thử Nghiệm Phước Vĩnh Bảo Châu Hoàng Ngọc Quỳnh Uyển Nghi"


def alphabet() -> str:
    """Every letter of Vietnamese with every tone, composed."""
    import unicodedata

    toned = [unicodedata.normalize("NFC", letter + tone) for letter in LETTERS for tone in ("", *TONES)]
    return "".join(toned) + "bcdđghklmnpqrstvxBCDĐGHKLMNPQRSTVX0123456789"


def pages(pdf: bytes) -> list[str]:
    """The text of each page, its line ends as spaces."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [" ".join(page.get_textpage().get_text_bounded().split()) for page in document]


def scanned(pdf: bytes) -> list[str]:
    """What a scanner reads off the pages, drawn at 203 dots per inch as a roll printer does."""
    with pypdfium2.PdfDocument(pdf) as document:
        found = [zxingcpp.read_barcodes(page.render(scale=203 / 72).to_pil()) for page in document]
    return [one.text for page in found for one in page]


def width_mm(pdf: bytes) -> float:
    """How wide the first page is."""
    with pypdfium2.PdfDocument(pdf) as document:
        return float(document[0].get_width() * 25.4 / 72)


def opened(window: Window, path: str) -> bytes:
    """A PDF from the kiosk."""
    window.page = window.client.get(path)
    assert window.status == 200 and window.page.mimetype == "application/pdf", window.page.data[:300]
    assert window.page.headers["Cache-Control"] == "no-store"
    return window.page.data


@pytest.mark.parametrize("size", SIZES)
def test_every_vietnamese_letter_has_a_shape(size: str) -> None:
    """All letters with all tones come back as text, none as the box for unknown signs; decomposed text is composed first."""
    import unicodedata

    text = unicodedata.normalize("NFD", alphabet())
    pdf = paper.make(Document(size, "Thử", (Line(text), Line(text, "strong"), Line("日", "small"))))
    read = "".join(pages(pdf)).replace(" ", "")
    assert read.count(alphabet()) == 2
    assert read.count("\ufffd") == 1, "what has no shape is a box, not a gap"


@pytest.mark.parametrize("size", SIZES)
def test_a_long_name_is_broken_and_never_cut(size: str) -> None:
    """80 mm are narrow: the name goes on below, nothing is printed beyond the edge, a word without end is broken too."""
    pdf = paper.make(Document(size, "Thử", (Line(LONG, "strong", "Họ tên"), Line("x" * 200), Line("kết", "small"))))
    (text,) = pages(pdf)
    assert LONG in text and text.count("x") == 200
    with pypdfium2.PdfDocument(pdf) as document:
        page = document[0]
        words = page.get_textpage()
        right = max(words.get_charbox(at)[2] for at in range(words.count_chars()))
        assert right <= page.get_width() - 8


@pytest.mark.parametrize("count", [3, 60])
def test_a_roll_is_as_long_as_what_stands_on_it(count: int) -> None:
    """One page of 80 mm, however much it is; a sheet goes on to the next page and says how many there are."""
    lines = tuple(Line(f"Dòng số {number}") for number in range(count))
    roll, sheet = paper.make(Document(ROLL, "Thử", lines)), paper.make(Document(A5, "Thử", lines))
    assert len(pages(roll)) == 1 and width_mm(roll) == pytest.approx(80, abs=0.1)
    assert len(pages(sheet)) == (1 if count == 3 else 2) and width_mm(sheet) == pytest.approx(148, abs=0.1)
    assert f"{len(pages(sheet))}/{len(pages(sheet))}" in pages(sheet)[-1]
    assert all(f"Dòng số {number}" in " ".join(pages(sheet)) for number in range(count))


@pytest.mark.parametrize("size", SIZES)
def test_test_data_stands_across_every_page(size: str) -> None:
    """Large, on each sheet, and again and again down a roll."""
    lines = tuple(Line(f"Dòng {number}") for number in range(90))
    pdf = paper.make(Document(size, "Thử", lines, across="DỮ LIỆU THỬ"))
    assert all("DỮ LIỆU THỬ" in page for page in pages(pdf))
    assert " ".join(pages(pdf)).count("DỮ LIỆU THỬ") >= 4


@pytest.mark.parametrize("size", SIZES)
def test_the_slip_says_who_what_and_with_which_device(station: Station, size: str) -> None:
    """Station, banner, values with time, device and source; the code in letters and as a QR that holds nothing else."""
    window = station.window()
    save(station, window, station.first)
    pdf = opened(window, f"/patients/{station.first}/slip.pdf?size={size}")
    text = " ".join(pages(pdf))
    for words in (
        "PHIẾU KHÁM TẠI TRẠM", "Trạm Y tế xã Thử", FIRST, "30-Thg4-1961", "001 061 012 345", "Bản Thử", "Chưa hỏi / không rõ",
        "SpO₂ 98% · Mạch 60 lần/phút", "Máy đo SpO₂", "nguồn: máy", "17:00", "01/03/2026", "không phải chẩn đoán", "Y tá Thử",
        spell(station.first),
    ):  # fmt: skip
        assert words in text, words
    assert scanned(pdf) == [f"TRAM:TRAM-0001:P:{spell(station.first)}".upper()]
    assert "DỮ LIỆU THỬ" not in text


def test_a_struck_reading_is_printed_struck_with_its_reason(station: Station) -> None:
    """It is not left out and does not stand; nobody else's name is on the paper."""
    window = station.window()
    window.open(station.second)
    observation = save(station, window, station.first)
    plain = opened(window, f"/patients/{station.first}/slip.pdf")
    window.post(f"/patients/{station.first}/readings/{observation}/to/{station.second}", id_name="1", id_birth="1")
    old, new = (opened(window, f"/patients/{who}/slip.pdf") for who in (station.first, station.second))
    assert "Đã chuyển sang hồ sơ khác: Đo nhầm người" in pages(old)[0] and SECOND not in pages(old)[0]
    assert "chuyển từ hồ sơ khác" in pages(new)[0] and FIRST not in pages(new)[0]
    assert _dark_in_a_row(old) > _dark_in_a_row(plain) + 30, "a line goes through the value"


def _dark_in_a_row(pdf: bytes) -> int:
    """The longest dark stretch within a line of text, in pixels at 144 dots per inch (the rules of the page are grey)."""
    with pypdfium2.PdfDocument(pdf) as document:
        image = document[0].render(scale=2).to_pil().convert("L")
    most = 0
    for y in range(image.height):
        run = 0
        for x in range(image.width):
            run = run + 1 if image.getpixel((x, y)) < 90 else 0  # type: ignore[operator]
            most = max(most, run)
    return most


def test_simulated_values_print_as_test_data(station: Station) -> None:
    """The word goes all the way to the paper."""
    window = station.window()
    session = window.open(station.first)
    measurement = station.measure("oxi", session, Status.TEST_DATA)
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    text = pages(opened(window, f"/patients/{station.first}/slip.pdf"))[0]
    assert text.count("DỮ LIỆU THỬ") >= 2 and "dữ liệu thử" in text


@pytest.mark.parametrize("size", SIZES)
def test_the_summary_has_the_question_the_readings_and_the_signed_answer(station: Station, size: str) -> None:
    """Who asked what with which values; the doctor's words with name and time; who has read them; never a word of a legal signature."""
    window = station.window()
    save(station, window, station.first)
    consult = ask(station, window, station.first)
    before = " ".join(pages(opened(window, f"/consults/{consult}/summary.pdf?size={size}")))
    assert "Chưa có trả lời của bác sĩ." in before
    station.answer(consult, advice="Uống đủ nước, nghỉ ngơi.", diagnosis="Đau đầu căng thẳng", follow_up="05/03/2026")
    unread = " ".join(pages(opened(window, f"/consults/{consult}/summary.pdf?size={size}")))
    assert "Chưa có ai ở trạm xác nhận đã đọc." in unread
    consults.confirm_read(station.conn, consult, 1, "y1", station.now)
    pdf = opened(window, f"/consults/{consult}/summary.pdf?size={size}")
    text = " ".join(pages(pdf))
    for words in (
        "Đau đầu", "Nội · Khẩn", "SpO₂ 98% · Mạch 60 lần/phút", "Lời khuyên của bác sĩ", "Uống đủ nước, nghỉ ngơi.", "Đau đầu căng thẳng",
        "BS Thử Một", "Đã đọc và xác nhận: Y tá Thử", "cán bộ trạm quyết định", spell(consult), FIRST,
    ):  # fmt: skip
        assert words in text, words
    assert "chữ ký số" not in text
    assert scanned(pdf) == [f"TRAM:TRAM-0001:C:{spell(consult)}".upper()]


def test_an_unsigned_answer_never_comes_on_paper(station: Station) -> None:
    """An answer under another key is in quarantine: the summary says that there is none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    window = station.window()
    save(station, window, station.first)
    consult = ask(station, window, station.first)
    station.answer(consult, advice="Lời giả", key=Ed25519PrivateKey.generate())
    text = " ".join(pages(opened(window, f"/consults/{consult}/summary.pdf")))
    assert "Lời giả" not in text and "Chưa có trả lời của bác sĩ." in text


def test_only_the_last_visit_is_on_the_slip(station: Station) -> None:
    """Yesterday's values are history; today's slip holds today."""
    window = station.window()
    save(station, window, station.first)
    station.hand.turn(26 * 3600)
    window = station.window()
    session = window.open(station.first)
    measurement = station.measure("oxi", session, SPO2=91, PULSE_RATE=77)
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    text = pages(opened(window, f"/patients/{station.first}/slip.pdf"))[0]
    assert "SpO₂ 91%" in text and "SpO₂ 98%" not in text


def test_a_patient_without_readings_and_with_a_long_name_has_a_slip(station: Station) -> None:
    """Nothing measured is said in words."""
    number = add_patient(station, 1003, LONG[:78], "1961-04-30")
    text = pages(opened(station.window(), f"/patients/{number}/slip.pdf?size={ROLL}"))[0]
    assert LONG[:78] in text and "Chưa có kết quả nào được lưu." in text


@pytest.mark.parametrize("path", ["/patients/999/slip.pdf", "/consults/999/summary.pdf", "/patients/999/print", "/consults/999/print"])
def test_nobody_has_no_paper(station: Station, path: str) -> None:
    """A sentence instead; an unknown size too."""
    assert station.window().get(path).status == 404
    assert station.window().get(f"/patients/{station.first}/slip.pdf?size=a0").status == 400


def test_the_small_page_offers_both_sizes(station: Station) -> None:
    """From the record: two buttons, each a PDF."""
    window = station.window()
    assert f"/patients/{station.first}/print" in window.get(f"/patients/{station.first}").text
    window.get(f"/patients/{station.first}/print")
    for size in SIZES:
        assert f'href="/patients/{station.first}/slip.pdf?size={size}"' in window.text


def with_printer(station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """The station has a printer's queue, and an `lp` that does what `script` says; where its words and its paper go."""
    taken = tmp_path / "taken"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/lp").write_text(f"#!/bin/sh\ntaken={taken}\n{script}\n")
    (tmp_path / "bin/lp").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    station.kiosk.settings = replace(station.settings, kiosk=replace(station.settings.kiosk, printer="roll"))
    return taken


def test_a_station_with_a_printer_gives_it_the_paper_and_no_file_to_the_browser(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue of the settings gets the PDF; the screen says so and leads back to the patient."""
    taken = with_printer(station, tmp_path, monkeypatch, 'echo "$@" >"$taken.words"; cat >"$taken"')
    window = station.window()
    window.get(f"/patients/{station.first}/slip.pdf?size=roll")
    assert window.status == 200 and "Đã đưa tới máy in" in window.text and f'href="/patients/{station.first}"' in window.text
    assert FIRST in pages(taken.read_bytes())[0] and (tmp_path / "taken.words").read_text().startswith("-d roll -t phieu-")


@pytest.mark.parametrize("script", ["cat >/dev/null; echo 'no such queue' >&2; exit 1", "exit 9"])
def test_a_printer_that_takes_nothing_is_said_in_words(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """The person reads what to look at; nothing says that it was printed."""
    with_printer(station, tmp_path, monkeypatch, script)
    window = station.window()
    window.get(f"/patients/{station.first}/slip.pdf")
    assert window.status == 503 and "Máy in không nhận" in window.text


def test_the_kiosk_itself_never_loads_what_lays_out_paper() -> None:
    """Importing the module brings in none of it: a process of its own does the work."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys, appliance.kiosk.screens.paper; print([n for n in ('fpdf', 'PIL') if n in sys.modules])"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_fonts_and_their_licence_are_small_and_there() -> None:
    """Together under 300 kB, in the package, so that the wheel holds them."""
    folder = Path(paper.__file__).parent / "fonts"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 300_000
    assert "Bitstream Vera" in (folder / "LICENSE_DEJAVU.txt").read_text(encoding="utf-8", errors="replace")
