# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows path texts: which volume or device they name, their parts, and DOS wildcards.

Source: "Naming Files, Paths, and Namespaces" and "File path formats on Windows systems" (Windows and .NET docs).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from .errors import (
    BAD_NETPATH,
    INVALID_NAME,
    INVALID_PARAMETER,
    NAME_TOO_LONG,
    NOT_SUPPORTED,
    PATH_NOT_FOUND,
    WinError,
)

MAX_PATH = 260
MAX_FOLDER = 248
MAX_NAME = 255
_INVALID = re.compile(r'[<>:"/|?*\x00-\x1f]')
_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|COM[1-9]|LPT[1-9])(?:\..*)?", re.IGNORECASE)
_STREAM = re.compile(r'[^<>:"/|?*\x00-\x1f]+:[^<>:"/|?*\x00-\x1f]*(?::\$\w+)?')
_UNC = re.compile(r"([^\\/:*?\"<>|]+)\\([^\\/:*?\"<>|]+)(?:\\|\Z)")
_DRIVE = re.compile(r"([A-Za-z]):(\\|\Z)")
_DEVICES = (
    re.compile(r"Volume\{([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})\}(\\|\Z)", re.IGNORECASE),
    re.compile(r"GLOBALROOT\\Device\\([^\\]+)(\\|\Z)", re.IGNORECASE),
)


@dataclass(frozen=True)
class WinPath:
    r"""A parsed path. `prefix` is 'C:\', '\\?\Volume{guid}\', '\\?\GLOBALROOT\Device\NAME\' or '\\host\share\'.

    `bare` is True for a device or volume named without the closing backslash: the device itself, not its root folder.
    """

    prefix: str
    parts: tuple[str, ...] = ()
    bare: bool = False

    @property
    def unc(self) -> tuple[str, str] | None:
        """Host and share of a UNC path, else None."""
        if self.prefix[:2] != "\\\\" or self.prefix[2] == "?":
            return None
        host, share = self.prefix.strip("\\").split("\\")
        return host, share

    @property
    def text(self) -> str:
        """The path in its canonical spelling."""
        return self.prefix + "\\".join(self.parts)


def fold(name: str) -> str:
    """A name as NTFS compares it: upper case, character by character (its $UpCase table maps one to one)."""
    if name.isascii():
        return name.upper()
    return "".join(upper if len(upper := char.upper()) == 1 else char for char in name)


def key(parts: tuple[str, ...]) -> str:
    """The parts of a path as one text that is equal for names that Windows takes for the same."""
    return fold("\\".join(parts))


@functools.lru_cache(maxsize=8192)
def parse(path: str, cwd: str = "C:\\") -> WinPath:
    """A path text, relative ones against `cwd`; WinError 3, 50, 53, 87, 123 or 206 as Windows refuses them."""
    if not path:
        raise WinError(PATH_NOT_FOUND, path)
    if path.startswith("\\\\?\\"):
        return _literal(path)
    text = path.replace("/", "\\")
    if text.startswith("\\\\.\\"):
        return _literal("\\\\?\\" + text[4:])
    if text.startswith("\\\\"):
        return _limited(_network(text[2:], path), path)
    drive = _DRIVE.match(text)
    if drive:
        prefix, rest = f"{drive[1].upper()}:\\", text[drive.end() :]
        base: tuple[str, ...] = ()
    elif re.match(r"[A-Za-z]:", text):
        raise WinError(INVALID_NAME, path)  # relative to a drive's own folder: every process would have its own
    else:
        here = parse(cwd)
        prefix, rest = here.prefix, text
        base = () if text.startswith("\\") else here.parts
    return _limited(WinPath(prefix, _normal_parts(base, rest, path)), path)


def _limited(result: WinPath, path: str) -> WinPath:
    """`result`, unless it is longer than MAX_PATH ("Maximum Path Length Limitation"; the long form has no limit)."""
    if len(result.text) >= MAX_PATH and not result.prefix.startswith("\\\\?\\"):
        raise WinError(NAME_TOO_LONG, path)
    return result


