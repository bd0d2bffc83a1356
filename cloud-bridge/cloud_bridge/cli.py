"""The command `tram-bridge`: what is built is built here, everything below receives what it needs as arguments.

Exit codes: 0 done; 1 refused, the sentence says why; 2 wrong usage; 75 the database cannot do it now; 78 settings, keys
or schema do not fit. Errors name the key, its value, what was expected and an example.
"""

import argparse
import base64
import binascii
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argon2 import PasswordHasher
    from sqlalchemy import Engine

    from appliance.contract.readings import Stamp
    from appliance.settings import Settings
    from cloud_bridge.bags import PostOffice, Taken
    from cloud_bridge.store.acceptances import Accepted
    from cloud_bridge.store.rota import Gap, Shift
    from cloud_bridge.store.stations import Station
    from cloud_bridge.topicwalls import Resident

DONE, REFUSED, USAGE, LATER, CONFIG = 0, 1, 2, 75, 78

Arguments = Callable[[argparse.ArgumentParser], None]
Run = Callable[[argparse.Namespace], int]


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words (``users add``), one line of help, its arguments, what runs it."""

    words: str
    help: str
    arguments: Arguments
    run: Run


class InputError(ValueError):
    """Something on the command line or in a file it names that cannot be used."""

    def __init__(self, key: str, value: object, expected: str, example: str) -> None:
        super().__init__(f"{key} = {value!r}: expected {expected}, for example {example}")
        self.key = key
        self.value = value
        self.expected = expected
        self.example = example


class NotReadyError(ValueError):
    """The database has another schema than this program, or has never been initialised."""


def settings_of(args: argparse.Namespace) -> "Settings":
    """The settings in force for a command line."""
    from appliance.settings import layers, load

    return load(layers(args.config))


def open_store(args: argparse.Namespace) -> tuple["Settings", "Engine"]:
    """Settings and the database as `tram-bridge init` left it. Raises SettingsError, OSError, NotReadyError."""
    from cloud_bridge.store.engine import open_engine

    settings = settings_of(args)
    engine = open_engine(settings.bridge.database, create=False)
    check_schema(engine)
    return settings, engine


def check_schema(engine: "Engine") -> None:
    """NotReadyError unless the database has the schema of this program."""
    from cloud_bridge.store import migrations

    found, needed = migrations.current(engine), migrations.head()
    if found != needed:
        what = "has never been initialised" if found is None else f"has schema {found}, this program needs {needed}"
        raise NotReadyError(f"the database {what}: run tram-bridge init (with this version)")


def tenths() -> int:
    """Tenths of a second since 1970."""
    import time

    return time.time_ns() // 100_000_000


def clock() -> "Callable[[], Stamp]":
    """The bridge's clock: a server's, kept by its system; ticks are of CLOCK_BOOTTIME as at a station."""
    import time

    from appliance.contract.ids import short_of
    from appliance.contract.readings import TICK_NS, ClockQuality, Stamp

    boot = short_of(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    return lambda: Stamp(boot, 0, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // TICK_NS, tenths(), ClockQuality.SYNCED)


def hasher() -> "PasswordHasher":
    """Argon2id at OWASP's floor (19 MiB, t = 2, p = 1), which an online lock-out makes enough."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def say(value: Any) -> None:
    """One JSON object on one line."""
    print(json.dumps(value, ensure_ascii=False))


# --- init -----------------------------------------------------------------------------------------------------------------------------


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
    listed = _write_denied(settings, engine)
    said = ({"read_again": [messages, events]} if messages or events else {}) | ({"deny_file": listed} if listed else {})
    say({"schema": migrations.head(), "made": done} | said)
    engine.dispose()


def _read_again(settings: "Settings", engine: "Engine") -> tuple[int, int]:
    """What an earlier version could not read or understand: (messages, events) taken now."""
    import time

    from cloud_bridge.store import review

    store, end = _relay(settings, engine)
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


# --- keys -----------------------------------------------------------------------------------------------------------------------------


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


# --- users ----------------------------------------------------------------------------------------------------------------------------


def _password_arguments(parser: argparse.ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--password-file", metavar="FILE", dest="source", help="the first line of this file; - for standard input")
    how.add_argument("--password-stdin", action="store_const", const="-", dest="source", help="the first line of standard input")


def _password(args: argparse.Namespace) -> str:
    """The password from a file, from standard input, or asked for twice at a terminal; InputError when it is too short."""
    import getpass

    from cloud_bridge.store.accounts import LEAST_CHARACTERS

    if args.source == "-":
        given = sys.stdin.readline().rstrip("\r\n")
    elif args.source is not None:
        given = (Path(args.source).read_text(encoding="utf-8").splitlines() or [""])[0]
    elif sys.stdin.isatty():
        given = getpass.getpass("Mật khẩu / Password: ")
        if given != getpass.getpass("Lần nữa / Again: "):
            raise InputError("password", "(two different ones)", "the same password twice", "a sentence that only you know")
    else:
        raise InputError("--password-file", None, "a file, or - for standard input", "--password-file -")
    if len(given) < LEAST_CHARACTERS:
        expected = f"at least {LEAST_CHARACTERS} characters"
        raise InputError("password", f"({len(given)} characters)", expected, "four words that do not belong together")
    return given


def _users_add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("login", metavar="LOGIN")
    parser.add_argument("--name", required=True, help="the name that stations see, such as 'BS. Trần Thử'")
    parser.add_argument("--role", choices=("doctor", "viewer", "coordinator", "admin"), default="doctor")
    parser.add_argument("--organisation", default="", help="as at stations add: who belongs to no organisation sees no station")
    parser.add_argument("--no-second-factor", action="store_true", help="the password alone opens; only where environment is demo")
    parser.add_argument("--department", choices=("general", "internal", "surgery", "obstetrics", "paediatrics", "infectious"))
    _password_arguments(parser)


def _users_add(args: argparse.Namespace) -> int:
    import re
    import unicodedata

    from appliance.contract.events import Department
    from cloud_bridge.store import accounts
    from cloud_bridge.store.accounts import Account, Role
    from cloud_bridge.store.engine import writing

    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,62}", args.login):
        raise InputError("LOGIN", args.login, "2-63 lower-case letters, digits, dots, hyphens, underscores", "bs.thu")
    name = unicodedata.normalize("NFC", args.name).strip()
    if not name:
        raise InputError("--name", args.name, "the name that stations see", "'BS. Trần Thử'")
    department = None if args.department is None else Department[args.department.upper()]
    role, password, second = Role(args.role), _password(args), not args.no_second_factor
    settings, engine = open_store(args)
    if not second and settings.environment != "demo":
        raise InputError("--no-second-factor", settings.environment, "environment = demo; elsewhere everybody has a second factor", "demo")
    organisation = _organisation(args)
    with writing(engine) as tx:
        there = accounts.get(tx, args.login)
        if there is None:
            accounts.add(
                tx, hasher(), args.login, password, tenths(), name=name, role=role, organisation=organisation, department=department,
                second_needed=second,
            )  # fmt: skip
        elif (there.name, there.role) != (name, role) or not isinstance(
            accounts.check(tx, hasher(), args.login, password, tenths()), Account
        ):
            raise InputError("LOGIN", args.login, "a login that is not taken (or exactly what it was added with)", f"{args.login}2")
    say({"user": args.login, "role": role.value, "made": there is None})
    return DONE


