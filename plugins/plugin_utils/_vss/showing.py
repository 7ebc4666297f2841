# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How shadow copies are shown: what their record says of it, the statements that do it, and whether they did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .. import _shares
from .. import _verbs as verbs
from .._pipeline import Reply, Statement
from . import diskshadow
from .errors import VssFailure
from .facts import Facts, read_shadows
from .model import Shadow
from .paths import join, same
from .records import Made, Record
from .sharing import Exposure, access_lists


# ---- where
def seen_at(made: Made, facts: Facts) -> str | None:
    r"""Where a user finds a shadow copy: ``\\host\share``, a letter, a folder or a link."""
    return (f"\\\\{facts.system.name}\\{made.share}" if made.share else made.exposed or made.link) or None


def astray(facts: Facts, record: Record) -> set[str]:
    """Shadow copies whose link leads elsewhere: numbers of devices are given anew at every start of the host."""
    now = {shadow.id: shadow for shadow in facts.shadows}
    return {m.id for m in record.shadows if m.link and m.id in now and (now[m.id].device or "") != m.device}


def found_at(made: Made, now: Shadow | None, facts: Facts) -> str | None:
    """Where it is to be seen now: what VSS does not expose any more is to be seen at its link at most."""
    native = made.exposed and (now is None or now.exposed_name)
    ours = seen_at(made, facts) if native or not made.exposed else made.link
    return ours or (now.exposed_at if now is not None else None)


# ---- what a record says of them
def shown(made: Made, exposures: Iterable[Exposure], folder: str, device: str | None = None) -> Made:
    """A shadow copy as its record names it when it is exposed like this. folder: that of the snapshot's run."""
    mine = [exposure for exposure in exposures if exposure.volume.id == made.volume]
    native = next((exposure for exposure in mine if exposure.native), None)
    link = next((exposure for exposure in mine if not exposure.native), None)
    return replace(
        made,
        device=device or made.device,
        link=link.path if link else "",
        exposed=native.place(folder) if native else "",
        share=native.share if native else "",
        access=native.access_text if native else "",
    )


def links_of(made: Iterable[Made]) -> tuple[str, ...]:
    """The links, and the empty folders of ours that shares lead to."""
    found = [(m.link, m.exposed if m.share else "") for m in made]
    return tuple(path for pair in found for path in pair if path)


def shares_of(made: Iterable[Made]) -> tuple[str, ...]:
    """The names of the shares."""
    return tuple(m.share for m in made if m.share)


# ---- making
@dataclass(frozen=True)
class Showing:
    """Shadow copies to be shown as their record says: by links, natively (also in the folders of shares), by shares."""

    links: Sequence[Made] = ()
    natives: Sequence[Made] = ()
    shares: Sequence[Made] = ()

    def __bool__(self) -> bool:
        return bool(self.links or self.natives or self.shares)

    @property
    def given(self) -> tuple[Made, ...]:
        """The shadow copies that are shown, each with nothing but its new places: for a record that takes them back."""
        every = {m.id: m for m in (*self.links, *self.natives, *self.shares)}

        def only(made: Made) -> Made:
            native, share = made in self.natives, made in self.shares
            return replace(
                made,
                link=made.link if made in self.links else "",
                exposed=made.exposed if native or share else "",
                share=made.share if share else "",
            )

        return tuple(only(made) for made in every.values())

    def statements(self, folder: str) -> list[Statement]:
        """The statements that make all that and look at the shares. folder: where the script goes."""
        own = [m for m in self.natives if m.share]
        steps = [verbs.make_folder(f"expose-folder-{at}", m.exposed) for at, m in enumerate(own)]
        if self.natives:
            script = join(folder, "expose.dsh")
            lines = diskshadow.expose_script((m.id, m.exposed) for m in self.natives)
            steps.append(verbs.write_lines("expose-script", script, lines))
            steps.append(verbs.program("expose", "diskshadow", "/s", script))
        steps += [verbs.make_link(f"link-{at}", m.link, m.device) for at, m in enumerate(self.links)]
        for at, m in enumerate(self.shares):
            note = f"umbra.vss: shadow copy {m.id}"
            steps.append(_shares.new_share(f"share-{at}", m.share, m.exposed, note, access_lists(m.access)))
            steps.append(_shares.find_share(f"shared-{at}", m.share))
        return steps

    def not_linked(self, reply: Reply) -> list[Made]:
        """Those whose link was not made: what is at its place is somebody else's."""
        return [m for at, m in enumerate(self.links) if reply[f"link-{at}"].exit_code != 0]

    def check(self, facts: Facts, reply: Reply) -> None:
        """Fail unless all of it is to be seen.

        :raises VssFailure: naming the place, with what the host said.
        """
        host, there = facts.host, {shadow.id: shadow for shadow in read_shadows(reply["shadows"])}
        for at, m in enumerate(self.links):
            told = reply[f"link-{at}"]
            if told.exit_code != 0:
                said = " ".join([*map(str, told.values), *told.stderr]).strip() or "mklink did not say why"
                raise VssFailure(f"The link {m.link} on {host} could not be made: {said}.")
        for m in self.natives:
            if m.id not in there or not there[m.id].exposed_name:
                said = " ".join(str(line).strip() for line in reply["expose"].values[-4:]).strip()
                raise VssFailure(
                    f"The shadow copy of {facts.places.display(m.volume)} on {host} could not be exposed at "
                    f"{seen_at(m, facts)}: {said or 'diskshadow did not say why'}; was the place taken meanwhile?"
                )
        for at, m in enumerate(self.shares):
            told_share = reply[f"shared-{at}"].first or {}
            if not same(str(told_share.get("Path") or ""), m.exposed):
                raise VssFailure(f"The share {m.share} on {host} was made, but is not there: look at its shares.")

    def described(self, made: Iterable[Made], reply: Reply) -> tuple[Made, ...]:
        """These entries of the record, with the access lists of new shares as the host tells them."""
        told = {m.id: (reply[f"shared-{at}"].first or {}).get("SecurityDescriptor") for at, m in enumerate(self.shares)}
        return tuple(replace(m, sddl=str(told[m.id] or "")) if m.id in told else m for m in made)
