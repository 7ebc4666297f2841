# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the volumes of a fresh installation: folders, their security, mount points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import sddl
from .fileio import HIDDEN, SYSTEM
from .volumes import Volume

if TYPE_CHECKING:
    from .host import Host

_TI = sddl.TRUSTED_INSTALLER
# As Get-Acl shows them on Windows Server; application package entries left out.
WINDOWS_SDDL = (
    f"O:{_TI}G:{_TI}D:PAI(A;;0x1301bf;;;SY)(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;BA)(A;OICIIO;GA;;;BA)"
    f"(A;;0x1200a9;;;BU)(A;OICIIO;GXGR;;;BU)(A;OICIIO;GA;;;CO)(A;;FA;;;{_TI})(A;CIIO;GA;;;{_TI})"
)
TEMP_SDDL = "O:SYG:SYD:PAI(A;CI;0x100026;;;BU)(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICIIO;GA;;;CO)"
PROGRAM_DATA_SDDL = (
    "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;DCLCRPCR;;;BU)"
)
PROFILES_SDDL = (
    "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;;0x1200a9;;;BU)(A;OICIIO;GXGR;;;BU)"
    "(A;;0x1200a9;;;WD)(A;OICIIO;GXGR;;;WD)"
)
SYSTEM_ONLY_SDDL = "O:BAG:SYD:PAI(A;OICI;FA;;;SY)"
ADMINISTRATORS_SDDL = "O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
_FOLDERS: tuple[tuple[str, str | None], ...] = (
    ("{windows}", WINDOWS_SDDL),
    ("{windows}\\System32", None),
    ("{windows}\\System32\\config", ADMINISTRATORS_SDDL),
    ("{windows}\\System32\\drivers\\etc", None),
    ("{windows}\\System32\\Tasks", None),
    ("{windows}\\Logs", None),
    ("{windows}\\Temp", TEMP_SDDL),
    ("C:\\Program Files", WINDOWS_SDDL),
    ("C:\\ProgramData", PROGRAM_DATA_SDDL),
    ("C:\\Users", PROFILES_SDDL),
    ("C:\\Users\\Public", None),
)


def build(host: Host) -> None:
    """Make the folders of every volume of a host that is being set up; existing ones stay as they are."""
    for folder, text in _FOLDERS:
        path = folder.format(windows=host.windows)
        host.files.mkdir(path, parents=True)
        if text is not None:
            host.files.set_security(path, text)
    for volume in host.volumes:
        if volume.has_acls and volume.drive_type == 3:
            _protected_folder(host, volume)
    for user in host.users:
        make_profile_folder(host, user.name, user.sid)
    for volume in host.volumes:
        for mount in volume.mounts:
            mount_at(host, volume, mount)


def _protected_folder(host: Host, volume: Volume) -> None:
    """System Volume Information: of SYSTEM alone, hidden."""
    path = volume.device_id + "System Volume Information"
    host.files.mkdir(path, parents=True)
    host.files.set_security(path, SYSTEM_ONLY_SDDL)
    host.files.set_attributes(path, HIDDEN | SYSTEM)


def make_profile_folder(host: Host, name: str, sid: str) -> None:
    """The profile of an account: its own folder, closed to other accounts."""
    path = f"C:\\Users\\{name}"
    host.files.mkdir(path, parents=True)
    host.files.set_security(path, f"{ADMINISTRATORS_SDDL}(A;OICI;FA;;;{sid})")
    host.files.mkdir(path + "\\AppData\\Local\\Temp", parents=True)


def mount_at(host: Host, volume: Volume, folder: str) -> None:
    """Make a volume reachable at a folder of another one: a mount point, which is a link to the volume's device ID."""
    path = folder.rstrip("\\")
    host.files.mkdir(path.rpartition("\\")[0] + "\\", parents=True)
    if host.files.exists(path):
        info = host.files.stat(path)
        if info.link_target is not None and info.link_target.lower() == volume.device_id:
            return
        host.files.rmdir(path)
    host.files.symlink(path, volume.device_id)
    if path + "\\" not in volume.mounts:
        volume.mounts.append(path + "\\")
