"""A loaded program that forks: each fork is one of the real commands, without the half second of imports.

``python -m tests.kills.zygote``: a line ``{"module", "argv", "log"}`` on standard input starts a fork, its process id is
the answer; a line ``{"reap": pid}`` waits for one that was killed.
"""

import importlib
import json
import os
import sys

LOADED = (
    "appliance.cli", "cloud_bridge.cli", "appliance.agent.collect", "appliance.agent.carry", "appliance.kiosk.app",
    "cloud_bridge.carrier", "cloud_bridge.console.app", "appliance.store.opening", "appliance.devices.registry",
)  # fmt: skip


def main() -> None:
    """Answer until standard input ends."""
    for name in LOADED:
        importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        wish = json.loads(line)
        if "reap" in wish:
            os.waitpid(wish["reap"], 0)
            print(wish["reap"], flush=True)
            continue
        child = os.fork()
        if child == 0:
            become(wish)
        print(child, flush=True)


def become(wish: dict[str, object]) -> None:
    """Be the command; never come back."""
    status = 70
    try:
        log = os.open(str(wish["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        status = importlib.import_module(str(wish["module"])).main(wish["argv"])
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
