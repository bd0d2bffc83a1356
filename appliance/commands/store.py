"""The settings and the store: ``tram config | init | store | quarantine``."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.commandline import (
    DAMAGED,
    DONE,
    REFUSED,
    Command,
    aside_list,
    aside_replay,
    aside_show,
    explained,
    nothing,
    say,
    say_aside,
    settings_of,
)
from appliance.commands.box import Box, open_box

if TYPE_CHECKING:
    from appliance.settings import Settings


def _config_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--check", metavar="FILE", type=Path, help="check one file; exit 1 with what is wrong")
    which.add_argument("--show", action="store_true", help="what is in force, and which file said so")


def _config(args: argparse.Namespace) -> int:
    from appliance.settings import SettingsError, load, show

    if args.show:
        for line in show(settings_of(args)):
            print(line)
        return DONE
    try:
        _check_drivers(load([args.check]))
    except SettingsError as error:
        print(explained(error), file=sys.stderr)
        return REFUSED
    print("ok")
    return DONE


def _check_drivers(settings: "Settings") -> None:
    """SettingsError for a driver nobody wrote."""
    from appliance.devices.registry import ROWS
    from appliance.settings import SettingsError

    for name, device in settings.devices.items():
        if device.driver not in ROWS:
            key = f"devices.{name}.driver"
            raise SettingsError(
                key, device.driver, "one of " + ", ".join(sorted(ROWS)), f'"{min(ROWS)}"', settings.said.get(key, "default")
            )


def _init_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pin", metavar="FILE", type=Path, help="trust the bridge's keys in this file (tram-bridge init --export)")
    parser.add_argument("--export", metavar="FILE", type=Path, help="write the station's public key there (for tram-bridge stations add)")


def _init(args: argparse.Namespace) -> int:
    import os
    from dataclasses import asdict

    from appliance.agent.clock import boot_id, live_clock
    from appliance.store.init import initialise
    from appliance.store.machine import machine_of

    settings = settings_of(args)
    report = initialise(
        settings,
        boot_id=boot_id(),
        stamp=lambda boot_seq: live_clock(boot_seq, data=settings.paths.data, run=settings.paths.run).stamp(),
        random=os.urandom,
        machine=machine_of(),
        pins=args.pin,
        export=args.export,
    )
    say(asdict(report))
    if "epoch (machine)" in report.done:
        print(
            "Thẻ nhớ này được chép từ máy khác hoặc chuyển sang máy khác: trạm bắt đầu đánh số mới, không mất dữ liệu nào.\n"
            "This card was copied from, or moved to, another machine: new numbers from now on, nothing is lost.",
            file=sys.stderr,
        )
    for line in report.damage:
        print(f"damaged: {line}", file=sys.stderr)
    if report.salvaged is not None:
        print(f"salvaged: the damaged files are in {report.salvaged.aside}", file=sys.stderr)
    return DAMAGED if report.damage else DONE


def _store_check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--full", action="store_true", help="compare every index too; minutes on a large store")


def _store_check(args: argparse.Namespace) -> int:
    from appliance.store.init import check_store

    damage = check_store(settings_of(args), quick=not args.full)
    say({"damage": damage})
    return DAMAGED if damage else DONE


def _store_salvage(args: argparse.Namespace) -> int:
    import time
    from dataclasses import asdict

    from appliance.store.init import salvage_store

    say(asdict(salvage_store(settings_of(args), time.time_ns() // 100_000_000)))
    print("next: tram init", file=sys.stderr)
    return DONE


def _store_copy_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a folder on another medium than the store's, such as /media/tram-copy")
    parser.add_argument("--check", action="store_true", help="read back the copies that are there and make none")


def _store_copy(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from appliance.store import copying
    from appliance.store.opening import key_file, read_key

    box = open_box(args)
    key = read_key(key_file(box.settings, os.environ))
    if args.check:
        for one in sorted(args.folder.glob(f"{copying.NAME}*")):
            say(asdict(copying.check(one, key, box.settings.store.page_size)))
        return DONE
    done = copying.copy(box.conn, box.settings, key, args.folder, box.clock.stamp().wall)
    say(asdict(done))
    if not done.wrapped:
        print("no recovery key is pinned: only this box's own key opens the copy (tram enrol)", file=sys.stderr)
    return DONE


def _store_room(args: argparse.Namespace) -> int:
    from appliance.store import retention, room

    box = open_box(args)
    found = room.measure(box.settings, box.conn)
    say({"used": found.used, "total": found.total, "share": round(found.share, 3), "shed_above": room.SHED_SHARE})
    for row in retention.noted(box.conn):
        say({"at": row["at"], "shed": row["what"], "count": row["count"], "bytes": row["bytes"]})
    return DONE


def _aside(box: Box) -> tuple[Any, Any]:
    """The store as the relay sees it, and its end."""
    from appliance.store.inbox import StationStore
    from appliance.store.sealing import seals_of
    from appliance.store.speaking import station_end

    store = StationStore(box.conn, box.settings.need("station.id"), box.settings.station.shard)
    seals = seals_of(box.conn, box.settings, box.clock.stamp)
    return store, station_end(box.conn, store, now=lambda: box.clock.stamp().wall, say=lambda *_step, **_ids: None, seals=seals)


def _quarantine_list(args: argparse.Namespace) -> int:
    from appliance.store import aside

    for one in aside.listing(open_box(args).conn, waiting=args.waiting):
        say(one._asdict())
    return DONE


def _quarantine_show(args: argparse.Namespace) -> int:
    from appliance.store import aside
    from appliance.store.errors import Refused

    box = open_box(args)
    found = next((one for one in aside.listing(box.conn) if one.id == args.id), None)
    payload = aside.payload(box.conn, args.id)
    if found is None or payload is None:
        raise Refused(f"Không có mục số {args.id}.", f"nothing with the number {args.id} was set aside: tram quarantine list")
    say_aside(found._asdict(), payload, args.out)
    return DONE


def _quarantine_replay(args: argparse.Namespace) -> int:
    from appliance.store import aside
    from appliance.store.errors import Refused

    if bool(args.id) == args.all:
        raise Refused("Cho số mục hoặc --all.", "which? numbers of tram quarantine list, for example 3 7, or --all")
    box = open_box(args)
    store, end = _aside(box)
    numbers = [one.id for one in aside.listing(box.conn, waiting=True)] if args.all else args.id
    for one in aside.again(store, box.conn, end, numbers, box.clock.stamp().wall):
        say(one._asdict())
    return DONE


COMMANDS = (
    Command("config", "check a settings file, or show what is in force", _config_arguments, _config),
    Command("init", "make or mend the store, its keys and its schema; a second run changes nothing", _init_arguments, _init),
    Command("store check", "what is wrong with the store; 65 when something is", _store_check_arguments, _store_check),
    Command("store salvage", "a new store from what can be read; the damaged one is kept beside it", nothing, _store_salvage),
    Command("store copy", "an encrypted copy of the store on a second medium, read back", _store_copy_arguments, _store_copy),
    Command("store room", "how full it is, and what left the card to make room", nothing, _store_room),
    Command("quarantine list", "what could not be read or sent, kept byte-exact", aside_list, _quarantine_list),
    Command("quarantine show", "one of it, and its bytes into a file", aside_show, _quarantine_show),
    Command("quarantine replay", "read it again with this version", aside_replay, _quarantine_replay),
)
