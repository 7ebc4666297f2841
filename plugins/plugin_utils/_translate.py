# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between plain Python values and those of the client library ([MS-PSRP] 2.2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._pipeline import U64, HostError

__all__ = ["host_error", "plain", "plain_value"]

# System.Management.Automation.ErrorCategory, in the order of its numbers.
_CATEGORIES = (
    "NotSpecified",
    "OpenError",
    "CloseError",
    "DeviceError",
    "DeadlockDetected",
    "InvalidArgument",
    "InvalidData",
    "InvalidOperation",
    "InvalidResult",
    "InvalidType",
    "MetadataError",
    "NotImplemented",
    "NotInstalled",
    "ObjectNotFound",
    "OperationStopped",
    "OperationTimeout",
    "SyntaxError",
    "ParserError",
    "PermissionDenied",
    "ResourceBusy",
    "ResourceExists",
    "ResourceUnavailable",
    "ReadError",
    "WriteError",
    "FromStdErr",
    "SecurityError",
    "ProtocolError",
    "ConnectionError",
    "AuthenticationError",
    "LimitsExceeded",
    "QuotaExceeded",
    "NotEnabled",
)


def plain(value: Any) -> Any:
    """A task's value as plain Python: exact types, without the tags that newer Ansible attaches to them.

    The client library looks at exact types; a tagged list or dict would fail deep inside of it.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, U64):
        return value
    for kind in (str, int, float, bytes):
        if isinstance(value, kind):
            return _exact(kind, value)
    if isinstance(value, Mapping):
        return {_exact(str, str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return str(value)


def _exact(kind: type, value: Any) -> Any:
    if value.__class__ is kind:
        return value
    if kind is str:
        return "".join(value)
    return kind.__new__(kind, value)


def plain_value(value: Any) -> Any:
    """What pypsrp read, as plain Python: objects become dicts of their properties, texts with notes become texts."""
    if value is None or isinstance(value, (str, bool, int, float, bytes)):
        return value
    if isinstance(value, dict):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    # A primitive with note properties arrives as an object that holds the primitive itself beside its properties.
    inner = [item for item in getattr(value, "property_sets", []) if isinstance(item, (str, bool, int, float))]
    if inner:
        return inner[0]
    properties = {**getattr(value, "adapted_properties", {}), **getattr(value, "extended_properties", {})}
    if properties:
        return {str(key): plain_value(item) for key, item in properties.items()}
    return str(value)


def host_error(record: Any) -> HostError:
    """An error record as pypsrp read it; a text where the host sent no record."""
    if isinstance(record, str):
        return HostError(record)
    category = getattr(record, "category", None)
    known = isinstance(category, int) and 0 <= category < len(_CATEGORIES)
    return HostError(
        message=_text(getattr(record, "details_message", None)) or _text(record),
        error_id=_text(getattr(record, "fq_error", None)),
        category=_CATEGORIES[category] if known and category is not None else "",
        command=_text(getattr(record, "activity", None)) or _text(getattr(record, "command_name", None)),
        target=_text(getattr(record, "target_name", None)),
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value)
