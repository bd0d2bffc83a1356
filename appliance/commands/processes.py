"""What runs all day as a unit of its own: collectors, the carrier, the screens, text messages, camera and panel."""

import argparse
import os
from typing import TYPE_CHECKING

from appliance.commandline import DONE, Command, nothing, settings_of
from appliance.commands.box import Box, end_on_sigterm, open_box

if TYPE_CHECKING:
    from appliance.store.register import Binding


def _collect_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("device", help="the name of the device's section in the settings")
    parser.add_argument("--port", default="", help="another port than the settings say")
    parser.add_argument("--session", type=int, metavar="ID", help="record what settles in this session at once, without a screen")
    parser.add_argument("--once", action="store_true", help="end after the first measurement")


def _collect(args: argparse.Namespace) -> int:
    return _collected(args, "")


def _listen_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("device", help="the name of the monitor's section in the settings; its port is tcp://ADDRESS:PORT")
    parser.set_defaults(port="", session=None)
    parser.add_argument("--once", action="store_true", help="end after the first measurement")


def _listen(args: argparse.Namespace) -> int:
    from appliance.devices.drivers.hl7_mllp import UNIT

    return _collected(args, UNIT)


def _collected(args: argparse.Namespace, unit: str) -> int:
    from appliance import journal
    from appliance.agent.collect import Collector, Job, check, cuffs_beside, run, stop_on_signals
    from appliance.agent.watchdog import Systemd, Watchdog, self_test
    from appliance.devices.binding import open_bound
    from appliance.store.errors import Refused

    box = open_box(args)
    bound = _bound(args, box)
    device = box.settings.devices.get(args.device) or (bound.settings if bound else None)
    if device is None:
        known = ", ".join(box.settings.devices) or "none"
        raise Refused(
            f"Không có máy {args.device} trong cài đặt, cũng chưa gắn.",
            f"no device {args.device} in the settings or bound (there: {known})",
        )
    job = Job(
        device=args.device,
        driver=device.driver,
        port=args.port or device.port,
        title=device.name,
        patient_types=device.patient_types,
        simulated=device.simulated,
        session=args.session,
        once=args.once,
        rest_s=device.rest_s,
        cycles_per_hour=device.cycles_per_hour,
        cuffs=cuffs_beside(box.settings, args.device),
        experimental=bound is not None and bound.experimental,
        inventory=bound.inventory if bound else "",
        calibrated=bound.calibrated if bound else "",
        next_calibration=bound.next_calibration if bound else "",
    )
    which = check(job, box.settings.environment, unit)
    stopping = stop_on_signals()
    log = journal.open(f"collect-{args.device}")
    collector = Collector(job, which=which, conn=box.conn, clock=box.clock, run=box.settings.paths.run, log=log, opens=open_bound)
    watchdog = Watchdog(Systemd(), self_test(box.conn, box.settings.paths.data, f"collect-{args.device}"), log.warning)
    return run(collector, stopping=stopping, alive=lambda: watchdog.turn(box.clock.monotonic()))


def _bound(args: argparse.Namespace, box: Box) -> "Binding | None":
    """The binding of the named device. A HID device that is known by its ids alone binds itself; Refused where two speak of one device."""
    from appliance.devices.binding import HID, known_hid
    from appliance.devices.registry import ROWS
    from appliance.store import register

    known = known_hid(ROWS.values())
    bound = register.get(box.conn, args.device)
    if bound is None and args.device not in box.settings.devices and args.device in known:
        row = known[args.device]
        if row.service or box.settings.environment != "production":
            new = register.Binding(args.device, HID, row.name, row.title[: register.LONGEST])
            bound = register.bind(box.conn, new, actor="", now=box.clock.stamp())
    if bound is not None:
        register.refuse_clash(settings_of(args), [bound])
    return bound


def _carry(args: argparse.Namespace) -> int:
    from appliance import journal
    from appliance.agent.carry import renew_on_another_machine, run, stop_on_signals
    from appliance.store.enrolment import with_identity

    box = open_box(args)
    settings = with_identity(box.settings)
    renew_on_another_machine(box.conn, box.clock, journal.open("carry"))
    stopping = stop_on_signals()
    run(box.conn, settings, box.clock, journal.open("carry"), stop=stopping)
    return DONE


def _kiosk_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="", help="another address of this machine than the settings say")
    parser.add_argument("--port", type=int, default=0, help="another port than the settings say")


def _kiosk(args: argparse.Namespace) -> int:

    from appliance import journal
    from appliance.agent.watchdog import Systemd
    from appliance.kiosk.app import make_app, serve
    from appliance.store.opening import open_store

    box = open_box(args)
    box.conn.close()  # every request opens the store for itself
    app = make_app(box.settings, lambda: open_store(box.settings, any_thread=True), box.clock, os.urandom, journal.open("kiosk"))
    end_on_sigterm()
    serve(app, args.host or box.settings.kiosk.host, args.port or box.settings.kiosk.port, Systemd().sockets())
    return DONE


