"""How the box stands, line by line, with what to do next: `tram check`, the technician's six lights, the status code.

Everything is read, nothing is changed: the store, the files that the programs leave in ``paths.run``, and what the kernel says
under ``/sys``. What cannot be known is ABSENT and never OK.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.contract.events import AttachmentChunk
from appliance.contract.readings import ClockQuality, Stamp
from appliance.contract.statuscode import LIGHTS, Light, Status, name_of, status
from appliance.database import Connection
from appliance.settings import Settings
from appliance.store import anchors, bound, register, room, sms
from appliance.store.opening import schema_of

Pair = tuple[str, str]
"""Vietnamese, English."""
HOUR, DAY = 36_000, 864_000
"""Tenths of a second."""
FRESH_NS = 2_000_000_000
"""A live file that is older says nothing (decision 15)."""
RECEIPT_WARN, RECEIPT_FAIL = DAY, 7 * DAY
"""A station with a line hears from the bridge many times a day; after a week its post goes by bag."""
WORN, WORN_OUT = 9, 11
"""JEDEC eMMC 5.0 life-time estimate in tenths of the life: 9 is 80-90 %, 11 is past the end."""
WRITTEN_MOST = 200_000_000
"""Bytes a day. The budget is 20 MB (delivery contract, P13); ten times as much wears a card out in years instead of decades."""
WEAK = 10
"""3GPP TS 27.007 +CSQ: 0-31; below 10 (-93 dBm) data stalls often."""
LOOKS_BACK = 30 * DAY
"""A damage that was found within the last month still asks for a look at the card."""
NOTHING: Pair = ("", "")
NAMES: dict[str, Pair] = {name: name_of(name) for name in LIGHTS} | {
    "camera": ("Camera", "camera"),
    "printer": ("Máy in", "printer"),
    "panel": ("Đèn, chuông, nút gọi", "lamp, buzzer, button"),
    "key": ("Khóa gắn với bo mạch", "key bound to the board"),
}
"""Every line there is, the six lights first."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing: how it stands, in words, and what to do next where something is to be done."""

    name: str
    light: Light
    said: Pair
    next: Pair = NOTHING


@dataclass(frozen=True, slots=True)
class Looked:
    """What is looked at. `boottime_ns`: CLOCK_BOOTTIME; `sys`: where the kernel's tree is; `wear`: what the hourly look around wrote
    about the medium (role `monitoring`), which only root can ask.
    """

    conn: Connection
    settings: Settings
    now: Stamp
    boottime_ns: int
    sys: Path = Path("/sys")
    wear: Path = Path("/run/tram-watch/wear.json")


def lines(at: Looked) -> list[Line]:
    """Every line, the six lights first."""
    return [one(at) for one in _LOOKS]


def code_of(at: Looked, found: list[Line]) -> Status:
    """What the status code says of these lines."""
    lights = {one.name: one.light for one in found}
    last = last_receipt(at.conn)
    days = None if last is None else max(0, at.now.wall - last) // DAY
    station = at.settings.need("station.id")
    return status(station, schema_of(at.conn)[0], [lights[name] for name in LIGHTS], days, unreceived(at.conn))


def last_receipt(conn: Connection) -> int | None:
    """When the bridge last said that it has something (tenths of a second since 1970); None where it never did."""
    found = conn.execute("SELECT max(heard) FROM peer").fetchone()[0]
    return None if found is None else int(found)


def unreceived(conn: Connection) -> int:
    """How many events the bridge has not vouched for; the parts of a picture count as one."""
    rows, parts = conn.execute(
        "SELECT count(*), coalesce(sum(kind = ?), 0) FROM outbox WHERE state < 2", (AttachmentChunk.KIND,)
    ).fetchone()
    return int(rows) - int(parts) + (1 if parts else 0)


# --- one look each ------------------------------------------------------------------------------------------------------------------------


def _power(at: Looked) -> Line:
    low = _undervoltage(at.sys)
    if low:
        return Line(
            "power", Light.FAIL, ("Điện áp thấp.", "The voltage is too low."),
            ("Dùng bộ nguồn chính hãng 5 V và dây ngắn; tắt máy rồi bật lại.", "Use the maker's 5 V supply and a short cable; restart."),
        )  # fmt: skip
    mains = (_live(at, "_panel") or {}).get("mains") if at.settings.panel.mains >= 0 else None
    if mains is False:
        return Line(
            "power", Light.WARN, ("Đang chạy bằng pin UPS.", "On the UPS's battery."),
            ("Xem điện lưới và phích cắm của UPS.", "Look at the mains and the UPS's plug."),
        )  # fmt: skip
    if mains is True or low is False:
        return Line("power", Light.OK, ("Có điện.", "Power is there."))
    return Line("power", Light.ABSENT, ("Máy không đo được nguồn.", "The power cannot be measured here."))


