"""Serves the lab's HTTP interfaces by aiohttp, and judges Basic credentials (RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from ssl import SSLContext
from typing import TYPE_CHECKING, TypeAlias

from softphone.errors import TransportError
from softphone.extras import require_module
from softphone.sans_io import Address
from softphone.security import KeyMaterial
from softphone.web import quiet_logger

if TYPE_CHECKING:
    from aiohttp import web


async def serve_http(
    stack: AsyncExitStack,
    path: str,
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    address: Address,
    context: SSLContext | None,
    *,
    what: str,
    methods: Sequence[str] = ("GET", "HEAD"),
) -> Address:
    """Answer each request to `path`, a route of aiohttp, until `stack` is closed.

    Other methods than `methods` get 405.  Returns the address with the port that was bound;
    without `context` it is HTTP in clear.  Raises TransportError when the port is taken,
    ConfigurationError without aiohttp, which names `what`.
    """
    require_module("aiohttp", "lab", f"{what} needs aiohttp")
    from aiohttp import web

    application = web.Application()
    for method in methods:
        application.router.add_route(method, path, answer)
    runner = web.AppRunner(
        application, access_log=None, shutdown_timeout=1.0, logger=quiet_logger("softphone.lab")
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    host, port = address
    try:
        await web.TCPSite(runner, host, port, ssl_context=context).start()
    except OSError as exc:
        raise TransportError(
            f"TCP {host} port {port} cannot be bound: {exc.strerror or exc}"
        ) from exc
    bound_host, bound_port = runner.addresses[0][:2]
    return str(bound_host), int(bound_port)


TokenUser: TypeAlias = Callable[[str], "str | None"]
"""Returns the user of a bearer token, None for one that is not good."""


def no_token(token: str) -> str | None:
    """Accept no token."""
    return None


def signed_in_user(
    header: str, passwords: Mapping[str, KeyMaterial], token_user: TokenUser
) -> str | None:
    """Return the user of an Authorization header with a good password or token, else None."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return token_user(value.strip())
    return basic_user(header, passwords)


def challenge(header: str, basic: str, token_user: TokenUser) -> str:
    """Return the WWW-Authenticate of a 401: `basic`, or the error of a token (RFC 6750 3.1)."""
    bearer = header[:7].lower() == "bearer " and token_user is not no_token
    return 'Bearer error="invalid_token"' if bearer else basic


def basic_user(header: str, passwords: Mapping[str, KeyMaterial]) -> str | None:
    """Return the user of an Authorization header whose password is correct, else None."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(value, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    user = name.decode(errors="replace")
    kept = passwords.get(user)
    return user if kept is not None and hmac.compare_digest(kept.reveal(), password) else None
