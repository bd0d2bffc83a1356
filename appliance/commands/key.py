"""The store's key and the board it belongs to: ``tram key status | open | bind | unbind``. All but the first are root's."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from appliance.commandline import DONE, Command, nothing, say, settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.settings import Settings
    from appliance.store.bound import Board, Pair


def _status(args: argparse.Namespace) -> int:
    from appliance.agent import board
    from appliance.store import bound, escrow

    settings, found = settings_of(args), board.offers()
    form = bound.standing(settings)
    copy = escrow.kept(escrow.wrapped_file(settings)) is not None
    say({"form": form, "recovery": copy, "offers": {one.word: one.board is not None for one in found}})
    for pair in (bound.SAID[form], *(one.said for one in found), *(() if copy else (_NO_COPY,))):
        _tell(pair)
    return DONE


_NO_COPY = (
    "Chưa có bản khóa dự phòng cho máy chủ bên cạnh kho: ghi danh trạm trước khi gắn khóa.",
    "No copy of the key for the bridge's recovery key stands beside the store yet: enrol the station before the key is bound.",
)


def _open_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bind", action="store_true", help="bind it too, where the board offers that and the recovery copy is there")


def _open(args: argparse.Namespace) -> int:
    from appliance.store import bound

    settings = settings_of(args)
    boards = _boards(settings, bind=args.bind)
    key, form = bound.opened(settings, boards)
    file = bound.hand(settings, key)
    if form != bound.PLAIN:
        bound.sweep(settings, os.urandom)
    if args.bind and boards:
        form = _bound_at_start(settings, boards)
    say({"form": form, "handed": str(file)})
    _tell(bound.SAID[form])
    return DONE


def _boards(settings: "Settings", *, bind: bool) -> "Sequence[Board]":
    """What the board offers, asked only where it matters; a plain key goes on where a chip does not answer."""
    from appliance.agent import board
    from appliance.store import bound

    plain = bound.standing(settings) == bound.PLAIN
    if plain and not bind and not any(one.exists() for one in bound.files(settings)):
        return []
    try:
        return board.boards()
    except OSError as error:
        if not plain:
            raise
        print(f"not asked: {error}", file=sys.stderr)
        return []


def _bound_at_start(settings: "Settings", boards: "Sequence[Board]") -> str:
    """Binding must never keep a station from starting: the plain file goes on, and the journal has the reason."""
    from appliance.store import bound
    from appliance.store.errors import Refused

    try:
        bound.bind(settings, boards, os.urandom)
    except Refused as error:
        _tell((error.vi, error.en))
    except OSError as error:
        print(f"not bound: {error}", file=sys.stderr)
    return bound.standing(settings)


def _bind(args: argparse.Namespace) -> int:
    from appliance.agent import board
    from appliance.store import bound
    from appliance.store.errors import Refused

    settings, found = settings_of(args), board.offers()
    ready = [one.board for one in found if one.board is not None]
    if not ready:
        said = [one.said for one in found]
        raise Refused(" ".join(one[0] for one in said), " ".join(one[1] for one in said))
    say({"bound": bound.bind(settings, ready, os.urandom), "form": bound.standing(settings)})
    _tell(bound.SAID[bound.standing(settings)])
    return DONE


def _unbind(args: argparse.Namespace) -> int:
    from appliance.agent import board
    from appliance.store import bound

    settings = settings_of(args)
    say({"unbound": bound.unbind(settings, board.boards(), os.urandom), "form": bound.standing(settings)})
    _tell(bound.SAID[bound.standing(settings)])
    return DONE


def _tell(pair: "Pair") -> None:
    print(f"{pair[0]}\n{pair[1]}", file=sys.stderr)


COMMANDS = (
    Command("key status", "how the store's key is kept, and what this board offers to bind it to", nothing, _status),
    Command("key open", "hand the key over for this boot; for the unit tram-key, before everything else", _open_arguments, _open),
    Command("key bind", "bind the key to this board's TPM or OTP key; refused without the recovery copy", nothing, _bind),
    Command("key unbind", "back to a root-only file: before a board is changed, or an older release comes", nothing, _unbind),
)
