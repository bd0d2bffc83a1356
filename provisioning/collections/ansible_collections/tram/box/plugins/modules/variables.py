#!/usr/bin/python
"""What tram.box.variables takes; all it does is done on the controller."""

DOCUMENTATION = r"""
module: variables
short_description: The variables of many roles against their own descriptions
description:
  - Reads meta/argument_specs.yml of each role. What is wrong is said with the description of the variable, whose last sentence is an
    example; nothing has been changed by then, and the machine was not spoken to.
options:
  roles:
    description: The roles.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Look at the variables of two roles
  tram.box.variables:
    roles: [base, clock]
"""

RETURN = r""" # """
