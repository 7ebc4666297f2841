# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the small administrative programs share: words, refusals, errors, the demand for an administrator."""

from __future__ import annotations

import ntpath
from collections.abc import Callable, Mapping
from typing import Any

from ..windows.errors import ACCESS_DENIED, WinError
from ..windows.processes import Invocation
from .phrases import words

Verb = Callable[["Tool"], int]


class Tool:
    """One run of such a program; `arguments` are those behind the verb."""

    def __init__(self, call: Invocation, arguments: list[str]) -> None:
        self.call = call
        self.host = call.host
        self.arguments = arguments
        self.words: Mapping[str, Any] = words("tools", call.host.language.short)
        self.name = ntpath.basename(call.argv[0]).rpartition(".")[0].lower()

    def say(self, key: str, **values: object) -> None:
        """Print a text of the table."""
        self.call.out(str(self.words[key]).format(**values))

    def complain(self, key: str, **values: object) -> None:
        """The same on standard error."""
        self.call.err(str(self.words[key]).format(**values))

    def message(self, problem: WinError) -> str:
        """The system's message of an error in the host's language."""
        return problem.localized(self.host.language.tag)

    def demand_administrator(self) -> None:
        """WinError 5 for everybody else."""
        if not self.call.user.administrator:
            raise WinError(ACCESS_DENIED, self.name)

    def refuse(self, what: str) -> int:
        """Say that something is real and not simulated."""
        self.host.refusals[f"{self.name} {what}".lower()] += 1
        self.call.err(f"vsslab does not simulate {self.name} {what}.")
        return 1

    def switch(self, name: str) -> bool:
        """Take a switch such as /y out of the arguments; True when it was there."""
        found = [each for each in self.arguments if each.lower() == name]
        self.arguments = [each for each in self.arguments if each.lower() != name]
        return bool(found)

    def value(self, *names: str) -> str | None:
        """Take a switch with its value out of the arguments (`/tn name`, `/c:5`); None when it is not there."""
        for at, each in enumerate(self.arguments):
            if each.lower() in names and at + 1 < len(self.arguments):
                found = self.arguments[at + 1]
                del self.arguments[at : at + 2]
                return found
            name, colon, value = each.partition(":")
            if colon and name.lower() in names:
                del self.arguments[at]
                return value
        return None


def dispatch(call: Invocation, verbs: Mapping[str, Verb], depth: int = 1) -> int:
    """Run the verb that a command line begins with (`depth` words); what is no verb here is refused by its name."""
    for count in range(depth, 0, -1):
        key = " ".join(each.lower() for each in call.argv[1 : 1 + count])
        if key in verbs:
            return verbs[key](Tool(call, list(call.argv[1 + count :])))
    tool = Tool(call, [])
    return tool.refuse(" ".join(call.argv[1 : 1 + depth]) or "without a command")
