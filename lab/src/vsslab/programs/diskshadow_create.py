# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`create` and what belongs to it: who takes part, the aliases, the metadata cabinet."""

from __future__ import annotations

import ntpath
import uuid
from collections.abc import Mapping
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import quoteattr

import defusedxml
from defusedxml.ElementTree import fromstring

from ..vss import codes
from ..vss.codes import Attribute, VssError
from ..vss.selection import Exclusion, Reason, Selection
from ..vss.shadows import SnapshotSet
from ..vss.writers import Writer
from . import diskshadow_cab
from .diskshadow_listing import shadow_blocks
from .diskshadow_restore import failed_writer
from .diskshadow_session import SET_ALIAS, CommandFailed, Loaded, Session

_MANIFEST = "Manifest.xml"
_DOCUMENT = "BCDocument.xml"
_INVALID_XML_DOCUMENT = 0x80042311


def create(session: Session) -> None:
    """Make the set, name its copies, write the metadata, list the copies."""
    chosen = list(session.volumes)
    if not chosen:
        raise CommandFailed(codes.BAD_STATE)
    try:
        made = session.vss.create(
            session.requestor,
            [each.volume for each in chosen],
            session.context,
            exclude=session.exclude,
            verify=session.verify,
            full=session.full,
            options=session.options,
            providers={each.volume.guid: each.provider for each in chosen if each.provider is not None},
            stop=session.call.stop,
            selected=lambda selection: _selected(session, selection),
        )
    except VssError as error:
        if isinstance(error.writer, Writer):
            failed_writer(session, error.writer)
        raise
    session.volumes.clear()
    session.made.append(made)
    transportable = bool(session.options & Attribute.TRANSPORTABLE)
    if not made.context.persistent and not transportable:
        session.volatile += made.shadows
    for number, (each, shadow) in enumerate(zip(chosen, made.shadows, strict=True), start=1):
        alias = each.alias or f"VSS_SHADOW_{number}"
        session.aliases[alias] = f"{{{shadow.id}}}"
        session.say("alias_shadow", alias=alias, id=f"{{{shadow.id}}}")
    session.aliases[SET_ALIAS] = f"{{{made.id}}}"
    session.say("alias_set", alias=SET_ALIAS, id=f"{{{made.id}}}")
    _write_metadata(session, made)
    if transportable:
        return  # not in the system yet, so there is nothing to ask for (so does Microsoft's vshadow sample)
    session.out.line()
    session.say("querying_set", id=f"{{{made.id}}}")
    shadow_blocks(session, made.shadows)


def _selected(session: Session, selection: Selection) -> None:
    if session.verbose and session.context.writers:
        for exclusion in selection.exclusions:
            _excluded(session, exclusion)
        session.out.line()
        for writer, components in selection.writers:
            session.say("including", writer=writer.name)
            for component in components:
                session.say("adding", component=component.full_path)
            session.out.line()
    for name in selection.unverified:
        session.say("component_unverified" if ":\\" in name else "writer_unverified", name=name)


def _excluded(session: Session, exclusion: Exclusion) -> None:
    writer, component = exclusion.writer.name, exclusion.component
    if component is None:
        by_user = exclusion.reason is Reason.BY_USER
        session.say("writer_excluded_by_user" if by_user else "writer_excluded", writer=writer)
    elif exclusion.reason is Reason.TOP_LEVEL:
        session.say("top_level_1", writer=writer)
        session.say("top_level_2", component=component.full_path)
    else:
        session.say("component_excluded_1", component=component.full_path, writer=writer)
        if exclusion.reason is Reason.VOLUME:
            session.say("component_excluded_2", volume=exclusion.volume)
        else:
            session.say("component_excluded_by_user")


# --- metadata


def _write_metadata(session: Session, made: SnapshotSet) -> None:
    path = session.metadata or session.path(default_name(session))
    files = _documents(session, made)
    session.files.write(path, diskshadow_cab.write(files, session.call.host.clock.local(made.created)))
    if session.verbose:
        for name in files:
            session.say("inserted", file=name, cab=ntpath.basename(path))


def default_name(session: Session) -> str:
    """The name of the cabinet when `set metadata` was not given: local date, time and the host."""
    clock = session.call.host.clock
    return f"{clock.local(clock.now()):%Y-%m-%d_%H-%M-%S}_{session.call.host.name}.cab"


def _documents(session: Session, made: SnapshotSet) -> dict[str, bytes]:
    """The files of the cabinet: a manifest, the backup document and one per writer, and the aliases."""
    shadows = "".join(
        f"<SNAPSHOT ID={quoteattr(each.id)} VOLUME={quoteattr(each.volume.device_id)} DEVICE={quoteattr(each.device)}/>"
        for each in made.shadows
    )
    files = {_MANIFEST: f'<MANIFEST SET={quoteattr(made.id)} CONTEXT="{int(made.context)}">{shadows}</MANIFEST>'}
    if made.context.writers:
        part = "".join(
            f"<WRITER ID={quoteattr(writer.class_id)} INSTANCE={quoteattr(writer.instance_id)}>"
            + "".join(f"<COMPONENT PATH={quoteattr(each.full_path)}/>" for each in components)
            + "</WRITER>"
            for writer, components in made.writers
        )
        kind = "full" if session.full else "copy"
        files[_DOCUMENT] = f'<BACKUP_COMPONENTS backupType="{kind}">{part}</BACKUP_COMPONENTS>'
        for number, (writer, _) in enumerate(made.writers):
            identity = f"NAME={quoteattr(writer.name)} ID={quoteattr(writer.class_id)}"
            files[f"WM{number}.xml"] = f"<WRITER_METADATA {identity}/>"
    aliases = "".join(f"{name}={value}\r\n" for name, value in session.aliases.items())
    files[f"Dis{uuid.uuid4().hex[:4].upper()}.tmp"] = aliases
    return {name: text.encode("utf-8") for name, text in files.items()}


def load_metadata(session: Session, path: str) -> None:
    """Read a cabinet back: the aliases are there again."""
    try:
        files: Mapping[str, bytes] = diskshadow_cab.read(session.files.read(path))
    except diskshadow_cab.CabinetError:
        raise CommandFailed(codes.E_INVALIDARG) from None
    session.loaded = _loaded(files)
    for name, data in files.items():
        if session.verbose:
            session.say("extracted", file=name, cab=ntpath.basename(path))
        if name.startswith("Dis") and name.endswith(".tmp"):
            for line in data.decode("utf-8").splitlines():
                alias, _, value = line.partition("=")
                session.aliases[alias] = value
                session.say("alias_loaded", alias=alias, id=value)


def _loaded(files: Mapping[str, bytes]) -> Loaded:
    """What the documents of a cabinet say; CommandFailed INVALID_XML_DOCUMENT when they cannot be read."""
    try:
        manifest = fromstring(files[_MANIFEST])
        document = fromstring(files[_DOCUMENT]) if _DOCUMENT in files else None
    except (KeyError, ParseError, defusedxml.DefusedXmlException):
        raise CommandFailed(_INVALID_XML_DOCUMENT) from None
    components = None
    if document is not None:
        components = {
            each.get("ID", ""): frozenset(part.get("PATH", "") for part in each.iter("COMPONENT"))
            for each in document.iter("WRITER")
        }
    return Loaded(manifest.get("SET", ""), components)
