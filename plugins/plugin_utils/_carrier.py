# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an Ansible connection to something that carries pipelines. The only file that touches a connection's attributes.

Over psrp the connection has an open runspace pool. Over winrm it has an authenticated session, over which a pool of our
own is opened and closed. Either way pypsrp does the talking.
"""

from __future__ import annotations

import re
import weakref
from contextlib import suppress
from importlib import import_module
from typing import Any

from ._meter import Counters
from ._pipeline import HostFailure
from ._riders import PsrpRider, WinrmRider, trouble
from ._runner import Carrier, Refused

__all__ = ["Carrier", "Refused", "Unusable", "open_runner", "unreachable"]

# What each connection needs on the controller: the module that is imported, and what pip is asked for.
_NEEDS = {
    "psrp": {"pypsrp": "pypsrp>=0.8.1,<1.0.0"},
    "winrm": {"winrm": "pywinrm>=0.4.3", "pypsrp": "pypsrp>=0.8.1,<1.0.0"},
}
_QUIET = 60  # seconds; the longest that a sealed session is left waiting for an answer

# When a connection was last used: the items of a loop share it, and it may have been silent in between.
_LAST_USED: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()


# Ansible makes a process for each host, and each would read the client library anew. It is read here, once for all of
# them, while Ansible looks at the action; where it is missing, `open_runner` says so.
for _module in ("pypsrp.powershell", "pypsrp.wsman"):
    with suppress(ImportError):
        import_module(_module)


class Unusable(HostFailure):
    """The connection is not one that can be used; the text is one sentence that says what to do."""


def open_runner(connection: Any, name: str, counters: Counters | None = None) -> Carrier:
    """Open what an Ansible connection stands for.

    connection: the connection plugin's object; name: the host's, for messages. Raises Unusable and
    Refused; the connection plugin's own exceptions pass through.
    """
    kind = str(getattr(connection, "transport", "") or type(connection).__name__)
    if kind not in _NEEDS:
        raise Unusable(
            f"hosts are reached over the psrp or winrm connection, not over {kind}: set ansible_connection: psrp"
        )
    if getattr(connection, "become", None) is not None:
        raise Unusable(
            "become is not supported, because it needs scripts on the host: connect as an administrator instead"
        )
    for module, package in _NEEDS[kind].items():
        try:
            import_module(module)
        except ImportError as exc:
            told = f'the {kind} connection of umbra.vss needs a Python library here: pip install "{package}" ({exc})'
            raise Unusable(told) from exc
    return _open_psrp(connection, name, counters) if kind == "psrp" else _open_winrm(connection, name, counters)


def _attribute(connection: Any, name: str) -> Any:
    found = getattr(connection, name, None)
    if found is None:
        kind = getattr(connection, "transport", "")
        told = f"this version of Ansible's {kind} connection has no {name}, which umbra.vss builds on: please report it"
        raise Unusable(told)
    return found


def _open_psrp(connection: Any, name: str, counters: Counters | None) -> Carrier:
    from pypsrp.complex_objects import RunspacePoolState  # noqa: PLC0415 - may be missing

    runspace = getattr(connection, "runspace", None)
    if runspace is not None and runspace.state != RunspacePoolState.OPENED:
        connection.runspace = None  # broken by an earlier item of a loop; the plugin opens a new one then
    connection._connect()
    pool = _attribute(connection, "runspace")
    wsman, transport = pool.connection, pool.connection.transport
    before = wsman.operation_timeout
    rider = PsrpRider(transport, _LAST_USED.get(connection))
    wsman.transport, wsman.operation_timeout = rider, min(before, _QUIET)

    def renewed(new: Any) -> None:
        connection.runspace = new  # so that the connection plugin closes this one when the task ends

    def leave(_pool: Any) -> None:
        wsman.transport, wsman.operation_timeout = transport, before
        _LAST_USED[connection] = rider.last_used

    return Carrier(name, pool, rider, counters, renewed=renewed, leave=leave)


def _open_winrm(connection: Any, name: str, counters: Counters | None) -> Carrier:
    from pypsrp.powershell import RunspacePool  # noqa: PLC0415 - may be missing
    from pypsrp.wsman import WSMan  # noqa: PLC0415

    connection._connect()
    transport = _attribute(_attribute(connection, "protocol"), "transport")
    rider = WinrmRider(transport, _LAST_USED.get(connection))
    reading = int(getattr(transport, "read_timeout_sec", None) or 30)
    # Only the messages of this object are used: its own transport never opens anything.
    wsman: Any = WSMan("localhost", operation_timeout=max(1, min(20, reading - 5)))
    wsman.transport = rider
    pool = RunspacePool(wsman, configuration_name=_configuration(connection))
    try:
        pool.open()
    except Exception as exc:
        found = trouble(exc)
        if found is None:
            raise
        with suppress(Exception):  # what was made of it counts against the user's quota of shells
            pool.close()
        raise Refused(f"no PowerShell session could be opened on {name}: {found.reason}") from exc

    def leave(last: Any) -> None:
        _LAST_USED[connection] = rider.last_used
        last.close()

    return Carrier(name, pool, rider, counters, leave=leave)


def _configuration(connection: Any) -> str:
    """The session configuration (JEA endpoint) to open; Ansible's own winrm connection has no option for it yet."""
    with suppress(Exception):  # an unknown option is a KeyError or an AnsibleError, by version
        return str(connection.get_option("configuration_name") or "Microsoft.PowerShell")
    return "Microsoft.PowerShell"


