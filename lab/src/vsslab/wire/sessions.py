# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every PSRP shell is to WS-Management, whoever runs its pipelines ([MS-WSMV], [MS-PSRP] 2.2)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from vsslab.wire import soap
from vsslab.wire.outbox import Outbox
from vsslab.wire.settings import Settings
from vsslab.wire.shells import Shell, ShellRequest, Task
from vsslab.wire.wsman_faults import WsmanFault

if TYPE_CHECKING:
    from vsslab.engine.runspace import Runspace
    from vsslab.windows.host import Host
    from vsslab.windows.processes import Process
    from vsslab.windows.users import User

RESOURCE = "http://schemas.microsoft.com/powershell/"
"""What the name of a session configuration follows in the URI of its shells."""
NAMESPACE = "http://schemas.microsoft.com/powershell"
_STATIC = (
    ("MaxIdleTimeOut", "PT2147483.647S"),
    ("Locale", "en-US"),
    ("DataLocale", "en-US"),
    ("CompressionMode", "NoCompression"),
    ("ProfileLoaded", "Yes"),
    ("Encoding", "UTF8"),
)
_DETAILS = "".join(soap.element(name, value) for name, value in _STATIC)
RunspaceFactory = Callable[["Host", "User", str, str], "Runspace"]
"""Makes a runspace of a host for an account, a shell's id and the lower-case name of a session configuration."""


class _Killed(threading.Event):
    """The stop event of a session's process: whoever kills the process ends the session."""

    def __init__(self, gone: Callable[[], None]) -> None:
        super().__init__()
        self._gone = gone

    def set(self) -> None:
        super().set()
        self._gone()


class PoolShell(Shell):
    """One session: a shell whose commands are the pipelines of a runspace pool (`_creation`: its first fragments)."""

    input_streams = "stdin pr"
    output_streams = "stdout"

    def __init__(self, host: Host, owner: User, request: ShellRequest, settings: Settings) -> None:
        super().__init__(host, owner, request, settings)
        self._outbox = Outbox(settings.backlog)
        self._configuration = request.resource.removeprefix(RESOURCE).lower()
        creation = request.body.findtext(f"{{{NAMESPACE}}}creationXml")
        if creation is None:
            raise WsmanFault("psrp_broken", what="creationXml is missing")
        self._creation = soap.decode(creation)
        self._process: Process | None = None

    def enter(self, forget: Callable[[Shell], None]) -> None:
        """Show the session's own process, wsmprovhost.exe; `forget` the shell when somebody kills it.

        What runs in the session ends with it, a pending Receive as when a shell is closed (995, assumed).
        """
        image = f"{self.host.windows}\\system32\\wsmprovhost.exe -Embedding"
        self._process = self.host.processes.adopt("wsmprovhost.exe", image, self.owner, parent=864)

        def gone() -> None:
            for task in list(self.tasks.values()):  # at once: whoever kills may be one of them
                task.stop.set()
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(forget, self)
                self._loop.call_soon_threadsafe(self.kill)

        self._process.stop = _Killed(gone)

    def kill(self) -> list[Task]:
        """See Shell; the session's process ends too."""
        process, self._process = self._process, None
        if process is not None:
            self.host.processes.leave(process, process.exit_code or 0)
        return super().kill()

    @property
    def owner_text(self) -> str:
        """The owner with the domain (recorded)."""
        return self.owner.full_name

    def details(self) -> str:
        """What Windows tells of a session besides (recorded)."""
        state = "Connected" if self.connected else "Disconnected"
        return _DETAILS + soap.element("BufferMode", self.buffer_mode) + soap.element("State", state)

    def outboxes(self, tasks: list[Task]) -> list[Outbox]:
        """The pool's own messages and those of the commands."""
        return [self._outbox, *super().outboxes(tasks)]

    def source(self, command_id: str | None) -> Outbox:
        """The messages of a pipeline, or of the pool."""
        return self._outbox if command_id is None else self.unread(command_id).outbox
