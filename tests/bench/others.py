# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of others to compare with: collection ansible.windows, out of PyPI's package `ansible`, into a folder.

others.py FOLDER
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WANTED = "ansible_collections/ansible/windows/"


def main() -> None:
    """See the module."""
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "--dest", temporary, "ansible"], check=True)
        (wheel,) = Path(temporary).glob("ansible-*.whl")
        with zipfile.ZipFile(wheel) as package:
            names = [name for name in package.namelist() if name.startswith(WANTED)]
            if not names:
                raise SystemExit(f"{wheel.name} holds no ansible.windows: the package has changed.")
            package.extractall(folder, names)
    print(f"{wheel.name}: ansible.windows in {folder}")


if __name__ == "__main__":
    main()