def _login_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("login", metavar="LOGIN")


def _set_locked(locked: bool) -> Run:
    def run(args: argparse.Namespace) -> int:
        from cloud_bridge.store import accounts
        from cloud_bridge.store.engine import writing

        _settings, engine = open_store(args)
        with writing(engine) as tx:
            _known_login(tx, args.login)
            accounts.set_locked(tx, args.login, locked)
        say({"user": args.login, "locked": locked})
        return DONE

    return run


def _known_login(tx: Any, login: str) -> None:
    from cloud_bridge.store import accounts

    if accounts.get(tx, login) is None:
        raise InputError("LOGIN", login, "a login that exists (tram-bridge users list)", "bs.thu")


def _users_change_arguments(parser: argparse.ArgumentParser) -> None:
    _login_argument(parser)
    parser.add_argument("--organisation", required=True, help="as at stations add; empty: sees no station")


def _users_change(args: argparse.Namespace) -> int:
    from cloud_bridge.store import accounts
    from cloud_bridge.store.engine import writing

    organisation = _organisation(args)
    _settings, engine = open_store(args)
    with writing(engine) as tx:
        _known_login(tx, args.login)
        accounts.change(tx, args.login, organisation=organisation)
    say({"user": args.login, "organisation": organisation, "sessions": "ended"})
    return DONE


def _users_reset_arguments(parser: argparse.ArgumentParser) -> None:
    _login_argument(parser)
    _password_arguments(parser)
    parser.add_argument("--second-factor", action="store_true", help="not the password: the next login introduces a new telephone")


def _reset_factor(args: argparse.Namespace) -> int:
    from cloud_bridge.store import accounts, factors
    from cloud_bridge.store.engine import writing

    _settings, engine = open_store(args)
    with writing(engine) as tx:
        _known_login(tx, args.login)
        factors.forget(tx, args.login)
        accounts.end_sessions(tx, args.login)
    say({"user": args.login, "second_factor": "reset", "sessions": "ended"})
    return DONE


def _users_reset(args: argparse.Namespace) -> int:
    from cloud_bridge.store import accounts
    from cloud_bridge.store.engine import writing

    if args.second_factor:
        return _reset_factor(args)
    password = _password(args)
    _settings, engine = open_store(args)
    with writing(engine) as tx:
        _known_login(tx, args.login)
        accounts.set_password(tx, hasher(), args.login, password)
    say({"user": args.login, "password": "changed", "sessions": "ended"})
    return DONE


def _users_list(args: argparse.Namespace) -> int:
    from cloud_bridge.store import accounts, factors
    from cloud_bridge.store.engine import reading

    _settings, engine = open_store(args)
    with reading(engine) as tx:
        for one in accounts.everybody(tx):
            second = "confirmed" if factors.confirmed(tx, one.login) else "at the next login" if one.second_needed else "none (demo)"
            say({
                "user": one.login, "name": one.name, "role": one.role.value, "organisation": one.organisation,
                "department": None if one.department is None else one.department.name.lower(), "locked": one.locked,
                "second_factor": second,
            })  # fmt: skip
    return DONE


# --- stations -------------------------------------------------------------------------------------------------------------------------


def _stations_add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("station", metavar="ID")
    parser.add_argument("--key", metavar="FILE", type=Path, required=True, help="what the box wrote with tram init --export")
    parser.add_argument("--name", default="", help="the name that doctors see")
    parser.add_argument("--organisation", default="")
    parser.add_argument("--shard", type=int, help="0-63; what the key file says, else 0")
    parser.add_argument("--tier", type=int, default=0, help="0 is a commune station; each tier above counts one more")


def _stations_add(args: argparse.Namespace) -> int:
    import unicodedata

    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import writing

    one = _station(args, unicodedata.normalize("NFC", args.name).strip())
    _settings, engine = open_store(args)
    with writing(engine) as tx:
        there = stations.get(tx, one.id)
        stations.add(tx, one)
    changed = there is not None and there.public != one.public
    say({"station": one.id, "shard": one.shard, "made": there is None, "key": "replaced" if changed else "kept" if there else "new"})
    return DONE


def _organisation(args: argparse.Namespace) -> str:
    """As accounts and stations are compared: NFC, no white space at the ends."""
    import unicodedata

    return unicodedata.normalize("NFC", args.organisation).strip()


def _station(args: argparse.Namespace, name: str) -> "Station":
    """The station of a command line and its key file; InputError for what does not fit."""
    from appliance.contract.ids import is_station
    from appliance.contract.topics import SHARDS
    from cloud_bridge.store.stations import Station

    if not is_station(args.station):
        raise InputError("ID", args.station, "1-16 lower-case letters, digits and inner hyphens", "tram-0001")
    said = _key_file(args.key)
    if said.get("station", args.station) != args.station:
        raise InputError("ID", args.station, f"the station that the key file names, {said['station']!r}", f"{said['station']}")
    shard = said.get("shard", 0) if args.shard is None else args.shard
    if not isinstance(shard, int) or not 0 <= shard < SHARDS:
        raise InputError("--shard", shard, f"a whole number from 0 to {SHARDS - 1}", "--shard 7")
    return Station(
        id=args.station, shard=shard, name=name or args.station, organisation=_organisation(args), tier=args.tier, key_id=said["key_id"],
        public=said["public"], registered=tenths(), revoked=None,
    )  # fmt: skip


def _key_file(file: Path) -> dict[str, Any]:
    """A station's exported key, its public half as 32 bytes; InputError for a file that holds none."""
    expected, example = "the file that tram init --export wrote", '{"station": "tram-0001", "shard": 0, "key_id": 0, "public": "<base64>"}'
    try:
        said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        public = base64.b64decode(said["public"], validate=True)
        key_id = said["key_id"]
    except OSError as error:
        raise InputError("--key", f"{file}: {error.strerror}", expected, example) from error
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise InputError("--key", str(file), expected, example) from None
    if len(public) != 32 or not isinstance(key_id, int) or isinstance(key_id, bool) or not 0 <= key_id < 1 << 31:
        raise InputError("--key", str(file), expected, example)
    return said | {"public": public}


def _stations_revoke(args: argparse.Namespace) -> int:
    from cloud_bridge import enrolment
    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import writing

    settings, engine = open_store(args)
    with writing(engine) as tx:
        if stations.get(tx, args.station) is None:
            raise InputError("ID", args.station, "a station that is registered (tram-bridge stations list)", "tram-0001")
        gone = enrolment.revoke(tx, args.station, tenths(), _operator())
    told = {"deny_file": _write_denied(settings, engine), "broker": _broker_told(settings, lambda one: one.shut_out(args.station))}
    say({"station": args.station, "revoked": True, "certificates": gone} | told)
    return LATER if told["broker"] == "away" else DONE


def _operator() -> str:
    """Who sits here, for the log."""
    import getpass

    return f"cli:{getpass.getuser()}"


