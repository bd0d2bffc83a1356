"""What a technician does at the screen, one thing a page: network, enrolment, devices, tries, acceptance. Loaded when it is first opened.

Nothing here needs a keyboard or a shell: what the screens may not do themselves goes through the field door (`kiosk.field`), and
where that door is not open its pages are not offered. No page here holds anything of a patient.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from flask import jsonify, request
from werkzeug.wrappers import Response

from appliance.kiosk import field, here, live
from appliance.kiosk.forms import clean
from appliance.kiosk.here import Gone, Kiosk, Unready
from appliance.kiosk.speech import Pair
from appliance.settings import DeviceSettings
from appliance.store import acceptance, pins, staff
from appliance.store.acceptance import Acceptance, Step
from appliance.store.errors import Refused
from appliance.store.health import Looked

WORK = "/technician/work"
Deeds = list[tuple[str, dict[str, str], str, str]]
"""Buttons that do something: the deed, its fields, the word on it, its look."""
MARKS = {"passed": "✓", "open": "✕", "absent": "–", "waived": "○"}
"""A step is told by its sign and its word, never by colour alone."""
FRESH_NS = 2_000_000_000
TRIED_NS = 120 * 1_000_000_000
"""So long the press of a try counts for the page that asked for it."""
TRY = "panel.try"
"""Where `tram panel` finds the wish for a try (agent/panel.py), in the run folder."""
REASONS: tuple[Pair, ...] = (
    ("Chưa có SIM hoặc chưa có đường mạng", "No SIM card or no line yet"),
    ("Chưa giao thiết bị này", "This part has not been delivered yet"),
    ("Thiết bị hỏng, đã báo", "It is broken, and was reported"),
    ("Trạm không dùng phần này", "The station does not use this part"),
)
"""Reasons that are one touch; another one is typed."""


def show(name: str) -> Response:
    """A page by its name; 404 for none."""
    found = PAGES.get(name)
    if found is None:
        raise Gone(("Không có trang này.", "There is no such page."), WORK)
    return found()


def do(name: str) -> Response:
    """A deed by its name."""
    found = DEEDS.get(name)
    if found is None:
        raise Gone(("Không có việc này.", "There is no such thing to do."), WORK)
    return found()


def follow() -> Response:
    """What the pages that wait ask by themselves: it takes in what was measured, and holds a cuff that a technician has started."""
    session = request.args.get("session", "")
    if session.isdecimal() and len(session) < 12:
        _hold(int(session), request.args.get("device", ""))
    one = acceptance.latest(here.db())
    if one is not None and one.ended is None:
        acceptance.gather(here.db(), here.kiosk().settings, now=here.stamp())
    return jsonify({"page": _mark(request.args.get("device", ""))})


def _mark(device: str = "") -> str:
    """Changes whenever one of these pages would look otherwise."""
    panel = _panel()
    states = ""
    one = acceptance.latest(here.db())
    if one is not None and one.ended is None:
        states = "".join(MARKS[step.state] for step in acceptance.steps(_looked()))
    shown = json.dumps(_shown(device)) if device else ""
    return f"{field.errand().mark}|{states}|{bool(panel and panel.get('trying'))}{_tried()}|{shown}"


def _page(title: Pair, status: int = 200, *, back: str = WORK, **values: Any) -> Response:
    t = here.speech()
    values.setdefault("mark", _mark(values.pop("device", "")))
    return here.page("technician_page.html", status, title=t(*title), back=back, **values)


def _looked() -> Looked:
    parts = here.kiosk()
    return Looked(here.db(), parts.settings, here.stamp(), parts.clock.boottime_ns())


# --- the first page -------------------------------------------------------------------------------------------------------------------


def work() -> Response:
    """What there is to do; what this box cannot do is not offered."""
    t, parts = here.speech(), here.kiosk()
    tiles = [
        ("/technician/accept", t("Nghiệm thu", "Acceptance"), t("thử từng phần, in phiếu", "try every part, print the slip")),
        ("/technician", t("Sức khỏe của máy", "How the box stands"), t("sáu đèn, mã trạng thái", "six lights, status code")),
    ]
    if field.there():
        tiles += [
            ("/technician/enrol", t("Ghi danh", "Enrolment"), t("quét mã QR hoặc gõ 24 chữ", "scan the QR code or type 24 letters")),
            ("/technician/network", t("Mạng", "Network"), t("4G, Wi-Fi, VSAT, dây", "4G, Wi-Fi, VSAT, cable")),
            ("/technician/devices", t("Máy đo", "Devices"), t("gắn cổng, xem số", "bind ports, see values")),
            ("/technician/logs", t("Nhật ký ra USB", "Logs to a stick"), t("niêm phong, gửi tuyến trên", "sealed, for the bridge")),
        ]
    if parts.settings.lan.address:
        tiles.append(("/technician/lan", t("Máy khác trong trạm", "Other computers"), t("địa chỉ, dấu vân tay", "address, fingerprint")))
    if _has_parts():
        tiles.append(("/technician/parts", t("Thử camera, máy in, đèn", "Try camera, printer, lamp"), t("từng phần một", "one by one")))
    if _lacks_lead():
        tiles.append(("/technician/lead", t("Trưởng trạm đầu tiên", "The first lead"), t("tên và mã PIN", "name and PIN")))
    tiles += [
        ("/aside", t("Mục cần kiểm tra", "Items to check"), t("dữ liệu chưa dùng được", "data that cannot be used yet")),
        ("/bag", t("Túi thư", "Post bag"), t("gửi và nhận qua USB", "out and back by USB stick")),
        ("/my-pin", t("Đổi mã PIN", "Change the PIN"), t("của mình", "your own")),
    ]
    says = [t("Kỹ thuật viên không xem thông tin người bệnh.", "A technician sees nothing of patients.")]
    if not parts.settings.station.id:
        says = []
    return _page(("Việc kỹ thuật", "Technical work"), tiles=tiles, says=says, front=True, mark="")


def _has_parts() -> bool:
    return any(one.name in acceptance.BY_EYE and one.state != acceptance.ABSENT for one in acceptance.steps(_looked()))


# --- the first people -----------------------------------------------------------------------------------------------------------------


def _lacks_lead() -> bool:
    """Whether there never was a lead and no patient is known: the technician lets the first one in, nobody a second one."""
    found = here.db().execute("SELECT (SELECT count(*) FROM staff WHERE role = 'lead') + (SELECT count(*) FROM patient)").fetchone()
    return int(found[0]) == 0


def first() -> Response:
    """Who installs this station? Only while nobody ever worked here."""
    return here.go("/") if not staff.is_new(here.db()) else _person("/setup", ("Kỹ thuật viên lắp trạm", "The technician"), "/")


def enter() -> Response:
    """The technician's name and PIN; they are signed in. Refused as soon as there is, or was, somebody."""
    if not staff.is_new(here.db()):
        raise Refused("Trạm đã có nhân viên. Trưởng trạm thêm người.", "there are or were people here: the lead adds others")
    made = _take("kt1", staff.TECHNICIAN, "")
    if isinstance(made, dict):
        return _person("/setup", ("Kỹ thuật viên lắp trạm", "The technician"), "/", made)
    here.desk().staff = "kt1"
    return here.go("/technician/enrol" if field.there() and _not_enrolled() else "/home")


