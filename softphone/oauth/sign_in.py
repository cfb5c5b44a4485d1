"""The two ways to sign in: by the system's browser (RFC 8252), or by a device code (RFC 8628)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from softphone.errors import SingleSignOnRefused, TransportTimeout
from softphone.oauth.authorization import read_redirect
from softphone.oauth.client import DeviceCode, OAuthClient, TokenRequestFailed
from softphone.oauth.redirect_listener import RedirectListener
from softphone.oauth.token import Token

PATIENCE = 300.0
"""The seconds that a person has in the browser."""
SLOW_DOWN = 5.0
"""The seconds that `slow_down` adds to the interval (RFC 8628 section 3.5)."""


async def sign_in_with_browser(
    client: OAuthClient,
    open_page: Callable[[str], Awaitable[None]],
    *,
    patience: float = PATIENCE,
) -> Token:
    """Sign in with the system's browser; `open_page` opens an address there.

    Raises SingleSignOnRefused when the server or its user says no, or nobody comes back within
    `patience` seconds, and what `OAuthClient` raises.
    """
    async with RedirectListener(client.config.redirect_port) as listener:
        request = await client.make_authorization_request(listener.redirect_uri)
        listener.expect(partial(read_redirect, request))
        await open_page(request.url)
        try:
            async with asyncio.timeout(patience):
                code = await listener.wait_for_code()
        except TimeoutError:
            seen = f"; the last request was not taken: {listener.refused}"
            raise SingleSignOnRefused(
                f"the browser did not come back within {patience:g} s"
                f"{seen if listener.refused else ''}"
            ) from None
    try:
        return await client.redeem_code(request, code)
    finally:
        code.close()
        request.verifier.close()


async def sign_in_with_device_code(
    client: OAuthClient, show: Callable[[DeviceCode], Awaitable[None]]
) -> Token:
    """Sign in from a machine without a browser: `show` tells a person what to do elsewhere.

    Raises SingleSignOnRefused when the server or its user says no, or the code has expired, and
    what `OAuthClient` raises.
    """
    device = await client.fetch_device_code()
    try:
        await show(device)
        async with asyncio.timeout(device.expires_in):
            return await _poll(client, device)
    except TimeoutError:
        raise SingleSignOnRefused(
            f"nobody used the code within {device.expires_in:g} s: it has expired"
        ) from None
    finally:
        device.device_code.close()


async def _poll(client: OAuthClient, device: DeviceCode) -> Token:
    """Ask for the token until there is one; a server that does not answer is asked less often."""
    interval = device.interval
    while True:
        await asyncio.sleep(interval)
        try:
            return await client.redeem_device_code(device)
        except TransportTimeout:
            interval *= 2
        except TokenRequestFailed as failure:
            if failure.error == "slow_down":
                interval += SLOW_DOWN
            elif failure.error != "authorization_pending":
                raise