def _undervoltage(sys: Path) -> bool | None:
    """The firmware's under-voltage flag of a Raspberry Pi (kernel driver raspberrypi-hwmon); None on other boards."""
    for folder in sorted((sys / "class" / "hwmon").glob("hwmon*")):
        if _text(folder / "name") == "rpi_volt":
            return _text(folder / "in0_lcrit_alarm") == "1"
    return None


def _card(at: Looked) -> Line:
    share = room.measure(at.settings, at.conn).share
    percent, told = min(100, round(share * 100)), _told_of_wear(at.wear)
    worn = WORN_OUT if told.get("failed") is True else max(_wear(at.sys), round(10 * (told.get("worn") or 0)))
    full = (f"Đã dùng {percent} %.", f"{percent} % used.")
    swap = (
        "Trang Túi thư: nhận và đóng túi; rồi thay thẻ (loại công nghiệp).",
        "The page Post bag: pack; then replace the card (industrial type).",
    )
    if os.statvfs(at.settings.paths.data).f_flag & os.ST_RDONLY:
        return Line("card", Light.FAIL, ("Thẻ chỉ đọc được.", "The card is read-only."), swap)
    if worn >= WORN_OUT:
        return Line("card", Light.FAIL, ("Thẻ đã hết tuổi thọ.", "The card is worn out."), swap)
    if share >= room.PICTURE_SHARE:
        return Line(
            "card", Light.FAIL, full, ("Cho trạm nối mạng hoặc xuất túi thư để máy dọn.", "Bring a line or a post bag: room follows.")
        )
    damaged = at.conn.execute("SELECT max(at) FROM inspection WHERE kind <> 'log'").fetchone()[0]
    if damaged is not None and at.now.wall - int(damaged) < LOOKS_BACK:
        return Line("card", Light.WARN, ("Mới tìm thấy dữ liệu hỏng trên thẻ.", "Damage was found on the card lately."), swap)
    if share >= room.SHED_SHARE or worn >= WORN:
        return Line("card", Light.WARN, full, ("Chuẩn bị thẻ thay.", "Have a new card ready."))
    if (told.get("written_day") or 0) > WRITTEN_MOST:
        megabytes = round(told["written_day"] / 1e6)
        return Line(
            "card", Light.WARN, (f"Mỗi ngày ghi {megabytes} MB lên thẻ.", f"{megabytes} MB are written to the card a day."),
            ("Gọi kỹ thuật: có chương trình ghi quá nhiều.", "Call the technician: some program writes too much."),
        )  # fmt: skip
    tested = at.conn.execute("SELECT value FROM meta WHERE key = 'checked'").fetchone()
    ago = ("", "") if tested is None else _age(at.now.wall - int(tested[0]))
    more = (f" Tự kiểm tra đủ lần cuối: {ago[0]}.", f" Last full self-test: {ago[1]}.") if tested is not None else NOTHING
    return Line("card", Light.OK, (full[0] + more[0], full[1] + more[1]))


def _wear(sys: Path) -> int:
    """The worse of the card's two estimates of its used life, in tenths; 0 where it says nothing (most SD cards)."""
    words = _text(sys / "block" / "mmcblk0" / "device" / "life_time").split()
    try:
        return max((int(word, 16) for word in words), default=0)
    except ValueError:
        return 0


def _told_of_wear(file: Path) -> dict[str, Any]:
    """Numbers about the medium: ``written_day`` (bytes), ``worn`` (share of its life), ``failed``; nothing where nobody looked."""
    try:
        said = json.loads(file.read_bytes()[:4096])
    except (OSError, ValueError):
        return {}
    good = {"written_day": (int,), "worn": (int, float), "failed": (bool,)}
    return {name: said[name] for name, kinds in good.items() if type(said.get(name)) in kinds} if isinstance(said, dict) else {}


