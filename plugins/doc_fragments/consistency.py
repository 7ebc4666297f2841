# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of everything that makes shadow copies."""

from __future__ import annotations


class ModuleDocFragment:
    """How consistent a shadow copy must be, and how long others are waited for."""

    DOCUMENTATION = r"""
options:
  consistency:
    description:
      - What the shadow copies must be.
      - V(application) means that the applications took part through their VSS writers, so that their files are
        complete. Every writer in O(writers.require) must have taken part and none may have failed. When
        O(writers.require) is empty, every place must be spoken for by at least one writer that took part.
      - V(crash) means that the files are those that a power failure at that moment would have left.
      - When V(application) cannot be had, the task fails before anything is created, unless O(allow_downgrade=true).
        It needs Windows Server.
    type: str
    choices:
      - application
      - crash
    default: application
  allow_downgrade:
    description:
      - Accept shadow copies that are only crash-consistent where O(consistency=application) cannot be had.
      - The result says so in RV(ignore:consistency) and why in RV(ignore:consistency_reason). It never happens
        silently.
    type: bool
    default: false
  writers:
    description:
      - VSS writers that must take part, or must not.
      - Writers are named as C(vssadmin list writers) names them, or by their GUIDs.
    type: dict
    suboptions:
      require:
        description:
          - Writers without which the task fails.
        type: list
        elements: str
        default: []
      exclude:
        description:
          - Writers to leave out, for instance one that is broken and does not matter here.
        type: list
        elements: str
        default: []
      must_be_stable:
        description:
          - Fail when any writer that takes part has failed or is in the middle of somebody's snapshot, also when
            nothing rests on it. A writer that waits for the end of a backup is stable enough.
        type: bool
        default: false
  timeout:
    description:
      - How many seconds to wait, all in all, while another program makes shadow copies on the host. Windows makes only
        one at a time.
    type: int
    default: 600
"""
