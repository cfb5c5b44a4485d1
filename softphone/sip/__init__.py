"""SIP without I/O: messages, transactions, dialogs, usages and the endpoint that joins them.

Implements a user agent, client and server, but no proxy.  Reads no clock and opens no socket:
`softphone.net` drives the endpoint and queries DNS.  Session descriptions pass through as bytes
(`softphone.sdp` parses them).  Media and calls are in `softphone.media` and `softphone.call`, the
registrar for tests in `softphone.lab`.

RFC 3261 with RFC 3262 (PRACK), 3263 (server location), 3311 (UPDATE), 3515 (REFER), 3581 (rport),
3891 (Replaces), 3903 (PUBLISH), 4028 (session timers), 5626 (outbound), 6026 (INVITE transactions),
6665 (events), 7616 and 8760 (digest); the subpackages name the rest.
"""

from __future__ import annotations

from softphone.sip.auth import DigestAlgorithm, DigestCredentials, DigestSession
from softphone.sip.auth.digest_client import AuthenticationRefused
from softphone.sip.dialog import InviteRequest, MessageRequest, ReferRequest, SubscribeRequest
from softphone.sip.endpoint import AnyUsage, Endpoint, EventHandler, EventHandlers, SipEvent
from softphone.sip.endpoint_config import EndpointConfig, Timing
from softphone.sip.events import (
    AckReceived,
    Cause,
    FlowClosed,
    FlowOpened,
    InDialogRequestReceived,
    InviteAnswered,
    InviteCanceled,
    InviteEnded,
    InviteReceived,
    InviteRejected,
    MessageRejected,
    ModificationAnswered,
    ModificationFailed,
    ModificationReceived,
    NotifyReceived,
    PongReceived,
    PrackReceived,
    ProvisionalReceived,
    ReferReceived,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    SessionRefreshed,
    StrangerIgnored,
    SubscribeReceived,
    SubscriptionAccepted,
    SubscriptionRefreshed,
    SubscriptionTerminated,
)
from softphone.sip.invite import InviteState, InviteUsage
from softphone.sip.message import (
    AbsoluteUri,
    Body,
    BodyRole,
    Headers,
    MalformedMessage,
    MessageLimits,
    NameAddr,
    Request,
    Response,
    SessionId,
    SipUri,
    Uri,
    UserToUser,
    call_security,
    parse_loose_route,
    parse_uri,
    security_call_info,
)
from softphone.sip.publication import Publication, Publisher, PublishRequest
from softphone.sip.registration import Registration, RegistrationEvent
from softphone.sip.registration.registration import RegistrationConfig
from softphone.sip.subscription import NotifierUsage, SubscriberUsage
from softphone.sip.target import explain_no_sip_uri, parse_target
from softphone.sip.transaction import Exchange, ServerExchange
from softphone.sip.transport import Failover, LookupPolicy, is_numeric

__all__ = [
    "AbsoluteUri",
    "AckReceived",
    "AnyUsage",
    "AuthenticationRefused",
    "Body",
    "BodyRole",
    "Cause",
    "DigestAlgorithm",
    "DigestCredentials",
    "DigestSession",
    "Endpoint",
    "EndpointConfig",
    "EventHandler",
    "EventHandlers",
    "Exchange",
    "Failover",
    "FlowClosed",
    "FlowOpened",
    "Headers",
    "InDialogRequestReceived",
    "InviteAnswered",
    "InviteCanceled",
    "InviteEnded",
    "InviteReceived",
    "InviteRejected",
    "InviteRequest",
    "InviteState",
    "InviteUsage",
    "LookupPolicy",
    "MalformedMessage",
    "MessageLimits",
    "MessageRejected",
    "MessageRequest",
    "ModificationAnswered",
    "ModificationFailed",
    "ModificationReceived",
    "NameAddr",
    "NotifierUsage",
    "NotifyReceived",
    "PongReceived",
    "PrackReceived",
    "ProvisionalReceived",
    "Publication",
    "PublishRequest",
    "Publisher",
    "ReferReceived",
    "ReferRequest",
    "Registration",
    "RegistrationConfig",
    "RegistrationEvent",
    "Request",
    "RequestFailed",
    "RequestReceived",
    "Response",
    "ResponseReceived",
    "ServerExchange",
    "SessionId",
    "SessionRefreshed",
    "SipEvent",
    "SipUri",
    "StrangerIgnored",
    "SubscribeReceived",
    "SubscribeRequest",
    "SubscriberUsage",
    "SubscriptionAccepted",
    "SubscriptionRefreshed",
    "SubscriptionTerminated",
    "Timing",
    "Uri",
    "UserToUser",
    "call_security",
    "explain_no_sip_uri",
    "is_numeric",
    "parse_loose_route",
    "parse_target",
    "parse_uri",
    "security_call_info",
]
