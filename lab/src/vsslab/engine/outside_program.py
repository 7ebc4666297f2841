# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of a laboratory's host as a real engine sees it: an executable whose work is done by the world.

Run under the program's name.  It hands its arguments and what it is piped to the world (PSENGINE_WORLD), prints what
comes back, and exits with the world's exit code.  It needs nothing but Python's standard library.
"""

import json
import os
import socket
import sys


def piped() -> str:
    """What was piped to it; nothing when its standard input is that of the engine, which holds the protocol."""
    try:
        mine, engine = os.fstat(0), os.stat(f"/proc/{os.getppid()}/fd/0")
    except OSError:
        return ""
    if (mine.st_dev, mine.st_ino) == (engine.st_dev, engine.st_ino):
        return ""
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def main() -> int:
    """Ask the world; its exit code as a process has one."""
    link = socket.socket(socket.AF_UNIX)
    link.connect(os.environ["PSENGINE_WORLD"][len("unix:") :])
    lines = link.makefile("rw", encoding="utf-8", newline="\n")
    hello = {"hello": "winexe", "host": os.environ.get("PSENGINE_HOST")}
    asked = {"call": os.path.basename(sys.argv[0]), "parameters": {"Arguments": sys.argv[1:], "Input": piped()}}
    lines.write(json.dumps(hello) + "\n" + json.dumps(asked) + "\n")
    lines.flush()
    for line in lines:
        message = json.loads(line)
        if "output" in message:
            print(message["output"], flush=True)
        elif "error" in message:
            print(message["error"]["message"], file=sys.stderr, flush=True)
        if "done" in message:
            return int(message.get("exit_code") or 0)
    return 255


if __name__ == "__main__":
    sys.exit(main())
