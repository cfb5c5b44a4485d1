"""One request and its responses, outside and inside dialogs (RFC 3261 sections 8.1 and 8.2).

`Exchange` is a request of ours, with digest challenges answered on the way; `ServerExchange` is
one that came in and waits for the application's answer.  INVITE is not sent from here.
"""

from __future__ import annotations

from softphone.machine import Flow, Target
from softphone.sip.message import Request, Response

__all__ = ["Exchange", "ServerExchange"]


class Exchange:
    """A request of ours that is not an INVITE; equality is identity."""

    request: Request
    """As it was last sent, credentials included, but without Via."""
    response: Response | None
    """The final response, once it is there."""
    to: Flow | Target
    flow: Flow | None
    """The flow that it went out on, once known."""


class ServerExchange:
    """A request that came in and is answered by `endpoint.respond`."""

    request: Request
    flow: Flow
    answered: bool
    """Whether a final response was sent."""
