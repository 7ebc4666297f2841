# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded pipelines, run by the laboratory's engine, are answered as the real engine answered them.

The recordings are of PowerShell 7.6 on Linux, the laboratory is Windows PowerShell 5.1: DIFFERENCES lists every place
where the two are known to differ, with the reason; nothing else may differ.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from psrpcore import PowerShell
from psrpcore.types._serializer import deserialize
from vsslab.windows.host import Host

from .harness import Session

DATA = Path(__file__).parents[1] / "data" / "wire"
# the machine of the recordings -> the laboratory's: applied to what was asked and to what was answered
PLACES = [
    (r"C:\Demo/", "C:\\Demo\\"),
    ("/bin/sh", r"C:\Windows\System32\sh.exe"),
    ('<S N="MyCommand">sh</S>', '<S N="MyCommand">sh.exe</S>'),
    ('<S N="CommandInfo_Name">sh</S>', '<S N="CommandInfo_Name">sh.exe</S>'),
    ("/nope", r"C:\nope"),
    (">demo<", ">Demo<"),
]
# pattern of a place in a message -> why 5.1 on Windows (or the laboratory) differs from 7.6 on Linux there
DIFFERENCES = {
    r"(Props\.|MS\.)?(Creation|LastAccess|LastWrite)Time(Utc|String)?": "the moment of the recording",
    r".*\.(PSDrive|PSProvider)(\..*)?": "drives have letters and other sizes; 5.1 shows less of them",
    r".*\.PSPath|.*\.PSParentPath": "spelt with slashes on Linux",
    r"MS\.(UnixMode|User|Group|Size|UnixStat)": "Linux only",
    r"MS\.(NameString|LengthString|LastWriteTimeString|ResolvedTarget|ModeWithoutHardLink)": "added in PowerShell 7",
    r"Props\.(LinkTarget|UnixFileMode)": "added in PowerShell 7",
    r"MS\.(Mode|Target(\.types)?|LinkType|VersionInfo)": "5.1: six places in Mode, Target a list",
    r"Props\.(Root|Parent)": "the root of Linux is /",
    r"ToString": "FileInfo.ToString gives the name in 5.1",
    r".*\.Exception\.Props\.(TargetSite|Source|StackTrace|SerializedRemote\w+|SessionStateCategory)": ".NET internals",
    r".*\.Exception\.Props\.(Errors|Parameter(Name|Type)|TypeSpecified|ErrorId|Line|Offset|CommandInvocation)": (
        "details of one exception class; no client reads them"
    ),
    r".*\.Exception\.Props\.(HResult)": "the laboratory gives every record its exception's HRESULT",
    r".*(BoundParameters|UnboundArguments|PipelineIterationInfo)\.types": "mscorlib instead of System.Private.CoreLib",
    r".*\.InvocationInfo\.Props\.Statement": "added in PowerShell 7",
    r".*\.InvocationInfo\.Props\.InvocationName": "empty in the record of a failed binding, and only there",
    r".*CommandInfo_Definition": "cut from the recordings",
}
TEXTS = {  # sentences that 5.1 words otherwise
    "is not recognized as a name of a cmdlet, function, script file, or executable program.\nCheck":
        "is not recognized as the name of a cmdlet, function, script file, or operable program. Check",
}  # fmt: skip
SKIPPED_STREAMS = {"WARNING_RECORD": "warning", "PROGRESS_RECORD": "progress"}


def _cases() -> list[tuple[str, str]]:
    found = []
    for file in sorted(DATA.glob("*.jsonl")):
        names = dict.fromkeys(json.loads(line)["case"] for line in file.read_text(encoding="utf-8").splitlines())
        found += [(file.stem, name) for name in names]
    return found


