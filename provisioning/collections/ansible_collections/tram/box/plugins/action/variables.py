"""Compares what is given with what every role expects, in one task; see modules/variables.py for what it takes."""

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # comes with ansible-core, without types
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator  # type: ignore[import-untyped]  # comes without types
from ansible.plugins.action import ActionBase  # type: ignore[import-untyped]


class ActionModule(ActionBase):  # type: ignore[misc]  # comes without types
    """The controller alone: the machine is not spoken to."""

    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Every wrong variable of every role, each with its description, whose last sentence is an example."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        said = [line for role in self._task.args["roles"] for line in self._wrong(role, task_vars or {})]
        result.update(changed=False, failed=bool(said), msg=said or "every variable is one its role takes")
        return result

    def _wrong(self, role: str, known: dict[str, Any]) -> list[str]:
        """What is wrong for one role: the errors, then the descriptions of the variables they name."""
        file = Path(self._loader.get_basedir()) / "roles" / role / "meta/argument_specs.yml"
        options = yaml.safe_load(file.read_text("utf-8"))["argument_specs"]["main"]["options"]
        given = self._templar.template({name: known[name] for name in options if name in known})
        errors = [str(each) for each in ArgumentSpecValidator(options).validate(given, validate_role_argument_spec=True).error_messages]
        named = [one for name, one in options.items() if any(name in error for error in errors)]
        return errors + [" ".join(one["description"]) for one in named]
