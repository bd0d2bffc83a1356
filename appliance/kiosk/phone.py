"""The page a staff member's telephone opens after scanning the code on the kiosk: it takes one picture, and shows nothing.

A program of its own beside the kiosk, because it is the only one that the station's network reaches. It knows tickets and
nothing else: no patient, no request, no list; without a live ticket every address is the same short sentence. Transport
security and the station's own access point come with a later issue: until then it belongs into a network that the station
alone uses (docs/how-to).
"""

import logging
from collections.abc import Callable
from contextlib import closing
from typing import IO

from flask import Flask, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from appliance import journal
from appliance.database import Connection, StoreError
from appliance.kiosk import imaging
from appliance.kiosk.here import Clock
from appliance.kiosk.imaging import SENTENCES, NotAPicture
from appliance.settings import Settings
from appliance.store import pictures, room, tickets
from appliance.store.errors import Damaged, Refused, WrongSchema

LARGEST_FORM = imaging.MOST_BYTES + 64 * 1024
LARGEST_FIELDS = 512 * 1024
THREADS = 2
HEADERS = {
    "Content-Security-Policy": ("default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_DEAD = "Mã này đã dùng hoặc hết hạn. Tạo mã mới ở máy trạm rồi quét lại."
_DONE = "Ảnh đã tới máy trạm. Muốn gửi ảnh khác, tạo mã mới ở máy trạm. Nhớ xoá ảnh khỏi điện thoại."
_STORE = "Máy trạm chưa nhận được ảnh. Thử lại sau một phút, hoặc chụp bằng cách khác."
_BUG = "Máy trạm gặp lỗi nên chưa nhận được ảnh. Chụp bằng cách khác và gọi hỗ trợ."


def make_phone(settings: Settings, connect: Callable[[], Connection], clock: Clock, log: logging.Logger | None = None) -> Flask:
    """The application. `connect` opens the store, once for each request."""
    app = Flask(__name__, static_folder="static/phone", static_url_path="/static", template_folder="templates")
    app.config.update(MAX_CONTENT_LENGTH=LARGEST_FORM, MAX_FORM_MEMORY_SIZE=LARGEST_FIELDS, SEND_FILE_MAX_AGE_DEFAULT=3600)
    told = log or logging.getLogger("tram.phone")

    @app.get("/t/<token>")
    def ask(token: str) -> Response:
        with closing(connect()) as conn:
            live = tickets.find(conn, token, clock.stamp()) is not None
        return _page(app, token) if live else _page(app, "", _DEAD, 410)

    @app.post("/t/<token>")
    def take(token: str) -> Response:
        with closing(connect()) as conn:
            ticket = tickets.find(conn, token, clock.stamp())
            if ticket is None:
                return _page(app, "", _DEAD, 410)
            given = request.files.get("picture")
            if given is None:
                return _page(app, token, SENTENCES["empty"][0], 422)
            with closing(given):
                said = _keep(conn, settings, clock, ticket, given.stream)
        if said:
            return _page(app, token, said, 422)
        journal.step(told, "pictured", consult=ticket.consult)
        return _page(app, "", _DONE)

    app.after_request(_headers)
    _answers(app, told)
    return app


def _keep(conn: Connection, settings: Settings, clock: Clock, ticket: tickets.Ticket, photo: IO[bytes]) -> str:
    """Keep the picture; what to say instead when it cannot be kept."""
    try:
        room.check_picture(settings, conn)
        images = imaging.prepare(photo)
        pictures.attach(
            conn, ticket.consult, patient=ticket.patient, full=images.full, preview=images.preview, source="phone", staff=ticket.staff,
            now=clock.stamp(), ticket=ticket.id,
        )  # fmt: skip
    except (NotAPicture, Refused) as no:
        return no.vi
    return ""


def _page(app: Flask, token: str, said: str = "", status: int = 200) -> Response:
    answer = app.make_response(render_template("telephone.html", token=token, said=said, status=status))
    answer.status_code = status
    return answer


def _headers(answer: Response) -> Response:
    for name, value in HEADERS.items():
        answer.headers[name] = value
    return answer


def _answers(app: Flask, log: logging.Logger) -> None:
    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        code = error.code or 500
        return _page(app, "", SENTENCES["large"][0] if code == 413 else _DEAD, code)

    @app.errorhandler(StoreError)
    def store(error: StoreError) -> Response:
        log.error("store: %s", error.reason)
        return _page(app, "", _STORE, 503)

    @app.errorhandler(WrongSchema)
    @app.errorhandler(Damaged)
    @app.errorhandler(Exception)
    def bug(error: Exception) -> Response:
        log.error("bug: %s", type(error).__name__)
        return _page(app, "", _BUG, 500)


def serve(app: Flask, host: str, port: int) -> None:
    """Answer until the process ends."""
    from waitress import serve as wait

    wait(app, host=host, port=port, threads=THREADS, ident=None, max_request_body_size=2 * LARGEST_FORM, clear_untrusted_proxy_headers=True)
