# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines in fewer bytes: an object that was said before is referred to ([MS-PSRP] 2.2.5, "Ref").

A pipeline of ours is many small commands, most of whose parts are the same. A host reads a reference as the object that
it refers to, so that the commands are the very same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

__all__ = ["lean", "travelling_light"]

_Shape = tuple[Any, ...]


def lean(root: ElementTree.Element) -> ElementTree.Element:
    """A serialized object, changed in place: every object in it that was there before becomes a reference to it.

    References are resolved in the order of the text, and what an object is called (N) is not part of it.
    """
    _Reader().read(root)
    return root


class _Reader:
    """Knows what was there, by its shape, in the order in which a host reads it."""

    def __init__(self) -> None:
        self.types: dict[str, _Shape] = {}  # by RefId: names of types are numbered apart from objects
        self.known: dict[_Shape, str] = {}

    def read(self, element: ElementTree.Element) -> _Shape:
        """The shape of an element, whose parts are lean when this returns."""
        if element.tag == "TN":
            names = tuple(each.text for each in element)
            return self.types.setdefault(element.attrib["RefId"], ("TN", *names))
        if element.tag == "TNRef":
            return self.types[element.attrib["RefId"]]
        parts = []
        for child in element:
            shape = self.read(child)
            parts.append((child.attrib.get("N"), shape))
            if child.tag == "Obj":
                self._refer(child, shape)
        return (element.tag, element.text, *parts)

    def _refer(self, element: ElementTree.Element, shape: _Shape) -> None:
        before = self.known.setdefault(shape, element.attrib["RefId"])
        if before != element.attrib["RefId"]:
            name = element.attrib.get("N")
            element.clear()
            element.tag = "Ref"
            element.attrib.update({"RefId": before} if name is None else {"N": name, "RefId": before})


@contextmanager
def travelling_light(pool: Any) -> Iterator[None]:
    """Meanwhile a runspace pool of pypsrp sends its pipelines like this."""
    fragmenter = pool._fragmenter
    inner = fragmenter.serializer
    fragmenter.serializer = _Lean(inner)
    try:
        yield
    finally:
        fragmenter.serializer = inner


class _Lean:
    """What pypsrp writes, made lean."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def serialize(self, value: Any, *more: Any, **options: Any) -> Any:
        """See pypsrp.serializer.Serializer."""
        return lean(self._inner.serialize(value, *more, **options))
