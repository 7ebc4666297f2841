# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may write to a folder, by its security descriptor; who we are, by whoami.

Sources: [MS-DTYP] 2.5.1 (SDDL) and 2.4.2.4 (well-known SIDs), Win32 docs "File Security and Access Rights".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_TRUSTED_INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
TRUSTED = frozenset({"BA", "SY", "S-1-5-32-544", "S-1-5-18", _TRUSTED_INSTALLER})

_RIGHTS = {
    "GA": 0x10000000, "GX": 0x20000000, "GW": 0x40000000, "GR": 0x80000000,
    "FA": 0x1F01FF, "FR": 0x120089, "FW": 0x120116, "FX": 0x1200A0,
    "KA": 0xF003F, "KR": 0x20019, "KW": 0x20006, "KX": 0x20019,
    "SD": 0x10000, "RC": 0x20000, "WD": 0x40000, "WO": 0x80000,
    "CC": 0x1, "DC": 0x2, "LC": 0x4, "SW": 0x8, "RP": 0x10, "WP": 0x20, "DT": 0x40, "LO": 0x80, "CR": 0x100,
}  # fmt: skip
# FILE_WRITE_DATA, APPEND_DATA, WRITE_EA, DELETE_CHILD, WRITE_ATTRIBUTES, DELETE, WRITE_DAC, WRITE_OWNER, generic write
# and generic all.
_WRITING = 0x2 | 0x4 | 0x10 | 0x40 | 0x100 | 0x10000 | 0x40000 | 0x80000 | 0x40000000 | 0x10000000

_OWNER = re.compile(r"O:(S-[\d-]+|[A-Z]{2})")
_DACL = re.compile(r"D:([A-Z_]*)((?:\([^)]*\))*)")
_ENTRY = re.compile(r"\(([^)]*)\)")

# The integrity level of a process with full administrator rights (Win32 docs, "Well-known SIDs": high, system).
_HIGH = re.compile(r"S-1-16-(\d+)")
HIGH_INTEGRITY = 12288


def _mask(rights: str) -> int:
    if rights.lower().startswith("0x"):
        return int(rights, 16)
    if rights.isdigit():
        return int(rights)
    total = 0
    for at in range(0, len(rights), 2):
        # A right that the table does not know counts as writing: better one refusal too many.
        total |= _RIGHTS.get(rights[at : at + 2], _WRITING)
    return total


def strangers(sddl: str) -> list[str]:
    """SIDs other than SYSTEM, Administrators and TrustedInstaller that own the folder or may write to it or take it.

    A folder without an access list can be written by everyone (S-1-1-0).
    """
    found: list[str] = []
    owner = _OWNER.search(sddl)
    if owner is None or owner.group(1) not in TRUSTED:
        found.append(owner.group(1) if owner else "no owner")
    dacl = _DACL.search(sddl)
    if dacl is None or "NO_ACCESS_CONTROL" in dacl.group(1):
        return [*found, "S-1-1-0"]
    for entry in _ENTRY.findall(dacl.group(2)):
        kind, flags, rights, _object, _inherited, sid = [*entry.split(";"), "", "", "", "", "", ""][:6]
        # Deny entries (D, OD) take away; an entry that is only inherited (IO) does not speak of this folder, and
        # CREATOR OWNER speaks of files whose makers it already trusts.
        if not kind.endswith("A") or sid in TRUSTED or (sid in ("CO", "S-1-3-0") and "IO" in flags):
            continue
        if _mask(rights) & _WRITING and sid not in found:
            found.append(sid)
    return found


def elevated(lines: Iterable[str]) -> bool:
    """Whether the groups that whoami lists hold an integrity level of full administrators."""
    return any(int(level) >= HIGH_INTEGRITY for line in lines for level in _HIGH.findall(line))
