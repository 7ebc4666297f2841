# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A runspace: one session of Windows PowerShell 5.1 on a host, as an endpoint without a language offers it.

What it promises was measured with the real engine: the order of statements, the special first of several, what ends a
pipeline and what does not.  Script text is always refused.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vsslab import incidents
from vsslab.windows.endpoints import DEFAULT
from vsslab.windows.errors import WinError

from . import signatures
from .clixml import from_wire, to_wire
from .command import Call, Sink
from .commands import load
from .errors import ErrorInfo, PipelineFailed, PipelineStopped, PowerShellError, text
from .native import ProgramStage
from .pipeline import Asked, CmdletStage, Context, run
from .roles import Restriction
from .sent import SentPipeline
from .values import EnumValue, Obj, Secret, Version, text_of

if TYPE_CHECKING:
    from psrpcore import PowerShell

    from vsslab.trace import Trace
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

_NO_SCRIPTS = "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode."
_NO_GLOBAL_SCOPE = "UseLocalScope cannot be false when language mode is RestrictedLanguage or NoLanguage."
_REDIRECTED = "the redirection of a stream (MergeMyResult and its like)"
_VERSION_FACTS = {"PSRemotingProtocolVersion": "2.3", "SerializationVersion": "1.1.0.1", "WSManStackVersion": "3.0",
                  "CLRVersion": "4.0.30319.42000"}  # fmt: skip
_COMPATIBLE = ("1.0", "2.0", "3.0", "4.0", "5.0", "5.1")


