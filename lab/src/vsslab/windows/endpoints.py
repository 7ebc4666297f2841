# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Session configurations of a host: who may enter, with which role, and as whom the session then runs.

Sources: "JEA session configurations" and "JEA role capabilities" (PowerShell documentation); the default endpoint lets
administrators and the Remote Management Users in ("Security Considerations for PowerShell Remoting").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import WinError
from .psdata import DataFileError, parse
from .users import User, Users

DEFAULT = "microsoft.powershell"
REMOTE_MANAGEMENT_SID = "S-1-5-32-580"
_VIRTUAL_SID = "S-1-5-94-"  # the well-known identifier authority of WinRM's virtual accounts


@dataclass(frozen=True)
class ParameterRule:
    """A parameter that a role lets through; `values` (ValidateSet) and `pattern` (ValidatePattern) bound its values."""

    name: str
    values: tuple[str, ...] = ()
    pattern: str | None = None


@dataclass(frozen=True)
class Role:
    """What a restricted session may use, as a role capability file says it.

    `cmdlets` and `functions`: name (wildcards and MODULE\\NAME allowed) and the parameters that are let through, None
    for all of them.  `external`: full paths.  `modules`: those that the session imports.  `defined`: aliases of the
    role's own and what they mean.  Everything is compared without regard to case.
    """

    cmdlets: Mapping[str, tuple[ParameterRule, ...] | None] = field(default_factory=dict)
    functions: Mapping[str, tuple[ParameterRule, ...] | None] = field(default_factory=dict)
    external: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    defined: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Endpoint:
    """One session configuration. Without a role it gives a full session.

    `allowed`: accounts and groups by name, () for those whom the default endpoint admits.  `applied` False: the role
    was written down but is not in force, so that who enters has everything.  `roles`: further ones by account or group.
    """

    name: str
    role: Role | None = None
    allowed: tuple[str, ...] = ()
    virtual_account: bool = False
    applied: bool = True
    details: Mapping[str, Any] = field(default_factory=dict)
    roles: Mapping[str, tuple[Role, ...]] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def role_for(self, user: User, users: Users) -> Role | None:
        """What this account may use; None when the endpoint restricts nothing."""
        if self.role is None or not self.applied:
            return None
        given = [each for name, roles in self.roles.items() if users.sid_of(name) in user.sids for each in roles]
        return merged([self.role, *given])

    def admits(self, user: User, users: Users) -> bool:
        """True when this account may open a session here."""
        if not self.allowed:
            return user.remote or user.administrator
        sids = {users.sid_of(each) for each in self.allowed}
        return bool(sids & user.sids) or (REMOTE_MANAGEMENT_SID in sids and user.remote)

    def runs_as(self, user: User, session: str) -> User:
        """The account of a session (its ID): the caller's own, or a virtual account among the administrators."""
        if not self.virtual_account:
            return user
        number = self._numbers.setdefault(session, len(self._numbers) + 1)
        name = f"WinRM VA_{number}_{user.domain}_{user.name}"
        return replace(user, name=name, domain="WinRM Virtual Users", password="", sid=f"{_VIRTUAL_SID}{number}",
                       administrator=True, remote=True, delegated=False)  # fmt: skip


def default_endpoint() -> Endpoint:
    """The endpoint that every host has: full sessions."""
    return Endpoint(DEFAULT)


def dump_endpoints(endpoints: Mapping[str, Endpoint]) -> list[dict[str, Any]]:
    """Every endpoint as plain data."""
    return [
        {"name": each.name, "role": None if each.role is None else asdict(each.role), "allowed": [*each.allowed],
         "virtual_account": each.virtual_account, "applied": each.applied,
         "roles": {name: [asdict(role) for role in roles] for name, roles in each.roles.items()}}
        for each in endpoints.values()
    ]  # fmt: skip


def load_endpoints(endpoints: dict[str, Endpoint], rows: Iterable[Mapping[str, Any]]) -> None:
    """Take over what `dump_endpoints` gave."""
    endpoints.clear()
    for row in rows:
        roles = {name: tuple(_role(each) for each in given) for name, given in row["roles"].items()}
        role = None if row["role"] is None else _role(row["role"])
        endpoints[row["name"].lower()] = Endpoint(row["name"], role, tuple(row["allowed"]), row["virtual_account"],
                                                  row["applied"], roles=roles)  # fmt: skip


def _role(row: Mapping[str, Any]) -> Role:
    def rules(given: Mapping[str, Any]) -> Rules:
        return {name: None if each is None else tuple(
            ParameterRule(one["name"], tuple(one["values"]), one["pattern"]) for one in each)
            for name, each in given.items()}  # fmt: skip

    return Role(rules(row["cmdlets"]), rules(row["functions"]), tuple(row["external"]), tuple(row["providers"]),
                tuple(row["aliases"]), tuple(row.get("modules", ())), dict(row.get("defined", {})))  # fmt: skip


_ROLE_KEYS = ("visiblecmdlets", "visiblefunctions", "visibleexternalcommands", "visibleproviders", "visiblealiases",
              "modulestoimport", "aliasdefinitions")  # fmt: skip