def _not_enrolled() -> bool:
    return any(one.name == "enrolment" and one.state == acceptance.OPEN for one in acceptance.steps(_looked()))


def _lead() -> Response:
    return _person("/technician/lead", ("Trưởng trạm đầu tiên", "The first lead"), WORK)


def _enter_lead() -> Response:
    if not _lacks_lead():
        raise Refused("Trạm đã có trưởng trạm.", "there is a lead here")
    made = _take("tt1", staff.LEAD, here.desk().staff)
    if isinstance(made, dict):
        return _person("/technician/lead", ("Trưởng trạm đầu tiên", "The first lead"), WORK, made)
    here.desk().notice = ("Đã lưu. Trưởng trạm thêm nhân viên ở trang của mình.", "Saved. The lead adds staff on their own page.")
    return here.go(WORK)


def _take(code: str, role: str, by: str) -> dict[str, Pair] | None:
    """A person of the form; what is wrong with it, or None."""
    form = request.form
    name = clean(form.get("name", ""))[:80]
    try:
        if form.get("pin", "") != form.get("again", ""):
            raise Refused("Hai lần nhập mã PIN không giống nhau.", "the two PINs are not the same")
        pins.refuse_weak(form.get("pin", ""))
        staff.add(here.db(), code=code, name=name, role=role, by=by, now=here.stamp())
        pins.give(here.db(), here.secret(), code, form["pin"], by=by or code, now=here.stamp())
    except Refused as error:
        return {"name": (error.vi, error.en)}
    return None


def _person(action: str, title: Pair, back: str, errors: Mapping[str, Pair] | None = None) -> Response:
    t = here.speech()
    fields = [
        {"name": "name", "label": t("Họ và tên", "Name"), "hint": ""},
        {"kind": "pin", "name": "pin", "label": t("Mã PIN", "PIN"), "hint": t("6 chữ số", "6 digits")},
        {"kind": "pin", "name": "again", "label": t("Nhập lại", "Again"), "hint": ""},
    ]
    return _page(
        title, 400 if errors else 200, back=back, errors=errors or {}, typed={"name": request.form.get("name", "")}, mark="",
        form={"action": action, "fields": fields, "send": t("Xong", "Done"), "columns": True},
    )  # fmt: skip


# --- errands through the field door ---------------------------------------------------------------------------------------------------


def _busy() -> Response:
    """How far the errand is, and what came of it."""
    t, one = here.speech(), field.errand()
    title = _ERRANDS.get(one.verb, ("Việc vừa giao", "The last task"))
    if one.state == "busy":
        says = [t("Đang làm. Có thể mất hai phút; trang này tự đổi.", "Under way. It may take two minutes; this page changes by itself.")]
        return _page(title, says=says, big="…", poll="/technician.json")
    if one.state == "failed":
        back = _BACK.get(one.verb, WORK)
        return _page(title, errors={"what": one.why}, back=WORK, onward=(back, t("Làm lại", "Again")))
    return _RESULTS[one.verb](one.answer) if one.state == "done" and one.verb in _RESULTS else here.go(WORK)


_ERRANDS: dict[str, Pair] = {
    "enrol": ("Ghi danh", "Enrolment"),
    "use": ("Đổi kết nối", "Another connection"),
    "apn": ("Modem", "Modem"),
    "wifi": ("Wi-Fi", "Wi-Fi"),
    "contact": ("Thử đường truyền", "A try of the line"),
    "logs": ("Nhật ký ra USB", "Logs to a stick"),
    "bind": ("Gắn máy đo", "A device is bound"),
    "unbind": ("Gỡ máy đo", "A device is taken off"),
}
_BACK = {
    "enrol": "/technician/enrol", "logs": "/technician/logs", "bind": "/technician/devices", "unbind": "/technician/devices",
    **dict.fromkeys(("use", "apn", "wifi", "contact"), "/technician/network"),
}  # fmt: skip