def _phone(args: argparse.Namespace) -> int:
    from appliance import journal
    from appliance.kiosk.phone import make_phone, serve
    from appliance.store.opening import open_store

    box = open_box(args)
    box.conn.close()  # every request opens the store for itself
    app = make_phone(box.settings, lambda: open_store(box.settings, any_thread=True), box.clock, journal.open("phone"))
    end_on_sigterm()
    serve(app, args.host or box.settings.phone.host, args.port or box.settings.phone.port)
    return DONE


def _lan(args: argparse.Namespace) -> int:

    from appliance import journal
    from appliance.agent.watchdog import Systemd
    from appliance.kiosk.app import make_app
    from appliance.kiosk.lan import serve
    from appliance.store.opening import open_store

    box = open_box(args)
    box.settings.need("lan.address")
    box.conn.close()  # every request opens the store for itself
    app = make_app(box.settings, lambda: open_store(box.settings, any_thread=True), box.clock, os.urandom, journal.open("lan"), lan=True)
    end_on_sigterm()
    serve(app, box.settings.paths.run, Systemd().sockets())
    return DONE


def _lan_certificate(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from appliance.store import front

    settings = settings_of(args)
    file = settings.lan.certificate
    front.ensure(file, settings.need("lan.address"), datetime.now(UTC))
    print(f"{settings.lan.web}\n{file}\nSHA-256 {front.fingerprint(file)}")
    return DONE


def _sms(args: argparse.Namespace) -> int:
    from appliance import journal
    from appliance.agent.collect import stop_on_signals
    from appliance.agent.sms import Texter, opener, run
    from appliance.store.sealing import content_keys

    box = open_box(args)
    said = box.settings.sms
    port, number = box.settings.need("sms.port"), box.settings.need("sms.number")
    texter = Texter(
        box.conn, box.settings.need("station.id"), number, said.after_s * 10, lambda: content_keys(box.conn), box.clock,
        opener(port, said.baud), journal.open("sms"),
    )  # fmt: skip
    run(texter, stopping=stop_on_signals())
    return DONE


def _camera(args: argparse.Namespace) -> int:
    from appliance import journal
    from appliance.agent.camera import NAME, Shutter, run
    from appliance.agent.collect import stop_on_signals
    from appliance.agent.commands import may_command
    from appliance.devices.camera import photograph

    box = open_box(args)
    box.conn.close()  # it needs the settings alone
    stopping = stop_on_signals()
    shutter = Shutter(box.settings.paths.run / NAME, take=photograph, allowed=may_command, log=journal.open("camera"))
    run(shutter, stopping=stopping)
    return DONE


def _panel_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--test", action="store_true", help="step through lamp, buzzer, button and mains; nothing is called or stored")


def _panel(args: argparse.Namespace) -> int:
    from appliance import journal
    from appliance.agent.collect import stop_on_signals
    from appliance.agent.panel import Watch, run, try_out, wiring_of
    from appliance.devices.panel import open_board
    from appliance.settings import DEFAULT, SettingsError

    box = open_box(args)
    said = box.settings.panel
    if not said.wired:
        where = box.settings.said.get("panel.lamp", DEFAULT)
        raise SettingsError("panel.lamp", said.lamp, "a GPIO line for at least one part", "17", where)
    board, stopping = open_board(wiring_of(said), said.pins, box.settings.paths.run), stop_on_signals()
    if args.test:
        box.conn.close()
        try_out(board, wiring_of(said), box.clock.boottime_ns, stopping=stopping, say=print)
        return DONE
    watch = Watch(
        box.conn, board, box.clock, box.settings.emergency, box.settings.paths.run, said.shutdown_after_s, journal.open("panel"),
        test=box.settings.environment != "production",
    )  # fmt: skip
    run(watch, stopping=stopping)
    return DONE


COMMANDS = (
    Command("collect", "read one device: its bytes become measurements", _collect_arguments, _collect),
    Command("listen", "take what a monitor sends over the station's own network (HL7 v2); it lies in the tray", _listen_arguments, _listen),
    Command("carry", "send what is saved to the bridge, take what it says", nothing, _carry),
    Command("kiosk", "the staff's screens, on loopback", _kiosk_arguments, _kiosk),
    Command("phone", "where a telephone may bring one picture, with a code from the screens", _kiosk_arguments, _phone),
    Command("lan", "the screens for the station's own computers and telephones, behind the front that speaks TLS", nothing, _lan),
    Command("lan-certificate", "make the front's certificate, or keep the good one; its fingerprint", nothing, _lan_certificate),
    Command("sms", "the emergency button's text message, by a modem on a serial port, when no line passes", nothing, _sms),
    Command("camera", "the box's own camera: one photo for whoever may ask its socket", nothing, _camera),
    Command("panel", "status lamp, buzzer, call button and the UPS's line on GPIO pins", _panel_arguments, _panel),
)
