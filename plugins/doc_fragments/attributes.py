# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of this collection says about itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes that are the same for every module; check_mode, diff_mode and idempotent are told by each."""

    DOCUMENTATION = r"""
options: {}
attributes:
  action:
    description: The work is done by an action plugin on the controller.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: none
    details:
      - Work that has to outlive the connection runs in a scheduled task on the host anyway.
  become:
    description: Is usable alongside the C(become) keywords.
    support: none
    details:
      - C(become) needs scripts on the host, and this collection sends none. Connect as an administrator.
  bypass_host_loop:
    description: Runs once for all hosts of a batch.
    support: none
  platform:
    description: The operating systems that this module works on.
    platforms: windows
    support: full
requirements:
  - On the controller, Python library C(pypsrp) 0.8.1 or newer.
  - On the controller, Python library C(pywinrm) 0.4.3 or newer, for the C(winrm) connection only.
  - On the host, Windows Server 2016, Windows 10 or newer.
notes:
  - The host is reached over the P(ansible.builtin.psrp#connection) or the P(ansible.builtin.winrm#connection)
    connection.
  - Only typed commands are sent to the host, never scripts.
  - The user must be a member of the host's Administrators with full rights. For local accounts other than the built-in
    Administrator this needs the registry value C(LocalAccountTokenFilterPolicy), as Ansible's own setup guide for
    Windows explains.
  - From verbosity 2 (C(-vv)) on, the result holds RV(ignore:wire) with what the task has cost on the wire.
"""

    # A second fragment of the same file: extends_documentation_fragment umbra.vss.attributes.changes
    CHANGES = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tell what would be done without changing anything.
    support: full
  diff_mode:
    description: Returns what has changed, or would, when in diff mode.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""
