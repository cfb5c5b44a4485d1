"""softphone.sip.message."""

from __future__ import annotations

from softphone.sip.message.body import Body, BodyRole, find_part, format_multipart, parse_multipart
from softphone.sip.message.call_info import call_security, security_call_info
from softphone.sip.message.grammar import MalformedMessage, Parameters, digits, find_parameter
from softphone.sip.message.headers import Field, Headers
from softphone.sip.message.message import Request, Response
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
    AuthValue,
    CSeq,
    EventValue,
    RAck,
    Reason,
    Replaces,
    SessionExpires,
    SubscriptionStateValue,
    Via,
)
from softphone.sip.message.uri import AbsoluteUri, NameAddr, SipUri, Uri, parse_uri, unescape

__all__ = [
    "DELTA_LIMIT",
    "REASON_PHRASES",
    "AbsoluteUri",
    "AuthValue",
    "Body",
    "BodyRole",
    "CSeq",
    "CrlfKeepAlive",
    "EventValue",
    "Field",
    "Headers",
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
    "SipUri",
    "StreamFramer",
    "SubscriptionStateValue",
    "Uri",
    "Via",
    "call_security",
    "digits",
    "find_parameter",
    "find_part",
    "format_multipart",
    "parse_datagram",
    "parse_multipart",
    "parse_sipfrag_status",
    "parse_uri",
    "security_call_info",
    "unescape",
]
