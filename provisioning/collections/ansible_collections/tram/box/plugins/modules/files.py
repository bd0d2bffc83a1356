#!/usr/bin/python
"""The box's half of tram.box.files: compares, and writes what differs, each file whole or not at all."""

import base64
import grp
import json
import os
import pwd
import shlex
import shutil
import stat
from contextlib import suppress
from typing import Any

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]  # comes without types

DOCUMENTATION = r"""
module: files
short_description: All files, folders, links and removals of a role in one piece
description:
  - Templates are drawn on the controller and sent together; the box compares content, owner, group and mode and writes only what
    differs. A file is written beside its place, synced and renamed, so that a power cut leaves the old one or the new one.
  - Works in check mode, shows differences with --diff, and changes nothing the second time.
options:
  files:
    description: The entries, done in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: "Where it goes; a star stands for each name of each.", type: path, required: true}
      template: {description: "A template of the role that is drawn there.", type: str}
      copy: {description: "A file of the controller that is brought there.", type: str}
      content: {description: "The text itself.", type: str}
      folder: {description: "A folder is made.", type: bool}
      link: {description: "What a symbolic link there points to.", type: str}
      absent: {description: "Whatever is there is taken away.", type: bool}
      each: {description: "Names, or names with a value; C(item) is the name or its value in the template.", type: raw}
      wanted: {description: "Whether the entry counts.", type: bool, default: true}
      owner: {description: "Whom it belongs to.", type: str, default: root}
      group: {description: "Its group.", type: str, default: root}
      mode: {description: "Four octal digits; else 0644, and 0755 of a folder.", type: str}
      keep: {description: "What is there already stays as it is.", type: bool, default: false}
      hidden: {description: "Its content is shown by no difference.", type: bool, default: false}
      validate: {description: "A command with %s for the new file; where it fails nothing is written.", type: str}
      apply:
        description: A command that is run after this entry every time, with %s for the path; it changed something where it says Creating.
        type: str
      notify: {description: "Handlers that are told when this entry changed.", type: raw}
      file: {description: "Said by the controller's half.", type: bool, default: false}
  payload:
    description: Said by the controller's half, the contents.
    type: str
"""

EXAMPLES = r"""
- name: Write the units
  tram.box.files:
    files:
      - template: "*.j2"
        path: /etc/systemd/system/*
        each: [tram-a.service, tram-a.timer]
        notify: Read the units again
"""

RETURN = r"""
written:
  description: The paths that changed.
  type: list
  returned: always
"""

ENTRY: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "template": {"type": "str"},
    "copy": {"type": "str"},
    "content": {"type": "str"},
    "folder": {"type": "bool"},
    "link": {"type": "str"},
    "absent": {"type": "bool"},
    "each": {"type": "raw"},
    "wanted": {"type": "bool", "default": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str"},
    "keep": {"type": "bool", "default": False},
    "hidden": {"type": "bool", "default": False},
    "validate": {"type": "str"},
    "apply": {"type": "str"},
    "notify": {"type": "raw"},
    "file": {"type": "bool", "default": False},
}


