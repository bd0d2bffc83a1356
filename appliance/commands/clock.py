"""What the box knows about the time: ``tram time show | learn | set``."""

import argparse

from appliance.commandline import DONE, REFUSED, Command, nothing, say
from appliance.commands.box import actor, open_box, staff_arguments


def _time_show(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from appliance.agent.clock import error_at, floor_of, read_learnt
    from appliance.store import anchors

    def said(tenths: int) -> str:
        return datetime.fromtimestamp(tenths / 10, UTC).astimezone().isoformat(timespec="seconds")

    box = open_box(args)
    now, learnt = box.clock.stamp(), read_learnt(box.settings.paths.run, box.clock.boot)
    say({
        "time": said(now.wall), "quality": now.quality.name.lower(), "system_clock": said(box.clock.system()), "boot": now.boot_seq,
        "up_s": now.ticks // 10, "not_before": said(floor_of(box.settings.paths.data)),
        "learnt": None if learnt is None else {"from": learnt.source, "error_s": error_at(learnt, now.ticks) / 10},
    })  # fmt: skip
    for one in anchors.listing(box.conn, 10):
        say({"boot": one.boot_seq, "up_s": one.ticks // 10, "time": said(one.wall), "error_s": one.error / 10, "from": one.source})
    return DONE


def _time_learn(args: argparse.Namespace) -> int:
    from appliance.agent.carry import door_of
    from appliance.agent.clock import keep_learnt
    from appliance.contract.errors import WireError
    from appliance.store import anchors
    from appliance.store.errors import Refused

    box = open_box(args)
    ask = door_of(box.conn, box.settings, box.clock)
    if ask is None:
        raise Refused(
            "Chưa biết cửa của máy chủ: đặt door.host và ghim khóa giờ (tram init --pin).",
            "no door is known: set door.host, and pin the key for the time (tram init --pin)",
        )
    try:
        learnt = ask()
    except WireError as error:
        raise Refused("Câu trả lời về giờ không tin được.", f"the answer cannot be believed: {error}") from error
    now = box.clock.stamp()
    anchors.keep(box.conn, now, anchors.Anchor(now.boot, now.boot_seq, *learnt))
    keep_learnt(box.settings.paths.run, now.boot, learnt)
    return _time_show(args)


def _time_set_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "time", help="such as '2026-11-23 07:05' in this machine's time zone, or with an offset of its own; now = its clock is right"
    )
    parser.add_argument("--error", type=int, default=60, metavar="SECONDS", help="how far it may be off (default: 60)")
    parser.add_argument("--yes", action="store_true", help="do not ask again on the terminal")
    staff_arguments(parser)


def _time_set(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from appliance.agent.clock import BUILT, LATEST, Learnt, keep_learnt, read_learnt
    from appliance.store import anchors
    from appliance.store.errors import Refused

    box = open_box(args)
    try:
        given = (datetime.now(UTC) if args.time == "now" else datetime.fromisoformat(args.time)).astimezone()
    except (ValueError, OverflowError):
        raise Refused(f"Không hiểu giờ {args.time}. Ví dụ: 2026-11-23 07:05", f"{args.time} is no time: 2026-11-23 07:05") from None
    wall = int(given.timestamp() * 10)
    if not BUILT <= wall <= LATEST or not 1 <= args.error <= 86_400:
        raise Refused(
            "Giờ này trước ngày phát hành phần mềm, hoặc sai số không từ 1 đến 86400 giây.",
            "a time before this software's release, or an error that is not from 1 to 86400 seconds",
        )
    now = box.clock.stamp()
    if box.clock.synced():
        raise Refused("Giờ đang được đồng bộ qua mạng, không cần đặt.", "NTP keeps the clock: there is nothing to set")
    known = read_learnt(box.settings.paths.run, now.boot)
    if known is not None and known.source != anchors.TECHNICIAN:
        raise Refused("Máy đã học giờ từ máy chủ, không cần đặt.", "the time was learnt from the bridge: there is nothing to set")
    if not args.yes and input(f"{given:%H:%M:%S %d/%m/%Y} ± {args.error} s? [y/N] ").strip().lower() not in ("y", "yes", "c", "có"):
        return REFUSED
    learnt = Learnt(now.ticks, wall, args.error * 10, anchors.TECHNICIAN)
    anchors.keep(box.conn, now, anchors.Anchor(now.boot, now.boot_seq, *learnt), actor=actor(box, args.staff))
    keep_learnt(box.settings.paths.run, now.boot, learnt)
    return _time_show(args)


COMMANDS = (
    Command("time show", "what time it is, how that is known, and what was learnt", nothing, _time_show),
    Command("time learn", "ask the bridge's door for the signed time now", nothing, _time_learn),
    Command("time set", "say what time it is where nothing else can", _time_set_arguments, _time_set),
)
