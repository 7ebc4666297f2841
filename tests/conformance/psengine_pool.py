# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pypsrp runspace pool whose other end is the real PowerShell engine, without a network between them.

Needs two variables: PSENGINE (the unpacked engine's folder) and PSENGINE_TOOLS (the folder of its session.py). The
engine speaks PSRP on its standard input and output, one XML element a line; what only Windows has it asks of a world,
which is a function here: ``world(call, parameters) -> list of answers``.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import re
import socketserver
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

from pypsrp.powershell import RunspacePool
from pypsrp.wsman import NAMESPACES, SelectorSet

POOL = "00000000-0000-0000-0000-000000000000"


def available():
    return bool(os.environ.get("PSENGINE") and os.environ.get("PSENGINE_TOOLS"))


class _World(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class EngineShell:
    """What pypsrp's WinRS is to a pool: command, send, receive, signal, close."""

    def __init__(self, process):
        self.id = POOL
        self.resource_uri = "http://schemas.microsoft.com/powershell/Microsoft.PowerShell"
        self._selector_set = SelectorSet()
        self._process = process
        self._waiting = {}
        self._lock = threading.Lock()
        self.operations = []
        threading.Thread(target=self._read, daemon=True).start()

    def open(self, options, content):
        self._write(f"<Data Stream='Default' PSGuid='{POOL}'>{content.text}</Data>")

    def command(self, executable, arguments, no_shell=False, command_id=None):
        self.operations.append("Command")
        self._write(f"<Command PSGuid='{command_id}' />")
        self._box(f"ack {command_id}").get(timeout=20)  # data that comes before it would be lost
        self._write(f"<Data Stream='Default' PSGuid='{command_id}'>{arguments[0]}</Data>")
        rsp = NAMESPACES["rsp"]
        body = ET.Element("body")
        ET.SubElement(ET.SubElement(body, f"{{{rsp}}}CommandResponse"), f"{{{rsp}}}CommandId").text = command_id
        return body

    def send(self, stream, data, command_id=None, end=None):
        self.operations.append("Send")
        self._write(f"<Data Stream='Default' PSGuid='{command_id or POOL}'>{base64.b64encode(data).decode()}</Data>")

    def receive(self, stream="stdout", command_id=None, timeout=None):
        self.operations.append("Receive")
        box = self._box(command_id or POOL)
        try:
            data = [box.get(timeout=timeout or 20)]
        except queue.Empty:
            data = []
        return "", None, {"stdout": b"".join(data)}

    def signal(self, code, command_id):
        self.operations.append("Signal")
        self._write(f"<Signal PSGuid='{command_id}' />")

    def close(self):
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()

    def _box(self, guid):
        with self._lock:
            return self._waiting.setdefault(guid.upper(), queue.Queue())

    def _write(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self):
        for line in self._process.stdout:
            found = re.match(r"<Data .*?PSGuid='([^']+)'\s*>(.*)</Data>", line.strip(), re.IGNORECASE)
            if found:
                self._box(found[1]).put(base64.b64decode(found[2]))
            elif found := re.match(r"<CommandAck PSGuid='([^']+)'", line.strip(), re.IGNORECASE):
                self._box(f"ack {found[1]}").put(b"")


class EnginePool:
    """Context manager: an open pypsrp pool on a fresh engine."""

    def __init__(self, folder, world=None, language="full", visible=None):
        self._folder, self._world = Path(folder), world or (lambda call, parameters: [])
        self._language, self._visible = language, visible

    def __enter__(self):
        tools, engine = Path(os.environ["PSENGINE_TOOLS"]), Path(os.environ["PSENGINE"])
        words = [sys.executable, str(tools / "session.py"), str(self._folder), "--language", self._language]
        words += ["--engine", str(engine), *(["--visible", *self._visible] if self._visible else [])]
        subprocess.run(words, check=True)
        answer = self._world

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                for line in self.rfile:
                    message = json.loads(line)
                    if "call" not in message:
                        continue
                    code = 0
                    for item in answer(message["call"], message["parameters"]):
                        if "exit_code" in item:
                            code = item["exit_code"]
                        else:
                            self.wfile.write((json.dumps(item) + "\n").encode())
                    self.wfile.write((json.dumps({"done": True, "exit_code": code}) + "\n").encode())

        where = self._folder / "world"
        self._server = _World(str(where), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        environment = {**os.environ, "PSENGINE_WORLD": f"unix:{where}"}
        self.process = subprocess.Popen(
            [str(engine / "psengine"), "--init", str(self._folder / "session.ps1")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        wsman = SimpleNamespace(
            max_payload_size=300_000,
            max_envelope_size=512_000,
            update_max_payload_size=lambda size=None: None,
            transport=SimpleNamespace(endpoint="engine", encryption=None),
        )
        self.pool = RunspacePool(wsman)
        self.pool.shell = self.shell = EngineShell(self.process)
        self.pool.open()
        return self

    def __exit__(self, *_):
        self.shell.close()
        self._server.shutdown()
        self._server.server_close()
