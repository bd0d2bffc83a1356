"""A photo becomes two small JPEGs that say nothing but what they show, and a hostile file becomes a sentence."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from appliance.kiosk.imaging import FULL_BYTES, FULL_SIDE, PREVIEW_MOST, PREVIEW_SIDE, NotAPicture, convert, prepare


def made(width: int = 1200, height: int = 900, kind: str = "JPEG", **more: Any) -> bytes:
    """A picture whose left upper quarter is red."""
    image = Image.effect_noise((width, height), 40).convert("RGB")
    image.paste("red", (0, 0, width // 2, height // 2))
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """What a browser would show."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def private() -> dict[str, Any]:
    """Everything a telephone writes beside a picture."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x9C9C] = "MAYTHU", "MODEL-THU", "BIMAT"
    exif[0x8825] = {1: "N", 2: (21.0, 1.0, 40.0), 3: "E", 4: (105.0, 48.0, 18.0)}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {"exif": exif, "icc_profile": profile, "comment": b"BIMAT"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_nothing_but_the_picture_is_left(kind: str) -> None:
    """No EXIF, GPS, ICC, XMP, comment or text of the original is in either JPEG."""
    more = private()
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", "BIMAT")
        more = {"exif": more["exif"], "icc_profile": more["icc_profile"], "pnginfo": text}
    elif kind == "WEBP":
        more["xmp"] = b"<x:xmpmeta>BIMAT</x:xmpmeta>"
    photo = made(kind=kind, **more)
    assert b"MAYTHU" in photo
    images = convert(photo)
    for data in (images.full, images.preview):
        image = opened(data)
        assert image.format == "JPEG"
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression"}
        assert not any(word in data for word in (b"MAYTHU", b"BIMAT", b"Exif", b"ICC_PROFILE", b"http://ns.adobe"))


def test_sizes_are_those_of_a_thin_line() -> None:
    """The full one at most 1,600 px and 400 kB, the preview 480 px and 30 kB, whatever came; an ordinary one has a preview of 8 kB."""
    hard = Image.frombytes("RGB", (3200, 2400), os.urandom(3200 * 2400 * 3))
    out = io.BytesIO()
    hard.save(out, "JPEG", quality=95)
    assert len(out.getvalue()) > 8_000_000
    for photo in (out.getvalue(), made(4000, 3000)):
        images = convert(photo)
        assert max(opened(images.full).size) <= FULL_SIDE
        assert max(opened(images.preview).size) <= PREVIEW_SIDE
        assert len(images.full) <= FULL_BYTES
        assert len(images.preview) <= PREVIEW_MOST
    assert len(images.preview) <= 8_000
    assert opened(images.full).size == (1600, 1200)


def test_a_small_picture_is_not_blown_up() -> None:
    """It keeps its size."""
    assert opened(convert(made(300, 200)).full).size == (300, 200)


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_photo_stands_upright(turn: int) -> None:
    """However the telephone was held: the red quarter comes back to the left upper corner."""
    upright = opened(made(600, 400))
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[turn]
    held = upright if back is None else upright.transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = turn
    out = io.BytesIO()
    held.save(out, "JPEG", exif=exif)
    shown = opened(convert(out.getvalue()).full)
    assert shown.size == (600, 400)
    colour = shown.getpixel((60, 40))
    assert isinstance(colour, tuple)
    assert colour[0] > 180
    assert colour[1] < 90


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_every_colour_form_is_taken(mode: str) -> None:
    """What is see-through becomes white."""
    base = Image.new("L", (100, 100), 200)
    image = base.convert("I;16") if mode == "I;16" else base.convert("RGBA").convert("LA") if mode == "LA" else base.convert(mode)
    out = io.BytesIO()
    image.save(out, "JPEG" if mode == "CMYK" else "PNG")
    assert opened(convert(out.getvalue()).full).mode == "RGB"


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that says it is as large as that."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")


def moving(kind: str) -> bytes:
    """Two frames."""
    first, second = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")
    out = io.BytesIO()
    first.save(out, kind, save_all=True, append_images=[second])
    return out.getvalue()


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "empty"),
    "a text file named .jpg": (lambda: "Xin chào, đây không phải ảnh.".encode() * 50, "kind"),
    "a GIF": (lambda: moving("GIF"), "kind"),
    "a PDF": (lambda: b"%PDF-1.7 and so on", "kind"),
    "a telephone's HEIC": (lambda: b"\x00\x00\x00\x18ftypheic" + bytes(500), "heic"),
    "half a JPEG": (lambda: made()[: len(made()) // 2], "broken"),
    "a JPEG's first bytes": (lambda: made()[:300], "broken"),
    "a broken JPEG": (lambda: made()[:200] + b"\xff\xd9" + os.urandom(1000), "broken"),
    "half a PNG": (lambda: made(kind="PNG")[:5000], "broken"),
    "an animation": (lambda: moving("WEBP"), "moving"),
    "a moving PNG": (lambda: moving("PNG"), "moving"),
    "one pixel": (lambda: made(1, 1), "tiny"),
    "30,000 by 30,000": (lambda: bomb(30_000, 30_000), "pixels"),
    "more than 12 MB": (lambda: made() + bytes(12 * 1024 * 1024), "large"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_is_a_sentence(name: str) -> None:
    """In Vietnamese and in English, with what to do."""
    make, reason = BAD[name]
    with pytest.raises(NotAPicture) as told:
        convert(make())
    assert told.value.reason == reason
    assert told.value.vi.endswith(".")


def test_damage_anywhere_is_a_sentence_or_a_picture() -> None:
    """Never another error: 300 pictures with a few bytes changed."""
    dice = Random(7)
    for kind in ("JPEG", "PNG", "WEBP"):
        photo = made(160, 120, kind)
        for _ in range(100):
            hurt = bytearray(photo)
            for _ in range(dice.randrange(1, 6)):
                hurt[dice.randrange(len(hurt))] = dice.randrange(256)
            try:
                assert convert(bytes(hurt)).full
            except NotAPicture:
                continue


def test_the_process_of_its_own_gives_the_same() -> None:
    """As bytes or as an open file."""
    photo = made()
    assert prepare(photo) == prepare(io.BytesIO(photo)) == convert(photo)


def test_the_process_tells_its_sentence() -> None:
    """Through the pipe as from the function."""
    with pytest.raises(NotAPicture) as told:
        prepare(b"no picture at all")
    assert told.value.reason == "kind"


def test_ten_megabytes_work() -> None:
    """A 10 MB photo of a telephone is taken."""
    noise = Image.frombytes("RGB", (3600, 2800), os.urandom(3600 * 2800 * 3))
    out = io.BytesIO()
    noise.save(out, "JPEG", quality=93)
    photo = out.getvalue()
    assert 9_000_000 < len(photo) < 12_500_000
    assert 1000 < max(opened(prepare(photo).full).size) <= FULL_SIDE


def test_a_decoder_that_dies_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has too little memory to start with: the kiosk hears of it and goes on."""
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(NotAPicture) as told:
        prepare(made())
    assert told.value.reason == "failed"