def unreachable(exc: BaseException, name: str, connection: Any = None) -> str:
    """One sentence about a connection plugin's failure to connect, from what the client library said below it."""
    where = f"{name}{_endpoint(connection)}"
    found: BaseException | None = exc
    while found is not None:
        if isinstance(found, Exception):
            with suppress(ImportError):
                told = trouble(found)
                if told is not None:
                    return f"{where} cannot be reached: {told.reason}{_advice(found, connection)}"
        found = found.__cause__ or found.__context__
    text = " ".join(str(exc).split())
    for pattern, reason in _WORDS:
        if pattern.search(text):
            return f"{where} cannot be reached: {reason.format(option=_TRUST.get(_kind(connection), 'its settings'))}"
    return f"{where} cannot be reached: {text}"


# The winrm connection keeps only the words of what failed below it; these are those of pywinrm and of Python itself.
_TRUST = {"psrp": "ansible_psrp_ca_cert", "winrm": "ansible_winrm_ca_trust_path"}
_CERTIFICATE = "name the file of the authority that signed its certificate in {option}"
_WORDS = (
    (re.compile("credentials were rejected"), "it did not accept the user name and password"),
    (re.compile("certificate verify failed", re.IGNORECASE), f"its certificate does not verify; {_CERTIFICATE}"),
    (re.compile("Connection refused"), "the network connection failed (Connection refused)"),
    (re.compile("No route to host"), "the network connection failed (No route to host)"),
    (re.compile("Name or service not known|getaddrinfo failed"), "its name is not known"),
    (re.compile(r"timed?\s?out", re.IGNORECASE), "it did not answer in time"),
)


def _kind(connection: Any) -> str:
    return str(getattr(connection, "transport", ""))


def _endpoint(connection: Any) -> str:
    """The address and port that the connection was told, in brackets; nothing where it does not say."""
    with suppress(Exception):  # an unknown option is a KeyError or an AnsibleError, by version
        port = connection.get_option("port")
        return f" ({connection.get_option('remote_addr')}{f':{port}' if port else ''})"
    return ""


def _advice(exc: Exception, connection: Any) -> str:
    """What to do about a failure whose cure is a setting of the connection."""
    from requests.exceptions import SSLError  # noqa: PLC0415 - trouble() has imported it already

    if not isinstance(exc, SSLError):
        return ""
    option = _TRUST.get(_kind(connection))
    return f"; {_CERTIFICATE.format(option=option)}" if option else ""