def _send(verb: str, said: Mapping[str, str], then: Callable[[Kiosk, dict[str, Any]], None] | None = None) -> Response:
    if not field.there():
        raise Gone(("Máy này chưa có chương trình tram field.", "tram field does not run on this box."), WORK)
    field.start(verb, said, then)
    here.about(subject=verb)
    return here.go("/technician/busy")


def _ask(verb: str) -> dict[str, Any]:
    try:
        found = field.ask(verb)
    except OSError:
        raise Gone(("Chương trình tram field không trả lời.", "tram field does not answer."), WORK) from None
    if found.get("ok") is not True:
        raise Refused(str(found.get("vi", "")), str(found.get("en", "")))
    return found


def _typed(name: str, most: int = 200) -> str:
    return clean(request.form.get(name, ""))[:most]


# --- enrolment ------------------------------------------------------------------------------------------------------------------------


def _enrol(errors: Mapping[str, Pair] | None = None) -> Response:
    t = here.speech()
    where = {
        "kind": "scan",
        "name": "token",
        "label": t("Mã trên tờ giấy", "The paper's token"),
        "hint": t("quét QR bằng máy quét, hoặc gõ 24 chữ", ""),
    }
    says = [t("Tờ giấy dùng một lần, trong bảy ngày, cho trạm này.", "The paper is good once, for seven days, for this station.")]
    return _page(
        ("Ghi danh trạm", "Enrol this station"), 400 if errors else 200, errors=errors or {}, typed={}, says=says,
        form={"action": "/technician/enrol", "fields": [where], "send": t("Ghi danh", "Enrol")},
        deeds=[("scan", {}, t("Chụp mã QR", "Photograph the code"), "")] if _has_camera() else [],
    )  # fmt: skip


def _has_camera() -> bool:
    from appliance.kiosk.screens import pictures

    return (here.kiosk().settings.paths.run / pictures.SOCKET).exists()


def _scan() -> Response:
    """The paper before the box's camera: one photo, the code in it. What is in no photo is typed."""
    from appliance.contract.enrolment import read_ticket
    from appliance.kiosk import codes
    from appliance.kiosk.screens import pictures

    try:
        photo = pictures._camera(here.kiosk().settings.paths.run / pictures.SOCKET)  # noqa: SLF001 - the kiosk's one way to the camera
        found = codes.read(photo)
    except codes.NoReader as error:
        return _enrol({"token": (error.vi, error.en)})
    except OSError:
        return _enrol({"token": _TOKEN["camera"]})
    for text in found:
        try:
            read_ticket(text)
        except ValueError:
            continue
        return _send("enrol", {"token": text})
    return _enrol({"token": _TOKEN["qr" if found else "none"]})


def _take_token() -> Response:
    """A slip of the finger is told at once, before anything leaves the box."""
    from appliance.contract.enrolment import read_ticket

    text = request.form.get("token", "")[:600].strip()
    try:
        read_ticket(text)
    except ValueError as error:
        return _enrol({"token": _TOKEN.get(str(error), _TOKEN["qr"])})
    return _send("enrol", {"token": text})


_TOKEN: dict[str, Pair] = {
    "qr": ("Không phải mã QR ghi danh của Trạm.", "This is not a QR code for enrolment."),
    "length": ("Mã có 24 chữ và số, sáu nhóm bốn.", "The token has 24 letters and digits, in six groups of four."),
    "letter": ("Mã chỉ có chữ A-Z không có U và số 0-9.", "The token has letters without U, and digits."),
    "none": (
        "Không thấy mã QR trong ảnh. Giữ tờ giấy phẳng, đủ sáng, cách camera khoảng 20 cm, rồi chụp lại; hoặc gõ 24 chữ.",
        "No code is in the picture. Hold the paper flat and in the light, 20 cm from the camera, and try again; or type the 24 letters.",
    ),
    "camera": ("Camera không trả lời. Gõ 24 chữ trên tờ giấy.", "The camera does not answer. Type the 24 letters on the paper."),
    "check": ("Gõ nhầm một chữ: so lại với tờ giấy.", "A letter is wrong: compare with the paper."),
}


def _enrolled(answer: Mapping[str, Any]) -> Response:
    t = here.speech()
    says = [
        t("Đọc sáu từ này qua điện thoại cho tuyến trên.", "Read these six words to the bridge's operator."),
        t(
            "Giống nhau: xong. Khác nhau: dừng lại và báo, có người đứng giữa.",
            "The same: done. Not the same: stop and report it, somebody stands between.",
        ),
        t(f"Trạm {answer.get('station')}, chứng thư tới {answer.get('until')}.", f"{answer.get('station')}, until {answer.get('until')}."),
    ]
    deeds: Deeds = [("begin", {}, t("Giống nhau: nghiệm thu", "The same: accept"), "primary")]
    return _page(_ERRANDS["enrol"], says=says, big=str(answer.get("words", "")), deeds=deeds)


# --- the station's own network ----------------------------------------------------------------------------------------------------------


def _lan() -> Response:
    """What to type into a computer's browser, and what it must show the first time."""
    from appliance.store import front

    t, settings = here.speech(), here.kiosk().settings.lan
    shown = front.fingerprint(settings.certificate)
    if not settings.address or not shown:
        return _page(
            _LAN,
            says=[
                t("Máy này chưa mở cho máy khác. Báo tuyến trên.", "This box is not open to other computers: ask the bridge's operator.")
            ],
        )
    octets = shown.split(":")
    lines = [" ".join(octets[at : at + 16]) for at in range(0, len(octets), 16)]
    says = [
        t(
            "Ở máy kia, nối vào Wi-Fi của trạm rồi gõ địa chỉ trên. Lần đầu trình duyệt báo chứng thư lạ: mở chi tiết, so SHA-256 với "
            "hai dòng này.",
            "On the other computer join the station's Wi-Fi and type the address above. The first time the browser does not know the "
            "certificate: open its details and compare the SHA-256 with these two lines.",
        ),
        t(
            "Giống hết: chấp nhận. Khác một chữ: không vào, báo tuyến trên.",
            "All the same: accept. One letter else: do not, and report it.",
        ),
    ]
    return _page(_LAN, big=settings.web, says=says, rows=[{"name": line} for line in lines])


