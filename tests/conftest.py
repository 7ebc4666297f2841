# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the collection where Ansible's own finder looks, whatever the checkout is called and wherever it lies.

Unless that has been done: ansible-test does it itself.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from ansible.plugins.loader import init_plugin_loader
from ansible.utils.collection_loader import AnsibleCollectionConfig

if AnsibleCollectionConfig.collection_finder is None:
    _TREE = Path(tempfile.mkdtemp(prefix="umbra-tree-"))
    atexit.register(shutil.rmtree, _TREE, ignore_errors=True)
    (_TREE / "ansible_collections" / "umbra").mkdir(parents=True)
    (_TREE / "ansible_collections" / "umbra" / "vss").symlink_to(Path(__file__).resolve().parents[1])
    init_plugin_loader([str(_TREE)])
