"""Obtains and renews an account's bearer token (RFC 6750, RFC 6749 5.1).

The token comes from its source (`softphone.config.token_source`): before the old one expires, and
at once when a server does not accept it.  Refused requests wait for the new token and are sent
again once.  No token gets into a log or an exception.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine

from softphone.config import OAuthConfig
from softphone.config.token_source import FetchTokenBytes, fetch_token, read_token
from softphone.errors import SoftphoneError
from softphone.sans_io import OpenDrain
from softphone.sip.auth import BearerSession, ChallengePolicy

logger = logging.getLogger("softphone.account")

RETRY = 30.0
"""Seconds until the next attempt after a failed renewal."""
MARGIN = 60.0
"""Seconds before its expiry that a token is renewed; a short-lived one at half of its lifetime."""
LEAST = 10.0
"""Minimum seconds between two renewals, for a wrong clock or tokens that are expired on arrival."""
ASSUMED = 3600.0
"""Seconds that a token is taken to last where nothing tells its lifetime, as CUCM's are by default:
their expiry is encrypted."""


class TokenRefresher:
    """Keeps the token of one account fresh; `session` answers challenges with it.

    `spawn` runs a coroutine for the account's lifetime, `change` opens a drain of its endpoint;
    `policy` says which servers get the token.  `fetch` is the source, if it is not `config` alone;
    `quoted` is CUCM's form of the credentials, not that of RFC 8898.
    """

    def __init__(
        self,
        config: OAuthConfig,
        *,
        spawn: Callable[[Coroutine[object, object, None]], object],
        change: OpenDrain,
        policy: ChallengePolicy,
        fetch: FetchTokenBytes | None = None,
        quoted: bool = True,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._fetch: FetchTokenBytes = fetch or (lambda refused: fetch_token(config))
        self._spawn = spawn
        self._change = change
        self._wall = wall
        self._wanted = asyncio.Event()
        self._turn = asyncio.Lock()
        self._replaced_at = -math.inf
        self._lasts = ASSUMED
        self.session = BearerSession(
            policy=policy,
            quoted=quoted,
            authorization_server=config.issuer,
            on_refused=self._wanted.set,
        )

    async def start(self) -> None:
        """Get the first token, and renew it from then on.  Raises AuthenticationFailed."""
        await self.renew_token()
        self._spawn(self._refresh_forever())

    async def renew_token(self) -> None:
        """Get another token.  Raises AuthenticationFailed."""
        async with self._turn:
            await self._renew()

    async def _replace_refused(self) -> None:
        """Replace a refused token, unless it has been replaced already.

        Waits until `LEAST` seconds after the last such replacement.
        """
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._replaced_at + LEAST - clock()))
        async with self._turn:
            if self.session.token_refused:
                self._replaced_at = clock()
                await self._renew()

    async def _renew(self) -> None:
        given = await self._fetch(self.session.token_refused)
        token = read_token(given, wall=self._wall())
        assumed = self._config.expires_in
        if token.lifetime is not None:
            self._lasts = token.lifetime
        else:
            self._lasts = ASSUMED if assumed is None else assumed
        self._wanted.clear()
        self.session.replace_token(token.value)

    def _resume(self) -> None:
        """Send the requests again that have waited for a token."""
        if self.session.has_waiting_requests:
            with self._change() as now:
                self.session.retry_waiting_requests(now=now)

    def _give_up(self, error: SoftphoneError) -> None:
        logger.warning("the token was not renewed: %s", error)
        if self.session.has_waiting_requests:
            with self._change() as now:
                self.session.fail_waiting_requests(str(error), now=now)

    async def _refresh_forever(self) -> None:
        """Renew before the token expires, and when a server has refused it."""
        while True:
            refused = await self._until_due()
            try:
                await (self._replace_refused() if refused else self.renew_token())
                self._resume()
            except SoftphoneError as error:
                self._wanted.clear()
                self._lasts = 2 * RETRY
                self._give_up(error)

    async def _until_due(self) -> bool:
        """Wait until the token must be renewed; return whether a server has refused it."""
        lasts = self._lasts
        wait = max(lasts / 2, lasts - MARGIN, LEAST)
        try:
            async with asyncio.timeout(wait):
                await self._wanted.wait()
        except TimeoutError:
            return False
        self._wanted.clear()
        return True