_LAN: Pair = ("Máy khác trong trạm", "Other computers of the station")

# --- network --------------------------------------------------------------------------------------------------------------------------


def _network() -> Response:
    t, found = here.speech(), _ask("networks")
    rows = [
        {
            "name": f"{one['name']} · {t(*one['words'])}",
            "said": t("đang dùng", "in use") if one["device"] else "",
            "posts": () if one["device"] else (("use", {"uuid": one["uuid"]}, t("Dùng", "Use")),),
        }
        for one in found["known"]
    ]
    also = [("/technician/apn", t("APN", "APN"))] + ([("/technician/wifi", "Wi-Fi")] if found["wifi"] else [])
    says = [] if rows else [t("Máy chưa có kết nối nào.", "There is no connection yet.")]
    return _page(("Mạng", "Network"), rows=rows, says=says, also=also, deeds=[("contact", {}, t("Thử", "Try it"), "primary")])


def _apn() -> Response:
    t = here.speech()
    where = {
        "name": "apn",
        "label": "APN",
        "hint": t("nhà mạng cho, ví dụ v-internet", "from the operator, such as v-internet"),
        "pad": "ascii",
    }
    says = [t("SIM phải hết hỏi mã PIN. Thay SIM: đặt lại APN.", "The SIM card must ask for no PIN. Another SIM card: set it again.")]
    form = {"action": "/technician/apn", "fields": [where], "send": t("Đặt và nối", "Set and connect")}
    return _page(("Modem 2G/4G", "2G/4G modem"), back="/technician/network", says=says, typed={}, form=form)


def _wifi() -> Response:
    t, found = here.speech(), _ask("networks")
    rows = [
        {"name": one["name"], "said": f"{one['strength']} %", "links": ((f"/technician/join?number={place}", t("Chọn", "Choose")),)}
        for place, one in enumerate(found["wifi"])
    ]
    says = [] if rows else [t("Không thấy Wi-Fi nào.", "No Wi-Fi is in reach.")]
    return _page(("Wi-Fi", "Wi-Fi"), back="/technician/network", rows=rows, says=says)


def _join() -> Response:
    t, place = here.speech(), request.args.get("number", "")
    heard = _ask("networks")["wifi"]
    if not place.isdecimal() or int(place) >= len(heard):
        return here.go("/technician/wifi")
    one = heard[int(place)]
    fields = [{"name": "passphrase", "label": t("Mật khẩu", "Passphrase"), "hint": "", "pad": "ascii"}] if one["locked"] else []
    form = {"action": "/technician/wifi", "hidden": {"name": one["name"]}, "fields": fields, "send": t("Nối", "Connect")}
    return _page((f"Wi-Fi {one['name']}", f"Wi-Fi {one['name']}"), back="/technician/wifi", typed={}, form=form)


def _reached(answer: Mapping[str, Any]) -> Response:
    t = here.speech()
    names = {"broker": ("Máy chủ tin nhắn", "The broker"), "door": ("Cửa ghi danh và giờ", "The door")}
    rows = [
        {
            "name": f"{'✕' if one['why'] else '✓'} {t(*names[one['what']])} {one['place']}",
            "said": t(*one["why"]) if one["why"] else t("trả lời", "answers"),
        }
        for one in answer.get("places", ())
    ]
    state = here.db().execute("SELECT state, reason FROM carrier WHERE id = 1").fetchone()
    if state is not None and state[0] == "online":
        rows.append({"name": t("✓ Đang nối với máy chủ", "✓ Connected to the bridge"), "said": ""})
    again: Deeds = [("contact", {}, t("Thử lại", "Again"), "")]
    return _page(
        _ERRANDS["contact"],
        rows=rows,
        back="/technician/network",
        deeds=again,
        onward=("/technician/accept", t("Nghiệm thu", "Acceptance")),
    )


# --- devices --------------------------------------------------------------------------------------------------------------------------


def _devices() -> Response:
    """The ports that are there; what is bound, with what it says now."""
    t, found, parts = here.speech(), _ask("ports"), here.kiosk()
    rows: list[dict[str, Any]] = []
    for one in found["ports"]:
        if one["name"]:
            continue
        name = t(f"Cổng {one['shown']}", f"Port {one['shown']}")
        where = f"/technician/driver?place={one['place']}"
        rows.append({"name": name, "said": one["what"], "links": ((where, t("Gắn", "Bind")),)})
    for name in sorted(parts.settings.devices):
        shown = _shown(name)
        rows.append(
            {
                "name": here.device_name(name),
                "said": shown["said"],
                "links": ((f"/technician/bound?name={name}", t("Xem", "Look")),),
            }
        )
    says = [] if rows else [t("Chưa thấy cổng nào. Cắm dây của máy đo.", "No port is there. Plug the device's cable in.")]
    return _page(("Máy đo", "Devices"), rows=rows, says=says, also=[("/technician/devices", t("Xem lại", "Look again"))])


