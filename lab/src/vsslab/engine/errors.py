# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors as PowerShell reports them: what goes wrong, and the error record a client reads.

The shape of a record is that of recorded conversations with the engine; [MS-PSRP] 2.2.3.15 names the properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from psrpcore import types as ps

from . import signatures
from .clixml import to_wire
from .values import EnumValue, short_type, text_of

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
    """The pipeline ended in the state Failed; `record` belongs into the state message."""

    def __init__(self, record: ps.ErrorRecord, info: ErrorInfo) -> None:
        super().__init__(info.message)
        self.record = record
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


def exception_types(name: str) -> list[str]:
    """The type names of an exception, most derived first."""
    bases = signatures.table("exceptions").get(name, ())
    return list(dict.fromkeys([name, *bases, "System.Exception", "System.Object"]))


class Record(ps.ErrorRecord):
    """An error record that is written exactly as Windows writes it."""

    info: ErrorInfo
    extended: bool

    @classmethod
    def ToPSObjectForRemoting(cls, instance: ps.ErrorRecord, **kwargs: Any) -> Any:  # noqa: N802 - psrpcore's name
        del kwargs
        if not isinstance(instance, Record):
            raise TypeError("A record made by record() is needed.")
        return _shape(instance.info, extended=instance.extended)


def record(info: ErrorInfo, *, extended: bool) -> ps.ErrorRecord:
    """The psrpcore record of an error; `extended` in the error stream, not in a state message."""
    kind = ps.ErrorCategory(CATEGORIES[info.category])
    made = Record(
        Exception=ps.NETException(Message=info.message, HResult=info.hresult),
        CategoryInfo=ps.ErrorCategoryInfo(
            Category=kind,
            Activity=info.origin.name if info.origin.known else "",
            Reason=info.reason,
            TargetName=_target_name(info),
            TargetType=_target_type(info),
        ),
        TargetObject=to_wire(info.target, 0),
        FullyQualifiedErrorId=info.full_id,
    )
    made.info = info
    made.extended = extended
    return made


def _target_name(info: ErrorInfo) -> str:
    return text_of(info.target) if info.target_name is None else info.target_name


def _target_type(info: ErrorInfo) -> str:
    return short_type(info.target) if info.target_type is None else info.target_type


def _object(types: list[str], *, own: Mapping[str, Any] | None = None, notes: Mapping[str, Any] | None = None,
            text: str | None = None) -> Any:  # fmt: skip
    made = ps.PSObject()
    made.PSObject.type_names = types
    made.PSObject.adapted_properties = [ps.PSNoteProperty(name, value) for name, value in (own or {}).items()]
    made.PSObject.extended_properties = [ps.PSNoteProperty(name, value) for name, value in (notes or {}).items()]
    if text is not None:
        made.PSObject.to_string = text
    return made


def _typed(value: Any, *types: str) -> Any:
    value.PSObject.type_names = [*types, "System.Object"]
    return value


def _enumeration(full: str, name: str, number: int) -> Any:
    return to_wire(EnumValue(name, number, full), 1)


_STRING = "System.String, mscorlib, Version=4.0.0.0, Culture=neutral, PublicKeyToken=b77a5c561934e089"
_ANY = "System.Object, mscorlib, Version=4.0.0.0, Culture=neutral, PublicKeyToken=b77a5c561934e089"
_INT = "System.Int32, mscorlib, Version=4.0.0.0, Culture=neutral, PublicKeyToken=b77a5c561934e089"
_BOUND = f"System.Collections.Generic.Dictionary`2[[{_STRING}],[{_ANY}]]"
_UNBOUND = f"System.Collections.Generic.List`1[[{_ANY}]]"
_ITERATION = f"System.Collections.ObjectModel.ReadOnlyCollection`1[[{_INT}]]"
_COMMAND_TYPES = {"Cmdlet": 8, "Function": 2, "Application": 32}


def _exception(info: ErrorInfo) -> Any:
    types = exception_types(info.exception)
    own: dict[str, Any] = {
        "ErrorRecord": info.message,
        **{name: to_wire(value, 0) for name, value in info.facts.items()},
    }
    own |= {"WasThrownFromThrowStatement": False, "TargetSite": None, "StackTrace": None, "Message": info.message}
    own |= {
        "Data": _typed(ps.PSDict(), "System.Collections.ListDictionaryInternal"),
        "InnerException": None,
        "HelpLink": None,
    }
    own |= {"Source": None, "HResult": ps.PSInt(info.hresult)}
    return _object(types, own=own, text=f"{info.exception}: {info.message}")


