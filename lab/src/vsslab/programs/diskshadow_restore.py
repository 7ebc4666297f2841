# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""diskshadow's restores: `begin restore`, `end restore`, `simulate restore` (diskshadow documentation).

All three need `load metadata` before: the backup document in the cabinet says which components came from whom.
"""

from __future__ import annotations

from ..vss import codes
from ..vss.codes import VssError
from ..vss.restore import candidates, tell
from ..vss.writers import Writer
from .diskshadow_session import CommandFailed, Session


def begin_restore(session: Session) -> None:
    """PreRestore to the writers of the loaded backup; a second one before `end restore` is out of sequence."""
    if session.restoring is not None:
        raise CommandFailed(codes.BAD_STATE)
    writers = _taking_part(session)
    session.say("pre_restore")
    _tell(session, "pre_restore", writers)
    session.restoring = writers


def end_restore(session: Session) -> None:
    """PostRestore to the writers that heard PreRestore."""
    if session.restoring is None:
        raise CommandFailed(codes.BAD_STATE)
    writers, session.restoring = session.restoring, None
    session.say("post_restore")
    _tell(session, "post_restore", writers)


def simulate_restore(session: Session) -> None:
    """Everything that comes before PreRestore: does every verified writer take part?"""
    _taking_part(session)
    session.say("simulated")


def _taking_part(session: Session) -> list[Writer]:
    loaded = session.loaded
    if loaded is None or loaded.components is None:
        session.say("no_metadata")
        raise CommandFailed(codes.BAD_STATE)
    writers = candidates(session.vss, loaded.components, session.exclude, session.call.stop)
    missing = [text for text in session.verify if not _included(writers, loaded.components, text)]
    for text in missing:
        session.say("component_unverified" if ":\\" in text else "writer_unverified", name=text)
    if missing:
        raise CommandFailed(codes.E_INVALIDARG)
    if session.verbose:
        for writer in writers:
            session.out.line()
            session.say("including", writer=writer.name)
            for component in writer.components:
                if component.full_path in loaded.components[writer.class_id]:
                    session.say("adding", component=component.full_path)
        session.out.line()
    return writers


def _included(writers: list[Writer], backed_up: dict[str, frozenset[str]], text: str) -> bool:
    """True when a writer, or its component, that `writer verify` named takes part."""
    for writer in writers:
        component = writer.component(text)
        if writer.answers_to(text) or (component and component.full_path in backed_up[writer.class_id]):
            return True
    return False


def _tell(session: Session, phase: str, writers: list[Writer]) -> None:
    try:
        tell(session.vss, phase, writers, session.call.stop)
    except VssError as error:
        if isinstance(error.writer, Writer):
            failed_writer(session, error.writer)
        raise


def failed_writer(session: Session, writer: Writer) -> None:
    """The block that names a writer in a failed state."""
    session.out.line()
    session.say("writer_failed", writer=writer.name)
    session.say("writer_failed_status", number=int(writer.state), token=writer.state.token)
    session.say("writer_failed_code", code=f"{writer.failure:08x}", name="<Unknown error code>")
    session.say("writer_failed_id", id=f"{{{writer.class_id}}}")
    session.say("writer_failed_instance", id=f"{{{writer.instance_id}}}")
