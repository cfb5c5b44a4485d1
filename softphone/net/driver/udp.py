"""UDP: one socket, one flow for each remote address; the least recently used flow is dropped first.

A source address is easily forged, so a flow that the machine holds, such as that of a dialog or of
a registration, is never dropped for a new one.

RFC 3261 section 18.  A datagram is passed on whole; one that the socket does not accept at once is
dropped, as UDP allows.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import OrderedDict
from typing import Protocol, cast

from softphone.errors import SoftphoneError, TransportError
from softphone.net.dscp import mark_socket
from softphone.net.stream import address_of
from softphone.sans_io import Address, Flow

_LOOKED_AT = 64
"""Flows examined for one that may be dropped; this bounds the cost of a datagram."""


class DatagramOwner(Protocol):
    """The callbacks that a socket needs from its owner."""

    def admit_address(self) -> bool:
        """Whether a new remote address may have a flow now."""

    def holds_flow(self, flow: Flow) -> bool:
        """Whether the machine depends on a flow, which is then not dropped for a new address."""

    def make_datagram_flow(self, local: Address, remote: Address) -> Flow:
        """Make a flow for a UDP address."""

    def datagram_accepted(self, flow: Flow, link: DatagramSocket) -> None:
        """Called when a datagram from an unknown address has made a flow."""

    def bytes_received(self, flow: Flow, data: bytes) -> None:
        """Called with each datagram."""

    def flow_ended(self, flow: Flow, error: SoftphoneError | None) -> None:
        """Called when a flow was dropped or the socket is gone."""


class DatagramSocket(asyncio.DatagramProtocol):
    """One bound socket and its flows, at most `limit` of them plus those that the machine holds."""

    def __init__(self, owner: DatagramOwner, *, limit: int, write_buffer: int) -> None:
        self._owner = owner
        self._limit = limit
        self._write_buffer = write_buffer
        self._flows: OrderedDict[Address, Flow] = OrderedDict()
        self._transport: asyncio.DatagramTransport | None = None
        self._closing = False
        self.dropped = 0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def made(self) -> bool:
        """Whether the socket is bound."""
        return self._transport is not None

    @property
    def local(self) -> Address:
        """The bound address."""
        if self._transport is None:
            raise TransportError("the socket is not bound")
        return address_of(self._transport.get_extra_info("sockname"))

    def flow_to(self, remote: Address) -> Flow:
        """The flow to an address, made if there is none."""
        flow = self._flows.get(remote)
        if flow is None:
            self._make_place()
            flow = self._remember(remote)
        return flow

    def send_datagram(self, data: bytes, remote: Address) -> None:
        """Send one datagram, or drop it when the socket is full."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        waiting = cast("asyncio.WriteTransport", transport).get_write_buffer_size()
        if waiting + len(data) > self._write_buffer:
            self.dropped += 1
            return
        if remote in self._flows:
            self._flows.move_to_end(remote)
        transport.sendto(data, remote)

    def forget_flow(self, flow: Flow) -> None:
        """Drop a flow; the next datagram from its address makes a new one."""
        if self._flows.get(flow.remote) == flow:
            del self._flows[flow.remote]

    def close(self) -> None:
        """Close the socket once what waits has been sent."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the socket now."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def _remember(self, remote: Address) -> Flow:
        local = self.local
        if local[0] in ("0.0.0.0", "::"):
            local = (local_address_for(remote), local[1])
        flow = self._owner.make_datagram_flow(local, remote)
        self._flows[remote] = flow
        return flow

    def _make_place(self) -> bool:
        """Drop the oldest flow that is not held if the table is full; return whether one fits."""
        if len(self._flows) < self._limit:
            return True
        for _ in range(min(_LOOKED_AT, len(self._flows))):
            oldest, flow = next(iter(self._flows.items()))
            if self._owner.holds_flow(flow):
                self._flows.move_to_end(oldest)
                continue
            del self._flows[oldest]
            self._owner.flow_ended(flow, TransportError("forgotten: too many UDP addresses"))
            return True
        return False

    def _admit_source(self, remote: Address) -> Flow | None:
        if not self._owner.admit_address() or not self._make_place():
            return None
        try:
            flow = self._remember(remote)
        except TransportError:
            return None  # there is no way back to it
        self._owner.datagram_accepted(flow, self)
        return flow

    # asyncio.DatagramProtocol -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is bound."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """Pass a datagram on, with the flow of its sender."""
        if self._closing:
            return
        remote = address_of(addr)
        flow = self._flows.get(remote)
        if flow is not None:
            self._flows.move_to_end(remote)
        else:
            flow = self._admit_source(remote)
            if flow is None:
                self.dropped += 1
                return
        self._owner.bytes_received(flow, data)

    def error_received(self, exc: Exception) -> None:
        """Count it: an ICMP error is not authenticated, so it ends no flow (RFC 3261 18.4)."""
        self.dropped += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """End the flows of a socket that is gone."""
        flows = list(self._flows.values())
        self._flows.clear()
        if not self.finished.done():
            self.finished.set_result(None)
        error = None if exc is None else TransportError(f"the UDP socket was lost: {exc}")
        for flow in flows:
            self._owner.flow_ended(flow, error)


def local_address_for(remote: Address) -> str:
    """Our address on the route to `remote`; sends nothing.  Raises TransportError."""
    family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(remote)
        except OSError as exc:
            raise TransportError(f"there is no way to {remote[0]}: {exc.strerror}") from exc
        return address_of(probe.getsockname())[0]


def has_address(host: str) -> bool:
    """Whether a numeric address is one of this host's, or a wildcard; sends nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError as exc:
            return exc.errno != errno.EADDRNOTAVAIL
        return True


async def bind_datagrams(
    owner: DatagramOwner, address: Address, *, limit: int, write_buffer: int, dscp: int = 0
) -> DatagramSocket:
    """A bound socket, marked with `dscp`.  Raises TransportError."""
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.create_datagram_endpoint(
            lambda: DatagramSocket(owner, limit=limit, write_buffer=write_buffer),
            local_addr=address,
        )
    except OSError as exc:
        raise TransportError(
            f"UDP {address[0]} port {address[1]} cannot be bound: {exc.strerror or exc}"
        ) from exc
    sock = transport.get_extra_info("socket")
    if dscp and sock is not None:  # a loop without sockets has none to mark
        mark_socket(sock, dscp)
    return protocol
