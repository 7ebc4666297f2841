# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a WinRM service allows and how long it waits; every number can be changed for a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """Limits and times of the wire (seconds, bytes).

    The defaults are those of a Windows host ("Installation and configuration for Windows Remote Management",
    about_Session_Configurations, about_Remote_Troubleshooting); `coalesce` and `keepalive` are assumptions, because no
    document states them.
    """

    idle_drop: float = 120.0
    """A connection without a request in progress is closed after this time (HTTP.sys)."""
    coalesce: float = 0.05
    """Output that comes this soon after the first is answered by the same Receive."""
    keepalive: Literal["empty", "fault"] = "empty"
    """Answer to a Receive without output that asked for WSMAN_CMDSHELL_OPTION_KEEPALIVE: [MS-WSMV] speaks of an empty
    answer, recorded conversations with Windows 10 show the timeout fault; clients must live with both."""
    max_operation_timeout: float = 60.0
    """MaxTimeoutms."""
    max_envelope: int = 512_000
    """MaxEnvelopeSizekb, both directions."""
    max_shells_per_user: int = 30
    max_processes_per_shell: int = 25
    max_commands_per_shell: int = 1000
    """MaxConcurrentCommandsPerShell (WSMan:\\localhost\\Plugin\\microsoft.powershell\\Quotas): commands of one shell
    that are not read to their end; assumed for cmd shells too."""
    max_operations_per_user: int = 1500
    """MaxConcurrentOperationsPerUser: requests of one user in progress at a time."""
    max_users: int = 10
    """MaxConcurrentUsers: users that have shells at a time."""
    max_requests: int = 300
    """MaxConnections: requests in progress at a time on one host."""
    max_connections: int = 1000
    """TCP connections of one host at a time; one more is closed at once (HTTP.sys; the number is assumed)."""
    max_batch: int = 32_000
    """MaxBatchItems of an enumeration."""
    head_wait: float = 120.0
    """A request's header must be complete this long after its first byte (HTTP.sys HeaderWait)."""
    body_wait: float = 120.0
    """A request's body must be complete this long after its header (HTTP.sys EntityBody)."""
    shell_idle: float = 7200.0
    """IdleTimeout of a shell whose client asks for none."""
    shell_idle_range: tuple[float, float] = (60.0, 2147483.647)
    """What a client may ask for as idle timeout of a PowerShell session (MinIdleTimeout, MaxIdleTimeoutms)."""
    authentication: frozenset[str] = frozenset({"negotiate", "basic"})
    """What the service offers: negotiate (NTLM with it), basic, credssp, certificate.  Windows itself starts with
    negotiate (and kerberos, which the laboratory does not have) alone; certificate needs HTTPS."""
    allow_unencrypted: bool = False
    """AllowUnencrypted: plain messages and Basic without TLS."""
    cbt: Literal["none", "relaxed", "strict"] = "relaxed"
    """CbtHardeningLevel: none ignores channel bindings, relaxed refuses wrong ones, strict wants one over TLS."""
    max_object: int = 10 * 1024 * 1024
    """PSMaximumReceivedObjectSizeMB."""
    max_data_per_command: int = 50 * 1024 * 1024
    """PSMaximumReceivedDataSizePerCommandMB."""
    fragment: int = 32 * 1024
    """Largest PSRP fragment a server sends."""
    backlog: int = 8 * 1024 * 1024
    """A program or pipeline waits while this much of its output is not fetched (BufferMode Block)."""
    stop_patience: float = 10.0
    """How long a Delete waits for what runs in the shell to end."""
