# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writers' part in a restore: which take part, PreRestore before the files come back, PostRestore after.

Source: "Overview of Processing a Restore Under VSS" and IVssBackupComponents::PreRestore, PostRestore: the writers with
components selected for restore hear both events; a writer that fails stays in its failed state.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from . import codes
from .codes import VssError, WriterState
from .writers import Writer

if TYPE_CHECKING:
    from .coordinator import Coordinator

_PHASES = {"pre_restore": WriterState.FAILED_AT_PRE_RESTORE, "post_restore": WriterState.FAILED_AT_POST_RESTORE}


def candidates(
    vss: Coordinator, backed_up: Mapping[str, frozenset[str]], exclude: Sequence[str], stop: threading.Event
) -> list[Writer]:
    """The writers that take part in the restore of a backup document (class id -> full component paths).

    Those whose metadata says that they want restore events, that have one of the components still, and are not excluded
    as a whole or component by component.
    """
    found = []
    for writer in vss.gather(stop):
        paths = backed_up.get(writer.class_id, frozenset())
        if not writer.restore_events or any(writer.answers_to(text) for text in exclude):
            continue
        left = [
            each
            for each in writer.components
            if each.full_path in paths and not any(writer.component(text) is each for text in exclude)
        ]
        if left:
            found.append(writer)
    return found


def tell(vss: Coordinator, phase: str, writers: Sequence[Writer], stop: threading.Event) -> None:
    """Send `pre_restore` or `post_restore` to every writer; VssError names the first that failed once all heard it."""
    vss.log.phase(phase, "", "", writers=[each.name for each in writers])
    failed: Writer | None = None
    for writer in writers:
        try:
            vss.meet_fault(phase, writer, stop)
        except VssError as error:
            vss.roster.failed(writer, phase, _PHASES[phase], error)
            failed = failed or writer
    if failed is not None:
        raise VssError(failed.failure or codes.E_UNEXPECTED, f"{failed.name} failed at {phase}.", writer=failed)
