# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CIM classes of VSS (VSS WMI provider documentation, vss.mof)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..windows import cim as windows_cim
from . import codes
from .codes import Attribute, Context, VssError
from .providers import Provider
from .shadows import ShadowCopy
from .storage import UNBOUNDED, StorageArea

if TYPE_CHECKING:
    from ..windows.cim import Instance
    from ..windows.host import Host
    from ..windows.users import User
    from ..windows.volumes import Volume
    from .coordinator import Coordinator

CREATED = 12  # VSS_SS_CREATED; the documentation's table of states is off by three
CONTEXTS = {
    "ClientAccessible": Context.CLIENT_ACCESSIBLE,
    "ClientAccessibleWriters": Context.CLIENT_ACCESSIBLE_WRITERS,
    "AppRollback": Context.APP_ROLLBACK,
    "NasRollback": Context.NAS_ROLLBACK,
    "Backup": Context.BACKUP,
    "FileShareBackup": Context.FILE_SHARE_BACKUP,
}
_FLAGS = {
    "ClientAccessible": Attribute.CLIENT_ACCESSIBLE,
    "Persistent": Attribute.PERSISTENT,
    "NoAutoRelease": Attribute.NO_AUTO_RELEASE,
    "NoWriters": Attribute.NO_WRITERS,
    "Transportable": Attribute.TRANSPORTABLE,
    "NotSurfaced": Attribute.NOT_SURFACED,
    "HardwareAssisted": Attribute.HARDWARE_ASSISTED,
    "Differential": Attribute.DIFFERENTIAL,
    "Plex": Attribute.PLEX,
    "Imported": Attribute.IMPORTED,
    "ExposedLocally": Attribute.EXPOSED_LOCALLY,
    "ExposedRemotely": Attribute.EXPOSED_REMOTELY,
}
# Win32_ShadowCopy.Create (documentation of the method); anything else is 13.
ACCESS_DENIED, INVALID_ARGUMENT, NOT_FOUND, UNSUPPORTED_CONTEXT, UNKNOWN = 1, 2, 3, 5, 13
_CREATE_CODES = {
    codes.E_ACCESSDENIED: ACCESS_DENIED,
    codes.E_INVALIDARG: INVALID_ARGUMENT,
    codes.OBJECT_NOT_FOUND: NOT_FOUND,
    codes.VOLUME_NOT_SUPPORTED: 4,
    codes.UNSUPPORTED_CONTEXT: UNSUPPORTED_CONTEXT,
    codes.INSUFFICIENT_STORAGE: 6,
    codes.VOLUME_IN_USE: 7,
    codes.MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED: 8,
    codes.SNAPSHOT_SET_IN_PROGRESS: 9,
    codes.PROVIDER_VETO: 10,
    codes.PROVIDER_NOT_REGISTERED: 11,
    codes.UNEXPECTED_PROVIDER_ERROR: 12,
    codes.HOLD_WRITES_TIMEOUT: 12,
    codes.FLUSH_WRITES_TIMEOUT: 12,
}
# Win32_ShadowCopy.Revert (vss.mof; documentation of the method); anything else is 9. Codes for which the list has no
# value of their own (contexts, clients) are assumed to be among those.
_REVERT_CODES = {
    codes.E_ACCESSDENIED: 1,
    codes.E_INVALIDARG: 2,
    codes.VOLUME_NOT_SUPPORTED: 3,
    codes.VOLUME_IN_USE: 4,
    codes.REVERT_IN_PROGRESS: 5,
    codes.SNAPSHOT_SET_IN_PROGRESS: 5,
    codes.PROVIDER_VETO: 6,
    codes.PROVIDER_NOT_REGISTERED: 7,
    codes.UNEXPECTED_PROVIDER_ERROR: 8,
}
_REVERT_UNKNOWN = 9
# Win32_ShadowStorage.Create
_STORAGE_CODES = {
    codes.E_INVALIDARG: 2,
    codes.OBJECT_NOT_FOUND: 3,
    codes.VOLUME_NOT_SUPPORTED: 4,
    codes.OBJECT_ALREADY_EXISTS: 5,
    codes.INSUFFICIENT_STORAGE: 11,
}
_STORAGE_UNKNOWN = 10