def _clock(at: Looked) -> Line:
    known = anchors.listing(at.conn, 1)
    ago = _age(at.now.wall - known[0].wall) if known else ("chưa lần nào", "never")
    said = (f" Lần cuối biết giờ đúng: {ago[0]}.", f" Last told the time: {ago[1]}.")
    if at.now.quality is ClockQuality.SYNCED:
        return Line("clock", Light.OK, ("Giờ đúng." + said[0], "The time is right." + said[1]))
    step = (
        "Ghi danh hoặc nối mạng: máy tự biết giờ. Không có cả hai: tram time set.",
        "Enrol, or bring a line: it learns the time. Neither: tram time set.",
    )
    if at.now.quality is ClockQuality.RTC:
        return Line("clock", Light.WARN, ("Giờ theo pin đồng hồ." + said[0], "By the battery clock." + said[1]), step)
    return Line("clock", Light.FAIL, ("Không biết giờ." + said[0], "The time is not known." + said[1]), step)


def _modem(at: Looked) -> Line:
    found = sms.modem(at.conn)
    if not at.settings.sms.port or found is None:
        return _wwan(at, configured=bool(at.settings.sms.port))
    word, signal, _when = found  # written when it changes: an old row is still true while `tram sms` runs
    if word != "ready":
        return Line(
            "modem", Light.FAIL, _MODEM.get(word, (f"Modem: {word}.", f"Modem: {word}.")),
            ("Xem SIM, dây và anten của modem; rút ra cắm lại.", "Look at the modem's SIM, cable, aerial; plug it in anew."),
        )  # fmt: skip
    if signal is None or signal < WEAK or signal > 31:
        return Line(
            "modem", Light.WARN, ("Sóng yếu hoặc không đo được.", "The signal is weak or unknown."),
            ("Đưa anten ra cửa sổ hoặc lên cao.", "Move the aerial to a window, or higher."),
        )  # fmt: skip
    return Line("modem", Light.OK, (f"Sóng {signal}/31.", f"Signal {signal}/31."))


_MODEM: dict[str, Pair] = {
    "searching": ("Modem đang tìm mạng.", "The modem looks for a network."),
    "sim": ("Không có SIM, hoặc SIM hỏi mã PIN.", "No SIM card, or one that asks for its PIN."),
    "silent": ("Modem không trả lời.", "The modem does not answer."),
}
"""The words of `devices.at.State`."""


def _wwan(at: Looked, *, configured: bool) -> Line:
    """A modem that the system keeps as a network interface, by the kernel's word on it."""
    states = [_text(one / "operstate") for one in sorted((at.sys / "class" / "net").glob("ww*"))]
    if states and "down" not in states:
        return Line("modem", Light.OK, ("Modem dữ liệu đang nối.", "The data modem is connected."))
    step = ("Cắm lại modem, xem SIM và anten.", "Plug the modem in anew, look at SIM and aerial.")
    if states or configured:
        return Line("modem", Light.FAIL, ("Modem không nối được.", "The modem is not connected."), step)
    return Line("modem", Light.ABSENT, ("Không có modem.", "There is no modem."))


def _bridge(at: Looked) -> Line:
    last, waiting = last_receipt(at.conn), unreceived(at.conn)
    row = at.conn.execute("SELECT state, reason FROM carrier WHERE id = 1").fetchone()
    if last is None:
        state = "" if row is None else f" ({row[0]} {row[1]})".rstrip()
        return Line(
            "bridge", Light.FAIL, (f"Chưa bao giờ nghe máy chủ{state}.", f"The bridge was never heard{state}."),
            ("Trang Mạng: bấm Thử. Rồi trang Ghi danh. (Bằng lệnh: tram config --show, tram enrol.)",
             "The page Network: touch Try it. Then the page Enrolment. (By commands: tram config --show, tram enrol.)"),
        )  # fmt: skip
    age = max(0, at.now.wall - last)
    ago = _age(age)
    said = (f"Máy chủ báo đã nhận {ago[0]}; đang chờ gửi {waiting}.", f"Last receipt {ago[1]}; {waiting} waiting.")
    step = (
        "Trang Mạng: bấm Thử; số liệu vẫn còn trong máy. Gấp: trang Túi thư.",
        "The page Network: Try it; nothing is lost. Urgent: the page Post bag.",
    )
    if age >= RECEIPT_FAIL and waiting:
        return Line("bridge", Light.FAIL, said, step)
    if (age >= RECEIPT_WARN and waiting) or (row is not None and row[0] == "error"):
        return Line("bridge", Light.WARN, said, step)
    return Line("bridge", Light.OK, said)


