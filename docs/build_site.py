# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the documentation site: ``python docs/build_site.py FOLDER``; the site is FOLDER/build/html.

antsibull-docs makes pages of the modules and the guides, Sphinx makes the site of them. A warning is an error, so a
reference that leads nowhere is one. Nothing is asked of the network: where Ansible's own pages are is told below.
"""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

OUTSIDE = "https://docs.ansible.com/projects/ansible/latest/"
# What the pages of modules refer to in Ansible's own documentation: label, page, title.
_LABELS = (
    ("action_plugins", "plugins/action.html", "Action plugins"),
    ("ansible_configuration_settings", "reference_appendices/config.html", "Ansible Configuration Settings"),
    ("common_return_values", "reference_appendices/common_return_values.html", "Return Values"),
    *(
        (
            f"ansible_collections.ansible.builtin.{name}_connection",
            f"collections/ansible/builtin/{name}_connection.html",
            f"ansible.builtin.{name} connection",
        )
        for name in ("psrp", "winrm")
    ),
)
_SETTINGS = f"""
# Written by docs/build_site.py
intersphinx_mapping = {{"ansible": ({OUTSIDE!r}, "../ansible.inv")}}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_title = project
"""
# The theme has a table of contents beside every page; those in the pages, made for Ansible's own theme, are hidden.
_STYLE = """\
article nav.contents, article div.contents { display: none; }
article h1 { font-size: 1.9em; }
article h2 { font-size: 1.5em; }
article h3 { font-size: 1.2em; }
article table.docutils td:first-child { overflow-wrap: anywhere; }
@media (max-width: 46em) { article table.docutils:not(.ansible-option-table) { min-width: 38em; } }
"""


def inventory() -> bytes:
    """An inventory of Sphinx (version 2) with the labels."""
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = "".join(f"{label} std:label -1 {page} {title}\n" for label, page, title in _LABELS)
    return head.encode() + zlib.compress(lines.encode())


def main(folder: Path) -> int:
    """Build it; the exit code of the part that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    call = ["antsibull-docs", "sphinx-init", "--use-current", "--squash-hierarchy", "--fail-on-error", "--no-indexes"]
    call += ["--sphinx-theme", "furo", "--project", "umbra.vss", "--copyright", "umbra contributors"]
    made = subprocess.run([*call, "--dest-dir", str(folder), "umbra.vss"], check=False, stdout=subprocess.DEVNULL)
    if made.returncode:
        return made.returncode
    with (folder / "conf.py").open("a", encoding="utf-8") as settings:
        settings.write(_SETTINGS)
    (folder / "ansible.inv").write_bytes(inventory())
    (folder / "static").mkdir(exist_ok=True)
    (folder / "static" / "site.css").write_text(_STYLE, encoding="utf-8")
    built = subprocess.run(["bash", "build.sh"], cwd=folder, check=False, stdout=subprocess.DEVNULL)
    return built.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
