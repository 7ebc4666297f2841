# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors as PowerShell reports them: what goes wrong, where, and its messages (see records for what a client reads)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

BAD_ARGUMENT = "System.Management.Automation.PSArgumentException"
"""What the engine throws for an argument that it cannot use."""
CATEGORIES = {
    "NotSpecified": 0, "OpenError": 1, "CloseError": 2, "DeviceError": 3, "DeadlockDetected": 4, "InvalidArgument": 5,
    "InvalidData": 6, "InvalidOperation": 7, "InvalidResult": 8, "InvalidType": 9, "MetadataError": 10,
    "NotImplemented": 11, "NotInstalled": 12, "ObjectNotFound": 13, "OperationStopped": 14, "OperationTimeout": 15,
    "SyntaxError": 16, "ParserError": 17, "PermissionDenied": 18, "ResourceBusy": 19, "ResourceExists": 20,
    "ResourceUnavailable": 21, "ReadError": 22, "WriteError": 23, "FromStdErr": 24, "SecurityError": 25,
    "ProtocolError": 26, "ConnectionError": 27, "AuthenticationError": 28, "LimitsExceeded": 29, "QuotaExceeded": 30,
    "NotEnabled": 31,
}  # fmt: skip
COR_E_EXCEPTION = -2146233087  # 0x80131501 COR_E_SYSTEM, what RuntimeException carries
_RUNTIME = "System.Management.Automation.RuntimeException"
_PARENT = "System.Management.Automation.ParentContainsErrorRecordException"
_BEFORE_RUNNING = frozenset(
    f"System.Management.Automation.{name}"
    for name in (
        "CommandNotFoundException",
        "ParseException",
        "ParameterBindingException",
        "ParameterBindingArgumentTransformationException",
        "ParameterBindingValidationException",
    )
)


@dataclass(frozen=True)
class Origin:
    """The command an error comes from: its name as it was called, its definition, where it stands in its pipeline."""

    name: str = ""
    called_as: str = ""
    type_name: str = ""
    definition: str = ""
    command_type: str = "Cmdlet"
    length: int = 0
    position: int = 0
    known: bool = True


@dataclass(frozen=True)
class ErrorInfo:
    """What went wrong. `id` is the part of the FullyQualifiedErrorId before the command's type name.

    `bare_id` leaves the type name away.  `facts` are further properties of the exception.
    """

    message: str
    id: str
    category: str = "NotSpecified"
    target: Any = None
    exception: str = _RUNTIME
    origin: Origin = Origin(known=False)
    bare_id: bool = False
    hresult: int = COR_E_EXCEPTION
    target_name: str | None = None
    target_type: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    stopped: bool = False  # it ends the pipeline because of -ErrorAction Stop

    @property
    def full_id(self) -> str:
        """The FullyQualifiedErrorId."""
        origin = self.origin.type_name
        return self.id if self.bare_id or not origin else f"{self.id},{origin}"

    @property
    def reason(self) -> str:
        """The exception's short name."""
        return self.exception.rpartition(".")[2]

    def as_appended(self) -> ErrorInfo:
        """The same error as the engine appends it when the first statement of several failed.

        Measured: an error from before anything ran loses its exception there, one of a running command keeps it.
        """
        return replace(self, exception=_PARENT, facts={}) if self.exception in _BEFORE_RUNNING else self


class PowerShellError(Exception):
    """A terminating error: ends the statement, and with it the pipeline."""

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(info.message)
        self.info = info


class PipelineStopped(Exception):
    """The pipeline was stopped by its client, or with its shell."""


class PipelineFailed(Exception):
    """The pipeline ended in the state Failed; the record of `info` belongs into the state message."""

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(info.message)
        self.info = info


_TEXTS: dict[str, dict[str, str]] = {
    "CommandNotFound": {
        "en": "The term '{0}' is not recognized as the name of a cmdlet, function, script file, or "
        "operable program. Check "
        "the spelling of the name, or if a path was included, verify that the path is correct and try again.",
        "de": 'Die Benennung "{0}" wurde nicht als Name eines Cmdlet, einer Funktion, einer Skriptdatei oder eines '
        "ausführbaren Programms erkannt. Überprüfen Sie die Schreibweise des Namens, oder ob der Pfad korrekt ist "
        "(sofern enthalten), und wiederholen Sie den Vorgang.",
        "fr": "Le terme «{0}» n'est pas reconnu comme nom d'applet de commande, fonction, fichier de "
        "script ou programme "
        "exécutable. Vérifiez l'orthographe du nom, ou si un chemin d'accès existe, vérifiez que le chemin d'accès est "
        "correct et réessayez.",
    },
    "PathNotFound": {
        "en": "Cannot find path '{0}' because it does not exist.",
        "de": 'Der Pfad "{0}" kann nicht gefunden werden, da er nicht vorhanden ist.',
        "fr": "Impossible de trouver le chemin d'accès «{0}», car il n'existe pas.",
    },
    "DriveNotFound": {
        "en": "Cannot find drive. A drive with the name '{0}' does not exist.",
        "de": 'Das Laufwerk wurde nicht gefunden. Ein Laufwerk mit dem Namen "{0}" ist nicht vorhanden.',
        "fr": "Lecteur introuvable. Il n'existe aucun lecteur nommé «{0}».",
    },
    "ItemExists": {
        "en": "An item with the specified name {0} already exists.",
        "de": "Ein Element mit dem angegebenen Namen {0} ist bereits vorhanden.",
        "fr": "Un élément avec le nom spécifié {0} existe déjà.",
    },
    "AccessDenied": {
        "en": "Access to the path '{0}' is denied.",
        "de": 'Der Zugriff auf den Pfad "{0}" wurde verweigert.',
        "fr": "L'accès au chemin d'accès '{0}' est refusé.",
    },
    "NoMatchingEvents": {
        "en": "No events were found that match the specified selection criteria.",
        "de": "Es wurden keine Ereignisse gefunden, die den angegebenen Auswahlkriterien entsprechen.",
        "fr": "Aucun événement correspondant aux critères de sélection spécifiés n'a été trouvé.",
    },
}


def text(name: str, language: str, *values: Any) -> str:
    """A message of PowerShell in a language tag such as 'de-DE', English where no other is known."""
    row = _TEXTS[name]
    return row.get(language[:2].lower(), row["en"]).format(*values)
