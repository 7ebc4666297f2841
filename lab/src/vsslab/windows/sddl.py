# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security descriptors as SDDL texts: reading, writing, inheritance and the access check.

Sources: "Security Descriptor String Format", "ACE Strings", "ACE Inheritance Rules" and "How DACLs Control Access to an
Object" (Windows documentation). Audit parts (S:) are not kept by the laboratory.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace

ALIASES = {
    "BA": "S-1-5-32-544", "BU": "S-1-5-32-545", "BG": "S-1-5-32-546", "BO": "S-1-5-32-551", "SY": "S-1-5-18",
    "LS": "S-1-5-19", "NS": "S-1-5-20", "AU": "S-1-5-11", "WD": "S-1-1-0", "CO": "S-1-3-0", "CG": "S-1-3-1",
    "NU": "S-1-5-2", "IU": "S-1-5-4", "SU": "S-1-5-6", "AC": "S-1-15-2-1", "OW": "S-1-3-4",
}  # fmt: skip
_ALIAS_OF = {sid: alias for alias, sid in ALIASES.items()}
CREATOR_OWNER, CREATOR_GROUP = ALIASES["CO"], ALIASES["CG"]
TRUSTED_INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
FULL, READ, WRITE, EXECUTE, MODIFY = 0x1F01FF, 0x120089, 0x120116, 0x1200A0, 0x1301BF
_NAMED = {"FA": FULL, "FR": READ, "FW": WRITE, "FX": EXECUTE}
_BITS = {
    "CC": 0x1, "DC": 0x2, "LC": 0x4, "SW": 0x8, "RP": 0x10, "WP": 0x20, "DT": 0x40, "LO": 0x80, "CR": 0x100,
    "SD": 0x10000, "RC": 0x20000, "WD": 0x40000, "WO": 0x80000,
    "GA": 0x10000000, "GX": 0x20000000, "GW": 0x40000000, "GR": 0x80000000,
}  # fmt: skip
_GENERIC = {0x10000000: FULL, 0x20000000: EXECUTE, 0x40000000: WRITE, 0x80000000: READ}
_GENERIC_BITS = 0xF0000000
_FLAGS = ("OI", "CI", "NP", "IO", "ID", "SA", "FA")
# rights on files and folders (file access rights constants)
READ_DATA, WRITE_DATA, APPEND_DATA, DELETE_CHILD = 0x1, 0x2, 0x4, 0x40
WRITE_ATTRIBUTES, DELETE, READ_CONTROL, WRITE_DAC, WRITE_OWNER = 0x100, 0x10000, 0x20000, 0x40000, 0x80000
_PARTS = re.compile(r"(O|G|D|S):((?:\([^()]*\)|(?!(?:O|G|D|S):).)*)")
_ACE = re.compile(r"\(([^()]*)\)")


@dataclass(frozen=True)
class Ace:
    """One entry: `kind` 'A' (allow) or 'D' (deny), inheritance flags, an access mask, a SID."""

    kind: str
    flags: frozenset[str]
    rights: int
    sid: str

    @property
    def inherited(self) -> bool:
        """True when the entry came from a parent folder."""
        return "ID" in self.flags

    @property
    def text(self) -> str:
        """The entry in SDDL."""
        flags = "".join(each for each in _FLAGS if each in self.flags)
        return f"({self.kind};{flags};{_rights_text(self.rights)};;;{_ALIAS_OF.get(self.sid, self.sid)})"


@dataclass(frozen=True)
class Descriptor:
    """Owner and group (SIDs, None when not given), the entries in order (None: no D: part), protection."""

    owner: str | None = None
    group: str | None = None
    aces: tuple[Ace, ...] | None = None
    protected: bool = False

    @property
    def text(self) -> str:
        """The descriptor as SDDL, the DACL marked AI when an entry is inherited."""
        out = f"O:{_ALIAS_OF.get(self.owner, self.owner)}" if self.owner else ""
        out += f"G:{_ALIAS_OF.get(self.group, self.group)}" if self.group else ""
        if self.aces is not None:
            inherited = any(each.inherited for each in self.aces)
            flags = ("P" if self.protected else "") + ("AI" if inherited or self.protected else "")
            out += f"D:{flags}" + "".join(each.text for each in self.aces)
        return out


def _rights_text(mask: int) -> str:
    for name, value in _NAMED.items():
        if mask == value:
            return name
    letters, left = "", mask
    for name, value in _BITS.items():
        if mask & value:
            letters += name
            left &= ~value
    return letters if mask and not left else f"0x{mask:x}"


