"""Calls: a SIP INVITE usage, a negotiation and media rows, joined under a policy."""

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
