"""The two UDP sockets of one RTP session, read by the event loop one datagram at a time.

Suits streams of few, large packets such as video; for many streams use the batches of
`softphone.net.datagrams.batched_udp`.  Closing removes both sockets from the loop.  A loop without
`add_reader`, as Windows has by default, reads them by `create_datagram_endpoint`.
RFC 3550 section 11.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from softphone.net.datagrams.batched_udp import DatagramPort
from softphone.net.dscp import mark_socket
from softphone.sans_io import Address

VISIT = 64
"""The most datagrams that one visit reads from a socket; the loop returns for more."""
LARGEST = 2048

OnDatagram: TypeAlias = Callable[[bytes, Address, bool], None]
"""Called with a datagram, its source, and whether it came on the RTCP port."""


class DatagramPair:
    """An RTP and an RTCP socket; `on_visit_end` is called after each visit that read anything."""

    def __init__(
        self,
        ports: tuple[DatagramPort, DatagramPort],
        on_datagram: OnDatagram,
        on_visit_end: Callable[[], None],
    ) -> None:
        self._rtp, self._rtcp = ports
        self._dscp = 0
        self._on_datagram = on_datagram
        self._taken = on_visit_end
        self._loop = asyncio.get_running_loop()
        self.unsent = 0
        """Datagrams that the system did not accept."""
        self._endpoints: list[_Endpoint] = []
        for port, control in ((self._rtp, False), (self._rtcp, True)):
            try:
                self._loop.add_reader(port.fd, self._visit, port, control)
            except NotImplementedError:
                self._endpoints.append(_Endpoint(port, self._receive_one, control))

    @property
    def addresses(self) -> tuple[Address, Address]:
        """The bound addresses of the RTP and the RTCP socket."""
        return self._rtp.address, self._rtcp.address

    def mark(self, dscp: int) -> None:
        """Mark the packets that both sockets send with this DSCP (RFC 2474)."""
        if dscp != self._dscp:
            self._dscp = dscp
            mark_socket(self._rtp.socket, dscp)
            mark_socket(self._rtcp.socket, dscp)

    def discard_received(self) -> None:
        """Drop the datagrams that came before the session started."""
        self._rtp.discard_received()
        self._rtcp.discard_received()

    def _visit(self, port: DatagramPort, control: bool) -> None:
        for _ in range(VISIT):
            try:
                data, address = port.socket.recvfrom(LARGEST)
            except BlockingIOError:
                break
            except OSError:
                # An ICMP error for an earlier datagram of ours; the next visit reads on.
                break
            self._on_datagram(data, address[:2], control)
        self._taken()

    def _receive_one(self, data: bytes, source: Address, control: bool) -> None:
        self._on_datagram(data, source, control)
        self._taken()

    def send_datagram(self, data: bytes, to: Address, *, control: bool) -> None:
        """Send a datagram; one that the system does not accept is counted in `unsent`."""
        try:
            (self._rtcp if control else self._rtp).socket.sendto(data, to)
        except OSError:
            self.unsent += 1

    def close(self) -> None:
        """Remove both sockets from the loop and close them."""
        for endpoint in self._endpoints:
            endpoint.close()
        for port in (self._rtp, self._rtcp):
            if not self._endpoints:
                self._loop.remove_reader(port.fd)
            port.close()


class _Endpoint(asyncio.DatagramProtocol):
    """Reads one socket where the loop has no `add_reader`, from the next turn of the loop on."""

    def __init__(self, port: DatagramPort, receive: OnDatagram, control: bool) -> None:
        self._receive = receive
        self._control = control
        self._transport: asyncio.BaseTransport | None = None
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(loop.create_datagram_endpoint(lambda: self, sock=port.socket))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, which reads the socket."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Pass a datagram to the pair."""
        self._receive(data[:LARGEST], addr[:2], self._control)

    def close(self) -> None:
        """Stop reading."""
        self._task.cancel()
        if self._transport is not None:
            self._transport.close()
