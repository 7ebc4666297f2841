# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pipeline as a client sent it: what the engine looks at of psrpcore's PowerShell and Command, and no more.

psrpcore's have properties as .NET objects do, each of which is looked up by name whenever it is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class SentCommand:
    """A command; the merges are numbers of PipelineResultTypes ([MS-PSRP] 2.2.3.31)."""

    command_text: str
    is_script: bool
    use_local_scope: bool | None
    merge_my: int = 0
    merge_to: int = 0
    merge_unclaimed: bool = False
    end_of_statement: bool = False
    parameters: list[tuple[str | None, Any]] = field(default_factory=list)


@dataclass(slots=True)
class SentPipeline:
    """Commands, and whether input will follow."""

    no_input: bool
    commands: list[SentCommand] = field(default_factory=list)
