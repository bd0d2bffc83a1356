"""Pictures for a request: from the browser's camera, a file, the box's own camera, or a telephone; before and after sending.

The bytes of a photo never stay in this process: the upload lies in a file without a name, and a process of its own makes
the two JPEGs that are kept (`kiosk.imaging`).
"""

import socket
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from flask import Blueprint, jsonify, request
from werkzeug.wrappers import Response

from appliance import journal
from appliance.contract.ids import spell
from appliance.kiosk import here, imaging, present, rows
from appliance.kiosk.imaging import NotAPicture
from appliance.kiosk.speech import Pair, Say
from appliance.store import consults, pictures, room, tickets
from appliance.store.errors import Refused
from appliance.store.pictures import MOST_CAPTION, MOST_PICTURES, Picture

screen = Blueprint("pictures", __name__)

LARGE = frozenset({"pictures.add"})
"""Endpoints whose form carries a photo."""
LARGEST_FORM = imaging.MOST_BYTES + 64 * 1024
LARGEST_FIELDS = 512 * 1024
"""Memory of the form's reader: what it looks through for the end of a file (64 KiB at a time) counts as field until it is found."""
SOCKET = "camera.sock"
"""Where `tram camera` answers, in the run directory."""
CAMERA_SECONDS = 20.0
"""A camera that is cold takes a few seconds to find its exposure."""
LOOK_SECONDS = 0.2
CAMERA_POLICY = "camera=(self), microphone=(), geolocation=(), usb=(), serial=()"
"""Permissions-Policy of the one page that shows the browser's camera; every other page has none."""
SOURCES = ("file", "browser")
"""What a form may say of where its photo comes from."""

_NO_CAMERA: Pair = (
    "Camera của máy trạm không trả lời. Kiểm tra cáp camera, hoặc chụp bằng cách khác.",
    "The station’s camera does not answer. Check its cable, or take the picture another way.",
)


def _patient(consult: int) -> int:
    """Whose request it is: one that was sent, or the one this window is writing."""
    row = consults.get(here.db(), consult)
    if row is not None:
        return row.patient
    draft = here.desk().ask
    if draft is not None and draft.consult == consult:
        return draft.patient
    raise here.Gone(("Không có yêu cầu này ở trạm, hoặc chưa viết ở màn hình này.", "There is no such request here."), "/consults")


def _back(consult: int) -> str:
    draft = here.desk().ask
    writing = draft is not None and draft.consult == consult and consults.get(here.db(), consult) is None
    return f"/patients/{draft.patient}/ask/review" if writing and draft is not None else f"/consults/{consult}"


# --- what there is ------------------------------------------------------------------------------------------------------------------------


def shown(consult: int) -> list[dict[str, Any]]:
    """The pictures of a request as pages show them."""
    return [_shown(one) for one in pictures.listing(here.db(), consult)]


def _shown(one: Picture) -> dict[str, Any]:
    t = here.speech()
    return {
        "digest": one.digest.hex(), "preview": one.preview.hex(), "caption": one.caption, "at": present.moment(one.at, here.now()),
        "state": _state(one, t), "by": rows.staff_name(here.db(), one.staff), "removable": one.offered is None, "there": one.there,
    }  # fmt: skip


def _state(one: Picture, t: Say) -> str:
    if one.offered is None:
        return t("gửi cùng yêu cầu", "goes with the request")
    if one.failed:
        return t("máy chủ không ghép được ảnh: hãy chụp lại", "the server could not put it together: take it again")
    if one.there:
        return t("đã lên máy chủ", "on the server")
    if not one.preview_received:
        return t("chờ gửi", "waiting")
    percent = one.received * 100 // one.parts
    return t(f"bản nhỏ đã lên, bản đủ {percent} %", f"preview there, full {percent} %")


def progress(consult: int) -> str:
    """*2/3 ảnh đang gửi*; empty when nothing is on its way."""
    there = pictures.listing(here.db(), consult)
    sent = [one for one in there if one.offered is not None]
    under_way = sum(not one.there for one in sent)
    if not under_way:
        return ""
    return here.speech()(f"{under_way}/{len(sent)} ảnh đang gửi", f"{under_way} of {len(sent)} pictures still on the way")


def mark(consult: int) -> str:
    """What changes on a page with these pictures, in one word."""
    return "-".join(f"{one.received * 4 // one.parts}{int(one.preview_received)}" for one in pictures.listing(here.db(), consult))


@screen.get("/consults/<int:consult>/pictures")
def listing(consult: int) -> Response:
    """The pictures, and the ways to take another one."""
    return _page(consult)


def _page(consult: int, errors: dict[str, Pair] | None = None, caption: str = "", status: int = 200) -> Response:
    patient = _patient(consult)
    found = shown(consult)
    parts = here.kiosk()
    return here.page(
        "pictures.html", status, banner=here.banner_of(here.patient_or_404(patient)), consult=consult, pictures=found, back=_back(consult),
        errors=errors or {}, typed={"caption": caption}, mark=mark(consult), full=len(found) >= MOST_PICTURES, most=MOST_PICTURES,
        own_camera=not parts.lan and (parts.settings.paths.run / SOCKET).exists(),
        telephone=not parts.lan and _listens(parts.settings.phone.host, parts.settings.phone.port),
        most_bytes=imaging.MOST_BYTES, most_caption=MOST_CAPTION,
    )  # fmt: skip


