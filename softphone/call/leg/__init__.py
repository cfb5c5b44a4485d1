"""One leg of a call: joins its INVITE usage, negotiation, media and security policy.

It judges the policy before a stream opens or changes, and never falls back silently.  The start of
a call and the application's handle are in `softphone.call`; SDP is in `softphone.sdp`,
keys in `softphone.srtp`, the streams in `softphone.media`, the advice on a refusal in
`softphone.diagnostics`.

RFC 3264 (offer and answer), RFC 3261 sections 14 and 20.43 (re-INVITE, Warning), RFC 3311 (UPDATE),
RFC 3515 (REFER), RFC 4568 (SDES), RFC 4730 (KPML), RFC 4733 (telephone-event), RFC 6086 and
RFC 5168 (INFO), RFC 7088 (music on hold), RFC 3611 section 5 (rtcp-xr).
"""

from __future__ import annotations

from softphone.call.leg.call_leg import FAR_END_PATIENCE, CallLeg, ReadWriteBuffers, contain
from softphone.call.leg.dtmf import DigitMethod, choose_digit_method, dtmf_info_body, pause_of
from softphone.call.leg.event_queue import EventCursor, EventQueue
from softphone.call.leg.guards import DEFAULT_GUARDS, CallGuards, OnMediaTimeout
from softphone.call.leg.kept_audio import KeptAudio, check_keep
from softphone.call.leg.kpml_subscriptions import TimerHandle, check_digits
from softphone.call.leg.music_on_hold import MusicSource
from softphone.call.leg.negotiation import (
    AskPublic,
    MediaProposal,
    MediaSetup,
    Negotiation,
)
from softphone.call.leg.refusal import DescriptionRefusal, policy_refusal, warning_header
from softphone.call.leg.rtcp_xr_demand import RtcpXrDemand, RtcpXrMode
from softphone.call.leg.security import FlowProof, flow_shortfalls, proves_nothing
from softphone.call.leg.setup import (
    CallMusicSource,
    HeaderFields,
    LegSetup,
    NameLookup,
    trusts_nobody,
)
from softphone.call.leg.transfer import PendingReferral
from softphone.call.leg.video_setup import VideoSetup

__all__ = [
    "DEFAULT_GUARDS",
    "FAR_END_PATIENCE",
    "AskPublic",
    "CallGuards",
    "CallLeg",
    "CallMusicSource",
    "DescriptionRefusal",
    "DigitMethod",
    "EventCursor",
    "EventQueue",
    "FlowProof",
    "HeaderFields",
    "KeptAudio",
    "LegSetup",
    "MediaProposal",
    "MediaSetup",
    "MusicSource",
    "NameLookup",
    "Negotiation",
    "OnMediaTimeout",
    "PendingReferral",
    "ReadWriteBuffers",
    "RtcpXrDemand",
    "RtcpXrMode",
    "TimerHandle",
    "VideoSetup",
    "check_digits",
    "check_keep",
    "choose_digit_method",
    "contain",
    "dtmf_info_body",
    "flow_shortfalls",
    "pause_of",
    "policy_refusal",
    "proves_nothing",
    "trusts_nobody",
    "warning_header",
]
