"""The interface that answers 401 and 407 challenges of any scheme (RFC 3261 section 22).

`softphone.sip.auth.digest_client.DigestSession` and `softphone.sip.auth.bearer.BearerSession`
implement it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from softphone.sans_io import Flow, Target
from softphone.sip.message import Request, Response


class CredentialWaiter(Protocol):
    """A request that waits for new credentials."""

    def credentials_renewed(self, *, now: float) -> None:
        """Send the request again with the new credentials."""

    def credentials_lost(self, *, now: float) -> None:
        """End the request: no new credentials are coming."""


class CredentialWaitList:
    """The requests that wait for new credentials of one user agent."""

    def __init__(self) -> None:
        self._waiters: dict[CredentialWaiter, None] = {}

    def __len__(self) -> int:
        return len(self._waiters)

    def add_waiter(self, waiter: CredentialWaiter) -> None:
        """Add a request; adding it twice has no further effect."""
        self._waiters[waiter] = None

    def remove_waiter(self, waiter: CredentialWaiter) -> None:
        """Remove a request, if it is in the list."""
        self._waiters.pop(waiter, None)

    def retry_all(self, *, now: float) -> None:
        """Empty the list and tell each request that there are new credentials."""
        for waiter in self._pop_all():
            waiter.credentials_renewed(now=now)

    def fail_all(self, *, now: float) -> None:
        """Empty the list and end each request with the refusal that it received."""
        for waiter in self._pop_all():
            waiter.credentials_lost(now=now)

    def _pop_all(self) -> tuple[CredentialWaiter, ...]:
        waiters = tuple(self._waiters)
        self._waiters.clear()
        return waiters


@dataclass(frozen=True, slots=True)
class AuthenticationRefused:
    """The reason why a challenge is not answered: one sentence for the user, without secrets.

    `wait_list` is where to wait for new credentials; None when none are expected.
    """

    reason: str
    wait_list: CredentialWaitList | None = field(default=None, compare=False, repr=False)


CHALLENGES = frozenset({401, 407})
"""The responses that ask for credentials (RFC 3261 section 22)."""


class Authenticator(Protocol):
    """The credentials of one user agent, for all of its requests."""

    @property
    def answers(self) -> frozenset[int]:
        """The statuses of the responses that `authorize` may answer: `CHALLENGES`, or more."""

    @property
    def refusal(self) -> AuthenticationRefused | None:
        """Why the latest challenge was not answered; None when it was."""

    def authorize(
        self, request: Request, response: Response, *, flow: Flow | None, alerted: bool = False
    ) -> Request | AuthenticationRefused:
        """Return the request with credentials for the challenge in `response`, or the refusal.

        `flow` carried both messages; `alerted` says that a provisional response other than 100
        preceded the challenge.
        """

    def preauthorize(self, request: Request, *, to: Flow | Target) -> Request:
        """Return a new request with the credentials that the server at `to` is known to want."""

    def note_accepted(self, request: Request, response: Response, *, flow: Flow | None) -> None:
        """Record that `request` got a response over `flow` that is no challenge."""
