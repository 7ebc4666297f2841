# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SOAP envelopes of WS-Management: read with care, written as a Windows host writes them."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from vsslab.wire import safexml
from vsslab.wire.wsman_faults import WsmanFault

S = "http://www.w3.org/2003/05/soap-envelope"
A = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
X = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
W = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
P = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
RSP = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
N = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
CFG = "http://schemas.microsoft.com/wbem/wsman/1/config"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
ANONYMOUS = f"{A}/role/anonymous"
FAULT_ACTION = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
MIN_ENVELOPE = 8192
_PREFIXES = {"s": S, "a": A, "x": X, "w": W, "rsp": RSP, "p": P, "n": N}
_ACTIONS = {f"{X}/{name}": name for name in ("Get", "Put", "Create", "Delete")} | {
    f"{RSP}/{name}": name for name in ("Command", "Receive", "Send", "Signal", "Disconnect", "Reconnect", "Connect")
}
_ACTIONS |= {f"{N}/{name}": name for name in ("Enumerate", "Pull", "Release")}
_DURATION = re.compile(
    r"P(?:(?P<days>\d{1,6})D)?(?:T(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,10}(?:\.\d{1,9})?)S)?)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Envelope:
    """The parts of a request that matter.

    `operation` is the short name of the action ('Create', 'Receive' ...), empty when the action is none of shells;
    `timeout` is OperationTimeout in seconds, `envelope_size` MaxEnvelopeSize in bytes; selector and option names are
    lower case; `session` names the client's session ([MS-WSMV] 3.1.4.1.37); `body` is the only element in s:Body.
    """

    operation: str
    action: str
    message_id: str
    resource: str = ""
    to: str = ""
    timeout: float | None = None
    envelope_size: int | None = None
    session: str = ""
    selectors: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    body: Element | None = None

    @property
    def shell_id(self) -> str:
        """The ShellId selector, upper case; the fault for unknown shells when there is none."""
        shell = self.selectors.get("shellid", "").strip().upper()
        if not shell:
            raise WsmanFault("unknown_shell", shell_id="(none)")
        return shell

    def flag(self, option: str) -> bool | None:
        """The value of a TRUE/FALSE option, None when it was not sent."""
        value = self.options.get(option.lower())
        return None if value is None else value.strip().lower() in ("true", "1")

    def expect(self, name: str, namespace: str = RSP) -> Element:
        """The body, which must be this element (of the shell namespace)."""
        if self.body is None or self.body.tag != f"{{{namespace}}}{name}":
            raise WsmanFault("invalid_message", what=f"the body holds no {name}")
        return self.body


def parse(data: bytes) -> Envelope:
    """Read a request; WsmanFault when it is no XML, holds a DTD or entities, or is no proper envelope."""
    try:
        root = safexml.parse(data)
    except safexml.UnsafeXml as error:
        raise WsmanFault("invalid_message", what=str(error)) from error
    header, body = root.find(f"{{{S}}}Header"), root.find(f"{{{S}}}Body")
    if root.tag != f"{{{S}}}Envelope" or body is None:
        raise WsmanFault("invalid_message", what="it is no SOAP 1.2 envelope")
    content = next(iter(body), None)
    if content is not None and content.tag.endswith("}Identify"):
        return Envelope("Identify", "", "")
    if header is None:
        raise WsmanFault("missing_header", what="Header")
    return _read_header(header, content)


def _read_header(header: Element, content: Element | None) -> Envelope:
    def text(namespace: str, name: str) -> str:
        return (header.findtext(f"{{{namespace}}}{name}") or "").strip()

    action, message_id = text(A, "Action"), text(A, "MessageID")
    for name, value in (("Action", action), ("MessageID", message_id)):
        if not value:
            raise WsmanFault("missing_header", what=name)
    size = text(W, "MaxEnvelopeSize")
    return Envelope(
        operation=_ACTIONS.get(action, ""),
        action=action,
        message_id=message_id,
        resource=text(W, "ResourceURI"),
        to=text(A, "To"),
        timeout=seconds(text(W, "OperationTimeout")),
        envelope_size=int(size) if re.fullmatch(r"\d{1,10}", size, re.ASCII) else None,
        session=text(P, "SessionId").upper(),
        selectors=_named(header.findall(f"{{{W}}}SelectorSet/{{{W}}}Selector")),
        options=_named(header.findall(f"{{{W}}}OptionSet/{{{W}}}Option")),
        body=content,
    )


def _named(elements: Iterable[Element]) -> dict[str, str]:
    return {element.get("Name", "").lower(): element.text or "" for element in elements}


def seconds(duration: str) -> float | None:
    """An xs:duration without years and months, in seconds; None when the text is empty; WsmanFault when it is none."""
    if not duration:
        return None
    found = _DURATION.fullmatch(duration)
    if not found or duration.endswith(("P", "T")):
        raise WsmanFault("invalid_message", what=f"{duration[:40]!r} is no duration")
    parts = {name: float(value or 0) for name, value in found.groupdict().items()}
    return parts["days"] * 86400 + parts["hours"] * 3600 + parts["minutes"] * 60 + parts["seconds"]


def decode(text: str | None) -> bytes:
    """The bytes of a base64 text in a message; WsmanFault when it is none."""
    try:
        return base64.b64decode("".join((text or "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WsmanFault("invalid_message", what="a stream is not base64") from error


def _message_id() -> str:
    return f"uuid:{uuid.uuid4()}".upper().replace("UUID:", "uuid:")


def relates_to(message_id: str) -> str:
    """The client's message id as a host repeats it: `uuid:` and upper case."""
    scheme, colon, identifier = message_id.partition(":")
    return f"uuid:{identifier.upper()}" if colon and scheme.lower() == "uuid" else message_id


def respond(message_id: str, action: str, body: str) -> bytes:
    """An answer: the header a host writes, and this content of s:Body."""
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _PREFIXES.items())
    related = f"<a:RelatesTo>{escape(relates_to(message_id))}</a:RelatesTo>" if message_id else ""
    return (
        f'<s:Envelope xml:lang="en-US" {names}><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>{_message_id()}</a:MessageID><a:To>{ANONYMOUS}</a:To>{related}</s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def fault(message_id: str, problem: WsmanFault, machine: str) -> bytes:
    """The answer that carries a fault."""
    return respond(message_id, FAULT_ACTION, problem.body(machine))


def identify(version: str) -> bytes:
    """The answer to Identify (DSP0226 11); `version` is that of Windows, 0.0.0 for clients that did not log on."""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{S}"><s:Header/><s:Body>'
        f'<wsmid:IdentifyResponse xmlns:wsmid="{IDENTITY}"><wsmid:ProtocolVersion>{W}</wsmid:ProtocolVersion>'
        "<wsmid:ProductVendor>Microsoft Corporation</wsmid:ProductVendor>"
        f"<wsmid:ProductVersion>OS: {escape(version)} SP: 0.0 Stack: 3.0</wsmid:ProductVersion>"
        "</wsmid:IdentifyResponse></s:Body></s:Envelope>"
    ).encode()


def element(name: str, content: str, **attributes: str) -> str:
    """One element of the shell namespace; `content` is text and gets escaped."""
    listed = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<rsp:{name}{listed}>{escape(content)}</rsp:{name}>"
