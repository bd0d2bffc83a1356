"""Asks the box once a run which packages are there, and starts apt where one is missing; see modules/packages.py for what it takes."""

from typing import Any

from ansible.plugins.action import ActionBase  # type: ignore[import-untyped]  # comes without types

FACT = "tram_box_packages"
"""What is installed, from the first question of a run to its end; what apt brings meanwhile only adds to it."""


class ActionModule(ActionBase):  # type: ignore[misc]  # comes without types
    """The controller's half."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """No module start where everything asked for is known to be there, two where something is missing."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        names = list(self._task.args["names"])
        known = set((task_vars or {}).get("ansible_facts", {}).get(FACT, ()))
        if known.issuperset(names):
            return {**result, "changed": False, "missing": []}
        result.update(self._execute_module(task_vars=task_vars))
        there = result.pop("there", [])
        if result.get("failed"):
            return result
        missing = result["missing"]
        if missing:
            # All of them, not the missing alone: apt then marks none of them as brought along by another.
            asked = {"name": names, "state": "present", "install_recommends": False}
            asked["dpkg_options"] = self._task.args.get("dpkg_options", "force-confdef,force-confold")
            result.update(self._execute_module("ansible.builtin.apt", asked, task_vars=task_vars))
        return {**result, "missing": missing, "ansible_facts": {FACT: there}}
