# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""diskshadow.exe, which comes with Windows Server (diskshadow documentation).

Whether it reads commands from a redirected standard input is not documented: assumed, as from its prompt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..vss import codes
from ..windows.errors import WinError
from .diskshadow_commands import run
from .diskshadow_script import expand, is_comment, lines_of, parse
from .diskshadow_session import CommandFailed, Exit, Killed, NotSimulated, Output, Session, UsageError
from .phrases import table
from .stdin import typed

if TYPE_CHECKING:
    from ..windows.processes import Invocation

_FAILED = 1  # the documentation names no exit codes; consumers test for other than 0


@dataclass(frozen=True)
class _Switches:
    script: str | None = None
    parameters: tuple[str, ...] = ()
    log: str | None = None


def main(call: Invocation) -> int:
    """Run diskshadow: a script (`/s`), or the commands on standard input; the exit code."""
    files = call.host.files.as_user(call.user, cwd=call.cwd)
    switches = _switches(call.argv[1:])
    options = call.host.vss.options
    encoding = options.diskshadow_log_encoding
    if encoding == "oem":
        encoding = call.host.language.encoding
    log = switches.log if switches else None
    try:
        out = Output(call, files, log, encoding, options.diskshadow_log_append)
    except WinError as error:
        call.out(error.localized(call.host.language.tag))
        return _FAILED
    session = Session(call, call.host.vss, files, out, switches.parameters if switches else ())
    try:
        return _run(session, switches)
    except Killed:
        return _FAILED
    finally:
        session.release_volatile()


def _run(session: Session, switches: _Switches | None) -> int:
    _banner(session)
    if switches is None:
        session.say("bad_switches")
        session.out.line()
        session.out.line(table("diskshadow")["usage"]["program"].rstrip("\n"))
        return _FAILED
    if not session.call.user.administrator:
        _failure(session, codes.E_ACCESSDENIED, None)
        return _FAILED
    if switches.script is None:
        return _interpret(session, typed(session.call), "DISKSHADOW> ", script=False)
    try:
        data = session.files.read(switches.script)
    except WinError:
        session.say("no_script", path=switches.script)
        return _FAILED
    codepage = f"cp{session.call.host.language.ansi_codepage}"
    return _interpret(session, lines_of(data, codepage), "-> ", script=True)


def _switches(arguments: list[str]) -> _Switches | None:
    """The command line; None when it is not understood."""
    script: str | None = None
    log: str | None = None
    parameters: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        switch = word.lower().replace("-", "/", 1)
        if switch == "/s" and rest and script is None:
            script = rest.pop(0)
        elif switch == "/l" and rest and log is None:
            log = rest.pop(0)
        elif script is not None and not word.startswith("/"):
            parameters.append(word)
        else:
            return None
    return _Switches(script, tuple(parameters), log)


def _banner(session: Session) -> None:
    session.say("banner")
    session.say("copyright")
    session.say("computer", name=session.call.host.name, date=session.date())
    session.out.line()


def _interpret(session: Session, lines: Iterable[str], prompt: str, *, script: bool) -> int:
    """Run the lines; the first failure ends a script, while someone at the prompt may go on."""
    code, ended = 0, False
    for line in lines:
        session.out.line(f"{prompt}{line}".rstrip())
        if is_comment(line):
            continue
        text, names = expand(line, session.value_of)
        for name in names:
            if session.is_alias(name):
                session.out.line(f"{prompt}%{name}% = {session.value_of(name)}")
        try:
            run(session, parse(text))
        except Exit:
            ended = True
            break
        except (UsageError, NotSimulated, CommandFailed) as problem:
            _report(session, problem)
            code = _FAILED
            if script:
                ended = True
                break
        else:
            code = 0
    if not ended:
        session.out.line(prompt.rstrip())
    if session.full and not session.completed:
        session.say("no_complete")
        session.say("exiting")
    return code


def _report(session: Session, problem: UsageError | NotSimulated | CommandFailed) -> None:
    if isinstance(problem, UsageError):
        session.out.line()
        session.out.line(table("diskshadow")["usage"][problem.command].rstrip("\n"))
    elif isinstance(problem, NotSimulated):
        text = f"vsslab does not simulate diskshadow's '{problem}'."
        session.out.line(text)
        session.call.err(text)
    elif problem.hresult is not None:
        _failure(session, problem.hresult, problem.name)


def _failure(session: Session, hresult: int, name: str | None) -> None:
    session.out.line()
    session.say("failed")
    session.say("hresult", code=f"{hresult:08x}")
    session.say("error_text", name=name or codes.name_of(hresult))
