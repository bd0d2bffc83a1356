"""The doctor's pages: a Flask application made from a desk, one blueprint per noun."""

from datetime import timedelta
from typing import Any

from flask import Flask, g, render_template, request
from werkzeug.exceptions import HTTPException, ServiceUnavailable
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter, ValidationError

from appliance.contract.identifiers import station_text
from appliance.contract.ids import SHORT_BITS, is_station, spell, unspell
from cloud_bridge.console import access, boxes, consults, factors, fresh, guard, patients, people, places, queue, review, rota, sessions
from cloud_bridge.console.desk import EXTENSION, Desk
from cloud_bridge.console.desk import desk as at_desk
from cloud_bridge.console.present import clock, day, grouped, moment, waited
from cloud_bridge.store.engine import Pulse

MOST_BYTES = 64 * 1024
"""Of one request: the longest form is an answer of five fields."""


class ShortNumber(BaseConverter):
    """A short number in an address: as people read it (``7K3M-9QPX``) or in decimal."""

    regex = r"[0-9A-Za-z]{4}-[0-9A-Za-z]{4}|[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        """The number; anything else, and what no database holds, is no page of ours."""
        try:
            number = unspell(value) if "-" in value else int(value)
        except ValueError as error:
            raise ValidationError from error
        if number >= 1 << 63:
            raise ValidationError
        return number

    def to_url(self, value: int) -> str:
        """As people read it; in decimal where a station used a number that is longer than short."""
        return spell(value) if 0 <= value < 1 << SHORT_BITS else str(value)


class StationId(BaseConverter):
    """A station id in an address."""

    def to_python(self, value: str) -> str:
        """The id; anything else is no page of ours."""
        if not is_station(value):
            raise ValidationError
        return value


def create_app(desk: Desk, secret: bytes, *, behind_tls: bool = False) -> Flask:
    """The application. `behind_tls` says that a TLS proxy on this machine stands before it: cookies are then for TLS alone."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secret,
        SESSION_COOKIE_NAME="__Host-tram" if behind_tls else "tram-console",
        SESSION_COOKIE_SECURE=behind_tls,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        MAX_CONTENT_LENGTH=MOST_BYTES,
        MAX_FORM_PARTS=400,
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(hours=1),
    )
    app.extensions[EXTENSION] = desk
    app.extensions[fresh.EXTENSION] = fresh.Memory(Pulse(desk.engine))
    app.extensions[sessions.EXTENSION] = sessions.Throttle()
    app.url_map.converters.update(short=ShortNumber, station=StationId)
    app.json.ensure_ascii = False  # type: ignore[attr-defined]  # Flask's own provider has it
    if behind_tls:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]  # Flask's documented way
    guard.install(app)
    for noun in (sessions, factors, queue, consults, patients, review, places, boxes, people, rota):
        app.register_blueprint(noun.pages)
    app.context_processor(_always)
    app.jinja_env.filters.update(
        clock=clock,
        day=day,
        grouped=grouped,
        spell=spell,
        station_text=station_text,
        waited=waited,
        moment=lambda at: moment(at, desk.now()),
    )
    app.register_error_handler(HTTPException, _plainly)
    app.register_error_handler(OSError, _away)
    app.logger.handlers, app.logger.propagate = list(desk.log.handlers), False
    return app


def _always() -> dict[str, Any]:
    """What every template may use."""
    found = g.get("account")
    may = lambda endpoint: found is not None and access.may(access.TABLE[endpoint].rule, found.role)  # noqa: E731 - a question of templates
    return {
        "may": may,
        "t": guard.say(),
        "csrf": guard.token,
        "account": found,
        "desk": at_desk(),
        "now": at_desk().now(),
        "on_duty": rota.line,
    }


def _away(_error: OSError) -> Any:
    """The database cannot be reached now: nothing was changed, and trying again is right."""
    return _plainly(ServiceUnavailable())


def _plainly(error: HTTPException) -> Any:
    """An error as a sentence a person understands; pages' own requests get the number alone."""
    code = error.code or 500
    if request.headers.get("X-Tram-Page") or request.path.endswith(".json"):
        return "", code
    said = {
        400: (
            "Trang đã cũ hoặc biểu mẫu không hợp lệ. Hãy tải lại trang và làm lại.",
            "This page is out of date. Reload it and try again.",
        ),
        401: ("Phiên làm việc đã hết. Hãy đăng nhập lại.", "The session has ended. Log in again."),
        403: ("Tài khoản này không được làm việc đó.", "This account may not do that."),
        404: ("Không có trang này.", "There is no such page."),
        429: ("Quá nhiều lần thử từ nơi này. Hãy đợi một phút.", "Too many tries from this place. Wait a minute."),
        413: ("Nội dung quá dài.", "That is too long."),
        503: (
            "Cơ sở dữ liệu tạm thời không truy cập được. Chưa có gì thay đổi. Hãy thử lại.",
            "The database is away. Nothing has changed. Try again.",
        ),
    }.get(code, ("Máy chủ gặp lỗi. Chưa có gì được gửi đi. Hãy thử lại.", "The server has failed. Nothing was sent. Try again."))
    return render_template("error.html", said=said, code=code), code
