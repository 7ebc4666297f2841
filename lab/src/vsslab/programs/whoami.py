# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""whoami.exe: who the caller is, by SID; names in the host's language.

Source: "whoami" in the Windows Commands documentation.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..windows.processes import Invocation
from ..windows.users import (
    ADMINISTRATORS_SID,
    AUTHENTICATED_SID,
    EVERYONE_SID,
    NETWORK_SID,
    SERVICES,
    SYSTEM_SID,
    USERS_SID,
    User,
)
from .phrases import words as words_of

_LOCAL_ACCOUNT, _LOCAL_ADMINISTRATOR, _ORGANIZATION, _NTLM = "S-1-5-113", "S-1-5-114", "S-1-5-15", "S-1-5-64-10"
_LEVELS = {True: "S-1-16-12288", False: "S-1-16-8192"}
_SYSTEM_LEVEL = "S-1-16-16384"
_FORMATS = ("table", "list", "csv")
_REFUSED = frozenset({"/priv", "/all", "/upn", "/fqdn", "/logonid", "/claims", "/?"})
VERBS = frozenset({"/user", "/groups", "/fo", "/nh"})


def main(call: Invocation) -> int:
    """/user and /groups with /fo and /nh; without an argument the account's name alone. 1 for a wrong argument."""
    given = [each.lower() for each in call.argv[1:]]
    words = words_of("whoami", call.host.language.short)
    if not given:
        call.out(call.user.full_name.lower())
        return 0
    for each in given:
        if each in _REFUSED:
            call.err(f"vsslab does not simulate whoami {each}.")
            return 1
    what = [each for each in given if each in {"/user", "/groups"}]
    form = given[given.index("/fo") + 1] if "/fo" in given[:-1] else "table"
    rest = [each for each in given if each not in {"/user", "/groups", "/nh", "/fo", form}]
    if rest or len(what) != 1 or form not in _FORMATS:
        problem = rest[0] if rest else " ".join(given)
        call.err(str(words["invalid"]).format(argument=problem))
        call.err(words["hint"])
        return 1
    kind = what[0].removeprefix("/")
    rows = [_user_row(call)] if kind == "user" else _group_rows(call)
    columns = words[f"{kind}_columns"]
    header = "/nh" not in given
    lines = {"csv": _csv, "list": _list, "table": _table}[form](columns, rows, header)
    if form == "table" and header:
        title = words[f"{kind}_title"]
        lines = ["", title, "-" * len(title), "", *lines]
    for line in lines:
        call.out(line)
    return 0


def _user_row(call: Invocation) -> list[str]:
    return [call.user.full_name.lower(), call.user.sid]


def _groups(user: User) -> list[str]:
    """The SIDs of the groups in the account's token, in the order whoami tells them."""
    if user.sid == SYSTEM_SID:
        return [ADMINISTRATORS_SID, EVERYONE_SID, AUTHENTICATED_SID, _SYSTEM_LEVEL]
    found = [EVERYONE_SID]
    if user.administrator:
        found += [_LOCAL_ADMINISTRATOR, ADMINISTRATORS_SID]
    if user.sid not in SERVICES:
        found += [USERS_SID, NETWORK_SID]
    found += [AUTHENTICATED_SID, _ORGANIZATION]
    if user.sid not in SERVICES:
        found += [_LOCAL_ACCOUNT, _NTLM]
    return [*found, _LEVELS[user.administrator]]


def _group_rows(call: Invocation) -> list[list[str]]:
    words = words_of("whoami", call.host.language.short)
    rows: list[list[str]] = []
    for sid in _groups(call.user):
        kind = "label" if sid.startswith("S-1-16-") else "alias" if sid.startswith("S-1-5-32-") else "known"
        marks = words["label_attributes"] if kind == "label" else words["attributes"]
        if sid == ADMINISTRATORS_SID:
            marks = f"{marks}, {words['owner']}"
        rows.append([call.host.users.name_of(sid), words["kinds"][kind], sid, marks])
    return rows


def _csv(columns: Sequence[str], rows: Sequence[Sequence[str]], header: bool) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)

    return [*([line(columns)] if header else []), *(line(row) for row in rows)]


def _list(columns: Sequence[str], rows: Sequence[Sequence[str]], _header: bool) -> list[str]:
    width = max(len(each) for each in columns) + 1
    out: list[str] = []
    for row in rows:
        out += ["", *(f"{name + ':':<{width}} {cell}" for name, cell in zip(columns, row, strict=True))]
    return out


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], header: bool) -> list[str]:
    widths = [max(len(each[at]) for each in [columns, *rows]) for at in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()

    rule = [line(columns), " ".join("=" * width for width in widths)]
    return [*(rule if header else []), *(line(row) for row in rows)]