def _rights(text: str) -> int:
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|\d+", text):
        return int(text, 0)
    if len(text) % 2:
        raise ValueError(f"{text!r} is not a set of access rights.")
    mask = 0
    for at in range(0, len(text), 2):
        name = text[at : at + 2].upper()
        if name not in _NAMED and name not in _BITS:
            raise ValueError(f"{name!r} is not an access right.")
        mask |= _NAMED.get(name, _BITS.get(name, 0))
    return mask


def sid(text: str) -> str:
    """The SID of 'BA', 'S-1-5-...' and the like; ValueError for anything else."""
    if text.upper() in ALIASES:
        return ALIASES[text.upper()]
    if re.fullmatch(r"S-1(?:-\d+)+", text, re.IGNORECASE):
        return text.upper()
    raise ValueError(f"{text!r} is not a SID.")


def _ace(text: str) -> Ace:
    fields = text.split(";")
    if len(fields) != 6 or fields[0] not in {"A", "D"} or fields[3] or fields[4]:
        raise ValueError(f"({text}) is not a plain allow or deny entry.")
    flags = [fields[1][at : at + 2].upper() for at in range(0, len(fields[1]), 2)]
    if any(each not in _FLAGS for each in flags):
        raise ValueError(f"({text}) has flags that are not known.")
    return Ace(fields[0], frozenset(flags), _rights(fields[2]), sid(fields[5]))


def parse(text: str) -> Descriptor:
    """The descriptor that an SDDL text gives; ValueError with one sentence when it is malformed."""
    found = {part[1]: part[2] for part in _PARTS.finditer(text)}
    if not found or "".join(part[0] for part in _PARTS.finditer(text)) != text:
        raise ValueError(f"{text!r} is not a security descriptor.")
    dacl = found.get("D")
    aces: tuple[Ace, ...] | None = None
    flags: set[str] = set()
    if dacl is not None:
        text_of_flags = dacl.partition("(")[0]
        flags = set(re.findall("P|AI|AR", text_of_flags))
        if re.sub("P|AI|AR", "", text_of_flags):
            raise ValueError(f"{text_of_flags!r} are not flags of a DACL.")
        aces = tuple(_ace(each) for each in _ACE.findall(dacl))
    owner, group = (sid(found[part]) if part in found else None for part in "OG")
    return Descriptor(owner, group, aces, "P" in flags)


def map_generic(mask: int) -> int:
    """Generic rights turned into those of files."""
    out = mask & ~_GENERIC_BITS & 0xFFFFFFFF
    for generic, value in _GENERIC.items():
        if mask & generic:
            out |= value
    return out


@functools.lru_cache(maxsize=4096)
def inherited(parent: tuple[Ace, ...], *, folder: bool, owner: str, group: str) -> tuple[Ace, ...]:
    """The entries that a new file or folder gets from its parent's.

    An entry with generic rights or a creator SID that goes on down is split in two: one in force here, one that is
    only handed on (ACE Inheritance Rules).
    """
    out: list[Ace] = []
    for ace in parent:
        goes_on = folder and "NP" not in ace.flags and bool(ace.flags & {"OI", "CI"})
        in_force = ("CI" if folder else "OI") in ace.flags
        handed = (ace.flags & {"OI", "CI"}) | {"ID"}
        creator = {CREATOR_OWNER: owner, CREATOR_GROUP: group}.get(ace.sid, ace.sid)
        here = replace(ace, rights=map_generic(ace.rights), sid=creator)
        if in_force and (not goes_on or (here.rights, here.sid) != (ace.rights, ace.sid)):
            out.append(replace(here, flags=frozenset({"ID"})))
            in_force = False
        if goes_on:
            out.append(replace(ace, flags=frozenset(handed if in_force else handed | {"IO"})))
    return tuple(out)


def allows(descriptor: Descriptor, sids: frozenset[str], wanted: int) -> bool:
    """The access check: every wanted right granted before one is denied; an owner may read and change the DACL."""
    left = wanted
    if descriptor.owner in sids:
        left &= ~(READ_CONTROL | WRITE_DAC)
    for ace in descriptor.aces or ():
        if "IO" in ace.flags or ace.sid not in sids:
            continue
        mask = map_generic(ace.rights)
        if ace.kind == "D" and mask & left:
            return False
        if ace.kind == "A":
            left &= ~mask
    return left == 0