def _network(body: str, path: str) -> WinPath:
    r"""host\share\rest of a UNC path; WinError 53 when it names no share."""
    found = _UNC.match(body)
    if not found:
        raise WinError(BAD_NETPATH, path)
    return WinPath(f"\\\\{found[1]}\\{found[2]}\\", _normal_parts((), body[found.end() :], path))


def _normal_parts(base: tuple[str, ...], rest: str, path: str) -> tuple[str, ...]:
    """Dots resolved, closing dots and blanks of names dropped, as the Win32 layer does before NTFS sees a name."""
    parts = list(base)
    for raw in rest.split("\\"):
        if raw in {"", "."}:
            continue
        if raw == "..":
            del parts[-1:]
            continue
        name = raw.rstrip(" .")
        if not name or _RESERVED.fullmatch(name):
            raise WinError(INVALID_NAME, path)
        parts.append(_checked(name, path))
    return tuple(parts)


def _literal(path: str) -> WinPath:
    r"""A path with the prefix \\?\: taken as it stands, no dots, no slashes."""
    body = path[4:]
    drive = _DRIVE.match(body)
    if drive:
        return _below(f"{drive[1].upper()}:\\", body[drive.end() :], bare=not drive[2], path=path)
    for pattern, prefix in zip(_DEVICES, ("\\\\?\\Volume{%s}\\", "\\\\?\\GLOBALROOT\\Device\\%s\\"), strict=True):
        found = pattern.match(body)
        if found:
            name = found[1].lower() if "Volume" in prefix else found[1]
            return _below(prefix % name, body[found.end() :], bare=not found[2], path=path)
    if body.upper().startswith("UNC\\"):
        share = _UNC.match(body, 4)
        if not share:
            raise WinError(BAD_NETPATH, path)
        return _below(f"\\\\{share[1]}\\{share[2]}\\", body[share.end() :], bare=False, path=path)
    raise WinError(PATH_NOT_FOUND, path)


def _below(prefix: str, rest: str, *, bare: bool, path: str) -> WinPath:
    names = rest.rstrip("\\").split("\\") if rest.rstrip("\\") else []
    if any(name in {"", ".", ".."} for name in names):
        raise WinError(INVALID_NAME, path)
    return WinPath(prefix, tuple(_checked(name, path) for name in names), bare)


def _checked(name: str, path: str) -> str:
    if ":" in name and _STREAM.fullmatch(name):
        raise WinError(NOT_SUPPORTED, path, "vsslab does not simulate alternate data streams.")
    if _INVALID.search(name) or len(name.encode("utf-16-le", "surrogatepass")) > 2 * MAX_NAME:
        raise WinError(INVALID_NAME, path)
    try:
        name.encode()
    except UnicodeEncodeError:  # half a surrogate pair: a real folder cannot hold it
        raise WinError(INVALID_NAME, path) from None
    return name


def root_folder(parsed: WinPath, path: str) -> WinPath:
    """`parsed`, unless it names a bare device: WinError 87 (the root of a device needs its closing backslash)."""
    if parsed.bare and not parsed.parts:
        raise WinError(INVALID_PARAMETER, path)
    return parsed


def child(folder: str, name: str) -> str:
    """The path of `name` in `folder`."""
    return folder + name if folder.endswith("\\") else f"{folder}\\{name}"


def parent(path: str) -> str:
    """The folder that holds `path`; a root is its own parent."""
    parsed = parse(path)
    return WinPath(parsed.prefix, parsed.parts[:-1]).text


@functools.lru_cache(maxsize=1024)
def _wildcard(pattern: str) -> re.Pattern[str]:
    if pattern == "*.*":
        pattern = "*"
    out = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in fold(pattern))
    if pattern.endswith(".") and len(pattern) > 1:  # 'name*.' means: without an extension
        out = "".join({"*": "[^.]*", "?": "."}.get(char, re.escape(char)) for char in fold(pattern[:-1]))
    return re.compile(out, re.DOTALL)


def wildcard_match(name: str, pattern: str) -> bool:
    """True when a name matches a DOS pattern with * and ?; case does not count ('*.*' means every name)."""
    return _wildcard(pattern).fullmatch(fold(name)) is not None
