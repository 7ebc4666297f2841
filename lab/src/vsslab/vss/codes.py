# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of VSS: results, writer states, attributes, contexts (vss.h, vsserror.h, vswriter.h)."""

from __future__ import annotations

import enum

S_OK = 0
E_INVALIDARG = 0x80070057
E_ACCESSDENIED = 0x80070005
E_UNEXPECTED = 0x8000FFFF
E_ABORT = 0x80004004
BAD_STATE = 0x80042301
UNEXPECTED = 0x80042302
PROVIDER_NOT_REGISTERED = 0x80042304
PROVIDER_VETO = 0x80042306
OBJECT_NOT_FOUND = 0x80042308
VOLUME_NOT_SUPPORTED = 0x8004230C
OBJECT_ALREADY_EXISTS = 0x8004230D
UNEXPECTED_PROVIDER_ERROR = 0x8004230F
MAXIMUM_NUMBER_OF_VOLUMES_REACHED = 0x80042312
FLUSH_WRITES_TIMEOUT = 0x80042313
HOLD_WRITES_TIMEOUT = 0x80042314
SNAPSHOT_SET_IN_PROGRESS = 0x80042316
MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED = 0x80042317
WRITER_NOT_RESPONDING = 0x80042319
UNSUPPORTED_CONTEXT = 0x8004231B
VOLUME_IN_USE = 0x8004231D
MAXIMUM_DIFFAREA_ASSOCIATIONS_REACHED = 0x8004231E
INSUFFICIENT_STORAGE = 0x8004231F
VOLUME_NOT_LOCAL = 0x8004232D
WRITERERROR_INCONSISTENTSNAPSHOT = 0x800423F0
WRITERERROR_OUTOFRESOURCES = 0x800423F1
WRITERERROR_TIMEOUT = 0x800423F2
WRITERERROR_RETRYABLE = 0x800423F3
WRITERERROR_NONRETRYABLE = 0x800423F4

NAMES: dict[int, str] = {
    S_OK: "S_OK",
    E_INVALIDARG: "E_INVALIDARG",
    E_ACCESSDENIED: "E_ACCESSDENIED",
    E_UNEXPECTED: "E_UNEXPECTED",
    E_ABORT: "E_ABORT",
    BAD_STATE: "VSS_E_BAD_STATE",
    UNEXPECTED: "VSS_E_UNEXPECTED",
    0x80042303: "VSS_E_PROVIDER_ALREADY_REGISTERED",
    PROVIDER_NOT_REGISTERED: "VSS_E_PROVIDER_NOT_REGISTERED",
    PROVIDER_VETO: "VSS_E_PROVIDER_VETO",
    0x80042307: "VSS_E_PROVIDER_IN_USE",
    OBJECT_NOT_FOUND: "VSS_E_OBJECT_NOT_FOUND",
    VOLUME_NOT_SUPPORTED: "VSS_E_VOLUME_NOT_SUPPORTED",
    OBJECT_ALREADY_EXISTS: "VSS_E_OBJECT_ALREADY_EXISTS",
    0x8004230E: "VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER",
    UNEXPECTED_PROVIDER_ERROR: "VSS_E_UNEXPECTED_PROVIDER_ERROR",
    MAXIMUM_NUMBER_OF_VOLUMES_REACHED: "VSS_E_MAXIMUM_NUMBER_OF_VOLUMES_REACHED",
    FLUSH_WRITES_TIMEOUT: "VSS_E_FLUSH_WRITES_TIMEOUT",
    HOLD_WRITES_TIMEOUT: "VSS_E_HOLD_WRITES_TIMEOUT",
    0x80042315: "VSS_E_UNEXPECTED_WRITER_ERROR",
    SNAPSHOT_SET_IN_PROGRESS: "VSS_E_SNAPSHOT_SET_IN_PROGRESS",
    MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED: "VSS_E_MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED",
    0x80042318: "VSS_E_WRITER_INFRASTRUCTURE",
    WRITER_NOT_RESPONDING: "VSS_E_WRITER_NOT_RESPONDING",
    UNSUPPORTED_CONTEXT: "VSS_E_UNSUPPORTED_CONTEXT",
    VOLUME_IN_USE: "VSS_E_VOLUME_IN_USE",
    MAXIMUM_DIFFAREA_ASSOCIATIONS_REACHED: "VSS_E_MAXIMUM_DIFFAREA_ASSOCIATIONS_REACHED",
    INSUFFICIENT_STORAGE: "VSS_E_INSUFFICIENT_STORAGE",
    VOLUME_NOT_LOCAL: "VSS_E_VOLUME_NOT_LOCAL",
    0x80042336: "VSS_E_WRITERERROR_PARTIAL_FAILURE",
    WRITERERROR_INCONSISTENTSNAPSHOT: "VSS_E_WRITERERROR_INCONSISTENTSNAPSHOT",
    WRITERERROR_OUTOFRESOURCES: "VSS_E_WRITERERROR_OUTOFRESOURCES",
    WRITERERROR_TIMEOUT: "VSS_E_WRITERERROR_TIMEOUT",
    WRITERERROR_RETRYABLE: "VSS_E_WRITERERROR_RETRYABLE",
    WRITERERROR_NONRETRYABLE: "VSS_E_WRITERERROR_NONRETRYABLE",
}


