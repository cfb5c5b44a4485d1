"""Keeps a stored token fresh: renews it ahead of time, one refresh at a time, and stores it first.

A refresh token that the server has replaced is worth nothing, so the new one is on disk before the
new access token is used.  Where renewing fails, the old access token is used to its end.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable

from softphone.errors import (
    ConfigurationError,
    SingleSignOnError,
    SingleSignOnRefused,
    SoftphoneError,
    TransportError,
    copy_error,
)
from softphone.oauth.client import OAuthClient, refused_for_good
from softphone.oauth.token import Token, read_token_response
from softphone.oauth.token_store import TokenStore
from softphone.security import KeyMaterial

logger = logging.getLogger("softphone.oauth")

PAUSE = 30.0
"""Seconds until a refresh is tried again after one that failed."""


class TokenKeeper:
    """The token of one account, for every service that takes it.

    `given` returns the JSON of a token endpoint, or a token alone.  It is called where no token is
    stored, or none that can be refreshed: a site's own sign-in may supply tokens that we refresh.
    """

    def __init__(
        self,
        client: OAuthClient,
        store: TokenStore,
        *,
        given: Callable[[], Awaitable[bytes]] | None = None,
    ) -> None:
        self._client = client
        self._store = store
        self._given = given
        self._turn = asyncio.Lock()
        self._held: Token | None = None
        self._handed = b""
        """The access token that was handed out last."""
        self._dead: tuple[bytes, SingleSignOnError] | None = None
        """The refresh token that the server refused, and its error: it is not sent again."""
        self._failed: tuple[float, SoftphoneError] | None = None
        """When a refresh last failed, and how: the next is not tried before PAUSE is over."""

    @property
    def client(self) -> OAuthClient:
        """The client of the authorization server."""
        return self._client

    @property
    def description(self) -> str:
        """Where the tokens are, and how they are protected, for a person."""
        return self._store.description

    async def fetch(self, refused: bool = False) -> str:
        """Return a token endpoint's JSON: `access_token`, and `expires_in` from now.

        `refused` says that a server has not accepted the token of the last call: it is renewed.
        Raises SingleSignOnRefused when only a person can help, SingleSignOnError, TransportError,
        CertificateError and ConfigurationError.
        """
        token = await self.token(refused=refused)
        lasts = max(1.0, token.remaining(self._client.wall()))
        return json.dumps({"access_token": token.access.reveal().decode(), "expires_in": lasts})

    async def bearer(self, refused: bool = False) -> KeyMaterial:
        """Return the access token alone, as services take it (`FetchBearer`); else as `fetch`."""
        return (await self.token(refused=refused)).access

    async def token(self, *, refused: bool = False) -> Token:
        """Return the token itself; otherwise as `fetch`."""
        async with self._turn:
            found = self._held
            if found is None or self._unfit(found, refused):
                async with self._store.locked():
                    found = self._held = await self._fit(refused)
            self._handed = found.access.reveal()
            return found

    async def store(self, token: Token) -> None:
        """Store the token of a new sign-in."""
        async with self._turn, self._store.locked():
            await self._store.save(token)
            self._held, self._dead, self._failed = token, None, None

    async def forget(self) -> bool:
        """Delete the stored token, and revoke it where the server offers that (RFC 7009).

        Returns whether it was revoked; it is deleted first, whatever the server answers.
        """
        async with self._turn, self._store.locked():
            found = await self._store.load()
            self._held = None
            await self._store.forget()
        return found is not None and self._is_ours(found) and await self._client.revoke(found)

    def _unfit(self, token: Token, refused: bool) -> bool:
        """Whether a token must be renewed: it is due, or the one handed out last was refused."""
        return token.due(self._client.wall()) or (
            refused and hmac.compare_digest(token.access.reveal(), self._handed)
        )

    def _is_ours(self, token: Token) -> bool:
        config = self._client.config
        return (token.server, token.client_id) == (config.server, config.client_id)

    async def _fit(self, refused: bool) -> Token:
        """Return a token that can be used, renewed if need be; only under the store's lock."""
        found = await self._store.load()
        if found is not None and not self._is_ours(found):
            logger.warning("the stored token is another server's: it is sent nowhere")
            found = None
        if found is not None and self._newer(found):
            found = self._held  # what could not be stored is still good
        if found is not None and not self._unfit(found, refused):
            return found
        try:
            return await self._renew(found)
        except (SingleSignOnError, TransportError) as error:
            usable = (
                found is not None
                and found.remaining(self._client.wall()) > 0
                and not (refused and self._unfit_only_by_refusal(found))
            )
            if found is None or not usable:
                raise
            logger.warning("the token could not be renewed, and is used to its end: %s", error)
            return found

    def _newer(self, found: Token) -> bool:
        return self._held is not None and self._held.obtained > found.obtained

    def _unfit_only_by_refusal(self, token: Token) -> bool:
        return hmac.compare_digest(token.access.reveal(), self._handed)

    async def _renew(self, found: Token | None) -> Token:
        """Refresh a token, or take a given one; store it."""
        try:
            if found is None:
                raise SingleSignOnRefused("there is no token: sign in first")
            fresh = await self._refresh(found)
        except SingleSignOnError as error:
            if self._given is None or not refused_for_good(error):
                raise
            fresh = await self._take_given(found, error)
        try:
            await self._store.save(fresh)
        except ConfigurationError as error:
            # Used all the same: the server may already have ended the stored one.
            logger.error("the renewed token could not be stored: %s", error)
        self._held = fresh
        return fresh

    async def _refresh(self, found: Token) -> Token:
        """Ask the server, unless it has refused this very token, or just failed."""
        if found.refresh is None:
            raise SingleSignOnRefused("the token has ended, and there is no other")
        secret = found.refresh.reveal()
        if self._dead is not None and hmac.compare_digest(self._dead[0], secret):
            raise copy_error(self._dead[1])
        now = asyncio.get_running_loop().time()
        if self._failed is not None and now < self._failed[0] + PAUSE:
            raise copy_error(self._failed[1])
        try:
            fresh = await self._client.refresh(found)
        except (SingleSignOnError, TransportError) as error:
            if isinstance(error, SingleSignOnError) and refused_for_good(error):
                self._dead = secret, copy_error(error)
            else:
                self._failed = now, copy_error(error)
            raise
        self._failed = None
        return fresh

    async def _take_given(self, found: Token | None, error: SingleSignOnError) -> Token:
        """Return a given token.  Raises `error` for the one that is stored already."""
        assert self._given is not None
        body = await self._given()
        given = self._client.own(read_token_response(_typed(body), wall=self._client.wall()))
        if found is not None and _same(found.refresh, given.refresh):
            raise error
        return given


def _typed(body: bytes) -> bytes:
    """Return the JSON of a token endpoint for a token that is given alone."""
    text = body.strip()
    if text.startswith(b"{"):
        return text
    return json.dumps({"access_token": text.decode("latin-1"), "token_type": "Bearer"}).encode()


def _same(one: KeyMaterial | None, other: KeyMaterial | None) -> bool:
    if one is None or other is None:
        return one is other
    return hmac.compare_digest(one.reveal(), other.reveal())
