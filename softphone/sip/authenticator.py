"""What answers the challenges of 401 and 407 responses, whatever the scheme (RFC 3261 22).

`softphone.sip.digest.DigestSession` and `softphone.sip.bearer.BearerSession` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from softphone.sip.message import Request, Response

__all__ = ["AuthenticationRefused", "Authenticator"]


@dataclass(frozen=True, slots=True)
class AuthenticationRefused:
    """Why a challenge is not answered: one sentence for the user, never with a secret."""

    reason: str


class Authenticator(Protocol):
    """Credentials of one user agent, for all of its requests."""

    @property
    def refusal(self) -> AuthenticationRefused | None:
        """Why the latest challenge was not answered; None when it was."""

    def authorize(self, request: Request, response: Response) -> Request | AuthenticationRefused:
        """The request again with credentials, or why not."""

    def prepare(self, request: Request) -> Request:
        """A new request with the credentials that are known to be wanted."""

    def confirm(self, request: Request, response: Response) -> None:
        """`request` got another answer than a challenge."""
