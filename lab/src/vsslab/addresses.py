# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses in 127.0.0.0/8 for the hosts, from a block that no other laboratory on this machine uses."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
from collections.abc import Iterable, Sequence

_FLAG = 255  # 127.x.y.255: the address whose port is bound for as long as the block is taken
_FLAG_PORT = 5985
_ATTEMPTS = 100


_FIRST, _LAST = 11, 254
_TAKEN = "No block of addresses below 127.0.0.0/8 has the ports {ports} free; --port 0 takes others."
_WHY = {
    errno.EADDRNOTAVAIL: "This machine has only the address 127.0.0.1, as macOS does; the laboratory needs all of "
    "127.0.0.0/8, as Linux has them.",
    errno.EACCES: "The ports {ports} need the rights of an administrator; --port 0 takes others.",
}


class Block:
    """A /24 block below 127.0.0.0/8, and as many more as a large fleet needs, taken until `close`."""

    def __init__(self, ports: Iterable[int]) -> None:
        """Take a free block at random: one whose first addresses have these ports free; OSError when none is found."""
        self._ports = tuple(ports)
        self._flags: list[socket.socket] = []
        self._take()

    def _take(self) -> None:
        dice, reason = random.SystemRandom(), OSError()
        for _ in range(_ATTEMPTS):
            prefix = f"127.{dice.randrange(1, 255)}.{dice.randrange(0, 255)}"
            flag = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                flag.bind((f"{prefix}.{_FLAG}", _FLAG_PORT))
                probe([f"{prefix}.{number}" for number in range(10, 14)], self._ports)
            except OSError as error:
                flag.close()
                reason = error
                continue
            self._flags.append(flag)
            self._prefix, self._next = prefix, _FIRST
            return
        ports = " and ".join(map(str, self._ports))
        raise OSError(_WHY.get(reason.errno or 0, _TAKEN).format(ports=ports))

    def address(self) -> str:
        """The next address; OSError when another block is needed and none is free."""
        if self._next > _LAST:
            self._take()
        self._next += 1
        return f"{self._prefix}.{self._next - 1}"

    def close(self) -> None:
        """Give everything up."""
        for flag in self._flags:
            flag.close()
        self._flags.clear()


def probe(addresses: Iterable[str], ports: Iterable[int]) -> None:
    """Bind and give up each port on each address at once; OSError names the first that is taken."""
    wanted: Sequence[int] = tuple(ports)
    for address in addresses:
        for port in wanted:
            with contextlib.closing(socket.socket()) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    trial.bind((address, port))
                except OSError as error:
                    raise OSError(error.errno, f"{address}:{port} cannot be used ({error.strerror}).") from None


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that nothing on this machine uses now, all different."""
    with contextlib.ExitStack() as held:
        trials = [held.enter_context(contextlib.closing(socket.socket())) for _ in range(count)]
        for each in trials:
            each.bind(("127.0.0.1", 0))
        return tuple(each.getsockname()[1] for each in trials)
