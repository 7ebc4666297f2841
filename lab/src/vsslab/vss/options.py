# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be set per host: the limits of VSS, and the things about its tools that no source settles."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .codes import Until, WriterState
from .inbox import roles
from .providers import Provider

NOISE = ("callback", "session_lost")


@dataclass(frozen=True)
class LeftOver:
    """The state a writer was left in before the laboratory began, and what ends it."""

    state: WriterState
    failure: int = 0
    until: Until = Until.SERVICE

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> LeftOver:
        """From {state, failure, until}; the state by number or name (FAILED_AT_FREEZE); ValueError."""
        state, failure = data.get("state"), data.get("failure", 0)
        try:
            known = WriterState[state] if isinstance(state, str) else WriterState(int(state or 0))
        except (KeyError, ValueError):
            raise ValueError(f"{state!r} is no state of a writer.") from None
        code = int(failure, 0) if isinstance(failure, str) else int(failure)
        return cls(known, code, Until(data.get("until", "service")))


@dataclass(frozen=True)
class Limits:
    """The limits of VSS; seconds and counts (VSS documentation, "Volume Shadow Copy Service" and registry pages)."""

    freeze: float = 60.0
    identify: float = 60.0
    hold: float = 10.0
    volumes_per_set: int = 64
    shadows_per_volume: int = 512
    client_accessible_per_volume: int = 64
    minimum_storage: int = 320 * 1024 * 1024
    minimum_storage_small: int = 32 * 1024 * 1024
    small_volume: int = 500 * 1024 * 1024
    idle_timeout: float = 180.0


@dataclass(frozen=True)
class Options:
    """Settings of one host's VSS and of its tools.

    `diskshadow_language`: `host` for the host's language, `en`, or `marked`: every translatable word is written
    differently, so that a reader that leans on words is found out (diskshadow is translated on Windows; only a Chinese
    transcript is public, so the words of the host's languages are assumed).
    `diskshadow_log_encoding`: encoding of the /l file, `oem` or a Python codec such as `utf-16-le` (not documented).
    `diskshadow_log_append`: whether a second run appends to it (not documented).
    `vssadmin_empty_exit`: exit code of an empty listing (sources disagree).
    `no_writers`: names or class ids of in-box writers this host does not have.
    `roles`: roles and applications whose writers (and their services) it has beside the in-box ones (`inbox.roles`).
    `providers`: hardware and software providers beside the system's (see `vsslab.vss.providers.Provider.of`).
    `revert_seconds`: how long the revert of a volume goes on in the background.
    `writer_states`: what writers (by name or class id) are left in from before: `{state: FAILED_AT_FREEZE, failure:
    0x800423f4, until: session|service|reboot}`, `until` says what ends it (default service).
    `noise`: keys of data/events.yml that each gathering of writers writes though nothing is wrong: callback (VSS 8194),
    session_lost (12289).
    """

    limits: Limits = field(default_factory=Limits)
    diskshadow_language: str = "host"
    diskshadow_log_encoding: str = "oem"
    diskshadow_log_append: bool = False
    vssadmin_empty_exit: int = 0
    no_writers: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    providers: tuple[Provider, ...] = ()
    revert_seconds: float = 0.0
    writer_states: tuple[tuple[str, LeftOver], ...] = ()
    noise: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Options:
        """Options from a scenario's mapping; ValueError names a key that does not exist."""
        values = dict(data)
        limits = _make(Limits, values.pop("limits", {}))
        if "no_writers" in values:
            values["no_writers"] = tuple(str(each) for each in values["no_writers"])
        values["roles"] = tuple(str(each).lower() for each in values.get("roles", ()))
        for each in values["roles"]:
            if each not in roles():
                raise ValueError(f"{each!r} is no role with a writer; there are {', '.join(roles())}.")
        values["providers"] = tuple(Provider.of(each) for each in values.get("providers", ()))
        states = values.get("writer_states", {})
        values["writer_states"] = tuple((str(name), LeftOver.of(state)) for name, state in states.items())
        values["noise"] = tuple(str(each) for each in values.get("noise", ()))
        for each in values["noise"]:
            if each not in NOISE:
                raise ValueError(f"noise is of {', '.join(NOISE)}, not {each!r}.")
        made: Options = _make(cls, {**values, "limits": limits})
        if made.diskshadow_language not in ("host", "en", "marked"):
            raise ValueError(f"diskshadow_language is host, en or marked, not {made.diskshadow_language!r}.")
        return made


def _make(kind: Any, values: Mapping[str, Any]) -> Any:
    known = {each.name for each in dataclasses.fields(kind)}
    for key in values:
        if key not in known:
            raise ValueError(f"{key!r} is no setting of VSS; there are {', '.join(sorted(known))}.")
    return kind(**values)