def _write_denied(settings: "Settings", engine: "Engine") -> str | None:
    """The broker's list of revoked serials, written anew where the settings name one."""
    from cloud_bridge import ca
    from cloud_bridge.store import enrolment as rows
    from cloud_bridge.store.engine import reading

    file = settings.bridge.deny_file
    if file is None or not ca.installed(settings.bridge.key_dir):
        return None
    with reading(engine) as tx:
        serials = rows.denied(tx, tenths())
    ca.replace_file(file, ca.load(settings.bridge.key_dir).revoked(serials, ca.now_utc()))
    return str(file)


def _broker_told(settings: "Settings", work: Callable[[Any], None]) -> str:
    """Tell the broker's dynamic security: ``told``, ``away`` (say it again later), or ``not asked`` without admin_cert."""
    from cloud_bridge import brokerdoor

    if settings.bridge.admin_cert is None:
        return "not asked"
    try:
        work(brokerdoor.BrokerDoor(settings))
    except OSError as error:
        print(f"tram-bridge: the broker was not told: {error}. Run this command again.", file=sys.stderr)
        return "away"
    return "told"


def _stations_list(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from cloud_bridge.store import enrolment as rows
    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import reading

    _settings, engine = open_store(args)
    with reading(engine) as tx:
        waves = rows.waves(tx)
        ends = {one.station: one.ends for one in rows.certificates(tx) if one.kind == rows.STATION and one.revoked is None}
        for one in stations.everyone(tx):
            until = ends.get(one.id)
            say({
                "station": one.id, "name": one.name, "shard": one.shard, "tier": one.tier, "revoked": one.revoked is not None,
                "wave": waves.get(one.id, ""),
                "certificate_until": None if until is None else datetime.fromtimestamp(until / 10, UTC).date().isoformat(),
                "public": base64.b64encode(one.public).decode(),
            })  # fmt: skip
    return DONE


def _stations_wave_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("station", metavar="ID")
    parser.add_argument("wave", metavar="WAVE", help="pilot, or a number from 1")


def _stations_wave(args: argparse.Namespace) -> int:
    import re

    from cloud_bridge.store import enrolment as rows
    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import writing

    if not re.fullmatch(r"pilot|[1-9][0-9]?", args.wave):
        raise InputError("WAVE", args.wave, "pilot, or a number from 1 to 99", "tram-bridge stations wave tram-0001 pilot")
    _settings, engine = open_store(args)
    with writing(engine) as tx:
        if stations.get(tx, args.station) is None:
            raise InputError("ID", args.station, "a station that is registered (tram-bridge stations list)", "tram-0001")
        rows.set_wave(tx, args.station, args.wave)
        rows.note(tx, "wave", tenths(), station=args.station, who=_operator(), detail=args.wave)
    say({"station": args.station, "wave": args.wave})
    return DONE


# --- enrolment ------------------------------------------------------------------------------------------------------------------------


def _stations_token_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("station", metavar="ID")
    parser.add_argument("--technician", required=True, metavar="NAME", help="who carries the paper; it is written down")
    parser.add_argument("--name", default="", help="the name that doctors see; default: what is registered, else the id")
    parser.add_argument("--organisation", default="")
    parser.add_argument("--shard", type=int, help="0-63; default: what is registered, else 0")
    parser.add_argument("--tier", type=int, help="0 is a commune station; each tier above counts one more")
    parser.add_argument("--pdf", metavar="FILE", type=Path, help="write the paper there instead of on the terminal")


def _stations_token(args: argparse.Namespace) -> int:
    import os
    import unicodedata
    from datetime import UTC, datetime

    from appliance.contract import enrolment as wire
    from appliance.contract.ids import is_station
    from appliance.contract.topics import SHARDS
    from cloud_bridge import ca, enrolment, tokenpaper, topicwalls
    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import writing

    if not is_station(args.station) or args.station in (topicwalls.CARRIER, topicwalls.ADMIN):
        raise InputError("ID", args.station, "1-16 lower-case letters, digits and inner hyphens", "tram-0001")
    settings, engine = open_store(args)
    authority = ca.load(settings.bridge.key_dir)
    host, port, technician = settings.need("door.host"), settings.door.port, unicodedata.normalize("NFC", args.technician).strip()
    if not technician:
        raise InputError("--technician", args.technician, "the name of whoever carries the paper", "'KTV. Lê Thử'")
    with writing(engine) as tx:
        there = stations.get(tx, args.station)
        shard = args.shard if args.shard is not None else 0 if there is None else there.shard
        if not 0 <= shard < SHARDS:
            raise InputError("--shard", shard, f"a whole number from 0 to {SHARDS - 1}", "--shard 7")
        name = unicodedata.normalize("NFC", args.name).strip()
        ticket = enrolment.make_token(
            tx, args.station, technician, tenths(), os.urandom, host=host, port=port, root=authority.root,
            name=name or (there.name if there else args.station), shard=shard,
            organisation=_organisation(args) or (there.organisation if there else ""),
            tier=args.tier if args.tier is not None else there.tier if there else 0,
        )  # fmt: skip
    until = datetime.fromtimestamp(tenths() / 10 + wire.DAYS * 86_400, UTC).strftime("%d/%m/%Y")
    paper = tokenpaper.Paper(args.station, technician, until, wire.qr_text(ticket), wire.spell(ticket.secret))
    if args.pdf is None:
        print(tokenpaper.on_terminal(paper))
        return DONE
    args.pdf.unlink(missing_ok=True)
    ca.write_new(args.pdf, tokenpaper.pdf(paper), 0o600)
    say({"station": args.station, "technician": technician, "until": until, "paper": str(args.pdf)})
    return DONE


def _desk(settings: "Settings", engine: "Engine") -> Any:
    """What takes stations in."""
    from cloud_bridge import ca, enrolment

    return enrolment.Desk(engine, ca.load(settings.bridge.key_dir), _pins(settings), tenths)


def _pins(settings: "Settings") -> Any:
    from appliance.contract.enrolment import Pin
    from cloud_bridge.store import keys

    folder = settings.bridge.key_dir
    ours = [Pin(purpose, number, public) for purpose in keys.PURPOSES for number, public in keys.publics(folder, purpose).items()]
    return (*ours, *(Pin(keys.RECOVERY, number, public) for number, public in keys.recoveries(folder).items()))


def _enrol_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--usb", metavar="FOLDER", type=Path, required=True, help="the stick: requests are answered beside themselves")


def _enrol(args: argparse.Namespace) -> int:
    """Answer the requests on a stick; 1 when one of them was refused."""
    from appliance.contract.enrolment import REQUEST_MOST
    from cloud_bridge import ca, enrolment

    settings, engine = open_store(args)
    desk, bad = _desk(settings, engine), False
    found = sorted(args.usb.glob("tram-*.ask"))
    if not found:
        raise InputError("--usb", str(args.usb), "a folder with a request of tram enrol --usb", "tram-bridge enrol --usb /media/usb")
    for file in found:
        station = file.stem.removeprefix("tram-")
        try:
            with file.open("rb") as source:
                answer = enrolment.enrol(desk, source.read(REQUEST_MOST + 1), _operator(), stick=True)
        except enrolment.No as no:
            bad = True
            say({"station": station, "refused": no.why})
            continue
        ca.replace_file(file.with_suffix(".answer"), answer)
        say({"station": station, "answer": str(file.with_suffix(".answer")), **_enrolled(settings, engine, station)})
    return REFUSED if bad else DONE


def _enrolled(settings: "Settings", engine: "Engine", station: str) -> dict[str, Any]:
    """The six words to compare, and whether the broker knows the station."""
    from cloud_bridge.store import enrolment as rows
    from cloud_bridge.store.engine import reading

    with reading(engine) as tx:
        latest = next(one for one in rows.entries(tx, station) if one.what == "enrolled")
    return {"words": latest.detail.split("; ")[1], "broker": _admit(settings, engine, station)}


def _admit(settings: "Settings", engine: "Engine", station: str) -> str:
    """The broker lets a station in that has just been enrolled; its old serials stay out."""
    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import reading

    with reading(engine) as tx:
        one = stations.get(tx, station)
    if one is None or one.revoked is not None:
        return "not asked"
    try:
        _write_denied(settings, engine)
    except OSError as error:  # the station is in all the same; what its box of before held the broker's plugin knows no more
        print(f"tram-bridge: the list of revoked serials was not written: {error}. tram-bridge ca revoked", file=sys.stderr)
    return _broker_told(settings, lambda door: door.admit(one.id, one.shard))


def _stations_log_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("station", metavar="ID", nargs="?", default="", help="one station; default: all")


def _stations_log(args: argparse.Namespace) -> int:
    """Who made, used, misused, renewed or revoked what, the latest first; the six words stand with *enrolled*."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from cloud_bridge.store import enrolment as rows
    from cloud_bridge.store.engine import reading

    _settings, engine = open_store(args)
    with reading(engine) as tx:
        for one in rows.entries(tx, args.station):
            say(asdict(one) | {"at": datetime.fromtimestamp(one.at / 10, UTC).isoformat()})
    return DONE


def _broker_acl_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--form", choices=("dynsec", "acl"), default="dynsec", help="dynamic security's file, or an acl_file")
    parser.add_argument("--fresh", action="store_true", help="for a broker that stands before any bridge: the store is not asked")
    parser.add_argument("--station", metavar="ID:SHARD", action="append", default=[], help="with --fresh: a station that is to be let in")


def _resident(text: str) -> "Resident":
    from appliance.contract.ids import is_station
    from appliance.contract.topics import SHARDS
    from cloud_bridge import topicwalls

    station, _, shard = text.partition(":")
    if not is_station(station) or station in (topicwalls.CARRIER, topicwalls.ADMIN) or not shard.isdecimal() or int(shard) >= SHARDS:
        raise InputError("--station", text, "an id and its shard from 0 to 63", "tram-0001:7")
    return topicwalls.Resident(station, int(shard))


def _broker_acl(args: argparse.Namespace) -> int:
    from cloud_bridge import topicwalls
    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import reading

    if args.fresh:
        known = [_resident(one) for one in args.station]
    elif args.station:
        raise InputError(
            "--station", args.station[0], "nothing without --fresh: the store knows the stations", "--fresh --station tram-0001:7"
        )
    else:
        _settings, engine = open_store(args)
        with reading(engine) as tx:
            known = [topicwalls.Resident(one.id, one.shard, one.revoked is not None) for one in stations.everyone(tx)]
    print((topicwalls.acl_file if args.form == "acl" else topicwalls.dynamic_security)(known), end="")
    return DONE


# --- the certificate authority ----------------------------------------------------------------------------------------------------------


def _passphrase_arguments(parser: argparse.ArgumentParser) -> None:
    how = "the first line of this file, - for standard input; default: asked on the terminal"
    parser.add_argument("--passphrase-file", metavar="FILE", help=how)


def _passphrase(args: argparse.Namespace, *, twice: bool) -> str:
    import getpass

    if args.passphrase_file == "-":  # noqa: S105 - standard input
        return sys.stdin.readline().rstrip("\r\n")
    if args.passphrase_file is not None:
        return (Path(args.passphrase_file).read_text(encoding="utf-8").splitlines() or [""])[0]
    if not sys.stdin.isatty():
        raise InputError("--passphrase-file", None, "a file, or - for standard input", "--passphrase-file -")
    given = getpass.getpass("Passphrase of the root: ")
    if twice and getpass.getpass("Again: ") != given:
        raise InputError("passphrase", "(two different ones)", "the same passphrase twice", "words that do not belong together")
    return given


def _ca_root_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="on a stick that stays offline, in two copies")
    _passphrase_arguments(parser)


def _ca_root(args: argparse.Namespace) -> int:
    from cloud_bridge import ca

    made = ca.make_root(args.to, _passphrase(args, twice=True), ca.now_utc())
    say({"root": str(args.to / ca.ROOT), "sha256": ca.fingerprint(made).hex(), "until": made.not_valid_after_utc.date().isoformat()})
    return DONE


def _ca_request_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="for ca sign, where the root is")


def _ca_request(args: argparse.Namespace) -> int:
    from cloud_bridge import ca

    ca.replace_file(args.out, ca.request_issuing(settings_of(args).bridge.key_dir))
    say({"request": str(args.out)})
    return DONE


def _ca_sign_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", metavar="REQUEST", type=Path, help="what ca request wrote")
    parser.add_argument("--root", metavar="FOLDER", type=Path, required=True, help="what ca root made")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="for ca install, at the bridge")
    _passphrase_arguments(parser)


def _ca_sign(args: argparse.Namespace) -> int:
    from cloud_bridge import ca

    made = ca.sign_issuing(args.root, _passphrase(args, twice=False), args.request.read_bytes(), ca.now_utc())
    ca.replace_file(args.out, made + (args.root / ca.ROOT).read_bytes())
    say({"certificate": str(args.out)})
    return DONE


def _ca_install_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="what ca sign wrote: our certificate and the root's")


def _ca_install(args: argparse.Namespace) -> int:
    from cloud_bridge import ca

    issuing, root = ca.two(args.file.read_bytes())
    ca.install_issuing(settings_of(args).bridge.key_dir, root, issuing)
    _first_list(args)
    return _ca_show(args)


def _ca_init_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", metavar="FOLDER", type=Path, required=True, help="what ca root made, mounted on this machine")
    _passphrase_arguments(parser)


def _ca_init(args: argparse.Namespace) -> int:
    """Request, sign and install in one: where the root's stick may be put into the bridge."""
    from cloud_bridge import ca

    folder = settings_of(args).bridge.key_dir
    made = ca.sign_issuing(args.root, _passphrase(args, twice=False), ca.request_issuing(folder), ca.now_utc())
    ca.install_issuing(folder, (args.root / ca.ROOT).read_bytes(), made)
    _first_list(args)
    return _ca_show(args)


def _first_list(args: argparse.Namespace) -> None:
    """What a broker asks for before it lets anybody in: the list of revoked serials by this authority, though nobody may be on it."""
    if settings_of(args).bridge.deny_file is None:
        return
    try:
        _ca_revoked(args)
    except NotReadyError:  # no database yet: tram-bridge init writes it
        return


def _ca_revoked(args: argparse.Namespace) -> int:
    """The broker's list anew: one that is too old would shut everybody out."""
    from cloud_bridge import ca
    from cloud_bridge.store import enrolment as rows
    from cloud_bridge.store.engine import reading

    settings, engine = open_store(args)
    settings.need("bridge.deny_file")
    ca.load(settings.bridge.key_dir)
    with reading(engine) as tx:
        listed = len(rows.denied(tx, tenths()))
    say({"deny_file": _write_denied(settings, engine), "revoked": listed, "days": ca.CRL_DAYS})
    return DONE


def _ca_show(args: argparse.Namespace) -> int:
    from cloud_bridge import ca

    one = ca.load(settings_of(args).bridge.key_dir)
    for name, each in (("root", one.root), ("issuing", one.issuing)):
        say({name: ca.fingerprint(each).hex(), "until": each.not_valid_after_utc.date().isoformat()})
    return DONE


def _ca_server_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="+", help="host names and addresses by which it is reached")
    parser.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="where its certificate, its key and ca.pem go")
    parser.add_argument("--stem", default="server", help="the files' name; default: server")


