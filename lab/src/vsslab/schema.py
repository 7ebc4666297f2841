# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict reader of YAML: tables say what may stand where; errors name file, line and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from vsslab.refusal import Refusal


class SchemaError(Refusal):
    """Something in the file is wrong; the text is `file:line: one sentence`."""


@dataclass(frozen=True)
class _Place:
    """A node and the file it is in."""

    file: str
    node: yaml.Node
    loader: yaml.SafeLoader
    what: str = "the value"

    @property
    def line(self) -> int:
        return int(self.node.start_mark.line) + 1

    def at(self, node: yaml.Node, what: str) -> _Place:
        return _Place(self.file, node, self.loader, what)

    def wrong(self, sentence: str) -> SchemaError:
        return SchemaError(f"{self.file}:{self.line}: {sentence}")


Parser = Callable[[_Place], Any]
_INNER = "inner"  # the attribute of a list's parser that holds the parser of its entries


@dataclass(frozen=True)
class Field:
    """One key of a record: how its value is read, and whether it must be there."""

    parser: Parser
    required: bool = False


@dataclass(frozen=True)
class Record:
    """A mapping with known keys, read into `make(**values)`.

    `line` is the key that receives the line number; `inherit` is a pair (defaults, records): each record of the second
    key starts out with the keys of the first.
    """

    make: Callable[..., Any]
    fields: Mapping[str, Parser | Field]
    line: str | None = None
    inherit: tuple[str, str] | None = field(default=None)

    def __call__(self, place: _Place) -> Any:
        pairs = _pairs(place)
        if self.inherit is not None and self.inherit[0] in pairs and self.inherit[1] in pairs:
            _inherit(pairs[self.inherit[0]][1], pairs[self.inherit[1]][1])
        for key, (node, _) in pairs.items():
            if key not in self.fields:
                raise place.at(node, "").wrong(f"{key!r} is not known here; known are {', '.join(self.fields)}.")
        values: dict[str, Any] = {}
        for key, spec in self.fields.items():
            wanted = spec if isinstance(spec, Field) else Field(spec)
            if key in pairs:
                values[key] = wanted.parser(place.at(pairs[key][1], key))
            elif wanted.required:
                raise place.wrong(f"{place.what} needs {key!r}.")
        if self.line is not None:
            values[self.line] = place.line
        return self.make(**values)


def _pairs(place: _Place) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """The keys of a mapping with the nodes of key and value; a key given twice is refused."""
    node = place.node
    if not isinstance(node, yaml.MappingNode):
        raise place.wrong(f"{place.what} is a mapping (keys and values).")
    pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in pairs:
            raise place.at(key, "").wrong(f"{name!r} is given twice.")
        pairs[name] = (key, value)
    return pairs


def _inherit(defaults: yaml.Node, records: yaml.Node) -> None:
    if not isinstance(defaults, yaml.MappingNode) or not isinstance(records, yaml.SequenceNode):
        return  # refused later, where these two are read
    for record in records.value:
        if isinstance(record, yaml.MappingNode):
            own = {key.value for key, _ in record.value}
            record.value = [*record.value, *((k, v) for k, v in defaults.value if k.value not in own)]


def scalar(kind: type | tuple[type, ...], convert: Callable[[Any], Any] | None = None) -> Parser:
    """A scalar of this Python type, optionally converted; ValueError of `convert` becomes the error's sentence."""
    kinds = kind if isinstance(kind, tuple) else (kind,)

    def parse(place: _Place) -> Any:
        value = place.loader.construct_object(place.node, deep=True)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise place.wrong(f"{place.what} is a {' or '.join(each.__name__ for each in kinds)}, not {value!r}.")
        try:
            return convert(value) if convert is not None else value
        except ValueError as error:
            raise place.wrong(f"{place.what}: {error}") from None

    return parse


text: Parser = scalar(str)


def one_of(*choices: str) -> Parser:
    """One of these texts, in any case; comes out as written in the table."""

    def convert(value: str) -> str:
        for choice in choices:
            if choice.lower() == value.lower():
                return choice
        raise ValueError(f"{value!r} is not one of {', '.join(choices)}.")

    return scalar(str, convert)


def items(parser: Parser) -> Parser:
    """A list, read into a tuple."""

    def parse(place: _Place) -> tuple[Any, ...]:
        if not isinstance(place.node, yaml.SequenceNode):
            raise place.wrong(f"{place.what} is a list.")
        return tuple(parser(place.at(each, f"an entry of {place.what}")) for each in place.node.value)

    setattr(parse, _INNER, parser)
    return parse


def keys(parser: Parser | Field, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Every key that a parser understands, as `hosts.volumes.letter`, and whether it must be there."""
    inner = parser.parser if isinstance(parser, Field) else parser
    while not isinstance(inner, Record) and hasattr(inner, _INNER):
        inner = getattr(inner, _INNER)
    if isinstance(inner, Record):
        for name, each in inner.fields.items():
            yield f"{prefix}{name}", isinstance(each, Field) and each.required
            yield from keys(each, f"{prefix}{name}.")


def mapping_of_anything(place: _Place) -> dict[str, Any]:
    """A mapping that somebody else judges."""
    _pairs(place)
    value: dict[str, Any] = place.loader.construct_object(place.node, deep=True)
    return value


def judged(parser: Parser, judge: Callable[[Any], Any]) -> Parser:
    """What `parser` reads, if `judge` does not object; its ValueError becomes the error's sentence."""

    def parse(place: _Place) -> Any:
        value = parser(place)
        try:
            judge(value)
        except ValueError as error:
            raise place.wrong(f"{place.what}: {error}") from None
        except (AttributeError, TypeError):
            raise place.wrong(f"{place.what}: a value in it is of another kind than its key takes.") from None
        return value

    return parse


def document(content: str, file: str, parser: Parser) -> Any:
    """Read a YAML document; SchemaError for what is not YAML, and for what the parser refuses."""
    try:
        loader = yaml.SafeLoader(content)
        try:
            node = loader.get_single_node()
            if node is None:
                raise SchemaError(f"{file}:1: the file is empty.")
            return parser(_Place(file, node, loader, "the file"))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SchemaError(f"{file}:{line}: this is not YAML: {error.problem}.") from None
