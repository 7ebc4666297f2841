# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""diskshadow's commands but `create` and `list` (diskshadow documentation, one page per command)."""

from __future__ import annotations

import ntpath
import re
from collections.abc import Callable, Iterable

from ..vss import codes
from ..vss.codes import Attribute, Context, VssError
from ..vss.shadows import ShadowCopy
from ..windows.errors import WinError
from .diskshadow_create import create, load_metadata
from .diskshadow_listing import list_
from .diskshadow_script import Line
from .diskshadow_session import Chosen, CommandFailed, Exit, NotSimulated, Session, UsageError

_CONTEXTS = {
    ("clientaccessible",): Context.CLIENT_ACCESSIBLE,
    ("persistent",): Context.APP_ROLLBACK,
    ("persistent", "nowriters"): Context.NAS_ROLLBACK,
    ("volatile",): Context.BACKUP,
    ("volatile", "nowriters"): Context.FILE_SHARE_BACKUP,
}
_OPTIONS = {
    "differential": Attribute(0),
    "rollbackrecover": Attribute.ROLLBACK_RECOVERY,
    "txfrecover": Attribute.TXF_RECOVERY,
    "noautorecover": Attribute.NO_AUTORECOVERY,
}
_NOT_YET = {"plex", "transportable"}
_LETTER = re.compile(r"[A-Za-z]:\\?\Z")
_PATH = re.compile(r"[A-Za-z]:\\.+\Z")
_GUID = re.compile(r"\{[0-9a-fA-F-]{36}\}\Z")
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
        if word in _NOT_YET:
            raise NotSimulated(f"set option {word}")
        if word not in _OPTIONS:
            raise UsageError("set")
    if "noautorecover" in words and {"rollbackrecover", "txfrecover"} & set(words):
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
    """`begin backup`: the next set is a full backup."""
    if line.keywords[1:] == ("restore",):
        raise NotSimulated("begin restore")
    if line.keywords[1:] != ("backup",):
        raise UsageError("begin")
    session.full = True
    session.completed = False


def end(session: Session, line: Line) -> None:
    """`end backup`: the writers hear that the backup is complete."""
    if line.keywords[1:] == ("restore",):
        raise NotSimulated("end restore")
    if line.keywords[1:] != ("backup",):
        raise UsageError("end")
    if not session.made:
        raise CommandFailed(codes.BAD_STATE)  # nothing was created that could be complete
    waiting, session.made = session.made, []
    for made in waiting:
        session.vss.complete(made, True, session.call.stop)
    session.completed = True


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
    alias = None
    while rest:
        keyword = rest.pop(0).lower()
        if keyword not in ("provider", "alias") or not rest:
            raise UsageError("add")
        value = rest.pop(0)
        if keyword == "alias":
            alias = value
        elif not any(value.strip("{}").lower() == each.id for each in session.vss.providers):
            raise CommandFailed(codes.PROVIDER_NOT_REGISTERED)
    if name.startswith("\\\\") and not name.startswith("\\\\?\\"):
        raise NotSimulated("add volume of a file share")
    if alias is not None and any(alias.lower() == (each.alias or "").lower() for each in session.volumes):
        raise CommandFailed(codes.OBJECT_ALREADY_EXISTS)
    volume = session.vss.volume(name)
    if any(each.volume is volume for each in session.volumes):
        raise CommandFailed(codes.OBJECT_ALREADY_EXISTS)
    session.volumes.append(Chosen(name, volume, alias))


def create_(session: Session, line: Line) -> None:
    """`create`."""
    if len(line.words) != 1:
        raise UsageError("create")
    if session.made:
        raise CommandFailed(codes.BAD_STATE)  # one set a session, until `reset`
    create(session)


def expose(session: Session, line: Line) -> None:
    """`expose <shadowID> {<drive:>|<mountpoint>}`."""
    if len(line.words) < 3:
        raise UsageError("expose")
    target = line.after(2)
    if not _GUID.match(line.words[1]):
        raise UsageError("expose")
    if not (_LETTER.match(target) or _PATH.match(target)):
        raise NotSimulated("expose as a share")
    plain = target.rstrip("\\")
    session.vss.expose(line.words[1], plain)
    session.say("exposed", name=plain + "\\")


def unexpose(session: Session, line: Line) -> None:
    """`unexpose {<shadowID>|<drive:>|<mountpoint>}`."""
    name = line.after(1)
    if not name:
        raise UsageError("unexpose")
    shadow = session.vss.store.find(name) if _GUID.match(name) else session.vss.store.exposed_as(name)
    if shadow is None:
        raise CommandFailed(codes.OBJECT_NOT_FOUND)
    session.vss.store.unexpose(shadow)
    session.say("unexposed", id=f"{{{shadow.id}}}")


def delete(session: Session, line: Line) -> None:
    """`delete shadows ...`: every context, without a question."""
    words = line.keywords[1:]
    if words[:1] != ("shadows",):
        raise UsageError("delete")
    form, name = words[1:2], line.after(3)
    if form == ("all",) and not name:
        _delete(session, session.vss.shadows, empty_is_fine=True)
    elif form in (("volume",), ("oldest",)) and name:
        if _GUID.match(name):  # a public transcript has it: the id of a copy where a volume is asked for
            _delete(session, [session.vss.store.get(name)])
            return
        there = session.vss.store.of_volume(session.vss.volume(name).guid)
        _delete(session, there if form == ("volume",) else there[:1])
    elif form == ("set",) and name:
        _delete(session, [each for each in session.vss.shadows if each.set_id == name.strip("{}").lower()])
    elif form == ("id",) and name:
        _delete(session, [session.vss.store.get(name)])
    elif form == ("exposed",) and name:
        found = session.vss.store.exposed_as(name)
        _delete(session, [] if found is None else [found])
    else:
        raise UsageError("delete")


def _delete(session: Session, shadows: Iterable[ShadowCopy], *, empty_is_fine: bool = False) -> None:
    wanted = list(shadows)
    if not wanted:
        if not empty_is_fine:
            raise CommandFailed(codes.OBJECT_NOT_FOUND)
        session.say("none_found")
        return
    for shadow in wanted:
        session.say(
            "deleting",
            id=f"{{{shadow.id}}}",
            volume=shadow.volume.device_id,
            provider=f"{{{shadow.provider.id}}}",
            bits=f"0x{int(shadow.all_attributes):08x}",
        )
        session.vss.store.delete(shadow)
        session.volatile = [each for each in session.volatile if each is not shadow]
    session.out.line()
    session.say("deleted", count=len(wanted))


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
        command, call.user, out=session.out.line, err=call.err, cwd=call.cwd, stop=call.stop, parent=call.pid
    )
    if code != 0:
        raise CommandFailed(codes.E_UNEXPECTED)


def exit_(session: Session, line: Line) -> None:
    """`exit`."""
    if len(line.words) != 1:
        raise UsageError("exit")
    raise Exit


def not_yet(session: Session, line: Line) -> None:
    """Commands for restores and for hardware providers."""
    raise NotSimulated(" ".join(line.keywords))


Command = Callable[[Session, Line], None]
COMMANDS: dict[str, Command] = {
    "set": set_,
    "load": load,
    "writer": writer,
    "begin": begin,
    "end": end,
    "simulate": not_yet,
    "add": add,
    "create": create_,
    "import": not_yet,
    "expose": expose,
    "unexpose": unexpose,
    "list": list_,
    "delete": delete,
    "mask": not_yet,
    "break": not_yet,
    "revert": not_yet,
    "reset": reset,
    "exec": exec_,
    "exit": exit_,
}


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
