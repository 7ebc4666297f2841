# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of an error record the same is read as the client library reads, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from xml.sax.saxutils import escape

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._error_records import reading_errors
from ansible_collections.umbra.vss.plugins.plugin_utils._translate import host_error
from hypothesis import given
from hypothesis import strategies as st
from pypsrp.messages import ErrorRecordMessage, PipelineState
from pypsrp.serializer import ObjectMeta, Serializer

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20) | st.sampled_from(["_x000A_", "_x005F_x"])
MEMBERS = ("FullyQualifiedErrorId", "ErrorCategory_Activity", "ErrorCategory_TargetName", "CommandInfo_Name")


def record(shown, category, members, details):
    """As Windows writes it, but for most of its members."""
    told = "".join(f'<S N="{name}">{escape(text)}</S>' for name, text in zip(MEMBERS, members, strict=True))
    more = "" if details is None else f'<S N="ErrorDetails_Message">{escape(details)}</S>'
    return (
        '<Obj RefId="0"><TN RefId="0"><T>System.Management.Automation.ErrorRecord</T><T>System.Object</T></TN>'
        f"<ToString>{escape(shown)}</ToString><MS>"
        '<Obj N="Exception" RefId="1"><TN RefId="1"><T>System.Exception</T><T>System.Object</T></TN>'
        '<ToString>no</ToString><Props><S N="Message">another</S></Props></Obj><S N="TargetObject">C:</S>'
        f'{told}<I32 N="ErrorCategory_Category">{category}</I32>{more}'
        '<B N="SerializeExtendedInfo">false</B></MS></Obj>'
    )


def ours():
    pool = SimpleNamespace(_fragmenter=SimpleNamespace(serializer=Serializer()))
    reading_errors(pool)
    reading_errors(pool)  # the items of a loop share a pool
    return pool._fragmenter.serializer


@given(TEXTS, st.integers(0, 40), st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), TEXTS | st.none())
def test_it_is_what_the_client_library_reads(shown, category, members, details):
    text, meta = record(shown, category, members, details), ObjectMeta("Obj", object=ErrorRecordMessage)
    mine, theirs = ours().deserialize(text, meta), Serializer().deserialize(text, meta)
    assert host_error(mine) == host_error(theirs)
    assert mine.MESSAGE_TYPE == theirs.MESSAGE_TYPE


def test_what_is_no_error_record_is_read_by_the_library():
    state = ours().deserialize(
        '<Obj RefId="0"><MS><I32 N="PipelineState">4</I32></MS></Obj>', ObjectMeta("Obj", object=PipelineState)
    )
    assert (type(state), state.state) == (PipelineState, 4)
    assert ours().deserialize("<S>text</S>") == "text"


def test_a_record_without_members_is_still_a_record():
    found = ours().deserialize("<Obj><ToString>bad</ToString></Obj>", ObjectMeta("Obj", object=ErrorRecordMessage))
    assert host_error(found).message == "bad"


def test_reading_is_only_replaced_once():
    assert type(ours()._inner) is Serializer
    with pytest.raises(AttributeError):
        _ = ours().no_such_thing
