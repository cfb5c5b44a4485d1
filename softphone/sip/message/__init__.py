"""SIP messages as immutable values, and the parser: grammar, URIs, header fields, bodies, limits.

The parser turns any bytes into a request, a response, a keep-alive or a `ParseFailure` and never
raises.  Digests are computed in `softphone.sip.auth`, transaction and dialog state is kept in
`softphone.sip.transaction` and `softphone.sip.dialog`, session descriptions are parsed in
`softphone.sdp`.

RFC 3261 sections 7, 18.3, 19, 20, 21 and 25; RFC 2046 section 5.1 and RFC 5621 (multipart),
RFC 3420 (sipfrag); header fields of RFC 3262, RFC 3326 (Reason), RFC 3581 (rport), RFC 3891
(Replaces), RFC 4028, RFC 6665, RFC 7433 (User-to-User), RFC 7616 and RFC 7989 (Session-ID); Cisco's
SIP Line Messaging Guide (the security parameter of Call-Info); RFC 3323, RFC 3325 and RFC 4916
(asserted and connected identity).
"""

from __future__ import annotations

from softphone.sip.message.asserted_identity import (
    ANONYMOUS,
    AssertedIdentity,
    IdentitySource,
    asks_for_privacy,
    asserted_identity,
    changed_from,
    is_anonymous,
    same_party,
)
from softphone.sip.message.call_info import call_security, security_call_info
from softphone.sip.message.grammar import (
    MalformedMessage,
    Parameters,
    digits,
    find_parameter,
    set_parameter,
)
from softphone.sip.message.headers import CSeq, Field, Headers, Via
from softphone.sip.message.message import (
    KNOWN_METHODS,
    Body,
    BodyRole,
    Request,
    Response,
    find_part,
    format_multipart,
    parse_multipart,
)
from softphone.sip.message.parser import (
    CrlfKeepAlive,
    MessageLimits,
    ParsedInput,
    ParseFailure,
    StreamFramer,
    parse_datagram,
    parse_sipfrag_status,
)
from softphone.sip.message.status import REASON_PHRASES
from softphone.sip.message.typed_headers import (
    DELTA_LIMIT,
    NIL_UUID,
    AuthValue,
    EndReason,
    EventValue,
    RAck,
    Reason,
    Replaces,
    SessionExpires,
    SessionId,
    SubscriptionStateValue,
    UserToUser,
)
from softphone.sip.message.uri import (
    AbsoluteUri,
    NameAddr,
    SipUri,
    Uri,
    parse_loose_route,
    parse_uri,
    unescape,
)

__all__ = [
    "ANONYMOUS",
    "DELTA_LIMIT",
    "KNOWN_METHODS",
    "NIL_UUID",
    "REASON_PHRASES",
    "AbsoluteUri",
    "AssertedIdentity",
    "AuthValue",
    "Body",
    "BodyRole",
    "CSeq",
    "CrlfKeepAlive",
    "EndReason",
    "EventValue",
    "Field",
    "Headers",
    "IdentitySource",
    "MalformedMessage",
    "MessageLimits",
    "NameAddr",
    "Parameters",
    "ParseFailure",
    "ParsedInput",
    "RAck",
    "Reason",
    "Replaces",
    "Request",
    "Response",
    "SessionExpires",
    "SessionId",
    "SipUri",
    "StreamFramer",
    "SubscriptionStateValue",
    "Uri",
    "UserToUser",
    "Via",
    "asks_for_privacy",
    "asserted_identity",
    "call_security",
    "changed_from",
    "digits",
    "find_parameter",
    "find_part",
    "format_multipart",
    "is_anonymous",
    "parse_datagram",
    "parse_loose_route",
    "parse_multipart",
    "parse_sipfrag_status",
    "parse_uri",
    "same_party",
    "security_call_info",
    "set_parameter",
    "unescape",
]
