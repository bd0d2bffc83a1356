"""A photo becomes the QR codes that are in it: the enrolment paper held before the box's camera.

As with pictures (`imaging`) the photo is opened in a process of its own that lives for it alone, bounded in memory and time:
`python -m appliance.kiosk.codes`, the photo on its standard input, a JSON list of texts on its standard output. The decoder is
ZBar's library (Debian: libzbar0t64, 0.3 MB), asked through its C interface (zbar.h); OpenCV would be a hundred times that.
"""

import ctypes
import io
import json
import sys
from typing import Any

from appliance.kiosk.imaging import MEMORY, MOST_BYTES, MOST_PIXELS
from appliance.store.errors import Refused

LIBRARY = "libzbar.so.0"
PACKAGE = "libzbar0t64"
SECONDS = 20
"""For one photo; 3 megapixels take 0.1 s on a server."""
SIDE = 2000
"""Pixels of the longer side that are looked at: a code as wide as a third of the picture then has 10 of them a module."""
MOST_CODES = 8
LONGEST = 600
"""Letters of a text; an enrolment's code has about 150."""
_NOT_HERE = 3
"""The exit status of the process where the library is not installed."""

_ENABLE, _QRCODE, _Y800 = 0, 64, int.from_bytes(b"Y800", "little")
"""zbar.h: ZBAR_CFG_ENABLE, ZBAR_QRCODE, and the format of one byte of grey a pixel."""


class NoReader(Refused):
    """The decoder is not installed on this box."""

    def __init__(self) -> None:
        super().__init__(
            f"Máy này chưa có phần đọc mã QR bằng camera ({PACKAGE}). Gõ 24 chữ trên tờ giấy.",
            f"This box cannot read codes with its camera: apt install {PACKAGE}. Type the paper's 24 letters.",
        )


def read(photo: bytes) -> list[str]:
    """The texts of the QR codes in a photo (JPEG, PNG); empty where there is none, or it is no photo. NoReader without the decoder."""
    import subprocess  # as in `imaging`: loaded with the first photo

    command = [sys.executable, "-I", "-m", __name__]
    try:
        done = subprocess.run(command, input=photo, capture_output=True, timeout=SECONDS + 5, check=False)
    except subprocess.TimeoutExpired:
        return []
    if done.returncode == _NOT_HERE:
        raise NoReader
    try:
        found = json.loads(done.stdout)
    except ValueError:  # it ended in the middle: what it was given killed it, and nothing else
        return []
    return [str(one) for one in found] if isinstance(found, list) else []


# --- inside -----------------------------------------------------------------------------------------------------------------------------


def texts(photo: bytes, library: Any) -> list[str]:
    """The same, in this process. `library` is ZBar's."""
    grey = _grey(photo)
    if grey is None:
        return []
    width, height, pixels = grey
    scanner, image = library.zbar_image_scanner_create(), library.zbar_image_create()
    try:
        library.zbar_image_scanner_set_config(scanner, 0, _ENABLE, 0)
        library.zbar_image_scanner_set_config(scanner, _QRCODE, _ENABLE, 1)
        library.zbar_image_set_format(image, _Y800)
        library.zbar_image_set_size(image, width, height)
        library.zbar_image_set_data(image, pixels, len(pixels), None)
        found: list[str] = []
        if library.zbar_scan_image(scanner, image) > 0:
            symbol = library.zbar_image_first_symbol(image)
            while symbol and len(found) < MOST_CODES:
                size = min(library.zbar_symbol_get_data_length(symbol), LONGEST)
                found.append(ctypes.string_at(library.zbar_symbol_get_data(symbol), size).decode("utf-8", "replace"))
                symbol = library.zbar_symbol_next(symbol)
        return found
    finally:
        library.zbar_image_destroy(image)
        library.zbar_image_scanner_destroy(scanner)


def _grey(photo: bytes) -> tuple[int, int, bytes] | None:
    """Width, height and a byte of grey a pixel; None for what is no photo."""
    import warnings

    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # our own limit stands below, before anything is decoded
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = Image.open(io.BytesIO(photo), formats=("JPEG", "PNG"))
            if opened.width * opened.height > MOST_PIXELS:
                return None
            opened.draft("L", (SIDE, SIDE))
            image = opened.convert("L")
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, ZeroDivisionError):
        return None  # what decoders raise on damaged files
    image.thumbnail((SIDE, SIDE))
    image = ImageOps.autocontrast(image)  # a paper in a dim corner
    return image.width, image.height, image.tobytes()


def load() -> Any:
    """ZBar's library with the shapes of what is called; OSError where it is not installed."""
    library = ctypes.CDLL(LIBRARY)
    pointer, number, word = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint
    shapes: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "zbar_image_scanner_create": (pointer, ()),
        "zbar_image_scanner_destroy": (None, (pointer,)),
        "zbar_image_scanner_set_config": (number, (pointer, number, number, number)),
        "zbar_image_create": (pointer, ()),
        "zbar_image_destroy": (None, (pointer,)),
        "zbar_image_set_format": (None, (pointer, ctypes.c_ulong)),
        "zbar_image_set_size": (None, (pointer, word, word)),
        "zbar_image_set_data": (None, (pointer, ctypes.c_char_p, ctypes.c_ulong, pointer)),
        "zbar_scan_image": (number, (pointer, pointer)),
        "zbar_image_first_symbol": (pointer, (pointer,)),
        "zbar_symbol_next": (pointer, (pointer,)),
        "zbar_symbol_get_data": (pointer, (pointer,)),
        "zbar_symbol_get_data_length": (word, (pointer,)),
    }
    for name, (result, arguments) in shapes.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def is_there() -> bool:
    """Whether the decoder is installed."""
    try:
        load()
    except OSError:
        return False
    return True


def main() -> int:
    """One photo from standard input, its texts to standard output; bounded in memory and time."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    try:
        library = load()
    except OSError:
        return _NOT_HERE
    json.dump(texts(sys.stdin.buffer.read(MOST_BYTES), library), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