class Place:
    """One entry against what is there."""

    def __init__(self, module: Any, entry: dict[str, Any], content: bytes | None) -> None:
        """`content` is None where the entry is no file."""
        self.module, self.entry, self.content = module, entry, content
        self.path: str = entry["path"]
        self.mode = int(entry["mode"] or ("0755" if entry["folder"] else "0644"), 8)
        self.shown: dict[str, str] | None = None

    def done(self) -> bool:
        """Make it so; whether anything was to do."""
        if self.entry["absent"]:
            return self._gone()
        if self.entry["link"] is not None:
            return self._linked()
        return self._folder() if self.entry["folder"] else self._file()

    def applied(self) -> bool:
        """Run what comes after it (systemd-sysusers, systemd-tmpfiles); whether that made something."""
        if not self.entry["apply"] or self.module.check_mode:
            return False
        code, out, err = self.module.run_command([part.replace("%s", self.path) for part in shlex.split(self.entry["apply"])])
        if code:
            self.module.fail_json(msg=f"{self.entry['apply']}: {(err or out).strip()}", path=self.path)
        return "Creating" in out + err

    def _gone(self) -> bool:
        if not os.path.lexists(self.path):
            return False
        if not self.module.check_mode:
            if os.path.isdir(self.path) and not os.path.islink(self.path):
                shutil.rmtree(self.path)
            else:
                os.unlink(self.path)
            self._sync_folder()
        return True

    def _linked(self) -> bool:
        target = self.entry["link"]
        if os.path.islink(self.path) and os.readlink(self.path) == target:
            return False
        if not self.module.check_mode:
            beside = self._beside()
            os.symlink(target, beside)
            self._put(beside)
        return True

    def _folder(self) -> bool:
        if not os.path.isdir(self.path):
            if not self.module.check_mode:
                os.makedirs(self.path, 0o755)
                self._owned()
            return True
        return False if self.entry["keep"] else self._owned()

    def _file(self) -> bool:
        there = self._there()
        if there is not None and (self.entry["keep"] or there == self.content):
            return False if self.entry["keep"] else self._owned()
        self._note(there)
        if not self.module.check_mode:
            self._write()
        return True

    def _there(self) -> bytes | None:
        """The content of a plain file; None where there is none."""
        try:
            what = os.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(what.st_mode):
            return None
        with open(self.path, "rb") as file:
            return file.read()

    def _write(self) -> None:
        beside = self._beside()
        owner, group = self._numbers()
        line = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(line, "wb") as file:
            file.write(self.content or b"")
            file.flush()
            os.fchown(line, owner, group)
            os.fchmod(line, self.mode)
            os.fsync(line)
        if self.entry["validate"]:
            code, out, err = self.module.run_command([part.replace("%s", beside) for part in shlex.split(self.entry["validate"])])
            if code:
                os.unlink(beside)
                self.module.fail_json(msg=f"{self.path}: not accepted, and not written: {(err or out).strip()}", path=self.path)
        self._put(beside)

    def _beside(self) -> str:
        """A name beside the place that no program reads; what a cut left under it is taken away."""
        folder, name = os.path.split(self.path)
        beside = os.path.join(folder, f".{name}.tram-new")
        with suppress(FileNotFoundError):
            os.unlink(beside)
        return beside

    def _put(self, beside: str) -> None:
        os.rename(beside, self.path)
        self._sync_folder()

    def _sync_folder(self) -> None:
        line = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(line)
        finally:
            os.close(line)

    def _numbers(self) -> tuple[int, int]:
        return pwd.getpwnam(self.entry["owner"]).pw_uid, grp.getgrnam(self.entry["group"]).gr_gid

    def _owned(self) -> bool:
        """Owner, group and mode."""
        what = os.stat(self.path)
        try:
            owner, group = self._numbers()
        except KeyError:
            if self.module.check_mode:
                return True  # the user is made by the run itself
            raise
        if (what.st_uid, what.st_gid, stat.S_IMODE(what.st_mode)) == (owner, group, self.mode):
            return False
        if not self.module.check_mode:
            os.chown(self.path, owner, group)
            os.chmod(self.path, self.mode)
        return True

    def _note(self, there: bytes | None) -> None:
        # Ansible's own name for --diff; it has no other.
        if self.module._diff and not self.entry["hidden"]:  # noqa: SLF001
            before, after = (there or b"").decode(errors="replace"), (self.content or b"").decode(errors="replace")
            self.shown = {"before": before, "after": after, "before_header": self.path, "after_header": self.path}


def main() -> None:
    """All entries in order."""
    spec = {"files": {"type": "list", "elements": "dict", "required": True, "options": ENTRY}, "payload": {"type": "str", "no_log": True}}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    entries = module.params["files"]
    texts = json.loads(module.params["payload"] or "[]")
    written, shown = [], []
    for entry, text in zip(entries, texts, strict=True):
        place = Place(module, entry, None if text is None else base64.b64decode(text))
        try:
            changed = place.done()
            changed = place.applied() or changed
        except (OSError, KeyError) as error:
            module.fail_json(msg=f"{entry['path']}: {error}", path=entry["path"], written=written)
        if changed:
            written.append(entry["path"])
        if place.shown:
            shown.append(place.shown)
    module.exit_json(changed=bool(written), written=written, diff=shown)


if __name__ == "__main__":
    main()