def _driver() -> Response:
    """What is behind the port? A cable cannot say: the technician does."""
    t, found, place = here.speech(), _ask("ports"), request.args.get("place", "")
    port = next((one for one in found["ports"] if one["place"] == place and not one["name"]), None)
    if port is None:
        return here.go("/technician/devices")
    fits = [one for one in found["drivers"] if one["hid"] == port["hid"] and (not port["hid"] or one["ids"] == port["ids"])]
    options = [(one["name"], one["title"], one["metrics"]) for one in fits]
    says = [t("Chọn đúng loại ghi trên nhãn máy.", "Choose what the device's label says.")]
    if not options:
        says = [t("Không có loại máy nào dùng thật ở cổng này.", "No device in service speaks over such a port.")]
    fields = [{"kind": "tiles", "name": "driver", "options": options}]
    form = {"action": "/technician/bind", "hidden": {"place": place}, "fields": fields, "send": ""}
    title = (f"Máy nào ở cổng {port['shown']}?", f"Which device is at port {port['shown']}?")
    return _page(title, back="/technician/devices", says=says, typed={}, form=form)


def _bind() -> Response:
    return _send("bind", {"place": _typed("place"), "driver": _typed("driver")}, _known)


def _known(parts: Kiosk, answer: dict[str, Any]) -> None:
    """From now on the device is on the measuring page: no restart of the screens is needed."""
    types = tuple(str(answer["patient_types"]).split())
    made = DeviceSettings(driver=answer["driver"], port=answer["port"], name=answer["title"] or answer["name"], patient_types=types)
    parts.settings = replace(parts.settings, devices=MappingProxyType({**parts.settings.devices, answer["name"]: made}))


def _unbind() -> Response:
    return _send("unbind", {"name": _typed("name")}, _forgotten)


def _forgotten(parts: Kiosk, answer: dict[str, Any]) -> None:
    left = {name: one for name, one in parts.settings.devices.items() if name != answer["name"]}
    parts.settings = replace(parts.settings, devices=MappingProxyType(left))


def _bound() -> Response:
    """A device and what it says now; what it measures in an open acceptance is its test reading."""
    t, name = here.speech(), request.args.get("name", "")
    if name not in here.kiosk().settings.devices:
        return here.go("/technician/devices")
    return _device(name, "/technician/devices", unbind=_is_bound(name), title=(here.device_name(name), here.device_name(name)), t=t)


def _is_bound(name: str) -> bool:
    found = here.db().execute("SELECT 1 FROM binding WHERE name = ?", (name,)).fetchone()
    return found is not None and field.there()


def _device(name: str, back: str, *, unbind: bool, title: Pair, t: Callable[[str, str], str]) -> Response:
    shown = _shown(name)
    deeds: Deeds = []
    if unbind:
        deeds.append(("unbind", {"name": name}, t("Gỡ", "Take off"), ""))
    says = [shown["said"]] if shown["big"] else []
    one = acceptance.latest(here.db())
    opened = one is not None and one.ended is None
    poll = f"/technician.json?device={name}"
    if opened and _commanded(name):
        session = shown["session"]
        if session and here.kiosk().cuffs.holds(name):
            _hold(session, name)
            poll += f"&session={session}"
            deeds.append(("stop", {"device": name}, t("DỪNG, xả hơi", "STOP, let the air out"), "stop"))
        else:
            says.append(t("Quấn vòng bít vào tay mình, rồi bấm.", "Put the cuff on your own arm, then touch."))
            deeds.append(("trial", {"device": name}, t("Bơm thử", "Start the cuff"), "primary"))
    elif opened:
        says.append(t("Đo trên người mình: số đo thử tự gửi đi.", "Measure yourself: the test reading goes by itself."))
    taken = next((step for step in acceptance.steps(_looked()) if step.name == acceptance.DEVICE + name and step.state == "passed"), None)
    if taken is not None:
        says.append("✓ " + t(*taken.said))
    return _page(
        title, back=back, says=says, big=shown["big"] or shown["said"], deeds=deeds, poll=poll, device=name,
        onward=("/technician/accept", t("Tiếp tục nghiệm thu", "Go on")) if taken is not None else None,
    )  # fmt: skip


def _commanded(name: str) -> bool:
    from appliance.devices.registry import ROWS

    row = ROWS.get(here.kiosk().settings.devices[name].driver)
    return row is not None and row.commanded


def _shown(name: str) -> dict[str, Any]:
    """What a device says now; nothing of a session that is a patient's."""
    t, parts = here.speech(), here.kiosk()
    view = live.read(parts.settings.paths.run, name) if name in parts.settings.devices else None
    told = view.get("boottime_ns") if view is not None else None
    if view is None or not isinstance(told, int) or parts.clock.boottime_ns() - told > FRESH_NS:
        return {"big": "", "said": t("im lặng: cắm dây, bật máy", "silent: plug it in, switch it on"), "session": 0}
    session = view.get("session")
    if isinstance(session, int):
        row = here.db().execute("SELECT patient FROM session WHERE id = ?", (session,)).fetchone()
        if row is None or row[0] != acceptance.TRIAL:
            return {"big": "", "said": t("đang đo cho người bệnh", "is measuring a patient"), "session": 0}
    said = t("nghe được", "is heard") if view.get("state") not in ("lost", "absent") else t("mất máy", "is lost")
    values = [f"{_metric(one['metric'])} {one['value']} {one['unit']}" for one in view.get("numerics", ()) if one.get("value") is not None]
    return {"big": " · ".join(values), "said": said, "session": session if isinstance(session, int) else 0}


def _metric(name: str) -> str:
    from appliance.contract.metrics import TABLE, Metric

    row = TABLE[Metric[name]]
    return here.speech()(row.vi, row.en)


