"""Calls in which a realtime speech service talks: OpenAI Realtime, Gemini Live, Deepgram.

`RealtimeAgent` joins each call of an account with a session at the service of a `RealtimeConfig`:
the caller's sound goes to the service, its sound to the caller, and when the caller interrupts it,
what was not heard is dropped, and a service that wants to know is told how much was.  The model may
hang up, press keys and, under the account's dial policy, transfer the call.

`dialect` is the shape that services share, without I/O; a module beside it speaks the messages of
one service, as that documents them.  Sockets are those of `softphone.agents`: RFC 6455 on aiohttp,
over connections that have passed the certificate gate.  Nothing here recognizes or synthesizes
speech.
"""

from __future__ import annotations

from softphone.agents.realtime.realtime_agent import RealtimeAgent
from softphone.agents.realtime.realtime_config import RealtimeConfig, RealtimeService
from softphone.agents.realtime.reports import RealtimeEvent, Said, ToolUsed
from softphone.agents.realtime.tools import Tool

__all__ = [
    "RealtimeAgent",
    "RealtimeConfig",
    "RealtimeEvent",
    "RealtimeService",
    "Said",
    "Tool",
    "ToolUsed",
]
