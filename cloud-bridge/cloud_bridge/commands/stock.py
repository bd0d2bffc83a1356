"""The store and the keys of a bridge: made, migrated, shown, renewed."""

import argparse
import base64
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.commandline import DONE, Command, nothing, say, settings_of
from cloud_bridge.commands.bridge import InputError, open_store
from cloud_bridge.commands.quarantine import relay_of
from cloud_bridge.commands.stations import write_denied

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from appliance.settings import Settings


def _init_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--export", metavar="FILE", type=Path, help="write the public keys there (for tram init --pin)")


def _init(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    with _alone(settings.bridge.key_dir):
        _initialise(settings, args.export)
    return DONE


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One `init` at a time on this machine; the other one waits. The kernel lets go when we die."""
    import fcntl
    import os

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _initialise(settings: "Settings", export: Path | None) -> None:
    import os

    from cloud_bridge.store import keys, migrations
    from cloud_bridge.store.engine import open_engine

    _make_folder(settings.bridge.database)
    engine = open_engine(settings.bridge.database)
    migrations.migrate(engine)
    done = ["store id"] if _make_store_id(engine, os.urandom) else []
    done += [f"{purpose} key" for purpose in (*keys.PURPOSES, keys.FACTOR) if keys.make(settings.bridge.key_dir, purpose, os.urandom)]
    secret = settings.bridge.console_secret_file
    if not secret.exists():
        secret.parent.mkdir(parents=True, exist_ok=True)
        keys.write_secret(secret, base64.b64encode(os.urandom(32)) + b"\n")
        done.append("console secret")
    if export is not None:
        export.write_text(json.dumps(_exported(settings, engine), indent=2) + "\n", encoding="utf-8")
    messages, events = _read_again(settings, engine)
    listed = write_denied(settings, engine)
    said = ({"read_again": [messages, events]} if messages or events else {}) | ({"deny_file": listed} if listed else {})
    say({"schema": migrations.head(), "made": done} | said)
    engine.dispose()


def _read_again(settings: "Settings", engine: "Engine") -> tuple[int, int]:
    """What an earlier version could not read or understand: (messages, events) taken now."""
    import time

    from cloud_bridge.store import review

    store, end = relay_of(settings, engine)
    return review.after_update(engine, store, end, time.time_ns() // 100_000_000)


def _make_folder(url: str) -> None:
    """The folder of a SQLite file, for its owner alone; PostgreSQL has its own."""
    from sqlalchemy import make_url

    where = make_url(url)
    if where.drivername == "sqlite" and where.database:
        Path(where.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)


def _make_store_id(engine: "Engine", random: Callable[[int], bytes]) -> bool:
    from appliance.contract.ids import STORE_BYTES
    from cloud_bridge.store.engine import writing
    from cloud_bridge.store.outbox import set_store_id, store_id

    with writing(engine) as tx:
        try:
            store_id(tx)
        except LookupError:
            set_store_id(tx, random(STORE_BYTES))
            return True
    return False


def _exported(settings: "Settings", engine: "Engine") -> dict[str, Any]:
    """What a station pins: the public halves of every receipt and answer key, and the store's incarnation for people to compare."""
    from cloud_bridge.store import keys
    from cloud_bridge.store.engine import reading
    from cloud_bridge.store.outbox import store_id

    said: dict[str, Any] = {
        purpose: [
            {"key_id": number, "public": base64.b64encode(public).decode()}
            for number, public in keys.publics(settings.bridge.key_dir, purpose).items()
        ]
        for purpose in keys.PURPOSES
    }
    recovery = keys.recoveries(settings.bridge.key_dir)
    if recovery:
        said[keys.RECOVERY] = [{"key_id": number, "public": base64.b64encode(one).decode()} for number, one in recovery.items()]
    with reading(engine) as tx:
        said["store"] = store_id(tx).hex()
    return said


def _keys_list(args: argparse.Namespace) -> int:
    """Our own public keys, the latest of each purpose in use; then which of them each station's content key is wrapped for."""
    from cloud_bridge.store import keys, sealing
    from cloud_bridge.store.engine import reading

    settings, engine = open_store(args)
    folder = settings.bridge.key_dir
    for purpose in keys.PURPOSES:
        publics = keys.publics(folder, purpose)
        for number, public in publics.items():
            say({"key": purpose, "key_id": number, "public": base64.b64encode(public).decode(), "in_use": number == max(publics)})
    with reading(engine) as tx:
        for station, epoch, key_id, wrapped_for, _ in sealing.known(tx):
            say({
                "content_key": key_id, "station": station, "epoch": epoch.hex(), "wrapped_for": wrapped_for,
                "can_be_opened": wrapped_for in keys.ids(folder, keys.SEAL),
            })  # fmt: skip
    return DONE


def _keys_rotate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("purpose", metavar="PURPOSE", help="seal: what stations wrap their content keys for")


def _keys_rotate(args: argparse.Namespace) -> int:
    """One more sealing key. Others cannot be changed so: stations must trust a signing key before anything is signed with it."""
    import os

    from cloud_bridge.store import keys

    if args.purpose != keys.SEAL:
        raise InputError("PURPOSE", args.purpose, "seal: a signing key must be trusted before it signs", "tram-bridge keys rotate seal")
    settings, _engine = open_store(args)
    with _alone(settings.bridge.key_dir):
        number = keys.rotate(settings.bridge.key_dir, keys.SEAL, os.urandom)
    say({"key": keys.SEAL, "key_id": number, "made": True})
    print(_AFTER_ROTATE.format(old=number - 1), file=sys.stderr)
    return DONE


_AFTER_ROTATE = """What happens next:
  1. Restart tram-bridge carry: it reads the key folder when it starts.
  2. tram-bridge init --export FILE, and at each box tram init --pin FILE: from then on it makes content keys for the new key.
  3. Keep key {old}: what stations sealed before is opened with it. Back the key folder up: without it sealed parcels are lost."""


COMMANDS = (
    Command("init", "make and migrate the database, the store id, the keys; harmless to repeat", _init_arguments, _init),
    Command("keys list", "the bridge's public keys, and the content keys that stations have sent", nothing, _keys_list),
    Command("keys rotate", "make one more sealing key; the old ones stay to open with", _keys_rotate_arguments, _keys_rotate),
)
