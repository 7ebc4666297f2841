# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameter binding: what was given, against the documented parameter sets, in the engine's order and words.

Source: about_Parameters, about_Parameter_Sets, about_Parameter_Binding; error IDs and texts from recorded runs of the
engine.  Order: named arguments, positional ones, leftovers, the choice of a set, mandatory parameters, pipeline input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import convert, patterns, signatures
from .convert import CannotConvert
from .errors import ErrorInfo, Origin, PowerShellError
from .signatures import COMMON_NAMES, VARIABLE_NAMES, Parameter, Signature
from .values import lookup, plain, text_of

_EXCEPTION = "System.Management.Automation.ParameterBindingException"
_VALIDATION = "System.Management.Automation.ParameterBindingValidationException"
_TRANSFORMATION = "System.Management.Automation.ParameterBindingArgumentTransformationException"
_AMBIGUOUS_SET = (
    "Parameter set cannot be resolved using the specified named parameters. One or more parameters issued "
    "cannot be used "
    "together or an insufficient number of parameters were provided."
)
_NOT_BOUND = (
    "The input object cannot be bound to any parameters for the command either because the command does "
    "not take pipeline "
    "input or the input and its properties do not match any of the parameters that take pipeline input."
)
_VARIABLES = (
    "A variable that cannot be referenced in restricted language mode or a Data section is being referenced. Variables "
    "that can be referenced include the following: $PSCulture, $PSUICulture, $true, $false, $null."
)
_LACKING = (
    "The input object cannot be bound because it did not contain the information required to bind all mandatory "
    "parameters:"
)
_NULL_IN_SET = (
    "The argument is null, empty, or an element of the argument collection contains a null value. Supply a "
    "collection that does not contain any null values and then try the command again."
)
_THINGS = frozenset({"ciminstance", "process", "servicecontroller"})
Given = tuple[str | None, Any]


@dataclass
class Binding:
    """One command's bound parameters. `candidates` are the parameter sets that are still possible."""

    signature: Signature
    origin: Origin
    values: dict[str, Any] = field(default_factory=dict)
    candidates: list[str] = field(default_factory=list)
    from_input: set[str] = field(default_factory=set)

    @property
    def set_name(self) -> str:
        """The chosen parameter set (the default one while several are possible)."""
        default = self.signature.sets[0]
        return default if default in self.candidates or not self.candidates else self.candidates[0]

    def missing(self, chosen: str) -> list[str]:
        """The mandatory parameters of a set that are not bound."""
        return [name for name in self.signature.mandatory(chosen) if name not in self.values]


