"""The bridge's certificates: the root's ceremony, and what is issued here."""

import argparse
import sys
from pathlib import Path

from appliance.commandline import DONE, Command, nothing, say, settings_of
from cloud_bridge.commands.bridge import InputError, NotReadyError, open_store, tenths
from cloud_bridge.commands.stations import operator_name, write_denied


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
    say({"deny_file": write_denied(settings, engine), "revoked": listed, "days": ca.CRL_DAYS})
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
        rows.note(tx, f"certificate.{kind}", tenths(), who=operator_name(), detail=", ".join(names)[:200])
    files = ca.issue_files(args.to, args.stem, made, key, authority)
    say({"files": [str(one) for one in files], "until": made.not_valid_after_utc.date().isoformat()})
    return DONE


COMMANDS = (
    Command("ca root", "the root of all certificates, made where no network is", _ca_root_arguments, _ca_root),
    Command("ca request", "the bridge asks the root to be let sign", _ca_request_arguments, _ca_request),
    Command("ca sign", "the root's word for a bridge, where no network is", _ca_sign_arguments, _ca_sign),
    Command("ca install", "take the root's word into the bridge", _ca_install_arguments, _ca_install),
    Command("ca init", "request, sign and install at once, with the root's stick in this machine", _ca_init_arguments, _ca_init),
    Command("ca server", "a certificate for the broker or the door", _ca_server_arguments, _ca_server),
    Command("ca member", "a certificate for the bridge's own programs at the broker", _ca_member_arguments, _ca_member),
    Command("ca revoked", "the broker's list of revoked serials, written anew before it is too old", nothing, _ca_revoked),
    Command("ca show", "the authority of this bridge", nothing, _ca_show),
)
