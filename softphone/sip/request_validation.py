"""The checks of a user agent server before it processes a request (RFC 3261 section 8.2).

Pure functions: from a request and a configuration to None or the refusal to send.  Merged requests
(section 8.2.2.2, answered 482) need state: `softphone.sip.transaction.layer` finds them and
`softphone.sip.request_router` answers them.
"""

from __future__ import annotations

from dataclasses import dataclass

from softphone.sip.endpoint_config import EndpointConfig
from softphone.sip.message import (
    Body,
    Field,
    MalformedMessage,
    Request,
    SipUri,
    Uri,
    find_part,
    parse_multipart,
    unescape,
)
from softphone.sip.transaction.client import TARGET_REFRESH
from softphone.sip.transaction.server import MAGIC_COOKIE

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
"""Methods that get 405 if they are not in `allow`; all others get 501 (8.2.1, 21.5.2)."""

# Requests whose body must contain a session description.
_SESSION_METHODS = frozenset({"INVITE", "UPDATE", "PRACK"})


@dataclass(frozen=True, slots=True)
class RequestRefusal:
    """The failure response to a request; `reason` "" means the standard phrase."""

    status: int
    reason: str = ""
    headers: tuple[Field, ...] = ()


def check_request(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    """Return the first refusal, in the order of RFC 3261 section 8.2, or None."""
    return (
        _check_method(request, config)
        or _check_uri(request, config)
        or _check_extensions(request, config)
        or _check_content(request, config)
        or _check_accept(request, config)
        or _check_contact(request)
    )


def _check_method(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    if request.method in config.allow:
        return None
    if request.method in KNOWN_METHODS:
        return RequestRefusal(405)
    return RequestRefusal(501, headers=(("Allow", ", ".join(config.allow)),))


def _check_uri(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    if request.uri.scheme.lower() not in config.schemes:
        return RequestRefusal(416)
    if request.method == "REGISTER" and not isinstance(request.to.uri, SipUri):
        # An address of record is a sip or sips URI (RFC 4475 section 3.3.4).
        return RequestRefusal(400, "The address of record is no SIP URI")
    if config.users and request.to.tag is None and not _is_for_us(request.uri, config.users):
        return RequestRefusal(404)
    return None


def _is_for_us(uri: Uri, users: tuple[str, ...]) -> bool:
    """Whether the user part of a Request-URI is in `users` (RFC 3261 section 19.1.4)."""
    if not isinstance(uri, SipUri) or uri.user is None:
        return False
    return unescape(uri.user) in {unescape(user) for user in users}


def _check_extensions(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    if request.method in ("ACK", "CANCEL") or not request.require:
        return None
    # A UAS ignores Proxy-Require, which is for proxies (RFC 4475 section 3.3.5).
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
    """Require one part of an accepted media type (415); other parts are ignored."""
    try:
        found = any(find_part(content, known) for known in config.accept)
    except MalformedMessage as error:
        return RequestRefusal(400, error.reason)
    return None if found else RequestRefusal(415, headers=(("Accept", ", ".join(config.accept)),))


def _check_message(content: Body, types: tuple[str, ...]) -> RequestRefusal | None:
    """Require an accepted media type for each part that is not optional (RFC 5621 3 and 8)."""
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
    """Refuse an INVITE whose Accept excludes session descriptions (406, 21.4.7)."""
    if request.method != "INVITE" or request.accept is None:
        return None
    wildcards = {f"{known.partition('/')[0]}/*" for known in config.session_types}
    if {*request.accept} & {*config.session_types, *wildcards, "*/*"}:
        return None
    return RequestRefusal(406)


def _check_contact(request: Request) -> RequestRefusal | None:
    """Require one Contact with a SIP URI, the target of our requests (RFC 3261 8.1.1.8).

    Only SUBSCRIBE and an initial INVITE must have it.  After a REFER without Contact, NOTIFY goes
    to the URI in From.
    """
    if request.method not in TARGET_REFRESH:
        return None
    if "Contact" not in request.headers:
        missing = request.method == "SUBSCRIBE" or _begins_call(request)
        return RequestRefusal(400, "Missing Contact header field") if missing else None
    contacts = request.contacts
    if len(contacts) > 1:
        return RequestRefusal(400, "More than one Contact")
    if not contacts or not isinstance(contacts[0].uri, SipUri):
        return RequestRefusal(400, "Contact is no SIP URI")
    return None


def _begins_call(request: Request) -> bool:
    """Whether it is an initial INVITE of an RFC 3261 peer; RFC 2543 allows no Contact."""
    branch = request.top_via.branch or ""
    return request.method == "INVITE" and request.to.tag is None and branch.startswith(MAGIC_COOKIE)
