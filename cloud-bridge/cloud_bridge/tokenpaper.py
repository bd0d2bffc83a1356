"""The paper that a technician carries to the box: the QR code, the 24 letters, whose it is and until when.

On the terminal as text; as a PDF of one page, A5, drawn here by hand: black squares and the reader's own Helvetica, without
marks, because that is all such a font has. segno makes the code.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 420, 595
"""A5 in points."""
_LEFT, _CODE, _LINE = 40, 200, 17


class Paper(NamedTuple):
    """What stands on it. `code` is the QR code's text, `letters` the 24 to type, `until` a date for people."""

    station: str
    technician: str
    until: str
    code: str
    letters: str


def lines(paper: Paper) -> list[str]:
    """The words of the paper, Vietnamese first."""
    return [
        f"Ghi danh trạm {paper.station} · enrol station {paper.station}",
        f"Kỹ thuật viên / technician: {paper.technician}",
        f"Dùng một lần, đến hết / good once, until: {paper.until}",
        "",
        paper.letters,
        "",
        "Quét mã QR, hoặc gõ 24 chữ: tram enrol. Sau đó so sáu từ",
        "trên màn hình với máy chủ qua điện thoại.",
        "Scan the code, or type the 24 letters. Then compare the six words.",
        "Mất tờ giấy này: báo ngay. Lost this paper: say so at once.",
    ]


def on_terminal(paper: Paper) -> str:
    """The paper as text with half blocks."""
    import io

    import segno

    out = io.StringIO()
    segno.make(paper.code, error="m", micro=False).terminal(out, compact=True)
    return out.getvalue() + "\n".join(lines(paper)) + "\n"


def pdf(paper: Paper) -> bytes:
    """The paper as a PDF."""
    import segno

    matrix = segno.make(paper.code, error="m", micro=False).matrix
    drawn = [*_squares(matrix), *_words(lines(paper))]
    return _file("\n".join(drawn).encode("ascii"))


def _squares(matrix: Sequence[Sequence[int]]) -> Iterable[str]:
    size = _CODE / len(matrix)
    for down, row in enumerate(matrix):
        for across, dark in enumerate(row):
            if dark:
                yield f"{_LEFT + across * size:.2f} {HEIGHT - 50 - (down + 1) * size:.2f} {size:.2f} {size:.2f} re"
    yield "f"


def _words(texts: Iterable[str]) -> Iterable[str]:
    place = HEIGHT - 50 - _CODE - 40
    for text in texts:
        letters = text.count("-") == 5
        font = "/F2 16" if letters else "/F1 11"
        yield f"BT {font} Tf {_LEFT} {place} Td ({_plain(text)}) Tj ET"
        place -= _LINE


def _plain(text: str) -> str:
    """Without marks, in letters that the reader's Helvetica has, and safe between round brackets."""
    apart = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D").replace("·", "-"))
    plain = "".join(one for one in apart if not unicodedata.combining(one)).encode("ascii", "replace").decode()
    return plain.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _file(content: bytes) -> bytes:
    """A PDF of one page out of its drawing."""
    fonts = b"/F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> /F2 << /Type /Font /Subtype /Type1 /BaseFont /Courier-Bold >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R /Resources << /Font << %s >> >> >>" % (WIDTH, HEIGHT, fonts),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    ]
    out, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    return out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
