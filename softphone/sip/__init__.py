"""SIP without I/O: messages, transactions, dialogs, usages and the endpoint that joins them."""

from __future__ import annotations

from softphone.sip.body import Body, BodyRole
from softphone.sip.call_info import call_security, security_call_info
from softphone.sip.config import EndpointConfig, Timing
from softphone.sip.digest import (
    AuthenticationRefused,
    Credentials,
    DigestSession,
)
from softphone.sip.digest_algorithm import DigestAlgorithm
from softphone.sip.endpoint import Endpoint, SipEvent
from softphone.sip.event import (
    Acknowledged,
    Answered,
    Canceled,
    Cause,
    Ended,
    FlowClosed,
    FlowOpened,
    InDialogRequestReceived,
    InviteReceived,
    MessageRejected,
    ModificationAnswered,
    ModificationFailed,
    ModificationReceived,
    NotifyReceived,
    PongReceived,
    Pracked,
    Provisional,
    ReferReceived,
    Rejected,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    SessionRefreshed,
    SubscribeReceived,
    SubscriptionAccepted,
    SubscriptionRefreshed,
    SubscriptionTerminated,
)
from softphone.sip.exchange import Exchange, ServerExchange
from softphone.sip.grammar import MalformedMessage
from softphone.sip.headers import Headers
from softphone.sip.invitation import Invitation, ReferRequest, SubscribeRequest
from softphone.sip.invite import InviteState, InviteUsage
from softphone.sip.location import Failover, LookupPolicy, is_numeric
from softphone.sip.message import Request, Response
from softphone.sip.parser import Limits
from softphone.sip.registration import (
    Registration,
    RegistrationConfig,
    RegistrationEvent,
)
from softphone.sip.server_subscription import ServerSubscription
from softphone.sip.subscription import Subscription
from softphone.sip.uri import AbsoluteUri, NameAddr, SipUri, Uri, parse_uri

__all__ = [
    "AbsoluteUri",
    "Acknowledged",
    "Answered",
    "AuthenticationRefused",
    "Body",
    "BodyRole",
    "Canceled",
    "Cause",
    "Credentials",
    "DigestAlgorithm",
    "DigestSession",
    "Ended",
    "Endpoint",
    "EndpointConfig",
    "Exchange",
    "Failover",
    "FlowClosed",
    "FlowOpened",
    "Headers",
    "InDialogRequestReceived",
    "Invitation",
    "InviteReceived",
    "InviteState",
    "InviteUsage",
    "Limits",
    "LookupPolicy",
    "MalformedMessage",
    "MessageRejected",
    "ModificationAnswered",
    "ModificationFailed",
    "ModificationReceived",
    "NameAddr",
    "NotifyReceived",
    "PongReceived",
    "Pracked",
    "Provisional",
    "ReferReceived",
    "ReferRequest",
    "Registration",
    "RegistrationConfig",
    "RegistrationEvent",
    "Rejected",
    "Request",
    "RequestFailed",
    "RequestReceived",
    "Response",
    "ResponseReceived",
    "ServerExchange",
    "ServerSubscription",
    "SessionRefreshed",
    "SipEvent",
    "SipUri",
    "SubscribeReceived",
    "SubscribeRequest",
    "Subscription",
    "SubscriptionAccepted",
    "SubscriptionRefreshed",
    "SubscriptionTerminated",
    "Timing",
    "Uri",
    "call_security",
    "is_numeric",
    "parse_uri",
    "security_call_info",
]
