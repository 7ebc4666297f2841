# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Volume Shadow Copy Service of the laboratory's hosts: writers, providers, shadow copies, storage areas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import cim
from .codes import Context, VssError, WriterState
from .coordinator import Coordinator
from .options import Limits, Options
from .writers import Component, FileSpec, Writer, WriterApp

if TYPE_CHECKING:
    from ..windows.host import Host

__all__ = [
    "Component",
    "Context",
    "Coordinator",
    "FileSpec",
    "Limits",
    "Options",
    "VssError",
    "Writer",
    "WriterApp",
    "WriterState",
    "install",
]


def install(host: Host, options: Options | Mapping[str, Any] | None = None) -> Coordinator:
    """Give a host its Volume Shadow Copy Service (`host.vss`) and the CIM classes of it."""
    settings = options if isinstance(options, Options) else Options.of(options or {})
    vss = Coordinator(host, settings)
    host.vss = vss
    host.previous_versions = vss.previous_version
    cim.register(host, vss)
    host.on_reboot.append(vss.reboot)
    host.on_boot.append(vss.reverts.boot)
    host.on_close.append(vss.close)
    return vss
