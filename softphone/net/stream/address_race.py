"""Happy eyeballs: the addresses of one host, tried side by side (RFC 8305).

A name often has addresses of both families, and packets to one of them may be lost without any
error.  The next address is tried when the one before has failed, or has not answered for a moment;
the first connection wins, and the other attempts are canceled. asyncio's own race
(`happy_eyeballs_delay` of `create_connection`) resolves the name itself and lets nobody prepare the
socket, so it cannot be used.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from softphone.errors import TransportError
from softphone.sans_io import Address

ConnectAddress: TypeAlias = Callable[[Address], Awaitable[socket.socket]]
"""`await connect(address)`: a connected socket.  Raises TransportError."""


def interleave_families(addresses: Sequence[Address]) -> list[Address]:
    """Return the addresses with families taking turns, the first one's first (section 4).

    Within a family the order is kept.
    """
    if not addresses:
        return []
    first = ":" in addresses[0][0]
    same = [each for each in addresses if (":" in each[0]) is first]
    other = [each for each in addresses if (":" in each[0]) is not first]
    mixed: list[Address] = []
    while same or other:
        mixed += same[:1] + other[:1]
        same, other = same[1:], other[1:]
    return mixed


async def connect_first(
    addresses: Sequence[Address], connect: ConnectAddress, *, delay: float
) -> socket.socket:
    """Return the first socket that connects; each address is tried `delay` seconds after the last.

    Raises the TransportError of the first address, by order, when none connects.
    """
    waiting = list(enumerate(addresses))
    running: dict[asyncio.Task[socket.socket], int] = {}
    failures: dict[int, TransportError] = {}
    try:
        while waiting or running:
            if waiting:
                position, address = waiting.pop(0)
                running[asyncio.ensure_future(connect(address))] = position
            ended, _ = await asyncio.wait(
                running,
                timeout=delay if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in sorted(ended, key=running.__getitem__):
                failure = task.exception()
                if failure is None:
                    del running[task]
                    return task.result()
                if not isinstance(failure, TransportError):
                    raise failure
                failures[running.pop(task)] = failure
    finally:
        await _give_up(running)
    raise failures[min(failures)]


async def _give_up(running: dict[asyncio.Task[socket.socket], int]) -> None:
    """Cancel the attempts, and close the sockets of those that have connected all the same."""
    for task in running:
        task.cancel()
    for outcome in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(outcome, socket.socket):
            outcome.close()