def _trial() -> Response:
    """A cuff on the technician's own arm, started by this press alone."""
    name, parts = _typed("device", 40), here.kiosk()
    if name not in parts.settings.devices or not _commanded(name):
        raise Unready(("Không có máy này.", "There is no such device."), "/technician/accept")
    session = acceptance.trial(here.db(), name, staff=here.desk().staff, now=here.stamp())
    here.desk().sessions.add(session)
    parts.cuffs.opened(session, name)
    told = parts.cuffs.start(name, session, parts.settings.devices[name].patient_types[0])
    if not told.accepted:
        from appliance.kiosk.speech import REFUSED

        here.desk().notice = REFUSED.get(told.reason, (f"Máy từ chối: {told.reason}.", f"The device refuses: {told.reason}."))
    return here.go(f"/technician/try?name={name}")


def _hold(session: int, device: str) -> None:
    """The page is still looked at: the cuff that was started from it goes on. Its own session only."""
    parts = here.kiosk()
    if session in here.desk().sessions and parts.cuffs.knows(session) and parts.cuffs.holds(device, session):
        view = live.read(parts.settings.paths.run, device)
        parts.cuffs.asked(session, lost=view is None, pressure=None)


def _stop() -> Response:
    name = _typed("device", 40)
    here.kiosk().cuffs.stop(name)
    return here.go(f"/technician/try?name={name}")


def _try() -> Response:
    name = request.args.get("name", "")
    if name not in here.kiosk().settings.devices:
        return here.go("/technician/accept")
    title = (f"Đo thử: {here.device_name(name)}", f"Try: {here.device_name(name)}")
    return _device(name, "/technician/accept", unbind=False, title=title, t=here.speech())


# --- tries that a person judges -------------------------------------------------------------------------------------------------------


def _parts() -> Response:
    t = here.speech()
    tiles = [
        (f"/technician/{one.name}", t(*one.title), t(*one.said))
        for one in acceptance.steps(_looked())
        if one.name in acceptance.BY_EYE and one.state != acceptance.ABSENT
    ]
    return _page(("Thử từng phần", "Try the parts"), tiles=tiles)


def _camera() -> Response:
    t = here.speech()
    return _judged(
        "camera",
        ("Thử camera", "Try the camera"),
        says=[t("Ảnh vừa chụp:", "The picture of this moment:")],
        picture="/technician/camera.jpg",
    )


def _photo() -> Response:
    from appliance.kiosk.screens import pictures

    try:
        photo = pictures._camera(here.kiosk().settings.paths.run / pictures.SOCKET)  # noqa: SLF001 - the kiosk's one way to the camera
    except OSError:
        raise Gone(("Camera không trả lời. Xem cáp camera.", "The camera does not answer. Look at its cable."), WORK) from None
    return Response(photo, mimetype="image/jpeg")


def _printer() -> Response:
    t = here.speech()
    says = [
        t("Mở bản in thử, in ra, rồi xem chữ có dấu đủ và rõ không.", "Open the test print, print it, see whether its letters are sharp.")
    ]
    return _judged(
        "printer", ("Thử máy in", "Try the printer"), says=says, also=[("/technician/test.pdf?size=roll", t("Bản in thử", "Test print"))]
    )


def _lamp() -> Response:
    t, panel = here.speech(), _panel()
    if panel is None:
        says = [t("Chương trình đèn và nút không chạy.", "The panel's program does not run.")]
        return _page(("Đèn, còi, nút gọi", "Lamp, buzzer, button"), says=says)
    if _tried():
        says = [t("✓ Nút gọi: tốt. Đèn có nháy và còi có kêu không?", "✓ The button is good. Did the lamp flash and the buzzer sound?")]
        return _judged("panel", ("Đèn, còi, nút gọi", "Lamp, buzzer, button"), says=says, poll="/technician.json")
    if panel.get("trying"):
        says = [
            t(
                "Đèn nháy, còi kêu. Bấm nút gọi một lần: lần này không gọi ai.",
                "Lamp and buzzer go. Press the button once: nobody is called.",
            )
        ]
        return _page(("Đèn, còi, nút gọi", "Lamp, buzzer, button"), says=says, big="…", poll="/technician.json")
    says = [t("Trong 20 giây đèn nháy, còi kêu, và nút gọi không gọi ai.", "For 20 s lamp and buzzer go, and the button calls nobody.")]
    deeds: Deeds = [("panel", {}, t("Thử", "Try"), "primary")]
    return _page(("Đèn, còi, nút gọi", "Lamp, buzzer, button"), says=says, deeds=deeds, poll="/technician.json")


def _ask_panel() -> Response:
    """The wish for a try, where `tram panel` looks for it."""
    parts = here.kiosk()
    file = parts.settings.paths.run / TRY
    draft = file.with_name(f".{TRY}.new")
    draft.write_text(json.dumps({"boottime_ns": parts.clock.boottime_ns()}))
    draft.rename(file)
    return here.go("/technician/panel")


def _panel() -> dict[str, Any] | None:
    parts = here.kiosk()
    view = live.read(parts.settings.paths.run, "_panel")
    told = view.get("boottime_ns") if view is not None else None
    fresh = isinstance(told, int) and 0 <= parts.clock.boottime_ns() - told < FRESH_NS
    return view if fresh else None


def _tried() -> bool:
    """Whether the button was pressed in a try of late."""
    at = (_panel() or {}).get("tried_ns")
    return isinstance(at, int) and at > 0 and here.kiosk().clock.boottime_ns() - at < TRIED_NS


def _judged(step: str, title: Pair, **more: Any) -> Response:
    """A page whose part a person calls good; outside an acceptance it is only looked at."""
    t, one = here.speech(), acceptance.latest(here.db())
    opened = one is not None and one.ended is None
    deeds = [("saw", {"step": step}, t("Tốt", "Good"), "primary")] if opened else []
    return _page(title, back="/technician/accept" if opened else "/technician/parts", deeds=deeds, **more)


