"""Copies of the store, and an older one put back."""

import argparse
import sys
from pathlib import Path

from appliance.commandline import DONE, REFUSED, Command, say, settings_of
from cloud_bridge.commands.bridge import InputError, open_store, tenths


def _backup_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="DIR", type=Path, required=True, help="a folder on another disk; each backup is a folder in it")
    parser.add_argument("--keep", metavar="N", type=int, default=7, help="how many backups stay there; default: 7")


def _backup(args: argparse.Namespace) -> int:
    import os

    from cloud_bridge import backup
    from cloud_bridge.store import tombstones

    if args.keep < 1:
        raise InputError("--keep", args.keep, "a whole number from 1", "--keep 7")
    settings, engine = open_store(args)
    try:
        done = backup.make(engine, args.to, at=tenths(), random=os.urandom, keep=args.keep)
    except backup.BackupError as error:
        print(f"tram-bridge backup: {error}. Nothing was recorded as safe.", file=sys.stderr)
        return REFUSED
    tombstones.add(settings.bridge.key_dir / tombstones.FILE, tombstones.read(args.to / tombstones.FILE))
    say({"backup": str(done.folder), "verified": True, "tables": len(done.tables), "rows": done.rows, "store": done.store.hex()})
    return DONE


def _restore_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="FROM", type=Path, help="a backup, or the folder of backups: then the latest one")
    parser.add_argument("--replace", action="store_true", help="move the SQLite file that is there aside; it is never removed")


def _restore(args: argparse.Namespace) -> int:
    import os
    from datetime import UTC, datetime

    from cloud_bridge import backup, intake
    from cloud_bridge.store import tombstones

    settings = settings_of(args)
    try:
        done = backup.restore(
            settings.bridge.database, args.source, at=tenths(), random=os.urandom, bury=intake.bury,
            extra=[settings.bridge.key_dir / tombstones.FILE], replace=args.replace,
        )  # fmt: skip
    except ValueError as error:
        print(f"tram-bridge restore: {error}. Nothing was changed.", file=sys.stderr)
        return REFUSED
    say({
        "restored": done.backup.folder.name, "taken": datetime.fromtimestamp(done.backup.at / 10, UTC).isoformat(),
        "rows": done.backup.rows, "store": done.store.hex(), "tombstones": done.graves,
        "aside": None if done.aside is None else str(done.aside),
    })  # fmt: skip
    print(_AFTER_RESTORE.format(keys=settings.bridge.key_dir), file=sys.stderr)
    return DONE


_AFTER_RESTORE = """What happens next:
  1. The keys must be those of before: {keys}. Without them stations believe neither receipts nor answers.
  2. Start tram-bridge carry and tram-bridge console.
  3. Every station offers again, by itself, what it has sent since the backup, and the answers it holds. Nobody has to do anything there.
  4. What no station knows must be made again: logins, stations, rotas of after the backup (users list, stations list, rota show).
  5. Make a backup today: until then no record is called safe."""


COMMANDS = (
    Command("backup", "a verified copy of the whole store; what it holds is then called safe", _backup_arguments, _backup),
    Command("restore", "put a backup back as another incarnation of the store", _restore_arguments, _restore),
)
