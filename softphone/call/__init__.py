"""Calls: a SIP INVITE usage, a negotiation and media rows, joined under a policy."""

from __future__ import annotations

from softphone.call.audio_stream import AudioStream
from softphone.call.call import Call
from softphone.call.conference import Conference, ConferenceChanged
from softphone.call.incoming import IncomingCall, IncomingLeg
from softphone.call.leg import LegSetup, Mailbox, MediaSetup
from softphone.call.outgoing import OutgoingCall, OutgoingLeg

__all__ = [
    "AudioStream",
    "Call",
    "Conference",
    "ConferenceChanged",
    "IncomingCall",
    "IncomingLeg",
    "LegSetup",
    "Mailbox",
    "MediaSetup",
    "OutgoingCall",
    "OutgoingLeg",
]
