"""One user of a load run: registers and closes its account, and counts both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from math import inf

from softphone.account import Account, AccountDependencies
from softphone.backoff import ExponentialBackoff
from softphone.config import AccountConfig
from softphone.errors import (
    ConnectionLost,
    LocalProtocolError,
    RegistrationError,
    SoftphoneError,
)
from softphone.load.measure import Tally, failure_cause

TRIES = 4
"""Attempts to register when the registrar answers 503 or loses the connection."""
INVITED = 3
"""The factor by which attempts grow when the registrar sends Retry-After."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0
"""The longest Retry-After in seconds that is waited for; beyond it the registration fails."""


async def _sleep(seconds: float) -> bool:
    await asyncio.sleep(seconds)
    return True


class LoadUser:
    """A user of the run; `tally` returns the current tally, `clock` gives monotonic seconds."""

    def __init__(
        self,
        number: int,
        make: Callable[[], AccountConfig],
        setup: AccountDependencies,
        *,
        tally: Callable[[], Tally],
        clock: Callable[[], float],
    ) -> None:
        self.number = number
        self._make = make
        self._setup = setup
        self._tally = tally
        self._clock = clock
        self._account: Account | None = None
        self.refusal: str = ""
        """Why the user could not register; "" when it could."""

    @property
    def account(self) -> Account:
        """The account.  Raises LocalProtocolError before it is registered."""
        if self._account is None:
            raise LocalProtocolError("this user has not been registered")
        return self._account

    @property
    def is_registered(self) -> bool:
        """Whether the user can call."""
        return self._account is not None

    @property
    def aor(self) -> str:
        """The user's address of record."""
        return self.account.aor

    async def register(
        self,
        *,
        tries: int = 1,
        gate: AbstractAsyncContextManager[object] | None = None,
        pause: Callable[[float], Awaitable[bool]] | None = None,
    ) -> None:
        """Connect and register, in at most `tries` attempts.

        Retries after a 503, or when the connection is lost before the answer, and never before
        Retry-After has passed; a Retry-After allows more attempts (INVITED).  Each attempt runs
        inside `gate`; waits do not hold it.  `pause` waits that many seconds, and returns whether
        to go on.

        Raises what `Phone.register` does.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                async with gate or nullcontext():
                    await self._register()
                return
            except (RegistrationError, ConnectionLost) as error:
                wait = self._wait(error, attempt, tries)
                if wait is None or not await (pause or _sleep)(wait):
                    raise
                self._tally().retried += 1

    def _wait(
        self, error: RegistrationError | ConnectionLost, attempt: int, tries: int
    ) -> float | None:
        """Seconds until the next attempt; None when there is none."""
        busy, asked = True, 0.0
        if isinstance(error, RegistrationError):
            busy, asked = error.status == 503, error.retry_after
        most = tries * INVITED if asked and tries > 1 else tries
        if not busy or attempt >= most or asked > LONGEST_WAIT:
            return None
        # Spread out users that were refused together.
        share = self.number % 8 / 8
        if asked:
            return asked + FIRST_WAIT * share
        return ExponentialBackoff(FIRST_WAIT, inf).delay(attempt - 1) * (0.5 + share)

    async def _register(self) -> None:
        begun = self._clock()
        config: AccountConfig | None = None
        try:
            config = self._make()
            account = Account(config, self._setup)
            await account.start()
        except SoftphoneError as error:
            self.refusal = failure_cause(error)
            self._tally().registrations += 1
            self._tally().registrations_failed[self.refusal] += 1
            raise
        self._account, self.refusal = account, ""
        if config.registrar is not None:
            tally = self._tally()
            tally.registrations += 1
            tally.registered += 1
            tally.registration_ms.record_value((self._clock() - begun) * 1e3)

    async def close(self) -> None:
        """Hang up, unregister and close the connection."""
        account, self._account = self._account, None
        if account is not None:
            await account.close()
