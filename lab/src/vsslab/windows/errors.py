# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Win32 errors and the system's messages for them, in the languages of the laboratory."""

from __future__ import annotations

import functools
from typing import Any

from vsslab import tables

INVALID_FUNCTION = 1
NOT_FOUND = 2
PATH_NOT_FOUND = 3
ACCESS_DENIED = 5
NOT_SAME_DEVICE = 17
WRITE_PROTECT = 19
NOT_READY = 21
SHARING_VIOLATION = 32
NOT_SUPPORTED = 50
BAD_NETPATH = 53
BAD_NET_NAME = 67
ALREADY_ASSIGNED = 85
INVALID_PARAMETER = 87
DISK_FULL = 112
INVALID_NAME = 123
DIR_NOT_EMPTY = 145
ALREADY_EXISTS = 183
NAME_TOO_LONG = 206
NOT_A_DIRECTORY = 267
PRIVILEGE_NOT_HELD = 1314
NONE_MAPPED = 1332
CANNOT_RESOLVE = 1921
NOT_A_REPARSE_POINT = 4390
INVALID_OWNER = 1307
CREDENTIAL_CONFLICT = 1219
LOGON_FAILURE = 1326
ACCOUNT_DISABLED = 1331
ACCOUNT_LOCKED = 1909
SYMLINK_DISABLED = 1463
NOT_CONNECTED = 2250
DEVICE_NOT_CONNECTED = 1167


_PACKAGE, _LANGUAGE = "vsslab.windows", "language-"


@functools.cache
def data(name: str) -> Any:
    """The parsed YAML table `name` of windows/data, every further language laid over it; do not change the result.

    A file language-XX.yml there adds a language: its keys are the names of the other tables, and below each the same
    tree as in that table, with a text where the table has its texts by language.
    """
    table = tables.load(_PACKAGE, f"data/{name}")
    for short, extra in _languages().items():
        if name in extra:
            _overlay(table, extra[name], short)
    return table


@functools.cache
def _languages() -> dict[str, Any]:
    found = [each for each in tables.names(_PACKAGE, "data") if each.startswith(_LANGUAGE)]
    return {each.removeprefix(_LANGUAGE): tables.load(_PACKAGE, f"data/{each}.yml") for each in found}


def _overlay(table: dict[Any, Any], extra: dict[Any, Any], short: str) -> None:
    for key, value in extra.items():
        if key not in table:
            table[key] = value
        elif isinstance(value, dict):
            _overlay(table[key], value, short)
        else:
            table[key][short] = value


def message(code: int, language: str) -> str:
    """The system's message for a Win32 error in a language by its tag; English where no other is known.

    Source: Win32 "System Error Codes"; unknown codes read as Windows' own fallback, "Unknown error".
    """
    texts = data("messages.yml").get(code)
    if texts is None:
        return f"Unknown error (0x{code & 0xFFFFFFFF:x})"
    return str(texts.get(language[:2].lower(), texts["en"]))


def hresult(code: int) -> int:
    """HRESULT_FROM_WIN32: 0x8007xxxx of a Win32 error (winerror.h)."""
    return 0x80070000 | (code & 0xFFFF)


class WinError(Exception):
    """A call of Windows failed: `code` is the Win32 error, `path` what it was about, `text` the English message."""

    def __init__(self, code: int, path: str | None = None, text: str | None = None) -> None:
        self.code = code
        self.path = path
        self.text = text or message(code, "en-US")
        super().__init__(self.text if path is None else f"{self.text} ({path})")

    @property
    def hresult(self) -> int:
        """The same error as an HRESULT, 0x8007xxxx."""
        return hresult(self.code)

    def localized(self, language: str) -> str:
        """The system's message in the language of a host, by its tag; the laboratory's own words stay."""
        return self.text if self.text != message(self.code, "en-US") else message(self.code, language)
