"""The application's call handles: outgoing, incoming and established calls, and conferences.

A call joins a SIP INVITE usage, a negotiation and media streams under a security policy.  The usage
is in `softphone.sip.invite`, one call leg in `softphone.call.leg`, sound and packets in
`softphone.media`; registration and connection are in `softphone.account`, which makes the calls.

RFC 3261 sections 13 to 15 (INVITE, re-INVITE, BYE), RFC 3264 (hold), RFC 3515 and RFC 3891
(transfer, Replaces), RFC 4733 and RFC 4730 (digits), RFC 4235 (dialog states).  The server's
conference uses Cisco's remote call control.
"""

from __future__ import annotations

from softphone.call.audio_stream import AudioStream
from softphone.call.call import Call
from softphone.call.conference import Conference, ConferenceChanged
from softphone.call.incoming import IncomingCall, IncomingLeg
from softphone.call.leg import EventQueue, LegSetup, MediaSetup
from softphone.call.outgoing import OutgoingCall, OutgoingLeg

__all__ = [
    "AudioStream",
    "Call",
    "Conference",
    "ConferenceChanged",
    "EventQueue",
    "IncomingCall",
    "IncomingLeg",
    "LegSetup",
    "MediaSetup",
    "OutgoingCall",
    "OutgoingLeg",
]
