"""Health checks for an orchestrator or service manager: alive, ready for calls, draining.

The server is separate and reveals nothing of calls, numbers or versions, so that it may listen
where an orchestrator can reach it.
"""

from __future__ import annotations

from typing import Self

from softphone.account import Account
from softphone.events import RegistrationState, TrunkState
from softphone.monitoring.page_server import Page, PageAccess, PageServer
from softphone.phone import Phone


class HealthServer:
    """An async context that serves the health of a phone.

    `/live` is 200 as long as the event loop runs.  `/ready` is 200 while calls can come in: there
    is an account, each is registered or listens, the trunk of each that asks by OPTIONS answers,
    and none drains; otherwise 503 says why.
    """

    def __init__(self, phone: Phone, host: str = "127.0.0.1", port: int = 0) -> None:
        self._phone = phone
        self._server = PageServer(
            {"/live": lambda: Page("live\n"), "/ready": self._ready},
            PageAccess(host, port, loopback_only=False),
            what="health",
        )

    async def __aenter__(self) -> Self:
        """Start to listen.  Raises ConfigurationError when the address cannot be bound."""
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._server.__aexit__(*exc_info)

    @property
    def port(self) -> int:
        """The port of the server."""
        return self._server.port

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._server.url

    def _ready(self) -> Page:
        accounts = self._phone.accounts
        if self._phone.draining or any(each.draining for each in accounts):
            return Page("draining\n", 503)
        usable = map(_usable, accounts)
        return Page("ready\n") if accounts and all(usable) else Page("not ready\n", 503)


def _usable(account: Account) -> bool:
    if account.trunk is not None:
        return account.trunk is TrunkState.READY
    return account.listening is not None or account.registration is RegistrationState.REGISTERED
