"""One user of a load run: its account, registered and closed with measurement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from softphone.account import Account, AccountConfig, AccountSetup
from softphone.errors import LocalProtocolError, RegistrationError, SoftphoneError
from softphone.load.cause import cause_of
from softphone.load.tally import Tally

__all__ = ["LoadUser"]

TRIES = 4
"""Times that a registrar is asked that says 503: it asks for patience, not for silence."""
FIRST_WAIT = 1.0


class LoadUser:
    """A user: `tally` gives where to count, `clock` monotonic seconds."""

    def __init__(
        self,
        number: int,
        make: Callable[[], AccountConfig],
        setup: AccountSetup,
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
    def ready(self) -> bool:
        """Whether it can call."""
        return self._account is not None

    @property
    def aor(self) -> str:
        """Its address."""
        return self.account.aor

    async def register(self, *, tries: int = 1) -> None:
        """Connect and register; a registrar that says 503 is asked `tries` times in all.

        Raises what `Phone.register` does.
        """
        for attempt in range(1, tries + 1):
            try:
                await self._register()
                return
            except RegistrationError as error:
                if error.status != 503 or attempt == tries:
                    raise
            await asyncio.sleep(FIRST_WAIT * 2 ** (attempt - 1) * (0.5 + self.number % 8 / 8))

    async def _register(self) -> None:
        begun = self._clock()
        config: AccountConfig | None = None
        try:
            config = self._make()
            self._account = account = Account(config, self._setup)
            await account.start()
        except SoftphoneError as error:
            self._account = None
            self.refusal = cause_of(error)
            self._tally().registrations += 1
            self._tally().registrations_failed[self.refusal] += 1
            raise
        self.refusal = ""
        if config.registrar is not None:
            tally = self._tally()
            tally.registrations += 1
            tally.registered += 1
            tally.registration_ms.add((self._clock() - begun) * 1e3)

    async def close(self) -> None:
        """Hang up, unregister, close the connection."""
        account, self._account = self._account, None
        if account is not None:
            await account.close()
