# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The encodings that 5.1's file commands know by name: bytes of texts and texts of bytes.

Sources: about_Character_Encoding (Windows PowerShell 5.1): Set-Content and Add-Content write ANSI unless told
otherwise, Out-File and Tee-Object UTF-16 with a byte order mark, -Encoding UTF8 writes one too; readers heed a mark.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from vsslab.windows.profile import Language


@dataclass(frozen=True)
class Encoding:
    """A codec of Python and the byte order mark that a new file gets."""

    codec: str
    mark: bytes = b""

    def encode(self, text: str) -> bytes:
        """The bytes of a text; what the encoding does not have becomes a question mark."""
        if self.codec.startswith(("utf-16", "utf-32")):
            return text.encode(self.codec, "surrogatepass")
        return text.encode(self.codec, "replace")


_MARKED = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNICODE = Encoding("utf-16-le", codecs.BOM_UTF16_LE)
_FIXED = {
    "ascii": Encoding("ascii"),
    "unicode": _UNICODE,
    "string": _UNICODE,
    "unknown": _UNICODE,
    "bigendianunicode": Encoding("utf-16-be", codecs.BOM_UTF16_BE),
    "utf8": Encoding("utf-8", codecs.BOM_UTF8),
    "utf7": Encoding("utf-7"),
    "utf32": Encoding("utf-32-le", codecs.BOM_UTF32_LE),
    "bigendianutf32": Encoding("utf-32-be", codecs.BOM_UTF32_BE),
}


def named(name: str, language: Language) -> Encoding:
    """The encoding of this name on a host of this language (Default: its ANSI code page, OEM: its console's)."""
    wanted = name.lower()
    if wanted == "default":
        return Encoding(f"cp{language.ansi_codepage}")
    if wanted == "oem":
        return Encoding(f"cp{language.oem_codepage}")
    return _FIXED[wanted]


def decode(data: bytes, encoding: Encoding) -> str:
    """The text of a file's bytes; a byte order mark goes before the encoding that was asked for."""
    for mark, codec in _MARKED:
        if data.startswith(mark):
            return data[len(mark) :].decode(codec, "replace")
    if encoding.codec == "ascii":
        return "".join(chr(each) if each < 0x80 else "?" for each in data)
    if encoding.codec.startswith("cp125"):
        return data.decode(encoding.codec, "windows_best_fit")
    return data.decode(encoding.codec, "replace")


def _best_fit(problem: UnicodeError) -> tuple[str, int]:
    """Bytes that an ANSI code page does not define are control characters to Windows (best fit tables)."""
    if not isinstance(problem, UnicodeDecodeError):
        raise problem
    return "".join(chr(each) for each in problem.object[problem.start : problem.end]), problem.end


codecs.register_error("windows_best_fit", _best_fit)