class Runspace:
    """One session. `variables` outlive a pipeline; everything else does not.

    `configuration` names the endpoint (default: the host's usual one); KeyError when the host does not have it.
    `refusals` counts, over the life of the session, what was asked for and is not simulated.
    """

    def __init__(
        self, host: Host, user: User, shell_id: str, configuration: str = DEFAULT, trace: Trace | None = None
    ) -> None:
        self.host = host
        self.endpoint = host.endpoints[(configuration or DEFAULT).lower()]
        role = self.endpoint.role_for(user, host.users)
        self.restriction = Restriction(role) if role is not None else None
        user = self.endpoint.runs_as(user, shell_id)
        self.user = user = replace(user, session=user.session or shell_id)
        self.shell_id = shell_id
        self.trace = trace if trace is not None else host.trace
        self.location = f"C:\\Users\\{user.name}\\Documents"
        self.files = host.files.as_user(user, cwd=self.location)
        self.refusals: Counter[str] = Counter()
        self.drives: dict[str, str] = {}  # name -> folder, of New-PSDrive
        self.variables: dict[str, Any] = {
            "PSVersionTable": version_table(host),
            "ErrorActionPreference": EnumValue("Continue", 2, "System.Management.Automation.ActionPreference"),
            "true": True, "false": False, "null": None, "HOME": f"C:\\Users\\{user.name}", "PWD": self.location,
            "PSHOME": "C:\\Windows\\System32\\WindowsPowerShell\\v1.0",
        }  # fmt: skip

    # -- the door --------------------------------------------------------------------------------------------------
    def invoke(
        self,
        powershell: PowerShell | SentPipeline,
        sink: Sink,
        stop: threading.Event,
        pipeline_id: str,
        input: Iterable[Any] | None = None,  # noqa: A002 - what it is called wherever pipelines are spoken of
    ) -> None:
        """Run a pipeline to its end in this thread.

        `input`: psrpcore's values for the first command of the first statement, as they come; None: it gets none. Who
        gives it ends it when `stop` is set.

        Returning means Completed; raises PipelineFailed (its record belongs into the state message) and
        PipelineStopped (when `stop` was set).
        """
        statements = _statements(powershell)
        context = Context(self, sink, stop)
        started = time.monotonic()
        self.trace.write(
            "pipeline",
            self.host.name,
            id=pipeline_id,
            shell=self.shell_id,
            user=self.user.full_name,
            statements=_traced_all(statements),
        )
        state = "Completed"
        try:
            self._run_all(context, statements, None if input is None else map(from_wire, input))
        except PipelineStopped:
            state = "Stopped"
            raise
        except PowerShellError as problem:
            state = "Failed"
            raise PipelineFailed(problem.info) from None
        finally:
            self.trace.write("pipeline_end", self.host.name, id=pipeline_id, state=state, errors=context.errors,
                             outputs=context.outputs, seconds=round(time.monotonic() - started, 6))  # fmt: skip

    def _run_all(self, context: Context, statements: list[list[Asked]], given: Iterable[Any] | None) -> None:
        """Statement after statement.

        When the first of several fails (other than by -ErrorAction Stop), its error goes into the error stream, the
        second statement runs, and the pipeline is Completed without the others (measured with the real engine).
        """
        for number, asked in enumerate(statements):
            if context.stop.is_set():
                raise PipelineStopped
            try:
                self._run_one(context, asked, given if number == 0 else None)
            except PowerShellError as problem:
                if number > 0 or len(statements) == 1 or problem.info.stopped:
                    raise
                context.report(problem.info.as_appended(), "Continue")
                self._run_one(context, statements[1])
                return

    def _run_one(self, context: Context, asked: list[Asked], given: Iterable[Any] | None = None) -> None:
        stages = [self._stage(context, each, piped=position > 0 or given is not None)
                  for position, each in enumerate(asked)]  # fmt: skip
        for stage, following in itertools.pairwise(stages):
            stage.next = following
        for stage in stages:
            if isinstance(stage, CmdletStage):
                stage.bind()
        run(context, stages, given)

    # -- names -----------------------------------------------------------------------------------------------------
    def _stage(self, context: Context, asked: Asked, *, piped: bool) -> CmdletStage | ProgramStage:
        if asked.is_script:
            self._say_once_that_scripts_do_not_run()
            raise PowerShellError(ErrorInfo(_NO_SCRIPTS, "ScriptsNotAllowed", "ParserError", asked.name,
                                            "System.Management.Automation.ParseException"))  # fmt: skip
        if asked.in_global_scope:
            raise PowerShellError(ErrorInfo(_NO_GLOBAL_SCOPE, "RuntimeException"))
        if asked.redirects:
            raise PowerShellError(self.refuse(asked.name, _REDIRECTED))
        signature, shown = self.resolve(asked.name)
        if signature is not None and shown is not None:
            return CmdletStage(context, signature, asked, piped=piped, shown=shown)
        if self.restriction is not None and self.restriction.refuses(asked.name):
            raise PowerShellError(self.refuse(asked.name, f"the command {self.restriction.refuses(asked.name)}"))
        try:
            path = self.host.processes.find(asked.name, self.location)
        except WinError:
            implied = f"Get-{asked.name}"  # the engine's last try with a name that has no verb (measured)
            if "-" not in asked.name and "\\" not in asked.name and self.resolve(implied)[0] is not None:
                return self._stage(context, replace(asked, name=implied), piped=piped)
            raise PowerShellError(self._unknown(asked.name)) from None
        if self.restriction is not None and not self.restriction.program(path):
            raise PowerShellError(self._unknown(asked.name))
        return ProgramStage(context, path, asked, piped=piped)

    def resolve(self, name: str) -> tuple[signatures.Signature | None, signatures.Signature | None]:
        """The command that a name means here, and the same as the session's role shows it; (None, None): none."""
        if self.restriction is None:
            found = resolve(name)
            return found, found
        meant = self.restriction.unalias(name)
        found = _named(meant)
        shown = None if found is None else self.restriction.visible(found, qualified="\\" in meant)
        return (found, shown) if shown is not None else (None, None)

    def sees_provider(self, name: str) -> bool:
        """True when the session's role shows this provider."""
        return self.restriction is None or self.restriction.provider(name)

    def _say_once_that_scripts_do_not_run(self) -> None:
        """A session with a full language would run script text; the laboratory has no language and says so."""
        if self.restriction is None and "scripts" not in self.host.said:
            self.host.said.add("scripts")
            what = "vsslab runs no script text: this host answers as one without a language does."
            self.trace.write("note", self.host.name, shell=self.shell_id, what=what)

    def _unknown(self, name: str) -> ErrorInfo:
        return ErrorInfo(
            text("CommandNotFound", self.host.language.tag, name),
            "CommandNotFoundException",
            "ObjectNotFound",
            name,
            "System.Management.Automation.CommandNotFoundException",
            facts={"CommandName": name},
        )

    # -- what the laboratory adds ----------------------------------------------------------------------------------
    def refuse(self, command: str, what: str) -> ErrorInfo:
        """Count and trace something that is not simulated; the error that says so."""
        self.refusals[what] += 1
        self.host.refusals[what] += 1
        self.trace.write("refused", self.host.name, command=command, what=what, shell=self.shell_id)
        return ErrorInfo(f"vsslab does not simulate {what}.", "SimulationRefused", "NotImplemented", command,
                         "System.NotSupportedException")  # fmt: skip

    def faults_at(self, call: Call, facts: dict[str, Any]) -> None:
        """Do what a fault of kind 'command' wants at this command: wait (`delay`), then fail (`fail`, `id`, ...).

        `do.fail` is a message or an HRESULT, `do.id` and `do.category` the record's; `do.terminating` (default) ends
        the statement.
        """
        told = " ".join(f"-{name} {text_of(value)}" for name, value in facts.items())
        fault = incidents.meet(self.host, "command", call.stop, command=call.origin.name, user=self.user.name,
                               arguments=told, **{f"-{name.lower()}": text_of(each)
                                                  for name, each in facts.items()})  # fmt: skip
        if fault is None:
            return
        if call.stop.is_set():
            raise PipelineStopped
        wanted = fault.do.get("fail")
        if wanted is None:
            return
        number = fault.do.get("hresult")
        message, error_id = str(wanted), str(fault.do.get("id", "InjectedFault"))
        if isinstance(wanted, int) or str(wanted).lower().startswith("0x"):
            number = int(wanted) if isinstance(wanted, int) else int(str(wanted), 16)
            message = f"The operation failed with the error 0x{number & 0xFFFFFFFF:08X}."
            error_id = str(fault.do.get("id", f"HRESULT 0x{number & 0xFFFFFFFF:08x}"))
        info = call.info(message, error_id, str(fault.do.get("category", "NotSpecified")))
        if fault.do.get("terminating", True):
            raise PowerShellError(info)
        call.report(info)


