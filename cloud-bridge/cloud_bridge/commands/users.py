"""Logins for the console."""

import argparse
import sys
from pathlib import Path
from typing import Any

from appliance.commandline import DONE, Command, Run, nothing, say
from cloud_bridge.commands.bridge import InputError, hasher, open_store, tenths
from cloud_bridge.commands.stations import organisation_of


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
    organisation = organisation_of(args)
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

    organisation = organisation_of(args)
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


COMMANDS = (
    Command("users add", "a login for the console", _users_add_arguments, _users_add),
    Command("users lock", "shut somebody out; open sessions end", _login_argument, _set_locked(True)),
    Command("users unlock", "let somebody in again", _login_argument, _set_locked(False)),
    Command("users reset", "a new password or a new second factor; open sessions end", _users_reset_arguments, _users_reset),
    Command("users change", "move somebody to another organisation; open sessions end", _users_change_arguments, _users_change),
    Command("users list", "every login", nothing, _users_list),
)
