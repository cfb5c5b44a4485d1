"""Serves MCP over HTTP (Streamable HTTP) at /mcp; judges Host, Origin and token of each request.

The messages are the SDK's, the HTTP is uvicorn's; connections are accepted here, by what every
server of ours demands: TLS elsewhere than on loopback, a bounded number of connections, and bounded
time for a handshake and a request.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Coroutine, MutableMapping
from contextlib import AsyncExitStack
from typing import Any, Self

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from softphone.errors import ConfigurationError
from softphone.monitoring import PageAccess
from softphone.security import KeyMaterial
from softphone.web import certificate_hosts, foreign, host_names

PATH = "/mcp"
MOST_CLIENTS = 64
"""The most connections; for a further one the oldest that has sent no request is closed."""
PATIENCE = 10.0
"""Seconds that a connection has for its first request."""
HANDSHAKE_PATIENCE = 5.0
"""Seconds that a TLS handshake may take."""
LARGEST_REQUEST = 256 << 10
"""Octets of a request's body."""
LARGEST_HEAD = 16 << 10
"""Octets of a request's line and header fields."""
MOST_SESSIONS = 16
"""The most clients that are served at once."""
LAST_RESPONSES = 1.0
"""Seconds that responses have when the server closes."""

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Coroutine[Any, Any, _Message]]
_Send = Callable[[_Message], Coroutine[Any, Any, None]]
_Application = Callable[[_Message, _Receive, _Send], Coroutine[Any, Any, None]]


class _Guard:
    """Judges each request before the SDK sees it (ASGI)."""

    def __init__(self, application: _Application, token: KeyMaterial, scheme: str) -> None:
        self._application = application
        self._token = token
        self._scheme = scheme
        self.hosts: frozenset[str] = frozenset()

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            return
        refusal = self._judge(scope["headers"])
        if refusal is None:
            await self._application(scope, receive, send)
        else:
            await _refuse(*refusal, send=send)

    def _judge(self, fields: list[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        """Return status and reason of a refusal; None for a request that may be answered."""
        found: dict[str, str] = {}
        for raw, value in fields:
            name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
            found[name] = f"{found[name]}, {text}" if name in found else text
        # As a GET: a client that is no browser sends no Origin, and has the token.
        why = foreign(
            "GET",
            host=found.get("host", ""),
            origin=found.get("origin"),
            site=found.get("sec-fetch-site", ""),
            hosts=self.hosts,
            scheme=self._scheme,
        )
        if why:
            return 403, why
        scheme, _, given = found.get("authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode("latin-1"), self._token.reveal())
        if scheme.lower() != "bearer" or not known:
            return 401, "the token is missing or wrong"
        return None


async def _refuse(status: int, why: str, *, send: _Send) -> None:
    fields = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    if status == 401:
        fields.append((b"www-authenticate", b"Bearer"))
    body = f"{why}\n".encode()
    fields.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


class McpHttpServer:
    """An async context that serves an MCP server at the address of `access`.

    Raises ConfigurationError for an access without a token, and when the address cannot be bound.
    """

    def __init__(self, server: MCPServer[Any], access: PageAccess) -> None:
        if access.token is None:
            raise ConfigurationError("MCP is served over HTTP with a token only: give a token file")
        self._access = access
        application = server.streamable_http_app(
            streamable_http_path=PATH,
            max_request_body_size=LARGEST_REQUEST,
            max_sessions=MOST_SESSIONS,
            # The guard knows our names and port; the SDK would take any port of loopback.
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        self._sessions = server.session_manager
        scheme = "http" if access.credential is None else "https"
        self._guard = _Guard(application, access.token, scheme)
        self._config = uvicorn.Config(
            self._guard,
            http=H11Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            h11_max_incomplete_event_size=LARGEST_HEAD,
        )
        self._state = ServerState()
        self._silent: dict[_Connection, asyncio.TimerHandle] = {}
        self._listening: asyncio.Server | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        access = self._access
        self._config.load()
        tls: dict[str, Any] = {}
        if access.credential is not None:
            tls["ssl_handshake_timeout"] = HANDSHAKE_PATIENCE
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                lambda: _Connection(self._config, self._state, self._silent),
                access.host,
                access.port,
                ssl=access.server_tls(HANDSHAKE_PATIENCE),
                **tls,
            )
        except (OSError, OverflowError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise ConfigurationError(
                f"MCP cannot be served at {access.host}:{access.port}: {reason}"
            ) from error
        self._guard.hosts = host_names(
            access.host,
            self._port,
            loopback=access.loopback,
            names=certificate_hosts(access.credential),
            tls=access.credential is not None,
        )
        await self._stack.enter_async_context(self._sessions.run())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._listening is not None:
            self._listening.close()
        await self._stack.aclose()
        for connection in tuple(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=LAST_RESPONSES)
        for task in tuple(self._state.tasks):
            task.cancel()
        for connection in tuple(self._state.connections):
            connection.transport.abort()

    @property
    def url(self) -> str:
        """The address that clients are given."""
        host = self._access.host
        scheme = "http" if self._access.credential is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._port}{PATH}"

    @property
    def _port(self) -> int:
        if self._listening is None or not self._listening.sockets:
            return self._access.port
        return int(self._listening.sockets[0].getsockname()[1])


class _Connection(H11Protocol):
    """A connection that is closed unless a request comes in time, or when there are too many."""

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        silent: dict[_Connection, asyncio.TimerHandle],
    ) -> None:
        super().__init__(config, state, {})
        self._silent = silent

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._silent[self] = self.loop.call_later(PATIENCE, transport.abort)
        if len(self.connections) > MOST_CLIENTS:
            # It is silent no more from here on: of many that come at once each ends another one.
            oldest = next(iter(self._silent))
            oldest._heard()
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take octets; with the head of a request the connection is silent no longer."""
        super().data_received(data)
        if self.scope is not None:
            self._heard()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._heard()
        super().connection_lost(exc)

    def _heard(self) -> None:
        timer = self._silent.pop(self, None)
        if timer is not None:
            timer.cancel()
