# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listing shells and their commands (WS-Enumeration DSP0226 8; answers as recorded)."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from vsslab.wire import soap
from vsslab.wire.settings import Settings
from vsslab.wire.shells import Shell, ShellTable
from vsslab.wire.soap import Envelope, N, W
from vsslab.wire.wsman_faults import WsmanFault

if TYPE_CHECKING:
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

SHELLS, COMMANDS = soap.RSP, f"{soap.RSP}/Command"
_DEFAULT_BATCH = 20  # without MaxElements; assumed
_OPEN = 100  # enumerations nobody finishes are forgotten, oldest first
_ROOM = 4096


@dataclass
class _Open:
    user: str
    items: list[str]


class Enumerations:
    """The enumerations of one host that are not finished."""

    def __init__(self, host: Host, shells: ShellTable, settings: Settings) -> None:
        self._host, self._shells, self._settings = host, shells, settings
        self._open: OrderedDict[str, _Open] = OrderedDict()

    def enumerate(self, envelope: Envelope, user: User) -> str:
        """The body that answers Enumerate: a context, and the first items when they were asked for at once."""
        body = envelope.expect("Enumerate", N)
        if envelope.resource == SHELLS:
            items = [shell.describe() for shell in self._shells.seen_by(user)]
        elif envelope.resource == COMMANDS:
            items = self._commands(_filter(body), user)
        else:
            raise WsmanFault("unknown_resource", resource=envelope.resource, host=self._host.name)
        if body.find(f"{{{W}}}OptimizeEnumeration") is None:
            return _answer("EnumerateResponse", self._keep(user, items), "", done=False)
        batch, rest = self._cut(items, _elements(body, W), envelope)
        context = self._keep(user, rest) if rest else ""
        return _answer("EnumerateResponse", context, f"<w:Items>{''.join(batch)}</w:Items>", done=not rest)

    def pull(self, envelope: Envelope, user: User) -> str:
        """The body that answers Pull: the next items, and the context unless they are the last."""
        body = envelope.expect("Pull", N)
        items = self._take(body, user).items
        batch, rest = self._cut(items, _elements(body, N), envelope)
        context = self._keep(user, rest) if rest else ""
        return _answer("PullResponse", context, f"<n:Items>{''.join(batch)}</n:Items>", done=not rest)

    def release(self, envelope: Envelope, user: User) -> str:
        """Forget an enumeration."""
        self._take(envelope.expect("Release", N), user)
        return ""

    def _commands(self, shell_id: str, user: User) -> list[str]:
        shell = next((each for each in self._shells.seen_by(user) if each.id == shell_id), None)
        if shell is None:
            raise WsmanFault("unknown_shell", shell_id=shell_id)
        return [_command(shell, task.id) for task in shell.tasks.values() if not task.outbox.drained]

    def _keep(self, user: User, items: list[str]) -> str:
        context = f"uuid:{uuid.uuid4()}".upper().replace("UUID:", "uuid:")
        self._open[context] = _Open(user.sid, items)
        while len(self._open) > _OPEN:
            self._open.popitem(last=False)
        return context

    def _take(self, body: Element, user: User) -> _Open:
        context = (body.findtext(f"{{{N}}}EnumerationContext") or "").strip()
        found = self._open.get(context)
        if found is None or found.user != user.sid:
            raise WsmanFault("enumeration_closed")
        return self._open.pop(context)

    def _cut(self, items: list[str], wanted: int, envelope: Envelope) -> tuple[list[str], list[str]]:
        """So many items as were asked for and fit into the envelope, at least one; and the others."""
        largest = min(envelope.envelope_size or self._settings.max_envelope, self._settings.max_envelope)
        count, used = 0, _ROOM
        for item in items[: min(wanted, self._settings.max_batch)]:
            used += len(item)
            if count and used > largest:
                break
            count += 1
        return items[:count], items[count:]


def _command(shell: Shell, command_id: str) -> str:
    parts = [soap.element("CommandId", command_id), soap.element("CommandLine", shell.command_line(command_id)),
             soap.element("CommandState", "Running")]  # fmt: skip
    return f'<rsp:Command xmlns:rsp="{soap.RSP}">{"".join(parts)}</rsp:Command>'


def _filter(body: Element) -> str:
    selectors = body.findall(f"{{{W}}}Filter/{{{W}}}SelectorSet/{{{W}}}Selector")
    for selector in selectors:
        if selector.get("Name", "").lower() == "shellid":
            return (selector.text or "").strip().upper()
    raise WsmanFault("filter_expected")


def _elements(body: Element, namespace: str) -> int:
    text = (body.findtext(f"{{{namespace}}}MaxElements") or "").strip()
    return max(1, int(text)) if text.isdecimal() and len(text) < 10 else _DEFAULT_BATCH


def _answer(name: str, context: str, items: str, *, done: bool) -> str:
    """As Windows writes it (recorded): the context is there even when it is empty."""
    end = "" if not done else "<w:EndOfSequence/>" if name == "EnumerateResponse" else "<n:EndOfSequence/>"
    kept = f"<n:EnumerationContext>{context}</n:EnumerationContext>"
    return f"<n:{name}>{kept}{items}{end}</n:{name}>"
