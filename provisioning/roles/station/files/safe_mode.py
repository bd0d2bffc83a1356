"""The page in place of the screens when they do not start: what happened, whom to call. Standard library alone.

    safe_mode.py PORT [TELEPHONE]

It answers every path with the same page, on loopback, and knows nothing of any patient.
"""

import html
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

PAGE = """<!doctype html>
<html lang="vi"><head><meta charset="utf-8"><meta http-equiv="refresh" content="20"><title>Trạm</title></head>
<body style="font:28px/1.5 sans-serif;margin:48px;background:#fff;color:#111">
<h1 style="font-size:40px">Màn hình đang được sửa</h1>
<p>Phần mềm không khởi động được. Số đo đã lưu vẫn còn trên thẻ. Ghi ra giấy, và tắt rồi bật lại hộp một lần.</p>
<p><strong>Cấp cứu: gọi ngay 115{duty}. Không chờ phần mềm.</strong></p>
<p>Sau 15 phút hộp tự thử lại. Nếu vẫn thấy trang này, gọi kỹ thuật viên.</p>
<p lang="en" style="font-size:20px;color:#444">The screens do not start. What was saved is still on the card. Write on paper;
switch the box off and on once. Emergency: call 115{duty} now, do not wait for software. The box tries again after 15 minutes.</p>
</body></html>
"""


def page(duty: str) -> bytes:
    """The page, with the number on duty where there is one."""
    return PAGE.format(duty=f", {html.escape(duty)}" if duty else "").encode()


def make_server(port: int, content: bytes) -> HTTPServer:
    """A server on loopback that answers everything with `content`."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            for name, value in (
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Length", str(len(content))),
                ("Cache-Control", "no-store"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name http.server asks for

        def log_message(self, *_words: object) -> None:
            """Nothing is written: a path could name a patient."""

    return HTTPServer(("127.0.0.1", port), Answer)


if __name__ == "__main__":
    make_server(int(sys.argv[1]), page(sys.argv[2] if len(sys.argv) > 2 else "")).serve_forever()