def _devices(at: Looked) -> Line:
    names = sorted(at.settings.devices)
    if not names:
        return Line(
            "devices", Light.FAIL, ("Chưa gắn máy đo nào.", "No device is bound."),
            ("Cắm máy đo, rồi trang Máy đo: Gắn. (Bằng lệnh: tram device bind.)",
             "Plug a device in, then the page Devices: Bind. (By command: tram device bind.)"),
        )  # fmt: skip
    silent = [name for name in names if _live(at, name) is None]
    bad = [name for name in names if (heard := register.heard(at.conn, name)) is not None and heard.alarm]
    step = ("Bật nguồn máy đo, cắm lại dây: " + ", ".join(silent or bad), "Switch on, plug in anew: " + ", ".join(silent or bad))
    if silent:
        said = (f"{len(silent)}/{len(names)} máy đo im lặng.", f"{len(silent)} of {len(names)} devices are silent.")
        return Line("devices", Light.FAIL if len(silent) == len(names) else Light.WARN, said, step)
    if bad:
        return Line("devices", Light.WARN, ("Nghe không rõ: " + ", ".join(bad), "Badly heard: " + ", ".join(bad)), step)
    return Line("devices", Light.OK, (f"{len(names)} máy đo đang nghe được.", f"{len(names)} devices are heard."))


def _camera(at: Looked) -> Line:
    if (at.settings.paths.run / "camera.sock").exists():
        return Line("camera", Light.OK, ("Camera của máy sẵn sàng.", "The box's camera is ready."))
    cameras = len(list((at.sys / "class" / "video4linux").glob("video*")))
    if cameras:
        step = ("Xem cáp camera; tắt máy rồi bật lại.", "Look at the camera's cable; switch the box off and on.")
        return Line("camera", Light.WARN, ("Có camera nhưng chưa chạy.", "There is a camera, but it does not run."), step)
    return Line("camera", Light.ABSENT, ("Không có camera.", "There is no camera."))


def _printer(at: Looked) -> Line:
    if any((at.sys / "class" / "usbmisc").glob("lp*")):
        return Line("printer", Light.OK, ("Có máy in USB.", "There is a USB printer."))
    return Line("printer", Light.ABSENT, ("Không thấy máy in USB.", "No USB printer is seen."))


def _panel(at: Looked) -> Line:
    if not at.settings.panel.wired:
        return Line("panel", Light.ABSENT, ("Không đấu đèn, chuông, nút gọi.", "Lamp, buzzer and button are not wired."))
    if at.settings.panel.mains >= 0 and _live(at, "_panel") is None:
        step = (
            "Xem dây đèn và nút (GPIO); tắt máy rồi bật lại.",
            "Look at the lamp's and button's wires (GPIO); switch the box off and on.",
        )
        return Line("panel", Light.FAIL, ("Chương trình đèn và nút không chạy.", "The panel's program does not run."), step)
    return Line(
        "panel", Light.OK, ("Đã đấu dây; thử ở trang Thử camera, máy in, đèn.", "Wired; try it on the page Try camera, printer, lamp.")
    )


def _key(at: Looked) -> Line:
    """What binds the store's key: OK where the board does. A plain file is no fault to be mended here, and said all the same."""
    form = bound.standing(at.settings)
    return Line("key", Light.OK if form in bound.WORDS else Light.ABSENT, bound.SAID[form])


_LOOKS: tuple[Callable[[Looked], Line], ...] = (_power, _card, _clock, _modem, _bridge, _devices, _camera, _printer, _panel, _key)


# --- small reads --------------------------------------------------------------------------------------------------------------------------


def _live(at: Looked, name: str) -> dict[str, Any] | None:
    """What a program says this moment; None where it says nothing, or says it no longer."""
    try:
        said = json.loads((at.settings.paths.run / f"{name}.live").read_bytes()[:65_536])
    except (OSError, ValueError):
        return None
    told = said.get("boottime_ns") if isinstance(said, dict) else None
    return said if isinstance(told, int) and 0 <= at.boottime_ns - told < FRESH_NS else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip("\0 \n")
    except OSError:
        return ""


def _age(tenths: int) -> Pair:
    """How long ago, for people."""
    if tenths < HOUR:
        return ("chưa tới một giờ trước", "less than an hour ago")
    if tenths < DAY:
        return (f"{tenths // HOUR} giờ trước", f"{tenths // HOUR} h ago")
    return (f"{tenths // DAY} ngày trước", f"{tenths // DAY} days ago")
