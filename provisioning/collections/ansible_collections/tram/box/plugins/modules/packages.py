#!/usr/bin/python
"""Which of Debian's packages are missing: the looking half of tram.box.packages."""

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]  # comes without types

DOCUMENTATION = r"""
module: packages
short_description: Packages of Debian that must be there
description:
  - dpkg is asked once in a run for all that is there, whatever the roles ask for afterwards.
  - Only where one is missing ansible.builtin.apt is started, which opens apt's lists and takes seconds on a small box.
options:
  names:
    description: The packages.
    type: list
    elements: str
    required: true
  dpkg_options:
    description: What apt tells dpkg about settings that are there already.
    type: str
    default: force-confdef,force-confold
"""

EXAMPLES = r"""
- name: Install what every machine has
  tram.box.packages:
    names: [nftables, python3-apt]
"""

RETURN = r"""
missing:
  description: Those that were not there.
  type: list
  returned: always
there:
  description: Every package that is installed.
  type: list
  returned: where dpkg was asked
"""


def main() -> None:
    """dpkg's word on each."""
    spec = {
        "names": {"type": "list", "elements": "str", "required": True},
        "dpkg_options": {"type": "str", "default": "force-confdef,force-confold"},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    _, out, _ = module.run_command(["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\\n"], check_rc=True)
    there = sorted({line.split()[0] for line in out.splitlines() if line.endswith(" installed")})
    module.exit_json(changed=False, there=there, missing=[name for name in module.params["names"] if name not in there])


if __name__ == "__main__":
    main()
