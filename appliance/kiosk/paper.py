"""Paper, without a network: lines of text become a PDF, A5 or on an 80 mm roll, in Vietnamese, with a QR code.

What stands on the paper is composed by `screens.paper`; here it is laid out. The work is done in a process of its own
that lives for one document: laying out takes 50 MiB, which the kiosk would never give back. `python -m
appliance.kiosk.paper` is that process: a document as JSON on its standard input, the PDF on its standard output.

The QR code holds the station's number and the code of the record or request, as ``TRAM:<STATION>:<P or C>:<CODE>``: what
the paper also says in letters. No name, no value, no number of a card.

The letters are DejaVu Sans, cut to Latin and Vietnamese (`fonts/`, licence beside it): in the file, so that every printer
and every reader shows the same.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

A5, ROLL = "a5", "roll"
SIZES = (A5, ROLL)
SECONDS = 30
"""For one document; 2 s were measured on a server, a small box takes a few times as long."""
_FONTS = Path(__file__).parent / "fonts"
_WIDTH = {A5: 148.0, ROLL: 80.0}
_HEIGHT_A5 = 210.0
_MARGIN = {A5: 10.0, ROLL: 4.0}
"""mm; a roll of 80 mm has 72 mm that its printer reaches."""
_POINTS = {A5: 9.5, ROLL: 9.0}
_LEADING = 1.4
"""Times the letter's size: marks stand above marks."""
_LONGEST = 5000.0
"""mm: the longest page a PDF may have (14,400 points)."""
_ACROSS_EVERY = 90.0
"""mm between two *DỮ LIỆU THỬ* on a roll."""
_MM = 25.4 / 72


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the paper. `look`: ``title``, ``head``, ``text``, ``strong``, ``small``, ``struck``, ``rule`` or ``code`` (a QR code of
    `text`, with `label` beside it). A `label` stands before its text, lighter.
    """

    text: str = ""
    look: str = "text"
    label: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """What to print. `across` is written large over every page (empty: nothing), `foot` small at the end of each."""

    size: str
    title: str
    lines: tuple[Line, ...]
    across: str = ""
    foot: str = ""
    language: str = field(default="vi")


class PrintError(OSError):
    """The PDF could not be made now; nothing was changed. To be tried again."""


def code(station: str, kind: str, spelt: str) -> str:
    """What a QR code holds; `kind` is ``P`` (a record), ``C`` (a request) or ``S`` (how the station stands: its status code).

    >>> code("tram-0001", "C", "7KQ2-M9XA")
    'TRAM:TRAM-0001:C:7KQ2-M9XA'
    """
    return f"TRAM:{station}:{kind}:{spelt}".upper()


# --- outside ------------------------------------------------------------------------------------------------------------------------


def printed(document: Document) -> bytes:
    """The PDF, made in a process of its own; PrintError when it was not made in time."""
    said = json.dumps(asdict(document), ensure_ascii=False).encode()
    try:
        done = subprocess.run([sys.executable, "-I", "-m", __name__], input=said, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise PrintError(f"not made within {SECONDS} s") from None
    if done.returncode or not done.stdout.startswith(b"%PDF-"):
        raise PrintError(f"the layout ended with {done.returncode}: {done.stderr[-200:]!r}")
    return done.stdout


def hand_over(pdf: bytes, queue: str, title: str) -> None:
    """Give the PDF to the printer's queue by `lp`; PrintError when it is not taken. The queue prints it when the printer can."""
    command = ["lp", "-d", queue, "-t", title, "-"]
    try:
        done = subprocess.run(command, input=pdf, capture_output=True, timeout=SECONDS, check=False)
    except OSError as error:
        raise PrintError(f"lp does not start: {error}") from None
    except subprocess.TimeoutExpired:
        raise PrintError(f"lp took nothing within {SECONDS} s") from None
    if done.returncode:
        raise PrintError(f"lp ended with {done.returncode}: {done.stderr[-200:]!r}")


def main() -> None:
    """The process that lays out one document."""
    given = json.loads(sys.stdin.buffer.read())
    lines = tuple(Line(**one) for one in given.pop("lines"))
    sys.stdout.buffer.write(make(Document(lines=lines, **given)))


# --- inside -------------------------------------------------------------------------------------------------------------------------


def make(document: Document) -> bytes:
    """The PDF of a document, in this process. A roll is as long as what stands on it, and at least as long as it is wide."""
    if document.size == A5:
        return _finished(_draw(document, _HEIGHT_A5))
    first = _draw(document, _LONGEST)
    end = first.get_y()
    _close(first)
    return _finished(_draw(document, min(_LONGEST, max(_WIDTH[ROLL], end + 8))))


def _finished(pdf: Any) -> bytes:
    content = bytes(pdf.output())
    _close(pdf)
    return content


def _close(pdf: Any) -> None:
    """fpdf2 leaves its font files open."""
    for font in pdf.fonts.values():
        font.ttfont.close()


def _draw(document: Document, height: float) -> Any:
    pdf = _page_class()(document, height)
    pdf.add_page()
    for line in document.lines:
        _LOOKS[line.look](pdf, line)
    if document.size == ROLL and document.foot:
        _small(pdf, Line(document.foot))
    return pdf


