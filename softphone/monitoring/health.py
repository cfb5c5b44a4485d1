"""Health checks for an orchestrator or service manager: alive, ready for calls, draining.

The server is separate and reveals nothing of calls, numbers or versions, so that it may listen
where an orchestrator can reach it.
"""

from __future__ import annotations

from softphone.account import Account
from softphone.events import RegistrationState, TrunkState
from softphone.monitoring.page_server import Page, PageAccess, PageServer
from softphone.phone import Phone


class HealthServer(PageServer):
    """An async context that serves the health of a phone.

    `/live` is 200 as long as the event loop runs.  `/ready` is 200 while calls can come in: there
    is an account, each is registered or listens, the trunk of each that asks by OPTIONS answers,
    and none drains; otherwise 503 says why.
    """

    def __init__(self, phone: Phone, host: str = "127.0.0.1", port: int = 0) -> None:
        self._phone = phone
        super().__init__(
            {"/live": lambda: Page("live\n"), "/ready": self._ready},
            PageAccess(host, port, loopback_only=False),
            what="health",
        )

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