def _saw() -> Response:
    acceptance.saw(here.db(), _typed("step", 20), now=here.stamp())
    return here.go("/technician/accept")


# --- acceptance -----------------------------------------------------------------------------------------------------------------------


def _accept() -> Response:
    """What is open, with the way to do it; below in one line what is done. When nothing is open: sign."""
    t, one = here.speech(), acceptance.latest(here.db())
    if one is None or one.ended is not None:
        return _signed(one)
    acceptance.gather(here.db(), here.kiosk().settings, now=here.stamp())
    found = acceptance.steps(_looked())
    left = [step for step in found if step.state == acceptance.OPEN]
    rows = [
        {
            "name": f"{MARKS[step.state]} {t(*step.title)}", "said": t(*step.said), "next": t(*step.next),
            "links": (*_way(step), (f"/technician/waive?step={step.name}", t("Miễn", "Waive"))),
        }
        for step in left
    ]  # fmt: skip
    done = " · ".join(f"{MARKS[step.state]} {t(*step.title)}" for step in found if step.state != acceptance.OPEN)
    says = [done]
    deeds: Deeds = [] if left else [("sign", {}, t("Ký nghiệm thu", "Sign"), "primary")]
    title = ("Nghiệm thu: mọi bước đã xong", "Acceptance: every step is done")
    if left:
        title = (f"Nghiệm thu: còn {len(left)} bước", f"Acceptance: {len(left)} to go")
    return _page(title, rows=rows, says=says, deeds=deeds, poll="/technician.json")


def _way(step: Step) -> tuple[tuple[str, str], ...]:
    """The page on which a step is done."""
    t = here.speech()
    word = t("Làm", "Do it")
    if step.name.startswith(acceptance.DEVICE):
        return ((f"/technician/try?name={step.name.removeprefix(acceptance.DEVICE)}", word),)
    if step.name in acceptance.BY_EYE:
        return ((f"/technician/{step.name}", word),)
    if step.name in ("enrolment", "link") and field.there():
        return (("/technician/enrol" if step.name == "enrolment" else "/technician/network", word),)
    return (("/technician", t("Xem", "Look")),) if step.name in ("power", "card", "clock") else ()


def _signed(one: Acceptance | None) -> Response:
    t, slip = here.speech(), acceptance.signed(here.db())
    if one is None or slip is None:
        says = [
            t(
                "Thử từng phần một lần. Phần nào chưa được thì làm, hoặc miễn và ghi lý do. Cuối cùng in phiếu.",
                "Every part is tried once. What does not pass is done, or waived with a reason. At the end the slip is printed.",
            )
        ]
        deeds: Deeds = [("begin", {}, t("Bắt đầu nghiệm thu", "Begin"), "primary")]
        return _page(("Nghiệm thu trạm", "Acceptance of the station"), says=says, deeds=deeds)
    waived = [f"○ {title}: {said}" for title, state, said in slip.steps if state == acceptance.WAIVED]
    says = [
        t(f"{slip.technician} đã ký {_when(slip.ended)}.", f"{slip.technician} signed {_when(slip.ended)}."),
        t(f"Mã trạng thái {slip.code}. Miễn {len(waived)} bước.", f"Status code {slip.code}. {len(waived)} waived."),
        *waived,
    ]
    also = [
        ("/technician/slip.pdf?size=a5", t("Phiếu A5", "Slip A5")),
        ("/technician/slip.pdf?size=roll", t("Phiếu cuộn 80 mm", "Slip, roll")),
    ]
    deeds = [("begin", {}, t("Nghiệm thu lại", "Accept anew"), "")]
    return _page(("Trạm đã nghiệm thu", "The station is accepted"), says=says, also=also, deeds=deeds)


def _begin() -> Response:
    acceptance.begin(here.db(), staff=here.desk().staff, now=here.stamp())
    return here.go("/technician/accept")


def _waive(errors: Mapping[str, Pair] | None = None) -> Response:
    t, name = here.speech(), request.values.get("step", "")
    step = next((one for one in acceptance.steps(_looked()) if one.name == name and one.state == acceptance.OPEN), None)
    if step is None:
        return here.go("/technician/accept")
    fields = [
        {"kind": "tiles", "name": "chosen", "options": [(vi, t(vi, en), "") for vi, en in REASONS]},
        {"name": "reason", "label": t("Lý do khác", "Another reason"), "hint": ""},
    ]
    form = {"action": "/technician/waive", "hidden": {"step": name}, "fields": fields, "send": t("Miễn", "Waive")}
    title = (f"Vì sao miễn: {step.title[0]}?", f"Why waive: {step.title[1]}?")
    return _page(title, 400 if errors else 200, back="/technician/accept", errors=errors or {}, typed={}, form=form)


def _take_waiver() -> Response:
    reason = _typed("chosen", 80) or _typed("reason", 200)
    try:
        acceptance.waive(_looked(), _typed("step", 60), reason, staff=here.desk().staff)
    except Refused as error:
        return _waive({"reason": (error.vi, error.en)})
    return here.go("/technician/accept")


def _sign() -> Response:
    who = here.person()
    acceptance.finish(_looked(), staff=here.desk().staff, name=who.name if who is not None else here.desk().staff)
    return here.go("/technician/accept")