def name_of(hresult: int) -> str:
    """The symbolic name of a result, for numbers without one `<Unknown error code>` as the Microsoft tools print."""
    return NAMES.get(hresult, "<Unknown error code>")


class VssError(Exception):
    """A VSS operation failed.

    `hresult` is the result; `writer` is set when a writer's failure is the reason; `text` is one English sentence for
    people reading tests and traces, it never goes over the wire.
    """

    def __init__(self, hresult: int, text: str, *, writer: object | None = None) -> None:
        super().__init__(f"{text} (0x{hresult:08x} {name_of(hresult)})")
        self.hresult = hresult
        self.text = text
        self.writer = writer


class WriterState(enum.IntEnum):
    """VSS_WRITER_STATE, vss.h."""

    UNKNOWN = 0
    STABLE = 1
    WAITING_FOR_FREEZE = 2
    WAITING_FOR_THAW = 3
    WAITING_FOR_POST_SNAPSHOT = 4
    WAITING_FOR_BACKUP_COMPLETE = 5
    FAILED_AT_IDENTIFY = 6
    FAILED_AT_PREPARE_BACKUP = 7
    FAILED_AT_PREPARE_SNAPSHOT = 8
    FAILED_AT_FREEZE = 9
    FAILED_AT_THAW = 10
    FAILED_AT_POST_SNAPSHOT = 11
    FAILED_AT_BACKUP_COMPLETE = 12
    FAILED_AT_PRE_RESTORE = 13
    FAILED_AT_POST_RESTORE = 14
    FAILED_AT_BACKUPSHUTDOWN = 15

    @property
    def failed(self) -> bool:
        """True for the states 6 to 15."""
        return self >= WriterState.FAILED_AT_IDENTIFY

    @property
    def token(self) -> str:
        """The name in vss.h; the Microsoft tools print it in every language."""
        return f"VSS_WS_{self.name}"


class Attribute(enum.IntFlag):
    """VSS_VOLUME_SNAPSHOT_ATTRIBUTES, vss.h."""

    PERSISTENT = 0x1
    NO_AUTORECOVERY = 0x2
    CLIENT_ACCESSIBLE = 0x4
    NO_AUTO_RELEASE = 0x8
    NO_WRITERS = 0x10
    TRANSPORTABLE = 0x20
    NOT_SURFACED = 0x40
    NOT_TRANSACTED = 0x80
    HARDWARE_ASSISTED = 0x10000
    DIFFERENTIAL = 0x20000
    PLEX = 0x40000
    IMPORTED = 0x80000
    EXPOSED_LOCALLY = 0x100000
    EXPOSED_REMOTELY = 0x200000
    AUTORECOVER = 0x400000
    ROLLBACK_RECOVERY = 0x800000
    DELAYED_POSTSNAPSHOT = 0x1000000
    TXF_RECOVERY = 0x2000000
    FILE_SHARE = 0x4000000


NO_ATTRIBUTES = Attribute(0)


class Context(enum.IntEnum):
    """VSS_SNAPSHOT_CONTEXT, vss.h: a context is the attributes a shadow copy is born with."""

    BACKUP = 0x00
    FILE_SHARE_BACKUP = 0x10
    NAS_ROLLBACK = 0x19
    APP_ROLLBACK = 0x09
    CLIENT_ACCESSIBLE = 0x1D
    CLIENT_ACCESSIBLE_WRITERS = 0x0D

    @property
    def attributes(self) -> Attribute:
        """The context as attribute bits."""
        return Attribute(int(self))

    @property
    def writers(self) -> bool:
        """True when writers take part."""
        return not self.attributes & Attribute.NO_WRITERS

    @property
    def persistent(self) -> bool:
        """True when the copy survives its requestor and a reboot."""
        return bool(self.attributes & Attribute.PERSISTENT)

    @property
    def client_accessible(self) -> bool:
        """True for copies shown to users as Previous Versions."""
        return bool(self.attributes & Attribute.CLIENT_ACCESSIBLE)
