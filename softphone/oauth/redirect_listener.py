"""Waits on loopback for the one redirect that brings the code (RFC 8252 section 7.3).

It listens on 127.0.0.1 and, where there is IPv6, on [::1] at the same port.  Only a navigation of a
browser counts: a GET with our own Host, not a request of another page for an image, a frame or a
script (Fetch Metadata).  Everything else is answered with an error and changes nothing.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from softphone.errors import ConfigurationError, SingleSignOnRefused
from softphone.oauth.authorization import UnexpectedRedirect
from softphone.security import KeyMaterial

logger = logging.getLogger("softphone.oauth")

PATH = "/callback"
_LARGEST_HEAD = 16 * 1024
_MOST_CONNECTIONS = 16
_HEAD_WITHIN = 5.0
"""Seconds that a connection has for the head of its request."""
_TRIES = 8
"""How many free ports are tried until one is free on both addresses."""
_NO_IPV6 = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETUNREACH}

_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>softphone</title>"
    "<h1>{title}</h1><p>{text}</p></html>"
)
_HEADERS = (
    "Content-Type: text/html; charset=utf-8",
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy: no-referrer",
    "X-Content-Type-Options: nosniff",
    "Cache-Control: no-store",
    "Connection: close",
)
_REASONS = {200: "OK", 400: "Bad Request", 405: "Method Not Allowed"}


class RedirectListener:
    """An async context that listens; `wait_for_code` returns what the redirect brought.

    Raises ConfigurationError when the port cannot be bound.
    """

    def __init__(self, port: int = 0) -> None:
        self._wanted = port
        self._port = 0
        self._servers: list[asyncio.Server] = []
        self._writers: dict[asyncio.StreamWriter, None] = {}
        self._read: Callable[[str], KeyMaterial] | None = None
        self._code: asyncio.Future[KeyMaterial] = asyncio.get_running_loop().create_future()
        self.refused = ""
        """Why the latest request was not taken; "" without any."""

    async def __aenter__(self) -> Self:
        for sock in _bound_sockets(self._wanted):
            self._port = sock.getsockname()[1]
            self._servers.append(
                await asyncio.start_server(self._serve, sock=sock, limit=_LARGEST_HEAD)
            )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for server in self._servers:
            server.close()
        writers = tuple(self._writers)
        for writer in writers:
            writer.close()
        await asyncio.gather(*(each.wait_closed() for each in writers), return_exceptions=True)
        if self._code.done() and not self._code.cancelled():
            self._code.exception()

    @property
    def redirect_uri(self) -> str:
        """The address for the browser to come back to."""
        return f"http://127.0.0.1:{self._port}{PATH}"

    def expect(self, read: Callable[[str], KeyMaterial]) -> None:
        """Judge requests from now on: `read` is called with the target of each.

        It returns the code, or raises UnexpectedRedirect or SingleSignOnRefused.
        """
        self._read = read

    async def wait_for_code(self) -> KeyMaterial:
        """Return the code.  Raises SingleSignOnRefused when the server said no."""
        return await self._code

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= _MOST_CONNECTIONS:
            # The browser's own one may be the newest: the oldest has had its time.
            # It counts no more from here on: of many that come at once each ends another one.
            oldest = next(iter(self._writers))
            del self._writers[oldest]
            oldest.transport.abort()
        self._writers[writer] = None
        try:
            async with asyncio.timeout(_HEAD_WITHIN):
                head = await reader.readuntil(b"\r\n\r\n")
                status, title, text = self._answer(head.decode("latin-1"))
                writer.write(_response(status, title, text))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            logger.debug("a connection to the redirect address came to nothing")
        finally:
            self._writers.pop(writer, None)
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()

    def _answer(self, head: str) -> tuple[int, str, str]:
        """Judge one request; returns the status and the page for the browser."""
        refusal = self._why_foreign(head)
        if refusal is not None:
            return self._refuse(*refusal)
        if self._read is None or self._code.done():
            return self._refuse(400, "the sign-in is over, or has not begun")
        try:
            code = self._read(head.split(" ", 2)[1])
        except UnexpectedRedirect as error:
            return self._refuse(400, str(error))
        except SingleSignOnRefused as error:
            self._code.set_exception(error)
            return 200, "Not signed in", "The server said no; the terminal says why."
        self._code.set_result(code)
        return 200, "Back to the terminal", "This page can be closed."

    def _why_foreign(self, head: str) -> tuple[int, str] | None:
        """Return status and reason for a request that is no navigation to us; else None."""
        first, *lines = head.split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
            return 400, "a request was malformed"
        if words[0] != "GET":
            return 405, f"a {words[0][:16]!r} request is no redirect"
        fields: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(":")
            fields.setdefault(name.lower(), []).append(value.strip())
        if fields.get("host") not in ([f"127.0.0.1:{self._port}"], [f"[::1]:{self._port}"]):
            return 400, "a request had another Host than this address"
        mode, target = fields.get("sec-fetch-mode"), fields.get("sec-fetch-dest")
        if mode not in (None, ["navigate"]) or target not in (None, ["document"]):
            return 400, "another page asked, not the browser's address bar"
        if "origin" in fields or "sec-purpose" in fields:
            return 400, "another page asked, or the browser loaded ahead"
        return None

    def _refuse(self, status: int, reason: str) -> tuple[int, str, str]:
        self.refused = reason
        logger.warning("not taken at the redirect address: %s", reason)
        return status, "Not taken", "This is not the answer that the sign-in waits for."


def _response(status: int, title: str, text: str) -> bytes:
    body = _PAGE.format(title=title, text=text).encode()
    head = (f"HTTP/1.1 {status} {_REASONS[status]}", *_HEADERS, f"Content-Length: {len(body)}")
    return "\r\n".join((*head, "", "")).encode() + body


def _bound_sockets(port: int) -> list[socket.socket]:
    """Bind one port on 127.0.0.1 and, where there is IPv6, on [::1].

    Raises ConfigurationError when no port is free on both.
    """
    for _ in range(_TRIES if port == 0 else 1):
        found: list[socket.socket] = []
        try:
            found.append(_bound("127.0.0.1", port, socket.AF_INET))
            found.append(_bound("::1", found[0].getsockname()[1], socket.AF_INET6))
        except OSError as error:
            if found and error.errno in _NO_IPV6:
                return found
            for sock in found:
                sock.close()
            failure = error
        else:
            return found
    raise ConfigurationError(
        f"redirect_port: port {port or 'any'} of loopback cannot be bound: {failure.strerror}"
    ) from failure


def _bound(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """Return a listening socket of one address.  Raises OSError."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(_MOST_CONNECTIONS)
    except OSError:
        sock.close()
        raise
    return sock
