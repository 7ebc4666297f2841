# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What diskshadow remembers between two commands."""

from __future__ import annotations

import datetime
import ntpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..vss.codes import NO_ATTRIBUTES, Attribute, Context
from ..vss.shadows import ShadowCopy, SnapshotSet
from .phrases import HOST, Phrases, diskshadow_phrases

if TYPE_CHECKING:
    from ..vss.coordinator import Coordinator
    from ..vss.writers import Writer
    from ..windows.files import FileSystem
    from ..windows.processes import Invocation
    from ..windows.volumes import Volume

SET_ALIAS = "VSS_SHADOW_SET"


class CommandFailed(Exception):
    """A command failed: the script ends.  `hresult` None when a text was printed already."""

    def __init__(self, hresult: int | None = None, name: str | None = None) -> None:
        super().__init__(name or hresult)
        self.hresult = hresult
        self.name = name


class UsageError(Exception):
    """A command was not understood: its usage is printed and the script ends."""

    def __init__(self, command: str) -> None:
        super().__init__(command)
        self.command = command


class NotSimulated(Exception):
    """A documented command that the laboratory does not know yet."""


class Exit(Exception):
    """`exit`."""


class Killed(Exception):
    """The process was ended: nothing more is printed or written."""


@dataclass
class Chosen:
    """A volume of the set to be made, as it was named, its alias, and the id of the provider asked for."""

    name: str
    volume: Volume
    alias: str | None = None
    provider: str | None = None


class Output:
    """Standard output and the log file; every line goes to both at once."""

    def __init__(self, call: Invocation, files: FileSystem, log: str | None, encoding: str, append: bool) -> None:
        self._call = call
        self._files = files
        self._log = log
        self._encoding = encoding
        if log is not None and not (append and files.exists(log)):
            files.write(log, b"")

    def line(self, text: str = "") -> None:
        """Write lines; Killed when the process has been ended meanwhile."""
        if self._call.stop.is_set():
            raise Killed
        for each in text.split("\n"):
            self._call.out(each)
            if self._log is not None:
                self._files.write(self._log, f"{each}\r\n".encode(self._encoding, errors="replace"), append=True)


@dataclass(frozen=True)
class Loaded:
    """What a metadata cabinet told: the set, and the writers with the components that were backed up (full paths).

    `components` is None when no writer took part: there is no backup document in the cabinet then.
    """

    set_id: str
    components: dict[str, frozenset[str]] | None


@dataclass
class Session:
    """The state of one run of diskshadow.

    `context` and `options` are those of the next set; `aliases` the environment variables diskshadow made, in order;
    `made` the sets of this process whose writers wait for BackupComplete; `volatile` the copies that end with it;
    `loaded` what `load metadata` read; `restoring` the writers between PreRestore and PostRestore.
    """

    call: Invocation
    vss: Coordinator
    files: FileSystem
    out: Output
    parameters: tuple[str, ...] = ()
    context: Context = Context.BACKUP
    options: Attribute = NO_ATTRIBUTES
    option_words: tuple[str, ...] = ()
    verbose: bool = False
    metadata: str | None = None
    verify: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    volumes: list[Chosen] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    full: bool = False
    completed: bool = False
    made: list[SnapshotSet] = field(default_factory=list)
    volatile: list[ShadowCopy] = field(default_factory=list)
    loaded: Loaded | None = None
    restoring: list[Writer] | None = None

    @property
    def say_text(self) -> Phrases:
        """The phrases in the host's language of diskshadow."""
        language = self.vss.options.diskshadow_language
        return diskshadow_phrases(self.call.host.language.short if language == HOST else language)

    def say(self, key: str, **values: object) -> None:
        """Print a phrase."""
        self.out.line(self.say_text(key, **values))

    @property
    def requestor(self) -> str:
        """How the coordinator knows this process."""
        return f"diskshadow.exe ({self.call.pid})"

    def path(self, text: str) -> str:
        """An absolute Windows path; relative ones start in the working folder."""
        return ntpath.normpath(ntpath.join(self.call.cwd, text))

    def value_of(self, name: str) -> str | None:
        """The value of an environment variable: aliases, script parameters, and a few of the system's."""
        wanted = name.lower()
        for alias, value in self.aliases.items():
            if alias.lower() == wanted:
                return value
        if wanted.startswith("disksh_param_") and wanted[13:].isdigit():
            number = int(wanted[13:])
            return self.parameters[number - 1] if 1 <= number <= len(self.parameters) else None
        known = self.call.variables
        return next((value for variable, value in known.items() if variable.lower() == wanted), None)

    def is_alias(self, name: str) -> bool:
        """True when diskshadow made this variable."""
        return any(alias.lower() == name.lower() for alias in self.aliases)

    def alias_of(self, identity: str) -> str | None:
        """The name under which an id is known in this process."""
        return next((name for name, value in self.aliases.items() if value.strip("{}").lower() == identity), None)

    def date(self, moment: datetime.datetime | None = None) -> str:
        """Date and time as the host's language writes them."""
        clock = self.call.host.clock
        return self.call.host.language.local_datetime(clock.local(moment or clock.now()))

    def forget(self) -> None:
        """Back to the beginning: what `reset` does; volatile copies go."""
        self.release_volatile()
        self.context, self.options, self.option_words = Context.BACKUP, NO_ATTRIBUTES, ()
        self.verbose, self.metadata, self.full, self.completed = False, None, False, False
        self.verify.clear()
        self.exclude.clear()
        self.volumes.clear()
        self.aliases.clear()
        self.made.clear()
        self.loaded = self.restoring = None

    def release_volatile(self) -> None:
        """The process lets go of its backup components: copies that are not persistent vanish."""
        for shadow in self.volatile:
            self.vss.store.discard(shadow)
        self.volatile.clear()
