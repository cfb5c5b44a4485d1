"""The application's call handles: outgoing, incoming and established calls, and conferences.

A call joins a SIP INVITE usage, a negotiation and media streams under a security policy.  The usage
is in `softphone.sip.invite`, one call leg in `softphone.call.leg`, sound and packets in
`softphone.media`; registration and connection are in `softphone.account`, which makes the calls.

RFC 3261 sections 13 to 15 (INVITE, re-INVITE, BYE), RFC 3264 (hold), RFC 3515 and RFC 3891
(transfer, Replaces), RFC 4733 and RFC 4730 (digits), RFC 4235 (dialogs), RFC 3325 and
RFC 3323 (identity and privacy), RFC 5806 and RFC 7044 (diversion), RFC 7433 (User-to-User).  The
server's conference uses Cisco's remote call control.
"""

from __future__ import annotations

from softphone.call.audio_stream import AudioStream
from softphone.call.call import Call
from softphone.call.call_stream import CallItem
from softphone.call.conference import Conference, ConferenceChanged
from softphone.call.dialed_address import DialedAddress
from softphone.call.dialog_notifier import DialogNotifier
from softphone.call.extra_headers import ExtraHeaders, checked_headers
from softphone.call.identity import FarEndIdentity
from softphone.call.incoming import IncomingCall, IncomingLeg
from softphone.call.leg import EventQueue, LegSetup, MediaSetup
from softphone.call.outgoing import OutgoingCall, OutgoingLeg

__all__ = [
    "AudioStream",
    "Call",
    "CallItem",
    "Conference",
    "ConferenceChanged",
    "DialedAddress",
    "DialogNotifier",
    "EventQueue",
    "ExtraHeaders",
    "FarEndIdentity",
    "IncomingCall",
    "IncomingLeg",
    "LegSetup",
    "MediaSetup",
    "OutgoingCall",
    "OutgoingLeg",
    "checked_headers",
]