# keys of a role capability file that change nothing of what may be run
_DESCRIPTIVE = frozenset({"guid", "author", "description", "companyname", "copyright", "schemaversion"})
Rules = dict[str, tuple[ParameterRule, ...] | None]


def _list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]


def _rule(value: Any) -> ParameterRule:
    if not isinstance(value, Mapping):
        raise DataFileError(f"a parameter of a role is a table with a Name, not {value!r}.")
    given = {str(key).lower(): each for key, each in value.items()}
    unknown = set(given) - {"name", "validateset", "validatepattern"}
    if "name" not in given or unknown:
        raise DataFileError(f"a parameter of a role has Name, ValidateSet and ValidatePattern, not {sorted(given)}.")
    if str(given["name"]).lower() in {"whatif", "confirm"}:  # measured: ParameterNameAlreadyExistsForCommand
        raise DataFileError(f"a command fails whose role lists {given['name']}, which it has of its own.")
    values = tuple(str(each) for each in _list(given.get("validateset")))
    pattern = given.get("validatepattern")
    return ParameterRule(str(given["name"]), values, None if pattern is None else str(pattern))


def _rules(value: Any) -> Rules:
    rules: Rules = {}
    for each in _list(value):
        if not isinstance(each, Mapping):
            rules[str(each)] = None
            continue
        given = {str(key).lower(): inner for key, inner in each.items()}
        if "name" not in given or set(given) - {"name", "parameters"}:
            raise DataFileError(f"a command of a role has Name and Parameters, not {sorted(given)}.")
        parameters = given.get("parameters")
        rules[str(given["name"])] = None if parameters is None else tuple(_rule(one) for one in _list(parameters))
    return rules


def role_of(table: Mapping[str, Any]) -> Role:
    """The role of the keys of a role capability file; DataFileError (a ValueError) for what is not simulated."""
    given = {str(key).lower(): value for key, value in table.items()}
    unknown = sorted(key for key in set(given) - {*_ROLE_KEYS} - _DESCRIPTIVE if given[key])
    if unknown:
        raise DataFileError(f"vsslab does not simulate {', '.join(unknown)} of a role.")
    external, providers, aliases, modules = (tuple(str(each) for each in _list(given.get(key)))
                                             for key in _ROLE_KEYS[2:6])  # fmt: skip
    return Role(_rules(given.get(_ROLE_KEYS[0])), _rules(given.get(_ROLE_KEYS[1])), external, providers, aliases,
                modules, dict(map(_alias, _list(given.get(_ROLE_KEYS[6])))))  # fmt: skip


def _alias(value: Any) -> tuple[str, str]:
    given = {str(key).lower(): str(each) for key, each in value.items()} if isinstance(value, Mapping) else {}
    if set(given) != {"name", "value"}:
        raise DataFileError(f"an alias of a role has Name and Value here, not {sorted(given)}.")
    return given["name"].lower(), given["value"]


def read_role(path: str) -> dict[str, Any]:
    """The keys of a role capability file of the machine below; ValueError when it cannot be read or is none."""
    try:
        table = parse(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as problem:
        raise ValueError(f"{path} cannot be read ({problem.strerror}).") from None
    role_of(table)
    return table


def merged(roles: Iterable[Role]) -> Role:
    """What somebody may use to whom several roles are given: everything that one of them lets through.

    Source: "JEA session configurations", the role with the most access wins for each parameter.
    """
    cmdlets: Rules = {}
    functions: Rules = {}
    external: list[str] = []
    providers: list[str] = []
    aliases: list[str] = []
    modules: list[str] = []
    defined: dict[str, str] = {}
    for each in roles:
        for target, more in ((cmdlets, each.cmdlets), (functions, each.functions)):
            for name, rules in more.items():
                known = target.get(name, ())
                target[name] = None if rules is None or known is None else (*known, *rules)
        external += each.external
        providers += each.providers
        aliases += each.aliases
        modules += each.modules
        defined |= each.defined
    return Role(cmdlets, functions, tuple(external), tuple(providers), tuple(aliases), tuple(modules), defined)


def add_endpoint(endpoints: dict[str, Endpoint], users: Users, spec: Mapping[str, Any]) -> Endpoint:
    """Add the endpoint that a scenario describes; ValueError with one sentence for what cannot be.

    Keys: name, role or role_file (the keys of a role capability file), groups and users who may enter, virtual_account
    (default: True when there is a role), applied.
    """
    name = str(spec["name"])
    if name.lower() in endpoints:
        raise ValueError(f"There are two endpoints named {name}.")
    table = spec.get("role", spec.get("role_file"))
    made = Endpoint(name, None if table is None else role_of(table),
                    (*(str(each) for each in spec.get("groups", ())), *(str(each) for each in spec.get("users", ()))),
                    bool(spec.get("virtual_account", table is not None)), bool(spec.get("applied", True)))  # fmt: skip
    for each in made.allowed:
        try:
            users.sid_of(each)
        except WinError:
            raise ValueError(f"The endpoint {name} lets {each} in, but there is no such account or group.") from None
    endpoints[name.lower()] = made
    return made
