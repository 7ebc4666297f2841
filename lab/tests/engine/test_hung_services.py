# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that hangs while it stops shows as pending, and -NoWait does not wait for it."""

from __future__ import annotations

from vsslab.windows.host import Host

from .harness import Session, cmd


def test_no_wait_leaves_a_service_stopping(session: Session, host: Host) -> None:
    host.services.start("VSS")
    host.services.configure("VSS", stop_seconds=600.0)
    assert session.run(cmd("Stop-Service", Name="VSS", NoWait=True)).errors == []
    (shown,) = session.run(cmd("Get-Service", Name="VSS")).output
    assert str(shown.props["Status"]) == "StopPending"
    again = session.run(cmd("Stop-Service", Name="VSS"))
    assert again.errors == ["CouldNotStopService,Microsoft.PowerShell.Commands.StopServiceCommand"]
