# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""diskshadow's commands but `create` and `list` (diskshadow documentation, one page per command)."""

from __future__ import annotations

import ntpath
from collections.abc import Callable

from ..vss import codes
from ..vss.codes import Attribute, Context, VssError
from ..windows.errors import WinError
from .diskshadow_copies import break_, delete, expose, import_, mask, revert, unexpose
from .diskshadow_create import create, load_metadata
from .diskshadow_listing import list_
from .diskshadow_restore import begin_restore, end_restore, simulate_restore
from .diskshadow_script import Line
from .diskshadow_session import Chosen, CommandFailed, Exit, NotSimulated, Session, UsageError
from .phrases import table

_CONTEXTS = {
    ("clientaccessible",): Context.CLIENT_ACCESSIBLE,
    ("persistent",): Context.APP_ROLLBACK,
    ("persistent", "nowriters"): Context.NAS_ROLLBACK,
    ("volatile",): Context.BACKUP,
    ("volatile", "nowriters"): Context.FILE_SHARE_BACKUP,
}
_OPTIONS = {
    "differential": Attribute.DIFFERENTIAL,
    "plex": Attribute.PLEX,
    "transportable": Attribute.TRANSPORTABLE,
    "rollbackrecover": Attribute.ROLLBACK_RECOVERY,
    "txfrecover": Attribute.TXF_RECOVERY,
    "noautorecover": Attribute.NO_AUTORECOVERY,
}
PATH_NOT_FOUND = 0x80070003


def set_(session: Session, line: Line) -> None:
    """`set` and its four forms."""
    words = line.keywords[1:]
    if not words:
        _settings(session)
    elif words[0] == "context" and words[1:] in _CONTEXTS:
        session.context = _CONTEXTS[words[1:]]
    elif words[0] == "option" and words[1:]:
        _set_option(session, words[1:])
    elif words[0] == "verbose" and words[1:] in (("on",), ("off",)):
        session.verbose = words[1] == "on"
    elif words[0] == "metadata" and words[1:]:
        _set_metadata(session, line.after(2))
    else:
        raise UsageError("set")


def _settings(session: Session) -> None:
    session.out.line()
    session.say("settings_context", value=session.context.name)
    session.say("settings_options", value=" ".join(session.option_words))
    session.say("settings_verbose", value="ON" if session.verbose else "OFF")
    session.say("settings_metadata", value=session.metadata or "")


def _set_option(session: Session, words: tuple[str, ...]) -> None:
    for word in words:
        if word not in _OPTIONS:
            raise UsageError("set")
    if "noautorecover" in words and {"rollbackrecover", "txfrecover"} & set(words):
        raise UsageError("set")
    if {"differential", "plex"} <= set(words):
        raise UsageError("set")
    session.option_words = words
    session.options = Attribute(0)
    for word in words:
        session.options |= _OPTIONS[word]


def _set_metadata(session: Session, text: str) -> None:
    path = session.path(text)
    if not session.files.is_dir(ntpath.dirname(path)):
        raise CommandFailed(PATH_NOT_FOUND)
    session.metadata = path
    if session.files.exists(path):
        session.say("overwrite")


def load(session: Session, line: Line) -> None:
    """`load metadata <file>`."""
    if line.keywords[1:2] != ("metadata",) or not line.after(2):
        raise UsageError("load")
    load_metadata(session, session.path(line.after(2)))


def writer(session: Session, line: Line) -> None:
    """`writer verify|exclude <writer>|<component>`; names may stand unquoted."""
    words = line.keywords
    name = line.after(2)
    if words[1:2] == ("verify",) and name:
        session.verify.append(name)
    elif words[1:2] == ("exclude",) and name:
        session.exclude.append(name)
    else:
        raise UsageError("writer")


def begin(session: Session, line: Line) -> None:
    """`begin backup`: the next set is a full backup; `begin restore`: the writers hear PreRestore."""
    if line.keywords[1:] == ("restore",):
        begin_restore(session)
        return
    if line.keywords[1:] != ("backup",):
        raise UsageError("begin")
    session.full = True
    session.completed = False


def end(session: Session, line: Line) -> None:
    """`end backup`: the writers hear that the backup is complete; `end restore`: they hear PostRestore."""
    if line.keywords[1:] == ("restore",):
        end_restore(session)
        return
    if line.keywords[1:] != ("backup",):
        raise UsageError("end")
    if not session.made:
        raise CommandFailed(codes.BAD_STATE)  # nothing was created that could be complete
    waiting, session.made = session.made, []
    for made in waiting:
        session.vss.complete(made, True, session.call.stop)
    session.completed = True


def simulate(session: Session, line: Line) -> None:
    """`simulate restore`."""
    if line.keywords[1:] != ("restore",):
        raise UsageError("simulate")
    simulate_restore(session)


def add(session: Session, line: Line) -> None:
    """`add`, `add volume ...`, `add alias ...`."""
    words = line.keywords[1:]
    if not words:
        _added(session)
    elif words[0] == "volume" and len(words) >= 2:
        _add_volume(session, line)
    elif words[0] == "alias" and len(words) == 3:
        session.aliases[line.words[2]] = line.words[3]
        session.say("alias_added", alias=line.words[2], id=line.words[3])
    else:
        raise UsageError("add")