class Binder:
    """Binds the arguments of one command, then, object by object, its pipeline input."""

    def __init__(self, signature: Signature, origin: Origin, *, expects_input: bool) -> None:
        self._signature = signature
        self._origin = origin
        self._expects_input = expects_input
        self.binding = Binding(signature, origin, candidates=list(signature.sets))
        self._waiting: list[Parameter] | None = None
        self._object: Any = None  # the object of the pipeline that is being bound

    def _fail(self, error_id: str, message: str, *, exception: str = _EXCEPTION, target: Any = None) -> PowerShellError:
        category = "InvalidArgument" if exception == _EXCEPTION else "InvalidData"
        return PowerShellError(ErrorInfo(message, error_id, category, target, exception, self._origin))

    # -- the command line ------------------------------------------------------------------------------------------
    def bind(self, arguments: Sequence[Given]) -> Binding:
        """Bind what the command was called with; PowerShellError as the engine refuses it."""
        named, positional, unknown = self._resolve(arguments)
        for parameter, value in named:
            self._bind_named(parameter, value)
        self._narrow()
        leftovers = self._bind_positional(positional)
        if unknown:
            raise self._fail(
                "NamedParameterNotFound", f"A parameter cannot be found that matches parameter name '{unknown[0]}'."
            )
        if leftovers:
            shown = text_of(leftovers[0])
            raise self._fail("PositionalParameterNotFound",
                             f"A positional parameter cannot be found that accepts argument '{shown}'.")  # fmt: skip
        self._settle()
        return self.binding

    def _resolve(self, arguments: Sequence[Given]) -> tuple[list[tuple[Parameter, Any]], list[Any], list[str]]:
        named: list[tuple[Parameter, Any]] = []
        positional: list[Any] = []
        unknown: list[str] = []
        for name, value in arguments:
            if not name:
                positional.append(value)
                continue
            bare = name[1:].removesuffix(":") if name.startswith("-") else name
            found = self._named(bare)
            if found is None:
                unknown.append(bare)
                continue
            if any(each is found for each, _ in named):
                raise self._fail(
                    "ParameterAlreadyBound",
                    f"Cannot bind parameter because parameter '{name}' is specified more than once. To "
                    f"provide multiple "
                    "values to parameters that can accept multiple values, use the array syntax. For example, "
                    '"-parameter value1,value2,value3".',
                )
            named.append((found, value))
        return named, positional, unknown

    def _named(self, name: str) -> Parameter | None:
        """A parameter by its name or alias, else by an unambiguous beginning of either."""
        wanted = name.lower()
        for each in self._signature.parameters:
            if wanted in {each.name.lower(), *(alias.lower() for alias in each.aliases)}:
                return each
        found = [each for each in self._signature.parameters
                 if any(spelling.lower().startswith(wanted) for spelling in (each.name, *each.aliases))]  # fmt: skip
        if len(found) > 1:  # the command's own parameters go before the common ones
            own = [each for each in found if each.name not in COMMON_NAMES]
            found = own if len(own) == 1 else found
        if len(found) > 1:
            listed = " ".join(f"-{each.name}" for each in found)
            raise self._fail(
                "AmbiguousParameter",
                f"Parameter cannot be processed because the parameter name '{name}' is "
                f"ambiguous. Possible matches include: {listed}.",
            )
        return found[0] if found else None

    def _bind_named(self, parameter: Parameter, value: Any) -> None:
        if parameter.name in VARIABLE_NAMES:
            category = "InvalidOperation"
            raise PowerShellError(ErrorInfo(_VARIABLES, "VariableReferenceNotSupportedInDataSection", category))
        self._store(parameter, value)

    def _store(self, parameter: Parameter, value: Any) -> None:
        self.binding.values[parameter.name] = self._converted(parameter, value)
        self.binding.candidates = [each for each in self.binding.candidates if each in parameter.places]

    def _converted(self, parameter: Parameter, value: Any) -> Any:
        if convert.normal(parameter.type) == "switchparameter":
            if (
                value is None
            ):  # a switch that was named and given nothing: set for cmdlets, not for functions (measured)
                return not self._signature.is_function
            if self._signature.is_function and isinstance(value, (int, float)) and not isinstance(value, bool):
                raise self._cannot(parameter, convert.refused(value, parameter.type))
        try:
            converted = convert.convert(value, parameter)
        except CannotConvert as problem:
            raise self._cannot(parameter, problem) from None
        self._validate(parameter, value, converted)
        return converted

    def _cannot(self, parameter: Parameter, problem: CannotConvert) -> PowerShellError:
        if self._signature.is_function:
            return self._fail(
                "ParameterArgumentTransformationError",
                f"Cannot process argument transformation on parameter '{parameter.name}'. {problem.text}",
                exception=_TRANSFORMATION,
            )
        if problem.shown is not None:
            return self._fail("CannotConvertArgument", f"Cannot convert '{problem.shown}' to the type "
                              f"'{convert.full_name(parameter.type)}' required by parameter '{parameter.name}'. "
                              f"{problem.reason}")  # fmt: skip
        return self._fail("CannotConvertArgumentNoMessage", f"Cannot bind parameter '{parameter.name}'. {problem.text}")

    def _validate(self, parameter: Parameter, given: Any, converted: Any) -> None:
        if parameter.values and convert.normal(parameter.type) == "string":
            self._validate_set(parameter, parameter.values, converted)
        if parameter.allowed or parameter.pattern is not None:
            self._validate_role(parameter, converted)
        self._validate_range(parameter, converted)
        kind = convert.normal(parameter.type)
        if kind in _THINGS and not parameter.mandatory_anywhere:
            self._validate_things(parameter, converted)
        free = f"{self._signature.name}.{parameter.name}" in signatures.table("allow_empty")
        if not parameter.mandatory_anywhere or free or kind in {"object", "switchparameter"}:
            return
        inner = plain(given)
        what = None
        if inner is None:
            what = ("NullNotAllowed", "null")
        elif isinstance(inner, str) and inner == "" and kind == "string":
            what = ("EmptyStringNotAllowed", "an empty string")
        elif isinstance(inner, (list, tuple)) and not inner and convert.is_list(parameter.type):
            what = ("EmptyArrayNotAllowed", "an empty array")
        elif isinstance(inner, (list, tuple)) and kind == "string" and any(plain(each) in (None, "") for each in inner):
            what = ("EmptyStringNotAllowed", "an empty string")
        if what is not None:
            raise self._fail(f"ParameterArgumentValidationError{what[0]}", "Cannot bind argument to parameter "
                             f"'{parameter.name}' because it is {what[1]}.", exception=_VALIDATION)  # fmt: skip

    def _validate_things(self, parameter: Parameter, converted: Any) -> None:
        """The ValidateNotNull of parameters that take objects of the host."""
        if converted is None or (isinstance(converted, list) and any(each is None for each in converted)):
            raise self._fail("ParameterArgumentValidationError", f"Cannot validate argument on parameter "
                             f"'{parameter.name}'. The argument is null. Provide a valid value for the argument, and "
                             "then try running the command again.", exception=_VALIDATION)  # fmt: skip

    def _validate_range(self, parameter: Parameter, converted: Any) -> None:
        """The ValidateRange that a command's own table row has for the parameter."""
        ranges = signatures.table("ranges")
        bounds = ranges.get(f"{self._signature.name}.{parameter.name}", ranges.get(f"*.{parameter.name}"))
        if bounds is None or converted is None:
            return
        for each in converted if isinstance(converted, list) else [converted]:
            if not bounds[0] <= each <= bounds[1]:
                low = each < bounds[0]
                limit, than, wanted = (bounds[0], "less", "greater") if low else (bounds[1], "greater", "less")
                kind = "minimum" if low else "maximum"
                raise self._fail(
                    "ParameterArgumentValidationError",
                    f"Cannot validate argument on parameter '{parameter.name}'. The {text_of(each)} argument is {than} "
                    f"than the {kind} allowed range of {limit}. Supply an argument that is {wanted} than or equal to "
                    f"{limit} and then try the command again.",
                    exception=_VALIDATION,
                )

    def _validate_role(self, parameter: Parameter, converted: Any) -> None:
        """What a role says of a parameter; where it has a pattern, that alone counts."""
        texts = [text_of(each) for each in (converted if isinstance(converted, list) else [converted])]
        pattern = parameter.pattern
        if pattern is not None:
            try:
                fits = patterns.expression(pattern)
            except patterns.BadExpression:  # a role's own mistake must not let anything through
                fits = patterns.NOTHING
            texts = [each for each in texts if not fits.search(each)]
            if texts:
                raise self._fail(
                    "ParameterArgumentValidationError",
                    f"Cannot validate argument on parameter '{parameter.name}'. The argument \"{texts[0]}\" does not "
                    f'match the "{pattern}" pattern. Supply an argument that matches "{pattern}" and try the '
                    "command again.",
                    exception=_VALIDATION,
                )
            return
        self._validate_set(parameter, parameter.allowed, converted if converted is None else texts)

    def _validate_set(self, parameter: Parameter, values: Sequence[str], converted: Any) -> None:
        allowed = {each.lower() for each in values}
        if converted is None or (isinstance(converted, list) and None in converted):
            raise self._fail("ParameterArgumentValidationError", f"Cannot validate argument on parameter "
                             f"'{parameter.name}'. {_NULL_IN_SET}", exception=_VALIDATION)  # fmt: skip
        for each in converted if isinstance(converted, list) else [converted]:
            if text_of(each).lower() not in allowed:
                raise self._fail(
                    "ParameterArgumentValidationError",
                    f"Cannot validate argument on parameter '{parameter.name}'. The argument "
                    f'"{text_of(each)}" does not '
                    f'belong to the set "{",".join(values)}" specified by the ValidateSet '
                    f"attribute. Supply an "
                    "argument that is in the set and then try the command again.",
                    exception=_VALIDATION,
                )

    def _narrow(self) -> None:
        if not self.binding.candidates:
            raise self._fail("AmbiguousParameterSet", _AMBIGUOUS_SET)

    # -- positions -------------------------------------------------------------------------------------------------
    def _bind_positional(self, arguments: list[Any]) -> list[Any]:
        waiting = list(arguments)
        positions = sorted({place.position for each in self._signature.parameters for place in each.places.values()
                            if place.position is not None})  # fmt: skip
        for position in positions:
            if not waiting:
                break
            parameter = self._at(position, waiting[0])
            if parameter is not None:
                self._store(parameter, self._rest(parameter, waiting))
                self._narrow()
        return waiting

    def _rest(self, parameter: Parameter, waiting: list[Any]) -> Any:
        """The next argument; Write-Output's InputObject takes all that are left (ValueFromRemainingArguments)."""
        if (self._signature.name, parameter.name) == ("Write-Output", "InputObject") and len(waiting) > 1:
            everything = list(waiting)
            waiting.clear()
            return everything
        return waiting.pop(0)

    def _at(self, position: int, value: Any) -> Parameter | None:
        """The parameter at a position: the default set's first, one of the value's type before a conversion."""
        default = self._signature.sets[0]
        choices = [(each, chosen) for each in self._signature.parameters if each.name not in self.binding.values
                   for chosen in self.binding.candidates
                   if chosen in each.places and each.places[chosen].position == position]  # fmt: skip
        choices.sort(key=lambda pair: pair[1] != default)
        for each, _ in choices:
            if convert.is_instance(value, each.type):
                return each
        for each, _ in choices:
            try:
                convert.convert(value, each)
            except CannotConvert:
                continue
            return each
        return choices[0][0] if choices else None

    # -- the set and what it demands -------------------------------------------------------------------------------
    def _settle(self) -> None:
        """Choose a set and see that its mandatory parameters are bound, or can still come from the pipeline."""
        binding = self.binding
        open_sets = [each for each in binding.candidates if self._can_be_complete(each)]
        if not open_sets:
            default = self._signature.sets[0]
            if len(binding.candidates) > 1 and default not in binding.candidates:
                raise self._fail("AmbiguousParameterSet", _AMBIGUOUS_SET)
            self._missing(binding.missing(binding.set_name))
        binding.candidates = open_sets
        if self._expects_input and len(open_sets) > 1:
            return  # the input decides
        self._choose(open_sets)

    def _choose(self, open_sets: list[str]) -> None:
        default = self._signature.sets[0]
        if len(open_sets) > 1 and default not in open_sets and self._differ(open_sets):
            raise self._fail("AmbiguousParameterSet", _AMBIGUOUS_SET)
        self.binding.candidates = [default] if default in open_sets else open_sets[:1]

    def _differ(self, open_sets: list[str]) -> bool:
        """True unless the sets demand the same parameters: then it does not matter which one is meant."""
        return len({frozenset(self._signature.mandatory(chosen)) for chosen in open_sets}) > 1

    def _can_be_complete(self, chosen: str) -> bool:
        missing = self.binding.missing(chosen)
        if not self._expects_input:
            return not missing
        by_name = {each.name: each for each in self._signature.parameters}
        return all(by_name[each].takes_input for each in missing)

    def _missing(self, names: list[str]) -> None:
        raise self._fail("MissingMandatoryParameter", "Cannot process command because of one or more missing mandatory "
                                                      f"parameters: {' '.join(names)}.")  # fmt: skip

    # -- pipeline input --------------------------------------------------------------------------------------------
    def bind_input(self, value: Any) -> Binding:
        """A binding with one object of the pipeline; PowerShellError (InputObjectNotBound, a validation) when not."""
        before, self._object = self.binding, value
        self.binding = Binding(before.signature, before.origin, dict(before.values), list(before.candidates))
        try:
            if not self._take(value):
                raise self._fail("InputObjectNotBound", _NOT_BOUND, target=value)
            open_sets = [each for each in self.binding.candidates if not self.binding.missing(each)]
            if not open_sets:
                lacking = " ".join(self.binding.missing(self.binding.set_name))
                raise self._fail("InputObjectMissingMandatory", f"{_LACKING}  {lacking}", target=value)
            self._choose(open_sets)
            return self.binding
        finally:
            self.binding = before

    def _take(self, value: Any) -> bool:
        """Bind by value, then by property name, each first without a conversion, then with one.

        What leaves the default set complete decides for it, so no property can choose another set: an object with a
        Name that is piped to `New-Item -Path` is its Value (measured with a function of the same parameters).
        """
        for converting in (False, True):
            bound = False
            for each in self._takers():
                if each.by_value and self._open(each) and self._try(each, value, converting=converting):
                    bound = True
                    self._prefer_default()
            for each in self._takers():
                if each.by_name and self._open(each):
                    found, inner = _property_of(value, each)
                    if found and self._try(each, inner, converting=converting):
                        bound = True
                        self._prefer_default()
            if bound:
                return True
        return False

    def _prefer_default(self) -> None:
        default = self._signature.sets[0]
        if default in self.binding.candidates and not self.binding.missing(default):
            self.binding.candidates = [default]

    def _takers(self) -> list[Parameter]:
        """The parameters that take pipeline input, those of the default set first."""
        if self._waiting is None:
            default = self._signature.sets[0]
            takers = [each for each in self._signature.parameters if each.takes_input]
            self._waiting = sorted(takers, key=lambda each: default not in each.places)
        return self._waiting

    def _open(self, parameter: Parameter) -> bool:
        return parameter.name not in self.binding.values and any(
            name in parameter.places for name in self.binding.candidates
        )

    def _try(self, parameter: Parameter, value: Any, *, converting: bool) -> bool:
        if not converting and not convert.is_instance(value, parameter.type):
            return False
        try:
            self._store(parameter, value)
        except PowerShellError as problem:
            self.binding.values.pop(parameter.name, None)
            if problem.info.exception == _VALIDATION:  # the value fits and is not wanted: told, not tried elsewhere
                raise PowerShellError(replace(problem.info, target=self._object)) from None
            return False
        self.binding.from_input.add(parameter.name)
        return True


def _property_of(value: Any, parameter: Parameter) -> tuple[bool, Any]:
    if isinstance(plain(value), dict):
        return False, None  # the keys of a hashtable are no properties (measured)
    for name in (parameter.name, *parameter.aliases):
        found, inner = lookup(value, name)
        if found and not isinstance(plain(value), (str, list, tuple)):
            return True, inner
    return False, None