def _messages(file: str, case: str) -> list[dict[str, str]]:
    lines = (DATA / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()
    messages = [each for each in map(json.loads, lines) if each["case"] == case]
    for each in messages:
        for there, here in PLACES:
            each["xml"] = each["xml"].replace(there, here)
    return messages


class Tree:
    """A CLIXML element as plain data: references followed, so that two messages can be compared place by place."""

    def __init__(self, root: ET.Element) -> None:
        self.types = {each.get("RefId"): [t.text for t in each] for each in root.iter("TN")}
        self.objects = {each.get("RefId"): each for each in root.iter("Obj")}
        self.flat: dict[str, Any] = {}
        self._walk(root, "")

    def _walk(self, element: ET.Element, place: str) -> None:
        if element.tag == "Ref":
            element = self.objects[element.get("RefId")]
        if element.tag != "Obj":
            self.flat[place] = (element.tag, _unescaped(element.text or ""))
            return
        for part in element:
            self._part(part, place)

    def _part(self, part: ET.Element, place: str) -> None:
        if part.tag in {"TN", "TNRef"}:
            names = self.types[part.get("RefId")]
            if names != ["System.Collections.ArrayList", "System.Object"]:
                self.flat[f"{place}.types"] = names
        elif part.tag == "ToString":
            self.flat[f"{place}.ToString".strip(".")] = ("ToString", _unescaped(part.text or ""))
        elif part.tag in {"Props", "MS", "LST", "DCT"}:
            for number, each in enumerate(part):
                self._walk(each[1] if part.tag == "DCT" else each, self._place(part.tag, number, each, place))
        else:
            self._walk(part, f"{place}.value")

    @staticmethod
    def _place(kind: str, number: int, each: ET.Element, place: str) -> str:
        if kind == "LST":
            return f"{place}[{number}]"
        return f"{place}{{{each[0].text}}}" if kind == "DCT" else f"{place}.{kind}.{each.get('N')}".strip(".")


def _unescaped(text: str) -> str:
    text = re.sub(r"_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), text)
    for there, here in TEXTS.items():
        text = text.replace(there, here)
    return text


def _excused(place: str) -> bool:
    return any(re.fullmatch(pattern, place) for pattern in DIFFERENCES)


def _assert_same(ours: ET.Element, recorded: str) -> None:
    mine, theirs = Tree(ours).flat, Tree(ET.fromstring(recorded)).flat
    differing = {
        place: (theirs.get(place), mine.get(place))
        for place in mine.keys() | theirs.keys()
        if mine.get(place) != theirs.get(place) and not _excused(place)
    }
    assert not differing, json.dumps(differing, indent=1, default=str, ensure_ascii=False)


@pytest.fixture
def demo(host: Host) -> None:
    """The folder that the recorded pipelines look at."""
    host.files.mkdir("C:\\Demo")
    host.files.write("C:\\Demo\\notes.txt", b"line one\nline two\n")
    host.files.write("C:\\Demo\\big.txt", b"x" * 94565)


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize(("file", "case"), _cases())
def test_a_recorded_pipeline_is_answered_as_the_real_engine_did(
    session: Session, host: Host, file: str, case: str
) -> None:
    if "pipe" in case:
        host.files.write("C:\\Demo\\s.dsh", b"x" * 30)
    if case == "remove-item":
        host.files.mkdir("C:\\Demo\\sub")
    asked, *answered = _messages(file, case)
    pipeline = PowerShell.FromPSObjectForRemoting(deserialize(ET.fromstring(asked["xml"]), None))
    outcome = session.invoke(pipeline)

    for stream, kind in (("output", "PIPELINE_OUTPUT"), ("error", "ERROR_RECORD")):
        expected = [each["xml"] for each in answered if each["type"] == kind]
        ours = outcome.xml(stream)
        assert len(ours) == len(expected), f"{len(ours)} messages in {stream}, {len(expected)} recorded"
        for mine, theirs in zip(ours, expected, strict=True):
            _assert_same(mine, _of_5_1(case, theirs))
    final = ET.fromstring(answered[-1]["xml"])
    assert outcome.state == {"4": "Completed", "5": "Failed"}[final[0][0].text or ""]
    if outcome.state == "Failed":
        _assert_same(outcome.failed_state()[0][1], ET.tostring(final[0][1], encoding="unicode"))
    assert {SKIPPED_STREAMS[each["type"]] for each in answered if each["type"] in SKIPPED_STREAMS} == {
        name for name, _ in outcome.written if name not in {"output", "error"}
    }


def _of_5_1(case: str, xml: str) -> str:
    """5.1's Get-FileHash is a script: its result is made of note properties."""
    if case != "get-filehash":
        return xml
    xml = xml.replace("Props>", "MS>").replace("Microsoft.PowerShell.Commands.FileHashInfo</T>", _HASH_TYPES)
    return re.sub("<ToString>.*?</ToString>", "", xml)


_HASH_TYPES = "Microsoft.Powershell.Utility.FileHash</T><T>System.Management.Automation.PSCustomObject</T>"


def test_every_recorded_difference_is_still_one() -> None:
    """A pattern of DIFFERENCES that no recording needs any more is taken out of the table."""
    places = set()
    for file, case in _cases():
        for each in _messages(file, case)[1:]:
            places |= set(Tree(ET.fromstring(each["xml"])).flat)
            places |= {place.partition("MS.ExceptionAsErrorRecord.")[2] for place in set(places)}
    unused = [pattern for pattern in DIFFERENCES if not any(re.fullmatch(pattern, place) for place in places)]
    assert unused == []