def _ca_server(args: argparse.Namespace) -> int:
    return _issue_here(args, args.names, server=True)


def _ca_member_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", choices=("tram-bridge", "tram-admin"), help="tram-bridge: carriers; tram-admin: revocation")
    parser.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="where its certificate, its key and ca.pem go")


def _ca_member(args: argparse.Namespace) -> int:
    args.stem = args.name
    return _issue_here(args, [args.name], server=False)


def _issue_here(args: argparse.Namespace, names: list[str], *, server: bool) -> int:
    """A certificate for a program of ours, with its key; written down as every other."""
    from cloud_bridge import ca
    from cloud_bridge.store import enrolment as rows
    from cloud_bridge.store.engine import writing

    settings, engine = open_store(args)
    authority, key = ca.load(settings.bridge.key_dir), ca.new_key()
    made = authority.server(names, key.public_key(), ca.now_utc()) if server else authority.member(names[0], key.public_key(), ca.now_utc())
    until = int(made.not_valid_after_utc.timestamp() * 10)
    with writing(engine) as tx:
        kind = rows.SERVER if server else rows.MEMBER
        rows.add_certificate(tx, rows.Certificate(f"{made.serial_number:x}", "", kind, ca.der(made), tenths(), until, "", b"", None))
        rows.note(tx, f"certificate.{kind}", tenths(), who=_operator(), detail=", ".join(names)[:200])
    files = ca.issue_files(args.to, args.stem, made, key, authority)
    say({"files": [str(one) for one in files], "until": made.not_valid_after_utc.date().isoformat()})
    return DONE


