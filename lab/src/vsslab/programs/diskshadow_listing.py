# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""diskshadow's listings: writers, providers, shadow copies."""

from __future__ import annotations

from collections.abc import Iterable

from ..vss import codes
from ..vss.codes import Attribute
from ..vss.shadows import ShadowCopy
from ..vss.writers import Component, Writer, required_volumes
from .diskshadow_script import Line
from .diskshadow_session import SET_ALIAS, CommandFailed, Session, UsageError

_WORDS = (
    (Attribute.TRANSPORTABLE, "Transportable"),
    (Attribute.NO_AUTO_RELEASE, "No_Auto_Release"),
    (Attribute.PERSISTENT, "Persistent"),
    (Attribute.CLIENT_ACCESSIBLE, "Client_accessible"),
    (Attribute.HARDWARE_ASSISTED, "Hardware"),
    (Attribute.NO_WRITERS, "No_Writers"),
    (Attribute.IMPORTED, "Imported"),
    (Attribute.PLEX, "Plex"),
    (Attribute.DIFFERENTIAL, "Differential"),
    (Attribute.FILE_SHARE, "FileShare"),
)
_PROVIDER_TYPES = {0: "VSS_PROV_UNKNOWN", 1: "VSS_PROV_SYSTEM", 2: "VSS_PROV_SOFTWARE", 3: "VSS_PROV_HARDWARE",
                   4: "VSS_PROV_FILESHARE"}  # fmt: skip


def list_(session: Session, line: Line) -> None:
    """`list writers [metadata|detailed|status]`, `list providers`, `list shadows {all|set <id>|id <id>}`."""
    words = line.keywords[1:]
    if words[:1] == ("writers",) and words[1:] in ((), ("metadata",), ("detailed",)):
        writers_metadata(session)
    elif words == ("writers", "status"):
        writers_status(session)
    elif words == ("providers",):
        providers(session)
    elif words == ("shadows", "all"):
        _shadows(session, "querying_all", session.vss.shadows)
    elif len(words) == 3 and words[:2] == ("shadows", "set"):
        wanted = words[2].strip("{}")
        _found(session, "querying_set", [each for each in session.vss.shadows if each.set_id == wanted], wanted)
    elif len(words) == 3 and words[:2] == ("shadows", "id"):
        wanted = words[2].strip("{}")
        _found(session, "querying_id", [each for each in session.vss.shadows if each.id == wanted], wanted)
    else:
        raise UsageError("list")


def _found(session: Session, header: str, shadows: list[ShadowCopy], identity: str) -> None:
    if not shadows:
        raise CommandFailed(codes.OBJECT_NOT_FOUND)
    session.out.line()
    session.say(header, id=f"{{{identity}}}")
    shadow_blocks(session, shadows)


def _shadows(session: Session, header: str, shadows: list[ShadowCopy]) -> None:
    if not shadows:
        session.out.line()
        session.say("none_found")
        return
    session.out.line()
    session.say(header)
    shadow_blocks(session, shadows)


def shadow_blocks(session: Session, shadows: Iterable[ShadowCopy]) -> None:
    """The blocks of shadow copies and the line that counts them."""
    listed = sorted(shadows, key=lambda each: each.id)  # no order is promised
    session.out.line()
    for shadow in listed:
        _shadow(session, shadow)
        session.out.line()
    session.say("listed", count=len(listed))


def _shadow(session: Session, shadow: ShadowCopy) -> None:
    alias = session.alias_of(shadow.id)
    set_known = session.alias_of(shadow.set_id) is not None
    session.say("shadow_id", id=f"{{{shadow.id}}}", alias=f"\t\t%{alias}%" if alias else "")
    session.say("shadow_set", id=f"{{{shadow.set_id}}}", alias=f"\t%{SET_ALIAS}%" if set_known else "")
    session.say("shadow_count", count=shadow.count)
    session.say("shadow_volume", volume=shadow.volume.device_id, display=shadow.volume.display)
    session.say("shadow_created", date=session.date(shadow.created))
    session.say("shadow_device", device=shadow.device)
    session.say("shadow_originating", name=shadow.machine)
    session.say("shadow_service", name=shadow.service_machine or shadow.machine)
    if shadow.exposed:
        session.say("exposed_remotely" if shadow.shared else "exposed_locally", name=shadow.exposed)
    else:
        session.say("not_exposed")
    session.say("shadow_provider", id=f"{{{shadow.provider.id}}}")
    session.say("shadow_attributes", words=attribute_words(shadow))