def _added(session: Session) -> None:
    session.out.line()
    for number, each in enumerate(session.volumes, start=1):
        alias = each.alias or f"VSS_SHADOW_{number}"
        session.say("add_volume", name=each.name, alias=alias, volume=each.volume.device_id)
    count = len(session.volumes)
    session.say("one_volume" if count == 1 else "volumes", count=count)
    if not session.aliases:
        session.say("no_aliases")
    for name, value in session.aliases.items():
        session.say("alias", alias=name, id=value)


def _add_volume(session: Session, line: Line) -> None:
    name, rest = line.words[2], list(line.words[3:])
    alias = provider = None
    while rest:
        keyword = rest.pop(0).lower()
        if keyword not in ("provider", "alias") or not rest:
            raise UsageError("add")
        value = rest.pop(0)
        if keyword == "alias":
            alias = value
            continue
        provider = value.strip("{}").lower()
        if not any(provider == each.id for each in session.vss.providers):
            raise CommandFailed(codes.PROVIDER_NOT_REGISTERED)
    if name.startswith("\\\\") and not name.startswith("\\\\?\\"):
        raise NotSimulated("add volume of a file share")
    if alias is not None and any(alias.lower() == (each.alias or "").lower() for each in session.volumes):
        raise CommandFailed(codes.OBJECT_ALREADY_EXISTS)
    volume = session.vss.volume(name)
    if any(each.volume is volume for each in session.volumes):
        raise CommandFailed(codes.OBJECT_ALREADY_EXISTS)
    session.volumes.append(Chosen(name, volume, alias, provider))


def create_(session: Session, line: Line) -> None:
    """`create`."""
    if len(line.words) != 1:
        raise UsageError("create")
    if session.made:
        raise CommandFailed(codes.BAD_STATE)  # one set a session, until `reset`
    create(session)


def reset(session: Session, line: Line) -> None:
    """`reset`: everything that was set, added and loaded is forgotten; volatile copies vanish."""
    if len(line.words) != 1:
        raise UsageError("reset")
    session.forget()


def exec_(session: Session, line: Line) -> None:
    """`exec <file.cmd>`: a program or command file; its failure ends diskshadow."""
    if len(line.words) < 2:
        raise UsageError("exec")
    path = session.path(line.words[1])
    if not session.files.exists(path):
        session.say("bad_exec")
        raise UsageError("exec")
    call = session.call
    command = [path, *line.words[2:]]
    if path.lower().endswith((".cmd", ".bat")):
        if len(command) > 1:
            session.say("bad_exec")
            raise UsageError("exec")
        command = [f"{call.host.windows}\\System32\\cmd.exe", "/c", path]
    code = call.host.processes.run(
        command, call.user, out=session.out.line, err=call.err, cwd=call.cwd, stop=call.stop, parent=call.pid,
        environment={**call.variables, **session.aliases},
    )  # fmt: skip
    if code != 0:
        raise CommandFailed(codes.E_UNEXPECTED)


def exit_(session: Session, line: Line) -> None:
    """`exit`."""
    if len(line.words) != 1:
        raise UsageError("exit")
    raise Exit


def help_(session: Session, _line: Line) -> None:
    """`help` and `?`: the list of commands."""
    session.out.line()
    session.out.line(table("diskshadow")["usage"]["help"].rstrip("\n"))


Command = Callable[[Session, Line], None]
_FORMS = (
    "set", "set verbose", "set metadata", "load metadata", "writer verify", "writer exclude", "begin backup",
    "begin restore", "end backup", "end restore", "simulate restore", "add", "add volume", "add alias", "list writers",
    "list writers metadata", "list writers detailed", "list writers status", "list providers", "list shadows all",
    "list shadows set", "list shadows id", "delete shadows all", "delete shadows volume", "delete shadows oldest",
    "delete shadows set", "delete shadows id", "delete shadows exposed", "break", "break writable",
)  # fmt: skip
COMMANDS: dict[str, Command] = {
    "set": set_,
    "load": load,
    "writer": writer,
    "begin": begin,
    "end": end,
    "simulate": simulate,
    "add": add,
    "create": create_,
    "import": import_,
    "expose": expose,
    "unexpose": unexpose,
    "list": list_,
    "delete": delete,
    "mask": mask,
    "break": break_,
    "revert": revert,
    "reset": reset,
    "exec": exec_,
    "exit": exit_,
    "quit": exit_,
    "help": help_,
    "?": help_,
}


def forms() -> frozenset[str]:
    """Every form of a command, and the switches of the program, for the table of what is simulated."""
    contexts = (f"set context {' '.join(each)}" for each in _CONTEXTS)
    options = (f"set option {each}" for each in _OPTIONS)
    compound = {each.split()[0] for each in _FORMS}
    return frozenset([*contexts, *options, *_FORMS, *(each for each in COMMANDS if each not in compound), "/s", "/l"])


def run(session: Session, line: Line) -> None:
    """Run one command; UsageError("help") for one that does not exist, CommandFailed for what VSS or Windows refuse."""
    command = COMMANDS.get(line.keywords[0])
    if command is None:
        raise UsageError("help")
    try:
        command(session, line)
    except VssError as error:
        raise CommandFailed(error.hresult) from error
    except WinError as error:
        raise CommandFailed(error.hresult, error.text) from error
