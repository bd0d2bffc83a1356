"""What could not be read, and emergencies that came by telephone network."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from appliance.commandline import DONE, REFUSED, USAGE, Command, aside_list, aside_replay, aside_show, say, say_aside
from cloud_bridge.commands.bridge import InputError, open_store
from cloud_bridge.commands.processes import station_key_of, taker_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from appliance.settings import Settings


def _sms_take_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("message", help="its bytes in hexadecimal, such as 21a1b2c3…")
    parser.add_argument("--from", dest="sender", default="", metavar="NUMBER", help="whom the network names as sender; it proves nothing")


def _sms_take(args: argparse.Namespace) -> int:
    import os
    import time

    from appliance.contract.errors import WireError
    from cloud_bridge import texts
    from cloud_bridge.store.engine import writing
    from cloud_bridge.store.sealing import seals_of

    settings, engine = open_store(args)
    try:
        message = bytes.fromhex(args.message)
    except ValueError:
        print(f"tram-bridge: {args.message[:20]!r} is not hexadecimal: two signs a byte, such as 21a1b2c3", file=sys.stderr)
        return USAGE
    seals = seals_of(settings, station_key_of, os.urandom)
    try:
        with writing(engine) as tx:
            taken = texts.take(tx, message, args.sender, lambda one: seals.everything(tx, one), int(time.time() * 10), os.urandom)
    except WireError as error:
        print(f"tram-bridge: not taken: {error}", file=sys.stderr)
        return REFUSED
    say({"station": taken.station, "call": taken.alarm.call, "repeated": taken.repeated, "reply": taken.reply.hex()})
    return DONE


def _quarantine_list(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from cloud_bridge.store import review
    from cloud_bridge.store.engine import reading

    _settings, engine = open_store(args)
    with reading(engine) as tx:
        for one in review.quarantined(tx, waiting=args.waiting):
            say(one._asdict() | {"at": datetime.fromtimestamp(one.at / 10, UTC).isoformat()})
    return DONE


def _quarantine_show(args: argparse.Namespace) -> int:
    from cloud_bridge.store import review
    from cloud_bridge.store.engine import reading

    _settings, engine = open_store(args)
    with reading(engine) as tx:
        found = next((one for one in review.quarantined(tx) if one.id == args.id), None)
        payload = review.quarantined_bytes(tx, args.id)
    if found is None or payload is None:
        raise InputError("id", args.id, "a number of tram-bridge quarantine list", "3")
    say_aside(found._asdict(), payload, args.out)
    return DONE


def _quarantine_replay(args: argparse.Namespace) -> int:
    import time

    from cloud_bridge.store import review
    from cloud_bridge.store.engine import reading

    if bool(args.id) == args.all:
        raise InputError("id", args.id, "numbers of tram-bridge quarantine list, or --all", "quarantine replay 3 7")
    settings, engine = open_store(args)
    store, end = relay_of(settings, engine)
    with reading(engine) as tx:
        numbers = [one.id for one in review.quarantined(tx, waiting=True)] if args.all else args.id
    for one in review.take_again(engine, store, end, numbers, time.time_ns() // 100_000_000):
        say(one._asdict())
    return DONE


def relay_of(settings: "Settings", engine: "Engine") -> tuple[Any, Any]:
    """The store as the relay sees it, of every shard, and its end: what a carrier has, without a line."""
    import os
    import time

    from appliance.contract.topics import SHARDS
    from cloud_bridge.carrier import bridge_end
    from cloud_bridge.store import keys
    from cloud_bridge.store.inbox import BridgeStore
    from cloud_bridge.store.sealing import seals_of

    store = BridgeStore(engine, range(SHARDS))
    return store, bridge_end(
        store, keys.load(settings.bridge.key_dir, "receipt"), apply=taker_of(settings), station_key=station_key_of,
        now=lambda: time.time_ns() // 100_000_000, say=lambda *_step, **_ids: None, seals=seals_of(settings, station_key_of, os.urandom),
    )  # fmt: skip


COMMANDS = (
    Command("sms take", "an emergency message that a gateway received; prints the reply to send back", _sms_take_arguments, _sms_take),
    Command("quarantine list", "messages that could not be read, kept byte-exact", aside_list, _quarantine_list),
    Command("quarantine show", "one of them, and its bytes into a file", aside_show, _quarantine_show),
    Command("quarantine replay", "read them again with this version, once only", aside_replay, _quarantine_replay),
)
