"""The screens for the station's own computers and telephones: what they may open, and the program behind the front that speaks TLS.

A program of its own beside the kiosk (`tram lan`), with windows of its own: no cookie of the network is one of the box's screen, and
whatever happens here leaves that screen alone. Nothing is measured from here, nobody is merged or renamed, nothing of the box is
set: who touches the patient and the devices stands at the box (docs/decisions/0018).
"""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flask import Flask, request
from werkzeug.wrappers import Response

from appliance.kiosk import heap
from appliance.kiosk.access import TABLE, Rule

COOKIE = "__Host-tram-lan"
"""A browser keeps a cookie of this name only from https, for this host alone and every path of it (RFC 6265bis §4.1.3)."""
SOCKET = "lan.sock"
"""Where the front finds the program, in the run folder, where systemd hands it no socket."""
THREADS = 4

DOORSTEP = frozenset(
    {
        "static", "home.start", "home.choose", "home.language", "home.blank", "staff.pin", "staff.enter", "emergency.show",
        "emergency.follow", "status.bar",
    }
)  # fmt: skip
"""What answers before somebody has signed in: the choice of the name, the PIN, the telephone numbers for an emergency."""
PAGES = DOORSTEP | {
    "home.change", "home.home", "home.find", "home.found", "home.recent", "staff.log", "emergency.press",
    "people.form", "people.register", "people.show", "people.allergies", "people.say_allergies",
    "consents.listing", "consents.ask", "consents.say", "confirm.ask", "confirm.confirm",
    "consult.listing", "consult.ask", "consult.write", "consult.review", "consult.send", "consult.show", "consult.follow",
    "consult.read", "consult.reply", "consult.why", "consult.withdraw",
    "pictures.listing", "pictures.follow", "pictures.image", "pictures.add", "pictures.camera", "pictures.remove",
    "history.show", "paper.choose_slip", "paper.choose_summary", "paper.slip", "paper.summary",
    "status.on_duty", "status.called", "status.aside",
}  # fmt: skip
"""Every endpoint that opens from the network. One that is not here does not: a new page has to be put here by somebody who thought."""
ELSEWHERE = (
    "Việc này chỉ làm ở màn hình của trạm: đo, sửa hồ sơ, gộp hồ sơ, túi thư, nhân viên, kỹ thuật.",
    "This is done at the station's own screen alone: measuring, changing or merging records, the post bag, staff, technical work.",
)


def is_refused() -> bool:
    """Whether this request asks for what is done at the box; a confirmation that leads on to a device does."""
    if request.endpoint is None:
        return False
    if request.endpoint.startswith("confirm.") and (request.values.get("device") or ""):
        return True
    return request.endpoint not in PAGES


def is_open(endpoint: str) -> bool:
    """Whether it answers to who has not signed in."""
    return endpoint in DOORSTEP and TABLE[endpoint].rule is Rule.OPEN


def greet(answer: Response, window: str) -> None:
    """The window's cookie: never over plain HTTP, never to a script, never with a request that another site made."""
    answer.set_cookie(COOKIE, window, secure=True, httponly=True, samesite="Strict", path="/")


def serve(app: Flask, run: Path, handed: Sequence[socket.socket] = ()) -> None:
    """Answer on a local socket until the process ends: `handed` by systemd, else ``<run>/lan.sock`` for the group.

    Who the client is says the front, in X-Forwarded-For; the socket belongs to the front alone, so nobody else can say so.
    """
    from waitress import serve as wait

    from appliance.kiosk.screens.pictures import LARGEST_FORM

    where: dict[str, Any] = {"sockets": list(handed)} if handed else {"unix_socket": str(run / SOCKET), "unix_socket_perms": "660"}
    heap.settle()
    try:
        wait(
            app, **where, threads=THREADS, ident=None, max_request_body_size=2 * LARGEST_FORM, trusted_proxy="localhost",
            trusted_proxy_headers={"x-forwarded-for", "x-forwarded-proto"}, clear_untrusted_proxy_headers=True,
        )  # fmt: skip
    finally:
        if not handed:
            (run / SOCKET).unlink(missing_ok=True)
