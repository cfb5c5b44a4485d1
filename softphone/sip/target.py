"""Parses the target that a user enters: one grammar for calls, transfers and redirects."""

from __future__ import annotations

from softphone.errors import ConfigurationError
from softphone.sip.message.grammar import MalformedMessage
from softphone.sip.message.uri import NameAddr, SipUri, Uri, format_host, parse_uri


def parse_target(text: str, own: Uri) -> NameAddr:
    """Parse a URI, a name-addr, "user@host", or a user of our own domain ("600").

    The last gets scheme, host and port of `own`, the third its scheme.  Raises ConfigurationError.
    """
    try:
        if "<" in text:
            return NameAddr.parse(text)
        if ":" in text.partition("@")[0] or not isinstance(own, SipUri):
            return NameAddr(None, parse_uri(text), ())
        port = "" if own.port is None else f":{own.port}"
        place = "" if "@" in text else f"@{format_host(own.host)}{port}"
        uri = parse_uri(f"{own.scheme}:{text}{place}")
    except MalformedMessage as error:
        raise ConfigurationError(f"target: {text!r} is not a SIP URI: {error.reason}") from error
    if isinstance(uri, SipUri) and not uri.user:
        raise ConfigurationError(f"target: {text!r} names no user")
    return NameAddr(None, uri, ())
