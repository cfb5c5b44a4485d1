"""The result of a single request of ours, within a call or outside: INFO and MESSAGE.

RFC 6086, RFC 3428.
"""

from __future__ import annotations

import asyncio

from softphone.call.leg.modification import make_result, resolve_result
from softphone.errors import CallError, ConfigurationError
from softphone.sip import Body, MalformedMessage, RequestFailed, ResponseReceived, SipEvent
from softphone.sip.message.headers import ContentType

LARGEST_BODY = 16384
"""The most octets of a body over TCP and TLS; a larger one that comes in is refused with 413."""
LARGEST_DATAGRAM_BODY = 900
"""The same over UDP: no MESSAGE there may have more than 1300 in all (RFC 3428 section 8)."""


class ExchangeResult:
    """Handles the responses to one request; `wait` returns once there is a final one."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._result: asyncio.Future[None] = make_result()

    def handle_event(self, event: SipEvent) -> None:
        """Take the final response, or the failure, of the request."""
        if isinstance(event, RequestFailed):
            self._fail(event.status_hint, event.reason)
        elif isinstance(event, ResponseReceived) and event.final:
            if event.response.success:
                resolve_result(self._result, None)
            else:
                self._fail(event.response.status, event.response.reason)

    def _fail(self, status: int, reason: str) -> None:
        message = f"the {self._method} was not taken: {status} {reason}".rstrip()
        resolve_result(self._result, CallError(message, status=status, reason=reason))

    def give_up(self, error: CallError) -> None:
        """Fail the wait: no response can come any more."""
        resolve_result(self._result, error)

    async def wait(self) -> None:
        """Wait for a 2xx.  Raises CallError with the status of a refusal or failure."""
        await self._result


def request_body(
    content_type: str, body: bytes | str, *, reliable: bool, disposition: str = ""
) -> Body:
    """Make the body of a request; text is sent as UTF-8.

    `reliable` is whether it goes over TCP or TLS.  Raises ConfigurationError for a malformed
    content type, and for a body that is too large.
    """
    try:
        written = str(ContentType.parse(content_type))
    except MalformedMessage as error:
        raise ConfigurationError(
            f"content_type: {content_type!r} is no media type such as text/plain"
        ) from error
    octets = body.encode() if isinstance(body, str) else bytes(body)
    most = LARGEST_BODY if reliable else LARGEST_DATAGRAM_BODY
    if len(octets) > most:
        way = "TCP or TLS" if reliable else "UDP"
        raise ConfigurationError(f"body: {len(octets)} octets are too many; {most} go over {way}")
    return Body(written, octets, disposition)
