"""The lab's servers: TLS listeners that one call control stands behind, as a cluster's nodes do.

Each can be stopped, which ends its connections, and started again at its old address.
"""

from __future__ import annotations

from softphone.errors import TransportError
from softphone.net import Driver
from softphone.sans_io import Address, Transport
from softphone.sip import SipEvent
from softphone.trust import TlsSettings

__all__ = ["NodeList"]


class NodeList:
    """`addresses` are the nodes', in the order of their priority."""

    def __init__(self, driver: Driver[SipEvent], tls: TlsSettings, host: str) -> None:
        self._driver = driver
        self._tls = tls
        self._host = host
        self.addresses: list[Address] = []

    async def add(self, port: int) -> Address:
        """Start one more.  Raises TransportError when the port is taken."""
        address = await self._driver.listen(Transport.TLS, self._host, port, tls=self._tls)
        self.addresses.append(address)
        return address

    async def stop(self, index: int) -> None:
        """End a node: nobody gets in, and who was connected is cut."""
        address = self.addresses[index]
        await self._driver.stop_listening(address)
        for flow in self._driver.flows:
            if flow.local == address:
                self._driver.close_flow(flow, TransportError("the node has ended"))

    async def start(self, index: int) -> None:
        """Start a node that was stopped."""
        host, port = self.addresses[index]
        await self._driver.listen(Transport.TLS, host, port, tls=self._tls)