def _listens(host: str, port: int) -> bool:
    """True when `tram phone` runs: what does not work is not offered."""
    try:
        with socket.create_connection((host, port), timeout=LOOK_SECONDS):
            return True
    except OSError:
        return False


@screen.get("/consults/<int:consult>/pictures.json")
def follow(consult: int) -> Response:
    """For the page's script: whether a picture has come (from a telephone) or gone up."""
    if not here.desk().staff:
        return jsonify({"page": "gone"})
    _patient(consult)
    return jsonify({"page": mark(consult), "progress": progress(consult)})


@screen.get("/consults/<int:consult>/pictures/<digest>.jpg")
def image(consult: int, digest: str) -> Response:
    """The bytes of one picture or preview of this request."""
    _patient(consult)
    data = None
    if len(digest) == 64 and all(letter in "0123456789abcdef" for letter in digest):
        data = pictures.read(here.db(), consult, bytes.fromhex(digest))
    if data is None:
        raise here.Gone(("Không có ảnh này.", "There is no such picture."), f"/consults/{consult}/pictures")
    return Response(data, content_type=pictures.MEDIA_TYPE)


# --- one more -----------------------------------------------------------------------------------------------------------------------------


@screen.post("/consults/<int:consult>/pictures")
def add(consult: int) -> Response:
    """Fields: picture (a file), caption, source (one of `SOURCES`)."""
    given = request.files.get("picture")
    source = request.form.get("source", "")
    if given is None:
        return _take(consult, b"", "file")
    with closing(given):
        return _take(consult, given.stream, source if source in SOURCES else "file")


@screen.post("/consults/<int:consult>/pictures/take")
def take(consult: int) -> Response:
    """With the box's own camera. Field: caption."""
    _patient(consult)
    try:
        photo = _camera(here.kiosk().settings.paths.run / SOCKET)
    except OSError as error:
        here.kiosk().log.warning("camera: %s", type(error).__name__)
        return _page(consult, {"picture": _NO_CAMERA}, request.form.get("caption", ""), 409)
    return _take(consult, photo, "camera")


def _camera(path: Path) -> bytes:
    """One photo from `tram camera`; OSError when there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(CAMERA_SECONDS)
        line.connect(str(path))
        photo = b"".join(iter(lambda: line.recv(65_536), b""))
    if not photo:
        raise OSError("no photo")
    return photo


def _take(consult: int, photo: IO[bytes] | bytes, source: str) -> Response:
    """Keep a photo; what cannot be taken is said on the page, with what was typed still there."""
    patient, caption = _patient(consult), request.form.get("caption", "")
    try:
        room.check_picture(here.kiosk().settings, here.db())
        images = imaging.prepare(photo)
        pictures.attach(
            here.db(), consult, patient=patient, full=images.full, preview=images.preview, caption=caption, source=source,
            staff=here.desk().staff, now=here.stamp(),
        )  # fmt: skip
    except NotAPicture as no:
        return _page(consult, {"picture": (no.vi, no.en)}, caption, 422)
    except Refused as no:
        return _page(consult, {"picture": (no.vi, no.en)}, caption, 409)
    journal.step(here.kiosk().log, "pictured", consult=consult)
    return here.go(f"/consults/{consult}/pictures")


@screen.post("/consults/<int:consult>/pictures/remove")
def remove(consult: int) -> Response:
    """Field: digest. Only what has not been sent goes."""
    _patient(consult)
    digest = request.form.get("digest", "")
    if len(digest) == 64 and all(letter in "0123456789abcdef" for letter in digest):
        pictures.remove(here.db(), consult, bytes.fromhex(digest))
    return here.go(f"/consults/{consult}/pictures")


@screen.get("/consults/<int:consult>/pictures/camera")
def camera(consult: int) -> Response:
    """The browser's own camera (a USB camera at the station): what it sees, and one button."""
    patient = _patient(consult)
    answer = here.page("camera.html", banner=here.banner_of(here.patient_or_404(patient)), consult=consult, most_caption=MOST_CAPTION)
    answer.headers["Permissions-Policy"] = CAMERA_POLICY
    return answer


# --- a telephone --------------------------------------------------------------------------------------------------------------------------


@screen.post("/consults/<int:consult>/pictures/phone")
def ticket(consult: int) -> Response:
    """A new code for a telephone: ten minutes, one picture, this request."""
    patient = _patient(consult)
    now, random = here.stamp(), here.kiosk().urandom
    code = tickets.issue(here.db(), consult, patient=patient, staff=here.desk().staff, now=now, random=random)
    here.desk().ticket = (consult, code, now.ticks + tickets.LIFE)
    return here.go(f"/consults/{consult}/pictures/phone")


@screen.get("/consults/<int:consult>/pictures/phone")
def phone(consult: int) -> Response:
    """The code as QR; the page goes on by itself when the picture has come."""
    patient, held = _patient(consult), here.desk().ticket
    if held is None or held[0] != consult or tickets.find(here.db(), held[1], here.stamp()) is None:
        return here.go(f"/consults/{consult}/pictures")
    settings, front = here.kiosk().settings.phone, here.kiosk().settings.lan.web
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{front or f'http://{host}:{settings.port}'}/t/{held[1]}"
    return here.page(
        "phone.html", banner=here.banner_of(here.patient_or_404(patient)), consult=consult, address=address,
        squares=present.squares(address),
        minutes=max(1, (held[2] - here.stamp().ticks) // 600), mark=mark(consult), code=spell(consult),
    )  # fmt: skip
