# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with VSS, and a short way to run vssadmin on it; the fixture `make_tool` finds the class by its name."""

from __future__ import annotations

import threading

from vsslab import programs, vss
from vsslab.vss import Context
from vsslab.windows.host import Host


class Tool:
    def __init__(self, root, profile="server2022", language="en-US", **options):
        self.host = Host(
            "fs01",
            root,
            profile=profile,
            language=language,
            volumes=[
                {"letter": "C"},
                {"letter": "D"},
                {"label": "mounted", "mounts": ["C:\\mnt\\data\\"]},
                {"letter": "F", "file_system": "FAT32"},
            ],
            users=[{"name": "admin", "password": "x", "administrator": True}, {"name": "bob", "password": "y"}],
        )
        self.vss = vss.install(self.host, options)
        programs.register(self.host)

    def run(self, line, user="admin", stdin=""):
        self.lines, self.errors = [], []
        self.code = self.host.processes.run(
            ["vssadmin.exe", *line.split()],
            self.host.users.find(user),
            out=self.lines.append,
            err=self.errors.append,
            stdin=stdin,
            stop=threading.Event(),
        )
        assert self.lines[2] == ""
        self.lines = self.lines[3:]
        return self.lines

    def create(self, context=Context.CLIENT_ACCESSIBLE, name="C:"):
        return self.vss.create("test", [self.vss.volume(name)], context).shadows[0]