def _invocation(origin: Origin, bound: Any, unbound: Any) -> Any:
    own = {
        "MyCommand": origin.name,
        "BoundParameters": bound,
        "UnboundArguments": unbound,
        "ScriptLineNumber": ps.PSInt(0),
        "OffsetInLine": ps.PSInt(0),
        "HistoryId": ps.PSInt64(-1 if origin.command_type == "Application" else 1),
        "ScriptName": "",
        "Line": "",
        "PositionMessage": "",
        "PSScriptRoot": "",
        "PSCommandPath": None,
        "InvocationName": origin.called_as,
        "PipelineLength": ps.PSInt(0),
        "PipelinePosition": ps.PSInt(0),
        "ExpectingInput": False,
        "CommandOrigin": "Internal",
        "DisplayScriptPosition": None,
    }
    name = "System.Management.Automation.InvocationInfo"
    return _object([name, "System.Object"], own=own, text=name)


def _extension(origin: Origin, bound: Any, unbound: Any) -> dict[str, Any]:
    """What a record in the error stream says of the command that wrote it."""
    automation = "System.Management.Automation"
    iteration = [0, 0] if origin.command_type == "Application" else [0, 1]
    return {
        "InvocationInfo_BoundParameters": bound,
        "InvocationInfo_CommandOrigin": _enumeration(f"{automation}.CommandOrigin", "Internal", 1),
        "InvocationInfo_ExpectingInput": False,
        "InvocationInfo_InvocationName": origin.called_as,
        "InvocationInfo_Line": "",
        "InvocationInfo_OffsetInLine": ps.PSInt(0),
        "InvocationInfo_HistoryId": ps.PSInt64(-1 if origin.command_type == "Application" else 1),
        "InvocationInfo_PipelineIterationInfo": _typed(ps.PSList(), "System.Int32[]", "System.Array"),
        "InvocationInfo_PipelineLength": ps.PSInt(0),
        "InvocationInfo_PipelinePosition": ps.PSInt(0),
        "InvocationInfo_PSScriptRoot": "",
        "InvocationInfo_PSCommandPath": None,
        "InvocationInfo_PositionMessage": "",
        "InvocationInfo_ScriptLineNumber": ps.PSInt(0),
        "InvocationInfo_ScriptName": "",
        "InvocationInfo_UnboundArguments": unbound,
        "SerializeExtent": False,
        "CommandInfo_CommandType": _enumeration(f"{automation}.CommandTypes", origin.command_type,
                                                _COMMAND_TYPES[origin.command_type]),
        "CommandInfo_Definition": origin.definition,
        "CommandInfo_Name": origin.name,
        "CommandInfo_Visibility": _enumeration(f"{automation}.SessionStateEntryVisibility", "Public", 0),
        "PipelineIterationInfo": _typed(ps.PSList([ps.PSInt(each) for each in iteration]), _ITERATION),
        "PSMessageDetails": None,
    }  # fmt: skip


def _shape(info: ErrorInfo, *, extended: bool) -> Any:
    origin = info.origin
    # the engine gives the records of native programs no activity; others name their command
    activity = "" if not origin.known or origin.command_type == "Application" else origin.name
    shown, kind = _target_name(info), _target_type(info)
    bound, unbound = _typed(ps.PSDict(), _BOUND), _typed(ps.PSList(), _UNBOUND)
    notes: dict[str, Any] = {
        "Exception": _exception(info),
        "TargetObject": to_wire(info.target, 0),
        "FullyQualifiedErrorId": info.full_id,
        "InvocationInfo": _invocation(origin, bound, unbound) if origin.known else None,
        "ErrorCategory_Category": ps.PSInt(CATEGORIES[info.category]),
        "ErrorCategory_Activity": activity,
        "ErrorCategory_Reason": info.reason,
        "ErrorCategory_TargetName": shown,
        "ErrorCategory_TargetType": kind,
        "ErrorCategory_Message": f"{info.category}: ({shown}:{kind}) [{activity}], {info.reason}",
        "SerializeExtendedInfo": extended and origin.known,
    }
    if extended and origin.known:
        notes |= _extension(origin, bound, unbound)
    return _object(["System.Management.Automation.ErrorRecord", "System.Object"], notes=notes, text=info.message)