def resolve(name: str) -> signatures.Signature | None:
    """The command that a name means: an alias, a command's name, or module\\name."""
    return _named(signatures.table("aliases").get(name.lower(), name))


def _named(name: str) -> signatures.Signature | None:
    module, separator, bare = name.rpartition("\\")
    found = signatures.find(bare)
    if found is None or (separator and found.module.lower() != module.lower()):
        return None
    return found


def version_table(host: Host) -> dict[str, Any]:
    """$PSVersionTable of the host."""
    version = host.profile.ps_version
    table: dict[str, Any] = {
        "PSVersion": Version(version),
        "PSEdition": "Desktop",
        "BuildVersion": Version(host.profile.version),
    }
    table |= {name: Version(each) for name, each in _VERSION_FACTS.items()}
    table["PSCompatibleVersions"] = [Version(each) for each in (*_COMPATIBLE[:-1], ".".join(version.split(".")[:4]))]
    return table


def application_private_data(host: Host) -> dict[str, Any]:
    """What a pool's APPLICATION_PRIVATE_DATA holds ([MS-PSRP] 2.2.2.13): the version table, as psrpcore's types."""
    table = {name: to_wire(value, 2) for name, value in version_table(host).items()}
    return {"PSVersionTable": table}


def _statements(powershell: PowerShell | SentPipeline) -> list[list[Asked]]:
    out: list[list[Asked]] = [[]]
    for each in powershell.commands:
        arguments = tuple((None if name is None else str(name), from_wire(value)) for name, value in each.parameters)
        redirects = any(int(way) for way in (each.merge_my, each.merge_to)) or each.merge_unclaimed
        out[-1].append(Asked(str(each.command_text), arguments, bool(each.is_script), bool(redirects),
                             each.use_local_scope is False))  # fmt: skip
        if each.end_of_statement:
            out.append([])
    return [each for each in out if each]


def described(powershell: PowerShell | SentPipeline) -> list[dict[str, Any]]:
    """A pipeline's commands for the trace, without its secrets."""
    return _traced_all(_statements(powershell))


def _traced_all(statements: list[list[Asked]]) -> list[dict[str, Any]]:
    return [_traced(number, each) for number, asked in enumerate(statements) for each in asked]


def _traced(number: int, asked: Asked) -> dict[str, Any]:
    """A command for the trace: named values and positional ones; SecureStrings and passwords are not written."""
    named = {name: _shown(name, value) for name, value in asked.arguments if name}
    return {"statement": number, "command": asked.name, "parameters": named, "is_script": asked.is_script,
            "arguments": [_shown("", value) for name, value in asked.arguments if not name]}  # fmt: skip


def _shown(name: str, value: Any) -> Any:
    if name.lower().removeprefix("-").startswith(("password", "credential")) or isinstance(value, (Secret, Obj)):
        return "********" if not isinstance(value, Obj) else value.types[0]
    if isinstance(value, list):
        return [_shown("", each) for each in value]
    if isinstance(value, dict):
        return {text_of(key): _shown(text_of(key), each) for key, each in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else text_of(value)


load()
