"""A photo becomes a picture that may travel: turned upright, small, and without a word about where and with what it was taken.

Bytes in, two JPEGs out. The work is done in a process of its own that lives for one photo: whatever a broken or hostile
file does to the decoder, the screens go on, and the kiosk's memory does not grow by a picture. `python -m
appliance.kiosk.imaging` is that process: the photo on its standard input, the answer on its standard output.
"""

import io
import os
import sys
import threading
from dataclasses import dataclass
from typing import IO, Any

from appliance.store.errors import Refused

MOST_BYTES = 12 * 1024 * 1024
"""Of a photo: more than any telephone makes of one (10 MB are usual at the most)."""
MOST_PIXELS = 50_000_000
LEAST_SIDE = 32
"""Pixels: nothing can be seen on less."""
FULL_SIDE, FULL_BYTES = 1600, 400_000
PREVIEW_SIDE, PREVIEW_BYTES, PREVIEW_MOST = 480, 8_000, 30_000
"""A preview: 8 kB are 4 s of a 20 kbit/s line."""
_FULL = ((1600, 75), (1600, 65), (1600, 55), (1280, 60), (1280, 45), (1024, 45))
_PREVIEW = ((480, 55), (480, 40), (400, 40), (320, 40), (320, 28))
"""Longest side and JPEG quality, the first that is small enough counts, else the last."""
SECONDS = 30
"""For one photo; one of 50 megapixels takes 6 s on a Raspberry Pi 4 (estimate from 1.5 s measured on a server)."""
MEMORY = 512 * 1024 * 1024
"""Address space of the process: 50 million pixels of four bytes, one other form of them, and the decoder."""
FORMATS = ("JPEG", "PNG", "WEBP")
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF")
_MAGIC = b"TRAM"


@dataclass(frozen=True, slots=True)
class Images:
    """The two JPEGs of one photo, each without metadata."""

    full: bytes
    preview: bytes


SENTENCES: dict[str, tuple[str, str]] = {
    "empty": ("Chưa chọn ảnh. Chụp hoặc chọn một ảnh rồi gửi lại.", "No picture was chosen. Take or choose one and send it again."),
    "large": (
        "Ảnh lớn quá 12 MB. Chụp lại ở cỡ nhỏ hơn rồi gửi.",
        "The picture is larger than 12 MB. Take it again in a smaller size.",
    ),
    "pixels": (
        "Ảnh có quá nhiều điểm ảnh (hơn 50 triệu). Chụp lại ở cỡ nhỏ hơn.",
        "The picture has more than 50 million pixels. Take it again in a smaller size.",
    ),
    "tiny": ("Ảnh nhỏ quá, không thấy được gì. Chụp lại.", "The picture is too small to see anything. Take it again."),
    "heic": (
        "Ảnh HEIC của điện thoại không mở được. Trong cài đặt máy ảnh chọn “Tương thích nhất” (JPEG), chụp lại.",
        "HEIC pictures cannot be opened. In the telephone’s camera settings choose “Most compatible” (JPEG), take it again.",
    ),
    "kind": (
        "Tệp này không phải ảnh JPEG, PNG hay WebP. Chọn một ảnh khác hoặc chụp lại.",
        "This file is no JPEG, PNG or WebP picture. Choose another one or take it again.",
    ),
    "moving": ("Ảnh động không gửi được. Chọn một ảnh chụp.", "Moving pictures cannot be sent. Choose a photograph."),
    "broken": (
        "Ảnh bị hỏng hoặc chưa tải hết nên không mở được. Chụp lại hoặc chọn ảnh khác.",
        "The picture is damaged or not complete and cannot be opened. Take it again or choose another one.",
    ),
    "failed": (
        "Không xử lý được ảnh này. Chụp lại ở cỡ nhỏ hơn hoặc chọn ảnh khác.",
        "This picture could not be worked on. Take it again in a smaller size or choose another one.",
    ),
}
"""What each refusal tells a person."""


class NotAPicture(Refused):
    """The file is not taken; `reason` is a key of `SENTENCES`. What was typed elsewhere is not touched."""

    def __init__(self, reason: str) -> None:
        super().__init__(*SENTENCES[reason])
        self.reason = reason


# --- outside ----------------------------------------------------------------------------------------------------------------------------

_one = threading.Lock()
"""One photo at a time: two large ones together are more than a small box has."""


def prepare(photo: IO[bytes] | bytes) -> Images:
    """The two JPEGs of a photo, made in a process of its own; NotAPicture with what to do instead.

    An open file is best: its bytes then never come into this process.
    """
    import subprocess  # half a mebibyte that a kiosk without photos never needs

    given = _given(photo)
    with _one:
        try:
            done = subprocess.run([sys.executable, "-I", "-m", __name__], **given, capture_output=True, timeout=SECONDS + 5, check=False)
        except subprocess.TimeoutExpired:
            raise NotAPicture("failed") from None
    return _answer(done.stdout)