# --- bag ------------------------------------------------------------------------------------------------------------------------------


def _bag_export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", metavar="DIR", type=Path, required=True, help="where the stick is mounted")
    parser.add_argument("--station", metavar="ID", action="append", default=[], help="for whom; default: whose bags lie on the stick")


def _bag_import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", metavar="DIR", type=Path, help="where the stick is mounted: every station's bag on it is taken")
    parser.add_argument("files", metavar="FILE", type=Path, nargs="*", help="bags that lie elsewhere")


def _post_office(args: argparse.Namespace) -> "PostOffice":
    import os
    from functools import partial

    from appliance import journal
    from cloud_bridge import intake
    from cloud_bridge.bags import PostOffice
    from cloud_bridge.store import keys
    from cloud_bridge.store.sealing import seals_of

    settings, engine = open_store(args)
    sign, say_step = keys.load(settings.bridge.key_dir, "receipt"), partial(journal.step, journal.open("bridge-bag"))
    return PostOffice(engine, sign, intake.apply_many, _station_key, tenths, say_step, seals_of(settings, _station_key, os.urandom))


def _bag_export(args: argparse.Namespace) -> int:
    from appliance.contract.bag import BagRefused
    from appliance.stick import Stick

    office, code = _post_office(args), DONE
    with Stick(args.folder, mounted=False) as stick:
        names = args.station or office.stations_on(stick)
        if not names:
            raise InputError("--station", None, "a station, where no station's bag lies on the stick", "--station tram-0001")
        for name in names:
            try:
                one = office.put_out(stick, name)
            except BagRefused as error:
                print(f"tram-bridge: {name}: {error}", file=sys.stderr)
                code = REFUSED
            else:
                say({"station": name, "file": one.file, "items": one.items, "messages": one.messages, "bytes": one.size})
    return code


def _bag_import(args: argparse.Namespace) -> int:
    from appliance.stick import Stick

    if not args.files and args.folder is None:
        raise InputError("--folder", None, "where the stick is mounted, or the files", "--folder /media/usb")
    office = _post_office(args)
    found = [_bag_told(office.take_file(file)) for file in args.files]
    if args.folder is not None:
        with Stick(args.folder, mounted=False) as stick:
            found += [_bag_told(one) for one in office.take_in(stick)]
    return DONE if all(found) else REFUSED


def _bag_told(one: "Taken") -> bool:
    """Say what came of one file; True when it was taken."""
    if one.came is None:
        print(f"tram-bridge: {one.file}: {one.refused}", file=sys.stderr)
        return False
    came = one.came
    say(
        {
            "file": one.file,
            "station": one.station,
            "new": came.new,
            "repeated": came.repeated,
            "quarantined": came.refused,
            "again": came.again,
        }
    )
    return True


# --- the processes --------------------------------------------------------------------------------------------------------------------


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
        engine, settings, keys.load(settings.bridge.key_dir, "receipt"), shards, apply=_taker(settings), station_key=_station_key,
        station_keys=stations.keys_of, log=log, stop=stop, chores=chores,
    )  # fmt: skip
    return DONE


def _taker(settings: "Settings") -> Callable[[Any, Any], None]:
    """Takes stations' events; an answer that comes back to a restored store only when one of our answer keys has signed it."""
    from functools import partial

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from cloud_bridge import intake
    from cloud_bridge.store import keys

    known = keys.publics(settings.bridge.key_dir, "answer")
    return partial(intake.take_back, answer_keys={number: Ed25519PublicKey.from_public_bytes(public) for number, public in known.items()})


def _station_key(tx: Any, name: str) -> tuple[int, bytes] | None:
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


# --- the door -------------------------------------------------------------------------------------------------------------------------


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
        desk = _desk(settings, engine)
        desk = replace(desk, welcome=lambda station: _admit(settings, engine, station))
    table = rooms(keys.load(settings.bridge.key_dir, "time"), tenths, desk, Lockout(time.monotonic))
    address = (args.host or settings.bridge.door_host, settings.bridge.door_port if args.port is None else args.port)
    log = journal.open("bridge-door")
    with DoorServer(address, application(table, Turnstile(time.monotonic)), context, log) as server:
        log.info("the door is open on %s port %d", *server.server_address[:2])
        server.serve_forever()
    return DONE


# --- the rota -------------------------------------------------------------------------------------------------------------------------


def _tiers_set_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("organisation", metavar="ORGANISATION")
    parser.add_argument("--number", type=int, required=True, help="1 is who answers stations first; each tier above counts one more")
    parser.add_argument("--name", default="", help="the name that stations read; the organisation's own by default")
    parser.add_argument("--above", default="", help="the organisation that an unopened request goes on to; none by default")


