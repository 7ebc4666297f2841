# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the processor seconds that Ansible's loader needs for one action, what it builds on being imported already."""

from __future__ import annotations

import sys
import time

import ansible.cli.playbook  # noqa: F401
import pypsrp.powershell
import pypsrp.wsman  # noqa: F401
from ansible.plugins.loader import action_loader, init_plugin_loader

init_plugin_loader()
began = time.process_time()
assert action_loader.get(f"umbra.vss.{sys.argv[1]}", class_only=True) is not None
print(time.process_time() - began)
