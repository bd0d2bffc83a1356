"""The command `tram-bridge`: what is built is built by its commands, everything below receives what it needs as arguments.

Errors name the key, its value, what was expected and an example. Exit codes: `appliance.commandline`.
"""

import sys
from collections.abc import Sequence

from appliance.commandline import CONFIG, DONE, LATER, REFUSED, explained, four_lines, parser, read
from cloud_bridge.commands import authority, bags, copies, enrolment, field, processes, quarantine, recovery, rota, stations, stock, users
from cloud_bridge.commands.bridge import InputError, NotReadyError

COMMANDS = (
    *stock.COMMANDS,
    *users.COMMANDS,
    *stations.COMMANDS,
    *enrolment.COMMANDS,
    *authority.COMMANDS,
    *bags.COMMANDS,
    *processes.COMMANDS,
    *rota.COMMANDS,
    *copies.COMMANDS,
    *quarantine.COMMANDS,
    *recovery.COMMANDS,
    *field.COMMANDS,
)
"""Every command; a new one is a row of the module it belongs to."""
GROUPS = {
    "keys": "the bridge's own keys",
    "users": "who may use the console",
    "stations": "whom the bridge serves",
    "tiers": "who answers, in order",
    "bag": "the post bag on a USB stick",
    "ca": "who signs certificates",
    "recovery-key": "what dead boxes are opened with",
    "logs": "what stations send from afar",
    "rota": "who is on duty",
    "quarantine": "what could not be read",
    "sms": "emergencies by telephone network",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    from appliance.settings import SettingsError
    from cloud_bridge.ca import AuthorityError
    from cloud_bridge.store.keys import KeyFileError

    args = read(parser("tram-bridge", "Trạm: the cloud bridge.", COMMANDS, GROUPS), argv)
    try:
        return int(args.run(args))
    except SettingsError as error:
        _complain(explained(error))
        return CONFIG
    except InputError as error:
        _complain(four_lines(error.key, error.value, error.expected, error.example))
        return REFUSED
    except KeyFileError as error:
        _complain(four_lines("key file", error.file, error.expected, "tram-bridge init"))
        return CONFIG
    except (NotReadyError, AuthorityError) as error:
        _complain(str(error))
        return CONFIG if isinstance(error, NotReadyError) else REFUSED
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()  # the reader has gone: nothing is left to say
            return DONE
        _complain(str(error))
        return LATER
    except KeyboardInterrupt:
        return 130


def _complain(text: str) -> None:
    print(f"tram-bridge: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