def _tiers_set(args: argparse.Namespace) -> int:
    from cloud_bridge.store import rota
    from cloud_bridge.store.engine import writing

    if not 0 <= args.number <= 99:
        raise InputError("--number", args.number, "a whole number from 0 to 99", "--number 1")
    _settings, engine = open_store(args)
    with writing(engine) as tx:
        rota.set_tier(tx, rota.Tier(args.organisation, args.number, args.name or args.organisation, args.above))
    say({"tier": args.number, "organisation": args.organisation, "above": args.above})
    return DONE


def _tiers_list(args: argparse.Namespace) -> int:
    from cloud_bridge.store import rota
    from cloud_bridge.store.engine import reading

    _settings, engine = open_store(args)
    with reading(engine) as tx:
        for one in rota.tiers(tx).values():
            say({"tier": one.number, "organisation": one.organisation, "name": one.name, "above": one.above})
    return DONE


def _rota_import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="CSV with the columns organisation,department,start,end,name,phone,login")


def _rota_import(args: argparse.Namespace) -> int:
    import csv

    from cloud_bridge.store import rota
    from cloud_bridge.store.engine import writing

    text = args.file.read_text(encoding="utf-8-sig")
    shifts = [_shift(row, f"{args.file}:{number}") for number, row in enumerate(csv.DictReader(text.splitlines()), 2)]
    _settings, engine = open_store(args)
    with writing(engine) as tx:
        for one in shifts:
            rota.add(tx, one)
    say({"shifts": len(shifts)})
    return DONE


def _shift(row: dict[str, Any], where: str) -> "Shift":
    """A shift of one line; InputError names the line. Nothing is written unless every line is good."""
    import unicodedata

    from appliance.contract.events import Department
    from cloud_bridge.store import rota

    said = {key: unicodedata.normalize("NFC", value or "").strip() for key, value in row.items() if isinstance(key, str)}
    try:
        department = Department[said["department"].upper()]
        start, end = (_moment(said[key]) for key in ("start", "end"))
        if not said["organisation"] or not said["name"] or not 0 < end - start <= rota.LONGEST:
            raise ValueError(where)
    except (KeyError, ValueError):
        expected, example = (
            "a shift with an end after its beginning",
            "Trung tâm Thử,internal,2026-11-23 07:00,2026-11-24 07:00,BS. Thử,0900 000 000,",
        )
        raise InputError(where, ",".join(said.values()), expected, example) from None
    return rota.Shift(said["organisation"], department, start, end, said["name"], said.get("phone", ""), said.get("login", ""))


def _moment(text: str) -> int:
    """``2026-11-23 07:00``, or a day, in Vietnam's time: tenths of a second since 1970. ValueError for anything else."""
    from datetime import datetime

    from cloud_bridge.routing import LOCAL

    found = datetime.fromisoformat(text)
    if found.tzinfo is not None or not 2020 <= found.year <= 2100:
        raise ValueError(text)
    return int(found.replace(tzinfo=LOCAL).timestamp()) * 10


def _period_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("organisation", metavar="ORGANISATION")
    parser.add_argument("--from", dest="start", metavar="DAY", help="such as 2026-11-23; today by default")
    parser.add_argument("--days", type=int, default=7)


def _period(args: argparse.Namespace) -> tuple[int, int]:
    from cloud_bridge.store import rota

    try:
        start = rota.midnight(tenths()) if args.start is None else rota.midnight(_moment(args.start))
    except ValueError:
        raise InputError("--from", args.start, "a day", "--from 2026-11-23") from None
    if not 1 <= args.days <= 31:
        raise InputError("--days", args.days, "a whole number from 1 to 31", "--days 7")
    return start, start + args.days * rota.DAY


def _rota_show(args: argparse.Namespace) -> int:
    from cloud_bridge import routing
    from cloud_bridge.store import rota
    from cloud_bridge.store.engine import reading

    start, end = _period(args)
    _settings, engine = open_store(args)
    with reading(engine) as tx:
        shifts, _until = rota.published(tx, args.organisation, start, end)
    for one in shifts:
        hours = routing.hours(one.start, one.end)
        say({"department": one.department.name.lower(), "hours": hours, "name": one.name, "phone": one.phone, "login": one.login})
    return DONE


def _gaps(tx: Any, organisation: str, start: int, end: int) -> "list[Gap]":
    """The uncovered times of what is written; each on a line of standard error, in words."""
    from cloud_bridge import routing
    from cloud_bridge.console.words import DEPARTMENTS
    from cloud_bridge.store import rota

    found = routing.gaps([one for _, one in rota.written(tx, organisation, start, end)], start, end)
    for one in found:
        print(f"Khoa {DEPARTMENTS[one.department][0]} trống {routing.hours(one.start, one.end)}", file=sys.stderr)
    return found


def _rota_check(args: argparse.Namespace) -> int:
    from cloud_bridge.store.engine import reading

    start, end = _period(args)
    _settings, engine = open_store(args)
    with reading(engine) as tx:
        found = _gaps(tx, args.organisation, start, end)
    say({"organisation": args.organisation, "gaps": len(found)})
    return REFUSED if found else DONE


def _rota_publish_arguments(parser: argparse.ArgumentParser) -> None:
    _period_arguments(parser)
    parser.add_argument("--with-gaps", action="store_true", help="publish although hours are uncovered; kept with the publication")


def _rota_publish(args: argparse.Namespace) -> int:
    from cloud_bridge.store import rota
    from cloud_bridge.store.engine import writing

    start, end = _period(args)
    _settings, engine = open_store(args)
    with writing(engine) as tx:
        found = _gaps(tx, args.organisation, start, end)
        if found and not args.with_gaps:
            say({"organisation": args.organisation, "gaps": len(found), "published": False})
            return REFUSED
        version = rota.publish(tx, args.organisation, start, end, gaps=found, actor="tram-bridge", at=tenths())
    say({"organisation": args.organisation, "gaps": len(found), "published": True, "version": version})
    return DONE


# --- backup and restore ---------------------------------------------------------------------------------------------------------------


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


# --- quarantine -----------------------------------------------------------------------------------------------------------------------


def _nothing(_parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


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
    seals = seals_of(settings, _station_key, os.urandom)
    try:
        with writing(engine) as tx:
            taken = texts.take(tx, message, args.sender, lambda one: seals.everything(tx, one), int(time.time() * 10), os.urandom)
    except WireError as error:
        print(f"tram-bridge: not taken: {error}", file=sys.stderr)
        return REFUSED
    say({"station": taken.station, "call": taken.alarm.call, "repeated": taken.repeated, "reply": taken.reply.hex()})
    return DONE


def _quarantine_list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--waiting", action="store_true", help="only what has not been taken since")


def _quarantine_list(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from cloud_bridge.store import review
    from cloud_bridge.store.engine import reading

    _settings, engine = open_store(args)
    with reading(engine) as tx:
        for one in review.quarantined(tx, waiting=args.waiting):
            say(one._asdict() | {"at": datetime.fromtimestamp(one.at / 10, UTC).isoformat()})
    return DONE


def _quarantine_show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int, help="a number of the list")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the bytes there, exactly as they came; they may name patients")


def _quarantine_show(args: argparse.Namespace) -> int:
    from cloud_bridge.store import review
    from cloud_bridge.store.engine import reading

    _settings, engine = open_store(args)
    with reading(engine) as tx:
        found = next((one for one in review.quarantined(tx) if one.id == args.id), None)
        payload = review.quarantined_bytes(tx, args.id)
    if found is None or payload is None:
        raise InputError("id", args.id, "a number of tram-bridge quarantine list", "3")
    say(found._asdict() | {"begins": payload[:16].hex()})
    if args.out is not None:
        args.out.write_bytes(payload)
    return DONE


def _quarantine_replay_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int, nargs="*", help="numbers of the list")
    parser.add_argument("--all", action="store_true", help="everything that waits")


