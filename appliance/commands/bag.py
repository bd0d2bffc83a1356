"""The post bag on a USB stick: ``tram bag export | import``."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.commandline import DONE, REFUSED, Command, say
from appliance.commands.box import open_box

if TYPE_CHECKING:
    from appliance.store.bags import Post, PostOffice


def _bag_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", metavar="DIR", type=Path, help="where the stick is; default: bag.folder of the settings")


def _bag_import_arguments(parser: argparse.ArgumentParser) -> None:
    _bag_arguments(parser)
    parser.add_argument("files", metavar="FILE", type=Path, nargs="*", help="bags that lie elsewhere; default: those for us on the stick")


def _bag(args: argparse.Namespace, work: "Callable[[PostOffice, Post], None]") -> int:
    from dataclasses import replace
    from functools import partial

    from appliance import journal
    from appliance.agent.carry import renew_on_another_machine
    from appliance.contract.bag import BagRefused
    from appliance.settings import Bag
    from appliance.stick import StickError
    from appliance.store.bags import Post, post_office, refused

    box, log, post = open_box(args), journal.open("bag"), Post()
    settings = box.settings if args.folder is None else replace(box.settings, bag=Bag(args.folder, mounted=False))
    renew_on_another_machine(box.conn, box.clock, log)
    try:
        work(post_office(box.conn, settings, stamp=box.clock.stamp, say=partial(journal.step, log)), post)
    except (BagRefused, StickError) as error:
        if isinstance(error, StickError) and error.reason == "none":
            raise _no_stick(args.folder, settings.bag.folder) from error
        raise refused(error) from error
    for problem in post.problems:
        print(f"{problem.vi}\n{problem.en}", file=sys.stderr)
    return REFUSED if post.problems else DONE


def _no_stick(folder: Path | None, usual: Path) -> Exception:
    """Where it was looked for a stick, and what to do."""
    from appliance.store.errors import Refused

    if folder is None:
        return Refused(
            f"Chưa thấy USB ở {usual}. Cắm USB vào máy, hoặc chỉ thư mục: --folder /media/usb",
            f"there is no stick at {usual} (bag.folder): put one in, or say where it is: --folder /media/usb",
        )
    return Refused(
        f"--folder {folder}: không có thư mục này. Ví dụ: --folder /media/usb",
        f"--folder = {folder}: expected a folder that is there, such as /media/usb",
    )


def _bag_export(args: argparse.Namespace) -> int:
    def work(office: "PostOffice", post: "Post") -> None:
        with office.stick() as stick:
            office.put_out(stick, post)
        say({"bag": post.number, "items": post.went, "file": post.file})

    return _bag(args, work)


def _bag_import(args: argparse.Namespace) -> int:
    def work(office: "PostOffice", post: "Post") -> None:
        if args.files:
            for file in args.files:
                office.take_file(file, post)
        else:
            with office.stick() as stick:
                office.take_in(stick, post)
        say({"bags": post.bags, "new": post.came, "repeated": post.repeated, "quarantined": post.quarantined})

    return _bag(args, work)


COMMANDS = (
    Command("bag export", "put what waits on a USB stick, for a road without a line", _bag_arguments, _bag_export),
    Command("bag import", "take what a USB stick brings from the bridge", _bag_import_arguments, _bag_import),
)
