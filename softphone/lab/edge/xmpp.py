"""The XMPP side of the lab's edge: a stream of a client, passed on to the node inside.

TLS ends here on both sides: the client gets the edge's certificate, and the node's is verified as
by an Expressway-C.  What passes is not looked at.  How a real edge ties a
stream to its user is not known: whoever the node signs in is served.

RFC 6120 section 5 (STARTTLS).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Self

from softphone.errors import SoftphoneError, TransportError
from softphone.messaging.xmpp import StartTls
from softphone.net.http import RevocationFetcher
from softphone.net.verified.connector import Connector, ConnectorConfig
from softphone.sans_io import Address, Flow, Target, Transport
from softphone.security import ClientCertificates
from softphone.trust import Service, TlsCredential, TlsSettings, TrustStore, server_context

if TYPE_CHECKING:
    from softphone.net.stream import StreamConnection

logger = logging.getLogger("softphone.lab")

_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
_FEATURES = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client'"
    " xmlns:stream='http://etherx.jabber.org/streams' id='edge' version='1.0'>"
    f"<stream:features><starttls xmlns='{_TLS}'><required/></starttls></stream:features>"
)
_MOST_CLEAR = 16_384
_BEFORE_FEATURES = 2
"""The XML declaration, if there is one, and the stream header."""
_READ = 16_384
_MOST_UNREAD = 1 << 20
_BEGIN_WITHIN = 10.0


class EdgeXmpp:
    """An async context; `address` is where it listens once it is entered.

    `domain` and `node` are those of the IM and Presence node inside, `anchors` vouch for it.
    With `direct` TLS begins with the first byte, and not by STARTTLS.  `octets` counts what has
    come from clients within TLS, `streams` the streams that were passed on.
    """

    def __init__(
        self,
        domain: str,
        node: Address,
        credential: TlsCredential,
        anchors: TrustStore,
        host: str = "127.0.0.1",
        *,
        direct: bool = False,
    ) -> None:
        self._domain, self._host, self._direct = domain, host, direct
        self._node = Target(Transport.TLS, *node, domain)
        self._context = server_context(
            TlsSettings(credential=credential, client_certificates=ClientCertificates.NONE)
        )
        settings = TlsSettings(store=anchors, service=Service.XMPP)
        self._connector = Connector(settings, ConnectorConfig(RevocationFetcher()))
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.address: Address = ("", 0)
        self.octets = self.streams = 0

    async def __aenter__(self) -> Self:
        """Raises TransportError when no port is free."""
        try:
            tls = self._context if self._direct else None
            self._server = await asyncio.start_server(
                self._accept, self._host, 0, limit=_MOST_CLEAR, ssl=tls
            )
        except OSError as error:
            raise TransportError(f"{self._host} has no port: {error.strerror or error}") from error
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            if not self._direct:
                async with asyncio.timeout(_BEGIN_WITHIN):
                    await _begin_tls(reader, writer)
                    await writer.start_tls(self._context)
            await self._pass_on(reader, writer)
        except (OSError, EOFError, asyncio.LimitOverrunError, SoftphoneError) as error:
            logger.info("the edge ends a chat stream: %s", error)
        finally:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry octets both ways until either side ends."""
        inside = await self._connector.open_connection(
            self._node, _Client(writer), lambda: StartTls(self._domain)
        )
        self.streams += 1
        try:
            while data := await reader.read(_READ):
                self.octets += len(data)
                inside.write(data)
                inside.flush()
                await inside.drained()
        finally:
            inside.abort()
            await inside.finished


class _Client:
    """The client's side, as the owner of the connection to the node (`ConnectionOwner`).

    A client that does not read is cut off.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def bytes_received(self, flow: Flow, data: bytes) -> None:
        """Pass octets of the node on."""
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > _MOST_UNREAD:
            self._writer.transport.abort()

    def flow_ended(self, flow: Flow, error: SoftphoneError | None) -> None:
        """End the client's connection, too."""
        self._writer.close()

    def request_flush(self, connection: StreamConnection) -> None:
        """Write to the node in the next turn of the loop."""
        asyncio.get_running_loop().call_soon(connection.flush)


async def _begin_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Agree on TLS with a client.  Raises TransportError for one that asks for something else."""
    for _ in range(_BEFORE_FEATURES):
        if b"<stream:stream" in await reader.readuntil(b">"):
            break
    writer.write(_FEATURES.encode())
    if b"<starttls" not in await reader.readuntil(b">"):
        raise TransportError("the client goes on without TLS")
    writer.write(f"<proceed xmlns='{_TLS}'/>".encode())
    await writer.drain()
