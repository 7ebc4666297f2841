# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's programs in a folder, without a trace on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SYSTEM = ("/var/lib/dpkg/status", "/var/lib/apt/lists", "/var/lib/apt/extended_states", "/var/cache/apt",
          "/var/cache/apt/archives", "/var/log/apt")  # fmt: skip


def machine():
    return {each: os.stat(each).st_mtime_ns if Path(each).exists() else None for each in SYSTEM}


def test_a_package_is_unpacked_once_and_the_machine_is_as_it_was(debian_tools, tmp_path):
    before = machine()
    try:
        root = debian_tools.provide(["hello"], tmp_path)
    except debian_tools.Unavailable as error:
        pytest.skip(str(error))
    assert machine() == before
    program = root / "usr" / "bin" / "hello"
    said = subprocess.run([program], env=debian_tools.environment(root), capture_output=True, text=True, check=True)
    assert said.stdout == "Hello, world!\n"
    first = program.stat().st_mtime_ns, program.stat().st_ino
    assert debian_tools.provide(["hello"], tmp_path) == root
    assert (program.stat().st_mtime_ns, program.stat().st_ino) == first
    with pytest.raises(debian_tools.Unavailable, match=r"no-such-package cannot be fetched: .*Unable to locate"):
        debian_tools.provide(["no-such-package"], tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == [".lock", "apt", root.name]


def test_where_there_is_no_apt_one_sentence_says_so(debian_tools, tmp_path):
    done = subprocess.run(
        [sys.executable, debian_tools.__file__, "--into", tmp_path, "hello"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr == "debian_tools: This machine has no apt-get, so Debian's packages cannot be used.\n"


def test_libraries_of_a_package_are_found_also_in_folders_of_their_own(debian_tools, tmp_path):
    private = tmp_path / "usr" / "lib" / "x86_64-linux-gnu" / "pulseaudio"
    private.mkdir(parents=True)
    (private / "libpulsecommon.so").touch()
    found = debian_tools.environment(tmp_path, {"LD_LIBRARY_PATH": "/opt/mine", "HOME": "/root"})
    assert found["LD_LIBRARY_PATH"] == f"{private.parent}:{private}:/opt/mine"
    assert found["HOME"] == "/root"