def attribute_words(shadow: ShadowCopy) -> str:
    """The attributes as diskshadow names them; the words are not translated."""
    words = [word for bit, word in _WORDS if shadow.attributes & bit]
    if not shadow.attributes & Attribute.NO_AUTO_RELEASE:
        words.insert(0, "Auto_Release")
    return " ".join(words)


def providers(session: Session) -> None:
    """`list providers`."""
    session.out.line()
    for provider in session.vss.providers:
        session.say("provider", id=f"{{{provider.id}}}")
        session.say("provider_type", number=provider.type, token=_PROVIDER_TYPES[provider.type])
        session.say("provider_name", name=provider.name)
        session.say("provider_version", version=provider.version)
        session.say("provider_clsid", id=f"{{{provider.clsid}}}")
        session.out.line()
    count = len(session.vss.providers)
    session.say("provider_registered" if count == 1 else "providers_registered", count=count)


def writers_status(session: Session) -> None:
    """`list writers status`."""
    session.out.line()
    session.say("listing_status")
    session.out.line()
    writers = session.vss.writers
    for writer in writers:
        session.say("status_writer", writer=writer.name)
        session.say("status_state", number=int(writer.state), token=writer.state.token)
        session.say("status_failure", code=f"{writer.failure:08x}", name=codes.name_of(writer.failure))
        session.say("status_id", id=f"{{{writer.class_id}}}")
        session.say("status_instance", id=f"{{{writer.instance_id}}}")
        session.out.line()
    session.say("writers_listed", count=len(writers))


def writers_metadata(session: Session) -> None:
    """`list writers metadata` and `list writers detailed`."""
    session.out.line()
    session.say("listing_metadata")
    writers = session.vss.gather(session.call.stop)
    for writer in writers:
        session.out.line()
        _writer(session, writer)
    session.out.line()
    session.say("writers_listed", count=len(writers))


def _flag(session: Session, value: bool) -> str:
    return session.say_text("flag_true" if value else "flag_false")


def _writer(session: Session, writer: Writer) -> None:
    session.say("writer", writer=writer.name)
    session.say("writer_id", id=f"{{{writer.class_id}}}")
    session.say("writer_instance", id=f"{{{writer.instance_id}}}")
    session.say("writer_restore_events", flag=_flag(session, writer.restore_events))
    session.say("writer_conditions", token="VSS_WRE_ALWAYS" if writer.restore_events else "VSS_WRE_NEVER")
    session.say("writer_method", token=writer.restore_method)
    session.say("writer_reboot", flag=_flag(session, writer.reboot_required))
    session.say("writer_excluded_files")
    for spec in writer.excluded_files:
        session.say("writer_exclude", path=spec.path, filespec=spec.filespec)
    for component in writer.components:
        _component(session, writer, component)


def _component(session: Session, writer: Writer, component: Component) -> None:
    session.say("component", component=f"{writer.name}:{component.full_path}")
    session.say("component_name", name=component.name)
    session.say("component_logical", path=component.logical_path)
    session.say("component_full", path=component.full_path)
    session.say("component_caption", caption=component.caption)
    kind = ("VSS_CT_DATABASE", 1) if component.database else ("VSS_CT_FILEGROUP", 2)
    session.say("component_type", token=kind[0], number=kind[1])
    session.say("component_selectable", flag=_flag(session, component.selectable))
    session.say("component_top_level", flag=_flag(session, component.top_level))
    session.say("component_notify", flag=_flag(session, component.notify_on_backup_complete))
    session.say("component_components")
    for spec in component.files:
        key = "component_file_recursive" if spec.recursive else "component_file"
        session.say(key, path=spec.path, filespec=spec.filespec)
    session.say("component_paths")
    for path in component.paths:
        session.say("component_path", path=path)
    session.say("component_volumes")
    for volume in required_volumes(component, session.call.host.volumes):
        if volume is None:
            session.say("component_no_volume")
        else:
            session.say("component_volume", volume=volume.device_id, display=volume.display)
    session.say("component_dependencies")
