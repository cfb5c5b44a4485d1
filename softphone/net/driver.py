"""The driver: runs any sans-IO machine on its flows and a clock (see `softphone.machine`).

    async with Driver(endpoint, on_event=handle, tls={"": TlsSettings(...)}) as driver:
        await driver.listen(Transport.UDP, "127.0.0.1", 5060)
        with driver.change() as now:
            endpoint.register(..., now=now)

It is the only loop: SIP over UDP, TCP and TLS, and every other machine, run under it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from softphone.errors import SoftphoneError
from softphone.machine import Address, Flow, Machine, Tap, Target, Transport
from softphone.trust import TlsSettings

__all__ = ["Driver", "Limits"]

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a driver allows.  Times in seconds, sizes in bytes, rates a second."""

    connect_timeout: float = 10.0
    handshake_timeout: float = 10.0
    fetch_timeout: float = 5.0
    write_timeout: float = 20.0
    close_timeout: float = 2.0
    write_buffer: int = 1 << 20
    handshakes: int = 8
    connections: int = 4096
    datagram_flows: int = 4096
    accept_rate: float = 200.0
    accept_burst: int = 400


class Driver(Generic[E]):
    """Runs one machine.

    `on_event(event)` is called for every event, in the drain that brought it; commands that it
    gives to the machine belong to the same drain.  `tls` maps `Target.credential` to settings.
    `resolve(host)` gives the addresses of a name; numeric hosts are not asked for.
    `clock()` is `now`; the loop's own time when None.
    """

    def __init__(
        self,
        machine: Machine[E],
        *,
        on_event: Callable[[E], None],
        tls: Mapping[str, TlsSettings] | None = None,
        limits: Limits | None = None,
        tap: Tap | None = None,
        clock: Callable[[], float] | None = None,
        resolve: Callable[[str], Awaitable[Sequence[str]]] | None = None,
    ) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(self, *exc_info: object) -> None:
        """Close: what was written is flushed; no task, socket or timer is left."""

    @property
    def closed(self) -> asyncio.Future[None]:
        """Done when the driver has closed; fails with the exception of a machine that has a bug."""
        raise NotImplementedError

    async def listen(
        self,
        transport: Transport,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: TlsSettings | None = None,
    ) -> Address:
        """Accept flows at an address; gives the address bound.

        Raises ConfigurationError (no TLS credential) and TransportError (the port is taken).
        """
        raise NotImplementedError

    async def open(self, target: Target) -> Flow:
        """The open flow to `target`, made if there is none; the machine sees `connected` too.

        Raises TransportError, TransportTimeout, CertificateError and its kin, by cause.
        """
        raise NotImplementedError

    def failure(self, of: Flow | Target) -> SoftphoneError | None:
        """Why a flow ended, or a target could not be reached, as the exception to raise."""
        raise NotImplementedError

    @contextmanager
    def change(self) -> Iterator[float]:
        """Give commands to the machine: `with driver.change() as now: usage.bye(now=now)`."""
        raise NotImplementedError

    def poke(self) -> None:
        """Drain the machine after commands that were given without `change`."""
        raise NotImplementedError

    def close_flow(self, flow: Flow, reason: str | None = None) -> None:
        """Close one flow after what was written; the machine sees `disconnected`."""
        raise NotImplementedError
