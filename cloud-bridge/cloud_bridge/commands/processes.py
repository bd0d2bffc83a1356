"""The bridge's processes: the carrier, the console, the door."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from appliance.commandline import DONE, Command, settings_of
from cloud_bridge.commands.bridge import InputError, clock, hasher, open_store, tenths
from cloud_bridge.commands.enrolment import admit, desk_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from appliance.settings import Settings


def _carry_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shards", metavar="LIST", help="such as 0-15 or 3,7,20-23; default: what the settings say")


def shards_of(text: str) -> tuple[int, ...]:
    """The shards of ``3,7,20-23``; InputError for what is no list of shards.

    >>> shards_of("3,20-22")
    (3, 20, 21, 22)
    """
    from appliance.contract.topics import SHARDS

    found: set[int] = set()
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            low, high = int(first), int(last or first)
            if not 0 <= low <= high < SHARDS:
                raise ValueError
            found.update(range(low, high + 1))
    except ValueError:
        raise InputError("--shards", text, f"numbers and ranges from 0 to {SHARDS - 1}", "--shards 0-15,20") from None
    return tuple(sorted(found))


def _carry(args: argparse.Namespace) -> int:
    from appliance import journal
    from cloud_bridge import carrier
    from cloud_bridge.escalation import Limits, turn
    from cloud_bridge.store import keys, stations, tombstones
    from cloud_bridge.store.engine import reading

    stop = carrier.stop_on_signals()
    settings, engine = _wait_for_store(args, stop)
    if engine is None:
        return DONE
    shards = settings.bridge.shards if args.shards is None else shards_of(args.shards)
    limits, log = Limits(settings.bridge.escalate_s, settings.bridge.escalate_routine_s), journal.open("bridge-carry")

    graves = tombstones.Keeper(settings.bridge.key_dir / tombstones.FILE)

    def chores(at: int) -> None:
        for one in turn(engine, at, limits):
            journal.step(log, "escalated", station=one.station, consult=one.consult)
        with reading(engine) as tx:
            graves.turn(tx)

    carrier.run(
        engine, settings, keys.load(settings.bridge.key_dir, "receipt"), shards, apply=taker_of(settings), station_key=station_key_of,
        station_keys=stations.keys_of, log=log, stop=stop, chores=chores,
    )  # fmt: skip
    return DONE


def taker_of(settings: "Settings") -> Callable[[Any, Any], None]:
    """Takes stations' events; an answer that comes back to a restored store only when one of our answer keys has signed it."""
    from functools import partial

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from cloud_bridge import intake
    from cloud_bridge.store import keys

    known = keys.publics(settings.bridge.key_dir, "answer")
    return partial(intake.take_back, answer_keys={number: Ed25519PublicKey.from_public_bytes(public) for number, public in known.items()})


def station_key_of(tx: Any, name: str) -> tuple[int, bytes] | None:
    """The key of a station that is registered and not revoked."""
    from cloud_bridge.store import stations

    found = stations.get(tx, name)
    return None if found is None or found.revoked is not None else (found.key_id, found.public)


def _wait_for_store(args: argparse.Namespace, stop: Callable[[], bool]) -> tuple["Settings", "Engine | None"]:
    """As `open_store`, but a database that is away is waited for; None when told to stop meanwhile."""
    import time

    wait = 0.5
    while True:
        try:
            return open_store(args)
        except OSError as error:
            print(f"tram-bridge: {error}; trying again in {wait:g} s", file=sys.stderr)
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if stop():
                return settings_of(args), None
            time.sleep(0.1)
        wait = min(wait * 2, 15.0)


def _console_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="default: bridge.console_host of the settings")
    parser.add_argument("--port", type=int, help="default: bridge.console_port of the settings")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument(
        "--behind-tls",
        action="store_true",
        help="a TLS proxy on this machine stands before it: cookies for TLS alone, X-Forwarded-* trusted",
    )


def _console(args: argparse.Namespace) -> int:
    import os
    import signal

    import waitress

    from appliance import __version__, journal
    from cloud_bridge.answers import Seal
    from cloud_bridge.console.app import create_app
    from cloud_bridge.console.desk import Desk
    from cloud_bridge.store import keys

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit(DONE)

    signal.signal(signal.SIGTERM, leave)
    settings, engine = _wait_for_store(args, lambda: False)
    assert engine is not None
    desk = Desk(
        engine=engine, seal=Seal(*keys.load(settings.bridge.key_dir, "answer")), stamp=clock(), random=os.urandom, hasher=hasher(),
        log=journal.open("bridge-console"), software=f"tram-bridge {__version__}",
        factor_key=keys.sealing(settings.bridge.key_dir), organisation=settings.bridge.organisation,
        environment=settings.environment, unopened_s=settings.emergency.unopened_s,
        claim_s=settings.bridge.claim_s,
    )  # fmt: skip
    app = create_app(desk, keys.secret(settings.bridge.console_secret_file), behind_tls=args.behind_tls)
    host, port = args.host or settings.bridge.console_host, args.port or settings.bridge.console_port
    waitress.serve(app, host=host, port=port, threads=args.threads, ident=None, clear_untrusted_proxy_headers=not args.behind_tls)
    return DONE


def _door_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="default: bridge.door_host of the settings")
    parser.add_argument("--port", type=int, help="default: bridge.door_port of the settings")


def _door(args: argparse.Namespace) -> int:
    import signal
    import time
    from dataclasses import replace

    from appliance import journal
    from cloud_bridge import ca
    from cloud_bridge.door.rooms import Lockout, Turnstile, application, rooms
    from cloud_bridge.door.server import DoorServer, context_of
    from cloud_bridge.store import keys

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit(DONE)

    signal.signal(signal.SIGTERM, leave)
    settings = settings_of(args)
    context = context_of(settings.need("bridge.door_cert"), settings.need("bridge.door_key"))
    desk = None
    if ca.installed(settings.bridge.key_dir):
        _settings, engine = _wait_for_store(args, lambda: False)
        assert engine is not None
        desk = desk_of(settings, engine)
        desk = replace(desk, welcome=lambda station: admit(settings, engine, station))
    table = rooms(keys.load(settings.bridge.key_dir, "time"), tenths, desk, Lockout(time.monotonic))
    address = (args.host or settings.bridge.door_host, settings.bridge.door_port if args.port is None else args.port)
    log = journal.open("bridge-door")
    with DoorServer(address, application(table, Turnstile(time.monotonic)), context, log) as server:
        log.info("the door is open on %s port %d", *server.server_address[:2])
        server.serve_forever()
    return DONE


COMMANDS = (
    Command("carry", "stations' messages into the database, doctors' words to the stations", _carry_arguments, _carry),
    Command("console", "the doctors' pages", _console_arguments, _console),
    Command("door", "the HTTPS port for what must work before MQTT can: the signed time", _door_arguments, _door),
)
