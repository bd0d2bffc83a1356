#!/usr/bin/python
"""Units enabled and started as they should be, with one look at all of them."""

from typing import Any

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]  # comes without types

DOCUMENTATION = r"""
module: units
short_description: Units of systemd enabled and started after one look at all of them
description:
  - systemctl is asked once which are enabled and once which run; only what differs is changed, in the order given.
  - Where only V(enabled) is said no systemd need run, as in the making of an image. Works in check mode.
options:
  units:
    description: The units; one name twice counts twice.
    type: list
    elements: dict
    default: []
    suboptions:
      names: {description: "The units with their endings.", type: list, elements: str, required: true}
      enabled: {description: "Whether they start by themselves.", type: bool}
      state:
        description: What they do now; nothing said leaves it as it is.
        type: str
        choices: ["", started, stopped, restarted]
        default: ""
  running:
    description: Patterns; those that run now are said, before anything is turned.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Run the station
  tram.box.units:
    units:
      - {names: [tram-kiosk.socket, tram-kiosk.service], enabled: true, state: started}
      - {names: [tram-settle.service], enabled: true}
"""

RETURN = r"""
running:
  description: The units of the patterns that run.
  type: list
  returned: always
turned:
  description: What was done, as systemctl was told.
  type: list
  returned: always
"""

ON = {"enabled", "static", "alias", "indirect", "generated"}
"""Words of `systemctl is-enabled` for a unit that needs no enabling."""
RUNS = {"active", "activating", "reloading"}


class Units:
    """What systemctl says of them, and what it was told."""

    def __init__(self, module: Any) -> None:
        """Nothing is asked yet."""
        self.module = module
        self.turned: list[str] = []
        self.systemctl = module.get_bin_path("systemctl", required=True)

    def words(self, verb: str, names: list[str]) -> dict[str, str]:
        """One word of each unit: is-enabled, is-active. systemctl ends with an error where a word is not the good one."""
        if not names:
            return {}
        _, out, err = self.module.run_command([self.systemctl, verb, *names])
        said = out.split()
        if len(said) != len(names):
            # A version that leaves a line out for a unit it does not know: asked one by one.
            said = [(self.module.run_command([self.systemctl, verb, name])[1].split() or ["not-found"])[0] for name in names]
        if not any(said):
            self.module.fail_json(msg=f"systemctl {verb}: {err.strip()}")
        return dict(zip(names, said, strict=True))

    def running(self, patterns: list[str]) -> list[str]:
        """The names of those that run."""
        if not patterns:
            return []
        command = [self.systemctl, "list-units", "--plain", "--no-legend", "--no-pager", "--state=active", *patterns]
        return [line.split()[0] for line in self.module.run_command(command, check_rc=True)[1].splitlines() if line.strip()]

    def tell(self, verb: str, *names: str) -> None:
        """One command; the words of systemd where it fails."""
        self.turned.append(" ".join([verb, *names]))
        if self.module.check_mode:
            return
        code, out, err = self.module.run_command([self.systemctl, verb, *names])
        if code:
            self.module.fail_json(msg=f"systemctl {verb} {' '.join(names)}: {(err or out).strip()}", turned=self.turned)


def main() -> None:
    """Look, then turn what differs."""
    unit = {
        "names": {"type": "list", "elements": "str", "required": True},
        "enabled": {"type": "bool"},
        "state": {"type": "str", "choices": ["", "started", "stopped", "restarted"], "default": ""},
    }
    spec = {
        "units": {"type": "list", "elements": "dict", "default": [], "options": unit},
        "running": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    units = Units(module)
    running = units.running(module.params["running"])
    asked = [(name, group) for group in module.params["units"] for name in group["names"]]
    there = units.words("is-enabled", [name for name, group in asked if group["enabled"] is not None])
    on = [name for name, group in asked if group["enabled"] and there[name] not in ON]
    off = [name for name, group in asked if group["enabled"] is False and there[name] not in {"disabled", "not-found", "masked", "static"}]
    for verb, names in (("enable", on), ("disable", off)):
        if names:
            units.tell(verb, *names)
    runs = units.words("is-active", [name for name, group in asked if group["state"]])
    for name, group in asked:
        if group["state"] == "restarted":
            units.tell("restart", name)
        elif group["state"] == "started" and runs[name] not in RUNS:
            # Asked anew: one that came before may have brought it along.
            if units.words("is-active", [name])[name] not in RUNS:
                units.tell("start", name)
        elif group["state"] == "stopped" and runs[name] in RUNS:
            units.tell("stop", name)
    module.exit_json(changed=bool(units.turned), turned=units.turned, running=running)


if __name__ == "__main__":
    main()