def register(host: Host, vss: Coordinator) -> None:
    """Register every class of VSS at the host's `cim`."""
    classes = _Classes(host, vss)
    plain: dict[str, Callable[[], list[Instance]]] = {
        "Win32_ShadowProvider": classes.providers,
        "Win32_ShadowContext": classes.contexts,
        "Win32_ShadowFor": classes.for_,
        "Win32_ShadowOn": classes.on,
        "Win32_ShadowBy": classes.by,
        "Win32_ShadowVolumeSupport": classes.volume_support,
        "Win32_ShadowDiffVolumeSupport": classes.diff_volume_support,
    }
    methods = {"Create": classes.create, "Revert": classes.revert}
    host.cim.register("Win32_ShadowCopy", lambda _: classes.shadows(), classes.delete, methods)
    host.cim.register(
        "Win32_ShadowStorage", lambda _: classes.storage(), classes.delete_storage, {"Create": classes.create_storage},
        classes.modify_storage, ("MaxSpace",),
    )  # fmt: skip
    for name, instances in plain.items():
        host.cim.register(name, _without_user(instances))


def _without_user(instances: Callable[[], list[Instance]]) -> Callable[[User], list[Instance]]:
    return lambda _: instances()


def braced(identity: str) -> str:
    """An id as WMI writes it."""
    return f"{{{identity.upper()}}}"