def _given(photo: IO[bytes] | bytes) -> dict[str, Any]:
    """How the process gets the photo: as an open file from its beginning, else through a pipe."""
    if isinstance(photo, bytes):
        return {"input": photo}
    try:
        number = photo.fileno()
    except OSError:
        photo.seek(0)
        return {"input": photo.read(MOST_BYTES + 1)}
    photo.flush()
    os.lseek(number, 0, os.SEEK_SET)
    return {"stdin": photo}


def _answer(said: bytes) -> Images:
    if said[:4] != _MAGIC:
        raise NotAPicture("failed")  # the process ended in the middle
    if said[4:5] == b"-":
        reason = said[5:].decode("ascii", "replace")
        raise NotAPicture(reason if reason in SENTENCES else "failed")
    size = int.from_bytes(said[5:9])
    return Images(said[9 : 9 + size], said[9 + size :])


# --- inside -----------------------------------------------------------------------------------------------------------------------------


def convert(photo: bytes) -> Images:
    """The two JPEGs of a photo, in this process; NotAPicture. MemoryError is the caller's."""
    if not photo:
        raise NotAPicture("empty")
    if len(photo) > MOST_BYTES:
        raise NotAPicture("large")
    if photo[4:8] == b"ftyp":
        raise NotAPicture("heic")
    upright = _upright(photo)
    return Images(_jpeg(upright, _FULL, FULL_BYTES), _jpeg(upright, _PREVIEW, PREVIEW_BYTES))


def _upright(photo: bytes) -> Any:
    """The picture as RGB, turned as its camera was held, at most a little larger than what is kept of it."""
    import warnings

    from PIL import Image, ImageFile, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # our own limit stands below, before anything is decoded
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no news: none of it is kept
            image: Any = Image.open(io.BytesIO(photo), formats=FORMATS)
            _check(image)
            if image.format == "JPEG":
                image.draft("RGB", (2 * FULL_SIDE, 2 * FULL_SIDE))
            image.load()
            turn = _turn(image)
            if image.mode in ("1", "P", "PA", "CMYK", "LAB", "HSV", "YCbCr", "I", "F") or image.mode.startswith("I;16"):
                image = _common(image)
            image.thumbnail((FULL_SIDE, FULL_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
            image = _plain(image)
            if turn in _TURNS:
                image = image.transpose(Image.Transpose[_TURNS[turn]])
    except UnidentifiedImageError:
        raise NotAPicture("broken" if photo.startswith(_BEGINNINGS) else "kind") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, ZeroDivisionError) as error:
        if isinstance(error, NotAPicture):
            raise
        raise NotAPicture("broken") from None  # what decoders raise on damaged files
    return image


def _check(image: Any) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise NotAPicture("pixels")
    if min(width, height) < LEAST_SIDE:
        raise NotAPicture("tiny")
    if getattr(image, "n_frames", 1) > 1 and image.format != "JPEG":  # a JPEG's further frames are a telephone's depth and thumbnails
        raise NotAPicture("moving")


_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip
"""What undoes each orientation of EXIF 2.3 (tag 274)."""


def _turn(image: Any) -> int:
    """How the camera was held; upright when its metadata cannot be read."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - metadata is anybody's bytes, and none of it matters enough to lose the picture
        return 1


def _common(image: Any) -> Any:
    """The picture in a form that can be made smaller smoothly."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    return image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")


def _plain(image: Any) -> Any:
    """The picture as RGB on white, with nothing in it but its pixels."""
    from PIL import Image

    bare = Image.new("RGB", image.size, "white")
    if image.mode in ("RGBA", "LA", "La", "RGBa") or "transparency" in image.info:
        seen = image.convert("RGBA")
        bare.paste(seen, mask=seen.getchannel("A"))
    else:
        bare.paste(image.convert("RGB"))
    return bare


def _jpeg(image: Any, sizes: tuple[tuple[int, int], ...], enough: int) -> bytes:
    """The first of the sizes and qualities that takes no more than `enough` bytes, else the last."""
    from PIL import Image

    made = b""
    for side, quality in sizes:
        small = image.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        small.save(out, "JPEG", quality=quality, optimize=True, progressive=side > PREVIEW_SIDE)
        made = out.getvalue()
        if len(made) <= enough:
            break
    return made


def main() -> int:
    """One photo from standard input to standard output; bounded in memory and time."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    out = sys.stdout.buffer
    try:
        made = convert(sys.stdin.buffer.read(MOST_BYTES + 1))
    except NotAPicture as no:
        out.write(_MAGIC + b"-" + no.reason.encode())
    except MemoryError:
        out.write(_MAGIC + b"-pixels")
    else:
        out.write(_MAGIC + b"+" + len(made.full).to_bytes(4) + made.full + made.preview)
    return 0


if __name__ == "__main__":
    sys.exit(main())
