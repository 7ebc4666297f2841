# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML from anywhere, read without entities, document types or more elements than memory should hold.

A look at the bytes comes first, so that the fast parser can do the work: without a document type there is nothing in
XML that grows.  What the look cannot decide goes to defusedxml.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import defusedxml.ElementTree as SafeTree  # type: ignore[import-untyped,unused-ignore]
from defusedxml import DefusedXmlException

MAX_MARKUP = 400_000
"""Most `<` and most attributes of a document: an element of ElementTree takes some 200 bytes."""
_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_ATTRIBUTE = re.compile(rb"""=[ \t\r\n]*["']""")
_PLAIN = frozenset({b"utf-8", b"us-ascii", b"ascii", b"iso-8859-1"})


class UnsafeXml(ValueError):
    """The bytes are no XML, or XML that is not read: a document type, entities, another encoding, too many elements."""


def check(data: bytes) -> bytes:
    """The document as the plain parser may read it (UTF-8 or ASCII); UnsafeXml when it may not.

    UTF-16 becomes UTF-8, every other encoding is refused: it could hide a document type.
    """
    if b"\0" in data:
        data = _from_utf16(data)
    declared = _DECLARED.match(data[:300].removeprefix(BOM_UTF8))
    if declared and declared[1].lower() not in _PLAIN:
        raise UnsafeXml(f"the encoding {declared[1].decode('ascii')!r} is not read")
    if data.count(b"<") > MAX_MARKUP or _more_attributes_than(MAX_MARKUP, data):
        raise UnsafeXml("it has too many elements or attributes")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        try:  # a comment or CDATA section may speak of a document type
            SafeTree.fromstring(data, forbid_dtd=True)
        except (ElementTree.ParseError, DefusedXmlException, ValueError, LookupError) as error:
            raise UnsafeXml("it holds a document type") from error
    return data


def _more_attributes_than(most: int, data: bytes) -> bool:
    """Blanks may stand between the sign and the quote; text (base64, say) has signs too, but no quotes after them."""
    return data.count(b"=") > most and sum(1 for _ in _ATTRIBUTE.finditer(data)) > most


def parse(data: bytes) -> Element:
    """The root element; UnsafeXml when there is none."""
    try:
        return ElementTree.fromstring(check(data))  # noqa: S314 - check() saw that there is no document type
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise error if isinstance(error, UnsafeXml) else UnsafeXml("it is not well-formed XML") from error


def _from_utf16(data: bytes) -> bytes:
    try:
        text = data.decode("utf-16")
    except UnicodeDecodeError as error:
        raise UnsafeXml("it is not well-formed XML") from error
    if "\0" in text:
        raise UnsafeXml("it is not well-formed XML")
    return re.sub(r"^\s*<\?xml[^>]{0,200}\?>", "", text, count=1).encode("utf-8", "replace")
