# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Riders: one transport for WSMan messages over either client library, and what their failures mean.

A rider takes the place of the transport of a pypsrp `WSMan` object, which uses nothing of it but `endpoint`, `send` and
`close`. It sends through the session that the connection plugin has authenticated, and it knows how to leave a session
whose sealing has become worthless.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

__all__ = ["Garbled", "PsrpRider", "Rider", "Trouble", "WinrmRider", "trouble"]

# A Windows host drops a connection that was silent for two minutes (http.sys, its idle timeout of 120 s). The keys of a
# sealed session die with its connection, but both client libraries go on using them; so a session that has been silent
# for this long (seconds) is given up before anything is lost.
STALE = 100.0

# HTTP statuses of a host that has not read a message at all.
_UNREAD = (400, 401)

# Codes of WSMan faults ([MS-WSMV] 2.2.4.43; wsmerror.h).
TIMED_OUT = 2150858793  # nothing to receive yet
SHELL_GONE = 2150858843
ACCESS_DENIED = 5
TOO_MANY_SHELLS = 2150859173


class Garbled(Exception):
    """An answer that could not be decrypted."""


class Rider:
    """A transport for pypsrp's WSMan; see the module."""

    def __init__(self, transport: Any, last_used: float | None = None) -> None:
        self.transport = transport
        self.endpoint: str = transport.endpoint
        self.last_used = time.monotonic() if last_used is None else last_used

    def send(self, message: bytes, **options: Any) -> bytes:
        """Send a message and give back its answer.

        options: those that newer versions of pypsrp pass; its own repetition after a timeout is turned off, because
        the carrier decides what may be repeated. Raises requests' and pypsrp's exceptions, and Garbled.
        """
        if self.sealed and time.monotonic() - self.last_used > STALE:
            self.forget()
        if "retries_on_read_timeout" in options:
            options["retries_on_read_timeout"] = 0
        sealed = self.sealed
        try:
            answer = self._send(message, options)
        except _door() as exc:
            # Sealed with keys that the host has given up: it could not read the message, so nothing of it was done.
            if not sealed or getattr(exc, "code", 401) not in _UNREAD:
                raise
            self.forget()
            answer = self._send(message, options)
        self.last_used = time.monotonic()
        return answer

    def close(self) -> None:
        """The session belongs to the connection plugin, which closes it."""

    @property
    def sealed(self) -> bool:
        """Whether messages are encrypted with keys of this session; both client libraries keep these in one place."""
        return self.transport.encryption is not None

    def forget(self) -> None:
        """Give up the session and its keys; the next message makes new ones. The shell on the host is not touched."""
        raise NotImplementedError

    def _send(self, message: bytes, options: dict[str, Any]) -> bytes:
        raise NotImplementedError


class PsrpRider(Rider):
    """Over pypsrp's own transport, as the psrp connection has made it."""

    def forget(self) -> None:
        """See Rider."""
        self.transport.close()
        self.transport.session = None
        self.transport.encryption = None

    def _send(self, message: bytes, options: dict[str, Any]) -> bytes:
        known = _known_failures()
        try:
            answer: bytes = self.transport.send(message, **options)
        except known:
            raise
        except Exception as exc:  # what unsealing throws differs by mechanism: spnego, struct, index and value errors
            raise Garbled(str(exc)) from exc
        return answer


class WinrmRider(Rider):
    """Over pywinrm's transport, as the winrm connection has made it."""

    def forget(self) -> None:
        """See Rider."""
        self.transport.close_session()
        self.transport.encryption = None

    def _send(self, message: bytes, options: dict[str, Any]) -> bytes:
        from pypsrp.exceptions import AuthenticationError, WinRMTransportError  # noqa: PLC0415 - may be missing
        from winrm import exceptions as winrm  # noqa: PLC0415

        known = _known_failures()
        try:
            answer: bytes = self.transport.send_message(message)
        except winrm.WinRMTransportError as exc:
            raise WinRMTransportError(exc.protocol, exc.code, exc.response_text) from exc
        except winrm.AuthenticationError as exc:
            raise AuthenticationError(str(exc)) from exc
        except known:
            raise
        except Exception as exc:
            raise Garbled(str(exc)) from exc
        return answer


def _known_failures() -> tuple[type[Exception], ...]:
    from pypsrp.exceptions import WinRMError  # noqa: PLC0415 - may be missing, and then nothing is sent
    from requests.exceptions import RequestException  # noqa: PLC0415

    return (RequestException, WinRMError)


def _door() -> tuple[type[Exception], ...]:
    from pypsrp.exceptions import AuthenticationError, WinRMTransportError  # noqa: PLC0415 - may be missing

    return (AuthenticationError, WinRMTransportError)


@dataclass(frozen=True)
class Trouble:
    """What a failure on the way means.

    reason: the end of a sentence, "the connection to HOST was lost: ...". code: of the WSMan fault, 0 without one.
    answered: the host processed the message and refused it; otherwise it is unknown what became of it.
    """

    reason: str
    code: int = 0
    answered: bool = False

    @property
    def timed_out(self) -> bool:
        """Nothing has come within the operation timeout: no failure at all."""
        return self.code == TIMED_OUT

    @property
    def shell_gone(self) -> bool:
        """The host does not know our shell, or not any more."""
        return self.code == SHELL_GONE


_FAULTS = {
    SHELL_GONE: "it has closed our shell",
    ACCESS_DENIED: "this account may not open a remote PowerShell session (access is denied)",
    TOO_MANY_SHELLS: "this account has too many shells open on it already (quota MaxShellsPerUser)",
}


def trouble(exc: Exception) -> Trouble | None:
    """What this exception means for a conversation; None when it has nothing to do with the way to the host."""
    from pypsrp import exceptions as pypsrp  # noqa: PLC0415 - may be missing
    from requests import exceptions as requests  # noqa: PLC0415

    if isinstance(exc, pypsrp.WSManFaultError):
        code = exc.code if isinstance(exc.code, int) else 0
        told = " ".join(str(exc.reason or exc.provider_fault or exc.code or "no reason was given").split())
        return Trouble(_FAULTS.get(code) or f"it refused the request: {told}", code, answered=True)
    plain: tuple[tuple[type[Exception], str], ...] = (
        (requests.ConnectTimeout, "it could not be reached in time"),
        (requests.Timeout, "it did not answer in time"),
        (requests.SSLError, "no trusted TLS connection could be made"),
        (requests.ProxyError, "the proxy did not let us through"),
        (requests.ConnectionError, "the network connection failed"),
        (requests.RequestException, "the HTTP exchange failed"),
        (pypsrp.AuthenticationError, "it did not accept the user name and password"),
        (Garbled, "its answer could not be decrypted"),
    )
    for kind, reason in plain:
        if isinstance(exc, kind):
            return Trouble(reason + _detail(exc))
    if isinstance(exc, pypsrp.WinRMTransportError):
        return Trouble(f"it answered with HTTP status {exc.code}")
    if isinstance(exc, pypsrp.WinRMError):
        return Trouble(" ".join(str(exc).split()))
    return None


def _detail(exc: BaseException) -> str:
    """The operating system's own words at the bottom of a chain of wrapped exceptions, in brackets."""
    seen: list[BaseException] = []
    todo: list[Any] = [exc]
    while todo:
        found = todo.pop()
        if not isinstance(found, BaseException) or found in seen:
            continue
        seen.append(found)
        if isinstance(found, OSError) and found.strerror:
            return f" ({found.strerror})"
        todo.extend([found.__cause__, found.__context__, getattr(found, "reason", None), *found.args])
    return ""
