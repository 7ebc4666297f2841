# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts for diskshadow, and what its output says.

diskshadow runs commands from a file, one a line; it wants ASCII and CRLF, and what it makes of a quoted path is not
documented, so nothing that would need quotes is ever written. Its messages can be translated; command echoes, aliases,
GUIDs, device paths, HRESULTs, ``VSS_WS_`` names and quoted names cannot, and only those are read.
Source: diskshadow's documentation, and transcripts of runs on Windows Server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .errors import is_error, number
from .model import DEVICE, GUID, VOLUME_PATH, Shadow, Writer, guid, is_guid, volume_id

Context = Literal["persistent", "persistent nowriters", "clientaccessible"]

SET_ALIAS = "VSS_SHADOW_SET"
END_BACKUP = "end backup"
MAX_VOLUMES = 64  # Win32 docs, IVssBackupComponents::AddToSnapshotSet

_FORBIDDEN = re.compile(r"[^\x21-\x7e]|[\"'`%<>|*?]")


class Unscriptable(ValueError):
    """A value that must not be written into a diskshadow script; the text is one sentence."""


def alias(position: int) -> str:
    """Our alias of the set's volume at this position, from 1."""
    return f"umbra_{position}"


def token(value: str) -> str:
    """The value, if diskshadow can take it as one unquoted word.

    :raises Unscriptable: it is empty or holds a blank, a quote, a percent sign, a wildcard, a control or a non-ASCII
        character.
    """
    found = _FORBIDDEN.search(value)
    if not value or found:
        bad = f"the character {found.group()!r}" if found else "nothing"
        raise Unscriptable(
            f"diskshadow cannot be given {value!r}: it holds {bad}; use a plain ASCII path without blanks."
        )
    return value


def list_script() -> list[str]:
    """The script that lists what every writer looks after. Creates nothing."""
    return ["list writers metadata", "exit"]


@dataclass(frozen=True)
class Creation:
    r"""A set to be created.

    volumes: ``\\?\Volume{guid}\`` names in the order of the aliases. metadata: absolute path of the cabinet to write.
    verified: GUIDs of writers without which creating has to fail. excluded: GUIDs left out.
    client_accessible: the kind that users see as previous versions; always without writers. provider: GUID of the one
    that makes the copies, "" for VSS's own choice. full: the writers are told that a full backup began and ended.
    """

    volumes: Sequence[str]
    metadata: str
    with_writers: bool = True
    verified: Sequence[str] = ()
    excluded: Sequence[str] = ()
    client_accessible: bool = False
    provider: str = ""
    full: bool = False

    @property
    def context(self) -> Context:
        """What ``set context`` is given."""
        if self.client_accessible:
            return "clientaccessible"
        return "persistent" if self.with_writers else "persistent nowriters"

    def script(self) -> list[str]:
        """The lines of the script.

        Without ``begin backup`` the backup is of type copy: no application truncates its logs. ``end backup`` is the
        last command, so that no application hears of a backup that failed on the way.

        :raises Unscriptable: a path that cannot be written without quotes.
        """
        if not 0 < len(self.volumes) <= MAX_VOLUMES:
            raise Unscriptable(f"a snapshot set holds 1 to {MAX_VOLUMES} volumes, not {len(self.volumes)}.")
        lines = ["set verbose on", f"set context {self.context}"]
        lines.append(f"set metadata {token(self.metadata)}")
        if self.with_writers:
            lines += [f"writer verify {guid(writer)}" for writer in self.verified]
            lines += [f"writer exclude {guid(writer)}" for writer in self.excluded]
        if self.full:
            lines.append("begin backup")
        by = f" provider {guid(self.provider)}" if self.provider else ""
        lines += [f"add volume {volume_id(volume)}{by} alias {alias(at)}" for at, volume in enumerate(self.volumes, 1)]
        lines.append("create")
        if self.with_writers:
            lines.append("list writers status")
        return [*lines, *([END_BACKUP] if self.full else []), "exit"]


def expose_script(exposures: Iterable[tuple[str, str]]) -> list[str]:
    """The script that makes shadow copies (by ID) appear at letters or empty folders."""
    return [*(f"expose {guid(shadow)} {token(target)}" for shadow, target in exposures), "exit"]


def unexpose_script(shadows: Iterable[str]) -> list[str]:
    """The script that takes exposures back, by shadow copy ID. The shadow copies stay."""
    return [*(f"unexpose {guid(shadow)}" for shadow in shadows), "exit"]


def delete_script(shadow: str) -> list[str]:
    """The script that deletes one shadow copy, by its ID."""
    return [f"delete shadows id {guid(shadow)}", "exit"]