def _slip() -> Response:
    """The slip on paper, in Vietnamese: it goes into the station's folder."""
    from appliance.kiosk.paper import Document, Line
    from appliance.kiosk.screens.paper import _pdf

    slip = acceptance.signed(here.db())
    if slip is None:
        raise Gone(("Trạm chưa được nghiệm thu.", "The station was never accepted."), "/technician/accept")
    words = {"passed": "đạt", "absent": "không có", "waived": "MIỄN", "open": "chưa"}
    lines = (
        Line("PHIẾU NGHIỆM THU TRẠM", "title"), Line(slip.station, "strong", "Trạm"), Line(slip.name),
        Line(_when(slip.ended), "text", "Nghiệm thu"), Line(slip.technician, "text", "Kỹ thuật viên"),
        Line(slip.code, "strong", "Mã trạng thái"), Line(f"{slip.software}, kho {slip.schema}", "text", "Phần mềm"),
        Line(slip.certificate or "–", "small", "Chứng thư"), Line(slip.words or "–", "small", "Sáu từ"), Line(look="rule"),
        *(Line(f"{name} ({driver}) {number}".strip(), "text", "Máy đo") for name, driver, number in slip.devices), Line(look="rule"),
        *(
            Line(f"{MARKS[state]} {title}: {words[state]}. {said}", "strong" if state == "waived" else "text")
            for title, state, said in slip.steps
        ),
        Line(look="rule"), Line("Kỹ thuật viên ký: ____________________"), Line("Trưởng trạm ký: ____________________"),
    )  # fmt: skip
    size = request.args.get("size", "a5")
    document = Document(size if size in ("a5", "roll") else "a5", "Phiếu nghiệm thu", lines)
    return _queued(_pdf(document, f"nghiem-thu-{slip.station}.pdf"), "/technician/accept")


def _test_print() -> Response:
    from appliance.kiosk.paper import Document, Line
    from appliance.kiosk.screens.paper import _pdf

    station = here.kiosk().settings.station
    lines = (
        Line("BẢN IN THỬ", "title"), Line(f"{station.name} ({station.id})"), Line(_when(here.now())), Line(look="rule"),
        Line("Ă Â Đ Ê Ô Ơ Ư  ấ ầ ẩ ẫ ậ  ế ề ể ễ ệ  ố ồ ổ ỗ ộ  ứ ừ ử ữ ự"), Line("0 1 2 3 4 5 6 7 8 9", "strong"),
        Line("Chữ nhỏ: đọc được không?", "small"),
    )  # fmt: skip
    size = request.args.get("size", "roll")
    document = Document(size if size in ("a5", "roll") else "roll", "Bản in thử", lines)
    return _queued(_pdf(document, "in-thu.pdf"), "/technician/printer")


def _queued(answer: Response, back: str) -> Response:
    """Where the printer's queue has taken the paper: back to the page that asked for it."""
    if answer.mimetype != "text/html":
        return answer
    here.desk().notice = ("Máy in đã nhận.", "The printer has taken it.")
    return here.go(back)


def _when(tenths: int) -> str:
    from appliance.kiosk import present

    return f"{present.local(tenths):%H:%M %d/%m/%Y}"


# --- logs -----------------------------------------------------------------------------------------------------------------------------


def _logs() -> Response:
    t = here.speech()
    says = [
        t(
            "Cắm USB vào máy. Nhật ký không có thông tin người bệnh, và chỉ tuyến trên mở được.",
            "Put a stick in. The logs hold nothing of patients.",
        ),
        t("Xong thì gửi USB hoặc tệp cho tuyến trên.", "Then send the stick, or the file on it, to the bridge's operator."),
    ]
    return _page(("Nhật ký ra USB", "Logs to a stick"), says=says, deeds=[("logs", {}, t("Ghi ra USB", "Write"), "primary")])


def _written(answer: Mapping[str, Any]) -> Response:
    t = here.speech()
    says = [t(f"Tệp {answer.get('file')}, {int(answer.get('size', 0)) // 1024 + 1} kB.", f"{answer.get('file')}")]
    return _page(_ERRANDS["logs"], big=t("Rút USB được rồi", "You can take the stick out"), says=says)


def _just_bound(answer: Mapping[str, Any]) -> Response:
    return here.go(f"/technician/bound?name={answer.get('name', '')}")


_RESULTS: dict[str, Callable[[Mapping[str, Any]], Response]] = {
    "enrol": _enrolled,
    "use": _reached,
    "apn": _reached,
    "wifi": _reached,
    "contact": _reached,
    "logs": _written,
    "bind": _just_bound,
    "unbind": lambda _answer: here.go("/technician/devices"),
}
PAGES: dict[str, Callable[[], Response]] = {
    "work": work,
    "lead": _lead,
    "busy": _busy,
    "enrol": _enrol,
    "network": _network,
    "lan": _lan,
    "apn": _apn,
    "wifi": _wifi,
    "join": _join,
    "devices": _devices,
    "driver": _driver,
    "bound": _bound,
    "try": _try,
    "parts": _parts,
    "camera": _camera,
    "camera.jpg": _photo,
    "printer": _printer,
    "panel": _lamp,
    "accept": _accept,
    "waive": _waive,
    "slip.pdf": _slip,
    "test.pdf": _test_print,
    "logs": _logs,
}
"""Every page by its name in the address."""
DEEDS: dict[str, Callable[[], Response]] = {
    "lead": _enter_lead,
    "enrol": _take_token,
    "scan": _scan,
    "use": lambda: _send("use", {"uuid": _typed("uuid", 40)}),
    "apn": lambda: _send("apn", {"apn": _typed("apn", 80)}),
    "wifi": lambda: _send("wifi", {"name": request.form.get("name", "")[:64], "passphrase": request.form.get("passphrase", "")[:80]}),
    "contact": lambda: _send("contact", {}),
    "bind": _bind,
    "unbind": _unbind,
    "trial": _trial,
    "stop": _stop,
    "panel": _ask_panel,
    "saw": _saw,
    "begin": _begin,
    "waive": _take_waiver,
    "sign": _sign,
    "logs": lambda: _send("logs", {}),
}
"""Every deed by its name in the address."""
