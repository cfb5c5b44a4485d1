"""Parses the target that a user enters: one grammar for calls, transfers and redirects."""

from __future__ import annotations

from softphone.errors import ConfigurationError
from softphone.sip.message.grammar import MalformedMessage
from softphone.sip.message.uri import NameAddr, SipUri, Uri, format_host, parse_uri


def explain_no_sip_uri(text: str, reason: str = "") -> str:
    """Say how to write what should be a sip: or sips: URI, after the `reason` if there is one."""
    scheme = text.partition(":")[0].lower()
    # "pbx.example.com:5061" has the form of a URI, too.
    if scheme == text.lower() or "." in scheme or "@" in scheme:
        try:
            parse_uri(f"sip:{text}")
        except MalformedMessage:
            pass
        else:
            return f"it has no scheme: write sip:{text}, or sips:{text} for TLS"
    form = "write it as sip:USER@HOST or sip:HOST, with sips: for TLS"
    return form if reason in ("", "Malformed URI", "Malformed SIP URI") else f"{reason}; {form}"


def parse_target(text: str, own: Uri) -> NameAddr:
    """Parse a URI, a name-addr, `user@host`, or a user of our own domain ("600").

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
        raise ConfigurationError(
            f"target: {text!r} is not a SIP URI: {explain_no_sip_uri(text, error.reason)}"
        ) from error
    if isinstance(uri, SipUri) and not uri.user:
        raise ConfigurationError(f"target: {text!r} names no user")
    return NameAddr(None, uri, ())
