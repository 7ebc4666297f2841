# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disconnect, Reconnect and Connect of shells ([MS-WSMV] 3.1.4.15-17), and how long shells may idle."""

from __future__ import annotations

from vsslab.wire import soap
from vsslab.wire.settings import Settings
from vsslab.wire.shells import Shell
from vsslab.wire.soap import Envelope
from vsslab.wire.wsman_faults import WsmanFault

_MODES = {"": "", "block": "Block", "drop": "Drop"}


def idle_timeout(text: str, settings: Settings, *, bounded: bool) -> float | None:
    """The IdleTimeOut a client asked for (seconds), None for none.

    PowerShell sessions keep within the bounds of their configuration (New-PSTransportOption -MaxIdleTimeoutSec; the
    least is a minute), else the fault ERROR_WINRS_IDLETIMEOUT_OUTOFBOUNDS.
    """
    asked = soap.seconds(text.strip())
    if asked is None:
        return None
    least, most = settings.shell_idle_range
    if bounded and not min(least, settings.shell_idle) <= asked <= most:
        raise WsmanFault("idle_timeout_range")
    return asked


def disconnect(shell: Shell, envelope: Envelope, settings: Settings) -> None:
    """Suspend a shell.  The body may change its idle timeout and buffer mode."""
    body = envelope.expect("Disconnect")
    found = {name.lower(): text for name, text in ((e.tag.rpartition("}")[2], e.text or "") for e in body)}
    mode = _MODES.get(found.get("buffermode", "").strip().lower())
    if mode is None:
        raise WsmanFault("invalid_message", what="BufferMode is neither Block nor Drop")
    shell.disconnect(envelope.session, idle_timeout(found.get("idletimeout", ""), settings, bounded=True), mode)


def reconnect(shell: Shell, envelope: Envelope) -> None:
    """Resume a shell for the client that disconnected it; a command named in the body must exist."""
    shell.reconnect(envelope.session)
    command = envelope.body.get("CommandId") if envelope.body is not None else None
    if command:
        shell.task(command)


def connect(shell: Shell, envelope: Envelope) -> str:
    """Attach a client that knows nothing yet to a shell, or (CommandId) to one of its commands; the answer's body."""
    body = envelope.expect("Connect")
    command = body.get("CommandId")
    if not command:
        return f"<rsp:ConnectResponse>{shell.connect(envelope.session, body)}</rsp:ConnectResponse>"
    shell.need_connection()
    shell.check_session(envelope.session)
    shell.task(command)
    return "<rsp:ConnectResponse/>"
