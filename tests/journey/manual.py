"""The pictures of the manuals: what the journeys have left in the artefacts folder, named as ``docs/vi`` shows them, made small.

Run the journeys first, then ``python -m tests.journey.manual``; look at what it wrote before it is committed.
"""

import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
MOST = 60_000
"""Bytes of one picture: a manual is read over thin links too."""
PICTURES = {
    "tram-chon-ten": "nurse/tram-[0-9][0-9]-chon-ten-800.png",
    "tram-ma-pin": "browser/tram-[0-9][0-9]-ma-pin.png",
    "tram-cap-cuu": "nurse/tram-[0-9][0-9]-cap-cuu-da-bao-800.png",
    "tram-trang-dau": "nurse/tram-[0-9][0-9]-trang-dau-800.png",
    "tram-ban-phim": "browser/tram-[0-9][0-9]-ban-phim.png",
    "tram-dang-ky": "browser/tram-[0-9][0-9]-dang-ky-1.png",
    "tram-xac-nhan": "nurse/tram-[0-9][0-9]-xac-nhan-800.png",
    "tram-dang-do": "browser/tram-[0-9][0-9]-dang-do-spo2.png",
    "tram-vong-bit": "nurse/tram-[0-9][0-9]-vong-bit-800.png",
    "tram-dang-bom": "browser/tram-[0-9][0-9]-dang-bom.png",
    "tram-ket-qua-huyet-ap": "nurse/tram-[0-9][0-9]-ket-qua-huyet-ap-800.png",
    "tram-do-tiep": "nurse/tram-[0-9][0-9]-da-luu-huyet-ap-800.png",
    "tram-chon-may": "typing/800x480-[0-9][0-9]-chon-may.png",
    "tram-nhap-tay": "typing/800x480-[0-9][0-9]-nhap-tay.png",
    "tram-dem-nhip-tho": "typing/800x480-[0-9][0-9]-dem-nhip-tho.png",
    "tram-oxy": "typing/800x480-[0-9][0-9]-oxy-xem-lai.png",
    "tram-chuan-bi": "typing/800x480-[0-9][0-9]-chuan-bi.png",
    "tram-nghi": "typing/800x480-[0-9][0-9]-nghi.png",
    "tram-trung-binh": "typing/800x480-[0-9][0-9]-trung-binh.png",
    "tram-hoi": "nurse/tram-[0-9][0-9]-hoi-800.png",
    "tram-anh": "nurse/tram-[0-9][0-9]-anh-800.png",
    "tram-xem-lai": "nurse/tram-[0-9][0-9]-xem-lai-800.png",
    "tram-cho-bac-si": "nurse/tram-[0-9][0-9]-cho-bac-si-800.png",
    "tram-tra-loi": "nurse/tram-[0-9][0-9]-tra-loi-800.png",
    "tram-ho-so": "nurse/tram-[0-9][0-9]-ho-so-800.png",
    "tram-sai-nguoi": "nurse/tram-[0-9][0-9]-sai-nguoi-800.png",
    "tram-da-chuyen": "nurse/tram-[0-9][0-9]-sai-nguoi-xong-800.png",
    "tram-in-phieu": "nurse/tram-[0-9][0-9]-in-phieu-800.png",
    "tram-cho-mang": "browser/tram-[0-9][0-9]-cho-mang.png",
    "tram-chua-ai-xem": "browser/tram-[0-9][0-9]-chua-ai-xem.png",
    "truong-nhan-vien": "kiosk/800x480-[0-9][0-9]-team.png",
    "truong-mot-nguoi": "kiosk/800x480-[0-9][0-9]-team-person.png",
    "tui-thu-cam-usb": "bag/tui-thu-800-[0-9][0-9]-cam-usb.png",
    "tui-thu-rut-usb": "bag/tui-thu-800-[0-9][0-9]-rut-usb.png",
    "ky-thuat-trang-dau": "technician/kt-[0-9][0-9]-viec-ky-thuat-800.png",
    "lap-trang-dau": "first-day/ngay-dau-[0-9][0-9]-trang-dau-800.png",
    "lap-ghi-danh": "first-day/ngay-dau-[0-9][0-9]-ghi-danh-800.png",
    "lap-sau-tu": "first-day/ngay-dau-[0-9][0-9]-sau-tu-800.png",
    "lap-cac-buoc": "first-day/ngay-dau-[0-9][0-9]-cac-buoc-800.png",
    "lap-da-ky": "first-day/ngay-dau-[0-9][0-9]-da-ky-800.png",
    "bac-si-dang-nhap": "doctor/bacsi-[0-9][0-9]-dang-nhap-1280.png",
    "bac-si-ma": "doctor/bacsi-[0-9][0-9]-ma-1280.png",
    "bac-si-hang-doi": "doctor/bacsi-[0-9][0-9]-hang-doi-1280.png",
    "bac-si-cap-cuu": "doctor/bacsi-[0-9][0-9]-cap-cuu-1280.png",
    "bac-si-yeu-cau": "doctor/bacsi-[0-9][0-9]-yeu-cau-1280.png",
    "bac-si-anh": "doctor/bacsi-[0-9][0-9]-anh-phong-to-1280.png",
    "bac-si-tram-da-sua": "doctor/bacsi-[0-9][0-9]-tram-da-sua-1280.png",
    "bac-si-bieu-do": "browser/bacsi-[0-9][0-9]-bieu-do.png",
    "bac-si-nhap": "browser/bacsi-[0-9][0-9]-nhap.png",
    "bac-si-ky": "doctor/bacsi-[0-9][0-9]-ky-1280.png",
    "bac-si-tram-da-doc": "browser/bacsi-[0-9][0-9]-tram-da-doc.png",
}
"""Name in ``docs/vi/hinh`` and the picture of a journey (the one taken last, where several fit)."""


def main(artefacts: Path, to: Path) -> int:
    """Write every picture that is there; the number of those that are not."""
    missing = 0
    for name, pattern in PICTURES.items():
        found = sorted(artefacts.glob(pattern), key=lambda path: path.stat().st_mtime)
        if not found:
            print(f"{name}: no {pattern}", file=sys.stderr)
            missing += 1
            continue
        size = shrink(found[-1], to / f"{name}.png")
        print(f"{name}.png {size} bytes")
    return missing


def shrink(path: Path, to: Path) -> int:
    """A picture with as many colours as its size allows, without dithering: text stays sharp. Its size in bytes."""
    with Image.open(path) as image:
        whole = image.convert("RGB")
    for colours in (128, 64, 32, 16):
        whole.quantize(colours, dither=Image.Dither.NONE).save(to, optimize=True)
        if to.stat().st_size <= MOST:
            break
    return to.stat().st_size


if __name__ == "__main__":
    sys.exit(1 if main(ROOT / "artefacts", ROOT / "docs" / "vi" / "hinh") else 0)
