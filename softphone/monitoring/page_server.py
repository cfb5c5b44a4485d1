"""Serves small text pages over HTTP/1.1 by asyncio: GET only, one request a connection.

The connection of a client that is slow or sends too much is closed, and so are those beyond
`MOST_CLIENTS`.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from softphone.errors import ConfigurationError
from softphone.monitoring.handshake_limit import limit_handshakes
from softphone.security import ClientCertificates, KeyMaterial
from softphone.trust import TlsCredential, TlsSettings, server_context

PATIENCE = 5.0
"""Seconds that a client has for its request and for reading the response."""
LONGEST_REQUEST = 8192
MOST_CLIENTS = 64
"""The maximum number of simultaneous connections."""
LEAST_TOKEN = 16
"""The least octets of a token."""


_BEARER = re.compile(rb"\r\nauthorization:[ \t]*bearer[ \t]+([^\r\n]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """The response for one path."""

    body: str
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class PageAccess:
    """Where pages are served, and what a client needs to see them.

    `token` is required as a Bearer token (RFC 6750); `credential` turns TLS on.  With
    `loopback_only` another address than loopback is refused, unless both are given.
    """

    host: str = "127.0.0.1"
    port: int = 0
    credential: TlsCredential | None = None
    token: KeyMaterial | None = None
    loopback_only: bool = True

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < LEAST_TOKEN:
            raise ConfigurationError(
                f"the token is too short: give {LEAST_TOKEN} or more characters, as"
                " `openssl rand -hex 32` makes them"
            )
        guarded = self.credential is not None and self.token is not None
        if self.loopback_only and not guarded and not self.loopback:
            raise ConfigurationError(
                f"{self.host} is not loopback: this leaves the host only over TLS and with a"
                " token; give a certificate with its key and a token file"
            )

    @property
    def loopback(self) -> bool:
        """Whether the address is a loopback address, which only this machine reaches."""
        return _is_loopback(self.host)

    def server_tls(self, seconds: float) -> ssl.SSLContext | None:
        """Return what a server of pages speaks TLS with, None in clear.

        `seconds` is its time-out of a handshake.  Raises ConfigurationError.
        """
        if self.credential is None:
            return None
        settings = TlsSettings(
            credential=self.credential, client_certificates=ClientCertificates.NONE
        )
        context = server_context(settings)
        limit_handshakes(context, seconds)
        return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # A name could lead anywhere, "localhost" included.
        return False


def parse_place(text: str, *, what: str) -> tuple[str, int]:
    """Parse "HOST:PORT" with a numeric host.  Raises ConfigurationError that begins with `what`."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[0-9.]+):([0-9]{1,5})", text)
    if match is None or int(match[2]) > 65535:
        raise ConfigurationError(f"{what} {text}: expected ADDRESS:PORT, as in 127.0.0.1:9464")
    host = match[1].strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise ConfigurationError(f"{what} {text}: {host} is no IP address") from error
    return host, int(match[2])


class PageServer:
    """An async context that serves `pages`; other paths get 404, or the page of "" if there is one.

    `what` names the server in errors.
    """

    def __init__(
        self, pages: Mapping[str, Callable[[], Page]], access: PageAccess, *, what: str
    ) -> None:
        self._pages = pages
        self._access = access
        self._what = what
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        """Start to listen.  Raises ConfigurationError when the address cannot be bound."""
        access, context = self._access, self._access.server_tls(PATIENCE)
        try:
            self._server = await asyncio.start_server(
                self._serve,
                access.host,
                access.port,
                limit=LONGEST_REQUEST,
                ssl=context,
                ssl_handshake_timeout=None if context is None else PATIENCE,
            )
        except (OSError, OverflowError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise ConfigurationError(
                f"{self._what} cannot be served at {access.host}:{access.port}: {reason}"
            ) from error
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._open):
                writer.close()
            await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The port on which the pages are served."""
        if self._server is None or not self._server.sockets:
            return self._access.port
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The address of the root page."""
        host = self._access.host
        scheme = "http" if self._access.credential is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MOST_CLIENTS:
            writer.close()
            return
        self._open.add(writer)
        try:
            async with asyncio.timeout(PATIENCE):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(request))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            self._open.discard(writer)
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await writer.wait_closed()

    def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        if method != b"GET":
            return _encode(Page("", 405), "Allow: GET\r\n")
        if not self._permitted(request):
            return _encode(Page("", 401), "WWW-Authenticate: Bearer\r\n")
        path = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        make = self._pages.get(path) or self._pages.get("")
        return _encode(Page("", 404) if make is None else make())

    def _permitted(self, request: bytes) -> bool:
        token = self._access.token
        if token is None:
            return True
        found = _BEARER.search(request)
        given = b"" if found is None else found[1].strip()
        return hmac.compare_digest(given, token.reveal())


def _encode(page: Page, fields: str = "") -> bytes:
    body = page.body.encode()
    kind = f"Content-Type: {page.content_type}\r\n" if body else ""
    head = (
        f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}\r\n{fields}{kind}"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
