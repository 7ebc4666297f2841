# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who takes part in a backup of certain volumes."""

from __future__ import annotations

import uuid
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from vsslab.vss.inbox import inbox_writers
from vsslab.vss.selection import Reason, select
from vsslab.vss.writers import Component, FileSpec, Writer, required_volumes, volume_of
from vsslab.windows.volumes import Volume

LETTERS = "CDE"
VOLUMES = [Volume(str(uuid.uuid4()), letter, Path("/none"), system=letter == "C") for letter in LETTERS]
VOLUMES.append(Volume(str(uuid.uuid4()), None, Path("/none"), mounts=["D:\\mnt\\data\\"]))


def volumes(letters: str) -> list[Volume]:
    return [volume for volume in VOLUMES if volume.letter and volume.letter in letters]


def writer(*components: Component, name: str = "Bank") -> Writer:
    return Writer(name, str(uuid.uuid4()), components=components)


def component(name: str, *paths: str, **fields: bool) -> Component:
    return Component(name, files=tuple(FileSpec(path) for path in paths), **fields)


def test_the_longest_prefix_decides_where_a_path_lies():
    assert volume_of("D:\\mnt\\data\\x", VOLUMES) is VOLUMES[3]
    assert volume_of("D:\\mnt\\database", VOLUMES) is VOLUMES[1]
    assert volume_of(VOLUMES[2].device_id + "x", VOLUMES) is VOLUMES[2]
    assert volume_of("Q:\\x", VOLUMES) is None


def test_a_component_partly_outside_is_left_out_and_the_rest_takes_part():
    both = writer(component("in", "D:\\a"), component("across", "D:\\b", "E:\\b"))
    selection = select([both], volumes("D"), VOLUMES)
    assert [(w.name, [c.name for c in cs]) for w, cs in selection.writers] == [("Bank", ["in"])]
    assert [(e.reason, e.component.name, e.volume) for e in selection.exclusions] == [(Reason.VOLUME, "across", "E:\\")]


def test_a_writer_whose_components_all_lie_outside_is_left_out():
    selection = select([writer(component("db", "D:\\a"))], volumes("C"), VOLUMES)
    assert selection.writers == []
    assert [e.reason for e in selection.exclusions] == [Reason.VOLUME, Reason.NO_COMPONENTS]


def test_a_top_level_component_that_cannot_be_deselected_takes_its_writer_with_it():
    system = writer(component("boot", "E:\\boot", selectable=False), component("other", "C:\\x"))
    selection = select([system], volumes("C"), VOLUMES)
    assert selection.writers == []
    assert selection.exclusions[-1].reason is Reason.TOP_LEVEL


def test_a_path_on_no_volume_is_outside_every_set():
    selection = select([writer(component("db", "Q:\\a"))], VOLUMES, VOLUMES)
    assert selection.exclusions[0].volume == ""


def test_excluding_by_name_class_instance_and_component():
    bank = writer(component("db", "D:\\a"), component("log", "D:\\b"))
    for text in ("bank", f"{{{bank.class_id}}}", bank.instance_id.upper()):
        assert not select([bank], volumes("D"), VOLUMES, exclude=[text]).writers
    selection = select([bank], volumes("D"), VOLUMES, exclude=["Bank:\\log"])
    assert [c.name for c in selection.writers[0][1]] == ["db"]


def test_verifying_fails_for_whatever_is_not_wholly_included():
    bank = writer(component("db", "D:\\a"), component("log", "E:\\b"))
    texts = ["Bank", "Bank:\\db", "Bank:\\log", "Nobody"]
    assert select([bank], volumes("D"), VOLUMES, verify=texts).unverified == ["Bank", "Bank:\\log", "Nobody"]
    assert select([bank], volumes("DE"), VOLUMES, verify=texts).unverified == ["Nobody"]


def test_the_writers_of_windows_take_part_with_c_only():
    everyone = inbox_writers("server", VOLUMES)
    names = [w.name for w, _ in select(everyone, [*volumes("CDE"), VOLUMES[3]], VOLUMES).writers]
    assert "System Writer" in names
    assert "ASR Writer" in names
    assert "Shadow Copy Optimization Writer" not in names
    assert select(everyone, volumes("D"), VOLUMES).writers == []


def test_the_asr_writer_knows_every_volume():
    asr = next(w for w in inbox_writers("client", VOLUMES) if w.name == "ASR Writer")
    assert sum(c.logical_path == "Volumes" for c in asr.components) == len(VOLUMES)


letters = st.sets(st.sampled_from(LETTERS), min_size=1)


@given(chosen=letters, needs=st.lists(st.lists(st.sampled_from(LETTERS), min_size=1), min_size=1, max_size=4))
def test_exactly_the_components_whose_volumes_are_in_the_set_take_part(chosen, needs):
    one = writer(*(component(f"c{n}", *(f"{x}:\\{n}" for x in each)) for n, each in enumerate(needs)))
    inside = volumes("".join(chosen))
    selection = select([one], inside, VOLUMES)
    expected = [c for c in one.components if all(v in inside for v in required_volumes(c, VOLUMES))]
    assert [c for _, components in selection.writers for c in components] == expected
    left_out = {e.component for e in selection.exclusions if e.component}
    assert left_out == set(one.components) - set(expected)
