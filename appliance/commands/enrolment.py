"""How a station becomes known to the bridge: ``tram enrol``."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.commandline import DONE, Command, say
from appliance.commands.box import Box, open_box

if TYPE_CHECKING:
    from appliance.settings import Settings


def _enrol_arguments(parser: argparse.ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--renew", action="store_true", help="ask for the next certificate now")
    how.add_argument("--show", action="store_true", help="the certificate in force, and until when")
    how.add_argument(
        "--usb", metavar="FOLDER", type=Path, help="without a line: write the request on this stick, or take the answer from it"
    )
    said = "what the QR code says, or the 24 letters: the first line of this file, - for standard input; default: asked on the terminal"
    parser.add_argument("--token-file", metavar="FILE", help=said)
    parser.add_argument(
        "--door", metavar="HOST:PORT", help="the bridge's door; default: what the QR code says, else door.host of the settings"
    )


def _enrol(args: argparse.Namespace) -> int:
    """Enrolment, by the door or by a stick. The paper's token is never an argument: others could read it."""
    from appliance.agent import enrol

    box = open_box(args)
    if args.show:
        return _enrol_show(box)
    if args.renew:
        renewed = enrol.renew(box.conn, box.settings, box.clock)
        _hand_over(box)
        _enrolled(box, renewed)
        return DONE
    ticket = enrol.ticket_of(_token(args))
    if args.usb is not None:
        return _enrol_by_stick(box, ticket, args.usb)
    host, port = _door(args.door, ticket, box.settings)
    done = enrol.enrol(box.conn, box.settings, box.clock, ticket, host, port)
    _learnt(box, done.learnt)
    _hand_over(box)
    _enrolled(box, done.one)
    return DONE


def _hand_over(box: Box) -> None:
    """What root laid down belongs to the line, which alone reads the key and starts by it."""
    from appliance.agent.field import hand_over

    if os.geteuid() == 0:
        hand_over(box.settings)


def _token(args: argparse.Namespace) -> str:
    import getpass

    if args.token_file == "-" or (args.token_file is None and not sys.stdin.isatty()):  # noqa: S105 - standard input
        return sys.stdin.readline().strip()
    if args.token_file is not None:
        return (Path(args.token_file).read_text(encoding="utf-8").splitlines() or [""])[0]
    return getpass.getpass("Mã trên tờ giấy (24 chữ) / Token: ").strip()


def _door(text: str | None, ticket: Any, settings: "Settings") -> tuple[str, int]:
    """Host and port: of ``--door``, else of the QR code, else of the settings."""
    from appliance.store.errors import Refused

    port = ticket.port or settings.door.port
    if text is None:
        return ticket.host or settings.need("door.host"), port
    name, _, number = text.rpartition(":") if ":" in text else (text, "", str(port))
    if not name or not number.isdecimal() or not 0 < int(number) < 1 << 16:
        raise Refused(
            f"--door = {text!r}: cần TÊN:CỔNG.", f"--door = {text!r}: expected a host and a port, such as bridge.example.org:8443"
        )
    return name, int(number)


def _enrol_by_stick(box: Box, ticket: Any, folder: Path) -> int:
    from appliance.agent import enrol
    from appliance.store.errors import Refused

    if not folder.is_dir():
        raise Refused(f"Không thấy USB ở {folder}.", f"--usb = {str(folder)!r}: expected the folder of a stick, such as /media/tram")
    answer = enrol.answer_on(box.settings, folder)
    if answer is None:
        file = enrol.ask_by_stick(box.conn, box.settings, ticket, folder)
        say({"written": str(file)})
        print("Mang USB đến máy chủ: tram-bridge enrol --usb; rồi chạy lại lệnh này.", file=sys.stderr)
        print("Carry the stick to the bridge (tram-bridge enrol --usb), then run this again.", file=sys.stderr)
        return DONE
    taken = enrol.take_by_stick(box.conn, box.settings, box.clock, ticket, answer).one
    _hand_over(box)
    _enrolled(box, taken)
    return DONE


def _learnt(box: Box, learnt: Any) -> None:
    """The door's signed time is kept, as after ``tram time learn``."""
    from appliance.agent.clock import keep_learnt
    from appliance.store import anchors

    if learnt is not None:
        now = box.clock.stamp()
        anchors.keep(box.conn, now, anchors.Anchor(now.boot, now.boot_seq, *learnt))
        keep_learnt(box.settings.paths.run, now.boot, learnt)


def _enrol_show(box: Box) -> int:
    from appliance.store import enrolment
    from appliance.store.errors import Refused

    found = enrolment.latest(box.conn)
    if found is None or enrolment.files_of(box.settings) is None:
        raise Refused("Trạm chưa ghi danh.", "this station was never enrolled: tram enrol")
    _enrolled(box, found)
    return DONE


def _enrolled(box: Box, one: Any) -> None:
    """The certificate, and the six words for two people to compare."""
    from datetime import UTC, datetime

    from appliance.contract.enrolment import WORD_BITS, WORDS

    until = datetime.fromtimestamp(one.ends / 10, UTC).date().isoformat()
    say({"station": box.settings.station.id, one.kind: one.serial, "until": until, "technician": one.technician, "words": one.words})
    print(f"So sáu từ với máy chủ ({WORDS * WORD_BITS} bit) / compare with the bridge: {one.words}", file=sys.stderr)


COMMANDS = (Command("enrol", "become known to the bridge with the technician's paper: certificate and keys", _enrol_arguments, _enrol),)
