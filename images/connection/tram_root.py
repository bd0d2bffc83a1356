"""Ansible's way into the root folder of an image: every command in a container of systemd-nspawn that boots nothing.

The folder's own programs run, under its own paths; what a role would load into a kernel (the allow-list, sysctl) meets a network
and a /proc of the container's own, so the machine that builds is not changed. systemctl knows that no systemd runs and
enables only. Needs root; for another processor also qemu-user-static, registered in binfmt_misc.
"""

import os
import shlex

from ansible.plugins.connection.local import Connection as Local  # type: ignore[import-untyped]  # comes without types

DOCUMENTATION = """
name: tram_root
short_description: the root folder of an image
description:
  - Every command in a container of systemd-nspawn that boots nothing; ansible_host is the folder.
author: Tram
version_added: "1"
options: {}
extends_documentation_fragment:
  - connection_pipelining
"""


def inside(root: str, command: str) -> str:
    """The command that runs `command` (a shell's) in the folder `root`; sshd's own check wants /run/sshd, which a boot would make."""
    how = (
        "systemd-nspawn --quiet --keep-unit --register=no --private-network --resolv-conf=off --timezone=off --link-journal=no"
        " --console=pipe --setenv=SYSTEMD_OFFLINE=1 --setenv=LC_ALL=C.UTF-8 ${QEMU_CPU:+--setenv=QEMU_CPU}"
    )
    return f"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 {how} -D {shlex.quote(root)} /bin/sh -c {shlex.quote('mkdir -p /run/sshd; ' + command)}"


class Connection(Local):  # type: ignore[misc]  # Ansible's classes have no types
    """The image's root folder as a host."""

    transport = "tram_root"
    has_pipelining = True

    @property
    def root(self) -> str:
        """The folder: the inventory's ansible_host."""
        return str(self._play_context.remote_addr)

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command in the image; exit code, what it printed, what it complained."""
        found: tuple[int, bytes, bytes] = super().exec_command(inside(self.root, cmd), in_data, sudoable)
        return found

    def put_file(self, in_path: str, out_path: str) -> None:
        """A file of this machine into the image."""
        super().put_file(in_path, self._place(out_path))

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """A file of the image onto this machine."""
        super().fetch_file(self._place(in_path), out_path)

    def _place(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))