def delete_set_script(metadata: str) -> list[str]:
    """The script that deletes the set whose metadata was saved there, by the alias that comes with it."""
    return [f"load metadata {token(metadata)}", f"delete shadows set %{SET_ALIAS}%", "exit"]


# ---- reading
@dataclass(frozen=True)
class Failure:
    """An HRESULT that diskshadow printed, and the command it was busy with."""

    code: int
    command: str


@dataclass(frozen=True)
class Exclusion:
    """A writer, or one component of it, that diskshadow left out; volume: the one that is missing from the set."""

    writer: str
    component: str | None = None
    volume: str | None = None


@dataclass(frozen=True)
class Transcript:
    """What the output of one run of diskshadow says.

    included: names of writers that take part, with the paths of their components; empty when it does not tell.
    unverified: GUIDs of writers without which creating was not to succeed, and which were left out.
    """

    commands: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)
    shadows: tuple[Shadow, ...] = ()
    failures: tuple[Failure, ...] = ()
    writers: tuple[Writer, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    included: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unverified: tuple[str, ...] = ()
    misunderstood: str | None = None

    @property
    def set_id(self) -> str | None:
        """The set that was created."""
        return self.aliases.get(SET_ALIAS.lower()) or next((shadow.set_id for shadow in self.shadows), None)

    @property
    def shadow_ids(self) -> list[str]:
        """Every shadow copy of ours that the run is known to have made, also when it broke off later."""
        known = [found for name, found in self.aliases.items() if name.startswith("umbra_")]
        return list(dict.fromkeys([*known, *(shadow.id for shadow in self.shadows)]))

    @property
    def failed_writers(self) -> list[Writer]:
        """Writers that the run shows in a failed state."""
        return [writer for writer in self.writers if writer.failed]


ECHO = re.compile(r"^\s*->\s?(.*)$")
_ALIASECHO = re.compile(r"^%([A-Za-z0-9_]+)%\s*=\s*(\{[0-9A-Fa-f-]{36}\})")
_ALIAS = re.compile(rf"(?<![\w%])({SET_ALIAS}|umbra_\d+)(?![\w%])", re.IGNORECASE)
_BLOCK = re.compile(r"^\s*\*\s")
_HRESULT = re.compile(r"HRESULT[^0-9A-Za-z]*(?:0x)?([0-9A-Fa-f]{8})\b|(?<=:)\s*(8[0-9A-Fa-f]{7})\s*$")
_STATE = re.compile(r"\b(\d{1,2})\s*\((VSS_WS_[A-Z_]+)\)")
_CODE = re.compile(r"\b0.([0-9A-Fa-f]{8})\b")
_USAGE = re.compile(r"^[A-Z]{3,}(?:(?: [A-Z]+)* [<\[{]|\s{2,}- )")
_QUOTED = re.compile(r'"([^"]+)"')
_DRIVE = re.compile(r"(?<![\w\\])[A-Za-z]:\\[^\s\"]*")
# Languages quote in their own ways; names are looked for between straight quotes.
_MARKS = re.compile("[\u00ab\u2039][\\s\u00a0\u202f]*|[\\s\u00a0\u202f]*[\u00bb\u203a]|[\u201c\u201d\u201e\u201f]")
# Microsoft documents this message as noise on hosts whose system partition has no mount point (KB3025158).
_NOISE = "GetRootAndLogicalPrefixPaths"
_NOISE_LINES = 3


def straight(text: str) -> str:
    """The output with straight quotes for every other kind of double ones, and without the NULs of a torn UTF-16."""
    return _MARKS.sub('"', text.replace("\0", ""))


def read(text: str, known_writers: Iterable[str] = ()) -> Transcript:
    """What the output of a run says.

    :param known_writers: names of writers that lines about exclusion may quote.
    """
    lines = straight(text).splitlines()
    commands = [found.group(1).strip() for line in lines if (found := ECHO.match(line))]
    writers = list(_writers(lines))
    failing = {writer.name for writer in writers if writer.failed}
    known = {name.casefold(): name for name in known_writers}
    return Transcript(
        commands=tuple(command for command in commands if command),
        aliases=_aliases(lines),
        shadows=tuple(_shadows(lines)),
        failures=tuple(_failures(lines)),
        writers=tuple(writers),
        exclusions=tuple(_exclusions(lines, known, failing)),
        included=_included(lines, known),
        unverified=tuple(guid(name) for line in lines for name in _QUOTED.findall(line) if is_guid(name)),
        misunderstood=_misunderstood(lines),
    )


def bare_guids(line: str) -> list[str]:
    """GUIDs of a line that are not part of a volume's path."""
    return [guid(found.group()) for found in GUID.finditer(VOLUME_PATH.sub("", line))]


def _aliases(lines: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        echo = ECHO.match(line)
        expansion = _ALIASECHO.match(echo.group(1)) if echo else None
        names, ids = _ALIAS.findall(line), bare_guids(line)
        if expansion:
            found.setdefault(expansion.group(1).lower(), guid(expansion.group(2)))
        elif not echo and len(names) == 1 and len(ids) == 1:
            found[names[0].lower()] = ids[0]
    return found


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Runs of lines that begin with a ``*`` line; a line without indentation ends one."""
    block: list[str] = []
    for line in [*lines, "end"]:
        starts = bool(_BLOCK.match(line))
        if block and (starts or (line.strip() and not line[0].isspace())):
            yield block
            block = []
        if starts or (block and line.strip()):
            block.append(line)


def _shadows(lines: Sequence[str]) -> Iterator[Shadow]:
    for block in _blocks(lines):
        head = bare_guids(block[0])
        device = next((hit.group() for line in block if (hit := DEVICE.search(line))), None)
        if not head or device is None:
            continue
        ids = [found for line in block[1:] for found in bare_guids(line)]
        volume = next((volume_id(hit.group()) for line in block if (hit := VOLUME_PATH.search(line))), None)
        yield Shadow(id=head[0], set_id=ids[0] if ids else None, volume=volume, device=device)


def _failures(lines: Sequence[str]) -> Iterator[Failure]:
    command, ignore_until = "", -1
    for at, line in enumerate(lines):
        echo = ECHO.match(line)
        if echo:
            command = echo.group(1).strip() or command
        elif _NOISE in line:
            ignore_until = at + _NOISE_LINES
        elif at > ignore_until and (found := _HRESULT.search(line)):
            code = number(found.group(1) or found.group(2))
            if is_error(code):
                yield Failure(code, command)


def _writers(lines: Sequence[str]) -> Iterator[Writer]:
    """Writers with a state: blocks of ``list writers status``, and what is said about one that made creating fail."""
    for at, line in enumerate(lines):
        state = _STATE.search(line)
        if state is None:
            continue
        below = list(lines[at + 1 : at + 4])
        code = next((number(hit.group(1)) for text in below if (hit := _CODE.search(text))), 0)
        ids = [found for text in below for found in bare_guids(text)]
        above = next((text for text in reversed(lines[:at]) if text.strip()), "")
        if ids:
            yield Writer(
                id=ids[0],
                instance=ids[1] if len(ids) > 1 else "",
                name=_name(above),
                state=int(state.group(1)),
                hresult=code if is_error(code) else None,
            )


def _name(line: str) -> str:
    r"""A writer's name from the line above its state: ``* WRITER name`` or a sentence that quotes it."""
    starred = re.match(r"^\s*\*\s+\S+\s+(.+?)\s*$", line)
    quoted = re.search(r"(['\"])(.+)\1", line)
    if quoted and not (starred and not starred.group(1).startswith(quoted.group(1))):
        return quoted.group(2)
    return starred.group(1) if starred else ""


def _exclusions(lines: Sequence[str], known: dict[str, str], failing: set[str]) -> Iterator[Exclusion]:
    for at, line in enumerate(lines):
        quoted = _QUOTED.findall(line)
        if not quoted or line.lstrip()[:1] in ("*", "+", "-"):
            continue
        writers = [known[name.casefold()] for name in quoted if name.casefold() in known]
        components = [name for name in quoted if name.startswith("\\")]
        if len(writers) != 1 or writers[0] in failing:
            continue
        sentence = VOLUME_PATH.sub(lambda hit: hit.group(), " ".join(lines[at : at + 2]))
        rest = _QUOTED.sub("", sentence)
        volume = VOLUME_PATH.search(rest) or _DRIVE.search(rest)
        yield Exclusion(
            writer=writers[0],
            component=components[0] if components else None,
            volume=volume.group().rstrip(",.") if components and volume else None,
        )


def _included(lines: Sequence[str], known: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Starred lines that quote a writer, with the ``+`` lines below them that end in a component's path."""
    found: dict[str, tuple[str, ...]] = {}
    writer: str | None = None
    for line in lines:
        text = line.strip()
        if text.startswith("*"):
            writer = next((known[name.casefold()] for name in _QUOTED.findall(text) if name.casefold() in known), None)
            if writer is not None:
                found.setdefault(writer, ())
        elif writer is not None and text.startswith("+") and "\\" in text:
            found[writer] = (*found[writer], text[text.index("\\") :])
        elif text:
            writer = None
    return found


def _misunderstood(lines: Sequence[str]) -> str | None:
    """The command that diskshadow answered with a usage text."""
    command = ""
    for line in lines:
        echo = ECHO.match(line)
        if echo:
            command = echo.group(1).strip() or command
        elif command and (_USAGE.match(line) or line.strip() == command.partition(" ")[0].upper()):
            return command
    return None
