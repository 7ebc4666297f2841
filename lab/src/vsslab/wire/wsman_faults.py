# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of WS-Management as a Windows host words them; the table is data/wsman_faults.yml."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from vsslab import tables

_DETAIL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"


@dataclass(frozen=True)
class FaultKind:
    """One row of the table: SOAP code and subcode, Windows error number, texts, and how the detail is written."""

    code: int
    value: str
    subcode: str
    reason: str
    message: str
    detail: str
    provider: str
    wmi: bool


class WsmanFault(Exception):
    """A request is answered by this fault; `kind` names a row of the table, the rest fills its texts."""

    def __init__(self, kind: str, **parameters: object) -> None:
        self.kind = kind
        self.row = table()[kind]
        self.reason = self.row.reason.format(**parameters)
        self.message = self.row.message.format(**parameters)
        super().__init__(self.message)

    @property
    def code(self) -> int:
        """The Windows error number."""
        return self.row.code

    def body(self, machine: str) -> str:
        """The s:Fault element."""
        row = self.row
        return (
            f"<s:Fault><s:Code><s:Value>{row.value}</s:Value><s:Subcode><s:Value>{row.subcode}</s:Value></s:Subcode>"
            f'</s:Code><s:Reason><s:Text xml:lang="en-US">{escape(self.reason)} </s:Text></s:Reason>'
            f"<s:Detail>{self._detail(machine)}</s:Detail></s:Fault>"
        )

    def _detail(self, machine: str) -> str:
        if self.row.wmi:
            return self._wmi_error()
        detail = f"<w:FaultDetail>{_DETAIL}{self.row.detail}</w:FaultDetail>" if self.row.detail else ""
        text = f"{escape(self.message)} "
        if self.row.provider:
            name, path = providers()[self.row.provider]
            text = f"<f:ProviderFault provider={quoteattr(name)} path={quoteattr(path)}>{text}</f:ProviderFault>"
        return (
            f'{detail}<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" '
            f'Code="{self.code}" Machine={quoteattr(machine)}><f:Message>{text}</f:Message></f:WSManFault>'
        )

    def _wmi_error(self) -> str:
        def item(name: str, kind: str, value: object) -> str:
            if value is None:
                return f'<p:{name} xsi:type="cim:cim{kind}" xsi:nil="true"/>'
            return f'<p:{name} xsi:type="cim:cim{kind}">{escape(str(value))}</p:{name}>'

        items = [
            item("CIMStatusCode", "UnsignedInt", 27),
            item("CIMStatusCodeDescription", "String", None),
            item("ErrorSource", "String", None),
            item("ErrorSourceFormat", "UnsignedShort", 0),
            item("ErrorType", "UnsignedShort", 0),
            item("Message", "String", f"{self.message} "),
            item("MessageID", "String", f"HRESULT 0x{self.code:08x}"),
            item("OtherErrorSourceFormat", "String", None),
            item("OtherErrorType", "String", None),
            item("OwningEntity", "String", None),
            item("PerceivedSeverity", "UnsignedShort", 0),
            item("ProbableCause", "UnsignedShort", 0),
            item("ProbableCauseDescription", "String", None),
            item("error_Category", "UnsignedInt", 30),
            item("error_Code", "UnsignedInt", self.code),
            item("error_Type", "String", "HRESULT"),
            item("error_WindowsErrorMessage", "String", f"{self.message} "),
        ]
        return (
            '<p:MSFT_WmiError b:IsCIM_Error="true" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            'xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd" '
            'xmlns:p="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError" '
            'xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" xsi:type="p:MSFT_WmiError_Type">'
            f"{''.join(items)}</p:MSFT_WmiError>"
        )


@functools.cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = tables.load("vsslab.wire", "data/wsman_faults.yml")
    return data


@functools.cache
def providers() -> dict[str, tuple[str, str]]:
    """Name and path of the plug-ins that faults are blamed on."""
    return {key: (row["name"], row["path"]) for key, row in _data()["providers"].items()}


@functools.cache
def table() -> dict[str, FaultKind]:
    """All kinds of faults by their names here."""
    return {
        name: FaultKind(
            code=row["code"],
            value=row["value"],
            subcode=row["subcode"],
            reason=row["reason"],
            message=row.get("message", row["reason"]),
            detail=row.get("detail", ""),
            provider=row.get("provider", ""),
            wmi=row.get("wmi", False),
        )
        for name, row in _data()["faults"].items()
    }
