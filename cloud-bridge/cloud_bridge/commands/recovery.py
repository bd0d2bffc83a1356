"""What a dead box never sent."""

import argparse
import sys
from pathlib import Path

from appliance.commandline import DONE, REFUSED, Command, say
from cloud_bridge.commands.bridge import open_store, tenths
from cloud_bridge.commands.processes import station_key_of
from cloud_bridge.commands.quarantine import relay_of


def _recovery_make_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="a stick that is kept in a safe; no network is needed")


def _recovery_make(args: argparse.Namespace) -> int:
    import os
    import time

    from cloud_bridge.store import keys

    secret, public = keys.make_recovery(args.to, int(time.time()), os.urandom)
    say({"private": str(secret), "public": str(public)})
    print(_AFTER_RECOVERY_KEY.format(secret=secret.name, public=public), file=sys.stderr)
    return DONE


_AFTER_RECOVERY_KEY = """What happens next:
  1. Keep {secret} off the bridge, twice, in two safes: whoever has it and a station's card reads that station's patients.
  2. At the bridge: tram-bridge recovery-key add {public}
  3. Stations that enrol from now on pin it by themselves; the others by tram-bridge init --export FILE and tram init --pin FILE."""


def _recovery_add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="recovery-<id>.pub, the public half")


def _recovery_add(args: argparse.Namespace) -> int:
    from cloud_bridge.store import keys

    settings, _engine = open_store(args)
    say({"key": keys.RECOVERY, "key_id": keys.add_recovery(settings.bridge.key_dir, args.file)})
    return DONE


def _recover_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("card", metavar="CARD", type=Path, help="where the dead box's card is mounted, or its tram.db; it is only read")
    parser.add_argument("--key", metavar="FILE", type=Path, required=True, help="the recovery key's private half")


def _recover(args: argparse.Namespace) -> int:
    """Take what a dead box never sent; 1 when some of it could not be read."""
    import os
    from dataclasses import asdict, replace

    from cloud_bridge import recover
    from cloud_bridge.store import keys, stations
    from cloud_bridge.store.engine import reading
    from cloud_bridge.store.sealing import BridgeSeals

    settings, engine = open_store(args)
    store, end = relay_of(settings, engine)
    # Rows that were in no parcel yet come clear, from a card in our own hands: what no line may do.
    end = replace(end, seals=BridgeSeals(keys.openers(settings.bridge.key_dir), station_key_of, random=os.urandom))
    try:
        database = recover.find(args.card)
        wrapped, key = recover.key_of(database, keys.read_recovery(args.key))
        with recover.opened(database, key) as conn:
            station = recover.station_of(conn)
            with reading(engine) as tx:
                known = stations.get(tx, station)
            if known is None or station != wrapped.station:
                raise recover.RecoveryError(f"{station} is not registered here: tram-bridge stations list")
            found = recover.run(conn, store, end, known.shard, tenths())
    except recover.RecoveryError as error:
        print(f"tram-bridge recover: {error}. The card was only read.", file=sys.stderr)
        return REFUSED
    say(asdict(found))
    return REFUSED if found.damaged or found.refused else DONE


COMMANDS = (
    Command("recovery-key make", "the key that dead boxes are opened with, made offline", _recovery_make_arguments, _recovery_make),
    Command("recovery-key add", "take its public half into the bridge, for stations to pin", _recovery_add_arguments, _recovery_add),
    Command("recover", "what a dead box never sent, from its card; once only", _recover_arguments, _recover),
)
