"""The header fields of messages that applications may see: all but credentials."""

from __future__ import annotations

from softphone.sip import Headers, Request, Response

CREDENTIALS = frozenset(
    {
        *("Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate"),
        *("Authentication-Info", "Proxy-Authentication-Info"),
    }
)
"""Header fields with credentials, and the challenges and proofs that belong to them."""


def public_fields(message: Request | Response | None) -> tuple[tuple[str, str], ...]:
    """Return the header fields of a message in order, without credentials; () for None."""
    fields = () if message is None else message.headers
    # Headers have each name as its RFC spells it.
    return tuple([field for field in fields if field[0] not in CREDENTIALS])


def public_headers(message: Request | Response | None) -> Headers:
    """Return `public_fields` of a message as `Headers`, for look-ups by name."""
    return Headers(public_fields(message))