def _page_class() -> Any:
    """FPDF with our head and foot; fpdf2 is brought in here, where there is work for it."""
    from fpdf import FPDF

    class Page(FPDF):
        """Every page says what must stand on every page."""

        def __init__(self, document: Document, height: float) -> None:
            super().__init__(unit="mm", format=(_WIDTH[document.size], height))
            self.document, self.points = document, _POINTS[document.size]
            self.set_margin(_MARGIN[document.size])
            self.set_auto_page_break(document.size == A5, margin=14)
            self.set_title(document.title)
            self.set_lang(document.language)
            for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf")):
                self.add_font("Paper", style, _FONTS / name)

        def header(self) -> None:
            """*DỮ LIỆU THỬ* over the page, behind the text: it cannot be cut off with a margin."""
            if not self.document.across:
                return
            self.set_text_color(205)
            self.set_font("Paper", "B", 30 if self.document.size == A5 else 22)
            places = (self.h * 0.3, self.h * 0.7) if self.document.size == A5 else _down(self.h)
            for y in places:
                with self.rotation(25, self.w / 2, y):
                    self.set_xy(0, y)
                    self.cell(self.w, 10, self.document.across, align="C")
            self.set_text_color(0)
            self.set_xy(self.l_margin, self.t_margin)

        def footer(self) -> None:
            """What must be said on every page, and its number where there can be several."""
            if self.document.size != A5:
                return
            self.set_y(-12)
            self.set_font("Paper", "", 7)
            self.set_text_color(70)
            self.cell(self.epw - 14, 4, self.document.foot)
            self.cell(14, 4, f"{self.page_no()}/{{nb}}", align="R")
            self.set_text_color(0)

    return Page


def _down(height: float) -> list[float]:
    """Where *DỮ LIỆU THỬ* stands on a roll of this length; nowhere on the one that is only measured."""
    return [] if height >= _LONGEST else [y for y in _steps(height) if y < height - 15]


def _steps(height: float) -> list[float]:
    return [35 + _ACROSS_EVERY * step for step in range(1 + int(height // _ACROSS_EVERY))]


def _write(pdf: Any, text: str, style: str = "", factor: float = 1.0, align: str = "L") -> None:
    """A paragraph; the paper goes on below it."""
    points = pdf.points * factor
    pdf.set_font("Paper", style, points)
    pdf.multi_cell(pdf.epw, points * _MM * _LEADING, _sayable(pdf, text), align=align, new_x="LMARGIN", new_y="NEXT")


def _sayable(pdf: Any, text: str) -> str:
    """Text of which every sign has a shape: composed, and a box for what our letters do not have."""
    import unicodedata

    plain, bold = (pdf.fonts[name].cmap for name in ("paper", "paperB"))
    composed = unicodedata.normalize("NFC", text)
    return "".join(sign if sign == "\n" or (ord(sign) in plain and ord(sign) in bold) else "\ufffd" for sign in composed)


def _title(pdf: Any, line: Line) -> None:
    _write(pdf, line.text, "B", 1.45, "C")


def _head(pdf: Any, line: Line) -> None:
    pdf.ln(1.2)
    _write(pdf, line.text, "B", 1.08)


def _text(pdf: Any, line: Line) -> None:
    _labelled(pdf, line, "")


def _strong(pdf: Any, line: Line) -> None:
    _labelled(pdf, line, "B")


def _labelled(pdf: Any, line: Line, style: str) -> None:
    if not line.label:
        _write(pdf, line.text, style)
        return
    height = pdf.points * _MM * _LEADING
    pdf.set_font("Paper", "", pdf.points * 0.88)
    pdf.set_text_color(70)
    pdf.write(height, _sayable(pdf, line.label) + ": ")
    pdf.set_text_color(0)
    pdf.set_font("Paper", style or "B", pdf.points)
    pdf.write(height, _sayable(pdf, line.text))
    pdf.ln(height)


def _small(pdf: Any, line: Line) -> None:
    pdf.set_text_color(70)
    _write(pdf, line.text, "", 0.82)
    pdf.set_text_color(0)


def _struck(pdf: Any, line: Line) -> None:
    _write(pdf, line.text, "S")


def _rule(pdf: Any, _line: Line) -> None:
    pdf.ln(1)
    pdf.set_draw_color(120)
    pdf.set_line_width(0.2)
    pdf.line(pdf.l_margin, pdf.get_y(), pdf.w - pdf.r_margin, pdf.get_y())
    pdf.ln(1.5)


def _code(pdf: Any, line: Line) -> None:
    """The QR code as squares, error correction M: 22 mm wide with a white edge of four modules (ISO/IEC 18004), its label beside it."""
    import segno

    rows = [list(row) for row in segno.make(line.text, error="m", micro=False).matrix]
    side = 22.0
    module = side / (len(rows) + 8)
    pdf.ln(1)
    if pdf.will_page_break(side):
        pdf.add_page()
    left, top = pdf.l_margin, pdf.get_y()
    pdf.set_fill_color(255)
    pdf.rect(left, top, side, side, style="F")
    pdf.set_fill_color(0)
    for at, row in enumerate(rows):
        for start, length in _runs(row):
            pdf.rect(left + (start + 4) * module, top + (at + 4) * module, length * module, module, style="F")
    pdf.set_xy(left + side + 2, top + 4)
    pdf.set_font("Paper", "", pdf.points * 0.88)
    pdf.multi_cell(pdf.epw - side - 2, pdf.points * _MM * _LEADING, _sayable(pdf, line.label), align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.set_y(max(pdf.get_y(), top + side))


def _runs(row: list[int]) -> list[tuple[int, int]]:
    """(start, length) of the dark stretches of a row: one rectangle each, so that no hair of light parts its modules."""
    found: list[tuple[int, int]] = []
    for at, dark in enumerate(row):
        if not dark:
            continue
        if found and sum(found[-1]) == at:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((at, 1))
    return found


_LOOKS: dict[str, Callable[[Any, Line], None]] = {
    "title": _title, "head": _head, "text": _text, "strong": _strong, "small": _small, "struck": _struck, "rule": _rule, "code": _code,
}  # fmt: skip


if __name__ == "__main__":
    main()
