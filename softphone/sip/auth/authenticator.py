"""What answers the challenges of 401 and 407 responses, whatever the scheme (RFC 3261 22).

`softphone.sip.auth.digest_client.DigestSession` and `softphone.sip.auth.bearer.BearerSession` do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from softphone.sans_io import Flow, Target
from softphone.sip.message import Request, Response


class CredentialWaiter(Protocol):
    """A request that waits."""

    def credentials_renewed(self, *, now: float) -> None:
        """There are new credentials."""

    def credentials_lost(self, *, now: float) -> None:
        """There will be none."""


class CredentialWaitList:
    """Those who wait for the new credentials of one user agent."""

    def __init__(self) -> None:
        self._waiters: dict[CredentialWaiter, None] = {}

    def __len__(self) -> int:
        return len(self._waiters)

    def add_waiter(self, waiter: CredentialWaiter) -> None:
        """Wait."""
        self._waiters[waiter] = None

    def remove_waiter(self, waiter: CredentialWaiter) -> None:
        """Wait no longer."""
        self._waiters.pop(waiter, None)

    def retry_all(self, *, now: float) -> None:
        """There are new credentials: everybody tries again."""
        for waiter in self._pop_all():
            waiter.credentials_renewed(now=now)

    def fail_all(self, *, now: float) -> None:
        """There will be none: each request that waits ends with the refusal that it got."""
        for waiter in self._pop_all():
            waiter.credentials_lost(now=now)

    def _pop_all(self) -> tuple[CredentialWaiter, ...]:
        waiters = tuple(self._waiters)
        self._waiters.clear()
        return waiters


@dataclass(frozen=True, slots=True)
class AuthenticationRefused:
    """Why a challenge is not answered: one sentence for the user, never with a secret.

    `wait_list` is where to wait for new credentials, None where none are on the way.
    """

    reason: str
    wait_list: CredentialWaitList | None = field(default=None, compare=False, repr=False)


class Authenticator(Protocol):
    """Credentials of one user agent, for all of its requests."""

    @property
    def refusal(self) -> AuthenticationRefused | None:
        """Why the latest challenge was not answered; None when it was."""

    def authorize(
        self, request: Request, response: Response, *, flow: Flow | None, alerted: bool = False
    ) -> Request | AuthenticationRefused:
        """The request again with credentials, or why not.

        `flow` is the one that both went over; `alerted` says that the request had a provisional
        response other than 100 before.
        """

    def preauthorize(self, request: Request, *, to: Flow | Target) -> Request:
        """A new request to `to` with the credentials that are known to be wanted there."""

    def note_accepted(self, request: Request, response: Response, *, flow: Flow | None) -> None:
        """`request` got another answer than a challenge, over `flow`."""