def _quarantine_replay(args: argparse.Namespace) -> int:
    import time

    from cloud_bridge.store import review
    from cloud_bridge.store.engine import reading

    if bool(args.id) == args.all:
        raise InputError("id", args.id, "numbers of tram-bridge quarantine list, or --all", "quarantine replay 3 7")
    settings, engine = open_store(args)
    store, end = _relay(settings, engine)
    with reading(engine) as tx:
        numbers = [one.id for one in review.quarantined(tx, waiting=True)] if args.all else args.id
    for one in review.take_again(engine, store, end, numbers, time.time_ns() // 100_000_000):
        say(one._asdict())
    return DONE


def _relay(settings: "Settings", engine: "Engine") -> tuple[Any, Any]:
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
        store, keys.load(settings.bridge.key_dir, "receipt"), apply=_taker(settings), station_key=_station_key,
        now=lambda: time.time_ns() // 100_000_000, say=lambda *_step, **_ids: None, seals=seals_of(settings, _station_key, os.urandom),
    )  # fmt: skip


# --- recovery -------------------------------------------------------------------------------------------------------------------------


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
    store, end = _relay(settings, engine)
    # Rows that were in no parcel yet come clear, from a card in our own hands: what no line may do.
    end = replace(end, seals=BridgeSeals(keys.openers(settings.bridge.key_dir), _station_key, random=os.urandom))
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


# --- field tools ----------------------------------------------------------------------------------------------------------------------


def _status_code_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", metavar="CODE", help="the eight letters that the station reads out")
    parser.add_argument("--station", metavar="ID", default="", help="say too whether the code can be this station's")


def _status_code(args: argparse.Namespace) -> int:
    from appliance.contract.statuscode import REASONS, StatusCodeError, explained, mark_of, read

    try:
        found = read(args.code)
    except StatusCodeError as error:
        print(f"tram-bridge: {REASONS[error.reason]}", file=sys.stderr)
        return REFUSED
    for line in explained(found):
        print(line)
    if args.station and found.mark != mark_of(args.station):
        print(f"tram-bridge: Mã này không phải của trạm {args.station}. Hỏi lại tên trạm.", file=sys.stderr)
        return REFUSED
    return DONE


def _logs_open_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="tram-logs-….sealed, as tram logs wrote it on a stick")
    parser.add_argument("--to", metavar="DIR", type=Path, help="a new folder for the texts; default: named as the file, beside it")
    parser.add_argument("--key", metavar="FILE", type=Path, help="the recovery key's private half, for a bundle sealed for that")


def _logs_open(args: argparse.Namespace) -> int:
    """The texts of a station's bundle into a folder that only its owner may read."""
    import io
    import tarfile

    from appliance.contract import bundle
    from appliance.contract.errors import WireError
    from cloud_bridge.store import keys

    settings, _engine = open_store(args)
    to = args.to or args.file.with_suffix("")
    try:
        with args.file.open("rb") as source:
            label, sealed = bundle.read(source.read(bundle.MOST_BYTES + 1))
        known = keys.openers(settings.bridge.key_dir) if label.purpose == keys.SEAL else {}
        private = keys.read_recovery(args.key) if args.key is not None else known.get(label.key_id)
        if private is None:
            which = f"the bridge's key {label.key_id}" if label.purpose == keys.SEAL else f"recovery key {label.key_id}: --key FILE"
            print(f"tram-bridge logs: it is sealed for {which}, which is not here", file=sys.stderr)
            return REFUSED
        content = bundle.unseal(label, sealed, private)
    except WireError as error:
        print(f"tram-bridge logs: {args.file}: {error.detail or error.reason}", file=sys.stderr)
        return REFUSED
    to.mkdir(mode=0o700)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as box:
        box.extractall(to, filter="data")  # a station that was broken into writes nothing outside the folder
    say({"station": label.station, "folder": str(to), "texts": sorted(one.name for one in to.iterdir())})
    return DONE


def _minute(tenths_: int | None) -> str:
    from datetime import UTC, datetime

    return "" if tenths_ is None else datetime.fromtimestamp(tenths_ / 10, UTC).isoformat(timespec="minutes")


def _acceptance(one: "Accepted") -> dict[str, object]:
    return one._asdict() | {"at": _minute(one.at), "waived": [{"step": step, "reason": reason} for step, reason in one.waived]}


def _accepted_by(one: "Accepted | None") -> str:
    """Who accepted a station, when, and what was waived, on one line."""
    if one is None:
        return "not accepted"
    waived = "; ".join(f"{step}: {reason}" for step, reason in one.waived)
    return f"accepted {_minute(one.at)} by {one.technician}" + (f", waived {waived}" if waived else "")


def _fleet_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("--silent-days", metavar="DAYS", type=int, default=2, help="a station unheard for longer is silent (default: 2)")


def _fleet(args: argparse.Namespace) -> int:
    from cloud_bridge import fleet
    from cloud_bridge.store.engine import reading

    if args.silent_days < 1:
        raise InputError("--silent-days", args.silent_days, "a whole number of days, 1 or more", "2")
    _settings, engine = open_store(args)
    with reading(engine) as tx:
        found = fleet.boxes(tx, tenths(), args.silent_days * fleet.DAY)
    for one in found:
        heard = _minute(one.heard)
        if args.json:
            say(one._asdict() | {"heard": heard or None, "accepted": None if one.accepted is None else _acceptance(one.accepted)})
            continue
        state = "revoked" if one.revoked else "SILENT" if one.silent else "ok"
        ills = f", {one.alarms} with an alarm" if one.alarms else ""
        disk = "-" if one.used is None else f"{one.used:.0%}"
        print(
            f"{one.station:<16} {state:<8} {heard or 'never':<23} {one.software or '-':<12} disk {disk:<5}"
            f"{one.devices} devices{ills}  {one.name}\n"
            f"{'':<16} {_accepted_by(one.accepted)}"
        )
    return DONE


# --- the command line -----------------------------------------------------------------------------------------------------------------


def _station_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("station", metavar="ID")


