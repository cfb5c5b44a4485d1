"""One user of a load run: its account, registered and closed with measurement."""

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
"""Times that a registrar is asked that says 503, or loses the connection: it asks for patience, not
for silence."""
INVITED = 3
"""So many times as often it is asked where it has said when (Retry-After)."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0
"""A registrar that wants more seconds of peace has them: it is not asked again."""


async def _sleep(seconds: float) -> bool:
    await asyncio.sleep(seconds)
    return True


class LoadUser:
    """A user: `tally` gives where to count, `clock` monotonic seconds."""

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
        """Why it could not register; "" while it could."""

    @property
    def account(self) -> Account:
        """The account.  Raises LocalProtocolError before it is registered."""
        if self._account is None:
            raise LocalProtocolError("this user has not been registered")
        return self._account

    @property
    def is_registered(self) -> bool:
        """Whether it can call."""
        return self._account is not None

    @property
    def aor(self) -> str:
        """Its address."""
        return self.account.aor

    async def register(
        self,
        *,
        tries: int = 1,
        gate: AbstractAsyncContextManager[object] | None = None,
        pause: Callable[[float], Awaitable[bool]] | None = None,
    ) -> None:
        """Connect and register; a registrar that says 503, or loses the connection before it has
        answered, is asked `tries` times in all, not before its Retry-After is over.  No attempt
        begins but through `gate`, which no wait keeps shut; `pause` waits so many seconds, and says
        whether it is still worth while.

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
        """Seconds until it is asked again; None: it is not."""
        busy, asked = True, 0.0
        if isinstance(error, RegistrationError):
            busy, asked = error.status == 503, error.retry_after
        most = tries * INVITED if asked and tries > 1 else tries
        if not busy or attempt >= most or asked > LONGEST_WAIT:
            return None
        # Users that were turned away together come back one after the other.
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
        """Hang up, unregister, close the connection."""
        account, self._account = self._account, None
        if account is not None:
            await account.close()
