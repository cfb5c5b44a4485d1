"""What a user agent server checks before it looks at a request's meaning (RFC 3261 section 8.2).

Pure: a request and a configuration give None or the refusal to send.  Merged requests (section
8.2.2.2, answered 482) need state: `softphone.sip.transaction.layer` finds them, and
`softphone.sip.request_router` answers them.
"""

from __future__ import annotations

from dataclasses import dataclass

from softphone.sans_io import Side
from softphone.sip.endpoint_config import EndpointConfig
from softphone.sip.message import (
    Body,
    Field,
    MalformedMessage,
    NameAddr,
    Request,
    SipUri,
    find_part,
    parse_multipart,
    unescape,
)

__all__ = ["ReferValues", "RequestRefusal", "check_request", "refer_values"]

KNOWN_METHODS = frozenset(
    {
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "OPTIONS",
        "REGISTER",
        "PRACK",
        "UPDATE",
        "INFO",
        "REFER",
        "NOTIFY",
        "SUBSCRIBE",
        "MESSAGE",
        "PUBLISH",
    }
)
"""Methods that get 405 where they are not allowed; all others get 501 (8.2.1, 21.5.2)."""

# Requests whose body is a session description or nothing that we understand.
_SESSION_METHODS = frozenset({"INVITE", "UPDATE", "PRACK"})


@dataclass(frozen=True, slots=True)
class RequestRefusal:
    """The failure response that a request gets."""

    status: int
    reason: str = ""
    headers: tuple[Field, ...] = ()


def check_request(request: Request, config: EndpointConfig, side: Side) -> RequestRefusal | None:
    """The first thing that is wrong, in the order of RFC 3261 section 8.2, or None."""
    return (
        _check_method(request, config, side)
        or _check_uri(request, config, side)
        or _check_extensions(request, config)
        or _check_content(request, config)
        or _check_accept(request, config)
        or _check_contact(request)
    )


def _check_method(request: Request, config: EndpointConfig, side: Side) -> RequestRefusal | None:
    allowed = config.allow if side is Side.CLIENT else (*config.allow, "REGISTER", "PUBLISH")
    if request.method in allowed:
        return None
    allow = (("Allow", ", ".join(allowed)),)
    return RequestRefusal(405 if request.method in KNOWN_METHODS else 501, headers=allow)


def _check_uri(request: Request, config: EndpointConfig, side: Side) -> RequestRefusal | None:
    if request.uri.scheme.lower() not in config.schemes:
        return RequestRefusal(416)
    if request.method == "REGISTER" and not isinstance(request.to.uri, SipUri):
        # RFC 4475 section 3.3.4: an address of record is a sip or sips URI.
        return RequestRefusal(400, "The address of record is no SIP URI")
    return None


def _check_extensions(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    if request.method in ("ACK", "CANCEL") or not request.require:
        return None
    # Proxy-Require is for proxies: RFC 4475 section 3.3.5 tests that a UAS does not answer to it.
    known = {tag.lower() for tag in config.supported}
    unknown = [tag for tag in request.require if tag.lower() not in known]
    return RequestRefusal(420, headers=(("Unsupported", ", ".join(unknown)),)) if unknown else None


def _check_content(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    content = request.content
    if content is None or _optional(content):
        return None
    if request.headers.get("Content-Encoding") not in (None, "identity"):
        return RequestRefusal(415, headers=(("Accept-Encoding", "identity"),))
    if request.method in _SESSION_METHODS:
        return _check_session(content, config)
    if request.method == "MESSAGE" and config.message_types:
        return _check_message(content, config.message_types)
    return None


def _check_session(content: Body, config: EndpointConfig) -> RequestRefusal | None:
    """One part that we know is enough: the others may be for somebody else."""
    try:
        found = any(find_part(content, known) for known in config.accept)
    except MalformedMessage as error:
        return RequestRefusal(400, error.reason)
    return None if found else RequestRefusal(415, headers=(("Accept", ", ".join(config.accept)),))


def _check_message(content: Body, types: tuple[str, ...]) -> RequestRefusal | None:
    """Every part has to be understood unless it is optional (RFC 5621 sections 3 and 8)."""
    parts = [content]
    if content.media_type.startswith("multipart/"):
        try:
            parts = [part.body for part in parse_multipart(content)]
        except MalformedMessage as error:
            return RequestRefusal(400, error.reason)
    if all(part.media_type in types or _optional(part) for part in parts):
        return None
    return RequestRefusal(415, headers=(("Accept", ", ".join(types)),))


def _optional(content: Body) -> bool:
    parameters = content.disposition.lower().replace(" ", "").split(";")[1:]
    return "handling=optional" in parameters


def _check_accept(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    """Our answer would be a session description: the caller has to take one (21.4.7)."""
    if request.method != "INVITE" or request.accept is None:
        return None
    wildcards = {f"{known.partition('/')[0]}/*" for known in config.session_types}
    if {*request.accept} & {*config.session_types, *wildcards, "*/*"}:
        return None
    return RequestRefusal(406)


def _check_contact(request: Request) -> RequestRefusal | None:
    if request.method == "SUBSCRIBE" and not request.contacts:
        return RequestRefusal(400, "Missing Contact header field")
    if request.method == "INVITE" and len(request.contacts) > 1:
        # RFC 3261 section 8.1.1.8: exactly one.
        return RequestRefusal(400, "More than one Contact")
    return None


@dataclass(frozen=True, slots=True)
class ReferValues:
    """Refer-To, and the Replaces that its URI carries, unescaped (RFC 3891 section 7)."""

    refer_to: NameAddr
    replaces: str | None


def refer_values(request: Request) -> ReferValues | None:
    """What a REFER asks for; None unless there is one usable Refer-To (RFC 3515 2.4.2)."""
    refer_to = request.refer_to
    if refer_to is None:
        return None
    replaces = None
    if isinstance(refer_to.uri, SipUri):
        found = [value for name, value in refer_to.uri.headers if name.lower() == "replaces"]
        if len(found) > 1:
            return None
        if found:
            replaces = unescape(found[0]).decode("utf-8", "replace")
    return ReferValues(refer_to, replaces)