COMMANDS = (
    Command("init", "make and migrate the database, the store id, the keys; harmless to repeat", _init_arguments, _init),
    Command("keys list", "the bridge's public keys, and the content keys that stations have sent", _nothing, _keys_list),
    Command("keys rotate", "make one more sealing key; the old ones stay to open with", _keys_rotate_arguments, _keys_rotate),
    Command("users add", "a login for the console", _users_add_arguments, _users_add),
    Command("users lock", "shut somebody out; open sessions end", _login_argument, _set_locked(True)),
    Command("users unlock", "let somebody in again", _login_argument, _set_locked(False)),
    Command("users reset", "a new password or a new second factor; open sessions end", _users_reset_arguments, _users_reset),
    Command("users change", "move somebody to another organisation; open sessions end", _users_change_arguments, _users_change),
    Command("users list", "every login", _nothing, _users_list),
    Command("stations add", "register a station by the key that its box exported", _stations_add_arguments, _stations_add),
    Command("stations revoke", "take nothing more from a station", _station_argument, _stations_revoke),
    Command("stations list", "every registered station", _nothing, _stations_list),
    Command("stations token", "a paper with which one technician enrols one station, once", _stations_token_arguments, _stations_token),
    Command("stations wave", "which wave of updates a station belongs to", _stations_wave_arguments, _stations_wave),
    Command("stations log", "who enrolled, renewed, misused or revoked what", _stations_log_arguments, _stations_log),
    Command("enrol", "answer the requests of boxes without a line, on a USB stick", _enrol_arguments, _enrol),
    Command("broker-acl", "the broker's rights for every station, from one table", _broker_acl_arguments, _broker_acl),
    Command("ca root", "the root of all certificates, made where no network is", _ca_root_arguments, _ca_root),
    Command("ca request", "the bridge asks the root to be let sign", _ca_request_arguments, _ca_request),
    Command("ca sign", "the root's word for a bridge, where no network is", _ca_sign_arguments, _ca_sign),
    Command("ca install", "take the root's word into the bridge", _ca_install_arguments, _ca_install),
    Command("ca init", "request, sign and install at once, with the root's stick in this machine", _ca_init_arguments, _ca_init),
    Command("ca server", "a certificate for the broker or the door", _ca_server_arguments, _ca_server),
    Command("ca member", "a certificate for the bridge's own programs at the broker", _ca_member_arguments, _ca_member),
    Command("ca revoked", "the broker's list of revoked serials, written anew before it is too old", _nothing, _ca_revoked),
    Command("ca show", "the authority of this bridge", _nothing, _ca_show),
    Command("carry", "stations' messages into the database, doctors' words to the stations", _carry_arguments, _carry),
    Command("bag export", "put what waits for a station on a USB stick", _bag_export_arguments, _bag_export),
    Command("bag import", "take what USB sticks bring from stations", _bag_import_arguments, _bag_import),
    Command("console", "the doctors' pages", _console_arguments, _console),
    Command("door", "the HTTPS port for what must work before MQTT can: the signed time", _door_arguments, _door),
    Command("tiers set", "say what an organisation is and whom unopened requests go on to", _tiers_set_arguments, _tiers_set),
    Command("tiers list", "every tier, the lowest first", _nothing, _tiers_list),
    Command(
        "rota import", "write the shifts of a CSV file; nobody is on duty before they are published", _rota_import_arguments, _rota_import
    ),
    Command("rota show", "who is on duty as published", _period_arguments, _rota_show),
    Command("rota check", "name every hour that nobody covers; 1 when there is one", _period_arguments, _rota_check),
    Command("rota publish", "make what is written true and tell the stations", _rota_publish_arguments, _rota_publish),
    Command("sms take", "an emergency message that a gateway received; prints the reply to send back", _sms_take_arguments, _sms_take),
    Command("recovery-key make", "the key that dead boxes are opened with, made offline", _recovery_make_arguments, _recovery_make),
    Command("recovery-key add", "take its public half into the bridge, for stations to pin", _recovery_add_arguments, _recovery_add),
    Command("recover", "what a dead box never sent, from its card; once only", _recover_arguments, _recover),
    Command("fleet", "every station: silent or not, last contact, version, disk, devices, who accepted it", _fleet_arguments, _fleet),
    Command("logs open", "the texts of a bundle that tram logs wrote on a stick", _logs_open_arguments, _logs_open),
    Command("status-code", "what the eight letters of a station's status code say, in Vietnamese", _status_code_arguments, _status_code),
    Command("backup", "a verified copy of the whole store; what it holds is then called safe", _backup_arguments, _backup),
    Command("restore", "put a backup back as another incarnation of the store", _restore_arguments, _restore),
    Command("quarantine list", "messages that could not be read, kept byte-exact", _quarantine_list_arguments, _quarantine_list),
    Command("quarantine show", "one of them, and its bytes into a file", _quarantine_show_arguments, _quarantine_show),
    Command("quarantine replay", "read them again with this version, once only", _quarantine_replay_arguments, _quarantine_replay),
)
"""Every command; add a row to add one."""


def parser() -> argparse.ArgumentParser:
    """The whole command line. ``--config FILE`` may stand before the command or after it, and more than once."""
    from appliance import __version__

    top = argparse.ArgumentParser(prog="tram-bridge", description="Trạm: the cloud bridge.")
    top.add_argument("--version", action="version", version=f"tram-bridge {__version__}")
    top.add_argument("--config", metavar="FILE", type=Path, action="append", default=[], dest="config_before", help="a settings file")
    groups: dict[str, Any] = {"": top.add_subparsers(metavar="COMMAND", required=True)}
    helps = {
        "keys": "the bridge's own keys",
        "users": "who may use the console", "stations": "whom the bridge serves", "tiers": "who answers, in order",
        "bag": "the post bag on a USB stick",
        "ca": "who signs certificates",
        "recovery-key": "what dead boxes are opened with",
        "logs": "what stations send from afar",
        "rota": "who is on duty", "quarantine": "what could not be read", "sms": "emergencies by telephone network",
    }  # fmt: skip
    for command in COMMANDS:
        first, _, second = command.words.partition(" ")
        if second and first not in groups:
            groups[first] = groups[""].add_parser(first, help=helps[first]).add_subparsers(metavar="COMMAND", required=True)
        one = groups[first if second else ""].add_parser(second or first, help=command.help, description=command.help)
        one.add_argument("--config", metavar="FILE", type=Path, action="append", default=[], help="a settings file over those before it")
        command.arguments(one)
        one.set_defaults(run=command.run)
    return top


def _explained(key: str, value: object, expected: str, example: str) -> str:
    return f"tram-bridge: {key}\n  value:    {value}\n  expected: {expected}\n  example:  {example}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    from appliance.settings import SettingsError
    from cloud_bridge.ca import AuthorityError
    from cloud_bridge.store.keys import KeyFileError

    args = parser().parse_args(argv)
    args.config = [*args.config_before, *args.config]
    try:
        return int(args.run(args))
    except SettingsError as error:
        print(_explained(f"{error.file}: {error.key}", error.value, error.expected, error.example), file=sys.stderr)
        return CONFIG
    except InputError as error:
        print(_explained(error.key, error.value, error.expected, error.example), file=sys.stderr)
        return REFUSED
    except KeyFileError as error:
        print(_explained("key file", error.file, error.expected, "tram-bridge init"), file=sys.stderr)
        return CONFIG
    except (NotReadyError, AuthorityError) as error:
        print(f"tram-bridge: {error}", file=sys.stderr)
        return CONFIG if isinstance(error, NotReadyError) else REFUSED
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()  # the reader has gone: nothing is left to say
            return DONE
        print(f"tram-bridge: {error}", file=sys.stderr)
        return LATER
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
