"""The two UDP sockets of one RTP session, read by the event loop one datagram at a time.

Suits streams of few, large packets such as video; for many streams use the batches of
`softphone.net.datagrams.batched_udp`.  Closing removes both sockets from the loop.
RFC 3550 section 11.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from softphone.net.datagrams.batched_udp import DatagramPort
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
        self._on_datagram = on_datagram
        self._taken = on_visit_end
        self._loop = asyncio.get_running_loop()
        self.unsent = 0
        """Datagrams that the system did not accept."""
        for port, control in ((self._rtp, False), (self._rtcp, True)):
            self._loop.add_reader(port.fd, self._visit, port, control)

    @property
    def addresses(self) -> tuple[Address, Address]:
        """The bound addresses of the RTP and the RTCP socket."""
        return self._rtp.address, self._rtcp.address

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

    def send_datagram(self, data: bytes, to: Address, *, control: bool) -> None:
        """Send a datagram; one that the system does not accept is counted in `unsent`."""
        try:
            (self._rtcp if control else self._rtp).socket.sendto(data, to)
        except OSError:
            self.unsent += 1

    def close(self) -> None:
        """Remove both sockets from the loop and close them."""
        for port in (self._rtp, self._rtcp):
            self._loop.remove_reader(port.fd)
            port.close()
