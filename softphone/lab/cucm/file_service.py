"""The lab's file service: the same files by TFTP, HTTP and HTTPS, on unprivileged ports."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ssl import SSLContext
from typing import TYPE_CHECKING, Self

from softphone.lab.http_server import serve_http
from softphone.net import Driver
from softphone.provisioning.tftp.server import TftpServed, TftpServer
from softphone.sans_io import Address, Transport
from softphone.security import ClientCertificates
from softphone.trust import TlsCredential, TlsSettings, server_context

if TYPE_CHECKING:
    from aiohttp import web

logger = logging.getLogger("softphone.lab")


@dataclass(frozen=True, slots=True)
class FilePorts:
    """The ports to listen on; 0 is any free port."""

    host: str = "127.0.0.1"
    tftp: int = 0
    http: int = 0
    https: int = 0


class FileService:
    """An async context; `addresses` has "tftp", "http" and "https" once it is entered.

    `source(name)` gives the bytes of a file, or None; `served` counts requests by file name.
    """

    def __init__(
        self,
        source: Callable[[str], bytes | None],
        credential: TlsCredential,
        ports: FilePorts | None = None,
    ) -> None:
        self._source = source
        self._credential = credential
        self._ports = ports or FilePorts()
        self._stack = AsyncExitStack()
        self.addresses: dict[str, Address] = {}
        self.served: list[str] = []

    async def __aenter__(self) -> Self:
        """Raises TransportError when a port is taken, ConfigurationError without aiohttp."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        ports = self._ports
        tftp: Driver[TftpServed] = Driver(TftpServer(self._file), on_event=_log_tftp)
        await self._stack.enter_async_context(tftp)
        self.addresses["tftp"] = await tftp.listen(Transport.UDP, ports.host, ports.tftp)
        settings = TlsSettings(
            credential=self._credential, client_certificates=ClientCertificates.NONE
        )
        self.addresses["http"] = await self._web(ports.http, None)
        self.addresses["https"] = await self._web(ports.https, server_context(settings))

    async def _web(self, port: int, context: SSLContext | None) -> Address:
        return await serve_http(
            self._stack,
            "/{name:.*}",
            self._answer,
            (self._ports.host, port),
            context,
            what="the lab's file service",
        )

    async def _answer(self, request: web.Request) -> web.Response:
        from aiohttp import web

        data = self._file(request.match_info["name"])
        if data is None:
            return web.Response(status=404)
        return web.Response(body=data, content_type="application/octet-stream")

    def _file(self, name: str) -> bytes | None:
        if not name.isprintable():
            return None  # no file has such a name, and it must not inject log lines
        data = self._source(name)
        logger.info("%s: %s", name, "none" if data is None else f"{len(data)} bytes")
        self.served.append(name)
        del self.served[:-1000]
        return data


def _log_tftp(event: TftpServed) -> None:
    logger.info("TFTP: %s to %s: %s", event.name, event.flow.remote[0], event.why or "taken")
