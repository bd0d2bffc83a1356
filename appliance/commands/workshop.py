"""What is invented and measured: ``tram simulate | demo | bench``."""

import argparse
import json
import sys
from pathlib import Path

from appliance.commandline import DONE, USAGE, Command, say
from appliance.commands.box import complain


def _simulate_device_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("driver", help="such as contec-cms50")
    parser.add_argument("--link", type=Path, required=True, metavar="PATH", help="where the pseudo-terminal appears")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME@START:SECONDS", help="such as noise@3:2; may be repeated")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of the device, such as unasked=10")


def _simulate_device(args: argparse.Namespace) -> int:
    from appliance.agent.collect import stop_on_signals
    from appliance.devices.sim.pty import run_on_pty
    from appliance.devices.sim.script import simulate

    options = dict(each.split("=", 1) if "=" in each else (each, "") for each in args.option)
    try:
        script = simulate(args.driver, seed=args.seed, options=options, faults=args.fault)
    except ValueError as error:
        complain(str(error))
        return USAGE
    return run_on_pty(script, args.link, orders_fd=_orders(), stopping=stop_on_signals(), say=complain)


def _simulate_play_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the recorded bytes, device to host")
    parser.add_argument("--link", type=Path, required=True, metavar="PATH", help="where the pseudo-terminal appears")
    parser.add_argument("--driver", default="", help="play at the pace of this family, such as contec-cms50")
    parser.add_argument("--baud", type=int, default=115200, help="without --driver: ten bits a byte (default: 115200)")
    parser.add_argument("--pace", type=int, default=0, metavar="BYTES", help="bytes a second instead of either")
    parser.add_argument("--hex", action="store_true", help="the file is hexadecimal text")
    parser.add_argument("--hold", type=float, default=5.0, metavar="SECONDS", help="how long the line stays open afterwards")


def _simulate_play(args: argparse.Namespace) -> int:
    from appliance.agent.collect import stop_on_signals
    from appliance.devices.decode import HexError, read_hex
    from appliance.devices.registry import UnknownDriverError, row
    from appliance.devices.sim.pty import play_on_pty

    content = args.file.read_bytes()
    try:
        data = read_hex(content.decode("utf-8", "replace")) if args.hex else content
    except HexError as error:
        complain(f"{args.file}: not hex: {error}")
        return USAGE
    try:
        pace = args.pace or (row(args.driver).pace if args.driver else args.baud // 10)
    except UnknownDriverError as error:
        complain(str(error))
        return USAGE
    return play_on_pty(data, args.link, pace=pace, hold_s=args.hold, orders_fd=_orders(), stopping=stop_on_signals())


def _orders() -> int | None:
    """Standard input as the place orders come from, when there is one."""
    return None if sys.stdin is None or sys.stdin.closed else sys.stdin.fileno()


def _simulate_day_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="one event a line, JSON")


def _simulate_day(args: argparse.Namespace) -> int:
    from appliance.simulate import write_day

    say({"file": str(args.out), "seed": args.seed, "events": write_day(args.seed, args.out)})
    return DONE


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    # Named here and not there: a collector that parses its own command line must not load the demo.
    parser.add_argument("--fresh", action="store_true", help="empty the demo's folder first (only one the demo made)")
    parser.add_argument("--once", action="store_true", help="one whole round without a browser, then end")
    parser.add_argument("--json", action="store_true", help="JSON on standard output: one object with --once, else one a line")
    parser.add_argument("--state", metavar="DIR", type=Path, default=Path(".demo"), help="the demo's folder (default: .demo)")
    parser.add_argument(
        "--broker", choices=("auto", "mosquitto", "iotcore"), default="auto", help="default: mosquitto where it is installed"
    )


def _demo(args: argparse.Namespace) -> int:
    from appliance.demo.run import main as demo

    return demo(args)


def _bench_arguments(parser: argparse.ArgumentParser) -> None:
    from appliance.bench import LONG, NAMES

    which = f"one of them (default: all but {' and '.join(LONG)}, one after the other)"
    parser.add_argument("name", nargs="?", choices=(*NAMES, *LONG), help=which)
    parser.add_argument("--json", action="store_true", help="one JSON object for each instead of a table")


def _bench(args: argparse.Namespace) -> int:
    from appliance.bench import NAMES, run, table

    for name in (args.name,) if args.name else NAMES:
        found = run(name)
        print(json.dumps(found, ensure_ascii=False) if args.json else f"{table(found)}\n", flush=True)
    return DONE


COMMANDS = (
    Command("simulate device", "a device that does not exist, on a pseudo-terminal", _simulate_device_arguments, _simulate_device),
    Command("simulate play", "recorded bytes on a pseudo-terminal, at wire speed", _simulate_play_arguments, _simulate_play),
    Command("simulate day", "one invented day of a station", _simulate_day_arguments, _simulate_day),
    Command("demo", "both ends on this machine, with simulated devices: watch a reading travel", _demo_arguments, _demo),
    Command("bench", "measure speed, bytes and memory against a baseline in the same run", _bench_arguments, _bench),
)
