"""Draws every file of a role on the controller and sends them to the box in one piece; see modules/files.py for what it takes."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail  # type: ignore[import-untyped]  # comes without types
from ansible.module_utils.parsing.convert_bool import boolean  # type: ignore[import-untyped]
from ansible.plugins.action import ActionBase  # type: ignore[import-untyped]
from ansible.template import generate_ansible_template_vars, trust_as_template  # type: ignore[import-untyped]

DRAWN = ("template", "copy", "content")
"""Entries whose bytes the controller has."""
HERE = ("each", "notify", "template", "copy", "content", "wanted")
"""Keys of an entry that the box need not see."""


def spread(entries: list[Mapping[str, Any]]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Every entry that is wanted, one for each of its `each` with the star replaced by that name, and what `item` is in its template."""
    for entry in entries:
        if not boolean(entry.get("wanted", True)):
            continue
        each = entry.get("each")
        if each is None:
            yield dict(entry), None
            continue
        for name, item in each.items() if isinstance(each, Mapping) else ((one, one) for one in each):
            starred = {key: entry[key].replace("*", name) for key in ("path", "template", "copy", "link") if key in entry}
            yield {**entry, **starred}, item


class ActionModule(ActionBase):  # type: ignore[misc]  # comes without types
    """The controller's half."""

    TRANSFERS_FILES = False
    _requires_connection = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """One module start for all entries; handlers of the entries that changed are told, and no other."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        entries = list(spread(self._task.args.get("files") or []))
        texts = [self._bytes(entry, item, known) for entry, item in entries]
        payload = json.dumps([None if one is None else base64.b64encode(one).decode() for one in texts])
        sent = [{key: value for key, value in entry.items() if key not in HERE} for entry, _ in entries]
        for entry, one in zip(sent, texts, strict=True):
            entry["file"] = one is not None
        answer = self._execute_module(module_args={"files": sent, "payload": payload}, task_vars=known)
        result.update(answer)
        changed = set(result.get("written", ()))
        told = [name for entry, _ in entries if entry["path"] in changed for name in _names(entry.get("notify"))]
        # What the executor hands to the strategy with this result: the handlers of these entries beside those of the task itself.
        self._task.notify = list(dict.fromkeys([*(self._task.notify or []), *told])) or None
        return result

    def _bytes(self, entry: Mapping[str, Any], item: Any, known: Mapping[str, Any]) -> bytes | None:
        """What the file is to hold; None where the entry is no file."""
        if len([key for key in (*DRAWN, "folder", "link", "absent") if entry.get(key) not in (None, False)]) != 1:
            raise AnsibleActionFail(f"{entry.get('path')}: exactly one of template, copy, content, folder, link, absent")
        if entry.get("content") is not None:
            return str(entry["content"]).encode()
        if entry.get("copy"):
            # Opened by Ansible's own loader: what is encrypted with ansible-vault lies there in the clear for this moment only.
            found = self._loader.get_real_file(self._find_needle("files", entry["copy"]))
            return Path(found).read_bytes()
        return self._drawn(entry, item, known).encode() if entry.get("template") else None

    def _drawn(self, entry: Mapping[str, Any], item: Any, known: Mapping[str, Any]) -> str:
        """A template as ansible.builtin.template draws it."""
        source = self._find_needle("templates", entry["template"])
        places = [*known.get("ansible_search_path", []), self._loader.get_basedir(), str(Path(source).parent)]
        search = [each for place in places for each in (str(Path(place) / "templates"), place)]
        variables = {**known, **generate_ansible_template_vars(entry["template"], source, entry["path"])}
        if item is not None:
            variables["item"] = item
        drawer = self._templar.copy_with_new_env(searchpath=search, available_variables=variables)
        text = trust_as_template(self._loader.get_text_file_contents(source))
        drawn = drawer.template(text, escape_backslashes=False, overrides={"trim_blocks": True, "lstrip_blocks": False})
        return "" if drawn is None else str(drawn)


def _names(notify: Any) -> list[str]:
    """One name or several."""
    return [notify] if isinstance(notify, str) else list(notify or ())