class _Classes:
    def __init__(self, host: Host, vss: Coordinator) -> None:
        self._host = host
        self._vss = vss
        self._calls = itertools.count(1)

    # --- Win32_ShadowCopy

    def shadows(self) -> list[Instance]:
        return [self._shadow(each) for each in sorted(self._vss.shadows, key=lambda each: each.id)]

    def _shadow(self, shadow: ShadowCopy) -> Instance:
        flags = {name: bool(shadow.all_attributes & bit) for name, bit in _FLAGS.items()}
        return flags | {
            "ID": braced(shadow.id),
            "SetID": braced(shadow.set_id),
            "ProviderID": braced(shadow.provider.id),
            "VolumeName": shadow.volume.device_id,
            "DeviceObject": shadow.device,
            "InstallDate": self._host.clock.local(shadow.created),
            "OriginatingMachine": shadow.machine,
            "ServiceMachine": shadow.service_machine or shadow.machine,
            "ExposedName": shadow.exposed,
            "ExposedPath": None,
            "State": CREATED,
            "Count": shadow.count,
        }

    def delete(self, user: User, instance: Instance) -> None:
        try:
            self._vss.delete(str(instance["ID"]))
        except VssError:
            raise self._host.cim.error(windows_cim.NOT_FOUND) from None

    def create(self, user: User, args: Mapping[str, Any]) -> Instance:
        code, shadow_id = self._create(user, str(args.get("Volume") or ""), str(args.get("Context") or ""))
        return {"ReturnValue": code, "ShadowID": None if shadow_id is None else braced(shadow_id)}

    def _create(self, user: User, volume: str, context: str) -> tuple[int, str | None]:
        """One volume, no writers: contexts that need them are refused, as are those that end with the call."""
        if not user.administrator:
            return ACCESS_DENIED, None
        wanted = next((value for name, value in CONTEXTS.items() if name.lower() == context.lower()), None)
        if not volume.endswith("\\") or wanted is None:
            return INVALID_ARGUMENT, None
        if wanted.writers or not wanted.persistent:
            return UNSUPPORTED_CONTEXT, None
        try:
            made = self._vss.create(f"WMI ({next(self._calls)})", [self._vss.volume(volume)], wanted)
        except VssError as error:
            return _CREATE_CODES.get(error.hresult, UNKNOWN), None
        return 0, made.shadows[0].id

    def revert(self, user: User, args: Mapping[str, Any]) -> Instance:
        """Revert the volume to this copy; returns once the revert has begun. A method of instances only."""
        instance, force = args.get(windows_cim.INSTANCE), args.get("ForceDismount")
        if instance is None:
            raise self._host.cim.error(windows_cim.INVALID_METHOD)
        if not user.administrator:
            return {"ReturnValue": ACCESS_DENIED}
        if not isinstance(force, bool):
            return {"ReturnValue": INVALID_ARGUMENT}
        try:
            self._vss.revert(str(instance["ID"]), force=force)
        except VssError as error:
            return {"ReturnValue": _REVERT_CODES.get(error.hresult, _REVERT_UNKNOWN)}
        return {"ReturnValue": 0}

    # --- Win32_ShadowStorage

    def storage(self) -> list[Instance]:
        return [self._area(each) for each in self._vss.storage.all()]

    def _area(self, area: StorageArea) -> Instance:
        return {
            "Volume": self._volume_ref(area.volume),
            "DiffVolume": self._volume_ref(area.diff_volume),
            "MaxSpace": area.max_space,
            "UsedSpace": self._vss.storage.used(area),
            "AllocatedSpace": self._vss.storage.allocated(area),
        }

    def delete_storage(self, user: User, instance: Instance) -> None:
        volume = self._host.volumes.by_path(instance["Volume"]["DeviceID"])
        try:
            if volume is not None:
                self._vss.storage.remove(volume)
        except VssError:
            raise self._host.cim.error(windows_cim.NOT_SUPPORTED) from None

    def modify_storage(self, user: User, instance: Instance, changes: Mapping[str, Any]) -> None:
        """Win32_ShadowStorage.MaxSpace is read/write; copies that do not fit any more go, as with vssadmin resize."""
        del user
        areas = [self._host.volumes.by_path(instance[each]["DeviceID"]) for each in ("Volume", "DiffVolume")]
        try:
            if areas[0] is not None and areas[1] is not None:
                self._vss.resize(areas[0], areas[1], int(changes["MaxSpace"]))
        except (VssError, TypeError, ValueError):
            raise self._host.cim.error(windows_cim.INVALID_PARAMETER) from None

    def create_storage(self, user: User, args: Mapping[str, Any]) -> Instance:
        if not user.administrator:
            return {"ReturnValue": ACCESS_DENIED}
        volume, on = str(args.get("Volume") or ""), str(args.get("DiffVolume") or "")
        if not volume.endswith("\\") or not on.endswith("\\"):
            return {"ReturnValue": INVALID_ARGUMENT}
        try:
            asked = args.get("MaxSpace")
            space = UNBOUNDED if asked is None else int(asked)
            self._vss.storage.add(self._vss.volume(volume), self._vss.volume(on), space)
        except VssError as error:
            return {"ReturnValue": _STORAGE_CODES.get(error.hresult, _STORAGE_UNKNOWN)}
        return {"ReturnValue": 0}

    # --- the others

    def providers(self) -> list[Instance]:
        return [self._provider(each) for each in self._vss.providers]

    def _provider(self, provider: Provider) -> Instance:
        return {
            "ID": braced(provider.id),
            "Name": provider.name,
            "CLSID": braced(provider.clsid),
            "Type": provider.type,
            "Version": provider.version,
            "VersionID": braced(provider.version_id),
        }

    def contexts(self) -> list[Instance]:
        return [
            {"Name": name} | {flag: bool(context.attributes & bit) for flag, bit in _FLAGS.items()}
            for name, context in CONTEXTS.items()
        ]

    def for_(self) -> list[Instance]:
        return [
            {"Antecedent": self._volume_ref(each.volume), "Dependent": {"ID": braced(each.id)}}
            for each in self._vss.shadows
        ]

    def on(self) -> list[Instance]:
        pairs = [(self._vss.storage.of(each.volume), each) for each in self._vss.shadows]
        return [
            {"Antecedent": self._volume_ref(area.diff_volume), "Dependent": {"ID": braced(each.id)}}
            for area, each in pairs
            if area is not None
        ]

    def by(self) -> list[Instance]:
        return [
            {"Antecedent": {"ID": braced(each.provider.id)}, "Dependent": {"ID": braced(each.id)}}
            for each in self._vss.shadows
        ]

    def volume_support(self) -> list[Instance]:
        return self._support(self._vss.supported)

    def diff_volume_support(self) -> list[Instance]:
        return self._support(lambda volume: self._vss.supported(volume) and volume.file_system.upper() == "NTFS")

    def _support(self, fits: Callable[[Volume], bool]) -> list[Instance]:
        return [
            {"Antecedent": {"ID": braced(provider.id)}, "Dependent": self._volume_ref(volume)}
            for provider in self._vss.providers
            for volume in self._host.volumes
            if fits(volume)
        ]

    def _volume_ref(self, volume: Volume) -> Instance:
        return {"DeviceID": volume.device_id}
